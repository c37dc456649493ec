"""Where searches of the nuisance parameters start, and with which factors far from the Standard Model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.minimiser import Model, contracted_at, evaluate, minimise
from cevnslab.likelihood.observation import Observation
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
"""Times the counts of a data set: a signal that is larger is brought down by one of its factors at a time."""


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
    found = minimise(model, couplings[place], begin, sketch.rows(place), tolerance=LOOSE, still=~factors)
    order = np.lexsort((found.chi2, place))
    best = found.pulls[order[np.unique(place[order], return_index=True)[1]]]
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
    for expectation, blocks, counts in zip(model.expectations, contracted, data.counts, strict=True):
        total = np.sum(counts.observed, axis=1) + 1.0
        for block, templates in zip(expectation.blocks, blocks, strict=True):
            first = 0
            for part in block.parts:
                if not part.constant:
                    size = total / np.maximum(np.sum(templates[:, first], axis=1), total)
                    for column in part.scales:
                        down[:, column] = np.minimum(down[:, column], size)
                first += part.templates.shape[1]
    place, column = np.nonzero(down < 1 / TOO_MANY)
    brought = np.zeros((len(place), len(model.parameters)))
    low = model.walls[0]
    factor = down[place, column]
    value = (factor - 1 - model.centre[column]) / model.unit[column]
    movable = low[column] < 0
    brought[np.arange(len(place)), column] = np.maximum(value, low[column])
    everywhere: IntArray = np.arange(points)
    return (
        np.concatenate([everywhere, place[movable]]),
        np.concatenate([np.zeros((points, len(model.parameters))), brought[movable]]),
    )
