"""Fits to data: best fits, pulls and impacts, covariance; bands of expected limits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from cevnslab.results.description import (
    OF_COUPLING,
    OF_KEY,
    Archive,
    Block,
    Column,
    FloatArray,
    Record,
    Table,
    UnitOf,
    columns_of,
)
from cevnslab.results.limits import Channels, ConfidenceLevel, CouplingName, Detector, Statistic

OF_PARAMETER = UnitOf("of the parameter")


@dataclass(frozen=True)
class FitParameter(Record):
    """One number of the Standard Model fit to real data."""

    detector: Detector
    parameter: Annotated[
        str, Column("counts, nuisance parameter, coupling or measure of the fit", role="along", label="Parameter")
    ]
    value: Annotated[float, Column("best fit", OF_PARAMETER, label="Value")]
    error: Annotated[
        float | None, Column("one standard deviation; empty where it has none", OF_PARAMETER, role="error")
    ]
    """None where it has none."""


FIT = Table(
    "fit",
    "Standard Model fit",
    "one number of the Standard Model fit to data",
    columns_of(FitParameter),
    Archive("Standard Model fit, {detector}", "Parameters of the Standard Model fit to the data.", "Fit"),
)


@dataclass(frozen=True, eq=False)
class Covariance(Record):
    """The covariance of a fit's parameters; it stands in ``result.json``."""

    detector: str
    coupling: str
    """The coupling that was fitted; empty for the Standard Model fit."""
    parameters: tuple[str, ...]
    values: FloatArray
    """Shape (parameters, parameters)."""


@dataclass(frozen=True)
class Pull(Record):
    """One parameter at a coupling's joint best fit: where it ends, and how far it moves the coupling."""

    detector: Detector
    coupling: CouplingName
    parameter: Annotated[str, Column("nuisance parameter", role="along", label="Parameter")]
    prior_width: Annotated[float, Column("width of its constraint; inf: free", OF_PARAMETER)]
    best_fit: Annotated[float, Column("its value at the joint best fit", OF_PARAMETER)]
    error: Annotated[
        float | None, Column("one standard deviation; empty where it rests on a boundary", OF_PARAMETER, role="error")
    ]
    impact_up: Annotated[float, Column("shift of the coupling's best fit with the parameter an error up", OF_COUPLING)]
    impact_down: Annotated[float, Column("the same an error down", OF_COUPLING)]


PULLS = Table(
    "pulls",
    "Pulls and impacts",
    "one parameter at the joint best fit of one coupling",
    columns_of(Pull),
    Archive("Pulls of {coupling}, {detector}", "Nuisance parameters at the joint best fit of {coupling}.", "Pull"),
    on_page=True,
)


@dataclass(frozen=True)
class Band(Record):
    """What pseudo-experiments of the Standard Model expect of one outer end of an interval."""

    detector: Detector
    channels: Channels
    statistic: Statistic
    coupling: CouplingName
    confidence_level: ConfidenceLevel
    end: Annotated[str, Column("lower or upper: the outer ends, whatever lies between", role="along", label="End")]
    median: Annotated[float, Column("median of the end", OF_COUPLING)]
    low_68: Annotated[float, Column("lower edge of the band that holds 68 % of the pseudo-experiments", OF_COUPLING)]
    high_68: Annotated[float, Column("its upper edge", OF_COUPLING)]
    low_95: Annotated[float, Column("lower edge of the band that holds 95 %", OF_COUPLING)]
    high_95: Annotated[float, Column("its upper edge", OF_COUPLING)]
    disjoint_share: Annotated[float, Column("share of the pseudo-experiments whose interval has several pieces")]
    toys: Annotated[int, Column("number of pseudo-experiments", role="group", label="Pseudo-experiments")]
    seed: Annotated[int, Column("of their random numbers", role="aside")]


BANDS = Table(
    "bands",
    "Expected limits",
    "one outer end of the interval that is expected",
    columns_of(Band),
    Archive(
        "Expected limits of {coupling}, {detector}",
        "Outer ends of the interval of {coupling} from pseudo-experiments of the Standard Model: median and bands.",
        "Limit",
    ),
    on_page=True,
)


@dataclass(frozen=True)
class ScanBand(Record):
    """The same of one outer end at one value of a scanned key."""

    scan: Annotated[str, Column("name of the scan", role="group", label="Scan")]
    key: Annotated[str, Column("path of the varied key", role="group", label="Key")]
    value: Annotated[float, Column("value of that key", OF_KEY, role="along", label="{key}")]
    band: Band

    def block(self) -> Block:
        """One row."""
        return {**super().block(), **self.band.block()}


SCAN_BANDS = Table(
    "scan_bands",
    "Expected limits of scans",
    "one outer end of the interval that is expected at one value of the scanned key",
    (
        *columns_of(ScanBand),
        *(
            replace(column, role="group") if column.name in ("end", "confidence_level") else column
            for column in columns_of(Band)
        ),
    ),
    Archive(
        "Expected limits of {band.coupling} in the scan {scan}, {band.detector}",
        "The {band.end} end of the interval of {band.coupling} from pseudo-experiments of the Standard Model as {key} "
        "of the study varies: median and bands.",
        "Limit",
    ),
)


@dataclass(frozen=True)
class Strength(Record):
    """What the counts of one detector say about the strength of CEvNS, 1 in the Standard Model."""

    detector: Detector
    strength: Annotated[float, Column("best fit; the Standard Model's 1 for a projection")]
    error: Annotated[float | None, Column("one standard deviation, all nuisances profiled")]
    error_without_normalisation: Annotated[
        float | None, Column("the same with the signal's own normalisations at their centres")
    ]
    significance: Annotated[float, Column("of CEvNS over none: sqrt(chi2(0) - chi2(best fit)), one-sided", "sigma")]
    expected_significance: Annotated[float, Column("the same of the Standard Model's expectation", "sigma")]
    p_no_cevns: Annotated[float, Column("one-sided, asymptotic")]
    p_standard_model: Annotated[float, Column("two-sided, asymptotic")]
    upper_limit: Annotated[float, Column("one-sided: 1.642 in chi2 above the best fit for 90 %; inf where it has none")]
    confidence_level: Annotated[float, Column("of the upper limit")]
    p_no_cevns_toys: Annotated[
        float | None,
        Column(
            "share of pseudo-experiments without CEvNS that are as significant; with `bands`, 0 where there is none"
        ),
    ] = None
    p_no_cevns_toys_error: Annotated[float | None, Column("its binomial error, 1/toys where it is 0")] = None
    significance_toys: Annotated[
        float | None, Column("of that share, one-sided; empty where it is 0 or 1", "sigma")
    ] = None
    expected_significance_toys: Annotated[
        float | None, Column("median of pseudo-experiments of the Standard Model", "sigma")
    ] = None
    toys: Annotated[int | None, Column("number of pseudo-experiments")] = None


SIGNIFICANCES = Table(
    "significances", "Strength of CEvNS", "one detector: strength and significance of CEvNS", columns_of(Strength)
)
