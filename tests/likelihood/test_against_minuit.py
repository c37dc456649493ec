"""The own minimiser against iminuit for six likelihoods: the same numbers by a second route (`written_out`)."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from support import changed, poisson, preset_response
from written_out import Lowest, lowest, objective

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.likelihood.fit import fit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.studies.analysis import analyses

CSI, LAR = "coherent-csi-2021", "coherent-lar-2020"
CHARGES = ["q_ee", "q_mumu", "q_emu"]
POINTS = {
    "standard model": {},
    "q_ee": {"q_ee": 8e-8},
    "q_mumu": {"q_mumu": -5e-8},
    "far": {"q_ee": 6.05e-7},
    "two": {"q_ee": -6e-8, "q_emu": 4e-8},
}
every_point = pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)


def assert_same_minimum(likelihood, couplings, random=2, **options):
    """Minuit may end higher than our own minimiser; lower, or elsewhere at the same height, never."""
    point = [couplings.get(v.name, v.standard_model) for v in likelihood.polynomial.variables]
    minimum = likelihood.minimised(np.array([point]))
    values = values_at(likelihood, minimum.pulls[0])
    # The same function: what is said to be its minimum is its value there.
    taus = best_taus(likelihood, couplings, values)
    assert objective(likelihood, couplings, values | taus) == pytest.approx(minimum.chi2[0], rel=1e-9, abs=1e-9)
    minuit = lowest(likelihood, couplings, random=random, **options)
    assert minimum.chi2[0] <= minuit.chi2 + 1e-6
    assert minimum.chi2[0] == pytest.approx(minuit.chi2, abs=3e-3)
    for name, value in values.items():
        assert abs(value - minuit.values[name]) <= 0.1 * minuit.errors[name] + 1e-6, name


def values_at(likelihood, pulls):
    """Nuisance parameters in plain units, by name."""
    return {p.name: p.centre + p.unit * pull for p, pull in zip(likelihood.parameters, pulls, strict=True)}


def best_taus(likelihood, couplings, values):
    """Expectations of off-counts by Minuit, all else as it is: they are no output of the minimiser."""
    fixed = {p.name: replace(p, centre=values[p.name], width=0.0) for p in likelihood.parameters}
    if not any(sample.per_bin for dataset in likelihood.datasets for sample in dataset.samples):
        return {}
    alone = lowest(likelihood.with_parameters(fixed), couplings, random=0, tol=1e-7)
    return {name: value for name, value in alone.values.items() if name not in fixed}


# 1: a projection ------------------------------------------------------------------------------------------------------


@every_point
def test_a_projected_detector(point):
    response = preset_response("ess-csi-electron", CHARGES)
    rising = np.linspace(0.2, 1.8, len(response.background)) * response.background
    response = replace(response, backgrounds={"flat": response.background, "rising": rising})
    counts = np.random.default_rng(4).poisson(response.counts(q_ee=2e-10) + response.background).astype(float)
    nearer = {name: value / 100 for name, value in point.items()}
    assert_same_minimum(poisson(response, 0.1, (0.02, 0.3), counts), nearer, tol=1e-5)


# 2 to 4: real data ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def csi(coherent_data):
    return cl.load_dataset(CSI, couplings=CHARGES, nuisances="shape", off_counts="exact", data=coherent_data)


@pytest.fixture(scope="module")
def lar(coherent_data):
    return cl.load_dataset(LAR, couplings=CHARGES, nuisances="shape", data=coherent_data)


@every_point
def test_caesium_iodide_with_all_shapes(point, csi):
    assert_same_minimum(csi, point, random=8)


@every_point
def test_argon_with_all_shapes(point, lar):
    assert_same_minimum(lar, point, random=4)


ANTI_COINCIDENT = np.array([4.0, 98, 144, 123, 105, 202, 182, 216, 221])
"""Counts of CsI's rows of photoelectrons outside the beam window, up to 60 PE and 6 us."""


def with_anti_coincident_counts(csi):
    """The steady background known row by row from its own counts; its total of 1286 and its 2.1 % stay."""
    (dataset,) = csi.datasets
    samples = []
    for sample in dataset.samples:
        if sample.name == "steady_state":
            assert sample.coefficients[0] == pytest.approx(1286 * ANTI_COINCIDENT / ANTI_COINCIDENT.sum(), rel=1e-9)
            in_time = sample.shift.fractions[0]
            rows = np.repeat(np.arange(len(ANTI_COINCIDENT)), len(in_time))
            template = PerBin(ANTI_COINCIDENT, 1286 / ANTI_COINCIDENT.sum(), rows)
            counts = np.tile(in_time, len(ANTI_COINCIDENT))[None, :]
            samples.append(Sample("steady_state", counts, modifiers=[template, *sample.scales]))
        else:
            samples.append(sample)
    return Likelihood((replace(dataset, samples=tuple(samples)),))


