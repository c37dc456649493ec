"""Public data of the COHERENT experiment: finding the files, verifying them, downloading them.

The releases and the checksums of their files stand in `data/coherent-files.yaml`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.resources
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from cevnslab.errors import DownloadError, InputFileError, MissingExtraError, UnknownNameError
from cevnslab.experiments.tables import read_events
from cevnslab.progress import progress_bar

VARIABLE = "CEVNSLAB_DATA"
"""The environment variable that names the folder of the data."""
FORMER_VARIABLE = "NURECOIL_DATA"
"""What it was called before the package had its name: refused, so that nobody waits for data that are not looked at."""
DEEPEST_FOLDER = 4
"""Levels of subfolders in which a release is searched."""
_ELSEWHERE = f"give the folder of a copy with --data DIR or {VARIABLE}"
_TIMEOUT_S = 30


@dataclass(frozen=True)
class EventLists:
    """The window in which a release's events lie, and the region of the fit, in which they are counted (PE, us)."""

    highest_pe: float
    latest_us: float
    fit_below_pe: float
    fit_below_us: float


@dataclass(frozen=True)
class DataFile:
    """A file of a release, recognised by its checksum or by its number of events in the region of the fit."""

    name: str
    sha256: str | None = None
    events: int | None = None


@dataclass(frozen=True)
class Dataset:
    """A release: its name (and folder's name), what to cite, from where to download, the files that are needed."""

    name: str
    source: str
    url: str
    files: tuple[DataFile, ...]
    event_lists: EventLists | None = None

    def url_of(self, file: DataFile) -> str:
        """Where one file is published."""
        return self.url + quote(file.name)


@functools.cache
def _published() -> Mapping[str, Dataset]:
    import yaml

    text = importlib.resources.files("cevnslab").joinpath("data/coherent-files.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, Any]] = yaml.safe_load(text)["datasets"]
    return {
        name: Dataset(
            name,
            keys["source"],
            keys["url"],
            tuple(DataFile(file, **marks) for file, marks in keys["files"].items()),
            EventLists(**keys["event_lists"]) if "event_lists" in keys else None,
        )
        for name, keys in content.items()
    }


class _Published(Mapping[str, Dataset]):
    """The packaged list, read when it is first looked at."""

    def __getitem__(self, name: str) -> Dataset:
        return _published()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_published())

    def __len__(self) -> int:
        return len(_published())


DATASETS: Mapping[str, Dataset] = _Published()
"""The releases that the package knows, by name."""


def data_folder(dataset: str, directory: Path | None = None, *, datasets: Mapping[str, Dataset] = DATASETS) -> Path:
    """The folder with a release's files, every one of them verified.

    `directory`, or else the environment variable CEVNSLAB_DATA, names a folder in which, or below which, the release's
    files lie together; then nothing is downloaded. Without either the files are downloaded once and kept in the
    user's cache.

    Raises `InputFileError` for a folder or file that is missing, unreadable or not the published one,
    `MissingExtraError` where a download is needed and pooch is not installed, `DownloadError` where one fails, and
    `UnknownNameError` for a release that `datasets` does not have.

    >>> sorted(DATASETS)
    ['csi-2021', 'lar-2020']
    """
    if dataset not in datasets:
        raise UnknownNameError(f"no data set '{dataset}'; known: {', '.join(sorted(datasets))}")
    release = datasets[dataset]
    if directory is not None:
        return _given(release, directory, "--data")
    named = os.environ.get(VARIABLE)
    if named:
        return _given(release, Path(named), VARIABLE)
    if os.environ.get(FORMER_VARIABLE):
        raise InputFileError(f"the environment variable {FORMER_VARIABLE} is now {VARIABLE}: set that one instead")
    return _downloaded(release)


def _given(release: Dataset, directory: Path, by: str) -> Path:
    """The release's folder in a directory that the user named."""
    top = Path(os.path.abspath(os.path.expanduser(directory)))
    folder = _folder_of(release, top)
    if not os.path.isdir(folder):  # unlike Path.is_dir, also where a folder above may not be searched
        what = "is no folder" if os.path.exists(folder) else "cannot be found"
        raise InputFileError(
            f"the data folder {folder} {what}: {by} must name a folder that holds {release.name}/ "
            f"with the files of {release.source} ({release.url})"
        )
    for file in release.files:
        _verify(folder / file.name, release, file)
    return folder


def _folder_of(release: Dataset, top: Path) -> Path:
    """The folder of a release in `top` or below: the first that holds all of its files, else the one of its name."""
    wanted = {file.name for file in release.files}
    for folder, below, files in os.walk(top):
        if wanted <= set(files):
            return Path(folder)
        depth = len(Path(folder).relative_to(top).parts)
        below[:] = sorted(below) if depth < DEEPEST_FOLDER else []
    return top / release.name


