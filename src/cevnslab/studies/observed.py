"""Counts that a detector observed: from a study's list or file to one number per bin, with errors where it gives them.

A file has the columns `counts`, optionally `error` or `error_low` and `error_high`, and optionally the edges of every
bin, `<axis>_low` and `<axis>_high`. With edges, rows are matched to bins; without, they are in the order of the bins,
the last axis fastest. A single column needs no name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.axes import BinAxis
from cevnslab.errors import InputFileError, StudyError, located
from cevnslab.frozen import frozen
from cevnslab.likelihood.statistics import Statistic
from cevnslab.studies.schema.counts import CountsFile
from cevnslab.textfiles import Table, read_table
from cevnslab.words import nearest

FloatArray = NDArray[np.float64]
CountsInput: TypeAlias = "CountsFile | Sequence[float | Sequence[float]]"

SAME_EDGE = 1e-6
"""Edges of a file are a bin's where they differ by less than this part of its width."""
LARGEST_COUNTS = 1e15
"""In a bin: above, numbers in double precision are soon whole no longer."""
SMALLEST_ERROR = 1e-15
EXAMPLE = "recoil_energy_kev_low, recoil_energy_kev_high, counts"


@dataclass(frozen=True, eq=False)
class ObservedCounts:
    """One number per bin, the last axis fastest; read-only."""

    counts: FloatArray
    """Shape (bins,)."""
    errors: tuple[FloatArray, FloatArray] | None = None
    """Upper and lower, shape (bins,) each, above 0."""

    def __post_init__(self) -> None:
        for name in ("counts", "errors"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @property
    def statistic(self) -> Statistic:
        """What is used where neither detector nor study name one."""
        return "poisson" if self.errors is None else "gaussian"


def observed_counts(
    counts: CountsInput, axes: Sequence[BinAxis], base: Path = Path(), what: str = "file of observed counts"
) -> ObservedCounts:
    """The counts in a study's list, or in a file relative to `base`, for bins of these axes.

    Raises `StudyError` for a list of another shape, and `InputFileError`, which names the file and line, for a file
    whose rows do not fit the bins.
    """
    if not isinstance(counts, CountsFile):
        observed = ObservedCounts(_from_list(counts, axes))
        _check_range(observed, axes)
        return observed
    path = base / counts.file
    observed = _from_file(path, axes, what)
    with located(f"{what} {path}"):
        _check_range(observed, axes)
    return observed


def _check_range(observed: ObservedCounts, axes: Sequence[BinAxis]) -> None:
    """Raise `StudyError` for counts and errors of which a likelihood would overflow; the message names the bin."""
    for name, values in (("counts", observed.counts), *(("errors", each) for each in observed.errors or ())):
        smallest = SMALLEST_ERROR if name == "errors" else 0.0
        wrong = np.flatnonzero((np.abs(values) > LARGEST_COUNTS) | (np.abs(values) < smallest))
        if len(wrong):
            least = f" and at least {SMALLEST_ERROR:g}" if name == "errors" else ""
            raise StudyError(
                f"{name} must be at most {LARGEST_COUNTS:g}{least}, got {values[wrong[0]]:g} in "
                f"{_bin_text(int(wrong[0]), axes)}"
            )


def check_observed(observed: ObservedCounts, statistic: Statistic, axes: Sequence[BinAxis]) -> None:
    """Raise `StudyError` for counts that a statistic cannot take; the message names the first bin."""
    if statistic == "gaussian" and observed.errors is None:
        raise StudyError("statistic gaussian needs the errors of the counts: a file with the column error")
    if statistic != "gaussian" and observed.errors is not None:
        raise StudyError(f"the counts have errors, which statistic {statistic} does not use; use gaussian")
    if statistic == "gaussian":
        return
    wrong = np.flatnonzero(observed.counts < 0)
    if len(wrong):
        raise StudyError(
            f"counts must not be negative with statistic {statistic}, got {observed.counts[wrong[0]]:g} in "
            f"{_bin_text(int(wrong[0]), axes)}; residuals need errors (statistic gaussian)"
        )
    wrong = np.flatnonzero(observed.counts % 1 != 0) if statistic == "poisson" else wrong
    if len(wrong):
        raise StudyError(
            f"counts must be whole numbers with statistic poisson, got {observed.counts[wrong[0]]:g} in "
            f"{_bin_text(int(wrong[0]), axes)}; use least-squares, or gaussian with errors"
        )


def _bin_text(number: int, axes: Sequence[BinAxis]) -> str:
    positions = np.unravel_index(number, [len(axis) for axis in axes])
    places = [
        f"{axis.name} from {axis.edges[at]:.6g} to {axis.edges[at + 1]:.6g}"
        for axis, at in zip(axes, positions, strict=True)
    ]
    return f"the bin with {', '.join(places)}"


def _from_list(values: Sequence[float | Sequence[float]], axes: Sequence[BinAxis]) -> FloatArray:
    shape = " of ".join(f"{len(axis)} ({axis.name})" for axis in axes)
    nested = [isinstance(each, Sequence) for each in values]
    if len(axes) == 1:
        if any(nested):
            raise StudyError(f"needs one list of numbers: {shape}")
        if len(values) != len(axes[0]):
            raise StudyError(f"needs a number per bin: {shape}, got {len(values)}")
        return np.array(values, dtype=float)
    if len(axes) != 2 or not all(nested):
        raise StudyError(f"needs nested lists, one per bin of {axes[0].name}: {shape}")
    lengths = [len(each) for each in values if isinstance(each, Sequence)]
    if len(values) != len(axes[0]):
        raise StudyError(f"needs nested lists, {shape}, got {len(values)} lists")
    for number, length in enumerate(lengths, start=1):
        if length != len(axes[1]):
            raise StudyError(f"needs nested lists, {shape}; list {number} has {length}")
    return np.array(values, dtype=float).ravel()


def _from_file(path: Path, axes: Sequence[BinAxis], what: str) -> ObservedCounts:
    table = read_table(path, what, EXAMPLE.replace("recoil_energy_kev", axes[0].name))
    names = table.names or (("counts",) if table.rows.shape[1] == 1 else ())
    _check_columns(table, names, axes)
    columns = dict(zip(names, table.rows.T, strict=True))
    order = _order(table, columns, axes)
    errors = None
    if "error" in columns:
        errors = (columns["error"][order], columns["error"][order])
    elif "error_low" in columns:
        errors = (columns["error_high"][order], columns["error_low"][order])
    for name in ("error", "error_low", "error_high"):
        wrong = np.flatnonzero(columns[name] <= 0) if name in columns else np.empty(0, dtype=int)
        if len(wrong):
            raise InputFileError(f"{table.place(wrong[0])}: {name} must be above 0, got {columns[name][wrong[0]]:g}")
    return ObservedCounts(columns["counts"][order], errors)


def _check_columns(table: Table, names: Sequence[str], axes: Sequence[BinAxis]) -> None:
    edges = [f"{axis.name}_{end}" for axis in axes for end in ("low", "high")]
    allowed = ["counts", "error", "error_low", "error_high", *edges]
    if not names:
        raise InputFileError(
            f"{table.top}: several columns must be named in the first line, such as: {', '.join([*edges, 'counts'])}"
        )
    for name in names:
        if name not in allowed:
            raise InputFileError(
                f"{table.top}: '{name}' is no column of this detector's counts; {nearest(name, allowed)}"
            )
        if list(names).count(name) > 1:
            raise InputFileError(f"{table.top}: the column '{name}' is given twice")
    if "counts" not in names:
        raise InputFileError(f"{table.top}: the column counts is needed, got {', '.join(names)}")
    if ("error_low" in names) != ("error_high" in names) or ("error" in names and "error_low" in names):
        raise InputFileError(f"{table.top}: give either error, or both error_low and error_high")
    present = [edge for edge in edges if edge in names]
    if present and len(present) < len(edges):
        missing = next(edge for edge in edges if edge not in names)
        raise InputFileError(f"{table.top}: the edges of every axis or of none; {missing} is not there")


def _order(table: Table, columns: dict[str, FloatArray], axes: Sequence[BinAxis]) -> NDArray[np.int64]:
    """The row of every bin."""
    bins = int(np.prod([len(axis) for axis in axes]))
    if f"{axes[0].name}_low" not in columns:
        if len(table.rows) != bins:
            shape = " x ".join(f"{len(axis)} ({axis.name})" for axis in axes)
            raise InputFileError(f"{table.where}: {bins} rows are needed, one per bin: {shape}, got {len(table.rows)}")
        return np.arange(bins)
    number = np.zeros(len(table.rows), dtype=np.int64)
    for axis in axes:
        number = number * len(axis) + _bins_of(table, columns, axis)
    rows = np.full(bins, -1, dtype=np.int64)
    for row, at in enumerate(number):
        if rows[at] >= 0:
            raise InputFileError(f"{table.place(row)}: {_bin_text(int(at), axes)} stands twice")
        rows[at] = row
    if np.any(rows < 0):
        missing = int(np.flatnonzero(rows < 0)[0])
        raise InputFileError(f"{table.where}: no row for {_bin_text(missing, axes)}")
    return rows


def _bins_of(table: Table, columns: dict[str, FloatArray], axis: BinAxis) -> NDArray[np.int64]:
    """The bin of an axis that every row's edges are."""
    low, high = columns[f"{axis.name}_low"], columns[f"{axis.name}_high"]
    width = np.diff(axis.edges)
    at = np.clip(np.searchsorted(axis.edges, (low + high) / 2, side="right") - 1, 0, len(axis) - 1)
    off = np.maximum(np.abs(low - axis.edges[at]), np.abs(high - axis.edges[at + 1])) > SAME_EDGE * width[at]
    if np.any(off):
        row = int(np.flatnonzero(off)[0])
        raise InputFileError(
            f"{table.place(row)}: {axis.name} from {low[row]:g} to {high[row]:g} is no bin of this detector; the "
            f"nearest is from {axis.edges[at[row]]:.8g} to {axis.edges[at[row] + 1]:.8g}"
        )
    return np.asarray(at)
