"""HTML that is made of elements, never of text: whatever is not markup already is escaped.

>>> element("td", "1 < 2", class_="number")
'<td class="number">1 &lt; 2</td>'
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

VOID = frozenset({"br", "hr", "img", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child = str | None | Iterable["Child"]
"""What stands in an element: text, markup, nothing, or several of these."""


def content(child: Child) -> Markup:
    """The HTML of text or markup."""
    if child is None:
        return Markup()
    if isinstance(child, Markup):
        return child
    if isinstance(child, str):
        return Markup(html.escape(child, quote=False))
    return Markup("".join(content(part) for part in child))


def element(tag: str, *children: Child, **attributes: str | int | None) -> Markup:
    """One element; attributes of None are left out, `class_` is class, underscores are hyphens."""
    given = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    if tag in VOID:
        return Markup(f"<{tag}{given}>")
    return Markup(f"<{tag}{given}>{content(children)}</{tag}>")


def table(
    caption: Child, columns: Sequence[Child], rows: Iterable[Sequence[Child]], right: Iterable[int] = ()
) -> Markup:
    """A table in a box of its own that scrolls; the first cell of a row is its header, `right` columns are numbers."""
    numbers = set(right)

    def place(column: int) -> str | None:
        return "number" if column in numbers else None

    head = element("tr", [element("th", name, scope="col", class_=place(i)) for i, name in enumerate(columns)])
    body = [
        element(
            "tr",
            element("th", row[0], scope="row", class_=place(0)),
            [element("td", cell, class_=place(i)) for i, cell in enumerate(row[1:], start=1)],
        )
        for row in rows
    ]
    made = element("table", element("caption", caption), element("thead", head), element("tbody", body))
    # The box can be scrolled by keyboard: it takes the focus, and so it needs a name.
    words = html.unescape(re.sub(r"<[^>]*>", "", content(caption)))
    return element("div", made, class_="scroll", role="region", tabindex=0, aria_label=words)


_GREEK = {
    "alpha": "\u03b1",
    "beta": "\u03b2",
    "gamma": "\u03b3",
    "delta": "\u03b4",
    "epsilon": "\u03b5",
    "varepsilon": "\u03b5",
    "lambda": "\u03bb",
    "mu": "\u03bc",
    "nu": "\u03bd",
    "sigma": "\u03c3",
    "tau": "\u03c4",
    "theta": "\u03b8",
}
_UPRIGHT = {"langle": "\u27e8", "rangle": "\u27e9", "sin": "sin", "cos": "cos", ",": " ", " ": " ", "_": "_"}
_TOKEN = re.compile(r"\\(?P<command>[A-Za-z]+|[, _])\s*|(?P<special>[{}^_])|(?P<text>[^\\{}^_]+)")


def symbol(mathtext: str, fallback: str) -> Markup:
    r"""A coupling's symbol as HTML; the fallback for one that has more than letters, sub- and superscripts.

    >>> symbol(r"\varepsilon^{u}_{e\mu}", "eps_emu_u")
    '<i>ε</i><sup><i>u</i></sup><sub><i>e</i><i>μ</i></sub>'
    """
    tokens = list(_TOKEN.finditer(mathtext))
    if "".join(match.group() for match in tokens) != mathtext:
        return content(fallback)
    try:
        made, rest = _row(tokens, upright=False)
    except (KeyError, IndexError):
        return content(fallback)
    return content(fallback) if rest else made


def _row(tokens: Sequence[re.Match[str]], upright: bool) -> tuple[Markup, Sequence[re.Match[str]]]:
    """Tokens up to a closing brace or the end; `KeyError` or `IndexError` for what is not understood."""
    made: list[Markup] = []
    while tokens and tokens[0].group() != "}":
        mark = tokens[0]["special"]
        if mark in ("^", "_"):
            inner, tokens = _group(tokens[1:], upright)
            made.append(element("sup" if mark == "^" else "sub", inner))
        else:
            inner, tokens = _group(tokens, upright)
            made.append(inner)
    return content(made), tokens


def _group(tokens: Sequence[re.Match[str]], upright: bool) -> tuple[Markup, Sequence[re.Match[str]]]:
    """One piece: a braced row, a command, or letters."""
    first, rest = tokens[0], tokens[1:]
    if first["special"] == "{":
        inner, rest = _row(rest, upright)
        return inner, rest[1:]
    if first["command"] in ("mathrm", "text"):
        return _group(rest, True)
    if first["command"] in _UPRIGHT:
        return content(_UPRIGHT[first["command"]]), rest
    text = _GREEK[first["command"]] if first["command"] else first.group()
    return (content(text) if upright or text.isdigit() else element("i", text)), rest
