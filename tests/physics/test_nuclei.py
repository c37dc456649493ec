"""Nuclei and targets: conventions, compounds, radii, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from support import GOLDEN, near

from cevnslab.errors import CevnslabError, PhysicsError, UnknownNameError
from cevnslab.physics.constants import G_N, G_P
from cevnslab.physics.formulas import element, parse_formula
from cevnslab.physics.nuclei import target

PRESET_ELEMENTS = ("C", "F", "Na", "Si", "Ar", "Ge", "I", "Xe", "Cs")


@pytest.mark.parametrize("symbol", GOLDEN["nuclei"])
def test_reference_nuclei(symbol):
    row = GOLDEN["nuclei"][symbol]
    (constituent,) = target(symbol).constituents
    nucleus = constituent.nucleus
    assert nucleus.mass_u == row["A_u"]
    assert nucleus.proton_number == row["Z"]
    assert nucleus.neutron_number == near(row["N"], rel=1e-12)
    assert nucleus.rms_radius_fm == nucleus.neutron_radius_fm == row["R_fm"]
    assert nucleus.mass_mev == near(row["M_MeV"], rel=1e-11)
    charge = G_P * nucleus.proton_number + G_N * nucleus.neutron_number
    assert charge == near(row["Q_W"], rel=1e-9)


@pytest.mark.parametrize("name", ["CsI", "Xe", "Ge"])
def test_reference_molar_masses(name):
    assert target(name).molar_mass_g == near(GOLDEN["analysis_config"]["detectors"][name]["molar_g"], rel=1e-12)


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        ("CsI", {"Cs": 1, "I": 1}),
        ("C3F8", {"C": 3, "F": 8}),
        ("CaWO4", {"Ca": 1, "W": 1, "O": 4}),
        ("Bi4(GeO4)3", {"Bi": 4, "Ge": 3, "O": 12}),
    ],
)
def test_formulas(formula, atoms):
    assert parse_formula(formula) == atoms


def test_a_kilogram_of_a_compound():
    compound = target("C3F8")
    per_kg = {c.nucleus.symbol: compound.nuclei_per_kg(c) for c in compound.constituents}
    assert per_kg["F"] / per_kg["C"] == pytest.approx(8 / 3)
    mass_g = sum(compound.nuclei_per_kg(c) * c.nucleus.mass_u for c in compound.constituents) / 6.02214076e23
    assert mass_g == pytest.approx(1000.0)


@pytest.mark.parametrize(("symbol", "neutrons"), [("Cs", 78), ("I", 74), ("F", 10), ("Na", 12)])
def test_one_stable_isotope_is_that_isotope(symbol, neutrons):
    (constituent,) = target(symbol, rms_radius_fm=3.0).constituents
    assert constituent.nucleus.neutron_number == neutrons


@pytest.mark.parametrize(
    ("symbol", "weight"), [("Ge", 72.63), ("Xe", 131.293), ("Ar", 39.948), ("Si", 28.085), ("C", 12.011)]
)
def test_other_elements_have_a_standard_weight(symbol, weight):
    (constituent,) = target(symbol).constituents
    assert constituent.nucleus.mass_u == weight
    assert constituent.nucleus.neutron_number == pytest.approx(weight - constituent.nucleus.proton_number)


@pytest.mark.parametrize("symbol", PRESET_ELEMENTS)
def test_natural_isotopes(symbol):
    mixture = target(symbol, rms_radius_fm=3.0, convention="isotopes").constituents
    assert sum(c.per_formula_unit for c in mixture) == pytest.approx(1.0, abs=2e-3)
    weight = sum(c.per_formula_unit * c.nucleus.mass_u for c in mixture)
    assert weight == near(element(symbol).standard_weight, rel=1e-3)
    for c in mixture:
        assert c.nucleus.neutron_number == round(c.nucleus.mass_u) - c.nucleus.proton_number


def test_germanium_has_five_isotopes():
    mixture = target("Ge", convention="isotopes").constituents
    assert [round(c.nucleus.mass_u) for c in mixture] == [70, 72, 73, 74, 76]
    assert target("Ge", convention="isotopes").molar_mass_g == near(72.63, rel=1e-3)


def test_fractions_of_an_element_sum_to_one():
    for symbol in PRESET_ELEMENTS:
        assert sum(i.fraction for i in element(symbol).isotopes) == pytest.approx(1.0, abs=2e-3)


def test_radii_per_element_and_neutron_radius():
    both = target("NaI", rms_radius_fm={"Na": 2.99, "I": 4.83}, neutron_radius_fm={"I": 4.95})
    radii = {c.nucleus.symbol: (c.nucleus.rms_radius_fm, c.nucleus.neutron_radius_fm) for c in both.constituents}
    assert radii == {"Na": (2.99, 2.99), "I": (4.83, 4.95)}
    one = target("NaI", rms_radius_fm=4.0, neutron_radius_fm=4.1)
    assert {(c.nucleus.rms_radius_fm, c.nucleus.neutron_radius_fm) for c in one.constituents} == {(4.0, 4.1)}


def test_a_missing_radius_is_never_guessed():
    with pytest.raises(PhysicsError, match="rms_radius_fm") as caught:
        target("ThI4")
    assert "Th" in str(caught.value)
    with pytest.raises(PhysicsError, match="Th"):
        target("ThO2", rms_radius_fm={"O": 2.70})


def test_a_radius_of_an_element_that_is_not_there():
    with pytest.raises(PhysicsError, match="Xe"):
        target("CsI", rms_radius_fm={"Xe": 4.79})


@pytest.mark.parametrize("formula", ["Qq", "CsX", "", "Ge[76]", "Cs I", "ge", "12", "Ge0", "Cs-I", "(Ge", "Tc"])
def test_what_is_no_target(formula):
    with pytest.raises(CevnslabError):
        target(formula, rms_radius_fm=4.0)


def test_the_unknown_element_is_named():
    with pytest.raises(UnknownNameError, match="Qq"):
        target("QqI")


def test_endpoint():
    (constituent,) = target("Cs").constituents
    assert constituent.nucleus.maximum_recoil_kev(40.0) == near(2 * 40**2 / 123800.644853 * 1e3, rel=1e-10)
    assert np.isclose(constituent.nucleus.maximum_recoil_kev(10.0), 1.6, atol=0.05)  # the paper's text
