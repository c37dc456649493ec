"""Neutrinos on their way out of the Sun: the share of each mass state at the Earth.

Adiabatic conversion, day, averaged over production. What leaves the Sun is an incoherent mixture of mass states, with
the shares `w_i = |<nu_i in matter|nu_e>|^2` at production.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.physics.constants import AVOGADRO, FERMI_CONSTANT, HBAR_C_MEV_FM
from cevnslab.physics.flavour import NUFIT, Oscillation

FloatArray = NDArray[np.float64]

MEV2_PER_EV2 = 1e-12
CM_PER_FM = 1e-13

QUARKS_PER_ELECTRON = {"u": 2.43, "d": 1.86}
"""Of the Sun's matter at 0.05 of its radius, where neutrinos of B-8 come from."""


def matter_potential_mev(electron_density: ArrayLike) -> FloatArray:
    """V = sqrt(2) G_F n_e in MeV, the density in Avogadro's number per cm^3.

    >>> f"{float(matter_potential_mev(100.0)):.4e}"  # the Sun's centre: 7.6e-12 eV
    '7.6325e-18'
    """
    density_mev3 = np.asarray(electron_density, dtype=float) * AVOGADRO * (HBAR_C_MEV_FM * CM_PER_FM) ** 3
    return np.asarray(np.sqrt(2) * FERMI_CONSTANT * density_mev3)


def mass_state_shares(energy_mev: ArrayLike, electron_density: float, oscillation: Oscillation = NUFIT) -> FloatArray:
    """w_i(E) of the three mass states, shape `(3, *shape of the energies)`; they sum to 1.

    x = 2 V c13^2 E/dm21^2, cos 2t_m = (cos 2t12 - x)/sqrt((cos 2t12 - x)^2 + sin^2 2t12),
    w = (c13^2 (1 + cos 2t_m)/2, c13^2 (1 - cos 2t_m)/2, s13^2).

    Parameters
    ----------
    electron_density
        One effective density of the production region, in Avogadro's number per cm^3.

    Examples
    --------
    >>> mass_state_shares(10.0, 87.5).round(4).tolist()
    [0.0844, 0.8934, 0.0222]

    """
    energy = np.asarray(energy_mev, dtype=float)
    c13 = 1 - oscillation.sin2_theta13
    cos, sin2 = 1 - 2 * oscillation.sin2_theta12, 4 * oscillation.sin2_theta12 * (1 - oscillation.sin2_theta12)
    x = 2 * matter_potential_mev(electron_density) * c13 * energy / (oscillation.dm21_ev2 * MEV2_PER_EV2)
    in_matter = (cos - x) / np.sqrt((cos - x) ** 2 + sin2)
    third = np.full_like(energy, oscillation.sin2_theta13)
    return np.stack([c13 * (1 + in_matter) / 2, c13 * (1 - in_matter) / 2, third])


def mass_state_shares_with_nsi(
    energy_mev: float,
    electron_density: float,
    nsi: ArrayLike,
    oscillation: Oscillation = NUFIT,
) -> FloatArray:
    """w_i(E) with non-standard interactions in the Sun's matter, from the eigenvectors of the 3x3 Hamiltonian.

    H = U diag(0, dm21^2, dm31^2) U^+/2E + V (E_ee + eps), eigenvalues rising.

    Parameters
    ----------
    nsi
        Eps in flavour per electron, Hermitian: sum over quarks of `QUARKS_PER_ELECTRON` times eps^q.

    Examples
    --------
    >>> mass_state_shares_with_nsi(10.0, 87.5, np.zeros((3, 3))).round(3).tolist()
    [0.084, 0.891, 0.025]

    """
    splittings = np.array([0.0, oscillation.dm21_ev2, oscillation.dm31_ev2]) * MEV2_PER_EV2
    mixing = oscillation.mixing
    vacuum = mixing @ np.diag(splittings) @ mixing.conj().T / (2 * energy_mev)
    matter = np.array(nsi, dtype=complex)
    matter[0, 0] += 1.0
    _, vectors = np.linalg.eigh(vacuum + float(matter_potential_mev(electron_density)) * matter)
    return np.asarray(np.abs(vectors[0]) ** 2)
