"""Folders of results: checked before anything is computed, files written whole or not at all.

Everything is first made in a hidden folder beside its place, then renamed into it file by file.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cevnslab.errors import OutputError


def prepare(directory: Path, name: str) -> Path:
    """Make the folder of a study; `OutputError` where it cannot be written. Called before anything is computed."""
    folder = directory / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as fault:
        raise OutputError(
            f"cannot write results to {folder}: {fault.strerror or fault}; choose another with -o"
        ) from None
    return folder


@contextmanager
def result_folder(directory: Path, name: str, blocks: str, task: str) -> Iterator[tuple[Path, Path]]:
    """The folder of a study while it is made, and a place in it for the finished blocks of one task.

    The blocks of this task go when all is well, and stay otherwise; a folder that nothing was written to goes too.
    """
    missing = [place for place in (directory / name, *(directory / name).parents) if not place.exists()]
    folder = prepare(directory, name)
    store = folder / blocks / hashlib.sha256(task.encode()).hexdigest()[:16]
    try:
        yield folder, store
        shutil.rmtree(store, ignore_errors=True)
    finally:
        for place in (folder / blocks, *missing):
            with suppress(OSError):  # not there, or in use
                place.rmdir()


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder whose files are renamed into `folder` at the end, or dropped if anything fails."""
    staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        yield staging
        for path in sorted(staging.rglob("*")):
            if path.is_file():
                place = folder / path.relative_to(staging)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, place)
    except OSError as fault:
        raise OutputError(f"cannot write results to {folder}: {fault.strerror or fault}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
