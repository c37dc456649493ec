"""A supernova: the neutrinos of one burst, per flavour, and the mass states in which they arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np

from cevnslab.errors import PhysicsError
from cevnslab.frozen import frozen
from cevnslab.physics.constants import MEV_IN_JOULE
from cevnslab.physics.flavour import NUFIT, Oscillation
from cevnslab.physics.sources.source import Burst, FluxComponent, check_positive
from cevnslab.physics.spectra import PinchedSpectrum

ERG_IN_JOULE = 1e-7
KPC_IN_CM = 3.0856776e21
Ordering = Literal["none", "normal", "inverted"]

SPECIES = ("nu_e", "anti_nu_e", "nu_x")
"""nu_x stands for each of nu_mu, nu_tau and their antineutrinos."""

_ARRIVALS: Mapping[str, tuple[tuple[str, bool, str], ...]] = MappingProxyType(
    {
        "none": (
            ("e", False, "nu_e"),
            ("e", True, "anti_nu_e"),
            *((flavour, anti, "nu_x") for anti in (False, True) for flavour in ("mu", "tau")),
        ),
        "normal": (
            *((state, False, "nu_e" if state == "3" else "nu_x") for state in "123"),
            *((state, True, "anti_nu_e" if state == "1" else "nu_x") for state in "123"),
        ),
        "inverted": (
            *((state, False, "nu_e" if state == "2" else "nu_x") for state in "123"),
            *((state, True, "anti_nu_e" if state == "3" else "nu_x") for state in "123"),
        ),
    }
)
"""(state at the Earth, antineutrino, species at emission) by ordering."""


@dataclass(frozen=True)
class Emission:
    """What one species of a burst carries away."""

    energy_erg: float
    """Of this species alone, one of six: nu_x stands for four such."""
    mean_energy_mev: float
    pinching: float


@dataclass(frozen=True)
class Supernova(Burst):
    """One supernova burst, integrated over time: counts of a burst, without years of exposure.

    The fluence of a species is E/(4 pi d^2 <E>) times its `PinchedSpectrum`. With ``ordering`` ``"none"`` the flavours
    arrive as they were emitted. Otherwise they arrive as mass states after adiabatic conversion in the star, without
    collective effects: for the normal ordering nu_3 is what was emitted as nu_e and anti-nu_1 what was emitted as
    anti-nu_e; for the inverted one nu_2 and anti-nu_3; the other states were nu_x. Nuclei do not care in the Standard
    Model; electrons and couplings of flavours do.

    Steady backgrounds count for `window_s` seconds.

    Raises `PhysicsError` for a species that is missing, or a distance, energy, mean, pinching or window out of range.

    >>> burst = Supernova("sn", 10.0, dict.fromkeys(SPECIES, Emission(5e52, 12.0, 3.0)))
    >>> f"{burst.fluence_per_cm2(None, 1) * burst.components[0].yield_per_primary:.4e}"
    '2.1735e+11'
    """

    name: str
    distance_kpc: float
    emission: Mapping[str, Emission] = field(hash=False)
    """By species, `SPECIES`."""
    ordering: Ordering = "none"
    window_s: float = 10.0
    oscillation: Oscillation = NUFIT

    needs_distance = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "emission", frozen(self.emission))
        check_positive(self.name, "distance_kpc", self.distance_kpc)
        check_positive(self.name, "window_s", self.window_s)
        if set(self.emission) != set(SPECIES):
            raise PhysicsError(f"source {self.name}: the emission of {', '.join(SPECIES)} is needed")
        if self.ordering not in _ARRIVALS:
            raise PhysicsError(f"source {self.name}: ordering must be {', '.join(_ARRIVALS)}, got {self.ordering}")
        for species in SPECIES:
            check_positive(self.name, f"energy_erg of {species}", self.emission[species].energy_erg)
        _ = self.components  # checks means and pinchings

    @cached_property
    def components(self) -> tuple[FluxComponent, ...]:
        """Six states, each with its number emitted as yield."""
        components = []
        for state, antineutrino, species in _ARRIVALS[self.ordering]:
            emitted = self.emission[species]
            spectrum = PinchedSpectrum(emitted.mean_energy_mev, emitted.pinching)
            number = emitted.energy_erg * ERG_IN_JOULE / MEV_IN_JOULE / emitted.mean_energy_mev
            components.append(
                FluxComponent(
                    f"{'anti-' if antineutrino else ''}nu_{state}",
                    state,
                    antineutrino,
                    spectrum,
                    yield_per_primary=number,
                    oscillation=self.oscillation,
                )
            )
        return tuple(components)

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """1/(4 pi d^2) per cm^2: the components' yields are the numbers emitted."""
        return float(1 / (4 * np.pi * (self.distance_kpc * KPC_IN_CM) ** 2))
