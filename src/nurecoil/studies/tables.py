"""Two-column files: energy in keV and a value, as an experimentalist keeps them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nurecoil.errors import InputFileError
from nurecoil.textfiles import FloatArray, data_lines


def read_two_columns(path: Path, what: str, highest: float = np.inf) -> tuple[FloatArray, FloatArray]:
    """Energies (rising, keV) and values (from 0 to `highest`) of a text file.

    Columns are separated by blanks or commas; lines that start with # are comments. Raises `InputFileError`, which
    names the file and line, for anything else.
    """
    rows: list[tuple[float, float]] = []
    for number, line, words in data_lines(path, what):
        place = f"{what} {path}, line {number}"
        if len(words) != 2:
            raise InputFileError(f"{place}: two columns are needed (keV and value), got {len(words)}")
        try:
            energy, value = float(words[0]), float(words[1])
        except ValueError:
            raise InputFileError(f"{place}: two numbers are needed, got '{line}'") from None
        if not np.isfinite(energy) or energy < 0 or (rows and energy <= rows[-1][0]):
            raise InputFileError(f"{place}: energies must be finite, not negative and rise, got {words[0]}")
        if not 0 <= value <= highest:
            bound = f"from 0 to {highest:g}" if np.isfinite(highest) else "finite and at least 0"
            raise InputFileError(f"{place}: the value must be {bound}, got {words[1]}")
        if not np.isfinite(value):
            raise InputFileError(f"{place}: the value must be finite and at least 0, got {words[1]}")
        rows.append((energy, value))
    if len(rows) < 2:
        raise InputFileError(f"{what} {path}: at least two rows are needed, got {len(rows)}")
    table = np.array(rows)
    return table[:, 0], table[:, 1]
