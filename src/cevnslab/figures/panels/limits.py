"""Intervals as bars, and as a key of the study varies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cevnslab.figures.labels import axis_scale, detector_styles, detector_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels import bands
from cevnslab.figures.panels.panel import DrawnPanel, PanelWithLegend
from cevnslab.figures.texts import wrapped
from cevnslab.results import CROSSINGS, CouplingInfo, Limit, Result, ScanPoint
from cevnslab.results.text import level_text, pieces_text
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.figures import Contents
from cevnslab.units import key_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_NAME = 20
"""Letters of a line in the names of bars."""
INNER_WIDTH = 0.5
"""Of a line's, for levels below the highest."""
MOST_WRAPPED, LONGEST_LABEL = 4, 120
"""Rows whose names may take two lines, and the longest label that there is."""
ROOM = 0.15
"""Of the horizontal axis, beyond the crossings of all."""


class LimitsPanel(DrawnPanel):
    """Intervals of one coupling, a bar per detector."""

    kind = "limits"
    coupling_keys = ("limits",)
    limits: str = Field(description="a coupling of the study")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    numbers: bool = Field(False, description="whether every interval stands beside its bar in numbers")

    def check(self, contents: Contents, path: str) -> None:
        """Coupling and detectors are the study's."""
        require_known(f"{path}.limits", [self.limits], contents.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], contents.analysed, "detector of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Intervals of {self.limits}, a bar per detector: {', '.join(self.detectors or detectors)}"

    def draw(self, cell: Cell, result: Result) -> None:
        """The pieces of one coupling's interval, a bar per detector and level.

        An arrow marks an end at the coupling's own bound, a circle one at which a hidden coupling rests on its bound; a
        coupling that the data leave unconstrained has a pale bar. What lies beyond the crossings of all runs to the
        frame.
        """
        axes, detectors = cell.axes, self.detectors or list(result.detectors)
        limits = [limit for limit in result.limits if limit.coupling == self.limits and limit.detector in detectors]
        if not limits:
            raise KeyError(self.limits)
        info = result.couplings[self.limits]
        ends = [end for limit in limits for end in limit.crossings]
        factor, label = axis_scale(info, max((abs(end) for end in ends), default=0.0))
        values = np.array([*ends, *([] if info.standard_model is None else [info.standard_model])] or [0.0]) * factor
        room = ROOM * float(np.ptp(values)) or 1.0
        # A coupling that cannot be negative starts at its wall.
        frame = (0.0 if info.power % 2 == 0 else float(values.min()) - room, float(values.max()) + room)
        styles = detector_styles(result)
        for row, limit in enumerate(limits):
            _bar(axes, row, limit, info, factor, frame, styles[limit.detector][0])
        if info.standard_model is not None:
            axes.axvline(info.standard_model * factor, color="0.4", linewidth=0.8)
        axes.set_xlim(*frame)
        axes.set_ylim(len(limits) - 0.5, -0.5)
        levels = {limit.confidence_level for limit in limits}
        letters = row_letters(len(limits))
        axes.set_yticks(range(len(limits)), [_row_text(result, limit, len(levels) > 1, letters) for limit in limits])
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        if self.numbers:
            exponent = round(-np.log10(factor))
            for row, limit in enumerate(limits):
                axes.annotate(
                    pieces_text(limit, exponent).replace(" or ", "\nor ").replace("-", "\u2212"),
                    (1.03, row),
                    xycoords=("axes fraction", "data"),
                    verticalalignment="center",
                    fontsize="small",
                )
        axes.set_xlabel(label)
        axes.set_title(self.title or level_text(levels, "%"))


def row_letters(rows: int) -> int:
    """Letters of a line in the names of rows: where there are many, no name takes two lines."""
    return LONGEST_NAME if rows <= MOST_WRAPPED else LONGEST_LABEL


def _row_text(result: Result, limit: Limit, several_levels: bool, letters: int) -> str:
    name = wrapped(detector_text(result, limit.detector), letters)
    return f"{name}, {100 * limit.confidence_level:.10g}%" if several_levels else name


def _bar(
    axes: Axes, row: int, limit: Limit, info: CouplingInfo, factor: float, frame: tuple[float, float], colour: str
) -> None:
    for segment, kinds in zip(limit.segments, limit.kinds, strict=True):
        ends = np.clip(np.array(segment) * factor, *frame)
        pale = 0.3 if "unconstrained" in kinds else 1.0
        axes.plot(ends, [row, row], color=colour, linewidth=6, solid_capstyle="butt", alpha=pale)
        for end, kind, arrow in zip(ends, kinds, "<>", strict=True):
            if kind != "limit" and not (end == 0 and info.power % 2 == 0):
                marker = "o" if kind == "hidden-bound" else arrow
                axes.plot(end, row, marker=marker, color=colour, markerfacecolor="white", clip_on=False)


