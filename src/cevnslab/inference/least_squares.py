"""The least-squares statistic with its nuisances profiled in closed form.

Eq. (15) of arXiv:2409.10652, with signal n(theta), background B, data N and variances N:

    chi^2 = min over a, b of sum_i [n_i (1 + a) + B_i (1 + b) - N_i]^2/N_i + (a/sigma_a)^2 + (b/sigma_b)^2

The background is profiled into the metric, W' = W - W B B^T W/(B^T W B + 1/sigma_b^2), W = diag(1/N); several
backgrounds likewise, with a matrix in the place of the division. Then, with k = 1/sigma_a^2, y = N - B, the residual
e(theta) = n(theta) - y and <.,.> the product in W',

    chi^2(theta) = [(k + <y,y>) <e,e> - <y,e>^2] / (k + <y + e, y + e>),

which is the design's chi^2 rewritten so that nothing cancels: on Asimov data e is the change of the signal and
chi^2 vanishes with it to machine precision. Everything follows from the Gram matrix of y and the coefficient
vectors of e: a few numbers, whatever the number of bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.folding import Monomial
from cevnslab.detection.response import Response
from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Axis, Chi2
from cevnslab.inference.pointwise import PointwiseChi2, along
from cevnslab.inference.rational import RationalChi2

FloatArray = NDArray[np.float64]


def response_axes(response: Response) -> tuple[Axis, ...]:
    """The couplings of a response as inference sees them."""
    axes = []
    for number, new in enumerate(response.couplings):
        expansion = response.expansions.get(number)
        bounds = new.bounds if expansion is None else (expansion.low, expansion.high)
        axes.append(Axis(new.name, new.scale, bounds, new.power, new.reference, expansion))
    return tuple(axes)


def background_widths(response: Response, uncertainty: float | Sequence[float]) -> FloatArray:
    """The relative width of every background's normalisation; `StatisticsError` for another number of them."""
    widths = np.broadcast_to(
        np.asarray(uncertainty, dtype=float), np.shape(uncertainty) or (len(response.backgrounds),)
    )
    if len(widths) != len(response.backgrounds):
        raise StatisticsError(
            f"detector {response.name}: {len(response.backgrounds)} background uncertainties are needed, "
            f"got {len(widths)}"
        )
    return widths


@dataclass(frozen=True, eq=False)
class LeastSquares:
    """chi^2 of one detector, or of several that share the signal normalisation, as a Gram matrix.

    Couplings are measured in their natural scales. Row 0 of `gram` is y, row 1 + m is the coefficient vector of
    monomial m of the residual e; monomial 0 is the constant one.
    """

    axes: tuple[Axis, ...]
    monomials: tuple[Monomial, ...]
    gram: FloatArray
    signal_uncertainty: float

    @classmethod
    def of(
        cls,
        response: Response,
        signal_uncertainty: float,
        background_uncertainty: float | Sequence[float],
        data: FloatArray | None = None,
    ) -> LeastSquares:
        """The statistic of one response.

        Parameters
        ----------
        signal_uncertainty, background_uncertainty : relative widths; 0 fixes a normalisation. One width for all
            backgrounds of the response, or one each.
        data : observed counts per bin, also the variances; the Standard Model expectation (Asimov) unless given.

        Raises `StatisticsError` for a bin with no counts in which signal is possible.

        """
        standard_model, background = response.signal[0], response.background
        observed = standard_model + background if data is None else np.asarray(data, dtype=float)
        if observed.shape != background.shape:
            raise StatisticsError(f"{len(background)} counts are needed, one per bin; got shape {observed.shape}")
        empty = observed <= 0
        if np.any(response.signal[:, empty]) or np.any(background[empty]):
            raise StatisticsError(
                f"detector {response.name}: {response.bin_text(int(np.flatnonzero(empty)[0]))} has no counts, "
                "so least squares has no variance for it; use wider bins"
            )
        weights = np.divide(1.0, observed, out=np.zeros_like(observed), where=~empty)
        axes = response_axes(response)
        scales = np.array([axis.strength_scale for axis in axes])
        vectors = np.vstack([observed - background, response.signal])
        for row, monomial in enumerate(response.monomials, start=1):
            vectors[row] *= np.prod(scales[list(monomial)])
        # With Asimov data the constant residual is exactly zero, not a rounded difference.
        vectors[1] = 0.0 if data is None else vectors[1] - vectors[0]
        gram = (vectors * weights) @ vectors.T
        widths = background_widths(response, background_uncertainty)
        free = widths > 0
        if free.any():
            rows = np.array(list(response.backgrounds.values()))[free]
            along = vectors @ (rows * weights).T
            gram -= along @ np.linalg.solve((rows * weights) @ rows.T + np.diag(widths[free] ** -2.0), along.T)
        return cls(axes, response.monomials, gram, signal_uncertainty)

    def __add__(self, other: LeastSquares) -> LeastSquares:
        """Two detectors that share one signal normalisation: their Gram matrices add.

        Raises `StatisticsError` unless both have the same couplings and the same uncertainty of the signal.
        """
        if (self.axes, self.signal_uncertainty) != (other.axes, other.signal_uncertainty):
            raise StatisticsError("detectors with a common signal normalisation need one signal uncertainty for all")
        monomials = tuple(sorted({*self.monomials, *other.monomials}, key=lambda m: (len(m), m)))
        gram = np.zeros((len(monomials) + 1,) * 2)
        for part in (self, other):
            rows = np.array([0, *(1 + monomials.index(monomial) for monomial in part.monomials)])
            gram[np.ix_(rows, rows)] += part.gram
        return LeastSquares(self.axes, monomials, gram, self.signal_uncertainty)

    def along(self, names: Sequence[str]) -> Chi2:
        """chi^2 as a function of one or two couplings, all others as in the Standard Model: a ratio of polynomials.

        A coupling that counts are expanded in is searched point by point instead.
        """
        if any(axis.expansion is not None for axis in self.axes if axis.name in names):
            return self.at_points(names)
        return self.closed(names)

    def at_points(self, names: Sequence[str]) -> PointwiseChi2:
        """chi^2 as a function of any number of couplings, point by point."""
        axes, kept, exponents = along(self.axes, self.monomials, names)
        rows = [0, *(1 + row for row in kept)]
        units = np.array([np.prod([self.axes[index].strength_scale for index in self.monomials[row]]) for row in kept])
        return PointwiseChi2(
            axes, exponents, GramLikelihood(self.gram[np.ix_(rows, rows)], units, self.signal_uncertainty)
        )

    def closed(self, names: Sequence[str]) -> RationalChi2:
        """chi^2 as a function of one or two couplings that enter as powers."""
        known = [axis.name for axis in self.axes]
        chosen = [known.index(name) for name in names]
        kept = [(row, m) for row, m in enumerate(self.monomials, start=1) if set(m) <= set(chosen)]
        rows = np.array([row for row, _ in kept])
        # Entry of each monomial in the flattened coefficient array: digits in base five.
        entries = np.array(
            [sum(m.count(index) * 5**place for place, index in enumerate(chosen[::-1])) for _, m in kept]
        )
        shape = (5,) * len(chosen)
        residual_squared = _collect(entries[:, None] + entries, self.gram[np.ix_(rows, rows)], shape)
        along_data = _collect(entries, self.gram[0, rows], shape)
        axes = tuple(self.axes[index] for index in chosen)
        if self.signal_uncertainty == 0:
            return RationalChi2(axes, residual_squared, _constant(residual_squared, 1.0))
        data_squared = self.gram[0, 0]
        k = self.signal_uncertainty**-2
        # Both divided by k + <y,y>, so that the denominator is near one.
        square = _square_of_quadratic(along_data)
        numerator = residual_squared - square / (k + data_squared)
        denominator = _constant(residual_squared, 1.0) + (2 * along_data + residual_squared) / (k + data_squared)
        return RationalChi2(axes, numerator, denominator)


