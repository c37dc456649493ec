"""A HEPData submission of a result: `submission.yaml` and one data file per table, ready to be zipped and uploaded.

The format (submission schema 1.1.1) is a few nested lists, which we write ourselves: hepdata_lib would bring ROOT's and
ImageMagick's ways of reading other people's files, none of which is needed here. The archive's own validator checks
what was written in the tests, and on request (extra `hepdata`).
"""

from __future__ import annotations

import importlib
import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.errors import MissingExtraError, OutputError
from cevnslab.reports.citations import citations
from cevnslab.reports.storage import prepare, staged

if TYPE_CHECKING:
    from cevnslab.results import Limit, Result

FOLDER = "hepdata"
SUBMISSION = "submission.yaml"
LONGEST_NAME = 64
LONGEST_KEYWORD = 128

UNITS = {"mu_B": "Bohr magneton", "cm2": "cm**2", "1": ""}
"""Units of couplings as the archive writes them; others are left as they are."""
PHRASES = ["coherent elastic neutrino-nucleus scattering", "CEvNS"]


@dataclass(frozen=True)
class Column:
    """A variable of a table: numbers, words, or (low, high) of bins."""

    name: str
    units: str
    values: Sequence[Any]
    errors: Sequence[float | None] = ()
    """Symmetric errors, None where there is none; empty for a column without."""
    qualifiers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """One table of a submission."""

    name: str
    description: str
    observables: tuple[str, ...]
    independent: tuple[Column, ...]
    dependent: tuple[Column, ...]


def _number(value: Any) -> Any:
    """A value as the archive takes it; YAML has no standard word for infinity, so an infinite number is a word."""
    if isinstance(value, str):
        return value
    number = float(value)
    if math.isfinite(number):
        return int(number) if isinstance(value, int) else number
    return "inf" if number > 0 else "-inf"


def _variable(column: Column, dependent: bool) -> dict[str, Any]:
    header = {"name": column.name} | ({"units": column.units} if column.units else {})
    values: list[dict[str, Any]] = []
    for position, value in enumerate(column.values):
        if isinstance(value, tuple):
            values.append({"low": float(value[0]), "high": float(value[1])})
            continue
        cell: dict[str, Any] = {"value": _number(value)}
        error = column.errors[position] if column.errors else None
        if error:  # the archive refuses an error of zero
            cell["errors"] = [{"symerror": float(error)}]
        values.append(cell)
    made: dict[str, Any] = {"header": header, "values": values}
    if dependent and column.qualifiers:
        made["qualifiers"] = [{"name": name, "value": _number(value)} for name, value in column.qualifiers.items()]
    return made


def _unit(unit: str) -> str:
    return UNITS.get(unit, unit)


def _level(confidence: float) -> str:
    return f"{100 * confidence:g}% CL"


def _limit_tables(result: Result) -> Iterator[Table]:
    """One table per detector and unit, a row per piece of an interval."""
    ordered = sorted(result.limits, key=lambda limit: (list(result.detectors).index(limit.detector), limit.unit))
    for (detector, unit), group in groupby(ordered, key=lambda limit: (limit.detector, limit.unit)):
        limits = list(group)
        several = len({limit.unit for limit in result.limits if limit.detector == detector}) > 1
        suffix = f" ({unit})" if several else ""
        first = limits[0]
        yield _intervals(
            f"Limits, {detector}{suffix}",
            f"{_level(first.confidence_level)} intervals of one coupling at a time ({first.method}, compared with the "
            f"{first.minimum} minimum); the pieces of a disjoint interval are rows.",
            limits,
            _unit(unit),
        )
        if first.delta_chi2_segments is not None:
            yield _intervals(
                f"Limits by delta chi2, {detector}{suffix}",
                f"{_level(first.confidence_level)} intervals from Wilks' values of delta chi2, for comparison.",
                limits,
                _unit(unit),
                wilks=True,
            )


def _intervals(name: str, description: str, limits: Sequence[Limit], unit: str, wilks: bool = False) -> Table:
    rows = [
        (limit.coupling, number, *piece, *kinds)
        for limit in ([limit.by_delta_chi2 for limit in limits] if wilks else limits)
        for number, (piece, kinds) in enumerate(zip(limit.segments, limit.kinds, strict=True), start=1)
    ]
    first = limits[0]
    qualifiers = {
        "Detector": first.detector,
        "Channels": first.channels,
        "Statistic": first.statistic,
        "Method": "delta-chi2" if wilks else first.method,
        "CL": _level(first.confidence_level),
    }
    couplings, pieces, low, high, low_kind, high_kind = (
        (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [], [], [])
    )
    return Table(
        name,
        description,
        ("Limit",),
        (Column("Coupling", "", couplings), Column("Piece", "", pieces)),
        (
            Column("Lower end", unit, low, qualifiers=qualifiers),
            Column("Upper end", unit, high, qualifiers=qualifiers),
            Column("Lower end is a", "", low_kind, qualifiers=qualifiers),
            Column("Upper end is a", "", high_kind, qualifiers=qualifiers),
        ),
    )


