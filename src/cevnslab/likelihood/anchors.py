"""Minima of one data set at many values of the couplings, and what they say of other data: linear in the counts.

About an anchor (couplings, nuisances nu_k) chi^2 of any data with counts N is, to second order in the nuisances,

    chi^2 = sum_i [2 mu_i - 2 N_i ln mu_i] + 2 g.(nu - nu_k) + (nu - nu_k).H.(nu - nu_k),
    g_p = sum_i (1 - N_i/mu_i) d mu_i/d nu_p

(least squares: mu_i^2/V_i - 2 N_i mu_i/V_i), less what only the data know. Constant and slope are linear in N, and the
curvature H is that of the anchors' own data. In coordinates that turn H into one, the minimum is the constant less the
sum of the squared slopes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.expectation import Counted
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.minimiser import (
    Elimination,
    Minimum,
    Model,
    dataset_slopes,
    elimination,
    evaluate,
    half_curvatures,
    minimise,
)
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.off_counts import TauCurvature
from cevnslab.likelihood.statistics import Counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEAST_EXPECTED = 1e-300
SOFTEST = 1e-10
"""Of the largest curvature: along softer directions no step is taken."""
LEAST_SHARE = 0.8
"""Of Gauss-Newton's curvature that the exact one is taken for where it is smaller."""
FARTHEST_BRANCH = 25.0
"""A minimum over the nuisances that is this far above another at the same couplings is nobody's best fit."""


def observed_variance(dataset: Dataset) -> bool:
    """Whether toys bring the variances of their counts."""
    return dataset.statistic == "least-squares" and dataset.variance is None


def _variance(counts: Counts) -> FloatArray:
    assert counts.variance is not None
    return (counts.variance[0] + counts.variance[1]) / 2


def data_vector(likelihood: Likelihood, data: Observation) -> FloatArray:
    """What anchors are linear in, a row per experiment.

    Per data set the counts (weights and weighted counts where these are the toys' own), then off-counts; at the end
    the centres of the constraints on nuisances and on couplings.
    """
    parts = []
    for number, dataset in enumerate(likelihood.datasets):
        counts = data.counts[number]
        if observed_variance(dataset):
            weight = 1 / _variance(counts)
            parts += [weight, weight * counts.observed]
        else:
            parts.append(counts.observed)
        parts.append(data.off[number])
    centres = data.coupling_centres
    parts += [data.centres, likelihood.model.coupling_centres[None, :] if centres is None else centres]
    rows = max(len(part) for part in parts)
    return np.concatenate([np.broadcast_to(part, (rows, part.shape[1])) for part in parts], axis=1)


@dataclass(frozen=True, eq=False)
class _Terms:
    """How deviance and pulls of one data set depend on the blocks of its data, at every anchor."""

    deviance: list[FloatArray]
    """The constant, shape (anchors,), then coefficients of each block, shape (anchors, bins)."""
    pull: list[FloatArray]
    """Half the derivative by the expected counts: the constant and a coefficient per block, shape (anchors, bins)."""

    @classmethod
    def of(cls, dataset: Dataset, counts: Counts, expected: FloatArray) -> _Terms:
        if observed_variance(dataset):
            zero = np.zeros_like(expected)
            return cls([zero[:, 0], expected**2, -2 * expected], [zero, expected, np.full_like(expected, -1.0)])
        if counts.variance is not None:
            weight = np.broadcast_to(1 / _variance(counts), expected.shape)
            return cls([np.sum(weight * expected**2, axis=1), -2 * weight * expected], [weight * expected, -weight])
        expected = np.maximum(expected, LEAST_EXPECTED)
        return cls([2 * expected.sum(axis=1), -2 * np.log(expected)], [np.ones_like(expected), -1 / expected])


@dataclass(frozen=True, eq=False)
class _Template:
    """Templates known per bin: how the gradient by their group expectations depends on counts."""

    curvature: TauCurvature
    """At the anchors."""
    constant: FloatArray
    """Shape (anchors, groups)."""
    blocks: list[FloatArray]
    """Per block of counts what a bin adds to its groups, shape (anchors, templates, bins)."""
    off: FloatArray
    """What an off-count adds, shape (anchors, groups)."""
    columns: list[slice]
    """Of the blocks in the data vector, the off-counts last."""

    def gain(self, vector: FloatArray) -> FloatArray:
        """By how much the best tau of each experiment lowers chi^2, shape (experiments, anchors)."""
        result = np.empty((len(vector), len(self.constant)))
        blocks, off = [vector[:, columns] for columns in self.columns[:-1]], vector[:, self.columns[-1]]
        for anchor in range(len(self.constant)):
            weighted = sum(
                block[:, None, :] * blocks_of[anchor] for block, blocks_of in zip(blocks, self.blocks, strict=True)
            )
            slope = self.curvature.templates.summed(np.asarray(weighted))
            slope = slope + self.constant[anchor] + off * self.off[anchor]
            result[:, anchor] = self.curvature.gain(anchor, slope)
        return result


