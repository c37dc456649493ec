"""Limits on couplings, alone and as a key of the study varies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from cevnslab.rendering import rendered
from cevnslab.results.description import (
    OF_COUPLING,
    OF_KEY,
    Archive,
    Block,
    Column,
    Record,
    Table,
    columns_of,
    of_kind,
)

Segment = tuple[float, float]
"""One piece of an interval."""

CROSSINGS = ("limit", "hidden-bound")
"""The kinds of ends at which chi^2 crosses the level."""

Detector = Annotated[str, Column("detector or combination", role="group", label="Detector")]
Channels = Annotated[str, Column("channels that are counted, joined by +", role="group", label="Channels")]
Statistic = Annotated[str, Column("statistic, one per kind of member joined by +", role="group", label="Statistic")]
CouplingName = Annotated[str, Column("coupling", role="group", label="Coupling")]
ConfidenceLevel = Annotated[float, Column("confidence level, such as 0.9", role="group", label="Confidence level")]


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


@dataclass(frozen=True)
class Limit(Record):
    """The confidence interval of one coupling at one detector, in the coupling's plain unit."""

    detector: Detector
    channels: Channels
    statistic: Statistic
    method: Annotated[str, Column("delta-chi2 or feldman-cousins", role="group", label="Method")]
    coupling: Annotated[str, Column("coupling", role="along", label="Coupling")]
    unit: Annotated[
        str, Column("plain unit of the coupling, of lower and upper; 1 for a pure number", role="group", label="Unit")
    ]
    confidence_level: ConfidenceLevel
    delta_chi2: Annotated[float | None, Column("rise of chi2 at the ends; empty with feldman-cousins", role="aside")]
    best_fit: float
    segments: tuple[Segment, ...]
    """All pieces, rising; ends are finite."""
    kinds: tuple[tuple[str, str], ...]
    """What makes the ends of each piece: ``limit``, ``bound``, ``hidden-bound`` or ``unconstrained``."""
    minimum: str = "global"
    """What the interval compares with: the lowest minimum, or the one connected to the Standard Model."""
    delta_chi2_segments: tuple[Segment, ...] | None = None
    """With Feldman-Cousins, the delta chi^2 interval beside it."""
    delta_chi2_kinds: tuple[tuple[str, str], ...] | None = None
    """What makes its ends."""

    def __post_init__(self) -> None:
        """Raise `ValueError` unless every piece has the kinds of its ends."""
        super().__post_init__()
        if len(self.kinds) != len(self.segments):
            raise ValueError(f"{len(self.segments)} pieces with the kinds of {len(self.kinds)}")

    @property
    def by_delta_chi2(self) -> Limit:
        """With Feldman-Cousins, the delta chi^2 interval in the place of the simulated one."""
        return replace(
            self, method="delta-chi2", segments=self.delta_chi2_segments or (), kinds=self.delta_chi2_kinds or ()
        )

    @property
    def has_limits(self) -> bool:
        """Whether the data make every end."""
        return bool(self.segments) and len(self.crossings) == 2 * len(self.segments)

    def with_crossings(self, segments: tuple[Segment, ...]) -> Limit:
        """The same limit with other pieces, whose ends are all crossings of the data."""
        return replace(self, segments=segments, kinds=(("limit", "limit"),) * len(segments))

    @property
    def crossings(self) -> tuple[float, ...]:
        """The ends that the data make: those at which chi^2 crosses the level."""
        return tuple(
            end
            for piece, kinds in zip(self.segments, self.kinds, strict=True)
            for end, kind in zip(piece, kinds, strict=True)
            if kind in CROSSINGS
        )

    def block(self) -> Block:
        """One row per piece."""
        return {
            **super().block(),
            "segment": tuple(range(1, len(self.segments) + 1)),
            "lower": tuple(low for low, _ in self.segments),
            "upper": tuple(high for _, high in self.segments),
            "lower_kind": tuple(low for low, _ in self.kinds),
            "upper_kind": tuple(high for _, high in self.kinds),
            "best_fit": self.best_fit,
        }

    def _repr_html_(self) -> str:
        return str(rendered(self, "html"))


PIECE = Column("number of the piece of the interval, from 1", name="segment", role="number", label="Piece")
LOWER = Column("lower end of the piece", OF_COUPLING, name="lower", label="Lower end")
UPPER = Column("upper end of the piece", OF_COUPLING, name="upper", label="Upper end")
_KIND = (
    "limit (the data), bound (the coupling's own), hidden-bound (the data, a minimised coupling at its bound) or "
    "unconstrained (the coupling's bounds)"
)
LOWER_KIND = Column(f"what makes the lower end: {_KIND}", name="lower_kind", label="Lower end is a")
UPPER_KIND = Column("the same of the upper end", name="upper_kind", label="Upper end is a")
BEST_FIT = Column("best fit of the coupling", OF_COUPLING, name="best_fit")


def _with_both_methods(records: Sequence[Record]) -> list[Limit]:
    """The limits, and with Feldman-Cousins those by delta chi^2 after them."""
    limits = of_kind(Limit, records)
    return [*limits, *(limit.by_delta_chi2 for limit in limits if limit.delta_chi2_segments is not None)]


LIMITS = Table(
    "limits",
    "Limits",
    "one piece of the confidence interval of one coupling, the others at the Standard Model or minimised over",
    (
        Column("study", name="study", role="aside"),
        *columns_of(Limit),
        *(PIECE, LOWER, UPPER, LOWER_KIND, UPPER_KIND, BEST_FIT),
    ),
    Archive(
        "Limits, {detector}",
        "Intervals of one coupling at a time, compared with the {minimum} minimum; the pieces of a disjoint interval "
        "are rows.",
        "Limit",
        _with_both_methods,
    ),
)


@dataclass(frozen=True)
class ScanPoint(Record):
    """One limit at one value of the scanned key."""

    scan: Annotated[str, Column("name of the scan", role="group", label="Scan")]
    key: Annotated[str, Column("path of the varied key", role="group", label="Key")]
    value: Annotated[float, Column("value of that key", OF_KEY, role="along", label="{key}")]
    limit: Limit

    def block(self) -> Block:
        """One row per piece."""
        limit = self.limit.block()
        return {**super().block(), **{column.name: limit[column.name] for column in _OF_A_SCANNED_LIMIT}}


_OF_A_SCANNED_LIMIT = (
    *(
        replace(column, role="group")
        for column in columns_of(Limit)
        if column.name in ("detector", "channels", "statistic", "coupling", "confidence_level")
    ),
    *(PIECE, LOWER, UPPER, LOWER_KIND, UPPER_KIND),
)
SCANS = Table(
    "scans",
    "Scans",
    "one piece of the delta chi2 interval of one coupling at one value of the scanned key",
    (*columns_of(ScanPoint), *_OF_A_SCANNED_LIMIT),
    Archive(
        "Scan {scan} of {limit.coupling}, {limit.detector}",
        "Interval of {limit.coupling} as {key} of the study varies.",
        "Limit",
    ),
)


def natural_exponent(scale: float) -> int:
    """The power of ten in which a coupling of this scale is best read; none for numbers near one.

    >>> natural_exponent(1e-9), natural_exponent(1e-2)
    (-9, 0)
    """
    exponent = math.floor(math.log10(scale) + 1e-9)
    return 0 if -3 <= exponent <= 2 else exponent
