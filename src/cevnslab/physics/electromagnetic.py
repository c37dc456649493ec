"""Magnetic moments and charge radii of neutrinos."""

from __future__ import annotations

import math

import numpy as np

from cevnslab.physics.constants import FERMI_CONSTANT, FINE_STRUCTURE, INVERSE_MEV2_TO_CM2
from cevnslab.physics.coupling import FLAVOUR_SYMBOLS, Coupling, FloatArray, pair_symbol
from cevnslab.physics.flavour import FLAVOURS, MASS_STATES
from cevnslab.physics.nuclei import Nucleus

CHARGE_RADIUS_PER_CM2 = math.sqrt(2) * math.pi * FINE_STRUCTURE / (3 * FERMI_CONSTANT) / INVERSE_MEV2_TO_CM2
"""sqrt(2) pi alpha/(3 G_F) per cm^2: the shift of g_V on electrons by a charge radius.

>>> round(CHARGE_RADIUS_PER_CM2 * 1e-32, 9)
0.023795585
"""


def magnetic_moment_on_nucleus(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """Z F_p(q): the nucleus' charge, to which the photon couples."""
    return nucleus.proton_number * proton_form_factor


def magnetic_moment_on_electron(recoil_energy_kev: FloatArray) -> FloatArray:
    """1: the (absolute) charge of an electron; how many of them is in the kinematics."""
    return np.ones_like(recoil_energy_kev)


def charge_radius_on_nucleus(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """-(sqrt(2) pi alpha/3 G_F) Z F_p(q) per cm^2.

    From the neutrino's form factor f_Q(q^2) = q + q^2 <r^2>/6 at q^2 = -2 M T in place of the charge q of Eq. (9),
    arXiv:2409.10652. The same for neutrinos and antineutrinos (arXiv:1810.05606 in its revised version).
    """
    return -CHARGE_RADIUS_PER_CM2 * nucleus.proton_number * proton_form_factor


def charge_radius_on_electron(recoil_energy_kev: FloatArray) -> FloatArray:
    """+sqrt(2) pi alpha/(3 G_F) per cm^2 in g_V, for neutrinos and antineutrinos."""
    return np.full_like(recoil_energy_kev, CHARGE_RADIUS_PER_CM2)


def _magnetic_moment(name: str, symbol: str, states: tuple[str, ...], description: str) -> Coupling:
    return Coupling(
        name=name,
        symbol=symbol,
        unit="mu_B",
        scale=1e-10,
        # Both signs, as for transition charges, though only the square enters; 1e-6 is a thousand times the
        # limits of early beam experiments.
        bounds=(-1e-6, 1e-6),
        flavours=tuple((state, state) for state in states),
        nucleus=magnetic_moment_on_nucleus,
        electron=magnetic_moment_on_electron,
        description=description,
        component="magnetic",
        reference_text="Vogel, Engel, Phys. Rev. D 39 (1989) 3378",
        formula=r"\frac{d\sigma}{dT} \to \frac{d\sigma}{dT}"
        r" + \frac{\pi\alpha^2 Z^2 F_p^2}{m_e^2} (\frac{1}{T} - \frac{1}{E}) \frac{\mu_\nu^2}{\mu_B^2}",
    )


def _charge_radius(alpha: str, beta: str) -> Coupling:
    # The published definitions differ by a factor of two; f_Q says which one this is.
    beyond = ", beyond the Standard Model's" if alpha == beta else ""
    transition = "transition " if alpha != beta else ""
    return Coupling(
        name=f"r2_{alpha}{beta}",
        symbol=rf"\langle r^2_{{{pair_symbol(alpha, beta)}}}\rangle",
        unit="cm2",
        scale=1e-32,
        # Twenty times the mirror solution Q -> -Q, near -5e-31 cm2, which a limit must be able to show.
        bounds=(-1e-29, 1e-29),
        flavours=((alpha, beta),),
        nucleus=charge_radius_on_nucleus,
        electron=charge_radius_on_electron,
        description=f"{transition}charge radius of the neutrino, nu_{alpha} nu_{beta}{beyond}",
        reference_text="arXiv:1810.05606 (revised version); arXiv:2005.01645",
        formula=r"\delta Q = -\frac{\sqrt{2}\pi\alpha}{3 G_F} Z F_p(q)\, \langle r^2 \rangle",
    )


MAGNETIC_MOMENTS = (
    *(
        _magnetic_moment(
            f"mu_{flavour}",
            rf"\mu_{{\nu_{{{FLAVOUR_SYMBOLS[flavour]}}}}}",
            (flavour,),
            f"effective magnetic moment of nu_{flavour}, mu^2 = sum over the final flavours",
        )
        for flavour in FLAVOURS
    ),
    _magnetic_moment("mu_nu", r"\mu_\nu", FLAVOURS, "magnetic moment, the same for every flavour and mass state"),
    *(
        _magnetic_moment(
            f"mu_{state}",
            rf"\mu_{{{state}}}",
            (state,),
            f"effective magnetic moment of the mass state nu_{state}, mu^2 = sum over the final states",
        )
        for state in MASS_STATES
    ),
)
"""Effective moments: mu_a^2 is the sum over b of `|mu_ab|^2`, of the incoming flavour or mass state.

With lambda the matrix of moments, neutrinos with the density matrix rho have mu^2 = Tr(lambda rho lambda^+). The
moments of flavours take lambda^+ lambda as diagonal in flavour, sum over a of rho_aa mu_a^2, those of mass states as
diagonal in the mass basis, sum over i of `<nu_i|rho|nu_i> mu_i^2`. Neither follows from the other: only `mu_nu` means
the same in every basis.
"""

CHARGE_RADII = tuple(
    _charge_radius(alpha, beta)
    for alpha, beta in (
        ("e", "e"),
        ("mu", "mu"),
        ("tau", "tau"),
        ("e", "mu"),
        ("e", "tau"),
        ("mu", "tau"),
    )
)
"""What is added to the radius that the prediction holds.

With `radiative_corrections` that is the Standard Model's, -0.83 (e), -0.48 (mu), -0.30 (tau) 1e-32 cm^2, which sits
inside g_p of each flavour: a limit is on <r^2> - <r^2>_SM. At tree level it is none. Asimov data then hold none either,
and the limit is on the difference too; real data hold the Standard Model's, and it is on the whole <r^2>.
"""
