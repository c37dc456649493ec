"""Is the package ready for release? Build it, install it where nothing else is, and use it there.

    python release/check.py [--python PYTHON]

1. The wheel and the source distribution are built.
2. Each is installed in an empty environment and reproduces the paper from an empty folder: the limits must be
   the reference numbers, and the six figures be there.
3. The wheel is installed with the lowest version of every dependency that `pyproject.toml` allows, and part of the
   tests runs on it.

Some minutes, with a network. Ends with status 1 and a message at the first fault.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS_ON_LOWEST = (
    "tests/physics",
    "tests/detection",
    "tests/likelihood",
    "tests/inference/test_intervals.py",
    "tests/inference/test_contours.py",
    "tests/studies/test_schema.py",
    "tests/results",
    "tests/figures",
    "tests/cli/test_command_line.py",
)
TEST_TOOLS = ("pytest", "hypothesis", "iminuit", "particle")
GOLDEN_DETECTORS = {"CsI": "ess-csi", "Xe": "ess-xe", "Ge": "ess-ge"}
"""The reference numbers' names of the presets (tests/data/golden.json)."""


def run(command: Sequence[str | Path], cwd: Path, said: str) -> str:
    """The output of a command; ends the check where it fails."""
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{said}: failed\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    print(f"{said}: done", flush=True)
    return done.stdout


def environment(python: str, folder: Path, packages: Sequence[str | Path], said: str) -> Path:
    """A new environment with packages; returns its folder of programs."""
    run([python, "-m", "venv", folder], folder.parent, f"{said}: environment")
    programs = folder / "bin"
    install = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    run(install, folder.parent, f"{said}: installation")
    return programs


def reproduce(programs: Path, empty: Path, said: str) -> None:
    """The paper, from an empty folder."""
    empty.mkdir()
    run([programs / "cevnslab", "reproduce"], empty, f"{said}: the paper")
    results = empty / "results" / "parada2024"
    with open(results / "limits.csv", encoding="utf-8", newline="") as file:
        rows = {(row["detector"], row["coupling"]): row for row in csv.DictReader(file)}
    golden = json.loads((ROOT / "tests" / "data" / "golden.json").read_text(encoding="utf-8"))["limits_90CL"]["values"]
    for name, detector in GOLDEN_DETECTORS.items():
        for flavours, ends in golden[name].items():
            row = rows[detector, f"q_{flavours}"]
            found = float(row["lower"]), float(row["upper"])
            if any(abs(ours / theirs - 1) > 1e-6 for ours, theirs in zip(found, ends, strict=True)):
                sys.exit(f"{said}: q_{flavours} of {detector} is {found}, expected {ends}")
    missing = [n for n in range(1, 7) if not (results / "figures" / f"figure-{n}.pdf").exists()]
    if missing:
        sys.exit(f"{said}: figures {missing} are missing")


def lowest(requirements: Sequence[str]) -> list[str]:
    """Every requirement at the lowest version that it allows.

    >>> lowest(["numpy>=1.26", "pooch>=1.7,<3"])
    ['numpy==1.26', 'pooch==1.7']
    """
    return [re.sub(r"^([A-Za-z0-9_.-]+)>=([^,;\s]+).*$", r"\1==\2", requirement) for requirement in requirements]


def main() -> None:
    """Check everything, in order."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter of the environments")
    python = parser.parse_args().python
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory(prefix="cevnslab-release-") as name:
        folder = Path(name)
        builder = environment(python, folder / "builder", ["build"], "build tools")
        run([builder / "python", "-m", "build", "--outdir", folder / "dist", ROOT], folder, "wheel and sdist")
        for kind, pattern in (("wheel", "*.whl"), ("sdist", "*.tar.gz")):
            built = next((folder / "dist").glob(pattern))
            programs = environment(python, folder / kind, [built], kind)
            reproduce(programs, folder / f"from-{kind}", kind)
        wheel = next((folder / "dist").glob("*.whl"))
        pins = lowest(project["dependencies"])
        programs = environment(python, folder / "lowest", [wheel, *pins, *TEST_TOOLS], "lowest versions")
        # Old versions warn of what newer ones of others have changed: that is not ours to mend.
        tests = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore::DeprecationWarning", *TESTS_ON_LOWEST]
        run([programs / "python", "-W", "ignore::DeprecationWarning", *tests], ROOT, "lowest versions: tests")
    print("ready")


if __name__ == "__main__":
    main()
