"""Counts per bin, expected and observed, and cross sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from cevnslab.errors import ResultError
from cevnslab.results.description import (
    OF_COUPLING,
    Archive,
    Block,
    Column,
    FloatArray,
    Further,
    Record,
    Table,
    UnitOf,
    columns_of,
    of_kind,
)
from cevnslab.results.limits import CouplingName, Detector
from cevnslab.units import words_and_unit

COUNTS = "counts"
AXIS_WORDS = {
    "recoil_energy_kev": "reconstructed recoil energy",
    "energy_kevee": "reconstructed light",
    "time_us": "arrival time",
}
"""How figures call the axes of projected detectors."""
OF_AXIS = UnitOf("of the axis", field="axis_unit")


@dataclass(frozen=True, eq=False)
class Spectrum(Record):
    """Standard Model counts per bin for the whole exposure; zero in a channel that the study leaves out."""

    detector: Detector
    bin_edges_kev: FloatArray
    """Reconstructed recoil energy; not a number where the light of an edge is that of no single recoil."""
    cevns: FloatArray
    electron: FloatArray
    background: FloatArray
    """All backgrounds together."""
    bin_edges_kevee: FloatArray | None = None
    """Where the detector's bins are of light."""
    backgrounds: Mapping[str, FloatArray] = field(default_factory=dict)
    """Each by its name, where the study names them."""

    def block(self) -> Block:
        """One row per bin."""
        channels = {"cevns": self.cevns, "electron": self.electron}
        block: dict[str, object] = {
            "detector": self.detector,
            "bin": np.arange(len(self.background)),
            "bin_low_kev": _known(self.bin_edges_kev[:-1]),
            "bin_high_kev": _known(self.bin_edges_kev[1:]),
            **{name: counts for name, counts in channels.items() if counts.any()},
            "background": self.background,
            **self.backgrounds,
        }
        if self.bin_edges_kevee is not None:
            block |= {"bin_low_kevee": self.bin_edges_kevee[:-1], "bin_high_kevee": self.bin_edges_kevee[1:]}
        return block


def _known(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values.tolist())


_LIGHT = (
    Column("lower edge of the bin, reconstructed light", "keVee", "bin_low_kevee", None, "low", "Reconstructed light"),
    Column("upper edge of the bin", "keVee", "bin_high_kevee", None, "high"),
)


def _light(records: Sequence[Record]) -> tuple[Column, ...]:
    return _LIGHT if any(spectrum.bin_edges_kevee is not None for spectrum in of_kind(Spectrum, records)) else ()


def _named_backgrounds(records: Sequence[Record]) -> tuple[Column, ...]:
    names = dict.fromkeys(name for spectrum in of_kind(Spectrum, records) for name in spectrum.backgrounds)
    return tuple(Column(f"counts of {name}", COUNTS, name, 0.0, label=f"Counts, {name}") for name in names)


SPECTRA = Table(
    "spectra",
    "Spectra",
    "one bin of a projected detector's energy: counts expected in the Standard Model in the whole exposure",
    (
        *columns_of(Spectrum),
        Column("number of the bin, from 0", name="bin", role="aside"),
        Column(
            "lower edge of the bin, reconstructed recoil energy; empty where light has no single one",
            "keV",
            "bin_low_kev",
            role="low",
            label="Reconstructed recoil energy",
        ),
        Column("upper edge of the bin", "keV", "bin_high_kev", role="high"),
        Column("coherent scattering on nuclei", COUNTS, "cevns", 0.0, label="Counts, cevns"),
        Column(
            "scattering on electrons; 0 unless the study counts them", COUNTS, "electron", 0.0, label="Counts, electron"
        ),
        Column("all backgrounds together", COUNTS, "background", label="Counts, background"),
        Further("<background>", "each background that the study names", _named_backgrounds, COUNTS),
        Further("bin_low_kevee, bin_high_kevee", "edges of the bin, where bins are of light", _light, "keVee"),
    ),
    Archive(
        "Spectrum, {detector}",
        "Expected counts in the Standard Model, of the whole exposure, in bins of reconstructed energy.",
        "N",
    ),
)


