"""Expected counts of a data set at many points at once, with their derivatives: what the minimiser works with.

A data set is compiled once: samples of the same behaviour are added, parameters become columns. Couplings are
contracted into the templates before anything bends, so that a step of the fit costs no sum over monomials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.off_counts import Templates
from cevnslab.likelihood.samples import PerBin, Sample, Shift

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Fractions(NamedTuple):
    """A distribution along the shifted axis with its slope and curvature by the offset: (points, bins of the axis)."""

    value: FloatArray
    slope: FloatArray
    curvature: FloatArray


@dataclass(frozen=True, eq=False)
class _Part:
    """Samples that behave alike, as arrays."""

    rows: IntArray
    """Their monomials in the likelihood's polynomial."""
    templates: FloatArray
    """Nominal, then per bend the linear and the quadratic coefficient: shape (monomials, 1 + 2 bends, bins)."""
    scales: IntArray
    bends: IntArray
    shift: Shift | None
    shift_column: int | None
    per_bin: PerBin | None
    template: int | None
    """Its number among the data set's templates known per bin."""
    axes: tuple[int, ...]
    """The shape of the data set's bins."""

    @property
    def constant(self) -> bool:
        return len(self.rows) == 1 and self.rows[0] == 0

    def contracted(self, monomials: FloatArray) -> FloatArray:
        """The templates at values of the monomials, shape (points, 1 + 2 bends, bins); one point where constant."""
        if self.constant:
            return self.templates
        flat = self.templates.reshape(len(self.rows), -1)
        return np.asarray((monomials[:, self.rows] @ flat).reshape(len(monomials), *self.templates.shape[1:]))

    def bent(self, contracted: FloatArray, values: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """Counts before the shift, and their slope per bend."""
        counts, slopes = contracted[:, 0], []
        if len(self.bends):
            linear, quadratic = contracted[:, 1::2], contracted[:, 2::2]
            pulls = values[:, self.bends]
            bending = (linear if len(linear) == len(pulls) else np.repeat(linear, len(pulls), axis=0)) + (
                pulls[:, :, None] * quadratic
            )
            counts = counts + np.einsum("pk,pkb->pb", pulls, bending)
            slopes = list((bending + pulls[:, :, None] * quadratic).transpose(1, 0, 2))
        return counts, slopes

    def spread(self, counts: FloatArray, fractions: FloatArray) -> FloatArray:
        """Counts of the other axes times fractions along the shifted one: shape (points, all bins)."""
        assert self.shift is not None
        before = int(np.prod(self.axes[: self.shift.axis]))
        shaped = counts.reshape(len(counts), before, 1, -1) * fractions[:, None, :, None]
        return np.asarray(shaped.reshape(len(shaped), -1))

    def gathered(self, pull: FloatArray, fractions: FloatArray) -> FloatArray:
        """The transpose of `spread`: sums over the shifted axis weighted with the fractions."""
        assert self.shift is not None
        before, along = int(np.prod(self.axes[: self.shift.axis])), self.axes[self.shift.axis]
        shaped = pull.reshape(len(pull), before, along, -1)
        return np.asarray(np.einsum("pbta,pt->pba", shaped, np.broadcast_to(fractions, (len(pull), along)))).reshape(
            len(pull), -1
        )

    def fractions(self, values: FloatArray) -> Fractions:
        """The distribution along the shifted axis, its slope and its curvature."""
        assert self.shift is not None
        if self.shift_column is None:
            nominal = self.shift.at(np.zeros(1))[0]
            return Fractions(nominal, np.zeros_like(nominal), np.zeros_like(nominal))
        return Fractions(*self.shift.at(values[:, self.shift_column]))


def _templates(sample: Sample) -> FloatArray:
    rows = [sample.coefficients]
    for bend in sample.bends:
        rows += [(bend.up - bend.down) / 2, (bend.up + bend.down) / 2 - sample.coefficients]
    return np.stack(rows, axis=1)


def _added(first: _Part, second: _Part) -> _Part:
    """Two parts of the same behaviour as one."""
    rows = np.union1d(first.rows, second.rows)
    templates = np.zeros((len(rows), *first.templates.shape[1:]))
    for part in (first, second):
        templates[np.searchsorted(rows, part.rows)] += part.templates
    return replace(first, rows=rows, templates=templates)


@dataclass(frozen=True, eq=False)
class Expectation:
    """The expected counts of one data set as a function of monomials and parameter values."""

    parts: tuple[_Part, ...]
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
    ) -> Expectation:
        """Compile samples; `rows` are their monomials in the likelihood's polynomial, `columns` its parameters."""
        parts: list[_Part] = []
        kinds: dict[tuple[object, ...], int] = {}
        acting: set[int] = set()
        template = 0
        for sample, monomials in zip(samples, rows, strict=True):
            scales = tuple(sorted(columns[scale.parameter.name] for scale in sample.scales))
            bends = [columns[bend.parameter.name] for bend in sample.bends]
            shift = sample.shift
            column = None if shift is None or shift.parameter is None else columns[shift.parameter.name]
            acting |= {*scales, *bends, *(() if column is None else (column,))}
            part = _Part(
                np.array(monomials, dtype=np.int64),
                _templates(sample),
                np.array(scales, dtype=np.int64),
                np.array(bends, dtype=np.int64),
                shift,
                column,
                sample.per_bin,
                None if sample.per_bin is None else template,
                shape,
            )
            template += sample.per_bin is not None
            # Counts that know nothing but the same scales are one array, whatever their names.
            kind: tuple[object, ...] = (scales, part.constant)
            if bends or shift is not None or sample.per_bin is not None:
                kind = (id(sample),)
            if kind in kinds:
                parts[kinds[kind]] = _added(parts[kinds[kind]], part)
            else:
                kinds[kind] = len(parts)
                parts.append(part)
        return cls(tuple(parts), np.array(sorted(acting), dtype=np.int64), int(np.prod(shape)))

    @cached_property
    def templates(self) -> Templates | None:
        """Those known from counts of their own; None where there is none."""
        templates = [part.per_bin for part in self.parts if part.per_bin is not None]
        return Templates.of(templates) if templates else None

    @cached_property
    def moving(self) -> Expectation:
        """What couplings change."""
        return Expectation(tuple(part for part in self.parts if not part.constant), self.columns, self.size)

    def contracted(self, monomials: FloatArray) -> list[FloatArray]:
        """The templates at values of the monomials."""
        return [part.contracted(monomials) for part in self.parts]

    def numbers_per_point(self) -> int:
        """How much memory a point takes, in numbers."""
        templates = sum(part.templates[0].size for part in self.parts if not part.constant)
        return int(self.size * (4 + 2 * len(self.columns)) + templates)

    def at(self, contracted: Sequence[FloatArray], values: FloatArray) -> Counted:
        """Counts at parameter values, shape (points, all parameters)."""
        return Counted.of(self, contracted, values)


