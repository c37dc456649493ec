"""Pseudo-experiments: what they are made of, exact Poisson counts, and what a fit needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.response import Response
from cevnslab.errors import StatisticsError
from cevnslab.inference.compiled import inner_products
from cevnslab.quadratic import Variable as Axis

FloatArray = NDArray[np.float64]

Ensemble = Literal["drawn", "centres"]
"""``"drawn"``: true normalisations from their priors, constraint centres at zero; ``"centres"``: true normalisations
fixed, constraint centres fluctuated."""
LARGEST_DRAWN_UNCERTAINTY = 1 / 3
"""Of a normalisation whose truth is drawn: wider priors would give negative counts in more than a toy of a thousand."""


@dataclass(frozen=True, eq=False)
class Experiment:
    """What pseudo-experiments need: the counts as a polynomial in one coupling or two, backgrounds, uncertainties."""

    axes: tuple[Axis, ...]
    exponents: NDArray[np.int64]
    """Power of each coupling in each monomial, shape (monomials, couplings); the constant first."""
    signal: FloatArray
    """Counts per monomial, couplings in units of their scales: shape (monomials, bins)."""
    backgrounds: FloatArray
    """Shape (backgrounds, bins)."""
    signal_uncertainty: float
    background_uncertainties: tuple[float, ...]

    @classmethod
    def of(
        cls,
        responses: list[Response],
        names: tuple[str, ...],
        signal_uncertainty: float,
        background_uncertainties: tuple[float, ...],
    ) -> Experiment:
        """One detector, or several that share the signal normalisation, along one or two couplings."""
        axes = responses[0].polynomial.variables
        chosen = [[axis.name for axis in axes].index(name) for name in names]
        parts = []
        monomials = sorted(
            {m for response in responses for m in response.monomials if set(m) <= set(chosen)},
            key=lambda m: (len(m), m),
        )
        for response in responses:
            rows = np.zeros((len(monomials), len(response.background)))
            for monomial, row in zip(response.monomials, response.signal, strict=True):
                if monomial in monomials:
                    scale = np.prod([axes[index].strength_scale for index in monomial])
                    rows[monomials.index(monomial)] = row * scale
            parts.append(rows)
        backgrounds = np.zeros((len(responses), sum(len(response.background) for response in responses)))
        start = 0
        for number, response in enumerate(responses):
            backgrounds[number, start : start + len(response.background)] = response.background
            start += len(response.background)
        return cls(
            tuple(axes[index] for index in chosen),
            np.array([[monomial.count(index) for index in chosen] for monomial in monomials]),
            np.hstack(parts),
            backgrounds,
            signal_uncertainty,
            background_uncertainties,
        )

    @property
    def even(self) -> bool:
        """Whether only squares of the couplings enter, as for transition charges: then only t = value^2 is fitted."""
        return not np.any(self.exponents % 2)

    def monomials_at(self, points: FloatArray) -> FloatArray:
        """The monomials at points (in units of the scales, shape (points, couplings)): shape (points, monomials)."""
        return np.asarray(np.prod(points[:, None, :] ** self.exponents, axis=2))

    def signal_at(self, truth: tuple[float, ...]) -> FloatArray:
        """Signal counts per bin for values in plain units."""
        scaled = np.array([[float(axis.scaled(value)) for value, axis in zip(truth, self.axes, strict=True)]])
        return np.asarray((self.monomials_at(scaled) @ self.signal)[0])


@dataclass(frozen=True, eq=False)
class Toys:
    """Simulated data sets."""

    counts: FloatArray
    """Shape (toys, bins); floats, since they go into logarithms."""
    centres: FloatArray
    """Centres of the constraints on the normalisations, signal first: shape (toys, 1 + backgrounds)."""


def draw(
    experiment: Experiment, truth: tuple[float, ...], toys: int, rng: np.random.Generator, ensemble: Ensemble
) -> Toys:
    """Exact Poisson counts with the normalisations of an ensemble.

    Parameters
    ----------
    truth
        Values of the couplings in plain units.
    rng
        Advanced by as many numbers as the counts take; give each block of toys a generator of its own.

    Raises `StatisticsError` for an uncertainty with which drawn normalisations would be negative.

    """
    check_widths(experiment, ensemble)
    widths = np.array([experiment.signal_uncertainty, *experiment.background_uncertainties])
    pulls = rng.standard_normal((toys, len(widths))) * widths
    normalisations = 1 + pulls if ensemble == "drawn" else np.ones_like(pulls)
    expected = normalisations[:, :1] * experiment.signal_at(truth) + normalisations[:, 1:] @ experiment.backgrounds
    counts = rng.poisson(np.maximum(expected, 0.0)).astype(float)  # beyond three standard deviations, see above
    return Toys(counts, pulls if ensemble == "centres" else np.zeros_like(pulls))


def check_widths(experiment: Experiment, ensemble: Ensemble) -> None:
    """Raise `StatisticsError` for an uncertainty so large that normalisations below 0 would be drawn."""
    widest = max(experiment.signal_uncertainty, *experiment.background_uncertainties)
    if ensemble == "drawn" and widest > LARGEST_DRAWN_UNCERTAINTY:
        raise StatisticsError(
            f"an uncertainty of {widest:g} would draw negative normalisations: pseudo-experiments need at most "
            f"{LARGEST_DRAWN_UNCERTAINTY:.2f}, or the ensemble of fluctuated constraint centres"
        )


@dataclass(frozen=True, eq=False)
class Statistics:
    """Sufficient statistics of toys: the coefficients of <n,y> and <n,n> per toy."""

    along: FloatArray
    """<C_m, y>, shape (toys, monomials)."""
    gram: FloatArray
    """<C_m, C_n>, shape (toys or 1, monomials, monomials); one for all toys in a fixed metric."""
    centre: FloatArray
    """A_0 of each toy, shape (toys,)."""


def _profiled(
    plain: FloatArray, cross: FloatArray, own: FloatArray, uncertainties: tuple[float, ...]
) -> tuple[FloatArray, FloatArray]:
    """Solve for the backgrounds: (plain - cross^T M^-1 cross, M^-1 cross), M = own + 1/sigma^2, batched.

    Backgrounds that are fixed (uncertainty 0) drop out.
    """
    free = np.flatnonzero(np.array(uncertainties) > 0)
    if not len(free):
        return plain, np.zeros_like(cross)
    stiff = own[..., free[:, None], free] + np.diag(np.array(uncertainties)[free] ** -2.0)
    solved = np.zeros_like(cross)
    solved[..., free, :] = np.linalg.solve(stiff, cross[..., free, :])
    return plain - np.swapaxes(cross, -1, -2) @ solved, solved


def reduce_counts(
    experiment: Experiment, toys: Toys, variance: FloatArray | None = None, *, fast: bool = False
) -> Statistics:
    """Counts to sufficient statistics; with the toys' own counts as variances unless `variance` (bins,) is given.

    A bin without counts has variance 1 then, as is usual with Neyman's chi^2 (`LeastSquares.of` refuses such data: a
    user can take wider bins). `fast` uses the compiled kernel.
    """
    monomials = len(experiment.signal)
    vectors = np.vstack([experiment.signal, experiment.backgrounds])
    weights = 1 / np.maximum(toys.counts, 1.0) if variance is None else (1 / variance)[None, :]
    # Each pair of vectors once; the products are then spread over a symmetric matrix.
    first, second = np.triu_indices(len(vectors))
    pairs = np.ascontiguousarray((vectors[first] * vectors[second]).T)
    once = inner_products()(toys.counts, pairs) if fast and variance is None else weights @ pairs
    products = np.empty((len(once), len(vectors), len(vectors)))
    products[:, first, second] = once
    products[:, second, first] = once
    data = toys.counts - (1 + toys.centres[:, 1:]) @ experiment.backgrounds
    along = (data * weights) @ vectors.T
    gram, solved = _profiled(
        products[:, :monomials, :monomials],
        products[:, monomials:, :monomials],
        products[:, monomials:, monomials:],
        experiment.background_uncertainties,
    )
    profiled = along[:, :monomials] - (along[:, None, monomials:] @ solved)[:, 0]
    return Statistics(profiled, gram, 1 + toys.centres[:, 0])


def draw_compressed(
    experiment: Experiment,
    truth: tuple[float, ...],
    toys: int,
    rng: np.random.Generator,
    ensemble: Ensemble,
    variance: FloatArray,
) -> Statistics:
    """Sufficient statistics in a fixed metric, drawn as the few correlated normals that they are for many counts.

    <C_m, y> is linear in the counts; its mean and covariance follow from the Poisson law and the normalisations.
    """
    check_widths(experiment, ensemble)
    monomials = len(experiment.signal)
    weighted = np.vstack([experiment.signal, experiment.backgrounds]) / variance
    products = weighted @ np.vstack([experiment.signal, experiment.backgrounds]).T
    gram, solved = _profiled(
        products[:monomials, :monomials],
        products[monomials:, :monomials],
        products[monomials:, monomials:],
        experiment.background_uncertainties,
    )
    # <C_m, .> as a linear map of the counts.
    measure = weighted[:monomials] - solved.T @ weighted[monomials:]
    signal = experiment.signal_at(truth)
    expected = signal + experiment.backgrounds.sum(axis=0)
    covariance = (measure * expected) @ measure.T
    widths = np.array([experiment.signal_uncertainty, *experiment.background_uncertainties])
    pulls = rng.standard_normal((toys, len(widths))) * widths
    shifts = np.vstack([signal, experiment.backgrounds]) @ measure.T
    values, axes = np.linalg.eigh(covariance)
    spread = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    along = rng.standard_normal((toys, monomials)) @ spread + signal @ measure.T
    if ensemble == "drawn":
        along += pulls @ shifts
        centre = np.ones(toys)
    else:
        along -= pulls[:, 1:] @ shifts[1:]
        centre = 1 + pulls[:, 0]
    return Statistics(along, gram[None], centre)


def expected_variance(experiment: Experiment, truth: tuple[float, ...]) -> FloatArray:
    """Expected counts per bin at given couplings: the variances of a fixed metric.

    Raises `StatisticsError` for a bin in which nothing is expected.
    """
    variance = experiment.signal_at(truth) + experiment.backgrounds.sum(axis=0)
    if not np.all(variance > 0):
        raise StatisticsError("a bin has no expected counts, so least squares has no variance for it; use wider bins")
    return np.asarray(variance)
