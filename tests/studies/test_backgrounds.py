"""Named backgrounds: every way of saying one, counts of off-beam runs, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

import cevnslab as cl
from cevnslab.detection.axes import BinAxis
from cevnslab.errors import CevnslabError
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample
from cevnslab.quadratic import Polynomial, Variable
from cevnslab.studies import schema
from cevnslab.studies.backgrounds import background_of
from cevnslab.studies.build import build_detector
from cevnslab.studies.schema.counts import check_backgrounds
from cevnslab.studies.validation import validated

KEYS = {
    "name": "d", "target": "Ge", "mass_kg": 5, "distance_m": 20, "bin_edges_kev": [1, 2, 4], "resolution": "none",
    "efficiency": 1, "background_ckd": 0,
}  # fmt: skip
LIGHT = {
    **{key: value for key, value in KEYS.items() if key != "bin_edges_kev"},
    "bin_edges_kevee": [0.2, 0.4, 0.8], "quenching": 0.2,
}  # fmt: skip
ENERGY = BinAxis("recoil_energy_kev", np.array([1.0, 2.0, 4.0]))
LIGHT_AXIS = BinAxis("energy_kevee", np.array([0.2, 0.4, 0.8]))
TIME = BinAxis("time_us", np.array([0.0, 1.0, 4.0]))
DAYS = np.array([10.0, 30.0])


def made(keys, tmp_path, detector=KEYS, axes=(ENERGY,), days=40.0):
    spec = validated(schema.Background, keys)
    check_backgrounds([spec], "detectors.d.backgrounds")
    built = build_detector(validated(schema.Detector, detector))
    return background_of(spec, built, axes, np.atleast_1d(days), tmp_path)


WAYS = {
    "per keV": ({"ckkd": 3.0}, KEYS, [600, 1200]),
    "per day": ({"ckd": 9.0}, KEYS, [600, 1200]),
    "counts": ({"counts": [600, 1200]}, KEYS, [600, 1200]),
    "a table": ({"file": "flat.dat"}, KEYS, [600, 1200]),
    "per keVee": ({"ckkd_ee": 15.0}, LIGHT, [600, 1200]),
    "per keV of recoil": ({"ckkd": 3.0}, LIGHT, [600, 1200]),
    "a table of recoils": ({"file": "flat.dat"}, LIGHT, [600, 1200]),
    "a table of light": ({"file": "light.dat"}, LIGHT, [600, 1200]),
    "a file of counts": ({"counts": {"file": "counts.dat"}}, KEYS, [600, 1200]),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_saying_it(way, tmp_path):
    (tmp_path / "flat.dat").write_text("kev rate\n0.5 3\n50 3\n", encoding="utf-8")
    (tmp_path / "light.dat").write_text("kevee rate\n0.1 15\n50 15\n", encoding="utf-8")
    (tmp_path / "counts.dat").write_text("counts\n600\n1200\n", encoding="utf-8")
    keys, detector, counts = WAYS[way]
    axis = LIGHT_AXIS if detector is LIGHT else ENERGY
    background = made({"name": "b", "uncertainty": 0.1, **keys}, tmp_path, detector, [axis])
    assert background.counts == pytest.approx(counts, rel=1e-12)
    assert (background.name, background.uncertainty, background.off) == ("b", 0.1, None)
    sample = background.sample([Parameter("d.b", 0.1)])
    assert sample.coefficients.tolist() == [background.counts.tolist()]
    assert [scale.parameter.name for scale in sample.scales] == ["d.b"]


def test_rates_are_spread_over_time_bins_by_their_days(tmp_path):
    background = made({"name": "b", "uncertainty": 0.1, "ckkd": 3.0}, tmp_path, axes=[ENERGY, TIME], days=DAYS)
    assert background.counts == pytest.approx([150, 450, 300, 900], rel=1e-12)


OFF = "counts\n8\n0\n"


def test_off_counts_per_bin(tmp_path):
    (tmp_path / "off.dat").write_text(OFF, encoding="utf-8")
    background = made({"name": "steady", "off": {"file": "off.dat", "ratio": 0.5}}, tmp_path)
    assert background.counts.tolist() == [4, 0]
    assert background.uncertainty == 0
    sample = background.sample([])
    assert sample.coefficients.tolist() == [[1, 1]]
    assert (sample.per_bin.off.tolist(), sample.per_bin.ratio, sample.per_bin.groups.tolist()) == ([8, 0], 0.5, [0, 1])


@pytest.mark.parametrize(
    ("axis", "groups", "shape", "counts"),
    [
        ("recoil_energy_kev", [0, 0, 1, 1], [0.25, 0.75, 0.25, 0.75], [1, 3, 0, 0]),
        ("time_us", [0, 1, 0, 1], [1 / 3, 1 / 3, 2 / 3, 2 / 3], [4 / 3, 0, 8 / 3, 0]),
    ],
)
def test_off_counts_on_one_axis_are_flat_along_the_other(axis, groups, shape, counts, tmp_path):
    (tmp_path / "off.dat").write_text(OFF, encoding="utf-8")
    off = {"file": "off.dat", "ratio": 0.5, "axes": [axis]}
    background = made({"name": "steady", "off": off, "uncertainty": 0.02}, tmp_path, axes=[ENERGY, TIME], days=DAYS)
    assert background.off.groups.tolist() == groups
    assert background.shape == pytest.approx(shape, rel=1e-14)
    assert background.counts == pytest.approx(counts, rel=1e-14)
    assert background.sample([Parameter("d.steady", 0.02)]).scales[0].parameter.width == 0.02


def test_many_off_counts_are_a_known_background(tmp_path):
    """The limit of a long off-beam run: the likelihood of a background without uncertainty."""
    shape = np.array([[20.0, 8.0]])
    signal = Sample("cevns", shape, Polynomial((Variable("s", 1.0, (0.0, 10.0)),), ((0,),)))
    many = 1e6
    (tmp_path / "off.dat").write_text(f"{12 * many:.0f}\n{5 * many:.0f}\n", encoding="utf-8")
    known = made({"name": "b", "uncertainty": 0, "counts": [12, 5]}, tmp_path)
    off = made({"name": "b", "off": {"file": "off.dat", "ratio": 1 / many}}, tmp_path)
    observed = np.array([29.0, 16.0])
    points = np.linspace(0, 3, 7)[:, None]
    chi2 = [
        Likelihood((Dataset("d", (2,), (signal, each.sample([])), observed),)).minimised(points).chi2
        for each in (known, off)
    ]
    # What is left is the off-counts' own fluctuation, a millionth of the on-counts'.
    assert chi2[1] == pytest.approx(chi2[0], rel=1e-5)


def test_a_list_of_backgrounds_beside_one_another(tmp_path):
    specs = [
        validated(schema.Background, {"name": name, "ckd": 1, "uncertainty": 0.1}) for name in ("gamma", "neutrons")
    ]
    check_backgrounds(specs, "detectors.d.backgrounds")


REFUSED = {
    "two kinds": ({"name": "b", "ckd": 1, "ckkd": 1, "uncertainty": 0}, ["backgrounds.b", "exactly one", "ckkd and"]),
    "none": ({"name": "b", "uncertainty": 0}, ["backgrounds.b", "exactly one", "none"]),
    "no uncertainty": ({"name": "b", "ckd": 1}, ["backgrounds.b.uncertainty", "required"]),
    "a channel's name": ({"name": "cevns", "ckd": 1, "uncertainty": 0}, ["backgrounds.cevns.name", "channel"]),
    "ratio 0": ({"name": "b", "off": {"file": "off.dat", "ratio": 0}}, ["off.ratio", "above 0"]),
    "another length": ({"name": "b", "off": {"file": "long.dat", "ratio": 1}}, ["off", "long.dat", "2 rows", "got 3"]),
    "fractional": ({"name": "b", "off": {"file": "half.dat", "ratio": 1}}, ["off", "half.dat", "whole numbers"]),
    "negative": ({"name": "b", "off": {"file": "minus.dat", "ratio": 1}}, ["off", "minus.dat", "whole numbers"]),
    "errors": ({"name": "b", "off": {"file": "errors.dat", "ratio": 1}}, ["off", "Poisson"]),
    "no such axis": ({"name": "b", "off": {"file": "off.dat", "ratio": 1, "axes": ["time"]}}, ["off.axes", "'time'"]),
    "one axis twice": (
        {"name": "b", "off": {"file": "off.dat", "ratio": 1, "axes": ["recoil_energy_kev"] * 2}}, ["off.axes", "twice"],
    ),
    "too few counts": ({"name": "b", "counts": [1], "uncertainty": 0}, ["counts", "2 (recoil_energy_kev)", "got 1"]),
    "negative counts": ({"name": "b", "counts": [1, -1], "uncertainty": 0}, ["counts", "negative", "-1"]),
    "keVee without quenching": ({"name": "b", "ckkd_ee": 1, "uncertainty": 0}, ["ckkd_ee", "quenching"]),
    "keVee table without quenching": ({"name": "b", "file": "ee.dat", "uncertainty": 0}, ["file", "ee.dat", "keVee"]),
    "no file": ({"name": "b", "off": {"file": "nowhere.dat", "ratio": 1}}, ["off", "nowhere.dat"]),
    "unknown key": ({"name": "b", "ckdd": 1, "uncertainty": 0}, ["ckdd", "'ckd'"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, tmp_path):
    for name, text in {
        "off": OFF, "long": "1\n2\n3\n", "half": "1\n0.5\n", "minus": "1\n-1\n", "errors": "counts error\n1 1\n2 1\n",
        "ee": "kevee rate\n0.1 15\n50 15\n",
    }.items():  # fmt: skip
        (tmp_path / f"{name}.dat").write_text(text, encoding="utf-8")
    keys, words = REFUSED[mistake]
    with pytest.raises(CevnslabError) as fault:
        made(keys, tmp_path)
    assert all(word in str(fault.value) for word in words), fault.value


def test_two_backgrounds_of_one_name():
    spec = validated(schema.Background, {"name": "b", "ckd": 1, "uncertainty": 0})
    with pytest.raises(CevnslabError, match=r"detectors\.d\.backgrounds: 'b' is given twice"):
        check_backgrounds([spec, spec], "detectors.d.backgrounds")


def test_models_are_frozen():
    with pytest.raises(ValidationError):
        validated(schema.Background, {"name": "b", "ckd": 1, "uncertainty": 0}).name = "c"


@pytest.mark.parametrize(
    ("text", "detector", "words"),
    [
        ("kevee rate\n0.3 1\n5 1\n", LIGHT, "covers 0.3 to 5 keVee, but the bins reach from 0.2 to 0.8 keVee"),
        (
            "kev rate\n1.5 1\n5 1\n",
            LIGHT,
            "covers 1.5 to 5 keV of nuclear recoil, but the bins reach from 1 to 4 keV",
        ),
        ("kev rate\n1.5 1\n5 1\n", KEYS, "covers 1.5 to 5 keV, but the bins reach from 1 to 4 keV; extend"),
    ],
)
def test_a_table_that_is_too_short_says_which_kev(text, detector, words, tmp_path):
    (tmp_path / "short.dat").write_text(text, encoding="utf-8")
    axis = LIGHT_AXIS if detector is LIGHT else ENERGY
    with pytest.raises(CevnslabError, match=words):
        made({"name": "b", "file": "short.dat", "uncertainty": 0.1}, tmp_path, detector, [axis])


def test_an_efficiency_of_light_is_in_kevee(tmp_path):
    (tmp_path / "short.dat").write_text("kevee efficiency\n0.3 0.5\n5 0.9\n", encoding="utf-8")
    keys = {**LIGHT, "efficiency": {"file": "short.dat", "axis": "reconstructed"}}
    built = build_detector(validated(schema.Detector, keys, tmp_path), tmp_path)
    with pytest.raises(CevnslabError, match=r"covers 0.3 to 5 keVee, but reconstructed energies from 0.2 to 0.8 keVee"):
        cl.response("reactor", built, years=1)
