"""Sources of which the spectra are tables."""

from __future__ import annotations

from dataclasses import dataclass

from cevnslab.errors import PhysicsError
from cevnslab.physics.sources.source import (
    Burst,
    FluxComponent,
    Steady,
    check_live_time,
    check_positive,
    required_distance_m,
)


@dataclass(frozen=True)
class TabulatedSource(Steady):
    """A source of which the spectra are given: any beam, generator or natural flux.

    `flux_per_cm2_s` is the flux at `reference_distance_m` that a component with a yield of 1 and a spectrum of one
    neutrino has, while the source shines; elsewhere it falls with the square of the distance, unless the reference
    distance is None: then it is the flux at the detector. `hours_per_year`, `duty_factor`: as for `Reactor`.

    Raises `PhysicsError` for a flux, distance, live time or share out of range and for no components.

    >>> from cevnslab.physics.spectra import LineSpectrum
    >>> line = FluxComponent("line", "e", False, LineSpectrum(0.75), yield_per_primary=0.9)
    >>> chromium = TabulatedSource("Cr-51", (line,), 1e12, 1.0, 1000)
    >>> f"{chromium.fluence_per_cm2(2.0, 1):.3e}"
    '9.000e+17'
    """

    name: str
    components: tuple[FluxComponent, ...]
    flux_per_cm2_s: float
    reference_distance_m: float | None
    hours_per_year: float
    duty_factor: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self.name, "flux_per_cm2_s", self.flux_per_cm2_s)
        _check(self.name, self.components, self.reference_distance_m)
        check_live_time(self.name, self.hours_per_year, self.duty_factor)

    @property
    def needs_distance(self) -> bool:
        """Where the flux is given at a distance."""
        return self.reference_distance_m is not None

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Flux times time times (reference distance/distance)^2, per cm^2."""
        dilution = _dilution(self.name, self.reference_distance_m, distance_m)
        return self.flux_per_cm2_s * self.beam_seconds(years) * dilution


@dataclass(frozen=True)
class TabulatedBurst(Burst):
    """A burst of which the fluences are given: a component's yield is its fluence per cm^2.

    At `reference_distance_m`, or at the detector where that is None. Steady backgrounds count for `window_s` seconds.

    Raises `PhysicsError` for a distance or window out of range and for no components.
    """

    name: str
    components: tuple[FluxComponent, ...]
    reference_distance_m: float | None
    window_s: float

    def __post_init__(self) -> None:
        _check(self.name, self.components, self.reference_distance_m)
        check_positive(self.name, "window_s", self.window_s)

    @property
    def needs_distance(self) -> bool:
        """Where the fluence is given at a distance."""
        return self.reference_distance_m is not None

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """(reference distance/distance)^2."""
        return _dilution(self.name, self.reference_distance_m, distance_m)


def _check(source: str, components: tuple[FluxComponent, ...], reference_distance_m: float | None) -> None:
    if reference_distance_m is not None:
        check_positive(source, "reference_distance_m", reference_distance_m)
    if not components:
        raise PhysicsError(f"source {source}: at least one component is needed")


def _dilution(source: str, reference_distance_m: float | None, distance_m: float | None) -> float:
    """How a flux falls with the square of the distance."""
    if reference_distance_m is None:
        return 1.0
    return (reference_distance_m / required_distance_m(source, distance_m)) ** 2
