"""A study with some of its keys at other values, many times over: responses are kept where the keys allow it.

Background, exposure, mass, distance and uncertainties change no integral: counts are scaled. All else is folded anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cevnslab.detection.response import Response
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.scans import vary
from cevnslab.studies.setups import DetectorSetup
from cevnslab.studies.study import Study

SCALING = (
    "exposure_years",
    "mass_kg",
    "distance_m",
    "background_ckkd",
    "background_ckkd_ee",
    "background_ckd",
    "signal",
    "background",
    "confidence_level",
)
"""Last words of keys that leave all integrals as they are."""


@dataclass
class Variations:
    """One study, varied; the responses of detectors are kept by what they depend on."""

    study: Study
    kept: dict[tuple[object, ...], tuple[Response, DetectorSetup]] = field(default_factory=dict)

    def at(self, values: Mapping[str, float]) -> tuple[Study, dict[str, Analysis]]:
        """The study with keys at values, and its analyses."""
        varied = self.study
        for key, value in values.items():
            varied, _ = vary(varied, key, value)
        folded = tuple(sorted((k, v) for k, v in values.items() if k.rpartition(".")[2] not in SCALING))
        for setup in varied.setups:
            if isinstance(setup, DetectorSetup) and setup.backgrounds is None:
                self._scale(setup, folded)
        return varied, analyses(varied)

    def _scale(self, setup: DetectorSetup, folded: tuple[object, ...]) -> None:
        """Give a setup the response of one that differs by scales alone."""
        key = (setup.name, *folded)
        if key not in self.kept:
            self.kept[key] = (setup.response, setup)
            return
        nominal, before = self.kept[key]
        factor = _signal_size(setup) / _signal_size(before)
        background = (
            setup.detector.background_per_kg_day * setup.detector.mass_kg * setup.source.beam_days(_years(setup))
        )
        if nominal.backgrounds["background"].shape != background.shape:  # bins of time: the background is folded
            return
        coefficients = {channel: rows * factor for channel, rows in nominal.coefficients.items()}
        parts = {
            channel: {name: rows * factor for name, rows in split.items()} for channel, split in nominal.parts.items()
        }
        scaled = replace(nominal, coefficients=coefficients, backgrounds={"background": background}, parts=parts)
        setup.__dict__["response"] = scaled  # a cached property, filled


def _years(setup: DetectorSetup) -> float:
    return setup.exposure_years if setup.exposure_years is not None else 1.0


def _signal_size(setup: DetectorSetup) -> float:
    """What all counts of the signal are proportional to."""
    return setup.detector.mass_kg * setup.source.fluence_per_cm2(setup.detector.distance_m, _years(setup))
