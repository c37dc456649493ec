"""Texts of a figure as they are drawn: which are outside it, over a curve, or over another text."""

from __future__ import annotations

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.transforms import Bbox

SLACK = 1.5
"""Pixels that cannot be seen."""


def tick_texts(axes):
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        slack = 1e-9 * (high - low)
        for tick in axis.get_major_ticks():
            if low - slack <= tick.get_loc() <= high + slack:
                yield from (label for label in (tick.label1, tick.label2) if label.get_visible())
        yield axis.label


def inner_texts(axes):
    legend = axes.get_legend()
    return [*axes.texts, *(legend.get_texts() if legend is not None else [])]


def excerpt(texts):
    return [text for text in texts if text.get_text().strip() and text.get_visible()]


def all_axes(figure):
    return [*figure.axes, *(child for axes in figure.axes for child in axes.child_axes)]


def drawn(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


def outside(figure):
    """The texts that are not whole."""
    renderer, frame = drawn(figure), figure.bbox.padded(SLACK)
    texts = [text for axes in all_axes(figure) for text in excerpt([*tick_texts(axes), *inner_texts(axes), axes.title])]
    assert texts
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    return [
        words
        for words, box in boxes
        if box.x0 < frame.x0 or box.y0 < frame.y0 or box.x1 > frame.x1 or box.y1 > frame.y1
    ]


def curves(axes, level_lines):
    """Paths in pixels, and whether their inside counts."""
    for line in axes.lines:
        flat = len({float(y) for y in line.get_ydata()}) <= 1
        if line.get_visible() and line.get_linestyle() not in ("None", "none") and (level_lines or not flat):
            yield line.get_path().transformed(line.get_transform()), False
    for patch in axes.patches:
        if patch.get_fill() and (patch.get_alpha() or 1) > 0.5:
            yield patch.get_path().transformed(patch.get_transform()), True


def over_curves(figure):
    """The texts inside axes that stand on a curve or a filled area of the same axes."""
    renderer, result = drawn(figure), []
    for axes in all_axes(figure):
        for text in excerpt(inner_texts(axes)):
            box = text.get_window_extent(renderer)
            legend = axes.get_legend()
            in_legend = legend is not None and text in legend.get_texts()
            # A note stands at its level's line.
            paths = curves(axes, level_lines=in_legend)
            insets = [child.get_window_extent(renderer) for child in axes.child_axes]
            if any(path.intersects_bbox(box, filled=filled) for path, filled in paths) or any(
                map(box.overlaps, insets)
            ):
                result.append(text.get_text())
    return result


def over_texts(figure):
    """Pairs of texts that overlap, whatever axes they belong to."""
    renderer = drawn(figure)
    boxes = [
        (text.get_text(), Bbox(text.get_window_extent(renderer).get_points()))
        for axes in all_axes(figure)
        for text in excerpt([*tick_texts(axes), *inner_texts(axes), axes.title])
    ]
    # The box of a text has room for descenders, which digits at the corner of two axes do not have.
    boxes = [
        (words, Bbox.from_extents(box.x0 + SLACK, box.y0 + 0.25 * box.height, box.x1 - SLACK, box.y1 - SLACK))
        for words, box in boxes
        if min(box.width, box.height) > 4 * SLACK
    ]
    return [
        (words, other)
        for number, (words, box) in enumerate(boxes)
        for other, there in boxes[number + 1 :]
        if box.overlaps(there)
    ]
