"""Mutated studies, results and blocks: no traceback, no hang, no file elsewhere, memory under a gigabyte.

    python tests/endurance/fuzz.py --seed 1 --loads 10000 --runs 1500 --damages 300

prints seed, counts and every failure; the files of a failure are kept under `--keep`, and `--case KIND:NUMBER` repeats
it alone. A case depends on the seed, its kind and its number alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import multiprocessing
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from fuzz_bases import BASES, FILES, base
from fuzz_mutations import Mutator
from sandbox import Outcome, forked, tree

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import cevnslab as cl
from cevnslab.cli import main
from cevnslab.errors import CevnslabError
from cevnslab.reports.describe import describe
from cevnslab.reports.json_schema import study_schema
from cevnslab.studies import presets

SECONDS = {"load": 60.0, "run": 120.0, "damage": 60.0, "block": 120.0}
"""The most processor time of a case; no clock on the wall, which tells of the machine's other work."""
MEGABYTES = 1000.0
LOADS_AT_ONCE = 200

FORBIDDEN = re.compile(
    r"Traceback|internal error|object at 0x|<class|NoneType|\bNone\b|\bgot (dict|list|str|int|float|tuple|bool)\b|"
    r"pydantic|Input should|validation error|RuntimeWarning|[\x00-\x08\x0b-\x1f\x7f]"
)
"""What no message to a user holds: Python's words, control characters."""


@dataclass(frozen=True)
class Case:
    """One case: its kind, its number, and the seed of all."""

    kind: str
    number: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}:{self.number}"

    def mutator(self) -> Mutator:
        return Mutator(random.Random(f"{self.seed} {self.name}"), SCHEMA)


@dataclass(frozen=True)
class Verdict:
    """What came of a case: how it ended, and what is wrong with that, if anything."""

    case: Case
    ended: str
    fault: str = ""
    megabytes: float = 0.0
    seconds: float = 0.0


class WrongError(Exception):
    """Something that must not happen."""


SCHEMA: dict[str, Any] = study_schema()


def require(right: bool, what: str) -> None:
    if not right:
        raise WrongError(what)


def check_message(text: str) -> None:
    """A message is short, on few lines, in the words of the field."""
    require(0 < len(text) < 3000, f"a message of {len(text)} letters: {text[:300]}")
    match = FORBIDDEN.search(text)
    require(match is None, f"a message holds {match and match[0]!r}: {text[:600]}")


def write_case(folder: Path, content: bytes) -> Path:
    """A study file with all the files that one may name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "study.yaml").write_bytes(content)
    return folder / "study.yaml"


def dumped(keys: Any) -> bytes:
    return yaml.dump(keys, sort_keys=False, allow_unicode=True, Dumper=_Dumper).encode("utf-8", "surrogatepass")


class _Dumper(yaml.SafeDumper):
    """Writes what can be written, anything else as a word."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_multi_representer(object, lambda dumper, data: dumper.represent_str(str(data)))

# Loads ----------------------------------------------------------------------------------------------------------------


def study_of_load(case: Case) -> bytes:
    mutator = case.mutator()
    names = [*BASES, *BASES, *presets.names("studies")]
    name = mutator.rng.choice(names)
    keys = base(name) if name in BASES else presets.load("studies", name)
    if mutator.rng.random() < 0.25:
        return mutator.text(keys)
    return dumped(mutator.mutated(keys))


def load(case: Case, folder: Path) -> str:
    """Load a mutated study and say what it would compute; how it ended."""
    path = write_case(folder, study_of_load(case))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            describe(cl.load_study(path))
        except CevnslabError as fault:
            check_message(str(fault))
            return "refused"
    return "loaded"


