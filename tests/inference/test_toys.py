"""Pseudo-experiments: exact counts, the compressed generator, and the global fit against roots and dense scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import combined, least_squares, near, poisson, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Axis, Chi2
from cevnslab.inference.global_fit import (
    delta_chi2_at_truth,
    gain,
    grid_for,
    poisson_delta_chi2_at_truth,
    region_delta_chi2_at_truth,
)
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toys import (
    Experiment,
    Toys,
    draw,
    draw_compressed,
    expected_variance,
    reduce_counts,
)

ENSEMBLES = ("drawn", "centres")


@pytest.fixture(scope="module")
def responses():
    return {name: preset_response(name) for name in ("ess-csi", "ess-xe", "ess-ge")}


def experiment_of(response, *names, widths=(0.1, 0.01)):
    return Experiment.of([response], names, widths[0], (widths[1],))


def drawn(experiment, truth, toys, seed=1, ensemble="drawn"):
    return draw(experiment, truth, toys, np.random.default_rng(seed), ensemble)


def fitted(experiment, toys, truth, metric=None, minimum="global", fast=False):
    """What a block of pseudo-experiments of one coupling does."""
    variance = None if metric is None else expected_variance(experiment, metric)
    statistics = reduce_counts(experiment, toys, variance, fast=fast)
    grid = grid_for(experiment, truth, expected_variance(experiment, truth))
    return delta_chi2_at_truth(experiment, statistics, truth, grid, minimum, fast=fast)


def exact(chi2, truth, minimum="global"):
    return float(chi2(truth)) - best_fit(chi2, minimum)[1]


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_exact_counts(ensemble, responses):
    """Mean, variance and covariance over bins follow from the Poisson law and the normalisations."""
    experiment, toys = experiment_of(responses["ess-csi"], "q_ee", widths=(0.1, 0.05)), 40_000
    sample = drawn(experiment, (5e-9,), toys, ensemble=ensemble)
    signal, background = experiment.signal_at((5e-9,)), experiment.backgrounds[0]
    assert signal == near(responses["ess-csi"].counts(q_ee=5e-9), 1e-12)
    expected = signal + background
    assert np.array_equal(sample.counts, np.round(sample.counts))
    covariance = np.diag(expected)
    if ensemble == "drawn":
        covariance = covariance + 0.1**2 * np.outer(signal, signal) + 0.05**2 * np.outer(background, background)
        assert not sample.centres.any()
    else:
        widths = sample.centres.std(axis=0) / [0.1, 0.05]
        assert np.all(np.abs(widths - 1) < 4.5 / np.sqrt(2 * toys))
        assert np.all(np.abs(sample.centres.mean(axis=0) / [0.1, 0.05]) < 4.5 / np.sqrt(toys))
        assert abs(np.corrcoef(sample.centres[:, 0], sample.counts.sum(axis=1))[0, 1]) < 4.5 / np.sqrt(toys)
    spread = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(sample.counts.mean(axis=0) - expected) < 4.5 * spread / np.sqrt(toys))
    found = np.cov(sample.counts.T)
    error = np.sqrt((covariance**2 + np.outer(spread, spread) ** 2) / toys)
    assert np.all(np.abs(found - covariance) < 5.5 * error)


def test_sufficient_statistics_against_the_gram_matrix(responses):
    """The gain is chi2 with its sign turned: differences of the two over couplings agree, toy by toy."""
    response = responses["ess-ge"]
    experiment = experiment_of(response, "q_ee")
    toys = Toys(drawn(experiment, (0.0,), 20).counts + 1, np.zeros((20, 2)))
    points = np.array([0.0, 3.0, -7.0, 25.0])
    found = gain(experiment, reduce_counts(experiment, toys), experiment.monomials_at(points[:, None]))
    for counts, gains in zip(toys.counts, found, strict=True):
        chi2 = Chi2.of(least_squares(response, 0.1, 0.01, counts), ["q_ee"])(points * 1e-9)
        assert gains - gains[0] == pytest.approx(chi2[0] - chi2, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("widths", [(0.1, 0.01), (0.0, 0.01), (0.1, 0.0), (0.3, 0.05)], ids=str)
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
    response = responses[preset]
    experiment = experiment_of(response, name, widths=widths)
    toys = drawn(experiment, (truth,), 150)
    kept = toys.counts.min(axis=1) > 0
    assert kept.sum() > 100
    found = fitted(experiment, toys, (truth,))
    for counts, value in zip(toys.counts[kept], found[kept], strict=True):
        chi2 = Chi2.of(least_squares(response, *widths, counts), [name])
        assert value == pytest.approx(exact(chi2, truth), rel=1e-6, abs=1e-8)


def test_the_second_minimum_is_often_the_global_one(responses):
    """Germanium, q_ee: what the first studies saw; without it the test above would prove less."""
    experiment = experiment_of(responses["ess-ge"], "q_ee")
    toys = drawn(experiment, (0.0,), 300)
    far = 0
    for counts in toys.counts[toys.counts.min(axis=1) > 0]:
        chi2 = Chi2.of(least_squares(responses["ess-ge"], 0.1, 0.01, counts), ["q_ee"])
        far += best_fit(chi2)[0] > 12e-9
    assert far > 5


def dense(experiment, statistics, truth, points):
    """max gain - gain(truth) by brute force."""
    scaled = np.array([[value / axis.scale for value, axis in zip(truth, experiment.axes, strict=True)]])
    at_truth = gain(experiment, statistics, experiment.monomials_at(scaled))[:, 0]
    best = at_truth.copy()
    for part in np.array_split(points, max(1, len(points) // 4000)):
        best = np.maximum(best, gain(experiment, statistics, experiment.monomials_at(part)).max(axis=1))
    return best - at_truth


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize(("name", "truth"), [("q_ee", 6e-9), ("q_emu", 0.0), ("q_emu", 9e-9)])
def test_the_global_fit_in_a_fixed_metric(name, truth, ensemble, responses):
    experiment = experiment_of(responses["ess-ge"], name)
    toys = drawn(experiment, (truth,), 300, ensemble=ensemble)
    statistics = reduce_counts(experiment, toys, expected_variance(experiment, (0.0,)))
    assert len(statistics.gram) == 1
    found = fitted(experiment, toys, (truth,), metric=(0.0,))
    scanned = dense(experiment, statistics, (truth,), np.linspace(-40, 60, 40_001)[:, None])
    assert found == pytest.approx(scanned, abs=2e-5, rel=1e-5)
    assert np.all(found >= scanned - 1e-9)


def test_constraint_centres_enter_the_fit(responses):
    """Centres c shift the constraints: against the profile over a and b by a linear solve, bin by bin."""
    response = responses["ess-csi"]
    experiment = experiment_of(response, "q_ee")
    toys = drawn(experiment, (0.0,), 30, ensemble="centres")
    points = np.array([0.0, 4.0, -9.0])
    gains = gain(experiment, reduce_counts(experiment, toys), experiment.monomials_at(points[:, None]))
    for counts, centre, row in zip(toys.counts, toys.centres, gains, strict=True):
        chi2 = []
        for point in points:
            weight = 1 / np.sqrt(counts)
            columns = np.column_stack([response.counts(q_ee=point * 1e-9), response.background]) * weight[:, None]
            rows = np.vstack([columns, np.diag([10.0, 100.0])])
            wanted = np.concatenate([counts * weight - columns.sum(axis=1), centre * [10.0, 100.0]])
            solved = np.linalg.lstsq(rows, wanted, rcond=None)[0]
            chi2.append(np.sum((rows @ solved - wanted) ** 2))
        assert row - row[0] == pytest.approx(chi2[0] - np.array(chi2), rel=1e-7, abs=1e-7)


@pytest.mark.parametrize(("name", "truth"), [("q_ee", 0.0), ("q_ee", 12e-9), ("q_mutau", 0.0), ("q_mutau", 8e-9)])
def test_the_poisson_fit_against_the_search(name, truth, responses):
    response = responses["ess-ge"]
    experiment = experiment_of(response, name)
    toys = drawn(experiment, (truth,), 60)
    grid = grid_for(experiment, (truth,), expected_variance(experiment, (truth,)))
    found = poisson_delta_chi2_at_truth(experiment, toys, (truth,), grid)
    for counts, value in zip(toys.counts, found, strict=True):
        expected = exact(Chi2.of(poisson(response, 0.1, 0.01, counts), [name]), truth)
        assert value == pytest.approx(expected, abs=2e-3, rel=1e-3)


@pytest.mark.parametrize(("name", "truth"), [("q_ee", 3e-9), ("q_ee", 19e-9), ("q_mumu", 2e-9)])
def test_the_connected_minimum(name, truth, responses):
    """A toy's value is below the level exactly if the connected piece of its interval holds the truth."""
    response = responses["ess-ge"]
    experiment = experiment_of(response, name)
    toys = drawn(experiment, (truth,), 300, seed=4)
    kept = toys.counts.min(axis=1) > 0
    found, lowest = (fitted(experiment, toys, (truth,), minimum=minimum) for minimum in ("connected", "global"))
    level = delta_chi2_level(0.90, 1)
    inside = []
    for counts in toys.counts[kept]:
        segments = interval(Chi2.of(least_squares(response, 0.1, 0.01, counts), [name]), 0.90, "connected").segments
        inside.append(any(low <= truth <= high for low, high in segments))
    clear = np.abs(found[kept] - level) > 0.01
    assert clear.sum() > 200
    assert np.array_equal((found[kept] <= level)[clear], np.array(inside)[clear])
    if name == "q_ee":
        assert np.any(found[kept] < lowest[kept] - 0.5) or np.any(found[kept] > lowest[kept] + 0.5)


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
    (("q_ee", "q_mumu"), (0.0, 0.0)),
    (("q_ee", "q_mumu"), (1.5e-8, 4e-9)),
    (("q_etau", "q_mutau"), (0.0, 0.0)),
    (("q_etau", "q_mutau"), (8e-9, 5e-9)),
    (("q_ee", "q_emu"), (3e-9, 6e-9)),
]


