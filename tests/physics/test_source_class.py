"""A source is one class with the members of `Source`: another one gives counts and limits without an edit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.integrate import quad
from support import near

import cevnslab as cl
from cevnslab.physics.sources.source import FluxComponent, Steady, required_distance_m
from cevnslab.physics.spectra import LineSpectrum

CR51_MEV = 0.7466
YEAR_S = 365.25 * 24 * 3600


@dataclass(frozen=True)
class Capture(Steady):
    """Electron neutrinos of one energy from a decaying source of constant activity."""

    activity_bq: float
    name: str = "capture"
    hours_per_year: float = YEAR_S / 3600
    duty_factor: float = 1.0
    needs_distance: bool = True

    @property
    def components(self):
        return (FluxComponent("nu_e", "e", False, LineSpectrum(CR51_MEV)),)

    def fluence_per_cm2(self, distance_m, years):
        distance = 100 * required_distance_m(self.name, distance_m)
        return self.activity_bq * self.beam_seconds(years) / (4 * math.pi * distance**2)


def test_counts_and_a_limit():
    source = Capture(1e17)
    edges = np.linspace(0.005, 0.016, 4)
    detector = cl.Detector("ge", cl.nuclei.target("Ge"), 2.0, 1.0, edges, None, 1.0, np.zeros(3))
    response = cl.response(source, detector, couplings=["q_ee"], years=1)
    nuclei = 2000.0 / 72.63 * 6.02214076e23
    flux = source.fluence_per_cm2(1.0, 1.0)
    for count, low, high in zip(response.counts(), edges[:-1], edges[1:], strict=True):
        cross_section, _ = quad(lambda t: cl.cross_sections.cevns(t, CR51_MEV, "Ge").item(), low, high, epsabs=0)
        assert count == near(nuclei * flux * cross_section, 1e-4)
    limit = cl.limit(cl.likelihood(response, signal=0.05, background=0.0), "q_ee")
    assert limit.segments[0][0] < 0 < limit.segments[-1][1]
