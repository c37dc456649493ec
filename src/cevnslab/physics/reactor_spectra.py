"""Antineutrinos of a reactor's fissions, per MeV and fission: three tables, and what neutrons captured on U-238 add.

A choice of spectrum is a `FissionSpectra`; it gives the mixture of a core's fuel in parts that have uncertainties of
their own: the part above 8 MeV is known to a third only.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.spectra import (
    DensitySpectrum,
    LogLinearSpectrum,
    Spectrum,
    SpectrumSum,
    TabulatedSpectrum,
    gauss_legendre,
)
from cevnslab.words import excerpt, nearest

FloatArray = NDArray[np.float64]

ABOVE_8_MEV = "above_8_mev"
"""The part of the flux above 8 MeV: beyond the conversion of measured electron spectra, extrapolated and summed."""
SPLIT_MEV = 8.0
ISOTOPES = ("U235", "U238", "Pu239", "Pu241")


def check_fission_fractions(fractions: Sequence[tuple[str, float]], isotopes: Collection[str]) -> None:
    """Raise `UnknownNameError` for an isotope without a spectrum, `PhysicsError` unless the shares sum to 1."""
    for isotope, share in fractions:
        if isotope not in isotopes:
            raise UnknownNameError(f"no fission spectrum of {excerpt(isotope)}; {nearest(isotope, isotopes)}")
        if not share >= 0:
            raise PhysicsError(f"the share of {isotope} in the fissions must be 0 or more, got {share:g}")
    total = sum(share for _, share in fractions)
    if len({isotope for isotope, _ in fractions}) != len(fractions):
        raise PhysicsError("fission fractions name an isotope twice")
    if not abs(total - 1) < 1e-6:
        raise PhysicsError(f"fission fractions must sum to 1, got {total:g}")


@dataclass(frozen=True)
class FluxPart:
    """A part of the antineutrinos of a fission, or of a capture."""

    part: str
    """What a nuisance of the source calls it; empty where none acts on it alone."""
    spectrum: Spectrum
    """Of one antineutrino."""
    per_fission: float


class FissionSpectra(Protocol):
    """A choice of fission spectrum: the antineutrinos of any mixture of isotopes."""

    @property
    def name(self) -> str:
        """How a study file calls it."""

    def mixture(self, fractions: Sequence[tuple[str, float]]) -> tuple[FluxPart, ...]:
        """The parts of a fission's antineutrinos; errors as `check_fission_fractions`."""


@dataclass(frozen=True)
class FissionFit:
    """Antineutrinos per MeV and fission of one isotope: a table to 2 MeV, exp(sum of a_p E^p) from there."""

    below: tuple[float, ...]
    exponents: tuple[float, ...]


