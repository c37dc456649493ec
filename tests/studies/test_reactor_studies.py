"""Reactors as a study file describes them: the example studies, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support import near

import cevnslab as cl

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "sources"
FUEL = {"U235": 0.571, "U238": 0.076, "Pu239": 0.299, "Pu241": 0.054}
GERMANIUM = {
    "name": "ge",
    "target": "Ge",
    "mass_kg": 1,
    "distance_m": 20,
    "threshold_kev": 0.3,
    "maximum_kev": 2.5,
    "bins": 11,
    "resolution": "none",
    "efficiency": 1.0,
    "background_ckkd": 1,
}


def study(source, **detector):
    keys = {name: value for name, value in {**GERMANIUM, **detector}.items() if value is not None}
    return {
        "name": "at-a-reactor",
        "source": source,
        "exposure_years": 1,
        "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.05, "background": 0.02},
        "detectors": [keys],
    }


def counts(source, base=Path(), **detector):
    return cl.study_from_dict(study(source, **detector), base=base).setups[0].response.counts()


def spectra(path):
    return {name: response.counts() for name, response in cl.load_study(path).responses().items()}


@pytest.mark.parametrize("name", ["reactor-cores", "reactor-total-flux", "reactor-spectra"])
def test_the_example_studies_run(name, command, tmp_path):
    ran = command("run", EXAMPLES / f"{name}.yaml", "-o", tmp_path)
    assert (ran.status, ran.err) == (0, "")
    saved = json.loads((tmp_path / name / "provenance.json").read_text(encoding="utf-8"))["study"]
    first, second = cl.load_study(EXAMPLES / f"{name}.yaml"), cl.study_from_dict(saved, base=tmp_path)
    assert first.sha256 == second.sha256


def test_a_preset_with_a_key_changed():
    assert counts({"preset": "reactor", "thermal_power_gw": 6.0}) == near(2 * counts("reactor"), 1e-12)
    source = cl.study_from_dict(study({"preset": "reactor", "captures": 0.6})).setups[0].source
    assert (source.thermal_power_gw, source.captures) == (3.0, 0.6)


def test_a_source_file_with_a_preset(tmp_path):
    (tmp_path / "mine.yaml").write_text("{preset: reactor, thermal_power_gw: 4.25, name: mine}", encoding="utf-8")
    source = cl.load_source(tmp_path / "mine.yaml")
    assert (source.name, source.thermal_power_gw) == ("mine", 4.25)


def test_cores_are_the_sum_of_reactors():
    cores = [{"thermal_power_gw": 2.0, "distance_m": 15}, {"thermal_power_gw": 1.0, "distance_m": 30}]
    whole = counts({"preset": "reactor", "cores": cores}, distance_m=None)
    parts = [counts({"preset": "reactor", "thermal_power_gw": p}, distance_m=d) for p, d in ((2.0, 15), (1.0, 30))]
    assert whole == near(parts[0] + parts[1], 1e-12)


def test_a_detector_preset_drops_its_distance_where_cores_have_theirs():
    cores = {"preset": "reactor", "cores": [{"thermal_power_gw": 3.0, "distance_m": 20}]}
    detector = {"preset": "ess-ge", "threshold_kev": 0.3, "maximum_kev": 2.5, "bins": 11, "resolution": "none"}
    keys = study(cores)
    keys["detectors"] = [detector]
    plan = cl.study_from_dict(keys)
    assert plan.setups[0].detector.distance_m is None
    assert cl.study_from_dict(plan.as_dict()).sha256 == plan.sha256


def test_the_total_flux_of_the_example():
    """The same total without captures: 21 per cent more fissions, hence counts."""
    totals = spectra(EXAMPLES / "reactor-total-flux.yaml")
    assert totals["without"].sum() / totals["with-captures"].sum() == near(1 + 1.2 / 5.625, 2e-3)


def test_the_spectra_of_the_example():
    """The table to 13 MeV adds a sixth in this window; a coarse copy of it does as well to a per cent."""
    totals = {name: values.sum() for name, values in spectra(EXAMPLES / "reactor-spectra.yaml").items()}
    assert 1.1 < totals["huber-mueller"] / totals["mueller"] < 1.2
    assert totals["own-table"] == near(totals["huber-mueller"], 1e-2)


def test_the_nuisance_has_the_name_of_the_source():
    response = cl.study_from_dict(study({"preset": "reactor", "name": "plant"})).setups[0].response
    (name,) = response.flux_nuisances
    assert name == "plant.above_8_mev"
    nuisance = response.flux_nuisances[name]
    assert (nuisance.width, nuisance.centre) == (0.3, pytest.approx(-0.2))
    wide = {"preset": "reactor", "above_8_mev": {"factor": 1.0, "uncertainty": 0.5}}
    (nuisance,) = cl.study_from_dict(study(wide)).setups[0].response.flux_nuisances.values()
    assert (nuisance.width, nuisance.centre) == (0.5, 0.0)


def test_the_spectrum_of_today_by_name():
    """The numbers of the preset as it was: 8 MeV and not above."""
    today = cl.study_from_dict(study({"preset": "reactor", "spectrum": "mueller"})).setups[0]
    assert today.source.components[0].spectrum.maximum_energy_mev == 8.0
    assert today.response.parts == {}
    assert np.all(today.response.counts() < counts("reactor"))


def reactor(**keys):
    return {"preset": "reactor", **keys}


CORE = {"thermal_power_gw": 3.0, "distance_m": 20}
TOTAL = reactor(total_flux_per_cm2_s=1e13, reference_distance_m=20.0)
REFUSED = {
    "an unknown preset": (reactor(preset="reactr"), {}, ["source.preset", "'reactr'", "did you mean 'reactor'"]),
    "a preset that is no name": (reactor(preset=3), {}, ["source.preset", "3"]),
    "a key of another source": (reactor(protons_per_year=1e20), {}, ["protons_per_year", "unknown key"]),
    "two normalisations": (
        reactor(thermal_power_gw=3.0, total_flux_per_cm2_s=1e13),
        {},
        ["source.thermal_power_gw", "exactly one", "total_flux_per_cm2_s"],
    ),
    "no normalisation": (
        {"type": "reactor", "fission_fractions": FUEL, "hours_per_year": 8000},
        {},
        ["source.thermal_power_gw", "exactly one"],
    ),
    "a total flux without captures": (TOTAL, {}, ["source.captures", "required", "U-238"]),
    "a total flux somewhere": (
        reactor(total_flux_per_cm2_s=1e13, captures=0.6),
        {},
        ["source.reference_distance_m", "required"],
    ),
    "a reference distance of nothing": (
        reactor(thermal_power_gw=3.0, reference_distance_m=20.0),
        {},
        ["source.reference_distance_m", "total_flux"],
    ),
    "an unknown spectrum": (reactor(spectrum="huber"), {}, ["source.spectrum", "huber-mueller", "'huber'"]),
    "no distance": ("reactor", {"distance_m": None}, ["detectors.ge.distance_m", "required"]),
    "a distance beside cores": (reactor(cores=[CORE]), {}, ["detectors.ge.distance_m", "remove"]),
    "a core without a distance": (reactor(cores=[{"thermal_power_gw": 3.0}]), {}, ["distance_m", "required"]),
    "no cores": (reactor(cores=[]), {}, ["source.cores", "at least 1"]),
    "a spectrum that is not there": (reactor(spectrum={"file": "no.txt"}), {}, ["source", "no.txt"]),
    "a factor without its width": (reactor(above_8_mev={"factor": 0.8}), {}, ["above_8_mev.uncertainty"]),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    source, detector, words = REFUSED[mistake]
    ran = command("run", write_study(study(source, **detector)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err


NAMES = "energy_mev U235 U238 Pu239 Pu241"
FILES = {
    "a flavour": ("energy_mev nu_e\n1 2\n2 3\n", {}, ["fission.txt", "line 1", "'nu_e'", "U235"]),
    "a fuel that is missing": ("energy_mev U235\n1 2\n2 3\n", {}, ["U238", "U235"]),
    "a zero in a logarithm": (
        f"{NAMES}\n1 2 2 2 2\n2 0 1 1 1\n",
        {"interpolation": "logarithmic"},
        ["fission.txt", "logarithmic", "above 0"],
    ),
    "nothing": (f"{NAMES}\n1 0 0 0 0\n2 0 0 0 0\n", {}, ["no antineutrinos"]),
}


@pytest.mark.parametrize("mistake", FILES)
def test_files_that_are_no_fission_spectrum(mistake, command, write_study, tmp_path):
    text, options, words = FILES[mistake]
    (tmp_path / "fission.txt").write_text(text, encoding="utf-8")
    source = {"preset": "reactor", "spectrum": {"file": "fission.txt", **options}}
    ran = command("run", write_study(study(source)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert all(word in ran.err for word in ("source", *words)), ran.err


def test_the_hash_knows_the_fission_spectra(tmp_path):
    def sha256(text):
        (tmp_path / "fission.txt").write_text(text, encoding="utf-8")
        source = {"preset": "reactor", "spectrum": {"file": "fission.txt"}, "fission_fractions": {"U235": 1.0}}
        return cl.study_from_dict(study(source), base=tmp_path).sha256

    assert sha256("energy_mev U235\n1 2\n9 3\n") != sha256("energy_mev U235\n1 2\n9 4\n")


def test_the_nuisance_above_8_mev_is_fitted():
    """It widens a limit, more the wider its prior; fixed, the flux above 8 MeV is what the factor says."""
    keys = {"quenching": {"lindhard_k": 0.162}, "threshold_kev": None, "maximum_kev": None, "background_ckkd": None}
    keys |= {"threshold_kevee": 0.16, "maximum_kevee": 0.6, "bins": 22, "background_ckkd_ee": 10}
    upper = {}
    for width in (0.0, 0.3, 1.0):
        source = reactor(above_8_mev={"factor": 0.8, "uncertainty": width})
        result = cl.study_from_dict({**study(source, **keys), "couplings": ["mu_e"], "pulls": True}).run()
        upper[width] = result.limit("ge", "mu_e").segments[0][1]
        names = {pull.parameter: pull for pull in result.pulls}
        assert ("reactor.above_8_mev" in names) == (width > 0)
        if width:
            assert names["reactor.above_8_mev"].prior_width == width
            assert names["reactor.above_8_mev"].best_fit == pytest.approx(-0.2, abs=1e-3)
    assert upper[0.0] < upper[0.3] < upper[1.0]


@pytest.mark.parametrize(
    ("quenching", "words"),
    [
        (0.2, "light: quenching factor 0.2"),
        ({"lindhard_k": "standard"}, "light: Lindhard quenching, k 0.1458"),
        ({"file": "light.dat"}, "light: quenching table of 2 points, recoils from 0.01 to 100 keV"),
    ],
)
def test_the_light_is_described_in_words(quenching, words, command, write_study, tmp_path):
    (tmp_path / "light.dat").write_text("0.01 0.1\n100 0.3\n", encoding="utf-8")
    light = {"threshold_kev": None, "maximum_kev": None, "background_ckkd": None, "threshold_kevee": 0.05}
    keys = study("reactor", **light, target="Si", maximum_kevee=1, background_ckkd_ee=1, quenching=quenching)
    checked = command("check", write_study(keys))
    assert checked.status == 0, checked.err
    assert words in checked.out
