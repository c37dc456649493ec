"""Neutrino sources: what is emitted, per flavour, and how many of it reach a detector.

The spectra and their moments are in `cevnslab.physics.spectra`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError
from cevnslab.physics.arrival_times import Pulse
from cevnslab.physics.constants import (
    CHARGED_PION_LIFETIME_US,
    CHARGED_PION_MASS_MEV,
    MEV_IN_JOULE,
    MUON_LIFETIME_US,
    MUON_MASS_MEV,
)
from cevnslab.physics.spectra import (
    ANTI_NU_MU_SPECTRUM,
    MICHEL_ENDPOINT_MEV,
    NU_E_SPECTRUM,
    LineSpectrum,
    MichelSpectrum,
    ReactorSpectrum,
    Spectrum,
    TabulatedSpectrum,
)

__all__ = [
    "ANTI_NU_MU_SPECTRUM",
    "ENERGY_PER_FISSION_MEV",
    "MICHEL_ENDPOINT_MEV",
    "NU_E_SPECTRUM",
    "PION_DECAY_AT_REST",
    "PROMPT_ENERGY_MEV",
    "FloatArray",
    "FluxComponent",
    "LineSpectrum",
    "MichelSpectrum",
    "PionDecayAtRest",
    "Reactor",
    "ReactorSpectrum",
    "Source",
    "Spectrum",
    "TabulatedSource",
    "TabulatedSpectrum",
]

FloatArray = NDArray[np.float64]

PROMPT_ENERGY_MEV = (CHARGED_PION_MASS_MEV**2 - MUON_MASS_MEV**2) / (2 * CHARGED_PION_MASS_MEV)
"""Energy of the muon neutrino of pi+ -> mu+ nu_mu at rest, Eq. (11) of arXiv:2409.10652: 29.79 MeV."""

SECONDS_PER_HOUR = 3600.0
CM_PER_M = 100.0

ENERGY_PER_FISSION_MEV = {"U235": 202.36, "U238": 205.99, "Pu239": 211.12, "Pu241": 214.26}
"""Energy released in a reactor per fission (Ma et al., Phys. Rev. C 88 (2013) 014605, arXiv:1212.6625)."""


@dataclass(frozen=True)
class FluxComponent:
    """One kind of neutrino from a source."""

    name: str
    flavour: str
    """``"e"``, ``"mu"`` or ``"tau"``."""
    antineutrino: bool
    spectrum: Spectrum
    lifetimes_us: tuple[float, ...] = ()
    """Of the decays that it waits for after the proton; needed where arrival times are."""
    yield_per_primary: float = 1.0
    """Neutrinos of this kind per primary particle, of which `fluence_per_cm2` counts; multiplies the spectrum."""


class Source(Protocol):
    """What the response needs to know of a source."""

    @property
    def name(self) -> str:
        """How a study calls it."""

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The kinds of neutrino, each with its own yield."""

    def fluence_per_cm2(self, distance_m: float, years: float) -> float:
        """Neutrinos per cm^2 of a component with a yield of 1, over calendar years."""

    @property
    def pulse(self) -> Pulse | None:
        """The protons' time profile; None for a source without pulses."""

    @property
    def repetition_hz(self) -> float | None:
        """Pulses a second."""

    @property
    def hours_per_year(self) -> float:
        """Live time of a calendar year."""

    @property
    def duty_factor(self) -> float:
        """Share of the live time in which it shines."""

    def beam_days(self, years: float) -> float:
        """Days in which the source shines, over calendar years: what steady backgrounds are multiplied by."""


PROMPT_LIFETIMES_US = (CHARGED_PION_LIFETIME_US,)
DELAYED_LIFETIMES_US = (CHARGED_PION_LIFETIME_US, MUON_LIFETIME_US)