@dataclass(frozen=True, eq=False)
class TimeSpectrum(Record):
    """Standard Model counts per bin of the arrival time, over all energies; in ``result.json``."""

    detector: str
    edges_us: FloatArray
    cevns: FloatArray
    electron: FloatArray
    background: FloatArray
    """All backgrounds together."""
    backgrounds: Mapping[str, FloatArray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SignalSpectrum(Record):
    """Counts of the signal with couplings at values of one's choice, in all channels together; in ``result.json``."""

    detector: str
    axis: str
    """energy or time"""
    values: Mapping[str, float]
    """By coupling, in its plain unit; others as in the Standard Model."""
    counts: FloatArray


@dataclass(frozen=True, eq=False)
class DataSpectrum(Record):
    """Counts of an experiment projected on one axis, beside the components of the best fit.

    Raises `ResultError` for a component without a label, where labels are given.
    """

    detector: Detector
    axis: Annotated[str, Column("axis on which the counts are projected, with its unit", role="group", label="Axis")]
    """With its unit, such as ``energy_pe``."""
    edges: FloatArray
    observed: FloatArray
    components: Mapping[str, FloatArray]
    axis_label: str = ""
    """How figures call the axis; the words of its name unless given."""
    axis_unit: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    """How figures call the backgrounds, from the bottom up; their names unless given."""
    colours: Mapping[str, str] = field(default_factory=dict)
    """Of backgrounds that have one of their own."""
    measured: bool = True
    """Whether the counts were observed, or are an expectation in their place."""
    errors: tuple[FloatArray, FloatArray] | None = None
    """Below and above the counts; their roots unless given."""

    def __post_init__(self) -> None:
        """Fill in what the axis' name says."""
        super().__post_init__()
        words, unit = words_and_unit(self.axis)
        object.__setattr__(self, "axis_label", self.axis_label or AXIS_WORDS.get(self.axis, words))
        object.__setattr__(self, "axis_unit", self.axis_unit or unit)
        unknown = [name for name in self.components if name not in (*self.labels, "cevns", "electron")]
        if self.labels and unknown:
            raise ResultError(
                f"{self.detector}: nobody declared the component '{unknown[0]}'; declared are {', '.join(self.labels)}"
            )

    @property
    def error_bars(self) -> tuple[FloatArray, FloatArray]:
        """Below and above the counts."""
        return (np.sqrt(self.observed), np.sqrt(self.observed)) if self.errors is None else self.errors

    def block(self) -> Block:
        """One row per bin."""
        return {
            **super().block(),
            "bin_low": self.edges[:-1],
            "bin_high": self.edges[1:],
            "observed": self.observed,
            **self.components,
        }


_COMPONENTS = tuple(
    Column(meaning, COUNTS, name, absent=0.0)
    for name, meaning in (
        ("cevns", "coherent scattering at the best fit"),
        ("electron", "scattering on electrons at the best fit"),
        ("brn", "prompt neutrons of the beam"),
        ("nin", "neutrons that neutrinos make in the shielding"),
        ("delayed_brn", "delayed neutrons of the beam"),
        ("steady_state", "background without beam"),
    )
)


def _other_components(records: Sequence[Record]) -> tuple[Column, ...]:
    listed = {column.name for column in _COMPONENTS}
    names = dict.fromkeys(name for spectrum in of_kind(DataSpectrum, records) for name in spectrum.components)
    return tuple(Column(f"counts of {name}", COUNTS, name, absent=0.0) for name in names if name not in listed)


DATA_SPECTRA = Table(
    "data_spectra",
    "Counts beside the fit",
    "one bin of one axis: observed counts, and each component at the best fit (0 where a detector has it not)",
    (
        *columns_of(DataSpectrum),
        Column("lower edge of the bin", OF_AXIS, "bin_low", role="low", label="{axis}"),
        Column("upper edge of the bin", OF_AXIS, "bin_high", role="high"),
        Column("observed counts; with `observed: asimov` the expectation", COUNTS, "observed"),
        *_COMPONENTS,
        Further("<component>", "every other component, in the study's order", _other_components, COUNTS),
    ),
    Archive(
        "Counts, {detector}, {axis}",
        "Counts of the experiment beside the components of the Standard Model fit, projected on one axis.",
        "N",
    ),
)


@dataclass(frozen=True, eq=False)
class CrossSectionCurve(Record):
    """d(sigma)/dT of one formula unit at one neutrino energy and one value of a coupling."""

    target: Annotated[
        str, Column("element or compound; the cross section is that of one formula unit", role="group", label="Target")
    ]
    channel: Annotated[str, Column("cevns or electron", role="group", label="Channel")]
    energy_mev: Annotated[float, Column("energy of the neutrino", "MeV", role="group", label="Neutrino energy")]
    coupling: CouplingName
    value: Annotated[
        float,
        Column("value of the coupling; first the Standard Model's", OF_COUPLING, role="series", label="{coupling}"),
    ]
    recoil_kev: Annotated[FloatArray, Column("true recoil energy T", "keV", role="along", label="T")]
    dsigma_dt_cm2_per_kev: Annotated[FloatArray, Column("differential cross section", "cm2/keV", label="D(SIG)/DT")]
    standard_model: bool
    """Whether the value is the Standard Model's."""


CROSS_SECTIONS = Table(
    "cross_sections",
    "Cross sections",
    "one recoil energy of one curve of d(sigma)/dT",
    columns_of(CrossSectionCurve),
    Archive(
        "Cross section, {target}, {channel}, {energy_mev:g} MeV, {coupling}",
        "d(sigma)/dT of {channel} on one formula unit of {target} for neutrinos of {energy_mev:g} MeV.",
        "DSIG/DT",
    ),
)


@dataclass(frozen=True)
class Summary(Record):
    """The counts of one detector in sight: what comes in, what is expected, what was seen."""

    detector: Annotated[str, Column("detector or combination", role="along", label="Detector")]
    flux_per_cm2_s: Annotated[
        float | None, Column("neutrinos of all flavours, averaged over the live time", "1/(cm2 s)")
    ]
    cevns: Annotated[float, Column("coherent scattering in the Standard Model", COUNTS)]
    electron: Annotated[float, Column("scattering on electrons in the Standard Model", COUNTS)]
    background: Annotated[float, Column("all backgrounds together", COUNTS)]
    observed: Annotated[float | None, Column("observed counts; empty for a projection", COUNTS)]
    best_fit: Annotated[float | None, Column("strength of CEvNS at the best fit, 1 in the Standard Model")]
    significance: Annotated[float | None, Column("of CEvNS over none, one-sided", "sigma")]


SUMMARY = Table(
    "summary",
    "Counts",
    "one detector: its counts in the whole exposure",
    columns_of(Summary),
    Archive("Counts of every detector", "Counts in the whole exposure.", "N"),
    on_page=True,
)
