"""Feldman-Cousins intervals and regions, and a run that is killed in the middle."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from support import PATIENCE_S, REMOVED, STUDY, changed, least_squares

import cevnslab as cl
from cevnslab.errors import StudyError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.studies import feldman_cousins

COLUMNS = "detector,channels,coupling,confidence_level,convention,toys,value,critical_value,critical_value_error"


def study_keys(toys=1000, **changes):
    keys = {"couplings": ["q_ee", "q_etau"], "detectors": [{"preset": "ess-csi"}], **changes}
    return {**changed(keys), "intervals": {"method": "feldman-cousins", "toys": toys, "seed": 3}}


@pytest.fixture(scope="module")
def simulated():
    return cl.study_from_dict(study_keys()).run()


def test_near_the_delta_chi2_intervals(simulated):
    """q_ee undercovers, so that its interval grows; a transition charge overcovers, so that it shrinks."""
    plain = cl.study_from_dict(changed({"intervals": REMOVED}, study_keys())).run()
    for name, low, high in (("q_ee", 1.0, 1.35), ("q_etau", 0.9, 1.02)):
        limit = simulated.limit("ess-csi", name)
        assert (limit.method, limit.delta_chi2) == ("feldman-cousins", None)
        assert limit.delta_chi2_segments == plain.limit("ess-csi", name).segments
        assert limit.segments[0][0] < 0 < limit.segments[0][1]
        ratios = np.array(limit.segments[0]) / np.array(limit.delta_chi2_segments[0])
        assert np.all((ratios > low) & (ratios < high))
    assert simulated.limit("ess-csi", "q_etau").segments[0][0] == -simulated.limit("ess-csi", "q_etau").segments[0][1]


def test_critical_values(simulated):
    wilks = delta_chi2_level(0.90, 1)
    charge, transition = simulated.critical_values
    for values in simulated.critical_values:
        assert (values.toys, values.convention) == (1000, "global minimum; normalisations drawn")
        assert np.all(values.critical_value_error > 0)
        assert np.all(values.critical_value_error < 0.15 * values.critical_value)
        assert 0 < values.interpolation_error < 1
    near_zero = np.abs(charge.value) < 5e-9
    error = np.mean(charge.critical_value_error) / np.sqrt(near_zero.sum())
    assert np.mean(charge.critical_value[near_zero]) > wilks + 3 * error
    assert transition.value[0] == 0
    assert transition.critical_value[0] < wilks - 2 * transition.critical_value_error[0]


def test_ends_are_where_delta_chi2_meets_the_critical_value(simulated):
    source, detector = cl.load_source("ess"), cl.load_detector("ess-csi")
    response = cl.response(source, detector, couplings=["q_ee", "q_etau"], years=3)
    likelihood = least_squares(response, 0.1, 0.01)
    for values in simulated.critical_values:
        chi2 = Chi2.of(likelihood, [values.coupling])
        for piece in simulated.limit("ess-csi", values.coupling).segments:
            for end in piece:
                x = abs(end) if values.value.min() >= 0 else end
                allowed = np.interp(x, values.value, values.critical_value)
                assert float(chi2(end)) == pytest.approx(allowed, rel=1e-3)


def test_reproducible_and_seeded(simulated):
    again = cl.study_from_dict(study_keys()).run()
    assert again.limits == simulated.limits
    other = study_keys()
    other["intervals"]["seed"] = 4
    different = cl.study_from_dict(other).run()
    assert different.limit("ess-csi", "q_ee").segments != simulated.limit("ess-csi", "q_ee").segments
    errors = [values.critical_value_error.max() for values in simulated.critical_values]
    for first, second, error in zip(different.critical_values, simulated.critical_values, errors, strict=True):
        assert np.max(np.abs(first.critical_value - second.critical_value)) < 5 * np.sqrt(2) * error


@pytest.mark.parametrize(("key", "value"), [("ensemble", "centres"), ("minimum", "connected")])
def test_conventions_are_said(key, value):
    keys = study_keys(toys=200, couplings=["q_ee"])
    keys["intervals"][key] = value
    result = cl.study_from_dict(keys).run()
    word = {"centres": "constraint centres fluctuated", "connected": "connected minimum"}[value]
    assert word in result.critical_values[0].convention
    assert word in str(result)
    assert len(result.limits[0].segments) >= 1


def test_poisson_and_combinations():
    keys = study_keys(toys=100, couplings=["q_mumu"])
    keys["detectors"] = [{"preset": "ess-csi", "statistic": "poisson"}, {"preset": "ess-xe"}, {"preset": "ess-ge"}]
    keys["combinations"] = [{"name": "two", "detectors": ["ess-xe", "ess-ge"], "signal": "correlated"}]
    result = cl.study_from_dict(keys).run()
    assert [(limit.detector, limit.statistic) for limit in result.limits] == [
        ("ess-csi", "poisson"),
        ("ess-xe", "least-squares"),
        ("ess-ge", "least-squares"),
        ("two", "least-squares"),
    ]
    for limit in result.limits:
        # So few toys may cut off a piece: the hull is compared.
        hulls = [np.array([pieces[0][0], pieces[-1][1]]) for pieces in (limit.segments, limit.delta_chi2_segments)]
        assert np.all((hulls[0] / hulls[1] > 0.7) & (hulls[0] / hulls[1] < 1.4))


def test_the_files(command, write_study, tmp_path):
    ran = command("run", write_study(study_keys(toys=100)), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    for word in ("Feldman-Cousins", "delta chi2", "100 toys", "global minimum; normalisations drawn", "interpolation"):
        assert word in ran.out
    folder = tmp_path / "out" / "my-study"
    text = (folder / "critical_values.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(text.splitlines()))
    assert {(row["detector"], row["coupling"], row["toys"], row["convention"]) for row in rows} == {
        ("ess-csi", name, "100", "global minimum; normalisations drawn") for name in ("q_ee", "q_etau")
    }
    with (folder / "limits.csv").open(encoding="utf-8") as file:
        limits = list(csv.DictReader(file))
    assert {row["coupling"] for row in limits} == {"q_ee", "q_etau"}
    assert {(row["method"], row["delta_chi2"]) for row in limits} == {("feldman-cousins", "")}
    assert any("critical" in path.name for path in (folder / "figures").glob("*.pdf"))
    assert not (folder / ".blocks").exists()
    assert cl.load_result(folder).limits[0].delta_chi2_segments is not None


def test_a_region(monkeypatch):
    """Near the delta chi^2 contour, around the Standard Model, closed."""
    monkeypatch.setattr(feldman_cousins, "REGION_POINTS", 8)
    keys = study_keys(toys=100, contours=[["q_ee", "q_mumu"]], couplings=["q_ee", "q_mumu"])
    regions = cl.study_from_dict(keys).run().contours
    plain = cl.study_from_dict(changed({"intervals": REMOVED}, keys)).run().contours
    assert len(regions) == len(plain) == 1
    largest = max(regions[0].polygons, key=len)
    assert largest[0] == pytest.approx(largest[-1], rel=1e-9)
    angles = np.unwrap(np.arctan2(*(largest / np.abs(largest).max(axis=0)).T))
    assert abs(angles[-1] - angles[0]) == pytest.approx(2 * np.pi, rel=1e-6)

    def area(polygons):
        return sum(abs(np.sum(p[:-1, 0] * p[1:, 1] - p[1:, 0] * p[:-1, 1])) / 2 for p in polygons)

    assert 0.7 < area(regions[0].polygons) / area(plain[0].polygons) < 1.6


SATURATING = {
    "uncertainties.signal": 0.3,
    "exposure_years": 0.03,
    "detectors": [{"preset": "ess-csi"}, {"preset": "ess-ge", "name": "one-bin", "bins": 1}],
}


def test_where_delta_chi2_saturates():
    """A weak detector whose signal is known to 30 %: chi2 stays below the simulated reach at any coupling."""
    result = cl.study_from_dict(study_keys(**SATURATING)).run()
    for limit in result.limits:
        assert limit.segments, f"{limit.detector} {limit.coupling}: the interval is empty"
        assert any(low <= 0 <= high for low, high in limit.segments)
        ratio = limit.segments[-1][1] / limit.delta_chi2_segments[-1][1]
        assert 0.8 < ratio < 1.3, f"{limit.detector} {limit.coupling}"


TOYS = 6_000


def start(path, output):
    arguments = [sys.executable, "-m", "cevnslab", "run", str(path), "-o", str(output)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    return out


def contents(folder):
    assert not (folder / ".blocks").exists()
    files = {path.name: path.read_bytes() for path in (*folder.glob("*.csv"), folder / "result.json")}
    assert {"limits.csv", "critical_values.csv", "result.json"} <= set(files)
    return files


def test_a_real_kill_and_a_resume_end_with_the_same_bytes(tmp_path):
    keys = study_keys(toys=TOYS, couplings=["q_ee"], detectors=STUDY["detectors"])
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    killed = start(path, tmp_path / "killed")
    store = tmp_path / "killed" / "my-study" / ".blocks"
    deadline = time.monotonic() + PATIENCE_S
    while len(list(store.glob("*/*.block"))) < 10:
        assert killed.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    stored = {place.name: place.stat().st_mtime_ns for place in store.glob("*/*.block")}
    assert 10 <= len(stored) < 33 * 3
    assert not (store.parent / "limits.csv").exists()
    # The second run takes the kept blocks: they are there, untouched, while it works.
    second = start(path, tmp_path / "killed")
    while len(list(store.glob("*/*.block"))) < len(stored) + 5:
        assert second.poll() is None
        time.sleep(0.005)
    now = {place.name: place.stat().st_mtime_ns for place in store.glob("*/*.block")}
    assert {name: now[name] for name in stored} == stored
    first, undisturbed = finish(second), finish(start(path, tmp_path / "undisturbed"))
    assert first.replace("killed", "undisturbed") == undisturbed
    assert contents(tmp_path / "killed" / "my-study") == contents(tmp_path / "undisturbed" / "my-study")


def test_neither_order_nor_company_changes_a_number():
    keys = {
        "name": "company",
        "source": "ess",
        "exposure_years": 3,
        "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.10, "background": 0.01},
        "intervals": {"method": "feldman-cousins", "toys": 300, "seed": 5},
    }
    alone = cl.study_from_dict({**keys, "detectors": [{"preset": "ess-ge"}]}).run()
    second = cl.study_from_dict({**keys, "detectors": [{"preset": "ess-xe"}, {"preset": "ess-ge"}]}).run()
    assert alone.limit("ess-ge", "q_ee").segments == second.limit("ess-ge", "q_ee").segments


COMPANY = {
    "name": "company",
    "source": "ess",
    "exposure_years": 3,
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "statistic": "poisson",
}


def test_the_order_of_a_combination_changes_no_number(monkeypatch):
    monkeypatch.setattr(feldman_cousins, "POINTS_PER_PIECE", 5)
    keys = {**COMPANY, "couplings": ["q_ee"], "intervals": {"method": "feldman-cousins", "toys": 100, "seed": 5}}
    segments = []
    for names in (["ess-csi", "ess-xe"], ["ess-xe", "ess-csi"]):
        members = {"detectors": [{"preset": name} for name in names]}
        both = {"combinations": [{"name": "both", "detectors": names, "signal": "correlated"}]}
        result = cl.study_from_dict({**keys, **members, **both}).run()
        segments.append(np.array(result.limit("both", "q_ee").segments))
    assert segments[0] == pytest.approx(segments[1], rel=1e-6)


def test_every_confidence_level_has_a_row_that_no_other_changes():
    keys = study_keys(toys=200, couplings=["q_ee"])
    keys["intervals"]["confidence_level"] = [0.95, 0.6827]
    both = cl.study_from_dict(keys).run()
    assert [limit.confidence_level for limit in both.limits] == [0.95, 0.6827]
    assert [values.confidence_level for values in both.critical_values] == [0.95, 0.6827]
    (wide,), (narrow,) = (limit.segments for limit in both.limits)
    assert wide[0] < narrow[0] < 0 < narrow[1] < wide[1]
    keys["intervals"]["confidence_level"] = 0.6827
    (alone,) = cl.study_from_dict(keys).run().limits
    assert alone.segments == both.limits[1].segments


@pytest.fixture(scope="module")
def without_signal_uncertainty():
    return tiny(0.0)


def tiny(width, statistic="least-squares"):
    keys = {**COMPANY, "couplings": ["q_ee"], "detectors": [{"preset": "ess-csi"}], "statistic": statistic}
    keys["uncertainties"] = {"signal": width, "background": 0.01}
    keys["intervals"] = {"method": "feldman-cousins", "toys": 300, "seed": 5}
    return cl.study_from_dict(keys).run().limits[0]


@pytest.mark.parametrize("width", [1e-9, 1e-8, 1e-6])
def test_tiny_widths(width, without_signal_uncertainty):
    """One piece, the delta chi^2 interval of no width at all, and critical values within their errors."""
    limit, reference = tiny(width), without_signal_uncertainty
    assert len(limit.segments) == len(reference.segments) == 1
    assert limit.delta_chi2_segments == pytest.approx(np.array(reference.delta_chi2_segments), rel=1e-6)
    assert limit.segments[0] == pytest.approx(reference.segments[0], rel=0.12)


def test_a_width_that_loses_all_digits_is_refused():
    with pytest.raises(StudyError, match="must be 0, which fixes it, or at least 1e-09, got 1e-10"):
        tiny(1e-10)


def test_a_huge_width(monkeypatch):
    """A signal known to a factor of three: most toys say nothing of the coupling but its shape."""
    monkeypatch.setattr(feldman_cousins, "POINTS_PER_PIECE", 9)
    limit = tiny(3.0)
    (low, high) = limit.segments[0][0], limit.segments[-1][1]
    assert low < limit.best_fit < high


def test_what_was_refused(monkeypatch):
    """Hidden couplings with a prior, independent combinations: all by the one likelihood."""
    monkeypatch.setattr(feldman_cousins, "POINTS_PER_PIECE", 5)
    keys = {
        **COMPANY,
        "couplings": ["q_ee"],
        "profile": ["q_mumu"],
        "priors": {"q_mumu": {"centre": 0.0, "width": 1e-9}},
        "detectors": [{"preset": "ess-csi", "bins": 4}, {"preset": "ess-xe", "bins": 4}],
        "combinations": [{"name": "apart", "detectors": ["ess-csi", "ess-xe"], "signal": "independent"}],
        "intervals": {"method": "feldman-cousins", "toys": 100, "seed": 5},
    }
    result = cl.study_from_dict(keys).run()
    assert [limit.detector for limit in result.limits] == ["ess-csi", "ess-xe", "apart"]
    for limit in result.limits:
        hulls = [np.array([pieces[0][0], pieces[-1][1]]) for pieces in (limit.segments, limit.delta_chi2_segments)]
        assert np.all((hulls[0] / hulls[1] > 0.7) & (hulls[0] / hulls[1] < 1.4))


def test_a_quantile_that_toys_cannot_resolve_is_refused(command, write_study, tmp_path):
    keys = study_keys(toys=100)
    keys["intervals"]["confidence_level"] = 0.99
    for arguments in (["check"], ["run", "-o", tmp_path / "out"]):
        ran = command(arguments[0], write_study(keys), *arguments[1:])
        assert ran.status == 2
        assert "intervals.toys: 100 toys do not resolve 99 %, which needs 1000" in ran.err
    assert not (tmp_path / "out").exists()
