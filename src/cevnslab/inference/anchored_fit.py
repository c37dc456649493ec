"""The global fit of pseudo-experiments of any likelihood, all of them at once.

The sum over bins of N ln mu, and its derivatives, are linear in the counts N: at fixed couplings and nuisances, the
anchors, one matrix product gives them for all toys. An anchor is the minimum of the truth's Asimov data over the
nuisances at one value of the couplings; a toy's own minimum there follows from one Newton step with the curvature of
the Asimov data. That shows where a toy's chi^2 has its dips, for every value of the couplings on a grid; the dips that
can hold the lowest minimum are followed to the end by the one minimiser, in couplings and nuisances together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference import toy_grids
from cevnslab.inference.coordinates import Coordinates
from cevnslab.inference.intervals import Minimum as Comparison
from cevnslab.inference.landscape import Search
from cevnslab.inference.toy_grids import Grid
from cevnslab.likelihood.anchors import Anchors
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Minimum, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.toys import Truth, asimov

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NUMBERS_AT_ONCE = 500_000
"""Toys times bins that are fitted together: what a processor's cache can bear."""
TOLERANCE = 1e-4
"""Decrease of chi^2 that a fit's last step promises; what it leaves is far below it."""
STEP = 0.5
"""Between anchors along one coupling, in standard deviations."""
FARTHEST_ANCHOR = 1000.0
"""Largest Asimov chi^2 of an anchor."""
MARGIN = 4.0
"""By how much chi^2 of a toy at an anchor may be wrong: counts are few, and nuisances far from the anchor's."""
LOOSE, CONTENDERS = 0.05, 0.3
"""Decrease of chi^2 that ends the ranking of a toy's starts; those within so much of the lowest are followed."""


@dataclass(frozen=True, eq=False)
class AnchoredFit:
    """Fits of toys of one truth."""

    likelihood: Likelihood
    """In the coordinates of the search."""
    tested: tuple[int, ...]
    """Columns of the couplings whose truth is tested."""
    hidden: tuple[int, ...]
    """Columns of those that are minimised over."""
    grid: Grid
    """Of the tested couplings."""
    everywhere: Anchors
    """On the grid."""
    there: Anchors
    """At the truth."""

    @classmethod
    def of(
        cls,
        plain: Likelihood,
        coordinates: Coordinates,
        truth: Truth,
        names: Sequence[str],
        against: Comparison,
        step: float = STEP,
    ) -> AnchoredFit:
        """Place the anchors of a truth, so many standard deviations from each other along one coupling."""
        likelihood = coordinates.likelihood(plain)
        data = asimov(plain, truth)
        at = coordinates.of(truth.couplings[None, :])
        tested = tuple(likelihood.couplings.index(name) for name in names)
        hidden = tuple(likelihood.couplings.index(name) for name in truth.hidden)
        search = Search(likelihood, coordinates, at[0], truth.pulls, tested, hidden, data)
        grid = toy_grids.line(search, step) if len(tested) == 1 else toy_grids.plane(search)
        points = np.repeat(at, len(grid.points), axis=0)
        points[:, tested] = grid.points
        minimum, place = search.minima(points)
        # Far out an expansion says nothing, and no toy is.
        near = np.unique(place[minimum.chi2 < FARTHEST_ANCHOR])
        kept = np.isin(place, near)
        minimum = Minimum(minimum.chi2[kept], minimum.pulls[kept], minimum.couplings[kept])
        grid, place = toy_grids.chosen(grid, near), np.searchsorted(near, place[kept])
        everywhere = Anchors.of(likelihood, minimum, place, hidden, data)
        there = Anchors.of(likelihood, *search.minima(at), hidden, data)
        return cls(likelihood, tested, hidden, grid, everywhere, there)

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        count = max(len(each.observed) for each in toys.counts)
        size = sum(counts.observed.shape[1] for counts in toys.counts)
        step = max(1, NUMBERS_AT_ONCE // size)
        pieces = [self._block(toys.rows(np.arange(start, min(start + step, count)))) for start in range(0, count, step)]
        return np.concatenate(pieces)

    def _block(self, toys: Observation) -> FloatArray:
        at_truth = self._at_truth(toys)
        return np.asarray(at_truth - np.minimum(self.lowest(toys), at_truth))

    def _at_truth(self, toys: Observation) -> FloatArray:
        """chi^2 at the truth, hidden couplings and nuisances minimised over."""
        anchors = self.there
        chi2, whitened = anchors.approximate(toys)
        toy, anchor = np.nonzero(chi2 <= chi2.min(axis=1)[:, None] + MARGIN)
        pulls, couplings = anchors.moved(whitened, toy, anchor)
        return self._finished(toys, toy, pulls, couplings, self.hidden)

    def lowest(self, toys: Observation) -> FloatArray:
        """chi^2 of the lowest minimum."""
        anchors = self.everywhere
        chi2, whitened = anchors.approximate(toys)
        profile, branch = anchors.lowest_branch(chi2)
        toy, place, start = toy_grids.contenders(profile, self.grid, MARGIN)
        anchor = branch[toy, place]
        pulls, couplings = anchors.moved(whitened, toy, anchor)
        if len(self.tested) == 1:
            self._interpolate(start[:, 0], branch, whitened, toy, place, pulls, couplings)
        return self._finished(toys, toy, pulls, couplings, (*self.tested, *self.hidden))

    def _interpolate(
        self,
        start: FloatArray,
        branch: IntArray,
        whitened: FloatArray,
        toy: IntArray,
        place: IntArray,
        pulls: FloatArray,
        couplings: FloatArray,
    ) -> None:
        """Move starts from the dips of the grid to the parabolas' vertices."""
        around = self.grid.neighbours[place]
        column, line = self.tested[0], self.grid.points[:, 0]
        shift = start - line[place]
        other = np.where(shift < 0, around[:, 0], around[:, 1])
        gap = line[other] - line[place]
        part = np.divide(shift, gap, out=np.zeros_like(shift), where=gap != 0)[:, None]
        beside = self.everywhere.moved(whitened, toy, branch[toy, other])
        pulls += part * (beside[0] - pulls)
        hidden = list(self.hidden)
        couplings[:, hidden] += part * (beside[1][:, hidden] - couplings[:, hidden])
        couplings[:, column] = start

    def _finished(
        self, toys: Observation, toy: IntArray, pulls: FloatArray, couplings: FloatArray, free: Sequence[int]
    ) -> FloatArray:
        """chi^2 of the lowest of the minima that starts lead to, shape (toys,).

        Toys with several starts have them ranked first, and only those that contend followed to the end.
        """
        count, model = max(len(each.observed) for each in toys.counts), self.likelihood.model
        lowest = np.full(count, np.inf)
        several = np.flatnonzero(np.bincount(toy, minlength=count)[toy] > 1)
        if len(several):
            ranked = minimise(model, couplings[several], pulls[several], toys.rows(toy[several]), tuple(free), LOOSE)
            couplings[several], pulls[several] = ranked.couplings, ranked.pulls
            np.minimum.at(lowest, toy[several], ranked.chi2)
            contends = np.ones(len(toy), dtype=bool)
            contends[several] = ranked.chi2 <= lowest[toy[several]] + CONTENDERS
            toy, couplings, pulls = toy[contends], couplings[contends], pulls[contends]
        fits = minimise(model, couplings, pulls, toys.rows(toy), tuple(free), TOLERANCE)
        np.minimum.at(lowest, toy, fits.chi2)
        return lowest
