"""What a data set says of itself in its `dataset.yaml`: axes, backgrounds, what to cite and what to compare with.

Everything that shows a data set (tables, figures, reports, bibliographies) reads it from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cevnslab.errors import InputFileError
from cevnslab.words import nearest


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataAxis(_Part):
    """How an axis is called in figures and tables; unit "" for a pure number."""

    label: str
    unit: str = ""


class Background(_Part):
    """How a background is called in figures and tables, and its colour there."""

    label: str
    colour: str = Field("#b8b8b8", pattern="^#[0-9a-fA-F]{6}$")


class PublishedNumber(_Part):
    """A number that the collaboration gives for a row of the fit, and its error."""

    value: float
    error: float | None = None
    statistical: float | None = None
    """The same of statistical errors alone, where it is published too."""


class Published(_Part):
    """The collaboration's numbers, by the parameter's name in the fit, and where they stand."""

    source: str
    rows: dict[str, PublishedNumber]


class Description(_Part):
    """The content of `dataset.yaml`."""

    title: str
    target: str
    """The formula of what its counts, light and efficiency are of."""
    axes: dict[str, DataAxis] = Field(min_length=1)
    """By name, in the order of the bins, the last axis fastest."""
    backgrounds: dict[str, Background] = {}
    """By name, from the bottom of a figure up."""
    off_counts: list[str] = []
    """Backgrounds that `off_counts: fitted` takes with the errors of the counts that they are known from."""
    published: Published | None = None
    cite: list[str] = []
    """Keys of what a result on these data must cite."""
    references: dict[str, dict[str, str | int]] = {}
    """BibTeX entries by key: `type` and the fields. Others may cite them too."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        reserved = {"observed", "cevns", "electron", "signal"} & set(self.backgrounds)
        if reserved:
            raise ValueError(f"no background can be called {sorted(reserved)[0]}")
        for name in self.off_counts:
            if name not in self.backgrounds:
                raise ValueError(f"off_counts: no background '{name}'; {nearest(name, self.backgrounds)}")
        return self


def described(content: Mapping[str, Any], where: str) -> Description:
    """The description in the content of a file; `InputFileError` names the file, the key and what is wrong."""
    try:
        return Description.model_validate(content)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputFileError(f"{where}: {key + ': ' if key else ''}{first['msg']}") from None
