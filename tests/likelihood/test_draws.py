"""Pseudo-experiments of any likelihood: what fluctuates, and how far it may."""

from __future__ import annotations

import numpy as np
import pytest
from support import preset_response

from cevnslab.datasets.likelihoods import projection
from cevnslab.errors import StatisticsError
from cevnslab.likelihood.likelihood import Dataset, Likelihood, Prior
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.likelihood.sufficient import draw_compressed, normalisations, reduce_counts
from cevnslab.likelihood.toys import Truth, draw, draw_nuisances, truncated_normals, with_metric
from cevnslab.quadratic import Polynomial, Variable

TOYS = 40_000


@pytest.fixture(scope="module")
def csi():
    return projection(preset_response("ess-csi"), 0.1, 0.05).restricted(["q_ee"])


def truth_of(likelihood, *values):
    return Truth.of(likelihood, np.array(values))


@pytest.mark.parametrize("ensemble", ["drawn", "centres"])
def test_counts_follow_the_poisson_law_and_the_priors(ensemble, csi):
    rng = np.random.default_rng(1)
    toys = draw(csi, truth_of(csi, 5e-9), TOYS, rng, ensemble)
    counts = toys.counts[0].observed
    response = preset_response("ess-csi")
    signal, background = response.counts(q_ee=5e-9), response.background
    expected, covariance = signal + background, np.diag(signal + background)
    assert np.array_equal(counts, np.round(counts))
    if ensemble == "drawn":
        covariance = covariance + 0.1**2 * np.outer(signal, signal) + 0.05**2 * np.outer(background, background)
        assert not toys.centres.any()
    else:
        assert np.all(np.abs(toys.centres.std(axis=0) - 1) < 4.5 / np.sqrt(2 * TOYS))
        assert np.all(np.abs(toys.centres.mean(axis=0)) < 4.5 / np.sqrt(TOYS))
        assert abs(np.corrcoef(toys.centres[:, 0], counts.sum(axis=1))[0, 1]) < 4.5 / np.sqrt(TOYS)
    spread = np.sqrt(np.diag(covariance))
    assert np.all(np.abs(counts.mean(axis=0) - expected) < 4.5 * spread / np.sqrt(TOYS))
    correlation = np.cov(counts.T) / np.outer(spread, spread)
    assert np.all(np.abs(correlation - covariance / np.outer(spread, spread)) < 4.5 * np.sqrt(2 / TOYS))


def test_least_squares_and_poisson_draw_the_same_counts(csi):
    poisson = projection(preset_response("ess-csi"), 0.1, 0.05, "poisson").restricted(["q_ee"])
    first, second = (
        draw(each, truth_of(each, 0.0), 10, np.random.default_rng(3), "drawn").counts[0].observed
        for each in (csi, poisson)
    )
    assert np.array_equal(first, second)


def one_bin(*modifiers, statistic="poisson", **keys):
    """A hundred counts in each of three bins, a tenth more per unit of a coupling."""
    coupling = Polynomial((Variable("x", 1.0, (-5.0, 5.0)),), ((), (0,)))
    sample = Sample("signal", np.array([[100.0] * 3, [10.0] * 3]), coupling, modifiers)
    return Likelihood((Dataset("one", (3,), (sample,), np.array([100.0] * 3), statistic, **keys),))


@pytest.mark.parametrize("width", [1.0, 3.0])
def test_normalisations_are_never_drawn_below_zero(width):
    """A prior of 100 % is cut off at -1; its mean is that of the truncated normal."""
    from scipy.stats import truncnorm

    likelihood = one_bin(Scale(Parameter("wide", width)))
    nuisances = draw_nuisances(likelihood, truth_of(likelihood, 0.0), TOYS, np.random.default_rng(1), "drawn")
    unit = likelihood.parameters[0].unit
    assert nuisances.pulls.min() >= -1 / unit
    law = truncnorm(-1 / width, np.inf, scale=width / unit)
    assert abs(nuisances.pulls.mean() - law.mean()) < 4.5 * law.std() / np.sqrt(TOYS)
    counts = draw(likelihood, truth_of(likelihood, 0.0), 1000, np.random.default_rng(1), "drawn").counts[0].observed
    assert counts.min() >= 0


def test_a_prior_outside_its_walls_is_refused():
    with pytest.raises(StatisticsError, match="outside the physical boundaries"):
        truncated_normals(9.0, 10.0, 10, np.random.default_rng(1))


