"""Arguments of public functions as numbers: what is none, or no finite one, is an error that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]


def number(name: str, value: Any) -> float:
    """One finite number in double precision, or `PhysicsError`.

    >>> number("years", np.float16(3))
    3.0
    """
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
    if values_array.dtype.kind not in "iuf":
        raise PhysicsError(f"{name}: must be {'numbers' if values_array.ndim else 'a number'}, got {excerpt(values)}")
    array = values_array.astype(float)
    if not np.all(np.isfinite(array)):
        raise PhysicsError(f"{name}: must be finite, got {array[~np.isfinite(array)].flat[0]:g}")
    return array


def broadcast(**values: ArrayLike) -> list[FloatArray]:
    """Numbers of shapes that fit each other, or `PhysicsError`."""
    arrays = {name: numbers(name, value) for name, value in values.items()}
    try:
        return list(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = " and ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise PhysicsError(f"shapes do not fit each other: {shapes}") from None
