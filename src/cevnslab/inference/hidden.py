"""Where to start the search of hidden couplings: the dips of a closed form along each of them.

chi^2 may have several minima in the couplings that are minimised over (a mirror solution, a degeneracy). A closed form,
the likelihood's own or that of its least-squares sketch, costs next to nothing: it is scanned along each hidden
coupling over all decades, and its slopes show every dip, however narrow, unless a peak hides in the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.profile import ProfileLikelihood

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

PER_DECADE = 16
"""Values per decade of distance from the Standard Model."""
SMALLEST_DECADE = -2
"""Of the natural scale: nearer to the Standard Model a search finds its way."""
DIPS = 3
"""Along each hidden coupling, the lowest dips that are starts."""
LARGEST_BATCH = 100_000
"""Points of the closed form at once."""


@dataclass(frozen=True, eq=False)
class HiddenStarts:
    """Starts from a chi^2 in closed form; its couplings are those shown, then the hidden ones."""

    guide: ProfileLikelihood
    first_hidden: int
    """Its place among them, so how many are looked at."""

    @cached_property
    def _lines(self) -> list[FloatArray]:
        """The values of each hidden coupling that are tried."""
        lines = []
        for axis in self.guide.axes[self.first_hidden :]:
            farthest = max(abs(bound - axis.standard_model) for bound in axis.bounds)
            decades = np.log10(farthest / axis.scale) - SMALLEST_DECADE
            lines.append(axis.search_points(int(PER_DECADE * max(decades, 1)), SMALLEST_DECADE))
        return lines

    def at(self, points: FloatArray, rows: IntArray, bases: FloatArray) -> tuple[IntArray, FloatArray]:
        """Starts of points (points, shown): the point of each, and its hidden couplings, shape (starts, hidden).

        From every base (the point it is for, and hidden couplings) one hidden coupling after the other is moved to its
        dips; the base itself is a start.
        """
        owners, starts = [rows], [bases]
        for column, line in enumerate(self._lines):
            step = max(1, LARGEST_BATCH // len(line))
            for first in range(0, len(rows), step):
                base, owner = bases[first : first + step], rows[first : first + step]
                place, value = self._dips(np.hstack([points[owner], base]), column, line)
                trial = base[place]
                trial[:, column] = value
                owners.append(owner[place])
                starts.append(trial)
        return np.concatenate(owners), np.concatenate(starts)

    def _dips(self, points: FloatArray, column: int, line: FloatArray) -> tuple[IntArray, FloatArray]:
        """The lowest dips along one hidden coupling: the row that each belongs to, and where it is."""
        place = self.first_hidden + column
        many = np.repeat(points, len(line), axis=0)
        many[:, place] = np.tile(line, len(points))
        values, slopes = self.guide.gradient_at(many)
        values, slopes = values.reshape(len(points), -1), slopes[:, place].reshape(len(points), -1)
        # A falling and then a rising slope, or a bound to which the slope falls, shut a dip in.
        falls, rises = slopes[:, :-1] < 0, slopes[:, 1:] > 0
        share = np.abs(slopes[:, :-1]) / np.maximum(np.abs(slopes[:, :-1]) + np.abs(slopes[:, 1:]), 1e-300)
        where = line[:-1] + share * np.diff(line)
        depth = np.where(falls & rises, np.minimum(values[:, :-1], values[:, 1:]), np.inf)
        low_end = np.where(slopes[:, :1] >= 0, values[:, :1], np.inf)
        high_end = np.where(slopes[:, -1:] <= 0, values[:, -1:], np.inf)
        depth = np.hstack([low_end, depth, high_end])
        ends = np.ones((len(points), 1))
        where = np.hstack([line[0] * ends, where, line[-1] * ends])
        order = np.argsort(depth, axis=1)[:, :DIPS]
        rows = np.repeat(np.arange(len(points)), order.shape[1])
        finite = np.isfinite(np.take_along_axis(depth, order, axis=1)).ravel()
        return rows[finite], np.take_along_axis(where, order, axis=1).ravel()[finite]
