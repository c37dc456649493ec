"""Tasks that take no time, importable in worker processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cevnslab.errors import StatisticsError
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import run_job


@dataclass(frozen=True)
class Draws:
    """Normal numbers of a seed, so many in every block, and the block's number as a word."""

    seed: int
    blocks: int = 3
    size: int = 5

    def digest(self):
        return content_digest(self)

    def run(self, block):
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(block,)))
        return {"file": rng.normal(size=self.size), "word": np.array([f"block {block}"])}


@dataclass(frozen=True)
class Deadly(Draws):
    """Kills its process at block 1: once if a file can be made first, else every time."""

    witness: str = ""

    def run(self, block):
        if block == 1 and not (self.witness and Path(self.witness).exists()):
            if self.witness:
                Path(self.witness).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().run(block)


@dataclass(frozen=True)
class Wrong(Draws):
    """Raises at block 1: an error of ours, or one that cannot be pickled."""

    ours: bool = True

    def run(self, block):
        class StrangeError(Exception):
            pass

        if block == 1:
            raise StatisticsError("these counts are impossible") if self.ours else StrangeError("so strange")
        return super().run(block)


@dataclass(frozen=True)
class Talkative(Draws):
    """Prints where its answers go."""

    def run(self, block):
        print("a task may print")
        sys.stdout.flush()
        return super().run(block)


@dataclass(frozen=True)
class Slow(Draws):
    """Takes a minute."""

    def run(self, block):
        time.sleep(60)
        return super().run(block)


def backwards(jobs):
    """A mapper whose blocks end in the opposite order."""
    for position in reversed(range(len(jobs))):
        yield position, run_job(jobs[position])


def same(first, second):
    """Whether two results of `run_tasks` are equal to the last bit."""
    blocks = [list(zip(a, b, strict=True)) for a, b in zip(first, second, strict=True)]
    return all(
        one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)
        for pairs in blocks
        for one, other in pairs
    )
