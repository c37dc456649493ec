"""From a mapping to a validated model, or to one message that names the key's path and the remedy."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import numpy as np
from pydantic import BaseModel, Tag, ValidationError
from pydantic.fields import FieldInfo

from cevnslab.errors import StudyError
from cevnslab.studies.schema.figures import Panel, panel_kinds
from cevnslab.words import excerpt, nearest

_MOST_MESSAGES = 5

_ModelType = TypeVar("_ModelType", bound=BaseModel)


def validated(model: type[_ModelType], content: Mapping[str, Any], base: Path | None = None) -> _ModelType:
    """The model made of a mapping; file names in it become absolute, from those relative to `base`.

    Raises `StudyError` with a line per mistake: the key's path, what is wrong and what is allowed.
    """
    try:
        return model.model_validate(content, context={} if base is None else {"base": base.absolute()})
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
        lines = [_message(model, content, error) for error in errors[:_MOST_MESSAGES]]
        if len(errors) > _MOST_MESSAGES:
            lines.append(f"and {len(errors) - _MOST_MESSAGES} more")
        raise StudyError("\n  ".join(lines)) from None


def plain(value: Any) -> Any:
    """A value as YAML would give it: numbers and arrays of numpy, tuples and paths become what they mean.

    >>> plain({"bins": np.int64(4), "edges": (np.float32(0.5), 1), "file": Path("a.dat")})
    {'bins': 4, 'edges': [0.5, 1], 'file': 'a.dat'}
    """
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


_BOUNDS = {
    "greater_than": ("must be above", "gt"),
    "greater_than_equal": ("must be at least", "ge"),
    "less_than": ("must be below", "lt"),
    "less_than_equal": ("must be at most", "le"),
}
_TYPES = {
    "float_type": "a number",
    "int_type": "a whole number",
    "string_type": "a word",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "bool_type": "true or false",
    "finite_number": "a finite number",
}
"""What pydantic's types of error ask for."""


def _message(model: type[BaseModel], content: Mapping[str, Any], error: Any) -> str:
    """One mistake in words."""
    path = key_path([part for part in error["loc"] if not _is_tag(part)], content)
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{path}: {_unknown_key(str(error['loc'][-1]), _model_at(model, error['loc'][:-1]))}"
    if kind == "missing":
        field = _field(_model_at(model, error["loc"][:-1]), error["loc"][-1])
        meaning = f" ({field.description})" if field is not None and field.description else ""
        return f"{path}: this key is required{meaning}"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        entries = "entry" if bound.endswith(" 1") else "entries"
        return f"{path}: needs {bound} {entries}, got {context.get('actual_length', 'more')}"
    if kind == "panel_kind":
        kinds = [panel.kind for panel in panel_kinds() if isinstance(value, dict) and value.get(panel.kind) is not None]
        if kinds or not isinstance(value, dict):
            return f"{path}: {error['msg']}, got {' and '.join(kinds) or excerpt(value)}"
        others = {key for panel in panel_kinds() for key in _keys(panel)}
        misspelt = [str(key) for key in value if key not in others]
        names = {panel.kind for panel in panel_kinds()}
        close = [f"; {nearest(key, names)}" for key in misspelt if difflib.get_close_matches(key, names, n=1)]
        return f"{path}: {error['msg']}, got none{''.join(close[:1])}"
    if kind in _BOUNDS:
        comparison, side = _BOUNDS[kind]
        limit = float(context[side])
        # Six digits, unless they are another number: 0.9999999 is not 1.
        digits = "g" if float(f"{limit:g}") == limit else ".15g"
        rule = f"{comparison} {limit:{digits}}"
        if kind.startswith("less") and 0 < limit <= 1 < value <= 100:
            return f"{path}: {rule}, got {excerpt(value)}; {value:g} % is {value / 100:g}"
        if kind == "greater_than_equal" and 0 < limit < 1 and value <= 0:
            rule = "must be above 0"
    elif kind in _TYPES or kind == "literal_error":
        alternative = _TYPES.get(kind) or context["expected"].replace(chr(39), "")
        alternatives = _alternatives(model, error["loc"])
        rule = f"must be {alternatives or alternative}"
        field, holder = _place(model, error["loc"])
        if isinstance(value, str) and "keys and values" in alternatives and field is not None and field.description:
            rule += f" ({field.description})"  # which keys, and what else
        if isinstance(value, Mapping) and (table := _table_beside(holder, error["loc"][-1])) and "file" in value:
            return f"{path}: {rule}, got {excerpt(value)}; a table is given by {table}"
    elif kind == "string_too_short":
        rule = "must not be empty"
    elif kind == "string_pattern_mismatch":
        rule = (
            "must be 1 to 120 characters of one line without '$'"
            if context.get("pattern", "").startswith("^[^$")
            else "must be safe as a file name (letters, digits, '-', '_', '.', '+', at most 80)"
        )
    else:
        rule = str(error["msg"])
    return f"{path}: {rule}, got {excerpt(value)}"


