"""Confidence intervals of one coupling: every piece, with finite ends that say what makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Function
from cevnslab.inference.curves import Lines, crossings, resolved, sampled
from cevnslab.inference.levels import delta_chi2_level

FloatArray = NDArray[np.float64]
Segment = tuple[float, float]
Minimum = Literal["global", "connected"]
EndKind = Literal["limit", "bound", "hidden-bound", "unconstrained"]
"""What makes an end of an interval.

``limit``: the data; chi^2 crosses the level. ``bound``: the coupling's own bound, a physical boundary or the end of its
prior range. ``hidden-bound``: chi^2 crosses the level where a coupling that is minimised over rests on its bound.
``unconstrained``: chi^2 crosses the level nowhere, and the ends are the coupling's bounds.
"""

ROUNDING = 1e-9
"""Below this a chi^2 is zero: couplings and shapes that are minimised over leave some 1e-12."""
PER_DECADE, SMALLEST_DECADE = 4, -3
"""First samples per decade of distance from the Standard Model; where the decades begin, in natural scales."""


@dataclass(frozen=True)
class Piece:
    """One of the disjoint pieces of a confidence set, with finite ends in plain units and what makes each of them."""

    low: float
    high: float
    low_kind: EndKind = "limit"
    high_kind: EndKind = "limit"

    def __contains__(self, value: float) -> bool:
        """Whether a value lies in the piece."""
        return self.low <= value <= self.high


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

    def piece_with(self, value: float) -> Piece | None:
        """The piece that holds a value, such as the Standard Model's; None where none does."""
        return next((piece for piece in self.pieces if value in piece), None)

    @property
    def outermost(self) -> Piece | None:
        """From the lowest end to the highest, whatever lies between; None for an empty set."""
        if not self.pieces:
            return None
        first, last = self.pieces[0], self.pieces[-1]
        return Piece(first.low, last.high, first.low_kind, last.high_kind)


@dataclass(frozen=True, eq=False)
class Curve:
    """chi^2 of a single coupling, searched once for its minima and for whatever levels are asked for."""

    function: Function
    best_fit: float
    lowest: float
    """chi^2 at the best fit."""
    minimum: Minimum
    lines: Lines | None
    """None where there is a closed form."""

    def below(self, rise: float) -> tuple[Piece, ...]:
        """All pieces in which chi^2 is less than `rise` above the best fit's, which the search was told of."""
        level, bounds = self.lowest + rise, self.function.axes[0].bounds
        if self.function.ratio is not None:
            return bounded(self.function.ratio.pieces_below(level), bounds)
        assert self.lines is not None
        return _pieces(self.lines, level, bounds)

    def pieces(self, rise: float) -> tuple[Piece, ...]:
        """The pieces that count: all, or with the minimum ``"connected"`` those alone that hold the best fit.

        Where the sign of the coupling does not matter its mirror image is as good a fit.
        """
        pieces = self.below(rise)
        if self.minimum == "global":
            return pieces
        fits, bounds = [self.best_fit], self.function.axes[0].bounds
        if bounds[0] <= -self.best_fit <= bounds[1]:
            mirror = self.function.sample(np.array([[-self.best_fit]])).chi2[0]
            fits += [-self.best_fit] if np.isclose(mirror, self.lowest, rtol=1e-9, atol=1e-12) else []
        return tuple(piece for piece in pieces if any(fit in piece for fit in fits))


def searched(function: Function, rises: Sequence[float], minimum: Minimum = "global") -> Curve:
    """The best fit of a function of a single coupling, and what is needed for its pieces.

    Parameters
    ----------
    rises
        Delta chi^2 of the levels that will be asked for.
    minimum
        ``"global"``: the lowest; ``"connected"``: the minimum nearest to the Standard Model.

    """
    (axis,) = function.axes
    centre = axis.standard_model
    lines = None
    if function.ratio is not None and abs(there := float(function.ratio(centre))) < ROUNDING:
        # chi^2 is a sum of squares: no minimum is lower than zero, and none nearer.
        return Curve(function, centre, there, minimum, None)
    if function.ratio is not None:
        minima = [pair for pair in function.ratio.minima() if axis.bounds[0] <= pair[0] <= axis.bounds[1]]
    else:
        farthest = max(abs(bound - centre) for bound in axis.bounds)
        decades = max(np.log10(farthest / axis.scale) - SMALLEST_DECADE, 1.0)
        grid = axis.search_points(int(np.ceil(PER_DECADE * decades)), SMALLEST_DECADE)
        lines = sampled(function, 0, np.zeros((1, 1)), grid)
        reach = max(rises)
        if minimum == "connected":  # the minimum nearest to the Standard Model is not higher than it
            there = lines.sample.chi2[np.searchsorted(lines.at, centre)]
            reach += max(float(there - lines.sample.chi2.min()), 0.0)
        lines = resolved(lines, [*rises, reach])
        minima = _minima(lines)
    ends = np.array([*axis.bounds, centre])
    # All three are among a line's first samples.
    sample = function.sample(ends[:, None]) if lines is None else lines.sample.rows(np.searchsorted(lines.at, ends))
    # A bound towards which chi^2 falls is a minimum, too.
    for place, outwards in enumerate((-1, 1)):
        if sample.slopes[place, 0] * outwards < 0:
            minima.append((axis.bounds[place], float(sample.chi2[place])))
    there = float(sample.chi2[2])
    best, lowest = _best(minima or [(centre, there)], centre, minimum)
    # On Asimov data chi^2 is never negative, so that no minimum is lower than the Standard Model's, and none nearer.
    best, lowest = (centre, there) if abs(there) < ROUNDING else (best, lowest)
    return Curve(function, best, lowest, minimum, lines)


