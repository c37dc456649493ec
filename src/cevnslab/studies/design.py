"""Design backwards: the values of a key at which a goal is met.

The quantity is computed along the key's range, its crossings of the goal are refined, and every answer is computed
again at its value: where a piece of the interval vanishes the quantity jumps, which a root search reports as a
crossing, and the answer says so. Between two points on the same side of the goal the quantity may touch it and turn
back: its turning points towards the goal are searched too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.errors import CevnslabError, StudyError, located
from cevnslab.inference.intervals import interval
from cevnslab.inference.significance import signal_normalisations, significance
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.scans import present_value, vary
from cevnslab.studies.schema.planning import DesignQuestion, Goal
from cevnslab.studies.schema.statistics import Intervals
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations

POINTS = 65
"""Values of the key at which a crossing is first looked for."""
LOGARITHMIC = 10.0
"""Ends of a positive range this far apart are covered in the logarithm."""
TOLERANCE = 1e-12
"""Of the value of the key, relative: where the refinement ends."""
TURN_TOLERANCE = 1e-4
"""Of a turning point, relative to the two steps around it."""
CLOSE = 1e-6
"""How near the goal an answer must come to be a crossing, relative to it; to the step around it for a goal of zero."""
BORDER_STEPS = 20
"""Of the search for where values of the key begin to be refused."""

FloatArray = NDArray[np.float64]
Bracket = tuple[float, float, float]
"""Two values of the key and the excess over the goal at the lower, which changes its sign between them."""


@dataclass(frozen=True)
class Solution:
    """What a question finds: all answers, or one that says how near it comes, and the curve that they lie on."""

    answers: tuple[results.DesignAnswer, ...]
    curve: results.GoalCurve


def quantity(analysis: Analysis, goal: Goal, intervals: Intervals) -> float:
    """The quantity of a goal: an end or the width of a limit, the significance of CEvNS; nan where it is not there."""
    if goal.quantity == "significance":
        return significance(analysis.likelihood, signal_normalisations(analysis.likelihood)).discovery
    assert goal.coupling is not None
    return quantities(analysis, goal.coupling, intervals)[goal.quantity]


def quantities(analysis: Analysis, coupling: str, intervals: Intervals) -> dict[str, float]:
    """Every quantity of the limit on one coupling at the study's first level, by name; nan where it is not there."""
    chi2 = analysis.chi2(coupling)
    limit = interval(chi2, intervals.levels[0], intervals.minimum)
    piece, last = limit.piece_with(chi2.axes[0].standard_model), limit.pieces[-1]
    low, high = (math.nan, math.nan) if piece is None else (piece.low, piece.high)
    return {"upper": float(high), "lower": float(low), "width": float(high - low), "outermost": float(last.high)}


class Excess:
    """The quantity of a question along its key, less the goal."""

    def __init__(self, study: Study, question: DesignQuestion) -> None:
        self.question, self._variations = question, Variations(study)
        self.refusal: CevnslabError | None = None
        """Why a value of the key was not allowed, the first time."""

    def quantity(self, value: float) -> float:
        """At a value of the key; nan where the study does not allow it."""
        try:
            varied, analyses = self._variations.at({self.question.key: value})
            return quantity(analyses[self.question.detector], self.question.goal, varied.file.intervals)
        except CevnslabError as fault:
            self.refusal = self.refusal or fault
            return math.nan

    def __call__(self, value: float) -> float:
        """The excess at a value of the key."""
        return self.quantity(value) - self.question.goal.value


def solved(study: Study, question: DesignQuestion) -> Solution:
    """All values at which the goal is met; one row that says how near it comes where there is none.

    Raises `StudyError` where the study allows no value of the range, or the key is not there.
    """
    whole, excess = _whole(study, question), Excess(study, question)
    values, reached = _along(excess, np.array(_values(question, whole)), whole)
    if not np.any(np.isfinite(reached)):
        raise _unusable(question, excess.refusal)
    goal = question.goal
    curve = results.GoalCurve(
        name=question.name,
        key=question.key,
        detector=question.detector,
        coupling=goal.coupling or "",
        quantity=goal.quantity,
        goal=goal.value,
        confidence_level=study.file.intervals.levels[0],
        value=values,
        reached=reached,
    )
    rows = []
    for low, high, at_low in _brackets(excess, values, reached - goal.value, whole):
        if low == high:
            rows.append(_row(question, low, excess.quantity(low), "crossing"))
        elif whole:
            for value, side in zip(_neighbours(excess, low, high, at_low), ("below", "above"), strict=True):
                rows.append(_row(question, value, excess.quantity(value), side))
        else:
            value = _refined(excess, low, high, at_low)
            there = excess.quantity(value)
            close = abs(there - goal.value) <= CLOSE * (abs(goal.value) or abs(at_low) + abs(excess(high)))
            rows.append(_row(question, value, there, "crossing" if close else "jump"))
    if not rows:
        nearest = int(np.nanargmin(np.abs(reached - goal.value)))
        rows = [_row(question, None, float(reached[nearest]), "none")]
    return Solution(tuple(rows), curve)


