"""Uncertainties that detectors share, priors of couplings: every kind, every message, and what a name means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import changed, near
from written_out import lowest, names_of, objective

import cevnslab as cl
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.quenching import ConstantQuenching, Lindhard
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.studies.analysis import analyses

CSI, LAR = "coherent-csi-2021", "coherent-lar-2020"
LIGHT = {
    "name": "light",
    "target": "Ge",
    "mass_kg": 3,
    "distance_m": 18,
    "quenching": {"lindhard_k": 0.157},
    "threshold_kevee": 0.25,
    "maximum_kevee": 10.0,
    "bins": 12,
    "resolution": {"sigma_kevee": 0.04, "at_kevee": 0.2},
    "efficiency": 0.7,
    "background_ckkd_ee": 4,
}
ELECTRON = {"preset": "ess-csi", "name": "electron", "channels": ["cevns", "electron"], "electron_quenching": 0.1}
NAMED = {
    "preset": "ess-xe",
    "name": "named",
    "statistic": "poisson",
    "uncertainties": {"signal": 0.1},
    "backgrounds": [
        {"name": "flat", "ckkd": 3, "uncertainty": 0.05},
        {"name": "other", "ckkd": 0.7, "uncertainty": 0.2},
    ],
    "background_ckkd": None,
}
"""Beside my-ge, which has its bins in nuclear recoil energy."""


def study(*systematics, extra=(LIGHT, ELECTRON, NAMED), **changes):
    keys = changed({"couplings": ["q_ee", "q_mumu"], **changes})
    keys["detectors"] = [keys["detectors"][0], *({k: v for k, v in d.items() if v is not None} for d in extra)]
    keys["systematics"] = list(systematics)
    return cl.study_from_dict(keys)


def likelihoods(*systematics, **options):
    return {name: analysis.likelihood for name, analysis in analyses(study(*systematics, **options)).items()}


def counts(likelihood, **values):
    """Counts of every component in the Standard Model, nuisances in plain units by name."""
    (dataset,) = likelihood.datasets
    pulls = [(values.get(p.name, p.centre) - p.centre) / p.unit for p in likelihood.parameters]
    return likelihood.expected(likelihood.polynomial.standard_model, np.array(pulls))[dataset.name]


def parameters(likelihood):
    return {parameter.name: parameter for parameter in likelihood.parameters}


# normalisations -------------------------------------------------------------------------------------------------------

ACTED_ON = {
    "signal": {"my-ge": {"cevns"}, "light": {"cevns"}, "electron": {"cevns", "electron"}, "named": {"cevns"}},
    "cevns": {"my-ge": {"cevns"}, "light": {"cevns"}, "electron": {"cevns"}, "named": {"cevns"}},
    "electron": {"electron": {"electron"}},
    "background": {"my-ge": {"background"}, "light": {"background"}, "electron": {"background"}},
    "flat": {"named": {"flat"}},
    ("electron", "other"): {"electron": {"electron"}, "named": {"other"}},
}


@pytest.mark.parametrize("on", ACTED_ON, ids=str)
def test_a_normalisation_acts_on_what_it_names(on):
    plain = likelihoods()
    systematic = {"name": "common", "on": list(on) if isinstance(on, tuple) else on, "width": 0.07}
    for name, likelihood in likelihoods(systematic).items():
        acted = ACTED_ON[on].get(name, set())
        assert ("common" in parameters(likelihood)) == bool(acted)
        assert {p.name for p in plain[name].parameters} | ({"common"} if acted else set()) == set(
            parameters(likelihood)
        )
        moved, nominal = counts(likelihood, common=0.3), counts(plain[name])
        for sample, expected in nominal.items():
            assert moved[sample] == near(expected * (1.3 if sample in acted else 1.0), 1e-12)
        if acted:
            assert parameters(likelihood)["common"].width == 0.07


def test_some_detectors_alone():
    by_name = likelihoods({"name": "common", "width": 0.07, "detectors": ["light", "named"]})
    assert {name for name, each in by_name.items() if "common" in parameters(each)} == {"light", "named"}


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
def test_factors_multiply_and_limits_end_where_minuit_says(statistic):
    """Own, common: (1 + a)(1 + f) on the signal, in one detector and in an independent combination."""
    systematics = [{"name": "flux", "width": 0.08}, {"name": "rate", "on": "background", "width": 0.05}]
    extra = [{"preset": "ess-csi", "statistic": statistic}]
    combination = [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "independent"}]
    material = study(*systematics, extra=extra, combinations=combination, statistic=statistic)
    likelihood = analyses(material)["both"].likelihood
    assert [name for name in names_of(likelihood) if "." not in name] == ["flux", "rate"]
    chi2 = Chi2.of(likelihood, ["q_ee"])
    for value in (-9e-9, 2e-8):
        assert float(chi2(value)) == pytest.approx(lowest(likelihood, {"q_ee": value}, tol=1e-5).chi2, abs=1e-6)


def test_a_common_flux_is_what_a_correlated_combination_has():
    """Nothing of one's own but the flux: `signal: correlated` by another name."""
    common = study(
        {"name": "flux", "width": 0.1},
        extra=[{"preset": "ess-csi"}],
        combinations=[{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "independent"}],
        **{"uncertainties.signal": 0.0},
    )
    correlated = study(
        extra=[{"preset": "ess-csi"}],
        combinations=[{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "correlated"}],
    )
    at = np.array([-8e-9, 0.0, 3e-9, 4e-8])
    ours, theirs = (Chi2.of(analyses(each)["both"].likelihood, ["q_ee"])(at) for each in (common, correlated))
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


