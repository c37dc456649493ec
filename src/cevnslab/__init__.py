"""cevnslab: coherent elastic neutrino-nucleus scattering, from a source and a detector to limits on new physics.

>>> import cevnslab as cl
>>> result = cl.load_study("parada2024").run()
>>> [round(end * 1e9, 2) for end in result.limit("ess-ge", "q_ee").segments[0]]
[-3.85, 4.87]
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from cevnslab.rendering import Renderer, register
from cevnslab.version import __version__

if TYPE_CHECKING:
    from cevnslab.detection.detector import Detector
    from cevnslab.detection.response import Response
    from cevnslab.errors import CevnslabError
    from cevnslab.likelihood.likelihood import Likelihood
    from cevnslab.physics import atoms, constants, couplings, cross_sections, form_factors, nuclei, sources
    from cevnslab.physics.couplings import Coupling
    from cevnslab.reports.files import load_result
    from cevnslab.results import Result
    from cevnslab.studies.interface import delta_chi2, likelihood, limit, load_dataset
    from cevnslab.studies.load import load_detector, load_source, load_study, response, study_from_dict
    from cevnslab.studies.study import Study

_HOME = {
    "Coupling": "cevnslab.physics.couplings",
    "Detector": "cevnslab.detection.detector",
    "CevnslabError": "cevnslab.errors",
    "Response": "cevnslab.detection.response",
    "Result": "cevnslab.results",
    "Study": "cevnslab.studies.study",
    "Likelihood": "cevnslab.likelihood.likelihood",
    "delta_chi2": "cevnslab.studies.interface",
    "likelihood": "cevnslab.studies.interface",
    "limit": "cevnslab.studies.interface",
    "load_dataset": "cevnslab.studies.interface",
    "load_detector": "cevnslab.studies.load",
    "load_result": "cevnslab.reports.files",
    "load_source": "cevnslab.studies.load",
    "load_study": "cevnslab.studies.load",
    "response": "cevnslab.studies.load",
    "study_from_dict": "cevnslab.studies.load",
}
_MODULES = ("atoms", "constants", "couplings", "cross_sections", "form_factors", "nuclei", "sources")

__all__ = [
    "CevnslabError",
    "Coupling",
    "Detector",
    "Likelihood",
    "Response",
    "Result",
    "Study",
    "__version__",
    "atoms",
    "constants",
    "couplings",
    "cross_sections",
    "delta_chi2",
    "form_factors",
    "likelihood",
    "limit",
    "load_dataset",
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
        return importlib.import_module(f"cevnslab.physics.{name}")
    raise AttributeError(f"module 'cevnslab' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__


def _printer(module: str, name: str) -> Renderer:
    """A function that prints, imported when it is first called."""
    return lambda shown, **options: getattr(importlib.import_module(module), name)(shown, **options)


register("Result", "text", _printer("cevnslab.reports.tables", "limits_text"))
register("Result", "html", _printer("cevnslab.reports.html.notebook", "result_html"))
register("Result", "files", _printer("cevnslab.reports.files", "save"))
register("Limit", "html", _printer("cevnslab.reports.html.notebook", "limit_html"))
register("Study", "html", _printer("cevnslab.reports.html.notebook", "study_html"))


class _Package(types.ModuleType):
    """The package, in which `likelihood` is the function that users call, not the folder that it is imported from.

    Importing a folder makes it an attribute of its package; here that would hide the public name behind the folder's.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "likelihood" and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
