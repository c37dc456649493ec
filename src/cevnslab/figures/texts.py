"""Texts of a panel: how large they are, what they would cover, and where they cover nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

Renderer = Any
FloatArray = NDArray[np.float64]

PLACES = {
    "upper right": (1.0, 1.0),
    "upper left": (0.0, 1.0),
    "lower left": (0.0, 0.0),
    "lower right": (1.0, 0.0),
    "upper center": (0.5, 1.0),
    "center right": (1.0, 0.5),
    "center left": (0.0, 0.5),
    "lower center": (0.5, 0.0),
    "center": (0.5, 0.5),
}
"""Where a legend can stand: the share of the free room on its left and below."""
GRID = tuple((across, up) for across in (1.0, 0.0, 0.5, 0.75, 0.25) for up in np.linspace(0.95, 0.05, 19).tolist())
"""Places between those that have a name."""
LONGEST_LABEL = 36
"""Letters of a line in a legend."""


@dataclass(frozen=True)
class Box:
    """A rectangle, in inches."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The right edge."""
        return self.left + self.width

    @property
    def top(self) -> float:
        """The upper edge."""
        return self.bottom + self.height


def extent(all_axes: Iterable[Axes], renderer: Renderer) -> Box:
    """The box of all that is written on axes, as it was drawn last."""
    from matplotlib.transforms import Bbox

    boxes = []
    for axes in all_axes:
        boxes += [axes.get_window_extent(renderer), *_written(axes, renderer)]
    whole, dpi = Bbox.union(boxes), renderer.dpi
    return Box(whole.x0 / dpi, whole.y0 / dpi, whole.width / dpi, whole.height / dpi)


def _written(axes: Axes, renderer: Renderer) -> Iterator[Bbox]:
    for axis in (axes.xaxis, axes.yaxis):
        box = axis.get_tightbbox(renderer)
        if box is not None:
            yield box
    for text in (axes.title, *axes.texts):
        if text.get_text() and text.get_visible():
            yield text.get_window_extent(renderer)
    legend = axes.get_legend()
    if legend is not None:
        yield legend.get_window_extent(renderer)


def wrapped(text: str, letters: int) -> str:
    r"""A text in lines of so many letters at most, broken at blanks, else after marks of names, else anywhere.

    >>> wrapped("a-detector-with-a-long-name", 16)
    'a-detector-with-\na-long-name'
    """
    lines, rest = [], text
    while len(rest) > letters:
        part = rest[: letters + 1]
        at = part.rfind(" ")
        if at <= 0:
            marks = [match.end() for match in re.finditer(r"[-_.+,/]", rest[:letters])]
            at = marks[-1] if marks and marks[-1] > letters // 3 else letters
        lines.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return "\n".join([*lines, rest])


def fit_titles(all_axes: Sequence[Axes], box: Box, renderer: Renderer) -> None:
    """Break titles and axis labels that are wider than their cell into lines."""
    for axes in all_axes:
        frame = axes.get_window_extent(renderer)
        centre = ((frame.x0 + frame.x1) / 2 / renderer.dpi, (frame.y0 + frame.y1) / 2 / renderer.dpi)
        across = 2 * min(centre[0] - box.left, box.right - centre[0])
        upright = 2 * min(centre[1] - box.bottom, box.top - centre[1])
        _fit(axes.title, across, renderer)
        _fit(axes.xaxis.label, across, renderer)
        _fit(axes.yaxis.label, upright, renderer)


def _fit(text: Text, length: float, renderer: Renderer) -> None:
    words = text.get_text().replace("\n", " ")
    if not words:
        return
    extent_ = text.get_window_extent(renderer)
    long = max(extent_.width, extent_.height) / renderer.dpi
    if long <= length:
        return
    # A formula is never broken: it counts as one letter a sign, which errs on the safe side.
    letters = max(6, int(len(words) * length / long)) if "\n" not in text.get_text() else None
    if letters is None:
        widest = max(len(line) for line in text.get_text().splitlines())
        letters = max(6, int(widest * length / long))
    formulas = re.findall(r"\$[^$]*\$", words)
    plain = re.sub(r"\$[^$]*\$", "\0", words)
    broken = wrapped(plain, letters)
    for formula in formulas:
        broken = broken.replace("\0", formula, 1)
    text.set_text(broken)


class Obstacles:
    """What texts on axes must not cover: curves, filled areas, other texts, insets."""

    def __init__(self, axes: Axes, ignored: Sequence[object] = ()) -> None:
        axes.get_xlim(), axes.get_ylim()  # the axes' limits are settled when they are asked for
        self._paths: list[tuple[Any, bool]] = []
        self._points: list[FloatArray] = []
        for line in axes.lines:
            if line in ignored or not line.get_visible():
                continue
            if line.get_linestyle() in ("None", "none", ""):
                self._points.append(line.get_transform().transform(line.get_xydata()))
            else:
                self._paths.append((path_of(line), False))
        for patch in axes.patches:
            if patch.get_visible():
                solid = patch.get_fill() and (patch.get_alpha() or 1.0) > SOLID
                self._paths.append((path_of(patch), solid))
        for collection in axes.collections:
            if collection.get_visible():
                there = collection.get_transform()
                self._paths += [(path.transformed(there), True) for path in collection.get_paths()]
        texts = [text for text in axes.texts if text not in ignored and text.get_text() and text.get_visible()]
        self._boxes = [each.get_window_extent() for each in (*texts, *axes.child_axes)]

    def under(self, box: Bbox) -> bool:
        """Whether a box on the axes, in pixels, covers something."""
        x, y = box.padded(3).intervalx, box.padded(3).intervaly
        return (
            any(path.intersects_bbox(box, filled=solid) for path, solid in self._paths)
            or any(box.overlaps(other) for other in self._boxes)
            or any(np.all((points > (x[0], y[0])) & (points < (x[1], y[1])), axis=1).any() for points in self._points)
        )


