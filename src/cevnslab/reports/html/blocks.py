"""What pages are made of, and the templates that write it as HTML: whatever is not markup already is escaped."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import ClassVar

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cevnslab.reports.grid import Cell, Formula, Grid
from cevnslab.units import unit


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    words: str
    soft: bool = False


@dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "list"
    items: tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """A text that is shown letter by letter, with a name for those who do not see it."""

    kind: ClassVar[str] = "code"
    text: str
    label: str


@dataclass(frozen=True)
class Drawing:
    """A figure: its panels, each with its words."""

    kind: ClassVar[str] = "figure"
    name: str
    columns: int
    """How many panels stand side by side where there is room."""
    panels: tuple[tuple[str, Markup], ...]
    """The words and the graphic of each."""


Block = Grid | Text | Bullets | Code | Drawing


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading; without blocks it is left out."""

    heading: str
    anchor: str
    blocks: tuple[Block, ...]


def cell_html(cell: Cell) -> Markup:
    r"""A cell of a table; a hyphen before a digit is a minus.

    >>> from cevnslab.reports.grid import Amount
    >>> cell_html(Amount("[-3.85, 4.87]", -9, "e"))
    Markup('[−3.85, 4.87]\xa0×\xa010<sup>−9</sup>\xa0e')
    """
    if isinstance(cell, Formula):
        return formula_html(cell)
    if isinstance(cell, str):
        return _signs(cell)
    times = "\u00a0\u00d7\u00a0" if cell.digits else ""
    exponent = str(cell.exponent).replace("-", "\u2212")
    power = Markup("{}10<sup>{}</sup>").format(times, exponent) if cell.exponent else Markup()
    name = Markup(unit(cell.unit).html)
    return _signs(cell.digits) + power + (Markup("\u00a0") + name if name else name)


def _signs(text: str) -> Markup:
    return escape(re.sub(r"-(?=\d)", "\u2212", text).replace("+/-", "\u00b1"))


def formula_html(formula: Formula) -> Markup:
    r"""A formula as MathML; its name where the converter does not understand it.

    >>> formula_html(Formula("q_", "q_x"))
    Markup('q_x')
    """
    from latex2mathml.converter import convert

    if re.search(r"[<>&\"']", formula.latex):  # the converter does not escape every text
        return escape(formula.name)
    try:
        return Markup(convert(formula.latex))
    except Exception:  # the converter raises several kinds, none with a base of its own
        return escape(formula.name)


@functools.cache
def environment() -> Environment:
    """The templates; an unknown name in them is an error."""
    templates = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    templates.filters["cell"] = cell_html
    return templates


def grid_html(grid: Grid) -> str:
    """A table alone, as a notebook shows it."""
    module = environment().get_template("blocks.html").module
    return str(module.table(grid))  # type: ignore[attr-defined]
