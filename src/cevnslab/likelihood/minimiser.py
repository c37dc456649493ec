"""The one minimiser: many points, several starts, many experiments at once.

A damped Newton search (Levenberg, Marquardt) over nuisance parameters in units of their widths and, where they are to
be minimised over, couplings. Far from the minimum the curvature is Gauss-Newton's, which is never negative; near it the
exact one, without which the last digits come slowly. Physical boundaries are walls: what is pushed against one rests
there. Templates known from counts of their own are eliminated at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.boundary import Emptying
from cevnslab.likelihood.expectation import Counted, Expectation, rows_of
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.off_counts import TauCurvature, best_taus, off_deviance, summed
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.statistics import Counts
from cevnslab.likelihood.steps import Coordinates, damping_change
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MOST_STEPS, MOST_LOOSE_STEPS = 5000, 25
"""Steps of a search, and of one that only says how high a point lies.

Where a coupling and a factor that is all but free are known by their product alone, a search has thousands of steps.
"""
LOOSE = 1e-2
"""Decrease of chi^2 that ends a search which ranks starts, or only says how high a point lies."""
RANKING = 1e-3
"""Tolerances above it only say how high a point lies."""
LOOSE_SHARE = 0.1
"""Of chi^2, in units of a loose tolerance: how high a high point lies matters less."""
TOLERANCE = 1e-10
"""Decrease of chi^2 that a step promises at which a point is done, once that step is taken."""
MISSED, NOTHING = 0.05, 1e-14
"""By how much a step may miss its promise and still say what is left after it; a decrease of chi^2 that is nothing."""
LARGEST_DAMPING = 1e12
LARGEST_FALL = 0.9
"""Of the expectation of a bin with counts, in one step."""


@dataclass(frozen=True, eq=False)
class Model:
    """A likelihood compiled for the minimiser."""

    polynomial: Polynomial
    expectations: tuple[Expectation, ...]
    parameters: tuple[Parameter, ...]
    coupling_centres: FloatArray
    """Of the couplings' priors, shape (couplings,)."""
    coupling_stiffness: FloatArray
    """1/width^2 of the couplings' priors; 0 without one."""

    @cached_property
    def unit(self) -> FloatArray:
        """What each nuisance parameter is measured in."""
        return np.array([parameter.unit for parameter in self.parameters])

    @cached_property
    def centre(self) -> FloatArray:
        """Nominal centres."""
        return np.array([parameter.centre for parameter in self.parameters])

    @cached_property
    def walls(self) -> tuple[FloatArray, FloatArray]:
        """Physical boundaries in units of `Parameter.unit` from the centres; a fixed parameter's are both 0."""
        sides = []
        for side in ("low", "high"):
            distance = np.array([getattr(p, side) - p.centre for p in self.parameters])
            with np.errstate(over="ignore"):
                sides.append(np.where([p.fixed for p in self.parameters], 0.0, distance / self.unit))
        return sides[0], sides[1]

    @cached_property
    def stiffness(self) -> FloatArray:
        """Of the constraints, 1/width^2 in these units; 0 for a free parameter and a fixed one, which does not move."""
        return np.array([0.0 if p.free or p.fixed else (p.unit / p.width) ** 2 for p in self.parameters])

    def coupling_excess(self, couplings: FloatArray, data: Observation) -> FloatArray:
        """Couplings less the centres of their constraints, (points, couplings)."""
        centres = self.coupling_centres if data.coupling_centres is None else data.coupling_centres
        return np.asarray(couplings - centres)

    @cached_property
    def multiplied(self) -> NDArray[np.bool_]:
        """Factors that multiply others on some sample, shape (parameters,)."""
        moving = np.array([not parameter.fixed for parameter in self.parameters], dtype=bool)
        result = np.zeros(len(moving), dtype=bool)
        for expectation in self.expectations:
            for scales in expectation.scales:
                factors = scales[moving[scales]]
                if len(factors) > 1:
                    result[factors] = True
        return result

    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        return sum(expectation.numbers_per_point() for expectation in self.expectations)


@dataclass(frozen=True, eq=False)
class Minimum:
    """What was found at every point."""

    chi2: FloatArray
    pulls: FloatArray
    """Nuisance parameters in units of `Parameter.unit` from their nominal centres, shape (points, parameters)."""
    couplings: FloatArray
    """Shape (points, couplings): those that were minimised over at their best."""


