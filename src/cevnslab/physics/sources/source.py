"""What every source offers: its kinds of neutrino, their fluence, its live time, and what is uncertain in its flux."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.arguments import number, numbers, positive
from cevnslab.errors import PhysicsError
from cevnslab.physics.arrival_times import Pulse
from cevnslab.physics.flavour import FLAVOURS, NUFIT, DensityMatrix, Oscillation, StatePair, pair_weights
from cevnslab.physics.spectra import Spectrum
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]

SECONDS_PER_HOUR = 3600.0
CM_PER_M = 100.0


@dataclass(frozen=True)
class FluxComponent:
    """One kind of neutrino from a source."""

    name: str
    flavour: str | DensityMatrix
    """``"e"``, ``"mu"`` or ``"tau"``; a mass state ``"1"``, ``"2"``, ``"3"``; or a density matrix in flavour.

    The flux density matrix of a source is the sum over its components of spectrum times density matrix, so that any
    rho(E) can be written: a coherence between flavours is a component with a matrix of trace 0."""
    antineutrino: bool
    spectrum: Spectrum
    lifetimes_us: tuple[float, ...] = ()
    """Of the decays that it waits for after the proton; needed where arrival times are."""
    yield_per_primary: float = 1.0
    """Neutrinos of this kind per primary particle, of which `fluence_per_cm2` counts; multiplies the spectrum."""
    part: str = ""
    """The part of the flux that it belongs to, on which a `FluxNuisance` acts; empty where none does."""
    oscillation: Oscillation = NUFIT
    """What mass states are made of."""

    @cached_property
    def pair_weights(self) -> Mapping[StatePair, float]:
        """Its density matrix, as `cevnslab.physics.flavour.pair_weights` has it."""
        return pair_weights(self.flavour, self.oscillation, self.antineutrino)


@dataclass(frozen=True)
class FluxNuisance:
    """A factor 1 + p on parts of a source's flux, with a Gaussian prior on p: a nuisance parameter of the source.

    Its parameter is called ``<source>.<name>``, such as ``reactor.above_8_mev``, and is one parameter for all detectors
    at that source. The counts of a part are folded for themselves (`Response.parts`), always for p = 0, so that
    expected counts are the sum over the parts of their counts times the factors of all nuisances that name the part.
    A prior of 0.8 +- 0.3 on a factor is a centre of -0.2 and a width of 0.3: data that are expected, not observed, have
    p at the centre.
    """

    name: str
    parts: tuple[str, ...]
    """The parts of the flux that it multiplies, as `FluxComponent.part` names them."""
    width: float
    """Standard deviation of the prior on p; 0 fixes it."""
    centre: float = 0.0


class Source(Protocol):
    """What the response needs to know of a source."""

    @property
    def name(self) -> str:
        """How a study calls it."""

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The kinds of neutrino, each with its own yield."""

    @property
    def nuisances(self) -> tuple[FluxNuisance, ...]:
        """What is uncertain in the flux beyond its common normalisation."""

    @property
    def needs_distance(self) -> bool:
        """Whether the flux depends on the detector's distance; otherwise the source says all."""

    @property
    def burst(self) -> bool:
        """Whether it shines once: then there are no years of exposure, and `years` is not asked."""

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Neutrinos per cm^2 of a component with a yield of 1, over calendar years, or of a burst.

        Raises `PhysicsError` for no distance where one is needed.
        """

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


class _Unpulsed:
    """A source without pulses, whose flux has no uncertain parts unless it says so."""

    @property
    def pulse(self) -> None:
        """It shines all the time."""
        return None

    @property
    def repetition_hz(self) -> None:
        """It has no pulses."""
        return None

    @property
    def nuisances(self) -> tuple[FluxNuisance, ...]:
        """None."""
        return ()


class Steady(_Unpulsed):
    """A source that shines all the year, or a part of it."""

    hours_per_year: float
    duty_factor: float

    burst = False

    def beam_days(self, years: float) -> float:
        """Days in which the source shines: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor

    def beam_seconds(self, years: float) -> float:
        """The same in seconds."""
        return self.beam_days(years) * 24 * SECONDS_PER_HOUR


class Burst(_Unpulsed):
    """A source that shines once, for a window of seconds: the counts are those of one burst."""

    window_s: float

    burst = True
    duty_factor = 1.0

    @property
    def hours_per_year(self) -> float:
        """The window, in hours: the burst is the year."""
        return self.window_s / SECONDS_PER_HOUR

    def beam_days(self, years: float) -> float:
        """Days of the window, whatever the years."""
        return self.window_s / (24 * SECONDS_PER_HOUR)


