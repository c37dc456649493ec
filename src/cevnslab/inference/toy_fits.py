"""Delta chi^2 at the truth of many pseudo-experiments, each with a global fit of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference import toy_grids
from cevnslab.inference.anchored_fit import AnchoredFit
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.compressed_fit import Surface, connected, lowest
from cevnslab.inference.coordinates import Coordinates
from cevnslab.inference.intervals import Minimum, searched
from cevnslab.inference.landscape import Search
from cevnslab.inference.toy_grids import Grid
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.profile import independent_parts
from cevnslab.likelihood.sufficient import Normalisations, Statistics, draw_compressed, normalisations, reduce_counts
from cevnslab.likelihood.toys import Ensemble, Truth, as_data, asimov, draw
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]

BARRIER_POINTS = 41
"""Around the highest sample on the way: a parabola's top is then known to a thousandth of what it rises there."""


@dataclass(frozen=True, eq=False)
class CompressedFit:
    """Fits from sufficient statistics: least squares with normalisations alone, along one coupling or two."""

    likelihood: Likelihood
    """In the coordinates of the search."""
    parts: tuple[Normalisations, ...]
    truth: FloatArray
    """Coordinates of the truth, shape (couplings,)."""
    origin: FloatArray
    """Those of the Standard Model."""
    grid: Grid
    minimum: Minimum

    @classmethod
    def of(cls, plain: Likelihood, coordinates: Coordinates, truth: Truth, minimum: Minimum) -> CompressedFit | None:
        """None where the structure has no closed form."""
        likelihood = coordinates.likelihood(plain)
        parts = [normalisations(part) for part in independent_parts(likelihood)]
        if likelihood.priors or not 1 <= len(likelihood.couplings) <= 2:
            return None
        exact_parts = tuple(part for part in parts if part is not None)
        if len(exact_parts) < len(parts):
            return None
        at = coordinates.of(truth.couplings[None, :])[0]
        origin = np.array([each.standard_model for each in coordinates.each])
        search = Search(likelihood, coordinates, at, truth.pulls, tuple(range(len(at))), (), asimov(plain, truth))
        grid = toy_grids.line(search) if len(at) == 1 else toy_grids.plane(search)
        if minimum == "connected":
            data = asimov(plain, Truth.of(plain, plain.polynomial.standard_model))
            nothing = Search(likelihood, coordinates, origin, truth.pulls, (0,), (), data)
            grid = toy_grids.connected(grid, nothing, float(at[0]))
        return cls(likelihood, exact_parts, at, origin, grid, minimum)

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        return self.of_surface(_surface(self.likelihood, self.parts, toys))

    def of_statistics(self, statistics: Statistics) -> FloatArray:
        """The same from the sufficient statistics of a likelihood of one part."""
        return self.of_surface(_joined(self.likelihood, self.parts, [statistics]))

    def of_surface(self, surface: Surface) -> FloatArray:
        """The same from chi^2 as a function."""
        if self.minimum == "connected":
            return connected(surface, self.grid, self.truth, self.origin)
        at_truth = surface.on_grid(self.truth[None, :])[:, 0]
        return np.asarray(at_truth - np.minimum(lowest(surface, self.grid), at_truth))


def _surface(likelihood: Likelihood, parts: tuple[Normalisations, ...], toys: Observation) -> Surface:
    statistics = [reduce_counts(part, _own_rows(likelihood, part.likelihood, toys)) for part in parts]
    return _joined(likelihood, parts, statistics)


def _joined(likelihood: Likelihood, parts: tuple[Normalisations, ...], statistics: Sequence[Statistics]) -> Surface:
    whole = likelihood.polynomial
    parts_of: list[tuple[Statistics, Polynomial, list[int]]] = []
    for part, part_statistics in zip(parts, statistics, strict=True):
        parts_of.append((part_statistics, part.polynomial, [whole.names.index(name) for name in part.polynomial.names]))
    return Surface(np.array([variable.bounds for variable in whole.variables]), tuple(parts_of))


