"""Confidence regions of two couplings, as closed polygons on the level set.

A grid over all decades shows islands; the lowest points among its dips are followed to minima, and lines through these
and along the couplings' bounds are searched for every crossing of the level. These are seeds from which the level set
is followed, so that a region has its shape whatever the grid: bands as thin as a degeneracy makes them, regions with
holes, islands, edges along bounds. In the end the polygons are held against the grid. A closed form is cheap enough to
be traced on a finer grid, and is followed only where that does not show all of its edge (`tracing.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Function, Sample, joined
from cevnslab.inference.curves import Lines, crossings, resolved, sampled
from cevnslab.inference.following import Frame, Seeds, UnresolvedRegionError, distinct, polygons
from cevnslab.inference.grids import SMALLEST_DECADE, Grid, first_grid, inside, trace
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.rational import RationalChi2
from cevnslab.inference.tracing import surrounding, traced

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Box = tuple[tuple[float, float], tuple[float, float]]
"""(low, high) of x and of y."""

CLOSED_BOX, BOX = 60, 24
"""Along each axis of the second grid, around the region."""
MARGIN = 0.06
LINE_POINTS = 3
"""Per decade, of the lines through minima."""
MOST_MINIMA = 12
"""Of the lowest, through which lines are searched."""
MOST_SEEDS = 48
"""Of one line of the grid's contours."""
MOST_DESCENTS = 60
MOST_ATTEMPTS = 5
"""To follow a region's edge with more seeds on the bounds that it runs into."""
NEAR_A_BOUND = 1e-6
"""Of the region's size: a curve that gets lost so near leaves the box."""
CLEAR = 0.05
"""Of the level: points of the grid nearer to it are not held against the polygons."""


@dataclass(frozen=True, eq=False)
class Contour:
    """The region chi^2 - chi^2_min < level of two couplings; polygons are (points, 2) in plain units, closed."""

    couplings: tuple[str, str]
    confidence_level: float
    delta_chi2: float
    polygons: tuple[FloatArray, ...]


def contours(function: Function, confidence_levels: Sequence[float]) -> tuple[Contour, ...]:
    """The region of two couplings at each of several confidence levels, by one search; see `contour`."""
    rises = [delta_chi2_level(confidence, 2) for confidence in confidence_levels]
    search = _Search.of(function, rises)
    return tuple(
        Contour((function.axes[0].name, function.axes[1].name), confidence, rise, tuple(search.region(rise)))
        for confidence, rise in zip(confidence_levels, rises, strict=True)
    )


def contour(function: Function, confidence_level: float) -> Contour:
    """The confidence region of two couplings, at the level of two parameters.

    An island is missed if it is smaller than a step of the grid and makes no dip on it: four steps where nuisances are
    minimised over and chi^2 is even, or far above the level. A region that reaches the bounds of a coupling is closed
    along them. Raises `StatisticsError`, which says where, for a region that is not resolved.
    """
    return contours(function, [confidence_level])[0]


SKETCH_POINTS = 161
"""Of a sketch, along each axis of the box around the region."""


def sketch(function: Function, confidence_level: float) -> tuple[FloatArray, ...]:
    """The polygons of a closed form as two grids show them, in a few milliseconds: for the eye, while something moves.

    They lie within a part in 10^3 of the region's width of those of `contour`; an island smaller than a step of the
    first grid is missed.
    """
    grid = first_grid(function)
    level = float(grid.chi2.min()) + delta_chi2_level(confidence_level, 2)
    box = surrounding(function, *grid.extent(level), level, SKETCH_POINTS)
    return trace(box.x, box.y, box.chi2, level)


