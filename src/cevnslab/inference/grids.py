"""chi^2 of two couplings on grids: where it is low, where it crosses a level, which points polygons hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import STRIDE, Function, Sample, loose_path, settled, snake, snake_order
from cevnslab.likelihood.minimiser import LOOSE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

CLOSED_POINTS, POINTS_PER_DECADE = 100, 4
"""On each side of each axis: in closed form, and per decade where every point is a minimisation."""
SMALLEST_DECADE = -2
CLEARANCE = 12.0
"""Above the highest level asked for, where what chi^2 does is of no interest unless it changes much: as along lines."""
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Of a cell, as steps along rows and columns."""
UNEVEN_ABOVE, UNEVEN_BELOW = 0.5, 0.05
"""Changes of chi^2 in a cell of the coarse grid for which it is refined: far above all levels as a part of the height
over `CLEARANCE`, elsewhere as a part of the lowest level."""


@dataclass(frozen=True, eq=False)
class Grid:
    """chi^2 on the product of two axes: shape (len(y), len(x))."""

    x: FloatArray
    y: FloatArray
    chi2: FloatArray
    state: FloatArray
    """Of what is minimised over at each point, shape (len(y), len(x), anything)."""
    known: BoolArray
    """Which points were looked at, shape (len(y), len(x)): others lie between corners of even cells."""

    def starts(self, function: Function, rows: IntArray, columns: IntArray) -> FloatArray | None:
        """Where searches at points of the grid start; None, from all starts, where every point may have minima apart.

        Those of couplings that are minimised over lie anywhere, and a loose grid may have missed the lowest.
        """
        anywhere = function.several and function.stride == STRIDE
        return None if anywhere else self.state[rows, columns]

    @classmethod
    def of(cls, function: Function, x: FloatArray, y: FloatArray, *, rises: Sequence[float] = ()) -> Grid:
        """Of a closed form exactly, loosely of what is minimised point by point.

        With the levels `rises` above the lowest chi^2 that will be asked for, a grid is coarse where that is enough.
        """
        shape = len(y), len(x)
        if function.ratio is not None:
            return cls(x, y, function.ratio.on_grid(x, y), np.empty((*shape, 0)), np.ones(shape, dtype=bool))
        step = function.grid_step
        if len(rises) and step > 1 and min(shape) > step:
            rows, columns = (np.unique(np.append(np.arange(0, size, step), size - 1)) for size in shape)
            coarse, slopes = cls._along_path(function, x[columns], y[rows], STRIDE)
            return _refined(function, x, y, coarse, _uneven(coarse, slopes, rises), (rows, columns), rises)
        return cls._along_path(function, x, y, function.stride)[0]

    @classmethod
    def _along_path(cls, function: Function, x: FloatArray, y: FloatArray, stride: int) -> tuple[Grid, FloatArray]:
        """Every point, row after row to and fro, and the slopes there, shape (len(y), len(x), 2)."""
        shape = len(y), len(x)
        loose = loose_path(function, snake(x, y), stride).rows(snake_order(len(x), len(y)))
        grid = cls(x, y, loose.chi2.reshape(shape), loose.state.reshape(*shape, -1), np.ones(shape, dtype=bool))
        return grid, loose.slopes.reshape(*shape, 2)

    def extent(self, level: float) -> tuple[FloatArray, FloatArray]:
        """Lower and upper ends of the points below a level, a step of the grid beyond them: shape (2,)."""
        rows, columns = np.nonzero(self.chi2 < level)
        ends = [
            points[np.clip([place.min() - 1, place.max() + 1], 0, len(points) - 1)]
            for points, place in ((self.x, columns), (self.y, rows))
        ]
        low, high = np.array(ends).T
        return low, high

    def dips(self) -> tuple[IntArray, IntArray]:
        """Points lower than all their neighbours, or at a bound, the lowest first: rows and columns."""
        walled = np.pad(self.chi2, 1, constant_values=np.inf)
        inner = walled[1:-1, 1:-1]
        lower = np.ones(inner.shape, dtype=bool)
        for row in (0, 1, 2):
            for column in (0, 1, 2):
                if (row, column) != (1, 1):
                    lower &= inner <= walled[row : row + inner.shape[0], column : column + inner.shape[1]]
        rows, columns = np.nonzero(lower & self.known)
        order = np.argsort(self.chi2[rows, columns])
        return rows[order], columns[order]


def _corners(chi2: FloatArray) -> FloatArray:
    """chi^2 at the corners of all cells of a grid: shape (corners, rows - 1, columns - 1)."""
    rows, columns = chi2.shape
    return np.stack([chi2[i : rows - 1 + i, j : columns - 1 + j] for i, j in CORNERS])


