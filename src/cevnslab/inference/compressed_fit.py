"""The global fit of pseudo-experiments from their sufficient statistics, all of them at once.

A toy's chi^2 is taken on one grid that covers every place where a minimum can be; every dip that can hold the lowest
minimum is refined by Newton steps inside its cell. There is no start value, and nothing that iterates towards a wrong
minimum. chi^2 is that of `likelihood.sufficient`, less <y,y>, which no coupling changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.toy_grids import Grid, contenders, dips
from cevnslab.likelihood.steps import damped_step
from cevnslab.likelihood.sufficient import Statistics
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

TOYS_AT_ONCE = 512
"""Toys whose chi^2 on the grid stay in the cache together."""
DIPS_AT_ONCE = 4096
NEWTON_STEPS = 8
DESCENT_STEPS, DESCENT_END, LARGEST_DAMPING = 60, 1e-11, 1e10
"""In a plane: steps at the most, the promised decrease that ends them, and the damping at which they are given up."""
CONVERGED = 1e-4
"""Of a cell: after a step that is shorter chi^2 is what its derivatives say, but for the step's cube."""
ROAMING_STEPS = 15
"""In a plane, where a search may leave its cell: narrow valleys cross many."""


@dataclass(frozen=True, eq=False)
class Surface:
    """chi^2 of toys in coordinates of one or two couplings: the sum over parts that share no normalisation."""

    bounds: FloatArray
    """Of the coordinates, shape (couplings, 2)."""
    parts: tuple[tuple[Statistics, Polynomial, list[int]], ...]
    """Each part with its own polynomial and its couplings' columns."""

    def rows(self, selection: slice) -> Surface:
        """Some of the toys."""
        return Surface(
            self.bounds, tuple((s.rows(selection), polynomial, columns) for s, polynomial, columns in self.parts)
        )

    def __len__(self) -> int:
        return max(len(statistics.along) for statistics, _, _ in self.parts)

    def on_grid(self, grid: FloatArray) -> FloatArray:
        """At points (points, couplings) that are the same for every toy: shape (toys, points)."""
        total: FloatArray | None = None
        for statistics, polynomial, columns in self.parts:
            chi2 = _on_grid(statistics, polynomial.values(grid[:, columns]))
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
        for statistics, polynomial, columns in self.parts:
            straight = len(columns) == 1 and polynomial.variables[0].expansion is None
            derivatives = _line_derivatives if straight and polynomial.variables[0].power == 1 else _derivatives
            part = derivatives(statistics, polynomial, toys, points[:, columns], order)
            total[0] += part[0]
            if order:
                total[1][:, columns] += part[1]
                total[2][:, np.array(columns)[:, None], columns] += part[2]
        return total


def _on_grid(statistics: Statistics, monomials: FloatArray) -> FloatArray:
    square, centre = statistics.width**2, statistics.centre[:, None]
    first, second = np.triu_indices(monomials.shape[1])
    pairs = (np.where(first == second, 1.0, 2.0) * monomials[:, first] * monomials[:, second]).T
    signal = statistics.gram[:, first, second] @ pairs  # <n,n>
    if len(signal) == 1:  # one metric: all that does not depend on the toy goes into the products
        weight = 1 + square * signal[0]
        chi2 = np.hstack([statistics.along * (-2 * centre), centre**2]) @ (np.c_[monomials, signal[0]].T / weight)
        if square:
            along = statistics.along @ (monomials.T * (statistics.width / np.sqrt(weight)))
            along *= along
            chi2 -= along
        return np.asarray(chi2)
    along = statistics.along @ monomials.T  # <n,y>
    chi2 = along * square
    chi2 += 2 * centre
    chi2 *= along
    if np.any(centre != 1):
        np.subtract(centre**2 * signal, chi2, out=chi2)
    else:
        np.subtract(signal, chi2, out=chi2)
    if square:
        signal *= square
        signal += 1
        chi2 /= signal
    return chi2


def _line_derivatives(
    statistics: Statistics, polynomial: Polynomial, toys: IntArray, points: FloatArray, order: int
) -> list[FloatArray]:
    """`_derivatives` along one coupling that enters in powers: of a quadratic and a quartic polynomial of each toy."""
    (variable,), orders = polynomial.variables, polynomial.orders[:, 0]
    gram = statistics.gram if len(statistics.gram) == 1 else statistics.gram[toys]
    centre, square = statistics.centre[toys], statistics.width**2
    towards, product = np.zeros((3, len(toys))), np.zeros((5, len(gram)))
    np.add.at(towards, orders, statistics.along[toys].T)
    np.add.at(product, orders[:, None] + orders, gram.transpose(1, 2, 0))
    strength, unit = variable.scaled(points[:, 0]), variable.strength_scale
    p, z = _expanded(towards, strength), _expanded(product, strength)
    below = 1 + square * z[0]
    chi2 = (centre**2 * z[0] - 2 * centre * p[0] - square * p[0] ** 2) / below
    if not order:
        return [chi2]
    first = centre**2 * z[1] - 2 * (centre + square * p[0]) * p[1] - square * chi2 * z[1]
    first /= below
    second = (centre**2 - square * chi2) * z[2] - 2 * (centre + square * p[0]) * p[2]
    second -= 2 * square * (p[1] ** 2 + first * z[1])
    second /= below * unit**2
    return [chi2, (first / unit)[:, None], second[:, None, None]]


