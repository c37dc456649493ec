"""The global fit of pseudo-experiments, all of them at once.

With A_0 = 1 + a_0 the centre of the signal's constraint, k = 1/sigma_a^2 and <.,.> the product in a metric with the
backgrounds profiled (see `least_squares`), the least-squares statistic of any data y = N - B is

    chi^2(theta) = <y,y> + k A_0^2 - gain(theta),   gain = (k A_0 + <n,y>)^2/(k + <n,n>),

so that delta chi^2 at the truth is max gain - gain(truth). <n,y> and <n,n> are polynomials in the coupling: a toy is
reduced to their few coefficients, its gain is taken on one grid that covers every place where a minimum can be, and
the highest point is refined inside its own cell. There is no start value, and nothing that iterates towards a wrong
minimum.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.compiled import highest_gain
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.poisson import profile
from cevnslab.inference.toys import Experiment, Statistics, Toys, expected_variance, reduce_counts

FloatArray = NDArray[np.float64]

LARGEST_BATCH = 2_000_000
"""Numbers (points times bins) that are minimised over at once."""

GRID_POINTS = 160
GRID_REACH = 60.0
"""The grid is uniform, `GRID_POINTS` to a piece, where the Asimov delta chi^2 against the truth is below this."""
DECADES_REACH, DECADES_STEP = 1000.0, 4
"""Up to this it goes on decade by decade: toys whose normalisations lie far off have their minimum there."""


def gain(experiment: Experiment, statistics: Statistics, monomials: FloatArray) -> FloatArray:
    """The part of chi^2 that depends on the couplings, with the sign turned: shape (toys, points)."""
    linear = statistics.along @ monomials.T
    pairs = (monomials[:, :, None] * monomials[:, None, :]).reshape(len(monomials), -1)
    square = statistics.gram.reshape(len(statistics.gram), -1) @ pairs.T
    if experiment.signal_uncertainty == 0:
        return np.asarray(2 * linear - square)
    k = experiment.signal_uncertainty**-2
    linear += k * statistics.centre[:, None]
    linear *= linear
    linear /= k + square
    return linear


def grid_for(
    experiment: Experiment, truth: tuple[float, ...], variance: FloatArray, minimum: Minimum = "global"
) -> FloatArray:
    """Points (in units of the scale) that cover every value a fit of toys of one coupling can prefer.

    For the connected minimum the valley of the Standard Model and the way from there to the truth belong to them too.
    Uniform in all pieces in which the Asimov delta chi^2 against the truth stays below `GRID_REACH` (in the square of
    the coupling where only that enters), decade by decade beyond them.
    """
    if minimum == "connected":
        origin = (experiment.axes[0].standard_model,)
        way = np.linspace(0.0, float(experiment.axes[0].scaled(truth[0])), GRID_POINTS)
        # The nearest minimum may be one that the data all but exclude: it is looked for on every decade.
        decades = experiment.axes[0].scaled(experiment.axes[0].search_points(100))
        return np.unique(
            np.concatenate(
                [
                    grid_for(experiment, truth, variance),
                    grid_for(experiment, origin, expected_variance(experiment, origin)),
                    np.abs(way) if experiment.even else way,
                    decades[decades >= 0] if experiment.even else decades,
                ]
            )
        )
    axis = experiment.axes[0]
    asimov = Toys(
        (experiment.signal_at(truth) + experiment.backgrounds.sum(axis=0))[None, :],
        np.zeros((1, 1 + len(experiment.backgrounds))),
    )
    statistics = reduce_counts(experiment, asimov, variance)
    truth_point = float(axis.scaled(truth[0]))
    points = axis.scaled(axis.search_points(400))
    if experiment.even:
        truth_point, points = abs(truth_point), points[points >= 0]
    points = np.union1d(points, [truth_point, 0.0])
    values = gain(experiment, statistics, experiment.monomials_at(points[:, None]))[0]
    below = values.max() - values
    # Where delta chi^2 saturates before the reach, the uniform part ends half way to its value far out.
    reach = min(GRID_REACH, 0.5 * float(max(below[0] if not experiment.even else 0.0, below[-1])))
    power = 2 if experiment.even else 1
    made = [points[below < DECADES_REACH][::DECADES_STEP] ** power]
    inside = np.flatnonzero(below < reach)
    for piece in np.split(inside, np.flatnonzero(np.diff(inside) > 1) + 1):
        low, high = points[max(piece[0] - 1, 0)], points[min(piece[-1] + 1, len(points) - 1)]
        made.append(np.linspace(low**power, high**power, GRID_POINTS))
    grid = np.unique(np.concatenate(made))
    return np.sqrt(grid) if experiment.even else grid


def delta_chi2_at_truth(
    experiment: Experiment,
    statistics: Statistics,
    truth: tuple[float, ...],
    grid: FloatArray,
    minimum: Minimum = "global",
    *,
    fast: bool = False,
) -> FloatArray:
    """What each toy of one coupling compares with the level, shape (toys,).

    ``"global"``: chi^2(truth) less the lowest minimum's: the highest gain on the grid, refined by three Newton steps
    that may not leave its cell. ``"connected"``: less that of the minimum nearest the Standard Model, or the barrier on
    the way from there to the truth where that is higher, since only the connected piece belongs to the interval.
    """
    power = 2 if experiment.even else 1
    axis = grid**power
    polynomials = _Polynomials.of(experiment, statistics)
    scaled = float(experiment.axes[0].scaled(truth[0]))
    at_truth = polynomials.on_grid(np.array([scaled**power]))[:, 0]
    if minimum == "global":
        best, highest = polynomials.highest(axis, fast)
        highest = np.maximum(highest, polynomials.refined(axis, best))
        return np.asarray(np.maximum(highest, at_truth) - at_truth)
    at_grid = polynomials.on_grid(axis)
    best = _nearest_zero(at_grid, grid)
    highest = np.take_along_axis(at_grid, best[:, None], axis=1)[:, 0]
    highest = np.maximum(highest, polynomials.refined(axis, best))
    place = int(np.searchsorted(grid, abs(scaled) if experiment.even else scaled))
    index = np.arange(len(grid))
    between = (index >= np.minimum(best, place)[:, None]) & (index < np.maximum(best + 1, place)[:, None])
    lowest = np.where(between, at_grid, np.inf).min(axis=1)
    return np.asarray(np.maximum(highest - np.minimum(lowest, at_truth), 0.0))


def _peaks(at_grid: FloatArray) -> NDArray[np.bool_]:
    """Where the gain has a local maximum on the grid, its ends included."""
    padded = np.pad(at_grid, ((0, 0), (1, 1)), constant_values=-np.inf)
    return (padded[:, 1:-1] >= padded[:, :-2]) & (padded[:, 1:-1] > padded[:, 2:])


def _nearest_zero(at_grid: FloatArray, grid: FloatArray) -> NDArray[np.int64]:
    """Index of the local maximum nearest zero of every toy."""
    distance = np.where(_peaks(at_grid), np.abs(grid), np.inf)
    return np.asarray(np.argmin(distance, axis=1))


POISSON_GRID_POINTS = 40
"""Points of the fit's grid at which the Poisson likelihood itself is taken, half a standard deviation apart or less."""
POISSON_PARABOLAS = 6