@pytest.mark.parametrize(("names", "truth"), REGION_TRUTHS, ids=str)
def test_the_region_fit_against_a_dense_scan(names, truth, responses):
    experiment = experiment_of(responses["ess-ge"], *names)
    variance = expected_variance(experiment, (0.0, 0.0))
    toys = drawn(experiment, truth, 100)
    for metric in (variance, None):
        statistics = reduce_counts(experiment, toys, metric)
        found = region_delta_chi2_at_truth(experiment, statistics, truth)
        axis = np.linspace(-45, 45, 361)
        points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
        scanned = dense(experiment, statistics, truth, points)
        # The refinement is short of the top by 0.02 in narrow valleys, the scan by half a step.
        assert np.all(np.abs(found - scanned) < 0.04)
        assert np.abs(np.median(found - scanned)) < 0.003


@pytest.mark.parametrize("ensemble", ENSEMBLES)
def test_compressed_against_exact(ensemble, responses):
    """Mean and covariance of the sufficient statistics, then the quantiles of delta chi2."""
    experiment, truth, toys = experiment_of(responses["ess-csi"], "q_ee"), (4e-9,), 20_000
    variance = expected_variance(experiment, (0.0,))
    counts = drawn(experiment, truth, toys, ensemble=ensemble)
    direct = reduce_counts(experiment, counts, variance)
    few = draw_compressed(experiment, truth, toys, np.random.default_rng(2), ensemble, variance)
    assert few.gram == near(direct.gram, 1e-12)
    means, covariances = [s.along.mean(axis=0) for s in (direct, few)], [np.cov(s.along.T) for s in (direct, few)]
    spread = np.sqrt(np.diag(covariances[0]))
    assert np.all(np.abs(means[0] - means[1]) < 4.5 * spread * np.sqrt(2 / toys))
    error = np.sqrt((covariances[0] ** 2 + np.outer(spread, spread) ** 2) * 2 / toys)
    assert np.all(np.abs(covariances[0] - covariances[1]) < 5 * error)
    for s in (direct, few):
        assert s.centre.std() == (0 if ensemble == "drawn" else pytest.approx(0.1, rel=4.5 / np.sqrt(2 * toys)))
    grid = grid_for(experiment, truth, expected_variance(experiment, truth))
    samples = [delta_chi2_at_truth(experiment, s, truth, grid) for s in (direct, few)]
    for probability in (0.5, 0.6827, 0.9):
        covered = np.mean(samples[1] <= np.quantile(samples[0], probability))
        assert abs(covered - probability) < 4 * np.sqrt(2 * probability * (1 - probability) / toys)


