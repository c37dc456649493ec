"""The script of docs/coherent.md: page and numbers agree, and every variation of its table acts on the analysis."""

from __future__ import annotations

import importlib
import sys
from unittest import mock

import numpy as np
import pytest

from cevnslab.datasets.coherent_csi_2021 import model
from cevnslab.studies.load import study_from_dict


@pytest.fixture(scope="module")
def script(pytestconfig):
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(pytestconfig.rootpath / "docs")
        return importlib.import_module("coherent_study")


def test_the_check_of_the_command(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["coherent_study.py", "--check"])
    script.main()
    with mock.patch.object(script, "page", return_value="another"), pytest.raises(SystemExit, match=r"coherent\.md"):
        script.main()


def backgrounds(script, variation, data):
    """The backgrounds of CsI under one variation, by name."""
    keys, detector, replacement = script.VARIATIONS[variation]
    content = {"name": "variation", "couplings": ["q_ee"], "detectors": [{"preset": script.CSI, **detector}], **keys}
    (setup,) = study_from_dict(content, data=data).setups
    if replacement is None:
        return setup.response.backgrounds
    with mock.patch(script.MODULE + replacement[0], replacement[1]()):
        return setup.response.backgrounds


@pytest.mark.parametrize("kind", ["uniform in time", "falls as 0.040/us", ": raw histogram"])
def test_variations_of_the_steady_state(kind, script, coherent_data):
    """Other times of the same 1286 counts."""
    name = next(name for name in script.VARIATIONS if name.startswith("steady state") and name.endswith(kind))
    varied = backgrounds(script, name, coherent_data)["steady_state"].reshape(9, 11)
    nominal = backgrounds(script, "as in the study", coherent_data)["steady_state"].reshape(9, 11)
    assert varied.sum() == pytest.approx(1286, rel=1e-9)
    times = varied.sum(axis=0) / 1286
    assert abs(times - nominal.sum(axis=0) / 1286).max() > 1e-3
    if kind == "uniform in time":
        assert times == pytest.approx(np.diff(model.TIME_EDGES_US) / 6, rel=1e-6)


def test_what_the_variations_replace_is_there(script):
    for _, _, replacement in script.VARIATIONS.values():
        if replacement is not None:
            name, variation = replacement
            assert type(getattr(model, name)) is type(variation())
