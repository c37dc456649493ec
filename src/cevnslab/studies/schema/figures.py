"""Figures and their panels: one class a kind of panel, which names its keys and checks them against the study."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, Discriminator, Field, Tag

from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import Coupling
from cevnslab.studies import references
from cevnslab.studies.schema.base import Channels, Model, Name, Positive, Text, require_known
from cevnslab.studies.schema.outputs import CrossSection, Profile

Pair = Annotated[list[str], Field(min_length=2, max_length=2)]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
CouplingValues = Annotated[dict[str, float], Field(min_length=1)]
Scale = Literal["linear", "log"]
Legend = Literal[
    "upper left", "upper center", "upper right", "center left", "center right", "lower left", "lower right"
]


@dataclass(frozen=True)
class Computed:
    """What a study computes, as far as its panels need to know."""

    projected: tuple[str, ...]
    """Detectors that are no data set."""
    data_axes: Mapping[str, tuple[str, ...]]
    """The axes of every data set, by the detector's name."""
    observed: tuple[str, ...]
    """Detectors with counts: data sets, and those that have them as a key."""
    fitted: tuple[str, ...]
    """Detectors and combinations whose pulls are kept."""
    combinations: tuple[str, ...]
    couplings: Mapping[str, Coupling]
    """Those that get limits."""
    timed: tuple[str, ...]
    """Projected detectors that bin the arrival time."""
    scanned: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    """By the name of a scan, the couplings and the detectors that it changes."""
    goals: tuple[str, ...]
    maps: tuple[str, ...]
    simulated: bool
    """Whether critical values are simulated (Feldman-Cousins)."""
    expected: bool
    """Whether expected limits are simulated (`bands`)."""
    profiles: tuple[Profile, ...]
    contours: tuple[tuple[str, str], ...]
    cross_sections: tuple[CrossSection, ...]

    @property
    def analysed(self) -> tuple[str, ...]:
        """Detectors and combinations."""
        return (*self.projected, *self.data_axes, *self.combinations)


class Panel(Model):
    """What every panel may have."""

    kind: ClassVar[str]
    """The key that makes it this kind of panel."""
    title: Text | None = Field(None, description="above the panel")

    def check(self, computed: Computed, path: str) -> None:
        """Raise `StudyError`, which names the key, where it shows what the study does not compute."""

    def words(self, detectors: Sequence[str]) -> str:
        """What it shows, in words, for those who do not see it; `detectors` are all of the study."""
        raise NotImplementedError


class PanelWithLegend(Panel):
    """What a panel with a legend may have besides."""

    legend: Legend | None = Field(None, description="where the legend stands")

    def _check_legend(self, path: str, entries: Sequence[str]) -> None:
        """Raise `StudyError` for the place of a legend that a panel with one entry does not have."""
        if self.legend is not None and len(entries) < 2:
            raise StudyError(f"{path}.legend: a panel with one line or region has none; remove it")


