"""The recoil integral: converged for every preset, and windows that are probabilities."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm
from support import near, preset_response

import cevnslab as cl
from cevnslab.datasets.coherent_csi_2021 import model as csi_2021
from cevnslab.datasets.coherent_lar_2020 import model as lar_2020
from cevnslab.detection import quadrature
from cevnslab.detection.detector import EfficiencyTable, Resolution
from cevnslab.detection.quadrature import bin_windows, recoil_nodes
from cevnslab.errors import PhysicsError
from cevnslab.physics.couplings import coupling
from cevnslab.physics.sources import PION_DECAY_AT_REST
from cevnslab.studies import presets

LAWS = {
    "sqrt": Resolution(0.3, 1.0),
    "linear": Resolution(0.3, 3.0, "linear"),
    "constant": Resolution(0.3, 1.0, "constant", minimum_true_kev=0.2),
    "none": None,
}
every_law = pytest.mark.parametrize("law", LAWS)
PROJECTED = [name for name in presets.names("detectors") if "experiment" not in presets.load("detectors", name)]
MEASURED = [name for name in presets.names("detectors") if name not in PROJECTED]


def make_finer(monkeypatch):
    """From now on two and a half times as many panels, five times as many at least."""
    monkeypatch.setattr(quadrature, "SIGMAS_PER_PANEL", quadrature.SIGMAS_PER_PANEL / 2.5)
    monkeypatch.setattr(quadrature, "MINIMUM_PANELS", 5 * quadrature.MINIMUM_PANELS)


@pytest.mark.parametrize("preset", PROJECTED)
def test_converged_to_one_in_a_billion(preset, monkeypatch):
    usual = preset_response(preset)
    make_finer(monkeypatch)
    finer = preset_response(preset)
    for channel in usual.channels:
        totals = np.abs(finer.coefficients[channel]).sum(axis=1, keepdims=True)
        difference = np.abs(usual.coefficients[channel] - finer.coefficients[channel])
        assert np.all(difference <= 1e-9 * np.abs(finer.coefficients[channel]) + 1e-11 * totals)
        assert np.any(difference > 0)  # the panels did change


def test_there_are_eight_projected_detectors_and_two_data_sets():
    assert len(PROJECTED) == 8
    assert MEASURED == ["coherent-csi-2021", "coherent-lar-2020"]


CSI_LIGHT = np.array([0.055, 4.3, -112.0, 840.0])
CSI_EFFICIENCY = np.array([1.3, 0.29, 10.8, -0.32])
LAR_EFFICIENCY = EfficiencyTable((0.0, 0.8, 3.0, 10.0, 120.0), (0.0, 0.0, 0.4, 0.9, 0.95), "reconstructed")
"""Curves like the releases'; these need no data."""


def counts_of_an_experiment(preset, channel):
    """Counts per energy bin (and time bin) of every monomial, without the data."""
    study = cl.study_from_dict({"name": "x", "couplings": ["q_ee", "q_emu"], "detectors": [{"preset": preset}]})
    setup, couplings = study.setups[0].setup, (coupling("q_ee"), coupling("q_emu"))
    if preset == "coherent-lar-2020":
        return lar_2020.calculated(setup, couplings, LAR_EFFICIENCY)
    return csi_2021.energy_terms(setup, setup.target, PION_DECAY_AT_REST, channel, couplings, CSI_LIGHT, CSI_EFFICIENCY)


@pytest.mark.parametrize(
    ("preset", "channel"),
    [("coherent-csi-2021", "cevns"), ("coherent-csi-2021", "electron"), ("coherent-lar-2020", "cevns")],
)
def test_data_sets_are_converged_too(preset, channel, monkeypatch):
    usual = counts_of_an_experiment(preset, channel)
    make_finer(monkeypatch)
    finer = counts_of_an_experiment(preset, channel)
    assert set(usual) == set(finer)
    for monomial, counts in usual.items():
        assert counts == pytest.approx(finer[monomial], rel=1e-8, abs=1e-9 * float(np.abs(finer[monomial]).sum()))
    assert any(np.any(usual[monomial] != finer[monomial]) for monomial in usual)  # the panels did change


