"""What several test files need: the reference numbers, direct integrals, Eq. (15) bin by bin, small studies."""

from __future__ import annotations

import copy
import functools
import itertools
import json
import math
import operator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import fixed_quad, quad

import cevnslab as cl
from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.physics.cross_sections import differential, scatterers
from cevnslab.physics.sources import (
    NU_E_SPECTRUM,
    PION_DECAY_AT_REST,
    FluxComponent,
    LineSpectrum,
    PionDecayAtRest,
    TabulatedSource,
)

PATIENCE_S = 900.0
"""Longest that a test waits for another process or thread: a hang ends some time, and a busy machine is no fault."""

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden.json").read_text(encoding="utf-8"))
GOLDEN_DETECTORS = {
    "CsI": "ess-csi",
    "Xe": "ess-xe",
    "Ge": "ess-ge",
    "CsI+electron, quenching 0.1": "ess-csi-electron",
    "CsI+electron, quenching 1.0": "ess-csi-electron-same-axis",
    "CsI+ES QF=0.1": "ess-csi-electron",
    "CsI+ES QF=1.0": "ess-csi-electron-same-axis",
}
"""The reference file's names for the presets."""

MILLICHARGES = ("q_ee", "q_mumu", "q_emu", "q_etau", "q_mutau")
FLAVOURS = {"nue": ("e", False), "numu": ("mu", False), "numubar": ("mu", True)}
"""The reference file's names for (flavour, antineutrino)."""


@dataclass(frozen=True)
class OneFlavour(PionDecayAtRest):
    """A source of which only one component shines."""

    only: str = "nue"

    @property
    def components(self):
        return tuple(c for c in PION_DECAY_AT_REST if (c.flavour, c.antineutrino) == FLAVOURS[self.only])

    @classmethod
    def of(cls, source, only):
        return cls(
            source.name,
            source.protons_per_year,
            source.neutrinos_per_proton,
            source.hours_per_year,
            source.duty_factor,
            only=only,
        )


def every_flavour():
    """A source of electron, muon and tau neutrinos with the spectrum of muon decay, at the ESS' fluence."""
    # Fewer of nu_tau: opposite charges of nu_mu and nu_tau must not cancel.
    shares = {"e": 1.0, "mu": 1.0, "tau": 0.5}
    parts = tuple(
        FluxComponent(f"nu_{flavour}", flavour, False, NU_E_SPECTRUM, yield_per_primary=share)
        for flavour, share in shares.items()
    )
    return TabulatedSource("every-flavour", parts, 9.28e7, 20.0, 5000, 0.04)


def near(expected, rel):
    """Relative closeness alone: pytest.approx would call any two cross sections equal to its absolute 1e-12."""
    return pytest.approx(expected, rel=rel, abs=0)


def channels_of(preset):
    return ("cevns", "electron") if "electron" in preset else ("cevns",)


def preset_response(preset, couplings=MILLICHARGES, years=3, source=None, **options):
    """The response of a detector preset with the channels that it is meant for."""
    options.setdefault("channels", channels_of(preset))
    source = source or cl.load_source("ess")
    return cl.response(source, cl.load_detector(preset), couplings=couplings, years=years, **options)


def perfect(detector, edges):
    """The same detector without resolution, efficiency and background, in other bins."""
    edges = np.asarray(edges, dtype=float)
    nothing = np.zeros(len(edges) - 1)
    return replace(detector, resolution=None, efficiency=1.0, bin_edges_kev=edges, background_per_kg_day=nothing)