def poisson_delta_chi2_at_truth(
    experiment: Experiment, toys: Toys, truth: tuple[float, ...], grid: FloatArray
) -> FloatArray:
    """The same, global, for the Poisson likelihood: shape (toys,).

    The likelihood is profiled on a coarse grid over the whole range, not only where least squares has its minima,
    which differ at low counts. Every dip is followed by parabolas of shrinking width; the lowest minimum wins.
    """
    power = 2 if experiment.even else 1
    coarse = np.unique(grid[np.linspace(0, len(grid) - 1, min(POISSON_GRID_POINTS, len(grid))).astype(int)])
    axis = coarse**power
    everyone = np.arange(len(toys.counts))
    at_grid = np.stack(
        [_poisson_chi2(experiment, toys, everyone, np.full(len(everyone), point)) for point in coarse], axis=1
    )
    toy, place = np.nonzero(_peaks(-at_grid))
    x, centre = axis[place], at_grid[toy, place]
    steps = np.diff(axis)
    width = np.maximum(steps[np.maximum(place - 1, 0)], steps[np.minimum(place, len(steps) - 1)])
    sign = np.sign(truth[0]) or 1.0
    lowest = 0.0 if experiment.even else -np.inf

    def chi2(points: FloatArray) -> FloatArray:
        couplings = sign * np.sqrt(points) if experiment.even else points
        return _poisson_chi2(experiment, toys, toy, couplings)

    for _ in range(POISSON_PARABOLAS):
        left, right = np.maximum(x - width, lowest), x + width
        below, above = chi2(left), chi2(right)
        vertex = _parabola_top(left, x, right, below, centre, above)
        vertex = np.clip(vertex, np.maximum(x - 2 * width, lowest), x + 2 * width)
        # Of the four points tried the lowest is kept: no step can go uphill.
        points, values = np.stack([left, x, right, vertex]), np.stack([below, centre, above, chi2(vertex)])
        pick = np.argmin(values, axis=0)
        x, centre = points[pick, np.arange(len(x))], values[pick, np.arange(len(x))]
        width = width / 3
    best = np.full(len(toys.counts), np.inf)
    np.minimum.at(best, toy, centre)
    at_truth = _poisson_chi2(
        experiment, toys, everyone, np.full(len(everyone), float(experiment.axes[0].scaled(truth[0])))
    )
    return np.asarray(np.maximum(at_truth - best, 0.0))


