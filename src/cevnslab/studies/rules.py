"""Rules that hold across the keys of a study file, checked after each key is known to be sound."""

from __future__ import annotations

from collections.abc import Mapping

from cevnslab.datasets.registry import dataset
from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import Coupling, coupling
from cevnslab.physics.cross_sections import scatterers
from cevnslab.physics.nuclei import Target, target
from cevnslab.studies.schema import CrossSection, DatasetDetector, Detector, StudyFile
from cevnslab.studies.schema.base import require_known, require_unique
from cevnslab.studies.schema.figures import Contents
from cevnslab.studies.schema.planning import Range, check_planning
from cevnslab.studies.schema.systematics import check_priors, check_systematics

MOST_PROFILED = 3
"""Each takes a scan of its own at every point: three cost about a minute a limit."""


def check_across_keys(file: StudyFile, registry: Mapping[str, Coupling]) -> None:
    """Raise `StudyError` for the first key that does not fit the others; the message names its path."""
    detectors = [spec.name for spec in file.detectors]
    require_unique("detectors", detectors)
    names = file.coupling_names
    require_unique("couplings", names)
    require_unique("profile", file.profile)
    if len(file.profile) > MOST_PROFILED:
        raise StudyError(f"profile: at most {MOST_PROFILED} couplings can be minimised over, got {len(file.profile)}")
    for name in file.profile:
        with located("profile"):
            coupling(name, registry)
    _check_not_linear(file, registry)
    _check_detectors(file)
    require_unique("channels", file.channels)
    _check_intervals(file)
    _check_combinations(file)
    check_systematics(
        file.systematics,
        {spec.name: spec.channels or file.channels for spec in file.detectors},
        {spec.name: _background_names(spec) for spec in file.detectors},
    )
    check_priors(file.priors, [*names, *file.profile])
    analysed = [*detectors, *(combination.name for combination in file.combinations)]
    check_planning(file.design, file.maps, analysed, names)
    require_unique("scans", [scan.name for scan in file.scans])
    for scan in file.scans:
        if isinstance(scan.values, Range):
            scan.values.check(f"scans.{scan.name}.values")
    _check_curves(file, registry, analysed)
    _check_figures(file, registry)


def _check_detectors(file: StudyFile) -> None:
    """Channels, and data sets that there are."""
    for spec in file.detectors:
        if spec.channels is not None:
            require_unique(f"detectors.{spec.name}.channels", spec.channels)
        if isinstance(spec, DatasetDetector):
            with located(f"detectors.{spec.name}.dataset"):
                dataset(spec.dataset)
        if isinstance(spec, DatasetDetector) and "cevns" not in (spec.channels or file.channels):
            raise StudyError(f"detectors.{spec.name}.channels: cevns is needed: without it there is no signal to fit")


def _check_curves(file: StudyFile, registry: Mapping[str, Coupling], analysed: list[str]) -> None:
    """Contours, profiles and cross sections: their couplings and detectors, and values that a coupling can have."""
    names = file.coupling_names
    for number, pair in enumerate(file.contours, start=1):
        require_known(f"contours.{number}", pair, names, "coupling of this study")
        require_unique(f"contours.{number}", pair)
    for number, profile in enumerate(file.profiles, start=1):
        path = f"profiles.{number}"
        require_known(f"{path}.coupling", [profile.coupling], names, "coupling of this study")
        require_known(f"{path}.detectors", profile.detectors or [], analysed, "detector of this study")
        if profile.from_ >= profile.to:
            raise StudyError(f"{path}.from: must be below `to`, got {profile.from_:g} and {profile.to:g}")
        with located(path):
            coupling(profile.coupling, registry).check(profile.from_)
            coupling(profile.coupling, registry).check(profile.to)
    for number, curve in enumerate(file.cross_sections, start=1):
        path = f"cross_sections.{number}"
        with located(f"{path}.coupling"):
            each = coupling(curve.coupling, registry)
            if each.channel:
                raise StudyError(f"{each.name} is a factor on counts; a cross section needs a coupling with kernels")
        with located(f"{path}.values"):
            for value in curve.values:
                each.check(value)
        with located(f"{path}.target"):
            nuclei = target(curve.target, rms_radius_fm=curve.rms_radius_fm, convention=file.nuclei)
        with located(path):
            recoil_range(curve, nuclei, file.form_factor)


def _check_figures(file: StudyFile, registry: Mapping[str, Coupling]) -> None:
    """Panels show what the study computes, and no figure has the name of another."""
    for figure in file.figures or []:
        figure.check(_contents(file, registry))
    require_unique("figures", [figure.name for figure in file.figures or []])
    drawn_anyway = {"coverage", "critical-values", "critical-maps", "bands"}
    drawn_anyway |= {f"scan-{scan.name}" for scan in file.scans}
    drawn_anyway |= {f"goal-{question.name}" for question in file.design} | {f"map-{entry.name}" for entry in file.maps}
    drawn_anyway |= {f"pulls-{spec.name}" for spec in (*file.detectors, *file.combinations)}
    for figure in file.figures or []:
        if figure.name.casefold() in {name.casefold() for name in drawn_anyway}:
            raise StudyError(f"figures.{figure.name}.name: a figure that is drawn without being listed has this name")


def _background_names(spec: Detector | DatasetDetector) -> list[str]:
    """What a detector's backgrounds are called."""
    if isinstance(spec, DatasetDetector):
        return list(dataset(spec.dataset).description.backgrounds)
    return ["background"] if spec.backgrounds is None else [background.name for background in spec.backgrounds]


