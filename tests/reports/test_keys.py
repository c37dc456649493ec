"""The reference of the study file's keys, in the terminal."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from cevnslab.figures.panels import KINDS
from cevnslab.reports.keys import chapters, paths
from cevnslab.studies import schema


def test_every_mapping_stands_in_one_chapter_and_every_key_has_a_meaning():
    mappings = [mapping for chapter in chapters().values() for mapping in chapter]
    models = {mapping.model for mapping in mappings}
    assert len(models) == len(mappings)
    whole = schema.StudyFile.model_json_schema()
    assert models == {"StudyFile", *whole["$defs"]}
    assert all(key.meaning for mapping in mappings for key in mapping.keys)
    panels = {kind.__name__ for kind in KINDS}
    assert all(isinstance(schema.__dict__[name], type) for name in models - panels)
    assert issubclass(schema.Detector, BaseModel)


def test_the_whole_reference_is_printed(command):
    ran = command("keys")
    assert (ran.status, ran.err) == (0, "")
    for path in paths():
        assert f"  {path.split('.')[-1]}: " in ran.out
    assert ran.out.isascii()


@pytest.mark.parametrize(
    ("key", "path", "says"),
    [
        ("threshold_kev", "detectors.threshold_kev", "lower edge of the first bin"),
        ("detectors.my-ge.mass_kg", "detectors.mass_kg", "number; >= 1e-9, <= 1e12; required of the target"),
        ("intervals.confidence_level", "intervals.confidence_level", ">= 0.01, <= 0.9999999; default 0.9"),
        ("radiative_corrections", "radiative_corrections", "true or false; default false"),
        ("pulse", "source.pulse.centre_us", "mean of the pulse"),
    ],
)
def test_one_key_is_printed_with_what_is_below_it(key, path, says, command):
    ran = command("keys", key)
    assert (ran.status, ran.err) == (0, "")
    assert f"  {path}: " in ran.out
    assert says in " ".join(ran.out.split())


def test_an_unknown_key_offers_the_nearest(command):
    ran = command("keys", "thresold_kev")
    assert (ran.status, ran.out) == (2, "")
    assert "did you mean 'threshold_kev'?" in ran.err


def test_a_part_of_a_keys_name_offers_the_keys_that_have_it(command):
    ran = command("keys", "mass")
    assert (ran.status, ran.out) == (2, "")
    assert "keys with that word: " in ran.err
    assert "detectors.mass_kg" in ran.err
