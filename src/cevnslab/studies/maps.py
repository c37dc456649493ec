"""Maps: the limit of one coupling over two keys.

Least squares with normalisations alone has a closed form at every point. For all else the whole interval is searched at
the corners of patches of the map; where these have the same pieces, those between are continued: Newton's method from
ends that are interpolated, a few evaluations of chi^2 in the place of a search. Where they differ, or where it does not
converge, the whole interval is searched again.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.inference.chi2 import LOOSE, Chi2, ClosedChi2
from cevnslab.inference.intervals import Minimum, Piece, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.rational import RationalChi2
from cevnslab.likelihood.closed_form import ClosedForm, profiled_gram
from cevnslab.likelihood.compression import sketch
from cevnslab.likelihood.sufficient import FARTHEST_WALL, normalisations
from cevnslab.progress import progress_bar
from cevnslab.quadratic import Polynomial
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.schema.planning import LimitMap
from cevnslab.studies.setups import DetectorSetup
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Scaling, Variations

FloatArray = NDArray[np.float64]
Pieces = tuple[Piece, ...]

PATCH = 12
"""Steps of the map along each side of a patch; rows of a map are computed in strips as high."""
MOST_STEPS = 8
"""Of Newton's method."""
DEEP, NEARLY = 6.0, 2.0
"""Of a dip of the sketch, and of chi^2 around it, in units of the level: above, there is no island."""
AROUND_DIPS = (0.8, 0.9, 1.0, 1.1, 1.25)
"""Where chi^2 is looked at, in units of a dip's distance from the Standard Model."""
CONVERGED = 1e-7
"""Of the last step, relative to the distance of an end from the Standard Model; the error is its square."""


def strips(plane: LimitMap) -> list[tuple[int, int]]:
    """The rows of a map in blocks that need nothing of each other: first, and the one after the last."""
    return [(first, min(first + PATCH, plane.y.points)) for first in range(0, plane.y.points, PATCH)]


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
        form = ScaledForm.of(self._analysis(held), self.request.coupling)
        if form is None:
            return varied

        def scaled(value: float) -> Pieces:
            factors = self.variations.scaling(
                form.setup, {name: each for name, each in {**fixed, key: value}.items() if name not in held}
            )
            if max(factors.signal_width, factors.background_width) > FARTHEST_WALL:
                return varied(value)
            return form.pieces(factors, *self._options)

        return scaled

    # by search and continuation ---------------------------------------------------------------------------------------

    def strip(self, first: int, last: int) -> list[list[Pieces]]:
        """Rows from one to another, patch by patch."""
        rows, columns = [first, last - 1], sorted({*range(0, len(self.x), PATCH), len(self.x) - 1})
        points = {(row, column): self._searched(self._values(row, column)) for row in rows for column in columns}
        with progress_bar(f"map {self.request.name}", len(columns) - 1) as advance:
            for left, right in itertools.pairwise(columns):
                self._patch(points, rows, (left, right))
                advance(1)
        return [[points[row, column] for column in range(len(self.x))] for row in range(first, last)]

    def _values(self, row: int, column: int) -> dict[str, float]:
        return {self.request.x.key: self.x[column], self.request.y.key: self.y[row]}

    def _searched(self, values: Mapping[str, float]) -> Pieces:
        level, minimum = self._options
        return interval(self._analysis(values).chi2(self.request.coupling), level, minimum).pieces

    def _patch(self, points: dict[tuple[int, int], Pieces], rows: Sequence[int], columns: tuple[int, int]) -> None:
        """All points of a patch whose corners are known."""
        corners = [[points[row, column] for column in columns] for row in rows]
        alike = len({_kinds(pieces) for line in corners for pieces in line}) == 1
        ends = np.array([[_ends(pieces) for pieces in line] for line in corners]) if alike else None
        for row in range(rows[0], rows[1] + 1):
            correction: FloatArray | None = None
            for column in range(columns[0], columns[1] + 1):
                guess = None
                if ends is not None:
                    guess = _interpolated(ends, _share(row, rows), _share(column, columns))
                if (row, column) not in points:
                    start = guess if guess is None or correction is None else guess + correction
                    points[row, column] = self._continued(self._values(row, column), corners[0][0], start)
                if guess is not None and _kinds(points[row, column]) == _kinds(corners[0][0]):
                    correction = _ends(points[row, column]) - guess

    def _continued(self, values: Mapping[str, float], pattern: Pieces, start: FloatArray | None) -> Pieces:
        """The pieces near those that a neighbour has, or those of a search."""
        level, minimum = self._options
        analysis = self._analysis(values)
        chi2 = analysis.chi2(self.request.coupling)
        # Of Asimov data without priors on couplings chi^2 is zero in the Standard Model, and nowhere lower.
        asimov = not analysis.real and not analysis.likelihood.priors and minimum == "global"
        if start is not None and asimov and _all_crossings(pattern):
            rise = delta_chi2_level(level, 1)
            ends = _newton(chi2, rise, start)
            if ends is not None and not _islands(analysis, chi2, rise, ends):
                return tuple(Piece(low, high) for low, high in ends.reshape(-1, 2).tolist())
        return interval(chi2, level, minimum).pieces


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


