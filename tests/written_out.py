"""A likelihood written out sample by sample, to be minimised by iminuit: the second route to every minimum.

Nothing is shared with the engine but the samples' own arrays: sums, bends, splines (scipy's), factors, off-counts and
constraints are plain formulas here, expectations of off-counts are parameters of the fit, and derivatives are Minuit's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from iminuit import Minuit
from scipy.interpolate import CubicSpline
from scipy.special import xlogy

from cevnslab.likelihood.samples import Bend, PerBin, Scale, Shift


@dataclass(frozen=True)
class Lowest:
    """The lowest of several descents."""

    chi2: float
    values: dict
    """Couplings, nuisance parameters and expectations of off-counts in plain units."""
    errors: dict


def names_of(likelihood):
    """Nuisance parameters, then the expectation of every group of off-counts."""
    return [parameter.name for parameter in likelihood.parameters] + [
        f"{dataset.name}.{sample.name}.tau_{group}"
        for dataset in likelihood.datasets
        for sample in dataset.samples
        for modifier in sample.modifiers
        if isinstance(modifier, PerBin)
        for group in range(len(modifier.off))
    ]


def sample_counts(sample, shape, couplings, values, dataset):
    """Counts of one sample: the polynomial, its bends, its distribution along an axis, its factors."""
    variables = sample.polynomial.variables
    point = [[couplings.get(variable.name, variable.standard_model) for variable in variables]]
    monomials = sample.polynomial.values(np.array(point).reshape(1, len(variables)))[0]
    nominal = monomials @ sample.coefficients
    counts = nominal.copy()
    for modifier in sample.modifiers:
        if isinstance(modifier, Bend):
            pull, up, down = values[modifier.parameter.name], monomials @ modifier.up, monomials @ modifier.down
            counts += pull * (up - down) / 2 + pull**2 * ((up + down) / 2 - nominal)
    for modifier in sample.modifiers:
        if isinstance(modifier, Shift):
            others = [size for axis, size in enumerate(shape) if axis != modifier.axis]
            offset = 0.0 if modifier.parameter is None else values[modifier.parameter.name]
            fractions = modifier.fractions[0]
            if len(modifier.offsets) > 1:
                fractions = CubicSpline(modifier.offsets, modifier.fractions)(offset)
            counts = np.moveaxis(np.multiply.outer(counts.reshape(others), fractions), -1, modifier.axis).ravel()
    for modifier in sample.modifiers:
        if isinstance(modifier, Scale):
            counts = counts * (1 + values[modifier.parameter.name])
        if isinstance(modifier, PerBin):
            tau = np.array([values[f"{dataset}.{sample.name}.tau_{group}"] for group in range(len(modifier.off))])
            counts = counts * modifier.ratio * tau[modifier.groups]
    return counts


def poisson_ratio(observed, expected):
    """2 sum [mu - N + N ln(N/mu)]; huge where mu is negative, or zero beside counts."""
    if np.any(expected < 0) or np.any((expected <= 0) & (observed > 0)):
        return 1e12
    safe = np.where(observed > 0, expected, 1.0)
    return float(2 * np.sum(expected - observed + xlogy(observed, observed) - xlogy(observed, safe)))


def objective(likelihood, couplings, values):
    """-2 ln L at couplings (the Standard Model unless given) and nuisances by name, in plain units."""
    total = 0.0
    for dataset in likelihood.datasets:
        expected = sum(sample_counts(s, dataset.shape, couplings, values, dataset.name) for s in dataset.samples)
        if dataset.statistic == "poisson":
            total += poisson_ratio(dataset.observed, expected)
        elif dataset.statistic == "gaussian":
            upper, lower = dataset.errors
            total += np.sum(((expected - dataset.observed) / np.where(expected > dataset.observed, upper, lower)) ** 2)
        else:
            variance = dataset.observed if dataset.variance is None else dataset.variance
            total += np.sum((expected - dataset.observed) ** 2 / variance)
        for sample in dataset.samples:
            for modifier in sample.modifiers:
                if isinstance(modifier, PerBin):
                    names = [f"{dataset.name}.{sample.name}.tau_{group}" for group in range(len(modifier.off))]
                    tau = np.array([values[name] for name in names])
                    total += poisson_ratio(modifier.off, tau)
    for parameter in likelihood.parameters:
        if 0 < parameter.width < np.inf:
            total += ((values[parameter.name] - parameter.centre) / parameter.width) ** 2
    for name, prior in likelihood.priors.items():
        total += ((couplings.get(name, np.nan) - prior.centre) / prior.width) ** 2 if name in couplings else 0.0
    return float(total)


def lowest(likelihood, couplings=None, free=(), starts=None, random=2, seed=1, **options):
    """Minuit from several starts, over all nuisances and the couplings `free`, at fixed `couplings`.

    Parameters
    ----------
    free : couplings that are minimised over, with where the search starts: {name: value}.
    starts : nuisances by name, one dictionary per start; the centres and some places drawn from the priors otherwise.

    """
    couplings, free = dict(couplings or {}), dict(free)
    nuisances = names_of(likelihood)
    parameters = {parameter.name: parameter for parameter in likelihood.parameters}
    centres = {name: parameter.centre for name, parameter in parameters.items()} | _off_counts(likelihood)
    rng = np.random.default_rng(seed)
    starts = [centres, *(_drawn(centres, parameters, rng) for _ in range(random))] if starts is None else starts
    scales = [v.scale for name in free for v in likelihood.polynomial.variables if v.name == name]
    axes = [v for name in free for v in likelihood.polynomial.variables if v.name == name]

    def total(x):
        at = couplings | {name: x[place] * scales[place] for place, name in enumerate(free)}
        return min(objective(likelihood, at, dict(zip(nuisances, x[len(free) :], strict=True))), 1e12)

    fits = []
    for start in starts:
        first = [value / scale for value, scale in zip(free.values(), scales, strict=True)]
        fit = Minuit(total, np.array([*first, *(start[name] for name in nuisances)]), name=[*free, *nuisances])
        for axis in axes:
            fit.limits[axis.name] = tuple(end / axis.scale for end in axis.bounds)
        for name in nuisances:
            parameter = parameters.get(name)
            fit.limits[name] = (0, None) if parameter is None else (parameter.low, parameter.high)
            fit.fixed[name] = parameter is not None and parameter.fixed
            fit.errors[name] = 1.0 if parameter is None else min(max(parameter.width, 1e-3), 0.1)
        fit.errordef, fit.tol = 1.0, options.get("tol", 1e-3)
        fit.strategy = options.get("strategy", 1)
        fit.migrad(ncall=50_000)
        fits.append(fit)
    best = min(fits, key=lambda fit: fit.fval)
    units = dict(zip(free, scales, strict=True))
    return Lowest(
        best.fval,
        {name: best.values[name] * units.get(name, 1.0) for name in [*free, *nuisances]},
        {name: best.errors[name] * units.get(name, 1.0) for name in [*free, *nuisances]},
    )


def _off_counts(likelihood):
    counts = {}
    for dataset in likelihood.datasets:
        for sample in dataset.samples:
            if sample.per_bin is not None:
                name = f"{dataset.name}.{sample.name}.tau"
                counts |= {f"{name}_{group}": off + 0.5 for group, off in enumerate(sample.per_bin.off)}
    return counts


def _drawn(centres, parameters, rng):
    """Places drawn from the priors; of free parameters from their ranges, or near their centres."""
    start = dict(centres)
    for name, parameter in parameters.items():
        if parameter.fixed:
            continue
        if np.isfinite(parameter.width):
            value = parameter.centre + parameter.width * rng.normal()
        elif np.isfinite(parameter.high - parameter.low):
            value = rng.uniform(parameter.low, parameter.high)
        else:
            value = parameter.centre + 0.1 * rng.normal()
        start[name] = float(np.clip(value, parameter.low + 1e-3, parameter.high - 1e-3))
    return start