@every_law
def test_nodes_integrate_a_function_with_a_kink(law):
    edges, kink = np.linspace(1.0, 20.0, 11), 7.3
    nodes = recoil_nodes(edges, LAWS[law], 25.0, kinks=[kink])
    low, high = quadrature.true_range(edges, LAWS[law])

    def function(recoil):
        return np.exp(-recoil / 5) / recoil * (1 + np.abs(recoil - kink))

    by_quad = sum(quad(function, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in ((low, kink), (kink, min(high, 25.0))))
    assert float(nodes.weight_kev @ function(nodes.recoil_energy_kev)) == near(by_quad, 1e-10)
    assert np.all(np.diff(nodes.recoil_energy_kev) > 0)


@every_law
def test_true_energies_left_out_cannot_be_seen(law):
    if LAWS[law] is None:
        return_low, return_high = quadrature.true_range(np.array([1.0, 20.0]), None)
        assert (return_low, return_high) == (1.0, 20.0)
        return
    low, high = quadrature.true_range(np.array([1.0, 20.0]), LAWS[law])
    assert (20.0 - high) / float(LAWS[law].width_kev(high)) < -8
    if law != "constant":
        assert (1.0 - low) / float(LAWS[law].width_kev(low)) > 8
    else:
        assert low == LAWS[law].minimum_true_kev


@every_law
@given(recoil=st.floats(6.0, 12.0))
def test_wide_bins_conserve_events(law, recoil):
    edges = np.concatenate([[1e-3], np.linspace(1.0, 40.0, 14), [400.0]])
    windows = bin_windows(edges, LAWS[law], 1.0, np.array([recoil]))
    assert windows.shape == (15, 1)
    assert float(windows.sum()) == near(1.0, 1e-12)
    assert np.all(windows >= 0)


@pytest.mark.parametrize("law", ["sqrt", "linear", "constant"])
def test_windows_are_gaussian_probabilities(law):
    edges, recoil = np.array([1.0, 2.0, 4.0]), np.array([0.7, 2.5, 5.0])
    width = LAWS[law].width_kev(recoil)
    expected = np.diff(norm.cdf(edges[:, None], recoil, width), axis=0)
    assert bin_windows(edges, LAWS[law], 1.0, recoil) == pytest.approx(expected, rel=1e-10, abs=1e-15)
    assert bin_windows(edges, LAWS[law], 0.25, recoil) == pytest.approx(expected / 4, rel=1e-10, abs=1e-15)


@pytest.mark.parametrize(("law", "factor"), [("sqrt", 2.0), ("linear", 4.0), ("constant", 1.0)])
def test_width_grows_by_its_law(law, factor):
    resolution = LAWS[law]
    assert float(resolution.width_kev(resolution.at_kev)) == near(0.3, 1e-14)
    assert float(resolution.width_kev(4 * resolution.at_kev)) == near(0.3 * factor, 1e-14)


def test_a_constant_width_needs_a_smallest_recoil():
    with pytest.raises(PhysicsError, match="minimum_true_kev"):
        Resolution(0.3, 1.0, "constant")


@every_law
def test_efficiency_of_the_reconstructed_energy(law):
    edges, recoil = np.array([1.0, 2.0, 4.0, 7.0]), np.array([1.4, 3.2, 5.5])
    table = EfficiencyTable((0.5, 1.5, 3.0, 8.0), (0.0, 0.6, 0.7, 0.9), "reconstructed")
    windows = bin_windows(edges, LAWS[law], table, recoil)
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        for j, true in enumerate(recoil):
            if LAWS[law] is None:
                expected = float(table(true)) if low < true < high else 0.0
            else:
                width = float(LAWS[law].width_kev(true))
                inner = [point for point in (*table.energy_kev, true) if low < point < high]
                expected = sum(
                    quad(lambda seen, t=true, w=width: float(table(seen)) * norm.pdf(seen, t, w), a, b, epsabs=1e-14)[0]
                    for a, b in itertools.pairwise(sorted({low, *inner, high}))
                )
            assert windows[i, j] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_efficiency_of_the_true_recoil():
    edges, recoil = np.array([1.0, 2.0, 4.0]), np.array([1.4, 3.2])
    table = EfficiencyTable((0.5, 2.0, 8.0), (0.1, 0.4, 0.9), "recoil")
    plain = bin_windows(edges, LAWS["sqrt"], 1.0, recoil)
    assert bin_windows(edges, LAWS["sqrt"], table, recoil) == pytest.approx(plain * table(recoil), rel=1e-13)
    assert float(table(1.25)) == near(0.25, 1e-13)


@pytest.mark.parametrize("axis", ["recoil", "reconstructed"])
def test_an_efficiency_is_never_guessed(axis):
    table = EfficiencyTable((1.5, 3.0), (0.5, 0.6), axis)
    with pytest.raises(PhysicsError, match=r"1\.5 to 3"):
        bin_windows(np.array([1.0, 2.0, 4.0]), LAWS["sqrt"], table, np.array([1.0, 3.5]))


def test_bins_that_no_recoil_reaches():
    with pytest.raises(PhysicsError, match="no recoil"):
        recoil_nodes(np.array([500.0, 600.0]), LAWS["sqrt"], 45.0)


def test_presets_load_by_name():
    assert cl.load_detector("ess-xe").mass_kg == 20
