"""What every measurement ends in: a response, observed counts, a likelihood with its nuisances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.readout import luminosity_per_cm2
from cevnslab.detection.response import Response
from cevnslab.errors import PhysicsError
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.samples import Sample
from cevnslab.physics.arrival_times import Pulse
from cevnslab.physics.nuclei import Target
from cevnslab.physics.sources import Source

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """How a data set is analysed."""

    name: str
    label: str
    target: Target
    mass_kg: float
    distance_m: float | None
    """None where the source says itself how far it is."""
    source: Source
    exposure_years: float
    """One where the source counts the protons of the whole run."""
    channels: tuple[str, ...]
    observed: Literal["data", "asimov"]
    """The counts, or the Standard Model's expectation in their place."""
    nuisances: Literal["normalisation", "shape"]
    form_factor: str
    radiative_corrections: bool = False
    off_counts: Literal["exact", "fitted"] = "exact"
    """Whether a template that is known from counts of its own has their errors."""
    directory: Path | None = None
    """Where the data lie; searched for unless given (`cevnslab.datasets.files`)."""

    @property
    def luminosity_per_cm2(self) -> float:
        """Fluence of a flux component with a yield of one, times the number of formula units."""
        return luminosity_per_cm2(self.source, self.target, self.mass_kg, self.distance_m, self.exposure_years)

    @property
    def pulse(self) -> Pulse:
        """The protons' time profile; `PhysicsError` for a source without pulses."""
        if self.source.pulse is None:
            raise PhysicsError(f"{self.name}: its arrival times need a source with a pulse")
        return self.source.pulse


@dataclass(frozen=True, eq=False)
class Measurement:
    """A data set with its expectation."""

    setup: Setup
    response: Response
    observed: FloatArray
    """Shape (bins,), in the order of the response."""
    likelihood: Likelihood
    calculated_cevns: float | None = None
    """Standard Model CEvNS counts from first principles, where the expectation is a released template instead."""
    shapes: tuple[str, ...] = ()
    """Pulls that move counts between bins, not their number: fitted in the Standard Model's fit (`datasets.fit`)."""

    def parameter(self, name: str) -> str:
        """The full name of one of its nuisance parameters."""
        return f"{self.setup.name}.{name}"


SIGNAL, OFFSET = "signal", "time_offset_us"
"""Names of the signal's normalisation and of the common time offset among the nuisances of a data set."""


def measurement(
    setup: Setup,
    response: Response,
    observed: FloatArray,
    samples: tuple[Sample, ...],
    *,
    calculated_cevns: float | None = None,
    shapes: tuple[str, ...] = (),
) -> Measurement:
    """Put a data set together: its samples beside the counts, or beside their expectation."""
    if setup.observed == "asimov":
        observed = response.signal[0] + response.background
    shape = tuple(len(axis) for axis in response.axes)
    data = Dataset(setup.name, shape, samples, observed, "poisson", bin_name=response.bin_text)
    return Measurement(setup, response, observed, Likelihood((data,)), calculated_cevns, shapes)


def require_channels(setup: Setup, possible: tuple[str, ...], why: str) -> None:
    """Raise `PhysicsError` for a channel that a data set does not see."""
    for channel in setup.channels:
        if channel not in possible:
            raise PhysicsError(f"channels: '{channel}' cannot be computed for {setup.name}: {why}")
