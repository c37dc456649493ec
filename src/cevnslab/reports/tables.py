"""Results as tables for a terminal."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping
from typing import Any

from cevnslab.reports.assumptions import assumptions
from cevnslab.reports.improvement import Improvement, improvements
from cevnslab.reports.published import compare, published_fits, published_for
from cevnslab.results import Limit, Result, natural_exponent

WIDTH = 240
"""A table is as wide as it needs to be; beyond this it would be cut."""


def _number(value: float, exponent: int) -> str:
    """A value in units of 10^exponent with digits that make sense: three significant ones."""
    scaled = value / 10.0**exponent
    rounded = float(f"{scaled:.2e}")
    decimals = max(0, 2 - math.floor(math.log10(abs(rounded)))) if rounded else 2
    return f"{rounded:.{decimals}f}"


def _exponent(limit: Limit, result: Result) -> int:
    """The natural power of ten, or the limit's own where that is far off."""
    natural = natural_exponent(result.couplings[limit.coupling].scale)
    ends = _sizes(limit)
    if not ends:
        return natural
    own = math.floor(math.log10(max(ends)))
    if natural == 0 and -3 <= own <= 2:
        return 0
    return natural if 0 <= own - natural <= 2 else own


def _sizes(limit: Limit) -> list[float]:
    """The sizes of the ends that the data make, or of all where they make none; no zeros."""
    return [abs(end) for end in limit.crossings if end] or [
        abs(end) for piece in limit.segments for end in piece if end
    ]


def _pieces(limit: Limit, exponent: int) -> str:
    """All pieces of an interval; an end that is no crossing of the data says what it is."""
    if any("unconstrained" in kinds for kinds in limit.kinds):
        low, high = (_number(end, exponent) for end in limit.segments[0])
        return f"unconstrained in [{low}, {high}]"

    def text(end: float, kind: str) -> str:
        return _number(end, exponent) + ("" if kind == "limit" else f" ({kind})")

    return " or ".join(
        f"[{text(piece[0], kinds[0])}, {text(piece[1], kinds[1])}]"
        for piece, kinds in zip(limit.segments, limit.kinds, strict=True)
    )


def interval_text(limit: Limit, result: Result) -> str:
    """An interval as text, all its pieces: [-3.85, 4.87] 1e-9 e."""
    exponent = _exponent(limit, result)
    pieces = _pieces(limit, exponent)
    unit = "" if limit.unit == "1" else f" {limit.unit}"
    power = f" 1e{exponent}" if exponent else ""
    return f"{pieces or 'none'}{power}{unit}"


