"""The Sun, supernovae and tables of bursts as a study file describes them: the example studies, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support import near

import cevnslab as cl
from cevnslab.physics.sources import Sun, Supernova, TabulatedBurst, TabulatedSource

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "sources"
NAMES = ("solar-8b", "solar-electrons", "solar-choices", "supernova", "tabulated-burst")
XENON = {
    "name": "xe",
    "target": "Xe",
    "mass_kg": 1000,
    "threshold_kev": 0.5,
    "maximum_kev": 4.5,
    "bins": 8,
    "resolution": "none",
    "efficiency": 1.0,
    "background_ckkd": 1e-4,
    "rms_radius_fm": 4.79,
}


def study(source, detector=(), **keys):
    entry = {name: value for name, value in {**XENON, **dict(detector)}.items() if value is not None}
    base = {
        "name": "natural",
        "source": source,
        "exposure_years": 1,
        "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.05, "background": 0.02},
        "detectors": [entry],
    }
    return {name: value for name, value in {**base, **keys}.items() if value is not None}


def response(*args, base=Path(), **keys):
    return cl.study_from_dict(study(*args, **keys), base=base).setups[0].response


def counts(*args, **keys):
    return response(*args, **keys).counts()


def sums(name):
    return {key: each.counts().sum() for key, each in cl.load_study(EXAMPLES / f"{name}.yaml").responses().items()}


@cache
def example(name):
    """The result of an example study, run once for all tests."""
    return cl.load_study(EXAMPLES / f"{name}.yaml").run()


@pytest.mark.parametrize("name", NAMES)
def test_the_example_studies_run(name, tmp_path):
    folder = example(name).save(tmp_path)
    saved = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["study"]
    assert cl.study_from_dict(saved).sha256 == cl.load_study(EXAMPLES / f"{name}.yaml").sha256


def test_the_command_runs_an_example(command, tmp_path):
    ran = command("run", EXAMPLES / "supernova.yaml", "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")


def test_the_presets():
    solar, boron, burst = (cl.load_source(name) for name in ("solar", "solar-8b", "supernova"))
    assert isinstance(solar, Sun)
    assert boron.branches == ("8B",)
    # One parameter for detectors of either.
    assert {n.name for n in boron.nuisances} == {"flux_8b"}
    assert solar.name == boron.name == "solar"
    assert isinstance(burst, Supernova)
    assert not any(each.needs_distance for each in (solar, boron, burst))


def test_limits_of_8b_with_transition_couplings():
    """The interval of eps_emu_u is not symmetric: density matrix."""
    result = example("solar-8b")
    ((low, high), *_) = result.limit("xenon", "eps_emu_u").segments
    assert low < 0 < high
    assert high != near(-low, 0.02)
    assert cl.load_study(EXAMPLES / "solar-8b.yaml").setups[0].response.counts().sum() == near(20 * 307.7, 2e-3)


def test_what_the_choices_of_the_sun_move():
    """solar.md, 3.1: +4 % of flux, -2.3 % with Bahcall above 0.5 keV, nothing for nuclei from the phase, hep +0.5 %."""
    totals = sums("solar-choices")
    assert totals["b16-gs98"] / totals["default"] == near(5.46 / 5.25, 1e-12)
    assert totals["bahcall"] / totals["default"] == near(300.7555 / 307.732, 1e-3)
    assert totals["delta-90"] == near(totals["default"], 1e-12)
    assert 1.002 < totals["with-hep"] / totals["default"] < 1.01
    ends = [np.ravel(example("solar-choices").limit(name, "q_mumu").segments) for name in ("default", "delta-90")]
    assert ends[0] != near(ends[1], 1e-2)


def test_moments_of_mass_states_at_the_sun():
    """pp and 7Be: nu_1 two thirds, nu_3 two per cent, so that mu_3 is known least."""
    result = example("solar-electrons")
    upper = {name: result.limit("xenon", name).segments[0][1] for name in ("mu_nu", "mu_1", "mu_2", "mu_3", "mu_tau")}
    assert upper["mu_nu"] < upper["mu_1"] < upper["mu_2"] < upper["mu_3"]
    # Counts are quadratic: 1/upper^4 adds up only where the shapes are the same.
    inverse = sum(upper[name] ** -2 for name in ("mu_1", "mu_2", "mu_3"))
    assert inverse == near(upper["mu_nu"] ** -2, 0.02)


def test_hours_are_live_hours():
    year = counts("solar-8b")
    assert counts("solar-8b", exposure_years=None, exposure_hours=365.25 * 24) == near(year, 1e-12)
    reactor = {"source": "reactor", "detector": {"distance_m": 20, "maximum_kev": 1.5}}
    full = counts(**reactor)
    assert counts(**reactor, exposure_years=None, exposure_hours=4000.0) == near(full / 2, 1e-12)
    keys = {"source": "reactor", "detector": {"distance_m": 20, "maximum_kev": 1.5, "exposure_hours": 2000.0}}
    assert counts(**keys) == near(full / 4, 1e-12)


def test_counts_of_a_burst():
    totals = sums("supernova")
    # 19.78 per tonne above 0.7 keV, physics.md, section 11; 2e-3 of them are above 40 keV.
    assert totals["as-emitted"] == near(40 * 19.78, 5e-3)
    assert totals["normal-ordering"] == near(totals["as-emitted"], 1e-9)
    assert totals["nearer"] == near(100 * totals["as-emitted"], 1e-9)
    responses = cl.load_study(EXAMPLES / "supernova.yaml").responses()
    assert responses["nearer"].background == near(3 * responses["as-emitted"].background, 1e-12)


def test_species_as_numbers_or_one_by_one():
    same = {"preset": "supernova", "energy_erg": 5e52, "mean_energy_mev": 13.0, "pinching": 2.5}
    each = dict.fromkeys(("nu_e", "anti_nu_e", "nu_x"), 13.0)
    burst = {"exposure_years": None}
    assert counts({**same, "mean_energy_mev": each}, **burst) == near(counts(same, **burst), 1e-14)


def test_the_tabulated_burst():
    """The preset as a table: a per cent from the straight lines between its points."""
    study_of_table = cl.load_study(EXAMPLES / "tabulated-burst.yaml")
    source = study_of_table.setups[0].source
    assert isinstance(source, TabulatedBurst)
    detector = study_of_table.setups[0].detector
    expected = cl.response(cl.load_source("supernova"), detector).counts()
    assert study_of_table.setups[0].response.counts().sum() == near(expected.sum(), 0.01)
    assert study_of_table.setups[0].response.background == near(
        detector.background_per_kg_day * detector.mass_kg * 20 / 86400, 1e-12
    )


def test_a_table_of_mass_states(tmp_path):
    """8B as columns nu_1, nu_2, nu_3: what the source itself gives."""
    sun = cl.load_source("solar-8b")
    energy = np.array(sun.components[0].spectrum.energies_mev)
    columns = [part.yield_per_primary * part.spectrum.density_per_mev(energy) for part in sun.components]
    rows = "\n".join(" ".join(repr(float(x)) for x in row) for row in np.column_stack([energy, *columns]))
    (tmp_path / "flux.txt").write_text(f"energy_mev nu_1 nu_2 nu_3\n{rows}\n", encoding="utf-8")
    table = {
        "name": "solar",
        "type": "tabulated",
        "file": "flux.txt",
        "reference_distance_m": "none",
        "hours_per_year": 8766,
    }
    keys = {"couplings": ["eps_emu_u", "mu_2"]}
    ours, theirs = response(table, base=tmp_path, **keys), response("solar-8b", **keys)
    assert isinstance(cl.study_from_dict(study(table, **keys), base=tmp_path).setups[0].source, TabulatedSource)
    for values in ({}, {"eps_emu_u": 0.2}, {"mu_2": 1e-9}):
        assert ours.counts(**values) == near(theirs.counts(**values), 1e-9)
    other = response({**table, "oscillation": {"sin2_theta23": 0.6}}, base=tmp_path, **keys)
    assert other.counts() == near(ours.counts(), 1e-12)
    assert other.counts(eps_emu_u=0.2) != near(ours.counts(eps_emu_u=0.2), 1e-3)


def test_a_detector_preset_needs_no_distance_at_the_sun(command, write_study, tmp_path):
    keys = study("solar-8b")
    keys["detectors"] = [
        {"preset": "ess-xe", "threshold_kev": 0.5, "maximum_kev": 4.5, "bins": 8, "resolution": "none"}
    ]
    plan = cl.study_from_dict(keys)
    assert plan.setups[0].detector.distance_m is None
    ran = command("check", write_study(keys))
    assert (ran.status, ran.err) == (0, "")
    assert "with neutrinos of solar, 1 year" in ran.out


def test_the_report_names_the_exposure(command, write_study, tmp_path):
    for source, keys, words in (
        ("supernova", {"exposure_years": None}, "one burst"),
        ("solar-8b", {"exposure_years": None, "exposure_hours": 500.0}, "500 hours"),
    ):
        ran = command("run", write_study(study(source, **keys)), "-o", tmp_path / source)
        assert (ran.status, ran.err) == (0, "")
        ran = command("report", tmp_path / source / "natural")
        assert (ran.status, ran.err) == (0, "")
        pages = list((tmp_path / source).rglob("*.html"))
        assert pages
        assert any(words in page.read_text(encoding="utf-8") for page in pages)


def test_an_ess_detector_beside_the_sun():
    """Each with its own source; the study's exposure is for both."""
    keys = study("ess")
    keys["detectors"] = [
        {"preset": "ess-ge"},
        {**XENON, "source": "solar-8b"},
        {**XENON, "name": "burst", "source": "supernova"},
    ]
    plan = cl.study_from_dict(keys)
    assert [setup.exposure_years for setup in plan.setups] == [1, 1, None]
    assert plan.setups[0].response.counts() == near(cl.response(
        cl.load_source("ess"), replace(cl.load_detector("ess-ge")), years=1).counts(), 1e-12)  # fmt: skip