def test_compressed_regions_against_exact(responses):
    experiment, truth, toys = experiment_of(responses["ess-csi"], "q_ee", "q_mumu"), (2e-9, -1e-9), 1500
    variance = expected_variance(experiment, (0.0, 0.0))
    direct = reduce_counts(experiment, drawn(experiment, truth, toys), variance)
    few = draw_compressed(experiment, truth, toys, np.random.default_rng(2), "drawn", variance)
    samples = [region_delta_chi2_at_truth(experiment, s, truth) for s in (direct, few)]
    for probability in (0.5, 0.9):
        covered = np.mean(samples[1] <= np.quantile(samples[0], probability))
        assert abs(covered - probability) < 4 * np.sqrt(2 * probability * (1 - probability) / toys)


@pytest.mark.parametrize(("name", "truth"), [("q_ee", 0.0), ("q_ee", 20e-9), ("q_etau", 5e-9)])
@pytest.mark.parametrize("metric", [None, (0.0,)], ids=str)
def test_compiled_kernels(name, truth, metric, responses):
    """The same counts from the same seed, results equal to 1e-12 of the numbers that go in."""
    experiment = experiment_of(responses["ess-ge"], name)
    toys, again = (drawn(experiment, (truth,), 500) for _ in range(2))
    assert np.array_equal(toys.counts, again.counts)
    variance = None if metric is None else expected_variance(experiment, metric)
    plain, fast = (reduce_counts(experiment, toys, variance, fast=compiled) for compiled in (False, True))
    assert fast.gram == near(plain.gram, 1e-12)
    assert fast.along == near(plain.along, 1e-12)
    found = [fitted(experiment, toys, (truth,), metric=metric, fast=compiled) for compiled in (False, True)]
    scaled = np.array([[truth * 1e9]])
    size = float(np.max(np.abs(gain(experiment, plain, experiment.monomials_at(scaled)))))
    assert np.all(np.abs(found[1] - found[0]) < 1e-12 * np.maximum(size, 1.0))


