"""chi^2 along lines parallel to an axis: all minima, and all places where it is below a level.

A line is first sampled on every decade of distance from the Standard Model. Values and slopes at two neighbours make a
cubic; where it comes near what is asked for the step is split, at the cubic's own extremum if it has one, until the
cubic foretells what is found there. So minima and peaks between two samples are found by their slopes, however the
first samples lie, and pieces that open and close where two minima of the nuisances cross are as well: such a crossing
is a peak with a kink. All lines and steps are split in one batch at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Function, Sample, joined, loose_path
from cevnslab.likelihood.minimiser import TOLERANCE

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DROP = 12.0
"""Above the highest level asked for, what a line does is of no interest."""
FLAT = 0.02
"""Steps along which chi^2 changes by less are straight."""
PLATEAU = 1e-3
"""The same high above all levels, where a dip shows by its slopes alone."""
ROUNDING = 1e-11
"""What is added there, as a part of the height."""
NOISE = 1e-3
"""The same where several minima compete: chi^2 is known fairly then."""
FAIR = 1e-6
"""Decrease of chi^2 that ends a search high above all levels where several minima compete."""
FORETOLD = 0.05
"""How well a cubic must foretell chi^2, away from levels and minima."""
NEAR = 0.1
"""Near a level, or the lowest minimum, as a part of the distance to it."""
UNCERTAIN = 0.3
"""The same of a step that seems to be too high to be of interest, as a part of its height."""
TRIAL_HEIGHT = 1000.0
"""Up to here above what is of interest every step is tried once."""
ROUGH = 1e-6
"""How far off a cubic may be for its extremum to be tried as it is."""
NARROWEST = 1e-6
"""Of its value: dips of a plateau that are narrower are not looked for."""
ROUNDED = 16 * np.finfo(float).eps
"""Of a coupling's reference: values that are nearer are not told apart."""
NARROW = 1e-3
"""The least part of a step that is split off."""
PATIENCE = 30
"""After as many passes a step above every level is halved, nearly: it ends in a jump, which no cubic foretells."""
HALF = 0.4
"""The least part that is split off then."""
WIDE = 0.1
"""The same of other steps whose extremum is badly known: it lies near an end and is crept up to."""
SURPRISE = 1.0
"""Where a cubic is off by more, its ends may have missed a minimum of what is minimised over."""
MISSED = 1e-6
"""A search from all starts that ends lower than a line by so much of chi^2 + 1 has found a minimum that it missed."""
MISLED = 0.5
"""A loose search that ends higher than where it would have come to by more than this part says nothing of heights."""
EXACT = 3e-11
"""How well the lowest minimum is known, in units of chi^2 + 1."""
MOST_PASSES = 60
MOST_STEPS = 60


@dataclass(frozen=True, eq=False)
class Lines:
    """Lines along one coupling of a function, samples in rising order on each of them."""

    function: Function
    column: int
    """The coupling that runs."""
    base: FloatArray
    """Where the other stands on each line, shape (lines, couplings); the running one's entries mean nothing."""
    line: IntArray
    """The line of every sample."""
    at: FloatArray
    """Values of the running coupling."""
    sample: Sample
    exact: BoolArray
    """Which samples were followed to the end; others are loose."""
    error: FloatArray
    """How far the cubic of each step (from a sample to the next) was off when it was last tried; infinite if never."""

    @property
    def slope(self) -> FloatArray:
        """Along the lines."""
        return self.sample.slopes[:, self.column]

    def points(self, line: IntArray, at: FloatArray) -> FloatArray:
        """Points of the function at values on lines."""
        points = self.base[line].copy()
        points[:, self.column] = at
        return points

    def steps(self) -> _Steps:
        """The steps between neighbours on a line, as cubics."""
        left = np.flatnonzero(self.line[1:] == self.line[:-1])
        return _Steps.of(left, self.at, self.sample.chi2, self.slope)


