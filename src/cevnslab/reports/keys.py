"""The reference of the study file's keys, made of the schema: for the terminal here, for the site in `docs/_ext`.

A chapter is a module of `cevnslab.studies.schema`, its title the start of the module's first line, its mappings the
module's models, and the kinds of panel with the figures. Each key has the value that it takes, its default, what is
allowed, and its meaning.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cevnslab.errors import UnknownNameError
from cevnslab.studies import schema as models
from cevnslab.studies.schema.figures import panel_kinds
from cevnslab.words import nearest

Schema = Mapping[str, Any]

_CHAPTERS = (
    "study",
    "sources",
    "detectors",
    "counts",
    "datasets",
    "couplings",
    "statistics",
    "systematics",
    "outputs",
    "planning",
    "figures",
)
_WORDS = {"number": "number", "integer": "integer", "string": "text", "boolean": "true or false", "null": "nothing"}
_PATTERNS = {r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}$": "letters, digits and _.+-, at most 80"}
_MOST_ALIKE = 8
"""Keys that a message names where none has the name that was asked for."""
_LARGEST = 1e30
"""Limits from here on only keep infinities out."""


@dataclass(frozen=True)
class Key:
    """A key as the schema has it."""

    name: str
    schema: Schema
    required: bool

    @property
    def default(self) -> str:
        """The value that it has where it is left out, or that it is required."""
        if self.required:
            return "required"
        default = self.schema.get("default")
        if default is None or default == []:
            return ""
        if isinstance(default, bool):
            return str(default).lower()
        return "[" + ", ".join(map(str, default)) + "]" if isinstance(default, list) else str(default)

    @property
    def allowed(self) -> str:
        """What its value may be beyond its type."""
        return _range(self.schema)

    @property
    def meaning(self) -> str:
        """What it says."""
        return str(self.schema.get("description", ""))

    def value(self, mapping: Callable[[str], str], quote: str = "") -> str:
        """The kinds of value that it takes, in words; `mapping` writes the name of a mapping."""
        return _type(self.schema, mapping, quote)

    @property
    def mappings(self) -> list[str]:
        """The models that its value may be, at any depth."""
        return list(dict.fromkeys(re.findall(r"#/\$defs/(\w+)", repr(self.schema))))


@dataclass(frozen=True)
class KeyMapping:
    """The keys of one mapping of the study file."""

    model: str
    about: str
    keys: tuple[Key, ...]

    @property
    def title(self) -> str:
        """The model's name in words."""
        return "Keys at the top" if self.model == "StudyFile" else words(self.model).capitalize()


