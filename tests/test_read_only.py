"""Frozen means frozen: responses, results, detectors, and what a user's kernel is handed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
import yaml
from support import changed

import cevnslab as cl
from cevnslab.errors import PluginError
from cevnslab.frozen import FrozenDict, FrozenList, frozen
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.physics.flavour import Oscillation
from cevnslab.studies.observed import ObservedCounts


@pytest.fixture(scope="module")
def study():
    keys = changed(
        {
            "profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8}],
            "contours": [["q_ee", "q_emu"]],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}],
        }
    )
    return cl.study_from_dict(keys)


def arrays(value, path, seen=None):
    """Every array that can be reached from a value, with its path."""
    if isinstance(value, np.ndarray):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from arrays(item, f"{path}[{name!r}]")
    elif isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from arrays(item, f"{path}[{number}]")
    elif hasattr(value, "__dataclass_fields__"):
        for name in value.__dataclass_fields__:
            yield from arrays(getattr(value, name), f"{path}.{name}")


def require_frozen(array, path):
    """It cannot be written to, nor can it or what it is a view of be unlocked."""
    while isinstance(array, np.ndarray):
        assert not array.flags.writeable, path
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)
        array = array.base
    assert isinstance(array, bytes), path


def test_no_array_of_a_response_can_be_written_to(study):
    response = study.setups[0].response
    reached = [
        *arrays(response, "response"),
        *((name, getattr(response, name)) for name in ("background", "signal", "bin_edges_kev")),
        ("standard_model", response.standard_model("cevns")),
    ]
    assert len(reached) >= 6
    for path, array in reached:
        require_frozen(array, path)
    with pytest.raises(TypeError, match="frozen"):
        response.coefficients["cevns"] = None
    with pytest.raises(TypeError, match="frozen"):
        response.backgrounds.clear()
    # What is computed anew is the user's.
    response.counts(q_ee=1e-9)[0] = 0


def test_no_part_of_a_result_can_be_written_to(study):
    result = study.run()
    reached = list(arrays(result, "result"))
    assert len(reached) >= 12
    for path, array in reached:
        require_frozen(array, path)
    for change in (
        lambda: result.study.update(name="x"),
        lambda: result.study["detectors"].append({}),
        lambda: result.study["detectors"][0].pop("name"),
        lambda: result.provenance["constants"].clear(),
        lambda: result.couplings.setdefault("x", 1),
    ):
        with pytest.raises(TypeError, match="frozen"):
            change()


@pytest.mark.parametrize(("preset", "key"), [("reactor", "fission_fractions"), ("supernova", "emission")])
def test_no_mapping_of_a_source_can_be_written_to(preset, key):
    """A source is frozen, and its components are made of these once."""
    mapping = getattr(cl.load_source(preset), key)
    with pytest.raises(TypeError, match="frozen"):
        mapping[next(iter(mapping))] = 1.0


def test_arrays_of_a_user_stay_the_users():
    edges, background = np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0])
    detector = replace(cl.load_detector("ess-ge"), bin_edges_kev=edges, background_per_kg_day=background)
    edges[0], background[0] = 0.5, 7.0
    assert detector.bin_edges_kev[0] == 1.0
    assert detector.background_per_kg_day[0] == 1.0


def test_what_studies_read_from_files_and_lists_stays_as_it_was_read():
    observed = ObservedCounts(np.array([3.0, 4.0]), (np.ones(2), np.ones(2)))
    for array in (observed.counts, *observed.errors, Oscillation().mixing):
        require_frozen(array, "observed counts or a mixing matrix")


def test_frozen_mappings_and_lists_are_mappings_and_lists(study):
    keys = study.run().study
    assert isinstance(keys, FrozenDict)
    assert isinstance(keys["detectors"], FrozenList)
    assert json.loads(json.dumps(keys)) == keys
    again = pickle.loads(pickle.dumps(keys))
    assert (again, type(again), type(again["detectors"])) == (keys, FrozenDict, FrozenList)
    copied = copy.deepcopy(keys)
    copied["detectors"][0]["mass_kg"] = 6
    assert keys["detectors"][0]["mass_kg"] == 5
    assert yaml.safe_load(yaml.safe_dump(copied)) == copied
    assert cl.study_from_dict(keys).sha256 == study.sha256
    for change in (
        lambda frozen_list: frozen_list.sort(),
        lambda frozen_list: frozen_list.__setitem__(0, 1),
        lambda frozen_list: frozen_list.__iadd__([1]),
    ):
        with pytest.raises(TypeError, match="frozen"):
            change(frozen([1, 2]))


def test_a_kernel_that_writes_to_what_it_is_handed_is_refused(write_study, tmp_path):
    plugin = """
import cevnslab as cl


def kernel(T, nucleus, F_p, F_n):
    T *= 2
    return F_p / T


greedy = cl.Coupling("greedy", "g", "e", 1e-9, (-1, 1), (("e", "e"),), kernel, None)
"""
    (tmp_path / "greedy.py").write_text(plugin, encoding="utf-8")
    with pytest.raises(PluginError, match=r"greedy.*read-only"):
        cl.load_study(write_study(changed({"plugins": ["greedy.py"], "couplings": ["greedy"]})))


def test_a_kernel_that_writes_only_in_a_run_changes_no_other_coupling():
    """Each is handed arrays that it cannot write to, whatever was tried before."""
    seen = []

    def kernel(recoil, nucleus, protons, neutrons):
        seen.extend([recoil, protons, neutrons])
        return protons / recoil

    coupling = replace(COUPLINGS["q_ee"], name="mine", nucleus=kernel)
    cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=[coupling], years=1)
    cl.cross_sections.cevns(1.0, 40.0, "Ge", couplings={coupling: 1e-9})
    assert len(seen) >= 6
    for array in (each for each in seen if isinstance(each, np.ndarray)):  # a single number cannot be written to
        require_frozen(array, "argument of a kernel")
