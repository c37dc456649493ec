"""Templates known from counts of their own: the group expectations tau, eliminated exactly at every step of a fit.

With b_i the other expected counts of bin i and a_i what one unit of tau adds there, tau_g >= 0 minimises

    sum over bins i of g of D(N_i; b_i + a_i tau_g) + 2 [tau_g - M_g + M_g ln(M_g/tau_g)].

Half the derivative, sum a_i pull_i + 1 - M/tau, rises with tau and is concave, so that Newton's method from the left
never overshoots; one bin per group, and every Gaussian statistic, is a quadratic equation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.statistics import Counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS = 100


def summed(values: FloatArray, groups: IntArray, size: int) -> FloatArray:
    """Sums over the bins of each group: shape (..., bins) to (..., groups)."""
    if size == values.shape[-1] and np.array_equal(groups, np.arange(size)):
        return values
    order = np.argsort(groups, kind="stable")
    starts = np.searchsorted(groups[order], np.arange(size))
    return np.asarray(np.add.reduceat(values[..., order], starts, axis=-1))


def _positive_root(square: FloatArray, linear: FloatArray, constant: FloatArray) -> FloatArray:
    """The root >= 0 of square x^2 + linear x - constant, which is stable for either sign of `linear`."""
    root = np.sqrt(linear**2 + 4 * square * constant)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = 2 * constant / (linear + root)
        above = (root - linear) / (2 * square)
    return np.where(linear > 0, np.where(constant > 0, below, 0.0), np.where(square > 0, above, 0.0))


def best_tau(counts: Counts, others: FloatArray, unit: FloatArray, off: FloatArray, groups: IntArray) -> FloatArray:
    """The best expectation of every group, shape (points, groups).

    Parameters
    ----------
    counts : observed in the bins.
    others : expected counts without the template, shape (points, bins).
    unit : what one unit of tau adds, shape (points, bins).
    off : off-counts, shape (points or 1, groups).
    groups : of the bins, shape (bins,).

    """
    size = off.shape[-1]
    off = np.broadcast_to(off, (len(others), size))
    if counts.variance is not None:
        variance = (counts.variance[0] + counts.variance[1]) / 2
        square = summed(unit**2 / variance, groups, size)
        linear = 1 + summed(unit * (others - counts.observed) / variance, groups, size)
        return _positive_root(square, linear, off)
    observed = np.broadcast_to(counts.observed, others.shape)
    whole = summed(unit, groups, size)
    if size == len(groups) and np.array_equal(groups, np.arange(size)):
        return _positive_root(unit * (1 + unit), (1 + unit) * others - unit * (observed + off), off * others)
    # A lower bound: the bins that nothing else fills, and the off-counts, alone.
    tau = (off + summed(np.where(others <= 0, observed, 0.0), groups, size)) / (1 + whole)
    for _ in range(MOST_STEPS):
        expected = others + unit * tau[:, groups]
        ratio = np.divide(observed, expected, out=np.zeros_like(expected), where=expected > 0)
        own = np.divide(off, tau, out=np.zeros_like(tau), where=tau > 0)
        slope = whole - summed(unit * ratio, groups, size) + np.where(off > 0, 1 - own, 1.0)
        squared = np.divide(unit**2 * ratio, expected, out=np.zeros_like(expected), where=expected > 0)
        curvature = summed(squared, groups, size) + np.divide(own, tau, out=np.zeros_like(tau), where=tau > 0)
        step = np.divide(-slope, curvature, out=np.zeros_like(slope), where=(curvature > 0) & (slope < 0))
        tau = tau + step
        if np.all(step <= 1e-14 * tau):
            break
    return tau


def off_deviance(tau: FloatArray, off: FloatArray) -> FloatArray:
    """2 sum over groups of tau - M + M ln(M/tau), shape (points,)."""
    excess = np.divide(tau - off, off, out=np.zeros(np.broadcast_shapes(tau.shape, off.shape)), where=off > 0)
    with np.errstate(divide="ignore"):
        terms = np.where(off > 0, off * (excess - np.log1p(excess)), tau)
    return np.asarray(2 * np.sum(terms, axis=-1))
