"""What the explorer computes, without a page: its numbers are those of the command for the study file that it shows."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.errors import CevnslabError, StudyError
from cevnslab.explorer.exploration import Exploration
from cevnslab.explorer.sliders import POSITIONS, SENSE, sliders
from cevnslab.explorer.uploads import CODE, DATA, FILES, LARGEST_FILE, uploaded_study
from cevnslab.inference.contours import contour, sketch
from cevnslab.inference.grids import inside
from cevnslab.studies.schema.base import Model
from cevnslab.studies.yaml_io import parse_yaml

BASE = {
    "name": "two",
    "source": "ess",
    "exposure_years": 3,
    "couplings": ["q_ee", "q_mumu"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "detectors": [{"preset": "ess-ge"}, {"preset": "ess-csi"}],
    "combinations": [{"name": "both", "detectors": ["ess-ge", "ess-csi"], "signal": "correlated"}],
}


def exploration(**keys):
    return Exploration(cl.study_from_dict({**BASE, **keys}))


def run_of(explored):
    return cl.study_from_dict(parse_yaml(explored.yaml(), "explored")).run()


@pytest.fixture
def moved():
    explored = exploration()
    for key, value in {
        "exposure_years": 5.5,
        "uncertainties.signal": 0.07,
        "detectors.ess-ge.threshold_kev": 0.31,
        "detectors.ess-ge.mass_kg": 11.0,
        "detectors.ess-ge.resolution.sigma_kev": 0.05,
        "detectors.ess-csi.background_ckkd": 2.5,
        "detectors.ess-csi.distance_m": 17.0,
        "detectors.ess-csi.efficiency": 0.5,
    }.items():
        explored.move(key, value)
    return explored


def test_limits_are_those_of_the_study_file(moved):
    result = run_of(moved)
    for detector in moved.analyses:
        for name in moved.couplings:
            expected = np.array(result.limit(detector, name).segments)
            assert np.array(moved.limit(detector, name).segments) == pytest.approx(expected, rel=1e-10)


def test_curves_and_counts_are_those_of_the_study_file(moved):
    low, high = moved.curve_range()
    again = Exploration(cl.study_from_dict(parse_yaml(moved.yaml(), "explored")))
    for detector in moved.analyses:
        curve = moved.curve(detector, low, high).delta_chi2
        assert again.curve(detector, low, high).delta_chi2 == pytest.approx(curve, rel=1e-8, abs=1e-9)
        assert again.totals(detector) == pytest.approx(moved.totals(detector))
    assert again.counts("ess-ge").coupling == pytest.approx(moved.counts("ess-ge").coupling)


def test_only_what_a_key_concerns_is_computed_again(moved):
    before = {name: (moved.analyses[name], moved.limit(name, "q_ee")) for name in moved.analyses}
    moved.move("detectors.ess-ge.threshold_kev", 0.4)
    after = {name: (moved.analyses[name], moved.limit(name, "q_ee")) for name in moved.analyses}
    assert after["ess-csi"][0] is before["ess-csi"][0]
    assert after["ess-csi"][1] is before["ess-csi"][1]
    assert after["ess-ge"][1] != before["ess-ge"][1]
    assert after["both"][1] != before["both"][1]


def test_a_sketch_is_the_contour_to_the_eye():
    function = exploration().analyses["ess-csi"].chi2("q_ee", "q_mumu")
    exact, quick = contour(function, 0.9).polygons, sketch(function, 0.9)
    corners = np.concatenate(exact)
    span = np.ptp(corners, axis=0)
    assert len(quick) == len(exact)
    for ends in (np.min, np.max):
        assert ends(np.concatenate(quick), axis=0) == pytest.approx(ends(corners, axis=0), abs=2e-3 * span.max())
    x, y = (np.linspace(corners[:, at].min(), corners[:, at].max(), 80) for at in (0, 1))
    assert np.mean(inside(exact, x, y) ^ inside(quick, x, y)) < 0.002


def test_choices_stand_in_the_study_file():
    explored = exploration(detectors=[{"preset": "ess-csi"}], combinations=[])
    explored.move("detectors.ess-csi.mass_kg", 9.0)
    explored.choose_couplings("q_mumu", "q_etau")
    explored.choose_level(0.95)
    explored.choose_statistic("poisson")
    content = parse_yaml(explored.yaml(), "explored")
    assert content["couplings"] == ["q_ee", "q_mumu", "q_etau"]
    assert content["contours"] == [["q_mumu", "q_etau"]]
    assert (content["statistic"], content["intervals"]["confidence_level"]) == ("poisson", 0.95)
    assert content["detectors"][0]["mass_kg"] == 9.0
    del content["contours"]  # they take a second
    expected = cl.study_from_dict(content).run().limit("ess-csi", "q_etau")
    assert explored.limit("ess-csi", "q_etau").segments[0] == pytest.approx(expected.segments[0], rel=1e-9)


def test_a_refused_value_changes_nothing():
    explored = exploration()
    before = explored.yaml()
    with pytest.raises(StudyError, match=r"detectors.ess-ge.threshold_kev: must be from 0.02 to 18, got 500"):
        explored.move("detectors.ess-ge.threshold_kev", 500.0)
    with pytest.raises(StudyError, match="must be a number"):
        explored.move("detectors.ess-ge.mass_kg", float("nan"))
    with pytest.raises(StudyError, match="no slider"):
        explored.move("detectors.ess-ge.bins", 3.0)
    with pytest.raises(cl.CevnslabError):
        explored.choose_couplings("q_ee", "no_such_coupling")
    assert explored.yaml() == before


def test_goals_are_marked():
    goal = {"name": "far", "key": "detectors.ess-ge.mass_kg", "from": 1, "to": 50, "detector": "ess-ge"}
    explored = exploration(design=[{**goal, "goal": {"coupling": "q_ee", "upper": 4e-9}}])
    (mark,) = explored.goals()
    assert (mark.value, mark.reached) == (4e-9, False)
    explored.move("detectors.ess-ge.mass_kg", 100.0)
    assert explored.goals()[0].reached


def test_real_data_stand_beside():
    rows = exploration().references()
    assert {"coherent-csi-2021", "coherent-csi-lar"} <= {row.detector for row in rows}
    assert exploration().reference_contour()
    explored = exploration()
    explored.choose_level(0.95)
    assert explored.references() == ()  # they are stored at 90 %


def test_simulated_intervals_are_replaced_and_said_to_be():
    explored = exploration(couplings=["q_ee"], intervals={"method": "feldman-cousins", "toys": 200}, combinations=[])
    assert "pseudo-experiments" in explored.remark
    assert "method" not in explored.content()["intervals"]
    assert explored.limit("ess-ge", "q_ee").method == "delta-chi2"


def test_tables_and_figures_leave_as_one_file():
    explored = exploration(detectors=[{"preset": "ess-ge"}], combinations=[])
    explored.move("detectors.ess-ge.mass_kg", 9.0)
    with zipfile.ZipFile(io.BytesIO(explored.archive())) as archive:
        names = archive.namelist()
        assert {"two/study.yaml", "two/limits.csv", "two/figures/limits.pdf"} <= set(names)
        assert archive.read("two/study.yaml").decode() == explored.yaml()


@pytest.mark.parametrize("study", ["parada2024", "ess-statistics", "ess-nsi"])
def test_sliders_hold_the_value_of_the_study_and_make_sense(study):
    knobs = sliders(cl.load_study(study))
    assert {slider.owner for slider in knobs} >= {"", "ess-ge"}
    for slider in knobs:
        assert slider.low <= slider.value <= slider.high
        assert slider.at(slider.position(slider.value)) == slider.value
        values = [slider.at(position) for position in range(POSITIONS + 1)]
        assert (values[0], values[-1]) == (slider.low, slider.high)
        assert np.all(np.diff(values) > 0), slider.key
        assert any(slider.key.endswith(sense.key) for sense in SENSE)


def test_keys_of_light_have_sliders():
    light = {"target": "Ge", "mass_kg": 2, "distance_m": 20, "threshold_kevee": 0.2, "maximum_kevee": 10, "bins": 20}
    rest = {"resolution": {"sigma_kevee": 0.05, "at_kevee": 0.2}, "efficiency": 0.8, "background_ckkd_ee": 10}
    for quenching, key in ((0.2, "quenching"), ({"lindhard_k": 0.157}, "quenching.lindhard_k")):
        detector = {"name": "mine", **light, **rest, "quenching": quenching}
        explored = exploration(detectors=[detector], combinations=[])
        assert f"detectors.mine.{key}" in explored.sliders
        before = explored.limit("mine", "q_ee")
        explored.move(f"detectors.mine.{key}", 0.18)
        assert explored.limit("mine", "q_ee") != before


# uploads

MINE = "name: mine\nsource: ess\nexposure_years: 3\ncouplings: [q_ee]\nuncertainties: {signal: 0.1, background: 0.01}\n"


def test_a_study_file_is_taken():
    assert uploaded_study(f"{MINE}detectors: [{{preset: ess-ge}}]\n".encode()).name == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{MINE}plugins: [/tmp/evil.py]\ndetectors: [{{preset: ess-ge}}]", "plugins: runs code"),
        (f"{MINE}detectors: [{{preset: ess-ge, background_file: /etc/passwd}}]", "background_file: names a file"),
        (f"{MINE}detectors: [{{preset: ess-ge, efficiency: {{file: /etc/passwd, axis: recoil}}}}]", "file: names a"),
        (f"{MINE}detectors: [{{preset: ess-ge, observed: {{file: /etc/passwd}}}}]", "observed.file: names a file"),
        (f"{MINE}x: &a {{file: /etc/passwd}}\ndetectors: [{{preset: ess-ge, quenching: *a}}]", "names a file"),
        (f"{MINE}x: &a {{file: /etc/passwd}}\ndetectors: [{{<<: *a, preset: ess-ge}}]", "names a file"),
        (f"{MINE}detectors: [{{preset: coherent-csi-2021}}]", "preset: reads a data set"),
        (f"{MINE}detectors: [{{dataset: coherent-csi-2021}}]", "dataset: reads a data set"),
        (f"{MINE}detectors: [{{experiment: coherent-csi-2021}}]", "experiment: reads a data set"),
        (f"{MINE}detectors: [{{preset: ess-ge, bins: 5000}}]", "at most 3000 bins"),
        (f"{MINE}bands: {{toys: 10001}}\ndetectors: [{{preset: ess-ge}}]", "bands.toys: at most 10000, got 10001"),
        (f"{MINE}profiles: [{{points: 2001}}]\ndetectors: []", "profiles.1.points: at most 2000, got 2001"),
        (f"{MINE}detectors: [{', '.join(['{preset: ess-ge}'] * 9)}]", "detectors: at most 8 entries"),
        (f"{MINE}detectors: [{{preset: ess-gee}}]", "did you mean 'ess-ge'"),
        ("a: [", "upload"),
        ("- a", "upload"),
        ("x" * (LARGEST_FILE + 1), "at most 100000 bytes"),
    ],
    ids=[
        *("plugin", "background", "efficiency", "observed", "alias", "merge", "preset", "dataset", "experiment"),
        *("bins", "toys", "points", "detectors", "name", "no-yaml", "no-mapping", "long"),
    ],
)
def test_what_an_upload_must_not_ask_for(text, message, monkeypatch):
    """Refused before a study is built, where the fault is one of the upload."""
    if "upload" not in message and "did you" not in message:
        monkeypatch.setattr("cevnslab.explorer.uploads.study_from_dict", None)
    with pytest.raises(CevnslabError, match=re.escape(message)):
        uploaded_study(text.encode())


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(StudyError, match="UTF-8"):
        uploaded_study(b"\xff\xfe\x00")


def test_every_key_that_names_a_file_is_known():
    """The schema marks them: one that is new must be refused too."""

    def below(model):
        yield model
        for each in model.__subclasses__():
            yield from below(each)

    fields = [(name, info) for model in below(Model) for name, info in model.model_fields.items()]
    named = {name for name, info in fields if "_in_base" in f"{info.annotation!r} {info.metadata!r}"}
    assert named == {*FILES, *CODE}
    assert {"dataset"} <= {name for name, _ in fields} & set(DATA)
