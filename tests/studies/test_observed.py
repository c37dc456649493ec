"""Observed counts from lists and files: every right way means the same bins, every wrong one is one message."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cevnslab.detection.axes import BinAxis
from cevnslab.errors import CevnslabError
from cevnslab.studies.observed import ObservedCounts, check_observed, observed_counts
from cevnslab.studies.schema import CountsFile

ENERGY = BinAxis("recoil_energy_kev", np.array([1.0, 2.0, 4.0]))
TIME = BinAxis("time_us", np.array([0.0, 1.0, 2.5, 6.0]))
COUNTS = np.array([[10, 7, 3], [4, 2, 0]])


def rows(columns="edges", order=None, errors=False):
    """A file of the six bins, row by row."""
    names = (
        ["recoil_energy_kev_low", "recoil_energy_kev_high", "time_us_low", "time_us_high"] if columns == "edges" else []
    )
    lines = []
    for i, j in order or itertools.product(range(2), range(3)):
        edges = [ENERGY.edges[i], ENERGY.edges[i + 1], TIME.edges[j], TIME.edges[j + 1]] if columns == "edges" else []
        more = [0.5 + i, 1.5 + j] if errors else []
        lines.append(", ".join(f"{value:.9g}" for value in [*edges, COUNTS[i, j], *more]))
    header = [*names, "counts", *(["error_low", "error_high"] if errors else [])]
    return "\n".join([", ".join(header), *lines]) + "\n"


def read(tmp_path, text, axes=(ENERGY, TIME)):
    (tmp_path / "counts.csv").write_text(text, encoding="utf-8")
    return observed_counts(CountsFile(file="counts.csv"), axes, tmp_path)


def test_lists(tmp_path):
    assert observed_counts([10, 4], [ENERGY]).counts.tolist() == [10, 4]
    assert observed_counts(COUNTS.tolist(), [ENERGY, TIME]).counts.tolist() == COUNTS.ravel().tolist()


@pytest.mark.parametrize(
    "text",
    [
        rows(),
        rows(order=[(1, 2), (0, 0), (1, 0), (0, 2), (0, 1), (1, 1)]),
        rows(columns="none"),
        rows(columns="none").removeprefix("counts\n"),
        "# exported\n" + rows().replace(", ", " "),
    ],
)
def test_files_are_matched_by_edges_or_by_order(text, tmp_path):
    observed = read(tmp_path, text)
    assert observed.counts.tolist() == COUNTS.ravel().tolist()
    assert observed.errors is None
    assert observed.statistic == "poisson"
    assert not observed.counts.flags.writeable


def test_errors_follow_their_rows(tmp_path):
    observed = read(tmp_path, rows(errors=True, order=[(1, 2), (0, 0), (1, 0), (0, 2), (0, 1), (1, 1)]))
    upper, lower = observed.errors
    assert lower.tolist() == [0.5, 0.5, 0.5, 1.5, 1.5, 1.5]
    assert upper.tolist() == [1.5, 2.5, 3.5, 1.5, 2.5, 3.5]
    assert observed.statistic == "gaussian"
    one = read(tmp_path, "counts error\n-3.5 2\n4 1\n", [ENERGY])
    assert one.counts.tolist() == [-3.5, 4]
    assert [side.tolist() for side in one.errors] == [[2, 1], [2, 1]]


@pytest.mark.parametrize(
    ("values", "axes", "words"),
    [
        ([1, 2, 3], [ENERGY], ["2 (recoil_energy_kev)", "got 3"]),
        ([[1, 2]], [ENERGY], ["one list of numbers"]),
        ([1, 2, 3, 4, 5, 6], [ENERGY, TIME], ["nested", "2 (recoil_energy_kev) of 3 (time_us)"]),
        ([[1, 2, 3]], [ENERGY, TIME], ["got 1 list"]),
        ([[1, 2, 3], [1, 2]], [ENERGY, TIME], ["list 2 has 2"]),
        ([[1, 2, 3], 4], [ENERGY, TIME], ["nested"]),
        (
            [1, 1e60],
            [ENERGY],
            ["counts must be at most 1e+15, got 1e+60 in the bin with recoil_energy_kev from 2 to 4"],
        ),
    ],
    ids=str,
)
def test_lists_of_another_shape(values, axes, words):
    with pytest.raises(CevnslabError) as fault:
        observed_counts(values, axes)
    assert all(word in str(fault.value) for word in words), fault.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1\n2\n3\n", ["6 rows", "2 (recoil_energy_kev) x 3 (time_us)", "got 3"]),
        (rows(columns="none") + "5\n", ["6 rows", "got 7"]),
        (rows() + rows().splitlines()[1] + "\n", ["line 8", "recoil_energy_kev from 1 to 2", "twice"]),
        ("\n".join(rows().splitlines()[:-1]), ["no row for", "recoil_energy_kev from 2 to 4, time_us from 2.5 to 6"]),
        (rows().replace("2.5, 6", "2.5, 7"), ["line 4", "time_us from 2.5 to 7", "nearest is from 2.5 to 6"]),
        (rows().replace("time_us_low", "time_low"), ["line 1", "'time_low'", "did you mean 'time_us_low'?"]),
        (rows().replace("recoil_energy_kev", "energy_kevee"), ["'energy_kevee_low'"]),
        ("time_us_low time_us_high counts\n0 1 2\n", ["edges of every axis", "recoil_energy_kev_low"]),
        ("1 2\n3 4\n", ["line 1", "named in the first line", "recoil_energy_kev_low", "counts"]),
        ("error\n1\n", ["counts is needed"]),
        ("counts error error_low error_high\n1 1 1 1\n", ["either error, or both"]),
        ("counts error_low\n1 1\n", ["either error, or both"]),
        ("counts counts\n1 1\n", ["'counts'", "twice"]),
        ("counts error\n" + "1 1\n" * 5 + "1 0\n", ["line 7", "error must be above 0", "got 0"]),
        ("counts\n" + "1\n" * 5 + "one\n", ["line 7", "'one'"]),
        (
            "counts\n" + "1\n" * 5 + "1e300\n",
            ["at most 1e+15, got 1e+300", "energy_kev from 2 to 4, time_us from 2.5 to 6"],
        ),
        (
            "counts error\n" + "1 1\n" * 5 + "1 1e-300\n",
            ["errors", "at least 1e-15, got 1e-300", "time_us from 2.5 to 6"],
        ),
    ],
)
def test_files_that_do_not_fit(text, words, tmp_path):
    with pytest.raises(CevnslabError) as fault:
        read(tmp_path, text)
    assert all(word in str(fault.value) for word in ["counts.csv", *words]), fault.value
    assert "\n" not in str(fault.value)


POISSON = ObservedCounts(np.array([3.0, 0.0]))
ERRORS = (np.array([1.0, 1.0]), np.array([1.0, 1.0]))


def test_counts_and_statistics_that_fit():
    check_observed(POISSON, "poisson", [ENERGY])
    check_observed(POISSON, "least-squares", [ENERGY])
    check_observed(ObservedCounts(np.array([2.5, 1.0])), "least-squares", [ENERGY])
    check_observed(ObservedCounts(np.array([-2.5, 1.0]), ERRORS), "gaussian", [ENERGY])


@pytest.mark.parametrize(
    ("counts", "errors", "statistic", "words"),
    [
        ([2.5, 1.0], None, "poisson", ["whole numbers", "2.5", "recoil_energy_kev from 1 to 2"]),
        ([2.0, -1.0], None, "poisson", ["negative", "-1", "recoil_energy_kev from 2 to 4", "gaussian"]),
        ([2.0, -1.0], None, "least-squares", ["negative", "-1"]),
        ([2.0, 1.0], None, "gaussian", ["errors", "column error"]),
        ([2.0, 1.0], ERRORS, "poisson", ["have errors", "gaussian"]),
        ([2.0, 1.0], ERRORS, "least-squares", ["have errors", "gaussian"]),
    ],
    ids=str,
)
def test_counts_that_a_statistic_cannot_take(counts, errors, statistic, words):
    observed = ObservedCounts(np.array(counts), None if errors is None else tuple(e.copy() for e in errors))
    with pytest.raises(CevnslabError) as fault:
        check_observed(observed, statistic, [ENERGY])
    assert all(word in str(fault.value) for word in words), fault.value