PION_DECAY_AT_REST = (
    FluxComponent("prompt nu_mu", "mu", False, LineSpectrum(PROMPT_ENERGY_MEV), PROMPT_LIFETIMES_US),
    FluxComponent("delayed anti-nu_mu", "mu", True, ANTI_NU_MU_SPECTRUM, DELAYED_LIFETIMES_US),
    FluxComponent("delayed nu_e", "e", False, NU_E_SPECTRUM, DELAYED_LIFETIMES_US),
)
"""What the decay at rest of one pi+ and its muon emits."""


def components_by_arrival(
    components: Sequence[FluxComponent],
) -> list[tuple[tuple[float, ...], tuple[FluxComponent, ...]]]:
    """Flux components grouped by the decays that they wait for."""
    groups: dict[tuple[float, ...], list[FluxComponent]] = {}
    for component in components:
        groups.setdefault(component.lifetimes_us, []).append(component)
    return [(lifetimes, tuple(group)) for lifetimes, group in groups.items()]


@dataclass(frozen=True)
class PionDecayAtRest:
    """A pulsed source of pions that decay at rest, such as the ESS or the SNS.

    Attributes are per calendar year of operation; `duty_factor` is the share of the live time in which the
    beam is on, by which steady backgrounds are multiplied. Detectors that bin arrival times need `pulse` and
    `repetition_hz`; their steady backgrounds are multiplied by the share of the time in each bin instead.
    """

    name: str
    protons_per_year: float
    neutrinos_per_proton: float
    hours_per_year: float
    duty_factor: float
    pulse: Pulse | None = None
    repetition_hz: float | None = None

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The kinds of neutrino, each with `fluence_per_cm2`."""
        return PION_DECAY_AT_REST

    def fluence_per_cm2(self, distance_m: float, years: float) -> float:
        """Eta = r N_POT/(4 pi L^2), the neutrinos of each component per cm^2.

        >>> ess = PionDecayAtRest("ess", 2.8e23, 0.3, 5000, 0.04)
        >>> f"{ess.fluence_per_cm2(20, 1):.6e}"
        '1.671127e+15'
        """
        protons = self.protons_per_year * years
        return float(self.neutrinos_per_proton * protons / (4 * np.pi * (distance_m * 100) ** 2))

    def beam_days(self, years: float) -> float:
        """Days in which the beam is on: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor


def days_in_time_bins(source: Source, edges_us: ArrayLike, years: float) -> FloatArray:
    """Live days spent in each bin of the time after the beam, all pulses together: shape (bins,).

    Raises `PhysicsError` for a source without pulses, or a window longer than the time between them.
    """
    if source.pulse is None or source.repetition_hz is None:
        raise PhysicsError(f"source {source.name}: time bins need its pulse and repetition_hz")
    edges = np.asarray(edges_us, dtype=float)
    if edges[-1] - edges[0] > 1e6 / source.repetition_hz:
        raise PhysicsError(
            f"source {source.name}: time bins over {edges[-1] - edges[0]:g} us, but pulses follow each other after "
            f"{1e6 / source.repetition_hz:g} us"
        )
    return np.diff(edges) * 1e-6 * source.repetition_hz * source.hours_per_year / 24 * years


