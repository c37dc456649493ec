"""Rows of templates and their coefficients as functions of nuisance parameters: of what expected counts are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.samples import PerBin, Sample, Shift

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """One sample, as arrays."""

    monomials: IntArray
    """Of its counts, among those of the likelihood's polynomial."""
    templates: FloatArray
    """Nominal, then per bend the linear and the quadratic coefficient: shape (monomials, 1 + 2 bends, bins), or one row
    (1, bins) where it is known per bin. Without an offset they are spread along the axis already."""
    scales: IntArray
    bends: IntArray
    shift: Shift | None
    """Where an offset moves it."""
    shift_column: int | None
    per_bin: PerBin | None

    @classmethod
    def of(cls, sample: Sample, monomials: Sequence[int], columns: Mapping[str, int], shape: tuple[int, ...]) -> Self:
        """Compile a sample."""
        rows = [sample.coefficients]
        for bend in sample.bends:
            rows += [(bend.up - bend.down) / 2, (bend.up + bend.down) / 2 - sample.coefficients]
        templates, shift, column = np.stack(rows, axis=1), sample.shift, None
        if shift is not None and shift.parameter is not None:
            column = columns[shift.parameter.name]
        elif shift is not None:
            templates, shift = spread(templates, shift.at(np.zeros(1))[0], shift.axis, shape), None
        return cls(
            np.array(monomials, dtype=np.int64),
            templates[0] if sample.per_bin is not None else templates,
            np.array(sorted(columns[scale.parameter.name] for scale in sample.scales), dtype=np.int64),
            np.array([columns[bend.parameter.name] for bend in sample.bends], dtype=np.int64),
            shift,
            column,
            sample.per_bin,
        )

    @property
    def constant(self) -> bool:
        """Whether no coupling changes it."""
        return len(self.monomials) == 1 and self.monomials[0] == 0

    @property
    def acting(self) -> set[int]:
        """The parameters that act on it."""
        offset = () if self.shift_column is None else (self.shift_column,)
        return {*self.scales.tolist(), *self.bends.tolist(), *offset}

    @property
    def kind(self) -> tuple[object, ...]:
        """Parts of the same kind are one block."""
        if self.shift is None:
            return (self.constant,)
        return ("shift", self.shift.axis, self.shift_column)

    @cached_property
    def law(self) -> Law:
        """How its coefficients depend on parameters."""
        return Law.of([self])


def spread(counts: FloatArray, fractions: FloatArray, axis: int, shape: tuple[int, ...]) -> FloatArray:
    """Counts of the other axes times fractions along one: shape (..., bins of the others) to (..., all bins)."""
    before, after = int(np.prod(shape[:axis])), int(np.prod(shape[axis + 1 :]))
    shaped = counts.reshape(*counts.shape[:-1], before, 1, after) * fractions[..., None, :, None]
    return np.asarray(shaped.reshape(*shaped.shape[:-3], -1))


