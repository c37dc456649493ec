"""Run a study: responses, statistics, and everything that its keys ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cevnslab import results
from cevnslab.errors import located
from cevnslab.parallel.backends import backend
from cevnslab.studies import counts, design, references
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.bands import bands
from cevnslab.studies.fits import fits, strengths, summary
from cevnslab.studies.preparation import prepare
from cevnslab.studies.provenance import provenance
from cevnslab.studies.registry import coupling_info
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
        intervals = _intervals(study, analyses, curve)
        profiles = curve.profiles(analyses)
        pairs = [(analysis, coupling.name) for analysis in analyses.values() for coupling in study.couplings]
        expected, scan_bands = bands(study, pairs, store, mapper), curve.scan_bands()
        strength = strengths(study, analyses, store, mapper)
        fitted = fits(study, analyses, intervals.limits, store, mapper)
    labels, stored_contours = counts.labels(study), _stored_contours(study)
    return results.Result(
        name=study.name,
        study=study.as_dict(),
        couplings={
            name: coupling_info(study.registry[name])
            for name in dict.fromkeys([*study.file.coupling_names, *(c.coupling for c in study.file.cross_sections)])
        },
        detectors={name: results.DetectorInfo(labels[name], analysis.channels) for name, analysis in analyses.items()},
        limits=tuple(intervals.limits),
        spectra=prepared.spectra,
        time_spectra=prepared.time_spectra,
        signals=prepared.signals,
        profiles=tuple(profiles),
        contours=tuple(intervals.contours),
        cross_sections=prepared.cross_sections,
        critical_values=tuple(intervals.critical_values),
        critical_maps=tuple(intervals.critical_maps),
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
        references=stored_contours,
        reference_labels={each.detector: references.stored()["labels"][each.detector] for each in stored_contours},
        provenance=provenance(study),
    )


@dataclass(frozen=True, eq=False)
class _Intervals:
    """What the study's method gives of one and two couplings."""

    limits: Sequence[results.Limit]
    contours: Sequence[results.ContourLines]
    critical_values: Sequence[results.CriticalValues] = ()
    critical_maps: Sequence[results.CriticalMap] = ()


def _intervals(study: Study, analyses: dict[str, Analysis], curve: Curves) -> _Intervals:
    """Limits and regions; with Feldman-Cousins the simulated critical values that they come from."""
    limits = curve.limits(analyses)
    if study.file.intervals.method != "feldman-cousins":
        return _Intervals(limits, curve.contours(analyses))
    from cevnslab.studies import feldman_cousins

    options = feldman_cousins.Options.of(study.file.intervals)
    likely = [(analyses[limit.detector], limit) for limit in limits]
    simulated, critical_values = feldman_cousins.intervals(likely, options, curve.store, curve.mapper)
    planes = [
        (analysis, (x, y), level)
        for x, y in study.file.contours
        for analysis in analyses.values()
        for level in study.file.intervals.levels
    ]
    contours, critical_maps = feldman_cousins.regions(planes, options, curve.store, curve.mapper)
    return _Intervals(simulated, contours, critical_values, critical_maps)


def _stored_contours(study: Study) -> tuple[results.ContourLines, ...]:
    """The stored regions that the study's figures show."""
    panels = [panel for figure in study.file.figures or [] for panel in figure.panels]
    regions = dict.fromkeys(region for panel in panels for region in panel.stored_regions())
    return tuple(references.reference_contour(region.reference, region.couplings) for region in regions)
