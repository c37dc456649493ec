"""The kinds of panel, each drawing saved results onto one set of axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cevnslab.datasets.description import DataAxis
from cevnslab.datasets.registry import dataset
from cevnslab.figures import style
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.results import CROSSINGS, CouplingInfo, CrossSectionCurve, DataSpectrum, Result, natural_exponent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Spec = Mapping[str, Any]
"""A panel as the study file describes it."""


def axis_scale(info: CouplingInfo, largest: float) -> tuple[float, str]:
    """Factor from plain units to the axis, and the axis label."""
    exponent = style.power_of_ten(largest, natural_exponent(info.scale))
    unit = style.unit_text(info.unit, exponent)
    label = f"${info.symbol}$" + (f" ({unit})" if unit else "")
    return 10.0**-exponent, label


def _legend(axes: Axes, place: str, size: float = 9) -> None:
    """A legend, unless an earlier panel of the figure has the same one."""
    labels = axes.get_legend_handles_labels()[1]
    for other in axes.figure.axes:
        if other is not axes and other.get_legend_handles_labels()[1] == labels and other.get_legend() is not None:
            return
    options: Any = {"loc": place, "fontsize": size}
    axes.legend(**options)


def _detector_styles(result: Result) -> dict[str, tuple[str, Any]]:
    """Colour and line style of every detector, the same in all figures of a study."""
    return {
        name: (
            style.DETECTOR_COLOURS[number % len(style.DETECTOR_COLOURS)],
            style.LINE_STYLES[number % len(style.LINE_STYLES)],
        )
        for number, name in enumerate(result.detectors)
    }


def profile(axes: Axes, result: Result, spec: Spec) -> None:
    """Delta chi^2 of one or more couplings, a line per detector, and the level of the study's confidence."""
    couplings, detectors = spec["profile"], spec.get("detectors") or list(result.detectors)
    low, high = spec.get("range") or (-np.inf, np.inf)
    curves = [p for p in result.profiles if p.coupling in couplings and p.detector in detectors]
    shown = [(p, (p.value >= low) & (p.value <= high)) for p in curves]
    shown = [(p, inside) for p, inside in shown if inside.any()]
    largest = max(float(np.abs(p.value[inside]).max()) for p, inside in shown)
    factor, label = axis_scale(result.couplings[couplings[0]], largest)
    styles = _detector_styles(result)
    several = len(couplings) > 1
    for p, inside in shown:
        colour, line = styles[p.detector]
        text = style.formula_text(result.detectors[p.detector].label)
        if several:
            # Within one panel the couplings are told apart by line, and by colour where there is one detector.
            line = style.LINE_STYLES[couplings.index(p.coupling)]
            colour = style.DETECTOR_COLOURS[couplings.index(p.coupling) * 2] if len(detectors) == 1 else colour
            text = f"${result.couplings[p.coupling].symbol}$" + ("" if len(detectors) == 1 else f", {text}")
        axes.plot(p.value[inside] * factor, p.delta_chi2[inside], color=colour, linestyle=line, label=text)
    confidence = result.limits[0].confidence_level
    axes.axhline(delta_chi2_level(confidence, 1), color="0.45", linewidth=0.9, linestyle=(0, (1, 2)))
    ends = [float(p.value[inside][[0, -1]][end]) for p, inside in shown for end in (0, 1)]
    axes.set_xlim(min(ends) * factor, max(ends) * factor)
    highest = max(float(p.delta_chi2[inside].max()) for p, inside in shown)
    # A flat curve still leaves room for the level.
    axes.set_ylim(0, spec.get("maximum") or min(30.0, max(highest, 1.5 * delta_chi2_level(confidence, 1))))
    axes.annotate(
        f"{100 * confidence:g}% CL",
        (0.98, delta_chi2_level(confidence, 1)),
        xycoords=("axes fraction", "data"),
        xytext=(0, 2),
        textcoords="offset points",
        horizontalalignment="right",
        fontsize=9,
        color="0.3",
    )
    if several:
        label = ", ".join(f"${result.couplings[name].symbol}$" for name in couplings) + label[label.find(" (") :]
    axes.set_xlabel(label)
    axes.set_ylabel("\u0394\u03c7\u00b2")
    if len(shown) > 1:
        _legend(axes, spec.get("legend") or "upper center")


