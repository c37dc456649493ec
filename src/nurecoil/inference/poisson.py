"""The Poisson likelihood ratio with profiled nuisances.

    chi^2(theta) = min over a, b_j of 2 sum_i [mu_i - N_i + N_i ln(N_i/mu_i)] + (a/sigma_a)^2 + sum_j (b_j/sigma_j)^2,
    mu_i = n_i(theta) (1 + a) + sum_j B_ji (1 + b_j).

mu is linear in the nuisances, so the function is convex in them and Newton's method, started from the least-squares
solution and kept inside mu > 0, finds the one minimum; all values of theta are minimised at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nurecoil.detection.folding import Monomial
from nurecoil.detection.response import Response
from nurecoil.errors import StatisticsError
from nurecoil.inference import search
from nurecoil.inference.chi2 import Axis, Segment
from nurecoil.inference.least_squares import background_widths, response_axes

FloatArray = NDArray[np.float64]

LARGEST_BATCH = 2_000_000
"""Numbers (points times bins) that are minimised over at once."""
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

    def along(self, names: Sequence[str]) -> PoissonChi2:
        """chi^2 as a function of one or two couplings, all others zero."""
        known = [axis.name for axis in self.axes]
        chosen = [known.index(name) for name in names]
        kept = [(row, m) for row, m in enumerate(self.monomials) if set(m) <= set(chosen)]
        exponents = np.array([[m.count(index) for index in chosen] for _, m in kept])
        return PoissonChi2(
            tuple(self.axes[index] for index in chosen), self, self.signal[[row for row, _ in kept]], exponents
        )


@dataclass(frozen=True, eq=False)
class PoissonChi2:
    """chi^2 of one or two couplings: evaluated point by point, searched for minima and crossings."""

    closed_form: ClassVar[bool] = False

    axes: tuple[Axis, ...]
    likelihood: Poisson
    signal: FloatArray
    exponents: NDArray[np.int64]

    def _counts(self, couplings: Sequence[FloatArray]) -> FloatArray:
        """Signal counts at points, shape (points, bins)."""
        powers = np.ones((len(couplings[0]), len(self.signal)))
        for column, value in enumerate(couplings):
            powers *= value[:, None] ** self.exponents[:, column]
        return np.asarray(powers @ self.signal)

    def _profiled(self, couplings: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray]:
        fixed = self.likelihood
        return profile(
            self._counts(couplings),
            fixed.backgrounds,
            fixed.observed,
            fixed.signal_uncertainty,
            fixed.background_uncertainties,
        )

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values in its plain unit, any shape."""
        values = np.asarray(value, dtype=float)
        step = max(1, LARGEST_BATCH // len(self.likelihood.observed))
        flat = values.ravel()
        pieces = [self._profiled([flat[i : i + step]])[0] for i in range(0, len(flat), step)]
        return np.concatenate(pieces).reshape(values.shape) if pieces else np.empty(values.shape)

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""
        return np.stack([self._profiled([x, np.full_like(x, row)])[0] for row in y])

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives: at the nuisances' minimum only the explicit dependence counts."""
        chi2, nuisances = self._profiled([x, y])
        counts = self._counts([x, y])
        expected = (1 + nuisances[:, :1]) * counts + (1 + nuisances[:, 1:]) @ self.likelihood.backgrounds
        pull = 2 * (1 + nuisances[:, :1]) * (1 - _ratio(self.likelihood.observed, expected))
        slopes = []
        for column in range(2):
            lowered = self.exponents.copy()
            factor = lowered[:, column].astype(float)
            lowered[:, column] = np.maximum(lowered[:, column] - 1, 0)
            powers = x[:, None] ** lowered[:, 0] * y[:, None] ** lowered[:, 1] * factor
            slopes.append(np.sum(pull * (powers @ self.signal), axis=1))
        return chi2, slopes[0], slopes[1]

    def minima(self) -> list[tuple[float, float]]:
        """Every local minimum of a single coupling that the search grid shows."""
        return search.minima(self, self.axes[0])

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals of a single coupling in which chi^2 < level."""
        return search.pieces_below(self, level, self.axes[0])


def _ratio(observed: FloatArray, expected: FloatArray) -> FloatArray:
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
        pull = (expected - counts) * curvature if iteration == 0 else 1 - _ratio(counts, expected)
        slope = (moving @ pull[..., None])[..., 0] + (nuisances[:, free] - middle) @ stiffness
        hessian = (moving * curvature[:, None, :]) @ moving.transpose(0, 2, 1) + stiffness
        # No normalisation is negative: one that is at zero and pushed below rests there.
        resting = (nuisances[:, free] <= -1) & (slope > 0)
        slope = np.where(resting, 0.0, slope)
        hessian = np.where(resting[:, :, None] | resting[:, None, :], stiffness, hessian)
        step = -np.linalg.solve(hessian, slope[..., None])[..., 0]
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
        if np.all((np.abs(nuisances[:, free] - before) < 1e-9 * widths[free]) & (length == 1)):
            break
    else:
        raise StatisticsError("the Poisson likelihood did not converge; are background or signal counts negative?")
    constraint = np.sum(((nuisances[:, free] - middle) / widths[free]) ** 2, axis=1)
    return deviance(counts, expected) + constraint, nuisances
