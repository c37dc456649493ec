"""What to compute: combinations, scans, profiles, cross sections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Tag

from cevnslab.studies.schema.base import Channel, EnergyKev, Model, Name, Text, either
from cevnslab.studies.schema.detectors import Radius
from cevnslab.studies.schema.planning import Range


class Combination(Model):
    """Detectors analysed together."""

    name: Name = Field(description="unique among detectors and combinations")
    label: Text | None = Field(None, description="how figures name it; the name unless given")
    detectors: Annotated[list[str], Field(min_length=2)] = Field(description="names of detectors of the study")
    signal: Literal["correlated", "independent"] = Field(description="one signal normalisation for all, or one each")


class Scan(Model):
    """Limits as one numeric key of the study varies."""

    name: Name = Field(description="unique among scans")
    key: str = Field(description="a path such as exposure_years or detectors.ess-ge.threshold_kev")
    values: Annotated[
        Annotated[list[float], Field(min_length=1, max_length=1000), Tag("<list>")]
        | Annotated[Range, Tag("<mapping>")],
        either("<mapping>", "<list>"),
    ] = Field(description="of the key: a list, or {from, to, points, scale: linear or log}")

    @property
    def points(self) -> list[float]:
        """All values of the key."""
        return self.values.values if isinstance(self.values, Range) else self.values


class Profile(Model):
    """A curve of delta chi^2 against one coupling."""

    coupling: str = Field(description="one of the study's")
    from_: float = Field(alias="from", description="in the coupling's unit")
    to: float = Field(description="in the coupling's unit")
    points: Annotated[int, Field(ge=2, le=100_000)] = Field(401, description="of the curve")
    detectors: list[str] | None = Field(None, description="all unless given")


class CrossSection(Model):
    """Curves of d(sigma)/dT at one neutrino energy; the Standard Model is always drawn too."""

    target: str = Field(description="element, compound or isotope")
    energy_mev: Annotated[float, Field(gt=0, le=1000)] = Field(description="the neutrino's")
    channel: Channel = Field("cevns", description="nuclei or electrons")
    coupling: str = Field(description="any that the study knows")
    values: Annotated[list[float], Field(min_length=1)] = Field(description="of the coupling, in its unit")
    recoil_from_kev: EnergyKev = Field(0.1, description="lowest recoil energy of the curve")
    rms_radius_fm: Radius | None = Field(None, description="as in a detector; tabulated unless given")
    recoil_to_kev: EnergyKev | None = Field(
        None, description="the endpoint unless given; at most 100 keV for electrons"
    )
