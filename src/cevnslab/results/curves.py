"""Curves and regions: profiles of delta chi^2, contours, simulated critical values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cevnslab.results.description import (
    OF_COUPLING,
    Archive,
    Block,
    Column,
    FloatArray,
    Record,
    Table,
    UnitOf,
    columns_of,
)
from cevnslab.results.limits import Channels, ConfidenceLevel, CouplingName, Detector


@dataclass(frozen=True, eq=False)
class Profile(Record):
    """delta chi^2 against one coupling."""

    detector: Detector
    channels: Channels
    coupling: CouplingName
    value: Annotated[FloatArray, Column("value of the coupling", OF_COUPLING, role="along", label="{coupling}")]
    delta_chi2: Annotated[FloatArray, Column("chi2 above its lowest value", label="Delta chi2")]


PROFILES = Table(
    "profiles",
    "Profiles",
    "one point of a curve of delta chi2",
    columns_of(Profile),
    Archive("Profile of {coupling}, {detector}", "Delta chi2 against {coupling}.", "Delta chi2"),
)


@dataclass(frozen=True, eq=False)
class ContourLines(Record):
    """The confidence region of two couplings: closed polygons, each of shape (points, 2)."""

    detector: Detector
    channels: Channels
    coupling_x: Annotated[str, Column("first coupling", role="group", label="First coupling")]
    coupling_y: Annotated[str, Column("second coupling", role="group", label="Second coupling")]
    confidence_level: ConfidenceLevel
    polygons: tuple[FloatArray, ...]

    def block(self) -> Block:
        """One row per vertex."""
        lengths = [len(polygon) for polygon in self.polygons]
        vertices = np.concatenate(self.polygons) if self.polygons else np.zeros((0, 2))
        return {
            **super().block(),
            "polygon": np.repeat(np.arange(1, len(lengths) + 1), lengths),
            "point": np.concatenate([np.arange(1, length + 1) for length in lengths]) if lengths else np.zeros(0),
            "x": vertices[:, 0],
            "y": vertices[:, 1],
        }


CONTOURS = Table(
    "contours",
    "Contours",
    "one vertex of the border of the region of two couplings: closed polygons",
    (
        *columns_of(ContourLines),
        Column("number of the polygon, from 1", name="polygon", role="number", label="Polygon"),
        Column("number of the vertex in its polygon, from 1", name="point", role="aside"),
        Column(
            "value of the first coupling",
            UnitOf("of the first coupling", coupling="coupling_x"),
            "x",
            role="along",
            label="{coupling_x}",
        ),
        Column(
            "value of the second coupling",
            UnitOf("of the second coupling", coupling="coupling_y"),
            "y",
            label="{coupling_y}",
        ),
    ),
    Archive(
        "Contour of {coupling_x} and {coupling_y}, {detector}",
        "Border of the confidence region of two couplings, point by point: closed polygons.",
        "Contour",
    ),
)


@dataclass(frozen=True, eq=False)
class CriticalValues(Record):
    """Simulated critical values of delta chi^2 along one coupling."""

    detector: Detector
    channels: Channels
    coupling: CouplingName
    confidence_level: ConfidenceLevel
    convention: Annotated[str, Column("minimum and ensemble", role="group", label="Convention")]
    """Minimum and ensemble, such as ``global minimum, normalisations drawn``."""
    toys: Annotated[int, Column("pseudo-experiments per value", role="group", label="Pseudo-experiments")]
    value: Annotated[FloatArray, Column("true value of the coupling", OF_COUPLING, role="along", label="{coupling}")]
    critical_value: Annotated[FloatArray, Column("quantile of delta chi2", label="Critical value")]
    critical_value_error: Annotated[FloatArray, Column("its error, of the finite number of toys", role="error")]
    """Of the finite number of toys."""
    interpolation_error: float
    """Largest distance of a critical value from the line through its neighbours: an estimate, toy noise included."""


CRITICAL_VALUES = Table(
    "critical_values",
    "Critical values",
    "the simulated critical value at one true value of a coupling (Feldman-Cousins)",
    columns_of(CriticalValues),
    Archive(
        "Critical values of {coupling}, {detector}",
        "Simulated critical values of delta chi2 ({convention}; {toys} pseudo-experiments per point).",
        "Critical value",
    ),
)


@dataclass(frozen=True, eq=False)
class CriticalMap(Record):
    """Simulated critical values of delta chi^2 in the plane of two couplings."""

    detector: str
    channels: str
    coupling_x: str
    coupling_y: str
    confidence_level: float
    convention: str
    toys: int
    x: FloatArray
    y: FloatArray
    critical_value: FloatArray
    """Shape (len(y), len(x))."""
    largest_error: float
    """Of the finite number of toys."""
    interpolation_error: float
    """Largest distance of a critical value from the line through its neighbours: an estimate, toy noise included."""
