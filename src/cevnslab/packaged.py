"""Tables that come with the package, in `data/`."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from typing import Any


def parsed(text: str) -> Any:
    """What a YAML text of the package or of a data set holds, by the fast parser where there is one."""
    import yaml

    return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@functools.cache
def table(name: str) -> Mapping[str, Any]:
    """The content of `data/<name>.yaml`, read once: it never changes."""
    content: Mapping[str, Any] = parsed(
        importlib.resources.files("cevnslab").joinpath(f"data/{name}.yaml").read_text(encoding="utf-8")
    )
    return content
