"""Detectors on an electron-equivalent axis: scaled bins, direct integration, and every contradiction."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtr
from support import REMOVED, STUDY, changed, folded_cross_section, near, perfect

import cevnslab as cl
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.quenching import ConstantQuenching, Lindhard, QuenchingTable, ScaledQuenching
from cevnslab.detection.smearing import Resolution
from cevnslab.errors import PhysicsError
from cevnslab.physics.atoms import binding_energies_kev
from cevnslab.studies.build import build_detector

SOURCE = cl.load_source("ess")
GE = cl.load_detector("ess-ge")
LINDHARD = Lindhard(0.157, 32, 72.63)
TABLE = QuenchingTable((0.01, 1.0, 5.0, 20.0, 200.0), (0.05, 0.15, 0.22, 0.27, 0.32))


def in_light(detector, quenching, edges, **changes):
    edges = np.asarray(edges, dtype=float)
    nothing = np.zeros(len(edges) - 1)
    return replace(detector, quenching=quenching, bin_edges_kev=edges, background_per_kg_day=nothing, **changes)


@given(factor=st.floats(0.05, 1.0))
def test_a_constant_factor_scales_the_bins(factor):
    """Without resolution, light bins hold what recoil bins with edges 1/factor larger hold."""
    edges = np.array([1.0, 3.0, 8.0, 30.0])
    ours = in_light(perfect(GE, edges), ConstantQuenching(factor), edges * factor)
    counts = [
        cl.response(SOURCE, detector, couplings=["q_ee"], years=3).counts(q_ee=4e-9)
        for detector in (ours, perfect(GE, edges))
    ]
    assert counts[0] == near(counts[1], 1e-11)


@pytest.mark.parametrize("quenching", [LINDHARD, TABLE], ids=["lindhard", "table"])
def test_bins_between_recoil_energies_hold_the_same_counts(quenching):
    """Without resolution it is a change of variable, whatever the model."""
    edges = np.array([0.8, 2.5, 6.0, 40.0])
    ours = in_light(perfect(GE, edges), quenching, quenching.light_kev(edges))
    counts = [
        cl.response(SOURCE, detector, couplings=["q_ee"], years=3).counts(q_ee=4e-9)
        for detector in (ours, perfect(GE, edges))
    ]
    assert counts[0] == near(counts[1], 1e-9)
    assert ours.recoil_edges_kev == near(edges, 1e-12)


def integrated(detector, number, couplings, channel="cevns"):
    """Counts in a light bin: adaptive integration over the true recoil energy, each smeared in its light."""
    low, high = detector.bin_edges_kev[number : number + 2]
    resolution, quenching = detector.resolution, detector.quenching if channel == "cevns" else ConstantQuenching(1.0)

    def window(recoil):
        light = float(quenching.light_kev(recoil))
        sigma = float(resolution.width_kev(light))
        if not isinstance(detector.efficiency, EfficiencyTable):
            return (ndtr((high - light) / sigma) - ndtr((low - light) / sigma)) * detector.efficiency

        def density(seen):
            gauss = math.exp(-0.5 * ((seen - light) / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
            return gauss * float(detector.efficiency(seen))

        inner = [p for p in (*detector.efficiency.energy_kev, light) if low < p < high]
        return quad(density, low, high, points=inner or None, epsabs=1e-13, epsrel=1e-10, limit=200)[0]

    def integrand(recoil):
        return window(recoil) * folded_cross_section(SOURCE, detector.target, channel, recoil, couplings)

    light = np.geomspace(1e-3, 60.0, 20000)
    width = resolution.width_kev(light)
    reached = light[(low - light < 8 * width) & (light - high < 8 * width)]
    bottom, top = (float(quenching.recoil_kev(end)) for end in (reached[0], reached[-1]))
    nucleus = detector.target.constituents[0].nucleus
    ends = [nucleus.maximum_recoil_kev(c.spectrum.maximum_energy_mev) for c in SOURCE.components]
    if channel == "cevns":
        top = min(top, max(ends))
        bends = [*ends, *quenching.kinks_kev]
    else:
        bends = binding_energies_kev(nucleus.symbol).tolist()
    middle = [float(quenching.recoil_kev(edge)) for edge in (low, high)]
    inner = sorted({float(p) for p in (*bends, *middle) if bottom < p < top})
    total = sum(
        quad(integrand, a, b, epsabs=1e-9 * integrand(np.mean(middle)), epsrel=1e-8)[0]
        for a, b in itertools.pairwise([bottom, *inner, top])
    )
    luminosity = SOURCE.fluence_per_cm2(detector.distance_m, 3) * detector.mass_kg
    return total * luminosity * detector.target.nuclei_per_kg(detector.target.constituents[0])


LIGHT_BINS = [0.2, 0.4, 1.0, 5.0]
RESOLUTION = Resolution(0.05, 0.2)


@pytest.mark.parametrize("quenching", [LINDHARD, TABLE, ConstantQuenching(0.2)], ids=["lindhard", "table", "constant"])
@pytest.mark.parametrize("efficiency", [0.8, EfficiencyTable((0.1, 0.3, 6.0), (0.1, 0.6, 0.9), "reconstructed")])
def test_counts_against_adaptive_integration(quenching, efficiency):
    detector = in_light(GE, quenching, LIGHT_BINS, resolution=RESOLUTION, efficiency=efficiency)
    ours = cl.response(SOURCE, detector, couplings=["q_ee"], years=3).counts(q_ee=4e-9)
    for number in (0, 2) if isinstance(efficiency, float) else (1,):
        assert ours[number] == near(integrated(detector, number, {"q_ee": 4e-9}), 1e-6)


def test_electrons_on_the_light_axis():
    """They are not quenched: bins in keVee are bins of the electrons' energy."""
    detector = in_light(GE, LINDHARD, LIGHT_BINS, resolution=RESOLUTION)
    ours = cl.response(SOURCE, detector, couplings=["q_ee"], years=3, channels=["electron"])
    direct = integrated(detector, 1, {"q_ee": 1e-10}, "electron")
    assert ours.counts(q_ee=1e-10)[1] == near(direct, 1e-6)
    # The same without quenching, and with a common axis of both.
    common = replace(detector, quenching=None, electron_quenching=1.0)
    other = cl.response(SOURCE, common, couplings=["q_ee"], years=3, channels=["electron"])
    assert ours.counts(q_ee=1e-10) == near(other.counts(q_ee=1e-10), 1e-12)
    both = cl.response(SOURCE, detector, couplings=["q_ee"], years=3, channels=["cevns", "electron"])
    nuclei = cl.response(SOURCE, detector, couplings=["q_ee"], years=3)
    assert both.counts(q_ee=1e-10) == near(ours.counts(q_ee=1e-10) + nuclei.counts(q_ee=1e-10), 1e-12)


