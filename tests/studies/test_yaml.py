"""YAML as a physicist writes it."""

from __future__ import annotations

import math

import pytest

from cevnslab.errors import InputFileError, StudyError
from cevnslab.studies.yaml_io import parse_yaml, read_text, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-7", 1e-7),
        ("-1E+3", -1000.0),
        ("2.8e23", 2.8e23),
        ("1.", 1.0),
        (".5", 0.5),
        ("30", 30),
        ("+4.5e-10", 4.5e-10),
        ("-.inf", -math.inf),
        ("NO", "NO"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("false", False),
        ("1e", "1e"),
        ("1-7", "1-7"),
        ("010", 10),
        ("1:30", "1:30"),
        ("'1e-7'", "1e-7"),
        ("", None),
    ],
)
def test_scalars(text, value):
    found = parse_yaml(f"key: {text}", "test")["key"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number_that_is_not_one():
    assert math.isnan(parse_yaml("key: .nan", "test")["key"])


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: 1\nb: 2\na: 3", "line 3", "'a' is given twice"),
        ("top:\n  x: 1\n  x: 1", "line 3", "'x' is given twice"),
        ("1: one", "line 1", "word"),
        ("a: [1, 2", "line", "no YAML"),
        ("a: b: c", "line 1", "no YAML"),
        ("a:\n\t- tab", "line 2", "no YAML"),
        ("a: !!python/object:os.system {}", "line 1", "no YAML"),
    ],
)
def test_mistakes_name_the_line(text, line, word):
    with pytest.raises(StudyError, match=line) as caught:
        parse_yaml(text, "my-file.yaml")
    assert word in str(caught.value)
    assert "my-file.yaml" in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a\n- b", "just words", "42"])
def test_what_is_no_mapping(text):
    with pytest.raises(StudyError, match="keys and values"):
        parse_yaml(text, "my-file.yaml")


def test_anchors_work():
    text = "base: &base {a: 1, b: 2}\nother: *base"
    assert parse_yaml(text, "test")["other"] == {"a": 1, "b": 2}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputFileError, match=r"nowhere\.yaml"):
        read_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(InputFileError, match="study file"):
        read_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00name")
    with pytest.raises(InputFileError, match="UTF-8"):
        read_text(tmp_path / "binary.yaml", "study file")
