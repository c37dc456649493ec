"""What a run does before its first fit: whatever is wrong for a reason that needs none is said here, in check and run.

`prepare` makes all that needs no fit, once; a run goes on with it, a check ends there.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cevnslab import results
from cevnslab.datasets.release import VARIABLE
from cevnslab.errors import StudyError, located
from cevnslab.likelihood.toys import with_metric
from cevnslab.studies import counts, curves, design
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.scans import present_value, scanned
from cevnslab.studies.setups import DatasetSetup, DetectorSetup
from cevnslab.studies.sizes import check_sizes
from cevnslab.studies.study import Study
from cevnslab.studies.systematics import check_kinds
from cevnslab.studies.toy_counts import check_drawn
from cevnslab.studies.variation import Variations


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a study computes without a fit."""

    analyses: dict[str, Analysis]
    """Detectors and combinations by name."""
    spectra: tuple[results.Spectrum, ...]
    time_spectra: tuple[results.TimeSpectrum, ...]
    signals: tuple[results.SignalSpectrum, ...]
    cross_sections: tuple[results.CrossSectionCurve, ...]


def prepare(study: Study, *, data: bool = True) -> Prepared:
    """All that needs no fit. Without `data`, data sets are not read: they may be not at hand.

    Raises a `CevnslabError` that names the key: where no recoil reaches the bins, a table is too short, a likelihood
    cannot be formed, a systematic does not apply, a figure shows what is not there, or memory would not suffice.
    """
    with located(study.where):
        check_sizes(study)
        for setup in study.setups:
            check_kinds(setup, study.file.systematics)
    analyses_by_name = analyses(study, data=data)
    projected = [setup for setup in study.setups if isinstance(setup, DetectorSetup)]
    with located(study.where):
        if study.file.intervals.method == "feldman-cousins":
            _check_simulated(study, analyses_by_name)
        check_drawn(study, analyses_by_name)
        _check_variances(study, analyses_by_name)
        _check_data_panels(study)
        for question in study.file.design:
            design.check_range(study, question)
        _check_maps(study, data)
        return Prepared(
            analyses_by_name,
            counts.spectra(projected),
            counts.time_spectra(projected),
            counts.signals(study, projected),
            _cross_sections(study),
        )


def check(study: Study) -> None:
    """Raise what a run would before its first fit; see `prepare`.

    Data sets are read where a folder is named that holds them: nothing is downloaded for a check.
    """
    data = study.data is not None or bool(os.environ.get(VARIABLE))
    prepare(study, data=data)
    with located(study.where):
        for scan in study.file.scans:
            for value in scan.points:
                scanned(study, scan.name, scan.key, value, data=data)


def _check_simulated(study: Study, analyses_by_name: dict[str, Analysis]) -> None:
    """Raise `StudyError` for what pseudo-experiments cannot do."""
    from cevnslab.studies.feldman_cousins import Options

    Options.of(study.file.intervals)
    for analysis in analyses_by_name.values():
        single = len(analysis.setups) == 1
        with located(f"{'detectors' if single else 'combinations'}.{analysis.name}"):
            with_metric(analysis.likelihood)


def _check_variances(study: Study, analyses_by_name: dict[str, Analysis]) -> None:
    """Raise a `CevnslabError` for an empty bin of least squares, whose counts are its variances."""
    for analysis in analyses_by_name.values() if study.couplings else ():
        if len(analysis.setups) == 1:
            with located(f"detectors.{analysis.name}"):
                for dataset in analysis.likelihood.datasets:
                    dataset.counts_of(dataset.observed[None, :])


def _cross_sections(study: Study) -> tuple[results.CrossSectionCurve, ...]:
    lines: list[results.CrossSectionCurve] = []
    for number, curve in enumerate(study.file.cross_sections, start=1):
        with located(f"cross_sections.{number}"):
            lines += curves.cross_sections(study, curve)
    return tuple(lines)


def _check_data_panels(study: Study) -> None:
    """Raise `StudyError` for the axis of a panel that a detector with observed counts does not have."""
    axes = {
        setup.name: [axis.name for axis in setup.response.axes]
        for setup in study.setups
        if not isinstance(setup, DatasetSetup)
    }
    for figure in study.file.figures or []:
        for number, panel in enumerate(figure.panels, start=1):
            panel.check_axes(axes, f"figures.{figure.name}.panels.{number}")


def _check_maps(study: Study, data: bool) -> None:
    """Raise a `CevnslabError` for a map of which a corner cannot be computed."""
    for plane in study.file.maps:
        variations = Variations(study)
        for side in ("x", "y"):
            axis, path = getattr(plane, side), f"maps.{plane.name}.{side}"
            with located(f"{path}.key"):
                whole = isinstance(present_value(study, axis.key), int)
            for value in axis.values:
                if whole and value % 1:
                    raise StudyError(f"{path}.points: {axis.key} must be a whole number at all of them, got {value:g}")
                with located(path):
                    variations.check({axis.key: value})
        with located(f"maps.{plane.name}"):
            for x in (plane.x.from_, plane.x.to):
                for y in (plane.y.from_, plane.y.to):
                    variations.at({plane.x.key: x, plane.y.key: y}, data=data)
