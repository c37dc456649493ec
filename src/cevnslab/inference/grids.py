"""chi^2 of two couplings on grids: where it is low, where it crosses a level, which points polygons hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Function, loose_path, snake, snake_order

FloatArray = NDArray[np.float64]

CLOSED_POINTS, POINTS_PER_DECADE = 100, 4
"""On each side of each axis: in closed form, and per decade where every point is a minimisation."""
SMALLEST_DECADE = -2


@dataclass(frozen=True, eq=False)
class Grid:
    """chi^2 on the product of two axes: shape (len(y), len(x))."""

    x: FloatArray
    y: FloatArray
    chi2: FloatArray

    @classmethod
    def of(cls, function: Function, x: FloatArray, y: FloatArray) -> Grid:
        """Of a closed form exactly, loosely of what is minimised point by point."""
        if function.ratio is not None:
            return cls(x, y, function.ratio.on_grid(x, y))
        loose = loose_path(function, snake(x, y), function.grid_stride).chi2
        return cls(x, y, loose[snake_order(len(x), len(y))].reshape(len(y), len(x)))

    def extent(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of the points below a level, a step of the grid beyond them: shape (2,)."""
        rows, columns = np.nonzero(self.chi2 < level)
        ends = [
            points[np.clip([place.min() - 1, place.max() + 1], 0, len(points) - 1)]
            for points, place in ((self.x, columns), (self.y, rows))
        ]
        low, high = np.array(ends).T
        return low, high

    def dips(self) -> FloatArray:
        """Points lower than all their neighbours, or at a bound, the lowest first: shape (points, 2)."""
        walled = np.pad(self.chi2, 1, constant_values=np.inf)
        inner = walled[1:-1, 1:-1]
        lower = np.ones(inner.shape, dtype=bool)
        for row in (0, 1, 2):
            for column in (0, 1, 2):
                if (row, column) != (1, 1):
                    lower &= inner <= walled[row : row + inner.shape[0], column : column + inner.shape[1]]
        rows, columns = np.nonzero(lower)
        order = np.argsort(self.chi2[rows, columns])
        return np.stack([self.x[columns[order]], self.y[rows[order]]], axis=1)


def first_grid(function: Function) -> Grid:
    """Over all decades of distance from the Standard Model."""
    axes = []
    for axis in function.axes:
        farthest = max(abs(bound - axis.standard_model) for bound in axis.bounds)
        decades = max(np.log10(farthest / axis.scale) - SMALLEST_DECADE, 1.0)
        points = CLOSED_POINTS if function.ratio is not None else int(np.ceil(POINTS_PER_DECADE * decades))
        axes.append(axis.search_points(points, SMALLEST_DECADE))
    return Grid.of(function, *axes)


def trace(x: FloatArray, y: FloatArray, surface: FloatArray, level: float) -> tuple[FloatArray, ...]:
    """The closed polygons around the places of a grid where a surface, shape (len(y), len(x)), is below a level.

    For surfaces that are known on a grid alone.
    """
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


def inside(polygons: Sequence[FloatArray], x: FloatArray, y: FloatArray) -> NDArray[np.bool_]:
    """Which points of a grid polygons hold, by the even-odd rule: shape (len(y), len(x))."""
    held = np.zeros((len(y), len(x)), dtype=bool)
    if not polygons:
        return held
    start = np.concatenate([line[:-1] for line in polygons])
    end = np.concatenate([line[1:] for line in polygons])
    # The rows that each edge cuts, and the first column to the right of each cut.
    first, last = (np.searchsorted(y, part[:, 1]) for part in (start, end))
    low, count = np.minimum(first, last), np.abs(last - first)
    edge = np.repeat(np.arange(len(start)), count)
    row = np.repeat(low - np.cumsum(count) + count, count) + np.arange(count.sum())
    a, b = start[edge], end[edge]
    where = a[:, 0] + (y[row] - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    cuts = np.bincount(row * (len(x) + 1) + np.searchsorted(x, where), minlength=len(y) * (len(x) + 1))
    return np.asarray(np.cumsum(cuts.reshape(len(y), -1), axis=1)[:, :-1] % 2 == 1)
