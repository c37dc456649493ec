"""Counts as a function of the neutron radius: the expansion against a response of the rebuilt target."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from support import changed, channels_of, near

import cevnslab as cl
from cevnslab.detection.expansion import ORDER, Expansion, expansions_of
from cevnslab.errors import PhysicsError
from cevnslab.physics.couplings import COUPLINGS, light_scalar
from cevnslab.studies.coverage import coverage

RADIUS = COUPLINGS["neutron_radius"]
SIX = ("ess-csi", "ess-xe", "ess-ge", "ess-ar", "ess-si", "ess-c3f8")
OTHERS = {"q_ee": 5e-9, "eps_mumu_d": 0.05, "mu_e": 8e-10}
PRECISION = 1e-11
"""Of the total."""


@cache
def expanded(preset, *others):
    source, detector = cl.load_source("ess"), cl.load_detector(preset)
    names = ["neutron_radius", *others]
    return cl.response(source, detector, couplings=names, years=3, channels=channels_of(preset))


def rebuilt(preset, radius, **values):
    """Counts of a detector whose target is another one: no expansion."""
    detector = cl.load_detector(preset)
    there = replace(detector, target=RADIUS.rebuild(detector.target, radius))
    options = {"couplings": list(values), "years": 3, "channels": channels_of(preset)}
    return cl.response(cl.load_source("ess"), there, **options).counts(**values)


def radii(preset):
    """Both ends of the range, the target's own radius, and what lies between."""
    low, radius, high = RADIUS.range_of(cl.load_detector(preset).target)
    return [
        low,
        radius,
        high,
        0.9 * radius,
        1.07 * radius,
        low + 0.013 * (high - low),
        low + 0.71 * (high - low),
    ]


@pytest.mark.parametrize("preset", [*SIX, "ess-csi-electron"])
def test_counts_are_those_of_the_rebuilt_target(preset):
    response = expanded(preset)
    total = response.counts().sum()
    for radius in radii(preset):
        direct = rebuilt(preset, radius)
        assert np.abs(response.counts(neutron_radius=radius) - direct).max() < PRECISION * total
    nominal = radii(preset)[1]
    assert np.array_equal(response.counts(neutron_radius=nominal), response.counts())
    assert np.abs(response.counts() - rebuilt(preset, nominal)).max() < PRECISION * total


@pytest.mark.parametrize("preset", [*SIX, "ess-csi-electron"])
@pytest.mark.parametrize("name", OTHERS)
def test_counts_with_another_coupling_at_once(preset, name):
    response, value = expanded(preset, name), OTHERS[name]
    for radius in radii(preset)[::3]:
        direct = rebuilt(preset, radius, **{name: value})
        ours = response.counts(neutron_radius=radius, **{name: value})
        assert np.abs(ours - direct).max() < PRECISION * direct.sum()


def test_counts_with_three_others_at_once():
    response = expanded("ess-ge", *OTHERS)
    direct = rebuilt("ess-ge", 4.4, **OTHERS)
    assert np.abs(response.counts(neutron_radius=4.4, **OTHERS) - direct).max() < PRECISION * direct.sum()


def test_electrons_do_not_see_the_radius():
    both = expanded("ess-csi-electron", "q_ee")
    shift = both.counts(neutron_radius=5.5) - both.counts()
    nuclei = cl.response(
        cl.load_source("ess"), cl.load_detector("ess-csi-electron"), couplings=["neutron_radius"], years=3
    )
    assert shift == pytest.approx(
        nuclei.counts(neutron_radius=5.5) - nuclei.counts(), abs=PRECISION * both.counts().sum()
    )
    assert shift.sum() < -1.0


def test_counts_fall_with_the_radius():
    response = expanded("ess-xe")
    totals = [response.counts(neutron_radius=radius).sum() for radius in np.linspace(1.6, 8.0, 40)]
    assert np.all(np.diff(totals) < 0)


@pytest.mark.parametrize("radius", [1.4, 15.1, float("nan"), -3.0])
def test_radii_out_of_bounds_are_refused(radius):
    with pytest.raises(PhysicsError, match=r"bounds|finite"):
        expanded("ess-ge").counts(neutron_radius=radius)


def test_functions_are_chebyshev_polynomials():
    expansion = Expansion(2.0, 12.0, 5.0)
    values = np.array([2.0, 3.3, 5.0, 9.1, 12.0])
    x = (values - 7.0) / 5.0
    for order in (1, 2, 5, ORDER):
        unit = np.eye(ORDER + 1)[order]
        expected = chebyshev.chebval(x, unit) - chebyshev.chebval(-0.4, unit)
        assert expansion.functions(values)[order] == pytest.approx(expected, abs=1e-12)
    assert np.array_equal(expansion.functions(values)[0], np.ones(5))
    assert not np.any(expansion.functions(5.0)[1:])
    assert expansion.functions(values.reshape(5, 1)).shape == (ORDER + 1, 5, 1)
    assert len(expansion.nodes) == ORDER + 1
    assert np.all((expansion.nodes > 2.0) & (expansion.nodes < 12.0))