def contour(axes: Axes, result: Result, spec: Spec) -> None:
    """The regions of two couplings, one per detector, and the Standard Model's point."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    x, y = spec["contour"]
    detectors = spec.get("detectors") or list(result.detectors)
    drawn = [c for c in result.contours if (c.coupling_x, c.coupling_y) == (x, y) and c.detector in detectors]
    points = [polygon for c in drawn for polygon in c.polygons]
    largest = [max((float(np.abs(p[:, axis]).max()) for p in points), default=0.0) for axis in (0, 1)]
    factor_x, label_x = axis_scale(result.couplings[x], largest[0])
    factor_y, label_y = axis_scale(result.couplings[y], largest[1])
    styles = _detector_styles(result)
    for c in drawn:
        colour, line = styles[c.detector] if len(drawn) > 1 else (style.DETECTOR_COLOURS[0], "-")
        text: str | None = style.formula_text(result.detectors[c.detector].label)
        scaled = [polygon * np.array([factor_x, factor_y]) for polygon in c.polygons]
        if scaled:
            # One path of all polygons, so that a hole in a region stays empty; `axes.fill` would also measure every
            # vertex once more for the limits, which the outline gives.
            area = Path.make_compound_path(*(Path(polygon, closed=True) for polygon in scaled))
            axes.add_artist(PathPatch(area, color=colour, alpha=0.12, linewidth=0))
        for polygon in scaled:
            axes.plot(polygon[:, 0], polygon[:, 1], color=colour, linestyle=line, label=text)
            text = None
    origin = [result.couplings[name].standard_model for name in (x, y)]
    if origin[0] is not None and origin[1] is not None:
        own_point = origin[0] * factor_x, origin[1] * factor_y
        axes.plot(*own_point, marker="+", color="black", markersize=7, linestyle="none")
    if spec.get("reference"):
        _reference(axes, result, spec, (factor_x, factor_y))
    axes.set_xlabel(label_x)
    axes.set_ylabel(label_y)
    axes.margins(x=0.08, y=0.32 if spec.get("reference") else 0.08)
    if spec.get("range"):
        low, high = (end * factor_x for end in spec["range"])
        shown = [p[(p[:, 0] * factor_x >= low) & (p[:, 0] * factor_x <= high), 1] * factor_y for p in points]
        heights = np.concatenate(shown) if shown else np.empty(0)
        axes.set_xlim(low, high)
        if len(heights):
            room = 0.08 * float(np.ptp(heights))
            axes.set_ylim(float(heights.min()) - room, float(heights.max()) + room)
    title = f"{100 * drawn[0].confidence_level:g}% CL"
    if len(drawn) == 1:
        title = f"{style.formula_text(result.detectors[drawn[0].detector].label)}, {title}"
    if len(drawn) > 1 or spec.get("reference"):
        _legend(axes, spec.get("legend") or "best", size=8 if spec.get("reference") else 9)
    axes.set_title(spec.get("title") or title)


def _reference(axes: Axes, result: Result, spec: Spec, factors: tuple[float, float]) -> None:
    """A stored region, dashed; where it dwarfs the study's own, these are shown again in a magnified corner."""
    found = next(
        r
        for r in result.references
        if (r.detector, r.coupling_x, r.coupling_y) == (spec["reference"], *spec["contour"])
    )
    text: str | None = result.reference_labels[found.detector]
    own = axes.dataLim.frozen()
    for polygon in found.polygons:
        points = polygon * np.array(factors)
        axes.plot(points[:, 0], points[:, 1], color=REFERENCE_COLOUR, linestyle=(0, (4, 2)), linewidth=1.3, label=text)
        text = None
    if axes.dataLim.width < MAGNIFIED_BEYOND * own.width:
        return
    inset = axes.inset_axes((0.06, 0.06, 0.36, 0.36))
    drawn = [line for line in axes.lines if line.get_color() != REFERENCE_COLOUR]
    for line in drawn:
        inset.plot(
            *line.get_data(),
            color=line.get_color(),
            linestyle=line.get_linestyle(),
            marker=line.get_marker(),
            linewidth=1,
        )
    inset.set_xlim(own.x0 - 0.1 * own.width, own.x1 + 0.1 * own.width)
    inset.set_ylim(own.y0 - 0.1 * own.height, own.y1 + 0.1 * own.height)
    inset.tick_params(labelsize=6, labelbottom=False, labelleft=False)
    axes.indicate_inset_zoom(inset, edgecolor="0.5")