def _best(minima: Sequence[tuple[float, float]], centre: float, minimum: Minimum) -> tuple[float, float]:
    if minimum == "global":
        return min(minima, key=lambda pair: pair[1])
    return min(minima, key=lambda pair: abs(pair[0] - centre))


def _minima(lines: Lines) -> list[tuple[float, float]]:
    """(value, chi^2) of samples lower than both neighbours, rising in value."""
    chi2 = np.pad(lines.sample.chi2, 1, constant_values=np.inf)
    lower = np.flatnonzero((chi2[1:-1] <= chi2[:-2]) & (chi2[1:-1] < chi2[2:]))
    return [(float(lines.at[place]), float(lines.sample.chi2[place])) for place in lower]


def _pieces(lines: Lines, level: float, bounds: Segment) -> tuple[Piece, ...]:
    """Pieces between crossings; one at which a hidden coupling rests on its bound says so."""
    inside = lines.sample.chi2 < level
    edge = crossings(lines, level)
    resting = lines.function.at_hidden_bound(edge.sample.state)
    ends: list[tuple[float, EndKind]] = [
        (float(at), "hidden-bound" if rests else "limit") for at, rests in zip(edge.at, resting, strict=True)
    ]
    first, last = [(bounds[0], "bound")] * bool(inside[0]), [(bounds[1], "bound")] * bool(inside[-1])
    borders: list[tuple[float, EndKind]] = [*first, *ends, *last]  # type: ignore[list-item]
    if borders and not ends:
        return (Piece(bounds[0], bounds[1], "unconstrained", "unconstrained"),)
    return tuple(
        Piece(low, high, low_kind, high_kind)
        for (low, low_kind), (high, high_kind) in zip(borders[::2], borders[1::2], strict=True)
    )


def bounded(segments: Sequence[Segment], bounds: Segment) -> tuple[Piece, ...]:
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


def best_fit(function: Function, minimum: Minimum = "global") -> tuple[float, float]:
    """(value, chi^2) of the lowest minimum, or of the one ``"connected"`` to (nearest) the Standard Model."""
    curve = searched(function, [0.0], minimum)
    return curve.best_fit, curve.lowest


def intervals(
    function: Function, confidence_levels: Sequence[float], minimum: Minimum = "global"
) -> tuple[Interval, ...]:
    """The interval at each of several confidence levels, by one search; see `interval`."""
    rises = [delta_chi2_level(confidence, 1) for confidence in confidence_levels]
    curve = searched(function, rises, minimum)
    name = function.axes[0].name
    return tuple(
        Interval(name, confidence, rise, curve.best_fit, curve.pieces(rise))
        for confidence, rise in zip(confidence_levels, rises, strict=True)
    )


def interval(function: Function, confidence_level: float, minimum: Minimum = "global") -> Interval:
    """All values of a coupling with chi^2 - chi^2_min below the level of the confidence level.

    Ends are finite: a piece that goes on beyond a bound of the coupling ends there, and says so.

    Parameters
    ----------
    function
        Of a single coupling.
    minimum
        ``"global"``: chi^2_min is the lowest minimum; ``"connected"``: only the piece around the best fit nearest
        the Standard Model, with that minimum's chi^2.

    """
    return intervals(function, [confidence_level], minimum)[0]


__all__ = [
    "Curve",
    "EndKind",
    "Interval",
    "Minimum",
    "Piece",
    "best_fit",
    "bounded",
    "interval",
    "intervals",
    "searched",
]
