"""Templates known from counts of their own: the group expectations tau, eliminated exactly at every step of a fit.

With b_i the other expected counts of bin i and a_i what one unit of tau adds there, tau_g >= 0 minimises

    sum over bins i of g of D(N_i; b_i + a_i tau_g) + 2 [tau_g - M_g + M_g ln(M_g/tau_g)].

Half the derivative, sum a_i pull_i + 1 - M/tau, rises with tau and is concave, so that Newton's method from the left
never overshoots; one bin per group, and every Gaussian statistic, is a quadratic equation. Where a data set has several
templates, each has its best beside the others, in turn: the sum is convex, so that this ends at its minimum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.samples import PerBin
from cevnslab.likelihood.statistics import Counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS = 100
MOST_TURNS = 10_000
"""Of several templates; two that are known from as many counts as they have in the bins take some thirty."""
PRECISION = 1e-14
"""Relative change of tau at which templates that take turns are done."""
LAST_STEP = 1e-8
"""The same of Newton's steps, each of which doubles the digits: after one so small all are known."""
DEGENERATE = 1e-12
"""Share of its curvature that is added to that by every tau: two templates without off-counts can be one to the data.
"""


@dataclass(frozen=True, eq=False)
class Templates:
    """The templates of one data set; their groups are numbered one template after the other."""

    groups: IntArray
    """Of every bin, shape (templates, bins)."""
    sizes: tuple[int, ...]
    """Groups of each template."""

    @classmethod
    def of(cls, templates: Sequence[PerBin]) -> Templates:
        """In the order of the data set's samples."""
        sizes = tuple(len(template.off) for template in templates)
        starts = np.cumsum([0, *sizes[:-1]])
        return cls(np.array([t.groups + start for t, start in zip(templates, starts, strict=True)]), sizes)

    @property
    def size(self) -> int:
        """Of all groups."""
        return sum(self.sizes)

    @property
    def single(self) -> bool:
        """Whether there is one template alone: then no two groups meet in a bin."""
        return len(self.sizes) == 1

    @cached_property
    def spans(self) -> tuple[slice, ...]:
        """The groups of each template."""
        ends = np.cumsum([0, *self.sizes]).tolist()
        return tuple(slice(*pair) for pair in itertools.pairwise(ends))

    def spread(self, tau: FloatArray) -> FloatArray:
        """Every bin's tau, shape (points, templates, bins)."""
        return np.asarray(tau[:, self.groups])

    def counts(self, unit: FloatArray, tau: FloatArray) -> FloatArray:
        """Expected counts of all templates, (points, bins), from those of a unit of tau, (points, templates, bins)."""
        return np.asarray(np.einsum("pkb,pkb->pb", unit, self.spread(tau)))

    def summed(self, values: FloatArray) -> FloatArray:
        """Sums over the bins of each group: shape (..., templates, bins) to (..., groups)."""
        each = [
            summed(values[..., number, :], groups - span.start, size)
            for number, (groups, span, size) in enumerate(zip(self.groups, self.spans, self.sizes, strict=True))
        ]
        return each[0] if self.single else np.concatenate(each, axis=-1)

    @cached_property
    def blocks(self) -> tuple[IntArray, IntArray, int]:
        """Groups that meet in some bin, directly or through others, are a block.

        The block of every group, its place in it, and the size of the largest: a curvature by tau has no more elements
        that are not zero than blocks of that size.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        pairs = [(self.groups[0], others) for others in self.groups]
        rows, columns = (np.concatenate(each) for each in zip(*pairs, strict=True))
        meet = coo_array((np.ones(len(rows)), (rows, columns)), shape=(self.size, self.size))
        _, block = connected_components(meet, directed=False)
        order = np.argsort(block, kind="stable")
        first = np.searchsorted(block[order], np.arange(block.max() + 1))
        place = np.empty(self.size, dtype=np.int64)
        place[order] = np.arange(self.size) - first[block[order]]
        return block.astype(np.int64), place, int(place.max()) + 1


@dataclass(frozen=True, eq=False)
class TauCurvature:
    """Half the second derivatives of chi^2 by the group expectations, of which those that rest at zero are left out."""

    templates: Templates
    diagonal: FloatArray
    """Shape (points, groups); 1 where tau rests."""
    moving: NDArray[np.bool_]
    """Shape (points, groups)."""
    matrix: FloatArray | None
    """Block by block, shape (points, blocks, size, size); None where it is diagonal."""

    @classmethod
    def of(cls, templates: Templates, unit: FloatArray, weight: FloatArray, tau: FloatArray, off: FloatArray) -> Self:
        """At points: `unit` (points, templates, bins), `weight` half the second derivative by the bins' counts."""
        curvature = np.divide(off, tau**2, out=np.zeros(tau.shape), where=tau > 0)
        diagonal = curvature + templates.summed(unit**2 * weight[:, None, :])
        moving = (tau > 0) & (diagonal > 0)
        diagonal = np.where(moving, diagonal, 1.0)
        if templates.single:
            return cls(templates, diagonal, moving, None)
        block, place, size = templates.blocks
        matrix = np.zeros((len(tau), int(block.max()) + 1, size, size))
        matrix[:, :, np.arange(size), np.arange(size)] = 1.0  # blocks that are smaller
        matrix[:, block, place, place] = np.where(moving, (1 + DEGENERATE) * diagonal, 1.0)
        moving_unit = unit * moving[:, templates.groups]
        for first, one in enumerate(templates.groups):
            for second, other in enumerate(templates.groups):
                if first != second:
                    cell = (block[one] * size + place[one]) * size + place[other]
                    matrix += _scattered(moving_unit[:, first] * moving_unit[:, second] * weight, cell, matrix.shape)
        return cls(templates, diagonal, moving, matrix)

    def solved(self, slopes: FloatArray) -> FloatArray:
        """The inverse times slopes by tau, shape (points, columns, groups)."""
        slopes = np.where(self.moving[:, None, :], slopes, 0.0)
        if self.matrix is None:
            return np.asarray(slopes / self.diagonal[:, None, :])
        return _block_solved(self.matrix, slopes, self.templates)

    def gain(self, point: int, slopes: FloatArray) -> FloatArray:
        """By how much chi^2 falls when tau follows slopes (experiments, groups) at one of the points."""
        slopes = np.where(self.moving[point], slopes, 0.0)
        if self.matrix is None:
            return np.asarray(np.sum(slopes**2 / self.diagonal[point], axis=1))
        solved = _block_solved(self.matrix[point][None], slopes[None], self.templates)[0]
        return np.asarray(np.sum(slopes * solved, axis=1))


