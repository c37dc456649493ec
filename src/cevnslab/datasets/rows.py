"""Checks on the rows of a text file of numbers that name the first line at fault."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import InputFileError
from cevnslab.textfiles import FloatArray

ON_GRID = 1e-5
"""Deviation from a regular grid, in bins, that six printed digits allow."""


def require(good: NDArray[np.bool_], numbers: list[int], file: str, condition: str, values: FloatArray) -> None:
    """Raise `InputFileError` that names the first line on which a condition does not hold, and its values."""
    if not np.all(good):
        first = int(np.argmin(good))
        numerals = " ".join(f"{value:.10g}" for value in np.atleast_1d(values[first]))
        raise InputFileError(f"{file}, line {numbers[first]}: {condition}, got {numerals}")
