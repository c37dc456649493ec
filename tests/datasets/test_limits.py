"""Limits on charges from the data sets: Minuit at their ends, and the reference analysis on the real files."""

from __future__ import annotations

import numpy as np
import pytest
from cevnslab.inference.shapes import LARGEST_PULL
from cevnslab.inference.templates import OFFSET
from iminuit import Minuit
from scipy.stats import chi2 as chi2_law

from cevnslab.inference.intervals import best_fit, interval


def profiled(made, **charges):
    """chi^2 at charges by Minuit over all nuisances: the lowest from several starts, one of them where we ended."""
    statistic = made.statistic
    values = [charges.get(new.name, 0.0) for new in made.response.couplings]
    monomials = np.array([[np.prod([values[a] for a in monomial]) for monomial in statistic.monomials]])
    contracted = statistic.contracted(monomials)
    widths = dict(statistic.widths)
    shifts = (-0.1, 0.0, 0.1) if OFFSET in widths else (0.0,)
    rng = np.random.default_rng(7)
    starts = [dict.fromkeys(widths, 0.0) | ({OFFSET: shift} if OFFSET in widths else {}) for shift in shifts]
    if len(widths) > 4:
        starts += [dict.fromkeys(widths, 0.0) | {"efficiency": pull} for pull in (-1.6, 1.6) if "efficiency" in widths]
        starts += [{name: rng.normal() * min(width, 0.1) for name, width in widths.items()} for _ in range(2)]

    starts.append(dict(zip(widths, statistic.minimised(monomials)[1][0], strict=True)))

    def objective(nuisances):
        expected, _ = statistic.expected(contracted, nuisances[None])
        return min(float(statistic.objective(expected, nuisances[None])[0]), 1e12)

    lowest = np.inf
    for start in starts:
        fit = Minuit(objective, np.array(list(start.values())), name=list(widths))
        for name in widths:
            counts = name == "signal" or name in made.response.backgrounds
            fit.limits[name] = (-1, None) if counts else (-LARGEST_PULL, LARGEST_PULL)
            fit.errors[name] = min(widths[name], 0.1)
        if OFFSET in widths:
            fit.limits[OFFSET] = statistic.offset_range_us
        fit.errordef, fit.tol = 1.0, 1e-3
        fit.migrad()
        lowest = min(lowest, fit.fval)
    return lowest


def assert_ends_are_at_the_level(made, name, pieces=None, confidence_level=0.9):
    chi2 = made.statistic.along([name])
    found = interval(chi2, confidence_level)
    ends = [end for piece in found.segments for end in piece]
    assert ends
    assert pieces is None or len(found.segments) == pieces
    assert np.all(np.isfinite(ends))
    lowest = profiled(made, **{name: found.best_fit})
    assert best_fit(chi2)[1] == pytest.approx(lowest, abs=2e-4)
    level = float(chi2_law.ppf(confidence_level, 1))
    for end in ends:
        assert profiled(made, **{name: end}) - lowest == pytest.approx(level, abs=2e-3)
    # Inside and outside, a little further along.
    for low, high in found.segments:
        step = 0.02 * (high - low)
        assert float(chi2(low + step)) < level + lowest < float(chi2(low - step))
        assert float(chi2(high - step)) < level + lowest < float(chi2(high + step))


SETS = [
    ("csi", ("cevns",), "normalisation"),
    ("csi", ("cevns", "electron"), "normalisation"),
    ("csi", ("cevns",), "shape"),
    ("lar", ("cevns",), "normalisation"),
]


@pytest.mark.parametrize("data", SETS, ids="-".join(("{0[0]}", "{0[1]}", "{0[2]}")).format)
@pytest.mark.parametrize("name", ["q_ee", "q_mutau"])
def test_ends_of_intervals_against_minuit(name, data, fluctuated):
    assert_ends_are_at_the_level(fluctuated(*data), name)


@pytest.mark.parametrize("name", ["q_ee", "q_mumu", "q_etau"])
def test_ends_of_intervals_against_minuit_on_real_data(name, measured):
    assert_ends_are_at_the_level(measured("csi"), name)
    assert_ends_are_at_the_level(measured("lar"), name)


@pytest.mark.parametrize("value", [6.2e-7, 7.0e-7])
def test_far_charges_on_real_data_have_two_minima(value, measured):
    """One near the nominal efficiency, and a lower one at -1.6 standard deviations."""
    made = measured("csi", ("cevns",), "shape")
    assert float(made.statistic.along(["q_ee"])(value)) <= profiled(made, q_ee=value) + 1e-6


def test_disjoint_pieces_with_shapes_on_real_data(measured):
    """Three pieces for q_ee; Minuit knows all six ends."""
    made = measured("csi", ("cevns",), "shape")
    assert_ends_are_at_the_level(made, "q_ee", pieces=3)


def test_a_coupling_of_its_square_is_symmetric(fluctuated):
    chi2 = fluctuated("csi", ("cevns",), "shape").statistic.along(["q_emu"])
    values = np.array([1e-8, 7e-8, 3e-7])
    assert chi2(values) == pytest.approx(chi2(-values), abs=1e-7)


LIMITS = {"q_ee": 5.065, "q_mumu": 1.83, "q_emu": 1.79, "q_etau": 5.07, "q_mutau": 1.83}
"""90 % limits of the reference analysis in 1e-10 e, nuclei and electrons; q_ee from -5.06 to 5.07."""


@pytest.mark.parametrize("name", LIMITS)
def test_reference_limits(name, measured):
    made = measured("csi", ("cevns", "electron"))
    found = interval(made.statistic.along([name]), 0.90)
    ((low, high),) = found.segments
    assert low * 1e10 == pytest.approx(-LIMITS[name], rel=0.015)
    assert high * 1e10 == pytest.approx(LIMITS[name], rel=0.015)
