"""The recoil integral: converged for every preset, and windows that are probabilities."""

from __future__ import annotations

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import gamma, norm, truncnorm
from support import near, preset_response

import cevnslab as cl
from cevnslab.datasets.coherent_csi_2021 import model as csi_2021
from cevnslab.datasets.coherent_lar_2020 import model as lar_2020
from cevnslab.detection import quadrature
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.quenching import UNQUENCHED, QuenchingTable
from cevnslab.detection.readout import Readout
from cevnslab.detection.smearing import GammaPhotoelectrons, IonisationResolution, Perfect, Resolution
from cevnslab.errors import PhysicsError
from cevnslab.physics.couplings import coupling
from cevnslab.studies import presets

LAWS = {
    "sqrt": Resolution(0.3, 1.0),
    "linear": Resolution(0.3, 3.0, "linear"),
    "constant": Resolution(0.3, 1.0, "constant", minimum_true_kev=0.2),
    "none": Perfect(),
}
every_law = pytest.mark.parametrize("law", LAWS)
PROJECTED = [name for name in presets.names("detectors") if "dataset" not in presets.load("detectors", name)]
MEASURED = [name for name in presets.names("detectors") if name not in PROJECTED]


def make_finer(monkeypatch):
    """From now on two and a half times as many panels, five times as many at least."""
    monkeypatch.setattr(quadrature, "SIGMAS_PER_PANEL", quadrature.SIGMAS_PER_PANEL / 2.5)
    monkeypatch.setattr(quadrature, "MINIMUM_PANELS", 5 * quadrature.MINIMUM_PANELS)


@pytest.mark.parametrize("preset", PROJECTED)
def test_converged_to_one_in_a_billion(preset, monkeypatch):
    nominal = preset_response(preset)
    make_finer(monkeypatch)
    finer = preset_response(preset)
    for channel in nominal.channels:
        totals = np.abs(finer.coefficients[channel]).sum(axis=1, keepdims=True)
        difference = np.abs(nominal.coefficients[channel] - finer.coefficients[channel])
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
    return csi_2021.energy_terms(setup, setup.target, channel, couplings, CSI_LIGHT, CSI_EFFICIENCY)


@pytest.mark.parametrize(
    ("preset", "channel"),
    [("coherent-csi-2021", "cevns"), ("coherent-csi-2021", "electron"), ("coherent-lar-2020", "cevns")],
)
def test_data_sets_are_converged_too(preset, channel, monkeypatch):
    reference_case = counts_of_an_experiment(preset, channel)
    make_finer(monkeypatch)
    finer = counts_of_an_experiment(preset, channel)
    assert set(reference_case) == set(finer)
    for monomial, counts in reference_case.items():
        assert counts == pytest.approx(finer[monomial], rel=1e-8, abs=1e-9 * float(np.abs(finer[monomial]).sum()))
    assert any(
        np.any(reference_case[monomial] != finer[monomial]) for monomial in reference_case
    )  # the panels did change


