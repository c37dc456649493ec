"""The tables of a result that people read: limits, fits, counts, published numbers, scans."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from cevnslab.reports.assumptions import assumptions
from cevnslab.reports.grid import Amount, Cell, Grid, grid_text
from cevnslab.reports.improvement import Improvement, improvements
from cevnslab.reports.published import Comparison, compare, published_fits, published_for
from cevnslab.results import TABLES, Column, Limit, Result, Strength, Table
from cevnslab.results.description import UnitOf
from cevnslab.results.text import (
    end_sizes,
    level_text,
    limit_exponent,
    measured_text,
    number_text,
    pieces_text,
)

CONSTANT = ("detector", "channels", "statistic", "coupling", "level", "best fit")
"""Columns that are said once where they are the same in every row."""


def interval(limit: Limit, result: Result | None = None) -> Amount:
    """An interval, all its pieces: [-3.85, 4.87] 1e-9 e."""
    exponent = limit_exponent(limit, None if result is None else result.couplings[limit.coupling])
    pieces = pieces_text(limit, exponent)
    return Amount(pieces, exponent, limit.unit) if pieces else Amount("none")


def value(number: float, limit: Limit, result: Result, digit: float | None = None) -> Amount:
    """A value of a limit's coupling; `digit` is the last one to be shown."""
    exponent = limit_exponent(limit, result.couplings[limit.coupling])
    if digit is None:
        return Amount(number_text(number, exponent), exponent, limit.unit)
    text = f"{number / 10.0**exponent:.{max(0, exponent - round(math.log10(digit)))}f}"
    return Amount(text if float(text) else text.removeprefix("-"), exponent, limit.unit)


def _title(result: Result) -> str:
    name = str(result.study.get("title") or result.name)
    levels = {limit.confidence_level for limit in result.limits}
    return f"{name}: {level_text(levels)}" if len(levels) == 1 else name


def limits_grid(result: Result) -> Grid:
    """Every limit of a result; with Feldman-Cousins, the delta chi^2 interval beside it."""
    simulated = any(limit.delta_chi2_segments is not None for limit in result.limits)
    levels = {limit.confidence_level for limit in result.limits}
    several = len(levels) > 1
    columns = ["detector", "coupling", *["level"] * several, "Feldman-Cousins" if simulated else "interval"]
    columns += [*["delta chi2"] * simulated, "best fit", "channels", "statistic"]
    rows = []
    for limit in result.limits:
        level = [f"{100 * limit.confidence_level:.10g} %"] * several
        row: list[Cell] = [limit.detector, limit.coupling, *level, interval(limit, result)]
        if simulated:
            row.append(interval(limit.by_delta_chi2, result))
        rows.append((*row, _best_fit(limit, result), limit.channels, limit.statistic))
    minimum = [f"Intervals compare with the {limit.minimum} minimum." for limit in result.limits[:1]]
    notes = (*_notes(result), *minimum, *assumptions(result.study))
    grid = Grid(_title(result), tuple(columns), tuple(rows), notes=notes)
    return grid.condensed(*CONSTANT)


def _best_fit(limit: Limit, result: Result) -> Cell:
    """Where chi^2 is lowest, to the last digit that matters: the third of the interval's largest end."""
    info = result.couplings[limit.coupling]
    sizes = end_sizes(limit)
    if info.standard_model is not None and abs(limit.best_fit - info.standard_model) <= 1e-2 * info.scale:
        return "Standard Model"
    return value(limit.best_fit, limit, result, 10.0 ** (math.floor(math.log10(max(sizes))) - 2) if sizes else None)


def _notes(result: Result) -> Iterator[str]:
    """How far simulated critical values can be trusted."""
    if result.critical_values:
        first = result.critical_values[0]
        worst = max(float(c.critical_value_error.max()) for c in result.critical_values)
        between = max(c.interpolation_error for c in result.critical_values)
        yield (
            f"Critical values from {first.toys} toys a point ({first.convention}); their error is {worst:.2f} at most, "
            f"that of the interpolation {between:.2f}."
        )
    if result.critical_maps:
        worst = max(m.largest_error for m in result.critical_maps)
        between = max(m.interpolation_error for m in result.critical_maps)
        yield (
            f"Regions from maps of {result.critical_maps[0].critical_value.size} true values: error of the critical "
            f"values {worst:.2f} at most, of the interpolation {between:.2f}; always the global minimum."
        )


def limit_grid(limit: Limit) -> Grid:
    """One limit, a fact a row."""
    rows: list[tuple[Cell, ...]] = [
        ("interval", interval(limit)),
        ("confidence level", level_text({limit.confidence_level})),
        ("channels", limit.channels),
        ("statistic", limit.statistic),
        ("method", f"{limit.method}, {limit.minimum} minimum"),
    ]
    if limit.delta_chi2_segments is not None:
        rows.insert(1, ("delta chi2", interval(limit.by_delta_chi2)))
    return Grid(f"{limit.coupling} at {limit.detector}", ("", ""), tuple(rows))


