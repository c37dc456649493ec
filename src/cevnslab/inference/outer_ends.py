"""The outer ends of the intervals that pseudo-experiments would give, all toys at once.

chi^2 of every toy is known on anchors along the coupling (`anchored_fit`), or fitted there where templates bend, and a
spline lies between them. It says where the interval begins and where it ends, whatever lies between; from there
Newton's method in the coupling, nuisances minimised over at every step, ends at the crossing of the toy's own chi^2.
One toy at a time, from scratch, is `toy_tasks.IntervalTask`: the second route.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.anchored_fit import LOOSE, NUMBERS_AT_ONCE, TOLERANCE, AnchoredFit
from cevnslab.inference.coordinates import Coordinate, Coordinates
from cevnslab.inference.intervals import Minimum
from cevnslab.inference.toy_grids import dips
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Minimum as Minima
from cevnslab.likelihood.minimiser import coupling_slopes, minimise
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.toys import Truth

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

STEP = 0.25
"""Between anchors, in standard deviations: a dip between two of them is no deeper than 1/64 below the lower one."""
FINER = 4
"""Points of the spline per gap of the anchors."""
ENOUGH = 3e-4
"""Distance of chi^2 from the level at which an end is done: some ten-thousandths of a standard deviation."""
MOST_STEPS = 6


class OuterEnds(NamedTuple):
    """Of the intervals of toys, shape (toys, levels) each."""

    low: FloatArray
    """In the coupling's plain unit; a bound of the coupling where chi^2 does not reach the level before it."""
    high: FloatArray
    disjoint: NDArray[np.bool_]
    """Whether there are several pieces."""


@dataclass(frozen=True, eq=False)
class _Lines:
    """chi^2 of toys along the coupling."""

    at: FloatArray
    """Values of the coupling, rising: shape (points,)."""
    chi2: FloatArray
    """Nuisances and hidden couplings minimised over, shape (toys, points)."""
    state: Callable[[IntArray, IntArray], tuple[FloatArray, FloatArray]]
    """Nuisances and couplings of toys at points."""


