"""Rules that hold across the keys of a study file, checked after each key is known to be sound."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nurecoil.errors import StudyError, located
from nurecoil.physics.couplings import coupling, nearest
from nurecoil.physics.nuclei import target
from nurecoil.studies.schema import Panel, StudyFile


def check_across_keys(file: StudyFile) -> None:
    """Raise `StudyError` for the first key that does not fit the others; the message names its path."""
    detectors = [spec.name for spec in file.detectors]
    _unique("detectors", detectors)
    _unique("couplings", file.couplings)
    for spec in file.detectors:
        if spec.channels is not None:
            _unique(f"detectors.{spec.name}.channels", spec.channels)
    _unique("channels", file.channels)
    _check_intervals(file)
    _check_combinations(file)
    analysed = detectors + [combination.name for combination in file.combinations]
    _unique("scans", [scan.name for scan in file.scans])
    for number, pair in enumerate(file.contours, start=1):
        _known(f"contours.{number}", pair, file.couplings, "coupling of this study")
        _unique(f"contours.{number}", pair)
    for number, profile in enumerate(file.profiles, start=1):
        path = f"profiles.{number}"
        _known(f"{path}.coupling", [profile.coupling], file.couplings, "coupling of this study")
        _known(f"{path}.detectors", profile.detectors or [], analysed, "detector of this study")
        if profile.from_ >= profile.to:
            raise StudyError(f"{path}.from: must be below `to`, got {profile.from_:g} and {profile.to:g}")
        with located(path):
            coupling(profile.coupling).check(profile.from_)
            coupling(profile.coupling).check(profile.to)
    for number, curve in enumerate(file.cross_sections, start=1):
        path = f"cross_sections.{number}"
        with located(f"{path}.coupling"):
            new = coupling(curve.coupling)
        with located(f"{path}.values"):
            for value in curve.values:
                new.check(value)
        with located(f"{path}.target"):
            target(curve.target, convention=file.nuclei)
    for figure in file.figures or []:
        for number, panel in enumerate(figure.panels, start=1):
            _check_panel(file, panel, f"figures.{figure.name}.panels.{number}")
    _unique("figures", [figure.name for figure in file.figures or []])


def _check_intervals(file: StudyFile) -> None:
    if file.intervals.method == "delta-chi2":
        for key in ("toys", "seed", "ensemble"):
            if getattr(file.intervals, key) is not None:
                raise StudyError(f"intervals.{key}: only with method: feldman-cousins; delta-chi2 uses no toys")
    statistics = {file.statistic, *(spec.statistic for spec in file.detectors)}
    if "poisson" in statistics and file.intervals.method == "feldman-cousins":
        if file.intervals.minimum == "connected":
            raise StudyError("intervals.minimum: connected is not available for poisson pseudo-experiments; use global")
        if file.contours:
            raise StudyError("contours: feldman-cousins regions are not available for poisson; use least-squares")


def _check_combinations(file: StudyFile) -> None:
    detectors = {spec.name: spec for spec in file.detectors}
    _unique("combinations", [combination.name for combination in file.combinations])
    for combination in file.combinations:
        path = f"combinations.{combination.name}"
        if combination.name in detectors:
            raise StudyError(f"{path}.name: a detector has this name too; names must be unique")
        _known(f"{path}.detectors", combination.detectors, detectors, "detector of this study")
        for name in combination.detectors:
            if combination.detectors.count(name) > 1:
                raise StudyError(f"{path}.detectors: '{name}' cannot be combined with itself")
        if combination.signal == "correlated":
            members = [detectors[name] for name in combination.detectors]
            if len({spec.statistic or file.statistic for spec in members}) > 1:
                raise StudyError(f"{path}.signal: correlated needs one statistic for all detectors")
            if len({(spec.uncertainties or file.uncertainties).signal for spec in members}) > 1:
                raise StudyError(f"{path}.signal: correlated needs one signal uncertainty for all detectors")
        elif file.intervals.method == "feldman-cousins":
            raise StudyError(f"{path}.signal: feldman-cousins is available for correlated combinations only")


def _check_panel(file: StudyFile, panel: Panel, path: str) -> None:
    detectors = [spec.name for spec in file.detectors]
    analysed = detectors + [combination.name for combination in file.combinations]
    kinds = [kind for kind in ("profile", "contour", "cross_section", "spectrum") if getattr(panel, kind) is not None]
    if len(kinds) != 1:
        raise StudyError(
            f"{path}: exactly one of profile, contour, cross_section, spectrum, got {', '.join(kinds) or 'none'}"
        )
    _known(f"{path}.detectors", panel.detectors or [], analysed, "detector of this study")
    _known(f"{path}.profile", panel.profile or [], [p.coupling for p in file.profiles], "coupling under `profiles`")
    if panel.contour is not None and panel.contour not in file.contours:
        raise StudyError(f"{path}.contour: [{', '.join(panel.contour)}] is not among the study's contours")
    if panel.cross_section is not None:
        computed = {(c.target, c.energy_mev, c.channel) for c in file.cross_sections}
        for channel in panel.channels:
            if (panel.cross_section, panel.energy_mev, channel) not in computed:
                raise StudyError(
                    f"{path}.cross_section: {panel.cross_section} at energy_mev {panel.energy_mev or 'not given'} "
                    f"in the channel {channel} is not among the study's cross_sections"
                )
    _known(f"{path}.spectrum", [panel.spectrum] if panel.spectrum else [], detectors, "detector of this study")
    if panel.range and panel.range[0] >= panel.range[1]:
        raise StudyError(f"{path}.range: must rise, got {panel.range[0]:g} and {panel.range[1]:g}")


def _unique(path: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise StudyError(f"{path}: '{name}' is given twice; names must be unique")
        seen.add(name)


def _known(path: str, names: Sequence[str], known: Iterable[str], what: str) -> None:
    names_known = list(known)
    for name in names:
        if name not in names_known:
            raise StudyError(f"{path}: '{name}' is no {what}; {nearest(name, names_known)}")