def folded_cross_section(source, material, channel, recoil_kev, couplings, adaptive=False):
    """sum over flavours of the integral of phi(E) dsigma/dT(E) dE, by scipy: adaptive, or 12 nodes between kinks."""
    total = 0.0
    for component in source.components:

        def at(energy, component=component):
            options = {"couplings": couplings, "incoming": component.flavour, "antineutrino": component.antineutrino}
            return differential(channel, recoil_kev, energy, material, **options)

        if isinstance(component.spectrum, LineSpectrum):
            total += float(at(component.spectrum.energy_mev))
            continue

        def integrand(energy, density=component.spectrum.density_per_mev, at=at):
            return density(energy) * at(energy)

        highest = component.spectrum.maximum_energy_mev
        lowest = [
            float(particle.minimum_energy_mev(np.array(recoil_kev))) for particle, _ in scatterers(material, channel)
        ]
        borders = [*sorted({energy for energy in lowest if energy < highest}), highest]
        for low, high in itertools.pairwise(borders):
            if adaptive:
                total += quad(integrand, low, high, epsabs=0, epsrel=1e-10)[0]
            else:
                total += fixed_quad(integrand, low, high, n=12)[0]
    return total


def _window(detector, low, high, recoil):
    """Probability that a true recoil is counted between two reconstructed energies, by integration where needed."""
    efficiency, resolution = detector.efficiency, detector.resolution
    if resolution is None:
        inside = float(low < recoil < high)
        return inside * float(efficiency(recoil)) if isinstance(efficiency, EfficiencyTable) else inside * efficiency
    sigma = float(resolution.width_kev(recoil))
    if isinstance(efficiency, EfficiencyTable) and efficiency.axis == "reconstructed":

        def density(seen):
            gauss = math.exp(-0.5 * ((seen - recoil) / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
            return gauss * float(efficiency(seen))

        points = sorted({p for p in (*efficiency.energy_kev, recoil) if low < p < high})
        return quad(density, low, high, points=points or None, epsabs=1e-13, epsrel=1e-10, limit=200)[0]
    root = math.sqrt(2) * sigma
    nearer, farther = (low, high) if recoil < low else (high, low)  # in tails, differences of small numbers
    if low <= recoil <= high:
        probability = (math.erf((high - recoil) / root) - math.erf((low - recoil) / root)) / 2
    else:
        probability = (math.erfc(abs(nearer - recoil) / root) - math.erfc(abs(farther - recoil) / root)) / 2
    return probability * (float(efficiency(recoil)) if isinstance(efficiency, EfficiencyTable) else efficiency)


def _reach(detector, low, high, top):
    """True recoil energies that can be reconstructed between two energies, to eight widths."""
    if detector.resolution is None:
        return low, min(high, top)
    recoil = np.geomspace(1e-4, top, 5000)
    recoil = recoil[recoil >= (detector.resolution.minimum_true_kev or 0)]
    width = detector.resolution.width_kev(recoil)
    near_enough = recoil[(low - recoil < 8 * width) & (recoil - high < 8 * width)]
    smallest = detector.resolution.minimum_true_kev or 0.0
    return max(float(near_enough[0]) * 0.999, smallest), min(float(near_enough[-1]) * 1.001, top)


def direct_counts(source, detector, number, years, *, couplings=None, channel="cevns", kinks=()):
    """Counts in one bin by quadrature of the public cross sections, adaptive in T: no closed form, no panels.

    `kinks` are energies, on the detector's axis, at which the integrand is not smooth.
    """
    target_material, quenching = detector.target, detector.electron_quenching if channel == "electron" else 1.0
    low, high = detector.bin_edges_kev[number : number + 2]
    ends = [
        particle.maximum_recoil_kev(component.spectrum.maximum_energy_mev) / quenching
        for particle, _ in scatterers(target_material, channel)
        for component in source.components
    ]
    bottom, top = _reach(detector, low, high, max(ends))
    inner = {float(p) for p in (*ends, *kinks, low, high) if bottom < p < top}
    borders = [bottom, *sorted(inner), top]

    def integrand(recoil):
        return _window(detector, low, high, recoil) * folded_cross_section(
            source, target_material, channel, recoil * quenching, couplings
        )

    negligible = 1e-10 * integrand((low + high) / 2) * (high - low)
    integral = sum(quad(integrand, a, b, epsabs=negligible, epsrel=1e-8)[0] for a, b in itertools.pairwise(borders))
    first = target_material.constituents[0]
    formula_units = target_material.nuclei_per_kg(first) / first.per_formula_unit * detector.mass_kg
    return integral * quenching * formula_units * source.fluence_per_cm2(detector.distance_m, years)


def eq_15(signal, background, data, variance, sigma_a, sigma_b):
    """Eq. (15) minimised over a and b by a linear solve on all bins: (chi2, a, b)."""
    weight = 1 / np.sqrt(variance)
    rows = np.vstack([np.column_stack([signal, background]) * weight[:, None], np.diag([1 / sigma_a, 1 / sigma_b])])
    side = np.concatenate([(data - signal - background) * weight, [0.0, 0.0]])
    nuisances, *_ = np.linalg.lstsq(rows, side, rcond=None)
    return float(np.sum((rows @ nuisances - side) ** 2)), float(nuisances[0]), float(nuisances[1])


def with_normalisations(statistic, response, signal_width, background_widths, data=None):
    """The likelihood of one detector with normalisations alone: one width for all backgrounds, or one each."""
    name, backgrounds = response.name, list(response.backgrounds)
    widths = np.broadcast_to(background_widths, np.shape(background_widths) or (len(backgrounds),))
    constraints = {key: [Parameter(f"{name}.{key}", w)] for key, w in zip(backgrounds, widths, strict=True)}
    samples = samples_of(response, [Parameter(f"{name}.signal", signal_width)], constraints)
    return Likelihood((dataset_of(response, samples, statistic, data),))


def least_squares(response, signal_width, background_widths, data=None):
    """Eq. (15): the data, Asimov's unless given, are also the variances."""
    return with_normalisations("least-squares", response, signal_width, background_widths, data)


def poisson(response, signal_width, background_widths, data=None):
    """The same nuisances with Poisson's likelihood ratio."""
    return with_normalisations("poisson", response, signal_width, background_widths, data)


def combined(likelihoods, signal):
    """Detectors as one likelihood: with one signal normalisation, the flux, if `correlated`; else one each."""
    whole = functools.reduce(operator.add, likelihoods)
    common = {f"{dataset.name}.signal": "flux" for dataset in whole.datasets}
    return whole.renamed(common) if signal == "correlated" else whole


def with_counts(measurement, observed):
    """A measurement with other observed counts."""
    datasets = tuple(replace(dataset, observed=observed) for dataset in measurement.likelihood.datasets)
    return replace(measurement, observed=observed, likelihood=replace(measurement.likelihood, datasets=datasets))


def components(likelihood, couplings=None, **nuisances):
    """Counts of every component of a single data set, nuisances by their short names and in plain units."""
    (dataset,) = likelihood.datasets
    couplings = couplings or {}
    point = [couplings.get(variable.name, variable.standard_model) for variable in likelihood.polynomial.variables]
    short = {f"{dataset.name}.{name}": value for name, value in nuisances.items()}
    assert set(short) <= {parameter.name for parameter in likelihood.parameters}
    pulls = [(short.get(p.name, p.centre) - p.centre) / p.unit for p in likelihood.parameters]
    return likelihood.expected(np.array(point), np.array(pulls))[dataset.name]


STUDY = {
    "name": "my-study",
    "source": "ess",
    "exposure_years": 3,
    "couplings": ["q_ee", "q_emu"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "detectors": [
        {
            "name": "my-ge",
            "target": "Ge",
            "mass_kg": 5,
            "distance_m": 15,
            "threshold_kev": 1.0,
            "maximum_kev": 40.0,
            "bins": 8,
            "resolution": {"sigma_kev": 0.2, "at_kev": 1.0},
            "efficiency": 0.7,
            "background_ckkd": 4,
        }
    ],
}
"""A small study that is right in every key."""

REMOVED = object()


def changed(changes, base=None):
    """A copy of a study with some keys changed: {"detectors.0.mass_kg": -1}; REMOVED takes a key away."""
    keys = copy.deepcopy(base if base is not None else STUDY)
    for path, value in changes.items():
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place = keys
        for parent in parents:
            place = place[parent]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return keys
