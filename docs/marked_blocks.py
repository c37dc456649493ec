"""Blocks of a page that a script makes: they stand between markers that name the block and the script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path


def with_blocks(page: Path, script: str, blocks: Mapping[str, Callable[[], str]]) -> str:
    """The text of a page with its marked blocks made anew; `SystemExit` where the markers of one are missing.

    Parameters
    ----------
    script
        The file name in the markers, such as ``coverage_study.py``.

    """
    text = page.read_text(encoding="utf-8")
    for name, block in blocks.items():
        section = f"<!-- {name}: by {script} -->\n\n{block()}\n\n<!-- end of {name} -->"
        marked = rf"<!-- {name}: by {re.escape(script)} -->.*?<!-- end of {name} -->"
        text, count = re.subn(marked, lambda _, section=section: section, text, flags=re.DOTALL)
        if count != 1:
            raise SystemExit(f"{page}: the markers of {name} are missing")
    return text
