"""Toys in blocks: random numbers by declared words, the same toys as delta chi^2 and as intervals, priors."""

from __future__ import annotations

import pickle
from dataclasses import fields, replace

import numpy as np
import pytest
from support import preset_response

from cevnslab.datasets.likelihoods import projection
from cevnslab.errors import StatisticsError
from cevnslab.inference import toy_tasks
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.inference.toy_tasks import IntervalTask, ToyTask
from cevnslab.likelihood.likelihood import Dataset, Likelihood, Prior
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.likelihood.toys import as_data, draw
from cevnslab.parallel.backends import backend
from cevnslab.quadratic import Polynomial, Variable

LEVEL = delta_chi2_level(0.90, 1)


def with_off_counts(priors=None):
    """A hundred counts in each of three bins, ten more per unit of a coupling, on a template with off-counts."""
    coupling = Polynomial((Variable("x", 1.0, (-3.0, 10.0)),), ((), (0,)))
    signal = Sample("signal", np.array([[100.0] * 3, [10.0, 20.0, 30.0]]), coupling, [Scale(Parameter("flux", 0.05))])
    template = Sample(
        "off", np.array([[0.5, 0.5, 1.0]]), modifiers=[PerBin(np.array([40.0, 60.0]), 0.5, np.array([0, 0, 1]))]
    )
    observed = np.array([112.0, 109.0, 131.0])
    return Likelihood((Dataset("one", (3,), (signal, template), observed),), priors or {})


LIKELIHOODS = {
    "off-counts": with_off_counts(),
    "prior": with_off_counts({"x": Prior(0.4, 0.5)}),
    "poisson": projection(preset_response("ess-csi"), 0.1, 0.01, "poisson"),
    "least squares": projection(preset_response("ess-csi"), 0.1, 0.01),
}


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request):
    return LIKELIHOODS[request.param]


def name_and_truth(likelihood):
    return ("q_ee", 4e-9) if "q_ee" in likelihood.couplings else ("x", 0.7)


@pytest.mark.parametrize(("ensemble", "minimum"), [("drawn", "global"), ("centres", "global"), ("drawn", "connected")])
def test_delta_chi2_says_whether_the_interval_of_the_toy_holds_the_truth(ensemble, minimum, likelihood):
    """Two routes: the batched fits of toys, and the search of intervals with each toy in the place of the data."""
    name, truth = name_and_truth(likelihood)
    fit = ToyFit.of(likelihood, [name], [truth], minimum=minimum)
    toys = draw(fit.likelihood, fit.truth, 8, np.random.default_rng(3), ensemble)
    for toy, value in enumerate(fit.delta_chi2(toys)):
        chi2 = Chi2.of(as_data(fit.likelihood, toys, toy), [name])
        limit = interval(chi2, 0.90, minimum)
        if minimum == "global":
            assert value == pytest.approx(float(chi2(truth) - chi2(limit.best_fit)), abs=2e-3)
        if abs(value - LEVEL) > 0.01:
            assert (limit.piece_with(truth) is not None) == (value < LEVEL)


def test_a_prior_of_a_coupling_under_test_is_a_measurement_that_fluctuates():
    """Gaussian all through: the interval covers, which it could not with a centre that stays where it is."""
    likelihood = with_off_counts({"x": Prior(0.4, 0.5)})
    for truth in (-1.0, 2.0):
        (sample,) = toy_tasks.delta_chi2([ToyTask(likelihood, ("x",), (truth,), 4000, 1)])
        covered = np.mean(sample <= LEVEL)
        assert covered == pytest.approx(0.90, abs=4 * np.sqrt(0.09 / 4000))


