"""The global fit of pseudo-experiments from their sufficient statistics, all of them at once.

A toy's chi^2 is taken on one grid that covers every place where a minimum can be; every dip that can hold the lowest
minimum is refined by Newton steps inside its cell. There is no start value, and nothing that iterates towards a wrong
minimum. chi^2 is that of `likelihood.sufficient`, less <y,y>, which no coupling changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.coordinates import Coordinates
from cevnslab.likelihood.sufficient import Statistics

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOYS_AT_ONCE = 256
"""Toys whose chi^2 on the grid stay in the cache together."""
NEWTON_STEPS = 5
ROAMING_STEPS = 15
"""In a plane, where a search may leave its cell: narrow valleys cross many."""
DEEPER = 2.0
"""A minimum is not deeper below the grid than this many times the parabola's."""
CONTENDERS = 1.0
"""Points of a plane grid whose chi^2 is this far above the lowest are no start of a search."""


@dataclass(frozen=True, eq=False)
class Surface:
    """chi^2 of toys in coordinates of one or two couplings: the sum over parts that share no normalisation."""

    coordinates: Coordinates
    parts: tuple[tuple[Statistics, Coordinates, list[int]], ...]
    """Each part with its own polynomial and its couplings' columns."""

    def rows(self, chosen: slice) -> Surface:
        """Some of the toys."""
        return Surface(self.coordinates, tuple((s.rows(chosen), own, columns) for s, own, columns in self.parts))

    def __len__(self) -> int:
        return max(len(statistics.along) for statistics, _, _ in self.parts)

    def on_grid(self, grid: FloatArray) -> FloatArray:
        """At points (points, couplings) that are the same for every toy: shape (toys, points)."""
        total: FloatArray | None = None
        for statistics, own, columns in self.parts:
            chi2 = _on_grid(statistics, own.monomials(grid[:, columns]))
            total = chi2 if total is None else total + chi2
        assert total is not None
        return total

    def at(self, toys: IntArray, points: FloatArray) -> FloatArray:
        """At a point (couplings,) of each chosen toy."""
        return self.derivatives(toys, points, 0)[0]

    def derivatives(self, toys: IntArray, points: FloatArray, order: int = 2) -> list[FloatArray]:
        """chi^2 of chosen toys, each at a point of its own; its gradient and its second derivatives up to `order`."""
        count, size = points.shape
        total = [np.zeros(count), np.zeros((count, size)), np.zeros((count, size, size))][: order + 1]
        for statistics, own, columns in self.parts:
            part = _derivatives(statistics, own, toys, points[:, columns], order)
            total[0] += part[0]
            if order:
                total[1][:, columns] += part[1]
                total[2][:, np.array(columns)[:, None], columns] += part[2]
        return total


def _on_grid(statistics: Statistics, monomials: FloatArray) -> FloatArray:
    square = statistics.width**2
    first, second = np.triu_indices(monomials.shape[1])
    pairs = (np.where(first == second, 1.0, 2.0) * monomials[:, first] * monomials[:, second]).T
    along = statistics.along @ monomials.T  # <n,y>
    signal = statistics.gram[:, first, second] @ pairs  # <n,n>
    centre: FloatArray | float = statistics.centre[:, None] if np.any(statistics.centre != 1) else 1.0
    chi2 = along * square
    chi2 += 2 * centre
    chi2 *= along
    if square:
        weight = 1 + square * signal
        chi2 /= weight
        signal /= weight
    return np.asarray(np.subtract(signal if isinstance(centre, float) else centre**2 * signal, chi2, out=chi2))


