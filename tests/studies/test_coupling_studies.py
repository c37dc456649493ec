"""Couplings of every kind in studies: mediators, scans of a mass, couplings minimised over, pseudo-experiments."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.optimize import minimize_scalar
from support import REMOVED, changed, least_squares, near

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.toys import as_data, draw
from cevnslab.physics.constants import SIN2_THETA_W
from cevnslab.physics.couplings import COUPLINGS, light_scalar, light_vector
from cevnslab.studies.analysis import analyses
from cevnslab.studies.coverage import coverage
from cevnslab.studies.presets import names
from cevnslab.studies.scans import vary
from cevnslab.studies.yaml_io import parse_yaml

G10 = {"name": "light_vector", "charges": "universal", "mass_mev": 10, "label": "g10"}
BL10 = {"name": "light_vector", "charges": "b-l", "mass_mev": 10, "label": "bl10"}
S10 = {"name": "light_scalar", "mass_mev": 10, "label": "s10"}
DECLARED = {
    "g10": light_vector("universal", 10.0, "g10"),
    "bl10": light_vector("b-l", 10.0, "bl10"),
    "s10": light_scalar(10.0, "s10"),
}
EVERY = [G10, BL10, S10, *COUPLINGS]
LEVEL = delta_chi2_level(0.90, 1)


def in_study(name):
    return {"g10": G10, "bl10": BL10, "s10": S10}.get(name, name)


@pytest.fixture(scope="module")
def everything():
    """All couplings that there are, in one study; each is held at the Standard Model in the others' limits."""
    return cl.study_from_dict(changed({"couplings": EVERY})).run()


@pytest.mark.parametrize("name", [*DECLARED, *COUPLINGS])
def test_limits_are_those_of_a_response_of_that_coupling_alone(name, everything):
    detector = cl.study_from_dict(changed({})).setups[0].detector
    coupling = DECLARED.get(name) or COUPLINGS[name]
    response = cl.response(cl.load_source("ess"), detector, couplings=[coupling], years=3)
    alone = interval(Chi2.of(least_squares(response, 0.10, 0.01), [name]), 0.90)
    limit = everything.limit("my-ge", name)
    assert limit.unit == coupling.unit
    assert np.array(limit.segments) == pytest.approx(np.array(alone.segments), rel=1e-7)
    info = everything.couplings[name]
    assert (info.symbol, info.unit, info.power) == (coupling.symbol, coupling.unit, coupling.power)
    assert info.standard_model == (coupling.reference if coupling.linear else None)


def test_files_of_every_kind(tmp_path):
    everything = cl.study_from_dict(changed({"couplings": ["q_ee", G10, "sin2_theta_w", "neutron_radius"]})).run()
    folder = everything.save(tmp_path)
    with open(folder / "limits.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for limit in everything.limits:
        rows_there = [row for row in rows if row["coupling"] == limit.coupling]
        assert [(float(row["lower"]), float(row["upper"])) for row in rows_there] == list(limit.segments)
    again = cl.load_result(folder)
    assert [limit.segments for limit in again.limits] == [limit.segments for limit in everything.limits]
    assert str(again) == str(everything)


def test_the_saved_study_gives_the_same_limits(everything):
    again = cl.study_from_dict(json.loads(json.dumps(everything.study))).run()
    assert [limit.segments for limit in again.limits] == [limit.segments for limit in everything.limits]


MASSES = [1.0, 30.0, 1000.0]


def test_scans_of_a_mass():
    keys = changed(
        {"couplings": [G10, "q_ee"], "scans": [{"name": "mass", "key": "couplings.g10.mass_mev", "values": MASSES}]}
    )
    result = cl.study_from_dict(keys).run()
    detector = cl.study_from_dict(changed({})).setups[0].detector
    ends = []
    for mass in MASSES:
        # The mass of a mediator is nothing to a charge: there is no row of it.
        limits = [p.limit for p in result.scans if p.value == mass]
        assert [limit.coupling for limit in limits] == ["g10"]
        coupling = light_vector("universal", mass, "g10")
        response = cl.response(cl.load_source("ess"), detector, couplings=[coupling], years=3)
        expected = interval(Chi2.of(least_squares(response, 0.10, 0.01), ["g10"]), 0.90)
        assert np.array(limits[0].segments) == near(np.array(expected.segments), 1e-9)
        ends.append(limits[0].segments[0][1])
    assert ends == sorted(ends)
    # Far above all momentum transfers only g/m counts.
    heavy = cl.study_from_dict(changed({"couplings.0.mass_mev": 4000.0, "scans": REMOVED}, keys)).run()
    assert heavy.limit("my-ge", "g10").segments[0][1] / ends[-1] == near(4.0, 2e-3)


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("couplings.g10.charges", "only a number"),
        ("couplings.g10.label", "only a number"),
        ("couplings.g11.mass_mev", "'g10'"),
        ("couplings.q_ee.mass_mev", "no 'q_ee'"),
        ("couplings.g10.mas_mev", "mass_mev"),
        ("couplings.g10", "mass_kg"),
    ],
)
def test_keys_of_a_mediator_that_cannot_be_scanned(key, word, command, write_study, tmp_path):
    keys = changed({"couplings": [G10, "q_ee"], "scans": [{"name": "s", "key": key, "values": [1.0]}]})
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert ran.status == 2
    assert "scans.s.key" in ran.err
    assert word in ran.err
    assert not (tmp_path / "out").exists()


