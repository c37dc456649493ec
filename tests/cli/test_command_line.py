"""The commands, as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import yaml
from support import PATIENCE_S, STUDY, changed

import cevnslab as cl
from cevnslab.errors import CevnslabError
from cevnslab.studies import presets


def test_reproduce_prints_ours_beside_the_published(command, tmp_path):
    ran = command("reproduce", "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    lines = [line.split() for line in ran.out.splitlines()]
    assert any({"detector", "coupling", "ours", "published", "difference"} <= set(line) for line in lines)
    assert any(line[:4] == ["ess-ge", "q_ee", "-3.85", "-3.9"] for line in lines)
    assert sum("differs" in line for line in lines) == 3
    assert "16 of 19" in ran.out
    assert str(tmp_path / "out" / "parada2024") in ran.out
    assert (tmp_path / "out" / "parada2024" / "figures" / "figure-6.pdf").stat().st_size > 5000


def test_run_writes_under_results_by_default(command, write_study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("run", write_study(STUDY))
    assert (ran.status, ran.err) == (0, "")
    assert "my-ge" in ran.out
    assert (tmp_path / "results" / "my-study" / "limits.csv").exists()


def test_check_says_what_it_would_compute_and_writes_nothing(command, write_study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keys = changed(
        {
            "contours": [["q_ee", "q_emu"]],
            "profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8, "points": 77}],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}],
        }
    )
    path = write_study(keys)
    ran = command("check", path)
    assert (ran.status, ran.err) == (0, "")
    for word in ("my-study", "my-ge", "5 kg", "15 m", "8 bins", "q_emu", "90 %", "77 points", "30 MeV", "contours"):
        assert word in ran.out
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_presets_lists_everything(command):
    ran = command("presets")
    assert ran.status == 0
    for kind in presets.KINDS:
        assert all(name in ran.out for name in presets.names(kind))
    for name, coupling in cl.couplings.COUPLINGS.items():
        (line,) = [line for line in ran.out.splitlines() if line.split()[:1] == [name]]
        assert f"({coupling.unit})" in line


def test_lines_of_presets_are_sentences(command):
    """None ends in the middle, as the first line of a longer comment would."""
    lines = command("presets").out.split("couplings:")[0].splitlines()
    entries = [line for line in lines if line.startswith("  ")]
    assert len(entries) > 20
    assert all(line.endswith(".") for line in entries), [line for line in entries if not line.endswith(".")]


def test_one_year_is_singular(command, write_study):
    assert "1 year," in command("check", write_study(changed({"exposure_years": 1}))).out
    assert "3 years," in command("check", write_study(STUDY)).out


@pytest.mark.parametrize("kind", presets.KINDS)
def test_presets_print_as_yaml_ready_to_edit(kind, command, write_study):
    for name in presets.names(kind):
        ran = command("presets", name)
        assert ran.status == 0
        path = write_study(ran.out, f"{name}.yaml")
        if kind == "studies":
            assert cl.load_study(path).sha256 == cl.load_study(name).sha256
        elif kind == "detectors" and "dataset" in yaml.safe_load(ran.out):
            entries = yaml.safe_load(ran.out), {"preset": name}
            one, other = (cl.study_from_dict(changed({"detectors": [entry]})).setups[0] for entry in entries)
            assert one.setup == other.setup
            with pytest.raises(CevnslabError, match="not a projected detector"):
                cl.load_detector(path)
        elif kind == "detectors":
            assert cl.load_detector(path).target == cl.load_detector(name).target
        else:
            assert cl.load_source(path) == cl.load_source(name)


@pytest.mark.parametrize("name", cl.couplings.COUPLINGS)
def test_a_coupling_prints_its_declaration(name, command):
    declared = yaml.safe_load(command("presets", name).out)
    assert declared["name"] == name
    assert declared["unit"] == cl.couplings.COUPLINGS[name].unit


def test_version(command):
    ran = command("--version")
    assert (ran.status, ran.out.strip()) == (0, f"cevnslab {cl.__version__}")


@pytest.mark.parametrize("arguments", [["reproduce", "--nonsense"], ["nonsense"], ["run"]], ids=" ".join)
def test_wrong_usage_is_status_2(arguments, command):
    ran = command(*arguments)
    assert ran.status == 2
    assert ran.err
    assert "Traceback" not in ran.err


def test_help_names_the_commands(command):
    ran = command("--help")
    assert ran.status == 0
    assert all(name in ran.out for name in ("reproduce", "run", "figures", "check", "presets"))


def test_a_fault_of_the_package_is_no_mistake_of_the_user(command, write_study, tmp_path, monkeypatch):
    """Status 1 and one message with the place; the traceback is shown to those who ask for it."""

    def broken(*_, **__):
        raise RuntimeError("a fault\nof ours")

    monkeypatch.setattr("cevnslab.studies.setups.response", broken)
    ran = command("run", write_study(STUDY), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    (line,) = ran.err.splitlines()
    assert line.startswith("cevnslab: internal error, RuntimeError: a fault of ours (")
    assert not (tmp_path / "out").exists()
    monkeypatch.setenv("CEVNSLAB_TRACEBACK", "1")
    assert "Traceback" in command("run", write_study(STUDY), "-o", tmp_path / "out").err


def test_too_little_memory_is_said(command, write_study, tmp_path, monkeypatch):
    def greedy(*_, **__):
        raise MemoryError

    monkeypatch.setattr("cevnslab.studies.setups.response", greedy)
    ran = command("run", write_study(STUDY), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "cevnslab: there is not enough memory for this study: `cevnslab check` says what it takes\n"


def test_as_a_module():
    ran = subprocess.run(
        [sys.executable, "-m", "cevnslab", "--version"], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert ran.stdout.strip() == f"cevnslab {cl.__version__}"


def test_the_cold_start_imports_little():
    """`import cevnslab` and the command's help cost nothing that a study may not need."""
    code = "import sys, cevnslab, cevnslab.cli; print(sorted({name.split('.')[0] for name in sys.modules}))"
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S, env=environment
    )
    for heavy in ("matplotlib", "scipy", "periodictable", "contourpy", "pydantic"):
        assert f"'{heavy}'" not in ran.stdout
