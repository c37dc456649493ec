"""Level sets of two couplings in closed form, traced on a grid where it shows them and refined where it does not.

A point of a closed form costs next to nothing, so a grid around the region is fine enough for most of its edge. The
vertices of the grid's contour are moved onto the level set, and edges that bend are split until they follow it: every
edge then lies within a fraction of a degree's bend of the tangents at both its ends. This, and that points of the level
set which are known otherwise lie on the polygons, says that nothing was missed between the points of the grid; where it
cannot be reached the level set is followed instead (`following.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Function, Sample
from cevnslab.inference.following import Frame, corrected, tangents
from cevnslab.inference.grids import Grid, trace

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

BOX_POINTS = (121, 363)
"""Along each axis of the box around the region; the finer where the coarser shows a thin band badly."""
MOST_WIDENINGS = 8
STRIDE, FEWEST = 0.0125, 24
"""Between vertices, of the region's width and height, and the least number of them around a piece."""
BEND, LARGEST_BEND = 0.06, 0.12
"""Radians between an edge and the level set at its ends: above the first it is split, and it may be the second."""
MOST_SPLITS = 8
ALIKE, NEAR = 0.7, 0.02
"""How well a vertex agrees with a known point of the level set: cosine of the directions, and distance."""


def traced(function: Function, grid: Grid, known: FloatArray, level: float) -> list[FloatArray] | None:
    """The closed polygons around the region below a level; None where a grid does not show all of its edge.

    Parameters
    ----------
    grid
        Over all decades: around its points below the level lies the box that is traced.
    known
        Points of the level set that the polygons must run through, shape (points, 2).

    """
    if not len(known) or not np.any(grid.chi2 < level):
        return None
    low, high = grid.extent(level)
    low, high = np.minimum(low, known.min(axis=0)), np.maximum(high, known.max(axis=0))
    for points in BOX_POINTS:
        box = surrounding(function, low, high, level, points)
        polygons = _refined(function, trace(box.x, box.y, box.chi2, level), level)
        if polygons is not None and polygons.hold(known):
            return polygons.lines()
    return None


def surrounding(function: Function, low: FloatArray, high: FloatArray, level: float, points: int) -> Grid:
    """A grid of even steps from `low` to `high`, widened within the bounds until it holds the region that it shows."""
    bounds = np.array([axis.bounds for axis in function.axes])
    for _ in range(MOST_WIDENINGS):
        low, high = np.maximum(low, bounds[:, 0]), np.minimum(high, bounds[:, 1])
        box = Grid.of(function, *(np.linspace(*ends, points) for ends in zip(low, high, strict=True)))
        below = box.chi2 < level
        # A region that reaches an edge of the box goes on beyond it.
        edges = np.array([[below[:, 0].any(), below[:, -1].any()], [below[0].any(), below[-1].any()]])
        edges &= np.stack([low > bounds[:, 0], high < bounds[:, 1]], axis=1)
        if not edges.any():
            break
        low, high = low - edges[:, 0] * (high - low) / 2, high + edges[:, 1] * (high - low) / 2
    return box


