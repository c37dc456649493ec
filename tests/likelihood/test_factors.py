"""Factors that multiply each other on one sample: a flux beside a detector's own normalisation."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from support import preset_response
from written_out import lowest

from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.likelihood import boundary
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.minimiser import minimise
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend


@pytest.fixture(scope="module")
def two_factors():
    """Caesium iodide, electrons too, with 10 % of flux and 3 % of its own, and counts that are no expectation."""
    response = preset_response("ess-csi-electron", ["q_ee"])
    counts = np.random.default_rng(7).poisson(response.counts() + response.background).astype(float)
    factors = [Parameter("flux", 0.10), Parameter("ess-csi-electron.response", 0.03)]
    samples = samples_of(response, factors, {"background": [Parameter("ess-csi-electron.background", 0.01)]})
    return Likelihood((dataset_of(response, samples, "poisson", counts),))


@pytest.mark.parametrize("value", [0.0, 3e-10, 1e-8, 1e-6])
def test_two_factors_against_minuit(value, two_factors):
    """Far out their product is nearly zero, along a bent valley."""
    ours = two_factors.minimised(np.array([[value]]))
    near = {p.name: p.centre + p.unit * x for p, x in zip(two_factors.parameters, ours.pulls[0], strict=True)}
    assert ours.chi2[0] <= lowest(two_factors, {"q_ee": value}, tol=1e-5).chi2 + 1e-4
    assert ours.chi2[0] == pytest.approx(lowest(two_factors, {"q_ee": value}, starts=[near], tol=1e-5).chi2, abs=1e-3)


def test_far_out_a_search_stays_short(two_factors, monkeypatch):
    """From the state of a neighbour whose factors are ten times larger, as along a line of couplings."""
    steps, nominal = [], boundary.damped_step

    def counted(*arguments):
        steps.append(1)
        return nominal(*arguments)

    monkeypatch.setattr(boundary, "damped_step", counted)
    pulls = two_factors.minimised(np.array([[1e-8]])).pulls
    steps.clear()
    for value in (1e-7, 1e-6, 1e-5, 1e-4):
        pulls = two_factors.minimised(np.array([[value]]), starts=pulls).pulls
    assert 0 < len(steps) < 165  # 140; 190 in the factors themselves


def observed(presets, flux, widths):
    """Data sets with a common flux, factors and backgrounds of their own, and one shape of the signal for all."""
    datasets = []
    for number, (preset, width) in enumerate(zip(presets, widths, strict=True)):
        response = preset_response(preset, ["q_ee"])
        expected = response.counts() + response.background
        counts = np.random.default_rng(7 + number).poisson(expected).astype(float)
        factors = [Parameter("flux", flux), Parameter(f"{preset}.response", width)]
        samples = samples_of(response, factors, {"background": [Parameter(f"{preset}.background", 0.01)]})
        datasets.append(dataset_of(response, samples, "poisson", counts))

    def tilted(sample):
        tilt = np.linspace(-0.1, 0.1, sample.coefficients.shape[1])
        return Bend(Parameter("shape", 1.0), sample.coefficients * (1 + tilt), sample.coefficients * (1 - tilt))

    return Likelihood(tuple(datasets)).modified(["cevns"], tilted)


def lowest_of_all_choices(likelihood, value):
    """The lowest minimum from starts with any of the factors nearly at zero."""
    names = [parameter.name for parameter in likelihood.parameters]
    factors = [name for name in names if name == "flux" or name.endswith("response")]
    chi2 = []
    for count in range(1, len(factors) + 1):
        for chosen in combinations(factors, count):
            start = np.zeros((1, len(names)))
            for name in chosen:
                place = names.index(name)
                start[0, place] = (1e-5 - 1) / likelihood.parameters[place].unit
            chi2.append(minimise(likelihood.model, np.array([[value]]), start, likelihood.observation).chi2[0])
    return min(chi2), max(chi2)


@pytest.mark.parametrize(
    ("flux", "widths"),
    [(0.10, (0.0874,)), (0.0874, (0.10,)), (0.10, (0.15, 0.15)), (0.10, (0.2, 0.08)), (0.10, (0.3, 0.12, 0.3))],
    ids=str,
)
@pytest.mark.parametrize("value", [1e-6, 1e-5, 1e-4])
def test_far_out_the_weakest_factors_bring_signals_down(value, flux, widths):
    """Each choice of factors that are nearly zero is a minimum of its own: shapes are searched from the lowest."""
    likelihood = observed(("ess-csi", "ess-ge", "ess-xe")[: len(widths)], flux, widths)
    lowest_chi2, highest = lowest_of_all_choices(likelihood, value)
    assert highest > lowest_chi2 + 10
    assert likelihood.minimised(np.array([[value]])).chi2[0] == pytest.approx(lowest_chi2, abs=1e-2)


def test_residuals_that_sum_to_less_than_nothing():
    """Of a spectrum from which a background was taken: what a signal may have is known from the errors."""
    response = preset_response("ess-csi", ["q_ee"])
    counts = np.random.default_rng(3).normal(-5.0, 30.0, response.counts().size)
    errors = np.full(counts.size, 30.0)
    samples = samples_of(response, [Parameter("flux", 0.06), Parameter("response", 0.2)], {})
    plain = Likelihood((Dataset("residuals", counts.shape, tuple(samples), counts, "gaussian", (errors, errors)),))
    slope = np.linspace(-0.1, 0.1, counts.size)
    likelihood = plain.modified(
        ["cevns"], lambda s: Bend(Parameter("shape", 1.0), s.coefficients * (1 + slope), s.coefficients * (1 - slope))
    )
    assert counts.sum() < 0
    chi2 = likelihood.minimised(np.array([[1e-5]])).chi2[0]
    assert chi2 == pytest.approx(lowest_of_all_choices(likelihood, 1e-5)[0], abs=1e-2)