def loads(cases: list[Case], root: Path) -> list[Verdict]:
    """Many loads in one process; one that dies or hangs is told apart, and the rest goes on in another."""
    left = list(cases)
    verdicts: list[Verdict] = []
    while left:
        progress = root / f"progress-{left[0].number}"
        outcome = forked(partial(_load_all, left, root, progress), SECONDS["load"] + 0.2 * len(left))
        lines = [json.loads(line) for line in progress.read_text(encoding="utf-8").splitlines()]
        progress.unlink()
        for line, case in zip(lines, left, strict=False):
            verdicts.append(Verdict(case, line["ended"], line["fault"], 0.0, line["seconds"]))
        ended = len(lines)
        if ended < len(left):
            how = "hangs" if outcome.status is None else f"dies with {outcome.status}"
            verdicts.append(Verdict(left[ended], "lost", f"{how} after {outcome.seconds:.0f} s: {outcome.err[-1500:]}"))
            ended += 1
        elif outcome.megabytes > MEGABYTES:
            greedy = f"{outcome.megabytes:.0f} MB among {left[0].name} to {left[-1].name}"
            verdicts.append(Verdict(left[-1], "greedy", greedy))
        left = left[ended:]
    return verdicts


def _load_all(cases: list[Case], root: Path, progress: Path) -> None:
    with progress.open("w", encoding="utf-8") as messages:
        for case in cases:
            start, fault = time.process_time(), ""
            folder = Path(tempfile.mkdtemp(dir=root))
            try:
                ended = load(case, folder)
            except WrongError as wrong:
                ended, fault = "wrong", str(wrong)
            except Exception:
                ended, fault = "traceback", traceback.format_exc()[-2500:]
            seconds = time.process_time() - start
            if not fault and seconds > SECONDS["load"] / 2:
                ended, fault = "slow", f"took {seconds:.0f} s"
            shutil.rmtree(folder, ignore_errors=True)
            messages.write(json.dumps({"ended": ended, "fault": fault, "seconds": seconds}) + "\n")
            messages.flush()


# Runs -----------------------------------------------------------------------------------------------------------------


def study_of_run(case: Case) -> Any:
    mutator = case.mutator()
    keys = base(mutator.rng.choice(list(BASES)))
    if mutator.rng.random() < 0.8:
        keys["figures"] = []
    changed = mutator.retuned(keys) if mutator.rng.random() < 0.8 else mutator.mutated(keys, 2)
    return _limited(changed)


def _limited(keys: Any) -> Any:
    """Keep runs short where that is the user's own wish: toys and points of scans."""
    if isinstance(keys, dict):
        for holder, key, most in ((keys.get("intervals"), "toys", 200), *_points(keys)):
            if isinstance(holder, dict) and type(holder.get(key)) in (int, float) and holder[key] > most:
                holder[key] = most
    return keys


def _points(keys: Any) -> Iterator[tuple[Any, str, int]]:
    for name in ("profiles", "scans", "maps"):
        for holder in keys.get(name) if isinstance(keys.get(name), list) else []:
            yield holder, "points", 50


def command(*arguments: object) -> None:
    """The command, in the process that calls it."""
    sys.argv = ["cevnslab", *map(str, arguments)]
    main()


def run(case: Case, root: Path) -> Verdict:
    """Run a mutated study in a folder of its own."""
    path = write_case(root / "work", dumped(study_of_run(case)))
    victim = root / "victim.txt"
    victim.write_text("precious", encoding="utf-8")
    before = tree(root)
    os_folder = root / "work"

    def inside() -> None:
        os.chdir(os_folder)
        command("run", path.name, "-o", "out")

    outcome = forked(inside, SECONDS["run"])
    after = {name: content for name, content in tree(root).items() if not name.startswith("work/out")}
    require(after == before, f"files changed: {sorted(set(after) ^ set(before)) or 'contents'}")
    require(outcome.status is not None, f"hangs: more than {SECONDS['run']:.0f} s; {outcome.err[-500:]}")
    require(outcome.status in (0, 2), f"exit status {outcome.status}: {outcome.err[-2500:]}")
    if outcome.err:
        check_message(outcome.err)
        require(outcome.err.startswith("cevnslab: "), f"standard error: {outcome.err[:600]}")
    require(outcome.megabytes < MEGABYTES, f"{outcome.megabytes:.0f} MB")
    out = root / "work" / "out"
    if outcome.status == 2:
        written = sorted(name for name, content in tree(out).items() if content is not None) if out.exists() else []
        require(written == [], f"refused, and files are there: {written[:5]}: {outcome.err[:300]}")
        _check_foreseen(os_folder, path.name, outcome)
        return Verdict(case, "refused", "", outcome.megabytes, outcome.seconds)
    _check_results(out)
    return Verdict(case, "ran", "", outcome.megabytes, outcome.seconds)


