"""The search along lines against closed forms and known curves: minima, crossings, branches, dips on plateaus."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import least_squares, near, preset_response

from cevnslab.inference.chi2 import Chi2, Sample
from cevnslab.inference.curves import crossings, resolved, sampled
from cevnslab.inference.intervals import searched
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.quadratic import Variable


@dataclass(frozen=True)
class Known:
    """A function of one coupling that is known with its slope; it counts how many points it was asked for."""

    axes: tuple[Variable, ...]
    curve: Any
    slope: Any
    points: list[int]
    several: ClassVar[bool] = False
    ratio: ClassVar[None] = None
    stride: ClassVar[int] = 4
    grid_step: ClassVar[int] = 1

    def sample(self, points, starts=None, tolerance=0.0):
        self.points.append(len(points))
        return Sample(self.curve(points[:, 0]), self.slope(points[:, 0])[:, None], np.empty((len(points), 0)))

    def at_hidden_bound(self, state):
        return np.zeros(len(state), dtype=bool)

    def alike(self, first, second):
        return np.all(first == second, axis=1)


@dataclass(frozen=True)
class Branches(Known):
    """The lower of several curves, of which a search from a start finds the start's own, and a cold one the first."""

    several: ClassVar[bool] = True

    def sample(self, points, starts=None, tolerance=0.0):
        self.points.append(len(points))
        x = points[:, 0]
        values = np.array([curve(x) for curve in self.curve])
        slopes = np.array([slope(x) for slope in self.slope])
        cold = values.argmin(axis=0) if starts is None else np.rint(starts[:, 0]).astype(int)
        place = np.arange(len(x))
        return Sample(values[cold, place], slopes[cold, place][:, None], cold[:, None].astype(float))


def known(curve, slope, bounds=(-100.0, 100.0), scale=1.0, kind=Known):
    return kind((Variable("x", scale, bounds),), curve, slope, [])


@pytest.fixture(scope="module")
def germanium():
    return least_squares(preset_response("ess-ge"), 0.1, 0.01)


@dataclass(frozen=True)
class NoClosedForm(Chi2):
    """The same chi^2, searched."""

    ratio: ClassVar[None] = None


@pytest.mark.parametrize("level", [0.5, 2.70554, 9.60, 9.65, 9.75, 9.90, 9.94, 40.0])
@pytest.mark.parametrize("name", ["q_ee", "q_mumu", "q_etau"])
def test_pieces_against_the_closed_form(name, level, germanium):
    closed = Chi2.of(germanium, [name])
    function = NoClosedForm(closed.profile)
    expected = closed.ratio.pieces_below(level)
    assert (len(expected) == 2) == (name == "q_ee" and 9.62 < level < 9.92)
    pieces = searched(function, [level]).pieces(level)
    assert [(piece.low, piece.high) for piece in pieces] == [near(np.array(piece), 1e-9) for piece in expected]


@pytest.mark.parametrize("preset", ["ess-csi", "ess-xe", "ess-ge"])
def test_best_fits_against_the_closed_form(preset):
    response = preset_response(preset)
    data = np.random.default_rng(3).poisson(response.counts() + response.background) + 1.0
    for name in ("q_ee", "q_mumu", "q_emu"):
        closed = Chi2.of(least_squares(response, 0.1, 0.01, data), [name])
        curve = searched(NoClosedForm(closed.profile), [1.0])
        expected = min(closed.ratio.minima(), key=lambda pair: pair[1])
        assert curve.best_fit == pytest.approx(expected[0], abs=1e-12)
        assert curve.lowest == near(expected[1], 1e-9)


def test_a_curve_with_three_dips():
    dips = np.polynomial.Polynomial.fromroots([-5, 0.02, 30])
    squared, below = dips**2, np.polynomial.Polynomial([1, 0, 1]) ** 2

    def curve(x):
        return squared(x) / below(x)

    def slope(x):
        return (squared.deriv()(x) * below(x) - squared(x) * below.deriv()(x)) / below(x) ** 2

    result = searched(known(curve, slope), [1e-3])
    assert result.lowest == pytest.approx(0.0, abs=1e-9)
    pieces = result.pieces(1e-3 - result.lowest)
    assert len(pieces) == 3
    for piece, inside in zip(pieces, (-5, 0.02, 30), strict=True):
        assert inside in piece
        assert curve(np.array([piece.low, piece.high])) == near(np.full(2, 1e-3), 1e-7)


def test_a_minimum_at_a_bound_is_the_best_fit():
    lines = searched(known(lambda x: 3 - x / 50, lambda x: 0 * x - 1 / 50), [1.0])
    assert (lines.best_fit, lines.lowest) == (100.0, 1.0)
    (piece,) = lines.pieces(1.0)
    assert (piece.low, piece.low_kind, piece.high, piece.high_kind) == (near(50.0, 1e-12), "limit", 100.0, "bound")


