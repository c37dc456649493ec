"""Light mediators: vectors coupled to charges of the known particles, and a scalar. Families with a mass.

L_vector = -g Z'_mu (Q'_nu nubar gamma^mu P_L nu + Q'_f fbar gamma^mu f)
L_scalar = -phi (g nubar_R nu_L + h.c. + g sum over q of qbar q + g ebar e)

The coupling g >= 0 enters the amplitude as g^2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from cevnslab.arguments import number
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.constants import (
    DOWN_IN_NEUTRON,
    DOWN_IN_PROTON,
    DOWN_MASS_MEV,
    ELECTRON_MASS_MEV,
    FERMI_CONSTANT,
    FINE_STRUCTURE,
    KEV,
    MUON_MASS_MEV,
    NEUTRON_MASS_MEV,
    PROTON_MASS_MEV,
    TAU_MASS_MEV,
    UP_IN_NEUTRON,
    UP_IN_PROTON,
    UP_MASS_MEV,
)
from cevnslab.physics.coupling import DIAGONAL, Coupling, FloatArray
from cevnslab.physics.nuclei import Nucleus
from cevnslab.words import excerpt, nearest

SCALAR_ON_PROTON = PROTON_MASS_MEV * (UP_IN_PROTON / UP_MASS_MEV + DOWN_IN_PROTON / DOWN_MASS_MEV)
"""C_p = m_p sum over u, d of f_q^p/m_q: the proton's coupling for one quark coupling.

>>> round(SCALAR_ON_PROTON, 3)
17.24
"""

SCALAR_ON_NEUTRON = NEUTRON_MASS_MEV * (UP_IN_NEUTRON / UP_MASS_MEV + DOWN_IN_NEUTRON / DOWN_MASS_MEV)
"""C_n, as `SCALAR_ON_PROTON`.

>>> round(SCALAR_ON_NEUTRON, 3)
17.237
"""

LARGEST_COUPLING = 10.0
"""g^2/4 pi = 8: beyond it the exchange of one mediator means nothing."""

_TYPICAL_TRANSFER_MEV = 30.0


@dataclass(frozen=True)
class VectorCharges:
    """The charges Q' of neutrino, proton, neutron and electron under a new vector."""

    neutrino: float
    proton: float
    neutron: float
    electron: float


CHARGES: Mapping[str, VectorCharges] = MappingProxyType(
    {
        "universal": VectorCharges(neutrino=1.0, proton=3.0, neutron=3.0, electron=1.0),
        "b-l": VectorCharges(neutrino=-1.0, proton=1.0, neutron=1.0, electron=-1.0),
        # Neither quarks nor electrons are charged: their electric charge mixes in through a loop of muons and taus.
        "lmu-ltau": VectorCharges(neutrino=1.0, proton=1.0, neutron=0.0, electron=-1.0),
    }
)
"""Per model. Of ``"lmu-ltau"`` the muon neutrino's (the tau's is opposite, the electron's is none), and the electric
charges of the others, which `loop_charge` multiplies."""

_REFERENCES = {
    "universal": "Cadeddu et al., JHEP 01 (2021) 116, arXiv:2008.05022",
    "b-l": "Cadeddu et al., JHEP 01 (2021) 116, arXiv:2008.05022",
    "lmu-ltau": "Cadeddu et al., JHEP 01 (2021) 116, arXiv:2008.05022 (one loop, no bare kinetic mixing)",
}


_LOOP_NODES, _LOOP_WEIGHTS = np.polynomial.legendre.leggauss(24)


def loop_charge(momentum_transfer_mev2: ArrayLike) -> FloatArray:
    """`(2 alpha/pi) eps_tau,mu(|q^2|)`: what a unit of electric charge has under L_mu - L_tau, without bare mixing.

    `eps = integral over x of x(1-x) ln[(m_tau^2 + x(1-x)|q^2|)/(m_mu^2 + x(1-x)|q^2|)]` (arXiv:2008.05022): 24 nodes
    give it to rounding errors up to `|q^2| = 5 m_mu^2`. At rest it is ln(m_tau^2/m_mu^2)/6:

    >>> at_rest = float(loop_charge(0.0)) * np.pi / (2 * FINE_STRUCTURE)
    >>> round(at_rest, 9), round(math.log(TAU_MASS_MEV**2 / MUON_MASS_MEV**2) / 6, 9)
    (0.940810473, 0.940810473)
    """
    transfer = np.asarray(momentum_transfer_mev2, dtype=float)
    result = np.zeros_like(transfer)
    for node, weight in zip((1 + _LOOP_NODES) / 2, _LOOP_WEIGHTS / 2, strict=True):
        split = node * (1 - node)
        ratio = (TAU_MASS_MEV**2 + split * transfer) / (MUON_MASS_MEV**2 + split * transfer)
        result = result + weight * split * np.log(ratio)
    return np.asarray(2 * FINE_STRUCTURE / np.pi * result)


