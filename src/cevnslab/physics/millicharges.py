"""Electric charges of neutrinos, in units of the elementary charge."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cevnslab.physics.constants import ELECTRON_MASS_MEV, FERMI_CONSTANT, FINE_STRUCTURE, KEV
from cevnslab.physics.coupling import DIAGONAL, Coupling, FloatArray, pair_symbol
from cevnslab.physics.nuclei import Nucleus


def millicharge_strength(mass_mev: float, recoil_energy_kev: ArrayLike) -> FloatArray:
    """kappa_m(T) = sqrt(2) pi alpha / (G_F m T), Eq. (8) of arXiv:2409.10652; dimensionless.

    >>> germanium_mass_mev = 67654.4167532
    >>> f"{32 * float(millicharge_strength(germanium_mass_mev, 0.6)):.6e}"  # per unit charge, before the form factor
    '2.191256e+09'
    """
    recoil_energy_mev = np.asarray(recoil_energy_kev, dtype=float) * KEV
    return np.asarray(np.sqrt(2) * np.pi * FINE_STRUCTURE / (FERMI_CONSTANT * mass_mev * recoil_energy_mev))


def millicharge_on_nucleus(
    recoil_energy_kev: FloatArray, nucleus: Nucleus, proton_form_factor: FloatArray, neutron_form_factor: FloatArray
) -> FloatArray:
    """Z F_p(q) kappa_M(T), Eqs. (8), (9) of arXiv:2409.10652; the same sign for neutrinos and antineutrinos."""
    return nucleus.proton_number * proton_form_factor * millicharge_strength(nucleus.mass_mev, recoil_energy_kev)


def millicharge_on_electron(recoil_energy_kev: FloatArray) -> FloatArray:
    """-kappa_me(T), Eq. (10) of arXiv:2409.10652: opposite to the nucleus, as the electron's charge is."""
    return -millicharge_strength(ELECTRON_MASS_MEV, recoil_energy_kev)


def _millicharge(name: str, symbol: str, pairs: tuple[tuple[str, str], ...], description: str) -> Coupling:
    return Coupling(
        name=name,
        symbol=symbol,
        unit="e",
        scale=1e-9,
        # Five decades beyond the limits: what is larger would have been seen by any experiment.
        bounds=(-1e-4, 1e-4),
        flavours=pairs,
        nucleus=millicharge_on_nucleus,
        electron=millicharge_on_electron,
        description=description,
        reference_text="arXiv:2409.10652, Eqs. (8), (9) on nuclei, (10) on electrons",
        formula=r"\delta Q = \sqrt{2}\pi\alpha\, Z F_p(q)\, q_{\nu} / (G_F M T)",
    )


def _of_pair(alpha: str, beta: str) -> Coupling:
    transition = "transition " if alpha != beta else ""
    return _millicharge(
        f"q_{alpha}{beta}",
        f"q_{{{pair_symbol(alpha, beta)}}}",
        ((alpha, beta),),
        f"{transition}electric charge of the neutrino, nu_{alpha} nu_{beta}",
    )


MILLICHARGES = (
    *(_of_pair(alpha, beta) for alpha, beta in DIAGONAL),
    *(_of_pair(alpha, beta) for alpha, beta in (("e", "mu"), ("e", "tau"), ("mu", "tau"))),
    _millicharge("q_nu", r"q_\nu", DIAGONAL, "electric charge of the neutrino, the same for every flavour"),
)
"""A source shows those of the flavours that it has."""
