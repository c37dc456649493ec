"""Does an interval that says 90 % cover the truth in 90 % of experiments? Simulated, and counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import PhysicsError, StudyError, UnknownNameError, located
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_tasks import ToyTask, delta_chi2, fewest_toys
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.statistics import Statistic
from cevnslab.likelihood.toys import Ensemble
from cevnslab.parallel.backends import backend
from cevnslab.progress import notice
from cevnslab.results import CouplingInfo
from cevnslab.results.plain import Plain
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.feldman_cousins import convention
from cevnslab.studies.provenance import provenance
from cevnslab.studies.registry import coupling_info
from cevnslab.studies.setups import DetectorSetup, sparse_bins
from cevnslab.studies.study import Study
from cevnslab.studies.toy_counts import check_toy_counts
from cevnslab.words import excerpt, nearest

FloatArray = NDArray[np.float64]

FEWEST_TOYS = 100


@dataclass(frozen=True)
class CoveragePoint:
    """How often the delta chi^2 interval holds one true value."""

    detector: str
    channels: str
    coupling: str
    true_value: float
    """In the coupling's plain unit."""
    confidence_level: float
    statistic: str
    convention: str
    """Which minimum the interval compares with, and the ensemble of the pseudo-experiments."""
    toys: int
    coverage: float
    """The fraction of toys whose interval holds the truth."""
    coverage_error: float
    """Its binomial standard deviation, at least that of one toy."""
    critical_value: float
    """The delta chi^2 that would have given the confidence level."""
    seed: int


@dataclass(frozen=True, eq=False)
class Coverage:
    """A coverage study's points and where they come from."""

    name: str
    couplings: Mapping[str, CouplingInfo]
    labels: Mapping[str, str]
    """Of the detectors."""
    points: tuple[CoveragePoint, ...]
    provenance: Mapping[str, Plain]


def coverage(
    study: Study,
    detector: str,
    name: str,
    values: Sequence[float],
    *,
    toys: int,
    seed: int = 1,
    statistic: str | None = None,
    minimum: Minimum | None = None,
    ensemble: Ensemble = "drawn",
    store: Path | None = None,
    workers: int = 0,
    scheduler: str | None = None,
) -> Coverage:
    """The coverage of one coupling's delta chi^2 interval at true values, one point per confidence level of the study.

    Least squares on a toy uses the toy's own counts as variances, as Eq. (15) of arXiv:2409.10652 does.

    Parameters
    ----------
    detector
        A detector or combination of the study.
    name
        The coupling.
    values
        True values in the coupling's plain unit; `PhysicsError` out of its bounds.
    toys
        Pseudo-experiments per value, at least 100.
    statistic
        ``"least-squares"`` or ``"poisson"``; the study's unless given. Data sets have their own.
    minimum
        As in a study's `intervals`, whose value is the default.

    """
    request = check_request(study, detector, name, values, toys=toys, seed=seed, statistic=statistic, minimum=minimum)
    analysis = request.analysis
    for setup in analysis.setups if request.statistic == "least-squares" else ():
        sparse = sparse_bins(setup)
        if sparse is not None:
            notice(f"warning: {sparse}")
    tasks = [
        ToyTask(
            likelihood=request.likelihood,
            names=(name,),
            truth=(float(value),),
            toys=toys,
            seed=seed,
            # A point's random numbers are its own: they depend on what it is, not on its place in the command.
            stream=(analysis.declared, request.statistic, f"truth {float(value)!r}"),
            hidden=analysis.hidden(name),
            minimum=request.minimum,
            ensemble=ensemble,
        )
        for value in values
    ]
    with backend(workers, scheduler) as mapper:
        samples = delta_chi2(tasks, store, mapper, "coverage")
    return Coverage(
        study.name,
        {coupling.name: coupling_info(coupling) for coupling in study.couplings},
        {setup.name: setup.label for setup in study.setups},
        tuple(
            _point(request, task, sample, level)
            for task, sample in zip(tasks, samples, strict=True)
            for level in study.file.intervals.levels
        ),
        provenance(study),
    )