@dataclass(eq=False)
class _Expansion:
    """Constant and slope of chi^2 at anchors, and how both depend on the data vector, put together block by block."""

    chi2: FloatArray
    """Shape (anchors,)."""
    slope: FloatArray
    """Half, by nuisances and hidden couplings: shape (anchors, coordinates)."""
    vectors: list[FloatArray] = field(default_factory=list)
    """What a number of the data vector adds to chi^2, shape (anchors, numbers) per block."""
    slopes: list[FloatArray] = field(default_factory=list)
    """And to the slope, shape (anchors, coordinates, numbers)."""
    templates: list[_Template] = field(default_factory=list)

    def _add(self, vector: FloatArray, slopes: FloatArray, columns: IntArray) -> None:
        full = np.zeros((*self.slope.shape, vector.shape[1]))
        full[:, columns] = slopes
        self.vectors.append(vector)
        self.slopes.append(full)

    def add_counts(self, terms: _Terms, slopes: FloatArray, columns: IntArray) -> None:
        """The bins of a data set, with the slopes of their expected counts: (anchors, columns, bins)."""
        self.chi2 += terms.deviance[0]
        self.slope[:, columns] += np.einsum("kcb,kb->kc", slopes, terms.pull[0])
        for deviance, pull in zip(terms.deviance[1:], terms.pull[1:], strict=True):
            self._add(deviance, slopes * pull[:, None, :], columns)

    def add_template(
        self,
        terms: _Terms,
        at: Counted,
        tau: FloatArray,
        eliminated: Elimination,
        slopes: FloatArray,
        columns: IntArray,
    ) -> FloatArray:
        """Templates known per bin, whose bins come next; the slopes of the counts once tau is eliminated."""
        assert at.per_bin is not None
        templates, bins = eliminated.curvature.templates, slopes.shape[2]
        lifted, size = eliminated.curvature.solved(eliminated.exact), tau.shape[1]
        self.slope[:, columns] -= lifted.sum(axis=2)
        self.chi2 += 2 * tau.sum(axis=1)
        start = sum(vector.shape[1] for vector in self.vectors)
        ends = [start + bins * block for block in range(len(terms.pull))]
        places = [slice(*pair) for pair in itertools.pairwise([*ends, ends[-1] + size])]
        constant = 1 + templates.summed(at.per_bin * terms.pull[0][:, None, :])
        each = [at.per_bin * pull[:, None, :] for pull in terms.pull[1:]]
        self.templates.append(_Template(eliminated.curvature, constant, each, -_inverse(tau), places))
        return np.asarray(slopes - np.einsum("pckb,pkb->pcb", lifted[:, :, templates.groups], at.per_bin))

    def add_off_counts(self, tau: FloatArray, eliminated: Elimination, columns: IntArray) -> None:
        """Off-counts of the templates whose bins came last."""
        lifted = eliminated.curvature.solved(eliminated.exact)
        logarithm = np.where(tau > 0, -2 * np.log(np.maximum(tau, LEAST_EXPECTED)), 0.0)
        self._add(logarithm, lifted * _inverse(tau)[:, None, :], columns)

    def add_constraints(self, model: Model, couplings: FloatArray, pulls: FloatArray, hidden: Sequence[int]) -> None:
        """Priors; the data vector ends with the centres of the nuisances' ones, then of the couplings'."""
        nuisances = np.arange(pulls.shape[1])
        self.chi2 += np.sum(model.stiffness * pulls**2, axis=1)
        self.slope[:, nuisances] += model.stiffness * pulls
        stiffness = np.broadcast_to(-np.diag(model.stiffness), (len(pulls), len(nuisances), len(nuisances)))
        self._add(-2 * model.stiffness * pulls, stiffness, nuisances)
        # What the square of a coupling's centre adds no coupling changes.
        towards = model.coupling_stiffness * couplings
        self.chi2 += np.sum(towards * couplings, axis=1)
        self.slope[:, len(nuisances) :] += towards[:, list(hidden)]
        fixed = -np.diag(model.coupling_stiffness)[list(hidden)]
        columns = len(nuisances) + np.arange(len(hidden))
        self._add(-2 * towards, np.broadcast_to(fixed, (len(pulls), *fixed.shape)), columns)

    def turned(self, back: FloatArray) -> tuple[FloatArray, FloatArray]:
        """In coordinates of unit curvature: the dependence on the data vector, and the constants."""
        along = np.einsum("kqn,kqd->nkd", np.concatenate(self.slopes, axis=2), back, optimize=True)
        linear = np.concatenate([np.concatenate(self.vectors, axis=1).T[:, :, None], along], axis=2)
        constant = np.concatenate([self.chi2[:, None], np.einsum("kq,kqd->kd", self.slope, back)], axis=1)
        return np.ascontiguousarray(linear), constant


