"""Factors that multiply each other on one sample: a flux beside a detector's own normalisation."""

from __future__ import annotations

import numpy as np
import pytest
from support import preset_response
from written_out import lowest

from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.likelihood import boundary
from cevnslab.likelihood.likelihood import Likelihood
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


@pytest.mark.parametrize("widths", [(0.10, 0.0874), (0.0874, 0.10)], ids=str)
@pytest.mark.parametrize("value", [1e-6, 2e-5, 1e-4])
def test_far_out_the_weaker_factor_brings_the_signal_down(value, widths):
    """Each of two factors can be nearly zero there, a minimum of its own: shapes are searched from the lower one."""
    response = preset_response("ess-csi", ["q_ee"])
    counts = np.random.default_rng(7).poisson(response.counts() + response.background).astype(float)
    factors = [Parameter("flux", widths[0]), Parameter("ess-csi.response", widths[1])]
    samples = samples_of(response, factors, {"background": [Parameter("ess-csi.background", 0.01)]})
    plain = Likelihood((dataset_of(response, samples, "poisson", counts),))
    tilt = np.linspace(-0.1, 0.1, counts.size)

    def tilted(sample):
        return Bend(Parameter("shape", 1.0), sample.coefficients * (1 + tilt), sample.coefficients * (1 - tilt))

    likelihood = plain.modified(["cevns"], tilted)
    point, lowest_of_each = np.array([[value]]), []
    for name, width in zip(("flux", "ess-csi.response"), widths, strict=True):
        start = np.zeros((1, len(likelihood.parameters)))
        start[0, [p.name for p in likelihood.parameters].index(name)] = (1e-4 - 1) / width
        lowest_of_each.append(minimise(likelihood.model, point, start, likelihood.observation).chi2[0])
    assert abs(lowest_of_each[0] - lowest_of_each[1]) > 10
    assert likelihood.minimised(point).chi2[0] == pytest.approx(min(lowest_of_each), abs=1e-3)
