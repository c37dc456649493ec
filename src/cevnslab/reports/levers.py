"""The files of a study's levers: their table and a tornado chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from cevnslab.figures.levers import levers_sheet
from cevnslab.figures.style import settings, styled
from cevnslab.reports.drawing import drawing_errors, formats
from cevnslab.reports.grid import Grid
from cevnslab.reports.storage import prepare, staged
from cevnslab.results import Lever
from cevnslab.results.plans import LEVERS

FOLDER_SUFFIX = "-levers"
"""Behind the study's name: its own results are another run."""


def save_levers(name: str, levers: Sequence[Lever], directory: Path, style: str | Path | None = None) -> Path:
    """Write `levers.csv` and `figures/levers.*` under `directory`/<study>-levers/ and return that folder."""
    chosen = settings(style)
    folder = prepare(directory, f"{name}{FOLDER_SUFFIX}")
    with staged(folder) as staging:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in LEVERS.columns(levers)])
        writer.writerows(LEVERS.rows(levers, name))
        (staging / "levers.csv").write_text(text.getvalue(), encoding="utf-8")
        (staging / "figures").mkdir()
        with styled(chosen), drawing_errors("levers"):
            sheet = levers_sheet(levers)
            for ending in formats(chosen):
                sheet.save(staging / "figures" / f"levers.{ending}")
    return folder


def levers_grid(name: str, levers: Sequence[Lever]) -> Grid:
    """The levers: one row per detector, coupling and key, the largest effect on the upper end first."""
    by_row: dict[tuple[str, str, str], dict[str, Lever]] = {}
    for lever in levers:
        by_row.setdefault((lever.detector, lever.coupling, lever.key), {})[lever.quantity] = lever
    rows = []
    for (detector, coupling, key), found in by_row.items():
        numbers = [_text(found[quantity].elasticity) for quantity in ("upper", "lower", "width")]
        rows.append((detector, coupling, -abs(found["upper"].elasticity or 0.0), key, numbers, found["upper"].reason))
    rows.sort(key=lambda row: row[:3])
    columns = ("detector", "coupling", "key", "upper", "lower", "width", "remark")
    body = tuple((row[0], row[1], row[3], *row[4], row[5]) for row in rows)
    quantities = frozenset({"upper", "lower", "width"})
    grid = Grid(f"{name}: elasticities d ln(end)/d ln(key)", columns, body, quantities)
    return grid.condensed("detector", "coupling")


def _text(elasticity: float | None) -> str:
    return "" if elasticity is None else f"{elasticity:+.3f}"