def _bins(edges: Any) -> list[tuple[float, float]]:
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _spectrum_tables(result: Result) -> Iterator[Table]:
    for s in result.spectra:
        channels = result.detectors[s.detector].channels.split("+")
        rows = {**{channel: getattr(s, channel) for channel in channels}, "background": s.background}
        yield Table(
            f"Spectrum, {s.detector}",
            "Expected counts in the Standard Model, of the whole exposure, in bins of reconstructed recoil energy.",
            ("N",),
            (Column("Reconstructed recoil energy", "keV", _bins(s.bin_edges_kev)),),
            tuple(
                Column(f"Counts, {name}", "", counts.tolist(), qualifiers={"Detector": s.detector})
                for name, counts in rows.items()
            ),
        )
    for d in result.data_spectra:
        columns = {"observed" if result.observed_data(d.detector) else "expected": d.observed, **d.components}
        yield Table(
            f"Counts, {d.detector}, {d.axis}",
            "Counts of the experiment beside the components of the Standard Model fit, projected on one axis.",
            ("N",),
            (Column(d.axis, "", _bins(d.edges)),),
            tuple(Column(name, "", counts.tolist()) for name, counts in columns.items()),
        )


def _curve_tables(result: Result) -> Iterator[Table]:
    """Profiles, contours and critical values."""
    for p in result.profiles:
        yield Table(
            f"Profile of {p.coupling}, {p.detector}",
            f"Delta chi2 against {p.coupling}.",
            ("Delta chi2",),
            (Column(p.coupling, _unit(result.couplings[p.coupling].unit), p.value.tolist()),),
            (Column("Delta chi2", "", p.delta_chi2.tolist(), qualifiers={"Detector": p.detector}),),
        )
    for c in result.contours:
        x, y = (result.couplings[name].unit for name in (c.coupling_x, c.coupling_y))
        rows = [(number, *point) for number, points in enumerate(c.polygons, start=1) for point in points.tolist()]
        independent = [Column(c.coupling_x, _unit(x), [row[1] for row in rows])]
        if len(c.polygons) > 1:
            independent.append(Column("Polygon", "", [row[0] for row in rows]))
        yield Table(
            f"Contour of {c.coupling_x} and {c.coupling_y}, {c.detector}",
            f"Border of the {_level(c.confidence_level)} region of two couplings, point by point: closed polygons.",
            ("Contour",),
            tuple(independent),
            (
                Column(
                    c.coupling_y,
                    _unit(y),
                    [row[2] for row in rows],
                    qualifiers={"Detector": c.detector, "CL": _level(c.confidence_level)},
                ),
            ),
        )
    for v in result.critical_values:
        yield Table(
            f"Critical values of {v.coupling}, {v.detector}",
            f"Simulated critical values of delta chi2 ({v.convention}; {v.toys} pseudo-experiments per point).",
            ("Critical value",),
            (Column(v.coupling, _unit(result.couplings[v.coupling].unit), v.value.tolist()),),
            (
                Column(
                    "Critical value",
                    "",
                    v.critical_value.tolist(),
                    v.critical_value_error.tolist(),
                    {"Detector": v.detector, "CL": _level(v.confidence_level)},
                ),
            ),
        )


def _scan_tables(result: Result) -> Iterator[Table]:
    """Limits as a key of the study varies."""
    keys = dict.fromkeys((s.scan, s.key, s.limit.detector, s.limit.coupling) for s in result.scans)
    for scan, key, detector, coupling in keys:
        points = [
            (s.value, number, *piece, *kinds)
            for s in result.scans
            if (s.scan, s.limit.detector, s.limit.coupling) == (scan, detector, coupling)
            for number, (piece, kinds) in enumerate(zip(s.limit.segments, s.limit.kinds, strict=True), start=1)
        ]
        unit = _unit(result.couplings[coupling].unit)
        yield Table(
            f"Scan {scan} of {coupling}, {detector}",
            f"Interval of {coupling} as {key} of the study varies.",
            ("Limit",),
            (Column(key, "", [p[0] for p in points]), Column("Piece", "", [p[1] for p in points])),
            (
                Column("Lower end", unit, [p[2] for p in points]),
                Column("Upper end", unit, [p[3] for p in points]),
                Column("Lower end is a", "", [p[4] for p in points]),
                Column("Upper end is a", "", [p[5] for p in points]),
            ),
        )


