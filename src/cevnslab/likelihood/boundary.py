"""Steps along the boundary on which a bin without counts expects nothing.

Templates that are bent far lead below zero there, which the likelihood forbids (`statistics.SOFTNESS`). A step whose
quadratic model knows nothing of the boundary would end in it again and again, each time a little shorter: so the bins
that a step would empty join the model, and the step is made again along the boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.statistics import SOFTNESS, Counts
from cevnslab.likelihood.steps import damped_step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Walls = tuple[FloatArray, FloatArray, FloatArray]
"""Where coordinates are, and their lower and upper ends."""

MOST_REPEATS = 5
"""Times that a step is made again because it would empty other bins."""


@dataclass(frozen=True, eq=False)
class Emptying:
    """How a step empties bins."""

    slopes: Sequence[tuple[IntArray, FloatArray]]
    """Per data set, the columns that move its expected counts and the slopes, (points, columns, bins)."""
    rate: FloatArray
    """Derivatives of the parameters by the coordinates of the step."""
    expected: Sequence[FloatArray]
    counts: Sequence[Counts]

    def step(
        self, gradient: FloatArray, curvature: FloatArray, walls: Walls, damping: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The damped step, and by how much it promises to lower chi^2; see `damped_step`."""
        step, promise = damped_step(gradient, curvature, *walls, damping, scale)
        full = None
        emptied = [np.zeros(level.shape, dtype=bool) for level in self.expected]
        for _ in range(MOST_REPEATS):
            rows = self._emptied(step, emptied)
            if not len(rows):
                break
            bound, steeper = self._with_boundary(gradient, curvature, emptied, rows)
            at, low, high = (each if each.ndim == 1 else each[rows] for each in walls)
            step[rows] = damped_step(steeper, bound, at, low, high, damping[rows], scale[rows])[0]
            full = rows if full is None else np.union1d(full, rows)
        if full is not None:
            moved = step[full]
            curved = np.einsum("pi,pij,pj->p", moved, curvature[full], moved)
            promise[full] = -2 * np.sum(gradient[full] * moved, axis=1) - curved
        return step, promise

    def _emptied(self, step: FloatArray, emptied: Sequence[NDArray[np.bool_]]) -> IntArray:
        """Mark the bins that a step empties, no longer those that it fills; the points at which this is news."""
        news = np.zeros(len(step), dtype=bool)
        for (columns, slopes), level, observed, known in zip(
            self.slopes, self.expected, self.counts, emptied, strict=True
        ):
            if observed.variance is not None or not len(columns):
                continue
            after = level + ((self.rate * step)[:, None, columns] @ slopes)[:, 0]
            now = (after < np.where(known, 0.0, -SOFTNESS)) & (level >= 0) & (observed.observed <= 0)
            news |= np.any(now != known, axis=1)
            known[:] = now
        return np.flatnonzero(news)

    def _with_boundary(
        self, gradient: FloatArray, curvature: FloatArray, emptied: Sequence[NDArray[np.bool_]], rows: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Curvature and gradient at some points with emptied bins kept at zero."""
        curvature, gradient = curvature[rows].copy(), gradient[rows].copy()
        rate = np.broadcast_to(self.rate, (len(emptied[0]), gradient.shape[1]))[rows]
        for (columns, slopes), level, known in zip(self.slopes, self.expected, emptied, strict=True):
            if not len(columns):
                continue
            rated = slopes[rows] * rate[:, columns, None]
            stiff = rated * (known[rows] / SOFTNESS**2)[:, None, :]
            curvature[:, columns[:, None], columns] += stiff @ rated.transpose(0, 2, 1)
            gradient[:, columns] += (stiff @ level[rows][:, :, None])[:, :, 0]
        return curvature, gradient
