"""What a target's text means: compounds, isotopes, mixtures.

Names of materials and dopants are refused, and the message has the formula that is meant.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cevnslab import packaged
from cevnslab.arguments import number
from cevnslab.errors import UnknownNameError
from cevnslab.words import excerpt

if TYPE_CHECKING:
    TargetInput = str | Mapping[str, float]

HINT = "write an element or compound such as Ge, CsI, C3F8 or CaWO4, or an isotope such as Ge76 or 76Ge"
LONGEST = 100
"""Letters of a formula."""
FRACTIONS_SUM_WITHIN = 1e-6


@dataclass(frozen=True)
class Species:
    """An element of natural composition, or one of its isotopes."""

    symbol: str
    mass_number: int | None = None

    def __str__(self) -> str:
        """As in 76Ge."""
        return f"{self.mass_number or ''}{self.symbol}"


@dataclass(frozen=True)
class Isotope:
    """An isotope of an element as nature has it."""

    mass_number: int
    mass_u: float
    fraction: float
    """Of the element's atoms."""


@dataclass(frozen=True)
class Element:
    """An element's frozen or library values: standard weight and natural isotopes."""

    symbol: str
    proton_number: int
    standard_weight: float
    isotopes: tuple[Isotope, ...]


def nuclide_table() -> Mapping[str, Mapping[str, Any]]:
    """`data/nuclides.yaml`: the elements of the presets."""
    elements: Mapping[str, Mapping[str, Any]] = packaged.table("nuclides")["elements"]
    return elements


@functools.cache
def element(symbol: str) -> Element:
    """Values of an element: the frozen table where it has an entry, else `periodictable`.

    Raises `UnknownNameError` for a symbol that is no element, or one without tabulated abundances of isotopes.

    >>> element("Cs").standard_weight
    132.90545196
    """
    library = _library_element(symbol)
    isotopes = tuple(
        Isotope(isotope.isotope, float(isotope.mass), float(isotope.abundance) / 100)
        for isotope in library
        if isotope.abundance
    )
    if not isotopes:
        raise UnknownNameError(
            f"no natural abundances of the isotopes of '{symbol}' are tabulated; "
            f"write an isotope, such as {symbol}{round(library.mass)}, or fractions of atoms by isotope"
        )
    frozen = nuclide_table().get(symbol, {})
    return Element(symbol, library.number, float(frozen.get("standard_weight", library.mass)), isotopes)


def proton_number(symbol: str) -> int:
    """Z of an element.

    >>> proton_number("Ge")
    32
    """
    return int(_library_element(symbol).number)


def isotope_mass_u(species: Species) -> float:
    """The atomic mass of an isotope in u; `UnknownNameError` for one that is not known.

    >>> isotope_mass_u(Species("Ge", 76))
    75.921402725
    """
    library = _library_element(species.symbol)
    if species.mass_number not in library.isotopes:
        raise UnknownNameError(f"'{species}' is no known isotope of {species.symbol}")
    return float(library[species.mass_number].mass)


def parse_target(text: TargetInput) -> dict[Species, float]:
    """Atoms of every species in a formula unit, or their fractions in a mixture.

    Raises `UnknownNameError`, whose message has the formula that may be meant.

    >>> parse_target("Ge76")
    {Species(symbol='Ge', mass_number=76): 1.0}
    >>> [f"{count:g} {species}" for species, count in parse_target({"Ge70": 0.1, "76Ge": 0.9}).items()]
    ['0.1 70Ge', '0.9 76Ge']
    """
    if isinstance(text, str):
        single = _isotope(text)
        if single is not None:
            return {single: 1.0}
        return {Species(symbol): count for symbol, count in parse_formula(text).items()}
    if not isinstance(text, Mapping) or not all(isinstance(name, str) for name in text):
        raise UnknownNameError(
            f"a target must be a formula or fractions of atoms by isotope, got {excerpt(text)}; {HINT}"
        )
    fractions: dict[Species, float] = {}
    for name, fraction in text.items():
        species = _isotope(name) or Species(name)
        if species.mass_number is None:
            _library_element(name)
        if species in fractions:
            raise UnknownNameError(f"the isotope {species} is given twice")
        fractions[species] = number(f"the fraction of {species}", fraction)
        if not fractions[species] > 0:
            raise UnknownNameError(f"the fraction of {species} must be above 0, got {fraction:g}")
    total = sum(fractions.values())
    if not abs(total - 1) <= FRACTIONS_SUM_WITHIN:
        raise UnknownNameError(f"the fractions of atoms must sum to 1, got {total:.7g}")
    return fractions


def target_text(text: TargetInput) -> str:
    """A target as outputs name it.

    >>> target_text("CsI"), target_text("Ge76"), target_text({"Ge70": 0.1, "Ge76": 0.9})
    ('CsI', '76Ge', '0.1 70Ge + 0.9 76Ge')
    """
    if isinstance(text, str):
        single = _isotope(text)
        return text if single is None else str(single)
    return " + ".join(f"{fraction:g} {species}" for species, fraction in parse_target(text).items())


def parse_formula(formula: str) -> dict[str, float]:
    """Atoms per formula unit of a chemical formula, such as CsI, C3F8 or CaWO4.

    >>> parse_formula("C3F8")
    {'C': 3.0, 'F': 8.0}
    """
    return dict(_atoms(formula))


