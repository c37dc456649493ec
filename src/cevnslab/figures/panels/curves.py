"""Curves: delta chi^2, cross sections, critical values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError
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
from cevnslab.figures.panels.panel import PanelWithLegend
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.results import CrossSectionCurve, Result
from cevnslab.results.text import level_text
from cevnslab.studies.schema.base import Channels, Positive, require_known
from cevnslab.studies.schema.figures import Contents, Range, require_rising, require_simulated

LEVEL_LINE: dict[str, Any] = {"color": "0.45", "linewidth": 0.9, "linestyle": (0, (1, 2))}
HIGHEST = 30.0
"""Of the vertical axis of a profile, unless the study says otherwise."""


class ProfilePanel(PanelWithLegend):
    """Curves of delta chi^2, a line per coupling and detector."""

    kind = "profile"
    coupling_keys = ("profile",)
    profile: Annotated[list[str], Field(min_length=1)] = Field(description="couplings that have `profiles`")
    detectors: list[str] | None = Field(None, description="detectors and combinations; all unless given")
    range: Range | None = Field(None, description="of the coupling, in its unit; all that was computed unless given")
    maximum: Positive | None = Field(None, description="of the vertical axis")

    def check(self, contents: Contents, path: str) -> None:
        """Every coupling and detector needs a profile, inside the range."""
        require_known(f"{path}.detectors", self.detectors or [], contents.analysed, "detector of this study")
        couplings = [curve.coupling for curve in contents.profiles]
        require_known(f"{path}.profile", self.profile, couplings, "coupling under `profiles`")
        require_rising(f"{path}.range", self.range)
        low, high = self.range or (-math.inf, math.inf)
        with_curve = []
        for coupling in self.profile:
            for detector in self.detectors or contents.analysed:
                curves = [
                    curve
                    for curve in contents.profiles
                    if curve.coupling == coupling and detector in (curve.detectors or contents.analysed)
                ]
                if self.detectors and not curves:
                    raise StudyError(f"{path}.detectors: {detector} has no profile of {coupling} under `profiles`")
                if curves and not any(curve.from_ < high and curve.to > low for curve in curves):
                    raise StudyError(f"{path}.range: no profile of {coupling} for {detector} reaches into it")
                with_curve += [detector] if curves else []
        self._check_legend(path, with_curve)

    def words(self, detectors: Sequence[str]) -> str:
        """Couplings and detectors."""
        return f"Delta chi squared against {' and '.join(self.profile)}: {', '.join(self.detectors or detectors)}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Delta chi^2 of one or more couplings, a line per detector, and the levels of the study's confidence."""
        axes, couplings = cell.axes, self.profile
        detectors = self.detectors or list(result.detectors)
        low, high = self.range or (-np.inf, np.inf)
        curves = [p for p in result.profiles if p.coupling in couplings and p.detector in detectors]
        visible = [(p, (p.value >= low) & (p.value <= high)) for p in curves]
        visible = [(p, inside) for p, inside in visible if inside.any()]
        largest = max(float(np.abs(p.value[inside]).max()) for p, inside in visible)
        factor, label = axis_scale(result.couplings[couplings[0]], largest)
        styles, several = detector_styles(result), len(couplings) > 1
        for p, inside in visible:
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
        ends = [float(p.value[inside][end]) for p, inside in visible for end in (0, -1)]
        axes.set_xlim(min(ends) * factor, max(ends) * factor)
        highest = max(float(p.delta_chi2[inside].max()) for p, inside in visible)
        # A flat curve still leaves room for the levels.
        room = 1.5 * max(heights.values(), default=1.0)
        axes.set_ylim(0, self.maximum or min(max(HIGHEST, room), max(highest, room)))
        if several:
            label = ", ".join(f"${result.couplings[name].symbol}$" for name in couplings) + label[label.find(" (") :]
        axes.set_xlabel(label)
        axes.set_ylabel("\u0394\u03c7\u00b2")
        axes.set_title(self.title or "")
        if len(visible) > 1:
            cell.legend(self.legend, "upper center")


