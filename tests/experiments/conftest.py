"""The folder of the real COHERENT data, for the tests that need it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def coherent_data():
    """The folder that NURECOIL_DATA names; tests that ask for it are skipped without the variable."""
    named = os.environ.get("NURECOIL_DATA")
    if not named:
        pytest.skip("NURECOIL_DATA is not set: the tests on the real COHERENT files did not run")
    return Path(named)
