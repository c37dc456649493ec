"""How figures look: fonts and sizes for a journal, colours that the colour-blind can tell apart, a user's own style."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cevnslab import arguments
from cevnslab.errors import InputFileError

FONT_SIZE = 10.0
"""Of the package's style; panels grow with a user's larger one."""

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "mathtext.fontset": "dejavusans",
    "font.size": FONT_SIZE,
    "axes.labelsize": 11,
    "axes.titlesize": 11,
    "axes.linewidth": 0.9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.major.pad": 5,
    "ytick.major.pad": 4,
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
BACKGROUND_COLOURS = ("#b8b8b8", "#7a9a5f", "#b5c99a", "#8e3fa8", "#c9a66b", "#7a5230")
"""Of backgrounds that bring no colour, in their order."""
BAND_COLOURS = ("#f6d55c", "#7fbf7b")
"""Of expected limits: the band of 95 %, and that of 68 % on it."""
REFERENCE_COLOUR = "#c1272d"


def settings(style: str | Path | None = None) -> dict[str, Any]:
    """The rcParams of the package with a user's style file on top; `InputFileError` for a bad one."""
    return {**RC, **({} if style is None else read_style(arguments.path("style_file", style)))}


@contextmanager
def styled(settings: Mapping[str, Any]) -> Iterator[None]:
    """Draw in these settings; matplotlib's own are as before afterwards."""
    import matplotlib

    rc: Any = dict(settings)
    with matplotlib.rc_context(rc):
        yield


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
        parameters: Any = matplotlib.rc_params_from_file(path, use_default_template=False)
        read: dict[str, Any] = dict(parameters)
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if complaints:
        raise InputFileError(f"style file {path}: {complaints[0].replace(repr(path), str(path))}")
    return read
