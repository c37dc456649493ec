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

PLANE_POINTS, PLANE_SEARCH_POINTS, PLANE_REACH = 61, 40, 40.0
"""Along each of two couplings; per side in the first look for the region; and its delta chi^2."""


CONTENDERS = 1.0
"""Points of a plane grid whose chi^2 is this far above the lowest are no start of a search."""
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
    """Over two couplings: the points of a lattice whose delta chi^2 is within reach, eight neighbours each."""
    axes = [
        np.union1d(each.search_points(PLANE_SEARCH_POINTS), [value])
        for each, value in zip(landscape.coordinates, landscape.truth, strict=True)
    ]
    bounds = np.array([each.bounds for each in landscape.coordinates])
    for margin in (0.3, 0.02):  # the first look is coarse: leave room for what its step hides
        lattice = _product(axes)
        below = landscape.depth(lattice)
        inside = lattice[below < below.min() + PLANE_REACH]
        low, high = inside.min(axis=0), inside.max(axis=0)
        room = margin * (high - low) + 1e-12
        low, high = np.maximum(low - room, bounds[:, 0]), np.minimum(high + room, bounds[:, 1])
        axes = [np.linspace(low[i], high[i], PLANE_POINTS) for i in (0, 1)]
    below = landscape.depth(_product(axes))
    return _lattice(axes, below < below.min() + PLANE_REACH)


def chosen(grid: Grid, places: IntArray) -> Grid:
    """Some of the points of a grid, rising."""
    if grid.points.shape[1] == 1:
        return _cells(grid.points[places, 0])
    number = np.full(len(grid.points), -1)
    number[places] = np.arange(len(places))
    neighbours = number[grid.neighbours[places]]
    neighbours = np.where(neighbours < 0, np.arange(len(places))[:, None], neighbours)
    return Grid(grid.points[places], grid.low[places], grid.high[places], neighbours)


def _product(axes: list[FloatArray]) -> FloatArray:
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _lattice(axes: list[FloatArray], kept: NDArray[np.bool_]) -> Grid:
    """The chosen points of a lattice, each with its eight neighbours."""
    shape = len(axes[0]), len(axes[1])
    number = np.full((shape[0] + 2, shape[1] + 2), -1)
    number[1:-1, 1:-1][kept.reshape(shape)] = np.arange(int(kept.sum()))
    row, column = np.nonzero(kept.reshape(shape))
    places = np.arange(len(row))
    moves = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
    neighbours = np.stack([number[row + 1 + i, column + 1 + j] for i, j in moves], axis=1)
    neighbours = np.where(neighbours < 0, places[:, None], neighbours)
    points = np.stack([axes[0][row], axes[1][column]], axis=1)
    cell = np.array([axis[1] - axis[0] for axis in axes])
    ends = np.array([[axis[0], axis[-1]] for axis in axes])
    return Grid(points, np.maximum(points - cell, ends[:, 0]), np.minimum(points + cell, ends[:, 1]), neighbours)


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
        chosen = at_grid[toy, place] - DEEPER * depth - ROOM <= best[toy]
        start = grid.points[place] + shift[:, None]
        return Contenders(toy, place, start) if chosen.all() else Contenders(toy[chosen], place[chosen], start[chosen])
    toy, place = np.nonzero(at_grid < (best + CONTENDERS)[:, None])
    dip = np.all(at_grid[toy, place][:, None] <= at_grid[toy[:, None], grid.neighbours[place]], axis=1)
    return Contenders(toy[dip], place[dip], grid.points[place[dip]])


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
