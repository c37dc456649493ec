"""Level sets of chi^2 of two couplings, followed from many seeds at once until each arrives at the next.

A front leaves every seed with the region on its left: a step along the tangent, then Newton's steps along the gradient
back onto the level set. Steps shorten where the direction turns. A front that passes a seed of the same direction is
done; so a curve is closed by as many short walks as it has seeds, all in one batch. At the couplings' bounds curves
begin and end, and regions are closed along the bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Function, Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LONGEST_STEP, FIRST_STEP, SHORTEST_STEP = 0.02, 0.01, 1e-9
"""Of the region's width and height."""
TURN, LARGEST_TURN = 0.06, 0.3
"""Radians by which the direction should turn in a step, and may."""
CORNER_STEP = 1e-4
"""Steps this short may turn by any angle: two minima of what is minimised over make a corner where they cross."""
ON_LEVEL = 3e-10
"""How near to the level a vertex is, in units of the level + 1."""
NOISE, ROUNDING = 3e-11, 1e-8
"""The same in units of the region's size, where chi^2 is too steep for that: what is aimed at, and what will do."""
MOST_NEWTON, MOST_STEPS = 8, 4000
ALIKE = 0.7
"""Cosine between the directions of a front and of a seed that it arrives at."""
BESIDE = 0.12
"""How far a seed may lie beside the step that passes it, in lengths of the step."""
TOGETHER = 1e-7
"""Seeds that are nearer are one."""


@dataclass(frozen=True, eq=False)
class Frame:
    """Couplings in units of the region's width and height."""

    function: Function
    level: float
    origin: FloatArray
    span: FloatArray

    @property
    def box(self) -> tuple[FloatArray, FloatArray]:
        """Lower and upper bounds of both couplings."""
        bounds = np.array([axis.bounds for axis in self.function.axes])
        return (bounds[:, 0] - self.origin) / self.span, (bounds[:, 1] - self.origin) / self.span

    def plain(self, unit: FloatArray) -> FloatArray:
        """Points in plain units, never beyond the bounds."""
        bounds = np.array([axis.bounds for axis in self.function.axes])
        return np.clip(self.origin + unit * self.span, bounds[:, 0], bounds[:, 1])

    def sample(self, unit: FloatArray, starts: FloatArray) -> Sample:
        """chi^2 less the level, its gradient per unit, states."""
        sample = self.function.sample(self.plain(unit), starts)
        return Sample(sample.chi2 - self.level, sample.slopes * self.span, sample.state)


class UnresolvedRegionError(StatisticsError):
    """A region whose edge cannot be followed; `point` is where, in plain units."""

    def __init__(self, frame: Frame, point: FloatArray) -> None:
        names = " and ".join(axis.name for axis in frame.function.axes)
        super().__init__(f"the region of {names} is not resolved near ({point[0]:.4g}, {point[1]:.4g})")
        self.point = point


@dataclass(frozen=True, eq=False)
class Seeds:
    """Points on the level set, in a frame's units."""

    at: FloatArray
    gradient: FloatArray
    state: FloatArray

    def rows(self, selection: IntArray | BoolArray) -> Seeds:
        """Some of them."""
        return Seeds(self.at[selection], self.gradient[selection], self.state[selection])

    @property
    def tangent(self) -> FloatArray:
        """Directions with the region, where chi^2 is lower, on the left."""
        return tangents(self.gradient)


def tangents(gradient: FloatArray) -> FloatArray:
    """Directions with lower values on the left, shape (points, 2), from gradients."""
    size = np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-300)
    return np.asarray(np.stack([-gradient[:, 1], gradient[:, 0]], axis=1) / size)


def sides(frame: Frame, at: FloatArray) -> IntArray:
    """The side of the box on which points lie: 0 bottom, 1 right, 2 top, 3 left; -1 inside."""
    low, high = frame.box
    number = np.full(len(at), -1)
    for side, (column, bound) in enumerate(((1, low[1]), (0, high[0]), (1, high[1]), (0, low[0]))):
        number[np.abs(at[:, column] - bound) < 1e-12 * (1 + abs(bound))] = side
    return number


