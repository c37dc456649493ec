"""Quenching: the inverse undoes it, the derivative is one, and light rises with the recoil energy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import near

from cevnslab.detection.quenching import ConstantQuenching, Lindhard, QuenchingTable
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
@given(recoil=st.floats(LOW * 1.01, HIGH * 0.99))
def test_the_derivative_is_one(name, recoil):
    model = MODELS[name]
    step = 1e-5 * recoil
    if isinstance(model, QuenchingTable) and any(abs(recoil - knot) < 2 * step for knot in model.energies_kev):
        return
    slope = float(model.light_kev(recoil + step) - model.light_kev(recoil - step)) / (2 * step)
    assert float(model.derivative(recoil)) == near(slope, 1e-8)


@every_model
def test_light_rises_and_arrays_broadcast(name):
    model = MODELS[name]
    recoil = np.geomspace(LOW, HIGH, 60).reshape(5, 12)
    light = model.light_kev(recoil)
    assert light.shape == recoil.shape
    assert np.all(np.diff(light.ravel()) > 0)
    assert np.all(light <= recoil)
    assert np.all(model.derivative(recoil) > 0)
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
    for method in (model.light_kev, model.derivative, model.recoil_kev):
        with pytest.raises(PhysicsError, match="0 or more"):
            method([-1.0, 1.0])


@given(light=st.floats(1e-12, 1e6))
def test_lindhard_inverts_over_eighteen_decades(light):
    model = Lindhard(0.157, 32, 72.63)
    assert float(model.light_kev(model.recoil_kev(light))) == near(light, 1e-12)


def test_the_ends_of_a_table():
    table = MODELS["rising"]
    ends = np.array([0.05, 60.0])
    assert table.recoil_kev(table.light_kev(ends)) == near(ends, 1e-13)
    for energy in (0.04, 61.0, [1.0, 100.0]):
        for method in (table.light_kev, table.derivative):
            with pytest.raises(PhysicsError, match="extend the table"):
                method(energy)
    for light in (0.002, 15.1):
        with pytest.raises(PhysicsError, match="extend the table"):
            table.recoil_kev(light)


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
        (lambda: QuenchingTable((0.0, 2.0), (0.1, 0.1)), "positive and rise"),
        (lambda: QuenchingTable((2.0, 1.0), (0.1, 0.1)), "positive and rise"),
        (lambda: QuenchingTable((1.0, 2.0), (0.1, 0.0)), "above 0"),
        # 0.4 keV of light at 1 keV, 0.2 at 2 keV; and a table whose light falls between points of rising light.
        (lambda: QuenchingTable((1.0, 2.0), (0.4, 0.1)), "falls between 1 and 2 keV"),
        (lambda: QuenchingTable((1.0, 5.0), (0.9, 0.2)), "falls between 1 and 5 keV"),
    ],
)
def test_models_that_cannot_be(make, match):
    with pytest.raises(PhysicsError, match=match):
        make()
