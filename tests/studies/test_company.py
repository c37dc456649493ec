"""Detectors that share uncertainties: neither their order nor what stands beside them changes a number."""

from __future__ import annotations

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.studies import feldman_cousins

PROJECTED = (
    {"preset": "ess-csi"},
    {"preset": "ess-ge", "statistic": "poisson"},
    {"preset": "ess-xe"},
    {"preset": "ess-si", "statistic": "poisson"},
)
"""Least squares and Poisson, all with one energy scale."""
REAL = ({"preset": "ess-ge", "statistic": "poisson"}, {"preset": "ess-csi"}, {"preset": "coherent-csi-2021"})
BESIDE = [{"preset": "ess-ar", "name": "stranger"}]
SHARED = [
    {"name": "calibration", "kind": "energy_scale", "width": 0.02, "detectors": ["ess-csi", "ess-ge"]},
    {"name": "flux", "width": 0.05},
]


def run(detectors, signal="independent", data=None, beside=(), **keys):
    """A study of detectors, all of them in one combination, with others beside them that are in none."""
    names = [detector["preset"] for detector in detectors]
    content = {
        "name": "company",
        "source": "ess",
        "exposure_years": 3,
        "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [*beside, *detectors],
        "systematics": SHARED,
        "combinations": [{"name": "all", "detectors": names, "signal": signal}],
        **keys,
    }
    return cl.study_from_dict(content, data=data).run()


def numbers(result):
    """Every number of a result by what it is about, but for those of strangers."""
    rows = {}
    for limit in result.limits:
        key = "limit", limit.detector, limit.coupling, limit.confidence_level
        rows[key] = (*np.ravel(limit.segments), limit.best_fit)
    for values in result.critical_values:
        rows["critical", values.detector, values.coupling] = (*values.value, *values.critical_value)
    for pull in result.pulls:
        key = "pull", pull.detector, pull.coupling, pull.parameter
        rows[key] = (pull.best_fit, pull.error, pull.impact_up, pull.impact_down)
    for row in result.fit:
        rows["fit", row.detector, row.parameter] = (row.value, row.error or 0.0)
    return {key: value for key, value in rows.items() if key[1] != "stranger"}


def assert_company_changes_nothing(detectors, **options):
    """Exactly: the sums are taken in one order, so that not even rounding differs."""
    alone = numbers(run(detectors, **options))
    assert {key[1] for key in alone} == {"all", *(detector["preset"] for detector in detectors)}
    assert numbers(run(detectors[::-1], beside=BESIDE, **options)) == alone


def test_limits_pulls_and_fits_of_projections():
    assert_company_changes_nothing(PROJECTED, pulls=True)


def test_couplings_that_are_minimised_over():
    assert_company_changes_nothing(PROJECTED[:2], profile=["q_mumu"])


def test_limits_pulls_and_fits_beside_real_data(coherent_data):
    assert_company_changes_nothing(REAL, data=coherent_data)


def test_toys_of_feldman_cousins(monkeypatch):
    monkeypatch.setattr(feldman_cousins, "POINTS_PER_PIECE", 3)
    toys = {"method": "feldman-cousins", "toys": 100, "seed": 5}
    assert_company_changes_nothing(PROJECTED[:2], intervals=toys, systematics=SHARED[1:])


def test_a_name_of_a_detector_is_only_its_name():
    """All but the random numbers: another name sorts the data sets anew, which leaves rounding."""
    first = numbers(run(PROJECTED, "correlated", pulls=True))
    names = {"ess-csi": "z", "ess-xe": "a"}
    detectors = [{**detector, "name": names.get(detector["preset"], detector["preset"])} for detector in PROJECTED]
    shared = [{**SHARED[0], "detectors": ["z", "ess-ge"]}, SHARED[1]]
    members = [detector["name"] for detector in detectors]
    combination = [{"name": "all", "detectors": members, "signal": "correlated"}]
    second = numbers(run(detectors, pulls=True, systematics=shared, combinations=combination))
    for key, value in first.items():
        renamed = [names.get(word, word) if isinstance(word, str) else word for word in key]
        last = renamed[-1]
        if isinstance(last, str) and "." in last:
            head, _, tail = last.partition(".")
            renamed[-1] = f"{names.get(head, head)}.{tail}"
        assert second[tuple(renamed)] == pytest.approx(value, rel=1e-6, abs=1e-12), key
