"""The page of sources is what the package gives now, and published rates are near."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parents[2] / "docs"
ENTRIES = yaml.safe_load((DOCS / "data" / "published-rates.yaml").read_text(encoding="utf-8"))
STORED = json.loads((DOCS / "data" / "sources.json").read_text(encoding="utf-8"))["numbers"]


def test_page_and_package_agree():
    process = subprocess.run(
        [sys.executable, DOCS / "sources_study.py", "--check"], check=False, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("number", range(len(ENTRIES)), ids=lambda n: f"{ENTRIES[n]['study']}-{ENTRIES[n]['detector']}")
def test_published_rates(number):
    entry, stored = ENTRIES[number], STORED["published"][number]
    assert {key: stored[key] for key in entry} == entry
    within = entry["within"]
    low, high = within if isinstance(within, list) else [entry["published"] * (1 + side * within) for side in (-1, 1)]
    assert low <= stored["ours"] <= high
    assert entry["paper"]
    assert entry["what"]


@pytest.mark.parametrize("path", sorted((DOCS / "examples" / "published").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_studies_of_published_rates_run(path, command, tmp_path):
    ran = command("run", path, "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    assert path.stem in {entry["study"] for entry in ENTRIES}


def test_what_the_page_says_of_reactors_and_the_sun():
    reactor = {row["choice"]: row for row in STORED["reactor"]}
    default, today = reactor["huber-mueller (default)"], reactor["mueller, to 8 MeV"]
    assert default["of it above 8 MeV"] == pytest.approx(0.12, abs=0.02)
    assert default["250 to 350 eVee"] > 1.7 * today["250 to 350 eVee"]
    captures = reactor["with 0.6 captures"]
    assert captures["160 to 350 eVee"] == pytest.approx(default["160 to 350 eVee"], rel=1e-12)
    assert captures["electrons, 2 to 8 keV"] / default["electrons, 2 to 8 keV"] == pytest.approx(1.21, abs=0.006)
    sun = {row["choice"]: row for row in STORED["sun"]}
    assert sun["8B, SNO, Winter (default)"]["nuclei above 0.5 keV"] == pytest.approx(307.73, rel=2e-4)
    assert sun["8B with Bahcall's shape"]["nuclei above 0.5 keV"] == pytest.approx(300.76, rel=2e-4)
