"""A quantity that counts do not depend on as a polynomial of low degree: expanded in Chebyshev polynomials.

Counts as a function of a neutron radius R, say, are smooth. Between `low` and `high`, with x running from -1 to 1,

    counts(R) = counts(R_SM) + sum over k from 1 of c_k phi_k(R),   phi_k(R) = T_k(x) - T_k(x_SM),

converges to rounding with some twenty terms. The phi_k vanish in the Standard Model, and take the part that powers of
the strength take for any other coupling.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import ArrayLike, NDArray

from cevnslab.detection.folding import Monomial
from cevnslab.errors import PhysicsError
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.nuclei import Target

FloatArray = NDArray[np.float64]

ORDER = 22
"""Highest k: with it, all presets' counts agree with a direct computation to 1e-12 of the total."""


@dataclass(frozen=True)
class Expansion:
    """The functions phi_k of one quantity."""

    low: float
    high: float
    standard_model: float
    order: int = ORDER

    def _x(self, value: ArrayLike) -> FloatArray:
        return np.asarray((2 * np.asarray(value, dtype=float) - self.low - self.high) / (self.high - self.low))

    def check(self, value: float, coupling: Coupling) -> None:
        """Raise `PhysicsError` for a value outside the range that the target allows."""
        if not self.low <= value <= self.high:
            raise PhysicsError(
                f"{coupling.name} = {value:g} {coupling.unit} is outside what this target allows, "
                f"[{self.low:.4g}, {self.high:.4g}]"
            )

    @property
    def nodes(self) -> FloatArray:
        """The values at which counts are computed, shape (order + 1,)."""
        x = np.asarray(chebyshev.chebpts1(self.order + 1), dtype=np.float64)
        return (self.low + self.high + (self.high - self.low) * x) / 2

    def coefficients(self, at_nodes: FloatArray) -> FloatArray:
        """From counts at the nodes, shape (order + 1, ...): counts in the Standard Model first, then c_1 to c_order."""
        vander = chebyshev.chebvander(chebyshev.chebpts1(self.order + 1), self.order)
        norm = np.full(self.order + 1, 2.0 / (self.order + 1))
        norm[0] /= 2
        coefficients = norm[:, None] * (vander.T @ at_nodes.reshape(self.order + 1, -1))
        coefficients[0] = self._at_standard_model @ coefficients
        return np.asarray(coefficients.reshape(at_nodes.shape))

    def functions(self, value: ArrayLike) -> FloatArray:
        """1, then phi_1 to phi_order: shape (order + 1, *shape of the values)."""
        x = self._x(value)
        functions = np.ones((self.order + 1, x.size))
        functions[1:] = (chebyshev.chebvander(x.ravel(), self.order) - self._at_standard_model).T[1:]
        return np.asarray(functions.reshape(self.order + 1, *x.shape), dtype=np.float64)

    @cached_property
    def _at_standard_model(self) -> FloatArray:
        x = self._x(self.standard_model).reshape(1)
        functions: FloatArray = np.asarray(chebyshev.chebvander(x, self.order)[0], dtype=np.float64)
        return functions

    def slopes(self, value: ArrayLike) -> FloatArray:
        """Derivatives of the functions with respect to the value."""
        x = self._x(value)
        slopes = chebyshev.chebvander(x.ravel(), self.order) @ self._derivative * (2 / (self.high - self.low))
        return np.asarray(slopes.T.reshape(self.order + 1, *x.shape), dtype=np.float64)

    def curvatures(self, value: ArrayLike) -> FloatArray:
        """Their second derivatives."""
        x = self._x(value)
        twice = self._derivative @ self._derivative * (2 / (self.high - self.low)) ** 2
        curvatures = chebyshev.chebvander(x.ravel(), self.order) @ twice
        return np.asarray(curvatures.T.reshape(self.order + 1, *x.shape), dtype=np.float64)

    @cached_property
    def _derivative(self) -> FloatArray:
        """Column k: the derivative of T_k in terms of the T_j."""
        matrix = np.zeros((self.order + 1, self.order + 1))
        for k in range(1, self.order + 1):
            matrix[:k, k] = chebyshev.chebder(np.eye(self.order + 1)[k])[:k]
        return matrix


def expansions_of(couplings: Sequence[Coupling], target: Target) -> dict[int, Expansion]:
    """The expansions of couplings that are not linear in an amplitude, by index; `PhysicsError` for two of them."""
    expanded = {number: coupling for number, coupling in enumerate(couplings) if coupling.range_of is not None}
    if len(expanded) > 1:
        names = " and ".join(coupling.name for coupling in expanded.values())
        raise PhysicsError(f"{names} are not linear in the amplitudes: one of them at a time")
    expansions = {}
    for number, coupling in expanded.items():
        assert coupling.range_of is not None
        low, standard_model, high = coupling.range_of(target)
        expansions[number] = Expansion(max(low, coupling.bounds[0]), min(high, coupling.bounds[1]), standard_model)
    return expansions


def with_expansion(
    terms_of: Callable[[Target], Mapping[Monomial, FloatArray]], target: Target, couplings: Sequence[Coupling]
) -> dict[Monomial, FloatArray]:
    """Counts of every monomial, where the order of an expanded coupling stands for its function of that order.

    `terms_of` gives the counts of the monomials of all other couplings for a target.
    """
    expansions = expansions_of(couplings, target)
    if not expansions:
        return dict(terms_of(target))
    ((number, expansion),) = expansions.items()
    rebuild = couplings[number].rebuild
    assert rebuild is not None
    at_nodes = [terms_of(rebuild(target, float(value))) for value in expansion.nodes]
    counts_of: dict[Monomial, FloatArray] = {}
    for monomial in at_nodes[0]:
        coefficients = expansion.coefficients(np.array([terms[monomial] for terms in at_nodes]))
        for order, counts in enumerate(coefficients):
            counts_of[tuple(sorted((*monomial, *(number,) * order)))] = counts
    return counts_of
