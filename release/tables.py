"""Make the shipped tables of sources from what they are made of: `python release/tables.py TABLE FOLDER`.

    captures        U-238 captures: beta branches of U-239 and Np-239 below (no folder needed)
    huber-mueller   FOLDER holds Daya Bay's table as a text file, dayabay_official_huber_mueller_1.75-13MeV.csv

Writes into `src/cevnslab/data`; the README there says what each table is.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
from scipy.special import gamma, loggamma

DATA = Path(__file__).resolve().parent.parent / "src" / "cevnslab" / "data"

ELECTRON_MASS_KEV = 510.99895069
FINE_STRUCTURE = 1 / 137.035999177
COMPTON_FM = 386.1592674
"""Reduced Compton wavelength of the electron."""

BRANCHES = {
    # ENSDF, A = 239 (evaluation of 2014): endpoint of the beta spectrum in keV, intensity in per cent.
    (93, 239): (
        (1285.0, 18.7), (1230.37, 9.4), (1211.0, 69.0), (1143.785, 1.96), (599.239, 0.30), (566.4, 0.049),
        (442.291, 0.27), (417.428, 0.26), (297.292, 0.24), (269.45, 0.027), (248.09, 0.013), (221.11, 0.035),
        (164.52, 0.013), (64.36, 0.0032),
    ),
    (94, 239): (
        (713.0, 2.0), (438.0, 45.0), (393.0, 7.0), (341.0, 44.0), (252.7, 0.0027), (230.3, 0.02), (217.3, 0.0074),
        (210.69, 1.7), (166.3, 0.003),
    ),
}  # fmt: skip
"""By charge and mass number of the daughter: decays of U-239 and Np-239."""
CAPTURE_STEP_MEV = 0.005


def fermi_function(charge: int, mass_number: int, energy: np.ndarray, momentum: np.ndarray) -> np.ndarray:
    """F(Z, W) of a point charge at the nuclear radius 1.2 A^(1/3) fm, energy and momentum in units of m_e."""
    root = np.sqrt(1 - (FINE_STRUCTURE * charge) ** 2)
    eta = FINE_STRUCTURE * charge * energy / momentum
    radius = 1.2 * mass_number ** (1 / 3) / COMPTON_FM
    magnitude = np.exp(np.pi * eta + 2 * np.real(loggamma(root + 1j * eta)))
    return 2 * (1 + root) * (2 * momentum * radius) ** (2 * (root - 1)) * magnitude / gamma(2 * root + 1) ** 2


def antineutrino_spectrum(charge: int, mass_number: int, endpoint_kev: float, energy_kev: np.ndarray) -> np.ndarray:
    """P W E_nu^2 F(Z, W) of an allowed transition, normalised to 1 on the energies."""
    inside = (energy_kev > 0) & (energy_kev < endpoint_kev)
    total = 1 + np.where(inside, endpoint_kev - energy_kev, 1.0) / ELECTRON_MASS_KEV
    momentum = np.sqrt(total**2 - 1)
    shape = momentum * total * energy_kev**2 * fermi_function(charge, mass_number, total, momentum)
    density = np.where(inside, shape, 0.0)
    return density / np.trapezoid(density, energy_kev)


def capture_table() -> str:
    """Antineutrinos per MeV and capture: one of U-239 and one of Np-239."""
    # Fine points first: a branch ends in a step (the Coulomb field), whose height the table shares out by area.
    fine = np.linspace(0.0, 1300.0, 260_001)
    coarse = np.arange(0.0, 1.3 + CAPTURE_STEP_MEV / 2, CAPTURE_STEP_MEV)
    total = np.zeros_like(fine)
    for (charge, mass_number), branches in BRANCHES.items():
        intensity = sum(share for _, share in branches)
        for endpoint, share in branches:
            total += share / intensity * antineutrino_spectrum(charge, mass_number, endpoint, fine)
    hats = np.array([np.clip(1 - np.abs(fine * 1e-3 - e) / CAPTURE_STEP_MEV, 0, None) for e in coarse])
    density = np.trapezoid(total * hats, fine, axis=1) / CAPTURE_STEP_MEV
    density *= 2 / np.trapezoid(density, coarse)
    lines = ["# antineutrinos after a neutron capture on U-238: decays of U-239 and Np-239; MeV, per MeV and capture"]
    lines += [f"{e:.3f},{value:.6g}" for e, value in zip(coarse, density, strict=True) if e > 0]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=["captures", "huber-mueller"])
    parser.add_argument("folder", nargs="?", type=Path)
    arguments = parser.parse_args()
    if arguments.table == "captures":
        (DATA / "reactor" / "u238-captures.csv").write_text(capture_table(), encoding="utf-8")
    else:
        name = "dayabay_official_huber_mueller_1.75-13MeV.csv"
        shutil.copyfile(arguments.folder / name, DATA / "reactor" / "huber-mueller.csv")


if __name__ == "__main__":
    main()
