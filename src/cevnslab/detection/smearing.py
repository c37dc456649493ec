"""How a true energy on the detector's axis is spread over its bins.

A law of smearing gives the windows S_i(E), the probability that a true energy E is counted in bin i, the energies that
can reach the bins at all, and a variable in which its width is (nearly) constant: there the quadrature has its nodes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.detection.efficiency import Efficiency, EfficiencyTable, in_true_energy
from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]

TAIL_SIGMAS = 8.5
"""A Gaussian tail beyond this, 1e-17, is dropped."""
CELL_PHOTOELECTRONS = 0.25
"""Width of the cells in which an efficiency of photoelectrons is taken as constant."""


@dataclass(frozen=True)
class Variable:
    """A variable v with dv proportional to dE/sigma(E): sqrt(E + offset), E, or ln E."""

    law: Literal["sqrt", "constant", "linear"] = "sqrt"
    width: float = math.inf
    """Standard deviation of the smearing in v; infinite where it says nothing about nodes."""
    offset_kev: float = 0.0

    def of(self, energy_kev: FloatArray) -> FloatArray:
        """v(E)."""
        if self.law == "sqrt":
            return np.asarray(np.sqrt(energy_kev + self.offset_kev))
        return energy_kev if self.law == "constant" else np.log(energy_kev)

    def energy_and_slope(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """E(v) and dE/dv."""
        if self.law == "sqrt":
            return v * v - self.offset_kev, 2 * v
        if self.law == "constant":
            return v, np.ones_like(v)
        energy = np.exp(v)
        return energy, energy


class Smearing(Protocol):
    """A law of smearing."""

    @property
    def variable(self) -> Variable:
        """In which its width is constant."""

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """The true energies that can be seen between the first and the last edge."""

    def windows(self, edges: FloatArray, efficiency: Efficiency, energy_kev: FloatArray) -> FloatArray:
        """Probability that a true energy is counted in each bin, shape (bins, energies)."""

    def kinks_kev(self, edges: FloatArray, efficiency: Efficiency) -> list[float]:
        """True energies at which the windows are not smooth."""

    def steps_kev(self, edges: FloatArray, efficiency: Efficiency) -> FloatArray | None:
        """Seen energies around which, within a few widths, the windows vary; None: they vary everywhere."""

    def seen_bins(self, edges: FloatArray, low_kev: float, high_kev: float) -> slice:
        """The bins in which true energies between two can be counted, all or a run of them."""

    def described(self, unit: str) -> str:
        """The law in a few words, with the unit of the detector's axis."""


@dataclass(frozen=True)
class Perfect:
    """No smearing: the seen energy is the true one."""

    @property
    def variable(self) -> Variable:
        """The root of the energy: rates are smooth in it."""
        return Variable()

    def kinks_kev(self, edges: FloatArray, efficiency: Efficiency) -> list[float]:
        """The edges and the points of the efficiency: the seen energy is the true one."""
        points = efficiency.energy_kev if isinstance(efficiency, EfficiencyTable) else ()
        return [*(float(edge) for edge in edges), *points]

    def steps_kev(self, edges: FloatArray, efficiency: Efficiency) -> FloatArray | None:
        """None that have a width: all are kinks."""
        return None

    def seen_bins(self, edges: FloatArray, low_kev: float, high_kev: float) -> slice:
        """Those that hold the energies."""
        return _bins_between(edges, low_kev, high_kev)

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """The bins themselves."""
        return float(edges[0]), float(edges[-1])

    def described(self, unit: str) -> str:
        """For instance ``perfect resolution``."""
        return "perfect resolution"

    def windows(self, edges: FloatArray, efficiency: Efficiency, energy_kev: FloatArray) -> FloatArray:
        """The efficiency in the bin that holds the energy; `PhysicsError` where a table does not cover it."""
        below = np.asarray(edges[:, None] > energy_kev, dtype=float)
        if callable(efficiency) and efficiency.axis == "reconstructed":
            if isinstance(efficiency, EfficiencyTable):
                efficiency.require(edges[0], edges[-1])
            return np.asarray(np.diff(below, axis=0) * efficiency(energy_kev))
        return np.asarray(np.diff(below, axis=0) * in_true_energy(efficiency, energy_kev))


