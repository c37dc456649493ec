"""Physical constants, frozen here and nowhere else, with their sources.

Natural units inside formulas, MeV; recoil energies are keV at every public interface. The values are
CODATA 2022 and PDG 2024; results record them (`as_dict`), so that a number can be traced to them.
"""

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

CHARGED_PION_MASS_MEV = 139.57039
"""PDG 2024."""

CHARGED_PION_LIFETIME_US = 0.026033
"""PDG 2024."""

MUON_LIFETIME_US = 2.1969811
"""PDG 2024."""

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

G_P = 0.5 - 2 * SIN2_THETA_W
"""Vector coupling of the proton to the Z, Eq. (2) of arXiv:2409.10652."""

G_N = -0.5
"""Vector coupling of the neutron to the Z, Eq. (2) of arXiv:2409.10652."""


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
        "charged_pion_mass_mev": CHARGED_PION_MASS_MEV,
        "charged_pion_lifetime_us": CHARGED_PION_LIFETIME_US,
        "muon_lifetime_us": MUON_LIFETIME_US,
        "atomic_mass_unit_mev": ATOMIC_MASS_UNIT_MEV,
        "avogadro": AVOGADRO,
        "hbar_c_mev_fm": HBAR_C_MEV_FM,
    }
