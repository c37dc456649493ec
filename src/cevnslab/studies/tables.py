"""What studies read from tables: curves of an energy, and spectra with a column per flavour."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cevnslab.errors import InputFileError
from cevnslab.physics.flavour import FLAVOURS, MASS_STATES
from cevnslab.textfiles import FloatArray, Table, energy_unit, read_table
from cevnslab.words import nearest


@dataclass(frozen=True, eq=False)
class Curve:
    """Values at rising energies."""

    energy: FloatArray
    value: FloatArray
    unit: str | None
    """keV or keVee where the file's first line says so."""
    where: str

    def energies(self, quenched: bool) -> str:
        """What its energies are, for messages about a detector with or without quenching."""
        if self.unit == "keVee":
            return "keVee"
        return "keV of nuclear recoil" if quenched else "keV"

    def require_unit(self, unit: str) -> None:
        """Raise `InputFileError` where the file says that its energies are in another unit."""
        if self.unit not in (None, unit):
            raise InputFileError(f"{self.where}: its energies are in {self.unit}, needed in {unit}")


def read_curve(path: Path, what: str, value: str, highest: float = np.inf) -> Curve:
    """Energies (rising, from 0 on) and values (from 0 to `highest`) of a table of two columns.

    `value` names the second column in messages. Raises `InputFileError` as `read_table` does, and for energies that
    fall or values outside their range.
    """
    table = read_table(path, what, f"1.5, {min(0.5, highest):g}", 2)
    unit = energy_unit(table.names[0]) if table.names else None
    if table.names and unit is None and energy_unit(table.names[1]) is not None:
        raise InputFileError(f"{table.top}: the energy must be the first column, {value} the second")
    energy, values = table.rows[:, 0], table.rows[:, 1]
    if len(energy) < 2:
        raise InputFileError(f"{table.where}: at least two rows are needed, got {len(energy)}")
    _require_rising(table, energy, lowest=0.0)
    wrong = np.flatnonzero((values < 0) | (values > highest))
    if len(wrong):
        bound = f"from 0 to {highest:g}" if np.isfinite(highest) else "at least 0"
        raise InputFileError(f"{table.place(wrong[0])}: the {value} must be {bound}, got {values[wrong[0]]:g}")
    return Curve(energy, values, unit, table.where)


def _require_rising(table: Table, energy: FloatArray, lowest: float) -> None:
    if energy[0] < lowest:
        raise InputFileError(f"{table.place(0)}: energies must not be negative, got {energy[0]:g}")
    falls = np.flatnonzero(np.diff(energy) <= 0)
    if len(falls):
        row = int(falls[0]) + 1
        raise InputFileError(f"{table.place(row)}: energies must rise, got {energy[row]:g} after {energy[row - 1]:g}")


FLAVOUR_COLUMNS = {
    f"{prefix}nu_{state}": (state, prefix == "anti_") for prefix in ("", "anti_") for state in (*FLAVOURS, *MASS_STATES)
}
"""Columns of a spectrum file: flavour or mass state, and whether it is of antineutrinos."""


def read_spectra(
    path: Path, columns: Collection[str] = tuple(FLAVOUR_COLUMNS)
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Energies (MeV) and densities (per MeV) of a spectrum file, by column.

    The first line names the columns, in capitals or not: energy_mev, then some of `columns`, such as nu_e, anti_nu_e.
    Raises `InputFileError` as `read_table` does, and for an unknown or repeated column, energies that fall, or a
    negative density.
    """
    table = read_table(path, "spectrum file", "10.0, 1e5, 2e5")
    by_name = {name.lower(): name for name in columns}
    if len(table.names) < 2 or table.names[0] != "energy_mev":
        raise InputFileError(
            f"{table.top}: the columns must be named in the first line, energy_mev first, then some of "
            f"{', '.join(columns)}; such as: energy_mev, {', '.join(list(columns)[:2])}"
        )
    for name in table.names[1:]:
        if name not in by_name:
            raise InputFileError(f"{table.top}: '{name}' is no column; {nearest(name, columns)}")
        if table.names.count(name) > 1:
            raise InputFileError(f"{table.top}: the column '{name}' is given twice")
    energy = table.rows[:, 0]
    if len(energy) < 2:
        raise InputFileError(f"{table.where}: at least two rows are needed, got {len(energy)}")
    if energy[0] == 0:
        raise InputFileError(f"{table.place(0)}: energies must be above 0")
    _require_rising(table, energy, lowest=0.0)
    negative = np.argwhere(table.rows[:, 1:] < 0)
    if len(negative):
        row, column = negative[0]
        raise InputFileError(f"{table.place(row)}: a flux must not be negative, got {table.rows[row, column + 1]:g}")
    return energy, {by_name[name]: table.rows[:, column] for column, name in enumerate(table.names) if column}
