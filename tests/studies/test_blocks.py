"""Blocks of pseudo-experiments: the same numbers from any backend in any order, kept, resumed, and told apart."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import fields, replace

import numpy as np
import pytest
from support import changed, preset_response

import cevnslab as cl
from cevnslab.errors import ClusterError, MissingExtraError
from cevnslab.inference import compiled
from cevnslab.inference.toys import Experiment
from cevnslab.studies import blocks

FELDMAN_COUSINS = {
    **changed({"couplings": ["q_ee"], "detectors.0.bins": 4}),
    "intervals": {"method": "feldman-cousins", "toys": 100, "seed": 1},
}


@pytest.fixture(scope="module")
def task():
    experiment = Experiment.of([preset_response("ess-csi", couplings=["q_ee", "q_emu"])], ("q_ee",), 0.1, (0.01,))
    return blocks.ToyTask(
        experiment=experiment,
        truth=(2e-9,),
        statistic="least-squares",
        metric=None,
        compressed=False,
        ensemble="drawn",
        minimum="global",
        toys=12_345,
        seed=5,
        fast=False,
        key=(3,),
    )


@pytest.fixture(scope="module")
def tasks(task):
    return [task, replace(task, key=(4,), toys=400), replace(task, key=(5,), metric=(0.0,), compressed=True, toys=5001)]


@pytest.fixture(scope="module")
def expected(tasks):
    return blocks.run_tasks(tasks)


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def backwards(jobs):
    for position in reversed(range(len(jobs))):
        yield position, blocks.run_block(*jobs[position])


def test_every_toy_is_there_once(tasks, expected):
    assert [task.blocks for task in tasks] == [3, 1, 2]
    assert [len(sample) for sample in expected] == [12_345, 400, 5001]
    for sample in expected:
        assert len(np.unique(sample[sample > 0])) == np.count_nonzero(sample)


def test_the_order_in_which_blocks_end_does_not_matter(tasks, expected):
    assert same(blocks.run_tasks(tasks, mapper=backwards), expected)
    assert same(blocks.run_tasks(tasks[::-1]), expected[::-1])


def test_a_store_resumes(tasks, expected, tmp_path):
    store = tmp_path / "store"

    class PowerCutError(Exception):
        pass

    def half(jobs):
        for position, job in enumerate(jobs):
            if position == 3:
                raise PowerCutError
            yield position, blocks.run_block(*job)

    with pytest.raises(PowerCutError):
        blocks.run_tasks(tasks, store, half)
    assert len(list(store.glob("*.npy"))) == 3
    ran = []

    def counted(jobs):
        ran.extend(jobs)
        yield from backwards(jobs)

    assert same(blocks.run_tasks(tasks, store, counted), expected)
    assert len(ran) == 3
    ran.clear()
    assert same(blocks.run_tasks(tasks, store, counted), expected)
    assert ran == []


@pytest.mark.parametrize("damage", ["partial", "truncated", "empty"])
def test_a_damaged_block_is_not_taken(damage, tasks, expected, tmp_path):
    """A partial file is what a kill leaves; a truncated one is what a power cut may."""
    blocks.run_tasks(tasks, tmp_path)
    victim = sorted(tmp_path.glob("*.npy"))[0]
    content = victim.read_bytes()
    if damage == "partial":
        victim.unlink()
        victim.with_suffix(".123.partial").write_bytes(content[: len(content) // 2])
    else:
        victim.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    assert same(blocks.run_tasks(tasks, tmp_path), expected)


def test_a_digest_for_every_difference(task):
    other = {
        "truth": (3e-9,),
        "statistic": "poisson",
        "metric": (0.0,),
        "compressed": True,
        "ensemble": "centres",
        "minimum": "connected",
        "toys": 12_346,
        "seed": 6,
        "fast": True,
        "key": (4,),
    }
    experiment = task.experiment
    others = [
        replace(experiment, signal=experiment.signal * (1 + 1e-15)),
        replace(experiment, backgrounds=experiment.backgrounds + 1e-9),
        replace(experiment, signal_uncertainty=0.2),
        replace(experiment, background_uncertainties=(0.02,)),
        replace(experiment, exponents=experiment.exponents[::-1]),
        replace(experiment, axes=(replace(experiment.axes[0], scale=2e-9),)),
    ]
    assert {field.name for field in fields(task)} == {*other, "experiment"}
    digests = [replace(task, **{key: value}).digest() for key, value in other.items()]
    digests += [replace(task, experiment=changed_one).digest() for changed_one in others]
    assert len({task.digest(), *digests}) == 1 + len(digests)
    assert replace(task).digest() == task.digest()


def test_seed_and_key_make_the_random_numbers(task):
    small = replace(task, toys=300)
    samples = [blocks.run_tasks([replace(small, **new)])[0] for new in ({}, {"seed": 6}, {"key": (4,)}, {})]
    assert np.array_equal(samples[0], samples[3])
    assert not np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_compiled_blocks_are_the_same_to_rounding(task):
    small = replace(task, toys=500)
    plain, fast = blocks.run_tasks([small, replace(small, fast=True)])
    assert fast == pytest.approx(plain, abs=1e-9, rel=1e-12)


def test_two_workers_give_the_same_bytes(tasks, expected):
    with blocks.backend(workers=2) as mapper:
        assert same(blocks.run_tasks(tasks, mapper=mapper), expected)


def hide(monkeypatch, name):
    for module in [found for found in sys.modules if found.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("options", [{"workers": 2}, {"scheduler": "tcp://127.0.0.1:1"}], ids=str)
def test_without_dask(options, monkeypatch):
    hide(monkeypatch, "distributed")
    with pytest.raises(MissingExtraError, match=r"cevnslab\[distributed\]"), blocks.backend(**options):
        pass
    with blocks.backend() as mapper:
        assert mapper is blocks.in_turn


def test_without_numba(monkeypatch, task):
    hide(monkeypatch, "numba")
    compiled.inner_products.cache_clear()
    with pytest.raises(MissingExtraError, match=r"cevnslab\[fast\]"):
        blocks.run_block(replace(task, toys=100, fast=True), 0)
    assert len(blocks.run_block(replace(task, toys=100), 0)) == 100


@pytest.mark.parametrize(("hidden", "option"), [("distributed", ["--workers", 2]), ("numba", ["--fast"])], ids=str)
@pytest.mark.parametrize("verb", ["run", "coverage"])
def test_a_missing_extra_is_one_message(verb, hidden, option, monkeypatch, command, write_study, tmp_path):
    hide(monkeypatch, hidden)
    compiled.inner_products.cache_clear()
    compiled.highest_gain.cache_clear()
    more = ["--detector", "my-ge", "--coupling", "q_ee", "--at", 0, "--toys", 100] if verb == "coverage" else []
    ran = command(verb, write_study(FELDMAN_COUSINS), *more, *option, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("cevnslab: ")
    assert "pip install" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


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
    monkeypatch.setattr(blocks, "SCHEDULER_TIMEOUT_S", 1)
    address = f"tcp://127.0.0.1:{unused_port}"
    start = time.monotonic()
    with pytest.raises(ClusterError, match="did not answer") as raised, blocks.backend(scheduler=address):
        pass
    assert time.monotonic() - start < 8
    assert address in str(raised.value)


def test_a_scheduler_that_takes_the_call_and_says_nothing(silent_port):
    """In a process of its own, so that waiting for ever ends with this test."""
    code = (
        "from cevnslab.studies import blocks; blocks.SCHEDULER_TIMEOUT_S = 1\n"
        f"with blocks.backend(scheduler='tcp://127.0.0.1:{silent_port}'): pass"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=12)
    assert ran.returncode == 1
    assert "ClusterError" in ran.stderr


def test_the_command_says_so_with_status_1(unused_port, monkeypatch, command, write_study, tmp_path):
    monkeypatch.setattr(blocks, "SCHEDULER_TIMEOUT_S", 1)
    address = f"tcp://127.0.0.1:{unused_port}"
    ran = command("run", write_study(FELDMAN_COUSINS), "--scheduler", address, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    assert [line.startswith("cevnslab: ") for line in ran.err.splitlines()] == [True]
    assert address in ran.err
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_an_address_that_is_none(monkeypatch):
    monkeypatch.setattr(blocks, "SCHEDULER_TIMEOUT_S", 1)
    with pytest.raises(ClusterError), blocks.backend(scheduler="nonsense://here"):
        pass


def test_workers_change_nothing_in_a_study():
    study = cl.study_from_dict(FELDMAN_COUSINS)
    alone, together = study.run(), study.run(workers=2)
    assert alone.limits == together.limits
    for first, second in zip(alone.critical_values, together.critical_values, strict=True):
        assert np.array_equal(first.critical_value, second.critical_value)
