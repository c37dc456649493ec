"""YAML as a physicist writes it: `1e-7` is a number, `NO` is a word, a key given twice is a mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from cevnslab.errors import StudyError
from cevnslab.textfiles import read_text

_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]  # the C loader exists only where libyaml does
    """SafeLoader with YAML 1.2's idea of floats and booleans, and no silent duplicates."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise StudyError(f"line {key_node.start_mark.line + 1}: a key must be a word, got {key!r}")
            if key in seen:
                raise StudyError(f"line {key_node.start_mark.line + 1}: the key '{key}' is given twice")
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


# YAML 1.1 reads `1e-7` as text, `010` as eight, `1:30` as ninety and yes/no/on/off as booleans: floats, integers and
# booleans are resolved by the rules of YAML 1.2 instead.
_REPLACED = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:int", "tag:yaml.org,2002:bool")
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\d+\.\d*|\.\d+|\d+)(?:[eE][-+]?\d+)|[-+]?(?:\d+\.\d*|\.\d+)|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?\d+$"), list("-+0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value))


def parse_yaml(text: str, where: str) -> dict[str, Any]:
    r"""The mapping that a YAML text holds.

    Raises `StudyError`, which names the file and line, for text that is no YAML, no mapping, or repeats a key.

    >>> parse_yaml("a: 1e-7\nb: NO", "example")
    {'a': 1e-07, 'b': 'NO'}
    """
    try:
        content = yaml.load(text, Loader=_Loader)
    except StudyError as fault:
        raise StudyError(f"{where}, {fault}") from None
    except yaml.YAMLError as fault:
        mark = getattr(fault, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise StudyError(f"{where}{line}: this is no YAML ({getattr(fault, 'problem', None) or fault})") from None
    if not isinstance(content, dict):
        raise StudyError(
            f"{where}: keys and values are needed (such as `name: my-study`), got {type(content).__name__}"
        )
    return content


def read_yaml(path: Path) -> dict[str, Any]:
    """`parse_yaml` of a file; `InputFileError` where it cannot be read."""
    return parse_yaml(read_text(path, "study file"), str(path))
