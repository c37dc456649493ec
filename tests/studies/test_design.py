"""Design goals, maps and levers against runs at the values that they find."""

from __future__ import annotations

import csv
import errno
import math

import numpy as np
import pytest
from support import changed

import cevnslab as cl
from cevnslab.errors import StudyError
from cevnslab.figures.catalogue import figure_specs
from cevnslab.reports.html.inputs import words
from cevnslab.studies import design
from cevnslab.studies.levers import levers
from cevnslab.studies.maps import joined, limit_map, strips
from cevnslab.studies.scaled import ScaledLikelihood
from cevnslab.studies.scans import vary
from cevnslab.studies.variation import Variations

BASE = {
    "name": "goals",
    "source": "ess",
    "exposure_years": 3,
    "couplings": ["q_ee"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "detectors": [{"preset": "ess-ge"}],
}


def study(**keys):
    return cl.study_from_dict({**BASE, **keys})


def question(key, low, high, **goal):
    goal = {"coupling": "q_ee", **goal}
    return {"name": "goal", "key": key, "from": low, "to": high, "detector": "ess-ge", "goal": goal}


def answered(**keys):
    varied = study(design=[question(**keys)])
    return varied, list(design.solved(varied, varied.file.design[0]).answers)


def upper_at(request, key, value):
    varied, _ = vary(request, key, value)
    return varied.run().limit("ess-ge", "q_ee").segments


def test_the_threshold_that_reaches_a_limit():
    """0.2520297 keV (independent calculation); at 0.1046 the outermost end jumps: no answer there."""
    plan, rows = answered(key="detectors.ess-ge.threshold_kev", low=0.05, high=2.0, upper=3e-9)
    crossings = [row for row in rows if row.kind == "crossing"]
    assert [row.value for row in crossings] == pytest.approx([0.2520297], abs=1e-7)
    assert crossings[0].reached == pytest.approx(3e-9, rel=1e-6)
    pieces = upper_at(plan, "detectors.ess-ge.threshold_kev", crossings[0].value)
    assert next(high for low, high in pieces if low <= 0 <= high) == pytest.approx(3e-9, rel=1e-6)
    for row in rows:
        if row.kind == "jump":
            assert abs(row.reached / row.goal - 1) > 1e-6


def test_a_goal_that_is_met_twice():
    _, rows = answered(key="detectors.ess-ge.maximum_kev", low=5, high=200, upper=4.8e-9)
    assert [row.kind for row in rows] == ["crossing", "crossing"]
    assert [row.value for row in rows] == pytest.approx([18.99084, 49.02529], abs=1e-5)


def test_no_value_is_used_that_the_study_file_does_not_allow():
    """Counts are scaled for such keys without making the study anew: what is allowed still holds."""
    _, rows = answered(key="detectors.ess-ge.mass_kg", low=1, high=1e15, upper=1e-15)
    assert [(row.value, row.kind) for row in rows] == [(None, "none")]
    heaviest, _ = vary(study(), "detectors.ess-ge.mass_kg", 1e12)
    assert rows[0].reached == pytest.approx(heaviest.run().limit("ess-ge", "q_ee").segments[-1][1], rel=1e-6)
    for key, value in (("uncertainties.signal", -0.1), ("uncertainties.background", 20), ("exposure_years", 1e5)):
        with pytest.raises(StudyError, match=rf"{key}: must be"):
            Variations(study()).at({key: value})


def test_a_whole_number_has_neighbours():
    plan, rows = answered(key="detectors.ess-ge.bins", low=10, high=400, upper=4.9e-9)
    assert [row.kind for row in rows] == ["below", "above"]
    assert rows[1].value - rows[0].value == 1
    for row in rows:
        assert upper_at(plan, "detectors.ess-ge.bins", row.value)[0][1] == pytest.approx(row.reached, rel=1e-9)
    assert (rows[0].reached - 4.9e-9) * (rows[1].reached - 4.9e-9) < 0


def test_a_quantity_that_turns_back_between_two_values():
    """The least upper end along maximum_kev, 4.76569e-9 near 26.2 keV: a goal just above it is met twice."""
    _, rows = answered(key="detectors.ess-ge.maximum_kev", low=5, high=200, upper=4.7657e-9)
    assert [row.kind for row in rows] == ["crossing", "crossing"]
    assert 25 < rows[0].value < rows[1].value < 28
    for row in rows:
        assert row.reached == pytest.approx(4.7657e-9, rel=1e-6)


def test_a_range_of_which_no_value_is_allowed():
    with pytest.raises(
        StudyError, match=r"design.goal.from: no value of .*threshold_kev up to `to` can be used: .*below"
    ):
        answered(key="detectors.ess-ge.threshold_kev", low=80, high=90, upper=1e-9)
    with pytest.raises(StudyError, match="no whole number"):
        answered(key="detectors.ess-ge.bins", low=10.2, high=10.8, upper=1e-9)


def lines_of_answers(monkeypatch, quantity, **keys):
    """Answers for a quantity that is a plain function of the key."""

    def at(self, value):
        self.refusal = None
        return quantity(value)

    monkeypatch.setattr(design.Excess, "quantity", at)
    varied = study(design=[question(**{"key": "detectors.ess-ge.mass_kg", "low": 1, "high": 9, **keys})])
    return list(design.solved(varied, varied.file.design[0]).answers)


def test_a_goal_of_zero_is_met_or_jumped_past(monkeypatch):
    (row,) = lines_of_answers(monkeypatch, lambda value: 1e-9 * (value - math.pi), upper=0.0)
    assert (row.kind, row.value) == ("crossing", pytest.approx(math.pi, rel=1e-11))
    assert abs(row.reached) < 1e-15
    (row,) = lines_of_answers(monkeypatch, lambda value: math.copysign(1e-9, value - math.pi), upper=0.0)
    assert row.kind == "jump"


@pytest.mark.parametrize(("low", "high"), [(1, 9), (1, 3.2)], ids=["above", "below"])
def test_a_goal_is_met_beside_values_that_are_refused(low, high, monkeypatch):
    """Between two points of the search the key begins to be refused, or to be allowed, a little beside the answer."""
    refused = (lambda value: value > 3.145) if high > 5 else (lambda value: value < 3.14)
    (row,) = lines_of_answers(
        monkeypatch,
        lambda value: math.nan if refused(value) else 1e-9 * (1 + value - math.pi),
        low=low,
        high=high,
        upper=1e-9,
    )
    assert (row.kind, row.value) == ("crossing", pytest.approx(math.pi, rel=1e-9))


def test_whole_numbers_beside_refused_ones(monkeypatch):
    """400 values and 65 points: the last allowed one is 203, the goal is passed from 201 to 202."""
    rows = lines_of_answers(
        monkeypatch,
        lambda value: math.nan if value > 203 else 1e-9 * (1 + value - 201.5),
        key="detectors.ess-ge.bins",
        low=1,
        high=400,
        upper=1e-9,
    )
    assert [(row.value, row.kind) for row in rows] == [(201, "below"), (202, "above")]


def test_a_goal_out_of_reach_says_how_near_it_comes():
    _, (row,) = answered(key="detectors.ess-ge.mass_kg", low=5, high=10, upper=1e-9)
    assert (row.kind, row.value) == ("none", None)
    assert row.reached > 1e-9


def test_a_significance():
    goal = {"coupling": None, "significance": 20.0}
    plan, rows = answered(key="detectors.ess-ge.mass_kg", low=0.1, high=20, **goal)
    (row,) = rows
    assert row.kind == "crossing"
    varied, _ = vary(plan, "detectors.ess-ge.mass_kg", row.value)
    assert varied.run().summary[0].significance == pytest.approx(20.0, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"goal": {"coupling": "q_ee"}}, "exactly one of upper, lower, width, outermost, significance, got none"),
        ({"goal": {"coupling": "q_ee", "upper": 1e-9, "width": 1e-9}}, "got upper and width"),
        ({"goal": {"upper": 1e-9}}, r"goal.coupling: this key is required"),
        ({"goal": {"coupling": "q_ee", "significance": 5.0}}, "of no coupling"),
        ({"from": 3, "to": 2}, "must be below `to`"),
        ({"detector": "ess-gee"}, "did you mean 'ess-ge'"),
    ],
    ids=str,
)
def test_what_a_question_refuses(change, message):
    with pytest.raises(StudyError, match=message):
        study(design=[{**question("detectors.ess-ge.mass_kg", 1, 2, upper=1e-9), **change}])