@dataclass(frozen=True, eq=False)
class _State:
    """A likelihood evaluated at points."""

    counted: list[Counted]
    expected: list[FloatArray]
    tau: list[FloatArray | None]
    chi2: FloatArray

    def rows(self, selection: NDArray[np.bool_]) -> _State:
        """Some of the points."""
        return _State(
            [counted.rows(selection) for counted in self.counted],
            [expected[selection] for expected in self.expected],
            [None if tau is None else tau[selection] for tau in self.tau],
            self.chi2[selection],
        )

    def lower(self, other: _State, chosen: NDArray[np.bool_]) -> _State:
        """The other's at chosen points: the same experiments, and templates at the same couplings."""
        return _State(
            [one.lower(two, chosen) for one, two in zip(self.counted, other.counted, strict=True)],
            [np.where(chosen[:, None], two, one) for one, two in zip(self.expected, other.expected, strict=True)],
            [
                None if one is None or two is None else np.where(chosen[:, None], two, one)
                for one, two in zip(self.tau, other.tau, strict=True)
            ],
            np.where(chosen, other.chi2, self.chi2),
        )


def evaluate(
    model: Model,
    contracted: Sequence[Sequence[FloatArray]],
    couplings: FloatArray,
    pulls: FloatArray,
    data: Observation,
    near: _State | None = None,
) -> _State:
    """chi^2 and expected counts at couplings and nuisances, tau at its best; `near` is the state of a step before."""
    values = model.centre + model.unit * pulls
    counted, everything, taus = [], [], []
    chi2 = np.sum(model.stiffness * (pulls - data.centres) ** 2, axis=1)
    chi2 = chi2 + np.sum(model.coupling_stiffness * model.coupling_excess(couplings, data) ** 2, axis=1)
    for number, expectation in enumerate(model.expectations):
        at = expectation.at(contracted[number], values)
        expected, tau = at.expected, None
        templates = expectation.templates
        if templates is not None and at.per_bin is not None:
            off = data.off[number]
            before = None if near is None else near.tau[number]
            tau = best_taus(data.counts[number], expected, at.per_bin, off, templates, before)
            expected = expected + templates.counts(at.per_bin, tau)
            chi2 = chi2 + off_deviance(tau, off)
        chi2 = chi2 + data.counts[number].deviance(expected)
        counted.append(at)
        everything.append(expected)
        taus.append(tau)
    return _State(counted, everything, taus, chi2)


@dataclass(frozen=True, eq=False)
class _Derivatives:
    """Half the derivatives of chi^2 at points."""

    gradient: FloatArray
    curvature: FloatArray
    """Gauss-Newton's."""
    exact: FloatArray
    scale: FloatArray
    """The diagonal of Gauss-Newton's with tau held, shape (points, coordinates)."""
    slopes: list[tuple[IntArray, FloatArray]]
    """Per data set, the columns that move its expected counts and the slopes, (points, columns, bins)."""


