"""The files of a study: tables, JSON and figures, and their way back."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cevnslab.errors import InputFileError
from cevnslab.reports.drawing import Drawing, Helper, figure_files, settings_checked
from cevnslab.reports.storage import prepare, staged
from cevnslab.studies import results
from cevnslab.studies.results import Result

TABLES = {
    "limits.csv": (
        "study,detector,channels,statistic,method,coupling,unit,confidence_level,delta_chi2,segment,lower,upper"
    ),
    "spectra.csv": "detector,bin,bin_low_kev,bin_high_kev,cevns,electron,background",
    "profiles.csv": "detector,channels,coupling,value,delta_chi2",
    "contours.csv": "detector,channels,coupling_x,coupling_y,confidence_level,polygon,point,x,y",
    "cross_sections.csv": "target,channel,energy_mev,coupling,value,recoil_kev,dsigma_dt_cm2_per_kev",
    "critical_values.csv": (
        "detector,channels,coupling,confidence_level,convention,toys,value,critical_value,critical_value_error"
    ),
    "fit.csv": "detector,parameter,value,error",
    "data_spectra.csv": "detector,axis,bin_low,bin_high,observed,cevns,electron,brn,nin,delayed_brn,steady_state",
    "scans.csv": "scan,key,value,detector,channels,statistic,coupling,confidence_level,segment,lower,upper",
}
"""The columns of every table: a contract."""

Row = tuple[object, ...]


def save(result: Result, directory: Path, *, style: str | Path | None = None, drawn_by: Helper | None = None) -> Path:
    """Write all files of a result under `directory`/<name>/ and return that folder; a helper may share the drawing."""
    settings_checked(style)
    folder = prepare(directory, result.name)
    earlier = _drawn_earlier(folder)
    with staged(folder) as staging:
        # The helper draws while the tables are written here.
        drawing = Drawing.begin(result, staging / "figures", style, drawn_by)
        for name, rows in tables(result).items():
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(TABLES[name].split(","))
            writer.writerows(rows)
            (staging / name).write_text(text.getvalue(), encoding="utf-8")
        # Indenting half a megabyte of numbers would take longer than computing them.
        content = {key: value for key, value in to_plain(result).items() if key != "provenance"}
        (staging / "result.json").write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
        provenance = json.dumps(result.provenance, indent=1, allow_nan=False)
        (staging / "provenance.json").write_text(provenance + "\n", encoding="utf-8")
        drawn = drawing.finish()
    for name in earlier - set(drawn):
        (folder / "figures" / name).unlink(missing_ok=True)
    return folder


def _drawn_earlier(folder: Path) -> set[str]:
    """The figure files of the result that stands in a folder: those that a new one does not have must go."""
    try:
        earlier = load_result(folder)
    except InputFileError:
        return set()
    return figure_files(earlier)


def tables(result: Result) -> dict[str, Iterable[Row]]:
    """The rows of every table."""
    return {
        "limits.csv": _limit_rows(result),
        "spectra.csv": (
            (s.detector, number, *map(float, row))
            for s in result.spectra
            for number, row in enumerate(
                zip(s.bin_edges_kev[:-1], s.bin_edges_kev[1:], s.cevns, s.electron, s.background, strict=True)
            )
        ),
        "profiles.csv": (
            (p.detector, p.channels, p.coupling, value, delta_chi2)
            for p in result.profiles
            for value, delta_chi2 in zip(p.value.tolist(), p.delta_chi2.tolist(), strict=True)
        ),
        "contours.csv": (
            (c.detector, c.channels, c.coupling_x, c.coupling_y, c.confidence_level, polygon, point, x, y)
            for c in result.contours
            for polygon, points in enumerate(c.polygons, start=1)
            for point, (x, y) in enumerate(points.tolist(), start=1)
        ),
        "cross_sections.csv": (
            (c.target, c.channel, c.energy_mev, c.coupling, c.value, recoil, cross_section)
            for c in result.cross_sections
            for recoil, cross_section in zip(c.recoil_kev.tolist(), c.dsigma_dt_cm2_per_kev.tolist(), strict=True)
        ),
        "critical_values.csv": (
            (c.detector, c.channels, c.coupling, c.confidence_level, c.convention, c.toys, *row)
            for c in result.critical_values
            for row in zip(c.value.tolist(), c.critical_value.tolist(), c.critical_value_error.tolist(), strict=True)
        ),
        "fit.csv": ((p.detector, p.parameter, p.value, "" if p.error is None else p.error) for p in result.fit),
        "data_spectra.csv": _data_rows(result),
        "scans.csv": (
            (
                *(point.scan, point.key, point.value, point.limit.detector, point.limit.channels),
                *(point.limit.statistic, point.limit.coupling, point.limit.confidence_level, segment, low, high),
            )
            for point in result.scans
            for segment, (low, high) in enumerate(point.limit.segments, start=1)
        ),
    }


def _data_rows(result: Result) -> Iterator[Row]:
    """One column per component; a component that a detector does not have is 0 there."""
    columns = TABLES["data_spectra.csv"].split(",")[5:]
    for s in result.data_spectra:
        counts = [s.components.get(name, np.zeros(len(s.observed))) for name in columns]
        for row in zip(s.edges[:-1], s.edges[1:], s.observed, *counts, strict=True):
            yield (s.detector, s.axis, *map(float, row))


def _limit_rows(result: Result) -> Iterator[Row]:
    for limit in result.limits:
        common = (
            *(result.name, limit.detector, limit.channels, limit.statistic, limit.method),
            *(limit.coupling, limit.unit, limit.confidence_level),
            "" if limit.delta_chi2 is None else limit.delta_chi2,
        )
        for segment, (low, high) in enumerate(limit.segments, start=1):
            yield (*common, segment, low, high)


def to_plain(result: Result) -> dict[str, Any]:
    """A result as JSON holds it; infinite ends of intervals are the words inf and -inf."""

    def plain(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.tolist()
        if isinstance(value, float) and not np.isfinite(value):
            return str(value)
        if isinstance(value, Mapping):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return [plain(item) for item in value]
        if dataclasses.is_dataclass(value):
            return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return value

    content = plain(result)
    assert isinstance(content, dict)
    return content


def load_result(folder: str | Path) -> Result:
    """Read back what `save` wrote; `InputFileError` where the folder holds no result."""
    path = Path(folder) / "result.json"
    content = _read_json(path)
    if "limits" not in content:
        raise InputFileError(f"{path} is no result of cevnslab")
    provenance = _read_json(path.with_name("provenance.json"))
    try:
        return _from_plain({**content, "provenance": provenance})
    except (KeyError, TypeError, ValueError) as fault:
        raise InputFileError(
            f"{path} is no result of this version of cevnslab ({type(fault).__name__}: {fault})"
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise InputFileError(f"cannot read the results {path}: {fault.strerror or fault}") from None
    except ValueError:
        raise InputFileError(f"{path} is no result of cevnslab: it is not JSON") from None
    return content if isinstance(content, dict) else {}


def _limit(row: Mapping[str, Any]) -> results.Limit:
    def segments(rows: list[list[Any]] | None) -> tuple[tuple[float, float], ...] | None:
        return None if rows is None else tuple((float(low), float(high)) for low, high in rows)

    both = {key: segments(row[key]) for key in ("segments", "delta_chi2_segments")}
    return results.Limit(**{**row, **both})


def _from_plain(content: Mapping[str, Any]) -> Result:
    def arrays(row: Mapping[str, Any]) -> dict[str, Any]:
        return {key: np.array(value) if isinstance(value, list) else value for key, value in row.items()}

    return Result(
        name=content["name"],
        study=content["study"],
        couplings={name: results.CouplingInfo(**row) for name, row in content["couplings"].items()},
        detectors={name: results.DetectorInfo(**row) for name, row in content["detectors"].items()},
        limits=tuple(_limit(row) for row in content["limits"]),
        spectra=tuple(results.Spectrum(**arrays(row)) for row in content["spectra"]),
        profiles=tuple(results.Profile(**arrays(row)) for row in content["profiles"]),
        contours=_contours(content["contours"]),
        cross_sections=tuple(results.CrossSectionCurve(**arrays(row)) for row in content["cross_sections"]),
        critical_maps=tuple(results.CriticalMap(**arrays(row)) for row in content["critical_maps"]),
        critical_values=tuple(results.CriticalValues(**arrays(row)) for row in content["critical_values"]),
        scans=tuple(results.ScanPoint(**{**row, "limit": _limit(row["limit"])}) for row in content["scans"]),
        fit=tuple(results.FitParameter(**row) for row in content["fit"]),
        data_spectra=tuple(
            results.DataSpectrum(**{**arrays(row), "components": arrays(row["components"])})
            for row in content["data_spectra"]
        ),
        references=_contours(content["references"]),
        reference_labels=content["reference_labels"],
        provenance=content["provenance"],
    )


def _contours(rows: Iterable[Mapping[str, Any]]) -> tuple[results.ContourLines, ...]:
    return tuple(
        results.ContourLines(**{**row, "polygons": tuple(np.array(p) for p in row["polygons"])}) for row in rows
    )


def redraw(folder: Path, style: str | Path | None = None, by: Helper | None = None) -> list[Path]:
    """Redraw the figures of saved results, computing nothing; returns the files."""
    from cevnslab.reports.coverage import draw_coverage_into, load_coverage

    settings_checked(style)
    covered = load_coverage(folder)
    result = None if covered is not None and not (folder / "result.json").exists() else load_result(folder)
    prepare(folder.parent, folder.name)
    names: list[str] = []
    with staged(folder) as staging:
        (staging / "figures").mkdir()
        if result is not None:
            names += Drawing.begin(result, staging / "figures", style, by).finish()
        if covered is not None:
            names += draw_coverage_into(covered, staging / "figures", style)
    return [folder / "figures" / name for name in names]
