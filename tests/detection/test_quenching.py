"""Quenching: the inverse undoes it, and finds every recoil where the light bends back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support import near

from cevnslab.detection.quenching import (
    ConstantQuenching,
    Lindhard,
    PolynomialQuenching,
    QuenchingTable,
    rising_light_kev,
)
from cevnslab.errors import PhysicsError

MODELS = {
    "constant": ConstantQuenching(0.1),
    "lindhard-ge": Lindhard(None, 32, 72.63),
    "lindhard-si": Lindhard(0.11, 14, 28.085),
    "rising": QuenchingTable((0.05, 1.0, 5.0, 60.0), (0.05, 0.12, 0.2, 0.25)),
    "falling": QuenchingTable((0.05, 1.0, 5.0, 60.0), (0.3, 0.2, 0.12, 0.11)),
    "steep": QuenchingTable((1.0, 2.0, 60.0), (0.01, 0.9, 0.91)),
}
LOW, HIGH = 1.0, 60.0
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
@given(recoil=st.floats(LOW, HIGH))
def test_the_inverse_undoes_it(name, recoil):
    model = MODELS[name]
    assert float(model.recoil_kev(model.light_kev(recoil))) == near(recoil, 1e-12)
    light = float(model.light_kev(recoil))
    assert float(model.light_kev(model.recoil_kev(light))) == near(light, 1e-12)


@every_model
def test_light_rises_and_arrays_broadcast(name):
    model = MODELS[name]
    recoil = np.geomspace(LOW, HIGH, 60).reshape(5, 12)
    light = model.light_kev(recoil)
    assert light.shape == recoil.shape
    assert np.all(np.diff(light.ravel()) > 0)
    assert np.all(light <= recoil)
    assert model.recoil_kev(light) == near(recoil, 1e-12)
    assert float(light[0, 3]) == float(model.light_kev(recoil[0, 3]))


def test_lindhard_against_published_values():
    """k = 0.133 Z^(2/3) A^(-1/2): 0.157 for germanium, 0.146 for silicon, 0.166 for xenon."""
    assert Lindhard(None, 32, 72.63).strength == pytest.approx(0.157, abs=5e-4)
    assert Lindhard(None, 14, 28.085).strength == pytest.approx(0.146, abs=5e-4)
    assert Lindhard(None, 54, 131.293).strength == pytest.approx(0.166, abs=5e-4)
    germanium = Lindhard(0.157, 32, 72.63)
    # Measured quenching of germanium at 10 keV: 0.25 within a hundredth or two.
    assert float(germanium.light_kev(10.0)) / 10.0 == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize("model", [ConstantQuenching(0.2), Lindhard(0.157, 32, 72.63)])
def test_nothing_gives_no_light(model):
    assert model.light_kev(0.0) == 0.0
    assert model.recoil_kev(np.array([0.0, 1.0]))[0] == 0.0
    for method in (model.light_kev, model.recoil_kev):
        with pytest.raises(PhysicsError, match="0 or more"):
            method([-1.0, 1.0])


@given(light=st.floats(1e-12, 1e6))
def test_lindhard_inverts_over_eighteen_decades(light):
    model = Lindhard(0.157, 32, 72.63)
    assert float(model.light_kev(model.recoil_kev(light))) == near(light, 1e-12)


def test_the_ends_of_a_table():
    """No light below the first point, none known beyond the last."""
    table = MODELS["rising"]
    ends = np.array([0.05, 60.0])
    assert table.recoil_kev(table.light_kev(ends)) == near(ends, 1e-13)
    assert table.known_kev == (0.05, 60.0)
    assert table.light_kev([0.04, 0.0]).tolist() == [0.0, 0.0]
    for energy in (61.0, [1.0, 100.0]):
        with pytest.raises(PhysicsError, match="extend the table"):
            table.light_kev(energy)
    assert np.all(np.isnan(table.recoil_kev([0.002, 15.1])))
    assert QuenchingTable((0.0, 2.0), (0.1, 0.2)).light_kev(1.0) == near(0.15, 1e-14)


BENT = QuenchingTable((0.2, 1.2, 1.4, 4.0), (0.4, 0.2, 0.15, 0.2))
"""Q falls so fast that the light turns twice: at 1.1 keV, where a parabola has its top, and at a point."""


def test_light_may_bend_back():
    turns = [kink for kink in BENT.kinks_kev if kink not in BENT.energies_kev]
    recoil = np.linspace(0.2, 4.0, 40_001)
    light = BENT.light_kev(recoil)
    tops = recoil[1:-1][(light[1:-1] > light[:-2]) & (light[1:-1] > light[2:])]
    assert turns == pytest.approx(tops.tolist(), abs=1e-4)
    assert np.isnan(BENT.recoil_kev(0.22))
    roots = BENT.recoils_kev(0.22)
    assert len(roots) == 3
    assert BENT.light_kev(roots) == near(0.22, 1e-12)
    assert float(BENT.recoil_kev(0.5)) == near(BENT.recoils_kev(0.5)[0], 1e-15)


@given(light=st.floats(0.01, 0.79))
def test_every_recoil_with_a_light_is_found(light):
    assume(min(abs(light - turn) for turn in (0.08, 0.21, 0.242)) > 1e-6)
    recoil = np.linspace(0.2, 4.0, 40_001)
    crossings = int(np.sum(np.diff(np.sign(BENT.light_kev(recoil) - light)) != 0))
    roots = BENT.recoils_kev(light)
    assert len(roots) == crossings
    if roots:
        assert BENT.light_kev(roots) == near(light, 1e-11)


def test_a_polynomial_may_turn():
    """Roots, turning points, and light that is never negative."""
    law = PolynomialQuenching((0.3, -0.04, 0.0015))
    assert law.kinks_kev == near(((80 - 10**1.5) / 9, (80 + 10**1.5) / 9), 1e-12)
    roots = law.recoils_kev(0.65)
    assert len(roots) == 3
    assert law.light_kev(roots) == near(0.65, 1e-12)
    assert np.isnan(law.recoil_kev(0.65))
    assert float(law.recoil_kev(2.0)) == near(law.recoils_kev(2.0)[0], 1e-15)
    assert PolynomialQuenching((0.1, -0.01)).light_kev(20.0) == 0.0


def test_scholz_against_published_values():
    """Germanium, k 0.1789 and 0.16 keV: the table of 1608.03588's fit at 0.1 to 3 keV."""
    scholz = Lindhard(0.1789, 32, 72.63, 0.16)
    recoil = np.array([0.1, 0.2, 0.3, 0.5, 1.0, 3.0])
    assert scholz.light_kev(recoil) / recoil == pytest.approx([0.066, 0.110, 0.138, 0.166, 0.190, 0.220], abs=6e-4)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ConstantQuenching(0.0), "above 0"),
        (lambda: ConstantQuenching(float("nan")), "above 0"),
        (lambda: Lindhard(-0.1, 32, 72.63), "k must"),
        (lambda: Lindhard(None, 0, 72.63), "Z must"),
        (lambda: Lindhard(None, 32, 0.0), "A must"),
        (lambda: QuenchingTable((1.0,), (0.1,)), "two or more"),
        (lambda: QuenchingTable((1.0, 2.0), (0.1,)), "two or more"),
        (lambda: QuenchingTable((-1.0, 2.0), (0.1, 0.1)), "rise, from 0"),
        (lambda: QuenchingTable((2.0, 1.0), (0.1, 0.1)), "rise, from 0"),
        (lambda: QuenchingTable((1.0, 2.0), (0.1, 0.0)), "above 0"),
        (lambda: Lindhard(0.18, 32, 72.63, 0.0), "adiabatic_kev must"),
        (lambda: PolynomialQuenching(()), "finite coefficients"),
    ],
)
def test_models_that_cannot_be(make, match):
    with pytest.raises(PhysicsError, match=match):
        make()


@pytest.mark.parametrize(
    ("law", "words"),
    [
        (ConstantQuenching(0.2), "quenching factor 0.2"),
        (Lindhard(None, 32, 72.63), "Lindhard quenching, k 0.1573"),
        (Lindhard(0.1789, 32, 72.63, 0.16), "Lindhard quenching, k 0.1789, adiabatic below 0.16 keV"),
        (QuenchingTable((1.0, 10.0), (0.1, 0.2)), "quenching table of 2 points, recoils from 1 to 10 keV"),
    ],
)
def test_laws_say_in_words_what_they_are(law, words):
    assert str(law) == words


@pytest.mark.parametrize("edges", [[0.1, 2.0], [1.0, 5.0], [0.9, 1.05, 1.3]])
def test_bins_of_recoils_need_rising_light(edges):
    with pytest.raises(PhysicsError, match="give the bins in keVee"):
        rising_light_kev(BENT, np.array(edges))
    rising = np.array([0.3, 0.9, 3.5])
    assert rising_light_kev(BENT, rising) == near(BENT.light_kev(rising), 1e-15)
