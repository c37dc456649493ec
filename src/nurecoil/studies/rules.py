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
    _check_available(file)
    for number, pair in enumerate(file.contours, start=1):
        _known(f"contours.{number}", pair, file.couplings, "coupling of this study")
        _unique(f"contours.{number}", pair)
    for number, profile in enumerate(file.profiles, start=1):
        path = f"profiles.{number}"
        _known(f"{path}.coupling", [profile.coupling], file.couplings, "coupling of this study")
        _known(f"{path}.detectors", profile.detectors or [], detectors, "detector of this study")
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


def _check_available(file: StudyFile) -> None:
    """Refuse what the contract names and this version does not do: nothing is ever replaced silently."""
    for path, value in (
        ("statistic", file.statistic),
        *((f"detectors.{spec.name}.statistic", spec.statistic) for spec in file.detectors),
    ):
        if value == "poisson":
            raise StudyError(f"{path}: poisson is not available in this version of nurecoil; use least-squares")
    if file.intervals.method == "feldman-cousins":
        raise StudyError(
            "intervals.method: feldman-cousins is not available in this version of nurecoil; use delta-chi2"
        )


def _check_panel(file: StudyFile, panel: Panel, path: str) -> None:
    detectors = [spec.name for spec in file.detectors]
    kinds = [kind for kind in ("profile", "contour", "cross_section", "spectrum") if getattr(panel, kind) is not None]
    if len(kinds) != 1:
        raise StudyError(
            f"{path}: exactly one of profile, contour, cross_section, spectrum, got {', '.join(kinds) or 'none'}"
        )
    _known(f"{path}.detectors", panel.detectors or [], detectors, "detector of this study")
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
