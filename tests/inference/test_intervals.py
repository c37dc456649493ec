"""Intervals: reference limits, every crossing of a dense scan, disjoint pieces, open ends."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from support import GOLDEN, GOLDEN_DETECTORS, MILLICHARGES, least_squares, near, preset_response

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import Piece, best_fit, bounded, interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.rational import negative_segments

LIMITS = GOLDEN["limits_90CL"]["values"]


@pytest.fixture(scope="module")
def statistics():
    return {name: least_squares(preset_response(name), 0.1, 0.01) for name in set(GOLDEN_DETECTORS.values())}


def level_to_confidence(level):
    """The confidence level of which a delta chi^2 of one parameter is the level."""
    return math.erf(math.sqrt(level / 2))


def crossings(chi2, level, low, high, points=40001):
    """All roots of chi2 - level between low and high: a dense scan, then brentq."""
    grid = np.linspace(low, high, points)
    above = chi2(grid) > level
    return [
        brentq(lambda q: float(chi2(q)) - level, grid[i], grid[i + 1], xtol=1e-24, rtol=1e-13)
        for i in np.flatnonzero(above[1:] != above[:-1])
    ]


@pytest.mark.parametrize(
    ("detector", "name"), [(detector, name) for detector in LIMITS for name in LIMITS[detector]], ids=str
)
def test_reference_limits(detector, name, statistics):
    limit = interval(Chi2.of(statistics[GOLDEN_DETECTORS[detector]], [f"q_{name}"]), 0.90)
    assert len(limit.segments) == 1
    assert limit.segments[0] == tuple(near(end, 1e-9) for end in LIMITS[detector][name])
    assert limit.delta_chi2 == near(GOLDEN["analysis_config"]["dchi2"], 1e-12)
    assert limit.best_fit == 0.0
    if name in ("emu", "etau", "mutau"):
        assert limit.segments[0][0] == -limit.segments[0][1]


@pytest.mark.parametrize("confidence", [0.6827, 0.90, 0.95, 0.9973, 0.9999])
@pytest.mark.parametrize("name", MILLICHARGES)
@pytest.mark.parametrize("preset", ["ess-csi", "ess-xe", "ess-ge"])
def test_every_crossing_of_a_dense_scan(preset, name, confidence, statistics):
    chi2 = Chi2.of(statistics[preset], [name])
    result = interval(chi2, confidence)
    expected = crossings(chi2, delta_chi2_level(confidence, 1), -3e-7, 3e-7)
    assert [end for piece in result.segments for end in piece] == [near(root, 1e-9) for root in expected]


@pytest.mark.parametrize("level", [9.65, 9.75, 9.90])
def test_disjoint_pieces_come_out_whole(level, statistics):
    """Ge q_ee: between the second minimum and the local maximum before it the interval has two pieces."""
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee"])
    values = interval(chi2, level_to_confidence(level))
    assert values.delta_chi2 == near(level, 1e-9)
    expected = crossings(chi2, level, -1e-7, 1e-7)
    assert len(values.segments) == 2
    assert [end for piece in values.segments for end in piece] == [near(root, 1e-7) for root in expected]
    (_, first_end), (second, _) = values.segments
    assert first_end < 16.4e-9 < second < 20.6e-9
    connected = interval(chi2, level_to_confidence(level), "connected")
    assert connected.segments == values.segments[:1]


@pytest.mark.parametrize(("level", "pieces"), [(9.60, 1), (9.94, 1)])
def test_one_piece_on_either_side(level, pieces, statistics):
    assert len(interval(Chi2.of(statistics["ess-ge"], ["q_ee"]), level_to_confidence(level)).segments) == pieces


def test_second_minimum_of_germanium(statistics):
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee"])
    (first, lowest), (second, value) = chi2.ratio.minima()
    assert first == pytest.approx(0.0, abs=1e-15)
    assert lowest == pytest.approx(0.0, abs=1e-12)
    assert second == pytest.approx(20.6e-9, abs=0.06e-9)
    assert value == pytest.approx(9.62, abs=0.006)
    between = np.linspace(first, second, 20001)
    highest = between[np.argmax(chi2(between))]
    assert highest == pytest.approx(16.4e-9, abs=0.06e-9)
    assert float(chi2(highest)) == pytest.approx(9.92, abs=0.006)


@pytest.mark.parametrize(("preset", "where", "value"), [("ess-csi", 69.1e-9, 13.7), ("ess-xe", 51.7e-9, 24.6)])
def test_second_minima_of_the_others(preset, where, value, statistics):
    (_, _), (second, chi2) = Chi2.of(statistics[preset], ["q_ee"]).ratio.minima()
    assert second == pytest.approx(where, abs=0.06e-9)
    assert chi2 == pytest.approx(value, abs=0.06)


def test_muon_charge_of_germanium_has_one_minimum(statistics):
    ((where, value),) = Chi2.of(statistics["ess-ge"], ["q_mumu"]).ratio.minima()
    assert (where, value) == (pytest.approx(0.0, abs=1e-15), pytest.approx(0.0, abs=1e-12))


@pytest.fixture(scope="module")
def weak():
    """A month of a gram, its signal known to 100 %: chi2 saturates below every usual level."""
    return least_squares(preset_response("ess-csi", years=1e-5), 1.0, 0.01)


def test_a_coupling_that_the_data_leave_unconstrained(weak):
    chi2 = Chi2.of(weak, ["q_ee"])
    assert float(chi2(1e-4)) < delta_chi2_level(0.9, 1)
    (piece,) = interval(chi2, 0.90).pieces
    assert (piece.low, piece.high) == chi2.axes[0].bounds
    assert (piece.low_kind, piece.high_kind) == ("unconstrained", "unconstrained")


def test_a_level_beyond_the_value_at_infinity_is_crossed_nowhere(weak):
    chi2 = Chi2.of(weak, ["q_mumu"])
    far = float(min(chi2(np.array(chi2.axes[0].bounds))))
    crossed = interval(chi2, level_to_confidence(0.999 * far))
    assert crossed.kinds == (("limit", "limit"),)
    for end in crossed.segments[0]:
        assert float(chi2(end)) == near(crossed.delta_chi2, 1e-8)
    open_ends = interval(chi2, level_to_confidence(1.001 * far))
    assert open_ends.kinds == (("unconstrained", "unconstrained"),)
    assert open_ends.segments == (chi2.axes[0].bounds,)


@pytest.mark.parametrize(
    ("coefficients", "segments"),
    [
        ([-1.0], [(-math.inf, math.inf)]),
        ([1.0], []),
        ([-4.0, 0.0, 1.0], [(-2.0, 2.0)]),
        ([4.0, 0.0, -1.0], [(-math.inf, -2.0), (2.0, math.inf)]),
        ([-6.0, 3.0], [(-math.inf, 2.0)]),
        ([4.0, 0.0, -5.0, 0.0, 1.0], [(-2.0, -1.0), (1.0, 2.0)]),
        ([0.0, 0.0, -4.0, 0.0, 1.0], [(-2.0, 2.0)]),  # touches zero at zero from below
        ([-12.0, 4.0, 3.0, -1.0], [(-2.0, 2.0), (3.0, math.inf)]),
        ([1.0, 0.0, 1.0], []),
        ([-1e-30, 0.0, 1e-12], [(-1e-9, 1e-9)]),
    ],
    ids=str,
)
def test_where_a_polynomial_is_negative(coefficients, segments):
    negative = negative_segments(np.array(coefficients))
    assert [end for piece in negative for end in piece] == [near(end, 1e-9) for piece in segments for end in piece]


@given(roots=st.lists(st.floats(-50, 50), min_size=4, max_size=4))
def test_any_quartic_against_its_roots(roots):
    ordered = sorted(roots)
    assume(min(b - a for a, b in itertools.pairwise(ordered)) > 0.05)
    assume(min(abs(root) for root in ordered) > 1e-3)
    segments = negative_segments(np.polynomial.polynomial.polyfromroots(ordered))
    expected = [tuple(ordered[:2]), tuple(ordered[2:])]
    assert len(segments) == 2
    for piece, end_points in zip(segments, expected, strict=True):
        assert piece == pytest.approx(end_points, rel=1e-5, abs=1e-7)


@pytest.fixture(scope="module")
def germanium():
    return preset_response("ess-ge")


@given(seed=st.integers(0, 10**6), confidence=st.floats(0.5, 0.999))
def test_an_interval_contains_the_best_fit(germanium, seed, confidence):
    expected = germanium.counts() + germanium.background
    data = np.random.default_rng(seed).poisson(expected) + 1.0
    for name in MILLICHARGES:
        chi2 = Chi2.of(least_squares(germanium, 0.1, 0.01, data), [name])
        for minimum in ("global", "connected"):
            limit = interval(chi2, confidence, minimum)
            assert any(low < limit.best_fit < high for low, high in limit.segments)
            _, lowest = best_fit(chi2, minimum)
            for end in (end for piece in limit.segments for end in piece):
                assert float(chi2(end)) == near(lowest + limit.delta_chi2, 1e-7)


@given(seed=st.integers(0, 10**6))
def test_the_minimum_is_the_lowest_of_a_dense_scan(germanium, seed):
    data = np.random.default_rng(seed).poisson(germanium.counts() + germanium.background) + 1.0
    chi2 = Chi2.of(least_squares(germanium, 0.1, 0.01, data), ["q_ee"])
    best, lowest = best_fit(chi2)
    scanned = chi2(np.linspace(-5e-8, 1e-7, 30001))
    assert lowest <= scanned.min()
    assert lowest == near(scanned.min(), 1e-4)
    assert float(chi2(best)) == near(lowest, 1e-12)


@given(years=st.floats(0.05, 20), factor=st.floats(1.05, 5))
def test_more_exposure_never_widens(years, factor):
    source, detector = cl.load_source("ess"), cl.load_detector("ess-csi")
    for name in ("q_ee", "q_emu"):
        responses = [cl.response(source, detector, couplings=[name], years=y) for y in (years, years * factor)]
        short, long = (interval(Chi2.of(least_squares(r, 0.1, 0.01), [name]), 0.9) for r in responses)
        for low, high in long.segments:
            assert any(a <= low and high <= b for a, b in short.segments)
        assert long.segments != short.segments


@given(low=st.floats(0.5, 0.98), more=st.floats(0.001, 0.015))
def test_more_confidence_never_shrinks(statistics, low, more):
    for preset in ("ess-ge", "ess-csi-electron"):
        chi2 = Chi2.of(statistics[preset], ["q_ee"])
        narrow, wide = interval(chi2, low), interval(chi2, low + more)
        assert wide.segments[0][0] < narrow.segments[0][0]
        assert wide.segments[0][1] > narrow.segments[0][1]


def test_crossings_beyond_the_bounds_are_no_limits():
    weak = preset_response("ess-ge", couplings=["q_ee"], years=1e-18)
    chi2 = Chi2.of(least_squares(weak, 0.1, 0.01), ["q_ee"])
    assert chi2.ratio.pieces_below(2.7)[0][1] > chi2.axes[0].bounds[1]
    limit = interval(chi2, 0.9)
    assert limit.segments == (chi2.axes[0].bounds,)
    assert limit.kinds == (("unconstrained", "unconstrained"),)


@pytest.mark.parametrize(
    ("segments", "pieces"),
    [
        ([(-2.0, 3.0)], (Piece(-2.0, 3.0),)),
        ([(-math.inf, 3.0)], (Piece(-5.0, 3.0, "bound", "limit"),)),
        ([(-9.0, -6.0), (1.0, 9.0)], (Piece(1.0, 5.0, "limit", "bound"),)),
        ([(-math.inf, -1.0), (2.0, math.inf)], (Piece(-5.0, -1.0, "bound"), Piece(2.0, 5.0, "limit", "bound"))),
        ([(-math.inf, math.inf)], (Piece(-5.0, 5.0, "unconstrained", "unconstrained"),)),
        ([(-6.0, 6.0)], (Piece(-5.0, 5.0, "unconstrained", "unconstrained"),)),
        ([(6.0, 7.0)], ()),
    ],
    ids=str,
)
def test_pieces_within_bounds(segments, pieces):
    assert bounded(segments, (-5.0, 5.0)) == pieces
