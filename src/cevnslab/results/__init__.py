"""What studies give: frozen containers, and one description of every table."""

from __future__ import annotations

from cevnslab.results.catalogue import TABLES
from cevnslab.results.curves import ContourLines, CriticalMap, CriticalValues, Profile
from cevnslab.results.description import Column, Record, Table
from cevnslab.results.fits import Band, Covariance, FitParameter, Pull, ScanBand, Strength
from cevnslab.results.limits import CROSSINGS, CouplingInfo, DetectorInfo, Limit, ScanPoint, natural_exponent
from cevnslab.results.plans import DesignAnswer, GoalCurve, Lever, LimitMap
from cevnslab.results.result import Result
from cevnslab.results.spectra import (
    CrossSectionCurve,
    DataSpectrum,
    SignalSpectrum,
    Spectrum,
    Summary,
    TimeSpectrum,
)

__all__ = [
    "CROSSINGS",
    "TABLES",
    "Band",
    "Column",
    "ContourLines",
    "CouplingInfo",
    "Covariance",
    "CriticalMap",
    "CriticalValues",
    "CrossSectionCurve",
    "DataSpectrum",
    "DesignAnswer",
    "DetectorInfo",
    "FitParameter",
    "GoalCurve",
    "Lever",
    "Limit",
    "LimitMap",
    "Profile",
    "Pull",
    "Record",
    "Result",
    "ScanBand",
    "ScanPoint",
    "SignalSpectrum",
    "Spectrum",
    "Strength",
    "Summary",
    "Table",
    "TimeSpectrum",
    "natural_exponent",
]
