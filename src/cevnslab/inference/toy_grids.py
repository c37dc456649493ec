"""Grids that cover every place where a pseudo-experiment of a given truth can have its best fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.compressed_fit import Grid, Surface
from cevnslab.inference.coordinates import Coordinates

FloatArray = NDArray[np.float64]

REACH = 60.0
"""Asimov delta chi^2 against the truth up to which a grid is fine: nobody draws a toy that lies farther off."""
STEP = 0.35
"""Between points of a line, in standard deviations (the square root of delta chi^2)."""
SEARCH_POINTS = 400
DECADES_REACH, DECADES_STEP = 1000.0, 8
"""Up to this it goes on decade by decade: toys whose normalisations lie far off have their minimum there."""

CLOSEST = 1e-3
"""Of the distances around it: points closer than that coincide."""
WAY_POINTS = 160
"""From the Standard Model to the truth, for the connected minimum."""

PLANE_POINTS, PLANE_SEARCH_POINTS, PLANE_REACH = 61, 40, 40.0
"""Along each of two couplings; per side in the first look for the region; and its delta chi^2."""


def line(asimov: Surface, truth: float) -> Grid:
    """Along one coupling, given chi^2 of the truth's Asimov data and the truth's coordinate."""
    coordinate = asimov.coordinates.each[0]
    standard_model = float(coordinate.of(coordinate.variable.standard_model))
    points = np.union1d(coordinate.search_points(SEARCH_POINTS), [truth, standard_model])
    depth = asimov.on_grid(points[:, None])[0]
    depth -= depth.min()
    height = np.sqrt(np.minimum(depth, REACH))
    arc = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(height)))])
    fine = np.interp(np.linspace(0, arc[-1], max(2, int(np.ceil(arc[-1] / STEP)))), arc, points)
    far = points[depth < DECADES_REACH][::DECADES_STEP]
    return on_a_line(np.concatenate([fine, far, points[[0, -1]]]))


def connected(grid: Grid, standard_model: Surface, truth: float) -> Grid:
    """The same with the valley of the Standard Model, the way from there to the truth, and every decade.

    The minimum nearest the Standard Model may be one that the data all but exclude.
    """
    coordinate = standard_model.coordinates.each[0]
    origin = float(coordinate.of(coordinate.variable.standard_model))
    there = line(standard_model, origin).points[:, 0]
    way = np.linspace(origin, truth, WAY_POINTS)
    return on_a_line(np.concatenate([grid.points[:, 0], there, way, coordinate.search_points(100)]))


def on_a_line(points: FloatArray) -> Grid:
    """Points of one coupling as a grid: a cell reaches from the point before to the one after.

    Of points that all but coincide one is kept: a dip at one of them would have half a cell.
    """
    points = np.unique(points)
    gaps = np.pad(np.diff(points), 1, constant_values=np.inf)
    around = np.minimum(np.roll(gaps, 1), np.roll(gaps, -1))[1:-1]
    points = points[np.concatenate([[True], gaps[1:-1] > CLOSEST * np.where(np.isfinite(around), around, 0.0)])]
    places = np.arange(len(points))
    before, after = np.maximum(places - 1, 0), np.minimum(places + 1, len(points) - 1)
    column = points[:, None]
    return Grid(column, column[before], column[after], np.stack([before, after], axis=1))


def plane(asimov: Surface, truth: FloatArray) -> Grid:
    """Over two couplings: the points of a lattice whose delta chi^2 is within reach, eight neighbours each."""
    coordinates: Coordinates = asimov.coordinates
    axes = [
        np.union1d(each.search_points(PLANE_SEARCH_POINTS), [t])
        for each, t in zip(coordinates.each, truth, strict=True)
    ]
    bounds = np.array([each.bounds for each in coordinates.each])
    for margin in (0.3, 0.02):  # the first look is coarse: leave room for what its step hides
        lattice = _product(axes)
        depth = asimov.on_grid(lattice)[0]
        inside = lattice[depth < depth.min() + PLANE_REACH]
        low, high = inside.min(axis=0), inside.max(axis=0)
        room = margin * (high - low) + 1e-12
        low, high = np.maximum(low - room, bounds[:, 0]), np.minimum(high + room, bounds[:, 1])
        axes = [np.linspace(low[i], high[i], PLANE_POINTS) for i in (0, 1)]
    lattice = _product(axes)
    depth = asimov.on_grid(lattice)[0]
    kept = depth < depth.min() + PLANE_REACH
    return _lattice(axes, kept)


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