@every_law
def test_nodes_integrate_a_function_with_a_kink(law):
    edges, kink = np.linspace(1.0, 20.0, 11), 7.3
    nodes = Readout(edges, UNQUENCHED, LAWS[law]).nodes(25.0, [kink])
    low, high = LAWS[law].true_range(edges)

    def function(recoil):
        return np.exp(-recoil / 5) / recoil * (1 + np.abs(recoil - kink))

    by_quad = sum(quad(function, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in ((low, kink), (kink, min(high, 25.0))))
    assert float(nodes.weight_kev @ function(nodes.recoil_energy_kev)) == near(by_quad, 1e-10)
    assert np.all(np.diff(nodes.recoil_energy_kev) > 0)


@every_law
def test_true_energies_left_out_cannot_be_seen(law):
    if law == "none":
        return_low, return_high = LAWS[law].true_range(np.array([1.0, 20.0]))
        assert (return_low, return_high) == (1.0, 20.0)
        return
    low, high = LAWS[law].true_range(np.array([1.0, 20.0]))
    assert (20.0 - high) / float(LAWS[law].width_kev(high)) < -8
    if law != "constant":
        assert (1.0 - low) / float(LAWS[law].width_kev(low)) > 8
    else:
        assert low == LAWS[law].minimum_true_kev


@every_law
@given(recoil=st.floats(6.0, 12.0))
def test_wide_bins_conserve_events(law, recoil):
    edges = np.concatenate([[1e-3], np.linspace(1.0, 40.0, 14), [400.0]])
    windows = LAWS[law].windows(edges, 1.0, np.array([recoil]))
    assert windows.shape == (15, 1)
    assert float(windows.sum()) == near(1.0, 1e-12)
    assert np.all(windows >= 0)


@pytest.mark.parametrize("law", ["sqrt", "linear", "constant"])
def test_windows_are_gaussian_probabilities(law):
    edges, recoil = np.array([1.0, 2.0, 4.0]), np.array([0.7, 2.5, 5.0])
    width = LAWS[law].width_kev(recoil)
    expected = np.diff(norm.cdf(edges[:, None], recoil, width), axis=0)
    assert LAWS[law].windows(edges, 1.0, recoil) == pytest.approx(expected, rel=1e-10, abs=1e-15)
    assert LAWS[law].windows(edges, 0.25, recoil) == pytest.approx(expected / 4, rel=1e-10, abs=1e-15)


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
    windows = LAWS[law].windows(edges, table, recoil)
    for i, (low, high) in enumerate(itertools.pairwise(edges)):
        for j, true in enumerate(recoil):
            if law == "none":
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
    plain = LAWS["sqrt"].windows(edges, 1.0, recoil)
    assert LAWS["sqrt"].windows(edges, table, recoil) == pytest.approx(plain * table(recoil), rel=1e-13)
    assert float(table(1.25)) == near(0.25, 1e-13)


@pytest.mark.parametrize("axis", ["recoil", "reconstructed"])
def test_an_efficiency_is_never_guessed(axis):
    table = EfficiencyTable((1.5, 3.0), (0.5, 0.6), axis)
    with pytest.raises(PhysicsError, match=r"1\.5 to 3"):
        LAWS["sqrt"].windows(np.array([1.0, 2.0, 4.0]), table, np.array([1.0, 3.5]))


def test_bins_that_no_recoil_reaches():
    with pytest.raises(PhysicsError, match="no recoil"):
        Readout(np.array([500.0, 600.0]), UNQUENCHED, LAWS["sqrt"]).nodes(45.0)


def test_presets_load_by_name():
    assert cl.load_detector("ess-xe").mass_kg == 20


IONISATION = IonisationResolution(0.0685, 0.105, 2.96e-3)
"""Germanium's, as Dresden-II has it."""


def test_ionisation_windows_are_truncated_gaussians():
    edges, energy = np.array([-0.1, 0.0, 0.1, 0.2, 5.0]), np.array([0.003, 0.05, 0.15, 1.0])
    width = np.sqrt(0.0685**2 + 0.105 * 2.96e-3 * energy)
    assert IONISATION.width_kev(energy) == near(width, 1e-14)
    expected = np.diff(truncnorm.cdf(edges[:, None], -energy / width, np.inf, energy, width), axis=0)
    assert IONISATION.windows(edges, 0.5, energy) == pytest.approx(expected / 2, rel=1e-10, abs=1e-15)
    assert IONISATION.windows(np.array([0.0, 50.0]), 1.0, energy) == near(1.0, 1e-12)
    plain = IonisationResolution(0.0685, 0.105, 2.96e-3, truncated=False)
    expected = np.diff(norm.cdf(edges[:, None], energy, width), axis=0)
    assert plain.windows(edges, 1.0, energy) == pytest.approx(expected, rel=1e-10, abs=1e-15)


def test_the_reach_of_ionisation_is_that_of_its_tails():
    low, high = IONISATION.true_range(np.array([0.9, 1.4]))
    for energy, edge in ((low, 0.9), (high, 1.4)):
        assert abs(energy - edge) / float(IONISATION.width_kev(energy)) == near(8.5, 1e-9)
    assert IONISATION.true_range(np.array([0.2, 1.4]))[0] == 2.96e-3  # one pair


PHOTOELECTRONS = GammaPhotoelectrons(per_kev=13.35, shape_per_kev=9.56, minimum_true_kev=0.01)


@pytest.mark.parametrize("efficiency", [0.7, EfficiencyTable((0.0, 70.0), (0.2, 0.9), "reconstructed")])
def test_photoelectrons_follow_a_gamma_law(efficiency):
    edges, light = np.array([0.0, 8.0, 12.0, 60.0]), np.array([0.3, 1.1, 3.0])
    windows = PHOTOELECTRONS.windows(edges, efficiency, light)
    for number, (low, high) in enumerate(itertools.pairwise(edges)):
        for point, energy in enumerate(light):
            law = gamma(1 + 9.56 * energy, scale=13.35 * energy / (1 + 9.56 * energy))
            seen = np.linspace(low, high, round(4 * (high - low)) + 1)
            share = efficiency((seen[1:] + seen[:-1]) / 2) if callable(efficiency) else efficiency
            assert windows[number, point] == near(float(np.sum(np.diff(law.cdf(seen)) * share)), 1e-10)
    reach = PHOTOELECTRONS.true_range(edges)
    assert reach[0] == 0.01
    assert gamma(1 + 9.56 * reach[1], scale=13.35 * reach[1] / (1 + 9.56 * reach[1])).cdf(60.0) < 1e-12


def test_light_that_bends_back_is_folded_in_the_recoil_energy():
    """Against an adaptive integral of recoils over a smooth rate, where the light falls from 1.1 to 1.4 keV."""
    light = QuenchingTable((0.2, 1.2, 1.4, 4.0), (0.4, 0.2, 0.15, 0.2))
    readout = Readout(np.array([0.2, 0.23, 0.3]), light, IonisationResolution(0.01, 0.105, 2.96e-3))
    nodes = readout.nodes(3.5)
    rate = np.exp(-nodes.recoil_energy_kev) / nodes.recoil_energy_kev
    counts = readout.windows(nodes.recoil_energy_kev) @ (nodes.weight_kev * rate)
    borders = [0.2, 1.1, 1.2, 1.4, 3.5]
    for number in range(2):

        def integrand(recoil, bin_=number):
            return float(readout.windows(np.array([recoil]))[bin_, 0]) * np.exp(-recoil) / recoil

        pieces = [quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=400)[0] for a, b in itertools.pairwise(borders)]
        assert counts[number] == near(sum(pieces), 1e-9)


