"""The kinds of panel, each drawing saved results into its cell; their keys stand in `cevnslab.studies.schema.figures`.

A kind is a model there, and a function of (cell, result, model) here, listed in `DRAWINGS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cevnslab.figures.layout import Cell
from cevnslab.figures.panels import bands, counts, curves, limits, plans, pulls, regions
from cevnslab.results import Result
from cevnslab.studies.schema import figures as kinds

Drawing = Callable[[Cell, Result, Any], None]

DRAWINGS: dict[type[kinds.Panel], Drawing] = {
    kinds.ProfilePanel: curves.profile,
    kinds.ContourPanel: regions.contour,
    kinds.CrossSectionPanel: curves.cross_section,
    kinds.SpectrumPanel: counts.spectrum,
    kinds.DataPanel: counts.data,
    kinds.LimitsPanel: limits.limits,
    kinds.ScanPanel: limits.scan,
    kinds.GoalPanel: plans.goal,
    kinds.MapPanel: plans.plane,
    kinds.BandsPanel: bands.bands,
    kinds.PullsPanel: pulls.pulls,
    kinds.CriticalValuesPanel: curves.critical_values,
    kinds.CriticalMapPanel: regions.critical_map,
}
"""What draws each kind."""
