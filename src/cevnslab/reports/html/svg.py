"""Figures as vector graphics inside the page: drawn by the package's own code, one graphic per panel.

Panels are graphics of their own so that a narrow screen can put them one under the other. The same result gives the
same bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from cevnslab.reports.html.blocks import Drawing
from cevnslab.results import Result

DECIMALS = 2
"""Of coordinates, in points of 1/72 inch: a hundredth cannot be seen, and shorter numbers halve the size."""

SETTINGS: Mapping[str, Any] = {
    # Letters as outlines: they look the same everywhere, also where the font is missing.
    "svg.fonttype": "path",
    # Names of parts follow from their content, not from chance.
    "svg.hashsalt": "cevnslab",
    # Points closer to the line than a quarter of a pixel are left out.
    "path.simplify_threshold": 0.25,
}


def figures(result: Result) -> Iterator[Drawing]:
    """Every figure of a result."""
    from cevnslab.figures.catalogue import FigureSpec, figure_specs, sheet
    from cevnslab.figures.style import settings, styled
    from cevnslab.progress import track

    with styled({**settings(), **SETTINGS}):
        for number, spec in enumerate(track(figure_specs(result), "drawing figures"), start=1):
            panels = []
            # As in the figure's files, a legend that an earlier panel has is not repeated.
            explained: set[tuple[str, ...]] = set()
            for place, panel in enumerate(spec.panels, start=1):
                figure = sheet(result, FigureSpec(spec.name, (panel,), 1), explained).figure
                text = io.StringIO()
                figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
                words = panel.words(list(result.detectors))
                panels.append((words, inline(text.getvalue(), f"f{number}p{place}-", words)))
            yield Drawing(spec.name, spec.columns, tuple(panels))


def inline(svg: str, prefix: str, label: str) -> Markup:
    """An SVG file as an element of a page, with names that are its own and a label for those who cannot see it."""
    match = re.search(r"<svg[^>]*>(.*)</svg>", svg, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', svg)
    assert match is not None
    assert box is not None
    body = re.sub(r"<metadata>.*?</metadata>", "", match[1], flags=re.DOTALL)
    # A style inside a graphic would hold for the whole page; the page's own style says the same.
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    targets = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{prefix}{m[1]}"' if m[1] in targets else "", body)
    body = re.sub(r'(href="#|url\(#)', lambda m: m[1] + prefix, body)
    body = re.sub(r'(?<= d=")[^"]*', lambda m: _shorter(m[0]), body)
    body = re.sub(r'(?<= [xy]=")[^"]*', lambda m: _shorter(m[0]), body)
    body = re.sub(r"translate\([^)]*\)", lambda m: _shorter(m[0]), body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    head = Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{}" role="img" '
        'aria-label="{}">'
    )
    return head.format(box[1], label) + Markup(body) + Markup("</svg>")


def _shorter(numbers: str) -> str:
    """Numbers with few decimals, and without zeros at their ends.

    >>> _shorter("M 1.23456 -10.50000")
    'M 1.23 -10.5'
    """
    return re.sub(
        r"-?\d+\.\d+",
        lambda m: (
            f"{round(float(m[0]), DECIMALS) + 0.0:g}" if abs(float(m[0])) < 1e4 else f"{float(m[0]):.{DECIMALS}f}"
        ),
        numbers,
    )
