"""Plain content: what JSON holds, typed to the last leaf, and read where it is of that shape."""

from __future__ import annotations

import numpy as np
import pytest

from cevnslab.errors import ResultError
from cevnslab.results.plain import entries_of, keys_of, list_of, names_of, to_plain


def test_records_and_arrays_become_plain():
    content = {"a": np.array([1.0, np.inf]), "b": (True, None, "word"), "c": {"d": np.nan}}
    assert to_plain(content) == {"a": [1.0, "inf"], "b": [True, None, "word"], "c": {"d": "nan"}}


def test_what_json_has_no_word_for_is_refused():
    with pytest.raises(TypeError, match="JSON holds no complex"):
        to_plain([1j])


def test_parts_of_a_shape():
    study = {"combinations": [{"name": "all", "detectors": ["a", "b"]}]}
    (entry,) = entries_of(study["combinations"])
    assert names_of(entry["detectors"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (keys_of, [1.0], "scans.0: must be keys and values, got a list"),
        (list_of, {"a": 1}, "scans.0: must be a list, got keys and values"),
        (list_of, "abc", "scans.0: must be a list, got 'abc'"),
    ],
)
def test_another_shape_is_named_with_its_path(read, content, message):
    with pytest.raises(ResultError) as fault:
        read(content, "scans.0")
    assert str(fault.value) == message
