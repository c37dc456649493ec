"""Expected limits: where the outer ends of an interval lie in pseudo-experiments of a truth, median and bands.

Toys are drawn around the Standard Model, or another value of the coupling: counts, off-counts and nuisance parameters
fluctuate as `likelihood.toys` says, and every toy gets the interval that the data would get.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.levels import BAND_CONTENTS, FEWEST_BAND_TOYS
from cevnslab.inference.toy_tasks import OuterEndsTask
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.parallel.tasks import Arrays, Mapper, in_turn, joined, run_tasks

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedEnd:
    """One outer end in the toys, in the coupling's plain unit."""

    median: float
    low_68: float
    high_68: float
    low_95: float
    high_95: float

    @classmethod
    def of(cls, ends: FloatArray) -> ExpectedEnd:
        """Quantiles of the toys' ends."""
        inner, outer = BAND_CONTENTS
        shares = [0.5, (1 - inner) / 2, (1 + inner) / 2, (1 - outer) / 2, (1 + outer) / 2]
        return cls(*(float(value) for value in np.quantile(ends, shares)))


@dataclass(frozen=True)
class ExpectedLimit:
    """The interval of one coupling that is expected: from the lowest end to the highest, whatever lies between."""

    coupling: str
    confidence_level: float
    lower: ExpectedEnd
    upper: ExpectedEnd
    disjoint_share: float
    """Of the toys, those whose interval has several pieces."""
    toys: int
    seed: int

    def __str__(self) -> str:
        rows: list[tuple[str, ...]] = [("end", "median", "68 %", "95 %")]
        for name, end in (("lower", self.lower), ("upper", self.upper)):
            inner, outer = ((end.low_68, end.high_68), (end.low_95, end.high_95))
            texts = [", ".join(f"{value:.4g}" for value in band) for band in (inner, outer)]
            rows.append((name, f"{end.median:.4g}", *(f"[{text}]" for text in texts)))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = ["  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        title = f"expected limit on {self.coupling} at {100 * self.confidence_level:g} % CL, {self.toys} toys"
        return "\n".join([title, *lines])


def task_of(
    likelihood: Likelihood,
    coupling: str,
    confidence_levels: Sequence[float],
    *,
    toys: int,
    seed: int,
    stream: Sequence[str] = (),
    truth: float | None = None,
    hidden: Sequence[str] = (),
    minimum: Minimum = "global",
) -> OuterEndsTask:
    """What must be simulated for the expected limits of one coupling.

    Raises `StatisticsError` for too few toys.

    Parameters
    ----------
    stream
        Declared words that random numbers belong to, such as the detector's name.
    truth
        Value of the coupling that toys are drawn at, in its plain unit; the Standard Model's unless given.
    hidden
        Couplings that are minimised over.

    """
    if toys < FEWEST_BAND_TOYS:
        raise StatisticsError(f"toys: bands of 95 % need at least {FEWEST_BAND_TOYS}, got {toys}")
    if truth is None:
        (variable,) = (v for v in likelihood.polynomial.variables if v.name == coupling)
        truth = variable.standard_model
    return OuterEndsTask(
        likelihood,
        (coupling,),
        (float(truth),),
        toys,
        seed,
        tuple(stream),
        tuple(hidden),
        minimum,
        tuple(confidence_levels),
    )


def expected_limits(
    tasks: Sequence[OuterEndsTask], store: Path | None = None, mapper: Mapper = in_turn, what: str = "expected limits"
) -> list[list[ExpectedLimit]]:
    """Per task the expected limit at each of its confidence levels; run as `cevnslab.parallel.tasks.run_tasks` says."""
    toy_ends = (joined(blocks) for blocks in run_tasks(tasks, store, mapper, what))
    return [_limits(task, ends) for task, ends in zip(tasks, toy_ends, strict=True)]


def _limits(task: OuterEndsTask, ends: Arrays) -> list[ExpectedLimit]:
    return [
        ExpectedLimit(
            task.names[0],
            confidence_level,
            ExpectedEnd.of(ends["low"][:, number]),
            ExpectedEnd.of(ends["high"][:, number]),
            float(np.mean(ends["disjoint"][:, number])),
            task.toys,
            task.seed,
        )
        for number, confidence_level in enumerate(task.confidence_levels)
    ]
