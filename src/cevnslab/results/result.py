"""What a study gives: frozen values, a table to look at, and files to keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cevnslab.frozen import frozen
from cevnslab.rendering import rendered
from cevnslab.results.catalogue import TABLES
from cevnslab.results.curves import ContourLines, CriticalMap, CriticalValues, Profile
from cevnslab.results.description import Record, Table
from cevnslab.results.fits import Band, Covariance, FitParameter, Pull, ScanBand, Strength
from cevnslab.results.limits import CouplingInfo, DetectorInfo, Limit, ScanPoint
from cevnslab.results.plain import Plain
from cevnslab.results.plans import DesignAnswer, GoalCurve, Lever, LimitMap
from cevnslab.results.spectra import (
    CrossSectionCurve,
    DataSpectrum,
    SignalSpectrum,
    Spectrum,
    Summary,
    TimeSpectrum,
)


@dataclass(frozen=True, eq=False)
class Result:
    """Everything that a study gave. Prints as a table; `save` writes the files of the contract."""

    name: str
    study: Mapping[str, Plain]
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
    provenance: Mapping[str, Plain]
    pulls: tuple[Pull, ...] = ()
    covariances: tuple[Covariance, ...] = ()
    bands: tuple[Band, ...] = ()
    scan_bands: tuple[ScanBand, ...] = ()
    design: tuple[DesignAnswer, ...] = ()
    goal_curves: tuple[GoalCurve, ...] = ()
    maps: tuple[LimitMap, ...] = ()
    levers: tuple[Lever, ...] = ()
    summary: tuple[Summary, ...] = ()
    significances: tuple[Strength, ...] = ()
    remarks: tuple[str, ...] = ()
    """What a reader of the numbers must be told: a systematic far from its prior, a parameter that rests on a wall."""
    signals: tuple[SignalSpectrum, ...] = ()
    """Counts with new physics that figures show."""
    time_spectra: tuple[TimeSpectrum, ...] = ()

    def __post_init__(self) -> None:
        for name in ("study", "couplings", "detectors", "reference_labels", "provenance"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def limit(self, detector: str, coupling: str, confidence_level: float | None = None) -> Limit:
        """The limit of one coupling at one detector, at a level or the first one; `KeyError` where there is none."""
        for limit in self.limits:
            level = confidence_level in (None, limit.confidence_level)
            if level and (limit.detector, limit.coupling) == (detector, coupling):
                return limit
        raise KeyError(f"no limit on {coupling} for {detector}")

    def held(self, table: Table) -> tuple[Record, ...]:
        """The records of a table; empty where the study did not ask for it."""
        records: tuple[Record, ...] = getattr(self, table.name, ())
        return records

    def records(self, table: str) -> list[dict[str, object]]:
        """The rows of a table by name, as its CSV file has them: what `pandas.DataFrame` takes.

        `KeyError` for a table that there is not.
        """
        described = TABLES[table]
        held = self.held(described)
        names = [column.name for column in described.columns(held)]
        return [dict(zip(names, row, strict=True)) for row in described.rows(held, self.name)]

    def save(self, directory: str | Path = "results", *, style: str | Path | None = None) -> Path:
        """Write tables, JSON and figures under `directory`/<study name>/ and return that folder.

        Every file is written whole or not at all. Raises `OutputError` where the directory cannot be written.
        """
        folder: Path = rendered(self, "files", directory=Path(directory), style=style)
        return folder

    def __str__(self) -> str:
        return str(rendered(self, "text"))

    def _repr_html_(self) -> str:
        return str(rendered(self, "html"))
