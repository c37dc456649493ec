"""Profiles, contours and scanned values that take long, as tasks that may run in other processes and are kept.

A task carries the study as its keys (files are named from anywhere): the worker loads it again, once for all tasks.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.errors import StudyError
from cevnslab.parallel.backends import check_backend
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import Mapper, in_turn, run_tasks
from cevnslab.progress import track
from cevnslab.results.plain import from_plain, to_plain
from cevnslab.studies import curves, maps
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.study import Study, build_study

RecordType = TypeVar(
    "RecordType",
    results.Limit,
    results.Profile,
    results.ContourLines,
    results.ScanPoint,
    results.ScanBand,
    results.LimitMap,
)
Kind = Literal["limit", "profile", "contour", "scan", "scan-bands", "map"]


def _no_runner(*_: object, **__: object) -> results.Result:
    """What runs a study, where none is run."""
    raise StudyError("a worker computes curves of a study, it runs none")


@functools.lru_cache(maxsize=4)
def _loaded(content: str, data: str | None) -> tuple[Study, dict[str, Analysis]]:
    study = build_study(json.loads(content), _no_runner, data=None if data is None else Path(data))
    return study, analyses(study)


def check_options(study: Study, workers: int, scheduler: str | None) -> None:
    """Refuse options that a study would not use, before anything is written."""
    file = study.file
    toys = file.intervals.method == "feldman-cousins"
    if (workers or scheduler) and not (toys or file.profiles or file.contours or file.scans or file.maps):
        raise StudyError(
            "--workers and --scheduler are for pseudo-experiments, profiles, contours, scans and maps, which this "
            "study has none of"
        )
    check_backend(workers, scheduler)


@dataclass(frozen=True)
class CurveTask:
    """One profile, contour or scanned value of a study."""

    content: str
    """The study's keys as JSON."""
    sha256: str
    """Of what the study computes, its files included."""
    data: str | None
    kind: Kind
    subject: tuple[str | float, ...]
    """What is asked for: names, then numbers."""

    @property
    def blocks(self) -> int:
        """It is one piece."""
        return 1

    def digest(self) -> str:
        """A name for what is kept of it."""
        return content_digest(self.sha256, self.kind, self.subject)

    def run(self, block: int) -> dict[str, NDArray[np.str_]]:
        """The records, as JSON."""
        study, analyses = _loaded(self.content, self.data)
        records: Sequence[object]
        if self.kind == "profile":
            detector, coupling, low, high, points = self.subject
            value = np.linspace(float(low), float(high), int(points))
            records = [curves.profile(analyses[str(detector)], str(coupling), value)]
        elif self.kind == "contour":
            detector, x, y = map(str, self.subject)
            records = curves.contours(study, analyses[detector], x, y)
        elif self.kind == "limit":
            detector, coupling = map(str, self.subject)
            records = curves.limits(study, analyses[detector], coupling)
        elif self.kind == "map":
            name, first, last = self.subject
            plane = next(entry for entry in study.file.maps if entry.name == name)
            records = [maps.limit_map(study, plane, (int(first), int(last)))]
        else:
            scan, key, at = self.subject
            of_scan = curves.scan_points if self.kind == "scan" else curves.scan_bands
            records = of_scan(study, str(scan), str(key), float(at))
        return {"records": np.array(json.dumps(to_plain(list(records))))}


