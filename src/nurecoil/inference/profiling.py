"""Couplings that are minimised over, as nuisances are: chi^2 of the others with them at their best.

The function may have several minima in the couplings that are minimised over (a mirror solution, a degeneracy), so it
is searched from the Standard Model and from both sides of it at several distances; every search is a damped Newton
descent with the exact gradient, inside the couplings' bounds, all points at once, and the lowest value counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nurecoil.inference import search
from nurecoil.inference.chi2 import Axis, PointFunction, Segment, Statistic

FloatArray = NDArray[np.float64]

DISTANCES = (0.3, 30.0, 3000.0)
"""Where searches start, in natural scales from the Standard Model, on both sides of every coupling."""
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
        starts = self._starts
        everywhere = np.repeat(shown, len(starts), axis=0)
        hidden = np.tile(starts, (len(shown), 1))
        chi2, hidden = self._descend(everywhere, hidden)
        chi2 = chi2.reshape(len(shown), len(starts))
        best = np.argmin(chi2, axis=1)
        rows = np.arange(len(shown))
        return chi2[rows, best], hidden.reshape(len(shown), len(starts), -1)[rows, best]

    @cached_property
    def _starts(self) -> FloatArray:
        """The Standard Model, and each hidden coupling (all together too) away from it at every distance."""
        centre = np.array([axis.standard_model for axis in self._hidden])
        low, high = np.array([axis.bounds for axis in self._hidden]).T
        scale = np.array([axis.scale for axis in self._hidden])
        units = [*np.eye(len(centre)), *([np.ones(len(centre))] if len(centre) > 1 else [])]
        moved = [centre + sign * d * unit * scale for d, sign, unit in itertools.product(DISTANCES, (1, -1), units)]
        return np.unique(np.clip(np.array([centre, *moved]), low, high), axis=0)

    def _descend(self, shown: FloatArray, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        low, high = np.array([axis.bounds for axis in self._hidden]).T
        scale = np.array([axis.scale for axis in self._hidden])
        hidden = start.copy()
        chi2, slope = self._slope(shown, hidden)
        damping = np.full(len(hidden), 1e-3)
        active = np.arange(len(hidden))
        for _ in range(MOST_STEPS):
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


def profiled(statistic: Statistic, names: Sequence[str], over: Sequence[str]) -> ProfiledChi2:
    """chi^2 of one or two couplings with others, not among them, minimised over."""
    function = statistic.at_points((*names, *over))
    return ProfiledChi2(function.axes[: len(names)], function)
