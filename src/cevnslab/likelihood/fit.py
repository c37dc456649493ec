"""The best fit of a likelihood: couplings and nuisance parameters with their covariance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.minimiser import Minimum, Model, half_curvature
from cevnslab.likelihood.observation import Observation
from cevnslab.likelihood.parameters import Parameter
from cevnslab.quadratic import Polynomial, Variable

FloatArray = NDArray[np.float64]

STARTS_PER_SIDE = 60
"""Values of each coupling from which a fit starts, on both sides of the Standard Model over all decades."""
DIPS = 3
"""Of the lowest of them, along each coupling, those that are followed."""
RESTING = 1e-9
"""A parameter rests on a wall when it is this near, in units of its width."""


class Prior(Protocol):
    """A Gaussian constraint on a coupling."""

    @property
    def centre(self) -> float:
        """Its mean."""

    @property
    def width(self) -> float:
        """Its standard deviation."""


class Fittable(Protocol):
    """What a fit needs of a likelihood."""

    @property
    def couplings(self) -> tuple[str, ...]:
        """All couplings."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """All nuisance parameters."""

    @property
    def polynomial(self) -> Polynomial:
        """Monomials of the couplings."""

    @property
    def priors(self) -> Mapping[str, Prior]:
        """Of couplings."""

    @property
    def model(self) -> Model:
        """Compiled for the minimiser."""

    @property
    def observation(self) -> Observation:
        """The data."""

    def minimised(self, points: FloatArray, hidden: Sequence[str] = ()) -> Minimum:
        """The minimum over nuisances and hidden couplings."""

    def with_widths(self, widths: Mapping[str, float]) -> Fittable:
        """With other prior widths."""


@dataclass(frozen=True)
class FittedParameter:
    """One parameter at the best fit: a coupling, or a nuisance parameter."""

    name: str
    value: float
    """In its plain unit."""
    error: float | None
    """One standard deviation, from the curvature; None where it is fixed or rests on a wall."""
    prior_width: float | None
    """0 fixed, infinite free; None for a coupling without a prior."""
    centre: float
    """Of its prior; the Standard Model's value for a coupling."""
    at_wall: bool
    """Whether it rests on a physical boundary, where errors mean little."""

    @property
    def pull(self) -> float | None:
        """(value - centre)/width of the prior."""
        if self.prior_width is None or not 0 < self.prior_width < np.inf:
            return None
        return (self.value - self.centre) / self.prior_width


