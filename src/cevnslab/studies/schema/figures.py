"""Figures: their names and panels; what every panel has. The kinds of panel stand in `cevnslab.figures.panels`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, ConfigDict, Discriminator, Field, GetCoreSchemaHandler, Tag
from pydantic_core import CoreSchema

from cevnslab.errors import StudyError
from cevnslab.physics.couplings import Coupling
from cevnslab.rendering import registered
from cevnslab.studies.schema.base import Model, Name, Text
from cevnslab.studies.schema.outputs import CrossSection, Profile

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
CouplingValues = Annotated[dict[str, float], Field(min_length=1)]
Scale = Literal["linear", "log"]
Legend = Literal[
    "upper left", "upper center", "upper right", "center left", "center right", "lower left", "lower right"
]


@dataclass(frozen=True)
class Contents:
    """What a study computes, as far as its panels need to know."""

    projected: tuple[str, ...]
    """Detectors that are no data set."""
    data_axes: Mapping[str, tuple[str, ...]]
    """The axes of every data set, by the detector's name."""
    observed: tuple[str, ...]
    """Detectors with counts: data sets, and those that have them as a key."""
    fitted: tuple[str, ...]
    """Detectors and combinations whose pulls are kept."""
    combinations: tuple[str, ...]
    couplings: Mapping[str, Coupling]
    """Those that get limits."""
    timed: tuple[str, ...]
    """Projected detectors that bin the arrival time."""
    scanned: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    """By the name of a scan, the couplings and the detectors that it changes."""
    goals: tuple[str, ...]
    maps: tuple[str, ...]
    simulated: bool
    """Whether critical values are simulated (Feldman-Cousins)."""
    expected: bool
    """Whether expected limits are simulated (`bands`)."""
    profiles: tuple[Profile, ...]
    contours: tuple[tuple[str, str], ...]
    cross_sections: tuple[CrossSection, ...]

    @property
    def analysed(self) -> tuple[str, ...]:
        """Detectors and combinations."""
        return (*self.projected, *self.data_axes, *self.combinations)


@dataclass(frozen=True)
class Signal:
    """Counts of a projected detector along an axis, with values of couplings in their units."""

    detector: str
    axis: Literal["energy", "time"]
    values: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class StoredRegion:
    """A stored result's region of two couplings."""

    reference: str
    couplings: tuple[str, str]


class Panel(Model):
    """What every panel may have."""

    kind: ClassVar[str]
    """The key that makes it this kind of panel."""
    coupling_keys: ClassVar[tuple[str, ...]] = ()
    """Its keys that name couplings, for editors that complete them."""
    title: Text | None = Field(None, description="above the panel")

    def check(self, contents: Contents, path: str) -> None:
        """Raise `StudyError`, which names the key, where it shows what the study does not compute."""

    def check_axes(self, axes: Mapping[str, Sequence[str]], path: str) -> None:
        """Raise `StudyError` for an axis that a detector does not have; `axes` are known once the responses are."""

    def signals(self) -> Sequence[Signal]:
        """The spectra with new physics that it shows, which the study computes."""
        return ()

    def stored_regions(self) -> Sequence[StoredRegion]:
        """The stored results of real data that it shows."""
        return ()

    def words(self, detectors: Sequence[str]) -> str:
        """What it shows, in words, for those who do not see it; `detectors` are all of the study."""
        raise NotImplementedError


@cache
def panel_kinds() -> tuple[type[Panel], ...]:
    """The kinds of panel that a study file may list.

    Each is a class in `cevnslab.figures.panels`, where its drawing stands too; the package's front door names that
    place, so that the schema knows no drawing.
    """
    return tuple(registered("Panel", "kinds")())


def panel_kind(value: Any) -> type[Panel] | None:
    """The kind of panel that a mapping's keys mean: the one of which it has the key; None for none or several."""
    if isinstance(value, BaseModel):
        return next((kind for kind in panel_kinds() if isinstance(value, kind)), None)
    keys = {key for key, content in value.items() if content is not None} if isinstance(value, dict) else set()
    kinds = [kind for kind in panel_kinds() if kind.kind in keys]
    return kinds[0] if len(kinds) == 1 else None


def _tag(value: Any) -> str | None:
    kind = panel_kind(value)
    return None if kind is None else f"<{kind.kind}>"


class _OfOneKind:
    """Marks a panel in a model: validated as the kind that its keys mean."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        names = ", ".join(kind.kind for kind in panel_kinds())
        choice = Discriminator(_tag, "panel_kind", f"exactly one of {names} is needed")
        kinds = tuple(Annotated[kind, Tag(f"<{kind.kind}>")] for kind in panel_kinds())
        return handler.generate_schema(Annotated[Union[kinds], choice])  # noqa: UP007  (a union of many)


class Figure(Model):
    """A figure of the study: its file name, and its panels row by row."""

    # Built when a study is first read: the kinds of panel import this module.
    model_config = ConfigDict(defer_build=True)

    name: Name = Field(description="of its files; unique among figures")
    panels: Annotated[list[Annotated[Panel, _OfOneKind()]], Field(min_length=1, max_length=12)] = Field(
        description="row by row; each has the key of exactly one kind of panel"
    )
    columns: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="all panels in one row unless given")

    def check(self, contents: Contents) -> None:
        """Raise `StudyError` for the first panel that shows what the study does not compute."""
        for number, panel in enumerate(self.panels, start=1):
            panel.check(contents, f"figures.{self.name}.panels.{number}")


def require_simulated(contents: Contents, path: str) -> None:
    """Raise `StudyError` unless the study simulates critical values."""
    if not contents.simulated:
        raise StudyError(f"{path}: critical values are simulated with `method: feldman-cousins` under `intervals` only")


def require_rising(path: str, ends: list[float] | None) -> None:
    """Raise `StudyError` unless the ends of a range, if there is one, rise."""
    if ends and ends[0] >= ends[1]:
        raise StudyError(f"{path}: must rise, got {ends[0]:g} and {ends[1]:g}")
