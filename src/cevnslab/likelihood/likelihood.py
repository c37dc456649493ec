"""The one likelihood, of projections and real data alike.

    -2 ln L(theta, nu) = sum over data sets of D(observed; sum over samples of counts_s(theta, nu))
                         + sum over parameters of (nu_p - c_p)^2/sigma_p^2

A data set is samples, observed counts and a statistic D. A likelihood is data sets; `a + b` joins two, and parameters
of the same name are one. Asimov data are one more observation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.expectation import Expectation
from cevnslab.likelihood.fit import Fit, fit
from cevnslab.likelihood.minimiser import LOOSE, TOLERANCE, Minimum, Model, evaluate, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.parameters import Parameter, merged
from cevnslab.likelihood.samples import Bend, Modifier, Sample
from cevnslab.likelihood.starts import corners, suited
from cevnslab.likelihood.statistics import Counts, Statistic, check_counts, least_squares_variance
from cevnslab.quadratic import Polynomial, joined
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

_LONGEST_LINE = 250
"""Letters of what a likelihood says of itself."""
LARGEST_BATCH = 8_000_000
"""Numbers (points times numbers per point) that are minimised over at once: fewer, and most time goes into calls."""
CONTENDERS = 0.5
"""Starts that end within this of the lowest are followed to the end."""


@dataclass(frozen=True)
class Prior:
    """A Gaussian constraint on a coupling."""

    centre: float
    width: float


@dataclass(frozen=True, eq=False)
class Dataset:
    """Observed counts in bins, beside the samples whose sum is expected there.

    Raises `StatisticsError` for counts that do not fit the bins or the statistic, and for counts where nothing can
    be expected.
    """

    name: str
    shape: tuple[int, ...]
    """Bins along each axis; the last runs fastest."""
    samples: tuple[Sample, ...]
    observed: FloatArray
    """Shape (bins,)."""
    statistic: Statistic = "poisson"
    errors: tuple[FloatArray, FloatArray] | None = None
    """Of the counts, upper and lower, for the Gaussian statistic."""
    variance: FloatArray | None = None
    """A fixed metric for least squares, in the place of the counts."""
    bin_name: Callable[[int], str] = "bin {}".format
    """Where a bin lies, in words, for messages."""

    def __post_init__(self) -> None:
        size = int(np.prod(self.shape))
        if np.shape(self.observed) != (size,):
            raise StatisticsError(f"{self.name}: {size} counts are needed, one per bin; got {np.shape(self.observed)}")
        check_counts(self.statistic, self.observed, self.name)
        if (self.errors is None) != (self.statistic != "gaussian"):
            raise StatisticsError(f"{self.name}: errors go with the Gaussian statistic, and it needs them")
        if self.errors is not None and not all(np.all(side > 0) for side in self.errors):
            raise StatisticsError(f"{self.name}: errors must be above 0")
        if self.statistic == "poisson":
            # Where a coupling or a nuisance could open a bin the Standard Model leaves empty the fit decides.
            impossible = (self.observed > 0) & ~self.possible
            if impossible.any():
                first = int(np.flatnonzero(impossible)[0])
                raise StatisticsError(f"{self.name}: counts where none are expected, in {self.bin_name(first)}")

    @cached_property
    def possible(self) -> BoolArray:
        """Whether anything can be expected in a bin, shape (bins,)."""
        total = np.zeros(int(np.prod(self.shape)), dtype=bool)
        for sample in self.samples:
            filled = np.any(sample.coefficients != 0, axis=0)
            for bend in sample.bends:
                filled = filled | np.any(bend.up != 0, axis=0) | np.any(bend.down != 0, axis=0)
            if sample.shift is not None:
                before = int(np.prod(self.shape[: sample.shift.axis]))
                along = np.any(sample.shift.fractions != 0, axis=0)
                filled = (filled.reshape(before, 1, -1) & along[None, :, None]).ravel()
            total |= filled
        return total

    def counts_of(self, observed: FloatArray, *, toys: bool = False) -> Counts:
        """Counts of one experiment or of many, shape (experiments, bins), with what measures their distance.

        Toys take the variance max(N, 1); data have none in an empty bin, which is refused where counts are possible.
        """
        if self.statistic == "poisson":
            return Counts(observed)
        if self.errors is not None:
            upper, lower = ((side[None, :]) ** 2 for side in self.errors)
            same = np.array_equal(upper, lower)
            return Counts(observed, (upper, upper if same else lower))
        if self.variance is not None:
            variance = np.asarray(self.variance)[None, :]
        elif toys:
            variance = np.maximum(observed, 1.0)
        else:
            try:
                variance = least_squares_variance(observed[0], self.possible)[None, :]
            except ValueError as fault:
                raise StatisticsError(
                    f"{self.name}: {self.bin_name(fault.args[0])} has no counts, so least squares has no variance "
                    "for it; use wider bins, or statistic: poisson"
                ) from None
        return Counts(observed, (variance, variance))


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Data sets with their parameters; all values are in the couplings' plain units.

    Raises `StatisticsError` where one name has two priors, a coupling two meanings, or a data set enters twice.
    """

    datasets: tuple[Dataset, ...]
    priors: Mapping[str, Prior] = field(default_factory=dict)
    """Of couplings, by name."""

    def __post_init__(self) -> None:
        names = [dataset.name for dataset in self.datasets]
        for name in names:
            if names.count(name) > 1:
                raise StatisticsError(f"the data set {name} enters twice: its counts would be counted twice")
        _ = self.parameters  # one name with two priors is an error from the start

    def __add__(self, other: Likelihood) -> Likelihood:
        """Both together: parameters of the same name are one, priors of couplings must agree.

        Data sets go by their names, so that the order in which they were joined changes no number, to the last bit.
        """
        if not isinstance(other, Likelihood):
            raise StatisticsError(f"a likelihood is joined with another one, got {excerpt(other)}")
        for name in set(self.priors) & set(other.priors):
            if self.priors[name] != other.priors[name]:
                raise StatisticsError(f"the coupling {name} has two priors")
        datasets = sorted(self.datasets + other.datasets, key=lambda dataset: dataset.name)
        return Likelihood(tuple(datasets), {**self.priors, **other.priors})

    def __repr__(self) -> str:
        """Its data sets, couplings and how many nuisance parameters, in a line."""
        names = ", ".join(f"{each.name} ({each.observed.size} bins, {each.statistic})" for each in self.datasets)
        couplings = ", ".join(self.couplings) or "none"
        line = f"Likelihood of {names}: couplings {couplings}, {len(self.parameters)} nuisance parameters"
        return f"<{line if len(line) < _LONGEST_LINE else line[:_LONGEST_LINE] + '...'}>"

    # what it knows ----------------------------------------------------------------------------------------------------

    @cached_property
    def _joined(self) -> tuple[Polynomial, list[list[int]]]:
        samples = [sample for dataset in self.datasets for sample in dataset.samples]
        try:
            return joined([sample.polynomial for sample in samples])
        except ValueError as fault:
            raise StatisticsError(
                f"the coupling {fault} is a property of each target: data of different targets cannot share it"
            ) from None

    @property
    def polynomial(self) -> Polynomial:
        """Monomials of all couplings."""
        return self._joined[0]

    @property
    def sample_rows(self) -> list[list[int]]:
        """Of every sample, data set by data set, the rows of its monomials in the polynomial."""
        return self._joined[1]

    @property
    def couplings(self) -> tuple[str, ...]:
        """All couplings that it knows."""
        return self.polynomial.names

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All nuisance parameters, each name once."""
        samples = [sample for dataset in self.datasets for sample in dataset.samples]
        return merged(parameter for sample in samples for parameter in sample.parameters)

    @cached_property
    def model(self) -> Model:
        """Itself, compiled for the minimiser."""
        polynomial, rows = self._joined
        columns = {parameter.name: number for number, parameter in enumerate(self.parameters)}
        expectations, start = [], 0
        for dataset in self.datasets:
            end = start + len(dataset.samples)
            expectations.append(Expectation.of(dataset.samples, rows[start:end], columns, dataset.shape))
            start = end
        centres, stiffness = polynomial.standard_model.copy(), np.zeros(len(polynomial.variables))
        for name, prior in self.priors.items():
            if name in polynomial.names:
                place = polynomial.names.index(name)
                centres[place], stiffness[place] = prior.centre, prior.width**-2.0
        return Model(polynomial, tuple(expectations), self.parameters, centres, stiffness)

    @cached_property
    def observation(self) -> Observation:
        """Its own data."""
        return Observation(
            tuple(dataset.counts_of(dataset.observed[None, :]) for dataset in self.datasets),
            tuple(off_counts(dataset)[None, :] for dataset in self.datasets),
            np.zeros((1, len(self.parameters))),
        )

    def observation_of(
        self,
        observed: Sequence[FloatArray],
        off: Sequence[FloatArray],
        centres: FloatArray,
        coupling_centres: FloatArray | None = None,
    ) -> Observation:
        """Other experiments: counts and off-counts per data set, (experiments, bins); centres as in `Observation`."""
        counts = tuple(
            dataset.counts_of(counts, toys=True) for dataset, counts in zip(self.datasets, observed, strict=True)
        )
        return Observation(counts, tuple(off), centres, coupling_centres)

    def modified(self, names: Sequence[str], modifier: Callable[[Sample], Modifier]) -> Likelihood:
        """The same with one more modifier on every sample of these names."""
        datasets = []
        for dataset in self.datasets:
            samples = tuple(
                replace(sample, modifiers=(*sample.modifiers, modifier(sample))) if sample.name in names else sample
                for sample in dataset.samples
            )
            datasets.append(replace(dataset, samples=samples))
        return Likelihood(tuple(datasets), self.priors)

    def with_widths(self, widths: Mapping[str, float]) -> Likelihood:
        """The same with other prior widths of some nuisance parameters; 0 fixes one, infinity frees it."""
        return self.with_parameters(
            {p.name: replace(p, width=widths[p.name]) for p in self.parameters if p.name in widths}
        )

    def with_parameters(self, parameters: Mapping[str, Parameter]) -> Likelihood:
        """The same with other nuisance parameters in the place of those that have these names."""
        datasets = tuple(
            replace(dataset, samples=tuple(sample.with_parameters(parameters) for sample in dataset.samples))
            for dataset in self.datasets
        )
        return Likelihood(datasets, self.priors)

    def renamed(self, names: Mapping[str, str]) -> Likelihood:
        """The same with other names of nuisance parameters: those that get one name become one parameter.

        Raises `StatisticsError` where their priors differ.
        """
        return self.with_parameters(
            {p.name: replace(p, name=names[p.name]) for p in self.parameters if p.name in names}
        )

    def restricted(self, names: Sequence[str]) -> Likelihood:
        """The likelihood with all couplings but the named ones as in the Standard Model."""
        datasets = []
        for dataset in self.datasets:
            samples = []
            for sample in dataset.samples:
                polynomial, rows = sample.polynomial.restricted([n for n in names if n in sample.polynomial.names])
                modifiers = [
                    Bend(m.parameter, m.up[rows], m.down[rows]) if isinstance(m, Bend) else m for m in sample.modifiers
                ]
                samples.append(
                    replace(sample, coefficients=sample.coefficients[rows], polynomial=polynomial, modifiers=modifiers)
                )
            datasets.append(replace(dataset, samples=tuple(samples)))
        return Likelihood(tuple(datasets), {name: prior for name, prior in self.priors.items() if name in names})

    # fits -------------------------------------------------------------------------------------------------------------

    @cached_property
    def shaped(self) -> bool:
        """Whether a nuisance bends or shifts a template: then there may be several minima."""
        return len(self.starts) > 1

    @cached_property
    def starts(self) -> FloatArray:
        """Where searches start, shape (starts, parameters); see `cevnslab.likelihood.starts.corners`."""
        samples = [sample for dataset in self.datasets for sample in dataset.samples]
        return corners(samples, [parameter.name for parameter in self.parameters])

    @cached_property
    def _standard_model_fit(self) -> FloatArray:
        """The nuisances in the Standard Model, shape (parameters,): one more start."""
        point = self.polynomial.standard_model[None, :]
        start = np.zeros((1, len(self.parameters)))
        return np.asarray(minimise(self.model, point, start, self.observation).pulls[0])

    def minimised(
        self,
        points: FloatArray,
        hidden: Sequence[str] = (),
        starts: FloatArray | None = None,
        observation: Observation | None = None,
        tolerance: float = TOLERANCE,
        still: BoolArray | None = None,
    ) -> Minimum:
        """The minimum over nuisances, and over the couplings `hidden`, at points.

        Parameters
        ----------
        points
            All couplings in the order of `couplings`, shape (points, couplings); where the search of the hidden
            ones starts.
        starts
            Nuisances in units of `Parameter.unit`, shape (points, parameters), such as a neighbour's: then the only
            start; several are tried otherwise where shapes bend.
        observation
            Other data than its own, one experiment per point.
        tolerance
            Decrease of chi^2 below which a point is done.
        still
            Nuisances that stay where they start, shape (points, parameters): at their centres without `starts`.

        """
        data = self.observation if observation is None else observation
        places = [self.couplings.index(name) for name in hidden]
        if starts is not None or still is not None or not self.shaped:
            begin = np.zeros((len(points), len(self.parameters))) if starts is None else starts
            return self._in_batches(points, begin, data, places, tolerance, still)
        step = max(1, self._batch // (len(self.starts) + 1))
        return _joined_minima(
            [
                self._from_several(points[batch], places, data.rows(batch), tolerance)
                for batch in _batches(len(points), step)
            ]
            or [self._in_batches(points, np.empty((0, len(self.parameters))), data, places, tolerance)]
        )

    @property
    def _batch(self) -> int:
        """Points that are minimised over at once."""
        return max(1, LARGEST_BATCH // max(1, self.model.numbers_per_point()))

    def _in_batches(
        self,
        points: FloatArray,
        starts: FloatArray,
        data: Observation,
        hidden: Sequence[int],
        tolerance: float,
        still: BoolArray | None = None,
    ) -> Minimum:
        """The minimum of every point from its one start."""
        if not len(points):
            return Minimum(np.empty(0), np.empty((0, len(self.parameters))), np.empty((0, len(self.couplings))))
        return _joined_minima(
            [
                minimise(
                    self.model,
                    points[batch],
                    starts[batch],
                    data.rows(batch),
                    hidden,
                    tolerance,
                    None if still is None else still[batch],
                )
                for batch in _batches(len(points), self._batch)
            ]
        )

    def _from_several(self, points: FloatArray, hidden: Sequence[int], data: Observation, tolerance: float) -> Minimum:
        """All starts of all points in one batch, ranked loosely; those that contend are followed to the end."""
        starts, count = len(self.starts) + 1, len(points)
        places = np.vstack([self.starts, self._standard_model_fit])
        begin = suited(self.model, points, places, data).reshape(starts * count, -1)
        many, place = np.tile(points, (starts, 1)), np.tile(np.arange(count), starts)
        ranked = self._in_batches(many, begin, data.rows(place), hidden, LOOSE)
        table = ranked.chi2.reshape(starts, count)
        contenders = np.flatnonzero((table <= table.min(axis=0) + CONTENDERS).ravel())
        contenders = contenders[_distinct(ranked, contenders, place)]
        last = self._in_batches(
            ranked.couplings[contenders], ranked.pulls[contenders], data.rows(place[contenders]), hidden, tolerance
        )
        order = np.lexsort((last.chi2, place[contenders]))
        best = order[np.unique(place[contenders][order], return_index=True)[1]]
        return Minimum(last.chi2[best], last.pulls[best], last.couplings[best])

    def fit(self, couplings: Sequence[str] | None = None, fixed: Sequence[str] = ()) -> Fit:
        """The best fit over couplings (all unless named) and nuisances, with pulls and covariance.

        See `cevnslab.likelihood.fit.fit`.
        """
        return fit(self, self.couplings if couplings is None else couplings, fixed)

    def expected(self, point: FloatArray, pulls: FloatArray) -> dict[str, dict[str, FloatArray]]:
        """Counts of every component of every data set: at couplings (couplings,) and nuisances (parameters,)."""
        model, values = self.model, self.model.centre + self.model.unit * pulls
        monomials = model.polynomial.values(point[None, :])
        contracted = [expectation.contracted(monomials) for expectation in model.expectations]
        state = evaluate(model, contracted, point[None, :], pulls[None, :], self.observation)
        columns = {parameter.name: number for number, parameter in enumerate(self.parameters)}
        result: dict[str, dict[str, FloatArray]] = {}
        rows, start = self._joined[1], 0
        for number, dataset in enumerate(self.datasets):
            components = result.setdefault(dataset.name, {})
            tau, group = state.tau[number], 0
            for sample in dataset.samples:
                alone = Expectation.of([sample], [rows[start]], columns, dataset.shape)
                at = alone.at(alone.contracted(monomials), values[None, :])
                counts = at.expected[0]
                if at.per_bin is not None and sample.per_bin is not None and tau is not None:
                    counts = at.per_bin[0, 0] * tau[0, group + sample.per_bin.groups]
                    group += len(sample.per_bin.off)
                components[sample.name] = components.get(sample.name, 0.0) + counts
                start += 1
        return result

    def asimov(self, point: FloatArray | None = None, pulls: FloatArray | None = None) -> Likelihood:
        """The same with expectations as observations, at couplings and nuisances (the Standard Model, centres)."""
        point = self.polynomial.standard_model if point is None else point
        pulls = np.zeros(len(self.parameters)) if pulls is None else pulls
        expected = self.expected(point, pulls)
        datasets = [
            replace(dataset, observed=np.asarray(np.sum(list(expected[dataset.name].values()), axis=0)))
            for dataset in self.datasets
        ]
        return Likelihood(tuple(datasets), self.priors)


def off_counts(dataset: Dataset) -> FloatArray:
    """Of all templates known per bin, one after the other, shape (groups,); empty where there are none."""
    templates = [sample.per_bin.off for sample in dataset.samples if sample.per_bin is not None]
    return np.concatenate([np.empty(0), *templates]).astype(float)


def _distinct(ranked: Minimum, contenders: NDArray[np.int64], place: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of contenders of one point that ended at the same place, the first."""
    keys = np.column_stack(
        [place[contenders], np.round(np.hstack([ranked.pulls[contenders], ranked.chi2[contenders, None]]), 1)]
    )
    return np.asarray(np.sort(np.unique(keys, axis=0, return_index=True)[1]))


def _batches(points: int, step: int) -> list[NDArray[np.int64]]:
    """The numbers of all points, so many at once."""
    return [np.arange(first, min(first + step, points)) for first in range(0, points, step)]


def _joined_minima(pieces: Sequence[Minimum]) -> Minimum:
    """Minima of several batches as one."""
    if len(pieces) == 1:
        return pieces[0]
    return Minimum(
        np.concatenate([piece.chi2 for piece in pieces]),
        np.concatenate([piece.pulls for piece in pieces]),
        np.concatenate([piece.couplings for piece in pieces]),
    )