REFERENCE_COLOUR = "#c1272d"
MAGNIFIED_BEYOND = 10.0
"""Ratio of widths from which on the study's own regions are magnified."""


def _value_text(info: CouplingInfo, value: float) -> str:
    exponent = int(np.floor(np.log10(abs(value)) + 1e-9)) if value else 0
    exponent = 0 if natural_exponent(info.scale) == 0 and -3 <= exponent <= 2 else exponent
    digits = f"{value / 10.0**exponent:.3g}".replace("-", "\u2212")
    unit = style.unit_text(info.unit, exponent)
    return f"${info.symbol}$ = {digits}" + (f"\u00d7{unit}" if exponent else f" {unit}").rstrip()


def cross_section(axes: Axes, result: Result, spec: Spec) -> None:
    """d(sigma)/dT at one energy: the Standard Model solid, the values of the coupling beside it."""
    channels = spec.get("channels") or ["cevns"]
    wanted = spec.get("values")
    curves = [
        c
        for c in result.cross_sections
        if (c.target, c.energy_mev) == (spec["cross_section"], spec["energy_mev"])
        and c.channel in channels
        and (wanted is None or c.standard_model or c.value in wanted)
    ]
    values = list(dict.fromkeys(c.value for c in curves if not c.standard_model))
    drawn: set[str] = set()
    for c in curves:
        colour, line = _curve_style(c, values, channels)
        info = result.couplings[c.coupling]
        text = "SM" if c.standard_model else _value_text(info, c.value)
        if len(channels) > 1:
            text = f"{style.CHANNEL_LABELS[c.channel]}, {text}"
        if text in drawn:  # the Standard Model of another coupling's curves
            continue
        drawn.add(text)
        axes.plot(c.recoil_kev, c.dsigma_dt_cm2_per_kev, color=colour, linestyle=line, label=text)
    axes.set_xscale("log")
    axes.set_yscale("log")
    # The end of a spectrum falls to zero: its last points do not set the range of the axis.
    body = [c.dsigma_dt_cm2_per_kev[: int(0.97 * len(c.recoil_kev))] for c in curves if c.standard_model]
    highest = max(float(c.dsigma_dt_cm2_per_kev.max()) for c in curves)
    axes.set_ylim(min(float(part[part > 0].min()) for part in body) / 3, highest * 3)
    axes.set_xlim(min(float(c.recoil_kev[0]) for c in curves), max(float(c.recoil_kev[-1]) for c in curves))
    axes.set_xlabel("T (keV)")
    axes.set_ylabel("d\u03c3/dT (cm\u00b2/keV)")
    axes.set_title(
        spec.get("title") or f"{style.formula_text(spec['cross_section'])}, {spec['energy_mev']:g} MeV neutrinos"
    )
    _legend(axes, spec.get("legend") or ("upper right" if len(channels) == 1 else "center left"), size=8)


