"""What the parts of the study file are made of: the frozen model, names, numbers, values of two kinds.

Types and ranges only; what needs several keys at once is a rule beside its subject. Every model refuses unknown keys
and numbers given as text, and is frozen.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SerializationInfo,
    ValidationInfo,
)
from pydantic_core import PydanticCustomError

from cevnslab.errors import StudyError
from cevnslab.textfiles import checksum
from cevnslab.words import nearest

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}$")]
"""Safe as a file name."""
Text = Annotated[str, Field(pattern=r"^[^$\x00-\x1f\x7f-\x9f]{1,120}$")]
"""Words for figures and tables; a dollar sign would start a formula."""

# Ranges are wide, but no product of keys leaves what a double holds.
Positive = Annotated[float, Field(ge=1e-30, le=1e30)]
NonNegative = Annotated[float, Field(ge=0, le=1e30)]
EnergyKev = Annotated[float, Field(ge=1e-6, le=1e6)]
"""Of recoils or their light: from 1 meV to 1 GeV."""
MassKg = Annotated[float, Field(ge=1e-9, le=1e12)]
DistanceM = Annotated[float, Field(ge=1e-3, le=1e12)]
LARGEST_RATE = 1e9
BackgroundRate = Annotated[float, Field(ge=0, le=LARGEST_RATE)]
"""Per kg and day, and perhaps per keV."""


def no_tiny_width(width: float) -> float:
    """Refuse a width so small that what is divided by it leaves what a double holds."""
    if 0 < width < SMALLEST_WIDTH:
        raise PydanticCustomError("width", f"must be 0, which fixes it, or at least {SMALLEST_WIDTH:g}")
    return width


SMALLEST_WIDTH, LARGEST_WIDTH = 1e-9, 10.0
Width = Annotated[float, Field(ge=0, le=LARGEST_WIDTH), AfterValidator(no_tiny_width)]
"""Relative, of a normalisation; 0 fixes it."""
Fraction = Annotated[float, Field(ge=1e-12, le=1)]
HoursPerYear = Annotated[float, Field(ge=1e-6, le=8784)]
Years = Annotated[float, Field(ge=1e-9, le=1e4)]
Channel = Literal["cevns", "electron"]
Channels = Annotated[list[Channel], Field(min_length=1)]


def _in_base(name: str, info: ValidationInfo) -> str:
    """A file's path as it is found from anywhere, where the validation knows what it is relative to."""
    base = (info.context or {}).get("base")
    return name if base is None else os.path.normpath(os.path.join(base, name))


def _dumped(path: str, info: SerializationInfo) -> str:
    return checksum(Path(path), "file") if (info.context or {}).get("checksums") else path


FilePath = Annotated[str, Field(min_length=1), AfterValidator(_in_base), PlainSerializer(_dumped)]
"""A file that a study names, relative to the study file; fixed when it is loaded. Dumped with the context `checksums`,
it is the hash of what the file holds."""


class Model(BaseModel):
    """A mapping of the study file."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def kind_of(value: Any) -> str:
    """Which member of a union a value means: messages then speak of that member alone."""
    if isinstance(value, float | str | list):  # the quick ones first: lists of counts have up to a million
        return "<number>" if isinstance(value, float) else "<word>" if isinstance(value, str) else "<list>"
    return "<mapping>" if isinstance(value, BaseModel | dict) else "<number>"


def either(first: str, otherwise: str) -> Discriminator:
    """Tell values of two kinds apart: what is not of the first kind counts as the other."""
    return Discriminator(lambda value: first if kind_of(value) == first else otherwise)


def require_unique(path: str, names: Iterable[str]) -> None:
    """Raise `StudyError` for the first name that stands twice, or differs from another by case alone.

    On many computers files of two such names are one, and to many readers so are the names.
    """
    places: dict[str, str] = {}
    for name in names:
        other = places.get(name.casefold())
        if other == name:
            raise StudyError(f"{path}: '{name}' is given twice; names must be unique")
        if other is not None:
            raise StudyError(f"{path}: '{other}' and '{name}' differ by case only; names must be told apart without it")
        places[name.casefold()] = name


def require_known(path: str, names: Sequence[str], choices: Iterable[str], what: str) -> None:
    """Raise `StudyError` for the first name that is not known; the message offers the nearest."""
    names_known = list(dict.fromkeys(choices))
    for name in names:
        if name not in names_known:
            raise StudyError(f"{path}: '{name}' is no {what}; {nearest(name, names_known)}")
