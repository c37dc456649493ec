"""The study file, key by key: types, ranges, defaults and meanings.

Structure only; what needs several keys at once, or a table or file, is checked in `cevnslab.studies.study`.
Every model refuses unknown keys and numbers given as text, and is frozen.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}$")]
Positive = Annotated[float, Field(gt=0, le=1e30)]
Text = Annotated[str, Field(pattern=r"^[^$\n]{1,120}$")]
"""Words for figures and tables; a dollar sign would start a formula."""
NonNegative = Annotated[float, Field(ge=0)]
Fraction = Annotated[float, Field(gt=0, le=1)]
Channel = Literal["cevns", "electron"]
Statistic = Literal["least-squares", "poisson"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, populate_by_name=True)


def _kind(value: Any) -> str:
    """Which member of a union a value means: errors then speak of that member alone."""
    if isinstance(value, BaseModel | dict):
        return "<mapping>"
    if isinstance(value, str):
        return "<word>"
    if isinstance(value, list):
        return "<list>"
    return "<number>"


class GaussianPulse(_Model):
    """A Gaussian pulse of protons; times are in microseconds after the detector's zero."""

    shape: Literal["gaussian"] = "gaussian"
    centre_us: Annotated[float, Field(ge=-1e6, le=1e6)]
    width_us: Positive = Field(description="standard deviation")


class UniformPulse(_Model):
    """A rectangular pulse of protons."""

    shape: Literal["uniform"]
    start_us: Annotated[float, Field(ge=-1e6, le=1e6)] = 0.0
    length_us: Positive


def _pulse_shape(value: Any) -> str:
    shape = value.get("shape") if isinstance(value, dict) else getattr(value, "shape", None)
    return "<uniform>" if shape == "uniform" else "<gaussian>"


Pulse = Annotated[
    Annotated[GaussianPulse, Tag("<gaussian>")] | Annotated[UniformPulse, Tag("<uniform>")], Discriminator(_pulse_shape)
]


class PionDecayAtRest(_Model):
    """A pulsed source of pions decaying at rest."""

    name: Name = "custom"
    type: Literal["pion-decay-at-rest"]
    protons_per_year: Positive = Field(description="protons on target in a calendar year")
    neutrinos_per_proton: Positive = Field(description="neutrinos of each flavour per proton")
    hours_per_year: Annotated[float, Field(gt=0, le=8784)] = Field(description="hours of operation in a calendar year")
    duty_factor: Fraction = Field(description="share of the live time in which the beam is on")
    pulse: Pulse | None = Field(None, description="the protons' time profile, for detectors with time bins")
    repetition_hz: Positive | None = Field(None, description="pulses a second, for detectors with time bins")


class Reactor(_Model):
    """A nuclear reactor: electron antineutrinos."""

    name: Name = "custom"
    type: Literal["reactor"]
    thermal_power_gw: Positive
    fission_fractions: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        description="shares of U235, U238, Pu239 and Pu241 in the fissions, 1 in all"
    )
    hours_per_year: Annotated[float, Field(gt=0, le=8784)]
    duty_factor: Fraction = Field(1.0, description="share of the live time at full power")


class TabulatedSource(_Model):
    """Spectra from a file: a column of energies, one column per flavour."""

    name: Name = "custom"
    type: Literal["tabulated"]
    file: str = Field(
        description="columns energy_mev and nu_e, anti_nu_mu ... in 1/(cm^2 s MeV), named in its first line"
    )
    reference_distance_m: Positive = Field(description="where the file's flux is")
    hours_per_year: Annotated[float, Field(gt=0, le=8784)]
    duty_factor: Fraction = 1.0


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
SourceOrPreset = Annotated[Annotated[str, Tag("<word>")] | Annotated[Source, Tag("<mapping>")], Discriminator(_kind)]


