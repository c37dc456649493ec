"""Templates that bend and move: what a pull of one does, derivatives against differences, the spline in the offset."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import CubicSpline
from support import near

from cevnslab.likelihood.expectation import Expectation
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Sample, Scale, Shift
from cevnslab.quadratic import Polynomial, Variable

OFFSETS = np.linspace(-0.3, 0.3, 13)
LINEAR = Polynomial((Variable("theta", 1.0, (-10.0, 10.0)),), ((), (0,)))
COLUMNS = {"x": 0, "y": 1, "offset": 2, "scale": 3}


def pulse(offsets):
    """Shares of three time bins of a logistic pulse that moves with the offset."""
    edges = np.array([-1.0, 0.1, 0.6, 3.0])
    cumulative = 1 / (1 + np.exp(-(edges - np.asarray(offsets)[:, None]) / 0.3))
    return np.diff(cumulative, axis=1)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def sample(rng):
    """Two monomials, four energy bins, two pulls, a distribution in three time bins that moves, a factor."""
    nominal = rng.uniform(5, 20, (2, 4))
    bends = [
        Bend(Parameter(name, 1.0), nominal * rng.uniform(0.8, 1.3, (2, 4)), nominal * rng.uniform(0.8, 1.2, (2, 4)))
        for name in "xy"
    ]
    shift = Shift(Parameter("offset", np.inf), 1, OFFSETS, pulse(OFFSETS))
    return Sample("cevns", nominal, LINEAR, [*bends, shift, Scale(Parameter("scale", 0.1))])


def expectation_of(sample):
    return Expectation.of([sample], [[0, 1]], COLUMNS, (4, 3))


def counted(sample, monomials, values):
    """Counts with what their derivatives need, at points of (x, y, offset, scale)."""
    expectation = expectation_of(sample)
    return expectation.at(expectation.contracted(np.asarray(monomials)), np.asarray(values, dtype=float))


def counts(sample, monomials, values):
    return counted(sample, [monomials], [values]).expected[0]


def direct(sample, monomials, values):
    """N(x) monomial by monomial, scipy's spline in time, and the factor."""
    x, y, offset, scale = values
    energy = np.zeros(sample.coefficients.shape[1])
    for row, value in enumerate(monomials):
        changed = sample.coefficients[row].copy()
        for bend, pull in zip(sample.bends, (x, y), strict=True):
            up, down = bend.up[row], bend.down[row]
            changed += pull * (up - down) / 2 + pull**2 * ((up + down) / 2 - sample.coefficients[row])
        energy += value * changed
    shares = CubicSpline(OFFSETS, pulse(OFFSETS), axis=0)(offset)
    return (1 + scale) * np.outer(energy, shares).ravel()


def test_a_pull_of_one_is_the_varied_template(sample):
    for monomials in ([1.0, 0.0], [0.0, 1.0], [1.0, -0.7]):
        for place, bend in enumerate(sample.bends):
            for pull, energy in ((1.0, bend.up), (-1.0, bend.down), (0.0, sample.coefficients)):
                expected = np.outer(monomials @ energy, sample.shift.fractions[6]).ravel()
                values = np.zeros(4)
                values[place] = pull
                assert counts(sample, monomials, values) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("offset", [-0.3, -0.21, 0.0, 0.013, 0.25, 0.3])
def test_counts_against_the_formula(sample, offset):
    for monomials, pulls in (([1.0, 0.4], (0.6, -1.7)), ([1.0, -2.0], (-3.0, 2.2))):
        values = (*pulls, offset, 0.13)
        expected = direct(sample, monomials, values)
        assert counts(sample, monomials, values) == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_points_are_independent(sample, rng):
    monomials = rng.normal(size=(5, 2))
    values = np.column_stack([rng.normal(size=(5, 2)), rng.uniform(-0.3, 0.3, 5), rng.normal(size=5)])
    together = counted(sample, monomials, values)
    assert together.expected.shape == (5, 12)
    assert together.slopes(None).shape == (5, 4, 12)
    for point in range(5):
        expected = direct(sample, monomials[point], values[point])
        assert together.expected[point] == pytest.approx(expected, rel=1e-11, abs=1e-11)


POINTS = np.array([[1.0, 0.3], [1.0, -1.1], [0.0, 1.0]])
VALUES = np.array([[0.4, 1.5, 0.031, 0.2], [-2.0, 0.2, -0.17, -0.4], [0.0, -1.0, 0.22, 0.0]])


