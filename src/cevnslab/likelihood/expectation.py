"""Expected counts of a data set at many points at once, with their derivatives: what the minimiser works with.

A data set is compiled once into blocks of rows. A row is a template, nominal or a bend's linear or quadratic change,
and its coefficient z is the product of the sample's scales with 1, the bend's pull or its square. Counts are z times
the templates, their slopes are the coefficients' derivatives times the templates, and what second derivatives need are
sums over the bins of each row. So nothing but matrix products touches bins. Couplings are contracted into the templates
before anything bends, so that a step of the fit costs no sum over monomials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.blocks import Block, BlockCounts
from cevnslab.likelihood.off_counts import Templates
from cevnslab.likelihood.rows import Coefficients, Part
from cevnslab.likelihood.samples import Sample

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Expectation:
    """The expected counts of one data set as a function of monomials and parameter values."""

    blocks: tuple[Block, ...]
    known: tuple[Part, ...]
    """Templates known from counts of their own."""
    columns: IntArray
    """The likelihood's parameters that act here."""
    size: int

    @classmethod
    def of(
        cls,
        samples: Sequence[Sample],
        rows: Sequence[Sequence[int]],
        columns: Mapping[str, int],
        shape: tuple[int, ...],
    ) -> Self:
        """Compile samples; `rows` are their monomials in the likelihood's polynomial, `columns` its parameters."""
        parts = [Part.of(sample, monomials, columns, shape) for sample, monomials in zip(samples, rows, strict=True)]
        acting = np.array(sorted({column for part in parts for column in part.acting}), dtype=np.int64)
        kinds: dict[tuple[object, ...], list[Part]] = {}
        known = []
        for part in parts:
            if part.per_bin is not None:
                known.append(part)
            else:
                kinds.setdefault(part.kind, []).append(part)
        blocks = []
        for kind, alike in kinds.items():
            rest = [part for part in parts if part.per_bin is not None or part.kind != kind]
            blocks.append(Block.of(alike, acting, shape, {column for part in rest for column in part.acting}))
        return cls(tuple(blocks), tuple(known), acting, int(np.prod(shape)))

    @cached_property
    def templates(self) -> Templates | None:
        """Those known from counts of their own; None where there is none."""
        known = [part.per_bin for part in self.known if part.per_bin is not None]
        return Templates.of(known) if known else None

    @cached_property
    def scales(self) -> tuple[IntArray, ...]:
        """The factors of every sample, as columns among all parameters."""
        return tuple(part.scales for part in (*self.known, *(part for block in self.blocks for part in block.parts)))

    @cached_property
    def places(self) -> dict[int, int]:
        """Where parameters stand among those that act here."""
        return {column: number for number, column in enumerate(self.columns.tolist())}

    def contracted(self, monomials: FloatArray) -> list[FloatArray]:
        """The templates of every block at values of the monomials, (points, rows, bins); one point where constant."""
        return [block.contracted(monomials) for block in self.blocks]

    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        templates = sum(block.templates[0].size for block in self.blocks if not block.constant)
        return int(self.size * (4 + 2 * len(self.columns)) + templates)

    def at(self, contracted: Sequence[FloatArray], values: FloatArray) -> Counted:
        """Counts at parameter values, shape (points, all parameters)."""
        return Counted.of(self, contracted, values)


def rows_of(contracted: Sequence[FloatArray], selection: IntArray | NDArray[np.bool_]) -> list[FloatArray]:
    """The templates of some of the points."""
    return [block if len(block) == 1 else block[selection] for block in contracted]


