"""Several backgrounds known from counts of their own: against closed forms, iminuit, differences, and known ones."""

from __future__ import annotations

import numpy as np
import pytest
from written_out import lowest

from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.fit import fit
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.minimiser import half_curvature
from cevnslab.likelihood.off_counts import best_tau
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.likelihood.statistics import Counts
from cevnslab.likelihood.toys import Truth, as_data, draw
from cevnslab.quadratic import Polynomial, Variable

SHAPE = 3, 2
"""Energy and time bins."""
EVERY_BIN, ENERGIES, TIMES = np.arange(6), np.repeat(np.arange(3), 2), np.tile(np.arange(2), 3)
STRENGTH = Polynomial((Variable("s", 1.0, (0.0, 20.0)),), ((), (0,)))
SIGNAL = np.array([np.zeros(6), [6.0, 2.0, 4.0, 1.0, 2.0, 0.5]])
OBSERVED = np.array([19.0, 12.0, 14.0, 9.0, 6.0, 7.0])


def off_beam(name, off, groups, ratio=0.5, width=0.0):
    """A background that is flat within its groups."""
    shape = 1 / np.bincount(groups)[groups][None, :]
    modifiers = [PerBin(np.asarray(off, dtype=float), ratio, groups), Scale(Parameter(f"d.{name}", width))]
    return Sample(name, shape, modifiers=modifiers)


def likelihood(*backgrounds, observed=OBSERVED, signal=0.1):
    samples = Sample("cevns", SIGNAL, STRENGTH, [Scale(Parameter("d.signal", signal))]), *backgrounds
    return Likelihood((Dataset("d", SHAPE, samples, np.asarray(observed, dtype=float)),))


PAIRS = {
    "all bins, twice": [
        off_beam("beam", [12, 8, 9, 6, 4, 5], EVERY_BIN),
        off_beam("veto", [3, 0, 5, 2, 1, 0], EVERY_BIN, 1.3, 0.2),
    ],
    "all bins and energies": [
        off_beam("beam", [12, 8, 9, 6, 4, 5], EVERY_BIN),
        off_beam("veto", [7, 4, 0], ENERGIES, 0.8),
    ],
    "energies and times": [off_beam("beam", [30, 22, 9], ENERGIES), off_beam("veto", [9, 12], TIMES, 0.7, 0.1)],
    "three": [
        off_beam("beam", [12, 8, 9, 6, 4, 5], EVERY_BIN, 0.2),
        off_beam("veto", [7, 4, 1], ENERGIES, 0.8),
        off_beam("room", [9, 12], TIMES, 0.4, 0.1),
    ],
}
every_pair = pytest.mark.parametrize("backgrounds", PAIRS.values(), ids=PAIRS)


@every_pair
@pytest.mark.parametrize("strength", [0.0, 1.0, 3.0])
def test_against_minuit(backgrounds, strength):
    joint = likelihood(*backgrounds)
    minimum = joint.minimised(np.array([[strength]]))
    minuit = lowest(joint, {"s": strength}, random=1, tol=1e-5)
    assert minimum.chi2[0] <= minuit.chi2 + 1e-7
    assert minimum.chi2[0] == pytest.approx(minuit.chi2, abs=1e-3)


@every_pair
def test_the_curvature_is_that_of_the_profile(backgrounds):
    """By what is left when all expectations of off-counts are eliminated: against differences of chi^2."""
    joint = likelihood(*backgrounds)
    best, step = fit(joint, ["s"]), 0.05
    exact = half_curvature(joint.model, best.point[None, :], best.pulls[None, :], joint.observation, [0])[0]
    free = [*np.flatnonzero([not p.fixed for p in joint.parameters]), len(joint.parameters)]
    error = np.linalg.inv(exact[np.ix_(free, free)])[-1, -1]
    around = joint.minimised(best.point + step * np.array([[-1.0], [0.0], [1.0]])).chi2
    assert 2 / error == pytest.approx((around[0] - 2 * around[1] + around[2]) / step**2, rel=2e-3)


def test_two_runs_of_one_ratio_are_one_run():
    """tau_k = M_k/(1 + r p) with one factor for all: their counts add."""
    one, other = np.array([12, 8, 9, 6, 4, 5]), np.array([3, 0, 5, 2, 1, 0])
    both = likelihood(off_beam("beam", one, EVERY_BIN), off_beam("veto", other, EVERY_BIN))
    together = likelihood(off_beam("beam", one + other, EVERY_BIN))
    points = np.linspace(0, 4, 11)[:, None]
    assert both.minimised(points).chi2 == pytest.approx(together.minimised(points).chi2, rel=1e-10)


def test_many_counts_of_one_are_a_known_background():
    rate, many = np.array([5.0, 4.0, 4.0, 3.0, 2.0, 2.0]), 1e9
    beam = off_beam("beam", [12, 8, 9, 6, 4, 5], EVERY_BIN)
    both = likelihood(beam, off_beam("veto", rate * many, EVERY_BIN, 1 / many))
    known = likelihood(beam, Sample("veto", rate[None, :]))
    points = np.linspace(0, 4, 11)[:, None]
    assert both.minimised(points).chi2 == pytest.approx(known.minimised(points).chi2, abs=1e-6)


