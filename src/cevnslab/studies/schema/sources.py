"""Sources of neutrinos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args

from pydantic import AfterValidator, Discriminator, Field, Tag

from cevnslab.physics.flavour import NUFIT
from cevnslab.physics.sources.reactor import FACTOR_ABOVE_8_MEV
from cevnslab.physics.sources.solar import BranchName
from cevnslab.studies.schema.base import (
    DistanceM,
    FilePath,
    Fraction,
    HoursPerYear,
    Model,
    Name,
    NonNegative,
    Positive,
    either,
    no_tiny_width,
)
from cevnslab.words import excerpt


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


class SourceModel(Model):
    """What every source has; its `type` is the word for it in a study file."""

    preset: str | None = Field(None, description="built-in source whose keys are the defaults")
    name: Name = Field("custom", description="how outputs name it")
    type: str

    @classmethod
    def says_distance(cls, content: Mapping[str, Any]) -> bool:
        """Whether a source with these keys says itself how far it is from every detector."""
        return False


class PionDecayAtRest(SourceModel):
    """A pulsed source of pions decaying at rest."""

    type: Literal["pion-decay-at-rest"] = Field(description="which kind of source this is")
    protons_per_year: Positive = Field(description="protons on target in a calendar year")
    neutrinos_per_proton: Positive = Field(description="neutrinos of each flavour per proton")
    hours_per_year: HoursPerYear = Field(description="hours of operation in a calendar year")
    duty_factor: Fraction = Field(description="share of the live time in which the beam is on")
    pulse: Pulse | None = Field(None, description="the protons' time profile, for detectors with time bins")
    repetition_hz: Positive | None = Field(None, description="pulses a second, for detectors with time bins")


class ReactorCore(Model):
    """One core of a plant."""

    thermal_power_gw: Positive = Field(description="thermal, not electric")
    distance_m: DistanceM = Field(description="of the core from every detector at this source")


class FissionFile(Model):
    """Spectra of isotopes: a column of energies, one column per isotope."""

    file: FilePath = Field(
        description="columns energy_mev and some of U235, U238, Pu239, Pu241 in 1/MeV per fission, named in its first "
        "line; the path is relative to the study file"
    )
    interpolation: Literal["linear", "logarithmic"] = Field(
        "linear", description="between the points: of the spectrum, or of its logarithm"
    )


FissionSpectrum = Annotated[
    Annotated[Literal["huber-mueller", "mueller"], Tag("<word>")] | Annotated[FissionFile, Tag("<mapping>")],
    either("<mapping>", "<word>"),
]


UnitInterval = Annotated[float, Field(ge=0, le=1)]
DistanceOrNone = Annotated[
    Annotated[Literal["none"], Tag("<word>")] | Annotated[DistanceM, Tag("<number>")], either("<word>", "<number>")
]


class FluxFactor(Model):
    """The prior of a factor on a part of the flux."""

    factor: Positive = Field(description="its centre")
    uncertainty: Annotated[NonNegative, AfterValidator(no_tiny_width)] = Field(
        description="its standard deviation; 0 fixes it"
    )


class Reactor(SourceModel):
    """A nuclear reactor: electron antineutrinos. Give one of thermal_power_gw, cores and total_flux_per_cm2_s."""

    type: Literal["reactor"] = Field(description="which kind of source this is")
    thermal_power_gw: Positive | None = Field(None, description="thermal, not electric")
    cores: Annotated[list[ReactorCore], Field(min_length=1, max_length=100)] | None = Field(
        None, description="cores with distances of their own; a detector then has none"
    )
    total_flux_per_cm2_s: Positive | None = Field(
        None,
        description="of all antineutrinos at reference_distance_m; published totals hold those of captures on U-238, "
        "so that captures must be given with it",
    )
    reference_distance_m: DistanceM | None = Field(None, description="where the total flux is")
    fission_fractions: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="shares of U235, U238, Pu239 and Pu241 in the fissions, 1 in all"
    )
    spectrum: FissionSpectrum = Field(
        "huber-mueller",
        description="huber-mueller (to 13 MeV), mueller (to 8 MeV: 11 % of the counts at 160 eVee in germanium are "
        "missing), or {file}",
    )
    captures: Annotated[float, Field(ge=0, le=2)] | None = Field(
        None,
        description="captures on U-238 per fission, each with two antineutrinos; about 0.6 in a power reactor, "
        "0 unless given",
    )
    above_8_mev: FluxFactor = Field(
        default_factory=lambda: FluxFactor(factor=FACTOR_ABOVE_8_MEV[0], uncertainty=FACTOR_ABOVE_8_MEV[1]),
        description="prior of the nuisance parameter above_8_mev, a factor on the flux above 8 MeV; 0.8 +- 0.3 unless "
        "given",
    )
    hours_per_year: HoursPerYear = Field(description="live time in a calendar year")
    duty_factor: Fraction = Field(1.0, description="share of the live time at full power")

    @classmethod
    def says_distance(cls, content: Mapping[str, Any]) -> bool:
        """By the distances of its cores."""
        return content.get("cores") is not None


class Oscillation(Model):
    """Oscillation parameters; NuFIT 6.0, normal ordering, unless given."""

    sin2_theta12: UnitInterval = Field(NUFIT.sin2_theta12, description="squared sine")
    sin2_theta13: UnitInterval = Field(NUFIT.sin2_theta13, description="squared sine")
    sin2_theta23: UnitInterval = Field(NUFIT.sin2_theta23, description="squared sine")
    dm21_ev2: Positive = Field(NUFIT.dm21_ev2, description="m2^2 - m1^2 in eV^2")
    dm31_ev2: float = Field(NUFIT.dm31_ev2, description="m3^2 - m1^2 in eV^2, negative in the inverted ordering")
    delta_deg: Annotated[float, Field(ge=-360, le=360)] = Field(NUFIT.delta_deg, description="phase in degrees")


def _nufit() -> Oscillation:
    return Oscillation.model_validate({})


class Solar(SourceModel):
    """The Sun: neutrinos of its branches, which arrive as mass states. No distance is asked."""

    type: Literal["solar"] = Field(description="which kind of source this is")
    branches: Annotated[list[BranchName], Field(min_length=1)] = Field(
        default=list(get_args(BranchName)),
        description="reactions and decays; each has its flux as a nuisance, such as flux_8b",
    )
    flux: Literal["sno", "b16-gs98"] = Field(
        "sno",
        description="of 8B: as SNO measured it (5.25e6, 3.81 %), or of the model (5.46e6, 12 %); "
        "the others are B16-GS98",
    )
    shape_8b: Literal["winter", "bahcall"] = Field(
        "winter", description="spectrum of 8B: Phys. Rev. C 73 (2006) 025503, or C 54 (1996) 411, 4.5 % fewer counts"
    )
    oscillation: Oscillation = Field(default_factory=_nufit, description="mixing, and conversion in the Sun")

    @classmethod
    def says_distance(cls, content: Mapping[str, Any]) -> bool:
        """The Sun does."""
        return True


SpeciesNumber = Annotated[float, Field(gt=0, le=1e60)]
"""Energies in erg are beyond what other numbers of a study may be."""


class OfSpecies(Model):
    """One value per species of a burst."""

    nu_e: SpeciesNumber = Field(description="of electron neutrinos")
    anti_nu_e: SpeciesNumber = Field(description="of electron antineutrinos")
    nu_x: SpeciesNumber = Field(description="of each of nu_mu, nu_tau and their antineutrinos")


SpeciesValue = Annotated[
    Annotated[SpeciesNumber, Tag("<number>")] | Annotated[OfSpecies, Tag("<mapping>")], either("<mapping>", "<number>")
]


class Supernova(SourceModel):
    """A supernova: the neutrinos of one burst. No distance and no exposure are asked; counts are those of the burst."""

    type: Literal["supernova"] = Field(description="which kind of source this is")
    distance_kpc: Positive = Field(description="from the Earth")
    energy_erg: SpeciesValue = Field(
        description="of one of the six species, a sixth of 3e53 erg, say; a number for all, or {nu_e, anti_nu_e, nu_x}"
    )
    mean_energy_mev: SpeciesValue = Field(description="a number, or {nu_e, anti_nu_e, nu_x}")
    pinching: SpeciesValue = Field(
        description="a in (E/<E>)^a exp(-(a+1) E/<E>), above 1; a number, or {nu_e, anti_nu_e, nu_x}"
    )
    ordering: Literal["none", "normal", "inverted"] = Field(
        "none", description="of the masses, for adiabatic conversion in the star; none: flavours arrive as emitted"
    )
    window_s: Positive = Field(10.0, description="seconds in which steady backgrounds count")
    oscillation: Oscillation = Field(default_factory=_nufit, description="what the mass states are made of")

    @classmethod
    def says_distance(cls, content: Mapping[str, Any]) -> bool:
        """It does, by distance_kpc."""
        return True


class TabulatedSource(SourceModel):
    """Spectra from a file: a column of energies, one column per flavour or mass state."""

    type: Literal["tabulated"] = Field(description="which kind of source this is")
    file: FilePath = Field(
        description="columns energy_mev and nu_e, anti_nu_mu ... (nu_1 ... for mass states), named in its first line; "
        "the path is relative to the study file"
    )
    quantity: Literal["flux", "fluence"] = Field(
        "flux", description="what the file holds: a flux in 1/(cm^2 s MeV), or the fluence of one burst in 1/(cm^2 MeV)"
    )
    reference_distance_m: DistanceOrNone = Field(
        description="where the file's flux is; none for a flux at the detector, whatever its distance, such as a "
        "natural one"
    )
    hours_per_year: HoursPerYear | None = Field(None, description="live time in a calendar year; required of a flux")
    duty_factor: Fraction = Field(1.0, description="share of the live time in which it shines")
    window_s: Positive | None = Field(
        None, description="of a fluence: seconds in which steady backgrounds count; 10 unless given"
    )
    oscillation: Oscillation = Field(default_factory=_nufit, description="what the mass states are made of")

    @classmethod
    def says_distance(cls, content: Mapping[str, Any]) -> bool:
        """Where the file's flux is that at the detector."""
        return content.get("reference_distance_m") == "none"


KINDS: tuple[type[SourceModel], ...] = (PionDecayAtRest, Reactor, Solar, Supernova, TabulatedSource)
"""The types of source that a study file may have; `cevnslab.studies.sources` builds each."""

SOURCES: dict[str, type[SourceModel]] = {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in KINDS}
"""By the word for them."""


def source_type_fault(kind: object) -> str | None:
    """What is wrong with a source's type; None for one that there is."""
    if isinstance(kind, str) and kind in SOURCES:
        return None
    return "this key is required" if kind is None else f"must be {', '.join(SOURCES)}, got {excerpt(kind)}"


def _source_kind(value: Any) -> str:
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>" if isinstance(kind, str) and kind in SOURCES else "<pion-decay-at-rest>"


if TYPE_CHECKING:
    Source = SourceModel
else:
    Source = Annotated[
        Union[tuple(Annotated[kind, Tag(f"<{word}>")] for word, kind in SOURCES.items())],  # noqa: UP007  (of many)
        Discriminator(_source_kind),
    ]
SourceOrPreset = Annotated[
    Annotated[str, Tag("<word>")] | Annotated[Source, Tag("<mapping>")], either("<word>", "<mapping>")
]
