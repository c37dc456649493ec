"""Where to evaluate the recoil integrals, and with what weight each true recoil enters each bin.

Gauss-Legendre panels in the variable v with dv proportional to dT/sigma(T), in which the resolution is constant
(sqrt T for the sqrt law), split at every kink of the integrand. Without resolution the variable is sqrt T and the
bin edges are kinks too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.detector import EfficiencyTable, Resolution
from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]

NODES_PER_PANEL = 16
SIGMAS_PER_PANEL = 5.0
"""With these two the bins of every preset agree with twice the panels to 1e-11 of the detector's total."""
MINIMUM_PANELS = 12
"""Over the whole range: what form factors and kinematics need where the resolution is coarse."""
LOW_ENERGY_SPLITS = tuple(4.0**power for power in range(1, 8))
"""Panels end at these multiples of the lowest true energy too: a rate of 1/T^2 has its pole near there."""
TAIL_SIGMAS = 8.5
"""A Gaussian tail beyond this, 1e-17, is dropped."""

_LEGENDRE_NODES, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(NODES_PER_PANEL)


@dataclass(frozen=True)
class RecoilNodes:
    """Nodes of the recoil integral: sum_j weight_j f(T_j) stands for the integral of f(T) dT."""

    recoil_energy_kev: FloatArray
    weight_kev: FloatArray