class _Gaussian:
    """Gaussian smearing, integrated over bins in closed form; its width is a function of the TRUE energy."""

    truncated: bool = False

    def kinks_kev(self, edges: FloatArray, efficiency: Efficiency) -> list[float]:
        """The points of an efficiency of the true energy."""
        return _points_in_true_energy(efficiency)

    def steps_kev(self, edges: FloatArray, efficiency: Efficiency) -> FloatArray | None:
        """The edges, the points of an efficiency of the seen energy, and 0 where the Gaussian is cut there."""
        steps = np.append(edges, 0.0) if self.truncated else edges
        if isinstance(efficiency, EfficiencyTable) and efficiency.axis == "reconstructed":
            return np.union1d(steps, efficiency.energy_kev)
        return np.unique(steps)

    def seen_bins(self, edges: FloatArray, low_kev: float, high_kev: float) -> slice:
        """Those within reach of the tails; the width grows with the energy."""
        reach = (TAIL_SIGMAS + 1) * float(self.width_kev(high_kev))
        return _bins_between(edges, low_kev - reach, high_kev + reach)

    def width_kev(self, energy_kev: ArrayLike) -> FloatArray:
        """sigma(E) in keV."""
        raise NotImplementedError

    def windows(self, edges: FloatArray, efficiency: Efficiency, energy_kev: FloatArray) -> FloatArray:
        """The Gaussian over the bin times the efficiency; one linear in the seen energy is integrated exactly.

        Raises `PhysicsError` where a table of the efficiency does not cover the energies.
        """
        if isinstance(efficiency, EfficiencyTable) and efficiency.axis == "reconstructed":
            efficiency.require(edges[0], edges[-1])
            return self._seen_windows(edges, efficiency, energy_kev)
        windows = np.diff(self._cumulative(edges, energy_kev), axis=0)
        return np.asarray(windows * in_true_energy(efficiency, energy_kev))

    def _cumulative(self, edges: FloatArray, energy: FloatArray) -> FloatArray:
        """Probability to be seen below each edge; shape (edges, energies)."""
        from scipy.special import ndtr

        z = (edges[:, None] - energy) / self.width_kev(energy)
        cumulative = np.asarray(z > 0, dtype=float)
        near = np.abs(z) < TAIL_SIGMAS + 1
        cumulative[near] = ndtr(z[near])
        return cumulative

    def _seen_windows(self, edges: FloatArray, efficiency: EfficiencyTable, energy: FloatArray) -> FloatArray:
        """Windows with the efficiency inside: sub-bins at its points, on each of which it is linear."""
        inner = [point for point in efficiency.energy_kev if edges[0] < point < edges[-1]]
        knots = np.union1d(edges, inner)
        probability = np.diff(self._cumulative(knots, energy), axis=0)
        # int E' G dE' = E [Phi] - sigma^2 [G]
        width = self.width_kev(energy)
        density = np.exp(-0.5 * ((knots[:, None] - energy) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        mean = probability * energy - np.diff(density, axis=0) * width**2
        heights = efficiency(knots)
        slopes = np.diff(heights) / np.diff(knots)
        pieces = (heights[:-1] - slopes * knots[:-1])[:, None] * probability + slopes[:, None] * mean
        return np.asarray(np.add.reduceat(pieces, np.searchsorted(knots, edges[:-1]), axis=0))


@dataclass(frozen=True)
class Resolution(_Gaussian):
    """Gaussian energy resolution, its width a power of the TRUE energy on the detector's axis.

    sigma(E) = sigma_kev (E/at_kev)^p with p = 1/2 (``"sqrt"``), 0 (``"constant"``) or 1 (``"linear"``).
    At the seen energy instead, the 1/T^2 rate of a millicharge would diverge as T -> 0; for the same
    reason a constant width needs `minimum_true_kev`. Energies below it are taken as lost, whatever the law.
    """

    sigma_kev: float
    at_kev: float
    law: Literal["sqrt", "constant", "linear"] = "sqrt"
    minimum_true_kev: float | None = None

    def __post_init__(self) -> None:
        if self.law == "constant" and self.minimum_true_kev is None:
            raise PhysicsError("a constant resolution width needs minimum_true_kev")

    def width_kev(self, energy_kev: ArrayLike) -> FloatArray:
        """sigma(E) in keV.

        >>> round(float(Resolution(0.3, 1.0).width_kev(4.0)), 12)
        0.6
        """
        power = {"sqrt": 0.5, "constant": 0.0, "linear": 1.0}[self.law]
        scaled = np.asarray(energy_kev, dtype=float) / self.at_kev
        return np.asarray(self.sigma_kev * scaled**power)

    @property
    def variable(self) -> Variable:
        """By the law."""
        slope = {"sqrt": 0.5 / math.sqrt(self.at_kev), "constant": 1.0, "linear": 1 / self.at_kev}[self.law]
        return Variable(self.law, self.sigma_kev * slope)

    def described(self, unit: str) -> str:
        """For instance ``resolution 0.3 keV at 1 keV (sqrt)``."""
        return f"resolution {self.sigma_kev:g} {unit} at {self.at_kev:g} {unit} ({self.law})"

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """The energies whose tail touches the bins, from `minimum_true_kev` on."""
        low, high = self._reach(float(edges[0]), float(edges[-1]))
        return max(low, self.minimum_true_kev or 0.0), high

    def _reach(self, low: float, high: float) -> tuple[float, float]:
        if self.law == "sqrt":
            # Solve low = E + z sigma_1 sqrt E and high = E - z sigma_1 sqrt E for sqrt E.
            spread = TAIL_SIGMAS * self.sigma_kev / math.sqrt(self.at_kev)
            bottom = (math.sqrt(spread**2 + 4 * low) - spread) / 2
            top = (math.sqrt(spread**2 + 4 * high) + spread) / 2
            return bottom**2, top**2
        if self.law == "linear":
            spread = TAIL_SIGMAS * self.sigma_kev / self.at_kev
            return low / (1 + spread), high / (1 - spread) if spread < 1 else math.inf
        spread = TAIL_SIGMAS * self.sigma_kev
        return low - spread, high + spread


@dataclass(frozen=True)
class IonisationResolution(_Gaussian):
    """Gaussian smearing of an ionisation signal: electronic noise and the statistics of charge pairs.

        sigma^2 = noise_kev^2 + fano pair_kev E

    An ionisation below one pair is no signal. `truncated`: the seen energy is never negative, and the Gaussian is
    normalised above 0, so that no count is lost there (data/reactor, Dresden-II and CONUS+ take it so).
    """

    noise_kev: float
    fano: float
    pair_kev: float
    truncated: bool = True

    def __post_init__(self) -> None:
        for name, value in (("noise_kev", self.noise_kev), ("fano", self.fano), ("pair_kev", self.pair_kev)):
            if not 0 < value < math.inf:
                raise PhysicsError(f"ionisation resolution: {name} must be above 0, got {value:g}")

    def width_kev(self, energy_kev: ArrayLike) -> FloatArray:
        """sigma(E) in keV.

        >>> round(float(IonisationResolution(0.02, 0.11, 2.96e-3).width_kev(1.0)), 6)
        0.026937
        """
        energy = np.asarray(energy_kev, dtype=float)
        return np.asarray(np.sqrt(self.noise_kev**2 + self.fano * self.pair_kev * energy))

    @property
    def variable(self) -> Variable:
        """sqrt(E + noise^2/(fano pair))."""
        per_kev = self.fano * self.pair_kev
        return Variable("sqrt", math.sqrt(per_kev) / 2, self.noise_kev**2 / per_kev)

    def described(self, unit: str) -> str:
        """For instance ``noise 0.02 keVee, Fano factor 0.11 of pairs of 0.00296 keVee``."""
        return f"noise {self.noise_kev:g} {unit}, Fano factor {self.fano:g} of pairs of {self.pair_kev:g} {unit}"

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """From one pair on, the energies whose tail touches the bins."""
        low, high = (self._reach(float(end), sign) for end, sign in ((edges[0], -1), (edges[-1], 1)))
        return max(low, self.pair_kev), high

    def _reach(self, edge: float, sign: int) -> float:
        """The root of E = edge + sign z sigma(E)."""
        half = TAIL_SIGMAS**2 * self.fano * self.pair_kev / 2
        root = math.sqrt(half**2 + TAIL_SIGMAS**2 * (self.noise_kev**2 + self.fano * self.pair_kev * max(edge, 0.0)))
        return edge + half + sign * root

    def _cumulative(self, edges: FloatArray, energy: FloatArray) -> FloatArray:
        if not self.truncated:
            return super()._cumulative(edges, energy)
        from scipy.special import ndtr

        below = super()._cumulative(np.concatenate([[0.0], np.maximum(edges, 0.0)]), energy)
        return np.asarray((below[1:] - below[0]) / ndtr(energy / self.width_kev(energy)))


@dataclass(frozen=True)
class GammaPhotoelectrons:
    """Photoelectrons from light: a gamma law with the mean `per_kev` E and a shape that grows with the light.

        P(x|E) = (a (1 + b))^(1+b)/Gamma(1+b) x^b exp(-a (1 + b) x),   a = 1/(per_kev E),   b = shape_per_kev E

    Bins are in photoelectrons (PE), energies in keVee. Energies below `minimum_true_kev` are taken as lost. An
    efficiency of the seen photoelectrons is constant in cells of a quarter of one.
    """

    per_kev: float
    shape_per_kev: float
    minimum_true_kev: float

    @property
    def variable(self) -> Variable:
        """Sqrt E: for many photoelectrons the width is a root of the energy."""
        return Variable("sqrt", 0.5 / math.sqrt(self.shape_per_kev))

    def kinks_kev(self, edges: FloatArray, efficiency: Efficiency) -> list[float]:
        """The points of an efficiency of the true energy."""
        return _points_in_true_energy(efficiency)

    def steps_kev(self, edges: FloatArray, efficiency: Efficiency) -> FloatArray | None:
        """The law is wide: its windows vary everywhere."""
        return None

    def seen_bins(self, edges: FloatArray, low_kev: float, high_kev: float) -> slice:
        """All: the law is wide."""
        return slice(0, len(edges) - 1)

    def described(self, unit: str) -> str:
        """For instance ``13.4 photoelectrons per keVee``."""
        return f"{self.per_kev:.3g} photoelectrons per {unit}"

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """From `minimum_true_kev` to where the tail leaves the last edge."""
        from scipy.optimize import brentq

        def reach(root: float) -> float:
            energy = root**2
            spread = TAIL_SIGMAS / math.sqrt(1 + self.shape_per_kev * energy)
            return self.per_kev * energy * (1 - spread) - float(edges[-1])

        farthest = 10 * (math.sqrt(edges[-1] / self.per_kev) + TAIL_SIGMAS / math.sqrt(self.shape_per_kev))
        return self.minimum_true_kev, float(brentq(reach, 0.0, farthest)) ** 2

    def windows(self, edges: FloatArray, efficiency: Efficiency, energy_kev: FloatArray) -> FloatArray:
        """The gamma law over the cells of a bin, each times the efficiency at its centre."""
        from scipy.special import gammainc

        light = np.maximum(energy_kev, 1e-12)
        shape = 1 + self.shape_per_kev * light
        scale = self.per_kev * light / shape
        numbers = np.maximum(np.round(np.diff(edges) / CELL_PHOTOELECTRONS), 1).astype(int)
        cells = [
            np.linspace(low, high, n, endpoint=False) for low, high, n in zip(edges, edges[1:], numbers, strict=False)
        ]
        borders = np.concatenate([*cells, edges[-1:]])
        probability = np.diff(gammainc(shape, borders[:, None] / scale), axis=0)
        if callable(efficiency) and efficiency.axis == "reconstructed":
            probability = probability * efficiency((borders[1:] + borders[:-1]) / 2)[:, None]
        else:
            probability = probability * in_true_energy(efficiency, energy_kev)
        return np.asarray(np.add.reduceat(probability, np.searchsorted(borders, edges[:-1]), axis=0))


def _bins_between(edges: FloatArray, low_kev: float, high_kev: float) -> slice:
    """The bins that energies between two lie in.

    >>> _bins_between(np.array([1.0, 2.0, 3.0, 4.0]), 2.5, 3.5)
    slice(1, 3, None)
    """
    first, last = np.searchsorted(edges, [low_kev, high_kev])
    return slice(max(int(first) - 1, 0), min(int(last), len(edges) - 1))


def _points_in_true_energy(efficiency: Efficiency) -> list[float]:
    if isinstance(efficiency, EfficiencyTable) and efficiency.axis == "recoil":
        return list(efficiency.energy_kev)
    return []