# shapes ---------------------------------------------------------------------------------------------------------------


def expected_of(detector, source="ess", years=3, channels=("cevns",)):
    """Counts of every channel of a detector made by hand."""
    response = cl.response(
        cl.load_source(source), detector, couplings=["q_ee", "q_mumu"], years=years, channels=channels
    )
    return {channel: response.standard_model(channel) for channel in channels}


def assert_bends(by_name, name, detector, moved, **options):
    """At a pull of plus and minus one the counts are those of moved detectors, all else as it was."""
    likelihood = by_name[detector]
    assert parameters(likelihood)[name].width == 1.0
    for sign, by_hand in zip((1.0, -1.0), moved, strict=True):
        result, expected = counts(likelihood, **{name: sign}), expected_of(by_hand, **options)
        nominal = counts(likelihood)
        for sample in result:
            assert result[sample] == near(expected.get(sample, nominal[sample]), 1e-10)
            assert sample not in expected or np.any(abs(result[sample] / nominal[sample] - 1) > 1e-4)


def detector_of(name):
    return next(setup.detector for setup in study().setups if setup.name == name)


def test_an_energy_scale():
    """Energies that are too high by a factor: edges that are too low by it, in recoil energy and in light."""
    by_name = likelihoods({"name": "calibration", "kind": "energy_scale", "width": 0.03})
    for name in ("my-ge", "light"):
        detector = detector_of(name)
        moved = [replace(detector, bin_edges_kev=detector.bin_edges_kev / (1 + s * 0.03)) for s in (1, -1)]
        assert_bends(by_name, "calibration", name, moved)


def test_an_energy_scale_of_one_channel():
    by_name = likelihoods({"name": "calibration", "kind": "energy_scale", "width": 0.03, "on": "electron"})
    assert "calibration" not in parameters(by_name["my-ge"])
    moved, nominal = counts(by_name["electron"], calibration=1.0), counts(by_name["electron"])
    assert moved["cevns"] == near(nominal["cevns"], 1e-14)
    assert np.all(moved["electron"] != nominal["electron"])


def test_quenching():
    """A quenching that is higher by a factor: more light at every recoil energy, in constant quenching exactly."""
    keys = {**LIGHT, "quenching": 0.2}
    by_name = likelihoods(
        {"name": "light_yield", "kind": "quenching", "width": 0.1, "detectors": ["light"]}, extra=[keys]
    )
    (detector,) = (s.detector for s in study(extra=[keys]).setups if s.name == "light")
    moved = [replace(detector, quenching=ConstantQuenching(0.2 * (1 + s * 0.1))) for s in (1, -1)]
    assert_bends(by_name, "light_yield", "light", moved)


