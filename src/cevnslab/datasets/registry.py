"""The data sets that can be analysed, by name: the folders here, and those of installed packages.

A folder is an importable package with `dataset.yaml` (`cevnslab.datasets.description`), `files.yaml`
(`cevnslab.datasets.release`), `detector.yaml` (the preset of its keys) and a module `model` with

    analyse(setup, couplings, files) -> Measurement

where `files` gives the path of every file by its published name. A package outside declares its folder as an entry
point of the group `cevnslab.datasets`: name of the data set = name of the package.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from cevnslab.datasets.description import Description, described
from cevnslab.datasets.files import locate
from cevnslab.datasets.measurement import Measurement, Setup
from cevnslab.datasets.release import Release, release_of
from cevnslab.errors import InputFileError, UnknownNameError
from cevnslab.packaged import parsed
from cevnslab.physics.couplings import Coupling
from cevnslab.words import excerpt, nearest

GROUP = "cevnslab.datasets"
"""Of the entry points with which an installed package declares a data set."""

Analysis = Callable[[Setup, Sequence[Coupling], Mapping[str, Path]], Measurement]


@dataclass(frozen=True)
class DatasetFolder:
    """One data set: its name, and the package in whose folder everything about it stands."""

    name: str
    package: str

    @property
    def _folder(self) -> Traversable:
        return importlib.resources.files(self.package)

    def text(self, file: str) -> str:
        """The text of one of the folder's files; `InputFileError` where it has none of this name."""
        try:
            return self._folder.joinpath(file).read_text(encoding="utf-8")
        except OSError as fault:
            raise InputFileError(f"data set {self.name}: cannot read its {file}: {fault.strerror or fault}") from None

    def _content(self, file: str) -> Mapping[str, Any]:
        content = parsed(self.text(file))
        if not isinstance(content, dict):
            raise InputFileError(f"data set {self.name}: {file} must hold keys")
        return content

    @cached_property
    def description(self) -> Description:
        """Words, axes, citations, published numbers."""
        return described(self._content("dataset.yaml"), f"data set {self.name}, dataset.yaml")

    @cached_property
    def release(self) -> Release:
        """The published files."""
        return release_of(self.name, self._content("files.yaml"), f"data set {self.name}, files.yaml")

    def measurement(self, setup: Setup, couplings: Sequence[Coupling]) -> Measurement:
        """The data with their expectation; files are located and verified here.

        Raises as `cevnslab.datasets.files.locate`, and `InputFileError` where the expectation has a background or an
        axis that the description does not know.
        """
        analyse: Analysis = importlib.import_module(f"{self.package}.model").analyse
        measurement = analyse(setup, couplings, locate(self.release, setup.directory, Path(str(self._folder))))
        self._check_names("axis", [axis.name for axis in measurement.response.axes], self.description.axes)
        self._check_names("background", measurement.response.backgrounds, self.description.backgrounds)
        return measurement

    def _check_names(self, what: str, names: Sequence[str] | Mapping[str, Any], declared: Mapping[str, Any]) -> None:
        for name in names:
            if name not in declared:
                raise InputFileError(
                    f"data set {self.name}: its model has the {what} '{name}', which its dataset.yaml does not "
                    f"declare; {nearest(name, declared)}"
                )


@functools.cache
def built_in() -> Mapping[str, DatasetFolder]:
    """The data sets of this package, by name."""
    folders = sorted(
        entry.name
        for entry in importlib.resources.files(__package__).iterdir()
        if entry.is_dir() and entry.joinpath("dataset.yaml").is_file()
    )
    return {name.replace("_", "-"): DatasetFolder(name.replace("_", "-"), f"{__package__}.{name}") for name in folders}


def installed() -> Mapping[str, DatasetFolder]:
    """The data sets of other packages, by name; `InputFileError` for a name that is taken."""
    points = importlib.metadata.entry_points(group=GROUP)
    for point in points:
        if point.name in built_in():
            raise InputFileError(f"the package {point.value} declares a data set '{point.name}', which is built in")
    return {point.name: DatasetFolder(point.name, point.value) for point in sorted(points, key=lambda p: p.name)}


def known() -> Mapping[str, DatasetFolder]:
    """All data sets by name, the built-in ones first.

    >>> list(known())[:2]
    ['coherent-csi-2021', 'coherent-lar-2020']
    """
    return {**built_in(), **installed()}


def dataset(name: str) -> DatasetFolder:
    """A data set by name; `UnknownNameError` offers the nearest.

    >>> dataset("coherent-csi-2021").description.target
    'CsI'
    """
    if name in built_in():  # packages elsewhere are looked for only when needed
        return built_in()[name]
    everything = known()
    if name not in everything:
        raise UnknownNameError(f"no data set {excerpt(name)}; {nearest(name, everything)}")
    return everything[name]
