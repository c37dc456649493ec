"""Detectors made in Python as keys of a study, so that it can be saved, scanned and run again like any other."""

from __future__ import annotations

from typing import Any

import numpy as np

from cevnslab.detection.detector import Detector
from cevnslab.detection.quenching import ConstantQuenching, Lindhard
from cevnslab.detection.smearing import Resolution
from cevnslab.errors import StudyError
from cevnslab.physics.nuclei import Target, target

FLAT = 1e-9
"""Relative difference of rates per keV up to which a background is flat."""


def with_keys(content: dict[str, Any]) -> dict[str, Any]:
    """A study's keys with a mapping in the place of every detector that is an object.

    An entry is the object itself, or a mapping with it under `detector` and more keys (`observed`, `backgrounds`).
    Raises `StudyError` for what no key can say.
    """
    entries = content.get("detectors")
    if not isinstance(entries, list | tuple):
        return content
    return {**content, "detectors": [_entry(entry, content.get("nuclei", "standard-weight")) for entry in entries]}


def _entry(entry: Any, convention: Any) -> Any:
    if isinstance(entry, Detector):
        return detector_keys(entry, convention)
    if isinstance(entry, dict) and isinstance(entry.get("detector"), Detector):
        more = {key: value for key, value in entry.items() if key != "detector"}
        replaced = more.get("backgrounds") is not None
        return {**detector_keys(entry["detector"], convention, background=not replaced), **more}
    return entry


def detector_keys(
    detector: Detector, convention: Any = "standard-weight", *, background: bool = True
) -> dict[str, Any]:
    """The keys that mean a detector; without `background` those of the detector itself alone.

    Raises `StudyError` for a law or a table that a study file takes from a file alone, or not at all.
    """
    path = f"detectors.{detector.name}"
    if detector.response is not None:
        raise StudyError(f"{path}.response: a study takes a response matrix from its file: response: {{file: ...}}")
    if callable(detector.efficiency):
        raise StudyError(f"{path}.efficiency: a study takes a table from a file: efficiency: {{file: ..., axis: ...}}")
    light = detector.quenching is not None
    unit = "kevee" if light else "kev"
    keys: dict[str, Any] = {
        "name": detector.name,
        "label": detector.label or None,
        **_target_keys(detector.target, convention, path),
        "mass_kg": detector.mass_kg,
        "distance_m": detector.distance_m,
        f"bin_edges_{unit}": detector.bin_edges_kev.tolist(),
        "quenching": _quenching(detector, path),
        "resolution": _resolution(detector, unit, path),
        "efficiency": detector.efficiency,
        "electron_quenching": detector.electron_quenching,
        "time_bin_edges_us": None if detector.time_bin_edges_us is None else detector.time_bin_edges_us.tolist(),
    }
    if background:
        rates = detector.background_per_kg_day / np.diff(detector.bin_edges_kev)
        if np.ptp(rates) > FLAT * np.max(np.abs(rates)):
            raise StudyError(
                f"{path}.background_per_kg_day: is not flat; give the keys {{detector: ..., backgrounds: [...]}}"
            )
        keys["background_ckkd_ee" if light else "background_ckkd"] = float(rates[0])
    return {key: value for key, value in keys.items() if value is not None}


def _target_keys(nuclei: Target, convention: Any, path: str) -> dict[str, Any]:
    """The formula, with radii where they are not those that it has by itself."""
    if target(nuclei.formula, convention=convention) == nuclei:
        return {"target": nuclei.formula}
    radii = {
        "rms_radius_fm": {c.nucleus.symbol: c.nucleus.rms_radius_fm for c in nuclei.constituents},
        "neutron_radius_fm": {c.nucleus.symbol: c.nucleus.neutron_radius_fm for c in nuclei.constituents},
    }
    if target(nuclei.formula, convention=convention, **radii) != nuclei:  # type: ignore[arg-type]
        raise StudyError(f"{path}.target: its nuclei are not those of {nuclei.formula} with nuclei: {convention}")
    return {"target": nuclei.formula, **radii}


def _quenching(detector: Detector, path: str) -> Any:
    model = detector.quenching
    if model is None:
        return None
    if isinstance(model, ConstantQuenching):
        return model.factor
    if isinstance(model, Lindhard) and model.adiabatic_kev is None:
        return {"lindhard_k": "standard" if model.k is None else model.k}
    raise StudyError(f"{path}.quenching: a study takes a factor, {{lindhard_k}}, or a table from a file: {{file: ...}}")


def _resolution(detector: Detector, unit: str, path: str) -> Any:
    law = detector.resolution
    if law is None:
        return "none"
    if isinstance(law, Resolution):
        keys = {f"sigma_{unit}": law.sigma_kev, f"at_{unit}": law.at_kev, "law": law.law}
        return keys | ({} if law.minimum_true_kev is None else {"minimum_true_kev": law.minimum_true_kev})
    raise StudyError(
        f"{path}.resolution: a study has Gaussian widths alone, got {type(law).__name__}; cevnslab.response takes any "
        "law"
    )
