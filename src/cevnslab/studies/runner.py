"""Run a study: responses, statistics, and everything that its keys ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cevnslab import results
from cevnslab.inference.contours import contour
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.cross_sections import differential
from cevnslab.physics.nuclei import target
from cevnslab.progress import track
from cevnslab.studies import references, schema
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.fits import fits, summary
from cevnslab.studies.provenance import provenance
from cevnslab.studies.rules import recoil_range
from cevnslab.studies.scans import vary
from cevnslab.studies.setups import DetectorSetup
from cevnslab.studies.study import Study

CROSS_SECTION_POINTS = 300


def run(
    study: Study, *, store: Path | None = None, workers: int = 0, scheduler: str | None = None, fast: bool = False
) -> results.Result:
    """Compute everything that a study asks for; no result is written.

    Parameters
    ----------
    store : folder in which finished blocks of pseudo-experiments are kept, so that a killed run resumes.
    workers, scheduler : where pseudo-experiments run (`cevnslab.parallel.backends.backend`); the numbers are the same.
    fast : use compiled kernels (extra `fast`).

    """
    made = analyses(study)
    limits = [
        limit(study, analysis, new.name) for analysis in track(list(made.values()), "limits") for new in study.couplings
    ]
    critical_values: list[results.CriticalValues] = []
    critical_maps: list[results.CriticalMap] = []
    if study.file.intervals.method == "feldman-cousins":
        from cevnslab.parallel.backends import backend
        from cevnslab.studies import feldman_cousins

        options = feldman_cousins.Options.of(study.file.intervals, fast)
        with backend(workers, scheduler) as mapper:
            limits, critical_values = feldman_cousins.intervals(
                [(made[found.detector], found) for found in limits], options, store, mapper
            )
            wanted = [(analysis, (x, y)) for x, y in study.file.contours for analysis in made.values()]
            contours, critical_maps = feldman_cousins.regions(wanted, options, store, mapper)
    else:
        contours = _contours(study, made)
    fitted = fits(study, made, limits)
    return results.Result(
        name=study.name,
        study=study.as_dict(),
        couplings={
            name: coupling_info(study.registry[name])
            for name in dict.fromkeys([*study.file.coupling_names, *(c.coupling for c in study.file.cross_sections)])
        },
        detectors={name: results.DetectorInfo(analysis.label, analysis.channels) for name, analysis in made.items()},
        limits=tuple(limits),
        spectra=_spectra(made),
        profiles=_profiles(study, made),
        contours=tuple(contours),
        cross_sections=tuple(curve for wanted in study.file.cross_sections for curve in _cross_sections(study, wanted)),
        critical_values=tuple(critical_values),
        critical_maps=tuple(critical_maps),
        scans=_scans(study),
        fit=tuple(fitted.rows),
        data_spectra=tuple(fitted.spectra),
        pulls=tuple(fitted.pulls),
        covariances=tuple(fitted.covariances),
        summary=summary(made),
        remarks=tuple(fitted.remarks),
        **_references(study),
        provenance=provenance(study, fast=fast),
    )


def limit(study: Study, analysis: Analysis, name: str) -> results.Limit:
    """The delta chi^2 interval of one coupling."""
    options = study.file.intervals
    found = interval(analysis.chi2(name), options.confidence_level, options.minimum)
    return results.Limit(
        detector=analysis.name,
        channels=analysis.channels,
        statistic=analysis.statistic_name,
        method="delta-chi2",
        coupling=name,
        unit=study.registry[name].unit,
        confidence_level=found.confidence_level,
        delta_chi2=found.delta_chi2,
        best_fit=found.best_fit,
        segments=found.segments,
        kinds=found.kinds,
        minimum=options.minimum,
    )


def _spectra(made: dict[str, Analysis]) -> tuple[results.Spectrum, ...]:
    spectra = []
    for analysis in made.values():
        setup = analysis.setups[0]
        if len(analysis.setups) > 1 or not isinstance(setup, DetectorSetup):
            continue
        response = setup.response
        spectra.append(
            results.Spectrum(
                detector=response.name,
                bin_edges_kev=setup.detector.recoil_edges_kev,
                cevns=response.projected(response.standard_model("cevns")),
                electron=response.projected(response.standard_model("electron")),
                background=response.projected(response.background),
            )
        )
    return tuple(spectra)


def _references(study: Study) -> dict[str, Any]:
    """The stored regions that the study's figures show."""
    panels = [panel for figure in study.file.figures or [] for panel in figure.panels]
    wanted = {
        (panel.reference, tuple(panel.contour)): None
        for panel in panels
        if isinstance(panel, schema.ContourPanel) and panel.reference is not None
    }
    found = tuple(references.reference_contour(name, pair) for name, pair in wanted)
    labels = {contour.detector: references.stored()["labels"][contour.detector] for contour in found}
    return {"references": found, "reference_labels": labels}


