"""Arguments of public functions: what is no finite number, word, list or path is an error that names the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]


def number(name: str, value: Any) -> float:
    """One finite number in double precision, or `PhysicsError`.

    >>> number("years", np.float16(3))
    3.0
    """
    if isinstance(value, float) and math.isfinite(value):  # most are, and need no array
        return float(value)
    array = numbers(name, value)
    if array.ndim:
        raise PhysicsError(f"{name}: must be one number, got an array of shape {array.shape}")
    return float(array)


def numbers(name: str, values: ArrayLike) -> FloatArray:
    """Finite numbers in double precision, or `PhysicsError`.

    >>> numbers("recoil_energy_kev", [1, 2])
    array([1., 2.])
    """
    try:
        values_array = np.asarray(values)
    except ValueError:
        raise PhysicsError(f"{name}: must be numbers, got lists of different lengths") from None
    if values_array.dtype == object:
        values_array = _in_double_precision(values_array)
    if values_array.dtype.kind not in "iuf":
        raise PhysicsError(f"{name}: must be {'numbers' if values_array.ndim else 'a number'}, got {excerpt(values)}")
    array = values_array.astype(float)
    if not np.all(np.isfinite(array)):
        raise PhysicsError(f"{name}: must be finite, got {array[~np.isfinite(array)].flat[0]:g}")
    return array


def _in_double_precision(objects: NDArray[Any]) -> NDArray[Any]:
    """Numbers that numpy keeps as objects, such as 28 * 10**22 or a fraction; as they are where one is no number."""
    if all(isinstance(value, Real) and not isinstance(value, bool) for value in objects.flat):
        with suppress(OverflowError):
            return objects.astype(float)
    return objects


def positive(name: str, value: Any) -> float:
    """One finite number above 0, or `PhysicsError`."""
    if not (checked := number(name, value)) > 0:
        raise PhysicsError(f"{name} must be above 0, got {checked:g}")
    return checked


def word(name: str, value: Any, words: Sequence[str]) -> str:
    """One of several words, or `UnknownNameError`: one that is not known must not mean another.

    >>> word("convention", "isotopes", ["standard-weight", "isotopes"])
    'isotopes'
    """
    if not isinstance(value, str) or value not in words:
        raise UnknownNameError(f"{name}: must be {' or '.join(words)}, got {excerpt(value)}")
    return value


def broadcast(**values: ArrayLike) -> list[FloatArray]:
    """Numbers of shapes that fit each other, or `PhysicsError`."""
    arrays = {name: numbers(name, value) for name, value in values.items()}
    try:
        return list(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise PhysicsError(f"shapes do not fit each other: {shapes}") from None


def items(name: str, values: Any) -> list[Any]:
    """The entries of a list, or `PhysicsError`: a word is none, nor is a single number, of numpy's either."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable) or not getattr(values, "shape", (1,)):
        raise PhysicsError(f"{name}: must be a list, got {excerpt(values)}")
    return list(values)


def mapping(name: str, values: Any) -> dict[str, Any]:
    """What is said by name, or `PhysicsError`; nothing is nothing by any name.

    >>> mapping("priors", None)
    {}
    """
    if values is None:
        return {}
    if not isinstance(values, Mapping) or not all(isinstance(key, str) for key in values):
        raise PhysicsError(f"{name}: must be names and values, such as a dict, got {excerpt(values)}")
    return dict(values)


def path(name: str, value: Any) -> Path:
    """A file or folder, or `PhysicsError`."""
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or "\0" in text:
        raise PhysicsError(f"{name}: must be a path, got {excerpt(value)}")
    return Path(value)
