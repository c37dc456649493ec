"""Couplings of users: a plugin file, an installed package, and everything that can be wrong with them."""

from __future__ import annotations

import csv
import importlib.metadata
import json
import os
import sys
import textwrap
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import OneFlavour, changed, direct_counts, near

import cevnslab as cl
from cevnslab.errors import PluginError
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.studies import foreign, plugins
from cevnslab.studies.coverage import coverage

EXAMPLE = """\
import numpy as np
import cevnslab as cl


def on_nucleus(recoil_kev, nucleus, protons, neutrons):
    return nucleus.neutron_number * neutrons * np.exp(-recoil_kev / 50)


soft = cl.Coupling("soft", r"\\sigma", "1", 1e-2, (-5.0, 5.0), (("mu", "mu"),), on_nucleus, None)
"""
"""Ten lines, as in the documentation."""
COPIES = """\
from dataclasses import replace
from cevnslab.physics import electromagnetic, mediators, millicharges, weak

charge = replace(millicharges.MILLICHARGES[0], name="my_charge")
moment = replace(electromagnetic.MAGNETIC_MOMENTS[0], name="my_moment")
angle = replace(weak.WEAK_MIXING, name="my_angle")
radius = replace(weak.NEUTRON_RADIUS, name="my_radius")
mediator = mediators.light_vector("b-l", 10.0, "my_mediator")
"""
BL10 = {"name": "light_vector", "charges": "b-l", "mass_mev": 10, "label": "bl10"}


@pytest.fixture
def write_plugin(tmp_path):
    def write(text, name="my.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


def with_plugin(changes=None, **more):
    return changed({"couplings": ["soft"], "plugins": ["my.py"], **(changes or {}), **more})


def test_the_example_gets_everything(command, write_study, write_plugin, tmp_path):
    write_plugin(EXAMPLE)
    keys = with_plugin(
        {
            "couplings": ["soft", "q_ee"],
            "contours": [["soft", "q_ee"]],
            "profiles": [{"coupling": "soft", "from": -0.3, "to": 0.3, "points": 31}],
            "scans": [{"name": "mass", "key": "detectors.my-ge.mass_kg", "values": [2, 20]}],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "soft", "values": [0.1]}],
        }
    )
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, f"cevnslab: runs the plugin {tmp_path / 'my.py'}\n")
    assert "soft" in ran.out
    folder = tmp_path / "out" / "my-study"
    for name in ("limits", "contours", "profiles", "scans", "cross_sections"):
        with open(folder / f"{name}.csv", encoding="utf-8", newline="") as file:
            assert any("soft" in row.values() for row in csv.DictReader(file)), name
    drawn = {path.name for path in (folder / "figures").iterdir()}
    assert len({path for path in drawn if path.endswith(".pdf")}) >= 4
    # The saved study runs from anywhere, and figures are drawn again without the plugin.
    saved = json.loads((folder / "result.json").read_text(encoding="utf-8"))["study"]
    again = cl.study_from_dict(saved, base=tmp_path / "elsewhere").run()
    with open(folder / "limits.csv", encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["coupling"] == "soft")
    assert float(row["lower"]) == again.limit("my-ge", "soft").segments[0][0]
    (tmp_path / "my.py").unlink()
    assert command("figures", folder).status == 0