def _scattered(values: FloatArray, cell: IntArray, shape: tuple[int, ...]) -> FloatArray:
    """Values of bins, (points, bins), added up in the cells of a matrix for every point."""
    from scipy.sparse import coo_array

    where = coo_array((np.ones(len(cell)), (cell, np.arange(len(cell)))), shape=(int(np.prod(shape[1:])), len(cell)))
    return np.asarray((where.tocsr() @ values.T).T).reshape(shape)


def _block_solved(matrix: FloatArray, slopes: FloatArray, templates: Templates) -> FloatArray:
    block, place, size = templates.blocks
    sides = np.zeros((len(slopes), matrix.shape[1], size, slopes.shape[1]))
    sides[:, block, place] = slopes.transpose(0, 2, 1)
    return np.asarray(np.linalg.solve(matrix, sides)[:, block, place].transpose(0, 2, 1))


@lru_cache(maxsize=64)
def _layout(groups: bytes, size: int) -> tuple[IntArray, IntArray, bool]:
    """Bins in the order of their groups, where each group starts, and whether all lie so, with as many bins each."""
    numbers = np.frombuffer(groups, dtype=np.int64)
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(size))
    bins = len(numbers) // max(size, 1)
    return order, starts, bool(np.array_equal(numbers, np.repeat(np.arange(size), bins)))


def summed(values: FloatArray, groups: IntArray, size: int) -> FloatArray:
    """Sums over the bins of each group: shape (..., bins) to (..., groups)."""
    if size == values.shape[-1] and np.array_equal(groups, np.arange(size)):
        return values
    order, starts, regular = _layout(np.ascontiguousarray(groups, dtype=np.int64).tobytes(), size)
    if regular:
        return np.asarray(values.reshape(*values.shape[:-1], size, -1).sum(axis=-1))
    return np.asarray(np.add.reduceat(values[..., order], starts, axis=-1))


def _positive_root(square: FloatArray, linear: FloatArray, constant: FloatArray) -> FloatArray:
    """The root >= 0 of square x^2 + linear x - constant, which is stable for either sign of `linear`."""
    root = np.sqrt(np.maximum(linear**2 + 4 * square * constant, 0.0))  # never negative but by rounding
    with np.errstate(divide="ignore", invalid="ignore"):
        below = 2 * constant / (linear + root)
        above = (root - linear) / (2 * square)
    return np.where(linear > 0, np.where(constant > 0, below, 0.0), np.where(square > 0, above, 0.0))