@dataclass(frozen=True, eq=False)
class _Steps:
    """Cubics p(s) = f0 + a s + (3 d - 2 a - b) s^2 + (a + b - 2 d) s^3 between neighbours, s from 0 to 1."""

    left: IntArray
    low: FloatArray
    width: FloatArray
    f0: FloatArray
    f1: FloatArray
    a: FloatArray
    b: FloatArray

    @classmethod
    def of(cls, left: IntArray, at: FloatArray, chi2: FloatArray, slope: FloatArray) -> _Steps:
        width = at[left + 1] - at[left]
        return cls(left, at[left], width, chi2[left], chi2[left + 1], slope[left] * width, slope[left + 1] * width)

    def rows(self, selection: NDArray[np.bool_] | IntArray) -> _Steps:
        """Some of them."""
        return _Steps(
            self.left[selection],
            self.low[selection],
            self.width[selection],
            self.f0[selection],
            self.f1[selection],
            self.a[selection],
            self.b[selection],
        )

    def value(self, s: FloatArray) -> FloatArray:
        """The cubic at a place between 0 and 1."""
        d = self.f1 - self.f0
        return self.f0 + s * (self.a + s * ((3 * d - 2 * self.a - self.b) + s * (self.a + self.b - 2 * d)))

    def extrema(self) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """(place, value) of the lowest and of the highest point of each cubic, its ends included."""
        d = self.f1 - self.f0
        cubic, square = 3 * (self.a + self.b - 2 * d), 3 * d - 2 * self.a - self.b
        root = np.sqrt(np.maximum(square**2 - cubic * self.a, 0.0))
        # The two roots of a + 2 square s + cubic s^2, without cancellation.
        q = -(square + np.where(square >= 0, root, -root))
        with np.errstate(all="ignore"):
            places = np.stack([np.zeros_like(d), np.ones_like(d), q / cubic, self.a / q])
        real = square**2 >= cubic * self.a
        places[2:] = np.where(real & np.isfinite(places[2:]) & (places[2:] > 0) & (places[2:] < 1), places[2:], 0.0)
        values = np.stack([self.value(place) for place in places])
        low, high = values.argmin(axis=0), values.argmax(axis=0)
        column = np.arange(len(d))
        return places[low, column], values[low, column], places[high, column], values[high, column]

    def highest_tangent(self) -> FloatArray:
        """Where both tangents meet: no peak between them is higher unless the slope grows on the way."""
        return np.where((self.a > 0) & (self.b < 0), self.f0 + self.a * np.clip(self.meeting(), 0, 1), -np.inf)

    def meeting(self) -> FloatArray:
        """The place where both tangents meet, from 0 to 1 in peaks and dips."""
        with np.errstate(all="ignore"):
            return np.asarray((self.f1 - self.b - self.f0) / (self.a - self.b))


def sampled(function: Function, column: int, base: FloatArray, grid: FloatArray) -> Lines:
    """The same first samples on all lines, loosely."""
    count = len(grid)
    line, at = np.repeat(np.arange(len(base)), count), np.tile(grid, len(base))
    path = np.arange(len(at)).reshape(len(base), count)
    path[1::2] = path[1::2, ::-1]
    points = base[line].copy()
    points[:, column] = at
    order = path.ravel()
    back = np.argsort(order, kind="stable")
    sample = loose_path(function, points[order], function.stride).rows(back)
    return Lines(function, column, base, line, at, sample, np.zeros(len(at), dtype=bool), np.full(len(at), np.inf))


def resolved(lines: Lines, reach: Sequence[float], floor: float | None = None) -> Lines:
    """Lines with as many samples as are needed.

    Raises `StatisticsError` where steps cannot be resolved.

    Parameters
    ----------
    reach
        The levels above the lowest chi^2 that will be asked for.
    floor
        The lowest chi^2, if it lies elsewhere: else the lowest on these lines.

    """
    levels = np.asarray(reach, dtype=float)
    cut = levels.max() + DROP
    for count in range(MOST_PASSES):
        lower = np.flatnonzero(~lines.exact & (lines.sample.chi2 < _lowest(lines, floor) + cut))
        if len(lower):
            lines = _sharpened(lines, lower, floor, cut)
        steps = lines.steps()
        split, place = _unresolved(lines, steps, floor, levels, count)
        if not len(split):
            more = _confirmed(lines, levels, floor) if lines.function.several else lines
            if more is lines:
                return lines
            lines = more
            continue
        ends = np.union1d(steps.left[split], steps.left[split] + 1)
        if not lines.exact[ends].all():
            loose = lines.sample.chi2[ends]
            lines = _sharpened(lines, ends[~lines.exact[ends]], floor, cut)
            if np.any(lines.sample.chi2[ends] < MISLED * loose - SURPRISE):
                # A plateau, where a loose search gives up far too high: its samples are not sharpened pair by pair.
                lines = _sharpened(lines, np.flatnonzero(~lines.exact), floor, cut)
            continue
        lines = _split(lines, steps.rows(split), place, floor, cut)
    raise StatisticsError(f"chi^2 along {lines.function.axes[lines.column].name} is too uneven for its intervals")


def _lowest(lines: Lines, floor: float | None) -> float:
    return float(lines.sample.chi2.min()) if floor is None else min(floor, float(lines.sample.chi2.min()))


