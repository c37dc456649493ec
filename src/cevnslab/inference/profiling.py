"""Couplings that are minimised over, as nuisances are: chi^2 of the others with them at their best.

The function may have several minima in the couplings that are minimised over (a mirror solution, a degeneracy), so each
of them is scanned over all its decades, and the lowest dips are followed by a damped Newton descent with the exact
gradient, inside the couplings' bounds, all points at once. A valley is missed if it is narrower than a step of the scan
(2 to 3 % of its distance from the Standard Model) or, with several couplings minimised over, lies off both scans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.inference import search
from cevnslab.inference.chi2 import Axis, PointFunction, Segment
from cevnslab.inference.pointwise import LARGEST_BATCH
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.profile import ProfileLikelihood

FloatArray = NDArray[np.float64]

SEARCH_POINTS = 500
"""Per side of a hidden coupling: a step is 2 to 3 % of the distance from the Standard Model."""
DIPS = 3
"""Local minima along a hidden coupling that are followed."""
POINTS_PER_SIDE = 80
"""Of the search along the coupling that is shown: a point costs a minimisation."""
MOST_STEPS = 80
STEP = 1e-4
"""Of the finite differences of the gradient that make the curvature, in units of the search's own length."""
TOLERANCE = 1e-10


@dataclass(frozen=True, eq=False)
class ProfiledChi2:
    """chi^2 of one or two couplings; `function` has them first, then those that are minimised over."""

    closed_form: ClassVar[bool] = False

    axes: tuple[Axis, ...]
    function: PointFunction

    @property
    def _hidden(self) -> tuple[Axis, ...]:
        return self.function.axes[len(self.axes) :]

    def minimised(self, shown: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, shape (points,), and the hidden couplings, shape (points, hidden), at points (points, shown)."""
        centre = np.tile([axis.standard_model for axis in self._hidden], (len(shown), 1))
        chi2, hidden = self._descend(shown, centre)
        base = centre
        # With several hidden couplings once more, from the best that was found.
        for _ in range(1 if len(self._hidden) == 1 else 2):
            for column in range(len(self._hidden)):
                rows, starts = self._dips(shown, base, column)
                found, at = self._descend(shown[rows], starts)
                # Of several searches of a point the lowest stands last.
                for row, value, place in sorted(zip(rows, found, at, strict=True), key=lambda done: -done[1]):
                    if value < chi2[row]:
                        chi2[row], hidden[row] = value, place
            base = hidden.copy()
        return chi2, hidden

    def _dips(self, shown: FloatArray, hidden: FloatArray, column: int) -> tuple[NDArray[np.int64], FloatArray]:
        """The lowest local minima along one hidden coupling: the row that each belongs to, and where it is."""
        line = self._hidden[column].search_points(SEARCH_POINTS, smallest_decade=-2)
        rows = max(1, LARGEST_BATCH // len(line))
        found_rows, starts = [], []
        for first in range(0, len(shown), rows):
            part = slice(first, first + rows)
            points = np.repeat(np.hstack([shown[part], hidden[part]]), len(line), axis=0)
            points[:, len(self.axes) + column] = np.tile(line, len(points) // len(line))
            values = self.function.values_at(points).reshape(-1, len(line))
            walled = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
            dips = (walled[:, 1:-1] <= walled[:, :-2]) & (walled[:, 1:-1] < walled[:, 2:])
            order = np.argsort(np.where(dips, values, np.inf), axis=1)[:, :DIPS]
            for number, places in enumerate(order):
                for place in places[dips[number, places]]:
                    start = hidden[first + number].copy()
                    start[column] = line[place]
                    found_rows.append(first + number)
                    starts.append(start)
        return np.array(found_rows, dtype=np.int64), np.array(starts).reshape(-1, len(self._hidden))

    def _descend(self, shown: FloatArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = np.array([axis.bounds for axis in self._hidden]).T
        scale = np.array([axis.scale for axis in self._hidden])
        hidden = start.copy()
        chi2, slope = self._slope(shown, hidden)
        damping = np.full(len(hidden), 1e-3)
        active = np.arange(len(hidden))
        for _ in range(MOST_STEPS if len(hidden) else 0):
            # In units of the distance from the start of the axis, so that every decade is searched alike.
            length = scale + np.abs(hidden[active] - [axis.standard_model for axis in self._hidden])
            step, gain = self._step(shown[active], hidden[active], slope[active], length, damping[active])
            trial = np.clip(hidden[active] + step, low, high)
            trial_chi2, trial_slope = self._slope(shown[active], trial)
            better = trial_chi2 < chi2[active]
            chosen = active[better]
            hidden[chosen], chi2[chosen], slope[chosen] = trial[better], trial_chi2[better], trial_slope[better]
            damping[active] = np.where(better, damping[active] / 10, np.maximum(damping[active] * 10, 1e-3))
            active = active[(gain > TOLERANCE) & (damping[active] < 1e10)]
            if not len(active):
                break
        return chi2, hidden

    def _slope(self, shown: FloatArray, hidden: FloatArray) -> tuple[FloatArray, FloatArray]:
        chi2, slope = self.function.gradient_at(np.hstack([shown, hidden]))
        return chi2, slope[:, len(self.axes) :]

    def _step(
        self, shown: FloatArray, hidden: FloatArray, slope: FloatArray, length: FloatArray, damping: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The damped Newton step and the decrease it promises; the curvature is that of the gradient."""
        count = hidden.shape[1]
        low, high = np.array([axis.bounds for axis in self._hidden]).T
        curvature = np.empty((len(hidden), count, count))
        for column in range(count):
            moved = hidden.copy()
            moved[:, column] += STEP * length[:, column]
            curvature[:, column] = (self._slope(shown, moved)[1] - slope) * length / STEP
        curvature = (curvature + curvature.transpose(0, 2, 1)) / 2
        scaled = slope * length
        held = ((hidden <= low) & (slope > 0)) | ((hidden >= high) & (slope < 0))
        scaled = np.where(held, 0.0, scaled)
        curvature = np.where(held[:, :, None] | held[:, None, :], 0.0, curvature)
        # Negative curvatures are turned round: the step then goes downhill, and far.
        values, vectors = np.linalg.eigh(curvature)
        largest = np.maximum(np.abs(values).max(axis=1), np.finfo(float).tiny)
        values = np.maximum(np.abs(values), 1e-12 * largest[:, None]) + damping[:, None] * largest[:, None]
        along = np.einsum("pij,pi->pj", vectors, scaled)
        step = -np.einsum("pij,pj->pi", vectors, along / values)
        gain = np.sum(along**2 / values, axis=1)
        return np.where(held, 0.0, step * length), gain

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values of any shape."""
        values = np.asarray(value, dtype=float)
        return self.minimised(values.reshape(-1, 1))[0].reshape(values.shape)

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""
        return np.stack([self.minimised(np.stack([x, np.full_like(x, row)], axis=1))[0] for row in y])

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives: at the hidden couplings' minimum only the explicit dependence counts."""
        shown = np.stack([x, y], axis=1)
        chi2, hidden = self.minimised(shown)
        slopes = self.function.gradient_at(np.hstack([shown, hidden]))[1]
        return chi2, slopes[:, 0], slopes[:, 1]

    def minima(self) -> list[tuple[float, float]]:
        """Every local minimum of a single coupling that the search grid shows."""
        return list(self._minima)

    @cached_property
    def _minima(self) -> list[tuple[float, float]]:
        return search.minima(self, self.axes[0], POINTS_PER_SIDE)

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals of a single coupling in which chi^2 < level."""
        return search.pieces_below(self, level, self.axes[0], self._minima, POINTS_PER_SIDE)

    def at_hidden_bound(self, value: float) -> bool:
        """Whether at a value of a single coupling one that is minimised over rests on its bound."""
        hidden = self.minimised(np.array([[value]]))[1][0]
        return any(
            np.any(np.isclose(at, axis.bounds, rtol=1e-6, atol=1e-9 * axis.scale))
            for at, axis in zip(hidden, self._hidden, strict=True)
        )


def profiled(likelihood: Likelihood, names: Sequence[str], over: Sequence[str]) -> ProfiledChi2:
    """chi^2 of one or two couplings with others, not among them, minimised over."""
    function = ProfileLikelihood(likelihood, (*names, *over))
    return ProfiledChi2(function.axes[: len(names)], function)
