"""How studies and results show themselves: whoever prints is registered here, so that what is shown knows no printer.

The package's front door registers the printers by a name, and each is imported when something is first shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Renderer = Callable[..., Any]

RENDERERS: dict[tuple[str, str], Renderer] = {}
"""By the class of what is shown and the form, ``text``, ``html``, ``files``, ``explorer``; of panels, ``kinds``."""


def register(kind: str, form: str, renderer: Renderer) -> None:
    """Let `renderer` show every object of a class (by name) and of its subclasses in a form."""
    RENDERERS[kind, form] = renderer


def registered(kind: str, form: str) -> Renderer:
    """What is registered for a class (by name) in a form; `LookupError` if nothing is."""
    if (kind, form) not in RENDERERS:
        raise LookupError(f"nothing shows {kind} as {form}")
    return RENDERERS[kind, form]


def rendered(instance: object, form: str, **options: Any) -> Any:
    """An object in a form, by the printer of its class or of the nearest class above; `LookupError` without one."""
    names = [kind.__name__ for kind in type(instance).__mro__]
    return registered(next((name for name in names if (name, form) in RENDERERS), names[0]), form)(instance, **options)