@dataclass(frozen=True, eq=False)
class Counted:
    """Expected counts at points with what their derivatives need."""

    expectation: Expectation
    values: FloatArray
    blocks: list[BlockCounts]
    known: list[Coefficients]
    """The factors of templates known from counts of their own."""
    expected: FloatArray
    """Shape (points, bins), without a template known per bin."""
    per_bin: FloatArray | None
    """Counts of each such template per unit of its groups' expectations, shape (points, templates, bins)."""

    @classmethod
    def of(cls, expectation: Expectation, contracted: Sequence[FloatArray], values: FloatArray) -> Self:
        """Evaluate every block."""
        extended = np.empty((len(values), values.shape[1] + 1))
        extended[:, 0], extended[:, 1:] = 1.0, values
        blocks = [
            BlockCounts.of(block, rows, extended) for block, rows in zip(expectation.blocks, contracted, strict=True)
        ]
        expected = np.zeros((len(values), expectation.size))
        for block in blocks:
            expected += block.counts
        known = [Coefficients.of(part.law, extended) for part in expectation.known]
        per_bin = [
            part.per_bin.ratio * each.factor * part.templates[0]
            for part, each in zip(expectation.known, known, strict=True)
            if part.per_bin is not None
        ]
        return cls(expectation, values, blocks, known, expected, np.stack(per_bin, axis=1) if per_bin else None)

    @property
    def contracted(self) -> list[FloatArray]:
        """The templates of every block."""
        return [block.contracted for block in self.blocks]

    def rows(self, selection: NDArray[np.bool_]) -> Counted:
        """Some of the points."""
        return replace(
            self,
            values=self.values[selection],
            blocks=[block.rows(selection) for block in self.blocks],
            known=[each.rows(selection) for each in self.known],
            expected=self.expected[selection],
            per_bin=None if self.per_bin is None else self.per_bin[selection],
        )

    def lower(self, other: Counted, selection: NDArray[np.bool_]) -> Counted:
        """Of the same points and templates, the other's where it is selection."""
        pick = selection[:, None]
        per_bin = None
        if self.per_bin is not None and other.per_bin is not None:
            per_bin = np.where(pick[:, :, None], other.per_bin, self.per_bin)
        return replace(
            self,
            values=np.where(pick, other.values, self.values),
            blocks=[one.lower(two, selection) for one, two in zip(self.blocks, other.blocks, strict=True)],
            known=[one.lower(two, selection) for one, two in zip(self.known, other.known, strict=True)],
            expected=np.where(pick, other.expected, self.expected),
            per_bin=per_bin,
        )

    def per_unit(self, number: int, tau: FloatArray | None) -> FloatArray:
        """What a unit of the factor of one template known per bin counts, at expectations of its groups."""
        part, templates = self.expectation.known[number], self.expectation.templates
        assert part.per_bin is not None
        assert tau is not None
        assert templates is not None
        return np.asarray(part.per_bin.ratio * tau[:, templates.groups[number]] * part.templates[0])

    def slopes(self, tau: FloatArray | None, unit: FloatArray | None = None) -> FloatArray:
        """Derivatives by the acting parameters, shape (points, columns, bins); templates per bin at given tau.

        `unit` is what each of them is measured in, 1 unless given.
        """
        unit = np.ones(len(self.expectation.columns)) if unit is None else unit
        slopes = np.zeros((len(self.values), len(self.expectation.columns), self.expectation.size))
        for block in self.blocks:
            block.add_slopes(slopes, unit)
        for number, each in enumerate(self.known):
            counts = self.per_unit(number, tau)
            for place, others in each.single():
                column = self.expectation.places[place]
                slopes[:, column] += unit[column] * others * counts
        return slopes

    def second(self, pull: FloatArray, tau: FloatArray | None) -> FloatArray:
        """Sum over bins of pull times the second derivatives of the counts: shape (points, columns, columns)."""
        size = len(self.expectation.columns)
        total = np.zeros((len(self.values), size, size))
        for block in self.blocks:
            block.add_second(total, pull)
        for number, each in enumerate(self.known):
            if len(each.law.scale_columns) > 1:
                value = np.sum(pull * self.per_unit(number, tau), axis=1)
                for one, two, rest in each.pairs():
                    first, second = self.expectation.places[one], self.expectation.places[two]
                    total[:, first, second] += value * rest
                    total[:, second, first] += value * rest
        return total

    def monomial_slopes(self, pull: FloatArray, monomials: int) -> FloatArray:
        """Sum over bins of pull times the derivative of the counts by every monomial: shape (points, monomials)."""
        total = np.zeros((len(pull), monomials))
        for block in self.blocks:
            if not block.block.constant:
                total[:, block.block.monomials] += block.monomial_slopes(pull)
        return total

    def mixed(self, monomials: FloatArray, pull: FloatArray) -> FloatArray:
        """Sum over bins of pull times the slopes' derivative along a direction of the monomials: (points, columns)."""
        total = np.zeros((len(pull), len(self.expectation.columns)))
        for block in self.blocks:
            if not block.block.constant:
                block.along(monomials).add_gradient(total, pull)
        return total

    def moved(self, monomials: FloatArray) -> FloatArray:
        """The counts' derivative along a direction of the monomials, shape (points, monomials): (points, bins)."""
        total = np.zeros((len(monomials), self.expectation.size))
        for block in self.blocks:
            if not block.block.constant:
                total += block.along(monomials).counts
        return total
