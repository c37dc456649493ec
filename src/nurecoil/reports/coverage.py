"""The files of a coverage study: a table that grows point by point, its figure, its provenance."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

from nurecoil.figures.style import RC
from nurecoil.reports.storage import prepare, staged
from nurecoil.studies.coverage import Coverage, CoveragePoint

COLUMNS = tuple(field.name for field in dataclasses.fields(CoveragePoint))
"""The columns of `coverage.csv`: a contract."""


def save_coverage(coverage: Coverage, directory: Path) -> Path:
    """Write `coverage.csv`, its JSON and its figure under `directory`/<study>/ and return that folder.

    Points that the folder holds already, from the same study and version, stay in the table unless they are the
    same points: a study of many couplings is made by one command each.
    """
    import matplotlib

    from nurecoil.figures.coverage import draw_coverage

    folder = prepare(directory, coverage.name)
    merged = dataclasses.replace(coverage, points=_with_earlier(coverage, folder / "coverage.json"))
    with staged(folder) as staging:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(dataclasses.astuple(point) for point in merged.points)
        (staging / "coverage.csv").write_text(text.getvalue(), encoding="utf-8")
        content = {
            "points": [dataclasses.asdict(point) for point in merged.points],
            "provenance": merged.provenance,
        }
        (staging / "coverage.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (staging / "figures").mkdir()
        settings: Any = RC
        with matplotlib.rc_context(settings):
            figure = draw_coverage(merged)
            figure.savefig(staging / "figures" / "coverage.pdf", metadata={"CreationDate": None})
            figure.savefig(staging / "figures" / "coverage.png")
    return folder


def _identity(point: CoveragePoint) -> tuple[Any, ...]:
    return (
        *(point.detector, point.channels, point.coupling, point.true_value),
        *(point.confidence_level, point.statistic, point.convention),
    )


def _with_earlier(coverage: Coverage, path: Path) -> tuple[CoveragePoint, ...]:
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        same = all(earlier["provenance"][key] == coverage.provenance[key] for key in ("study_sha256", "nurecoil"))
        points = [CoveragePoint(**row) for row in earlier["points"]] if same else []
    except (OSError, ValueError, KeyError, TypeError):
        points = []  # nothing there, or nothing of ours: the table starts anew
    made = {_identity(point): point for point in (*points, *coverage.points)}
    return tuple(sorted(made.values(), key=lambda p: (p.detector, p.channels, p.coupling, p.true_value)))


def coverage_table(coverage: Coverage) -> str:
    """The points of a coverage study for a terminal."""
    from nurecoil.reports.tables import rendered

    rows = [
        [
            point.detector,
            point.coupling,
            f"{point.true_value:g}",
            point.statistic,
            f"{100 * point.coverage:.2f} +/- {100 * point.coverage_error:.2f} %",
            f"{point.critical_value:.3f}",
        ]
        for point in coverage.points
    ]
    columns = ["detector", "coupling", "true value", "statistic", "coverage", "critical value"]
    first = coverage.points[0]
    title = f"{coverage.name}: coverage of the {100 * first.confidence_level:g} % CL interval, {first.toys} toys"
    return rendered(title, columns, rows, {2, 4, 5}, [f"Convention: {first.convention}."])
