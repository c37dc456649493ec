"""What every measurement ends in: a response, observed counts, a likelihood with its nuisances."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.readout import formula_units
from cevnslab.detection.response import Response
from cevnslab.errors import PhysicsError
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.samples import Sample
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
        neutrinos = self.protons_on_target * self.neutrinos_per_proton
        return float(neutrinos / (4 * np.pi * (self.distance_m * 100) ** 2) * formula_units(self.target, self.mass_kg))


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
) -> Measurement:
    """Put a data set together: its samples beside the counts, or beside their expectation."""
    if setup.observed == "asimov":
        observed = response.signal[0] + response.background
    shape = tuple(len(axis) for axis in response.axes)
    data = Dataset(setup.name, shape, samples, observed, "poisson", bin_name=response.bin_text)
    return Measurement(setup, response, observed, Likelihood((data,)), calculated_cevns)


def require_channels(setup: Setup, possible: tuple[str, ...], why: str) -> None:
    """Raise `PhysicsError` for a channel that a data set does not see."""
    for channel in setup.channels:
        if channel not in possible:
            raise PhysicsError(f"channels: '{channel}' cannot be computed for {setup.name}: {why}")
