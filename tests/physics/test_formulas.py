"""Targets as they are written: isotopes and mixtures are what they say, names and dopants are refused."""

from __future__ import annotations

import numpy as np
import pytest
from support import near

import cevnslab as cl
from cevnslab.errors import UnknownNameError
from cevnslab.physics.formulas import Species, isotope_mass_u, parse_target, target_text
from cevnslab.physics.nuclei import target


@pytest.mark.parametrize("text", ["Ge76", "76Ge", "Ge-76"])
def test_an_isotope_is_that_isotope(text):
    enriched = target(text)
    (constituent,) = enriched.constituents
    nucleus = constituent.nucleus
    assert (enriched.formula, nucleus.name, nucleus.mass_number) == ("76Ge", "76Ge", 76)
    assert (nucleus.proton_number, nucleus.neutron_number, nucleus.rms_radius_fm) == (32, 44, 4.0811)
    assert nucleus.mass_u == near(75.92140, 1e-6)  # AME2020
    assert enriched.nuclei_per_kg(constituent) == near(6.02214076e26 / 75.92140, 1e-6)


@pytest.mark.parametrize(("text", "isotope"), [("Xe136", "136Xe"), ("40Ar", "40Ar"), ("Cs133", "133Cs"), ("2H", "2H")])
def test_other_isotopes(text, isotope):
    assert target(text, rms_radius_fm=3.0).formula == target_text(text) == isotope


@pytest.mark.parametrize(
    ("text", "atoms"), [("Cl2", {"Cl": 2}), ("O2", {"O": 2}), ("S8", {"S": 8}), ("C3F8", {"C": 3, "F": 8})]
)
def test_numbers_that_are_no_isotope_count_atoms(text, atoms):
    assert parse_target(text) == {Species(symbol): count for symbol, count in atoms.items()}


def test_the_counts_of_an_isotope_are_not_those_of_as_many_atoms():
    """What was wrong: 76 atoms of natural germanium."""
    one, natural = (float(cl.cross_sections.cevns(1.0, 40.0, material)) for material in ("Ge76", "Ge"))
    assert 1.0 < one / natural < 1.4


def test_a_mixture_lies_between_its_isotopes():
    mixed = target({"Ge70": 0.1, "76Ge": 0.9})
    light, heavy = mixed.constituents
    assert [(c.nucleus.name, c.per_formula_unit) for c in mixed.constituents] == [("70Ge", 0.1), ("76Ge", 0.9)]
    assert mixed.molar_mass_g == near(
        0.1 * isotope_mass_u(Species("Ge", 70)) + 0.9 * isotope_mass_u(Species("Ge", 76)), 1e-12
    )
    assert mixed.nuclei_per_kg(heavy) / mixed.nuclei_per_kg(light) == near(9, 1e-12)
    rates = [float(cl.cross_sections.cevns(1.0, 40.0, target(target_material))) for target_material in ("Ge70", "Ge76")]
    assert float(cl.cross_sections.cevns(1.0, 40.0, mixed)) == near(0.1 * rates[0] + 0.9 * rates[1], 1e-12)


def test_the_natural_mixture_by_hand_is_the_convention_isotopes():
    natural = target("Ge", convention="isotopes")
    total = sum(c.per_formula_unit for c in natural.constituents)
    by_hand = target(
        {f"Ge{c.nucleus.mass_number}": c.per_formula_unit / total for c in natural.constituents}, rms_radius_fm=4.06
    )
    a, b = (
        float(cl.cross_sections.cevns(2.0, 30.0, material)) / material.molar_mass_g for material in (natural, by_hand)
    )
    assert a == near(b, 1e-12)


def test_elements_may_be_mixed_too():
    gas = target({"Ar": 0.9, "Xe": 0.1})
    assert [c.nucleus.name for c in gas.constituents] == ["Ar", "Xe"]


COMMON_NAMES = {
    "HPGe": "Ge", "CsI(Na)": "CsI", "CsI[Na]": "CsI", "NaI(Tl)": "NaI", "NaI:Tl": "NaI", "LXe": "Xe", "argon": "Ar",
    "Germanium": "Ge", "ge": "Ge", "BGO": "Bi4Ge3O12", "PWO": "PbWO4",
}  # fmt: skip


@pytest.mark.parametrize("text", COMMON_NAMES)
def test_names_and_dopants_are_refused_with_the_formula_that_is_meant(text):
    with pytest.raises(UnknownNameError) as fault:
        target(text)
    assert f"write {COMMON_NAMES[text]}" in str(fault.value) or f"formula {COMMON_NAMES[text]}" in str(fault.value)
    target(COMMON_NAMES[text])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ge90x", ["no chemical formula"]),
        ("Ge99", ["no isotope of Ge"]),
        ("200Ge", ["no isotope of Ge"]),
        ("Ge76O2", ["76 atoms of Ge", "isotopes in compounds"]),
        ("H2", ["deuterium"]),
        ("D2O", ["isotope"]),
        ("(" * 99, ["no chemical formula"]),
        ("(" * 900, ["no chemical formula", "at most 100 letters"]),
        ({"Ge70": 0.1, "Ge76": 0.8}, ["sum to 1", "0.9"]),
        ({"Ge70": 1.1, "Ge76": -0.1}, ["above 0", "-0.1"]),
        ({"Ge76": 0.5, "76Ge": 0.5}, ["76Ge", "twice"]),
        ({"Qq": 1.0}, ["'Qq'"]),
        ({"D": 1.0}, ["'D' is an isotope of hydrogen; write 2H"]),
        ({"T": 0.5, "1H": 0.5}, ["'T' is an isotope of hydrogen; write 3H"]),
        ({"n": 1.0}, ["'n' is no chemical element"]),
        ({}, ["sum to 1"]),
        ("U", ["no natural abundances", "'U'", "such as U238", "fractions"]),
    ],
    ids=str,
)
def test_what_is_no_target_says_why(text, words):
    with pytest.raises(UnknownNameError) as fault:
        target(text)
    assert all(word in str(fault.value) for word in words), fault.value
    assert len(str(fault.value)) < 400


def test_a_mixture_in_a_study(write_study, command):
    keys = {
        "name": "enriched", "source": "ess", "exposure_years": 3, "couplings": ["q_ee"],
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "detectors": [
            {"preset": "ess-ge", "name": "natural"},
            {"preset": "ess-ge", "name": "pure", "target": "76Ge"},
            {"preset": "ess-ge", "name": "mixed", "target": {"Ge70": 0.1, "Ge76": 0.9}},
        ],
    }  # fmt: skip
    study = cl.study_from_dict(keys)
    assert [setup.detector.label for setup in study.setups] == ["Ge", "76Ge", "0.1 70Ge + 0.9 76Ge"]
    counts = {name: response.counts().sum() for name, response in study.responses().items()}
    assert counts["pure"] > counts["mixed"] > counts["natural"] * 0.9
    assert not np.isclose(counts["pure"], counts["natural"], rtol=1e-3)
    again = cl.study_from_dict(study.as_dict())
    assert again.sha256 == study.sha256
    ran = command("check", write_study(keys))
    assert (ran.status, ran.err) == (0, "")
    assert "0.1 70Ge + 0.9 76Ge" in ran.out