@dataclass(frozen=True, eq=False)
class _Search:
    """What is known of a chi^2 whatever the level: its grid over all decades and its minima."""

    function: Function
    rises: Sequence[float]
    """All levels above the lowest chi^2 that will be asked for."""
    grid: Grid
    minima: _Minima
    lowest: float

    @classmethod
    def of(cls, function: Function, rises: Sequence[float]) -> _Search:
        grid = first_grid(function, rises)
        minima = _minima(function, grid, rises)
        lowest = float(min(minima.chi2.min(), grid.chi2.min()))
        search = cls(function, rises, grid, minima.rows(minima.chi2 < lowest + max(rises)), lowest)
        if function.ratio is None:
            for _ in range(MOST_RESTARTS):
                lower = search.lower_on_lines()
                if lower is None:
                    break
                search = lower
        return search

    def lower_on_lines(self) -> _Search | None:
        """The search with a lower minimum, where a line through the minima goes below all of them; else None.

        Descents end on a saddle where they start on its axis, as on that of a symmetry: there is no slope off it. What
        lies opposite to the minimum beside it is on no line through it, and is looked at as well.
        """
        every = [(float(lines.sample.chi2.min()), int(lines.sample.chi2.argmin()), lines) for lines in self.lines]
        chi2, place, lines = min(every, key=lambda each: each[0])
        if chi2 >= self.lowest - MISSED:
            return None
        row, axes = np.array([place]), self.function.axes
        here = lines.points(lines.line[row], lines.at[row])
        opposite = 2 * np.array([axis.standard_model for axis in axes]) - here
        opposite = np.clip(opposite, *np.array([axis.bounds for axis in axes]).T)
        there = self.function.sample(opposite, lines.sample.state[row])
        at, sample = descended(self.function, np.vstack([here, opposite]), joined([lines.sample.rows(row), there]))
        minima = _Minima(np.vstack([at, self.minima.at]), np.concatenate([sample.chi2, self.minima.chi2]))
        minima = minima.rows(np.argsort(minima.chi2, kind="stable"))
        lowest = float(sample.chi2.min())
        return replace(self, minima=minima.rows(minima.chi2 < lowest + max(self.rises)), lowest=lowest)

    @cached_property
    def lines(self) -> list[Lines]:
        """Through the minima and along the bounds."""
        return _lines(self.function, self.minima, self.lowest, self.rises)

    def region(self, rise: float) -> list[FloatArray]:
        """The polygons of one level."""
        level = self.lowest + rise
        region = None
        if self.function.ratio is not None:
            points = _on_lines(self.function, self.function.ratio, self.minima, level)
            region = traced(self.function, self.grid, points, level)
        if region is None:
            return _region(self.function, self.grid, self.lines, level, rise)
        _check(self.function, self.grid, region, level, rise)
        return region


@dataclass(frozen=True, eq=False)
class _Minima:
    """Local minima, the lowest first."""

    at: FloatArray
    chi2: FloatArray

    def rows(self, selection: NDArray[np.bool_] | IntArray) -> _Minima:
        """Some of them."""
        return _Minima(self.at[selection], self.chi2[selection])


def _minima(function: Function, grid: Grid, rises: Sequence[float]) -> _Minima:
    """The grid's dips, followed to their minima; those of a valley whose bottom is flat stay where they are."""
    rows, columns = (each[:MOST_DESCENTS] for each in grid.dips())
    at = np.stack([grid.x[columns], grid.y[rows]], axis=1)
    sample = function.sample(at, grid.starts(function, rows, columns))
    # chi^2 is never negative: where it is zero nothing is lower, and where it is far below all levels nothing hides.
    settled = function.ratio is not None and sample.chi2.min() <= ENOUGH
    above = np.flatnonzero(sample.chi2 > min(rises) / 2) if settled else np.arange(len(at))
    at[above], followed = descended(function, at[above], sample.rows(above))
    sample = sample.replaced(above, followed)
    order = np.argsort(sample.chi2, kind="stable")
    return _Minima(at[order], sample.chi2[order])


STEP = 1e-4
"""Of the differences of slopes that make the curvature, in units of the distance from the Standard Model."""
MOST_NEWTON = 30
ENOUGH, ENOUGH_OF_OTHERS = 1e-11, 1e-3
"""Decrease of chi^2 that ends the descent to the lowest minimum, and to one that is not."""
MISSED = 1e-6
"""By how much chi^2 on a line must be lower than at the lowest minimum to be followed."""
MOST_RESTARTS = 4


