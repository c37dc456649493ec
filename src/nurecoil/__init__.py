"""nurecoil: coherent elastic neutrino-nucleus scattering, from a source and a detector to limits on new physics.

>>> import nurecoil as nr
>>> result = nr.load_study("parada2024").run()
>>> [round(end * 1e9, 2) for end in result.limit("ess-ge", "q_ee").segments[0]]
[-3.85, 4.87]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nurecoil.version import __version__

if TYPE_CHECKING:
    from nurecoil.detection.detector import Detector
    from nurecoil.detection.response import Response, response
    from nurecoil.errors import NurecoilError
    from nurecoil.physics import atoms, constants, couplings, cross_sections, form_factors, nuclei, sources
    from nurecoil.physics.couplings import Coupling
    from nurecoil.reports.files import load_result
    from nurecoil.studies.load import load_detector, load_source
    from nurecoil.studies.results import Result
    from nurecoil.studies.study import Study, load_study, study_from_dict

_HOME = {
    "Coupling": "nurecoil.physics.couplings",
    "Detector": "nurecoil.detection.detector",
    "NurecoilError": "nurecoil.errors",
    "Response": "nurecoil.detection.response",
    "Result": "nurecoil.studies.results",
    "Study": "nurecoil.studies.study",
    "load_detector": "nurecoil.studies.load",
    "load_result": "nurecoil.reports.files",
    "load_source": "nurecoil.studies.load",
    "load_study": "nurecoil.studies.study",
    "response": "nurecoil.detection.response",
    "study_from_dict": "nurecoil.studies.study",
}
_MODULES = ("atoms", "constants", "couplings", "cross_sections", "form_factors", "nuclei", "sources")

__all__ = [
    "Coupling",
    "Detector",
    "NurecoilError",
    "Response",
    "Result",
    "Study",
    "__version__",
    "atoms",
    "constants",
    "couplings",
    "cross_sections",
    "form_factors",
    "load_detector",
    "load_result",
    "load_source",
    "load_study",
    "nuclei",
    "response",
    "sources",
    "study_from_dict",
]


def __getattr__(name: str) -> Any:
    """Names are imported when first used: the command then pays only for what it needs."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"nurecoil.physics.{name}")
    raise AttributeError(f"module 'nurecoil' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
