"""Steps along the boundary on which a bin without counts expects nothing.

Templates that are bent far lead below zero there, which the likelihood forbids (`statistics.SOFTNESS`). A step whose
quadratic model knows nothing of the boundary would end in it again and again, each time a little shorter: so the bins
that a step would empty join the model, and the step is made again along the boundary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.statistics import SOFTNESS, Counts
from cevnslab.likelihood.steps import damped_step

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Walls = Sequence[FloatArray]
"""Where coordinates are, and their lower and upper ends."""

MOST_REPEATS = 8
"""Times that a step is made again because it would empty other bins; then it ends where it empties the next."""
TOGETHER = 0.05
"""Of a step: bins that it empties so soon after the first one are held with it."""


@dataclass(frozen=True, eq=False)
class Emptying:
    """How a step empties bins."""

    slopes: Sequence[tuple[IntArray, FloatArray]]
    """Per data set, the columns that move its expected counts and the slopes, (points, columns, bins)."""
    rate: FloatArray
    """Derivatives of the parameters by the coordinates of the step."""
    expected: Sequence[FloatArray]
    counts: Sequence[Counts]
    near: NDArray[np.bool_]
    """Points that have met the boundary before: only there do steps look ahead."""

    def rows(self, selection: IntArray) -> Emptying:
        """Some of the points."""
        return Emptying(
            [(columns, slopes[selection]) for columns, slopes in self.slopes],
            self.rate if self.rate.ndim == 1 else self.rate[selection],
            [level[selection] for level in self.expected],
            [counts.rows(selection) for counts in self.counts],
            self.near[selection],
        )

    def step(
        self, gradient: FloatArray, curvature: FloatArray, walls: Walls, damping: FloatArray, scale: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The damped step, and by how much it promises to lower chi^2; see `damped_step`."""
        at, low, high = walls
        step, promise = damped_step(gradient, curvature, at, low, high, damping, scale)
        near = np.flatnonzero(self.near)
        if len(near):
            ends = tuple(each if each.ndim == 1 else each[near] for each in walls)
            step[near], promise[near] = self.rows(near)._along(
                step[near], promise[near], gradient[near], curvature[near], ends, damping[near], scale[near]
            )
        return step, promise

    def downhill(
        self,
        gradient: FloatArray,
        curvature: FloatArray,
        exact: FloatArray | None,
        walls: Walls,
        damping: FloatArray,
        scale: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """The step by the exact curvature where that is known and leads downhill, else by Gauss-Newton's.

        The exact one is the better: far out most of it can be in the bending.
        """
        if exact is None:
            return self.step(gradient, curvature, walls, damping, scale)
        step, gain = self.step(gradient, exact, walls, damping, scale)
        upward = np.flatnonzero((gain <= 0) | (np.sum(step * gradient, axis=1) >= 0))
        if len(upward):
            ends = [each if each.ndim == 1 else each[upward] for each in walls]
            step[upward], gain[upward] = self.rows(upward).step(
                gradient[upward], curvature[upward], ends, damping[upward], scale[upward]
            )
        return step, gain

    def _along(
        self,
        step: FloatArray,
        promise: FloatArray,
        gradient: FloatArray,
        curvature: FloatArray,
        walls: Walls,
        damping: FloatArray,
        scale: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """A step that looks ahead."""
        held = [np.zeros(level.shape, dtype=bool) for level in self.expected]
        changed = np.zeros(len(step), dtype=bool)
        for _ in range(MOST_REPEATS):
            rows = self._changed(step, held)
            if not len(rows):
                break
            changed[rows] = True
            bound, steeper = self._with_boundary(gradient, curvature, held, rows)
            at, low, high = (each if each.ndim == 1 else each[rows] for each in walls)
            step[rows] = damped_step(steeper, bound, at, low, high, damping[rows], scale[rows])[0]
        if changed.any():
            moved = step[changed] * self._room(step, held)[changed, None]
            step[changed] = moved
            curved = np.einsum("pi,pij,pj->p", moved, curvature[changed], moved)
            promise[changed] = -2 * np.sum(gradient[changed] * moved, axis=1) - curved
        return step, promise

    def _emptied(
        self, step: FloatArray, held: Sequence[NDArray[np.bool_]]
    ) -> Iterator[tuple[FloatArray, FloatArray, NDArray[np.bool_]]]:
        """Per data set: the expectation after a step, the part after which each bin is empty, which it empties."""
        for (columns, slopes), level, observed, known in zip(
            self.slopes, self.expected, self.counts, held, strict=True
        ):
            if observed.variance is not None or not len(columns):
                yield level, np.full(level.shape, np.inf), np.zeros(level.shape, dtype=bool)
                continue
            after = level + ((self.rate * step)[:, None, columns] @ slopes)[:, 0]
            emptied = (after < -SOFTNESS) & (level >= 0) & (observed.observed <= 0) & ~known
            part = np.divide(level + SOFTNESS, level - after, out=np.full(level.shape, np.inf), where=emptied)
            yield after, part, emptied

    def _room(self, step: FloatArray, held: Sequence[NDArray[np.bool_]]) -> FloatArray:
        """The part of a step after which the first bin that is not held is empty, or all of it."""
        room = np.ones(len(step))
        for _, part, _ in self._emptied(step, held):
            room = np.minimum(room, part.min(axis=1))
        return room

    def _changed(self, step: FloatArray, held: Sequence[NDArray[np.bool_]]) -> IntArray:
        """Hold the bins that a step empties first, or let go those that it would fill: the points with news."""
        bins = list(self._emptied(step, held))
        first = np.min([part.min(axis=1) for _, part, _ in bins], axis=0)
        news = np.isfinite(first)
        for (after, part, emptied), known in zip(bins, held, strict=True):
            freed = known & (after > 0) & ~news[:, None]
            known |= emptied & (part <= first[:, None] + TOGETHER)
            known &= ~freed
            first = np.where(freed.any(axis=1), -np.inf, first)
        return np.flatnonzero(news | (first == -np.inf))

    def _with_boundary(
        self, gradient: FloatArray, curvature: FloatArray, held: Sequence[NDArray[np.bool_]], rows: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Curvature and gradient at some points with the held bins kept at zero."""
        curvature, gradient = curvature[rows].copy(), gradient[rows].copy()
        rate = np.broadcast_to(self.rate, (len(held[0]), gradient.shape[1]))[rows]
        for (columns, slopes), level, known in zip(self.slopes, self.expected, held, strict=True):
            if not len(columns):
                continue
            rated = slopes[rows] * rate[:, columns, None]
            stiff = rated * (known[rows] / SOFTNESS**2)[:, None, :]
            curvature[:, columns[:, None], columns] += stiff @ rated.transpose(0, 2, 1)
            gradient[:, columns] += (stiff @ level[rows][:, :, None])[:, :, 0]
        return curvature, gradient
