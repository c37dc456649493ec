"""Regions of two couplings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError, located
from cevnslab.figures import style
from cevnslab.figures.labels import axis_scale, detector_styles, detector_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels.panel import DrawnPanel, PanelWithLegend
from cevnslab.figures.texts import Obstacles
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.results import ContourLines, Result
from cevnslab.results.text import level_text
from cevnslab.studies import references
from cevnslab.studies.schema.base import Name, require_known
from cevnslab.studies.schema.figures import Contents, Pair, Range, StoredRegion, require_rising, require_simulated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAGNIFIED_BEYOND = 10.0
"""Ratio of widths from which on the study's own regions are magnified."""
INSET = 0.36
"""Share of the panel's sides that the magnified corner takes."""
INSET_CORNERS = ((0.05, 0.06), (0.59, 0.06), (0.05, 0.58), (0.59, 0.58))
SCALE_OF_LINES = 0.72
"""Of the stored region's lines."""


class ContourPanel(PanelWithLegend):
    """Regions of two couplings, one per detector."""

    kind = "contour"
    coupling_keys = ("contour",)
    contour: Pair = Field(description="a pair of couplings under `contours`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    range: Range | None = Field(None, description="of the first coupling, in its unit; all unless given")
    reference: Name | None = Field(None, description="a stored result that is drawn dashed, such as coherent-csi-lar")

    def check(self, contents: Contents, path: str) -> None:
        """The pair is one of the study's, the reference a stored one."""
        require_known(f"{path}.detectors", self.detectors or [], contents.analysed, "detector of this study")
        if tuple(self.contour) not in contents.contours:
            raise StudyError(f"{path}.contour: [{', '.join(self.contour)}] is not among the study's contours")
        require_rising(f"{path}.range", self.range)
        if self.reference is not None:
            with located(f"{path}.reference"):
                references.reference_contour(self.reference, self.contour)
        self._check_legend(
            path, [*(self.detectors or contents.analysed), *([self.reference] if self.reference else [])]
        )

    def stored_regions(self) -> list[StoredRegion]:
        """That of the reference, if there is one."""
        first, second = self.contour
        return [] if self.reference is None else [StoredRegion(self.reference, (first, second))]

    def words(self, detectors: Sequence[str]) -> str:
        """Couplings, detectors, and what is drawn beside them."""
        beside = f", beside {self.reference}" if self.reference else ""
        return f"Regions of {' and '.join(self.contour)}: {', '.join(self.detectors or detectors)}{beside}"

    def draw(self, cell: Cell, result: Result) -> None:
        """The regions of two couplings, one per detector and level, and the Standard Model's point."""
        axes, (x, y) = cell.axes, self.contour
        detectors = self.detectors or list(result.detectors)
        regions = [c for c in result.contours if (c.coupling_x, c.coupling_y) == (x, y) and c.detector in detectors]
        if not regions:
            raise KeyError(f"{x}, {y}")
        points = [polygon for c in regions for polygon in c.polygons]
        largest = [max((float(np.abs(p[:, axis]).max()) for p in points), default=0.0) for axis in (0, 1)]
        factor_x, label_x = axis_scale(result.couplings[x], largest[0])
        factor_y, label_y = axis_scale(result.couplings[y], largest[1])
        styles, names = detector_styles(result), list(dict.fromkeys(c.detector for c in regions))
        named: set[str] = set()
        for c in regions:
            colour, line = styles[c.detector] if len(names) > 1 else (style.DETECTOR_COLOURS[0], "-")
            # Regions at several levels have one entry in the legend.
            text = None if c.detector in named else detector_text(result, c.detector)
            named.add(c.detector)
            _region(axes, c, (factor_x, factor_y), colour, line, text)
        origin = [result.couplings[name].standard_model for name in (x, y)]
        if origin[0] is not None and origin[1] is not None:
            place = origin[0] * factor_x, origin[1] * factor_y
            axes.plot(*place, marker="+", color="black", markersize=7, linestyle="none")
        axes.set_xlabel(label_x)
        axes.set_ylabel(label_y)
        axes.margins(0.08)
        if self.reference:
            _reference(axes, result, self, (factor_x, factor_y))
        if self.range:
            _ranged(axes, self.range, points, (factor_x, factor_y))
        title = level_text({c.confidence_level for c in regions}, "%")
        if len(names) == 1:
            title = f"{detector_text(result, regions[0].detector)}, {title}"
        if len(names) > 1 or self.reference:
            cell.legend(self.legend, headroom=True)
        axes.set_title(self.title or title)


def _region(
    axes: Axes, c: ContourLines, factors: tuple[float, float], colour: str, line: object, text: str | None
) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    scaled = [polygon * np.array(factors) for polygon in c.polygons]
    if scaled:
        # One path of all polygons, so that a hole in a region stays empty; `axes.fill` would also measure every
        # vertex once more for the limits, which the outline gives.
        area = Path.make_compound_path(*(Path(polygon, closed=True) for polygon in scaled))
        axes.add_artist(PathPatch(area, color=colour, alpha=0.12, linewidth=0))
    for polygon in scaled:
        axes.plot(polygon[:, 0], polygon[:, 1], color=colour, linestyle=line, label=text)
        text = None


def _ranged(axes: Axes, ends: list[float], points: list[np.ndarray], factors: tuple[float, float]) -> None:
    """The part between two values of the first coupling, as high as the regions are there."""
    low, high = (end * factors[0] for end in ends)
    inside = [p[(p[:, 0] * factors[0] >= low) & (p[:, 0] * factors[0] <= high), 1] * factors[1] for p in points]
    heights = np.concatenate(inside) if inside else np.empty(0)
    axes.set_xlim(low, high)
    if len(heights):
        room = 0.08 * float(np.ptp(heights))
        axes.set_ylim(float(heights.min()) - room, float(heights.max()) + room)


def _reference(axes: Axes, result: Result, panel: ContourPanel, factors: tuple[float, float]) -> None:
    """A stored region, dashed; where it dwarfs the study's own, these are shown again in a magnified corner."""
    import matplotlib

    reference = next(
        r for r in result.references if (r.detector, r.coupling_x, r.coupling_y) == (panel.reference, *panel.contour)
    )
    extent = axes.dataLim.frozen()
    width = SCALE_OF_LINES * float(matplotlib.rcParams["lines.linewidth"])
    text: str | None = result.reference_labels[reference.detector]
    artists = list(axes.lines)
    for polygon in reference.polygons:
        points = polygon * np.array(factors)
        axes.plot(*points.T, color=style.REFERENCE_COLOUR, linestyle=(0, (4, 2)), linewidth=width, label=text)
        text = None
    if axes.dataLim.width < MAGNIFIED_BEYOND * extent.width:
        return
    corner = _free_corner(axes)
    inset = axes.inset_axes((*corner, INSET, INSET))
    for line in artists:
        inset.plot(
            *line.get_data(),
            color=line.get_color(),
            linestyle=line.get_linestyle(),
            marker=line.get_marker(),
            linewidth=0.55 * float(matplotlib.rcParams["lines.linewidth"]),
        )
    inset.set_xlim(extent.x0 - 0.1 * extent.width, extent.x1 + 0.1 * extent.width)
    inset.set_ylim(extent.y0 - 0.1 * extent.height, extent.y1 + 0.1 * extent.height)
    inset.tick_params(labelbottom=False, labelleft=False)
    axes.indicate_inset_zoom(inset, edgecolor="0.5")


def _free_corner(axes: Axes) -> tuple[float, float]:
    """A corner where the magnified regions cover no curve: the axes grow until there is one."""
    from matplotlib.transforms import Bbox

    margin = 0.3
    while True:
        axes.margins(x=min(margin, 0.3) if margin > 0.5 else 0.08, y=margin)
        axes.autoscale_view()
        obstacles = Obstacles(axes)
        for corner in INSET_CORNERS:
            box = Bbox.from_bounds(*corner, INSET, INSET).padded(0.02).transformed(axes.transAxes)
            if not obstacles.under(box):
                return corner
        margin *= 1.3


class CriticalMapPanel(DrawnPanel):
    """Simulated critical values in the plane of two couplings, and the region that they give."""

    kind = "critical_map"
    coupling_keys = ("couplings",)
    critical_map: str = Field(description="a detector or combination, with Feldman-Cousins")
    couplings: Pair = Field(description="a pair under `contours`")

    def check(self, contents: Contents, path: str) -> None:
        """They are simulated for this pair."""
        require_known(f"{path}.critical_map", [self.critical_map], contents.analysed, "detector of this study")
        require_simulated(contents, f"{path}.critical_map")
        if tuple(self.couplings) not in contents.contours:
            raise StudyError(f"{path}.couplings: [{', '.join(self.couplings)}] is not among the study's contours")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and couplings."""
        return f"Critical values of {self.critical_map} in the plane of {' and '.join(self.couplings)}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Simulated critical values in the plane of two couplings, and the region that they give."""
        axes, (x, y) = cell.axes, self.couplings
        detector = self.critical_map
        values = next(m for m in result.critical_maps if (m.detector, m.coupling_x, m.coupling_y) == (detector, x, y))
        factor_x, label_x = axis_scale(result.couplings[x], float(np.abs(values.x).max()))
        factor_y, label_y = axis_scale(result.couplings[y], float(np.abs(values.y).max()))
        mesh = axes.pcolormesh(
            values.x * factor_x,
            values.y * factor_y,
            values.critical_value,
            cmap="cividis",
            shading="gouraud",
            rasterized=True,
        )
        axes.figure.colorbar(mesh, cax=cell.beside(), label="critical \u0394\u03c7\u00b2")
        for c in result.contours:
            if (c.detector, c.coupling_x, c.coupling_y) == (detector, x, y):
                for polygon in c.polygons:
                    axes.plot(polygon[:, 0] * factor_x, polygon[:, 1] * factor_y, color="white")
        wilks = delta_chi2_level(values.confidence_level, 2)
        level = level_text({values.confidence_level}, "%")
        axes.set_title(self.title or f"{detector_text(result, detector)}, {level}, Wilks {wilks:.2f}")
        axes.set_xlabel(label_x)
        axes.set_ylabel(label_y)
