"""Nuclear reactors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from cevnslab.errors import PhysicsError
from cevnslab.frozen import frozen
from cevnslab.physics.constants import MEV_IN_JOULE
from cevnslab.physics.reactor_spectra import (
    ABOVE_8_MEV,
    FissionSpectra,
    FluxPart,
    huber_mueller,
    u238_captures,
)
from cevnslab.physics.sources.source import (
    CM_PER_M,
    FluxComponent,
    FluxNuisance,
    Steady,
    check_live_time,
    check_positive,
    required_distance_m,
)

ENERGY_PER_FISSION_MEV = {"U235": 202.36, "U238": 205.99, "Pu239": 211.12, "Pu241": 214.26}
"""Energy released in a reactor per fission (Ma et al., Phys. Rev. C 88 (2013) 014605, arXiv:1212.6625)."""

FACTOR_ABOVE_8_MEV = (0.8, 0.3)
"""Factor on the flux above 8 MeV and its uncertainty: models differ, and Daya Bay's data prefer less than the table."""


@dataclass(frozen=True)
class ReactorCore:
    """One core of a plant, with its own distance from the detector."""

    thermal_power_gw: float
    distance_m: float


@dataclass(frozen=True)
class TotalFlux:
    """A flux of all antineutrinos, as experiments publish it, at a distance.

    It holds those of captures on U-238: a spectrum without them that is normalised to it has 29 to 32 per cent too
    many fissions.
    """

    per_cm2_s: float
    distance_m: float


@dataclass(frozen=True)
class Reactor(Steady):
    """A nuclear reactor: electron antineutrinos from the fissions of its fuel, and from captures on U-238.

    The primary particle is a fission. Their number follows from exactly one of `thermal_power_gw` (thermal, not
    electric), `cores` of a plant and a `total_flux`. `hours_per_year` is the live time of a calendar year and
    `duty_factor` the share of it in which the reactor runs at that power.

    Raises `PhysicsError` or `UnknownNameError` for fission fractions that are not sound (`check_fission_fractions`)
    and `PhysicsError` for a power, flux, live time or share out of range.

    >>> fuel = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}
    >>> reactor = Reactor("plant", 2.9, fuel, 8000)
    >>> f"{reactor.fissions_per_second:.3e}"
    '8.794e+19'
    >>> [component.name for component in reactor.components]
    ['reactor anti-nu_e', 'reactor anti-nu_e above 8 MeV']
    """

    name: str
    thermal_power_gw: float | None
    fission_fractions: Mapping[str, float] = field(hash=False)
    """Share of each isotope in the fissions; they sum to 1."""
    hours_per_year: float
    duty_factor: float = 1.0
    spectra: FissionSpectra = field(default_factory=huber_mueller)
    captures: float = 0.0
    """Neutron captures on U-238 per fission, each with two antineutrinos below 1.3 MeV; 0.6 in a power reactor."""
    cores: tuple[ReactorCore, ...] = ()
    total_flux: TotalFlux | None = None
    above_8_mev: tuple[float, float] = FACTOR_ABOVE_8_MEV
    """Factor on the flux above 8 MeV and its uncertainty, the prior of the nuisance ``above_8_mev``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fission_fractions", frozen(self.fission_fractions))
        norms = [self.thermal_power_gw is not None, bool(self.cores), self.total_flux is not None]
        if sum(norms) != 1:
            raise PhysicsError(f"source {self.name}: exactly one of thermal_power_gw, cores and a total flux is needed")
        if self.thermal_power_gw is not None:
            check_positive(self.name, "thermal_power_gw", self.thermal_power_gw)
        for core in self.cores:
            check_positive(self.name, "cores.thermal_power_gw", core.thermal_power_gw)
            check_positive(self.name, "cores.distance_m", core.distance_m)
        if self.total_flux is not None:
            check_positive(self.name, "total_flux_per_cm2_s", self.total_flux.per_cm2_s)
            check_positive(self.name, "reference_distance_m", self.total_flux.distance_m)
        check_live_time(self.name, self.hours_per_year, self.duty_factor)
        if not 0 <= self.captures <= 2:
            raise PhysicsError(f"source {self.name}: captures per fission must be from 0 to 2, got {self.captures:g}")
        factor, width = self.above_8_mev
        if not (factor > 0 and width >= 0):
            raise PhysicsError(
                f"source {self.name}: above_8_mev must be a factor above 0 and an uncertainty of 0 or more, got "
                f"{factor:g} and {width:g}"
            )
        _ = self.parts  # checks the fractions

    @property
    def needs_distance(self) -> bool:
        """Not where each core has its own."""
        return not self.cores

    @cached_property
    def parts(self) -> tuple[FluxPart, ...]:
        """The antineutrinos of a fission by the part of the spectrum that they are in."""
        return self.spectra.mixture(tuple(self.fission_fractions.items()))

    @property
    def antineutrinos_per_fission(self) -> float:
        """All of them, captures included."""
        return sum(component.yield_per_primary for component in self.components)

    @cached_property
    def components(self) -> tuple[FluxComponent, ...]:
        """The antineutrinos by part of the spectrum, each with its number per fission as yield."""
        names = {"": "reactor anti-nu_e", ABOVE_8_MEV: "reactor anti-nu_e above 8 MeV"}
        kinds = [(names[each.part], each, 1.0) for each in self.parts]
        if self.captures > 0:
            kinds.append(("anti-nu_e of U-238 captures", u238_captures(), self.captures))
        return tuple(
            FluxComponent(name, "e", True, kind.spectrum, yield_per_primary=number * kind.per_fission, part=kind.part)
            for name, kind, number in kinds
        )

    @property
    def nuisances(self) -> tuple[FluxNuisance, ...]:
        """The factor on the flux above 8 MeV, where the spectrum has any."""
        factor, width = self.above_8_mev
        if not any(each.part == ABOVE_8_MEV for each in self.parts):
            return ()
        return (FluxNuisance(ABOVE_8_MEV, (ABOVE_8_MEV,), width, centre=factor - 1),)

    @property
    def energy_per_fission_mev(self) -> float:
        """The mean over the fuel."""
        return sum(share * ENERGY_PER_FISSION_MEV[name] for name, share in self.fission_fractions.items())

    def _fissions_per_second(self, thermal_power_gw: float) -> float:
        return thermal_power_gw * 1e9 / (self.energy_per_fission_mev * MEV_IN_JOULE)

    @property
    def fissions_per_second(self) -> float:
        """Thermal power over the mean energy per fission; of a total flux, what gives it."""
        if self.total_flux is not None:
            area = 4 * np.pi * (self.total_flux.distance_m * CM_PER_M) ** 2
            return float(self.total_flux.per_cm2_s * area / self.antineutrinos_per_fission)
        power = self.thermal_power_gw or sum(core.thermal_power_gw for core in self.cores)
        return self._fissions_per_second(power)

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Fissions over 4 pi L^2, per cm^2; with several cores the sum over them, whatever the distance."""
        seconds = self.beam_seconds(years)
        if self.cores:
            per_area = [
                self._fissions_per_second(core.thermal_power_gw) / (4 * np.pi * (core.distance_m * CM_PER_M) ** 2)
                for core in self.cores
            ]
            return float(sum(per_area) * seconds)
        distance = required_distance_m(self.name, distance_m)
        return float(self.fissions_per_second * seconds / (4 * np.pi * (distance * CM_PER_M) ** 2))