def _expanded(coefficients: FloatArray, at: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Polynomials, a column of coefficients each or one for all, and their first and second derivatives."""
    value, first, half = np.zeros_like(at), np.zeros_like(at), np.zeros_like(at)
    for coefficient in coefficients[::-1]:
        half = half * at + first
        first = first * at + value
        value = value * at + coefficient
    return value, first, 2 * half


def _derivatives(
    statistics: Statistics, polynomial: Polynomial, toys: IntArray, points: FloatArray, order: int
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

    n = polynomial.values(points)
    towards = product(n)
    p, z = dot(n, along), dot(n, towards)
    below = 1 + square * z
    chi2 = above(z, p, p**2) / below
    if not order:
        return [chi2]
    couplings = range(points.shape[1])
    slopes = [polynomial.values(points, (i,)) for i in couplings]
    p1 = [dot(slope, along) for slope in slopes]
    z1 = [2 * dot(slope, towards) for slope in slopes]
    first = [(above(z1[i], p1[i], 2 * p * p1[i]) - chi2 * square * z1[i]) / below for i in couplings]
    second = np.empty((len(points), len(slopes), len(slopes)))
    for i in couplings:
        for j in couplings[: i + 1]:
            bend = polynomial.values(points, (i, j))
            p2 = dot(bend, along)
            z2 = 2 * (dot(bend, towards) + dot(product(slopes[i]), slopes[j]))
            value = above(z2, p2, 2 * (p1[i] * p1[j] + p * p2))
            value -= square * (first[i] * z1[j] + first[j] * z1[i] + chi2 * z2)
            second[:, i, j] = second[:, j, i] = value / below
    return [chi2, np.stack(first, axis=1), second]


def lowest(surface: Surface, grid: Grid) -> FloatArray:
    """chi^2 of the lowest minimum of every toy, shape (toys,)."""
    count = len(surface)
    best, blocks, line = np.empty(count), [], grid.points.shape[1] == 1
    for start in range(0, count, TOYS_AT_ONCE):
        at_grid = surface.rows(slice(start, start + TOYS_AT_ONCE)).on_grid(grid.points)
        best[start : start + TOYS_AT_ONCE] = at_grid.min(axis=1)
        cells = contenders(at_grid, grid)
        blocks.append((cells.toy + start, cells.place, cells.start))
    toy, place, at = (np.concatenate(each) for each in zip(*blocks, strict=True))
    for start in range(0, len(toy), DIPS_AT_ONCE):
        block = slice(start, start + DIPS_AT_ONCE)
        if line:
            minima = refined(surface, grid, toy[block], place[block], at[block])
        else:
            minima = descended(surface, toy[block], at[block])
        np.minimum.at(best, toy[block], minima)
    return best


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
        # Strictly between: by rounding the truth could be higher on the grid than by itself, and no barrier is there.
        at_way = np.where((line > ends[0]) & (line < ends[1]), at_grid, -np.inf)
        top = np.argmax(at_way, axis=1)
        barrier = np.maximum(at_way[toys, top], at_truth)
        higher = np.flatnonzero(at_way[toys, top] > at_truth)
        barrier[higher] = np.maximum(barrier[higher], refined(part, way, higher, top[higher], sign=-1))
        result[start : start + TOYS_AT_ONCE] = np.maximum(barrier - bottom, 0.0)
    return result


def refined(
    surface: Surface, grid: Grid, toy: IntArray, place: IntArray, start: FloatArray | None = None, sign: int = 1
) -> FloatArray:
    """The lowest (sign 1) or highest (-1) chi^2 in cells of a line, by Newton steps that may not leave them."""
    x = grid.points[place] if start is None else start.copy()
    low, high = grid.low[place], grid.high[place]
    going, chi2 = np.arange(len(toy)), np.empty(len(toy))
    for _ in range(NEWTON_STEPS):
        value, gradient, curvature = surface.derivatives(toy[going], x[going])
        cell, bend = (low[going], high[going]), curvature[:, 0]
        moved = np.clip(x[going] + _newton(sign * gradient, sign * bend, x[going], *cell), *cell)
        step = moved - x[going]
        x[going] = moved
        far = (np.abs(step) > CONVERGED * (cell[1] - cell[0]))[:, 0]
        chi2[going[~far]] = (value + (step * (gradient + step * bend / 2))[:, 0])[~far]
        going = going[far]
        if not len(going):
            return chi2
    chi2[going] = surface.at(toy[going], x[going])
    return chi2


def _newton(gradient: FloatArray, bend: FloatArray, x: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Newton's step where the curvature is positive, else one of a quarter of the cell downhill."""
    fallback = -np.sign(gradient) * (high - low) / 4
    held = ((x <= low) & (gradient > 0)) | ((x >= high) & (gradient < 0))
    return np.where(held, 0.0, np.divide(-gradient, bend, out=fallback, where=bend > 0))


def descended(surface: Surface, toy: IntArray, start: FloatArray) -> FloatArray:
    """chi^2 of the minimum over a plane that each start leads to, by damped Newton steps within the bounds."""
    x, value = start.copy(), surface.at(toy, start)
    low, high = surface.bounds.T
    damping, going = np.full(len(toy), 1e-3), np.arange(len(toy))
    for _ in range(DESCENT_STEPS):
        _, gradient, curvature = surface.derivatives(toy[going], x[going])
        values, axes = np.linalg.eigh(curvature / 2)
        upward = (axes * np.abs(values)[:, None, :]) @ axes.transpose(0, 2, 1)
        step, gain = damped_step(gradient / 2, upward, x[going], low, high, damping[going])
        trial = surface.at(toy[going], x[going] + step)
        lower = trial <= value[going]
        x[going[lower]] += step[lower]
        value[going[lower]] = trial[lower]
        undamped = np.abs(gain) * (1 + damping[going])
        damping[going] = np.maximum(damping[going] * np.where(lower, 0.1, 10.0), 1e-12)
        going = going[(undamped > DESCENT_END) & (damping[going] < LARGEST_DAMPING)]
        if not len(going):
            break
    return value
