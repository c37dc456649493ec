"""HEPData submissions: the archive's own validator takes them, and they hold the result's numbers."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import yaml
from support import changed

import cevnslab as cl
from cevnslab.errors import MissingExtraError, OutputError
from cevnslab.reports import hepdata
from cevnslab.results import CriticalValues, DataSpectrum, FitParameter

pytestmark = [
    # The validator uses what jsonschema has replaced.
    pytest.mark.filterwarnings(r"ignore:jsonschema.*\.Ref\w+ is deprecated:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def submission(paper, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hepdata")
    return folder, hepdata.export_hepdata(paper, folder)


@pytest.fixture(scope="module")
def short(paper):
    """The result without its longest tables."""
    return replace(paper, contours=(), profiles=(), cross_sections=paper.cross_sections[:2])


def load(folder, name):
    documents = list(yaml.safe_load_all((folder / "submission.yaml").read_text(encoding="utf-8")))
    (entry,) = [doc for doc in documents[1:] if doc["name"] == name]
    return yaml.safe_load((folder / entry["data_file"]).read_text(encoding="utf-8"))


def values(variable):
    return [cell.get("value", (cell.get("low"), cell.get("high"))) for cell in variable["values"]]


def accept(folder):
    pytest.importorskip("hepdata_validator")
    with warnings.catch_warnings():
        # The validator leaves the files that it reads to be closed by Python.
        warnings.filterwarnings("ignore", "unclosed file", ResourceWarning)
        hepdata.check_submission(folder)


def test_the_archive_takes_it(submission):
    accept(submission[0])


def test_tables_for_limits_spectra_profiles_contours_and_cross_sections(submission, paper):
    folder, files = submission
    documents = list(yaml.safe_load_all((folder / "submission.yaml").read_text(encoding="utf-8")))
    names = [doc["name"] for doc in documents[1:]]
    assert len(names) == len(set(names)) == len(files) - 1
    pairs = {(p.detector, p.coupling) for p in paper.profiles}
    for start, number in (("Limits,", 5), ("Spectrum,", 5), ("Profile of", len(pairs)), ("Contour of", 10)):
        assert sum(name.startswith(start) for name in names) >= number
    assert "arXiv:2409.10652" in documents[0]["comment"]


def test_numbers_are_the_results(submission, paper):
    folder, _ = submission
    table = load(folder, "Limits, ess-ge")
    assert values(table["independent_variables"][0])[0] == "q_ee"
    ends = [values(variable)[0] for variable in table["dependent_variables"][:4]]
    limit = paper.limit("ess-ge", "q_ee")
    assert tuple(ends) == (*limit.segments[0], *limit.kinds[0]) == (*limit.segments[0], "limit", "limit")
    assert table["dependent_variables"][0]["header"]["units"] == "e"
    spectrum = next(s for s in paper.spectra if s.detector == "ess-ge")
    table = load(folder, "Spectrum, ess-ge")
    assert values(table["independent_variables"][0])[0] == tuple(spectrum.bin_edges_kev[:2].tolist())
    assert values(table["dependent_variables"][0]) == spectrum.cevns.tolist()
    contour = next(c for c in paper.contours if (c.detector, c.coupling_x) == ("ess-ge", "q_ee"))
    table = load(folder, "Contour of q_ee and q_mumu, ess-ge")
    assert values(table["independent_variables"][0]) == np.concatenate(contour.polygons)[:, 0].tolist()


def test_open_ends_errors_data_scans_and_long_names(paper, tmp_path):
    """What a projected study does not have: put into its result by hand."""
    long = "d" * 80
    limit = replace(
        paper.limits[0],
        segments=((-5.0, 1.0), (2.0, 5.0)),
        kinds=(("bound", "limit"), ("hidden-bound", "bound")),
        delta_chi2_segments=((0.0, 1.0),),
        delta_chi2_kinds=(("bound", "limit"),),
        method="feldman-cousins",
    )
    line = np.linspace(0, 1, 3)
    result = replace(
        paper,
        study={**paper.study, "detectors": [{"name": long, "observed": "data"}]},
        detectors={**paper.detectors, long: paper.detectors["ess-ge"]},
        limits=(limit, *(replace(limit, detector=long, unit=unit) for unit in ("e", "1"))),
        fit=(FitParameter("x", "cevns_counts", 3.0, 1.0), FitParameter("x", "p_value", 0.5, None)),
        data_spectra=(DataSpectrum(long, "energy_pe", line, np.ones(2), {"cevns": np.ones(2)}),),
        critical_values=(CriticalValues(long, "cevns", "q_ee", 0.9, "global", 100, line, line + 2, line * 0.1, 0.1),),
    )
    hepdata.export_hepdata(result, tmp_path)
    accept(tmp_path)
    table = load(tmp_path, "Limits, ess-csi (feldman-cousins)")
    assert values(table["dependent_variables"][0]) == [-5.0, 2.0]
    assert [values(table["dependent_variables"][place]) for place in (2, 3)] == [
        ["bound", "hidden-bound"],
        ["limit", "bound"],
    ]
    assert values(table["independent_variables"][1]) == [1, 2]
    table = load(tmp_path, "Limits, ess-csi (delta-chi2)")
    assert [values(variable) for variable in table["dependent_variables"][:3]] == [[0.0], [1.0], ["bound"]]
    fit = load(tmp_path, "Standard Model fit, x")["dependent_variables"][0]["values"]
    assert fit == [{"value": 3.0, "errors": [{"symerror": 1.0}]}, {"value": 0.5}]


def test_a_scan_is_a_table(tmp_path):
    keys = changed({"scans": [{"name": "years", "key": "exposure_years", "values": [1, 2]}]})
    result = cl.study_from_dict(keys).run()
    hepdata.export_hepdata(result, tmp_path)
    accept(tmp_path)
    table = load(tmp_path, "Scan years of q_ee, my-ge")
    assert set(values(table["independent_variables"][0])) == {1.0, 2.0}


def test_the_same_result_gives_the_same_bytes_and_old_tables_go(short, tmp_path):
    files = hepdata.export_hepdata(short, tmp_path)
    first = {path.name: path.read_bytes() for path in files}
    (tmp_path / "notes.yaml").write_text("mine", encoding="utf-8")
    fewer = replace(short, cross_sections=())
    hepdata.export_hepdata(fewer, tmp_path)
    assert not any("cross-section" in path.name for path in tmp_path.iterdir())
    assert (tmp_path / "notes.yaml").exists()
    assert {path.name: path.read_bytes() for path in hepdata.export_hepdata(short, tmp_path)} == first


def test_a_submission_that_is_refused_is_not_written(paper, tmp_path, monkeypatch):
    pytest.importorskip("hepdata_validator")
    monkeypatch.setattr(hepdata, "LONGEST_NAME", 500)
    long = "d" * 80
    result = replace(
        paper, limits=(replace(paper.limits[0], detector=long),), detectors={**paper.detectors, long: None}
    )
    with pytest.raises(OutputError, match="refuses"):
        hepdata.export_hepdata(result, tmp_path / "out", check=True)
    assert not (tmp_path / "out").exists()


def test_without_the_validator_the_extra_is_named(short, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hepdata_validator.full_submission_validator", None)
    with pytest.raises(MissingExtraError, match=r"cevnslab\[hepdata\]"):
        hepdata.export_hepdata(short, tmp_path, check=True)
    assert hepdata.export_hepdata(short, tmp_path)


def test_the_command(command, saved_paper, tmp_path):
    ran = command("export", saved_paper, "--format", "hepdata", "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.strip() == str(tmp_path / "out")
    accept(tmp_path / "out")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["parada2024", "--format", "hepdata"], "folder of results"),
        (["FOLDER", "--format", "hepdata", "--at", "q_ee=1"], "--at"),
        (["FOLDER", "--format", "bibtex", "--check"], "--check"),
        (["EMPTY", "--format", "hepdata"], "cannot read"),
        (["FOLDER", "--format", "root"], "root"),
    ],
)
def test_mistakes_are_one_message(arguments, message, command, saved_paper, tmp_path):
    places = {"FOLDER": saved_paper, "EMPTY": tmp_path}
    ran = command("export", *(places.get(argument, argument) for argument in arguments))
    assert ran.status == 2
    assert message in ran.err
    assert len(ran.err.strip().splitlines()) == 1
    assert json.loads((saved_paper / "result.json").read_text(encoding="utf-8"))
