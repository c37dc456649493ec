"""Feldman-Cousins intervals and regions: critical values from pseudo-experiments instead of Wilks' theorem.

At true values on a coarse grid, the critical value is the quantile of delta chi^2 that toys of that truth give; in
between it is interpolated linearly. A value belongs to the interval where the observed delta chi^2 is below it
(Feldman, Cousins, Phys. Rev. D 57 (1998) 3873). Least squares uses one fixed metric, the Standard Model's, for data and
toys alike: the critical values calibrate it.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.errors import StatisticsError, StudyError, located
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.contours import contour, trace
from cevnslab.inference.intervals import Minimum, Segment, bounded, searched
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toys import Ensemble, expected_variance
from cevnslab.parallel.tasks import Mapper
from cevnslab.studies import blocks, schema
from cevnslab.studies.analysis import Analysis

FloatArray = NDArray[np.float64]

POINTS_PER_PIECE = 33
"""True values in each piece of the coupling's range that is searched."""
REACH = 4.0
"""The range covers delta chi^2 up to this many times Wilks' critical value."""
FINE_POINTS = 4001
REGION_POINTS = 24
"""True values along each axis of a two-coupling region."""
FEWEST_COMPRESSED_COUNTS = 25.0
"""Regions draw sufficient statistics as normals where every bin expects at least this; else exact counts."""
REGION_ROOM = 0.25
"""The region's box is the delta chi^2 contour's, larger by this part on every side."""

DEFAULT_TOYS = 10_000
FEWEST_ABOVE = 10
"""A quantile needs this many toys beyond it."""
DEFAULT_SEED = 1


