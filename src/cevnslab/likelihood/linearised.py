"""A likelihood with Gaussian errors and nuisances that act linearly: where its minima roughly are, at no cost.

Around the nuisances of a truth the counts are n(theta) + sum_p S_p(theta) nu_p, and the statistic has the variances of
the truth's expectation. Couplings enter n and S through their monomials, so that all that is needed are the scalar
products of the coefficients: a few pseudo-bins in the place of all bins. chi^2 with the nuisances profiled then costs a
microsecond a point. It only says where to look; no result comes from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Model, dataset_slopes, elimination, evaluate
from cevnslab.likelihood.observation import Observation
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]

SMALLEST_PRODUCT = 1e-14
"""Of the largest eigenvalue of the scalar products: smaller ones are rounding."""
LEAST_VARIANCE = 1e-3
"""Of a bin in which the truth expects next to nothing."""
SOFTEST = 1e-12
"""Added to the stiffness of what nothing constrains, in units of its own curvature."""


@dataclass(frozen=True, eq=False)
class Linearised:
    """Counts and their slopes in pseudo-bins."""

    polynomial: Polynomial
    counts: FloatArray
    """Per monomial, shape (monomials, pseudo-bins)."""
    slopes: FloatArray
    """By every nuisance, shape (nuisances, monomials, pseudo-bins)."""
    stiffness: FloatArray
    """Of the nuisances' constraints."""
    truth: FloatArray
    """Its counts, shape (pseudo-bins,)."""

    @classmethod
    def of(cls, likelihood: Likelihood, couplings: FloatArray, pulls: FloatArray, data: Observation) -> Linearised:
        """Around couplings (couplings,) and nuisances (parameters,), with `data` the truth's Asimov."""
        model = likelihood.model
        monomials = len(model.polynomial.monomials)
        size = monomials * (1 + len(pulls))
        gram = np.zeros((size, size))
        for number in range(len(model.expectations)):
            gram += _products(model, number, couplings, pulls, data)
        values, axes = np.linalg.eigh(gram)
        large = values > SMALLEST_PRODUCT * values[-1]
        rows = (axes[:, large] * np.sqrt(values[large])).reshape(1 + len(pulls), monomials, -1)
        at = model.polynomial.values(couplings[None, :])[0]
        return cls(model.polynomial, rows[0], rows[1:], model.stiffness, at @ rows[0])

    def depth(self, points: FloatArray, hidden: Sequence[int] = ()) -> FloatArray:
        """chi^2 at points (points, couplings), nuisances and a small change of hidden couplings profiled."""
        monomials = self.polynomial.values(points)
        slopes = self._slopes(points, monomials, hidden)
        return self._profiled(slopes, monomials @ self.counts - self.truth)[0]

    def lengths(self, points: FloatArray, hidden: Sequence[int] = ()) -> FloatArray:
        """Distances of neighbouring points in standard deviations, shape (points - 1,).

        Of counts with the nuisances of the first of two points: where a signal is scaled down it changes less.
        """
        monomials = self.polynomial.values(points)
        slopes = self._slopes(points, monomials, hidden)
        pulls = self._profiled(slopes, monomials @ self.counts - self.truth)[1][:-1]
        nuisance_slopes, step = slopes[:, : len(self.stiffness)], np.diff(monomials, axis=0) @ self.counts
        step += np.einsum("np,npr->nr", pulls[:, : nuisance_slopes.shape[1]], np.diff(nuisance_slopes, axis=0))
        return np.sqrt(self._profiled(slopes[:-1], step)[0])

    def signatures(self, points: FloatArray, at: FloatArray, hidden: Sequence[int] = ()) -> FloatArray:
        """Counts in coordinates in which distances are standard deviations, nuisances profiled as at one point."""
        monomials = self.polynomial.values(at[None, :])
        slopes = self._slopes(at[None, :], monomials, hidden)[0]
        stiffness = np.zeros(len(slopes))
        stiffness[: len(self.stiffness)] = self.stiffness
        curvature = slopes @ slopes.T
        diagonal = np.diag(curvature).copy()
        curvature[np.diag_indices(len(diagonal))] += stiffness + SOFTEST * diagonal + (diagonal + stiffness <= 0)
        metric = np.eye(slopes.shape[1]) - slopes.T @ np.linalg.solve(curvature, slopes)
        values, axes = np.linalg.eigh(metric)
        return np.asarray(self.polynomial.values(points) @ self.counts @ (axes * np.sqrt(np.maximum(values, 0.0))))

    def _slopes(self, points: FloatArray, monomials: FloatArray, hidden: Sequence[int]) -> FloatArray:
        """By nuisances, then hidden couplings: shape (points, nuisances + hidden, pseudo-bins)."""
        slopes = np.einsum("nm,pmr->npr", monomials, self.slopes, optimize=True)
        if not hidden:
            return np.asarray(slopes)
        coupling_slopes = [self.polynomial.values(points, (column,)) @ self.counts for column in hidden]
        return np.concatenate([slopes, np.stack(coupling_slopes, axis=1)], axis=1)

    def _profiled(self, slopes: FloatArray, excess: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What is left of an excess, shape (points, pseudo-bins), when nuisances make the best of it, and theirs."""
        total = np.einsum("nr,nr->n", excess, excess)
        if not slopes.shape[1]:
            return np.asarray(total), np.zeros((len(total), 0))
        stiffness = np.zeros(slopes.shape[1])
        stiffness[: len(self.stiffness)] = self.stiffness
        curvature = slopes @ slopes.transpose(0, 2, 1)
        diagonal = np.einsum("npp->np", curvature).copy()
        places = np.arange(len(stiffness))
        # A parameter that acts nowhere gets a stiffness that nothing depends on.
        curvature[:, places, places] += stiffness + SOFTEST * diagonal + (diagonal + stiffness <= 0)
        towards = (slopes @ excess[:, :, None])[:, :, 0]
        pulls = -np.linalg.solve(curvature, towards[:, :, None])[:, :, 0]
        return np.maximum(total + np.einsum("np,np->n", towards, pulls), 0.0), np.asarray(pulls)


def _products(model: Model, number: int, couplings: FloatArray, pulls: FloatArray, data: Observation) -> FloatArray:
    """Scalar products of counts and slopes, monomial by monomial, in the metric of one data set."""
    polynomial, expectation = model.polynomial, model.expectations[number]
    point = couplings[None, :]
    contracted = [each.contracted(polynomial.values(point)) for each in model.expectations]
    state = evaluate(model, contracted, point, pulls[None, :], data)
    tau, expected = state.tau[number], state.expected[number]
    size = len(polynomial.monomials)
    unit = np.vstack([np.eye(size), np.zeros((1, size))])
    at = expectation.at(expectation.contracted(unit), np.tile(model.centre + model.unit * pulls, (size + 1, 1)))
    taus = None if tau is None else np.repeat(tau, size + 1, axis=0)
    slopes, columns = dataset_slopes(model, number, at, taus, unit, ())
    rows = np.zeros((1 + len(pulls), size + 1, expectation.size))
    rows[0] = at.expected
    rows[1 + columns] = slopes.transpose(1, 0, 2)
    # Constant counts come once, with the Standard Model.
    rows[:, 1:size] -= rows[:, size:]
    flat = rows[:, :size].reshape(-1, expectation.size)
    counts = data.counts[number]
    if counts.variance is None:
        weight = 1 / np.maximum(expected, LEAST_VARIANCE)
    else:
        weight = np.broadcast_to(counts.curvature(expected), expected.shape)
    gram = (flat * weight) @ flat.T
    templates = expectation.templates
    if tau is not None and templates is not None:
        here = state.counted[number]
        alone = dataset_slopes(model, number, here, tau, point, ())[0]
        curvature = elimination(model, here, alone, np.zeros_like(expected), weight, tau, data.off[number]).curvature
        assert here.per_bin is not None
        cross = templates.summed(flat[:, None, :] * (weight[:, None, :] * here.per_bin)[0])
        gram -= curvature.solved(cross[None])[0] @ cross.T
    return np.asarray(gram)
