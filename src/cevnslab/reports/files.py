"""The files of a study: tables, JSON and figures, and their way back."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from cevnslab import arguments
from cevnslab.errors import CevnslabError, InputFileError, ResultError, StudyError, located
from cevnslab.figures.style import settings
from cevnslab.progress import notice
from cevnslab.reports.drawing import Drawing, Helper, figure_files, is_figure_file
from cevnslab.reports.locks import locked
from cevnslab.reports.storage import check_places, prepare, system_errors, writing
from cevnslab.results import TABLES, Result
from cevnslab.results.plain import from_plain, keys_of, to_plain

_LONGEST_REASON = 200
"""Letters of a reason that comes from a file."""


RESULT = "result.json"
_MOST_FOLDERS = 5
"""Folders of results that a message names."""
PROVENANCE = "provenance.json"
FILES = (*(table.file for table in TABLES.values()), RESULT, PROVENANCE, "figures/figure")
"""What a run writes below a study's folder, with one name for all figures."""


def save(result: Result, directory: Path, *, style: str | Path | None = None) -> Path:
    """Write all files of a result under `directory`/<name>/ and return that folder; see `saving`."""
    with saving(result, directory, style=style) as folder:
        return folder


@contextmanager
def saving(
    result: Result, directory: Path, *, style: str | Path | None = None, drawn_by: Helper | None = None
) -> Iterator[Path]:
    """Write all files of a result under `directory`/<name>/; what is done within has that folder with its tables.

    Tables come first: a fault while figures are drawn (`FigureError`) leaves them, and `redraw` draws from them later.
    Files of the result that stood in the folder go before. A helper draws while the tables are written, and while what
    is done within is done; the figures are in the folder at the end.
    """
    rc = settings(style)
    folder = prepare(directory, result.name)
    check_places(folder, FILES)
    with writing(folder) as work:
        # The helper draws while the tables are written here.
        drawing = Drawing.begin(result, work.part("drawn") / "figures", style, drawn_by)
        _write_tables(result, work.part("tables"), figure_files(result, rc))
        with locked(folder):
            work.commit("tables", last=RESULT, stale=_earlier_files(folder))
            # Whatever happens to the figures, the numbers are safe from here on.
            yield folder
            with located(f"the tables are in {folder}, `cevnslab figures` draws from them"), system_errors("figures"):
                drawing.finish()
                work.commit("drawn")


def _write_tables(result: Result, folder: Path, figures: set[str]) -> None:
    """Every file but the figures; provenance holds the checksums of the others and the names of the figures."""
    # Indenting half a megabyte of numbers would take longer than computing them.
    content = {key: value for key, value in keys_of(to_plain(result)).items() if key != "provenance"}
    texts = {**dict(csv_texts(result)), RESULT: json.dumps(content, allow_nan=False) + "\n"}
    for name, text in texts.items():
        (folder / name).write_bytes(text.encode())
    files = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    record = {**result.provenance, "files": files, "figures": sorted(figures)}
    (folder / PROVENANCE).write_bytes(_provenance_text(record))


def _earlier_files(folder: Path) -> set[str]:
    """The files of the result that stands in a folder, as far as it can be read: those of another run must go."""
    names = {*(table.file for table in TABLES.values()), PROVENANCE}
    figures: Any = None
    with suppress(InputFileError):
        figures = _read_json(folder / PROVENANCE).get("figures")
    if figures is None:  # an older version's, or a damaged one
        with suppress(InputFileError):
            figures = figure_files(load_result(folder), settings())
    if isinstance(figures, list | set):
        names |= {f"figures/{name}" for name in figures if isinstance(name, str) and is_figure_file(name)}
    return names


