"""Counts per bin: what is expected, what new physics would change, what was observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from cevnslab.errors import StudyError, located
from cevnslab.figures import style
from cevnslab.figures.labels import CHANNEL_LABELS, detector_text, value_text
from cevnslab.figures.layout import Cell
from cevnslab.figures.panels.panel import PanelWithLegend
from cevnslab.results import DataSpectrum, Result
from cevnslab.results.description import FloatArray
from cevnslab.results.spectra import AXIS_WORDS
from cevnslab.studies.schema.base import require_known
from cevnslab.studies.schema.figures import Contents, CouplingValues, Scale, Signal
from cevnslab.units import unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Layer = tuple[str, str, FloatArray]
"""Label, colour, counts per bin."""
DECADES_BELOW_SMALLEST = 0.3
"""How far a logarithmic axis reaches below the smallest bin of the top of the stack."""


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

    def check(self, contents: Contents, path: str) -> None:
        """The detector is a projected one of the study, its axis there, the couplings known."""
        require_known(f"{path}.spectrum", [self.spectrum], contents.projected, "projected detector of this study")
        if self.axis == "time" and self.spectrum not in contents.timed:
            raise StudyError(f"{path}.axis: {self.spectrum} has no time_bin_edges_us")
        for number, values in enumerate(self.values or [], start=1):
            require_known(f"{path}.values.{number}", list(values), contents.couplings, "coupling of this study")
            for name, value in values.items():
                with located(f"{path}.values.{number}"):
                    contents.couplings[name].check(value)
        if self.below == "ratio" and not self.values:
            raise StudyError(f"{path}.below: a ratio to the Standard Model needs `values` of couplings")

    def signals(self) -> list[Signal]:
        """One of each line."""
        return [Signal(self.spectrum, self.axis, tuple(values.items())) for values in self.values or []]

    def words(self, detectors: Sequence[str]) -> str:
        """Detector, axis and new physics."""
        along = "arrival time" if self.axis == "time" else "energy"
        beside = [", ".join(f"{name} = {value:g}" for name, value in values.items()) for values in self.values or []]
        return f"Expected counts of {self.spectrum} against {along}" + "".join(f", with {text}" for text in beside)

    def draw(self, cell: Cell, result: Result) -> None:
        """Standard Model counts on top of the backgrounds, bin by bin; with new physics in its place as lines."""
        axes = cell.axes
        edges, axis_label, axis_unit, layers = expected_layers(result, self.spectrum, self.axis)
        width = np.diff(edges)
        background = np.sum([counts for label, _, counts in layers if label not in CHANNEL_LABELS.values()], axis=0)
        total = np.sum([counts for _, _, counts in layers], axis=0)
        _stack(axes, edges, layers)
        lines = list(_new_physics(result, self))
        for label, colour, signal in lines:
            axes.stairs((background + signal) / width, edges, color=colour, label=label, linewidth=1.4, baseline=None)
        tops = [total / width, *((background + signal) / width for _, _, signal in lines)]
        _vertical(axes, self.scale, tops)
        _horizontal(cell, edges, axis_label)
        axes.set_ylabel(f"counts / {axis_unit}")
        axes.set_title(self.title or detector_text(result, self.spectrum))
        if self.below is not None:
            _strip(cell, self.below, edges, background, total - background, lines)
        cell.legend(self.legend, headroom=True)


def expected_layers(
    result: Result, detector: str, axis: Literal["energy", "time"] = "energy"
) -> tuple[FloatArray, str, str, list[Layer]]:
    """Edges, label of the axis, its unit, and the layers from the bottom up."""
    channels = result.detectors[detector].channels.split("+")
    if axis == "time":
        times = next(s for s in result.time_spectra if s.detector == detector)
        layers = _layers(times.background, times.backgrounds, {"electron": times.electron, "cevns": times.cevns})
        return (
            times.edges_us,
            f"{AXIS_WORDS['time_us']} (\u03bcs)",
            "\u03bcs",
            [x for x in layers if _counted(x[0], channels)],
        )
    energies = next(s for s in result.spectra if s.detector == detector)
    counted = {"electron": energies.electron, "cevns": energies.cevns}
    layers = [x for x in _layers(energies.background, energies.backgrounds, counted) if _counted(x[0], channels)]
    if energies.bin_edges_kevee is not None:
        return energies.bin_edges_kevee, f"{AXIS_WORDS['energy_kevee']} (keVee)", "keVee", layers
    return energies.bin_edges_kev, f"{AXIS_WORDS['recoil_energy_kev']} (keV)", "keV", layers


def _counted(label: str, channels: list[str]) -> bool:
    left_out = {text for name, text in CHANNEL_LABELS.items() if name not in channels}
    return label not in left_out


def _layers(
    background: FloatArray, backgrounds: Mapping[str, FloatArray], channels: Mapping[str, FloatArray]
) -> list[Layer]:
    named = dict(backgrounds) if len(backgrounds) > 1 else {"background": background}
    colours = style.BACKGROUND_COLOURS
    layers = [(name, colours[n % len(colours)], counts) for n, (name, counts) in enumerate(named.items())]
    return layers + [(CHANNEL_LABELS[c], style.CHANNEL_COLOURS[c], counts) for c, counts in channels.items()]


def _new_physics(result: Result, panel: SpectrumPanel) -> Iterator[Layer]:
    """Label, colour and signal of every set of values that the panel asks for."""
    for number, values in enumerate(panel.values or []):
        signal = next(
            (
                s
                for s in result.signals
                if (s.detector, s.axis) == (panel.spectrum, panel.axis) and dict(s.values) == dict(values)
            ),
            None,
        )
        if signal is None:
            raise StudyError(
                f"values: the result has no counts of {panel.spectrum} at "
                f"{', '.join(f'{name} = {value:g}' for name, value in values.items())}: they are computed where the "
                "study's own `figures` ask for them"
            )
        label = ", ".join(value_text(result.couplings[name], value) for name, value in values.items())
        yield label, style.VALUE_COLOURS[number % len(style.VALUE_COLOURS)], signal.counts


def _stack(axes: Axes, edges: FloatArray, layers: list[Layer]) -> None:
    width, base = np.diff(edges), np.zeros(len(edges) - 1)
    for label, colour, counts in layers:
        top = base + counts / width
        axes.stairs(top, edges, baseline=base, fill=True, color=colour, alpha=0.85, label=label, linewidth=0)
        base = top


def _vertical(axes: Axes, scale: str, tops: list[FloatArray]) -> None:
    highest = max(float(np.max(top)) for top in tops) or 1.0
    if scale == "linear":
        axes.set_ylim(0, 1.15 * highest)
        return
    smallest = min((float(top[top > 0].min()) for top in tops if np.any(top > 0)), default=highest)
    axes.set_yscale("log")
    axes.set_ylim(max(smallest * 10**-DECADES_BELOW_SMALLEST, 1e-6 * highest), 3 * highest)


def _horizontal(cell: Cell, edges: FloatArray, label: str) -> None:
    cell.axes.set_xlim(edges[0], edges[-1])
    cell.axes.set_xlabel(label)


def _strip(
    cell: Cell, kind: str, edges: FloatArray, background: FloatArray, signal: FloatArray, lines: list[Layer]
) -> None:
    """All counts over those of the Standard Model, or the signal over the root of the background, below the panel."""
    strip = _strip_axes(cell)
    curves: list[Layer] = [("", style.STANDARD_MODEL_COLOUR, signal), *lines]
    with np.errstate(divide="ignore", invalid="ignore"):
        for _, colour, counts in curves[1:] if kind == "ratio" else curves:
            ratio = (background + counts) / (background + signal)
            height = ratio if kind == "ratio" else counts / np.sqrt(background)
            height = np.where(np.isfinite(height), height, np.nan)
            strip.stairs(height, edges, color=colour, linewidth=1.2, baseline=None)
    if kind == "ratio":
        strip.axhline(1, color=style.STANDARD_MODEL_COLOUR, linewidth=0.9)
    strip.set_ylabel("ratio" if kind == "ratio" else "S / \u221aB")


def _strip_axes(cell: Cell) -> Axes:
    strip = cell.below()
    strip.set_xlabel(cell.axes.get_xlabel())
    cell.axes.set_xlabel("")
    return strip


class DataPanel(PanelWithLegend):
    """Observed counts along one axis, on top of the components of the best fit."""

    kind = "data"
    data: str = Field(description="a data set among the detectors, or a detector with `observed` counts")
    axis: str = Field(description="one that it bins, such as energy_pe, recoil_energy_kev or time_us")
    scale: Scale = Field("linear", description="of the vertical axis")
    below: Literal["pulls"] | None = Field(None, description="a strip below: (observed - fitted)/error of every bin")

    def check(self, contents: Contents, path: str) -> None:
        """It has observed counts, and the axis; those of a detector are known once its response is."""
        require_known(f"{path}.data", [self.data], contents.observed, "detector of this study with observed counts")
        if self.data in contents.data_axes:
            require_known(f"{path}.axis", [self.axis], contents.data_axes[self.data], f"axis of {self.data}")

    def check_axes(self, axes: Mapping[str, Sequence[str]], path: str) -> None:
        """The axis is one of the detector's."""
        if self.data in axes:
            require_known(f"{path}.axis", [self.axis], axes[self.data], f"axis of {self.data}")

    def words(self, detectors: Sequence[str]) -> str:
        """Detector and axis."""
        return f"Counts of {self.data} against {self.axis}"

    def draw(self, cell: Cell, result: Result) -> None:
        """Observed counts per unit of one axis, on top of the components of the best fit."""
        axes = cell.axes
        spectrum = next(s for s in result.data_spectra if (s.detector, s.axis) == (self.data, self.axis))
        width = np.diff(spectrum.edges)
        layers = _components(spectrum)
        _stack(axes, spectrum.edges, layers)
        low, high = spectrum.error_bars
        points: dict[str, Any] = {"fmt": ".", "color": "black", "linewidth": 0.9}
        axes.errorbar(
            (spectrum.edges[1:] + spectrum.edges[:-1]) / 2,
            spectrum.observed / width,
            xerr=width / 2,
            yerr=(low / width, high / width),
            label="data" if spectrum.measured else "expected",
            **points,
        )
        fitted = np.sum([counts for _, _, counts in layers], axis=0)
        _vertical(axes, self.scale, [(spectrum.observed + high) / width, fitted / width])
        label, symbol = spectrum.axis_label, unit(spectrum.axis_unit).symbol
        _horizontal(cell, spectrum.edges, f"{label} ({symbol})" if symbol else label)
        axes.set_ylabel(f"counts / {symbol or 'unit'}")
        axes.set_title(self.title or detector_text(result, spectrum.detector))
        if self.below == "pulls":
            strip = _strip_axes(cell)
            errors = np.where(spectrum.observed > fitted, low, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                pulls = np.where(errors > 0, (spectrum.observed - fitted) / errors, np.nan)
            strip.axhline(0, color="0.5", linewidth=0.8)
            strip.plot((spectrum.edges[1:] + spectrum.edges[:-1]) / 2, pulls, ".", color="black")
            largest = max(3.0, float(np.nanmax(np.abs(pulls), initial=0.0)) * 1.1)
            strip.set_ylim(-largest, largest)
            strip.set_ylabel("pull")
        cell.legend(self.legend, headroom=True)


def _components(spectrum: DataSpectrum) -> list[Layer]:
    """The backgrounds in their order, then the channels: the signal on top, where the eye compares it with points."""
    names = [name for name in spectrum.components if name not in CHANNEL_LABELS]
    names = sorted(names, key=list(spectrum.labels).index) if spectrum.labels else names
    colours = style.BACKGROUND_COLOURS
    layers = [
        (
            spectrum.labels.get(name, name),
            spectrum.colours.get(name, colours[n % len(colours)]),
            spectrum.components[name],
        )
        for n, name in enumerate(names)
    ]
    channels = [channel for channel in ("electron", "cevns") if channel in spectrum.components]
    return layers + [(CHANNEL_LABELS[c], style.CHANNEL_COLOURS[c], spectrum.components[c]) for c in channels]
