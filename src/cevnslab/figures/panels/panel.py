"""What every kind of panel is: keys that a study file may give it, their check, its words, its drawing."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from cevnslab.errors import StudyError
from cevnslab.figures.layout import Cell
from cevnslab.results import Result
from cevnslab.studies.schema.figures import Legend, Panel


class DrawnPanel(Panel):
    """A panel that draws saved results; to add a kind, declare one and list it in `cevnslab.figures.panels.KINDS`."""

    def draw(self, cell: Cell, result: Result) -> None:
        """Draw into a cell of a figure; nothing is computed here."""
        raise NotImplementedError


class PanelWithLegend(DrawnPanel):
    """What a panel with a legend may have besides."""

    legend: Legend | None = Field(None, description="where the legend stands")

    def _check_legend(self, path: str, entries: Sequence[str]) -> None:
        """Raise `StudyError` for the place of a legend that a panel with one entry does not have."""
        if self.legend is not None and len(entries) < 2:
            raise StudyError(f"{path}.legend: a panel with one line or region has none; remove it")
