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
from cevnslab.inference.landscape import Search
from cevnslab.inference.toy_grids import Grid
from cevnslab.likelihood.anchors import Anchors
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Minimum, contracted_at, evaluate, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.toys import Truth, asimov

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NUMBERS_AT_ONCE = 500_000
"""Toys times bins that are fitted together: what a processor's cache can bear."""
TOLERANCE = 1e-6
"""Decrease of chi^2 that a fit's last step promises; what it leaves is far below it."""
STEP = 0.5
"""Between anchors along one coupling, in standard deviations."""
FARTHEST_ANCHOR = 1000.0
"""Largest Asimov chi^2 of an anchor."""
MARGIN = 40.0
"""By how much chi^2 of a toy at an anchor may be wrong: counts are few, and nuisances far from the anchor's."""
SHARES = (0.3, 0.3, 0.0)
"""Of a start's distance from its anchor that are tried where the start itself is not possible."""
ELSEWHERE = 0.5
"""In widths of some nuisance: starts that are nearer to each other lead to the same minimum."""
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
    """At the truth: its minima, then probes, from which toys may have a minimum that the truth has not."""
    minima_there: int
    """How many of these are minima."""

    @classmethod
    def of(
        cls, plain: Likelihood, coordinates: Coordinates, truth: Truth, names: Sequence[str], step: float = STEP
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
        near_enough = np.isin(place, near)
        minimum = Minimum(minimum.chi2[near_enough], minimum.pulls[near_enough], minimum.couplings[near_enough])
        grid, place = toy_grids.chosen(grid, near), np.searchsorted(near, place[near_enough])
        everywhere = Anchors.of(likelihood, minimum, place, hidden, data)
        minimum, place = search.minima(at)
        probes = search.probes(at[0])
        both = Minimum(*(np.concatenate(each) for each in zip(_parts(minimum), _parts(probes), strict=True)))
        there = Anchors.of(likelihood, both, np.zeros(len(both.chi2), dtype=np.int64), hidden, data)
        return cls(likelihood, tested, hidden, grid, everywhere, there, len(place))

    def delta_chi2(self, toys: Observation) -> FloatArray:
        """What each toy compares with the level, shape (toys,)."""
        size = sum(counts.observed.shape[1] for counts in toys.counts)
        step = max(1, NUMBERS_AT_ONCE // size)
        starts = range(0, toys.size, step)
        pieces = [self._block(toys.rows(np.arange(start, min(start + step, toys.size)))) for start in starts]
        return np.concatenate(pieces)

    def _block(self, toys: Observation) -> FloatArray:
        at_truth, lowest = np.full(toys.size, np.inf), np.full(toys.size, np.inf)
        toy, minima = self._minima(toys)
        np.minimum.at(lowest, toy, minima.chi2)
        rows, there = self._at_truth(toys, toy, minima)
        np.minimum.at(at_truth, rows, there.chi2)
        if self._several:
            # Each knows of minima that the other may not.
            best = _lowest_of(rows, there)
            heights = lowest[rows[best]]
            fits = self._followed(toys, rows[best], there, best, (*self.tested, *self.hidden))
            np.minimum.at(lowest, rows[best], fits.chi2)
            lower = np.flatnonzero(fits.chi2 < heights - CONTENDERS)
            if len(lower):
                again = self._followed(toys, rows[best][lower], self._moved_there(fits), lower, self.hidden)
                np.minimum.at(at_truth, rows[best][lower], again.chi2)
        return np.asarray(at_truth - np.minimum(lowest, at_truth))

    @property
    def _several(self) -> bool:
        """Whether several minima may compete in what is minimised over."""
        return bool(self.hidden) or self.likelihood.shaped

    def _followed(
        self, toys: Observation, toy: IntArray, starts: Minimum, selection: IntArray, free: Sequence[int]
    ) -> Minimum:
        """From some of known minima, with other couplings free."""
        pulls, couplings = starts.pulls[selection], starts.couplings[selection]
        return minimise(self.likelihood.model, couplings, pulls, toys.rows(toy), tuple(free), TOLERANCE)

    def _moved_there(self, minima: Minimum) -> Minimum:
        """Minima with the tested couplings put to the truth."""
        couplings = minima.couplings.copy()
        couplings[:, self.tested] = self.there.couplings[0, list(self.tested)]
        return Minimum(minima.chi2, minima.pulls, couplings)

    def _at_truth(self, toys: Observation, other: IntArray, minima: Minimum) -> tuple[IntArray, Minimum]:
        """Minima at the truth over hidden couplings and nuisances, and the toy of each.

        Where several minima compete, what is minimised over is at times where it is at the minima elsewhere, which
        belong to the toys `other`.
        """
        anchors = self.there
        chi2, whitened = anchors.approximate(toys)
        toy, anchor = np.nonzero(chi2 <= chi2[:, : self.minima_there].min(axis=1)[:, None] + MARGIN)
        pulls, couplings = anchors.moved(whitened, toy, anchor)
        self._shorten(toys, toy, pulls, couplings, anchors.pulls[anchor], anchors.couplings[anchor])
        elsewhere = self._elsewhere(toys.size, toy, anchor, pulls)
        toy, pulls, couplings = toy[elsewhere], pulls[elsewhere], couplings[elsewhere]
        if self._several:
            transferred = self._moved_there(minima)
            toy, pulls = np.concatenate([toy, other]), np.concatenate([pulls, transferred.pulls])
            couplings = np.concatenate([couplings, transferred.couplings])
        return self._finished(toys, toy, pulls, couplings, self.hidden)

    def _shorten(
        self,
        toys: Observation,
        toy: IntArray,
        pulls: FloatArray,
        couplings: FloatArray,
        anchor_pulls: FloatArray,
        anchor_couplings: FloatArray,
    ) -> None:
        """Take starts back towards their anchors where they left what is possible: a bin with counts expects none."""
        model, outside = self.likelihood.model, np.arange(len(toy))
        for share in SHARES:
            contracted = contracted_at(model, couplings[outside])
            at = np.clip(pulls[outside], *model.walls)
            state = evaluate(model, contracted, couplings[outside], at, toys.rows(toy[outside]))
            outside = outside[~np.isfinite(state.chi2)]
            if not len(outside):
                return
            pulls[outside] = anchor_pulls[outside] + share * (pulls[outside] - anchor_pulls[outside])
            couplings[outside] = anchor_couplings[outside] + share * (couplings[outside] - anchor_couplings[outside])

    def _elsewhere(self, count: int, toy: IntArray, anchor: IntArray, pulls: FloatArray) -> NDArray[np.bool_]:
        """All minima, and the probes that lead a toy elsewhere than these."""
        probe = anchor >= self.minima_there
        if not probe.any():
            return ~probe
        places = np.full((count, self.minima_there, pulls.shape[1]), np.inf)
        places[toy[~probe], anchor[~probe]] = pulls[~probe]
        distance = np.abs(places[toy] - pulls[:, None]).max(axis=2).min(axis=1)
        return np.asarray(~probe | (distance > ELSEWHERE))

    def lowest(self, toys: Observation) -> FloatArray:
        """chi^2 of the lowest minimum."""
        toy, minima = self._minima(toys)
        chi2 = np.full(toys.size, np.inf)
        np.minimum.at(chi2, toy, minima.chi2)
        return chi2

    def _minima(self, toys: Observation) -> tuple[IntArray, Minimum]:
        """The lowest minima, in all couplings, and the toy of each."""
        anchors = self.everywhere
        chi2, whitened = anchors.approximate(toys)
        profile, branch = anchors.lowest_branch(chi2)
        toy, place, start = toy_grids.contenders(profile, self.grid, MARGIN)
        anchor = branch[toy, place]
        pulls, couplings = anchors.moved(whitened, toy, anchor)
        if len(self.tested) == 1:
            self._interpolate(start[:, 0], branch, whitened, toy, place, pulls, couplings)
        self._shorten(toys, toy, pulls, couplings, anchors.pulls[anchor], anchors.couplings[anchor])
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
    ) -> tuple[IntArray, Minimum]:
        """The minima that starts lead to, and the toy of each.

        Toys with several starts have them ranked first, and only those that contend followed to the end.
        """
        model = self.likelihood.model
        several = np.flatnonzero(np.bincount(toy, minlength=toys.size)[toy] > 1)
        if len(several):
            ranked = minimise(model, couplings[several], pulls[several], toys.rows(toy[several]), tuple(free), LOOSE)
            couplings[several], pulls[several] = ranked.couplings, ranked.pulls
            lowest = np.full(toys.size, np.inf)
            np.minimum.at(lowest, toy[several], ranked.chi2)
            contends = np.ones(len(toy), dtype=bool)
            contends[several] = ranked.chi2 <= lowest[toy[several]] + CONTENDERS
            toy, couplings, pulls = toy[contends], couplings[contends], pulls[contends]
        return toy, minimise(model, couplings, pulls, toys.rows(toy), tuple(free), TOLERANCE)


def _parts(minimum: Minimum) -> tuple[FloatArray, FloatArray, FloatArray]:
    return minimum.chi2, minimum.pulls, minimum.couplings


def _lowest_of(toy: IntArray, fits: Minimum) -> IntArray:
    """The place of each toy's lowest minimum."""
    order = np.lexsort((fits.chi2, toy))
    return np.asarray(order[np.unique(toy[order], return_index=True)[1]])
