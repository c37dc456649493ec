"""The page: its sections in order, in the template, in a file."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from cevnslab.reports.html import sections
from cevnslab.reports.html.markup import Markup, content, element
from cevnslab.reports.storage import prepare, staged

if TYPE_CHECKING:
    from cevnslab.results import Result

FILE = "report.html"


def _data(name: str) -> str:
    return importlib.resources.files("cevnslab.reports.html").joinpath(name).read_text(encoding="utf-8")


def page(result: Result) -> str:
    """The page of a result as text; the same result gives the same text.

    It computes nothing, but draws the figures anew. No resources from elsewhere, no scripts.
    """
    title = str(result.study.get("title") or result.name)
    parts = [(heading, name, body) for heading, name, body in sections.all_sections(result) if body]
    links = [element("li", element("a", heading, href=f"#{name}")) for heading, name, _ in parts]
    body = [
        element("header", element("h1", title), sections.made_by(result)),
        element("nav", element("ul", links), aria_label="Contents"),
        element(
            "main",
            [
                element("section", element("h2", heading, id=name), inside, aria_labelledby=name)
                for heading, name, inside in parts
            ],
        ),
    ]
    return Template(_data("page.html")).substitute(
        generator=content(f"cevnslab {result.provenance['cevnslab']}"),
        title=content(title),
        style=Markup(_data("style.css")),
        body=content(body),
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
