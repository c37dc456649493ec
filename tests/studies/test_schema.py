"""The study file: defaults, presets, overrides, round trips."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import MILLICHARGES, REMOVED, STUDY, changed, near

import cevnslab as cl
from cevnslab.errors import CevnslabError
from cevnslab.studies import presets
from cevnslab.studies.yaml_io import parse_yaml


def test_defaults_of_the_contract():
    study = cl.study_from_dict(STUDY)
    (setup,) = study.setups
    file = study.file
    assert (file.statistic, file.intervals.confidence_level, file.intervals.method) == (
        None,  # least-squares for projections, poisson or gaussian with counts of their own
        0.9,
        "delta-chi2",
    )
    assert (file.intervals.minimum, file.form_factor, file.nuclei) == ("global", "helm", "standard-weight")
    assert (setup.channels, setup.exposure_years, setup.statistic) == (("cevns",), 3, "least-squares")
    assert (setup.signal_uncertainty, setup.background_uncertainty) == (0.10, 0.01)
    assert setup.detector.resolution.law == "sqrt"
    assert setup.detector.label == "Ge"
    assert np.allclose(setup.detector.bin_edges_kev, np.linspace(1, 40, 9))
    assert setup.source.protons_per_year == 2.8e23


def test_a_detector_speaks_for_itself():
    source = {
        "source": "sns",
        "exposure_years": 1.5,
        "channels": ["cevns", "electron"],
        "electron_quenching": 0.2,
        "uncertainties": {"signal": 0.3, "background": 0},
        "label": "mine",
    }
    (setup,) = cl.study_from_dict(changed({f"detectors.0.{key}": value for key, value in source.items()})).setups
    assert (setup.source.name, setup.exposure_years, setup.channels) == ("sns", 1.5, ("cevns", "electron"))
    assert (setup.signal_uncertainty, setup.background_uncertainty) == (0.3, 0)
    assert (setup.detector.electron_quenching, setup.detector.label) == (0.2, "mine")


def test_a_source_of_ones_own():
    keys = {
        "type": "pion-decay-at-rest",
        "protons_per_year": 1e23,
        "neutrinos_per_proton": 0.09,
        "hours_per_year": 4000,
        "duty_factor": 1e-3,
    }
    nominal, other = (cl.study_from_dict(changed({"source": source})).responses()["my-ge"] for source in ("ess", keys))
    assert other.counts() == pytest.approx(nominal.counts() * (1e23 * 0.09) / (2.8e23 * 0.3), rel=1e-12)
    assert other.background == pytest.approx(nominal.background * (4000 * 1e-3) / (5000 * 0.04), rel=1e-12)


PROJECTED = [name for name in presets.names("detectors") if "dataset" not in presets.load("detectors", name)]


@pytest.mark.parametrize("preset", PROJECTED)
def test_every_detector_preset_stands_in_a_study(preset):
    study = cl.study_from_dict(changed({"detectors": [{"preset": preset}]}))
    (setup,) = study.setups
    assert setup.name == preset
    assert np.array_equal(setup.detector.bin_edges_kev, cl.load_detector(preset).bin_edges_kev)
    assert setup.channels == (("cevns", "electron") if "electron" in preset else ("cevns",))
    assert study.responses()[preset].counts().sum() > 0


@pytest.mark.parametrize("preset", [name for name in presets.names("detectors") if name not in PROJECTED])
def test_every_data_set_stands_in_a_study_beside_projected_detectors(preset):
    entries = [{"preset": preset}, {"preset": "ess-ge"}]
    study = cl.study_from_dict(changed({"detectors": entries, "channels": ["cevns"]}))
    measured, projected = study.setups
    assert (measured.name, measured.dataset, measured.statistic) == (preset, preset, "poisson")
    assert (measured.channels, projected.statistic) == (("cevns",), "least-squares")
    assert measured.setup.mass_kg == presets.load("detectors", preset)["mass_kg"]
    again = cl.study_from_dict(parse_yaml(yaml.safe_dump(study.as_dict()), "written"))
    assert again.sha256 == study.sha256


def test_overriding_a_preset():
    entry = {"preset": "ess-ge", "name": "far-ge", "distance_m": 40, "mass_kg": 14}
    (setup,) = cl.study_from_dict(changed({"detectors": [entry]})).setups
    assert (setup.name, setup.detector.distance_m, setup.detector.mass_kg) == ("far-ge", 40, 14)
    assert len(setup.detector.bin_edges_kev) == 105


def test_overriding_one_way_of_saying_drops_the_others():
    entry = {"preset": "ess-ge", "bin_edges_kev": [0.6, 1, 2, 5], "background_ckd": 12}
    (setup,) = cl.study_from_dict(changed({"detectors": [entry]})).setups
    assert setup.detector.bin_edges_kev.tolist() == [0.6, 1, 2, 5]
    assert setup.detector.background_per_kg_day.sum() == near(12.0, 1e-12)
    assert setup.detector.background_per_kg_day[2] == near(12 * 3 / 4.4, 1e-12)


@pytest.mark.parametrize("word", ["same-axis", 1.0])
def test_one_axis_for_electrons(word):
    (setup,) = cl.study_from_dict(changed({"detectors.0.electron_quenching": word})).setups
    assert setup.detector.electron_quenching == 1.0


def test_files_are_found_beside_the_study(tmp_path, write_study):
    (tmp_path / "eff.csv").write_text("# keV, efficiency\n0, 0.1\n1, 0.5\n500, 0.9\n", encoding="utf-8")
    (tmp_path / "bkg.txt").write_text("0.5 4.0\n50 8.0\n", encoding="utf-8")
    keys = changed(
        {
            "detectors.0.efficiency": {"file": "eff.csv", "axis": "recoil"},
            "detectors.0.background_ckkd": REMOVED,
            "detectors.0.background_file": "bkg.txt",
        }
    )
    study = cl.load_study(write_study(keys))
    detector = study.setups[0].detector
    assert detector.efficiency.energy_kev == (0.0, 1.0, 500.0)
    assert detector.background_per_kg_day.sum() == near(39 * (4 + 4 * (20.5 - 0.5) / 49.5), 1e-12)
    assert study.run().limit("my-ge", "q_ee").segments


@pytest.mark.parametrize("law", ["constant", "linear", "sqrt"])
def test_every_law_runs(law):
    resolution = {
        "sigma_kev": 0.2,
        "at_kev": 1.0,
        "law": law,
        **({"minimum_true_kev": 0.3} if law == "constant" else {}),
    }
    sharp, smeared = (
        cl.study_from_dict(changed({"detectors.0.resolution": value})).responses()["my-ge"].counts()
        for value in ("none", resolution)
    )
    assert not np.allclose(sharp, smeared, rtol=1e-4)
    assert smeared.sum() == near(sharp.sum(), 0.1)


def test_the_hash_is_of_the_keys_not_of_their_order():
    turned = {key: STUDY[key] for key in reversed(STUDY)}
    assert cl.study_from_dict(turned).sha256 == cl.study_from_dict(STUDY).sha256
    assert cl.study_from_dict(changed({"exposure_years": 4})).sha256 != cl.study_from_dict(STUDY).sha256


@given(
    mass=st.floats(1e-3, 1e6),
    threshold=st.floats(0.05, 5.0),
    bins=st.integers(1, 50),
    confidence=st.floats(0.5, 0.999),
    signal=st.just(0.0) | st.floats(1e-9, 1),
    couplings=st.lists(st.sampled_from(MILLICHARGES), min_size=1, unique=True),
    electron=st.booleans(),
    preset=st.sampled_from([None, "ess-ar", "ess-csi-electron"]),
)
def test_a_study_survives_a_round_trip(mass, threshold, bins, confidence, signal, couplings, electron, preset):
    keys = changed(
        {
            "couplings": couplings,
            "uncertainties.signal": signal,
            "intervals": {"confidence_level": confidence},
            "profiles": [{"coupling": couplings[0], "from": -1e-8, "to": 1e-8, "points": 5}],
            "detectors.0.mass_kg": mass,
            "detectors.0.threshold_kev": threshold,
            "detectors.0.bins": bins,
        }
    )
    if electron:
        keys["channels"], keys["detectors"][0]["electron_quenching"] = ["cevns", "electron"], 0.2
    if preset:
        keys["detectors"].append({"preset": preset, "mass_kg": mass, "electron_quenching": "same-axis"})
    study = cl.study_from_dict(keys)
    again = cl.study_from_dict(parse_yaml(yaml.safe_dump(study.as_dict()), "written"))
    assert again.sha256 == study.sha256
    assert again.as_dict() == study.as_dict()
    for one, other in zip(study.setups, again.setups, strict=True):
        assert np.array_equal(one.detector.bin_edges_kev, other.detector.bin_edges_kev)
        assert (one.detector.mass_kg, one.channels) == (other.detector.mass_kg, other.channels)


def test_the_paper_survives_a_round_trip():
    study = cl.load_study("parada2024")
    again = cl.study_from_dict(parse_yaml(yaml.safe_dump(study.as_dict()), "written"))
    assert again.sha256 == study.sha256


def test_the_built_in_study_is_what_the_contract_says():
    study = cl.load_study("parada2024")
    assert [setup.name for setup in study.setups] == [
        "ess-csi",
        "ess-xe",
        "ess-ge",
        "ess-csi-electron",
        "ess-csi-electron-same-axis",
    ]
    assert [coupling.name for coupling in study.couplings] == [*MILLICHARGES[:3], "q_mutau", "q_etau"]
    assert [figure.name for figure in study.file.figures] == [f"figure-{n}" for n in range(1, 7)]


def test_names_and_paths(tmp_path, write_study):
    assert cl.load_study(str(write_study(STUDY))).name == "my-study"
    with pytest.raises(CevnslabError, match="parada2024"):
        cl.load_study("parada2042")
    detector = tmp_path / "ge.yaml"
    detector.write_text(yaml.safe_dump(STUDY["detectors"][0]), encoding="utf-8")
    assert cl.load_detector(detector).mass_kg == 5
    source = tmp_path / "source.yaml"
    source.write_text(presets.text("sources", "sns").replace("1.57e+23", "2e23"), encoding="utf-8")
    assert cl.load_source(source).protons_per_year == 2e23
    with pytest.raises(CevnslabError, match="ess"):
        cl.load_source("esss")


def test_a_study_is_frozen():
    study = cl.study_from_dict(STUDY)
    with pytest.raises((AttributeError, ValueError, TypeError)):
        study.file.exposure_years = 5
    with pytest.raises(AttributeError):
        study.setups[0].exposure_years = 5