def words(model: str) -> str:
    """A model's name in words.

    >>> words("PionDecayAtRest")
    'pion decay at rest'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", " ", model).lower()


def chapters() -> dict[str, list[KeyMapping]]:
    """The mappings of the study file by chapter.

    >>> [mapping.model for mapping in chapters()["Couplings"]]
    ['Mediator']
    """
    whole: Schema = models.StudyFile.model_json_schema(by_alias=True)
    definitions: dict[str, Schema] = {"StudyFile": whole, **whole["$defs"]}
    parts: dict[str, list[KeyMapping]] = {}
    for name in _CHAPTERS:
        module = importlib.import_module(f"{models.__name__}.{name}")
        declared = [
            model
            for model in vars(module).values()
            if inspect.isclass(model) and issubclass(model, BaseModel) and model.__module__ == module.__name__
            if model.__name__ in definitions
        ]
        if name == "figures":
            declared += panel_kinds()
        title = (module.__doc__ or name).splitlines()[0].rstrip(".").partition(":")[0]
        if declared:
            parts[title] = [_mapping(model.__name__, definitions[model.__name__]) for model in declared]
    return parts


def _mapping(model: str, schema: Schema) -> KeyMapping:
    required = schema.get("required", [])
    keys = tuple(Key(name, entry, name in required) for name, entry in schema["properties"].items())
    return KeyMapping(model, str(schema.get("description", "")), keys)


def _alternatives(schema: Schema) -> Iterator[Schema]:
    """The kinds of value that a key may have, `null` aside: that one means the key is left out."""
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            for each in schema[kind]:
                yield from _alternatives(each)
            return
    if schema.get("type") != "null":
        yield schema


def _type(schema: Schema, mapping: Callable[[str], str], quote: str) -> str:
    return " or ".join(dict.fromkeys(_one_type(each, mapping, quote) for each in _alternatives(schema)))


def _one_type(schema: Schema, mapping: Callable[[str], str], quote: str) -> str:
    if "$ref" in schema:
        return mapping(schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return f"{quote}{schema['const']}{quote}"
    if "enum" in schema:
        return ", ".join(f"{quote}{value}{quote}" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema['items'], mapping, quote)}"
    if schema.get("type") == "object":
        return f"mapping of name to {_type(schema['additionalProperties'], mapping, quote)}"
    return _WORDS[schema["type"]]


def _range(schema: Schema) -> str:
    return "; ".join(dict.fromkeys(text for each in _alternatives(schema) if (text := _one_range(each))))


def _one_range(schema: Schema) -> str:
    parts = []
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None:
        parts.append("> 0" if 0 < low <= 1 / _LARGEST else f">= {_plain(low)}")
    if above is not None:
        parts.append(f"> {_plain(above)}")
    if high is not None and high < _LARGEST:
        parts.append(f"<= {_plain(high)}")
    if below is not None:
        parts.append(f"< {_plain(below)}")
    if "pattern" in schema:
        parts.append(_PATTERNS.get(schema["pattern"], "one line, no $, at most 120 characters"))
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if fewest is not None and fewest == most:
        parts.append(f"{fewest} values")
    elif fewest is not None or most is not None:
        counts = [f"{fewest} or more" if fewest is not None else "", f"at most {most}" if most is not None else ""]
        parts.append(", ".join(count for count in counts if count))
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, Mapping) and (text := _range(inner)):
            parts.append(f"each {text}")
    return ", ".join(parts)


def _plain(number: float) -> str:
    """A number without a needless fraction.

    >>> _plain(10000.0), _plain(0.9999999), _plain(-1e6), _plain(1e12), _plain(1e-9)
    ('10000', '0.9999999', '-1000000', '1e12', '1e-9')
    """
    if number == int(number) and abs(number) < 1e7:
        return str(int(number))
    return re.sub(r"e([+-])0*", lambda match: "e-" if match[1] == "-" else "e", f"{number:.10g}")


def paths() -> dict[str, list[Key]]:
    """Every key by its path from the top, lists and kinds of mapping left out.

    >>> [key.name for key in paths()["detectors.resolution.sigma_kev"]]
    ['sigma_kev']
    """
    by_model = {mapping.model: mapping for mappings in chapters().values() for mapping in mappings}
    reached: dict[str, list[Key]] = {}

    def walk(model: str, before: str) -> None:
        for key in by_model[model].keys:
            path = f"{before}{key.name}"
            entries = reached.setdefault(path, [])
            if key not in entries:
                entries.append(key)
            for inner in key.mappings:
                walk(inner, f"{path}.")

    walk("StudyFile", "")
    return reached


def keys_text(name: str | None = None) -> str:
    """The whole reference, or the keys that a path or the end of one names; `UnknownNameError` offers the nearest.

    A path may be that of a message: `detectors.my-ge.threshold_kev` is `detectors.threshold_kev`.
    """
    width = min(shutil.get_terminal_size().columns, 100)
    if name is None:
        lines = []
        for title, mappings in chapters().items():
            lines += [title.upper(), ""]
            for mapping in mappings:
                lines += [mapping.title, *textwrap.wrap(mapping.about, width), ""]
                lines += [line for key in mapping.keys for line in _lines(key.name, key, width)]
                lines.append("")
        return "\n".join(lines)
    choices = paths()
    parts = name.split(".")
    matches = [path for path in choices if path == name or path.endswith(f".{name}")]
    if not matches and len(parts) > 1:
        matches = [path for path in choices if path.startswith(f"{parts[0]}.") and path.endswith(f".{parts[-1]}")]
    if not matches:
        alike = [path for path in choices if parts[-1] and parts[-1] in path.split(".")[-1]]
        hint = f"keys with that word: {', '.join(alike[:_MOST_ALIKE])}" if alike else ""
        raise UnknownNameError(
            f"no key '{name}'; {hint or nearest(parts[-1], {path.split('.')[-1] for path in choices})}"
        )
    below = [path for path in choices if any(path.startswith(f"{each}.") for each in matches)]
    listed = [path for path in choices if path in matches or path in below]
    return "\n".join(line for path in listed for key in choices[path] for line in _lines(path, key, width)) + "\n"


def _lines(name: str, key: Key, width: int) -> list[str]:
    """A key as an entry: its name and value, then its meaning."""
    value = key.value(lambda model: f"{{{words(model)}}}")
    default = f"default {key.default}" if key.default not in ("", "required") else key.default
    notes = "; ".join(part for part in (value, key.allowed, default) if part)
    head = textwrap.wrap(f"{name}: {notes}", width, initial_indent="  ", subsequent_indent="      ")
    return [*head, *textwrap.wrap(key.meaning, width, initial_indent="      ", subsequent_indent="      ")]
