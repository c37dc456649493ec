"""`check` refuses what `run` would refuse for a reason that needs no fit, in the same message; memory is foreseen."""

from __future__ import annotations

import importlib
import tracemalloc

import numpy as np
import pytest
from support import REMOVED, STUDY, changed

import cevnslab as cl
from cevnslab.errors import StudyError
from cevnslab.figures.catalogue import draw
from cevnslab.studies import sizes
from cevnslab.studies.preparation import check, prepare

SHORT = "# keV efficiency\n0 0.2\n2 0.5\n10 0.9\n"
FELDMAN_COUSINS = {"intervals": {"method": "feldman-cousins", "toys": 1000}}
FILE = {"file": "short.dat", "axis": "recoil"}
QUENCHED = changed(
    {
        "detectors.0.threshold_kev": REMOVED,
        "detectors.0.maximum_kev": REMOVED,
        "detectors.0.background_ckkd": REMOVED,
        "detectors.0.threshold_kevee": 0.3,
        "detectors.0.maximum_kevee": 20.0,
        "detectors.0.background_ckkd_ee": 4,
        "detectors.0.resolution": {"sigma_kevee": 0.1, "at_kevee": 1.0},
        "detectors.0.quenching": 0.2,
    }
)


def panel(**keys):
    return {"figures": [{"name": "f", "panels": [keys]}]}


def design(key, low, high):
    """A design question along a key."""
    goal = {"coupling": "q_ee", "upper": 1e-9}
    return {"design": [{"name": "d", "key": key, "from": low, "to": high, "detector": "my-ge", "goal": goal}]}


def limit_map(key, low, high):
    """A map of three values of a key, and two of the exposure."""
    x = {"key": key, "from": low, "to": high, "points": 3}
    y = {"key": "exposure_years", "from": 1, "to": 5, "points": 2}
    return {"maps": [{"name": "m", "x": x, "y": y, "detector": "my-ge", "coupling": "q_ee"}]}


def shape(**keys):
    return {"systematics": [{"name": "s", "on": "signal", "kind": "energy_scale", "width": 0.02, **keys}]}


