"""How studies and results show themselves: whoever prints is registered here, so that what is shown knows no printer.

The package's front door registers the printers by a name, and each is imported when something is first shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Renderer = Callable[..., Any]

RENDERERS: dict[tuple[str, str], Renderer] = {}
"""Printers by the class of what they show and the form: ``text``, ``html``, ``files``, ``explorer``."""


def register(kind: str, form: str, renderer: Renderer) -> None:
    """Let `renderer` show every object of a class (by name) and of its subclasses in a form."""
    RENDERERS[kind, form] = renderer


def rendered(shown: object, form: str, **options: Any) -> Any:
    """An object in a form, by the printer of its class or of the nearest class above; `LookupError` without one."""
    for kind in type(shown).__mro__:
        if (kind.__name__, form) in RENDERERS:
            return RENDERERS[kind.__name__, form](shown, **options)
    raise LookupError(f"nothing shows {type(shown).__name__} as {form}")
