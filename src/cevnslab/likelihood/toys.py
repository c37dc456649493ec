"""Pseudo-experiments of any likelihood: what they are drawn around, and exact draws of everything that fluctuates.

Counts are Poisson (for least squares too), or normal where a data set has Gaussian errors. Two ensembles:

* ``"drawn"``: the true values of constrained parameters come from their priors, cut off at the physical boundaries;
  the centres of the constraints stay where they are;
* ``"centres"``: the true values are the nominal centres, around which the centres of the constraints fluctuate.

What has no prior (a free parameter, a coupling minimised over, the expectation behind off-counts) has its fitted value
given the truth, in both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.expectation import Expectation
from cevnslab.likelihood.likelihood import Dataset, Likelihood, off_counts
from cevnslab.likelihood.minimiser import evaluate
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.samples import PerBin
from cevnslab.likelihood.statistics import Counts

FloatArray = NDArray[np.float64]

Ensemble = Literal["drawn", "centres"]
LEAST_VARIANCE = 1e-3
"""Of bins in which next to nothing is expected, in Asimov data that only say where toys' minima can be."""
LARGEST_DRAWN = 9e18
"""Expected in a bin: random whole numbers are of 64 bits."""
MOST_REDRAWS = 10_000
"""A prior of which less than some 1e-3 lies inside its boundaries is a mistake of the likelihood."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What pseudo-experiments are drawn around."""

    couplings: FloatArray
    """All of the likelihood's, in its order: shape (couplings,)."""
    pulls: FloatArray
    """Nuisances in units of `Parameter.unit`: the fitted value where one is free, else 0, its nominal centre."""
    tau: tuple[FloatArray, ...]
    """Per data set, the expectation behind each group of off-counts: shape (groups,), empty where there are none."""
    hidden: tuple[str, ...] = ()
    """Couplings that are minimised over; those with a prior fluctuate as nuisances do."""

    @classmethod
    def of(cls, likelihood: Likelihood, point: FloatArray, hidden: tuple[str, ...] = ()) -> Truth:
        """The truth at couplings (couplings,): what has no prior is fitted to the likelihood's own data."""
        parameters = likelihood.parameters
        unconstrained = [name for name in hidden if name not in likelihood.priors]
        free = np.array([parameter.free for parameter in parameters], dtype=bool)
        groups = [len(off_counts(dataset)) for dataset in likelihood.datasets]
        couplings = np.array(point, dtype=float)
        for name in hidden:
            if name in likelihood.priors:
                couplings[likelihood.couplings.index(name)] = likelihood.priors[name].centre
        if not (unconstrained or free.any() or any(groups)):
            return cls(couplings, np.zeros(len(parameters)), tuple(np.empty(0) for _ in groups), hidden)
        fit = likelihood.minimised(couplings[None, :], hidden)
        for name in unconstrained:
            place = likelihood.couplings.index(name)
            couplings[place] = fit.couplings[0, place]
        model = likelihood.model
        contracted = [e.contracted(model.polynomial.values(fit.couplings)) for e in model.expectations]
        state = evaluate(model, contracted, fit.couplings, fit.pulls, likelihood.observation)
        tau = tuple(np.empty(0) if each is None else each[0] for each in state.tau)
        return cls(couplings, np.where(free, fit.pulls[0], 0.0), tau, hidden)


