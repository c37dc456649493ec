"""The mistakes that a user can make, one class each, under one base.

The command line turns every `CevnslabError` into one message on standard error and exit status 2;
anything else that escapes is a bug of the package and ends with status 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CevnslabError(Exception):
    """Base of every error that cevnslab raises on purpose."""

    exit_status = 2
    """What the command line ends with."""


class StudyError(CevnslabError):
    """A study, detector or source file says something that cannot be done."""


class UnknownNameError(CevnslabError):
    """A preset, coupling, element or form factor that does not exist."""


class InputFileError(CevnslabError):
    """A file that the user named is missing, unreadable or malformed."""


class OutputError(CevnslabError):
    """A place where results should be written, or read back, cannot be used."""


class StorageError(OutputError):
    """A disk that is full or fails: the input may be right, the world is not."""

    exit_status = 1


class FigureError(CevnslabError):
    """A figure that cannot be drawn: its numbers are written, and `cevnslab figures` draws them later."""

    exit_status = 1


class PhysicsError(CevnslabError):
    """Values outside the domain in which a formula holds."""


class UnreachedBinsError(PhysicsError):
    """Bins that no recoil of a channel can reach: another channel may."""


class StatisticsError(CevnslabError):
    """A likelihood that cannot be formed from the counts it was given."""


class PluginError(CevnslabError):
    """A user's coupling that cannot be used as it is declared."""


class ResultError(CevnslabError):
    """A result that its tables cannot hold, such as a component of the counts that nobody declared."""


class MissingExtraError(CevnslabError):
    """An optional dependency that is not installed; the message names the extra."""


class DownloadError(CevnslabError):
    """Published data that cannot be fetched: the input may be right, the world is not."""

    exit_status = 1


class WorkerError(CevnslabError):
    """A worker process that died, again and again: the input may be right, the world is not."""

    exit_status = 1


class ClusterError(CevnslabError):
    """A cluster that cannot be reached, or went: the input may be right, the world is not."""

    exit_status = 1


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put a place (a file, a key's path) before the message of any `CevnslabError` raised inside.

    >>> with located("detectors.my-ge.target"):
    ...     raise UnknownNameError("no such element")
    Traceback (most recent call last):
    cevnslab.errors.UnknownNameError: detectors.my-ge.target: no such element
    """
    try:
        yield
    except CevnslabError as fault:
        raise type(fault)(f"{where}: {fault}") from None