def test_free_parameters_have_their_fitted_value():
    """Asimov data of 1.2 times the nominal counts: a free normalisation is 1.2, or what the truth leaves for it."""
    likelihood = one_bin(Scale(Parameter("free", np.inf)))
    likelihood = likelihood.asimov(pulls=np.array([0.2]))
    assert truth_of(likelihood, 0.0).pulls == pytest.approx(0.2, abs=1e-6)
    assert truth_of(likelihood, 2.0).pulls == pytest.approx(0.0, abs=1e-6)
    toys = draw(likelihood, truth_of(likelihood, 2.0), TOYS, np.random.default_rng(1), "drawn")
    assert abs(toys.counts[0].observed.mean() - 120) < 4.5 * np.sqrt(120 / (3 * TOYS))


def test_gaussian_data_have_their_errors():
    upper, lower = np.array([2.0] * 3), np.array([6.0] * 3)
    likelihood = one_bin(statistic="gaussian", errors=(upper, lower))
    counts = draw(likelihood, truth_of(likelihood, 0.0), TOYS, np.random.default_rng(1), "drawn").counts[0]
    below = counts.observed < 100
    assert abs(below.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(3 * TOYS)
    # Expectations above the count are measured by the upper error.
    assert np.sqrt(np.mean((counts.observed[below] - 100) ** 2)) == pytest.approx(2.0, rel=0.02)
    assert np.sqrt(np.mean((counts.observed[~below] - 100) ** 2)) == pytest.approx(6.0, rel=0.02)
    deviance = counts.deviance(np.full(counts.observed.shape, 100.0))
    assert deviance.mean() == pytest.approx(3.0, rel=0.03)


def test_off_counts_are_drawn_at_their_fitted_expectation():
    """On = off * 0.5 + signal: tau is fitted given the truth, and the off-counts fluctuate about it."""
    off = np.array([40.0, 60.0])
    groups = np.array([0, 0, 1])
    template = Sample("off", np.array([[0.5, 0.5, 1.0]]), modifiers=[PerBin(off, 0.5, groups)])
    signal = one_bin().datasets[0].samples[0]
    likelihood = Likelihood((Dataset("two", (3,), (signal, template), np.array([115.0, 118.0, 120.0])),))
    truth = truth_of(likelihood, 0.0)
    toys = draw(likelihood, truth, TOYS, np.random.default_rng(1), "centres")
    assert truth.tau[0] != pytest.approx(off, rel=1e-3)
    assert np.all(np.abs(toys.off[0].mean(axis=0) - truth.tau[0]) < 4.5 * np.sqrt(truth.tau[0] / TOYS))
    expected = 100 + 0.5 * np.array([0.5, 0.5, 1.0]) * truth.tau[0][groups]
    assert np.all(np.abs(toys.counts[0].observed.mean(axis=0) - expected) < 4.5 * np.sqrt(expected / TOYS))


def test_priors_of_couplings():
    """A coupling minimised over is drawn from its prior; one under test is measured elsewhere, around the truth."""
    likelihood = Likelihood(one_bin().datasets, {"x": Prior(1.0, 0.5)})
    point, rng = np.array([2.0]), np.random.default_rng(1)
    tested = draw_nuisances(likelihood, Truth.of(likelihood, point), TOYS, rng, "drawn")
    assert np.array_equal(tested.couplings, np.full((TOYS, 1), 2.0))
    assert tested.coupling_centres.mean() == pytest.approx(2.0, abs=4.5 * 0.5 / np.sqrt(TOYS))
    hidden = draw_nuisances(likelihood, Truth.of(likelihood, point, ("x",)), TOYS, rng, "drawn")
    assert hidden.couplings.mean() == pytest.approx(1.0, abs=4.5 * 0.5 / np.sqrt(TOYS))
    assert np.all(hidden.coupling_centres == 1.0)
    fluctuated = draw_nuisances(likelihood, Truth.of(likelihood, point, ("x",)), TOYS, rng, "centres")
    assert np.all(fluctuated.couplings == 1.0)
    assert fluctuated.coupling_centres.std() == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("ensemble", ["drawn", "centres"])
def test_compressed_toys_have_the_moments_of_exact_ones(ensemble, csi):
    fixed = with_metric(csi)
    part, truth = normalisations(fixed), truth_of(fixed, 5e-9)
    exact = reduce_counts(part, draw(fixed, truth, TOYS, np.random.default_rng(1), ensemble))
    drawn = draw_compressed(part, truth, TOYS, np.random.default_rng(2), ensemble)
    assert np.allclose(exact.gram, drawn.gram, rtol=1e-12)
    rows = [np.column_stack([each.along, each.centre]) for each in (exact, drawn)]
    covariances = [np.cov(each.T) for each in rows]
    spread = np.sqrt(np.diag(covariances[0])) + 1e-300
    assert np.all(np.abs(rows[0].mean(axis=0) - rows[1].mean(axis=0)) <= 4.5 * spread * np.sqrt(2 / TOYS))
    assert np.all(np.abs(covariances[0] - covariances[1]) <= 4.5 * np.outer(spread, spread) * np.sqrt(4 / TOYS))
