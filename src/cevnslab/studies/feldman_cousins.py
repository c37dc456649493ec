"""Feldman-Cousins intervals and regions: critical values from pseudo-experiments instead of Wilks' theorem.

At true values on a coarse grid, the critical value is the quantile of delta chi^2 that toys of that truth give; in
between it is interpolated linearly. A value belongs to the interval where the observed delta chi^2 is below it
(Feldman, Cousins, Phys. Rev. D 57 (1998) 3873). Least squares uses one fixed metric, the Standard Model's, for data and
toys alike: the critical values calibrate it. Every confidence level has a grid of its own, so that no row depends on
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.errors import StatisticsError, StudyError, located
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.contours import contour
from cevnslab.inference.coordinates import Coordinates
from cevnslab.inference.grids import trace
from cevnslab.inference.intervals import Minimum, Piece, Segment, bounded, searched
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_tasks import ToyTask, delta_chi2, fewest_toys, quantile
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.toys import Ensemble, with_metric
from cevnslab.parallel.tasks import Mapper
from cevnslab.studies import schema
from cevnslab.studies.analysis import Analysis

FloatArray = NDArray[np.float64]

POINTS_PER_PIECE = 33
"""True values in each piece of the coupling's range that is searched."""
REACH = 4.0
"""The range covers delta chi^2 up to this many times Wilks' critical value."""
FINE_POINTS, SLOW_FINE_POINTS = 4001, 401
"""Between which ends are looked for, where chi^2 costs a few operations and where it is minimised."""
CLOSE = 1e-10
"""How near an end is to where delta chi^2 meets the critical value, relative to the step that holds it."""
REGION_POINTS = 24
"""True values along each axis of a two-coupling region."""
FINE_CELLS, SLOW_FINE_CELLS = 10, 4
"""Of a region, per true value."""
FEWEST_COMPRESSED_COUNTS = 25.0
"""Regions draw sufficient statistics as normals where every bin expects at least this; else exact counts."""
REGION_ROOM = 0.25
"""The region's box is the delta chi^2 contour's, larger by this part on every side."""

DEFAULT_TOYS = 10_000
DEFAULT_SEED = 1


@dataclass(frozen=True)
class Options:
    """How critical values are simulated."""

    toys: int
    seed: int
    ensemble: Ensemble
    minimum: Minimum

    @classmethod
    def of(cls, intervals: schema.Intervals) -> Options:
        """The options of a study, defaults filled in.

        Raises `StudyError` for a confidence level that the toys cannot resolve.
        """
        toys = intervals.toys or DEFAULT_TOYS
        for level in intervals.levels:
            if toys < fewest_toys(level):
                raise StudyError(
                    f"intervals.toys: {toys} toys do not resolve {100 * level:.10g} %, which needs {fewest_toys(level)}"
                )
        return cls(
            toys,
            DEFAULT_SEED if intervals.seed is None else intervals.seed,
            intervals.ensemble or "drawn",
            intervals.minimum,
        )

    @property
    def convention(self) -> str:
        """In words, for every output."""
        return convention(self.minimum, self.ensemble)


def convention(minimum: Minimum, ensemble: Ensemble) -> str:
    """Which minimum an interval compares with, and which ensemble the toys are.

    >>> convention("global", "drawn")
    'global minimum; normalisations drawn'
    """
    return f"{minimum} minimum; {'normalisations drawn' if ensemble == 'drawn' else 'constraint centres fluctuated'}"


