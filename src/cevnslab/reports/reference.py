"""Make the stored result of real data that `cevnslab.studies.references` serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.results import Result
from cevnslab.results.plain import Plain, to_plain

FloatArray = NDArray[np.float64]

REFERENCE_ANALYSES = ("coherent-csi-2021", "coherent-lar-2020", "coherent-csi-lar", "coherent-csi-2021-electron")
"""The analyses of the study `coherent` whose limits and contours are kept."""
DIGITS = 5
"""Significant digits of polygon vertices: a thousandth of a line's width, a third of the file."""


def reference_content(result: Result, kinds: Sequence[str] = REFERENCE_ANALYSES) -> dict[str, Plain]:
    """What is stored of a result of the study `coherent`."""
    limits = [to_plain(limit) for limit in result.limits if limit.detector in kinds]
    contours = [
        replace(lines, polygons=tuple(_rounded(polygon) for polygon in lines.polygons))
        for lines in result.contours
        if lines.detector in kinds
    ]
    return {
        "about": "Limits and contours of the study `coherent` (cevnslab reproduce coherent); never edited by hand.",
        "provenance": {key: to_plain(value) for key, value in result.provenance.items() if key != "machine"},
        "labels": {name: result.detectors[name].label for name in kinds},
        "limits": limits,
        "contours": [to_plain(lines) for lines in contours],
    }


def _rounded(polygon: FloatArray) -> FloatArray:
    return np.array([[float(f"{end:.{DIGITS}g}") for end in point] for point in polygon])


def write_reference(result: Result, path: Path) -> None:
    """Write the file that the package ships."""
    path.write_text(json.dumps(reference_content(result), allow_nan=False) + "\n", encoding="utf-8")
