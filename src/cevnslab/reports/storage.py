"""Folders of results: checked before anything is computed, files written whole or not at all, never of two runs.

Everything is first made in a hidden folder beside its place, then renamed into it file by file, by one process at a
time. Hidden folders are marked by a lock while their process lives, so that what a killed one left is told apart.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cevnslab.errors import CevnslabError, OutputError, StorageError
from cevnslab.progress import notice
from cevnslab.reports.locks import abandoned, locked, marked

WRITING = ".writing-"
"""Before the name of a hidden folder of files on their way."""
BLOCKS = ".blocks"
"""Hidden folder of the finished blocks of commands that have not ended."""

WORLD = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ENFILE, errno.EMFILE, errno.ESTALE}
"""Errors of the system that say nothing of the place that was asked for."""


def output_error(what: str, fault: OSError) -> OutputError:
    """An error of the system as one of ours: `StorageError` where a disk is full or fails, else the place is wrong."""
    if fault.errno in WORLD:
        return StorageError(f"{what}: {fault.strerror}")
    return OutputError(f"{what}: {fault.strerror or fault}; choose another with -o")


@contextmanager
def system_errors(what: str) -> Iterator[None]:
    """Raise errors of the system as ours, after the words `what`."""
    try:
        yield
    except OSError as fault:
        raise output_error(what, fault) from None


def prepare(directory: Path, name: str) -> Path:
    """Make the folder of a study; `OutputError` where it cannot be written. Called before anything is computed."""
    folder = directory / name
    if "-" in (str(directory), str(folder)):
        raise OutputError("-o -: several files are written, which takes a folder")
    with system_errors(f"cannot write results to {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder


def check_places(folder: Path, names: Iterable[str]) -> None:
    """Raise `OutputError` where a file, by its name below a folder, would replace what is no regular file.

    A link, pipe, device or folder was put there by someone else.
    """
    for name in names:
        place = folder / name
        for parent in [place, *place.parents][1 : len(Path(name).parts)]:
            _require(parent, stat.S_ISDIR, "folder")
        _require(place, stat.S_ISREG, "regular file")


def _require(place: Path, right: Callable[[int], bool], what: str) -> None:
    try:
        mode = place.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as fault:
        raise output_error(f"cannot write {place}", fault) from None
    if not right(mode):
        raise OutputError(
            f"cannot write {place}: there is something that is no {what}; remove it, or choose another -o"
        )


@contextmanager
def result_folder(
    directory: Path, name: str, task: str, files: Iterable[str], *, command: str, alone: bool
) -> Iterator[Path | None]:
    """The place for the finished blocks of a task while a study's folder is made; None where none can be had.

    `command` and `task` (its study and options) tell tasks apart; `files` are the names that will be written below
    the folder. Blocks go when all is well, and with an error of the input, which would come again; a run that is
    killed or meets a fault of the world leaves them to the next. A command that is `alone` in its folder takes those of
    other tasks of its kind along. A folder that nothing was written to goes too.
    """
    missing = _missing(directory / name)
    folder = prepare(directory, name)
    blocks = folder / BLOCKS
    store = blocks / f"{command}-{hashlib.sha256(task.encode()).hexdigest()[:16]}"
    try:
        check_places(folder, files)
        others = _unfinished(blocks, command) - {store} if alone else set()
        if others:
            notice(f"{blocks} holds blocks of a run of other keys that did not end; they go when this one ends well")
        with _store(store) as usable:
            try:
                yield store if usable else None
            except CevnslabError as fault:
                if fault.exit_status == 2:
                    shutil.rmtree(store, ignore_errors=True)
                raise
            shutil.rmtree(store, ignore_errors=True)
        for other in others:
            if abandoned(other):
                shutil.rmtree(other, ignore_errors=True)
    finally:
        for place in (store, blocks, *missing):
            with suppress(OSError):  # not there, or in use
                place.rmdir()


def _unfinished(blocks: Path, command: str) -> set[Path]:
    """The folders of blocks of a kind of command whose processes live no more."""
    if blocks.is_symlink():
        return set()
    return {store for store in blocks.glob(f"{command}-*") if not store.is_symlink() and abandoned(store)}


def _missing(folder: Path) -> list[Path]:
    """The folders that have to be made for one, itself first."""
    with suppress(OSError):
        return [place for place in (folder, *folder.parents) if not place.exists()]
    return []


@contextmanager
def _store(store: Path) -> Iterator[bool]:
    """Whether blocks can be kept in a folder, which is marked meanwhile; a foreign `.blocks` stops no run."""
    try:
        if store.parent.is_symlink() or store.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        store.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=store):
            pass
    except OSError as fault:
        if fault.errno in WORLD:
            raise output_error(f"cannot keep blocks in {store}", fault) from None
        notice(f"finished blocks are not kept, since {store.parent} cannot be used ({fault.strerror or fault})")
        yield False
        return
    with marked(store):
        yield True


@dataclass(frozen=True)
class Writing:
    """Files on their way into a folder, in parts that are renamed into it one after the other."""

    folder: Path
    staging: Path

    def part(self, name: str) -> Path:
        """The hidden folder in which the files of one part are made."""
        part = self.staging / name
        part.mkdir(exist_ok=True)
        return part

    def commit(self, part: str, *, last: str | None = None, stale: Iterable[str] = ()) -> list[str]:
        """Rename the files of a part into the folder and return their names there.

        Files of the names `stale` are removed first, so that no file of another run stands beside a new one. The file
        `last` is the first to be removed and the last to come: while it is missing, the folder is not whole.
        """
        source = self.staging / part
        names = [path.relative_to(source).as_posix() for path in sorted(source.rglob("*")) if path.is_file()]
        check_places(self.folder, names)
        for name in sorted({*stale, *([last] if last else [])}, key=lambda name: (name != last, name)):
            place = self.folder / name
            if _is_ours(self.folder, name):
                place.unlink()
        for name in sorted(names, key=lambda name: (name == last, name)):
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source / name, place)
        return names


def _is_ours(folder: Path, name: str) -> bool:
    """Whether a name that an earlier result gives is that of a regular file below the folder."""
    parts = Path(name).parts
    if not parts or ".." in parts or Path(name).is_absolute():
        return False
    with suppress(OSError):
        check_places(folder, [name])
        return (folder / name).is_file()
    return False


@contextmanager
def writing(folder: Path) -> Iterator[Writing]:
    """Files on their way into a folder; what was not renamed by the end is dropped, and a folder that stays empty.

    Raises `OutputError` or `StorageError` for faults of the file system.
    """
    with system_errors(f"cannot write results to {folder}"), ExitStack() as marks:
        marks.callback(_remove_if_empty, folder)
        with locked(folder):
            for left in folder.glob(f"{WRITING}*"):
                if not left.is_symlink() and abandoned(left):
                    shutil.rmtree(left, ignore_errors=True)
            staging = Path(tempfile.mkdtemp(prefix=WRITING, dir=folder))
            marks.callback(shutil.rmtree, staging, ignore_errors=True)
            marks.enter_context(marked(staging))
        yield Writing(folder, staging)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A hidden folder whose files are renamed into `folder` at the end, or dropped if anything fails."""
    with writing(folder) as work:
        yield work.part("files")
        with locked(folder):
            work.commit("files")


def write_text(path: Path, text: str, ours: Callable[[str], bool], what: str) -> None:
    """Write a file that the user named: whole or not at all, over a regular file of the same kind alone.

    `ours` says of the text that stands there whether it is such a file, `what` is its name in messages. A pipe or a
    device is written to as it is. Raises `OutputError` or `StorageError`.
    """
    with system_errors(f"cannot write {path}"):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = 0
        if stat.S_ISDIR(mode):
            raise OutputError(f"cannot write {path}: it is a folder, a file is needed")
        if mode and not stat.S_ISREG(mode):
            with path.open("w", encoding="utf-8") as stream:
                stream.write(text)
            return
        target = path.resolve()
        if mode and not ours(target.read_text(encoding="utf-8", errors="replace")):
            raise OutputError(f"{path} exists and is no {what} of cevnslab: it is not replaced; choose another with -o")
        folder = prepare(target.parent.parent, target.parent.name) if target.parent.name else target.parent
    with staged(folder) as staging:
        (staging / target.name).write_text(text, encoding="utf-8")
