"""Flavour of neutrinos that arrive: pure flavours, mass states, and the density matrices of their mixtures.

A neutrino of a source is in a state with a Hermitian density matrix rho in flavour, of trace 1: a flavour state has a
single 1 on the diagonal; neutrinos of the Sun or of a supernova arrive as incoherent mass states `|nu_i>`, the sum over
a of `U_ai |nu_a>`, `rho_ab = U_ai U*_bi`. A cross section is Tr(Q rho Q^+), so that a source enters through real
numbers for pairs of states: rho_aa, twice Re rho_ab (couplings have no phases), and, for couplings that are diagonal in
the mass basis, `<nu_i|rho|nu_i>`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.frozen import read_only
from cevnslab.words import excerpt, nearest

ComplexMatrix = NDArray[np.complex128]
DensityMatrix = tuple[tuple[complex, ...], ...]
"""Three rows of three, in the order of `FLAVOURS`: hashable, unlike an array."""
StatePair = tuple[str, str]

FLAVOURS = ("e", "mu", "tau")
MASS_STATES = ("1", "2", "3")


@dataclass(frozen=True)
class Oscillation:
    """Parameters of three-flavour oscillations, normal ordering unless dm31_ev2 is negative.

    Raises `PhysicsError` for a squared sine outside [0, 1] or a mass splitting that is not sound.
    """

    sin2_theta12: float = 0.308
    sin2_theta13: float = 0.02215
    sin2_theta23: float = 0.470
    dm21_ev2: float = 7.49e-5
    dm31_ev2: float = 2.513e-3
    delta_deg: float = 212.0

    def __post_init__(self) -> None:
        for name in ("sin2_theta12", "sin2_theta13", "sin2_theta23"):
            if not 0 <= getattr(self, name) <= 1:
                raise PhysicsError(f"{name} must be from 0 to 1, got {getattr(self, name):g}")
        if not self.dm21_ev2 > 0 or not abs(self.dm31_ev2) > self.dm21_ev2:
            raise PhysicsError(
                f"dm21_ev2 must be above 0 and below |dm31_ev2|, got {self.dm21_ev2:g} and {self.dm31_ev2:g}"
            )

    @cached_property
    def mixing(self) -> ComplexMatrix:
        """U in the convention of the Particle Data Group, rows nu_e, nu_mu, nu_tau: shape (3, 3).

        >>> abs(Oscillation().mixing[0] ** 2).round(4).tolist()
        [0.6767, 0.3012, 0.0221]
        """
        s12, s13, s23 = (np.sqrt(s) for s in (self.sin2_theta12, self.sin2_theta13, self.sin2_theta23))
        c12, c13, c23 = (np.sqrt(1 - s) for s in (self.sin2_theta12, self.sin2_theta13, self.sin2_theta23))
        phase = np.exp(1j * np.deg2rad(self.delta_deg))
        matrix = np.array(
            [
                [c12 * c13, s12 * c13, s13 / phase],
                [-s12 * c23 - c12 * s23 * s13 * phase, c12 * c23 - s12 * s23 * s13 * phase, s23 * c13],
                [s12 * s23 - c12 * c23 * s13 * phase, -c12 * s23 - s12 * c23 * s13 * phase, c23 * c13],
            ]
        )
        return read_only(matrix)


NUFIT = Oscillation()
"""NuFIT 6.0, normal ordering with the atmospheric data of Super-Kamiokande (arXiv:2410.05380)."""


def density_matrix(
    state: str | DensityMatrix, oscillation: Oscillation = NUFIT, antineutrino: bool = False
) -> ComplexMatrix:
    """The density matrix of a flavour, of a mass state, or as given: Hermitian, shape (3, 3).

    Antineutrinos have U* in the place of U. Raises `UnknownNameError` for another name, `PhysicsError` for a matrix
    that is not 3 by 3 or not Hermitian.

    >>> density_matrix("mu").real.diagonal().tolist()
    [0.0, 1.0, 0.0]
    >>> round(float(density_matrix("2").real[0, 1]), 3)
    0.359
    """
    if isinstance(state, str):
        if state in FLAVOURS:
            matrix = np.zeros((3, 3), dtype=complex)
            at = FLAVOURS.index(state)
            matrix[at, at] = 1.0
            return matrix
        if state not in MASS_STATES:
            raise UnknownNameError(
                f"no flavour or mass state {excerpt(state)}; {nearest(state, FLAVOURS + MASS_STATES)}"
            )
        vector = oscillation.mixing[:, MASS_STATES.index(state)]
        vector = vector.conj() if antineutrino else vector
        return np.outer(vector, vector.conj())
    matrix = np.array(state, dtype=complex)
    if matrix.shape != (3, 3) or not np.allclose(matrix, matrix.conj().T, rtol=0, atol=1e-12):
        raise PhysicsError("a density matrix in flavour must be Hermitian, three rows of three")
    return matrix


def pair_weights(
    state: str | DensityMatrix, oscillation: Oscillation = NUFIT, antineutrino: bool = False
) -> Mapping[StatePair, float]:
    """What each pair of states contributes to a trace: rho_aa, 2 Re rho_ab (a before b), `<nu_i|rho|nu_i>`; no zeros.

    >>> pair_weights("e")["e", "e"], round(pair_weights("e")["3", "3"], 5), ("e", "mu") in pair_weights("e")
    (1.0, 0.02215, False)
    """
    matrix = density_matrix(state, oscillation, antineutrino)
    weights: dict[StatePair, float] = {}
    for row, alpha in enumerate(FLAVOURS):
        for column in range(row, 3):
            value = float(matrix[row, column].real) * (1.0 if row == column else 2.0)
            if value:
                weights[alpha, FLAVOURS[column]] = value
    mixing = oscillation.mixing.conj() if antineutrino else oscillation.mixing
    for at, name in enumerate(MASS_STATES):
        value = float((mixing[:, at].conj() @ matrix @ mixing[:, at]).real)
        if abs(value) > 1e-15:
            weights[name, name] = value
    return MappingProxyType(weights)
