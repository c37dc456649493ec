"""Standard output and error as they come: closed, full, in an encoding without Greek."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

from cevnslab.errors import CevnslabError


class StandardOutputError(CevnslabError):
    """Standard output that is closed or full: the input may be right, the world is not."""

    exit_status = 1


def prepare_streams() -> None:
    """Make standard streams that cannot spoil a file or fail at a letter."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # The next file to be opened would take the number of the closed stream, and what is printed.
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            utf = stream.encoding.lower().startswith("utf")
            # In UTF-8 only the bytes of a file name that is no text need it.
            stream.reconfigure(errors="backslashreplace" if utf else "replace")


def say(text: object = "", *, end: str = "\n") -> None:
    """Write to standard output at once; `StandardOutputError` where that fails."""
    if sys.stdout is None:
        raise StandardOutputError("standard output is closed")
    try:
        sys.stdout.write(f"{text}{end}")
        sys.stdout.flush()
    except (OSError, ValueError) as fault:
        abandon(sys.stdout)
        reason = "nobody reads it any more" if isinstance(fault, BrokenPipeError) else _reason(fault)
        raise StandardOutputError(f"cannot write to standard output: {reason}") from None


def _reason(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault)


def complain(text: str) -> None:
    """Write a message to standard error; where that fails there is nobody to tell."""
    try:
        sys.stderr.write(f"cevnslab: {text}\n")
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        abandon(sys.stderr)


def abandon(stream: TextIO | None) -> None:
    """Let what cannot be written go nowhere: Python would fail at it once more at its end, with a status of its own."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]
        os.close(nowhere)


def flush_streams() -> bool:
    """Whether all that was written arrived."""
    arrived = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            arrived = False
            abandon(stream)
    return arrived
