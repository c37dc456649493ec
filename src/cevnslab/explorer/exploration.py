"""The state of an exploration, and what follows from it: no widget, no drawing, no server.

A page, a notebook and a test drive the same object: they move sliders and choose couplings, statistic and confidence
level; limits, curves, contours, spectra and the study file are computed when asked for, and kept until a key that they
depend on moves.
"""

from __future__ import annotations

import copy
import functools
import io
import math
import tempfile
import zipfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.datasets.registry import dataset
from cevnslab.errors import CevnslabError, StudyError
from cevnslab.explorer.sliders import sliders
from cevnslab.inference.contours import sketch
from cevnslab.studies import curves, references
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.load import study_from_dict
from cevnslab.studies.registry import coupling_info
from cevnslab.studies.scans import find_key
from cevnslab.studies.schema.planning import Goal
from cevnslab.studies.setups import AnySetup, DetectorSetup
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations

FloatArray = NDArray[np.float64]
Value = TypeVar("Value")

LEVELS = (0.6827, 0.90, 0.95, 0.99, 0.9973)
"""Confidence levels to choose from."""
CURVE_POINTS = 201
WIDER = 1.5
"""By how much curves reach beyond the outermost limit."""
ROUND_NUMBERS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
"""Ends of axes, so that these stand still while a limit moves a little."""