def fit_grid(result: Result) -> Grid:
    """The Standard Model fit to every experiment, beside what the collaboration published."""
    published = published_fits(result)
    rows = []
    for parameter in result.fit:
        theirs = published.rows.get((parameter.detector, parameter.parameter))
        theirs_text = "" if theirs is None else measured_text(theirs.value, theirs.error)
        ours = measured_text(parameter.value, parameter.error)
        rows.append((parameter.detector, parameter.parameter, ours, *([theirs_text] if published.rows else [])))
    notes = [
        "Normalisation of CEvNS free, backgrounds constrained, shapes nominal; p_value from 1000 pseudo-experiments.",
    ]
    if published.rows:
        notes.append(f"Published: {published.source}; significances as quoted by later papers.")
    columns = ("detector", "parameter", "ours", *(["published"] if published.rows else []))
    return Grid("Standard Model fit", columns, tuple(rows), frozenset({"ours", "published"}), tuple(notes))


def improvement_grid(rows: Sequence[Improvement], result: Result) -> Grid:
    """Projected limits beside those from COHERENT's data, and what the paper says of them."""
    lines = []
    for row in rows:
        limit = result.limit(row.detector, row.coupling)
        projected, real = (
            interval(limit.with_crossings(segments), result) for segments in (row.projected, row.measured)
        )
        ratio = f"{row.ratio:.1f}"
        lines.append((row.coupling, row.detector, projected, row.reference, real, ratio, row.claim, row.verdict))
    columns = ("coupling", "projected", "interval", "measured", "interval there", "ratio", "the paper", "verdict")
    notes = (
        "Ratio of the largest |end| of the intervals; measured: stored result of the study coherent.",
        "The paper compares with bounds of other authors, partly with all charges free at once (docs/coherent.md).",
    )
    return Grid("Improvement over COHERENT", columns, tuple(lines), frozenset({"ratio"}), notes)


def published_grid(result: Result, entry: Mapping[str, Any], *, alone: bool) -> Grid:
    """Ours beside the published ends; where it stands alone, also what was not published, disjoint intervals whole."""
    compared = compare(result, entry)
    published = [row for row in compared if row.published is not None]
    groups = _by_limit(compared if alone else published)
    rows = [row for group in groups for row in _published_rows(group, result)]
    equal = sum(bool(row.agrees_after_rounding) for row in published)
    worst = max((abs(row.difference or 0.0) for row in published), default=0.0)
    notes = (
        f"Published: {entry['source']}. {equal} of {len(published)} numbers are equal after rounding, "
        f"all within {100 * worst:.1f} %.",
        *(f"- {' '.join(note.split())}" for note in entry["notes"]),
    )
    columns = ("detector", "coupling", "ours", "published", "difference", "unit", "")
    return Grid(_title(result), columns, tuple(rows), frozenset({"ours", "published", "difference"}), notes)


def _by_limit(rows: Sequence[Comparison]) -> list[list[Comparison]]:
    groups: dict[tuple[str, str], list[Comparison]] = {}
    for row in rows:
        groups.setdefault((row.detector, row.coupling), []).append(row)
    return list(groups.values())


def _published_rows(rows: Sequence[Comparison], result: Result) -> Iterator[tuple[Cell, ...]]:
    limit = result.limit(rows[0].detector, rows[0].coupling)
    if len(limit.segments) > 1:  # pieces belong together
        yield (limit.detector, limit.coupling, str(interval(limit, result)), "", "", "", "disjoint")
        return
    exponent = limit_exponent(limit, result.couplings[limit.coupling])
    for row in rows:
        theirs, difference, verdict = "", "", ""
        if row.published is not None and row.difference is not None and row.digit is not None:
            places = max(0, exponent - round(math.log10(row.digit)))
            theirs = f"{row.published / 10.0**exponent:.{places}f}"
            difference = f"{100 * row.difference:+.1f} %"
            verdict = "" if row.agrees_after_rounding else "differs after rounding"
        ours = ("+/-" if limit.segments[0][0] == -limit.segments[0][1] else "") + number_text(row.ours, exponent)
        yield (limit.detector, limit.coupling, ours, theirs, difference, Amount("", exponent, limit.unit), verdict)


