"""Pseudo-experiments: the global fit against all roots, searches and dense scans, and what normals stand for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import combined, least_squares, poisson, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.compressed_fit import Surface
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_fits import CompressedFit, ToyFit
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample, Scale
from cevnslab.likelihood.toys import as_data, draw, with_metric
from cevnslab.quadratic import Polynomial, Variable

ENSEMBLES = ("drawn", "centres")


@pytest.fixture(scope="module")
def responses():
    return {name: preset_response(name) for name in ("ess-csi", "ess-xe", "ess-ge")}


def fit_of(likelihood, names, truth, minimum="global"):
    return ToyFit.of(likelihood, names.split(), truth, minimum=minimum)


def drawn(fit, toys, seed=1, ensemble="drawn"):
    return draw(fit.likelihood, fit.truth, toys, np.random.default_rng(seed), ensemble)


def exact(fit, toys, toy, truth):
    """Delta chi^2 at the truth of one toy in the place of the data: from all roots where there is a closed form."""
    (name,) = fit.likelihood.couplings
    chi2 = Chi2.of(as_data(fit.likelihood, toys, toy), [name])
    return float(chi2(truth)) - best_fit(chi2)[1]


@pytest.mark.parametrize("widths", [(0.1, 0.01), (0.0, 0.01), (0.1, 0.0), (0.2, 0.05)], ids=str)
@pytest.mark.parametrize(
    ("preset", "name", "truth"),
    [
        ("ess-ge", "q_ee", 0.0),
        ("ess-ge", "q_ee", 18e-9),
        ("ess-ge", "q_mumu", -3e-9),
        ("ess-ge", "q_etau", 0.0),
        ("ess-csi", "q_ee", 30e-9),
        ("ess-csi", "q_mutau", 12e-9),
    ],
)
def test_the_global_fit_against_all_roots(preset, name, truth, widths, responses):
    """Own counts as variances, as Eq. (15): every toy against the closed form, which has every minimum."""
    fit = fit_of(least_squares(responses[preset], *widths), name, [truth])
    assert isinstance(fit.engine, CompressedFit)
    toys = drawn(fit, 40)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        assert value == pytest.approx(exact(fit, toys, toy, truth), rel=1e-6, abs=1e-8)


def test_the_second_minimum_is_often_the_global_one(responses):
    """Germanium, q_ee: what the first studies saw; without it the test above would prove less."""
    fit = fit_of(least_squares(responses["ess-ge"], 0.1, 0.01), "q_ee", [0.0])
    toys = drawn(fit, 120)
    far = [best_fit(Chi2.of(as_data(fit.likelihood, toys, toy), ["q_ee"]))[0] > 12e-9 for toy in range(120)]
    assert sum(far) > 2


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize(("name", "truth"), [("q_ee", 6e-9), ("q_emu", 0.0), ("q_emu", 9e-9)])
def test_the_global_fit_in_a_fixed_metric(name, truth, ensemble, responses):
    """Against a dense scan of the same toys."""
    fit = fit_of(with_metric(least_squares(responses["ess-ge"], 0.1, 0.01)), name, [truth])
    toys = drawn(fit, 25, ensemble=ensemble)
    scanned = []
    for toy in range(25):
        chi2 = Chi2.of(as_data(fit.likelihood, toys, toy), [name])
        points = np.linspace(-40e-9, 60e-9, 2001)
        scanned.append(float(chi2(truth)) - min(chi2(points).min(), float(chi2(truth))))
    rises = fit.delta_chi2(toys)
    assert rises == pytest.approx(np.array(scanned), abs=2e-3, rel=2e-3)
    assert np.all(rises >= np.array(scanned) - 1e-8)


@pytest.mark.parametrize("widths", [(0.3, 0.01), (0.1, 0.01)], ids=str)
@pytest.mark.parametrize(("name", "truth"), [("q_ee", 0.0), ("q_ee", 12e-9), ("q_mutau", 8e-9)])
def test_the_general_fit_against_the_search(name, truth, widths, responses):
    """Poisson, and normalisations too wide for the closed form."""
    kind = poisson if widths[0] < 0.2 else least_squares
    fit = fit_of(kind(responses["ess-ge"], *widths), name, [truth])
    assert not isinstance(fit.engine, CompressedFit)
    toys = drawn(fit, 12)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        assert value == pytest.approx(exact(fit, toys, toy, truth), abs=2e-3, rel=1e-3)


@pytest.mark.parametrize(("name", "truth"), [("q_ee", 3e-9), ("q_ee", 19e-9), ("q_mumu", 2e-9)])
def test_the_connected_minimum(name, truth, responses):
    """A toy's value is below the level exactly if the connected piece of its interval holds the truth."""
    plain = least_squares(responses["ess-ge"], 0.1, 0.01)
    fit, everywhere = (fit_of(plain, name, [truth], minimum) for minimum in ("connected", "global"))
    toys = drawn(fit, 120, seed=4)
    rises, lowest = fit.delta_chi2(toys), everywhere.delta_chi2(toys)
    level = delta_chi2_level(0.90, 1)
    clear = np.flatnonzero(np.abs(rises - level) > 0.01)
    assert len(clear) > 100
    for toy in clear:
        piece = interval(Chi2.of(as_data(fit.likelihood, toys, toy), [name]), 0.90, "connected").piece_with(truth)
        assert (piece is not None) == (rises[toy] <= level)
    if name == "q_ee":
        assert np.any(np.abs(rises - lowest) > 0.5)