def test_the_axis_says_its_unit():
    light = cl.response(SOURCE, in_light(GE, LINDHARD, LIGHT_BINS, resolution=None), years=3)
    assert light.axes[0].name == "energy_kevee"
    assert cl.response(SOURCE, GE, years=3).axes[0].name == "recoil_energy_kev"


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_scaled_quenching(factor):
    scaled = ScaledQuenching(TABLE, factor)
    recoil = np.array([0.5, 3.0, 50.0])
    assert scaled.light_kev(recoil) == near(factor * TABLE.light_kev(recoil), 1e-14)
    assert scaled.recoil_kev(scaled.light_kev(recoil)) == near(recoil, 1e-12)
    assert scaled.kinks_kev == TABLE.energies_kev
    assert scaled.known_kev == TABLE.known_kev
    assert scaled.recoils_kev(float(scaled.light_kev(3.0))) == near((3.0,), 1e-12)


KEVEE = {
    "detectors.0.quenching": 0.2,
    "detectors.0.threshold_kev": REMOVED,
    "detectors.0.maximum_kev": REMOVED,
    "detectors.0.threshold_kevee": 0.2,
    "detectors.0.maximum_kevee": 8.0,
    "detectors.0.resolution": {"sigma_kevee": 0.04, "at_kevee": 0.2},
}
"""The small germanium detector with its energies in keVee."""
LIGHT = changed(KEVEE)