@dataclass(frozen=True, eq=False)
class _Subject:
    """What toys are made of: an analysis in its fixed metric, and the couplings under test."""

    analysis: Analysis
    names: tuple[str, ...]

    @cached_property
    def likelihood(self) -> Likelihood:
        """Least squares in the metric of the Standard Model."""
        with located(self.analysis.name):
            return with_metric(self.analysis.likelihood)

    @cached_property
    def hidden(self) -> tuple[str, ...]:
        """Couplings that are minimised over."""
        return self.analysis.hidden(*self.names)

    @cached_property
    def chi2(self) -> Chi2:
        """Of the couplings under test."""
        return Chi2.of(self.likelihood, self.names, self.hidden)

    @cached_property
    def mirrored(self) -> bool:
        """Whether only squares of the first coupling enter: then toys of one sign are enough."""
        alone = self.likelihood.restricted([*self.names, *self.hidden])
        return Coordinates.of_likelihood(alone).each[alone.couplings.index(self.names[0])].squared

    def task(self, truth: tuple[float, ...], place: str, options: Options, compressed: bool = False) -> ToyTask:
        """The toys of one true value, whose random numbers belong to its place on the grid."""
        return ToyTask(
            likelihood=self.likelihood,
            names=self.names,
            truth=truth,
            toys=options.toys,
            seed=options.seed,
            stream=(self.analysis.declared, place),
            hidden=self.hidden,
            minimum=options.minimum if len(self.names) == 1 else "global",
            ensemble=options.ensemble,
            compressed=compressed,
        )


@dataclass(frozen=True, eq=False)
class _Plan:
    """One interval to be made: where its truths lie and their tasks."""

    subject: _Subject
    limit: results.Limit
    pieces: tuple[FloatArray, ...]
    tasks: tuple[ToyTask, ...]

    @property
    def reach(self) -> float:
        """Delta chi^2 up to which values are searched."""
        return REACH * delta_chi2_level(self.limit.confidence_level, 1)


def intervals(
    intervals: Sequence[tuple[Analysis, results.Limit]], options: Options, store: Path | None, mapper: Mapper
) -> tuple[list[results.Limit], list[results.CriticalValues]]:
    """Feldman-Cousins intervals in the place of delta chi^2 limits, and the critical values they come from."""
    plans = [_plan(analysis, limit, options) for analysis, limit in intervals]
    tasks = [task for plan in plans for task in plan.tasks]
    simulated = iter(delta_chi2(tasks, store, mapper, "critical values"))
    limits, values = [], []
    for plan in plans:
        pairs = [quantile(next(simulated), plan.limit.confidence_level) for _ in plan.tasks]
        critical, errors = np.array(pairs).T
        limits.append(_limit(plan, critical, options))
        values.append(_critical_values(plan, critical, errors, options))
    return limits, values


def _plan(analysis: Analysis, limit: results.Limit, options: Options) -> _Plan:
    subject = _Subject(analysis, (limit.coupling,))
    reach = REACH * delta_chi2_level(limit.confidence_level, 1)
    curve = searched(subject.chi2, [reach], options.minimum)
    pieces = []
    for piece in curve.below(reach):
        if subject.mirrored and piece.high <= 0:
            continue
        start = max(piece.low, 0.0) if subject.mirrored else piece.low
        pieces.append(_along(subject.chi2, start, piece.high, reach, POINTS_PER_PIECE))
    truths = np.concatenate(pieces)
    tasks = tuple(subject.task((float(truth),), f"truth {position}", options) for position, truth in enumerate(truths))
    return _Plan(subject, limit, tuple(pieces), tasks)


def _along(chi2: Chi2, low: float, high: float, reach: float, points: int) -> FloatArray:
    """Values from low to high, even along the curve of delta chi^2: close where it changes, whatever the decade."""
    axis = chi2.axes[0]
    dense = np.union1d(np.linspace(low, high, 400), axis.search_points(100))
    dense = np.union1d(dense[(dense >= low) & (dense <= high)], [low, high])
    rise = np.abs(np.diff(np.minimum(chi2(dense), reach))) / reach
    arc = np.concatenate([[0.0], np.cumsum(rise + np.diff(dense) / (high - low))])
    return np.asarray(np.interp(np.linspace(0, arc[-1], points), arc, dense))


