"""A study: what to compute, loaded from YAML and checked as a whole before anything runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cevnslab.datasets.registry import dataset
from cevnslab.detection.detector import Detector, FloatArray
from cevnslab.detection.response import Response, days_with_beam
from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import Coupling, coupling
from cevnslab.physics.sources import Source, days_in_time_bins
from cevnslab.rendering import rendered
from cevnslab.results import Result
from cevnslab.studies import schema
from cevnslab.studies.backgrounds import Background, background_of
from cevnslab.studies.build import build_dataset, build_detector, merge_preset
from cevnslab.studies.observed import ObservedCounts, check_observed, observed_counts
from cevnslab.studies.registry import study_registry
from cevnslab.studies.rules import check_across_keys
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.counts import check_backgrounds
from cevnslab.studies.setups import AnySetup, DatasetSetup, DetectorSetup
from cevnslab.studies.sources import build_source, merge_source, says_distance
from cevnslab.studies.validation import plain, validated
from cevnslab.words import excerpt

Runner = Callable[..., Result]
"""Computes a study, with the options of `Study.run`: handed in, since whatever runs a study knows what one is."""


@dataclass(frozen=True, eq=False)
class Study:
    """A validated study. `file` holds the keys, presets filled in; the rest is made of them."""

    file: schema.StudyFile
    where: str
    """What messages about it start with: its file, usually."""
    base: Path
    """The folder that file names in the study are relative to."""
    setups: tuple[AnySetup, ...]
    couplings: tuple[Coupling, ...]
    """Those that get limits."""
    registry: Mapping[str, Coupling]
    """All couplings that it knows, by name."""
    runner: Runner
    """What computes it."""
    data: Path | None = None
    """Where experiments' data lie; searched for unless given."""

    def __repr__(self) -> str:
        detectors = ", ".join(setup.name for setup in self.setups)
        return f"<Study {self.name}: detectors {detectors}; couplings {', '.join(self.file.coupling_names) or 'none'}>"

    @property
    def name(self) -> str:
        """The study's name, also of its folder of results."""
        return self.file.name

    def as_dict(self) -> dict[str, Any]:
        """The keys as plain values, presets filled in: a study file that gives the same study."""
        # A key given as null beside a preset takes the preset's value away: it is dumped as null.
        content: dict[str, Any] = self.file.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return content

    @property
    def sha256(self) -> str:
        """A hash of what the study computes: keys and the contents of files, but no order, comment, title or figure."""
        content = self.file.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude_unset=True, context={"checksums": True}
        )
        content.setdefault("plugins", [])
        for key in ("title", "figures", "source"):
            content.pop(key, None)
        for detector, setup in zip(content["detectors"], self.setups, strict=True):
            detector.pop("label", None)
            detector.pop("source", None)
            detector.update(setup.computed_content())
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _repr_html_(self) -> str:
        return str(rendered(self, "html"))

    def explore(self) -> Any:
        """Sliders for the study's keys and what follows from them, as the last value of a notebook's cell.

        Needs the extra `explore`; `cevnslab explore` opens the same as a page. Raises `MissingExtraError`.
        """
        return rendered(self, "explorer")

    def responses(self) -> dict[str, Response]:
        """The response of every detector to all couplings of the study, by detector name."""
        with located(self.where):
            return {setup.name: setup.response for setup in self.setups}

    def run(self, *, store: Path | None = None, workers: int = 0, scheduler: str | None = None) -> Result:
        """Compute everything that the study asks for; pseudo-experiments as `cevnslab.studies.runner.run` says."""
        return self.runner(self, store=store, workers=workers, scheduler=scheduler)


def build_study(
    content: Mapping[str, Any],
    runner: Runner,
    *,
    where: str = "study",
    base: Path = Path(),
    data: Path | None = None,
    announce: Callable[[str], None] | None = None,
) -> Study:
    """A study from its keys, which `runner` computes; file names in it are relative to `base`.

    Before a plugin is run, `announce` is told so.

    Raises a `CevnslabError` whose message names the file, the key's path, the fault and what is allowed.
    """
    with located(where):
        if not isinstance(content, Mapping):
            raise StudyError(f"keys and values are needed, got {excerpt(content)}")
        file = validated(schema.StudyFile, _with_presets(plain(content)), base)
        registry = study_registry(file, announce)
        couplings = []
        for name in file.coupling_names:
            with located("couplings"):
                couplings.append(coupling(name, registry))
        check_across_keys(file, registry)
        # The response knows the couplings that are minimised over too.
        response_couplings = tuple(dict.fromkeys([*couplings, *(registry[name] for name in file.profile)]))
        setups = tuple(_setup(file, spec, base, response_couplings, data) for spec in file.detectors)
        return Study(file, where, base, setups, tuple(couplings), registry, runner, data)