def _contents(file: StudyFile, registry: Mapping[str, Coupling]) -> Contents:
    """What panels may show."""
    projected = [spec for spec in file.detectors if isinstance(spec, Detector)]
    real_sets = [spec.name for spec in file.detectors if isinstance(spec, DatasetDetector)]
    counted = [*real_sets, *(spec.name for spec in projected if spec.observed not in (None, "asimov"))]
    real = [spec.name for spec in file.detectors if spec.name in counted and spec.observed != "asimov"]
    fitted = [*real, *(each.name for each in file.combinations if set(real) & set(each.detectors))]
    names = [*(spec.name for spec in file.detectors), *(each.name for each in file.combinations)]
    return Contents(
        projected=tuple(spec.name for spec in projected),
        timed=tuple(spec.name for spec in projected if spec.time_bin_edges_us is not None),
        couplings={name: registry[name] for name in file.coupling_names},
        observed=tuple(counted),
        fitted=tuple(names if file.pulls else fitted),
        goals=tuple(question.name for question in file.design),
        maps=tuple(entry.name for entry in file.maps),
        scanned={s.name: (file.scanned_couplings(s.key), file.scanned_detectors(s.key)) for s in file.scans},
        expected=file.bands is not None,
        simulated=file.intervals.method == "feldman-cousins",
        data_axes={
            spec.name: tuple(dataset(spec.dataset).description.axes)
            for spec in file.detectors
            if isinstance(spec, DatasetDetector)
        },
        combinations=tuple(combination.name for combination in file.combinations),
        profiles=tuple(file.profiles),
        contours=tuple((x, y) for x, y in file.contours),
        cross_sections=tuple(file.cross_sections),
    )


LARGEST_ELECTRON_RECOIL_KEV = 100.0


def recoil_range(curve: CrossSection, target: Target, form_factor: str) -> tuple[float, float]:
    """The recoil energies between which a cross section is drawn; `StudyError` where there are none.

    Up to the endpoint unless the study says less; electrons to 100 keV at most.
    """
    particles = scatterers(target, curve.channel, form_factor)
    endpoint = max(particle.maximum_recoil_kev(curve.energy_mev) for particle, _ in particles)
    default = min(endpoint, LARGEST_ELECTRON_RECOIL_KEV) if curve.channel == "electron" else endpoint
    high = curve.recoil_to_kev or default
    if curve.recoil_from_kev >= min(high, endpoint):
        raise StudyError(
            f"recoil_from_kev: must be below recoil_to_kev and the endpoint, {endpoint:.4g} keV at "
            f"{curve.energy_mev:g} MeV, got {curve.recoil_from_kev:g}"
        )
    return curve.recoil_from_kev, high


def _check_not_linear(file: StudyFile, registry: Mapping[str, Coupling]) -> None:
    """Couplings that counts are expanded in: one at a time, and none of several targets together."""
    names = [name for name in dict.fromkeys([*file.coupling_names, *file.profile]) if name in registry]
    nonlinear = [name for name in names if not registry[name].linear]
    if len(nonlinear) > 1:
        raise StudyError(
            f"couplings: {' and '.join(nonlinear)} are not linear in the amplitudes: one of them at a time"
        )
    for name in nonlinear:
        if file.combinations:
            raise StudyError(f"combinations: {name} is a property of each target; detectors cannot share it")


def _check_intervals(file: StudyFile) -> None:
    levels = file.intervals.levels
    if len(set(levels)) < len(levels):
        raise StudyError("intervals.confidence_level: a level is given twice")
    if file.intervals.method == "feldman-cousins":
        for key, what in (("bands", "expected limits"), ("design", "goals"), ("maps", "maps")):
            if getattr(file, key):
                raise StudyError(f"{key}: {what} are those of delta-chi2; feldman-cousins has none yet")
    for plane in file.maps:
        for side in (plane.x, plane.y):
            if side.key.startswith("intervals."):
                raise StudyError(f"maps.{plane.name}: a map has one level and one minimum; use `scans` for {side.key}")
    if file.intervals.method == "delta-chi2":
        for key in ("toys", "seed", "ensemble"):
            if getattr(file.intervals, key) is not None:
                raise StudyError(f"intervals.{key}: only with method: feldman-cousins; delta-chi2 uses no toys")
    if file.intervals.method == "feldman-cousins" and file.intervals.minimum == "connected" and file.contours:
        raise StudyError("contours: feldman-cousins regions compare with the global minimum; remove them or use global")


def _check_combinations(file: StudyFile) -> None:
    detectors = {spec.name: spec for spec in file.detectors}
    require_unique("combinations", [combination.name for combination in file.combinations])
    for combination in file.combinations:
        path = f"combinations.{combination.name}"
        if combination.name.casefold() in {name.casefold() for name in detectors}:
            raise StudyError(f"{path}.name: a detector has this name too (case does not count); names must be unique")
        require_known(f"{path}.detectors", combination.detectors, detectors, "detector of this study")
        for name in combination.detectors:
            if combination.detectors.count(name) > 1:
                raise StudyError(f"{path}.detectors: '{name}' cannot be combined with itself")
        if combination.signal == "correlated":
            members = [spec for name in combination.detectors if isinstance(spec := detectors[name], Detector)]
            uncertainties = [spec.uncertainties or file.uncertainties for spec in members]
            if len({each.signal for each in uncertainties if each is not None}) > 1:
                raise StudyError(
                    f"{path}.signal: correlated needs one signal uncertainty for all detectors; a common part beside "
                    "each detector's own is an entry of systematics"
                )
