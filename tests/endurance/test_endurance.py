"""A short fuzz and some kills; `make fuzz` and `make kill-test` do many."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fuzz_bases import BASES
from fuzz_mutations import Mutator

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks and looks at memory as Linux does")
HERE = Path(__file__).parent


def script(name, *arguments):
    """Run one of the two in a process of its own: copies of this one would have its threads' locks."""
    ran = subprocess.run(
        [sys.executable, str(HERE / name), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_a_short_fuzz(tmp_path):
    counts = ["--loads", 150, "--runs", 8, "--damages", 8, "--blocks", 2]
    message = script("fuzz.py", *counts, "--seed", 7, "--keep", tmp_path)
    assert message.startswith("seed 7, 168 cases")
    assert "\n0 failures" in message
    # It does not pass because nothing loads or runs.
    assert int(re.search(r"load: .*?(\d+) loaded", message)[1]) > 10
    assert int(re.search(r"run: .*?(\d+) ran", message)[1]) > 1


def test_some_kills():
    text = script("kills.py", "--kills", 2, "--under-workers", 1, "--seed", 3)
    assert "2 kills" in text
    assert "\n0 failures" in text


def test_blocks_are_exchanged_for_what_they_were_before(tmp_path):
    """Whichever of them was taken away earlier in the same case."""
    for seed in range(30):
        stored = [tmp_path / f"{seed}-{number}.block" for number in range(4)]
        for place in stored:
            place.write_bytes(place.name.encode())
        Mutator(random.Random(seed), {}).damage(stored)


@pytest.mark.parametrize(
    ("changes", "ended"),
    [
        # A result without limits is right without `limits.csv`, which would have no rows.
        ("'couplings': []", "ran"),
        # What pseudo-experiments alone can tell is no matter of `check`.
        (
            "'exposure_years': 1.9063e-9, 'detectors': [{**fuzz.base('simulated')['detectors'][0], "
            "'maximum_kev': 51772.8}]",
            "refused",
        ),
    ],
    ids=["no couplings", "next to no counts"],
)
def test_what_the_fuzz_calls_right(changes, ended):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fuzz; fuzz.warm_up()\n"
        f"fuzz.study_of_run = lambda case: {{**fuzz.base('simulated'), 'figures': [], {changes}}}\n"
        "verdict = fuzz.judged(fuzz.Case('run', 1, 1), fuzz.run, None)\n"
        "print((verdict.ended, verdict.fault))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(HERE)], capture_output=True, text=True, check=True, timeout=600
    )
    assert ran.stdout.strip() == str((ended, ""))


def test_every_base_of_the_fuzz_runs():
    """What is mutated is right before."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import fuzz; fuzz.warm_up()\n"
        "fuzz.study_of_run = lambda case: {**fuzz.base(list(fuzz.BASES)[case.number]), 'figures': []}\n"
        "verdicts = [fuzz.judged(fuzz.Case('run', n, 1), fuzz.run, None) for n in range(len(fuzz.BASES))]\n"
        "print([(verdict.ended, verdict.fault) for verdict in verdicts])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(HERE)], capture_output=True, text=True, check=True, timeout=600
    )
    assert ran.stdout.strip() == str([("ran", "")] * len(BASES))
