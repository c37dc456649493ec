"""A chi^2 that is minimised over its nuisances point by point, and searched for minima and crossings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.inference import search
from cevnslab.inference.chi2 import Axis, Segment

FloatArray = NDArray[np.float64]

LARGEST_BATCH = 500_000
"""Numbers (points times numbers per point) that are minimised over at once: what stays in a processor's cache."""


class Likelihood(Protocol):
    """A likelihood as a function of the monomials of the couplings (products of powers of their strengths)."""

    @property
    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""

    def minimum(self, monomials: FloatArray) -> FloatArray:
        """chi^2 with the nuisances minimised over, shape (points,)."""

    def minimum_and_slope(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The same, and its derivative with respect to every monomial: shape (points, monomials)."""


@dataclass(frozen=True, eq=False)
class PointwiseChi2:
    """chi^2 of couplings; `exponents` are their orders in each monomial, shape (monomials, couplings)."""

    closed_form: ClassVar[bool] = False

    axes: tuple[Axis, ...]
    exponents: NDArray[np.int64]
    likelihood: Likelihood

    def _monomials(self, couplings: Sequence[FloatArray], derived: int | None = None) -> FloatArray:
        """The monomials at points, or their derivatives with respect to one coupling: shape (points, monomials)."""
        made = np.ones((len(couplings[0]), len(self.exponents)))
        for column, (axis, value) in enumerate(zip(self.axes, couplings, strict=True)):
            made *= axis.functions(value, self.exponents[:, column])[int(column == derived)]
        return made

    def _in_batches(self, couplings: Sequence[FloatArray]) -> FloatArray:
        step = max(1, LARGEST_BATCH // self.likelihood.numbers_per_point)
        starts = range(0, len(couplings[0]), step)
        pieces = [self.likelihood.minimum(self._monomials([c[i : i + step] for c in couplings])) for i in starts]
        return np.concatenate(pieces) if pieces else np.empty(0)

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values in its plain unit, any shape."""
        values = np.asarray(value, dtype=float)
        return self._in_batches([values.ravel()]).reshape(values.shape)

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""
        grid = np.meshgrid(x, y)
        return self._in_batches([each.ravel() for each in grid]).reshape(len(y), len(x))

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives: at the nuisances' minimum only the explicit dependence counts."""
        chi2, slopes = self.gradient_at(np.stack([x, y], axis=1))
        return chi2, slopes[:, 0], slopes[:, 1]

    def values_at(self, points: FloatArray) -> FloatArray:
        """chi^2 at points of any number of couplings, shape (points, couplings)."""
        return self._in_batches(list(points.T))

    def gradient_at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 and its derivatives at points, shape (points, couplings)."""
        chi2, slope = self.likelihood.minimum_and_slope(self._monomials(list(points.T)))
        slopes = [np.sum(slope * self._monomials(list(points.T), column), axis=1) for column in range(len(self.axes))]
        return chi2, np.stack(slopes, axis=1)

    def minima(self) -> list[tuple[float, float]]:
        """Every local minimum of a single coupling that the search grid shows."""
        return list(self._minima)

    @cached_property
    def _minima(self) -> list[tuple[float, float]]:
        return search.minima(self, self.axes[0])

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals of a single coupling in which chi^2 < level."""
        return search.pieces_below(self, level, self.axes[0], self._minima)

    def at_hidden_bound(self, value: float) -> bool:
        """Nothing is minimised over but nuisances."""
        return False


def along(
    axes: Sequence[Axis], monomials: Sequence[tuple[int, ...]], names: Sequence[str]
) -> tuple[tuple[Axis, ...], list[int], NDArray[np.int64]]:
    """What is left when all couplings but the named ones are zero: their axes, the rows kept, the exponents."""
    known = [axis.name for axis in axes]
    chosen = [known.index(name) for name in names]
    kept = [row for row, monomial in enumerate(monomials) if set(monomial) <= set(chosen)]
    exponents = np.array([[monomials[row].count(index) for index in chosen] for row in kept])
    return tuple(axes[index] for index in chosen), kept, exponents
