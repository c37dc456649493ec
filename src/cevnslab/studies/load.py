"""Sources and detectors by name or file, for use in Python without a study."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from cevnslab.detection.detector import Detector
from cevnslab.errors import StudyError, located
from cevnslab.physics.nuclei import NucleiConvention
from cevnslab.physics.sources import Source
from cevnslab.studies import presets, schema
from cevnslab.studies.build import build_detector, build_source, merge_preset, validated_source
from cevnslab.studies.validation import validated
from cevnslab.studies.yaml_io import read_yaml


def _content(kind: presets.Kind, name_or_path: str | os.PathLike[str]) -> tuple[dict[str, Any], str, Path]:
    text = os.fspath(name_or_path)
    if presets.is_path(name_or_path):
        return read_yaml(Path(text)), text, Path(text).parent
    return presets.load(kind, text), f"preset {text}", Path()


def load_source(name_or_path: str | os.PathLike[str]) -> Source:
    """A source preset by name, or a YAML file of a source's keys by path. Raises a `CevnslabError`.

    >>> load_source("ess").name
    'ess'
    """
    content, where, base = _content("sources", name_or_path)
    with located(where):
        return build_source(validated_source(content), base)


def load_detector(name_or_path: str | os.PathLike[str], *, nuclei: NucleiConvention = "standard-weight") -> Detector:
    """A detector preset by name, or a YAML file of a detector's keys by path. Raises a `CevnslabError`.

    Keys that belong to the running of a detector (source, exposure, channels, uncertainties) are checked, not used.

    >>> load_detector("ess-ge").mass_kg
    7.0
    """
    content, where, base = _content("detectors", name_or_path)
    with located(where):
        merged = merge_preset(content)
        if "experiment" in merged:
            raise StudyError("this is the data of an experiment, not a projected detector: use it in a study")
        return build_detector(validated(schema.Detector, merged), base, nuclei)
