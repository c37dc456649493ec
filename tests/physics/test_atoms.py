"""Electrons of atoms: every step of the reference file, and occupations that sum to Z."""

from __future__ import annotations

import numpy as np
import periodictable
import pytest
from support import GOLDEN

from cevnslab.errors import UnknownNameError
from cevnslab.physics.atoms import binding_energies_kev, effective_charge, subshells

STEPS = GOLDEN["Z_eff_steps"]["values"]
SPECIFIED = {"C", "F", "Na", "Si", "Ar", "Ge", "I", "Xe", "Cs"}


@pytest.mark.parametrize(
    ("symbol", "step"),
    [
        pytest.param(symbol, step, id=f"{symbol}-{step['for_T_above_keV']:.4g}keV")
        for symbol in STEPS
        for step in STEPS[symbol]
    ],
)
def test_reference_steps(symbol, step):
    energy = step["for_T_above_keV"]
    # Two subshells of iodine share an energy: both are free just above it.
    above = max(row["Z_eff_above"] for row in STEPS[symbol] if abs(row["for_T_above_keV"] - energy) < 1e-9)
    below = max((row["Z_eff_above"] for row in STEPS[symbol] if row["for_T_above_keV"] < energy - 1e-9), default=None)
    assert float(effective_charge(symbol, energy + 1e-7)) == above
    if below is not None:
        assert float(effective_charge(symbol, energy - 1e-7)) == below


@pytest.mark.parametrize("symbol", STEPS)
def test_no_step_besides_the_reference(symbol):
    expected = sorted({round(row["for_T_above_keV"], 9) for row in STEPS[symbol] if row["for_T_above_keV"] > 0})
    assert np.round(binding_energies_kev(symbol), 9).tolist() == expected


@pytest.mark.parametrize(
    "row", GOLDEN["dsigma_electron"]["values"], ids=lambda r: f"{r['atom']}-{r['T_e_keV']}keV-{r['flavour']}"
)
def test_reference_charges(row):
    assert float(effective_charge(row["atom"], row["T_e_keV"])) == row["Z_eff"]


@pytest.mark.parametrize("symbol", sorted(subshells()))
def test_occupations_sum_to_z(symbol):
    z = periodictable.elements.symbol(symbol).number
    assert sum(electrons for _, electrons in subshells()[symbol]) == z
    assert float(effective_charge(symbol, 1e3)) == z


@pytest.mark.parametrize("symbol", sorted(subshells()))
def test_charge_never_falls_with_energy(symbol):
    energies = np.geomspace(1e-3, 1e2, 500)
    charges = effective_charge(symbol, energies)
    assert charges.shape == energies.shape
    assert np.all(np.diff(charges) >= 0)
    assert np.any(np.diff(charges) > 0)


def test_every_element_of_the_specification_is_there():
    assert set(subshells()) >= SPECIFIED


def test_a_recoil_equal_to_the_binding_energy_frees_nothing():
    (energy,) = binding_energies_kev("C")
    assert float(effective_charge("C", energy)) == 4
    assert float(effective_charge("C", np.nextafter(energy, 1))) == 6


def test_an_element_without_a_table_is_refused():
    with pytest.raises(UnknownNameError, match="W"):
        binding_energies_kev("W")
