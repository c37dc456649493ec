"""Text files of numbers, read one way everywhere; a message names file and line and shows what was expected.

A table is rows of numbers, separated by commas or blanks. Its first line may name the columns; # starts a comment, and
blank lines do not count. A byte order mark, as spreadsheets write it, is no part of the text.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import InputFileError
from cevnslab.frozen import frozen_array
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]

LARGEST_BYTES = 64_000_000
"""Files that users name are read up to this size: a device has no end."""


def read_bytes(path: Path, what: str) -> bytes:
    """The content of a file that the user named; `InputFileError` says what was wrong with it."""
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_BYTES + 1)
    except OSError as fault:
        raise InputFileError(f"cannot read the {what} {_name(path)}: {fault.strerror or fault}") from None
    except ValueError:  # a NUL inside
        raise InputFileError(f"cannot read the {what} {_name(path)}: this is no file's name") from None
    if len(content) > LARGEST_BYTES:
        raise InputFileError(f"cannot read the {what} {_name(path)}: it is larger than {LARGEST_BYTES // 10**6} MB")
    return content


def checksum(path: Path, what: str) -> str:
    """The SHA-256 of a file that the user named; raises as `read_bytes`."""
    return hashlib.sha256(read_bytes(path, what)).hexdigest()


def read_text(path: Path, what: str) -> str:
    """The text of a file that the user named, without a byte order mark; raises as `read_bytes`."""
    try:
        return read_bytes(path, what).decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise InputFileError(f"cannot read the {what} {_name(path)}: it is not UTF-8 text") from None


def _name(path: Path) -> str:
    """A path on one line, without control characters."""
    return excerpt(str(path), longest=300)[1:-1]


@dataclass(frozen=True, eq=False)
class Table:
    """A text file of numbers."""

    where: str
    """What it is, and its path."""
    names: tuple[str, ...]
    """Of the columns, in small letters; empty where its first line holds numbers already."""
    rows: FloatArray
    """Shape (rows, columns), at least one row, finite."""
    lines: tuple[int, ...]
    """The line of every row."""

    first_line: int
    """The first line that holds anything: that of the names where there are any."""

    def place(self, row: int) -> str:
        """How a message about a row begins."""
        return f"{self.where}, line {self.lines[row]}"

    @property
    def top(self) -> str:
        """How a message about the names of the columns begins."""
        return f"{self.where}, line {self.first_line}"


def read_table(path: Path, what: str, example: str, columns: int | None = None) -> Table:
    """The table in a text file, with so many columns where it matters.

    `example` is a row as it should be. Raises `InputFileError` for a file that cannot be read, holds no row, a row of
    another length than the first, or anything that is no finite number.
    """
    where = f"{what} {_name(path)}"
    such_as = f"; a row is such as: {example}"
    names: tuple[str, ...] = ()
    rows: list[list[float]] = []
    lines: list[int] = []
    first = 0
    for number, line in _data_lines(read_text(path, what)):
        first = first or number
        words = line.replace(",", " ").split()
        row = _numbers(words)
        if row is None and not rows and not names and not any(_is_number(word) for word in words):
            names = _column_names(line)
            continue
        place = f"{where}, line {number}"
        if row is None:
            many = f"{columns} numbers" if columns else "numbers"
            raise InputFileError(f"{place}: {many} are needed, got {excerpt(line)}{such_as}")
        size = columns or (len(rows[0]) if rows else len(names) or len(row))
        if len(row) != size:
            raise InputFileError(f"{place}: {size} columns are needed, got {len(row)}{such_as}")
        if not np.all(np.isfinite(row)):
            raise InputFileError(f"{place}: finite numbers are needed, got {excerpt(line)}")
        lines.append(number)
        rows.append(row)
    if not rows:
        raise InputFileError(f"{where}: no rows of numbers in it{such_as}")
    table = np.array(rows)
    if names and len(names) != table.shape[1]:
        raise InputFileError(
            f"{where}: its first line names {len(names)} columns ({', '.join(names)}), its rows have {table.shape[1]}"
        )
    return Table(where, names, frozen_array(table), tuple(lines), first)


def _data_lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of every line that holds any, without its comment."""
    for number, line in enumerate(text.split("\n"), start=1):
        content = line.split("#", 1)[0].strip()
        if content.replace(",", "").strip():
            yield number, content


def _column_names(line: str) -> tuple[str, ...]:
    """Names of columns: between commas where there are any, else between blanks."""
    parts = line.split(",") if "," in line else line.split()
    return tuple(part.strip().strip("\"'").strip().lower() for part in parts)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return "_" not in word


def _numbers(words: list[str]) -> list[float] | None:
    return [float(word) for word in words] if all(_is_number(word) for word in words) else None


def energy_unit(name: str) -> str | None:
    """The unit of energy that a column's name says: keV, keVee, or none.

    >>> energy_unit("energy_kevee"), energy_unit("E (keV)"), energy_unit("x")
    ('keVee', 'keV', None)
    """
    if re.search(r"kev[ _]?ee", name, re.IGNORECASE):
        return "keVee"
    return "keV" if re.search(r"kev", name, re.IGNORECASE) else None


def read_numbered_columns(path: Path, what: str, columns: int) -> tuple[list[int], FloatArray]:
    """The line number of every row beside what `read_columns` gives: for further checks that can name the line."""
    table = read_table(path, what, " ".join(["1.0"] * columns), columns)
    return list(table.lines), table.rows


def read_columns(path: Path, what: str, columns: int) -> FloatArray:
    """The finite numbers of a text file, shape (rows, columns), at least one row; raises as `read_table`."""
    return read_numbered_columns(path, what, columns)[1]
