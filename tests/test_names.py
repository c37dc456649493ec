"""Names are the field's nouns: a value is named after what it is, not after what was done to it.

A function that returns a changed copy may be a participle, as `sorted` is (`restricted`), and a classmethod
that makes an object of something is `of`.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cevnslab

ROOT = Path(cevnslab.__file__).parent
PLACES = [ROOT, *(Path(__file__).parents[1] / folder for folder in ("tests", "docs", "benchmarks"))]
EMPTY = {
    *("own", "new", "old", "of", "usual", "found", "given", "made", "wanted", "shown", "taken", "kept", "used", "done"),
    *("told", "said", "asked"),
}
"""Words that say nothing of what they name."""


def values(tree):
    """Names of variables, arguments and fields of a module, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno


def empty_names(source):
    return [(name, line) for name, line in values(ast.parse(source)) if name.strip("_").lower() in EMPTY]


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_values_are_named_after_what_they_are(place):
    files = {path: empty_names(path.read_text(encoding="utf-8")) for path in sorted(place.rglob("*.py"))}
    assert files
    assert {
        f"{path.relative_to(place)}:{line} {name}" for path, names in files.items() for name, line in names
    } == set()


def test_empty_names_are_seen():
    source = "def of(wanted):\n    found = [own for own in wanted]\n    self._told = found.made\n"
    assert sorted(empty_names(source)) == [("_told", 3), ("found", 2), ("own", 2), ("wanted", 1)]
