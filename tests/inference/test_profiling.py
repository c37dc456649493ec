"""Couplings that are minimised over: against multi-start fits of the sums over bins, and dense grids."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from iminuit import Minuit
from scipy.optimize import brentq, minimize_scalar
from support import combined, eq_15, least_squares, near, poisson, preset_response

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.physics.couplings import COUPLINGS, light_scalar, light_vector

SIGMA_A, SIGMA_B = 0.10, 0.01
LEVEL = delta_chi2_level(0.90, 1)
MEDIATORS = {coupling.name: coupling for coupling in (light_vector("b-l", 10.0, "bl10"), light_scalar(10.0, "s10"))}


@cache
def of(preset, *names):
    """A preset in few wide bins as a function of some couplings."""
    fine = cl.load_detector(preset)
    merged = max(1, (len(fine.bin_edges_kev) - 1) // 5)
    edges = fine.bin_edges_kev[::merged]
    background = np.add.reduceat(fine.background_per_kg_day, np.arange(0, len(fine.background_per_kg_day), merged))
    wide = replace(fine, bin_edges_kev=edges, background_per_kg_day=background[: len(edges) - 1])
    couplings = [MEDIATORS.get(name) or COUPLINGS[name] for name in names]
    return cl.response(cl.load_source("ess"), wide, couplings=couplings, years=3)


def data_of(response, seed=None):
    expected = response.counts() + response.background
    return expected if seed is None else np.random.default_rng(seed).poisson(expected).astype(float)


def direct_least_squares(response, data):
    return lambda signal: eq_15(signal, response.background, data, data, SIGMA_A, SIGMA_B)[0]


def joint_poisson(response, data, visible, hidden, starts):
    """The Poisson likelihood ratio minimised over one coupling and both normalisations at once, by iminuit."""
    coupling = COUPLINGS[hidden]

    def full(place, a, b):
        value = float(np.clip(coupling.reference + coupling.scale * place, *coupling.bounds))
        signal = response.counts(**visible, **{hidden: value})
        expected = np.maximum(signal * (1 + SIGMA_A * a) + response.background * (1 + SIGMA_B * b), 1e-9)
        return 2 * np.sum(expected - data + data * np.log(data / expected)) + a**2 + b**2

    result = []
    for (start,) in starts:
        fit = Minuit(full, place=start, a=0.0, b=0.0)
        fit.errors, fit.errordef, fit.strategy, fit.tol = (0.1 + 0.1 * abs(start), 1.0, 1.0), 1.0, 2, 1e-4
        fit.migrad(ncall=2000)
        result.append(fit.fval)
    return min(result)


def many_starts(response, chi2, visible, starts):
    """chi^2 minimised over all couplings that are not shown, by iminuit from many places."""
    hidden = [coupling for coupling in response.couplings if coupling.name not in visible]
    centre = np.array([coupling.reference for coupling in hidden])
    scale = np.array([coupling.scale for coupling in hidden])

    def at(places):
        values = dict(zip([coupling.name for coupling in hidden], centre + scale * np.asarray(places), strict=True))
        return chi2(response.counts(**visible, **values))

    minima = []
    for start in starts:
        fit = Minuit(at, np.asarray(start, dtype=float))
        for number, coupling in enumerate(hidden):
            fit.limits[number] = tuple((np.array(coupling.bounds) - centre[number]) / scale[number])
        fit.errordef, fit.strategy, fit.tol = 1.0, 1, 1e-3
        fit.errors = [0.1 + 0.1 * abs(each) for each in start]
        fit.migrad(ncall=2000)
        minima.append(fit.fval)
    return min(minima)


LINE = [(sign * size,) for size in (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0) for sign in (1, -1)]
"""Starts in natural scales from the Standard Model."""

ONE_HIDDEN = {
    ("ess-ge", "q_ee", "q_mumu"): [-9e-9, 2e-9, 1.6e-8],
    ("ess-csi", "q_ee", "r2_ee"): [-6e-9, 3e-9, 2e-8],
    ("ess-csi", "eps_ee_u", "eps_ee_d"): [-0.6, 0.2, 0.45],
    ("ess-ge", "sin2_theta_w", "eps_mumu_u"): [0.1, 0.22, 0.4],
    ("ess-csi", "r2_ee", "mu_mu"): [-3e-32, 5e-32, 2e-31],
}


@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("case", ONE_HIDDEN, ids="-".join)
def test_one_hidden_coupling_against_many_starts(case, seed):
    response = of(*case)
    data = data_of(response, seed)
    statistic = least_squares(response, SIGMA_A, SIGMA_B, None if seed is None else data)
    ours = Chi2.of(statistic, case[1:2], case[2:])(ONE_HIDDEN[case])
    for value, chi2 in zip(ONE_HIDDEN[case], ours, strict=True):
        expected = many_starts(response, direct_least_squares(response, data), {case[1]: value}, LINE)
        assert chi2 == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert chi2 <= expected * (1 + 1e-6) + 1e-7  # never above what another way finds


@pytest.mark.parametrize("case", ONE_HIDDEN, ids="-".join)
def test_one_hidden_coupling_against_a_dense_grid(case):
    """No search at all: the lowest of 40 000 values of the hidden coupling."""
    response = of(*case)
    statistic = least_squares(response, SIGMA_A, SIGMA_B, data_of(response, 4))
    coupling = COUPLINGS[case[2]]
    low, high = coupling.bounds
    span = np.geomspace(1e-4 * coupling.scale, 1e4 * coupling.scale, 20_000)
    grid = np.clip(np.concatenate([coupling.reference - span, coupling.reference + span]), low, high)
    at = np.array(ONE_HIDDEN[case])
    surface = Chi2.of(statistic, case[1:]).on_grid(at, grid)
    function = Chi2.of(statistic, case[1:2], case[2:])
    sample = function.sample(at[:, None])
    chi2, hidden = sample.chi2, function.hidden_values(sample.state)
    assert np.all(chi2 <= surface.min(axis=0) + 1e-9)
    assert chi2 == pytest.approx(surface.min(axis=0), rel=1e-2, abs=1e-2)
    assert np.all((hidden >= low) & (hidden <= high))
    # The value that it gives is the one at the place that it gives.
    for number, value in enumerate(at):
        there = response.counts(**{case[1]: value, case[2]: hidden[number, 0]})
        assert chi2[number] == near(direct_least_squares(response, data_of(response, 4))(there), 1e-7)


THREE = ("ess-ge", "q_ee", "q_mumu", "r2_ee", "eps_mumu_d")


@pytest.mark.parametrize("value", [-1.5e-8, 6e-9])
def test_three_hidden_couplings_against_many_starts(value):
    response = of(*THREE)
    data = data_of(response, 5)
    ours = float(Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data), THREE[1:2], THREE[2:])(value))
    random = np.random.default_rng(6)
    starts = [np.zeros(3), *(random.choice([-1, 1], 3) * 10 ** random.uniform(-1, 1.5, 3) for _ in range(14))]
    expected = many_starts(response, direct_least_squares(response, data), {"q_ee": value}, starts)
    assert ours <= expected * (1 + 1e-6) + 1e-7
    assert ours == pytest.approx(expected, rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("hidden", ["bl10", "s10"])
@pytest.mark.parametrize(("factor", "on_the_wall"), [(0.97, True), (1.05, False)])
def test_a_hidden_coupling_stays_inside_its_bounds(hidden, factor, on_the_wall):
    """A mediator that can only add events cannot fit data with fewer."""
    response = of("ess-csi", "r2_ee", hidden)
    data = factor * response.counts() + response.background
    statistic = least_squares(response, SIGMA_A, SIGMA_B, data)
    values = np.array([0.0, 2e-32])
    function = Chi2.of(statistic, ["r2_ee"], [hidden])
    sample = function.sample(values[:, None])
    chi2, places = sample.chi2, function.hidden_values(sample.state)
    assert np.all(places >= 0)
    for value, height, place in zip(values, chi2, places[:, 0], strict=True):
        starts = [(size,) for size in (0.0, 0.3, 1.0, 3.0)]
        expected = many_starts(response, direct_least_squares(response, data), {"r2_ee": value}, starts)
        assert height == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert height <= expected * (1 + 1e-6) + 1e-7
        alone = direct_least_squares(response, data)(response.counts(r2_ee=value))
        if on_the_wall:
            assert place == 0.0
            assert height == near(alone, 1e-9)
    if not on_the_wall:
        assert places[0, 0] > 0
        assert chi2[0] < float(Chi2.of(statistic, ["r2_ee"])(0.0)) - 0.05


@pytest.mark.parametrize("case", [("ess-ge", "q_ee", "q_mumu"), ("ess-csi", "q_ee", "r2_ee")], ids="-".join)
def test_poisson_against_many_starts(case):
    response = of(*case)
    data = data_of(response, 7)
    values = np.array(ONE_HIDDEN[case][:2])
    ours = Chi2.of(poisson(response, SIGMA_A, SIGMA_B, data), case[1:2], case[2:])(values)
    for value, chi2 in zip(values, ours, strict=True):
        expected = joint_poisson(response, data, {case[1]: value}, case[2], LINE)
        assert chi2 == pytest.approx(expected, rel=1e-3, abs=1e-3)
        assert chi2 <= expected * (1 + 1e-6) + 1e-6


def test_an_independent_combination_against_many_starts():
    names = ("eps_ee_u", "eps_ee_d")
    responses = [of("ess-csi", *names), of("ess-si", *names)]
    data = [data_of(response, 8) for response in responses]
    members = [least_squares(r, SIGMA_A, SIGMA_B, d) for r, d in zip(responses, data, strict=True)]
    ours = Chi2.of(combined(members, "independent"), names[:1], names[1:])
    for value in (-0.2, 0.3):
        parts = [direct_least_squares(r, d) for r, d in zip(responses, data, strict=True)]
        grid = np.linspace(-1.5, 1.5, 3001)
        dense = sum(Chi2.of(m, names).on_grid(np.array([value]), grid)[:, 0] for m in members)
        sample = ours.sample(np.array([[value]]))
        chi2, hidden = sample.chi2, ours.hidden_values(sample.state)
        there = {"eps_ee_u": value, "eps_ee_d": hidden[0, 0]}
        again = sum(part(r.counts(**there)) for part, r in zip(parts, responses, strict=True))
        assert chi2[0] == near(again, 1e-8)
        assert chi2[0] <= dense.min() + 1e-9
        assert chi2[0] == pytest.approx(dense.min(), abs=2e-2)


def test_one_nucleus_cannot_tell_up_from_down_but_two_can():
    names = ("eps_ee_u", "eps_ee_d")
    responses = [of(preset, *names) for preset in ("ess-csi", "ess-si")]
    members = [least_squares(response, SIGMA_A, SIGMA_B) for response in responses]
    alone = interval(Chi2.of(members[0], names[:1], names[1:]), 0.90)
    assert alone.kinds == (("unconstrained", "unconstrained"),)
    for kind in ("independent", "correlated"):
        both = Chi2.of(combined(members, kind), names[:1], names[1:])
        if kind == "correlated":
            assert np.all(both([-8.0, 8.0]) > LEVEL)
            continue
        limit = interval(both, 0.90)
        assert {kind for kinds in limit.kinds for kind in kinds} == {"limit"}
        for piece in limit.segments:
            for end in piece:
                assert float(both(end)) == near(LEVEL, 1e-6)
        # A second route to one end: the lowest of a dense grid crosses the level there.
        surface = Chi2.of(combined(members, kind), names)
        down = np.linspace(-6.0, 6.0, 12001)

        def excess(value, surface=surface, down=down):
            def at(place):
                return float(surface.on_grid(np.array([value]), np.atleast_1d(place))[0, 0])

            place = int(surface.on_grid(np.array([value]), down)[:, 0].argmin())
            return minimize_scalar(at, bounds=(down[place - 1], down[place + 1]), method="bounded").fun - LEVEL

        end = limit.segments[-1][1]
        assert brentq(excess, 0.98 * end, 1.02 * end, xtol=1e-6) == near(end, 1e-4)


CONTAINED = [
    ("ess-ge", "q_ee", "q_mumu"),
    ("ess-csi", "eps_ee_u", "eps_ee_d"),
    ("ess-ge", "sin2_theta_w", "eps_mumu_u"),
    ("ess-csi", "bl10", "q_ee"),
    ("ess-csi", "q_ee", "bl10"),
]


def contains(outer, inner):
    """Every inner piece lies in an outer one, to rounding."""
    room = 1e-9 * max(abs(end) for piece in inner for end in piece)
    return all(any(low <= a + room and b - room <= high for low, high in outer) for a, b in inner)


@pytest.mark.parametrize("case", CONTAINED, ids="-".join)
def test_profiled_limits_contain_the_others(case):
    response = of(*case)
    statistic = least_squares(response, SIGMA_A, SIGMA_B)
    chi2 = Chi2.of(statistic, case[1:2], case[2:])
    limit, held = interval(chi2, 0.90), interval(Chi2.of(statistic, case[1:2]), 0.90)
    assert best_fit(chi2)[1] == pytest.approx(0.0, abs=1e-11)
    assert contains(limit.segments, held.segments)
    assert sum(b - a for a, b in limit.segments) > sum(b - a for a, b in held.segments)
    for piece in limit.pieces:
        for end, kind in ((piece.low, piece.low_kind), (piece.high, piece.high_kind)):
            assert (end in chi2.axes[0].bounds) == (kind in ("bound", "unconstrained"))
            assert kind in ("bound", "unconstrained") or float(chi2(end)) == near(LEVEL, 1e-6)


@pytest.mark.parametrize(
    ("preset", "name", "low"),
    [("ess-ge", "eps_ee_u", -0.32), ("ess-si", "eps_mumu_u", None), ("ess-ge", "r2_ee", None)],
)
def test_a_hidden_coupling_at_its_bound_makes_no_end_infinite(preset, name, low):
    """The end is where the package's own profile crosses the level, with sin2_theta_w at the end of its range."""
    response = preset_response(preset, couplings=[name, "sin2_theta_w"])
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B), [name], ["sin2_theta_w"])
    limit = interval(chi2, 0.90)
    ends = [
        (end, kind)
        for piece in limit.pieces
        for end, kind in ((piece.low, piece.low_kind), (piece.high, piece.high_kind))
        if kind != "bound"
    ]
    assert "hidden-bound" in {kind for _, kind in ends}
    if low is not None:
        assert limit.segments[0][0] == pytest.approx(low, abs=0.01)
    for end, kind in ends:
        assert float(chi2(end)) == near(LEVEL, 1e-6)
        hidden = chi2.sample(np.array([[end]])).state[0, 0]
        assert (min(abs(hidden - bound) for bound in (0.0, 1.0)) < 1e-6) == (kind == "hidden-bound")


