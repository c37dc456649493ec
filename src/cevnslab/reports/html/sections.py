"""The sections of the page, each from the saved result alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cevnslab.reports.grid import Grid
from cevnslab.reports.html.blocks import Block, Bullets, Code, Section, Text
from cevnslab.reports.html.inputs import coupling_grid, detector_grid, words
from cevnslab.reports.html.svg import figures
from cevnslab.reports.improvement import improvements
from cevnslab.reports.published import published_for
from cevnslab.reports.tables import (
    fit_grid,
    improvement_grid,
    limits_grid,
    published_grid,
    read_in_rows,
    scan_grids,
)
from cevnslab.results import TABLES, Result
from cevnslab.results.plain import keys_of, names_of


def all_sections(result: Result) -> Iterator[Section]:
    """All sections in order; one without blocks is left out."""
    channels = {name: info.channels for name, info in result.detectors.items()}
    detectors = detector_grid(result.study, channels)
    blocks: list[Block] = [Bullets(tuple(words(result))), detectors, coupling_grid(result)]
    yield Section("What was computed", "computed", tuple(blocks))
    yield Section("Limits", "limits", (limits_grid(result),) if result.limits else ())
    yield Section("Beside the published numbers", "published", tuple(_published(result)))
    yield Section("Standard Model fit", "fit", tuple(_fit(result)))
    for name, grid in read_in_rows(result).items():
        yield Section(TABLES[name].title, name, (grid,))
    yield Section("Improvement over COHERENT", "improvement", tuple(_improvement(result)))
    yield Section("Figures", "figures", tuple(figures(result)))
    yield Section("Scans", "scans", tuple(scan_grids(result)))
    yield Section("Assumptions", "assumptions", (_assumptions(result),))
    yield Section("Constants", "constants", (_constants(result),))
    yield Section("Provenance", "provenance", (_provenance(result),))
    yield Section("Study file", "study", tuple(_study_file(result)))
    yield Section("How to cite", "cite", tuple(_citing(result)))


def _published(result: Result) -> Iterator[Block]:
    """Ours beside the published values; what has no published counterpart stands among the limits alone."""
    entry = published_for(result)
    if entry is not None and (grid := published_grid(result, entry, alone=False)).rows:
        yield grid


def _fit(result: Result) -> Iterator[Block]:
    if result.fit:
        yield fit_grid(result)
    if result.remarks:
        yield Bullets(tuple(f"{remark}." for remark in result.remarks))


def _improvement(result: Result) -> Iterator[Block]:
    rows = improvements(result) if published_for(result) is not None else []
    if rows:
        yield improvement_grid(rows, result)


def _assumptions(result: Result) -> Grid:
    """The conventions that the study chose or that hold by default, and those of the provenance."""
    study = result.study
    choices = {
        "form factor": study.get("form_factor", "helm"),
        "nuclei": study.get("nuclei", "standard-weight"),
        "radiative corrections": "yes" if study.get("radiative_corrections") else "no",
        "couplings minimised over": ", ".join(names_of(study.get("profile", [])))
        or "none: the others are at the Standard Model",
    }
    conventions = {
        key.replace("_", " "): value for key, value in keys_of(result.provenance.get("conventions", {})).items()
    }
    rows = tuple((key, str(value)) for key, value in {**choices, **conventions}.items())
    return Grid("Conventions", ("what", "choice"), rows)


def _constants(result: Result) -> Grid:
    rows = tuple((name, f"{value:.12g}") for name, value in keys_of(result.provenance["constants"]).items())
    return Grid("Physical constants; the unit is in the name", ("constant", "value"), rows, frozenset({"value"}))


def _provenance(result: Result) -> Grid:
    record = result.provenance
    rows = (
        ("cevnslab", str(record["cevnslab"])),
        ("date", str(record["date"])),
        ("study, SHA-256", str(record["study_sha256"])),
        ("Python", str(record["python"])),
        ("machine", str(record["machine"])),
        *((name, str(version)) for name, version in keys_of(record["libraries"]).items()),
    )
    return Grid("Where these numbers come from", ("what", "version or value"), rows)


def _study_file(result: Result) -> Iterator[Block]:
    import yaml

    text = yaml.safe_dump(_plain(result.study), sort_keys=False, allow_unicode=True, width=100)
    yield Text("With presets filled in: as a file, it gives this result again (cevnslab run).")
    yield Code(text, "The study file as YAML")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _citing(result: Result) -> Iterator[Block]:
    from cevnslab.reports.citations import bibtex

    libraries = ", ".join(keys_of(result.provenance["libraries"]))
    yield Text("What these results build on: the software, the study's paper, data, and methods.")
    yield Code(bibtex(result.study, str(result.provenance["cevnslab"])), "References as BibTeX")
    yield Text(f"The numbers and figures were made with the libraries {libraries}.", soft=True)
