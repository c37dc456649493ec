"""Which figures a study has, and the drawing of one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nurecoil.figures import panels, style
from nurecoil.studies.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_specs(result: Result) -> list[Mapping[str, Any]]:
    """The figures of a result: those that its study lists, or one of each kind that it computed.

    Each is a mapping with `name`, `panels` and perhaps `columns`, as under `figures` in a study file.
    """
    listed = result.study.get("figures")
    if listed is not None:
        return list(listed)
    specs: list[Mapping[str, Any]] = [
        {"name": "spectra", "panels": [{"spectrum": s.detector} for s in result.spectra]},
        {"name": "limits", "panels": [{"limits": name} for name in dict.fromkeys(x.coupling for x in result.limits)]},
    ]
    profiled = dict.fromkeys(p.coupling for p in result.profiles)
    specs.append({"name": "profiles", "panels": [{"profile": [name]} for name in profiled]})
    pairs = dict.fromkeys((c.coupling_x, c.coupling_y) for c in result.contours)
    specs.append({"name": "contours", "panels": [{"contour": pair} for pair in pairs]})
    curves = dict.fromkeys((c.target, c.energy_mev, c.channel) for c in result.cross_sections)
    specs.append(
        {
            "name": "cross-sections",
            "panels": [{"cross_section": of, "energy_mev": e, "channels": [channel]} for of, e, channel in curves],
        }
    )
    return [{"columns": min(3, len(spec["panels"])), **spec} for spec in specs if spec["panels"]]


def draw(result: Result, spec: Mapping[str, Any]) -> Figure:
    """One figure of a result; the caller saves it. Settings come from matplotlib's current rcParams."""
    from matplotlib.figure import Figure

    columns = spec.get("columns") or len(spec["panels"])
    rows = math.ceil(len(spec["panels"]) / columns)
    width, height = style.PANEL_SIZE_IN
    # Margins are set, not searched for: matplotlib's layout engines draw every text twice over.
    left, right, bottom, top = style.MARGINS_IN
    figure = Figure(figsize=(columns * width, rows * height))
    figure.subplots_adjust(
        left=left / (columns * width),
        right=1 - right / (columns * width),
        bottom=bottom / (rows * height),
        top=1 - top / (rows * height),
        wspace=(left + right) / (width - left - right),
        hspace=(bottom + top) / (height - bottom - top),
    )
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, panel in zip(grid, spec["panels"], strict=False):
        kind = next(kind for kind in panels.PANELS if panel.get(kind) is not None)
        panels.PANELS[kind](axes, result, panel)
        style.finish(axes)
    for axes in grid[len(spec["panels"]) :]:
        axes.set_axis_off()
    return figure
