"""A worker process: takes blocks from standard input, gives results on standard output, ends with its run."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from typing import IO, Any

from cevnslab.parallel.messages import receive_bytes, send


def main() -> None:
    """Serve until the run that started this process closes the pipe or is gone."""
    # The run ends its workers itself: one Ctrl-C is one message.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    orders = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    # What a task prints must not come between the answers.
    os.dup2(2, 1)
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(orders, waiting), daemon=True).start()
    task = None
    while True:
        try:
            # A task is sent once; blocks of the same one come without it.
            another, block = pickle.loads(waiting.get())
            task = another if another is not None else task
            send(answers, _answer(task, block))
        except OSError:
            os._exit(0)


def _listen(orders: IO[bytes], waiting: queue.SimpleQueue[bytes]) -> None:
    """Hand orders on. The run may be killed while a block is computed here: this process then ends at once."""
    while True:
        try:
            waiting.put(receive_bytes(orders))
        except (EOFError, OSError):
            os._exit(0)


def _answer(task: Any, block: int) -> tuple[str, Any]:
    from cevnslab.parallel.tasks import run_job

    try:
        return "result", run_job((task, block))
    except Exception as fault:
        fault.add_note(f"in a worker process:\n{traceback.format_exc()}")
        try:
            pickle.loads(pickle.dumps(fault))
        except Exception:
            return "fault", RuntimeError(f"{type(fault).__name__}: {fault}\n{traceback.format_exc()}")
        return "fault", fault
