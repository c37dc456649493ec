"""Files as an experimentalist keeps them: two columns (keV and a value), or a spectrum with a column per flavour."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cevnslab.errors import InputFileError
from cevnslab.textfiles import FloatArray, data_lines


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


FLAVOUR_COLUMNS = {
    f"{prefix}nu_{flavour}": (flavour, prefix == "anti_") for prefix in ("", "anti_") for flavour in ("e", "mu", "tau")
}
"""Columns of a spectrum file: flavour, and whether it is of antineutrinos."""


def read_spectra(path: Path) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Energies (MeV) and flux densities (1/(cm^2 s MeV)) of a spectrum file, by column.

    The first line that is no comment names the columns: energy_mev, then some of nu_e, anti_nu_e, nu_mu ... Raises
    `InputFileError`, which names the file and line, for an unknown or repeated column, energies out of order, a
    negative flux, or anything that is no number.
    """
    header: list[str] | None = None
    rows: list[list[float]] = []
    for number, line, words in data_lines(path, "spectrum file"):
        place = f"spectrum file {path}, line {number}"
        if header is None:
            header = words
            known = ", ".join(FLAVOUR_COLUMNS)
            if words[0] != "energy_mev" or len(words) < 2:
                raise InputFileError(f"{place}: the columns must be named, energy_mev first, then some of {known}")
            for name in words[1:]:
                if name not in FLAVOUR_COLUMNS or words.count(name) > 1:
                    raise InputFileError(f"{place}: '{name}' is no column or given twice; known are {known}")
            continue
        if len(words) != len(header):
            raise InputFileError(f"{place}: {len(header)} columns are needed, got {len(words)}")
        try:
            values = [float(word) for word in words]
        except ValueError:
            raise InputFileError(f"{place}: numbers are needed, got '{line}'") from None
        if not np.all(np.isfinite(values)):
            raise InputFileError(f"{place}: finite numbers are needed, got '{line}'")
        if values[0] <= 0 or (rows and values[0] <= rows[-1][0]):
            raise InputFileError(f"{place}: energies must be above 0 and rise, got {words[0]}")
        if min(values[1:]) < 0:
            raise InputFileError(f"{place}: a flux must not be negative, got {min(values[1:]):g}")
        rows.append(values)
    if header is None or len(rows) < 2:
        raise InputFileError(f"spectrum file {path}: a line of names and at least two rows are needed")
    table = np.array(rows)
    return table[:, 0], {name: table[:, column] for column, name in enumerate(header) if column}
