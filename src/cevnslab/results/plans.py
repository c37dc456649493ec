"""Answers for those who plan a detector: goals, maps of limits, levers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cevnslab.results.description import OF_KEY, Archive, Block, Column, FloatArray, Record, Table, UnitOf, columns_of
from cevnslab.results.limits import LOWER, LOWER_KIND, UPPER, UPPER_KIND, CouplingName, Detector

OF_QUANTITY = UnitOf("of the coupling; none of a significance")


@dataclass(frozen=True)
class DesignAnswer(Record):
    """One value of a key at which a goal is met, or how near it comes."""

    name: Annotated[str, Column("name of the question", role="group", label="Question")]
    key: Annotated[str, Column("path of the key that is searched", role="group", label="Key")]
    value: Annotated[
        float | None,
        Column("value at which the goal is met; empty where none is", OF_KEY, role="along", label="{key}"),
    ]
    detector: Detector
    coupling: CouplingName
    quantity: Annotated[str, Column("upper, lower, width, outermost or significance", role="group", label="Quantity")]
    goal: Annotated[float, Column("what was asked for", OF_QUANTITY)]
    reached: Annotated[float, Column("what the study gives there, or the nearest that it comes", OF_QUANTITY)]
    kind: Annotated[str, Column("how the goal is met there, such as crossing, jump or none")]


@dataclass(frozen=True, eq=False)
class GoalCurve(Record):
    """The quantity of a goal along the key that is searched: what its figure draws."""

    name: str
    """Of the question."""
    key: str
    detector: str
    coupling: str
    """Empty for a significance."""
    quantity: str
    goal: float
    confidence_level: float
    value: FloatArray
    """Of the key, rising, shape (points,)."""
    reached: FloatArray
    """The quantity there; not a number where the study does not allow the value, or where there is no such end."""


DESIGN = Table(
    "design",
    "Goals",
    "one value of a key that meets a goal",
    columns_of(DesignAnswer),
    Archive("Goal {name}", "Values of {key} at which the {quantity} of {coupling} reaches a goal.", "Goal"),
    on_page=True,
)


@dataclass(frozen=True, eq=False)
class LimitMap(Record):
    """The limit of one coupling over two keys; arrays of shape (len(y), len(x))."""

    map: Annotated[str, Column("name of the map", role="group", label="Map")]
    x_key: str
    y_key: str
    x: FloatArray
    """Shape (columns,)."""
    y: FloatArray
    """Shape (rows,)."""
    detector: Detector
    coupling: CouplingName
    lower: FloatArray
    upper: FloatArray
    lower_kind: tuple[tuple[str, ...], ...]
    upper_kind: tuple[tuple[str, ...], ...]

    def block(self) -> Block:
        """One row per point."""
        x, y = np.meshgrid(self.x, self.y)
        return {
            **super().block(),
            "x": x.ravel(),
            "y": y.ravel(),
            "lower": self.lower.ravel(),
            "upper": self.upper.ravel(),
            "lower_kind": tuple(kind for row in self.lower_kind for kind in row),
            "upper_kind": tuple(kind for row in self.upper_kind for kind in row),
        }


_MAP_NAME, *_MAP_OF = columns_of(LimitMap)

MAPS = Table(
    "maps",
    "Maps",
    "the limit at one point of the plane of two keys",
    (
        _MAP_NAME,
        Column("value of the first key", OF_KEY, "x", role="along", label="{x_key}"),
        Column("value of the second key", OF_KEY, "y", role="along", label="{y_key}"),
        *_MAP_OF,
        *(LOWER, UPPER, LOWER_KIND, UPPER_KIND),
    ),
    Archive("Map {map} of {coupling}, {detector}", "The limit of {coupling} over {x_key} and {y_key}.", "Limit"),
)


@dataclass(frozen=True)
class Lever(Record):
    """How much one key moves a limit."""

    key: Annotated[str, Column("path of the key, or name of a nuisance parameter", role="along", label="Key")]
    detector: Detector
    coupling: CouplingName
    quantity: Annotated[str, Column("upper, lower or width", role="along", label="Quantity")]
    elasticity: Annotated[float | None, Column("d ln(quantity)/d ln(key); empty where it has none")]
    reason: Annotated[str, Column("why it has none, what else the key changes, or what makes the change")]
    change: Annotated[
        float | None, Column("relative change of the quantity where a nuisance is known or bins are finer; else empty")
    ] = None


LEVERS = Table(
    "levers",
    "Levers",
    "one key and one quantity of a limit",
    columns_of(Lever),
    Archive("Levers of {coupling}, {detector}", "Elasticity of the limit of {coupling} in every key.", "Elasticity"),
    on_page=True,
)