def descended(function: Function, points: FloatArray, sample: Sample) -> tuple[FloatArray, Sample]:
    """Points moved to local minima by damped Newton steps within the bounds; the curvature is that of the slopes."""
    bounds = np.array([axis.bounds for axis in function.axes])
    centre = np.array([axis.standard_model for axis in function.axes])
    scale = np.array([axis.scale for axis in function.axes])
    at, best = points.copy(), sample
    damping = np.full(len(at), 1e-3)
    active = np.arange(len(at))
    for _ in range(MOST_NEWTON):
        if not len(active):
            break
        unit = scale * 1e-2 + np.abs(at[active] - centre)
        gradient, curvature = _curvature(function, at[active], best.rows(active), unit, bounds)
        held = ((at[active] <= bounds[:, 0]) & (gradient > 0)) | ((at[active] >= bounds[:, 1]) & (gradient < 0))
        gradient = np.where(held, 0.0, gradient)
        curvature = np.where(held[:, :, None] | held[:, None, :], 0.0, curvature)
        # Negative curvatures are turned round: the step then goes downhill, and far.
        values, vectors = np.linalg.eigh(curvature)
        largest = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-300)
        along = np.einsum("pij,pi->pj", vectors, gradient)
        values = np.maximum(np.abs(values), 1e-12 * largest) + damping[active, None] * largest
        step = -np.einsum("pij,pj->pi", vectors, along / values)
        gain = np.sum(along**2 / values, axis=1)
        trial = np.clip(at[active] + step * unit, bounds[:, 0], bounds[:, 1])
        trial_sample = function.sample(trial, best.state[active])
        better = trial_sample.chi2 < best.chi2[active]
        at[active[better]] = trial[better]
        best = best.replaced(active[better], trial_sample.rows(better))
        # A step may promise little because it is damped, which is no end.
        gain = gain * (1 + damping[active])
        damping[active] = np.where(better, damping[active] / 10, np.maximum(damping[active] * 10, 1e-3))
        # Others say where lines are worth a search: far along a flat valley their last digits cost more than all else.
        lowest = best.chi2[active] - 2 * gain < best.chi2.min() - ENOUGH
        going = gain > np.where(lowest | (best.chi2[active] == best.chi2.min()), ENOUGH, ENOUGH_OF_OTHERS)
        active = active[going & (damping[active] < 1e10)]
    return at, best