def rendered(title: str, columns: list[str], rows: list[list[str]], right: set[int], notes: list[str]) -> str:
    """A table as text, with notes under it; `right` are the columns that are aligned there."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    console = Console(file=text, width=WIDTH, force_terminal=False, color_system=None, highlight=False, markup=False)
    console.print(table)
    return "\n".join([text.getvalue().rstrip(), *notes])


def _title(result: Result) -> str:
    name = str(result.study.get("title") or result.name)
    levels = _levels(result)
    return f"{name}: {100 * levels[0]:g} % CL" if len(levels) == 1 else name


def _levels(result: Result) -> list[float]:
    return sorted({limit.confidence_level for limit in result.limits})


def limits_table(result: Result) -> str:
    """Every limit of a result; with Feldman-Cousins, the delta chi^2 interval beside it. Counts where no limit is."""
    if not result.limits:
        return summary_table(result)
    simulated = any(limit.delta_chi2_segments is not None for limit in result.limits)
    several = len(_levels(result)) > 1
    rows = []
    for limit in result.limits:
        row = [limit.detector, limit.channels, limit.statistic, limit.coupling]
        row += [f"{100 * limit.confidence_level:g} %"] * several
        row.append(interval_text(limit, result))
        if limit.delta_chi2_segments is not None:
            row.append(interval_text(limit.by_delta_chi2, result))
        rows.append(row)
    columns = ["detector", "channels", "statistic", "coupling"] + ["level"] * several
    columns.append("Feldman-Cousins" if simulated else "interval")
    notes = []
    if simulated:
        columns.append("delta chi^2")
        first = result.critical_values[0]
        worst = max(float(c.critical_value_error.max()) for c in result.critical_values)
        between = max(c.interpolation_error for c in result.critical_values)
        notes.append(
            f"Critical values from {first.toys} toys a point ({first.convention}); their error is {worst:.2f} at most, "
            f"that of the interpolation {between:.2f}."
        )
    if result.critical_maps:
        worst = max(m.largest_error for m in result.critical_maps)
        between = max(m.interpolation_error for m in result.critical_maps)
        notes.append(
            f"Regions from maps of {result.critical_maps[0].critical_value.size} true values: error of the critical "
            f"values {worst:.2f} at most, of the interpolation {between:.2f}; always the global minimum."
        )
    notes.append(f"Intervals compare with the {result.limits[0].minimum} minimum.")
    notes += assumptions(result.study)
    return rendered(_title(result), columns, rows, set(), notes)


def comparison_table(result: Result) -> str:
    """Ours beside the published numbers where there are any, else every limit; the fits to data, the improvement."""
    entry = published_for(result)
    parts = []
    if result.limits:
        parts.append(limits_table(result) if entry is None else _published_table(result, entry))
    elif result.summary:
        parts.append(summary_table(result))
    if result.design:
        parts.append(design_table(result))
    if result.fit:
        parts.append(fit_table(result))
    if result.significances:
        parts.append(strengths_table(result))
    if result.remarks:
        parts.append("\n".join(f"Note: {remark}." for remark in result.remarks))
    if entry is not None and (better := improvements(result)):
        parts.append(improvement_table(better, result))
    return "\n\n".join(parts)


def _measured_text(value: float, error: float | None) -> str:
    """A value with its error, to the error's second digit."""
    if error is None or error == 0:
        return f"{value:.4g}"
    if error < 1e-4:  # in powers of ten, as couplings are
        exponent = math.floor(math.log10(max(abs(value), error)))
        decimals = max(0, 1 - math.floor(math.log10(error / 10.0**exponent)))
        return f"({value / 10.0**exponent:.{decimals}f} +/- {error / 10.0**exponent:.{decimals}f}) 1e{exponent}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} +/- {error:.{decimals}f}"


def fit_table(result: Result) -> str:
    """The Standard Model fit to every experiment, beside what the collaboration published."""
    published = published_fits(result)
    rows = []
    for parameter in result.fit:
        theirs = published.rows.get((parameter.detector, parameter.parameter))
        shown = "" if theirs is None else _measured_text(theirs.value, theirs.error)
        ours = _measured_text(parameter.value, parameter.error)
        rows.append([parameter.detector, parameter.parameter, ours, shown])
    notes = [
        "Normalisation of CEvNS free, backgrounds constrained, shapes nominal; p_value from 1000 pseudo-experiments.",
    ]
    if published.rows:
        notes.append(f"Published: {published.source}; significances as quoted by later papers.")
    return rendered("Standard Model fit", ["detector", "parameter", "ours", "published"], rows, {2, 3}, notes)


def summary_table(result: Result) -> str:
    """The counts of every detector: flux, signal, background, their ratio, what was seen."""
    rows = []
    for row in result.summary:
        signal = row.cevns + row.electron
        cells = [
            row.flux_per_cm2_s,
            row.cevns,
            row.electron,
            row.background,
            signal / row.background if row.background else None,
            row.observed,
            row.best_fit,
            row.significance,
        ]
        rows.append([row.detector, *("" if cell is None else f"{cell:.4g}" for cell in cells)])
    columns = ["detector", "flux/cm2/s", "CEvNS", "electron", "background", "S/B", "observed", "strength", "sigma"]
    return rendered(f"{result.study.get('title') or result.name}: counts", columns, rows, set(range(1, 9)), [])


