"""Intervals and minima of a chi^2 that is no ratio of polynomials, by a search that misses no piece it can see.

The couplings' axes are covered decade by decade from far below their natural scale up to their bounds; every dip on
that grid is followed to its minimum, every crossing of a level is refined to rounding. A piece is missed only if it
is narrower than a step of the grid, a tenth of its distance from zero, and makes no dip on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Axis, Segment

FloatArray = NDArray[np.float64]
Curve = Callable[[FloatArray], FloatArray]

POINTS_PER_SIDE = 200


def minima(curve: Curve, axis: Axis, per_side: int = POINTS_PER_SIDE) -> list[tuple[float, float]]:
    """(value, chi^2) of every local minimum that the grid shows, rising in value."""
    from scipy.optimize.elementwise import find_minimum

    points = axis.search_points(per_side)
    values = curve(points)
    dips = np.flatnonzero((values[1:-1] <= values[:-2]) & (values[1:-1] < values[2:])) + 1
    wall = [(float(points[0]), float(values[0]))] if axis.one_sided and values[0] <= values[1] else []
    if not len(dips):
        return wall
    brackets = points[dips - 1], points[dips], points[dips + 1]
    with np.errstate(all="ignore"):
        # chi^2 is quadratic at a minimum: a relative 1e-8 in the coupling is below rounding there.
        found = find_minimum(curve, brackets, tolerances={"xrtol": 1e-8, "xatol": 0.0})
    # Where rounding makes a bracket flat the grid's own point is the minimum.
    at = np.where(found.success, found.x, points[dips])
    return wall + [(float(x), float(chi2)) for x, chi2 in zip(at, curve(at), strict=True)]


def pieces_below(
    curve: Curve, level: float, axis: Axis, dips: Sequence[tuple[float, float]], per_side: int = POINTS_PER_SIDE
) -> list[Segment]:
    """All intervals in which the curve is below a level, given its minima.

    An end at a bound is infinite, but for the lower bound of a one-sided coupling, which is one of nature.
    """
    from scipy.optimize.elementwise import find_root

    points = np.union1d(axis.search_points(per_side), [value for value, _ in dips])
    below = curve(points) < level
    changes = np.flatnonzero(below[1:] != below[:-1])
    crossings: list[float] = []
    if len(changes):
        with np.errstate(all="ignore"):  # the search divides by differences that reach zero when it is done
            found = find_root(
                lambda x: curve(x) - level,
                (points[changes], points[changes + 1]),
                tolerances={"xrtol": 1e-11, "xatol": 0.0},
            )
        crossings = [float(x) for x in found.x]
    start = float(points[0]) if axis.one_sided else -np.inf
    borders = ([start] if below[0] else []) + crossings + ([np.inf] if below[-1] else [])
    return list(zip(borders[::2], borders[1::2], strict=True))
