"""Long work cut into seeded blocks: the same bytes for any number of workers, and nothing lost when it is killed.

A block's random numbers depend on the seed, the task and the block alone, and its linear algebra runs on one
thread. Finished blocks are kept in a folder beside the results until the results are written; a run that is started
again takes them from there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import ClusterError, MissingExtraError, StudyError
from cevnslab.inference.compiled import require_numba
from cevnslab.inference.global_fit import (
    delta_chi2_at_truth,
    grid_for,
    poisson_delta_chi2_at_truth,
    region_delta_chi2_at_truth,
)
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.toys import Ensemble, Experiment, draw, draw_compressed, expected_variance, reduce_counts
from cevnslab.progress import progress_bar
from cevnslab.studies.study import Study
from cevnslab.version import __version__

FloatArray = NDArray[np.float64]

TOYS_PER_BLOCK = 5000
SCHEDULER_TIMEOUT_S = 10


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
        """A name for the stored blocks that no other task has."""
        text = hashlib.sha256(f"{__version__} {TOYS_PER_BLOCK}".encode())
        for value in (getattr(self, field.name) for field in fields(self) if field.name != "experiment"):
            text.update(repr(value).encode())
        for field in fields(self.experiment):
            value = getattr(self.experiment, field.name)
            text.update(value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode())
        return text.hexdigest()[:24]


def run_block(task: ToyTask, block: int) -> FloatArray:
    """Delta chi^2 at the truth of the toys of one block."""
    from threadpoolctl import threadpool_limits

    toys = task.toys_in(block)
    rng = np.random.default_rng(np.random.SeedSequence(task.seed, spawn_key=(*task.key, block)))
    experiment, truth = task.experiment, task.truth
    # More than one BLAS thread may change the last bit from machine load to machine load.
    with threadpool_limits(1):
        variance = None if task.metric is None else expected_variance(experiment, task.metric)
        if task.compressed and variance is not None:
            statistics = draw_compressed(experiment, truth, toys, rng, task.ensemble, variance)
        else:
            drawn = draw(experiment, truth, toys, rng, task.ensemble)
            if task.statistic == "poisson":
                grid = grid_for(experiment, truth, expected_variance(experiment, truth))
                return poisson_delta_chi2_at_truth(experiment, drawn, truth, grid)
            statistics = reduce_counts(experiment, drawn, variance, fast=task.fast)
        if len(truth) == 2:
            return region_delta_chi2_at_truth(experiment, statistics, truth)
        grid = grid_for(experiment, truth, expected_variance(experiment, truth), task.minimum)
        return delta_chi2_at_truth(experiment, statistics, truth, grid, task.minimum, fast=task.fast)


Mapper = Callable[[Sequence[tuple[ToyTask, int]]], Iterator[tuple[int, FloatArray]]]
"""Runs blocks and gives (position, result) in any order."""


def in_turn(jobs: Sequence[tuple[ToyTask, int]]) -> Iterator[tuple[int, FloatArray]]:
    """Run blocks one after the other in this process."""
    for position, (task, block) in enumerate(jobs):
        yield position, run_block(task, block)


@contextmanager
def backend(workers: int = 0, scheduler: str | None = None) -> Iterator[Mapper]:
    """Where blocks run: this process, `workers` processes of this machine, or a Dask scheduler's cluster.

    Raises `MissingExtraError` without Dask, `ClusterError` for a scheduler that does not answer in time.
    """
    if workers == 0 and scheduler is None:
        yield in_turn
        return
    if workers and scheduler is not None:
        raise StudyError("--workers and --scheduler: give one of them; a cluster brings its own workers")
    dask = _require_dask()
    if scheduler is not None:
        client = _connected(dask, scheduler)
        cluster = None
    else:
        cluster = dask.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")
        client = dask.Client(cluster)

    def mapped(jobs: Sequence[tuple[ToyTask, int]]) -> Iterator[tuple[int, FloatArray]]:
        # A worker that dies costs its block: the block alone is tried again.
        futures = {
            client.submit(run_block, task, block, pure=False, retries=3): position
            for position, (task, block) in enumerate(jobs)
        }
        for future in dask.as_completed(list(futures)):
            yield futures[future], future.result()

    try:
        yield mapped
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def check_options(study: Study, workers: int, scheduler: str | None, fast: bool) -> None:
    """Refuse options that a study would not use, before anything is written."""
    if study.file.intervals.method != "feldman-cousins" and (workers or scheduler or fast):
        raise StudyError("--workers, --scheduler and --fast are for pseudo-experiments, which this study has none of")
    if fast:
        require_numba()
        if any(setup.statistic == "poisson" for setup in study.setups):
            raise StudyError("--fast: there are no compiled kernels for poisson")
    if workers or scheduler:
        _require_dask()


def _require_dask() -> Any:
    try:
        import distributed
    except ImportError:
        raise MissingExtraError(
            "--workers and --scheduler need Dask, which is not installed: pip install 'cevnslab[distributed]'"
        ) from None
    return distributed


def _connected(dask: Any, scheduler: str) -> Any:
    """A client of a scheduler, or `ClusterError` once the time limit is over.

    The scheduler is asked for its identity before a client is made: a client that fails leaves its event loop and the
    loop's sockets open, while this question closes all that it opened. It runs on a thread of its own, since a notebook
    has an event loop running already.
    """
    hint = "is the address right, such as tcp://host:8786, and the scheduler running?"

    async def ask() -> None:
        async with dask.rpc(scheduler, timeout=SCHEDULER_TIMEOUT_S) as remote:
            await asyncio.wait_for(remote.identity(), SCHEDULER_TIMEOUT_S)

    try:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(lambda: asyncio.run(ask())).result()
    except ValueError as fault:
        raise ClusterError(f"the scheduler's address {scheduler} cannot be used ({fault}); {hint}") from None
    except (OSError, TimeoutError):
        message = f"the scheduler {scheduler} did not answer within {SCHEDULER_TIMEOUT_S} s; {hint}"
        raise ClusterError(message) from None
    return dask.Client(scheduler, timeout=SCHEDULER_TIMEOUT_S)


def run_tasks(
    tasks: Sequence[ToyTask], store: Path | None = None, mapper: Mapper = in_turn, what: str = "pseudo-experiments"
) -> list[FloatArray]:
    """Delta chi^2 of every toy of every task; finished blocks are kept in `store` and taken from there.

    The result does not depend on the mapper, on the order in which blocks end, or on what was stored.
    """
    jobs = [(task, block) for task in tasks for block in range(task.blocks)]
    places = [_place(store, task, block) for task, block in jobs]
    results: list[FloatArray | None] = [
        _stored(place, task.toys_in(block)) for place, (task, block) in zip(places, jobs, strict=True)
    ]
    missing = [position for position, result in enumerate(results) if result is None]
    with progress_bar(what, len(jobs), always=True) as advance:
        advance(len(jobs) - len(missing))
        for index, result in mapper([jobs[position] for position in missing]):
            position = missing[index]
            results[position] = result
            _keep(places[position], result)
            advance(1)
    finished = iter([result for result in results if result is not None])
    return [np.concatenate([next(finished) for _ in range(task.blocks)]) for task in tasks]


def _place(store: Path | None, task: ToyTask, block: int) -> Path | None:
    return None if store is None else store / f"{task.digest()}-{block}.npy"


def _stored(place: Path | None, toys: int) -> FloatArray | None:
    if place is None or not place.exists():
        return None
    try:
        kept: Any = np.load(place)
    except (OSError, ValueError, EOFError):
        return None  # a block that was cut short is simulated again
    return np.asarray(kept, dtype=float) if np.shape(kept) == (toys,) else None


def _keep(place: Path | None, result: FloatArray) -> None:
    """Write a block whole or not at all."""
    if place is None:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as file:
        np.save(file, result)
    os.replace(partial, place)
