"""The tables of a result as an archive holds them: independent and dependent variables, one table per group of rows.

Everything is made from the descriptions in `cevnslab.results`: a table that is described there stands here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from typing import Any

from cevnslab.results import TABLES, Column, Record, Result, Table
from cevnslab.results.description import UnitOf, block_rows
from cevnslab.units import unit

Group = Mapping[str, Any]


@dataclass(frozen=True)
class Variable:
    """A variable of an archive's table: numbers, words, or (low, high) of bins."""

    name: str
    units: str
    values: Sequence[Any]
    errors: Sequence[float | None] = ()
    """Symmetric errors, None where there is none; empty for a variable without."""
    qualifiers: Group = field(default_factory=dict)


@dataclass(frozen=True)
class ArchiveTable:
    """One table of an archive."""

    name: str
    description: str
    observable: str
    independent: tuple[Variable, ...]
    dependent: tuple[Variable, ...]


def archive_tables(result: Result) -> list[ArchiveTable]:
    """All tables of a result, in the order of their descriptions; one without rows is left out."""
    return [entry for table in TABLES.values() for entry in _of_table(table, result)]


@dataclass(frozen=True)
class _Rows:
    """The rows of one record, by column."""

    record: Record
    columns: tuple[Column, ...]
    """Those that the record has."""
    values: Mapping[str, list[Any]]

    @classmethod
    def of(cls, record: Record, columns: Sequence[Column]) -> _Rows:
        block = record.block()
        present = tuple(column for column in columns if column.name in block)
        rows = zip(*block_rows({column.name: block[column.name] for column in present}), strict=True)
        values = dict(zip((column.name for column in present), map(list, rows), strict=False))
        return cls(record, present, values)

    @property
    def group(self) -> tuple[tuple[str, Any], ...]:
        """Name and value of every column that one table shares."""
        return tuple((c.name, self.values[c.name][0]) for c in self.columns if c.role == "group")


def _of_table(table: Table, result: Result) -> Iterator[ArchiveTable]:
    if table.archive is None:
        return
    records = table.archive.records(result.held(table))
    rows = [rows_of for record in records if (rows_of := _Rows.of(record, table.columns(records))).values]
    order = list(dict.fromkeys(rows_of.group for rows_of in rows))
    groups = [list(group) for _, group in groupby(sorted(rows, key=lambda r: order.index(r.group)), lambda r: r.group)]
    names = [_filled(table.archive.name, group[0].record) for group in groups]
    for group, name in zip(groups, names, strict=True):
        alike = [other for other, its_name in zip(groups, names, strict=True) if its_name == name]
        yield _one(group, name + _difference(group[0], [other[0] for other in alike]), table, result)


def _difference(rows: _Rows, alike: Sequence[_Rows]) -> str:
    """What tells a group from others of the same name: the values that are not the same for all."""
    different = [str(value) for name, value in rows.group if len({dict(o.group).get(name) for o in alike}) > 1]
    return f" ({', '.join(different)})" if different else ""


def _filled(text: str, record: Record) -> str:
    """A text with the fields of a record in its braces."""
    values = {each.name: getattr(record, each.name) for each in fields(record)}  # type: ignore[arg-type]
    return text.format(**values)


def _one(group: Sequence[_Rows], name: str, table: Table, result: Result) -> ArchiveTable:
    assert table.archive is not None
    series = next((column for column in group[0].columns if column.role == "series"), None)
    curves = [[rows] for rows in group] if series is not None else [list(group)]
    independent = _independent(curves[0], result)
    dependent = tuple(column for curve in curves for column in _dependent(curve, series, result))
    description = _filled(table.archive.description, group[0].record)
    return ArchiveTable(name, description, table.archive.observable, independent, dependent)


def _joined(rows: Sequence[_Rows], column: Column) -> list[Any]:
    return [value for each in rows for value in each.values[column.name]]


def _independent(rows: Sequence[_Rows], result: Result) -> tuple[Variable, ...]:
    """What runs along the rows: variables and bins first, then numbers that are not always the same."""
    first = rows[0]
    columns = [column for column in first.columns if column.role == "along"]
    variables = [Variable(_label(c, first), _unit(c, first, result), _joined(rows, c)) for c in columns]
    ends = [[column for column in first.columns if column.role == role] for role in ("low", "high")]
    for low, high in zip(*ends, strict=True):
        bins = list(zip(_joined(rows, low), _joined(rows, high), strict=True))
        if all(end is not None for pair in bins for end in pair):
            variables.append(Variable(_label(low, first), _unit(low, first, result), bins))
    for column in (column for column in first.columns if column.role == "number"):
        numbers = _joined(rows, column)
        if len(set(numbers)) > 1:
            variables.append(Variable(_label(column, first), "", numbers))
    return tuple(variables)


def _dependent(rows: Sequence[_Rows], series: Column | None, result: Result) -> Iterator[Variable]:
    first = rows[0]
    qualifiers = {_label(c, first): first.values[c.name][0] for c in first.columns if c.role == "group"}
    if series is not None:
        value = f"{first.values[series.name][0]:g} {_unit(series, first, result)}".strip()
        qualifiers = {**qualifiers, _label(series, first): value}
    for column, following in zip(first.columns, (*first.columns[1:], None), strict=True):
        if column.role == "value":
            errors = _joined(rows, following) if following is not None and following.role == "error" else ()
            unit_text = _unit(column, first, result)
            yield Variable(_label(column, first), unit_text, _joined(rows, column), errors, qualifiers)


def _label(column: Column, rows: _Rows) -> str:
    return _filled(column.label, rows.record) if column.label else column.name.replace("_", " ").capitalize()


def _unit(column: Column, rows: _Rows, result: Result) -> str:
    """The unit of a column in these rows, as an archive writes it."""
    name: object = column.unit
    if isinstance(column.unit, UnitOf):
        owner = column.unit
        named = rows.values.get(owner.coupling, [""])[0]
        info = result.couplings.get(named)
        name = info.unit if info is not None else getattr(rows.record, owner.field, "")
    return "" if name == "counts" else unit(str(name)).archive
