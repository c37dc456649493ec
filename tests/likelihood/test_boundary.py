"""Where templates are bent so far that bins without counts expect nothing: the minimum along that boundary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import xlogy

from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.minimiser import minimise
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Sample, Scale
from cevnslab.likelihood.statistics import SOFTNESS, Counts

STEADY = np.full(8, 0.4)
BEAM = np.array([9.0, 7, 5, 4, 3, 2, 1, 1])
CHANGES = np.array([[3.0, -2, 1, -2, 1, -1, -1.5, 0.2], [-1.0, 2, -1.8, 1, 1, -1.5, 0.5, -1.4]])
"""Of the beam at one standard deviation, up; as much down."""
PARAMETERS = ("steady", "beam", "first", "second")
WIDTHS = np.array([0.05, 0.3, 1.0, 1.0])


def likelihood(observed):
    bends = [
        Bend(Parameter(name, 1.0), (BEAM + change)[None], (BEAM - change)[None])
        for name, change in zip(PARAMETERS[2:], CHANGES, strict=True)
    ]
    samples = (
        Sample("steady", STEADY[None], modifiers=[Scale(Parameter("steady", 0.05))]),
        Sample("beam", BEAM[None], modifiers=[Scale(Parameter("beam", 0.3)), *bends]),
    )
    return Likelihood((Dataset("data", (8,), samples, np.asarray(observed, dtype=float)),))


def expected(values):
    steady, beam, first, second = values
    return (1 + steady) * STEADY + (1 + beam) * (BEAM + first * CHANGES[0] + second * CHANGES[1])


def constrained(observed):
    """chi^2 where no expectation is negative, by sequential quadratic programming from many places."""

    def chi2(values):
        counts = np.maximum(expected(values), 1e-12)
        bracket = counts - observed + xlogy(observed, observed) - xlogy(observed, counts)
        return 2 * bracket.sum() + np.sum((values / WIDTHS) ** 2)

    rng = np.random.default_rng(3)
    ends = [
        minimize(
            chi2,
            WIDTHS * rng.normal(size=4),
            method="SLSQP",
            bounds=[(-1, None), (-1, None), (-5, 5), (-5, 5)],
            constraints={"type": "ineq", "fun": expected},
            options={"ftol": 1e-11, "maxiter": 300},
        )
        for _ in range(6)
    ]
    return min(end.fun for end in ends if np.all(expected(end.x) > -1e-9))


@pytest.mark.parametrize(
    ("observed", "empty"),
    [
        ([21, 1, 9, 0, 6, 0, 0, 2], [3, 5, 6]),
        ([2, 16, 0, 9, 4, 0, 2, 0], [2, 5, 7]),
        ([9, 9, 1, 6, 4, 2, 1, 1], []),
    ],
)
def test_the_minimum_lies_on_the_boundary(observed, empty):
    """A search that knew a bin's end only as infinite chi^2 stopped wherever it first met one."""
    one, rng = likelihood(observed), np.random.default_rng(5)
    reach = constrained(np.array(observed, dtype=float))
    starts = rng.normal(size=(40, 4))
    ends = minimise(one.model, np.zeros((40, 0)), starts, one.observation)
    possible = np.isfinite(ends.chi2)
    assert possible.sum() > 25
    assert ends.chi2[possible] == pytest.approx(reach, abs=1e-6)
    counts = expected(WIDTHS * ends.pulls[possible][0])
    assert set(np.flatnonzero(counts < SOFTNESS)) <= set(empty)
    assert bool(np.any(counts < SOFTNESS)) == bool(empty)
    assert counts.min() > -SOFTNESS


def test_derivatives_below_zero_are_differences():
    counts = Counts(np.array([[0.0, 3.0]]))
    for level in (-2e-3, -1e-5, 0.5):
        expectation = np.array([[level, 2.0]])
        step = 1e-8
        sides = [counts.deviance(expectation + sign * step * np.array([[1.0, 0.0]]))[0] for sign in (1, -1)]
        assert counts.pull(expectation)[0, 0] == pytest.approx((sides[0] - sides[1]) / step / 4, rel=1e-5)
    assert counts.deviance(np.array([[1.0, 0.0]]))[0] == np.inf
    assert counts.curvature(np.array([[-1e-5, 2.0]]))[0] == pytest.approx([SOFTNESS**-2, 0.75])
