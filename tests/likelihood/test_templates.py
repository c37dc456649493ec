"""Templates: what a pull of one does, derivatives against differences, the spline in the time offset."""

from __future__ import annotations

import numpy as np
import pytest
from cevnslab.inference.templates import OFFSET, Template, TimeTemplate
from scipy.interpolate import CubicSpline
from support import near

OFFSETS = np.linspace(-0.3, 0.3, 13)


def pulse(offsets):
    """Shares of three time bins of a logistic pulse that moves with the offset."""
    edges = np.array([-1.0, 0.1, 0.6, 3.0])
    cumulative = 1 / (1 + np.exp(-(edges - offsets[:, None]) / 0.3))
    return np.diff(cumulative, axis=1)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


@pytest.fixture
def template(rng):
    """Two monomials, four energy bins, two pulls, a movable time distribution."""
    nominal = rng.uniform(5, 20, (2, 4))
    varied = {name: (nominal * rng.uniform(0.8, 1.3, (2, 4)), nominal * rng.uniform(0.8, 1.2, (2, 4))) for name in "xy"}
    return Template(nominal, varied, TimeTemplate(OFFSETS, pulse(OFFSETS)))


def counts(template, monomials, pulls=None, offset=0.0):
    """Counts at one point."""
    at = {name: np.array([0.0]) for name in template.varied}
    at |= {name: np.array([value]) for name, value in (pulls or {}).items()}
    return template.evaluate(template.contracted(np.array([monomials])), at, np.array([offset]))[0][0]


def direct(template, monomials, pulls, offset):
    """N(x) of the module's formula, monomial by monomial, and scipy's spline in time."""
    energy = np.zeros(template.nominal.shape[1])
    for row, value in enumerate(monomials):
        changed = template.nominal[row].copy()
        for name, x in pulls.items():
            up, down = (each[row] for each in template.varied[name])
            changed += x * (up - down) / 2 + x**2 * ((up + down) / 2 - template.nominal[row])
        energy += value * changed
    return np.outer(energy, CubicSpline(OFFSETS, pulse(OFFSETS), axis=0)(offset)).ravel()


def test_a_pull_of_one_is_the_varied_template(template):
    for monomials in ([1.0, 0.0], [0.0, 1.0], [1.0, -0.7]):
        for name, (up, down) in template.varied.items():
            for pull, energy in ((1.0, up), (-1.0, down), (0.0, template.nominal)):
                expected = np.outer(monomials @ energy, template.times.fractions[6]).ravel()
                assert counts(template, monomials, {name: pull}) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("offset", [-0.3, -0.21, 0.0, 0.013, 0.25, 0.3])
def test_counts_against_the_formula(template, offset):
    for monomials, pulls in (([1.0, 0.4], {"x": 0.6, "y": -1.7}), ([1.0, -2.0], {"x": -3.0, "y": 2.2})):
        found = counts(template, monomials, pulls, offset)
        assert found == pytest.approx(direct(template, monomials, pulls, offset), rel=1e-11, abs=1e-11)


def test_points_are_independent(template, rng):
    monomials, offsets = rng.normal(size=(5, 2)), rng.uniform(-0.3, 0.3, 5)
    pulls = {name: rng.normal(size=5) for name in "xy"}
    together, slopes = template.evaluate(template.contracted(monomials), pulls, offsets)
    for point in range(5):
        own = {name: value[point] for name, value in pulls.items()}
        expected = direct(template, monomials[point], own, offsets[point])
        assert together[point] == pytest.approx(expected, rel=1e-11, abs=1e-11)
    assert together.shape == (5, 12)
    assert {name: slope.shape for name, slope in slopes.items()} == dict.fromkeys(["x", "y", OFFSET], (5, 12))


def test_derivatives_against_differences(template, rng):
    monomials = np.array([[1.0, 0.3], [1.0, -1.1], [0.0, 1.0]])
    contracted = template.contracted(monomials)
    at = {"x": np.array([0.4, -2.0, 0.0]), "y": np.array([1.5, 0.2, -1.0]), OFFSET: np.array([0.031, -0.17, 0.22])}
    _, slopes = template.evaluate(contracted, at, at[OFFSET])
    assert set(slopes) == {"x", "y", OFFSET}
    step = 1e-5
    for name, slope in slopes.items():
        up, down = ({**at, name: at[name] + sign * step} for sign in (1, -1))
        difference = [template.evaluate(contracted, each, each[OFFSET])[0] for each in (up, down)]
        assert slope == pytest.approx((difference[0] - difference[1]) / (2 * step), rel=1e-7, abs=1e-7)


def test_spline_goes_through_the_grid_and_approximates_between():
    times = TimeTemplate(OFFSETS, pulse(OFFSETS))
    assert times.at(OFFSETS)[0] == near(times.fractions, 1e-13)
    between = np.linspace(-0.28, 0.28, 40)
    assert times.at(between)[0] == pytest.approx(pulse(between), abs=3e-5)
    value, slope = times.at(between)
    assert value == near(CubicSpline(OFFSETS, times.fractions)(between), 1e-12)
    assert slope == pytest.approx(CubicSpline(OFFSETS, times.fractions)(between, 1), rel=1e-10, abs=1e-12)


def test_no_offset_no_motion(template):
    """A single time distribution stays where it is, and the offset is no parameter of it."""
    fixed = Template(template.nominal, template.varied, TimeTemplate(np.zeros(1), template.times.fractions[[6]]))
    value, slopes = fixed.evaluate(
        fixed.contracted(np.array([[1.0, 0.5]])), dict.fromkeys("xy", np.array([0.3])), np.array([0.2])
    )
    assert value[0] == near(counts(template, [1.0, 0.5], {"x": 0.3, "y": 0.3}), 1e-12)
    assert set(slopes) == {"x", "y"}
    fractions, moved = fixed.times.at(np.array([-0.1, 0.2]))
    assert np.array_equal(fractions, np.repeat(template.times.fractions[[6]], 2, axis=0))
    assert not moved.any()


def test_without_times_the_bins_are_the_nominal_ones(template):
    flat = Template(template.nominal, template.varied)
    found = counts(flat, [1.0, 2.0], {"y": 1.0})
    assert found == near(template.varied["y"][0][0] + 2 * template.varied["y"][0][1], 1e-12)


def test_restricted_keeps_the_rows(template):
    second = template.restricted([1])
    assert second.nominal.shape == (1, 4)
    for pulls in ({}, {"x": 1.0}, {"x": -0.4, "y": 2.0}):
        assert counts(second, [1.0], pulls, 0.1) == near(counts(template, [0.0, 1.0], pulls, 0.1), 1e-12)