def _sharpened(lines: Lines, selection: IntArray, floor: float | None, cut: float) -> Lines:
    """Loose samples followed to the end, or fairly near to it where they are too high to matter by themselves."""
    exact = lines.exact.copy()
    exact[selection] = True
    high = lines.sample.chi2[selection] > _lowest(lines, floor) + cut
    for rows, tolerance in ((selection[~high], TOLERANCE), (selection[high], _fair(lines.function))):
        if len(rows):
            points = lines.points(lines.line[rows], lines.at[rows])
            sample = lines.function.sample(points, lines.sample.state[rows], tolerance)
            lines = replace(lines, sample=lines.sample.replaced(rows, sample))
    return replace(lines, exact=exact)


def _unresolved(
    lines: Lines, steps: _Steps, floor: float | None, levels: FloatArray, count: int
) -> tuple[IntArray, FloatArray]:
    """The steps to be split after so many passes, and where."""
    s_low, low, s_high, high = steps.extrema()
    lowest = _lowest(lines, floor)
    heights = lowest + levels
    error = lines.error[steps.left]
    flat = np.maximum(np.maximum(np.abs(steps.a), np.abs(steps.b)), high - low)
    cut = heights.max() + DROP
    noise = (NOISE if lines.function.several else ROUNDING) * np.maximum(low - cut, 0.0)
    flat = flat < np.where(low > cut, PLATEAU, FLAT) + noise
    dip = (steps.a < 0) & (steps.b > 0)
    peak = (steps.a > 0) & (steps.b < 0)
    # How far a dip or a peak is from the nearest level says how well it must be known.
    distance = np.min(np.abs(np.where(peak, high, low)[:, None] - heights), axis=1)
    tolerance = np.where(dip | peak, np.clip(NEAR * distance, EXACT, FORETOLD), FORETOLD)
    # Where chi^2 may be lower than at any sample; on Asimov data it is zero at one, and never less.
    exact = EXACT * (1 + abs(lowest))
    bottom = dip & (low - np.minimum(error, FORETOLD) < lowest - exact) & (lowest > exact) & (floor is None)
    tolerance = np.where(bottom, exact, tolerance)
    error = np.where(bottom, np.maximum(error, np.minimum(steps.f0, steps.f1) - low), error)
    # A peak far below every level, or a kink that cannot reach one, is of no interest.
    below = np.maximum(steps.highest_tangent(), high) + FORETOLD < heights.min()
    tolerance = np.where(peak & below, FORETOLD, tolerance)
    # On a plateau with narrow dips a cubic is far off: it must be known well enough to say that a step is high, and a
    # dip is not what it seems unless the cubic foretells its depth.
    tolerance = np.where(low > cut, FORETOLD + UNCERTAIN * (low - cut), tolerance)
    depth = np.minimum(steps.f0, steps.f1) - low
    tolerance = np.where(dip & (low > cut), np.minimum(tolerance, np.maximum(UNCERTAIN * depth, PLATEAU)), tolerance)
    reliable = np.isfinite(error) | (np.minimum(steps.f0, steps.f1) > cut + TRIAL_HEIGHT)
    near = (low < cut) | dip | ~reliable | (np.isfinite(error) & (error > tolerance))
    smallest = np.where(low > cut, NARROWEST, 1e-13)
    small = steps.width <= smallest * np.maximum(np.abs(steps.low), np.abs(steps.low + steps.width))
    # Polynomials know a coupling by its distance from a reference: what lies nearer than its rounding is one value.
    small |= steps.width <= ROUNDED * abs(lines.function.axes[lines.column].reference)
    split = np.flatnonzero(near & ~small & ~(flat & ~bottom) & (error > tolerance))
    inner = np.where(dip, s_low, np.where(peak, s_high, 0.5))[split]
    # Beside the lowest sample, a cubic that was off by more than its step is high foretells nothing where one end is
    # far steeper than that: the bottom is near where the tangents meet, decades of the coupling from the middle.
    meeting, height = steps.meeting(), np.abs(steps.f1 - steps.f0)
    steep = dip & (np.minimum(steps.f0, steps.f1) == lowest) & (np.minimum(meeting, 1 - meeting) < NARROW)
    steep = (steep & np.isfinite(error) & (error > height) & (height > SURPRISE))[split] & (count >= PATIENCE / 2)
    inner = np.where(steep, meeting[split], inner)
    # An extremum near one end is shut in from its other side, unless it is known well already.
    rough = (error[split] > ROUGH) & ~steep
    inner = np.where(rough & (inner < 0.25), 2 * inner, np.where(rough & (inner > 0.75), 2 * inner - 1, inner))
    late = count >= PATIENCE
    narrow = np.where((low > cut)[split] & late, HALF, np.where(rough & late, WIDE, NARROW))
    return split, np.where((inner <= 0) | (inner >= 1), 0.5, np.clip(inner, narrow, 1 - narrow))


