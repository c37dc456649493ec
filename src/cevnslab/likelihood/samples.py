"""Samples: named contributions to the expected counts, and the modifiers through which nuisance parameters act.

Each sample is a quadratic form in the couplings (or constant counts) over the bins of a data set. Its modifiers:

* `Scale`: a factor 1 + p, never negative; scales on one sample multiply;
* `Bend`: counts at plus and minus one standard deviation, N0 + x (N+ - N-)/2 + x^2 ((N+ + N-)/2 - N0);
* `Shift`: the distribution along one axis as a function of an offset (the time zero);
* `PerBin`: the sample is known from counts of its own (off-beam, anti-coincident), group by group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.parameters import Parameter
from cevnslab.quadratic import Polynomial

FloatArray = NDArray[np.float64]

LARGEST_PULL = 5.0
"""Standard deviations beyond which a template is not extrapolated: a bend's walls."""
EVEN = 0.5
"""Of the odd part of a bend's change: an even part that is larger may make two minima."""
CONSTANT = Polynomial((), ((),))
"""Of counts that no coupling changes."""


@dataclass(frozen=True)
class Scale:
    """A factor 1 + p on the sample's counts."""

    parameter: Parameter

    def __post_init__(self) -> None:
        # No normalisation is negative.
        object.__setattr__(self, "parameter", replace(self.parameter, low=max(self.parameter.low, -1.0)))


@dataclass(frozen=True, eq=False)
class Bend:
    """Counts at a pull of plus one and of minus one, of the shape of the sample's coefficients."""

    parameter: Parameter
    up: FloatArray
    down: FloatArray

    def __post_init__(self) -> None:
        low = max(self.parameter.low, -LARGEST_PULL)
        high = min(self.parameter.high, LARGEST_PULL)
        object.__setattr__(self, "parameter", replace(self.parameter, low=low, high=high))


