"""Electrons of atoms: how many a recoil of given energy can free.

The subshell binding energies and occupations stand in `data/subshells.yaml` (X-Ray Data Booklet, Table 1-1).
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab import packaged
from cevnslab.arguments import numbers
from cevnslab.errors import UnknownNameError


@functools.cache
def subshells() -> Mapping[str, tuple[tuple[float, int], ...]]:
    """Per element, its subshells as (binding energy in keV, electrons); 0 keV where the table gives no energy."""
    elements: Mapping[str, Mapping[str, tuple[float, int]]] = packaged.table("subshells")["elements"]
    return {
        symbol: tuple((energy_ev * 1e-3, electrons) for energy_ev, electrons in shells.values())
        for symbol, shells in elements.items()
    }


def binding_energies_kev(symbol: str) -> NDArray[np.float64]:
    """The distinct positive binding energies of an element, rising: where Z_eff(T) steps.

    Raises `UnknownNameError` for an element that the table does not have.

    >>> binding_energies_kev("C")
    array([0.2842])
    """
    if not isinstance(symbol, str) or symbol not in subshells():
        raise UnknownNameError(
            f"no subshell binding energies are tabulated for {symbol}, which the electron channel needs; "
            f"tabulated are {', '.join(sorted(subshells()))}"
        )
    return np.array(sorted({energy for energy, _ in subshells()[symbol] if energy > 0}))


def effective_charge(symbol: str, recoil_energy_kev: ArrayLike) -> NDArray[np.float64]:
    """Z_eff(T): the number of electrons whose binding energy is below the recoil energy.

    The step function of physics section 3; shape as `recoil_energy_kev`. An electron for which the table has no
    energy (the outermost ones) counts at any positive recoil energy.

    >>> effective_charge("Cs", [0.1, 1.0, 36.0])
    array([19., 37., 55.])
    """
    steps, recoil = binding_energies_kev(symbol), numbers("recoil_energy_kev", recoil_energy_kev)
    freed = np.zeros(len(steps) + 1)
    for energy, electrons in subshells()[symbol]:
        freed[np.searchsorted(steps, energy) + 1 if energy > 0 else 0] += electrons
    return np.asarray(np.cumsum(freed)[np.searchsorted(steps, recoil, side="left")])
