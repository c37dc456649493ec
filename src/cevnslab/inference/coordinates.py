"""Coordinates in which fits of pseudo-experiments search: the strength of a coupling, or its square.

Counts are polynomials of low degree in the strength. Where only even powers of it enter, as for transition charges,
values of either sign are the same fit: then the square is the coordinate, and zero its wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.quadratic import Polynomial, Variable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Coordinate:
    """One coupling as a search sees it."""

    variable: Variable
    squared: bool
    """Whether it is the square of the strength."""

    def of(self, value: ArrayLike) -> FloatArray:
        """The coordinate of plain values."""
        if self.variable.expansion is not None:
            return np.asarray(value, dtype=float)
        strength = self.variable.scaled(value)
        return strength**2 if self.squared else strength

    def value(self, coordinate: ArrayLike) -> FloatArray:
        """The plain value, the positive one of two."""
        if self.variable.expansion is not None:
            return np.asarray(coordinate, dtype=float)
        coordinate = np.asarray(coordinate, dtype=float)
        return self.variable.plain(np.sqrt(np.maximum(coordinate, 0.0)) if self.squared else coordinate)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the coordinate."""
        low, high = (float(self.of(end)) for end in self.variable.bounds)
        return (0.0, max(low, high)) if self.squared else (low, high)

    def search_points(self, per_side: int) -> FloatArray:
        """Coordinates on every decade of distance from the Standard Model, rising."""
        values = self.variable.search_points(per_side)
        return np.unique(self.of(values[values >= 0] if self.squared else values))

    def powers(self, coordinate: FloatArray, orders: IntArray, derivative: int) -> FloatArray:
        """What multiplies counts of every order, or its first or second derivative: shape (points, orders)."""
        if self.variable.expansion is not None:
            return self.variable.functions(coordinate, orders, derivative)
        power = orders // 2 if self.squared else orders
        factor = np.ones(len(power))
        for lowered in range(derivative):
            factor = factor * (power - lowered)
        return np.asarray(factor * coordinate[:, None] ** np.maximum(power - derivative, 0))


@dataclass(frozen=True, eq=False)
class Coordinates:
    """All couplings of a polynomial."""

    polynomial: Polynomial

    @cached_property
    def each(self) -> tuple[Coordinate, ...]:
        """One for every coupling."""
        orders = self.polynomial.orders
        return tuple(
            Coordinate(variable, not variable.one_sided and not np.any(orders[:, column] % 2))
            for column, variable in enumerate(self.polynomial.variables)
        )

    def of(self, points: FloatArray) -> FloatArray:
        """Coordinates of plain values, shape (points, couplings)."""
        return np.stack([each.of(points[:, column]) for column, each in enumerate(self.each)], axis=1)

    def values(self, coordinates: FloatArray) -> FloatArray:
        """Plain values."""
        return np.stack([each.value(coordinates[:, column]) for column, each in enumerate(self.each)], axis=1)

    def monomials(self, coordinates: FloatArray, derived: tuple[int, ...] = ()) -> FloatArray:
        """The monomials, or a derivative of theirs by the coordinates `derived`: shape (points, monomials)."""
        orders = self.polynomial.orders
        product = np.ones((len(coordinates), len(orders)))
        for column, each in enumerate(self.each):
            product *= each.powers(coordinates[:, column], orders[:, column], derived.count(column))
        return product
