"""Nuisance parameters: a name, a prior, physical boundaries. A name is one parameter wherever it acts."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from cevnslab.errors import StatisticsError


@dataclass(frozen=True)
class Parameter:
    """A nuisance parameter with its Gaussian prior: the term ((value - centre)/width)^2.

    `width` 0 fixes it at its centre, infinity leaves it free. Parameters of a detector are named
    ``<detector>.<name>``, of a source ``<source>.<name>``; others are global.

    Raises `StatisticsError` for a negative width, walls in the wrong order, or a centre outside them.
    """

    name: str
    width: float
    centre: float = 0.0
    low: float = -math.inf
    """Physical boundary: the value stays at or above."""
    high: float = math.inf

    def __post_init__(self) -> None:
        if not self.width >= 0:
            raise StatisticsError(f"parameter {self.name}: the prior width must be 0 or more, got {self.width}")
        if not self.low <= self.centre <= self.high:
            raise StatisticsError(
                f"parameter {self.name}: its centre {self.centre:g} is outside [{self.low:g}, {self.high:g}]"
            )

    @property
    def fixed(self) -> bool:
        """Whether it stays at its centre."""
        return self.width == 0

    @property
    def free(self) -> bool:
        """Whether it has no prior."""
        return math.isinf(self.width)

    @property
    def unit(self) -> float:
        """What it is measured in while it is fitted: its width, 1 where that is larger.

        So neither a tiny width nor a huge one loses digits.
        """
        return 1.0 if self.fixed else min(self.width, 1.0)


def merged(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Each name once, in the order of first appearance, within the walls of all.

    Raises `StatisticsError` where one name has two priors: what is shared must be the same thing.

    >>> [p.name for p in merged([Parameter("flux", 0.1), Parameter("b", 0.01), Parameter("flux", 0.1, low=-1.0)])]
    ['flux', 'b']
    """
    by_name: dict[str, Parameter] = {}
    for parameter in parameters:
        present = by_name.setdefault(parameter.name, parameter)
        if (present.width, present.centre) != (parameter.width, parameter.centre):
            raise StatisticsError(
                f"parameter {parameter.name} has two priors, {present.centre:g} +- {present.width:g} and "
                f"{parameter.centre:g} +- {parameter.width:g}: one name is one parameter"
            )
        walls = max(present.low, parameter.low), min(present.high, parameter.high)
        by_name[parameter.name] = replace(present, low=walls[0], high=walls[1])
    return tuple(by_name.values())