def _derivatives(
    statistics: Statistics, own: Coordinates, toys: IntArray, points: FloatArray, order: int
) -> list[FloatArray]:
    gram = statistics.gram if len(statistics.gram) == 1 else statistics.gram[toys]
    along, centre, square = statistics.along[toys], statistics.centre[toys], statistics.width**2

    def product(vectors: FloatArray) -> FloatArray:
        """The Gram matrix times a vector of monomials."""
        if len(gram) == 1:
            return np.asarray(vectors @ gram[0])
        return np.asarray((gram @ vectors[:, :, None])[:, :, 0])

    def dot(first: FloatArray, second: FloatArray) -> FloatArray:
        return np.asarray(np.einsum("pm,pm->p", first, second))

    def above(z: FloatArray, p: FloatArray, p_square: FloatArray) -> FloatArray:
        return np.asarray(centre**2 * z - 2 * centre * p - square * p_square)

    n = own.monomials(points)
    towards = product(n)
    p, z = dot(n, along), dot(n, towards)
    below = 1 + square * z
    chi2 = above(z, p, p**2) / below
    if not order:
        return [chi2]
    couplings = range(points.shape[1])
    slopes = [own.monomials(points, (i,)) for i in couplings]
    p1 = [dot(slope, along) for slope in slopes]
    z1 = [2 * dot(slope, towards) for slope in slopes]
    first = [(above(z1[i], p1[i], 2 * p * p1[i]) - chi2 * square * z1[i]) / below for i in couplings]
    second = np.empty((len(points), len(slopes), len(slopes)))
    for i in couplings:
        for j in couplings[: i + 1]:
            bend = own.monomials(points, (i, j))
            p2 = dot(bend, along)
            z2 = 2 * (dot(bend, towards) + dot(product(slopes[i]), slopes[j]))
            value = above(z2, p2, 2 * (p1[i] * p1[j] + p * p2))
            value -= square * (first[i] * z1[j] + first[j] * z1[i] + chi2 * z2)
            second[:, i, j] = second[:, j, i] = value / below
    return [chi2, np.stack(first, axis=1), second]


@dataclass(frozen=True, eq=False)
class Grid:
    """Points at which all toys are looked at, with the cell around each in which its minimum is refined."""

    points: FloatArray
    """Shape (points, couplings)."""
    low: FloatArray
    high: FloatArray
    neighbours: IntArray
    """Of every point, itself where it has none: shape (points, neighbours)."""


def lowest(surface: Surface, grid: Grid) -> FloatArray:
    """chi^2 of the lowest minimum of every toy, shape (toys,)."""
    count = len(surface)
    result = np.empty(count)
    for start in range(0, count, TOYS_AT_ONCE):
        part = surface.rows(slice(start, start + TOYS_AT_ONCE))
        at_grid = part.on_grid(grid.points)
        best = at_grid.min(axis=1)
        toy, place = _contenders(at_grid, best, grid)
        np.minimum.at(best, toy, refined(part, grid, toy, place))
        result[start : start + TOYS_AT_ONCE] = best
    return result


def dips(at_grid: FloatArray) -> NDArray[np.bool_]:
    """Where a curve has a local minimum on the points of a line, its ends included."""
    padded = np.pad(at_grid, ((0, 0), (1, 1)), constant_values=np.inf)
    return np.asarray((padded[:, 1:-1] <= padded[:, :-2]) & (padded[:, 1:-1] < padded[:, 2:]))


