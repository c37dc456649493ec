"""Downloads of a release's files into the user's cache: each is verified before it gets its place there."""

from __future__ import annotations

import errno
import logging
import os
import queue
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cevnslab.datasets.release import VARIABLE, Release, verified
from cevnslab.errors import DownloadError, InputFileError, MissingExtraError
from cevnslab.progress import progress_bar

_ELSEWHERE = f"give the folder of a copy with --data DIR or {VARIABLE}"
_TIMEOUT_S = 30
"""Without a single byte."""
_FILE_TIMEOUT_S = 300
"""For a whole file, the largest of which has a few megabytes: a server that sends byte by byte would take days."""


def downloaded(release: Release) -> Mapping[str, Path]:
    """The release's files in the user's cache; those that are missing there, or damaged, are downloaded.

    Raises `MissingExtraError` where pooch is needed and not installed, `DownloadError` where a download fails or the
    cache cannot be written.
    """
    try:
        import pooch
    except ImportError:
        raise MissingExtraError(
            f"no data of {release.name}: {_ELSEWHERE}, or pip install 'cevnslab[data]' to download them"
        ) from None
    folder = Path(pooch.os_cache("cevnslab")) / release.name
    missing = [name for name in release.files if not _is_whole(folder / name, release, name)]
    if missing:
        _download(pooch, release, missing, folder)
    return {name: folder / name for name in release.files}


def _is_whole(path: Path, release: Release, name: str) -> bool:
    try:
        return os.path.isfile(path) and verified(path, release, name) == path
    except InputFileError:
        return False


def _download(pooch: Any, release: Release, names: list[str], folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file gets its place in the folder only when it is verified: what is cut short goes with the incoming folder.
        with (
            tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming,
            progress_bar(f"downloading {release.name}", len(names), always=True) as advance,
            _quiet(pooch.get_logger()),
        ):
            for name in names:
                os.replace(_fetch(pooch, release, name, Path(incoming)), folder / name)
                advance(1)
    except OSError as fault:
        raise DownloadError(
            f"cannot keep downloaded data in {folder}: {fault.strerror or fault}; {_ELSEWHERE}"
        ) from None


def _fetch(pooch: Any, release: Release, name: str, incoming: Path) -> Path:
    """Download one file into a folder and verify it, or raise `DownloadError`."""
    url = release.url_of(name)
    try:
        _in_time(
            lambda: pooch.retrieve(
                url,
                known_hash=release.files[name].sha256,
                fname=name,
                path=incoming,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S),
            )
        )
        return verified(incoming / name, release, name)
    except OSError as fault:  # also the base of every error of the library that pooch downloads with
        raise DownloadError(f"cannot download {url}: {_reason(fault)}; try again later or {_ELSEWHERE}") from None
    except (ValueError, InputFileError):
        raise DownloadError(
            f"what {url} gave is not the published {name}, nothing was kept: it may be cut short or changed; "
            f"try again later or {_ELSEWHERE}"
        ) from None


def _in_time(download: Callable[[], object]) -> None:
    """Run a download on a thread of its own, or raise `TimeoutError`: a thread that waits for bytes cannot be ended."""
    faults: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            download()
        except BaseException as fault:
            faults.put(fault)
        else:
            faults.put(None)

    threading.Thread(target=run, daemon=True).start()
    try:
        fault = faults.get(timeout=_FILE_TIMEOUT_S)
    except queue.Empty:
        raise TimeoutError(errno.ETIMEDOUT, f"it took more than {_FILE_TIMEOUT_S} s") from None
    if fault is not None:
        raise fault


def _reason(fault: OSError) -> str:
    """A few words; the message of a failed connection is a nest of four exceptions."""
    response = getattr(fault, "response", None)
    if response is not None:
        response.close()  # pooch leaves the connection of a refused request open
        return f"the server answered {response.status_code} {response.reason}"
    return fault.strerror or f"no connection, or one that broke off ({type(fault).__name__})"


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Without the lines that a library writes for every download."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