def _curvature(
    function: Function, at: FloatArray, sample: Sample, unit: FloatArray, bounds: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Gradient and curvature in units of `unit`, by differences of slopes towards the inside."""
    neighbours, steps = np.stack([at, at]), []
    for column in (0, 1):
        step = STEP * unit[:, column] * np.where(at[:, column] + STEP * unit[:, column] > bounds[column, 1], -1, 1)
        neighbours[column, :, column] += step
        steps.append(step)
    slopes = function.sample(neighbours.reshape(-1, 2), np.vstack([sample.state, sample.state])).slopes
    change = (slopes.reshape(2, len(at), 2) - sample.slopes) / np.array(steps)[:, :, None]
    curvature = change.transpose(1, 0, 2) * unit[:, :, None] * unit[:, None, :]
    return sample.slopes * unit, (curvature + curvature.transpose(0, 2, 1)) / 2


def _lines(function: Function, minima: _Minima, lowest: float, rises: Sequence[float]) -> list[Lines]:
    """Lines along both couplings through the lowest minima and along the other's bounds."""
    through = np.unique(np.round(minima.at[:MOST_MINIMA], 14), axis=0) if len(minima.at) else minima.at
    lines = []
    for column, axis in enumerate(function.axes):
        bounds = np.array([[0.0, bound] if column == 0 else [bound, 0.0] for bound in function.axes[1 - column].bounds])
        farthest = max(abs(bound - axis.standard_model) for bound in axis.bounds)
        decades = max(np.log10(farthest / axis.scale) - SMALLEST_DECADE, 1.0)
        grid = axis.search_points(int(np.ceil(LINE_POINTS * decades)), SMALLEST_DECADE)
        first = sampled(function, column, np.concatenate([bounds, through]), grid)
        lines.append(resolved(first, rises, lowest))
    return lines


def _region(function: Function, grid: Grid, lines: Sequence[Lines], level: float, rise: float) -> list[FloatArray]:
    """The polygons of one level."""
    places, samples = [], []
    for each in lines:
        edge = crossings(each, level)
        places.append(each.points(edge.line, edge.at))
        samples.append(edge.sample)
    for more in [*_on_grid(function, grid, level), *_on_bounds(function, level)]:
        places.append(more[0])
        samples.append(more[1])
    points, sample = np.concatenate(places), joined(samples)
    inside_all = bool(np.all(grid.chi2 < level))
    if not len(points):
        return [_whole(function)] if inside_all else []
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high > low, high - low, np.array([axis.scale for axis in function.axes]))
    box = Grid.of(function, *_box_axes(function, low, high, span), rises=[rise])
    for more in _on_grid(function, box, level):
        points, sample = np.concatenate([points, more[0]]), joined([sample, more[1]])
    frame = Frame(function, level, low, span)
    for attempt in range(MOST_ATTEMPTS):
        seeds = distinct(Seeds((points - low) / span, sample.slopes * span, sample.state))
        try:
            region = polygons(frame, seeds)
            break
        except UnresolvedRegionError as fault:
            beside = _beside(function, fault.point, span, level)
            if beside is None or attempt == MOST_ATTEMPTS - 1:
                raise
            points, sample = np.concatenate([points, beside[0]]), joined([sample, beside[1]])
    if not _touches_bounds(function, region) and grid.chi2[0, 0] < level:
        region.append(_whole(function))
    for box_or_grid in (grid, box):
        _check(function, box_or_grid, region, level, rise)
    return region


def _beside(function: Function, point: FloatArray, span: FloatArray, level: float) -> tuple[FloatArray, Sample] | None:
    """Points of the level set on a bound around one at which a curve leaves through it; None where it is no bound.

    Bands can be too thin there for the lines along the bounds.
    """
    bounds = np.array([axis.bounds for axis in function.axes])
    apart = np.abs(bounds - point[:, None]) / span[:, None]
    held, end = np.unravel_index(int(apart.argmin()), apart.shape)
    if apart[held, end] > NEAR_A_BOUND:
        return None
    column = 1 - int(held)
    steps = span[column] * 10.0 ** np.arange(-6, 0.5, 0.25)
    grid = np.clip(
        np.sort(np.concatenate([point[column] - steps, point[[column]], point[column] + steps])), *bounds[column]
    )
    base = np.zeros((1, 2))
    base[0, held] = bounds[held, end]
    edge = crossings(sampled(function, column, base, np.unique(grid)), level)
    return (base[edge.line] + np.eye(2)[column] * edge.at[:, None], edge.sample) if len(edge.at) else None


def _on_bounds(function: Function, level: float) -> list[tuple[FloatArray, Sample]]:
    """The points of the level set on the couplings' bounds, where a closed form has them: bands may be thin there."""
    if function.ratio is None:
        return []
    lines = [(column, bound) for column in (0, 1) for bound in function.axes[1 - column].bounds]
    points = _crossings(function.ratio, lines, level)
    return [(points, function.sample(points))] if len(points) else []


def _on_lines(function: Function, ratio: RationalChi2, minima: _Minima, level: float) -> FloatArray:
    """The points of the level set on the bounds, and on lines along both couplings through the lowest minima."""
    others = [
        np.unique([*function.axes[1 - column].bounds, *np.round(minima.at[:MOST_MINIMA, 1 - column], 14)])
        for column in (0, 1)
    ]
    return _crossings(ratio, [(column, other) for column in (0, 1) for other in others[column]], level)