LOW_ENERGIES_MEV = (0.007813, 0.01563, 0.0312, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Energies of the table below 2 MeV: Vogel, Engel, Phys. Rev. D 39 (1989) 3378, Table II."""

FISSION_FITS: Mapping[str, FissionFit] = MappingProxyType(
    {
        "U235": FissionFit(
            (0.024, 0.092, 0.35, 0.61, 1.98, 2.16, 2.66, 2.66, 2.41, 1.69, 1.26),
            (3.217, -3.111, 1.395, -3.690e-1, 4.445e-2, -2.053e-3),
        ),
        "U238": FissionFit(
            (0.089, 0.35, 1.32, 0.65, 2.02, 2.18, 2.91, 2.96, 2.75, 1.97, 1.50),
            (4.833e-1, 1.927e-1, -1.283e-1, -6.762e-3, 2.233e-3, -1.536e-4),
        ),
        "Pu239": FissionFit(
            (0.14, 0.56, 2.13, 0.64, 1.99, 2.08, 2.63, 2.58, 2.32, 1.48, 1.08),
            (6.413, -7.432, 3.535, -8.820e-1, 1.025e-1, -4.550e-3),
        ),
        "Pu241": FissionFit(
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
class MuellerSpectrum:
    """Electron antineutrinos from fission to 8 MeV, as the spectrum of one antineutrino.

    The fits of `FISSION_FITS`, weighted by the share of each isotope in the fissions: linear between the points of
    the table below 2 MeV, the exponential of a polynomial up to 8 MeV, where the fit ends and nothing is added (its
    continuation holds below 3e-4 of the antineutrinos). At 2 MeV the two differ by 4 to 7 per cent: the density jumps
    there. Above 8 MeV lie 11 per cent of the CEvNS counts of a germanium detector with a threshold of 160 eVee:
    `huber_mueller` goes to 13 MeV.

    Raises `UnknownNameError` for another isotope, `PhysicsError` for shares that are negative or do not sum to 1.

    Parameters
    ----------
    fission_fractions
        (isotope, share) pairs that sum to 1, isotopes of `FISSION_FITS`.

    Examples
    --------
    >>> round(MuellerSpectrum((("U235", 1.0),)).antineutrinos_per_fission, 2)
    5.7

    """

    fission_fractions: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        check_fission_fractions(self.fission_fractions, FISSION_FITS)

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
        nodes, weights = gauss_legendre(low, high)
        weights = weights * self._fit(nodes)
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


@dataclass(frozen=True)
class MuellerSpectra:
    """Vogel-Engel below 2 MeV, Mueller's fit to 8 MeV: `MuellerSpectrum`."""

    name: str = "mueller"

    def mixture(self, fractions: Sequence[tuple[str, float]]) -> tuple[FluxPart, ...]:
        """One part, nothing above 8 MeV."""
        spectrum = MuellerSpectrum(tuple(fractions))
        return (FluxPart("", spectrum, spectrum.antineutrinos_per_fission),)


@dataclass(frozen=True)
class SpectrumTable:
    """Antineutrinos per MeV and fission of several isotopes at common energies."""

    energies_mev: tuple[float, ...]
    columns: tuple[tuple[str, tuple[float, ...]], ...]
    """(isotope, densities) pairs."""
    logarithmic: bool = False
    """Whether the logarithm of a density, not the density, is linear between the points."""

    def cut(self, low_mev: float, high_mev: float) -> SpectrumTable | None:
        """The part between two energies, with points of its own there; None where the table has nothing."""
        energy = np.array(self.energies_mev)
        low, high = max(low_mev, energy[0]), min(high_mev, energy[-1])
        if low >= high:
            return None
        points = np.unique([low, *energy[(energy > low) & (energy < high)], high])
        columns = []
        for isotope, densities in self.columns:
            if self.logarithmic:
                at = np.exp(np.interp(points, energy, np.log(densities)))
            else:
                at = np.interp(points, energy, densities)
            columns.append((isotope, tuple(at.tolist())))
        return SpectrumTable(tuple(points.tolist()), tuple(columns), self.logarithmic)

    def mixture(self, shares: Mapping[str, float]) -> DensitySpectrum | None:
        """The spectrum per fission; None where it is zero."""
        rows = [shares[isotope] * np.array(densities) for isotope, densities in self.columns if shares.get(isotope)]
        if not rows or not np.any(rows):
            return None
        if self.logarithmic:
            return LogLinearSpectrum(self.energies_mev, tuple(tuple(row.tolist()) for row in rows))
        return TabulatedSpectrum(self.energies_mev, tuple(np.sum(rows, axis=0).tolist()))


@dataclass(frozen=True)
class TabulatedFissionSpectra:
    """Fission spectra as tables, one above the other in energy; split at 8 MeV.

    Raises `PhysicsError` where the tables overlap.
    """

    name: str
    tables: tuple[SpectrumTable, ...]

    def __post_init__(self) -> None:
        for below, above in zip(self.tables, self.tables[1:], strict=False):
            if below.energies_mev[-1] > above.energies_mev[0]:
                raise PhysicsError(f"{self.name}: the tables of a fission spectrum must not overlap")

    @property
    def isotopes(self) -> tuple[str, ...]:
        """Those of every table."""
        return tuple(isotope for isotope, _ in self.tables[0].columns)

    def mixture(self, fractions: Sequence[tuple[str, float]]) -> tuple[FluxPart, ...]:
        """The parts below and above 8 MeV."""
        check_fission_fractions(fractions, self.isotopes)
        shares = dict(fractions)
        parts = []
        for part, low, high in (("", 0.0, SPLIT_MEV), (ABOVE_8_MEV, SPLIT_MEV, np.inf)):
            cuts = [cut for table in self.tables if (cut := table.cut(low, high)) is not None]
            spectra = [spectrum for cut in cuts if (spectrum := cut.mixture(shares)) is not None]
            if spectra:
                total = SpectrumSum(tuple((1.0, spectrum) for spectrum in spectra))
                parts.append(FluxPart(part, total.normalised(), total.integral))
        if not parts:
            raise PhysicsError(f"{self.name}: this mixture of isotopes emits no antineutrinos")
        return tuple(parts)


JOIN_MEV = 1.8
"""Where the Huber-Mueller table takes over; the density jumps there (U235 +5.0, U238 -2.7, Pu241 -4.1 per cent)."""


@functools.cache
def huber_mueller() -> TabulatedFissionSpectra:
    """Vogel-Engel's points, linear, below 1.8 MeV; Huber and Mueller as released by Daya Bay to 13 MeV, log-linear.

    Huber, arXiv:1106.0687 (U235, Pu239, Pu241) and Mueller et al., arXiv:1101.2663 (U238), in steps of 50 keV:
    doi:10.5281/zenodo.17587229 (CC BY 4.0), `data/reactor/huber-mueller.csv`. Above about 9 MeV it is extrapolated.

    >>> fuel = (("U235", 0.53), ("U238", 0.08), ("Pu239", 0.32), ("Pu241", 0.07))
    >>> [(each.part, f"{each.per_fission:.2e}") for each in huber_mueller().mixture(fuel)]
    [('', '5.62e+00'), ('above_8_mev', '6.87e-04')]
    """
    table = _shipped("huber-mueller.csv")
    table = table[table[:, 0] >= JOIN_MEV - 1e-9]
    columns = tuple((name, tuple(table[:, 1 + at].tolist())) for at, name in enumerate(ISOTOPES))
    low = SpectrumTable(LOW_ENERGIES_MEV, tuple((name, FISSION_FITS[name].below) for name in ISOTOPES))
    cut = low.cut(0.0, JOIN_MEV)
    assert cut is not None
    return TabulatedFissionSpectra("huber-mueller", (cut, SpectrumTable(tuple(table[:, 0].tolist()), columns, True)))


ANTINEUTRINOS_PER_CAPTURE = 2.0
"""U-239 and Np-239 decay one after the other."""


@functools.cache
def u238_captures() -> FluxPart:
    """Antineutrinos after a neutron capture on U-238, per capture: all below 1.3 MeV.

    The beta branches of U-239 and Np-239 (ENSDF) with allowed shapes: `data/reactor/u238-captures.csv`.
    """
    table = _shipped("u238-captures.csv")
    spectrum = TabulatedSpectrum(tuple(table[:, 0].tolist()), tuple(table[:, 1].tolist()))
    return FluxPart("", spectrum.normalised(), ANTINEUTRINOS_PER_CAPTURE)


def _shipped(name: str) -> FloatArray:
    """A table of numbers from `data/reactor`."""
    text = importlib.resources.files("cevnslab").joinpath("data", "reactor", name).read_text(encoding="utf-8")
    return np.loadtxt(text.splitlines(), delimiter=",")
