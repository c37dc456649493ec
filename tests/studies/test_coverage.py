"""Coverage studies: what the command writes, and what the paper's intervals really cover."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from support import REMOVED, STUDY, changed

import cevnslab as cl
from cevnslab.errors import StudyError
from cevnslab.studies.coverage import coverage

COLUMNS = (
    "detector,channels,coupling,true_value,confidence_level,statistic,convention,toys,"
    "coverage,coverage_error,critical_value"
)
DRAWN = "global minimum; normalisations drawn"


def rows(folder):
    text = (folder / "coverage.csv").read_text(encoding="utf-8")
    assert text.splitlines()[0] == COLUMNS
    return list(csv.DictReader(text.splitlines()))


@pytest.fixture
def simulate(command, write_study, tmp_path):
    path = write_study(STUDY)

    def run(*options, coupling="q_ee", toys=200):
        ran = command(
            *("coverage", path, "--detector", "my-ge", "--coupling", coupling),
            *("--toys", toys, "--seed", 2, *options, "-o", tmp_path / "out"),
        )
        assert (ran.status, ran.err) == (0, "")
        return ran, tmp_path / "out" / "my-study"

    return run


def test_the_files(simulate):
    ran, folder = simulate("--at", "0", "--at", "-3e-9", "--at", "5e-9")
    (low, zero, high) = rows(folder)
    assert [float(row["true_value"]) for row in (low, zero, high)] == [-3e-9, 0.0, 5e-9]
    for row in (low, zero, high):
        assert (row["detector"], row["channels"], row["coupling"]) == ("my-ge", "cevns", "q_ee")
        assert (row["confidence_level"], row["statistic"], row["toys"]) == ("0.9", "least-squares", "200")
        assert row["convention"] == DRAWN
        covered, error = float(row["coverage"]), float(row["coverage_error"])
        assert 0.75 < covered <= 1
        assert error == pytest.approx(np.sqrt(covered * (1 - covered) / 200), rel=1e-9)
        assert (float(row["critical_value"]) > 2.70554) == (covered < 0.9)
    assert DRAWN in ran.out
    assert {path.name for path in (folder / "figures").iterdir()} >= {"coverage.pdf", "coverage.png"}
    assert (folder / "figures" / "coverage.pdf").stat().st_size > 3000
    assert not (folder / ".blocks").exists()


def test_a_second_command_adds_its_points(simulate):
    _, folder = simulate("--at", "0")
    simulate("--at", "0", coupling="q_emu")
    simulate("--at", "0", "--statistic", "poisson")
    simulate("--at", "0", "--ensemble", "centres")
    simulate("--at", "0", "--minimum", "connected")
    before = rows(folder)
    assert {(row["coupling"], row["statistic"], row["convention"]) for row in before} == {
        ("q_ee", "least-squares", DRAWN),
        ("q_emu", "least-squares", DRAWN),
        ("q_ee", "poisson", DRAWN),
        ("q_ee", "least-squares", "global minimum; constraint centres fluctuated"),
        ("q_ee", "least-squares", "connected minimum; normalisations drawn"),
    }
    assert len(before) == 5
    simulate("--at", "0", toys=300)
    after = rows(folder)
    assert len(after) == 5
    assert [row["toys"] for row in after].count("300") == 1


def test_points_of_another_study_do_not_stay(simulate, command, write_study, tmp_path):
    _, folder = simulate("--at", "0")
    path = write_study(changed({"exposure_years": 4}), "other.yaml")
    options = ["--detector", "my-ge", "--coupling", "q_ee", "--at", "1e-9", "--toys", 100]
    assert command("coverage", path, *options, "-o", tmp_path / "out").status == 0
    assert [float(row["true_value"]) for row in rows(folder)] == [1e-9]


def test_the_same_seed_gives_the_same_bytes(simulate):
    _, folder = simulate("--at", "0")
    first = (folder / "coverage.csv").read_bytes()
    (folder / "coverage.csv").unlink()
    simulate("--at", "0")
    assert (folder / "coverage.csv").read_bytes() == first
    study = cl.study_from_dict(STUDY)
    points = [coverage(study, "my-ge", "q_ee", [0.0], toys=200, seed=seed).points[0] for seed in (2, 3)]
    assert repr(points[0].coverage) == rows(folder)[0]["coverage"]
    assert points[0].critical_value != points[1].critical_value


@pytest.fixture(scope="module")
def paper_study():
    return cl.load_study("parada2024")


def test_what_the_papers_intervals_cover(paper_study):
    """q_ee of germanium at zero covers 86 to 89 %, a transition charge about 95 %; 4000 toys, three sigma."""
    (charge,) = coverage(paper_study, "ess-ge", "q_ee", [0.0], toys=4000, seed=1).points
    assert 0.86 - 3 * charge.coverage_error < charge.coverage < 0.89 + 3 * charge.coverage_error
    assert charge.coverage < 0.90 - 3 * charge.coverage_error
    assert charge.critical_value > 2.8
    (transition,) = coverage(paper_study, "ess-ge", "q_etau", [0.0], toys=4000, seed=1).points
    assert abs(transition.coverage - 0.95) < 3 * transition.coverage_error + 0.005
    assert transition.critical_value < 2.5


def test_the_connected_minimum_covers_otherwise(paper_study):
    points = [
        coverage(paper_study, "ess-ge", "q_ee", [0.0], toys=4000, seed=1, minimum=minimum).points[0]
        for minimum in ("global", "connected")
    ]
    assert points[1].convention == "connected minimum; normalisations drawn"
    assert points[1].coverage > points[0].coverage + 0.005


def test_poisson(paper_study):
    options = {"toys": 300, "seed": 1, "statistic": "poisson"}
    (point,) = coverage(paper_study, "ess-csi", "q_mumu", [0.0], **options).points
    assert point.statistic == "poisson"
    assert abs(point.coverage - 0.90) < 4 * np.sqrt(0.09 / 300)


@pytest.mark.parametrize("name", ["correlated-flux", "independent-flux"])
def test_a_combination(name):
    study = cl.load_study("ess-combined")
    (point,) = coverage(study, name, "q_mumu", [0.0], toys=300, seed=1).points
    assert point.detector == name
    assert 0.8 < point.coverage < 0.99


def test_every_confidence_level_has_a_point():
    study = cl.study_from_dict(changed({"intervals": {"confidence_level": [0.9, 0.6827]}}))
    points = coverage(study, "my-ge", "q_ee", [0.0, 1e-9], toys=300).points
    assert [(point.true_value, point.confidence_level) for point in points] == [
        (0.0, 0.9), (0.0, 0.6827), (1e-9, 0.9), (1e-9, 0.6827),
    ]  # fmt: skip
    assert points[0].coverage > points[1].coverage
    alone = coverage(cl.study_from_dict(STUDY), "my-ge", "q_ee", [0.0], toys=300).points[0]
    assert alone.coverage == points[0].coverage


def test_shapes_systematics_priors_and_hidden_couplings():
    """What was refused before: everything that the likelihood knows fluctuates and is fitted again."""
    keys = {
        "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.1, "background": 0.01, "energy_scale": 0.02},
        "systematics": [{"name": "flux", "on": "signal", "kind": "normalisation", "width": 0.05}],
        "profile": ["q_mumu"],
        "priors": {"q_mumu": {"centre": 0.0, "width": 1e-9}},
        "statistic": "poisson",
        "detectors.0.bins": 8,
    }
    (point,) = coverage(cl.study_from_dict(changed(keys)), "my-ge", "q_ee", [0.0], toys=400).points
    assert abs(point.coverage - 0.90) < 4.5 * np.sqrt(0.09 / 400)


def test_a_month_of_germanium_with_poisson():
    """Few counts, many empty bins: no toy may end the study."""
    study = cl.study_from_dict(
        changed({"exposure_years": 0.01, "statistic": "poisson", "detectors": [{"preset": "ess-ge"}]})
    )
    (point,) = coverage(study, "ess-ge", "q_ee", [0.0], toys=200, seed=1).points
    assert 0.8 < point.coverage <= 1


def test_the_connected_interval_of_a_charge_beyond_the_barrier_never_covers():
    study = cl.load_study("parada2024")
    far = coverage(study, "ess-ge", "q_ee", [6e-8], toys=500, minimum="connected")
    near_zero = coverage(study, "ess-ge", "q_ee", [0.0], toys=2000, minimum="connected")
    assert far.points[0].coverage == 0
    assert far.points[0].coverage_error == 1 / 500
    assert abs(near_zero.points[0].coverage - 0.9) < 4 * near_zero.points[0].coverage_error


def test_a_point_does_not_depend_on_its_place_in_the_command():
    study = cl.load_study("parada2024")
    one, two = (coverage(study, "ess-csi", "q_ee", values, toys=300).points for values in ([0.0, 3e-9], [3e-9]))
    assert one[1] == two[0]


def test_points_of_another_efficiency_file_are_dropped_and_the_user_is_told(command, write_study, tmp_path):
    table = tmp_path / "efficiency.txt"
    keys = changed({"detectors.0.efficiency": {"file": str(table), "axis": "reconstructed"}})
    path = write_study(keys)
    common = ("coverage", path, "--detector", "my-ge", "--coupling", "q_ee", "--toys", 200, "-o", tmp_path / "out")
    table.write_text("0.1 0.8\n200 0.8\n", encoding="utf-8")
    assert command(*common, "--at", "0").status == 0
    table.write_text("0.1 0.4\n200 0.4\n", encoding="utf-8")
    ran = command(*common, "--at", "1e-9")
    assert "1 points of another version" in ran.out
    assert [float(row["true_value"]) for row in rows(tmp_path / "out" / "my-study")] == [1e-9]


def test_a_run_keeps_the_coverage_figure_and_figures_redraws_it(simulate, command, write_study, tmp_path):
    _, folder = simulate("--at", "0")
    mine = folder / "figures" / "mine.png"
    mine.write_bytes(b"my own")
    assert command("run", write_study(STUDY), "-o", tmp_path / "out").status == 0
    assert mine.read_bytes() == b"my own"
    assert (folder / "figures" / "coverage.pdf").exists()
    (folder / "figures" / "coverage.pdf").unlink()
    assert command("figures", folder).status == 0
    assert (folder / "figures" / "coverage.pdf").exists()


def test_normalisations_are_drawn_within_their_boundaries():
    """A prior of 100 % is cut off at no signal at all, in place of a refusal."""
    study = cl.study_from_dict(changed({"uncertainties": {"signal": 1.0, "background": 0.01}}))
    for ensemble in ("drawn", "centres"):
        (point,) = coverage(study, "my-ge", "q_ee", [0.0], toys=200, ensemble=ensemble).points
        assert 0.8 < point.coverage <= 1


def test_a_statistic_that_data_do_not_have_is_refused(tmp_path):
    """Counts of one's own have Poisson's or least squares; residuals with errors are Gaussian and nothing else."""
    path = tmp_path / "residuals.csv"
    rows = ["recoil_energy_kev_low,recoil_energy_kev_high,counts,error", "1,10,5000,90", "10,20,800,40"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    keys = {"detectors.0.bins": 2, "detectors.0.threshold_kev": 1, "detectors.0.maximum_kev": 20}
    edges = {"detectors.0.bin_edges_kev": [1, 10, 20], "detectors.0.observed": {"file": str(path)}}
    study = cl.study_from_dict(changed({**dict.fromkeys(keys, REMOVED), **edges}))
    (point,) = coverage(study, "my-ge", "q_ee", [0.0], toys=100).points
    assert point.statistic == "gaussian"
    with pytest.raises(StudyError, match="that of my-ge is gaussian"):
        coverage(study, "my-ge", "q_ee", [0.0], toys=100, statistic="poisson")
