"""Coverage against the true value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cevnslab.figures import style
from cevnslab.figures.panels import axis_scale
from cevnslab.results import CouplingInfo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cevnslab.studies.coverage import Coverage


def draw_coverage(coverage: Coverage) -> Figure:
    """One panel per coupling, a line per detector, statistic and convention; settings come from the rcParams."""
    names = list(dict.fromkeys(point.coupling for point in coverage.points))
    figure, grid = style.panel_grid(len(names), min(3, len(names)))
    for axes, name in zip(grid, names, strict=False):
        points = [point for point in coverage.points if point.coupling == name]
        info = CouplingInfo(**coverage.couplings[name])
        factor, label = axis_scale(info, max(abs(p.true_value) for p in points))
        lines = dict.fromkeys((p.detector, p.channels, p.statistic, p.convention) for p in points)
        several = len({line[2:] for line in lines}) > 1
        for number, line in enumerate(lines):
            own = [p for p in points if (p.detector, p.channels, p.statistic, p.convention) == line]
            own.sort(key=lambda p: p.true_value)
            text = style.formula_text(coverage.labels.get(line[0], line[0]))
            axes.errorbar(
                [p.true_value * factor for p in own],
                [100 * p.coverage for p in own],
                yerr=[100 * p.coverage_error for p in own],
                color=style.DETECTOR_COLOURS[number % len(style.DETECTOR_COLOURS)],
                linestyle=style.LINE_STYLES[number % len(style.LINE_STYLES)],
                marker=".",
                capsize=2,
                label=f"{text}, {line[2]}, {line[3]}" if several else text,
            )
        level = 100 * points[0].confidence_level
        axes.axhline(level, color="0.45", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.set_xlabel(f"true {label}")
        axes.set_ylabel(f"coverage of the {level:g}% CL interval (%)")
        axes.set_title("; ".join(dict.fromkeys(p.convention for p in points)) if not several else "")
        axes.legend(loc="best", fontsize=7 if several else 9)
        style.finish(axes)
    return figure
