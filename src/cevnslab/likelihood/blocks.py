"""Blocks of rows: counts of samples that are evaluated together, with their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.rows import Coefficients, Law, Part, spread
from cevnslab.likelihood.samples import Shift

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Block:
    """Parts whose rows are evaluated together."""

    parts: tuple[Part, ...]
    monomials: IntArray
    """Those that any part has."""
    templates: FloatArray
    """Shape (monomials, rows, bins), of the other axes where an offset moves them."""
    law: Law
    columns: IntArray
    """The parameters that act here, as places among those that act on the data set."""
    places: IntArray
    """Of all parameters, the place among `columns`."""
    axes: tuple[int, ...]
    """The shape of the data set's bins."""
    whole: bool
    """Whether its columns are neighbours that move no other block: their slopes can be written where they belong."""

    @classmethod
    def of(cls, parts: Sequence[Part], acting: IntArray, shape: tuple[int, ...], others: set[int]) -> Self:
        """Of parts of one kind; those with the same factors and no bends are one.

        `others` are the parameters that act on other blocks.
        """
        parts = _merged(parts)
        monomials = np.unique(np.concatenate([part.monomials for part in parts]))
        size = parts[0].templates.shape[2]
        templates = np.zeros((len(monomials), sum(part.templates.shape[1] for part in parts), size))
        start = 0
        for part in parts:
            end = start + part.templates.shape[1]
            templates[np.searchsorted(monomials, part.monomials), start:end] = part.templates
            start = end
        acting_here = np.array(sorted(set().union(*(part.acting for part in parts))), dtype=np.int64)
        places = np.zeros(int(acting.max(initial=0)) + 1, dtype=np.int64)
        places[acting_here] = np.arange(len(acting_here))
        columns = np.searchsorted(acting, acting_here)
        whole = bool(np.all(np.diff(columns) == 1)) and not others & set(acting_here.tolist())
        return cls(tuple(parts), monomials, templates, Law.of(parts), columns, places, shape, whole)

    @cached_property
    def constant(self) -> bool:
        """Whether no coupling changes it."""
        return all(part.constant for part in self.parts)

    @property
    def shift_column(self) -> int | None:
        """The parameter of the offset that moves it."""
        return self.parts[0].shift_column

    def contracted(self, monomials: FloatArray) -> FloatArray:
        """The templates at values of the monomials, shape (points, rows, bins); one point where constant."""
        if self.constant:
            return self.templates
        flat = self.templates.reshape(len(self.monomials), -1)
        return np.asarray((monomials[:, self.monomials] @ flat).reshape(len(monomials), *self.templates.shape[1:]))

    @cached_property
    def fixed(self) -> NDArray[np.bool_]:
        """Which rows no coupling changes: they stay as they are along a direction of the monomials."""
        constant = np.array([part.constant for part in self.parts], dtype=bool)
        return np.asarray(constant[self.law.owner])

    def direction(self, monomials: FloatArray) -> FloatArray:
        """The derivative of `contracted` along a direction of the monomials."""
        rows = self.contracted(monomials)
        rows[:, self.fixed] = 0.0
        return rows

    @cached_property
    def scatter(self) -> FloatArray:
        """Adds second derivatives of factors with bends, and of quadratic bends, to columns: (terms, columns^2)."""
        size = len(self.columns)
        pairs = [(self.places[scale], self.places[bend]) for _, _, scale, bend in self.crossed]
        rows = [(self.places[column], self.places[column]) for column in self.law.bent[0][self.law.squared]]
        result = np.zeros((len(pairs) + len(rows), size * size))
        for number, (one, two) in enumerate(pairs):
            result[number, one * size + two] += 1
            result[number, two * size + one] += 1
        for number, (one, two) in enumerate(rows, start=len(pairs)):
            result[number, one * size + two] += 2
        return result

    @cached_property
    def crossed(self) -> list[tuple[int, int, int, int]]:
        """Of each factor and each row that bends on the same part: factor, number among rows that bend, parameters."""
        columns, rows = self.law.bent
        result = []
        for number, (column, row) in enumerate(zip(columns.tolist(), rows.tolist(), strict=True)):
            for factor, place in enumerate(self.law.scales[self.law.owner[row]].tolist()):
                if place:
                    result.append((factor, number, place - 1, column))
        return result

    @cached_property
    def crossed_factors(self) -> IntArray:
        """Of `crossed`, the number of the factor."""
        return np.array([factor for factor, *_ in self.crossed], dtype=np.int64)

    @cached_property
    def crossed_rows(self) -> IntArray:
        """Of `crossed`, the number among the rows that bend."""
        return np.array([number for _, number, *_ in self.crossed], dtype=np.int64)

    @cached_property
    def span(self) -> slice:
        """From the first of its columns to the last."""
        return slice(int(self.columns[0]), int(self.columns[-1]) + 1) if len(self.columns) else slice(0)

    @cached_property
    def repeated(self) -> bool:
        """Whether one parameter acts twice on a row."""
        columns = np.concatenate([self.law.scaled[0], self.law.bent[0]])
        rows = np.concatenate([self.law.scaled[1], self.law.bent[1]])
        return len(np.unique(np.stack([columns, rows]), axis=1).T) < len(rows)

    @cached_property
    def _splines(self) -> Shift | None:
        """The distributions of all parts as one, where they are known at the same offsets."""
        shifts = [part.shift for part in self.parts if part.shift is not None]
        if any(not np.array_equal(shift.offsets, shifts[0].offsets) for shift in shifts):
            return None
        return replace(shifts[0], fractions=np.concatenate([shift.fractions for shift in shifts], axis=1))

    def fractions(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Of every part the distribution along the shifted axis, its slope and curvature: (points, parts, bins)."""
        assert self.shift_column is not None
        offset, shape = values[:, self.shift_column], (len(values), len(self.parts), -1)
        if self._splines is not None:
            value, slope, curvature = (each.reshape(shape) for each in self._splines.at(offset))
        else:
            each = [part.shift.at(offset) for part in self.parts if part.shift is not None]
            value, slope, curvature = (np.stack(of_parts, axis=1) for of_parts in zip(*each, strict=True))
        return value, slope, curvature

    @property
    def axis(self) -> int:
        """The shifted one."""
        shift = self.parts[0].shift
        assert shift is not None
        return shift.axis

    def gathered(self, pull: FloatArray, fractions: FloatArray) -> FloatArray:
        """The transpose of `spread`: sums over the shifted axis, weighted with fractions, (points, parts, bins)."""
        before, along = int(np.prod(self.axes[: self.axis])), self.axes[self.axis]
        shaped = pull.reshape(len(pull), before, along, -1)
        return np.asarray(
            np.einsum("pbta,pkt->pkba", shaped, fractions, optimize=True).reshape(*fractions.shape[:2], -1)
        )


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Counts that know nothing but the same factors are one part."""
    result: list[Part] = []
    plain: dict[tuple[int, ...], int] = {}
    for part in parts:
        key = tuple(part.scales.tolist())
        if len(part.bends) or part.shift is not None or key not in plain:
            if not len(part.bends) and part.shift is None:
                plain[key] = len(result)
            result.append(part)
            continue
        other = result[plain[key]]
        monomials = np.union1d(part.monomials, other.monomials)
        templates = np.zeros((len(monomials), *part.templates.shape[1:]))
        for each in (part, other):
            templates[np.searchsorted(monomials, each.monomials)] += each.templates
        result[plain[key]] = replace(other, monomials=monomials, templates=templates)
    return result


@dataclass(frozen=True, eq=False)
class BlockCounts:
    """What one block counts at points."""

    block: Block
    contracted: FloatArray
    coefficients: Coefficients
    fractions: tuple[FloatArray, FloatArray, FloatArray] | None
    """Along the shifted axis."""
    rows_full: FloatArray
    """What a unit of each row's coefficient counts, shape (points or 1, rows, bins)."""

    @classmethod
    def of(cls, block: Block, contracted: FloatArray, extended: FloatArray) -> Self:
        """At extended values."""
        coefficients = Coefficients.of(block.law, extended)
        if block.shift_column is None:
            return cls(block, contracted, coefficients, None, contracted)
        fractions = block.fractions(extended[:, 1:])
        full = spread(contracted, fractions[0][:, block.law.owner], block.axis, block.axes)
        return cls(block, contracted, coefficients, fractions, full)

    @cached_property
    def counts(self) -> FloatArray:
        """Shape (points, bins)."""
        return _times(self.coefficients.value[:, None, :], self.rows_full)[:, 0]

    def rows(self, selection: NDArray[np.bool_]) -> BlockCounts:
        """Some of the points."""
        same = self.rows_full is self.contracted
        contracted = _rows(self.contracted, selection)
        return BlockCounts(
            self.block,
            contracted,
            self.coefficients.rows(selection),
            None if self.fractions is None else _three(tuple(each[selection] for each in self.fractions)),
            contracted if same else _rows(self.rows_full, selection),
        )

    def lower(self, other: BlockCounts, selection: NDArray[np.bool_]) -> BlockCounts:
        """Of the same templates, the other's at chosen points."""
        fractions, full = None, self.rows_full
        if self.fractions is not None and other.fractions is not None:
            pick = selection[:, None, None]
            pairs = zip(self.fractions, other.fractions, strict=True)
            fractions = _three(tuple(np.where(pick, two, one) for one, two in pairs))
            full = np.where(pick, other.rows_full, self.rows_full)
        return BlockCounts(
            self.block, self.contracted, self.coefficients.lower(other.coefficients, selection), fractions, full
        )

    def along(self, monomials: FloatArray) -> BlockCounts:
        """The derivative along a direction of the monomials, (points, monomials)."""
        rows = self.block.direction(monomials)
        full = rows
        if self.fractions is not None:
            full = spread(rows, self.fractions[0][:, self.block.law.owner], self.block.axis, self.block.axes)
        return BlockCounts(self.block, rows, self.coefficients, self.fractions, full)

    @cached_property
    def jacobian(self) -> FloatArray:
        """Derivatives of the coefficients by the block's parameters: shape (points, columns, rows)."""
        block, at = self.block, self.coefficients
        law = block.law
        result = np.zeros((len(at.value), len(block.columns), len(law.owner)))
        columns, rows, factors = law.scaled
        if len(rows):
            others = at.others[0][:, law.owner[rows]]
            if len(at.others) > 1:
                others = np.stack(at.others, axis=2)[:, law.owner[rows], factors]
            self._put(result, block.places[columns], rows, others * at.shape[:, rows])
        columns, rows = law.bent
        if len(rows):
            self._put(result, block.places[columns], rows, at.factor[:, law.owner[rows]] * at.bend_slopes)
        return result

    def _put(self, result: FloatArray, columns: IntArray, rows: IntArray, values: FloatArray) -> None:
        if self.block.repeated:
            every: NDArray[np.int64] = np.arange(len(result))[:, None]
            np.add.at(result, (every, columns, rows), values)
        else:
            result[:, columns, rows] = values

    @cached_property
    def _before(self) -> FloatArray:
        """Counts of every part before the shift, shape (points, parts, bins of the other axes)."""
        parts = len(self.block.parts)
        expanded = self.coefficients.value[:, None, :] * (np.arange(parts)[:, None] == self.block.law.owner)
        return _times(expanded, self.contracted)

    def _offset_place(self) -> int:
        column = self.block.shift_column
        assert column is not None
        return int(self.block.places[column])

    def add_slopes(self, slopes: FloatArray, unit: FloatArray) -> None:
        """Add the slopes by the data set's parameters, each in its unit: shape (points, columns, bins)."""
        block = self.block
        jacobian, target = self.jacobian * unit[block.columns][:, None], slopes[:, block.span]
        rows = self.rows_full[0] if len(self.rows_full) == 1 else self.rows_full
        if block.whole:
            np.matmul(jacobian, rows, out=target)
        else:
            slopes[:, block.columns] += jacobian @ rows
        if self.fractions is not None:
            moved = spread(self._before, self.fractions[1], block.axis, block.axes)
            place = block.columns[self._offset_place()]
            slopes[:, place] += unit[place] * moved.sum(axis=1)

    def add_gradient(self, total: FloatArray, pull: FloatArray) -> None:
        """Add the sums over bins of pull times the slopes: shape (points, columns)."""
        here = (self.jacobian @ _summed(self.rows_full, pull)[:, :, None])[:, :, 0]
        if self.fractions is not None:
            gathered = self.block.gathered(pull, self.fractions[1])
            here[:, self._offset_place()] += np.sum(gathered * self._before, axis=(1, 2))
        total[:, self.block.columns] += here

    def add_second(self, total: FloatArray, pull: FloatArray) -> None:
        """Add the sums over bins of pull times the second derivatives: shape (points, columns, columns)."""
        block, at = self.block, self.coefficients
        law, size = block.law, len(block.columns)
        here = np.zeros((len(pull), size, size))
        rows = law.bent[1]
        if len(rows) or len(at.others) > 1:
            of_rows = _summed(self.rows_full, pull)
        if len(rows):
            sums = of_rows[:, rows]
            factors, bent = block.crossed_factors, block.crossed_rows
            others = at.others[0] if len(at.others) == 1 else np.stack(at.others, axis=2)
            owner = law.owner[rows[bent]]
            others = others[:, owner] if len(at.others) == 1 else others[:, owner, factors]
            terms = others * (at.bend_slopes * sums)[:, bent]
            square = (at.factor[:, law.owner[rows]] * sums)[:, law.squared]
            here += (np.hstack([terms, square]) @ block.scatter).reshape(here.shape)
        if len(at.others) > 1:
            self._add_factors(here, of_rows)
        if self.fractions is not None:
            self._add_offset(here, pull)
        total[:, block.columns[:, None], block.columns] += here

    def _add_factors(self, total: FloatArray, of_rows: FloatArray) -> None:
        """Two factors of one part."""
        law, at = self.block.law, self.coefficients
        scales = at.extended[:, law.scales] + (law.scales > 0)
        of_parts = (at.shape * of_rows) @ (law.owner[:, None] == np.arange(len(self.block.parts)))
        for part, places in enumerate(law.scales.tolist()):
            for one in range(len(places)):
                for two in range(one):
                    if not places[two] or not places[one]:
                        continue
                    others = [each for each in range(len(places)) if each not in (one, two)]
                    rest = np.prod(scales[:, part, others], axis=1) * of_parts[:, part]
                    first, second = (int(self.block.places[place - 1]) for place in (places[one], places[two]))
                    total[:, first, second] += rest
                    total[:, second, first] += rest

    def _add_offset(self, total: FloatArray, pull: FloatArray) -> None:
        """The offset with what else acts, and twice."""
        assert self.fractions is not None
        place = self._offset_place()
        once, twice = (self.block.gathered(pull, fractions) for fractions in self.fractions[1:])
        of_rows = np.einsum(
            "prb,prb->pr",
            np.broadcast_to(self.contracted, (len(pull), *self.contracted.shape[1:])),
            once[:, self.block.law.owner],
        )
        mixed = (self.jacobian @ of_rows[:, :, None])[:, :, 0]
        total[:, place] += mixed
        total[:, :, place] += mixed
        total[:, place, place] += np.sum(twice * self._before, axis=(1, 2))

    def monomial_slopes(self, pull: FloatArray) -> FloatArray:
        """Sum over bins of pull times the derivative by the block's monomials: shape (points, monomials)."""
        block, value = self.block, self.coefficients.value
        free = value * ~block.fixed
        if self.fractions is None:
            weighted = free[:, :, None] * pull[:, None, :]
        else:
            gathered = block.gathered(pull, self.fractions[0])
            weighted = free[:, :, None] * gathered[:, block.law.owner]
        return np.asarray(weighted.reshape(len(pull), -1) @ block.templates.reshape(len(block.monomials), -1).T)


def _three(each: tuple[FloatArray, ...]) -> tuple[FloatArray, FloatArray, FloatArray]:
    value, slope, curvature = each
    return value, slope, curvature


def _rows(array: FloatArray, selection: NDArray[np.bool_]) -> FloatArray:
    return array if len(array) == 1 else array[selection]


def _times(left: FloatArray, rows: FloatArray) -> FloatArray:
    """(points, any, rows) times (points or 1, rows, bins)."""
    if len(rows) == 1:
        return np.asarray((left.reshape(-1, left.shape[2]) @ rows[0]).reshape(*left.shape[:2], rows.shape[2]))
    return np.asarray(left @ rows)


def _summed(rows: FloatArray, pull: FloatArray) -> FloatArray:
    """Sums over bins of each row times pull: shape (points, rows)."""
    if len(rows) == 1:
        return np.asarray(pull @ rows[0].T)
    return np.asarray((rows @ pull[:, :, None])[:, :, 0])
