"""What every measurement ends in: a response, observed counts, a likelihood with its nuisances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.response import Response
from cevnslab.errors import PhysicsError
from cevnslab.inference.least_squares import response_axes
from cevnslab.inference.shapes import SIGNAL, ShapedLikelihood
from cevnslab.inference.templates import OFFSET, Template
from cevnslab.physics.arrival_times import GaussianPulse
from cevnslab.physics.nuclei import Target

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """How a data set is analysed."""

    name: str
    label: str
    target: Target
    mass_kg: float
    distance_m: float
    protons_on_target: float
    neutrinos_per_proton: float
    """Of each flavour."""
    pulse: GaussianPulse
    channels: tuple[str, ...]
    observed: Literal["data", "asimov"]
    """The counts, or the Standard Model's expectation in their place."""
    nuisances: Literal["normalisation", "shape"]
    form_factor: str
    radiative_corrections: bool = False
    directory: Path | None = None
    """Where the data lie; searched for unless given (`cevnslab.datasets.files`)."""

    @property
    def luminosity_per_cm2(self) -> float:
        """Fluence of each flavour times the number of formula units."""
        first = self.target.constituents[0]
        formula_units = self.mass_kg * self.target.nuclei_per_kg(first) / first.per_formula_unit
        neutrinos = self.protons_on_target * self.neutrinos_per_proton
        return float(neutrinos / (4 * np.pi * (self.distance_m * 100) ** 2) * formula_units)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A data set with its expectation."""

    setup: Setup
    response: Response
    observed: FloatArray
    """Shape (bins,), in the order of the response."""
    statistic: ShapedLikelihood
    calculated_cevns: float | None = None
    """Standard Model CEvNS counts from first principles, where the expectation is a released template instead."""


def measurement(
    setup: Setup,
    response: Response,
    observed: FloatArray,
    signal: tuple[Template, ...],
    backgrounds: Mapping[str, tuple[Template, float]],
    *,
    signal_width: float,
    pulls: tuple[str, ...] = (),
    offset_range_us: tuple[float, float] | None = None,
    calculated_cevns: float | None = None,
) -> Measurement:
    """Put a data set together; `backgrounds` give each template its relative uncertainty, pulls are unit Gaussians."""
    if setup.observed == "asimov":
        observed = response.signal[0] + response.background
    widths = [(SIGNAL, signal_width), *((name, width) for name, (_, width) in backgrounds.items())]
    widths += [(name, 1.0) for name in pulls]
    if offset_range_us is not None:
        widths.append((OFFSET, np.inf))
    statistic = ShapedLikelihood(
        axes=response_axes(response),
        monomials=response.monomials,
        signal=signal,
        backgrounds=tuple((name, template) for name, (template, _) in backgrounds.items()),
        observed=observed,
        widths=tuple(widths),
        offset_range_us=offset_range_us or (0.0, 0.0),
    )
    return Measurement(setup, response, observed, statistic, calculated_cevns)


def require_channels(setup: Setup, possible: tuple[str, ...], why: str) -> None:
    """Raise `PhysicsError` for a channel that a data set does not see."""
    for channel in setup.channels:
        if channel not in possible:
            raise PhysicsError(f"channels: '{channel}' cannot be computed for {setup.name}: {why}")
