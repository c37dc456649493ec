"""Optional compiled kernels (extra `fast`): the same numbers to rounding, without the large arrays between."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import MissingExtraError

FloatArray = NDArray[np.float64]


def require_numba() -> Any:
    """The module numba, or `MissingExtraError` that names the extra."""
    try:
        import numba
    except ImportError:
        raise MissingExtraError("--fast needs numba, which is not installed: pip install 'cevnslab[fast]'") from None
    return numba


@functools.cache
def inner_products() -> Callable[[FloatArray, FloatArray], FloatArray]:
    """(counts, pairs of shape (bins, pairs)) -> sum_i pair_i/max(N_i, 1) of every toy: shape (toys, pairs)."""
    numba = require_numba()

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def kernel(counts: FloatArray, pairs: FloatArray) -> FloatArray:
        toys, bins = counts.shape
        products = np.zeros((toys, pairs.shape[1]))
        for toy in range(toys):
            row = products[toy]
            for i in range(bins):
                weight = 1.0 / max(counts[toy, i], 1.0)
                for p in range(pairs.shape[1]):
                    row[p] += weight * pairs[i, p]
        return products

    found: Callable[[FloatArray, FloatArray], FloatArray] = kernel
    return found


@functools.cache
def highest_gain() -> Callable[..., tuple[NDArray[np.int64], FloatArray]]:
    """(linear, square, x, quotient) -> index and value of the highest gain on the grid x, for every toy.

    `linear` (toys, degrees) and `square` (toys or 1, degrees) are polynomial coefficients; the gain is
    linear^2/square, or 2 linear - square where `quotient` is false.
    """
    numba = require_numba()

    @numba.njit(cache=True)  # type: ignore[untyped-decorator]
    def kernel(
        linear: FloatArray, square: FloatArray, x: FloatArray, quotient: bool
    ) -> tuple[NDArray[np.int64], FloatArray]:
        toys, size = linear.shape
        best = np.zeros(toys, dtype=np.int64)
        highest = np.empty(toys)
        above, below = np.empty(len(x)), np.empty(len(x))
        for toy in range(toys):
            row = square[toy if square.shape[0] > 1 else 0]
            # The grid is the inner loop of both Horner sweeps, so that they run on whole vectors.
            above[:] = linear[toy, size - 1]
            below[:] = row[-1]
            for degree in range(size - 2, -1, -1):
                for j in range(len(x)):
                    above[j] = above[j] * x[j] + linear[toy, degree]
            for degree in range(len(row) - 2, -1, -1):
                for j in range(len(x)):
                    below[j] = below[j] * x[j] + row[degree]
            for j in range(len(x)):
                above[j] = above[j] * above[j] / below[j] if quotient else 2 * above[j] - below[j]
            best[toy] = np.argmax(above)
            highest[toy] = above[best[toy]]
        return best, highest

    found: Callable[..., tuple[NDArray[np.int64], FloatArray]] = kernel
    return found
