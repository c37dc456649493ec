"""The keys that have a slider, each with the range in which it is moved.

A study file allows far more than a detector can be: a threshold of 1e-10 keV gives a limit, but no sense. A range
reaches some factor around the study's own value, and never beyond what the table says.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cevnslab.errors import StudyError
from cevnslab.studies.study import Study
from cevnslab.units import key_label

POSITIONS = 240
"""Steps of a slider."""
DIGITS = 4
"""Of a value that a slider stands for."""
AROUND = 30.0
"""Factor below and above the study's own value that a logarithmic slider reaches."""


@dataclass(frozen=True)
class Sense:
    """The values of a key that make sense."""

    key: str
    """The end of its path."""
    low: float
    high: float
    logarithmic: bool = True


SENSE = (
    Sense("exposure_years", 1e-2, 1e2),
    Sense("exposure_hours", 1e1, 1e6),
    Sense("mass_kg", 1e-4, 1e6),
    Sense("distance_m", 1.0, 1e4),
    Sense("threshold_kev", 1e-2, 1e2),
    Sense("threshold_kevee", 1e-3, 1e2),
    Sense("background_ckkd", 1e-4, 1e5),
    Sense("background_ckkd_ee", 1e-4, 1e5),
    Sense("background_ckd", 1e-4, 1e5),
    Sense("resolution.sigma_kev", 1e-3, 1e1),
    Sense("resolution.sigma_kevee", 1e-4, 1e1),
    Sense("efficiency", 0.01, 1.0, logarithmic=False),
    Sense("quenching", 0.005, 1.0, logarithmic=False),
    Sense("quenching.lindhard_k", 0.05, 0.3, logarithmic=False),
    Sense("uncertainties.signal", 0.0, 0.2, logarithmic=False),
    Sense("uncertainties.background", 0.0, 0.2, logarithmic=False),
)
"""In the order of the page."""
BELOW = {"threshold_kev": "maximum_kev", "threshold_kevee": "maximum_kevee"}
"""Keys that must stay below another of the same detector."""


@dataclass(frozen=True)
class Slider:
    """A key of the study, and where its slider runs."""

    key: str
    """Its path, such as ``detectors.ess-ge.mass_kg``."""
    owner: str
    """The detector that it belongs to; empty for the study's own."""
    value: float
    """In the study."""
    low: float
    high: float
    logarithmic: bool

    @property
    def label(self) -> str:
        """The key in words, with its unit."""
        word = key_label(self.key)
        return {"sigma (keV)": "resolution (keV)", "sigma (keVee)": "resolution (keVee)"}.get(word, word)

    def at(self, position: int) -> float:
        """The value at a position from 0 to `POSITIONS`, in few digits; the study's own where it stands."""
        if position == self.position(self.value):
            return self.value
        share = min(max(position, 0), POSITIONS) / POSITIONS
        if share in (0.0, 1.0):
            return self.high if share else self.low
        if self.logarithmic:
            return float(f"{self.low * (self.high / self.low) ** share:.{DIGITS - 1}e}")
        return float(f"{self.low + (self.high - self.low) * share:.{DIGITS - 1}e}")

    def position(self, value: float) -> int:
        """The position nearest to a value."""
        if self.logarithmic:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(share * POSITIONS)

    def check(self, value: float) -> float:
        """The value; `StudyError` for what is no number or beyond the slider's ends."""
        if not (isinstance(value, int | float) and math.isfinite(value)):
            raise StudyError(f"{self.key}: must be a number, got {value}")
        if not self.low <= value <= self.high:
            raise StudyError(f"{self.key}: must be from {self.low:g} to {self.high:g}, got {value:g}")
        return float(value)


def sliders(study: Study) -> tuple[Slider, ...]:
    """Those of a study: its own keys first, then those of every projected detector."""
    content = study.as_dict()
    detectors = {detector["name"]: detector for detector in content["detectors"]}
    whole = {key: value for key, value in content.items() if key in ("exposure_years", "exposure_hours")}
    if "uncertainties" in content:
        whole["uncertainties"] = content["uncertainties"]
    sliders = list(_sliders(whole, "", ""))
    for name, detector in detectors.items():
        if "dataset" not in detector:
            sliders += _sliders(detector, name, f"detectors.{name}.")
    return tuple(sliders)


def _sliders(content: Mapping[str, Any], owner: str, prefix: str) -> Iterator[Slider]:
    for sense in SENSE:
        value: Any = content
        for word in sense.key.split("."):
            value = value.get(word) if isinstance(value, Mapping) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        low, high, logarithmic = sense.low, sense.high, sense.logarithmic and value > 0
        if logarithmic:
            low, high = max(low, value / AROUND), min(high, value * AROUND)
        elif sense.logarithmic:
            low, high = 0.0, 1.0
        if (other := content.get(BELOW.get(sense.key, ""))) is not None:
            high = min(high, 0.9 * float(other))
        low, high = min(low, value), max(high, value)
        if logarithmic:
            low, high = (float(f"{end:.2e}") for end in (low, high))
            low, high = min(low, value), max(high, value)
        yield Slider(f"{prefix}{sense.key}", owner, float(value), low, high, logarithmic)
