"""Several detectors together: with one signal normalisation for all, or each with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference import search
from cevnslab.inference.chi2 import Axis, Chi2, PointFunction, Segment, Statistic
from cevnslab.inference.least_squares import LeastSquares
from cevnslab.inference.poisson import Poisson

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IndependentSum:
    """Detectors whose nuisances are all their own: their chi^2 add."""

    members: tuple[Statistic, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings, the same for every member."""
        return self.members[0].axes

    def along(self, names: tuple[str, ...]) -> SummedChi2:
        """chi^2 as a function of one or two couplings, all others zero."""
        return SummedChi2(tuple(member.along(names) for member in self.members))

    def at_points(self, names: tuple[str, ...]) -> SummedPoints:
        """chi^2 as a function of any number of couplings, point by point."""
        return SummedPoints(tuple(member.at_points(names) for member in self.members))


@dataclass(frozen=True, eq=False)
class SummedPoints:
    """The sum of functions of the same couplings."""

    members: tuple[PointFunction, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""
        return self.members[0].axes

    def values_at(self, points: FloatArray) -> FloatArray:
        """chi^2 at points, shape (points, couplings)."""
        return np.asarray(sum(member.values_at(points) for member in self.members))

    def gradient_at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 and its derivatives at points."""
        parts = [member.gradient_at(points) for member in self.members]
        return np.asarray(sum(value for value, _ in parts)), np.asarray(sum(slope for _, slope in parts))


@dataclass(frozen=True, eq=False)
class SummedChi2:
    """The sum of chi^2 functions of the same couplings."""

    members: tuple[Chi2, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""
        return self.members[0].axes

    @property
    def closed_form(self) -> bool:
        """Whether every member is."""
        return all(member.closed_form for member in self.members)

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling."""
        return np.asarray(sum(member(value) for member in self.members))

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on a grid."""
        surface = np.zeros((len(y), len(x)))
        for member in self.members:
            surface += member.on_grid(x, y)
        return surface

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives at points."""
        parts = [member.value_and_gradient(x, y) for member in self.members]
        value, slope_x, slope_y = (np.asarray(sum(column)) for column in zip(*parts, strict=True))
        return value, slope_x, slope_y

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


def combine(statistics: Sequence[Statistic], signal: Literal["correlated", "independent"]) -> Statistic:
    """Detectors as one statistic.

    Parameters
    ----------
    signal : ``"correlated"``: one nuisance for the signal normalisation of all (the flux); ``"independent"``: one each.

    Raises `StatisticsError` for a correlated combination of different statistics or signal uncertainties.

    """
    if signal == "independent":
        return IndependentSum(tuple(statistics))
    if all(isinstance(statistic, LeastSquares) for statistic in statistics):
        return reduce(lambda first, second: first + second, [s for s in statistics if isinstance(s, LeastSquares)])
    if all(isinstance(statistic, Poisson) for statistic in statistics):
        return reduce(lambda first, second: first + second, [s for s in statistics if isinstance(s, Poisson)])
    raise StatisticsError("detectors with a common signal normalisation need one statistic for all")
