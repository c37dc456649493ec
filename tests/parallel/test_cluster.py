"""A Dask scheduler: the same bytes, and one message with status 1 where it is not there, has no worker, or goes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_tasks import Draws, Slow, Wrong, same
from support import PATIENCE_S

from cevnslab.errors import ClusterError, MissingExtraError, StatisticsError
from cevnslab.parallel import cluster
from cevnslab.parallel.backends import backend, check_backend
from cevnslab.parallel.tasks import run_tasks


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Limits that a test can wait for; on a busy machine a scheduler that is there takes its time."""
    monkeypatch.setattr(cluster, "SCHEDULER_TIMEOUT_S", 60)
    monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 2)
    monkeypatch.setattr(cluster, "LOOK_AROUND_S", 0.3)


@contextmanager
def dask(*arguments):
    """A process of Dask's command, which finds the tasks of these tests."""
    here = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": here},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler without workers: its process and its address."""
    file = tmp_path / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", file]
    with dask("scheduler", *options) as process:
        deadline = time.monotonic() + PATIENCE_S
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        yield process, json.loads(file.read_text(encoding="utf-8"))["address"]


def worker(address, folder):
    return dask("worker", address, "--nthreads", 1, "--no-nanny", "--no-dashboard", "--local-directory", folder)


def test_the_same_bytes_and_faults_as_here(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 60)
    _, address = scheduler
    with worker(address, tmp_path), backend(scheduler=address) as mapper:
        tasks = [Draws(1), Draws(2, blocks=1, size=1), Draws(3, blocks=2)]
        assert same(run_tasks(tasks, mapper=mapper), run_tasks(tasks))
        with pytest.raises(StatisticsError, match="these counts are impossible"):
            run_tasks([Wrong(1)], mapper=mapper)


def test_no_worker_within_the_time_limit(scheduler, capfd):
    _, address = scheduler
    with pytest.raises(ClusterError, match="no worker for 2 s") as raised, backend(scheduler=address) as mapper:
        run_tasks([Draws(1)], mapper=mapper)
    assert raised.value.exit_status == 1
    message = capfd.readouterr().err
    assert message == f"cevnslab: the scheduler {address} has no worker; waiting up to 2 s for one\n"


def test_a_scheduler_that_goes(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 60)
    process, address = scheduler
    with worker(address, tmp_path), backend(scheduler=address) as mapper:
        blocks = mapper([(Draws(1), 0), (Slow(1), 1)])
        next(blocks)
        process.kill()
        with pytest.raises(ClusterError, match="was lost"):
            next(blocks)


def test_workers_that_go(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 30)
    _, address = scheduler
    with worker(address, tmp_path) as process, backend(scheduler=address) as mapper:
        blocks = mapper([(Draws(1), 0), (Slow(1), 1)])
        next(blocks)
        monkeypatch.setattr(cluster, "WORKER_TIMEOUT_S", 1)
        process.kill()
        with pytest.raises(ClusterError, match="no worker"):
            next(blocks)


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def silent_port():
    """Something that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_scheduler_that_is_not_there(unused_port, monkeypatch):
    monkeypatch.setattr(cluster, "SCHEDULER_TIMEOUT_S", 2)
    address = f"tcp://127.0.0.1:{unused_port}"
    with pytest.raises(ClusterError, match="did not answer within 2 s") as raised, backend(scheduler=address):
        pass
    assert address in str(raised.value)


def test_a_scheduler_that_takes_the_call_and_says_nothing(silent_port):
    """In a process of its own, so that waiting for ever ends with this test."""
    code = (
        "from cevnslab.parallel import backends, cluster; cluster.SCHEDULER_TIMEOUT_S = 1\n"
        f"with backends.backend(scheduler='tcp://127.0.0.1:{silent_port}'): pass"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert ran.returncode == 1
    assert "ClusterError" in ran.stderr


def test_a_scheduler_that_goes_before_its_client_is_made(scheduler, monkeypatch):
    """It answered who it is, and no more: one message, as where it never answered."""
    monkeypatch.setattr(cluster, "SCHEDULER_TIMEOUT_S", 2)
    _, address = scheduler

    def client(*_, **__):
        raise OSError("Timed out trying to connect")

    monkeypatch.setattr(cluster.require_dask(), "Client", client)
    with pytest.raises(ClusterError, match="did not answer within 2 s"), backend(scheduler=address):
        pass


@pytest.mark.parametrize("address", ["nonsense://here", "", "127.0.0.1:notaport"])
def test_an_address_that_is_none(address):
    with pytest.raises(ClusterError), backend(scheduler=address):
        pass


def test_without_dask(monkeypatch):
    for module in [name for name in sys.modules if name.split(".")[0] == "distributed"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"cevnslab\[distributed\]"):
        check_backend(0, "tcp://127.0.0.1:1")
    # Processes of this machine need none.
    check_backend(2, None)
