"""Sheets of panels: sizes, margins, and texts that nothing cuts off or covers.

A sheet is drawn once and measured. In the package's style its margins fit; where a user's font is larger or a name is
longer, margins and cells grow until every text stands in its own cell, and it is drawn again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cevnslab.figures.style import FONT_SIZE
from cevnslab.figures.texts import Box, Legend, Note, extent, fit_titles
from cevnslab.figures.ticks import finish_axes, spread_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_SIZE_IN = (4.1, 3.4)
MARGINS_IN = (0.74, 0.16, 0.58, 0.30)
"""Left, right, bottom, top of every panel."""
SMALLEST_AXES_IN = (1.9, 1.5)
"""What is left of a panel for its axes at least, in the package's font."""
STRIP, STRIP_GAP_IN = 0.28, 0.07
"""Share of the height of a strip below, and the gap above it."""
BAR_IN, BAR_GAP_IN = 0.12, 0.08
"""Width of a colour bar, and the gap before it."""
NOTHING_IN, PAD_IN = 0.004, 0.04
"""What cannot be seen, and what is left between texts and the edge of a cell that had to grow."""
ROUNDS = 12
"""Of drawing and measuring, at most: each settles what the one before moved."""


@dataclass(eq=False)
class Cell:
    """The place of one panel: its axes, what stands below and beside them, its legend."""

    axes: Axes
    sheet: Sheet
    strip: Axes | None = None
    bar: Axes | None = None
    twin: Axes | None = None
    legends: list[Legend] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def below(self) -> Axes:
        """Axes of a strip below, with the same horizontal axis."""
        from matplotlib.ticker import MaxNLocator

        self.strip = self.axes.figure.add_axes((0, 0, 1, 1), sharex=self.axes)
        self.strip.yaxis.set_major_locator(MaxNLocator(3, prune="both"))
        self.axes.tick_params(labelbottom=False)
        self.sheet.place()
        return self.strip

    def beside(self) -> Axes:
        """Axes of a colour bar on the right."""
        self.bar = self.axes.figure.add_axes((0, 0, 1, 1))
        self.sheet.place()
        return self.bar

    def above(self) -> Axes:
        """Axes in the same place with a horizontal axis of their own, on top."""
        self.twin = self.axes.twiny()
        return self.twin

    def legend(self, place: str | None, default: str = "upper right", *, headroom: bool = False) -> None:
        """A legend, unless another panel of the sheet has the same one.

        A `place` that the study file asks for is kept; else the legend goes where it covers nothing, from `default`
        on. With `headroom` the vertical axis is lengthened for it where it must be; else it goes below the panel.
        """
        labels = tuple(self.axes.get_legend_handles_labels()[1])
        if labels and labels not in self.sheet.explained:
            self.sheet.explained.add(labels)
            self.legends.append(Legend(self.axes, place, default, headroom))

    def note(self, text: str, height: float) -> None:
        """A text at a horizontal line of this height, where no curve passes."""
        self.notes.append(Note(self.axes, text, height))

    def all_axes(self) -> list[Axes]:
        """All axes of the panel."""
        return [axes for axes in (self.axes, self.strip, self.bar, self.twin) if axes is not None]

    def arrange(self, box: Box, margins: Sequence[float]) -> None:
        """Put the axes into a box of the figure, in inches."""
        left, right, bottom, top = margins
        beside = BAR_IN + BAR_GAP_IN if self.bar is not None else 0.0
        width, height = box.width - left - right - beside, box.height - bottom - top
        low = STRIP * height if self.strip is not None else 0.0
        gap = STRIP_GAP_IN if self.strip is not None else 0.0
        x, y = box.left + left, box.bottom + bottom
        figure: Any = self.axes.figure
        size = figure.get_size_inches()

        def place(axes: Axes, x: float, y: float, width: float, height: float) -> None:
            axes.set_position((x / size[0], y / size[1], width / size[0], height / size[1]))

        place(self.axes, x, y + low + gap, width, height - low - gap)
        if self.strip is not None:
            place(self.strip, x, y, width, low)
        if self.bar is not None:
            place(self.bar, x + width + BAR_GAP_IN, y, BAR_IN, height)


