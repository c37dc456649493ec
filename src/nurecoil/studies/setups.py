"""What stands under `detectors` of a study, ready to be analysed: projected detectors and measured data sets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nurecoil.detection.detector import Detector
from nurecoil.detection.response import Response, response
from nurecoil.errors import located
from nurecoil.inference.chi2 import Statistic
from nurecoil.inference.least_squares import LeastSquares
from nurecoil.inference.poisson import Poisson
from nurecoil.physics.couplings import Coupling
from nurecoil.physics.sources import PionDecayAtRest

if TYPE_CHECKING:
    from nurecoil.experiments.measurement import Measurement, Setup


@dataclass(frozen=True, eq=False)
class DetectorSetup:
    """A projected detector with all that the study, or the detector itself, says about its running."""

    detector: Detector
    source: PionDecayAtRest
    exposure_years: float
    channels: tuple[str, ...]
    form_factor: str
    signal_uncertainty: float
    background_uncertainty: float
    statistic: str
    couplings: tuple[Coupling, ...]

    @property
    def name(self) -> str:
        """The detector's name."""
        return self.detector.name

    @property
    def label(self) -> str:
        """How figures name it."""
        return self.detector.label

    @cached_property
    def response(self) -> Response:
        """Counts for the exposure as a function of the study's couplings."""
        with located(f"detectors.{self.name}"):
            return response(
                self.source,
                self.detector,
                couplings=self.couplings,
                years=self.exposure_years,
                channels=self.channels,
                form_factor=self.form_factor,
            )

    @cached_property
    def chi2(self) -> Statistic:
        """The statistic that the study asks for, on Asimov data."""
        kind = Poisson if self.statistic == "poisson" else LeastSquares
        with located(f"detectors.{self.name}"):
            return kind.of(self.response, self.signal_uncertainty, self.background_uncertainty)

    def computed_content(self) -> dict[str, Any]:
        """What its files and defaults come to: with the keys, all that its counts depend on."""
        return {
            "efficiency": repr(self.detector.efficiency),
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
        from nurecoil.experiments.registry import analysis_of

        with located(f"detectors.{self.name}"):
            return analysis_of(self.experiment)(self.setup, self.couplings)

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