@functools.cache
def _atoms(formula: str) -> Mapping[str, float]:
    """The atoms of a formula, parsed once: scans and maps ask for the same one thousands of times."""
    import periodictable
    from pyparsing import ParseException

    _refuse_names(formula)
    try:
        # Charges, isotopes and densities, which the library would also read, mean nothing here.
        if not re.fullmatch(r"[A-Za-z0-9.()]+", formula):
            raise UnknownNameError(f"'{formula}' is no chemical formula; {HINT}")
        atoms = periodictable.formula(formula).atoms
    except (ValueError, ParseException, RecursionError) as fault:
        unknown = re.search(r"unknown element (\w+)", str(fault))
        detail = f": no element '{unknown.group(1)}'" if unknown else ""
        raise UnknownNameError(f"'{formula}' is no chemical formula{detail}; {HINT}") from None
    counts: dict[str, float] = {}
    for atom, count in atoms.items():
        if not count > 0:
            raise UnknownNameError(f"'{formula}' holds no atoms; {HINT}")
        if isinstance(atom, periodictable.core.Isotope):
            raise UnknownNameError(f"'{formula}' names the isotope {atom} in a compound: that is not available; {HINT}")
        symbol = str(atom.symbol)
        if atom.number > _LIGHT and count in {isotope.mass_number for isotope in element(symbol).isotopes}:
            raise UnknownNameError(
                f"'{formula}' has {count:g} atoms of {symbol}; isotopes in compounds are not available; {HINT}"
            )
        counts[symbol] = float(count)
    if not counts:
        raise UnknownNameError(f"'{formula}' is no chemical formula; {HINT}")
    return counts


_LIGHT = 8
"""Elements of more protons have no molecule of as many atoms as an isotope has nucleons."""

_COMMON_NAMES = {
    "HPGe": "Ge",
    "LXe": "Xe",
    "GXe": "Xe",
    "LAr": "Ar",
    "GAr": "Ar",
    "LNe": "Ne",
    "BGO": "Bi4Ge3O12",
    "BSO": "Bi4Si3O12",
    "PWO": "PbWO4",
    "CWO": "CdWO4",
    "CZT": "Cd9ZnTe10",
    "GSO": "Gd2SiO5",
    "YAP": "YAlO3",
    "YAG": "Y3Al5O12",
}
"""Names of detector materials, some of which would be read as other elements."""


def _isotope(text: str) -> Species | None:
    """The isotope that a text such as Ge76, Ge-76 or 76Ge names, or None for what is no name of an isotope."""
    match = re.fullmatch(
        r"(?P<before>\d{1,3})(?P<first>[A-Z][a-z]?)|(?P<second>[A-Z][a-z]?)(-?)(?P<after>\d{1,3})", text
    )
    if match is None:
        return None
    symbol, number = match["first"] or match["second"], int(match["before"] or match["after"])
    library = _library_element(symbol)
    if number in library.isotopes:
        if text == "H2":
            raise UnknownNameError("'H2' may be a molecule or an isotope; write H, or 2H for deuterium")
        return Species(symbol, number)
    if match["before"] or (number >= library.number > _LIGHT):
        raise UnknownNameError(f"'{text}' is no isotope of {symbol}; {HINT}")
    return None


def _refuse_names(text: str) -> None:
    """Raise `UnknownNameError` for names, dopants and what is too long to be a formula."""
    if len(text) > LONGEST:
        raise UnknownNameError(f"'{text[:20]}...' is no chemical formula: at most {LONGEST} letters; {HINT}")
    dopant = re.fullmatch(r"(?P<host>.+?)(?:\((?P<a>[A-Z][a-z]?)\)|\[(?P<b>[A-Z][a-z]?)\]|:(?P<c>[A-Z][a-z]?))", text)
    if dopant:
        element_of = dopant["a"] or dopant["b"] or dopant["c"]
        raise UnknownNameError(
            f"'{text}' names a dopant, {element_of}, of which there is too little to count; write {dopant['host']}"
        )
    formula = _COMMON_NAMES.get(text) or _element_named(text)
    if formula is not None:
        raise UnknownNameError(f"'{text}' is a name; write the formula {formula}")


def _element_named(text: str) -> str | None:
    """The symbol of an element that a text names, or spells in other letters."""
    import periodictable

    for element_ in periodictable.elements:
        if text.lower() == element_.name and element_.number:
            return str(element_.symbol)
        if text.lower() == element_.symbol.lower() and text != element_.symbol and len(text) == 2 and text.islower():
            return str(element_.symbol)
    return None


def _library_element(symbol: str) -> Any:
    import periodictable

    try:
        library = periodictable.elements.symbol(symbol)
    except ValueError:
        raise UnknownNameError(f"'{symbol}' is no chemical element; {HINT}") from None
    # The library also has names for two isotopes of hydrogen, and for the neutron.
    if isinstance(library, periodictable.core.Isotope):
        raise UnknownNameError(f"'{symbol}' is an isotope of hydrogen; write {library.isotope}H")
    if not library.number:
        raise UnknownNameError(f"'{symbol}' is no chemical element; {HINT}")
    return library
