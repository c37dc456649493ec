"""rms radii of nuclei: tabulated charge radii, and neutron radii with a skin.

A charge radius is not a point-proton radius: the Helm form factor with it holds the nucleon's size already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from cevnslab import packaged
from cevnslab.errors import PhysicsError
from cevnslab.physics.formulas import Species, element, nuclide_table

NeutronRadius = Literal["equal", "skin"]

SMALLEST_COVERAGE = 0.99
"""Share of an element's atoms whose isotopes need a radius for the element to have one."""


def charge_radii() -> Mapping[str, Mapping[int, float]]:
    """`data/charge-radii.yaml`: fm, by element and mass number."""
    isotopes: Mapping[str, Mapping[int, float]] = packaged.table("charge-radii")["isotopes"]
    return isotopes


def rms_radius_fm(species: Species) -> float:
    """The tabulated rms radius of an isotope, or of an element of natural composition.

    An element of the presets has the radius of its detector's paper; of any other R^2 is averaged over its isotopes.
    Raises `PhysicsError`, which names the nearest isotope that has one, where there is no value.

    >>> rms_radius_fm(Species("Ge", 76)), rms_radius_fm(Species("Ge")), round(rms_radius_fm(Species("W")), 4)
    (4.0811, 4.06, 5.3649)
    """
    radii = charge_radii().get(species.symbol, {})
    if species.mass_number is not None:
        if species.mass_number not in radii:
            hint = ""
            if radii:
                nearest = min(radii, key=lambda number: (abs(number - (species.mass_number or 0)), number))
                hint = f" (the nearest is {Species(species.symbol, nearest)}, {radii[nearest]:g} fm)"
            raise PhysicsError(f"no rms radius of {species} is tabulated{hint}")
        return radii[species.mass_number]
    row = nuclide_table().get(species.symbol, {})
    if "rms_radius_fm" in row:
        return float(row["rms_radius_fm"])
    shares = [(isotope.fraction, radii.get(isotope.mass_number)) for isotope in element(species.symbol).isotopes]
    covered = sum(fraction for fraction, radius in shares if radius is not None)
    if covered < SMALLEST_COVERAGE * sum(fraction for fraction, _ in shares):
        raise PhysicsError(f"no rms radius of {species} is tabulated")
    return math.sqrt(sum(fraction * radius**2 for fraction, radius in shares if radius is not None) / covered)


def skin_fm(proton_number: int, neutron_number: float) -> float:
    """How much larger a nucleus' neutron radius is than its proton radius: max(0, 0.90 (N - Z)/A - 0.03) fm.

    From antiprotonic atoms, uncertain by 0.15 (N - Z)/A fm (Jastrzebski et al., Int. J. Mod. Phys. E 13 (2004) 343).

    >>> round(skin_fm(82, 126), 3), skin_fm(20, 20)
    (0.16, 0.0)
    """
    return max(0.0, 0.90 * (neutron_number - proton_number) / (neutron_number + proton_number) - 0.03)
