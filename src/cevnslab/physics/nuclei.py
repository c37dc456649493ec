"""Nuclei and targets: masses, charges, radii, and what a gram of a compound contains.

The nuclear mass is M = A u with A the atomic mass in u: the mass of the neutral atom. The bare nucleus is
lighter by Z m_e, 2e-4 of the mass for caesium; the reference numbers are made with M = A u.
"""

from __future__ import annotations

import functools
import importlib.resources
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.constants import ATOMIC_MASS_UNIT_MEV, AVOGADRO, KEV

if TYPE_CHECKING:
    RadiusInput = float | Mapping[str, float] | None

NucleiConvention = Literal["standard-weight", "isotopes"]


@dataclass(frozen=True)
class Nucleus:
    """One nuclear species, or an element taken as one nucleus of its standard atomic weight."""

    symbol: str
    """Chemical symbol of the element."""
    proton_number: int
    neutron_number: float
    """N = A - Z; fractional where an element is taken as one nucleus of its standard atomic weight."""
    mass_u: float
    rms_radius_fm: float
    """rms radius of the proton density."""
    neutron_radius_fm: float
    """rms radius of the neutron density."""

    @property
    def mass_mev(self) -> float:
        """Nuclear mass M = A u in MeV."""
        return self.mass_u * ATOMIC_MASS_UNIT_MEV

    def maximum_recoil_kev(self, neutrino_energy_mev: float) -> float:
        """Largest recoil energy, T = 2 E^2/M, in the approximation T << E of Eq. (1).

        >>> caesium = target("Cs").constituents[0].nucleus
        >>> round(caesium.maximum_recoil_kev(10.0), 3)
        1.616
        """
        return 2 * neutrino_energy_mev**2 / self.mass_mev / KEV


@dataclass(frozen=True)
class Constituent:
    """A nuclear species of a target and how many of it a formula unit holds."""

    nucleus: Nucleus
    per_formula_unit: float


@dataclass(frozen=True)
class Target:
    """What a detector is made of: a chemical formula resolved into nuclei."""

    formula: str
    constituents: tuple[Constituent, ...]
    molar_mass_g: float

    def nuclei_per_kg(self, constituent: Constituent) -> float:
        """Number of nuclei of one constituent in a kilogram: N_A n / (molar mass).

        >>> csi = target("CsI")
        >>> f"{csi.nuclei_per_kg(csi.constituents[0]):.6e}"
        '2.317903e+24'
        """
        return AVOGADRO * 1e3 / self.molar_mass_g * constituent.per_formula_unit


@dataclass(frozen=True)
class _Isotope:
    mass_number: int
    mass_u: float
    fraction: float


@dataclass(frozen=True)
class Element:
    """An element's frozen or library values: standard weight and natural isotopes."""

    symbol: str
    proton_number: int
    standard_weight: float
    isotopes: tuple[_Isotope, ...]


@functools.cache
def _nuclide_table() -> Mapping[str, Mapping[str, Any]]:
    """`data/nuclides.yaml`: the elements of the presets (read once; it never changes)."""
    import yaml

    text = importlib.resources.files("cevnslab").joinpath("data/nuclides.yaml").read_text(encoding="utf-8")
    table: Mapping[str, Mapping[str, Any]] = yaml.safe_load(text)["elements"]
    return table


def element(symbol: str) -> Element:
    """Values of an element: the frozen table where it has an entry, else `periodictable`.

    Raises `UnknownNameError` for a symbol that is no element with natural isotopes.

    >>> element("Cs").standard_weight
    132.90545196
    """
    import periodictable

    try:
        library = periodictable.elements.symbol(symbol)
    except ValueError:
        raise UnknownNameError(f"'{symbol}' is no chemical element") from None
    isotopes = tuple(
        _Isotope(isotope.isotope, float(isotope.mass), float(isotope.abundance) / 100)
        for isotope in library
        if isotope.abundance
    )
    if not isotopes:
        raise UnknownNameError(f"'{symbol}' has no naturally occurring isotopes, so a detector cannot be made of it")
    frozen = _nuclide_table().get(symbol, {})
    return Element(symbol, library.number, float(frozen.get("standard_weight", library.mass)), isotopes)


