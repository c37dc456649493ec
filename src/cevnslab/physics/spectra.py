"""Energy spectra of neutrinos and their moments.

Every cross section here is a polynomial of second degree in 1/E, so a spectrum enters only through

    m_k(E_min) = integral from E_min of phi(E) E^-k dE,   k = 0, 1, 2,

which each spectrum gives to rounding errors, for an array of E_min at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError
from cevnslab.physics.constants import MUON_MASS_MEV

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
        """Energies below the maximum at which the density jumps or bends: where a quadrature is split."""

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k(E_min), k = 0, 1, 2, in MeV^-k: shape `(3, *shape of the argument)`."""


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


def gauss_legendre(low: FloatArray, high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """12 nodes and weights between the ends, along a new first axis: shape `(12, *shape of the ends)`."""
    shape = (-1, *(1,) * np.ndim(low))
    return low + (high - low) * _UNIT_NODES.reshape(shape), (high - low) * _UNIT_WEIGHTS.reshape(shape)


def _linear_piece(low: FloatArray, high: FloatArray, at_low: FloatArray, at_high: FloatArray) -> FloatArray:
    """Integrals of E^-k times the line through (low, at_low), (high, at_high), k = 0, 1, 2; shape `(3, *shape)`.

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


SMALLEST_BEND = 1e-4
"""Of a table's points, those that lie off the line between their neighbours by more than this share are kinks.

The moments have continuous first derivatives anyway: what the others do to a quadrature is below 1e-7.
"""


def bends(energy: FloatArray, values: FloatArray, scale: Callable[..., FloatArray] | None = None) -> NDArray[np.bool_]:
    """Which points of a table are kinks of the lines between them: the first always, the last never; shape (points,).

    A distance from the line between the neighbours counts relative to the largest of the three values where `scale` is
    `numpy.maximum`, absolutely (as for logarithms) where it is None.
    """
    bent = np.zeros(len(energy), dtype=bool)
    bent[0] = True
    share = np.diff(energy)[:-1] / (energy[2:] - energy[:-2])
    off = np.abs(values[1:-1] - values[:-2] - share * (values[2:] - values[:-2]))
    size = 1.0 if scale is None else scale(scale(values[:-2], values[2:]), values[1:-1])
    bent[1:-1] = off > SMALLEST_BEND * size
    return bent


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

    @cached_property
    def kinks_mev(self) -> tuple[float, ...]:
        """The first energy of the table, and those at which its slope changes (`bends`)."""
        energy, density = self._points
        return tuple(energy[bends(energy, density, np.maximum)].tolist())

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
class LogLinearSpectrum:
    """A sum of columns, each linear in its logarithm between the points; nothing outside them.

    A fission spectrum falls by orders of magnitude between a few points, which straight lines would overshoot. The sum
    of two columns is not linear in its logarithm, so the columns of a mixture stay apart. Not normalised.

    Raises `PhysicsError` for fewer than two points, energies that are not positive and rising, a column of another
    length, and densities that are not positive.

    >>> halved = LogLinearSpectrum((1.0, 2.0), ((1.0, 0.5),))
    >>> round(halved.integral, 6)  # 0.5/ln 2
    0.721348
    """

    energies_mev: tuple[float, ...]
    columns_per_mev: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        energy, columns = self._points
        if len(energy) < 2 or not columns.size or columns.shape[1] != len(energy):
            raise PhysicsError("a log-linear spectrum needs two or more points, and a density at each in every column")
        if not np.all(np.isfinite(energy)) or not np.all(np.diff(energy) > 0) or not energy[0] > 0:
            raise PhysicsError("the energies of a log-linear spectrum must be positive and rise")
        if not np.all(np.isfinite(columns)) or not np.all(columns > 0):
            raise PhysicsError("the densities of a log-linear spectrum must be above 0")

    @cached_property
    def _points(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.energies_mev, dtype=float), np.atleast_2d(np.array(self.columns_per_mev, dtype=float))

    def _piece(self, low: FloatArray, segment: NDArray[np.int_]) -> FloatArray:
        """Moments from `low` to the end of the segment of the table that holds it, shape `(3, *shape)`."""
        energy = self._points[0]
        nodes, weights = gauss_legendre(low, energy[segment + 1])
        weights = weights * self._density(nodes, segment)
        return np.stack([np.sum(weights * nodes**-k, axis=0) for k in (0.0, 1.0, 2.0)])

    def _density(self, energy: FloatArray, segment: NDArray[np.int_]) -> FloatArray:
        points, columns = self._points
        share = (energy - points[segment]) / (points[segment + 1] - points[segment])
        logs = np.log(columns)
        return np.asarray(np.sum([np.exp(log[segment] + share * np.diff(log)[segment]) for log in logs], axis=0))

    @cached_property
    def _above(self) -> FloatArray:
        """Moments of everything above each point, shape (3, points)."""
        energy = self._points[0]
        pieces = self._piece(energy[:-1], np.arange(len(energy) - 1))
        return np.concatenate([np.cumsum(pieces[:, ::-1], axis=1)[:, ::-1], np.zeros((3, 1))], axis=1)

    @property
    def maximum_energy_mev(self) -> float:
        """The last energy of the table."""
        return self.energies_mev[-1]

    @cached_property
    def kinks_mev(self) -> tuple[float, ...]:
        """The first energy of the table, and those at which the slope of a column's logarithm changes (`bends`)."""
        energy, columns = self._points
        bent = np.any([bends(energy, log) for log in np.log(columns)], axis=0)
        return tuple(energy[bent].tolist())

    @property
    def integral(self) -> float:
        """Neutrinos in all."""
        return float(self._above[0, 0])

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) per MeV, 0 outside the table."""
        points = self._points[0]
        energy = np.asarray(energy_mev, dtype=float)
        inside = (energy >= points[0]) & (energy <= points[-1])
        at = np.clip(energy, points[0], points[-1])
        return np.where(inside, self._density(at, self._segment(at)), 0.0)

    def _segment(self, energy: FloatArray) -> NDArray[np.int_]:
        points = self._points[0]
        return np.clip(np.searchsorted(points, energy, side="right") - 1, 0, len(points) - 2)

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k: 12 Gauss-Legendre nodes on the piece that E_min cuts, and everything above it."""
        points = self._points[0]
        low = np.clip(np.asarray(minimum_energy_mev, dtype=float), points[0], points[-1])
        segment = self._segment(low)
        return np.asarray(self._piece(low, segment) + self._above[:, segment + 1])