@dataclass(frozen=True, eq=False)
class Law:
    """The coefficients of rows as a function of all parameters' values, which come after a one: "extended"."""

    owner: IntArray
    """The part of every row."""
    scales: IntArray
    """Places of the factors' parameters among the extended values, shape (parts, most factors); 0 where there is none.
    """
    first: IntArray
    second: IntArray
    """Of which extended values a row has the product, shape (rows,)."""

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Self:
        """Of the rows of several parts, one after the other."""
        owner, first, second = [], [], []
        for number, part in enumerate(parts):
            places = (part.bends + 1).tolist()
            first += [0, *(place for place in places for _ in range(2))]
            second += [0, *(place for each in places for place in (0, each))]
            owner += [number] * (1 + 2 * len(places))
        scales = np.zeros((len(parts), max(1, *(len(part.scales) for part in parts))), dtype=np.int64)
        for number, part in enumerate(parts):
            scales[number, : len(part.scales)] = part.scales + 1
        return cls(np.array(owner, dtype=np.int64), scales, np.array(first), np.array(second))

    @cached_property
    def scale_columns(self) -> list[int]:
        """Of a single part, its factors among all parameters."""
        return [int(place) - 1 for place in self.scales[0] if place]

    @cached_property
    def rests(self) -> list[IntArray]:
        """Of every factor the numbers of all others."""
        numbers: IntArray = np.arange(self.scales.shape[1])
        return [np.delete(numbers, each) for each in numbers]

    @cached_property
    def scaled(self) -> tuple[IntArray, IntArray, IntArray]:
        """Of every row and factor that acts on it: the parameter, the row, the factor's number in its part."""
        rows, factors = np.nonzero(self.scales[self.owner])
        return self.scales[self.owner[rows], factors] - 1, rows, factors

    @cached_property
    def bent(self) -> tuple[IntArray, IntArray]:
        """Of every row that bends: the parameter and the row."""
        rows = np.flatnonzero(self.first)
        return self.first[rows] - 1, rows

    @cached_property
    def squared(self) -> NDArray[np.bool_]:
        """Which of the rows that bend are quadratic."""
        return np.asarray(self.second[self.bent[1]] > 0)


@dataclass(frozen=True, eq=False)
class Coefficients:
    """Coefficients of rows at points."""

    law: Law
    extended: FloatArray
    factor: FloatArray
    """All factors of each part together, shape (points, parts)."""
    others: list[FloatArray]
    """Per factor, the product of the other ones, shape (points, parts) each."""
    shape: FloatArray
    """Of each row without its factors, shape (points, rows)."""
    value: FloatArray
    """Shape (points, rows)."""

    @classmethod
    def of(cls, law: Law, extended: FloatArray) -> Self:
        """At extended values."""
        scales = extended[:, law.scales] + (law.scales > 0)
        if scales.shape[2] == 1:
            factor, others = scales[:, :, 0], [np.ones(scales.shape[:2])]
        else:
            factor = np.prod(scales, axis=2)
            others = [np.prod(scales[:, :, rest], axis=2) for rest in law.rests]
        shape = extended[:, law.first] * extended[:, law.second]
        return cls(law, extended, factor, others, shape, factor[:, law.owner] * shape)

    def rows(self, selection: NDArray[np.bool_]) -> Coefficients:
        """Some of the points."""
        return Coefficients(
            self.law,
            self.extended[selection],
            self.factor[selection],
            [each[selection] for each in self.others],
            self.shape[selection],
            self.value[selection],
        )

    def lower(self, other: Coefficients, selection: NDArray[np.bool_]) -> Coefficients:
        """The other's at chosen points."""
        pick = selection[:, None]
        return Coefficients(
            self.law,
            np.where(pick, other.extended, self.extended),
            np.where(pick, other.factor, self.factor),
            [np.where(pick, two, one) for one, two in zip(self.others, other.others, strict=True)],
            np.where(pick, other.shape, self.shape),
            np.where(pick, other.value, self.value),
        )

    @cached_property
    def bend_slopes(self) -> FloatArray:
        """Of the rows that bend, the derivative of their shape by the pull: shape (points, rows that bend)."""
        rows = self.law.bent[1]
        return np.asarray((1 + self.law.squared) * self.extended[:, self.law.second[rows]])

    def single(self) -> Iterator[tuple[int, FloatArray]]:
        """Of a single part: each of its factors, and the product of the others, shape (points, 1)."""
        columns = self.law.scale_columns
        yield from zip(columns, self.others[: len(columns)], strict=True)  # without a factor there is an empty place

    def pairs(self) -> Iterator[tuple[int, int, FloatArray]]:
        """Of a single part: two of its factors, and the product of the rest, shape (points,)."""
        columns = self.law.scale_columns
        scales = 1 + self.extended[:, [column + 1 for column in columns]]
        for one in range(len(columns)):
            for two in range(one):
                yield columns[one], columns[two], np.prod(np.delete(scales, [one, two], axis=1), axis=1)
