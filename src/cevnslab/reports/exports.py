"""The command `cevnslab export`: what is exported, from where, to which file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.errors import InputFileError, StudyError
from cevnslab.progress import notice
from cevnslab.reports.storage import write_text
from cevnslab.words import excerpt

if TYPE_CHECKING:
    from cevnslab.results import Result
    from cevnslab.studies.study import Study

MARK = "% Written by `cevnslab export`, which replaces this file when it is asked again.\n"
"""First line of a BibTeX file: one without it is somebody's own."""


def export(
    source: str,
    form: str,
    output: Path | None,
    *,
    detectors: Sequence[str] = (),
    at: Sequence[str] = (),
    check: bool = False,
    data: Path | None = None,
) -> str:
    """Export a study's folder of results or a study, and return what to print: the place, or the text itself.

    `form` is ``"hepdata"`` (results only), ``"pyhf"`` or ``"bibtex"``. Raises a `CevnslabError` for options that the
    form does not have, a source that it cannot be made from, or a place that cannot be written.
    """
    if form != "pyhf" and (detectors or at):
        raise StudyError(f"--detector and --at are for the format pyhf, not {form}")
    if form == "bibtex" and check:
        raise StudyError("--check is for the formats hepdata and pyhf; nothing checks bibtex")
    if form == "hepdata":
        from cevnslab.reports.hepdata import FOLDER, export_hepdata

        if not Path(source).is_dir():
            raise InputFileError(f"{source} is no folder of results: hepdata exports what `cevnslab run` has saved")
        with _shown(source):
            return f"{export_hepdata(_result(source), output or Path(source) / FOLDER, check=check)[0].parent}\n"
    with _shown(source):
        text = _bibtex(source, data) if form == "bibtex" else _workspace(source, detectors, at, check, data)
    if output is None or str(output) == "-":
        return text
    if form == "bibtex":
        write_text(output, MARK + text, lambda earlier: earlier.startswith(MARK), "BibTeX file")
    else:
        write_text(output, text, _is_workspace, "pyhf workspace")
    return f"{output}\n"


def _shown(source: str) -> AbstractContextManager[None]:
    """A folder's results may be anyone's: what they cannot be exported for is one message."""
    from cevnslab.reports.files import showing

    return showing(Path(source)) if Path(source).is_dir() else nullcontext()


def _is_workspace(text: str) -> bool:
    from cevnslab.reports.workspaces import STRENGTH

    return text.startswith("{") and '"measurements"' in text and f'"{STRENGTH}"' in text


def _result(folder: str) -> Result:
    from cevnslab.reports.files import load_result

    return load_result(folder)


def _study(source: str, data: Path | None) -> Study:
    """The study itself, or the one that saved results are of."""
    from cevnslab.studies.load import load_study, study_from_dict

    if Path(source).is_dir():
        from cevnslab.results.plain import names_of

        content = _result(source).study
        if plugins := names_of(content.get("plugins") or []):
            # Results may be somebody else's: what they name is not run because they were asked for a table.
            names = ", ".join(excerpt(Path(name).name) for name in plugins)
            raise StudyError(
                f"{source}: its study runs the Python code of {names}, which results are not trusted with; export the "
                "study file"
            )
        return study_from_dict(content, where=source, data=data)
    return load_study(source, data=data, announce=notice)


def _bibtex(source: str, data: Path | None) -> str:
    from cevnslab.reports.citations import bibtex

    if Path(source).is_dir():
        result = _result(source)
        return bibtex(result.study, str(result.provenance["cevnslab"]))
    return bibtex(_study(source, data).as_dict())


def _workspace(source: str, detectors: Sequence[str], at: Sequence[str], check: bool, data: Path | None) -> str:
    from cevnslab.reports.workspaces import check_workspace, export_workspace

    couplings = parse_couplings(at)
    study = _study(source, data)
    names = [setup.name for setup in study.setups] + [combined.name for combined in study.file.combinations]
    if not detectors and len(names) > 1:
        raise StudyError(f"{study.where}: say with --detector which of {', '.join(names)} is meant")
    workspace: dict[str, Any] = export_workspace(study, detectors or names, couplings)
    if check:
        check_workspace(workspace)
    return json.dumps(workspace, indent=1, allow_nan=False) + "\n"


def parse_couplings(texts: Sequence[str]) -> Mapping[str, float]:
    """Couplings and values from texts such as ``q_ee=3e-9``; `StudyError` for anything else.

    >>> parse_couplings(["q_ee=3e-9", "q_mumu=0"])
    {'q_ee': 3e-09, 'q_mumu': 0.0}
    """
    values: dict[str, float] = {}
    for text in texts:
        name, sign, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            sign = ""
        if not name or not sign:
            raise StudyError(f"--at: a coupling and its value are needed (such as q_ee=3e-9), got '{text}'")
        if name in values:
            raise StudyError(f"--at: {name} is given twice")
        values[name] = value
    return values
