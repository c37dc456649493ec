"""Stored results of a built-in study on real data, so that other studies can show them without the data.

`data/coherent-reference.json` is made by `cevnslab.reports.reference` from the study `coherent`, and holds its
provenance; a test recomputes it where the data are.
"""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cevnslab.errors import UnknownNameError
from cevnslab.results import ContourLines
from cevnslab.words import excerpt, nearest

FILE = "data/coherent-reference.json"


@functools.cache
def stored() -> Mapping[str, Any]:
    """The content of the file: `provenance`, `labels`, `limits` and `contours`."""
    text = importlib.resources.files("cevnslab").joinpath(FILE).read_text(encoding="utf-8")
    content: Mapping[str, Any] = json.loads(text)
    return content


def reference_contour(name: str, couplings: Sequence[str]) -> ContourLines:
    """The stored region of two couplings; `UnknownNameError` where there is none."""
    rows = stored()["contours"]
    names = dict.fromkeys(row["detector"] for row in rows)
    if name not in names:
        raise UnknownNameError(f"no stored result {excerpt(name)}; {nearest(name, names)}")
    for row in rows:
        if (row["detector"], row["coupling_x"], row["coupling_y"]) == (name, *couplings):
            return ContourLines(**{**row, "polygons": tuple(np.array(polygon) for polygon in row["polygons"])})
    raise UnknownNameError(f"the stored result '{name}' has no contour of {' and '.join(couplings)}")
