"""Words of figures: axes of couplings, values with their powers of ten, formulas, names of detectors."""

from __future__ import annotations

import math
import re
from typing import Any

from cevnslab.figures import style
from cevnslab.results import CouplingInfo, Result, natural_exponent
from cevnslab.units import SUBSCRIPTS, scaled, unit

CHANNEL_LABELS = {"cevns": "CE\u03bdNS", "electron": "E\u03bdES"}


def formula_text(formula: str) -> str:
    """A chemical formula with subscripts; any other text as it is.

    >>> formula_text("C3F8")
    'C\u2083F\u2088'
    """
    if not re.fullmatch(r"(?:[A-Z][a-z]?\d*)+", formula):
        return formula
    return formula.translate(SUBSCRIPTS)


def detector_text(result: Result, detector: str) -> str:
    """How a figure calls a detector or combination."""
    return formula_text(result.detectors[detector].label)


def detector_styles(result: Result) -> dict[str, tuple[str, Any]]:
    """Colour and line style of every detector, the same in all figures of a study."""
    return {
        name: (
            style.DETECTOR_COLOURS[number % len(style.DETECTOR_COLOURS)],
            style.LINE_STYLES[number % len(style.LINE_STYLES)],
        )
        for number, name in enumerate(result.detectors)
    }


def power_of_ten(largest: float, natural: int) -> int:
    """The exponent in which an axis up to `largest` reads best: the natural one unless it is far off.

    >>> power_of_ten(3e-8, -9), power_of_ten(3e-10, -9)
    (-9, -10)
    """
    if not largest > 0:
        return natural
    exponent = math.floor(math.log10(largest) + 1e-9)
    if natural == 0 and -2 <= exponent <= 2:
        return 0
    return natural if 0 <= exponent - natural <= 2 else exponent


def axis_scale(info: CouplingInfo, largest: float) -> tuple[float, str]:
    """Factor from plain units to the axis, and the axis label."""
    exponent = power_of_ten(largest, natural_exponent(info.scale))
    text = scaled(info.unit, exponent)
    return 10.0**-exponent, f"${info.symbol}$" + (f" ({text})" if text else "")


def value_text(info: CouplingInfo, value: float) -> str:
    """A coupling and its value, such as in a legend."""
    exponent = math.floor(math.log10(abs(value)) + 1e-9) if value else 0
    exponent = 0 if natural_exponent(info.scale) == 0 and -3 <= exponent <= 2 else exponent
    digits = f"{value / 10.0**exponent:.3g}".replace("-", "\u2212")
    power = f"\u00d7{scaled('1', exponent)}" if exponent else ""
    return f"${info.symbol}$ = {digits}{power} {unit(info.unit).symbol}".rstrip()