@pytest.fixture(scope="module")
def both(csi, lar):
    """CsI and LAr with one flux beside their own normalisations, and CsI's steady background from its own counts."""
    parts = {f"{CSI}.signal": np.sqrt(0.12**2 - 0.10**2), f"{LAR}.signal": np.sqrt((17 / 128) ** 2 - 0.10**2)}
    together = (with_anti_coincident_counts(csi) + lar).with_widths(parts)
    return together.modified(["cevns"], lambda _: Scale(Parameter("flux", 0.10)))


@every_point
def test_caesium_iodide_and_argon_with_a_common_flux_and_off_beam_counts(point, both):
    assert sum(parameter.name == "flux" for parameter in both.parameters) == 1
    assert_same_minimum(both, point, random=4)


# 5: a combination -----------------------------------------------------------------------------------------------------


def scaled_study():
    """Germanium and caesium iodide, Poisson and least squares, whose energies are wrong by one factor."""
    keys = changed({"couplings": CHARGES, "detectors.0.statistic": "poisson"})
    keys["detectors"].append({"preset": "ess-csi"})
    keys["combinations"] = [{"name": "both", "detectors": ["my-ge", "ess-csi"], "signal": "correlated"}]
    keys["systematics"] = [{"name": "calibration", "kind": "energy_scale", "width": 0.03}]
    return cl.study_from_dict(keys)


@every_point
def test_a_combination_with_a_common_energy_scale(point):
    likelihood = analyses(scaled_study())["both"].likelihood
    names = {parameter.name for parameter in likelihood.parameters}
    assert {"calibration", "both.signal"} < names
    assert sum(name.endswith("calibration") for name in names) == 1
    # Data that are not the expectation, so that the scale is pulled.
    bent = likelihood.asimov(pulls=np.array([1.3 if p.name == "calibration" else 0.4 for p in likelihood.parameters]))
    nearer = {name: value / 10 for name, value in point.items()}
    assert_same_minimum(bent, nearer, tol=1e-5)


# 6: couplings that are minimised over ---------------------------------------------------------------------------------

HIDDEN = ("q_mumu", "eps_ee_u", "sin2_theta_w")
STARTS = {"q_mumu": (-6e-9, 0.0, 6e-9), "eps_ee_u": (0.0, 0.4), "sin2_theta_w": (0.20, 0.24)}


def lowest_of_many(likelihood, couplings):
    """Minuit over nuisances and hidden couplings from every corner of a small grid."""
    fits = []
    for corner in itertools.product(*STARTS.values()):
        fits.append(lowest(likelihood, couplings, free=dict(zip(STARTS, corner, strict=True)), random=0))
    best = min(fits, key=lambda each: each.chi2)
    assert isinstance(best, Lowest)
    return best


@pytest.fixture(scope="module")
def four():
    response = preset_response("ess-csi", ["q_ee", *HIDDEN])
    counts = np.random.default_rng(12).poisson(response.counts() + response.background).astype(float)
    return poisson(response, 0.1, 0.01, counts)


@pytest.mark.parametrize("value", [-2e-8, 0.0, 1.5e-8, 6e-8])
def test_three_couplings_minimised_over(value, four):
    ours = float(Chi2.of(four, ["q_ee"], HIDDEN)(value))
    minuit = lowest_of_many(four, {"q_ee": value}).chi2
    assert ours <= minuit + 1e-5
    assert ours == pytest.approx(minuit, abs=3e-3)


# Best fits with their errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coupling", ["q_ee", "q_mumu"])
def test_the_covariance_of_a_coupling_with_all_shapes(coupling, csi):
    """Couplings, scales, bends and the offset together: Minuit's HESSE at the same best fit."""
    best = fit(csi, [coupling])
    start = {p.name: best.parameter(p.name).value for p in csi.parameters}
    minuit = lowest(csi, free={coupling: best.parameter(coupling).value}, starts=[start], strategy=2, tol=1e-5)
    assert best.chi2 == pytest.approx(minuit.chi2, abs=1e-5)
    for name in (coupling, *start):
        row = best.parameter(name)
        assert row.value == pytest.approx(minuit.values[name], abs=0.02 * row.error), name
        assert row.error == pytest.approx(minuit.errors[name], rel=0.02), name
