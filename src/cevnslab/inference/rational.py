"""A chi^2 that is a ratio of two polynomials in one or two couplings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.polynomial import polynomial as poly
from numpy.typing import ArrayLike, NDArray

from cevnslab.quadratic import Variable as Axis

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]

ROWS_AT_ONCE = 32
"""Rows of a scan that stay in the cache together."""


def horner(coefficients: FloatArray, x: FloatArray) -> FloatArray:
    """A polynomial at points; for a few points `numpy.polynomial` spends most of its time on checks."""
    value = 0.0 * x
    for coefficient in coefficients[::-1]:
        value = value * x + coefficient
    return value


def _derivative(coefficients: FloatArray, axis: int = 0) -> FloatArray:
    return np.asarray(poly.polyder(coefficients, axis=axis), dtype=np.float64)


def real_roots(coefficients: FloatArray) -> FloatArray:
    """Real parts of the nearly real roots of a polynomial, rising; the caller decides which are crossings.

    An even polynomial is solved in the square of its variable, so that its roots are exactly symmetric.
    """
    present = np.flatnonzero(coefficients)
    if not len(present) or present[-1] == 0:
        return np.empty(0)
    first = int(present[0])
    core = coefficients[first : present[-1] + 1]
    if len(core) > 2 and len(core) % 2 == 1 and not core[1::2].any():
        squares = real_roots(core[::2])
        positive = np.sqrt(squares[squares > 0])
        roots = np.concatenate([-positive, positive])
    elif len(core) > 1:
        # Measure the variable so that the first and last coefficient are alike: a balanced companion matrix.
        unit = float(abs(core[0] / core[-1]) ** (1 / (len(core) - 1)))
        balanced = core * unit ** np.arange(len(core))
        companion = np.diag(np.ones(len(core) - 2), -1)
        companion[:, -1] -= balanced[:-1] / balanced[-1]
        complex_roots = np.linalg.eigvals(companion) * unit
        roots = complex_roots.real[np.abs(complex_roots.imag) <= 1e-6 * np.abs(complex_roots)]
    else:
        roots = np.empty(0)
    return np.sort(np.append(roots, 0.0) if first else roots)


def negative_segments(coefficients: FloatArray) -> list[Segment]:
    """Where a polynomial is below zero: all pieces, with infinite ends where it stays below.

    >>> [(round(float(a), 12), round(float(b), 12)) for a, b in negative_segments(np.array([-4.0, 0.0, 1.0]))]
    [(-2.0, 2.0)]
    >>> negative_segments(np.array([-1.0]))
    [(-inf, inf)]
    """
    roots = real_roots(coefficients)
    if not len(roots):
        return [(-np.inf, np.inf)] if coefficients[0] < 0 else []
    # The companion matrix leaves some 1e-13; one Newton step takes it, except at a double root.
    slope = horner(coefficients[1:] * np.arange(1, len(coefficients)), roots)
    step = horner(coefficients, roots) / np.where(slope == 0, np.inf, slope)
    roots = np.where(np.abs(step) < 1e-3 * np.abs(roots), roots - step, roots)
    roots.sort()
    span = max(float(np.max(np.abs(roots))), np.finfo(float).tiny)
    borders = np.concatenate([[-np.inf], roots, [np.inf]])
    inside = np.concatenate([[roots[0] - span], (roots[1:] + roots[:-1]) / 2, [roots[-1] + span]])
    below = horner(coefficients, inside) < 0
    segments: list[Segment] = []
    for low, high, negative in zip(borders[:-1], borders[1:], below, strict=True):
        if not negative:
            continue
        if segments and segments[-1][1] == low:  # a root that only touches zero
            segments[-1] = (segments[-1][0], float(high))
        else:
            segments.append((float(low), float(high)))
    return segments


@dataclass(frozen=True, eq=False)
class RationalChi2:
    """numerator/denominator, the denominator positive, in couplings measured in units of their scales.

    The coefficient arrays hold x^i in entry [i], or x^i y^j in entry [i, j].
    """

    closed_form: ClassVar[bool] = True

    axes: tuple[Axis, ...]
    numerator: FloatArray
    denominator: FloatArray

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 at values of a single coupling in its plain unit, any shape."""
        x = self.axes[0].scaled(value)
        return np.asarray(horner(self.numerator, x) / horner(self.denominator, x))

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes (plain units): shape (len(y), len(x)).

        Two products of low rank and one division, whatever the number of bins.
        """
        powers_x = np.ascontiguousarray(np.vander(self.axes[0].scaled(x), 5, increasing=True).T)
        powers_y = np.vander(self.axes[1].scaled(y), 5, increasing=True)
        above, below = powers_y @ self.numerator.T, powers_y @ self.denominator.T
        surface, scratch = np.empty((len(y), len(x))), np.empty((ROWS_AT_ONCE, len(x)))
        for start in range(0, len(y), ROWS_AT_ONCE):
            rows = surface[start : start + ROWS_AT_ONCE]
            np.matmul(above[start : start + ROWS_AT_ONCE], powers_x, out=rows)
            rows /= np.matmul(below[start : start + ROWS_AT_ONCE], powers_x, out=scratch[: len(rows)])
        return surface

    def at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 at points, shape (points, couplings), and its derivatives per plain unit."""
        count = len(points)
        sides = np.ones((count, 1))
        for axis, column in zip(self.axes[::-1], points.T[::-1], strict=True):
            powers = np.vander(axis.scaled(column), 5, increasing=True)
            sides = (sides[:, None, :] * powers[:, :, None]).reshape(count, -1)
        # Numerator, denominator, and their derivatives by each coupling, in one product.
        values = sides @ self._polynomials
        above, below = values[:, 0], values[:, 1]
        value = above / below
        slopes = np.empty(points.shape)
        for column, axis in enumerate(self.axes):
            first, second = values[:, 2 + 2 * column], values[:, 3 + 2 * column]
            slopes[:, column] = (first - value * second) / below * axis.slope(points[:, column])
        return value, slopes

    @cached_property
    def _polynomials(self) -> FloatArray:
        """Coefficients of numerator, denominator and their derivatives in strengths: a column each."""
        columns = []
        for side in (self.numerator, self.denominator):
            full = np.zeros((5,) * len(self.axes))
            full[tuple(slice(size) for size in side.shape)] = side
            columns.append(full)
        for axis in range(len(self.axes)):
            for side in columns[:2]:
                derived = np.zeros_like(side)
                target, rows = np.moveaxis(derived, axis, 0), np.moveaxis(side, axis, 0)
                target[:-1] = (rows[1:].T * np.arange(1, 5)).T
                columns.append(derived)
        return np.stack([column.ravel() for column in columns], axis=1)

    def crossings(self, column: int, other: float, level: float) -> FloatArray:
        """Where chi^2 of two couplings crosses a level as one of them varies and the other is held, in plain units."""
        axis, held = self.axes[column], self.axes[1 - column]
        powers = np.vander(np.atleast_1d(held.scaled(other)), 5, increasing=True)[0]
        difference = np.zeros((5, 5))
        for side, factor in ((self.numerator, 1.0), (self.denominator, -level)):
            difference[: side.shape[0], : side.shape[1]] += factor * side
        roots = real_roots((difference if column == 0 else difference.T) @ powers)
        return np.asarray(axis.plain(roots[roots > axis.lowest] if axis.one_sided else roots))

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals in which chi^2 < level: between roots of numerator - level * denominator."""
        axis = self.axes[0]
        pieces = negative_segments(self.numerator - level * self.denominator)
        if axis.one_sided:  # strengths that no value has
            pieces = [(max(low, axis.lowest), high) for low, high in pieces if high > axis.lowest]
        return [(float(axis.plain(low)), float(axis.plain(high))) for low, high in pieces]

    def minima(self) -> list[tuple[float, float]]:
        """(value in plain unit, chi^2) of every local minimum of a single coupling, rising in value.

        They are among the roots of N' D - N D', all of which are found, so no start value can mislead.
        """
        slope = np.asarray(
            poly.polysub(
                poly.polymul(_derivative(self.numerator), self.denominator),
                poly.polymul(self.numerator, _derivative(self.denominator)),
            ),
            dtype=np.float64,
        )
        axis = self.axes[0]
        if not np.any(slope):  # nothing depends on the coupling
            return [(axis.standard_model, float(self(axis.standard_model)))]
        degrees = [len(np.trim_zeros(side, "b")) - 1 for side in (self.numerator, self.denominator)]
        if degrees[0] == degrees[1]:
            slope = slope[: sum(degrees) - 1]  # the leading terms cancel; rounding would leave a far root
        points = np.unique(real_roots(slope))
        if axis.one_sided:
            points = np.unique(np.append(points[points > axis.lowest], axis.lowest))
        if not len(points):
            return [(axis.standard_model, float(self(axis.standard_model)))]
        borders = np.concatenate([[points[0] - 1], (points[1:] + points[:-1]) / 2, [points[-1] + 1]])
        rising = poly.polyval(borders, slope) >= 0
        if axis.one_sided:  # the wall itself turns any slope
            rising[0] = False
        values = axis.plain(points)
        return [
            (float(value), float(self(value)))
            for value, before, after in zip(values, rising[:-1], rising[1:], strict=True)
            if after and not before
        ]
