"""chi^2 of one or two couplings with everything else minimised over: what intervals and contours search.

`Chi2` is the one that a likelihood has. A search needs no more than a `Function`: chi^2 and its slopes at many points
at once, each from a start of its own if there is one. What is minimised over (nuisances, hidden couplings) is the state
of a point. Where several minima compete, a point's neighbours know states that the point itself may not find.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.inference.hidden import HiddenStarts
from cevnslab.inference.rational import RationalChi2
from cevnslab.likelihood.compression import pseudo_binned, sketch
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import LOOSE, TOLERANCE, coupling_slopes
from cevnslab.likelihood.profile import ProfileLikelihood
from cevnslab.quadratic import Variable as Axis

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

CONTENDERS = 0.5
"""Of the starts of one point, those that end within this of the lowest are followed to the end."""
STRIDE, SMOOTH_STRIDE = 4, 12
"""On a path every so many points are searched from all starts; those between go on from their neighbours. Minima of
couplings that are minimised over change within a step, those of nuisances slowly."""
FEWEST_SEARCHES = 16
"""From all starts along a path, unless it is short."""
SMOOTH_STEP = 4
"""Every so many rows and columns of a grid are looked at first, where nuisances alone are minimised over."""
MOST_PASSES = 4
ALIKE = 0.3
"""In units of what is minimised over: states that are nearer are in one valley."""
AT_BOUND = 1e-6
"""A hidden coupling rests on a bound when it is this near, relative to its scale or size."""
LARGEST_BATCH = 2_000_000
"""Numbers that are kept at once for slopes."""


@dataclass(frozen=True, eq=False)
class Sample:
    """chi^2 at points, shape (points,)."""

    chi2: FloatArray
    slopes: FloatArray
    """Derivatives by the couplings, shape (points, couplings)."""
    state: FloatArray
    """Where all that is minimised over stands, shape (points, anything)."""

    def rows(self, selection: IntArray | NDArray[np.bool_]) -> Sample:
        """Those of some points."""
        return Sample(self.chi2[selection], self.slopes[selection], self.state[selection])

    def lower(self, other: Sample) -> Sample:
        """Of two samples of the same points the lower one, point by point."""
        better = other.chi2 < self.chi2
        return Sample(
            np.where(better, other.chi2, self.chi2),
            np.where(better[:, None], other.slopes, self.slopes),
            np.where(better[:, None], other.state, self.state),
        )

    def replaced(self, selection: IntArray, other: Sample) -> Sample:
        """The same with other samples of some points."""
        copy = Sample(self.chi2.copy(), self.slopes.copy(), self.state.copy())
        copy.chi2[selection], copy.slopes[selection], copy.state[selection] = other.chi2, other.slopes, other.state
        return copy


def joined(samples: Sequence[Sample]) -> Sample:
    """Samples of different points one after the other."""
    return Sample(
        np.concatenate([sample.chi2 for sample in samples]),
        np.concatenate([sample.slopes for sample in samples]),
        np.concatenate([sample.state for sample in samples]),
    )


class Function(Protocol):
    """chi^2 of couplings at points of shape (points, couplings), in plain units."""

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""

    @property
    def several(self) -> bool:
        """Whether several minima may compete in what is minimised over."""

    @property
    def ratio(self) -> RationalChi2 | None:
        """The closed form, where there is one: all minima and crossings at once."""

    def sample(self, points: FloatArray, starts: FloatArray | None = None, tolerance: float = TOLERANCE) -> Sample:
        """chi^2 at points: from the states `starts`, one per point, alone; from all starts there are without them.

        A loose tolerance (`LOOSE`) says how high a point lies, at a part of the cost.
        """

    def at_hidden_bound(self, state: FloatArray) -> NDArray[np.bool_]:
        """Whether in states, shape (points, anything), a coupling that is minimised over rests on its bound."""

    @property
    def stride(self) -> int:
        """Of so many points of a path one is searched from all starts."""

    @property
    def grid_step(self) -> int:
        """Of so many rows and columns of a grid one is looked at first."""

    def alike(self, first: FloatArray, second: FloatArray) -> NDArray[np.bool_]:
        """Whether two states, shape (points, anything), are so near that a search from either ends in one minimum."""


@dataclass(frozen=True, eq=False)
class Chi2:
    """chi^2 of one or two couplings of a likelihood, nuisances and hidden couplings minimised over."""

    profile: ProfileLikelihood
    """Of the couplings shown, then of the hidden ones."""
    leading: int = 1

    @classmethod
    def of(cls, likelihood: Likelihood, names: Sequence[str], over: Sequence[str] = ()) -> Chi2:
        """Of some couplings, those of `over` minimised over, all others as in the Standard Model."""
        return cls(ProfileLikelihood(likelihood, (*names, *over)), len(names))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings shown."""
        return self.profile.axes[: self.leading]

    @property
    def hidden(self) -> tuple[Axis, ...]:
        """Those that are minimised over."""
        return self.profile.axes[self.leading :]

    @cached_property
    def ratio(self) -> RationalChi2 | None:
        """The closed form along one or two couplings."""
        ratio = None if self.hidden else self.profile.ratio
        return None if ratio is None else RationalChi2(self.axes, ratio.numerator, ratio.denominator)

    @property
    def quick(self) -> bool:
        """Whether a point costs a few operations, or a minimisation."""
        return not self.hidden and self.profile.quick

    @cached_property
    def several(self) -> bool:
        """Whether several minima may compete: with hidden couplings, and where shapes bend."""
        parts = self.profile.parts
        return bool(self.hidden) or any(part.shaped for part, closed, _ in parts if closed is None)

    def sample(self, points: FloatArray, starts: FloatArray | None = None, tolerance: float = TOLERANCE) -> Sample:
        """chi^2, slopes and states at points of shape (points, couplings)."""
        if not len(points):
            return Sample(np.empty(0), np.empty((0, self.leading)), np.empty((0, self._state_size)))
        if self.ratio is not None:
            chi2, slopes = self.ratio.at(points)
            return Sample(chi2, slopes, np.empty((len(points), 0)))
        return self._minimised(points, starts, tolerance) if self.hidden else self._summed(points, starts, tolerance)

    # without hidden couplings: the parts of the likelihood one by one ------------------------------------------------

    def _summed(self, points: FloatArray, starts: FloatArray | None, tolerance: float) -> Sample:
        chi2, slopes = self.profile.prior_terms(points)
        states, column = [np.empty((len(points), 0))], 0
        for part, closed, columns in self.profile.parts:
            values = points[:, columns]
            if closed is not None:
                more, slope = closed.at(values)
            else:
                width = len(part.parameters)
                start = None if starts is None else starts[:, column : column + width]
                column += width
                minimum = part.minimised(values, starts=start, tolerance=tolerance)
                more, slope = _slopes(part, values, minimum.pulls)
                states.append(minimum.pulls)
            chi2 = chi2 + more
            slopes[:, columns] += slope
        return Sample(chi2, slopes, np.hstack(states))

    # with hidden couplings: all at once ------------------------------------------------------------------------------

    @cached_property
    def _joint(self) -> Likelihood:
        """The whole likelihood, sums of squares in pseudo-bins."""
        return pseudo_binned(self.profile.likelihood)

    @cached_property
    def _order(self) -> list[int]:
        """Where the couplings of the joint likelihood stand among ours."""
        return [self.profile.names.index(name) for name in self._joint.couplings]

    @property
    def _state_size(self) -> int:
        if self.hidden:
            return len(self.hidden) + len(self._joint.parameters)
        return sum(len(part.parameters) for part, closed, _ in self.profile.parts if closed is None)

    @cached_property
    def _starts(self) -> HiddenStarts:
        guide = self.profile
        if not guide.quick:
            guide = ProfileLikelihood(sketch(self.profile.likelihood), self.profile.names)
        return HiddenStarts(guide, self.leading)

    def _minimised(self, points: FloatArray, starts: FloatArray | None, tolerance: float) -> Sample:
        if starts is not None:
            return self._descended(points, starts[:, : len(self.hidden)], starts[:, len(self.hidden) :], tolerance)
        searches: list[tuple[IntArray, Sample]] = []
        bases = np.arange(len(points)), np.tile([axis.standard_model for axis in self.hidden], (len(points), 1))
        for _ in range(min(len(self.hidden), 2)):
            rows, values = self._starts.at(points, *bases)
            searches.append((rows, self._descended(points[rows], values, None, max(LOOSE, tolerance))))
            all_rows, merged = (
                np.concatenate([rows for rows, _ in searches]),
                joined([sample for _, sample in searches]),
            )
            lowest = _lowest(all_rows, merged, CONTENDERS)
            bases = all_rows[lowest], merged.state[lowest][:, : len(self.hidden)]
        rows, contenders = all_rows[lowest], merged.rows(lowest)
        if tolerance < LOOSE:
            last = self._descended(
                points[rows],
                contenders.state[:, : len(self.hidden)],
                contenders.state[:, len(self.hidden) :],
                tolerance,
            )
            contenders = contenders.lower(last)
        return contenders.rows(_lowest(rows, contenders, 0.0))

    def _descended(self, points: FloatArray, hidden: FloatArray, pulls: FloatArray | None, tolerance: float) -> Sample:
        """From one start of the hidden couplings per point, and one of the nuisances, or all that there are."""
        whole = np.hstack([points, hidden])[:, self._order]
        names = [axis.name for axis in self.hidden]
        minimum = self._joint.minimised(whole, names, pulls, tolerance=tolerance)
        chi2, by_order = _slopes(self._joint, minimum.couplings, minimum.pulls)
        slopes, couplings = np.empty_like(by_order), np.empty_like(by_order)
        slopes[:, self._order], couplings[:, self._order] = by_order, minimum.couplings
        state = np.hstack([couplings[:, self.leading :], minimum.pulls])
        return Sample(chi2, slopes[:, : self.leading], state)

    def hidden_values(self, state: FloatArray) -> FloatArray:
        """The couplings that are minimised over in states: shape (points, hidden)."""
        return state[:, : len(self.hidden)]

    def at_hidden_bound(self, state: FloatArray) -> NDArray[np.bool_]:
        """Whether in states a coupling that is minimised over rests on its bound."""
        resting = np.zeros(len(state), dtype=bool)
        for axis, values in zip(self.hidden, self.hidden_values(state).T, strict=True):
            for bound in axis.bounds:
                resting |= np.abs(values - bound) <= AT_BOUND * max(abs(bound), axis.scale)
        return resting

    @property
    def stride(self) -> int:
        """Of so many points of a path one is searched from all starts."""
        return STRIDE if self.hidden else SMOOTH_STRIDE

    @property
    def grid_step(self) -> int:
        """Of so many rows and columns of a grid one is looked at first."""
        return SMOOTH_STEP if self.several and not self.hidden else 1

    def alike(self, first: FloatArray, second: FloatArray) -> NDArray[np.bool_]:
        """Whether two states are in one valley: nuisances nearly the same, and no coupling that is minimised over.

        Minima of these can lie anywhere.
        """
        if self.hidden:
            return np.zeros(len(first), dtype=bool)
        return np.asarray(np.all(np.abs(first - second) < ALIKE, axis=1))

    # at values -------------------------------------------------------------------------------------------------------

    def values_at(self, points: FloatArray) -> FloatArray:
        """chi^2 at points, shape (points, couplings)."""
        return self.sample(points).chi2

    def gradient_at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 at points, and its derivatives by the couplings shown: shapes (points,) and (points, couplings)."""
        sample = self.sample(points)
        return sample.chi2, sample.slopes

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values of any shape."""
        values = np.asarray(value, dtype=float)
        if self.ratio is not None:
            return self.ratio(values)
        ordered, back = np.unique(values, return_inverse=True)
        return exact_path(self, ordered[:, None]).chi2[back].reshape(values.shape)

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""
        if self.ratio is not None:
            return self.ratio.on_grid(x, y)
        return exact_path(self, snake(x, y)).chi2[snake_order(len(x), len(y))].reshape(len(y), len(x))