def _crossings(ratio: RationalChi2, lines: Sequence[tuple[int, float]], level: float) -> FloatArray:
    """Where lines, each with its running coupling and the other's value, cross the level between the bounds."""
    places = [np.empty((0, 2))]
    for column, other in lines:
        low, high = ratio.axes[column].bounds
        at = ratio.crossings(column, other, level)
        places.append(np.insert(at[(at > low) & (at < high), None], 1 - column, other, axis=1))
    return np.concatenate(places)


def _box_axes(function: Function, low: FloatArray, high: FloatArray, span: FloatArray) -> list[FloatArray]:
    """Even points along both sides of a box around the region."""
    count = CLOSED_BOX if function.ratio is not None else BOX
    return [
        np.linspace(
            max(low[column] - MARGIN * span[column], axis.bounds[0]),
            min(high[column] + MARGIN * span[column], axis.bounds[1]),
            count,
        )
        for column, axis in enumerate(function.axes)
    ]


def _whole(function: Function) -> FloatArray:
    """The couplings' bounds as a polygon."""
    (left, right), (bottom, top) = (axis.bounds for axis in function.axes)
    return np.array([[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]])


def _touches_bounds(function: Function, polygons: Sequence[FloatArray]) -> bool:
    bounds = np.array([axis.bounds for axis in function.axes])
    return any(bool(np.any((line == bounds[:, 0]) | (line == bounds[:, 1]))) for line in polygons)


def _on_grid(function: Function, grid: Grid, level: float) -> list[tuple[FloatArray, Sample]]:
    """Points on the level set between neighbours of a grid: some of every line that the grid's contours draw."""
    from contourpy import contour_generator

    edges: list[FloatArray] = []
    for line in contour_generator(grid.x, grid.y, grid.chi2).lines(level):
        vertices = np.asarray(line, dtype=float)
        selection = np.unique(np.linspace(0, len(vertices) - 1, min(len(vertices), MOST_SEEDS)).astype(int))
        edges.append(vertices[selection])
    if not edges:
        return []
    vertices = np.concatenate(edges)
    pairs = []
    for column, axis, other in ((0, grid.x, grid.y), (1, grid.y, grid.x)):
        # A vertex lies on a grid line of the other coupling, between two points of this one.
        place = np.clip(np.searchsorted(other, vertices[:, 1 - column]), 0, len(other) - 1)
        on_line = other[place] == vertices[:, 1 - column]
        on_line &= ~np.isin(vertices[:, column], axis)
        if not on_line.any():
            continue
        starts = vertices[on_line]
        right = np.clip(np.searchsorted(axis, starts[:, column]), 1, len(axis) - 1)
        base = starts.copy()
        number: IntArray = np.repeat(np.arange(len(starts)), 2)
        along: IntArray = np.stack([right - 1, right], axis=1).ravel()
        across, at = place[on_line][number], axis[along]
        points = base[number].copy()
        points[:, column] = at
        rows_columns = (across, along) if column == 0 else (along, across)
        exact = np.ones(len(at), dtype=bool)
        sample = function.sample(points, grid.starts(function, *rows_columns))
        pair = Lines(function, column, base, number, at, sample, exact, np.full(len(at), np.inf))
        edge = crossings(pair, level)
        pairs.append((pair.points(edge.line, edge.at), edge.sample))
    return pairs


def _check(function: Function, grid: Grid, polygons: Sequence[FloatArray], level: float, rise: float) -> None:
    """Raise `StatisticsError` where polygons and a grid disagree about a point well away from the level and bounds."""
    bounds = [axis.bounds for axis in function.axes]
    columns = (grid.x > bounds[0][0]) & (grid.x < bounds[0][1])
    rows = (grid.y > bounds[1][0]) & (grid.y < bounds[1][1])
    chi2 = grid.chi2[np.ix_(rows, columns)]
    x, y = grid.x[columns], grid.y[rows]
    wrong = (inside(polygons, x, y) != (chi2 < level)) & (np.abs(chi2 - level) > CLEAR * rise)
    wrong &= grid.known[np.ix_(rows, columns)]
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        names = " and ".join(axis.name for axis in function.axes)
        raise StatisticsError(f"the region of {names} is not resolved near ({x[column]:.4g}, {y[row]:.4g})")
