"""What helps to plan a detector: goals along a key, limits over two keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cevnslab.figures import style
from cevnslab.figures.labels import axis_scale, detector_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels.panel import DrawnPanel, PanelWithLegend
from cevnslab.results import CROSSINGS, Result
from cevnslab.results.text import level_text
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.figures import Contents
from cevnslab.units import key_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = 7
"""Of equal limits, about."""
EDGE, APART = 0.09, (0.16, 0.07)
"""Of the panel: how far the values on lines stay from its frame, and from each other across and up."""
DECADE = 10.0
"""An axis or a set of limits that spans more is logarithmic."""
NEAR = 3.0
"""How far the axis of a goal reaches from it, in units of the goal."""
ROOM = 0.12
"""Of the vertical axis, beyond what is drawn."""


class GoalPanel(PanelWithLegend):
    """The quantity of a goal along the key that is searched, with the goal and the answers."""

    kind = "goal"
    goal: str = Field(description="one under `design`")

    def check(self, contents: Contents, path: str) -> None:
        """The goal is the study's."""
        require_known(f"{path}.goal", [self.goal], contents.goals, "goal of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """The goal."""
        return f"The goal {self.goal}: what is reached along its key, and the values that meet it"

    def draw(self, cell: Cell, result: Result) -> None:
        """The quantity along the key, the goal as a line, answers as points: open where the quantity only jumps."""
        axes = cell.axes
        curve = next(c for c in result.goal_curves if c.name == self.goal)
        answers = [answer for answer in result.design if answer.name == self.goal and answer.value is not None]
        factor, label = 1.0, "significance of CE\u03bdNS (\u03c3)"
        if curve.coupling:
            sizes = [abs(each) for each in (curve.goal, *(answer.reached for answer in answers))]
            factor, label = axis_scale(result.couplings[curve.coupling], max(sizes))
            label += f", {curve.quantity}"
        axes.plot(curve.value, curve.reached * factor, color=style.DETECTOR_COLOURS[0], label=curve.quantity)
        dashed: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 1.0, "color": style.REFERENCE_COLOUR}
        axes.axhline(curve.goal * factor, label="goal", **dashed)
        for text, kinds, face in (
            ("met", ("crossing",), style.REFERENCE_COLOUR),
            ("on both sides of it", ("below", "above"), style.REFERENCE_COLOUR),
            ("jumps past it", ("jump",), "white"),
        ):
            points = [answer for answer in answers if answer.kind in kinds]
            if points:
                places = np.array([(answer.value, answer.reached * factor) for answer in points]).T
                look: dict[str, Any] = {"color": style.REFERENCE_COLOUR, "markerfacecolor": face, "linestyle": "none"}
                axes.plot(*places, marker="o", label=text, **look)
        _logarithmic(axes, "x", curve.value)
        axes.set_xlim(float(curve.value[0]), float(curve.value[-1]))
        axes.set_ylim(*_around(curve.goal * factor, curve.reached[np.isfinite(curve.reached)] * factor))
        axes.set_xlabel(key_label(curve.key))
        axes.set_ylabel(label)
        title = detector_text(result, curve.detector)
        level = f", {level_text({curve.confidence_level}, '%')}" if curve.coupling else ""
        axes.set_title(self.title or f"{title}{level}")
        cell.legend(self.legend)


def _around(goal: float, reached: NDArray[np.float64]) -> tuple[float, float]:
    """The part of the vertical axis around a goal: far from it a limit may be a thousand times larger."""
    low = max(float(reached.min()), goal - NEAR * abs(goal)) if len(reached) else goal
    high = min(float(reached.max()), goal + NEAR * abs(goal)) if len(reached) else goal
    low, high = min(low, goal), max(high, goal)
    room = ROOM * (high - low) or 1.0
    return low - room, high + room


class MapPanel(DrawnPanel):
    """Lines of equal limits in the plane of two keys."""

    kind = "map"
    map: str = Field(description="one under `maps`")
    end: Literal["upper", "lower"] = Field("upper", description="which outer end of the interval")

    def check(self, contents: Contents, path: str) -> None:
        """The map is the study's."""
        require_known(f"{path}.map", [self.map], contents.maps, "map of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """Map and end."""
        return f"Lines of equal {self.end} limits in the map {self.map}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Lines of equal limits over two keys, each with its value; nothing where the end is no limit of the data."""
        axes = cell.axes
        values = next(m for m in result.maps if m.map == self.map)
        ends, kinds = (values.upper, values.upper_kind) if self.end == "upper" else (values.lower, values.lower_kind)
        limits = np.where(np.isin(np.array(kinds), CROSSINGS), ends, np.nan)
        finite = limits[np.isfinite(limits)]
        factor, label = axis_scale(
            result.couplings[values.coupling], float(np.abs(finite).max()) if len(finite) else 0.0
        )
        _logarithmic(axes, "x", values.x)
        _logarithmic(axes, "y", values.y)
        axes.set_xlim(float(values.x[0]), float(values.x[-1]))
        axes.set_ylim(float(values.y[0]), float(values.y[-1]))
        if len(finite) and np.ptp(finite) > 0:
            surface, levels = np.ma.masked_invalid(limits * factor), _levels(finite * factor)
            axes.contourf(values.x, values.y, surface, levels=levels, cmap="cividis", alpha=0.35, extend="both")
            thin: dict[str, Any] = {"colors": "0.2", "linewidths": 1.0, "linestyles": "-"}
            lines = axes.contour(values.x, values.y, surface, levels=levels, **thin)
            words = {level: f"{level:.4g}".replace("-", "\u2212") for level in np.asarray(lines.levels).tolist()}
            axes.clabel(lines, fmt=words, fontsize="small", manual=_places(axes, lines))
        axes.set_xlabel(key_label(values.x_key))
        axes.set_ylabel(key_label(values.y_key))
        axes.set_title(self.title or f"{detector_text(result, values.detector)}: {self.end} end of {label}")


def _places(axes: Axes, lines: Any) -> list[tuple[float, float]]:
    """Where lines of a map bear their values: as near to the middle of each as another one's and the frame allow."""
    places: list[NDArray[np.float64]] = []
    to_panel = axes.transScale + axes.transLimits
    for path in lines.get_paths():
        parts = [to_panel.transform(segment) for segment in path.to_polygons(closed_only=False) if len(segment)]
        if not parts:
            continue
        line = max(parts, key=lambda part: float(np.ptp(part, axis=0).max()))
        there = line[np.all((line > EDGE) & (line < 1 - EDGE), axis=1)]
        for place in there[np.argsort(np.linalg.norm(there - line[len(line) // 2], axis=1))]:
            if all(np.any(np.abs(place - other) > APART) for other in places):
                places.append(place)
                break
    return [tuple(point) for point in to_panel.inverted().transform(places).tolist()] if places else []


def _levels(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round values for lines: in even steps, or some a decade where the limits span more than one."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    low, high = sorted((abs(float(values.min())), abs(float(values.max()))))
    if values.min() * values.max() > 0 and high > DECADE * low:
        sizes = LogLocator(subs=(1.0, 1.5, 2.0, 3.0, 5.0, 7.0), numticks=50).tick_values(low, high)
        return np.sort(np.sign(values[0]) * np.asarray(sizes))
    return np.asarray(MaxNLocator(LINES).tick_values(float(values.min()), float(values.max())))


def _logarithmic(axes: Axes, which: str, values: NDArray[np.float64]) -> None:
    """Make an axis logarithmic for values that span a decade."""
    if values.min() > 0 and values.max() >= DECADE * values.min():
        axes.set(**{f"{which}scale": "log"})
