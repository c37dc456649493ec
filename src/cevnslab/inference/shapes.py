"""The likelihood ratio of templates with normalisation and shape nuisances.

    chi^2(theta) = min 2 sum_i [mu_i - N_i + N_i ln(N_i/mu_i)] + (a/sigma_a)^2 + sum_j (b_j/sigma_j)^2 + sum_p x_p^2,
    (or, for least squares, sum_i (mu_i - N_i)^2/N_i in the first place,)
    mu = (1 + a) S(theta; x, t) + sum_j (1 + b_j) B_j(x, t),

with pulls x and a free common time offset t (`cevnslab.inference.templates`). A damped Gauss-Newton search minimises
all points at once; since shapes make the function non-convex it starts from several places and keeps the lowest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.folding import Monomial
from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Axis
from cevnslab.inference.pointwise import PointwiseChi2, along
from cevnslab.inference.poisson import deviance, profile, ratio
from cevnslab.inference.templates import OFFSET, Template

FloatArray = NDArray[np.float64]

MOST_ITERATIONS = 200
LARGEST_PULL = 5.0
"""Beyond so many standard deviations a template is not extrapolated."""
FAR_PULL = 2.0
"""From where, too, a search starts: large charges have their minimum where a shape is pulled that far."""
TOLERANCE = 1e-9
"""Expected further decrease of chi^2 at which a point is done."""
SIGNAL = "signal"
"""The name of the signal's normalisation among the nuisances."""


