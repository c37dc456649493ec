"""chi^2 of couplings from their likelihood: in closed form where its structure has one, else point by point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.inference import search
from cevnslab.inference.chi2 import Axis, Chi2, PointFunction, Segment
from cevnslab.inference.rational import RationalChi2
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.profile import ProfileLikelihood

FloatArray = NDArray[np.float64]

LARGEST_BATCH = 500_000
"""Numbers (points times numbers per point) that are minimised over at once: what stays in a processor's cache."""


@dataclass(frozen=True, eq=False)
class PointwiseChi2:
    """chi^2 of couplings, searched for minima and crossings."""

    closed_form: ClassVar[bool] = False

    function: PointFunction

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The couplings."""
        return self.function.axes

    def __call__(self, value: ArrayLike) -> FloatArray:
        """chi^2 of a single coupling at values in its plain unit, any shape."""
        values = np.asarray(value, dtype=float)
        return self.function.values_at(values.reshape(-1, 1)).reshape(values.shape)

    def on_grid(self, x: FloatArray, y: FloatArray) -> FloatArray:
        """chi^2 of two couplings on the product of two axes: shape (len(y), len(x))."""
        grid = np.stack(np.meshgrid(x, y), axis=-1)
        return self.function.values_at(grid.reshape(-1, 2)).reshape(len(y), len(x))

    def value_and_gradient(self, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """chi^2 and its derivatives: at the nuisances' minimum only the explicit dependence counts."""
        chi2, slopes = self.function.gradient_at(np.stack([x, y], axis=1))
        return chi2, slopes[:, 0], slopes[:, 1]

    def minima(self) -> list[tuple[float, float]]:
        """Every local minimum of a single coupling that the search grid shows."""
        return list(self._minima)

    @cached_property
    def _minima(self) -> list[tuple[float, float]]:
        return search.minima(self, self.axes[0])

    def pieces_below(self, level: float) -> list[Segment]:
        """All intervals of a single coupling in which chi^2 < level."""
        return search.pieces_below(self, level, self.axes[0], self._minima)

    def at_hidden_bound(self, value: float) -> bool:
        """Nothing is minimised over but nuisances."""
        return False


def along(likelihood: Likelihood, names: Sequence[str]) -> Chi2:
    """chi^2 as a function of one or two couplings, all others as in the Standard Model."""
    function = ProfileLikelihood(likelihood, tuple(names))
    if function.ratio is not None:
        return RationalChi2(function.axes, function.ratio.numerator, function.ratio.denominator)
    return PointwiseChi2(function)