def _own_rows(likelihood: Likelihood, part: Likelihood, toys: Observation) -> Observation:
    """What a part of a likelihood sees of toys."""
    datasets = [dataset.name for dataset in likelihood.datasets]
    places = [datasets.index(dataset.name) for dataset in part.datasets]
    parameters = [parameter.name for parameter in likelihood.parameters]
    columns = [parameters.index(parameter.name) for parameter in part.parameters]
    counts, off = tuple(toys.counts[place] for place in places), tuple(toys.off[place] for place in places)
    return Observation(counts, off, toys.centres[:, columns])


@dataclass(frozen=True, eq=False)
class ConnectedFit:
    """Toys of one coupling one by one, against the minimum nearest the Standard Model, where there is no closed form.

    chi^2 of the truth, or of the barrier on the way from that minimum to it where it is higher: only the connected
    piece belongs to the interval.
    """

    likelihood: Likelihood
    """In the coordinates of the search."""
    names: tuple[str, ...]
    hidden: tuple[str, ...]
    truth: float
    """Its coordinate."""

    @classmethod
    def of(cls, plain: Likelihood, coordinates: Coordinates, truth: Truth, names: Sequence[str]) -> ConnectedFit:
        """For toys of a truth; `StatisticsError` for two couplings, of whose regions there is no connected one."""
        if len(names) > 1:
            raise StatisticsError("regions of two couplings compare with the global minimum, not the connected one")
        at = coordinates.of(truth.couplings[None, :])[0, plain.couplings.index(names[0])]
        return cls(coordinates.likelihood(plain), tuple(names), truth.hidden, float(at))

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        return np.array([self._of_toy(toys, toy) for toy in range(toys.size)])

    def _of_toy(self, toys: Observation, toy: int) -> float:
        function = Chi2.of(as_data(self.likelihood, toys, toy), self.names, self.hidden)
        curve = searched(function, [0.0], "connected")
        at_truth = float(function(self.truth))
        assert curve.lines is not None
        ends = sorted([curve.best_fit, self.truth])
        way = np.flatnonzero((curve.lines.at > ends[0]) & (curve.lines.at < ends[1]))
        top = way[np.argmax(curve.lines.sample.chi2[way])] if len(way) else 0
        if not len(way) or curve.lines.sample.chi2[top] <= at_truth:
            return max(at_truth - curve.lowest, 0.0)
        around = np.clip(curve.lines.at[[top - 1, top + 1]], ends[0], ends[1])
        barrier = function(np.linspace(around[0], around[1], BARRIER_POINTS)).max()
        return float(max(barrier, curve.lines.sample.chi2[top]) - curve.lowest)


@dataclass(frozen=True, eq=False)
class ToyFit:
    """Toys of one truth and their fits."""

    likelihood: Likelihood
    """With the couplings that are tested or minimised over, in plain values."""
    truth: Truth
    engine: CompressedFit | AnchoredFit | ConnectedFit

    @classmethod
    def of(
        cls,
        likelihood: Likelihood,
        names: Sequence[str],
        values: Sequence[float],
        hidden: Sequence[str] = (),
        minimum: Minimum = "global",
    ) -> ToyFit:
        """Couplings `names` at true values (plain units), `hidden` minimised over, others as in the Standard Model."""
        alone = likelihood.restricted([*names, *hidden])
        point = alone.polynomial.standard_model.copy()
        for name, value in zip(names, values, strict=True):
            point[alone.couplings.index(name)] = value
        truth = Truth.of(alone, point, tuple(hidden))
        coordinates = Coordinates.of_likelihood(alone)
        compressed = None if hidden else CompressedFit.of(alone, coordinates, truth, minimum)
        general = ConnectedFit if minimum == "connected" else AnchoredFit
        return cls(alone, truth, compressed or general.of(alone, coordinates, truth, tuple(names)))

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        return self.engine.delta_chi2(toys)

    def simulated(
        self, toys: int, rng: np.random.Generator, ensemble: Ensemble, *, compressed: bool = False
    ) -> FloatArray:
        """The same of toys that are drawn: exact counts, or, where they can be, sufficient statistics as normals."""
        if compressed and isinstance(self.engine, CompressedFit) and len(self.engine.parts) == 1:
            (part,) = self.engine.parts
            truth = replace(self.truth, couplings=self.engine.truth)
            return self.engine.of_statistics(draw_compressed(part, truth, toys, rng, ensemble))
        return self.delta_chi2(draw(self.likelihood, self.truth, toys, rng, ensemble))