@dataclass(frozen=True, eq=False)
class GramLikelihood:
    """chi^2 from the Gram matrix at values of the monomials; `units` are the monomials that the rows are for."""

    gram: FloatArray
    units: FloatArray
    signal_uncertainty: float

    @property
    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        return 3 * len(self.gram)

    def _parts(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The scaled monomials, <e,e> and <y,e> at points, and what they are made of."""
        scaled = monomials / self.units
        return scaled, scaled @ self.gram[1:, 1:], scaled @ self.gram[0, 1:]

    def minimum(self, monomials: FloatArray) -> FloatArray:
        """chi^2, shape (points,)."""
        return self.minimum_and_slope(monomials)[0]

    def minimum_and_slope(self, monomials: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2 and its derivative with respect to every monomial.

        As in `LeastSquares.closed`, all divided by k + <y,y>.
        """
        scaled, towards, along_data = self._parts(monomials)
        residual = np.sum(scaled * towards, axis=1)
        residual_slope, data_slope = 2 * towards / self.units, self.gram[0, 1:] / self.units
        if self.signal_uncertainty == 0:
            return residual, residual_slope
        norm = self.signal_uncertainty**-2 + self.gram[0, 0]
        above = residual - along_data**2 / norm
        below = 1 + (2 * along_data + residual) / norm
        above_slope = residual_slope - (2 * along_data / norm)[:, None] * data_slope
        below_slope = (2 * data_slope + residual_slope) / norm
        chi2 = above / below
        return chi2, (above_slope - chi2[:, None] * below_slope) / below[:, None]


def _collect(entries: NDArray[np.int64], values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Add up the coefficients of equal powers."""
    size = int(np.prod(shape))
    return np.asarray(np.bincount(entries.ravel(), values.ravel(), size), dtype=float).reshape(shape)


def _constant(like: FloatArray, value: float) -> FloatArray:
    array = np.zeros_like(like)
    array[(0,) * like.ndim] = value
    return array


def _square_of_quadratic(polynomial: FloatArray) -> FloatArray:
    """The square of a polynomial of total degree two, kept to degree four in each variable."""
    if polynomial.ndim == 1:
        return np.convolve(polynomial[:3], polynomial[:3])
    square = np.zeros_like(polynomial)
    for index in np.argwhere(polynomial):
        shift = tuple(slice(start, start + 3) for start in index)
        square[shift] += polynomial[tuple(index)] * polynomial[(slice(3),) * polynomial.ndim]
    return square