def propagator(target_mass_mev: float, mediator_mass_mev: float, recoil_energy_kev: ArrayLike) -> FloatArray:
    """1/(2 M T + m^2) in MeV^-2: the exchange of a mediator at q^2 = -2 M T; a mass of 0 is allowed here."""
    recoil_energy_mev = np.asarray(recoil_energy_kev, dtype=float) * KEV
    return np.asarray(1 / (2 * target_mass_mev * recoil_energy_mev + mediator_mass_mev**2))


def light_vector_on_nucleus(
    recoil_energy_kev: FloatArray,
    nucleus: Nucleus,
    proton_form_factor: FloatArray,
    neutron_form_factor: FloatArray,
    charges: VectorCharges,
    mass_mev: float,
) -> FloatArray:
    """Q'_nu (Q'_p Z F_p + Q'_n N F_n)/(sqrt(2) G_F (2 M T + m^2)) per g^2.

    At zero mass and g^2 Q'_nu Q'_f = e^2 q Q_f this is a millicharge q.
    """
    charge = (
        charges.proton * nucleus.proton_number * proton_form_factor
        + charges.neutron * nucleus.neutron_number * neutron_form_factor
    )
    exchange = propagator(nucleus.mass_mev, mass_mev, recoil_energy_kev)
    return np.asarray(charges.neutrino * charge * exchange / (np.sqrt(2) * FERMI_CONSTANT))


def light_vector_on_electron(recoil_energy_kev: FloatArray, charges: VectorCharges, mass_mev: float) -> FloatArray:
    """Q'_nu Q'_e/(sqrt(2) G_F (2 m_e T + m^2)) per g^2, in g_V."""
    exchange = propagator(ELECTRON_MASS_MEV, mass_mev, recoil_energy_kev)
    return np.asarray(charges.neutrino * charges.electron * exchange / (np.sqrt(2) * FERMI_CONSTANT))


def light_scalar_on_nucleus(
    recoil_energy_kev: FloatArray,
    nucleus: Nucleus,
    proton_form_factor: FloatArray,
    neutron_form_factor: FloatArray,
    mass_mev: float,
) -> FloatArray:
    """(Z C_p F_p + N C_n F_n)/(2 M T + m^2) per g^2, in MeV^-2."""
    charge = (
        SCALAR_ON_PROTON * nucleus.proton_number * proton_form_factor
        + SCALAR_ON_NEUTRON * nucleus.neutron_number * neutron_form_factor
    )
    return charge * propagator(nucleus.mass_mev, mass_mev, recoil_energy_kev)


# Kernels of a family are values, not closures: equal parameters make equal couplings, in this process and in another.
@dataclass(frozen=True)
class _VectorOnNucleus:
    charges: VectorCharges
    mass_mev: float

    def __call__(self, recoil: FloatArray, nucleus: Nucleus, protons: FloatArray, neutrons: FloatArray) -> FloatArray:
        return light_vector_on_nucleus(recoil, nucleus, protons, neutrons, self.charges, self.mass_mev)


@dataclass(frozen=True)
class _VectorOnElectron:
    charges: VectorCharges
    mass_mev: float

    def __call__(self, recoil: FloatArray) -> FloatArray:
        return light_vector_on_electron(recoil, self.charges, self.mass_mev)


@dataclass(frozen=True)
class _MixedVectorOnNucleus(_VectorOnNucleus):
    def __call__(self, recoil: FloatArray, nucleus: Nucleus, protons: FloatArray, neutrons: FloatArray) -> FloatArray:
        return loop_charge(2 * nucleus.mass_mev * recoil * KEV) * super().__call__(recoil, nucleus, protons, neutrons)


@dataclass(frozen=True)
class _MixedVectorOnElectron(_VectorOnElectron):
    def __call__(self, recoil: FloatArray) -> FloatArray:
        return loop_charge(2 * ELECTRON_MASS_MEV * recoil * KEV) * super().__call__(recoil)


@dataclass(frozen=True)
class _ScalarOnNucleus:
    mass_mev: float

    def __call__(self, recoil: FloatArray, nucleus: Nucleus, protons: FloatArray, neutrons: FloatArray) -> FloatArray:
        return light_scalar_on_nucleus(recoil, nucleus, protons, neutrons, self.mass_mev)


@dataclass(frozen=True)
class _ScalarOnElectron:
    mass_mev: float

    def __call__(self, recoil: FloatArray) -> FloatArray:
        return propagator(ELECTRON_MASS_MEV, self.mass_mev, recoil)


SYMBOLS = {"universal": "g_{Z'}", "b-l": "g_{B-L}", "lmu-ltau": r"g_{L_\mu-L_\tau}"}
"""Of the couplings of vector mediators, by their charges."""
SCALAR_SYMBOL = r"g_{\phi}"


