"""Uncertain energy scales and quenching: limits against iminuit on responses that are computed anew."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from iminuit import Minuit
from scipy.interpolate import CubicSpline
from support import REMOVED, changed, near

import cevnslab as cl
from cevnslab.detection.quenching import ConstantQuenching, Lindhard, ScaledQuenching
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.studies.coverage import coverage

LEVEL = delta_chi2_level(0.90, 1)
SIGMA_A, SIGMA_B = 0.10, 0.01
LIGHT = changed(
    {
        "detectors.0.quenching": {"lindhard_k": 0.157},
        "detectors.0.threshold_kev": REMOVED,
        "detectors.0.maximum_kev": REMOVED,
        "detectors.0.threshold_kevee": 0.25,
        "detectors.0.maximum_kevee": 10.0,
        "detectors.0.resolution": {"sigma_kevee": 0.04, "at_kevee": 0.2},
    }
)
SCALE = {"energy_scale": 0.04}
QUENCHING = {"quenching": 0.08}
BOTH = {**SCALE, **QUENCHING}
WIDTHS = {"scale": SCALE, "quenching": QUENCHING, "both": BOTH}


@cache
def study(shapes, statistic="least-squares", couplings=("q_ee", "mu_mu")):
    keys = {"statistic": statistic, "couplings": list(couplings)}
    keys |= {f"uncertainties.{name}": width for name, width in WIDTHS.get(shapes, {}).items()}
    return cl.study_from_dict(changed(keys, LIGHT))


def moved_detector(detector, energy_scale=0.0, quenching=0.0):
    """The detector when reconstructed energies are too high by a factor, and light is more by another."""
    edges = detector.bin_edges_kev / (1 + energy_scale)
    return replace(detector, bin_edges_kev=edges, quenching=ScaledQuenching(detector.quenching, 1 + quenching))


def counts_of(detector, name, value):
    return cl.response(cl.load_source("ess"), detector, couplings=[name], years=3).counts(**{name: value})


def by_iminuit(shapes, statistic, name, value, exact=False):
    """chi^2 of one value with every nuisance fitted: counts at each pull from responses of moved detectors.

    With `exact` the counts at a pull are a cubic spline through seven responses, else the parabola through three.
    """
    setup = study(shapes, statistic).setups[0]
    detector, background = setup.detector, setup.response.background
    nominal = counts_of(detector, name, value)
    observed = counts_of(detector, name, 0.0) + background
    widths = WIDTHS[shapes]
    pulls = np.linspace(-3, 3, 7) if exact else np.array([-1.0, 0.0, 1.0])
    changes = []
    for key, width in widths.items():
        table = [counts_of(moved_detector(detector, **{key: pull * width}), name, value) - nominal for pull in pulls]
        if exact:
            changes.append(CubicSpline(pulls, table))
        else:
            low, _, high = table
            changes.append(lambda x, low=low, high=high: x * (high - low) / 2 + x * x * (high + low) / 2)

    def chi2(parameters):
        a, b, *x = parameters
        signal = nominal + sum(change(pull) for change, pull in zip(changes, x, strict=True))
        expected = (1 + SIGMA_A * a) * signal + (1 + SIGMA_B * b) * background
        if statistic == "poisson":
            fit = 2 * np.sum(expected - observed + observed * np.log(observed / np.maximum(expected, 1e-9)))
        else:
            fit = np.sum((expected - observed) ** 2 / observed)
        return fit + np.sum(np.square(parameters))

    values = []
    for start in (0.0, 1.0, -1.0):
        fit = Minuit(chi2, [0.0, 0.0, *([start] * len(changes))])
        fit.errors, fit.errordef, fit.strategy, fit.tol = [0.3] * (2 + len(changes)), 1.0, 2, 1e-5
        if exact:
            fit.limits = [(-3.0, 3.0)] * (2 + len(changes))
        fit.migrad()
        values.append(fit.fval)
    return min(values)


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
@pytest.mark.parametrize("shapes", WIDTHS)
def test_limits_end_where_the_fit_says(shapes, statistic):
    result = study(shapes, statistic).run()
    for name in ("q_ee", "mu_mu"):
        ((low, high),) = result.limit("my-ge", name).segments
        for end in (low, high):
            assert by_iminuit(shapes, statistic, name, end) == near(LEVEL, 1e-4)


@pytest.mark.parametrize("shapes", WIDTHS)
def test_parabolas_between_the_pulls_are_enough(shapes):
    """Against responses at seven pulls each: the limits' ends move by less than a per cent."""
    result = study(shapes).run()
    for end in result.limit("my-ge", "q_ee").segments[0]:
        at_end = by_iminuit(shapes, "least-squares", "q_ee", end, exact=True)
        assert at_end == near(LEVEL, 0.02)


