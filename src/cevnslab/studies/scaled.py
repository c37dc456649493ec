"""A projected detector at other sizes: counts and widths are scaled, no likelihood is made anew.

Background, exposure, mass and distance multiply counts. Least squares keeps its closed form at any size. In the general
engine the sizes of signal and background are couplings of the likelihood, so that one search minimises at many sizes,
each with the Asimov data of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.response import CHANNELS
from cevnslab.inference.chi2 import Sample
from cevnslab.inference.rational import RationalChi2
from cevnslab.likelihood.closed_form import ClosedForm, profiled_gram
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import TOLERANCE, coupling_slopes
from cevnslab.likelihood.samples import Sample as Component
from cevnslab.likelihood.sufficient import normalisations
from cevnslab.quadratic import Polynomial, Variable
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.setups import DetectorSetup
from cevnslab.studies.variation import Scaling

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SIZES = tuple(Variable(f"size of the {part}", 1.0, (0.0, np.inf)) for part in ("signal", "background"))


@dataclass(frozen=True, eq=False)
class ScaledForm:
    """The closed form of a projected detector whose counts and widths are scaled."""

    setup: DetectorSetup
    polynomial: Polynomial
    counts: FloatArray
    """Signal per monomial, shape (monomials, bins)."""
    background: FloatArray

    @classmethod
    def of(cls, analysis: Analysis, coupling: str) -> ScaledForm | None:
        """That of a detector alone with Asimov data, least squares in the place of its statistic; else None."""
        (*others, setup) = analysis.setups
        if others or analysis.real or not isinstance(setup, DetectorSetup) or analysis.hidden(coupling):
            return None
        likelihood = analysis.likelihood.restricted([coupling])
        squares = [replace(dataset, statistic="least-squares") for dataset in likelihood.datasets]
        part = normalisations(Likelihood(tuple(squares), likelihood.priors))
        if part is None or any(variable.expansion is not None for variable in part.polynomial.variables):
            return None
        return cls(setup, part.polynomial, part.counts, part.constant)

    def chi2(self, factors: Scaling, least_variance: float = 0.0) -> RationalChi2:
        """Its chi^2 at other sizes and widths."""
        counts, background = self.counts * factors.signal, self.background * factors.background
        expected = counts[0] + background
        bend = background[None] * factors.background_width
        variance = np.maximum(expected, least_variance)
        weight = np.divide(1.0, variance, out=np.zeros_like(expected), where=variance > 0)
        gram = profiled_gram(counts, counts[0], bend, weight)
        ratio = ClosedForm(self.polynomial, gram, factors.signal_width).ratio()
        assert ratio is not None
        return RationalChi2(ratio.variables, ratio.numerator, ratio.denominator)


@dataclass(frozen=True, eq=False)
class ScaledLikelihood:
    """The likelihood of a projected detector at several sizes, each with its Asimov data."""

    form: ScaledForm
    likelihood: Likelihood
    """With the sizes as couplings."""
    factors: Sequence[Scaling]
    """All with the widths of the likelihood."""

    @classmethod
    def of(cls, analysis: Analysis, coupling: str) -> ScaledLikelihood | None:
        """At no size yet; None where statistic or structure are others than Poisson's with normalisations."""
        form = ScaledForm.of(analysis, coupling)
        likelihood = analysis.likelihood.restricted([coupling])
        if form is None or any(dataset.statistic != "poisson" for dataset in likelihood.datasets):
            return None
        (dataset,) = likelihood.datasets
        samples = tuple(_sized(sample, SIZES[sample.name not in CHANNELS]) for sample in dataset.samples)
        return cls(form, Likelihood((replace(dataset, samples=samples),)), ())

    def at(self, factors: Sequence[Scaling]) -> ScaledLikelihood:
        """At some sizes."""
        return replace(self, factors=factors)

    @property
    def axis(self) -> Variable:
        """The coupling."""
        return self.form.polynomial.variables[0]

    @property
    def asimov(self) -> bool:
        """It has the Asimov data of every size."""
        return True

    @cached_property
    def _sizes(self) -> FloatArray:
        return np.array([(each.signal, each.background) for each in self.factors])

    @cached_property
    def _observed(self) -> FloatArray:
        return np.asarray(self._sizes @ np.array([self.form.counts[0], self.form.background]))

    def sample(
        self, size: IntArray, value: FloatArray, states: FloatArray | None = None, tolerance: float = TOLERANCE
    ) -> Sample:
        """chi^2, slopes and states at values of the coupling, each at one of the sizes, by its number."""
        known = {self.axis.name: value, **{each.name: self._sizes[size, k] for k, each in enumerate(SIZES)}}
        points = np.stack([known[name] for name in self.likelihood.couplings], axis=1)
        nuisances = np.zeros((len(size), len(self.likelihood.parameters)))
        data = self.likelihood.observation_of([self._observed[size]], [np.empty((len(size), 0))], nuisances)
        minimum = self.likelihood.minimised(points, starts=states, observation=data, tolerance=tolerance)
        chi2, slopes = coupling_slopes(self.likelihood.model, points, minimum.pulls, data)
        column = self.likelihood.couplings.index(self.axis.name)
        return Sample(chi2, slopes[:, [column]], minimum.pulls)

    def sketch(self, size: int) -> RationalChi2:
        """Least squares in its place, whose minima are all known."""
        return self.form.chi2(self.factors[size], least_variance=1.0)


def _sized(sample: Component, size: Variable) -> Component:
    """A sample times a coupling."""
    number = len(sample.polynomial.variables)
    monomials = ((), *((*monomial, number) for monomial in sample.polynomial.monomials))
    return replace(
        sample,
        polynomial=Polynomial((*sample.polynomial.variables, size), monomials),
        coefficients=np.vstack([np.zeros_like(sample.coefficients[:1]), sample.coefficients]),
    )