def test_slopes_against_differences(sample):
    slopes, step = counted(sample, POINTS, VALUES).slopes(None), 1e-5
    for column in range(4):
        moved = step * np.eye(4)[column]
        up, down = (counted(sample, POINTS, VALUES + sign * moved).expected for sign in (1, -1))
        assert slopes[:, column] == pytest.approx((up - down) / (2 * step), rel=1e-7, abs=1e-7)


def test_second_derivatives_against_differences_of_slopes(sample, rng):
    """Summed over bins with weights, as the curvature of a likelihood has them."""
    weights, step = rng.normal(size=(3, 12)), 1e-5
    second = counted(sample, POINTS, VALUES).second(weights, None)
    for column in range(4):
        moved = step * np.eye(4)[column]
        up, down = (counted(sample, POINTS, VALUES + sign * moved).slopes(None) for sign in (1, -1))
        expected = np.einsum("pkb,pb->pk", (up - down) / (2 * step), weights)
        assert second[:, column] == pytest.approx(expected, rel=1e-6, abs=1e-5)


def test_slopes_of_the_monomials_against_differences(sample, rng):
    """The transpose, weights on bins pulled back to monomials, and a direction in them."""
    at, weights, step = counted(sample, POINTS, VALUES), rng.normal(size=(3, 12)), 1e-5
    back = at.monomial_slopes(weights, 2)
    for row in range(2):
        moved = step * np.eye(2)[row]
        up, down = (counted(sample, POINTS + sign * moved, VALUES).expected for sign in (1, -1))
        difference = (up - down) / (2 * step)
        assert back[:, row] == pytest.approx(np.sum(difference * weights, axis=1), rel=1e-7, abs=1e-7)
        assert at.moved(np.tile(np.eye(2)[row], (3, 1))) == pytest.approx(difference, rel=1e-7, abs=1e-7)


def test_spline_goes_through_the_grid_and_approximates_between(sample):
    shift = sample.shift
    assert shift.at(OFFSETS)[0] == near(shift.fractions, 1e-13)
    between = np.linspace(-0.28, 0.28, 40)
    value, slope, curvature = shift.at(between)
    assert value == pytest.approx(pulse(between), abs=3e-5)
    spline = CubicSpline(OFFSETS, shift.fractions)
    assert value == near(spline(between), 1e-12)
    assert slope == pytest.approx(spline(between, 1), rel=1e-10, abs=1e-12)
    assert curvature == pytest.approx(spline(between, 2), rel=1e-9, abs=1e-10)


def test_no_offset_no_motion(sample):
    """A single time distribution stays where it is, and the offset is no parameter of it."""
    still = Shift(None, 1, np.zeros(1), sample.shift.fractions[[6]])
    fixed = Sample("cevns", sample.coefficients, LINEAR, [*sample.bends, still])
    assert counts(fixed, [1.0, 0.5], (0.3, 0.3, 0.2, 0.0)) == near(
        counts(sample, [1.0, 0.5], (0.3, 0.3, 0.0, 0.0)), 1e-12
    )
    assert [parameter.name for parameter in fixed.parameters] == ["x", "y"]
    assert expectation_of(fixed).columns.tolist() == [0, 1]
    fractions, moved, bent = still.at(np.array([-0.1, 0.2]))
    assert np.array_equal(np.broadcast_to(fractions, (2, 3)), np.repeat(sample.shift.fractions[[6]], 2, axis=0))
    assert not moved.any()
    assert not bent.any()


def test_without_times_the_bins_are_the_nominal_ones(sample):
    flat = Sample("cevns", sample.coefficients, LINEAR, sample.bends)
    expectation = Expectation.of([flat], [[0, 1]], COLUMNS, (4,))
    at = expectation.at(expectation.contracted(np.array([[1.0, 2.0]])), np.array([[0.0, 1.0, 0.0, 0.0]]))
    up = sample.bends[1].up
    assert at.expected[0] == near(up[0] + 2 * up[1], 1e-12)


def test_samples_of_one_behaviour_are_added(rng):
    """Backgrounds that know nothing but the same factor are one array; their sum is what is expected."""
    rows = rng.uniform(1, 5, (3, 1, 4))
    scale = Scale(Parameter("scale", 0.1))
    samples = [Sample(f"b{number}", row, modifiers=[scale]) for number, row in enumerate(rows)]
    expectation = Expectation.of(samples, [[0]] * 3, COLUMNS, (4,))
    assert [len(block.parts) for block in expectation.blocks] == [1]
    at = expectation.at(expectation.contracted(np.ones((1, 1))), np.array([[0.0, 0.0, 0.0, 0.3]]))
    assert at.expected[0] == near(1.3 * rows.sum(axis=0)[0], 1e-13)
