"""YAML as a physicist writes it."""

from __future__ import annotations

import itertools
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
    result = parse_yaml(f"key: {text}", "test")["key"]
    assert result == value
    assert type(result) is type(value)


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
        ("a: !!python/object:os.system {}", "line 1", "tag"),
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


@pytest.mark.parametrize("word", ["2024-01-01", "2024-02-30", "2024-01-01 25:00:00", "1_000", "0x10", "0o7", "=", "y"])
def test_what_other_versions_of_yaml_read_is_a_word(word):
    assert parse_yaml(f"key: {word}", "test")["key"] == word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\nb: !!int abc", ["line 2", "whole number", "'abc'"]),
        ("a: !!float seven", ["line 1", "a number", "'seven'"]),
        ("a: !!bool maybe", ["line 1", "true or false", "'maybe'"]),
        ("a: !!null x", ["line 1", "nothing", "'x'"]),
        ("a: !!timestamp 2024-01-01", ["line 1", "'!!timestamp'", "write the value alone"]),
        ("a: !!binary aGk=", ["line 1", "'!!binary'"]),
        ("a: !!set {b, c}", ["line 1", "'!!set'"]),
        ("a: !mine b", ["line 1", "'!mine'"]),
        ("a: !!python/object/apply:os.system [ls]", ["line 1", "python/object/apply:os.system"]),
        (f"a: 1\nb: {'9' * 5000}", ["line 2", "5000 digits"]),
        ("a: &a [1, *a]", ["line 1", "alias stands inside"]),
        ("a: &a {b: *a}", ["line 1", "alias stands inside"]),
        ("a: [*b]", ["line 1", "no YAML", "undefined alias"]),
        ("[" * 100_000, ["no YAML"]),
        ("- " * 100_000, ["no YAML"]),
        (f"a: {'[' * 60}{']' * 60}", ["line 1", "inside one another"]),
        ('a: "\\e[31m"', ["line 1", "control characters", r"\x1b"]),
        ('a: "x\\0"', ["line 1", "control characters", r"\x00"]),
        ("a: 'x\u202ey'", ["line 1", "control characters"]),
        ("\x00", ["no YAML"]),
        ("a: 1\n---\nb: 2", ["line 2", "another document"]),
        ("? [1]\n: 2", ["line 1", "a key must be a word"]),
        ("<<: 3", ["line 1", "merges mappings"]),
        ("<<: [{a: 1}, 2]", ["line 1", "merges mappings"]),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_one_line_says_what_is_wrong(text, words):
    with pytest.raises(StudyError) as caught:
        parse_yaml(text, "my-file.yaml")
    message = str(caught.value)
    assert all(word in message for word in ["my-file.yaml", *words]), message
    assert message.isprintable()
    assert len(message) < 300


def test_aliases_may_repeat_but_not_expand_without_end():
    rows = "\n".join(
        f"{coupling}: &{coupling} [*{earlier}, *{earlier}, *{earlier}, *{earlier}]"
        for earlier, coupling in itertools.pairwise("abcdefghijk")
    )
    content = parse_yaml(f"a: &a [x, y]\n{rows.splitlines()[0]}", "test")
    assert content["b"] == [["x", "y"]] * 4
    with pytest.raises(StudyError, match="aliases expand to more than 1000000 values"):
        parse_yaml(f"a: &a [x, y]\n{rows}", "test")


def test_merge_keys():
    text = "one: &one {a: 1, b: 1}\ntwo: &two {<<: *one, b: 2}\nthree: {<<: [*two, *one], c: 3}\nfour: {a: 4, <<: *two}"
    content = parse_yaml(text, "test")
    assert content["two"] == {"a": 1, "b": 2}
    assert content["three"] == {"a": 1, "b": 2, "c": 3}
    assert content["four"] == {"a": 4, "b": 2}
