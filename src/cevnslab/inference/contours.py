"""Confidence regions of two couplings, as closed polygons on the level set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.levels import delta_chi2_level

FloatArray = NDArray[np.float64]

SEARCH_POINTS, GRID_POINTS = 240, 240
"""Per side of each axis in the first look, and along each axis of the box that is traced."""
COSTLY_SEARCH_POINTS, COSTLY_GRID_POINTS = 80, 80
"""The same for a chi^2 that is minimised point by point; the vertices are polished all the same."""
MARGIN = 0.06
REFINED_POINTS = (720, 2160)
"""Along each axis of the box, one after the other, for a region that is a thin band."""
THIN = 0.7
"""A band is thin while less than this part of its points has all four neighbours inside."""
MOST_GROWTHS = 12

Box = tuple[tuple[float, float], tuple[float, float]]
"""(low, high) of x and of y."""


@dataclass(frozen=True, eq=False)
class Contour:
    """The region chi^2 - chi^2_min < level of two couplings; polygons are (points, 2) in plain units, closed."""

    couplings: tuple[str, str]
    confidence_level: float
    delta_chi2: float
    polygons: tuple[FloatArray, ...]


def _extent(axis: FloatArray, inside: NDArray[np.bool_]) -> tuple[float, float]:
    """The interval of an axis that holds every point inside, widened by one step and a margin within the axis."""
    touched = np.flatnonzero(inside)
    low, high = axis[max(touched[0] - 1, 0)], axis[min(touched[-1] + 1, len(axis) - 1)]
    room = MARGIN * (high - low)
    return float(max(low - room, axis[0])), float(min(high + room, axis[-1]))


def _grown(box: Box, below: NDArray[np.bool_], bounds: Box) -> Box:
    """The box, doubled over every side that the region touches, as far as the bounds go."""
    sides = []
    touching = below.astype(int).sum(axis=0), below.astype(int).sum(axis=1)
    for (low, high), (lowest, highest), touched in zip(box, bounds, touching, strict=True):
        width = high - low
        low = max(low - width, lowest) if touched[0] > 0 else low
        high = min(high + width, highest) if touched[-1] > 0 else high
        sides.append((low, high))
    return sides[0], sides[1]


def _thin(below: NDArray[np.bool_]) -> bool:
    """Whether much of a region is its own edge: a band hardly wider than a step of the grid."""
    walled = np.pad(below, 1)
    inner = walled[:-2, 1:-1] & walled[2:, 1:-1] & walled[1:-1, :-2] & walled[1:-1, 2:] & below
    return bool(inner.sum() < THIN * below.sum())


def contour(chi2: Chi2, confidence_level: float) -> Contour:
    """The confidence region of two couplings, at the level of two parameters.

    A grid over many decades finds the islands (one narrower than its step, a tenth of the distance from zero or a third
    for a costly chi^2, can be missed); a grid over their common box is then traced, and its vertices are moved onto the
    level set by Newton steps along the gradient, so that they do not depend on the grid. The box grows where the region
    runs into its side; where the region is a thin band, as of a degeneracy, and chi^2 has a closed form, the grid is
    refined. A region that reaches the bounds of a coupling is closed along them.
    """
    level = delta_chi2_level(confidence_level, 2)
    search_points = SEARCH_POINTS if chi2.closed_form else COSTLY_SEARCH_POINTS
    axes = [axis.search_points(search_points) for axis in chi2.axes]
    surface = chi2.on_grid(axes[0], axes[1])
    lowest = float(surface.min())  # on Asimov data zero, at the Standard Model, which is a point of the grid
    inside = surface < level + lowest
    box = _extent(axes[0], np.any(inside, axis=0)), _extent(axes[1], np.any(inside, axis=1))
    bounds = chi2.axes[0].bounds, chi2.axes[1].bounds
    for points in (GRID_POINTS, *REFINED_POINTS) if chi2.closed_form else (COSTLY_GRID_POINTS,):
        for _ in range(MOST_GROWTHS):
            x, y = np.linspace(*box[0], points), np.linspace(*box[1], points)
            surface = chi2.on_grid(x, y)
            larger = _grown(box, surface < level + lowest, bounds)
            if larger == box:
                break
            box = larger
        if not _thin(surface < level + lowest):
            break
    polygons = tuple(_polish(chi2, line, level + lowest, points) for line in trace(x, y, surface, level + lowest))
    return Contour((chi2.axes[0].name, chi2.axes[1].name), confidence_level, level, polygons)


def trace(x: FloatArray, y: FloatArray, surface: FloatArray, level: float) -> tuple[FloatArray, ...]:
    """The closed polygons around the places of a grid where a surface, shape (len(y), len(x)), is below a level."""
    from contourpy import contour_generator

    # A wall around the grid closes the lines of a region that runs into its edge.
    walled = np.pad(surface, 1, constant_values=1e3 * (abs(level) + float(np.abs(surface).max()) + 1))
    tiny_x, tiny_y = 1e-9 * np.ptp(x), 1e-9 * np.ptp(y)
    corners = np.array([[x[0], y[0]], [x[-1], y[-1]]])
    x = np.concatenate([[x[0] - tiny_x], x, [x[-1] + tiny_x]])
    y = np.concatenate([[y[0] - tiny_y], y, [y[-1] + tiny_y]])
    return tuple(
        np.clip(np.asarray(line, dtype=float), *corners) for line in contour_generator(x, y, walled).lines(level)
    )


def _polish(chi2: Chi2, line: FloatArray, level: float, grid_points: int) -> FloatArray:
    """Move vertices onto the level set, in coordinates where both axes span the polygon equally.

    A vertex stays where it is if a step would leave its cell (the gradient vanishes near a saddle, and on a bound the
    level is not met) or the bounds.
    """
    points = np.array(line, dtype=float)
    span = np.ptp(points, axis=0)
    bounds = np.array([axis.bounds for axis in chi2.axes])
    for _ in range(3):
        value, slope_x, slope_y = chi2.value_and_gradient(points[:, 0], points[:, 1])
        gradient = np.stack([slope_x, slope_y], axis=1) * span
        steepness = np.sum(gradient**2, axis=1)
        length = np.divide(value - level, steepness, out=np.full_like(value, np.inf), where=steepness > 0)
        step = np.where(np.isfinite(length), length, 0.0)[:, None] * gradient
        moved = points - step * span
        allowed = np.all((np.abs(step) < 1 / grid_points) & (moved >= bounds[:, 0]) & (moved <= bounds[:, 1]), axis=1)
        points[allowed] = moved[allowed]
    return np.asarray(np.clip(points, bounds[:, 0], bounds[:, 1]))