def _derivatives(
    model: Model,
    state: _State,
    couplings: FloatArray,
    pulls: FloatArray,
    data: Observation,
    hidden: Sequence[int],
    first: bool,
) -> _Derivatives:
    """Half the gradient and curvatures by nuisances, then hidden couplings."""
    points, nuisances = len(pulls), len(model.parameters)
    size = nuisances + len(hidden)
    gradient, curvature = np.zeros((points, size)), np.zeros((points, size, size))
    second, held = np.zeros_like(curvature), np.zeros_like(gradient)
    held[:, :nuisances] = model.stiffness
    held[:, nuisances:] = model.coupling_stiffness[list(hidden)]
    gradient[:, :nuisances] = model.stiffness * (pulls - data.centres)
    curvature[:, np.arange(nuisances), np.arange(nuisances)] = model.stiffness
    moves: list[tuple[IntArray, FloatArray]] = []
    directions, products = model.polynomial.derivatives(couplings, hidden) if hidden else (None, None)
    back = np.zeros((points, len(model.polynomial.monomials)))
    for number, (expectation, at) in enumerate(zip(model.expectations, state.counted, strict=True)):
        counts, expected = data.counts[number], state.expected[number]
        pull = counts.pull(expected)
        weight = counts.first_curvature(expected) if first else counts.curvature(expected)
        tau, unit = state.tau[number], model.unit[expectation.columns]
        slopes, columns = dataset_slopes(model, number, at, tau, couplings, hidden, directions)
        if hidden:
            back += at.monomial_slopes(pull, back.shape[1])
        moves.append((columns, slopes))
        gradient[:, columns] += (slopes @ pull[:, :, None])[:, :, 0]
        block = (slopes * weight[:, None, :]) @ slopes.transpose(0, 2, 1)
        # A bin that is kept at zero is stiff across that boundary alone, which is no measure of a step along it.
        empty = counts.empty(expected)
        stiff = np.einsum("pcb,pb->pc", slopes**2, empty * weight) if empty.any() else 0.0
        held[:, columns] += np.einsum("pii->pi", block) - stiff
        bent = np.zeros_like(block)
        bent[:, : len(unit), : len(unit)] = at.second(pull, tau) * unit[:, None] * unit
        for place, direction in enumerate([] if directions is None else directions, start=len(unit)):
            mixed = at.mixed(direction, pull) * unit
            bent[:, place, : len(unit)] += mixed
            bent[:, : len(unit), place] += mixed
        if tau is not None:
            eliminated = elimination(model, at, slopes, pull, weight, tau, data.off[number])
            removed, exactly = (
                eliminated.curvature.solved(each) @ each.transpose(0, 2, 1)
                for each in (eliminated.cross, eliminated.exact)
            )
            block -= removed
            bent += removed - exactly
        curvature[:, columns[:, None], columns] += block
        second[:, columns[:, None], columns] += bent
    excess = model.coupling_excess(couplings, data) if hidden else np.empty((points, 0))
    for i, one in enumerate(hidden):
        gradient[:, nuisances + i] += model.coupling_stiffness[one] * excess[:, one]
        curvature[:, nuisances + i, nuisances + i] += model.coupling_stiffness[one]
        assert products is not None
        for j in range(len(hidden)):
            second[:, nuisances + i, nuisances + j] += np.sum(back * products[i, j], axis=1)
    return _Derivatives(gradient, curvature, curvature + second, held, moves)


def dataset_slopes(
    model: Model,
    number: int,
    at: Counted,
    tau: FloatArray | None,
    couplings: FloatArray,
    hidden: Sequence[int],
    directions: FloatArray | None = None,
) -> tuple[FloatArray, IntArray]:
    """Derivatives of a data set's counts by its nuisances, then by hidden couplings: (points, columns, bins).

    Beside them, the columns that they have among all nuisances and hidden couplings. `directions` are the monomials'
    derivatives by the hidden couplings, where they are known.
    """
    expectation = model.expectations[number]
    slopes = at.slopes(tau, model.unit[expectation.columns])
    if hidden:
        directions = model.polynomial.derivatives(couplings, hidden)[0] if directions is None else directions
        coupling_slopes = [at.moved(direction) for direction in directions]
        slopes = np.concatenate([slopes, np.stack(coupling_slopes, axis=1)], axis=1)
    columns = np.concatenate([expectation.columns, len(model.parameters) + np.arange(len(hidden))])
    return slopes, columns.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Elimination:
    """What the elimination of tau needs: it takes C D^-1 C^T from the curvature."""

    curvature: TauCurvature
    """D, half the second derivatives by tau."""
    cross: FloatArray
    """C, the mixed ones, Gauss-Newton's: shape (points, columns, groups)."""
    exact: FloatArray
    """The same exactly."""


def elimination(
    model: Model,
    at: Counted,
    slopes: FloatArray,
    pull: FloatArray,
    weight: FloatArray,
    tau: FloatArray,
    off: FloatArray,
) -> Elimination:
    """At points, with slopes (points, columns, bins) and half the derivatives by the bins' counts."""
    templates, unit = at.expectation.templates, at.per_bin
    assert templates is not None
    assert unit is not None
    curvature = TauCurvature.of(templates, unit, weight, tau, off)
    cross = templates.summed(slopes[:, :, None, :] * (weight[:, None, :] * unit)[:, None])
    exact = cross.copy()
    for number, (part, factors) in enumerate(zip(at.expectation.known, at.known, strict=True)):
        span, counts = templates.spans[number], part.templates[0]
        assert part.per_bin is not None
        groups = templates.groups[number] - span.start
        for column, others in factors.single():
            sums = summed(pull * others * part.per_bin.ratio * counts, groups, len(part.per_bin.off))
            exact[:, at.expectation.places[column], span] += sums * model.unit[column]
    return Elimination(curvature, cross, exact)


