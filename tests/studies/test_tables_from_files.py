"""Tables from files: every way of writing one that is read, and that all of them mean the same."""

from __future__ import annotations

import numpy as np
import pytest
from support import REMOVED, changed

import cevnslab as cl
from cevnslab.errors import InputFileError
from cevnslab.studies.tables import read_curve, read_spectra
from cevnslab.textfiles import LARGEST_BYTES, read_table, read_text

WAYS = {
    "blanks": b"0 0.1\n2 0.7\n400 0.8\n",
    "commas": b"0,0.1\n2,0.7\n400,0.8\n",
    "commas and blanks": b"0, 0.1\n2 ,0.7\n400 , 0.8\n",
    "tabs": b"0\t0.1\n2\t0.7\n400\t0.8\n",
    "comments": b"# keV, efficiency\n\n0 0.1  # threshold\n2 0.7\n   # more\n400 0.8",
    "a byte order mark": b"\xef\xbb\xbf0 0.1\n2 0.7\n400 0.8\n",
    "a mark before names": b"\xef\xbb\xbfenergy_kev,efficiency\n0,0.1\n2,0.7\n400,0.8\n",
    "names": b"energy_kev efficiency\n0 0.1\n2 0.7\n400 0.8\n",
    "names with units in brackets": b'"E (keV)","efficiency"\r\n0,0.1\r\n2,0.7\r\n400,0.8\r\n',
    "names without a unit": b"energy, efficiency\n0,0.1\n2,0.7\n400,0.8\n",
    "empty cells at the end of a sheet": b"0,0.1\n2,0.7\n400,0.8\n,\n,\n",
    "old line ends": b"0 0.1\r2 0.7\r400 0.8\r",
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_it_means_the_same(way, tmp_path):
    path = tmp_path / "eff.dat"
    path.write_bytes(WAYS[way])
    curve = read_curve(path, "efficiency file", "efficiency", highest=1.0)
    assert curve.energy.tolist() == [0, 2, 400]
    assert curve.value.tolist() == [0.1, 0.7, 0.8]
    curve.require_unit("keV")
    detector = changed({"detectors.0.efficiency": {"file": "eff.dat", "axis": "recoil"}})
    study = cl.study_from_dict(detector, base=tmp_path)
    assert study.setups[0].detector.efficiency.efficiency == (0.1, 0.7, 0.8)


def test_a_spectrum_file_with_a_mark(tmp_path):
    path = tmp_path / "flux.csv"
    path.write_bytes(b"\xef\xbb\xbfenergy_mev,nu_e\n10,1\n20,2\n")
    energy, columns = read_spectra(path)
    assert energy.tolist() == [10, 20]
    assert columns["nu_e"].tolist() == [1, 2]


def test_lines_are_named_as_an_editor_counts_them(tmp_path):
    path = tmp_path / "t.dat"
    path.write_text("# a\n\nx, y\n1, 2\n\n3, 4\n", encoding="utf-8")
    table = read_table(path, "table", "1, 2")
    assert (table.top, table.place(0), table.place(1)) == tuple(f"table {path}, line {n}" for n in (3, 4, 6))
    assert table.names == ("x", "y")
    assert not table.rows.flags.writeable


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 2\n3\n", ["line 2", "2 columns", "got 1"]),
        ("1_0 2\n", ["line 1", "numbers are needed", "'1_0 2'", "1.5, 0.5"]),
        ("a, b, c\n1, 2\n", ["line 2", "3 columns", "got 2"]),
        ("a b\nc d\n1 2\n", ["line 2", "'c d'"]),
        ("x" * 400 + " 1\n", ["line 1", "..."]),
        ("\x1b[31m 1\n", ["line 1", "\\x1b"]),
        ("", ["no rows"]),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(text, words, tmp_path):
    path = tmp_path / "t.dat"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputFileError) as fault:
        read_table(path, "table", "1.5, 0.5")
    message = str(fault.value)
    assert all(word in message for word in ["table", "t.dat", *words]), message
    assert len(message) < 400 + len(str(path))
    assert message.isprintable()


LIGHT = {
    "detectors.0.quenching": 0.2,
    "detectors.0.resolution": {"sigma_kevee": 0.04, "at_kevee": 0.2},
    "detectors.0.background_ckkd": REMOVED,
    "detectors.0.background_file": "bkg.dat",
}


def test_a_background_in_either_unit(tmp_path):
    """4 per keV of recoil is 20 per keVee where light is a fifth of the recoil."""
    curves = {}
    for name, text in {
        "recoil": "0.5 4\n50 4\n",
        "recoil, said": "keV counts_per_kev\n0.5 4\n50 4\n",
        "light": "kevee counts_per_kevee\n0.1 20\n10 20\n",
    }.items():
        (tmp_path / "bkg.dat").write_text(text, encoding="utf-8")
        curves[name] = cl.study_from_dict(changed(LIGHT), base=tmp_path).setups[0].detector.background_per_kg_day
    assert curves["recoil, said"] == pytest.approx(curves["recoil"], rel=1e-14)
    assert curves["light"] == pytest.approx(curves["recoil"], rel=1e-12)
    assert np.sum(curves["light"]) == pytest.approx(4 * 39, rel=1e-12)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("detectors.0.background_file", "kevee rate\n0.1 20\n60 20\n"),
        ("detectors.0.efficiency", "energy_kevee eff\n0 0.5\n500 0.5\n"),
    ],
)
def test_an_energy_in_a_unit_that_the_detector_does_not_have(key, text, tmp_path):
    (tmp_path / "t.dat").write_text(text, encoding="utf-8")
    changes = {key: "t.dat" if key.endswith("file") else {"file": "t.dat", "axis": "recoil"}}
    if key.endswith("file"):
        changes["detectors.0.background_ckkd"] = REMOVED
    with pytest.raises(InputFileError, match=r"my-ge\..*t\.dat: its energies are in keVee, needed in keV"):
        cl.study_from_dict(changed(changes), base=tmp_path)


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "/dev/zero", "."])
def test_what_is_no_file(name, tmp_path):
    with pytest.raises(InputFileError) as fault:
        read_text(tmp_path / name, "plugin")
    assert str(fault.value).startswith("cannot read the plugin ")
    assert str(fault.value).isprintable()
    assert LARGEST_BYTES < 1e8