def test_its_limits_are_those_of_its_kernel(write_plugin, tmp_path):
    write_plugin(EXAMPLE)
    study = cl.study_from_dict(with_plugin(), base=tmp_path)
    response, value = study.setups[0].response, 0.07
    (declared,) = study.couplings
    detector = study.setups[0].detector
    source = cl.load_source("ess")
    direct = direct_counts(source, detector, 2, 3, couplings={declared: value})
    assert response.counts(soft=value)[2] == near(direct, 1e-7)
    electrons = OneFlavour.of(source, "nue")
    other = cl.response(electrons, detector, couplings=[declared], years=3)
    assert np.array_equal(other.counts(soft=value), other.counts())  # it acts on muon neutrinos alone


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
def test_a_built_in_coupling_under_another_name(statistic, write_plugin, tmp_path):
    """Charges, moments, an angle, a radius and a mediator, declared again: the same limits to the last bit."""
    write_plugin(COPIES)
    pairs = {
        "my_charge": "q_ee",
        "my_moment": "mu_e",
        "my_angle": "sin2_theta_w",
        "my_radius": "neutron_radius",
        "my_mediator": "bl10",
    }
    options = {"statistic": statistic}
    theirs = cl.study_from_dict(
        changed({"couplings": list(pairs), "plugins": ["my.py"], **options}), base=tmp_path
    ).run()
    built_in = [BL10 if name == "bl10" else name for name in pairs.values()]
    ours = cl.study_from_dict(changed({"couplings": built_in, **options})).run()
    for mine, name in pairs.items():
        one, other = theirs.limit("my-ge", mine), ours.limit("my-ge", name)
        assert (one.segments, one.best_fit, one.unit) == (other.segments, other.best_fit, other.unit)


def test_pseudo_experiments_of_a_plugin(write_plugin, tmp_path):
    write_plugin(COPIES)
    mine = cl.study_from_dict(changed({"couplings": ["my_charge"], "plugins": ["my.py"]}), base=tmp_path)
    plain = cl.study_from_dict(changed({"couplings": ["q_ee"]}))
    points = [
        coverage(study, "my-ge", name, [2e-9, 4e-9], toys=300, seed=2).points
        for study, name in ((mine, "my_charge"), (plain, "q_ee"))
    ]
    for one, other in zip(*points, strict=True):
        assert one.true_value == other.true_value
        assert one.coverage == pytest.approx(other.coverage, abs=0.06)  # other random numbers: the name is in the seed


def test_plugins_that_are_minimised_over(write_plugin, tmp_path):
    write_plugin(EXAMPLE)
    keys = with_plugin({"couplings": ["q_ee"], "profile": ["soft"]})
    outer = cl.study_from_dict(keys, base=tmp_path).run().limit("my-ge", "q_ee").segments
    held = cl.study_from_dict({**keys, "profile": []}, base=tmp_path).run()
    ((low, high),) = held.limit("my-ge", "q_ee").segments
    assert any(first < low < high < last for first, last in outer)


def test_plugins_in_a_combination(write_plugin, tmp_path):
    write_plugin(EXAMPLE)
    keys = with_plugin(
        {
            "detectors": [*changed({})["detectors"], {"preset": "ess-csi"}],
            "combinations": [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "correlated"}],
        }
    )
    result = cl.study_from_dict(keys, base=tmp_path).run()
    ends = {name: result.limit(name, "soft").segments[0] for name in ("my-ge", "ess-csi", "both")}
    for name in ("my-ge", "ess-csi"):
        assert ends[name][0] < ends["both"][0] < ends["both"][1] < ends[name][1]


def test_the_path_is_relative_to_the_study(command, write_study, write_plugin, tmp_path, monkeypatch):
    write_plugin(EXAMPLE, "plugins/mine.py")
    path = write_study(with_plugin({"plugins": ["plugins/mine.py"]}))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert command("check", path).status == 0
    study = cl.load_study(path)
    assert study.as_dict()["plugins"] == [str((tmp_path / "plugins" / "mine.py").resolve())]
    absolute = with_plugin({"plugins": [str(tmp_path / "plugins" / "mine.py")]})
    assert cl.study_from_dict(absolute).couplings[0].name == "soft"


def test_the_hash_is_of_the_content(write_plugin, tmp_path):
    def sha256():
        return cl.study_from_dict(with_plugin(), base=tmp_path).sha256

    write_plugin(EXAMPLE)
    first = sha256()
    assert sha256() == first
    write_plugin(EXAMPLE.replace("/ 50", "/ 51"))
    assert sha256() != first
    write_plugin(EXAMPLE)
    assert sha256() == first
    # Where the file lies is no matter.
    write_plugin(EXAMPLE, "other/name.py")
    assert cl.study_from_dict(with_plugin({"plugins": ["other/name.py"]}), base=tmp_path).sha256 == first
    assert cl.study_from_dict(changed({"couplings": ["q_ee"]})).sha256 != first


