"""All figures of a result, as PDF and PNG."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nurecoil.figures.style import RC, read_style
from nurecoil.progress import track
from nurecoil.studies.results import Result

Specs = Sequence[Mapping[str, Any]]


def draw_all(result: Result, folder: Path, style: str | Path | None = None) -> list[str]:
    """Draw every figure into `folder` and return the file names; `style` is a matplotlib style file."""
    settings: Any = {**RC, **(read_style(Path(style)) if style else {})}
    import matplotlib
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf

    from nurecoil.figures.catalogue import figure_specs

    folder.mkdir(parents=True, exist_ok=True)
    specs = figure_specs(result)
    with matplotlib.rc_context(settings):
        if _may_fork() and len(specs) > 2:
            _draw_on_two_cores(result, specs, folder)
        else:
            _draw_in_turn(result, specs, folder)
    return [f"{spec['name']}.{ending}" for spec in specs for ending in ("pdf", "png")]


def _draw_in_turn(result: Result, specs: Specs, folder: Path) -> None:
    from nurecoil.figures.catalogue import draw

    for spec in track(specs, "drawing figures"):
        figure = draw(result, spec)
        # Without a creation date the same result gives the same bytes.
        figure.savefig(folder / f"{spec['name']}.pdf", metadata={"CreationDate": None})
        figure.savefig(folder / f"{spec['name']}.png")


def _may_fork() -> bool:
    """Whether a copy of this process can draw: on Linux, with a second core, outside threads and daemons."""
    return (
        sys.platform == "linux"
        and len(os.sched_getaffinity(0)) > 1
        and threading.active_count() == 1
        and not multiprocessing.current_process().daemon
    )


def _draw_on_two_cores(result: Result, specs: Specs, folder: Path) -> None:
    """Drawing is most of a study's time, all of it matplotlib's: half of the panels go to a copy of this process.

    A figure that the copy could not draw is drawn here, so that any fault is raised here.
    """
    shares: tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]] = ([], [])
    panels = [0, 0]
    for spec in sorted(specs, key=lambda spec: -len(spec["panels"])):
        lighter = int(panels[1] < panels[0])
        shares[lighter].append(spec)
        panels[lighter] += len(spec["panels"])
    with warnings.catch_warnings():
        # Python warns of forking beside threads; the only ones here are BLAS's, which survive it.
        warnings.simplefilter("ignore", DeprecationWarning)
        copy = multiprocessing.get_context("fork").Process(target=_draw_in_turn, args=(result, shares[1], folder))
        copy.start()
    _draw_in_turn(result, shares[0], folder)
    copy.join()
    if copy.exitcode != 0:
        _draw_in_turn(result, shares[1], folder)


def redraw(folder: Path, style: str | Path | None = None) -> list[Path]:
    """Redraw the figures of saved results, computing nothing; returns the files."""
    from nurecoil.reports.files import load_result, prepare, staged

    result = load_result(folder)
    prepare(folder.parent, folder.name)
    with staged(folder) as staging:
        names = draw_all(result, staging / "figures", style)
    return [folder / "figures" / name for name in names]