def _safe_length(
    slopes: Sequence[tuple[IntArray, FloatArray]],
    expected: Sequence[FloatArray],
    counts: Sequence[Counts],
    step: FloatArray,
) -> FloatArray:
    """The part of a step that leaves every Poisson bin with counts at least a tenth of its expectation.

    Where counts are, the likelihood ends at zero expectation; and where far more is expected than is observed its
    curvature says nothing of how far to go.
    """
    length = np.ones(len(step))
    for (columns, moves), level, observed in zip(slopes, expected, counts, strict=True):
        if observed.variance is not None or not len(columns):
            continue
        change = (step[:, None, columns] @ moves)[:, 0]
        ends = (observed.observed > 0) & (change < -LARGEST_FALL * level)
        if ends.any():
            share = np.divide(LARGEST_FALL * level, -change, out=np.ones_like(change), where=ends)
            length = np.minimum(length, share.min(axis=1))
    return length


def minimise(
    model: Model,
    couplings: FloatArray,
    start: FloatArray,
    data: Observation,
    hidden: Sequence[int] = (),
    tolerance: float = TOLERANCE,
    still: NDArray[np.bool_] | None = None,
) -> Minimum:
    """Minimise over nuisances, and the couplings `hidden`, from one start per point.

    Raises `StatisticsError` where points do not converge.

    Parameters
    ----------
    couplings
        Shape (points, couplings); those of `hidden` are where the search starts.
    start
        Nuisances in units of `Parameter.unit`, shape (points, parameters).
    data
        One row, or one per point.
    tolerance
        Decrease of chi^2 below which a point is done; with a looser one than `RANKING`, which says how high points
        lie, they are left where a few steps have brought them.
    still
        Nuisances that stay where they start, shape (parameters,) or (points, parameters); none unless given.

    """
    low, high = model.walls
    bounds = np.array([model.polynomial.variables[index].bounds for index in hidden]).reshape(-1, 2)
    low, high = np.concatenate([low, bounds[:, 0]]), np.concatenate([high, bounds[:, 1]])
    nuisances = len(model.parameters)
    stays = np.zeros((1, len(low)), dtype=bool)
    if still is not None:
        stays = np.pad(np.atleast_2d(still), ((0, 0), (0, len(hidden))))
    couplings, pulls = np.array(couplings, dtype=float), np.clip(start, low[:nuisances], high[:nuisances])
    contracted = contracted_at(model, couplings)
    state = evaluate(model, contracted, couplings, pulls, data)
    chi2 = state.chi2.copy()
    active = np.flatnonzero(np.isfinite(chi2))
    if len(active) < len(chi2):
        contracted = [rows_of(part, active) for part in contracted]
        state = evaluate(model, contracted, couplings[active], pulls[active], data.rows(active))
    damping, emptied = np.full(len(chi2), 1e-3), np.zeros(len(chi2), dtype=bool)
    refused = np.zeros(len(chi2), dtype=bool)
    if low.size == 0 or not len(active):
        return Minimum(chi2, pulls, couplings)
    observed = data.rows(active)
    loose = tolerance > RANKING
    for iteration in range(MOST_LOOSE_STEPS if loose else MOST_STEPS):
        at = np.hstack([pulls[active], couplings[active][:, list(hidden)]])
        half = _derivatives(model, state, couplings[active], pulls[active], observed, hidden, first=iteration == 0)
        resting = stays if len(stays) == 1 else stays[active]
        bottom, top = (np.where(resting, at, low), np.where(resting, at, high)) if still is not None else (low, high)
        moves = Coordinates.of(at, bottom, top, model.multiplied, model.unit, model.centre)
        gradient, curvature, exact, scale = moves.derivatives(half.gradient, (half.curvature, half.exact), half.scale)
        walls = moves.at, moves.low, moves.high
        edge = Emptying(half.slopes, moves.rate, state.expected, observed.counts, emptied[active])
        step, gain = edge.downhill(gradient, curvature, exact if iteration else None, walls, damping[active], scale)
        length = np.minimum(
            _safe_length(half.slopes, state.expected, observed.counts, moves.rate * step), moves.safe_length(step)
        )
        step, promise = length[:, None] * step, gain
        gain = length * gain
        trial = moves.moved(step)
        trial_couplings = couplings[active]
        if hidden:
            trial_couplings[:, list(hidden)] = trial[:, nuisances:]
            contracted = contracted_at(model, trial_couplings)
        trial_state = evaluate(model, contracted, trial_couplings, trial[:, :nuisances], observed, state)
        before = chi2[active]
        lower = trial_state.chi2 <= before
        fall = np.where(lower, before - np.where(lower, trial_state.chi2, 0.0), 0.0)
        share = np.divide(fall, gain, out=np.zeros_like(gain), where=gain > 0)
        rows = active[lower]
        pulls[rows], couplings[rows] = trial[lower, :nuisances], trial_couplings[lower]
        chi2[rows] = trial_state.chi2[lower]
        for counts, level in zip(observed.counts, trial_state.expected, strict=True):
            emptied[active] |= np.any(counts.empty(level), axis=1)
        factor, least = damping_change(lower, share, refused[active])
        refused[active] = ~lower
        # A step may promise little because it is damped or shortened, which is no end.
        undamped = np.abs(promise) * (1 + damping[active])
        small = np.clip(promise, 0.0, 1.0)  # far out a promise can be huge, and its square no number
        left = small**2 + small * damping[active] ** 2
        damping[active] = np.maximum(damping[active] * factor, least)
        enough = tolerance * np.maximum(1.0, LOOSE_SHARE * chi2[active]) if loose else tolerance
        # A whole step by the exact curvature that kept what it promised doubles the digits, but for its damping.
        foretold = lower & (np.abs(share - 1) < MISSED) & (length == 1) & (iteration > 0)
        going = (undamped > enough) & (damping[active] < LARGEST_DAMPING) & ~(foretold & (left < NOTHING))
        if not going.any():
            return Minimum(chi2, pulls, couplings)
        active, observed = active[going], observed.rows(np.flatnonzero(going))
        if lower[going].all():
            state = trial_state if going.all() else trial_state.rows(going)
        elif hidden:
            state = evaluate(model, contracted_at(model, couplings[active]), couplings[active], pulls[active], observed)
        else:
            # The templates are those of before: what a refused step leaves is known.
            state = state.lower(trial_state, lower).rows(going)
        contracted = [counted.contracted for counted in state.counted]
    if loose:
        return Minimum(chi2, pulls, couplings)
    raise StatisticsError(
        f"the likelihood did not converge at {len(active)} of {len(chi2)} points: "
        "are counts negative or huge, or widths far above 1?"
    )