def _uneven(coarse: Grid, slopes: FloatArray, rises: Sequence[float]) -> BoolArray:
    """Which cells of a coarse grid must be refined, shape (rows - 1, columns - 1).

    Those near a level, those that change much, and those with a minimum on an edge, where chi^2 falls from both ends:
    a band that is thin beside a cell crosses its edges.
    """
    corners = _corners(coarse.chi2)
    low, high, lowest = corners.min(axis=0), corners.max(axis=0), coarse.chi2.min()
    above = low - lowest - max(rises) - CLEARANCE
    even = np.where(above > 0, high - low < UNEVEN_ABOVE * above, high - lowest < UNEVEN_BELOW * min(rises))
    across = (slopes[:, :-1, 0] < 0) & (slopes[:, 1:, 0] > 0)
    along = (slopes[:-1, :, 1] < 0) & (slopes[1:, :, 1] > 0)
    minimum = across[:-1] | across[1:] | along[:, :-1] | along[:, 1:]
    return np.asarray(~even | (minimum & (above > 0)))


def _refined(
    function: Function,
    x: FloatArray,
    y: FloatArray,
    coarse: Grid,
    uneven: BoolArray,
    places: tuple[IntArray, IntArray],
    rises: Sequence[float],
) -> Grid:
    """A grid with all points of the uneven cells of a coarse one, which has the rows and columns `places` of it.

    Elsewhere it is what lies between the corners.
    """
    corners = _corners(coarse.chi2)
    # The cell of every row and column of the fine grid; those that two cells share belong to both.
    right, left = (
        [np.clip(np.searchsorted(at, np.arange(at[-1] + 1), side) - 1, 0, len(at) - 2) for at in places]
        for side in ("right", "left")
    )
    fine = np.any([uneven[np.ix_(i, j)] for i in (right[0], left[0]) for j in (right[1], left[1])], axis=0)
    row, column = np.nonzero(fine)
    # Rows to and fro, so that neighbours on the path are neighbours in space, or nearly.
    order = np.lexsort((np.where(row % 2 == 1, -column, column), row))
    row, column = row[order], column[order]
    points = np.stack([x[column], y[row]], axis=1)
    share = [
        (np.arange(at[-1] + 1) - at[cell]) / (at[cell + 1] - at[cell]) for at, cell in zip(places, right, strict=True)
    ]
    weights = np.stack([np.multiply.outer(_weight(share[0], i), _weight(share[1], j)) for i, j in CORNERS])
    chi2 = np.sum(weights * corners[:, right[0][:, None], right[1]], axis=0)
    state = coarse.state[right[0][:, None], right[1]].copy()
    state[np.ix_(*places)] = coarse.state
    from_corners = np.stack([coarse.state[right[0][row] + i, right[1][column] + j] for i, j in CORNERS])
    loose = _from_corners(function, points, from_corners, weights[:, row, column])
    loose = settled(function, points, loose, coarse.chi2.min() + max(rises) + CLEARANCE)
    chi2[row, column], state[row, column] = loose.chi2, loose.state
    fine[np.ix_(*places)] = True
    return Grid(x, y, chi2, state, fine)


def _weight(share: FloatArray, end: int) -> FloatArray:
    """Of the lower (0) or upper (1) end of a step, at a part of it."""
    return share if end else 1 - share


def _from_corners(function: Function, points: FloatArray, state: FloatArray, weights: FloatArray) -> Sample:
    """Loose samples from the states at corners, shape (corners, points, anything).

    From their mean where all are in one valley, else from the nearest.
    """
    every, nearest = np.arange(len(points)), weights.argmax(axis=0)
    start = state[nearest, every]
    together = np.all([function.alike(start, each) for each in state], axis=0)
    mean = np.einsum("cp,cps->ps", weights, state)
    return function.sample(points, np.where(together[:, None], mean, start), LOOSE)


def first_grid(function: Function, rises: Sequence[float] = ()) -> Grid:
    """Over all decades of distance from the Standard Model; coarse away from the levels `rises`, see `Grid.of`."""
    axes = []
    for axis in function.axes:
        farthest = max(abs(bound - axis.standard_model) for bound in axis.bounds)
        decades = max(np.log10(farthest / axis.scale) - SMALLEST_DECADE, 1.0)
        points = CLOSED_POINTS if function.ratio is not None else int(np.ceil(POINTS_PER_DECADE * decades))
        axes.append(axis.search_points(points, SMALLEST_DECADE))
    return Grid.of(function, *axes, rises=rises)


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