def test_lindhards_k():
    by_name = likelihoods({"name": "k", "kind": "lindhard_k", "width": 0.05, "detectors": ["light"]})
    detector = detector_of("light")
    assert isinstance(detector.quenching, Lindhard)
    moved = [replace(detector, quenching=replace(detector.quenching, k=0.157 * (1 + s * 0.05))) for s in (1, -1)]
    assert_bends(by_name, "k", "light", moved)


def test_a_threshold_moves_the_lowest_edge():
    by_name = likelihoods({"name": "edge", "kind": "threshold", "width": 0.04, "detectors": ["my-ge", "light"]})
    for name in ("my-ge", "light"):
        detector = detector_of(name)
        moved = []
        for sign in (1, -1):
            edges = detector.bin_edges_kev.copy()
            edges[0] += sign * 0.04
            moved.append(replace(detector, bin_edges_kev=edges))
        for sign, by_hand in zip((1.0, -1.0), moved, strict=True):
            varied, nominal = counts(by_name[name], edge=sign), counts(by_name[name])
            assert varied["cevns"] == near(expected_of(by_hand)["cevns"], 1e-10)
            # With a resolution next to nothing else moves than the lowest bin.
            assert abs(varied["cevns"][0] / nominal["cevns"][0] - 1) > 1e-3
            assert varied["background"] == near(nominal["background"], 1e-14)


def test_a_threshold_moves_an_efficiency_table():
    """A curve that is flat at its ends, moved by hand."""
    edge = {"name": "edge", "kind": "threshold", "width": 0.1, "detectors": ["my-ge"]}
    table = EfficiencyTable((0.05, 1.5, 2.5, 45.0), (0.1, 0.1, 0.8, 0.8), "reconstructed")
    (tmp,) = study(extra=()).setups
    setup = replace(tmp, detector=replace(tmp.detector, efficiency=table))
    from cevnslab.studies.schema.systematics import Systematic
    from cevnslab.studies.systematics import with_systematics

    likelihood = with_systematics(setup.likelihood, setup, [Systematic(**edge)])
    for sign in (1.0, -1.0):
        shifted = EfficiencyTable((0.05, 1.5 + 0.1 * sign, 2.5 + 0.1 * sign, 45.0), table.efficiency, "reconstructed")
        expected = expected_of(replace(setup.detector, efficiency=shifted))["cevns"]
        assert counts(likelihood, edge=sign)["cevns"] == near(expected, 1e-9)
    assert np.all(setup.detector.bin_edges_kev == tmp.detector.bin_edges_kev)


def test_shapes_of_a_source_in_parts():
    """A reactor's flux above 8 MeV is a part of its own: both parts bend, each as itself."""
    source = {"preset": "reactor", "above_8_mev": {"factor": 0.9, "uncertainty": 0.3}}
    keys = {**LIGHT, "mass_kg": 1, "distance_m": 25, "threshold_kevee": 0.2, "maximum_kevee": 1.0}
    scale = {"name": "calibration", "kind": "energy_scale", "width": 0.02}
    study = cl.study_from_dict(
        {
            "name": "reactor",
            "source": source,
            "exposure_years": 1,
            "couplings": ["q_ee"],
            "uncertainties": {"signal": 0.05, "background": 0.02},
            "detectors": [keys],
            "systematics": [scale],
        }
    )
    likelihood, (setup,) = analyses(study)["light"].likelihood, study.setups
    assert sum(sample.name == "cevns" for sample in likelihood.datasets[0].samples) == 2
    for sign in (1.0, -1.0):
        detector = replace(setup.detector, bin_edges_kev=setup.detector.bin_edges_kev / (1 + sign * 0.02))
        moved = setup.varied(detector, "by hand")
        expected = sum(rows[0] * (0.9 if part else 1.0) for part, rows in moved.parts["cevns"].items())
        assert counts(likelihood, calibration=sign)["cevns"] == near(expected, 1e-10)
    for value in (-2e-12, 3e-12):
        ours = float(Chi2.of(likelihood, ["q_ee"])(value))
        assert ours == pytest.approx(lowest(likelihood, {"q_ee": value}, tol=1e-5).chi2, abs=1e-5)


