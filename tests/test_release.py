"""The release check names what there is."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("release_check", ROOT / "release" / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tests_on_the_lowest_versions_exist(check):
    assert [name for name in check.TESTS_ON_LOWEST if not (ROOT / name).exists()] == []


def test_lowest_versions_leave_nothing_open(check):
    pins = check.lowest(["contourpy>=1.2", "scipy >= 1.15 ; python_version < '4'", "pooch>=1.7,<3"])
    assert pins[0] == "contourpy==1.2"
    assert pins[2] == "pooch==1.7"
