"""Charge radii against a second transcription, neutron skins against their formula."""

from __future__ import annotations

import pytest
from support import STUDY, near

import cevnslab as cl
from cevnslab.errors import PhysicsError
from cevnslab.physics.formulas import Species, element
from cevnslab.physics.nuclei import target
from cevnslab.physics.radii import charge_radii, rms_radius_fm, skin_fm

# R^2 averaged over natural abundance, and isotopes: a second transcription of the IAEA's table.
ELEMENTS = {
    "O": 2.6993, "Na": 2.9936, "Al": 3.0610, "Ca": 3.4787, "Ti": 3.5915, "Zn": 3.9424, "Mo": 4.3807, "Te": 4.7331,
    "W": 5.3649, "Pb": 5.4967, "Bi": 5.5211,
}  # fmt: skip
ISOTOPES = {
    "O16": 2.6991, "Si28": 3.1224, "Si29": 3.1176, "Si30": 3.1336, "Ar40": 3.4274, "Ca40": 3.4776, "Ca44": 3.5179,
    "Ca48": 3.4771, "Ti48": 3.5921, "Zn64": 3.9283, "Zn66": 3.9491, "Zn68": 3.9658, "Ge70": 4.0414, "Ge72": 4.0576,
    "Ge73": 4.0632, "Ge74": 4.0742, "Ge76": 4.0811, "Mo92": 4.3151, "Mo100": 4.4468, "Te128": 4.7346, "Te130": 4.7423,
    "Xe129": 4.7775, "Xe131": 4.7808, "Xe132": 4.7859, "Xe134": 4.7899, "Xe136": 4.7964, "W182": 5.3559, "W183": 5.3611,
    "W184": 5.3658, "W186": 5.3743, "Pb206": 5.4902, "Pb207": 5.4943, "Pb208": 5.5012,
}  # fmt: skip
PAPER = {"Cs": 4.83, "I": 4.83, "Xe": 4.79, "Ge": 4.06, "Ar": 3.40, "Si": 3.10, "C": 2.48, "F": 2.90}


@pytest.mark.parametrize("symbol", ELEMENTS)
def test_elements(symbol):
    assert rms_radius_fm(Species(symbol)) == pytest.approx(ELEMENTS[symbol], abs=2e-4)  # abundances of another year


@pytest.mark.parametrize("text", ISOTOPES)
def test_isotopes(text):
    (constituent,) = target(text).constituents
    assert constituent.nucleus.rms_radius_fm == ISOTOPES[text]


@pytest.mark.parametrize("symbol", PAPER)
def test_elements_of_the_presets_keep_the_papers_radii(symbol):
    assert rms_radius_fm(Species(symbol)) == PAPER[symbol]


def test_every_tabulated_isotope_is_a_natural_one_and_radii_grow_with_the_nucleus():
    for symbol, isotopes in charge_radii().items():
        natural = {isotope.mass_number for isotope in element(symbol).isotopes}
        assert set(isotopes) <= natural
        for number, radius in isotopes.items():
            assert 0.75 < radius / number ** (1 / 3) < 1.45, (symbol, number)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ge71", ["71Ge", "70Ge, 4.0414 fm", "rms_radius_fm"]),
        ("V50", ["50V", "51V"]),
        ("Th", ["Th", "rms_radius_fm"]),
        ("ThHe2", ["Th", "He", "{Th: 3.0, He: 3.0}"]),
        ({"Ge71": 0.5, "Ge68": 0.5}, ["71Ge", "68Ge", "{71Ge: 3.0, 68Ge: 3.0}"]),
    ],
    ids=str,
)
def test_missing_radii_are_named_all_at_once(text, words):
    with pytest.raises(PhysicsError) as fault:
        target(text)
    assert all(word in str(fault.value) for word in words), fault.value
    (target(text, rms_radius_fm=4.0),)


def test_radii_by_isotope_or_element():
    both = target({"Ge70": 0.5, "Ge76": 0.5}, rms_radius_fm={"Ge76": 4.2}, neutron_radius_fm={"Ge": 4.5})
    assert [(c.nucleus.rms_radius_fm, c.nucleus.neutron_radius_fm) for c in both.constituents] == [
        (4.0414, 4.5),
        (4.2, 4.5),
    ]


@pytest.mark.parametrize(
    ("material", "radius"), [("Cs", 4.93), ("I", 4.87), ("Xe", 4.91), ("Ge", 4.14), ("Ar", 3.49), ("Pb", 5.65)]
)
def test_neutron_skins(material, radius):
    """Of the tabulated charge radii, rounded to two digits."""
    charge = {"Cs": 4.8041, "I": 4.7500, "Xe": 4.7836, "Ge": 4.0626, "Ar": 3.4273, "Pb": 5.4967}[material]
    (constituent,) = target(material, rms_radius_fm=charge, neutron_radius="skin").constituents
    assert constituent.nucleus.rms_radius_fm == charge
    assert constituent.nucleus.neutron_radius_fm == pytest.approx(radius, abs=0.0051)


def test_a_skin_is_never_negative_and_a_typed_radius_comes_first():
    assert skin_fm(20, 20) == skin_fm(9, 9) == 0
    both = target("CsI", neutron_radius_fm={"I": 5.0}, neutron_radius="skin")
    cs, i = (c.nucleus for c in both.constituents)
    assert i.neutron_radius_fm == 5.0
    assert cs.neutron_radius_fm == near(4.83 + 0.90 * 23 / 133 - 0.03, 1e-12)
    with pytest.raises(PhysicsError, match="either"):
        target("CsI", neutron_radius_fm=5.0, neutron_radius="skin")


@pytest.mark.parametrize(
    ("preset", "charge", "percent"),
    [
        ("ess-csi", {"Cs": 4.8041, "I": 4.7500}, -1.1),
        ("ess-xe", 4.7836, -1.9),
        ("ess-ge", 4.0626, -1.0),
        ("ess-ar", 3.4273, -0.9),
    ],
)
def test_what_a_skin_takes_from_the_counts_at_the_ess(preset, charge, percent):
    counts = {}
    for name, keys in {"paper": {}, "skin": {"rms_radius_fm": charge, "neutron_radius": "skin"}}.items():
        study = {**STUDY, "detectors": [{"preset": preset, **keys}]}
        counts[name] = cl.study_from_dict(study).responses()[preset].counts().sum()
    assert 100 * (counts["skin"] / counts["paper"] - 1) == pytest.approx(percent, abs=0.15)