def _limit(plan: _Plan, critical: FloatArray, options: Options) -> results.Limit:
    """All pieces in which the observed delta chi^2 is below the interpolated critical value."""
    chi2 = plan.subject.chi2
    curve = searched(chi2, [plan.reach], options.minimum)
    bounds = chi2.axes[0].bounds
    segments: list[Segment] = []
    start = 0
    for piece in plan.pieces:
        values = critical[start : start + len(piece)]
        start += len(piece)
        with located(f"{plan.subject.analysis.name}, {plan.limit.coupling}"):
            segments += _allowed(plan, piece, values, curve.lowest)
    pieces = bounded(segments, bounds)
    if options.minimum == "connected":
        pieces = tuple(piece for piece in pieces if piece.low <= curve.best_fit <= piece.high)
    kinds = [_kinds(chi2, piece) for piece in pieces]
    return replace(
        plan.limit,
        method="feldman-cousins",
        delta_chi2=None,
        segments=tuple((piece.low, piece.high) for piece in pieces),
        kinds=tuple(kinds),
        delta_chi2_segments=plan.limit.segments,
        delta_chi2_kinds=plan.limit.kinds,
    )


def _kinds(chi2: Chi2, piece: Piece) -> tuple[str, str]:
    """What makes the ends of a piece; at a crossing a hidden coupling may rest on its bound."""
    if not chi2.hidden:
        return piece.low_kind, piece.high_kind
    resting = chi2.at_hidden_bound(chi2.sample(np.array([[piece.low], [piece.high]])).state)
    low, high = (
        "hidden-bound" if kind == "limit" and rests else kind
        for kind, rests in zip((piece.low_kind, piece.high_kind), resting, strict=True)
    )
    return low, high


def _allowed(plan: _Plan, piece: FloatArray, critical: FloatArray, lowest: float) -> list[Segment]:
    """Where, in one piece of the range, delta chi^2 is below the critical value; mirrored if only squares enter."""
    chi2, mirrored = plan.subject.chi2, plan.subject.mirrored
    bounds = chi2.axes[0].bounds

    def excess(values: FloatArray) -> FloatArray:
        return np.asarray(chi2(values) - lowest - np.interp(values, piece, critical))

    points = FINE_POINTS if chi2.quick else SLOW_FINE_POINTS
    values = np.union1d(_along(chi2, piece[0], piece[-1], lowest + plan.reach, points), piece)
    at = excess(values)
    below = at < 0
    for end, inside in ((values[0], below[0]), (values[-1], below[-1])):
        if inside and end not in bounds and not (mirrored and end == 0):
            raise StatisticsError(
                f"the simulated critical values reach the end of the range that is searched, delta chi^2 up to "
                f"{REACH:g} times Wilks' value; use more toys or another statistic"
            )
    changes = np.flatnonzero(below[1:] != below[:-1])
    borders = [_crossing(excess, values[place], values[place + 1]) for place in changes]
    if below[0]:
        borders = [0.0 if mirrored else -np.inf, *borders]
    if below[-1]:
        borders.append(np.inf)
    pieces = list(zip(borders[::2], borders[1::2], strict=True))
    if not mirrored:
        return pieces
    if pieces and pieces[0][0] == 0.0:
        return [*((-h, -low) for low, h in pieces[:0:-1]), (-pieces[0][1], pieces[0][1]), *pieces[1:]]
    return [*((-high, -low) for low, high in pieces[::-1]), *pieces]


def _crossing(excess: Callable[[FloatArray], FloatArray], low: float, high: float) -> float:
    """Where a function changes its sign."""
    from scipy.optimize import brentq

    return float(brentq(lambda x: float(excess(np.array([x]))[0]), low, high, xtol=CLOSE * (high - low)))


def _critical_values(plan: _Plan, critical: FloatArray, errors: FloatArray, options: Options) -> results.CriticalValues:
    truths = np.concatenate(plan.pieces)
    distances = [0.0]
    start = 0
    for piece in plan.pieces:
        values = critical[start : start + len(piece)]
        start += len(piece)
        distances.append(float(np.max(np.abs(values[1:-1] - (values[:-2] + values[2:]) / 2))))
    return results.CriticalValues(
        detector=plan.subject.analysis.name,
        channels=plan.subject.analysis.channels,
        coupling=plan.limit.coupling,
        confidence_level=plan.limit.confidence_level,
        convention=options.convention,
        toys=options.toys,
        value=truths,
        critical_value=critical,
        critical_value_error=errors,
        interpolation_error=max(distances),
    )


