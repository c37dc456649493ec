"""How the tables of a result are described: each column once, for CSV, JSON, pages, archives, notebooks and the manual.

An entry of a result is a `Record`: values that hold for all its rows, and arrays that run along them. A table is the
rows of all records of one kind. Columns are declared beside the fields that they show:

    coupling: Annotated[str, Column("coupling")]
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import ResultError
from cevnslab.frozen import frozen

FloatArray = NDArray[np.float64]
Block = Mapping[str, object]
"""Rows by column: a value for all of them, or an array with one for each."""


@dataclass(frozen=True)
class UnitOf:
    """The unit of a column that differs from row to row."""

    text: str
    """Whose it is, for the manual."""
    coupling: str = ""
    """The column that names the coupling in whose plain unit a row is."""
    field: str = ""
    """The record's field that holds the unit."""

    def __str__(self) -> str:
        return self.text


OF_COUPLING = UnitOf("of the coupling", coupling="coupling")
OF_KEY = UnitOf("in the key's name")

Role = Literal["group", "along", "number", "low", "high", "series", "value", "error", "aside"]
"""What a column is in an archive's tables, where a group of rows is a table of its own.

``group``: what all rows of a table share; ``along``: an independent variable; ``number``: one that counts, left out
where it is always the same; ``low``, ``high``: the ends of bins;
``series``: what tells several curves of one table apart; ``value``: a dependent variable; ``error``: that of the
column before; ``aside``: not shown there.
"""


@dataclass(frozen=True)
class Column:
    """What one column of a table means."""

    meaning: str
    unit: str | UnitOf = ""
    """Empty for words and plain numbers."""
    name: str = ""
    """In the header; that of the field which declares it unless given."""
    absent: object = ""
    """What stands in the rows of a record that has no such column."""
    role: Role = "value"
    label: str = ""
    """The variable's name in an archive, from the record where it has fields in braces; the column's unless given."""


def _as_they_are(records: Sequence[Record]) -> Sequence[Record]:
    return records


class Record:
    """An entry of a result. What it holds cannot be written to."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            object.__setattr__(self, field.name, frozen(getattr(self, field.name)))

    def block(self) -> Block:
        """The rows by column: the declared fields, unless a kind of record has rows of another shape."""
        return {column.name: getattr(self, column.name) for column in columns_of(type(self))}


R = TypeVar("R", bound=Record)


def of_kind(kind: type[R], records: Sequence[Record]) -> list[R]:
    """The records of one kind, which those of one table all are."""
    return [record for record in records if isinstance(record, kind)]


def columns_of(kind: type[Record]) -> tuple[Column, ...]:
    """The columns that the fields of a kind of record declare, in their order."""
    columns = []
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        for note in getattr(hint, "__metadata__", ()):
            if isinstance(note, Column):
                columns.append(dataclasses.replace(note, name=note.name or name))
    return tuple(columns)


@dataclass(frozen=True)
class Further:
    """Columns that depend on the records, in their place among the others."""

    name: str
    """How the manual writes them, such as <background>."""
    meaning: str
    columns: Callable[[Sequence[Record]], tuple[Column, ...]]
    unit: str = ""


@dataclass(frozen=True)
class Archive:
    """How an archive names the tables that it makes of a group of rows; fields of the record stand in braces."""

    name: str
    """Such as ``Profile of {coupling}, {detector}``."""
    description: str
    observable: str
    """What is measured, in a word."""
    records: Callable[[Sequence[Record]], Sequence[Record]] = _as_they_are
    """The records that are archived."""


@dataclass(frozen=True)
class Table:
    """One table of a result: a kind of record, in words."""

    name: str
    """Of the file, without its ending, and of the result's field that holds the records."""
    title: str
    meaning: str
    """What a row is."""
    described: tuple[Column | Further, ...]
    """The columns in their order: a contract with those who read the files."""
    archive: Archive | None = None
    """How an archive's tables name a group of its rows; None for one that is not archived."""
    on_page: bool = False
    """Whether it is short enough to be shown in reports row by row."""

    @property
    def file(self) -> str:
        """The name of the CSV file."""
        return f"{self.name}.csv"

    def columns(self, records: Sequence[Record] = ()) -> tuple[Column, ...]:
        """The columns of a table of these records; those that are always there, of none."""
        groups = ((each,) if isinstance(each, Column) else each.columns(records) for each in self.described)
        return tuple(column for group in groups for column in group)

    def blocks(self, records: Sequence[Record], study: str = "") -> Iterator[dict[str, object]]:
        """The rows of every record by column; `study` is the study's name.

        Raises `ResultError` for a record with a column that the table does not have.
        """
        columns = self.columns(records)
        names = {column.name for column in columns}
        for record in records:
            block = record.block()
            if unknown := [name for name in block if name not in names]:
                raise ResultError(f"{self.file} has no column '{unknown[0]}'; its columns: {', '.join(names)}")
            block = {"study": study, **block}
            yield {column.name: block.get(column.name, column.absent) for column in columns}

    def rows(self, records: Sequence[Record], study: str = "") -> Iterator[tuple[object, ...]]:
        """The rows of all records, as plain numbers and words."""
        for block in self.blocks(records, study):
            yield from block_rows(block)


def block_rows(block: Block) -> Iterator[tuple[object, ...]]:
    """The rows of a block; one where nothing runs along them.

    >>> list(block_rows({"name": "a", "value": np.array([1.0, 2.0])}))
    [('a', 1.0), ('a', 2.0)]
    """
    along = {name: values for name, value in block.items() if (values := _along(value)) is not None}
    number = len(next(iter(along.values()))) if along else 1
    yield from zip(*(along.get(name, [value] * number) for name, value in block.items()), strict=True)


def _along(value: object) -> Sequence[object] | None:
    if isinstance(value, np.ndarray):
        values: list[object] = value.tolist()
        return values
    return value if isinstance(value, tuple | list) else None
