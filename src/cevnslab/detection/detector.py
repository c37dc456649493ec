"""A detector: validated values, and the pure functions that they need."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.arguments import number, numbers, positive
from cevnslab.detection.axes import BinAxis
from cevnslab.detection.efficiency import Efficiency
from cevnslab.detection.matrix import ResponseMatrix
from cevnslab.detection.quenching import UNQUENCHED, ConstantQuenching, Quenching
from cevnslab.detection.readout import Readout
from cevnslab.detection.smearing import Perfect, Smearing
from cevnslab.errors import PhysicsError
from cevnslab.frozen import frozen_array
from cevnslab.physics.nuclei import Target
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Detector:
    """What the response needs to know of a detector.

    Its energy axis (of bins, resolution and efficiency) is the reconstructed nuclear-recoil energy; with `quenching`
    it is the reconstructed electron-equivalent energy, in keVee.

    Raises `PhysicsError` for values that no detector has, and for parts that do not fit each other.
    """

    name: str
    target: Target
    mass_kg: float
    distance_m: float | None
    """None at a source that says itself how far it is: the Sun, a supernova, the cores of a plant."""
    bin_edges_kev: FloatArray
    """Shape (bins + 1,), rising."""
    resolution: Smearing | None
    """A law of smearing; None: perfect."""
    efficiency: Efficiency
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
    response: ResponseMatrix | None = None
    """Of nuclear recoils, in the place of resolution, efficiency and quenching; its bins are the detector's."""

    def __post_init__(self) -> None:
        self._check_kinds()
        edges = frozen_array(self.bin_edges_kev)
        background = frozen_array(self.background_per_kg_day)
        where = f"detectors.{self.name}"
        if self.response is not None:
            self._check_response(where, edges)
        elif edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0) or not edges[0] > 0:
            raise PhysicsError(f"detector {self.name}: bin edges must be positive and rise")
        if self.quenching is not None:
            if callable(self.efficiency) and self.efficiency.axis == "recoil":
                raise PhysicsError(f"{where}.efficiency.axis: with quenching it must be reconstructed, in keVee")
            if self.electron_quenching is not None:
                raise PhysicsError(
                    f"{where}.electron_quenching: with quenching the axis is that of electrons already; remove it"
                )
        bins = len(edges) - 1 if self.response is None else self.response.probability.shape[1]
        if background.shape != (bins,):
            raise PhysicsError(f"detector {self.name}: one background value per bin is needed")
        times = None if self.time_bin_edges_us is None else frozen_array(self.time_bin_edges_us)
        if times is not None and (times.ndim != 1 or len(times) < 2 or not np.all(np.diff(times) > 0)):
            raise PhysicsError(f"detector {self.name}: time bin edges must rise")
        object.__setattr__(self, "bin_edges_kev", edges)
        object.__setattr__(self, "background_per_kg_day", background)
        object.__setattr__(self, "time_bin_edges_us", times)

    def _check_kinds(self) -> None:
        """Raise `PhysicsError` for values that no detector has: in Python no schema has looked at them."""
        where = f"detector {self.name}"
        if not isinstance(self.target, Target):
            raise PhysicsError(f"{where}: its target must be one of cevnslab.nuclei.target, got {excerpt(self.target)}")
        positive(f"{where}: mass_kg", self.mass_kg)
        if self.distance_m is not None:
            positive(f"{where}: distance_m", self.distance_m)
        if not callable(self.efficiency) and not 0 <= number(f"{where}: efficiency", self.efficiency) <= 1:
            raise PhysicsError(f"{where}: efficiency must be from 0 to 1, got {self.efficiency:g}")
        if self.resolution is not None and not hasattr(self.resolution, "true_range"):
            raise PhysicsError(f"{where}: resolution must be a law of smearing, got {excerpt(self.resolution)}")
        numbers(f"{where}: bin_edges_kev", self.bin_edges_kev)
        numbers(f"{where}: background_per_kg_day", self.background_per_kg_day)

    def _check_response(self, where: str, edges: FloatArray) -> None:
        """Raise `PhysicsError` for what the matrix contains already, or for other bins than its own."""
        assert self.response is not None
        present = {
            "resolution": self.resolution is not None,
            "efficiency": self.efficiency != 1.0,
            "quenching": self.quenching is not None,
            "electron_quenching": self.electron_quenching is not None,
        }
        for key, value in present.items():
            if value:
                raise PhysicsError(f"{where}.{key}: is in the response matrix; remove it")
        if not np.array_equal(edges, self.response.axes[0].edges):
            raise PhysicsError(f"{where}: the bins are those of the response matrix, along its first axis")

    @property
    def axes(self) -> tuple[BinAxis, ...]:
        """The axes of its bins: energy, of recoils or of light, or those of its response; then arrival times."""
        energy = (BinAxis("recoil_energy_kev" if self.quenching is None else "energy_kevee", self.bin_edges_kev),)
        times = () if self.time_bin_edges_us is None else (BinAxis("time_us", self.time_bin_edges_us),)
        return (*(energy if self.response is None else self.response.axes), *times)

    def readout(self, channel: str) -> Readout:
        """How recoils of a channel are seen.

        The axis is the nuclear recoil's own energy, on which an electron recoil T_e looks like T_e/electron_quenching;
        or electron-equivalent energy, on which nuclear recoils are quenched and electrons are not. Raises
        `PhysicsError` for electrons at a detector that does not say how they look: a response matrix is one of nuclear
        recoils.
        """
        if self.response is not None:
            if channel != "cevns":
                raise PhysicsError(f"detector {self.name}: its response matrix is one of nuclear recoils")
            return Readout(self.bin_edges_kev, UNQUENCHED, self.response)
        if channel == "cevns":
            light = self.quenching or UNQUENCHED
        elif self.quenching is not None:
            light = UNQUENCHED
        elif self.electron_quenching is not None:
            light = ConstantQuenching(1 / self.electron_quenching)
        else:
            raise PhysicsError(f"detector {self.name}: the electron channel needs electron_quenching")
        return Readout(self.bin_edges_kev, light, self.resolution or Perfect(), self.efficiency)

    def __repr__(self) -> str:
        """In a few words: `dataclasses.asdict` has all."""
        unit = "keV" if self.quenching is None else "keVee"
        edges = (
            f"{len(self.bin_edges_kev) - 1} bins from {self.bin_edges_kev[0]:g} to {self.bin_edges_kev[-1]:g} {unit}"
        )
        return f"<Detector {self.name}: {self.mass_kg:g} kg of {self.target.formula}, {edges}>"

    @property
    def recoil_edges_kev(self) -> FloatArray:
        """The bin edges as nuclear-recoil energies; not a number where several recoils, or none, have its light."""
        if self.response is not None:
            return np.full(len(self.bin_edges_kev), np.nan)
        return self.bin_edges_kev if self.quenching is None else self.quenching.recoil_kev(self.bin_edges_kev)