AXES = {
    "recoil_energy_kev": DataAxis(label="reconstructed recoil energy", unit="keV"),
    "energy_kevee": DataAxis(label="reconstructed light", unit="keVee"),
    "time_us": DataAxis(label="arrival time", unit="\u03bcs"),
}
"""Of detectors that are no data set."""


def _words(result: Result, spectrum: DataSpectrum) -> tuple[dict[str, tuple[str, str]], DataAxis]:
    """Label and colour of every background, from the bottom up, and the words of the axis."""
    name = result.dataset(spectrum.detector)
    if name is not None:
        description = dataset(name).description
        layers = {key: (background.label, background.colour) for key, background in description.backgrounds.items()}
        return layers, description.axes[spectrum.axis]
    names = [key for key in spectrum.components if key not in style.CHANNEL_LABELS]
    shades = np.linspace(0.72, 0.45, max(len(names), 1))
    return {key: (key, str(shade)) for key, shade in zip(names, shades, strict=False)}, AXES[spectrum.axis]


def data(axes: Axes, result: Result, spec: Spec) -> None:
    """Observed counts of an experiment per unit of one axis, on top of the components of the best fit."""
    found = next(s for s in result.data_spectra if (s.detector, s.axis) == (spec["data"], spec["axis"]))
    layers, axis = _words(result, found)
    width, base = np.diff(found.edges), np.zeros(len(found.observed))
    # The signal on top, where the eye compares it with the points.
    layers |= {name: (style.CHANNEL_LABELS[name], style.CHANNEL_COLOURS[name]) for name in ("electron", "cevns")}
    for name in sorted(found.components, key=list(layers).index):
        label, colour = layers[name]
        top = base + found.components[name] / width
        axes.stairs(top, found.edges, baseline=base, fill=True, color=colour, alpha=0.85, label=label, linewidth=0)
        base = top
    middle = (found.edges[1:] + found.edges[:-1]) / 2
    axes.errorbar(
        middle,
        found.observed / width,
        xerr=width / 2,
        yerr=np.sqrt(found.observed) / width,
        fmt=".",
        color="black",
        linewidth=0.9,
        label="data" if result.observed_data(found.detector) else "expected",
    )
    axes.set_xlim(found.edges[0], found.edges[-1])
    axes.set_ylim(0, 1.2 * float(np.max((found.observed + np.sqrt(found.observed)) / width)))
    axes.set_xlabel(f"{axis.label} ({axis.unit})" if axis.unit else axis.label)
    axes.set_ylabel(f"counts / {axis.unit or 'unit'}")
    axes.set_title(spec.get("title") or style.formula_text(result.detectors[found.detector].label))
    _legend(axes, spec.get("legend") or "best", size=8)


def _curve_style(curve: CrossSectionCurve, values: list[float], channels: list[str]) -> tuple[str, Any]:
    if len(channels) > 1:
        line = "-" if curve.standard_model else style.LINE_STYLES[1 + values.index(curve.value)]
        return style.CHANNEL_COLOURS[curve.channel], line
    if curve.standard_model:
        return style.STANDARD_MODEL_COLOUR, "-"
    number = values.index(curve.value)
    # As in the paper: the first two values solid, the larger ones broken lines.
    line = "-" if number < 2 else style.LINE_STYLES[number - 1]
    return style.VALUE_COLOURS[number % len(style.VALUE_COLOURS)], line


def spectrum(axes: Axes, result: Result, spec: Spec) -> None:
    """Standard Model counts per keV on top of the background, bin by bin."""
    found = next(s for s in result.spectra if s.detector == spec["spectrum"])
    edges, width = found.bin_edges_kev, np.diff(found.bin_edges_kev)
    base = np.zeros(len(width))
    layers = [("background", found.background, style.BACKGROUND_COLOUR)]
    layers += [
        (style.CHANNEL_LABELS[channel], getattr(found, channel), style.CHANNEL_COLOURS[channel])
        for channel in ("electron", "cevns")
        if channel in result.detectors[found.detector].channels.split("+")
    ]
    for label, counts, colour in layers:
        top = base + counts / width
        axes.stairs(top, edges, baseline=base, fill=True, color=colour, alpha=0.85, label=label, linewidth=0)
        base = top
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.15 * float(base.max()))
    axes.set_xlabel("reconstructed recoil energy (keV)")
    axes.set_ylabel("counts per keV")
    axes.set_title(spec.get("title") or style.formula_text(result.detectors[found.detector].label))
    _legend(axes, spec.get("legend") or "upper right")


