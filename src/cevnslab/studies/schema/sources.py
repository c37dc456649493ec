"""Sources of neutrinos."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from cevnslab.studies.schema.base import Fraction, HoursPerYear, Model, Name, Positive, either


class GaussianPulse(Model):
    """A Gaussian pulse of protons; times are in microseconds after the detector's zero."""

    shape: Literal["gaussian"] = Field("gaussian", description="which kind of pulse this is")
    centre_us: Annotated[float, Field(ge=-1e6, le=1e6)] = Field(description="mean of the pulse")
    width_us: Positive = Field(description="standard deviation")


class UniformPulse(Model):
    """A rectangular pulse of protons."""

    shape: Literal["uniform"] = Field(description="which kind of pulse this is")
    start_us: Annotated[float, Field(ge=-1e6, le=1e6)] = Field(0.0, description="beginning of the pulse")
    length_us: Positive = Field(description="length of the pulse")


def _pulse_shape(value: Any) -> str:
    shape = value.get("shape") if isinstance(value, dict) else getattr(value, "shape", None)
    return "<uniform>" if shape == "uniform" else "<gaussian>"


Pulse = Annotated[
    Annotated[GaussianPulse, Tag("<gaussian>")] | Annotated[UniformPulse, Tag("<uniform>")], Discriminator(_pulse_shape)
]


class PionDecayAtRest(Model):
    """A pulsed source of pions decaying at rest."""

    name: Name = Field("custom", description="how outputs name it")
    type: Literal["pion-decay-at-rest"] = Field(description="which kind of source this is")
    protons_per_year: Positive = Field(description="protons on target in a calendar year")
    neutrinos_per_proton: Positive = Field(description="neutrinos of each flavour per proton")
    hours_per_year: HoursPerYear = Field(description="hours of operation in a calendar year")
    duty_factor: Fraction = Field(description="share of the live time in which the beam is on")
    pulse: Pulse | None = Field(None, description="the protons' time profile, for detectors with time bins")
    repetition_hz: Positive | None = Field(None, description="pulses a second, for detectors with time bins")


class Reactor(Model):
    """A nuclear reactor: electron antineutrinos."""

    name: Name = Field("custom", description="how outputs name it")
    type: Literal["reactor"] = Field(description="which kind of source this is")
    thermal_power_gw: Positive = Field(description="thermal, not electric")
    fission_fractions: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="shares of U235, U238, Pu239 and Pu241 in the fissions, 1 in all"
    )
    hours_per_year: HoursPerYear = Field(description="live time in a calendar year")
    duty_factor: Fraction = Field(1.0, description="share of the live time at full power")


class TabulatedSource(Model):
    """Spectra from a file: a column of energies, one column per flavour."""

    name: Name = Field("custom", description="how outputs name it")
    type: Literal["tabulated"] = Field(description="which kind of source this is")
    file: str = Field(
        description="columns energy_mev and nu_e, anti_nu_mu ... in 1/(cm^2 s MeV), named in its first line; "
        "the path is relative to the study file"
    )
    reference_distance_m: Positive = Field(description="where the file's flux is")
    hours_per_year: HoursPerYear = Field(description="live time in a calendar year")
    duty_factor: Fraction = Field(1.0, description="share of the live time in which it shines")


SourceKeys = PionDecayAtRest | Reactor | TabulatedSource

SOURCES: dict[str, type[PionDecayAtRest] | type[Reactor] | type[TabulatedSource]] = {
    "pion-decay-at-rest": PionDecayAtRest,
    "reactor": Reactor,
    "tabulated": TabulatedSource,
}


def source_type_fault(kind: object) -> str:
    """What is wrong with a source's type that there is not."""
    return "this key is required" if kind is None else f"must be {', '.join(SOURCES)}, got '{kind}'"


def _source_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if kind in SOURCES else "<pion-decay-at-rest>"


Source = Annotated[
    Annotated[PionDecayAtRest, Tag("<pion-decay-at-rest>")]
    | Annotated[Reactor, Tag("<reactor>")]
    | Annotated[TabulatedSource, Tag("<tabulated>")],
    Discriminator(_source_kind),
]
SourceOrPreset = Annotated[
    Annotated[str, Tag("<word>")] | Annotated[Source, Tag("<mapping>")], either("<word>", "<mapping>")
]
