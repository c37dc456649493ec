"""Pseudo-experiments as tasks: every toy once, seeded by what it is, the same numbers from any backend."""

from __future__ import annotations

import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from support import changed, preset_response

import cevnslab as cl
from cevnslab.errors import MissingExtraError
from cevnslab.inference import compiled
from cevnslab.inference.toys import Experiment
from cevnslab.parallel import cluster
from cevnslab.parallel.backends import backend
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
    return blocks.delta_chi2(tasks)


def same(first, second):
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_every_toy_is_there_once(tasks, expected):
    assert [task.blocks for task in tasks] == [3, 1, 2]
    assert [len(sample) for sample in expected] == [12_345, 400, 5001]
    for sample in expected:
        assert len(np.unique(sample[sample > 0])) == np.count_nonzero(sample)


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
    samples = [blocks.delta_chi2([replace(small, **new)])[0] for new in ({}, {"seed": 6}, {"key": (4,)}, {})]
    assert np.array_equal(samples[0], samples[3])
    assert not np.array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])


def test_compiled_blocks_are_the_same_to_rounding(task):
    small = replace(task, toys=500)
    plain, fast = blocks.delta_chi2([small, replace(small, fast=True)])
    assert fast == pytest.approx(plain, abs=1e-9, rel=1e-12)


def test_two_workers_give_the_same_bytes(tasks, expected):
    with backend(workers=2) as mapper:
        assert same(blocks.delta_chi2(tasks, mapper=mapper), expected)


def hide(monkeypatch, name):
    for module in [found for found in sys.modules if found.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)


def test_without_numba(monkeypatch, task):
    hide(monkeypatch, "numba")
    compiled.inner_products.cache_clear()
    with pytest.raises(MissingExtraError, match=r"cevnslab\[fast\]"):
        replace(task, toys=100, fast=True).run(0)
    assert len(replace(task, toys=100).run(0)["delta_chi2"]) == 100


@pytest.mark.parametrize(
    ("hidden", "option"), [("distributed", ["--scheduler", "tcp://127.0.0.1:1"]), ("numba", ["--fast"])], ids=str
)
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


def test_no_scheduler_is_status_1(monkeypatch, command, write_study, tmp_path):
    monkeypatch.setattr(cluster, "SCHEDULER_TIMEOUT_S", 1)
    address = "tcp://127.0.0.1:1"
    ran = command("run", write_study(FELDMAN_COUSINS), "--scheduler", address, "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    assert [line.startswith("cevnslab: ") for line in ran.err.splitlines()] == [True]
    assert address in ran.err
    assert not list((tmp_path / "out").rglob("*.csv"))


def test_workers_change_nothing_in_a_study():
    study = cl.study_from_dict(FELDMAN_COUSINS)
    alone, together = study.run(), study.run(workers=2)
    assert alone.limits == together.limits
    for first, second in zip(alone.critical_values, together.critical_values, strict=True):
        assert np.array_equal(first.critical_value, second.critical_value)
