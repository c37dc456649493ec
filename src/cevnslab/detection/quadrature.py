"""Where to evaluate the recoil integrals: nodes in the true recoil energy.

Gauss-Legendre panels in the variable in which the smearing is constant (`cevnslab.detection.smearing.Variable`), split
at every kink of the integrand, each so short that the light grows by a few widths of the smearing at most where the
windows vary: near the edges of bins. The light is only evaluated, never inverted: it may bend back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.smearing import Variable
from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]

NODES_PER_PANEL = 16
SIGMAS_PER_PANEL = 5.0
"""With these two the bins of every preset agree with twice the panels to 1e-11 of the detector's total."""
MINIMUM_PANELS = 12
"""Over the whole range: what form factors and kinematics need where the resolution is coarse."""
LOW_ENERGY_SPLITS = tuple(4.0**power for power in range(1, 8))
"""Panels end at these multiples of the lowest true energy too: a rate of 1/T^2 has its pole near there."""
STEP_SIGMAS = 10.0
"""Further from an edge than this a window is 0 or 1: there the smearing asks for no panels."""
SEARCHED_AT_ONCE, CUTS = 32, 4
"""A panel that needs more pieces than the first is cut into the second: most of it may be far from edges."""
MOST_NODES = 5_000_000
"""Half a gigabyte for each dozen arrays; a resolution that needs more is too narrow for its bins."""
ROUNDING = 1e-9
"""Of a panel's length, that does not cut it once more."""

_LEGENDRE_NODES, _LEGENDRE_WEIGHTS = np.polynomial.legendre.leggauss(NODES_PER_PANEL)


@dataclass(frozen=True)
class RecoilNodes:
    """Nodes of the recoil integral: sum_j weight_j f(T_j) stands for the integral of f(T) dT."""

    recoil_energy_kev: FloatArray
    weight_kev: FloatArray


def recoil_nodes(
    low_kev: float,
    high_kev: float,
    variable: Variable,
    light: Callable[[FloatArray], FloatArray],
    kinks: Iterable[float] = (),
    steps: FloatArray | None = None,
) -> RecoilNodes:
    """Nodes between two recoil energies.

    Raises `PhysicsError` where more than `MOST_NODES` are needed.

    Parameters
    ----------
    variable
        Of the smearing, a function of the light.
    light
        Energy on the detector's axis as a function of the recoil energy.
    kinks
        Recoil energies in keV at which the integrand is not smooth.
    steps
        Lights near which the windows vary, rising; None: they vary everywhere.

    """
    splits = {kink for kink in kinks if low_kev < kink < high_kev}
    splits |= {low_kev * factor for factor in LOW_ENERGY_SPLITS if low_kev * factor < high_kev}
    # Light is (nearly) proportional to the recoil: panels of equal length in v(T) are nearly so in v(light).
    coordinate = Variable(variable.law)
    borders = coordinate.of(np.array([low_kev, *sorted(splits), high_kev]))
    longest = (borders[-1] - borders[0]) / MINIMUM_PANELS
    starts, lengths = borders[:-1], np.diff(borders)
    stepped = None if steps is None else variable.of(steps[steps > 0] if variable.law != "sqrt" else steps)
    while True:
        coordinates = variable.of(light(coordinate.energy_and_slope(np.append(starts, borders[-1]))[0]))
        widths = np.abs(np.diff(coordinates)) / (SIGMAS_PER_PANEL * variable.width)
        if stepped is not None:
            reach = STEP_SIGMAS * variable.width
            first = np.searchsorted(stepped, np.minimum(coordinates[:-1], coordinates[1:]) - reach)
            widths[first == np.searchsorted(stepped, np.maximum(coordinates[:-1], coordinates[1:]) + reach)] = 0.0
            widths[widths > SEARCHED_AT_ONCE] = CUTS
        pieces = np.ceil(np.maximum(lengths / longest, widths) * (1 - ROUNDING)).clip(min=1)
        if np.all(pieces == 1):
            break
        if (size := float(pieces.sum()) * NODES_PER_PANEL) > MOST_NODES:
            raise PhysicsError(
                f"resolution: so narrow a width over this range takes more than {size:.2g} recoil energies, at most "
                f"{MOST_NODES:.2g} are computed; give fewer bins, a wider resolution, or resolution: none"
            )
        pieces = pieces.astype(int)
        lengths = np.repeat(lengths / pieces, pieces)
        starts = np.repeat(starts, pieces) + lengths * np.concatenate([np.arange(n) for n in pieces])
    v = (starts[:, None] + lengths[:, None] / 2 * (1 + _LEGENDRE_NODES)).ravel()
    recoil, slope = coordinate.energy_and_slope(v)
    weight = (lengths[:, None] / 2 * _LEGENDRE_WEIGHTS).ravel() * slope
    return RecoilNodes(recoil, weight)
