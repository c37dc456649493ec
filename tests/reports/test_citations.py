"""What a result should cite."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from support import STUDY, changed

import cevnslab as cl
from cevnslab import packaged
from cevnslab.datasets.registry import built_in
from cevnslab.physics.couplings import COUPLINGS, FAMILIES
from cevnslab.reports import citations
from cevnslab.studies import presets

CONTENT = packaged.table("references")
ARXIV = re.compile(r"(?:arXiv:)((?:hep-ph/)?\d[\d.]*\d)")


def keys_of(changes):
    return citations.citation_keys(cl.study_from_dict(changed(changes)).as_dict())


def test_cevnslab_is_what_the_citation_file_says():
    cff = yaml.safe_load((Path(cl.__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
    entry = citations.citation("cevnslab")
    assert entry.fields["title"] == cff["title"]
    assert entry.fields["author"] == "{" + cff["authors"][0]["name"] + "}"
    assert entry.fields["version"] == str(cff["version"]) == cl.__version__
    paper = citations.citation("ParadaSanchezGarcia:2024")
    assert paper.fields["title"] == cff["references"][0]["title"]
    assert citations.citation("cevnslab", "9.9").fields["version"] == "9.9"


def test_every_key_that_is_asked_for_exists_and_every_reference_is_asked_for():
    def leaves(value):
        if isinstance(value, dict):
            return {key for item in value.values() for key in leaves(item)}
        return set(value)

    in_folders = {key for folder in built_in().values() for key in folder.description.references}
    assert leaves(CONTENT["uses"]) - in_folders == set(CONTENT["references"])
    assert {key for folder in built_in().values() for key in folder.description.cite} == in_folders
    assert not in_folders & set(CONTENT["references"])


def test_every_reference_can_be_found_by_a_reader():
    in_folders = [folder.description.references for folder in built_in().values()]
    for key, entry in [pair for entries in (CONTENT["references"], *in_folders) for pair in entries.items()]:
        assert entry["type"] in {"article", "misc", "software"}
        if key != "cevnslab":
            assert entry["author"]
            assert "eprint" in entry or {"journal", "volume", "year"} <= set(entry)


@pytest.mark.parametrize("name", COUPLINGS)
def test_a_coupling_cites_the_papers_that_it_names(name):
    known = {entry.fields.get("eprint") for entry in map(citations.citation, keys_of({"couplings": [name]}))}
    assert set(ARXIV.findall(COUPLINGS[name].reference_text)) <= known
    if name.startswith("mu_"):
        assert "Vogel:1989iv" in keys_of({"couplings": [name]})


@pytest.mark.parametrize(
    "mediator",
    [
        {"name": "light_vector", "charges": "b-l", "mass_mev": 10, "label": "g10"},
        {"name": "light_scalar", "mass_mev": 10, "label": "s10"},
    ],
)
def test_a_mediator_cites_the_papers_that_it_names(mediator):
    keys = keys_of({"couplings": [mediator]})
    text = FAMILIES[mediator["name"]](**{k: v for k, v in mediator.items() if k != "name"}).reference_text
    assert set(ARXIV.findall(text)) <= {citations.citation(key).fields.get("eprint") for key in keys}


def test_detector_presets_cite_something():
    for name in presets.names("detectors"):
        assert len(keys_of({"detectors": [{"preset": name}], "couplings": ["sin2_theta_w"]})) > 3


def test_methods_and_options():
    assert "Feldman:1997qc" in keys_of({"intervals": {"method": "feldman-cousins"}})
    assert "Erler:2013xha" in keys_of({"radiative_corrections": True})
    assert "Klein:1999qj" in keys_of({"form_factor": "klein-nystrand"})
    assert "Helm:1956zz" in keys_of({})


def test_a_plugins_coupling_is_left_to_its_author():
    keys = citations.citation_keys({**STUDY, "couplings": ["q_mine"]})
    assert "ParadaSanchezGarcia:2024" not in keys


def test_bibtex_is_well_formed():
    text = citations.bibtex(cl.load_study("coherent").as_dict())
    assert text.count("{") == text.count("}")
    entries = re.findall(r"^@(\w+)\{([^,\s]+),$", text, flags=re.MULTILINE)
    assert len(entries) == len({key for _, key in entries}) == text.count("@")
    assert {"COHERENT:2021xmm", "COHERENT:2020iec", "COHERENT:2020release", "cevnslab"} <= {key for _, key in entries}


def test_the_command_takes_a_study_and_a_folder(command, saved_paper, tmp_path):
    of_study, of_folder = (
        command("export", "parada2024", "--format", "bibtex"),
        command("export", saved_paper, "--format", "bibtex"),
    )
    assert (of_study.status, of_study.err) == (0, "")
    assert of_study.out == of_folder.out
    path = tmp_path / "new" / "cite.bib"
    assert command("export", "parada2024", "--format", "bibtex", "-o", path).status == 0
    mark, _, text = path.read_text(encoding="utf-8").partition("\n")
    assert mark.startswith("% Written by `cevnslab export`")
    assert text == of_study.out
