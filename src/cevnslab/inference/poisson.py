"""The Poisson likelihood ratio with profiled nuisances.

    chi^2(theta) = min over a, b_j of 2 sum_i [mu_i - N_i + N_i ln(N_i/mu_i)] + (a/sigma_a)^2 + sum_j (b_j/sigma_j)^2,
    mu_i = n_i(theta) (1 + a) + sum_j B_ji (1 + b_j).

mu is linear in the nuisances, so the function is convex in them and Newton's method, started from the least-squares
solution and kept inside mu > 0, finds the one minimum; all values of theta are minimised at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError

FloatArray = NDArray[np.float64]

MOST_ITERATIONS = 60


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
    signal
        Shape (points, bins).
    backgrounds
        Shape (backgrounds, bins).
    observed
        Counts, shape (bins,) or (points, bins).
    centres
        Of the nuisances' constraints, shape (points, 1 + backgrounds); zero unless given.

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
