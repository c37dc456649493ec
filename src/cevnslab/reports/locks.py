"""Locks on folders, which end with the process that holds them, however it ends.

They are advisory and leave no file. Where a system has none (Windows, some network file systems) nothing waits, and
nothing counts as abandoned.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from cevnslab.progress import notice

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only process that writes into a folder; waits for another one, and says so."""
    with _opened(folder) as descriptor:
        if descriptor is not None and _lock(descriptor, shared=False) is False:
            notice(f"waiting for another command that writes to {folder}")
            _lock(descriptor, shared=False, wait=True)
        yield


@contextmanager
def marked(folder: Path) -> Iterator[None]:
    """Mark a folder as in use while the context lasts."""
    with _opened(folder) as descriptor:
        if descriptor is not None:
            _lock(descriptor, shared=True)
        yield


def abandoned(folder: Path) -> bool:
    """Whether a folder that was marked is in use no more; False where that cannot be known."""
    with _opened(folder) as descriptor:
        return descriptor is not None and _lock(descriptor, shared=False) is True


@contextmanager
def _opened(folder: Path) -> Iterator[int | None]:
    descriptor = None
    if fcntl is not None:
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            descriptor = None
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _lock(descriptor: int, *, shared: bool, wait: bool = False) -> bool | None:
    """Whether the lock was had; None where the file system has no locks."""
    assert fcntl is not None
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, kind)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
