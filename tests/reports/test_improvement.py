"""The improvement of the ESS over COHERENT beside what the paper claims."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import STUDY, near

import cevnslab as cl
from cevnslab.reports import improvement
from cevnslab.reports.grid import grid_text
from cevnslab.reports.improvement import Improvement, improvements, reach
from cevnslab.reports.published import published
from cevnslab.reports.tables import improvement_grid, result_text
from cevnslab.studies.references import stored


@pytest.fixture(scope="module")
def rows(paper):
    return improvements(paper)


def test_every_claim_is_held_against_a_number(rows):
    claimed = [(name, c["reference"]) for c in published("improvement")["claims"] for name in c["couplings"]]
    assert [(row.coupling, row.reference) for row in rows] == claimed
    assert len(rows) == 7


def test_the_projection_is_the_papers_best_detector(rows, paper):
    for row in rows:
        claim = next(c for c in published("improvement")["claims"] if row.reference == c["reference"])
        others = [paper.limit(name, row.coupling).segments for name in claim["detectors"]]
        assert row.projected in others
        assert reach(row.projected) == min(reach(segments) for segments in others)
        assert row.projected == paper.limit(row.detector, row.coupling).segments


def test_the_measurement_is_the_stored_one(rows):
    saved_rows = {(row["detector"], row["coupling"]): row["segments"] for row in stored()["limits"]}
    for row in rows:
        assert [list(piece) for piece in row.measured] == saved_rows[row.reference, row.coupling]
        assert row.ratio == near(
            max(abs(end) for piece in row.measured for end in piece)
            / max(abs(end) for piece in row.projected for end in piece),
            1e-14,
        )


VERDICTS = {
    ("q_ee", "coherent-csi-lar"): (18.9, "not confirmed: less"),
    ("q_emu", "coherent-csi-lar"): (13.4, "not confirmed: less"),
    ("q_mutau", "coherent-csi-lar"): (12.5, "not confirmed: less"),
    ("q_etau", "coherent-csi-lar"): (14.4, "not confirmed: less"),
    ("q_mumu", "coherent-csi-lar"): (21.3, "confirmed"),
    ("q_ee", "coherent-csi-2021-electron"): (3.35, "not confirmed: more"),
    ("q_mumu", "coherent-csi-2021-electron"): (1.67, "confirmed"),
}


def test_the_verdicts(rows):
    """With one charge at a time and the data of 2020 and 2021: one order of magnitude, not two."""
    result = {(row.coupling, row.reference): (row.ratio, row.verdict) for row in rows}
    assert set(result) == set(VERDICTS)
    for key, (ratio, verdict) in VERDICTS.items():
        assert result[key][0] == near(ratio, 0.02)
        assert result[key][1] == verdict


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [(0.9, "not confirmed: less"), (1.0, "confirmed"), (2.0, "confirmed"), (2.1, "not confirmed: more")],
)
def test_the_verdict_goes_by_the_range(measured, verdict):
    segments = ((-0.5, 0.1), (0.4, measured))
    row = Improvement("q_ee", "e", "mine", ((-1.0, 0.2),), "theirs", segments, "a claim", (1.0, 2.0))
    assert row.ratio == near(max(measured, 0.5), 1e-15)
    assert row.verdict == verdict


def test_a_study_of_other_detectors_has_none():
    assert improvements(cl.study_from_dict(STUDY).run()) == []


def test_no_row_without_a_stored_limit(paper, monkeypatch):
    some = [row for row in stored()["limits"] if row["coupling"] == "q_mumu"]
    monkeypatch.setattr(improvement, "stored", lambda: {"limits": some})
    assert {row.coupling for row in improvements(paper)} == {"q_mumu"}


def test_no_row_where_nothing_is_left_of_an_interval(paper):
    empty = replace(paper, limits=tuple(limit.with_crossings(()) for limit in paper.limits))
    assert improvements(empty) == []


def test_the_table_shows_every_row(rows, paper):
    text = grid_text(improvement_grid(rows, paper))
    for row in rows:
        (line,) = [
            line for line in text.splitlines() if line.split()[:1] == [row.coupling] and row.reference + " " in line
        ]
        assert f" {row.ratio:.1f} " in line
        assert row.claim in line
        assert line.rstrip().endswith(row.verdict)
    assert "\u2026" not in text  # nothing is cut


def test_reproduce_prints_it(paper):
    assert "Improvement over COHERENT" in result_text(paper)


def test_no_table_is_cut(paper):
    assert "\u2026" not in result_text(paper)
