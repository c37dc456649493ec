"""Where searches of the nuisance parameters start, and with which factors far from the Standard Model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.expectation import Expectation, rows_of
from cevnslab.likelihood.minimiser import LOOSE, Model, contracted_at, evaluate, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.rows import Part
from cevnslab.likelihood.samples import Bend, Sample, Shift

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FAR_PULL = 2.0
"""From where, too, a search starts that bends shapes: large couplings have their minimum where one is pulled so far."""
FAR_SHIFT = 0.4
"""The same for an offset, as a part of its range."""
TOO_MANY = 3.0
"""Times the counts beside all backgrounds: a larger signal is brought down by one of its factors at a time."""
LARGEST_VARIANCE = 1e30
"""Of a bin; least squares leave bins out by an infinite one."""


def corners(samples: Iterable[Sample], names: Sequence[str]) -> FloatArray:
    """Starts of parameters, in their order: shape (starts, parameters).

    The centres, both sides of what bends or shifts signals, and of what bends a background alike on both.
    """
    ends: dict[str, tuple[float, float]] = {}
    for sample in samples:
        signal = bool(sample.polynomial.variables)
        for modifier in sample.modifiers:
            if isinstance(modifier, Bend) and not modifier.parameter.fixed and (signal or sample.bends_alike(modifier)):
                ends[modifier.parameter.name] = (-FAR_PULL, FAR_PULL)
            if not signal:
                continue
            if isinstance(modifier, Shift) and modifier.parameter is not None and not modifier.parameter.fixed:
                low, high, unit = modifier.parameter.low, modifier.parameter.high, modifier.parameter.unit
                ends[modifier.parameter.name] = (FAR_SHIFT * low / unit, FAR_SHIFT * high / unit)
    starts = [np.zeros(len(names))]
    for name, values in ends.items():
        for value in values:
            start = np.zeros(len(names))
            start[names.index(name)] = value
            starts.append(start)
    return np.array(starts)


def suited(model: Model, couplings: FloatArray, starts: FloatArray, data: Observation) -> FloatArray:
    """The starts (starts, parameters) of all points, with factors that suit a point: (starts, points, parameters).

    Far from the Standard Model a signal can be a million times what is observed. To come down from there with shapes
    that follow every step is to end anywhere; factors alone, by least squares, are one linear problem, unless several
    of them multiply one signal: then each of them in turn brings it down, and the minimum is taken that the likelihood
    likes best with all shapes at their centres. A start keeps its own factors where the likelihood is not possible
    with those.
    """
    factors = np.zeros(len(model.parameters), dtype=bool)
    for expectation in model.expectations:
        for scales in expectation.scales:
            factors[scales] = True
    for part in (part for e in model.expectations for block in e.blocks for part in block.parts):
        # What bends a shape as well goes with the shapes.
        factors[part.bends] = False
        if part.shift_column is not None:
            factors[part.shift_column] = False
    result = np.repeat(starts[:, None, :], len(couplings), axis=1)
    contracted = contracted_at(model, couplings)
    place, begin = _brought_down(model, contracted, data, len(couplings))
    if not len(place):
        return result
    sketch = replace(data, counts=tuple(counts.sketched for counts in data.counts))
    minima = minimise(model, couplings[place], begin, sketch.rows(place), tolerance=LOOSE, still=~factors)
    exactly = evaluate(model, _at(contracted, place), couplings[place], minima.pulls, data.rows(place)).chi2
    order = np.lexsort((minima.chi2, exactly, place))
    far, first = np.unique(place[order], return_index=True)
    best, there = minima.pulls[order[first]], (_at(contracted, far), couplings[far])
    for each in result:
        scaled = np.where(factors, best, each[far])
        possible = np.isfinite(evaluate(model, *there, scaled, data.rows(far)).chi2)
        each[far[possible]] = scaled[possible]
    return result


def _at(contracted: Sequence[Sequence[FloatArray]], place: IntArray) -> list[list[FloatArray]]:
    """The templates of some of the points."""
    return [rows_of(blocks, place) for blocks in contracted]


@dataclass(frozen=True, eq=False)
class _Signal:
    """One signal that a coupling changes."""

    excess: FloatArray
    """Its nominal counts in units of those that backgrounds leave, shape (points,)."""
    scales: IntArray
    """Columns of its factors, the widest first."""


def _brought_down(
    model: Model, contracted: Sequence[Sequence[FloatArray]], data: Observation, points: int
) -> tuple[IntArray, FloatArray]:
    """Starts for factors where a signal is too large: all at their centres, and each of its factors brings it down.

    What is too large then elsewhere, where that factor does not act, is brought down by the widest that does.
    The point of each start, shape (any,), and the starts, (any, parameters).
    """
    signals = list(_signals(model, contracted, data, points))
    too_large = np.zeros((points, len(model.parameters)), dtype=bool)
    for signal in signals:
        too_large[:, signal.scales] |= (signal.excess > TOO_MANY)[:, None]
    place, first = np.nonzero(too_large)
    down = np.ones((len(place), len(model.parameters)))
    for turn in ("first", "rest"):
        for signal in signals:
            excess = signal.excess[place] * np.prod(down[:, signal.scales], axis=1)
            rows = np.flatnonzero(excess > TOO_MANY)
            if turn == "first":
                rows = rows[np.isin(first[rows], signal.scales)]
                columns = first[rows]
            else:
                columns = np.full(len(rows), signal.scales[0] if len(signal.scales) else 0)
            down[rows, columns] = np.minimum(down[rows, columns], 1 / excess[rows])
    low = model.walls[0]
    brought = np.where(down < 1, np.maximum((down - 1 - model.centre) / model.unit, low), 0.0)
    far = np.flatnonzero(too_large.any(axis=1))
    nominal = np.zeros((len(far), len(model.parameters)))
    return np.concatenate([far, place]), np.concatenate([nominal, brought])


def _signals(
    model: Model, contracted: Sequence[Sequence[FloatArray]], data: Observation, points: int
) -> Iterator[_Signal]:
    """Those that factors can bring down."""
    for number, (expectation, blocks) in enumerate(zip(model.expectations, contracted, strict=True)):
        counts = data.counts[number]
        variance = counts.sketched.variance
        assert variance is not None
        room = np.sum(counts.observed, axis=1) - _constant(expectation, blocks, data.off[number])
        room = np.maximum(room, np.sqrt(np.sum(np.minimum(variance[1], LARGEST_VARIANCE), axis=1)))
        for part, size in _sizes(expectation, blocks):
            movable = part.scales[model.walls[0][part.scales] < 0]
            if not part.constant and len(movable):
                widest = movable[np.argsort(-model.unit[movable], kind="stable")]
                yield _Signal(np.broadcast_to(size / room, points), widest)


def _sizes(expectation: Expectation, blocks: Sequence[FloatArray]) -> Iterator[tuple[Part, FloatArray]]:
    """Every part with its nominal counts, shape (points or 1,); of one that an offset moves, wherever it may be."""
    for block, templates in zip(expectation.blocks, blocks, strict=True):
        first = 0
        for part in block.parts:
            yield part, np.sum(templates[:, first], axis=1)
            first += part.templates.shape[1]


def _constant(expectation: Expectation, blocks: Sequence[FloatArray], off: FloatArray) -> FloatArray:
    """Nominal counts of all that no coupling changes, shape (experiments,)."""
    total = np.zeros(len(off))
    for part, size in _sizes(expectation, blocks):
        if part.constant:
            total = total + size
    if expectation.templates is not None:
        for part, groups in zip(expectation.known, expectation.templates.groups, strict=True):
            assert part.per_bin is not None
            total = total + np.sum(part.per_bin.ratio * off[:, groups] * part.templates[0], axis=1)
    return total