def plane(**changes):
    entry = {
        "name": "plane",
        "x": {"key": "detectors.ess-ge.background_ckkd", "from": 0.3, "to": 30, "points": 3, "scale": "log"},
        "y": {"key": "detectors.ess-ge.threshold_kev", "from": 0.4, "to": 0.8, "points": 2},
        "detector": "ess-ge",
        "coupling": "q_ee",
    }
    return {**entry, **changes}


def test_a_map_is_runs_at_its_points():
    plan = study(maps=[plane()])
    table = limit_map(plan, plan.file.maps[0])
    assert table.upper.shape == (2, 3)
    for row, threshold in enumerate(table.y):
        for column, background in enumerate(table.x):
            detector = {"preset": "ess-ge", "threshold_kev": float(threshold), "background_ckkd": float(background)}
            limit = study(detectors=[detector]).run().limit("ess-ge", "q_ee")
            assert table.lower[row, column] == pytest.approx(limit.segments[0][0], rel=1e-12)
            assert table.upper[row, column] == pytest.approx(limit.segments[-1][1], rel=1e-12)
            assert table.upper_kind[row][column] == limit.kinds[-1][1]


@pytest.mark.parametrize(
    ("key", "low", "high"),
    [
        ("exposure_years", 1, 5),
        ("detectors.ess-ge.mass_kg", 2, 9),
        ("detectors.ess-ge.distance_m", 10, 30),
        ("uncertainties.signal", 0.0, 0.15),
        ("uncertainties.background", 0.005, 0.05),
    ],
)
def test_what_scales_counts_needs_no_folding(key, low, high, monkeypatch):
    """The quick way against the study made anew."""
    plan = study(maps=[plane(y={"key": key, "from": low, "to": high, "points": 3})])
    quick = limit_map(plan, plan.file.maps[0])
    monkeypatch.setattr("cevnslab.studies.variation.Variations._scales", lambda self, key: False)
    assert limit_map(plan, plan.file.maps[0]).upper == pytest.approx(quick.upper, rel=1e-11)


