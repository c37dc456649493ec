"""Bad input through the real command: status 2, one message that names the key's path, nothing written."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import pytest
import yaml
from support import PATIENCE_S, REMOVED, STUDY, changed

import cevnslab as cl

EFFICIENCY = "detectors.0.efficiency"
COMPLETE = "# keV efficiency\n0 0.2\n2 0.5\n500 0.9\n"


def assert_refused(ran, output, *words):
    """One message, no traceback, nothing written."""
    assert ran.status == 2, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert [line.startswith("cevnslab: ") for line in ran.err.splitlines()].count(True) == 1
    assert ran.err.startswith("cevnslab: ")
    for word in words:
        assert word in ran.err, f"'{word}' is not in: {ran.err}"
    assert not output.exists(), f"written: {sorted(output.rglob('*'))}"


ONE_KEY = {
    "unknown key": ({"exposure_yeers": 3}, ["exposure_yeers", "exposure_years"]),
    "unknown key of a detector": ({"detectors.0.mass": 3}, ["detectors.my-ge.mass:", "mass_kg"]),
    "unknown key of a mapping": ({"uncertainties.signl": 0.1}, ["uncertainties.signl", "'signal'"]),
    "unknown key of a resolution": ({"detectors.0.resolution.sigma": 1}, ["my-ge.resolution.sigma:", "sigma_kev"]),
    "missing key": ({"exposure_years": REMOVED}, ["exposure_years", "required"]),
    "missing key of a detector": ({"detectors.0.target": REMOVED}, ["detectors.my-ge.target", "required"]),
    "missing name of a detector": ({"detectors.0.name": REMOVED}, ["detectors.1.name", "required"]),
    "missing resolution": ({"detectors.0.resolution": REMOVED}, ["detectors.my-ge.resolution", "required"]),
    "missing background": ({"detectors.0.background_ckkd": REMOVED}, ["detectors.my-ge.background", "none"]),
    "two backgrounds": ({"detectors.0.background_ckd": 1}, ["detectors.my-ge.background", "exactly one"]),
    "missing bins": ({"detectors.0.bins": REMOVED}, ["detectors.my-ge.bins", "required"]),
    "misspelt source preset": ({"source": "es"}, ["source", "'es'", "'ess'"]),
    "misspelt detector preset": ({"detectors.0.preset": "ess-gee"}, ["detectors.1.preset", "'ess-gee'", "'ess-ge'"]),
    "misspelt coupling": ({"couplings": ["q_ee", "q_mumuu"]}, ["couplings", "'q_mumuu'", "'q_mumu'"]),
    "misspelt channel": ({"channels": ["cevnss"]}, ["channels", "'cevnss'", "cevns"]),
    "misspelt form factor": ({"form_factor": "helmm"}, ["form_factor", "'helmm'", "helm"]),
    "misspelt law": ({"detectors.0.resolution.law": "cubic"}, ["my-ge.resolution.law", "'cubic'", "sqrt"]),
    "figures that differ by case": (
        {"figures": [{"name": name, "panels": [{"spectrum": "my-ge"}]} for name in ("fig", "Fig")]},
        ["figures", "'fig' and 'Fig'", "case"],
    ),
    "a figure in the place of another": (
        {"figures": [{"name": "Coverage", "panels": [{"spectrum": "my-ge"}]}]},
        ["figures.Coverage.name"],
    ),
    "nothing where a word or keys may stand": (
        {"detectors.0.resolution": None},
        ["detectors.my-ge.resolution: must be none or keys and values, got nothing"],
    ),
    "a list where a number or keys may stand": (
        {"detectors.0.efficiency": [0.8]},
        ["detectors.my-ge.efficiency: must be a number or keys and values, got a list"],
    ),
    "a law of quenching by its name": (
        {"detectors.0.quenching": "lindhard"},
        ["detectors.my-ge.quenching: must be a number or keys and values", "{lindhard_k}", "got 'lindhard'"],
    ),
    "a table where a number stands": (
        {"detectors.0.background_ckkd": {"file": "background.csv"}},
        ["detectors.my-ge.background_ckkd: must be a number, got keys and values; a table is given by background_file"],
    ),
    "a level in percent": (
        {"intervals": {"confidence_level": 95}},
        ["intervals.confidence_level: must be at most", "got 95; 95 % is 0.95"],
    ),
    "a number where a source may stand": ({"source": 3}, ["source: must be a word or keys and values, got 3"]),
    "a number where a word, a list or keys may stand": (
        {"detectors.0.observed": 3},
        ["detectors.my-ge.observed: must be asimov, a list or keys and values, got 3"],
    ),
    "a word where a number or a list may stand": (
        {"intervals": {"confidence_level": "90%"}},
        ["intervals.confidence_level: must be a number or a list, got '90%'"],
    ),
    "detectors that differ by case": (
        {"detectors": [{"preset": "ess-ge", "name": name} for name in ("ge", "GE")]},
        ["detectors", "'ge' and 'GE'", "case"],
    ),
    "coupling given twice": ({"couplings": ["q_ee", "q_ee"]}, ["couplings", "'q_ee'", "twice"]),
    "negative mass": ({"detectors.0.mass_kg": -1}, ["detectors.my-ge.mass_kg", "-1"]),
    "zero distance": ({"detectors.0.distance_m": 0}, ["detectors.my-ge.distance_m", "0"]),
    "negative uncertainty": ({"uncertainties.signal": -0.1}, ["uncertainties.signal", "-0.1"]),
    "not a number": ({"detectors.0.mass_kg": math.nan}, ["detectors.my-ge.mass_kg"]),
    "infinite number": ({"exposure_years": math.inf}, ["exposure_years"]),
    "text for a number": ({"detectors.0.mass_kg": "heavy"}, ["detectors.my-ge.mass_kg", "'heavy'"]),
    "a number in quotes": ({"detectors.0.mass_kg": "5"}, ["detectors.my-ge.mass_kg", "'5'"]),
    "truth for a number": ({"exposure_years": True}, ["exposure_years", "true"]),
    "number for a word": ({"name": 7}, ["name", "7"]),
    "half a bin": ({"detectors.0.bins": 2.5}, ["detectors.my-ge.bins", "2.5"]),
    "too many bins": ({"detectors.0.bins": 10001}, ["detectors.my-ge.bins", "10001"]),
    "threshold above maximum": ({"detectors.0.threshold_kev": 50}, ["detectors.my-ge.threshold_kev", "maximum_kev"]),
    "threshold at maximum": ({"detectors.0.threshold_kev": 40}, ["detectors.my-ge.threshold_kev", "maximum_kev"]),
    "edges and uniform bins": (
        {"detectors.0.bin_edges_kev": [1, 2]},
        ["detectors.my-ge.threshold_kev", "bin_edges_kev"],
    ),
    "negative edge": ({"detectors.0.bin_edges_kev": [-1, 2]}, ["detectors.my-ge.bin_edges_kev", "-1"]),
    "one edge": ({"detectors.0.bin_edges_kev": [1]}, ["detectors.my-ge.bin_edges_kev", "2"]),
    "empty detector list": ({"detectors": []}, ["detectors", "1"]),
    "detectors are no list": ({"detectors": {"preset": "ess-ge"}}, ["detectors", "list"]),
    "a detector is a word": ({"detectors": ["ess-ge"]}, ["detectors.1"]),
    "unknown element": ({"detectors.0.target": "Qq"}, ["detectors.my-ge.target", "Qq"]),
    "a formula that is none": ({"detectors.0.target": "Ge("}, ["detectors.my-ge.target", "Ge("]),
    "missing radius": ({"detectors.0.target": "ThO2"}, ["detectors.my-ge", "Th", "rms_radius_fm"]),
    "radius of another element": (
        {"detectors.0.rms_radius_fm": {"Xe": 4.8}},
        ["detectors.my-ge", "rms_radius_fm", "Xe"],
    ),
    "negative radius": ({"detectors.0.rms_radius_fm": -4}, ["detectors.my-ge.rms_radius_fm", "-4"]),
    "radius too small for the form factor": (
        {"detectors.0.rms_radius_fm": 1.0},
        ["detectors.my-ge", "rms_radius_fm", "1"],
    ),
    "radius of neutrons too small for the form factor": (
        {"detectors.0.neutron_radius_fm": 1.0},
        ["detectors.my-ge", "neutron_radius_fm", "1"],
    ),
    "a level that is nearly 1": (
        {"intervals": {"confidence_level": 1}},
        ["intervals.confidence_level: must be at most 0.9999999, got 1"],
    ),
    "counts that are no numbers": (
        {"detectors.0.observed": [True] * 8},
        ["detectors.my-ge.observed.1: must be a number or a list, got true"],
    ),
    "a file without a name": (
        {"detectors.0.background_ckkd": REMOVED, "detectors.0.background_file": ""},
        ["detectors.my-ge.background_file: must not be empty, got ''"],
    ),
    "efficiency above 1": ({EFFICIENCY: 1.2}, ["detectors.my-ge.efficiency", "1.2"]),
    "efficiency of zero": ({EFFICIENCY: 0}, ["detectors.my-ge.efficiency", "0"]),
    "efficiency file that is not there": (
        {EFFICIENCY: {"file": "nowhere.csv", "axis": "recoil"}},
        ["detectors.my-ge.efficiency", "nowhere.csv"],
    ),
    "efficiency without an axis": ({EFFICIENCY: {"file": "x.csv"}}, ["detectors.my-ge.efficiency.axis", "required"]),
    "background file that is not there": (
        {"detectors.0.background_ckkd": REMOVED, "detectors.0.background_file": "nowhere.txt"},
        ["detectors.my-ge.background_file", "nowhere.txt"],
    ),
    "constant width without a smallest recoil": (
        {"detectors.0.resolution.law": "constant"},
        ["detectors.my-ge.resolution", "minimum_true_kev"],
    ),
    "electrons without quenching": ({"channels": ["electron"]}, ["detectors.my-ge.electron_quenching", "required"]),
    "electrons of an untabulated element": (
        {
            "channels": ["electron"],
            "detectors.0.electron_quenching": 0.1,
            "detectors.0.target": "W",
            "detectors.0.rms_radius_fm": 5.37,
        },
        ["detectors.my-ge", "W"],
    ),
    "contour of a coupling not in the study": ({"contours": [["q_ee", "q_mumu"]]}, ["contours.1", "'q_mumu'"]),
    "contour of one coupling with itself": ({"contours": [["q_ee", "q_ee"]]}, ["contours.1", "'q_ee'"]),
    "contour of three": ({"contours": [["q_ee", "q_emu", "q_etau"]]}, ["contours.1", "2"]),
    "profile outside bounds": (
        {"profiles": [{"coupling": "q_ee", "from": -1.0, "to": 1e-8}]},
        ["profiles.1", "q_ee", "bounds"],
    ),
    "profile that falls": ({"profiles": [{"coupling": "q_ee", "from": 1e-8, "to": -1e-8}]}, ["profiles.1.from", "to"]),
    "profile of a coupling not in the study": (
        {"profiles": [{"coupling": "q_etau", "from": -1e-8, "to": 1e-8}]},
        ["profiles.1.coupling", "'q_etau'"],
    ),
    "profile of a detector not in the study": (
        {"profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8, "detectors": ["my-gee"]}]},
        ["profiles.1.detectors", "'my-gee'", "'my-ge'"],
    ),
    "cross section of no element": (
        {"cross_sections": [{"target": "Qq", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}]},
        ["cross_sections.1.target", "Qq"],
    ),
    "cross section outside bounds": (
        {"cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1]}]},
        ["cross_sections.1.values", "bounds"],
    ),
    "figure of nothing": ({"figures": [{"name": "f", "panels": [{"title": "x"}]}]}, ["figures.f.panels.1", "none"]),
    "key of another kind of panel": (
        {"figures": [{"name": "f", "panels": [{"spectrum": "my-ge", "range": [1, 2]}]}]},
        ["figures.f.panels.1.range", "not a key of a spectrum panel", "profile or contour"],
    ),
    "cross section panel without an energy": (
        {"figures": [{"name": "f", "panels": [{"cross_section": "Ge"}]}]},
        ["figures.f.panels.1.energy_mev", "required", "the neutrino's"],
    ),
    "list for keys and values": ({"uncertainties": [0.1]}, ["uncertainties", "keys and values, got a list"]),
    "keys and values for a list": ({"couplings": {"q_ee": 1}}, ["couplings", "a list, got keys and values"]),
    "python's name of a key": (
        {"profiles": [{"coupling": "q_ee", "from_": -1e-8, "to": 1e-8}]},
        ["profiles.1.from_", "did you mean 'from'?"],
    ),
    "figure of a contour that is not made": (
        {"figures": [{"name": "f", "panels": [{"contour": ["q_ee", "q_emu"]}]}]},
        ["figures.f.panels.1.contour", "q_emu"],
    ),
    "confidence level in percent": ({"intervals": {"confidence_level": 90}}, ["intervals.confidence_level", "90"]),
    "time bins that fall": (
        {"source": {"preset": "sns"}, "detectors.0.time_bin_edges_us": [3, 2, 1]},
        ["detectors.my-ge.time_bin_edges_us: edges must rise"],
    ),
    "a name that is no file name": ({"name": "../elsewhere"}, ["name", "../elsewhere"]),
    "bins that no recoil reaches": (
        {"detectors.0.threshold_kev": 900, "detectors.0.maximum_kev": 1000},
        ["detectors.my-ge", "no recoil"],
    ),
}


@pytest.mark.parametrize("mistake", ONE_KEY)
def test_one_wrong_key(mistake, command, write_study, tmp_path):
    changes, words = ONE_KEY[mistake]
    path, output = write_study(changed(changes)), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, *words)


@pytest.mark.parametrize("edges", [[1, 3, 2], [1, 1, 2], [3, 2, 1]], ids=str)
def test_bin_edges_that_do_not_rise(edges, command, write_study, tmp_path):
    keys = changed({f"detectors.0.{key}": REMOVED for key in ("threshold_kev", "maximum_kev", "bins")})
    path = write_study(changed({"detectors.0.bin_edges_kev": edges}, keys))
    output = tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors.my-ge.bin_edges_kev", "rise")


def test_the_same_detector_name_twice(command, write_study, tmp_path):
    path, output = write_study(changed({"detectors": STUDY["detectors"] * 2})), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors", "'my-ge'", "twice")


EFFICIENCY_FILES = {
    "one column": ("0.1\n0.5\n", ["line 1", "2 columns"]),
    "three columns": ("1 0.5 0.1\n2 0.5 0.1\n", ["line 1", "2 columns"]),
    "words": ("1 0.5\nkeV efficiency\n", ["line 2", "2 numbers", "'keV efficiency'", "1.5, 0.5"]),
    "a name and a number": ("keV 0.5\n1 0.5\n", ["line 1", "2 numbers", "'keV 0.5'"]),
    "another unit": ("keVee,efficiency\n0,0.5\n500,0.5\n", ["in keVee", "in keV"]),
    "energy behind": ("efficiency,keV\n0,0.5\n500,0.5\n", ["the energy must be the first column"]),
    "decimal commas": ("0,5;0,3\n1,5;0,4\n", ["line 1", "2 numbers", "'0,5;0,3'", "1.5, 0.5"]),
    "endless": ("0 0.5\n500 inf\n", ["line 2", "finite"]),
    "above one": ("0 0.5\n500 1.5\n", ["line 2", "1.5"]),
    "negative": ("0 -0.5\n500 0.5\n", ["line 1", "-0.5"]),
    "not a number": ("0 0.5\n500 nan\n", ["line 2", "nan"]),
    "falling energies": ("5 0.5\n1 0.6\n", ["line 2"]),
    "empty": ("# nothing\n", ["no rows", "1.5, 0.5"]),
    "one row": ("1 0.5\n", ["two rows"]),
}


@pytest.mark.parametrize("axis", ["recoil", "reconstructed"])
@pytest.mark.parametrize("mistake", EFFICIENCY_FILES)
def test_efficiency_files(mistake, axis, command, write_study, tmp_path):
    text, words = EFFICIENCY_FILES[mistake]
    (tmp_path / "eff.csv").write_text(text, encoding="utf-8")
    path, output = write_study(changed({EFFICIENCY: {"file": "eff.csv", "axis": axis}})), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors.my-ge.efficiency", "eff.csv", *words)


@pytest.mark.parametrize("axis", ["recoil", "reconstructed"])
def test_an_efficiency_file_that_does_not_cover_the_energies(axis, command, write_study, tmp_path):
    (tmp_path / "eff.csv").write_text("2 0.5\n30 0.6\n", encoding="utf-8")
    path, output = write_study(changed({EFFICIENCY: {"file": "eff.csv", "axis": axis}})), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors.my-ge", "2 to 30", "efficiency")


def test_an_efficiency_file_that_is_no_text(command, write_study, tmp_path):
    (tmp_path / "eff.csv").write_bytes(b"\xff\xfe\x00\x01")
    path, output = write_study(changed({EFFICIENCY: {"file": "eff.csv", "axis": "recoil"}})), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors.my-ge.efficiency", "UTF-8")


def test_a_background_file_that_does_not_cover_the_bins(command, write_study, tmp_path):
    (tmp_path / "bkg.txt").write_text("5 1\n10 1\n", encoding="utf-8")
    changes = {"detectors.0.background_ckkd": REMOVED, "detectors.0.background_file": "bkg.txt"}
    path, output = write_study(changed(changes)), tmp_path / "out"
    assert_refused(command("run", path, "-o", output), output, "detectors.my-ge.background_file", "5 to 10")


RAW = {
    "broken YAML": ("name: [my-study\nsource: ess", ["line", "YAML"]),
    "tabs": ("name: x\n\tsource: ess", ["line 2", "YAML"]),
    "duplicate key": ("name: a\nsource: ess\nname: b", ["line 3", "'name'", "twice"]),
    "duplicate key inside": ("name: a\nuncertainties:\n  signal: 0.1\n  signal: 0.2", ["line 4", "'signal'", "twice"]),
    "no mapping": ("- name\n- source", ["keys and values"]),
    "empty": ("", ["keys and values"]),
}


@pytest.mark.parametrize("mistake", RAW)
@pytest.mark.parametrize("verb", ["run", "check"])
def test_files_that_are_no_study(mistake, verb, command, write_study, tmp_path):
    text, words = RAW[mistake]
    path, output = write_study(text), tmp_path / "out"
    options = ["-o", output] if verb == "run" else []
    assert_refused(command(verb, path, *options), output, "study.yaml", *words)


@pytest.mark.parametrize("verb", ["run", "check"])
def test_a_missing_file(verb, command, tmp_path):
    output = tmp_path / "out"
    options = ["-o", output] if verb == "run" else []
    assert_refused(command(verb, tmp_path / "nowhere.yaml", *options), output, "nowhere.yaml")


def test_several_mistakes_are_one_message(command, write_study, tmp_path):
    changes = {"detectors.0.mass_kg": -1, "exposure_yeers": 2, "uncertainties.signal": "ten"}
    path, output = write_study(changed(changes)), tmp_path / "out"
    ran = command("run", path, "-o", output)
    assert_refused(ran, output, "detectors.my-ge.mass_kg", "exposure_yeers", "uncertainties.signal")


def test_a_directory_that_cannot_be_written(command, write_study, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    output = tmp_path / "file" / "results"
    assert_refused(command("run", write_study(STUDY), "-o", output), output, str(output), "cannot write")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "in the way"


def test_a_file_where_the_study_folder_should_be(command, write_study, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "my-study").write_text("in the way", encoding="utf-8")
    ran = command("run", write_study(STUDY), "-o", tmp_path / "out")
    assert_refused(ran, tmp_path / "nothing", "my-study", "cannot write")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["my-study"]


@pytest.mark.parametrize("study", ["parada2042", "paradda2024"])
def test_a_built_in_study_that_is_none(study, command, tmp_path):
    output = tmp_path / "out"
    assert_refused(command("reproduce", study, "-o", output), output, study, "'parada2024'")


def test_a_preset_that_is_none(command, tmp_path):
    assert_refused(command("presets", "ess-csj"), tmp_path / "out", "'ess-csj'", "'ess-csi'")


@pytest.mark.parametrize("content", [None, "{}", "not json", "[]", '{"name": "x"}'], ids=str)
def test_figures_of_a_folder_without_results(content, command, tmp_path):
    folder = tmp_path / "out" / "study"
    folder.mkdir(parents=True)
    if content is not None:
        (folder / "result.json").write_text(content, encoding="utf-8")
    before = sorted(folder.rglob("*"))
    assert_refused(command("figures", folder), tmp_path / "nothing", "result.json")
    assert sorted(folder.rglob("*")) == before
    assert_refused(command("figures", tmp_path / "nowhere"), tmp_path / "nowhere", "nowhere")


@pytest.mark.parametrize(
    ("text", "word"),
    [(None, "my.mplstyle"), ("fonts.size: 3\n", "fonts.size"), ("font.size: big\n", "my.mplstyle, line 1")],
    ids=str,
)
def test_style_files(text, word, command, tmp_path):
    folder = cl.study_from_dict(STUDY).run().save(tmp_path / "out")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    style = tmp_path / "my.mplstyle"
    if text is not None:
        style.write_text(text, encoding="utf-8")
    assert_refused(command("figures", folder, "--style", style), tmp_path / "nothing", "my.mplstyle", word)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_numbers_as_physicists_write_them_are_accepted(command, write_study, tmp_path):
    text = yaml.safe_dump(STUDY).replace("mass_kg: 5", "mass_kg: 5e-1").replace("name: my-study", "name: NO")
    text += "profiles:\n- {coupling: q_ee, from: -1e-7, to: 1e-7, points: 3}\n"
    ran = command("run", write_study(text), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    rows = (tmp_path / "out" / "NO" / "profiles.csv").read_text(encoding="utf-8").splitlines()
    assert [float(row.split(",")[3]) for row in rows[1:]] == [-1e-7, 0.0, 1e-7]


@pytest.mark.parametrize(
    ("changes", "word"),
    [({"detectors.0.mass_kg": -1}, "detectors.my-ge.mass_kg"), ({"couplings": ["q_eee"]}, "q_ee")],
    ids=str,
)
def test_in_a_process_of_its_own(changes, word, write_study, tmp_path):
    """The console script, as a shell sees it."""
    script = os.path.join(os.path.dirname(sys.executable), "cevnslab")
    path, output = write_study(changed(changes)), tmp_path / "out"
    ran = subprocess.run(
        [script, "run", path, "-o", output], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert ran.returncode == 2
    assert word in ran.stderr
    assert ran.stdout == ""
    assert "Traceback" not in ran.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (
            {"radiative_corrections": True, "channels": ["electron"], "detectors.0.electron_quenching": 0.1},
            ("my-ge", "radiative_corrections", "not for electrons"),
        ),
        ({"radiative_corrections": "yes"}, ("radiative_corrections", "true or false")),
        ({"couplings": ["mu_ee"]}, ("couplings", "'mu_ee'", "'mu_e'")),
        ({"couplings": [{"name": "light_vector", "mass_mev": 10}]}, ("couplings.1", "charges")),
        ({"couplings": [{"name": "light_scalar", "label": "s"}]}, ("couplings.s", "mass_mev")),
        ({"couplings": [{"name": "light_scalar", "mass_mev": 0, "label": "s"}]}, ("mass_mev", "above 0")),
        ({"couplings": [3]}, ("couplings.1", "3")),
        ({"profile": ["mu_ee"]}, ("profile", "'mu_ee'", "'mu_e'")),
        ({"plugins": ["nowhere.py"]}, ("plugins.1", "nowhere.py")),
        ({"plugins": "nowhere.py"}, ("plugins", "list")),
        (
            {"source": {"type": "tabulated", "file": "no.txt", "reference_distance_m": 20, "hours_per_year": 5000}},
            ("source", "no.txt"),
        ),
        ({"source": {"type": "reactor", "thermal_power_gw": 3, "hours_per_year": 8000}}, ("source.fission_fractions",)),
        (
            {"source": {"type": "reactor", "thermal_power_gw": 3, "hours_per_year": 8000,
                        "fission_fractions": {"U235": 1}, "above_8_mev": {"factor": 1, "uncertainty": 1e-300}}},
            ("source.above_8_mev.uncertainty: must be 0, which fixes it, or at least 1e-09",),
        ),
        ({"detectors.0.quenching": 0.2}, ("my-ge.resolution", "sigma_kevee")),
        ({"detectors.0.threshold_kevee": 0.2}, ("my-ge.quenching", "keVee")),
        ({"uncertainties.quenching": 0.1}, ("my-ge.quenching", "required")),
        ({"intervals": {"confidence_level": 0.99999999999}}, ("intervals.confidence_level",)),
        ({"title": "$bad$"}, ("title", "$")),
        (
            {"cross_sections": [{"target": "Ge", "energy_mev": 10, "coupling": "q_ee", "values": [1e-8],
                                 "recoil_from_kev": 50}]},
            ("cross_sections.1", "endpoint"),
        ),
        (
            {"profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8}],
             "figures": [{"name": "f", "panels": [{"profile": ["q_ee"], "range": [2e-8, 3e-8]}]}]},
            ("figures.f.panels.1.range",),
        ),
    ],
)  # fmt: skip
def test_more_that_is_refused_before_anything_is_written(keys, words, command, write_study, tmp_path):
    ran = command("run", write_study(changed(keys)), "-o", tmp_path / "out")
    assert ran.status == 2
    assert all(word in ran.err for word in words), ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_an_isotope_is_no_target(command, write_study, tmp_path):
    ran = command("check", write_study(changed({"detectors.0.target": "D2O", "detectors.0.rms_radius_fm": 2.5})))
    assert ran.status == 2
    assert "isotope" in ran.err


def test_options_that_would_be_ignored_are_refused(command, write_study, tmp_path):
    for option in (("--workers", 2), ("--scheduler", "tcp://127.0.0.1:1")):
        ran = command("run", write_study(changed({})), "-o", tmp_path / "out", *option)
        assert ran.status == 2
        assert "pseudo-experiments" in ran.err
        assert not (tmp_path / "out").exists()


def test_a_changed_copy_of_the_paper_study_is_not_compared_with_the_paper(command, write_study, tmp_path):
    ran = command("run", write_study(changed({"name": "parada2024"})), "-o", tmp_path / "out")
    assert ran.status == 0
    assert "published" not in ran.out.lower()


def test_a_cross_section_of_a_coupling_without_limits_is_drawn(command, write_study, tmp_path):
    curve = {"target": "NaI", "energy_mev": 30, "coupling": "q_mutau", "values": [1e-8]}
    curve["rms_radius_fm"] = {"Na": 2.99, "I": 4.83}
    ran = command("run", write_study(changed({"cross_sections": [curve]})), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    assert (tmp_path / "out" / "my-study" / "figures" / "cross-sections.pdf").exists()
