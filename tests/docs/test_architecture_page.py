"""The page that says where each thing is: what it names is there, and a test stands beside each kind of addition."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "cevnslab"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
CODE = re.compile(r"`([^`\s]+)`")


def row(subject):
    (line,) = [line for line in PAGE.splitlines() if line.startswith(f"| {subject} |")]
    return line


def test_every_path_on_it_exists():
    paths = {text for text in CODE.findall(PAGE) if "/" in text}
    assert len(paths) > 80
    assert {path for path in paths if not (ROOT / path).exists() and not (PACKAGE / path).exists()} == set()


def test_every_module_on_it_exists():
    names = {text for text in CODE.findall(PAGE) if re.fullmatch(r"\w+\.py", text)}
    assert len(names) > 15
    assert {name for name in names if not list(PACKAGE.rglob(name))} == set()


def test_every_package_has_a_row():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert {name for name in packages if f"| `{name}/` |" not in PAGE and f"`{name}/`" not in PAGE} == set()


@pytest.mark.parametrize(
    "subject",
    ["a coupling", "a data set", "a source", "a statistic", "a kind of panel", "an output table", "a law of smearing"],
)
def test_a_kind_of_addition_has_a_place_and_a_test(subject):
    tests = [path for path in CODE.findall(row(subject)) if path.startswith("tests/")]
    assert tests
    assert [path for path in CODE.findall(row(subject)) if not path.startswith("tests/")]
