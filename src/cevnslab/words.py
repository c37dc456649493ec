"""Words in messages: how a user's value is shown, what to offer in the place of a name that is not known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def nearest(name: str, choices: Iterable[str]) -> str:
    """The end of a message about an unknown name: the nearest known one, or all of them.

    >>> nearest("q_eee", ["q_ee", "q_mumu"])
    "did you mean 'q_ee'?"
    >>> nearest("q_ee", [])
    'there is none'
    """
    names = sorted(choices)
    if not names:
        return "there is none"
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(names)}"


_LONGEST = 60
"""Letters of a value that a message shows."""


def excerpt(value: Any, longest: int = _LONGEST) -> str:
    """A value as a message shows it: in the words of the study file, on one line, not too long.

    >>> excerpt("ess-gee"), excerpt(None), excerpt(True), excerpt({"a": 1}), excerpt([1, 2])
    ("'ess-gee'", 'nothing', 'true', 'keys and values', 'a list')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in value[: longest + 1])
        return f"'{text}'" if len(value) <= longest else f"'{text[:longest]}...'"
    if isinstance(value, bytes | bytearray):
        return "bytes"
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, Sequence | set):
        return "a list"
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of many digits"
    # Arrays and results print on several lines.
    return " ".join(str(value).split())[:longest]