@dataclass(frozen=True)
class Reactor:
    """A nuclear reactor: electron antineutrinos from the fissions of its fuel.

    `thermal_power_gw` is thermal, not electric. `hours_per_year` is the live time of a calendar year and
    `duty_factor` the share of it in which the reactor runs at that power. The primary particle is a fission.

    Raises `PhysicsError` or `UnknownNameError` for fission fractions that are not sound (`ReactorSpectrum`) and
    `PhysicsError` for a power, live time or share out of range.

    >>> fuel = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}
    >>> reactor = Reactor("plant", 2.9, fuel, 8000)
    >>> f"{reactor.fissions_per_second:.3e}"
    '8.794e+19'
    """

    name: str
    thermal_power_gw: float
    fission_fractions: Mapping[str, float] = field(hash=False)
    """Share of each isotope in the fissions; they sum to 1."""
    hours_per_year: float
    duty_factor: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self.name, "thermal_power_gw", self.thermal_power_gw)
        _check_live_time(self.name, self.hours_per_year, self.duty_factor)
        _ = self.spectrum  # checks the fractions

    @property
    def pulse(self) -> None:
        """It shines all the time."""
        return None

    @property
    def repetition_hz(self) -> None:
        """It has no pulses."""
        return None

    @property
    def spectrum(self) -> ReactorSpectrum:
        """Of one antineutrino."""
        return ReactorSpectrum(tuple(self.fission_fractions.items()))

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The one kind of neutrino, with its number per fission as yield."""
        spectrum = self.spectrum
        return (
            FluxComponent(
                "reactor anti-nu_e", "e", True, spectrum, yield_per_primary=spectrum.antineutrinos_per_fission
            ),
        )

    @property
    def fissions_per_second(self) -> float:
        """Thermal power over the mean energy per fission."""
        energy_mev = sum(share * ENERGY_PER_FISSION_MEV[name] for name, share in self.fission_fractions.items())
        return self.thermal_power_gw * 1e9 / (energy_mev * MEV_IN_JOULE)

    def fluence_per_cm2(self, distance_m: float, years: float) -> float:
        """Fissions over 4 pi L^2, per cm^2."""
        fissions = self.fissions_per_second * self.beam_days(years) * 24 * SECONDS_PER_HOUR
        return float(fissions / (4 * np.pi * (distance_m * CM_PER_M) ** 2))

    def beam_days(self, years: float) -> float:
        """Days in which the reactor runs: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor


@dataclass(frozen=True)
class TabulatedSource:
    """A source of which the spectra are given: any beam, generator or natural flux.

    `flux_per_cm2_s` is the flux at `reference_distance_m` that a component with a yield of 1 and a spectrum of one
    neutrino has, while the source shines; elsewhere it falls with the square of the distance. `hours_per_year`,
    `duty_factor`: as for `Reactor`.

    Raises `PhysicsError` for a flux, distance, live time or share out of range and for no components.

    >>> line = FluxComponent("line", "e", False, LineSpectrum(0.75), yield_per_primary=0.9)
    >>> chromium = TabulatedSource("Cr-51", (line,), 1e12, 1.0, 1000)
    >>> f"{chromium.fluence_per_cm2(2.0, 1):.3e}"
    '9.000e+17'
    """

    name: str
    components: tuple[FluxComponent, ...]
    flux_per_cm2_s: float
    reference_distance_m: float
    hours_per_year: float
    duty_factor: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(self.name, "flux_per_cm2_s", self.flux_per_cm2_s)
        _check_positive(self.name, "reference_distance_m", self.reference_distance_m)
        _check_live_time(self.name, self.hours_per_year, self.duty_factor)
        if not self.components:
            raise PhysicsError(f"source {self.name}: at least one component is needed")

    @property
    def pulse(self) -> None:
        """It shines all the time."""
        return None

    @property
    def repetition_hz(self) -> None:
        """It has no pulses."""
        return None

    def fluence_per_cm2(self, distance_m: float, years: float) -> float:
        """Flux times time times (reference distance/distance)^2, per cm^2."""
        seconds = self.beam_days(years) * 24 * SECONDS_PER_HOUR
        return self.flux_per_cm2_s * seconds * (self.reference_distance_m / distance_m) ** 2

    def beam_days(self, years: float) -> float:
        """Days in which the source shines: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor


def _check_positive(source: str, key: str, value: float) -> None:
    if not 0 < value < np.inf:
        raise PhysicsError(f"source {source}: {key} must be above 0, got {value:g}")


def _check_live_time(source: str, hours_per_year: float, duty_factor: float) -> None:
    _check_positive(source, "hours_per_year", hours_per_year)
    if hours_per_year > 366 * 24:
        raise PhysicsError(f"source {source}: a year has no {hours_per_year:g} hours")
    if not 0 < duty_factor <= 1:
        raise PhysicsError(f"source {source}: duty_factor must be above 0 and at most 1, got {duty_factor:g}")