def test_a_changed_plugin_is_run_anew(write_plugin, tmp_path):
    limits = []
    for length in (50, 5):
        write_plugin(EXAMPLE.replace("/ 50", f"/ {length}"))
        limits.append(cl.study_from_dict(with_plugin(), base=tmp_path).run().limit("my-ge", "soft").segments)
    assert limits[0] != limits[1]


def test_check_says_that_it_runs_them(command, write_study, write_plugin, tmp_path):
    write_plugin(EXAMPLE + '\nopen(__file__ + ".ran", "w").close()\n')
    ran = command("check", write_study(with_plugin()))
    assert (ran.status, ran.err) == (0, f"cevnslab: runs the plugin {tmp_path / 'my.py'}\n")
    assert (tmp_path / "my.py.ran").exists()
    (line,) = [line for line in ran.out.splitlines() if "plugin" in line]
    assert "my.py" in line
    assert "executes" in line
    assert "this check did" in line


def test_results_are_exported_without_running_what_they_name(command, write_study, write_plugin, tmp_path):
    ran = tmp_path / "my.py.ran"
    write_plugin(EXAMPLE + '\nopen(__file__ + ".ran", "w").close()\n')
    study, folder = write_study(with_plugin()), tmp_path / "out" / "my-study"
    assert command("run", study, "-o", folder.parent).status == 0
    ran.unlink()
    refused = command("export", folder, "--format", "pyhf", "--detector", "my-ge")
    assert (refused.status, refused.out) == (2, "")
    assert "its study runs the Python code of 'my.py'" in refused.err
    assert "export the study file" in refused.err
    for form in ("hepdata", "bibtex"):
        assert command("export", folder, "--format", form).status == 0
    assert command("figures", folder).status == command("report", folder).status == 0
    assert not ran.exists()
    exported = command("export", study, "--format", "pyhf", "--detector", "my-ge")
    assert (exported.status, exported.err) == (0, f"cevnslab: runs the plugin {tmp_path / 'my.py'}\n")


def declaration(**changes):
    keys = {
        "name": "'soft'",
        "symbol": "'s'",
        "unit": "'1'",
        "scale": "1e-2",
        "bounds": "(-5.0, 5.0)",
        "flavours": "(('e', 'e'),)",
        "nucleus": "lambda T, A, p, n: n",
        "electron": "None",
        **changes,
    }
    arguments = ", ".join(f"{key}={value}" for key, value in keys.items())
    return f"import numpy as np\nimport cevnslab as cl\nsoft = cl.Coupling({arguments})\n"