def test_maps_of_poisson_are_runs_at_their_points(monkeypatch):
    """Continued from the corners of patches, with an island that comes and goes, in strips as they are run."""
    entry = plane(
        x={"key": "detectors.ess-ge.threshold_kev", "from": 0.05, "to": 0.3, "points": 4},
        y={"key": "exposure_years", "from": 2, "to": 3, "points": 3},
    )
    monkeypatch.setattr("cevnslab.studies.maps.PATCH", 2)
    plan = study(statistic="poisson", maps=[entry])
    table = plan.run().maps[0]
    whole = limit_map(plan, plan.file.maps[0])
    assert (whole.upper == table.upper).all()
    assert table.upper.shape == (3, 4)
    for row, years in enumerate(table.y):
        for column, threshold in enumerate(table.x):
            detector = {"preset": "ess-ge", "threshold_kev": float(threshold)}
            run = study(statistic="poisson", exposure_years=float(years), detectors=[detector]).run()
            pieces = run.limit("ess-ge", "q_ee").segments
            assert table.upper[row, column] == pytest.approx(pieces[-1][1], rel=1e-8)
            assert table.lower[row, column] == pytest.approx(pieces[0][0], rel=1e-8)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (("detectors.ess-ge.threshold_kev", 0.3, 0.6), ("detectors.ess-ge.background_ckkd", 5, 20)),
        (("detectors.ess-ge.mass_kg", 5, 9), ("detectors.ess-ge.threshold_kev", 0.3, 0.5)),
        (("exposure_years", 2, 4), ("detectors.ess-ge.distance_m", 18, 22)),
        (("uncertainties.signal", 0.05, 0.15), ("detectors.ess-ge.background_ckkd", 5, 10)),
    ],
    ids=["rows", "columns", "both", "a width"],
)
def test_sizes_as_couplings_are_likelihoods_of_their_own(x, y, monkeypatch):
    """Poisson: one search for a line of sizes against a search at every point."""
    axes = {name: {"key": key, "from": low, "to": high, "points": 3} for name, (key, low, high) in (("x", x), ("y", y))}
    keys = study(statistic="poisson", maps=[plane(**axes)])
    lines = []
    at = ScaledLikelihood.at

    def counted(self, factors):
        lines.append(len(factors))
        return at(self, factors)

    monkeypatch.setattr(ScaledLikelihood, "at", counted)
    together = limit_map(keys, keys.file.maps[0])
    assert sum(lines) == 5
    monkeypatch.setattr(ScaledLikelihood, "of", lambda *_: None)
    alone = limit_map(keys, keys.file.maps[0])
    for end in ("lower", "upper"):
        assert getattr(together, end) == pytest.approx(getattr(alone, end), rel=1e-9)
    assert together.upper_kind == alone.upper_kind


