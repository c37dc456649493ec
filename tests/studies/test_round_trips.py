"""A saved study gives the same limits, from anywhere: nulls beside presets, files by relative names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from support import STUDY, changed

import cevnslab as cl
from cevnslab.studies import presets
from cevnslab.studies.scans import vary
from cevnslab.studies.yaml_io import parse_yaml

NULLS = {
    "a channel's quenching": {"preset": "ess-csi-electron", "electron_quenching": None, "channels": None},
    "an unused key": {"preset": "ess-ge", "label": None, "neutron_radius_fm": None},
    "a radius": {"preset": "ess-ge", "rms_radius_fm": None},
    "one of several ways": {"preset": "ess-ge", "background_ckkd": None, "background_ckd": 7.0},
    "a way that the preset does not use": {"preset": "ess-ge", "bin_edges_kev": None, "background_file": None},
    "the source's": {"preset": "ess-ge", "source": None, "exposure_years": None, "uncertainties": None},
}


def study_of(name):
    return changed({"detectors": [NULLS[name]], "channels": ["cevns"]})


def ends(result):
    return [limit.segments for limit in result.limits]


@pytest.mark.parametrize("name", NULLS)
def test_null_beside_a_preset_means_the_same_in_run_scan_and_saved_study(name):
    study = cl.study_from_dict(study_of(name))
    result = study.run()
    again = cl.study_from_dict(result.study)
    assert again.as_dict() == study.as_dict()
    assert again.sha256 == study.sha256
    assert ends(again.run()) == ends(result)
    written = cl.study_from_dict(parse_yaml(yaml.safe_dump(json.loads(json.dumps(result.study))), "written"))
    assert written.sha256 == study.sha256
    detector = study.setups[0].name
    mass = study.file.detectors[0].mass_kg
    scanned, _ = vary(study, f"detectors.{detector}.mass_kg", mass)
    assert ends(scanned.run()) == ends(result)
    other, _ = vary(study, f"detectors.{detector}.mass_kg", 2 * mass)
    direct = cl.study_from_dict(changed({"detectors.0.mass_kg": 2 * mass}, study_of(name)))
    assert ends(other.run()) == ends(direct.run())


def test_null_takes_the_presets_value_away():
    stored, listener = (
        cl.study_from_dict(changed({"detectors": [{"preset": "coherent-lar-2020", **keys}]}))
        for keys in ({}, {"rms_radius_fm": None, "neutron_radius_fm": None})
    )
    assert stored.file.detectors[0].rms_radius_fm == 3.448
    assert listener.file.detectors[0].rms_radius_fm is None
    assert cl.study_from_dict(listener.as_dict()).file.detectors[0].rms_radius_fm is None


def test_null_beside_a_sources_preset_stays_so_in_a_scan():
    study = cl.study_from_dict(changed({"source": {"preset": "ess", "pulse": None}}))
    scanned, _ = vary(study, "exposure_years", 3)
    assert study.setups[0].source.pulse is None
    assert scanned.setups[0].source.pulse is None
    assert cl.study_from_dict(study.as_dict()).setups[0].source.pulse is None


@pytest.mark.parametrize("name", [name for name in presets.names("studies") if not name.startswith("coherent")])
def test_every_built_in_study_survives_a_round_trip(name):
    study = cl.load_study(name)
    again = cl.study_from_dict(json.loads(json.dumps(study.as_dict())))
    assert again.sha256 == study.sha256
    assert again.as_dict() == study.as_dict()


FILES = {
    "efficiency": {"detectors.0.efficiency": {"file": "eff.dat", "axis": "recoil"}},
    "background": {"detectors.0.background_file": "bkg.dat", "detectors.0.background_ckkd": None},
    "plugin": {"plugins": ["mine.py"], "couplings": ["q_ee", "mine"]},
    "source": {"source": {"type": "tabulated", "file": "flux.dat", "reference_distance_m": 20, "hours_per_year": 5000}},
}
TEXTS = {
    "eff.dat": "0 0.1\n500 0.8\n",
    "bkg.dat": "0.5 4\n50 4\n",
    "flux.dat": "energy_mev nu_e\n1 1e5\n60 1e5\n",
    "mine.py": """
import cevnslab as cl

mine = cl.Coupling(name="mine", symbol="m", unit="1", scale=0.1, bounds=(-9.0, 9.0), flavours=(("e", "e"),),
                   nucleus=lambda recoil, nucleus, proton, neutron: neutron, electron=None, description="mine")
""",
}


@pytest.mark.parametrize("kind", FILES)
def test_paths_are_fixed_when_a_study_is_loaded(kind, tmp_path, monkeypatch):
    folder, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(changed(FILES[kind])), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    study = cl.load_study("study/study.yaml")
    before = study.sha256
    monkeypatch.chdir(elsewhere)
    result = study.run()
    assert study.sha256 == before
    saved = json.dumps(result.study)
    name = next(name for name in TEXTS if name in saved)
    assert str(folder / name) in saved
    monkeypatch.chdir(os.sep)
    again = cl.study_from_dict(json.loads(saved))
    assert again.sha256 == study.sha256
    assert ends(again.run()) == ends(result)


def test_the_hash_is_of_what_files_hold_not_of_where_they_lie(tmp_path):
    keys = changed(FILES["efficiency"])
    hashes = []
    for folder, text in (("a", TEXTS["eff.dat"]), ("b", TEXTS["eff.dat"]), ("c", "0 0.2\n500 0.8\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "eff.dat").write_text(text, encoding="utf-8")
        hashes.append(cl.study_from_dict(keys, base=tmp_path / folder).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_file_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "eff.dat").write_text(TEXTS["eff.dat"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    study = cl.study_from_dict(changed(FILES["efficiency"]))
    assert study.file.detectors[0].efficiency.file == str(Path.cwd() / "eff.dat")
    assert STUDY["detectors"][0]["efficiency"] == 0.7
