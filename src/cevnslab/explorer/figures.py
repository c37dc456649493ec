"""The figures of the explorer, drawn by Bokeh: made once, then fed with new numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.explorer.exploration import Counts, Exploration, round_number
from cevnslab.figures.labels import power_of_ten
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.results import CouplingInfo, natural_exponent
from cevnslab.units import scaled

FloatArray = NDArray[np.float64]

COLOURS = ("#2f7fd1", "#e07b00", "#1b9e77", "#b455c9", "#d6336c", "#7d8f00", "#00a0b0", "#8a6d4b")
"""Of detectors: as far from white as from black, so that they are seen on both."""
STANDARD_MODEL, COUPLING, GREY = "#e07b00", "#d6336c", "#8a8a8a"
HIGHEST = 3.5
"""Of the axis of delta chi^2, in units of the level."""
DECADES = 5
"""Of the axis of counts, below the highest."""
ROOM = 0.08
"""Of the axes of the contour, beyond the regions."""


class Figures:
    """Delta chi^2, contour and spectrum of an exploration; `draw` moves what has changed."""

    def __init__(self, exploration: Exploration) -> None:
        self.names = list(exploration.analyses)
        labels = {name: analysis.label for name, analysis in exploration.analyses.items()}
        twice = [label for label in labels.values() if list(labels.values()).count(label) > 1]
        self.labels = {name: name if label in twice else label for name, label in labels.items()}
        """How the page calls detectors and combinations."""
        self._curve = _Curve(self.labels)
        self._contour = _Contour(self.labels)
        self._spectrum = _Spectrum()
        self.curve, self.contour, self.spectrum = self._curve.figure, self._contour.figure, self._spectrum.figure

    def waits(self, exploration: Exploration) -> bool:
        """Whether a contour waits until all is at rest."""
        return not all(exploration.quick(name) for name in self.names)

    def draw(self, exploration: Exploration, spectrum: str, *, at_rest: bool) -> None:
        """Feed the figures; contours that take long are drawn `at_rest` alone."""
        self._curve.draw(exploration)
        self._contour.draw(exploration, at_rest)
        self._spectrum.draw(exploration.counts(spectrum), exploration.couplings[0])


def axis_of(name: str, info: CouplingInfo, largest: float) -> tuple[float, str]:
    """Factor from plain units to an axis, and what the axis is called: the coupling as study files name it."""
    exponent = power_of_ten(largest, natural_exponent(info.scale))
    unit = scaled(info.unit, exponent)
    return 10.0**-exponent, f"{name} ({unit})" if unit else name


def _figure(title: str, y_label: str, **options: Any) -> Any:
    """An empty figure without tools: they would be tab stops without a name, and catch the finger that scrolls."""
    from bokeh.plotting import figure

    plot = figure(
        title=title,
        y_axis_label=y_label,
        sizing_mode="stretch_both",
        min_height=200,
        toolbar_location=None,
        tools="",
        output_backend="canvas",
        **options,
    )
    plot.title.text_font_size = "13px"
    plot.background_fill_alpha = plot.border_fill_alpha = 0.0
    return plot


def _legend_below(plot: Any, columns: int) -> None:
    from bokeh.models import Legend

    legend = Legend(
        items=[item for each in plot.legend for item in each.items], orientation="horizontal", ncols=columns
    )
    for each in list(plot.legend):
        plot.center.remove(each)
    legend.update(click_policy="hide", location="left", label_text_font_size="11px", label_height=14, glyph_height=14)
    legend.update(background_fill_alpha=0.0, border_line_alpha=0.0, margin=0, padding=2, spacing=2, label_standoff=3)
    plot.add_layout(legend, "below")


LONGEST_LABEL = 20
"""Letters of an entry of a legend."""


def _short(label: str) -> str:
    return label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}\u2026"


def _source(*columns: str) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource({column: [] for column in columns})


def _range(axis: Any, low: float, high: float) -> None:
    if (axis.start, axis.end) != (low, high):
        axis.update(start=low, end=high)


class _Fed:
    """What was drawn last under a name: the same thing is not sent to the page once more."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[object, ...]] = {}

    def changed(self, name: str, *content: object) -> bool:
        """Whether something else is to be drawn, which is remembered; arrays and records by identity."""
        previous = self._last.get(name, ())
        self._last[name] = content
        return len(previous) != len(content) or not all(
            a == b if isinstance(b, float) else a is b for a, b in zip(previous, content, strict=True)
        )