def light_vector(charges: str | None = None, mass_mev: float | None = None, label: str | None = None) -> Coupling:
    """A vector mediator of a given mass; the coupling g >= 0 is named by the label.

    Raises `PhysicsError` for a parameter that is missing or out of its domain, `UnknownNameError` for charges that
    are not known.

    Parameters
    ----------
    charges
        A name of `CHARGES`. ``"universal"`` is destructive on nuclei, ``"b-l"`` constructive, ``"lmu-ltau"``
        destructive for muon neutrinos and constructive for tau neutrinos (one loop, no bare kinetic mixing; papers
        differ in this sign).
    mass_mev
        Above 0.
    label
        What the study's files call it.

    Examples
    --------
    >>> light_vector("b-l", 10.0, "g10") == light_vector("b-l", 10, "g10")
    True

    """
    family = "light_vector"
    if charges is None:
        raise PhysicsError(f"{family} needs charges, one of {', '.join(CHARGES)}")
    if charges not in CHARGES:
        raise UnknownNameError(f"{family}: no charges {excerpt(charges)}; {nearest(charges, CHARGES)}")
    mass, name = _parameters(family, mass_mev, label)
    mixed = charges == "lmu-ltau"
    on_nucleus, on_electron = (
        (_MixedVectorOnNucleus, _MixedVectorOnElectron) if mixed else (_VectorOnNucleus, _VectorOnElectron)
    )
    return Coupling(
        name=name,
        symbol=SYMBOLS[charges],
        unit="1",
        # A charge that comes from a loop needs a larger g.
        scale=_natural_coupling(mass) / (math.sqrt(float(loop_charge(0.0))) if mixed else 1.0),
        bounds=(0.0, LARGEST_COUPLING),
        flavours=(("mu", "mu"), ("tau", "tau")) if mixed else DIAGONAL,
        nucleus=on_nucleus(CHARGES[charges], mass),
        electron=on_electron(CHARGES[charges], mass),
        description=f"coupling of a vector mediator of {mass:g} MeV, {charges} charges",
        power=2,
        weights=(1.0, -1.0) if mixed else (),
        reference_text=_REFERENCES[charges],
        formula=r"\delta Q = \frac{g^2 Q'_\nu (Q'_p Z F_p + Q'_n N F_n)}{\sqrt{2} G_F (2MT + m^2)}",
    )


def light_scalar(mass_mev: float | None = None, label: str | None = None) -> Coupling:
    """A scalar mediator of a given mass with one coupling g >= 0 to neutrinos, u and d quarks and electrons.

    Parameters and errors as for `light_vector`.

    >>> light_scalar(10.0, "s10").component
    'scalar'
    """
    mass, name = _parameters("light_scalar", mass_mev, label)
    return Coupling(
        name=name,
        symbol=SCALAR_SYMBOL,
        unit="1",
        scale=_natural_coupling(mass),
        bounds=(0.0, LARGEST_COUPLING),
        flavours=DIAGONAL,
        nucleus=_ScalarOnNucleus(mass),
        electron=_ScalarOnElectron(mass),
        description=f"coupling of a scalar mediator of {mass:g} MeV to neutrinos, quarks and electrons",
        component="scalar",
        power=2,
        reference_text="Cerdeno et al., JHEP 05 (2016) 118, arXiv:1604.01025; f_q: arXiv:1506.04142",
        formula=r"\frac{d\sigma}{dT} \to \frac{d\sigma}{dT}"
        r" + \frac{M^2 T\, g^4 (Z C_p F_p + N C_n F_n)^2}{4\pi E^2 (2MT + m^2)^2}",
    )


def _parameters(family: str, mass_mev: float | None, label: str | None) -> tuple[float, str]:
    if mass_mev is None:
        raise PhysicsError(f"{family} needs mass_mev, the mass of the mediator in MeV")
    if not number(f"{family}: mass_mev", mass_mev) > 0:
        raise PhysicsError(f"{family}: mass_mev must be above 0, got {mass_mev:g} (a massless vector is a millicharge)")
    if label is None:
        raise PhysicsError(f"{family} needs a label, by which the study's files name its coupling")
    if not isinstance(label, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", label):
        raise PhysicsError(f"{family}: the label must be letters, digits and _ after a letter, got {excerpt(label)}")
    return float(mass_mev), label


def _natural_coupling(mass_mev: float) -> float:
    """The g that shifts the amplitude per nucleon by 1e-2, at a momentum transfer of 30 MeV."""
    return math.sqrt(1e-2 * math.sqrt(2) * FERMI_CONSTANT * (_TYPICAL_TRANSFER_MEV**2 + mass_mev**2))


def labelled_symbol(label: str) -> str:
    r"""The symbol of a mediator that shares its kind with another of the same study.

    >>> print(labelled_symbol("heavy_one"))
    g_{\mathrm{heavy\_one}}
    """
    escaped = label.replace("_", r"\_")
    return rf"g_{{\mathrm{{{escaped}}}}}"


FAMILIES: Mapping[str, Callable[..., Coupling]] = MappingProxyType(
    {"light_vector": light_vector, "light_scalar": light_scalar}
)
"""Couplings with parameters: each makes a `Coupling` named by its label."""
