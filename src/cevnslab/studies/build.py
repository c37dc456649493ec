"""From validated keys to detectors and data sets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cevnslab.datasets.measurement import Setup
from cevnslab.datasets.registry import dataset
from cevnslab.detection import detector as detection
from cevnslab.detection.detector import FloatArray
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.quenching import ConstantQuenching, Lindhard, Quenching, QuenchingTable, rising_light_kev
from cevnslab.detection.smearing import Resolution
from cevnslab.errors import StudyError, located
from cevnslab.physics.arrival_times import GaussianPulse
from cevnslab.physics.nuclei import NucleiConvention, Target, target
from cevnslab.physics.sources import PionDecayAtRest, Source
from cevnslab.studies import presets, schema
from cevnslab.studies.sources import build_source
from cevnslab.studies.tables import read_curve
from cevnslab.words import excerpt

_ALTERNATIVES = (
    (
        ("bin_edges_kev",),
        ("bin_edges_kevee",),
        ("threshold_kev", "maximum_kev", "bins"),
        ("threshold_kevee", "maximum_kevee", "bins"),
    ),
    (("background_ckkd",), ("background_ckkd_ee",), ("background_ckd",), ("background_file",), ("backgrounds",)),
)
"""Keys that stand for the same thing: overriding one of a preset's drops the others."""


def merge_preset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A detector's keys with its preset's for all that it does not give; `UnknownNameError` for the preset.

    The key `dataset` may have its former name, `experiment`.
    """
    if "experiment" in entry:
        if "dataset" in entry:
            raise StudyError("experiment: is the former name of the key dataset; give one of them")
        entry = {"dataset" if key == "experiment" else key: value for key, value in entry.items()}
    if entry.get("preset") is None:
        return dict(entry)
    if not isinstance(entry["preset"], str):
        raise StudyError(f"must be a detector preset's name, got {excerpt(entry['preset'])}")
    defaults = presets.load("detectors", entry["preset"])
    for groups in _ALTERNATIVES:
        # `bins` goes with edges in either unit, and says nothing of which.
        groups_present = [
            group for group in groups if any(entry.get(key) is not None for key in group if key != "bins")
        ]
        if groups_present:
            present = {key for group in groups_present for key in group}
            for key in {key for group in groups for key in group} - present:
                defaults.pop(key, None)
    return {**defaults, **entry}


def bin_edges(spec: schema.Detector, quenching: Quenching | None = None) -> FloatArray:
    """The bin edges on the detector's axis that its keys mean; `StudyError` names what is missing or contradictory.

    With quenching the axis is in keVee, and edges in keV of nuclear recoil are converted.
    """
    path = f"detectors.{spec.name}"
    light = any(getattr(spec, key) is not None for key in ("threshold_kevee", "maximum_kevee", "bin_edges_kevee"))
    unit = "kevee" if light else "kev"
    if light and quenching is None:
        raise StudyError(f"{path}.quenching: required with energies in keVee")
    edges_key, low_key, high_key = f"bin_edges_{unit}", f"threshold_{unit}", f"maximum_{unit}"
    if light:
        for key in ("bin_edges_kev", "threshold_kev", "maximum_kev"):
            if getattr(spec, key) is not None:
                raise StudyError(f"{path}.{key}: give energies either in keV or in keVee, not both")
    explicit, low, high = getattr(spec, edges_key), getattr(spec, low_key), getattr(spec, high_key)
    if explicit is not None:
        surplus = [key for key in (low_key, high_key, "bins") if getattr(spec, key) is not None]
        if surplus:
            raise StudyError(f"{path}.{surplus[0]}: give either {edges_key} or {low_key}, {high_key} and bins")
        edges = np.array(explicit)
        if not np.all(np.diff(edges) > 0):
            where = int(np.flatnonzero(np.diff(edges) <= 0)[0])
            raise StudyError(f"{path}.{edges_key}: edges must rise, got {edges[where]:g} then {edges[where + 1]:g}")
    else:
        missing = [key for key in (low_key, high_key, "bins") if getattr(spec, key) is None]
        if missing or spec.bins is None:
            raise StudyError(f"{path}.{missing[0]}: this key is required (or give {edges_key} instead)")
        if low >= high:
            raise StudyError(f"{path}.{low_key}: must be below {high_key}, got {low:g} and {high:g}")
        edges = np.linspace(low, high, spec.bins + 1)
    if quenching is None or light:
        return edges
    with located(f"{path}.quenching"):
        return rising_light_kev(quenching, edges)


def _quenching(spec: schema.Detector, target: Target, base: Path) -> Quenching | None:
    """The quenching model that a detector's keys mean."""
    keys, path = spec.quenching, f"detectors.{spec.name}.quenching"
    with located(path):
        if keys is None:
            return None
        if isinstance(keys, schema.QuenchingFile):
            curve = read_curve(base / keys.file, "quenching file", "quenching factor", highest=1.0)
            curve.require_unit("keV")
            return QuenchingTable(tuple(curve.energy.tolist()), tuple(curve.value.tolist()))
        if isinstance(keys, schema.Lindhard):
            numbers = {c.nucleus.proton_number for c in target.constituents}
            if len(numbers) > 1:
                raise StudyError(f"lindhard_k is for a target of one element; {target.formula} has {len(numbers)}")
            atoms = sum(c.per_formula_unit for c in target.constituents)
            k = None if keys.lindhard_k == "standard" else keys.lindhard_k
            return Lindhard(k, numbers.pop(), target.molar_mass_g / atoms)
        return ConstantQuenching(keys)