class Streams:
    """Random numbers by name: what belongs to a data set or a parameter depends on no other."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._key = [int(number) for number in rng.integers(2**32, size=4)]

    def __call__(self, name: str) -> np.random.Generator:
        """Those of one name."""
        words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
        return np.random.default_rng([*self._key, *(int(word) for word in words)])


def truncated_normals(low: float, high: float, toys: int, rng: np.random.Generator) -> FloatArray:
    """Unit normals, redrawn until they lie within walls: shape (toys,).

    Raises `StatisticsError` for walls that leave next to nothing.
    """
    pulls = rng.standard_normal(toys)
    for _ in range(MOST_REDRAWS):
        outside = (pulls < low) | (pulls > high)
        if not outside.any():
            return pulls
        pulls[outside] = rng.standard_normal(int(outside.sum()))
    raise StatisticsError("a prior lies almost wholly outside the physical boundaries: no true value can be drawn")


@dataclass(frozen=True, eq=False)
class Nuisances:
    """True values and constraint centres of toys, a row each."""

    couplings: FloatArray
    """Shape (toys or 1, couplings)."""
    pulls: FloatArray
    """True values in units of `Parameter.unit`, shape (toys, parameters)."""
    centres: FloatArray
    """Of the constraints, shape (toys, parameters)."""
    coupling_centres: FloatArray | None
    """Of the constraints on couplings, in plain units: shape (toys, couplings); None where none fluctuates."""


def draw_nuisances(
    likelihood: Likelihood, truth: Truth, toys: int, rng: np.random.Generator, ensemble: Ensemble
) -> Nuisances:
    """The part of a toy that is not counts.

    A prior on a coupling under test is a measurement of it elsewhere, whose result fluctuates around the truth in
    both ensembles.
    """
    model, streams = likelihood.model, Streams(rng)
    shifts = np.zeros((toys, len(model.parameters)))
    for column in np.flatnonzero(model.stiffness > 0):
        stream, width = streams(model.parameters[column].name), model.stiffness[column] ** -0.5
        if ensemble == "drawn":
            low, high = (side[column] / width for side in model.walls)
            shifts[:, column] = width * truncated_normals(low, high, toys, stream)
        else:
            shifts[:, column] = width * stream.standard_normal(toys)
    around_truth = ensemble == "drawn"
    pulls, centres = (
        (truth.pulls + shifts, np.zeros_like(shifts)) if around_truth else (np.tile(truth.pulls, (toys, 1)), shifts)
    )
    if not any(name in likelihood.priors for name in likelihood.couplings):
        return Nuisances(truth.couplings[None, :], pulls, centres, None)
    couplings = np.tile(truth.couplings, (toys, 1))
    coupling_centres = np.tile(model.coupling_centres, (toys, 1))
    for place, variable in enumerate(likelihood.polynomial.variables):
        prior = likelihood.priors.get(variable.name)
        if prior is None:
            continue
        stream = streams(variable.name)
        if variable.name in truth.hidden and around_truth:
            low, high = ((end - prior.centre) / prior.width for end in variable.bounds)
            couplings[:, place] = prior.centre + prior.width * truncated_normals(low, high, toys, stream)
        else:
            coupling_centres[:, place] = truth.couplings[place] + prior.width * stream.standard_normal(toys)
    return Nuisances(couplings, pulls, centres, coupling_centres)


def expected_counts(likelihood: Likelihood, truth: Truth, couplings: FloatArray, pulls: FloatArray) -> list[FloatArray]:
    """What every data set expects at true values, tau as in the truth: shape (points, bins) each."""
    model = likelihood.model
    values = model.centre + model.unit * pulls
    monomials = np.broadcast_to(model.polynomial.values(couplings), (len(values), len(model.polynomial.monomials)))
    return [_with_tau(e, monomials, values, tau) for e, tau in zip(model.expectations, truth.tau, strict=True)]


def _with_tau(expectation: Expectation, monomials: FloatArray, values: FloatArray, tau: FloatArray) -> FloatArray:
    at = expectation.at(expectation.contracted(monomials), values)
    templates = expectation.templates
    if templates is None or at.per_bin is None:
        return at.expected
    return np.asarray(at.expected + templates.counts(at.per_bin, np.broadcast_to(tau, (len(at.expected), len(tau)))))


def draw(likelihood: Likelihood, truth: Truth, toys: int, rng: np.random.Generator, ensemble: Ensemble) -> Observation:
    """Toys as observations of the likelihood, one a row.

    Raises `StatisticsError` for a prior that lies outside its parameter's boundaries, and for an expectation above all
    random numbers.

    Parameters
    ----------
    rng
        Gives a key; what belongs to a data set or a parameter follows from it and its name, in any company. Give each
        block of toys a generator of its own.

    """
    nuisances = draw_nuisances(likelihood, truth, toys, rng, ensemble)
    expected = expected_counts(likelihood, truth, nuisances.couplings, nuisances.pulls)
    streams = Streams(rng)
    counts, off = [], []
    for dataset, mean, tau in zip(likelihood.datasets, expected, truth.tau, strict=True):
        stream = streams(dataset.name)
        if dataset.errors is None:
            _check_drawable(mean, dataset.name, dataset.bin_name, likelihood, truth)
        _check_drawable(tau[None, :], dataset.name, "group {} of off-beam counts".format, likelihood, truth)
        counts.append(_counts(dataset, np.broadcast_to(mean, (toys, mean.shape[1])), stream))
        off.append(stream.poisson(tau, (toys, len(tau))).astype(float))
    return likelihood.observation_of(counts, off, nuisances.centres, nuisances.coupling_centres)


def _check_drawable(
    expected: FloatArray, name: str, place: Callable[[int], str], likelihood: Likelihood, truth: Truth
) -> None:
    """Raise `StatisticsError` for expectations (points, places) of a data set that no Poisson numbers are drawn of."""
    highest = expected.max(axis=0)
    wrong = np.flatnonzero(~(highest <= LARGEST_DRAWN))
    if len(wrong):
        values = ", ".join(f"{key} = {at:.4g}" for key, at in zip(likelihood.couplings, truth.couplings, strict=True))
        raise StatisticsError(
            f"{name}: {highest[wrong[0]]:.3g} counts are expected in {place(int(wrong[0]))}{values and f' at {values}'}"
            f", and no pseudo-experiment can be drawn of more than {LARGEST_DRAWN:g}; lower the exposure, the "
            "background or their uncertainties"
        )


def _counts(dataset: Dataset, expected: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Floats, since they go into logarithms."""
    if dataset.errors is None:
        # A bend that is pulled far can leave a bin a little below zero.
        return rng.poisson(np.maximum(expected, 0.0)).astype(float)
    upper, lower = dataset.errors
    normals = rng.standard_normal(expected.shape)
    # The upper error is that of expectations above the count.
    return np.asarray(expected + normals * np.where(normals < 0, upper, lower))