def _other_tables(result: Result) -> Iterator[Table]:
    """Cross sections, a column per value of the coupling, and the Standard Model fits."""
    for key, group in groupby(result.cross_sections, key=lambda c: (c.target, c.channel, c.energy_mev, c.coupling)):
        curves = list(group)
        target, channel, energy, coupling = key
        unit = result.couplings[coupling].unit
        yield Table(
            f"Cross section, {target}, {channel}, {energy:g} MeV, {coupling}",
            f"d(sigma)/dT of {channel} on one formula unit of {target} for neutrinos of {energy:g} MeV.",
            ("DSIG/DT",),
            (Column("T", "keV", curves[0].recoil_kev.tolist()),),
            tuple(
                Column(
                    "D(SIG)/DT",
                    "cm**2/keV",
                    curve.dsigma_dt_cm2_per_kev.tolist(),
                    qualifiers={coupling: f"{curve.value:g} {_unit(unit)}".strip()},
                )
                for curve in curves
            ),
        )
    for detector, fitted in groupby(result.fit, key=lambda parameter: parameter.detector):
        rows = list(fitted)
        yield Table(
            f"Standard Model fit, {detector}",
            "Parameters of the Standard Model fit to the data.",
            ("Fit",),
            (Column("Parameter", "", [row.parameter for row in rows]),),
            (Column("Value", "", [row.value for row in rows], [row.error for row in rows]),),
        )


def hepdata_tables(result: Result) -> list[Table]:
    """All tables of a result; one without rows is left out."""
    makers = (_limit_tables, _spectrum_tables, _curve_tables, _scan_tables, _other_tables)
    return [table for make in makers for table in make(result) if table.independent[0].values]


def _unique(name: str, number: int, taken: set[str]) -> str:
    """A name that is short enough and not taken; the number of the table makes one that is."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 6]}... {number}"
    if len(short) > LONGEST_NAME or short in taken:
        short = f"{name[: LONGEST_NAME - 10]} #{number}"
    taken.add(short)
    return short


def _documents(result: Result) -> dict[str, list[Any]]:
    """The YAML documents of every file."""
    cited = list(citations(result.study, str(result.provenance["cevnslab"])))
    papers = [f"arXiv:{entry.fields['eprint']}" for entry in cited if "eprint" in entry.fields]
    comment = (
        f"{result.study.get('title') or result.name}. Computed with cevnslab {result.provenance['cevnslab']}; "
        f"study {result.name}, sha256 {result.provenance['study_sha256']}."
        + (f" Based on {', '.join(papers)}." if papers else "")
    )
    files: dict[str, list[Any]] = {SUBMISSION: [{"comment": comment}]}
    taken: set[str] = set()
    for number, table in enumerate(hepdata_tables(result), start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", table.name.lower()).strip("-")[:60]
        data_file = f"{number:03d}-{slug}.yaml"
        keywords = {"observables": table.observables, "phrases": PHRASES}
        files[SUBMISSION].append(
            {
                "name": _unique(table.name, number, taken),
                "description": table.description,
                "keywords": [
                    {"name": name, "values": [value[:LONGEST_KEYWORD] for value in values]}
                    for name, values in keywords.items()
                ],
                "data_file": data_file,
            }
        )
        files[data_file] = [
            {
                "independent_variables": [_variable(column, False) for column in table.independent],
                "dependent_variables": [_variable(column, True) for column in table.dependent],
            }
        ]
    return files


def _dumped(documents: Sequence[Any]) -> str:
    import yaml

    dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text = io.StringIO()
    yaml.dump_all(documents, text, Dumper=dumper, sort_keys=False, allow_unicode=True, width=120)
    return text.getvalue()


def export_hepdata(result: Result, folder: Path, *, check: bool = False) -> list[Path]:
    """Write the submission of a result into a folder and return its files, `submission.yaml` first.

    Tables that an earlier submission in the folder has, and this one has not, are removed. With `check` nothing is
    written unless the archive's validator accepts it. Raises `OutputError` for a folder that cannot be written or a
    submission that is refused, `MissingExtraError` for a check without the extra `hepdata`.
    """
    prepare(folder.parent, folder.name)
    earlier = _earlier_files(folder)
    files = _documents(result)
    with staged(folder) as staging:
        for name, documents in files.items():
            (staging / name).write_text(_dumped(documents), encoding="utf-8")
        if check:
            check_submission(staging)
    for name in earlier - set(files):
        (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


def _earlier_files(folder: Path) -> set[str]:
    """The data files that a submission in a folder lists and that bear names of ours."""
    try:
        text = (folder / SUBMISSION).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    return set(re.findall(r"^data_file: (\d{3}-[a-z0-9-]+\.yaml)$", text, flags=re.MULTILINE))


def check_submission(folder: Path) -> None:
    """Let the archive's validator read a submission.

    Raises `MissingExtraError` without it, `OutputError` with its first complaints.
    """
    try:
        validation = importlib.import_module("hepdata_validator.full_submission_validator")
    except ImportError:
        raise MissingExtraError(
            "checking a submission needs the library hepdata-validator: pip install 'cevnslab[hepdata]'"
        ) from None
    validator = validation.FullSubmissionValidator(autoload_remote_schemas=False)
    if not validator.validate(directory=str(folder)):
        complaints = [text.message for texts in validator.get_messages().values() for text in texts]
        raise OutputError(f"the validator of HEPData refuses the submission: {'; '.join(complaints[:2])}")