@dataclass(frozen=True)
class Options:
    """How critical values are simulated."""

    confidence_level: float
    toys: int
    seed: int
    ensemble: Ensemble
    minimum: Minimum
    fast: bool

    @classmethod
    def of(cls, intervals: schema.Intervals, fast: bool = False) -> Options:
        """The options of a study, defaults filled in.

        Raises `StudyError` for a confidence level that the toys cannot resolve.
        """
        level, toys = intervals.levels[0], intervals.toys or DEFAULT_TOYS
        fewest = math.ceil(FEWEST_ABOVE / (1 - level) * (1 - 1e-9))
        if toys < fewest:
            raise StudyError(f"intervals.toys: {toys} toys do not resolve {100 * level:.10g} %, which needs {fewest}")
        return cls(
            level,
            toys,
            DEFAULT_SEED if intervals.seed is None else intervals.seed,
            intervals.ensemble or "drawn",
            intervals.minimum,
            fast,
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
class _Plan:
    """One interval to be made: where its truths lie and their tasks."""

    analysis: Analysis
    limit: results.Limit
    pieces: tuple[FloatArray, ...]
    even: bool
    tasks: tuple[blocks.ToyTask, ...]


def intervals(
    made: Sequence[tuple[Analysis, results.Limit]], options: Options, store: Path | None, mapper: Mapper
) -> tuple[list[results.Limit], list[results.CriticalValues]]:
    """Feldman-Cousins intervals in the place of delta chi^2 limits, and the critical values they come from."""
    plans = [_plan(analysis, limit, options) for analysis, limit in made]
    tasks = [task for plan in plans for task in plan.tasks]
    simulated = iter(blocks.delta_chi2(tasks, store, mapper, "critical values"))
    limits, values = [], []
    for plan in plans:
        samples = [next(simulated) for _ in plan.tasks]
        critical = np.array([np.quantile(sample, options.confidence_level) for sample in samples])
        errors = np.array([_quantile_error(sample, options.confidence_level) for sample in samples])
        limits.append(_limit(plan, critical, options))
        values.append(_critical_values(plan, critical, errors, options))
    return limits, values


def _stream(*names: str) -> int:
    """What stands for a detector and its couplings in the random numbers: neither their order nor their company."""
    return zlib.crc32("\0".join(names).encode())


def _quantile_error(sample: FloatArray, probability: float) -> float:
    """One standard deviation of a quantile, from the binomial error of the probability."""
    spread = np.sqrt(probability * (1 - probability) / len(sample))
    low, high = np.quantile(sample, [max(probability - spread, 0.0), min(probability + spread, 1.0)])
    return float(high - low) / 2


def _plan(analysis: Analysis, limit: results.Limit, options: Options) -> _Plan:
    chi2 = analysis.chi2(limit.coupling)
    experiment = analysis.experiment(limit.coupling)
    reach = REACH * delta_chi2_level(options.confidence_level, 1)
    curve = searched(chi2, [reach], options.minimum)
    mirrored = experiment.even and not experiment.axes[0].one_sided
    pieces = []
    for piece in curve.below(reach):
        if mirrored and piece.high <= 0:
            continue
        start = max(piece.low, 0.0) if mirrored else piece.low
        pieces.append(_along(chi2, start, piece.high, reach, POINTS_PER_PIECE))
    truths = np.concatenate(pieces)
    least_squares = analysis.statistic_name == "least-squares"
    tasks = tuple(
        blocks.ToyTask(
            experiment=experiment,
            truth=(float(truth),),
            statistic=analysis.statistic_name,
            metric=(chi2.axes[0].standard_model,) if least_squares else None,
            compressed=False,
            ensemble=options.ensemble,
            minimum=options.minimum,
            toys=options.toys,
            seed=options.seed,
            fast=options.fast,
            key=(_stream(limit.detector, limit.coupling), position),
        )
        for position, truth in enumerate(truths)
    )
    return _Plan(analysis, limit, tuple(pieces), mirrored, tasks)


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
    chi2 = plan.analysis.chi2(plan.limit.coupling)
    reach = REACH * delta_chi2_level(options.confidence_level, 1)
    curve = searched(chi2, [reach], options.minimum)
    best, lowest = curve.best_fit, curve.lowest
    bounds = chi2.axes[0].bounds
    segments: list[Segment] = []
    start = 0
    for piece in plan.pieces:
        values = np.union1d(_along(chi2, piece[0], piece[-1], lowest + reach, FINE_POINTS), piece)
        allowed = np.interp(values, piece, critical[start : start + len(piece)])
        start += len(piece)
        excess = chi2(values) - lowest - allowed
        with located(f"{plan.analysis.name}, {plan.limit.coupling}"):
            segments += _below_zero(values, excess, bounds, mirrored=plan.even)
    pieces = bounded(segments, bounds)
    if options.minimum == "connected":
        pieces = tuple(piece for piece in pieces if piece.low <= best <= piece.high)
    return replace(
        plan.limit,
        method="feldman-cousins",
        delta_chi2=None,
        segments=tuple((piece.low, piece.high) for piece in pieces),
        kinds=tuple((piece.low_kind, piece.high_kind) for piece in pieces),
        delta_chi2_segments=plan.limit.segments,
        delta_chi2_kinds=plan.limit.kinds,
    )


def _below_zero(values: FloatArray, excess: FloatArray, bounds: tuple[float, float], mirrored: bool) -> list[Segment]:
    """Where a curve given point by point is below zero; mirrored at zero if only squares enter."""
    below = excess < 0
    for end, inside in ((values[0], below[0]), (values[-1], below[-1])):
        if inside and end not in bounds and not (mirrored and end == 0):
            raise StatisticsError(
                f"the simulated critical values reach the end of the range that is searched, delta chi^2 up to "
                f"{REACH:g} times Wilks' value; use more toys or another statistic"
            )
    changes = np.flatnonzero(below[1:] != below[:-1])
    step = np.diff(values)[changes]
    crossings = values[changes] - excess[changes] * step / (excess[changes + 1] - excess[changes])
    borders = [float(x) for x in crossings]
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


def _critical_values(plan: _Plan, critical: FloatArray, errors: FloatArray, options: Options) -> results.CriticalValues:
    truths = np.concatenate(plan.pieces)
    distances = [0.0]
    start = 0
    for piece in plan.pieces:
        own = critical[start : start + len(piece)]
        start += len(piece)
        distances.append(float(np.max(np.abs(own[1:-1] - (own[:-2] + own[2:]) / 2))))
    return results.CriticalValues(
        detector=plan.analysis.name,
        channels=plan.analysis.channels,
        coupling=plan.limit.coupling,
        confidence_level=options.confidence_level,
        convention=options.convention,
        toys=options.toys,
        value=truths,
        critical_value=critical,
        critical_value_error=errors,
        interpolation_error=max(distances),
    )


def regions(
    made: Sequence[tuple[Analysis, tuple[str, str]]], options: Options, store: Path | None, mapper: Mapper
) -> tuple[list[results.ContourLines], list[results.CriticalMap]]:
    """Two-coupling regions, and the coarse maps of critical values from which they are interpolated.

    The minimum is the global one. Toys come from the compressed generator where every bin expects enough counts.
    """
    grids, tasks = [], []
    for analysis, names in made:
        wilks = contour(analysis.chi2(*names), options.confidence_level)
        points = np.concatenate(wilks.polygons)
        room = REGION_ROOM * np.ptp(points, axis=0)
        experiment = analysis.experiment(*names)
        low = np.maximum(points.min(axis=0) - room, [axis.bounds[0] for axis in experiment.axes])
        high = np.minimum(points.max(axis=0) + room, [axis.bounds[1] for axis in experiment.axes])
        axes = [np.linspace(low[i], high[i], REGION_POINTS) for i in (0, 1)]
        grids.append(axes)
        tasks += [
            blocks.ToyTask(
                experiment=experiment,
                truth=(float(x), float(y)),
                statistic="least-squares",
                metric=tuple(axis.standard_model for axis in experiment.axes),
                compressed=bool(
                    expected_variance(experiment, tuple(axis.standard_model for axis in experiment.axes)).min()
                    >= FEWEST_COMPRESSED_COUNTS
                ),
                ensemble=options.ensemble,
                minimum="global",
                toys=options.toys,
                seed=options.seed,
                fast=False,
                key=(_stream(analysis.name, *names), row, column),
            )
            for row, y in enumerate(axes[1])
            for column, x in enumerate(axes[0])
        ]
    simulated = iter(blocks.delta_chi2(tasks, store, mapper, "regions"))
    lines, maps = [], []
    for (analysis, names), (x, y) in zip(made, grids, strict=True):
        samples = [next(simulated) for _ in range(len(x) * len(y))]
        critical = np.array([np.quantile(sample, options.confidence_level) for sample in samples])
        critical = critical.reshape(len(y), len(x))
        errors = [_quantile_error(sample, options.confidence_level) for sample in samples]
        maps.append(
            results.CriticalMap(
                detector=analysis.name,
                channels=analysis.channels,
                coupling_x=names[0],
                coupling_y=names[1],
                confidence_level=options.confidence_level,
                convention=options.convention,
                toys=options.toys,
                x=x,
                y=y,
                critical_value=critical,
                largest_error=max(errors),
                interpolation_error=float(
                    np.max(np.abs(critical[1:-1, 1:-1] - (critical[:-2, 1:-1] + critical[2:, 1:-1]) / 2))
                ),
            )
        )
        with located(f"{analysis.name}, {names[0]} and {names[1]}"):
            polygons = _region(analysis, names, x, y, critical)
        lines.append(results.ContourLines(analysis.name, analysis.channels, *names, options.confidence_level, polygons))
    return lines, maps


def _region(
    analysis: Analysis, names: tuple[str, str], x: FloatArray, y: FloatArray, critical: FloatArray
) -> tuple[FloatArray, ...]:
    from scipy.interpolate import RegularGridInterpolator

    fine_x, fine_y = (np.linspace(axis[0], axis[-1], 10 * REGION_POINTS) for axis in (x, y))
    grid = np.stack(np.meshgrid(fine_y, fine_x, indexing="ij"), axis=-1)
    allowed = RegularGridInterpolator((y, x), critical)(grid)
    observed = analysis.chi2(*names).on_grid(fine_x, fine_y)
    excess = observed - observed.min() - allowed
    bounds = [axis.bounds for axis in analysis.chi2(*names).axes]
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