def as_data(likelihood: Likelihood, toys: Observation, toy: int) -> Likelihood:
    """One toy in the place of the data: its counts, off-counts, and what was measured of its parameters elsewhere.

    Raises `StatisticsError` for the centre of a constraint beyond the parameter's physical boundary.
    """
    mine = toys.rows(np.array([toy]))
    datasets = []
    for dataset, counts, off in zip(likelihood.datasets, mine.counts, mine.off, strict=True):
        samples, group = [], 0
        for sample in dataset.samples:
            template = sample.per_bin
            if template is not None:
                its_counts = replace(template, off=off[0, group : group + len(template.off)])
                group += len(template.off)
                modifiers = [its_counts if isinstance(m, PerBin) else m for m in sample.modifiers]
                samples.append(replace(sample, modifiers=modifiers))
            else:
                samples.append(sample)
        fluctuates = dataset.statistic == "least-squares" and dataset.variance is None and counts.variance is not None
        variance = counts.variance[0][0] if fluctuates and counts.variance is not None else dataset.variance
        datasets.append(replace(dataset, samples=tuple(samples), observed=counts.observed[0], variance=variance))
    priors = dict(likelihood.priors)
    if mine.coupling_centres is not None:
        for name, centre in zip(likelihood.couplings, mine.coupling_centres[0], strict=True):
            if name in priors:
                priors[name] = replace(priors[name], centre=float(centre))
    parameters = {
        parameter.name: replace(parameter, centre=parameter.centre + parameter.unit * float(centre))
        for parameter, centre in zip(likelihood.parameters, mine.centres[0], strict=True)
        if centre != 0
    }
    return Likelihood(tuple(datasets), priors).with_parameters(parameters)


def asimov(likelihood: Likelihood, truth: Truth) -> Observation:
    """The truth's expectation as the data of one toy; for least squares its own variance unless the metric is fixed."""
    expected = expected_counts(likelihood, truth, truth.couplings[None, :], truth.pulls[None, :])
    counts = []
    for dataset, mean in zip(likelihood.datasets, expected, strict=True):
        mean = np.maximum(mean, 0.0)
        if dataset.statistic == "least-squares" and dataset.variance is None:
            variance = np.maximum(mean, LEAST_VARIANCE)
            counts.append(Counts(mean, (variance, variance)))
        else:
            counts.append(dataset.counts_of(mean))
    off = tuple(tau[None, :] for tau in truth.tau)
    centres = truth.couplings[None, :] if likelihood.priors else None
    return Observation(tuple(counts), off, np.zeros((1, len(truth.pulls))), centres)


def with_metric(likelihood: Likelihood, at: FloatArray | None = None) -> Likelihood:
    """Least squares in one fixed metric for data and toys alike: the counts expected at couplings (Standard Model).

    Raises `StatisticsError` for a bin in which something is possible but nothing is expected there.
    """
    expected = likelihood.expected(
        likelihood.polynomial.standard_model if at is None else at, np.zeros(len(likelihood.parameters))
    )
    datasets = []
    for dataset in likelihood.datasets:
        if dataset.statistic != "least-squares":
            datasets.append(dataset)
            continue
        counts = np.asarray(np.sum(list(expected[dataset.name].values()), axis=0))
        empty = np.flatnonzero((counts <= 0) & dataset.possible)
        if len(empty):
            raise StatisticsError(
                f"{dataset.name}: nothing is expected in {dataset.bin_name(int(empty[0]))}, so least squares has no "
                "variance for it; use wider bins, or statistic: poisson"
            )
        datasets.append(replace(dataset, variance=np.where(counts > 0, counts, np.inf)))
    return replace(likelihood, datasets=tuple(datasets))
