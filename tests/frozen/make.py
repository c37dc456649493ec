"""Freeze the numbers of the built-in studies: `python tests/frozen/make.py [STUDY ...]`, real data in CEVNSLAB_DATA.

A commit that changes a frozen number runs this for the studies that it moves and says why they move. `test_frozen.py`
compares: ends, spectra, profiles, fits and cross sections to 1e-9, delta chi^2 to 1e-9 max(1, chi^2).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import cevnslab as cl
from cevnslab.studies.analysis import analyses

HERE = Path(__file__).parent
STUDIES = (
    "parada2024",
    "ess-combined",
    "ess-statistics",
    "ess-electromagnetic",
    "ess-nsi",
    "ess-weak-mixing-angle",
    "ess-neutron-radius",
    "ess-mediators",
    "coherent",
    "coherent-shape",
)
PROFILE_STEP, CURVE_STEP, VERTICES = 10, 25, 24
"""Every so many points of a profile and of a cross section; so many vertices of a polygon."""


def chi2_functions(study):
    """(detector, couplings, points of shape (n, couplings)) -> chi^2 less the lowest, and the lowest itself."""
    by_name = analyses(study)

    def of(detector, names, points):
        points = np.asarray(points, dtype=float)
        function = by_name[detector].chi2(*names)
        if len(names) == 1:
            return function(points[:, 0])
        return function.values_at(points)

    of.analyses = by_name
    return of


def content(name):
    """What is frozen of one study, as plain values."""
    study = cl.load_study(name)
    result, chi2 = study.run(), chi2_functions(study)
    contours = []
    for lines in result.contours:
        names = (lines.coupling_x, lines.coupling_y)
        for polygon in lines.polygons:
            points = polygon[:: max(1, len(polygon) // VERTICES)]
            contours.append([lines.detector, *names, points.tolist(), chi2(lines.detector, names, points).tolist()])
    return {
        "ends": [[x.detector, x.coupling, [list(piece) for piece in x.segments]] for x in result.limits],
        "best": [
            [x.detector, x.coupling, float(chi2(x.detector, [x.coupling], [[x.best_fit]])[0])] for x in result.limits
        ],
        "spectra": [[x.detector, x.cevns.tolist(), x.electron.tolist(), x.background.tolist()] for x in result.spectra],
        "profiles": [
            [x.detector, x.coupling, x.value[::PROFILE_STEP].tolist(), x.delta_chi2[::PROFILE_STEP].tolist()]
            for x in result.profiles
        ],
        "contours": contours,
        "cross_sections": [
            [x.target, x.channel, x.energy_mev, x.coupling, x.value, x.dsigma_dt_cm2_per_kev[::CURVE_STEP].tolist()]
            for x in result.cross_sections
        ],
        "scans": [
            [x.scan, x.value, x.limit.detector, x.limit.coupling, [list(piece) for piece in x.limit.segments]]
            for x in result.scans
        ],
        "fit": [[x.detector, x.parameter, x.value, x.error] for x in result.fit],
        "data_spectra": [
            [x.detector, x.axis, x.observed.tolist(), {key: value.tolist() for key, value in x.components.items()}]
            for x in result.data_spectra
        ],
    }


def main():
    for name in sys.argv[1:] or STUDIES:
        text = json.dumps(content(name))
        (HERE / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(name, f"{len(text) / 1e3:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
