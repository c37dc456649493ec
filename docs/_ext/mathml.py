"""Formulas as MathML, by the converter that comes with docutils: no script, no font, no network, text that is found.

MathJax, Sphinx's default, is loaded from the network or weighs megabytes; images of formulas need a LaTeX
installation. Every current browser shows MathML by itself.
"""

from __future__ import annotations

import html
from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)


def _converted(node: nodes.Element, block: bool) -> str:
    text = node.astext().strip()
    try:
        return str(latex2mathml.tex2mathml(text, as_block=block))
    except Exception as fault:  # the converter raises several kinds; each is a fault of the page
        LOGGER.warning("this formula cannot be shown as MathML (%s): %s", fault, text, location=node)
        return f"<code>{html.escape(text)}</code>"


def _inline(self: Any, node: nodes.math) -> None:
    self.body.append(_converted(node, block=False))
    raise nodes.SkipNode


def _block(self: Any, node: nodes.math_block) -> None:
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(_converted(node, block=True))
    self.body.append("</div>")
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the renderer under the name mathml."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
