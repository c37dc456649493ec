"""Results as JSON holds them, and back: by the types of their fields, so that a new field needs no code here."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Lists, mappings, numbers and words; what is not finite is the word inf, -inf or nan."""
    if isinstance(value, np.ndarray):
        return value.tolist() if np.isfinite(value).all() else to_plain(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return value


def from_plain(kind: type[T], content: Any) -> T:
    """What `to_plain` made of an object of this class.

    Raises `KeyError`, `TypeError` or `ValueError` for anything else.
    """
    made: T = _read(kind, content)
    return made


def _read(kind: Any, content: Any) -> Any:
    origin, parameters = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _read(parameters[0], content)
    if origin in (typing.Union, types.UnionType):
        if content is None:
            return None
        return _read(next(each for each in parameters if each is not type(None)), content)
    if origin is np.ndarray:
        if not isinstance(content, list):
            raise TypeError("a list of numbers is needed")
        return np.array(content, dtype=float)
    if origin is tuple:
        if parameters[-1] is Ellipsis:
            return tuple(_read(parameters[0], item) for item in content)
        return tuple(_read(each, item) for each, item in zip(parameters, content, strict=True))
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(parameters[1], item) for key, item in content.items()}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        if unknown := set(content) - set(hints):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        return typing.cast("Any", kind)(**{name: _read(hints[name], item) for name, item in content.items()})
    return _leaf(kind, content)


def _leaf(kind: Any, content: Any) -> Any:
    """A number, a word or a truth value of the type that its field has; what is not finite is a word."""
    if kind is float and (isinstance(content, int | float) or content in ("inf", "-inf", "nan")):
        return float(content)
    if (kind in (bool, int, str) and type(content) is not kind) or kind is float:
        raise TypeError(f"{kind.__name__} is needed, got {type(content).__name__}")
    return content
