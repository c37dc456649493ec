"""Projected detectors: target, bins, response, background and running."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from cevnslab.studies.schema.base import (
    BackgroundRate,
    Channels,
    DistanceM,
    EnergyKev,
    FilePath,
    Fraction,
    MassKg,
    Model,
    Name,
    Text,
    Years,
    either,
)
from cevnslab.studies.schema.counts import Background, Observed
from cevnslab.studies.schema.sources import SourceOrPreset
from cevnslab.studies.schema.statistics import Statistic, Uncertainties


class Resolution(Model):
    """Gaussian width as a function of the true energy: the nuclear recoil's, or its light's in keVee."""

    sigma_kev: EnergyKev | None = Field(None, description="standard deviation at at_kev")
    at_kev: EnergyKev | None = Field(None, description="the energy at which sigma_kev is the width")
    sigma_kevee: EnergyKev | None = Field(None, description="for a detector with quenching, with at_kevee")
    at_kevee: EnergyKev | None = Field(None, description="the energy at which sigma_kevee is the width")
    law: Literal["sqrt", "constant", "linear"] = Field("sqrt", description="how the width grows with the true energy")
    minimum_true_kev: EnergyKev | None = Field(None, description="required by law: constant; recoils below are lost")


class EfficiencyFile(Model):
    """Two columns: keV, efficiency."""

    file: FilePath = Field(description="path, relative to the study file")
    axis: Literal["recoil", "reconstructed"] = Field(
        description="the energy of the table: the true recoil's or the reconstructed one"
    )


Efficiency = Annotated[
    Annotated[Fraction, Tag("<number>")] | Annotated[EfficiencyFile, Tag("<mapping>")],
    either("<mapping>", "<number>"),
]
RadiusFm = Annotated[float, Field(ge=0.1, le=30)]
Radius = Annotated[
    Annotated[RadiusFm, Tag("<number>")] | Annotated[dict[str, RadiusFm], Tag("<mapping>")],
    either("<mapping>", "<number>"),
]
ResolutionOrNone = Annotated[
    Annotated[Literal["none"], Tag("<word>")] | Annotated[Resolution, Tag("<mapping>")],
    either("<mapping>", "<word>"),
]
ElectronQuenching = Annotated[
    Annotated[Literal["same-axis"], Tag("<word>")]
    | Annotated[Annotated[float, Field(ge=1e-6, le=1e3)], Tag("<number>")],
    either("<word>", "<number>"),
]
Target = Annotated[
    Annotated[str, Tag("<word>")]
    | Annotated[dict[str, Annotated[float, Field(gt=0, le=1)]], Field(min_length=1), Tag("<mapping>")],
    either("<mapping>", "<word>"),
]
Edges = Annotated[list[EnergyKev], Field(min_length=2, max_length=10_001)]


class Lindhard(Model):
    """Lindhard's model, of a target of one element."""

    lindhard_k: Annotated[
        Annotated[Annotated[float, Field(ge=1e-6, le=10)], Tag("<number>")]
        | Annotated[Literal["standard"], Tag("<word>")],
        either("<word>", "<number>"),
    ] = Field(description="a number, or standard: 0.133 Z^(2/3) A^(-1/2)")


class QuenchingFile(Model):
    """Two columns: keV of nuclear recoil, quenching factor."""

    file: FilePath = Field(description="path, relative to the study file")


def _quenching_kind(value: Any) -> str:
    if isinstance(value, dict):
        return "<file>" if "file" in value else "<lindhard>"
    return "<file>" if isinstance(value, QuenchingFile) else "<lindhard>" if isinstance(value, Lindhard) else "<number>"


QuenchingModel = Annotated[
    Annotated[Fraction, Tag("<number>")]
    | Annotated[Lindhard, Tag("<lindhard>")]
    | Annotated[QuenchingFile, Tag("<file>")],
    Discriminator(_quenching_kind),
]