def test_the_truth_is_no_barrier_before_itself(responses, monkeypatch):
    """However chi^2 at the truth is rounded on the grid, which holds it, and by itself."""
    fit = fit_of(least_squares(responses["ess-ge"], 0.1, 0.01), "q_ee", [1.9e-8], "connected")
    toys = drawn(fit, 120, seed=4)
    plain, rises = Surface.on_grid, fit.delta_chi2(toys)
    for rounding in (1e-9, -1e-9):
        monkeypatch.setattr(Surface, "on_grid", lambda s, grid, r=rounding: plain(s, grid) + r * (len(grid) == 1))
        assert fit.delta_chi2(toys) == pytest.approx(rises, abs=1e-8)


@pytest.mark.parametrize("sign", [-1, 1])
def test_connected_transition_charges_keep_both_signs(sign):
    """Only |q|^2 enters: of a set that excludes zero neither sign is left out."""
    response = preset_response("ess-ge")
    counts = response.counts(q_etau=2.5e-8) + response.background
    chi2 = Chi2.of(least_squares(response, 0.1, 0.01, counts), ["q_etau"])
    assert float(chi2(0.0)) > 10
    for minimum in ("global", "connected"):
        segments = interval(chi2, 0.90, minimum).segments
        assert any(low < sign * 2.5e-8 < high for low, high in segments), minimum


REGION_TRUTHS = [
    ("q_ee q_mumu", (0.0, 0.0)),
    ("q_ee q_mumu", (1.5e-8, 4e-9)),
    ("q_etau q_mutau", (0.0, 0.0)),
    ("q_etau q_mutau", (8e-9, 5e-9)),
    ("q_ee q_emu", (3e-9, 6e-9)),
]


@pytest.mark.parametrize(("names", "truth"), REGION_TRUTHS, ids=str)
@pytest.mark.parametrize("fixed", [True, False])
def test_the_region_fit_against_a_dense_scan(fixed, names, truth, responses):
    plain = least_squares(responses["ess-ge"], 0.1, 0.01)
    fit = fit_of(with_metric(plain) if fixed else plain, names, truth)
    toys = drawn(fit, 10)
    axis = np.linspace(-45e-9, 45e-9, 181)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        chi2 = Chi2.of(as_data(fit.likelihood, toys, toy), names.split())
        at_truth = chi2.values_at(np.array([truth]))[0]
        scanned = at_truth - min(chi2.on_grid(axis, axis).min(), at_truth)
        # The scan is short of the bottom by half a step.
        assert -1e-6 < value - scanned < 0.15


@pytest.mark.parametrize("names", ["q_ee", "q_ee q_mumu"])
@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_sufficient_statistics_as_normals_give_the_same_quantiles(ensemble, names, responses):
    toys, truth = 4000, (4e-9, -1e-9)[: len(names.split())]
    fit = fit_of(with_metric(least_squares(responses["ess-csi"], 0.1, 0.01)), names, truth)
    samples = [fit.simulated(toys, np.random.default_rng(seed), ensemble, compressed=seed == 2) for seed in (1, 2)]
    for probability in (0.5, 0.6827, 0.9):
        covered = np.mean(samples[1] <= np.quantile(samples[0], probability))
        assert abs(covered - probability) < 4 * np.sqrt(2 * probability * (1 - probability) / toys)