@dataclass(frozen=True, eq=False)
class ClosedChi2:
    """chi^2 that is known as a ratio of polynomials alone, without the likelihood that it came from."""

    ratio: RationalChi2
    several: bool = False

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""
        return self.ratio.axes

    def sample(self, points: FloatArray, starts: FloatArray | None = None, tolerance: float = TOLERANCE) -> Sample:
        """chi^2 and slopes at points of shape (points, couplings); nothing is minimised over."""
        chi2, slopes = self.ratio.at(points)
        return Sample(chi2, slopes, np.empty((len(points), 0)))

    def at_hidden_bound(self, state: FloatArray) -> NDArray[np.bool_]:
        """No coupling is hidden."""
        return np.zeros(len(state), dtype=bool)

    @property
    def stride(self) -> int:
        """Every point is known."""
        return STRIDE

    @property
    def grid_step(self) -> int:
        """Every point is known."""
        return 1

    def alike(self, first: FloatArray, second: FloatArray) -> NDArray[np.bool_]:
        """There are no states."""
        return np.ones(len(first), dtype=bool)


def _slopes(likelihood: Likelihood, couplings: FloatArray, pulls: FloatArray) -> tuple[FloatArray, FloatArray]:
    """chi^2 and its slopes at minima, in batches."""
    step = max(1, LARGEST_BATCH // max(1, likelihood.model.numbers_per_point()))
    parts = [
        coupling_slopes(
            likelihood.model, couplings[first : first + step], pulls[first : first + step], likelihood.observation
        )
        for first in range(0, len(couplings), step)
    ]
    return np.concatenate([chi2 for chi2, _ in parts]), np.concatenate([slope for _, slope in parts])


def _lowest(rows: IntArray, sample: Sample, room: float) -> IntArray:
    """The places of the lowest sample of every row, and of those within some room of it that ended elsewhere."""
    order: IntArray = np.lexsort((sample.chi2, rows))
    first = np.ones(len(order), dtype=bool)
    first[1:] = rows[order][1:] != rows[order][:-1]
    if room <= 0:
        return np.asarray(order[first])
    lowest = sample.chi2[order][first][np.cumsum(first) - 1]
    previous = np.roll(sample.chi2[order], 1)
    # Those that ended at the same height ended at the same place.
    distinct = first | (sample.chi2[order] > previous + 1e-3)
    return np.asarray(order[distinct & (sample.chi2[order] <= lowest + room)])


def loose_path(function: Function, points: FloatArray, stride: int) -> Sample:
    """Loose samples at points of which neighbours in the array are neighbours in space.

    Where several minima compete a few points, `stride` apart, are searched from all starts. Those between go on from
    the states of both of these; where they are far apart, those halfway between first. Then every point tries its
    neighbours' states, until none is lower. Two states in one valley are one start.
    """
    stride = max(STRIDE, min(stride, len(points) // FEWEST_SEARCHES))
    if not function.several or len(points) <= STRIDE:
        return function.sample(points, tolerance=LOOSE)
    count = len(points)
    places = np.unique(np.append(np.arange(0, count, stride), count - 1))
    known = function.sample(points[places], tolerance=LOOSE)
    if stride <= STRIDE:
        left = np.searchsorted(places, np.arange(count), side="right") - 1
        right = np.minimum(left + 1, len(places) - 1)
        known = _from_both(function, points, known.rows(left), known.rows(right))
        places = np.arange(count)
    while len(places) < count:
        gaps = np.flatnonzero(np.diff(places) > 1)
        middle = (places[gaps] + places[gaps + 1]) // 2
        between = _from_both(function, points[middle], known.rows(gaps), known.rows(gaps + 1))
        order = np.argsort(np.concatenate([places, middle]), kind="stable")
        places, known = np.sort(np.concatenate([places, middle])), joined([known, between]).rows(order)
    return settled(function, points, known)


def settled(function: Function, points: FloatArray, known: Sample, high: float = np.inf) -> Sample:
    """Loose samples after every point has tried its neighbours' states, until none is lower.

    Two neighbours that are both above `high` are of no interest to each other.
    """
    count = len(points)
    active = np.arange(count)
    for _ in range(MOST_PASSES):
        improved = []
        for side in (-1, 1):
            rows = active[(active + side >= 0) & (active + side < count)]
            rows = rows[np.minimum(known.chi2[rows], known.chi2[rows + side]) < high]
            rows = rows[~function.alike(known.state[rows], known.state[rows + side])]
            trial = function.sample(points[rows], known.state[rows + side], LOOSE)
            better = trial.chi2 < known.chi2[rows] - LOOSE
            known = known.replaced(rows[better], trial.rows(better))
            improved.append(rows[better])
        improved_rows = np.concatenate(improved)
        active = np.unique(np.clip(np.concatenate([improved_rows - 1, improved_rows + 1]), 0, count - 1))
        if not len(improved_rows):
            break
    return known


def _from_both(function: Function, points: FloatArray, first: Sample, second: Sample) -> Sample:
    """Loose samples from the states of two neighbours each, or from their mean where both are in one valley."""
    lower, alike = first.lower(second), function.alike(first.state, second.state)
    start = np.where(alike[:, None], (first.state + second.state) / 2, lower.state)
    sample = function.sample(points, start, LOOSE)
    apart = np.flatnonzero(~alike)
    other = np.where((second.chi2 < first.chi2)[:, None], first.state, second.state)
    again = sample.rows(apart).lower(function.sample(points[apart], other[apart], LOOSE))
    return sample.replaced(apart, again)


def exact_path(function: Function, points: FloatArray) -> Sample:
    """The same to the end."""
    if not function.several:
        return function.sample(points)
    loose = loose_path(function, points, function.stride)
    return function.sample(points, loose.state) if len(points) > STRIDE else function.sample(points)


def snake(x: FloatArray, y: FloatArray) -> FloatArray:
    """The points of a grid as a path: rows to and fro."""
    return np.concatenate(
        [np.stack([x[:: 1 if row % 2 == 0 else -1], np.full(len(x), value)], axis=1) for row, value in enumerate(y)]
    )


def snake_order(columns: int, rows: int) -> IntArray:
    """Where the points of a grid, row by row, stand in the path."""
    places: IntArray = np.arange(columns * rows, dtype=np.int64).reshape(rows, columns)
    places[1::2] = places[1::2, ::-1]
    return np.asarray(places.ravel(), dtype=np.int64)
