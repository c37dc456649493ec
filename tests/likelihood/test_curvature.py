"""The exact curvature of chi^2 against differences: every pair of scales, bends, shifts, off-counts and couplings."""

from __future__ import annotations

import numpy as np
import pytest

from cevnslab.likelihood.likelihood import Dataset, Likelihood, Prior
from cevnslab.likelihood.minimiser import evaluate, half_curvature
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, PerBin, Sample, Scale, Shift
from cevnslab.quadratic import Polynomial, Variable

COUPLINGS = (Variable("a", 1e-9, (-1e-6, 1e-6)), Variable("g", 1e-5, (0.0, 1.0), power=2))
POLYNOMIAL = Polynomial(COUPLINGS, ((), (0,), (1,), (0, 0), (0, 1), (1, 1)))
SCALES = np.array([1e-9, 1e-5])
WIDTHS = {"flux": 0.1, "efficiency": 0.2, "light": 1.0, "offset": np.inf, "known": 0.1, "off_scale": 0.2}
OFFSETS = np.linspace(-0.5, 0.5, 11)
FRACTIONS = np.stack([[0.3 + 0.2 * o, 0.5 - 0.1 * o + 0.1 * o**2, 0.2 - 0.1 * o - 0.1 * o**2] for o in OFFSETS])


def everything(prior=False):
    """Twelve bins with every kind of modifier, and four more that share the flux and the light."""
    rng = np.random.default_rng(0)
    parameters = {name: Parameter(name, width) for name, width in WIDTHS.items()}
    rows = np.array([40.0, -6.0, 5.0, 2.0, -0.6, 0.5])[:, None] * rng.uniform(0.2, 1.0, (6, 4))

    def bend(counts):
        return Bend(parameters["light"], *(counts * rng.uniform(0.7, 1.3, counts.shape) for _ in range(2)))

    shift = Shift(parameters["offset"], 1, OFFSETS, FRACTIONS)
    template = PerBin(np.array([10.0, 8.0, 6.0, 9.0]), 0.5, np.repeat(np.arange(4), 3))
    scales = [Scale(parameters[name]) for name in ("flux", "efficiency")]
    first = (
        Sample("cevns", rows, POLYNOMIAL, [*scales, bend(rows), shift]),
        Sample("known", np.full((1, 12), 9.0), modifiers=[Scale(parameters["known"])]),
        Sample("off", np.ones((1, 12)), modifiers=[template, Scale(parameters["off_scale"])]),
    )
    second = (
        Sample("cevns", rows / 2, POLYNOMIAL, [scales[0], bend(rows / 2)]),
        Sample("known", np.full((1, 4), 20.0)),
    )
    datasets = (
        Dataset("first", (4, 3), first, rng.poisson(20, 12).astype(float)),
        Dataset("second", (4,), second, rng.poisson(30, 4).astype(float), "least-squares"),
    )
    return Likelihood(datasets, {"a": Prior(1e-9, 2e-9)} if prior else {})


def one_parameter(likelihood, name, other):
    """The same with one parameter in the place of two, which then acts twice on some samples."""
    width = {parameter.name: parameter.width for parameter in likelihood.parameters}[name]
    return likelihood.with_parameters({other: Parameter(other, width)}).renamed({other: name})


CASES = {
    "all": everything(),
    "with a prior": everything(prior=True),
    "one scale twice": one_parameter(everything(), "flux", "efficiency"),
    "a scale that bends": one_parameter(everything(), "light", "efficiency"),
}


def half_chi2(likelihood, x):
    """At nuisances in their units, then couplings in theirs."""
    pulls, couplings = x[None, :-2], x[None, -2:] * SCALES
    monomials = likelihood.polynomial.values(couplings)
    contracted = [expectation.contracted(monomials) for expectation in likelihood.model.expectations]
    return evaluate(likelihood.model, contracted, couplings, pulls, likelihood.observation).chi2[0] / 2


@pytest.mark.parametrize("case", CASES)
def test_the_exact_curvature_is_that_of_differences(case):
    likelihood = CASES[case]
    count = len(likelihood.parameters)
    at = np.array([*np.random.default_rng(3).uniform(-0.4, 0.6, count), 1.4, 0.8])
    steps = 1e-3 * np.eye(count + 2)
    differences = np.array(
        [
            [
                half_chi2(likelihood, at + i + j)
                - half_chi2(likelihood, at + i - j)
                - half_chi2(likelihood, at - i + j)
                + half_chi2(likelihood, at - i - j)
                for j in steps
            ]
            for i in steps
        ]
    ) / (4e-6)
    units = np.array([*np.ones(count), *SCALES])
    curvature = half_curvature(
        likelihood.model, at[None, -2:] * SCALES, at[None, :-2], likelihood.observation, hidden=[0, 1]
    )[0]
    assert curvature * units * units[:, None] == pytest.approx(differences, rel=1e-4, abs=2e-4)
