"""Levers: by how much each key of a study moves each limit, d ln(limit)/d ln(key)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from cevnslab import results
from cevnslab.errors import CevnslabError
from cevnslab.progress import track
from cevnslab.studies.design import quantity
from cevnslab.studies.schema.planning import Goal
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations

STEP = 1e-3
"""Relative step of the key on both sides: the elasticity is a central difference of logarithms."""
OF_A_LIMIT = ("upper", "lower", "width")
TWINS = {"mass_kg": "exposure_years"}
"""Keys that scale counts alike: the first is shown, with a word about the second."""
NOT_A_LEVER = {
    "confidence_level": "the confidence level is a convention, no property of a detector",
    "seed": "a seed of random numbers",
    "toys": "a number of pseudo-experiments",
}


def numeric_keys(study: Study) -> Iterator[tuple[str, float | int]]:
    """Every key of the study that holds a number and that a detector or its running has, as a path, with its value."""
    content = study.file.model_dump(mode="json", by_alias=True, exclude_none=True)
    for word in ("exposure_years", "uncertainties", "intervals"):
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


def levers(study: Study) -> tuple[results.Lever, ...]:
    """The elasticity of every end and width in every numeric key, the largest first within a coupling and detector."""
    variations = Variations(study)
    _, nominal = variations.at({})
    level = study.file.intervals.levels[0]
    goals = [Goal(coupling=c.name, **{q: 1.0}) for c in study.couplings for q in OF_A_LIMIT]
    rows = []
    for key, value in track(list(numeric_keys(study)), "levers"):
        word = key.rpartition(".")[2]
        owner = key.split(".")[1] if key.startswith("detectors.") else None
        concerned = [n for n, a in nominal.items() if owner is None or owner in [s.name for s in a.setups]]
        reason = _reason(word, value)
        sides: list[dict[str, Any]] = []
        if reason is None:
            try:
                sides = [variations.at({key: value * math.exp(sign * STEP)})[1] for sign in (1, -1)]
            except CevnslabError as fault:
                reason = f"cannot be varied: {fault}"
        for name in concerned:
            for goal in goals:
                elasticity = None
                if sides:
                    up, down = (quantity(side[name], goal, level) for side in sides)
                    if up * down > 0:
                        elasticity = float(np.log(up / down) / (2 * STEP))
                rows.append(
                    results.Lever(
                        key=key,
                        detector=name,
                        coupling=str(goal.coupling),
                        quantity=goal.quantity,
                        elasticity=elasticity,
                        reason=reason or _remark(study, key, word) or ("" if elasticity is not None else "no such end"),
                    )
                )
    order = {name: number for number, name in enumerate(nominal)}
    return tuple(
        sorted(rows, key=lambda r: (order[r.detector], r.coupling, r.quantity, -abs(r.elasticity or 0.0), r.key))
    )


def _reason(word: str, value: float | int) -> str | None:
    """Why a key has no elasticity; None where it has."""
    if word in NOT_A_LEVER:
        return NOT_A_LEVER[word]
    if isinstance(value, int):
        return "a whole number: scan it instead"
    if value == 0:
        return "0 has no relative change"
    return None


def _remark(study: Study, key: str, word: str) -> str:
    """What else a key changes, or which other key does the same."""
    if word in TWINS:
        return f"the same as {TWINS[word]}: both scale all counts"
    if word in ("threshold_kev", "threshold_kevee", "maximum_kev", "maximum_kevee"):
        return "with bins fixed the bins' width changes too"
    return ""
