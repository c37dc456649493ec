"""Counts of a detector's own: what it observed, and backgrounds by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from cevnslab.errors import StudyError
from cevnslab.studies.schema.base import BackgroundRate, FilePath, Model, Name, Width, either, kind_of, require_unique

RESERVED = ("signal", "cevns", "electron")
"""Names of what is no background."""


class CountsFile(Model):
    """Counts per bin from a file."""

    file: FilePath = Field(
        description="columns counts, and optionally error (or error_low, error_high) and the edges of every bin, "
        "<axis>_low, <axis>_high; without edges the rows are in the order of the bins, the last axis fastest"
    )


_CountsEntry = Annotated[
    Annotated[float, Tag("<number>")] | Annotated[list[float], Tag("<list>")], either("<list>", "<number>")
]
CountsList = Annotated[list[_CountsEntry], Field(min_length=1, max_length=1_000_000)]
"""A number per bin; nested for several axes."""


def _observed_kind(value: Any) -> str:
    kind = kind_of(value)
    return kind if kind in ("<mapping>", "<list>") else "<word>"


Observed = Annotated[
    Annotated[Literal["asimov"], Tag("<word>")]
    | Annotated[CountsList, Tag("<list>")]
    | Annotated[CountsFile, Tag("<mapping>")],
    Discriminator(_observed_kind),
]
BinCounts = Annotated[
    Annotated[CountsList, Tag("<list>")] | Annotated[CountsFile, Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if kind_of(value) == "<mapping>" else "<list>"),
]


class OffCounts(Model):
    """Counts of a run without the beam, from which a background is known bin by bin."""

    file: FilePath = Field(description="columns as in a file of observed counts, of the axes named here")
    ratio: Annotated[float, Field(ge=1e-6, le=1e6)] = Field(description="live time with the beam over that of this run")
    axes: Annotated[list[str], Field(min_length=1)] | None = Field(
        None, description="those on which the counts are known, flat along the others; all unless given"
    )


class Background(Model):
    """A background by name, of exactly one of ckkd, ckkd_ee, ckd, file, counts, off."""

    name: Name = Field(description="unique within the detector")
    ckkd: BackgroundRate | None = Field(None, description="counts/keV/kg/day, flat")
    ckkd_ee: BackgroundRate | None = Field(None, description="counts/keVee/kg/day, flat, with quenching")
    ckd: BackgroundRate | None = Field(None, description="counts/kg/day in all bins together, flat")
    file: FilePath | None = Field(
        None,
        description="two columns: keV, counts/keV/kg/day, or keVee, counts/keVee/kg/day where its first line says so",
    )
    counts: BinCounts | None = Field(
        None, description="per bin, a list (nested for several axes) or {file}: of the whole exposure, no duty factor"
    )
    off: OffCounts | None = Field(None, description="counts of an off-beam run, profiled bin by bin")
    uncertainty: Width | None = Field(
        None, description="relative width of its normalisation; required, but 0 for off-beam counts unless given"
    )

    @property
    def kind(self) -> str:
        """Which key says how large it is."""
        return next(key for key in KINDS if getattr(self, key) is not None)

    def check(self, path: str) -> None:
        """Raise `StudyError` unless exactly one kind is given, and its uncertainty."""
        present = [key for key in KINDS if getattr(self, key) is not None]
        if len(present) != 1:
            raise StudyError(f"{path}: exactly one of {', '.join(KINDS)}, got {' and '.join(present) or 'none'}")
        if self.uncertainty is None and self.off is None:
            raise StudyError(f"{path}.uncertainty: this key is required (relative, such as 0.1 for 10 %)")
        if self.name in RESERVED:
            raise StudyError(f"{path}.name: '{self.name}' is the name of a channel; choose another")


KINDS = ("ckkd", "ckkd_ee", "ckd", "file", "counts", "off")


def check_backgrounds(backgrounds: Sequence[Background], path: str) -> None:
    """Raise `StudyError` for a list that is empty, names that stand twice, or what `Background.check` refuses."""
    require_unique(path, [background.name for background in backgrounds])
    for background in backgrounds:
        background.check(f"{path}.{background.name}")
