"""The registry of couplings: every one is declared in a module of its kind and listed here.

To add one, declare a `Coupling` (see `cevnslab.physics.coupling`) and add it to `COUPLINGS`. That is all the rest of
the package asks: counts, limits, contours and figures follow from the declaration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cevnslab.errors import UnknownNameError
from cevnslab.physics.coupling import (
    COMPONENTS,
    Coupling,
    ElectronKernel,
    FloatArray,
    NuclearKernel,
    Rebuild,
)
from cevnslab.physics.electromagnetic import CHARGE_RADII, MAGNETIC_MOMENTS
from cevnslab.physics.flavour import FLAVOURS
from cevnslab.physics.mediators import FAMILIES, light_scalar, light_vector
from cevnslab.physics.millicharges import (
    MILLICHARGES,
    millicharge_on_electron,
    millicharge_on_nucleus,
    millicharge_strength,
)
from cevnslab.physics.nsi import NSI
from cevnslab.physics.weak import CEVNS_STRENGTH, NEUTRON_RADIUS, WEAK_MIXING
from cevnslab.words import excerpt, nearest

__all__ = [
    "COMPONENTS",
    "COUPLINGS",
    "FAMILIES",
    "FLAVOURS",
    "Coupling",
    "ElectronKernel",
    "FloatArray",
    "NuclearKernel",
    "Rebuild",
    "coupling",
    "light_scalar",
    "light_vector",
    "millicharge_on_electron",
    "millicharge_on_nucleus",
    "millicharge_strength",
]


class Registry(Mapping[str, Coupling]):
    """Couplings by name, not to be changed; it prints itself in a few words, since signatures show it."""

    def __init__(self, couplings: Iterable[Coupling]) -> None:
        self._couplings = {declared.name: declared for declared in couplings}

    def __getitem__(self, name: str) -> Coupling:
        return self._couplings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._couplings)

    def __len__(self) -> int:
        return len(self._couplings)

    def __repr__(self) -> str:
        return f"<{len(self)} couplings>"


COUPLINGS: Mapping[str, Coupling] = Registry(
    (*MILLICHARGES, *MAGNETIC_MOMENTS, *CHARGE_RADII, *NSI, WEAK_MIXING, NEUTRON_RADIUS, CEVNS_STRENGTH)
)
"""The couplings by name; functions that look one up take another registry as an argument."""


def coupling(name: str, registry: Mapping[str, Coupling] = COUPLINGS) -> Coupling:
    """Look a coupling up; `UnknownNameError` offers the nearest name.

    >>> coupling("q_emu").unit
    'e'
    """
    if not isinstance(name, str):
        raise UnknownNameError(f"a coupling's name must be a word, got {excerpt(name)}")
    if name in FAMILIES and name not in registry:
        raise UnknownNameError(f"'{name}' is a family of couplings: it needs parameters, at least mass_mev and label")
    if name not in registry:
        raise UnknownNameError(f"no coupling {excerpt(name)}; {nearest(name, registry)}")
    return registry[name]
