"""The sections of the page, each from the saved result alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cevnslab.reports.assumptions import assumptions
from cevnslab.reports.html.inputs import coupling_table, detector_table, words
from cevnslab.reports.html.markup import Child, Markup, content, element, table

if TYPE_CHECKING:
    from cevnslab.results import Result

Section = tuple[str, str, Child]
"""Heading, name of the link to it, content; without content the section is left out."""


def all_sections(result: Result) -> Iterator[Section]:
    """All sections in order."""
    from cevnslab.reports.tables import limits_html

    yield "What was computed", "computed", _computed(result)
    yield "Limits", "limits", [limits_html(result), _limit_notes(result)] if result.limits else None
    yield "Beside the published numbers", "published", _published(result)
    yield "Standard Model fit", "fit", _fit(result)
    yield "Improvement over COHERENT", "improvement", _improvement(result)
    yield "Figures", "figures", _figures(result)
    yield "Scans", "scans", _scans(result)
    yield "Assumptions", "assumptions", _assumptions(result)
    yield "Constants", "constants", _constants(result)
    yield "Provenance", "provenance", _provenance(result)
    yield "Study file", "study", _study_file(result)
    yield "How to cite", "cite", _citing(result)


def made_by(result: Result) -> Markup:
    """The line under the title."""
    date = str(result.provenance["date"])
    return element(
        "p",
        ["Study ", element("code", result.name), f", computed with cevnslab {result.provenance['cevnslab']} on "],
        [element("time", date.replace("T", " ").replace("+00:00", " UTC"), datetime=date), "."],
        class_="soft",
    )


def _list(items: list[Child]) -> Markup:
    return element("ul", [element("li", item) for item in items])


def _computed(result: Result) -> Child:
    return [_list(list(words(result))), detector_table(result), coupling_table(result)]


def _limit_notes(result: Result) -> Child:
    notes: list[Child] = [f"Intervals compare with the {result.limits[0].minimum} minimum; every piece is given."]
    if result.critical_values:
        first = result.critical_values[0]
        worst = max(float(c.critical_value_error.max()) for c in result.critical_values)
        notes.append(
            f"Feldman-Cousins: critical values from {first.toys} pseudo-experiments a point ({first.convention}); "
            f"their error is {worst:.2f} at most."
        )
    notes += assumptions(result.study)
    return [element("p", note, class_="soft") for note in notes]


def _published(result: Result) -> Child:
    """Ours beside the published values; what has no published counterpart stands among the limits alone."""
    from cevnslab.reports.published import compare, published_for
    from cevnslab.reports.tables import html_value

    entry = published_for(result)
    if entry is None:
        return None
    rows: list[list[Child]] = []
    differences, equal = [], 0
    for row in compare(result, entry):
        if row.published is None or row.difference is None:
            continue
        limit = result.limit(row.detector, row.coupling)
        sign = "\u00b1" if limit.segments[0][0] == -limit.segments[0][1] else ""
        ours, theirs = html_value(row.ours, limit, result), html_value(row.published, limit, result, row.digit)
        difference = f"{100 * row.difference:+.1f} %".replace("-", "\u2212")
        verdict = "equal after rounding" if row.agrees_after_rounding else "differs after rounding"
        rows.append([row.detector, row.coupling, [sign, ours], [sign, theirs], difference, verdict])
        differences.append(abs(row.difference))
        equal += bool(row.agrees_after_rounding)
    if not rows:
        return None
    summary = (
        f"{equal} of {len(rows)} numbers are equal after rounding, all within {100 * max(differences):.1f} %. "
        "Values without a published counterpart are left out here."
    )
    columns = ["detector", "coupling", "ours", "published", "difference", "verdict"]
    notes = [element("p", " ".join(str(note).split()), class_="soft") for note in entry["notes"]]
    return [element("p", summary), table(f"Published: {entry['source']}", columns, rows, {2, 3, 4}), notes]


def _measured(value: float, error: float | None) -> str:
    """A value with its error, to the error's second digit."""
    if error is None or error == 0:
        return f"{value:.4g}"
    if abs(value) < 1e-3:
        return f"{value:.2g} \u00b1 {error:.2g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def _fit(result: Result) -> Child:
    from cevnslab.reports.published import published_fits

    if not result.fit:
        return None
    published = published_fits(result)
    rows = []
    for parameter in result.fit:
        theirs = published.rows.get((parameter.detector, parameter.parameter))
        shown = "" if theirs is None else _measured(theirs.value, theirs.error)
        rows.append([parameter.detector, parameter.parameter, _measured(parameter.value, parameter.error), shown])
    return [
        table("Fit to the data", ["detector", "parameter", "ours", "published"], rows, {2, 3}),
        element("p", f"Published: {published.source}.", class_="soft") if published.rows else None,
        _list([f"{remark}." for remark in result.remarks]) if result.remarks else None,
    ]