def test_a_law_of_light_that_ends_within_the_bins():
    readout = Readout(np.array([0.2, 0.3, 2.0]), QuenchingTable((0.2, 4.0), (0.2, 0.2)), LAWS["sqrt"])
    with pytest.raises(PhysicsError, match=r"covers recoils from 0\.2 to 4 keV, but the bins see recoils up to 9"):
        readout.nodes(9.0)


def test_nodes_stand_where_windows_vary():
    edges = np.linspace(1.0, 41.0, 11)
    numbers = {}
    for sigma in (1e-2, 1e-4, 1e-6):
        readout = Readout(edges, UNQUENCHED, Resolution(sigma, 1.0))
        nodes = readout.nodes(80.0)
        numbers[sigma] = len(nodes.weight_kev)
        counts = readout.windows(nodes.recoil_energy_kev) @ (nodes.weight_kev / nodes.recoil_energy_kev)
        # Smearing a falling rate moves counts at the lowest edge and the highest by sigma^2 at most.
        assert counts[1:-1] == pytest.approx(np.log(edges[2:-1] / edges[1:-2]), rel=max(2 * sigma**2, 1e-12))
    assert numbers[1e-6] < 4 * numbers[1e-2]


@pytest.mark.parametrize("law", ["sqrt", "linear", "none"])
@pytest.mark.parametrize("efficiency", [0.5, LAR_EFFICIENCY])
def test_blocks_of_recoils_count_as_all_together(law, efficiency, monkeypatch):
    light = QuenchingTable((0.1, 2.0, 4.0, 100.0), (0.2, 0.4, 0.15, 0.3))  # bends back
    readout = Readout(np.linspace(0.5, 20.0, 80), light, LAWS[law], efficiency)
    recoil = readout.nodes(60.0).recoil_energy_kev
    whole = readout.windows(recoil)
    monkeypatch.setattr("cevnslab.detection.readout.BLOCK_SIZE", 500)
    windows = np.zeros_like(whole)
    blocks = list(readout.blocks(recoil))
    for block, bins, part in blocks:
        windows[bins, block] = part
    assert len(blocks) > 10
    assert max(part.size for _, _, part in blocks) <= 500
    assert windows == pytest.approx(whole, rel=1e-14, abs=1e-17)


def test_a_width_too_narrow_for_its_range_is_refused(monkeypatch):
    monkeypatch.setattr(quadrature, "MOST_NODES", 5000)
    with pytest.raises(PhysicsError, match=r"resolution: .*at most 5e\+03 are computed; give fewer bins"):
        Readout(np.linspace(1.0, 41.0, 400), UNQUENCHED, Resolution(1e-4, 1.0)).nodes(80.0)


def test_ten_thousand_bins_without_resolution_take_little_memory():
    study = cl.study_from_dict(
        {
            "name": "many",
            "source": "ess",
            "exposure_years": 3,
            "couplings": ["q_ee"],
            "uncertainties": {"signal": 0.1, "background": 0.01},
            "detectors": [{"preset": "ess-ge", "name": "many", "bins": 10_000, "resolution": "none"}],
        }
    )
    tracemalloc.start()
    try:
        counts = study.setups[0].response.counts()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 0.3e9  # design.md section 8 allows 0.5 GB for the whole process
    coarse = cl.response(cl.load_source("ess"), replace(cl.load_detector("ess-ge"), resolution=None), years=3)
    assert counts.sum() == pytest.approx(coarse.counts().sum(), rel=1e-9)
