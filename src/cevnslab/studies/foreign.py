"""Code of users is run here: whatever it raises, exits or loops is an error in that code, named by file and line.

What it prints goes to standard error, for standard output may be a file, and the working folder stays what it was.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType

from cevnslab.errors import PluginError
from cevnslab.words import excerpt

LONGEST_SECONDS = 60.0
"""For which a plugin may run, or one of its kernels be tried."""


class _TooLong(BaseException):
    """Raised inside code that does not end; no `except Exception` of a user catches it."""


@contextmanager
def users_code(where: str, verb: str, file: Path | None = None) -> Iterator[None]:
    """Raise `PluginError` for whatever is raised inside: what is `said` to have failed, how, and the line of `file`.

    Code that runs for too long is interrupted where the system can (not in threads, not on Windows).
    """
    try:
        with _limited(LONGEST_SECONDS), _kept_folder(), redirect_stdout(sys.stderr):
            yield
    except _TooLong as fault:
        raise PluginError(f"{where} {verb}: it ran for {LONGEST_SECONDS:g} s{_line(fault, file)}") from None
    except SystemExit as fault:
        raise PluginError(f"{where} {verb}: it exits{_line(fault, file)}") from None
    except RecursionError as fault:
        raise PluginError(f"{where} {verb}: it calls itself without end{_line(fault, file)}") from None
    except BaseException as fault:  # whatever a user's code raises is an error in that code
        if not isinstance(fault, Exception | GeneratorExit) and not _raised_in(fault, file):
            raise
        raise PluginError(f"{where} {verb} ({type(fault).__name__}{_text(fault)}{_line(fault, file)})") from None


def _raised_in(fault: BaseException, file: Path | None) -> bool:
    """Whether a file raises this itself; Ctrl-C and other signals are raised by their handlers, wherever it is.

    Python's own handler leaves no frame of its own; where it is not in use, as in the command, no Ctrl-C ends in the
    file.
    """
    if isinstance(fault, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        return False
    frames = traceback.extract_tb(fault.__traceback__)
    return bool(frames) and frames[-1].filename == str(file)


def _text(fault: BaseException) -> str:
    """What a fault says of itself, if it says anything and can."""
    text = "its message fails"
    with suppress(Exception):
        text = str(fault)
    return f": {excerpt(text, longest=200)[1:-1]}" if text else ""


def _line(fault: BaseException, file: Path | None) -> str:
    """The line of a file at which a fault arose; of any file where none is named."""
    if isinstance(fault, SyntaxError):
        return f", line {fault.lineno}" if fault.lineno else ""
    frames = traceback.extract_tb(fault.__traceback__)
    theirs = [frame for frame in frames if file is not None and frame.filename == str(file)]
    if theirs:
        return f", line {theirs[-1].lineno}"
    if file is None and len(frames) > 1:
        return f", {Path(frames[-1].filename).name}, line {frames[-1].lineno}"
    return ""


@contextmanager
def _kept_folder() -> Iterator[None]:
    """The working folder is what the paths that a user gave are relative to."""
    folder = None
    with suppress(OSError):
        folder = os.getcwd()
    try:
        yield
    finally:
        with suppress(OSError):
            if folder is not None:
                os.chdir(folder)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _TooLong

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
