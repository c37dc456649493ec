"""Places in a page that the build fills with Markdown: `<!-- made when the site is built: NAME -->`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

MARK = re.compile(r"<!-- made when the site is built: ([\w-]+) -->")


def filled(text: str, makers: Mapping[str, Callable[[], str]]) -> str:
    """The page with every mark that the makers know replaced by what they make.

    >>> filled("<!-- made when the site is built: x -->", {"x": lambda: "made"})
    'made'
    """

    def made(match: re.Match[str]) -> str:
        maker = makers.get(match[1])
        return match[0] if maker is None else maker()

    return MARK.sub(made, text)
