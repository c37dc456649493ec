"""Worker processes: the same bytes, deaths that cost a block, faults that arrive, no process left."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_tasks import Deadly, Draws, Slow, Talkative, Wrong, same
from support import PATIENCE_S

from cevnslab.errors import StatisticsError, StudyError, WorkerError
from cevnslab.parallel.backends import backend
from cevnslab.parallel.tasks import in_turn, run_tasks

TASKS = [Draws(1), Draws(2, blocks=1, size=1), Draws(3, blocks=2)]


@pytest.fixture
def mapper():
    with backend(workers=2) as mapper:
        yield mapper
    assert not [thread for thread in threading.enumerate() if "_serve" in thread.name]


def test_none_is_this_process():
    with backend() as mapper:
        assert mapper is in_turn
    with pytest.raises(StudyError, match="workers"), backend(workers=-1):
        pass
    with pytest.raises(StudyError, match="one of them"), backend(workers=1, scheduler="tcp://here:1"):
        pass


def test_two_workers_give_the_same_bytes(mapper):
    assert same(run_tasks(TASKS, mapper=mapper), run_tasks(TASKS))
    # The same processes serve again, and tasks that follow each other are told apart.
    assert same(run_tasks(TASKS[::-1], mapper=mapper), run_tasks(TASKS[::-1]))
    assert run_tasks([], mapper=mapper) == []


def test_what_a_task_prints_does_no_harm(mapper):
    assert same(run_tasks([Talkative(1)], mapper=mapper), run_tasks([Draws(1)]))


def test_a_killed_worker_costs_its_block(mapper, tmp_path):
    once = Deadly(1, witness=str(tmp_path / "killed"))
    assert same(run_tasks([once], mapper=mapper), run_tasks([Draws(1)]))
    assert (tmp_path / "killed").exists()


def test_a_block_that_always_kills_is_said(mapper):
    with pytest.raises(WorkerError, match=r"died 3 times .* SIGKILL") as raised:
        run_tasks([Deadly(1)], mapper=mapper)
    assert raised.value.exit_status == 1


def test_a_fault_of_a_task_arrives(mapper):
    with pytest.raises(StatisticsError, match=r"^these counts are impossible"):
        run_tasks([Wrong(1)], mapper=mapper)
    with pytest.raises(RuntimeError, match="StrangeError: so strange"):
        run_tasks([Wrong(1, ours=False)], mapper=mapper)
    # What another worker was still computing does not come among the blocks of the next tasks.
    for _ in range(5):
        with pytest.raises(StatisticsError):
            run_tasks([Wrong(1, blocks=8)], mapper=mapper)
        assert same(run_tasks(TASKS, mapper=mapper), run_tasks(TASKS))


def test_leaving_ends_the_workers_at_once():
    start = time.monotonic()

    def leaving():
        with backend(workers=2) as mapper:
            blocks = mapper([(Slow(1), 0), (Slow(1), 1)])
            threading.Timer(1.0, signal.raise_signal, [signal.SIGINT]).start()
            next(blocks)

    with pytest.raises(KeyboardInterrupt):
        leaving()
    assert time.monotonic() - start < 20


SCRIPT = """
import os, sys
sys.path.insert(0, {folder!r})
from small_tasks import Slow
from cevnslab.parallel.backends import backend
from cevnslab.parallel.tasks import run_tasks
with backend(workers=2) as mapper:
    print("begun", flush=True)
    run_tasks([Slow(1)], mapper=mapper)
"""


def _children(parent_id):
    rows = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout.split()[2:]
    return [int(pid) for pid, parent in zip(rows[::2], rows[1::2], strict=True) if int(parent) == parent_id]


@pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")
def test_a_killed_run_leaves_no_worker():
    script = SCRIPT.format(folder=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout.readline() == "begun\n"
        deadline = time.monotonic() + PATIENCE_S
        while len(workers := _children(run.pid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(workers) == 2
        run.kill()
    while any(Path(f"/proc/{worker}").exists() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    folder = str(Path(__file__).parent)
    script.write_text(SCRIPT.format(folder=folder).replace("Slow", "Draws"), encoding="utf-8")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert (ran.stdout, ran.stderr) == ("begun\n", "")
