"""What a difference between observed and expected counts costs, bin by bin, and its first two derivatives.

Poisson          D = 2 [mu - N + N ln(N/mu)], and (mu/0.0001)^2 more where N = 0 and mu is below 0
Gaussian         D = (mu - N)^2/sigma^2, sigma the upper error where mu is above N, else the lower
least squares    D = (mu - N)^2/V, V the counts themselves (Eq. (15) of arXiv:2409.10652) or a fixed metric

No expectation is negative. Where counts are, Poisson's D grows without bound towards zero; a bin without counts has no
such barrier, and templates that are bent far do lead below zero there. The square keeps it at zero, to far less than
a thousandth of a count, and leaves D a function that a search can follow along the boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError

FloatArray = NDArray[np.float64]
Statistic = Literal["poisson", "gaussian", "least-squares"]

SOFTNESS = 1e-4
"""Counts by which a bin without counts would be below zero at one unit of Poisson's D."""


@dataclass(frozen=True, eq=False)
class Counts:
    """Observed counts of many experiments at once and what measures their distance: rows of shape (experiments, bins).

    One row stands for all experiments. `variance` None is Poisson's likelihood; else the squared error above and below
    the count.
    """

    observed: FloatArray
    variance: tuple[FloatArray, FloatArray] | None = None

    def rows(self, selection: NDArray[np.int64] | slice) -> Counts:
        """Some of the experiments; a single row stays for all."""
        if len(self.observed) == 1:
            return self
        if self.variance is None:
            return Counts(self.observed[selection])
        upper, lower = (side if len(side) == 1 else side[selection] for side in self.variance)
        return Counts(self.observed[selection], (upper, lower))

    def _variance_at(self, expected: FloatArray) -> FloatArray:
        assert self.variance is not None
        upper, lower = self.variance
        return upper if upper is lower else np.where(expected > self.observed, upper, lower)

    def deviance(self, expected: FloatArray) -> FloatArray:
        """D summed over bins, shape (experiments,); infinite where counts are and none can be.

        No cancellation where mu is near N: with r = mu/N - 1 Poisson's bracket is N (r - ln(1 + r)).
        """
        if self.variance is not None:
            return np.asarray(np.sum((expected - self.observed) ** 2 / self._variance_at(expected), axis=-1))
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = (expected - self.observed) * self._inverse
            terms = self.observed * (excess - np.log1p(excess))
        terms += np.where(self.observed > 0, 0.0, expected)
        if np.min(expected, initial=1.0) < 0:
            terms += np.where(self.observed > 0, 0.0, (np.minimum(expected, 0.0) / SOFTNESS) ** 2 / 2)
        total = 2 * np.sum(terms, axis=-1)
        return np.where(np.min(excess, axis=-1, initial=0.0) <= -1, np.inf, total)

    @cached_property
    def _inverse(self) -> FloatArray:
        """1/N, zero where nothing is observed."""
        return np.divide(1.0, self.observed, out=np.zeros(self.observed.shape), where=self.observed > 0)

    def empty(self, expected: FloatArray) -> NDArray[np.bool_]:
        """Bins without counts of which Poisson expects less than nothing."""
        if self.variance is not None:
            return np.zeros(expected.shape, dtype=bool)
        if np.min(expected, initial=1.0) >= 0:
            return np.zeros(expected.shape, dtype=bool)
        return np.asarray((expected < 0) & (self.observed <= 0))

    def pull(self, expected: FloatArray) -> FloatArray:
        """Half the derivative of D with respect to every expected count."""
        if self.variance is not None:
            return np.asarray((expected - self.observed) / self._variance_at(expected))
        if np.min(expected, initial=1.0) > 0:
            return np.asarray(1 - self.observed / expected)
        ratio = np.divide(
            self.observed,
            expected,
            out=np.zeros(np.broadcast_shapes(self.observed.shape, expected.shape)),
            where=expected > 0,
        )
        return np.asarray(1 - ratio + np.where(self.observed > 0, 0.0, np.minimum(expected, 0.0)) / SOFTNESS**2)

    def curvature(self, expected: FloatArray) -> FloatArray:
        """Half the second derivative of D."""
        if self.variance is not None:
            return np.broadcast_to(1 / self._variance_at(expected), expected.shape)
        if np.min(expected, initial=1.0) > 0:
            return np.asarray(self.observed / expected**2)
        shape = np.broadcast_shapes(self.observed.shape, expected.shape)
        curvature = np.divide(self.observed, expected**2, out=np.zeros(shape), where=expected > 0)
        return np.where(self.empty(expected), SOFTNESS**-2.0, curvature)

    @property
    def sketched(self) -> Counts:
        """With Gaussian errors in the place of Poisson's law, 1 in bins without counts: nowhere infinite."""
        if self.variance is not None:
            return self
        variance = np.maximum(self.observed, 1.0)
        return Counts(self.observed, (variance, variance))

    def first_curvature(self, expected: FloatArray) -> FloatArray:
        """A curvature for the first step, far from the minimum, where Poisson's own can be nearly zero."""
        if self.variance is not None:
            return self.curvature(expected)
        return np.where(self.empty(expected), SOFTNESS**-2.0, 1 / np.maximum(self.observed, 1.0))


def least_squares_variance(observed: FloatArray, possible: NDArray[np.bool_]) -> FloatArray:
    """The counts as variances; infinite where nothing is observed and nothing can be expected: the bin drops out.

    Raises `ValueError` with the first bin's number where something can be expected but nothing is observed.
    """
    empty = observed <= 0
    if np.any(empty & possible):
        raise ValueError(int(np.flatnonzero(empty & possible)[0]))
    return np.where(empty, np.inf, observed)


def check_counts(statistic: Statistic, observed: FloatArray, where: str) -> None:
    """Raise `StatisticsError` for counts that a statistic cannot take."""
    if not np.all(np.isfinite(observed)):
        raise StatisticsError(f"{where}: observed counts must be finite numbers")
    if statistic != "gaussian" and np.any(observed < 0):
        raise StatisticsError(f"{where}: counts below 0 need errors (statistic: gaussian)")
