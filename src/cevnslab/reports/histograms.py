"""Spectra as `hist` objects, for those who plot and add up histograms with scikit-hep (extra `hist`)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import MissingExtraError

if TYPE_CHECKING:
    from cevnslab.results import Result

Histogram = Any
"""A `hist.Hist`; the library is optional, and its type with it."""


def _library() -> Any:
    try:
        return importlib.import_module("hist")
    except ImportError:
        raise MissingExtraError("histograms need the library hist: pip install 'cevnslab[hist]'") from None


def _histogram(name: str, axis: tuple[str, str], edges: NDArray[np.float64], rows: Mapping[str, Any]) -> Histogram:
    hist = _library()
    histogram = hist.Hist(
        hist.axis.StrCategory(list(rows), name="component", label="component"),
        hist.axis.Variable(edges, name=axis[0], label=axis[1], underflow=False, overflow=False),
        storage=hist.storage.Double(),
        name=name,
        label="counts",
    )
    histogram.view()[...] = np.array(list(rows.values()))
    return histogram


def spectra(result: Result) -> dict[str, Histogram]:
    """Standard Model counts of the whole exposure, a histogram per projected detector.

    Axis `component` has the detector's channels and ``background``, axis `recoil_energy_kev` the bins, of counts, not
    densities. The storage has no variances: expectations have none.
    Raises `MissingExtraError` where the library is not installed.
    """
    axis = ("recoil_energy_kev", "reconstructed recoil energy (keV)")
    histograms = {}
    for s in result.spectra:
        channels = result.detectors[s.detector].channels.split("+")
        rows = {**{channel: getattr(s, channel) for channel in channels}, "background": s.background}
        histograms[s.detector] = _histogram(s.detector, axis, s.bin_edges_kev, rows)
    return histograms


def data_spectra(result: Result) -> dict[tuple[str, str], Histogram]:
    """Counts of experiments, by detector and axis: ``observed``, then the components of the Standard Model fit.

    Raises `MissingExtraError` where the library is not installed.
    """
    return {
        (s.detector, s.axis): _histogram(
            s.detector, (s.axis, s.axis), s.edges, {"observed": s.observed, **s.components}
        )
        for s in result.data_spectra
    }
