"""The files of a study: tables, JSON and figures, and their way back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cevnslab.errors import InputFileError
from cevnslab.reports.drawing import Drawing, Helper, figure_files, settings_checked
from cevnslab.reports.storage import prepare, staged
from cevnslab.results import TABLES, Result
from cevnslab.results.plain import from_plain, to_plain


def save(result: Result, directory: Path, *, style: str | Path | None = None, drawn_by: Helper | None = None) -> Path:
    """Write all files of a result under `directory`/<name>/ and return that folder; a helper may share the drawing."""
    settings_checked(style)
    folder = prepare(directory, result.name)
    earlier = _drawn_earlier(folder)
    with staged(folder) as staging:
        # The helper draws while the tables are written here.
        drawing = Drawing.begin(result, staging / "figures", style, drawn_by)
        written = set()
        for name, text in csv_texts(result):
            (staging / name).write_text(text, encoding="utf-8")
            written.add(name)
        # Indenting half a megabyte of numbers would take longer than computing them.
        content = {key: value for key, value in to_plain(result).items() if key != "provenance"}
        (staging / "result.json").write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")
        provenance = json.dumps(result.provenance, indent=1, allow_nan=False)
        (staging / "provenance.json").write_text(provenance + "\n", encoding="utf-8")
        drawn = drawing.finish()
    for name in earlier - set(drawn):
        (folder / "figures" / name).unlink(missing_ok=True)
    for name in {table.file for table in TABLES.values()} - written:
        (folder / name).unlink(missing_ok=True)
    return folder


def _drawn_earlier(folder: Path) -> set[str]:
    """The figure files of the result that stands in a folder: those that a new one does not have must go."""
    try:
        earlier = load_result(folder)
    except InputFileError:
        return set()
    return figure_files(earlier)


def csv_texts(result: Result) -> Iterator[tuple[str, str]]:
    """Every table that has rows: the name of its file, and what stands in it."""
    for table in TABLES.values():
        records = result.held(table)
        if not records:
            continue
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(column.name for column in table.columns(records))
        writer.writerows(table.rows(records, result.name))
        yield table.file, text.getvalue()


def load_result(folder: str | Path) -> Result:
    """Read back what `save` wrote; `InputFileError` where the folder holds no result."""
    path = Path(folder) / "result.json"
    content = _read_json(path)
    if "limits" not in content:
        raise InputFileError(f"{path} is no result of cevnslab")
    provenance = _read_json(path.with_name("provenance.json"))
    try:
        return from_plain(Result, {**content, "provenance": provenance})
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
