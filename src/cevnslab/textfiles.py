"""Text files of numbers: reading them, and naming file and line where one is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import InputFileError

FloatArray = NDArray[np.float64]


def read_text(path: Path, what: str) -> str:
    """The text of a file that the user named; `InputFileError` says what was wrong with it."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise InputFileError(f"cannot read the {what} {path}: {fault.strerror or fault}") from None
    except UnicodeDecodeError:
        raise InputFileError(f"cannot read the {what} {path}: it is not UTF-8 text") from None


def data_lines(path: Path, what: str) -> Iterator[tuple[int, str, list[str]]]:
    """Number, text and words of every line that holds any.

    Words are separated by blanks or commas; # starts a comment. Raises `InputFileError` where the file cannot be read.
    """
    for number, line in enumerate(read_text(path, what).splitlines(), start=1):
        words = line.split("#", 1)[0].replace(",", " ").split()
        if words:
            yield number, line.strip(), words


def read_numbered_columns(path: Path, what: str, columns: int) -> tuple[list[int], FloatArray]:
    """The line number of every row beside what `read_columns` gives: for further checks that can name the line."""
    numbers: list[int] = []
    rows: list[list[float]] = []
    for number, line, words in data_lines(path, what):
        place = f"{what} {path}, line {number}"
        if len(words) != columns:
            raise InputFileError(f"{place}: {columns} columns are needed, got {len(words)}")
        try:
            row = [float(word) for word in words]
        except ValueError:
            raise InputFileError(f"{place}: {columns} numbers are needed, got '{line}'") from None
        if not np.all(np.isfinite(row)):
            raise InputFileError(f"{place}: finite numbers are needed, got '{line}'")
        numbers.append(number)
        rows.append(row)
    if not rows:
        raise InputFileError(f"{what} {path}: no rows of numbers in it")
    return numbers, np.array(rows)


def read_columns(path: Path, what: str, columns: int) -> FloatArray:
    """The finite numbers of a text file, shape (rows, columns), at least one row.

    Columns are separated by blanks or commas; # starts a comment; blank lines do not count. Raises `InputFileError`,
    which names the file and line, for anything else.
    """
    return read_numbered_columns(path, what, columns)[1]
