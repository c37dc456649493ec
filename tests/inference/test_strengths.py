"""Couplings that enter as a power, as a distance from the Standard Model, or expanded: limits against dense scans."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from scipy.optimize import brentq, minimize, minimize_scalar
from support import eq_15, least_squares, near, poisson

import cevnslab as cl
from cevnslab.errors import PhysicsError
from cevnslab.inference.chi2 import Axis, Chi2
from cevnslab.inference.contours import contour
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.likelihood.profile import ProfileLikelihood
from cevnslab.physics.couplings import COUPLINGS, light_scalar, light_vector

SIGMA_A, SIGMA_B = 0.10, 0.01
LEVEL = delta_chi2_level(0.90, 1)
KINDS = {
    "g10": light_vector("universal", 10.0, "g10"),
    "bl1": light_vector("b-l", 1.0, "bl1"),
    "lmlt100": light_vector("lmu-ltau", 100.0, "lmlt100"),
    "s10": light_scalar(10.0, "s10"),
    **{name: COUPLINGS[name] for name in ("sin2_theta_w", "neutron_radius", "r2_ee", "eps_ee_u", "mu_e", "eps_emu_d")},
}
"""Every way in which a coupling can enter."""
ONE_SIDED = ("g10", "bl1", "lmlt100", "s10")
every_kind = pytest.mark.parametrize("name", KINDS)


@cache
def of(*names):
    """Five wide bins of caesium iodide as a function of some couplings."""
    return _response("ess-csi", [KINDS[name] for name in names], 4)


def _response(preset, couplings, merged):
    fine = cl.load_detector(preset)
    edges = fine.bin_edges_kev[::merged]
    background = np.add.reduceat(fine.background_per_kg_day, np.arange(0, len(fine.background_per_kg_day), merged))
    wide = replace(fine, bin_edges_kev=edges, background_per_kg_day=background[: len(edges) - 1])
    return cl.response(cl.load_source("ess"), wide, couplings=list(couplings), years=3)


def asimov(response):
    return response.counts() + response.background


def fluctuated(response, seed):
    return np.random.default_rng(seed).poisson(asimov(response)).astype(float)


def standard_model(response, name):
    (axis,) = (axis for axis in response.polynomial.variables if axis.name == name)
    return axis.standard_model


def by_bins(response, name, data, sigma_a=SIGMA_A, sigma_b=SIGMA_B):
    """chi^2 of one value: the counts of the response, and Eq. (15) solved on all bins."""

    def chi2(value):
        return eq_15(response.counts(**{name: value}), response.background, data, data, sigma_a, sigma_b)[0]

    return chi2


def dense_values(name):
    """Values on a fine logarithmic grid around the Standard Model, out to where the coupling may lie."""
    coupling = KINDS[name]
    centre = coupling.reference if coupling.linear else 4.83
    low, high = coupling.bounds if coupling.linear else coupling.range_of(cl.load_detector("ess-csi").target)[::2]
    sides = [
        centre + np.sign(end - centre) * np.geomspace(1e-2 * coupling.scale, abs(end - centre), 300)
        for end in (low, high)
        if end != centre
    ]
    return np.clip(np.unique(np.concatenate([[centre], *sides])), low, high)


def scanned(chi2, values, level):
    """(best fit, lowest chi^2, pieces below) by a scan of all values and root searches between them."""
    curve = np.array([chi2(value) for value in values])
    walled = np.pad(curve, 1, constant_values=np.inf)
    candidates = []
    for place in np.flatnonzero((walled[1:-1] <= walled[:-2]) & (walled[1:-1] <= walled[2:])):
        around = values[max(place - 1, 0)], values[min(place + 1, len(values) - 1)]
        result = minimize_scalar(chi2, bounds=around, method="bounded", options={"xatol": 1e-7 * np.ptp(around)})
        candidates += [(result.x, result.fun), (values[place], curve[place])]
    best, lowest = min(candidates, key=lambda pair: pair[1])
    excess = curve - lowest - level
    ends = [
        brentq(lambda v: chi2(v) - lowest - level, values[i], values[i + 1], rtol=1e-13, xtol=1e-300)
        for i in np.flatnonzero((excess[1:] < 0) != (excess[:-1] < 0))
    ]
    # A piece that reaches the first or the last value is open there.
    borders = ([None] if excess[0] < 0 else []) + ends + ([None] if excess[-1] < 0 else [])
    return best, lowest, list(zip(borders[::2], borders[1::2], strict=True))


def assert_same_pieces(ours, expected, name):
    assert len(ours) == len(expected), (ours, expected)
    for (low, high), (wanted_low, wanted_high) in zip(ours, expected, strict=True):
        if wanted_low is None:
            assert low == (0.0 if name in ONE_SIDED else -np.inf)
        else:
            assert low == near(wanted_low, 1e-6)
        assert high == (np.inf if wanted_high is None else near(wanted_high, 1e-6))


@every_kind
@pytest.mark.parametrize("seed", [None, 12], ids=lambda seed: "asimov" if seed is None else f"toy{seed}")
def test_limits_against_a_dense_scan(name, seed):
    response = of(name)
    data = asimov(response) if seed is None else fluctuated(response, seed)
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, None if seed is None else data), [name])
    best, lowest, pieces = scanned(by_bins(response, name, data), dense_values(name), LEVEL)
    limit = interval(chi2, 0.90)
    assert best_fit(chi2)[1] == pytest.approx(lowest, rel=1e-8, abs=1e-9)
    low, high = chi2.axes[0].bounds
    assert low <= limit.best_fit <= high
    # chi^2 is flat at its minimum: the value is known to the square root of rounding.
    reach = max(abs(end - best) for piece in pieces for end in piece if end is not None)
    mirror = abs(limit.best_fit) if name in ("mu_e", "eps_emu_d") else limit.best_fit
    assert mirror == pytest.approx(abs(best) if mirror != limit.best_fit else best, abs=2e-3 * reach)
    assert_same_pieces(limit.segments, pieces, name)


def poisson_by_bins(response, name, data, value):
    """The Poisson likelihood ratio of one value, minimised over the normalisations by scipy."""
    signal, background = response.counts(**{name: value}), response.background

    def chi2(pulls):
        expected = signal * (1 + SIGMA_A * pulls[0]) + background * (1 + SIGMA_B * pulls[1])
        return 2 * np.sum(expected - data + data * np.log(data / expected)) + np.sum(pulls**2)

    return minimize(chi2, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11}).fun


@every_kind
def test_poisson_limits_end_where_the_likelihood_says(name):
    response = of(name)
    data = fluctuated(response, 21)
    chi2 = Chi2.of(poisson(response, SIGMA_A, SIGMA_B, data), [name])
    limit = interval(chi2, 0.90)
    lowest = poisson_by_bins(response, name, data, limit.best_fit)
    assert best_fit(chi2)[1] == near(lowest, 1e-8)
    ends = [end for piece in limit.segments for end in piece if np.isfinite(end) and end != chi2.axes[0].bounds[0]]
    assert ends
    for end in ends:
        assert poisson_by_bins(response, name, data, end) - lowest == near(LEVEL, 1e-5)
    # With thousands of counts both statistics say nearly the same.
    other = interval(Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data), [name]), 0.90)
    assert len(limit.segments) == len(other.segments)
    widths = [sum(high - low for low, high in each.segments if np.isfinite(high - low)) for each in (limit, other)]
    assert widths[0] == near(widths[1], 0.05)


def test_the_non_standard_interaction_has_a_mirror_solution():
    """Where Q + eps K = -Q: two pieces that do not touch, both found."""
    pieces = interval(Chi2.of(least_squares(of("eps_ee_u"), SIGMA_A, SIGMA_B), ["eps_ee_u"]), 0.90).segments
    assert len(pieces) == 2
    assert pieces[0][0] < 0 < pieces[0][1] < pieces[1][0] < pieces[1][1]


@pytest.mark.parametrize("name", ONE_SIDED)
@pytest.mark.parametrize("kind", [least_squares, poisson])
def test_one_sided_couplings_end_at_nothing(name, kind):
    response = of(name)
    chi2 = Chi2.of(kind(response, SIGMA_A, SIGMA_B), [name])
    limit = interval(chi2, 0.90)
    assert limit.best_fit == 0.0
    assert limit.segments[0][0] == 0.0
    assert np.copysign(1.0, limit.segments[0][0]) == 1.0
    assert np.isfinite(limit.segments[-1][1])
    connected = interval(chi2, 0.90, "connected")
    assert connected.segments == limit.segments[:1]


@pytest.mark.parametrize("kind", [least_squares, poisson])
@pytest.mark.parametrize(
    ("name", "factor", "on_the_wall"),
    [("bl1", 0.97, True), ("bl1", 1.04, False), ("s10", 0.97, True), ("s10", 1.04, False), ("g10", 0.97, False)],
)
def test_the_best_fit_on_the_wall(kind, name, factor, on_the_wall):
    """A coupling that can only add events, for data with fewer than expected, and with more."""
    response = of(name)
    data = factor * response.counts() + response.background
    chi2 = Chi2.of(kind(response, 0.01, SIGMA_B, data), [name])
    value, lowest = best_fit(chi2)
    limit = interval(chi2, 0.90)
    if on_the_wall:
        # With Poisson the sum over bins is known to rounding, and g^4 is below that for a while.
        assert value == 0.0 if kind is least_squares else 0.0 <= value < 1e-3 * limit.segments[0][1]
        assert limit.segments[0][0] == 0.0
        assert lowest > 1.0
        assert lowest == near(float(chi2(0.0)), 1e-13)
    else:
        assert value > 0.0
        assert lowest < float(chi2(0.0)) - 1.0
        if kind is least_squares:
            _, expected, pieces = scanned(by_bins(response, name, data, 0.01), dense_values(name), LEVEL)
            assert lowest == pytest.approx(expected, rel=1e-8, abs=1e-9)
            assert_same_pieces(limit.segments, pieces, name)


def test_universal_couplings_fit_a_surplus_with_the_far_solution():
    """The destructive mediator takes events away first: a surplus is fitted on the far side of the dip, or not."""
    response = of("g10")
    data = 1.05 * response.counts() + response.background
    chi2 = Chi2.of(least_squares(response, 0.01, SIGMA_B, data), ["g10"])
    best, lowest, pieces = scanned(by_bins(response, "g10", data, 0.01), dense_values("g10"), LEVEL)
    assert best_fit(chi2) == (pytest.approx(best, rel=1e-4), pytest.approx(lowest, rel=1e-9))
    assert_same_pieces(interval(chi2, 0.90).segments, pieces, "g10")


PAIRS = [("bl1", "s10"), ("bl1", "sin2_theta_w"), ("s10", "mu_e"), ("g10", "neutron_radius"), ("s10", "eps_ee_u")]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_contours_are_closed_along_the_wall(pair):
    response = of(*pair)
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B), pair)
    level = delta_chi2_level(0.90, 2)
    polygons = contour(chi2, 0.90).polygons
    walls = [axis.one_sided for axis in chi2.axes]
    on_wall = 0
    for polygon in polygons:
        assert np.array_equal(polygon[0], polygon[-1])
        for column, wall in enumerate(walls):
            if wall:
                assert np.all(polygon[:, column] >= 0)
        at_wall = np.any((polygon == 0) & walls, axis=1)
        on_wall += int(at_wall.sum())
        data = asimov(response)
        for x, y in polygon[~at_wall][:: max(1, len(polygon) // 12)]:
            signal = response.counts(**{pair[0]: x, pair[1]: y})
            result = eq_15(signal, response.background, data, data, SIGMA_A, SIGMA_B)[0]
            assert result == near(level, 2e-4)
        if at_wall.any():
            assert np.all(chi2.values_at(polygon[at_wall]) < level * (1 + 1e-4))
            along = at_wall[:-1] & at_wall[1:]
            assert along.any()
            assert np.all(chi2.values_at((polygon[:-1] + polygon[1:])[along] / 2) < level)
    assert on_wall
    # The polygons hold what is below the level, and nothing else.
    points = np.concatenate(polygons)
    axes = [np.linspace(0.003, 0.997, 71) * np.ptp(points[:, i]) + points[:, i].min() for i in (0, 1)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    scale = np.ptp(points, axis=0)
    inside = np.sum([Polygon(p / scale).contains_points(grid / scale) for p in polygons], axis=0) % 2 == 1
    surface = chi2.on_grid(*axes).ravel()
    clear = np.abs(surface - level) > 0.05 * level
    assert np.array_equal(inside[clear], (surface < level)[clear])
    assert inside.any()


@every_kind
def test_search_points_cover_every_decade(name):
    response = of(name)
    (axis,) = (axis for axis in response.polynomial.variables if axis.name == name)
    low, high = axis.bounds
    points = axis.search_points(200)
    assert np.all(np.diff(points) > 0)
    assert points[0] == low
    assert points[-1] == high
    centre = KINDS[name].reference if KINDS[name].linear else 4.83
    assert axis.standard_model == near(centre, 1e-14) if centre else axis.standard_model == 0.0
    assert centre in points
    for side in (points[points > centre] - centre, centre - points[points < centre][::-1]):
        if len(side):
            assert side[0] <= 1.01e-4 * axis.scale
            assert np.all(side[1:] / side[:-1] < 1.2)


def test_scaled_strengths_and_values():
    axis = Axis("x", 1e-3, (0.0, 10.0), power=2, reference=0.0)
    assert float(axis.scaled(2e-3)) == near(4.0, 1e-14)
    assert float(axis.plain(4.0)) == near(2e-3, 1e-14)
    assert float(axis.plain(-1.0)) == 0.0
    shifted = Axis("x", 1e-2, (0.0, 1.0), reference=0.24)
    assert float(shifted.scaled(0.25)) == near(1.0, 1e-12)
    assert float(shifted.plain(1.0)) == near(0.25, 1e-14)
    cubic = Axis("x", 2.0, (-10.0, 10.0), power=3, reference=1.0)
    for value in (-3.0, 0.5, 4.0):
        assert float(cubic.scaled(value)) == near((value**3 - 1) / 8, 1e-14)
        assert float(cubic.plain(cubic.scaled(value))) == near(value, 1e-14)
    assert not cubic.one_sided
    assert axis.one_sided
    assert axis.lowest == 0.0


def typical(name):
    """A value away from the Standard Model, its size such that chi^2 is of order one."""
    places = {"g10": 5e-6, "bl1": 6e-6, "lmlt100": 4e-3, "s10": 9e-6, "sin2_theta_w": 0.26, "neutron_radius": 5.2}
    return places.get(name, 0.3 * KINDS[name].scale)


@pytest.mark.parametrize("kind", [least_squares, poisson])
@pytest.mark.parametrize("pair", list(itertools.pairwise([*KINDS, "g10"])), ids="-".join)
def test_gradients_in_plain_units(pair, kind):
    response = of(*pair)
    statistic = kind(response, SIGMA_A, SIGMA_B, fluctuated(response, 31))
    chi2, points = Chi2.of(statistic, pair), ProfileLikelihood(statistic, pair)
    at = np.array([typical(name) for name in pair])
    result, gradients = chi2.gradient_at(at[None])
    value, slopes = float(result[0]), gradients[0]
    values, gradient = points.gradient_at(at[None])
    assert values[0] == near(value, 1e-9)
    assert float(points.values_at(at[None])[0]) == near(value, 1e-9)
    for column, name in enumerate(pair):
        step = 1e-4 * (typical(name) - standard_model(response, name))
        moved = [at + sign * step * np.eye(2)[column] for sign in (-2, -1, 1, 2)]
        v = [float(chi2.on_grid(m[:1], m[1:])[0, 0]) for m in moved]
        numerical = (v[0] - 8 * v[1] + 8 * v[2] - v[3]) / (12 * step)
        size = abs(value / (typical(name) - standard_model(response, name)))
        assert slopes[column] == pytest.approx(numerical, rel=1e-5, abs=1e-6 * size)
        assert gradient[0, column] == pytest.approx(slopes[column], rel=1e-7, abs=1e-9 * size)


@pytest.mark.parametrize("pair", list(itertools.combinations(KINDS, 2)), ids="-".join)
def test_values_of_a_pair_against_sums_over_bins(pair):
    response = of(*pair)
    data = fluctuated(response, 41)
    x, y = typical(pair[0]), typical(pair[1])
    signal = response.counts(**{pair[0]: x, pair[1]: y})
    expected = eq_15(signal, response.background, data, data, SIGMA_A, SIGMA_B)[0]
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data), pair)
    assert float(chi2.on_grid(np.array([x]), np.array([y]))[0, 0]) == near(expected, 1e-8)


def test_all_kinds_at_once_against_sums_over_bins():
    response = of(*KINDS)
    data = fluctuated(response, 42)
    names = tuple(KINDS)
    values = {name: typical(name) for name in names}
    expected = eq_15(response.counts(**values), response.background, data, data, SIGMA_A, SIGMA_B)[0]
    function = ProfileLikelihood(least_squares(response, SIGMA_A, SIGMA_B, data), names)
    assert float(function.values_at(np.array([list(values.values())]))[0]) == near(expected, 1e-8)


def test_a_radius_that_the_target_cannot_have_is_refused():
    bubbles = _response("ess-c3f8", [COUPLINGS["neutron_radius"]], 4)
    lowest = COUPLINGS["neutron_radius"].range_of(cl.load_detector("ess-c3f8").target)[0]
    assert lowest > 1.8
    with pytest.raises(PhysicsError, match=r"1\.86"):
        bubbles.counts(neutron_radius=1.6)


@pytest.mark.parametrize("factor", [1.2, 1.5])
@pytest.mark.parametrize("kind", [least_squares, poisson])
def test_a_best_fit_at_the_end_of_the_range(factor, kind):
    """Many more events than the smallest radius gives: chi^2 falls all the way to the end."""
    bubbles = _response("ess-c3f8", [COUPLINGS["neutron_radius"]], 4)
    low, _, high = COUPLINGS["neutron_radius"].range_of(cl.load_detector("ess-c3f8").target)
    data = factor * bubbles.counts() + bubbles.background
    chi2 = Chi2.of(kind(bubbles, 0.02, 0.01, data), ["neutron_radius"])
    dense = chi2(np.linspace(low, high, 2001))
    value, lowest = best_fit(chi2)
    assert low <= value <= high
    assert lowest <= dense.min() * (1 + 1e-9)


def test_a_square_whose_bounds_are_on_both_sides_is_refused():
    """Inference takes an even power for a wall at 0: the declaration must say the same."""
    with pytest.raises(PhysicsError, match="lower bound must be 0"):
        replace(light_vector("b-l", 1.0, "both"), bounds=(-10.0, 10.0))