def _place(model: type[BaseModel], location: Sequence[Any]) -> tuple[FieldInfo | None, type[BaseModel]]:
    """The field that a location leads to, and the model that has it."""
    names = [place for place, part in enumerate(location) if isinstance(part, str) and not _is_tag(part)]
    if not names:
        return None, model
    holder = _model_at(model, location[: names[-1]])
    return _field(holder, location[names[-1]]), holder


def _table_beside(holder: type[BaseModel], key: Any) -> str | None:
    """The key that takes a table of what another gives as a number: background_file beside background_ckkd."""
    return next((each for each in _keys(holder) if each == f"{str(key).split('_')[0]}_file"), None)


def _unknown_key(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that a mapping does not have."""
    keys = _keys(model)
    others = [panel.kind for panel in panel_kinds() if key in _keys(panel)]
    if issubclass(model, Panel) and others:
        return f"not a key of a {model.kind} panel; it goes with {' or '.join(others)}"
    return f"unknown key; {nearest(key, keys)}"


def key_path(location: Sequence[Any], content: Any) -> str:
    """The path of a key as a user would write it; members of a list go by their name where they have one.

    >>> key_path(("detectors", 0, "mass_kg"), {"detectors": [{"name": "my-ge"}]})
    'detectors.my-ge.mass_kg'
    """
    parts: list[str] = []
    for part in location:
        inside: Any = None
        if isinstance(content, Mapping):
            inside = content.get(part)
        elif isinstance(content, Sequence) and not isinstance(content, str) and isinstance(part, int):
            inside = content[part] if part < len(content) else None
        if isinstance(part, int):
            name = inside.get("name", inside.get("preset")) if isinstance(inside, Mapping) else None
            parts.append(name if isinstance(name, str) else f"{part + 1}")
        else:
            parts.append(str(part))
        content = inside
    return ".".join(parts)


def _is_tag(part: Any) -> bool:
    """Whether a part of pydantic's location says which member of a union was meant."""
    return str(part).startswith("<")


def _model_at(model: type[BaseModel], location: Sequence[Any]) -> type[BaseModel]:
    """The model that a location leads to."""
    current = model
    members: list[tuple[str | None, type[BaseModel]]] = []
    for part in location:
        if _is_tag(part):
            current = next((member for tag, member in members if tag == part), current)
        elif not isinstance(part, int):
            field = _field(current, part)
            members = [] if field is None else list(_members(field.annotation, None))
            current = members[0][1] if members else current
    return current


def _members(annotation: Any, tag: str | None) -> Iterator[tuple[str | None, type[BaseModel]]]:
    """The models inside an annotation such as list[Detector] or Detector | None, each with its union's tag."""
    if annotation is Panel:
        yield from ((f"<{kind.kind}>", kind) for kind in panel_kinds())
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield tag, annotation
        return
    inner_tag = next((each.tag for each in getattr(annotation, "__metadata__", ()) if isinstance(each, Tag)), tag)
    for inner in get_args(annotation):
        yield from _members(inner, inner_tag)


def _alternatives(model: type[BaseModel], location: Sequence[Any]) -> str:
    """What a key may be that takes values of several kinds: a location that ends in the tag of one; else empty.

    A value of none of the kinds counts as one of them, and that one alone would not be all that is allowed.
    """
    names = [place for place, part in enumerate(location) if isinstance(part, str) and not _is_tag(part)]
    if not names or not _is_tag(location[-1]):
        return ""
    # Of an entry of a list, what entries may be; the tag of the list itself stands before the entry's number.
    entry = max((place for place, part in enumerate(location) if isinstance(part, int)), default=0)
    tag = next(part for part in location[max(names[-1], entry) :] if _is_tag(part))
    field = _field(_model_at(model, location[: names[-1]]), location[names[-1]])
    kinds = () if field is None else _union_of(field.annotation, tag)
    *most, last = dict.fromkeys(words for kind in kinds for words in _asks_for(kind)) or [""]
    return f"{', '.join(most)} or {last}" if most else last


def _union_of(annotation: Any, tag: str) -> tuple[Any, ...]:
    """The members of the union that has one with this tag, wherever it stands in an annotation."""
    inner = get_args(annotation)
    if any(
        isinstance(each, Tag) and each.tag == tag for member in inner for each in getattr(member, "__metadata__", ())
    ):
        return inner
    return next((kinds for member in inner if (kinds := _union_of(member, tag))), ())


def _asks_for(annotation: Any) -> list[str]:
    """What a member of a union may be, in words."""
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    kind = get_origin(annotation) or annotation
    if kind is Literal:
        return [str(word) for word in get_args(annotation)]
    of_types = {str: "a word", float: "a number", int: "a whole number", list: "a list", dict: "keys and values"}
    if kind in of_types:
        return [of_types[kind]]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return ["keys and values"]
    return [words for inner in get_args(annotation) for words in _asks_for(inner)]


def _field(model: type[BaseModel], key: Any) -> FieldInfo | None:
    return next((info for name, info in model.model_fields.items() if (info.alias or name) == key), None)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]