def _point(request: Request, task: ToyTask, sample: FloatArray, confidence_level: float) -> CoveragePoint:
    """How often the interval of a confidence level covers the truth of a task, from delta chi^2 of its toys there."""
    covered = float(np.mean(sample <= delta_chi2_level(confidence_level, 1)))
    return CoveragePoint(
        detector=request.analysis.name,
        channels=request.analysis.channels,
        coupling=task.names[0],
        true_value=task.truth[0],
        confidence_level=confidence_level,
        statistic=request.statistic,
        convention=convention(task.minimum, task.ensemble),
        toys=task.toys,
        coverage=covered,
        coverage_error=max(float(np.sqrt(covered * (1 - covered) / task.toys)), 1 / task.toys),
        critical_value=float(np.quantile(sample, confidence_level)),
        seed=task.seed,
    )


@dataclass(frozen=True, eq=False)
class Request:
    """What a coverage study uses."""

    analysis: Analysis
    likelihood: Likelihood
    statistic: str
    minimum: Minimum


def check_request(
    study: Study,
    detector: str,
    name: str,
    values: Sequence[float],
    *,
    toys: int,
    seed: int,
    statistic: str | None = None,
    minimum: Minimum | None = None,
) -> Request:
    """What a coverage study would use, or the `CevnslabError` that says what is wrong with the request."""
    if toys < FEWEST_TOYS:
        raise StudyError(f"toys: at least {FEWEST_TOYS} are needed, got {toys}")
    if seed < 0:
        raise StudyError(f"seed: must be a whole number from 0 on, got {seed}")
    if not values:
        raise StudyError("at: at least one true value is needed")
    if len(set(values)) != len(values):
        raise StudyError("at: a true value is given twice")
    for level in study.file.intervals.levels:
        if toys < fewest_toys(level):
            raise StudyError(
                f"toys: {toys} do not resolve the critical value at {100 * level:.10g} %, which needs "
                f"{fewest_toys(level)}"
            )
    members = {setup.name: [setup] for setup in study.setups}
    for combination in study.file.combinations:
        members[combination.name] = [members[each][0] for each in combination.detectors]
    if detector not in members:
        raise UnknownNameError(
            f"no detector {excerpt(detector)} in the study {study.name}; {nearest(detector, members)}"
        )
    # Said before anything of the study is computed: its data may not be at hand.
    for setup in members[detector]:
        others = {"least-squares", "poisson"} if isinstance(setup, DetectorSetup) and not _has_errors(setup) else set()
        if statistic is not None and statistic not in {setup.statistic, *others}:
            raise StudyError(f"statistic: that of {setup.name} is {setup.statistic}, which belongs to its data")
    names = [coupling.name for coupling in study.couplings]
    if name not in names:
        raise UnknownNameError(f"no coupling {excerpt(name)} in the study {study.name}; {nearest(name, names)}")
    for value in values:
        with located("at"):
            if not np.isfinite(value):
                raise PhysicsError(f"a true value must be a finite number, got {value}")
            study.registry[name].check(value)
    analysis = analyses(study)[detector]
    check_toy_counts(analysis, "coverage")
    with located("at"):
        for value in values:
            check_toy_counts(analysis, "coverage", {name: value})
    likelihood = analysis.likelihood if statistic is None else _with_statistic(analysis.likelihood, statistic)
    return Request(analysis, likelihood, statistic or analysis.statistic_name, minimum or study.file.intervals.minimum)


def _has_errors(setup: DetectorSetup) -> bool:
    """Whether its counts came with errors, so that no statistic of counts is theirs."""
    return setup.observed is not None and setup.observed.errors is not None


def _with_statistic(likelihood: Likelihood, statistic: str) -> Likelihood:
    """The same data sets, all with one statistic of counts."""
    choice: Statistic = "poisson" if statistic == "poisson" else "least-squares"
    return replace(likelihood, datasets=tuple(replace(each, statistic=choice) for each in likelihood.datasets))
