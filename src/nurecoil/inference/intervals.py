"""Confidence intervals of one coupling: every piece, so that disjoint intervals come out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nurecoil.inference.chi2 import Chi2, Segment
from nurecoil.inference.levels import delta_chi2_level

Minimum = Literal["global", "connected"]


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
    at_zero = float(chi2(0.0))
    if at_zero == 0:  # Asimov data: chi^2 is never negative, so no minimum is lower and none nearer
        return 0.0, 0.0
    candidates = [*chi2.minima()] or [(0.0, at_zero)]
    if minimum == "global":
        return min(candidates, key=lambda pair: pair[1])
    return min(candidates, key=lambda pair: abs(pair[0]))


def interval(chi2: Chi2, confidence_level: float, minimum: Minimum = "global") -> Interval:
    """All values of a coupling with chi^2 - chi^2_min below the level of the confidence level.

    Parameters
    ----------
    chi2 : of a single coupling.
    minimum : ``"global"``: chi^2_min is the lowest minimum; ``"connected"``: only the piece around the best fit
        nearest the Standard Model (value zero), with that minimum's chi^2.

    """
    level = delta_chi2_level(confidence_level, 1)
    best, lowest = best_fit(chi2, minimum)
    pieces = chi2.pieces_below(level + lowest)
    if minimum == "connected":
        pieces = [(low, high) for low, high in pieces if low <= best <= high]
    return Interval(chi2.axes[0].name, confidence_level, level, best, tuple(pieces))
