"""A study with some of its keys at other values, many times over.

Background, exposure, mass, distance and uncertainties change no integral: counts are scaled, and nothing is read or
folded again. All other keys make the study anew, as a scan does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.scans import present_value, vary_all
from cevnslab.studies.setups import AnySetup, DetectorSetup
from cevnslab.studies.study import Study

SCALING = ("exposure_years", "mass_kg", "distance_m", "background_ckkd", "background_ckkd_ee", "background_ckd")
"""Keys that multiply counts."""
WIDTHS = ("uncertainties.signal", "uncertainties.background")
"""Keys that are prior widths."""


@dataclass
class Variations:
    """One study, varied; what is folded is kept by the values of the keys that it depends on."""

    study: Study
    kept: dict[tuple[tuple[str, float], ...], Study] = field(default_factory=dict)

    def at(self, values: Mapping[str, float]) -> tuple[Study, dict[str, Analysis]]:
        """The study with keys at values, and its analyses."""
        light = {key: value for key, value in values.items() if self._scales(key)}
        heavy = tuple(sorted((key, value) for key, value in values.items() if key not in light))
        if heavy not in self.kept:
            self.kept[heavy] = vary_all(self.study, dict(heavy))[0] if heavy else self.study
        base = self.kept[heavy]
        if not light:
            return base, analyses(base)
        varied = replace(base, setups=tuple(self._scaled(setup, light) for setup in base.setups))
        return varied, analyses(varied)

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
        return (word in SCALING or width) and simple and not self.study.file.systematics and bool(acting)

    def _scaled(self, setup: AnySetup, values: Mapping[str, float]) -> AnySetup:
        """A setup with keys at values, its response scaled."""
        acting = {key: value for key, value in values.items() if _acts_on(key, setup, self.study)}
        if not acting or not isinstance(setup, DetectorSetup):
            return setup
        changed, detector = setup, setup.detector
        for key, value in acting.items():
            word = key.rpartition(".")[2]
            if key.endswith("uncertainties.signal"):
                changed = replace(changed, signal_uncertainty=value)
            elif key.endswith("uncertainties.background"):
                changed = replace(changed, background_uncertainty=value)
            elif word == "exposure_years":
                changed = replace(changed, exposure_years=value)
            elif word == "mass_kg":
                detector = replace(detector, mass_kg=value)
            elif word == "distance_m":
                detector = replace(detector, distance_m=value)
            else:
                rates = detector.background_per_kg_day * (value / present_value(self.study, key))
                detector = replace(detector, background_per_kg_day=rates)
        changed = replace(changed, detector=detector)
        signal = _signal_size(changed) / _signal_size(setup)
        nominal = setup.response
        background = changed.detector.background_per_kg_day * _kg_days(changed)
        changed.__dict__["response"] = replace(
            nominal,
            coefficients={channel: rows * signal for channel, rows in nominal.coefficients.items()},
            backgrounds={"background": background},
            parts={
                channel: {name: rows * signal for name, rows in split.items()}
                for channel, split in nominal.parts.items()
            },
        )  # a cached property, filled
        return changed


def _acts_on(key: str, setup: AnySetup, study: Study) -> bool:
    """Whether a key of the study, or of a detector, says something of a setup."""
    if key.startswith("detectors."):
        return key.startswith(f"detectors.{setup.name}.")
    own = next(spec for spec in study.file.detectors if spec.name == setup.name)
    return getattr(own, key.partition(".")[0], None) is None


def _kg_days(setup: DetectorSetup) -> float:
    return setup.detector.mass_kg * setup.source.beam_days(_years(setup))


def _years(setup: DetectorSetup) -> float:
    return setup.exposure_years if setup.exposure_years is not None else 1.0


def _signal_size(setup: DetectorSetup) -> float:
    """What all counts of the signal are proportional to."""
    return setup.detector.mass_kg * setup.source.fluence_per_cm2(setup.detector.distance_m, _years(setup))