def design_table(result: Result) -> str:
    """The values of keys that meet the study's goals, and how: a crossing, a jump, or none."""
    rows = []
    for answer in result.design:
        value = "none" if answer.value is None else f"{answer.value:.4g}"
        goal = f"{answer.quantity} {answer.coupling} = {answer.goal:.4g}"
        rows.append([answer.name, answer.key, value, answer.detector, goal, f"{answer.reached:.4g}", answer.kind])
    notes = ["jump: the goal is passed between two neighbouring values, not met; none: the nearest is shown."]
    columns = ["goal", "key", "value", "detector", "asked", "reached", "kind"]
    return rendered("Design", columns, rows, {2, 5}, notes)


def strengths_table(result: Result) -> str:
    """Strength of CEvNS and its significance, for every detector with counts."""
    rows = []
    for row in result.significances:
        rows.append(
            [
                row.detector,
                _measured_text(row.strength, row.error),
                f"{row.significance:.2f}",
                f"{row.expected_significance:.2f}",
                f"{row.p_no_cevns:.2g}",
                f"{row.p_standard_model:.2g}",
                f"{row.upper_limit:.3g} at {100 * row.confidence_level:g} %",
            ]
        )
    columns = ["detector", "strength", "sigma", "expected", "p of no CEvNS", "p of Standard Model", "upper limit"]
    notes = ["Strength 1 is the Standard Model; from the likelihood ratio, with every systematic of the study."]
    return rendered("Strength of CEvNS", columns, rows, {1, 2, 3, 4, 5, 6}, notes)


def improvement_table(found: list[Improvement], result: Result) -> str:
    """Projected limits beside those from COHERENT's data, and what the paper says of them."""
    rows = []
    for row in found:
        limit = result.limit(row.detector, row.coupling)
        limits = [limit.with_crossings(segments) for segments in (row.projected, row.measured)]
        rows.append(
            [
                row.coupling,
                row.detector,
                interval_text(limits[0], result),
                row.reference,
                interval_text(limits[1], result),
                f"{row.ratio:.1f}",
                row.claim,
                row.verdict,
            ]
        )
    columns = ["coupling", "projected", "", "measured", "", "ratio", "the paper", "verdict"]
    notes = [
        "Ratio of the largest |end| of the intervals; measured: stored result of the study coherent.",
        "The paper compares with bounds of other authors, partly with all charges free at once (docs/coherent.md).",
    ]
    return rendered("Improvement over COHERENT", columns, rows, {5}, notes)


def _published_table(result: Result, entry: Mapping[str, Any]) -> str:
    limits = {(limit.detector, limit.coupling): limit for limit in result.limits}
    rows = []
    compared = compare(result)
    shown: set[tuple[str, str]] = set()
    for row in compared:
        limit = limits[row.detector, row.coupling]
        if len(limit.segments) > 1:  # pieces belong together
            if (row.detector, row.coupling) not in shown:
                shown.add((row.detector, row.coupling))
                rows.append([row.detector, row.coupling, interval_text(limit, result), "", "", "", "disjoint"])
            continue
        exponent = _exponent(limit, result)
        unit = "" if limit.unit == "1" else f" {limit.unit}"
        theirs, difference, verdict = "", "", ""
        if row.published is not None and row.difference is not None and row.digit is not None:
            places = max(0, exponent - round(math.log10(row.digit)))
            theirs = f"{row.published / 10.0**exponent:.{places}f}"
            difference = f"{100 * row.difference:+.1f} %"
            verdict = "" if row.agrees_after_rounding else "differs after rounding"
        ours = ("+/-" if limit.segments[0][0] == -limit.segments[0][1] else "") + _number(row.ours, exponent)
        rows.append([row.detector, row.coupling, ours, theirs, difference, f"1e{exponent}{unit}", verdict])
    known = [row for row in compared if row.published is not None]
    equal = sum(bool(row.agrees_after_rounding) for row in known)
    worst = max(abs(row.difference or 0.0) for row in known)
    notes = [
        f"Published: {entry['source']}. {equal} of {len(known)} numbers are equal after rounding, "
        f"all within {100 * worst:.1f} %.",
        *(f"- {' '.join(note.split())}" for note in entry["notes"]),
    ]
    columns = ["detector", "coupling", "ours", "published", "difference", "unit", ""]
    return rendered(_title(result), columns, rows, {2, 3, 4}, notes)