def contracted_at(model: Model, couplings: FloatArray) -> list[list[FloatArray]]:
    """The templates of every data set at values of the couplings."""
    monomials = model.polynomial.values(couplings)
    return [expectation.contracted(monomials) for expectation in model.expectations]


def coupling_slopes(
    model: Model, couplings: FloatArray, pulls: FloatArray, data: Observation
) -> tuple[FloatArray, FloatArray]:
    """chi^2 at points and its derivative by every coupling, shape (points, couplings).

    At a minimum over the nuisances only the explicit dependence counts (the envelope theorem).
    """
    state = evaluate(model, contracted_at(model, couplings), couplings, pulls, data)
    back = np.zeros((len(couplings), len(model.polynomial.monomials)))
    for number, at in enumerate(state.counted):
        back += at.monomial_slopes(data.counts[number].pull(state.expected[number]), back.shape[1])
    slopes = model.coupling_stiffness * model.coupling_excess(couplings, data)
    for index in range(couplings.shape[1]):
        slopes[:, index] += np.sum(back * model.polynomial.values(couplings, (index,)), axis=1)
    return state.chi2, 2 * slopes


def half_curvature(
    model: Model, couplings: FloatArray, pulls: FloatArray, data: Observation, hidden: Sequence[int] = ()
) -> FloatArray:
    """Half the exact curvature of chi^2 at points, by nuisances in units of `Parameter.unit`, then couplings `hidden`.

    Its inverse at a minimum is the covariance.
    """
    return half_curvatures(model, couplings, pulls, data, hidden)[1]


def half_curvatures(
    model: Model, couplings: FloatArray, pulls: FloatArray, data: Observation, hidden: Sequence[int] = ()
) -> tuple[FloatArray, FloatArray]:
    """Gauss-Newton's half curvature, which is never negative, and the exact one."""
    state = evaluate(model, contracted_at(model, couplings), couplings, pulls, data)
    half = _derivatives(model, state, couplings, pulls, data, hidden, first=False)
    return half.curvature, half.exact
