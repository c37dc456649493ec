"""Results as JSON holds them, and back: by the types of their fields, so that a new field needs no code here."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np

from cevnslab.errors import ResultError
from cevnslab.words import excerpt

T = TypeVar("T")
Plain: TypeAlias = Any
"""What JSON or a study file holds: words, numbers, lists and mappings of any depth, whose shape the schema checks."""


def to_plain(value: object) -> Plain:
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


def from_plain(kind: type[T], content: Plain) -> T:
    """What `to_plain` made of an object of this class; `ResultError` says where anything else is not of it."""
    return cast(T, _read(kind, content, ""))


def _read(kind: type, content: Plain, path: str) -> object:
    origin, parameters = typing.get_origin(kind), typing.get_args(kind)
    if (alias := getattr(origin or kind, "__value__", None)) is not None:
        return _read(alias, content, path)  # numpy's NDArray, where it is an alias of the `type` statement
    if origin is typing.Annotated:
        return _read(parameters[0], content, path)
    if origin in (typing.Union, types.UnionType):
        if content is None:
            return None
        return _read(next(each for each in parameters if each is not type(None)), content, path)
    if origin is np.ndarray:
        return _numbers(content, path)
    if origin is tuple:
        _require(isinstance(content, list), path, "a list", content)
        kinds = [parameters[0]] * len(content) if parameters[-1] is Ellipsis else parameters
        _require(len(kinds) == len(content), path, f"a list of {len(kinds)}", content)
        return tuple(
            _read(each, item, f"{path}.{at}") for at, (each, item) in enumerate(zip(kinds, content, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        _require(isinstance(content, Mapping), path, "keys and values", content)
        return {key: _read(parameters[1], item, f"{path}.{key}") for key, item in content.items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, content, path)
    return _leaf(kind, content, path)


def _record(kind: type, content: Plain, path: str) -> object:
    _require(isinstance(content, Mapping), path, "keys and values", content)
    hints = typing.get_type_hints(kind, include_extras=True)
    nothing = dataclasses.MISSING
    required = {f.name for f in dataclasses.fields(kind) if f.default is nothing and f.default_factory is nothing}
    for name in [*(required - set(content)), *(set(content) - set(hints))]:
        raise ResultError(f"{_place(f'{path}.{name}')}: {'unknown' if name in content else 'missing'}")
    return kind(**{name: _read(hints[name], item, f"{path}.{name}") for name, item in content.items()})


def _numbers(content: Plain, path: str) -> object:
    _require(isinstance(content, list), path, "a list of numbers", content)
    try:
        return np.array(content, dtype=float)
    except (ValueError, TypeError, OverflowError):
        raise ResultError(f"{_place(path)}: must be a list of numbers") from None


_LEAVES = {float: "a number", int: "a whole number", str: "a word", bool: "true or false"}


def _leaf(kind: type, content: Plain, path: str) -> object:
    """A number, a word or a truth value of the type that its field has; what is not finite is a word."""
    if kind is float and (type(content) in (int, float) or content in ("inf", "-inf", "nan")):
        return float(content)
    _require(kind not in _LEAVES or type(content) is kind, path, _LEAVES.get(kind, ""), content)
    return content


def _require(right: bool, path: str, what: str, content: Plain) -> None:
    if not right:
        raise ResultError(f"{_place(path)}: must be {what}, got {excerpt(content)}")


def _place(path: str) -> str:
    """A path in a message: on one line, not too long."""
    return excerpt(path.lstrip("."))[1:-1]