def html_value(value: float, limit: Limit, result: Result, digit: float | None = None) -> str:
    """A value of a limit's coupling as HTML, with its power of ten and unit; `digit` is the last one to be shown."""
    exponent = _exponent(limit, result)
    if digit is None:
        text = _number(value, exponent)
    else:
        text = f"{value / 10.0**exponent:.{max(0, exponent - round(math.log10(digit)))}f}"
        text = text if float(text) else text.removeprefix("-")
    return _in_units(text, exponent, limit.unit)


def html_interval(limit: Limit, result: Result | None = None) -> str:
    """An interval as HTML, all its pieces; without a result in the power of ten of its own ends."""
    exponent = natural_exponent(max(_sizes(limit), default=1.0)) if result is None else _exponent(limit, result)
    pieces = _pieces(limit, exponent)
    return _in_units(pieces or "none", exponent if pieces else 0, limit.unit if pieces else "1")


def _in_units(text: str, exponent: int, unit: str) -> str:
    from cevnslab.reports.html.markup import content, element

    names = {"mu_B": ["\u03bc", element("sub", "B")], "cm2": ["cm", element("sup", "2")]}
    # A hyphen is no minus, and a line may break after it.
    power = ["\u00a0\u00d7\u00a010", element("sup", str(exponent).replace("-", "\u2212"))] if exponent else []
    shown = [] if unit == "1" else ["\u00a0", names.get(unit, unit)]
    return content([re.sub(r"-(?=\d)", "\u2212", text), power, shown])


def limits_html(result: Result) -> str:
    """Every limit of a result as an HTML table, all pieces, with the digits that make sense."""
    from cevnslab.reports.html.markup import table

    several = len(_levels(result)) > 1
    simulated = any(limit.delta_chi2_segments is not None for limit in result.limits)
    # What a narrow screen has room for comes first.
    columns = ["detector", "coupling"] + ["level"] * several + ["Feldman-Cousins" if simulated else "interval"]
    fitted = any(_away(limit, result) for limit in result.limits)
    columns += ["delta \u03c7\u00b2"] * simulated + ["best fit"] * fitted + ["channels", "statistic"]
    rows = []
    for limit in result.limits:
        row = [limit.detector, limit.coupling]
        row += [f"{100 * limit.confidence_level:g} %"] * several
        row.append(html_interval(limit, result))
        if simulated:
            row.append(html_interval(limit.by_delta_chi2, result))
        if fitted:
            row.append(html_value(limit.best_fit, limit, result, _last_digit(limit)))
        rows.append([*row, limit.channels, limit.statistic])
    return table(_title(result), columns, rows)


def _last_digit(limit: Limit) -> float | None:
    """The digit to which a best fit makes sense: the third of its interval's largest end."""
    ends = _sizes(limit)
    return 10.0 ** (math.floor(math.log10(max(ends))) - 2) if ends else None


def _away(limit: Limit, result: Result) -> bool:
    """Whether the best fit is not the Standard Model: then it is worth a column."""
    info = result.couplings[limit.coupling]
    return abs(limit.best_fit - (info.standard_model or 0.0)) > 1e-2 * info.scale and info.standard_model is not None


def limit_html(limit: Limit) -> str:
    """One limit as an HTML table of two columns."""
    from cevnslab.reports.html.markup import table

    rows = [
        ["interval", html_interval(limit)],
        ["confidence level", f"{100 * limit.confidence_level:g} %"],
        ["channels", limit.channels],
        ["statistic", limit.statistic],
        ["method", f"{limit.method}, {limit.minimum} minimum"],
    ]
    if limit.delta_chi2_segments is not None:
        rows.insert(1, ["delta \u03c7\u00b2", html_interval(limit.by_delta_chi2)])
    return table(f"{limit.coupling} at {limit.detector}", ["", ""], rows)