BAD = {
    "a syntax error": ("def broken(:\n", ["does not import", "SyntaxError"]),
    "a module that is not there": ("import no_such_module_at_all\n", ["does not import", "no_such_module_at_all"]),
    "a fault at its top level": ("1 / 0\n", ["does not import", "ZeroDivisionError"]),
    "an argument too few": ("import cevnslab as cl\nx = cl.Coupling('x')\n", ["TypeError", "line 2"]),
    "a fault in a function": (
        "def inner():\n    return {}['x']\n\ninner()\n", ["does not import", "KeyError", "line 2"],
    ),
    "an exit": ("import sys\nsys.exit(3)\n", ["does not import", "it exits", "line 2"]),
    "a call without end": ("def f():\n    f()\n\nf()\n", ["does not import", "without end", "line 2"]),
    "a fault of its own kind": (
        "class Stop(BaseException):\n    def __str__(self):\n        raise ValueError\n\nraise Stop\n",
        ["does not import (Stop: its message fails, line 5)"],
    ),
    "an interrupt of its own": ("raise KeyboardInterrupt\n", ["does not import (KeyboardInterrupt, line 1)"]),
    "a fault without a message": ("raise GeneratorExit\n", ["does not import (GeneratorExit, line 1)"]),
    "a fault whose message fails": (
        "class E(Exception):\n    def __str__(self): return 1 / 0\n\nraise E\n",
        ["does not import (E: its message fails, line 4)"],
    ),
    "a name without end": (declaration(name="'s' * 500"), ["name must be", "80 at most"]),
    "complex numbers": (declaration(nucleus="lambda T, A, p, n: n * 1j"), ["'soft'", "complex", "my.py, line 3"]),
    "control characters in a fault": ("raise ValueError('\x1b[31mred')\n", ["ValueError", r"\x1b"]),
    "a unit with a comma": (declaration(unit="'a,b'"), ["'soft'", "unit", "without separators", "'a,b'"]),
    "a unit that is a formula of a spreadsheet": (declaration(unit="'=1+1'"), ["'soft'", "unit"]),
    "a unit that is no word": (declaration(unit="3"), ["'soft'", "unit", "words of one line"]),
    "no unit": (declaration(unit="''"), ["'soft'", "unit"]),
    "a symbol of two lines": (declaration(symbol="'a\\nb'"), ["'soft'", "symbol"]),
    "a description that colours the terminal": (declaration(description="'\\x1b[31m'"), ["'soft'", "description"]),
    "a name that is no word": (declaration(name="'a\\x1b'"), [r"a\x1b", "name"]),
    "a kernel that exits": (declaration(nucleus="lambda T, A, p, n: exit()"), ["'soft'", "on nuclei", "it exits"]),
    "nothing declared": ("import cevnslab as cl\nprint\n", ["declares no coupling"]),
    "an empty file": ("", ["declares no coupling"]),
    "no kernel": (declaration(nucleus="None"), ["'soft'", "no kernel"]),
    "the wrong shape": (declaration(nucleus="lambda T, A, p, n: n[:3]"), ["'soft'", "shape (3,)", "on nuclei"]),
    "one number": (declaration(nucleus="lambda T, A, p, n: 1.0"), ["'soft'", "shape ()"]),
    "an electron kernel of the wrong shape": (
        declaration(electron="lambda T: np.ones((2, len(T)))"), ["'soft'", "on electrons", "shape (2, 24)"],
    ),
    "not a number": (declaration(nucleus="lambda T, A, p, n: n * np.nan"), ["'soft'", "not finite"]),
    "a pole": (declaration(nucleus="lambda T, A, p, n: 1 / (T - T[7])"), ["'soft'", "not finite"]),
    "not a number on argon": (
        declaration(nucleus="lambda T, A, p, n: n * np.log(A.mass_u - 50)"), ["'soft'", "not finite"],
    ),
    "infinite on electrons": (declaration(electron="lambda T: T / 0.0"), ["'soft'", "on electrons", "not finite"]),
    "a kernel that fails": (
        declaration(nucleus="lambda T, A, p, n: T * A.spin"), ["'soft'", "on nuclei", "AttributeError", "spin"],
    ),
    "a kernel with too few arguments": (declaration(nucleus="lambda T: T"), ["'soft'", "on nuclei", "TypeError"]),
    "words from a kernel": (declaration(nucleus="lambda T, A, p, n: 'n'"), ["'soft'", "on nuclei"]),
    "the name of a built-in": (declaration(name="'q_ee'"), ["'q_ee'", "taken"]),
    "the name of a family": (declaration(name="'light_vector'"), ["'light_vector'", "taken"]),
    "one name twice": (
        declaration() + "from dataclasses import replace\nsecond = replace(soft, scale=2.0)\n", ["'soft'", "taken"],
    ),
    "no flavours": (declaration(flavours="()"), ["'soft'", "flavours must be pairs"]),
    "bounds that fall": (declaration(bounds="(1.0, -1.0)"), ["'soft'", "bounds"]),
    "a scale of nothing": (declaration(scale="0.0"), ["'soft'", "scale"]),
    "an unknown component": (declaration(component="'tensor'"), ["tensor", "vector"]),
    "an axial nucleus": (declaration(component="'axial'"), ["soft", "axial", "electrons"]),
    "a power of nothing": (declaration(power="0"), ["soft", "power"]),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_bad_plugins_are_one_message(fault, command, write_study, write_plugin, tmp_path):
    text, words = BAD[fault]
    write_plugin(text)
    ran = command("run", write_study(with_plugin()), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    announced, message = ran.err.splitlines()
    assert announced == f"cevnslab: runs the plugin {tmp_path / 'my.py'}"
    assert message.startswith("cevnslab: ")
    assert "plugins.1" in message
    assert "my.py" in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "words"), [("no.py", ["no.py"]), ("my.txt", [".py"]), ("folder", ["folder"])])
