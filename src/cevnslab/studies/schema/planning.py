"""Design goals and maps: keys searched and scanned for what a detector must be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError
from cevnslab.studies.schema.base import Model, Name, require_known, require_unique

QUANTITIES = ("upper", "lower", "width", "outermost", "significance")
"""What a goal may be about; exactly one of them."""
OF_A_LIMIT = QUANTITIES[:4]
Value = Annotated[float, Field(ge=-1e100, le=1e100)]
"""Of a key or a goal, beyond what any may be: differences and products of two stay numbers."""

ROUNDING = 1e-14
"""Of evenly spaced values, relative: what is nearer than this to a whole number is one."""


class Range(Model):
    """Values of a key, evenly spaced."""

    from_: Value = Field(alias="from", description="the first value")
    to: Value = Field(description="the last value")
    points: Annotated[int, Field(ge=2, le=1000)] = Field(description="number of values, both ends included")
    scale: Literal["linear", "log"] = Field("linear", description="even in the value, or in its logarithm")

    def check(self, path: str) -> None:
        """Raise `StudyError` for a range without an extent, or a logarithm of what is not positive."""
        if self.from_ >= self.to:
            raise StudyError(f"{path}.from: must be below `to`, got {self.from_:g} and {self.to:g}")
        if self.scale == "log" and self.from_ <= 0:
            raise StudyError(f"{path}.from: must be above 0 with scale: log, got {self.from_:g}")

    @property
    def values(self) -> list[float]:
        """All values, rising."""
        if self.scale == "log":
            inner = np.geomspace(self.from_, self.to, self.points)
        else:
            inner = np.linspace(self.from_, self.to, self.points)
        # A power of two between 2 and 32 comes out as 4.000000000000001, and keys that count refuse it.
        whole = np.round(inner)
        inner = np.where(np.abs(inner - whole) <= ROUNDING * np.abs(whole), whole, inner)
        return [self.from_, *(float(value) for value in inner[1:-1]), self.to]


class KeyRange(Range):
    """A key and its values."""

    key: str = Field(description="a path such as exposure_years or detectors.ess-ge.threshold_kev")


class Goal(Model):
    """What is wanted: exactly one of upper, lower, width, outermost, significance."""

    coupling: str | None = Field(None, description="whose interval is meant; not for significance")
    upper: Value | None = Field(None, description="upper end of the piece that holds the Standard Model")
    lower: Value | None = Field(None, description="lower end of the piece that holds the Standard Model")
    width: Annotated[Value, Field(gt=0)] | None = Field(None, description="of the piece that holds the Standard Model")
    outermost: Value | None = Field(None, description="the last end of all pieces")
    significance: Annotated[Value, Field(gt=0)] | None = Field(
        None, description="of CEvNS over none, in standard deviations"
    )

    @property
    def quantity(self) -> str:
        """Which one is given."""
        return next(name for name in QUANTITIES if getattr(self, name) is not None)

    @property
    def value(self) -> float:
        """What is wanted of it."""
        return float(getattr(self, self.quantity))

    @property
    def words(self) -> str:
        """The quantity in words."""
        return {
            "upper": f"upper end of {self.coupling}",
            "lower": f"lower end of {self.coupling}",
            "outermost": f"outermost end of {self.coupling}",
            "width": f"width of the interval of {self.coupling}",
            "significance": "significance of CEvNS",
        }[self.quantity]

    def check(self, path: str, couplings: Sequence[str]) -> None:
        """Raise `StudyError` unless one quantity is given, with a coupling of the study where it is of a limit."""
        present = [name for name in QUANTITIES if getattr(self, name) is not None]
        if len(present) != 1:
            raise StudyError(f"{path}: exactly one of {', '.join(QUANTITIES)}, got {' and '.join(present) or 'none'}")
        if present[0] == "significance":
            if self.coupling is not None:
                raise StudyError(f"{path}.coupling: the significance of CEvNS is of no coupling; remove it")
        elif self.coupling is None:
            raise StudyError(f"{path}.coupling: this key is required")
        else:
            require_known(f"{path}.coupling", [self.coupling], couplings, "coupling of this study")


class DesignQuestion(Model):
    """At which values of a key is a goal met?"""

    name: Name = Field(description="unique")
    key: str = Field(description="the key that is searched, such as detectors.ess-ge.threshold_kev")
    from_: Value = Field(alias="from", description="where the search begins")
    to: Value = Field(description="where it ends")
    detector: str = Field(description="a detector or combination")
    goal: Goal = Field(description="what its limit, or its significance, shall be")


class LimitMap(Model):
    """The limit of one coupling over two keys."""

    name: Name = Field(description="unique")
    x: KeyRange = Field(description="key and values of the horizontal axis")
    y: KeyRange = Field(description="key and values of the vertical axis")
    detector: str = Field(description="a detector or combination")
    coupling: str = Field(description="whose limit")


def check_planning(
    questions: Sequence[DesignQuestion], maps: Sequence[LimitMap], detectors: Sequence[str], couplings: Sequence[str]
) -> None:
    """Raise `StudyError` for names that are not there and ranges without an extent."""
    require_unique("design", [question.name for question in questions])
    require_unique("maps", [entry.name for entry in maps])
    for question in questions:
        path = f"design.{question.name}"
        if not (question.from_ < question.to and math.isfinite(question.from_)):
            raise StudyError(f"{path}.from: must be below `to`, got {question.from_:g} and {question.to:g}")
        require_known(f"{path}.detector", [question.detector], detectors, "detector of this study")
        question.goal.check(f"{path}.goal", couplings)
    for entry in maps:
        path = f"maps.{entry.name}"
        entry.x.check(f"{path}.x")
        entry.y.check(f"{path}.y")
        if entry.x.key == entry.y.key:
            raise StudyError(f"{path}.y.key: the two axes need different keys, got {entry.x.key} twice")
        require_known(f"{path}.detector", [entry.detector], detectors, "detector of this study")
        require_known(f"{path}.coupling", [entry.coupling], couplings, "coupling of this study")
