"""The share of signals that is kept, as a number or a curve of the true or the seen energy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]

EnergyAxis = Literal["recoil", "reconstructed"]


class EfficiencyCurve(Protocol):
    """A curve of the efficiency."""

    @property
    def axis(self) -> EnergyAxis:
        """Whether it is a function of the true recoil energy or of the reconstructed one, in the unit of the bins."""

    def __call__(self, energy_kev: ArrayLike) -> FloatArray:
        """The efficiency, from 0 to 1."""


@dataclass(frozen=True)
class EfficiencyTable:
    """Signal efficiency between points, linear in the true recoil or the reconstructed energy."""

    energy_kev: tuple[float, ...]
    efficiency: tuple[float, ...]
    axis: EnergyAxis
    unit: str = "keV"
    """Of its energies, for messages: keVee where the bins are in it."""

    def require(self, low_kev: float, high_kev: float) -> None:
        """Raise `PhysicsError` unless the table covers the interval: energies outside it are never guessed."""
        if low_kev < self.energy_kev[0] or high_kev > self.energy_kev[-1]:
            raise PhysicsError(
                f"the efficiency table covers {self.energy_kev[0]:g} to {self.energy_kev[-1]:g} {self.unit}, but "
                f"{self.axis} energies from {low_kev:.4g} to {high_kev:.4g} {self.unit} are needed (true recoils reach "
                "the bins through the resolution); extend the table, with 0 where nothing is seen"
            )

    def __call__(self, energy_kev: ArrayLike) -> FloatArray:
        """The efficiency, interpolated linearly."""
        return np.asarray(np.interp(np.asarray(energy_kev, dtype=float), self.energy_kev, self.efficiency))


Efficiency = float | EfficiencyTable | EfficiencyCurve


def in_true_energy(efficiency: Efficiency, energy_kev: FloatArray) -> float | FloatArray:
    """The efficiency at true energies; `PhysicsError` for a curve of the seen energy, or a table that is too short."""
    if not callable(efficiency):
        return efficiency
    if efficiency.axis != "recoil":
        raise PhysicsError("an efficiency of the reconstructed energy must be a table with this smearing")
    if isinstance(efficiency, EfficiencyTable):
        efficiency.require(float(np.min(energy_kev)), float(np.max(energy_kev)))
    return efficiency(energy_kev)