def _resolution(spec: schema.Detector, quenched: bool) -> Resolution | None:
    """The resolution on the detector's axis."""
    if not isinstance(spec.resolution, schema.Resolution):
        return None
    path, unit = f"detectors.{spec.name}.resolution", "kevee" if quenched else "kev"
    keys = {key: getattr(spec.resolution, key) for key in ("sigma_kev", "at_kev", "sigma_kevee", "at_kevee")}
    required = (f"sigma_{unit}", f"at_{unit}")
    why = "with quenching the resolution is that of the light" if quenched else "keVee needs the key quenching"
    for key, value in keys.items():
        if key in required and value is None:
            raise StudyError(f"{path}.{key}: this key is required" + (f" ({why})" if quenched else ""))
        if key not in required and value is not None:
            raise StudyError(f"{path}.{key}: give {' and '.join(required)}; {why}")
    with located(path):
        return Resolution(keys[required[0]], keys[required[1]], spec.resolution.law, spec.resolution.minimum_true_kev)


def _time_edges(spec: schema.Detector) -> FloatArray:
    edges = np.array(spec.time_bin_edges_us)
    if not np.all(np.diff(edges) > 0):
        raise StudyError(f"detectors.{spec.name}.time_bin_edges_us: edges must rise")
    return edges


def _background(spec: schema.Detector, edges: FloatArray, recoil_edges: FloatArray, base: Path) -> FloatArray:
    """Counts per kg and day in each bin, whose edges are on the detector's axis and in keV of nuclear recoil."""
    keys = ("background_ckkd", "background_ckkd_ee", "background_ckd", "background_file")
    present = [key for key in keys if getattr(spec, key) is not None]
    if spec.backgrounds is not None:
        if present:
            raise StudyError(
                f"detectors.{spec.name}.{present[0]}: the detector has backgrounds by name; remove this key"
            )
        return np.zeros(len(edges) - 1)
    if len(present) != 1:
        raise StudyError(
            f"detectors.{spec.name}.background_ckkd: exactly one of {', '.join(keys)} is required, got "
            f"{', '.join(present) or 'none'}"
        )
    if spec.background_ckkd is not None:
        with located(f"detectors.{spec.name}.background_ckkd"):
            return detection.flat_background(recoil_edges, spec.background_ckkd)
    if spec.background_ckkd_ee is not None:
        if spec.quenching is None:
            raise StudyError(f"detectors.{spec.name}.background_ckkd_ee: keVee needs the key quenching")
        return detection.flat_background(edges, spec.background_ckkd_ee)
    if spec.background_ckd is not None:
        return detection.flat_background(edges, spec.background_ckd / (edges[-1] - edges[0]))
    assert spec.background_file is not None
    with located(f"detectors.{spec.name}.background_file"):
        curve = read_curve(base / spec.background_file, "background file", "rate", highest=schema.LARGEST_RATE)
        if curve.unit == "keVee" and spec.quenching is None:
            curve.require_unit("keV")
        bins = edges if curve.unit == "keVee" else recoil_edges
        text = curve.energies(spec.quenching is not None)
        return detection.tabulated_background(bins, curve.energy, curve.value, text)


def _target(spec: schema.Detector | schema.DatasetDetector, nuclei: NucleiConvention) -> Target:
    with located(f"detectors.{spec.name}.target"):
        return target(
            spec.target,
            rms_radius_fm=spec.rms_radius_fm,
            neutron_radius_fm=spec.neutron_radius_fm,
            neutron_radius=spec.neutron_radius,
            convention=nuclei,
        )


