"""Quenching: how much light (or ionisation) a nuclear recoil gives, against an electron of the same energy.

    E_ee = Q(T) T      in keVee, with T the energy of the nuclear recoil in keV

Each model gives E_ee(T), its derivative, and its inverse. All require E_ee to rise with T: then, and only then,
one light yield belongs to one recoil energy.
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

NEWTON_STEPS = 60
"""In ln T, where E_ee(T) is close to a straight line: five are enough in practice."""


class Quenching(Protocol):
    """A model of the light of nuclear recoils; all methods broadcast over arrays."""

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee(T) in keVee."""

    def derivative(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """dE_ee/dT, above 0."""

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """T(E_ee) in keV."""

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """Recoil energies at which E_ee(T) bends."""


@dataclass(frozen=True)
class ConstantQuenching:
    """Q(T) = factor, above 0 (else `PhysicsError`).

    >>> float(ConstantQuenching(0.2).recoil_kev(3.0))
    15.0
    """

    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < math.inf:
            raise PhysicsError(f"a quenching factor must be above 0, got {self.factor:g}")

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """It is smooth."""
        return ()

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = factor T."""
        return self.factor * _energies(recoil_energy_kev)

    def derivative(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """The factor, at every energy."""
        return np.full_like(_energies(recoil_energy_kev), self.factor)

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """T = E_ee/factor."""
        return _energies(light_kev) / self.factor


@dataclass(frozen=True)
class Lindhard:
    """Q(T) = k g(eps)/(1 + k g(eps)), g = 3 eps^0.15 + 0.7 eps^0.6 + eps, eps = 11.5 Z^(-7/3) T/keV.

    Lindhard et al., Mat. Fys. Medd. Dan. Vid. Selsk. 33 (1963) no. 10, as parametrised by Lewin and Smith,
    Astropart. Phys. 6 (1996) 87. Without a k it is theirs, 0.133 Z^(2/3) A^(-1/2). For recoils in their own element;
    the model has no threshold, and below about 1 keV it is known to fail.

    Raises `PhysicsError` unless k, Z and A are above 0.

    >>> germanium = Lindhard(None, 32, 72.63)
    >>> round(germanium.strength, 3), round(float(germanium.light_kev(1.0)), 3)
    (0.157, 0.171)
    """

    k: float | None
    proton_number: int
    mass_number: float

    def __post_init__(self) -> None:
        given = {"Z": self.proton_number, "A": self.mass_number, "k": 1.0 if self.k is None else self.k}
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise PhysicsError(f"Lindhard quenching: {name} must be above 0, got {value:g}")

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """It is smooth."""
        return ()

    @property
    def strength(self) -> float:
        """The k in use."""
        if self.k is not None:
            return self.k
        return 0.133 * math.pow(self.proton_number, 2 / 3) / math.sqrt(self.mass_number)

    @property
    def _eps_per_kev(self) -> float:
        return 11.5 * math.pow(self.proton_number, -7 / 3)

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = Q(T) T."""
        recoil = _energies(recoil_energy_kev)
        eps = self._eps_per_kev * recoil
        loss = self.strength * (3 * eps**0.15 + 0.7 * eps**0.6 + eps)
        return np.asarray(recoil * loss / (1 + loss))

    def derivative(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """dE_ee/dT = Q + k eps g'(eps)/(1 + k g)^2, above 0 for T > 0."""
        eps = self._eps_per_kev * _energies(recoil_energy_kev)
        loss = self.strength * (3 * eps**0.15 + 0.7 * eps**0.6 + eps)
        slope = self.strength * (0.45 * eps**0.15 + 0.42 * eps**0.6 + eps)
        return np.asarray(loss / (1 + loss) + slope / (1 + loss) ** 2)

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """T(E_ee) by Newton's method in ln T, to rounding errors; 0 at 0."""
        light = _energies(light_kev)
        wanted = np.where(light > 0, light, 1.0)
        recoil = wanted.copy()  # from below: light is never more than the recoil's energy
        for _ in range(NEWTON_STEPS):
            seen = self.light_kev(recoil)
            step = np.log(seen / wanted) * seen / (recoil * self.derivative(recoil))
            recoil = recoil * np.exp(-step)
            if np.all(np.abs(step) < 1e-14):
                break
        return np.where(light > 0, recoil, 0.0)


@dataclass(frozen=True)
class QuenchingTable:
    """Q(T) given point by point, linear between the points; energies outside the table are a `PhysicsError`.

    Raises `PhysicsError` for fewer than two points, energies that do not rise from above 0, factors that are not
    above 0, and wherever E_ee = Q(T) T would fall with T.

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
        if not np.all(np.isfinite(energy)) or not np.all(np.diff(energy) > 0) or not energy[0] > 0:
            raise PhysicsError("the energies of a quenching table must be positive and rise")
        if not np.all(np.isfinite(factor)) or not np.all(factor > 0):
            raise PhysicsError("the factors of a quenching table must be above 0")
        # E_ee is a parabola on each piece, its derivative a line: the ends of the piece decide.
        slope = self._slopes
        at_start, at_end = factor[:-1] + slope * energy[:-1], factor[1:] + slope * energy[1:]
        falling = np.minimum(at_start, at_end) <= 0
        if np.any(falling):
            first = int(np.argmax(falling))
            raise PhysicsError(
                f"the light of a quenching table must rise with the recoil energy: it falls between "
                f"{energy[first]:g} and {energy[first + 1]:g} keV"
            )

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """The table's points."""
        return self.energies_kev

    @cached_property
    def _points(self) -> tuple[FloatArray, FloatArray]:
        return np.array(self.energies_kev), np.array(self.quenching)

    @cached_property
    def _slopes(self) -> FloatArray:
        """dQ/dT on each piece."""
        energy, factor = self._points
        return np.asarray(np.diff(factor) / np.diff(energy))

    def _piece(self, values: FloatArray, knots: FloatArray, what: str) -> NDArray[np.intp]:
        """The piece of the table that each value is on; the upper one at a point, the last at the end."""
        if np.any(values < knots[0]) or np.any(values > knots[-1]):
            raise PhysicsError(
                f"the quenching table covers {what} from {knots[0]:g} to {knots[-1]:g} keV, but "
                f"{float(np.min(values)):.4g} to {float(np.max(values)):.4g} keV are needed; extend the table"
            )
        return np.clip(np.searchsorted(knots, values, side="right") - 1, 0, len(knots) - 2)

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = Q(T) T."""
        recoil = _energies(recoil_energy_kev)
        energy, factor = self._points
        self._piece(recoil, energy, "recoils")
        return np.asarray(np.interp(recoil, energy, factor) * recoil)

    def derivative(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """dE_ee/dT = Q + T dQ/dT; at a point of the table, of the piece above it."""
        recoil = _energies(recoil_energy_kev)
        energy, factor = self._points
        piece = self._piece(recoil, energy, "recoils")
        return np.asarray(np.interp(recoil, energy, factor) + recoil * self._slopes[piece])

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """T(E_ee): the root of (Q_0 - s T_0) T + s T^2 = E_ee on the piece, in the form that does not cancel."""
        light = _energies(light_kev)
        energy, factor = self._points
        piece = self._piece(light, energy * factor, "light")
        slope = self._slopes[piece]
        linear = factor[piece] - slope * energy[piece]
        derivative = np.sqrt(np.maximum(linear**2 + 4 * slope * light, 0.0))  # at the root
        bent = linear <= 0  # then the slope is above 0, or the light would fall
        recoil = np.where(
            bent,
            (derivative - linear) / np.where(bent, 2 * slope, 1.0),
            2 * light / np.where(bent, 1.0, linear + derivative),
        )
        return np.clip(recoil, energy[piece], energy[piece + 1])


@dataclass(frozen=True)
class ScaledQuenching:
    """Another model times a factor above 0: what an uncertain quenching may be."""

    model: Quenching
    factor: float

    def light_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """E_ee = factor times the model's."""
        return self.factor * self.model.light_kev(recoil_energy_kev)

    def derivative(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """The factor times the model's."""
        return self.factor * self.model.derivative(recoil_energy_kev)

    def recoil_kev(self, light_kev: ArrayLike) -> FloatArray:
        """The model's recoil energy for 1/factor of the light."""
        return self.model.recoil_kev(_energies(light_kev) / self.factor)

    @property
    def kinks_kev(self) -> tuple[float, ...]:
        """The model's."""
        return self.model.kinks_kev


def _energies(energy_kev: ArrayLike) -> FloatArray:
    energy = np.asarray(energy_kev, dtype=float)
    if not np.all(energy >= 0):
        raise PhysicsError("recoil energies and light must be 0 or more")
    return energy