class ProfilePanel(PanelWithLegend):
    """Curves of delta chi^2, a line per coupling and detector."""

    kind = "profile"
    profile: Annotated[list[str], Field(min_length=1)] = Field(description="couplings that have `profiles`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    range: Range | None = Field(None, description="of the coupling, in its unit; all that was computed unless given")
    maximum: Positive | None = Field(None, description="of the vertical axis")

    def check(self, computed: Computed, path: str) -> None:
        """Every coupling and detector needs a profile, inside the range."""
        require_known(f"{path}.detectors", self.detectors or [], computed.analysed, "detector of this study")
        couplings = [curve.coupling for curve in computed.profiles]
        require_known(f"{path}.profile", self.profile, couplings, "coupling under `profiles`")
        _require_rising(f"{path}.range", self.range)
        low, high = self.range or (-math.inf, math.inf)
        drawn = []
        for coupling in self.profile:
            for detector in self.detectors or computed.analysed:
                curves = [
                    curve
                    for curve in computed.profiles
                    if curve.coupling == coupling and detector in (curve.detectors or computed.analysed)
                ]
                if self.detectors and not curves:
                    raise StudyError(f"{path}.detectors: {detector} has no profile of {coupling} under `profiles`")
                if curves and not any(curve.from_ < high and curve.to > low for curve in curves):
                    raise StudyError(f"{path}.range: no profile of {coupling} for {detector} reaches into it")
                drawn += [detector] if curves else []
        self._check_legend(path, drawn)

    def words(self, detectors: Sequence[str]) -> str:
        """Couplings and detectors."""
        return f"Delta chi squared against {' and '.join(self.profile)}: {', '.join(self.detectors or detectors)}"


class ContourPanel(PanelWithLegend):
    """Regions of two couplings, one per detector."""

    kind = "contour"
    contour: Pair = Field(description="a pair of couplings under `contours`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    range: Range | None = Field(None, description="of the first coupling, in its unit; all unless given")
    reference: Name | None = Field(None, description="a stored result that is drawn dashed, such as coherent-csi-lar")

    def check(self, computed: Computed, path: str) -> None:
        """The pair is one of the study's, the reference a stored one."""
        require_known(f"{path}.detectors", self.detectors or [], computed.analysed, "detector of this study")
        if tuple(self.contour) not in computed.contours:
            raise StudyError(f"{path}.contour: [{', '.join(self.contour)}] is not among the study's contours")
        _require_rising(f"{path}.range", self.range)
        if self.reference is not None:
            with located(f"{path}.reference"):
                references.reference_contour(self.reference, self.contour)
        self._check_legend(
            path, [*(self.detectors or computed.analysed), *([self.reference] if self.reference else [])]
        )

    def words(self, detectors: Sequence[str]) -> str:
        """Couplings, detectors, and what is drawn beside them."""
        beside = f", beside {self.reference}" if self.reference else ""
        return f"Regions of {' and '.join(self.contour)}: {', '.join(self.detectors or detectors)}{beside}"


class CrossSectionPanel(PanelWithLegend):
    """d(sigma)/dT at one energy, for the Standard Model and values of a coupling."""

    kind = "cross_section"
    cross_section: str = Field(description="a target under `cross_sections`")
    energy_mev: Positive = Field(description="the neutrino's, as under `cross_sections`")
    channels: Channels = Field(default=["cevns"], description="nuclei, electrons or both")
    values: list[float] | None = Field(None, description="of the coupling, in its unit; all unless given")

    def check(self, computed: Computed, path: str) -> None:
        """Target, energy, channels and values are among the study's."""
        curves = [
            curve
            for curve in computed.cross_sections
            if (curve.target, curve.energy_mev) == (self.cross_section, self.energy_mev)
        ]
        for channel in self.channels:
            if channel not in {curve.channel for curve in curves}:
                raise StudyError(
                    f"{path}.cross_section: {self.cross_section} at energy_mev {self.energy_mev:g} in the channel "
                    f"{channel} is not among the study's cross_sections"
                )
        values = {value for curve in curves for value in curve.values}
        for value in self.values or []:
            if value not in values:
                known = ", ".join(f"{each:g}" for each in sorted(values))
                raise StudyError(f"{path}.values: {value:g} is not among the computed ones ({known})")

    def words(self, detectors: Sequence[str]) -> str:
        """Target, energy and channels."""
        channels = " and ".join(self.channels)
        return f"Cross section on {self.cross_section} at {self.energy_mev:g} MeV: {channels}"


class SpectrumPanel(PanelWithLegend):
    """Counts of a projected detector, bin by bin: the Standard Model on the backgrounds, and new physics as lines."""

    kind = "spectrum"
    spectrum: str = Field(description="a projected detector")
    axis: Literal["energy", "time"] = Field("energy", description="energy, or arrival time where the detector bins it")
    values: Annotated[list[CouplingValues], Field(min_length=1, max_length=6)] | None = Field(
        None, description="a line each: values of couplings in their units, such as {q_ee: 3e-9}"
    )
    scale: Scale = Field("linear", description="of the vertical axis")
    below: Literal["ratio", "s-over-sqrt-b"] | None = Field(
        None,
        description="a strip below: counts over the Standard Model's, or signal over the root of the background",
    )

    def check(self, computed: Computed, path: str) -> None:
        """The detector is a projected one of the study, its axis there, the couplings known."""
        require_known(f"{path}.spectrum", [self.spectrum], computed.projected, "projected detector of this study")
        if self.axis == "time" and self.spectrum not in computed.timed:
            raise StudyError(f"{path}.axis: {self.spectrum} has no time_bin_edges_us")
        for number, values in enumerate(self.values or [], start=1):
            require_known(f"{path}.values.{number}", list(values), computed.couplings, "coupling of this study")
            for name, value in values.items():
                with located(f"{path}.values.{number}"):
                    computed.couplings[name].check(value)
        if self.below == "ratio" and not self.values:
            raise StudyError(f"{path}.below: a ratio to the Standard Model needs `values` of couplings")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector, axis and new physics."""
        along = "arrival time" if self.axis == "time" else "energy"
        beside = [", ".join(f"{name} = {value:g}" for name, value in values.items()) for values in self.values or []]
        return f"Expected counts of {self.spectrum} against {along}" + "".join(f", with {text}" for text in beside)


class DataPanel(PanelWithLegend):
    """Observed counts along one axis, on top of the components of the best fit."""

    kind = "data"
    data: str = Field(description="a data set among the detectors, or a detector with `observed` counts")
    axis: str = Field(description="one that it bins, such as energy_pe, recoil_energy_kev or time_us")
    scale: Scale = Field("linear", description="of the vertical axis")
    below: Literal["pulls"] | None = Field(None, description="a strip below: (observed - fitted)/error of every bin")

    def check(self, computed: Computed, path: str) -> None:
        """It has observed counts, and the axis; those of a detector are known once its response is."""
        require_known(f"{path}.data", [self.data], computed.observed, "detector of this study with observed counts")
        if self.data in computed.data_axes:
            require_known(f"{path}.axis", [self.axis], computed.data_axes[self.data], f"axis of {self.data}")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and axis."""
        return f"Counts of {self.data} against {self.axis}"


class LimitsPanel(Panel):
    """Intervals of one coupling, a bar per detector."""

    kind = "limits"
    limits: str = Field(description="a coupling of the study")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    numbers: bool = Field(False, description="whether every interval stands beside its bar in numbers")

    def check(self, computed: Computed, path: str) -> None:
        """Coupling and detectors are the study's."""
        require_known(f"{path}.limits", [self.limits], computed.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], computed.analysed, "detector of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Intervals of {self.limits}, a bar per detector: {', '.join(self.detectors or detectors)}"


class ScanPanel(PanelWithLegend):
    """Ends of one coupling's intervals against the key of a scan, with the bands of expected ones."""

    kind = "scan"
    scan: str = Field(description="one under `scans`")
    coupling: str = Field(description="of the study")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")

    def check(self, computed: Computed, path: str) -> None:
        """Scan, coupling and detectors are the study's."""
        require_known(f"{path}.scan", [self.scan], computed.scanned, "scan of this study")
        require_known(f"{path}.coupling", [self.coupling], computed.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], computed.analysed, "detector of this study")
        couplings, detectors = computed.scanned[self.scan]
        require_known(f"{path}.coupling", [self.coupling], couplings, f"coupling that the scan {self.scan} changes")
        require_known(
            f"{path}.detectors", self.detectors or [], detectors, f"detector that the scan {self.scan} changes"
        )

    def words(self, detectors: Sequence[str]) -> str:
        """Scan and coupling."""
        return f"Limits on {self.coupling} in the scan {self.scan}"


class GoalPanel(PanelWithLegend):
    """The quantity of a goal along the key that is searched, with the goal and the answers."""

    kind = "goal"
    goal: str = Field(description="one under `design`")

    def check(self, computed: Computed, path: str) -> None:
        """The goal is the study's."""
        require_known(f"{path}.goal", [self.goal], computed.goals, "goal of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """The goal."""
        return f"The goal {self.goal}: what is reached along its key, and the values that meet it"


class MapPanel(Panel):
    """Lines of equal limits in the plane of two keys."""

    kind = "map"
    map: str = Field(description="one under `maps`")
    end: Literal["upper", "lower"] = Field("upper", description="which outer end of the interval")

    def check(self, computed: Computed, path: str) -> None:
        """The map is the study's."""
        require_known(f"{path}.map", [self.map], computed.maps, "map of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """Map and end."""
        return f"Lines of equal {self.end} limits in the map {self.map}"


class BandsPanel(PanelWithLegend):
    """Expected ends of one coupling's interval with bands of 68 % and 95 %, the interval beside them."""

    kind = "bands"
    bands: str = Field(description="a coupling of the study, with `bands`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")

    def check(self, computed: Computed, path: str) -> None:
        """Coupling and detectors are the study's, and bands are simulated."""
        require_known(f"{path}.bands", [self.bands], computed.couplings, "coupling of this study")
        require_known(f"{path}.detectors", self.detectors or [], computed.analysed, "detector of this study")
        if not computed.expected:
            raise StudyError(f"{path}: expected limits are simulated with the study's key `bands` only")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Expected limits on {self.bands} with their bands: {', '.join(self.detectors or detectors)}"


class PullsPanel(PanelWithLegend):
    """Nuisance parameters at the joint best fit of a coupling: pulls, and impacts on the coupling."""

    kind = "pulls"
    pulls: str = Field(description="a detector or combination whose fit is kept")
    coupling: str = Field(description="of the study")

    def check(self, computed: Computed, path: str) -> None:
        """Detector and coupling are the study's."""
        require_known(f"{path}.pulls", [self.pulls], computed.analysed, "detector of this study")
        if self.pulls not in computed.fitted:
            raise StudyError(f"{path}.pulls: {self.pulls} is a projection: its pulls need the study's key pulls")
        require_known(f"{path}.coupling", [self.coupling], computed.couplings, "coupling of this study")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and coupling."""
        return f"Pulls of {self.pulls} and their impacts on {self.coupling}"


class CriticalValuesPanel(PanelWithLegend):
    """Simulated critical values along one coupling, against Wilks' value."""

    kind = "critical_values"
    critical_values: str = Field(description="a coupling of the study, with Feldman-Cousins")

    def check(self, computed: Computed, path: str) -> None:
        """They are simulated for this coupling."""
        require_known(f"{path}.critical_values", [self.critical_values], computed.couplings, "coupling of this study")
        _require_simulated(computed, f"{path}.critical_values")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Critical values of delta chi squared along {self.critical_values}"


class CriticalMapPanel(Panel):
    """Simulated critical values in the plane of two couplings, and the region that they give."""

    kind = "critical_map"
    critical_map: str = Field(description="a detector or combination, with Feldman-Cousins")
    couplings: Pair = Field(description="a pair under `contours`")

    def check(self, computed: Computed, path: str) -> None:
        """They are simulated for this pair."""
        require_known(f"{path}.critical_map", [self.critical_map], computed.analysed, "detector of this study")
        _require_simulated(computed, f"{path}.critical_map")
        if tuple(self.couplings) not in computed.contours:
            raise StudyError(f"{path}.couplings: [{', '.join(self.couplings)}] is not among the study's contours")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and couplings."""
        return f"Critical values of {self.critical_map} in the plane of {' and '.join(self.couplings)}"


def _require_simulated(computed: Computed, path: str) -> None:
    if not computed.simulated:
        raise StudyError(f"{path}: critical values are simulated with `method: feldman-cousins` under `intervals` only")


PANELS: tuple[type[Panel], ...] = (
    ProfilePanel,
    ContourPanel,
    CrossSectionPanel,
    SpectrumPanel,
    DataPanel,
    LimitsPanel,
    ScanPanel,
    GoalPanel,
    MapPanel,
    BandsPanel,
    PullsPanel,
    CriticalValuesPanel,
    CriticalMapPanel,
)
"""The kinds of panel that a study file may list; `cevnslab.figures.panels` draws each."""


def panel_kind(value: Any) -> type[Panel] | None:
    """The kind of panel that a mapping's keys mean: the one of which it has the key; None for none or several."""
    if isinstance(value, BaseModel):
        return next((kind for kind in PANELS if isinstance(value, kind)), None)
    keys = {key for key, content in value.items() if content is not None} if isinstance(value, dict) else set()
    kinds = [kind for kind in PANELS if kind.kind in keys]
    return kinds[0] if len(kinds) == 1 else None


def _tag(value: Any) -> str | None:
    kind = panel_kind(value)
    return None if kind is None else f"<{kind.kind}>"


KINDS = ", ".join(kind.kind for kind in PANELS)

if TYPE_CHECKING:
    AnyPanel = Panel
else:
    AnyPanel = Annotated[
        Union[tuple(Annotated[kind, Tag(f"<{kind.kind}>")] for kind in PANELS)],  # noqa: UP007  (a union of many)
        Discriminator(_tag, custom_error_type="panel_kind", custom_error_message=f"exactly one of {KINDS} is needed"),
    ]


class Figure(Model):
    """A figure of the study: its file name, and its panels row by row."""

    name: Name = Field(description="of its files; unique among figures")
    panels: Annotated[list[AnyPanel], Field(min_length=1, max_length=12)] = Field(
        description=f"row by row; a panel has exactly one of {KINDS}"
    )
    columns: Annotated[int, Field(ge=1, le=4)] | None = Field(None, description="all panels in one row unless given")

    def check(self, computed: Computed) -> None:
        """Raise `StudyError` for the first panel that shows what the study does not compute."""
        for number, panel in enumerate(self.panels, start=1):
            panel.check(computed, f"figures.{self.name}.panels.{number}")


def _require_rising(path: str, ends: list[float] | None) -> None:
    if ends and ends[0] >= ends[1]:
        raise StudyError(f"{path}: must rise, got {ends[0]:g} and {ends[1]:g}")
