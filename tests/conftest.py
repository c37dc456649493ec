"""Fixtures shared by all tests."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from hypothesis import settings

import cevnslab as cl
from cevnslab.cli import main

settings.register_profile("cevnslab", max_examples=12, deadline=None, derandomize=True)
settings.load_profile("cevnslab")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    # Begun in the background (nohup, some CI): the command would ignore Ctrl-C as it should, and its tests would fail.
    signal.signal(signal.SIGINT, signal.default_int_handler)


if not os.access(os.path.expanduser("~"), os.W_OK):
    # Matplotlib's advice on a home that cannot be written to would stand among what commands say.
    folder = tempfile.TemporaryDirectory(prefix="cevnslab-matplotlib-")
    atexit.register(folder.cleanup)
    os.environ.setdefault("MPLCONFIGDIR", folder.name)


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(scope="session")
def paper():
    """The result of the built-in study."""
    return cl.load_study("parada2024").run()


@pytest.fixture(scope="session")
def coherent_data():
    """The folder that CEVNSLAB_DATA names; tests that ask for it are skipped without the variable."""
    named = os.environ.get("CEVNSLAB_DATA")
    if not named:
        pytest.skip("CEVNSLAB_DATA is not set: the tests on the real COHERENT files did not run")
    return Path(named)


@pytest.fixture(scope="session")
def saved_paper(paper, tmp_path_factory):
    """The folder of the built-in study's files; read only."""
    return paper.save(tmp_path_factory.mktemp("paper"))


@pytest.fixture
def command(monkeypatch, capfd):
    """Run `cevnslab` with arguments, as the console script does."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["cevnslab", *map(str, arguments)])
        capfd.readouterr()
        try:
            main()
            status = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        captured = capfd.readouterr()
        return Ran(status, captured.out, captured.err)

    return run


@pytest.fixture
def write_study(tmp_path):
    """Write keys (or raw text) to a study file and return its path."""

    def write(content, name="study.yaml"):
        path = tmp_path / name
        text = content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write