@dataclass(frozen=True, eq=False)
class Shift:
    """How the sample's counts are distributed along one axis, as a function of an offset on that axis.

    Counts of the sample are those of all other axes; the fractions multiply them. Between the offsets of the grid the
    fractions are cubic splines; the offset stays on the grid. One offset alone is a distribution that does not move.
    """

    parameter: Parameter | None
    """None where the distribution does not move."""
    axis: int
    offsets: FloatArray
    """Shape (grid,), rising."""
    fractions: FloatArray
    """Shape (grid, bins of the axis)."""

    def __post_init__(self) -> None:
        if self.parameter is not None:
            low = max(self.parameter.low, float(self.offsets[0]))
            high = min(self.parameter.high, float(self.offsets[-1]))
            object.__setattr__(self, "parameter", replace(self.parameter, low=low, high=high))

    @cached_property
    def _splines(self) -> tuple[FloatArray, FloatArray]:
        from scipy.interpolate import CubicSpline

        spline = CubicSpline(self.offsets, self.fractions, axis=0)
        return spline.x, spline.c

    def at(self, offset: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The fractions, their slope and their curvature at offsets: shape (points, bins of the axis) each."""
        if len(self.offsets) == 1:
            nothing = np.zeros((1, self.fractions.shape[1]))
            return self.fractions[:1], nothing, nothing
        # The spline's own call spends most of its time on checks: this is in the innermost loop of every fit.
        knots, coefficients = self._splines
        interval = np.clip(np.searchsorted(knots, offset, side="right") - 1, 0, len(knots) - 2)
        step = (offset - knots[interval])[:, None]
        cubic, square, linear, constant = coefficients[:, interval]
        value = ((cubic * step + square) * step + linear) * step + constant
        return value, (3 * cubic * step + 2 * square) * step + linear, 6 * cubic * step + 2 * square


@dataclass(frozen=True, eq=False)
class PerBin:
    """A template that is known from counts of its own: one expectation tau >= 0 per group of bins, fitted with it.

    A bin i of group g expects ratio * tau_g * (the sample's counts there), and the likelihood has the term
    2 [tau - M + M ln(M/tau)] of the group's M off-counts (2 tau where M is 0). The sample's scales multiply on top.
    """

    off: FloatArray
    """Counts per group, shape (groups,)."""
    ratio: float
    """On over off: of live times, or of windows."""
    groups: NDArray[np.int64]
    """The group of every bin, shape (bins,)."""

    def __post_init__(self) -> None:
        if not self.ratio > 0:
            raise StatisticsError(f"the ratio of on to off must be above 0, got {self.ratio:g}")
        if np.any(self.off < 0) or not np.all(np.isfinite(self.off)):
            raise StatisticsError("off-counts must be finite and at least 0")
        if sorted(set(self.groups.tolist())) != list(range(len(self.off))):
            raise StatisticsError(f"{len(self.off)} groups need bins each, got the groups {sorted(set(self.groups))}")


Modifier = Scale | Bend | Shift | PerBin


@dataclass(frozen=True, eq=False)
class Sample:
    """One contribution to the expected counts; samples of the same name are one component in every output.

    Raises `StatisticsError` for modifiers that do not fit the counts or that cannot stand together.
    """

    name: str
    coefficients: FloatArray
    """Counts per monomial, in units of the couplings' natural scales: shape (monomials, bins); with a `Shift` the bins
    of all other axes."""
    polynomial: Polynomial = CONSTANT
    modifiers: Sequence[Modifier] = field(default=())
    part: str = ""
    """Which one of several samples of this name, where something acts on some of them alone."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "modifiers", tuple(self.modifiers))
        if self.coefficients.shape[0] != len(self.polynomial.monomials):
            raise StatisticsError(
                f"sample {self.name}: {len(self.polynomial.monomials)} rows of counts are needed, one per monomial, "
                f"got {self.coefficients.shape[0]}"
            )
        for bend in self.bends:
            if not bend.up.shape == bend.down.shape == self.coefficients.shape:
                raise StatisticsError(f"sample {self.name}: {bend.parameter.name} bends counts of another shape")
        if len(self._modifiers(Shift)) > 1 or len(self._modifiers(PerBin)) > 1:
            raise StatisticsError(f"sample {self.name}: one Shift and one PerBin at the most")
        if self.per_bin is not None and (self.polynomial.variables or self.bends or self.shift is not None):
            raise StatisticsError(f"sample {self.name}: a template known per bin has no couplings, bends or shifts")

    def _modifiers(self, kind: type) -> list[Modifier]:
        return [modifier for modifier in self.modifiers if isinstance(modifier, kind)]

    @property
    def scales(self) -> list[Scale]:
        """Its factors."""
        return [modifier for modifier in self.modifiers if isinstance(modifier, Scale)]

    @property
    def bends(self) -> list[Bend]:
        """What bends its shape."""
        return [modifier for modifier in self.modifiers if isinstance(modifier, Bend)]

    def bends_alike(self, bend: Bend) -> bool:
        """Whether much of a bend's change is the same on both sides: then there may be a minimum on each."""
        odd, even = (bend.up - bend.down) / 2, (bend.up + bend.down) / 2 - self.coefficients
        return bool(np.linalg.norm(even) > EVEN * np.linalg.norm(odd))

    @property
    def shift(self) -> Shift | None:
        """Its distribution along one axis."""
        return next((modifier for modifier in self.modifiers if isinstance(modifier, Shift)), None)

    @property
    def per_bin(self) -> PerBin | None:
        """Counts of its own."""
        return next((modifier for modifier in self.modifiers if isinstance(modifier, PerBin)), None)

    @property
    def parameters(self) -> list[Parameter]:
        """All nuisance parameters that act on it."""
        acting = [modifier.parameter for modifier in self.modifiers if not isinstance(modifier, PerBin)]
        return [parameter for parameter in acting if parameter is not None]

    def with_parameters(self, parameters: Mapping[str, Parameter]) -> Sample:
        """The same with other parameters in the place of those that have these names."""
        modifiers: list[Modifier] = []
        for modifier in self.modifiers:
            if isinstance(modifier, PerBin) or modifier.parameter is None:
                modifiers.append(modifier)
            else:
                present = modifier.parameter
                modifiers.append(replace(modifier, parameter=parameters.get(present.name, present)))
        return replace(self, modifiers=modifiers)