# pulls that are there -------------------------------------------------------------------------------------------------


def test_pulls_of_projections_are_joined():
    """Two energy scales of the detectors' own under one name, without a bend more."""
    widths = {"uncertainties.energy_scale": 0.04}
    joined = {
        "name": "calibration",
        "kind": "energy_scale",
        "width": 0.04,
        "detectors": ["my-ge", "light"],
        "replaces": ["my-ge.energy_scale", "light.energy_scale"],
    }
    combination = [{"name": "both", "detectors": ["my-ge", "light"], "signal": "independent"}]
    ours = likelihoods(joined, extra=[LIGHT], combinations=combination, **widths)["both"]
    common = {**joined, "replaces": []}
    theirs = likelihoods(common, extra=[LIGHT], combinations=combination)["both"]
    assert set(parameters(ours)) == set(parameters(theirs))
    at = np.array([-8e-9, 3e-9, 2e-8])
    assert Chi2.of(ours, ["q_ee"])(at) == pytest.approx(Chi2.of(theirs, ["q_ee"])(at), rel=1e-9)


def test_a_normalisation_takes_the_width_and_acts_once():
    joined = {"name": "flux", "width": 0.03, "replaces": ["my-ge.signal"]}
    by_name = likelihoods(joined, extra=[{"preset": "ess-csi"}])
    assert "my-ge.signal" not in parameters(by_name["my-ge"])
    assert parameters(by_name["my-ge"])["flux"].width == parameters(by_name["ess-csi"])["flux"].width == 0.03
    assert counts(by_name["my-ge"], flux=0.5)["cevns"] == near(1.5 * counts(by_name["my-ge"])["cevns"], 1e-12)
    assert counts(by_name["ess-csi"], flux=0.5)["cevns"] == near(1.5 * counts(by_name["ess-csi"])["cevns"], 1e-12)


def test_pulls_of_data_are_joined(coherent_data):
    """Both of CsI's quenching pulls as one, beside a projected detector of the same crystal."""
    keys = {
        "name": "joined",
        "couplings": ["q_ee"],
        "source": "ess",
        "exposure_years": 3,
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [{"preset": CSI, "nuisances": "shape"}, LIGHT],
        "combinations": [{"name": "both", "detectors": [CSI, "light"], "signal": "independent"}],
    }
    pulls = [f"{CSI}.quenching_0", f"{CSI}.quenching_1"]
    systematic = {"name": "yield", "kind": "quenching", "width": 0.05, "replaces": pulls}
    plain = analyses(cl.study_from_dict(keys, data=coherent_data))
    by_name = analyses(cl.study_from_dict({**keys, "systematics": [systematic]}, data=coherent_data))
    names = parameters(by_name[CSI].likelihood)
    assert "yield" in names
    assert not set(pulls) & set(names)
    # Held at one standard deviation: both of the data's own pulls are there.
    moved = counts(by_name[CSI].likelihood, **{"yield": 1.0})["cevns"]
    assert moved == near(counts(plain[CSI].likelihood, **dict.fromkeys(pulls, 1.0))["cevns"], 1e-12)
    both = by_name["both"].likelihood
    assert [p.name for p in both.parameters].count("yield") == 1
    for value in (-5e-8, 6e-8):
        ours = float(Chi2.of(both, ["q_ee"])(value))
        assert ours == pytest.approx(lowest(both, {"q_ee": value}, random=3).chi2, abs=3e-3)


