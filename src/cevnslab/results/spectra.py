"""Counts per bin, expected and observed, and cross sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from cevnslab.results.description import OF_COUPLING, Block, Column, FloatArray, Further, Record, Table, columns_of
from cevnslab.results.limits import CouplingName, Detector

COUNTS = "counts"


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
        light = _LIGHT if self.bin_edges_kevee is not None else ()
        edges = self.bin_edges_kevee if self.bin_edges_kevee is not None else np.zeros(0)
        return {
            "detector": self.detector,
            "bin": np.arange(len(self.background)),
            "bin_low_kev": _known(self.bin_edges_kev[:-1]),
            "bin_high_kev": _known(self.bin_edges_kev[1:]),
            "cevns": self.cevns,
            "electron": self.electron,
            "background": self.background,
            **self.backgrounds,
            **{column.name: ends for column, ends in zip(light, (edges[:-1], edges[1:]), strict=False)},
        }


def _known(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values.tolist())


_LIGHT = (
    Column("lower edge of the bin, reconstructed light", "keVee", "bin_low_kevee"),
    Column("upper edge of the bin", "keVee", "bin_high_kevee"),
)


def _light(spectra: Sequence[Spectrum]) -> tuple[Column, ...]:
    return _LIGHT if any(spectrum.bin_edges_kevee is not None for spectrum in spectra) else ()


def _named_backgrounds(spectra: Sequence[Spectrum]) -> tuple[Column, ...]:
    names = dict.fromkeys(name for spectrum in spectra for name in spectrum.backgrounds)
    return tuple(Column(f"counts of {name}", COUNTS, name, absent=0.0) for name in names)


SPECTRA = Table(
    "spectra",
    "Spectra",
    "one bin of a projected detector's energy: counts expected in the Standard Model in the whole exposure",
    (
        *columns_of(Spectrum),
        Column("number of the bin, from 0", name="bin"),
        Column(
            "lower edge of the bin, reconstructed recoil energy; empty where light has no single one",
            "keV",
            "bin_low_kev",
        ),
        Column("upper edge of the bin", "keV", "bin_high_kev"),
        Column("coherent scattering on nuclei", COUNTS, "cevns"),
        Column("scattering on electrons; 0 unless the study counts them", COUNTS, "electron"),
        Column("all backgrounds together", COUNTS, "background"),
        Further("<background>", "each background that the study names", _named_backgrounds, COUNTS),
        Further(
            "bin_low_kevee, bin_high_kevee", "edges of the bin where a detector's bins are of light", _light, "keVee"
        ),
    ),
)


@dataclass(frozen=True, eq=False)
class DataSpectrum(Record):
    """Counts of an experiment projected on one axis, beside the components of the best fit."""

    detector: Detector
    axis: Annotated[str, Column("axis on which the counts are projected, with its unit")]
    """With its unit, such as ``energy_pe``."""
    edges: FloatArray
    observed: FloatArray
    components: Mapping[str, FloatArray]

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


def _other_components(spectra: Sequence[DataSpectrum]) -> tuple[Column, ...]:
    listed = {column.name for column in _COMPONENTS}
    names = dict.fromkeys(name for spectrum in spectra for name in spectrum.components)
    return tuple(Column(f"counts of {name}", COUNTS, name, absent=0.0) for name in names if name not in listed)


DATA_SPECTRA = Table(
    "data_spectra",
    "Counts beside the fit",
    "one bin of one axis: observed counts, and each component at the best fit (0 where a detector has it not)",
    (
        *columns_of(DataSpectrum),
        Column("lower edge of the bin", "of the axis", "bin_low"),
        Column("upper edge of the bin", "of the axis", "bin_high"),
        Column("observed counts; with `observed: asimov` the expectation", COUNTS, "observed"),
        *_COMPONENTS,
        Further("<component>", "every other component, in the study's order", _other_components, COUNTS),
    ),
)


@dataclass(frozen=True, eq=False)
class CrossSectionCurve(Record):
    """d(sigma)/dT of one formula unit at one neutrino energy and one value of a coupling."""

    target: Annotated[str, Column("element or compound; the cross section is that of one formula unit")]
    channel: Annotated[str, Column("cevns or electron")]
    energy_mev: Annotated[float, Column("energy of the neutrino", "MeV")]
    coupling: CouplingName
    value: Annotated[float, Column("value of the coupling; the Standard Model's comes first", OF_COUPLING)]
    recoil_kev: Annotated[FloatArray, Column("true recoil energy T", "keV")]
    dsigma_dt_cm2_per_kev: Annotated[FloatArray, Column("differential cross section", "cm2/keV")]
    standard_model: bool
    """Whether the value is the Standard Model's."""


CROSS_SECTIONS = Table(
    "cross_sections", "Cross sections", "one recoil energy of one curve of d(sigma)/dT", columns_of(CrossSectionCurve)
)


@dataclass(frozen=True)
class Summary(Record):
    """The counts of one detector in sight: what comes in, what is expected, what was seen."""

    detector: Detector
    flux_per_cm2_s: Annotated[float | None, Column("neutrinos of all flavours while the source shines", "1/(cm2 s)")]
    cevns: Annotated[float, Column("coherent scattering in the Standard Model", COUNTS)]
    electron: Annotated[float, Column("scattering on electrons in the Standard Model", COUNTS)]
    background: Annotated[float, Column("all backgrounds together", COUNTS)]
    observed: Annotated[float | None, Column("observed counts; empty for a projection", COUNTS)]
    best_fit: Annotated[float | None, Column("strength of CEvNS at the best fit, 1 in the Standard Model")]
    significance: Annotated[float | None, Column("of CEvNS over none, one-sided", "sigma")]


SUMMARY = Table("summary", "Counts", "one detector: its counts in the whole exposure", columns_of(Summary))
