"""Which figures a study has, and the drawing of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.errors import StudyError
from cevnslab.figures import style
from cevnslab.figures.layout import Sheet
from cevnslab.figures.panels import (
    BandsPanel,
    ContourPanel,
    CriticalMapPanel,
    CriticalValuesPanel,
    CrossSectionPanel,
    DataPanel,
    DrawnPanel,
    GoalPanel,
    LimitsPanel,
    MapPanel,
    ProfilePanel,
    PullsPanel,
    ScanPanel,
    SpectrumPanel,
)
from cevnslab.results import Result
from cevnslab.results.plain import entries_of
from cevnslab.studies import schema
from cevnslab.studies.validation import validated
from cevnslab.words import excerpt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 3
"""Of a figure that the study does not lay out."""


@dataclass(frozen=True)
class FigureSpec:
    """A figure: the name of its files, and its panels row by row."""

    name: str
    panels: tuple[DrawnPanel, ...]
    columns: int

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> FigureSpec:
        """A figure as a study file describes it under `figures`; `StudyError` for what it cannot be."""
        figure = validated(schema.Figure, content)
        panels = tuple(panel for panel in figure.panels if isinstance(panel, DrawnPanel))
        return cls(figure.name, panels, figure.columns or len(panels))


def _check_result(result: Result) -> None:
    if not isinstance(result, Result):
        raise StudyError(f"result: must be a result, of a study's run or cevnslab.load_result, got {excerpt(result)}")


def figure_specs(result: Result) -> list[FigureSpec]:
    """The figures of a result: those that its study lists, or one of each kind that it computed."""
    _check_result(result)
    listed = result.study.get("figures")
    specs = (
        _one_of_each_kind(result) if listed is None else [FigureSpec.read(content) for content in entries_of(listed)]
    )
    listed_kinds = {panel.kind for spec in specs for panel in spec.panels}
    return specs + [spec for spec in _always(result) if not {panel.kind for panel in spec.panels} & listed_kinds]


def _panel(kind: type[DrawnPanel], **keys: Any) -> DrawnPanel:
    return kind.model_validate(keys)


def _spec(name: str, panels: Sequence[DrawnPanel]) -> FigureSpec:
    return FigureSpec(name, tuple(panels), min(MOST_COLUMNS, len(panels)))


def _always(result: Result) -> list[FigureSpec]:
    """Drawn unless the study lists panels of this kind: critical values, pulls, expected limits, scans, goals, maps."""
    simulated = dict.fromkeys(c.coupling for c in result.critical_values)
    kinds: dict[str, list[DrawnPanel]] = {
        "critical-values": [_panel(CriticalValuesPanel, critical_values=name) for name in simulated],
        "critical-maps": [
            _panel(CriticalMapPanel, critical_map=m.detector, couplings=[m.coupling_x, m.coupling_y])
            for m in result.critical_maps
        ],
    }
    for detector in dict.fromkeys(p.detector for p in result.pulls):
        fitted = dict.fromkeys(p.coupling for p in result.pulls if p.detector == detector)
        kinds[f"pulls-{detector}"] = [_panel(PullsPanel, pulls=detector, coupling=name) for name in fitted]
    expected = dict.fromkeys(band.coupling for band in result.bands)
    kinds["bands"] = [_panel(BandsPanel, bands=name) for name in expected]
    for name in dict.fromkeys(point.scan for point in result.scans):
        scanned = dict.fromkeys(point.limit.coupling for point in result.scans if point.scan == name)
        kinds[f"scan-{name}"] = [_panel(ScanPanel, scan=name, coupling=coupling) for coupling in scanned]
    for curve in result.goal_curves:
        kinds[f"goal-{curve.name}"] = [_panel(GoalPanel, goal=curve.name)]
    for plane in result.maps:
        kinds[f"map-{plane.map}"] = [_panel(MapPanel, map=plane.map, end=end) for end in ("upper", "lower")]
    return [_spec(name, panels) for name, panels in kinds.items() if panels]


def _one_of_each_kind(result: Result) -> list[FigureSpec]:
    limited = dict.fromkeys(limit.coupling for limit in result.limits)
    profiled = dict.fromkeys(p.coupling for p in result.profiles)
    pairs = dict.fromkeys((c.coupling_x, c.coupling_y) for c in result.contours)
    curves = dict.fromkeys((c.target, c.energy_mev, c.channel) for c in result.cross_sections)
    kinds: dict[str, list[DrawnPanel]] = {
        "spectra": [_panel(SpectrumPanel, spectrum=s.detector) for s in result.spectra],
        "arrival-times": [_panel(SpectrumPanel, spectrum=s.detector, axis="time") for s in result.time_spectra],
        "data": [_panel(DataPanel, data=s.detector, axis=s.axis) for s in result.data_spectra],
        "limits": [_panel(LimitsPanel, limits=name) for name in limited],
        "profiles": [_panel(ProfilePanel, profile=[name]) for name in profiled],
        "contours": [_panel(ContourPanel, contour=list(pair)) for pair in pairs],
        "cross-sections": [
            _panel(CrossSectionPanel, cross_section=target, energy_mev=energy, channels=[channel])
            for target, energy, channel in curves
        ],
    }
    return [_spec(name, panels) for name, panels in kinds.items() if panels]


def sheet(result: Result, spec: FigureSpec, explained: set[tuple[str, ...]] | None = None) -> Sheet:
    """One figure of a result, laid out, in matplotlib's current settings.

    `explained` holds the labels of legends that stand elsewhere: they are not repeated, and this sheet's are added.
    """
    drawing = Sheet(len(spec.panels), spec.columns, explained)
    for cell, panel in zip(drawing.cells, spec.panels, strict=True):
        for detector in getattr(panel, "detectors", None) or ():
            if detector not in result.detectors:  # else the others would be drawn without a word of it
                raise KeyError(detector)
        panel.draw(cell, result)
    drawing.finish()
    return drawing


def draw(result: Result, spec: FigureSpec | Mapping[str, Any], *, style_file: str | Path | None = None) -> Figure:
    """One figure of a result, as the command draws it; the caller saves it.

    `spec` is one of `figure_specs`, or keys as a study file has them under `figures`; `style_file` a matplotlib style
    file on top of the package's style. Raises `InputFileError` for a bad style file, `StudyError` for wrong keys.
    """
    import matplotlib

    _check_result(result)
    if not isinstance(spec, FigureSpec | Mapping):
        raise StudyError(f"spec: must be one of figure_specs, or keys and values, got {excerpt(spec)}")
    figure = spec if isinstance(spec, FigureSpec) else FigureSpec.read({"name": "figure", **spec})
    with style.styled(style.settings(style_file)):
        try:
            drawing = sheet(result, figure).figure
        except (KeyError, StopIteration, ValueError) as fault:  # keys that no study's rules have looked at
            missing = f" ({excerpt(fault.args[0])})" if isinstance(fault, KeyError) else ""
            raise StudyError(
                f"spec: the result does not hold what these panels show{missing}; what it can show is in "
                "cevnslab.figure_specs(result)"
            ) from fault
        drawing.set_dpi(matplotlib.rcParams["figure.dpi"])
    return drawing
