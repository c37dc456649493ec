"""The built-in sources, detectors and studies: YAML in the format of a user's own.

The preset of a data set stands in the data set's folder and has its name.
"""

from __future__ import annotations

import importlib.resources
import os
from copy import deepcopy
from functools import cache
from typing import Any, Literal

from cevnslab.datasets import registry as datasets
from cevnslab.errors import UnknownNameError
from cevnslab.studies.yaml_io import parse_yaml
from cevnslab.words import excerpt, nearest

Kind = Literal["sources", "detectors", "studies"]
KINDS: tuple[Kind, ...] = ("sources", "detectors", "studies")


def names(kind: Kind) -> list[str]:
    """The presets of a kind.

    >>> names("sources")
    ['ess', 'reactor', 'sns', 'solar', 'solar-8b', 'supernova']
    """
    return sorted([*_packaged(kind), *(datasets.known() if kind == "detectors" else ())])


def _packaged(kind: Kind) -> list[str]:
    folder = importlib.resources.files("cevnslab").joinpath("presets", kind)
    return [entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")]


def text(kind: Kind, name: str) -> str:
    """The YAML text of a preset; `UnknownNameError` offers the nearest name."""
    if name not in _packaged(kind):
        if kind == "detectors" and name in datasets.known():
            return datasets.dataset(name).text("detector.yaml")
        raise UnknownNameError(f"no {_SINGULAR[kind]} preset {excerpt(name)}; {nearest(name, names(kind))}")
    return importlib.resources.files("cevnslab").joinpath("presets", kind, f"{name}.yaml").read_text(encoding="utf-8")


def load(kind: Kind, name: str) -> dict[str, Any]:
    """The content of a preset."""
    return deepcopy(_parsed(text(kind, name), f"{_SINGULAR[kind]} preset {name}"))


@cache
def _parsed(text: str, where: str) -> dict[str, Any]:
    """What a preset says; a study that is varied asks for its source a thousand times."""
    return parse_yaml(text, where)


def is_path(name_or_path: str | os.PathLike[str]) -> bool:
    """Whether a file is meant rather than a preset: a path object, a YAML ending, or a separator inside."""
    text = os.fspath(name_or_path)
    return not isinstance(name_or_path, str) or text.endswith((".yaml", ".yml")) or "/" in text or os.sep in text


_SINGULAR = {"sources": "source", "detectors": "detector", "studies": "study"}
