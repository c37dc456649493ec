"""Confidence intervals of one coupling: every root, so that disjoint pieces come out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nurecoil.inference.levels import delta_chi2_level
from nurecoil.inference.rational import RationalChi2, horner, real_roots

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]
Minimum = Literal["global", "connected"]


@dataclass(frozen=True)
class Interval:
    """A confidence set of one coupling: pieces that rise and do not touch, in plain units; ends may be infinite."""

    coupling: str
    confidence_level: float
    delta_chi2: float
    best_fit: float
    segments: tuple[Segment, ...]


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


def interval(chi2: RationalChi2, confidence_level: float, minimum: Minimum = "global") -> Interval:
    """All values of a coupling with chi^2 - chi^2_min below the level of the confidence level.

    Parameters
    ----------
    chi2 : of a single coupling.
    minimum : ``"global"``: chi^2_min is the lowest minimum; ``"connected"``: only the piece around the best fit
        nearest the Standard Model (value zero), with that minimum's chi^2.
    """
    level = delta_chi2_level(confidence_level, 1)
    best, lowest = chi2.minimum() if minimum == "global" else chi2.minimum_nearest_zero()
    scale = float(chi2.scales[0])
    pieces = [(low * scale, high * scale) for low, high in negative_segments(chi2.excess_polynomial(level + lowest))]
    if minimum == "connected":
        pieces = [(low, high) for low, high in pieces if low <= best <= high]
    return Interval(chi2.names[0], confidence_level, level, best, tuple(pieces))
