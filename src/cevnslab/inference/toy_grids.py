"""Grids that cover every place where a pseudo-experiment of a given truth can have its best fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.coordinates import Coordinate

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

REACH, STEP = 60.0, 0.6
"""Up to this Asimov delta chi^2 against the truth a line has a point every so many standard deviations."""
FAR_REACH, FAR_STEP = 1000.0, 2.4
"""The same farther out: toys whose normalisations are drawn five widths off have their minimum there."""
EVEN_PART = 1.0
SEARCH_POINTS = 400
CLOSEST = 1e-3
"""Of the distances around it: points closer than that coincide."""
WAY_POINTS = 160
"""From the Standard Model to the truth, for the connected minimum."""

PLANE_POINTS, PLANE_SEARCH_POINTS = 61, 40
"""Of the lattice along each of two couplings, and per side in the first look for the region."""
PLANE_STEP, PLANE_CELLS, NEIGHBOURS = 0.7, 5.0, 6
"""Between points of a plane grid, in standard deviations and in cells; and how many are compared with one."""
CONTENDERS = 1.0
"""Points of a plane grid whose chi^2 is this far above the lowest are no start of a search."""
APART, MOST_STARTS = 3.0, 3
"""Beside dips so many points are starts, so many steps apart."""
DEEPER, ROOM = 3.0, 0.02
"""A minimum is not deeper below the grid than so many times the parabola's, and this much."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Points at which all toys are looked at, with the cell around each in which its minimum is refined."""

    points: FloatArray
    """Shape (points, couplings)."""
    low: FloatArray
    high: FloatArray
    neighbours: IntArray
    """Of every point, itself where it has none: shape (points, neighbours)."""
    beside: NDArray[np.bool_] | None = None
    """Of a plane, whether two points are so near that one search starts for both: shape (points, points)."""


class Landscape(Protocol):
    """Roughly, chi^2 of a truth's Asimov data as a function of the couplings under test."""

    @property
    def coordinates(self) -> Sequence[Coordinate]:
        """Of the couplings under test."""

    @property
    def truth(self) -> FloatArray:
        """The truth, shape (couplings,)."""

    def depth(self, points: FloatArray) -> FloatArray:
        """chi^2 at points (points, couplings)."""

    def lengths(self, points: FloatArray) -> FloatArray:
        """Distances of neighbouring points in standard deviations, shape (points - 1,)."""

    def signatures(self, points: FloatArray) -> FloatArray:
        """Rows whose distances are roughly those of points in standard deviations, shape (points, anything)."""


def line(landscape: Landscape, step: float = STEP) -> Grid:
    """Along one coupling: even in standard deviations, whatever the decade and whichever way chi^2 goes."""
    (coordinate,) = landscape.coordinates
    points = np.union1d(coordinate.search_points(SEARCH_POINTS), [*landscape.truth, coordinate.standard_model])
    depth = landscape.depth(points[:, None])
    depth = np.minimum(depth[:-1], depth[1:]) - depth.min()
    weight = np.select([depth < REACH, depth < FAR_REACH], [1.0, STEP / FAR_STEP])
    lengths, gaps = weight * landscape.lengths(points[:, None]), np.where(depth < REACH, np.diff(points), 0.0)
    # A little even in the coordinate too: where counts have their extreme, two minima of a toy are near each other.
    even = EVEN_PART * lengths[depth < REACH].sum() / max(gaps.sum(), 1e-300)
    arc = np.concatenate([[0.0], np.cumsum(lengths + even * gaps)])
    fine = np.interp(np.linspace(0, arc[-1], max(2, int(np.ceil(arc[-1] / step)))), arc, points)
    ends = [*points[[0, -1]], *landscape.truth, coordinate.standard_model]
    return on_a_line(np.concatenate([fine, ends]))


