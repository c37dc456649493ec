"""Couplings: names, and families with parameters."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from cevnslab.studies.schema.base import Model, Positive, either


class Mediator(Model):
    """A coupling with parameters; its label stands in the files."""

    name: Literal["light_vector", "light_scalar"] = Field(description="which family")
    charges: Literal["universal", "b-l", "lmu-ltau"] | None = Field(None, description="of light_vector, required there")
    mass_mev: Positive | None = Field(None, description="of the mediator; required")
    label: str | None = Field(None, description="required; letters, digits and _")


CouplingName = Annotated[
    Annotated[str, Tag("<word>")] | Annotated[Mediator, Tag("<mapping>")], either("<mapping>", "<word>")
]
