"""Counts of a study in sight: expected spectra of its detectors, the signals that its figures ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cevnslab import results
from cevnslab.datasets.registry import dataset
from cevnslab.detection.response import Response
from cevnslab.likelihood.likelihood import Dataset
from cevnslab.results.description import FloatArray
from cevnslab.studies.setups import AnySetup, DatasetSetup, DetectorSetup
from cevnslab.studies.study import Study

ENERGY, TIME = 0, 1
"""Axes of a projected detector."""


def spectra(setups: Sequence[DetectorSetup]) -> tuple[results.Spectrum, ...]:
    """Expected counts against energy, a record per projected detector."""
    return tuple(
        results.Spectrum(
            detector=setup.name,
            bin_edges_kev=setup.detector.recoil_edges_kev,
            bin_edges_kevee=None if setup.detector.quenching is None else setup.response.axes[ENERGY].edges,
            **_projected(setup.response, ENERGY),
        )
        for setup in setups
    )


def time_spectra(setups: Sequence[DetectorSetup]) -> tuple[results.TimeSpectrum, ...]:
    """Expected counts against the arrival time, where a detector bins it."""
    return tuple(
        results.TimeSpectrum(setup.name, setup.response.axes[TIME].edges, **_projected(setup.response, TIME))
        for setup in setups
        if len(setup.response.axes) > TIME
    )


def _projected(response: Response, axis: int) -> dict[str, Any]:
    """Channels and backgrounds on one axis; a background alone has no name of its own."""
    named = {name: response.projected(counts, axis) for name, counts in response.backgrounds.items()}
    return {
        "cevns": response.projected(response.standard_model("cevns"), axis),
        "electron": response.projected(response.standard_model("electron"), axis),
        "background": response.projected(response.background, axis),
        "backgrounds": named if list(named) != ["background"] else {},
    }


def signals(study: Study, setups: Sequence[DetectorSetup]) -> tuple[results.SignalSpectrum, ...]:
    """The counts with new physics that the study's panels show."""
    by_name = {setup.name: setup for setup in setups}
    panels = [panel for figure in study.file.figures or [] for panel in figure.panels]
    spectra = []
    for signal in dict.fromkeys(signal for panel in panels for signal in panel.signals()):
        response, values = by_name[signal.detector].response, dict(signal.values)
        counts = response.projected(response.counts(**values), ENERGY if signal.axis == "energy" else TIME)
        spectra.append(results.SignalSpectrum(signal.detector, signal.axis, values, counts))
    return tuple(spectra)


def data_spectra(
    setup: AnySetup, observed: Dataset, components: Mapping[str, FloatArray]
) -> list[results.DataSpectrum]:
    """The counts of a detector on each of its axes, beside the components of a fit (counts per bin)."""
    response = setup.response
    description = dataset(setup.dataset).description if isinstance(setup, DatasetSetup) else None
    spectra = []
    for number, axis in enumerate(response.axes):
        words: dict[str, Any] = {}
        if description is not None:
            words = {
                "axis_label": description.axes[axis.name].label,
                "axis_unit": description.axes[axis.name].unit,
                "labels": {name: background.label for name, background in description.backgrounds.items()},
                "colours": {name: background.colour for name, background in description.backgrounds.items()},
            }
        if observed.errors is not None:
            # Those of bins that are added up add in quadrature.
            upper, lower = (np.sqrt(response.projected(side**2, number)) for side in observed.errors)
            words["errors"] = (lower, upper)
        spectra.append(
            results.DataSpectrum(
                detector=setup.name,
                axis=axis.name,
                edges=axis.edges,
                observed=response.projected(observed.observed, number),
                components={name: response.projected(part, number) for name, part in components.items()},
                measured=setup.real,
                **words,
            )
        )
    return spectra


def labels(study: Study) -> dict[str, str]:
    """How figures call every detector and combination.

    A projected detector without a label is called by its target, and by its name where two share a target.
    """
    texts = {spec.name: spec.label for spec in study.file.detectors}
    targets = [setup.label for setup in study.setups if texts[setup.name] is None]
    by_axis = {}
    for setup in study.setups:
        alone = texts[setup.name] is not None or targets.count(setup.label) == 1
        by_axis[setup.name] = setup.label if alone else setup.name
    return by_axis | {c.name: c.label or c.name for c in study.file.combinations}
