"""The page: its sections in order, in the template, in a file."""

from __future__ import annotations

from pathlib import Path

from cevnslab.reports.html.blocks import environment
from cevnslab.reports.html.sections import all_sections
from cevnslab.reports.storage import prepare, staged
from cevnslab.results import Result

FILE = "report.html"


def page(result: Result) -> str:
    """The page of a result as text; the same result gives the same text.

    It computes nothing, but draws the figures anew. No resources from elsewhere, no scripts.
    """
    return (
        environment()
        .get_template("page.html")
        .render(
            title=str(result.study.get("title") or result.name),
            name=result.name,
            version=result.provenance["cevnslab"],
            date=str(result.provenance["date"]),
            sections=[section for section in all_sections(result) if section.blocks],
        )
    )


def write_report(folder: Path) -> Path:
    """Write `report.html` into a study's folder of saved results and return its path.

    Raises `InputFileError` where the folder holds no result, `OutputError` where it cannot be written.
    """
    from cevnslab.reports.files import load_result, showing

    result = load_result(folder)
    prepare(folder.parent, folder.name)
    with showing(folder):
        text = page(result)
    with staged(folder) as staging:
        (staging / FILE).write_text(text, encoding="utf-8")
    return folder / FILE
