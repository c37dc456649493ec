"""Limits on charges from the data sets: Minuit at their ends, and the reference analysis on the real files."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2 as chi2_law
from written_out import lowest

from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import best_fit, interval


def profiled(measurement, **charges):
    """chi^2 at charges by Minuit over all nuisances: the lowest from several starts, one of them where we ended."""
    likelihood = measurement.likelihood
    centres = {parameter.name: parameter.centre for parameter in likelihood.parameters}
    offset, efficiency = measurement.parameter("time_offset_us"), measurement.parameter("efficiency")
    starts = [centres | ({offset: shift} if offset in centres else {}) for shift in (-0.1, 0.0, 0.1)]
    if offset not in centres:
        starts = starts[:1]
    if efficiency in centres:
        starts += [centres | {efficiency: pull} for pull in (-1.6, 1.6)]
    point = [charges.get(name, 0.0) for name in likelihood.couplings]
    pulls = likelihood.minimised(np.array([point])).pulls[0]
    starts.append({p.name: p.centre + p.unit * pull for p, pull in zip(likelihood.parameters, pulls, strict=True)})
    return lowest(likelihood, charges, starts=starts).chi2


def assert_ends_are_at_the_level(measurement, name, pieces=None, confidence_level=0.9):
    chi2 = Chi2.of(measurement.likelihood, [name])
    limit = interval(chi2, confidence_level)
    ends = [end for piece in limit.segments for end in piece]
    assert ends
    assert pieces is None or len(limit.segments) == pieces
    assert np.all(np.isfinite(ends))
    minimum = profiled(measurement, **{name: limit.best_fit})
    assert best_fit(chi2)[1] == pytest.approx(minimum, abs=2e-4)
    level = float(chi2_law.ppf(confidence_level, 1))
    for end in ends:
        assert profiled(measurement, **{name: end}) - minimum == pytest.approx(level, abs=2e-3)
    # Inside and outside, a little further along.
    for low, high in limit.segments:
        step = 0.02 * (high - low)
        assert float(chi2(low + step)) < level + minimum < float(chi2(low - step))
        assert float(chi2(high - step)) < level + minimum < float(chi2(high + step))


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
    measurement = measured("csi", ("cevns",), "shape")
    assert float(Chi2.of(measurement.likelihood, ["q_ee"])(value)) <= profiled(measurement, q_ee=value) + 1e-6


def test_disjoint_pieces_with_shapes_on_real_data(measured):
    """Three pieces for q_ee; Minuit knows all six ends."""
    measurement = measured("csi", ("cevns",), "shape")
    assert_ends_are_at_the_level(measurement, "q_ee", pieces=3)


def test_a_coupling_of_its_square_is_symmetric(fluctuated):
    chi2 = Chi2.of(fluctuated("csi", ("cevns",), "shape").likelihood, ["q_emu"])
    values = np.array([1e-8, 7e-8, 3e-7])
    assert chi2(values) == pytest.approx(chi2(-values), abs=1e-7)


LIMITS = {"q_ee": 5.065, "q_mumu": 1.83, "q_emu": 1.79, "q_etau": 5.07, "q_mutau": 1.83}
"""90 % limits of the reference analysis in 1e-10 e, nuclei and electrons; q_ee from -5.06 to 5.07."""


@pytest.mark.parametrize("name", LIMITS)
def test_reference_limits(name, measured):
    measurement = measured("csi", ("cevns", "electron"))
    result = interval(Chi2.of(measurement.likelihood, [name]), 0.90)
    ((low, high),) = result.segments
    assert low * 1e10 == pytest.approx(-LIMITS[name], rel=0.015)
    assert high * 1e10 == pytest.approx(LIMITS[name], rel=0.015)
