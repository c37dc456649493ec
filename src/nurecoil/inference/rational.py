"""A chi^2 that is a ratio of two polynomials in one or two couplings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial as poly
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


def horner(coefficients: FloatArray, x: FloatArray) -> FloatArray:
    """A polynomial at points; `numpy.polynomial` spends ten times as long on checks of a few points."""
    value = np.zeros_like(x)
    for coefficient in coefficients[::-1]:
        value = value * x + coefficient
    return value


def real_roots(coefficients: FloatArray) -> FloatArray:
    """Real parts of the nearly real roots of a polynomial, rising; the caller decides which are crossings.

    An even polynomial is solved in the square of its variable, so that its roots are exactly symmetric.
    """
    trimmed = np.trim_zeros(np.asarray(coefficients, dtype=float), "b")
    if len(trimmed) < 2:
        return np.empty(0)
    first = int(np.flatnonzero(trimmed)[0])
    core = trimmed[first:]
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


@dataclass(frozen=True, eq=False)
class RationalChi2:
    """numerator/denominator, the denominator positive, in couplings measured in units of `scales`.

    The coefficient arrays hold x^i in entry [i], or x^i y^j in entry [i, j].
    """

    names: tuple[str, ...]
    scales: FloatArray
    numerator: FloatArray
    denominator: FloatArray

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 at values of a single coupling in its plain unit, any shape."""
        x = np.asarray(value, dtype=float) / self.scales[0]
        return np.asarray(poly.polyval(x, self.numerator) / poly.polyval(x, self.denominator))

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes (plain units): shape (len(y), len(x)).

        Two products of low rank and one division, whatever the number of bins.
        """
        powers_x = np.vander(x / self.scales[0], 5, increasing=True)
        powers_y = np.vander(y / self.scales[1], 5, increasing=True)
        numerator = (powers_y @ self.numerator.T) @ powers_x.T
        numerator /= (powers_y @ self.denominator.T) @ powers_x.T
        return numerator

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives (per plain unit) at points (x, y)."""
        u, v = x / self.scales[0], y / self.scales[1]

        def at(coefficients: FloatArray) -> FloatArray:
            return np.asarray(poly.polyval2d(u, v, coefficients))

        below, value = at(self.denominator), at(self.numerator) / at(self.denominator)
        slopes = [
            (at(poly.polyder(self.numerator, axis=axis)) - value * at(poly.polyder(self.denominator, axis=axis)))
            / below
            for axis in (0, 1)
        ]
        return value, slopes[0] / self.scales[0], slopes[1] / self.scales[1]

    def excess_polynomial(self, level: float) -> FloatArray:
        """Coefficients (in units of the scale) of the polynomial that is negative where chi^2 < level."""
        return self.numerator - level * self.denominator

    def minima(self) -> list[tuple[float, float]]:
        """(value in plain unit, chi^2) of every local minimum of a single coupling, rising in value.

        They are among the roots of N' D - N D', all of which are found, so no start value can mislead.
        """
        slope = poly.polysub(
            poly.polymul(poly.polyder(self.numerator), self.denominator),
            poly.polymul(self.numerator, poly.polyder(self.denominator)),
        )
        degrees = [len(np.trim_zeros(side, "b")) - 1 for side in (self.numerator, self.denominator)]
        if degrees[0] == degrees[1]:
            slope = slope[: sum(degrees) - 1]  # the leading terms cancel; rounding would leave a far root
        points = np.unique(real_roots(slope))
        if not len(points):
            return [(0.0, float(self(0.0)))]
        borders = np.concatenate([[points[0] - 1], (points[1:] + points[:-1]) / 2, [points[-1] + 1]])
        rising = poly.polyval(borders, slope) >= 0
        values = self(points * self.scales[0])
        return [
            (float(point * self.scales[0]), float(value))
            for point, value, before, after in zip(points, values, rising[:-1], rising[1:], strict=True)
            if after and not before
        ]

    def minimum(self) -> tuple[float, float]:
        """The lowest of `minima`; of equals (a transition charge's +q and -q) the first."""
        if self.numerator[0] == 0:  # Asimov data: chi^2 is never negative, so this is the lowest
            return 0.0, 0.0
        return min(self.minima(), key=lambda pair: pair[1])

    def minimum_nearest_zero(self) -> tuple[float, float]:
        """The one of `minima` at the smallest absolute value: the best fit connected to the Standard Model."""
        if self.numerator[0] == 0:
            return 0.0, 0.0
        return min(self.minima(), key=lambda pair: abs(pair[0]))