def test_a_common_flux_of_both_experiments(coherent_data):
    """10 % of a flux common to CsI and LAr beside their own parts: limits of an independent calculation, in 1e-9 e."""
    remainders = {CSI: np.sqrt(0.12**2 - 0.10**2), LAR: np.sqrt((17 / 128) ** 2 - 0.10**2)}
    keys = {
        "name": "flux",
        "couplings": ["q_ee", "q_mumu"],
        "detectors": [
            {"preset": name, "uncertainties": {"signal": float(width)}} for name, width in remainders.items()
        ],
        "combinations": [{"name": "both", "detectors": [CSI, LAR], "signal": "independent"}],
        "systematics": [{"name": "flux", "on": "signal", "width": 0.10}],
    }
    keys["detectors"][0]["off_counts"] = "exact"
    likelihood = analyses(cl.study_from_dict(keys, data=coherent_data))["both"].likelihood
    widths = {name: parameter.width for name, parameter in parameters(likelihood).items()}
    assert widths["flux"] == 0.10
    assert {name: widths[f"{name}.signal"] for name in remainders} == pytest.approx(remainders)
    for name, ends in {"q_ee": (-84.2, 74.1), "q_mumu": (-40.5, 38.0)}.items():
        (piece,) = cl.limit(likelihood, name).segments
        assert np.array(piece) * 1e9 == pytest.approx(ends, abs=0.051)


@pytest.mark.parametrize(
    ("name", "totals"), [("coherent", (0.12, 17 / 128, 0.12)), ("coherent-shape", (0.10, 17 / 128, 0.10))]
)
def test_the_studies_of_coherent_have_one_flux(name, totals, coherent_data):
    """10 % is common; with its own part each data set has the normalisation that it has by itself."""
    by_name = analyses(cl.load_study(name, data=coherent_data))
    for detector, total in zip((CSI, LAR, f"{CSI}-electron"), totals, strict=True):
        widths = {key: parameter.width for key, parameter in parameters(by_name[detector].likelihood).items()}
        assert widths["flux"] == 0.10
        assert np.hypot(widths["flux"], widths[f"{detector}.signal"]) == pytest.approx(total, abs=1e-5)
    both = parameters(by_name["coherent-csi-lar"].likelihood)
    assert [key for key in both if key in ("flux", f"{CSI}.signal", f"{LAR}.signal")] == [
        f"{CSI}.signal",
        "flux",
        f"{LAR}.signal",
    ]


def test_six_detectors_with_responses_of_their_own():
    """3 % of each detector beside a common 10 %: Minuit has the level at both ends of sin^2 theta_W."""
    likelihood = analyses(cl.load_study("ess-weak-mixing-angle"))["ess-six"].likelihood
    assert sum(parameter.width == 0.03 for parameter in likelihood.parameters) == 6
    (ends,) = cl.limit(likelihood, "sin2_theta_w").segments
    assert ends == pytest.approx((0.2186, 0.2626), abs=1e-4)
    for end in ends:
        minuit = lowest(likelihood, {"sin2_theta_w": end}, random=0, tol=1e-5)
        assert minuit.chi2 == pytest.approx(delta_chi2_level(0.90, 1), abs=1e-5)


# what a name means ----------------------------------------------------------------------------------------------------


def test_a_name_with_two_widths_in_a_combination_is_refused():
    """A systematic that bears the name of a pull of a detector, with another prior."""
    with pytest.raises(cl.CevnslabError, match=r"my-ge\.signal has two priors"):
        analyses(study({"name": "my-ge.signal", "width": 0.05}, extra=()))


# priors of couplings --------------------------------------------------------------------------------------------------


def test_a_prior_adds_its_term():
    priors = {"q_ee": {"centre": 2e-9, "width": 3e-9}}
    plain, constrained = (
        Chi2.of(likelihoods(extra=(), **keys)["my-ge"], ["q_ee"]) for keys in ({}, {"priors": priors})
    )
    at = np.array([-8e-9, 0.0, 5e-9, 4e-8])
    assert constrained(at) == pytest.approx(plain(at) + ((at - 2e-9) / 3e-9) ** 2, rel=1e-10)


