"""Which figures a study has, and the drawing of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cevnslab.figures import panels, style
from cevnslab.results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def figure_specs(result: Result) -> list[Mapping[str, Any]]:
    """The figures of a result: those that its study lists, or one of each kind that it computed.

    Each is a mapping with `name`, `panels` and perhaps `columns`, as under `figures` in a study file.
    """
    listed = result.study.get("figures")
    specs = list(listed) if listed is not None else _one_of_each_kind(result)
    critical = dict.fromkeys(c.coupling for c in result.critical_values)
    if critical:
        specs.append(_figure("critical-values", [{"critical_values": name} for name in critical]))
    if result.critical_maps:
        maps = [(m.detector, m.coupling_x, m.coupling_y) for m in result.critical_maps]
        specs.append(_figure("critical-maps", [{"critical_map": key} for key in maps]))
    for name in dict.fromkeys(point.scan for point in result.scans):
        scanned = dict.fromkeys(point.limit.coupling for point in result.scans if point.scan == name)
        specs.append(_figure(f"scan-{name}", [{"scan": (name, coupling)} for coupling in scanned]))
    return specs


def _figure(name: str, panels_of: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    return {"name": name, "panels": panels_of, "columns": min(3, len(panels_of))}


def _one_of_each_kind(result: Result) -> list[Mapping[str, Any]]:
    profiled = dict.fromkeys(p.coupling for p in result.profiles)
    pairs = dict.fromkeys((c.coupling_x, c.coupling_y) for c in result.contours)
    curves = dict.fromkeys((c.target, c.energy_mev, c.channel) for c in result.cross_sections)
    kinds: dict[str, list[Mapping[str, Any]]] = {
        "spectra": [{"spectrum": s.detector} for s in result.spectra],
        "data": [{"data": s.detector, "axis": s.axis} for s in result.data_spectra],
        "limits": [{"limits": name} for name in dict.fromkeys(x.coupling for x in result.limits)],
        "profiles": [{"profile": [name]} for name in profiled],
        "contours": [{"contour": pair} for pair in pairs],
        "cross-sections": [
            {"cross_section": of, "energy_mev": energy, "channels": [channel]} for of, energy, channel in curves
        ],
    }
    return [_figure(name, drawn) for name, drawn in kinds.items() if drawn]


def draw(result: Result, spec: Mapping[str, Any]) -> Figure:
    """One figure of a result; the caller saves it. Settings come from matplotlib's current rcParams."""
    figure, grid = style.panel_grid(len(spec["panels"]), spec.get("columns") or len(spec["panels"]))
    for axes, panel in zip(grid, spec["panels"], strict=False):
        kind = next(kind for kind in panels.PANELS if panel.get(kind) is not None)
        panels.PANELS[kind](axes, result, panel)
        style.finish(axes)
    return figure