@dataclass(frozen=True, eq=False)
class ShapedLikelihood:
    """The statistic of one data set."""

    axes: tuple[Axis, ...]
    monomials: tuple[Monomial, ...]
    signal: tuple[Template, ...]
    """Parts whose sum is the signal; rows as in `monomials`."""
    backgrounds: tuple[tuple[str, Template], ...]
    """Each with its name and, in `widths`, a normalisation of its own."""
    observed: FloatArray
    widths: tuple[tuple[str, float], ...]
    """Constraint of every nuisance: of `signal`, of each background, of each pull, and of the offset (infinite: free;
    0: fixed at its centre)."""
    offset_range_us: tuple[float, float] = (0.0, 0.0)
    kind: Literal["poisson", "least-squares"] = "poisson"

    @property
    def names(self) -> tuple[str, ...]:
        """All nuisances, in the order of the parameters."""
        return tuple(name for name, _ in self.widths)

    def along(self, names: Sequence[str]) -> PointwiseChi2:
        """chi^2 as a function of one or two couplings, all others as in the Standard Model."""
        return self.at_points(names)

    def at_points(self, names: Sequence[str]) -> PointwiseChi2:
        """chi^2 as a function of any number of couplings, point by point."""
        axes, kept, exponents = along(self.axes, self.monomials, names)
        reduced = replace(
            self,
            monomials=tuple(self.monomials[row] for row in kept),
            signal=tuple(part.restricted(kept) for part in self.signal),
        )
        return PointwiseChi2(axes, exponents, reduced)

    def with_widths(self, **changed: float) -> ShapedLikelihood:
        """The same with other constraints on some nuisances."""
        return replace(self, widths=tuple((name, changed.get(name, width)) for name, width in self.widths))

    @property
    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        sizes = [part.nominal.shape[1] * (1 + 2 * len(part.varied)) for part in self.signal]
        starts = 1 + len(self._further_starts) if self.shaped else 1
        return starts * int(len(self.observed) * (2 + len(self.widths)) + sum(sizes))

    @cached_property
    def limits(self) -> tuple[FloatArray, FloatArray]:
        """Where each nuisance may lie: no negative normalisation, no far extrapolation."""
        ranges = {SIGNAL: (-1.0, np.inf), OFFSET: self.offset_range_us}
        ranges |= {name: (-1.0, np.inf) for name, _ in self.backgrounds}
        both = [ranges.get(name, (-LARGEST_PULL, LARGEST_PULL)) for name in self.names]
        return np.array([low for low, _ in both]), np.array([high for _, high in both])

    @cached_property
    def _stiffness(self) -> FloatArray:
        """1/width^2; zero for a free nuisance and for a fixed one, which does not move."""
        return np.array([width**-2.0 if width > 0 else 0.0 for _, width in self.widths])

    def contracted(self, monomials: FloatArray) -> list[FloatArray]:
        """The signal's templates at values of the monomials."""
        return [part.contracted(monomials) for part in self.signal]

    def expected(self, contracted: Sequence[FloatArray], nuisances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """mu, shape (points, bins), and its derivatives by nuisance: shape (points, nuisances, bins)."""
        place = {name: number for number, name in enumerate(self.names)}
        pulls = {name: nuisances[:, number] for name, number in place.items()}
        offset = pulls.get(OFFSET, np.zeros(len(nuisances)))
        slopes = np.zeros((len(nuisances), len(place), len(self.observed)))
        total = np.zeros((len(nuisances), len(self.observed)))
        parts = [(SIGNAL, part, own) for part, own in zip(self.signal, contracted, strict=True)]
        parts += [
            (name, part, np.broadcast_to(part.coefficients[:, 0], (len(nuisances), *part.coefficients[:, 0].shape)))
            for name, part in self.backgrounds
        ]
        for name, part, own in parts:
            counts, bent = part.evaluate(own, pulls, offset)
            scale = 1 + pulls[name][:, None]
            total += scale * counts
            slopes[:, place[name]] += counts
            for pull, slope in bent.items():
                if pull in place:
                    slopes[:, place[pull]] += scale * slope
        return total, slopes

    def objective(self, expected: FloatArray, nuisances: FloatArray, observed: FloatArray | None = None) -> FloatArray:
        """chi^2 before minimisation, shape (points,); infinite where counts are and none can be."""
        counts = np.broadcast_to(self.observed if observed is None else observed, expected.shape)
        constraint = np.sum(nuisances**2 * self._stiffness, axis=1)
        if self.kind == "least-squares":
            weight = np.divide(1.0, counts, out=np.zeros(counts.shape), where=counts > 0)
            return np.asarray(np.sum((expected - counts) ** 2 * weight, axis=1) + constraint)
        possible = np.all(np.where(counts > 0, expected > 0, expected >= 0), axis=1)
        chi2 = np.full(len(expected), np.inf)
        chi2[possible] = deviance(counts[possible], expected[possible]) + constraint[possible]
        return chi2

    def refitted(self, monomials: FloatArray, observed: FloatArray) -> FloatArray:
        """chi^2 of other counts, shape (toys, bins), at one point each: shape (toys,); started from our own fit."""
        if not self.shaped and self.kind == "poisson":
            return self._normalised(monomials, observed)[0]
        _, start = self.minimised(monomials[:1])
        return self._descend(self.contracted(monomials), np.repeat(start, len(observed), axis=0), observed)[0]

    @cached_property
    def shaped(self) -> bool:
        """Whether any nuisance bends or shifts a template; else the function is convex."""
        names = {name for name, width in self.widths if width > 0}
        return bool(names - {SIGNAL, *(name for name, _ in self.backgrounds)})

    def _counts(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Signal at points, shape (points, bins), and backgrounds, shape (backgrounds, bins), of nominal shape."""
        nothing = dict.fromkeys(self.names, np.zeros(1))
        unit = np.eye(monomials.shape[1])
        rows = [
            sum(part.evaluate(part.contracted(row[None, :]), nothing, np.zeros(1))[0][0] for part in self.signal)
            for row in unit
        ]
        backgrounds = [
            part.evaluate(part.contracted(np.ones((1, 1))), nothing, np.zeros(1))[0][0] for _, part in self.backgrounds
        ]
        return monomials @ np.array(rows), np.array(backgrounds)

    def _normalised(self, monomials: FloatArray, observed: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The minimum over normalisations alone: Newton's method needs no damping there."""
        place = [self.names.index(name) for name in (SIGNAL, *(name for name, _ in self.backgrounds))]
        widths = [self.widths[number][1] for number in place]
        signal, backgrounds = self._counts(monomials)
        nuisances = np.zeros((len(monomials), len(self.widths)))
        chi2, nuisances[:, place] = profile(signal, backgrounds, observed, widths[0], widths[1:])
        return chi2, nuisances

    def minimised(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, shape (points,), and the nuisances there, shape (points, nuisances)."""
        if not self.shaped and self.kind == "poisson":
            return self._normalised(monomials, self.observed)
        starts = np.array([np.zeros(len(self.widths)), *self._further_starts])
        # All starts of all points side by side: a few large steps cost less than many small ones.
        contracted = [np.tile(part, (len(starts), 1, 1)) for part in self.contracted(monomials)]
        chi2, nuisances = self._descend(contracted, np.repeat(starts, len(monomials), axis=0))
        chi2 = chi2.reshape(len(starts), -1)
        lowest, points = np.argmin(chi2, axis=0), np.arange(len(monomials))
        return chi2[lowest, points], nuisances.reshape(len(starts), len(monomials), -1)[lowest, points]

    def minimum(self, monomials: FloatArray) -> FloatArray:
        """chi^2 at values of the monomials, shape (points,)."""
        return self.minimised(monomials)[0]

    def minimum_and_slope(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, and its derivative with respect to every monomial."""
        chi2, nuisances = self.minimised(monomials)
        expected, _ = self.expected(self.contracted(monomials), nuisances)
        place = {name: number for number, name in enumerate(self.names)}
        pull = 2 * (1 + nuisances[:, place[SIGNAL], None]) * self._pull(self.observed, expected)[0]
        slopes = np.zeros((len(monomials), monomials.shape[1]))
        pulls = {name: nuisances[:, number] for name, number in place.items()}
        offset = pulls.get(OFFSET, np.zeros(len(nuisances)))
        for row in range(monomials.shape[1]):
            unit = np.zeros_like(monomials)
            unit[:, row] = 1.0
            for part in self.signal:
                counts, _ = part.evaluate(part.contracted(unit), pulls, offset)
                slopes[:, row] += np.sum(pull * counts, axis=1)
        return chi2, slopes

    @cached_property
    def _further_starts(self) -> list[FloatArray]:
        """Where else the search starts: the Standard Model's fit, and both sides of every shape of the signal."""
        standard_model = np.zeros((1, len(self.monomials)))
        standard_model[0, 0] = 1.0
        starts = [self._descend(self.contracted(standard_model), np.zeros((1, len(self.widths))))[1][0]]
        tried = {name: (-FAR_PULL, FAR_PULL) for name, width in self.widths if name in self._pulls and width > 0}
        if dict(self.widths).get(OFFSET, 0.0) > 0:
            low, high = self.offset_range_us
            tried[OFFSET] = (0.4 * low, 0.4 * high)
        for name, values in tried.items():
            for value in values:
                moved = np.zeros(len(self.widths))
                moved[self.names.index(name)] = value
                starts.append(moved)
        return starts

    @property
    def _pulls(self) -> set[str]:
        """The nuisances that bend the signal."""
        return {name for part in self.signal for name in part.varied}

    def _pull(self, counts: FloatArray, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Half the first and second derivative of the statistic with respect to every expected count."""
        if self.kind == "least-squares":
            weight = np.divide(1.0, counts, out=np.zeros(np.shape(counts)), where=counts > 0)
            return (expected - counts) * weight, np.broadcast_to(weight, expected.shape)
        curvature = np.divide(counts, expected**2, out=np.zeros_like(expected), where=expected > 0)
        return 1 - ratio(counts, expected), curvature

    def _descend(
        self, contracted: Sequence[FloatArray], start: FloatArray, observed: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Damped Gauss-Newton from one start per point; points that are done drop out."""
        low, high = self.limits
        nuisances = np.array(start, dtype=float)
        counts = np.broadcast_to(self.observed if observed is None else observed, (len(start), len(self.observed)))
        damping = np.full(len(nuisances), 1e-3)
        active = np.arange(len(nuisances))
        expected, slopes = self.expected(contracted, nuisances)
        chi2 = self.objective(expected, nuisances, counts)
        for _ in range(MOST_ITERATIONS):
            own = [part[active] for part in contracted]
            step, gain = self._step(expected, slopes, nuisances[active], damping[active], counts[active])
            trial = np.clip(nuisances[active] + step, low, high)
            trial_expected, trial_slopes = self.expected(own, trial)
            trial_chi2 = self.objective(trial_expected, trial, counts[active])
            better = trial_chi2 < chi2[active]
            # Gauss-Newton leaves out second derivatives: a step that gains less than it promised was too long.
            fall = np.where(better, chi2[active], 0.0) - np.where(better, trial_chi2, 0.0)
            share = np.divide(fall, gain, out=np.zeros_like(gain), where=gain > 0)
            nuisances[active[better]], chi2[active[better]] = trial[better], trial_chi2[better]
            factor = np.select([~better, share > 0.75, share > 0.25], [10.0, 0.1, 1.0], 4.0)
            least = np.select([~better, share > 0.25], [1e-3, 0.0], 0.1)
            damping[active] = np.maximum(damping[active] * factor, least)
            expected[better], slopes[better] = trial_expected[better], trial_slopes[better]
            going = (gain > TOLERANCE) & (damping[active] < 1e12)
            if not going.any():
                return chi2, nuisances
            active, expected, slopes = active[going], expected[going], slopes[going]
        raise StatisticsError("the likelihood with shape nuisances did not converge")

    def _step(
        self, expected: FloatArray, slopes: FloatArray, nuisances: FloatArray, damping: FloatArray, counts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """The damped Gauss-Newton step, shape (points, nuisances), and the decrease that it promises."""
        low, high = self.limits
        fixed = np.array([width == 0 for _, width in self.widths])
        pull, curvature = self._pull(counts, expected)
        slope = (slopes @ pull[..., None])[..., 0] + nuisances * self._stiffness
        hessian = (slopes * curvature[:, None, :]) @ slopes.transpose(0, 2, 1) + np.diag(self._stiffness)
        held = fixed | ((nuisances <= low) & (slope > 0)) | ((nuisances >= high) & (slope < 0))
        slope = np.where(held, 0.0, slope)
        hessian = np.where(held[:, :, None] | held[:, None, :], 0.0, hessian)
        diagonal = np.einsum("pii->pi", hessian)
        diagonal += np.where(held | (diagonal <= 0), 1.0, damping[:, None] * diagonal)
        step = np.asarray(-np.linalg.solve(hessian, slope[..., None])[..., 0], dtype=np.float64)
        return step, np.asarray(-np.sum(slope * step, axis=1))
