"""Argon with all shapes: nuisances are minimised over to the end, at every coupling and in every toy."""

from __future__ import annotations

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.minimiser import contracted_at, evaluate, minimise
from cevnslab.likelihood.toys import draw

RNG_SEED, TOYS = 5, [26, 27, 30, 51, 65]
"""In these a bin without counts is expected to be empty, or a second minimum is the lower one."""


@pytest.fixture(scope="module")
def lar(coherent_data):
    return cl.load_dataset("coherent-lar-2020", couplings=["q_ee", "q_mumu"], nuisances="shape", data=coherent_data)


def random_starts(likelihood, count):
    rng = np.random.default_rng(8)
    widths = np.array([1.5 if parameter.width == 1 else 1.0 for parameter in likelihood.parameters])
    return rng.normal(size=(count, len(widths))) * widths


def test_far_from_the_standard_model(lar):
    """There the signal is millions of times what is observed; searches that bent shapes on the way down got lost."""
    points = np.array([[4.5e-5, 2e-7], [-5e-5, 0.0], [3e-7, -3.2e-5], [2e-6, 1.5e-5], [1e-4, -1e-4]])
    together = Chi2.of(lar, ["q_ee", "q_mumu"]).sample(points).chi2
    for point, chi2 in zip(points, together, strict=True):
        many = np.tile(point, (10, 1))
        starts = random_starts(lar, 10)
        # The factor with which all charges together give some hundred counts.
        size = lar.expected(point, np.zeros(len(lar.parameters)))["coherent-lar-2020"]["cevns"].sum()
        starts[:, 0] = (100 / size - 1) / lar.parameters[0].width
        others = minimise(lar.model, many, starts, lar.observation)
        assert chi2 == pytest.approx(others.chi2.min(), abs=1e-4)


def test_toys_at_the_truth(lar):
    alone = lar.restricted(["q_ee"])
    fit = ToyFit.of(alone, ["q_ee"], [0.0])
    every = draw(fit.likelihood, fit.truth, 100, np.random.default_rng(RNG_SEED), "drawn")
    toys, engine = every.rows(np.array(TOYS)), fit.engine
    rows, there = engine._at_truth(toys, *engine._minima(toys))
    truth = engine.there.couplings[:1]
    for toy in range(len(TOYS)):
        data = toys.rows(np.array([toy]))
        reached = there.chi2[rows == toy].min()
        others = minimise(alone.model, np.tile(truth, (10, 1)), random_starts(alone, 10), data)
        assert reached <= others.chi2.min() + 1e-4
        # It is a minimum: to either side of it along every parameter chi^2 is higher.
        place = np.flatnonzero(rows == toy)[np.argmin(there.chi2[rows == toy])]
        size = 1e-3 * np.eye(len(alone.parameters))
        beside = there.pulls[place] + np.vstack([size, -size])
        points = np.tile(truth, (len(beside), 1))
        around = evaluate(alone.model, contracted_at(alone.model, points), points, beside, data).chi2
        assert np.all(around > reached - 1e-6)
