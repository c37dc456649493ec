"""The page: widgets in which an exploration is moved, and the places where it is shown (extra `explore`)."""

from __future__ import annotations

import functools
import importlib.resources
import io
import math
from collections.abc import Callable
from typing import Any

from cevnslab.errors import CevnslabError, MissingExtraError, StudyError
from cevnslab.explorer.exploration import LEVELS, Exploration
from cevnslab.explorer.figures import Figures, axis_of
from cevnslab.explorer.sliders import POSITIONS, Slider
from cevnslab.explorer.uploads import LARGEST_FILE, uploaded_study
from cevnslab.results import Limit
from cevnslab.results.text import end_sizes, pieces_text
from cevnslab.studies import references
from cevnslab.studies.study import Study

DEBOUNCE_MS = 5
"""Between a widget's message and its effect; Panel waits 50 by default, which is felt."""
REST_MS = 200
"""After the last move: what takes long is drawn then."""
STATISTICS = ["least-squares", "poisson"]


@functools.cache
def toolkit() -> tuple[Any, Any]:
    """The modules panel and panel_material_ui, set up; `MissingExtraError` names the extra."""
    try:
        import panel
        import panel_material_ui
    except ImportError:
        raise MissingExtraError(
            "the explorer needs panel and panel-material-ui, which are not installed: pip install 'cevnslab[explore]'"
        ) from None
    from panel.reactive import Syncable

    panel.extension("codeeditor")
    Syncable._debounce = DEBOUNCE_MS
    return panel, panel_material_ui


class KeyControl:
    """One key: a number to type and a slider to move, which follow each other."""

    def __init__(self, slider: Slider, value: float, on_move: Callable[[str, float], None]) -> None:
        _, material = toolkit()
        self.slider, self._on_move, self._following = slider, on_move, False
        self.number = material.FloatInput(
            label=slider.label,
            value=value,
            size="small",
            sizing_mode="stretch_width",
            margin=(8, 6, 0, 6),
            stylesheets=[_text("control.css")],
        )
        self.position = material.IntSlider(
            label=f"{slider.owner} {slider.label}".strip(),
            start=0,
            end=POSITIONS,
            value=slider.position(value),
            show_value=False,
            tooltips=False,
            size="small",
            sizing_mode="stretch_width",
            margin=(0, 14, 0, 14),
            stylesheets=[_text("control.css")],
        )
        self.number.param.watch(lambda event: self._typed(event.new), "value")
        self.position.param.watch(lambda event: self._slid(event.new), "value")

    def _typed(self, value: float | None) -> None:
        if self._following:
            return
        try:
            checked = self.slider.check(float("nan") if value is None else value)
        except StudyError as fault:
            self.refuse(str(fault))
            return
        self._follow(self.position, self.slider.position(checked))
        self._on_move(self.slider.key, checked)

    def _slid(self, position: int) -> None:
        if self._following:
            return
        value = self.slider.at(position)
        self._follow(self.number, value)
        self._on_move(self.slider.key, value)

    def _follow(self, widget: Any, value: float) -> None:
        self._following = True
        try:
            widget.value = value
        finally:
            self._following = False
        self.refuse("")

    def refuse(self, reason: str) -> None:
        """Say at the number why it cannot be; an empty reason takes that back."""
        if self.number.helper_text != reason:
            self.number.param.update(error_state=bool(reason), helper_text=reason)

    @property
    def widgets(self) -> tuple[Any, Any]:
        """As they stand on the page."""
        return self.number, self.position


def literal(text: str) -> str:
    """Text that a pane of Markdown shows letter by letter: neither HTML nor markup of its own.

    >>> literal("<b>*q_ee*</b>")
    '&#60;b&#62;&#42;q&#95;ee&#42;&#60;/b&#62;'
    """
    return "".join(f"&#{ord(letter)};" if letter in _MARKUP else letter for letter in text)


_MARKUP = frozenset("&<>\"'`*_[]()#|~\\!$")


