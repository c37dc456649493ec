"""The formats of the COHERENT releases: lists of events, templates, coefficients of curves.

Every function raises `InputFileError`, one message that names the file and, where one is at fault, the line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import InputFileError
from cevnslab.textfiles import FloatArray, read_columns, read_numbered_columns

CUBE_RANGES = ((0.0, 120.0), (0.5, 0.9), (-0.1, 4.9))
"""Liquid argon's bins span these: energy (keVee), F90, time (us)."""
_ON_GRID = 1e-5
"""Deviation from a regular grid, in bins, that six printed digits allow."""


def _require(good: NDArray[np.bool_], numbers: list[int], file: str, needed: str, values: FloatArray) -> None:
    """Name the first line on which a condition does not hold."""
    if not np.all(good):
        first = int(np.argmin(good))
        got = " ".join(f"{value:.10g}" for value in np.atleast_1d(values[first]))
        raise InputFileError(f"{file}, line {numbers[first]}: {needed}, got {got}")


def read_events(path: Path, *, highest_pe: float = np.inf, latest_us: float = np.inf) -> FloatArray:
    """Energy (PE) and time (us) of every event, shape (events, 2), both from 0 to the window's end."""
    numbers, table = read_numbered_columns(path, "event list", 2)
    file = f"event list {path}"
    for column, what, unit, highest in ((0, "energy", "PE", highest_pe), (1, "time", "us", latest_us)):
        values = table[:, column]
        bound = f"from 0 to {highest:g} {unit}" if np.isfinite(highest) else f"at least 0 {unit}"
        _require((values >= 0) & (values <= highest), numbers, file, f"the {what} must be {bound}", values)
    return table


def read_histogram(path: Path) -> tuple[FloatArray, FloatArray]:
    """Bin centres (PE or us), rising in equal steps, and the template's values (at least 0) in these bins."""
    numbers, table = read_numbered_columns(path, "template", 2)
    file, centres, values = f"template {path}", table[:, 0], table[:, 1]
    if len(table) < 2:
        raise InputFileError(f"{file}: at least two bins are needed, got {len(table)}")
    step = centres[1] - centres[0]
    # Against the first bin, not the neighbour: a missing row shows at once and rounding does not add up.
    regular = abs(centres - centres[0] - step * np.arange(len(centres))) <= abs(step) * _ON_GRID * len(centres)
    _require(regular & (step > 0), numbers, file, "the bin centres must rise in equal steps", centres)
    _require(values >= 0, numbers, file, "the value must be at least 0", values)
    return centres, values


def cube_edges(shape: tuple[int, int, int] = (12, 8, 10)) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Edges of liquid argon's bins: energy (keVee), F90, time (us).

    >>> cube_edges()[0][:3]
    array([ 0., 10., 20.])
    """
    energy, f90, time = (np.linspace(*ends, bins + 1) for ends, bins in zip(CUBE_RANGES, shape, strict=True))
    return energy, f90, time


def read_cube(path: Path, shape: tuple[int, int, int] = (12, 8, 10)) -> FloatArray:
    """Events (at least 0) in bins of energy, F90 and time (`cube_edges`), of which time varies fastest in the file."""
    numbers, table = read_numbered_columns(path, "template", 4)
    file = f"template {path}"
    if len(table) != np.prod(shape):
        raise InputFileError(
            f"{file}: {np.prod(shape)} rows are needed ({' x '.join(map(str, shape))}), got {len(table)}"
        )
    edges = cube_edges(shape)
    grid = np.meshgrid(*((side[:-1] + side[1:]) / 2 for side in edges), indexing="ij")
    widths = np.array([side[1] - side[0] for side in edges])
    deviation = abs(table[:, :3] - np.column_stack([axis.ravel() for axis in grid])) / widths
    needed = "the centres of energy, F90 and time must be those of the release in its order"
    _require(np.max(deviation, axis=1) <= _ON_GRID, numbers, file, needed, table[:, :3])
    _require(table[:, 3] >= 0, numbers, file, "the number of events must be at least 0", table[:, 3])
    return table[:, 3].reshape(shape)


def read_coefficients(path: Path, rows: int) -> FloatArray:
    """Coefficients a, b, c, d of a curve and of its variations, shape (rows, 4), in the file's order."""
    table = read_columns(path, "file of coefficients", 4)
    if len(table) != rows:
        raise InputFileError(f"file of coefficients {path}: {rows} rows are needed, got {len(table)}")
    return table


def read_efficiency(path: Path) -> tuple[FloatArray, FloatArray]:
    """Energies (keVee, rising) and liquid argon's efficiency (0 to 1) there; the file's nuclear energies rise too."""
    numbers, table = read_numbered_columns(path, "efficiency file", 3)
    file, efficiency = f"efficiency file {path}", table[:, 2]
    if len(table) < 2:
        raise InputFileError(f"{file}: at least two rows are needed, got {len(table)}")
    for column, unit in ((0, "keVee"), (1, "keVnr")):
        energy = table[:, column]
        rising = (energy >= 0) & (np.diff(energy, prepend=-1.0) > 0)
        _require(rising, numbers, file, f"energies ({unit}) must be at least 0 and rise", energy)
    _require((efficiency >= 0) & (efficiency <= 1), numbers, file, "the efficiency must be from 0 to 1", efficiency)
    return table[:, 0], efficiency
