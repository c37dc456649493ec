"""All figures of a result, as PDF and PNG.

Drawing is most of a short study's time, all of it matplotlib's. The command line therefore starts a helper, a copy of
its process, before it computes anything: the helper imports matplotlib meanwhile. When there is something to draw it
makes a copy of itself, and both draw; the process that computed never imports matplotlib.
"""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.errors import CevnslabError, FigureError, InputFileError
from cevnslab.progress import progress_bar
from cevnslab.results import Result
from cevnslab.words import excerpt

if TYPE_CHECKING:
    from cevnslab.figures.catalogue import FigureSpec

SIGNALS = {signal.SIGINT, signal.SIGTERM, *({signal.SIGHUP} if sys.platform != "win32" else ())}
"""Those that end the command."""

Specs = Sequence["FigureSpec"]
Settings = Mapping[str, Any]
Work = tuple[Result, Specs, Path, Settings]
"""What the helper is sent: figures of a result, the folder of their files, how they look."""


class Helper:
    """A forked process that draws, two figures at a time, taken one by one from a common counter."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        # Until the helper has handlers of its own, a signal would be answered by those of its parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            self._process = context.Process(target=_help, args=(theirs, self._pipe, before))
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()

    def begin(self, result: Result, specs: Specs, folder: Path, settings: Settings) -> None:
        """Let the helper draw."""
        with suppress(OSError):  # should it have died, everything is drawn here
            self._pipe.send((result, specs, folder, settings))

    def positions(self) -> Iterator[int]:
        """The positions of figures as they are drawn, until nobody draws any more."""
        with suppress(EOFError, OSError):
            while True:
                yield self._pipe.recv()

    def close(self) -> None:
        """End the helper, whatever it is doing."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _help(pipe: Any, other_end: Any, signals: Any) -> None:
    """What the helper does: import, wait for a result, draw, report.

    It says nothing of what it cannot do: whatever it does not report is drawn by its parent, which raises it. Ctrl-C is
    for the parent too, which ends it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, signals)
    other_end.close()
    with suppress(Exception):
        _draw_what_is_sent(pipe)


def _end(*_: object) -> None:
    """End the helper and its copy at once, without a word: an exception could be raised where it would be printed."""
    for copy in multiprocessing.active_children():
        copy.kill()
    os._exit(0)


def _draw_what_is_sent(pipe: Any) -> None:
    _rehearse()
    work: Work = pipe.recv()
    context = multiprocessing.get_context("fork")
    counter = context.Value("i", 0)
    copy = context.Process(target=_draw_share, args=(pipe, counter, work), daemon=True)
    copy.start()
    _draw_share(pipe, counter, work)
    copy.join()


def _rehearse() -> None:
    """Draw a figure for nobody: what is imported and looked up once is then at hand when there is something to draw."""
    import cevnslab.figures.catalogue  # noqa: F401
    from cevnslab.figures.layout import Sheet
    from cevnslab.figures.style import settings, styled

    with styled(settings()):
        page = Sheet(1, 1)
        (cell,) = page.cells
        cell.axes.loglog([1, 10], [1, 10], label="$x_1$")
        cell.legend(None)
        page.finish()
        page.figure.savefig(io.BytesIO(), format="pdf")
    # What is there by now stays: it is not looked through for garbage, and its memory stays shared with the copy.
    gc.freeze()


def _draw_share(pipe: Any, counter: Any, work: Work) -> None:
    """Draw the figures that nobody has taken yet, and report each."""
    from cevnslab.figures.style import styled

    result, specs, folder, settings = work
    with suppress(Exception), styled(settings):
        for position in _take(counter, len(specs)):
            draw_one(result, specs[position], folder)
            with counter.get_lock():
                pipe.send(position)


def _take(counter: Any, count: int) -> Iterator[int]:
    while True:
        with counter.get_lock():
            position = counter.value
            counter.value += 1
        if position >= count:
            return
        yield position


@contextmanager
def helper() -> Iterator[Helper | None]:
    """A helper where one can be had: on Linux, with a second core, outside threads; else None."""
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2 or threading.active_count() > 1:
        yield None
        return
    helper = Helper()
    try:
        yield helper
    finally:
        helper.close()


def draw_one(result: Result, spec: FigureSpec, folder: Path) -> None:
    """One figure in every format, in the settings that hold; `FigureError` where it cannot be drawn."""
    import matplotlib

    from cevnslab.figures.catalogue import sheet

    with drawing_errors(spec.name):
        page = sheet(result, spec)
        for ending in formats(matplotlib.rcParams):
            page.save(folder / f"{spec.name}.{ending}")


@contextmanager
def drawing_errors(name: str) -> Iterator[None]:
    """Whatever matplotlib, a style or LaTeX raises, as one error of ours."""
    try:
        yield
    except (CevnslabError, OSError, MemoryError):
        raise
    except Exception as fault:
        # A writer of matplotlib's that is closed after a full disk fails once more, at what it did not come to. Where a
        # fault of the system is named as the cause, as of a missing LaTeX, the words of the later one explain it.
        if isinstance(fault.__context__, OSError) and fault.__cause__ is None:
            raise fault.__context__ from None
        reason = next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
        raise FigureError(f"the figure {name} cannot be drawn: {reason}") from fault


FORMATS = ("pdf", "png", "svg", "eps", "ps", "jpg", "jpeg", "tif", "tiff", "webp", "pgf", "svgz")
"""Of figure files; a style may ask for any of them."""


def formats(settings: Any) -> tuple[str, ...]:
    """The formats of figure files in some rcParams: PDF, PNG, and the one that a style asks for."""
    return tuple(dict.fromkeys(["pdf", "png", settings.get("savefig.format", "png")]))


def figure_files(result: Result, settings: Any) -> set[str]:
    """The names of the files that the figures of a result make; `InputFileError` for one that is no name of a file."""
    from cevnslab.figures.catalogue import figure_specs

    names = {f"{spec.name}.{ending}" for spec in figure_specs(result) for ending in formats(settings)}
    for name in names:
        if not is_figure_file(name):
            raise InputFileError(f"figures: {excerpt(name)} is no name of a figure's file")
    return names


def is_figure_file(name: str) -> bool:
    """Whether a name is one of a figure's file: safe, without folders, in one of the formats.

    >>> is_figure_file("figure-6.pdf"), is_figure_file("../../notes.pdf")
    (True, False)
    """
    return re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9_.+-]*\.({'|'.join(FORMATS)})", name) is not None


@dataclass(frozen=True)
class Drawing:
    """Figures on their way: drawn by a helper, if there is one, else when they are finished here."""

    result: Result
    specs: Specs
    folder: Path
    settings: Settings
    by: Helper | None

    @classmethod
    def begin(cls, result: Result, folder: Path, style: str | Path | None = None, by: Helper | None = None) -> Drawing:
        """Let the helper start on the figures of a result, into `folder`; `style` is a matplotlib style file."""
        from cevnslab.figures.catalogue import figure_specs
        from cevnslab.figures.style import settings as checked

        settings = checked(style)
        figure_files(result, settings)
        folder.mkdir(parents=True, exist_ok=True)
        # The heaviest first: then the two processes end together.
        specs = sorted(figure_specs(result), key=lambda spec: -len(spec.panels))
        if by is not None:
            by.begin(result, specs, folder, settings)
        return cls(result, specs, folder, settings, by)

    def finish(self) -> list[str]:
        """Wait for the helper, draw what is left and return all file names.

        What the helper did not draw is drawn here, so that any fault is raised here.
        """
        missing = set(range(len(self.specs)))
        with progress_bar("drawing figures", len(self.specs)) as advance:
            for position in () if self.by is None or not missing else self.by.positions():
                missing.discard(position)
                advance(1)
                if not missing:
                    break
            if missing:
                from cevnslab.figures.style import styled

                with styled(self.settings):
                    for position in sorted(missing):
                        draw_one(self.result, self.specs[position], self.folder)
                        advance(1)
        return sorted(figure_files(self.result, self.settings))