OF_A_FIT = re.compile(
    r"is not resolved|do not close|too long to be followed|reaches the end of the simulated map|"
    r"reach the end of the range that is searched|no pseudo-experiment can be drawn"
)
"""What only a fit or a pseudo-experiment can meet."""


def _check_foreseen(folder: Path, name: str, refused: Outcome) -> None:
    """What a run refuses without a fit, `check` refuses in the same words."""
    if OF_A_FIT.search(refused.err):
        return

    def inside() -> None:
        os.chdir(folder)
        command("check", name)

    checked = forked(inside, SECONDS["run"])
    require(checked.status == 2, f"run refuses and check does not: {refused.err[:600]}")
    require(checked.err == refused.err, f"run says {refused.err[:400]} check says {checked.err[:400]}")


def _check_results(out: Path) -> None:
    (folder,) = out.iterdir()
    hidden = [path.name for path in folder.rglob(".*")]
    require(hidden == [], f"hidden things stay: {hidden}")
    result = cl.load_result(folder)
    cl.study_from_dict(result.study, where="saved", base=out.parent)
    table = folder / "limits.csv"
    require(table.exists() == bool(result.limits), f"limits.csv: {len(result.limits)} limits, and written or not")
    if not result.limits:
        return  # of no couplings there are none, and a table without rows is not written
    with table.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            for end in ("lower", "upper"):
                require(math.isfinite(float(row[end])), f"limits.csv: {end} is {row[end]}: {row}")


# Damaged results and blocks -------------------------------------------------------------------------------------------


def damage(case: Case, root: Path, saved: Path) -> Verdict:
    """Commands that read results, on results that were changed."""
    mutator = case.mutator()
    folder = root / "results" / saved.name
    shutil.copytree(saved, folder)
    target = folder / mutator.rng.choice(["result.json"] * 4 + ["provenance.json", "coverage.json"])
    if mutator.rng.random() < 0.4:
        target.write_bytes(mutator.flipped(target.read_bytes()))
    else:
        target.write_text(mutator.json(target.read_text(encoding="utf-8")), encoding="utf-8", errors="replace")
        # As a version without checksums wrote it.
        provenance = json.loads((saved / "provenance.json").read_text(encoding="utf-8"))
        for key in ("files", "figures"):
            provenance.pop(key, None)
        if target.name != "provenance.json":
            (folder / "provenance.json").write_text(json.dumps(provenance), encoding="utf-8")
    (root / "victim.txt").write_text("precious", encoding="utf-8")
    before = {name: text for name, text in tree(root).items() if not name.startswith(f"results/{saved.name}")}
    exports = [["export", folder, "--format", form, "-o", folder / form] for form in ("hepdata", "bibtex", "pyhf")]
    arguments = mutator.rng.choice([["figures", folder], ["report", folder], *exports])
    outcome = forked(partial(command, *arguments), SECONDS["damage"])
    after = {name: text for name, text in tree(root).items() if not name.startswith(f"results/{saved.name}")}
    require(after == before, f"{arguments[0]}: files changed elsewhere: {sorted(set(after) ^ set(before))}")
    _check_command(outcome, (0, 1, 2), arguments[0])
    require(list(folder.rglob(".*")) == [], "hidden things stay")
    return Verdict(case, "read" if outcome.status == 0 else "refused", "", outcome.megabytes, outcome.seconds)


