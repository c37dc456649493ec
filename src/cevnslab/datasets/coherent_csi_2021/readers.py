"""The formats of the CsI release: lists of events, templates, coefficients of curves.

Every function raises `InputFileError`, one message that names the file and, where one is at fault, the line.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cevnslab.datasets.rows import ON_GRID, require
from cevnslab.errors import InputFileError
from cevnslab.textfiles import FloatArray, read_columns, read_numbered_columns


def read_events(path: Path) -> FloatArray:
    """Energy (PE) and time (us) of every event, at least 0 each: shape (events, 2)."""
    numbers, table = read_numbered_columns(path, "event list", 2)
    for column, what in ((0, "energy must be at least 0 PE"), (1, "time must be at least 0 us")):
        values = table[:, column]
        require(values >= 0, numbers, f"event list {path}", f"the {what}", values)
    return table


def read_histogram(path: Path) -> tuple[FloatArray, FloatArray]:
    """Bin centres (PE or us), rising in equal steps, and the template's values (at least 0) in these bins."""
    numbers, table = read_numbered_columns(path, "template", 2)
    file, centres, values = f"template {path}", table[:, 0], table[:, 1]
    if len(table) < 2:
        raise InputFileError(f"{file}: at least two bins are needed, got {len(table)}")
    step = centres[1] - centres[0]
    # Against the first bin, not the neighbour: a missing row shows at once and rounding does not add up.
    regular = abs(centres - centres[0] - step * np.arange(len(centres))) <= abs(step) * ON_GRID * len(centres)
    require(regular & (step > 0), numbers, file, "the bin centres must rise in equal steps", centres)
    require(values >= 0, numbers, file, "the value must be at least 0", values)
    return centres, values


def read_coefficients(path: Path, rows: int) -> FloatArray:
    """Coefficients a, b, c, d of a curve and of its variations, shape (rows, 4), in the file's order."""
    table = read_columns(path, "file of coefficients", 4)
    if len(table) != rows:
        raise InputFileError(f"file of coefficients {path}: {rows} rows are needed, got {len(table)}")
    return table
