"""A chi^2 minimised point by point: powers of couplings, batches, and likelihoods with several backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from cevnslab.inference.least_squares import LeastSquares
from iminuit import Minuit
from scipy.special import xlogy
from support import near, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference import pointwise
from cevnslab.inference.chi2 import Axis
from cevnslab.inference.pointwise import PointwiseChi2, along
from cevnslab.inference.poisson import Poisson

AXES = (Axis("a", 1.0, (-9.0, 9.0)), Axis("b", 0.1, (-9.0, 9.0)), Axis("c", 1.0, (0.0, 9.0)))
MONOMIALS = ((), (0,), (1,), (2,), (0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class Wave:
    """A likelihood that is a known function of the monomials, and remembers how many points it got at once."""

    weights: np.ndarray
    batches: list
    numbers_per_point: int = 1

    def minimum(self, monomials):
        self.batches.append(len(monomials))
        return 3 + np.cos(monomials @ self.weights)

    def minimum_and_slope(self, monomials):
        return self.minimum(monomials), -np.sin(monomials @ self.weights)[:, None] * self.weights


def curve(names, **options):
    axes, kept, exponents = along(AXES, MONOMIALS, names)
    weights = np.array([0.3, -0.5, 0.7, 0.2, 0.11, -0.4, 0.9, 0.25, -0.6, 0.35])[kept]
    return PointwiseChi2(axes, exponents, Wave(weights, [], **options))


def written_out(x, y):
    """The same for a and c by hand: 1, a, c, a^2, a c, c^2."""
    return 3 + np.cos(0.3 - 0.5 * x + 0.2 * y + 0.11 * x**2 + 0.9 * x * y + 0.35 * y**2)


def test_rows_that_are_kept():
    axes, kept, exponents = along(AXES, MONOMIALS, ["c", "a"])
    assert [axis.name for axis in axes] == ["c", "a"]
    assert [MONOMIALS[row] for row in kept] == [(), (0,), (2,), (0, 0), (0, 2), (2, 2)]
    assert exponents.tolist() == [[0, 0], [0, 1], [1, 0], [0, 2], [1, 1], [2, 0]]
    axes, kept, exponents = along(AXES, MONOMIALS, ["b"])
    assert [MONOMIALS[row] for row in kept] == [(), (1,), (1, 1)]
    assert exponents.tolist() == [[0], [1], [2]]


def test_direct_evaluation():
    x = np.array([[-2.0, 0.0, 0.4], [1.0, 3.0, -1.5]])
    assert curve(["a"])(x) == near(written_out(x, 0.0), 1e-14)
    assert curve(["c"])(x) == near(written_out(0.0, x), 1e-14)
    assert curve(["a"])(0.5).shape == ()
    assert curve(["a"])(np.empty(0)).shape == (0,)
    x, y = np.linspace(-2, 2, 5), np.linspace(0, 3, 4)
    assert curve(["a", "c"]).on_grid(x, y) == near(written_out(x[None, :], y[:, None]), 1e-14)
    assert curve(["c", "a"]).on_grid(y, x) == near(written_out(x[:, None], y[None, :]), 1e-14)


def test_gradient_against_differences_also_at_zero():
    chi2 = curve(["a", "c"])
    x, y = np.array([0.0, 1.3, -0.4, 0.0, 2.0]), np.array([0.0, 0.0, 0.8, 1.1, -1.2])
    value, slope_x, slope_y = chi2.value_and_gradient(x, y)
    assert value == near(written_out(x, y), 1e-14)
    step = 1e-6
    assert slope_x == pytest.approx((written_out(x + step, y) - written_out(x - step, y)) / (2 * step), abs=1e-8)
    assert slope_y == pytest.approx((written_out(x, y + step) - written_out(x, y - step)) / (2 * step), abs=1e-8)


def test_batches_do_not_matter(monkeypatch):
    monkeypatch.setattr(pointwise, "LARGEST_BATCH", 14)
    x, y = np.linspace(-2, 2, 5), np.linspace(0, 3, 4)
    chi2 = curve(["a", "c"], numbers_per_point=4)
    assert chi2.on_grid(x, y) == near(written_out(x[None, :], y[:, None]), 1e-14)
    assert chi2.likelihood.batches == [3, 3, 3, 3, 3, 3, 2]
    huge = curve(["a"], numbers_per_point=1000)
    assert huge(x) == near(written_out(x, 0.0), 1e-14)
    assert huge.likelihood.batches == [1] * 5


def test_minima_and_pieces_of_a_known_curve():
    """3 + cos(u) is lowest where u = 0.3 - a/2 + 0.11 a^2 is an odd multiple of pi, and below 2.5 within pi/3 of them.

    A third kind of minimum, at 3.96, is that of u itself.
    """
    chi2 = curve(["a"])

    def where(*u):
        return sorted(float(a) for value in u for a in np.roots([0.11, -0.5, 0.3 - value]) if -9 < a < 9)

    vertex = 0.5 / 0.22
    expected = sorted([*where(np.pi, 3 * np.pi), vertex])
    found = chi2.minima()
    assert [value for value, _ in found] == pytest.approx(expected, rel=1e-6)
    lowest = [3 + np.cos(0.3 - vertex * 0.25) if value == vertex else 2.0 for value in expected]
    assert [chi2_there for _, chi2_there in found] == pytest.approx(lowest, abs=1e-12)
    crossings = where(2 * np.pi / 3, 4 * np.pi / 3, 8 * np.pi / 3, 10 * np.pi / 3)
    ends = [end for piece in chi2.pieces_below(2.5) for end in piece]
    assert ends == pytest.approx(crossings, rel=1e-9)


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
    wanted = np.concatenate([(data - signal - sum(rows)) * weight, np.zeros(len(columns))])
    nuisances, *_ = np.linalg.lstsq(design, wanted, rcond=None)
    return float(np.sum((design @ nuisances - wanted) ** 2))


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
    squares = LeastSquares.of(response, sigma_a, widths, data)
    poisson = Poisson.of(response, sigma_a, widths, data)
    for couplings in ({"q_ee": -6e-9}, {"q_ee": 2e-8}, {"q_emu": 3e-9}):
        ((name, value),) = couplings.items()
        ours = float(squares.along([name])(value))
        assert ours == near(linear_solve(response, data, sigma_a, widths, **couplings), 1e-9)
        ours = float(poisson.along([name])(value))
        assert ours == near(minuit(response, data, sigma_a, widths, **couplings), 1e-6)
    x, y = np.array([-5e-9, 3e-9]), np.array([1e-9, 1e-8])
    surface = squares.along(COUPLINGS).on_grid(x, y)
    for row, column in np.ndindex(2, 2):
        expected = linear_solve(response, data, sigma_a, widths, q_ee=x[column], q_emu=y[row])
        assert surface[row, column] == near(expected, 1e-9)


@pytest.mark.parametrize("kind", [LeastSquares, Poisson])
def test_one_width_is_for_all_and_the_order_is_the_backgrounds(kind, two):
    response, data = two
    at = np.array([-4e-9, 1e-9])
    common, each = (kind.of(response, 0.1, widths, data).along(["q_ee"])(at) for widths in (0.2, (0.2, 0.2)))
    assert np.array_equal(common, each)
    swapped = replace(response, backgrounds=dict(reversed(response.backgrounds.items())))
    there, back = (
        kind.of(r, 0.1, w, data).along(["q_ee"])(at) for r, w in ((response, WIDTHS), (swapped, WIDTHS[::-1]))
    )
    assert there == near(back, 1e-9)
    wrong = kind.of(swapped, 0.1, WIDTHS, data).along(["q_ee"])(at)
    assert np.all(abs(wrong - there) > 1e-3)


@pytest.mark.parametrize("kind", [LeastSquares, Poisson])
def test_two_halves_of_a_background_with_one_width_each(kind, two):
    """Halves with independent widths s are one background with the width s/sqrt(2)."""
    response, data = two
    whole = replace(response, backgrounds={"all": response.background})
    halves = replace(response, backgrounds={"one": response.background / 2, "other": response.background / 2})
    at = np.array([-4e-9, 0.0, 2e-8])
    expected = kind.of(whole, 0.1, 0.2 / np.sqrt(2), data).along(["q_ee"])(at)
    assert kind.of(halves, 0.1, 0.2, data).along(["q_ee"])(at) == near(expected, 1e-8)


@pytest.mark.parametrize("widths", [(0.1,), (0.1, 0.2, 0.3), ()], ids=str)
@pytest.mark.parametrize("kind", [LeastSquares, Poisson])
def test_a_width_for_every_background(kind, widths, two):
    with pytest.raises(StatisticsError, match=f"2 background uncertainties are needed, got {len(widths)}"):
        kind.of(two[0], 0.1, widths)