def _verify(path: Path, release: Dataset, file: DataFile) -> None:
    """Raise `InputFileError` for a file that is missing, unreadable or not the published one."""
    origin = f"{release.url_of(file)} ({release.source})"
    if not os.path.exists(path):
        raise InputFileError(f"the data file {path} cannot be found: fetch it from {origin}")
    if file.sha256 is not None:
        fault = _checksum_fault(path, file.sha256)
    else:
        try:
            fault = _events_fault(path, release.event_lists, file.events)
        except InputFileError as unreadable:
            raise InputFileError(f"{unreadable}; the published file is {origin}") from None
    if fault:
        raise InputFileError(
            f"{path} is not the published file ({fault}): it may be cut short or changed; fetch it again from {origin}"
        )


def _checksum_fault(path: Path, expected: str) -> str | None:
    """What is wrong with a file's checksum."""
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as fault:
        raise InputFileError(f"cannot read the data file {path}: {fault.strerror or fault}") from None
    return None if found == expected else f"sha256 {found[:12]}..., expected {expected[:12]}..."


def _events_fault(path: Path, limits: EventLists | None, expected: int | None) -> str | None:
    """What is wrong with the number of events in the region of the fit; `InputFileError` for a malformed list."""
    assert limits is not None, f"{path.name} has no checksum and its release no region in which to count events"
    assert expected is not None, f"{path.name} has neither checksum nor number of events"
    energy, time = read_events(path, highest_pe=limits.highest_pe, latest_us=limits.latest_us).T
    found = int(np.sum((energy < limits.fit_below_pe) & (time < limits.fit_below_us)))
    if found == expected:
        return None
    region = f"PE < {limits.fit_below_pe:g} and t < {limits.fit_below_us:g} us"
    return f"it holds {found} events with {region}, the release {expected}"


def _downloaded(release: Dataset) -> Path:
    """The release's folder in the user's cache; files that are missing there, or damaged, are downloaded."""
    try:
        import pooch
    except ImportError:
        raise MissingExtraError(
            f"no data of {release.name}: {_ELSEWHERE}, or pip install 'cevnslab[data]' to download them"
        ) from None
    folder = Path(pooch.os_cache("cevnslab")) / release.name
    wanted = [file for file in release.files if not _is_whole(folder / file.name, release, file)]
    if not wanted:
        return folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file gets its place in the folder only when it is verified: what is cut short goes with the incoming folder.
        with (
            tempfile.TemporaryDirectory(prefix=".incoming-", dir=folder) as incoming,
            progress_bar(f"downloading {release.name}", len(wanted), always=True) as advance,
            _quiet(pooch.get_logger()),
        ):
            for file in wanted:
                arrived = _fetch(pooch, release, file, Path(incoming))
                os.replace(arrived, folder / file.name)
                advance(1)
    except OSError as fault:
        raise DownloadError(
            f"cannot keep downloaded data in {folder}: {fault.strerror or fault}; {_ELSEWHERE}"
        ) from None
    return folder


def _is_whole(path: Path, release: Dataset, file: DataFile) -> bool:
    try:
        _verify(path, release, file)
    except InputFileError:
        return False
    return True


def _fetch(pooch: Any, release: Dataset, file: DataFile, incoming: Path) -> Path:
    """Download one file into a folder and verify it, or raise `DownloadError`."""
    url = release.url_of(file)
    try:
        pooch.retrieve(
            url,
            known_hash=file.sha256,
            fname=file.name,
            path=incoming,
            downloader=pooch.HTTPDownloader(timeout=_TIMEOUT_S),
        )
        if file.sha256 is None:  # pooch has verified the others
            _verify(incoming / file.name, release, file)
    except OSError as fault:  # also the base of every error of the library that pooch downloads with
        raise DownloadError(f"cannot download {url}: {_reason(fault)}; try again later or {_ELSEWHERE}") from None
    except (ValueError, InputFileError):
        raise DownloadError(
            f"what {url} gave is not the published {file.name}, nothing was kept: it may be cut short or changed; "
            f"try again later or {_ELSEWHERE}"
        ) from None
    return incoming / file.name


def _reason(fault: OSError) -> str:
    """A few words; the message of a failed connection is a nest of four exceptions."""
    response = getattr(fault, "response", None)
    if response is not None:
        return f"the server answered {response.status_code} {response.reason}"
    return fault.strerror or f"no connection ({type(fault).__name__})"


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Without the lines that a library writes for every download."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
