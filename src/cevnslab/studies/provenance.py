"""Where a result comes from: versions, constants, the study and its hash, the date."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from typing import TYPE_CHECKING, Any

from cevnslab.physics import constants
from cevnslab.version import __version__

if TYPE_CHECKING:
    from cevnslab.studies.study import Study

LIBRARIES = ("numpy", "scipy", "periodictable", "pydantic", "PyYAML", "contourpy", "matplotlib")


def provenance(study: Study) -> dict[str, Any]:
    """The record that goes beside every result."""
    intervals = study.file.intervals
    return {
        "cevnslab": __version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "conventions": {
            "intervals": f"{intervals.method}, compared with the {intervals.minimum} minimum",
            "scans": "delta-chi2, whatever the method of the intervals",
            "pseudo_experiments": intervals.ensemble or "drawn",
            "least_squares_on_toys": "variances: own counts (coverage), the Standard Model's (feldman-cousins)",
        },
        "constants": constants.as_dict(),
        "study_name": study.name,
        "study_sha256": study.sha256,
        "study": study.as_dict(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