@pytest.mark.parametrize("kind", [ToyTask, IntervalTask])
def test_random_numbers_belong_to_words(kind, likelihood, monkeypatch):
    """Blocks go together in any company; a word, a seed or a coupling more is another stream."""
    monkeypatch.setattr(toy_tasks, "TOYS_PER_BLOCK", 8)
    monkeypatch.setattr(toy_tasks, "INTERVALS_PER_BLOCK", 1)
    name, truth = name_and_truth(likelihood)
    task = kind(likelihood, (name,), (truth,), 2 if kind is IntervalTask else 20, 5, ("keys", "truth 0"))
    numbers = "delta_chi2" if kind is ToyTask else "best_fit"
    first = toy_tasks.run_tasks([task])[0]
    assert [len(block[numbers]) for block in first] == ([1, 1] if kind is IntervalTask else [8, 8, 4])
    other = replace(task, stream=("keys", "truth 1"))
    blocks = toy_tasks.run_tasks([other, replace(task, seed=6), pickle.loads(pickle.dumps(task))])
    for again, block in zip(blocks[2], first, strict=True):
        assert all(np.array_equal(again[key], block[key]) for key in block)
    for different in blocks[:2]:
        assert not np.array_equal(different[0][numbers], first[0][numbers])
    assert (
        len({each.digest() for each in (task, other, replace(task, toys=7), replace(task, minimum="connected"))}) == 4
    )


def test_two_workers_give_the_same_bytes():
    likelihood = LIKELIHOODS["off-counts"]
    tasks = [ToyTask(likelihood, ("x",), (0.3,), 5200, 1), ToyTask(LIKELIHOODS["prior"], ("x",), (0.3,), 100, 1)]
    expected = toy_tasks.delta_chi2(tasks)
    assert [len(sample) for sample in expected] == [5200, 100]
    with backend(workers=2) as mapper:
        again = toy_tasks.delta_chi2(tasks, mapper=mapper)
    assert all(np.array_equal(*pair) for pair in zip(expected, again, strict=True))


def test_a_digest_for_every_difference():
    likelihood = LIKELIHOODS["poisson"]
    task = ToyTask(likelihood, ("q_ee",), (2e-9,), 1000, 5, ("keys",))
    other = {
        "names": ("q_mumu",),
        "truth": (3e-9,),
        "toys": 1001,
        "seed": 6,
        "stream": ("others",),
        "hidden": ("q_mumu",),
        "minimum": "connected",
        "ensemble": "centres",
        "compressed": True,
    }
    assert {field.name for field in fields(task)} == {*other, "likelihood"}
    likelihoods = [
        with_data(likelihood, observed=likelihood.datasets[0].observed + 1),
        with_data(likelihood, name="other"),
        with_data(likelihood, statistic="least-squares"),
        with_data(likelihood, statistic="least-squares", variance=likelihood.datasets[0].observed),
        likelihood.with_widths({"ess-csi.signal": 0.2}),
        Likelihood(likelihood.datasets, {"q_ee": Prior(0.0, 1e-9)}),
    ]
    tasks = [replace(task, likelihood=likelihood, **{key: value}) for key, value in other.items()]
    tasks += [replace(task, likelihood=changed) for changed in likelihoods]
    assert len({task.digest(), *(each.digest() for each in tasks)}) == 1 + len(tasks)
    assert replace(task).digest() == task.digest()


def with_data(likelihood, **changes):
    return Likelihood((replace(likelihood.datasets[0], **changes),))


def test_intervals_of_toys():
    """Levels are nested, and ends lie about the truth; a transition charge has both signs."""
    likelihood = LIKELIHOODS["least squares"]
    task = IntervalTask(likelihood, ("q_emu",), (0.0,), 60, 1, confidence_levels=(0.6827, 0.95))
    (rows,) = toy_tasks.toy_intervals([task])
    assert rows["low"].shape == rows["high_kind"].shape == (60, 2)
    assert np.all(rows["low"][:, 1] < rows["low"][:, 0])
    assert np.array_equal(rows["low"], -rows["high"])
    assert set(rows["low_kind"].ravel()) == {"limit"}
    expected = interval(Chi2.of(likelihood, ["q_emu"]), 0.95).segments[0][1]
    assert 0.7 < np.median(rows["high"][:, 1]) / expected < 1.3


def test_quantiles_need_toys_beyond_them():
    sample = np.random.default_rng(1).chisquare(1, 100)
    middle, error = toy_tasks.quantile(sample, 0.90)
    assert middle == np.quantile(sample, 0.90)
    assert error == pytest.approx((np.quantile(sample, 0.93) - np.quantile(sample, 0.87)) / 2)
    with pytest.raises(StatisticsError, match=r"100 toys do not resolve 90\.5 %, which needs 106"):
        toy_tasks.quantile(sample, 0.905)