SOLID = 0.5
"""Opacity from which on an area hides what is written on it."""


def path_of(artist: Any) -> Any:
    """The path of an artist in pixels."""
    return artist.get_path().transformed(artist.get_transform())


@dataclass(eq=False)
class Legend:
    """A legend that looks for its place."""

    axes: Axes
    location: str | None
    """Where the study file wants it."""
    default: str
    headroom: bool

    def place(self, renderer: Renderer) -> None:
        """Put it where it covers nothing."""
        legend: Any = self.axes.get_legend()
        if legend is None:
            place: Any = self.location or self.default
            legend = self.axes.legend(loc=place)
            for text in legend.get_texts():
                if "$" not in text.get_text():
                    text.set_text(wrapped(text.get_text(), LONGEST_LABEL))
        if self.location is not None:
            return
        size = legend.get_window_extent(renderer)
        frame = self.axes.get_window_extent(renderer)
        if self._free_place(legend, size, frame):
            return
        if self.headroom and not self.axes.child_axes and size.height < 0.6 * frame.height and size.width < frame.width:
            self._lengthen(size.height / frame.height + 0.06)
            legend.set_loc(self.default)
            return
        self._below(legend, frame, renderer)

    def _free_place(self, legend: Any, size: Bbox, frame: Bbox) -> bool:
        from matplotlib.transforms import Bbox

        pad = 0.5 * legend.prop.get_size_in_points() * self.axes.figure.dpi / 72
        room = frame.width - size.width - 2 * pad, frame.height - size.height - 2 * pad
        if min(room) < 0:
            return False
        obstacles = Obstacles(self.axes)
        legend.set_bbox_to_anchor(None)
        for across, up in dict.fromkeys([PLACES[self.default], *PLACES.values(), *GRID]):
            low = frame.x0 + pad + across * room[0], frame.y0 + pad + up * room[1]
            if not obstacles.under(Bbox.from_bounds(*low, size.width, size.height)):
                legend.set_loc(((low[0] - frame.x0) / frame.width, (low[1] - frame.y0) / frame.height))
                return True
        return False

    def _lengthen(self, share: float) -> None:
        """Leave this share of the height free above all curves."""
        transform, inverse = self.axes.transScale, self.axes.transScale.inverted()
        low, high = (transform.transform((1.0, end))[1] for end in self.axes.get_ylim())
        top = max((float(path.get_extents().y1) for path in self._heights()), default=high)
        top = min(top, high)
        self.axes.set_ylim(top=inverse.transform((1.0, low + (top - low) / (1 - share)))[1])

    def _heights(self) -> Iterator[Any]:
        to_scale = self.axes.transData.inverted() + self.axes.transScale
        for artist in (*self.axes.lines, *self.axes.patches):
            yield path_of(artist).transformed(to_scale)

    def _below(self, legend: Any, frame: Bbox, renderer: Renderer) -> None:
        """Below the panel's axis, label and strip."""
        boxes = [box for axes in _column(self.axes) if (box := axes.xaxis.get_tightbbox(renderer)) is not None]
        lowest = min([frame.y0, *(box.y0 for box in boxes)])
        legend.set_loc("upper center")
        legend.set_bbox_to_anchor((0.5, (lowest - frame.y0) / frame.height), transform=self.axes.transAxes)


def _column(axes: Axes) -> list[Axes]:
    """The axes that share a horizontal axis."""
    shared: list[Axes] = axes.get_shared_x_axes().get_siblings(axes)
    return shared


@dataclass(eq=False)
class Note:
    """A text at a horizontal line, where no curve passes."""

    axes: Axes
    words: str
    height: float
    text: Text | None = None

    def place(self, renderer: Renderer) -> None:
        """Put it on the right, the left or in the middle, above or below the line; else outside on the right."""
        if self.text is None:
            self.text = self.axes.annotate(
                self.words,
                (0.98, self.height),
                xycoords=("axes fraction", "data"),
                xytext=(0, 2),
                textcoords="offset points",
                horizontalalignment="right",
                fontsize="small",
                color="0.3",
            )
        self.axes.get_xlim(), self.axes.get_ylim()
        line = [each for each in self.axes.lines if set(np.ravel(np.asarray(each.get_ydata()))) == {self.height}]
        obstacles = Obstacles(self.axes, [self.text, *line])
        frame = self.axes.get_window_extent(renderer)
        for x, alignment in ((0.98, "right"), (0.02, "left"), (0.5, "center")):
            for offset, vertical in ((2, "baseline"), (-3, "top")):
                self._put(x, alignment, offset, vertical)
                box = self.text.get_window_extent(renderer)
                # Below a line that is low in the panel stand the labels of its ticks.
                if frame.y0 <= box.y0 and box.y1 <= frame.y1 and not obstacles.under(box):
                    return
        self._put(1.01, "left", 0, "center")

    def _put(self, x: float, alignment: str, offset: float, vertical: str) -> None:
        text: Any = self.text
        text.xy = (x, self.height)
        text.set_horizontalalignment(alignment)
        text.set_verticalalignment(vertical)
        text.xyann = (0, offset)
