"""The JSON Schema of study files: it takes what loading takes, and refuses what it can see is wrong."""

from __future__ import annotations

import json

import pytest
from support import STUDY, changed

import cevnslab as cl
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.reports.json_schema import DIALECT, study_schema
from cevnslab.studies import presets
from cevnslab.studies.schema import StudyFile

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def faults(validator, content):
    return [fault.message for fault in validator.iter_errors(content)]


@pytest.mark.parametrize("name", presets.names("studies"))
def test_built_in_studies_are_valid(name, validator):
    assert faults(validator, presets.load("studies", name)) == []
    assert faults(validator, cl.load_study(name).as_dict()) == []


@pytest.mark.parametrize("name", presets.names("detectors"))
def test_every_detector_preset_is_valid_by_name_and_by_its_keys(name, validator):
    for entry in ({"preset": name}, presets.load("detectors", name)):
        assert faults(validator, changed({"detectors": [entry]})) == []


@pytest.mark.parametrize(
    "change",
    [
        {"source": "esss"},
        {"source": {"type": "reactor"}},
        {"exposure_years": "3"},
        {"statistics": "poisson"},
        {"statistic": "gauss"},
        {"couplings": "q_ee"},
        {"couplings": [{"name": "light_vectr", "mass_mev": 10, "label": "g"}]},
        {"detectors": [{"preset": "ess-g"}]},
        {"detectors": [{"preset": "ess-ge", "mas_kg": 3}]},
        {"detectors": [{"preset": "coherent-csi-2021", "efficiency": 0.5}]},
        {"detectors": [{"name": "nothing-else"}]},
        {"uncertainties": {"signal": -1, "background": 0}},
        {"contours": [["q_ee"]]},
        {"intervals": {"confidence_level": 90}},
    ],
    ids=str,
)
def test_mistakes_are_seen(change, validator):
    assert faults(validator, STUDY) == []
    assert faults(validator, {**STUDY, **change})


def test_couplings_are_offered_and_others_are_allowed(validator):
    names = study_schema()["$defs"]["CouplingName"]["anyOf"][0]["oneOf"]
    assert [entry["const"] for entry in names] == list(COUPLINGS)
    assert all(entry["description"] for entry in names)
    assert faults(validator, changed({"couplings": ["my_plugins_coupling"]})) == []


def test_every_key_is_described():
    schema = study_schema()
    for model, definition in {"StudyFile": schema, **schema["$defs"]}.items():
        undescribed = [key for key, entry in definition.get("properties", {}).items() if "description" not in entry]
        assert undescribed == [], model
    assert set(schema["properties"]) == {field.alias or name for name, field in StudyFile.model_fields.items()}


def test_the_command_prints_it(command):
    ran = command("schema")
    assert (ran.status, ran.err) == (0, "")
    printed = json.loads(ran.out)
    assert printed == study_schema()
    assert printed["$schema"] == DIALECT