def required_distance_m(source: str, distance_m: float | None) -> float:
    """The detector's distance from a source that needs it; `PhysicsError` where there is none."""
    if distance_m is None:
        raise PhysicsError(f"source {source}: the detector's distance_m is required")
    return distance_m


def neutrinos_per_cm2(source: Source, distance_m: float | None, years: float = 1.0) -> float:
    """All neutrinos of a source at a detector, over calendar years, or of a burst.

    Raises `PhysicsError` for what is no source, a distance that is not above 0, or an exposure below it.
    """
    _check_source(source)
    if distance_m is not None:
        check_positive(source.name, "distance_m", distance_m)
    _years(years)
    emitted = sum(
        component.yield_per_primary * sum(component.pair_weights.get((flavour, flavour), 0.0) for flavour in FLAVOURS)
        for component in source.components
    )
    return source.fluence_per_cm2(distance_m, years) * emitted


def total_flux_per_cm2_s(source: Source, distance_m: float | None = None) -> float:
    """Flux of all neutrinos of a source at a detector, averaged over its live time.

    Raises `PhysicsError` for a burst, which has a fluence (`neutrinos_per_cm2`) and no flux.

    >>> from cevnslab.physics.sources import Sun
    >>> f"{total_flux_per_cm2_s(Sun('solar', ('8B',))):.3g}"
    '5.25e+06'
    """
    _check_source(source)
    if source.burst:
        raise PhysicsError(f"source {source.name} is one burst: it has a fluence, not a flux")
    return neutrinos_per_cm2(source, distance_m) / (source.hours_per_year * SECONDS_PER_HOUR)


def components_by_arrival(
    components: Sequence[FluxComponent],
) -> list[tuple[tuple[float, ...], tuple[FluxComponent, ...]]]:
    """Flux components grouped by the decays that they wait for."""
    groups: dict[tuple[float, ...], list[FluxComponent]] = {}
    for component in components:
        groups.setdefault(component.lifetimes_us, []).append(component)
    return [(lifetimes, tuple(group)) for lifetimes, group in groups.items()]


def components_by_part(components: Sequence[FluxComponent]) -> dict[str, tuple[FluxComponent, ...]]:
    """Flux components grouped by the part of the flux that they belong to."""
    groups: dict[str, list[FluxComponent]] = {}
    for component in components:
        groups.setdefault(component.part, []).append(component)
    return {part: tuple(group) for part, group in groups.items()}


def days_in_time_bins(source: Source, edges_us: ArrayLike, years: float) -> FloatArray:
    """Live days spent in each bin of the time after the beam, all pulses together: shape (bins,).

    Raises `PhysicsError` for a source without pulses, edges that do not rise, or a window longer than the time between
    pulses.
    """
    _check_source(source)
    if source.pulse is None or source.repetition_hz is None:
        raise PhysicsError(f"source {source.name}: time bins need its pulse and repetition_hz")
    edges = numbers("edges_us", edges_us)
    if edges.ndim != 1 or len(edges) < 2:
        raise PhysicsError(f"edges_us: must be two edges or more, got an array of shape {edges.shape}")
    if not np.all(np.diff(edges) > 0):
        raise PhysicsError("edges_us: must rise")
    if edges[-1] - edges[0] > 1e6 / source.repetition_hz:
        raise PhysicsError(
            f"source {source.name}: time bins over {edges[-1] - edges[0]:g} us, but pulses follow each other after "
            f"{1e6 / source.repetition_hz:g} us"
        )
    return np.diff(edges) * 1e-6 * source.repetition_hz * source.hours_per_year / 24 * _years(years)


def _check_source(source: Source) -> None:
    if not hasattr(source, "fluence_per_cm2"):
        raise PhysicsError(f"source: must be a source, such as cevnslab.load_source gives, got {excerpt(source)}")


def _years(years: float) -> float:
    if not (checked := number("years", years)) >= 0:
        raise PhysicsError(f"years: must be 0 or more, got {checked:g}")
    return checked


def check_positive(source: str, key: str, value: float) -> None:
    """Raise `PhysicsError` unless a value of a source is above 0 and finite."""
    positive(f"source {source}: {key}", value)


def check_live_time(source: str, hours_per_year: float, duty_factor: float) -> None:
    """Raise `PhysicsError` for a live time that a year does not have, or a duty factor outside (0, 1]."""
    check_positive(source, "hours_per_year", hours_per_year)
    if hours_per_year > 366 * 24:
        raise PhysicsError(f"source {source}: a year has no {hours_per_year:g} hours")
    if not 0 < number(f"source {source}: duty_factor", duty_factor) <= 1:
        raise PhysicsError(f"source {source}: duty_factor must be above 0 and at most 1, got {duty_factor:g}")
