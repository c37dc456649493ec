"""Sufficient statistics of pseudo-experiments: least squares with normalisations alone.

With signal n(theta), data less backgrounds y, the metric <.,.> from which the backgrounds are profiled out
(`closed_form`), A the centre of the signal's constraint and s its width, minimising over the normalisation leaves

    chi^2(theta) - <y,y> = [A^2 <n,n> - 2 A <n,y> - s^2 <n,y>^2]/(1 + s^2 <n,n>).

The couplings enter n = sum_m m(theta) C_m through their monomials, so that a toy is the numbers <C_m,y>, <C_m,C_n> and
A, whatever the number of bins. No width is divided by: any, however tiny, gives what it must.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.expectation import Expectation
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.likelihood.toys import Ensemble, Truth, draw_nuisances
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]

FARTHEST_WALL = 0.2
"""Largest width of a normalisation in closed form, which knows no walls: factors reach zero five widths away."""


@dataclass(frozen=True, eq=False)
class Normalisations:
    """A likelihood of least squares with normalisations alone, its data sets in a row."""

    likelihood: Likelihood
    signal: str | None
    """The parameter that scales all that couplings change; None where nothing does."""
    counts: FloatArray
    """What it scales, per monomial: shape (monomials, bins)."""
    constant: FloatArray
    """All other counts at the parameters' centres, shape (bins,)."""
    names: tuple[str, ...]
    """The parameters that scale other counts."""
    backgrounds: FloatArray
    """What a standard deviation of each of them adds, shape (names, bins)."""

    @property
    def polynomial(self) -> Polynomial:
        """Of the counts."""
        return self.likelihood.polynomial

    @property
    def width(self) -> float:
        """Of the signal's scale."""
        return self._widths[self.signal] if self.signal is not None else 0.0

    @cached_property
    def _widths(self) -> dict[str, float]:
        return {parameter.name: parameter.width for parameter in self.likelihood.parameters}

    @cached_property
    def columns(self) -> list[int]:
        """The place of `names` among the likelihood's parameters."""
        names = [parameter.name for parameter in self.likelihood.parameters]
        return [names.index(name) for name in self.names]

    def signal_centre(self, centres: FloatArray) -> FloatArray:
        """A of toys with constraint centres (toys, parameters)."""
        if self.signal is None:
            return np.ones(len(centres))
        place = [parameter.name for parameter in self.likelihood.parameters].index(self.signal)
        return np.asarray(1 + self.width * centres[:, place])


def normalisations(likelihood: Likelihood) -> Normalisations | None:
    """What the closed form works with, or None where a likelihood's structure has none.

    Needed: least squares or symmetric Gaussian errors; scales alone, narrower than a fifth; one scale, or none, on all
    that couplings change and on nothing else but signal; no prior on a coupling.
    """
    if any(name in likelihood.couplings for name in likelihood.priors):
        return None
    signal: set[str | None] = set()
    for dataset in likelihood.datasets:
        if dataset.statistic == "poisson" or (
            dataset.errors is not None and not np.array_equal(dataset.errors[0], dataset.errors[1])
        ):
            return None
        for sample in dataset.samples:
            moving = [parameter for parameter in sample.parameters if not parameter.fixed]
            scales = [modifier for modifier in sample.modifiers if isinstance(modifier, Scale)]
            if any(isinstance(modifier, PerBin) for modifier in sample.modifiers) or len(moving) > 1:
                return None
            if moving and (moving[0] not in [scale.parameter for scale in scales] or moving[0].centre != 0):
                return None
            if moving and moving[0].width > FARTHEST_WALL:
                return None
            if sample.polynomial.variables:
                signal.add(moving[0].name if moving else None)
    if len(signal) > 1:
        return None
    return _in_a_row(likelihood, next(iter(signal), None))


def _in_a_row(likelihood: Likelihood, signal: str | None) -> Normalisations:
    widths = {parameter.name: parameter.width for parameter in likelihood.parameters}
    names = tuple(name for name in widths if name != signal and widths[name] > 0)
    rows, start = likelihood.sample_rows, 0
    parts: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    for dataset in likelihood.datasets:
        size = len(dataset.observed)
        counts = np.zeros((len(likelihood.polynomial.monomials), size))
        constant, backgrounds = np.zeros(size), np.zeros((len(names), size))
        for sample in dataset.samples:
            nominal = nominal_counts(likelihood, dataset, sample, rows[start])
            start += 1
            moving = [parameter.name for parameter in sample.parameters if not parameter.fixed]
            if sample.polynomial.variables or (moving and moving[0] == signal):
                counts += nominal
                continue
            constant += nominal[0]
            if moving:
                backgrounds[names.index(moving[0])] += nominal[0] * widths[moving[0]]
        parts.append((counts, constant, backgrounds))
    stacked = [np.concatenate(each, axis=-1) for each in zip(*parts, strict=True)]
    return Normalisations(likelihood, signal, stacked[0], stacked[1], names, stacked[2])


