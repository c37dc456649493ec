"""The search for minima and crossings against the closed form, which has all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import least_squares, near, preset_response

from cevnslab.inference import search
from cevnslab.inference.chi2 import Axis
from cevnslab.inference.pointwise import along


@pytest.fixture(scope="module")
def germanium():
    return least_squares(preset_response("ess-ge"), 0.1, 0.01)


def pieces_below(curve, level, axis):
    return search.pieces_below(curve, level, axis, search.minima(curve, axis))


def flat(pieces):
    return [end for piece in pieces for end in piece]


@pytest.mark.parametrize("level", [0.5, 2.70554, 9.60, 9.65, 9.75, 9.90, 9.94, 40.0])
@pytest.mark.parametrize("name", ["q_ee", "q_mumu", "q_etau"])
def test_pieces_against_the_closed_form(name, level, germanium):
    chi2 = along(germanium, [name])
    expected = chi2.pieces_below(level)
    assert (len(expected) == 2) == (name == "q_ee" and 9.62 < level < 9.92)
    assert flat(pieces_below(chi2, level, chi2.axes[0])) == [near(end, 1e-9) for end in flat(expected)]


@pytest.mark.parametrize("preset", ["ess-csi", "ess-xe", "ess-ge"])
def test_minima_against_the_closed_form(preset):
    response = preset_response(preset)
    data = np.random.default_rng(3).poisson(response.counts() + response.background) + 1.0
    for name in ("q_ee", "q_mumu", "q_emu"):
        chi2 = along(least_squares(response, 0.1, 0.01, data), [name])
        found, expected = search.minima(chi2, chi2.axes[0]), chi2.minima()
        assert len(found) == len(expected)
        for (x, value), (wanted, lowest) in zip(found, expected, strict=True):
            assert x == pytest.approx(wanted, abs=1e-14)
            assert value == near(lowest, 1e-9)


def test_open_ends():
    """A month of a gram whose signal is known to 20 %: chi2 saturates."""
    chi2 = along(least_squares(preset_response("ess-csi", years=1e-5), 0.2, 0.01), ["q_mumu"])
    far = float(chi2.numerator[4] / chi2.denominator[4])
    everything = pieces_below(chi2, 1.1 * far + 1, chi2.axes[0])
    assert everything == [(-math.inf, math.inf)]
    opened = pieces_below(chi2, 1.001 * far, chi2.axes[0])
    assert opened[0][0] == -math.inf
    assert opened[-1][1] == math.inf
    assert flat(opened)[1:-1] == [near(end, 1e-6) for end in flat(chi2.pieces_below(1.001 * far))[1:-1]]


def test_nothing_below():
    axis = Axis("x", 1.0, (-100.0, 100.0))
    assert pieces_below(lambda x: (x - 3) ** 2 + 1, 1.0, axis) == []
    assert search.minima(lambda x: x, axis) == []


def test_a_curve_with_three_dips():
    def curve(x):
        return ((x + 5) * (x - 0.02) * (x - 30)) ** 2 / (1 + x**2) ** 2

    axis = Axis("x", 1.0, (-100.0, 100.0))
    assert [x for x, _ in search.minima(curve, axis)] == [near(x, 1e-6) for x in (-5, 0.02, 30)]
    pieces = pieces_below(curve, 1e-3, axis)
    assert len(pieces) == 3
    for (low, high), inside in zip(pieces, (-5, 0.02, 30), strict=True):
        assert low < inside < high
        assert curve(np.array([low, high])) == near(np.full(2, 1e-3), 1e-8)


def test_an_axis_with_one_side():
    axis = Axis("g", 1e-5, (0.0, 1.0))
    assert pieces_below(lambda x: (x / 1e-5) ** 2, 4.0, axis) == [(-math.inf, near(2e-5, 1e-9))]
