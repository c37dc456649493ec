"""Ticks: logarithmic axes with plain powers of ten, and labels that do not touch each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from cevnslab.units import superscript

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEWEST, MOST = 3, 8
"""Of the labels of a logarithmic axis."""
DESCENDERS = 0.2
"""Share of a text's height."""
BETWEEN = 1.35
"""Room that a label takes, in its own size."""


def finish_axes(axes: Axes, *, titled: bool) -> None:
    """Ticks of logarithmic axes, and what keeps drawing fast; `titled` where no ticks stand between axes and title."""
    import matplotlib
    from matplotlib.font_manager import FontProperties
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    settings: Any = matplotlib.rcParams
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        # As many ticks as fit labels of this size: else matplotlib asks its settings of the moment in every drawing.
        axis.set_tick_params(labelsize=settings[f"{name}tick.labelsize"])
        if axis.get_scale() != "log":
            continue
        low, high = axis.get_view_interval()
        axis.set_major_locator(LogLocator(numticks=max(FEWEST, min(MOST, axis.get_tick_space()))))
        axis.set_major_formatter(
            FuncFormatter(lambda value, _: f"10{superscript(round(math.log10(value)))}" if value > 0 else "")
        )
        axis.set_minor_formatter(NullFormatter())
        if math.log10(high / low) > 3:
            axis.set_minor_locator(NullLocator())
    axes.tick_params(which="minor", labelbottom=False, labelleft=False)
    if titled:
        # A title with a place of its own is not moved out of the way of ticks, for which every text would be measured.
        # The uppermost label beside the axes reaches above them by half its height.
        label = FontProperties(size=settings["ytick.labelsize"]).get_size_in_points()
        axes.set_title(axes.get_title(), y=1.0, pad=max(settings["axes.titlepad"], 0.7 * label))


def spread_ticks(axes: Axes, renderer: Any) -> bool:
    """Whether labels of ticks, as they were drawn last, touched: then there are fewer of them, or they stand off."""
    from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator

    boxes = {}
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
        labels = [label for tick in ticks for label in (tick.label1, tick.label2) if label.get_visible()]
        boxes[name] = [label.get_window_extent(renderer) for label in labels if label.get_text()]
    fewer_ticks = False
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        sizes = [box.width if name == "x" else box.height for box in boxes[name]]
        frame = axes.get_window_extent(renderer)
        length = frame.width if name == "x" else frame.height
        overlap = any(one.overlaps(two) for one, two in zip(boxes[name], boxes[name][1:], strict=False))
        if overlap and not isinstance(axis.get_major_locator(), FixedLocator):
            fewer = max(2, min(len(sizes) - 1, int(length / (BETWEEN * max(sizes)))))
            logarithmic = axis.get_scale() == "log"
            axis.set_major_locator(LogLocator(numticks=fewer) if logarithmic else MaxNLocator(fewer, steps=STEPS))
            fewer_ticks = True
    if boxes["x"] and boxes["y"] and not fewer_ticks:
        # Room for descenders, which digits do not have, may be shared.
        corner = [(x, y) for x in boxes["x"] for y in boxes["y"] if x.overlaps(y)]
        under = max((x.y1 - y.y0 - DESCENDERS * y.height for x, y in corner), default=0.0)
        if under > 0:
            first: Any = axes.xaxis.get_major_ticks()[0]
            pad = first.get_pad() + (under + 2) * 72 / renderer.dpi
            axes.tick_params(axis="x", pad=pad)
            fewer_ticks = True
    return fewer_ticks


STEPS = (1, 2, 2.5, 5, 10)
"""Of ticks on linear axes."""