def test_a_prior_on_a_coupling_that_is_minimised_over():
    """As wide as the sky it is none; as narrow as can be it holds the coupling; between, Minuit agrees."""
    keys = {"couplings": ["q_ee"], "profile": ["sin2_theta_w"]}
    centre = 0.23873

    def curve(**priors):
        likelihood = likelihoods(extra=(), **keys, **priors)["my-ge"]
        return likelihood, Chi2.of(likelihood, ["q_ee"], ["sin2_theta_w"])

    at = np.array([-6e-9, 4e-9, 9e-9])
    _, free = curve()
    _, wide = curve(priors={"sin2_theta_w": {"centre": centre, "width": 1e3}})
    narrow_likelihood, narrow = curve(priors={"sin2_theta_w": {"centre": centre, "width": 1e-9}})
    between, constrained = curve(priors={"sin2_theta_w": {"centre": centre, "width": 0.005}})
    assert wide(at) == pytest.approx(free(at), abs=1e-6)
    held = [lowest(narrow_likelihood, {"q_ee": value, "sin2_theta_w": centre}, tol=1e-5).chi2 for value in at]
    assert narrow(at) == pytest.approx(held, abs=1e-4)
    for value in at:
        start = {"sin2_theta_w": centre}
        minuit = lowest(between, {"q_ee": value}, free=start, random=0, tol=1e-5)
        assert float(constrained(value)) == pytest.approx(minuit.chi2, abs=1e-4)
    assert np.all(constrained(at) >= free(at) - 1e-9)
    assert np.all(constrained(at) <= narrow(at) + 1e-9)


def test_a_prior_is_one_in_a_combination():
    """Of a coupling, not of each detector: it counts once."""
    keys = {
        "priors": {"q_ee": {"centre": 0.0, "width": 3e-9}},
        "combinations": [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "independent"}],
    }
    by_name = likelihoods(extra=[{"preset": "ess-csi"}], **keys)
    at = np.array([4e-9])
    prior = (at / 3e-9) ** 2
    parts = [Chi2.of(by_name[name], ["q_ee"])(at) for name in ("my-ge", "ess-csi")]
    assert Chi2.of(by_name["both"], ["q_ee"])(at) == pytest.approx(sum(parts) - prior, rel=1e-9)
    names = names_of(by_name["both"])
    assert objective(by_name["both"], {"q_ee": 0.0}, dict.fromkeys(names, 0.0)) == pytest.approx(0.0, abs=1e-12)


# messages -------------------------------------------------------------------------------------------------------------

