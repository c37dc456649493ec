"""The page of the site that computes limits in the browser, against the package: the same numbers to 1e-9."""

from __future__ import annotations

import importlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.studies.analysis import analyses

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "_static" / "explorer"
SCALE = 1e-9
NODE = shutil.which("node")

SETTINGS = [
    ("ess-ge", ["q_ee"], 0.90, {}),
    ("ess-csi", ["q_mumu"], 0.6827, {"exposure": 1.3, "mass": 40.0, "backgroundWidth": 0.03}),
    ("ess-xe", ["q_etau"], 0.9973, {"distance": 27.5, "efficiency": 0.55, "backgroundWidth": 0.0}),
    ("ess-ge", ["q_ee"], 0.95, {"signalWidth": 0.0, "background": 0.4}),
    ("ess-csi", ["q_ee"], 0.90, {"signalWidth": 0.0, "mass": 0.1, "background": 0.1}),
    ("ess-ge", ["q_ee"], 0.90, {"mass": 60.0, "exposure": 12.0, "background": 0.1, "signalWidth": 0.2}),
    ("ess-xe", ["q_ee", "q_mumu"], 0.90, {"mass": 55.0, "distance": 15.0}),
    ("ess-ge", ["q_etau", "q_mutau"], 0.95, {"efficiency": 0.31, "signalWidth": 0.15, "background": 11.0}),
]
"""Detector, couplings, confidence level, and what differs from the built-in study."""
NOMINAL = {"ess-csi": (22.5, 10.0), "ess-xe": (20.0, 10.0), "ess-ge": (7.0, 3.0)}


def task(detector, names, confidence, changes):
    mass, background = NOMINAL[detector]
    setting = {
        "exposure": 3.0,
        "mass": mass,
        "distance": 20.0,
        "efficiency": 0.8,
        "background": background,
        "signalWidth": 0.10,
        "backgroundWidth": 0.01,
        **changes,
    }
    rng = np.random.default_rng(5)
    points = rng.uniform(-30, 30, size=(40, len(names))).tolist()
    return {"detector": detector, "names": names, "confidence": confidence, "setting": setting, "points": points}


def package_analysis(plan):
    setting = plan["setting"]
    keys = {"mass": "mass_kg", "distance": "distance_m", "efficiency": "efficiency", "background": "background_ckkd"}
    study = cl.study_from_dict(
        {
            "name": "page",
            "source": "ess",
            "exposure_years": setting["exposure"],
            "couplings": plan["names"],
            "uncertainties": {"signal": setting["signalWidth"], "background": setting["backgroundWidth"]},
            "intervals": {"confidence_level": plan["confidence"]},
            "detectors": [{"preset": plan["detector"], **{key: setting[name] for name, key in keys.items()}}],
        }
    )
    return study, analyses(study)[plan["detector"]]


@pytest.fixture(scope="module")
def answers():
    if NODE is None:
        pytest.skip("node is not installed: the page that computes in the browser was not compared with the package")
    tasks = [task(*setting) for setting in SETTINGS]
    script = Path(__file__).with_name("explorer_page.js")
    ran = subprocess.run([NODE, script, FOLDER], input=json.dumps(tasks), capture_output=True, text=True, check=True)
    return list(zip(tasks, json.loads(ran.stdout), strict=True))


@pytest.mark.parametrize("number", range(len(SETTINGS)))
def test_a_setting_against_the_package(answers, number):
    request, answer = answers[number]
    study, analysis = package_analysis(request)
    assert answer["level"] == pytest.approx(delta_chi2_level(request["confidence"], len(request["names"])), rel=1e-12)
    expected = analysis.chi2(*request["names"]).values_at(np.array(request["points"]) * SCALE)
    assert answer["chi2"] == pytest.approx(expected, rel=1e-9)
    if len(request["names"]) == 2:
        x, y = (np.array(point) * SCALE for point in request["points"][:2])
        assert np.array(answer["grid"]) == pytest.approx(analysis.chi2(*request["names"]).on_grid(x, y), rel=1e-9)
    else:
        limit = study.run().limit(request["detector"], request["names"][0])
        assert len(answer["pieces"]) == len(limit.segments)
        assert np.array(answer["pieces"]) * SCALE == pytest.approx(np.array(limit.segments), rel=1e-9)


def test_one_setting_has_two_pieces(answers):
    assert sorted(len(answer["pieces"]) for plan, answer in answers if len(plan["names"]) == 1)[-1] == 2


def test_the_rows_are_those_of_the_package(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    try:
        table = importlib.import_module("explorer_rows").rows()
    finally:
        sys.modules.pop("explorer_rows", None)
    stored = json.loads(re.search(r"const ROWS = (.*);", (FOLDER / "rows.js").read_text(encoding="utf-8"))[1])
    assert {**stored, "detectors": None} == {**table, "detectors": None}
    for earlier, coupling in zip(stored["detectors"], table["detectors"], strict=True):
        assert np.array(earlier.pop("rows")) == pytest.approx(np.array(coupling.pop("rows")), rel=1e-9)
        assert earlier.pop("counts") == pytest.approx(coupling.pop("counts"), rel=1e-9)
        assert earlier == coupling


def test_the_page_stays_small():
    lines = {path.name: path.read_text(encoding="utf-8").count("\n") for path in FOLDER.glob("*.js")}
    assert lines["chi2.js"] <= 150
    assert lines["plot.js"] <= 200
    assert (FOLDER / "rows.js").stat().st_size < 32_000
    assert not re.search(r"https?://(?!www\.w3\.org)", "".join(path.read_text() for path in FOLDER.glob("*.js")))