def _with_presets(content: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(content)
    if isinstance(content.get("source"), Mapping):
        merged["source"] = _merged_source("source", content["source"])
    entries = content.get("detectors")
    if isinstance(entries, list):
        merged["detectors"] = []
        for number, entry in enumerate(entries, start=1):
            with located(f"detectors.{number}.preset"):
                detector = merge_preset(entry) if isinstance(entry, Mapping) else entry
            if isinstance(detector, dict):
                name = detector.get("name", number)
                if isinstance(detector.get("source"), Mapping):
                    detector["source"] = _merged_source(f"detectors.{name}.source", detector["source"])
                keys = {"dataset", "distance_m"} & {*entry, *(detector.keys() - {"distance_m"})}
                if not keys and says_distance(detector.get("source", merged.get("source"))):
                    detector.pop("distance_m", None)  # the preset's, from another source
            merged["detectors"].append(detector)
    return merged


def _merged_source(path: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """A source with its preset's keys; its type is checked first, since which keys are right depends on it."""
    merged = merge_source(source, path)
    fault = schema.source_type_fault(merged.get("type"))
    if fault is not None:
        raise StudyError(f"{path}.type: {fault}")
    return merged


def _setup(
    file: schema.StudyFile,
    spec: schema.Detector | schema.DatasetDetector,
    base: Path,
    couplings: tuple[Coupling, ...],
    data: Path | None,
) -> AnySetup:
    """One detector with the study's values for all that it does not say itself."""
    path = f"detectors.{spec.name}"
    channels = tuple(spec.channels or file.channels)
    if isinstance(spec, schema.DatasetDetector):
        setup = build_dataset(spec, channels, file, data, base)
        names = ["signal", *dataset(spec.dataset).description.backgrounds]
        require_known(f"{path}.uncertainties", list(spec.uncertainties), names, "normalisation of this data set")
        return DatasetSetup(spec.dataset, setup, couplings, spec.uncertainties)
    source_given, uncertainties = spec.source or file.source, spec.uncertainties or file.uncertainties
    if source_given is None:
        raise StudyError("source: this key is required")
    source = build_source(source_given, base, f"{path}.source" if spec.source else "source")
    years = _exposure_years(file, spec, source)
    if uncertainties is None:
        raise StudyError("uncertainties: this key is required")
    if source.needs_distance and spec.distance_m is None:
        raise StudyError(f"{path}.distance_m: this key is required")
    if not source.needs_distance and spec.distance_m is not None:
        raise StudyError(f"{path}.distance_m: the source {source.name} says itself how far it is; remove it")
    if "electron" in channels and spec.electron_quenching is None and spec.quenching is None:
        raise StudyError(f"{path}.electron_quenching: required with the channel electron (a number, or same-axis)")
    if uncertainties.quenching > 0 and spec.quenching is None:
        raise StudyError(f"{path}.quenching: required with an uncertainty of the quenching")
    detector = build_detector(spec, base, file.nuclei)
    if spec.time_bin_edges_us is not None:
        with located(f"{path}.time_bin_edges_us"):
            days_in_time_bins(source, spec.time_bin_edges_us, years or 1.0)
    observed = _observed(spec, detector, base)
    statistic = spec.statistic or file.statistic or ("least-squares" if observed is None else observed.statistic)
    if observed is None and statistic == "gaussian":
        raise StudyError(f"{path}.statistic: gaussian needs observed counts with errors; a projection has none")
    if observed is not None:
        with located(f"{path}.observed"):
            check_observed(observed, statistic, detector.axes)
    if spec.backgrounds is None and uncertainties.background is None:
        raise StudyError(f"{path}.uncertainties.background: this key is required (or name the backgrounds)")
    return DetectorSetup(
        detector=detector,
        source=source,
        exposure_years=years,
        channels=channels,
        form_factor=file.form_factor,
        signal_uncertainty=uncertainties.signal,
        background_uncertainty=uncertainties.background or 0.0,
        statistic=statistic,
        couplings=couplings,
        radiative_corrections=file.radiative_corrections,
        energy_scale_uncertainty=uncertainties.energy_scale,
        quenching_uncertainty=uncertainties.quenching,
        backgrounds=_backgrounds(spec, detector, days_with_beam(source, detector, years or 1.0), base),
        observed=observed,
    )


def _exposure_years(file: schema.StudyFile, spec: schema.Detector, source: Source) -> float | None:
    """Calendar years of a detector, its own or the study's; None at a source of one burst, which has none."""
    for holder, path in ((spec, f"detectors.{spec.name}."), (file, "")):
        present = [key for key in ("exposure_years", "exposure_hours") if getattr(holder, key) is not None]
        if len(present) > 1:
            raise StudyError(f"{path}exposure_hours: give exposure_years or exposure_hours, not both")
        if present and source.burst:
            if holder is spec or spec.source is None:
                raise StudyError(f"{path}{present[0]}: the source {source.name} is one burst; remove it")
        elif present:
            value = float(getattr(holder, present[0]))
            return value if present[0] == "exposure_years" else value / source.hours_per_year
    if source.burst:
        return None
    raise StudyError("exposure_years: this key is required (or give exposure_hours)")


def _observed(spec: schema.Detector, detector: Detector, base: Path) -> ObservedCounts | None:
    """The counts that a detector observed."""
    if spec.observed is None or spec.observed == "asimov":
        return None
    with located(f"detectors.{spec.name}.observed"):
        return observed_counts(spec.observed, detector.axes, base)


def _backgrounds(
    spec: schema.Detector, detector: Detector, days: FloatArray, base: Path
) -> tuple[Background, ...] | None:
    """The backgrounds that a detector names."""
    if spec.backgrounds is None:
        return None
    path = f"detectors.{spec.name}.backgrounds"
    check_backgrounds(spec.backgrounds, path)
    if spec.uncertainties is not None and spec.uncertainties.background is not None:
        key = f"detectors.{spec.name}.uncertainties.background"
        raise StudyError(f"{key}: each of the backgrounds has its own; remove it")
    backgrounds = []
    for each in spec.backgrounds:
        with located(f"{path}.{each.name}"):
            backgrounds.append(background_of(each, detector, detector.axes, days, base))
    return tuple(backgrounds)