def test_files_that_are_no_plugin(name, words, command, write_study, write_plugin, tmp_path):
    write_plugin(EXAMPLE, "my.txt")
    (tmp_path / "folder").mkdir()
    ran = command("run", write_study(with_plugin({"plugins": [name]})), "-o", tmp_path / "out")
    assert ran.status == 2
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in ("plugins.1", *words)), ran.err
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_text(command, write_study, tmp_path):
    (tmp_path / "my.py").write_bytes(b"\xff\xfe\x00")
    ran = command("check", write_study(with_plugin()))
    assert ran.status == 2
    assert "UTF-8" in ran.err


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_waited_for(command, write_study, tmp_path):
    os.mkfifo(tmp_path / "my.py")
    ran = command("check", write_study(with_plugin()))
    assert ran.status == 2
    assert "my.py: must be a Python file, this is a pipe" in ran.err


def test_two_plugins_with_one_name(command, write_study, write_plugin):
    write_plugin(EXAMPLE)
    write_plugin(EXAMPLE, "second.py")
    ran = command("check", write_study(with_plugin({"plugins": ["my.py", "second.py"]})))
    assert ran.status == 2
    assert "plugins.2" in ran.err
    assert "'soft'" in ran.err


def test_a_mediator_with_the_name_of_a_plugin(command, write_study, write_plugin):
    write_plugin(EXAMPLE)
    ran = command("check", write_study(with_plugin({"couplings": ["soft", {**BL10, "label": "soft"}]})))
    assert ran.status == 2
    assert "'soft'" in ran.err


def test_without_the_plugin_the_name_is_unknown(command, write_study):
    ran = command("check", write_study(changed({"couplings": ["soft"]})))
    assert ran.status == 2
    assert "'soft'" in ran.err


UNSOUND = {
    "leaves the program": "raise SystemExit(0)\n",
    "needs form factors above 0": declaration(nucleus="lambda T, A, p, n: np.where(n > 0, n, np.nan)"),
    "is not a number on an element that is not tried": declaration(
        nucleus="lambda T, A, p, n: n * (np.nan if A.symbol == 'Xe' else 1)"
    ),
    "joins flavours that are none": declaration(flavours="(('x', 'y'),)"),
    "joins flavours that are no pairs": declaration(flavours="('e', 'e')"),
    "has a symbol that cannot be drawn": declaration(symbol="'badmacro{'"),
    "has a reference that is not a number": declaration(reference="float('nan')"),
    "has the Standard Model out of its bounds": declaration(bounds="(1.0, 2.0)"),
    "has a word for a scale": declaration(scale="'large'"),
    "has three bounds": declaration(bounds="(0.0, 1.0, 2.0)"),
    "has a rebuild that fails": declaration(
        nucleus="None", rebuild="lambda of, value: 1 / 0", range_of="lambda of: (1.0, 2.0, 3.0)"
    ),
    "has no range": declaration(nucleus="None", rebuild="lambda of, value: of", range_of="lambda of: None"),
}