def rows_of(contracted: Sequence[FloatArray], selection: IntArray | NDArray[np.bool_]) -> list[FloatArray]:
    """The templates of some of the points."""
    return [part if len(part) == 1 else part[selection] for part in contracted]


@dataclass(frozen=True, eq=False)
class _Counted:
    """What one part counts."""

    counts: FloatArray
    """Without its scales, shape (points or 1, bins)."""
    bent: list[FloatArray]
    """Before the shift, the slope per bend."""
    before: FloatArray
    """Before the shift."""
    fractions: Fractions | None
    factor: FloatArray
    """All scales together, shape (points, 1)."""
    others: list[FloatArray]
    """Per scale, the product of the other ones, shape (points, 1) each."""

    def rows(self, selection: NDArray[np.bool_]) -> _Counted:
        """Some of the points."""
        return _Counted(
            _rows(self.counts, selection),
            [_rows(slope, selection) for slope in self.bent],
            _rows(self.before, selection),
            None if self.fractions is None else Fractions(*(_rows(each, selection) for each in self.fractions)),
            self.factor[selection],
            [_rows(each, selection) for each in self.others],
        )


def _rows(array: FloatArray, selection: NDArray[np.bool_]) -> FloatArray:
    return array if len(array) == 1 else array[selection]


@dataclass(frozen=True, eq=False)
class Counted:
    """Expected counts at points with what their derivatives need."""

    expectation: Expectation
    contracted: Sequence[FloatArray]
    values: FloatArray
    parts: list[_Counted]
    expected: FloatArray
    """Shape (points, bins), without a template known per bin."""
    per_bin: FloatArray | None
    """Counts of each template per unit of its groups' expectations, shape (points, templates, bins)."""

    @classmethod
    def of(cls, expectation: Expectation, contracted: Sequence[FloatArray], values: FloatArray) -> Counted:
        """Evaluate every part."""
        parts, per_bin = [], []
        expected = np.zeros((len(values), expectation.size))
        for part, base in zip(expectation.parts, contracted, strict=True):
            before, bent = part.bent(base, values)
            fractions = None if part.shift is None else part.fractions(values)
            counts = before if fractions is None else part.spread(before, fractions[0])
            factors = 1 + values[:, part.scales]
            factor = np.prod(factors, axis=1)[:, None]
            others = [np.prod(np.delete(factors, j, axis=1), axis=1)[:, None] for j in range(factors.shape[1])]
            parts.append(_Counted(counts, bent, before, fractions, factor, others))
            if part.per_bin is None:
                expected += factor * counts
            else:
                per_bin.append(part.per_bin.ratio * factor * counts)
        return cls(expectation, contracted, values, parts, expected, np.stack(per_bin, axis=1) if per_bin else None)

    def rows(self, selection: NDArray[np.bool_]) -> Counted:
        """Some of the points."""
        return Counted(
            self.expectation,
            rows_of(self.contracted, selection),
            self.values[selection],
            [part.rows(selection) for part in self.parts],
            self.expected[selection],
            None if self.per_bin is None else self.per_bin[selection],
        )

    def _weight(self, part: _Part, tau: FloatArray | None) -> FloatArray | float:
        """What the counts of a part are multiplied with: 1, or ratio and expectation of a template's groups."""
        if part.per_bin is None or part.template is None:
            return 1.0
        assert tau is not None
        assert self.expectation.templates is not None
        return part.per_bin.ratio * tau[:, self.expectation.templates.groups[part.template]]

    def slopes(self, tau: FloatArray | None) -> FloatArray:
        """Derivatives by the acting parameters, shape (points, columns, bins); templates per bin at given tau."""
        place = {column: number for number, column in enumerate(self.expectation.columns.tolist())}
        slopes = np.zeros((len(self.values), len(place), self.expectation.size))
        for part, counted in zip(self.expectation.parts, self.parts, strict=True):
            weight = self._weight(part, tau)
            for column, others in zip(part.scales.tolist(), counted.others, strict=True):
                slopes[:, place[column]] += others * counted.counts * weight
            for column, slope in zip(part.bends.tolist(), counted.bent, strict=True):
                full = slope if counted.fractions is None else part.spread(slope, counted.fractions[0])
                slopes[:, place[column]] += counted.factor * full
            if part.shift_column is not None and counted.fractions is not None:
                slopes[:, place[part.shift_column]] += counted.factor * part.spread(
                    counted.before, counted.fractions[1]
                )
        return slopes

    def second(self, pull: FloatArray, tau: FloatArray | None) -> FloatArray:
        """Sum over bins of pull times the second derivatives of the counts: shape (points, columns, columns)."""
        place = {column: number for number, column in enumerate(self.expectation.columns.tolist())}
        total = np.zeros((len(self.values), len(place), len(place)))

        def add(first: int, other: int, term: FloatArray) -> None:
            # Both halves, also where one parameter acts twice on a sample.
            total[:, place[first], place[other]] += term
            total[:, place[other], place[first]] += term

        for part, counted in zip(self.expectation.parts, self.parts, strict=True):
            weighted = pull * self._weight(part, tau)
            scales = part.scales.tolist()
            if len(scales) > 1:
                value = np.sum(weighted * counted.counts, axis=1)
                factors = 1 + self.values[:, part.scales]
                for i in range(len(scales)):
                    for j in range(i):
                        rest = np.prod(np.delete(factors, [i, j], axis=1), axis=1)
                        add(scales[i], scales[j], value * rest)
            if not len(part.bends) and part.shift_column is None:
                continue
            self._add_shapes(part, counted, weighted, add)
        return total

    def _add_shapes(self, part: _Part, counted: _Counted, pull: FloatArray, add: object) -> None:
        """The second derivatives in which a bend or a shift takes part."""
        assert callable(add)
        factor = counted.factor[:, 0]
        if counted.fractions is None:
            gathered = [pull]
        else:
            gathered = [part.gathered(pull, fractions) for fractions in counted.fractions]
        base = next(b for p, b in zip(self.expectation.parts, self.contracted, strict=True) if p is part)
        for number, column in enumerate(part.bends.tolist()):
            slope = np.sum(gathered[0] * counted.bent[number], axis=1)
            for scale, others in zip(part.scales.tolist(), counted.others, strict=True):
                add(scale, column, others[:, 0] * slope)
            add(column, column, factor * np.sum(gathered[0] * base[:, 2 + 2 * number], axis=1))
            if part.shift_column is not None:
                add(part.shift_column, column, factor * np.sum(gathered[1] * counted.bent[number], axis=1))
        if part.shift_column is not None:
            shift_slope = np.sum(gathered[1] * counted.before, axis=1)
            for scale, others in zip(part.scales.tolist(), counted.others, strict=True):
                add(scale, part.shift_column, others[:, 0] * shift_slope)
            add(part.shift_column, part.shift_column, factor / 2 * np.sum(gathered[2] * counted.before, axis=1))

    def monomial_slopes(self, pull: FloatArray, monomials: int) -> FloatArray:
        """Sum over bins of pull times the derivative of the counts by every monomial: shape (points, monomials)."""
        total = np.zeros((len(pull), monomials))
        for part, counted in zip(self.expectation.parts, self.parts, strict=True):
            if part.constant:
                continue
            here = pull * counted.factor
            if counted.fractions is not None:
                here = part.gathered(here, counted.fractions[0])
            pulls = self.values[:, part.bends]
            shape = np.ones((len(pull), part.templates.shape[1]))
            shape[:, 1::2], shape[:, 2::2] = pulls, pulls**2
            flat = (shape[:, :, None] * here[:, None, :]).reshape(len(pull), -1)
            total[:, part.rows] += flat @ part.templates.reshape(len(part.rows), -1).T
        return total

    def mixed(self, monomials: FloatArray, pull: FloatArray) -> FloatArray:
        """Sum over bins of pull times the slopes' derivative along a direction of the monomials: (points, columns)."""
        moving = self.expectation.moving
        slopes = moving.at(moving.contracted(monomials), self.values).slopes(None)
        return np.asarray((slopes @ pull[:, :, None])[:, :, 0])

    def moved(self, monomials: FloatArray) -> FloatArray:
        """The counts' derivative along a direction of the monomials, shape (points, monomials): (points, bins)."""
        total = np.zeros((len(monomials), self.expectation.size))
        for part, counted in zip(self.expectation.parts, self.parts, strict=True):
            if part.constant:
                continue
            counts = part.bent(part.contracted(monomials), self.values)[0]
            total += counted.factor * (
                counts if counted.fractions is None else part.spread(counts, counted.fractions[0])
            )
        return total
