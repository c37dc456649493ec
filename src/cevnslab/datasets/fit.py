"""The Standard Model fitted to a measurement: counts, goodness of fit, significance of CEvNS.

As the collaboration does, the normalisation of CEvNS is free and backgrounds are constrained. Pulls that move counts
between bins are fitted with their constraints, a time offset is free; what changes the number of CEvNS counts (flux,
efficiency, quenching, radius) stays nominal, since the free normalisation stands for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.datasets.measurement import OFFSET, SIGNAL, Measurement
from cevnslab.detection.response import Response
from cevnslab.inference.goodness import goodness_of_fit
from cevnslab.likelihood.fit import Fit, FittedParameter, fit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample
from cevnslab.parallel.tasks import Mapper, in_turn

FloatArray = NDArray[np.float64]

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


def free_signal(name: str, likelihood: Likelihood, response: Response, shapes: Sequence[str] = ()) -> Likelihood:
    """The likelihood of a detector with a free normalisation of the signal; of its pulls those of `shapes` remain."""
    free = {f"{name}.{short}" for short in (SIGNAL, OFFSET, *response.backgrounds, *shapes)}
    fixed = [parameter.name for parameter in likelihood.parameters if parameter.name not in free]
    return likelihood.with_widths({**dict.fromkeys(fixed, 0.0), f"{name}.{SIGNAL}": np.inf})


def without_signal(name: str, likelihood: Likelihood) -> Likelihood:
    """The likelihood with no signal at all."""
    signal = f"{name}.{SIGNAL}"
    return likelihood.with_parameters({signal: Parameter(signal, 0.0, centre=-1.0, low=-1.0)})


def standard_model_fit(measurement: Measurement) -> StandardModelFit:
    """The fit of `fit_standard_model` to a data set."""
    name = measurement.setup.name
    return fit_standard_model(
        name, measurement.likelihood, measurement.response, measurement.calculated_cevns, measurement.shapes
    )


def fit_standard_model(
    name: str,
    likelihood: Likelihood,
    response: Response,
    calculated_cevns: float | None = None,
    shapes: Sequence[str] = (),
    *,
    stream: Sequence[str] = (),
    store: Path | None = None,
    mapper: Mapper = in_turn,
) -> StandardModelFit:
    """Fit the Standard Model: CEvNS and background counts, chi^2 and its p-value, significance.

    The p-value is the share of pseudo-experiments of the best fit, each fitted again, whose chi^2 is larger
    (`goodness_of_fit`, which takes `stream`, `store` and `mapper`). The significance is that of the fall of chi^2 from
    no CEvNS to the best fit, one parameter. Of `shapes`, names of pulls, the pulls are fitted.
    """
    free = free_signal(name, likelihood, response, shapes).restricted(())
    best, point = fit(free), np.zeros((1, 0))
    nothing = without_signal(name, free).minimised(point).chi2[0]
    components = free.expected(best.point, best.pulls)[name]
    goodness = goodness_of_fit(free, best.chi2, stream=stream, store=store, mapper=mapper)
    signal = best.parameter(f"{name}.{SIGNAL}")
    rows: list[tuple[str, float, float | None]] = []
    for channel in response.channels:
        counts, predicted = float(components[channel].sum()), float(response.standard_model(channel).sum())
        rows.append((f"{channel}_counts", counts, _error(free, best, name, channel, signal)))
        rows.append((f"{channel}_predicted", predicted, predicted * _prior_width(likelihood, name, channel)))
    if calculated_cevns is not None:
        rows.append(("cevns_calculated", calculated_cevns, None))
    for background in response.backgrounds:
        counts, parameter = float(components[background].sum()), best.parameter(f"{name}.{background}")
        rows.append((f"{background}_counts", counts, _error(free, best, name, background, parameter)))
    offset = [parameter for parameter in best.parameters if parameter.name == f"{name}.{OFFSET}"]
    rows += [(OFFSET, parameter.value, parameter.error) for parameter in offset]
    rows += [
        ("chi2", best.chi2, None),
        ("bins", float(len(likelihood.datasets[0].observed)), None),
        ("p_value", goodness.p_value, goodness.error),
        ("significance_sigma", float(np.sqrt(max(float(nothing) - best.chi2, 0.0))), None),
    ]
    return StandardModelFit(tuple(rows), components, best)


def _samples(likelihood: Likelihood, name: str) -> Sequence[Sample]:
    return next(dataset for dataset in likelihood.datasets if dataset.name == name).samples


def _prior_width(likelihood: Likelihood, name: str, channel: str) -> float:
    """The relative prior width of a channel's counts: of all factors that every part of it has."""
    factors = [
        {scale.parameter.name: scale.parameter.width for scale in sample.scales}
        for sample in _samples(likelihood, name)
        if sample.name == channel
    ]
    common = set.intersection(*(set(each) for each in factors))
    return float(np.sqrt(sum(factors[0][factor] ** 2 for factor in sorted(common))))


def _error(likelihood: Likelihood, best: Fit, name: str, component: str, factor: FittedParameter) -> float | None:
    """One standard deviation of a component's counts, which is that of its factor where nothing else moves them."""
    if factor.error is None:
        return None
    counts = float(likelihood.expected(best.point, best.pulls)[name][component].sum())
    samples = [sample for sample in _samples(likelihood, name) if sample.name == component]
    fitted = {parameter.name for parameter in likelihood.parameters if parameter.width > 0}
    if any(sample.per_bin or fitted & {bend.parameter.name for bend in sample.bends} for sample in samples):
        return _total_error(likelihood, best, name, component)
    return factor.error * counts / (1 + factor.value)


def _total_error(likelihood: Likelihood, best: Fit, name: str, component: str) -> float:
    """One standard deviation of the counts of a component that bends, or is known from counts of its own.

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
            likelihood.expected(best.point, best.pulls + side)[name][component].sum() for side in (step, -step)
        )
        slopes[place] = (above - below) / (2 * step[place])
    return float(np.sqrt(slopes @ covariance @ slopes + _held_variance(likelihood, best, name, component)))


def _held_variance(likelihood: Likelihood, best: Fit, name: str, component: str) -> float:
    """The variance of a component's total with all nuisances held: none unless it is known from counts of its own.

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
                expectations.append(sample.name == component)
    if not any(expectations):
        return 0.0
    counts = np.array(rows)
    totals = counts.sum(axis=1) * np.array(expectations)
    return float(totals @ np.linalg.pinv((counts * weights) @ counts.T + np.diag(off), hermitian=True) @ totals)
