"""Results as JSON holds them, and back: by the types of their fields, so that a new field needs no code here."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

import numpy as np

from cevnslab.errors import ResultError
from cevnslab.words import excerpt

T = TypeVar("T")
if TYPE_CHECKING:
    Plain: TypeAlias = "Mapping[str, Plain] | Sequence[Plain] | str | float | bool | None"
else:
    Plain = object  # the types of fields are read when results are: what is plain is taken as it is
"""What JSON or a study file holds: words, numbers, lists and mappings of any depth, whose shape the schema checks."""
Keys: TypeAlias = Mapping[str, Plain]
"""A mapping of it, such as a study file or one of its entries."""


def keys_of(content: Plain, path: str = "this part") -> Keys:
    """A part of plain content as a mapping; `ResultError` that names its path where it is none."""
    if not isinstance(content, Mapping):
        raise _unlike(path, "keys and values", content)
    return content


def list_of(content: Plain, path: str = "this part", what: str = "a list") -> Sequence[Plain]:
    """A part of plain content as a list; `ResultError` that names its path where it is none."""
    if not isinstance(content, list | tuple):
        raise _unlike(path, what, content)
    return content


def entries_of(content: Plain) -> list[Keys]:
    """A list of mappings, such as the combinations of a study."""
    return [keys_of(each) for each in list_of(content)]


def names_of(content: Plain) -> list[str]:
    """A list of words, such as the detectors of a combination."""
    return [str(each) for each in list_of(content)]


def to_plain(value: object) -> Plain:
    """Lists, mappings, numbers and words; what is not finite is the word inf, -inf or nan."""
    if isinstance(value, np.ndarray):
        values: list[Plain] = value.tolist()
        return values if np.isfinite(value).all() else to_plain(values)
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"JSON holds no {type(value).__name__}")


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
        items = list_of(content, path)
        kinds = [parameters[0]] * len(items) if parameters[-1] is Ellipsis else parameters
        if len(kinds) != len(items):
            raise _unlike(path, f"a list of {len(kinds)}", content)
        return tuple(
            _read(each, item, f"{path}.{at}") for at, (each, item) in enumerate(zip(kinds, items, strict=True))
        )
    if origin is not None and issubclass(origin, Mapping):
        return {key: _read(parameters[1], item, f"{path}.{key}") for key, item in keys_of(content, path).items()}
    if dataclasses.is_dataclass(kind):
        return _record(kind, content, path)
    return _leaf(kind, content, path)


def _record(kind: type, content: Plain, path: str) -> object:
    values = keys_of(content, path)
    hints = typing.get_type_hints(kind, include_extras=True)
    nothing = dataclasses.MISSING
    required = {f.name for f in dataclasses.fields(kind) if f.default is nothing and f.default_factory is nothing}
    for name in [*(required - set(values)), *(set(values) - set(hints))]:
        raise ResultError(f"{_place(f'{path}.{name}')}: {'unknown' if name in values else 'missing'}")
    return kind(**{name: _read(hints[name], item, f"{path}.{name}") for name, item in values.items()})


def _numbers(content: Plain, path: str) -> object:
    values = list_of(content, path, "a list of numbers")
    try:
        return np.array(values, dtype=float)
    except (ValueError, TypeError, OverflowError):
        raise ResultError(f"{_place(path)}: must be a list of numbers") from None


_LEAVES = {float: "a number", int: "a whole number", str: "a word", bool: "true or false"}


def _leaf(kind: type, content: Plain, path: str) -> object:
    """A number, a word or a truth value of the type that its field has; what is not finite is a word."""
    if kind is float and (isinstance(content, float) or type(content) is int or content in ("inf", "-inf", "nan")):
        return float(typing.cast(float, content))
    if kind in _LEAVES and type(content) is not kind:
        raise _unlike(path, _LEAVES[kind], content)
    return content


def _unlike(path: str, what: str, content: Plain) -> ResultError:
    return ResultError(f"{_place(path)}: must be {what}, got {excerpt(content)}")


def _place(path: str) -> str:
    """A path in a message: on one line, not too long."""
    return excerpt(path.lstrip("."))[1:-1]
