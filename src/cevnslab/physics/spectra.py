"""Energy spectra of neutrinos and their moments.

Every cross section here is a polynomial of second degree in 1/E, so a spectrum enters only through

    m_k(E_min) = integral from E_min of phi(E) E^-k dE,   k = 0, 1, 2,

which each spectrum gives to rounding errors, for an array of E_min at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.constants import MUON_MASS_MEV
from cevnslab.words import nearest

FloatArray = NDArray[np.float64]

MICHEL_ENDPOINT_MEV = MUON_MASS_MEV / 2
"""Largest neutrino energy of mu+ -> e+ nu_e anti-nu_mu at rest: 52.83 MeV."""


class Spectrum(Protocol):
    """An energy spectrum, by default of one neutrino; times the yield of a `FluxComponent` otherwise."""

    @property
    def maximum_energy_mev(self) -> float:
        """Energy above which nothing is emitted."""

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """Energies below the maximum at which the density is not smooth."""

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k(E_min), k = 0, 1, 2, in MeV^-k: shape (3, *shape of the argument)."""


@dataclass(frozen=True)
class LineSpectrum:
    """All neutrinos at one energy, Eq. (11) of arXiv:2409.10652."""

    energy_mev: float

    @property
    def maximum_energy_mev(self) -> float:
        """The energy of the line."""
        return self.energy_mev

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """None."""
        return ()

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """E^-k where the line lies above E_min, else 0."""
        above = np.asarray(minimum_energy_mev, dtype=float) < self.energy_mev
        return np.stack([above * self.energy_mev**-k for k in range(3)])