class _Variable:
    """The integration variable v(T) and its inverse."""

    def __init__(self, resolution: Resolution | None) -> None:
        self.law = resolution.law if resolution else "sqrt"
        self.width = np.inf
        if resolution:
            at = resolution.at_kev
            slope = {"sqrt": 0.5 / np.sqrt(at), "constant": 1.0, "linear": 1 / at}[self.law]
            self.width = resolution.sigma_kev * slope

    def of(self, recoil: FloatArray) -> FloatArray:
        if self.law == "sqrt":
            return np.sqrt(recoil)
        return recoil if self.law == "constant" else np.log(recoil)

    def recoil_and_slope(self, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """T(v) and dT/dv."""
        if self.law == "sqrt":
            return v * v, 2 * v
        if self.law == "constant":
            return v, np.ones_like(v)
        recoil = np.exp(v)
        return recoil, recoil


def true_range(edges: FloatArray, resolution: Resolution | None) -> tuple[float, float]:
    """True recoil energies that can be reconstructed between the first and the last edge."""
    if resolution is None:
        return float(edges[0]), float(edges[-1])
    low, high = _reach(float(edges[0]), float(edges[-1]), resolution)
    return max(low, resolution.minimum_true_kev or 0.0), high


def _reach(low: float, high: float, resolution: Resolution) -> tuple[float, float]:
    """The lowest and highest true energy whose Gaussian tail touches the interval."""
    if resolution.law == "sqrt":
        # Solve low = T + z sigma_1 sqrt T and high = T - z sigma_1 sqrt T for sqrt T.
        spread = TAIL_SIGMAS * resolution.sigma_kev / np.sqrt(resolution.at_kev)
        bottom = (np.sqrt(spread**2 + 4 * low) - spread) / 2
        top = (np.sqrt(spread**2 + 4 * high) + spread) / 2
        return float(bottom**2), float(top**2)
    if resolution.law == "linear":
        spread = TAIL_SIGMAS * resolution.sigma_kev / resolution.at_kev
        return low / (1 + spread), high / (1 - spread) if spread < 1 else np.inf
    spread = TAIL_SIGMAS * resolution.sigma_kev
    return low - spread, high + spread


def recoil_nodes(
    edges: FloatArray, resolution: Resolution | None, maximum_recoil_kev: float, kinks: Iterable[float] = ()
) -> RecoilNodes:
    """Nodes for every true recoil energy that can reach the bins.

    Parameters
    ----------
    edges : reconstructed bin edges in keV.
    maximum_recoil_kev : the largest recoil energy that the source gives.
    kinks : true recoil energies in keV at which the integrand is not smooth.

    Raises `PhysicsError` where no recoil can reach the bins.

    """
    low, high = true_range(edges, resolution)
    high = min(high, maximum_recoil_kev)
    if not low < high:
        raise PhysicsError(
            f"no recoil reaches the bins: they need true recoil energies above {low:.4g} keV, the source and target "
            f"give {maximum_recoil_kev:.4g} keV at most"
        )
    variable = _Variable(resolution)
    splits = {kink for kink in kinks if low < kink < high}
    splits |= {low * factor for factor in LOW_ENERGY_SPLITS if low * factor < high}
    if resolution is None:
        splits |= {float(edge) for edge in edges if low < edge < high}
    borders = variable.of(np.array([low, *sorted(splits), high]))
    longest = min(SIGMAS_PER_PANEL * variable.width, (borders[-1] - borders[0]) / MINIMUM_PANELS)
    pieces = np.ceil(np.diff(borders) / longest * (1 - 1e-12)).astype(int).clip(min=1)
    lengths = np.repeat(np.diff(borders) / pieces, pieces)
    starts = np.repeat(borders[:-1], pieces) + lengths * np.concatenate([np.arange(n) for n in pieces])
    v = (starts[:, None] + lengths[:, None] / 2 * (1 + _LEGENDRE_NODES)).ravel()
    recoil, slope = variable.recoil_and_slope(v)
    weight = (lengths[:, None] / 2 * _LEGENDRE_WEIGHTS).ravel() * slope
    return RecoilNodes(recoil, weight)


def bin_windows(
    edges: FloatArray,
    resolution: Resolution | None,
    efficiency: float | EfficiencyTable,
    recoil_energy_kev: FloatArray,
) -> FloatArray:
    """S_i(T): probability that a true recoil T is counted in bin i; shape (bins, nodes).

    Gaussian smearing integrated over the bin in closed form, times the efficiency. An efficiency of the
    reconstructed energy, linear between its points, is integrated in closed form as well.
    """
    if isinstance(efficiency, EfficiencyTable) and efficiency.axis == "reconstructed":
        efficiency.require(edges[0], edges[-1])
        return _reconstructed_windows(edges, resolution, efficiency, recoil_energy_kev)
    windows = np.diff(_cumulative(edges, resolution, recoil_energy_kev), axis=0)
    if isinstance(efficiency, EfficiencyTable):
        efficiency.require(recoil_energy_kev[0], recoil_energy_kev[-1])
        return np.asarray(windows * efficiency(recoil_energy_kev))
    return windows * efficiency


def _cumulative(edges: FloatArray, resolution: Resolution | None, recoil: FloatArray) -> FloatArray:
    """Probability to be reconstructed below each edge; shape (edges, nodes)."""
    if resolution is None:
        return np.asarray(edges[:, None] > recoil, dtype=float)
    from scipy.special import ndtr

    z = (edges[:, None] - recoil) / resolution.width_kev(recoil)
    cumulative = np.asarray(z > 0, dtype=float)
    near = np.abs(z) < TAIL_SIGMAS + 1
    cumulative[near] = ndtr(z[near])
    return cumulative


def _reconstructed_windows(
    edges: FloatArray, resolution: Resolution | None, efficiency: EfficiencyTable, recoil: FloatArray
) -> FloatArray:
    """Windows with the efficiency inside: sub-bins at its points, on each of which it is linear."""
    inner = [energy for energy in efficiency.energy_kev if edges[0] < energy < edges[-1]]
    knots = np.union1d(edges, inner)
    cumulative = _cumulative(knots, resolution, recoil)
    probability = np.diff(cumulative, axis=0)
    if resolution is None:
        mean = probability * recoil
    else:
        # int T' G dT' = T [Phi] - sigma^2 [G]
        width = resolution.width_kev(recoil)
        density = np.exp(-0.5 * ((knots[:, None] - recoil) / width) ** 2) / (np.sqrt(2 * np.pi) * width)
        mean = probability * recoil - np.diff(density, axis=0) * width**2
    heights = efficiency(knots)
    slopes = np.diff(heights) / np.diff(knots)
    pieces = (heights[:-1] - slopes * knots[:-1])[:, None] * probability + slopes[:, None] * mean
    return np.asarray(np.add.reduceat(pieces, np.searchsorted(knots, edges[:-1]), axis=0))