def _confirmed(lines: Lines, levels: FloatArray, floor: float | None) -> Lines:
    """The lines themselves where no minimum is missed at their crossings and lowest points; else with samples of it.

    Between samples that were searched from all starts, others go on from their neighbours: a minimum that appears and
    vanishes between them, over decades of the coupling even, would leave a false gap.
    """
    lowest = _lowest(lines, floor)
    edges = [crossings(lines, lowest + level) for level in levels]
    bottom = np.flatnonzero(lines.sample.chi2 == lines.sample.chi2.min())[:1]
    line = np.concatenate([lines.line[bottom], *(edge.line for edge in edges)])
    at = np.concatenate([lines.at[bottom], *(edge.at for edge in edges)])
    known = np.concatenate([lines.sample.chi2[bottom], *(edge.sample.chi2 for edge in edges)])
    sample = lines.function.sample(lines.points(line, at))
    missed = np.flatnonzero(known - sample.chi2 > MISSED * (1 + np.abs(known)))
    return lines if not len(missed) else _inserted(lines, line[missed], at[missed], sample.rows(missed))


def _inserted(lines: Lines, line: IntArray, at: FloatArray, sample: Sample) -> Lines:
    """Lines with more samples, from whose states their neighbours go on."""
    lines = Lines(
        lines.function,
        lines.column,
        lines.base,
        np.concatenate([lines.line, line]),
        np.concatenate([lines.at, at]),
        joined([lines.sample, sample]),
        np.concatenate([lines.exact, np.ones(len(at), dtype=bool)]),
        np.concatenate([lines.error, np.full(len(at), np.inf)]),
    )
    order = np.lexsort((lines.sample.chi2, lines.at, lines.line))
    # Of two samples of one place the lower one stays.
    first = np.append(True, (np.diff(lines.line[order]) != 0) | (np.diff(lines.at[order]) != 0))
    places = order[first]
    fresh = np.flatnonzero(places >= len(order) - len(at))
    lines = replace(
        lines,
        line=lines.line[places],
        at=lines.at[places],
        sample=lines.sample.rows(places),
        exact=lines.exact[places],
        error=lines.error[places],
    )
    errors = lines.error.copy()
    errors[fresh] = errors[np.maximum(fresh - 1, 0)] = np.inf
    lines = replace(lines, error=errors)
    for side in (-1, 1):
        beside = np.clip(fresh + side, 0, len(lines.at) - 1)
        same = (beside != fresh) & (lines.line[beside] == lines.line[fresh])
        lines = _going_on(lines, beside[same], np.full(int(same.sum()), side), lines.sample.state[fresh[same]])
    return lines


def _fair(function: Function) -> float:
    return FAIR if function.several else TOLERANCE


def _split(lines: Lines, steps: _Steps, place: FloatArray, floor: float | None, cut: float) -> Lines:
    """One more sample in each of these steps."""
    at = steps.low + place * steps.width
    line = lines.line[steps.left]
    points = lines.points(line, at)
    sample = between(lines, steps.left, steps.left + 1, place, points, _fair(lines.function))
    low = np.flatnonzero(sample.chi2 < _lowest(lines, floor) + cut)
    if len(low) and lines.function.several:
        sample = sample.replaced(low, lines.function.sample(points[low], sample.state[low]))
    error = np.abs(sample.chi2 - steps.value(place))
    if lines.function.several:
        lines = _told(lines, steps.left[error > SURPRISE], sample.rows(error > SURPRISE))
    errors = lines.error.copy()
    errors[steps.left] = error
    where = steps.left + 1
    return Lines(
        lines.function,
        lines.column,
        lines.base,
        np.insert(lines.line, where, line),
        np.insert(lines.at, where, at),
        Sample(
            np.insert(lines.sample.chi2, where, sample.chi2),
            np.insert(lines.sample.slopes, where, sample.slopes, axis=0),
            np.insert(lines.sample.state, where, sample.state, axis=0),
        ),
        np.insert(lines.exact, where, True),
        np.insert(errors, where, error),
    )


