"""The Poisson likelihood ratio: iminuit over all nuisances, high counts, empty bins, the paper's detectors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from iminuit import Minuit
from scipy.special import xlogy
from support import least_squares, near, poisson, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.statistics import Counts


@pytest.fixture(scope="module")
def responses():
    return {name: preset_response(name) for name in ("ess-csi", "ess-xe", "ess-ge")}


@pytest.fixture(scope="module")
def fluctuated(responses):
    """Poisson counts of the Standard Model: data that are not the Asimov ones."""
    random = np.random.default_rng(77)
    return {name: random.poisson(r.counts() + r.background).astype(float) for name, r in responses.items()}


def ratio(expected, observed):
    """The plain formula, for counts of any size."""
    return float(2 * np.sum(expected - observed + xlogy(observed, observed) - xlogy(observed, expected)))


def minuit(response, data, signal_uncertainty, background_uncertainty, **couplings):
    """iminuit over a and b at fixed couplings."""
    counts = response.counts(**couplings)

    def chi2(a, b):
        expected = counts * (1 + a) + response.background * (1 + b)
        constraint = sum((x / s) ** 2 for x, s in ((a, signal_uncertainty), (b, background_uncertainty)) if s > 0)
        return ratio(expected, data) + constraint

    fit = Minuit(chi2, a=0.0, b=0.0)
    fit.fixed["a"], fit.fixed["b"] = signal_uncertainty == 0, background_uncertainty == 0
    fit.limits = (-0.9, 5)
    fit.strategy, fit.tol = 2, 1e-7
    if signal_uncertainty or background_uncertainty:
        fit.migrad()
    return chi2(*fit.values)


@pytest.mark.parametrize("widths", [(0.1, 0.01), (0.0, 0.01), (0.1, 0.0), (0.0, 0.0), (0.5, 0.3)], ids=str)
@pytest.mark.parametrize("preset", ["ess-csi", "ess-ge"])
def test_against_iminuit_over_the_nuisances(preset, widths, responses, fluctuated):
    response, data = responses[preset], fluctuated[preset]
    chi2 = Chi2.of(poisson(response, *widths, data), ["q_ee"])
    for value in (0.0, 4e-9, -7e-9, 3e-8):
        assert float(chi2(value)) == near(minuit(response, data, *widths, q_ee=value), 1e-6)


@pytest.mark.parametrize("width", [0.0, 0.1])
def test_a_width_of_zero_fixes_a_nuisance(width, responses, fluctuated):
    response, data = responses["ess-csi"], fluctuated["ess-csi"]
    likelihood = poisson(response, width, 0.0, data).restricted(["q_ee"])
    pulls = likelihood.minimised(np.array([[5e-9]])).pulls[0]
    assert pulls[1] == 0
    assert (pulls[0] == 0) == (width == 0)
    fixed = Chi2.of(poisson(response, 0.0, 0.0, data), ["q_ee"])
    assert float(fixed(5e-9)) == near(ratio(response.counts(q_ee=5e-9) + response.background, data), 1e-9)


def minos(response, data, name, even):
    """iminuit over the coupling (or its square) and both nuisances: minimum and MINOS ends at 90 %."""

    def chi2(x, a, b):
        value = math.sqrt(max(x, 0.0)) if even else x
        counts = response.counts(**{name: value * 1e-9})
        return ratio(counts * (1 + a) + response.background * (1 + b), data) + (a / 0.1) ** 2 + (b / 0.01) ** 2

    fit = Minuit(chi2, x=20.0 if even else 0.5, a=0.0, b=0.0)
    fit.errordef, fit.strategy, fit.tol = Minuit.LEAST_SQUARES, 2, 1e-5
    fit.limits["x"] = (-0.0, 1e4) if even else (-30, 12)
    fit.limits["a", "b"] = (-0.9, 5)
    fit.migrad()
    fit.minos("x", cl=0.90)
    return fit


@pytest.mark.parametrize(("preset", "name"), [("ess-csi", "q_ee"), ("ess-csi", "q_mumu"), ("ess-ge", "q_mumu")])
def test_limits_against_minos(preset, name, responses, fluctuated):
    fit = minos(responses[preset], fluctuated[preset], name, even=False)
    chi2 = Chi2.of(poisson(responses[preset], 0.1, 0.01, fluctuated[preset]), [name])
    limit = interval(chi2, 0.90, "connected")
    assert best_fit(chi2, "connected")[1] == near(fit.fval, 1e-6)
    error = fit.merrors["x"]
    expected = (fit.values["x"] + error.lower, fit.values["x"] + error.upper)
    assert limit.segments == (tuple(near(end * 1e-9, 2e-3) for end in expected),)


@pytest.mark.parametrize("name", ["q_emu", "q_mutau"])
def test_transition_charges_against_minos_of_their_square(name, responses, fluctuated):
    fit = minos(responses["ess-xe"], fluctuated["ess-xe"], name, even=True)
    chi2 = Chi2.of(poisson(responses["ess-xe"], 0.1, 0.01, fluctuated["ess-xe"]), [name])
    result = interval(chi2, 0.90)
    upper = 1e-9 * math.sqrt(fit.values["x"] + fit.merrors["x"].upper)
    assert best_fit(chi2)[1] == near(fit.fval, 1e-5)
    assert result.segments[-1][1] == near(upper, 2e-3)
    assert result.segments[0][0] == near(-result.segments[-1][1], 1e-9)


def test_the_limit_of_high_counts_is_least_squares():
    """The difference falls as one over the root of the exposure, or faster."""
    distances = []
    for years in (3, 300, 30000):
        response = preset_response("ess-ge", couplings=["q_mumu"], years=years)
        ends = [
            interval(Chi2.of(kind(response, 0.1, 0.01), ["q_mumu"]), 0.90).segments[0]
            for kind in (least_squares, poisson)
        ]
        distances.append(max(abs(a / b - 1) for a, b in zip(*ends, strict=True)))
    assert distances[0] > 3 * distances[1] > 9 * distances[2]
    assert distances[2] < 2e-3


def test_the_papers_detectors_side_by_side(responses):
    """About 0.1 % apart for CsI, 0.2 to 0.3 % for Xe, 1 % for Ge."""
    mean = {}
    for preset, response in responses.items():
        ends = []
        for name in ("q_mumu", "q_emu", "q_etau", "q_mutau", "q_ee"):
            pair = [
                interval(Chi2.of(kind(response, 0.1, 0.01), [name]), 0.90).segments for kind in (least_squares, poisson)
            ]
            assert len(pair[0]) == len(pair[1]) == 1
            ends += [abs(a / b - 1) for a, b in zip(pair[0][0], pair[1][0], strict=True)]
        mean[preset] = float(np.mean(ends))
        assert max(ends) < 0.05
    assert 0.0002 < mean["ess-csi"] < 0.003
    assert 0.001 < mean["ess-xe"] < 0.006
    assert 0.004 < mean["ess-ge"] < 0.025
    assert mean["ess-csi"] < mean["ess-xe"] < mean["ess-ge"]


@pytest.mark.parametrize("pair", [("q_ee", "q_mumu"), ("q_etau", "q_mutau"), ("q_ee", "q_emu")], ids="-".join)
def test_gradient_against_differences(pair, responses, fluctuated):
    chi2 = Chi2.of(poisson(responses["ess-ge"], 0.1, 0.01, fluctuated["ess-ge"]), pair)
    points = np.array([[1e-9, 2e-9], [-4e-9, 6e-9], [2.5e-8, -9e-9]])
    value, slopes = chi2.gradient_at(points)
    step = 1e-13
    for column in (0, 1):
        up, down = (chi2.values_at(points + sign * step * np.eye(2)[column]) for sign in (1, -1))
        assert slopes[:, column] == near((up - down) / (2 * step), 1e-4)
    assert value == near(np.diag(chi2.on_grid(*points.T)), 1e-12)


def test_two_couplings_on_an_axis_are_one(responses, fluctuated):
    both = poisson(responses["ess-csi"], 0.1, 0.01, fluctuated["ess-csi"])
    values = np.linspace(-2e-8, 9e-8, 7)
    row = Chi2.of(both, ["q_ee", "q_mumu"]).on_grid(values, np.zeros(1))[0]
    assert row == near(Chi2.of(both, ["q_ee"])(values), 1e-12)
    assert Chi2.of(both, ["q_ee"])(values.reshape(7, 1)).shape == (7, 1)


@pytest.mark.parametrize("size", [1.0, 1e6, 1e12])
def test_deviance_does_not_cancel(size):
    """mu = N (1 + d) with a small d: 2 N (d - ln(1 + d)) = N d^2 (1 - 2 d/3 + ...)."""
    for d in (1e-3, 1e-5, -1e-7):
        expected = np.array([size * (1 + d)])
        exact = (expected[0] - size) / size
        series = size * exact**2 * (1 - 2 * exact / 3 + exact**2 / 2 - 2 * exact**3 / 5)
        assert float(Counts(np.array([size])).deviance(expected)) == near(series, 1e-7)


def test_deviance_of_few_counts():
    observed, expected = np.array([0.0, 1.0, 7.0, 0.0]), np.array([0.3, 2.5, 3.0, 0.0])
    assert float(Counts(observed).deviance(expected)) == near(ratio(expected[:3], observed[:3]), 1e-12)
    assert Counts(observed).deviance(np.stack([expected, expected])).shape == (2,)


def test_empty_bins_need_no_variance():
    """A day of data: many bins are empty, which least squares refuses and Poisson takes."""
    response = preset_response("ess-ge", years=0.003)
    data = np.random.default_rng(5).poisson(response.counts() + response.background).astype(float)
    assert np.sum(data == 0) > 20
    with pytest.raises(StatisticsError, match="no counts"):
        Chi2.of(least_squares(response, 0.1, 0.01, data), ["q_ee"])(0.0)
    chi2 = Chi2.of(poisson(response, 0.1, 0.01, data), ["q_ee"])
    for value in (0.0, 1e-8):
        assert float(chi2(value)) == near(minuit(response, data, 0.1, 0.01, q_ee=value), 1e-6)
    none = Chi2.of(poisson(response, 0.1, 0.01, np.zeros_like(data)), ["q_ee"])
    assert float(none(0.0)) == near(minuit(response, np.zeros_like(data), 0.1, 0.01, q_ee=0.0), 1e-6)
    for segments in (interval(chi2, 0.9).segments, interval(none, 0.9).segments):
        assert all(math.isfinite(end) for piece in segments for end in piece)


def test_asimov_data_are_fitted_exactly(responses):
    for response in responses.values():
        chi2 = Chi2.of(poisson(response, 0.1, 0.01), ["q_ee"])
        assert float(chi2(0.0)) == pytest.approx(0.0, abs=1e-20)
        assert best_fit(chi2)[0] == pytest.approx(0.0, abs=1e-13)


def test_centres_of_the_constraints(responses, fluctuated):
    """A centre (c_a, c_b) is a fit with shifted nuisances: chi2 with data made of the shifted expectation is zero."""
    response = responses["ess-csi"]
    likelihood = poisson(response, 0.1, 0.01).restricted([])
    centre = np.array([[0.7, -1.2]])  # in units of the widths
    shifted = response.counts() * 1.07 + response.background * 0.988
    data = Observation((Counts(shifted[None]),), (np.empty((1, 0)),), centre)
    minimum = likelihood.minimised(np.zeros((1, 0)), observation=data)
    assert minimum.chi2[0] == pytest.approx(0.0, abs=1e-15)
    assert minimum.pulls == pytest.approx(centre, rel=1e-9)


def test_as_far_as_the_bounds(responses, fluctuated):
    """The likelihood converges at any allowed coupling, where the signal is 1e9 times the data."""
    for widths in ((0.1, 0.01), (0.0, 0.01), (2.0, 0.0)):
        chi2 = Chi2.of(poisson(responses["ess-ge"], *widths, fluctuated["ess-ge"]), ["q_ee"])
        values = chi2(np.array([-1e-4, -1e-6, 1e-6, 1e-4]))
        assert np.all(np.isfinite(values))
        assert np.all(values > 10)


def test_counts_that_cannot_be_are_refused(responses):
    response = responses["ess-csi"]
    with pytest.raises(StatisticsError, match="one per bin"):
        poisson(response, 0.1, 0.01, np.ones(3))
    silent = replace(
        response,
        backgrounds={"background": np.zeros(20)},
        coefficients={"cevns": response.coefficients["cevns"] * (np.arange(20) > 0)},
    )
    with pytest.raises(StatisticsError, match="none are expected"):
        poisson(silent, 0.1, 0.01, np.ones(20))
