"""What a study gave: frozen values, a table to look at, and files to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.chi2 import Segment

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Limit:
    """The confidence interval of one coupling at one detector, in the coupling's plain unit."""

    detector: str
    channels: str
    statistic: str
    method: str
    coupling: str
    unit: str
    confidence_level: float
    delta_chi2: float | None
    best_fit: float
    segments: tuple[Segment, ...]
    """All pieces, rising; an open end is infinite."""
    minimum: str = "global"
    """What the interval compares with: the lowest minimum, or the one connected to the Standard Model."""
    delta_chi2_segments: tuple[Segment, ...] | None = None
    """With Feldman-Cousins, the delta chi^2 interval beside it."""

    def _repr_html_(self) -> str:
        from cevnslab.reports.tables import limit_html

        return limit_html(self)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Standard Model counts per bin for the whole exposure; zero in a channel that the study leaves out."""

    detector: str
    bin_edges_kev: FloatArray
    cevns: FloatArray
    electron: FloatArray
    background: FloatArray


@dataclass(frozen=True, eq=False)
class Profile:
    """delta chi^2 against one coupling."""

    detector: str
    channels: str
    coupling: str
    value: FloatArray
    delta_chi2: FloatArray


@dataclass(frozen=True, eq=False)
class ContourLines:
    """The confidence region of two couplings: closed polygons, each of shape (points, 2)."""

    detector: str
    channels: str
    coupling_x: str
    coupling_y: str
    confidence_level: float
    polygons: tuple[FloatArray, ...]


@dataclass(frozen=True, eq=False)
class CrossSectionCurve:
    """d(sigma)/dT of one formula unit at one neutrino energy and one value of a coupling."""

    target: str
    channel: str
    energy_mev: float
    coupling: str
    value: float
    recoil_kev: FloatArray
    dsigma_dt_cm2_per_kev: FloatArray
    standard_model: bool
    """Whether the value is the Standard Model's."""


@dataclass(frozen=True, eq=False)
class CriticalValues:
    """Simulated critical values of delta chi^2 along one coupling."""

    detector: str
    channels: str
    coupling: str
    confidence_level: float
    convention: str
    """Minimum and ensemble, such as ``global minimum, normalisations drawn``."""
    toys: int
    value: FloatArray
    critical_value: FloatArray
    critical_value_error: FloatArray
    """Of the finite number of toys."""
    interpolation_error: float
    """Largest distance of a critical value from the line through its neighbours: an estimate, toy noise included."""


@dataclass(frozen=True, eq=False)
class CriticalMap:
    """Simulated critical values of delta chi^2 in the plane of two couplings."""

    detector: str
    channels: str
    coupling_x: str
    coupling_y: str
    confidence_level: float
    convention: str
    toys: int
    x: FloatArray
    y: FloatArray
    critical_value: FloatArray
    """Shape (len(y), len(x))."""
    largest_error: float
    """Of the finite number of toys."""
    interpolation_error: float
    """Largest distance of a critical value from the line through its neighbours: an estimate, toy noise included."""


@dataclass(frozen=True)
class FitParameter:
    """One number of the Standard Model fit to real data."""

    detector: str
    parameter: str
    value: float
    error: float | None
    """None where it has none."""


@dataclass(frozen=True, eq=False)
class DataSpectrum:
    """Counts of an experiment projected on one axis, beside the components of the best fit."""

    detector: str
    axis: str
    """With its unit, such as ``energy_pe``."""
    edges: FloatArray
    observed: FloatArray
    components: Mapping[str, FloatArray]


@dataclass(frozen=True)
class ScanPoint:
    """One limit at one value of the scanned key."""

    scan: str
    key: str
    value: float
    limit: Limit


@dataclass(frozen=True)
class CouplingInfo:
    """What figures and tables need to know of a coupling."""

    symbol: str
    unit: str
    scale: float
    standard_model: float | None = 0.0
    """Its value in the Standard Model; None where that depends on the target."""
    power: int = 1
    """2 for a coupling g >= 0 that enters as g^2."""


@dataclass(frozen=True)
class DetectorInfo:
    """What figures and tables need to know of a detector."""

    label: str
    channels: str


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that a study gave. Prints as a table; `save` writes the files of the contract."""

    name: str
    study: Mapping[str, Any]
    """The study file that gives this result, presets filled in."""
    couplings: Mapping[str, CouplingInfo]
    detectors: Mapping[str, DetectorInfo]
    limits: tuple[Limit, ...]
    spectra: tuple[Spectrum, ...]
    profiles: tuple[Profile, ...]
    contours: tuple[ContourLines, ...]
    cross_sections: tuple[CrossSectionCurve, ...]
    critical_values: tuple[CriticalValues, ...]
    critical_maps: tuple[CriticalMap, ...]
    scans: tuple[ScanPoint, ...]
    fit: tuple[FitParameter, ...]
    data_spectra: tuple[DataSpectrum, ...]
    references: tuple[ContourLines, ...]
    """Stored regions of real data that figures show beside."""
    reference_labels: Mapping[str, str]
    provenance: Mapping[str, Any]

    def limit(self, detector: str, coupling: str) -> Limit:
        """The limit of one coupling at one detector; `KeyError` where there is none."""
        for found in self.limits:
            if (found.detector, found.coupling) == (detector, coupling):
                return found
        raise KeyError(f"no limit on {coupling} for {detector}")

    def observed_data(self, detector: str) -> bool:
        """Whether the counts of an experiment are real ones, not an expectation."""
        entries = {entry["name"]: entry for entry in self.study["detectors"]}
        return bool(entries[detector].get("observed", "data") == "data")

    def save(self, directory: str | Path = "results", *, style: str | Path | None = None) -> Path:
        """Write tables, JSON and figures under `directory`/<study name>/ and return that folder.

        Every file is written whole or not at all. Raises `OutputError` where the directory cannot be written.
        """
        from cevnslab.reports.files import save

        return save(self, Path(directory), style=style)

    def __str__(self) -> str:
        from cevnslab.reports.tables import limits_table

        return limits_table(self)

    def _repr_html_(self) -> str:
        from cevnslab.reports.tables import limits_html

        return limits_html(self)


def natural_exponent(scale: float) -> int:
    """The power of ten in which a coupling of this scale is best read; none for numbers near one.

    >>> natural_exponent(1e-9), natural_exponent(1e-2)
    (-9, 0)
    """
    exponent = math.floor(math.log10(scale) + 1e-9)
    return 0 if -3 <= exponent <= 2 else exponent