def built(changes, base=LIGHT, tmp_path=None):
    study = cl.study_from_dict(changed(changes, base), **({} if tmp_path is None else {"base": tmp_path}))
    return study.setups[0].detector


def test_a_constant_factor_in_a_study_is_the_same_detector():
    """Everything in keVee, and everything in keV: efficiency, resolution (both laws scale), flat background."""
    scaled = changed({"detectors.0.resolution": {"sigma_kev": 0.2, "at_kev": 1.0}})
    light = changed({"detectors.0.background_ckkd": REMOVED, "detectors.0.background_ckkd_ee": 20.0}, LIGHT)
    responses = [cl.study_from_dict(keys).setups[0].response for keys in (light, scaled)]
    assert responses[0].counts(q_ee=3e-9) == near(responses[1].counts(q_ee=3e-9), 1e-9)
    assert responses[0].background == near(responses[1].background, 1e-12)
    limits = [cl.study_from_dict(keys).run().limit("my-ge", "q_ee").segments for keys in (light, scaled)]
    assert np.array(limits[0]) == near(np.array(limits[1]), 1e-8)


def test_thresholds_in_kev_are_the_light_there():
    """1 keV of recoil is E_ee(1 keV): bins uniform in keV, then converted."""
    keys = {
        "detectors.0.quenching": {"lindhard_k": 0.157},
        "detectors.0.resolution": {"sigma_kevee": 0.04, "at_kevee": 0.2},
    }
    detector = built(keys, STUDY)
    model = Lindhard(0.157, 32, detector.target.constituents[0].nucleus.mass_u)
    assert detector.quenching == model
    assert detector.bin_edges_kev == near(model.light_kev(np.linspace(1.0, 40.0, 9)), 1e-14)
    explicit = built(
        {"detectors.0.quenching": {"lindhard_k": 0.157}, "detectors.0.bins": REMOVED,
         "detectors.0.threshold_kevee": REMOVED, "detectors.0.maximum_kevee": REMOVED,
         "detectors.0.bin_edges_kevee": model.light_kev(np.linspace(1.0, 40.0, 9)).tolist()}
    )  # fmt: skip
    assert explicit.bin_edges_kev == near(detector.bin_edges_kev, 1e-14)
    counts = [cl.response(SOURCE, each, years=3).counts() for each in (detector, explicit)]
    assert counts[0] == near(counts[1], 1e-12)
    uniform = built({"detectors.0.quenching": {"lindhard_k": 0.157}})
    assert uniform.bin_edges_kev == near(np.linspace(0.2, 8.0, 9), 1e-14)


def test_the_standard_lindhard_strength_is_of_the_target():
    detector = built({"detectors.0.quenching": {"lindhard_k": "standard"}})
    assert detector.quenching.strength == near(0.133 * 32 ** (2 / 3) * 72.63**-0.5, 1e-4)


def test_a_quenching_file(tmp_path):
    (tmp_path / "q.txt").write_text("# keV, factor\n0.01 0.05\n5, 0.2\n200 0.3\n", encoding="utf-8")
    detector = built({"detectors.0.quenching": {"file": "q.txt"}}, tmp_path=tmp_path)
    assert detector.quenching == QuenchingTable((0.01, 5.0, 200.0), (0.05, 0.2, 0.3))
    assert cl.response(SOURCE, detector, years=3).counts().sum() > 0


