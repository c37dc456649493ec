"""Blocks on the workers of a Dask scheduler (extra `distributed`)."""

from __future__ import annotations

import asyncio
import logging
import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from cevnslab.errors import ClusterError, MissingExtraError
from cevnslab.parallel.tasks import Arrays, Job, Mapper, run_job
from cevnslab.progress import notice

SCHEDULER_TIMEOUT_S = 10
WORKER_TIMEOUT_S = 120
"""How long a cluster may be without any worker: batch systems start them one by one."""
LOOK_AROUND_S = 2.0
"""How often the cluster is looked at while no block ends."""


def require_dask() -> Any:
    """Dask's package `distributed`, or `MissingExtraError`."""
    try:
        import distributed
    except ImportError:
        raise MissingExtraError(
            "--scheduler needs Dask, which is not installed: pip install 'cevnslab[distributed]'"
        ) from None
    return distributed


@contextmanager
def cluster(scheduler: str) -> Iterator[Mapper]:
    """A mapper over the workers of a scheduler; raises `ClusterError` where it cannot be reached or has no worker."""
    dask = require_dask()
    with _silence():
        client = _connected(dask, scheduler)

        def mapped(jobs: Sequence[Job]) -> Iterator[tuple[int, Arrays]]:
            watch = _Watch(client, scheduler)
            watch.wait_for_a_worker()
            ended: queue.Queue[Any] = queue.Queue()
            # A worker that dies costs its block: the block alone is tried again.
            futures = {client.submit(run_job, job, pure=False, retries=3): number for number, job in enumerate(jobs)}
            for future in futures:
                future.add_done_callback(ended.put)
            for _ in jobs:
                future = watch.next(ended)
                yield futures[future], _result(dask, future, scheduler)

        try:
            yield mapped
        finally:
            with suppress(OSError, TimeoutError):
                client.close()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's log, tracebacks in it, from standard error: what matters is raised."""
    logger = logging.getLogger("distributed")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Watch:
    """Waits for blocks, and looks whether there is anyone to run them."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self._client, self._scheduler = client, scheduler
        self._last_seen = time.monotonic()
        self._is_warned = False

    def wait_for_a_worker(self) -> None:
        """Return once there is a worker; `ClusterError` after `WORKER_TIMEOUT_S` without."""
        while not self._looks_alive():
            time.sleep(0.1)

    def next(self, ended: queue.Queue[Any]) -> Any:
        """The next block that ended; `ClusterError` where no worker is left for `WORKER_TIMEOUT_S`."""
        while True:
            try:
                future = ended.get(timeout=LOOK_AROUND_S)
            except queue.Empty:
                self._looks_alive()
            else:
                self._last_seen, self._is_warned = time.monotonic(), False
                return future

    def _looks_alive(self) -> bool:
        try:
            workers = self._client.scheduler_info()["workers"]
        except (OSError, TimeoutError, CancelledError, RuntimeError, AttributeError):
            raise _gone(self._scheduler) from None
        now = time.monotonic()
        if workers:
            self._last_seen, self._is_warned = now, False
            return True
        if now - self._last_seen > WORKER_TIMEOUT_S:
            raise ClusterError(
                f"the scheduler {self._scheduler} had no worker for {WORKER_TIMEOUT_S:g} s; start some, such as: "
                f"dask worker {self._scheduler} --nthreads 1; finished blocks are kept"
            )
        if not self._is_warned:
            self._is_warned = True
            notice(f"the scheduler {self._scheduler} has no worker; waiting up to {WORKER_TIMEOUT_S:g} s for one")
        return False


def _gone(scheduler: str) -> ClusterError:
    return ClusterError(
        f"the connection to the scheduler {scheduler} was lost; finished blocks are used when the same command is "
        "started again"
    )


def _result(dask: Any, future: Any, scheduler: str) -> Arrays:
    try:
        arrays: Arrays = future.result()
    except dask.scheduler.KilledWorker:
        raise ClusterError("the workers of the cluster died again and again at the same block") from None
    except (CancelledError, asyncio.CancelledError, dask.comm.CommClosedError):
        raise _gone(scheduler) from None
    return arrays


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
        return dask.Client(scheduler, timeout=SCHEDULER_TIMEOUT_S)
    except ValueError as fault:
        raise ClusterError(f"the scheduler's address {scheduler} cannot be used ({fault}); {hint}") from None
    except (OSError, TimeoutError):
        message = f"the scheduler {scheduler} did not answer within {SCHEDULER_TIMEOUT_S} s; {hint}"
        raise ClusterError(message) from None
