"""Make the stored result of real data that `cevnslab.studies.references` serves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cevnslab.results import Result
from cevnslab.results.plain import to_plain

REFERENCE_ANALYSES = ("coherent-csi-2021", "coherent-lar-2020", "coherent-csi-lar", "coherent-csi-2021-electron")
"""The analyses of the study `coherent` whose limits and contours are kept."""
DIGITS = 5
"""Significant digits of polygon vertices: a thousandth of a line's width, a third of the file."""


def reference_content(result: Result, kinds: Sequence[str] = REFERENCE_ANALYSES) -> dict[str, Any]:
    """What is stored of a result of the study `coherent`."""
    plain = to_plain(result)
    contours = [row for row in plain["contours"] if row["detector"] in kinds]
    for row in contours:
        row["polygons"] = [
            [[float(f"{end:.{DIGITS}g}") for end in point] for point in polygon] for polygon in row["polygons"]
        ]
    provenance = {key: value for key, value in plain["provenance"].items() if key != "machine"}
    return {
        "about": "Limits and contours of the study `coherent` (cevnslab reproduce coherent); never edited by hand.",
        "provenance": provenance,
        "labels": {name: plain["detectors"][name]["label"] for name in kinds},
        "limits": [row for row in plain["limits"] if row["detector"] in kinds],
        "contours": contours,
    }


def write_reference(result: Result, path: Path) -> None:
    """Write the file that the package ships."""
    path.write_text(json.dumps(reference_content(result), allow_nan=False) + "\n", encoding="utf-8")
