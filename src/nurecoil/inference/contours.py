"""Confidence regions of two couplings, as closed polygons on the level set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nurecoil.errors import StatisticsError
from nurecoil.inference.levels import delta_chi2_level
from nurecoil.inference.rational import RationalChi2

FloatArray = NDArray[np.float64]

SEARCH_DECADES = (-4, 6)
"""The first look covers these decades of both couplings' scales, both signs, so that far islands are seen."""
SEARCH_POINTS = 240
GRID_POINTS = 240
MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class Contour:
    """The region chi^2 - chi^2_min < level of two couplings; polygons are (points, 2) in plain units, closed."""

    couplings: tuple[str, str]
    confidence_level: float
    delta_chi2: float
    polygons: tuple[FloatArray, ...]


def _signed_axis(scale: float) -> FloatArray:
    positive = scale * np.logspace(*SEARCH_DECADES, SEARCH_POINTS)
    return np.concatenate([-positive[::-1], [0.0], positive])


def _extent(axis: FloatArray, inside: FloatArray) -> tuple[float, float]:
    """The interval of an axis that holds every point inside, widened by one step and a margin."""
    touched = np.flatnonzero(inside)
    low, high = axis[max(touched[0] - 1, 0)], axis[min(touched[-1] + 1, len(axis) - 1)]
    room = MARGIN * (high - low)
    return float(low - room), float(high + room)


def contour(chi2: RationalChi2, confidence_level: float) -> Contour:
    """The confidence region of two couplings, at the level of two parameters.

    A grid over many decades finds every island; a grid over their common box is then traced, and its vertices
    are moved onto the level set by Newton steps along the gradient, so that they do not depend on the grid.

    Raises `StatisticsError` for a region that reaches the end of the search range: it has no closed contour.
    """
    from contourpy import contour_generator

    level = delta_chi2_level(confidence_level, 2)
    axes = [_signed_axis(scale) for scale in chi2.scales]
    surface = chi2.on_grid(*axes)
    # The grid holds the Standard Model, where Asimov data have their minimum; the polish is for other data.
    level_value = level + float(surface.min())
    inside = surface < level_value
    if inside[0].any() or inside[-1].any() or inside[:, 0].any() or inside[:, -1].any():
        raise StatisticsError(
            f"the region of {chi2.names[0]} and {chi2.names[1]} is not closed: "
            f"it reaches {SEARCH_DECADES[1]} decades above their natural scales"
        )
    x = np.linspace(*_extent(axes[0], inside.any(axis=0)), GRID_POINTS)
    y = np.linspace(*_extent(axes[1], inside.any(axis=1)), GRID_POINTS)
    lines = contour_generator(x, y, chi2.on_grid(x, y)).lines(level_value)
    return Contour(
        (chi2.names[0], chi2.names[1]), confidence_level, level, tuple(_polish(chi2, line, level_value) for line in lines)
    )


def _polish(chi2: RationalChi2, line: FloatArray, level: float) -> FloatArray:
    """Move vertices onto the level set, in coordinates where both axes span the polygon equally."""
    points = np.array(line, dtype=float)
    span = np.ptp(points, axis=0)
    for _ in range(3):
        value, slope_x, slope_y = chi2.value_and_gradient(points[:, 0], points[:, 1])
        gradient = np.stack([slope_x, slope_y], axis=1) * span
        step = ((value - level) / np.sum(gradient**2, axis=1))[:, None] * gradient
        # Near a saddle the gradient vanishes: there the grid's own point is the better one.
        points -= np.where(np.abs(step) < 1 / GRID_POINTS, step, 0.0) * span
    return points
