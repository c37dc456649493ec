"""The numbers of `coverage.md`: simulated, kept in `data/`, drawn, and written into the page between its markers.

`python docs/coverage_study.py` runs the commands that the page lists (some minutes on one core), `--write` only
writes the page from `data/`, `--check` says whether page and data agree. Nothing on the page is typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from marked_blocks import with_blocks

import cevnslab as cl
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_tasks import ToyTask, delta_chi2
from cevnslab.studies.analysis import analyses
from cevnslab.studies.yaml_io import parse_yaml

DOCS = Path(__file__).resolve().parent
PAGE, DATA, FIGURES = DOCS / "coverage.md", DOCS / "data", DOCS / "figures"
COVERAGE, PLANES = DATA / "coverage.csv", DATA / "coverage_planes.csv"
LIMITS, ERRORS = DATA / "feldman_cousins_limits.csv", DATA / "feldman_cousins_errors.csv"
DATA_LIMITS, DATA_ERRORS = DATA / "coherent_feldman_cousins_limits.csv", DATA / "coherent_feldman_cousins_errors.csv"
DATA_KNOWN = DATA / "coherent_delta_chi2_limits.csv"

STUDY, SIMULATED, TOYS, SEED = "parada2024", "ess-feldman-cousins", 40_000, 1
VALUES = {
    ("ess-ge", "q_ee"): "-8e-9 -3.85e-9 -2e-9 0 2e-9 4.87e-9 8e-9 12e-9 16.4e-9 20.6e-9 25e-9",
    ("ess-ge", "q_mumu"): "-4e-9 -2e-9 -1e-9 0 1e-9 2.1e-9 4e-9",
    ("ess-ge", "q_emu"): "0 2e-9 4e-9 6e-9 8e-9 12e-9",
    ("ess-ge", "q_etau"): "0 3.5e-9 7e-9 10.5e-9 14e-9 21e-9",
    ("ess-ge", "q_mutau"): "0 2.5e-9 5e-9 7.3e-9 10e-9 15e-9",
    ("ess-csi", "q_ee"): "-12e-9 -6e-9 -3e-9 0 3e-9 6.5e-9 12e-9 25e-9",
    ("ess-csi", "q_mumu"): "-6e-9 -3e-9 -1.5e-9 0 1.5e-9 3e-9 6e-9",
    ("ess-csi", "q_emu"): "0 4e-9 8e-9 12.2e-9 16e-9 24e-9",
    ("ess-csi", "q_etau"): "0 7e-9 14e-9 21.5e-9 28e-9 42e-9",
    ("ess-csi", "q_mutau"): "0 5e-9 10e-9 14.8e-9 20e-9 30e-9",
}
"""True values: zero, the limits of both sides and beyond; for q_ee of germanium up to its second minimum."""
SIX, SIX_STUDY, SIX_TOYS = "ess-six", "docs/data/six-detectors.yaml", 10_000
SIX_VALUES = {
    "q_ee": "-0.9e-9 0 1.24e-9",
    "q_mumu": "-0.47e-9 0 0.54e-9",
    "q_etau": "0 1.2e-9 2.4e-9",
    "sin2_theta_w": "0.222 0.23857 0.258",
}
SHAPED = "coherent-shape"
SHAPES = (
    ("coherent-csi-2021", "q_ee", "-1.2e-7 0 6e-7", 2000),
    ("coherent-csi-lar", "q_ee", "-7.4e-8 0 1.3e-7", 2000),
)
"""The data with every shape nuisance: near both limits and zero; of CsI alone the second valley."""
DATA_SIMULATED = "docs/data/coherent-feldman-cousins.yaml"
PAIRS = (
    ("ess-ge", ("q_ee", "q_mumu")),
    ("ess-ge", ("q_etau", "q_mutau")),
    ("ess-csi", ("q_ee", "q_mumu")),
    ("ess-csi", ("q_etau", "q_mutau")),
)
"""Two couplings at once, the truth at zero."""
DATA_SETS = tuple(dict.fromkeys(row[0] for row in SHAPES))
LEAST_SQUARES = "least-squares", "global minimum; normalisations drawn"
CONNECTED = "least-squares", "connected minimum; normalisations drawn"
CENTRES = "least-squares", "global minimum; constraint centres fluctuated"
POISSON = "poisson", "global minimum; normalisations drawn"


def commands() -> list[list[str]]:
    """Every command of the page, in order; the last one is Feldman-Cousins."""

    def coverage(
        detector: str, coupling: str, values: str, *more: str, study: str = STUDY, toys: int = TOYS
    ) -> list[str]:
        at = [word for value in values.split() for word in ("--at", value)]
        options = ["--toys", str(toys), "--seed", str(SEED), *more]
        return ["cevnslab", "coverage", study, "--detector", detector, "--coupling", coupling, *at, *options]

    commands = [coverage(detector, coupling, values) for (detector, coupling), values in VALUES.items()]
    for detector in ("ess-ge", "ess-csi"):
        commands.append(coverage(detector, "q_ee", VALUES[detector, "q_ee"], "--minimum", "connected"))
        commands += [coverage(detector, name, "0", "--statistic", "poisson") for name in ("q_ee", "q_etau")]
    commands.append(coverage("ess-ge", "q_ee", "0 20.6e-9", "--ensemble", "centres"))
    for statistic in ("least-squares", "poisson"):
        commands += [
            coverage(SIX, name, values, "--statistic", statistic, study=SIX_STUDY, toys=SIX_TOYS)
            for name, values in SIX_VALUES.items()
        ]
    commands += [
        coverage(detector, coupling, values, study=SHAPED, toys=toys) for detector, coupling, values, toys in SHAPES
    ]
    return [*commands, ["cevnslab", "run", DATA_SIMULATED], ["cevnslab", "reproduce", SIMULATED]]


def simulate(output: Path, options: Sequence[str]) -> None:
    """Run the commands, each in a folder of its own, and keep what the page needs of their files.

    A command whose table is there already is not run again.
    """
    tables = []
    for number, words in enumerate(commands(), start=1):
        print(shlex.join(words), flush=True)
        folder = output / f"{number:02}"
        study, name = Path(words[2]).stem, "coverage.csv" if words[1] == "coverage" else "limits.csv"
        if not (folder / study / name).exists():
            subprocess.run([sys.executable, "-m", *words, "-o", str(folder), *options], check=True, cwd=DOCS.parent)
        tables.append(folder / study / name)
    for folder in (DATA, FIGURES):
        folder.mkdir(exist_ok=True)
    *coverages, data_limits, limits = tables
    lines = [path.read_text(encoding="utf-8").splitlines() for path in coverages]
    text = "\n".join([lines[0][0], *(line for _, *points in lines for line in points)]) + "\n"
    COVERAGE.write_text(text, encoding="utf-8")
    planes()
    delta_chi2_limits()
    shutil.copyfile(limits.with_name("figures") / "critical-values.png", FIGURES / "critical-values.png")
    keep_critical_values(limits, LIMITS, ERRORS)
    keep_critical_values(data_limits, DATA_LIMITS, DATA_ERRORS)
    draw()


def planes() -> None:
    """Coverage of contours of two couplings, by the tasks that the command runs for one."""
    tasks = []
    by_name = analyses(cl.load_study(STUDY))
    for detector, names in PAIRS:
        stream = ("coverage", detector)
        tasks.append(ToyTask(by_name[detector].likelihood, names, (0.0, 0.0), TOYS, SEED, stream))
    with PLANES.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["detector", "coupling_x", "coupling_y", "toys", "coverage", "coverage_error", "critical_value"]
        )
        for (detector, names), sample in zip(PAIRS, delta_chi2(tasks), strict=True):
            covered = float(np.mean(sample <= delta_chi2_level(0.90, 2)))
            error = float(np.sqrt(covered * (1 - covered) / len(sample)))
            writer.writerow([detector, *names, len(sample), covered, error, float(np.quantile(sample, 0.90))])


def delta_chi2_limits() -> None:
    """The limits of the Feldman-Cousins study of the data by delta chi^2."""
    content = parse_yaml((DOCS.parent / DATA_SIMULATED).read_text(encoding="utf-8"), DATA_SIMULATED)
    content["intervals"] = {"confidence_level": content["intervals"]["confidence_level"]}
    with DATA_KNOWN.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["detector", "coupling", "lower", "upper"])
        for limit in cl.study_from_dict(content).run().limits:
            writer.writerows([limit.detector, limit.coupling, *piece] for piece in limit.segments)


def keep_critical_values(limits: Path, archive: Path, errors: Path) -> None:
    """The limits of a Feldman-Cousins study, and its critical values with their errors."""
    shutil.copyfile(limits, archive)
    content = json.loads(limits.with_name("result.json").read_text(encoding="utf-8"))
    with errors.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = "lowest_critical_value,highest_critical_value,largest_error,interpolation_error"
        writer.writerow(f"detector,coupling,toys,convention,{names}".split(","))
        for row in content["critical_values"]:
            values, error = row["critical_value"], max(row["critical_value_error"])
            numbers = min(values), max(values), error, row["interpolation_error"]
            writer.writerow([row["detector"], row["coupling"], row["toys"], row["convention"], *numbers])


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def draw() -> None:
    """Coverage against the true value, a panel per coupling."""
    from cevnslab.figures import style
    from cevnslab.figures.layout import Sheet
    from cevnslab.units import scaled

    symbols = {name: each.symbol for name, each in ((n, cl.couplings.coupling(n)) for _, n in VALUES)}
    labels = {"ess-ge": "Ge", "ess-csi": "CsI"}
    table = rows(COVERAGE)
    with style.styled(style.settings()):
        sheet = Sheet(len(symbols), 3)
        for cell, (name, symbol) in zip(sheet.cells, symbols.items(), strict=True):
            axes = cell.axes
            for (detector, convention), colour, marker in (
                (("ess-ge", LEAST_SQUARES), style.DETECTOR_COLOURS[0], "o"),
                (("ess-csi", LEAST_SQUARES), style.DETECTOR_COLOURS[3], "s"),
                (("ess-ge", CONNECTED), style.DETECTOR_COLOURS[1], "^"),
                (("ess-csi", CONNECTED), style.DETECTOR_COLOURS[5], "v"),
            ):
                selection = [r for r in table if (r["detector"], r["coupling"]) == (detector, name)]
                selection = [r for r in selection if (r["statistic"], r["convention"]) == convention]
                if not selection:
                    continue
                label = labels[detector] + (", connected" if convention == CONNECTED else "")
                axes.errorbar(
                    [float(r["true_value"]) * 1e9 for r in selection],
                    [100 * float(r["coverage"]) for r in selection],
                    yerr=[100 * float(r["coverage_error"]) for r in selection],
                    color=colour,
                    marker=marker,
                    markersize=4,
                    linewidth=1,
                    label=label,
                )
            axes.axhline(90, color="0.45", linewidth=0.9, linestyle=(0, (1, 2)))
            axes.set_ylim(84.5, 96.5)
            axes.set_xlabel(f"true ${symbol}$ ({scaled('e', -9)})")
            axes.set_ylabel("coverage of the 90% CL interval (%)")
            cell.legend(None)
        sheet.finish()
        sheet.save(FIGURES / "coverage.png")


def table(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A Markdown table; all but the first two columns are aligned to the right."""
    rule = ["---" if number < 2 else "---:" for number in range(len(columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, rule, *lines))


def percent(row: dict[str, str]) -> str:
    """Coverage and its error."""
    return f"{100 * float(row['coverage']):.2f} ± {100 * float(row['coverage_error']):.2f}"


def coverage_table() -> str:
    """Least squares against the global minimum; for q_ee also the connected one."""
    content = rows(COVERAGE)
    connected = {
        (r["detector"], r["coupling"], r["true_value"]): percent(r)
        for r in content
        if (r["statistic"], r["convention"]) == CONNECTED
    }
    lines = []
    for row in content:
        if row["detector"] != SIX and (row["statistic"], row["convention"]) == LEAST_SQUARES:
            beside = connected.get((row["detector"], row["coupling"], row["true_value"]), "")
            value = f"{float(row['true_value']) * 1e9:g}"
            lines.append([row["detector"], row["coupling"], value, percent(row), critical(row), beside])
    columns = ["detector", "coupling", "true value (1e-9 e)", "coverage (%)", "critical value"]
    return table([*columns, "connected minimum (%)"], lines)


def variants_table() -> str:
    """The other statistic and the other ensemble beside the default."""
    content = rows(COVERAGE)
    lines = []
    for row in content:
        if row["detector"] not in (SIX, *DATA_SETS) and (row["statistic"], row["convention"]) in (POISSON, CENTRES):
            same = ("detector", "coupling", "true_value")
            default = next(
                r
                for r in content
                if [r[key] for key in same] == [row[key] for key in same]
                and (r["statistic"], r["convention"]) == LEAST_SQUARES
            )
            changed = "Poisson" if row["statistic"] == "poisson" else "constraint centres fluctuated"
            value = f"{float(row['true_value']) * 1e9:g}"
            lines.append([row["detector"], row["coupling"], value, changed, percent(row), percent(default)])
    return table(["detector", "coupling", "true value (1e-9 e)", "changed", "coverage (%)", "default (%)"], lines)


def shapes_table() -> str:
    """Real data with every shape nuisance."""
    lines = [
        [row["detector"], row["coupling"], f"{float(row['true_value']) * 1e9:g}", percent(row), critical(row)]
        for row in rows(COVERAGE)
        if row["detector"] in DATA_SETS
    ]
    return table(["detector", "coupling", "true value (1e-9 e)", "coverage (%)", "critical value"], lines)


def six_table() -> str:
    """The six detectors together by both statistics."""
    of_six = [row for row in rows(COVERAGE) if row["detector"] == SIX]
    lines = []
    for row in (row for row in of_six if row["statistic"] == "least-squares"):
        key = row["coupling"], row["true_value"]
        poisson = next(r for r in of_six if (r["coupling"], r["true_value"], r["statistic"]) == (*key, "poisson"))
        charge = row["coupling"] != "sin2_theta_w"
        value = f"{float(row['true_value']) * 1e9:g} (1e-9 e)" if charge else f"{float(row['true_value']):g}"
        lines.append([row["coupling"], value, percent(row), critical(row), percent(poisson), critical(poisson)])
    columns = ["coupling", "true value", "least squares (%)", "critical value", "Poisson (%)", "critical value"]
    return table(columns, lines)


def planes_table() -> str:
    """Two couplings at once."""
    lines = [
        [row["detector"], f"{row['coupling_x']}, {row['coupling_y']}", percent(row), critical(row)]
        for row in rows(PLANES)
    ]
    return table(["detector", "couplings", "coverage (%)", "critical value"], lines)


def data_intervals_table() -> str:
    """Feldman-Cousins of COHERENT's data beside delta chi^2."""
    known: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows(DATA_KNOWN):
        known.setdefault((row["detector"], row["coupling"]), []).append((float(row["lower"]), float(row["upper"])))
    return intervals_block(DATA_LIMITS, DATA_ERRORS, known, 1)


def critical(row: dict[str, str]) -> str:
    """The delta chi^2 that would have covered."""
    return f"{float(row['critical_value']):.2f}"


def intervals_table() -> str:
    """Feldman-Cousins beside delta chi^2, which is computed anew."""
    known = {(limit.detector, limit.coupling): limit.segments for limit in cl.load_study(STUDY).run().limits}
    return intervals_block(LIMITS, ERRORS, known, 2)


def intervals_block(limits: Path, errors_path: Path, known: Mapping[tuple[str, str], Any], digits: int) -> str:
    """Feldman-Cousins beside known intervals; simulated critical values and their errors."""
    errors = {(r["detector"], r["coupling"]): r for r in rows(errors_path)}
    pieces: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows(limits):
        pieces.setdefault((row["detector"], row["coupling"]), []).append((float(row["lower"]), float(row["upper"])))
    lines = []
    for (detector, coupling), simulated in pieces.items():

        def text(segments: Iterable[tuple[float, float]]) -> str:
            return " or ".join(f"[{low * 1e9:.{digits}f}, {high * 1e9:.{digits}f}]" for low, high in segments)

        row = errors[detector, coupling]
        low, high, error, between = (float(row[key]) for key in list(row)[-4:])
        critical_values = f"{low:.2f} to {high:.2f}", f"{error:.2f}", f"{between:.2f}"
        lines.append([detector, coupling, text(known[detector, coupling]), text(simulated), *critical_values])
    columns = ["detector", "coupling", "Δχ² < 2.71 (1e-9 e)", "Feldman-Cousins (1e-9 e)"]
    return table([*columns, "critical values", "their error", "interpolation"], lines)


def command_block() -> str:
    """The commands, ready to paste."""
    return "\n".join(f"    {shlex.join(words)}" for words in commands())


BLOCKS = {
    "commands": command_block,
    "coverage": coverage_table,
    "variants": variants_table,
    "shapes": shapes_table,
    "six": six_table,
    "planes": planes_table,
    "data-intervals": data_intervals_table,
    "intervals": intervals_table,
}


def page() -> str:
    """The page with its marked blocks made anew."""
    return with_blocks(PAGE, "coverage_study.py", BLOCKS)


def main() -> None:
    """Simulate, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say whether page and data agree; exit status 1 if not")
    parser.add_argument("--write", action="store_true", help="write page and figure from the data, simulating nothing")
    parser.add_argument(
        "-o", "--output", type=Path, help="keep the commands' files there, so that a killed run resumes"
    )
    arguments, options = parser.parse_known_args()  # the rest, such as --workers 8, goes to the commands
    if arguments.check:
        if page() != PAGE.read_text(encoding="utf-8"):
            raise SystemExit("docs/coverage.md is not what docs/data gives: python docs/coverage_study.py --write")
        return
    if arguments.write:
        draw()
    elif arguments.output:
        simulate(arguments.output, options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            simulate(Path(folder), options)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
