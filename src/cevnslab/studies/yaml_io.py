"""YAML as a physicist writes it: `1e-7` is a number, `NO` and `2024-01-01` are words, a key given twice is a mistake.

What a text means is looked at before anything is made of it: tags on words, aliases that expand without end, control
characters and numbers of thousands of digits are refused with their line.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import yaml

from cevnslab.errors import StudyError
from cevnslab.textfiles import read_text
from cevnslab.words import excerpt

MOST_EXPANDED = 1_000_000
"""Values that aliases may add to those that are written."""
MOST_DIGITS = 100
DEEPEST = 50
"""Mappings and lists inside one another."""

_TAG = "tag:yaml.org,2002:"
_FLOAT = re.compile(
    r"^(?:[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)|[-+]?(?:\d+\.\d*|\.\d+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_INT = re.compile(r"^[-+]?\d+$")
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_KINDS = {"float": (_FLOAT, "a number"), "int": (_INT, "a whole number"), "bool": (_BOOL, "true or false"),
          "null": (_NULL, "nothing")}  # fmt: skip
_BIDIRECTIONAL = set(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
"""Characters that turn the direction of what follows in a terminal."""

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the C loader exists only where libyaml does
    """SafeLoader with YAML 1.2's idea of what a plain word means, and merge keys that a mapping's own keys override."""

    def flatten_mapping(self, node: Any) -> None:
        """Put the keys of merged mappings into a mapping: its own come first, then those of earlier merges."""
        pairs = {key.value: (key, value) for key, value in node.value if key.tag != f"{_TAG}merge"}
        for key, value in node.value:
            if key.tag != f"{_TAG}merge":
                continue
            for merged in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(merged, yaml.MappingNode):
                    raise StudyError(f"{_line(key)}: << merges mappings alone")
                self.flatten_mapping(merged)
                for inner, content in merged.value:
                    pairs.setdefault(inner.value, (inner, content))
        node.value = list(pairs.values())


# YAML 1.1 reads `1e-7` as text, `010` as eight, `1:30` as ninety, yes/no/on/off as booleans and `2024-01-01` as a date:
# YAML 1.2's rules take the place of its own, and it has no dates.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag in (f"{_TAG}merge", f"{_TAG}null")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(f"{_TAG}float", _FLOAT, list("-+0123456789."))
_Loader.add_implicit_resolver(f"{_TAG}bool", _BOOL, list("tTfF"))
_Loader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))
_Loader.yaml_constructors = {}
_Loader.yaml_multi_constructors = {}
_Loader.add_constructor(f"{_TAG}int", lambda _, node: int(node.value))
_Loader.add_constructor(f"{_TAG}float", _Base.construct_yaml_float)
_Loader.add_constructor(f"{_TAG}bool", lambda _, node: node.value.lower() == "true")
_Loader.add_constructor(f"{_TAG}null", lambda _, node: None)
_Loader.add_constructor(f"{_TAG}str", _Base.construct_yaml_str)
_Loader.add_constructor(f"{_TAG}seq", _Base.construct_yaml_seq)
_Loader.add_constructor(f"{_TAG}map", _Base.construct_yaml_map)


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    r"""The mapping that a YAML text holds.

    Raises `StudyError`, which names the file and line, for text that is no YAML, no mapping, or repeats a key.

    >>> parse_yaml("a: 1e-7\nb: NO", "example")
    {'a': 1e-07, 'b': 'NO'}
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is not None:
            _Inspection().size_of(node, 0)
        content = None if node is None else loader.construct_document(node)
    except StudyError as fault:
        raise StudyError(f"{where}, {fault}") from None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        reason = getattr(fault, "problem", None) or getattr(fault, "reason", None) or str(fault).splitlines()[0]
        raise StudyError(f"{where}{line}: this is no YAML ({reason})") from None
    except RecursionError:
        raise StudyError(f"{where}: this is no YAML (lists and mappings are too deep inside one another)") from None
    finally:
        loader.dispose()
    if not isinstance(content, dict):
        raise StudyError(f"{where}: keys and values are needed (such as `name: my-study`), got {excerpt(content)}")
    return content


class _Inspection:
    """What is looked at in every node, once, before values are made of it."""

    def __init__(self) -> None:
        self.sizes: dict[int, int] = {}
        self.open: set[int] = set()

    def size_of(self, node: Any, depth: int) -> int:
        """How many values a node expands to; `StudyError` for the first that is not allowed."""
        entry = self.sizes.get(id(node))
        if entry is not None:
            return entry
        if id(node) in self.open:
            raise StudyError(f"{_line(node)}: an alias stands inside what it names")
        if depth > DEEPEST:
            raise StudyError(f"{_line(node)}: more than {DEEPEST} lists and mappings inside one another")
        self.open.add(id(node))
        _check_tag(node)
        if isinstance(node, yaml.ScalarNode):
            _check_scalar(node)
            inner: list[Any] = []
        elif isinstance(node, yaml.MappingNode):
            _check_keys(node)
            inner = [part for pair in node.value for part in pair]
        else:
            inner = list(node.value)
        size = 1 + sum(self.size_of(part, depth + 1) for part in inner)
        self.open.remove(id(node))
        self.sizes[id(node)] = size
        if size > MOST_EXPANDED + len(self.sizes):
            raise StudyError(f"{_line(node)}: its aliases expand to more than {MOST_EXPANDED} values")
        return size


def _line(node: Any) -> str:
    return f"line {node.start_mark.line + 1}"


def _check_tag(node: Any) -> None:
    kind = node.tag.removeprefix(_TAG)
    allowed = {yaml.ScalarNode: ("str", "int", "float", "bool", "null", "merge"), yaml.SequenceNode: ("seq",)}
    if kind not in allowed.get(type(node), ("map",)):
        tag = f"!!{kind}" if node.tag.startswith(_TAG) else node.tag
        raise StudyError(f"{_line(node)}: the tag {excerpt(tag)} is not used here; write the value alone")


def _check_scalar(node: Any) -> None:
    kind = node.tag.removeprefix(_TAG)
    if kind in _KINDS and not _KINDS[kind][0].match(node.value):
        raise StudyError(f"{_line(node)}: tagged as {_KINDS[kind][1]}, got {excerpt(node.value)}")
    if kind == "int" and len(node.value) > MOST_DIGITS:
        raise StudyError(f"{_line(node)}: a whole number of {len(node.value)} digits is too long")
    for letter in node.value if kind == "str" else "":
        if unicodedata.category(letter) in ("Cc", "Cs") or letter in _BIDIRECTIONAL:
            raise StudyError(f"{_line(node)}: a word must not have control characters, got {excerpt(node.value)}")


def _check_keys(node: Any) -> None:
    names: set[str] = set()
    for key, _ in node.value:
        kind = key.tag.removeprefix(_TAG)
        if kind == "merge":
            continue
        if kind != "str":
            value = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
            raise StudyError(f"{_line(key)}: a key must be a word, got {value[:60]}")
        if key.value in names:
            raise StudyError(f"{_line(key)}: the key {excerpt(key.value)} is given twice")
        names.add(key.value)


def read_yaml(path: Path) -> dict[str, Any]:
    """`parse_yaml` of a file; `InputFileError` where it cannot be read."""
    return parse_yaml(read_text(path, "study file"), str(path))