def scan_grids(result: Result) -> list[Grid]:
    """A grid per scan: the intervals as its key varies."""
    grids = []
    for name in dict.fromkeys(point.scan for point in result.scans):
        points = [point for point in result.scans if point.scan == name]
        key = points[0].key
        rows = tuple((f"{p.value:g}", p.limit.detector, p.limit.coupling, interval(p.limit, result)) for p in points)
        title = f"{name}: delta chi2 intervals as {key} varies"
        grid = Grid(title, (key, "detector", "coupling", "interval"), rows, frozenset({key}))
        grids.append(grid.condensed("detector", "coupling"))
    return grids


def described_grid(table: Table, result: Result) -> Grid:
    """Any table of a result by its description, a row a row."""
    records = result.held(table)
    columns = [column for column in table.columns(records) if column.name != "study"]
    rows = []
    for block in table.rows(records, result.name):
        named = dict(zip((column.name for column in table.columns(records)), block, strict=True))
        rows.append(tuple(_cell(column, named, result) for column in columns))
    heads = tuple(_head(column) for column in columns)
    numbers = frozenset(
        head for head, number in zip(heads, range(len(heads)), strict=True) if _numeric(row[number] for row in rows)
    )
    grid = Grid(table.title, heads, tuple(rows), numbers)
    return grid.condensed(*heads)


def _head(column: Column) -> str:
    words = column.name.replace("_", " ")
    plain = isinstance(column.unit, UnitOf) or column.unit in ("", "counts")
    return words if plain else f"{words} ({column.unit})"


def _cell(column: Column, row: Mapping[str, object], result: Result) -> Cell:
    """A value as people read it: a number to four digits, in the unit of the coupling that the row names."""
    content = row[column.name]
    if content is None:
        return ""
    if isinstance(content, bool | int | str):
        return str(content)
    number = float(str(content))
    if isinstance(column.unit, UnitOf) and column.unit.coupling:
        info = result.couplings.get(str(row.get(column.unit.coupling)))
        if info is not None and math.isfinite(number):
            exponent = math.floor(math.log10(abs(number))) if number else 0
            exponent = 0 if -3 <= exponent <= 2 else exponent
            return Amount(number_text(number, exponent), exponent, info.unit)
    return _number(number)


def _number(number: float) -> str:
    """Four digits; counts are read without powers of ten."""
    return f"{number:.0f}" if 1e4 <= abs(number) < 1e9 else f"{number:.4g}"


def _numeric(cells: Iterator[Cell]) -> bool:
    def is_number(cell: Cell) -> bool:
        try:
            float(str(cell))
        except ValueError:
            return isinstance(cell, Amount)
        return True

    return all(is_number(cell) for cell in cells if str(cell))


def summary_grid(result: Result) -> Grid:
    """The counts of every detector: flux, signal, background, their ratio, what was seen."""
    columns = ("detector", "flux/cm2/s", "CEvNS", "electron", "background", "S/B", "observed", "strength", "sigma")
    rows = []
    for row in result.summary:
        ratio = (row.cevns + row.electron) / row.background if row.background else None
        numbers = (row.flux_per_cm2_s, row.cevns, row.electron, row.background, ratio, row.observed)
        cells = (*numbers, row.best_fit, row.significance)
        rows.append((row.detector, *("" if cell is None else _number(cell) for cell in cells)))
    title = f"{result.study.get('title') or result.name}: counts"
    grid = Grid(title, columns, tuple(rows), frozenset(columns[1:]))
    # What no detector has is no column.
    return grid.condensed(*columns[1:])


def design_grid(result: Result) -> Grid:
    """The values of keys that meet the study's goals, and how: a crossing, a jump, or none."""
    rows = []
    for answer in result.design:
        value = "none" if answer.value is None else f"{answer.value:.4g}"
        goal = f"{f'{answer.quantity} {answer.coupling}'.rstrip()} = {answer.goal:.4g}"
        rows.append((answer.name, answer.key, value, answer.detector, goal, f"{answer.reached:.4g}", answer.kind))
    notes = ("jump: the goal is passed between two neighbouring values, not met; none: the nearest is shown.",)
    columns = ("goal", "key", "value", "detector", "asked", "reached", "kind")
    return Grid("Design", columns, tuple(rows), frozenset({"value", "reached"}), notes)


def strengths_grid(result: Result) -> Grid:
    """Strength of CEvNS and its significance, for every detector with counts."""
    simulated = any(row.toys is not None for row in result.significances)
    rows = tuple(
        (
            row.detector,
            measured_text(row.strength, row.error),
            f"{row.significance:.2f}",
            f"{row.expected_significance:.2f}",
            _probability_text(row.p_no_cevns),
            *([_share_text(row)] if simulated else []),
            _probability_text(row.p_standard_model),
            f"{row.upper_limit:.3g} at {100 * row.confidence_level:.10g} %",
        )
        for row in result.significances
    )
    columns = ["detector", "strength", "sigma", "expected", "p of no CEvNS", *["by toys"] * simulated]
    columns += ["p of Standard Model", "upper limit"]
    notes = ["Strength 1 is the Standard Model; from the likelihood ratio, with every systematic of the study."]
    if simulated:
        notes.append("p by toys: share of pseudo-experiments without CEvNS whose likelihood ratio is as large.")
    return Grid("Strength of CEvNS", tuple(columns), rows, frozenset(columns[1:]), tuple(notes))