class Explorer:
    """The page of one visitor."""

    def __init__(self, study: Study) -> None:
        panel, material = toolkit()
        self.body = panel.Column(
            sizing_mode="stretch_both", css_classes=["explorer"], stylesheets=[_text("explorer.css")]
        )
        self.title = material.Typography(variant="h6", css_classes=["title"], sizing_mode="stretch_width")
        self.message = material.Alert(object="", severity="error", visible=False, sizing_mode="stretch_width")
        self.message.css_classes = ["message"]
        self._pending: dict[str, float] = {}
        self._scheduled, self._moves = False, 0
        self._begin(study)

    # what stands on the page ------------------------------------------------------------------------------------------

    def _begin(self, study: Study) -> None:
        """Everything anew, for a study."""
        panel, material = toolkit()
        self.exploration = exploration = Exploration(study)
        self.figures = Figures(exploration)
        self.controls = {
            key: KeyControl(slider, slider.value, self.request) for key, slider in exploration.sliders.items()
        }
        self._choices()
        self.table = panel.pane.DataFrame(
            None,
            index=False,
            escape=True,
            sizing_mode="stretch_width",
            justify="left",
            stylesheets=[_text("table.css")],
        )
        self.editor = panel.widgets.CodeEditor(
            value="", language="yaml", readonly=True, sizing_mode="stretch_width", height=420, print_margin=False
        )
        places = {
            "controls": self._accordion(),
            "files": self._files(),
            "table": self.table,
            "curve": panel.pane.Bokeh(self.figures.curve, sizing_mode="stretch_both"),
            "contour": panel.pane.Bokeh(self.figures.contour, sizing_mode="stretch_both"),
            "spectrum": panel.pane.Bokeh(self.figures.spectrum, sizing_mode="stretch_both"),
            "keys": material.Accordion(
                ("Study file", self.editor), active=[], title_variant="subtitle1", sizing_mode="stretch_width"
            ),
        }
        for name, place in places.items():
            place.css_classes = [*place.css_classes, name]
        self.title.object = literal(study.file.title or study.name)
        self.body[:] = [self.title, self.message, *places.values()]
        self.say(exploration.remark, "info")
        self._drawn(at_rest=False)
        self.editor.value = exploration.yaml()
        self._rest_later()

    def _choices(self) -> None:
        """Selects of couplings, statistic, level and the detector whose spectrum is drawn."""
        _, material = toolkit()
        exploration, names = self.exploration, self.exploration.known_couplings
        selected = exploration.couplings
        level = exploration.level
        levels = {f"{100 * each:.10g} %": each for each in sorted({*LEVELS, level})}
        make = functools.partial(material.Select, size="small", sizing_mode="stretch_width")
        self.first = make(label="coupling", options=names, value=selected[0])
        self.second = make(label="second coupling", options=names, value=selected[1])
        self.statistic = make(
            label="statistic",
            options=[*dict.fromkeys([*STATISTICS, exploration.statistic])],
            value=exploration.statistic,
        )
        self.level = make(label="confidence level", options=levels, value=level)
        self.spectrum = make(label="spectrum of", options=exploration.spectra, value=exploration.spectra[0])
        couple = lambda _: self._choose(lambda e: e.choose_couplings(self.first.value, self.second.value))  # noqa: E731
        self.first.param.watch(couple, "value")
        self.second.param.watch(couple, "value")
        self.statistic.param.watch(lambda event: self._choose(lambda e: e.choose_statistic(event.new)), "value")
        self.level.param.watch(lambda event: self._choose(lambda e: e.choose_level(event.new)), "value")
        self.spectrum.param.watch(lambda event: self._changed(), "value")

    def _accordion(self) -> Any:
        """The study's own keys, then a part for each detector."""
        panel, material = toolkit()
        selects = [self.first, self.second, self.statistic, self.level, self.spectrum]
        parts: dict[str, list[Any]] = {"": selects}
        for control in self.controls.values():
            parts.setdefault(control.slider.owner, []).extend(control.widgets)
        return material.Accordion(
            *((owner or "Study", panel.Column(*parts[owner], sizing_mode="stretch_width")) for owner in parts),
            active=[0, 1][: len(parts)],
            dynamic=True,  # what is closed costs nothing
            sizing_mode="stretch_width",
            disable_gutters=True,
            title_variant="subtitle1",
        )

    def _files(self) -> Any:
        """Buttons that save and open."""
        panel, material = toolkit()
        name = self.exploration.study.name
        download = functools.partial(material.FileDownload, auto=True, size="small", sizing_mode="stretch_width")
        self.save_yaml = download(
            callback=lambda: io.StringIO(self.exploration.yaml()), filename=f"{name}.yaml", label="Save study file"
        )
        self.save_all = download(
            callback=lambda: io.BytesIO(self._archive()), filename=f"{name}.zip", label="Save tables and figures"
        )
        self.upload = material.FileInput(
            label="Open a study file",
            accept=".yaml,.yml",
            max_file_size=LARGEST_FILE,
            size="small",
            sizing_mode="stretch_width",
        )
        self.upload.param.watch(lambda event: self._opened(event.new), "value")
        return panel.Row(self.save_yaml, self.save_all, self.upload, sizing_mode="stretch_width")

    # what happens -----------------------------------------------------------------------------------------------------

    def request(self, key: str, value: float) -> None:
        """Move a key soon: moves that arrive while the page is busy become one."""
        self._pending[key] = value
        self._changed()

    def _changed(self) -> None:
        panel, _ = toolkit()
        document = panel.state.curdoc
        if document is None or document.session_context is None:  # a notebook or a test: at once
            self._update()
            self.rest()
        elif not self._scheduled:
            self._scheduled = True
            document.add_next_tick_callback(self._update)

    def _update(self) -> None:
        panel, _ = toolkit()
        self._scheduled = False
        pending, self._pending = self._pending, {}
        with panel.io.hold():
            faults = [fault for key, value in pending.items() if (fault := self._moved(key, value))]
            self.say("\n\n".join(faults))
            if not faults:
                self._drawn(at_rest=False)
        self._rest_later()

    def _rest_later(self) -> None:
        """What takes long follows when nothing has moved for a while; a notebook and a test do not wait."""
        panel, _ = toolkit()
        self._moves += 1
        document = panel.state.curdoc
        if document is not None and document.session_context is not None:
            document.add_timeout_callback(functools.partial(self._rested, self._moves), REST_MS)

    def _moved(self, key: str, value: float) -> str:
        """Move a key; why it cannot be."""
        try:
            self.exploration.move(key, value)
        except CevnslabError as fault:
            self.controls[key].refuse(str(fault))
            return str(fault)
        return ""

    def _rested(self, moves: int) -> None:
        if moves == self._moves:
            self.rest()

    def rest(self) -> None:
        """What takes long, and the study file."""
        panel, _ = toolkit()
        with panel.io.hold():
            if self.figures.waits(self.exploration):
                self._drawn(at_rest=True)
            self.editor.value = self.exploration.yaml()

    def _drawn(self, *, at_rest: bool) -> None:
        try:
            self.figures.draw(self.exploration, self.spectrum.value, at_rest=at_rest)
            self.table.object = limits_table(self.exploration, self.figures.labels)
        except CevnslabError as fault:
            self.say(str(fault))

    def say(self, text: str, severity: str = "error") -> None:
        """A message above the figures; an empty text takes it away."""
        self.message.param.update(object=literal(text), severity=severity, visible=bool(text))

    def _choose(self, change: Callable[[Exploration], None]) -> None:
        try:
            change(self.exploration)
            self.say("")
        except CevnslabError as fault:
            self.say(str(fault))
            return
        self._changed()

    def _opened(self, content: bytes | None) -> None:
        if not content:
            return
        try:
            study = uploaded_study(bytes(content))
            study.responses()
            self._begin(study)
        except CevnslabError as fault:
            self.say(str(fault))

    def _archive(self) -> bytes:
        try:
            return self.exploration.archive()
        except CevnslabError as fault:
            self.say(str(fault))
            return b""

    # where it stands --------------------------------------------------------------------------------------------------

    def page(self) -> Any:
        """As a page of its own."""
        panel, material = toolkit()
        page = material.Page(
            title="cevnslab explore",  # nobody's words: the template does not escape all of its places
            main=[self.body],
            theme_toggle=True,
            theme_config={"palette": {"primary": {"main": "#2f7fd1"}}},
            template=_text("page.html"),
            busy_indicator=None,
        )
        # The page would be told, and be drawn anew as a whole, when a move begins and when it ends.
        with panel.util.edit_readonly(page):
            page.busy = False
        return page