class CrossSectionPanel(PanelWithLegend):
    """d(sigma)/dT at one energy, for the Standard Model and values of a coupling."""

    kind = "cross_section"
    cross_section: str = Field(description="a target under `cross_sections`")
    energy_mev: Positive = Field(description="the neutrino's, as under `cross_sections`")
    channels: Channels = Field(default=["cevns"], description="nuclei, electrons or both")
    values: list[float] | None = Field(None, description="of the coupling, in its unit; all unless given")

    def check(self, contents: Contents, path: str) -> None:
        """Target, energy, channels and values are among the study's."""
        curves = [
            curve
            for curve in contents.cross_sections
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
                choices = ", ".join(f"{each:g}" for each in sorted(values))
                raise StudyError(f"{path}.values: {value:g} is not among the computed ones ({choices})")

    def words(self, detectors: Sequence[str]) -> str:
        """Target, energy and channels."""
        channels = " and ".join(self.channels)
        return f"Cross section on {self.cross_section} at {self.energy_mev:g} MeV: {channels}"

    def draw(self, cell: Cell, result: Result) -> None:
        """d(sigma)/dT at one energy: the Standard Model solid, the values of the coupling beside it."""
        axes, channels = cell.axes, self.channels
        curves = [
            c
            for c in result.cross_sections
            if (c.target, c.energy_mev) == (self.cross_section, self.energy_mev)
            and c.channel in channels
            and (self.values is None or c.standard_model or c.value in self.values)
        ]
        values = list(dict.fromkeys(c.value for c in curves if not c.standard_model))
        labels: set[str] = set()
        for c in curves:
            colour, line = _curve_style(c, values, channels)
            text = "SM" if c.standard_model else value_text(result.couplings[c.coupling], c.value)
            if len(channels) > 1:
                text = f"{CHANNEL_LABELS[c.channel]}, {text}"
            if text in labels:  # the Standard Model of another coupling's curves
                continue
            labels.add(text)
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
        axes.set_title(self.title or f"{formula_text(self.cross_section)}, {self.energy_mev:g} MeV neutrinos")
        cell.legend(self.legend, "upper right" if len(channels) == 1 else "center left")


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


class CriticalValuesPanel(PanelWithLegend):
    """Simulated critical values along one coupling, against Wilks' value."""

    kind = "critical_values"
    coupling_keys = ("critical_values",)
    critical_values: str = Field(description="a coupling of the study, with Feldman-Cousins")

    def check(self, contents: Contents, path: str) -> None:
        """They are simulated for this coupling."""
        require_known(f"{path}.critical_values", [self.critical_values], contents.couplings, "coupling of this study")
        require_simulated(contents, f"{path}.critical_values")

    def words(self, detectors: Sequence[str]) -> str:
        """The coupling."""
        return f"Critical values of delta chi squared along {self.critical_values}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Simulated critical values along one coupling, with their errors, against Wilks' value."""
        axes = cell.axes
        critical = [c for c in result.critical_values if c.coupling == self.critical_values]
        largest = max(float(np.abs(c.value).max()) for c in critical)
        factor, label = axis_scale(result.couplings[critical[0].coupling], largest)
        styles = detector_styles(result)
        for c in critical:
            colour, line = styles[c.detector]
            band = c.critical_value - c.critical_value_error, c.critical_value + c.critical_value_error
            axes.fill_between(c.value * factor, *band, color=colour, alpha=0.2, linewidth=0)
            text = detector_text(result, c.detector)
            axes.plot(c.value * factor, c.critical_value, color=colour, linestyle=line, label=text)
        wilks = delta_chi2_level(critical[0].confidence_level, 1)
        axes.axhline(wilks, label="Wilks", **LEVEL_LINE)
        axes.set_ylim(0, 1.3 * max(wilks, *(float(c.critical_value.max()) for c in critical)))
        axes.set_xlabel(label)
        axes.set_ylabel(f"critical \u0394\u03c7\u00b2, {level_text({c.confidence_level for c in critical}, '%')}")
        axes.set_title(self.title or critical[0].convention.split(";")[0] + f", {critical[0].toys} toys")
        cell.legend(self.legend, "lower left")
