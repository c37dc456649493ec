"""The files of a release: known by their content, wherever they lie and whatever they are called.

`files.yaml` of a data set names each file with its size and SHA-256, or, for a list of events of which copies differ
outside the region of the fit, with the SHA-256 of the events inside.
"""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cevnslab.errors import InputFileError
from cevnslab.textfiles import read_columns

VARIABLE = "CEVNSLAB_DATA"
"""The environment variable that names the folder of the data."""
FORMER_VARIABLE = "NURECOIL_DATA"
"""What it was called before the package had its name: refused, so that nobody waits for data that are not looked at."""
DEEPEST_FOLDER = 6
"""Levels of subfolders that are searched."""
LARGEST_LIST_BYTES = 10_000_000
"""Lists of events under another name are looked for among files up to this size."""
MOST_NAMES = 4
"""So many missing files a message names."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EventList(_Part):
    """Two columns, energy and time: SHA-256 of the sorted pairs from 0 to below two ends, `%.6g %.6g` a line."""

    below: tuple[float, float]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class DataFile(_Part):
    """How the content of one file is recognised: size and SHA-256 of all of it, or its events."""

    bytes: int | None = None
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$")
    events: EventList | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.bytes is None) != (self.sha256 is None) or (self.sha256 is None) == (self.events is None):
            raise ValueError("either bytes and sha256, or events, is required")
        return self


class Release(_Part):
    """What was published: where, under which licence, and the files that the analysis needs, by name."""

    name: str
    source: str
    """What messages call it: its preprint or archive."""
    licence: str
    url: str
    """What a file's name is appended to."""
    files: dict[str, DataFile]

    def url_of(self, file: str) -> str:
        """Where one file is published."""
        return self.url + quote(file)


def release_of(name: str, content: Mapping[str, Any], where: str) -> Release:
    """The release in the content of a `files.yaml`; `InputFileError` names the file, the key and what is wrong."""
    try:
        return Release.model_validate({"name": name, **content})
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise InputFileError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def locate(release: Release, directory: Path | None = None, shipped: Path | None = None) -> Mapping[str, Path]:
    """The path of every file of a release, by its published name, every one of them verified.

    `shipped` is a folder in which they may lie already: that of the data set itself. Else `directory`, or the
    environment variable CEVNSLAB_DATA, names a folder in which, or below which, they lie, under any names and in any
    subfolders; then nothing is downloaded. Without either the files are downloaded once and kept in the user's cache.

    Raises `InputFileError` for a folder or files that are missing, unreadable or not the published ones,
    `MissingExtraError` where a download is needed and pooch is not installed, and `DownloadError` where one fails.
    """
    if shipped is not None and all((shipped / name).is_file() for name in release.files):
        return {name: verified(shipped / name, release, name) for name in release.files}
    if directory is not None:
        return _below(release, directory, "--data")
    folder = os.environ.get(VARIABLE)
    if folder:
        return _below(release, Path(folder), VARIABLE)
    if os.environ.get(FORMER_VARIABLE):
        raise InputFileError(f"the environment variable {FORMER_VARIABLE} is now {VARIABLE}: set that one instead")
    from cevnslab.datasets.download import downloaded

    return downloaded(release)


def _below(release: Release, directory: Path, by: str) -> Mapping[str, Path]:
    """The files of a release in a folder that the user named, or below it."""
    top = Path(os.path.abspath(os.path.expanduser(directory)))
    if not os.path.isdir(top):  # unlike Path.is_dir, also where a folder above may not be searched
        what = "is no folder" if os.path.exists(top) else "cannot be found"
        raise InputFileError(
            f"the data folder {top} {what}: {by} must name a folder that holds the files of {release.source} "
            f"({release.url}), in subfolders or not"
        )
    tree = list(_tree(top))
    by_name: dict[str, list[Path]] = {}
    for path, _ in tree:
        by_name.setdefault(path.name, []).append(path)
    paths: dict[str, Path] = {}
    refusals: dict[str, InputFileError] = {}
    for name, file in release.files.items():
        for path in by_name.get(name, []):
            try:
                paths[name] = verified(path, release, name)
                break
            except InputFileError as fault:
                refusals.setdefault(name, fault)
        else:
            renamed = _under_another_name(file, tree)
            if renamed is not None:
                paths[name] = renamed
    missing = [name for name in release.files if name not in paths]
    for name in missing:
        if name in refusals:
            raise refusals[name]
    if missing:
        raise InputFileError(_missing_text(release, missing, top))
    return paths


