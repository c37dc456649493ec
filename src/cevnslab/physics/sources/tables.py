"""Sources of which the spectra are tables."""

from __future__ import annotations

from dataclasses import dataclass

from cevnslab.errors import PhysicsError
from cevnslab.physics.sources.source import (
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
    neutrino has, while the source shines; elsewhere it falls with the square of the distance. `hours_per_year`,
    `duty_factor`: as for `Reactor`.

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
    reference_distance_m: float
    hours_per_year: float
    duty_factor: float = 1.0

    needs_distance = True

    def __post_init__(self) -> None:
        check_positive(self.name, "flux_per_cm2_s", self.flux_per_cm2_s)
        check_positive(self.name, "reference_distance_m", self.reference_distance_m)
        check_live_time(self.name, self.hours_per_year, self.duty_factor)
        if not self.components:
            raise PhysicsError(f"source {self.name}: at least one component is needed")

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Flux times time times (reference distance/distance)^2, per cm^2."""
        distance = required_distance_m(self.name, distance_m)
        return self.flux_per_cm2_s * self.beam_seconds(years) * (self.reference_distance_m / distance) ** 2