EDGES = list(range(1, 1002))
REFUSED = {
    "an efficiency that is too short": (
        {"detectors.0.efficiency": FILE},
        ["detectors.my-ge: the efficiency table covers 0 to 10 keV", "extend the table"],
    ),
    "bins that no recoil reaches": (
        {"detectors.0.threshold_kev": 300, "detectors.0.maximum_kev": 400},
        ["detectors.my-ge: no recoil reaches the bins"],
    ),
    "bins that the largest recoil reaches by seven sigma of resolution": (
        {
            "detectors.0.threshold_kev": 90,
            "detectors.0.maximum_kev": 120,
            "detectors.0.resolution": {"sigma_kev": 1, "at_kev": 90},
        },
        ["detectors.my-ge: no recoil reaches the bins: they begin at 90, the largest recoil", "probability"],
    ),
    "an efficiency that is too short at a scanned threshold": (
        {
            "detectors.0.efficiency": FILE | {"file": "long.dat"},
            "scans": [{"name": "t", "key": "detectors.my-ge.threshold_kev", "values": [1.0, 0.05]}],
        },
        ["scans.t.key: detectors.my-ge.threshold_kev = 0.05: ", "the efficiency table covers 0.1 to 500 keV"],
    ),
    "a scan to bins that no recoil reaches": (
        {
            "detectors.0.maximum_kev": 400,
            "scans": [{"name": "t", "key": "detectors.my-ge.threshold_kev", "values": [1.0, 300.0]}],
        },
        ["scans.t.key: detectors.my-ge.threshold_kev = 300: ", "no recoil reaches the bins"],
    ),
    "a map with a corner that is not allowed": (
        {
            "maps": [
                {
                    "name": "m",
                    "x": {"key": "detectors.my-ge.threshold_kev", "from": 1, "to": 50, "points": 2},
                    "y": {"key": "exposure_years", "from": 1, "to": 5, "points": 2},
                    "detector": "my-ge",
                    "coupling": "q_ee",
                }
            ]
        },
        ["maps.m: ", "detectors.my-ge.threshold_kev = 50", "must be below maximum_kev"],
    ),
    "a map with a corner that no recoil reaches": (
        {
            "detectors.0.maximum_kev": 400,
            "maps": [
                {
                    "name": "m",
                    "x": {"key": "detectors.my-ge.threshold_kev", "from": 1, "to": 300, "points": 2},
                    "y": {"key": "exposure_years", "from": 1, "to": 5, "points": 2},
                    "detector": "my-ge",
                    "coupling": "q_ee",
                }
            ],
        },
        ["maps.m: detectors.my-ge.threshold_kev = 300, exposure_years = 1: ", "no recoil reaches the bins"],
    ),
    "a map over a key that is no number": (
        {
            "maps": [
                {
                    "name": "m",
                    "x": {"key": "detectors.my-ge.target", "from": 1, "to": 50, "points": 2},
                    "y": {"key": "exposure_years", "from": 1, "to": 5, "points": 2},
                    "detector": "my-ge",
                    "coupling": "q_ee",
                }
            ]
        },
        ["maps.m.x.key: detectors.my-ge.target: only a number can be varied", "'Ge'"],
    ),
    "a design of a key that is not there": (
        {
            "design": [
                {
                    "name": "d",
                    "key": "detectors.my-ge.quenching",
                    "from": 1,
                    "to": 2,
                    "detector": "my-ge",
                    "goal": {"coupling": "q_ee", "upper": 1e-9},
                }
            ]
        },
        ["design.d.key: detectors.my-ge.quenching: the study gives no 'quenching'"],
    ),
    "a design over a key of a detector without the detector": (
        design("resolution.sigma_kev", 1, 2),
        ["design.d.key: ", "did you mean 'detectors.my-ge.resolution.sigma_kev'?"],
    ),
    "a design over a key of a detector by its name alone": (
        design("my-ge.mass_kg", 1, 2),
        ["design.d.key: ", "did you mean 'detectors.my-ge.mass_kg'?"],
    ),
    "a design over a key of its own": (
        design("design.d.from", 1, 2),
        ["design.d.key: design.d.from: the study gives no 'design'"],
    ),
    "a design of which no value is allowed": (
        design("detectors.my-ge.mass_kg", -2, -1),
        ["design.d.from: no value of detectors.my-ge.mass_kg up to `to` can be used", "must be above 0, got -2"],
    ),
    "a design to what is beyond numbers": (
        design("detectors.my-ge.mass_kg", 1, 1e300),
        ["design.d.to: must be at most 1e+100, got 1e+300"],
    ),
    "a scan over what is beyond numbers": (
        {"scans": [{"name": "s", "key": "exposure_years", "values": {"from": -1e308, "to": 5, "points": 3}}]},
        ["scans.s.values.from: must be at least -1e+100"],
    ),
    "a map over halves of bins": (
        limit_map("detectors.my-ge.bins", 1, 4),
        ["maps.m.x.points: detectors.my-ge.bins must be a whole number at all of them, got 2.5"],
    ),
    "a map over a width that is none": (
        limit_map("uncertainties.signal", 0, 1e-9),
        ["maps.m.x: uncertainties.signal = 5e-10", "must be 0, which fixes it, or at least 1e-09"],
    ),
    "least squares of a bin without counts": (
        {"statistic": "least-squares", "detectors.0.observed": [5, 5, 0, 5, 5, 5, 5, 5]},
        ["detectors.my-ge: my-ge: the bin with recoil_energy_kev", "has no counts", "statistic: poisson"],
    ),
    "a cross section on electrons of an element without levels": (
        {
            "cross_sections": [
                {"target": "Sn", "channel": "electron", "energy_mev": 30, "coupling": "q_ee", "values": [1e-9]}
            ]
        },
        ["cross_sections.1: no subshell binding energies are tabulated for Sn"],
    ),
    "a quenching that is bent where there is none": (
        shape(kind="quenching"),
        ["systematics.s.kind: detector my-ge has no quenching"],
    ),
    "a threshold that is moved out of its bin": (
        shape(kind="threshold", width=6),
        ["systematics.s.width: a shift of 6 moves the lowest edge of my-ge"],
    ),
    "a pull that is not there": (
        shape(kind="normalisation", replaces=["my-ge.sgnal"]),
        ["systematics.s.replaces: no pull 'my-ge.sgnal'", "my-ge.signal"],
    ),
    "toys that do not resolve the level": (
        {"intervals": {"method": "feldman-cousins", "toys": 100, "confidence_level": 0.99}},
        ["intervals.toys: 100 toys do not resolve 99 %, which needs 1000"],
    ),
    "toys of too many counts": (
        {"detectors.0.mass_kg": 1e12, "detectors.0.background_ckkd": 1e9, **FELDMAN_COUSINS},
        ["detectors.my-ge: ", "more than pseudo-experiments draw", "mass_kg"],
    ),
    "counts whose fluctuation is lost in rounding": (
        {"source": {"preset": "ess", "neutrinos_per_proton": 1e28}, "statistic": "poisson"},
        ["detectors.my-ge: ", "counts are expected in a bin, more than 1e+24", "lower mass_kg"],
    ),
    "bands of too many counts": (
        {"detectors.0.mass_kg": 1e12, "detectors.0.background_ckkd": 1e9, "bands": {"toys": 400}},
        [
            "detectors.my-ge: ",
            "the bin with recoil_energy_kev",
            "more than pseudo-experiments draw (1e+15), here for bands",
        ],
    ),
    "bands of too many counts at a scanned value": (
        {
            "detectors.0.distance_m": 1e-3,
            "bands": {"toys": 400},
            "scans": [{"name": "t", "key": "detectors.my-ge.mass_kg", "values": [5, 1e12]}],
        },
        ["scans.t.key: detectors.my-ge.mass_kg = 1e+12: detectors.my-ge: ", "here for bands"],
    ),
    "a fit to counts where too many are expected": (
        {"detectors.0.mass_kg": 1e12, "detectors.0.background_ckkd": 1e9, "detectors.0.observed": [5] * 8},
        ["detectors.my-ge: ", "here for the goodness of fit to observed counts", "lower mass_kg"],
    ),
    "a signal outside the target's range": (
        {
            "couplings": ["neutron_radius"],
            **panel(spectrum="my-ge", values=[{"neutron_radius": 0.5}]),
        },
        ["neutron_radius", "0.5"],
    ),
    "the place of a legend that there is not": (
        panel(limits="q_ee", legend="upper left"),
        ["figures.f.panels.1.legend: not a key of a limits panel"],
    ),
    "the place of a legend of one region": (
        {"contours": [["q_ee", "q_emu"]], **panel(contour=["q_ee", "q_emu"], legend="upper left")},
        ["figures.f.panels.1.legend: a panel with one line or region has none"],
    ),
    "pulls that are not kept": (
        panel(pulls="my-ge", coupling="q_ee"),
        ["figures.f.panels.1.pulls: my-ge is a projection"],
    ),
    "a data panel of a projection": (
        panel(data="my-ge", axis="recoil_energy_kev"),
        ["figures.f.panels.1.data: 'my-ge' is no detector of this study with observed counts"],
    ),
    "an axis that observed counts do not have": (
        {"detectors.0.observed": [5] * 8, **panel(data="my-ge", axis="time_us")},
        ["figures.f.panels.1.axis: 'time_us' is no axis of my-ge", "recoil_energy_kev"],
    ),
    "a scanned detector that the key does not change": (
        {
            "detectors": [STUDY["detectors"][0], {**STUDY["detectors"][0], "name": "other"}],
            "scans": [{"name": "t", "key": "detectors.my-ge.threshold_kev", "values": [1.0, 2.0]}],
            **panel(scan="t", coupling="q_ee", detectors=["other"]),
        },
        ["figures.f.panels.1.detectors: 'other' is no detector that the scan t changes"],
    ),
    "counts that memory cannot hold": (
        {
            "couplings": ["q_ee", "q_emu", "mu_e", "mu_mu", "q_etau", "q_mumu"],
            "detectors.0.bins": 10000,
            "detectors.0.time_bin_edges_us": EDGES,
            "systematics": [
                {"name": f"s{number}", "on": "signal", "kind": "energy_scale", "width": 0.02} for number in range(40)
            ],
        },
        ["detectors.my-ge.bins: 10000000 bins of ", "GB of memory", "fewer"],
    ),
    "radii that are missing": (
        {"detectors.0.target": "ThPaO2"},
        ["no rms radius of Th", "no rms radius of Pa", "rms_radius_fm"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_check_refuses_what_run_refuses(case, command, write_study, tmp_path):
    changes, words = REFUSED[case]
    (tmp_path / "short.dat").write_text(SHORT, encoding="utf-8")
    (tmp_path / "long.dat").write_text("0.1 0.2\n2 0.5\n500 0.9\n", encoding="utf-8")
    study, output = write_study(changed(changes)), tmp_path / "out"
    message = [command(verb, study, *(["-o", output] if verb == "run" else [])) for verb in ("check", "run")]
    assert [ran.status for ran in message] == [2, 2]
    assert message[0].err == message[1].err
    assert message[0].out == message[1].out == ""
    assert len(message[0].err.splitlines()) == 1
    assert all(word in message[0].err for word in words)
    assert not output.exists()


def test_coverage_refuses_counts_that_cannot_be_drawn(command, write_study, tmp_path):
    changes, words = REFUSED["toys of too many counts"]
    study, output = write_study(changed(changes)), tmp_path / "out"
    options = ["--detector", "my-ge", "--coupling", "q_ee", "--at", "0", "--toys", "100"]
    ran = command("coverage", study, *options, "-o", output)
    assert (ran.status, ran.out) == (2, "")
    assert all(word in ran.err for word in words)
    assert not output.exists()


def test_coverage_refuses_a_true_value_of_too_many_counts(command, write_study, tmp_path):
    study, output = write_study(changed({"detectors.0.mass_kg": 1e7})), tmp_path / "out"
    options = ["--detector", "my-ge", "--coupling", "q_ee", "--at", "1e-4", "--toys", "100"]
    ran = command("coverage", study, *options, "-o", output)
    assert (ran.status, ran.out) == (2, "")
    assert all(
        word in ran.err for word in ["at: ", "counts at q_ee = 0.0001 in the bin with recoil", "here for coverage"]
    )
    assert not output.exists()


def test_bins_above_the_end_of_cevns_measure_electrons():
    keys = {
        "couplings": ["mu_e", "neutron_radius"],
        "channels": ["cevns", "electron"],
        "detectors.0.electron_quenching": 0.2,
        "detectors.0.threshold_kev": 500,
        "detectors.0.maximum_kev": 900,
    }
    both = cl.study_from_dict(changed(keys)).run()
    alone = cl.study_from_dict(changed(keys | {"couplings": ["mu_e"], "channels": ["electron"]})).run()
    assert both.limit("my-ge", "mu_e").segments[0] == pytest.approx(alone.limit("my-ge", "mu_e").segments[0], rel=1e-12)
    assert both.limit("my-ge", "neutron_radius").kinds == (("unconstrained", "unconstrained"),)
    assert not both.spectra[0].cevns.any()
    assert np.all(both.spectra[0].electron > 0)


def test_observed_counts_can_be_asked_for_in_a_panel():
    keys = {"detectors.0.observed": [900] * 8, **panel(data="my-ge", axis="recoil_energy_kev", below="pulls")}
    result = cl.study_from_dict(changed(keys)).run()
    assert draw(result, result.study["figures"][0]).axes


def test_check_says_what_a_run_takes(command, write_study):
    ran = command(
        "check",
        write_study(
            changed({**FELDMAN_COUSINS, "scans": [{"name": "t", "key": "exposure_years", "values": [1, 2, 3]}]})
        ),
    )
    assert "memory: 2.4 kB of counts in fits, most for my-ge, 8 bins of 6 products of couplings" in ran.out
    assert "memory: 256 kB for 1000 pseudo-experiments at once" in ran.out
    assert "3 points of scans and maps, a study each" in ran.out


def test_a_map_over_powers_of_two():
    # 2 to 32 in even steps of the logarithm: rounding makes 4.000000000000001 of 4.
    content = changed(limit_map("detectors.my-ge.bins", 2, 32))
    content["maps"][0]["x"] |= {"points": 5, "scale": "log"}
    study = cl.study_from_dict(content)
    assert study.file.maps[0].x.values == [2, 4, 8, 16, 32]
    check(study)


def test_check_says_a_law_of_light_in_words(command, write_study):
    ran = command("check", write_study(changed({"detectors.0.quenching": {"lindhard_k": "standard"}}, QUENCHED)))
    assert "light: Lindhard quenching, k 0.1573\n" in ran.out


def test_the_size_of_a_response_is_foreseen():
    study = cl.study_from_dict(QUENCHED | {"uncertainties": {"signal": 0.1, "background": 0.1, "quenching": 0.02}})
    (size,) = sizes.sizes(study)
    response = study.setups[0].response
    assert (size.bins, size.bends) == (8, 1)
    # Couplings of different flavours have no product: at most so many are there.
    assert len(response.monomials) <= size.products <= 2 * len(response.monomials)
    assert size.response_bytes == 8 * size.bins * size.products


def test_the_memory_of_fits_is_foreseen(monkeypatch):
    module = importlib.import_module("cevnslab.likelihood.likelihood")
    monkeypatch.setattr(module, "LARGEST_BATCH", 1)  # a point at a time, as of many bins
    keys = changed(
        {
            "couplings": ["q_ee", "q_mumu", "q_emu", "q_etau", "q_mutau"],
            "statistic": "poisson",
            "detectors.0.bins": 200,
            "detectors.0.time_bin_edges_us": list(range(0, 2001, 100)),
            "systematics": [
                {"name": f"s{number}", "on": "signal", "kind": "energy_scale", "width": 0.01} for number in range(5)
            ],
        }
    )
    study = cl.study_from_dict(keys)
    (size,) = sizes.sizes(study)
    tracemalloc.start()
    try:
        likelihood = prepare(study).analyses["my-ge"].likelihood
        likelihood.minimised(np.full((1, 5), 1e-9))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (size.bins, size.products, size.bends) == (4000, 21, 5)
    assert 0.5 * size.likelihood_bytes < most < 2 * size.likelihood_bytes


def test_memory_is_that_of_the_machine(monkeypatch):
    assert sizes.memory_bytes() > 1e8
    study = cl.study_from_dict(STUDY)
    monkeypatch.setattr(sizes, "memory_bytes", lambda: 1000.0)
    with pytest.raises(StudyError, match=r"detectors\.my-ge\.bins: 8 bins of 6 products of couplings take"):
        study.run()


def test_levels_and_years_are_said_as_they_are(command, write_study):
    keys = changed({"intervals": {"confidence_level": 0.9999999}, "exposure_years": 1})
    ran = command("check", write_study(keys))
    assert "at 99.99999 % CL" in ran.out
    assert "1 year," in ran.out
    assert "1 years" not in ran.out
