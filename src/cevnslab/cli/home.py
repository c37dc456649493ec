"""A home folder that is not there, or not to be written to: containers, batch systems, service accounts.

matplotlib keeps its settings and a cache of fonts below it. Where it cannot, it says so in two long lines, and a
process that ends at once, as the one that draws, leaves a temporary folder behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "MPLCONFIGDIR"
"""Environment variable of matplotlib's folder, for settings and cache."""


@contextmanager
def folder_for_matplotlib() -> Iterator[None]:
    """A temporary folder for as long as a command runs, where matplotlib's own could not be made; else nothing."""
    if os.environ.get(VARIABLE) or all(_can_be_written(folder) for folder in _folders()):
        yield
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="cevnslab-matplotlib-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def _folders() -> list[Path]:
    """Where matplotlib would keep what it keeps; empty where it always can, or says itself that it cannot."""
    if sys.platform == "win32":
        return []
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return [home]
    bases = {"XDG_CONFIG_HOME": ".config", "XDG_CACHE_HOME": ".cache"}
    return [Path(os.environ.get(variable) or home / name) / "matplotlib" for variable, name in bases.items()]


def _can_be_written(folder: Path) -> bool:
    """Whether it can be, or could be made: nothing is made for an answer."""
    nearest = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    return os.path.isdir(nearest) and os.access(nearest, os.W_OK | os.X_OK)
