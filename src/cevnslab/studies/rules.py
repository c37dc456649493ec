"""Rules that hold across the keys of a study file, checked after each key is known to be sound."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from cevnslab.errors import StudyError, located
from cevnslab.experiments.axes import AXES
from cevnslab.physics.couplings import Coupling, coupling
from cevnslab.physics.cross_sections import scatterers
from cevnslab.physics.nuclei import Target, target
from cevnslab.studies import references
from cevnslab.studies.schema import CrossSection, Detector, Experiment, Panel, StudyFile
from cevnslab.words import nearest

MOST_PROFILED = 3
"""Each takes a scan of its own at every point: three cost about a minute a limit."""


def check_across_keys(file: StudyFile, registry: Mapping[str, Coupling]) -> None:
    """Raise `StudyError` for the first key that does not fit the others; the message names its path."""
    detectors = [spec.name for spec in file.detectors]
    _unique("detectors", detectors)
    names = file.coupling_names
    _unique("couplings", names)
    _unique("profile", file.profile)
    if len(file.profile) > MOST_PROFILED:
        raise StudyError(f"profile: at most {MOST_PROFILED} couplings can be minimised over, got {len(file.profile)}")
    for name in file.profile:
        with located("profile"):
            coupling(name, registry)
    _check_not_linear(file, registry)
    for spec in file.detectors:
        if spec.channels is not None:
            _unique(f"detectors.{spec.name}.channels", spec.channels)
        if isinstance(spec, Experiment) and "cevns" not in (spec.channels or file.channels):
            raise StudyError(f"detectors.{spec.name}.channels: cevns is needed: without it there is no signal to fit")
    _unique("channels", file.channels)
    _check_intervals(file)
    _check_combinations(file)
    analysed = detectors + [combination.name for combination in file.combinations]
    _unique("scans", [scan.name for scan in file.scans])
    for number, pair in enumerate(file.contours, start=1):
        _known(f"contours.{number}", pair, names, "coupling of this study")
        _unique(f"contours.{number}", pair)
    for number, profile in enumerate(file.profiles, start=1):
        path = f"profiles.{number}"
        _known(f"{path}.coupling", [profile.coupling], names, "coupling of this study")
        _known(f"{path}.detectors", profile.detectors or [], analysed, "detector of this study")
        if profile.from_ >= profile.to:
            raise StudyError(f"{path}.from: must be below `to`, got {profile.from_:g} and {profile.to:g}")
        with located(path):
            coupling(profile.coupling, registry).check(profile.from_)
            coupling(profile.coupling, registry).check(profile.to)
    for number, curve in enumerate(file.cross_sections, start=1):
        path = f"cross_sections.{number}"
        with located(f"{path}.coupling"):
            new = coupling(curve.coupling, registry)
        with located(f"{path}.values"):
            for value in curve.values:
                new.check(value)
        with located(f"{path}.target"):
            of = target(curve.target, rms_radius_fm=curve.rms_radius_fm, convention=file.nuclei)
        with located(path):
            recoil_range(curve, of, file.form_factor)
    for figure in file.figures or []:
        for number, panel in enumerate(figure.panels, start=1):
            _check_panel(file, panel, f"figures.{figure.name}.panels.{number}")
    _unique("figures", [figure.name for figure in file.figures or []])


LARGEST_ELECTRON_RECOIL_KEV = 100.0


def recoil_range(curve: CrossSection, of: Target, form_factor: str) -> tuple[float, float]:
    """The recoil energies between which a cross section is drawn; `StudyError` where there are none.

    Up to the endpoint unless the study says less; electrons to 100 keV at most.
    """
    particles = scatterers(of, curve.channel, form_factor)
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
    """Couplings that counts are expanded in: one at a time, and none in toys or under a common signal."""
    known = [name for name in dict.fromkeys([*file.coupling_names, *file.profile]) if name in registry]
    found = [name for name in known if not registry[name].linear]
    if len(found) > 1:
        raise StudyError(f"couplings: {' and '.join(found)} are not linear in the amplitudes: one of them at a time")
    for name in found:
        if file.intervals.method == "feldman-cousins":
            raise StudyError(f"couplings: feldman-cousins is not available for {name}; use method: delta-chi2")
        if file.combinations:
            raise StudyError(f"combinations: {name} is a property of each target; detectors cannot share it")


def _check_intervals(file: StudyFile) -> None:
    if file.intervals.method == "delta-chi2":
        for key in ("toys", "seed", "ensemble"):
            if getattr(file.intervals, key) is not None:
                raise StudyError(f"intervals.{key}: only with method: feldman-cousins; delta-chi2 uses no toys")
    if file.profile and file.intervals.method == "feldman-cousins":
        raise StudyError("profile: feldman-cousins is not available with couplings minimised over; use delta-chi2")
    projected = [spec for spec in file.detectors if isinstance(spec, Detector)]
    bent = [s for s in projected if (u := s.uncertainties or file.uncertainties) and (u.energy_scale or u.quenching)]
    if file.intervals.method == "feldman-cousins" and bent:
        raise StudyError(f"detectors.{bent[0].name}.uncertainties: feldman-cousins knows normalisations only")
    statistics = {file.statistic, *(spec.statistic for spec in projected)}
    if file.intervals.method == "feldman-cousins" and len(projected) < len(file.detectors):
        name = next(spec.name for spec in file.detectors if isinstance(spec, Experiment))
        raise StudyError(
            f"detectors.{name}: feldman-cousins is not available for the data of experiments; use method: delta-chi2"
        )
    if file.intervals.method == "feldman-cousins" and file.intervals.minimum == "connected" and file.contours:
        raise StudyError("contours: feldman-cousins regions compare with the global minimum; remove them or use global")
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
            members = [spec for name in combination.detectors if isinstance(spec := detectors[name], Detector)]
            if len(members) < len(combination.detectors):
                raise StudyError(f"{path}.signal: experiments have fluxes of their own; use independent")
            for spec in members:
                widths = spec.uncertainties or file.uncertainties
                if widths is not None and (widths.energy_scale or widths.quenching):
                    raise StudyError(f"{path}.signal: with shape uncertainties ({spec.name}) use independent")
            if len({spec.statistic or file.statistic for spec in members}) > 1:
                raise StudyError(f"{path}.signal: correlated needs one statistic for all detectors")
            uncertainties = [spec.uncertainties or file.uncertainties for spec in members]
            if len({each.signal for each in uncertainties if each is not None}) > 1:
                raise StudyError(f"{path}.signal: correlated needs one signal uncertainty for all detectors")
        elif file.intervals.method == "feldman-cousins":
            raise StudyError(f"{path}.signal: feldman-cousins is available for correlated combinations only")


def _check_panel(file: StudyFile, panel: Panel, path: str) -> None:
    detectors = [spec.name for spec in file.detectors]
    analysed = detectors + [combination.name for combination in file.combinations]
    possible = ("profile", "contour", "cross_section", "spectrum", "data")
    kinds = [kind for kind in possible if getattr(panel, kind) is not None]
    if len(kinds) != 1:
        raise StudyError(f"{path}: exactly one of {', '.join(possible)}, got {', '.join(kinds) or 'none'}")
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
    projected = [spec.name for spec in file.detectors if isinstance(spec, Detector)]
    measured = [spec.name for spec in file.detectors if isinstance(spec, Experiment)]
    _known(
        f"{path}.spectrum", [panel.spectrum] if panel.spectrum else [], projected, "projected detector of this study"
    )
    _known(f"{path}.data", [panel.data] if panel.data else [], measured, "experiment of this study")
    if (panel.data is None) != (panel.axis is None):
        raise StudyError(f"{path}.axis: goes with data, such as data: coherent-csi-2021, axis: energy_pe")
    if panel.data is not None and panel.axis is not None:
        experiment = next(s.experiment for s in file.detectors if isinstance(s, Experiment) and s.name == panel.data)
        _known(f"{path}.axis", [panel.axis], AXES[experiment], f"axis of {experiment}")
    if panel.reference is not None:
        if panel.contour is None:
            raise StudyError(f"{path}.reference: is drawn beside a contour only")
        with located(f"{path}.reference"):
            references.reference_contour(panel.reference, panel.contour)
    if panel.profile is not None:
        _check_profile_panel(file, panel, analysed, path)
    if panel.cross_section is not None and panel.values is not None:
        values = {
            value
            for c in file.cross_sections
            if (c.target, c.energy_mev) == (panel.cross_section, panel.energy_mev)
            for value in c.values
        }
        for value in panel.values:
            if value not in values:
                shown = ", ".join(f"{known:g}" for known in sorted(values))
                raise StudyError(f"{path}.values: {value:g} is not among the computed ones ({shown})")
    if panel.range and panel.range[0] >= panel.range[1]:
        raise StudyError(f"{path}.range: must rise, got {panel.range[0]:g} and {panel.range[1]:g}")


def _check_profile_panel(file: StudyFile, panel: Panel, analysed: Sequence[str], path: str) -> None:
    """Every coupling and detector of the panel needs a profile, inside the panel's range."""
    low, high = panel.range or (-math.inf, math.inf)
    for coupling_name in panel.profile or []:
        for detector in panel.detectors or analysed:
            made = [p for p in file.profiles if p.coupling == coupling_name and detector in (p.detectors or analysed)]
            if panel.detectors and not made:
                raise StudyError(f"{path}.detectors: {detector} has no profile of {coupling_name} under `profiles`")
            if made and not any(p.from_ < high and p.to > low for p in made):
                raise StudyError(f"{path}.range: no profile of {coupling_name} for {detector} reaches into it")


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
