"""Expected limits: bands of 95 % and 68 % with their median, and the observed interval beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError
from cevnslab.figures.labels import axis_scale, detector_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels.panel import PanelWithLegend
from cevnslab.figures.style import BAND_COLOURS
from cevnslab.figures.texts import wrapped
from cevnslab.results import Band, CouplingInfo, Result, ScanBand
from cevnslab.results.text import level_text
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.figures import Contents

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LONGEST_NAME, MOST_WRAPPED, LONGEST_LABEL = 20, 4, 120
"""Letters of a line in the names of rows; where there are more rows no name takes two lines."""
HALF = 0.34
"""Of the height of a row that its bands take."""
TEXTS = ("expected, 95 %", "expected, 68 %")


class BandsPanel(PanelWithLegend):
    """Expected ends of one coupling's interval with bands of 68 % and 95 %, the interval beside them."""

    kind = "bands"
    bands: str = Field(description="a coupling of the study, with `bands`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")

    def check(self, contents: Contents, path: str) -> None:
        """Coupling and detectors are the study's, and bands are simulated."""
        require_known(f"{path}.bands", [self.bands], contents.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], contents.analysed, "detector of this study")
        if not contents.expected:
            raise StudyError(f"{path}: expected limits are simulated with the study's key `bands` only")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Expected limits on {self.bands} with their bands: {', '.join(self.detectors or detectors)}"

    def draw(self, cell: Cell, result: Result) -> None:
        """A row per detector and level: bands and median of both outer ends, and the interval's own as a black bar.

        The bands of the lower end stand in the upper half of a row, those of the upper end in its lower half, since
        they overlap.
        """
        axes, detectors = cell.axes, self.detectors or list(result.detectors)
        info = result.couplings[self.bands]
        bands = [band for band in result.bands if band.coupling == self.bands and band.detector in detectors]
        free = [band for band in bands if not _at_wall(band, info)]
        rows = list(dict.fromkeys((band.detector, band.confidence_level) for band in bands))
        limits = [result.limit(detector, self.bands, level) for detector, level in rows]
        ends = [end for band in free for end in (band.low_95, band.high_95)]
        ends += [end for limit in limits for end in limit.crossings]
        factor, label = axis_scale(info, max(map(abs, ends), default=0.0))
        for band in free:
            row = rows.index((band.detector, band.confidence_level))
            height = row - HALF / 2 if band.end == "lower" else row + HALF / 2
            _row(axes, band, factor, height)
        label_of_bars = "observed" if any(row.observed is not None for row in result.summary) else "of Asimov data"
        frame = (min(ends) * factor, max(ends) * factor)
        for row, limit in enumerate(limits):
            for piece in limit.segments:
                axes.plot(np.clip(np.array(piece) * factor, *frame), [row, row], color="black", linewidth=2.2)
        axes.plot([], [], color="black", linewidth=2.2, label=label_of_bars)
        if info.standard_model is not None:
            axes.axvline(info.standard_model * factor, color="0.4", linewidth=0.8)
        axes.use_sticky_edges = False
        levels = {level for _, level in rows}
        letters = LONGEST_NAME if len(rows) <= MOST_WRAPPED else LONGEST_LABEL
        names = [wrapped(detector_text(result, detector), letters) for detector, _ in rows]
        if len(levels) > 1:
            names = [f"{name}, {100 * level:.10g}%" for name, (_, level) in zip(names, rows, strict=True)]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.set_xlabel(label)
        axes.set_title(self.title or level_text(levels, "%"))
        _explain(axes)
        cell.legend(self.legend)


def _at_wall(band: Band, info: CouplingInfo) -> bool:
    """Whether no limit is expected at an end: the interval of a coupling that cannot be negative begins at zero."""
    return info.power % 2 == 0 and band.median == 0


def _row(axes: Axes, band: Band, factor: float, height: float) -> None:
    for colour, low, high in (
        (BAND_COLOURS[0], band.low_95, band.high_95),
        (BAND_COLOURS[1], band.low_68, band.high_68),
    ):
        axes.barh(height, (high - low) * factor, left=low * factor, height=HALF, color=colour, linewidth=0)
    axes.plot([band.median * factor] * 2, [height - HALF / 2, height + HALF / 2], color="black", linestyle=(0, (2, 1)))


def _explain(axes: Axes) -> None:
    for colour, text in zip(BAND_COLOURS, TEXTS, strict=True):
        axes.fill_between([], [], color=colour, linewidth=0, label=text)
    axes.plot([], [], color="black", linestyle=(0, (2, 1)), label="expected, median")


def scanned(axes: Axes, bands: Sequence[ScanBand], factor: float, info: CouplingInfo) -> None:
    """The bands of one detector at one level against a scanned key, below the lines of its limits."""
    for end in ("lower", "upper"):
        along = sorted((each for each in bands if each.band.end == end), key=lambda each: each.value)
        if all(_at_wall(each.band, info) for each in along):
            continue
        keys = [each.value for each in along]
        for colour, inner in zip(BAND_COLOURS, ("95", "68"), strict=True):
            low, high = ([getattr(each.band, f"{side}_{inner}") * factor for each in along] for side in ("low", "high"))
            axes.fill_between(keys, low, high, color=colour, linewidth=0, zorder=0.5)
        axes.plot(
            keys, [each.band.median * factor for each in along], color="black", linestyle=(0, (2, 1)), linewidth=1
        )
    _explain(axes)
