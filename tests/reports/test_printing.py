"""Results and limits as they look in a notebook."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support import changed

import cevnslab as cl
from cevnslab.reports.grid import grid_text
from cevnslab.reports.html.blocks import cell_html
from cevnslab.reports.tables import described_grid, interval, limits_grid, result_text, scan_grids
from cevnslab.results import TABLES, Pull, Summary
from cevnslab.results.text import interval_text


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
    assert " or " in cell_html(interval(limit, result))
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
    assert cell_html(interval(replace(paper.limits[0].with_crossings(segments), unit=unit))) == expected


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
    assert interval_text(limit, paper.couplings[limit.coupling]) == str(interval(limit, paper)) == expected
    html = cell_html(interval(limit, paper))
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
    assert "delta chi2" in text
    assert "delta chi2" in limits[0]._repr_html_()


def test_a_best_fit_away_from_the_standard_model_gets_a_column(paper):
    assert "best fit: Standard Model" in paper._repr_html_()
    moved = replace(paper.limits[0], best_fit=2e-9)
    text = replace(paper, limits=(moved, replace(paper.limits[1], best_fit=-1e-20)))._repr_html_()
    assert '<th scope="col">best fit</th>' in text
    assert "<td>2.00\u00a0" in text
    assert "<td>Standard Model</td>" in text


def test_columns_that_are_all_the_same_are_said_once(paper):
    grid = limits_grid(paper)
    assert grid.columns == ("detector", "coupling", "interval", "channels")
    assert grid.constant == ("best fit: Standard Model", "statistic: least-squares")
    alone = limits_grid(replace(paper, limits=paper.limits[:5]))
    assert alone.columns == ("coupling", "interval")
    assert "detector: ess-csi" in alone.constant
    assert "(detector: ess-csi; " in str(replace(paper, limits=paper.limits[:5]))
    assert limits_grid(replace(paper, limits=paper.limits[:1])).columns[0] == "detector"


def test_several_levels_have_a_column(paper):
    more = tuple(replace(limit, confidence_level=0.6827) for limit in paper.limits)
    text = str(replace(paper, limits=(*paper.limits, *more)))
    assert limits_grid(replace(paper, limits=(*paper.limits, *more))).columns[2] == "level"
    assert "68.27 %" in text


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(width, paper):
    limit = replace(
        paper.limits[0],
        detector="detector-with-a-name-of-forty-letters-abcd",
        segments=((-5e-8, -4e-8), (-1e-8, 1e-8), (3e-8, 4e-8)),
        kinds=(("bound", "limit"), ("limit", "limit"), ("limit", "hidden-bound")),
    )
    pull = Pull(limit.detector, "q_ee", f"{limit.detector}.signal", 0.1, 0.01, 0.09, 1e-9, -1e-9)
    result = replace(paper, limits=(limit, *paper.limits[1:]), name="mine", pulls=(pull, pull), remarks=("a " * 90,))
    text = result_text(result, width)
    assert max(map(len, text.splitlines())) <= width
    assert "[-10.0," in text
    assert "detector-w" in text


def test_without_a_terminal_no_cell_is_folded(paper):
    pieces = ((-5e-8, -4e-8), (-1e-8, 1e-8), (3e-8, 4e-8))
    result = replace(paper, limits=(paper.limits[0].with_crossings(pieces), *paper.limits[1:]))
    assert "[-50.0, -40.0] or [-10.0, 10.0] or [30.0, 40.0] 1e-9 e" in str(result)


def test_tables_are_read_by_their_descriptions(paper):
    rows = (
        Summary("mine", 1.5e7, 12345.6, 0.0, 3.25, None, None, 4.2),
        Summary("yours", None, 10.0, 0.0, 3.25, 15.0, 1.1, 2.0),
    )
    text = grid_text(described_grid(TABLES["summary"], replace(paper, summary=rows)))
    assert "(electron: 0; background: 3.25)" in text
    assert "flux per cm2 s (1/(cm2 s))" in text
    assert "12346" in text
    pull = Pull("mine", "q_ee", "signal", 0.1, 0.01, 0.09, 1e-9, -1.25e-9)
    text = grid_text(described_grid(TABLES["pulls"], replace(paper, pulls=(pull,))))
    assert "-1.25 1e-9 e" in text
    assert grid_text(described_grid(TABLES["pulls"], replace(paper, pulls=(pull,)))) in result_text(
        replace(paper, pulls=(pull,))
    )


@pytest.mark.parametrize("count", [1, 2])
def test_columns_that_say_nothing_are_not_shown(count, paper):
    rows = tuple(Summary(name, None, 120.0, 0.0, 30.0, None, None, 4.2) for name in ("mine", "yours")[:count])
    result = replace(paper, limits=(), fit=(), summary=rows)
    for text in (result_text(result), str(result), result._repr_html_()):
        assert "sigma" in text
        assert "4.2" in text
        for empty in ("flux", "observed", "strength"):
            assert empty not in text
    described = grid_text(described_grid(TABLES["summary"], result))
    assert "observed" not in described
    assert "significance" in described
    seen = replace(rows[0], observed=128.0)
    assert "observed" in str(replace(result, summary=(seen, *rows[1:])))
    assert {"flux_per_cm2_s", "observed"} <= {column.name for column in TABLES["summary"].columns(rows)}


def test_a_study_shows_its_detectors_and_couplings():
    text = cl.load_study("parada2024")._repr_html_()
    assert text.count("<table>") == 2
    assert '<th scope="row">ess-csi-electron</th>' in text
    assert "q_mutau" in text


def test_scans_are_grids():
    keys = changed({"scans": [{"name": "years", "key": "exposure_years", "values": [1, 2]}]})
    (grid,) = scan_grids(cl.study_from_dict(keys).run())
    assert grid.columns == ("exposure_years", "coupling", "interval")
    assert grid.constant == ("detector: my-ge",)