def regions(
    regions: Sequence[tuple[Analysis, tuple[str, str], float]], options: Options, store: Path | None, mapper: Mapper
) -> tuple[list[results.ContourLines], list[results.CriticalMap]]:
    """Two-coupling regions at a confidence level each, and the coarse maps of critical values behind them.

    The minimum is the global one. Toys come from the compressed generator where every bin expects enough counts.
    """
    subjects = [(_Subject(analysis, names), level) for analysis, names, level in regions]
    grids = [_grid(subject, level) for subject, level in subjects]
    tasks = [
        subject.task((float(x), float(y)), f"row {row}, column {column}", options, compressed=_many_counts(subject))
        for (subject, _), axes in zip(subjects, grids, strict=True)
        for row, y in enumerate(axes[1])
        for column, x in enumerate(axes[0])
    ]
    simulated = iter(delta_chi2(tasks, store, mapper, "regions"))
    lines, maps = [], []
    for (subject, level), (x, y) in zip(subjects, grids, strict=True):
        analysis, names = subject.analysis, subject.names
        pairs = [quantile(next(simulated), level) for _ in range(len(x) * len(y))]
        critical = np.array([value for value, _ in pairs]).reshape(len(y), len(x))
        bends = critical[1:-1, 1:-1] - (critical[:-2, 1:-1] + critical[2:, 1:-1]) / 2
        maps.append(
            results.CriticalMap(
                detector=analysis.name,
                channels=analysis.channels,
                coupling_x=names[0],
                coupling_y=names[1],
                confidence_level=level,
                convention=options.convention,
                toys=options.toys,
                x=x,
                y=y,
                critical_value=critical,
                largest_error=max(error for _, error in pairs),
                interpolation_error=float(np.max(np.abs(bends))),
            )
        )
        with located(f"{analysis.name}, {names[0]} and {names[1]}"):
            polygons = _region(subject, x, y, critical)
        lines.append(results.ContourLines(analysis.name, analysis.channels, names[0], names[1], level, polygons))
    return lines, maps


def _grid(subject: _Subject, level: float) -> tuple[FloatArray, FloatArray]:
    """True values along both axes: around the delta chi^2 contour."""
    points = np.concatenate(contour(subject.chi2, level).polygons)
    room = REGION_ROOM * np.ptp(points, axis=0)
    bounds = np.array([axis.bounds for axis in subject.chi2.axes])
    low = np.maximum(points.min(axis=0) - room, bounds[:, 0])
    high = np.minimum(points.max(axis=0) + room, bounds[:, 1])
    return np.linspace(low[0], high[0], REGION_POINTS), np.linspace(low[1], high[1], REGION_POINTS)


def _many_counts(subject: _Subject) -> bool:
    """Whether every bin has a fixed metric, and expects enough counts for normals in the place of Poisson's law."""
    variances = [dataset.variance for dataset in subject.likelihood.datasets]
    return all(variance is not None and variance.min() >= FEWEST_COMPRESSED_COUNTS for variance in variances)


def _region(subject: _Subject, x: FloatArray, y: FloatArray, critical: FloatArray) -> tuple[FloatArray, ...]:
    from scipy.interpolate import RegularGridInterpolator

    cells = REGION_POINTS * (FINE_CELLS if subject.chi2.quick else SLOW_FINE_CELLS)
    fine_x, fine_y = (np.linspace(axis[0], axis[-1], cells) for axis in (x, y))
    grid = np.stack(np.meshgrid(fine_y, fine_x, indexing="ij"), axis=-1)
    allowed = RegularGridInterpolator((y, x), critical)(grid)
    observed = subject.chi2.on_grid(fine_x, fine_y)
    excess = observed - observed.min() - allowed
    bounds = [axis.bounds for axis in subject.chi2.axes]
    ends = (
        (excess[:, 0], x[0], bounds[0][0]),
        (excess[:, -1], x[-1], bounds[0][1]),
        (excess[0], y[0], bounds[1][0]),
        (excess[-1], y[-1], bounds[1][1]),
    )
    # A region may well end at a bound, such as g = 0.
    if any(side.min() < 0 and end != bound for side, end, bound in ends):
        raise StatisticsError("the region reaches the end of the simulated map; use more toys")
    return trace(fine_x, fine_y, excess, 0.0)
