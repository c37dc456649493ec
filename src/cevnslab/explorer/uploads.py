"""Study files that arrive over the network: read with the package's own parser, refused before anything is built.

Whoever can reach the page can send one, another web page in the same browser included. So an upload names no file, runs
no code and reads no data set, and the work that it asks for is bounded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cevnslab.datasets import registry
from cevnslab.errors import StudyError
from cevnslab.studies.load import study_from_dict
from cevnslab.studies.study import Study
from cevnslab.studies.yaml_io import parse_yaml

LARGEST_FILE = 100_000
"""Bytes."""
CODE = ("plugins",)
DATA = ("dataset", "experiment")
FILES = ("file", "background_file")
MOST = {
    "detectors": 8,
    "couplings": 12,
    "combinations": 8,
    "backgrounds": 8,
    "systematics": 20,
    "cores": 20,
    "profile": 1,
    "scans": 4,
    "values": 100,
    "design": 8,
    "maps": 4,
    "profiles": 12,
    "contours": 12,
    "cross_sections": 12,
    "confidence_level": 5,
}
"""Entries of lists."""
LARGEST = {"toys": 10_000, "points": 2000}
"""Of numbers that say how much work there is."""
MOST_BINS = 3000
"""Of all detectors together; energy times arrival time."""


def uploaded_study(content: bytes) -> Study:
    """The study of a file that was sent; `StudyError` for what an upload must not ask for."""
    if len(content) > LARGEST_FILE:
        raise StudyError(f"upload: a study file has at most {LARGEST_FILE} bytes, got {len(content)}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise StudyError("upload: a study file is UTF-8 text") from None
    keys = parse_yaml(text, "upload")
    check_upload(keys)
    return study_from_dict(keys, where="upload")


def check_upload(keys: Mapping[str, Any]) -> None:
    """Raise `StudyError` for keys that run code, name files or read data, and for too much work."""
    for path, key, value in _entries(keys, ""):
        if value is None or value == []:
            continue
        if key in CODE:
            raise StudyError(f"upload: {path}: runs code; start `cevnslab explore FILE` with the study instead")
        if key in FILES:
            raise StudyError(f"upload: {path}: names a file; start `cevnslab explore FILE` with the study instead")
        if key in DATA or (key == "preset" and isinstance(value, str) and value in registry.known()):
            raise StudyError(f"upload: {path}: reads a data set; start `cevnslab explore FILE` with the study instead")
        if key in MOST and isinstance(value, list) and len(value) > MOST[key]:
            raise StudyError(f"upload: {path}: at most {MOST[key]} entries, got {len(value)}")
        if key in LARGEST and isinstance(value, int | float) and value > LARGEST[key]:
            raise StudyError(f"upload: {path}: at most {LARGEST[key]}, got {value}")
    bins = sum(_bins(detector) for detector in keys.get("detectors") or [] if isinstance(detector, Mapping))
    if bins > MOST_BINS:
        raise StudyError(f"upload: detectors: at most {MOST_BINS} bins in all, got {bins}")


def _entries(content: Any, path: str) -> Iterator[tuple[str, str, Any]]:
    """Every key of a nested mapping with its path and value."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield f"{path}{key}", str(key), value
            yield from _entries(value, f"{path}{key}.")
    elif isinstance(content, list):
        for number, value in enumerate(content, start=1):
            yield from _entries(value, f"{path}{number}.")


def _bins(detector: Mapping[str, Any]) -> int:
    """As many as a detector's own keys ask for; presets have few."""
    edges = [detector.get(key) for key in ("bin_edges_kev", "bin_edges_kevee")]
    counts = [len(each) - 1 for each in edges if isinstance(each, list)]
    bins = detector.get("bins")
    times = detector.get("time_bin_edges_us")
    slices = len(times) - 1 if isinstance(times, list) else 1
    return max([*counts, bins if isinstance(bins, int) else 1]) * slices
