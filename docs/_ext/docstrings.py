"""Docstrings as they are written here, for autodoc: plain-text formulas are kept as they stand.

The package's docstrings are prose with `names` in backticks, indented formulas, `Parameters` sections and examples. In
reStructuredText an underscore, star or bar of a formula would be markup; here they are escaped.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
LOOKS_LIKE_A_LIST = re.compile(r"[-+*|#>=~:.]|\d+[.)]|\(?\w[.)] ")


def escaped(text: str) -> str:
    """Prose with its markup characters escaped and names in backticks as literals."""
    made = ""
    for piece in CODE.split(text):
        if CODE.fullmatch(piece):
            # A literal needs a border on both sides.
            made += (r"\ " if made[-1:].isalnum() else "") + f"``{piece.strip('`')}``"
        else:
            border = r"\ " if made.endswith("``") and piece[:1].isalnum() else ""
            made += border + re.sub(r"([\\*_|`])", r"\\\1", piece)
    return made


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    block: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def _prose(block: list[str]) -> list[str]:
    made = escaped(" ".join(line.strip() for line in block))
    return [rf"\ {made}" if LOOKS_LIKE_A_LIST.match(made) else made]


def _items(block: list[str]) -> list[str]:
    """Lines that start with a star are items, what follows belongs to them; text before is a paragraph."""
    before = list(itertools.takewhile(lambda line: not line.startswith("* "), block))
    items: list[list[str]] = []
    for line in block[len(before) :]:
        if line.startswith("* "):
            items.append([line[2:]])
        else:
            items[-1].append(line)
    made = [*_prose(before), ""] if before else []
    for item in items:
        made.append("* " + escaped(" ".join(line.strip() for line in item)))
    return made


def _parameters(block: list[str]) -> list[str]:
    """A numpydoc section as a definition list under its name in bold."""
    made = [f"**{block[0].strip()}**", ""]
    for line in block[2:]:
        name, colon, text = line.partition(" : ")
        if colon and not line.startswith(" "):
            made += [" / ".join(f"``{each.strip()}``" for each in name.split(",")), f"    {escaped(text)}"]
        else:
            made.append(f"    {escaped(line.strip())}")
    return made


def converted(lines: list[str]) -> list[str]:
    """The lines of a docstring as reStructuredText."""
    made: list[str] = []
    for block in _paragraphs(lines):
        if block[0].lstrip().startswith(">>>"):
            made += block
        elif len(block) > 1 and set(block[1].strip()) == {"-"}:
            made += _parameters(block)
        elif block[0].startswith("    "):
            made += ["::", "", *block]
        elif any(line.startswith("* ") for line in block):
            made += _items(block)
        else:
            made += _prose(block)
        made.append("")
    return made


def _process(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    lines[:] = converted(lines)


def _shown(text: str | None) -> str | None:
    """A signature with the names of types that stand in the source."""
    if text is None:
        return None
    text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    return text.replace("ndarray[tuple[Any, ...], dtype[float64]]", "FloatArray")


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    return _shown(signature), _shown(returned)


def setup(app: Sphinx) -> dict[str, bool]:
    """Convert every docstring that autodoc reads."""
    app.connect("autodoc-process-docstring", _process)
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
