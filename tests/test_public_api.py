"""What `import cevnslab as cl` offers: a change here is a change for every user."""

from __future__ import annotations

import pytest

import cevnslab as cl


def test_the_names_are_these():
    assert sorted(cl.__all__) == [
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
        "draw",
        "expected_limit",
        "figure_specs",
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
        "significance",
        "simulated_significance",
        "sources",
        "study_from_dict",
        "toys",
    ]
    assert set(dir(cl)) == set(cl.__all__)


@pytest.mark.parametrize("name", cl.__all__)
def test_every_name_leads_somewhere(name):
    assert getattr(cl, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="load_studdy"):
        cl.load_studdy  # noqa: B018


@pytest.mark.parametrize("name", [name for name in cl.__all__ if not name.startswith("_")])
def test_every_name_is_documented(name):
    assert getattr(cl, name).__doc__