@pytest.mark.parametrize("fault", UNSOUND)
def test_unsound_plugins_are_one_message(fault, command, write_study, write_plugin, tmp_path):
    write_plugin(UNSOUND[fault])
    keys = with_plugin({"detectors.0.target": "Xe", "detectors.0.maximum_kev": 47.0})
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 2  # the notice and the message
    assert "Traceback" not in ran.err
    assert "soft" in ran.err or "my.py" in ran.err
    assert not (tmp_path / "out").exists()


class FakeDistribution:
    """An installed package that offers couplings by entry points."""

    def __init__(self, monkeypatch, **offered):
        module = types.ModuleType("fake_couplings")
        vars(module).update(offered)
        monkeypatch.setitem(sys.modules, "fake_couplings", module)
        self.entries: list[importlib.metadata.EntryPoint] = []
        self.calls = 0
        monkeypatch.setattr(importlib.metadata, "entry_points", self._entry_points)

    def _entry_points(self, *, group):
        self.calls += 1
        return importlib.metadata.EntryPoints(entry for entry in self.entries if entry.group == group)

    def offer(self, name, value, group="cevnslab.couplings"):
        self.entries.append(importlib.metadata.EntryPoint(name, value, group))
        return self


COPY = replace(COUPLINGS["q_ee"], name="installed")


def test_an_installed_package(monkeypatch):
    fake = FakeDistribution(monkeypatch, copy=COPY).offer("installed", "fake_couplings:copy")
    mine = cl.study_from_dict(changed({"couplings": ["installed"]})).run()
    plain = cl.study_from_dict(changed({"couplings": ["q_ee"]}))
    assert mine.limit("my-ge", "installed").segments == plain.run().limit("my-ge", "q_ee").segments
    assert fake.calls > 0


def test_a_module_with_several(monkeypatch):
    second = replace(COPY, name="second", flavours=(("mu", "mu"),))
    FakeDistribution(monkeypatch, copy=COPY, other=second, number=3).offer("all", "fake_couplings")
    assert set(plugins.from_entry_points()) == {"installed", "second"}
    study = cl.study_from_dict(changed({"couplings": ["q_ee"], "profile": ["second"]}))
    functions = {"nucleus": None, "electron": None}  # watched, to name their package when they fail
    assert replace(study.registry["second"], **functions) == replace(second, **functions)


def test_packages_are_not_asked_without_need(monkeypatch):
    fake = FakeDistribution(monkeypatch).offer("broken", "no_such_package:x")
    cl.study_from_dict(changed({"couplings": ["q_ee", BL10]}))
    assert fake.calls == 0


def test_other_groups_are_not_ours(monkeypatch):
    FakeDistribution(monkeypatch, copy=COPY).offer("installed", "fake_couplings:copy", group="other.group")
    with pytest.raises(cl.CevnslabError, match="'installed'"):
        cl.study_from_dict(changed({"couplings": ["installed"]}))


@pytest.mark.parametrize(
    ("value", "offered", "words"),
    [
        ("no_such_package:x", {}, ["does not import", "no_such_package"]),
        ("fake_couplings:missing", {}, ["does not import", "missing"]),
        ("fake_couplings", {}, ["declares no coupling"]),
        ("fake_couplings:copy", {"copy": replace(COPY, name="q_mumu")}, ["'q_mumu'", "taken"]),
        ("fake_couplings:copy", {"copy": replace(COPY, nucleus=lambda *values: values[0] * np.nan)}, ["not finite"]),
    ],
    ids=["no package", "no such name", "nothing in it", "a name that is taken", "not a number"],
)
def test_bad_packages_are_one_message(value, offered, words, monkeypatch, command, write_study):
    FakeDistribution(monkeypatch, **offered).offer("mine", value)
    ran = command("check", write_study(changed({"couplings": ["installed"]})))
    assert (ran.status, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in ("entry point mine", value, *words)), ran.err