def test_a_mass_that_cannot_be_is_refused_in_a_scan(command, write_study):
    keys = changed(
        {"couplings": [G10], "scans": [{"name": "s", "key": "couplings.g10.mass_mev", "values": [5.0, 0.0]}]}
    )
    ran = command("check", write_study(keys))
    assert ran.status == 2
    assert "mass_mev" in ran.err


HIDDEN_MEDIATOR = changed(
    {
        "couplings": ["r2_ee", BL10],
        "profile": ["bl10"],
        "profiles": [{"coupling": "r2_ee", "from": -2e-32, "to": 2e-32, "points": 3}],
    }
)


def test_a_mixed_study_minimises_over_its_couplings():
    study = cl.study_from_dict(HIDDEN_MEDIATOR)
    result = study.run()
    likelihood = study.setups[0].likelihood
    hidden = interval(Chi2.of(likelihood, ["r2_ee"], ["bl10"]), 0.90)
    assert result.limit("my-ge", "r2_ee").segments == hidden.segments
    # A coupling that is shown is not minimised over at the same time.
    held = cl.study_from_dict(changed({"profile": []}, HIDDEN_MEDIATOR)).run()
    assert result.limit("my-ge", "bl10").segments == held.limit("my-ge", "bl10").segments
    outer, inner = (limit.limit("my-ge", "r2_ee").segments for limit in (result, held))
    assert outer[0][0] < inner[0][0] * (1 - 1e-6) or outer[-1][1] > inner[-1][1] * (1 + 1e-6)
    (curve,) = result.profiles
    assert curve.delta_chi2 == pytest.approx(Chi2.of(likelihood, ["r2_ee"], ["bl10"])(curve.value), abs=1e-9)
    (plain,) = held.profiles
    assert np.all(curve.delta_chi2 <= plain.delta_chi2 + 1e-9)
    assert np.any(curve.delta_chi2 < 0.9 * plain.delta_chi2)


def test_check_names_what_is_minimised_over(command, write_study):
    changes = {"couplings": ["q_ee", G10], "profile": ["r2_ee", "mu_mu"], "radiative_corrections": True}
    ran = command("check", write_study(changed(changes)))
    assert (ran.status, ran.err) == (0, "")
    assert "r2_ee, mu_mu" in ran.out
    assert "g10" in ran.out
    assert "universal" in ran.out
    assert "radiatively corrected" in ran.out


