"""How figures look: fonts and sizes for a journal, colours that the colour-blind can tell apart."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from nurecoil.errors import InputFileError

RC: dict[str, Any] = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 11,
    "axes.labelsize": 13,
    "axes.linewidth": 0.9,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.minor.visible": True,
    "ytick.minor.visible": True,
    "pdf.fonttype": 42,
    "savefig.dpi": 150,
}

DETECTOR_COLOURS = ("#0b4f9e", "#2ca6c9", "#8e3fa8", "#d98200", "#3f8f3a", "#7a5230")
"""Blue, cyan, violet as in arXiv:2409.10652, then on."""
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)))
STANDARD_MODEL_COLOUR = "#e07b00"
VALUE_COLOURS = ("#c1272d", "#0b4f9e", "#000000", "#5a8f29", "#8e3fa8", "#7a5230")
CHANNEL_COLOURS = {"cevns": "#e07b00", "electron": "#0b4f9e"}
CHANNEL_LABELS = {"cevns": r"CE$\nu$NS", "electron": r"E$\nu$ES"}
BACKGROUND_COLOUR = "#b8b8b8"

PANEL_SIZE_IN = (4.1, 3.5)


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
            complaints.append(record.getMessage().strip().splitlines()[-1])

    logger, handler = logging.getLogger("matplotlib"), _Collect(logging.WARNING)
    logger.addHandler(handler)
    propagate, logger.propagate = logger.propagate, False
    try:
        settings = dict(matplotlib.rc_params_from_file(path, use_default_template=False))
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if complaints:
        raise InputFileError(f"style file {path}: {complaints[0]}")
    return settings


def power_of_ten(largest: float, natural_exponent: int) -> int:
    """The exponent in which an axis up to `largest` reads best: the natural one unless it is far off.

    >>> power_of_ten(3e-8, -9), power_of_ten(3e-10, -9)
    (-9, -10)
    """
    if not largest > 0:
        return natural_exponent
    own = math.floor(math.log10(largest) + 1e-9)
    return natural_exponent if 0 <= own - natural_exponent <= 2 else own


def unit_text(unit: str, exponent: int) -> str:
    """The unit of an axis in mathtext, such as 10^-9 e; empty for a plain number."""
    names = {"e": "e", "mu_B": r"\mu_B", "cm2": r"\mathrm{cm}^2", "fm": r"\mathrm{fm}", "1": ""}
    factor = "" if exponent == 0 else f"10^{{{exponent}}}"
    parts = [part for part in (factor, names.get(unit, rf"\mathrm{{{unit}}}")) if part]
    return "$" + r"\,".join(parts) + "$" if parts else ""


def formula_text(formula: str) -> str:
    """A chemical formula with its subscripts in mathtext; any other text as it is.

    >>> formula_text("C3F8")
    'C$_{3}$F$_{8}$'
    """
    import re

    if not re.fullmatch(r"(?:[A-Z][a-z]?\d*)+", formula):
        return formula
    return re.sub(r"(\d+)", r"$_{\1}$", formula)