class DensitySpectrum(Spectrum, Protocol):
    """A spectrum with a density, which a line does not have."""

    @property
    def integral(self) -> float:
        """Neutrinos in all."""

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) per MeV."""


@dataclass(frozen=True)
class SpectrumSum:
    """Spectra added, each times a weight.

    >>> box = TabulatedSpectrum((1.0, 2.0), (1.0, 1.0))
    >>> both = SpectrumSum(((2.0, box), (0.5, TabulatedSpectrum((2.0, 4.0), (1.0, 1.0)))))
    >>> both.integral, both.normalised().density_per_mev([1.5, 3.0]).tolist()
    (3.0, [0.6666666666666666, 0.16666666666666666])
    """

    parts: tuple[tuple[float, DensitySpectrum], ...]

    @property
    def maximum_energy_mev(self) -> float:
        """The highest end of a part."""
        return max(part.maximum_energy_mev for _, part in self.parts)

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """Those of the parts, and their ends below the maximum."""
        kinks = {kink for _, part in self.parts for kink in (*part.kinks_mev, part.maximum_energy_mev)}
        return tuple(sorted(kinks - {self.maximum_energy_mev}))

    @property
    def integral(self) -> float:
        """Neutrinos in all."""
        return sum(weight * part.integral for weight, part in self.parts)

    def normalised(self) -> SpectrumSum:
        """The same shape with one neutrino in all."""
        return SpectrumSum(tuple((weight / self.integral, part) for weight, part in self.parts))

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """The sum of the densities; where one part ends and the next begins, both count."""
        return np.asarray(np.sum([weight * part.density_per_mev(energy_mev) for weight, part in self.parts], axis=0))

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """The sum of the moments."""
        moments = [weight * part.inverse_energy_moments(minimum_energy_mev) for weight, part in self.parts]
        return np.asarray(np.sum(moments, axis=0))


@dataclass(frozen=True)
class PinchedSpectrum:
    """A thermal spectrum with a pinched tail, as supernova simulations give it, of one neutrino.

    f(E) = (a+1)^(a+1)/(Gamma(a+1) <E>) (E/<E>)^a exp(-(a+1) E/<E>) with the mean <E> and the pinching a:
    <E^2>/<E>^2 = (2+a)/(1+a) (Keil, Raffelt, Janka, astro-ph/0208035). The end is where 1e-16 of it is left.

    Raises `PhysicsError` for a mean that is not above 0, or a pinching outside (1, 20]: below 1 the mean of 1/E^2 is
    infinite.

    >>> spectrum = PinchedSpectrum(12.0, 3.0)
    >>> [round(float(moment), 6) for moment in spectrum.inverse_energy_moments(0.0)]
    [1.0, 0.111111, 0.018519]
    """

    mean_energy_mev: float
    pinching: float

    def __post_init__(self) -> None:
        if not 0 < self.mean_energy_mev < np.inf:
            raise PhysicsError(f"the mean energy of a spectrum must be above 0, got {self.mean_energy_mev:g}")
        if not 1 < self.pinching <= 20:
            raise PhysicsError(f"the pinching must be above 1 and at most 20, got {self.pinching:g}")

    @property
    def _temperature_mev(self) -> float:
        return self.mean_energy_mev / (self.pinching + 1)

    @cached_property
    def maximum_energy_mev(self) -> float:
        """Where 1e-16 of the neutrinos are above: 15 times the mean for a pinching of 3."""
        from scipy.special import gammainccinv

        return float(self._temperature_mev * gammainccinv(self.pinching + 1, 1e-16))

    @property
    def kinks_mev(self) -> tuple[float, ...]:
        """None."""
        return ()

    @property
    def integral(self) -> float:
        """One neutrino."""
        return 1.0

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """f(E) in 1/MeV."""
        from scipy.special import gammaln

        x = np.maximum(np.asarray(energy_mev, dtype=float), 0.0) / self._temperature_mev
        return np.asarray(x**self.pinching * np.exp(-x - gammaln(self.pinching + 1)) / self._temperature_mev)

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """theta^-k Gamma(a+1-k, E_min/theta)/Gamma(a+1), theta = <E>/(a+1)."""
        from scipy.special import gammaincc

        x = np.maximum(np.asarray(minimum_energy_mev, dtype=float), 0.0) / self._temperature_mev
        falling = (1.0, self.pinching, self.pinching * (self.pinching - 1))  # Gamma(a+1)/Gamma(a+1-k)
        return np.stack(
            [gammaincc(self.pinching + 1 - k, x) / (falling[k] * self._temperature_mev**k) for k in range(3)]
        )
