"""Units, as each kind of output writes them: one table for files, terminals, figures, pages and archives.

A unit is named as in files: ``e``, ``cm2/keV``, ``mu_B``; ``1`` or nothing for a pure number.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

SUBSCRIPTS = str.maketrans("0123456789", "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089")
SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


@dataclass(frozen=True)
class Unit:
    """The ways of writing one unit."""

    text: str
    """In files and terminals."""
    symbol: str
    """With the characters of print, in figures."""
    html: str
    """As the content of an element."""
    archive: str
    """As HEPData asks for it."""


UNITS = {
    "1": Unit("", "", "", ""),
    "mu_B": Unit("mu_B", "\u03bc\u0299", "\u03bc<sub>B</sub>", "Bohr magneton"),
    "us": Unit("us", "\u03bcs", "\u03bcs", "us"),
}
"""Units that the rule does not reach: powers stand after the letters, as in cm2."""

_POWER = re.compile(r"(?<=[a-z])(\d+)")


def unit(name: str) -> Unit:
    """How a unit is written.

    >>> unit("cm2/keV")
    Unit(text='cm2/keV', symbol='cm\u00b2/keV', html='cm<sup>2</sup>/keV', archive='cm**2/keV')
    >>> unit("1").text
    ''
    """
    if name in UNITS:
        return UNITS[name]
    symbol = _POWER.sub(lambda match: match[1].translate(SUPERSCRIPTS), name)
    return Unit(name, symbol, _POWER.sub(r"<sup>\1</sup>", html.escape(name)), _POWER.sub(r"**\1", name))


def superscript(number: int) -> str:
    """An integer in superscript characters: they need no parsing of mathtext.

    >>> superscript(-38)
    '\u207b\u00b3\u2078'
    """
    return str(number).translate(SUPERSCRIPTS)


def scaled(name: str, exponent: int) -> str:
    """A unit with a power of ten before it, as figures write it; empty for a plain number.

    >>> scaled("cm2", -32)
    '10\u207b\u00b3\u00b2 cm\u00b2'
    """
    power = "" if exponent == 0 else f"10{superscript(exponent)}"
    return " ".join(part for part in (power, unit(name).symbol) if part)


SUFFIXES = {
    "ckd": "counts/kg/day",
    "ckkd": "counts/keV/kg/day",
    "ckkd_ee": "counts/keVee/kg/day",
    "cm2": "cm2",
    "erg": "erg",
    "ev": "eV",
    "fm": "fm",
    "gw": "GW",
    "kev": "keV",
    "kevee": "keVee",
    "kg": "kg",
    "kpc": "kpc",
    "m": "m",
    "mev": "MeV",
    "pe": "PE",
    "per_cm2_s": "1/(cm2 s)",
    "us": "us",
    "years": "years",
}
"""Units at the end of names, longest first when looked for: of keys, columns and axes."""


def words_and_unit(name: str) -> tuple[str, str]:
    """The words of a name and the unit at its end.

    >>> words_and_unit("threshold_kevee"), words_and_unit("background_ckkd_ee"), words_and_unit("f90")
    (('threshold', 'keVee'), ('background', 'counts/keVee/kg/day'), ('f90', ''))
    """
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if name.endswith(f"_{suffix}"):
            return name.removesuffix(f"_{suffix}").replace("_", " "), SUFFIXES[suffix]
    return name.replace("_", " "), ""


def key_label(path: str) -> str:
    """What an axis calls a key of the study file: its last words, with the unit.

    >>> key_label("detectors.ess-ge.threshold_kev"), key_label("uncertainties.signal")
    ('threshold (keV)', 'uncertainty of the signal')
    >>> key_label("couplings.zp.mass_mev")
    'mass of the mediator (MeV)'
    """
    *above, last = path.split(".")
    words, name = words_and_unit(last)
    if "uncertainties" in above:
        words = f"uncertainty of the {words}"
    if above[:1] == ["couplings"] and last == "mass_mev":
        words = "mass of the mediator"
    return f"{words} ({unit(name).symbol})" if name else words