@dataclass(frozen=True, eq=False)
class Fit:
    """A best fit."""

    chi2: float
    parameters: tuple[FittedParameter, ...]
    """Couplings first, then nuisance parameters."""
    covariance: FloatArray
    """Of all parameters, in their order; zero for those without an error."""
    point: FloatArray
    """Values of all couplings of the likelihood."""
    pulls: FloatArray
    """Nuisance parameters in units of `Parameter.unit` from their centres."""

    def parameter(self, name: str) -> FittedParameter:
        """One of them by name; `KeyError` where there is none."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def _rows(self) -> list[tuple[str, str, str]]:
        rows = []
        for parameter in self.parameters:
            error = "" if parameter.error is None else f"{parameter.error:.3g}"
            mark = "at its boundary" if parameter.at_wall else ""
            pull = parameter.pull
            rows.append(
                (
                    parameter.name,
                    f"{parameter.value:.4g} +- {error}" if error else f"{parameter.value:.4g}",
                    mark or ("" if pull is None else f"{pull:+.2f} sigma of its prior"),
                )
            )
        return rows

    def __str__(self) -> str:
        rows = [("chi2", f"{self.chi2:.6g}", ""), *self._rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        return "\n".join(f"{a:{widths[0]}}  {b:{widths[1]}}  {c}".rstrip() for a, b, c in rows)

    def _repr_html_(self) -> str:
        rows = [("chi2", f"{self.chi2:.6g}", ""), *self._rows()]
        cells = "".join("<tr>" + "".join(f"<td>{escape(word)}</td>" for word in row) + "</tr>" for row in rows)
        return f"<table><tr><th>parameter</th><th>best fit</th><th>pull</th></tr>{cells}</table>"

    @property
    def correlation(self) -> FloatArray:
        """The covariance in units of the errors."""
        errors = np.sqrt(np.diag(self.covariance))
        scale = np.outer(errors, errors)
        return np.asarray(np.divide(self.covariance, scale, out=np.zeros_like(scale), where=scale > 0))


def fit(
    likelihood: Fittable,
    couplings: Sequence[str] = (),
    fixed: Sequence[str] = (),
    start: Mapping[str, float] | None = None,
) -> Fit:
    """The best fit over nuisance parameters and `couplings`, all other couplings as in the Standard Model.

    Each coupling is first scanned over all its decades on both sides, since there may be several minima; the lowest
    dips are followed together with the nuisances. Errors are those of the exact curvature at the minimum.

    Raises `StatisticsError` for a coupling or parameter that the likelihood does not have.

    Parameters
    ----------
    fixed
        Nuisance parameters that stay at their centres.
    start
        Values of couplings near their best fit, which are then not scanned.

    """
    names = [parameter.name for parameter in likelihood.parameters]
    for name in fixed:
        if name not in names:
            raise StatisticsError(f"no parameter '{name}'; known are {', '.join(names)}")
    for name in couplings:
        if name not in likelihood.couplings:
            raise StatisticsError(f"no coupling '{name}'; known are {', '.join(likelihood.couplings)}")
    conditional = likelihood.with_widths(dict.fromkeys(fixed, 0.0)) if fixed else likelihood
    minimum = _lowest(conditional, couplings, start or {})
    return _described(conditional, couplings, minimum)


def _lowest(likelihood: Fittable, couplings: Sequence[str], start: Mapping[str, float]) -> Minimum:
    """The lowest minimum from the Standard Model, or where the search is to start, and the dips along each coupling."""
    standard_model = likelihood.polynomial.standard_model.copy()
    for name, value in start.items():
        standard_model[likelihood.couplings.index(name)] = value
    starts = [standard_model[None, :]]
    for name in (name for name in couplings if name not in start):
        place = likelihood.couplings.index(name)
        line = likelihood.polynomial.variables[place].search_points(STARTS_PER_SIDE)
        points = np.tile(standard_model, (len(line), 1))
        points[:, place] = line
        chi2 = np.pad(likelihood.minimised(points).chi2, 1, constant_values=np.inf)
        dips = np.flatnonzero((chi2[1:-1] <= chi2[:-2]) & (chi2[1:-1] < chi2[2:]))
        starts.append(points[dips[np.argsort(chi2[1:-1][dips])[:DIPS]]])
    together = np.concatenate(starts)
    minimum = likelihood.minimised(together, couplings)
    best = np.array([int(np.argmin(minimum.chi2))])
    return Minimum(minimum.chi2[best], minimum.pulls[best], minimum.couplings[best])


def _described(likelihood: Fittable, couplings: Sequence[str], minimum: Minimum) -> Fit:
    model, places = likelihood.model, [likelihood.couplings.index(name) for name in couplings]
    curvature = half_curvature(model, minimum.couplings, minimum.pulls, likelihood.observation, places)[0]
    nuisances = len(likelihood.parameters)
    # The curvature has nuisances first; results have couplings first.
    order = [*range(nuisances, nuisances + len(places)), *range(nuisances)]
    curvature = curvature[np.ix_(order, order)]
    low, high = model.walls
    pulls = minimum.pulls[0]
    resting = [
        *(_at_bound(likelihood.polynomial.variables[place], minimum.couplings[0, place]) for place in places),
        *(
            bool(p.fixed or pull <= lo + RESTING or pull >= hi - RESTING)
            for p, pull, lo, hi in zip(likelihood.parameters, pulls, low, high, strict=True)
        ),
    ]
    free = np.flatnonzero(~np.array(resting, dtype=bool))
    units = np.concatenate([np.ones(len(places)), model.unit])
    covariance = np.zeros_like(curvature)
    covariance[np.ix_(free, free)] = _inverse(curvature[np.ix_(free, free)])
    covariance *= units[:, None] * units
    errors = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    values = np.concatenate([minimum.couplings[0, places], model.centre + model.unit * pulls])
    rows = []
    for number, name in enumerate([*couplings, *(parameter.name for parameter in likelihood.parameters)]):
        error = float(errors[number]) if number in free and errors[number] > 0 else None
        if number < len(places):
            prior = likelihood.priors.get(name)
            width = None if prior is None else prior.width
            centre = float(likelihood.polynomial.variables[places[number]].standard_model)
            centre = centre if prior is None else prior.centre
            wall = resting[number]
        else:
            parameter = likelihood.parameters[number - len(places)]
            width, centre, wall = parameter.width, parameter.centre, resting[number] and not parameter.fixed
        rows.append(FittedParameter(name, float(values[number]), error, width, centre, wall))
    return Fit(float(minimum.chi2[0]), tuple(rows), covariance, minimum.couplings[0], pulls)


def _at_bound(variable: Variable, value: float) -> bool:
    room = RESTING * variable.scale
    return bool(value <= variable.bounds[0] + room or value >= variable.bounds[1] - room)


def _inverse(curvature: FloatArray) -> FloatArray:
    """The inverse in units in which the diagonal is one, so that parameters of any unit are alike."""
    scale = np.sqrt(np.maximum(np.abs(np.diag(curvature)), np.finfo(float).tiny))
    return np.asarray(np.linalg.pinv(curvature / scale / scale[:, None], hermitian=True) / scale / scale[:, None])