def parse_formula(formula: str) -> dict[str, float]:
    """Atoms per formula unit of a chemical formula, such as CsI, C3F8 or CaWO4.

    >>> parse_formula("C3F8")
    {'C': 3.0, 'F': 8.0}
    """
    import periodictable
    from pyparsing import ParseException

    hint = "write an element or compound such as Ge, CsI, C3F8 or CaWO4"
    try:
        # Charges, isotopes and densities, which the library would also read, mean nothing here.
        if not re.fullmatch(r"[A-Za-z0-9.()]+", formula):
            raise UnknownNameError(f"'{formula}' is no chemical formula; {hint}")
        atoms = periodictable.formula(formula).atoms
    except (ValueError, ParseException) as fault:
        unknown = re.search(r"unknown element (\w+)", str(fault))
        detail = f": no element '{unknown.group(1)}'" if unknown else ""
        raise UnknownNameError(f"'{formula}' is no chemical formula{detail}; {hint}") from None
    counts: dict[str, float] = {}
    for atom, count in atoms.items():
        if not count > 0:
            raise UnknownNameError(f"'{formula}' holds no atoms; {hint}")
        if isinstance(atom, periodictable.core.Isotope):
            raise UnknownNameError(f"'{formula}' names the isotope {atom}: single isotopes are not available; {hint}")
        counts[str(atom.symbol)] = float(count)
    if not counts:
        raise UnknownNameError(f"'{formula}' is no chemical formula; {hint}")
    return counts


def _radius(symbol: str, given: RadiusInput) -> float | None:
    if given is None:
        return None
    if isinstance(given, Mapping):
        return given.get(symbol)
    return float(given)


def _tabulated_radius(symbol: str) -> float:
    row = _nuclide_table().get(symbol, {})
    if "rms_radius_fm" not in row:
        known = ", ".join(sorted(name for name, entry in _nuclide_table().items() if "rms_radius_fm" in entry))
        raise PhysicsError(
            f"no rms radius is tabulated for {symbol}: give rms_radius_fm (a number, or one per element such as "
            f"{{{symbol}: 3.0}}; tabulated are {known})"
        )
    return float(row["rms_radius_fm"])


def target(
    formula: str,
    *,
    rms_radius_fm: RadiusInput = None,
    neutron_radius_fm: RadiusInput = None,
    convention: NucleiConvention = "standard-weight",
) -> Target:
    """Resolve a chemical formula into nuclei.

    Parameters
    ----------
    formula : element or compound.
    rms_radius_fm : rms radius of the proton density: a number for every element, or one per element; from the
        nuclide table where it is not given (`PhysicsError` where that has none).
    neutron_radius_fm : the same for neutrons; equal to the protons' unless given.
    convention : ``"standard-weight"`` (the choice of arXiv:2409.10652): an element with one stable isotope is that
        isotope, any other is one nucleus of its standard atomic weight with N = A - Z; ``"isotopes"``: the
        natural mixture, every isotope with its own mass.

    >>> [(c.nucleus.symbol, c.nucleus.neutron_number) for c in target("CsI").constituents]
    [('Cs', 78), ('I', 74)]
    >>> round(target("Ge").constituents[0].nucleus.neutron_number, 2)
    40.63

    """
    atoms = parse_formula(formula)
    for option, given in (("rms_radius_fm", rms_radius_fm), ("neutron_radius_fm", neutron_radius_fm)):
        if isinstance(given, Mapping):
            for symbol in given:
                if symbol not in atoms:
                    raise PhysicsError(f"{option} names {symbol}, which is not in {formula} ({', '.join(atoms)})")
    constituents = []
    for symbol, count in atoms.items():
        values = element(symbol)
        proton_radius = _radius(symbol, rms_radius_fm)
        if proton_radius is None:
            proton_radius = _tabulated_radius(symbol)
        neutron_radius = _radius(symbol, neutron_radius_fm)
        if neutron_radius is None:
            neutron_radius = proton_radius
        # (N, mass in u, fraction of the element's atoms) of every species that the convention distinguishes.
        species: list[tuple[float, float, float]]
        z = values.proton_number
        if convention == "isotopes":
            species = [(i.mass_number - z, i.mass_u, i.fraction) for i in values.isotopes]
        elif len(values.isotopes) == 1:
            species = [(values.isotopes[0].mass_number - z, values.standard_weight, 1.0)]
        else:
            species = [(values.standard_weight - z, values.standard_weight, 1.0)]
        for neutron_number, mass_u, fraction in species:
            nucleus = Nucleus(symbol, z, neutron_number, mass_u, proton_radius, neutron_radius)
            constituents.append(Constituent(nucleus, count * fraction))
    molar_mass = sum(c.nucleus.mass_u * c.per_formula_unit for c in constituents)
    return Target(formula, tuple(constituents), molar_mass)
