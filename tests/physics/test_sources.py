"""Pion decay at rest: the reference fluxes, and the moments against adaptive quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from support import GOLDEN, near

import cevnslab as cl
from cevnslab.physics.sources import (
    ANTI_NU_MU_SPECTRUM,
    MICHEL_ENDPOINT_MEV,
    NU_E_SPECTRUM,
    PION_DECAY_AT_REST,
    PROMPT_ENERGY_MEV,
    LineSpectrum,
)

FLUX = GOLDEN["flux"]
michel = pytest.mark.parametrize("spectrum", [NU_E_SPECTRUM, ANTI_NU_MU_SPECTRUM], ids=["nu_e", "anti-nu_mu"])


def test_reference_energies():
    assert near(FLUX["E_numu_MeV"], rel=1e-11) == PROMPT_ENERGY_MEV
    assert near(FLUX["E_max_MeV"], rel=1e-12) == MICHEL_ENDPOINT_MEV


def test_reference_fluence():
    assert cl.load_source("ess").fluence_per_cm2(20, 1) == near(FLUX["eta_per_year_cm2"], rel=1e-11)


@pytest.mark.parametrize("row", FLUX["shape_unit_normalised"], ids=lambda row: f"{row['E_MeV']}MeV")
def test_reference_shapes(row):
    assert float(NU_E_SPECTRUM.density_per_mev(row["E_MeV"])) == near(row["f_nue_per_MeV"], rel=1e-9)
    assert float(ANTI_NU_MU_SPECTRUM.density_per_mev(row["E_MeV"])) == near(row["f_numubar_per_MeV"], rel=1e-10)


@michel
def test_normalised_to_one_neutrino(spectrum):
    assert quad(spectrum.density_per_mev, 0, MICHEL_ENDPOINT_MEV)[0] == near(1.0, rel=1e-12)
    assert float(spectrum.density_per_mev(MICHEL_ENDPOINT_MEV + 0.01)) == 0.0
    assert float(spectrum.density_per_mev(-1.0)) == 0.0


@michel
@given(low_mev=st.floats(0.5, MICHEL_ENDPOINT_MEV - 0.1))
def test_moments_against_adaptive_quadrature(spectrum, low_mev):
    moments = spectrum.inverse_energy_moments(low_mev)
    for k in range(3):
        by_quad = quad(
            lambda e, k=k: float(spectrum.density_per_mev(e)) * e**-k, low_mev, MICHEL_ENDPOINT_MEV, epsrel=1e-11
        )[0]
        assert moments[k] == near(by_quad, rel=1e-9)


@michel
def test_nothing_above_the_endpoint(spectrum):
    assert np.all(spectrum.inverse_energy_moments(np.array([MICHEL_ENDPOINT_MEV, 60.0])) == 0)


def test_line_spectrum():
    line = LineSpectrum(30.0)
    assert line.inverse_energy_moments(np.array([10.0, 29.9, 30.1])).tolist() == [
        [1, 1, 0],
        [1 / 30, 1 / 30, 0],
        [1 / 900, 1 / 900, 0],
    ]


def test_what_a_pion_emits():
    assert [(c.flavour, c.antineutrino, c.spectrum.maximum_energy_mev) for c in PION_DECAY_AT_REST] == [
        ("mu", False, PROMPT_ENERGY_MEV),
        ("mu", True, MICHEL_ENDPOINT_MEV),
        ("e", False, MICHEL_ENDPOINT_MEV),
    ]


def test_beam_days():
    config = GOLDEN["analysis_config"]
    expected = config["hours_per_year"] / 24 * config["years"] * config["duty"]
    assert cl.load_source("ess").beam_days(3) == pytest.approx(expected)


def test_the_spallation_neutron_source_is_weaker():
    ess, sns = cl.load_source("ess"), cl.load_source("sns")
    ratio = ess.fluence_per_cm2(20, 1) / sns.fluence_per_cm2(20, 1)
    assert ratio == near(2.8e23 * 0.3 / (1.57e23 * 0.0848), rel=1e-12)