def _inverse(tau: FloatArray) -> FloatArray:
    """1/tau, zero where tau rests at zero."""
    return np.divide(1.0, tau, out=np.zeros_like(tau), where=tau > 0)


@dataclass(frozen=True, eq=False)
class Anchors:
    """Minima over nuisances and hidden couplings, several at the same point where there are several branches."""

    likelihood: Likelihood
    hidden: tuple[int, ...]
    """Columns of couplings that are minimised over."""
    couplings: FloatArray
    """Shape (anchors, couplings)."""
    pulls: FloatArray
    """Shape (anchors, parameters)."""
    chi2: FloatArray
    """Of the anchors' own data."""
    places: IntArray
    """The point that each belongs to, rising: shape (anchors,)."""
    constant: FloatArray
    """Of chi^2, then of the slopes in coordinates of unit curvature: shape (anchors, 1 + directions)."""
    linear: FloatArray
    """Their dependence on the data vector, shape (numbers, anchors, 1 + directions)."""
    back: FloatArray
    """From those coordinates to nuisances, then hidden couplings: shape (anchors, nuisances + hidden, directions)."""
    templates: tuple[_Template, ...]

    @classmethod
    def of(
        cls, likelihood: Likelihood, minimum: Minimum, places: IntArray, hidden: tuple[int, ...], data: Observation
    ) -> Anchors:
        """Expand chi^2 about minima of some data."""
        model, couplings, pulls = likelihood.model, minimum.couplings, minimum.pulls
        curvatures = half_curvatures(model, couplings, pulls, data, hidden)
        back = _unit_curvature(*curvatures, _held(model, couplings, pulls, hidden))
        contracted = [e.contracted(model.polynomial.values(couplings)) for e in model.expectations]
        state = evaluate(model, contracted, couplings, pulls, data)
        rows = _Expansion(np.zeros(len(places)), np.zeros((len(places), len(model.parameters) + len(hidden))))
        for number, dataset in enumerate(likelihood.datasets):
            counts, expected = data.counts[number], state.expected[number]
            terms = _Terms.of(dataset, counts, expected)
            at, tau = state.counted[number], state.tau[number]
            slopes, columns = dataset_slopes(model, number, at, tau, couplings, hidden)
            if tau is None:
                rows.add_counts(terms, slopes, columns)
                continue
            pull, weight = counts.pull(expected), counts.curvature(expected)
            eliminated = elimination(model, at, slopes, pull, weight, tau, data.off[number])
            slopes = rows.add_template(terms, at, tau, eliminated, slopes, columns)
            rows.add_counts(terms, slopes, columns)
            rows.add_off_counts(tau, eliminated, columns)
        rows.add_constraints(model, couplings, pulls, hidden)
        linear, constant = rows.turned(back)
        return cls(
            likelihood, hidden, couplings, pulls, minimum.chi2, places, constant, linear, back, tuple(rows.templates)
        )

    def approximate(self, data: Observation) -> tuple[FloatArray, FloatArray]:
        """chi^2 of other data at the anchors, (experiments, anchors), and their slopes, (experiments, anchors, d).

        chi^2 lacks what no coupling changes.
        """
        vector = data_vector(self.likelihood, data)
        numbers, anchors, size = self.linear.shape
        both = (vector @ self.linear.reshape(numbers, -1)).reshape(len(vector), anchors, size) + self.constant
        chi2 = both[:, :, 0] - np.sum(both[:, :, 1:] ** 2, axis=2)
        for template in self.templates:
            chi2 -= template.gain(vector)
        return chi2, both[:, :, 1:]

    def lowest_branch(self, chi2: FloatArray) -> tuple[FloatArray, IntArray]:
        """The lowest chi^2 at every point, shape (experiments, points), and the anchor that has it."""
        if len(np.unique(self.places)) == len(self.places):
            return chi2, np.broadcast_to(np.arange(len(self.places)), chi2.shape)
        starts = np.flatnonzero(np.diff(self.places, prepend=-1))
        lowest = np.minimum.reduceat(chi2, starts, axis=1)
        # The first anchor of a point that has its lowest value.
        equal = np.where(chi2 <= lowest[:, self.places], np.arange(len(self.places)), len(self.places))
        return lowest, np.minimum.reduceat(equal, starts, axis=1)

    def moved(self, slopes: FloatArray, row: IntArray, anchor: IntArray) -> tuple[FloatArray, FloatArray]:
        """Nuisances and couplings of chosen experiments after their step from chosen anchors."""
        step = -np.einsum("pqd,pd->pq", self.back[anchor], slopes[row, anchor])
        nuisances = self.pulls.shape[1]
        couplings = self.couplings[anchor]
        couplings[:, list(self.hidden)] += step[:, nuisances:]
        return self.pulls[anchor] + step[:, :nuisances], couplings


