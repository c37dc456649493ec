"""Curves: delta chi^2, cross sections, critical values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cevnslab.figures import style
from cevnslab.figures.labels import (
    CHANNEL_LABELS,
    axis_scale,
    detector_styles,
    detector_text,
    formula_text,
    value_text,
)
from cevnslab.figures.layout import Cell
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.results import CrossSectionCurve, Result
from cevnslab.results.text import level_text
from cevnslab.studies.schema.figures import CriticalValuesPanel, CrossSectionPanel, ProfilePanel

LEVEL_LINE: dict[str, Any] = {"color": "0.45", "linewidth": 0.9, "linestyle": (0, (1, 2))}
HIGHEST = 30.0
"""Of the vertical axis of a profile, unless the study says otherwise."""


def profile(cell: Cell, result: Result, panel: ProfilePanel) -> None:
    """Delta chi^2 of one or more couplings, a line per detector, and the levels of the study's confidence."""
    axes, couplings = cell.axes, panel.profile
    detectors = panel.detectors or list(result.detectors)
    low, high = panel.range or (-np.inf, np.inf)
    curves = [p for p in result.profiles if p.coupling in couplings and p.detector in detectors]
    shown = [(p, (p.value >= low) & (p.value <= high)) for p in curves]
    shown = [(p, inside) for p, inside in shown if inside.any()]
    largest = max(float(np.abs(p.value[inside]).max()) for p, inside in shown)
    factor, label = axis_scale(result.couplings[couplings[0]], largest)
    styles, several = detector_styles(result), len(couplings) > 1
    for p, inside in shown:
        colour, line = styles[p.detector]
        text = detector_text(result, p.detector)
        if several:
            # Within one panel the couplings are told apart by line, and by colour where there is one detector.
            number = couplings.index(p.coupling)
            line = style.LINE_STYLES[number % len(style.LINE_STYLES)]
            alone = style.DETECTOR_COLOURS[2 * number % len(style.DETECTOR_COLOURS)]
            colour = alone if len(detectors) == 1 else colour
            text = f"${result.couplings[p.coupling].symbol}$" + ("" if len(detectors) == 1 else f", {text}")
        axes.plot(p.value[inside] * factor, p.delta_chi2[inside], color=colour, linestyle=line, label=text)
    levels = {limit.confidence_level for limit in result.limits if limit.coupling in couplings}
    heights = {level: delta_chi2_level(level, 1) for level in sorted(levels)}
    for level, height in heights.items():
        axes.axhline(height, **LEVEL_LINE)
        cell.note(level_text({level}, "%"), height)
    ends = [float(p.value[inside][end]) for p, inside in shown for end in (0, -1)]
    axes.set_xlim(min(ends) * factor, max(ends) * factor)
    highest = max(float(p.delta_chi2[inside].max()) for p, inside in shown)
    # A flat curve still leaves room for the levels.
    room = 1.5 * max(heights.values(), default=1.0)
    axes.set_ylim(0, panel.maximum or min(max(HIGHEST, room), max(highest, room)))
    if several:
        label = ", ".join(f"${result.couplings[name].symbol}$" for name in couplings) + label[label.find(" (") :]
    axes.set_xlabel(label)
    axes.set_ylabel("\u0394\u03c7\u00b2")
    axes.set_title(panel.title or "")
    if len(shown) > 1:
        cell.legend(panel.legend, "upper center")


def cross_section(cell: Cell, result: Result, panel: CrossSectionPanel) -> None:
    """d(sigma)/dT at one energy: the Standard Model solid, the values of the coupling beside it."""
    axes, channels = cell.axes, panel.channels
    curves = [
        c
        for c in result.cross_sections
        if (c.target, c.energy_mev) == (panel.cross_section, panel.energy_mev)
        and c.channel in channels
        and (panel.values is None or c.standard_model or c.value in panel.values)
    ]
    values = list(dict.fromkeys(c.value for c in curves if not c.standard_model))
    drawn: set[str] = set()
    for c in curves:
        colour, line = _curve_style(c, values, channels)
        text = "SM" if c.standard_model else value_text(result.couplings[c.coupling], c.value)
        if len(channels) > 1:
            text = f"{CHANNEL_LABELS[c.channel]}, {text}"
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
    axes.set_title(panel.title or f"{formula_text(panel.cross_section)}, {panel.energy_mev:g} MeV neutrinos")
    cell.legend(panel.legend, "upper right" if len(channels) == 1 else "center left")


def _curve_style(curve: CrossSectionCurve, values: list[float], channels: Sequence[str]) -> tuple[str, Any]:
    lines = style.LINE_STYLES
    if len(channels) > 1:
        line = "-" if curve.standard_model else lines[(1 + values.index(curve.value)) % len(lines)]
        return style.CHANNEL_COLOURS[curve.channel], line
    if curve.standard_model:
        return style.STANDARD_MODEL_COLOUR, "-"
    number = values.index(curve.value)
    # As in the paper: the first two values solid, the larger ones broken lines.
    line = "-" if number < 2 else lines[(number - 1) % len(lines)]
    return style.VALUE_COLOURS[number % len(style.VALUE_COLOURS)], line


def critical_values(cell: Cell, result: Result, panel: CriticalValuesPanel) -> None:
    """Simulated critical values along one coupling, with their errors, against Wilks' value."""
    axes = cell.axes
    drawn = [c for c in result.critical_values if c.coupling == panel.critical_values]
    factor, label = axis_scale(result.couplings[drawn[0].coupling], max(float(np.abs(c.value).max()) for c in drawn))
    styles = detector_styles(result)
    for c in drawn:
        colour, line = styles[c.detector]
        band = c.critical_value - c.critical_value_error, c.critical_value + c.critical_value_error
        axes.fill_between(c.value * factor, *band, color=colour, alpha=0.2, linewidth=0)
        axes.plot(
            c.value * factor, c.critical_value, color=colour, linestyle=line, label=detector_text(result, c.detector)
        )
    wilks = delta_chi2_level(drawn[0].confidence_level, 1)
    axes.axhline(wilks, label="Wilks", **LEVEL_LINE)
    axes.set_ylim(0, 1.3 * max(wilks, *(float(c.critical_value.max()) for c in drawn)))
    axes.set_xlabel(label)
    axes.set_ylabel(f"critical \u0394\u03c7\u00b2, {level_text({c.confidence_level for c in drawn}, '%')}")
    axes.set_title(panel.title or drawn[0].convention.split(";")[0] + f", {drawn[0].toys} toys")
    cell.legend(panel.legend, "lower left")