def test_several_detectors_share_one_normalisation(responses):
    """A correlated combination's toys against the Gram sum of its members."""
    pair = [responses["ess-csi"], responses["ess-ge"]]
    experiment = Experiment.of(pair, ("q_ee",), 0.1, (0.01, 0.02))
    toys = drawn(experiment, (0.0,), 80)
    signals = [response.counts().sum() for response in pair]
    spreads = [toys.counts[:, part].sum(axis=1).std() for part in (slice(0, 20), slice(20, None))]
    many = drawn(experiment, (0.0,), 4000).counts
    found = np.corrcoef(many[:, :20].sum(axis=1), many[:, 20:].sum(axis=1))[0, 1]
    assert found == pytest.approx(0.1**2 * signals[0] * signals[1] / (spreads[0] * spreads[1]), abs=0.12)
    assert found > 5 / np.sqrt(4000)
    found = fitted(experiment, toys, (0.0,))
    for counts, value in zip(toys.counts, found, strict=True):
        if counts.min() > 0:
            parts = least_squares(pair[0], 0.1, 0.01, counts[:20]), least_squares(pair[1], 0.1, 0.02, counts[20:])
            together = combined(parts, "correlated")
            assert value == pytest.approx(exact(Chi2.of(together, ["q_ee"]), 0.0), rel=1e-6, abs=1e-8)


def test_a_bin_in_which_nothing_is_expected(responses):
    experiment = experiment_of(responses["ess-csi"], "q_ee")
    empty = np.arange(20) > 0
    silent = replace(experiment, signal=experiment.signal * empty, backgrounds=experiment.backgrounds * empty)
    with pytest.raises(StatisticsError, match="no expected counts"):
        expected_variance(silent, (0.0,))


def linear(signal_uncertainty, background_uncertainty):
    """Signal s0 + theta s1 on a background, with many counts: Wilks' theorem holds."""
    bins = np.linspace(0, 1, 12)
    signal = np.vstack([4e5 * np.exp(-bins), 3e3 * (1 + bins**2)])
    background = np.full((1, 12), 2e5)
    axis = Axis("theta", 1.0, (-1e3, 1e3))
    return Experiment((axis,), np.array([[0], [1]]), signal, background, signal_uncertainty, (background_uncertainty,))


@pytest.mark.parametrize("ensemble", ENSEMBLES)
@pytest.mark.parametrize("widths", [(0.0, 0.0), (1e-4, 1e-4)], ids=str)
@pytest.mark.parametrize("metric", [None, (0.0,)], ids=str)
def test_a_linear_gaussian_model_covers(metric, widths, ensemble):
    experiment, toys = linear(*widths), 20_000
    sample = fitted(experiment, drawn(experiment, (0.7,), toys, 9, ensemble), (0.7,), metric)
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
    experiment = experiment_of(response, name, widths=(0.3, 0.01))
    toys = drawn(experiment, (0.0,), 200)
    kept = toys.counts.min(axis=1) > 0
    assert kept.sum() > 50
    found = fitted(experiment, toys, (0.0,))
    expected = [exact(Chi2.of(least_squares(response, 0.3, 0.01, c), [name]), 0.0) for c in toys.counts[kept]]
    assert found[kept] == pytest.approx(np.array(expected), rel=1e-3, abs=1e-3)