@pytest.mark.parametrize("ratios", [(0.5, 0.5), (0.5, 0.49), (2.0, 0.1)])
def test_no_off_counts_at_all(ratios):
    """The run of the larger ratio explains what is there: it expects fewest off-counts for it."""
    names = zip(("beam", "veto"), ratios, strict=True)
    both = likelihood(*(off_beam(name, np.zeros(6), EVERY_BIN, ratio) for name, ratio in names))
    alone = likelihood(off_beam("beam", np.zeros(6), EVERY_BIN, max(ratios)))
    points = np.linspace(0, 4, 11)[:, None]
    assert both.minimised(points).chi2 == pytest.approx(alone.minimised(points).chi2, rel=1e-9)
    components = both.expected(np.array([1.0]), np.zeros(3))["d"]
    expected = alone.expected(np.array([1.0]), np.zeros(2))["d"]["beam"]
    assert components["beam"] + components["veto"] == pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_pair
def test_components_add_up_and_toys_are_drawn_around_them(backgrounds):
    joint = likelihood(*backgrounds)
    truth = Truth.of(joint, np.array([1.0]))
    assert len(truth.tau[0]) == sum(len(background.per_bin.off) for background in backgrounds)
    toys = draw(joint, truth, 4000, np.random.default_rng(1), "centres")
    assert toys.off[0].mean(axis=0) == pytest.approx(truth.tau[0], abs=4.5 * np.sqrt(truth.tau[0].max() / 4000))
    pulls = joint.minimised(np.array([[1.0]])).pulls[0]
    components = joint.expected(np.array([1.0]), pulls)["d"]
    assert set(components) == {"cevns", *(background.name for background in backgrounds)}
    deviance = np.sum((OBSERVED - sum(components.values())) ** 2 / OBSERVED)
    assert deviance < 6


@every_pair
def test_toys_have_the_delta_chi2_of_a_fit_each(backgrounds):
    joint = likelihood(*backgrounds)
    fits = ToyFit.of(joint, ["s"], [1.0])
    toys = draw(fits.likelihood, fits.truth, 12, np.random.default_rng(2), "drawn")
    for row, delta in enumerate(fits.delta_chi2(toys)):
        one = toys.rows(np.array([row]))
        lowest = joint.minimised(np.ones((1, 1)), ["s"], observation=one).chi2[0]
        at_truth = joint.minimised(np.ones((1, 1)), observation=one).chi2[0]
        assert delta == pytest.approx(at_truth - lowest, abs=2e-3)


def test_a_straight_line_leads_to_its_end():
    """Two counts beside none off: what the signal explains the background need not, and chi^2 falls evenly until then.

    n ln(n/mu) is least at s = n; before, tau keeps mu at n r/(1 + r), so that the slope in s is 2 (1 - (1 + r)/r).
    """
    signal = Sample("cevns", np.array([[0.0], [0.03]]), Polynomial((Variable("s", 1.0, (0.0, 1e6)),), ((), (0,))))
    joint = Likelihood((Dataset("d", (1,), (signal, off_beam("beam", [0], np.zeros(1, int), 1.0)), np.array([2.0])),))
    line = joint.minimised(np.array([[1.0], [2.0], [30.0]])).chi2
    assert np.diff(line) == pytest.approx([-2 * 0.03, -2 * 0.03 * 28], rel=1e-9)
    best = joint.minimised(np.array([[1.0]]), ["s"])
    assert best.couplings[0, 0] == pytest.approx(2 / 0.03, rel=1e-5)
    assert best.chi2[0] == pytest.approx(0, abs=1e-8)


@every_pair
def test_a_toy_in_the_place_of_the_data_has_its_own_off_counts(backgrounds):
    joint = likelihood(*backgrounds)
    toys = draw(joint, Truth.of(joint, np.array([1.0])), 3, np.random.default_rng(3), "drawn")
    points = np.array([[0.0], [2.0]])
    for toy in range(3):
        expected = joint.minimised(points, observation=toys.rows(np.array([toy]))).chi2
        assert as_data(joint, toys, toy).minimised(points).chi2 == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-6, 0.3, 0.999, 1.0, 1.001, 5.0, 1e6])
def test_where_the_search_of_an_expectation_starts_changes_nothing(factor):
    """Steps go on from the expectations of the step before, however far those are."""
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(3), 4)
    counts = Counts(rng.poisson(40.0, (1, 12)).astype(float))
    others, unit = rng.uniform(0.0, 20.0, (5, 12)), rng.uniform(0.1, 1.0, (5, 12))
    off = np.array([[30.0, 0.0, 200.0]])
    fresh = best_tau(counts, others, unit, off, groups)
    assert best_tau(counts, others, unit, off, groups, factor * fresh) == pytest.approx(fresh, rel=1e-12, abs=1e-12)