OUTWARDS = np.array([[0.0, -1.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
"""Normals of the four sides."""


def distinct(seeds: Seeds) -> Seeds:
    """Each seed once."""
    apart = np.abs(seeds.at[:, None, :] - seeds.at[None, :, :]).max(axis=2)
    same = (apart < TOGETHER) & (seeds.gradient @ seeds.gradient.T > 0)
    return seeds.rows(~np.any(np.tril(same, -1), axis=1))


def corrected(
    frame: Frame, unit: FloatArray, starts: FloatArray, held: BoolArray
) -> tuple[FloatArray, Sample, BoolArray]:
    """Points moved onto the level set along the gradient: where they are, and whether they got there.

    Couplings that are `held`, shape (points, 2), stay where they are, on a bound.
    """
    low, high = frame.box
    at, best = unit.copy(), frame.sample(unit, starts)
    active = np.flatnonzero(~_on_level(frame, best, NOISE))
    for _ in range(MOST_NEWTON):
        if not len(active):
            break
        gradient = np.where(held[active], 0.0, best.slopes[active])
        size = np.maximum(np.sum(gradient**2, axis=1), 1e-300)
        step = (best.chi2[active] / size)[:, None] * gradient
        length = np.linalg.norm(step, axis=1, keepdims=True)
        at[active] = np.clip(at[active] - step * np.minimum(1.0, LONGEST_STEP / np.maximum(length, 1e-300)), low, high)
        best = best.replaced(active, frame.sample(at[active], best.state[active]))
        active = active[~_on_level(frame, best.rows(active), NOISE)]
    return at, best, _on_level(frame, best, ROUNDING)


def _on_level(frame: Frame, sample: Sample, apart: float) -> BoolArray:
    """Whether points are on the level set: to a part of the level, or as near as rounding lets them be."""
    near = np.abs(sample.chi2) <= apart * np.linalg.norm(sample.slopes, axis=1)
    return np.asarray(near | (np.abs(sample.chi2) <= ON_LEVEL * (1 + abs(frame.level))))


@dataclass
class _Walks:
    """Fronts on their way, one per seed."""

    at: FloatArray
    gradient: FloatArray
    state: FloatArray
    length: FloatArray
    paths: list[list[FloatArray]]
    arrived: IntArray
    """The seed that a front arrived at, -1 as long as it is on its way."""


def followed(frame: Frame, seeds: Seeds, longest: float = LONGEST_STEP) -> tuple[IntArray, list[list[FloatArray]]]:
    """The seed after each seed (-1 after one at which a curve leaves the box), and the points between.

    Raises `StatisticsError` where a front gets lost.
    """
    low, high = frame.box
    side = sides(frame, seeds.at)
    leaving = (side >= 0) & (np.sum(seeds.tangent * OUTWARDS[side], axis=1) > 0)
    walks = _Walks(
        seeds.at.copy(),
        seeds.gradient.copy(),
        seeds.state.copy(),
        np.full(len(seeds.at), min(FIRST_STEP, longest)),
        [[] for _ in seeds.at],
        np.full(len(seeds.at), -1),
    )
    active = np.flatnonzero(~leaving)
    for _ in range(MOST_STEPS):
        if not len(active):
            return walks.arrived, walks.paths
        before, tangent = walks.at[active], tangents(walks.gradient[active])
        step = walks.length[active]
        # A step that leads out of the box ends on its side.
        with np.errstate(all="ignore"):
            room = np.where(tangent > 0, high - before, low - before) / tangent
        room = np.where(tangent == 0, np.inf, np.maximum(room, 0.0))
        outside = room.min(axis=1) < step
        held = outside[:, None] & (room == room.min(axis=1)[:, None])
        step = np.where(outside, room.min(axis=1), step)
        trial = np.where(held, np.where(tangent > 0, high, low), before + step[:, None] * tangent)
        at, sample, there = corrected(frame, np.clip(trial, low, high), walks.state[active], held)
        chord = at - before
        distance = np.linalg.norm(chord, axis=1)
        turn = np.arccos(np.clip(np.sum(tangent * tangents(sample.slopes), axis=1), -1, 1))
        ahead = np.sum(chord * tangent, axis=1) > 0.3 * step
        good = there & ahead & (distance < 2 * step) & ((turn < LARGEST_TURN) | (step < CORNER_STEP))
        # What leaves the box arrives at a seed on its side, or steps more carefully.
        target = _passed(seeds, leaving, active, before, at, sample.slopes, outside, walks)
        good &= ~outside | (target >= 0)
        walks.length[active] = np.where(
            good, np.clip(step * np.clip(TURN / np.maximum(turn, 1e-3), 0.4, 2.0), 0, longest), step / 2
        )
        if np.any(walks.length[active] < SHORTEST_STEP):
            lost = frame.plain(before[walks.length[active] < SHORTEST_STEP])[0]
            raise UnresolvedRegionError(frame, lost)
        arrival = good & (target >= 0)
        walks.arrived[active[arrival]] = target[arrival]
        for place in np.flatnonzero(good & ~arrival):
            walks.paths[active[place]].append(at[place])
        moving = active[good]
        walks.at[moving], walks.gradient[moving], walks.state[moving] = (
            at[good],
            sample.slopes[good],
            sample.state[good],
        )
        active = active[~arrival]
    raise StatisticsError("the edge of a region is too long to be followed")


def _passed(
    seeds: Seeds,
    leaving: BoolArray,
    active: IntArray,
    before: FloatArray,
    after: FloatArray,
    gradient: FloatArray,
    outside: BoolArray,
    walks: _Walks,
) -> IntArray:
    """The first seed that each step passes; -1 where there is none."""
    chord = after - before
    squared = np.maximum(np.sum(chord**2, axis=1), 1e-300)[:, None]
    offset = seeds.at[None, :, :] - before[:, None, :]
    along = np.einsum("fsc,fc->fs", offset, chord) / squared
    across = np.abs(offset[:, :, 0] * chord[:, None, 1] - offset[:, :, 1] * chord[:, None, 0]) / squared
    directions = seeds.tangent
    alike = np.maximum(directions @ chord.T / np.sqrt(squared).T, directions @ tangents(gradient).T).T > ALIKE
    passed = (along > 1e-6) & (along <= 1.0 + 1e-9) & (across < BESIDE) & alike
    # A step out of the box ends on its side, a little before or behind the seed there.
    near = np.linalg.norm(seeds.at[None, :, :] - after[:, None, :], axis=2) < 0.5 * np.sqrt(squared)
    passed |= outside[:, None] & leaving[None, :] & near & alike
    # A front is at its own seed when it starts.
    itself = active[:, None] == np.arange(len(seeds.at))[None, :]
    fresh = np.array([not walks.paths[place] for place in active])
    passed &= ~(itself & fresh[:, None])
    first = np.where(passed, along, np.inf).argmin(axis=1)
    return np.where(passed.any(axis=1), first, -1)


def linked(frame: Frame, seeds: Seeds) -> tuple[IntArray, list[list[FloatArray]], Seeds]:
    """Followed seeds such that each but those at which curves begin is arrived at once.

    Raises `StatisticsError` where this cannot be reached.
    """
    longest = LONGEST_STEP
    for _ in range(4):
        after, paths = followed(frame, seeds, longest)
        arrivals = np.bincount(after[after >= 0], minlength=len(seeds.at))
        side = sides(frame, seeds.at)
        entering = (side >= 0) & (np.sum(seeds.tangent * OUTWARDS[side], axis=1) < 0)
        wrong = np.flatnonzero((arrivals != 1) & ~(entering & (arrivals == 0)))
        if not len(wrong):
            return after, paths, seeds
        # A seed that a front walked past belongs to the curve all the same: the others hold it without that seed.
        lonely = np.flatnonzero((arrivals == 0) & ~entering & (side < 0))
        dropped = [place for place in lonely if _on_a_path(seeds.at[place], int(place), seeds, after, paths)]
        if dropped:
            seeds = seeds.rows(np.setdiff1d(np.arange(len(seeds.at)), dropped))
        longest /= 4
    where = frame.plain(seeds.at[wrong])[0]
    raise UnresolvedRegionError(frame, where)


def _on_a_path(point: FloatArray, place: int, seeds: Seeds, after: IntArray, paths: Sequence[list[FloatArray]]) -> bool:
    """Whether another seed's path runs by a point."""
    for other, path in enumerate(paths):
        if other == place or after[other] < 0:
            continue
        line = np.array([seeds.at[other], *path, seeds.at[after[other]]])
        chord, offset = np.diff(line, axis=0), point - line[:-1]
        squared = np.maximum(np.sum(chord**2, axis=1), 1e-300)
        along = np.clip(np.sum(chord * offset, axis=1) / squared, 0, 1)
        apart = np.linalg.norm(offset - along[:, None] * chord, axis=1)
        if np.any(apart < 0.3 * np.sqrt(squared)):
            return True
    return False


def polygons(frame: Frame, seeds: Seeds) -> list[FloatArray]:
    """Closed polygons around the region, in plain units: the even-odd rule fills them.

    Raises `StatisticsError` where curves do not close.
    """
    if not len(seeds.at):
        return []
    after, paths, seeds = linked(frame, seeds)
    side = sides(frame, seeds.at)
    leaving = np.flatnonzero((side >= 0) & (after < 0))
    entering = np.flatnonzero((side >= 0) & (after >= 0) & (np.bincount(after[after >= 0], minlength=len(after)) == 0))
    turning = {int(place): _round(frame, seeds, side, int(place), leaving, entering) for place in leaving}
    closed, unused = [], set(range(len(seeds.at)))
    while unused:
        place = first = min(unused, key=lambda k: (k not in entering, k))
        line: list[FloatArray] = []
        while True:
            if place not in unused:
                raise StatisticsError("the edges of a region do not close")
            unused.remove(place)
            line.append(seeds.at[place])
            if after[place] >= 0:
                line += paths[place]
                place = int(after[place])
            else:
                place, corners = turning[place]
                line += corners
            if place == first:
                break
        closed.append(frame.plain(np.array([*line, line[0]])))
    return closed


def around(frame: Frame, at: FloatArray, side: IntArray) -> FloatArray:
    """How far points lie on the way around the box, counter-clockwise from the lower left corner, from 0 to 4."""
    low, high = frame.box
    share = (at - low) / (high - low)
    along = np.where(side == 0, share[:, 0], np.where(side == 1, share[:, 1], 1 - share[:, 0]))
    return np.asarray(side + np.where(side == 3, 1 - share[:, 1], along))


def _round(
    frame: Frame, seeds: Seeds, side: IntArray, place: int, leaving: IntArray, entering: IntArray
) -> tuple[int, list[FloatArray]]:
    """From where a curve leaves the box along its sides to where the next one enters, and the corners on the way."""
    low, high = frame.box
    corners = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    both = np.concatenate([leaving, entering])
    way = around(frame, seeds.at[both], side[both])
    start = way[list(both).index(place)]
    ahead = (way - start) % 4
    ahead[list(both).index(place)] = 4.0
    nearest = int(both[ahead.argmin()])
    if nearest not in entering:
        where = frame.plain(seeds.at[[place]])[0]
        raise StatisticsError(f"the region is not resolved on the bound at ({where[0]:.4g}, {where[1]:.4g})")
    passed = [number for number in range(1, 5) if 0 < (number - start) % 4 < ahead.min()]
    passed.sort(key=lambda number: (number - start) % 4)
    return nearest, [corners[number % 4] for number in passed]
