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

import lazy_loader

from cevnslab.rendering import Renderer, register
from cevnslab.version import __version__ as __version__

# Names are imported when first used: the command then pays only for what it needs. Where they live says `__init__.pyi`.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def _printer(module: str, name: str) -> Renderer:
    """A function that prints, imported when it is first called."""
    return lambda *arguments, **options: getattr(importlib.import_module(module), name)(*arguments, **options)


register("Result", "text", _printer("cevnslab.reports.tables", "limits_text"))
register("Result", "html", _printer("cevnslab.reports.html.notebook", "result_html"))
register("Result", "files", _printer("cevnslab.reports.files", "save"))
register("Limit", "html", _printer("cevnslab.reports.html.notebook", "limit_html"))
register("Panel", "kinds", _printer("cevnslab.figures.panels", "kinds"))
register("Study", "html", _printer("cevnslab.reports.html.notebook", "study_html"))
register("Study", "explorer", _printer("cevnslab.explorer.page", "notebook"))


class _Package(types.ModuleType):
    """The package, in which `likelihood` is the function that users call, not the folder that it is imported from.

    Importing a folder makes it an attribute of its package; here that would hide the public name behind the folder's.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name == "likelihood" and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
