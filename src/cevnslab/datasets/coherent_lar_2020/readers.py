"""The formats of the liquid argon release: templates in three dimensions, the efficiency.

Every function raises `InputFileError`, one message that names the file and, where one is at fault, the line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cevnslab.datasets.rows import ON_GRID, require
from cevnslab.errors import InputFileError
from cevnslab.textfiles import FloatArray, read_numbered_columns

CUBE_RANGES = ((0.0, 120.0), (0.5, 0.9), (-0.1, 4.9))
"""The bins span these: energy (keVee), F90, time (us)."""


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
    condition = "the centres of energy, F90 and time must be those of the release in its order"
    require(np.max(deviation, axis=1) <= ON_GRID, numbers, file, condition, table[:, :3])
    require(table[:, 3] >= 0, numbers, file, "the number of events must be at least 0", table[:, 3])
    return table[:, 3].reshape(shape)


def read_efficiency(path: Path) -> tuple[FloatArray, FloatArray]:
    """Energies (keVee, rising) and liquid argon's efficiency (0 to 1) there; the file's nuclear energies rise too."""
    numbers, table = read_numbered_columns(path, "efficiency file", 3)
    file, efficiency = f"efficiency file {path}", table[:, 2]
    if len(table) < 2:
        raise InputFileError(f"{file}: at least two rows are needed, got {len(table)}")
    for column, unit in ((0, "keVee"), (1, "keVnr")):
        energy = table[:, column]
        rising = (energy >= 0) & (np.diff(energy, prepend=-1.0) > 0)
        require(rising, numbers, file, f"energies ({unit}) must be at least 0 and rise", energy)
    require((efficiency >= 0) & (efficiency <= 1), numbers, file, "the efficiency must be from 0 to 1", efficiency)
    return table[:, 0], efficiency