def test_curves_away_from_the_ends():
    chi2 = Chi2.of(study("both").setups[0].likelihood, ["q_ee"])
    for value in (-8e-9, 2e-9, 1e-8):
        assert float(chi2(value)) == near(by_iminuit("both", "least-squares", "q_ee", value), 1e-4)


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
def test_no_width_is_no_uncertainty(statistic):
    zero = cl.study_from_dict(
        changed({"uncertainties.energy_scale": 0.0, "uncertainties.quenching": 0.0, "statistic": statistic}, LIGHT)
    )
    plain = cl.study_from_dict(changed({"statistic": statistic}, LIGHT))
    tiny = cl.study_from_dict(
        changed({"uncertainties.energy_scale": 1e-7, "uncertainties.quenching": 1e-7, "statistic": statistic}, LIGHT)
    )
    ends = [np.array(each.run().limit("my-ge", "q_ee").segments) for each in (zero, plain, tiny)]
    assert np.array_equal(ends[0], ends[1])
    assert ends[2] == near(ends[1], 1e-6)
    assert [each.setups[0].likelihood.shaped for each in (zero, tiny)] == [False, True]


@pytest.mark.parametrize("key", ["energy_scale", "quenching"])
@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
def test_wider_is_never_narrower(key, statistic):
    ends = []
    for width in (0.0, 0.05, 0.15):
        keys = changed({f"uncertainties.{key}": width, "statistic": statistic, "couplings": ["q_ee", "mu_mu"]}, LIGHT)
        result = cl.study_from_dict(keys).run()
        ends.append([end for name in ("q_ee", "mu_mu") for end in result.limit("my-ge", name).segments[0]])
    widening = np.diff(np.abs(ends), axis=0)
    assert np.all(widening >= -1e-9 * np.abs(ends[:-1]))
    assert np.abs(ends[-1]).sum() > 1.02 * np.abs(ends[0]).sum()


def test_a_constant_quenching_is_an_energy_scale():
    """With light proportional to the recoil and no resolution, both move the signal alike."""
    base = {"detectors.0.quenching": 0.2, "detectors.0.resolution": "none"}
    ends = []
    for key in ("energy_scale", "quenching"):
        keys = changed({**base, f"uncertainties.{key}": 0.05}, LIGHT)
        ends.append(np.array(cl.study_from_dict(keys).run().limit("my-ge", "q_ee").segments))
    assert ends[0] == near(ends[1], 1e-6)


def test_an_energy_scale_without_quenching():
    keys = changed({"uncertainties.energy_scale": 0.05, "couplings": ["q_ee"]})
    plain = cl.study_from_dict(changed({"couplings": ["q_ee"]}))
    study = cl.study_from_dict(keys)
    setup = study.setups[0]
    (bend,) = next(sample for sample in setup.likelihood.datasets[0].samples if sample.name == "cevns").bends
    assert bend.parameter.name == "my-ge.energy_scale"
    edges = setup.detector.bin_edges_kev
    for side, factor in ((bend.up, 1.05), (bend.down, 0.95)):
        moved = replace(setup.detector, bin_edges_kev=edges / factor)
        assert side[0] == near(cl.response(cl.load_source("ess"), moved, years=3).counts(), 1e-12)
    ours, theirs = (each.run().limit("my-ge", "q_ee").segments[0] for each in (study, plain))
    assert ours[0] < theirs[0] < theirs[1] < ours[1]


def test_widths_of_one_detector():
    """They override the study's, all together."""
    keys = changed({"uncertainties.energy_scale": 0.05}, LIGHT)
    keys["detectors"].append(
        {**keys["detectors"][0], "name": "sharp", "uncertainties": {"signal": 0.1, "background": 0.01}}
    )
    study = cl.study_from_dict(keys)
    assert [setup.likelihood.shaped for setup in study.setups] == [True, False]
    result = study.run()
    plain = cl.study_from_dict(LIGHT).run()
    assert result.limit("sharp", "q_ee").segments == plain.limit("my-ge", "q_ee").segments
    assert result.limit("my-ge", "q_ee").segments != plain.limit("my-ge", "q_ee").segments


