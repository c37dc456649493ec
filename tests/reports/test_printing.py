"""Results and limits as they look in a notebook."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import changed

import cevnslab as cl
from cevnslab.reports.tables import html_interval, interval_text


def test_a_result_is_a_table_of_all_its_limits(paper):
    text = paper._repr_html_()
    assert text.count("<tr>") == 1 + len(paper.limits)
    assert "[\u22123.85, 4.87]\u00a0\u00d7\u00a010<sup>\u22129</sup>\u00a0e" in text
    assert "90 % CL" in text


def test_a_limit_has_all_its_pieces():
    keys = changed({"detectors": [{"preset": "ess-ge"}], "intervals": {"confidence_level": 0.9982}})
    result = cl.study_from_dict(keys).run()
    limit = result.limit("ess-ge", "q_ee")
    assert len(limit.segments) == 2
    assert limit._repr_html_().count("[") == 2
    assert " or " in html_interval(limit, result)
    assert "99.82 %" in limit._repr_html_()


@pytest.mark.parametrize(
    ("segments", "unit", "expected"),
    [
        ((), "e", "none"),
        (((-1.5e-32, 2e-32),), "cm2", "[\u22121.50, 2.00]\u00a0\u00d7\u00a010<sup>\u221232</sup>\u00a0cm<sup>2</sup>"),
        (((0.0, 2.5e-10),), "mu_B", "[0.00, 2.50]\u00a0\u00d7\u00a010<sup>\u221210</sup>\u00a0\u03bc<sub>B</sub>"),
        (((0.21, 0.26),), "1", "[0.210, 0.260]"),
        (((0.0, 1.0),), "<b>", "[0.00, 1.00]\u00a0&lt;b&gt;"),
    ],
)
def test_numbers_units_and_open_ends(segments, unit, expected, paper):
    assert html_interval(replace(paper.limits[0].with_crossings(segments), unit=unit)) == expected


@pytest.mark.parametrize(
    ("segments", "kinds", "expected"),
    [
        (((-3.85e-9, 1e-4),), (("limit", "bound"),), "[-3.85, 100000 (bound)] 1e-9 e"),
        (((0.0, 2e-9),), (("bound", "hidden-bound"),), "[0.00 (bound), 2.00 (hidden-bound)] 1e-9 e"),
        (((-1e-4, 1e-4),), (("unconstrained", "unconstrained"),), "unconstrained in [-1.00, 1.00] 1e-4 e"),
    ],
    ids=str,
)
def test_what_makes_an_end_is_said(segments, kinds, expected, paper):
    limit = replace(paper.limits[0], segments=segments, kinds=kinds)
    assert interval_text(limit, paper) == expected
    html = html_interval(limit, paper)
    for kind in {kind for pair in kinds for kind in pair} - {"limit"}:
        assert kind in html


def test_names_are_escaped(paper):
    limit = replace(paper.limits[0], detector="<script>alert(1)</script>", coupling="a&b")
    for text in (
        limit._repr_html_(),
        replace(paper, couplings={**paper.couplings, "a&b": paper.couplings["q_ee"]}, limits=(limit,))._repr_html_(),
    ):
        assert "<script" not in text
        assert "a&amp;b" in text


def test_feldman_cousins_has_the_other_interval_beside(paper):
    limits = tuple(
        replace(limit, delta_chi2_segments=limit.segments, delta_chi2_kinds=limit.kinds) for limit in paper.limits
    )
    text = replace(paper, limits=limits)._repr_html_()
    assert "Feldman-Cousins" in text
    assert "delta \u03c7\u00b2" in text
    assert "delta \u03c7\u00b2" in limits[0]._repr_html_()


def test_a_best_fit_away_from_the_standard_model_gets_a_column(paper):
    assert "best fit" not in paper._repr_html_()
    moved = replace(paper.limits[0], best_fit=2e-9)
    text = replace(paper, limits=(moved, replace(paper.limits[1], best_fit=-1e-20)))._repr_html_()
    assert "best fit" in text
    assert "<td>2.00\u00a0" in text
    assert "<td>0.00\u00a0" in text  # and no minus before a zero
