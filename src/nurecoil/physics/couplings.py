"""New neutrino couplings, each declared once: name, symbol, unit, bounds, flavours, kernels.

A coupling adds `value * kernel(T)` to an amplitude of the incoming flavour alpha and the outgoing flavour beta:

* on nuclei to Q_ab(T) of Eq. (9), arXiv:2409.10652, kernel(T, nucleus, F_p, F_n);
* on electrons to g_V of Eq. (4), kernel(T).

That is all the rest of the package asks: counts, limits, contours and figures follow from the declaration.
To add one, declare a `Coupling` below and list it in `COUPLINGS`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nurecoil.errors import PhysicsError, UnknownNameError
from nurecoil.physics.constants import ELECTRON_MASS_MEV, FERMI_CONSTANT, FINE_STRUCTURE, KEV
from nurecoil.physics.nuclei import Nucleus

FloatArray = NDArray[np.float64]
NuclearKernel = Callable[[FloatArray, Nucleus, FloatArray, FloatArray], FloatArray]
ElectronKernel = Callable[[FloatArray], FloatArray]

FLAVOURS = ("e", "mu", "tau")


@dataclass(frozen=True)
class Coupling:
    """A coupling as the field declares it.

    `flavours` are the unordered pairs (alpha, beta) that it joins: ``(("e", "e"),)`` is diagonal and interferes
    with the Standard Model, ``(("e", "mu"),)`` is a transition, acts on both flavours and does not. A value
    outside `bounds` is an error. `scale` is a value of natural size, which sets the numerical unit of fits.
    """

    name: str
    symbol: str
    """In matplotlib's mathtext, without dollar signs."""
    unit: str
    scale: float
    bounds: tuple[float, float]
    flavours: tuple[tuple[str, str], ...]
    nucleus: NuclearKernel | None
    electron: ElectronKernel | None
    description: str = ""

    def joins(self, incoming: str, outgoing: str) -> bool:
        """Whether the coupling turns `incoming` into `outgoing`."""
        return (incoming, outgoing) in self.flavours or (outgoing, incoming) in self.flavours

    @property
    def transition(self) -> bool:
        """Whether it changes flavour: then only its square enters."""
        return all(alpha != beta for alpha, beta in self.flavours)

    def check(self, value: float) -> float:
        """The value, or `PhysicsError` where it is outside the bounds (or not a number)."""
        low, high = self.bounds
        if not low <= value <= high:
            raise PhysicsError(f"{self.name} = {value:g} {self.unit} is outside its bounds [{low:g}, {high:g}]")
        return value


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


def _millicharge(name: str, alpha: str, beta: str) -> Coupling:
    flavour = {"e": "e", "mu": r"\mu", "tau": r"\tau"}
    return Coupling(
        name=name,
        symbol=f"q_{{{flavour[alpha]}{flavour[beta]}}}",
        unit="e",
        scale=1e-9,
        bounds=(-1e-4, 1e-4),
        flavours=((alpha, beta),),
        nucleus=millicharge_on_nucleus,
        electron=millicharge_on_electron,
        description=f"{'transition ' if alpha != beta else ''}electric charge of the neutrino, nu_{alpha} nu_{beta}",
    )


COUPLINGS: Mapping[str, Coupling] = MappingProxyType(
    {
        coupling.name: coupling
        for coupling in (
            _millicharge("q_ee", "e", "e"),
            _millicharge("q_mumu", "mu", "mu"),
            _millicharge("q_emu", "e", "mu"),
            _millicharge("q_etau", "e", "tau"),
            _millicharge("q_mutau", "mu", "tau"),
        )
    }
)
"""The couplings by name; functions that look one up take another registry as an argument."""


PLANNED = frozenset(
    ["mu_e", "mu_mu", "sin2_theta_w", "neutron_radius"]
    + [f"r2_{pair}" for pair in ("ee", "mumu", "emu", "etau", "mutau")]
    + [f"eps_{pair}_{quark}" for pair in ("ee", "mumu", "emu", "etau", "mutau") for quark in "ud"]
)
"""Names that the study file reserves for couplings to come."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them.

    >>> nearest("q_eee", ["q_ee", "q_mumu"])
    "did you mean 'q_ee'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"


def coupling(name: str, registry: Mapping[str, Coupling] = COUPLINGS) -> Coupling:
    """Look a coupling up; `UnknownNameError` offers the nearest name.

    >>> coupling("q_emu").unit
    'e'
    """
    if name in PLANNED and name not in registry:
        raise UnknownNameError(f"the coupling '{name}' is not available in this version of nurecoil")
    if name not in registry:
        raise UnknownNameError(f"no coupling '{name}'; {nearest(name, registry)}")
    return registry[name]
