"""Levers as tornado charts: where the next euro goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cevnslab.figures import style
from cevnslab.results import Lever

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BARS = 14
"""The longest bars of a panel that are drawn."""


def draw_levers(levers: Sequence[Lever], quantity: str = "upper") -> Figure:
    """One panel per detector and coupling: the elasticity of one quantity in every key, the largest on top."""
    panels = list(dict.fromkeys((lever.detector, lever.coupling) for lever in levers))
    figure, grid = style.panel_grid(len(panels), min(3, len(panels)))
    for axes, (detector, coupling) in zip(grid, panels, strict=False):
        bars = [
            (lever.key.removeprefix(f"detectors.{detector}."), lever.elasticity)
            for lever in levers
            if (lever.detector, lever.coupling, lever.quantity) == (detector, coupling, quantity)
            and lever.elasticity is not None
        ]
        bars = sorted(bars, key=lambda bar: abs(bar[1]))[-MOST_BARS:]
        names, values = [name for name, _ in bars], [value for _, value in bars]
        colours = [style.DETECTOR_COLOURS[0] if value < 0 else style.DETECTOR_COLOURS[1] for value in values]
        axes.barh(range(len(bars)), values, color=colours)
        axes.set_yticks(range(len(bars)), names)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_xlabel(f"d ln({quantity} end)/d ln(key)" if quantity != "width" else "d ln(width)/d ln(key)")
        axes.set_title(f"{detector}, {coupling}")
    return figure