def _probability_text(probability: float) -> str:
    """A p-value; below the smallest number there is, not 0.

    >>> _probability_text(5.61e-15), _probability_text(0.0)
    ('5.6e-15', '< 1e-300')
    """
    return f"{probability:.2g}" if probability > 1e-300 else "< 1e-300"


def _share_text(row: Strength) -> str:
    """A share of pseudo-experiments with its error; one without a pseudo-experiment is an upper bound."""
    if row.toys is None or row.p_no_cevns_toys is None:
        return ""
    if row.p_no_cevns_toys == 0:
        return f"< {1 / row.toys:.2g}"
    return measured_text(row.p_no_cevns_toys, row.p_no_cevns_toys_error)


def bands_grid(result: Result) -> Grid:
    """The ends of every interval beside what pseudo-experiments of the Standard Model expect of them."""
    several = len({band.confidence_level for band in result.bands}) > 1
    columns = ["detector", "coupling", *["level"] * several, "end", "interval", "median", "68 %", "95 %", "disjoint"]
    rows: list[tuple[Cell, ...]] = []
    for band in result.bands:
        limit = result.limit(band.detector, band.coupling, band.confidence_level)
        exponent = limit_exponent(limit, result.couplings[band.coupling])

        def amount(*ends: float, limit: Limit = limit, exponent: int = exponent) -> Amount:
            text = ", ".join(number_text(end, exponent) for end in ends)
            return Amount(f"[{text}]" if len(ends) > 1 else text, exponent, limit.unit)

        level = [f"{100 * band.confidence_level:.10g} %"] * several
        outer = limit.segments[0][0] if band.end == "lower" else limit.segments[-1][1]
        bands = (amount(band.low_68, band.high_68), amount(band.low_95, band.high_95))
        share = f"{100 * band.disjoint_share:.3g} %"
        rows.append((band.detector, band.coupling, *level, band.end, amount(outer), amount(band.median), *bands, share))
    first = result.bands[0]
    notes = (
        f"From {first.toys} pseudo-experiments of the Standard Model a limit, seed {first.seed}.",
        "Ends are the outer ones, whatever lies between; disjoint: share of intervals with several pieces.",
    )
    grid = Grid("Expected limits", tuple(columns), tuple(rows), frozenset({"disjoint"}), notes)
    return grid.condensed("detector", "coupling", "disjoint")


GRIDS: Mapping[str, Callable[[Result], Grid]] = {
    "summary": summary_grid,
    "design": design_grid,
    "significances": strengths_grid,
    "bands": bands_grid,
}
"""Tables that are read in a shape of their own, by name; any other that is short enough goes by its description."""


def read_in_rows(result: Result) -> dict[str, Grid]:
    """By name, every table with rows that is read row by row; limits and fits are apart."""
    tables = [table for table in TABLES.values() if (table.on_page or table.name in GRIDS) and result.held(table)]
    return {
        table.name: GRIDS[table.name](result) if table.name in GRIDS else described_grid(table, result)
        for table in tables
    }


def result_grids(result: Result) -> list[Grid]:
    """What a terminal shows of a result: counts, limits (beside published numbers where there are any), fits."""
    entry = published_for(result)
    others = read_in_rows(result)
    counts = others.pop("summary", None)
    grids = [] if counts is None else [counts]
    if result.limits:
        grids.append(limits_grid(result) if entry is None else published_grid(result, entry, alone=True))
    if result.fit:
        grids.append(fit_grid(result))
    grids += others.values()
    if entry is not None and (better := improvements(result)):
        grids.append(improvement_grid(better, result))
    return grids


def result_text(result: Result, width: int | None = None) -> str:
    """What a terminal shows of a result, and what a reader of the numbers must be told."""
    parts = [grid_text(grid, width) for grid in result_grids(result)]
    remarks = [f"Note: {remark}." for remark in result.remarks]
    if width is not None:
        remarks = ["\n".join(textwrap.wrap(remark, width)) for remark in remarks]
    return "\n\n".join([*parts, *(["\n".join(remarks)] if remarks else [])])


def limits_text(result: Result) -> str:
    """A result as text: its limits; its counts where it has none."""
    return grid_text(limits_grid(result) if result.limits else summary_grid(result))