def build_dataset(
    spec: schema.DatasetDetector,
    channels: tuple[str, ...],
    file: schema.StudyFile,
    directory: Path | None,
    base: Path = Path(),
) -> Setup:
    """How a data set is analysed, from its validated keys; no data are read, file names are relative to `base`."""
    description = dataset(spec.dataset).description
    if spec.target != description.target:
        raise StudyError(
            f"detectors.{spec.name}.target: the data of {spec.dataset} are of {description.target}, got '{spec.target}'"
        )
    if spec.off_counts == "fitted" and not description.off_counts:
        raise StudyError(
            f"detectors.{spec.name}.off_counts: no background of {spec.dataset} is known from counts of its own; "
            "only exact is possible, got 'fitted'"
        )
    source, years = _data_source(spec, base)
    return Setup(
        name=spec.name,
        label=spec.label or spec.name,
        target=_target(spec, file.nuclei),
        mass_kg=spec.mass_kg,
        distance_m=spec.distance_m,
        source=source,
        exposure_years=years,
        channels=channels,
        observed=spec.observed,
        nuisances=spec.nuisances,
        off_counts=spec.off_counts,
        form_factor=file.form_factor,
        radiative_corrections=file.radiative_corrections,
        directory=directory,
    )


_PROTONS = ("protons_on_target", "neutrinos_per_proton", "pulse")
"""Keys of data from pions that decay at rest, in the place of a source and its exposure."""
_HOURS_PER_YEAR = 8766.0


def _data_source(spec: schema.DatasetDetector, base: Path) -> tuple[Source, float]:
    """The source of a data set and its exposure in years: one of its run, where the protons are those of the run."""
    path = f"detectors.{spec.name}"
    if spec.source is not None:
        surplus = [key for key in _PROTONS if getattr(spec, key) is not None]
        if surplus:
            raise StudyError(f"{path}.{surplus[0]}: goes without source; give one of them")
        if spec.exposure_years is None:
            raise StudyError(f"{path}.exposure_years: this key is required with source")
        source = build_source(spec.source, base, f"{path}.source")
        if source.needs_distance and spec.distance_m is None:
            raise StudyError(f"{path}.distance_m: this key is required")
        return source, spec.exposure_years
    if spec.exposure_years is not None:
        raise StudyError(f"{path}.exposure_years: goes with source, protons_on_target are those of the whole run")
    for key in (*_PROTONS, "distance_m"):
        if getattr(spec, key) is None:
            raise StudyError(f"{path}.{key}: this key is required (or give source and exposure_years instead)")
    assert spec.pulse is not None
    assert spec.protons_on_target is not None
    assert spec.neutrinos_per_proton is not None
    pulse = GaussianPulse(spec.pulse.centre_us, spec.pulse.width_us)
    run = PionDecayAtRest(
        f"source of {spec.name}", spec.protons_on_target, spec.neutrinos_per_proton, _HOURS_PER_YEAR, 1.0, pulse
    )
    return run, 1.0


def build_detector(
    spec: schema.Detector, base: Path = Path(), nuclei: NucleiConvention = "standard-weight"
) -> detection.Detector:
    """A detector from its validated keys; file names are relative to `base`.

    Every fault is a `CevnslabError` whose message starts with the detector's path.
    """
    path = f"detectors.{spec.name}"
    target = _target(spec, nuclei)
    quenching = _quenching(spec, target, base)
    edges = bin_edges(spec, quenching)
    resolution = _resolution(spec, quenching is not None)
    efficiency: float | EfficiencyTable
    if isinstance(spec.efficiency, schema.EfficiencyFile):
        with located(f"{path}.efficiency"):
            curve = read_curve(base / spec.efficiency.file, "efficiency file", "efficiency", highest=1.0)
            unit = "keV" if quenching is None else "keVee"
            curve.require_unit(unit)
            efficiency = EfficiencyTable(
                tuple(curve.energy.tolist()), tuple(curve.value.tolist()), spec.efficiency.axis, unit
            )
    else:
        efficiency = spec.efficiency
    electron_quenching = 1.0 if spec.electron_quenching == "same-axis" else spec.electron_quenching
    with located(f"{path}.quenching"):
        recoil_edges = edges if quenching is None else quenching.recoil_kev(edges)
    return detection.Detector(
        name=spec.name,
        target=target,
        mass_kg=spec.mass_kg,
        distance_m=spec.distance_m,
        bin_edges_kev=edges,
        resolution=resolution,
        efficiency=efficiency,
        background_per_kg_day=_background(spec, edges, recoil_edges, base),
        electron_quenching=electron_quenching,
        quenching=quenching,
        label=spec.label or target.formula,
        time_bin_edges_us=None if spec.time_bin_edges_us is None else _time_edges(spec),
    )