def _improvement(result: Result) -> Child:

    from cevnslab.reports.improvement import improvements
    from cevnslab.reports.published import published_for
    from cevnslab.reports.tables import html_interval

    found = improvements(result) if published_for(result) is not None else []
    if not found:
        return None
    rows: list[list[Child]] = []
    for row in found:
        limit = result.limit(row.detector, row.coupling)
        projected, measured = (
            html_interval(limit.with_crossings(segments), result) for segments in (row.projected, row.measured)
        )
        rows.append(
            [row.coupling, row.detector, projected, row.reference, measured, f"{row.ratio:.1f}", row.claim, row.verdict]
        )
    columns = ["coupling", "projected", "interval", "measured", "interval", "ratio", "the paper", "verdict"]
    return [
        table("Projected limits beside those from COHERENT's data", columns, rows, {5}),
        element(
            "p",
            "Ratio of the largest ends of the intervals; measured: stored result of the study coherent.",
            class_="soft",
        ),
    ]


def _scans(result: Result) -> Child:
    """One table per scan."""
    from cevnslab.reports.tables import html_interval

    made: list[Child] = []
    for name in dict.fromkeys(point.scan for point in result.scans):
        points = [point for point in result.scans if point.scan == name]
        rows: list[list[Child]] = [
            [f"{p.value:g}", p.limit.detector, p.limit.coupling, html_interval(p.limit, result)] for p in points
        ]
        made.append(
            table(
                f"{name}: delta chi\u00b2 intervals as {points[0].key} varies",
                [points[0].key, "detector", "coupling", "interval"],
                rows,
                {0},
            )
        )
    return made or None


def _figures(result: Result) -> Child:
    from cevnslab.reports.html.svg import figures

    made = []
    for drawn in figures(result):
        caption = [element("strong", drawn.name), ". ", "; ".join(words for words, _ in drawn.panels), "."]
        graphics = [graphic for _, graphic in drawn.panels]
        box = element("div", graphics, class_="panels", style=f"--columns: {drawn.columns}")
        made.append(element("figure", box, element("figcaption", caption)))
    return made or None


def _assumptions(result: Result) -> Child:
    """The conventions that the study chose or that hold by default, and those of the provenance."""
    study = result.study
    chosen = {
        "form factor": study.get("form_factor", "helm"),
        "nuclei": study.get("nuclei", "standard-weight"),
        "radiative corrections": "yes" if study.get("radiative_corrections") else "no",
        "couplings minimised over": ", ".join(study.get("profile", [])) or "none: the others are at the Standard Model",
    }
    conventions = {key.replace("_", " "): value for key, value in result.provenance.get("conventions", {}).items()}
    rows = [[key, Markup(content(str(value)))] for key, value in {**chosen, **conventions}.items()]
    return table("Conventions", ["what", "choice"], rows)


def _constants(result: Result) -> Child:
    rows = [[name, f"{value:.12g}"] for name, value in result.provenance["constants"].items()]
    return table("Physical constants; the unit is in the name", ["constant", "value"], rows, {1})


def _provenance(result: Result) -> Child:
    record = result.provenance
    rows = [
        ["cevnslab", record["cevnslab"]],
        ["date", record["date"]],
        ["study, SHA-256", element("code", record["study_sha256"])],
        ["Python", record["python"]],
        ["machine", record["machine"]],
        ["compiled kernels", record["compiled_kernels"] or "no"],
        *([name, version] for name, version in record["libraries"].items()),
    ]
    return table("Where these numbers come from", ["what", "version or value"], rows)


def _study_file(result: Result) -> Child:
    import yaml

    text = yaml.safe_dump(_plain(result.study), sort_keys=False, allow_unicode=True, width=100)
    said = element(
        "p", "With presets filled in: as a file, it gives this result again (", element("code", "cevnslab run"), ")."
    )
    return [said, _code(text, "The study file as YAML")]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _citing(result: Result) -> Child:
    from cevnslab.reports.citations import bibtex

    libraries = ", ".join(result.provenance["libraries"])
    return [
        element("p", "What these results build on: the software, the study's paper, data, and methods."),
        _code(bibtex(result.study, str(result.provenance["cevnslab"])), "References as BibTeX"),
        element("p", f"The numbers and figures were made with the libraries {libraries}.", class_="soft"),
    ]


def _code(text: str, label: str) -> Markup:
    return element("pre", element("code", text), tabindex=0, role="region", aria_label=label)
