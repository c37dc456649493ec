"""Figures and their panels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cevnslab.studies.schema.base import Channels, Model, Name, Positive, Text


class Panel(Model):
    """One panel of a figure, made by exactly one of profile, contour, cross_section, spectrum, data."""

    profile: Annotated[list[str], Field(min_length=1)] | None = Field(None, description="couplings")
    contour: Annotated[list[str], Field(min_length=2, max_length=2)] | None = Field(None, description="two couplings")
    cross_section: str | None = Field(None, description="a target of cross_sections; needs energy_mev")
    spectrum: str | None = Field(None, description="a detector")
    data: str | None = Field(None, description="an experiment; needs axis")
    axis: str | None = Field(None, description="of data: one that the experiment bins, such as energy_pe or time_us")
    reference: Name | None = Field(
        None, description="of a contour: a stored result that is drawn dashed, such as coherent-csi-lar"
    )
    detectors: list[str] | None = Field(None, description="of a profile or contour; all unless given")
    energy_mev: Positive | None = Field(None, description="of cross_section: the neutrino's")
    channels: Channels = Field(default=["cevns"], description="of cross_section: nuclei, electrons or both")
    values: list[float] | None = Field(None, description="of a cross section's coupling; all unless given")
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="of the horizontal axis, in plain units, but of cross sections; all unless given"
    )
    maximum: Positive | None = Field(None, description="of the vertical axis of a profile")
    legend: (
        Literal["upper left", "upper center", "upper right", "center left", "center right", "lower left", "lower right"]
        | None
    ) = Field(None, description="where the legend stands")
    title: Text | None = Field(None, description="above the panel")


class Figure(Model):
    """A figure of the study: its file name, and its panels row by row."""

    name: Name = Field(description="of its files; unique among figures")
    panels: Annotated[list[Panel], Field(min_length=1, max_length=12)] = Field(description="row by row")
    columns: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="all panels in one row unless given")
