"""Coordinates in which fits of pseudo-experiments search: strengths of couplings, or their squares.

Counts are polynomials of low degree in the strength. Where only even powers of it enter, as for transition charges,
values of either sign are the same fit: then the square is the coordinate, and zero its wall. A likelihood in these
coordinates is one like any other, whose couplings are pure numbers of natural size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.samples import Sample
from cevnslab.quadratic import Polynomial, Variable

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Coordinate:
    """One coupling as a search sees it."""

    variable: Variable
    squared: bool = False
    """Whether it is the square of the strength."""
    plain: bool = False
    """Whether it is the value itself: of a coupling that is expanded, or has a prior."""

    def of(self, value: ArrayLike) -> FloatArray:
        """The coordinate of plain values."""
        if self.plain:
            return np.asarray(value, dtype=float)
        strength = self.variable.scaled(value)
        return strength**2 if self.squared else strength

    def value(self, coordinate: ArrayLike) -> FloatArray:
        """The plain value, the positive one of two."""
        coordinate = np.asarray(coordinate, dtype=float)
        if self.plain:
            return coordinate
        return self.variable.plain(np.sqrt(np.maximum(coordinate, 0.0)) if self.squared else coordinate)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the coordinate."""
        low, high = (float(self.of(end)) for end in self.variable.bounds)
        return (0.0, max(low, high)) if self.squared else (low, high)

    @property
    def standard_model(self) -> float:
        """Of nothing beyond the Standard Model."""
        return float(self.of(self.variable.standard_model))

    def search_points(self, per_side: int) -> FloatArray:
        """Coordinates on every decade of distance from the Standard Model, rising."""
        values = self.variable.search_points(per_side)
        return np.unique(self.of(values[values >= 0] if self.squared else values))

    @property
    def as_variable(self) -> Variable:
        """How counts depend on it."""
        if self.plain:
            return self.variable
        return Variable(self.variable.name, 1.0, self.bounds)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Those of all couplings of a likelihood, in its order."""

    each: tuple[Coordinate, ...]

    @classmethod
    def of_likelihood(cls, likelihood: Likelihood) -> Coordinates:
        """The square where only even powers enter any data set."""
        orders = likelihood.polynomial.orders
        columns = []
        for column, variable in enumerate(likelihood.polynomial.variables):
            plain = variable.expansion is not None or variable.name in likelihood.priors
            even = not variable.one_sided and not np.any(orders[:, column] % 2)
            columns.append(Coordinate(variable, squared=even and not plain, plain=plain))
        return cls(tuple(columns))

    def of(self, points: FloatArray) -> FloatArray:
        """Coordinates of plain values, shape (points, couplings)."""
        return np.stack([each.of(points[:, column]) for column, each in enumerate(self.each)], axis=1)

    def values(self, points: FloatArray) -> FloatArray:
        """Plain values of coordinates."""
        return np.stack([each.value(points[:, column]) for column, each in enumerate(self.each)], axis=1)

    @property
    def bounds(self) -> FloatArray:
        """Shape (couplings, 2)."""
        return np.array([each.bounds for each in self.each]).reshape(len(self.each), 2)

    def likelihood(self, likelihood: Likelihood) -> Likelihood:
        """The same likelihood with these coordinates as its couplings."""
        by_name = {each.variable.name: each for each in self.each}
        datasets = []
        for dataset in likelihood.datasets:
            samples = [
                replace(sample, polynomial=_polynomial(sample, [by_name[n] for n in sample.polynomial.names]))
                for sample in dataset.samples
            ]
            datasets.append(replace(dataset, samples=tuple(samples)))
        return replace(likelihood, datasets=tuple(datasets))


def _polynomial(sample: Sample, coordinates: Sequence[Coordinate]) -> Polynomial:
    monomials = []
    for monomial in sample.polynomial.monomials:
        halved: list[int] = []
        for index in sorted(set(monomial)):
            order = monomial.count(index)
            halved += [index] * (order // 2 if coordinates[index].squared else order)
        monomials.append(tuple(halved))
    return Polynomial(tuple(each.as_variable for each in coordinates), tuple(monomials))