def test_several_detectors_share_one_normalisation(responses):
    """A correlated combination's toys: their counts move together, and each fit is that of the joined detectors."""
    parts = least_squares(responses["ess-csi"], 0.1, 0.01), least_squares(responses["ess-ge"], 0.1, 0.02)
    fit = fit_of(combined(parts, "correlated"), "q_ee", [0.0])
    many = [counts.observed.sum(axis=1) for counts in drawn(fit, 4000).counts]
    signals = [responses[name].counts().sum() for name in ("ess-csi", "ess-ge")]
    expected = 0.1**2 * signals[0] * signals[1] / (many[0].std() * many[1].std())
    result = np.corrcoef(*many)[0, 1]
    assert result == pytest.approx(expected, abs=0.12)
    assert result > 5 / np.sqrt(4000)
    toys = drawn(fit, 30)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        assert value == pytest.approx(exact(fit, toys, toy, 0.0), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_neither_order_nor_company_changes_a_detector_s_counts(order, responses):
    parts = [least_squares(responses[name], 0.1, 0.01).restricted(["q_ee"]) for name in ("ess-csi", "ess-ge")]
    alone = drawn(fit_of(parts[0], "q_ee", [0.0]), 5).counts[0].observed
    both = parts[order[0]] + parts[order[1]]
    place = [dataset.name for dataset in both.datasets].index(parts[0].datasets[0].name)
    together = drawn(fit_of(both, "q_ee", [0.0]), 5).counts[place].observed
    assert np.array_equal(alone, together)


def test_a_bin_in_which_nothing_is_expected():
    """Only a coupling opens the second bin: least squares has no fixed metric there."""
    coupling = Polynomial((Variable("x", 1.0, (0.0, 9.0)),), ((), (0,)))
    sample = Sample("signal", np.array([[20.0, 0.0], [1.0, 1.0]]), coupling)
    likelihood = Likelihood((Dataset("two", (2,), (sample,), np.array([20.0, 3.0]), "least-squares"),))
    with pytest.raises(StatisticsError, match="two: nothing is expected in bin 1"):
        with_metric(likelihood)


def linear(width):
    """Signal s0 + theta s1 on a background, with many counts: Wilks' theorem holds."""
    bins = np.linspace(0, 1, 12)
    theta = Polynomial((Variable("theta", 1.0, (-1e2, 1e2)),), ((), (0,)))
    rows = np.vstack([4e5 * np.exp(-bins), 3e3 * (1 + bins**2)])
    signal = Sample("signal", rows, theta, [Scale(Parameter("flux", width))])
    background = Sample("background", np.full((1, 12), 2e5), modifiers=[Scale(Parameter("background", width))])
    return Likelihood((Dataset("one", (12,), (signal, background), rows[0] + 2e5, "least-squares"),))


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("width", [0.0, 1e-4])
@pytest.mark.parametrize("fixed", [True, False])
def test_a_linear_gaussian_model_covers(fixed, width, ensemble):
    toys = 10_000
    fit = fit_of(with_metric(linear(width)) if fixed else linear(width), "theta", [0.7])
    sample = fit.simulated(toys, np.random.default_rng(9), ensemble)
    for confidence in (0.6827, 0.90, 0.95):
        covered = np.mean(sample <= delta_chi2_level(confidence, 1))
        assert abs(covered - confidence) < 3.5 * np.sqrt(confidence * (1 - confidence) / toys)


WEAK = {"one bin": (3, 1), "ten days": (0.03, None)}


@pytest.mark.parametrize("name", ["q_ee", "q_mutau"])
@pytest.mark.parametrize("case", WEAK)
def test_the_fit_where_chi2_saturates(case, name):
    """A signal known to 30 % can be scaled away for (1/0.3)^2: chi2 never gets large, and the fit must not care."""
    years, bins = WEAK[case]
    response = preset_response("ess-csi", years=years)
    if bins:
        response = replace(
            response,
            axes=(replace(response.axes[0], edges=response.axes[0].edges[[0, -1]]),),
            backgrounds={"background": response.background.sum(keepdims=True)},
            coefficients={"cevns": response.coefficients["cevns"].sum(axis=1, keepdims=True)},
        )
    fit = fit_of(least_squares(response, 0.3, 0.01), name, [0.0])
    toys = drawn(fit, 15)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        assert value == pytest.approx(exact(fit, toys, toy, 0.0), rel=1e-3, abs=1e-3)