SOME = {"name": "x", "width": 0.05}
SHAPE = {**SOME, "kind": "energy_scale"}
REFUSED = {
    "no such detector": ([{**SOME, "detectors": ["my-gee"]}], {}, ["s.x.detectors", "my-gee", "my-ge"]),
    "a detector twice": ([{**SOME, "detectors": ["light", "light"]}], {}, ["s.x.detectors", "light", "twice"]),
    "no such sample": ([{**SOME, "on": "flatt"}], {}, ["s.x.on", "flatt", "flat"]),
    "a sample twice": ([{**SOME, "on": ["cevns", "cevns"]}], {}, ["s.x.on", "cevns", "twice"]),
    "no sample": ([{**SOME, "on": []}], {}, ["s.x.on"]),
    "no electrons anywhere": ([{**SOME, "on": "electron", "detectors": ["light"]}], {}, ["s.x.on", "electron"]),
    "signal and a channel": ([{**SOME, "on": ["signal", "cevns"]}], {}, ["s.x.on", "all channels"]),
    "a background of a shape": ([{**SHAPE, "on": "background"}], {}, ["s.x.on", "energy_scale", "signal"]),
    "not in a named detector": (
        [{**SOME, "on": "flat", "detectors": ["named", "light"]}], {}, ["s.x.detectors", "light", "flat"],
    ),
    "no width": ([{"name": "x"}], {}, ["s.x.width", "required"]),
    "a width of nothing": ([{**SOME, "width": 0}], {}, ["s.x.width"]),
    "a width that constrains nothing": (
        [{**SOME, "width": 4e17}],
        {},
        ["s.x.width: must be at least 1e-09 and at most 10, relative, got 4e+17"],
    ),
    "a width of next to nothing": ([{**SOME, "width": 1e-12}], {}, ["s.x.width", "at least 1e-09", "1e-12"]),
    "a width in words": ([{**SOME, "width": "wide"}], {}, ["s.x.width", "'wide'"]),
    "no such kind": ([{**SOME, "kind": "energyscale"}], {}, ["s.x.kind", "energy_scale"]),
    "no name": ([{"width": 0.1}], {}, ["systematics", "name", "required"]),
    "an unknown key": ([{**SOME, "detector": ["light"]}], {}, ["s.x.detector", "detectors"]),
    "two widths": ([SOME, {**SOME, "width": 0.06, "on": "background"}], {}, ["s.x", "one kind and width"]),
    "two kinds": ([SOME, {**SHAPE}], {}, ["s.x", "one kind and width"]),
    "twice on one sample": ([SOME, {**SOME, "on": "cevns", "detectors": ["light"]}], {}, ["s.x", "cevns", "light"]),
    "a pull of nobody": ([{**SOME, "replaces": ["lite.signal"]}], {}, ["s.x.replaces", "lite.signal", "light."]),
    "a pull that is not there": (
        [{**SHAPE, "replaces": ["light.quenching"]}], {}, ["s.x.replaces", "light.quenching", "light.signal"],
    ),
    "a pull twice": ([{**SOME, "replaces": ["light.signal"] * 2}], {}, ["s.x.replaces", "light.signal", "twice"]),
    "a pull of another kind": (
        [{**SHAPE, "replaces": ["light.signal"]}], {}, ["s.x.replaces", "light.signal", "its own kind"],
    ),
    "no quenching": ([{**SOME, "kind": "quenching"}], {}, ["s.x.kind", "my-ge", "no quenching"]),
    "not Lindhard's": (
        [{**SOME, "kind": "lindhard_k", "detectors": ["light"]}],
        {"detectors.1.quenching": 0.2},
        ["s.x.kind", "light", "Lindhard"],
    ),
    "an edge too far": (
        [{**SOME, "kind": "threshold", "width": 9.0, "detectors": ["my-ge"]}], {}, ["s.x.width", "my-ge", "9"],
    ),
    "a prior of nothing": ([], {"priors": {"q_tautau": {"centre": 0, "width": 1}}}, ["priors", "q_tautau", "q_mumu"]),
    "a prior without a width": ([], {"priors": {"q_ee": {"centre": 0}}}, ["priors.q_ee.width", "required"]),
    "a prior of width 0": ([], {"priors": {"q_ee": {"centre": 0, "width": 0}}}, ["priors.q_ee.width"]),
    "pulls in words": ([], {"pulls": "all"}, ["pulls", "'all'"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    systematics, changes, words = REFUSED[mistake]
    words = [word.replace("s.x", "systematics.x") for word in words]
    keys = changed({"couplings": ["q_ee", "q_mumu"]})
    keys["detectors"] += [dict(LIGHT), dict(ELECTRON), {k: v for k, v in NAMED.items() if v is not None}]
    keys = changed(changes, keys | {"systematics": systematics})
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


def test_data_come_with_their_own_shapes(coherent_data):
    keys = {
        "name": "x",
        "couplings": ["q_ee"],
        "detectors": [{"preset": CSI, "nuisances": "shape"}],
        "systematics": [{"name": "yield", "kind": "quenching", "width": 0.05}],
    }
    with pytest.raises(cl.CevnslabError, match=r"systematics.yield.detectors.*come with their own quenching.*replaces"):
        analyses(cl.study_from_dict(keys, data=coherent_data))


def test_a_signal_whose_normalisation_has_another_name_is_as_significant():
    keys = changed({"couplings": ["q_ee", "cevns_strength"]})
    flux = {"name": "flux", "on": "signal", "kind": "normalisation", "width": 0.10, "replaces": ["my-ge.signal"]}
    plain, renamed = (cl.study_from_dict(keys | extra).run() for extra in ({}, {"systematics": [flux]}))
    for table in ("summary", "significances"):
        (first,), (second,) = getattr(plain, table), getattr(renamed, table)
        assert second == first
    assert plain.limit("my-ge", "q_ee").segments == renamed.limit("my-ge", "q_ee").segments
