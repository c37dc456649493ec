"""Where searches of the nuisance parameters start, and with which factors far from the Standard Model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.expectation import Expectation
from cevnslab.likelihood.minimiser import Model, contracted_at, evaluate, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.rows import Part
from cevnslab.likelihood.samples import Bend, Sample, Shift

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FAR_PULL = 2.0
"""From where, too, a search starts that bends shapes: large couplings have their minimum where one is pulled so far."""
FAR_SHIFT = 0.4
"""The same for an offset, as a part of its range."""
LOOSE = 1e-2
"""Decrease of chi^2 that ends the search of factors."""
TOO_MANY = 3.0
"""Times the counts beside all backgrounds: a larger signal is brought down by one of its factors at a time."""


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
    of them multiply one signal: then each of them in turn brings it down, and the lowest of these minima is taken. A
    start keeps its own factors where the likelihood is not possible with those.
    """
    factors = np.isin(
        np.arange(len(model.parameters)), np.concatenate([s for e in model.expectations for s in e.scales])
    )
    sketch = replace(data, counts=tuple(counts.sketched for counts in data.counts))
    contracted = contracted_at(model, couplings)
    place, begin = _brought_down(model, contracted, data, len(couplings))
    minima = minimise(model, couplings[place], begin, sketch.rows(place), tolerance=LOOSE, still=~factors)
    order = np.lexsort((minima.chi2, place))
    best = minima.pulls[order[np.unique(place[order], return_index=True)[1]]]
    result = np.repeat(starts[:, None, :], len(couplings), axis=1)
    for each in result:
        scaled = np.where(factors, best, each)
        possible = np.isfinite(evaluate(model, contracted, couplings, scaled, data).chi2)
        each[possible] = scaled[possible]
    return result


def _brought_down(
    model: Model, contracted: Sequence[Sequence[FloatArray]], data: Observation, points: int
) -> tuple[IntArray, FloatArray]:
    """Starts for factors: all at their centres, and where a signal is too large each of its factors brings it down.

    The point of each start, shape (any,), and the starts, (any, parameters).
    """
    down = np.ones((points, len(model.parameters)))
    for number, (expectation, blocks) in enumerate(zip(model.expectations, contracted, strict=True)):
        counts = np.sum(data.counts[number].observed, axis=1)
        room = np.maximum(counts - _constant(expectation, blocks, data.off[number]), np.sqrt(counts) + 1)
        for part, size in _sizes(expectation, blocks):
            if not part.constant:
                for column in part.scales:
                    down[:, column] = np.minimum(down[:, column], room / np.maximum(size, room))
    # What cannot be below its centre brings nothing down.
    place, column = np.nonzero((down < 1 / TOO_MANY) & (model.walls[0] < 0))
    brought = np.zeros((len(place), len(model.parameters)))
    value = (down[place, column] - 1 - model.centre[column]) / model.unit[column]
    brought[np.arange(len(place)), column] = np.maximum(value, model.walls[0][column])
    everywhere: IntArray = np.arange(points)
    return (
        np.concatenate([everywhere, place]),
        np.concatenate([np.zeros((points, len(model.parameters))), brought]),
    )


def _sizes(expectation: Expectation, blocks: Sequence[FloatArray]) -> Iterator[tuple[Part, FloatArray]]:
    """Every part with its nominal counts, shape (points or 1,)."""
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
