"""From a mapping to a validated model, or to one message that names the key's path and the remedy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from cevnslab.errors import StudyError
from cevnslab.studies.schema import SOURCES, Detector, Experiment, PionDecayAtRest
from cevnslab.words import nearest

_MOST_MESSAGES = 5

_ModelType = TypeVar("_ModelType", bound=BaseModel)


def validated(model: type[_ModelType], content: Mapping[str, Any]) -> _ModelType:
    """The model made of a mapping.

    Raises `StudyError` with a line per mistake: the key's path, what is wrong and what is allowed.
    """
    try:
        return model.model_validate(content)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
        lines = [_message(model, content, error) for error in errors[:_MOST_MESSAGES]]
        if len(errors) > _MOST_MESSAGES:
            lines.append(f"and {len(errors) - _MOST_MESSAGES} more")
        raise StudyError("\n  ".join(lines)) from None


def _message(model: type[BaseModel], content: Mapping[str, Any], error: Any) -> str:
    location = tuple(part for part in error["loc"] if not str(part).startswith("<"))
    path = key_path(location, content)
    kind, given = error["type"], error["input"]
    context = error.get("ctx", {})
    shown = "" if isinstance(given, dict | list) else f", got {_show(given)}"
    if kind == "extra_forbidden":
        key = str(location[-1])
        return f"{path}: unknown key; {nearest(key, _known_keys(model, location[:-1], content))}"
    if kind == "missing":
        return f"{path}: this key is required"
    limits = {
        "greater_than": "must be above {gt:g}",
        "greater_than_equal": "must be at least {ge:g}",
        "less_than": "must be below {lt:g}",
        "less_than_equal": "must be at most {le:g}",
    }
    if kind in limits:
        return f"{path}: {limits[kind].format(**context)}{shown}"
    if kind == "literal_error":
        options = context["expected"].replace("'", "")
        return f"{path}: must be {options}{shown}"
    if kind == "string_pattern_mismatch":
        if context.get("pattern", "").startswith("^[^$"):
            return f"{path}: must be 1 to 120 characters without '$'{shown}"
        return f"{path}: must be safe as a file name (letters, digits, '-', '_', '.', '+', at most 80){shown}"
    if kind in ("too_short", "too_long"):
        bound = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        entries = "entry" if bound.endswith(" 1") else "entries"
        return f"{path}: needs {bound} {entries}, got {context.get('actual_length', 'more')}"
    expected = {
        "float_type": "a number",
        "int_type": "a whole number",
        "string_type": "a word",
        "list_type": "a list",
        "dict_type": "keys and values",
        "model_type": "keys and values",
        "model_attributes_type": "keys and values",
        "bool_type": "true or false",
        "finite_number": "a finite number",
        "union_tag_invalid": "another kind of value (" + str(context.get("expected_tags", "")).replace("'", "") + ")",
    }
    if kind in expected:
        return f"{path}: must be {expected[kind]}{shown or f', got {type(given).__name__}'}"
    return f"{path}: {error['msg']}{shown}"


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "nothing"
    return f"'{value}'" if isinstance(value, str) else str(value)


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


def _known_keys(model: type[BaseModel], location: Sequence[Any], content: Any) -> list[str]:
    """The keys of the model that a location leads to."""
    current: type[BaseModel] = model
    for part in location:
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, Sequence) and isinstance(part, int):
            content = content[part]
        if isinstance(part, int) and current is Detector and isinstance(content, Mapping) and "experiment" in content:
            current = Experiment
        if isinstance(part, int) or part not in _keys(current):
            continue
        field = next(info for name, info in current.model_fields.items() if (info.alias or name) == part)
        current = _first_model(field.annotation) or current
        if current is PionDecayAtRest and isinstance(content, Mapping):
            current = SOURCES.get(str(content.get("type")), PionDecayAtRest)
    return _keys(current)


def _keys(model: type[BaseModel]) -> list[str]:
    return [info.alias or name for name, info in model.model_fields.items()]


def _first_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as list[Detector] or Detector | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _first_model(inner)
        if found:
            return found
    return None
