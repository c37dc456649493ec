"""Maps: the limit of one coupling over two keys.

Least squares with normalisations alone has a closed form at every point. For all else the whole interval is searched at
the corners of patches of the map; where these have the same pieces, those between are continued: Newton's method from
ends that are interpolated, a few evaluations of chi^2 in the place of a search. Where they differ a patch is divided;
where Newton's method does not converge, the whole interval is searched again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.inference.chi2 import Chi2, ClosedChi2, Sample
from cevnslab.inference.intervals import Minimum, Piece, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.rational import RationalChi2
from cevnslab.likelihood.compression import sketch
from cevnslab.likelihood.minimiser import LOOSE, TOLERANCE
from cevnslab.likelihood.sufficient import FARTHEST_WALL
from cevnslab.progress import progress_bar
from cevnslab.quadratic import Variable
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.scaled import ScaledForm, ScaledLikelihood
from cevnslab.studies.schema.planning import LimitMap
from cevnslab.studies.study import Study
from cevnslab.studies.variation import WIDTHS, Variations

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Pieces = tuple[Piece, ...]
Place = tuple[int, int]
Ends = tuple[int, int]
"""Row and column of a point; the first and the last of some rows or columns."""

PATCH = 13
"""Steps of the map along each side of a patch at most; rows of a map are computed in strips as high."""
MOST_STEPS = 8
"""Of Newton's method."""
DEEP, NEARLY = 6.0, 2.0
"""Of a dip of the sketch, and of chi^2 around it, in units of the level: above, there is no island."""
INSIDE = (0.05, 0.95)
"""Of an interval that encloses a minimum, where it is looked for next."""
MOST_CLOSER = 12
"""Values at which a minimum is closed in on before the whole interval is searched."""
AROUND_DIPS = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Where chi^2 is looked at, in units of a dip's distance from the Standard Model."""
CONVERGED = 1e-7
"""Of the last step, relative to the distance of an end from the Standard Model; the error is its square."""


