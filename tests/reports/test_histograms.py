"""Spectra as `hist` objects."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from cevnslab.errors import MissingExtraError
from cevnslab.reports.histograms import data_spectra, spectra
from cevnslab.results import DataSpectrum, DetectorInfo


def test_counts_and_axes_are_the_results(paper):
    pytest.importorskip("hist")
    values = spectra(paper)
    assert list(values) == [s.detector for s in paper.spectra]
    for s in paper.spectra:
        histogram = values[s.detector]
        assert np.array_equal(histogram.axes["recoil_energy_kev"].edges, s.bin_edges_kev)
        assert np.array_equal(histogram[{"component": "cevns"}].values(), s.cevns)
        assert np.array_equal(histogram[{"component": "background"}].values(), s.background)
        assert histogram.sum() == pytest.approx((s.cevns + s.electron + s.background).sum(), rel=1e-12)
    assert list(values["ess-csi-electron"].axes["component"]) == ["cevns", "electron", "background"]
    assert list(values["ess-ge"].axes["component"]) == ["cevns", "background"]


def test_counts_of_experiments(paper):
    from dataclasses import replace

    pytest.importorskip("hist")
    row = DataSpectrum("x", "energy_pe", np.array([0.0, 1.0, 4.0]), np.array([3.0, 2.0]), {"cevns": np.array([2.0, 1])})
    result = replace(paper, data_spectra=(row,), detectors={"x": DetectorInfo("x", "cevns")})
    (histogram,) = data_spectra(result).values()
    assert list(data_spectra(result)) == [("x", "energy_pe")]
    assert histogram[{"component": "observed"}].values().tolist() == [3.0, 2.0]


def test_without_the_library_the_extra_is_named(paper, monkeypatch):
    monkeypatch.setitem(sys.modules, "hist", None)
    with pytest.raises(MissingExtraError, match=r"cevnslab\[hist\]"):
        spectra(paper)
