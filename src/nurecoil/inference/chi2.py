"""What every chi^2 offers to intervals, contours and coverage, whatever statistic it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One coupling as inference sees it: its name, a value of natural size, and where it may lie."""

    name: str
    scale: float
    bounds: tuple[float, float]

    def search_points(self, per_side: int, smallest_decade: int = -4) -> FloatArray:
        """Points on every decade from `smallest_decade` of the scale to the bounds, both signs, and zero."""
        points = [np.zeros(1)]
        for end in self.bounds:
            if end != 0:
                side = self.scale * np.geomspace(10.0**smallest_decade, abs(end) / self.scale, per_side)
                points.append(np.sign(end) * side)
        return np.unique(np.concatenate(points))


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


class Statistic(Protocol):
    """A statistic of one detector or several, from which the chi^2 of chosen couplings is taken."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All couplings that it knows."""

    def along(self, names: tuple[str, ...]) -> Chi2:
        """chi^2 as a function of one or two couplings, all others zero."""
