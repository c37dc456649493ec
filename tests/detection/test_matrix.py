"""Response matrices: hat functions between nodes, nothing outside, the counts of a law that is known otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import near

import cevnslab as cl
from cevnslab.detection.axes import BinAxis
from cevnslab.detection.matrix import ResponseMatrix, read_response_matrix
from cevnslab.detection.quenching import UNQUENCHED
from cevnslab.detection.readout import Readout
from cevnslab.errors import InputFileError, PhysicsError

GE = cl.load_detector("ess-ge")
SOURCE = cl.load_source("ess")
LIGHT, SHAPE = BinAxis("light_pe", np.array([2.0, 4.0, 8.0])), BinAxis("shape", np.array([0.0, 0.4, 0.7, 1.0]))
NODES = np.array([1.0, 2.0, 3.5])
PROBABILITY = np.linspace(0.0, 0.15, 18).reshape(3, 2, 3)
MATRIX = ResponseMatrix(NODES, PROBABILITY, (LIGHT, SHAPE))


def test_linear_between_the_nodes_and_nothing_outside():
    windows = MATRIX.windows(LIGHT.edges, 1.0, np.array([0.999, 1.0, 1.25, 2.0, 3.5, 3.501]))
    flat = PROBABILITY.reshape(3, 6)
    assert windows.shape == (6, 6)
    assert np.all(windows[:, [0, 5]] == 0)
    assert windows[:, 1] == near(flat[0], 1e-15)
    assert windows[:, 2] == near(0.75 * flat[0] + 0.25 * flat[1], 1e-14)
    assert windows[:, 3] == near(flat[1], 1e-15)
    assert windows[:, 4] == near(flat[2], 1e-15)
    with pytest.raises(PhysicsError, match="the efficiency is in it"):
        MATRIX.windows(LIGHT.edges, 0.5, NODES)


def test_the_fold_is_the_exact_integral_of_hat_functions():
    nodes = Readout(LIGHT.edges, UNQUENCHED, MATRIX).nodes(10.0)
    counts = MATRIX.windows(LIGHT.edges, 1.0, nodes.recoil_energy_kev) @ nodes.weight_kev
    flat, steps = PROBABILITY.reshape(3, 6), np.diff(NODES)
    expected = sum(step * (flat[i] + flat[i + 1]) / 2 for i, step in enumerate(steps))
    assert counts == near(expected, 1e-12)


def sampled(detector, nodes):
    """The matrix of a detector that is described by laws."""
    return ResponseMatrix(nodes, detector.readout("cevns").windows(nodes).T, detector.axes)


def with_matrix(detector, matrix, background=None):
    bins = matrix.probability.shape[1]
    return replace(
        detector,
        response=matrix,
        resolution=None,
        efficiency=1.0,
        bin_edges_kev=matrix.axes[0].edges,
        background_per_kg_day=np.zeros(bins) if background is None else background,
    )


def test_a_matrix_of_a_law_gives_its_counts():
    low, high = GE.resolution.true_range(GE.bin_edges_kev)
    matrix = sampled(GE, np.linspace(low**0.5, high**0.5, 4001) ** 2)
    counts = [
        cl.response(SOURCE, each, couplings=["q_ee"], years=3).counts(q_ee=3e-9)
        for each in (GE, with_matrix(GE, matrix))
    ]
    assert counts[1] == pytest.approx(counts[0], rel=1e-4, abs=1e-6 * counts[0].sum())


def test_a_detector_with_several_axes():
    detector = with_matrix(GE, MATRIX, background=np.arange(6.0))
    expected = cl.response(SOURCE, detector, years=2)
    assert [axis.name for axis in expected.axes] == ["light_pe", "shape"]
    assert expected.counts().shape == (6,)
    assert expected.projected(expected.counts(), 1).shape == (3,)
    assert expected.background == near(np.arange(6.0) * GE.mass_kg * SOURCE.beam_days(2), 1e-12)
    assert np.all(np.isnan(detector.recoil_edges_kev))
    with pytest.raises(PhysicsError, match="one of nuclear recoils"):
        cl.response(SOURCE, detector, years=2, channels=["cevns", "electron"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"efficiency": 0.5}, "efficiency: is in the response matrix"),
        ({"resolution": GE.resolution}, "resolution: is in the response matrix"),
        ({"quenching": UNQUENCHED}, "quenching: is in the response matrix"),
        ({"electron_quenching": 0.2}, "electron_quenching: is in the response matrix"),
        ({"bin_edges_kev": np.array([2.0, 4.0, 9.0])}, "bins are those of the response matrix"),
        ({"background_per_kg_day": np.zeros(2)}, "one background value per bin"),
    ],
)
def test_what_a_matrix_contains_is_not_given_again(changes, words):
    with pytest.raises(PhysicsError, match=words):
        replace(with_matrix(GE, MATRIX), **changes)


@pytest.mark.parametrize(
    ("energy", "probability", "words"),
    [
        ([0.0, 1.0], np.zeros((2, 2)), "rise, from above 0"),
        ([2.0, 1.0], np.zeros((2, 2)), "rise, from above 0"),
        ([1.0, 2.0], np.zeros((2, 3)), r"2 energies and bins of 2 need .* got \(2, 3\)"),
        ([1.0, 2.0], np.array([[0.5, 0.2], [-0.1, 0.2]]), "at least 0"),
        ([1.0, 2.0], np.array([[0.5, 0.2], [np.nan, 0.2]]), "finite"),
        ([1.0, 2.0], np.array([[0.5, 0.2], [0.8, 0.3]]), r"at 2 keV sum up to 1\.1, above 1"),
    ],
)
def test_matrices_that_cannot_be(energy, probability, words):
    with pytest.raises(PhysicsError, match=words):
        ResponseMatrix(np.array(energy), probability, (LIGHT,))
    rounded = np.array([[0.5, 0.5 + 5e-7], [0.2, 0.3]])
    assert ResponseMatrix(np.array([1.0, 2.0]), rounded, (LIGHT,)).probability[0, 1] > 0.5


def written(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_a_matrix_from_a_file(tmp_path):
    path = written(
        tmp_path / "m.npz",
        energy_kev=NODES,
        probability=PROBABILITY,
        edges_light_pe=LIGHT.edges,
        edges_shape=SHAPE.edges,
    )
    matrix = read_response_matrix(path)
    assert [axis.name for axis in matrix.axes] == ["light_pe", "shape"]
    assert np.array_equal(matrix.probability, MATRIX.probability)


FILES = {
    "no energies": ({"probability": PROBABILITY}, "no array energy_kev; it has probability"),
    "no edges": ({"energy_kev": NODES, "probability": PROBABILITY}, "one array edges_<axis> per axis"),
    "edges that fall": (
        {"energy_kev": NODES, "probability": np.zeros((3, 2)), "edges_x": [1.0, 3.0, 2.0]},
        "edges_x must rise",
    ),
    "too likely": (
        {"energy_kev": NODES, "probability": np.full((3, 2), 0.6), "edges_x": [1.0, 2.0, 3.0]},
        "sum up to 1.2, above 1",
    ),
    "words": ({"energy_kev": np.array(["a", "b"])}, "no npz file of numbers"),
    "objects": ({"energy_kev": np.array([{}, {}], dtype=object)}, "no npz file of numbers"),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_matrix(case, tmp_path):
    arrays, words = FILES[case]
    path = written(tmp_path / "m.npz", **arrays)
    with pytest.raises(InputFileError, match=r"m\.npz") as refused:
        read_response_matrix(path)
    assert words in str(refused.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputFileError, match="cannot read the response matrix"):
        read_response_matrix(tmp_path / "nowhere.npz")
    (tmp_path / "text.npz").write_text("1 2 3", encoding="utf-8")
    with pytest.raises(InputFileError, match="no npz file"):
        read_response_matrix(tmp_path / "text.npz")
    whole = written(tmp_path / "m.npz", energy_kev=NODES).read_bytes()
    (tmp_path / "short.npz").write_bytes(whole[:40])
    with pytest.raises(InputFileError, match="no npz file"):
        read_response_matrix(tmp_path / "short.npz")
