"""From validated keys to the objects of physics and detection."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nurecoil.detection import detector as detection
from nurecoil.errors import StudyError, located
from nurecoil.physics.arrival_times import GaussianPulse, Pulse, UniformPulse
from nurecoil.physics.nuclei import NucleiConvention, Target, target
from nurecoil.physics.sources import PionDecayAtRest
from nurecoil.studies import presets, schema
from nurecoil.studies.tables import read_two_columns
from nurecoil.studies.validation import validated

if TYPE_CHECKING:
    from nurecoil.experiments.measurement import Setup


def _pulse(spec: schema.GaussianPulse | schema.UniformPulse | None) -> Pulse | None:
    if isinstance(spec, schema.GaussianPulse):
        return GaussianPulse(spec.centre_us, spec.width_us)
    return None if spec is None else UniformPulse(spec.start_us, spec.length_us)


def build_source(given: str | schema.Source) -> PionDecayAtRest:
    """A source from a preset's name or its keys."""
    if isinstance(given, str):
        given = validated(schema.Source, presets.load("sources", given))
    return PionDecayAtRest(
        name=given.name,
        protons_per_year=given.protons_per_year,
        neutrinos_per_proton=given.neutrinos_per_proton,
        hours_per_year=given.hours_per_year,
        duty_factor=given.duty_factor,
        pulse=_pulse(given.pulse),
        repetition_hz=given.repetition_hz,
    )


_ALTERNATIVES = (
    (("bin_edges_kev",), ("threshold_kev", "maximum_kev", "bins")),
    (("background_ckkd",), ("background_ckd",), ("background_file",)),
)
"""Keys that stand for the same thing: overriding one of a preset's drops the others."""