@pytest.mark.parametrize("quenching", [0.2, {"lindhard_k": 0.157}], ids=str)
def test_background_units(quenching):
    """Per keV of recoil, per keVee, and in all bins together."""
    base = {"detectors.0.quenching": quenching, "detectors.0.background_ckkd": REMOVED}
    per_recoil = built({**base, "detectors.0.background_ckkd": 4.0})
    per_light = built({**base, "detectors.0.background_ckkd_ee": 4.0})
    together = built({**base, "detectors.0.background_ckd": 4.0})
    edges = np.linspace(0.2, 8.0, 9)
    recoil = [float(per_recoil.quenching.recoil_kev(edge)) for edge in edges]
    assert per_light.background_per_kg_day == near(4.0 * np.diff(edges), 1e-12)
    assert per_recoil.background_per_kg_day == near(4.0 * np.diff(recoil), 1e-12)
    assert together.background_per_kg_day == near(np.full(8, 0.5), 1e-12)


def test_a_background_file_is_in_kev_of_recoil(tmp_path):
    (tmp_path / "b.txt").write_text("0.1 2\n100 2\n", encoding="utf-8")
    keys = {"detectors.0.background_ckkd": REMOVED, "detectors.0.background_file": "b.txt"}
    flat = built({"detectors.0.background_ckkd": 2.0})
    assert built(keys, tmp_path=tmp_path).background_per_kg_day == near(flat.background_per_kg_day, 1e-12)


