"""Least squares with normalisations alone: everything in closed form, recognised by structure.

Eq. (15) of arXiv:2409.10652, with signal n(theta), backgrounds B, data N, variances V:

    chi^2 = min over a, b of sum_i [n_i (1 + a) + sum_j B_ji (1 + b_j) - N_i]^2/V_i + (a/s)^2 + sum_j (b_j/s_j)^2

The backgrounds are profiled into the metric, W' = W - W B (B^T W B + 1/s_j^2)^-1 B^T W, W = diag(1/V). Then, with
y = N - B, the residual e(theta) = n(theta) - y, <.,.> the product in W' and r = s^2/(1 + s^2 <y,y>),

    chi^2(theta) = [<e,e> - r <y,e>^2]/[1 + r (2 <y,e> + <e,e>)],

which is the design's chi^2 rewritten so that nothing cancels: on Asimov data e is the change of the signal and chi^2
vanishes with it to machine precision; and no width, however tiny or large, overflows. Everything follows from the Gram
matrix of y and the coefficient vectors of e: a few numbers, whatever the number of bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.sufficient import Normalisations, normalisations
from cevnslab.quadratic import Polynomial, Variable

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ratio:
    """chi^2 as numerator/denominator, the denominator positive, in strengths of one or two couplings.

    The coefficient arrays hold x^i in entry [i], or x^i y^j in entry [i, j].
    """

    variables: tuple[Variable, ...]
    numerator: FloatArray
    denominator: FloatArray


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The Gram matrix of y (row 0) and of the coefficient vectors of e, one per monomial."""

    polynomial: Polynomial
    gram: FloatArray
    signal_width: float

    @property
    def _r(self) -> float:
        square = self.signal_width**2
        return float(square / (1 + square * self.gram[0, 0]))

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 at points (points, couplings) and its derivative by every coupling."""
        monomials = self.polynomial.values(points)
        towards, along = monomials @ self.gram[1:, 1:], monomials @ self.gram[0, 1:]
        residual = np.sum(monomials * towards, axis=1)
        above, below = residual - self._r * along**2, 1 + self._r * (2 * along + residual)
        chi2 = above / below
        along_slope = self.gram[0, 1:]
        above_slope = 2 * towards - (2 * self._r * along)[:, None] * along_slope
        below_slope = 2 * self._r * (along_slope + towards)
        by_monomial = (above_slope - chi2[:, None] * below_slope) / below[:, None]
        slopes = np.empty(points.shape)
        for index in range(points.shape[1]):
            slopes[:, index] = np.sum(by_monomial * self.polynomial.values(points, (index,)), axis=1)
        return chi2, slopes

    def restricted(self, names: Sequence[str]) -> ClosedForm:
        """The same with all couplings but the named ones as in the Standard Model."""
        polynomial, rows = self.polynomial.restricted(names)
        entries = np.array([0, *(row + 1 for row in rows)])
        return ClosedForm(polynomial, self.gram[np.ix_(entries, entries)], self.signal_width)

    def ratio(self) -> Ratio | None:
        """As a ratio of polynomials, where one or two couplings enter as powers of strengths."""
        variables, orders = self.polynomial.variables, self.polynomial.orders
        if not 1 <= len(variables) <= 2 or any(variable.expansion is not None for variable in variables):
            return None
        shape = (5,) * len(variables)
        digits = 5 ** np.arange(len(variables))[::-1]
        entries = orders @ digits
        residual = _collected(entries[:, None] + entries, self.gram[1:, 1:], shape)
        along = _collected(entries, self.gram[0, 1:], shape)
        one = np.zeros(shape)
        one[(0,) * len(shape)] = 1.0
        numerator = residual - self._r * _squared(along)
        return Ratio(variables, numerator, one + self._r * (2 * along + residual))


def _collected(entries: NDArray[np.int64], values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Add up the coefficients of equal powers."""
    size = int(np.prod(shape))
    return np.asarray(np.bincount(entries.ravel(), values.ravel(), size), dtype=float).reshape(shape)


def _squared(polynomial: FloatArray) -> FloatArray:
    """The square of a polynomial of total degree two, kept to degree four in each variable."""
    if polynomial.ndim == 1:
        return np.convolve(polynomial[:3], polynomial[:3])
    square = np.zeros_like(polynomial)
    for index in np.argwhere(polynomial):
        shift = tuple(slice(start, start + 3) for start in index)
        square[shift] += polynomial[tuple(index)] * polynomial[(slice(3),) * polynomial.ndim]
    return square


def closed_form(likelihood: Likelihood) -> ClosedForm | None:
    """The closed form of a likelihood, or None where its structure has none (`normalisations` says what it needs)."""
    part = normalisations(likelihood)
    return None if part is None else _gram(part)


def _gram(part: Normalisations) -> ClosedForm:
    variances = [counts.variance for counts in part.likelihood.observation.counts]
    weight = 1 / np.concatenate([variance[0][0] for variance in variances if variance is not None])
    observed = np.concatenate([dataset.observed for dataset in part.likelihood.datasets])
    gram = profiled_gram(part.counts, observed - part.constant, part.backgrounds, weight)
    return ClosedForm(part.polynomial, gram, part.width)


def profiled_gram(counts: FloatArray, data: FloatArray, backgrounds: FloatArray, weight: FloatArray) -> FloatArray:
    """The Gram matrix of y (row 0) and of the coefficient vectors of e, in the metric without the backgrounds.

    Parameters
    ----------
    counts
        Signal per monomial, shape (monomials, bins), the Standard Model first.
    data
        Observed counts less those that nothing moves, y, shape (bins,).
    backgrounds
        What a standard deviation of each background adds, shape (backgrounds, bins).
    weight
        Inverse variances, shape (bins,).

    """
    vectors = np.vstack([data, counts])
    vectors[1] -= data
    gram = (vectors * weight) @ vectors.T
    if len(backgrounds):
        cross = (vectors * weight) @ backgrounds.T
        products = (backgrounds * weight) @ backgrounds.T
        gram -= cross @ np.linalg.solve(products + np.eye(len(products)), cross.T)
    return np.asarray(gram)
