"""Uncertainties, statistics and intervals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from cevnslab.inference.levels import FEWEST_BAND_TOYS, MOST_TOYS
from cevnslab.studies.schema.base import Model, Width, either

Statistic = Literal["least-squares", "poisson", "gaussian"]


class Uncertainties(Model):
    """Relative widths of the normalisations, and of what bends the signal's shape; 0 fixes one."""

    signal: Width = Field(description="of the signal's normalisation")
    background: Width | None = Field(
        None, description="of the background's normalisation; required unless the detector names its backgrounds"
    )
    energy_scale: Annotated[float, Field(ge=0, lt=0.3)] = Field(0.0, description="of the reconstructed energy")
    quenching: Annotated[float, Field(ge=0, lt=0.3)] = Field(0.0, description="of a detector's quenching model")


class Bands(Model):
    """Expected limits with their bands, from pseudo-experiments of the Standard Model."""

    toys: Annotated[int, Field(ge=FEWEST_BAND_TOYS, le=MOST_TOYS)] = Field(
        10_000, description="pseudo-experiments per limit"
    )
    seed: Annotated[int, Field(ge=0)] = Field(1, description="of their random numbers")


Probability = Annotated[float, Field(ge=0.01, le=0.9999999)]


class Intervals(Model):
    """How intervals are made."""

    confidence_level: Annotated[
        Annotated[Probability, Tag("<number>")] | Annotated[list[Probability], Field(min_length=1), Tag("<list>")],
        either("<list>", "<number>"),
    ] = Field(0.90, description="a probability, not a level of delta chi^2; or a list: a row each in every table")
    method: Literal["delta-chi2", "feldman-cousins"] = Field(
        "delta-chi2", description="delta chi^2 below its quantile, or below simulated critical values"
    )
    minimum: Literal["global", "connected"] = Field(
        "global", description="compare with the lowest minimum, or with the one nearest the Standard Model"
    )
    toys: Annotated[int, Field(ge=100, le=MOST_TOYS)] | None = Field(
        None, description="pseudo-experiments per true value, for feldman-cousins; 10000 unless given"
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(None, description="of the pseudo-experiments; 1 unless given")
    ensemble: Literal["drawn", "centres"] | None = Field(
        None, description="true normalisations drawn from their priors (default), or constraint centres fluctuated"
    )

    @property
    def levels(self) -> tuple[float, ...]:
        """All confidence levels, in the order of the file."""
        levels = self.confidence_level
        return tuple(levels) if isinstance(levels, list) else (levels,)