@dataclass(frozen=True)
class MichelSpectrum:
    """phi(E) = (E/m_mu)^2 (c_2 + c_3 E/m_mu)/m_mu up to m_mu/2, Eqs. (12), (13) of arXiv:2409.10652."""

    quadratic: float
    cubic: float

    @property
    def maximum_energy_mev(self) -> float:
        """Half the muon's mass."""
        return MICHEL_ENDPOINT_MEV

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """None."""
        return ()

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) in 1/MeV, 0 outside (0, m_mu/2).

        >>> round(float(NU_E_SPECTRUM.density_per_mev(5.0)), 12)
        0.001842122582
        """
        energy = np.asarray(energy_mev, dtype=float)
        x = energy / MUON_MASS_MEV
        inside = (energy >= 0) & (energy <= MICHEL_ENDPOINT_MEV)
        return np.where(inside, x**2 * (self.quadratic + self.cubic * x) / MUON_MASS_MEV, 0.0)

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """Two Gauss-Legendre nodes: exact, since phi(E) E^-k is a polynomial of degree 3 at most."""
        low = np.minimum(np.asarray(minimum_energy_mev, dtype=float), MICHEL_ENDPOINT_MEV)
        middle, half = (MICHEL_ENDPOINT_MEV + low) / 2, (MICHEL_ENDPOINT_MEV - low) / 2
        nodes = [middle - half / np.sqrt(3), middle + half / np.sqrt(3)]
        weights = [self.density_per_mev(node) * half for node in nodes]
        return np.stack([weights[0] * nodes[0] ** -float(k) + weights[1] * nodes[1] ** -float(k) for k in range(3)])


NU_E_SPECTRUM = MichelSpectrum(quadratic=96.0, cubic=-192.0)
"""nu_e of muon decay at rest: (192/m_mu)(E/m_mu)^2 (1/2 - E/m_mu), Eq. (13)."""

ANTI_NU_MU_SPECTRUM = MichelSpectrum(quadratic=48.0, cubic=-64.0)
"""anti-nu_mu of muon decay at rest: (64/m_mu)(E/m_mu)^2 (3/4 - E/m_mu), Eq. (12)."""


_UNIT_NODES, _UNIT_WEIGHTS = (array / 2 for array in np.polynomial.legendre.leggauss(12))
_UNIT_NODES = _UNIT_NODES + 0.5  # on (0, 1)


def _linear_piece(low: FloatArray, high: FloatArray, at_low: FloatArray, at_high: FloatArray) -> FloatArray:
    """Integrals of E^-k times the line through (low, at_low), (high, at_high), k = 0, 1, 2; shape (3, *shape).

    With r = high/low - 1 and t the fraction of the way: h low^-k times the integrals of (1-t)(1+rt)^-k and
    t (1+rt)^-k, sums of positive terms. Their closed forms cancel for small r, where Gauss-Legendre nodes are exact
    to rounding: the pole at t = -1/r is far.
    """
    width = high - low
    ratio = width / low
    near = ratio < 0.5
    t = _UNIT_NODES.reshape(-1, *(1,) * ratio.ndim)
    weight = _UNIT_WEIGHTS.reshape(t.shape)
    r = np.where(near, 1.0, ratio)
    log = np.log1p(r)
    closed = {
        1: (((1 + r) * log - r) / r**2, (r - log) / r**2),
        2: ((r - log) / r**2, (log - r / (1 + r)) / r**2),
    }
    pieces = [width * (at_low + at_high) / 2]
    for k in (1, 2):
        inverse = weight * (1 + np.where(near, ratio, 0.0) * t) ** -k
        falling = np.where(near, np.sum(inverse * (1 - t), axis=0), closed[k][0])
        rising = np.where(near, np.sum(inverse * t, axis=0), closed[k][1])
        pieces.append(width * low**-k * (at_low * falling + at_high * rising))
    return np.stack(pieces)


@dataclass(frozen=True)
class TabulatedSpectrum:
    """A spectrum given point by point: linear between the points, nothing outside them.

    Not normalised: `inverse_energy_moments` are those of the densities as given (`normalised` makes it one
    neutrino's). Raises `PhysicsError` for fewer than two points, energies that are not positive and rising, and
    densities that are negative, not finite, or all zero.

    >>> triangle = TabulatedSpectrum((1.0, 2.0, 3.0), (0.0, 1.0, 0.0))
    >>> triangle.inverse_energy_moments(0.5).round(6).tolist()
    [1.0, 0.523248, 0.287682]
    """

    energies_mev: tuple[float, ...]
    densities_per_mev: tuple[float, ...]

    def __post_init__(self) -> None:
        # Arrays and lists are taken too; tuples keep it frozen and hashable.
        object.__setattr__(self, "energies_mev", tuple(float(energy) for energy in self.energies_mev))
        object.__setattr__(self, "densities_per_mev", tuple(float(density) for density in self.densities_per_mev))
        energy, density = self._points
        if len(energy) != len(density) or len(energy) < 2:
            raise PhysicsError(
                f"a tabulated spectrum needs two or more points with a density each, got {len(energy)} energies and "
                f"{len(density)} densities"
            )
        if not np.all(np.isfinite(energy)) or not np.all(np.diff(energy) > 0) or not energy[0] > 0:
            raise PhysicsError("the energies of a tabulated spectrum must be positive and rise")
        if not np.all(np.isfinite(density)) or np.any(density < 0) or not np.any(density > 0):
            raise PhysicsError("the densities of a tabulated spectrum must be 0 or more, and not all 0")

    @cached_property
    def _points(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.energies_mev), np.array(self.densities_per_mev)

    @cached_property
    def _above(self) -> FloatArray:
        """Moments of everything above each point, shape (3, points): sums of positive numbers."""
        energy, density = self._points
        pieces = _linear_piece(energy[:-1], energy[1:], density[:-1], density[1:])
        return np.concatenate([np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1], np.zeros((3, 1))], axis=1)

    @property
    def maximum_energy_mev(self) -> float:
        """The last energy of the table."""
        return self.energies_mev[-1]

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """The other energies of the table."""
        return self.energies_mev[:-1]

    @property
    def integral(self) -> float:
        """Neutrinos in all: 1 where it is normalised."""
        return float(self._above[0, 0])

    def normalised(self) -> TabulatedSpectrum:
        """The same shape with one neutrino in all."""
        return TabulatedSpectrum(self.energies_mev, tuple(d / self.integral for d in self.densities_per_mev))

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) in the unit given per MeV, 0 outside the table."""
        return np.asarray(np.interp(np.asarray(energy_mev, dtype=float), *self._points, left=0.0, right=0.0))

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k in closed form: the piece that E_min cuts, and everything above it."""
        energy, density = self._points
        low = np.clip(np.asarray(minimum_energy_mev, dtype=float), energy[0], energy[-1])
        piece = np.clip(np.searchsorted(energy, low, side="right") - 1, 0, len(energy) - 2)
        cut = _linear_piece(low, energy[piece + 1], np.interp(low, energy, density), density[piece + 1])
        return np.asarray(cut + self._above[:, piece + 1])


@dataclass(frozen=True)
class _FissionFit:
    """Antineutrinos per MeV and fission of one isotope: a table to 2 MeV, exp(sum of a_p E^p) from there."""

    below: tuple[float, ...]
    exponents: tuple[float, ...]


LOW_ENERGIES_MEV = (0.007813, 0.01563, 0.0312, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Energies of the table below 2 MeV: Vogel, Engel, Phys. Rev. D 39 (1989) 3378, Table II."""

FISSION_FITS: Mapping[str, _FissionFit] = MappingProxyType(
    {
        "U235": _FissionFit(
            (0.024, 0.092, 0.35, 0.61, 1.98, 2.16, 2.66, 2.66, 2.41, 1.69, 1.26),
            (3.217, -3.111, 1.395, -3.690e-1, 4.445e-2, -2.053e-3),
        ),
        "U238": _FissionFit(
            (0.089, 0.35, 1.32, 0.65, 2.02, 2.18, 2.91, 2.96, 2.75, 1.97, 1.50),
            (4.833e-1, 1.927e-1, -1.283e-1, -6.762e-3, 2.233e-3, -1.536e-4),
        ),
        "Pu239": _FissionFit(
            (0.14, 0.56, 2.13, 0.64, 1.99, 2.08, 2.63, 2.58, 2.32, 1.48, 1.08),
            (6.413, -7.432, 3.535, -8.820e-1, 1.025e-1, -4.550e-3),
        ),
        "Pu241": _FissionFit(
            (0.20, 0.79, 3.00, 0.59, 1.85, 2.14, 2.82, 2.90, 2.63, 1.75, 1.32),
            (3.251, -3.204, 1.428, -3.675e-1, 4.254e-2, -1.896e-3),
        ),
    }
)
"""Below 2 MeV Vogel, Engel, Table II; above, Mueller et al., Phys. Rev. C 83 (2011) 054615 (arXiv:1101.2663), Table VI.

Antineutrinos per MeV and fission.
"""

FIT_FROM_MEV, FIT_TO_MEV = 2.0, 8.0
_FIT_EDGES = np.linspace(FIT_FROM_MEV, FIT_TO_MEV, 13)


@dataclass(frozen=True)
class ReactorSpectrum:
    """Electron antineutrinos from fission, as the spectrum of one antineutrino.

    The fits of `FISSION_FITS`, weighted by the share of each isotope in the fissions: linear between the points of
    the table below 2 MeV, the exponential of a polynomial up to 8 MeV, where the fit ends and nothing is added (its
    continuation holds below 3e-4 of the antineutrinos). At 2 MeV the two differ by 4 to 7 per cent: the density jumps
    there. Neutron captures on U-238, about one antineutrino of less than 1.3 MeV per fission more, are not included.

    Parameters
    ----------
    fission_fractions : (isotope, share) pairs that sum to 1, isotopes of `FISSION_FITS`.

    Raises `UnknownNameError` for another isotope, `PhysicsError` for shares that are negative or do not sum to 1.

    >>> round(ReactorSpectrum((("U235", 1.0),)).antineutrinos_per_fission, 2)
    5.7

    """

    fission_fractions: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        for isotope, share in self.fission_fractions:
            if isotope not in FISSION_FITS:
                raise UnknownNameError(f"no fission spectrum of '{isotope}'; {nearest(isotope, FISSION_FITS)}")
            if not share >= 0:
                raise PhysicsError(f"the share of {isotope} in the fissions must be 0 or more, got {share:g}")
        total = sum(share for _, share in self.fission_fractions)
        if len({isotope for isotope, _ in self.fission_fractions}) != len(self.fission_fractions):
            raise PhysicsError("fission fractions name an isotope twice")
        if not abs(total - 1) < 1e-6:
            raise PhysicsError(f"fission fractions must sum to 1, got {total:g}")

    @cached_property
    def _table(self) -> TabulatedSpectrum:
        rows = [share * np.array(FISSION_FITS[isotope].below) for isotope, share in self.fission_fractions]
        return TabulatedSpectrum(LOW_ENERGIES_MEV, tuple(np.sum(rows, axis=0)))

    def _fit(self, energy: FloatArray) -> FloatArray:
        terms = [
            share * np.exp(np.polynomial.polynomial.polyval(energy, FISSION_FITS[isotope].exponents))
            for isotope, share in self.fission_fractions
        ]
        return np.asarray(np.sum(terms, axis=0))

    def _panel(self, low: FloatArray, high: FloatArray) -> FloatArray:
        """Moments of the fit between two energies of one panel, shape (3, *shape)."""
        nodes = low + (high - low) * _UNIT_NODES.reshape(-1, *(1,) * low.ndim)
        weights = self._fit(nodes) * (high - low) * _UNIT_WEIGHTS.reshape(-1, *(1,) * low.ndim)
        return np.stack([np.sum(weights * nodes**-k, axis=0) for k in (0.0, 1.0, 2.0)])

    @cached_property
    def _above(self) -> FloatArray:
        """Moments of the fit above each edge of its panels, shape (3, edges)."""
        panels = self._panel(_FIT_EDGES[:-1], _FIT_EDGES[1:])
        return np.concatenate([np.cumsum(panels[:, ::-1], axis=1)[:, ::-1], np.zeros((3, 1))], axis=1)

    @property
    def maximum_energy_mev(self) -> float:
        """8 MeV, where the fit ends."""
        return FIT_TO_MEV

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """The points of the table; at its last the density jumps."""
        return LOW_ENERGIES_MEV

    @property
    def antineutrinos_per_fission(self) -> float:
        """The yield of a fission."""
        return float(self._above[0, 0]) + self._table.integral

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) in 1/MeV of one antineutrino, 0 outside the table and the fit."""
        energy = np.asarray(energy_mev, dtype=float)
        fitted = (energy >= FIT_FROM_MEV) & (energy <= FIT_TO_MEV)
        fit = self._fit(np.where(fitted, energy, FIT_FROM_MEV))
        return np.where(fitted, fit, self._table.density_per_mev(energy)) / self.antineutrinos_per_fission

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k: the table in closed form, the fit on panels of 0.5 MeV with 12 nodes each."""
        minimum = np.asarray(minimum_energy_mev, dtype=float)
        low = np.clip(minimum, FIT_FROM_MEV, FIT_TO_MEV)
        panel = np.clip(np.searchsorted(_FIT_EDGES, low, side="right") - 1, 0, len(_FIT_EDGES) - 2)
        fit = self._panel(low, _FIT_EDGES[panel + 1]) + self._above[:, panel + 1]
        return (fit + self._table.inverse_energy_moments(minimum)) / self.antineutrinos_per_fission