@dataclass(frozen=True, eq=False)
class _Vertices:
    """Vertices of closed polygons one after the other, the last of each before its first, in a frame's units."""

    frame: Frame
    at: FloatArray
    line: IntArray
    """The polygon of each vertex."""
    held: BoolArray
    """Which couplings are on a bound, shape (vertices, 2)."""
    sample: Sample

    @property
    def after(self) -> IntArray:
        """The next vertex on the polygon."""
        return _after(self.line)

    def lines(self) -> list[FloatArray]:
        """As closed polygons in plain units."""
        plain = self.frame.plain(self.at)
        pieces = np.split(plain, np.flatnonzero(np.diff(self.line)) + 1)
        return [np.vstack([piece, piece[:1]]) for piece in pieces]

    def bends(self) -> FloatArray:
        """The larger angle between an edge and the level set at its ends; none along bounds."""
        after, tangent = self.after, tangents(self.sample.slopes)
        chord = self.at[after] - self.at
        dot = [np.sum(chord * each, axis=1) for each in (tangent, tangent[after])]
        # The region lies on one and the same side of all polygons.
        turn = 1.0 if dot[0].sum() >= 0 else -1.0
        angles = [
            np.abs(np.arctan2(chord[:, 0] * each[:, 1] - chord[:, 1] * each[:, 0], turn * along))
            for each, along in zip((turn * tangent, turn * tangent[after]), dot, strict=True)
        ]
        return np.where((self.held & self.held[after]).any(axis=1), 0.0, np.maximum(*angles))

    def split(self, chosen: IntArray) -> _Vertices:
        """A vertex more in the middle of some edges."""
        after, tangent = self.after[chosen], tangents(self.sample.slopes)
        chord = self.at[after] - self.at[chosen]
        length = np.linalg.norm(chord, axis=1, keepdims=True)
        turn = np.sign(np.sum(chord * tangent[chosen], axis=1, keepdims=True))
        middle = (self.at[chosen] + self.at[after]) / 2 + turn * length / 8 * (tangent[chosen] - tangent[after])
        free = np.zeros(middle.shape, dtype=bool)
        at, sample, _ = corrected(self.frame, np.clip(middle, *self.frame.box), np.empty((len(chosen), 0)), free)
        place = chosen + 1
        return _Vertices(
            self.frame,
            np.insert(self.at, place, at, axis=0),
            np.insert(self.line, place, self.line[chosen]),
            np.insert(self.held, place, free, axis=0),
            Sample(
                np.insert(self.sample.chi2, place, sample.chi2),
                np.insert(self.sample.slopes, place, sample.slopes, axis=0),
                np.empty((len(self.at) + len(at), 0)),
            ),
        )

    def hold(self, known: FloatArray) -> bool:
        """Whether points of the level set, in plain units, lie on these polygons."""
        offset = self.at[None] - ((known - self.frame.origin) / self.frame.span)[:, None]
        slopes = self.frame.function.sample(known).slopes * self.frame.span
        alike = tangents(slopes) @ tangents(self.sample.slopes).T > ALIKE
        return bool(np.all(np.any(alike & (np.abs(offset).max(axis=2) < NEAR), axis=1)))


def _after(line: IntArray) -> IntArray:
    after = np.arange(1, len(line) + 1)
    last = np.append(np.flatnonzero(np.diff(line)), len(line) - 1)
    after[last] = np.append(0, last[:-1] + 1)
    return after


def _refined(function: Function, lines: Sequence[FloatArray], level: float) -> _Vertices | None:
    """A grid's contours moved onto the level set and split where they bend; None where they do not follow it."""
    if not lines:
        return None
    points = np.concatenate([line[:-1] for line in lines])
    number = np.repeat(np.arange(len(lines)), [len(line) - 1 for line in lines])
    low, high = points.min(axis=0), points.max(axis=0)
    frame = Frame(function, level, low, high - low)
    at = (points - low) / frame.span
    held = (at == frame.box[0]) | (at == frame.box[1])
    chosen = _apart(at, number, held)
    at, number, held = at[chosen], number[chosen], held[chosen]
    at, sample, there = corrected(frame, at, np.empty((len(at), 0)), held)
    vertices = _Vertices(frame, at, number, held, sample)
    if not np.all(there | held.all(axis=1)):
        return None
    for _ in range(MOST_SPLITS):
        bends = vertices.bends()
        if not np.any(bends > BEND):
            break
        vertices = vertices.split(np.flatnonzero(bends > BEND))
    return vertices if np.all(vertices.bends() <= LARGEST_BEND) else None


def _apart(at: FloatArray, line: IntArray, held: BoolArray) -> IntArray:
    """Vertices some way apart from each other; of those along bounds the corners and those at which edges arrive."""
    after = _after(line)
    walled: BoolArray = np.asarray(held.any(axis=1))
    length = np.linalg.norm(at[after] - at, axis=1)
    whole = np.bincount(line, length)
    first = np.append(0, np.flatnonzero(np.diff(line)) + 1)
    way = np.cumsum(length) - length
    stride = np.minimum(STRIDE, whole / FEWEST)
    place = np.floor((way - way[first][line]) / np.take(stride, line))
    apart = np.append(True, (np.diff(place) != 0) | (np.diff(line) != 0))
    arriving = walled & ~walled[after]
    arriving[after] |= walled[after] & ~walled
    return np.flatnonzero(np.where(walled, arriving | held.all(axis=1), apart))