def _even(points: int) -> list[int]:
    """Numbers from the first to the last point of an axis, in nearly even steps of a patch at most."""
    patches = max(1, -(-(points - 1) // PATCH))
    return [round(number * (points - 1) / patches) for number in range(patches + 1)] if points > 1 else [0]


def strips(plane: LimitMap) -> list[tuple[int, int]]:
    """The rows of a map in blocks that need nothing of each other: first, and the one after the last."""
    count = -(-plane.y.points // PATCH)
    ends = [round(number * plane.y.points / count) for number in range(count + 1)]
    return list(itertools.pairwise(ends))


def quick(study: Study, plane: LimitMap, analysis: Analysis) -> bool:
    """Whether a point of the map costs less than a millisecond."""
    return analysis.chi2(plane.coupling).ratio is not None


def limit_map(study: Study, plane: LimitMap, rows: tuple[int, int] | None = None) -> results.LimitMap:
    """The outer ends of the interval at every point of some rows, or all; shape (rows, len(x))."""
    first, last = rows or (0, plane.y.points)
    x, y = plane.x.values, plane.y.values[first:last]
    variations = Variations(study)
    _, analyses = variations.at({})
    whole = _Map(variations, plane, x, y)
    if quick(study, plane, analyses[plane.detector]):
        lines = whole.closed()
    else:
        inside = [(low, high) for low, high in strips(plane) if first <= low and high <= last]
        lines = [row for low, high in inside for row in whole.strip(low - first, high - first)]
    return results.LimitMap(
        map=plane.name,
        x_key=plane.x.key,
        y_key=plane.y.key,
        x=np.array(x),
        y=np.array(y),
        detector=plane.detector,
        coupling=plane.coupling,
        lower=np.array([[pieces[0].low for pieces in row] for row in lines]),
        upper=np.array([[pieces[-1].high for pieces in row] for row in lines]),
        lower_kind=tuple(tuple(pieces[0].low_kind for pieces in row) for row in lines),
        upper_kind=tuple(tuple(pieces[-1].high_kind for pieces in row) for row in lines),
    )


def joined(parts: Sequence[results.LimitMap]) -> results.LimitMap:
    """A map from its strips, in their order."""
    return replace(
        parts[0],
        y=np.concatenate([part.y for part in parts]),
        lower=np.concatenate([part.lower for part in parts]),
        upper=np.concatenate([part.upper for part in parts]),
        lower_kind=tuple(row for part in parts for row in part.lower_kind),
        upper_kind=tuple(row for part in parts for row in part.upper_kind),
    )


@dataclass(frozen=True, eq=False)
class _Map:
    """The points of a map, or of some of its rows."""

    variations: Variations
    request: LimitMap
    x: list[float]
    y: list[float]

    @property
    def _options(self) -> tuple[float, Minimum]:
        options = self.variations.study.file.intervals
        return options.levels[0], options.minimum

    def _analysis(self, values: Mapping[str, float]) -> Analysis:
        return self.variations.at(values)[1][self.request.detector]

    # in closed form ---------------------------------------------------------------------------------------------------

    def closed(self) -> list[list[Pieces]]:
        """Every point by itself; what changes an integral goes on the outside, so that it is folded once per value."""
        x_inside = self.variations.light([self.request.x.key])
        keys = self.request.y.key, self.request.x.key
        outer, inner = (self.y, self.x) if x_inside else (self.x, self.y)
        names = keys if x_inside else keys[::-1]
        lines = []
        with progress_bar(f"map {self.request.name}", len(outer)) as advance:
            for value in outer:
                pieces = self._along({names[0]: value}, names[1])
                lines.append([pieces(each) for each in inner])
                advance(1)
        return lines if x_inside else [list(row) for row in zip(*lines, strict=True)]

    def _along(self, fixed: Mapping[str, float], key: str) -> Callable[[float], Pieces]:
        """The pieces of the interval at values of a key, another fixed."""
        light = self.variations.light

        def varied(value: float) -> Pieces:
            return self._searched({**fixed, key: value})

        if not light([key]):
            return varied
        held = {name: value for name, value in fixed.items() if not light([name])}
        analysis = self._analysis(held)
        form = ScaledForm.of(analysis, self.request.coupling)
        if form is None or not analysis.quick(self.request.coupling):
            return varied

        def scaled(value: float) -> Pieces:
            factors = self.variations.scaling(
                form.setup, {name: each for name, each in {**fixed, key: value}.items() if name not in held}
            )
            if max(factors.signal_width, factors.background_width) > FARTHEST_WALL:
                return varied(value)
            return interval(ClosedChi2(form.chi2(factors)), *self._options).pieces

        return scaled

    # by search and continuation ---------------------------------------------------------------------------------------

    def strip(self, first: int, last: int) -> list[list[Pieces]]:
        """Rows from one to another, patch by patch."""
        columns = _even(len(self.x))
        points: dict[Place, Pieces] = {}
        with progress_bar(f"map {self.request.name}", len(columns) - 1) as advance:
            for left, right in itertools.pairwise(columns):
                self._patch(points, (first, last - 1), (left, right))
                advance(1)
        return [[points[row, column] for column in range(len(self.x))] for row in range(first, last)]

    def _values(self, place: Place) -> dict[str, float]:
        row, column = place
        return {self.request.x.key: self.x[column], self.request.y.key: self.y[row]}

    def _searched(self, values: Mapping[str, float]) -> Pieces:
        level, minimum = self._options
        return interval(self._analysis(values).chi2(self.request.coupling), level, minimum).pieces

    def _patch(self, points: dict[Place, Pieces], rows: Ends, columns: Ends) -> None:
        """All points of a patch; in parts where its corners have different pieces, until these are neighbours."""
        corners = [(row, column) for row in rows for column in columns]
        for place in corners:
            if place not in points:
                points[place] = self._searched(self._values(place))
        if len({_kinds(points[place]) for place in corners}) == 1:
            self._lines(points, rows, columns)
        elif max(rows[1] - rows[0], columns[1] - columns[0]) > 1:
            for part, other in itertools.product(_halves(rows), _halves(columns)):
                self._patch(points, part, other)

    def _lines(self, points: dict[Place, Pieces], rows: Ends, columns: Ends) -> None:
        """All points of a patch whose corners are alike, in lines along a key that scales counts if there is one."""
        pattern = points[rows[0], columns[0]]
        ends = np.array([[_ends(points[row, column]) for column in columns] for row in rows])
        lines = [[(row, column) for row in range(rows[0], rows[1] + 1)] for column in range(columns[0], columns[1] + 1)]
        if self._scaling(self.request.x.key) and not self._scaling(self.request.y.key):
            lines = [list(line) for line in zip(*lines, strict=True)]
        correction: FloatArray | float = 0.0
        for line in lines:
            guess = np.array([_interpolated(ends, _share(row, rows), _share(at, columns)) for row, at in line])
            missing = [number for number, place in enumerate(line) if place not in points]
            values = [self._values(line[number]) for number in missing]
            pieces = self._continued(values, pattern, (guess + correction)[missing])
            points |= zip([line[number] for number in missing], pieces, strict=True)
            # What a line is off by, the next one will nearly be.
            similar = [points[place] if _kinds(points[place]) == _kinds(pattern) else None for place in line]
            correction = np.array(
                [0 * near if each is None else _ends(each) - near for each, near in zip(similar, guess, strict=True)]
            )

    def _scaling(self, key: str) -> bool:
        """Whether a key multiplies counts and leaves widths."""
        return self.variations.light([key]) and not key.endswith(WIDTHS)

    def _continued(self, values: Sequence[Mapping[str, float]], pattern: Pieces, starts: FloatArray) -> list[Pieces]:
        """The pieces near those that neighbours have, or those of a search, at points of a line."""
        level, minimum = self._options
        ends: FloatArray | None = None
        if len(values) and minimum == "global" and _all_crossings(pattern):
            rise = delta_chi2_level(level, 1)
            ends = np.concatenate([_crossings(part, rise, starts[rows]) for rows, part in self._functions(values)])
        return [
            self._searched(each)
            if ends is None or not np.all(np.isfinite(ends[number]))
            else tuple(Piece(low, high) for low, high in ends[number].reshape(-1, 2).tolist())
            for number, each in enumerate(values)
        ]

    def _functions(self, values: Sequence[Mapping[str, float]]) -> Iterator[tuple[slice, _Functions]]:
        """chi^2 at points of a line, as many as one likelihood has."""
        held = {key: value for key, value in values[0].items() if not self._scaling(key)}
        scaled = None
        if len(held) < len(values[0]) and len({tuple(each[key] for key in held) for each in values}) == 1:
            scaled = ScaledLikelihood.of(self._analysis(held), self.request.coupling)
        if scaled is not None:
            sizes = [{key: value for key, value in each.items() if key not in held} for each in values]
            yield slice(None), scaled.at([self.variations.scaling(scaled.form.setup, each) for each in sizes])
            return
        for number, each in enumerate(values):
            yield slice(number, number + 1), _Alone(self._analysis(each), self.request.coupling)


class _Functions(Protocol):
    """chi^2 of one coupling at several points of a map."""

    @property
    def axis(self) -> Variable:
        """The coupling."""

    @property
    def asimov(self) -> bool:
        """Whether chi^2 is zero in the Standard Model, and nowhere lower."""

    def sample(
        self, number: IntArray, value: FloatArray, states: FloatArray | None = None, tolerance: float = TOLERANCE
    ) -> Sample:
        """chi^2, slopes and states at values of the coupling, each at one of the points, by its number."""

    def sketch(self, number: int) -> RationalChi2 | None:
        """Least squares in the place of a point's statistic, all of whose minima are known."""


@dataclass(frozen=True, eq=False)
class _Alone:
    """That of a single point."""

    analysis: Analysis
    coupling: str

    @cached_property
    def _chi2(self) -> Chi2:
        return self.analysis.chi2(self.coupling)

    @property
    def axis(self) -> Variable:
        """The coupling."""
        return self._chi2.axes[0]

    @property
    def asimov(self) -> bool:
        """Whether data are Asimov's, without priors on couplings."""
        return not self.analysis.real and not self.analysis.likelihood.priors

    def sample(
        self, number: IntArray, value: FloatArray, states: FloatArray | None = None, tolerance: float = TOLERANCE
    ) -> Sample:
        """At values of the coupling."""
        return self._chi2.sample(value[:, None], states, tolerance)

    def sketch(self, number: int) -> RationalChi2 | None:
        """Of the whole likelihood, where it has a closed form."""
        return Chi2.of(sketch(self.analysis.likelihood), [self.coupling]).ratio


def _halves(ends: Ends) -> list[Ends]:
    middle = sum(ends) // 2
    return [(ends[0], middle), (middle, ends[1])] if ends[1] - ends[0] > 1 else [ends]


def _kinds(pieces: Pieces) -> tuple[tuple[str, str], ...]:
    return tuple((piece.low_kind, piece.high_kind) for piece in pieces)


def _all_crossings(pieces: Pieces) -> bool:
    return all(kind == "limit" for kinds in _kinds(pieces) for kind in kinds)


def _ends(pieces: Pieces) -> FloatArray:
    return np.array([(piece.low, piece.high) for piece in pieces]).ravel()


def _share(at: int, ends: Sequence[int]) -> float:
    """Where a number lies between two others, from 0 to 1."""
    return (at - ends[0]) / (ends[1] - ends[0]) if ends[1] > ends[0] else 0.0


def _interpolated(corners: FloatArray, up: float, across: float) -> FloatArray:
    """Between four corners, shape (2, 2, numbers)."""
    left, right = corners[0] * (1 - up) + corners[1] * up
    return np.asarray(left * (1 - across) + right * across)


def _crossings(functions: _Functions, rise: float, start: FloatArray) -> FloatArray:
    """The ends near others, shape (points, ends); nan at a point that has to be searched."""
    if not functions.asimov:
        return np.full_like(start, np.nan)
    ends = _newton(functions, rise, start)
    there = np.flatnonzero(np.isfinite(ends).all(axis=1))
    ends[there[_islands(functions, rise, there, ends[there])]] = np.nan
    return ends


def _islands(functions: _Functions, rise: float, numbers: IntArray, ends: FloatArray) -> NDArray[np.bool_]:
    """Whether chi^2 of points may fall below the level beyond known pieces, which neighbours need not show.

    It can where the least-squares sketch, all of whose minima are known, has a dip: chi^2 is looked at around it, and
    where it is low, its own minimum there is closed in on.
    """
    axis = functions.axis
    possible = np.zeros(len(numbers), dtype=bool)
    places, values = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for place, (number, pieces) in enumerate(
        zip(numbers.tolist(), ends.reshape(len(ends), ends.shape[1] // 2, 2), strict=True)
    ):
        guide = functions.sketch(number)
        if guide is None:
            possible[place] = True
            continue
        dips = [
            value - axis.standard_model
            for value, height in guide.minima()
            if height < DEEP * rise and not any(low <= value <= high for low, high in pieces)
        ]
        around = axis.standard_model + np.sort(np.multiply.outer(dips, AROUND_DIPS).ravel())
        around = around[(around > axis.bounds[0]) & (around < axis.bounds[1])]
        around = around[~np.any((around[:, None] >= pieces[:, 0]) & (around[:, None] <= pieces[:, 1]), axis=1)]
        places.append(np.full(len(around), place))
        values.append(around)
    there, value = np.concatenate(places), np.concatenate(values)
    if not len(there):
        return possible
    sample = functions.sample(numbers[there], value, tolerance=LOOSE)
    slope = sample.slopes[:, 0]
    low = np.unique(there[sample.chi2 < NEARLY * rise])
    left = np.flatnonzero((there[1:] == there[:-1]) & (slope[:-1] < 0) & (slope[1:] > 0) & np.isin(there[1:], low))
    # A point whose low values enclose no minimum is searched.
    possible[np.setdiff1d(low, there[left])] = True
    possible[there[left[_below(functions, rise, numbers[there[left]], value[left], value[left + 1])]]] = True
    return possible


def _below(
    functions: _Functions, rise: float, numbers: IntArray, low: FloatArray, high: FloatArray
) -> NDArray[np.bool_]:
    """Whether the minimum of chi^2 between two values, at which it falls and rises, may be below a level."""
    below = np.zeros(len(numbers), dtype=bool)
    active = np.arange(len(numbers))
    if not len(active):
        return below
    low, high = low.copy(), high.copy()
    edge_slopes = np.stack([functions.sample(numbers, end).slopes[:, 0] for end in (low, high)], axis=1)
    for count in range(MOST_CLOSER):
        # Where the slope would vanish if it grew evenly, or every other time in the middle.
        falls, rises = edge_slopes[active].T
        share = np.clip(falls / (falls - rises), *INSIDE) if count % 2 == 0 else 0.5
        value = low[active] + share * (high[active] - low[active])
        sample = functions.sample(numbers[active], value)
        slope = sample.slopes[:, 0]
        rising = slope > 0
        # A function that bends upwards lies above its tangent.
        least = sample.chi2 - np.abs(slope) * np.where(rising, value - low[active], high[active] - value)
        high[active[rising]], low[active[~rising]] = value[rising], value[~rising]
        edge_slopes[active, rising.astype(int)] = slope
        below[active[sample.chi2 < rise]] = True
        active = active[(sample.chi2 >= rise) & (least <= rise)]
        if not len(active):
            return below
    below[active] = True
    return below


def _newton(functions: _Functions, rise: float, start: FloatArray) -> FloatArray:
    """The ends at which chi^2 of Asimov data crosses a level, near others; nan where they are not what was expected.

    Expected are pieces that rise and do not touch, between an end at which chi^2 falls and one at which it rises.
    """
    centre, bounds = functions.axis.standard_model, functions.axis.bounds
    points, size = start.shape
    outwards = np.tile([-1.0, 1.0], size // 2)
    ends, result = start.copy(), np.full_like(start, np.nan)
    state: FloatArray | None = None
    active = np.arange(points)
    for _ in range(MOST_STEPS):
        near = ends[active]
        ordered = (np.diff(near, axis=1) > 0).all(axis=1) & (bounds[0] < near[:, 0]) & (near[:, -1] < bounds[1])
        active = active[ordered]
        if state is not None:
            state = state[ordered]
        if not len(active):
            break
        begin = None if state is None else state.reshape(len(active) * size, state.shape[2])
        sample = functions.sample(np.repeat(active, size), ends[active].ravel(), begin)
        chi2, slopes = sample.chi2.reshape(-1, size), sample.slopes[:, 0].reshape(-1, size)
        crossing = (slopes * outwards > 0).all(axis=1)
        active, state = active[crossing], sample.state.reshape(len(slopes), size, sample.state.shape[1])[crossing]
        step = (rise - chi2[crossing]) / slopes[crossing]
        ends[active] += step
        converged = (np.abs(step) <= CONVERGED * np.abs(ends[active] - centre)).all(axis=1)
        result[active[converged]] = ends[active[converged]]
        active, state = active[~converged], state[~converged]
    return result
