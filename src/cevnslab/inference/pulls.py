"""Pulls and impacts: where nuisance parameters end at a coupling's joint best fit, and how far they move it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.fit import Fit, FittedParameter, fit
from cevnslab.likelihood.likelihood import Likelihood

FloatArray = NDArray[np.float64]

FAR_PULL = 2.0
"""Standard deviations of its prior beyond which a parameter's best fit is pointed out."""


@dataclass(frozen=True)
class Impact:
    """One nuisance parameter at the joint best fit."""

    parameter: FittedParameter
    up: float
    """Shift of the coupling's best fit with the parameter held one error above its best fit."""
    down: float
    """The same one error below."""

    @property
    def remarkable(self) -> str | None:
        """What a reader must be told: it rests on a wall, or is far from its prior's centre."""
        if self.parameter.at_wall:
            return f"rests on its boundary, {self.parameter.value:.3g}"
        pull = self.parameter.pull
        if pull is not None and abs(pull) > FAR_PULL:
            return f"is pulled by {pull:+.1f} standard deviations of its prior"
        return None


def impacts(
    likelihood: Likelihood, coupling: str, over: Sequence[str] = (), start: float | None = None
) -> tuple[Fit, tuple[Impact, ...]]:
    """The joint best fit of a coupling and all nuisances, and the impact of every nuisance that can move.

    A parameter is held at its best fit plus and minus its error and all others are fitted again, the coupling from
    where it was: the way of the LHC's ranking plots.

    Parameters
    ----------
    over
        Couplings that are minimised over beside it.
    start
        The coupling's best fit where it is known: the fit then starts there alone.

    """
    restricted = likelihood.restricted([coupling, *over])
    best = fit(restricted, [coupling, *over], start={} if start is None else {coupling: start})
    moving = [(number, p) for number, p in enumerate(restricted.parameters) if not p.fixed]
    starts = np.repeat(best.pulls[None, :], 2 * len(moving), axis=0)
    still = np.zeros(starts.shape, dtype=bool)
    for row, (number, parameter) in enumerate(moving):
        fitted = best.parameter(parameter.name)
        # Without an error (it rests on a wall) its prior's width says how far it might go.
        error = fitted.error if fitted.error is not None else parameter.unit
        ends = np.clip(fitted.value + error * np.array([1, -1]), parameter.low, parameter.high)
        starts[2 * row : 2 * row + 2, number] = (ends - parameter.centre) / parameter.unit
        still[2 * row : 2 * row + 2, number] = True
    points = np.repeat(best.point[None, :], len(starts), axis=0)
    held = restricted.minimised(points, [coupling, *over], starts, still=still)
    shifts = (held.couplings - best.point)[:, restricted.couplings.index(coupling)].reshape(-1, 2).tolist()
    rows = [Impact(best.parameter(p.name), up, down) for (_, p), (up, down) in zip(moving, shifts, strict=True)]
    return best, tuple(rows)
