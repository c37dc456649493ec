"""Scans: the limits of a changed study, for the analyses that the key can change."""

from __future__ import annotations

import csv

import pytest
from support import STUDY, changed, near

import cevnslab as cl
from cevnslab.studies.scans import vary

COLUMNS = (
    "scan,key,value,detector,channels,statistic,coupling,confidence_level,segment,lower,upper,lower_kind,upper_kind"
)

TWO = changed(
    {
        "couplings": ["q_ee", "q_emu"],
        "detectors": [
            STUDY["detectors"][0],
            {"preset": "ess-csi"},
            {"preset": "ess-csi", "name": "far.csi", "distance_m": 40, "exposure_years": 2},
        ],
        "combinations": [
            {"name": "near-ones", "detectors": ["my-ge", "ess-csi"], "signal": "correlated"},
            {"name": "csi-only", "detectors": ["ess-csi", "far.csi"], "signal": "independent"},
        ],
    }
)
SCANS = {
    "exposure": ("exposure_years", [1, 6], ["my-ge", "ess-csi", "far.csi", "near-ones", "csi-only"]),
    "threshold": ("detectors.my-ge.threshold_kev", [0.8, 2.5], ["my-ge", "near-ones"]),
    "bins": ("detectors.my-ge.bins", [3, 11], ["my-ge", "near-ones"]),
    "mass": ("detectors.ess-csi.mass_kg", [1, 100.5], ["ess-csi", "near-ones", "csi-only"]),
    "background": ("detectors.far.csi.background_ckkd", [1, 50], ["far.csi", "csi-only"]),
    "signal": ("uncertainties.signal", [0.0, 0.3], ["my-ge", "ess-csi", "far.csi", "near-ones", "csi-only"]),
    "resolution": ("detectors.my-ge.resolution.sigma_kev", [0.05, 1], ["my-ge", "near-ones"]),
    "own-exposure": ("detectors.far.csi.exposure_years", [0.5], ["far.csi", "csi-only"]),
}
PATHS = {
    "threshold": "detectors.0.threshold_kev",
    "bins": "detectors.0.bins",
    "mass": "detectors.1.mass_kg",
    "background": "detectors.2.background_ckkd",
    "resolution": "detectors.0.resolution.sigma_kev",
    "own-exposure": "detectors.2.exposure_years",
}


@pytest.fixture(scope="module")
def scanned():
    scans = [{"name": name, "key": key, "values": values} for name, (key, values, _) in SCANS.items()]
    return cl.study_from_dict(changed({"scans": scans}, TWO)).run()


@pytest.mark.parametrize("name", SCANS)
def test_values_are_those_of_the_changed_study(name, scanned):
    key, values, analysed = SCANS[name]
    points = [point for point in scanned.scans if point.scan == name]
    assert {point.key for point in points} == {key}
    assert [point.value for point in points[:: 2 * len(analysed)]] == values
    assert len(points) == len(values) * len(analysed) * 2
    for value in values:
        direct = cl.study_from_dict(changed({PATHS.get(name, key): value}, TWO)).run()
        limits = [point.limit for point in points if point.value == value]
        assert [limit.detector for limit in limits[::2]] == analysed
        for limit in limits:
            assert limit.segments == direct.limit(limit.detector, limit.coupling).segments


def test_a_better_detector_limits_more(scanned):
    def width(scan, value, detector):
        (limit,) = [
            p.limit
            for p in scanned.scans
            if (p.scan, p.value, p.limit.detector, p.limit.coupling) == (scan, value, detector, "q_emu")
        ]
        return limit.segments[-1][1]

    assert width("exposure", 6, "my-ge") < width("exposure", 1, "my-ge")
    assert width("threshold", 0.8, "my-ge") < width("threshold", 2.5, "my-ge")
    assert width("mass", 100.5, "ess-csi") < width("mass", 1, "ess-csi")
    assert width("signal", 0.0, "near-ones") < width("signal", 0.3, "near-ones")


def test_the_study_itself_is_unchanged(scanned):
    plain = cl.study_from_dict(TWO).run()
    assert [limit.segments for limit in plain.limits] == [limit.segments for limit in scanned.limits]


def test_bins_stay_whole_numbers():
    study = cl.study_from_dict(STUDY)
    varied, names = vary(study, "detectors.my-ge.bins", 5.0)
    assert names == {"my-ge"}
    assert len(varied.setups[0].detector.bin_edges_kev) == 6
    assert isinstance(varied.as_dict()["detectors"][0]["bins"], int)
    varied, _ = vary(study, "exposure_years", 2.5)
    assert varied.setups[0].exposure_years == 2.5


def test_the_file(command, write_study, tmp_path):
    keys = changed({"scans": [{"name": "years", "key": "exposure_years", "values": [1, 3.0, 10]}]})
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    folder = tmp_path / "out" / "my-study"
    text = (folder / "scans.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(text.splitlines()))
    assert list(dict.fromkeys((row["value"], row["coupling"]) for row in rows)) == [
        (value, name) for value in ("1.0", "3.0", "10.0") for name in ("q_ee", "q_emu")
    ]
    assert {(r["scan"], r["key"], r["detector"], r["channels"], r["statistic"]) for r in rows} == {
        ("years", "exposure_years", "my-ge", "cevns", "least-squares")
    }
    with (folder / "limits.csv").open(encoding="utf-8") as file:
        limits = {(row["coupling"], row["segment"]): row for row in csv.DictReader(file)}
    for row in rows:
        assert row["confidence_level"] == "0.9"
        if row["value"] == "3.0":
            there = limits[row["coupling"], row["segment"]]
            assert (row["lower"], row["upper"]) == (there["lower"], there["upper"])
    assert any("scan" in path.name or "years" in path.name for path in (folder / "figures").glob("*.pdf"))
    again = cl.load_result(folder)
    uppers = [high for point in again.scans for _, high in point.limit.segments]
    assert uppers == [near(float(row["upper"]), 1e-15) for row in rows]


def test_pieces_and_statistics_in_the_file(tmp_path):
    """A scan of the confidence level through the second minimum of germanium: two rows where there are two pieces."""
    keys = {
        **{key: STUDY[key] for key in ("name", "source", "exposure_years", "uncertainties")},
        "couplings": ["q_ee"],
        "statistic": "poisson",
        "detectors": [{"preset": "ess-ge", "statistic": "least-squares"}],
        "intervals": {"confidence_level": 0.9},
        "scans": [{"name": "cl", "key": "intervals.confidence_level", "values": [0.9, 0.9982, 0.9999]}],
    }
    folder = cl.study_from_dict(keys).run().save(tmp_path)
    with (folder / "scans.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["confidence_level"], row["segment"]) for row in rows] == [
        ("0.9", "1"),
        ("0.9982", "1"),
        ("0.9982", "2"),
        ("0.9999", "1"),
    ]
    assert {row["statistic"] for row in rows} == {"least-squares"}
