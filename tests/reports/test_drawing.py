"""Drawing in other processes: the same files, whoever draws them and whoever dies."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support import PATIENCE_S, STUDY

import cevnslab as cl
from cevnslab.errors import FigureError
from cevnslab.figures.catalogue import FigureSpec
from cevnslab.reports import drawing
from cevnslab.reports.drawing import Drawing, Helper

SCRIPT = """
import sys
sys.argv = ["cevnslab", "run", *sys.argv[1:]]
from cevnslab.cli.entry import main
try:
    main()
finally:
    assert ("matplotlib" in sys.modules) == (len(__import__("os").sched_getaffinity(0)) < 2)
"""


@pytest.fixture(scope="module")
def result():
    return cl.study_from_dict(STUDY).run()


@pytest.fixture(scope="module")
def alone(result, tmp_path_factory):
    """The files as this process draws them."""
    folder = tmp_path_factory.mktemp("alone")
    Drawing.begin(result, folder).finish()
    return contents(folder)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_helper_draws_the_same_files(result, alone, tmp_path, monkeypatch):
    helper = Helper()
    monkeypatch.setattr(drawing, "draw_one", lambda *_: pytest.fail("the helper left something to draw"))
    # The helper was copied before: it still draws.
    names = Drawing.begin(result, tmp_path, by=helper).finish()
    helper.close()
    assert set(names) == set(alone)
    assert contents(tmp_path) == alone


def test_a_helper_that_died_leaves_the_drawing_to_its_parent(result, alone, tmp_path):
    helper = Helper()
    os.kill(helper._process.pid, signal.SIGKILL)
    Drawing.begin(result, tmp_path, by=helper).finish()
    helper.close()
    assert contents(tmp_path) == alone


def test_a_helper_that_is_ended_takes_its_copy_with_it(result, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "draw_one", lambda *_: time.sleep(60))  # copied into the helper
    helper = Helper()
    Drawing.begin(result, tmp_path, by=helper)
    task = Path(f"/proc/{helper._process.pid}/task/{helper._process.pid}/children")
    deadline = time.monotonic() + PATIENCE_S
    while not (copies := task.read_text().split()) and time.monotonic() < deadline:
        time.sleep(0.02)
    helper.close()
    assert copies
    while any(Path(f"/proc/{copy}").exists() for copy in copies) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{copy}").exists() for copy in copies)


def test_what_the_helper_cannot_draw_is_raised_by_its_parent(result, tmp_path):
    helper = Helper()
    plan = Drawing.begin(result, tmp_path, by=None)
    helper.begin(result, [FigureSpec("missing", ("no panel",), 1)], tmp_path, plan.settings)
    with pytest.raises(FigureError, match="the figure missing cannot be drawn"):
        Drawing(result, [FigureSpec("missing", ("no panel",), 1)], tmp_path, plan.settings, helper).finish()
    helper.close()


def test_a_program_that_is_missing_is_no_fault_of_the_place():
    """matplotlib names a LaTeX that is not installed as the cause of an error of its own."""

    def draw():
        try:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "latex")
        except FileNotFoundError as fault:
            raise RuntimeError("Failed to process string with tex because latex could not be found") from fault

    words = r"figure-1 cannot be drawn: .* latex could not be found"
    with pytest.raises(FigureError, match=words), drawing.drawing_errors("figure-1"):
        draw()


@pytest.mark.skipif(sys.platform != "linux", reason="a helper is forked on Linux alone")
def test_a_full_disk_is_said_whatever_is_raised_after_it():
    """matplotlib's PDF writer, closed after the disk was full, raised an AttributeError of its own."""

    def save():
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            raise AttributeError("'Stream' object has no attribute 'pos'")

    with pytest.raises(OSError, match="No space left"), drawing.drawing_errors("figure-1"):
        save()


def test_what_computes_never_imports_matplotlib(write_study, tmp_path):
    """Its imports would be in the way of every short run."""
    subprocess.run([sys.executable, "-c", SCRIPT, str(write_study(STUDY)), "-o", str(tmp_path)], check=True)
    assert list(tmp_path.glob("*/figures/*.pdf"))
