"""Confidence intervals of one coupling: every piece, so that disjoint intervals come out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from cevnslab.inference.chi2 import Chi2, Segment
from cevnslab.inference.levels import delta_chi2_level

Minimum = Literal["global", "connected"]


ROUNDING = 1e-9
"""Below this a chi^2 is zero: couplings and shapes that are minimised over leave some 1e-12."""


@dataclass(frozen=True)
class Interval:
    """A confidence set of one coupling: pieces that rise and do not touch, in plain units; ends may be infinite."""

    coupling: str
    confidence_level: float
    delta_chi2: float
    best_fit: float
    segments: tuple[Segment, ...]


def best_fit(chi2: Chi2, minimum: Minimum = "global") -> tuple[float, float]:
    """(value, chi^2) of the lowest minimum, or of the one ``"connected"`` to (nearest) the Standard Model at zero."""
    standard_model = chi2.axes[0].standard_model
    there = float(chi2(standard_model))
    if abs(there) < ROUNDING:  # Asimov data: chi^2 is never negative, so no minimum is lower and none nearer
        return standard_model, there
    low, high = chi2.axes[0].bounds
    candidates = [pair for pair in chi2.minima() if low <= pair[0] <= high] or [(standard_model, there)]
    if minimum == "global":
        return min(candidates, key=lambda pair: pair[1])
    return min(candidates, key=lambda pair: abs(pair[0] - standard_model))


def _within(pieces: list[Segment], bounds: tuple[float, float]) -> list[Segment]:
    """Pieces inside the bounds of sense; an end beyond a bound is open, since nothing is said out there."""
    low_bound, high_bound = bounds
    kept = [(low, high) for low, high in pieces if high >= low_bound and low <= high_bound]
    return [(low if low >= low_bound else -np.inf, high if high <= high_bound else np.inf) for low, high in kept]


def interval(chi2: Chi2, confidence_level: float, minimum: Minimum = "global") -> Interval:
    """All values of a coupling with chi^2 - chi^2_min below the level of the confidence level.

    An end beyond the coupling's bounds of sense is infinite.

    Parameters
    ----------
    chi2 : of a single coupling.
    minimum : ``"global"``: chi^2_min is the lowest minimum; ``"connected"``: only the piece around the best fit
        nearest the Standard Model, with that minimum's chi^2.

    """
    level = delta_chi2_level(confidence_level, 1)
    best, lowest = best_fit(chi2, minimum)
    pieces = _within(chi2.pieces_below(level + lowest), chi2.axes[0].bounds)
    if minimum == "connected":
        # Where only the square enters, +value and -value are the same best fit.
        mirrored = np.isclose(float(chi2(-best)), lowest, rtol=1e-9, atol=1e-12)
        fits = (best, -best) if mirrored else (best,)
        pieces = [(low, high) for low, high in pieces if any(low <= fit <= high for fit in fits)]
    return Interval(chi2.axes[0].name, confidence_level, level, best, tuple(pieces))
