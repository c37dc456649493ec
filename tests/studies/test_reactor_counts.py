"""A made-up germanium detector at a reactor with some 20 counts a bin: three routes, and expected bands that hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom
from written_out import lowest

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.likelihood.toys import Truth, as_data, draw
from cevnslab.studies.analysis import analyses

KEYS = {
    "name": "reactor",
    "source": "reactor",
    "exposure_years": 1,
    "couplings": ["cevns_strength", "mu_e"],
    "uncertainties": {"signal": 0.05},
    "detectors": [
        {
            "name": "germanium",
            "target": "Ge",
            "mass_kg": 1,
            "distance_m": 25,
            "quenching": {"lindhard_k": 0.162},
            "bin_edges_kevee": [0.20, 0.209, 0.22, 0.235, 0.257, 0.29, 0.33, 0.37, 0.41, 0.455, 0.50],
            "resolution": {"sigma_kevee": 0.02, "at_kevee": 0.2},
            "efficiency": 0.9,
            "backgrounds": [{"name": "flat", "ckkd_ee": 1.4, "uncertainty": 0.05}],
        }
    ],
}
LEVEL = delta_chi2_level(0.90, 1)
TOYS = 200


def likelihood(**change):
    return analyses(cl.study_from_dict({**KEYS, **change}))["germanium"].likelihood


@pytest.fixture(scope="module")
def poisson():
    return likelihood(statistic="poisson")


def test_counts_are_some_twenty_a_bin(poisson):
    counts = poisson.datasets[0].observed
    assert np.all((counts > 13) & (counts < 27))


@pytest.mark.parametrize("coupling", ["cevns_strength", "mu_e"])
def test_closed_form_engine_and_minuit_agree_on_least_squares(coupling):
    # A part of the flux with an uncertainty of its own has no closed form.
    squares = likelihood().with_widths({"reactor.above_8_mev": 0.0})
    function = Chi2.of(squares, (coupling,), ())
    assert function.ratio is not None
    place = squares.couplings.index(coupling)

    def engine(value):
        point = squares.polynomial.standard_model.copy()
        point[place] = value
        return float(squares.minimised(point[None, :]).chi2[0])

    (low, high) = interval(function, 0.90).segments[0]
    unit = high - low
    for end in (low, high):
        if end == 0:  # a wall
            assert engine(0.0) < LEVEL
            continue
        by_engine = brentq(lambda value: engine(value) - LEVEL, end - 0.1 * unit, end + 0.1 * unit, xtol=1e-12 * unit)
        assert by_engine == pytest.approx(end, rel=1e-6)
        assert lowest(squares, {coupling: end}, random=0, tol=1e-5).chi2 == pytest.approx(LEVEL, abs=1e-3)


def test_engine_and_minuit_agree_on_poisson_counts(poisson):
    rng = np.random.default_rng(11)
    toy = as_data(poisson, draw(poisson, Truth.of(poisson, poisson.polynomial.standard_model), 1, rng, "drawn"), 0)
    limit = cl.limit(toy, "cevns_strength")
    best = lowest(toy, free={"cevns_strength": 1.0}, random=0, tol=1e-5)
    assert best.values["cevns_strength"] == pytest.approx(limit.best_fit, abs=1e-3)
    for end in limit.segments[0]:
        at = lowest(toy, {"cevns_strength": end}, random=0, tol=1e-5)
        assert at.chi2 - best.chi2 == pytest.approx(LEVEL, abs=2e-3)


def test_an_observed_limit_lies_in_its_expected_bands_as_often_as_it_should(poisson):
    """200 experiments, each with a limit searched from scratch, beside bands from other toys."""
    expected = cl.expected_limit(poisson, "cevns_strength", toys=5_000, seed=1)
    ends = [cl.limit(toy, "cevns_strength").segments for toy in cl.toys(poisson, TOYS, seed=2)]
    for end, values in (
        (expected.lower, np.array([pieces[0][0] for pieces in ends])),
        (expected.upper, np.array([pieces[-1][1] for pieces in ends])),
    ):
        for share, low, high in ((0.68, end.low_68, end.high_68), (0.95, end.low_95, end.high_95)):
            inside = int(np.sum((values >= low) & (values <= high)))
            first, last = binom.interval(0.9999, TOYS, share)
            assert first <= inside <= last, (share, inside)