@dataclass(frozen=True)
class Curves:
    """Runs the curves of one study: at once where they are quick, as kept tasks where they are not."""

    study: Study
    store: Path | None = None
    mapper: Mapper = in_turn

    def _task(self, kind: Kind, *subject: str | float) -> CurveTask:
        content = json.dumps(self.study.as_dict(), sort_keys=True)
        data = None if self.study.data is None else str(self.study.data)
        return CurveTask(content, self.study.sha256, data, kind, subject)

    def _records(self, record: type[RecordType], tasks: Sequence[CurveTask], what: str) -> list[list[RecordType]]:
        task_blocks = run_tasks(tasks, self.store, self.mapper, what)
        return [[from_plain(record, each) for each in json.loads(str(blocks[0]["records"]))] for blocks in task_blocks]

    def limits(self, analyses: dict[str, Analysis]) -> list[results.Limit]:
        """The intervals of every coupling; where there are workers, those that take long run there."""
        pairs = [(name, coupling.name) for name in analyses for coupling in self.study.couplings]
        away = [pair for pair in pairs if self.mapper is not in_turn and not analyses[pair[0]].quick(pair[1])]
        tasks = [self._task("limit", *pair) for pair in away]
        records = dict(zip(away, self._records(results.Limit, tasks, "limits") if tasks else [], strict=True))
        rows: list[results.Limit] = []
        for name, coupling in track(pairs, "limits"):
            here = (name, coupling) not in records
            rows += curves.limits(self.study, analyses[name], coupling) if here else records[name, coupling]
        return rows

    def profiles(self, analyses: dict[str, Analysis]) -> list[results.Profile]:
        """Every curve of delta chi^2 that the study asks for."""
        curves_of = [(entry, name) for entry in self.study.file.profiles for name in entry.detectors or list(analyses)]
        long = [
            self._task("profile", name, entry.coupling, entry.from_, entry.to, entry.points)
            for entry, name in curves_of
            if not analyses[name].quick(entry.coupling)
        ]
        records = iter(self._records(results.Profile, long, "profiles") if long else [])
        return [
            curves.profile(analyses[name], entry.coupling, np.linspace(entry.from_, entry.to, entry.points))
            if analyses[name].quick(entry.coupling)
            else next(records)[0]
            for entry, name in curves_of
        ]

    def contours(self, analyses: dict[str, Analysis]) -> list[results.ContourLines]:
        """Every region of two couplings; those of the largest likelihoods first, so that no worker waits for them."""
        planes = [(name, x, y) for x, y in self.study.file.contours for name in analyses]
        long = [plane for plane in planes if not analyses[plane[0]].quick(*plane[1:])]
        long.sort(key=lambda plane: -analyses[plane[0]].likelihood.model.numbers_per_point())
        tasks = [self._task("contour", *plane) for plane in long]
        records = dict(zip(long, self._records(results.ContourLines, tasks, "contours") if tasks else [], strict=True))
        lines: list[results.ContourLines] = []
        for plane in planes:
            name, x, y = plane
            lines += records[plane] if plane in records else curves.contours(self.study, analyses[name], x, y)
        return lines

    def scans(self, analyses: dict[str, Analysis]) -> list[results.ScanPoint]:
        """Every scanned value; a varied study is quick where the study is."""
        values = [(scan.name, scan.key, value) for scan in self.study.file.scans for value in scan.points]
        names = [coupling.name for coupling in self.study.couplings]
        if all(analysis.quick(name) for analysis in analyses.values() for name in names):
            return [point for each in values for point in curves.scan_points(self.study, *each)]
        tasks = [self._task("scan", *each) for each in values]
        return [point for points in self._records(results.ScanPoint, tasks, "scans") for point in points]

    def maps(self, analyses: dict[str, Analysis]) -> list[results.LimitMap]:
        """Every map, in strips where a point takes long."""
        planes = []
        for plane in self.study.file.maps:
            if maps.quick(self.study, plane, analyses[plane.detector]):
                planes.append(maps.limit_map(self.study, plane))
                continue
            tasks = [self._task("map", plane.name, first, last) for first, last in maps.strips(plane)]
            planes.append(maps.joined([strip for (strip,) in self._records(results.LimitMap, tasks, "map")]))
        return planes

    def scan_bands(self) -> list[results.ScanBand]:
        """The expected limits at every scanned value, where the study asks for bands."""
        if self.study.file.bands is None:
            return []
        tasks = [
            self._task("scan-bands", scan.name, scan.key, value)
            for scan in self.study.file.scans
            for value in scan.points
        ]
        return [band for each in self._records(results.ScanBand, tasks, "expected limits of scans") for band in each]
