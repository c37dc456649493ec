"""Optional compiled kernels (extra `fast`): the same numbers to rounding, without the large arrays between."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nurecoil.errors import MissingExtraError

FloatArray = NDArray[np.float64]


def require_numba() -> Any:
    """The module numba, or `MissingExtraError` that names the extra."""
    try:
        import numba
    except ImportError:
        raise MissingExtraError("--fast needs numba, which is not installed: pip install 'nurecoil[fast]'") from None
    return numba


@functools.cache
def inner_products() -> Callable[[FloatArray, FloatArray], FloatArray]:
    """(counts, vectors) -> sum_i v_p v_q/max(N, 1) of every toy: shape (toys, vectors, vectors)."""
    numba = require_numba()

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def kernel(counts: FloatArray, vectors: FloatArray) -> FloatArray:
        toys, bins = counts.shape
        size = vectors.shape[0]
        products = np.zeros((toys, size, size))
        for toy in range(toys):
            for i in range(bins):
                weight = 1.0 / max(counts[toy, i], 1.0)
                for p in range(size):
                    scaled = weight * vectors[p, i]
                    for q in range(p + 1):
                        products[toy, p, q] += scaled * vectors[q, i]
            for p in range(size):
                for q in range(p):
                    products[toy, q, p] = products[toy, p, q]
        return products

    found: Callable[[FloatArray, FloatArray], FloatArray] = kernel
    return found


@functools.cache
def highest_gain() -> Callable[..., tuple[NDArray[np.int64], FloatArray]]:
    """(along, gram, centre, monomials, k) -> index and value of the highest gain on the grid, for every toy."""
    numba = require_numba()

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def kernel(
        along: FloatArray, gram: FloatArray, centre: FloatArray, monomials: FloatArray, k: float
    ) -> tuple[NDArray[np.int64], FloatArray]:
        toys, size = along.shape
        best = np.zeros(toys, dtype=np.int64)
        highest = np.full(toys, -np.inf)
        for toy in range(toys):
            own = gram[toy if gram.shape[0] > 1 else 0]
            for point in range(monomials.shape[0]):
                linear = k * centre[toy]
                square = k
                for m in range(size):
                    value = monomials[point, m]
                    linear += along[toy, m] * value
                    for n in range(size):
                        square += own[m, n] * value * monomials[point, n]
                gained = linear * linear / square if k > 0 else 2 * linear - square
                if gained > highest[toy]:
                    highest[toy] = gained
                    best[toy] = point
        return best, highest

    found: Callable[..., tuple[NDArray[np.int64], FloatArray]] = kernel
    return found
