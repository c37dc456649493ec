"""delta chi^2 at the truth of many pseudo-experiments, each with a global fit of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference import toy_grids
from cevnslab.inference.compressed_fit import Grid, Surface, connected, lowest
from cevnslab.inference.coordinates import Coordinates
from cevnslab.inference.intervals import Minimum
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Observation
from cevnslab.likelihood.profile import independent_parts
from cevnslab.likelihood.statistics import Counts
from cevnslab.likelihood.sufficient import Normalisations, Statistics, normalisations, reduce_counts
from cevnslab.likelihood.toys import Truth, expected_counts

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CompressedFit:
    """Fits from sufficient statistics: least squares with normalisations alone, along one coupling or two."""

    likelihood: Likelihood
    parts: tuple[Normalisations, ...]
    truth: FloatArray
    """Coordinates of the truth, shape (couplings,)."""
    grid: Grid
    minimum: Minimum

    @classmethod
    def of(cls, likelihood: Likelihood, truth: Truth, minimum: Minimum) -> CompressedFit | None:
        """None where the structure has no closed form."""
        parts = [normalisations(part) for part in independent_parts(likelihood)]
        if likelihood.priors or not 1 <= len(likelihood.couplings) <= 2:
            return None
        known = tuple(part for part in parts if part is not None)
        if len(known) < len(parts):
            return None
        at = Coordinates(likelihood.polynomial).of(truth.couplings[None, :])[0]
        asimov = _surface(likelihood, known, _asimov(likelihood, truth))
        grid = toy_grids.line(asimov, float(at[0])) if len(at) == 1 else toy_grids.plane(asimov, at)
        if minimum == "connected":
            origin = Truth.of(likelihood, likelihood.polynomial.standard_model)
            there = _surface(likelihood, known, _asimov(likelihood, origin))
            grid = toy_grids.connected(grid, there, float(at[0]))
        return cls(likelihood, known, at, grid, minimum)

    def surface(self, toys: Observation) -> Surface:
        """chi^2 of toys."""
        return _surface(self.likelihood, self.parts, toys)

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        return self.of_surface(self.surface(toys))

    def of_surface(self, surface: Surface) -> FloatArray:
        """The same from sufficient statistics."""
        at_truth = surface.on_grid(self.truth[None, :])[:, 0]
        if self.minimum == "global":
            return np.asarray(at_truth - np.minimum(lowest(surface, self.grid), at_truth))
        origin = Coordinates(self.likelihood.polynomial).of(self.likelihood.polynomial.standard_model[None, :])[0]
        return connected(surface, self.grid, self.truth, origin)


def _asimov(likelihood: Likelihood, truth: Truth) -> Observation:
    """The truth's expectation as the data of one toy, with itself as variance."""
    expected = expected_counts(likelihood, truth, truth.couplings[None, :], truth.pulls[None, :])
    counts = []
    for dataset, mean in zip(likelihood.datasets, expected, strict=True):
        errors = dataset.errors
        variance = np.maximum(mean, 1e-300) if errors is None else errors[0][None, :] ** 2
        counts.append(Counts(mean, (variance, variance)))
    nothing = np.zeros((1, len(likelihood.parameters)))
    return Observation(tuple(counts), tuple(np.zeros((1, 0)) for _ in counts), nothing)


def _surface(likelihood: Likelihood, parts: tuple[Normalisations, ...], toys: Observation) -> Surface:
    whole = likelihood.polynomial.names
    made: list[tuple[Statistics, Coordinates, list[int]]] = []
    for part in parts:
        statistics = reduce_counts(part, _own_rows(likelihood, part.likelihood, toys))
        columns = [whole.index(name) for name in part.polynomial.names]
        made.append((statistics, Coordinates(part.polynomial), columns))
    return Surface(Coordinates(likelihood.polynomial), tuple(made))


def _own_rows(likelihood: Likelihood, part: Likelihood, toys: Observation) -> Observation:
    """What a part of a likelihood sees of toys."""
    datasets = [dataset.name for dataset in likelihood.datasets]
    places = [datasets.index(dataset.name) for dataset in part.datasets]
    parameters = [parameter.name for parameter in likelihood.parameters]
    columns = [parameters.index(parameter.name) for parameter in part.parameters]
    counts, off = tuple(toys.counts[place] for place in places), tuple(toys.off[place] for place in places)
    return Observation(counts, off, toys.centres[:, columns])


@dataclass(frozen=True, eq=False)
class ToyFit:
    """Fits of toys of one truth."""

    compressed: CompressedFit

    @classmethod
    def of(
        cls,
        likelihood: Likelihood,
        names: tuple[str, ...],
        values: tuple[float, ...],
        hidden: tuple[str, ...] = (),
        minimum: Minimum = "global",
    ) -> ToyFit:
        """Couplings `names` at true values (plain units), `hidden` minimised over, others as in the Standard Model."""
        alone = likelihood.restricted([*names, *hidden])
        point = alone.polynomial.standard_model.copy()
        for name, value in zip(names, values, strict=True):
            point[alone.couplings.index(name)] = value
        made = CompressedFit.of(alone, Truth.of(alone, point, hidden), minimum)
        assert made is not None
        return cls(made)

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        return self.compressed.delta_chi2(toys)
