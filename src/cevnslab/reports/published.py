"""Published numbers beside ours, which are only ever compared with.

Those of studies live in `data/published.yaml`, those of a data set in its own folder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cevnslab import packaged
from cevnslab.datasets.description import PublishedNumber
from cevnslab.datasets.registry import dataset, known
from cevnslab.results import Result


@dataclass(frozen=True)
class Comparison:
    """One end of an interval, ours and published, in the coupling's plain unit."""

    detector: str
    coupling: str
    ours: float
    published: float | None
    digit: float | None
    """The last digit that the publication gives."""

    @property
    def difference(self) -> float | None:
        """(ours - published)/published."""
        return None if self.published is None else self.ours / self.published - 1

    @property
    def agrees_after_rounding(self) -> bool | None:
        """Whether ours, rounded to the published digit, is the published number."""
        if self.published is None or self.digit is None:
            return None
        return round(self.ours / self.digit) == round(self.published / self.digit)


def published(name: str) -> Mapping[str, Any] | None:
    """The published numbers of a study or table by name; None where there are none."""
    entry: Mapping[str, Any] | None = packaged.table("published").get(name)
    return entry


def published_for(result: Result) -> Mapping[str, Any] | None:
    """The published numbers that a result can be compared with: it must be the built-in study itself, unchanged."""
    from cevnslab.studies import presets
    from cevnslab.studies.load import load_study

    if result.name not in presets.names("studies"):
        return None
    entry = published(result.name)
    if entry is None or load_study(result.name).sha256 != result.provenance.get("study_sha256"):
        return None
    return entry


@dataclass(frozen=True)
class PublishedFits:
    """What the collaborations give for the fits of a result, by detector and parameter, and where it stands."""

    rows: Mapping[tuple[str, str], PublishedNumber]
    source: str


def published_fits(result: Result) -> PublishedFits:
    """The collaborations' numbers beside the fits to their data; for detectors with the name of their data set alone.

    Another name is another analysis, which they did not make.
    """
    names = [name for name in dict.fromkeys(p.detector for p in result.fit) if name in known()]
    entries = {name: entry for name in names if (entry := dataset(name).description.published) is not None}
    rows = {(name, parameter): row for name, entry in entries.items() for parameter, row in entry.rows.items()}
    return PublishedFits(rows, "; ".join(entry.source for entry in entries.values()))


def compare(result: Result, entry: Mapping[str, Any] | None = None) -> list[Comparison]:
    """The ends of every limit of a result beside the published ones; of a transition charge the upper end only.

    `entry` is what `published` gives: by default that of the result's own study, if it is unchanged.
    """
    entry = published_for(result) if entry is None else entry
    rows: Mapping[str, Any] = entry["rows"] if entry else {}
    comparisons = []
    for limit in result.limits:
        row = rows.get(limit.detector, {}).get(limit.coupling, {})
        values = row.get("values", (None, None))
        for low, high in limit.segments:
            # Both ends are searched for, so those of a transition charge agree to rounding only.
            symmetric = math.isclose(low, -high, rel_tol=1e-9)
            ends = [(high, values[1])] if symmetric else [(low, values[0]), (high, values[1])]
            for ours, theirs in ends:
                counterpart = theirs if len(limit.segments) == 1 and ours in limit.crossings else None
                comparisons.append(Comparison(limit.detector, limit.coupling, ours, counterpart, row.get("digit")))
    return comparisons
