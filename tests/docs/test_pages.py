"""The tutorial and the how-to pages: every block is run, in the order of the page, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from blocks import blocks, run_page

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "howto").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_page(page, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CEVNSLAB_DATA", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    run_page(page, command)
    if page.stem == "tutorial":  # it ends with the reader's own detector and its limit
        assert "lab-nai" in (tmp_path / "results" / "lab" / "limits.csv").read_text(encoding="utf-8")


def test_the_tutorial_is_run_as_a_whole():
    languages = [block.language for block in blocks(DOCS / "tutorial.md")]
    assert set(languages) == {"console", "yaml", "pycon"}
