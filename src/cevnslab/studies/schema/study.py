"""The study."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cevnslab.studies.schema.base import Channels, FilePath, Model, Name, Positive, Text, Years
from cevnslab.studies.schema.couplings import CouplingName
from cevnslab.studies.schema.datasets import DetectorOrDataset
from cevnslab.studies.schema.figures import Figure
from cevnslab.studies.schema.outputs import Combination, CrossSection, Profile, Scan
from cevnslab.studies.schema.planning import DesignQuestion, LimitMap
from cevnslab.studies.schema.sources import SourceOrPreset
from cevnslab.studies.schema.statistics import Bands, Intervals, Statistic, Uncertainties
from cevnslab.studies.schema.systematics import Prior, Systematic


class StudyFile(Model):
    """The whole file."""

    # Built when a study is first read, as the figures are.
    model_config = ConfigDict(defer_build=True)

    name: Name = Field(description="safe as a file name")
    title: Text | None = Field(None, description="one line of words, for tables and figures")
    source: SourceOrPreset | None = Field(
        None, description="a preset, or a mapping with `type`; required by every detector that has none of its own"
    )
    exposure_years: Years | None = Field(
        None,
        description="calendar years; this or exposure_hours is required by every detector that has none of its own, "
        "but not at a source of one burst",
    )
    exposure_hours: Positive | None = Field(
        None, description="live hours of the source, in the place of exposure_years"
    )
    channels: Channels = Field(
        default=["cevns"],
        description="nuclei, electrons; of every detector that has none of its own; "
        "electron needs electron_quenching or quenching",
    )
    couplings: list[CouplingName] = Field(
        description="couplings that get limits, one at a time; none for counts alone; `cevnslab presets` lists them"
    )
    profile: list[str] = Field(default=[], description="couplings minimised over instead of held at zero")
    plugins: list[FilePath] = Field(default=[], description="Python files that declare couplings; they are run")
    uncertainties: Uncertainties | None = Field(
        None, description="of every detector that has none of its own; required otherwise"
    )
    systematics: list[Systematic] = Field(
        default=[], description="nuisance parameters that detectors share, on top of their uncertainties"
    )
    priors: dict[str, Prior] = Field(default={}, description="Gaussian constraints on couplings, by name")
    pulls: bool = Field(
        False, description="pulls and impacts of every nuisance parameter for projections too; data always have them"
    )
    statistic: Statistic | None = Field(
        None,
        description="of every detector that has none of its own; unless given, gaussian where counts come with errors, "
        "poisson where they come without, least-squares for a projection",
    )
    intervals: Intervals = Field(
        default_factory=lambda: Intervals.model_validate({}), description="confidence level and method"
    )
    bands: Bands | None = Field(
        None, description="expected limits with bands of 68 % and 95 %, of every limit and every scanned value"
    )
    detectors: Annotated[list[DetectorOrDataset], Field(min_length=1)] = Field(
        description="presets, presets with keys changed, or detectors of your own; names must differ"
    )
    contours: list[Annotated[list[str], Field(min_length=2, max_length=2)]] = Field(
        default=[], description="pairs of couplings whose regions are drawn"
    )
    profiles: list[Profile] = Field(default=[], description="curves of delta chi^2")
    cross_sections: list[CrossSection] = Field(default=[], description="curves of the differential cross section")
    combinations: list[Combination] = Field(default=[], description="detectors analysed together")
    scans: list[Scan] = Field(default=[], description="limits as one key varies")
    design: list[DesignQuestion] = Field(
        default=[], description="goals: at which values of a key a limit or a significance is reached"
    )
    maps: list[LimitMap] = Field(default=[], description="limits over two keys")
    figures: list[Figure] | None = Field(None, description="chosen from what the study computes unless given")
    form_factor: Literal["helm", "klein-nystrand", "symmetrised-fermi"] = Field(
        "helm", description="of the nuclei, for protons and neutrons alike"
    )
    nuclei: Literal["standard-weight", "isotopes"] = Field(
        "standard-weight", description="one nucleus of the standard weight per element, or the natural isotopes"
    )
    radiative_corrections: bool = Field(
        False, description="g_p and g_n of arXiv:1303.5522, by flavour, in the place of tree level"
    )

    @property
    def coupling_names(self) -> list[str]:
        """The couplings as files name them."""
        return [
            coupling if isinstance(coupling, str) else coupling.label or coupling.name for coupling in self.couplings
        ]

    def scanned_couplings(self, key: str) -> list[str]:
        """The couplings whose limits a key can change: a mediator's key its own alone, unless it is minimised over."""
        names = self.coupling_names
        named = [name for name in names if key.startswith(f"couplings.{name}.") and name not in self.profile]
        return named or names

    def scanned_detectors(self, key: str) -> list[str]:
        """The detectors and combinations whose limits a key can change: a detector's key its own."""
        names = [spec.name for spec in self.detectors]
        # One name may begin another: the longest is meant.
        named = sorted((name for name in names if key.startswith(f"detectors.{name}.")), key=len)[-1:]
        affected = named or names
        return [*affected, *(each.name for each in self.combinations if set(affected) & set(each.detectors))]
