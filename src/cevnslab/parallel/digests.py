"""A name for content: two values share a digest only if every number and word in them is the same."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence, Set
from typing import Any, Protocol

import numpy as np

from cevnslab.version import __version__


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def content_digest(*values: object) -> str:
    """24 hexadecimal digits that stand for the values and this version of the package.

    Values are arrays (type, shape and bytes count), frozen dataclasses (class and fields), mappings (in any order),
    sequences, sets, words, bytes, numbers and None; `TypeError` for anything else, such as a function, whose content
    cannot be seen.

    >>> content_digest("toys", 1, (2.0, 3.0)) == content_digest("toys", 1, (2.0, 3.0))
    True
    >>> content_digest(np.zeros(4)) == content_digest(np.zeros((2, 2)))
    False
    """
    content = hashlib.sha256()
    _feed(content, (__version__, *values))
    return content.hexdigest()[:24]


def _feed(content: _Hash, value: Any) -> None:
    """Every value starts with its kind and its length, so that no two different ones are the same bytes."""
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("an array of objects has no digest")
        content.update(f"array {value.dtype.str} {value.shape};".encode())
        content.update(np.ascontiguousarray(value).tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        content.update(f"class {type(value).__module__}.{type(value).__qualname__};".encode())
        for field in dataclasses.fields(value):
            _feed(content, (field.name, getattr(value, field.name)))
    elif isinstance(value, Mapping):
        content.update(f"mapping {len(value)};".encode())
        for item in sorted(value.items(), key=lambda pair: repr(pair[0])):
            _feed(content, item)
    elif isinstance(value, Set):
        _feed(content, ("set", *sorted(value, key=repr)))
    elif isinstance(value, str):
        content.update(f"text {len(value)};".encode())
        content.update(value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        content.update(f"bytes {len(value)};".encode())
        content.update(value)
    elif isinstance(value, Sequence):
        content.update(f"sequence {len(value)};".encode())
        for item in value:
            _feed(content, item)
    elif value is None or isinstance(value, bool | int | float | complex | np.generic):
        content.update(f"{type(value).__name__} {value!r};".encode())
    else:
        raise TypeError(f"a {type(value).__name__} has no digest")
