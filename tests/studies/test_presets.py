"""Every built-in study loads, and `check` says all that it would compute."""

from __future__ import annotations

import pytest

import cevnslab as cl
from cevnslab.reports.describe import describe
from cevnslab.studies import presets


@pytest.mark.parametrize("name", presets.names("studies"))
def test_a_built_in_study_describes_itself(name):
    study = cl.load_study(name)
    text = describe(study)
    words = [name, study.file.intervals.method, *(setup.name for setup in study.setups)]
    words += [coupling.name for coupling in study.couplings]
    words += [combination.name for combination in study.file.combinations]
    words += [scan.key for scan in study.file.scans]
    if study.file.intervals.toys:
        words.append(str(study.file.intervals.toys))
    assert [word for word in words if word not in text] == []
    assert cl.study_from_dict(study.as_dict()).sha256 == study.sha256


def test_what_is_made_of_a_preset_changes_no_other():
    presets.load("detectors", "ess-ge")["mass_kg"] = 0
    assert presets.load("detectors", "ess-ge")["mass_kg"] == 7


def test_the_combined_study_is_the_papers_three_detectors_both_ways():
    file = cl.load_study("ess-combined").file
    assert {combination.signal for combination in file.combinations} == {"correlated", "independent"}
    for combination in file.combinations:
        assert sorted(combination.detectors) == ["ess-csi", "ess-ge", "ess-xe"]


def test_the_combined_study_runs():
    result = cl.load_study("ess-combined").run()
    for name in ("correlated-flux", "independent-flux"):
        for coupling in ("q_ee", "q_etau"):
            ((low, high),) = result.limit(name, coupling).segments
            for single in ("ess-csi", "ess-xe", "ess-ge"):
                piece = result.limit(single, coupling).segments[0]
                assert piece[0] < low < 0 < high < piece[1]
        assert result.limit(name, "q_ee").channels == "cevns"
        assert {c.coupling_x for c in result.contours if c.detector == name} == {"q_ee", "q_etau"}