@dataclass(frozen=True)
class GoalMark:
    """A goal of the study that the limits are held against."""

    name: str
    detector: str
    coupling: str
    quantity: str
    value: float
    reached: bool


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of one detector along its first axis, in each bin."""

    detector: str
    edges: FloatArray
    axis: str
    """In words, with its unit."""
    background: FloatArray
    standard_model: FloatArray
    """Signal, without background."""
    coupling: FloatArray
    """Signal with the coupling at `value`."""
    value: float
    observed: FloatArray | None


class Exploration:
    """A study whose keys move.

    >>> from cevnslab.studies.load import load_study
    >>> exploration = Exploration(load_study("parada2024"))
    >>> exploration.move("detectors.ess-ge.threshold_kev", 0.3)
    >>> [f"{end:.3g}" for end in exploration.limit("ess-ge", "q_ee").segments[0]]
    ['-2.43e-09', '3.26e-09']
    """

    def __init__(self, study: Study) -> None:
        if not study.couplings:
            raise StudyError(f"{study.where}: couplings: the explorer needs at least one coupling")
        content = copy.deepcopy(study.as_dict())
        self.remark = ""
        """What differs from the study from the beginning, in words."""
        if content.get("intervals", {}).get("method", "delta-chi2") != "delta-chi2":
            for key in ("method", "toys", "seed", "ensemble"):
                content["intervals"].pop(key, None)
            self.remark = "Feldman-Cousins intervals take pseudo-experiments: delta chi^2 is shown in their place."
        self.couplings = tuple(coupling.name for coupling in [*study.couplings, study.couplings[0]][:2])
        """The first has a curve, both a contour."""
        self._results: dict[Hashable, tuple[Analysis, Any]] = {}
        self._origin = study
        self._take(content)

    def _take(self, content: dict[str, Any], values: dict[str, float] | None = None) -> None:
        """Start from the keys of a study file; the present ones stay where it is refused."""
        origin = self._origin
        study = study_from_dict(content, where=origin.where, base=origin.base, data=origin.data)
        variations = Variations(study)
        varied, analyses = variations.at(values or {})
        self.study, self._content, self._variations = study, content, variations
        self._varied, self.analyses, self.values = varied, analyses, values or {}
        self.sliders = {slider.key: slider for slider in sliders(study)}
        self._results.clear()

    # what moves -------------------------------------------------------------------------------------------------------

    def move(self, key: str, value: float) -> None:
        """Set a key that has a slider; `CevnslabError` for what it must not be, and then nothing changes."""
        if key not in self.sliders:
            raise StudyError(f"{key}: no slider of this study")
        slider = self.sliders[key]
        values = {**self.values, key: slider.check(value)}
        if value == slider.value:
            del values[key]
        study, analyses = self._variations.at(values)
        for analysis in analyses.values():  # a response that cannot be folded is refused before anything is drawn
            _ = analysis.likelihood
        self._varied, self.analyses, self.values = study, analyses, values

    def value(self, key: str) -> float:
        """Where a slider stands."""
        return self.values.get(key, self.sliders[key].value)

    def choose_couplings(self, first: str, second: str) -> None:
        """The couplings of curve and contour; those that the study does not have are added to it."""
        content = copy.deepcopy(self._content)
        names = self.study.file.coupling_names
        content["couplings"] += [name for name in dict.fromkeys((first, second)) if name not in names]
        if first != second and [first, second] not in content.get("contours", []):
            content["contours"] = [*content.get("contours", []), [first, second]]
        self._take(content, self.values)
        self.couplings = (first, second)

    def choose_statistic(self, statistic: str) -> None:
        """The statistic of every detector that has none of its own."""
        self._take({**copy.deepcopy(self._content), "statistic": statistic}, self.values)

    def choose_level(self, level: float) -> None:
        """One confidence level, in the place of the study's."""
        content = copy.deepcopy(self._content)
        content["intervals"] = {**content.get("intervals", {}), "confidence_level": level}
        self._take(content, self.values)

    # what there is to choose from -------------------------------------------------------------------------------------

    @property
    def level(self) -> float:
        """The confidence level that is shown, the study's first."""
        return self.study.file.intervals.levels[0]

    @property
    def statistic(self) -> str:
        """That of the study, or what its detectors have by themselves."""
        names = dict.fromkeys(analysis.statistic_name for analysis in self.analyses.values())
        return self.study.file.statistic or (next(iter(names)) if len(names) == 1 else "least-squares")

    @property
    def known_couplings(self) -> list[str]:
        """The study's, then all others that it could have beside them."""
        others = [name for name, coupling in self.study.registry.items() if coupling.linear]
        return list(dict.fromkeys([*self.study.file.coupling_names, *sorted(others)]))

    @property
    def spectra(self) -> list[str]:
        """The detectors that have a spectrum."""
        return [setup.name for setup in self._varied.setups]

    def info(self, coupling: str) -> results.CouplingInfo:
        """Symbol, unit and scale of a coupling."""
        return coupling_info(self.study.registry[coupling])

    # what follows -----------------------------------------------------------------------------------------------------

    def _kept(self, analysis: Analysis, subject: Hashable, compute: Callable[[], Value]) -> Value:
        """What was computed of the very same analysis, or is now."""
        entry = self._results.get((analysis.name, subject))
        if entry is None or entry[0] is not analysis:
            entry = self._results[analysis.name, subject] = (analysis, compute())
        value: Value = entry[1]
        return value

    def limit(self, detector: str, coupling: str) -> results.Limit:
        """The limit of a detector or combination."""
        analysis = self.analyses[detector]
        return self._kept(analysis, coupling, lambda: curves.limits(self._varied, analysis, coupling)[0])

    def curve_range(self) -> tuple[float, float]:
        """Values of the first coupling that show every limit, with round ends."""
        info = self.info(self.couplings[0])
        ends = [end for name in self.analyses for end in self.limit(name, self.couplings[0]).crossings]
        centre = info.standard_model or 0.0
        low = min([end - centre for end in ends], default=-info.scale)
        high = max([end - centre for end in ends], default=info.scale)
        smallest = 0.1 * max(abs(low), abs(high), 1e-300)
        left = -round_number(WIDER * max(-low, smallest))
        return (max(left + centre, 0.0) if info.power == 2 else left + centre), centre + round_number(
            WIDER * max(high, smallest)
        )

    def curve(self, detector: str, low: float, high: float) -> results.Profile:
        """Delta chi^2 of the first coupling."""
        analysis, name = self.analyses[detector], self.couplings[0]
        values = np.linspace(low, high, CURVE_POINTS)
        return self._kept(analysis, (name, low, high), lambda: curves.profile(analysis, name, values))

    def quick(self, detector: str) -> bool:
        """Whether the contour costs a few milliseconds: it is drawn while a slider moves."""
        analysis = self.analyses[detector]
        return self._kept(analysis, self.couplings, lambda: analysis.chi2(*self.couplings).ratio is not None)

    def contour(self, detector: str) -> tuple[FloatArray, ...]:
        """The region of both couplings; where there is a closed form, as two grids show it."""
        x, y = self.couplings
        if x == y:
            return ()
        analysis = self.analyses[detector]

        def region() -> tuple[FloatArray, ...]:
            chi2 = analysis.chi2(x, y)
            if chi2.ratio is not None:
                return sketch(chi2, self.level)
            return curves.contours(self._varied, analysis, x, y)[0].polygons

        return self._kept(analysis, ("region", x, y), region)

    def counts(self, detector: str) -> Counts:
        """The counts of a detector; the coupling at the upper end of its limit."""
        analysis, name = self.analyses[detector], self.couplings[0]
        (setup,), response = analysis.setups, analysis.responses[0]
        piece = self._sm_piece(self.limit(detector, name))
        return Counts(
            detector=detector,
            edges=response.axes[0].edges,
            axis=_axis_text(setup, response.axes[0].name),
            background=response.projected(response.background),
            standard_model=response.projected(response.counts()),
            coupling=response.projected(response.counts(**{name: piece[1]})),
            value=piece[1],
            observed=response.projected(analysis.likelihood.datasets[0].observed) if setup.real else None,
        )

    def totals(self, detector: str) -> dict[str, float]:
        """Counts of every channel and of the background, and those that were observed, of all members together."""
        analysis = self.analyses[detector]
        sums = {
            channel: math.fsum(float(r.standard_model(channel).sum()) for r in analysis.responses)
            for channel in analysis.channels.split("+")
        }
        sums["background"] = math.fsum(float(response.background.sum()) for response in analysis.responses)
        if analysis.real:
            sums["observed"] = math.fsum(float(d.observed.sum()) for d in analysis.likelihood.datasets)
        return sums

    def goals(self) -> list[GoalMark]:
        """The study's goals for limits on the couplings that are shown."""
        marks = []
        for question in self.study.file.design:
            goal = question.goal
            if goal.coupling in self.couplings and goal.quantity != "significance":
                value = self._quantity(self.limit(question.detector, str(goal.coupling)), goal)
                rises = goal.quantity == "lower"
                reached = value >= goal.value if rises else value <= goal.value
                mark = GoalMark(
                    question.name, question.detector, str(goal.coupling), goal.quantity, goal.value, bool(reached)
                )
                marks.append(mark)
        return marks

    def _quantity(self, limit: results.Limit, goal: Goal) -> float:
        if goal.quantity == "outermost":
            return limit.segments[-1][1]
        low, high = self._sm_piece(limit)
        if not low <= (self.info(limit.coupling).standard_model or 0.0) <= high:
            return math.nan  # as `design` says it: no piece holds the Standard Model
        return {"upper": high, "lower": low, "width": high - low}[goal.quantity]

    def _sm_piece(self, limit: results.Limit) -> tuple[float, float]:
        """The piece that holds the Standard Model, or the nearest."""
        there = self.info(limit.coupling).standard_model or 0.0
        return min(limit.segments, key=lambda piece: max(piece[0] - there, there - piece[1], 0.0))

    def references(self) -> tuple[results.Limit, ...]:
        """Stored limits of real data on the couplings that are shown, at the confidence level of the study."""
        return _stored_limits(self.couplings, self.level)

    def reference_contour(self) -> tuple[FloatArray, ...]:
        """The stored region of real data in the plane of both couplings; empty where there is none."""
        return _stored_region(self.couplings, self.level)

    # what leaves ------------------------------------------------------------------------------------------------------

    def content(self) -> dict[str, Any]:
        """The keys of the study as it stands: a study file."""
        content = copy.deepcopy(self._content)
        for key, value in self.values.items():
            holder, word, _ = find_key(content, key)
            holder[word] = value
        return content

    def yaml(self) -> str:
        """The study file as text; `cevnslab run` gives the limits that are shown."""
        return yaml.safe_dump(self.content(), sort_keys=False, allow_unicode=True, width=100)

    def archive(self) -> bytes:
        """A zip of tables and figures of the study as it stands, without its scans, maps, goals and bands."""
        content = self.content()
        for key in ("scans", "maps", "design", "bands"):
            content.pop(key, None)
        content.pop("figures", None)
        study = study_from_dict(content, where=self.study.where, base=self.study.base, data=self.study.data)
        packed = io.BytesIO()
        with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            folder = study.run().save(place)
            archive.writestr(f"{folder.name}/study.yaml", self.yaml())
            for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.write(path, str(path.relative_to(Path(place))))
        return packed.getvalue()


