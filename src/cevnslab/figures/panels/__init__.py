"""The kinds of panel: each one class with its keys, their check against the study, its words and its drawing."""

from __future__ import annotations

from cevnslab.figures.panels.bands import BandsPanel
from cevnslab.figures.panels.counts import DataPanel, SpectrumPanel
from cevnslab.figures.panels.curves import CriticalValuesPanel, CrossSectionPanel, ProfilePanel
from cevnslab.figures.panels.limits import LimitsPanel, ScanPanel
from cevnslab.figures.panels.panel import DrawnPanel
from cevnslab.figures.panels.plans import GoalPanel, MapPanel
from cevnslab.figures.panels.pulls import PullsPanel
from cevnslab.figures.panels.regions import ContourPanel, CriticalMapPanel

__all__ = [
    "KINDS",
    "BandsPanel",
    "ContourPanel",
    "CriticalMapPanel",
    "CriticalValuesPanel",
    "CrossSectionPanel",
    "DataPanel",
    "DrawnPanel",
    "GoalPanel",
    "LimitsPanel",
    "MapPanel",
    "ProfilePanel",
    "PullsPanel",
    "ScanPanel",
    "SpectrumPanel",
    "kinds",
]

KINDS: tuple[type[DrawnPanel], ...] = (
    ProfilePanel,
    ContourPanel,
    CrossSectionPanel,
    SpectrumPanel,
    DataPanel,
    LimitsPanel,
    ScanPanel,
    GoalPanel,
    MapPanel,
    BandsPanel,
    PullsPanel,
    CriticalValuesPanel,
    CriticalMapPanel,
)
"""Those that a study file may list."""


def kinds() -> tuple[type[DrawnPanel], ...]:
    """All kinds, for the schema of the study file."""
    return KINDS
