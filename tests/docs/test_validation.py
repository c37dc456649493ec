"""The validation page is what the package gives now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_page_and_package_agree():
    process = subprocess.run(
        [sys.executable, DOCS / "validation_study.py", "--check"], check=False, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


def test_nothing_between_the_markers_is_missing():
    text = (DOCS / "validation.md").read_text(encoding="utf-8")
    for name in ("published", "accuracy", "coverage"):
        start, end = text.index(f"<!-- {name}: by"), text.index(f"<!-- end of {name} -->")
        assert text[start:end].count("\n| ") > 3