def test_an_independent_combination_of_bent_detectors():
    keys = changed({"uncertainties.energy_scale": 0.05}, LIGHT)
    keys["detectors"].append({"preset": "ess-csi"})
    keys["combinations"] = [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "independent"}]
    study = cl.study_from_dict(keys)
    result = study.run()
    for end in result.limit("both", "q_ee").segments[0]:
        parts = [float(Chi2.of(setup.likelihood, ["q_ee"])(end)) for setup in study.setups]
        assert sum(parts) == near(LEVEL, 1e-6)


@pytest.mark.parametrize(
    ("quenching", "factor"),
    [(ConstantQuenching(0.2), 1.1), (Lindhard(0.157, 32, 72.63), 0.9)],
    ids=["constant", "lindhard"],
)
def test_scaled_light_moves_counts_as_bins_do(quenching, factor):
    """Without resolution, light scaled by a factor in fixed bins is the same light in bins 1/factor as high."""
    detector = replace(
        cl.load_detector("ess-ge"),
        bin_edges_kev=np.array([0.3, 1.0, 4.0]),
        background_per_kg_day=np.zeros(2),
        resolution=None,
        quenching=quenching,
    )
    scaled = replace(detector, quenching=ScaledQuenching(quenching, factor))
    moved = replace(detector, bin_edges_kev=detector.bin_edges_kev / factor)
    source = cl.load_source("ess")
    counts = [cl.response(source, each, years=3).counts() for each in (scaled, moved)]
    assert counts[0] == near(counts[1], 1e-9)


REFUSED = {
    "a negative width": ({"uncertainties.energy_scale": -0.01}, ["uncertainties.energy_scale", "-0.01"]),
    "too wide": ({"uncertainties.energy_scale": 0.3}, ["uncertainties.energy_scale", "below 0.3"]),
    "a word": ({"uncertainties.quenching": "some"}, ["uncertainties.quenching", "'some'"]),
    "a quenching that is not there": (
        {"uncertainties.quenching": 0.1, "detectors": changed({})["detectors"]}, ["my-ge.quenching", "required"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    changes, words = REFUSED[mistake]
    ran = command("run", write_study(changed(changes, LIGHT)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


def test_coverage_with_shapes():
    """Toys of a likelihood with an energy scale: somewhat below 90 %, as second minima make it."""
    point = coverage(study("scale"), "my-ge", "q_ee", [0.0], toys=500, seed=4).points[0]
    assert 0.8 < point.coverage < 0.95


def test_check_says_them(command, write_study):
    ran = command("check", write_study(changed({f"uncertainties.{key}": width for key, width in BOTH.items()}, LIGHT)))
    assert (ran.status, ran.err) == (0, "")
    assert "energy scale 4 %" in ran.out
    assert "quenching 8 %" in ran.out


def test_a_table_that_is_too_short_for_a_moved_bin(command, write_study, tmp_path):
    """An efficiency that just covers the bins: the message comes before anything is written."""
    (tmp_path / "e.txt").write_text("0.25 0.5\n10 0.9\n", encoding="utf-8")
    keys = {
        "detectors.0.efficiency": {"file": "e.txt", "axis": "reconstructed"},
        "uncertainties.energy_scale": 0.02,
    }
    ran = command("run", write_study(changed(keys, LIGHT)), "-o", tmp_path / "out")
    assert ran.status == 2
    assert "extend the table" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["sin2_theta_w", "neutron_radius"])
def test_other_kinds_of_couplings(name):
    bent = study("both", couplings=(name,))
    plain = cl.study_from_dict(changed({"couplings": [name]}, LIGHT))
    limit, held = (each.run().limit("my-ge", name).segments[0] for each in (bent, plain))
    assert limit[0] <= held[0] * (1 + 1e-9)
    assert limit[1] >= held[1] * (1 - 1e-9)
    chi2 = Chi2.of(bent.setups[0].likelihood, [name])
    assert interval(chi2, 0.90).segments[0] == limit