def check_range(study: Study, question: DesignQuestion) -> None:
    """Raise `StudyError` for a key that is not there, and a range of which the study file allows no value."""
    refusal: CevnslabError | None = None
    for value in _values(question, _whole(study, question)):
        try:
            vary(study, question.key, value)
        except CevnslabError as fault:
            refusal = refusal or fault
        else:
            return
    raise _unusable(question, refusal)


def _whole(study: Study, question: DesignQuestion) -> bool:
    """Whether the key counts something; `StudyError` for one that is not there."""
    with located(f"design.{question.name}.key"):
        return isinstance(present_value(study, question.key), int)


def _unusable(question: DesignQuestion, refusal: CevnslabError | None) -> StudyError:
    """That no value of the range can be used, and why the first cannot."""
    reason = f": {refusal}" if refusal else "; there is no such end"
    return StudyError(f"design.{question.name}.from: no value of {question.key} up to `to` can be used{reason}")


def _values(question: DesignQuestion, whole: bool) -> list[float]:
    low, high = question.from_, question.to
    if whole:
        ends = math.ceil(low), math.floor(high)
        if ends[1] < ends[0]:
            raise StudyError(f"design.{question.name}.from: no whole number lies between {low:g} and {high:g}")
        return [float(v) for v in np.unique(np.round(np.linspace(*ends, min(POINTS, ends[1] - ends[0] + 1))))]
    if low > 0 and high / low > LOGARITHMIC:
        return [low, *np.geomspace(low, high, POINTS)[1:-1].tolist(), high]
    return [low, *np.linspace(low, high, POINTS)[1:-1].tolist(), high]


def _along(excess: Excess, values: FloatArray, whole: bool) -> tuple[FloatArray, FloatArray]:
    """Values of the key with what is reached there; where the study refuses some, the last value before those too."""
    reached = np.array([excess.quantity(value) for value in values])
    allowed = np.isfinite(reached)
    borders = [
        _border(excess, float(values[left + 1 - allowed[left]]), float(values[left + allowed[left]]), whole)
        for left in np.flatnonzero(allowed[1:] != allowed[:-1])
    ]
    more = np.setdiff1d(borders, values)
    values = np.append(values, more)
    order = np.argsort(values)
    return values[order], np.append(reached, [excess.quantity(value) for value in more])[order]


def _border(excess: Excess, allowed: float, refused: float, whole: bool) -> float:
    """The last allowed value of the key towards a refused one."""
    for _ in range(BORDER_STEPS):
        middle = (allowed + refused) / 2
        if whole:
            middle = math.floor(middle) if refused > allowed else math.ceil(middle)
        if middle == allowed:
            break
        if math.isfinite(excess.quantity(middle)):
            allowed = middle
        else:
            refused = middle
    return float(allowed)


def _brackets(excess: Callable[[float], float], values: FloatArray, at: FloatArray, whole: bool) -> Iterator[Bracket]:
    """Between which values the excess changes its sign, rising; both ends are one where it is zero there."""
    for place, value in enumerate(values):
        if at[place] == 0:
            yield float(value), float(value), 0.0
            continue
        if not whole and 0 < place < len(values) - 1 and _turns(at[place - 1 : place + 2]):
            turn = _turning_point(excess, float(values[place - 1]), float(values[place + 1]), float(at[place]))
            if turn is not None:
                below, above = float(values[place - 1]), float(values[place + 1])
                # The neighbours of a turning point that passes the goal are on the other side of it.
                yield below, turn, float(at[place - 1])
                yield turn, above, -float(at[place - 1])
        if place + 1 < len(values) and at[place] * at[place + 1] < 0:
            yield float(value), float(values[place + 1]), float(at[place])


def _turns(three: FloatArray) -> bool:
    """Whether the middle of three points on one side of the goal is the nearest to it."""
    same = bool(np.all(three > 0) or np.all(three < 0))
    return same and abs(three[1]) < min(abs(three[0]), abs(three[2]))


def _turning_point(excess: Callable[[float], float], low: float, high: float, middle: float) -> float | None:
    """A value between two others at which the excess has the other sign; None where it only comes near."""
    from scipy.optimize import minimize_scalar

    side = math.copysign(1.0, middle)

    def distance(value: float) -> float:
        there = side * excess(value)
        return there if math.isfinite(there) else math.inf

    minimum = minimize_scalar(
        distance, bounds=(low, high), method="bounded", options={"xatol": TURN_TOLERANCE * (high - low)}
    )
    return float(minimum.x) if minimum.fun < 0 else None


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
