"""p-values of fits by toys: chi^2's distribution where it is known, blocks, and what random numbers belong to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2 as chi2_distribution

from cevnslab.inference.goodness import FITS_PER_BLOCK, GoodnessTask, goodness_of_fit
from cevnslab.likelihood.fit import fit
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.parallel.backends import backend

BINS = 12
SIGNAL = np.linspace(30.0, 5.0, BINS)
BACKGROUND = np.full(BINS, 4.0)


def counted(statistic="poisson", scale=100.0, width=0.05, template=False, seed=3):
    """A free signal over a background known to a width, or from off-counts: data around 1.2 of the signal."""
    samples = [Sample("signal", scale * SIGNAL[None, :], modifiers=[Scale(Parameter("s", math.inf))])]
    modifiers = [Scale(Parameter("b", width))]
    background = scale * BACKGROUND[None, :]
    if template:
        background = background / background.sum()
        modifiers.append(PerBin(np.array([2.0 * scale * BACKGROUND.sum()]), 0.5, np.zeros(BINS, dtype=np.int64)))
    samples.append(Sample("background", background, modifiers=modifiers))
    expected = scale * (1.2 * SIGNAL + BACKGROUND)
    rng = np.random.default_rng(seed)
    if statistic == "gaussian":
        errors = np.sqrt(expected)
        data = expected + errors * rng.standard_normal(BINS)
        return Likelihood((Dataset("d", (BINS,), tuple(samples), data, statistic, (errors, errors)),))
    return Likelihood((Dataset("d", (BINS,), tuple(samples), rng.poisson(expected).astype(float), statistic),))


@pytest.mark.parametrize(
    "options",
    [
        {"statistic": "gaussian"},
        {"statistic": "gaussian", "width": 0.3, "seed": 8},
        {"statistic": "poisson"},
        {"statistic": "poisson", "width": 0.3, "seed": 5},
        {"statistic": "poisson", "template": True},
    ],
    ids=str,
)
def test_many_counts_follow_chi2(options):
    """As many degrees of freedom as bins less one for the free signal: what is constrained brings a term for its own.

    For off-counts one as well: their deviance is a term, their expectation a parameter.
    """
    likelihood = counted(**options)
    best = fit(likelihood).chi2
    goodness = goodness_of_fit(likelihood, best, toys=3000)
    expected = chi2_distribution.sf(best, BINS - 1)
    assert abs(goodness.p_value - expected) < 4 * goodness.error
    assert goodness.error == pytest.approx(math.sqrt(expected * (1 - expected) / 3000), rel=0.1)


def test_residuals_below_zero_are_drawn_as_normals():
    """Of a spectrum from which a background was taken counts are no Poisson numbers."""
    errors, shape = np.full(BINS, 3.0), np.linspace(-20.0, 20.0, BINS)
    samples = (Sample("signal", shape[None, :], modifiers=[Scale(Parameter("s", math.inf))]),)
    data = shape + np.random.default_rng(2).normal(0.0, 3.0, BINS)
    likelihood = Likelihood((Dataset("d", (BINS,), samples, data, "gaussian", (errors, errors)),))
    best = fit(likelihood).chi2
    goodness = goodness_of_fit(likelihood, best, toys=3000)
    assert abs(goodness.p_value - chi2_distribution.sf(best, BINS - 1)) < 4 * goodness.error


def test_blocks_are_the_same_wherever_they_run(tmp_path):
    likelihood = counted(scale=1.0)
    best = fit(likelihood).chi2
    here = goodness_of_fit(likelihood, best, toys=600, store=tmp_path / "here")
    with backend(workers=2) as mapper:
        there = goodness_of_fit(likelihood, best, toys=600, store=tmp_path / "there", mapper=mapper)
    assert here == there
    files = [sorted(path for path in (tmp_path / name).rglob("*") if path.is_file()) for name in ("here", "there")]
    assert len(files[0]) == math.ceil(600 / FITS_PER_BLOCK)
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]


def test_random_numbers_belong_to_seed_words_and_block():
    likelihood = counted(scale=1.0)
    blocks = [
        task.run(block)["chi2"]
        for task, block in (
            (GoodnessTask(likelihood, 500, 1, ("a",)), 0),
            (GoodnessTask(likelihood, 1000, 1, ("a",)), 0),
            (GoodnessTask(likelihood, 500, 1, ("a",)), 1),
            (GoodnessTask(likelihood, 500, 2, ("a",)), 0),
            (GoodnessTask(likelihood, 500, 1, ("b",)), 0),
        )
    ]
    assert np.array_equal(blocks[0], blocks[1])
    assert not any(np.any(blocks[0] == other) for other in blocks[2:])
