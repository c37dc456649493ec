"""Blocks: the same results in any order, kept, resumed, told apart; only whole blocks of the same task are taken."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest
from small_tasks import Draws, backwards, same

from cevnslab.errors import OutputError, StorageError
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.store import BlockStore
from cevnslab.parallel.tasks import joined, run_job, run_tasks

TASKS = [Draws(1), Draws(2, blocks=1, size=1), Draws(3, blocks=2)]


@pytest.fixture(scope="module")
def expected():
    return run_tasks(TASKS)


def counting(ran):
    """A mapper that writes down what it runs."""

    def mapper(jobs):
        ran.extend(jobs)
        yield from backwards(jobs)

    return mapper


def test_blocks_stand_in_order(expected):
    assert [len(blocks) for blocks in expected] == [3, 1, 2]
    whole = joined(expected[0])
    assert whole["file"].shape == (15,)
    assert whole["word"].tolist() == ["block 0", "block 1", "block 2"]
    assert len(np.unique(whole["file"])) == 15


def test_the_order_in_which_blocks_end_does_not_matter(expected):
    assert same(run_tasks(TASKS, mapper=backwards), expected)
    assert same(run_tasks(TASKS[::-1]), expected[::-1])


def test_a_store_resumes(expected, tmp_path):
    store = tmp_path / "some" / "store"

    class PowerCutError(Exception):
        pass

    def half(jobs):
        for position, job in enumerate(jobs):
            if position == 4:
                raise PowerCutError
            yield position, run_job(job)

    with pytest.raises(PowerCutError):
        run_tasks(TASKS, store, half)
    ran = []
    assert same(run_tasks(TASKS, store, counting(ran)), expected)
    assert len(ran) == 2
    ran.clear()
    assert same(run_tasks(TASKS, store, counting(ran)), expected)
    assert ran == []


def test_every_flipped_bit_is_noticed(tmp_path):
    """A kept block with one wrong bit is as good as none, wherever the bit is."""
    store, arrays = BlockStore(tmp_path), {"values": np.arange(3.0)}
    store.keep("task", 0, arrays)
    (place,) = tmp_path.iterdir()
    content = place.read_bytes()
    assert np.array_equal(store.read("task", 0)["values"], arrays["values"])
    for bit in range(0, 8 * len(content), 7):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        place.write_bytes(flipped)
        assert store.read("task", 0) is None, bit


def _cut(place):
    place.write_bytes(place.read_bytes()[:-20])


def _foreign(place):
    np.save(place.with_suffix(""), np.arange(5.0))
    os.replace(place.with_suffix(".npy"), place)


def _of_another_block(place):
    os.replace(place, place.with_name(place.name.replace("-0.", "-1.")))


def _folder(place):
    place.unlink()
    place.mkdir()
    (place / "file").touch()


@pytest.mark.parametrize("damage", [_cut, _foreign, _of_another_block, lambda place: place.write_bytes(b"")])
def test_what_is_no_whole_block_is_computed_again(damage, expected, tmp_path):
    run_tasks(TASKS, tmp_path)
    damage(tmp_path / f"{TASKS[0].digest()}-0.block")
    ran = []
    assert same(run_tasks(TASKS, tmp_path, counting(ran)), expected)
    assert (TASKS[0], 0) in ran
    ran.clear()
    run_tasks(TASKS, tmp_path, counting(ran))
    assert ran == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_in_the_place_of_a_block_is_replaced(tmp_path):
    store = BlockStore(tmp_path)
    store.keep("digest", 0, {"x": np.arange(3.0)})
    (place,) = tmp_path.iterdir()
    place.unlink()
    os.mkfifo(place)
    assert store.read("digest", 0) is None
    store.keep("digest", 0, {"x": np.arange(3.0)})
    assert store.read("digest", 0)["x"].tolist() == [0, 1, 2]


def test_a_folder_in_the_place_of_a_block_stops_no_run(expected, tmp_path):
    run_tasks(TASKS, tmp_path)
    place = tmp_path / f"{TASKS[0].digest()}-0.block"
    _folder(place)
    assert same(run_tasks(TASKS, tmp_path), expected)
    assert (place / "file").exists()
    assert not list(tmp_path.glob("*.partial"))


def test_a_block_that_cannot_be_kept_is_said(tmp_path):
    (tmp_path / "store").touch()
    with pytest.raises(StorageError, match="cannot keep a finished block") as raised:
        run_tasks(TASKS, tmp_path / "store")
    assert isinstance(raised.value, OutputError)
    assert raised.value.exit_status == 1


def test_objects_are_no_result(tmp_path):
    with pytest.raises(TypeError, match="no objects"):
        BlockStore(tmp_path).keep("task", 0, {"things": np.array([{}], dtype=object)})


@dataclass(frozen=True, eq=False)
class _Content:
    values: object
    name: str = "a"


def test_a_digest_for_every_difference():
    values = np.arange(4.0)
    different = [
        _Content(values),
        _Content(values * (1 + 1e-15)),
        _Content(values.reshape(2, 2)),
        _Content(values.astype(np.float32)),
        _Content(values, "b"),
        _Content(values.tolist()),
        _Content({"x": 1, "y": 2}),
        _Content({"x": 2, "y": 1}),
        _Content((1, (2, 3))),
        _Content((1, 2, 3)),
        _Content(("ab", "c")),
        _Content(("a", "bc")),
        _Content(None),
        _Content(1),
        _Content(1.0),
        _Content(True),
        _Content("1"),
        _Content(b"1"),
        _Content({1, 2}),
    ]
    assert len({content_digest(value) for value in different}) == len(different)
    assert content_digest(_Content({"y": 2, "x": 1})) == content_digest(_Content({"x": 1, "y": 2}))
    assert content_digest(_Content(values[::-1][::-1])) == content_digest(_Content(values))
    for nothing in (len, np.array([{}]), object()):
        with pytest.raises(TypeError, match="no digest"):
            content_digest(nothing)


def test_a_digest_is_of_this_version(monkeypatch):
    before = content_digest(1)
    monkeypatch.setattr("cevnslab.parallel.digests.__version__", "another")
    assert content_digest(1) != before
