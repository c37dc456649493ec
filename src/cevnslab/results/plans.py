"""Answers for those who plan a detector: goals, maps of limits, levers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cevnslab.results.description import OF_COUPLING, Block, Column, FloatArray, Record, Table, columns_of
from cevnslab.results.limits import LOWER, UPPER, CouplingName, Detector

KEY_UNIT = "that the key's name says"


@dataclass(frozen=True)
class DesignAnswer(Record):
    """One value of a key at which a goal is met, or how near it comes."""

    name: Annotated[str, Column("name of the question")]
    key: Annotated[str, Column("path of the key that is searched")]
    value: Annotated[float | None, Column("value at which the goal is met; empty where none is", KEY_UNIT)]
    detector: Detector
    coupling: CouplingName
    quantity: Annotated[str, Column("upper, lower, width, outermost or significance")]
    goal: Annotated[float, Column("what was asked for", OF_COUPLING)]
    reached: Annotated[float, Column("what the study gives at this value, or the nearest that it comes", OF_COUPLING)]
    kind: Annotated[str, Column("how the goal is met there, such as crossing, jump or none")]


DESIGN = Table("design", "Goals", "one value of a key that meets a goal", columns_of(DesignAnswer))


@dataclass(frozen=True, eq=False)
class LimitMap(Record):
    """The limit of one coupling over two keys; arrays of shape (len(y), len(x))."""

    map: Annotated[str, Column("name of the map")]
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


END_KIND = "limit, bound (of the coupling), hidden-bound (of one minimised over) or unconstrained"
LOWER_KIND = Column(f"what the lower end is: {END_KIND}", name="lower_kind")
UPPER_KIND = Column("what the upper end is, likewise", name="upper_kind")

MAPS = Table(
    "maps",
    "Maps",
    "the limit at one point of the plane of two keys",
    (
        Column("name of the map", name="map"),
        Column("value of the first key", KEY_UNIT, "x"),
        Column("value of the second key", KEY_UNIT, "y"),
        *(column for column in columns_of(LimitMap) if column.name != "map"),
        *(LOWER, UPPER, LOWER_KIND, UPPER_KIND),
    ),
)


@dataclass(frozen=True)
class Lever(Record):
    """How much one key moves a limit."""

    key: Annotated[str, Column("path of the key")]
    detector: Detector
    coupling: CouplingName
    quantity: Annotated[str, Column("upper, lower or width")]
    elasticity: Annotated[float | None, Column("d ln(quantity)/d ln(key); empty where it has none")]
    reason: Annotated[str, Column("why it has none, or what else the key changes")]


LEVERS = Table("levers", "Levers", "one key and one quantity of a limit", columns_of(Lever))