def _check_command(outcome: Outcome, statuses: tuple[int, ...], what: str) -> None:
    require(outcome.status is not None, f"{what} hangs; {outcome.err[-500:]}")
    require(outcome.status in statuses, f"{what}: exit status {outcome.status}: {outcome.err[-2500:]}")
    require(bool(outcome.err) == (outcome.status != 0), f"{what}: {outcome.status}, {outcome.err[:500]}")
    if outcome.err:
        check_message(outcome.err)
    require(outcome.megabytes < MEGABYTES, f"{what}: {outcome.megabytes:.0f} MB")


def block(case: Case, root: Path, killed: Path, whole: dict[str, bytes | None]) -> Verdict:
    """A run that takes up kept blocks, some of which were changed, gives the same bytes."""
    mutator = case.mutator()
    work = root / "work"
    shutil.copytree(killed, work)
    stored = sorted(work.glob("out/*/.blocks/*/*.block"))
    mutator.damage(stored)

    def inside() -> None:
        os.chdir(work)
        command("run", "study.yaml", "-o", "out")

    _check_command(forked(inside, SECONDS["block"]), (0,), "run")
    require(bytes_of(work) == whole, "the results differ from those of an undisturbed run")
    return Verdict(case, "same bytes")


def bytes_of(work: Path) -> dict[str, bytes | None]:
    """What a run wrote, but for the file that knows the date."""
    return {name: text for name, text in tree(work / "out").items() if not name.endswith("provenance.json")}


def prepared_results(root: Path) -> Path:
    """A saved result with every kind of record, and a coverage study beside it."""
    keys = base("projection")
    path = write_case(root, dumped(keys))

    def inside() -> None:
        os.chdir(root)
        command("run", path.name, "-o", "out")

    def coverage() -> None:
        os.chdir(root)
        more = ["--detector", "ge", "--coupling", "q_ee", "--at", "0", "--toys", "100"]
        command("coverage", path.name, *more, "-o", "out")

    for function in (inside, coverage):
        outcome = forked(function, 120)
        require(outcome.status == 0, f"the undamaged study does not run: {outcome.err}")
    return root / "out" / str(keys["name"])


def prepared_blocks(root: Path) -> tuple[Path, dict[str, bytes | None]]:
    """The folder of a run that was ended when it had kept its blocks, and what an undisturbed one gives."""
    from cevnslab.reports import files

    keys = {**base("simulated"), "figures": []}
    for name in ("whole", "killed"):
        write_case(root / name, dumped(keys))

    def whole() -> None:
        os.chdir(root / "whole")
        command("run", "study.yaml", "-o", "out")

    def killed() -> None:
        os.chdir(root / "killed")
        files.csv_texts = lambda _: os._exit(9)  # type: ignore[assignment]
        command("run", "study.yaml", "-o", "out")

    for function, status in ((whole, 0), (killed, 9)):
        outcome = forked(function, 120)
        require(outcome.status == status, f"{outcome.status}: {outcome.err}")
    require(bool(list((root / "killed").glob("out/*/.blocks/*/*.block"))), "no blocks were kept")
    return root / "killed", bytes_of(root / "whole")


# All of it ------------------------------------------------------------------------------------------------------------