def connected(grid: Grid, standard_model: Landscape, truth: float) -> Grid:
    """The same with the valley of the Standard Model, the way from there to the truth, and every decade.

    The minimum nearest the Standard Model may be one that the data all but exclude.
    """
    (coordinate,) = standard_model.coordinates
    there = line(standard_model).points[:, 0]
    way = np.linspace(coordinate.standard_model, truth, WAY_POINTS)
    return on_a_line(np.concatenate([grid.points[:, 0], there, way, coordinate.search_points(100)]))


def on_a_line(points: FloatArray) -> Grid:
    """Points of one coupling as a grid: a cell reaches from the point before to the one after.

    Of points that all but coincide one is kept: a dip at one of them would have half a cell.
    """
    points = np.unique(points)
    gaps = np.pad(np.diff(points), 1, constant_values=np.inf)
    around = np.minimum(np.roll(gaps, 1), np.roll(gaps, -1))[1:-1]
    return _cells(points[np.concatenate([[True], gaps[1:-1] > CLOSEST * np.where(np.isfinite(around), around, 0.0)])])


def _cells(points: FloatArray) -> Grid:
    places = np.arange(len(points))
    before, after = np.maximum(places - 1, 0), np.minimum(places + 1, len(points) - 1)
    column = points[:, None]
    return Grid(column, column[before], column[after], np.stack([before, after], axis=1))


def plane(landscape: Landscape) -> Grid:
    """Over two couplings: a cover of all points within reach, even in standard deviations.

    Points of a lattice are taken as far from each other as a part of a standard deviation, or some cells.
    """
    axes = [
        np.union1d(each.search_points(PLANE_SEARCH_POINTS), [value])
        for each, value in zip(landscape.coordinates, landscape.truth, strict=True)
    ]
    bounds = np.array([each.bounds for each in landscape.coordinates])
    lattice = _product(axes)
    depth = landscape.depth(lattice)
    for margin in (0.3, 0.02):  # the first look is coarse: leave room for what its step hides
        inside = lattice[depth < depth.min() + REACH]
        low, high = inside.min(axis=0), inside.max(axis=0)
        room = margin * (high - low) + 1e-12
        low, high = np.maximum(low - room, bounds[:, 0]), np.minimum(high + room, bounds[:, 1])
        axes = [np.linspace(low[i], high[i], PLANE_POINTS) for i in (0, 1)]
        lattice = np.vstack([landscape.truth, _product(axes)])
        depth = landscape.depth(lattice)
    inside = lattice[depth < depth.min() + REACH]
    inside = inside[np.argsort(depth[depth < depth.min() + REACH], kind="stable")]
    # Two places that the data cannot tell apart are two all the same where they are far from each other.
    cells = np.array([axis[1] - axis[0] for axis in axes])
    rows = np.hstack([landscape.signatures(inside) / PLANE_STEP, inside / (PLANE_CELLS * cells)])
    cover = _cover(rows)
    distance = _distances(rows[cover])
    points, near = inside[cover], np.argsort(distance + np.diag(np.full(len(cover), np.inf)), axis=1)[:, :NEIGHBOURS]
    reach = np.maximum(np.abs(points[near] - points[:, None]).max(axis=1), cells)
    low, high = np.maximum(points - reach, bounds[:, 0]), np.minimum(points + reach, bounds[:, 1])
    return Grid(points, low, high, near, distance < APART)


def _cover(rows: FloatArray) -> IntArray:
    """Rows that no earlier chosen row is nearer to than one."""
    left, cover = np.arange(len(rows)), []
    while len(left):
        cover.append(left[0])
        left = left[np.sum((rows[left] - rows[left[0]]) ** 2, axis=1) >= 1]
    return np.array(cover, dtype=np.int64)


def _distances(rows: FloatArray) -> FloatArray:
    square = np.sum(rows**2, axis=1)
    return np.asarray(np.sqrt(np.maximum(square[:, None] + square - 2 * rows @ rows.T, 0.0)))


