"""chi^2 of chosen couplings, all nuisances minimised over: what inference works with.

Data sets that share no nuisance parameter are minimised one by one and their chi^2 added; each of these parts is taken
in closed form where its structure has one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.closed_form import ClosedForm, Ratio, closed_form
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import Minimum, coupling_slopes
from cevnslab.quadratic import Variable

FloatArray = NDArray[np.float64]

LARGEST_GRAM = 2_000_000
"""Numbers (monomials times bins) of a likelihood up to which its closed form is computed for all couplings at once."""


def independent_parts(likelihood: Likelihood) -> list[Likelihood]:
    """The likelihood as a sum: data sets joined by nuisance parameters stay together. Priors of couplings are left out.

    >>> independent_parts(Likelihood(()))
    []
    """
    groups: list[tuple[set[str], list[int]]] = []
    for number, dataset in enumerate(likelihood.datasets):
        names = {p.name for sample in dataset.samples for p in sample.parameters if not p.fixed}
        members = [number]
        for group in [group for group in groups if group[0] & names]:
            groups.remove(group)
            names, members = names | group[0], group[1] + members
        groups.append((names, members))
    return [
        Likelihood(tuple(likelihood.datasets[number] for number in sorted(members)))
        for _, members in sorted(groups, key=lambda group: min(group[1]))
    ]


_CLOSED_PARTS: WeakKeyDictionary[Likelihood, list[tuple[Likelihood, ClosedForm | None]]] = WeakKeyDictionary()


def closed_parts(likelihood: Likelihood) -> list[tuple[Likelihood, ClosedForm | None]]:
    """The independent parts of a likelihood with their closed forms, of all couplings: computed once while it lives.

    Every limit, profile and contour takes its own couplings' share of them.
    """
    if likelihood not in _CLOSED_PARTS:
        _CLOSED_PARTS[likelihood] = [(part, closed_form(part)) for part in independent_parts(likelihood)]
    return _CLOSED_PARTS[likelihood]


@dataclass(frozen=True, eq=False)
class ProfileLikelihood:
    """chi^2 as a function of the couplings `names`, all other couplings as in the Standard Model."""

    whole: Likelihood
    names: tuple[str, ...]

    @cached_property
    def likelihood(self) -> Likelihood:
        """With the chosen couplings alone."""
        return self.whole.restricted(self.names)

    @cached_property
    def axes(self) -> tuple[Variable, ...]:
        """The couplings, in the order of the points."""
        by_name = {variable.name: variable for variable in self.whole.polynomial.variables}
        return tuple(by_name[name] for name in self.names)

    @cached_property
    def parts(self) -> list[tuple[Likelihood, ClosedForm | None, list[int]]]:
        """Each independent part, its closed form, and the columns of its couplings among the points.

        A part without a closed form has the chosen couplings alone.
        """
        bins = sum(len(dataset.observed) for dataset in self.whole.datasets)
        if len(self.whole.polynomial.monomials) * bins > LARGEST_GRAM:
            alone = [(part, closed_form(part)) for part in independent_parts(self.likelihood)]
            return [(part, closed, self._columns(part.couplings)) for part, closed in alone]
        parts: list[tuple[Likelihood, ClosedForm | None, list[int]]] = []
        for part, closed in closed_parts(self.whole):
            names = [name for name in self.names if name in part.couplings]
            if closed is not None:
                parts.append((part, closed.restricted(names), self._columns(names)))
            else:  # it may have one where a coupling that bends is left out
                restricted = part.restricted(names)
                parts.append((restricted, closed_form(restricted), self._columns(restricted.couplings)))
        return parts

    def _columns(self, names: Sequence[str]) -> list[int]:
        return [self.names.index(name) for name in names]

    @cached_property
    def ratio(self) -> Ratio | None:
        """The whole as one ratio of polynomials, where it has this form."""
        if len(self.parts) != 1 or any(name in self.whole.priors for name in self.names):
            return None
        _, closed, columns = self.parts[0]
        return closed.ratio() if closed is not None and columns == list(range(len(self.names))) else None

    @cached_property
    def quick(self) -> bool:
        """Whether a point costs a few operations, or a minimisation."""
        return all(closed is not None for _, closed, _ in self.parts)

    def values_at(self, points: FloatArray) -> FloatArray:
        """chi^2 at points, shape (points, couplings)."""
        total = self.prior_terms(points)[0]
        for part, closed, columns in self.parts:
            values = points[:, columns]
            total = total + (closed.at(values)[0] if closed is not None else part.minimised(values).chi2)
        return total

    def gradient_at(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """chi^2, shape (points,), and its derivatives, shape (points, couplings)."""
        total, slopes = self.prior_terms(points)
        for part, closed, columns in self.parts:
            values = points[:, columns]
            if closed is not None:
                chi2, slope = closed.at(values)
            else:
                minimum = part.minimised(values)
                chi2, slope = coupling_slopes(part.model, values, minimum.pulls, part.observation)
            total = total + chi2
            slopes[:, columns] += slope
        return total, slopes

    def prior_terms(self, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the priors of couplings add to chi^2, and its derivatives."""
        total, slopes = np.zeros(len(points)), np.zeros(points.shape)
        for column, name in enumerate(self.names):
            prior = self.likelihood.priors.get(name)
            if prior is not None:
                distance = (points[:, column] - prior.centre) / prior.width
                total = total + distance**2
                slopes[:, column] += 2 * distance / prior.width
        return total, slopes

    def minimised(self, points: FloatArray, hidden: Sequence[str] = (), starts: FloatArray | None = None) -> Minimum:
        """The minimum of the whole over nuisances and hidden couplings; see `Likelihood.minimised`.

        Points and couplings are in the order of `names`; the nuisances in that of `likelihood.parameters`.
        """
        order = [self.names.index(name) for name in self.likelihood.couplings]
        minimum = self.likelihood.minimised(points[:, order], hidden, starts)
        couplings = points.copy()
        couplings[:, order] = minimum.couplings
        return Minimum(minimum.chi2, minimum.pulls, couplings)
