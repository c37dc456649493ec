"""What `import nurecoil as nr` offers: a change here is a change for every user."""

from __future__ import annotations

import pytest

import nurecoil as nr


def test_the_names_are_these():
    assert sorted(nr.__all__) == [
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
    assert set(dir(nr)) == set(nr.__all__)


@pytest.mark.parametrize("name", nr.__all__)
def test_every_name_leads_somewhere(name):
    assert getattr(nr, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="load_studdy"):
        nr.load_studdy  # noqa: B018


@pytest.mark.parametrize("name", [name for name in nr.__all__ if not name.startswith("_")])
def test_every_name_is_documented(name):
    assert getattr(nr, name).__doc__