CONTRADICTIONS = {
    "light without a model": ({"detectors.0.quenching": REMOVED}, ["quenching", "keVee"]),
    "thresholds in both units": ({"detectors.0.threshold_kev": 1.0}, ["threshold_kev", "not both"]),
    "edges in both units": ({"detectors.0.bin_edges_kev": [1.0, 2.0]}, ["bin_edges_kev", "not both"]),
    "edges and bins in keVee": ({"detectors.0.bin_edges_kevee": [1.0, 2.0]}, ["threshold_kevee", "either"]),
    "falling edges in keVee": (
        {"detectors.0.bin_edges_kevee": [2.0, 1.0], "detectors.0.bins": REMOVED,
         "detectors.0.threshold_kevee": REMOVED, "detectors.0.maximum_kevee": REMOVED},
        ["bin_edges_kevee", "rise"],
    ),
    "a threshold in keVee alone": ({"detectors.0.maximum_kevee": REMOVED}, ["maximum_kevee", "required"]),
    "a threshold above the maximum": ({"detectors.0.threshold_kevee": 9.0}, ["threshold_kevee", "maximum_kevee"]),
    "a resolution in keV": (
        {"detectors.0.resolution": {"sigma_kev": 0.2, "at_kev": 1.0}}, ["resolution", "sigma_kevee"],
    ),
    "a resolution in both": ({"detectors.0.resolution.sigma_kev": 0.2}, ["resolution.sigma_kev", "light"]),
    "half a resolution": ({"detectors.0.resolution.at_kevee": REMOVED}, ["resolution.at_kevee", "required"]),
    "a background in keVee and in keV": ({"detectors.0.background_ckkd_ee": 1.0}, ["background", "exactly one"]),
    "an efficiency of recoils": (
        {"detectors.0.efficiency": {"file": "e.txt", "axis": "recoil"}}, ["efficiency.axis", "reconstructed"],
    ),
    "two quenchings": ({"detectors.0.electron_quenching": 0.2}, ["electron_quenching", "remove it"]),
    "a factor above one": ({"detectors.0.quenching": 1.2}, ["quenching", "1.2"]),
    "a factor of nothing": ({"detectors.0.quenching": 0}, ["quenching", "0"]),
    "an unknown model": ({"detectors.0.quenching": {"birks": 1}}, ["quenching.birks", "unknown key"]),
    "a negative k": ({"detectors.0.quenching": {"lindhard_k": -0.1}}, ["lindhard_k", "-0.1"]),
    "a word for k": ({"detectors.0.quenching": {"lindhard_k": "usual"}}, ["lindhard_k"]),
    "lindhard of a compound": (
        {"detectors.0.quenching": {"lindhard_k": 0.1}, "detectors.0.target": "CsI"},
        ["quenching", "one element", "CsI"],
    ),
    "a file that is not there": ({"detectors.0.quenching": {"file": "no.txt"}}, ["quenching", "no.txt"]),
    "a file above one": ({"detectors.0.quenching": {"file": "high.txt"}}, ["quenching", "high.txt", "1.5"]),
    "a background per keV of recoil where the light falls": (
        {"detectors.0.quenching": {"file": "falls.txt"}}, ["background_ckkd", "one recoil energy each"],
    ),
    "a file that does not reach": (
        {"detectors.0.quenching": {"file": "short.txt"}}, ["background_ckkd", "extend the quenching table"],
    ),
    "an uncertain quenching without one": (
        {"detectors.0.quenching": REMOVED, "detectors.0.threshold_kevee": REMOVED,
         "detectors.0.maximum_kevee": REMOVED, "detectors.0.threshold_kev": 1.0,
         "detectors.0.maximum_kev": 40.0, "detectors.0.resolution": {"sigma_kev": 0.2, "at_kev": 1.0},
         "uncertainties.quenching": 0.1},
        ["quenching", "required"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_contradictions_are_one_message(contradiction, command, write_study, tmp_path):
    changes, words = CONTRADICTIONS[contradiction]
    for name, text in {
        "e.txt": "0 0.5\n500 0.5\n",
        "high.txt": "0.01 0.5\n500 1.5\n",
        "falls.txt": "1 0.9\n2 0.1\n",
        "short.txt": "5 0.2\n20 0.2\n",
    }.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    ran = command("run", write_study(changed(changes, LIGHT)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "my-ge" in ran.err
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"efficiency": EfficiencyTable((0.0, 500.0), (0.5, 0.5), "recoil")}, r"efficiency\.axis: .*reconstructed"),
        ({"electron_quenching": 0.2}, "electron_quenching: .*remove it"),
    ],
)
def test_a_detector_made_in_python_has_the_same_rules(changes, words):
    """An efficiency of recoil energies would be read at the light, far below them."""
    with pytest.raises(PhysicsError, match=words):
        in_light(GE, LINDHARD, LIGHT_BINS, **changes)
    assert in_light(GE, None, LIGHT_BINS, **changes).name == GE.name


def test_keys_in_kevee_without_quenching_are_refused_for_a_background(command, write_study):
    keys = changed({"detectors.0.background_ckkd": REMOVED, "detectors.0.background_ckkd_ee": 4.0})
    ran = command("check", write_study(keys))
    assert ran.status == 2
    assert "background_ckkd_ee" in ran.err
    assert "quenching" in ran.err


def test_a_preset_with_quenching():
    """Any key overrides the preset's, in either unit."""
    from cevnslab.studies import schema
    from cevnslab.studies.build import merge_preset
    from cevnslab.studies.validation import validated

    entry = {
        "preset": "ess-ge",
        "quenching": 0.2,
        "threshold_kevee": 0.12,
        "maximum_kevee": 15.78,
        "resolution": {"sigma_kevee": 0.018, "at_kevee": 0.12},
        "background_ckkd_ee": 15,
        "bins": 104,
    }
    light = build_detector(validated(schema.Detector, merge_preset(entry)))
    counts = [cl.response(SOURCE, detector, years=3) for detector in (light, GE)]
    assert counts[0].counts() == near(counts[1].counts(), 1e-8)
    assert counts[0].background == near(counts[1].background, 1e-12)  # 15 counts/keVee = 3 counts/keV


def test_a_quenching_table_need_not_cover_what_the_bins_do_not_see():
    """A reactor's table starts at 8 keV of neutrino energy: recoils of 1e-6 keV, which no bin sees."""
    fuel = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}
    reactor = cl.sources.Reactor("plant", 2.9, fuel, 8000)
    table = QuenchingTable((0.05, 5.0), (0.15, 0.2))
    detector = in_light(GE, table, [0.05, 0.1, 0.2], resolution=None)
    assert cl.response(reactor, detector, years=1).counts().sum() > 0
