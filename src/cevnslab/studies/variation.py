"""A study with some of its keys at other values, many times over.

Background, exposure, mass, distance and uncertainties change no integral: counts are scaled, and nothing is read or
folded again. All other keys make the study anew, as a scan does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from cevnslab.errors import located
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.scans import present_value, vary_all
from cevnslab.studies.schema.base import BackgroundRate, DistanceM, MassKg, Width, Years
from cevnslab.studies.setups import AnySetup, DetectorSetup
from cevnslab.studies.study import Study

SCALING = ("exposure_years", "mass_kg", "distance_m", "background_ckkd", "background_ckkd_ee", "background_ckd")
"""Keys that multiply counts."""
WIDTHS = ("uncertainties.signal", "uncertainties.background")
"""Keys that are prior widths."""


@dataclass(frozen=True)
class Scaling:
    """What keys that change no integral do to a detector."""

    signal: float
    """Factor on all counts of the signal."""
    background: float
    """Factor on the counts of the background."""
    signal_width: float
    background_width: float


MOST_KEPT = 64
"""Foldings, of the latest values."""


@dataclass
class Variations:
    """One study, varied; what is folded is kept by the values of the keys that it depends on."""

    study: Study
    studies: dict[tuple[tuple[str, float], ...], Study] = field(default_factory=dict)
    setups: dict[tuple[str, tuple[tuple[str, float], ...]], AnySetup] = field(default_factory=dict)
    """Setups by name and the values of the keys that concern them."""
    latest: dict[str, Analysis] = field(default_factory=dict)
    scaled: dict[str, tuple[AnySetup, dict[str, float], AnySetup]] = field(default_factory=dict)
    """By name the setup that was scaled last, by which values, and what it gave."""
    present: dict[str, float | int] = field(default_factory=dict)
    """Values of keys in the study itself."""

    def at(self, values: Mapping[str, float], *, data: bool = True) -> tuple[Study, dict[str, Analysis]]:
        """The study with keys at values, and its analyses; those that no key changed are the same objects as before.

        Without `data` those that read no data set.
        """
        light = {key: value for key, value in values.items() if self._scales(key)}
        self.check(light)
        base = self._folded(tuple(sorted((key, value) for key, value in values.items() if key not in light)))
        with located(", ".join(f"{key} = {value:g}" for key, value in values.items())):
            setups = [self._scaled(setup, light) for setup in base.setups] if light else None
            varied = base if setups is None else replace(base, setups=tuple(setups))
            self.latest = analyses(varied, self.latest, data=data)
        return varied, self.latest

    def check(self, values: Mapping[str, float]) -> None:
        """Raise `StudyError` for values that the study file does not allow of keys that change no integral."""
        if any(not _allowed(key, value) and self._scales(key) for key, value in values.items()):
            vary_all(self.study, values)

    def _folded(self, heavy: tuple[tuple[str, float], ...]) -> Study:
        """The study with those keys at values that change an integral; detectors that they do not concern as before."""
        if not heavy:
            return self.study
        if heavy not in self.studies:
            varied, _ = vary_all(self.study, dict(heavy))
            setups = tuple(self._known(setup, heavy) for setup in varied.setups)
            while len(self.studies) >= MOST_KEPT:
                del self.studies[next(iter(self.studies))]
            self.studies[heavy] = replace(varied, setups=setups)
        return self.studies[heavy]

    def _known(self, setup: AnySetup, heavy: tuple[tuple[str, float], ...]) -> AnySetup:
        """A setup that was made before of the same values of all keys that concern it, or this one."""
        concerning = tuple((key, value) for key, value in heavy if not _of_another(key, setup.name))
        if not concerning:
            return next(nominal for nominal in self.study.setups if nominal.name == setup.name)
        while len(self.setups) >= MOST_KEPT:
            del self.setups[next(iter(self.setups))]
        return self.setups.setdefault((setup.name, concerning), setup)

    def _scales(self, key: str) -> bool:
        """Whether a key leaves every integral as it is, for every detector that it acts on."""
        _, _, word = key.rpartition(".")
        width = any(key.endswith(path) for path in WIDTHS)
        acting = [setup for setup in self.study.setups if _acts_on(key, setup, self.study)]
        simple = all(
            isinstance(setup, DetectorSetup)
            and setup.backgrounds is None
            and setup.observed is None
            and setup.detector.time_bin_edges_us is None
            and not (setup.energy_scale_uncertainty or setup.quenching_uncertainty)
            for setup in acting
        )
        rises = not _rate(key) or self._nominal(key) > 0  # nothing scales zero
        return (word in SCALING or width) and simple and rises and not self.study.file.systematics and bool(acting)

    def _scaled(self, setup: AnySetup, values: Mapping[str, float]) -> AnySetup:
        """A setup with keys at values, its response scaled."""
        acting = {key: value for key, value in values.items() if _acts_on(key, setup, self.study)}
        if not acting or not isinstance(setup, DetectorSetup):
            return setup
        entry = self.scaled.get(setup.name)
        if entry is None or entry[0] is not setup or entry[1] != acting:
            entry = self.scaled[setup.name] = (setup, acting, self._newly_scaled(setup, acting))
        return entry[2]

    def _nominal(self, key: str) -> float:
        """The value of a key in the study itself."""
        if key not in self.present:
            self.present[key] = present_value(self.study, key)
        return self.present[key]

    def light(self, keys: Iterable[str]) -> bool:
        """Whether no key changes an integral."""
        return all(self._scales(key) for key in keys)

    def scaling(self, setup: DetectorSetup, values: Mapping[str, float]) -> Scaling:
        """What keys at values, which change no integral, do to a setup that they may not concern."""
        acting = {key: value for key, value in values.items() if _acts_on(key, setup, self.study)}
        varied = self._changed(setup, acting)
        rates = [value / self._nominal(key) for key, value in acting.items() if _rate(key)]
        return Scaling(
            _signal_size(varied) / _signal_size(setup),
            math.prod(rates) * _kg_days(varied) / _kg_days(setup),
            varied.signal_uncertainty,
            varied.background_uncertainty,
        )

    def _newly_scaled(self, setup: DetectorSetup, acting: Mapping[str, float]) -> DetectorSetup:
        varied, factors, nominal = self._changed(setup, acting), self.scaling(setup, acting), setup.response
        varied.__dict__["response"] = replace(
            nominal,
            coefficients={channel: rows * factors.signal for channel, rows in nominal.coefficients.items()},
            backgrounds={name: counts * factors.background for name, counts in nominal.backgrounds.items()},
            parts={
                channel: {name: rows * factors.signal for name, rows in split.items()}
                for channel, split in nominal.parts.items()
            },
        )  # a cached property, filled
        return varied

    def _changed(self, setup: DetectorSetup, acting: Mapping[str, float]) -> DetectorSetup:
        """A setup with other values of keys that concern it; its response is not made."""
        varied, detector = setup, setup.detector
        for key, value in acting.items():
            word = key.rpartition(".")[2]
            if key.endswith("uncertainties.signal"):
                varied = replace(varied, signal_uncertainty=value)
            elif key.endswith("uncertainties.background"):
                varied = replace(varied, background_uncertainty=value)
            elif word == "exposure_years":
                varied = replace(varied, exposure_years=value)
            elif word == "mass_kg":
                detector = replace(detector, mass_kg=value)
            elif word == "distance_m":
                detector = replace(detector, distance_m=value)
            else:
                rates = detector.background_per_kg_day * (value / self._nominal(key))
                detector = replace(detector, background_per_kg_day=rates)
        return replace(varied, detector=detector)


def _allowed(key: str, value: float) -> bool:
    """Whether a key that changes no integral may have a value: where counts are scaled no study is validated."""
    word = key.rpartition(".")[2]
    try:
        _type("width" if any(key.endswith(path) for path in WIDTHS) else word).validate_python(float(value))
    except ValidationError:
        return False
    return True


@cache
def _type(word: str) -> TypeAdapter[float]:
    """What the study file allows of a key in `SCALING`, or of a width."""
    allowed = {"width": Width, "exposure_years": Years, "mass_kg": MassKg, "distance_m": DistanceM}
    return TypeAdapter(allowed.get(word, BackgroundRate))


def _of_another(key: str, name: str) -> bool:
    """Whether a key is one of another detector."""
    return key.startswith("detectors.") and not key.startswith(f"detectors.{name}.")


def _rate(key: str) -> bool:
    """Whether a key is a rate of background."""
    return key.rpartition(".")[2].startswith("background_ck")


def _acts_on(key: str, setup: AnySetup, study: Study) -> bool:
    """Whether a key of the study, or of a detector, says something of a setup."""
    if key.startswith("detectors."):
        return key.startswith(f"detectors.{setup.name}.")
    detector = next(spec for spec in study.file.detectors if spec.name == setup.name)
    return getattr(detector, key.partition(".")[0], None) is None


def _kg_days(setup: DetectorSetup) -> float:
    return setup.detector.mass_kg * setup.source.beam_days(_years(setup))


def _years(setup: DetectorSetup) -> float:
    return setup.exposure_years if setup.exposure_years is not None else 1.0


def _signal_size(setup: DetectorSetup) -> float:
    """What all counts of the signal are proportional to."""
    return setup.detector.mass_kg * setup.source.fluence_per_cm2(setup.detector.distance_m, _years(setup))
