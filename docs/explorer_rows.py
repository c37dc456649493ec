"""Writes the numbers of the page `docs/explorer.md`: counts per bin of the paper's three detectors, bin by bin.

For every monomial of the couplings the row of its counts, for the exposure, mass, distance, efficiency and background
of the built-in study; the page scales them. `make explorer-rows`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path

import cevnslab as cl

FILE = Path(__file__).parent / "_static" / "explorer" / "rows.js"
DETECTORS = ("ess-csi", "ess-xe", "ess-ge")
DIGITS = 12


def rows() -> dict[str, object]:
    """Everything that the page needs: the study's own values, names and scales of couplings, rows."""
    study = cl.load_study("parada2024")
    setups = [setup for setup in study.setups if setup.name in DETECTORS]
    couplings = study.couplings
    detectors = []
    for setup in setups:
        response, detector = setup.response, setup.detector
        spec = next(each for each in study.file.detectors if each.name == setup.name)
        stored = [number for number, row in enumerate(response.signal) if row.any()]
        scales = [math.prod(couplings[at].scale for at in monomial) for monomial in response.monomials]
        detectors.append(
            {
                "name": setup.name,
                "label": setup.label,
                "mass": detector.mass_kg,
                "distance": detector.distance_m,
                "efficiency": detector.efficiency,
                "background": spec.background_ckkd,
                "monomials": [list(response.monomials[number]) for number in stored],
                "rows": [_short(response.signal[number] * scales[number]) for number in stored],
                "counts": _short(response.background),
            }
        )
    return {
        "exposure": study.file.exposure_years,
        "signal": study.file.uncertainties.signal,
        "background": study.file.uncertainties.background,
        "level": study.file.intervals.levels[0],
        "couplings": [coupling.name for coupling in couplings],
        "scales": [coupling.scale for coupling in couplings],
        "detectors": detectors,
    }


def _short(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.{DIGITS - 1}e}") for value in values]


def text() -> str:
    """The file: a script, since pages that are opened from a disk may read no others."""
    lines = (
        "// Made by docs/explorer_rows.py; never edited by hand.",
        f"const ROWS = {json.dumps(rows(), separators=(',', ':'))};",
        'if (typeof module !== "undefined") module.exports = ROWS;',
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(f"{FILE}: {FILE.stat().st_size} bytes")