def _parabola_top(
    x0: FloatArray, x1: FloatArray, x2: FloatArray, f0: FloatArray, f1: FloatArray, f2: FloatArray
) -> FloatArray:
    """Where the parabola through three points has its minimum; the lowest point where it has none."""
    first = np.divide(f1 - f0, x1 - x0, out=np.zeros_like(f0), where=x1 > x0)
    second = (f2 - f1) / (x2 - x1)
    curvature = (second - first) / (x2 - x0)
    vertex = (x0 + x1) / 2 - np.divide(first, 2 * curvature, out=np.zeros_like(first), where=curvature > 0)
    fallback = np.where(f0 < f2, x0, x2)
    return np.where((curvature > 0) & (x1 > x0), vertex, fallback)


def _poisson_chi2(experiment: Experiment, toys: Toys, toy: NDArray[np.int64], couplings: FloatArray) -> FloatArray:
    """The profiled Poisson chi^2 of chosen toys, each at its own value of the coupling (in units of the scale)."""
    step = max(1, LARGEST_BATCH // (4 * experiment.signal.shape[1]))
    pieces = []
    for start in range(0, len(toy), step):
        chosen = toy[start : start + step]
        signal = experiment.monomials_at(couplings[start : start + step, None]) @ experiment.signal
        pieces.append(
            profile(
                signal,
                experiment.backgrounds,
                toys.counts[chosen],
                experiment.signal_uncertainty,
                experiment.background_uncertainties,
                toys.centres[chosen],
            )[0]
        )
    return np.concatenate(pieces)


@dataclass(frozen=True, eq=False)
class _Polynomials:
    """<n,y> + k A_0 and <n,n> + k of toys of one coupling, in the variable that is fitted: its square if even."""

    linear: FloatArray
    """Shape (toys, degrees)."""
    square: FloatArray
    """Shape (toys or 1, degrees)."""
    quotient: bool
    """Whether the gain is linear^2/square, or (signal normalisation fixed) 2 linear - square."""

    @classmethod
    def of(cls, experiment: Experiment, statistics: Statistics) -> _Polynomials:
        degrees = experiment.exponents[:, 0] // (2 if experiment.even else 1)
        size = int(degrees.max()) + 1
        linear = np.zeros((len(statistics.along), size))
        square = np.zeros((len(statistics.gram), 2 * size - 1))
        for m, first in enumerate(degrees):
            linear[:, first] += statistics.along[:, m]
            for n, second in enumerate(degrees):
                square[:, first + second] += statistics.gram[:, m, n]
        quotient = experiment.signal_uncertainty > 0
        if quotient:
            k = experiment.signal_uncertainty**-2
            linear[:, 0] += k * statistics.centre
            square[:, 0] += k
        return cls(linear, square, quotient)

    def on_grid(self, axis: FloatArray) -> FloatArray:
        """The gain, shape (toys, points)."""
        powers = np.vander(axis, self.square.shape[1], increasing=True).T
        above = self.linear @ powers[: self.linear.shape[1]]
        below = self.square @ powers
        if not self.quotient:
            return np.asarray(2 * above - below)
        above *= above
        above /= below
        return above

    def highest(self, axis: FloatArray, fast: bool) -> tuple[NDArray[np.int64], FloatArray]:
        """Index and gain of every toy's best grid point."""
        if fast:
            return highest_gain()(self.linear, self.square, axis, self.quotient)
        toys = len(self.linear)
        best, highest = np.empty(toys, dtype=np.int64), np.empty(toys)
        for start in range(0, toys, TOYS_AT_ONCE):
            part = slice(start, start + TOYS_AT_ONCE)
            square = self.square[part] if len(self.square) > 1 else self.square
            at_grid = _Polynomials(self.linear[part], square, self.quotient).on_grid(axis)
            best[part] = np.argmax(at_grid, axis=1)
            highest[part] = np.take_along_axis(at_grid, best[part, None], axis=1)[:, 0]
        return best, highest

    def refined(self, axis: FloatArray, best: NDArray[np.int64]) -> FloatArray:
        """The gain at the top of the cells around each toy's best grid point, by three Newton steps inside them."""
        low, high = axis[np.maximum(best - 1, 0)], axis[np.minimum(best + 1, len(axis) - 1)]
        x = axis[best]
        for _ in range(3):
            l0, l1, l2 = _derivatives(self.linear, x)
            s0, s1, s2 = _derivatives(self.square, x)
            if self.quotient:
                # gain = l^2/s; its logarithm has the same top and simpler derivatives.
                slope = 2 * l1 / l0 - s1 / s0
                curvature = 2 * (l2 / l0 - (l1 / l0) ** 2) - s2 / s0 + (s1 / s0) ** 2
            else:
                slope, curvature = 2 * l1 - s1, 2 * l2 - s2
            step = np.divide(-slope, curvature, out=np.zeros_like(slope), where=curvature < 0)
            x = np.clip(x + step, low, high)
        l0, s0 = _derivatives(self.linear, x)[0], _derivatives(self.square, x)[0]
        return np.asarray(l0 * l0 / s0 if self.quotient else 2 * l0 - s0)


def _derivatives(coefficients: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """A polynomial per toy, its first and its second derivative, by one Horner sweep."""
    value, first, half_second = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for column in coefficients.T[::-1]:
        half_second = half_second * x + first
        first = first * x + value
        value = value * x + column
    return value, first, 2 * half_second


TOYS_AT_ONCE = 256
"""Toys whose gains on the grid stay in the cache together."""

REGION_GRID_POINTS = 61
"""Along each of two couplings, between the ends of the region in which a toy's fit can lie."""
REGION_SEARCH_POINTS = 40
"""Per side of each coupling in the first look for that region."""
REGION_REACH = 40.0


def region_delta_chi2_at_truth(experiment: Experiment, statistics: Statistics, truth: tuple[float, ...]) -> FloatArray:
    """chi^2(truth) - chi^2(best fit) of every toy of two couplings, shape (toys,).

    The gain on the points of a plane grid whose Asimov delta chi^2 against the truth is below `REGION_REACH`; the
    highest is refined by three Newton steps that may not leave its cell.
    """
    points, cell = _region_grid(experiment, statistics, truth)
    monomials = experiment.monomials_at(points)
    best, highest = np.empty(len(statistics.along), dtype=np.int64), np.empty(len(statistics.along))
    for start in range(0, len(best), TOYS_AT_ONCE):
        part = slice(start, start + TOYS_AT_ONCE)
        gram = statistics.gram[part] if len(statistics.gram) > 1 else statistics.gram
        at_grid = gain(experiment, Statistics(statistics.along[part], gram, statistics.centre[part]), monomials)
        best[part] = np.argmax(at_grid, axis=1)
        highest[part] = np.take_along_axis(at_grid, best[part, None], axis=1)[:, 0]
    scaled = np.array([[float(axis.scaled(value)) for value, axis in zip(truth, experiment.axes, strict=True)]])
    at_truth = gain(experiment, statistics, experiment.monomials_at(scaled))[:, 0]
    fitted = _refine_region(experiment, statistics, points[best], cell)
    return np.asarray(np.maximum(np.maximum(highest, fitted), at_truth) - at_truth)


def _region_grid(
    experiment: Experiment, statistics: Statistics, truth: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Points near which toys of this truth can have their minimum, and the cell of the grid they lie on."""
    signal = experiment.signal_at(truth)
    constant = Statistics(_along_of(experiment, statistics, signal), statistics.gram[:1], np.ones(1))
    axes = [axis.scaled(axis.search_points(REGION_SEARCH_POINTS)) for axis in experiment.axes]
    wide = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    for margin in (0.3, 0.02):  # the first look is coarse: leave room for what its step hides
        values = gain(experiment, constant, experiment.monomials_at(wide))[0]
        inside = wide[values > values.max() - REGION_REACH]
        low, high = inside.min(axis=0), inside.max(axis=0)
        room = margin * (high - low) + 1e-12
        axes = [np.linspace(low[i] - room[i], high[i] + room[i], REGION_GRID_POINTS) for i in range(2)]
        wide = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    values = gain(experiment, constant, experiment.monomials_at(wide))[0]
    cell = np.array([axis[1] - axis[0] for axis in axes])
    return wide[values > values.max() - REGION_REACH], cell


def _along_of(experiment: Experiment, statistics: Statistics, signal: FloatArray) -> FloatArray:
    """<C_m, s> for the expected signal s, which is a combination of the C: shape (1, monomials)."""
    weights = np.linalg.lstsq(experiment.signal.T, signal, rcond=None)[0]
    return np.asarray(weights @ statistics.gram[0])[None, :]


def _refine_region(experiment: Experiment, statistics: Statistics, start: FloatArray, cell: FloatArray) -> FloatArray:
    """The gain at the top of the cell around each toy's best grid point, by Newton steps in two couplings."""
    k = experiment.signal_uncertainty**-2 if experiment.signal_uncertainty > 0 else 0.0
    gram = np.broadcast_to(statistics.gram, (len(start), *statistics.gram.shape[1:]))
    point = start.copy()
    for _ in range(3):
        m, first, second = _monomial_derivatives(experiment.exponents, point)
        linear = np.sum(m * statistics.along, axis=1) + k * statistics.centre
        gm = np.einsum("tmn,tn->tm", gram, m)
        square = np.sum(m * gm, axis=1) + k
        l1 = np.einsum("tim,tm->ti", first, statistics.along)
        l2 = np.einsum("tijm,tm->tij", second, statistics.along)
        s1 = 2 * np.einsum("tim,tm->ti", first, gm)
        s2 = 2 * np.einsum("tim,tmn,tjn->tij", first, gram, first, optimize=True)
        s2 += 2 * np.einsum("tijm,tm->tij", second, gm)
        if k:
            u, v = l1 / linear[:, None], s1 / square[:, None]
            slope = 2 * u - v
            curve = 2 * (l2 / linear[:, None, None] - u[:, :, None] * u[:, None, :])
            curve += v[:, :, None] * v[:, None, :] - s2 / square[:, None, None]
        else:
            slope, curve = 2 * l1 - s1, 2 * l2 - s2
        determinant = curve[:, 0, 0] * curve[:, 1, 1] - curve[:, 0, 1] ** 2
        concave = (determinant > 0) & (curve[:, 0, 0] < 0)
        safe = np.where(concave, determinant, 1.0)
        step = -np.stack(
            [
                curve[:, 1, 1] * slope[:, 0] - curve[:, 0, 1] * slope[:, 1],
                curve[:, 0, 0] * slope[:, 1] - curve[:, 0, 1] * slope[:, 0],
            ],
            axis=1,
        )
        step = np.where(concave[:, None], step / safe[:, None], 0.0)
        point = np.clip(point + step, start - cell, start + cell)
    m = _monomial_derivatives(experiment.exponents, point)[0]
    linear = np.sum(m * statistics.along, axis=1) + k * statistics.centre
    square = np.einsum("tm,tmn,tn->t", m, gram, m, optimize=True) + k
    return np.asarray(linear**2 / square if k else 2 * linear - square)


def _monomial_derivatives(exponents: NDArray[np.int64], point: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """x^p y^q of every monomial with its first and second derivatives: (toys, m), (toys, 2, m), (toys, 2, 2, m)."""
    powers = [
        [_power_derivative(point[:, axis, None], exponents[:, axis], order) for order in range(3)] for axis in (0, 1)
    ]
    (x0, x1, x2), (y0, y1, y2) = powers
    mixed = x1 * y1
    second = np.stack([np.stack([x2 * y0, mixed], axis=1), np.stack([mixed, x0 * y2], axis=1)], axis=1)
    return x0 * y0, np.stack([x1 * y0, x0 * y1], axis=1), second


def _power_derivative(x: FloatArray, power: NDArray[np.int64], order: int) -> FloatArray:
    """d^order/dx^order of x^power, which is zero where the power is too small."""
    factor = np.ones(len(power))
    for lowered in range(order):
        factor = factor * (power - lowered)
    return np.asarray(factor * x ** np.maximum(power - order, 0))