def best_taus(
    counts: Counts,
    others: FloatArray,
    unit: FloatArray,
    off: FloatArray,
    templates: Templates,
    near: FloatArray | None = None,
) -> FloatArray:
    """The best expectation of every group of every template, shape (points, groups).

    Raises `StatisticsError` where taking turns does not end.

    Parameters
    ----------
    unit
        What one unit of tau adds, shape (points, templates, bins); else as in `best_tau`.
    near
        Expectations that are nearly the best, shape (points, groups), where they are known.

    """
    if templates.single:
        return best_tau(counts, others, unit[:, 0], off, templates.groups[0], near)
    # Below zero the other counts are beyond their model, and nothing is to be made up for.
    others = np.maximum(others, 0.0)
    tau, places = np.zeros((len(others), templates.size)), np.arange(len(others))
    for _ in range(MOST_TURNS):
        before = tau[places]
        now = before.copy()
        for number, span in enumerate(templates.spans):
            share = unit[places, number]
            beside = others[places] + templates.counts(unit[places], now) - share * now[:, templates.groups[number]]
            beside = np.maximum(beside, others[places])
            groups = templates.groups[number] - span.start
            now[:, span] = best_tau(counts.rows(places), beside, share, _rows(off, places)[:, span], groups)
        tau[places] = now
        unsettled = np.any(np.abs(now - before) > PRECISION * np.maximum(now, 1.0), axis=1)
        places = places[unsettled]
        if not len(places):
            return tau
    raise StatisticsError("the expectations of several off-beam backgrounds do not converge; are their counts huge?")


def _rows(off: FloatArray, places: IntArray) -> FloatArray:
    return off if len(off) == 1 else off[places]


def best_tau(
    counts: Counts,
    others: FloatArray,
    unit: FloatArray,
    off: FloatArray,
    groups: IntArray,
    near: FloatArray | None = None,
) -> FloatArray:
    """The best expectation of every group of one template, shape (points, groups).

    Parameters
    ----------
    counts
        Observed in the bins.
    others
        Expected counts without the template, shape (points, bins).
    unit
        What one unit of tau adds, shape (points, bins).
    off
        Off-counts, shape (points or 1, groups).
    groups
        Of the bins, shape (bins,).
    near
        What is nearly the best, where it is known.

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
    least = (off + summed(np.where(others <= 0, observed, 0.0), groups, size)) / (1 + whole)
    # The group as one bin is near; since the slope is concave, Newton's first step ends to the left from anywhere.
    if near is None:
        bins, rest = summed(observed, groups, size), summed(np.maximum(others, 0.0), groups, size)
        near = _positive_root(whole * (1 + whole), (1 + whole) * rest - whole * (bins + off), off * rest)
    tau, going = np.maximum(near, least), np.ones((len(others), 1), dtype=bool)
    for number in range(MOST_STEPS):
        expected = others + unit * tau[:, groups]
        weight, share = unit * _quotient(observed, expected), _quotient(off, tau)
        slope = whole - summed(weight, groups, size) + np.where(off > 0, 1 - share, 1.0)
        curvature = summed(_quotient(unit * weight, expected), groups, size) + _quotient(share, tau)
        forward = (curvature > 0) & ((slope < 0) | (number == 0))
        step = np.maximum(np.where(forward, -_quotient(slope, curvature), 0.0), least - tau)
        # Each point ends by itself: what others need changes none of its digits.
        tau = np.where(going, tau + step, tau)
        going &= np.any(np.abs(step) > LAST_STEP * tau, axis=1, keepdims=True)
        if not going.any():
            break
    return tau


def _quotient(above: FloatArray, below: FloatArray) -> FloatArray:
    """A ratio, zero where nothing is below."""
    if np.min(below, initial=1.0) > 0:
        return np.asarray(above / below)
    return np.divide(above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0)


def off_deviance(tau: FloatArray, off: FloatArray) -> FloatArray:
    """2 sum over groups of tau - M + M ln(M/tau), shape (points,)."""
    excess = np.divide(tau - off, off, out=np.zeros(np.broadcast_shapes(tau.shape, off.shape)), where=off > 0)
    with np.errstate(divide="ignore"):
        terms = np.where(off > 0, off * (excess - np.log1p(excess)), tau)
    return np.asarray(2 * np.sum(terms, axis=-1))
