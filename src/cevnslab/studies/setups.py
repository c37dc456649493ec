"""What stands under `detectors` of a study, ready to be analysed: projected detectors and measured data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cevnslab.datasets.likelihoods import channel_samples, dataset_of, expected_counts
from cevnslab.datasets.registry import dataset
from cevnslab.detection.detector import Detector
from cevnslab.detection.quenching import ScaledQuenching
from cevnslab.detection.response import Response, response
from cevnslab.errors import StudyError, located
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.statistics import Statistic
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.sources import Source
from cevnslab.studies.backgrounds import Background
from cevnslab.studies.observed import ObservedCounts

if TYPE_CHECKING:
    from cevnslab.datasets.measurement import Measurement, Setup


@dataclass(frozen=True, eq=False)
class DetectorSetup:
    """A projected detector with all that the study, or the detector itself, says about its running."""

    detector: Detector
    source: Source
    exposure_years: float | None
    """None at a source of one burst."""
    channels: tuple[str, ...]
    form_factor: str
    signal_uncertainty: float
    background_uncertainty: float
    statistic: Statistic
    couplings: tuple[Coupling, ...]
    radiative_corrections: bool = False
    energy_scale_uncertainty: float = 0.0
    quenching_uncertainty: float = 0.0
    backgrounds: tuple[Background, ...] | None = None
    """Those with names, in the place of the detector's one."""
    observed: ObservedCounts | None = None

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
        response = self._response(self.detector)
        if self.backgrounds is None:
            return response
        return replace(response, backgrounds={background.name: background.counts for background in self.backgrounds})

    @property
    def real(self) -> bool:
        """Whether its counts were observed."""
        return self.observed is not None

    @cached_property
    def likelihood(self) -> Likelihood:
        """The likelihood that the study asks for: of its counts, or of Asimov data."""
        nominal, name = self.response, self.name
        backgrounds = self.backgrounds or [
            Background(key, self.background_uncertainty, counts) for key, counts in nominal.backgrounds.items()
        ]
        signal = [Parameter(f"{name}.signal", self.signal_uncertainty)]
        channels = channel_samples(nominal, signal, self._varied_responses())
        background_samples = [each.sample([Parameter(f"{name}.{each.name}", each.uncertainty)]) for each in backgrounds]
        most = float(np.max(expected_counts(nominal)))
        if not most <= LARGEST_COUNTS:
            raise StudyError(
                f"detectors.{name}: {most:.3g} counts are expected in a bin, more than {LARGEST_COUNTS:g}, whose "
                "fluctuation rounding hides; lower mass_kg, the exposure, the background or the source's power, or "
                "raise distance_m"
            )
        counts = None if self.observed is None else self.observed.counts
        errors = None if self.observed is None else self.observed.errors
        with located(f"detectors.{name}"):
            return Likelihood((dataset_of(nominal, (*channels, *background_samples), self.statistic, counts, errors),))

    def varied(self, detector: Detector, where: str) -> Response:
        """The response of the detector as a key, named in messages, moves it."""
        with located(where):
            return self._response(detector)

    def _varied_responses(self) -> dict[str, tuple[Response, Response]]:
        """By parameter, the responses at plus and minus one standard deviation."""
        varied: dict[str, list[Detector]] = {}
        if self.energy_scale_uncertainty > 0:
            width = self.energy_scale_uncertainty
            # A reconstructed energy that is too high by a factor is an edge that is too low by it.
            edges = [self.detector.bin_edges_kev / (1 + sign * width) for sign in (1, -1)]
            varied["energy_scale"] = [replace(self.detector, bin_edges_kev=shifted) for shifted in edges]
        if self.quenching_uncertainty > 0 and self.detector.quenching is not None:
            models = [
                ScaledQuenching(self.detector.quenching, 1 + sign * self.quenching_uncertainty) for sign in (1, -1)
            ]
            varied["quenching"] = [replace(self.detector, quenching=model) for model in models]
        responses = {}
        for key, (up, down) in varied.items():
            where = f"uncertainties.{key}"
            responses[f"{self.name}.{key}"] = (self.varied(up, where), self.varied(down, where))
        return responses

    def computed_content(self) -> dict[str, Any]:
        """What its files and defaults come to: with the keys, all that its counts depend on."""
        observed = () if self.observed is None else (self.observed.counts, *(self.observed.errors or ()))
        named = [
            (each.name, each.uncertainty, each.counts.tolist(), repr(each.off and (each.off.off, each.off.ratio)))
            for each in self.backgrounds or ()
        ]
        return {
            "observed": [counts.tolist() for counts in observed],
            "backgrounds": named,
            "source": repr(self.source),
            "efficiency": repr(self.detector.efficiency),
            "quenching": repr(self.detector.quenching),
            "background": self.detector.background_per_kg_day.tolist(),
        }


@dataclass(frozen=True, eq=False)
class DatasetSetup:
    """A data set; it is read, and its expectation computed, when first asked for."""

    dataset: str
    setup: Setup
    couplings: tuple[Coupling, ...]
    uncertainties: Mapping[str, float] = field(default_factory=dict)
    """Widths in the place of the data set's own, of signal or a background."""

    statistic: ClassVar[Statistic] = "poisson"

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
            return dataset(self.dataset).measurement(self.setup, self.couplings)

    @property
    def response(self) -> Response:
        """Expected counts as a function of the study's couplings."""
        return self.measurement.response

    @property
    def real(self) -> bool:
        """Whether its counts were observed."""
        return self.setup.observed == "data"

    @property
    def likelihood(self) -> Likelihood:
        """The likelihood of the data."""
        widths = {f"{self.name}.{name}": width for name, width in self.uncertainties.items()}
        return self.measurement.likelihood.with_widths(widths) if widths else self.measurement.likelihood

    def computed_content(self) -> dict[str, Any]:
        """What its source's files and defaults come to; those of the data are known by their checksums."""
        return {"source": repr(self.setup.source)}


AnySetup = DetectorSetup | DatasetSetup

LARGEST_COUNTS = 1e24
"""Expected in a bin: their fluctuation is the twelfth digit of a double's sixteen, and limits hold to 1e-3.

Ten thousand times as many make chi^2 rough from rounding, and then limits come out as unconstrained."""

FEWEST_COUNTS = 10.0
"""Expected in a bin of least squares, below which its coverage suffers."""


def sparse_bins(setup: AnySetup) -> str | None:
    """What must be said of a detector whose least-squares bins expect too few counts; None where all is well.

    With the counts as variances, downward fluctuations weigh more: six detectors of the ESS, two of which have such
    bins, cover 83 % where 90 % is said (docs/coverage.md).
    """
    if setup.statistic != "least-squares":
        return None
    dataset = setup.likelihood.datasets[0]
    expected = expected_counts(setup.response)
    sparse = int(np.sum((expected < FEWEST_COUNTS) & dataset.possible))
    if not sparse:
        return None
    return (
        f"{setup.name}: {sparse} of {len(expected)} bins expect fewer than {FEWEST_COUNTS:g} counts, too few for least "
        "squares with the counts as variances (intervals cover less than they say); statistic: poisson does better"
    )
