"""Does an interval that says 90 % cover the truth in 90 % of experiments? Simulated, and counted."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cevnslab.errors import PhysicsError, StudyError, UnknownNameError, located
from cevnslab.inference.compiled import require_numba
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toys import Ensemble, Experiment
from cevnslab.parallel.backends import backend
from cevnslab.progress import notice
from cevnslab.studies import blocks
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.feldman_cousins import convention
from cevnslab.studies.preparation import check_toy_counts
from cevnslab.studies.provenance import provenance
from cevnslab.studies.setups import ExperimentSetup, sparse_bins
from cevnslab.studies.study import Study
from cevnslab.words import nearest

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
    couplings: dict[str, dict[str, Any]]
    """Symbol, unit and scale of each, for figures."""
    labels: dict[str, str]
    points: tuple[CoveragePoint, ...]
    provenance: dict[str, Any]


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
    fast: bool = False,
    store: Path | None = None,
    workers: int = 0,
    scheduler: str | None = None,
) -> Coverage:
    """The coverage of one coupling's delta chi^2 interval at true values.

    Least squares on a toy uses the toy's own counts as variances, as Eq. (15) of arXiv:2409.10652 does.

    Parameters
    ----------
    detector
        A detector or correlated combination of the study.
    name
        The coupling.
    values
        True values in the coupling's plain unit; `PhysicsError` out of its bounds.
    toys
        Pseudo-experiments per value, at least 100.
    statistic
        ``"least-squares"`` or ``"poisson"``; the study's unless given.
    fast
        Use compiled kernels (extra `fast`); the counts are the same, the results equal to rounding.
    minimum
        As in a study's `intervals`, whose value is the default.

    """
    analysis, experiment, chosen_statistic, chosen_minimum = check_request(
        study, detector, name, values, toys=toys, seed=seed, statistic=statistic, minimum=minimum, fast=fast
    )
    for setup in analysis.setups if chosen_statistic == "least-squares" else ():
        sparse = sparse_bins(setup)
        if sparse is not None:
            notice(f"warning: {sparse}")
    tasks = [
        blocks.ToyTask(
            experiment=experiment,
            truth=(float(value),),
            statistic=chosen_statistic,
            metric=None,
            compressed=False,
            ensemble=ensemble,
            minimum=chosen_minimum,
            toys=toys,
            seed=seed,
            fast=fast,
            # A point's random numbers are its own: they depend on what it is, not on its place in the command.
            key=(zlib.crc32(f"{detector} {name} {float(value)!r}".encode()),),
        )
        for value in values
    ]
    with backend(workers, scheduler) as mapper:
        samples = blocks.delta_chi2(tasks, store, mapper, "coverage")
    level = delta_chi2_level(study.file.intervals.levels[0], 1)
    points = []
    for value, sample in zip(values, samples, strict=True):
        covered = float(np.mean(sample <= level))
        points.append(
            CoveragePoint(
                detector=detector,
                channels=analysis.channels,
                coupling=name,
                true_value=float(value),
                confidence_level=study.file.intervals.levels[0],
                statistic=chosen_statistic,
                convention=convention(chosen_minimum, ensemble),
                toys=toys,
                coverage=covered,
                coverage_error=max(float(np.sqrt(covered * (1 - covered) / toys)), 1 / toys),
                critical_value=float(np.quantile(sample, study.file.intervals.levels[0])),
                seed=seed,
            )
        )
    return Coverage(
        study.name,
        {new.name: {"symbol": new.symbol, "unit": new.unit, "scale": new.scale} for new in study.couplings},
        {setup.name: setup.label for setup in study.setups},
        tuple(points),
        provenance(study, fast=fast),
    )


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
    fast: bool = False,
) -> tuple[Analysis, Experiment, str, Minimum]:
    """What a coverage study would use, or the `CevnslabError` that says what is wrong with the request."""
    if toys < FEWEST_TOYS:
        raise StudyError(f"toys: at least {FEWEST_TOYS} are needed, got {toys}")
    if seed < 0:
        raise StudyError(f"seed: must be a whole number from 0 on, got {seed}")
    if not values:
        raise StudyError("at: at least one true value is needed")
    if len(set(values)) != len(values):
        raise StudyError("at: a true value is given twice")
    if fast:
        require_numba()
    members = {setup.name: [setup] for setup in study.setups}
    for combination in study.file.combinations:
        members[combination.name] = [members[name][0] for name in combination.detectors]
    if detector not in members:
        raise UnknownNameError(f"no detector '{detector}' in the study {study.name}; {nearest(detector, members)}")
    # Said before anything of the study is computed: its data may not be at hand.
    if any(isinstance(setup, ExperimentSetup) for setup in members[detector]):
        raise StudyError(f"detectors.{detector}: pseudo-experiments are not available for the data of experiments")
    known = [new.name for new in study.couplings]
    if name not in known:
        raise UnknownNameError(f"no coupling '{name}' in the study {study.name}; {nearest(name, known)}")
    for value in values:
        with located("at"):
            if not np.isfinite(value):
                raise PhysicsError(f"a true value must be a finite number, got {value}")
            study.registry[name].check(value)
    analysis = analyses(study)[detector]
    check_toy_counts(analysis)
    chosen_statistic = statistic or analysis.statistic_name
    chosen_minimum: Minimum = minimum or study.file.intervals.minimum
    if chosen_statistic == "poisson" and fast:
        raise StudyError("--fast: there are no compiled kernels for poisson")
    if chosen_statistic == "poisson" and chosen_minimum == "connected":
        raise StudyError("minimum: connected is not available for poisson pseudo-experiments; use global")
    return analysis, analysis.experiment(name), chosen_statistic, chosen_minimum