def announce_replacement(folder: Path, sha256: str) -> None:
    """Say that a run will replace the results of another study, should its folder hold some."""
    if not (folder / RESULT).exists():
        return
    record: dict[str, Any] = {}
    with suppress(InputFileError):
        record = _read_json(folder / PROVENANCE)
    if record.get("study_sha256") != sha256:
        origin = ""
        with suppress(ValueError):
            origin = f" of {datetime.date.fromisoformat(str(record.get('date'))[:10])}"
        notice(f"the results{origin} in {folder} are of other keys or files; this run replaces them")


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
    """Read back what `save` wrote.

    Raises `InputFileError` where the folder holds no whole result of this version: its file was changed, cut short, or
    written by something else.
    """
    from cevnslab.studies.schema import StudyFile
    from cevnslab.studies.validation import validated

    folder = arguments.path("folder", folder)
    path = folder / RESULT
    text = _read_text(path)
    content = _parsed(path, text)
    if "limits" not in content:
        raise InputFileError(f"{path} is no result of cevnslab")
    provenance = _read_json(path.with_name(PROVENANCE))
    files, _ = provenance.pop("files", None), provenance.pop("figures", None)
    if isinstance(files, dict) and files.get(RESULT) != hashlib.sha256(text.encode()).hexdigest():
        raise InputFileError(f"{path} is not what was written: its checksum is not that in {PROVENANCE}; run again")
    try:
        with showing(folder):
            result = from_plain(Result, {**content, "provenance": provenance})
            if validated(StudyFile, result.study).name != result.name:
                raise ResultError("its study has another name")
            figure_files(result, settings())
    except (ResultError, StudyError) as fault:
        reason = " ".join(str(fault).split())[:_LONGEST_REASON]
        raise InputFileError(f"{path} is no result of this version of cevnslab: {reason}") from None
    return result


@contextmanager
def showing(folder: Path) -> Iterator[None]:
    """Turn whatever a saved result cannot be shown for into `InputFileError`: its words and numbers may be anyone's."""
    try:
        yield
    except (CevnslabError, OSError, MemoryError):
        raise
    except Exception as fault:
        raise InputFileError(f"{folder / RESULT} cannot be shown: what it holds does not fit together") from fault


def _read_text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise InputFileError(f"{path} is no result of cevnslab: it is no file")
        return path.read_bytes().decode()
    except OSError as fault:
        reason = f"{fault.strerror or fault}{_results_below(path.parent)}"
        raise InputFileError(f"cannot read the results {path}: {reason}") from None
    except ValueError:
        raise InputFileError(f"{path} is no result of cevnslab: it is not UTF-8 text") from None


def _results_below(folder: Path) -> str:
    """Where results are that may be meant, when a folder of several runs is named in the place of one; else empty."""
    try:
        folders = sorted(path.parent for path in folder.glob(f"*/{RESULT}"))
    except OSError:
        return ""
    return f"; results are in {', '.join(map(str, folders[:_MOST_FOLDERS]))}" if folders else ""


def _read_json(path: Path) -> dict[str, Any]:
    return _parsed(path, _read_text(path))


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise InputFileError(f"{path} is no result of cevnslab: it is not JSON") from None
    return content if isinstance(content, dict) else {}


def redraw(
    folder: Path, style: str | Path | None = None, by: Helper | None = None, output: Path | None = None
) -> list[Path]:
    """Redraw the figures of saved results, computing nothing; returns the files.

    They take the place of the figures of the results, or go into the folder `output`.
    """
    from cevnslab.reports.coverage import draw_coverage_into, load_coverage

    settings(style)
    covered = load_coverage(folder)
    result = None if covered is not None and not (folder / RESULT).exists() else load_result(folder)
    target = folder if output is None else output
    prepare(target.parent, target.name)
    with writing(target) as work, showing(folder):
        figures = work.part("drawn")
        if output is None:
            figures = figures / "figures"
            figures.mkdir()
        with located(f"with the style {style}") if style else nullcontext():
            if result is not None:
                Drawing.begin(result, figures, style, by).finish()
            if covered is not None:
                draw_coverage_into(covered, figures, style)
        with locked(target):
            if result is not None and output is None:
                _list_figures(
                    folder / PROVENANCE, work.part("drawn") / PROVENANCE, figure_files(result, settings(style))
                )
            names = work.commit("drawn")
    return [target / name for name in names if name != PROVENANCE]


def _list_figures(present: Path, updated: Path, names: set[str]) -> None:
    """Add figures to the list in provenance: a style may ask for a format that the run did not."""
    record = _read_json(present)
    listed = record.get("figures")
    earlier = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    if not names <= earlier:
        updated.write_bytes(_provenance_text({**record, "figures": sorted(earlier | names)}))


def _provenance_text(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()
