"""How much better projected limits are than those from COHERENT's data, beside what the paper claims."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cevnslab.reports.published import published
from cevnslab.results import Result
from cevnslab.studies.references import stored

Segments = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Improvement:
    """One coupling: the best projected limit beside the one from data, both in the plain unit."""

    coupling: str
    unit: str
    detector: str
    """The projected detector with the smallest reach."""
    projected: Segments
    reference: str
    measured: Segments
    claim: str
    agrees: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Reach from data over projected reach; the reach of an interval is its largest |end|."""
        return reach(self.measured) / reach(self.projected)

    @property
    def verdict(self) -> str:
        """Whether the ratio is what the claim says."""
        low, high = self.agrees
        if low <= self.ratio <= high:
            return "confirmed"
        return f"not confirmed: {'less' if self.ratio < low else 'more'}"


def reach(segments: Segments) -> float:
    """The largest |end| of all pieces.

    >>> reach(((-2.0, 1.0), (3.0, 4.0)))
    4.0
    """
    return max(abs(end) for piece in segments for end in piece)


def improvements(result: Result) -> list[Improvement]:
    """Every claim that the result can be held against; none for a result without the paper's detectors."""
    entry: Mapping[str, Any] = published("improvement") or {"claims": []}
    limits = {
        (row["detector"], row["coupling"]): tuple((float(low), float(high)) for low, high in row["segments"])
        for row in stored()["limits"]
    }
    rows = []
    for claim in entry["claims"]:
        for name in claim["couplings"]:
            candidates = [
                x for x in result.limits if x.coupling == name and x.detector in claim["detectors"] and x.has_limits
            ]
            if not candidates or (claim["reference"], name) not in limits:
                continue
            best = min(candidates, key=lambda limit: reach(limit.segments))
            rows.append(
                Improvement(
                    name,
                    best.unit,
                    best.detector,
                    best.segments,
                    claim["reference"],
                    limits[claim["reference"], name],
                    claim["claim"],
                    (claim["agrees"][0], claim["agrees"][1]),
                )
            )
    return rows
