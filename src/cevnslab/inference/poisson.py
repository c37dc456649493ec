"""The Poisson likelihood ratio with profiled nuisances.

    chi^2(theta) = min over a, b_j of 2 sum_i [mu_i - N_i + N_i ln(N_i/mu_i)] + (a/sigma_a)^2 + sum_j (b_j/sigma_j)^2,
    mu_i = n_i(theta) (1 + a) + sum_j B_ji (1 + b_j).

mu is linear in the nuisances, so the function is convex in them and Newton's method, started from the least-squares
solution and kept inside mu > 0, finds the one minimum; all values of theta are minimised at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.folding import Monomial
from cevnslab.detection.response import Response
from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Axis
from cevnslab.inference.least_squares import background_widths, response_axes
from cevnslab.inference.pointwise import PointwiseChi2, along

FloatArray = NDArray[np.float64]

MOST_ITERATIONS = 60


@dataclass(frozen=True, eq=False)
class Poisson:
    """The statistic of one detector, or of several whose bins stand side by side and share the signal's nuisance."""

    axes: tuple[Axis, ...]
    monomials: tuple[Monomial, ...]
    signal: FloatArray
    """Counts per unit of each monomial, in plain units: shape (monomials, bins)."""
    backgrounds: FloatArray
    """One row per background nuisance: shape (backgrounds, bins)."""
    observed: FloatArray
    signal_uncertainty: float
    background_uncertainties: tuple[float, ...]

    @classmethod
    def of(
        cls,
        response: Response,
        signal_uncertainty: float,
        background_uncertainty: float | Sequence[float],
        data: FloatArray | None = None,
    ) -> Poisson:
        """The statistic of one response; Asimov data of the Standard Model unless counts are given.

        `background_uncertainty` is one relative width for all its backgrounds, or one each.
        Raises `StatisticsError` for counts where neither signal nor background can be.
        """
        observed = response.signal[0] + response.background if data is None else np.asarray(data, dtype=float)
        if observed.shape != response.background.shape:
            raise StatisticsError(f"{len(response.background)} counts are needed, one per bin; got {observed.shape}")
        if np.any((response.signal[0] + response.background <= 0) & (observed > 0)):
            raise StatisticsError(f"detector {response.name}: counts where none are expected")
        return cls(
            response_axes(response),
            response.monomials,
            response.signal,
            np.array(list(response.backgrounds.values())),
            observed,
            signal_uncertainty,
            tuple(background_widths(response, background_uncertainty).tolist()),
        )

    def __add__(self, other: Poisson) -> Poisson:
        """Two detectors that share one signal normalisation; each keeps its background's."""
        if (self.axes, self.signal_uncertainty) != (other.axes, other.signal_uncertainty):
            raise StatisticsError("detectors with a common signal normalisation need one signal uncertainty for all")
        monomials = tuple(sorted({*self.monomials, *other.monomials}, key=lambda m: (len(m), m)))
        signals = []
        for part in (self, other):
            rows = np.zeros((len(monomials), part.signal.shape[1]))
            rows[[monomials.index(monomial) for monomial in part.monomials]] = part.signal
            signals.append(rows)
        first, second = self.backgrounds, other.backgrounds
        backgrounds = np.block(
            [
                [first, np.zeros((len(first), second.shape[1]))],
                [np.zeros((len(second), first.shape[1])), second],
            ]
        )
        return Poisson(
            self.axes,
            monomials,
            np.hstack(signals),
            backgrounds,
            np.concatenate([self.observed, other.observed]),
            self.signal_uncertainty,
            self.background_uncertainties + other.background_uncertainties,
        )

    def along(self, names: Sequence[str]) -> PointwiseChi2:
        """chi^2 as a function of one or two couplings, all others as in the Standard Model."""
        return self.at_points(names)

    def at_points(self, names: Sequence[str]) -> PointwiseChi2:
        """chi^2 as a function of any number of couplings, point by point."""
        axes, kept, exponents = along(self.axes, self.monomials, names)
        reduced = replace(self, monomials=tuple(self.monomials[row] for row in kept), signal=self.signal[kept])
        return PointwiseChi2(axes, exponents, reduced)

    @property
    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        return len(self.observed) * (3 + len(self.backgrounds))

    def _profiled(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        counts = monomials @ self.signal
        widths = self.signal_uncertainty, self.background_uncertainties
        return counts, *profile(counts, self.backgrounds, self.observed, *widths)

    def minimum(self, monomials: FloatArray) -> FloatArray:
        """chi^2 at values of the monomials, shape (points,)."""
        return self._profiled(monomials)[1]

    def minimum_and_slope(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, and its derivative with respect to every monomial."""
        counts, chi2, nuisances = self._profiled(monomials)
        expected = (1 + nuisances[:, :1]) * counts + (1 + nuisances[:, 1:]) @ self.backgrounds
        pull = 2 * (1 + nuisances[:, :1]) * (1 - ratio(self.observed, expected))
        return chi2, pull @ self.signal.T


def ratio(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """N/mu with 0/0 = 0."""
    return np.divide(observed, expected, out=np.zeros(np.shape(expected)), where=expected > 0)


def deviance(observed: FloatArray, expected: FloatArray) -> FloatArray:
    """2 sum_i [mu - N + N ln(N/mu)] over the last axis, without cancellation where mu is near N.

    With r = mu/N - 1 the bracket is N (r - ln(1 + r)).
    """
    excess = np.divide(expected - observed, observed, out=np.zeros(np.shape(expected)), where=observed > 0)
    with np.errstate(divide="ignore"):
        terms = np.where(observed > 0, observed * (excess - np.log1p(excess)), expected)
    return np.asarray(2 * np.sum(terms, axis=-1))


def profile(
    signal: FloatArray,
    backgrounds: FloatArray,
    observed: FloatArray,
    signal_uncertainty: float,
    background_uncertainties: Sequence[float],
    centres: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Minimise over the nuisances at many points at once.

    Parameters
    ----------
    signal : shape (points, bins).
    backgrounds : shape (backgrounds, bins).
    observed : counts, shape (bins,) or (points, bins).
    centres : of the nuisances' constraints, shape (points, 1 + backgrounds); zero unless given.

    Returns chi^2, shape (points,), and the nuisances a, b_1, ..., shape (points, 1 + backgrounds). Raises
    `StatisticsError` should a point not converge (the function is convex: it would be a fault of the input).

    """
    widths = np.array([signal_uncertainty, *background_uncertainties])
    free = np.flatnonzero(widths > 0)
    points = len(signal)
    nuisances = np.zeros((points, len(widths))) if centres is None else centres.copy()
    middle = nuisances[:, free].copy()
    templates = np.empty((points, len(widths), signal.shape[1]))
    templates[:, 0] = signal
    templates[:, 1:] = backgrounds
    moving = templates[:, free]
    stiffness = np.diag(widths[free] ** -2.0)
    counts = np.broadcast_to(observed, signal.shape)
    expected = ((1 + nuisances)[:, None, :] @ templates)[:, 0]
    if not len(free):
        return deviance(counts, expected), nuisances
    # The first step is least squares with the counts as variances; Newton's own curvature N/mu^2 after it.
    curvature = 1 / np.maximum(counts, 1.0)
    occupied = counts > 0
    for iteration in range(MOST_ITERATIONS):
        pull = (expected - counts) * curvature if iteration == 0 else 1 - ratio(counts, expected)
        slope = (moving @ pull[..., None])[..., 0] + (nuisances[:, free] - middle) @ stiffness
        hessian = (moving * curvature[:, None, :]) @ moving.transpose(0, 2, 1) + stiffness
        # No normalisation is negative: one that is at zero and pushed below rests there.
        resting = (nuisances[:, free] <= -1) & (slope > 0)
        slope = np.where(resting, 0.0, slope)
        hessian = np.where(resting[:, :, None] | resting[:, None, :], np.eye(len(free)), hessian)
        step = -np.linalg.solve(hessian, slope[..., None])[..., 0]
        # What the step would make negative goes to zero, and the others to their best with that.
        hit = nuisances[:, free] + step < -1
        if hit.any():
            wanted = np.where(hit, -1 - nuisances[:, free], -slope)
            step = np.linalg.solve(np.where(hit[:, :, None], np.eye(len(free)), hessian), wanted[..., None])[..., 0]
        change = (step[:, None, :] @ moving)[:, 0]
        # Where counts are the likelihood ends at zero expectation: every one keeps at least a tenth of itself.
        ends = occupied & (change < -0.9 * expected)
        shrink = np.divide(0.9 * expected, -change, out=np.ones_like(change), where=ends)
        length = np.minimum(1.0, shrink.min(axis=1))[:, None]
        before = nuisances[:, free]
        nuisances[:, free] = np.maximum(before + length * step, -1.0)
        expected = ((1 + nuisances)[:, None, :] @ templates)[:, 0]
        curvature = np.divide(counts, expected**2, out=np.zeros_like(expected), where=expected > 0)
        # Newton doubles the digits: after a full step this small the next would be below rounding.
        small = 1e-9 * np.minimum(widths[free], 1.0)
        if np.all((np.abs(nuisances[:, free] - before) < small) & (length == 1)):
            break
    else:
        raise StatisticsError("the Poisson likelihood did not converge; are background or signal counts negative?")
    constraint = np.sum(((nuisances[:, free] - middle) / widths[free]) ** 2, axis=1)
    return deviance(counts, expected) + constraint, nuisances
