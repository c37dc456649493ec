"""Pulls and impacts, as the field draws them (cabinetry, `visualize.ranking`)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError
from cevnslab.figures.labels import axis_scale, detector_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels.panel import PanelWithLegend
from cevnslab.figures.texts import wrapped
from cevnslab.results import Pull, Result
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.figures import Contents

LONGEST_NAME = 22
MOST = 20
"""Parameters that are shown, those with the largest impacts first."""
IMPACT_COLOURS = ("#2ca6c9", "#d98200")
"""Of the parameter an error up and down."""


class PullsPanel(PanelWithLegend):
    """Nuisance parameters at the joint best fit of a coupling: pulls, and impacts on the coupling."""

    kind = "pulls"
    coupling_keys = ("coupling",)
    pulls: str = Field(description="a detector or combination whose fit is kept")
    coupling: str = Field(description="of the study")

    def check(self, contents: Contents, path: str) -> None:
        """Detector and coupling are the study's."""
        require_known(f"{path}.pulls", [self.pulls], contents.analysed, "detector of this study")
        if self.pulls not in contents.fitted:
            raise StudyError(f"{path}.pulls: {self.pulls} is a projection: its pulls need the study's key pulls")
        require_known(f"{path}.coupling", [self.coupling], contents.couplings, "coupling of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and coupling."""
        return f"Pulls of {self.pulls} and their impacts on {self.coupling}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Nuisance parameters by impact: bars are shifts of the coupling (upper axis), points (fit - 0)/prior width.

        The error of a point is the fitted one over the prior width: shorter than 1 where the data know the parameter
        better. A free parameter has no prior to be compared with: its fit is written.
        """
        axes = cell.axes
        rows = [p for p in result.pulls if (p.detector, p.coupling) == (self.pulls, self.coupling)]
        if not rows and not any(p.detector == self.pulls for p in result.fit):  # a fit without nuisances has no pulls
            raise KeyError(self.pulls)
        rows = sorted(rows, key=_impact, reverse=True)[:MOST]
        info = result.couplings[self.coupling]
        factor, label = axis_scale(info, max((_impact(p) for p in rows), default=0.0))
        impacts, height = cell.above(), np.arange(len(rows))
        for colour, text, shifts in (
            (IMPACT_COLOURS[0], "impact, +1\u03c3", [p.impact_up for p in rows]),
            (IMPACT_COLOURS[1], "impact, \u22121\u03c3", [p.impact_down for p in rows]),
        ):
            axes.plot([], [], color=colour, alpha=0.6, linewidth=7, label=text)
            impacts.barh(height, np.array(shifts) * factor, height=0.72, color=colour, alpha=0.6, linewidth=0)
        widest = 1.15 * max((_impact(p) * factor for p in rows), default=1.0) or 1.0
        impacts.set_xlim(-widest, widest)
        impacts.set_xlabel(f"shift of {label}")
        _points(cell, rows)
        axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
        axes.set_yticks(height, [wrapped(p.parameter.replace("_", " "), LONGEST_NAME) for p in rows])
        axes.tick_params(axis="x", which="both", top=False)
        axes.tick_params(axis="y", which="minor", left=False, right=False)
        axes.set_xlabel("pull: best fit / prior width")
        axes.set_zorder(impacts.get_zorder() + 1)
        axes.patch.set_visible(False)
        if self.title:
            impacts.set_title(self.title)
        else:
            impacts.set_title(detector_text(result, self.pulls))
        cell.legend(self.legend or None, "lower right")


def _impact(pull: Pull) -> float:
    return max(abs(pull.impact_up), abs(pull.impact_down))


def _points(cell: Cell, rows: list[Pull]) -> None:
    axes = cell.axes
    bound = [(n, p) for n, p in enumerate(rows) if np.isfinite(p.prior_width) and p.prior_width > 0]
    values = np.array([p.best_fit / p.prior_width for _, p in bound])
    # One that rests on a boundary has no error.
    errors = np.array([(p.error or 0.0) / p.prior_width for _, p in bound])
    axes.errorbar(values, [n for n, _ in bound], xerr=errors, fmt="o", color="black", markersize=4, linewidth=1.2)
    largest = max(2.0, float(np.max(np.abs(values) + errors, initial=0.0)) * 1.1)
    axes.set_xlim(-largest, largest)
    for end in (-1, 1):
        axes.axvline(end, color="0.6", linewidth=0.8, linestyle=(0, (2, 2)))
    axes.axvline(0, color="0.6", linewidth=0.8)
    for n, p in enumerate(rows):
        if not np.isfinite(p.prior_width):
            axes.annotate(
                f"free: {p.best_fit:.3g}" + (f" \u00b1 {p.error:.2g}" if p.error is not None else ""),
                (1.03, n),
                xycoords=("axes fraction", "data"),
                verticalalignment="center",
                fontsize="small",
            )