class Uncertainties(_Model):
    """Relative widths of the normalisations, and of what bends the signal's shape; 0 fixes one."""

    signal: Annotated[float, Field(ge=0, le=10)]
    background: Annotated[float, Field(ge=0, le=10)]
    energy_scale: Annotated[float, Field(ge=0, lt=0.3)] = Field(0.0, description="of the reconstructed energy")
    quenching: Annotated[float, Field(ge=0, lt=0.3)] = Field(0.0, description="of a detector's quenching model")


class Intervals(_Model):
    """How intervals are made."""

    confidence_level: Annotated[float, Field(ge=0.01, le=0.9999999)] = 0.90
    method: Literal["delta-chi2", "feldman-cousins"] = "delta-chi2"
    minimum: Literal["global", "connected"] = Field(
        "global", description="compare with the lowest minimum, or with the one nearest the Standard Model"
    )
    toys: Annotated[int, Field(ge=100, le=10_000_000)] | None = Field(
        None, description="pseudo-experiments per true value, for feldman-cousins; 10000 unless given"
    )
    seed: Annotated[int, Field(ge=0)] | None = Field(None, description="of the pseudo-experiments; 1 unless given")
    ensemble: Literal["drawn", "centres"] | None = Field(
        None, description="true normalisations drawn from their priors (default), or constraint centres fluctuated"
    )


class Resolution(_Model):
    """Gaussian width as a function of the true energy: the nuclear recoil's, or its light's in keVee."""

    sigma_kev: Positive | None = None
    at_kev: Positive | None = None
    sigma_kevee: Positive | None = Field(None, description="for a detector with quenching, with at_kevee")
    at_kevee: Positive | None = None
    law: Literal["sqrt", "constant", "linear"] = "sqrt"
    minimum_true_kev: Positive | None = Field(None, description="required by law: constant; recoils below are lost")


class EfficiencyFile(_Model):
    """Two columns: keV, efficiency."""

    file: str
    axis: Literal["recoil", "reconstructed"]


Efficiency = Annotated[
    Annotated[Fraction, Tag("<number>")] | Annotated[EfficiencyFile, Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if _kind(value) == "<mapping>" else "<number>"),
]
Radius = Annotated[
    Annotated[Positive, Tag("<number>")] | Annotated[dict[str, Positive], Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if _kind(value) == "<mapping>" else "<number>"),
]
ResolutionOrNone = Annotated[
    Annotated[Literal["none"], Tag("<word>")] | Annotated[Resolution, Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if _kind(value) == "<mapping>" else "<word>"),
]
Quenching = Annotated[
    Annotated[Literal["same-axis"], Tag("<word>")] | Annotated[Positive, Tag("<number>")],
    Discriminator(lambda value: "<word>" if _kind(value) == "<word>" else "<number>"),
]


class Lindhard(_Model):
    """Lindhard's model, of a target of one element."""

    lindhard_k: Annotated[
        Annotated[Positive, Tag("<number>")] | Annotated[Literal["standard"], Tag("<word>")],
        Discriminator(lambda value: "<word>" if _kind(value) == "<word>" else "<number>"),
    ] = Field(description="a number, or standard: 0.133 Z^(2/3) A^(-1/2)")


class QuenchingFile(_Model):
    """Two columns: keV of nuclear recoil, quenching factor."""

    file: str


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