def judged(case: Case, function: Callable[[Case, Path], Verdict], keep: Path | None) -> Verdict:
    """The verdict on a case in a folder of its own; the folder of a failure is kept."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        try:
            return function(case, Path(name))
        except WrongError as wrong:
            fault = str(wrong)
        except Exception:
            fault = traceback.format_exc()[-2500:]
        if keep is not None:
            shutil.copytree(name, keep / case.name.replace(":", "-"), dirs_exist_ok=True, symlinks=True)
        return Verdict(case, "wrong", fault)


def judge(kind: str, root: Path) -> Callable[[Case, Path], Verdict]:
    """What judges a case of a kind, with what all of them start from."""
    if kind == "damage":
        return partial(damage, saved=prepared_results(root / "saved"))
    if kind == "block":
        killed, whole = prepared_blocks(root / "blocks")
        return partial(block, killed=killed, whole=whole)
    return run


def fuzz(counts: dict[str, int], seed: int, keep: Path | None = None, jobs: int = 2) -> list[Verdict]:
    """The verdicts on so many cases of each kind."""
    cases = {kind: [Case(kind, number, seed) for number in range(count)] for kind, count in counts.items()}
    # Cases are copies of processes, not of threads: a lock that another thread holds would never open in them.
    fork = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name, ProcessPoolExecutor(jobs, fork) as pool:
        root = Path(name)
        verdicts: list[Verdict] = []
        batches = [cases["load"][at : at + LOADS_AT_ONCE] for at in range(0, counts["load"], LOADS_AT_ONCE)]
        for batch in pool.map(partial(loads, root=root), batches):
            verdicts += batch
        functions = {kind: judge(kind, root) for kind in ("run", "damage", "block") if counts[kind]}
        for kind, function in functions.items():
            verdicts += pool.map(partial(judged, function=function, keep=keep), cases[kind])
    if keep is not None:
        for verdict in verdicts:
            if verdict.fault and verdict.case.kind == "load":
                write_case(keep / verdict.case.name.replace(":", "-"), study_of_load(verdict.case))
    return verdicts


def warm_up() -> None:
    """Import what every case needs, once for all copies of this process."""
    import contourpy  # noqa: F401
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf  # noqa: F401
    import scipy.special  # noqa: F401

    import cevnslab.reports.tables
    import cevnslab.studies.runner  # noqa: F401


def report(verdicts: list[Verdict], seed: int, seconds: float) -> str:
    """Seed, counts, and every failure."""
    kinds = list(dict.fromkeys(verdict.case.kind for verdict in verdicts))
    lines = [f"seed {seed}, {len(verdicts)} cases in {seconds:.0f} s"]
    for kind in kinds:
        selection = [verdict for verdict in verdicts if verdict.case.kind == kind]
        ended = ", ".join(f"{count} {how}" for how, count in sorted(Counter(v.ended for v in selection).items()))
        most, longest = max(v.megabytes for v in selection), max(v.seconds for v in selection)
        lines.append(f"{kind}: {len(selection)} cases: {ended}; at most {longest:.1f} s, {most:.0f} MB")
    failures = [verdict for verdict in verdicts if verdict.fault]
    lines.append(f"{len(failures)} failures")
    lines += [f"\n{verdict.case.name} ({verdict.ended}): {verdict.fault}" for verdict in failures]
    return "\n".join(lines)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loads", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1500)
    parser.add_argument("--damages", type=int, default=300)
    parser.add_argument("--blocks", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=Path("build/fuzz"), help="where the files of failures go")
    parser.add_argument("--case", help="KIND:NUMBER, to repeat one case and see all that it says")
    return parser.parse_args()


if __name__ == "__main__":
    arguments = parsed()
    warm_up()
    counts = {
        "load": arguments.loads,
        "run": arguments.runs,
        "damage": arguments.damages,
        "block": arguments.blocks,
    }
    begun = time.monotonic()
    if arguments.case:
        kind, number = arguments.case.split(":")
        case = Case(kind, int(number), arguments.seed)
        if kind in ("load", "run"):
            print((study_of_load(case) if kind == "load" else dumped(study_of_run(case))).decode("utf-8", "replace"))
        folder = Path(tempfile.mkdtemp())
        print(loads([case], folder) if kind == "load" else judged(case, judge(kind, folder), arguments.keep))
    else:
        verdicts = fuzz(counts, arguments.seed, arguments.keep, arguments.jobs)
        print(report(verdicts, arguments.seed, time.monotonic() - begun))
        sys.exit(1 if any(verdict.fault for verdict in verdicts) else 0)