def _islands(analysis: Analysis, chi2: Chi2, rise: float, ends: FloatArray) -> bool:
    """Whether chi^2 may fall below the level beyond known pieces, which a neighbour need not show.

    It can where its least-squares sketch, all of whose minima are known, has a dip: chi^2 is looked at around it.
    """
    (axis,) = chi2.axes
    guide = Chi2.of(sketch(analysis.likelihood), [axis.name]).ratio
    if guide is None:
        return True
    pieces = ends.reshape(-1, 2)
    dips = [
        value - axis.standard_model
        for value, height in guide.minima()
        if height < DEEP * rise and not any(low <= value <= high for low, high in pieces)
    ]
    around = axis.standard_model + np.multiply.outer(dips, AROUND_DIPS).ravel()
    around = around[(around > axis.bounds[0]) & (around < axis.bounds[1])]
    around = around[~np.any((around[:, None] >= pieces[:, 0]) & (around[:, None] <= pieces[:, 1]), axis=1)]
    if not len(around):
        return False
    return bool(np.any(chi2.sample(around[:, None], tolerance=LOOSE).chi2 < NEARLY * rise))


def _newton(chi2: Chi2, rise: float, start: FloatArray) -> FloatArray | None:
    """The ends at which chi^2 of Asimov data crosses a level, near others; None where they are not what was expected.

    Expected are pieces that rise and do not touch, between an end at which chi^2 falls and one at which it rises.
    """
    (axis,) = chi2.axes
    centre, bounds = axis.standard_model, axis.bounds
    ends, state = start, None
    for _ in range(MOST_STEPS):
        if not (np.all(np.diff(ends) > 0) and bounds[0] < ends[0] and ends[-1] < bounds[1]):
            return None
        sample = chi2.sample(ends[:, None], state)
        state, slopes = sample.state, sample.slopes[:, 0]
        if not np.all(slopes * np.tile([-1.0, 1.0], len(ends) // 2) > 0):
            return None
        step = (rise - sample.chi2) / slopes
        ends = ends + step
        if np.all(np.abs(step) <= CONVERGED * np.abs(ends - centre)):
            return ends
    return None


@dataclass(frozen=True, eq=False)
class ScaledForm:
    """The closed form of a projected detector whose counts and widths are scaled: no likelihood is made anew."""

    setup: DetectorSetup
    polynomial: Polynomial
    counts: FloatArray
    """Signal per monomial, shape (monomials, bins)."""
    background: FloatArray

    @classmethod
    def of(cls, analysis: Analysis, coupling: str) -> ScaledForm | None:
        """That of a detector alone, of least squares with Asimov data; None for everything else."""
        (*others, setup) = analysis.setups
        chi2 = analysis.chi2(coupling)
        if others or analysis.real or not isinstance(setup, DetectorSetup) or chi2.ratio is None:
            return None
        part = normalisations(chi2.profile.likelihood)
        return None if part is None else cls(setup, part.polynomial, part.counts, part.constant)

    def pieces(self, factors: Scaling, confidence_level: float, minimum: Minimum) -> Pieces:
        """The interval of the coupling at other sizes and widths."""
        counts, background = self.counts * factors.signal, self.background * factors.background
        expected = counts[0] + background
        bend = background[None] * factors.background_width
        weight = np.divide(1.0, expected, out=np.zeros_like(expected), where=expected > 0)
        gram = profiled_gram(counts, counts[0], bend, weight)
        ratio = ClosedForm(self.polynomial, gram, factors.signal_width).ratio()
        assert ratio is not None
        chi2 = ClosedChi2(RationalChi2(ratio.variables, ratio.numerator, ratio.denominator))
        return interval(chi2, confidence_level, minimum).pieces