def test_strips_of_a_map_are_the_map():
    entry = plane(y={"key": "exposure_years", "from": 2, "to": 3, "points": 14})
    plan = study(maps=[entry])
    parts = [limit_map(plan, plan.file.maps[0], rows) for rows in strips(plan.file.maps[0])]
    assert len(parts) == 2
    together, whole = joined(parts), limit_map(plan, plan.file.maps[0])
    assert together.upper == pytest.approx(whole.upper, rel=1e-12)
    assert (together.y == whole.y).all()
    assert together.upper_kind == whole.upper_kind


def test_widths_beyond_the_closed_form_are_searched():
    entry = plane(
        x={"key": "uncertainties.signal", "from": 0.1, "to": 0.3, "points": 2},
        y={"key": "detectors.ess-ge.mass_kg", "from": 1, "to": 7, "points": 2},
    )
    plan = study(maps=[entry])
    table = limit_map(plan, plan.file.maps[0])
    run = study(uncertainties={"signal": 0.3, "background": 0.01}).run()
    assert table.upper[1, 1] == pytest.approx(run.limit("ess-ge", "q_ee").segments[-1][1], rel=1e-9)


def test_goals_and_maps_in_a_run(tmp_path):
    folder = (
        study(design=[question("detectors.ess-ge.mass_kg", 1, 20, upper=4e-9)], maps=[plane()]).run().save(tmp_path)
    )
    with (folder / "design.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert list(row) == ["name", "key", "value", "detector", "coupling", "quantity", "goal", "reached", "kind"]
    assert float(row["reached"]) == pytest.approx(4e-9, rel=1e-6)
    with (folder / "maps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["map", "x", "y", "detector", "coupling", "lower", "upper", "lower_kind", "upper_kind"]
    assert len(rows) == 6
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {"goal-goal.png", "map-plane.pdf"} <= figures


def test_goals_of_a_combination():
    both = {"name": "both", "detectors": ["ess-ge", "ess-csi"], "signal": "correlated"}
    plan = study(
        detectors=[{"preset": "ess-ge"}, {"preset": "ess-csi"}],
        combinations=[both],
        design=[{**question("exposure_years", 1, 10, upper=3e-9), "detector": "both"}],
    )
    (row,) = design.solved(plan, plan.file.design[0]).answers
    varied, _ = vary(plan, "exposure_years", row.value)
    assert varied.run().limit("both", "q_ee").segments[0][1] == pytest.approx(3e-9, rel=1e-6)


def test_figures_of_goals_and_maps_are_chosen_by_name():
    keys = {"design": [question("detectors.ess-ge.mass_kg", 1, 20, upper=4e-9)], "maps": [plane()]}
    panels = [{"goal": "goal"}, {"map": "plane", "end": "lower"}]
    chosen = study(**keys, figures=[{"name": "plan", "panels": panels}]).run()
    names = [spec.name for spec in figure_specs(chosen)]
    assert "plan" in names
    assert not any(name.startswith(("goal-", "map-")) for name in names)
    for wrong, message in (({"goal": "gaol"}, "did you mean 'goal'"), ({"map": "plan"}, "did you mean 'plane'")):
        with pytest.raises(StudyError, match=message):
            study(**keys, figures=[{"name": "plan", "panels": [wrong]}])
    with pytest.raises(StudyError, match="drawn without being listed"):
        study(**keys, figures=[{"name": "goal-goal", "panels": panels}])


def test_a_scan_takes_a_range():
    scan = {"name": "mass", "key": "detectors.ess-ge.mass_kg"}
    ranged = study(scans=[{**scan, "values": {"from": 1, "to": 100, "points": 5, "scale": "log"}}])
    listed = study(scans=[{**scan, "values": ranged.file.scans[0].points}])
    assert ranged.file.scans[0].points == pytest.approx([1, 10**0.5, 10, 10**1.5, 100])
    results = [each.run() for each in (ranged, listed)]
    assert results[0].records("scans") == results[1].records("scans")
    assert any("1 to 100 (5 points)" in sentence for sentence in words(results[0]))
    with pytest.raises(StudyError, match=r"scans.mass.values.from: must be above 0 with scale: log"):
        study(scans=[{**scan, "values": {"from": 0, "to": 100, "points": 5, "scale": "log"}}])
    with pytest.raises(StudyError, match=r"scans.mass.values.points: must be at least 2"):
        study(scans=[{**scan, "values": {"from": 1, "to": 100, "points": 1}}])


@pytest.fixture(scope="module")
def germanium_levers():
    return {(r.key, r.quantity): r for r in levers(study())}


def test_levers_of_germanium(germanium_levers):
    """Elasticities of an independent calculation: distance 1.83, efficiency -0.92, threshold 0.65 ..."""
    rows = germanium_levers
    expected = {
        "detectors.ess-ge.distance_m": 1.83,
        "detectors.ess-ge.efficiency": -0.92,
        "detectors.ess-ge.threshold_kev": 0.65,
        "detectors.ess-ge.mass_kg": -0.55,
        "detectors.ess-ge.background_ckkd": 0.37,
        "uncertainties.signal": 0.11,
    }
    for key, value in expected.items():
        assert rows[key, "upper"].elasticity == pytest.approx(value, abs=0.006), key
    assert "convention" in rows["intervals.confidence_level", "upper"].reason
    assert "width" in rows["detectors.ess-ge.threshold_kev", "upper"].reason


def test_a_scale_twin_stands_there_once(germanium_levers):
    assert ("exposure_years", "upper") not in germanium_levers
    assert "same as exposure_years" in germanium_levers["detectors.ess-ge.mass_kg", "upper"].reason


def test_a_threshold_at_fixed_width_of_the_bins(germanium_levers):
    """Against runs with all edges moved by as much."""
    row = germanium_levers["detectors.ess-ge.threshold_kev (fixed width)", "upper"]
    ends = []
    for sign in (1, -1):
        step = 0.6 * 0.004 * sign
        detector = {"preset": "ess-ge", "threshold_kev": 0.6 + step, "maximum_kev": 78.9 + step}
        ends.append(study(detectors=[detector]).run().limit("ess-ge", "q_ee").segments[0][1])
    assert row.elasticity == pytest.approx(np.log(ends[0] / ends[1]) / np.log(0.6024 / 0.5976), rel=1e-4)
    assert "keep their width" in row.reason


def test_gains_of_what_would_be_known(germanium_levers):
    """Against runs with the width at 0, and with twice as many bins (4.87 to 4.77e-9)."""
    nominal = study().run().limit("ess-ge", "q_ee").segments[0][1]
    known = study(uncertainties={"signal": 0.0, "background": 0.01}).run().limit("ess-ge", "q_ee").segments[0][1]
    finer = study(detectors=[{"preset": "ess-ge", "bins": 208}]).run().limit("ess-ge", "q_ee").segments[0][1]
    assert germanium_levers["ess-ge.signal", "upper"].change == pytest.approx(known / nominal - 1, rel=1e-9)
    assert germanium_levers["detectors.ess-ge.bins", "upper"].change == pytest.approx(finer / nominal - 1, rel=1e-9)
    assert finer == pytest.approx(4.77e-9, abs=5e-12)


def test_the_command_levers(command, write_study, tmp_path):
    ran = command("levers", write_study(BASE), "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert "distance_m" in ran.out
    folder = tmp_path / "goals-levers"
    with (folder / "levers.csv").open() as file:
        assert next(csv.reader(file)) == ["key", "detector", "coupling", "quantity", "elasticity", "reason", "change"]
    assert (folder / "figures" / "levers.png").stat().st_size > 5000


def test_levers_that_cannot_be_drawn_are_in_the_table(command, write_study, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr("cevnslab.reports.levers.levers_sheet", fail)
    keys = changed({"couplings": ["q_ee"], "detectors.0.bins": 4})
    ran = command("levers", write_study(keys), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (1, "cevnslab: the figure levers cannot be drawn: no ink\n")
    assert [path.name for path in (tmp_path / "out" / "my-study-levers").iterdir()] == ["levers.csv"]


def test_a_folder_to_which_nothing_came_does_not_stay(command, write_study, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    keys = changed({"couplings": ["q_ee"], "detectors.0.bins": 4})
    ran = command("levers", write_study(keys), "-o", tmp_path / "out")
    assert ran.status == 1
    assert "No space left on device" in ran.err
    assert not list((tmp_path / "out").iterdir())


SIDES = {
    "x": {"key": "detectors.ess-ge.threshold_kev", "from": 0.3, "to": 0.9, "points": 3},
    "y": {"key": "exposure_years", "from": 1, "to": 3, "points": 2},
}
PLANE = {"name": "plane", "detector": "ess-ge", "coupling": "q_ee", **SIDES}
LEVELS = {"key": "intervals.confidence_level", "from": 0.7, "to": 0.9, "points": 3}
SIMULATED = {"method": "feldman-cousins", "toys": 1000}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"maps": [{**PLANE, "x": LEVELS}]}, "maps.plane: a map has one level"),
        ({"maps": [PLANE], "intervals": SIMULATED}, "maps: .*delta-chi2"),
        ({"design": [question("mass_kg", 1, 9, upper=3e-9)], "intervals": SIMULATED}, "design: .*delta-chi2"),
    ],
    ids=["a map of levels", "maps with feldman-cousins", "goals with feldman-cousins"],
)
def test_what_plans_do_not_do_is_refused(change, message):
    with pytest.raises(StudyError, match=message):
        study(**change)


def test_goals_keep_to_the_minimum_of_the_study():
    """The connected interval of a study is what its goals are about, too."""
    connected = study(detectors=[{"preset": "ess-ge", "threshold_kev": 0.09}], intervals={"minimum": "connected"})
    analysis = Variations(connected).at({})[1]["ess-ge"]
    outermost = design.quantities(analysis, "q_ee", connected.file.intervals)["outermost"]
    assert outermost == pytest.approx(connected.run().limit("ess-ge", "q_ee").segments[-1][1], rel=1e-9)
    everywhere = design.quantities(analysis, "q_ee", study().file.intervals)["outermost"]
    assert everywhere > 2 * outermost


def test_levers_know_named_backgrounds_and_lists_of_levels():
    named = {
        "preset": "ess-ge",
        "background_ckkd": None,
        "backgrounds": [{"name": "beam", "ckkd": 3, "uncertainty": 0.2}],
    }
    levels = {"confidence_level": [0.9, 0.68]}
    rows = levers(study(detectors=[named], uncertainties={"signal": 0.1}, intervals=levels))
    (beam,) = [row for row in rows if row.key.endswith("backgrounds.beam.ckkd") and row.quantity == "upper"]
    assert 0.3 < beam.elasticity < 0.45
    assert any(row.key == "intervals.confidence_level" and row.elasticity is None and row.reason for row in rows)