def merge_preset(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A detector's keys with its preset's for all that it does not give; `UnknownNameError` for the preset."""
    if entry.get("preset") is None:
        return dict(entry)
    if not isinstance(entry["preset"], str):
        raise StudyError(f"must be a detector preset's name, got {entry['preset']!r}")
    defaults = presets.load("detectors", entry["preset"])
    for groups in _ALTERNATIVES:
        given = [group for group in groups if any(key in entry for key in group)]
        if given:
            for group in groups:
                if group not in given:
                    for key in group:
                        defaults.pop(key, None)
    return {**defaults, **entry}


def bin_edges(spec: schema.Detector) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The bin edges that a detector's keys mean; `StudyError` names what is missing or contradictory."""
    path = f"detectors.{spec.name}"
    uniform = {"threshold_kev": spec.threshold_kev, "maximum_kev": spec.maximum_kev, "bins": spec.bins}
    if spec.bin_edges_kev is not None:
        surplus = [key for key, value in uniform.items() if value is not None]
        if surplus:
            raise StudyError(f"{path}.{surplus[0]}: give either bin_edges_kev or threshold_kev, maximum_kev and bins")
        edges = np.array(spec.bin_edges_kev)
        if not np.all(np.diff(edges) > 0):
            where = int(np.flatnonzero(np.diff(edges) <= 0)[0])
            raise StudyError(f"{path}.bin_edges_kev: edges must rise, got {edges[where]:g} then {edges[where + 1]:g}")
        return edges
    missing = [key for key, value in uniform.items() if value is None]
    if missing or spec.threshold_kev is None or spec.maximum_kev is None or spec.bins is None:
        raise StudyError(f"{path}.{missing[0]}: this key is required (or give bin_edges_kev instead)")
    if spec.threshold_kev >= spec.maximum_kev:
        raise StudyError(
            f"{path}.threshold_kev: must be below maximum_kev, got {spec.threshold_kev:g} and {spec.maximum_kev:g}"
        )
    return np.linspace(spec.threshold_kev, spec.maximum_kev, spec.bins + 1)


def _time_edges(spec: schema.Detector) -> np.ndarray[Any, np.dtype[np.float64]]:
    edges = np.array(spec.time_bin_edges_us)
    if not np.all(np.diff(edges) > 0):
        raise StudyError(f"detectors.{spec.name}.time_bin_edges_us: edges must rise")
    return edges


def _background(
    spec: schema.Detector, edges: np.ndarray[Any, np.dtype[np.float64]], base: Path
) -> detection.FloatArray:
    given = {
        key: value
        for key in ("background_ckkd", "background_ckd", "background_file")
        if (value := getattr(spec, key)) is not None
    }
    if len(given) != 1:
        found = ", ".join(given) or "none"
        raise StudyError(
            f"detectors.{spec.name}.background_ckkd: exactly one of background_ckkd, background_ckd, background_file "
            f"is required, got {found}"
        )
    if spec.background_ckkd is not None:
        return detection.flat_background(edges, spec.background_ckkd)
    if spec.background_ckd is not None:
        return detection.flat_background(edges, spec.background_ckd / (edges[-1] - edges[0]))
    assert spec.background_file is not None
    with located(f"detectors.{spec.name}.background_file"):
        energy, rate = read_two_columns(base / spec.background_file, "background file")
        return detection.tabulated_background(edges, energy, rate)


def _target(spec: schema.Detector | schema.Experiment, nuclei: NucleiConvention) -> Target:
    with located(f"detectors.{spec.name}.target"):
        return target(
            spec.target,
            rms_radius_fm=spec.rms_radius_fm,
            neutron_radius_fm=spec.neutron_radius_fm,
            convention=nuclei,
        )


def build_experiment(
    spec: schema.Experiment,
    channels: tuple[str, ...],
    form_factor: str,
    nuclei: NucleiConvention,
    directory: Path | None,
) -> Setup:
    """How a data set is analysed, from its validated keys; no data are read."""
    from nurecoil.experiments.measurement import Setup

    return Setup(
        name=spec.name,
        label=spec.label or spec.name,
        target=_target(spec, nuclei),
        mass_kg=spec.mass_kg,
        distance_m=spec.distance_m,
        protons_on_target=spec.protons_on_target,
        neutrinos_per_proton=spec.neutrinos_per_proton,
        pulse=GaussianPulse(spec.pulse.centre_us, spec.pulse.width_us),
        channels=channels,
        observed=spec.observed,
        nuisances=spec.nuisances,
        form_factor=form_factor,
        directory=directory,
    )


def build_detector(
    spec: schema.Detector, base: Path = Path(), nuclei: NucleiConvention = "standard-weight"
) -> detection.Detector:
    """A detector from its validated keys; file names are relative to `base`.

    Every fault is a `NurecoilError` whose message starts with the detector's path.
    """
    path = f"detectors.{spec.name}"
    edges = bin_edges(spec)
    of = _target(spec, nuclei)
    resolution = None
    if isinstance(spec.resolution, schema.Resolution):
        with located(f"{path}.resolution"):
            resolution = detection.Resolution(**spec.resolution.model_dump())
    efficiency: float | detection.EfficiencyTable
    if isinstance(spec.efficiency, schema.EfficiencyFile):
        with located(f"{path}.efficiency"):
            energy, values = read_two_columns(base / spec.efficiency.file, "efficiency file", highest=1.0)
            efficiency = detection.EfficiencyTable(tuple(energy.tolist()), tuple(values.tolist()), spec.efficiency.axis)
    else:
        efficiency = spec.efficiency
    quenching = 1.0 if spec.electron_quenching == "same-axis" else spec.electron_quenching
    return detection.Detector(
        name=spec.name,
        target=of,
        mass_kg=spec.mass_kg,
        distance_m=spec.distance_m,
        bin_edges_kev=edges,
        resolution=resolution,
        efficiency=efficiency,
        background_per_kg_day=_background(spec, edges, base),
        electron_quenching=quenching,
        label=spec.label or spec.target,
        time_bin_edges_us=None if spec.time_bin_edges_us is None else _time_edges(spec),
    )