def nominal_counts(likelihood: Likelihood, dataset: Dataset, sample: Sample, monomials: Sequence[int]) -> FloatArray:
    """A sample's counts per monomial of the likelihood with all parameters at their centres."""
    columns = {parameter.name: number for number, parameter in enumerate(likelihood.parameters)}
    alone = Expectation.of([sample], [monomials], columns, dataset.shape)
    unit = np.eye(len(likelihood.polynomial.monomials))
    values = np.tile(likelihood.model.centre, (len(unit), 1))
    counts = alone.at(alone.contracted(unit), values).expected
    if not sample.polynomial.variables:
        counts[1:] = 0.0  # constant counts come once, not with every monomial
    return counts


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a fit needs to know of toys."""

    along: FloatArray
    """<C_m, y>, the Standard Model first: shape (toys, monomials)."""
    gram: FloatArray
    """<C_m, C_n>, shape (toys or 1, monomials, monomials): one for all toys in a fixed metric."""
    centre: FloatArray
    """A, shape (toys,)."""
    width: float
    """s."""

    def rows(self, selection: slice) -> Statistics:
        """Those of some of the toys."""
        gram = self.gram if len(self.gram) == 1 else self.gram[selection]
        return Statistics(self.along[selection], gram, self.centre[selection], self.width)


def _profiled(plain: FloatArray, cross: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Solve for the backgrounds, in units of their widths: (plain - cross^T M^-1 cross, M^-1 cross), M = own + 1."""
    if not square.shape[-1]:
        return plain, cross
    solved = np.linalg.solve(square + np.eye(square.shape[-1]), cross)
    return np.asarray(plain - np.swapaxes(cross, -1, -2) @ solved), np.asarray(solved)


def reduce_counts(part: Normalisations, toys: Observation) -> Statistics:
    """Toys to sufficient statistics, in the metric that the observation brings: their own counts', or a fixed one."""
    variances = [counts.variance for counts in toys.counts]
    weights = np.concatenate([1 / variance[0] for variance in variances if variance is not None], axis=1)
    observed = np.concatenate([counts.observed for counts in toys.counts], axis=1)
    monomials = len(part.counts)
    vectors = np.vstack([part.counts, part.backgrounds])
    # Each pair of vectors once; the products are then spread over a symmetric matrix.
    first, second = np.triu_indices(len(vectors))
    once = weights @ np.ascontiguousarray((vectors[first] * vectors[second]).T)
    products = np.empty((len(once), len(vectors), len(vectors)))
    products[:, first, second] = once
    products[:, second, first] = once
    data, centre = observed - part.constant, np.ones(len(observed))
    if toys.centres.any():
        centre = part.signal_centre(toys.centres)
        data -= toys.centres[:, part.columns] @ part.backgrounds
    along = (data * weights) @ vectors.T
    gram, solved = _profiled(
        products[:, :monomials, :monomials], products[:, monomials:, :monomials], products[:, monomials:, monomials:]
    )
    profiled = along[:, :monomials] - (along[:, None, monomials:] @ solved)[:, 0]
    return Statistics(profiled, gram, centre, part.width)


def draw_compressed(
    part: Normalisations, truth: Truth, toys: int, rng: np.random.Generator, ensemble: Ensemble
) -> Statistics:
    """Sufficient statistics in a fixed metric, drawn as the few correlated normals that they are for many counts.

    <C_m, y> is linear in the counts; its mean and covariance follow from the Poisson law and the normalisations.
    """
    likelihood = part.likelihood
    variance = np.concatenate([counts.variance[0][0] for counts in likelihood.observation.counts if counts.variance])
    monomials = len(part.counts)
    vectors = np.vstack([part.counts, part.backgrounds])
    weighted = vectors / variance
    products = weighted @ vectors.T
    gram, solved = _profiled(
        products[:monomials, :monomials], products[monomials:, :monomials], products[monomials:, monomials:]
    )
    # <C_m, .> as a linear map of the counts.
    measure = weighted[:monomials] - solved.T @ weighted[monomials:]
    signal = (likelihood.polynomial.values(truth.couplings[None, :]) @ part.counts)[0]
    covariance = (measure * (signal + part.constant)) @ measure.T
    values, axes = np.linalg.eigh(covariance)
    spread = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    nuisances = draw_nuisances(likelihood, truth, toys, rng, ensemble)
    along = rng.standard_normal((toys, monomials)) @ spread
    along += part.signal_centre(nuisances.pulls)[:, None] * (measure @ signal)
    along += (nuisances.pulls - nuisances.centres)[:, part.columns] @ (part.backgrounds @ measure.T)
    return Statistics(along, gram[None], part.signal_centre(nuisances.centres), part.width)
