"""Likelihoods in fewer bins: exactly where the statistic is a sum of squares, as a sketch where it is not.

With errors that do not depend on the expectation and normalisations alone, chi^2 is the squared length of a residual
that lies in the space spanned by the data and the templates, all divided by the errors. An orthonormal basis of that
space (a QR decomposition) has as many directions as there are templates: pseudo-bins, whatever the number of bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import CONSTANT, Sample, Scale
from cevnslab.likelihood.sufficient import FARTHEST_WALL, nominal_counts

FloatArray = NDArray[np.float64]

NEGLIGIBLE = 1e-13
"""Of the longest template: shorter directions are rounding."""


def pseudo_binned(likelihood: Likelihood) -> Likelihood:
    """The same likelihood with pseudo-bins in every data set that allows it; the others are left as they are."""
    datasets = []
    for number, dataset in enumerate(likelihood.datasets):
        scales_alone = all(isinstance(modifier, Scale) for sample in dataset.samples for modifier in sample.modifiers)
        variance = None if dataset.statistic == "poisson" else likelihood.observation.counts[number].variance
        if scales_alone and variance is not None and variance[0] is variance[1]:
            templates = [sample.coefficients for sample in dataset.samples]
            datasets.append(_projected(dataset, dataset.samples, templates, variance[0][0]))
        else:
            datasets.append(dataset)
    return Likelihood(tuple(datasets), likelihood.priors)


def sketch(likelihood: Likelihood) -> Likelihood:
    """A least-squares likelihood with nearly the same minima and a closed form, in few pseudo-bins.

    Errors are those of the observed counts, shapes stay nominal, and every sample has at most one normalisation, of its
    own data set. It says where to start a search, never where to end one.
    """
    datasets = []
    start = 0
    for number, dataset in enumerate(likelihood.datasets):
        errors = likelihood.observation.counts[number].variance
        variance = np.maximum(dataset.observed, 1.0) if errors is None else (errors[0][0] + errors[1][0]) / 2
        samples, templates = [], []
        for sample in dataset.samples:
            counts = nominal_counts(likelihood, dataset, sample, likelihood.sample_rows[start])
            start += 1
            if sample.per_bin is not None:
                template = sample.per_bin
                each = template.ratio * sample.coefficients[0]
                counts = counts.copy()
                counts[0] += each * template.off[template.groups]
                variance = variance + each**2 * np.maximum(template.off, 1.0)[template.groups]
            if sample.polynomial.variables:
                name, polynomial = f"{dataset.name}.signal", likelihood.polynomial
            else:
                name, polynomial, counts = f"{dataset.name}.{sample.name}", CONSTANT, counts[:1]
            samples.append(Sample(sample.name, counts, polynomial, _normalisation(sample, name)))
            templates.append(counts)
        datasets.append(_projected(dataset, tuple(_one_signal(samples)), templates, variance))
    return Likelihood(tuple(datasets), likelihood.priors)


def _normalisation(sample: Sample, name: str) -> list[Scale]:
    """All of a sample's scales as one, narrow enough for a closed form."""
    moving = [scale.parameter for scale in sample.scales if not scale.parameter.fixed]
    if not moving:
        return []
    width = min(math.hypot(*(parameter.width for parameter in moving)), FARTHEST_WALL)
    return [Scale(Parameter(name, width))]


def _one_signal(samples: Sequence[Sample]) -> list[Sample]:
    """The samples with the first signal's normalisation on all signals."""
    common = next((sample.modifiers for sample in samples if sample.polynomial.variables), ())
    return [replace(sample, modifiers=common) if sample.polynomial.variables else sample for sample in samples]


def _projected(
    dataset: Dataset, samples: Sequence[Sample], templates: Sequence[FloatArray], variance: FloatArray
) -> Dataset:
    """A data set in the basis of its templates and observed counts, all divided by the errors."""
    finite = np.isfinite(variance)
    weight = 1 / np.sqrt(variance[finite])
    everything = np.vstack([*templates, dataset.observed[None, :]])[:, finite] * weight
    if len(everything) >= everything.shape[1]:
        basis = np.eye(everything.shape[1])
    else:
        lengths = np.linalg.norm(everything, axis=1)
        left, size, _ = np.linalg.svd(
            (everything / np.where(lengths > 0, lengths, 1.0)[:, None]).T, full_matrices=False
        )
        basis = left[:, size > NEGLIGIBLE * size[0]]
    projected = [
        replace(sample, coefficients=(template[:, finite] * weight) @ basis)
        for sample, template in zip(samples, templates, strict=True)
    ]
    ones = np.ones(basis.shape[1])
    return Dataset(
        dataset.name,
        (basis.shape[1],),
        tuple(projected),
        (dataset.observed[finite] * weight) @ basis,
        "gaussian",
        (ones, ones),
    )
