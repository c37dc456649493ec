"""Physical constants, frozen here and nowhere else, with their sources.

Natural units inside formulas, MeV; recoil energies are keV at every public interface. The values are
CODATA 2022 and PDG 2024; results record them (`as_dict`), so that a number can be traced to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FERMI_CONSTANT = 1.1663788e-11
"""G_F in MeV^-2 (PDG 2024)."""

FINE_STRUCTURE = 1 / 137.035999177
"""alpha at zero momentum transfer (CODATA 2022)."""

SIN2_THETA_W = 0.23857
"""Low-energy (MS-bar) weak mixing angle (PDG 2024); `scipy.constants` has the on-shell one, 0.22305."""

ELECTRON_MASS_MEV = 0.51099895069
"""CODATA 2022."""

MUON_MASS_MEV = 105.6583755
"""CODATA 2022."""

TAU_MASS_MEV = 1776.93
"""PDG 2024."""

CHARGED_PION_MASS_MEV = 139.57039
"""PDG 2024."""

CHARGED_PION_LIFETIME_US = 0.026033
"""PDG 2024."""

MUON_LIFETIME_US = 2.1969811
"""PDG 2024."""

PROTON_MASS_MEV = 938.27208943
"""CODATA 2022."""

NEUTRON_MASS_MEV = 939.56542194
"""CODATA 2022."""

UP_MASS_MEV = 2.16
"""MS-bar mass at 2 GeV (PDG 2024)."""

DOWN_MASS_MEV = 4.70
"""MS-bar mass at 2 GeV (PDG 2024)."""

UP_IN_PROTON, DOWN_IN_PROTON, UP_IN_NEUTRON, DOWN_IN_NEUTRON = 0.0208, 0.0411, 0.0189, 0.0451
"""f_q^N, the share of the nucleon's mass due to a quark's (Hoferichter et al., arXiv:1506.04142)."""

ATOMIC_MASS_UNIT_MEV = 931.49410372
"""CODATA 2022."""

AVOGADRO = 6.02214076e23
"""mol^-1, exact (SI)."""

HBAR_C_MEV_FM = 197.3269804593
"""Exact (SI), rounded to ten decimals."""

MEV_TO_INVERSE_FM = 1 / HBAR_C_MEV_FM

INVERSE_MEV2_TO_CM2 = HBAR_C_MEV_FM**2 * 1e-26
"""(hbar c)^2: 1 MeV^-2 in cm^2."""

KEV = 1e-3
"""One keV in MeV."""

MEV_IN_JOULE = 1.602176634e-13
"""Exact (SI)."""

G_P = 0.5 - 2 * SIN2_THETA_W
"""Vector coupling of the proton to the Z, Eq. (2) of arXiv:2409.10652."""

G_N = -0.5
"""Vector coupling of the neutron to the Z, Eq. (2) of arXiv:2409.10652."""

RADIATIVE_G_P: Mapping[str, float] = MappingProxyType({"e": 0.0382, "mu": 0.0300, "tau": 0.0256})
"""g_p of each flavour with radiative corrections (Erler, Su, arXiv:1303.5522; values as in arXiv:2303.09360).

They hold the Standard Model's charge radii of the neutrinos, which is what tells the flavours apart.
"""

RADIATIVE_G_N = -0.5117
"""g_n with radiative corrections, the same for every flavour (sources as `RADIATIVE_G_P`)."""


def as_dict() -> dict[str, float]:
    """The independent constants by name, as results record them.

    >>> as_dict()["fermi_constant_inverse_mev2"]
    1.1663788e-11
    """
    return {
        "fermi_constant_inverse_mev2": FERMI_CONSTANT,
        "inverse_fine_structure": 1 / FINE_STRUCTURE,
        "sin2_theta_w": SIN2_THETA_W,
        "electron_mass_mev": ELECTRON_MASS_MEV,
        "muon_mass_mev": MUON_MASS_MEV,
        "tau_mass_mev": TAU_MASS_MEV,
        "charged_pion_mass_mev": CHARGED_PION_MASS_MEV,
        "charged_pion_lifetime_us": CHARGED_PION_LIFETIME_US,
        "muon_lifetime_us": MUON_LIFETIME_US,
        "proton_mass_mev": PROTON_MASS_MEV,
        "neutron_mass_mev": NEUTRON_MASS_MEV,
        "up_mass_mev": UP_MASS_MEV,
        "down_mass_mev": DOWN_MASS_MEV,
        "up_in_proton": UP_IN_PROTON,
        "down_in_proton": DOWN_IN_PROTON,
        "up_in_neutron": UP_IN_NEUTRON,
        "down_in_neutron": DOWN_IN_NEUTRON,
        **{f"radiative_g_p_{flavour}": value for flavour, value in RADIATIVE_G_P.items()},
        "radiative_g_n": RADIATIVE_G_N,
        "atomic_mass_unit_mev": ATOMIC_MASS_UNIT_MEV,
        "avogadro": AVOGADRO,
        "hbar_c_mev_fm": HBAR_C_MEV_FM,
    }
