"""A data set that lies outside the package, declared as an entry point, does all that a built-in one does."""

from __future__ import annotations

import csv
import json
import sys

import pytest
import yaml
from toy import COUNTS, write_package

import cevnslab as cl
from cevnslab.datasets.registry import built_in, dataset, known
from cevnslab.errors import InputFileError, UnknownNameError
from cevnslab.studies import presets

NAME = "toy-ge-2024"
STUDY = {
    "name": "toy",
    "couplings": ["q_ee", "mu_e"],
    "channels": ["cevns", "electron"],
    "detectors": [{"preset": NAME}, {"preset": NAME, "name": "toy-expected", "observed": "asimov"}],
    "figures": [{"name": "light", "panels": [{"data": NAME, "axis": "energy_kevee"}]}],
}


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The toy on the path of packages, as an installed one is."""

    def install(**options):
        write_package(tmp_path / "site", **options)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        for name in [name for name in sys.modules if name.split(".")[0] == "toy_ge"]:
            monkeypatch.delitem(sys.modules, name)

    yield install
    for name in [name for name in sys.modules if name.split(".")[0] == "toy_ge"]:
        del sys.modules[name]


def test_it_is_found_by_its_entry_point(installed):
    with pytest.raises(UnknownNameError, match="no data set 'toy-ge-2024'"):
        dataset(NAME)
    installed()
    assert list(known()) == [*built_in(), NAME]
    assert dataset(NAME).description.title == "a toy in germanium"
    assert dataset(NAME).release.licence == "ours"
    assert NAME in presets.names("detectors")


@pytest.fixture
def ran(installed, command, write_study, tmp_path):
    """The folder of results that the command wrote, and what it said."""
    installed()
    path = write_study(STUDY)
    process = command("run", path, "-o", tmp_path / "out")
    assert (process.status, process.err) == (0, "")
    return tmp_path / "out" / "toy", process.out


def test_check_says_what_it_is(installed, command, write_study):
    installed()
    checked = command("check", write_study(STUDY))
    assert (checked.status, checked.err) == (0, "")
    for words in (f"{NAME}, 2 kg of Ge at 20 m", "reactor, 0.5 years", "observed counts"):
        assert words in checked.out


def test_its_tables_have_its_names(ran):
    folder, _ = ran
    rows = list(csv.DictReader((folder / "data_spectra.csv").read_text(encoding="utf-8").splitlines()))
    mine = [row for row in rows if row["detector"] == NAME]
    assert [float(row["observed"]) for row in mine] == list(COUNTS)
    assert list(mine[0])[-2:] == ["muons", "lines"]
    assert all(float(row["lines"]) > 0 and float(row["cevns"]) > 0 and float(row["steady_state"]) == 0 for row in mine)
    fitted = {row["parameter"] for row in csv.DictReader((folder / "fit.csv").read_text().splitlines())}
    assert {"cevns_counts", "electron_counts", "muons_counts", "lines_counts", "significance_sigma"} <= fitted
    limits = {row["coupling"] for row in csv.DictReader((folder / "limits.csv").read_text().splitlines())}
    assert limits == {"q_ee", "mu_e"}


def test_the_screen_shows_what_was_published(ran):
    assert "32 +/- 12" in ran[1]
    assert "Toy et al., private" in ran[1]


def test_figures_have_its_words(ran, command):
    folder, _ = ran
    drawn = (folder / "figures" / "light.pdf").read_bytes()
    (folder / "figures" / "light.pdf").unlink()
    assert command("figures", folder).status == 0
    assert (folder / "figures" / "light.pdf").read_bytes() == drawn
    from cevnslab.figures import catalogue

    result = cl.load_result(folder)
    (axes,) = catalogue.draw(result, result.study["figures"][0]).axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert {"X-ray lines", "cosmic muons", "data"} <= set(texts)
    assert axes.get_xlabel() == "ionisation (keVee)"
    assert axes.get_ylabel() == "counts / keVee"


def test_its_report(ran, command):
    folder, _ = ran
    assert command("report", folder).status == 0
    page = next(folder.glob("*.html")).read_text(encoding="utf-8")
    for words in (NAME, "muons_counts", "Toy et al., private", "Toy:2024abc"):
        assert words in page


def test_its_exports(ran, command, tmp_path):
    folder, _ = ran
    assert command("export", folder, "--format", "hepdata", "-o", tmp_path / "hepdata").status == 0
    tables = list(yaml.safe_load_all((tmp_path / "hepdata" / "submission.yaml").read_text(encoding="utf-8")))
    counts = next(table for table in tables if NAME in table.get("name", "") and "energy_kevee" in table["name"])
    content = yaml.safe_load((tmp_path / "hepdata" / counts["data_file"]).read_text(encoding="utf-8"))
    assert {"muons", "lines"} <= {column["header"]["name"].lower() for column in content["dependent_variables"]}
    for subject in (folder, tmp_path / "study.yaml"):
        cited = command("export", subject, "--format", "bibtex")
        assert cited.status == 0
        assert "@article{Toy:2024abc," in cited.out
        workspace = command("export", subject, "--format", "pyhf", "--detector", NAME)
        assert workspace.status == 0
        samples = json.loads(workspace.out)["channels"][0]["samples"]
        assert {"muons", "lines"} <= {sample["name"] for sample in samples}


def test_a_component_that_it_does_not_declare_is_refused(installed, command, write_study, tmp_path):
    installed(unknown=True)
    refused = command("run", write_study(STUDY), "-o", tmp_path / "out")
    assert refused.status == 2
    assert "has the background 'tritium', which its dataset.yaml does not declare" in refused.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_whole_says_what_is_missing(installed, tmp_path):
    installed()
    path = tmp_path / "site" / "toy_ge" / "dataset.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("label: ionisation, ", ""), encoding="utf-8")
    with pytest.raises(InputFileError, match=r"data set toy-ge-2024, dataset\.yaml: axes\.energy_kevee\.label: "):
        _ = dataset(NAME).description
    path.unlink()
    with pytest.raises(InputFileError, match=r"cannot read its dataset\.yaml"):
        _ = dataset(NAME).description


def test_a_name_that_is_built_in_cannot_be_declared(installed, tmp_path):
    installed()
    points = tmp_path / "site" / "toy_ge-1.0.dist-info" / "entry_points.txt"
    points.write_text("[cevnslab.datasets]\ncoherent-csi-2021 = toy_ge\n", encoding="utf-8")
    with pytest.raises(InputFileError, match="declares a data set 'coherent-csi-2021', which is built in"):
        known()