def _held(model: Model, couplings: FloatArray, pulls: FloatArray, hidden: Sequence[int]) -> NDArray[np.bool_]:
    """What is fixed, or rests on a wall."""
    low, high = model.walls
    bounds = np.array([model.polynomial.variables[index].bounds for index in hidden]).reshape(-1, 2)
    at = np.hstack([pulls, couplings[:, list(hidden)]])
    return np.asarray((at <= np.concatenate([low, bounds[:, 0]])) | (at >= np.concatenate([high, bounds[:, 1]])))


def _unit_curvature(bound: FloatArray, exact: FloatArray, held: NDArray[np.bool_]) -> FloatArray:
    """B with B^T H B = 1, shape (anchors, coordinates, directions); held coordinates and soft directions stay.

    H is the exact curvature where it is not far below Gauss-Newton's: a minimum that is about to vanish has no
    curvature along one direction, and a step there would promise the world.
    """
    size = np.sqrt(np.maximum(np.einsum("kii->ki", bound), LEAST_EXPECTED))
    scale = size[:, :, None] * size[:, None, :]
    free = ~(held[:, :, None] | held[:, None, :])
    values, axes = np.linalg.eigh(np.where(free, bound / scale, 0.0))
    soft = values <= SOFTEST * np.maximum(values[:, -1:], LEAST_EXPECTED)
    strength = np.where(soft, 0.0, np.where(soft, 1.0, values) ** -0.5)
    unit = axes * strength[:, None, :]
    inner = unit.transpose(0, 2, 1) @ np.where(free, exact / scale, 0.0) @ unit
    values, turn = np.linalg.eigh(inner)
    return np.asarray((unit @ turn) * np.maximum(values, LEAST_SHARE)[:, None, :] ** -0.5 / size[:, :, None])


def minima(
    likelihood: Likelihood,
    points: FloatArray,
    places: IntArray,
    starts: FloatArray,
    hidden: tuple[int, ...],
    data: Observation,
) -> tuple[Minimum, IntArray]:
    """The distinct minima that starts lead to, and the point that each belongs to, rising.

    Parameters
    ----------
    points
        Couplings (starts, couplings), those of `hidden` where the search starts.
    places
        The point of every start.
    starts
        Nuisances (starts, parameters).

    """
    fits = minimise(likelihood.model, points, starts, data, hidden)
    order = np.lexsort((fits.chi2, places))
    place, chi2 = places[order], fits.chi2[order]
    first = np.flatnonzero(np.diff(place, prepend=-1))
    lowest = np.repeat(chi2[first], np.diff([*first, len(place)]))
    near = order[chi2 <= lowest + FARTHEST_BRANCH]
    keys = np.column_stack([places[near], np.round(fits.chi2[near], 2), np.round(fits.pulls[near], 1)])
    distinct = near[np.sort(np.unique(keys, axis=0, return_index=True)[1])]
    return Minimum(fits.chi2[distinct], fits.pulls[distinct], fits.couplings[distinct]), places[distinct]