REFERENCE = "coherent-csi-lar"
"""The stored analysis that contours are drawn beside."""


@functools.lru_cache
def _stored_limits(couplings: tuple[str, ...], level: float) -> tuple[results.Limit, ...]:
    rows = [row for row in references.stored()["limits"] if row["coupling"] in couplings]
    return tuple(
        results.Limit(**{**row, "segments": tuple(map(tuple, row["segments"])), "kinds": _pairs(row["kinds"])})
        for row in rows
        if row["confidence_level"] == level
    )


@functools.lru_cache
def _stored_region(couplings: tuple[str, ...], level: float) -> tuple[FloatArray, ...]:
    try:
        contour = references.reference_contour(REFERENCE, couplings)
    except CevnslabError:
        return ()
    return contour.polygons if contour.confidence_level == level else ()


def _pairs(rows: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((low, high) for low, high in rows)


def round_number(size: float) -> float:
    """The next larger round number.

    >>> round_number(4.2e-9), round_number(0.71)
    (5e-09, 1.0)
    """
    power = 10.0 ** math.floor(math.log10(size))
    return float(f"{next(n for n in ROUND_NUMBERS if n * power >= size * (1 - 1e-12)) * power:.3g}")


def _axis_text(setup: AnySetup, axis: str) -> str:
    """What the first axis of a detector or data set is called, with its unit."""
    if isinstance(setup, DetectorSetup):
        return AXES[axis]
    words = dataset(setup.dataset).description.axes[axis]
    return f"{words.label} ({words.unit})" if words.unit else words.label


AXES = {"recoil_energy_kev": "reconstructed recoil energy (keV)", "energy_kevee": "reconstructed light (keVee)"}