class Detector(Model):
    """A detector; with `preset`, any key overrides the preset's. Energies are reconstructed nuclear-recoil keV."""

    preset: str | None = Field(None, description="built-in detector whose keys are the defaults")
    name: Name = Field(description="unique, safe as a file name; the preset's unless given")
    label: Text | None = Field(None, description="how figures name it; the target unless given")
    target: Target = Field(
        description="element or compound such as Ge or CsI, an isotope such as Ge76 or 76Ge, or a mixture by fractions "
        "of atoms such as {Ge70: 0.1, Ge76: 0.9}"
    )
    mass_kg: MassKg = Field(description="of the target")
    distance_m: DistanceM | None = Field(
        None,
        description="from the source; required unless the source says it itself (reactor cores, the Sun, a supernova)",
    )
    threshold_kev: EnergyKev | None = Field(
        None, description="lower edge of the first bin; goes with maximum_kev and bins"
    )
    maximum_kev: EnergyKev | None = Field(None, description="upper edge of the last bin")
    bins: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        None, description="number of equal bins from threshold to maximum"
    )
    bin_edges_kev: Edges | None = Field(None, description="rising; in the place of threshold_kev, maximum_kev and bins")
    quenching: QuenchingModel | None = Field(
        None,
        description="light of nuclear recoils: a factor, {lindhard_k}, or {file}; the energy axis is then in keVee",
    )
    threshold_kevee: EnergyKev | None = Field(None, description="with quenching; bins uniform in keVee")
    maximum_kevee: EnergyKev | None = Field(None, description="upper edge of the last bin")
    bin_edges_kevee: Edges | None = Field(
        None, description="rising; in the place of threshold_kevee, maximum_kevee and bins"
    )
    resolution: ResolutionOrNone = Field(description="none is a choice")
    efficiency: Efficiency = Field(description="a number in (0, 1], or {file, axis: recoil or reconstructed}")
    background_ckkd: BackgroundRate | None = Field(None, description="counts/keV/kg/day")
    background_ckkd_ee: BackgroundRate | None = Field(None, description="counts/keVee/kg/day, with quenching")
    background_ckd: BackgroundRate | None = Field(None, description="counts/kg/day in all bins together")
    background_file: FilePath | None = Field(
        None,
        description="two columns: keV, counts/keV/kg/day, or keVee, counts/keVee/kg/day where its first line says so; "
        "the path is relative to the study file",
    )
    rms_radius_fm: Radius | None = Field(
        None, description="of the protons: a number, or one per element or isotope; tabulated unless given"
    )
    neutron_radius_fm: Radius | None = Field(
        None, description="of the neutrons: likewise; what neutron_radius says unless given"
    )
    neutron_radius: Literal["equal", "skin"] = Field(
        "equal", description="the protons', or 0.90 (N - Z)/A - 0.03 fm larger"
    )
    electron_quenching: ElectronQuenching | None = Field(
        None, description="nuclear-recoil light over electron-recoil light; same-axis for no conversion"
    )
    time_bin_edges_us: (
        Annotated[list[Annotated[float, Field(ge=-1e9, le=1e9)]], Field(min_length=2, max_length=1001)] | None
    ) = Field(None, description="bins of the arrival time at a source with a pulse; times are not used unless given")
    source: SourceOrPreset | None = Field(None, description="the study's unless given")
    exposure_years: Years | None = Field(None, description="calendar years; the study's unless given")
    exposure_hours: Annotated[float, Field(ge=1e-6, le=1e8)] | None = Field(
        None, description="live hours of the source, in the place of exposure_years; the study's unless given"
    )
    channels: Channels | None = Field(None, description="the study's unless given")
    statistic: Statistic | None = Field(None, description="the study's unless given")
    uncertainties: Uncertainties | None = Field(None, description="the study's unless given")
    observed: Observed | None = Field(
        None, description="asimov (the default), a list of counts (nested for several axes), or {file}"
    )
    backgrounds: Annotated[list[Background], Field(min_length=1)] | None = Field(
        None, description="backgrounds by name, in the place of background_* and uncertainties.background"
    )
