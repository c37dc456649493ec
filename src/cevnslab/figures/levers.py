"""Levers as tornado charts: where the next euro goes."""

from __future__ import annotations

from collections.abc import Sequence

from cevnslab.figures import style
from cevnslab.figures.layout import Sheet
from cevnslab.figures.texts import wrapped
from cevnslab.results import Lever

MOST_BARS = 14
"""The longest bars of a panel that are drawn."""
LONGEST_NAME = 36
"""Letters of a line in the names of bars."""


def levers_sheet(levers: Sequence[Lever], quantity: str = "upper") -> Sheet:
    """One panel per detector and coupling: the elasticity of one quantity in every key, the largest on top.

    Settings come from the rcParams.
    """
    panels = list(dict.fromkeys((lever.detector, lever.coupling) for lever in levers))
    sheet = Sheet(len(panels), 3)
    for cell, (detector, coupling) in zip(sheet.cells, panels, strict=True):
        bars = [
            (lever.key.removeprefix(f"detectors.{detector}."), lever.elasticity)
            for lever in levers
            if (lever.detector, lever.coupling, lever.quantity) == (detector, coupling, quantity)
            and lever.elasticity is not None
        ]
        bars = sorted(bars, key=lambda bar: abs(bar[1]))[-MOST_BARS:]
        names, values = [wrapped(name, LONGEST_NAME) for name, _ in bars], [value for _, value in bars]
        colours = [style.DETECTOR_COLOURS[0] if value < 0 else style.DETECTOR_COLOURS[1] for value in values]
        cell.axes.barh(range(len(bars)), values, color=colours)
        cell.axes.set_yticks(range(len(bars)), names, fontsize="small")
        cell.axes.tick_params(axis="y", which="minor", left=False, right=False)
        cell.axes.axvline(0, color="0.3", linewidth=0.8)
        cell.axes.set_xlabel(f"d ln({quantity} end)/d ln(key)" if quantity != "width" else "d ln(width)/d ln(key)")
        cell.axes.set_title(f"{detector}, {coupling}")
    sheet.finish()
    return sheet
