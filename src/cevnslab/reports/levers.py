"""The files of a study's levers: their table and a tornado chart."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from cevnslab.figures.levers import levers_sheet
from cevnslab.figures.style import settings, styled
from cevnslab.reports.drawing import drawing_errors, formats
from cevnslab.reports.grid import Grid
from cevnslab.reports.locks import locked
from cevnslab.reports.storage import prepare, writing
from cevnslab.results import Lever
from cevnslab.results.plans import LEVERS

FOLDER_SUFFIX = "-levers"
"""Behind the study's name: its own results are another run."""


def save_levers(name: str, levers: Sequence[Lever], directory: Path, style: str | Path | None = None) -> Path:
    """Write `levers.csv` and `figures/levers.*` under `directory`/<study>-levers/ and return that folder.

    The table comes first: a fault while the figure is drawn (`FigureError`) leaves it.
    """
    rc = settings(style)
    folder = prepare(directory, f"{name}{FOLDER_SUFFIX}")
    with writing(folder) as work:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in LEVERS.columns(levers)])
        writer.writerows(LEVERS.rows(levers, name))
        (work.part("table") / "levers.csv").write_text(text.getvalue(), encoding="utf-8")
        with locked(folder):
            work.commit("table")
        figures = work.part("drawn") / "figures"
        figures.mkdir()
        with styled(rc), drawing_errors("levers"):
            sheet = levers_sheet(levers)
            for ending in formats(rc):
                sheet.save(figures / f"levers.{ending}")
        with locked(folder):
            work.commit("drawn")
    return folder


def levers_grids(name: str, levers: Sequence[Lever]) -> list[Grid]:
    """The elasticities, then the gains: one row per detector, coupling and key, the largest effect on top."""
    elastic = [lever for lever in levers if lever.change is None]
    gains = [lever for lever in levers if lever.change is not None]
    grids = [_grid(f"{name}: elasticities d ln(end)/d ln(key)", elastic, lambda lever: lever.elasticity, "{:+.3f}")]
    if gains:
        grids.append(_grid("Gains: change of each end and of the width", gains, lambda lever: lever.change, "{:+.2%}"))
    return grids


def _grid(title: str, levers: Sequence[Lever], size: Callable[[Lever], float | None], form: str) -> Grid:
    by_row: dict[tuple[str, str, str], dict[str, Lever]] = {}
    for lever in levers:
        by_row.setdefault((lever.detector, lever.coupling, lever.key), {})[lever.quantity] = lever
    rows = []
    for (detector, coupling, key), rows_of in by_row.items():
        numbers = [size(rows_of[quantity]) if quantity in rows_of else None for quantity in QUANTITIES]
        largest = max((abs(number) for number in numbers if number is not None), default=0.0)
        texts = ["" if number is None else form.format(number) for number in numbers]
        rows.append((detector, coupling, -largest, key, texts, next(iter(rows_of.values())).reason))
    rows.sort(key=lambda row: row[:4])
    body = tuple((row[0], row[1], row[3], *row[4], row[5]) for row in rows)
    columns = ("detector", "coupling", "key", *QUANTITIES, "remark")
    return Grid(title, columns, body, frozenset(QUANTITIES)).condensed("detector", "coupling")


QUANTITIES = ("upper", "lower", "width")
