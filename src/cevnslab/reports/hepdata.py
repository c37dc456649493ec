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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cevnslab.errors import MissingExtraError, OutputError
from cevnslab.reports.archive import Variable, archive_tables
from cevnslab.reports.citations import citations
from cevnslab.reports.locks import locked
from cevnslab.reports.storage import prepare, writing
from cevnslab.results import Result

FOLDER = "hepdata"
SUBMISSION = "submission.yaml"
LONGEST_NAME = 64
LONGEST_KEYWORD = 128

PHRASES = ["coherent elastic neutrino-nucleus scattering", "CEvNS"]


def _number(value: Any) -> Any:
    """A value as the archive takes it; YAML has no standard word for infinity, so an infinite number is a word."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    number = float(value)
    if math.isfinite(number):
        return int(number) if isinstance(value, int) else number
    return "inf" if number > 0 else "-inf"


def _variable(column: Variable, dependent: bool) -> dict[str, Any]:
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
    variable: dict[str, Any] = {"header": header, "values": values}
    if dependent and column.qualifiers:
        variable["qualifiers"] = [{"name": name, "value": _number(value)} for name, value in column.qualifiers.items()]
    return variable


def _unique(name: str, number: int, names: set[str]) -> str:
    """A name that is short enough and not taken; the number of the table makes one that is."""
    short = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 6]}... {number}"
    if len(short) > LONGEST_NAME or short in names:
        short = f"{name[: LONGEST_NAME - 10]} #{number}"
    names.add(short)
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
    names: set[str] = set()
    for number, table in enumerate(archive_tables(result), start=1):
        slug = re.sub(r"[^a-z0-9]+", "-", table.name.lower()).strip("-")[:60]
        data_file = f"{number:03d}-{slug}.yaml"
        keywords = {"observables": [table.observable], "phrases": PHRASES}
        files[SUBMISSION].append(
            {
                "name": _unique(table.name, number, names),
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
    with writing(folder) as work:
        staging = work.part("submission")
        for name, documents in files.items():
            (staging / name).write_text(_dumped(documents), encoding="utf-8")
        if check:
            check_submission(staging)
        with locked(folder):
            work.commit("submission", last=SUBMISSION, stale=earlier)
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
