"""Confidence intervals of one coupling: every piece, so that disjoint intervals come out whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cevnslab.inference.chi2 import Chi2, Segment
from cevnslab.inference.levels import delta_chi2_level

Minimum = Literal["global", "connected"]
EndKind = Literal["limit", "bound", "hidden-bound", "unconstrained"]
"""What makes an end of an interval.

``limit``: the data; chi^2 crosses the level. ``bound``: the coupling's own bound, a physical boundary or the end of its
prior range. ``hidden-bound``: chi^2 crosses the level where a coupling that is minimised over rests on its bound.
``unconstrained``: chi^2 crosses the level nowhere, and the ends are the coupling's bounds.
"""


ROUNDING = 1e-9
"""Below this a chi^2 is zero: couplings and shapes that are minimised over leave some 1e-12."""


@dataclass(frozen=True)
class Piece:
    """One of the disjoint pieces of a confidence set, with finite ends in plain units and what makes each of them."""

    low: float
    high: float
    low_kind: EndKind = "limit"
    high_kind: EndKind = "limit"


@dataclass(frozen=True)
class Interval:
    """A confidence set of one coupling: pieces that rise and do not touch."""

    coupling: str
    confidence_level: float
    delta_chi2: float
    best_fit: float
    pieces: tuple[Piece, ...]

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The ends of every piece."""
        return tuple((piece.low, piece.high) for piece in self.pieces)

    @property
    def kinds(self) -> tuple[tuple[EndKind, EndKind], ...]:
        """What makes the ends of every piece."""
        return tuple((piece.low_kind, piece.high_kind) for piece in self.pieces)


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


def bounded(segments: Sequence[Segment], bounds: tuple[float, float]) -> tuple[Piece, ...]:
    """The pieces of a set, given by crossings and infinite ends, that lie within a coupling's bounds.

    >>> bounded([(-np.inf, 2.0)], (-5.0, 5.0))
    (Piece(low=-5.0, high=2.0, low_kind='bound', high_kind='limit'),)
    """
    lowest, highest = bounds
    inside = [(low, high) for low, high in segments if high > lowest and low < highest]
    if any(low <= lowest and high >= highest for low, high in inside):
        return (Piece(lowest, highest, "unconstrained", "unconstrained"),)
    return tuple(
        Piece(
            max(low, lowest),
            min(high, highest),
            "limit" if low > lowest else "bound",
            "limit" if high < highest else "bound",
        )
        for low, high in inside
    )


def _hidden_bounds(chi2: Chi2, pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same pieces; a crossing at which a coupling that is minimised over rests on its bound says so."""

    def kind(end: float, known: EndKind) -> EndKind:
        return "hidden-bound" if known == "limit" and chi2.at_hidden_bound(end) else known

    return tuple(
        Piece(piece.low, piece.high, kind(piece.low, piece.low_kind), kind(piece.high, piece.high_kind))
        for piece in pieces
    )


def interval(chi2: Chi2, confidence_level: float, minimum: Minimum = "global") -> Interval:
    """All values of a coupling with chi^2 - chi^2_min below the level of the confidence level.

    Ends are finite: a piece that goes on beyond a bound of the coupling ends there, and says so.

    Parameters
    ----------
    chi2 : of a single coupling.
    minimum : ``"global"``: chi^2_min is the lowest minimum; ``"connected"``: only the piece around the best fit
        nearest the Standard Model, with that minimum's chi^2.

    """
    level = delta_chi2_level(confidence_level, 1)
    best, lowest = best_fit(chi2, minimum)
    pieces = bounded(chi2.pieces_below(level + lowest), chi2.axes[0].bounds)
    if minimum == "connected":
        # Where only the square enters, +value and -value are the same best fit.
        mirrored = np.isclose(float(chi2(-best)), lowest, rtol=1e-9, atol=1e-12)
        fits = (best, -best) if mirrored else (best,)
        pieces = tuple(piece for piece in pieces if any(piece.low <= fit <= piece.high for fit in fits))
    return Interval(chi2.axes[0].name, confidence_level, level, best, _hidden_bounds(chi2, pieces))
