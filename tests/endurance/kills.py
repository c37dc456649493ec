"""Runs that are killed at random moments and started again end with the same bytes, alone and under workers.

python tests/endurance/kills.py --seed 1 --kills 100 --under-workers 20
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from fuzz_bases import base
from sandbox import tree

TOYS = 6000
"""So many that blocks take as long as everything before and after them."""
LONGEST_S = 1800.0
"""Of any run, on however busy a machine."""


def study(folder: Path) -> Path:
    """A study with simulated critical values, scans and figures: every stage of a run."""
    keys = base("simulated")
    keys["intervals"]["toys"] = TOYS
    keys["scans"] = [{"name": "t", "key": "detectors.ge.threshold_kev", "values": [0.5, 2.0]}]
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(keys, sort_keys=False), encoding="utf-8")
    return path


def start(path: Path, output: Path, options: Sequence[str]) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    arguments = [sys.executable, "-m", "cevnslab", "run", str(path), "-o", str(output), *options]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def blocks(output: Path) -> int:
    """How many blocks are kept."""
    return len(list(output.glob("*/.blocks/*/*.block")))


def watched(path: Path, output: Path, options: Sequence[str]) -> tuple[float, int]:
    """How long a run takes, and how many blocks it keeps at the most."""
    begun, most = time.monotonic(), 0
    process = start(path, output, options)
    while process.poll() is None:
        most = max(most, blocks(output))
        time.sleep(0.02)
    process.communicate()
    return time.monotonic() - begun, most


def wait_until(process: subprocess.Popen[str], output: Path, seconds: float, stored: int | None) -> None:
    """Wait so long; or until so many blocks are kept, which a busy machine does not put off; or until it ends."""
    if stored is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        return
    while process.poll() is None and blocks(output) < stored:
        time.sleep(0.005)


def finished(path: Path, output: Path, options: Sequence[str]) -> dict[str, bytes | None]:
    """A run to its end: what it wrote, but for the file that knows the date."""
    process = start(path, output, options)
    _, err = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, err
    assert err == "", err
    return {name: text for name, text in tree(output).items() if not name.endswith("provenance.json")}


def stage(output: Path) -> str:
    """How far a killed run had come."""
    (folder,) = output.glob("*") if output.exists() and list(output.glob("*")) else (None,)
    if folder is None or not (folder / ".blocks").exists():
        return "before blocks" if folder is None or not (folder / "result.json").exists() else "when all was written"
    if (folder / "result.json").exists():
        return "while figures were drawn"
    if list(folder.glob(".writing-*")):
        return "while tables were written"
    return "among blocks" if list(folder.glob(".blocks/*/*.block")) else "before blocks"


@dataclass(frozen=True)
class Tally:
    """What came of the kills."""

    kills: int
    stages: Counter[str]
    failures: list[str]

    def text(self, seed: int, seconds: float) -> str:
        """Seed, counts, stages and every failure."""
        stages = ", ".join(f"{count} {stage}" for stage, count in sorted(self.stages.items()))
        lines = [f"seed {seed}: {self.kills} kills in {seconds:.0f} s: {stages}", f"{len(self.failures)} failures"]
        return "\n".join([*lines, *self.failures])


def kill_at_random(kills: int, under_workers: int, seed: int) -> Tally:
    """Kill so many runs, some of them under two workers, start each again until it ends, and compare the bytes."""
    rng = random.Random(seed)
    stages: Counter[str] = Counter()
    failures: list[str] = []
    count = 0
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        root = Path(name)
        path = study(root)
        spans, most = {}, {}
        for options in ((), ("--workers", "2")):
            expected = finished(path, root / f"whole{len(options)}", options)
            spans[options], most[options] = watched(path, root / f"watched{len(options)}", options)
        assert expected == finished(path, root / "again", ())
        for number in range(10 * kills):
            options = ("--workers", "2") if count < under_workers else ()
            output = root / f"{number}"
            process = start(path, output, options)
            # Half of the moments are anywhere in a run, half of them among its blocks.
            saved_rows = rng.randint(1, max(most[options], 1)) if rng.random() < 0.5 else None
            wait_until(process, output, rng.uniform(0.05, 1.05) * spans[options], saved_rows)
            if process.poll() is not None:
                process.communicate()
                continue  # it was too quick: another one
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            stages[stage(output)] += 1
            count += 1
            if rng.random() < 0.3:
                continue_in = start(path, output, options)
                with suppress(subprocess.TimeoutExpired):
                    continue_in.wait(rng.uniform(0.05, 1.0) * spans[options])
                continue_in.kill()
                continue_in.communicate()
            try:
                result = finished(path, output, ())
            except AssertionError as fault:
                failures.append(f"kill {count} {' '.join(options)}: {fault}")
            else:
                different = sorted(key for key in {*expected, *result} if expected.get(key) != result.get(key))
                if different:
                    failures.append(f"kill {count} {' '.join(options)}: different: {different}")
            if count == kills:
                break
    return Tally(count, stages, failures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--under-workers", type=int, default=20)
    arguments = parser.parse_args()
    begun = time.monotonic()
    tally = kill_at_random(arguments.kills, arguments.under_workers, arguments.seed)
    print(tally.text(arguments.seed, time.monotonic() - begun))
    sys.exit(1 if tally.failures or tally.kills < arguments.kills else 0)