class ScanPanel(PanelWithLegend):
    """Ends of one coupling's intervals against the key of a scan, with the bands of expected ones."""

    kind = "scan"
    coupling_keys = ("coupling",)
    scan: str = Field(description="one under `scans`")
    coupling: str = Field(description="of the study")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")

    def check(self, contents: Contents, path: str) -> None:
        """Scan, coupling and detectors are the study's."""
        require_known(f"{path}.scan", [self.scan], contents.scanned, "scan of this study")
        require_known(f"{path}.coupling", [self.coupling], contents.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], contents.analysed, "detector of this study")
        couplings, detectors = contents.scanned[self.scan]
        require_known(f"{path}.coupling", [self.coupling], couplings, f"coupling that the scan {self.scan} changes")
        require_known(
            f"{path}.detectors", self.detectors or [], detectors, f"detector that the scan {self.scan} changes"
        )

    def words(self, detectors: Sequence[str]) -> str:
        """Scan and coupling."""
        return f"Limits on {self.coupling} in the scan {self.scan}"

    def draw(self, cell: Cell, result: Result) -> None:
        """The ends of every piece of one coupling's interval against the scanned key.

        An end at a bound of the coupling is no limit: an arrow at the frame says where one is missing; a circle is an
        end at which a hidden coupling rests on its bound.
        """
        axes = cell.axes
        points = [
            p
            for p in result.scans
            if p.scan == self.scan
            and p.limit.coupling == self.coupling
            and (self.detectors is None or p.limit.detector in self.detectors)
        ]
        info = result.couplings[self.coupling]
        ends = [abs(end) for p in points for end in p.limit.crossings]
        factor, label = axis_scale(info, max(ends, default=0.0))
        one_sided = info.power % 2 == 0
        if one_sided:
            factor, label = 1.0, f"${info.symbol}$"
        values = [p.value for p in points]
        if min(values) > 0 and max(values) > 10 * min(values):
            axes.set_xscale("log")
        if one_sided and ends:
            axes.set_yscale("log")
        elif info.standard_model == 0:
            axes.axhline(0, color="0.6", linewidth=0.8)
        styles = detector_styles(result)
        levels = list(dict.fromkeys(p.limit.confidence_level for p in points))
        detectors = list(dict.fromkeys(p.limit.detector for p in points))
        if len(detectors) == 1:
            _bands(axes, result, self, detectors[0], max(levels), factor)
        for detector in detectors:
            for level in levels:
                line = [p for p in points if (p.limit.detector, p.limit.confidence_level) == (detector, level)]
                text = detector_text(result, detector)
                text = f"{text}, {100 * level:.10g}%" if len(levels) > 1 else text
                _ends(axes, line, factor, info, styles[detector], text, 1.0 if level == max(levels) else INNER_WIDTH)
        axes.set_xlabel(key_label(points[0].key))
        axes.set_ylabel(label)
        levels_text = level_text(set(levels), "%") if len(levels) <= 2 else f"{min(levels):.3%} to {max(levels):.3%} CL"
        axes.set_title(self.title or f"{levels_text}, \u0394\u03c7\u00b2")
        cell.legend(self.legend)


def _bands(axes: Axes, result: Result, panel: ScanPanel, detector: str, level: float, factor: float) -> None:
    """The bands of one detector's expected limits at one level: those of several would hide each other."""
    line_of_scan = (panel.scan, panel.coupling, detector, level)
    scan_bands = [
        each
        for each in result.scan_bands
        if (each.scan, each.band.coupling, each.band.detector, each.band.confidence_level) == line_of_scan
    ]
    if scan_bands:
        bands.scanned(axes, scan_bands, factor, result.couplings[panel.coupling])


def _ends(
    axes: Axes,
    points: list[ScanPoint],
    factor: float,
    info: CouplingInfo,
    look: tuple[str, object],
    label: str | None,
    width: float,
) -> None:
    """The lines of one detector at one level: an end of a piece each, so much of the usual width."""
    import matplotlib

    colour, line = look
    width *= matplotlib.rcParams["lines.linewidth"]
    for rank in range(max(len(p.limit.segments) for p in points)):
        reaching = [p for p in points if len(p.limit.segments) > rank]
        keys = np.array([p.value for p in reaching])
        for end in (0, 1):
            kinds = [p.limit.kinds[rank][end] for p in reaching]
            heights = np.array([p.limit.segments[rank][end] * factor for p in reaching])
            crossing = np.isin(kinds, CROSSINGS)
            if crossing.any():
                visible = np.where(crossing, heights, np.nan)
                axes.plot(keys, visible, color=colour, linestyle=line, linewidth=width, marker=".", label=label)
                label = None
            resting = np.array(kinds) == "hidden-bound"
            axes.plot(keys[resting], heights[resting], "o", color=colour, markerfacecolor="white")
            missing = ~crossing & ~((heights == 0) & (info.power % 2 == 0))
            axes.plot(
                keys[missing],
                np.full(missing.sum(), (0.03, 0.97)[end]),
                "v^"[end],
                color=colour,
                transform=axes.get_xaxis_transform(),
            )
    if label is not None:  # no end is a limit: the legend still names the detector
        axes.plot([], [], color=colour, linestyle=line, marker=".", label=label)