def _contenders(at_grid: FloatArray, best: FloatArray, grid: Grid) -> tuple[IntArray, IntArray]:
    """The dips that can hold a toy's lowest minimum: the parabola through one and its neighbours goes so low."""
    if grid.points.shape[1] == 1:
        toy, place = np.nonzero(dips(at_grid))
        value, around, line = at_grid[toy, place], grid.neighbours[place], grid.points[:, 0]
        before, after = line[place] - line[around[:, 0]], line[around[:, 1]] - line[place]
        rise = np.maximum(at_grid[toy[:, None], around] - value[:, None], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            left, right = rise[:, 0] / before, rise[:, 1] / after
            slope = (right * before - left * after) / (before + after)
            depth = slope**2 * (before + after) / (4 * (left + right))
        # At an end of the grid there is no parabola.
        depth = np.where((before > 0) & (after > 0) & np.isfinite(depth), depth, rise.sum(axis=1))
        chosen = value - DEEPER * depth <= best[toy]
        return toy[chosen], place[chosen]
    toy, place = np.nonzero(at_grid < best[:, None] + CONTENDERS)
    dip = np.all(at_grid[toy, place][:, None] <= at_grid[toy[:, None], grid.neighbours[place]], axis=1)
    return toy[dip], place[dip]


def connected(surface: Surface, grid: Grid, truth: FloatArray, origin: FloatArray) -> FloatArray:
    """What toys of one coupling compare with the level, against the minimum nearest the Standard Model.

    chi^2 of the truth, or of the barrier on the way from that minimum to the truth where it is higher: only the
    connected piece belongs to the interval.
    """
    count = len(surface)
    result = np.empty(count)
    line, distance = grid.points[:, 0], np.abs(grid.points[:, 0] - origin)
    # The highest point of the way does not lie beyond the truth.
    way = replace(
        grid,
        low=np.where(grid.points > truth, np.maximum(grid.low, truth), grid.low),
        high=np.where(grid.points < truth, np.minimum(grid.high, truth), grid.high),
    )
    for start in range(0, count, TOYS_AT_ONCE):
        part = surface.rows(slice(start, start + TOYS_AT_ONCE))
        at_grid, at_truth = part.on_grid(grid.points), part.on_grid(truth[None, :])[:, 0]
        toys = np.arange(len(at_grid))
        nearest = np.argmin(np.where(dips(at_grid), distance, np.inf), axis=1)
        bottom = np.minimum(at_grid[toys, nearest], refined(part, grid, toys, nearest))
        ends = np.minimum(line[nearest], truth)[:, None], np.maximum(line[nearest], truth)[:, None]
        at_way = np.where((line >= ends[0]) & (line <= ends[1]), at_grid, -np.inf)
        top = np.argmax(at_way, axis=1)
        barrier = np.maximum(at_way[toys, top], at_truth)
        higher = np.flatnonzero((at_way[toys, top] > at_truth) & (top != nearest))
        barrier[higher] = np.maximum(barrier[higher], refined(part, way, higher, top[higher], sign=-1))
        result[start : start + TOYS_AT_ONCE] = np.maximum(barrier - bottom, 0.0)
    return result


def refined(surface: Surface, grid: Grid, toy: IntArray, place: IntArray, sign: int = 1) -> FloatArray:
    """The lowest (sign 1) or highest (-1) chi^2 in cells of chosen points, by Newton steps that may not leave them."""
    x, low, high = grid.points[place], grid.low[place], grid.high[place]
    plane, bounds = x.shape[1] > 1, np.array([each.bounds for each in surface.coordinates.each])
    for _ in range(ROAMING_STEPS if plane else NEWTON_STEPS):
        _, gradient, curvature = surface.derivatives(toy, x)
        step = _newton(sign * gradient, sign * curvature, x, low, high)
        moved = np.clip(x + step, low, high)
        if plane:
            moved = np.clip(moved, bounds[:, 0], bounds[:, 1])
            low, high = low + moved - x, high + moved - x
        x = moved
    return surface.at(toy, x)


def _newton(
    gradient: FloatArray, curvature: FloatArray, x: FloatArray, low: FloatArray, high: FloatArray
) -> FloatArray:
    """Newton's step where the curvature is positive, else one of a quarter of the cell downhill."""
    fallback = -np.sign(gradient) * (high - low) / 4
    held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    if x.shape[1] == 1:
        bend = curvature[:, 0]
        step = np.divide(-gradient, bend, out=fallback, where=bend > 0)
        return np.where(held, 0.0, step)
    gradient = np.where(held, 0.0, gradient)
    identity = np.eye(2)
    curvature = np.where(held[:, :, None] | held[:, None, :], identity, curvature)
    (a, b), c = curvature[:, 0].T, curvature[:, 1, 1]
    determinant = a * c - b**2
    convex = (determinant > 0) & (a > 0)
    safe = np.where(convex, determinant, 1.0)
    step = -np.stack([c * gradient[:, 0] - b * gradient[:, 1], a * gradient[:, 1] - b * gradient[:, 0]], axis=1)
    return np.where(held, 0.0, np.where(convex[:, None], step / safe[:, None], fallback))
