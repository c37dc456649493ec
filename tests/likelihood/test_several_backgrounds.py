"""Several backgrounds with widths of their own: a linear solve, iminuit, halves that are one whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from iminuit import Minuit
from scipy.special import xlogy
from support import least_squares, near, poisson, preset_response

from cevnslab.inference.chi2 import Chi2

COUPLINGS = ["q_ee", "q_emu"]
WIDTHS = (0.05, 0.3)


@pytest.fixture(scope="module")
def two():
    """A detector with a second background that rises with energy, and data that fluctuate."""
    one = preset_response("ess-ge", couplings=COUPLINGS, years=0.3)
    bins = len(one.background)
    rising = np.linspace(0.1, 3.0, bins) * one.background.mean()
    response = replace(one, backgrounds={"flat": one.background, "rising": rising})
    data = np.random.default_rng(8).poisson(response.counts() + response.background).astype(float) + 1
    return response, data


def linear_solve(response, data, sigma_a, widths, **couplings):
    """Eq. (15) with several backgrounds, by linear least squares on all bins; a width of 0 leaves no column."""
    signal, rows = response.counts(**couplings), list(response.backgrounds.values())
    weight = 1 / np.sqrt(data)
    columns = [(row, width) for row, width in zip([signal, *rows], [sigma_a, *widths], strict=True) if width > 0]
    if not columns:
        return float(np.sum((data - signal - sum(rows)) ** 2 / data))
    design = np.vstack([np.column_stack([row * weight for row, _ in columns]), np.diag([1 / w for _, w in columns])])
    side = np.concatenate([(data - signal - sum(rows)) * weight, np.zeros(len(columns))])
    nuisances, *_ = np.linalg.lstsq(design, side, rcond=None)
    return float(np.sum((design @ nuisances - side) ** 2))


def minuit(response, data, sigma_a, widths, **couplings):
    """The Poisson ratio minimised by iminuit over all nuisances."""
    templates = np.array([response.counts(**couplings), *response.backgrounds.values()])
    width = np.array([sigma_a, *widths])

    def chi2(nuisances):
        expected = (1 + nuisances) @ templates
        ratio = 2 * np.sum(expected - data + xlogy(data, data) - xlogy(data, expected))
        return float(ratio + np.sum((nuisances[width > 0] / width[width > 0]) ** 2))

    fit = Minuit(chi2, np.zeros(len(width)))
    for number, each in enumerate(width):
        fit.fixed[number] = each == 0
    fit.limits = (-0.95, 5)
    fit.errordef, fit.strategy, fit.tol = 1.0, 2, 1e-7
    if width.any():
        fit.migrad()
    return chi2(np.array(fit.values))


@pytest.mark.parametrize("widths", [WIDTHS, (0.3, 0.05), (0.0, 0.2), (0.2, 0.0), (0.0, 0.0)], ids=str)
@pytest.mark.parametrize("sigma_a", [0.0, 0.1])
def test_several_backgrounds_against_other_minimisers(sigma_a, widths, two):
    response, data = two
    squares = least_squares(response, sigma_a, widths, data)
    ratio = poisson(response, sigma_a, widths, data)
    for couplings in ({"q_ee": -6e-9}, {"q_ee": 2e-8}, {"q_emu": 3e-9}):
        ((name, value),) = couplings.items()
        ours = float(Chi2.of(squares, [name])(value))
        assert ours == near(linear_solve(response, data, sigma_a, widths, **couplings), 1e-9)
        ours = float(Chi2.of(ratio, [name])(value))
        assert ours == near(minuit(response, data, sigma_a, widths, **couplings), 1e-6)
    x, y = np.array([-5e-9, 3e-9]), np.array([1e-9, 1e-8])
    surface = Chi2.of(squares, COUPLINGS).on_grid(x, y)
    for row, column in np.ndindex(2, 2):
        expected = linear_solve(response, data, sigma_a, widths, q_ee=x[column], q_emu=y[row])
        assert surface[row, column] == near(expected, 1e-9)


@pytest.mark.parametrize("kind", [least_squares, poisson])
def test_one_width_is_for_all_and_the_order_is_the_backgrounds(kind, two):
    response, data = two
    at = np.array([-4e-9, 1e-9])
    common, each = (Chi2.of(kind(response, 0.1, widths, data), ["q_ee"])(at) for widths in (0.2, (0.2, 0.2)))
    assert np.array_equal(common, each)
    swapped = replace(response, backgrounds=dict(reversed(response.backgrounds.items())))
    there, back = (
        Chi2.of(kind(r, 0.1, w, data), ["q_ee"])(at) for r, w in ((response, WIDTHS), (swapped, WIDTHS[::-1]))
    )
    assert there == near(back, 1e-9)
    wrong = Chi2.of(kind(swapped, 0.1, WIDTHS, data), ["q_ee"])(at)
    assert np.all(abs(wrong - there) > 1e-3)


@pytest.mark.parametrize("kind", [least_squares, poisson])
def test_two_halves_of_a_background_with_one_width_each(kind, two):
    """Halves with independent widths s are one background with the width s/sqrt(2)."""
    response, data = two
    whole = replace(response, backgrounds={"all": response.background})
    halves = replace(response, backgrounds={"one": response.background / 2, "other": response.background / 2})
    at = np.array([-4e-9, 0.0, 2e-8])
    expected = Chi2.of(kind(whole, 0.1, 0.2 / np.sqrt(2), data), ["q_ee"])(at)
    assert Chi2.of(kind(halves, 0.1, 0.2, data), ["q_ee"])(at) == near(expected, 1e-8)
