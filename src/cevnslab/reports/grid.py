"""A table to look at, whatever shows it: a terminal here, pages and notebooks in `cevnslab.reports.html`.

What stands in a cell is words, or an `Amount`: digits, a power of ten and a unit, which each form writes its own way.
A column that says the same in every row is said once above the table.
"""

from __future__ import annotations

import io
import shutil
import sys
import textwrap
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from cevnslab.units import unit

WIDEST = 400
"""Columns of a text that no terminal shows: as wide as it needs to be."""
NARROWEST = 40
FEWEST_LETTERS = 10
"""Of a line in a folded cell."""


@dataclass(frozen=True)
class Amount:
    """Numbers with what they are counted in."""

    digits: str
    """A number, or intervals."""
    exponent: int = 0
    unit: str = "1"

    def __str__(self) -> str:
        parts = (self.digits, f"1e{self.exponent}" if self.exponent else "", unit(self.unit).text)
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Formula:
    """A symbol or formula in LaTeX; words where it cannot be shown."""

    latex: str
    name: str

    def __str__(self) -> str:
        return self.name


Cell = str | Amount | Formula


@dataclass(frozen=True)
class Grid:
    """Rows and columns under a title, with notes."""

    kind: ClassVar[str] = "grid"
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[str] = frozenset()
    """Columns that are aligned on the right."""
    notes: tuple[str, ...] = ()
    constant: tuple[str, ...] = ()
    """What holds for every row, such as ``channels: cevns``."""

    def condensed(self, *columns: str) -> Grid:
        """Without those of these columns that say the same in every row: each is said once instead.

        One row keeps what it says; a column that says nothing goes from any number of rows.
        """
        contents = {
            number: {str(row[number]) for row in self.rows}
            for number, name in enumerate(self.columns)
            if name in columns
        }
        dropped = {
            number: next(iter(content))
            for number, content in contents.items()
            if content == {""} or (len(self.rows) > 1 and len(content) == 1)
        }
        if len(dropped) == len(self.columns):
            del dropped[0]
        remaining = [number for number in range(len(self.columns)) if number not in dropped]
        constants = tuple(f"{self.columns[number]}: {value}" for number, value in dropped.items() if value)
        return replace(
            self,
            columns=tuple(self.columns[number] for number in remaining),
            rows=tuple(tuple(row[number] for number in remaining) for row in self.rows),
            constant=(*self.constant, *constants),
        )


def terminal_width() -> int | None:
    """The columns of the terminal that standard output is; None where it is none, such as a file."""
    return (
        max(NARROWEST, shutil.get_terminal_size().columns) if (sys.stdout is not None and sys.stdout.isatty()) else None
    )


def grid_text(grid: Grid, width: int | None = None) -> str:
    """A grid as text; where that is wider than so many letters, cells are folded into lines."""
    lines = _table_lines(grid, folded_to=None)
    if width is not None and max(map(len, lines)) > width:
        lines = _table_lines(grid, folded_to=width)
    constants = [f"({'; '.join(grid.constant)})"] if grid.constant else []
    above, below = [grid.title, *constants], list(grid.notes)
    if width is not None:
        above, below = ([line for text in texts for line in textwrap.wrap(text, width)] for texts in (above, below))
    return "\n".join([*above, *lines, *below])


def _table_lines(grid: Grid, folded_to: int | None) -> list[str]:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    folded = folded_to is not None
    table = Table(box=box.SIMPLE_HEAD)
    for place, column in enumerate(grid.columns):
        right = column in grid.numbers
        longest = max((len(str(row[place])) for row in grid.rows), default=0)
        # Where there is no room, words and headings are folded, numbers are not.
        heading = max(map(len, column.split()), default=0)
        options: Any = {"min_width": max(heading, longest if right else min(longest, FEWEST_LETTERS))}
        justify: Any = "right" if right else "left"
        table.add_column(column, justify=justify, no_wrap=not folded, overflow="fold", **options)
    for row in grid.rows:
        # The pieces of an interval are a line each where there is no room for all.
        table.add_row(*(str(cell).replace(" or [", "\nor [") if folded else str(cell) for cell in row))
    text = io.StringIO()
    plain: Any = {"force_terminal": False, "color_system": None, "highlight": False, "markup": False}
    Console(file=text, width=folded_to or WIDEST, **plain).print(table)
    return [line.rstrip() for line in text.getvalue().rstrip().splitlines()]
