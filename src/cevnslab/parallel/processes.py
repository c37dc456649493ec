"""Worker processes of this machine.

Each is a fresh interpreter (`cevnslab.parallel.worker`) behind two pipes, so that it works from scripts without a main
guard, notebooks and threads alike. One that is killed costs its block alone: it is started again and the block tried
again.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from cevnslab.errors import WorkerError
from cevnslab.parallel.messages import receive, send
from cevnslab.parallel.tasks import Arrays, Job, Mapper, Task

TRIES = 3
"""How often a block is tried before its worker's death is taken for the block's own."""
INTERRUPTIBLE_S = 0.5
"""The longest wait at a stretch: Windows looks for Ctrl-C only in between."""

Answer = tuple[str, Any]
"""("result", arrays), ("fault", exception) or ("death", how it died)."""


class _Worker:
    """One process, started when it is first needed and again when it has died."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._task: Task | None = None

    def ask(self, job: Job) -> Answer:
        """Run a block there."""
        task, block = job
        try:
            process = self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            send(process.stdin, (None if task is self._task else task, block))
            self._task = task
            answer: Answer = receive(process.stdout)
        except (OSError, EOFError, ValueError) as fault:  # a pipe that another thread closed is a ValueError
            return "death", self._bury() or str(fault)
        return answer

    def _started(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise OSError("the run has ended")
            if self._process is None:
                code = f"import sys; sys.path[:] = {sys.path!r}; from cevnslab.parallel.worker import main; main()"
                self._process = subprocess.Popen(
                    [sys.executable, "-c", code],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                    **_own_group(),
                )
            return self._process

    def _bury(self) -> str:
        """Clear a process away whose pipes broke, and say how it ended; empty where another thread did."""
        with self._lock:
            process, self._process, self._task = self._process, None, None
        if process is None:
            return ""
        try:
            status = process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # what could not be sent cannot be flushed either
                assert pipe is not None
                pipe.close()
        return _how(status)

    def end(self) -> None:
        """End the process for good, whatever it is doing, from any thread; `ask` gives a death from then on."""
        with self._lock:
            self._ended = True
            if self._process is not None:
                self._process.kill()
        self._bury()


def _own_group() -> dict[str, Any]:
    """Options of a process that Ctrl-C does not reach: it is for the run, which ends its workers itself."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _how(status: int) -> str:
    """How a process ended.

    >>> _how(-9)
    'ended by SIGKILL, as where memory runs out'
    >>> _how(1)
    'ended with status 1'
    """
    if status >= 0:
        return f"ended with status {status}"
    names = {int(number): number.name for number in signal.Signals}
    return f"ended by {names.get(-status, f'signal {-status}')}" + (
        ", as where memory runs out" if status == -9 else ""
    )


@contextmanager
def processes(number: int) -> Iterator[Mapper]:
    """A mapper over so many processes; they end with the context, whatever they are doing.

    The mapper raises `WorkerError` for a block whose worker died three times, and what a task raises.
    """
    pool = [_Worker() for _ in range(number)]

    def mapped(jobs: Sequence[Job]) -> Iterator[tuple[int, Arrays]]:
        todo = deque(enumerate(jobs))
        answers: queue.Queue[tuple[int, Answer]] = queue.Queue()
        threads = [threading.Thread(target=_serve, args=(worker, todo, answers), daemon=True) for worker in pool]
        for thread in threads[: len(jobs)]:
            thread.start()
        try:
            for _ in jobs:
                position, (kind, value) = _next(answers)
                if kind == "fault":
                    raise value
                if kind == "death":
                    raise WorkerError(f"a worker process died {TRIES} times at the same block: it {value}")
                yield position, value
        except BaseException:
            # Blocks that are still computed are of no use to anyone: their workers go, others come if asked again.
            _end(pool)
            pool[:] = [_Worker() for _ in range(number)]
            raise
        finally:
            for thread in threads[: len(jobs)]:
                thread.join()

    try:
        yield mapped
    finally:
        _end(pool)


def _end(pool: Sequence[_Worker]) -> None:
    for worker in pool:
        worker.end()


def _serve(worker: _Worker, todo: deque[tuple[int, Job]], answers: queue.Queue[tuple[int, Answer]]) -> None:
    """Let one worker run blocks until there are no more, or until it dies of one."""
    while True:
        try:
            position, job = todo.popleft()
        except IndexError:
            return
        for _ in range(TRIES):
            answer = worker.ask(job)
            if answer[0] != "death":
                break
        answers.put((position, answer))
        if answer[0] != "result":
            return


def _next(answers: queue.Queue[tuple[int, Answer]]) -> tuple[int, Answer]:
    while True:
        with suppress(queue.Empty):
            return answers.get(timeout=INTERRUPTIBLE_S)