def flat_background(bin_edges_kev: FloatArray, counts_per_kev_kg_day: float) -> FloatArray:
    """Counts per kg and day in each bin of a background flat in energy.

    >>> flat_background(np.array([1.0, 2.0, 4.0]), 10.0)
    array([10., 20.])
    """
    _require_energies(bin_edges_kev)
    return np.asarray(counts_per_kev_kg_day * np.diff(bin_edges_kev))


def tabulated_background(
    bin_edges_kev: FloatArray, energy_kev: ArrayLike, rate: ArrayLike, unit: str = "keV"
) -> FloatArray:
    """Counts per kg and day in each bin of a background given point by point (counts/keV/kg/day).

    The exact integral of the linear interpolation; `PhysicsError` where the table does not cover the bins.
    """
    energy, values = np.asarray(energy_kev, dtype=float), np.asarray(rate, dtype=float)
    _require_energies(bin_edges_kev)
    if bin_edges_kev[0] < energy[0] or bin_edges_kev[-1] > energy[-1]:
        raise PhysicsError(
            f"the background table covers {energy[0]:g} to {energy[-1]:g} {unit}, but the bins reach from "
            f"{bin_edges_kev[0]:g} to {bin_edges_kev[-1]:g} {unit}; extend the table"
        )
    knots = np.union1d(energy, bin_edges_kev)
    heights = np.interp(knots, energy, values)
    integral = np.concatenate([[0.0], np.cumsum(np.diff(knots) * (heights[1:] + heights[:-1]) / 2)])
    return np.asarray(np.diff(integral[np.searchsorted(knots, bin_edges_kev)]))


def _require_energies(bin_edges_kev: FloatArray) -> None:
    """Raise `PhysicsError` for bins of light without a recoil energy of their own."""
    if np.any(np.isnan(bin_edges_kev)):
        raise PhysicsError(
            "a background per keV of nuclear recoil needs bins whose light belongs to one recoil energy each; extend "
            "the quenching table, or give background_ckkd_ee"
        )
