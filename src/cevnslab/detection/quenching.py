"""Quenching: how much light (or ionisation) a nuclear recoil gives, against an electron of the same energy.

    E_ee = Q(T) T      in keVee, with T the energy of the nuclear recoil in keV

Counts are folded in the true recoil energy, so that E_ee need not rise with T everywhere: a measured Q may bend back.
Only bins and backgrounds that are given in keV of nuclear recoil need the inverse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative distance below which two recoil energies are one."""


class Quenching(Protocol):
    """A law of the light of nuclear recoils; all methods broadcast over arrays unless they say otherwise."""

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee(T) in keVee."""

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """The recoil energy T of a light; not a number where no recoil has it, or several have."""

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        """Every recoil energy that gives one light, rising."""

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """Recoil energies at which E_ee(T) bends or turns."""

    @property
    def known_kev(self) -> tuple[float, float]:
        """The recoil energies between which the law is known; below there is no light."""


class _Rising:
    """A smooth law of light that rises with the recoil energy at all energies."""

    kinks_kev: tuple[float, ...] = ()
    known_kev: tuple[float, float] = (0.0, math.inf)

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        raise NotImplementedError

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """The recoil energy of a light, to rounding errors; 0 at 0."""
        from scipy.optimize import elementwise

        light = _energies(light_kev)
        some = np.where(light > 0, light, 1.0)

        def difference(logarithm: FloatArray, light_log: FloatArray) -> FloatArray:
            return np.asarray(np.log(self.light_kev(np.exp(logarithm)) / light_log))

        start = np.log(some)
        bracket = elementwise.bracket_root(difference, start, xr0=start + 1.0, args=(some,)).bracket
        recoil = np.exp(elementwise.find_root(difference, bracket, args=(some,)).x)
        return np.where(light > 0, recoil, 0.0)

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        """The one recoil energy."""
        return (float(self.recoil_kev(light_kev)),)


@dataclass(frozen=True)
class ConstantQuenching(_Rising):
    """Q(T) = factor, above 0 (else `PhysicsError`).

    >>> float(ConstantQuenching(0.2).recoil_kev(3.0))
    15.0
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise PhysicsError(f"a quenching factor must be above 0, got {self.factor:g}")

    def __str__(self) -> str:
        return f"quenching factor {self.factor:g}"

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = factor T."""
        return self.factor * _energies(recoil_energy_kev)

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """T = E_ee/factor."""
        return _energies(light_kev) / self.factor


UNQUENCHED = ConstantQuenching(1.0)
"""Of recoils on an axis of their own energy."""


@dataclass(frozen=True)
class Lindhard(_Rising):
    """Q(T) = k g(eps)/(1 + k g(eps)), g = 3 eps^0.15 + 0.7 eps^0.6 + eps, eps = 11.5 Z^(-7/3) T/keV.

    Lindhard et al., Mat. Fys. Medd. Dan. Vid. Selsk. 33 (1963) no. 10, as parametrised by Lewin and Smith,
    Astropart. Phys. 6 (1996) 87. Without a k it is theirs, 0.133 Z^(2/3) A^(-1/2). For recoils in their own element;
    the model has no threshold, and below about 1 keV it is known to fail. With `adiabatic_kev` (xi) it is multiplied by
    1 - exp(-T/xi), as Scholz et al., Phys. Rev. D 94 (2016) 122003, fit to germanium (k 0.1789, xi 0.16 keV).

    Raises `PhysicsError` unless k, Z, A and xi are above 0.

    >>> germanium = Lindhard(None, 32, 72.63)
    >>> round(germanium.strength, 3), round(float(germanium.light_kev(1.0)), 3)
    (0.157, 0.171)
    """

    k: float | None
    proton_number: int
    mass_number: float
    adiabatic_kev: float | None = None

    def __post_init__(self) -> None:
        values = {"Z": self.proton_number, "A": self.mass_number, "k": self.k, "adiabatic_kev": self.adiabatic_kev}
        for name, value in values.items():
            if value is not None and not 0 < value < math.inf:
                raise PhysicsError(f"Lindhard quenching: {name} must be above 0, got {value:g}")

    def __str__(self) -> str:
        threshold = "" if self.adiabatic_kev is None else f", adiabatic below {self.adiabatic_kev:g} keV"
        return f"Lindhard quenching, k {self.strength:.4g}{threshold}"

    @property
    def strength(self) -> float:
        """The k in use."""
        if self.k is not None:
            return self.k
        return 0.133 * math.pow(self.proton_number, 2 / 3) / math.sqrt(self.mass_number)

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = Q(T) T."""
        recoil = _energies(recoil_energy_kev)
        eps = 11.5 * math.pow(self.proton_number, -7 / 3) * recoil
        loss = self.strength * (3 * eps**0.15 + 0.7 * eps**0.6 + eps)
        factor = loss / (1 + loss)
        if self.adiabatic_kev is not None:
            factor = factor * -np.expm1(-recoil / self.adiabatic_kev)
        return np.asarray(recoil * factor)