def test_slopes_are_derivatives():
    expansion, step = Expansion(2.0, 12.0, 5.0), 1e-5
    for value in (2.5, 5.0, 11.0):
        numerical = (expansion.functions(value + step) - expansion.functions(value - step)) / (2 * step)
        assert expansion.slopes(value) == pytest.approx(numerical, rel=1e-6, abs=1e-6)


def test_coefficients_of_a_known_function():
    expansion = Expansion(1.0, 9.0, 4.0)
    coefficients = expansion.coefficients(np.array([[radius**3, np.exp(-radius)] for radius in expansion.nodes]))
    for value in (1.0, 2.7, 4.0, 8.9, 9.0):
        assert expansion.functions(value) @ coefficients == (pytest.approx([value**3, np.exp(-value)], rel=1e-11))
    assert coefficients[0] == pytest.approx([64.0, np.exp(-4.0)], rel=1e-12)


SECOND = replace(RADIUS, name="other_radius")


def test_two_of_them_are_refused():
    target = cl.load_detector("ess-ge").target
    assert set(expansions_of([COUPLINGS["q_ee"], RADIUS], target)) == {1}
    with pytest.raises(PhysicsError, match=r"neutron_radius and other_radius.*one of them at a time"):
        expansions_of([RADIUS, SECOND], target)
    with pytest.raises(PhysicsError, match="one of them at a time"):
        cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=[RADIUS, SECOND], years=3)


RADIUS_STUDY = changed({"couplings": ["neutron_radius", "q_ee"]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"detectors": [*RADIUS_STUDY["detectors"], {"preset": "ess-csi"}],
             "combinations": [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "correlated"}]},
            ["combinations", "neutron_radius"],
        ),
    ],
    ids=["combination"],
)  # fmt: skip
def test_studies_that_a_radius_is_not_for(changes, words, command, write_study, tmp_path):
    ran = command("run", write_study(changed(changes, RADIUS_STUDY)), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, "")
    assert all(word in ran.err for word in words), ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_feldman_cousins_of_a_radius():
    options = {"method": "feldman-cousins", "toys": 500, "seed": 2}
    limit = cl.study_from_dict(changed({"intervals": options}, RADIUS_STUDY)).run().limit("my-ge", "neutron_radius")
    # A parabola nearly: the critical values of 500 toys scatter about that of delta chi^2.
    assert np.array(limit.segments) == near(np.array(limit.delta_chi2_segments), 0.03)


def test_coverage_of_a_radius_and_of_what_stands_beside_it():
    study = cl.study_from_dict(RADIUS_STUDY)
    point = coverage(study, "my-ge", "neutron_radius", [4.05], toys=1000, seed=4).points[0]
    assert abs(point.coverage - 0.9) < 4 * np.sqrt(0.9 * 0.1 / 1000)
    beside = coverage(study, "my-ge", "q_ee", [2e-9], toys=100, seed=4).points[0]
    alone = coverage(cl.study_from_dict(changed({})), "my-ge", "q_ee", [2e-9], toys=100, seed=4).points[0]
    assert beside.coverage == alone.coverage
    assert beside.critical_value == near(alone.critical_value, 1e-9)


def test_two_of_them_in_a_study_are_refused(command, write_study, tmp_path):
    (tmp_path / "second.py").write_text(
        "from dataclasses import replace\nfrom cevnslab.physics import weak\n"
        'second = replace(weak.NEUTRON_RADIUS, name="other_radius")\n',
        encoding="utf-8",
    )
    keys = changed({"couplings": ["neutron_radius", "other_radius"], "plugins": ["second.py"]})
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert ran.status == 2
    assert "neutron_radius and other_radius" in ran.err
    assert not (tmp_path / "out").exists()


def test_a_mediator_with_a_radius():
    """A helicity flip with its own kinematics and form factors beside it."""
    scalar = light_scalar(10.0, "s10")
    source, detector = cl.load_source("ess"), cl.load_detector("ess-c3f8")
    response = cl.response(source, detector, couplings=[scalar, RADIUS], years=3)
    there = replace(detector, target=RADIUS.rebuild(detector.target, 3.3))
    direct = cl.response(source, there, couplings=[scalar], years=3).counts(s10=2e-5)
    assert np.abs(response.counts(s10=2e-5, neutron_radius=3.3) - direct).max() < PRECISION * direct.sum()
