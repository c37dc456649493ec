"""Where the minima of a truth's Asimov data are: roughly for all values of the couplings, exactly where asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.coordinates import Coordinate, Coordinates
from cevnslab.likelihood.anchors import minima
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.linearised import Linearised
from cevnslab.likelihood.minimiser import Minimum
from cevnslab.likelihood.observation import Observation

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

HIDDEN_POINTS = (0, 80, 14, 4)
"""Per side of every coupling minimised over, where there are none, one, two, and three or more."""
HIDDEN_STARTS = 12
"""Lowest of the values of the hidden couplings from which minima are looked for."""
LATTICE_AT_ONCE = 50_000


@dataclass(frozen=True, eq=False)
class Search:
    """Where the minima of a truth's Asimov data are."""

    likelihood: Likelihood
    """In the coordinates."""
    every: Coordinates
    """Of all its couplings."""
    at: FloatArray
    """The truth's coordinates."""
    pulls: FloatArray
    tested: tuple[int, ...]
    """Columns of the couplings under test."""
    hidden: tuple[int, ...]
    """Columns of those that are minimised over."""
    data: Observation
    """The truth's Asimov."""

    @property
    def coordinates(self) -> list[Coordinate]:
        """Of the couplings under test."""
        return [self.every.each[column] for column in self.tested]

    @property
    def truth(self) -> FloatArray:
        """The coordinates of those."""
        return self.at[list(self.tested)]

    @cached_property
    def _linear(self) -> Linearised:
        return Linearised.of(self.likelihood, self.at, self.pulls, self.data)

    @cached_property
    def _lattice(self) -> FloatArray:
        """Values of the hidden couplings: shape (points, hidden)."""
        per_side = HIDDEN_POINTS[min(len(self.hidden), len(HIDDEN_POINTS) - 1)]
        axes = []
        for column in self.hidden:
            axes.append(np.union1d(self.every.each[column].search_points(per_side), [self.at[column]]))
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))

    def _on_lattice(self, points: FloatArray) -> FloatArray:
        """The linearised chi^2 at all couplings (points, couplings) and all of the lattice: shape (points, lattice)."""
        full = np.repeat(points, len(self._lattice), axis=0)
        full[:, self.hidden] = np.tile(self._lattice, (len(points), 1))
        return self._linear.depth(full, self.hidden).reshape(len(points), -1)

    def _best(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The lowest of the lattice at points, and all couplings there."""
        full, depth = np.repeat(self.at[None, :], len(points), axis=0), np.empty(len(points))
        full[:, self.tested] = points
        if not self.hidden:
            return self._linear.depth(full), full
        step = max(1, LATTICE_AT_ONCE // len(self._lattice))
        for start in range(0, len(full), step):
            block = slice(start, start + step)
            on_lattice = self._on_lattice(full[block])
            depth[block] = on_lattice.min(axis=1)
            full[block, self.hidden] = self._lattice[on_lattice.argmin(axis=1)]
        return depth, full

    def depth(self, points: FloatArray) -> FloatArray:
        """The linearised chi^2 at values of the tested couplings."""
        return self._best(points)[0] + self._of_priors(points - self.truth)

    def lengths(self, points: FloatArray) -> FloatArray:
        """Distances of neighbouring points in standard deviations."""
        full = np.repeat(self.at[None, :], len(points), axis=0)
        full[:, self.tested] = points
        return np.sqrt(self._linear.lengths(full, self.hidden) ** 2 + self._of_priors(np.diff(points, axis=0)))

    def _of_priors(self, shifts: FloatArray) -> FloatArray:
        """What the priors of tested couplings add to chi^2, which may be all that constrains one: shape (points,)."""
        stiffness = self.likelihood.model.coupling_stiffness[list(self.tested)]
        return np.asarray(shifts**2 @ stiffness)

    def signatures(self, points: FloatArray) -> FloatArray:
        """Rows whose distances are roughly those of points in standard deviations."""
        return self._linear.signatures(self._best(points)[1], self.at, self.hidden)

    def minima(self, points: FloatArray) -> tuple[Minimum, IntArray]:
        """The distinct minima at points (points, couplings), and the point of each."""
        couplings, places = points, np.arange(len(points))
        if self.hidden:
            chi2 = self._on_lattice(points)
            ranked = np.argsort(chi2, axis=1)[:, :HIDDEN_STARTS]
            places = np.repeat(places, ranked.shape[1] + 1)
            couplings = points[places]
            places_on_lattice = np.concatenate([np.full((len(points), 1), -1), ranked], axis=1).ravel()
            rows, columns = np.flatnonzero(places_on_lattice >= 0), np.array(self.hidden)
            couplings[rows[:, None], columns] = self._lattice[places_on_lattice[rows]]
        starts = self.likelihood.starts + self.pulls
        many = np.repeat(np.arange(len(couplings)), len(starts))
        return minima(
            self.likelihood,
            couplings[many],
            places[many],
            np.tile(starts, (len(couplings), 1)),
            self.hidden,
            self.data,
        )

    def probes(self, point: FloatArray) -> Minimum:
        """At couplings (couplings,), the minimum with every nuisance that bends shapes held far from its centre."""
        parameters = self.likelihood.parameters
        chi2, pulls = [np.empty(0)], [np.empty((0, len(parameters)))]
        for start in self.likelihood.starts[1:]:
            (column,) = np.flatnonzero(start)
            parameter = parameters[column]
            held = replace(parameter, width=0.0, centre=parameter.centre + parameter.unit * start[column])
            fixed = self.likelihood.with_parameters({parameter.name: held})
            at = fixed.minimised(
                point[None, :], starts=np.where(start, 0.0, self.pulls)[None, :], observation=self.data
            )
            there = at.pulls.copy()
            there[:, column] = start[column]
            chi2.append(at.chi2)
            pulls.append(there)
        count = len(chi2) - 1
        return Minimum(np.concatenate(chi2), np.concatenate(pulls), np.tile(point, (count, 1)))
