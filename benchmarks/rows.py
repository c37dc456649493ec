"""A row of the benchmark's table, and how its numbers are measured."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Row:
    """A line of the table: times in seconds or memory in bytes, and the bound to keep (None: it has none)."""

    work: str
    ours: float
    beside: str
    theirs: float
    reach: str
    reached: bool | None
    ratio: float | None = None  # ours/theirs unless given
    quantity: Literal["time", "memory"] = "time"

    @property
    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        text = seconds_text if self.quantity == "time" else bytes_text
        ratio = self.ours / self.theirs if self.ratio is None else self.ratio
        reached = "" if self.reached is None else "yes" if self.reached else "no"
        ours = text(self.ours) if self.work else ""
        return self.work, ours, self.beside, text(self.theirs), f"{ratio:.3g}", self.reach, reached


def median_time(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of one call, each sample long enough for the clock; one call beforehand fills caches.

    Of the processor, on one thread: on a busy machine the same as on an idle one, but for its caches.
    """
    started = time.process_time()
    work()
    calls = max(1, int(0.005 / max(time.process_time() - started, 1e-6)))
    samples = []
    for _ in range(repeats):
        started = time.process_time()
        for _ in range(calls):
            work()
        samples.append((time.process_time() - started) / calls)
    return statistics.median(samples)


def process_time(arguments: list[str], bytecode: str) -> float:
    """Seconds of a fresh process, from its start to its end; modules are compiled into the folder `bytecode` once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = bytecode
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    return time.perf_counter() - started


def seconds_text(seconds: float) -> str:
    unit, factor = ("s", 1.0) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    return f"{seconds * factor:.3g} {unit}"


def bytes_text(size: float) -> str:
    unit, factor = ("GB", 1e-9) if size >= 1e9 else ("MB", 1e-6)
    return f"{size * factor:.3g} {unit}"
