"""Values that cannot be written to: what a frozen class holds is frozen too, to the last number.

Mappings and lists stay dictionaries and lists (of classes that refuse changes), so that JSON, comparisons and the study
file's schema take them; copies of them can be changed.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray


def read_only(array: NDArray[Any]) -> NDArray[Any]:
    """A copy of an array that nobody can make writable again; a single number is that already.

    The flag of an array that owns its numbers can be set again; bytes are immutable.
    """
    if not isinstance(array, np.ndarray):
        return array
    return np.ndarray(array.shape, array.dtype, array.tobytes())


def frozen_array(values: ArrayLike) -> NDArray[np.float64]:
    """A copy of numbers that cannot be written to."""
    return read_only(np.asarray(values, dtype=float))


def frozen(value: Any) -> Any:
    """A value whose arrays, mappings, lists and tuples cannot be written to, at any depth; others as they are."""
    if isinstance(value, np.ndarray):
        return value if isinstance(value.base, bytes) else read_only(value)
    if isinstance(value, FrozenDict | FrozenList):
        return value
    if isinstance(value, Mapping):
        return FrozenDict({name: frozen(item) for name, item in value.items()})
    if isinstance(value, list):
        return FrozenList(frozen(item) for item in value)
    if type(value) is tuple:
        return tuple(frozen(item) for item in value)
    return value


def _refuse(self: object, *_: object, **__: object) -> NoReturn:
    raise TypeError("this is part of a frozen value and cannot be changed; change a copy (copy.deepcopy)")


class FrozenDict(dict[str, Any]):
    """A dictionary that cannot be changed."""

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> dict[str, Any]:
        """A dictionary that can be changed."""
        return dict(self)

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[str, Any]:
        return {name: copy.deepcopy(item, memo) for name, item in self.items()}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self),)


class FrozenList(list[Any]):
    """A list that cannot be changed."""

    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse
    append = extend = insert = remove = pop = clear = sort = reverse = _refuse

    def copy(self) -> list[Any]:
        """A list that can be changed."""
        return list(self)

    def __copy__(self) -> list[Any]:
        return list(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> list[Any]:
        return [copy.deepcopy(item, memo) for item in self]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self),)
