"""How figures look: fonts and sizes for a journal, colours that the colour-blind can tell apart."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.errors import InputFileError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": 10,
    "axes.labelsize": 11,
    "axes.linewidth": 0.9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "savefig.dpi": 150,
}

DETECTOR_COLOURS = ("#0b4f9e", "#2ca6c9", "#8e3fa8", "#d98200", "#3f8f3a", "#7a5230", "#000000")
"""Blue, cyan, violet as in arXiv:2409.10652, then on."""
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
STANDARD_MODEL_COLOUR = "#e07b00"
VALUE_COLOURS = ("#c1272d", "#0b4f9e", "#000000", "#5a8f29", "#8e3fa8", "#7a5230")
CHANNEL_COLOURS = {"cevns": "#e07b00", "electron": "#0b4f9e"}
CHANNEL_LABELS = {"cevns": "CE\u03bdNS", "electron": "E\u03bdES"}
BACKGROUND_COLOUR = "#b8b8b8"

KEYS = {
    "mass_mev": "mass of the mediator (MeV)",
    "exposure_years": "exposure (years)",
    "threshold_kev": "threshold (keV)",
    "threshold_kevee": "threshold (keVee)",
    "distance_m": "distance (m)",
    "mass_kg": "mass (kg)",
    "signal": "uncertainty of the signal",
    "background": "uncertainty of the background",
}
"""How axes name the keys that are scanned; any other by its path."""

PANEL_SIZE_IN = (4.1, 3.4)
MARGINS_IN = (0.72, 0.16, 0.56, 0.30)
"""Left, right, bottom, top of every panel."""


def read_style(path: Path) -> dict[str, Any]:
    """Settings of a user's matplotlib style file, which override the package's.

    Raises `InputFileError` for a file that cannot be read or a setting that matplotlib does not know.
    """
    import matplotlib

    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise InputFileError(f"cannot read the style file {path}: {getattr(fault, 'strerror', fault)}") from None
    import logging

    # matplotlib only logs what it cannot use: turn that into our error.
    complaints: list[str] = []

    class _Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage().strip().splitlines()[0])

    logger, handler = logging.getLogger("matplotlib"), _Collect(logging.WARNING)
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        loaded: Any = matplotlib.rc_params_from_file(path, use_default_template=False)
        settings: dict[str, Any] = dict(loaded)
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if complaints:
        raise InputFileError(f"style file {path}: {complaints[0]}")
    return settings


_SUBSCRIPTS = str.maketrans("0123456789", "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089")
_SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")


def superscript(number: int) -> str:
    """An integer in superscript characters: they need no parsing of mathtext.

    >>> superscript(-38)
    '\u207b\u00b3\u2078'
    """
    return str(number).translate(_SUPERSCRIPTS)


def panel_grid(panels: int, columns: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, row by row; places left over are empty."""
    from matplotlib.figure import Figure

    rows = math.ceil(panels / columns)
    width, height = PANEL_SIZE_IN
    # Margins are set, not searched for: matplotlib's layout engines draw every text twice over.
    left, right, bottom, top = MARGINS_IN
    figure = Figure(figsize=(columns * width, rows * height))
    figure.subplots_adjust(
        left=left / (columns * width),
        right=1 - right / (columns * width),
        bottom=bottom / (rows * height),
        top=1 - top / (rows * height),
        wspace=(left + right) / (width - left - right),
        hspace=(bottom + top) / (height - bottom - top),
    )
    grid = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in grid[panels:]:
        axes.set_axis_off()
    return figure, grid[:panels]


def finish(axes: Axes) -> None:
    """Ticks of logarithmic axes, and what keeps drawing fast."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() != "log":
            continue
        low, high = axis.get_view_interval()
        decades = math.log10(high / low)
        axis.set_major_locator(LogLocator(numticks=8))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"10{superscript(round(math.log10(value)))}" if value > 0 else "")
        )
        axis.set_minor_formatter(NullFormatter())
        if decades > 3:
            axis.set_minor_locator(NullLocator())
    axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    # A title with a place of its own is not moved out of the way of ticks, for which every text would be measured.
    axes.set_title(axes.get_title(), y=1.01, fontsize=11)


def power_of_ten(largest: float, natural_exponent: int) -> int:
    """The exponent in which an axis up to `largest` reads best: the natural one unless it is far off.

    >>> power_of_ten(3e-8, -9), power_of_ten(3e-10, -9)
    (-9, -10)
    """
    if not largest > 0:
        return natural_exponent
    own = math.floor(math.log10(largest) + 1e-9)
    if natural_exponent == 0 and -2 <= own <= 2:
        return 0
    return natural_exponent if 0 <= own - natural_exponent <= 2 else own


def unit_text(unit: str, exponent: int) -> str:
    """The unit of an axis, such as 10^-9 e; empty for a plain number.

    >>> unit_text("cm2", -32)
    '10\u207b\u00b3\u00b2 cm\u00b2'
    """
    names = {"mu_B": "\u03bc\u0299", "cm2": "cm\u00b2", "1": ""}
    factor = "" if exponent == 0 else f"10{superscript(exponent)}"
    return " ".join(part for part in (factor, names.get(unit, unit)) if part)


def formula_text(formula: str) -> str:
    """A chemical formula with subscripts, an isotope with its mass number raised; any other text as it is.

    >>> formula_text("C3F8"), formula_text("76Ge")
    ('C\u2083F\u2088', '\u2077\u2076Ge')
    """
    isotope = re.fullmatch(r"(\d+)([A-Z][a-z]?)", formula)
    if isotope:
        return isotope[1].translate(_SUPERSCRIPTS) + isotope[2]
    if not re.fullmatch(r"(?:[A-Z][a-z]?\d*)+", formula):
        return formula
    return formula.translate(_SUBSCRIPTS)
