"""Pseudo-experiments of any likelihood in blocks: delta chi^2 at a truth, and the intervals that toys would give.

A task is cut into blocks that run anywhere (`cevnslab.parallel`) with the same numbers. Random numbers are keyed by
what was declared (`stream`: words such as a digest of keys, the name of the detector, the index of the truth), the
couplings, the seed and the block: neither by a position in a run nor by numbers that were computed.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import Minimum, intervals
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.inference.outer_ends import OuterEndsFit
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.toys import Ensemble, Truth, as_data, draw
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import Arrays, Mapper, in_turn, joined, run_tasks

FloatArray = NDArray[np.float64]

TOYS_PER_BLOCK = 5000
INTERVALS_PER_BLOCK = 100
FEWEST_BEYOND = 10
"""A quantile needs this many toys beyond it."""


def fewest_toys(confidence_level: float) -> int:
    """How many toys resolve the quantile of a confidence level.

    >>> fewest_toys(0.90), fewest_toys(0.9999999)
    (100, 100000000)
    """
    return math.ceil(FEWEST_BEYOND / (1 - confidence_level) * (1 - 1e-9))


def generator(seed: int, words: Sequence[str], block: int) -> np.random.Generator:
    """The random numbers of one block of toys: of words, whatever else a run computes."""
    name = hashlib.sha256("\0".join(words).encode()).digest()
    key = (int.from_bytes(name, "big"), block)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def wordless(likelihood: Likelihood) -> Likelihood:
    """The same without words about bins, which are for messages and hold on to whole responses."""
    return Likelihood(
        tuple(replace(dataset, bin_name="bin {}".format) for dataset in likelihood.datasets), likelihood.priors
    )


def content(likelihood: Likelihood) -> tuple[object, ...]:
    """What the numbers of a likelihood depend on, for the digests of tasks: names and arrays."""
    datasets = [
        (each.name, each.shape, each.samples, each.observed, each.statistic, each.errors, each.variance)
        for each in likelihood.datasets
    ]
    return datasets, likelihood.priors


@dataclass(frozen=True, eq=False)
class _Toys:
    """What both kinds of tasks are about."""

    likelihood: Likelihood
    names: tuple[str, ...]
    """The couplings under test, one or two."""
    truth: tuple[float, ...]
    """Their true values, in plain units; all other couplings are as in the Standard Model, or minimised over."""
    toys: int
    seed: int
    stream: tuple[str, ...] = ()
    """What the random numbers belong to, beside the couplings: words that were declared."""
    hidden: tuple[str, ...] = ()
    """Couplings minimised over: fitted to the likelihood's own data given the truth, drawn if they have a prior."""
    minimum: Minimum = "global"

    def __post_init__(self) -> None:
        # Couplings that do not enter cost memory.
        alone = wordless(self.likelihood.restricted([*self.names, *self.hidden]))
        object.__setattr__(self, "likelihood", alone)

    def _words(self, method: str) -> list[str]:
        return [method, *self.stream, *self.names, *self.hidden]

    def _content(self) -> tuple[object, ...]:
        words = (self.names, self.truth, self.toys, self.seed, self.stream, self.hidden, self.minimum)
        return (*content(self.likelihood), *words)