def limits(axes: Axes, result: Result, spec: Spec) -> None:
    """The pieces of one coupling's interval, a bar per detector.

    An arrow marks an end at the coupling's own bound, a circle one at which a hidden coupling rests on its bound; a
    coupling that the data leave unconstrained has a pale bar. What lies beyond the crossings of all runs to the frame.
    """
    coupling = spec["limits"]
    found = [limit for limit in result.limits if limit.coupling == coupling]
    info = result.couplings[coupling]
    ends = [end for limit in found for end in limit.crossings]
    factor, label = axis_scale(info, max((abs(end) for end in ends), default=0.0))
    shown = np.array([*ends, *([] if info.standard_model is None else [info.standard_model])] or [0.0]) * factor
    room = 0.15 * float(np.ptp(shown)) or 1.0
    # A coupling that cannot be negative starts at its wall.
    low_end = 0.0 if info.power % 2 == 0 else float(shown.min()) - room
    high_end = float(shown.max()) + room
    styles = _detector_styles(result)
    for row, limit in enumerate(found):
        colour = styles[limit.detector][0]
        for segment, kinds in zip(limit.segments, limit.kinds, strict=True):
            ends_shown = np.clip(np.array(segment) * factor, low_end, high_end)
            pale = 0.3 if "unconstrained" in kinds else 1.0
            axes.plot(ends_shown, [row, row], color=colour, linewidth=6, solid_capstyle="butt", alpha=pale)
            for end, kind, arrow in zip(ends_shown, kinds, "<>", strict=True):
                if kind != "limit" and not (end == 0 and info.power % 2 == 0):
                    marker = "o" if kind == "hidden-bound" else arrow
                    axes.plot(end, row, marker=marker, color=colour, markerfacecolor="white", clip_on=False)
    if info.standard_model is not None:
        axes.axvline(info.standard_model * factor, color="0.4", linewidth=0.8)
    axes.set_xlim(low_end, high_end)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_yticks(range(len(found)), [style.formula_text(result.detectors[f.detector].label) for f in found])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_xlabel(label)
    axes.set_title(f"{100 * found[0].confidence_level:g}% CL")


def critical_values(axes: Axes, result: Result, spec: Spec) -> None:
    """Simulated critical values along one coupling, with their errors, against Wilks' value."""
    found = [c for c in result.critical_values if c.coupling == spec["critical_values"]]
    factor, label = axis_scale(result.couplings[found[0].coupling], max(float(np.abs(c.value).max()) for c in found))
    styles = _detector_styles(result)
    for c in found:
        colour, line = styles[c.detector]
        text = style.formula_text(result.detectors[c.detector].label)
        band = c.critical_value - c.critical_value_error, c.critical_value + c.critical_value_error
        axes.fill_between(c.value * factor, *band, color=colour, alpha=0.2, linewidth=0)
        axes.plot(c.value * factor, c.critical_value, color=colour, linestyle=line, label=text)
    wilks = delta_chi2_level(found[0].confidence_level, 1)
    axes.axhline(wilks, color="0.45", linewidth=0.9, linestyle=(0, (1, 2)), label="Wilks")
    axes.set_ylim(0, 1.3 * max(wilks, *(float(c.critical_value.max()) for c in found)))
    axes.set_xlabel(label)
    axes.set_ylabel(f"critical \u0394\u03c7\u00b2, {100 * found[0].confidence_level:g}% CL")
    axes.set_title(found[0].convention.split(";")[0] + f", {found[0].toys} toys")
    _legend(axes, "best")


