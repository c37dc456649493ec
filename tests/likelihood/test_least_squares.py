"""The least squares of Eq. (15): reference values, a linear solve over all bins, and iminuit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from iminuit import Minuit
from support import GOLDEN, GOLDEN_DETECTORS, MILLICHARGES, eq_15, least_squares, near, preset_response

import cevnslab as cl
from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import best_fit
from cevnslab.inference.levels import delta_chi2_level

SIGMA_A, SIGMA_B = GOLDEN["analysis_config"]["sigma_alpha"], GOLDEN["analysis_config"]["sigma_beta"]


@pytest.fixture(scope="module")
def responses():
    return {name: preset_response(name) for name in set(GOLDEN_DETECTORS.values())}


@pytest.fixture(scope="module")
def statistics(responses):
    return {name: least_squares(response, SIGMA_A, SIGMA_B) for name, response in responses.items()}


@pytest.fixture(scope="module")
def fluctuated(responses):
    """Poisson counts of the Standard Model, one set per detector."""
    random = np.random.default_rng(20240910)
    return {
        name: random.poisson(response.counts() + response.background).astype(float) + 1
        for name, response in responses.items()
    }


def asimov(response):
    return response.counts() + response.background


@pytest.mark.parametrize("row", GOLDEN["chi2"], ids=lambda r: f"{r['detector']}-{r['param']}-{r['q']:g}")
def test_reference_values(row, responses, statistics):
    preset, name = GOLDEN_DETECTORS[row["detector"]], f"q_{row['param']}"
    response = responses[preset]
    assert float(Chi2.of(statistics[preset], [name])(row["q"])) == near(row["chi2"], 1e-8)
    data = asimov(response)
    by_bins = eq_15(response.counts(**{name: row["q"]}), response.background, data, data, SIGMA_A, SIGMA_B)
    # The Gram matrix does not keep the nuisances: they are those of the same sum over bins.
    assert by_bins == (near(row["chi2"], 1e-8), near(row["alpha"], 1e-7), near(row["beta"], 1e-6))


@pytest.mark.parametrize("name", MILLICHARGES)
@pytest.mark.parametrize("preset", ["ess-csi", "ess-ge", "ess-csi-electron"])
def test_closed_form_against_a_linear_solve(preset, name, responses, fluctuated):
    response, data = responses[preset], fluctuated[preset]
    chi2 = Chi2.of(least_squares(response, 0.2, 0.03, data), [name])
    scale = 0.1 if "electron" in preset else 1.0
    for q in scale * np.array([-2e-8, -3e-9, 0.0, 1e-9, 8e-9, 5e-8]):
        expected, _, _ = eq_15(response.counts(**{name: q}), response.background, data, data, 0.2, 0.03)
        assert float(chi2(q)) == near(expected, 1e-9)


def minuit_at(response, data, values, sigma_a=SIGMA_A, sigma_b=SIGMA_B):
    """Eq. (15) minimised over a and b by iminuit."""
    signal, background = response.counts(**values), response.background

    def chi2(a, b):
        residual = signal * (1 + a) + background * (1 + b) - data
        return np.sum(residual**2 / data) + (a / sigma_a) ** 2 + (b / sigma_b) ** 2

    fit = Minuit(chi2, a=0.0, b=0.0)
    fit.errors = (sigma_a, sigma_b)
    fit.errordef, fit.strategy, fit.tol = 1.0, 2, 1e-4
    fit.migrad()
    assert fit.valid
    return fit.fval


@pytest.mark.parametrize("preset", ["ess-csi", "ess-xe", "ess-ge", "ess-csi-electron"])
def test_closed_form_against_iminuit(preset, responses, fluctuated):
    scale = 0.02 if "electron" in preset else 1.0
    for values in ({"q_ee": 7e-9 * scale}, {"q_mutau": 2e-8 * scale}, {"q_ee": -4e-9 * scale, "q_mumu": 3e-9 * scale}):
        for data in (None, fluctuated[preset]):
            statistic = Chi2.of(least_squares(responses[preset], SIGMA_A, SIGMA_B, data), list(values))
            points = [np.array([value]) for value in values.values()]
            ours = float(statistic(points[0])[0]) if len(points) == 1 else float(statistic.on_grid(*points)[0, 0])
            observed = asimov(responses[preset]) if data is None else data
            assert ours == pytest.approx(minuit_at(responses[preset], observed, values), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(("preset", "name"), [("ess-csi", "q_ee"), ("ess-ge", "q_mumu"), ("ess-xe", "q_ee")])
def test_best_fit_against_iminuit(preset, name, responses, fluctuated):
    response, data = responses[preset], fluctuated[preset]
    best, lowest = best_fit(Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data), [name]))

    def chi2(theta, a, b):
        signal = response.counts(**{name: 1e-9 * theta})
        residual = signal * (1 + a) + response.background * (1 + b) - data
        return np.sum(residual**2 / data) + (a / SIGMA_A) ** 2 + (b / SIGMA_B) ** 2

    fits = []
    for start in (-5.0, 0.5, 20.0):
        fit = Minuit(chi2, theta=start, a=0.0, b=0.0)
        fit.errors = (0.5, SIGMA_A, SIGMA_B)
        fit.limits["theta"] = (-200.0, 200.0)
        fit.errordef, fit.strategy, fit.tol = 1.0, 2, 1e-4
        fit.migrad(ncall=5000)
        fits.append((fit.fval, fit.values["theta"]))
    assert lowest == near(min(fits)[0], 1e-7)
    assert best * 1e9 == pytest.approx(min(fits)[1], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("preset", ["ess-ge", "ess-csi-electron"])
@pytest.mark.parametrize("pair", [("q_ee", "q_mumu"), ("q_etau", "q_mutau"), ("q_ee", "q_emu")])
def test_grid_against_sums_over_bins(preset, pair, responses, fluctuated):
    response, data = responses[preset], fluctuated[preset]
    scale = 0.02 if "electron" in preset else 1.0
    x, y = scale * np.linspace(-9e-9, 8e-9, 5), scale * np.linspace(-4e-9, 6e-9, 4)
    for observed in (None, data):
        surface = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, observed), pair).on_grid(x, y)
        assert surface.shape == (4, 5)
        names = asimov(response) if observed is None else observed
        for row, column in np.ndindex(4, 5):
            signal = response.counts(**{pair[0]: x[column], pair[1]: y[row]})
            expected, _, _ = eq_15(signal, response.background, names, names, SIGMA_A, SIGMA_B)
            assert surface[row, column] == near(expected, 1e-8)


def test_gradient_against_differences(statistics):
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee", "q_mumu"])
    x, y, step = np.array([3e-9, -2e-9]), np.array([1e-9, 2e-9]), 1e-13
    value, slopes = chi2.gradient_at(np.stack([x, y], axis=1))
    slope_x, slope_y = slopes.T
    for i in range(2):
        around = chi2.on_grid(x[i] + step * np.array([-1, 0, 1]), y[i] + step * np.array([-1, 0, 1]))
        assert value[i] == near(around[1, 1], 1e-12)
        assert slope_x[i] == near((around[1, 2] - around[1, 0]) / (2 * step), 1e-5)
        assert slope_y[i] == near((around[2, 1] - around[0, 1]) / (2 * step), 1e-5)


@pytest.mark.parametrize(("sigma_a", "sigma_b"), [(0.0, 0.01), (0.1, 0.0), (0.0, 0.0)])
def test_zero_width_fixes_a_normalisation(sigma_a, sigma_b, responses, fluctuated):
    response, data = responses["ess-csi"], fluctuated["ess-csi"]
    ours = float(Chi2.of(least_squares(response, sigma_a, sigma_b, data), ["q_ee"])(4e-9))
    signal = response.counts(q_ee=4e-9)
    fixed, _, _ = eq_15(signal, response.background, data, data, sigma_a or 1e-9, sigma_b or 1e-9)
    assert ours == near(fixed, 1e-7)
    free, _, _ = eq_15(signal, response.background, data, data, 0.1, 0.01)
    assert free < ours


@pytest.mark.parametrize("name", MILLICHARGES)
@pytest.mark.parametrize("preset", sorted(set(GOLDEN_DETECTORS.values())))
@given(q=st.floats(-1e-6, 1e-6))
def test_never_negative_and_zero_at_the_truth(statistics, preset, name, q):
    chi2 = Chi2.of(statistics[preset], [name])
    assert 0.0 <= float(chi2(0.0)) < 1e-22
    assert float(chi2(q)) >= 0.0
    assert best_fit(chi2) == (pytest.approx(0.0, abs=1e-18), pytest.approx(0.0, abs=1e-22))


def test_no_cancellation_near_the_truth(statistics):
    chi2 = Chi2.of(statistics["ess-csi"], ["q_ee"])
    tiny, small = float(chi2(1e-16)), float(chi2(1e-13))
    assert tiny == near(small * 1e-6, 1e-3)  # a parabola there, down to 1e-14 and below


def test_more_data_bins_than_the_response_has(responses):
    with pytest.raises(StatisticsError, match="20 counts"):
        least_squares(responses["ess-csi"], 0.1, 0.01, np.ones(21))


def test_an_empty_bin_has_no_variance(responses):
    data = asimov(responses["ess-csi"])
    data[4] = 0.0
    with pytest.raises(StatisticsError, match="ess-csi"):
        Chi2.of(least_squares(responses["ess-csi"], 0.1, 0.01, data), ["q_ee"])(0.0)


def test_a_bin_that_nothing_reaches_counts_for_nothing():
    """Above the endpoint, without background: no signal, no variance, no harm."""
    base = cl.load_detector("ess-csi")
    source = cl.load_source("ess")
    far = np.append(base.bin_edges_kev, [900.0, 1000.0])
    near_only = replace(base, resolution=None, background_per_kg_day=np.zeros(20))
    extended = replace(near_only, bin_edges_kev=far, background_per_kg_day=np.zeros(22))
    chi2 = [
        Chi2.of(least_squares(cl.response(source, d, couplings=["q_ee"], years=3), 0.1, 0.01), ["q_ee"])
        for d in (near_only, extended)
    ]
    ours, theirs = (float(c(-3e-9)) for c in chi2)
    assert ours > 0
    assert theirs >= ours * (1 - 1e-9)


def test_levels_are_probabilities():
    assert delta_chi2_level(0.90, 1) == near(GOLDEN["analysis_config"]["dchi2"], 1e-12)
    assert delta_chi2_level(0.90, 2) == near(4.605170185988092, 1e-14)
    assert delta_chi2_level(0.6826894921370859, 1) == near(1.0, 1e-12)
    with pytest.raises(ValueError, match="one or two parameters"):
        delta_chi2_level(0.95, 3)
    for wrong in (0.0, 1.0, -0.1, 2.7):
        with pytest.raises(ValueError, match="confidence level"):
            delta_chi2_level(wrong, 1)


def test_a_strength_and_a_normalisation_that_is_all_but_free():
    """The counts know their product alone, a valley bent all its way; at its lowest point the factor is nominal."""
    response = preset_response("ess-csi", couplings=["cevns_strength"])
    signal, background = response.counts(), response.background
    data = np.random.default_rng(4).poisson(20 * signal + background).astype(float)
    likelihood = least_squares(response, 3.0, SIGMA_B, data)
    start = np.array([[-0.5 / likelihood.parameters[0].unit, 0.0]])
    minimum = likelihood.minimised(np.array([[40.0]]), ("cevns_strength",), start)
    weight = 1 / np.sqrt(data)
    rows = np.vstack([np.column_stack([signal, background]) * weight[:, None], [0.0, 1 / SIGMA_B]])
    side = np.concatenate([(data - background) * weight, [0.0]])
    (strength, _), chi2, *_ = np.linalg.lstsq(rows, side, rcond=None)
    # The valley itself rises by (a/3)^2 alone, 0.03 from its lowest point to the start.
    assert minimum.chi2[0] == pytest.approx(float(chi2[0]), abs=2e-4)
    assert minimum.couplings[0, 0] == near(strength, 0.05)
