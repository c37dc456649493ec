"""A detector: validated values, and the pure functions that they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.detection.quenching import Quenching
from cevnslab.errors import PhysicsError
from cevnslab.frozen import frozen_array
from cevnslab.physics.nuclei import Target

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Resolution:
    """Gaussian energy resolution, its width a function of the TRUE recoil energy.

    sigma(T) = sigma_kev (T/at_kev)^p with p = 1/2 (``"sqrt"``), 0 (``"constant"``) or 1 (``"linear"``).
    At the reconstructed energy instead, the 1/T^2 rate of a millicharge would diverge as T -> 0; for the same
    reason a constant width needs `minimum_true_kev`. Recoils below it are taken as lost, whatever the law.
    """

    sigma_kev: float
    at_kev: float
    law: Literal["sqrt", "constant", "linear"] = "sqrt"
    minimum_true_kev: float | None = None

    def __post_init__(self) -> None:
        if self.law == "constant" and self.minimum_true_kev is None:
            raise PhysicsError("a constant resolution width needs minimum_true_kev")

    def width_kev(self, recoil_energy_kev: ArrayLike) -> FloatArray:
        """sigma(T) in keV.

        >>> round(float(Resolution(0.3, 1.0).width_kev(4.0)), 12)
        0.6
        """
        power = {"sqrt": 0.5, "constant": 0.0, "linear": 1.0}[self.law]
        scaled = np.asarray(recoil_energy_kev, dtype=float) / self.at_kev
        return np.asarray(self.sigma_kev * scaled**power)


@dataclass(frozen=True)
class EfficiencyTable:
    """Signal efficiency between points, linear in the true recoil or the reconstructed energy."""

    energy_kev: tuple[float, ...]
    efficiency: tuple[float, ...]
    axis: Literal["recoil", "reconstructed"]

    def require(self, low_kev: float, high_kev: float) -> None:
        """Raise `PhysicsError` unless the table covers the interval: energies outside it are never guessed."""
        if low_kev < self.energy_kev[0] or high_kev > self.energy_kev[-1]:
            raise PhysicsError(
                f"the efficiency table covers {self.energy_kev[0]:g} to {self.energy_kev[-1]:g} keV, but "
                f"{self.axis} energies from {low_kev:.4g} to {high_kev:.4g} keV are needed (true recoils reach the "
                "bins through the resolution); extend the table, with 0 where nothing is seen"
            )

    def __call__(self, energy_kev: ArrayLike) -> FloatArray:
        """The efficiency, interpolated linearly."""
        return np.asarray(np.interp(np.asarray(energy_kev, dtype=float), self.energy_kev, self.efficiency))


@dataclass(frozen=True, eq=False)
class Detector:
    """What the response needs to know of a detector.

    Its energy axis (of bins, resolution and efficiency) is the reconstructed nuclear-recoil energy; with `quenching`
    it is the reconstructed electron-equivalent energy, in keVee.
    """

    name: str
    target: Target
    mass_kg: float
    distance_m: float | None
    """None at a source that says itself how far it is: the Sun, a supernova, the cores of a plant."""
    bin_edges_kev: FloatArray
    """Shape (bins + 1,), rising."""
    resolution: Resolution | None
    """None: perfect."""
    efficiency: float | EfficiencyTable
    background_per_kg_day: FloatArray
    """Background counts per kg and day of beam in each bin, shape (bins,)."""
    electron_quenching: float | None = None
    """Light of a nuclear recoil over that of an electron recoil of the same energy; 1 is a common axis."""
    label: str = ""
    """How figures name it."""
    quenching: Quenching | None = None
    """Light of nuclear recoils; None: the energy axis is theirs."""
    time_bin_edges_us: FloatArray | None = None
    """Bins of the arrival time at a pulsed source, shape (time bins + 1,); None: times are not used."""

    def __post_init__(self) -> None:
        edges = frozen_array(self.bin_edges_kev)
        background = frozen_array(self.background_per_kg_day)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0) or not edges[0] > 0:
            raise PhysicsError(f"detector {self.name}: bin edges must be positive and rise")
        if background.shape != (len(edges) - 1,):
            raise PhysicsError(f"detector {self.name}: one background value per bin is needed")
        times = None if self.time_bin_edges_us is None else frozen_array(self.time_bin_edges_us)
        if times is not None and (times.ndim != 1 or len(times) < 2 or not np.all(np.diff(times) > 0)):
            raise PhysicsError(f"detector {self.name}: time bin edges must rise")
        object.__setattr__(self, "bin_edges_kev", edges)
        object.__setattr__(self, "background_per_kg_day", background)
        object.__setattr__(self, "time_bin_edges_us", times)

    @property
    def recoil_edges_kev(self) -> FloatArray:
        """The bin edges as nuclear-recoil energies."""
        return self.bin_edges_kev if self.quenching is None else self.quenching.recoil_kev(self.bin_edges_kev)


def flat_background(bin_edges_kev: FloatArray, counts_per_kev_kg_day: float) -> FloatArray:
    """Counts per kg and day in each bin of a background flat in energy.

    >>> flat_background(np.array([1.0, 2.0, 4.0]), 10.0)
    array([10., 20.])
    """
    return np.asarray(counts_per_kev_kg_day * np.diff(bin_edges_kev))


def tabulated_background(bin_edges_kev: FloatArray, energy_kev: ArrayLike, rate: ArrayLike) -> FloatArray:
    """Counts per kg and day in each bin of a background given point by point (counts/keV/kg/day).

    The exact integral of the linear interpolation; `PhysicsError` where the table does not cover the bins.
    """
    energy, values = np.asarray(energy_kev, dtype=float), np.asarray(rate, dtype=float)
    if bin_edges_kev[0] < energy[0] or bin_edges_kev[-1] > energy[-1]:
        raise PhysicsError(
            f"the background table covers {energy[0]:g} to {energy[-1]:g} keV, but the bins reach from "
            f"{bin_edges_kev[0]:g} to {bin_edges_kev[-1]:g} keV; extend the table"
        )
    knots = np.union1d(energy, bin_edges_kev)
    heights = np.interp(knots, energy, values)
    integral = np.concatenate([[0.0], np.cumsum(np.diff(knots) * (heights[1:] + heights[:-1]) / 2)])
    return np.asarray(np.diff(integral[np.searchsorted(knots, bin_edges_kev)]))