@dataclass(frozen=True, eq=False)
class OuterEndsFit:
    """Finds the outer ends for toys of one truth."""

    engine: AnchoredFit
    likelihood: Likelihood
    """In plain values, with the couplings that are tested or minimised over: what toys are drawn from."""
    truth: Truth
    coordinate: Coordinate
    minimum: Minimum
    rises: FloatArray
    """Delta chi^2 of the confidence levels, shape (levels,)."""

    @classmethod
    def of(
        cls,
        likelihood: Likelihood,
        name: str,
        value: float,
        rises: FloatArray,
        hidden: tuple[str, ...] = (),
        minimum: Minimum = "global",
    ) -> OuterEndsFit:
        """Toys with the coupling at a true value (plain units), `hidden` minimised over."""
        alone = likelihood.restricted([name, *hidden])
        place = alone.couplings.index(name)
        point = alone.polynomial.standard_model.copy()
        point[place] = value
        truth = Truth.of(alone, point, hidden)
        coordinates = Coordinates.of_likelihood(alone)
        engine = AnchoredFit.of(alone, coordinates, truth, (name,), STEP)
        return cls(engine, alone, truth, coordinates.each[place], minimum, np.asarray(rises, dtype=float))

    def ends(self, toys: Observation) -> OuterEnds:
        """The outer ends of every toy's intervals."""
        count = max(len(each.observed) for each in toys.counts)
        step = max(1, NUMBERS_AT_ONCE // sum(counts.observed.shape[1] for counts in toys.counts))
        blocks = [self._block(toys.rows(np.arange(start, min(start + step, count)))) for start in range(0, count, step)]
        return OuterEnds(*(np.concatenate(each) for each in zip(*blocks, strict=True)))

    def _block(self, toys: Observation) -> OuterEnds:
        from scipy.interpolate import Akima1DInterpolator

        lines = self._swept(toys) if self.engine.likelihood.shaped else self._anchored(toys)
        between = np.arange(FINER * (len(lines.at) - 1) + 1) / FINER
        fine = np.interp(between, np.arange(len(lines.at)), lines.at)
        # Akima's spline is local: gaps of many decades beside small ones make no waves.
        curve = Akima1DInterpolator(lines.at, lines.chi2, axis=1)(fine)
        row = np.arange(len(curve))
        start = self._best(curve, fine)
        bottom = curve[row, start]
        lowest = self._lowest(toys, lines, fine[start])
        shape = len(curve), len(self.rises)
        low, high, disjoint = np.empty(shape), np.empty(shape), np.empty(shape, dtype=bool)
        for number, rise in enumerate(self.rises):
            below = curve < (bottom + rise)[:, None]
            below[row, start] = True
            if self.minimum == "connected":
                below = _run_around(below, start)
            disjoint[:, number] = np.sum(below[:, 1:] & ~below[:, :-1], axis=1) + below[:, 0] > 1
            for ends, first in ((low, True), (high, False)):
                inner = below.argmax(axis=1) if first else len(fine) - 1 - below[:, ::-1].argmax(axis=1)
                outer = np.clip(inner - 1 if first else inner + 1, 0, len(fine) - 1)
                near = _between(curve, fine, inner, outer, bottom + rise)
                ends[:, number] = self._crossing(toys, lines, near, lowest + rise, -1 if first else 1)
        return self._plain(low, high, disjoint)

    def _anchored(self, toys: Observation) -> _Lines:
        """From the anchors' expansions, less what no coupling changes."""
        anchors, line = self.engine.everywhere, self.engine.grid.points[:, 0]
        chi2, slopes = anchors.approximate(toys)
        profile, branch = anchors.lowest_branch(chi2)

        def moved(toy: IntArray, place: IntArray) -> tuple[FloatArray, FloatArray]:
            return anchors.moved(slopes, toy, branch[toy, place])

        return _Lines(line, profile, moved)

    def _swept(self, toys: Observation) -> _Lines:
        """From minima at every other anchor, each followed from its neighbours.

        Where templates bend, a toy's minimum may lie far from that of the truth's Asimov data, and there are several.
        """
        engine, model = self.engine, self.engine.likelihood.model
        places = np.unique([*range(0, len(engine.grid.points), 2), len(engine.grid.points) - 1])
        line, count = engine.grid.points[places, 0], max(len(each.observed) for each in toys.counts)
        chi2 = np.full((count, len(line)), np.inf)
        pulls = np.zeros((count, len(line), len(model.parameters)))
        couplings = np.zeros((count, len(line), len(model.polynomial.variables)))
        expansion, slopes = engine.everywhere.approximate(toys)
        branch = engine.everywhere.lowest_branch(expansion)[1][:, places]
        for order in (range(len(line)), range(len(line) - 1, -1, -1)):
            before: Minima | None = None
            for place in order:
                starts = [engine.everywhere.moved(slopes, np.arange(count), branch[:, place])]
                if before is not None:
                    starts.append((before.pulls, before.couplings))
                for start, at in starts:
                    at[:, engine.tested[0]] = line[place]
                    fits = minimise(model, at, start, toys, engine.hidden, LOOSE)
                    better = fits.chi2 < chi2[:, place]
                    chi2[better, place] = fits.chi2[better]
                    pulls[better, place], couplings[better, place] = fits.pulls[better], fits.couplings[better]
                before = Minima(chi2[:, place], pulls[:, place].copy(), couplings[:, place].copy())
        return _Lines(line, chi2, lambda toy, place: (pulls[toy, place], couplings[toy, place]))

    def _best(self, curve: FloatArray, fine: FloatArray) -> IntArray:
        """Of every toy the point that an interval is about: the lowest, or the dip nearest the Standard Model."""
        if self.minimum == "global":
            return np.asarray(curve.argmin(axis=1))
        distance = np.abs(fine - self.coordinate.standard_model)
        return np.asarray(np.where(dips(curve), distance, np.inf).argmin(axis=1))

    def _lowest(self, toys: Observation, lines: _Lines, start: FloatArray) -> FloatArray:
        """chi^2 of the minimum that the level is above, near a value of the coupling."""
        if self.minimum == "global" and not self.engine.likelihood.shaped:
            return self.engine.lowest(toys)
        couplings, pulls = self._started(lines, start, np.arange(len(start)))
        free = (*self.engine.tested, *self.engine.hidden)
        return minimise(self.engine.likelihood.model, couplings, pulls, toys, free, TOLERANCE).chi2

    def _started(self, lines: _Lines, at: FloatArray, toy: IntArray) -> tuple[FloatArray, FloatArray]:
        """Couplings and nuisances of toys at values of the coupling, as the nearest point of their lines says."""
        right = np.clip(np.searchsorted(lines.at, at), 1, len(lines.at) - 1)
        place = np.where(at - lines.at[right - 1] < lines.at[right] - at, right - 1, right)
        pulls, couplings = lines.state(toy, place)
        couplings[:, self.engine.tested[0]] = at
        return couplings, pulls

    def _crossing(
        self, toys: Observation, lines: _Lines, at: FloatArray, level: FloatArray, outwards: int
    ) -> FloatArray:
        """Where the toys' own chi^2 rises through their levels, near what the spline says, or the bound before that.

        `outwards` is 1 for upper ends and -1 for lower ones.
        """
        at, toy = at.copy(), np.arange(len(at))
        couplings, pulls = self._started(lines, at, toy)
        column, model = self.engine.tested[0], self.engine.likelihood.model
        low, high = self.coordinate.bounds
        gap = np.diff(lines.at)[np.clip(np.searchsorted(lines.at, at[toy]) - 1, 0, len(lines.at) - 2)]
        for _ in range(MOST_STEPS):
            if not len(toy):
                break
            toy_rows = toys.rows(toy)
            fits = minimise(model, couplings, pulls, toy_rows, self.engine.hidden, TOLERANCE)
            slope = coupling_slopes(model, fits.couplings, fits.pulls, toy_rows)[1][:, column]
            away = level[toy] - fits.chi2
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.where(np.abs(away) > ENOUGH, away / slope, 0.0)
            # Where chi^2 falls outwards the end lies beyond; a tangent may lead far off where branches cross.
            step = np.where(slope * outwards > 0, np.clip(step, -gap, gap), outwards * gap)
            trial = np.clip(at[toy] + step, low, high)
            going = trial != at[toy]
            at[toy] = trial
            toy, gap = toy[going], gap[going]
            couplings, pulls = fits.couplings[going], fits.pulls[going]
            couplings[:, column] = at[toy]
        return at

    def _plain(self, low: FloatArray, high: FloatArray, disjoint: NDArray[np.bool_]) -> OuterEnds:
        """In plain values: a square stands for a value and its mirror image."""
        bounds = self.coordinate.variable.bounds
        if self.coordinate.squared:
            outer = self.coordinate.value(high)
            return OuterEnds(np.maximum(-outer, bounds[0]), np.minimum(outer, bounds[1]), disjoint | (low > 0))
        return OuterEnds(self.coordinate.value(low), self.coordinate.value(high), disjoint)


def _between(curve: FloatArray, fine: FloatArray, inner: IntArray, outer: IntArray, level: FloatArray) -> FloatArray:
    """Where a line between two points of each curve crosses its level; the point where both are the same."""
    toys = np.arange(len(curve))
    inside, outside = curve[toys, inner], curve[toys, outer]
    share = np.divide(level - inside, outside - inside, out=np.zeros(len(curve)), where=outside > inside)
    return np.asarray(fine[inner] + np.clip(share, 0.0, 1.0) * (fine[outer] - fine[inner]))


def _run_around(below: NDArray[np.bool_], start: IntArray) -> NDArray[np.bool_]:
    """Of every row the run that holds one of its points."""
    places = np.arange(below.shape[1])
    after = np.where(~below & (places > start[:, None]), places, below.shape[1]).min(axis=1)
    before = np.where(~below & (places < start[:, None]), places, -1).max(axis=1)
    return np.asarray((places > before[:, None]) & (places < after[:, None]))
