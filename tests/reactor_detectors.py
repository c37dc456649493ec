"""The germanium detectors of the independent reactor calculation (golden-reactor.json), folded in the recoil energy."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path

import numpy as np
from scipy.special import erf

from cevnslab.detection.folding import fold
from cevnslab.physics.cross_sections import scatterers
from cevnslab.physics.nuclei import target

REACTOR = json.loads((Path(__file__).parent / "data" / "golden-reactor.json").read_text(encoding="utf-8"))
SPECTRA = Path(os.environ.get("CEVNSLAB_DATA", "")) / "reactor" / "reactor-spectra"
"""Spectra that may not be shipped."""
QUENCHING = Path(os.environ.get("CEVNSLAB_DATA", "")) / "reactor" / "dresden-ii" / "QF_Fef_YBe.txt"

CONUS_FUEL = {"U235": 0.53, "U238": 0.08, "Pu239": 0.32, "Pu241": 0.07}
DRESDEN_FUEL = {"U235": 0.58, "U238": 0.08, "Pu239": 0.29, "Pu241": 0.05}
PAIR_KEV = 2.96e-3


def lindhard(recoil_kev, k=0.162, charge=32):
    """Quenching factor of Lindhard's model."""
    epsilon = 11.5 * charge ** (-7 / 3) * recoil_kev
    g = 3 * epsilon**0.15 + 0.7 * epsilon**0.6 + epsilon
    return k * g / (1 + k * g)


@functools.cache
def germanium():
    return target("Ge", rms_radius_fm=4.06, convention="isotopes")


def windows(edges, light_kev, noise_kev, fano, truncated=True):
    """Probability of each bin for true light: a Gaussian of noise and pairs, cut off at 0 and renormalised."""
    width = np.sqrt(noise_kev**2 + PAIR_KEV * fano * light_kev)
    z = (edges[:, None] - light_kev) / (np.sqrt(2) * width)
    shares = np.diff(erf(z), axis=0) / 2
    if truncated:
        shares = shares * 2 / (1 + erf(light_kev / (np.sqrt(2) * width)))
    return shares * (light_kev > PAIR_KEV)


def counts(source, distance_m, days, edges_kevee, quenching=lindhard, noise_kev=0.02038, fano=0.1096, channel="cevns"):
    """Standard Model counts per kg in bins of light."""
    nodes, weights = np.polynomial.legendre.leggauss(8)
    borders = np.linspace(0.0, 6.0, 3001) if channel == "cevns" else np.linspace(0.0, 1.0, 2001)
    half = np.diff(borders)[:, None] / 2
    recoil = ((borders[:-1, None] + half) + half * nodes).ravel()
    weight = (half * weights).ravel()
    light = quenching(recoil) * recoil if channel == "cevns" else recoil
    material = germanium()
    first = material.constituents[0]
    units = material.nuclei_per_kg(first) / first.per_formula_unit
    years = days * 24 / source.hours_per_year / source.duty_factor
    luminosity = source.fluence_per_cm2(distance_m, years) * units
    shares = windows(np.asarray(edges_kevee), light, noise_kev, fano)
    return fold(scatterers(material, channel), source.components, (), recoil, weight, shares, luminosity)[()]