class _Curve:
    """Delta chi^2 of the first coupling, a line per detector, with the level and the goals."""

    def __init__(self, labels: dict[str, str]) -> None:
        from bokeh.models import Range1d, Span

        self.figure = _figure("", "\u0394\u03c7\u00b2", x_range=Range1d(-1, 1), y_range=Range1d(0, 1))
        self.lines = {name: _source("x", "y") for name in labels}
        self._fed = _Fed()
        for (name, source), colour in zip(self.lines.items(), _cycled(COLOURS, len(labels)), strict=True):
            self.figure.line("x", "y", source=source, color=colour, line_width=2, legend_label=_short(labels[name]))
        self.goals = _source("x")
        self.figure.vspan("x", source=self.goals, color=COUPLING, line_width=2, line_dash="dotted", legend_label="goal")
        self.level = Span(dimension="width", location=0.0, line_color=GREY, line_dash="dashed")
        self.figure.add_layout(self.level)
        _legend_below(self.figure, 3)

    def draw(self, exploration: Exploration) -> None:
        """The curves of all detectors."""
        low, high = exploration.curve_range()
        name = exploration.couplings[0]
        factor, label = axis_of(name, exploration.info(name), max(abs(low), abs(high)))
        level = delta_chi2_level(exploration.level, 1)
        for detector, source in self.lines.items():
            curve = exploration.curve(detector, low, high)
            if self._fed.changed(detector, curve, factor):
                source.data = {"x": curve.value * factor, "y": curve.delta_chi2}
        marks = [
            goal.value * factor for goal in exploration.goals() if goal.coupling == name and goal.quantity != "width"
        ]
        self.goals.data = {"x": marks}
        self.figure.legend[0].items[-1].visible = bool(marks)
        self.level.location = level
        _range(self.figure.x_range, low * factor, high * factor)
        _range(self.figure.y_range, 0.0, HIGHEST * level)
        self.figure.xaxis.axis_label = label
        self.figure.title.text = f"\u0394\u03c7\u00b2 of {name}; dashed: {100 * exploration.level:.10g} % CL"


class _Contour:
    """The region of both couplings, a line per detector, beside that of real data."""

    def __init__(self, labels: dict[str, str]) -> None:
        from bokeh.models import Range1d

        self.figure = _figure("", "", x_range=Range1d(-1, 1), y_range=Range1d(-1, 1))
        self.lines = {name: _source("x", "y") for name in labels}
        self._fed, self._factors = _Fed(), (1.0, 1.0)
        for source, colour in zip(self.lines.values(), _cycled(COLOURS, len(labels)), strict=True):
            self.figure.line("x", "y", source=source, color=colour, line_width=2)  # the curves' legend names them
        self.reference = _source("x", "y")
        self.figure.line(
            "x", "y", source=self.reference, color=GREY, line_width=2, line_dash="dashed", legend_label="COHERENT data"
        )
        self.standard_model = _source("x", "y")
        self.figure.scatter("x", "y", source=self.standard_model, marker="cross", size=10, color=GREY, line_width=2)
        _legend_below(self.figure, 3)

    def draw(self, exploration: Exploration, at_rest: bool) -> None:
        """The regions; those that take long stay as they were until all is at rest."""
        names = [name for name in self.lines if at_rest or exploration.quick(name)]
        regions = {name: exploration.contour(name) for name in names}
        if len(regions) == len(self.lines):
            self._frame(exploration, [polygon for region in regions.values() for polygon in region])
        for name, region in regions.items():
            self._feed(name, self.lines[name], region)
        self._feed("", self.reference, exploration.reference_contour())

    def _frame(self, exploration: Exploration, polygons: list[FloatArray]) -> None:
        """Axes around all regions and the Standard Model."""
        x, y = exploration.couplings
        info = [exploration.info(name) for name in (x, y)]
        corners = np.concatenate(polygons) if polygons else np.array([[each.scale for each in info]])
        corners = np.vstack([corners, [each.standard_model or 0.0 for each in info]])
        low, high = corners.min(axis=0), corners.max(axis=0)
        centre = corners[-1]
        for at in (0, 1):  # round ends stand still while a region moves a little
            room = ROOM * (high[at] - low[at] or info[at].scale)
            low[at] = centre[at] - round_number(centre[at] - low[at] + room)
            high[at] = centre[at] + round_number(high[at] - centre[at] + room)
        sizes = np.abs(corners).max(axis=0)
        axes = [axis_of(name, each, size) for name, each, size in zip((x, y), info, sizes, strict=True)]
        self._factors = axes[0][0], axes[1][0]
        low, high = low * self._factors, high * self._factors
        _range(self.figure.x_range, float(low[0]), float(high[0]))
        _range(self.figure.y_range, float(low[1]), float(high[1]))
        there = [(each.standard_model or 0.0) * factor for each, factor in zip(info, self._factors, strict=True)]
        if self._fed.changed("Standard Model", *there):
            self.standard_model.data = {"x": there[:1], "y": there[1:]}
        self.figure.xaxis.axis_label, self.figure.yaxis.axis_label = axes[0][1], axes[1][1]
        self.figure.title.text = f"{x} and {y}, {100 * exploration.level:.10g} % CL"

    def _feed(self, name: str, source: Any, region: Sequence[FloatArray]) -> None:
        """All polygons as one line, with gaps between."""
        if not self._fed.changed(name, region, *self._factors):
            return
        parts = [np.vstack([polygon * self._factors, [[np.nan, np.nan]]]) for polygon in region]
        line = np.concatenate(parts) if parts else np.empty((0, 2))
        source.data = {"x": line[:, 0], "y": line[:, 1]}


