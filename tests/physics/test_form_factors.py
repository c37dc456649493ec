"""Form factors: reference values, limits, the rms radius, the densities that they are transforms of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from support import GOLDEN, near

from cevnslab.errors import PhysicsError
from cevnslab.physics.constants import HBAR_C_MEV_FM
from cevnslab.physics.form_factors import (
    FERMI_DIFFUSENESS_FM,
    FORM_FACTORS,
    helm,
    klein_nystrand,
    symmetrised_fermi,
)

SMALLEST_RADIUS_FM = {"helm": 1.5588, "klein-nystrand": 1.7146, "symmetrised-fermi": 1.9458}
every_form_factor = pytest.mark.parametrize("name", FORM_FACTORS)


@pytest.mark.parametrize("row", GOLDEN["helm"], ids=lambda row: f"{row['nucleus']}-{row['q_MeV']}MeV")
def test_helm_reference(row):
    assert float(helm(row["q_MeV"], row["R_fm"])) == near(row["F"], rel=1e-10)


@pytest.mark.parametrize(
    "row", GOLDEN["dsigma_nucleus"]["values"], ids=lambda row: f"{row['nucleus']}-{row['T_keV']}keV"
)
def test_helm_reference_at_recoil_energies(row):
    nucleus = GOLDEN["nuclei"][row["nucleus"]]
    q_mev = np.sqrt(2 * nucleus["M_MeV"] * row["T_keV"] * 1e-3)
    assert float(helm(q_mev, nucleus["R_fm"])) == near(row["F"], rel=1e-9)


@pytest.mark.parametrize("symbol", GOLDEN["nuclei"])
def test_helm_vanishes_where_its_sphere_does(symbol):
    nucleus = GOLDEN["nuclei"][symbol]
    zero_mev = 4.493409457909064 / nucleus["R0_fm"] * HBAR_C_MEV_FM  # tan x = x
    assert abs(float(helm(zero_mev, nucleus["R_fm"]))) < 1e-11
    assert float(helm(0.999 * zero_mev, nucleus["R_fm"])) > 0 > float(helm(1.001 * zero_mev, nucleus["R_fm"]))


@every_form_factor
def test_normalised_to_one(name):
    assert float(FORM_FACTORS[name](0.0, 4.06)) == 1.0
    assert float(FORM_FACTORS[name](1e-6, 4.06)) == pytest.approx(1.0, abs=1e-14)


@every_form_factor
@given(radius_fm=st.floats(2.2, 6.0))
def test_curvature_is_the_rms_radius(name, radius_fm):
    q_mev = 0.02 * HBAR_C_MEV_FM / radius_fm  # q R = 0.02: the next term is 1e-4 of this one
    from_curvature = np.sqrt(6 * (1 - float(FORM_FACTORS[name](q_mev, radius_fm)))) * HBAR_C_MEV_FM / q_mev
    assert from_curvature == near(radius_fm, rel=1e-4)


@every_form_factor
def test_no_step_where_the_series_takes_over(name):
    q_mev = np.linspace(1e-3, 2.0, 4000)
    values = FORM_FACTORS[name](q_mev, 4.06)
    # A smooth even function: second differences in q are constant to its curvature's change.
    second = np.diff(values, 2) / (q_mev[1] - q_mev[0]) ** 2
    expected = -(4.06**2) / 3 / HBAR_C_MEV_FM**2
    assert np.all(np.diff(values) < 0)
    assert np.median(second) == near(expected, rel=2e-3)
    jumps = np.abs(values - (1 - (q_mev * 4.06 / HBAR_C_MEV_FM) ** 2 / 6))
    assert np.all(jumps < 0.2 * (q_mev * 4.06 / HBAR_C_MEV_FM) ** 4 / 6 + 1e-10)


def _transform(density, q_mev, reach_fm):
    q = q_mev / HBAR_C_MEV_FM
    charge = quad(lambda r: 4 * np.pi * r**2 * density(r), 0, reach_fm, epsrel=1e-11, limit=200)[0]
    wave = quad(lambda r: 4 * np.pi * r * np.sin(q * r) / q * density(r), 0, reach_fm, epsrel=1e-11, limit=200)[0]
    return wave / charge


@pytest.mark.parametrize("q_mev", [5.0, 40.0, 90.0, 130.0])
def test_symmetrised_fermi_is_the_transform_of_its_density(q_mev):
    a, radius_fm = FERMI_DIFFUSENESS_FM, 4.06
    c = np.sqrt(5 / 3 * (radius_fm**2 - 1.4 * (np.pi * a) ** 2))

    def density(r):
        return np.sinh(c / a) / (np.cosh(r / a) + np.cosh(c / a))

    assert float(symmetrised_fermi(q_mev, radius_fm)) == near(_transform(density, q_mev, 30.0), rel=1e-8)


@pytest.mark.parametrize("q_mev", [5.0, 40.0, 90.0])
def test_helm_is_a_sphere_folded_with_a_gaussian(q_mev):
    from scipy.special import erf

    s, radius_fm = 0.9, 4.06
    sphere = np.sqrt(5 / 3 * (radius_fm**2 - 3 * s**2))

    def density(r):
        low, high = (r - sphere) / (np.sqrt(2) * s), (r + sphere) / (np.sqrt(2) * s)
        return (erf(high) - erf(low)) / 2 + s / (np.sqrt(2 * np.pi) * max(r, 1e-12)) * (
            np.exp(-(high**2)) - np.exp(-(low**2))
        )

    assert float(helm(q_mev, radius_fm)) == near(_transform(density, q_mev, 15.0), rel=1e-7)


@pytest.mark.parametrize("q_mev", [5.0, 40.0, 90.0])
def test_klein_nystrand_against_its_definition(q_mev):
    q, sphere = q_mev / HBAR_C_MEV_FM, np.sqrt(5 / 3 * (4.06**2 - 6 * 0.7**2))
    ball = _transform(lambda r: 1.0, q_mev, sphere)
    assert float(klein_nystrand(q_mev, 4.06)) == near(ball / (1 + 0.49 * q**2), rel=1e-9)


@every_form_factor
def test_a_radius_too_small_for_the_density_is_refused(name):
    edge = SMALLEST_RADIUS_FM[name]
    assert np.isfinite(FORM_FACTORS[name](50.0, edge + 1e-3))
    with pytest.raises(PhysicsError, match="rms_radius_fm"):
        FORM_FACTORS[name](50.0, edge - 1e-3)


@every_form_factor
def test_broadcasts_over_arrays(name):
    q_mev = np.array([[1.0, 20.0], [60.0, 100.0]])
    values = FORM_FACTORS[name](q_mev, 4.83)
    assert values.shape == (2, 2)
    assert values[1, 0] == float(FORM_FACTORS[name](60.0, 4.83))


def test_three_descriptions_of_one_nucleus_agree_at_small_momentum():
    values = [float(FORM_FACTORS[name](30.0, 4.06)) for name in FORM_FACTORS]
    assert max(values) - min(values) < 2e-3
    assert len(set(values)) == 3
