"""Bad input of pseudo-experiments, combinations and scans: one message, status 2, nothing written."""

from __future__ import annotations

import pytest
from support import STUDY, changed

TWO = changed({"detectors": [STUDY["detectors"][0], {"preset": "ess-csi"}]})
TOYS = {"method": "feldman-cousins", "toys": 100, "seed": 1}


def intervals(**more):
    return {"intervals": {**TOYS, **more}}


def combination(**more):
    entry = {"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "correlated", **more}
    return {"combinations": [entry]}


def scan(key, *values, name="s"):
    return {"scans": [{"name": name, "key": key, "values": list(values)}]}


STUDIES = {
    "toys below 100": (intervals(toys=99), ["intervals.toys", "100", "99"]),
    "no toys": (intervals(toys=0), ["intervals.toys", "100"]),
    "half a toy": (intervals(toys=100.5), ["intervals.toys", "whole number", "100.5"]),
    "a seed with decimals": (intervals(seed=1.5), ["intervals.seed", "whole number", "1.5"]),
    "a seed that is a word": (intervals(seed="abc"), ["intervals.seed", "whole number", "'abc'"]),
    "a negative seed": (intervals(seed=-1), ["intervals.seed", "-1"]),
    "misspelt ensemble": (intervals(ensemble="drawnn"), ["intervals.ensemble", "drawn", "'drawnn'"]),
    "misspelt method": (intervals(method="feldman"), ["intervals.method", "feldman-cousins"]),
    "misspelt minimum": (intervals(minimum="local"), ["intervals.minimum", "connected"]),
    "toys with delta-chi2": ({"intervals": {"toys": 1000}}, ["intervals.toys", "feldman-cousins"]),
    "seed with delta-chi2": ({"intervals": {"seed": 0}}, ["intervals.seed", "feldman-cousins"]),
    "confidence of one": ({"intervals": {"confidence_level": 1.0}}, ["intervals.confidence_level", "1"]),
    "connected regions": (
        {**intervals(minimum="connected"), "contours": [["q_ee", "q_emu"]]},
        ["contours", "global minimum"],
    ),
    "a level that toys do not resolve": (
        intervals(confidence_level=[0.9, 0.95]),
        ["intervals.toys", "95 %", "needs 200"],
    ),
    "misspelt statistic": ({"statistic": "poison"}, ["statistic", "poisson", "'poison'"]),
    "a detector with itself": (combination(detectors=["my-ge", "my-ge"]), ["combinations.both", "'my-ge'", "itself"]),
    "one detector alone": (combination(detectors=["my-ge"]), ["combinations.both.detectors", "2"]),
    "an unknown detector": (combination(detectors=["my-ge", "ess-csj"]), ["combinations.both", "'ess-csj'", "ess-csi"]),
    "named like a detector": (combination(name="my-ge"), ["combinations.my-ge", "unique"]),
    "two of one name": (
        {"combinations": combination()["combinations"] * 2},
        ["combinations", "'both'", "twice"],
    ),
    "misspelt signal": (combination(signal="correlate"), ["combinations.both.signal", "correlated", "'correlate'"]),
    "correlated with two uncertainties": (
        {**combination(), "detectors.0.uncertainties": {"signal": 0.2, "background": 0.01}},
        ["combinations.both.signal", "uncertainty"],
    ),
    "unknown scan key": (scan("exposure_yeers", 1), ["scans.s", "exposure_yeers", "'exposure_years'"]),
    "unknown detector in a scan": (scan("detectors.my-gee.mass_kg", 1), ["scans.s", "my-gee", "'my-ge'"]),
    "unknown key of a detector in a scan": (scan("detectors.my-ge.mass", 1), ["scans.s", "'mass'", "'mass_kg'"]),
    "unknown key of a mapping in a scan": (scan("uncertainties.sgnal", 1), ["scans.s", "'sgnal'", "'signal'"]),
    "key inside a number": (scan("exposure_years.x", 1), ["scans.s", "exposure_years.x"]),
    "scan of a word": (scan("detectors.my-ge.target", 1), ["scans.s", "only a number"]),
    "scan of a mapping": (scan("uncertainties", 1), ["scans.s", "only a number"]),
    "scan of a detector": (scan("detectors.my-ge", 1), ["scans.s", "only a number"]),
    "scan value not allowed": (scan("detectors.my-ge.mass_kg", 5, -1), ["scans.s", "detectors.my-ge.mass_kg", "-1"]),
    "half a bin in a scan": (scan("detectors.my-ge.bins", 2, 2.5), ["scans.s", "detectors.my-ge.bins", "2.5"]),
    "threshold above maximum": (scan("detectors.my-ge.threshold_kev", 1, 50), ["scans.s", "maximum_kev", "50"]),
    "scan without values": (scan("exposure_years"), ["scans.s.values"]),
    "scan with a word": (scan("exposure_years", "long"), ["scans.s.values", "'long'"]),
    "scan with nan": (scan("exposure_years", float("nan")), ["scans.s.values", "finite"]),
    "two scans of one name": (
        {"scans": scan("exposure_years", 1)["scans"] * 2},
        ["scans", "'s'", "twice"],
    ),
    "threshold where no recoil reaches": (
        {**scan("detectors.my-ge.threshold_kev", 1, 900), "detectors.0.maximum_kev": 1000},
        ["my-ge", "no recoil"],
    ),
}


def assert_refused(ran, output, *words):
    assert ran.status == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err, f"'{word}' is not in: {ran.err}"
    assert not output.exists(), f"written: {sorted(output.rglob('*'))}"


@pytest.mark.parametrize("fault", STUDIES)
def test_a_study(fault, command, write_study, tmp_path):
    changes, words = STUDIES[fault]
    output = tmp_path / "out"
    ran = command("run", write_study(changed(changes, TWO)), "-o", output)
    assert_refused(ran, output, *words)
    assert [line.startswith("cevnslab: ") for line in ran.err.splitlines()].count(True) == 1


REQUEST = {"--detector": "my-ge", "--coupling": "q_ee", "--at": "0", "--toys": "200", "--seed": "1"}
REQUESTS = {
    "toys below 100": ({"--toys": "99"}, ["toys", "100", "99"]),
    "toys that are a word": ({"--toys": "many"}, ["--toys"]),
    "a seed with decimals": ({"--seed": "1.5"}, ["--seed"]),
    "a seed that is a word": ({"--seed": "abc"}, ["--seed"]),
    "a negative seed": ({"--seed": "-1"}, ["seed", "-1"]),
    "outside the bounds": ({"--at": "2e-4"}, ["q_ee", "bounds", "0.0002"]),
    "nan": ({"--at": "nan"}, ["at", "nan"]),
    "infinity": ({"--at": "-inf"}, ["at", "inf"]),
    "a word": ({"--at": "zero"}, ["--at"]),
    "an unknown detector": ({"--detector": "my-gee"}, ["'my-gee'", "'my-ge'"]),
    "an unknown coupling": ({"--coupling": "q_eee"}, ["'q_eee'", "'q_ee'"]),
    "a coupling of another study": ({"--coupling": "q_mumu"}, ["'q_mumu'"]),
    "an unknown statistic": ({"--statistic": "poison"}, ["--statistic", "poison"]),
    "an unknown ensemble": ({"--ensemble": "none"}, ["--ensemble", "none"]),
    "too few toys for the study's level": ({"--toys": "150"}, ["toys", "95 %", "needs 200"]),
    "negative workers": ({"--workers": "-1"}, ["--workers"]),
}


@pytest.mark.parametrize("fault", REQUESTS)
def test_a_coverage_request(fault, command, write_study, tmp_path):
    changes, words = REQUESTS[fault]
    study = changed({"intervals": {"confidence_level": 0.95}}, TWO)
    options = [part for pair in {**REQUEST, **changes}.items() for part in pair]
    output = tmp_path / "out"
    assert_refused(command("coverage", write_study(study), *options, "-o", output), output, *words)


@pytest.mark.parametrize("missing", ["--detector", "--coupling", "--at"])
def test_a_coverage_request_without(missing, command, write_study, tmp_path):
    options = [part for pair in REQUEST.items() if pair[0] != missing for part in pair]
    output = tmp_path / "out"
    assert_refused(command("coverage", write_study(STUDY), *options, "-o", output), output, missing)


def test_coverage_of_no_study(command, tmp_path):
    options = [part for pair in REQUEST.items() for part in pair]
    output = tmp_path / "out"
    assert_refused(command("coverage", "parada2042", *options, "-o", output), output, "'parada2024'")
    assert_refused(command("coverage", tmp_path / "no.yaml", *options, "-o", output), output, "no.yaml")


def test_coverage_where_bins_are_empty(command, write_study, tmp_path):
    """Bins far above every recoil, without background: nothing can be there, so they drop out."""
    study = changed({"detectors.0.maximum_kev": 1000, "detectors.0.background_ckkd": 0})
    options = [part for pair in REQUEST.items() for part in pair]
    ran = command("coverage", write_study(study), *options, "-o", tmp_path / "out")
    assert ran.status == 0
    assert (tmp_path / "out" / "my-study" / "coverage.csv").exists()