class _Spectrum:
    """Counts per bin of one detector: background, signal in the Standard Model and with the coupling, observed."""

    def __init__(self) -> None:
        from bokeh.models import Range1d

        self.figure = _figure("", "counts per bin", x_range=Range1d(0, 1), y_range=Range1d(1, 10), y_axis_type="log")
        self.steps = {name: _source("x", "y") for name in ("background", "standard_model", "coupling", "sum")}
        looks: dict[str, dict[str, Any]] = {
            "background": {"color": GREY, "legend_label": "background"},
            "standard_model": {"color": STANDARD_MODEL, "legend_label": "Standard Model"},
            "coupling": {"color": COUPLING, "line_dash": "dashed", "legend_label": "with the coupling"},
            "sum": {"color": COLOURS[0], "legend_label": "all, Standard Model"},
        }
        for name, look in looks.items():
            self.figure.step("x", "y", source=self.steps[name], mode="after", line_width=2, **look)
        self.observed = _source("x", "y")
        self.figure.scatter("x", "y", source=self.observed, size=5, color=COLOURS[2], legend_label="observed")
        _legend_below(self.figure, 3)
        self.items = {item.label.value: item for item in self.figure.legend[0].items}

    def draw(self, counts: Counts, coupling: str) -> None:
        """The counts of one detector."""
        sums = {
            "background": counts.background,
            "standard_model": counts.standard_model,
            "coupling": counts.coupling,
            "sum": None if counts.observed is None else counts.background + counts.standard_model,
        }
        for name, values in sums.items():
            self.steps[name].data = _stairs(counts.edges, values)
        centres = (counts.edges[1:] + counts.edges[:-1]) / 2
        observed = np.empty(0) if counts.observed is None else _positive(counts.observed)
        self.observed.data = {"x": centres[: len(observed)], "y": observed}
        for label in ("observed", "all, Standard Model"):
            self.items[label].visible = counts.observed is not None
        highest = max(float(np.max(values)) for values in [*sums.values(), counts.observed] if values is not None)
        lowest = min(
            [
                float(values[values > 0].min())
                for values in (counts.background, counts.standard_model)
                if np.any(values > 0)
            ]
            or [highest]
        )
        highest = highest or 1.0
        _range(self.figure.x_range, float(counts.edges[0]), float(counts.edges[-1]))
        top = math.ceil(math.log10(2 * highest))
        bottom = max(math.floor(math.log10(lowest or highest)), top - DECADES)
        _range(self.figure.y_range, 10.0**bottom, 10.0**top)
        self.figure.xaxis.axis_label = counts.axis
        self.figure.title.text = f"{counts.detector}; dashed: {coupling} at the upper end of its limit"


def _stairs(edges: FloatArray, counts: FloatArray | None) -> dict[str, FloatArray]:
    if counts is None:
        return {"x": np.empty(0), "y": np.empty(0)}
    return {"x": edges, "y": _positive(np.append(counts, counts[-1]))}


def _positive(counts: FloatArray) -> FloatArray:
    """Counts for a logarithmic axis: nothing where there are none."""
    return np.where(counts > 0, counts, np.nan)


def _cycled(colours: Sequence[str], count: int) -> list[str]:
    return [colours[number % len(colours)] for number in range(count)]
