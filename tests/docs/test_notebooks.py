"""The notebooks of the documentation: their cells run, in order, in one namespace each.

The site's build runs them in a kernel; here they run in this process, so that the tests need no Jupyter.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "docs" / "notebooks"
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PAGES = sorted(path for path in NOTEBOOKS.glob("*.md") if path.name != "index.md")


def test_there_are_notebooks():
    assert len(PAGES) >= 3


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_notebook(path, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    names = {"__name__": "notebook"}
    cells = CELL.findall(text)
    assert cells
    for number, cell in enumerate(cells, start=1):
        code = "\n".join("" if line.startswith("%") else line for line in cell.splitlines())
        exec(compile(code, f"{path.name}, cell {number}", "exec"), names)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_index_lists_every_notebook(path):
    assert f"\n{path.stem}\n" in (NOTEBOOKS / "index.md").read_text(encoding="utf-8")