def _profiles(study: Study, made: dict[str, Analysis]) -> tuple[results.Profile, ...]:
    profiles = []
    for wanted in study.file.profiles:
        value = np.linspace(wanted.from_, wanted.to, wanted.points)
        for name in wanted.detectors or list(made):
            chi2 = made[name].chi2(wanted.coupling)
            profiles.append(
                results.Profile(name, made[name].channels, wanted.coupling, value, chi2(value) - best_fit(chi2)[1])
            )
    return tuple(profiles)


def _contours(study: Study, made: dict[str, Analysis]) -> list[results.ContourLines]:
    wanted = [(analysis, x, y) for x, y in study.file.contours for analysis in made.values()]
    contours = []
    for analysis, x, y in track(wanted, "contours"):
        found = contour(analysis.chi2(x, y), study.file.intervals.confidence_level)
        contours.append(
            results.ContourLines(analysis.name, analysis.channels, x, y, found.confidence_level, found.polygons)
        )
    return contours


def _scans(study: Study) -> tuple[results.ScanPoint, ...]:
    """The delta chi^2 limits of every analysis that a scanned key can change, at each of its values."""
    points = []
    for wanted in study.file.scans:
        for value in track(wanted.values, f"scan {wanted.name}"):
            varied, changed = vary(study, wanted.key, value)
            for name, analysis in analyses(varied).items():
                if name in changed:
                    points += [
                        results.ScanPoint(wanted.name, wanted.key, value, limit(varied, analysis, new))
                        for new in scanned_couplings(study, wanted.key)
                    ]
    return tuple(points)


def scanned_couplings(study: Study, key: str) -> list[str]:
    """The couplings whose limits a key can change: a mediator's key its own alone, unless it is minimised over."""
    names = [new.name for new in study.couplings]
    own = [name for name in names if key.startswith(f"couplings.{name}.") and name not in study.file.profile]
    return own or names


def _cross_sections(study: Study, wanted: schema.CrossSection) -> list[results.CrossSectionCurve]:
    """The Standard Model's curve and one per value, log-spaced up to the endpoint."""
    of = target(wanted.target, rms_radius_fm=wanted.rms_radius_fm, convention=study.file.nuclei)
    recoil = np.geomspace(*recoil_range(wanted, of, study.file.form_factor), CROSS_SECTION_POINTS)
    new = study.registry[wanted.coupling]
    standard_model = new.reference if new.range_of is None else new.range_of(of)[1]
    curves = []
    for value in dict.fromkeys([standard_model, *wanted.values]):
        cross_section = differential(
            wanted.channel,
            recoil,
            wanted.energy_mev,
            of,
            couplings={new: value},
            form_factor=study.file.form_factor,
            incoming=new.flavours[0][0],
            radiative_corrections=study.file.radiative_corrections,
        )
        curves.append(
            results.CrossSectionCurve(
                wanted.target,
                wanted.channel,
                wanted.energy_mev,
                wanted.coupling,
                value,
                recoil,
                cross_section,
                value == standard_model,
            )
        )
    return curves


def coupling_info(new: Coupling) -> results.CouplingInfo:
    """What figures and tables need to know of a coupling."""
    return results.CouplingInfo(new.symbol, new.unit, new.scale, new.reference if new.linear else None, new.power)