TABLE = {"name": "t", "type": "tabulated", "file": "flux.txt", "reference_distance_m": 10.0, "hours_per_year": 5000}


def without(keys, *names):
    return {name: value for name, value in keys.items() if name not in names}


def burst_table(**keys):
    return {**without(TABLE, "hours_per_year"), "quantity": "fluence", **keys}


REFUSED = {
    "an unknown branch": ({"preset": "solar", "branches": ["9B"]}, {}, ["source.branches", "'9B'", "8B"]),
    "no branches": ({"preset": "solar", "branches": []}, {}, ["source.branches", "at least 1"]),
    "a branch twice": ({"preset": "solar", "branches": ["8B", "8B"]}, {}, ["source", "branches", "once"]),
    "an unknown flux": ({"preset": "solar", "flux": "b16"}, {}, ["source.flux", "b16-gs98", "'b16'"]),
    "an unknown shape": ({"preset": "solar", "shape_8b": "ortiz"}, {}, ["source.shape_8b", "winter", "'ortiz'"]),
    "an angle of no mixing": (
        {"preset": "solar", "oscillation": {"sin2_theta12": 1.5}}, {}, ["oscillation.sin2_theta12", "at most 1"],
    ),
    "a misspelt angle": (
        {"preset": "solar", "oscillation": {"sin2_theta_12": 0.3}}, {}, ["sin2_theta_12", "sin2_theta12"],
    ),
    "splittings in the wrong order": (
        {"preset": "solar", "oscillation": {"dm31_ev2": 1e-6}}, {}, ["source", "dm31_ev2"],
    ),
    "a distance from the Sun": ("solar-8b", {"detector": {"distance_m": 1.5e11}}, ["distance_m", "solar", "remove"]),
    "a distance from a supernova": (
        "supernova", {"exposure_years": None, "detector": {"distance_m": 1e10}}, ["distance_m", "supernova", "remove"],
    ),
    "years of a burst": ("supernova", {}, ["exposure_years", "supernova", "burst"]),
    "hours of a burst": (
        "supernova", {"exposure_years": None, "detector": {"exposure_hours": 10.0}}, ["xe.exposure_hours", "burst"],
    ),
    "years and hours": ("solar-8b", {"exposure_hours": 10.0}, ["exposure_hours", "not both"]),
    "no exposure": ("solar-8b", {"exposure_years": None}, ["exposure_years", "required", "exposure_hours"]),
    "a species too few": (
        {"preset": "supernova", "mean_energy_mev": {"nu_e": 12.0, "nu_x": 14.0}}, {"exposure_years": None},
        ["mean_energy_mev.anti_nu_e", "required"],
    ),
    "a pinching below one": (
        {"preset": "supernova", "pinching": 0.5}, {"exposure_years": None}, ["source", "pinching", "0.5"],
    ),
    "an unknown ordering": (
        {"preset": "supernova", "ordering": "no"}, {"exposure_years": None}, ["source.ordering", "normal", "'no'"],
    ),
    "a burst with a live time": (
        {**TABLE, "quantity": "fluence"}, {"exposure_years": None}, ["source.hours_per_year", "burst"],
    ),
    "a burst with a duty factor": (
        burst_table(duty_factor=0.5), {"exposure_years": None}, ["source.duty_factor", "burst"],
    ),
    "a flux with a window": ({**TABLE, "window_s": 3.0}, {}, ["source.window_s", "fluence"]),
    "a flux without a live time": (without(TABLE, "hours_per_year"), {}, ["source.hours_per_year", "required"]),
    "a distance in words": ({**TABLE, "reference_distance_m": "far"}, {}, ["source.reference_distance_m"]),
    "an unknown column": (TABLE, {"table": "energy_mev nu_4\n1 2\n2 3\n"}, ["'nu_4'", "nu_"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    source, keys, words = REFUSED[mistake]
    table = keys.get("table", "energy_mev nu_e\n1 2\n20 3\n")
    (tmp_path / "flux.txt").write_text(table, encoding="utf-8")
    ran = command("run", write_study(study(source, **without(keys, "table"))), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err


def test_a_flux_is_one_parameter_for_all_detectors():
    """Two detectors at the Sun, one by 8B alone: their combination has one flux of 8B."""
    keys = study("solar-8b", couplings=["sin2_theta_w"], uncertainties={"signal": 0.0, "background": 0.01}, pulls=True)
    second = {**XENON, "name": "xe-2", "source": {"preset": "solar", "branches": ["8B", "hep"]}}
    keys["detectors"] = [dict(XENON), second]
    keys["combinations"] = [{"name": "both", "detectors": ["xe", "xe-2"], "signal": "independent"}]
    pulls = [pull.parameter for pull in cl.study_from_dict(keys).run().pulls if pull.detector == "both"]
    assert pulls.count("solar.flux_8b") == 1
    assert pulls.count("solar.flux_hep") == 1
