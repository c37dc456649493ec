"""What every chi^2 offers to intervals, contours and coverage, whatever statistic it comes from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.quadratic import Variable as Axis

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]


class Chi2(Protocol):
    """chi^2 of one or two couplings, nuisances profiled. All values are in the couplings' plain units."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""

    @property
    def closed_form(self) -> bool:
        """Whether a point costs a few operations, or a minimisation."""

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values of any shape."""

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its two derivatives at points (x, y)."""

    def minima(self) -> list[tuple[float, float]]:
        """(value, chi^2) of every local minimum of a single coupling, rising in value."""

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals of a single coupling in which chi^2 < level; infinite where it has no end."""

    def at_hidden_bound(self, value: float) -> bool:
        """Whether at a value of a single coupling one that is minimised over rests on its bound."""


class PointFunction(Protocol):
    """chi^2 of any number of couplings, at points."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""

    def values_at(self, points: FloatArray) -> FloatArray:
        """chi^2 at points, shape (points, couplings)."""

    def gradient_at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, shape (points,), and its derivatives, shape (points, couplings)."""


__all__ = ["Axis", "Chi2", "PointFunction", "Segment"]