@dataclass(frozen=True, eq=False)
class ToyTask(_Toys):
    """Toys of one truth, each fitted globally: their delta chi^2 there is what it gives."""

    ensemble: Ensemble = "drawn"
    compressed: bool = False
    """Whether sufficient statistics are drawn as normals where the structure allows it, in the place of counts."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // TOYS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        return content_digest(TOYS_PER_BLOCK, "delta chi2", *self._content(), self.ensemble, self.compressed)

    def run(self, block: int) -> dict[str, FloatArray]:
        """The toys of one block: their ``delta_chi2`` at the truth, shape (toys,)."""
        count = min(TOYS_PER_BLOCK, self.toys - block * TOYS_PER_BLOCK)
        rng = generator(self.seed, self._words("delta chi2"), block)
        fit = _fit(_Once(self))
        return {"delta_chi2": fit.simulated(count, rng, self.ensemble, compressed=self.compressed)}


@dataclass(frozen=True)
class _Once:
    """A task that is known by its digest: what its blocks share is computed once in a process."""

    task: ToyTask | OuterEndsTask

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    @functools.cached_property
    def _digest(self) -> str:
        return self.task.digest()


@functools.lru_cache(maxsize=2)
def _fit(once: _Once) -> ToyFit:
    task = once.task
    assert isinstance(task, ToyTask)
    return ToyFit.of(task.likelihood, task.names, task.truth, task.hidden, task.minimum)


@dataclass(frozen=True, eq=False)
class OuterEndsTask(_Toys):
    """Toys of one truth in the place of the data: the outer ends of the intervals of one coupling, all at once."""

    confidence_levels: tuple[float, ...] = (0.90,)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // TOYS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        return content_digest(TOYS_PER_BLOCK, "outer ends", *self._content(), self.confidence_levels)

    def run(self, block: int) -> dict[str, NDArray[np.generic]]:
        """The toys of one block, shape (toys, levels) each: ``low``, ``high``, and whether they are ``disjoint``."""
        count = min(TOYS_PER_BLOCK, self.toys - block * TOYS_PER_BLOCK)
        rng = generator(self.seed, self._words("outer ends"), block)
        fit = _outer_ends(_Once(self))
        return dict(fit.ends(draw(fit.likelihood, fit.truth, count, rng, "drawn"))._asdict())


@functools.lru_cache(maxsize=2)
def _outer_ends(once: _Once) -> OuterEndsFit:
    task = once.task
    assert isinstance(task, OuterEndsTask)
    rises = np.array([delta_chi2_level(level, 1) for level in task.confidence_levels])
    return OuterEndsFit.of(task.likelihood, task.names[0], task.truth[0], rises, task.hidden, task.minimum)


@dataclass(frozen=True, eq=False)
class IntervalTask(_Toys):
    """Toys of one truth in the place of the data: the delta chi^2 interval of each, at some confidence levels."""

    confidence_levels: tuple[float, ...] = (0.90,)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // INTERVALS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        return content_digest(INTERVALS_PER_BLOCK, "intervals", *self._content(), self.confidence_levels)

    def run(self, block: int) -> dict[str, NDArray[np.generic]]:
        """The toys of one block, shape (toys, levels) each.

        ``low``, ``high``: the outermost ends; ``low_kind``, ``high_kind``: what makes them; ``pieces``: how many there
        are; and ``best_fit``.
        """
        count = min(INTERVALS_PER_BLOCK, self.toys - block * INTERVALS_PER_BLOCK)
        rng = generator(self.seed, self._words("intervals"), block)
        point = self.likelihood.polynomial.standard_model.copy()
        for name, value in zip(self.names, self.truth, strict=True):
            point[self.likelihood.couplings.index(name)] = value
        toys = draw(self.likelihood, Truth.of(self.likelihood, point, self.hidden), count, rng, "drawn")
        rows = []
        for toy in range(count):
            function = Chi2.of(as_data(self.likelihood, toys, toy), self.names, self.hidden)
            rows.append(intervals(function, self.confidence_levels, self.minimum))
        result: dict[str, NDArray[np.generic]] = {}
        for end in ("low", "high"):
            outermost = [[getattr(each.outermost, end) for each in row] for row in rows]
            kinds = [[getattr(each.outermost, f"{end}_kind") for each in row] for row in rows]
            result[end], result[f"{end}_kind"] = np.array(outermost), np.array(kinds, dtype="U16")
        result["pieces"] = np.array([[len(each.pieces) for each in row] for row in rows])
        result["best_fit"] = np.array([[each.best_fit for each in row] for row in rows])
        return result


def delta_chi2(
    tasks: Sequence[ToyTask], store: Path | None = None, mapper: Mapper = in_turn, what: str = "pseudo-experiments"
) -> list[FloatArray]:
    """Delta chi^2 at the truth of every toy of every task, as `cevnslab.parallel.tasks.run_tasks` runs them."""
    return [joined(blocks)["delta_chi2"] for blocks in run_tasks(tasks, store, mapper, what)]


def toy_intervals(
    tasks: Sequence[IntervalTask], store: Path | None = None, mapper: Mapper = in_turn, what: str = "toys' intervals"
) -> list[Arrays]:
    """The intervals of every toy of every task, as `IntervalTask.run` gives them."""
    return [joined(blocks) for blocks in run_tasks(tasks, store, mapper, what)]


def quantile(sample: FloatArray, confidence_level: float) -> tuple[float, float]:
    """The quantile of toys at a probability, and its error: one binomial standard deviation of the probability.

    Raises `StatisticsError` where fewer than ten toys lie beyond it.
    """
    if len(sample) < fewest_toys(confidence_level):
        raise StatisticsError(
            f"{len(sample)} toys do not resolve {100 * confidence_level:.10g} %, "
            f"which needs {fewest_toys(confidence_level)}"
        )
    spread = math.sqrt(confidence_level * (1 - confidence_level) / len(sample))
    ends = [max(confidence_level - spread, 0.0), confidence_level, min(confidence_level + spread, 1.0)]
    low, middle, high = np.quantile(sample, ends)
    return float(middle), float(high - low) / 2
