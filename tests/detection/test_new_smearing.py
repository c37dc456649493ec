"""A law of smearing is one class with the methods of `Smearing`: another one folds, and is described, as it stands."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
from support import near, perfect

import cevnslab as cl
from cevnslab.detection.efficiency import in_true_energy
from cevnslab.detection.smearing import Variable

EDGES_KEV = np.array([1.0, 1.5, 2.5, 6.0])
HALF_WIDTH_KEV = 0.4


@dataclass(frozen=True)
class Rectangular:
    """Every seen energy within a distance of the true one is as likely."""

    half_width_kev: float

    @property
    def variable(self):
        return Variable("constant", self.half_width_kev)

    def true_range(self, edges):
        return max(float(edges[0]) - self.half_width_kev, 0.0), float(edges[-1]) + self.half_width_kev

    def kinks_kev(self, edges, efficiency):
        return [float(edge) + side * self.half_width_kev for edge in edges for side in (-1, 1)]

    def steps_kev(self, edges, efficiency):
        return edges

    def seen_bins(self, edges, low_kev, high_kev):
        return slice(0, len(edges) - 1)

    def windows(self, edges, efficiency, energy_kev):
        below = np.clip((edges[:, None] - energy_kev) / (2 * self.half_width_kev) + 0.5, 0.0, 1.0)
        return np.diff(below, axis=0) * in_true_energy(efficiency, energy_kev)

    def described(self, unit):
        return f"seen within {self.half_width_kev:g} {unit}"


@pytest.fixture(scope="module")
def detector():
    germanium = cl.load_detector("ess-ge")
    return replace(
        germanium,
        resolution=Rectangular(HALF_WIDTH_KEV),
        efficiency=0.8,
        bin_edges_kev=EDGES_KEV,
        background_per_kg_day=np.zeros(len(EDGES_KEV) - 1),
    )


def test_its_counts_are_means_of_perfect_ones(detector):
    """Count by exchange of the integrals: the mean over seen energies E of what a perfect detector counts at E +- w."""
    source, nodes, weights = cl.load_source("ess"), *np.polynomial.legendre.leggauss(12)
    counts = cl.response(source, detector, couplings=["q_ee"], years=3).counts(q_ee=3e-9)
    for number, (low, high) in enumerate(itertools.pairwise(EDGES_KEV)):
        seen = (low + high) / 2 + (high - low) / 2 * nodes
        edges = np.union1d(seen - HALF_WIDTH_KEV, seen + HALF_WIDTH_KEV)
        fine = cl.response(source, perfect(detector, edges), couplings=["q_ee"], years=3).counts(q_ee=3e-9)
        cumulative = np.interp(seen + HALF_WIDTH_KEV, edges, np.append(0.0, np.cumsum(fine)))
        cumulative -= np.interp(seen - HALF_WIDTH_KEV, edges, np.append(0.0, np.cumsum(fine)))
        expected = 0.8 * np.sum(weights * cumulative) * (high - low) / 2 / (2 * HALF_WIDTH_KEV)
        assert counts[number] == near(expected, 1e-9)


def test_it_makes_a_limit(detector):
    fit = cl.likelihood(cl.response("ess", detector, couplings=["q_ee"], years=3), signal=0.10, background=0.01)
    (piece,) = cl.limit(fit, "q_ee").segments
    assert piece[0] < 0 < piece[1]


def test_a_study_file_without_keys_for_it_says_so(detector):
    keys = {"name": "mine", "source": "ess", "exposure_years": 3, "couplings": ["q_ee"], "detectors": [detector]}
    with pytest.raises(cl.errors.StudyError, match="resolution: a study has Gaussian widths alone, got Rectangular"):
        cl.study_from_dict(keys)
