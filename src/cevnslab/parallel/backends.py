"""Where blocks run: in this process, in several of this machine, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cevnslab.errors import StudyError
from cevnslab.parallel.tasks import Mapper, in_turn


def check_backend(workers: int, scheduler: str | None) -> None:
    """Refuse what no backend can be made of: `StudyError`, or `MissingExtraError` without Dask for a scheduler."""
    if workers < 0:
        raise StudyError(f"workers: must be a whole number from 0 on, got {workers}")
    if workers and scheduler is not None:
        raise StudyError("--workers and --scheduler: give one of them; a cluster brings its own workers")
    if scheduler is not None:
        from cevnslab.parallel.cluster import require_dask

        require_dask()


@contextmanager
def backend(workers: int = 0, scheduler: str | None = None) -> Iterator[Mapper]:
    """A mapper: this process, `workers` processes of this machine, or the cluster of a Dask scheduler.

    Raises as `check_backend`, and `ClusterError` for a scheduler that does not answer or has no worker in time. What
    was started ends with the context.
    """
    check_backend(workers, scheduler)
    if scheduler is not None:
        from cevnslab.parallel.cluster import cluster

        with cluster(scheduler) as mapper:
            yield mapper
    elif workers:
        from cevnslab.parallel.processes import processes

        with processes(workers) as mapper:
            yield mapper
    else:
        yield in_turn
