"""Expected counts whose shape depends on nuisances: templates that bend with pulls and shift in time.

A pull x moves a template from its nominal N_0 through its varied ones N_+ (x = 1) and N_- (x = -1):

    N(x) = N_0 + x (N_+ - N_-)/2 + x^2 [(N_+ + N_-)/2 - N_0],

and several pulls add their changes. A common offset of the arrival times moves the time distributions, which are given
on a grid of offsets with a cubic spline between. Energy and time factorise within a template, so that only the small
time distribution depends on the offset.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimeTemplate:
    """The distribution over time bins as a function of an offset."""

    offsets_us: FloatArray
    """Shape (grid,), rising; a single one (zero) where no offset is allowed."""
    fractions: FloatArray
    """Shape (grid, time bins)."""

    @cached_property
    def _spline(self) -> tuple[FloatArray, FloatArray]:
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(self.offsets_us, self.fractions, axis=0)
        return spline.x, spline.c

    def at(self, offset_us: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The fractions and their derivative at offsets: shape (points, time bins) each."""
        if len(self.offsets_us) == 1:
            value = np.broadcast_to(self.fractions[0], (len(offset_us), self.fractions.shape[1]))
            return value, np.zeros_like(value)
        knots, coefficients = self._spline
        interval = np.clip(np.searchsorted(knots, offset_us, side="right") - 1, 0, len(knots) - 2)
        step = (offset_us - knots[interval])[:, None]
        cubic, square, linear, constant = coefficients[:, interval]
        value = ((cubic * step + square) * step + linear) * step + constant
        return value, (3 * cubic * step + 2 * square) * step + linear


@dataclass(frozen=True, eq=False)
class Template:
    """Counts of one kind of event, per monomial of the couplings (backgrounds have one row)."""

    nominal: FloatArray
    """Shape (monomials, bins), or (monomials, energy bins) with `times`."""
    varied: Mapping[str, tuple[FloatArray, FloatArray]]
    """N_+ and N_- per pull, each of the nominal's shape; a pull that is not here does not move it."""
    times: TimeTemplate | None = None

    @cached_property
    def coefficients(self) -> FloatArray:
        """Nominal, then per pull the linear and the quadratic coefficient: shape (1 + 2 pulls, monomials, bins)."""
        rows = [self.nominal]
        for up, down in self.varied.values():
            rows += [(up - down) / 2, (up + down) / 2 - self.nominal]
        return np.array(rows)

    def restricted(self, rows: Sequence[int]) -> Template:
        """The same with some of the monomials."""
        kept = list(rows)
        varied = {name: (up[kept], down[kept]) for name, (up, down) in self.varied.items()}
        return Template(self.nominal[kept], varied, self.times)

    def contracted(self, monomials: FloatArray) -> FloatArray:
        """Coefficients at values of the monomials, shape (points, monomials): shape (points, 1 + 2 pulls, bins)."""
        return np.asarray(np.einsum("pm,smn->psn", monomials, self.coefficients, optimize=True))

    def evaluate(
        self, contracted: FloatArray, pulls: Mapping[str, FloatArray], offset_us: FloatArray
    ) -> tuple[FloatArray, dict[str, FloatArray]]:
        """Counts at points, shape (points, bins), and their derivatives by pull (`offset` for the time offset)."""
        value = contracted[:, 0].copy()
        slopes: dict[str, FloatArray] = {}
        for number, name in enumerate(self.varied):
            linear, quadratic = contracted[:, 1 + 2 * number], contracted[:, 2 + 2 * number]
            pull = pulls[name][:, None]
            value += pull * (linear + pull * quadratic)
            slopes[name] = linear + 2 * pull * quadratic
        if self.times is None:
            return value, slopes
        fractions, moved = self.times.at(offset_us)

        def spread(energy: FloatArray, time: FloatArray) -> FloatArray:
            return (energy[:, :, None] * time[:, None, :]).reshape(len(energy), -1)

        spreads = {name: spread(slope, fractions) for name, slope in slopes.items()}
        if len(self.times.offsets_us) > 1:
            spreads[OFFSET] = spread(value, moved)
        return spread(value, fractions), spreads


OFFSET = "time_offset_us"
"""The name of the offset among the nuisances."""