class Detector(_Model):
    """A detector; with `preset`, any key overrides the preset's. Energies are reconstructed nuclear-recoil keV."""

    preset: str | None = Field(None, description="built-in detector whose keys are the defaults")
    name: Name = Field(description="unique, safe as a file name; the preset's unless given")
    label: Text | None = Field(None, description="how figures name it; the target unless given")
    target: str = Field(description="element or compound formula")
    mass_kg: Positive
    distance_m: Positive
    threshold_kev: Positive | None = None
    maximum_kev: Positive | None = None
    bins: Annotated[int, Field(ge=1, le=10_000)] | None = None
    bin_edges_kev: Annotated[list[Positive], Field(min_length=2, max_length=10_001)] | None = None
    quenching: QuenchingModel | None = Field(
        None,
        description="light of nuclear recoils: a factor, {lindhard_k}, or {file}; the energy axis is then in keVee",
    )
    threshold_kevee: Positive | None = Field(None, description="with quenching; bins uniform in keVee")
    maximum_kevee: Positive | None = None
    bin_edges_kevee: Annotated[list[Positive], Field(min_length=2, max_length=10_001)] | None = None
    resolution: ResolutionOrNone = Field(description="none is a choice")
    efficiency: Efficiency = Field(description="a number in (0, 1], or {file, axis: recoil or reconstructed}")
    background_ckkd: NonNegative | None = Field(None, description="counts/keV/kg/day")
    background_ckkd_ee: NonNegative | None = Field(None, description="counts/keVee/kg/day, with quenching")
    background_ckd: NonNegative | None = Field(None, description="counts/kg/day in all bins together")
    background_file: str | None = Field(None, description="two columns: keV, counts/keV/kg/day")
    rms_radius_fm: Radius | None = Field(None, description="a number or one per element")
    neutron_radius_fm: Radius | None = Field(None, description="the proton's unless given")
    electron_quenching: Quenching | None = Field(
        None, description="nuclear-recoil light over electron-recoil light; same-axis for no conversion"
    )
    time_bin_edges_us: Annotated[list[float], Field(min_length=2, max_length=1001)] | None = Field(
        None, description="bins of the arrival time at a source with a pulse; times are not used unless given"
    )
    source: SourceOrPreset | None = None
    exposure_years: Annotated[float, Field(gt=0, le=1e4)] | None = None
    channels: Annotated[list[Channel], Field(min_length=1)] | None = None
    statistic: Statistic | None = None
    uncertainties: Uncertainties | None = None


class Experiment(_Model):
    """Real data: a detector that brings its own source, exposure, bins, backgrounds and Poisson likelihood."""

    preset: str | None = Field(None, description="coherent-csi-2021 or coherent-lar-2020")
    name: Name = Field(description="unique, safe as a file name; the preset's unless given")
    label: Text | None = Field(None, description="how figures name it; the name unless given")
    experiment: Literal["coherent-csi-2021", "coherent-lar-2020"] = Field(description="whose data and analysis")
    observed: Literal["data", "asimov"] = Field("data", description="the counts, or the expectation in their place")
    nuisances: Literal["normalisation", "shape"] = Field(
        "normalisation", description="normalisations alone, or efficiency, quenching, radius, times too"
    )
    channels: Annotated[list[Channel], Field(min_length=1)] | None = None
    target: str
    mass_kg: Positive
    distance_m: Positive
    protons_on_target: Positive = Field(description="of the whole run")
    neutrinos_per_proton: Positive = Field(description="of each flavour")
    pulse: GaussianPulse
    rms_radius_fm: Radius | None = None
    neutron_radius_fm: Radius | None = None


def _detector_kind(value: Any) -> str:
    measured = "experiment" in value if isinstance(value, dict) else isinstance(value, Experiment)
    return "<experiment>" if measured else "<detector>"


DetectorOrExperiment = Annotated[
    Annotated[Detector, Tag("<detector>")] | Annotated[Experiment, Tag("<experiment>")], Discriminator(_detector_kind)
]


class Profile(_Model):
    """A curve of delta chi^2 against one coupling."""

    coupling: str
    from_: float = Field(alias="from", description="in the coupling's unit")
    to: float
    points: Annotated[int, Field(ge=2, le=100_000)] = 401
    detectors: list[str] | None = Field(None, description="all unless given")


class CrossSection(_Model):
    """Curves of d(sigma)/dT at one neutrino energy; the Standard Model is always drawn too."""

    target: str
    energy_mev: Annotated[float, Field(gt=0, le=1000)]
    channel: Channel = "cevns"
    coupling: str
    values: Annotated[list[float], Field(min_length=1)]
    recoil_from_kev: Positive = 0.1
    rms_radius_fm: Radius | None = Field(None, description="as in a detector; from the nuclide table unless given")
    recoil_to_kev: Positive | None = Field(None, description="the endpoint unless given; at most 100 keV for electrons")


