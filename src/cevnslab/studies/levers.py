"""Levers: by how much each key of a study moves each limit, d ln(limit)/d ln(key).

Beside the elasticities stands what no elasticity says: the gain of knowing each nuisance parameter exactly, and of
twice as many bins.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cevnslab import results
from cevnslab.errors import CevnslabError
from cevnslab.progress import track
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.design import quantities
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations

STEP = 1e-3
"""Relative step of the key on both sides: the elasticity is a central difference of logarithms."""
OF_A_LIMIT = ("upper", "lower", "width")
TWINS = {"mass_kg": ("exposure_years", "exposure_hours")}
"""Keys that may scale counts alike: the first is shown, with a word about the second."""
SAME = 1e-6
"""Elasticities that differ by less are of twins."""
NOT_A_LEVER = {
    "confidence_level": "the confidence level is a convention, no property of a detector",
    "seed": "a seed of random numbers",
    "toys": "a number of pseudo-experiments",
}
LOWEST_EDGES = {"threshold_kev": "maximum_kev", "threshold_kevee": "maximum_kevee"}
"""The key at the other end of bins whose number is fixed."""
FIXED_WIDTH = " (fixed width)"
"""Behind the key of a threshold that moves with the upper end of the bins."""


def numeric_keys(study: Study) -> Iterator[tuple[str, float | int]]:
    """Every key of the study that holds a number and that a detector or its running has, as a path, with its value."""
    content = study.file.model_dump(mode="json", by_alias=True, exclude_none=True)
    for word in ("exposure_years", "exposure_hours", "uncertainties", "intervals"):
        if word in content:
            yield from _numbers(word, content[word])
    for detector in content["detectors"]:
        for key, value in detector.items():
            yield from _numbers(f"detectors.{detector['name']}.{key}", value)


def _numbers(path: str, value: Any) -> Iterator[tuple[str, float | int]]:
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield path, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{path}.{key}", inner)
    elif isinstance(value, list):
        if value and path.rpartition(".")[2] in NOT_A_LEVER:
            yield path, value[0]
        for entry in value:
            if isinstance(entry, Mapping) and "name" in entry:  # such as backgrounds; edges and counts are no levers
                yield from _numbers(f"{path}.{entry['name']}", entry)


def levers(study: Study) -> tuple[results.Lever, ...]:
    """The elasticity of every end and width in every numeric key, the largest first within a coupling and detector.

    Gains of fixed nuisances and of finer bins follow, as relative changes.
    """
    table = _Table(study)
    rows = [row for key, value in track(list(numeric_keys(study)), "levers") for row in table.of_key(key, value)]
    rows = _twins_once(rows) + list(table.of_nuisances())
    order = {name: number for number, name in enumerate(table.nominal)}

    def place(row: results.Lever) -> tuple[int, str, str, bool, float, str]:
        size = abs(row.elasticity or row.change or 0.0)
        return order[row.detector], row.coupling, row.quantity, row.change is not None, -size, row.key

    return tuple(sorted(rows, key=place))


class _Table:
    """The rows of the levers of a study."""

    def __init__(self, study: Study) -> None:
        self.study, self.variations = study, Variations(study)
        self.nominal: dict[str, Analysis] = self.variations.at({})[1]
        self.limits = {
            (name, coupling): self._limit(analysis, coupling)
            for name, analysis in self.nominal.items()
            for coupling in self.couplings
        }

    @property
    def couplings(self) -> list[str]:
        """Those that get limits."""
        return [coupling.name for coupling in self.study.couplings]

    def _limit(self, analysis: Analysis, coupling: str) -> dict[str, float]:
        return quantities(analysis, coupling, self.study.file.intervals)

    def _concerned(self, key: str) -> list[str]:
        """The detectors and combinations that a key can change."""
        owner = next((name for name in self._detectors if key.startswith(f"detectors.{name}.")), None)
        return [n for n, a in self.nominal.items() if owner is None or owner in [setup.name for setup in a.setups]]

    @property
    def _detectors(self) -> list[str]:
        """The longest names first: one may begin like another."""
        return sorted((setup.name for setup in self.study.setups), key=len, reverse=True)

    def of_key(self, key: str, value: float | int) -> Iterator[results.Lever]:
        """The rows of one key; a threshold has more of them, at a fixed width of the bins, as has a number of bins."""
        word = key.rpartition(".")[2]
        reason = _reason(word, value)
        if word == "bins":
            yield from self._changed(key, self._varied({key: 2 * value}), "twice as many bins")
        if reason is not None:
            yield from self._rows(key, None, reason)
            return
        yield from self._elasticities(key, {key: value}, _remark(word))
        if word in LOWEST_EDGES:
            # The bins move as a whole: their width, and their number, stay.
            other = key.replace(word, LOWEST_EDGES[word])
            values = {key: value, other: float(_value(self.study, other))}
            remark = f"{LOWEST_EDGES[word]} moves along, so that the bins keep their width"
            yield from self._elasticities(f"{key}{FIXED_WIDTH}", values, remark, shift=value)

    def _elasticities(
        self, key: str, values: Mapping[str, float], remark: str, shift: float | None = None
    ) -> Iterator[results.Lever]:
        """Of keys that are scaled, or shifted by what the first is scaled by."""
        sides = []
        for sign in (1, -1):
            factor = math.exp(sign * STEP)
            values_at_step = {k: v * factor if shift is None else v + shift * (factor - 1) for k, v in values.items()}
            side = self._varied(values_at_step)
            if isinstance(side, CevnslabError):
                yield from self._rows(key, None, f"cannot be varied: {side}")
                return
            sides.append(side)
        yield from self._rows(key, (sides[0], sides[1]), remark)

    def _varied(self, values: Mapping[str, float]) -> dict[str, Analysis] | CevnslabError:
        try:
            analyses = self.variations.at(values)[1]
            for analysis in analyses.values():
                _ = analysis.likelihood
        except CevnslabError as fault:
            return fault
        return analyses

    def _rows(
        self, key: str, sides: tuple[dict[str, Analysis], dict[str, Analysis]] | None, reason: str
    ) -> Iterator[results.Lever]:
        """The elasticities between two sides of a key, or the reason why there are none."""
        for name in self._concerned(key):
            for coupling in self.couplings:
                pairs = None if sides is None else [self._limit(side[name], coupling) for side in sides]
                for quantity in OF_A_LIMIT:
                    elasticity = None
                    if pairs is not None and pairs[0][quantity] * pairs[1][quantity] > 0:
                        elasticity = math.log(pairs[0][quantity] / pairs[1][quantity]) / (2 * STEP)
                    missing = sides is not None and elasticity is None
                    text = reason or ("no such end" if missing else "")
                    yield results.Lever(key, name, coupling, quantity, elasticity, text)

    def _changed(
        self, key: str, analyses: dict[str, Analysis] | CevnslabError, reason: str, names: Iterable[str] | None = None
    ) -> Iterator[results.Lever]:
        """The relative changes of every quantity in other circumstances."""
        if isinstance(analyses, CevnslabError):
            return
        for name in names or self._concerned(key):
            for coupling in self.couplings:
                before, after = self.limits[name, coupling], self._limit(analyses[name], coupling)
                for quantity in OF_A_LIMIT:
                    change = after[quantity] / before[quantity] - 1 if before[quantity] else math.nan
                    if math.isfinite(change):
                        yield results.Lever(key, name, coupling, quantity, None, reason, change)

    def of_nuisances(self) -> Iterator[results.Lever]:
        """The gain of knowing each nuisance parameter exactly."""
        for name, analysis in self.nominal.items():
            for parameter in analysis.likelihood.parameters:
                if parameter.fixed:
                    continue
                conditional = analysis.likelihood.with_widths({parameter.name: 0.0})
                analyses = {name: replace(analysis, likelihood=conditional)}
                yield from self._changed(parameter.name, analyses, "if this nuisance parameter were known", [name])


def _value(study: Study, key: str) -> float:
    return dict(numeric_keys(study))[key]


def _twins_once(rows: list[results.Lever]) -> list[results.Lever]:
    """Without the second of two keys that do the same to a detector: the first says so."""
    elasticities = {(row.key, row.detector, row.coupling, row.quantity): row.elasticity for row in rows}
    dropped: set[tuple[str, str]] = set()
    reasons: dict[tuple[str, str], str] = {}
    for row in rows:
        word = row.key.rpartition(".")[2]
        if row.key != f"detectors.{row.detector}.{word}" or (row.key, row.detector) in reasons:
            continue
        for twin in TWINS.get(word, ()):
            for path in (twin, f"detectors.{row.detector}.{twin}"):
                if _same(elasticities, row.key, path, row.detector):
                    dropped.add((path, row.detector))
                    reasons[row.key, row.detector] = f"the same as {path}: both scale all counts"
    rest = [row for row in rows if (row.key, row.detector) not in dropped]
    return [replace(row, reason=reasons.get((row.key, row.detector), row.reason)) for row in rest]


def _same(elasticities: Mapping[tuple[str, str, str, str], float | None], key: str, twin: str, detector: str) -> bool:
    """Whether two keys have the same elasticities in all limits of a detector."""
    pairs = [
        (elasticity, elasticities[twin, name, coupling, quantity])
        for (path, name, coupling, quantity), elasticity in elasticities.items()
        if (path, name) == (key, detector) and (twin, name, coupling, quantity) in elasticities
    ]
    return bool(pairs) and all(a is not None and b is not None and abs(a - b) < SAME for a, b in pairs)


def _reason(word: str, value: float | int) -> str | None:
    """Why a key has no elasticity; None where it has."""
    if word in NOT_A_LEVER:
        return NOT_A_LEVER[word]
    if isinstance(value, int):
        return "a whole number: scan it instead"
    if value == 0:
        return "0 has no relative change"
    return None


def _remark(word: str) -> str:
    """What else a key changes."""
    if word in (*LOWEST_EDGES, *LOWEST_EDGES.values()):
        return "with bins fixed the bins' width changes too"
    return ""
