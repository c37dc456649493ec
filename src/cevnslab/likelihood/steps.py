"""Steps of the minimiser: in which coordinates, how far, and what walls make of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_FACTOR = 1e-12
"""Below, rounding leaves nothing of a factor's logarithm."""
MOST_WALLS = 4
"""Times that a step is made again because another coordinate would go through a wall."""
CUT = 1e-3
"""Part of a coordinate's step by which walls or rounding may change it before the others take notice."""
AFTER_A_REFUSAL = 0.4
"""What a good step makes of the damping when the one before was refused."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Where a search moves: in the logarithm of a factor that multiplies others, else in the parameter itself.

    A product of factors is a sum of logarithms. In the factors themselves what leaves their product alone is a bent
    valley, and a search that follows it far out, where the product must be small, takes hundreds of steps.
    """

    parameters: FloatArray
    """Shape (points, columns), as all other arrays."""
    at: FloatArray
    low: FloatArray
    high: FloatArray
    rate: FloatArray
    """A parameter's derivative by its coordinate: the factor itself, or 1."""
    bend: FloatArray
    """The second derivative over the first, or 0."""

    @classmethod
    def of(
        cls,
        at: FloatArray,
        low: FloatArray,
        high: FloatArray,
        multiplied: NDArray[np.bool_],
        units: FloatArray,
        centres: FloatArray,
    ) -> Self:
        """At parameters in their units from their centres, the first of which may be `multiplied`, then others."""
        columns = np.flatnonzero(multiplied)
        if not len(columns):
            return cls(at, at, low, high, np.ones(1), np.zeros(1))
        unit, centre = units[columns], centres[columns]
        factor = 1 + centre + unit * at[:, columns]
        logarithmic = factor > LEAST_FACTOR
        rate, bend, place = np.ones_like(at), np.zeros_like(at), at.copy()
        low, high = np.broadcast_to(low, at.shape).copy(), np.broadcast_to(high, at.shape).copy()
        with np.errstate(divide="ignore", invalid="ignore"):
            rate[:, columns] = np.where(logarithmic, factor, 1.0)
            bend[:, columns] = np.where(logarithmic, unit, 0.0)
            place[:, columns] = np.where(logarithmic, np.log(factor) / unit, at[:, columns])
            for side in (low, high):
                ends = np.log(np.maximum(1 + centre + unit * side[:, columns], 0.0)) / unit
                side[:, columns] = np.where(logarithmic, ends, side[:, columns])
        return cls(at, place, low, high, rate, bend)

    def derivatives(
        self, gradient: FloatArray, curvatures: tuple[FloatArray, FloatArray], scale: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Gradient, curvature without second derivatives of parameters and with them, scale: by these coordinates."""
        if not self.bend.any():
            return gradient, *curvatures, scale
        both = self.rate[:, :, None] * self.rate[:, None, :]
        gradient = self.rate * gradient
        first, exact = (both * each for each in curvatures)
        return (
            gradient,
            first,
            exact + (self.bend * gradient)[:, :, None] * np.eye(len(gradient[0])),
            self.rate**2 * scale,
        )

    def safe_length(self, step: FloatArray) -> FloatArray:
        """The part of a step in which no factor grows by more than tenfold."""
        rise = np.max(self.bend * step, axis=1, initial=0.0)
        return np.asarray(np.minimum(1.0, np.log(10.0) / np.maximum(rise, np.finfo(float).tiny)))

    def moved(self, step: FloatArray) -> FloatArray:
        """The parameters after a step."""
        if not self.bend.any():
            return self.parameters + step
        grown = self.rate / np.where(self.bend > 0, self.bend, 1.0) * np.expm1(self.bend * step)
        return np.where(self.bend > 0, self.parameters + grown, self.parameters + step)


def damped_step(
    gradient: FloatArray,
    curvature: FloatArray,
    at: FloatArray,
    low: FloatArray,
    high: FloatArray,
    damping: FloatArray,
    scale: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray]:
    """The damped step and the decrease of chi^2 that it promises; what rests on a wall and is pushed out stays.

    Damping is in units of `scale`, by default the curvature itself: where templates known from few counts follow every
    step, chi^2 can be a straight line. What would go through a wall is put on it, and the others make the best of that:
    a step that is merely cut off at a wall can lead uphill.
    """
    held = (low >= high) | ((at <= low) & (gradient > 0)) | ((at >= high) & (gradient < 0))
    gradient = np.where(held, 0.0, gradient)
    curvature = np.where(held[:, :, None] | held[:, None, :], 0.0, curvature)
    size = np.abs(np.einsum("pii->pi", curvature)) if scale is None else scale
    # Marquardt's damping: in units of the curvature itself, whatever the parameters' units are.
    extra = np.where(held | (size <= 0), 1.0, damping[:, None] * size)
    damped = curvature + extra[:, :, None] * np.eye(gradient.shape[1])
    step = -_solved(damped, gradient)
    ended = np.zeros(at.shape, dtype=bool)
    for _ in range(MOST_WALLS):
        # What a step would take through a wall ends there, as does what it would move by less than rounding.
        possible = np.clip(at + step, low, high) - at
        cut = np.abs(possible - step) > CUT * np.abs(step)
        rows = np.flatnonzero(np.any(cut & ~ended, axis=1))
        if not len(rows):
            break
        ended |= cut
        step[rows] = _with_ends(gradient[rows], damped[rows], possible[rows], ended[rows])
    step = np.clip(at + step, low, high) - at
    # Of the quadratic model, for the step as it is taken.
    promised = -2 * np.sum(gradient * step, axis=1) - np.einsum("pi,pij,pj->p", step, curvature, step)
    return np.asarray(step), np.asarray(promised)


def _solved(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    try:
        return np.asarray(np.linalg.solve(matrix, vector[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        size = np.abs(np.einsum("pii->pi", matrix)).max(axis=1)
        raised = matrix + (1e-12 * size + 1e-300)[:, None, None] * np.eye(matrix.shape[1])
        return np.asarray(np.linalg.solve(raised, vector[:, :, None])[:, :, 0])


def _with_ends(
    gradient: FloatArray, curvature: FloatArray, possible: FloatArray, ended: NDArray[np.bool_]
) -> FloatArray:
    """The step in which some coordinates move as far as they can, and the others to their best with that."""
    ends = np.where(ended, possible, 0.0)
    slope = gradient + (curvature @ ends[:, :, None])[:, :, 0]
    reduced = np.where(ended[:, :, None] | ended[:, None, :], np.eye(ended.shape[1]), curvature)
    return np.where(ended, ends, -_solved(reduced, np.where(ended, 0.0, slope)))


def damping_change(
    lower: NDArray[np.bool_], share: FloatArray, refused: NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """The factor on the damping and the least that it is then, by the share of its promise that a step kept.

    A step that gains less than it promised was too long. What a refused step made of the damping is taken back slowly:
    in a bent valley every other step would be refused else.
    """
    fair = share > 0.25
    factor = np.where(share > 0.75, np.where(refused, AFTER_A_REFUSAL, 0.1), np.where(fair, 1.0, 4.0))
    return np.where(lower, factor, 10.0), np.where(lower, np.where(fair, 0.0, 0.1), 1e-3)