class Combination(_Model):
    """Detectors analysed together."""

    name: Name
    label: Text | None = Field(None, description="how figures name it; the name unless given")
    detectors: Annotated[list[str], Field(min_length=2)]
    signal: Literal["correlated", "independent"] = Field(description="one signal normalisation for all, or one each")


class Scan(_Model):
    """Limits as one numeric key of the study varies."""

    name: Name
    key: str = Field(description="a path such as exposure_years or detectors.ess-ge.threshold_kev")
    values: Annotated[list[float], Field(min_length=1, max_length=1000)]


class Panel(_Model):
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
    energy_mev: Positive | None = None
    channels: Annotated[list[Channel], Field(min_length=1)] = Field(default=["cevns"])
    values: list[float] | None = Field(None, description="of a cross section's coupling; all unless given")
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        None, description="of the horizontal axis, in plain units, but of cross sections; all unless given"
    )
    maximum: Positive | None = Field(None, description="of the vertical axis of a profile")
    legend: (
        Literal["upper left", "upper center", "upper right", "center left", "center right", "lower left", "lower right"]
        | None
    ) = Field(None, description="where the legend stands")
    title: Text | None = None


class Figure(_Model):
    """A figure of the study: its file name, and its panels row by row."""

    name: Name
    panels: Annotated[list[Panel], Field(min_length=1, max_length=12)]
    columns: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="all panels in one row unless given")


class Mediator(_Model):
    """A coupling with parameters; its label stands in the files."""

    name: Literal["light_vector", "light_scalar"]
    charges: Literal["universal", "b-l", "lmu-ltau"] | None = Field(None, description="of light_vector, required there")
    mass_mev: Positive | None = Field(None, description="required")
    label: str | None = Field(None, description="required; letters, digits and _")


CouplingName = Annotated[
    Annotated[str, Tag("<word>")] | Annotated[Mediator, Tag("<mapping>")],
    Discriminator(lambda value: "<mapping>" if _kind(value) == "<mapping>" else "<word>"),
]


class StudyFile(_Model):
    """The whole file."""

    name: Name = Field(description="safe as a file name")
    title: Text | None = None
    source: SourceOrPreset | None = Field(
        None, description="a preset, or a mapping with `type`; required by every detector that has none of its own"
    )
    exposure_years: Annotated[float, Field(gt=0, le=1e4)] | None = Field(None, description="required likewise")
    channels: Annotated[list[Channel], Field(min_length=1)] = Field(default=["cevns"])
    couplings: Annotated[list[CouplingName], Field(min_length=1)]
    profile: list[str] = Field(default=[], description="couplings minimised over instead of held at zero")
    plugins: list[str] = Field(default=[], description="Python files that declare couplings; they are run")
    uncertainties: Uncertainties | None = Field(None, description="required likewise")
    statistic: Statistic = "least-squares"
    intervals: Intervals = Field(default_factory=lambda: Intervals.model_validate({}))
    detectors: Annotated[list[DetectorOrExperiment], Field(min_length=1)]
    contours: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(default=[])
    profiles: list[Profile] = Field(default=[])
    cross_sections: list[CrossSection] = Field(default=[])
    combinations: list[Combination] = Field(default=[])
    scans: list[Scan] = Field(default=[])
    figures: list[Figure] | None = Field(None, description="chosen from what the study computes unless given")
    form_factor: Literal["helm", "klein-nystrand", "symmetrised-fermi"] = "helm"
    nuclei: Literal["standard-weight", "isotopes"] = "standard-weight"
    radiative_corrections: bool = False

    @property
    def coupling_names(self) -> list[str]:
        """The couplings as files name them."""
        return [new if isinstance(new, str) else new.label or new.name for new in self.couplings]
