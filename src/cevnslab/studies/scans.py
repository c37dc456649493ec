"""One key of a study varied: the scans that a study file lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import FAMILIES
from cevnslab.studies.analysis import Analysis, analyses
from cevnslab.studies.study import Study, build_study
from cevnslab.studies.toy_counts import check_toy_counts
from cevnslab.words import excerpt, nearest


def vary(study: Study, key: str, value: float) -> tuple[Study, set[str]]:
    """The study with one numeric key set to another value, and the names of the analyses that this can change.

    `key` is a path of words joined by dots, with detectors by name, such as ``detectors.ess-ge.threshold_kev`` or
    ``uncertainties.signal``. Raises `StudyError` for a key that the study does not have or that is no number, and
    for a value that the key does not allow.
    """
    return vary_all(study, {key: value})


def vary_all(study: Study, values: Mapping[str, float]) -> tuple[Study, set[str]]:
    """The study with several numeric keys set to other values at once; see `vary`."""
    content = _varied_content(study)
    for entry in content["detectors"]:
        _without_preset(entry)
        _without_preset(entry.get("source"))
    _without_preset(content.get("source"))
    names: set[str] = set()
    for key, value in values.items():
        holder, last, detector = find_key(content, key)
        present = holder[last]
        # A key that counts something, such as bins, keeps being a whole number where the value is one.
        holder[last] = int(value) if isinstance(present, int) and float(value).is_integer() else float(value)
        names |= {setup.name for setup in study.setups} if detector is None else {detector}
    with located(", ".join(f"{key} = {value:g}" for key, value in values.items())):
        varied = build_study(content, study.runner, where="scan", base=study.base, data=study.data)
    names |= {c.name for c in study.file.combinations if names & set(c.detectors)}
    return varied, names


def _varied_content(study: Study) -> dict[str, Any]:
    """The keys that limits depend on; defaults are filled in, so that one can be varied that the file does not give."""
    # What is left out is not dumped at all: scans may have many thousand values, and each of them asks for these keys.
    content: dict[str, Any] = study.file.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude=set(NOT_OF_LIMITS)
    )
    return content


def _without_preset(holder: Any) -> None:
    """Take away the name of a preset whose keys are filled in: one that the file takes away by null stays away."""
    if isinstance(holder, dict):
        holder.pop("preset", None)


def scanned(
    study: Study, scan: str, key: str, value: float, *, data: bool = True
) -> tuple[Study, dict[str, Analysis], set[str]]:
    """The study at one value of a scan, its analyses, and the names of those that the key can change.

    Raises a `CevnslabError` that names the scan and the value where the study cannot be analysed there.
    """
    with located(f"scans.{scan}.key"):
        varied, affected = vary(study, key, value)
        with located(f"{key} = {value:g}"):
            analyses_by_name = analyses(varied, data=data)
            if study.file.bands is not None:
                for name in sorted(affected & set(analyses_by_name)):
                    check_toy_counts(analyses_by_name[name], "bands")
            return varied, analyses_by_name, affected


NOT_OF_LIMITS = ("scans", "design", "maps", "profiles", "contours", "figures", "cross_sections")
"""Keys that a varied study, of which limits alone are asked, does not need."""


def present_value(study: Study, key: str) -> float | int:
    """The number that a key has; `StudyError` where it has none."""
    holder, last, _ = find_key(_varied_content(study), key)
    number: float | int = holder[last]
    return number


def find_key(content: dict[str, Any], key: str) -> tuple[dict[str, Any], str, str | None]:
    """The mapping that holds a numeric key, the key's last word, and the detector it belongs to."""
    detector: str | None = None
    holder: Any = content
    rest, part = key, ""
    while True:
        if isinstance(holder, list):
            named = [entry for entry in holder if rest.startswith(f"{_called(entry)}.")]
            if not named:
                if any(_called(entry) == rest for entry in holder):
                    raise StudyError(f"{key}: only a number can be varied; name one of its keys, such as {key}.mass_kg")
                names = [each for entry in holder if (each := _called(entry)) is not None]
                word = rest.split(".")[0]
                hint = f"; {nearest(word, names)}" if names else ", whose entries have no names"
                raise StudyError(f"{key}: no '{word}' under {part}{hint}")
            entry = max(named, key=lambda each: len(_called(each) or ""))
            name = _called(entry) or ""
            detector = name if part == "detectors" else detector
            rest, holder, part = rest[len(name) + 1 :], entry, name
            continue
        word, _, rest = rest.partition(".")
        if not isinstance(holder, dict) or holder.get(word) is None:
            keys = [key for key, value in holder.items() if value is not None] if isinstance(holder, dict) else []
            optional = "" if not keys else f"; {nearest(word, keys)}"
            below = _below_detectors(content, key) if holder is content else None
            optional = optional if below is None else f"; did you mean '{below}'?"
            raise StudyError(f"{key}: the study gives no '{word}'{optional}")
        if not rest:
            if isinstance(holder[word], bool) or not isinstance(holder[word], int | float):
                raise StudyError(f"{key}: only a number can be varied, this is {excerpt(holder[word])}")
            return holder, word, detector
        holder, part = holder[word], word


def _below_detectors(content: dict[str, Any], key: str) -> str | None:
    """The path of a key that begins with the name of a detector, or with one of a detector's keys."""
    for entry in content.get("detectors", ()):
        name = _called(entry)
        if name is not None and key.startswith(f"{name}."):
            return f"detectors.{key}"
        if name is not None and entry.get(key.split(".")[0]) is not None:
            return f"detectors.{name}.{key}"
    return None


def _called(entry: Any) -> str | None:
    """How a member of a list is called in a path: a mediator by its label, anything else by its name."""
    if not isinstance(entry, dict):
        return None
    name = entry.get("label") if entry.get("name") in FAMILIES else entry.get("name")
    return None if name is None else str(name)


def check_scans(study: Study) -> None:
    """Raise `StudyError` for the first scan whose key or values the study does not allow."""
    for scan in study.file.scans:
        with located(f"scans.{scan.name}.key"):
            for value in scan.points:
                vary(study, scan.key, value)