def _told(lines: Lines, left: IntArray, news: Sample) -> Lines:
    """The ends of steps go on from what was found between them, should it be a lower minimum's.

    As do their neighbours, as far as it is lower by as much as surprises: on a plateau a minimum can have been missed
    over decades of the coupling.
    """
    ends, outwards = np.concatenate([left, left + 1]), np.repeat([-1, 1], len(left))
    return _going_on(lines, ends, outwards, np.concatenate([news.state, news.state]))


def _going_on(lines: Lines, ends: IntArray, outwards: IntArray, state: FloatArray) -> Lines:
    """Samples and those beyond them, in a direction each, from a state: as long as it leads to a lower minimum."""
    exact = lines.exact.copy()
    while len(ends):
        points = lines.points(lines.line[ends], lines.at[ends])
        trial = lines.function.sample(points, state, FAIR)
        fall = lines.sample.chi2[ends] - trial.chi2
        exact[ends[fall > 0]] = False
        lines = replace(lines, sample=lines.sample.replaced(ends[fall > 0], trial.rows(fall > 0)))
        further = np.clip(ends + outwards, 0, len(lines.at) - 1)
        going = (fall > SURPRISE) & (further != ends) & (lines.line[further] == lines.line[ends])
        ends, outwards, state = further[going], outwards[going], trial.state[going]
    return replace(lines, exact=exact)


def between(
    lines: Lines, left: IntArray, right: IntArray, place: FloatArray, points: FloatArray, tolerance: float
) -> Sample:
    """Samples between two known ones."""
    state = lines.sample.state
    return _from_states(lines.function, points, state[left], state[right], place, tolerance)


def _from_states(
    function: Function, points: FloatArray, first: FloatArray, second: FloatArray, place: FloatArray, tolerance: float
) -> Sample:
    """Samples from a state between two; where several minima compete and these are not in one valley, from both."""
    mean = first + place[:, None] * (second - first)
    if not function.several:
        return function.sample(points, mean, tolerance)
    apart = ~function.alike(first, second)
    sample = function.sample(points, np.where(apart[:, None], first, mean), tolerance)
    rows = np.flatnonzero(apart)
    return sample.replaced(rows, sample.rows(rows).lower(function.sample(points[rows], second[rows], tolerance)))


@dataclass(frozen=True, eq=False)
class Crossings:
    """Where lines cross a level: in rising order on each line."""

    line: IntArray
    at: FloatArray
    sample: Sample


def crossings(lines: Lines, level: float) -> Crossings:
    """All crossings of a level, from both brackets by Newton's steps with the exact slope."""
    below = lines.sample.chi2 < level
    left = np.flatnonzero((lines.line[1:] == lines.line[:-1]) & (below[1:] != below[:-1]))
    right = left + 1
    line = lines.line[left]
    low, high = lines.at[left].copy(), lines.at[right].copy()
    first, second = lines.sample.rows(left), lines.sample.rows(right)
    ends = Lines(lines.function, lines.column, lines.base, line, low, first, np.empty(0, dtype=bool), np.empty(0))
    nearer = np.abs(first.chi2 - level) <= np.abs(second.chi2 - level)
    at, best = np.where(nearer, low, high), second.lower(first)
    best = Sample(
        np.where(nearer, first.chi2, second.chi2),
        np.where(nearer[:, None], first.slopes, second.slopes),
        np.where(nearer[:, None], first.state, second.state),
    )
    active = np.flatnonzero(best.chi2 != level)
    for _ in range(MOST_STEPS):
        if not len(active):
            break
        with np.errstate(all="ignore"):
            trial = at[active] - (best.chi2[active] - level) / best.slopes[active, lines.column]
        inside = (trial > low[active]) & (trial < high[active])
        trial = np.where(inside, trial, (low[active] + high[active]) / 2)
        points = ends.points(line[active], trial)
        middle = np.full(len(active), 0.5)
        sample = _from_states(lines.function, points, first.state[active], second.state[active], middle, TOLERANCE)
        distance = np.abs(trial - at[active])
        at[active] = trial
        best = best.replaced(active, sample)
        same = (sample.chi2 < level) == below[left[active]]
        low[active[same]], high[active[~same]] = trial[same], trial[~same]
        first = first.replaced(active[same], sample.rows(same))
        second = second.replaced(active[~same], sample.rows(~same))
        with np.errstate(all="ignore"):
            remaining = np.abs((sample.chi2 - level) / sample.slopes[:, lines.column])
        size = np.abs(trial) + np.abs(lines.function.axes[lines.column].scale) * 1e-3
        converged = (
            (remaining < 1e-12 * size) | (distance <= 1e-15 * size) | (high[active] - low[active] <= 1e-14 * size)
        )
        active = active[~converged]
    return Crossings(line, at, best)
