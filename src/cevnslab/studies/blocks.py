"""Pseudo-experiments as tasks of `cevnslab.parallel`, and the options that only they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StudyError
from cevnslab.inference.compiled import require_numba
from cevnslab.inference.global_fit import (
    delta_chi2_at_truth,
    grid_for,
    poisson_delta_chi2_at_truth,
    region_delta_chi2_at_truth,
)
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.toys import Ensemble, Experiment, draw, draw_compressed, expected_variance, reduce_counts
from cevnslab.parallel.backends import check_backend
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import Mapper, in_turn, joined, run_tasks
from cevnslab.studies.study import Study

FloatArray = NDArray[np.float64]

TOYS_PER_BLOCK = 5000


@dataclass(frozen=True, eq=False)
class ToyTask:
    """Toys at one truth: their delta chi^2 there is what it gives.

    `metric` is where the variances of a fixed metric are expected (plain units), None for the toys' own counts.
    """

    experiment: Experiment
    truth: tuple[float, ...]
    statistic: str
    metric: tuple[float, ...] | None
    compressed: bool
    ensemble: Ensemble
    minimum: Minimum
    toys: int
    seed: int
    fast: bool
    """Whether compiled kernels are used; the counts are the same, the results to rounding."""
    key: tuple[int, ...]
    """Which task of the run this is: with the seed and the block's number it makes the random numbers."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // TOYS_PER_BLOCK)

    def toys_in(self, block: int) -> int:
        """Toys of one block: the last may hold fewer."""
        return min(TOYS_PER_BLOCK, self.toys - block * TOYS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        return content_digest(TOYS_PER_BLOCK, self)

    def run(self, block: int) -> dict[str, FloatArray]:
        """The toys of one block: their ``delta_chi2`` at the truth, shape (toys,)."""
        return {"delta_chi2": self._delta_chi2(block)}

    def _delta_chi2(self, block: int) -> FloatArray:
        toys = self.toys_in(block)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(*self.key, block)))
        experiment, truth = self.experiment, self.truth
        variance = None if self.metric is None else expected_variance(experiment, self.metric)
        if self.compressed and variance is not None:
            statistics = draw_compressed(experiment, truth, toys, rng, self.ensemble, variance)
        else:
            drawn = draw(experiment, truth, toys, rng, self.ensemble)
            if self.statistic == "poisson":
                grid = grid_for(experiment, truth, expected_variance(experiment, truth))
                return poisson_delta_chi2_at_truth(experiment, drawn, truth, grid)
            statistics = reduce_counts(experiment, drawn, variance, fast=self.fast)
        if len(truth) == 2:
            return region_delta_chi2_at_truth(experiment, statistics, truth)
        grid = grid_for(experiment, truth, expected_variance(experiment, truth), self.minimum)
        return delta_chi2_at_truth(experiment, statistics, truth, grid, self.minimum, fast=self.fast)


def delta_chi2(
    tasks: Sequence[ToyTask], store: Path | None = None, mapper: Mapper = in_turn, what: str = "pseudo-experiments"
) -> list[FloatArray]:
    """Delta chi^2 at the truth of every toy of every task, as `cevnslab.parallel.tasks.run_tasks` runs them."""
    return [joined(blocks)["delta_chi2"] for blocks in run_tasks(tasks, store, mapper, what)]


def check_options(study: Study, workers: int, scheduler: str | None, fast: bool) -> None:
    """Refuse options that a study would not use, before anything is written."""
    toys = study.file.intervals.method == "feldman-cousins"
    if fast and not toys:
        raise StudyError("--fast is for pseudo-experiments, which this study has none of")
    curves = (study.file.profiles, study.file.contours, study.file.scans, study.file.maps)
    if (workers or scheduler) and not (toys or any(curves)):
        raise StudyError(
            "--workers and --scheduler are for pseudo-experiments, profiles, contours, scans and maps, which this "
            "study has none of"
        )
    if fast:
        require_numba()
        if any(setup.statistic == "poisson" for setup in study.setups):
            raise StudyError("--fast: there are no compiled kernels for poisson")
    check_backend(workers, scheduler)
