"""Design backwards: the values of a key at which a goal is met.

The quantity is computed along the key's range, its crossings of the goal are refined, and every answer is computed
again at the value found: where a piece of the interval vanishes the quantity jumps, which a root search reports as a
crossing, and the answer says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from cevnslab import results
from cevnslab.errors import CevnslabError
from cevnslab.inference.intervals import interval
from cevnslab.inference.significance import significance
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.scans import present_value
from cevnslab.studies.schema.planning import DesignQuestion, Goal
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations

POINTS = 65
"""Values of the key at which a crossing is first looked for."""
LOGARITHMIC = 10.0
"""Ends of a positive range this far apart are covered in the logarithm."""
TOLERANCE = 1e-12
"""Of the value of the key, relative: where the refinement ends."""
CLOSE = 1e-6
"""How near the goal an answer must come to be a crossing."""


def quantity(analysis: Analysis, goal: Goal, confidence_level: float) -> float:
    """The quantity of a goal: an end or the width of a limit, the significance of CEvNS; nan where it is not there."""
    if goal.quantity == "significance":
        return significance(analysis.likelihood, [f"{setup.name}.signal" for setup in analysis.setups]).discovery
    assert goal.coupling is not None
    chi2 = analysis.chi2(goal.coupling)
    pieces = interval(chi2, confidence_level).segments
    if goal.quantity == "outermost":
        return float(pieces[-1][1])
    standard_model = chi2.axes[0].standard_model
    for low, high in pieces:
        if low <= standard_model <= high:
            return float({"upper": high, "lower": low, "width": high - low}[goal.quantity])
    return math.nan


def answers(study: Study, question: DesignQuestion) -> list[results.DesignAnswer]:
    """All values at which the goal is met; one row that says how near it comes where there is none."""
    whole = _whole(study, question)
    variations = Variations(study)

    def at(value: float) -> float:
        try:
            varied, made = variations.at({question.key: value})
            return quantity(made[question.detector], question.goal, varied.file.intervals.levels[0])
        except CevnslabError:
            return math.nan  # a value that the study does not allow

    values = _values(question, whole)
    found = np.array([at(value) for value in values])
    excess = found - question.goal.value
    rows = []
    for left in np.flatnonzero(excess[:-1] * excess[1:] <= 0):
        low, high = values[left], values[left + 1]
        if whole:
            low, high = _neighbours(lambda x: at(x) - question.goal.value, low, high, float(excess[left]))
            rows += [_row(question, low, at(low), "below"), _row(question, high, at(high), "above")]
        else:
            value = _refined(lambda x: at(x) - question.goal.value, low, high, float(excess[left]))
            reached = at(value)
            close = abs(reached - question.goal.value) <= CLOSE * abs(question.goal.value)
            rows.append(_row(question, value, reached, "crossing" if close else "jump"))
    if rows:
        return rows
    if not np.any(np.isfinite(found)):
        return [_row(question, None, math.nan, "none")]
    nearest = int(np.nanargmin(np.abs(excess)))
    return [_row(question, None, float(found[nearest]), "none")]


def _whole(study: Study, question: DesignQuestion) -> bool:
    """Whether the key counts something, such as bins."""
    return isinstance(present_value(study, question.key), int)


def _values(question: DesignQuestion, whole: bool) -> list[float]:
    low, high = question.from_, question.to
    if whole:
        ends = math.ceil(low), math.floor(high)
        return [float(v) for v in np.unique(np.round(np.linspace(*ends, min(POINTS, ends[1] - ends[0] + 1))))]
    if low > 0 and high / low > LOGARITHMIC:
        return [low, *np.geomspace(low, high, POINTS)[1:-1].tolist(), high]
    return [low, *np.linspace(low, high, POINTS)[1:-1].tolist(), high]


def _refined(excess: Callable[[float], float], low: float, high: float, at_low: float) -> float:
    """Where the sign changes, by bisection: it ends at a jump too, which faster searches do not."""
    while high - low > TOLERANCE * max(abs(low), abs(high)):
        middle = (low + high) / 2
        value = excess(middle)
        if not math.isfinite(value) or middle in (low, high):
            break
        if (value > 0) == (at_low > 0) and value != 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _neighbours(excess: Callable[[float], float], low: float, high: float, at_low: float) -> tuple[float, float]:
    """The two whole numbers next to each other between which the sign changes."""
    while high - low > 1:
        middle = float((low + high) // 2)
        if (excess(middle) > 0) == (at_low > 0):
            low = middle
        else:
            high = middle
    return low, high


def _row(question: DesignQuestion, value: float | None, reached: float, kind: str) -> results.DesignAnswer:
    return results.DesignAnswer(
        name=question.name,
        key=question.key,
        value=value,
        detector=question.detector,
        coupling=question.goal.coupling or "",
        quantity=question.goal.quantity,
        goal=question.goal.value,
        reached=float(reached),
        kind=kind,
    )
