"""What stands under `detectors` of a study, ready to be analysed: projected detectors and measured data sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cevnslab.datasets.registry import dataset
from cevnslab.detection.detector import Detector
from cevnslab.detection.quenching import ScaledQuenching
from cevnslab.detection.response import Response, response
from cevnslab.errors import located
from cevnslab.inference.chi2 import Statistic
from cevnslab.inference.least_squares import LeastSquares, response_axes
from cevnslab.inference.poisson import Poisson
from cevnslab.inference.shapes import ShapedLikelihood
from cevnslab.inference.templates import Template
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.sources import Source

if TYPE_CHECKING:
    from cevnslab.datasets.measurement import Measurement, Setup


@dataclass(frozen=True, eq=False)
class DetectorSetup:
    """A projected detector with all that the study, or the detector itself, says about its running."""

    detector: Detector
    source: Source
    exposure_years: float
    channels: tuple[str, ...]
    form_factor: str
    signal_uncertainty: float
    background_uncertainty: float
    statistic: str
    couplings: tuple[Coupling, ...]
    radiative_corrections: bool = False
    energy_scale_uncertainty: float = 0.0
    quenching_uncertainty: float = 0.0

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.detector.name

    @property
    def label(self) -> str:
        """How figures name it."""
        return self.detector.label

    def _response(self, detector: Detector) -> Response:
        with located(f"detectors.{self.name}"):
            return response(
                self.source,
                detector,
                couplings=self.couplings,
                years=self.exposure_years,
                channels=self.channels,
                form_factor=self.form_factor,
                radiative_corrections=self.radiative_corrections,
            )

    @cached_property
    def response(self) -> Response:
        """Counts for the exposure as a function of the study's couplings."""
        return self._response(self.detector)

    @property
    def shaped(self) -> bool:
        """Whether a nuisance bends the signal's shape."""
        return self.energy_scale_uncertainty > 0 or self.quenching_uncertainty > 0

    @cached_property
    def chi2(self) -> Statistic:
        """The statistic that the study asks for, on Asimov data."""
        kind = Poisson if self.statistic == "poisson" else LeastSquares
        if self.shaped:
            return self._shaped_chi2()
        with located(f"detectors.{self.name}"):
            return kind.of(self.response, self.signal_uncertainty, self.background_uncertainty)

    def _shaped_chi2(self) -> ShapedLikelihood:
        """The statistic with pulls on the energy scale and the quenching: signals computed at plus and minus one."""
        varied = {}
        if self.energy_scale_uncertainty > 0:
            width = self.energy_scale_uncertainty
            # A reconstructed energy that is too high by a factor is an edge that is too low by it.
            edges = [self.detector.bin_edges_kev / (1 + sign * width) for sign in (1, -1)]
            varied["energy_scale"] = [replace(self.detector, bin_edges_kev=moved) for moved in edges]
        if self.quenching_uncertainty > 0 and self.detector.quenching is not None:
            models = [
                ScaledQuenching(self.detector.quenching, 1 + sign * self.quenching_uncertainty) for sign in (1, -1)
            ]
            varied["quenching"] = [replace(self.detector, quenching=model) for model in models]
        nominal = self.response
        signals = {}
        for name, detectors in varied.items():
            with located(f"uncertainties.{name}"):
                responses = [self._response(detector) for detector in detectors]
            signals[name] = (responses[0].signal, responses[1].signal)
        widths = [("signal", self.signal_uncertainty), ("background", self.background_uncertainty)]
        return ShapedLikelihood(
            axes=response_axes(nominal),
            monomials=nominal.monomials,
            signal=(Template(nominal.signal, signals),),
            backgrounds=(("background", Template(nominal.background[None, :], {})),),
            observed=nominal.signal[0] + nominal.background,
            widths=(*widths, *((name, 1.0) for name in signals)),
            kind="poisson" if self.statistic == "poisson" else "least-squares",
        )

    def computed_content(self) -> dict[str, Any]:
        """What its files and defaults come to: with the keys, all that its counts depend on."""
        return {
            "source": repr(self.source),
            "efficiency": repr(self.detector.efficiency),
            "quenching": repr(self.detector.quenching),
            "background": self.detector.background_per_kg_day.tolist(),
        }


@dataclass(frozen=True, eq=False)
class ExperimentSetup:
    """A data set; it is read, and its expectation computed, when first asked for."""

    experiment: str
    setup: Setup
    couplings: tuple[Coupling, ...]

    statistic = "poisson"

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.setup.name

    @property
    def label(self) -> str:
        """How figures name it."""
        return self.setup.label

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels of its signal."""
        return self.setup.channels

    @cached_property
    def measurement(self) -> Measurement:
        """The data with their expectation."""
        with located(f"detectors.{self.name}"):
            return dataset(self.experiment).measurement(self.setup, self.couplings)

    @property
    def response(self) -> Response:
        """Expected counts as a function of the study's couplings."""
        return self.measurement.response

    @property
    def chi2(self) -> Statistic:
        """The Poisson likelihood of the data."""
        return self.measurement.statistic

    def computed_content(self) -> dict[str, Any]:
        """Nothing: its files are known by their checksums."""
        return {}


AnySetup = DetectorSetup | ExperimentSetup
