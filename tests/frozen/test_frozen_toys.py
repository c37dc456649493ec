"""Pseudo-experiments: stored counts with their delta chi^2 at the truth (1e-9; Poisson 2e-3).

`make_toys.py` fits the counts of chosen cases again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.datasets import likelihoods
from cevnslab.detection.response import Response
from cevnslab.inference.toy_fits import ToyFit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.toys import with_metric

FROZEN = json.loads((Path(__file__).parent / "toys.json").read_text(encoding="utf-8"))
SIGNAL, BACKGROUND = 0.10, 0.01
CASES = {}
for number, entry in enumerate(FROZEN["cases"]):
    words = (entry["detector"], "+".join(entry["couplings"]), entry["truth"][0], entry["statistic"], entry["metric"])
    CASES["-".join(map(str, (number, *words, entry["ensemble"], entry["minimum"])))] = entry


@pytest.fixture(scope="module")
def responses() -> dict[str, Response]:
    return {setup.name: setup.response for setup in cl.study_from_dict(FROZEN["study"]).setups}


def likelihood_of(name: str, statistic: str, responses: dict[str, Response]) -> Likelihood:
    """One detector, or the combination with a common signal normalisation."""
    combined = {entry["name"]: entry["detectors"] for entry in FROZEN["study"]["combinations"]}
    signal = Parameter(f"{name}.signal", SIGNAL)
    datasets = []
    for member in combined.get(name, [name]):
        response = responses[member]
        backgrounds = {key: [Parameter(f"{member}.{key}", BACKGROUND)] for key in response.backgrounds}
        samples = likelihoods.samples_of(response, [signal], backgrounds)
        datasets.append(likelihoods.dataset_of(response, samples, statistic))
    return Likelihood(tuple(datasets))


def fitted(case: dict, responses: dict[str, Response]) -> np.ndarray:
    """Delta chi^2 at the truth of the stored counts of one case."""
    likelihood = likelihood_of(case["detector"], case["statistic"], responses)
    if case["metric"] == "fixed":
        likelihood = with_metric(likelihood)
    sizes = [len(dataset.observed) for dataset in likelihood.datasets]
    counts = np.split(np.array(case["counts"], dtype=float), np.cumsum(sizes)[:-1], axis=1)
    # Stored relative to one, the signal first, then one per background.
    centres, stored = np.zeros((len(case["counts"]), len(likelihood.parameters))), np.array(case["centres"])
    names = [parameter.name for parameter in likelihood.parameters]
    signal = f"{case['detector']}.signal"
    for column, name in enumerate([signal, *(name for name in names if name != signal)]):
        centres[:, names.index(name)] = stored[:, column] / (SIGNAL if name == signal else BACKGROUND)
    toys = likelihood.observation_of(counts, [np.zeros((1, 0)) for _ in sizes], centres)
    fit = ToyFit.of(likelihood, tuple(case["couplings"]), tuple(case["truth"]), minimum=case["minimum"])
    return fit.delta_chi2(toys)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_stored_counts(case, responses):
    chi2, stored = fitted(case, responses), np.array(case["delta_chi2"])
    tolerance = 2e-3 if case["statistic"] == "poisson" else 1e-9
    apart = np.abs(chi2 - stored) > tolerance * np.maximum(1, stored)
    assert not apart.any(), (chi2[apart], stored[apart])