def test_two_packages_with_one_name(monkeypatch):
    fake = FakeDistribution(monkeypatch, copy=COPY, again=replace(COPY, scale=2e-9))
    fake.offer("one", "fake_couplings:copy").offer("two", "fake_couplings:again")
    with pytest.raises(PluginError, match=r"entry point two.*'installed'"):
        plugins.from_entry_points()


def test_trying_out_is_what_it_says():
    """At the energies, on the nuclei and on electrons; a kernel is not called anywhere else."""
    called = []

    def on_nucleus(recoil, nucleus, protons, neutrons):
        called.append((nucleus.symbol, recoil.min(), recoil.max()))
        return neutrons

    plugins.try_out(replace(COPY, nucleus=on_nucleus), "here")
    assert {symbol for symbol, *_ in called} == {"Cs", "I", "Ge", "Ar"}
    assert all((low, high) == (near(0.05, 1e-9), near(200.0, 1e-9)) for _, low, high in called)


LATE = {
    "raises": ("1 / 0", "fails (ZeroDivisionError: division by zero, line 6)"),
    "exits": ("exit(4)", "fails: it exits, line 6"),
    "gives another shape": ("return n[:3]", "has the shape (3,) for recoil energies of shape ("),
    "gives words": ("return 'n'", "gives no numbers (defined in my.py, line 4)"),
    "gives no number": ("return n * np.nan", "keV (defined in my.py, line 4)"),
    "does not end": ("while True: pass", "fails: it ran for 0.5 s, line 6"),
}


@pytest.mark.parametrize("fault", LATE)
def test_a_kernel_that_fails_where_it_was_not_tried(fault, command, write_study, write_plugin, tmp_path, monkeypatch):
    """It was tried at 24 energies; a detector needs others."""
    monkeypatch.setattr(foreign, "LONGEST_SECONDS", 0.5)
    statement, words = LATE[fault]
    kernel = f"def kernel(T, A, p, n):\n    if len(T) != 24:\n        {statement}\n    return n\n"
    write_plugin(f"import numpy as np\n\n\n{kernel}\n\n{declaration(nucleus='kernel')}")
    study = write_study(with_plugin())
    for arguments in (["check", study], ["run", study, "-o", tmp_path / "out"]):
        ran = command(*arguments)
        assert (ran.status, ran.out) == (2, "")
        _, message = ran.err.splitlines()
        assert f"detectors.my-ge: plugin {tmp_path / 'my.py'}: coupling 'soft': its kernel on nuclei (Ge) " in message
        assert words in message
    assert not (tmp_path / "out").exists()


def test_what_a_plugin_prints_and_where_it_goes(command, write_study, write_plugin, tmp_path, monkeypatch):
    """Standard output may be a file, and -o is relative to the folder in which the command was given."""
    monkeypatch.chdir(tmp_path)
    kernel = "lambda T, A, p, n: (print('in its kernel'), os.chdir('/'), n)[2]"
    write_plugin(f"import os\nprint('at its top')\nos.chdir('/')\n{declaration(nucleus=kernel)}")
    exported = command("export", write_study(with_plugin()), "--format", "bibtex", "-o", "-")
    assert exported.status == 0
    assert "at its top" not in exported.out
    assert "in its kernel" not in exported.out
    assert "at its top\nin its kernel\n" in exported.err
    assert Path.cwd() == tmp_path


def test_a_plugin_that_does_not_end(command, write_study, write_plugin, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "LONGEST_SECONDS", 0.3)
    write_plugin(
        "import time\n\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n"
    )
    ran = command("check", write_study(with_plugin()))
    assert (ran.status, ran.out) == (2, "")
    assert "does not import: it ran for 0.3 s, line " in ran.err
    write_plugin(declaration(nucleus="lambda T, A, p, n: [x for x in iter(int, 1)]"))
    with pytest.raises(PluginError, match=r"on nuclei \(Cs\) fails: it ran for 0\.3 s, line 3"):
        cl.study_from_dict(with_plugin(), base=tmp_path)