def _text(name: str) -> str:
    return importlib.resources.files("cevnslab.explorer").joinpath(name).read_text(encoding="utf-8")


def limits_table(exploration: Exploration, labels: dict[str, str]) -> Any:
    """Limits on both couplings, counts and goals: a row per detector and combination, then real data."""
    import pandas

    rows = []
    names = list(dict.fromkeys(exploration.couplings))
    live = [exploration.limit(detector, name) for detector in labels for name in names]
    heads = {}
    for name in names:
        sizes = [size for limit in live if limit.coupling == name for size in end_sizes(limit)]
        heads[name] = axis_of(name, exploration.info(name), max(sizes, default=0.0))
    goals = exploration.goals()

    def texts(limits: dict[str, Limit]) -> dict[str, str]:
        cells = {}
        for name, (factor, head) in heads.items():
            cells[head] = pieces_text(limits[name], round(-math.log10(factor))) if name in limits else ""
        return cells

    for detector, label in labels.items():
        totals = exploration.totals(detector)
        marks = [goal for goal in goals if goal.detector == detector]
        words = [f"{goal.name}: {'reached' if goal.reached else 'not reached'}" for goal in marks]
        rows.append(
            {
                "detector": label,
                **texts({name: exploration.limit(detector, name) for name in names}),
                **{name: f"{value:.4g}" if value < 1e4 else f"{value:.0f}" for name, value in totals.items()},
                **({"goal": "; ".join(words)} if goals else {}),
            }
        )
    limits_by_name: dict[str, dict[str, Limit]] = {}
    for limit in exploration.references():
        limits_by_name.setdefault(limit.detector, {})[limit.coupling] = limit
    label_of = references.stored()["labels"]
    rows += [
        {"detector": f"{label_of[detector]} (data)", **texts(limits)} for detector, limits in limits_by_name.items()
    ]
    return pandas.DataFrame(rows).fillna("")


def notebook(study: Study) -> Any:
    """The explorer as the last value of a notebook's cell."""
    explorer = Explorer(study)
    explorer.rest()
    return explorer.body
