"""Run a study: responses, statistics, and everything that its keys ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cevnslab import results
from cevnslab.errors import located
from cevnslab.parallel.backends import backend
from cevnslab.physics.couplings import Coupling
from cevnslab.progress import track
from cevnslab.studies import counts, curves, design, references
from cevnslab.studies.bands import bands
from cevnslab.studies.fits import fits, strengths, summary
from cevnslab.studies.preparation import prepare
from cevnslab.studies.provenance import provenance
from cevnslab.studies.study import Study
from cevnslab.studies.tasks import Curves


def run(study: Study, *, store: Path | None = None, workers: int = 0, scheduler: str | None = None) -> results.Result:
    """Compute everything that a study asks for; no result is written.

    Parameters
    ----------
    store
        Folder in which finished blocks of pseudo-experiments are kept, so that a killed run resumes.
    workers, scheduler
        Where pseudo-experiments run (`cevnslab.parallel.backends.backend`); the numbers are the same.

    """
    prepared = prepare(study)
    analyses = prepared.analyses
    with backend(workers, scheduler) as mapper:
        curve = Curves(study, store, mapper)
        # First what may meet a value that the study does not allow: no hours of pseudo-experiments are lost to it.
        with located(study.where):
            scans = curve.scans(analyses)
            solutions = [design.solved(study, question) for question in study.file.design]
            planes = curve.maps(analyses)
        limits = [
            limit
            for analysis in track(list(analyses.values()), "limits")
            for coupling in study.couplings
            for limit in curves.limits(study, analysis, coupling.name)
        ]
        critical_values: list[results.CriticalValues] = []
        critical_maps: list[results.CriticalMap] = []
        if study.file.intervals.method == "feldman-cousins":
            from cevnslab.studies import feldman_cousins

            options = feldman_cousins.Options.of(study.file.intervals)
            limits, critical_values = feldman_cousins.intervals(
                [(analyses[each.detector], each) for each in limits], options, store, mapper
            )
            region_tasks = [
                (analysis, (x, y), level)
                for x, y in study.file.contours
                for analysis in analyses.values()
                for level in study.file.intervals.levels
            ]
            contours, critical_maps = feldman_cousins.regions(region_tasks, options, store, mapper)
        else:
            contours = curve.contours(analyses)
        profiles = curve.profiles(analyses)
        pairs = [(analysis, coupling.name) for analysis in analyses.values() for coupling in study.couplings]
        expected, scan_bands = bands(study, pairs, store, mapper), curve.scan_bands()
        strength = strengths(study, analyses, store, mapper)
    fitted = fits(study, analyses, limits)
    labels = counts.labels(study)
    return results.Result(
        name=study.name,
        study=study.as_dict(),
        couplings={
            name: coupling_info(study.registry[name])
            for name in dict.fromkeys([*study.file.coupling_names, *(c.coupling for c in study.file.cross_sections)])
        },
        detectors={name: results.DetectorInfo(labels[name], analysis.channels) for name, analysis in analyses.items()},
        limits=tuple(limits),
        spectra=prepared.spectra,
        time_spectra=prepared.time_spectra,
        signals=prepared.signals,
        profiles=tuple(profiles),
        contours=tuple(contours),
        cross_sections=prepared.cross_sections,
        critical_values=tuple(critical_values),
        critical_maps=tuple(critical_maps),
        scans=tuple(scans),
        fit=tuple(fitted.rows),
        data_spectra=tuple(fitted.spectra),
        pulls=tuple(fitted.pulls),
        covariances=tuple(fitted.covariances),
        summary=summary(analyses),
        bands=tuple(expected),
        scan_bands=tuple(scan_bands),
        significances=strength,
        remarks=tuple(fitted.remarks),
        design=tuple(answer for solution in solutions for answer in solution.answers),
        goal_curves=tuple(solution.curve for solution in solutions),
        maps=tuple(planes),
        **_references(study),
        provenance=provenance(study),
    )


def _references(study: Study) -> dict[str, Any]:
    """The stored regions that the study's figures show."""
    panels = [panel for figure in study.file.figures or [] for panel in figure.panels]
    regions = dict.fromkeys(region for panel in panels for region in panel.stored_regions())
    contours = tuple(references.reference_contour(region.reference, region.couplings) for region in regions)
    labels = {contour.detector: references.stored()["labels"][contour.detector] for contour in contours}
    return {"references": contours, "reference_labels": labels}


def coupling_info(coupling: Coupling) -> results.CouplingInfo:
    """What figures and tables need to know of a coupling."""
    return results.CouplingInfo(
        coupling.symbol, coupling.unit, coupling.scale, coupling.reference if coupling.linear else None, coupling.power
    )
