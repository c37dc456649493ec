"""Outer ends of toys all at once: against each toy's own interval, searched from scratch, and against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from support import preset_response

import cevnslab as cl
from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.expected_limits import expected_limits, task_of
from cevnslab.inference.intervals import intervals
from cevnslab.inference.levels import BAND_CONTENTS, FEWEST_BAND_TOYS, delta_chi2_level
from cevnslab.inference.outer_ends import OuterEndsFit
from cevnslab.inference.toy_tasks import fewest_toys
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, PerBin, Sample, Scale
from cevnslab.likelihood.toys import as_data, draw
from cevnslab.quadratic import Polynomial, Variable

LEVELS = (0.6827, 0.90)
CLOSE = 2e-3
"""Of an interval's width: chi^2 is known to some thousandths at an end."""


def projection(statistic, *couplings):
    response = preset_response("ess-ge", list(couplings))
    return cl.likelihood(response, signal=0.10, background=0.01, statistic=statistic)


def few_counts():
    """Two bins, an off-beam run with few counts, a strength that cannot be negative."""
    strength = Polynomial((Variable("s", 1.0, (0.0, 50.0)),), ((), (0,)))
    off = PerBin(np.array([3.0, 1.0]), 0.5, np.arange(2))
    samples = (
        Sample("cevns", np.array([[0.0, 0.0], [2.0, 1.0]]), strength, [Scale(Parameter("d.signal", 0.1))]),
        Sample("off", np.ones((1, 2)), modifiers=[off]),
    )
    return Likelihood((Dataset("d", (2,), samples, np.array([4.0, 1.0])),))


def bent():
    """A shape that bends so far that a toy's chi^2 can have two minima over its nuisance."""
    square = Polynomial((Variable("q", 1e-9, (-1e-7, 1e-7)),), ((), (0,), (0, 0)))
    rows = np.array([[30.0, 20.0, 10.0], [-6.0, -3.0, -1.0], [2.0, 1.0, 0.4]])
    bend = Bend(Parameter("x", 1.0), rows * [1.2, 0.9, 0.8], rows * [0.9, 1.1, 1.25])
    samples = (
        Sample("cevns", rows, square, [Scale(Parameter("d.signal", 0.1)), bend]),
        Sample("flat", np.full((1, 3), 15.0), modifiers=[Scale(Parameter("d.flat", 0.1))]),
    )
    return Likelihood((Dataset("d", (3,), samples, np.array([48.0, 31.0, 27.0])),))


CASES = {
    "poisson, two minima": (lambda: projection("poisson", "q_ee"), "q_ee", (), "global"),
    "poisson, even": (lambda: projection("poisson", "q_emu"), "q_emu", (), "global"),
    "least squares": (lambda: projection("least-squares", "q_ee"), "q_ee", (), "global"),
    "the connected piece": (lambda: projection("least-squares", "q_ee"), "q_ee", (), "connected"),
    "another minimised over": (lambda: projection("poisson", "q_ee", "q_mumu"), "q_ee", ("q_mumu",), "global"),
    "expanded": (lambda: projection("poisson", "neutron_radius"), "neutron_radius", (), "global"),
    "off-beam counts": (few_counts, "s", (), "global"),
    "bent": (bent, "q", (), "global"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_toy_has_the_ends_of_its_own_interval(case):
    build, name, hidden, minimum = CASES[case]
    likelihood = build()
    (variable,) = (v for v in likelihood.polynomial.variables if v.name == name)
    rises = np.array([delta_chi2_level(level, 1) for level in LEVELS])
    fit = OuterEndsFit.of(likelihood, name, variable.standard_model, rises, hidden, minimum)
    count = 2 if hidden else 8
    toys = draw(fit.likelihood, fit.truth, count, np.random.default_rng(5), "drawn")
    ends = fit.ends(toys)
    width = np.median(ends.high - ends.low, axis=0)
    for toy in range(count):
        function = Chi2.of(as_data(fit.likelihood, toys, toy), (name,), hidden)
        for number, one in enumerate(intervals(function, LEVELS, minimum)):
            assert ends.low[toy, number] == pytest.approx(one.outermost.low, abs=CLOSE * width[number])
            assert ends.high[toy, number] == pytest.approx(one.outermost.high, abs=CLOSE * width[number])
            assert ends.disjoint[toy, number] == (len(one.pieces) > 1)


def counting():
    """One bin of many counts: n - b = 1000 s with the error sqrt(n)."""
    strength = Polynomial((Variable("s", 1.0, (0.0, 50.0)),), ((), (0,)))
    samples = Sample("cevns", np.array([[0.0], [1000.0]]), strength), Sample("known", np.array([[9000.0]]))
    return Likelihood((Dataset("d", (1,), samples, np.array([10_000.0])),))


def test_bands_of_a_counting_experiment():
    """The upper end is s^ + 1.645 sigma of a normal s^: its median and its bands are known."""
    task = task_of(counting(), "s", [0.90], toys=40_000, seed=2, truth=1.0)
    ((limit,),) = expected_limits([task])
    error, shift = 0.1, np.sqrt(delta_chi2_level(0.90, 1))
    spread = 5 * error / np.sqrt(40_000)
    assert limit.upper.median == pytest.approx(1 + shift * error, abs=2 * spread + 2e-3)
    assert limit.lower.median == pytest.approx(1 - shift * error, abs=2 * spread + 2e-3)
    for end in (limit.lower, limit.upper):
        assert end.high_68 - end.low_68 == pytest.approx(2 * 0.9945 * error, abs=4 * spread)
        assert end.high_95 - end.low_95 == pytest.approx(2 * 1.96 * error, abs=10 * spread)
    assert (limit.disjoint_share, limit.toys, limit.seed) == (0.0, 40_000, 2)


def test_blocks_depend_on_words_and_seed_alone():
    tasks = [
        task_of(counting(), "s", [0.90], toys=400, seed=seed, stream=stream, truth=1.0)
        for seed, stream in ((1, ("a",)), (1, ("a",)), (2, ("a",)), (1, ("b",)))
    ]
    medians = [limits[0].upper.median for limits in expected_limits(tasks)]
    assert medians[0] == medians[1]
    assert len(set(medians)) == 3


def test_too_few_toys():
    assert fewest_toys(0.5 + BAND_CONTENTS[1] / 2) == FEWEST_BAND_TOYS
    with pytest.raises(StatisticsError, match="at least 400, got 399"):
        task_of(counting(), "s", [0.90], toys=399, seed=1)