def test_a_run_of_a_mixed_study(command, write_study, tmp_path):
    ran = command("run", write_study(HIDDEN_MEDIATOR), "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    folder = tmp_path / "out" / "my-study"
    rows = list(csv.DictReader((folder / "limits.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["coupling"] for row in rows} == {"r2_ee", "bl10"}
    assert json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["study"]["profile"] == ["bl10"]


REFUSED = {
    "a mass of nothing": ({"couplings": [{**G10, "mass_mev": 0}]}, ["couplings", "mass_mev", "above 0"]),
    "a negative mass": ({"couplings": [{**G10, "mass_mev": -3.0}]}, ["mass_mev", "-3"]),
    "no mass": ({"couplings": [{k: v for k, v in S10.items() if k != "mass_mev"}]}, ["couplings.s10", "mass_mev"]),
    "no label": ({"couplings": [{k: v for k, v in S10.items() if k != "label"}]}, ["couplings.1", "label"]),
    "no charges": ({"couplings": [{k: v for k, v in G10.items() if k != "charges"}]}, ["couplings.g10", "charges"]),
    "charges of a scalar": ({"couplings": [{**S10, "charges": "b-l"}]}, ["couplings.s10.charges", "light_vector"]),
    "unknown charges": ({"couplings": [{**G10, "charges": "b+l"}]}, ["charges", "'b+l'", "b-l"]),
    "an unknown family": ({"couplings": [{**G10, "name": "light_tensor"}]}, ["couplings", "'light_tensor'"]),
    "an unknown key": ({"couplings": [{**G10, "mass": 3}]}, ["mass", "mass_mev"]),
    "a label with a blank": ({"couplings": [{**G10, "label": "g 10"}]}, ["label", "'g 10'"]),
    "a label that is taken": ({"couplings": [{**G10, "label": "q_ee"}]}, ["label", "'q_ee'", "another"]),
    "the label of a family": ({"couplings": [{**G10, "label": "light_scalar"}]}, ["label", "'light_scalar'"]),
    "one label twice": ({"couplings": [G10, {**S10, "label": "g10"}]}, ["label", "'g10'"]),
    "a family by its name": ({"couplings": ["light_vector"]}, ["couplings", "light_vector", "mass_mev"]),
    "a hidden coupling that is none": ({"profile": ["q_mumuu"]}, ["profile", "'q_mumuu'", "'q_mumu'"]),
    "a hidden coupling twice": ({"profile": ["q_mumu", "q_mumu"]}, ["profile", "'q_mumu'", "twice"]),
    "a curve below nothing": (
        {"couplings": [G10], "profiles": [{"coupling": "g10", "from": -1e-6, "to": 1e-5}]}, ["profiles.1", "bounds"],
    ),
    "a mixing angle above one": (
        {"couplings": ["sin2_theta_w"], "profiles": [{"coupling": "sin2_theta_w", "from": 0.2, "to": 1.2}]},
        ["profiles.1", "bounds"],
    ),
    "corrected electrons": (
        {"channels": ["electron"], "radiative_corrections": True, "detectors.0.electron_quenching": 0.1},
        ["my-ge", "radiative_corrections"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    changes, words = REFUSED[mistake]
    ran = command("run", write_study(changed(changes)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


def fit_of(name, truth, statistic="least-squares"):
    study = cl.study_from_dict(changed({"couplings": [in_study(name)], "statistic": statistic}))
    return ToyFit.of(analyses(study)["my-ge"].likelihood, [name], [truth])


def standard_model(name):
    return SIN2_THETA_W if name == "sin2_theta_w" else 0.0


RANGES = {"g10": (0.0, 6e-5), "bl10": (0.0, 3e-5), "s10": (0.0, 3e-5), "sin2_theta_w": (0.0, 1.0)}


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
@pytest.mark.parametrize("share", [0.0, 0.2])
@pytest.mark.parametrize("name", RANGES)
def test_toys_against_a_scan_of_every_one(name, share, statistic):
    """chi^2 of each toy in the place of the data, lowest of a dense scan, refined by scipy."""
    truth = standard_model(name) + share * (0.3 if name == "sin2_theta_w" else 3e-5)
    fit = fit_of(name, truth, statistic)
    toys = draw(fit.likelihood, fit.truth, 6, np.random.default_rng(1), "drawn")
    values = np.linspace(*RANGES[name], 300)
    for toy, rises in enumerate(fit.delta_chi2(toys)):
        chi2 = Chi2.of(as_data(fit.likelihood, toys, toy), [name])
        curve = chi2(values)
        place = int(np.argmin(curve))
        around = values[max(place - 1, 0)], values[min(place + 1, len(values) - 1)]
        lowest = min(minimize_scalar(lambda x, f=chi2: float(f(x)), bounds=around, method="bounded").fun, curve[place])
        assert rises == pytest.approx(max(float(chi2(truth)) - lowest, 0.0), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
@pytest.mark.parametrize("name", ["bl10", "s10"])
def test_half_of_the_toys_fit_a_mediator_on_the_wall(name, statistic):
    """At g = 0 a signal that can only grow is fitted at nothing in half of the toys."""
    ours = fit_of(name, 0.0, statistic).simulated(2000, np.random.default_rng(2), "centres")
    assert np.mean(ours < 1e-9) == pytest.approx(0.5, abs=0.05)  # 4.5 binomial standard deviations
    assert np.quantile(ours, 0.90) < 0.85 * LEVEL


@pytest.mark.parametrize("name", ["g10", "bl10", "s10", "sin2_theta_w"])
def test_coverage_where_there_is_nothing_new(name):
    """On the wall an interval covers more than it says; with room on both sides, what it says."""
    study = cl.study_from_dict(changed({"couplings": [in_study(name)]}))
    point = coverage(study, "my-ge", name, [standard_model(name)], toys=2000, seed=3).points[0]
    if name == "sin2_theta_w":
        assert point.coverage == pytest.approx(0.90, abs=0.03)
        assert point.critical_value == near(LEVEL, 0.2)
    else:
        assert point.coverage > 0.92
        assert point.critical_value < 0.85 * LEVEL


@pytest.fixture(scope="module")
def simulated():
    options = {"method": "feldman-cousins", "toys": 300, "seed": 5}
    return cl.study_from_dict(changed({"couplings": [BL10, "sin2_theta_w"], "intervals": options})).run()


def test_feldman_cousins_of_a_mediator(simulated):
    limit = simulated.limit("my-ge", "bl10")
    assert limit.method == "feldman-cousins"
    assert limit.segments[0][0] == 0.0
    assert limit.delta_chi2_segments[0][0] == 0.0
    ((_, high),) = limit.segments
    assert high == near(limit.delta_chi2_segments[0][1], 0.15)
    (critical,) = [c for c in simulated.critical_values if c.coupling == "bl10"]
    assert critical.value[0] == 0.0
    assert critical.critical_value[0] < 0.85 * LEVEL
    assert np.all(critical.value >= 0)
    assert np.all(np.diff(critical.value) > 0)
    # Where delta chi^2 reaches the interpolated critical value, the interval ends.
    study = cl.study_from_dict(changed({"couplings": [BL10]}))
    at_end = float(analyses(study)["my-ge"].chi2("bl10")(high))
    assert at_end == near(float(np.interp(high, critical.value, critical.critical_value)), 1e-2)


def test_feldman_cousins_of_the_mixing_angle(simulated):
    limit = simulated.limit("my-ge", "sin2_theta_w")
    # Critical values of 300 toys scatter by a tenth and may cut a sliver off near an end: the outer ends are compared.
    low, high = limit.segments[0][0], limit.segments[-1][1]
    assert 0.0 < low < SIN2_THETA_W < high < 1.0
    assert (low, high) == near(np.array(limit.delta_chi2_segments[0]), 0.05)


def test_critical_values_are_of_possible_truths(simulated):
    (critical,) = [c for c in simulated.critical_values if c.coupling == "sin2_theta_w"]
    assert np.all((critical.value >= 0) & (critical.value <= 1))
    assert np.all(np.diff(critical.value) > 0)


def test_feldman_cousins_regions_of_a_mediator(monkeypatch):
    from cevnslab.studies import feldman_cousins

    monkeypatch.setattr(feldman_cousins, "REGION_POINTS", 6)
    options = {"method": "feldman-cousins", "toys": 100, "seed": 5}
    keys = changed({"couplings": [BL10, "q_ee"], "contours": [["bl10", "q_ee"]], "intervals": options})
    (region,) = cl.study_from_dict(keys).run().contours
    assert all(np.all(polygon[:, 0] >= 0) for polygon in region.polygons)


GOLDEN = Path(__file__).parents[1] / "data" / "golden-couplings.json"
TOTALS = json.loads(GOLDEN.read_text(encoding="utf-8"))["bins_CEvNS"]["values"]


@pytest.mark.parametrize("detector", TOTALS)
def test_radiative_corrections_in_a_study(detector):
    preset = f"ess-{detector.lower()}"
    keys = changed({"detectors": [{"preset": preset}], "radiative_corrections": True})
    plain = cl.study_from_dict(changed({"radiative_corrections": False}, keys))
    (spectrum,) = cl.study_from_dict(keys).run().spectra
    assert spectrum.cevns.sum() == near(TOTALS[detector]["total_SM_radiative"], 1e-9)
    assert plain.setups[0].response.counts().sum() == near(TOTALS[detector]["total_SM"], 1e-9)
    assert cl.study_from_dict(keys).sha256 != plain.sha256


def test_cross_sections_of_a_corrected_study_are_corrected():
    curve = {"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-9]}
    keys = changed({"cross_sections": [curve], "radiative_corrections": True})
    curves = cl.study_from_dict(keys).run().cross_sections
    for result, value in zip(curves, (0.0, 1e-9), strict=True):
        options = {"couplings": {"q_ee": value}, "radiative_corrections": True}
        expected = cl.cross_sections.cevns(result.recoil_kev, 30.0, "Ge", **options)
        assert result.dsigma_dt_cm2_per_kev == near(expected, 1e-12)


@pytest.mark.parametrize("name", ["g10", "sin2_theta_w", "neutron_radius", "mu_mu"])
def test_cross_sections_of_couplings_that_are_not_zero_in_the_standard_model(name):
    value = {"g10": 2e-5, "sin2_theta_w": 0.2, "neutron_radius": 4.3, "mu_mu": 1e-9}[name]
    curve = {"target": "Ge", "energy_mev": 30, "coupling": name, "values": [value], "rms_radius_fm": 4.06}
    keys = changed({"couplings": [in_study(name)], "cross_sections": [curve]})
    plain, shifted = cl.study_from_dict(keys).run().cross_sections
    coupling = DECLARED.get(name) or COUPLINGS[name]
    material = cl.nuclei.target("Ge", rms_radius_fm=4.06)
    incoming = coupling.flavours[0][0]
    assert plain.standard_model
    assert not shifted.standard_model
    assert plain.value == (4.06 if name == "neutron_radius" else coupling.reference)
    expected = cl.cross_sections.cevns(plain.recoil_kev, 30.0, material, incoming=incoming)
    assert plain.dsigma_dt_cm2_per_kev == near(expected, 1e-12)
    expected = cl.cross_sections.cevns(plain.recoil_kev, 30.0, material, incoming=incoming, couplings={coupling: value})
    assert shifted.dsigma_dt_cm2_per_kev == near(expected, 1e-12)


def test_the_presets_list_every_coupling(command):
    ran = command("presets")
    assert (ran.status, ran.err) == (0, "")
    for coupling in COUPLINGS.values():
        assert any(line.split()[:2] == [coupling.name, f"({coupling.unit})"] for line in ran.out.splitlines())
    for kind in ("sources", "detectors", "studies"):
        assert all(f"  {name}" in ran.out for name in names(kind))
    # The families stand there as they stand in a study.
    families = [line.split("    ")[0].strip() for line in ran.out.splitlines() if line.strip().startswith("{name:")]
    assert len(families) == 2
    study = cl.study_from_dict(changed({"couplings": [yaml.safe_load(line) for line in families]}))
    assert [coupling.name for coupling in study.couplings] == ["g10", "s10"]


@pytest.mark.parametrize("name", COUPLINGS)
def test_a_printed_coupling_is_yaml(name, command):
    ran = command("presets", name)
    assert (ran.status, ran.err) == (0, "")
    content, coupling = parse_yaml(ran.out, "printed"), COUPLINGS[name]
    assert isinstance(content["unit"], str)
    assert (content["name"], content["unit"]) == (coupling.name, coupling.unit)
    assert content["scale"] == near(coupling.scale, 1e-5)
    assert content["bounds"] == pytest.approx(list(coupling.bounds), rel=1e-5)
    assert [tuple(pair) for pair in content["flavours"]] == list(coupling.flavours)
    # With any YAML parser the unit "1" is a word, too.
    assert yaml.safe_load(ran.out)["unit"] == coupling.unit


def test_vary_changes_one_mediator_alone():
    study = cl.study_from_dict(changed({"couplings": [G10, BL10]}))
    varied, analysed = vary(study, "couplings.bl10.mass_mev", 55.0)
    assert analysed == {"my-ge"}
    assert varied.couplings == (DECLARED["g10"], light_vector("b-l", 55.0, "bl10"))
    assert study.couplings == (DECLARED["g10"], DECLARED["bl10"])
