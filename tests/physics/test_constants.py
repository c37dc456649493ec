"""The frozen constants against the reference file, scipy (CODATA) and particle (PDG), to their precision."""

from __future__ import annotations

import pytest
import scipy.constants
from particle import literals
from support import GOLDEN, near

from cevnslab.physics import constants

GOLDEN_NAMES = {
    "GF_MeV_m2": constants.FERMI_CONSTANT,
    "alpha_inv": 1 / constants.FINE_STRUCTURE,
    "hbarc_MeV_fm": constants.HBAR_C_MEV_FM,
    "u_MeV": constants.ATOMIC_MASS_UNIT_MEV,
    "m_e_MeV": constants.ELECTRON_MASS_MEV,
    "m_mu_MeV": constants.MUON_MASS_MEV,
    "m_pi_MeV": constants.CHARGED_PION_MASS_MEV,
    "N_A": constants.AVOGADRO,
    "sin2thetaW": constants.SIN2_THETA_W,
}
LIFETIMES = {
    "charged_pion_lifetime_us": constants.CHARGED_PION_LIFETIME_US,
    "muon_lifetime_us": constants.MUON_LIFETIME_US,
}
BEYOND = {  # tests/physics/test_golden_couplings.py compares them
    "tau_mass_mev": constants.TAU_MASS_MEV,
    "proton_mass_mev": constants.PROTON_MASS_MEV,
    "neutron_mass_mev": constants.NEUTRON_MASS_MEV,
    "up_mass_mev": constants.UP_MASS_MEV,
    "down_mass_mev": constants.DOWN_MASS_MEV,
    "up_in_proton": constants.UP_IN_PROTON,
    "down_in_proton": constants.DOWN_IN_PROTON,
    "up_in_neutron": constants.UP_IN_NEUTRON,
    "down_in_neutron": constants.DOWN_IN_NEUTRON,
    "radiative_g_p_e": constants.RADIATIVE_G_P["e"],
    "radiative_g_p_mu": constants.RADIATIVE_G_P["mu"],
    "radiative_g_p_tau": constants.RADIATIVE_G_P["tau"],
    "radiative_g_n": constants.RADIATIVE_G_N,
}


@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_equal_to_the_reference(name):
    assert GOLDEN_NAMES[name] == near(GOLDEN["constants"][name], rel=1e-11)


@pytest.mark.parametrize(
    ("name", "ours", "unit", "relative"),
    [
        ("inverse fine-structure constant", 1 / constants.FINE_STRUCTURE, 1, 2e-9),
        ("electron mass energy equivalent in MeV", constants.ELECTRON_MASS_MEV, 1, 2e-9),
        ("muon mass energy equivalent in MeV", constants.MUON_MASS_MEV, 1, 5e-8),
        ("atomic mass constant energy equivalent in MeV", constants.ATOMIC_MASS_UNIT_MEV, 1, 2e-9),
        ("proton mass energy equivalent in MeV", constants.PROTON_MASS_MEV, 1, 2e-9),
        ("neutron mass energy equivalent in MeV", constants.NEUTRON_MASS_MEV, 1, 2e-9),
        ("electron volt", constants.MEV_IN_JOULE, 1e6, 1e-15),
        ("Avogadro constant", constants.AVOGADRO, 1, 1e-15),
        ("reduced Planck constant times c in MeV fm", constants.HBAR_C_MEV_FM, 1, 1e-9),
        # PDG 2024 has 1.1663788, CODATA 1.1663787: they differ in the eighth digit.
        ("Fermi coupling constant", constants.FERMI_CONSTANT, 1e-6, 2e-7),
    ],
)
def test_against_codata(name, ours, unit, relative):
    assert ours == near(scipy.constants.physical_constants[name][0] * unit, rel=relative)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (constants.ELECTRON_MASS_MEV, literals.e_minus),
        (constants.MUON_MASS_MEV, literals.mu_minus),
        (constants.TAU_MASS_MEV, literals.tau_minus),
        (constants.CHARGED_PION_MASS_MEV, literals.pi_plus),
        (constants.PROTON_MASS_MEV, literals.proton),
        (constants.NEUTRON_MASS_MEV, literals.neutron),
        (constants.UP_MASS_MEV, literals.u),
        (constants.DOWN_MASS_MEV, literals.d),
    ],
    ids=["electron", "muon", "tau", "pion", "proton", "neutron", "up", "down"],
)
def test_against_the_particle_data_group(ours, theirs):
    assert abs(ours - theirs.mass) <= max(2 * theirs.mass_upper, 1e-8 * theirs.mass)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(constants.CHARGED_PION_LIFETIME_US, literals.pi_plus), (constants.MUON_LIFETIME_US, literals.mu_minus)],
    ids=["pion", "muon"],
)
def test_lifetimes_against_the_particle_data_group(ours, theirs):
    """`particle` has them as widths, hbar/tau, which it rounds to five digits for the pion."""
    of_the_width = scipy.constants.hbar / scipy.constants.eV * 1e-6 / theirs.width * 1e6
    assert ours == near(theirs.lifetime * 1e-3, rel=2e-5)
    assert ours == near(of_the_width, rel=2e-5)


def test_the_mixing_angle_is_the_low_energy_one():
    on_shell = scipy.constants.physical_constants["weak mixing angle"][0]
    assert constants.SIN2_THETA_W - on_shell > 0.01
    assert 0.235 < constants.SIN2_THETA_W < 0.240
    assert pytest.approx(0.5 - 2 * 0.23857) == constants.G_P
    assert constants.G_N == -0.5


def test_conversion_to_square_centimetres():
    assert near(3.8937937e-22, rel=1e-8) == constants.INVERSE_MEV2_TO_CM2


def test_provenance_has_every_independent_constant():
    recorded = constants.as_dict()
    assert sorted(recorded.values()) == near(
        sorted([*GOLDEN_NAMES.values(), *LIFETIMES.values(), *BEYOND.values()]), rel=1e-14
    )
    named = BEYOND | LIFETIMES
    assert {name: recorded[name] for name in named} == named
