"""Nuclei and targets: masses, charges, radii, and what a gram of a compound contains.

The nuclear mass is M = A u with A the atomic mass in u: the mass of the neutral atom. The bare nucleus is
lighter by Z m_e, 2e-4 of the mass for caesium; the reference numbers are made with M = A u.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

from cevnslab.arguments import number, word
from cevnslab.errors import PhysicsError
from cevnslab.physics import radii
from cevnslab.physics.constants import ATOMIC_MASS_UNIT_MEV, AVOGADRO, KEV
from cevnslab.physics.formulas import (
    Species,
    element,
    isotope_mass_u,
    parse_target,
    proton_number,
    target_text,
)

if TYPE_CHECKING:
    from cevnslab.physics.formulas import TargetInput

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
    mass_number: int | None = None
    """A of an isotope; None where an element is taken as one nucleus of its standard atomic weight."""

    @property
    def name(self) -> str:
        """As in 76Ge; the element's symbol where it is no isotope."""
        return str(Species(self.symbol, self.mass_number))

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
    """What a detector is made of: a chemical formula, isotope or mixture, resolved into nuclei."""

    formula: str
    """As outputs name it."""
    constituents: tuple[Constituent, ...]
    molar_mass_g: float

    def nuclei_per_kg(self, constituent: Constituent) -> float:
        """Number of nuclei of one constituent in a kilogram: N_A n / (molar mass).

        >>> csi = target("CsI")
        >>> f"{csi.nuclei_per_kg(csi.constituents[0]):.6e}"
        '2.317903e+24'
        """
        return AVOGADRO * 1e3 / self.molar_mass_g * constituent.per_formula_unit


def target(
    formula: TargetInput,
    *,
    rms_radius_fm: RadiusInput = None,
    neutron_radius_fm: RadiusInput = None,
    neutron_radius: radii.NeutronRadius = "equal",
    convention: NucleiConvention = "standard-weight",
) -> Target:
    """Resolve a chemical formula, an isotope or a mixture into nuclei.

    Parameters
    ----------
    formula
        Element or compound (`CsI`), isotope (`Ge76` or `76Ge`), or fractions of atoms, of isotopes or elements, 1 in
        all: `{"Ge70": 0.1, "Ge76": 0.9}`.
    rms_radius_fm
        Rms radius of the proton density: a number for all, or one per element or isotope; tabulated where it is not
        given (`PhysicsError`, which names all that are missing, where there is no value).
    neutron_radius_fm
        The same for neutrons.
    neutron_radius
        Where `neutron_radius_fm` says nothing: ``"equal"`` to the protons', or with a ``"skin"``
        (`cevnslab.physics.radii.skin_fm`).
    convention
        ``"standard-weight"`` (the choice of arXiv:2409.10652): an element with one stable isotope is that isotope,
        any other is one nucleus of its standard atomic weight with N = A - Z; ``"isotopes"``: the natural mixture,
        every isotope with its own mass.

    Raises
    ------
    CevnslabError
        For a formula, isotope or word that is not known.

    Examples
    --------
    >>> [(c.nucleus.symbol, c.nucleus.neutron_number) for c in target("CsI").constituents]
    [('Cs', 78), ('I', 74)]
    >>> round(target("Ge").constituents[0].nucleus.neutron_number, 2)
    40.63
    >>> enriched = target({"Ge70": 0.1, "Ge76": 0.9})
    >>> [(c.nucleus.name, c.per_formula_unit) for c in enriched.constituents], round(enriched.molar_mass_g, 3)
    ([('70Ge', 0.1), ('76Ge', 0.9)], 75.322)

    """
    word("convention", convention, get_args(NucleiConvention))
    word("neutron_radius", neutron_radius, get_args(radii.NeutronRadius))
    atoms = parse_target(formula)
    if neutron_radius == "skin" and isinstance(neutron_radius_fm, int | float):
        raise PhysicsError("neutron_radius_fm: give either this number or neutron_radius: skin")
    protons = _radii("rms_radius_fm", rms_radius_fm, atoms)
    neutrons = _radii("neutron_radius_fm", neutron_radius_fm, atoms)
    missing = []
    for species in atoms:
        if species not in protons:
            try:
                protons[species] = radii.rms_radius_fm(species)
            except PhysicsError as fault:
                missing.append((species, str(fault)))
    if missing:
        example = ", ".join(f"{species}: 3.0" for species, _ in missing)
        reasons = "; ".join(reason for _, reason in missing)
        raise PhysicsError(f"{reasons}: give rms_radius_fm (a number, or one per element such as {{{example}}})")
    constituents = []
    for species, count in atoms.items():
        for nucleus, fraction in _nuclei(species, protons[species], convention):
            neutron_radius_of = neutrons.get(species, nucleus.rms_radius_fm)
            if neutron_radius == "skin" and species not in neutrons:
                neutron_radius_of += radii.skin_fm(nucleus.proton_number, nucleus.neutron_number)
            constituents.append(Constituent(replace(nucleus, neutron_radius_fm=neutron_radius_of), count * fraction))
    molar_mass = sum(c.nucleus.mass_u * c.per_formula_unit for c in constituents)
    return Target(target_text(formula), tuple(constituents), molar_mass)


def _nuclei(species: Species, radius_fm: float, convention: NucleiConvention) -> list[tuple[Nucleus, float]]:
    """The nuclei that stand for a species, each with its share of the atoms; neutrons have the protons' radius."""

    def nucleus(neutrons: float, mass_u: float, mass_number: int | None) -> Nucleus:
        return Nucleus(species.symbol, protons, neutrons, mass_u, radius_fm, radius_fm, mass_number)

    if species.mass_number is not None:
        protons = proton_number(species.symbol)
        return [(nucleus(species.mass_number - protons, isotope_mass_u(species), species.mass_number), 1.0)]
    natural = element(species.symbol)
    protons = natural.proton_number
    if convention == "isotopes":
        return [(nucleus(i.mass_number - protons, i.mass_u, i.mass_number), i.fraction) for i in natural.isotopes]
    weight = natural.standard_weight
    if len(natural.isotopes) == 1:
        only = natural.isotopes[0].mass_number
        return [(nucleus(only - protons, weight, only), 1.0)]
    return [(nucleus(weight - protons, weight, None), 1.0)]


def _radii(option: str, value: RadiusInput, atoms: Mapping[Species, float]) -> dict[Species, float]:
    """The radius of every species for which a number, or one per element or isotope, is given."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {species: number(option, value) for species in atoms}
    radii_of: dict[Species, float] = {}
    for name, radius in value.items():
        named = [
            species
            for species in atoms
            if name in (species.symbol, str(species), f"{species.symbol}{species.mass_number}")
        ]
        if not named:
            raise PhysicsError(f"{option} names {name}, which is not in {', '.join(map(str, atoms))}")
        radii_of |= {species: number(f"{option} of {name}", radius) for species in named}
    return radii_of