class Sheet:
    """A figure of panels, row by row."""

    def __init__(self, panels: int, columns: int, explained: set[tuple[str, ...]] | None = None) -> None:
        import matplotlib
        from matplotlib.figure import Figure

        settings = matplotlib.rcParams
        self.columns = min(columns, panels)
        self.rows = math.ceil(panels / self.columns)
        self.scale = max(1.0, float(settings["font.size"]) / FONT_SIZE)
        figure_size, default_size = settings["figure.figsize"], matplotlib.rcParamsDefault["figure.figsize"]
        if tuple(figure_size) != tuple(default_size):
            size = [figure_size[0] / self.columns, figure_size[1] / self.rows]
        else:
            size = [side * self.scale for side in PANEL_SIZE_IN]
        self.cell_size = size
        self.margins = [margin * self.scale for margin in MARGINS_IN]
        self.figure: Figure = Figure(figsize=(size[0] * self.columns, size[1] * self.rows))
        self.cells = [Cell(self.figure.add_axes((0, 0, 1, 1), label=f"panel {n}"), self) for n in range(panels)]
        self.explained = set() if explained is None else explained
        """The labels of the legends so far."""
        self.place()

    def _box(self, number: int) -> Box:
        """The box of a cell, in inches from the lower left corner of the figure."""
        row, column = divmod(number, self.columns)
        width, height = self.cell_size
        return Box(column * width, (self.rows - 1 - row) * height, width, height)

    def place(self) -> None:
        """Put all axes where cells and margins have them."""
        width, height = self.cell_size
        self.figure.set_size_inches(width * self.columns, height * self.rows)
        for number, cell in enumerate(self.cells):
            cell.arrange(self._box(number), self.margins)

    def finish(self) -> None:
        """Put every text where it is whole and covers nothing; afterwards the sheet is drawn, for `png`."""
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        dpi = matplotlib.rcParams["savefig.dpi"]
        self.figure.set_dpi(self.figure.dpi if dpi == "figure" else dpi)
        canvas: Any = FigureCanvasAgg(self.figure)
        renderer = canvas.get_renderer()
        for cell in self.cells:
            for axes in cell.all_axes():
                finish_axes(axes, titled=axes is not cell.twin)
        for _ in range(ROUNDS):
            for number, cell in enumerate(self.cells):
                fit_titles(cell.all_axes(), self._box(number), renderer)
                for note in cell.notes:
                    note.place(renderer)
                for legend in cell.legends:
                    legend.place(renderer)
            canvas.draw()
            renderer = canvas.get_renderer()
            crowded = [spread_ticks(axes, renderer) for cell in self.cells for axes in cell.all_axes()]
            if not self._grown(renderer) and not any(crowded):
                break
        self._canvas = canvas

    def _grown(self, renderer: Any) -> bool:
        """Whether margins or cells had to grow for the texts as they were drawn."""
        overhang = [0.0, 0.0, 0.0, 0.0]
        for number, cell in enumerate(self.cells):
            box, whole = self._box(number), extent(cell.all_axes(), renderer)
            over = (box.left - whole.left, whole.right - box.right, box.bottom - whole.bottom, whole.top - box.top)
            overhang = [max(width, wider) for width, wider in zip(overhang, over, strict=True)]
        if max(overhang) <= NOTHING_IN:
            return False
        self.margins = [
            margin + (over + PAD_IN if over > NOTHING_IN else 0.0)
            for margin, over in zip(self.margins, overhang, strict=True)
        ]
        smallest = [side * self.scale for side in SMALLEST_AXES_IN]
        left, right, bottom, top = self.margins
        self.cell_size = [
            max(self.cell_size[0], left + right + smallest[0]),
            max(self.cell_size[1], bottom + top + smallest[1]),
        ]
        self.place()
        return True

    def save(self, path: Path) -> None:
        """Write the finished sheet; the ending of the path is the format."""
        import matplotlib
        from matplotlib.image import imsave

        settings = matplotlib.rcParams
        if path.suffix == ".pdf":
            # Without a creation date the same result gives the same bytes.
            self.figure.savefig(path, metadata={"CreationDate": None})
            return
        if path.suffix == ".svg":
            self.figure.savefig(path, metadata={"Date": None})
            return
        plain = all(
            settings[name] == matplotlib.rcParamsDefault[name]
            for name in ("savefig.bbox", "savefig.facecolor", "savefig.transparent")
        )
        if path.suffix != ".png" or not plain:
            self.figure.savefig(path)
            return
        # What was drawn for measuring is the image. Light compression: the encoder is a good part of a figure's time.
        pixels = self._canvas.buffer_rgba()
        options: Any = {"origin": "upper", "dpi": self.figure.dpi, "pil_kwargs": {"compress_level": 1}}
        imsave(path, pixels, format="png", **options)
