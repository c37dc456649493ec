"""Coverage against the true value."""

from __future__ import annotations

from cevnslab.figures import style
from cevnslab.figures.labels import axis_scale, formula_text
from cevnslab.figures.layout import Sheet
from cevnslab.results.text import level_text
from cevnslab.studies.coverage import Coverage


def coverage_sheet(coverage: Coverage) -> Sheet:
    """One panel per coupling, a line per detector, statistic and convention; settings come from the rcParams."""
    names = list(dict.fromkeys(point.coupling for point in coverage.points))
    sheet = Sheet(len(names), 3)
    for cell, name in zip(sheet.cells, names, strict=True):
        axes = cell.axes
        points = [point for point in coverage.points if point.coupling == name]
        factor, label = axis_scale(coverage.couplings[name], max(abs(p.true_value) for p in points))
        lines = dict.fromkeys((p.detector, p.channels, p.statistic, p.convention) for p in points)
        several = len({line[2:] for line in lines}) > 1
        for number, line in enumerate(lines):
            line_points = [p for p in points if (p.detector, p.channels, p.statistic, p.convention) == line]
            line_points.sort(key=lambda p: p.true_value)
            text = formula_text(coverage.labels.get(line[0], line[0]))
            axes.errorbar(
                [p.true_value * factor for p in line_points],
                [100 * p.coverage for p in line_points],
                yerr=[100 * p.coverage_error for p in line_points],
                color=style.DETECTOR_COLOURS[number % len(style.DETECTOR_COLOURS)],
                linestyle=style.LINE_STYLES[number % len(style.LINE_STYLES)],
                marker=".",
                capsize=2,
                label=f"{text}, {line[2]}, {line[3]}" if several else text,
            )
        level = 100 * points[0].confidence_level
        axes.axhline(level, color="0.45", linewidth=0.9, linestyle=(0, (1, 2)))
        axes.set_xlabel(f"true {label}")
        axes.set_ylabel(f"coverage of the {level_text({points[0].confidence_level}, '%')} interval (%)")
        axes.set_title("; ".join(dict.fromkeys(p.convention for p in points)) if not several else "")
        cell.legend(None)
    sheet.finish()
    return sheet