def _missing_text(release: Release, missing: list[str], top: Path) -> str:
    """What is missing, where it was looked for, and where to fetch it."""
    if len(missing) == 1:
        return (
            f"the data file {missing[0]} of {release.source} cannot be found in {top} or below, under this name or "
            f"another: fetch it from {release.url_of(missing[0])}"
        )
    shown = ", ".join(missing[:MOST_NAMES]) + (f" and {len(missing) - MOST_NAMES} more" if missing[MOST_NAMES:] else "")
    return (
        f"{len(missing)} of {len(release.files)} data files of {release.source} cannot be found in {top} or below, "
        f"under these names or others: {shown}; fetch them from {release.url}"
    )


def _tree(top: Path) -> Iterator[tuple[Path, int]]:
    """Every file in a folder and below, with its size; links to folders are followed, each folder visited once."""
    visited: set[str] = set()
    for folder, below, names in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        deep = len(Path(folder).relative_to(top).parts) >= DEEPEST_FOLDER
        below[:] = [] if deep or real in visited else sorted(name for name in below if not name.startswith("."))
        if real in visited:
            continue
        visited.add(real)
        for name in sorted(names):
            with suppress(OSError):  # a broken link
                status = os.stat(path := Path(folder, name))
                if stat.S_ISREG(status.st_mode):
                    yield path, status.st_size


def _under_another_name(file: DataFile, tree: list[tuple[Path, int]]) -> Path | None:
    """The first file with this content."""
    for path, size in tree:
        if size == file.bytes or (file.events is not None and size <= LARGEST_LIST_BYTES):
            with suppress(InputFileError):  # anything may lie there
                if difference(path, file) is None:
                    return path
    return None


def verified(path: Path, release: Release, name: str) -> Path:
    """The path itself; `InputFileError` for a file that is unreadable or not the published one."""
    origin = f"{release.url_of(name)} ({release.source})"
    try:
        different = difference(path, release.files[name])
    except InputFileError as unreadable:
        raise InputFileError(f"{unreadable}; the published file is {origin}") from None
    if different:
        raise InputFileError(
            f"{path} is not the published file ({different}): it may be cut short or changed; fetch it again from "
            f"{origin}"
        )
    return path


def difference(path: Path, file: DataFile) -> str | None:
    """How a file's content differs from the published one; `InputFileError` where it cannot be read."""
    status = os.stat(path)
    return _difference(path, file, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _difference(path: Path, file: DataFile, size: int, modified_ns: int) -> str | None:
    """The same, remembered as long as the file keeps its size and time of change."""
    if file.events is not None:
        return _events_difference(path, file.events)
    try:
        checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as fault:
        raise InputFileError(f"cannot read the data file {path}: {fault.strerror or fault}") from None
    assert file.sha256 is not None
    return None if checksum == file.sha256 else f"sha256 {checksum[:12]}..., expected {file.sha256[:12]}..."


def _events_difference(path: Path, events: EventList) -> str | None:
    energy, time = read_columns(path, "event list", 2).T
    inside = (energy >= 0) & (energy < events.below[0]) & (time >= 0) & (time < events.below[1])
    pairs = sorted(zip(energy[inside].tolist(), time[inside].tolist(), strict=True))
    text = "".join(f"{first:.6g} {second:.6g}\n" for first, second in pairs)
    if hashlib.sha256(text.encode()).hexdigest() == events.sha256:
        return None
    return f"its {len(pairs)} events below {events.below[0]:g} and {events.below[1]:g} are not those of the release"