def chosen(grid: Grid, places: IntArray) -> Grid:
    """Some of the points of a grid, rising."""
    if grid.points.shape[1] == 1:
        return _cells(grid.points[places, 0])
    number = np.full(len(grid.points), -1)
    number[places] = np.arange(len(places))
    neighbours = number[grid.neighbours[places]]
    neighbours = np.where(neighbours < 0, np.arange(len(places))[:, None], neighbours)
    beside = None if grid.beside is None else grid.beside[np.ix_(places, places)]
    return Grid(grid.points[places], grid.low[places], grid.high[places], neighbours, beside)


def _product(axes: list[FloatArray]) -> FloatArray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def dips(at_grid: FloatArray) -> NDArray[np.bool_]:
    """Where a curve has a local minimum on the points of a line, its ends included."""
    rises = np.ones((len(at_grid), at_grid.shape[1] + 1), dtype=bool)
    np.less(at_grid[:, :-1], at_grid[:, 1:], out=rises[:, 1:-1])
    rises[:, 0] = False
    return rises[:, 1:] & ~rises[:, :-1]


class Contenders(NamedTuple):
    """Dips on a grid that can hold the lowest minima of toys."""

    toy: IntArray
    place: IntArray
    """The point of the grid."""
    start: FloatArray
    """Where a search of the minimum starts, shape (dips, couplings): on a line the parabola's vertex."""


def contenders(at_grid: FloatArray, grid: Grid, margin: float = 0.0) -> Contenders:
    """The dips that can hold a toy's lowest minimum: the parabola through one and its neighbours goes so low.

    `margin` is by how much chi^2 on the grid, shape (toys, points), may be wrong.
    """
    best = at_grid.min(axis=1) + margin
    if grid.points.shape[1] == 1:
        toy, place = np.divmod(np.flatnonzero(dips(at_grid)), at_grid.shape[1])
        shift, depth = parabolas(at_grid, grid, toy, place)
        contenders = at_grid[toy, place] - DEEPER * depth - ROOM <= best[toy]
        start = grid.points[place] + shift[:, None]
        return (
            Contenders(toy, place, start)
            if contenders.all()
            else Contenders(toy[contenders], place[contenders], start[contenders])
        )
    toy, place = np.nonzero(at_grid < (best + CONTENDERS)[:, None])
    dip = np.all(at_grid[toy, place][:, None] <= at_grid[toy[:, None], grid.neighbours[place]], axis=1)
    starts = np.zeros(at_grid.shape, dtype=bool)
    starts[toy[dip], place[dip]] = True
    # Along a flat valley there may be no dip where the lowest minimum is.
    left, toys = at_grid.copy(), np.arange(len(at_grid))
    for _ in range(MOST_STARTS):
        place = np.argmin(left, axis=1)
        low = left[toys, place] < best - margin + CONTENDERS
        starts[toys[low], place[low]] = True
        assert grid.beside is not None
        left[grid.beside[place]] = np.inf
    toy, place = np.nonzero(starts)
    return Contenders(toy, place, grid.points[place])


def parabolas(at_grid: FloatArray, grid: Grid, toy: IntArray, place: IntArray) -> tuple[FloatArray, FloatArray]:
    """Through dips on a line and their neighbours: where the vertex lies from the dip, and how far below it.

    At an end of the grid there is no parabola: the vertex is the end, which may be as far from the minimum as its
    neighbour is from it.
    """
    line, last = grid.points[:, 0], len(grid.points) - 1
    flat, values = toy * len(line) + place, at_grid.ravel()
    first, end = place == 0, place == last
    value, before, after = values[flat], values[flat - ~first], values[flat + ~end]
    gaps = np.diff(line)
    gap_before, gap_after = gaps[np.maximum(place - 1, 0)], gaps[np.minimum(place, last - 1)]
    left, right = (before - value) / gap_before, (after - value) / gap_after
    bend = (left + right) / (gap_before + gap_after)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = (left * gap_after - right * gap_before) / (gap_before + gap_after) / (2 * bend)
        depth = bend * shift**2
    whole = (bend > 0) & np.isfinite(depth) & ~first & ~end
    return np.where(whole, shift, 0.0), np.where(whole, depth, np.abs(before - value) + np.abs(after - value))
