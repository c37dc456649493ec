"""Signatures with the names of types that stand in the source; what napoleon and autodoc do not do."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx


def _shown(text: str | None) -> str | None:
    """A signature with the names of types that stand in the source."""
    if text is None:
        return None
    text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    return text.replace("ndarray[tuple[Any, ...], dtype[float64]]", "FloatArray")


def _signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    return _shown(signature), _shown(returned)


def setup(app: Sphinx) -> dict[str, bool]:
    """Change every signature that autodoc reads."""
    app.connect("autodoc-process-signature", _signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
