"""Tasks cut into blocks: the same bytes for any number of workers, and nothing lost when a run is killed.

A block's result depends on its task and its number alone: its random numbers come from the task's seed and the
block's number, and its linear algebra runs on one thread. Finished blocks are kept in a folder until the results are
written; a run that is started again takes them from there (`cevnslab.parallel.store`). Where blocks run is a `Mapper`
(`cevnslab.parallel.backends`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cevnslab.parallel.store import BlockStore
from cevnslab.progress import progress_bar

Arrays = Mapping[str, NDArray[Any]]
"""What a block gives: arrays of numbers or words by name."""


class Task(Protocol):
    """Long work of one kind, picklable: it may run in another process or on another machine."""

    @property
    def blocks(self) -> int:
        """Into how many blocks it is cut, whatever runs them."""

    def digest(self) -> str:
        """A name for its kept blocks that no other task has: `content_digest` of all that its numbers depend on."""

    def run(self, block: int) -> Arrays:
        """The result of one block, from 0 on. A block should take some seconds: it is what a kill costs."""


Job = tuple[Task, int]
"""A task and the number of a block of it."""

Mapper = Callable[[Sequence[Job]], Iterator[tuple[int, Arrays]]]
"""Runs jobs and gives (position in the sequence, result) in any order."""


def run_job(job: Job) -> dict[str, NDArray[Any]]:
    """Run one block, on one thread: more threads may change the last bit with the load of the machine."""
    from threadpoolctl import threadpool_limits

    task, block = job
    with threadpool_limits(1):
        return {name: np.asarray(values) for name, values in task.run(block).items()}


def in_turn(jobs: Sequence[Job]) -> Iterator[tuple[int, Arrays]]:
    """Run blocks one after the other in this process."""
    for position, job in enumerate(jobs):
        yield position, run_job(job)


def run_tasks(
    tasks: Sequence[Task], store: Path | None = None, mapper: Mapper = in_turn, what: str = "blocks"
) -> list[list[Arrays]]:
    """The results of all blocks of every task, in order, with a progress bar on a terminal.

    Finished blocks are kept in the folder `store` and taken from there. The result does not depend on the mapper, on
    the order in which blocks end, or on what was kept. `what` stands before the bar. Raises `StorageError` where a
    block cannot be kept, and what the mapper and the tasks raise.
    """
    blocks = BlockStore(store)
    names = [task.digest() for task in tasks]
    jobs = [(task, name, block) for task, name in zip(tasks, names, strict=True) for block in range(task.blocks)]
    results: list[Arrays | None] = [blocks.read(name, block) for _, name, block in jobs]
    missing = [position for position, result in enumerate(results) if result is None]
    with progress_bar(what, len(jobs), always=True) as advance:
        advance(len(jobs) - len(missing))
        for index, result in mapper([(jobs[position][0], jobs[position][2]) for position in missing]):
            _, name, block = jobs[missing[index]]
            results[missing[index]] = result
            blocks.keep(name, block, result)
            advance(1)
    finished = iter([result for result in results if result is not None])
    return [[next(finished) for _ in range(task.blocks)] for task in tasks]


def joined(blocks: Sequence[Arrays]) -> dict[str, NDArray[Any]]:
    """The blocks of one task as one: the arrays of each name one after the other along their first axis."""
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