def critical_map(axes: Axes, result: Result, spec: Spec) -> None:
    """Simulated critical values in the plane of two couplings, and the region that they give."""
    detector, x, y = spec["critical_map"]
    found = next(m for m in result.critical_maps if (m.detector, m.coupling_x, m.coupling_y) == (detector, x, y))
    factor_x, label_x = axis_scale(result.couplings[x], float(np.abs(found.x).max()))
    factor_y, label_y = axis_scale(result.couplings[y], float(np.abs(found.y).max()))
    drawn = axes.pcolormesh(
        found.x * factor_x, found.y * factor_y, found.critical_value, cmap="cividis", shading="gouraud", rasterized=True
    )
    axes.figure.colorbar(drawn, ax=axes, label="critical \u0394\u03c7\u00b2")
    for contour_lines in result.contours:
        if (contour_lines.detector, contour_lines.coupling_x, contour_lines.coupling_y) == (detector, x, y):
            for polygon in contour_lines.polygons:
                axes.plot(polygon[:, 0] * factor_x, polygon[:, 1] * factor_y, color="white")
    wilks = delta_chi2_level(found.confidence_level, 2)
    label = style.formula_text(result.detectors[detector].label)
    axes.set_title(f"{label}, {100 * found.confidence_level:g}% CL, Wilks {wilks:.2f}")
    axes.set_xlabel(label_x)
    axes.set_ylabel(label_y)


def scan(axes: Axes, result: Result, spec: Spec) -> None:
    """The ends of every piece of one coupling's interval against the scanned key; those at its bounds are no limits."""
    name, coupling = spec["scan"]
    found = [p for p in result.scans if p.scan == name and p.limit.coupling == coupling]
    ends = [abs(end) for p in found for end in p.limit.crossings]
    factor, label = axis_scale(result.couplings[coupling], max(ends, default=0.0))
    one_sided = result.couplings[coupling].power % 2 == 0
    if one_sided:
        factor, label = 1.0, f"${result.couplings[coupling].symbol}$"
    styles = _detector_styles(result)
    for detector in dict.fromkeys(p.limit.detector for p in found):
        colour, line = styles[detector]
        own = [p for p in found if p.limit.detector == detector]
        text: str | None = style.formula_text(result.detectors[detector].label)
        for rank in range(max(len(p.limit.segments) for p in own)):
            shown = [p for p in own if len(p.limit.segments) > rank]
            for end in (0, 1):
                limits = [
                    p.limit.segments[rank][end] * factor if p.limit.kinds[rank][end] in CROSSINGS else np.nan
                    for p in shown
                ]
                if np.all(np.isnan(limits)):
                    continue
                axes.plot([p.value for p in shown], limits, color=colour, linestyle=line, marker=".", label=text)
                text = None
    values = [p.value for p in found]
    if min(values) > 0 and max(values) > 10 * min(values):
        axes.set_xscale("log")
    if one_sided:
        axes.set_yscale("log")
    elif result.couplings[coupling].standard_model == 0:
        axes.axhline(0, color="0.6", linewidth=0.8)
    axes.set_xlabel(style.KEYS.get(found[0].key.split(".")[-1], found[0].key))
    axes.set_ylabel(label)
    levels = {p.limit.confidence_level for p in found}
    text_levels = " to ".join(f"{100 * level:g}%" for level in sorted({min(levels), max(levels)}))
    axes.set_title(f"{text_levels} CL, \u0394\u03c7\u00b2")
    _legend(axes, "best")


PANELS = {
    "critical_values": critical_values,
    "critical_map": critical_map,
    "scan": scan,
    "profile": profile,
    "contour": contour,
    "cross_section": cross_section,
    "spectrum": spectrum,
    "data": data,
    "limits": limits,
}
