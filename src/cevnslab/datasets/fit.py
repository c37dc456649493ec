"""The Standard Model fitted to a measurement: counts, goodness of fit, significance of CEvNS.

As the collaboration does, the normalisation of CEvNS is free, backgrounds are constrained, and the signal's shape is
the nominal one; a time offset, where the analysis has one, is free too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.datasets.measurement import OFFSET, SIGNAL, Measurement
from cevnslab.detection.response import Response
from cevnslab.likelihood.fit import Fit, fit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample
from cevnslab.likelihood.toys import Truth

FloatArray = NDArray[np.float64]

TOYS, SEED = 1000, 1
"""Pseudo-experiments for the goodness of fit."""
SLOPE_STEP = 1e-3
"""Of an error: the step of a numerical slope of counts."""


@dataclass(frozen=True, eq=False)
class StandardModelFit:
    """The best fit: parameters with their errors, and the expected counts of each component."""

    parameters: tuple[tuple[str, float, float | None], ...]
    """Name, value, error (None where it has none)."""
    components: Mapping[str, FloatArray]
    """Counts per bin at the best fit, shape (bins,) each: channels, then backgrounds."""
    covariance: Fit
    """The fit itself."""


def free_signal(name: str, likelihood: Likelihood, response: Response) -> Likelihood:
    """The likelihood of a detector with a free normalisation of the signal and nominal shapes."""
    free = {f"{name}.{short}" for short in (SIGNAL, OFFSET, *response.backgrounds)}
    fixed = [parameter.name for parameter in likelihood.parameters if parameter.name not in free]
    return likelihood.with_widths({**dict.fromkeys(fixed, 0.0), f"{name}.{SIGNAL}": np.inf})


def without_signal(name: str, likelihood: Likelihood) -> Likelihood:
    """The likelihood with no signal at all."""
    signal = f"{name}.{SIGNAL}"
    return likelihood.with_parameters({signal: Parameter(signal, 0.0, centre=-1.0, low=-1.0)})


def standard_model_fit(measurement: Measurement) -> StandardModelFit:
    """The fit of `fit_standard_model` to a data set."""
    name = measurement.setup.name
    return fit_standard_model(name, measurement.likelihood, measurement.response, measurement.calculated_cevns)


def fit_standard_model(
    name: str, likelihood: Likelihood, response: Response, calculated_cevns: float | None = None
) -> StandardModelFit:
    """Fit the Standard Model: CEvNS and background counts, chi^2 and its p-value, significance.

    The p-value is the share of 1000 pseudo-experiments of the best fit, each fitted again, whose chi^2 is larger. The
    significance is that of the fall of chi^2 from no CEvNS to the best fit, one parameter.
    """
    free = free_signal(name, likelihood, response).restricted(())
    best, point = fit(free), np.zeros((1, 0))
    nothing = without_signal(name, free).minimised(point).chi2[0]
    components = free.expected(best.point, best.pulls)[name]
    larger = _larger_chi2(free, best, components)
    templates = {sample.name for sample in _samples(free, name) if sample.per_bin is not None}
    signal = best.parameter(f"{name}.{SIGNAL}")
    prior = next(parameter.width for parameter in likelihood.parameters if parameter.name == signal.name)
    rows: list[tuple[str, float, float | None]] = []
    for channel in response.channels:
        counts, predicted = float(components[channel].sum()), float(response.standard_model(channel).sum())
        error = None if signal.error is None else signal.error * counts / (1 + signal.value)
        rows.append((f"{channel}_counts", counts, error))
        rows.append((f"{channel}_predicted", predicted, predicted * prior))
    if calculated_cevns is not None:
        rows.append(("cevns_calculated", calculated_cevns, None))
    for background in response.backgrounds:
        counts, parameter = float(components[background].sum()), best.parameter(f"{name}.{background}")
        error = None if parameter.error is None else parameter.error * counts / (1 + parameter.value)
        if error is not None and background in templates:
            error = _template_error(free, best, name, background)
        rows.append((f"{background}_counts", counts, error))
    offset = [parameter for parameter in best.parameters if parameter.name == f"{name}.{OFFSET}"]
    rows += [(OFFSET, parameter.value, parameter.error) for parameter in offset]
    rows += [
        ("chi2", best.chi2, None),
        ("bins", float(len(likelihood.datasets[0].observed)), None),
        ("p_value", larger, float(np.sqrt(larger * (1 - larger) / TOYS))),
        ("significance_sigma", float(np.sqrt(max(float(nothing) - best.chi2, 0.0))), None),
    ]
    return StandardModelFit(tuple(rows), components, best)


def _samples(likelihood: Likelihood, name: str) -> Sequence[Sample]:
    return next(dataset for dataset in likelihood.datasets if dataset.name == name).samples


def _template_error(likelihood: Likelihood, best: Fit, name: str, background: str) -> float:
    """One standard deviation of the total of a background whose template is known from counts of its own.

    The variance with all nuisances held, and that of the nuisances, which the expectations follow, through the slopes
    of the total.
    """
    units = likelihood.model.unit
    first = len(best.parameters) - len(units)
    covariance = best.covariance[first:, first:] / units / units[:, None]
    errors = np.sqrt(np.diag(covariance))
    slopes = np.zeros(len(units))
    for place in np.flatnonzero(errors > 0):
        step = np.zeros(len(units))
        step[place] = SLOPE_STEP * errors[place]
        above, below = (
            likelihood.expected(best.point, best.pulls + side)[name][background].sum() for side in (step, -step)
        )
        slopes[place] = (above - below) / (2 * step[place])
    return float(np.sqrt(slopes @ covariance @ slopes + _held_variance(likelihood, best, name, background)))


def _held_variance(likelihood: Likelihood, best: Fit, name: str, background: str) -> float:
    """The variance of such a background's total with all nuisances held.

    In units of its best value, half the second derivative of chi^2 by the expectation of a group is M + sum c_i^2 w_i:
    M its off-counts, c_i its counts in the bins, w_i half the second derivative of the deviance. Groups of two
    templates meet in bins: sum c_i d_i w_i.
    """
    components = likelihood.expected(best.point, best.pulls)[name]
    number = next(i for i, dataset in enumerate(likelihood.datasets) if dataset.name == name)
    weights = likelihood.observation.counts[number].curvature(np.sum(list(components.values()), axis=0)[None, :])[0]
    rows, off, expectations = [], [], []
    for sample in _samples(likelihood, name):
        if sample.per_bin is None:
            continue
        for group, off_count in enumerate(sample.per_bin.off):
            counts = components[sample.name] * (sample.per_bin.groups == group)
            if counts.sum() > 0:
                rows.append(counts)
                off.append(off_count)
                expectations.append(sample.name == background)
    counts = np.array(rows)
    totals = counts.sum(axis=1) * np.array(expectations)
    return float(totals @ np.linalg.pinv((counts * weights) @ counts.T + np.diag(off), hermitian=True) @ totals)


def _larger_chi2(likelihood: Likelihood, best: Fit, components: Mapping[str, FloatArray]) -> float:
    """The share of pseudo-experiments of the best fit whose own fit is worse."""
    expected = np.sum(list(components.values()), axis=0)
    rng = np.random.default_rng(SEED)
    toys = rng.poisson(expected, (TOYS, len(expected))).astype(float)
    off = [rng.poisson(tau, (TOYS, len(tau))).astype(float) for tau in Truth.of(likelihood, best.point).tau]
    data = likelihood.observation_of([toys], off, np.zeros((1, len(likelihood.parameters))))
    starts = np.tile(best.pulls, (TOYS, 1))
    fitted = likelihood.minimised(np.zeros((TOYS, 0)), starts=starts, observation=data)
    return float(np.mean(fitted.chi2 > best.chi2))