def test_a_surface_with_a_hidden_coupling():
    """Two shown, one hidden: the surface that contours are traced on."""
    names = ("q_ee", "q_mumu", "r2_ee")
    response = of("ess-csi", *names)
    data = data_of(response, 11)
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data), names[:2], names[2:])
    x, y = np.array([-4e-9, 9e-9]), np.array([-3e-9, 2e-9, 6e-9])
    surface = chi2.on_grid(x, y)
    assert surface.shape == (3, 2)
    for row, column in np.ndindex(3, 2):
        printed_text = {"q_ee": x[column], "q_mumu": y[row]}
        expected = many_starts(response, direct_least_squares(response, data), printed_text, LINE)
        assert surface[row, column] == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert surface[row, column] <= expected * (1 + 1e-6) + 1e-7


def test_the_gradient_of_the_minimum():
    names = ("q_ee", "q_mumu", "r2_ee")
    response = of("ess-csi", *names)
    chi2 = Chi2.of(least_squares(response, SIGMA_A, SIGMA_B, data_of(response, 9)), names[:2], names[2:])
    x, y, step = np.array([4e-9]), np.array([2e-9]), 1e-12
    slope_x, slope_y = chi2.gradient_at(np.stack([x, y], axis=1))[1].T
    around = chi2.on_grid(x + step * np.array([-1, 0, 1]), y + step * np.array([-1, 0, 1]))
    assert slope_x[0] == near((around[1, 2] - around[1, 0]) / (2 * step), 1e-4)
    assert slope_y[0] == near((around[2, 1] - around[0, 1]) / (2 * step), 1e-4)
