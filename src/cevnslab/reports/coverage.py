"""The files of a coverage study: a table that grows command by command, its figure, its provenance."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

from cevnslab.errors import InputFileError, ResultError
from cevnslab.figures.style import settings, styled
from cevnslab.progress import notice
from cevnslab.reports.drawing import drawing_errors, formats
from cevnslab.reports.grid import Grid
from cevnslab.reports.storage import prepare, staged
from cevnslab.results.plain import from_plain
from cevnslab.results.text import level_text
from cevnslab.studies.coverage import Coverage, CoveragePoint

COLUMNS = tuple(field.name for field in dataclasses.fields(CoveragePoint) if field.name != "seed")
"""The columns of `coverage.csv`: a contract."""


FILES = ("coverage.csv", "coverage.json", "figures/coverage.pdf", "figures/coverage.png")
"""What a coverage study writes."""


def save_coverage(coverage: Coverage, directory: Path) -> tuple[Path, int]:
    """Write `coverage.csv`, its JSON and its figure under `directory`/<study>/; the folder, and points dropped.

    Points that the folder holds already, from the same study and version, stay in the table unless they are the
    same points: a study of many couplings is made by one command each. Points of another study are dropped.
    """
    folder = prepare(directory, coverage.name)
    earlier = None
    try:
        earlier = load_coverage(folder)
    except InputFileError as fault:
        notice(f"{fault}; it is replaced")
    earlier_points: tuple[CoveragePoint, ...] = ()
    if earlier is not None and all(
        earlier.provenance.get(key) == coverage.provenance[key] for key in ("study_sha256", "cevnslab")
    ):
        earlier_points = earlier.points
    by_identity = {_identity(point): point for point in (*earlier_points, *coverage.points)}
    points = sorted(by_identity.values(), key=lambda p: (p.detector, p.channels, p.coupling, p.true_value))
    merged = dataclasses.replace(coverage, points=tuple(points))
    with staged(folder) as staging:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(point, column) for column in COLUMNS] for point in merged.points)
        (staging / "coverage.csv").write_text(text.getvalue(), encoding="utf-8")
        (staging / "coverage.json").write_text(
            json.dumps(dataclasses.asdict(merged), indent=1) + "\n", encoding="utf-8"
        )
        (staging / "figures").mkdir()
        draw_coverage_into(merged, staging / "figures")
    return folder, 0 if earlier is None or earlier_points else len(earlier.points)


def draw_coverage_into(coverage: Coverage, folder: Path, style: str | Path | None = None) -> list[str]:
    """Draw the figure of a coverage study into a folder and return the file names."""
    from cevnslab.figures.coverage import coverage_sheet

    rc = settings(style)
    names = [f"coverage.{ending}" for ending in formats(rc)]
    with styled(rc), drawing_errors("coverage"):
        sheet = coverage_sheet(coverage)
        for name in names:
            sheet.save(folder / name)
    return names


def load_coverage(folder: Path) -> Coverage | None:
    """The coverage study that a folder holds, None where there is none; `InputFileError` for a spoilt one."""
    path = folder / "coverage.json"
    if not path.exists():
        return None
    try:
        return from_plain(Coverage, json.loads(path.read_text(encoding="utf-8")))
    except OSError as fault:
        raise InputFileError(f"cannot read the coverage study {path}: {fault.strerror or fault}") from None
    except (ValueError, RecursionError):
        raise InputFileError(f"{path} is no coverage study of cevnslab: it is not JSON") from None
    except ResultError as fault:
        raise InputFileError(f"{path} is no coverage study of this version of cevnslab: {fault}") from None


def _identity(point: CoveragePoint) -> tuple[Any, ...]:
    return (
        *(point.detector, point.channels, point.coupling, point.true_value),
        *(point.confidence_level, point.statistic, point.convention),
    )


def coverage_grid(coverage: Coverage) -> Grid:
    """The points of a coverage study."""
    rows = [
        (
            point.detector,
            point.coupling,
            f"{point.true_value:g}",
            point.statistic,
            f"{100 * point.coverage:.2f} +/- {100 * point.coverage_error:.2f} %",
            f"{point.critical_value:.3f}",
        )
        for point in coverage.points
    ]
    columns = ("detector", "coupling", "true value", "statistic", "coverage", "critical value")
    first = coverage.points[0]
    title = f"{coverage.name}: coverage of the {level_text({first.confidence_level})} interval, {first.toys} toys"
    numbers = frozenset({"true value", "coverage", "critical value"})
    grid = Grid(title, columns, tuple(rows), numbers, (f"Convention: {first.convention}.",))
    return grid.condensed("detector", "coupling", "statistic")
