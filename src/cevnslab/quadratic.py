"""The one polynomial: how counts depend on couplings.

Counts are sums of coefficients times products of strengths of couplings, in the Standard Model the first alone,

    counts_i(theta) = sum over monomials m of R_m,i * product over couplings a in m of s_a(theta_a),
    s_a = (theta_a^power - reference^power)/scale^power,

with s in units of the coupling's natural scale, so that all numbers are near one whatever the coupling's unit. A
quantity that enters in no such power (a radius) is expanded in functions that take the part of the powers. Values,
slopes and curvatures of the monomials are computed here and nowhere else; everything that multiplies them is an array.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
Monomial = tuple[int, ...]
"""A product of couplings by their indices, rising; () is the Standard Model, (0, 1) the product of two couplings."""


class Expansion(Protocol):
    """Functions in the place of the powers of a strength: the first is 1, the others vanish in the Standard Model."""

    @property
    def standard_model(self) -> float:
        """The value at which there is nothing beyond the Standard Model."""

    def functions(self, value: ArrayLike) -> FloatArray:
        """All functions, shape (orders, *shape of the values)."""

    def slopes(self, value: ArrayLike) -> FloatArray:
        """Their first derivatives."""

    def curvatures(self, value: ArrayLike) -> FloatArray:
        """Their second derivatives."""


@dataclass(frozen=True)
class Variable:
    """One coupling as counts depend on it: its name, a value of natural size, where it may lie, how it enters."""

    name: str
    scale: float
    bounds: tuple[float, float]
    power: int = 1
    reference: float = 0.0
    expansion: Expansion | None = None
    physical_boundary: bool = False
    """Whether the lower bound is one although no power or expansion says so, as of a factor on counts."""

    @property
    def standard_model(self) -> float:
        """The value at which there is nothing beyond the Standard Model."""
        return self.reference if self.expansion is None else self.expansion.standard_model

    @property
    def one_sided(self) -> bool:
        """Whether the lower bound is a physical boundary, such as g >= 0 where g^2 enters, and no prior range."""
        return self.power % 2 == 0 or self.expansion is not None or self.physical_boundary

    @property
    def lowest(self) -> float:
        """The lowest strength of a one-sided coupling, in units of the natural scale."""
        return float(self.scaled(0.0))

    @property
    def strength_scale(self) -> float:
        """A strength of natural size, the unit of all strengths."""
        return 1.0 if self.expansion is not None else float(self.scale**self.power)

    def scaled(self, value: ArrayLike) -> FloatArray:
        """The strength of values, in units of its natural size."""
        value = np.asarray(value, dtype=float)
        return np.asarray(value**self.power - self.reference**self.power) / self.strength_scale

    def plain(self, scaled: ArrayLike) -> FloatArray:
        """The values of strengths in units of the natural size; strengths that no value has give the nearest."""
        raised = np.asarray(scaled, dtype=float) * self.strength_scale + self.reference**self.power
        if self.power == 1:
            return np.asarray(raised)
        root = np.abs(raised) ** (1 / self.power)
        return np.where(raised < 0, 0.0, root) if self.one_sided else np.sign(raised) * root

    def slope(self, value: FloatArray) -> FloatArray:
        """Derivative of the strength, in units of its natural size, with respect to the value."""
        return np.asarray(self.power * value ** (self.power - 1) / self.strength_scale)

    def functions(self, value: FloatArray, orders: NDArray[np.int64], derivative: int = 0) -> FloatArray:
        """What multiplies counts of every order, or its first or second derivative by the value: (points, orders)."""
        if self.expansion is not None:
            basis = (self.expansion.functions, self.expansion.slopes, self.expansion.curvatures)[derivative]
            return np.asarray(basis(value)[orders].T)
        powers = _powers(self.scaled(value), int(orders.max(initial=0)))
        if derivative == 0:
            return np.take(powers, orders, axis=1)
        first = orders * np.take(powers, np.maximum(orders - 1, 0), axis=1)
        if derivative == 1:
            return np.asarray(first * self.slope(value)[:, None])
        second = orders * (orders - 1) * np.take(powers, np.maximum(orders - 2, 0), axis=1)
        bend = self.power * (self.power - 1) * value ** max(self.power - 2, 0) / self.strength_scale
        return np.asarray(second * self.slope(value)[:, None] ** 2 + first * bend[:, None])

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


def _powers(base: FloatArray, highest: int) -> FloatArray:
    """1, x, x^2, ... by products, several times faster than powers: shape (points, highest + 1)."""
    powers = np.empty((len(base), highest + 1))
    powers[:, 0] = 1.0
    for order in range(highest):
        np.multiply(powers[:, order], base, out=powers[:, order + 1])
    return powers


@dataclass(frozen=True, eq=False)
class Polynomial:
    """The monomials that multiply coefficients: `orders` holds the order of each coupling in each of them."""

    variables: tuple[Variable, ...]
    monomials: tuple[Monomial, ...]
    """The constant one, (), first."""

    @property
    def names(self) -> tuple[str, ...]:
        """The couplings."""
        return tuple(variable.name for variable in self.variables)

    @cached_property
    def orders(self) -> NDArray[np.int64]:
        """Shape (monomials, couplings)."""
        rows = [[monomial.count(index) for index in range(len(self.variables))] for monomial in self.monomials]
        return np.array(rows, dtype=np.int64).reshape(len(self.monomials), len(self.variables))

    @cached_property
    def units(self) -> FloatArray:
        """The product of natural scales in each monomial: coefficients per plain unit times it are those used here."""
        scales = np.array([variable.strength_scale for variable in self.variables])
        return np.array([np.prod(scales[list(monomial)]) for monomial in self.monomials])

    @cached_property
    def standard_model(self) -> FloatArray:
        """The couplings' values in the Standard Model, shape (couplings,)."""
        return np.array([variable.standard_model for variable in self.variables])

    def values(self, points: FloatArray, derived: Sequence[int] = ()) -> FloatArray:
        """The monomials at points (points, couplings), or a derivative by the couplings `derived`: (points, monomials).

        >>> charge = Variable("q", 1e-9, (-1.0, 1.0))
        >>> square = Polynomial((charge,), ((), (0,), (0, 0)))
        >>> square.values(np.array([[2e-9]]))
        array([[1., 2., 4.]])
        >>> square.values(np.array([[2e-9]]), (0,)) * 1e-9  # per natural scale
        array([[0., 1., 4.]])
        """
        product = np.ones((len(points), len(self.monomials)))
        orders = self.orders
        for column, variable in enumerate(self.variables):
            if orders[:, column].any() or column in derived:
                times = sum(1 for index in derived if index == column)
                product *= variable.functions(points[:, column], orders[:, column], times)
        return product

    def derivatives(self, points: FloatArray, indices: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        """First and second derivatives by some couplings: (couplings, points, monomials), with one axis more."""
        columns = [
            [variable.functions(points[:, column], self.orders[:, column], times) for times in range(3)]
            if column in indices
            else [variable.functions(points[:, column], self.orders[:, column])]
            for column, variable in enumerate(self.variables)
        ]

        def product(*derived: int) -> FloatArray:
            values = np.ones((len(points), len(self.monomials)))
            for column, functions in enumerate(columns):
                values *= functions[derived.count(column)]
            return values

        first = np.array([product(index) for index in indices])
        second = np.empty((len(indices), *first.shape))
        for i, one in enumerate(indices):
            for j, other in enumerate(indices[: i + 1]):
                second[i, j] = second[j, i] = product(one, other)
        return first, second

    def restricted(self, names: Sequence[str]) -> tuple[Polynomial, list[int]]:
        """The polynomial with all couplings but the named ones as in the Standard Model, and the rows that are left."""
        columns = [self.names.index(name) for name in names]
        rows = [row for row, monomial in enumerate(self.monomials) if set(monomial) <= set(columns)]
        monomials = tuple(tuple(sorted(columns.index(index) for index in self.monomials[row])) for row in rows)
        return Polynomial(tuple(self.variables[index] for index in columns), monomials), rows


def joined(polynomials: Sequence[Polynomial]) -> tuple[Polynomial, list[list[int]]]:
    """One polynomial of all couplings, those of a name being one, and the rows of each part's monomials in it.

    Raises `ValueError` with the coupling's name where two parts understand a coupling differently.
    """
    variables: dict[str, Variable] = {}
    for polynomial in polynomials:
        for variable in polynomial.variables:
            if variables.setdefault(variable.name, variable) != variable:
                raise ValueError(variable.name)
    index = {name: number for number, name in enumerate(variables)}
    renamed = [
        [tuple(sorted(index[part.names[i]] for i in monomial)) for monomial in part.monomials] for part in polynomials
    ]
    monomials = sorted({(), *(monomial for part in renamed for monomial in part)}, key=lambda m: (len(m), m))
    place = {monomial: row for row, monomial in enumerate(monomials)}
    rows = [[place[monomial] for monomial in part] for part in renamed]
    return Polynomial(tuple(variables.values()), tuple(monomials)), rows