@dataclass(frozen=True)
class ScaledQuenching:
    """Another law times a factor above 0: what an uncertain quenching may be."""

    model: Quenching
    factor: float

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = factor times the other's."""
        return self.factor * self.model.light_kev(recoil_energy_kev)

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """The other's recoil energy for 1/factor of the light."""
        return self.model.recoil_kev(_energies(light_kev) / self.factor)

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        """The other's for 1/factor of the light."""
        return self.model.recoils_kev(light_kev / self.factor)

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """The other's."""
        return self.model.kinks_kev

    @property
    def known_kev(self) -> tuple[float, float]:
        """The other's."""
        return self.model.known_kev


class _Bending:
    """A law of light that may turn: recoil energies come from the roots of its pieces."""

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        raise NotImplementedError

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """The recoil energy of a light; not a number where no recoil has it, or several have."""
        light = _energies(light_kev)
        roots = [self.recoils_kev(float(value)) for value in light.ravel()]
        return np.array([each[0] if len(each) == 1 else math.nan for each in roots]).reshape(light.shape)


@dataclass(frozen=True)
class QuenchingTable(_Bending):
    """Q(T) point by point, linear between the points; no light below the first point, none known beyond the last.

    Raises `PhysicsError` for fewer than two points, energies that do not rise from 0 or above, and factors that are not
    above 0.

    >>> table = QuenchingTable((1.0, 10.0), (0.1, 0.2))
    >>> float(table.recoil_kev(table.light_kev(4.0)))
    4.0
    """

    energies_kev: tuple[float, ...]
    quenching: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "energies_kev", tuple(float(energy) for energy in self.energies_kev))
        object.__setattr__(self, "quenching", tuple(float(factor) for factor in self.quenching))
        energy, factor = self._points
        if len(energy) != len(factor) or len(energy) < 2:
            raise PhysicsError(
                f"a quenching table needs two or more points with a factor each, got {len(energy)} energies and "
                f"{len(factor)} factors"
            )
        if not np.all(np.isfinite(energy)) or not np.all(np.diff(energy) > 0) or not energy[0] >= 0:
            raise PhysicsError("the energies of a quenching table must rise, from 0 or above")
        if not np.all(np.isfinite(factor)) or not np.all(factor > 0):
            raise PhysicsError("the factors of a quenching table must be above 0")

    def __str__(self) -> str:
        first, last = self.known_kev
        return f"quenching table of {len(self.energies_kev)} points, recoils from {first:g} to {last:g} keV"

    @cached_property
    def _points(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.energies_kev), np.array(self.quenching)

    @cached_property
    def _pieces(self) -> tuple[FloatArray, FloatArray]:
        """E_ee = linear T + square T^2 on each piece."""
        energy, factor = self._points
        square = np.diff(factor) / np.diff(energy)
        return factor[:-1] - square * energy[:-1], square

    @property
    def known_kev(self) -> tuple[float, float]:
        """From the first point to the last."""
        return self.energies_kev[0], self.energies_kev[-1]

    @cached_property
    def kinks_kev(self) -> tuple[float, ...]:
        """The points above 0, and where the light turns between two of them."""
        energy, _ = self._points
        linear, square = self._pieces
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = -linear / (2 * square)
        inside = turns[(turns > energy[:-1]) & (turns < energy[1:])]
        return tuple(sorted({*energy[energy > 0].tolist(), *inside.tolist()}))

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = Q(T) T; 0 below the first point. Raises `PhysicsError` beyond the last."""
        recoil = _energies(recoil_energy_kev)
        energy, factor = self._points
        if np.any(recoil > energy[-1]):
            raise PhysicsError(
                f"the quenching table covers recoils from {energy[0]:g} to {energy[-1]:g} keV, but "
                f"{float(np.max(recoil)):.4g} keV are needed; extend the table"
            )
        return np.where(recoil < energy[0], 0.0, np.interp(recoil, energy, factor) * recoil)

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        """The roots of every piece."""
        energy, _ = self._points
        linear, square = self._pieces
        with np.errstate(divide="ignore", invalid="ignore"):
            root = np.sqrt(linear**2 + 4 * square * light_kev)  # not a number where the piece has no such light
            # The first root in the form that does not cancel.
            first = np.where(linear > 0, 2 * light_kev / (linear + root), (root - linear) / (2 * square))
            second = (-linear - root) / (2 * square)
        low, high = energy[:-1], energy[1:]
        energies: list[float] = []
        for roots in (first, second):
            inside = (roots >= low * (1 - ROUNDING)) & (roots <= high * (1 + ROUNDING))
            energies += np.clip(roots, low, high)[inside].tolist()
        return tuple(_distinct(energies))


@dataclass(frozen=True)
class PolynomialQuenching(_Bending):
    """E_ee = c_1 T + c_2 T^2 + ... in keV, never below 0.

    Raises `PhysicsError` for no coefficients or values that are not finite.

    >>> float(PolynomialQuenching((0.246, 0.00078)).light_kev(100.0))
    32.4
    """

    coefficients: tuple[float, ...]
    """c_1, c_2, ... in keV^(1 - power)."""

    def __post_init__(self) -> None:
        if not self.coefficients or not np.all(np.isfinite(self.coefficients)):
            raise PhysicsError("a polynomial of quenching needs finite coefficients")

    @property
    def known_kev(self) -> tuple[float, float]:
        """All energies."""
        return 0.0, math.inf

    @cached_property
    def kinks_kev(self) -> tuple[float, ...]:
        """Where the light turns."""
        return tuple(_positive_roots(np.arange(1, len(self.coefficients) + 1) * np.array(self.coefficients)))

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """The polynomial."""
        recoil = _energies(recoil_energy_kev)
        return np.asarray(np.maximum(np.polynomial.polynomial.polyval(recoil, [0.0, *self.coefficients]), 0.0))

    def recoils_kev(self, light_kev: float) -> tuple[float, ...]:
        """Its positive roots."""
        return tuple(_positive_roots(np.array([-light_kev, *self.coefficients])))


def rising_light_kev(law: Quenching, recoil_edges_kev: FloatArray) -> FloatArray:
    """The light of bin edges in keV of nuclear recoil.

    Raises `PhysicsError` where the law does not know an edge, or its light does not rise from edge to edge.
    """
    first, last = law.known_kev
    if recoil_edges_kev[0] < first or recoil_edges_kev[-1] > last:
        raise PhysicsError(
            f"the quenching table covers recoils from {first:g} to {last:g} keV, but the bins reach from "
            f"{recoil_edges_kev[0]:g} to {recoil_edges_kev[-1]:g} keV; extend the table, or give the bins in keVee"
        )
    light = law.light_kev(recoil_edges_kev)
    if not np.all(np.diff(light) > 0):
        where = int(np.argmin(np.diff(light) > 0))
        raise PhysicsError(
            f"the light does not rise from {recoil_edges_kev[where]:g} to {recoil_edges_kev[where + 1]:g} keV; give "
            "the bins in keVee"
        )
    return light


def _positive_roots(coefficients: FloatArray) -> list[float]:
    """The real roots above 0 of a polynomial, of powers from 0 on, rising."""
    trimmed = np.trim_zeros(coefficients, "b")
    if len(trimmed) < 2:
        return []
    roots = np.polynomial.polynomial.polyroots(trimmed)
    real = roots.real[np.abs(roots.imag) <= 1e-9 * np.abs(roots)]
    return _distinct([float(root) for root in real if root > 0])


def _distinct(values: list[float]) -> list[float]:
    """Rising, each once, where rounding may give a value twice."""
    rising = sorted(values)
    return [v for number, v in enumerate(rising) if number == 0 or v > rising[number - 1] * (1 + ROUNDING)]


def _energies(energy_kev: ArrayLike) -> FloatArray:
    energy = np.asarray(energy_kev, dtype=float)
    if not np.all(energy >= 0):
        raise PhysicsError("recoil energies and light must be 0 or more")
    return energy