def test_a_wave():
    """3 + cos(u), u = 0.3 - a/2 + 0.11 a^2, is below 2.5 within pi/3 of the odd multiples of pi."""

    def inner(a):
        return 0.3 - 0.5 * a + 0.11 * a**2

    function = known(lambda a: 3 + np.cos(inner(a)), lambda a: -np.sin(inner(a)) * (0.22 * a - 0.5), (-9.0, 9.0))
    lines = searched(function, [0.5])
    assert lines.lowest == near(2.0, 1e-9)
    heights = [2 * np.pi / 3, 4 * np.pi / 3, 8 * np.pi / 3, 10 * np.pi / 3]
    expected = sorted(float(a) for u in heights for a in np.roots([0.11, -0.5, 0.3 - u]) if -9 < a < 9)
    ends = [end for piece in lines.pieces(2.5 - lines.lowest) for end in (piece.low, piece.high)]
    assert ends == pytest.approx(expected, rel=1e-9)


def plateau(centres, width, height=100.0):
    """A plateau with dips to zero."""

    def parts(x):
        return [((x - centre) / width) ** 2 for centre in centres]

    def curve(x):
        product = np.prod([part / (1 + part) for part in parts(x)], axis=0)
        return height * product

    def slope(x):
        step = 1e-7 * width
        return (curve(x + step) - curve(x - step)) / (2 * step)

    return curve, slope


@pytest.mark.parametrize("centres", [(-9.37, -9.02), (-9.37,), (0.03,), (-7.0, 0.2, 8.1), (3.3, 3.6)], ids=str)
def test_narrow_dips_on_a_plateau(centres):
    """As of a degeneracy far from the Standard Model, where chi^2 is flat on both sides."""
    curve, slope = plateau(centres, 0.04)
    function = known(curve, slope, (-10.0, 10.0))
    lines = searched(function, [4.6])
    assert lines.lowest == pytest.approx(0.0, abs=1e-8)
    pieces = lines.pieces(4.6 - lines.lowest)
    assert len(pieces) == len(centres)
    for piece, centre in zip(pieces, centres, strict=True):
        assert centre in piece
        assert curve(np.array([piece.low, piece.high])) == pytest.approx(np.full(2, 4.6), rel=1e-6)
    assert sum(function.points) < 400


def test_a_gap_where_two_branches_cross():
    """Two parabolas that cross just above the level: the gap between the pieces is 1 % of its distance from zero."""
    first, second = 500.0, 715.0
    curves = [lambda x: ((x - first) / 100) ** 2, lambda x: ((x - second) / 100) ** 2]
    slopes = [lambda x: 2 * (x - first) / 1e4, lambda x: 2 * (x - second) / 1e4]
    crossing = ((second - first) / 200) ** 2
    level = crossing - 0.06
    function = known(curves, slopes, (-1e5, 1e5), kind=Branches)
    pieces = searched(function, [level]).pieces(level)
    assert len(pieces) == 2
    reach = 100 * np.sqrt(level)
    ends = [first - reach, first + reach, second - reach, second + reach]
    assert [end for piece in pieces for end in (piece.low, piece.high)] == [near(end, 1e-9) for end in ends]
    assert ends[2] - ends[1] < 0.011 * ends[1]
    level = crossing + 0.06
    assert len(searched(function, [level]).pieces(level)) == 1


def test_several_levels_take_one_search(germanium):
    function = NoClosedForm(Chi2.of(germanium, ["q_ee"]).profile)
    rises = [delta_chi2_level(confidence, 1) for confidence in (0.6827, 0.90, 0.9982)]
    curve = searched(function, rises)
    for rise in rises:
        alone = searched(function, [rise]).pieces(rise)
        together = curve.pieces(rise)
        assert [near(np.array([p.low, p.high]), 1e-9) for p in alone] == [(p.low, p.high) for p in together]


def test_lines_side_by_side_are_like_lines_alone(germanium):
    function = replace(Chi2.of(germanium, ["q_ee", "q_mumu"]))
    base = np.array([[0.0, -3e-9], [0.0, 0.0], [0.0, 2e-9], [0.0, 1e-5]])
    grid = function.axes[0].search_points(30)
    together = resolved(sampled(function, 0, base, grid), [4.6], 0.0)
    ends = crossings(together, 4.6)
    assert np.all(np.diff(ends.line) >= 0)
    for number in range(len(base)):
        alone = crossings(resolved(sampled(function, 0, base[[number]], grid), [4.6], 0.0), 4.6)
        assert ends.at[ends.line == number] == near(alone.at, 1e-9)
    assert not np.any(ends.line == 3)


@given(
    first=st.floats(-60, 60),
    apart=st.floats(0.5, 40),
    depth=st.floats(0, 3),
    level=st.floats(0.2, 12),
)
def test_any_two_dips(first, apart, depth, level):
    """A quartic with two dips against the roots of its polynomial."""
    second = first + apart
    shape = np.polynomial.Polynomial.fromroots([first, first, second, second]) * (16 / apart**4 * 8)
    whole = shape + np.polynomial.Polynomial([0, depth / 100])
    inside = whole - level
    roots = [r.real for r in inside.roots() if abs(r.imag) < 1e-9 and -100 < r.real < 100]
    function = known(whole, whole.deriv())
    lines = resolved(sampled(function, 0, np.zeros((1, 1)), function.axes[0].search_points(20, -3)), [level], 0.0)
    assert crossings(lines, level).at == pytest.approx(np.array(sorted(roots)), rel=1e-6, abs=1e-6)
