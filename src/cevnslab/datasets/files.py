"""Finding the files of a release by their content, wherever they lie and whatever they are called."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from cevnslab.datasets.download import downloaded
from cevnslab.datasets.release import VARIABLE, DataFile, Release, difference, verified
from cevnslab.errors import InputFileError

FORMER_VARIABLE = "NURECOIL_DATA"
"""What the variable was called before the package had its name: refused, so that nobody waits for such data."""
DEEPEST_FOLDER = 6
"""Levels of subfolders that are searched."""
LARGEST_LIST_BYTES = 10_000_000
"""Lists of events under another name are looked for among files up to this size."""
MOST_NAMES = 4
"""So many missing files a message names."""


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
    listing = ", ".join(missing[:MOST_NAMES]) + (
        f" and {len(missing) - MOST_NAMES} more" if missing[MOST_NAMES:] else ""
    )
    return (
        f"{len(missing)} of {len(release.files)} data files of {release.source} cannot be found in {top} or below, "
        f"under these names or others: {listing}; fetch them from {release.url}"
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
