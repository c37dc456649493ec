"""The files of a release: where they are published, and how the content of each is known.

`files.yaml` of a data set names each file with its size and SHA-256, or, for a list of events of which copies differ
outside the region of the fit, with the SHA-256 of the events inside.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cevnslab.errors import InputFileError
from cevnslab.textfiles import read_columns

VARIABLE = "CEVNSLAB_DATA"
"""The environment variable that names the folder of the data."""


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
