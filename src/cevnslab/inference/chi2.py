"""What every chi^2 offers to intervals, contours and coverage, whatever statistic it comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.detection.expansion import Expansion

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """One coupling as inference sees it: its name, a value of natural size, where it may lie, how it enters counts.

    Counts are polynomials in the strength value^power - reference^power, or expanded in functions of the value.
    """

    name: str
    scale: float
    bounds: tuple[float, float]
    power: int = 1
    reference: float = 0.0
    expansion: Expansion | None = None

    @property
    def standard_model(self) -> float:
        """The value at which there is nothing beyond the Standard Model."""
        return self.reference if self.expansion is None else self.expansion.standard_model

    @property
    def one_sided(self) -> bool:
        """Whether the lower bound is one of nature, such as g >= 0 where g^2 enters or a radius, not one of sense."""
        return self.power % 2 == 0 or self.expansion is not None

    @property
    def lowest(self) -> float:
        """The lowest scaled strength of a one-sided coupling."""
        return float(self.scaled(0.0))

    @property
    def strength_scale(self) -> float:
        """A strength of natural size, in units of which closed forms are kept."""
        return 1.0 if self.expansion is not None else float(self.scale**self.power)

    def scaled(self, value: ArrayLike) -> FloatArray:
        """The strength of values, in units of its natural size."""
        return np.asarray(np.asarray(value, dtype=float) ** self.power - self.reference**self.power) / (
            self.strength_scale
        )

    def plain(self, scaled: ArrayLike) -> FloatArray:
        """The values of strengths in units of the natural size; strengths that no value has give the nearest."""
        raised = np.asarray(scaled, dtype=float) * self.strength_scale + self.reference**self.power
        if self.power == 1:
            return np.asarray(raised)
        root = np.abs(raised) ** (1 / self.power)
        return np.where(raised < 0, 0.0, root) if self.one_sided else np.sign(raised) * root

    def slope(self, value: FloatArray) -> FloatArray:
        """Derivative of the scaled strength with respect to the value."""
        return np.asarray(self.power * value ** (self.power - 1) / self.strength_scale)

    def functions(self, value: FloatArray, orders: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """What multiplies the counts of every order, and its derivative, in plain units: shape (points, orders)."""
        if self.expansion is not None:
            return self.expansion.functions(value)[orders].T, self.expansion.slopes(value)[orders].T
        strength, slope = self.scaled(value) * self.strength_scale, self.slope(value) * self.strength_scale
        lowered = orders * strength[:, None] ** np.maximum(orders - 1, 0)
        return strength[:, None] ** orders, lowered * slope[:, None]

    def search_points(self, per_side: int, smallest_decade: int = -4) -> FloatArray:
        """Values on every decade of distance from the Standard Model, from that of the scale's to the bounds."""
        centre = self.standard_model
        points = [np.array([centre])]
        for end in self.bounds:
            if end != centre:
                side = self.scale * np.geomspace(10.0**smallest_decade, abs(end - centre) / self.scale, per_side)
                side[-1] = abs(end - centre)
                points.append(np.clip(centre + np.sign(end - centre) * side, *self.bounds))
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


class Statistic(Protocol):
    """A statistic of one detector or several, from which the chi^2 of chosen couplings is taken."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """All couplings that it knows."""

    def along(self, names: tuple[str, ...]) -> Chi2:
        """chi^2 as a function of one or two couplings, all others as in the Standard Model."""

    def at_points(self, names: tuple[str, ...]) -> PointFunction:
        """chi^2 as a function of any number of couplings, all others as in the Standard Model."""
