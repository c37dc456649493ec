"""Counts: the reference bins, published rates, direct integrals, and how counts scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import (
    GOLDEN,
    GOLDEN_DETECTORS,
    MILLICHARGES,
    OneFlavour,
    direct_counts,
    every_flavour,
    folded_cross_section,
    near,
    perfect,
    preset_response,
)

import cevnslab as cl
from cevnslab.detection.detector import flat_background, tabulated_background
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.smearing import Resolution
from cevnslab.errors import CevnslabError, PhysicsError, UnknownNameError
from cevnslab.physics.atoms import binding_energies_kev
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.physics.nuclei import target
from cevnslab.reports.published import published

BINS = GOLDEN["bins_CEvNS"]["values"]
ELECTRON_BINS = GOLDEN["bins_nue_CsI"]["values"]
EVENTS = GOLDEN["SM_events_per_year_eff1_nosmear_above_threshold"]
DIAGONAL = {"nue": "q_ee", "numu": "q_mumu", "numubar": "q_mumu"}
TRANSITION = "q_emu"
"""Joins every flavour of the source to another one."""


@pytest.fixture(scope="module")
def ess():
    return cl.load_source("ess")


def flavour_response(preset, flavour, channel):
    source = OneFlavour.of(cl.load_source("ess"), flavour)
    names = [DIAGONAL[flavour], TRANSITION]
    return preset_response(preset, couplings=names, source=source, channels=[channel])


def assert_reference_bin(response, row, expected):
    """`comparison_tolerance` of the reference file: 1e-8 relative or 1e-10 of the detector's total."""
    rows = dict(zip(response.monomials, response.signal, strict=True))
    for column, monomial in (("SM", ()), ("lin", (0,)), ("quad", (0, 0)), ("quad", (1, 1))):
        total = np.abs(rows[monomial]).sum()
        allowed = max(1e-8 * abs(expected[column]), 1e-10 * total)
        assert abs(rows[monomial][row] - expected[column]) <= allowed, (column, monomial)
    assert (1,) not in rows or not np.any(rows[(1,)])  # a transition charge does not interfere


@pytest.mark.parametrize("flavour", DIAGONAL)
@pytest.mark.parametrize("detector", BINS)
def test_reference_bins(detector, flavour):
    response = flavour_response(GOLDEN_DETECTORS[detector], flavour, "cevns")
    for row in BINS[detector]["bins"]:
        assert_reference_bin(response, row["bin"], row[flavour])
    expected = BINS[detector]["total_SM_by_flavour"][flavour]
    assert response.counts().sum() == near(expected, 1e-9)


@pytest.mark.parametrize("flavour", DIAGONAL)
@pytest.mark.parametrize("quenching", ELECTRON_BINS)
def test_reference_bins_of_electron_scattering(quenching, flavour):
    preset = GOLDEN_DETECTORS[f"CsI+electron, quenching {quenching}"]
    response = flavour_response(preset, flavour, "electron")
    for row in ELECTRON_BINS[quenching]:
        assert_reference_bin(response, row["bin"], row[flavour])


@pytest.mark.parametrize("detector", BINS)
def test_reference_totals_edges_and_background(detector):
    response = preset_response(GOLDEN_DETECTORS[detector])
    assert response.counts().sum() == near(BINS[detector]["total_SM"], 1e-9)
    assert response.background.sum() == near(BINS[detector]["total_background"], 1e-11)
    for row in BINS[detector]["bins"]:
        low, high = response.bin_edges_kev[row["bin"] : row["bin"] + 2]
        assert (low, high) == (near(row["lo_keV"], 1e-10), near(row["hi_keV"], 1e-10))
        assert response.background[row["bin"]] == near(row["background"], 1e-10)


def above_threshold(preset, source):
    """Counts of a year with efficiency 1 and no smearing, of all recoils above the threshold."""
    detector = cl.load_detector(preset)
    edges = [detector.bin_edges_kev[0], 1000.0]
    return float(cl.response(source, perfect(detector, edges), years=1).counts().sum())


@pytest.mark.parametrize("flavour", [*DIAGONAL, "total"])
@pytest.mark.parametrize("detector", EVENTS)
def test_reference_events_per_year(detector, flavour, ess):
    source = ess if flavour == "total" else OneFlavour.of(ess, flavour)
    assert above_threshold(GOLDEN_DETECTORS[detector], source) == near(EVENTS[detector][flavour], 1e-9)


@pytest.mark.parametrize("preset", published("event_rates")["rows"])
def test_published_event_rates(preset, ess):
    assert above_threshold(preset, ess) == near(published("event_rates")["rows"][preset], 0.02)


def test_event_rate_of_the_bubble_chamber(ess):
    assert above_threshold("ess-c3f8", ess) == near(556, 2e-3)  # physics section 5


@pytest.mark.parametrize("channel", ["cevns", "electron"])
@pytest.mark.parametrize("recoil", [0.3, 4.0, 20.0])
def test_the_energy_integral_of_the_direct_route_is_exact(recoil, channel, ess):
    """Its 12 nodes against scipy's adaptive quadrature."""
    values = {"q_ee": 1e-9, "q_mutau": 1e-9}
    nodes, adaptive = (folded_cross_section(ess, target("CsI"), channel, recoil, values, way) for way in (False, True))
    assert nodes == near(adaptive, 1e-9)


@pytest.mark.parametrize(
    ("preset", "number", "couplings"),
    [
        ("ess-csi", 0, {}),
        ("ess-ge", 0, {"q_ee": -3e-9, "q_mutau": 5e-9}),
        ("ess-ge", 40, {"q_ee": 5e-9, "q_emu": 8e-9}),
        ("ess-xe", 20, {"q_mumu": 2e-9}),
        ("ess-c3f8", 2, {"q_mumu": -2e-9}),
    ],
    ids=str,
)
def test_against_nested_adaptive_quadrature(preset, number, couplings, ess):
    detector = cl.load_detector(preset)
    ours = cl.response(ess, detector, couplings=list(couplings), years=3).counts(**couplings)[number]
    assert ours == near(direct_counts(ess, detector, number, 3, couplings=couplings), 1e-7)


@pytest.mark.parametrize(
    ("preset", "number", "couplings", "flavour"),
    [
        ("ess-csi-electron", 1, {"q_ee": 1e-10}, "nue"),
        ("ess-csi-electron-same-axis", 2, {"q_mumu": -2e-10, "q_emu": 1e-10}, "numubar"),
        ("ess-csi-electron", 9, {}, "numu"),
    ],
    ids=str,
)
def test_electrons_against_nested_adaptive_quadrature(preset, number, couplings, flavour, ess):
    detector, source = cl.load_detector(preset), OneFlavour.of(ess, flavour)
    ours = cl.response(source, detector, couplings=list(couplings), years=3, channels=["electron"])
    kinks = [energy / detector.electron_quenching for symbol in ("Cs", "I") for energy in binding_energies_kev(symbol)]
    direct = direct_counts(source, detector, number, 3, couplings=couplings, channel="electron", kinks=kinks)
    assert ours.counts(**couplings)[number] == near(direct, 1e-7)


def variant(**changes):
    """A small germanium detector with something changed."""
    edges = np.array([2.0, 4.0, 7.0])
    return replace(
        cl.load_detector("ess-ge"), bin_edges_kev=edges, background_per_kg_day=flat_background(edges, 3.0), **changes
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"resolution": Resolution(0.4, 2.0, "linear")},
        {"resolution": Resolution(0.5, 2.0, "constant", minimum_true_kev=0.4)},
        {"resolution": None},
        {"efficiency": EfficiencyTable((0.1, 3.0, 5.0, 40.0), (0.1, 0.5, 0.8, 0.9), "recoil")},
        {"efficiency": EfficiencyTable((1.0, 3.0, 8.0), (0.1, 0.5, 0.9), "reconstructed")},
    ],
    ids=["linear", "constant", "none", "efficiency-recoil", "efficiency-reconstructed"],
)
def test_resolutions_and_efficiencies_against_adaptive_quadrature(changes, ess):
    source = OneFlavour.of(ess, "numu")  # one energy: the inner integral is a number
    detector = variant(**changes)
    ours = cl.response(source, detector, couplings=["q_mumu"], years=1).counts(q_mumu=2e-9)
    table = detector.efficiency if isinstance(detector.efficiency, EfficiencyTable) else None
    kinks = table.energy_kev if table is not None and table.axis == "recoil" else ()
    for number in (0, 1):
        direct = direct_counts(source, detector, number, 1, couplings={"q_mumu": 2e-9}, kinks=kinks)
        assert ours[number] == near(direct, 1e-7)


@pytest.mark.parametrize("name", [name for name, coupling in COUPLINGS.items() if coupling.linear])
def test_every_coupling_has_a_response(name, ess):
    coupling = COUPLINGS[name]
    response = preset_response("ess-csi-electron", couplings=[name], source=every_flavour())
    base, up, down, twice = (response.counts(**{name: coupling.reference + k * coupling.scale}) for k in (0, 1, -1, 2))
    assert np.all(np.isfinite(up))
    assert not np.allclose(up, base, rtol=1e-6)
    # A quadratic in the coupling: its third difference vanishes.
    third = twice - 3 * up + 3 * base - down
    assert np.all(np.abs(third) < 1e-9 * np.abs(twice).max())
    # The strength of CEvNS scales the counts themselves, no amplitude.
    assert np.array_equal(up, down) != (coupling.interferes or name == "cevns_strength")


@pytest.mark.parametrize("preset", ["ess-ge", "ess-csi-electron"])
def test_the_quadratic_form_against_cross_sections_with_all_couplings(preset, ess):
    """Cross terms: all five charges at once, by recoil nodes without any response algebra."""
    values = {"q_ee": 3e-9, "q_mumu": -2e-9, "q_emu": 4e-9, "q_etau": -5e-9, "q_mutau": 2e-9}
    together = preset_response(preset, source=ess)
    alone = [preset_response(preset, couplings=[name]).counts(**{name: value}) for name, value in values.items()]
    base = together.counts()
    # Different flavours or no interference: the shifts of different charges add.
    expected = base + sum(shifted - base for shifted in alone)
    assert together.counts(**values) == pytest.approx(expected, rel=1e-11, abs=0)


def test_channels_add(ess):
    both = preset_response("ess-csi-electron")
    cevns = preset_response("ess-csi-electron", channels=["cevns"])
    electron = preset_response("ess-csi-electron", channels=["electron"])
    values = {"q_ee": 1e-10}
    assert both.channel_label == "cevns+electron"
    assert both.counts(**values) == pytest.approx(cevns.counts(**values) + electron.counts(**values), rel=1e-12)
    assert both.standard_model("electron") == pytest.approx(electron.counts(), rel=1e-12)
    assert not np.any(cevns.standard_model("electron"))


@given(mass=st.floats(0.1, 1e4), years=st.floats(0.01, 50), distance=st.floats(1, 500))
def test_counts_scale(mass, years, distance):
    source, base = cl.load_source("ess"), cl.load_detector("ess-csi")
    one = cl.response(source, base, couplings=["q_ee"], years=3)
    other = cl.response(source, replace(base, mass_kg=mass, distance_m=distance), couplings=["q_ee"], years=years)
    factor = mass / 22.5 * years / 3 * (20 / distance) ** 2
    assert other.counts(q_ee=4e-9) == pytest.approx(one.counts(q_ee=4e-9) * factor, rel=1e-12, abs=0)
    assert other.background == pytest.approx(one.background * mass / 22.5 * years / 3, rel=1e-12, abs=0)


@given(width=st.floats(0.005, 0.1))
def test_smearing_conserves_events(width):
    source, edges = cl.load_source("ess"), np.array([1e-4, 1.0, 10.0, 1000.0])
    sharp = perfect(cl.load_detector("ess-csi"), edges)
    smeared = replace(sharp, resolution=Resolution(width, 1.0, "linear"))
    counts = [cl.response(source, detector, years=1).counts() for detector in (sharp, smeared)]
    assert counts[1].sum() == near(counts[0].sum(), 1e-6)
    assert counts[1][0] != near(counts[0][0], 1e-9)  # but moves them between bins


def test_merged_bins_hold_the_same_counts(ess):
    fine = cl.load_detector("ess-csi")
    coarse = replace(
        fine,
        bin_edges_kev=fine.bin_edges_kev[::5],
        background_per_kg_day=fine.background_per_kg_day.reshape(4, 5).sum(axis=1),
    )
    many, few = (cl.response(ess, d, couplings=["q_ee"], years=3) for d in (fine, coarse))
    assert few.counts(q_ee=5e-9) == pytest.approx(many.counts(q_ee=5e-9).reshape(4, 5).sum(axis=1), rel=1e-10)


def test_efficiency_multiplies_the_signal_alone(ess):
    base = cl.load_detector("ess-ge")
    halved = cl.response(ess, replace(base, efficiency=0.4), years=3)
    nominal = cl.response(ess, base, years=3)
    assert halved.counts() == pytest.approx(nominal.counts() / 2, rel=1e-13)
    assert np.array_equal(halved.background, nominal.background)


def test_background_tables_are_integrated():
    edges = np.array([1.0, 2.0, 5.0])
    # rate = 2 E up to 3 keV, then 6: integrals 3 and 5 + 12
    integral = tabulated_background(edges, [0.0, 3.0, 6.0], [0.0, 6.0, 6.0])
    assert integral == pytest.approx([3.0, 17.0], rel=1e-14)
    assert tabulated_background(edges, [0.5, 9.0], [4.0, 4.0]) == pytest.approx(flat_background(edges, 4.0))
    with pytest.raises(PhysicsError, match="background table"):
        tabulated_background(edges, [1.5, 6.0], [1.0, 1.0])


def test_two_nuclei_conventions_and_radii(ess):
    reference_case = cl.response(ess, cl.load_detector("ess-ge"), years=3).counts().sum()
    isotopes = cl.response(ess, cl.load_detector("ess-ge", nuclei="isotopes"), years=3).counts().sum()
    assert isotopes == near(reference_case, 0.01)
    assert isotopes != near(reference_case, 1e-5)
    skin = replace(cl.load_detector("ess-ge"), target=target("Ge", rms_radius_fm=4.06, neutron_radius_fm=4.25))
    assert cl.response(ess, skin, years=3).counts().sum() < reference_case


@pytest.mark.parametrize("form_factor", ["klein-nystrand", "symmetrised-fermi"])
def test_form_factors_move_the_counts_a_little(form_factor, ess):
    nominal = preset_response("ess-csi").counts().sum()
    other = preset_response("ess-csi", form_factor=form_factor).counts().sum()
    assert other == near(nominal, 0.02)
    assert other != near(nominal, 1e-7)


def test_a_declared_coupling_needs_no_registry(ess):
    coupling = replace(COUPLINGS["q_ee"], name="q_x", scale=2e-9)
    response = cl.response(ess, cl.load_detector("ess-ge"), couplings=[coupling], years=3)
    assert response.counts(q_x=3e-9) == pytest.approx(preset_response("ess-ge").counts(q_ee=3e-9), rel=1e-13)


def test_what_a_response_refuses(ess):
    ge = cl.load_detector("ess-ge")
    response = cl.response(ess, ge, couplings=MILLICHARGES, years=1)
    with pytest.raises(UnknownNameError, match="q_mumu"):
        response.counts(q_mumuu=1e-9)
    with pytest.raises(PhysicsError, match="bounds"):
        response.counts(q_ee=1.0)
    with pytest.raises(PhysicsError, match="electron_quenching"):
        cl.response(ess, ge, years=1, channels=["electron"])
    for channels in ([], ["cevns", "cevns"], ["neutron"]):
        with pytest.raises(CevnslabError, match="channels"):
            cl.response(ess, ge, years=1, channels=channels)


def test_detectors_are_checked_and_frozen():
    ge = cl.load_detector("ess-ge")
    with pytest.raises(ValueError, match="read-only"):
        ge.bin_edges_kev[0] = 0.0
    with pytest.raises(PhysicsError, match="rise"):
        replace(ge, bin_edges_kev=np.array([1.0, 1.0]), background_per_kg_day=np.zeros(1))
    with pytest.raises(PhysicsError, match="background"):
        replace(ge, background_per_kg_day=np.zeros(3))


def test_with_perfect_resolution_both_axes_of_an_efficiency_are_the_same():
    """A bend of the efficiency inside a bin: the true and the reconstructed energy are one."""
    ge = cl.load_detector("ess-ge")
    edges = np.linspace(0.6, 40, 9)
    result = []
    for axis in ("recoil", "reconstructed"):
        table = EfficiencyTable((0.1, 3.0, 7.3, 90.0), (0.0, 0.3, 0.9, 0.7), axis)
        detector = replace(perfect(ge, edges), efficiency=table)
        result.append(cl.response(cl.load_source("ess"), detector, couplings=["q_ee"], years=3).signal)
    assert result[0] == near(result[1], 1e-9)


def test_an_exposure_must_be_positive_and_couplings_unique():
    source, detector = cl.load_source("ess"), cl.load_detector("ess-ge")
    with pytest.raises(PhysicsError, match="above 0 years"):
        cl.response(source, detector, years=-3)
    with pytest.raises(PhysicsError, match="unique"):
        cl.response(source, detector, couplings=["q_ee", "q_ee"], years=3)


@pytest.mark.parametrize(("first_kev", "reached"), [(87.0, True), (89.5, False)])
def test_bins_are_reached_up_to_six_sigma_above_the_largest_recoil(first_kev, reached, ess):
    """It is 82.51 keV in germanium, and the width there 0.96 keV."""
    edges = np.array([first_kev, 120.0])
    detector = replace(perfect(cl.load_detector("ess-ge"), edges), resolution=Resolution(1.0, 90.0))
    if reached:
        assert cl.response(ess, detector, years=1).counts() > 0
        return
    with pytest.raises(
        PhysicsError, match=r"no recoil reaches the bins: they begin at 89\.5, the largest .* 82\.51 keV"
    ):
        cl.response(ess, detector, years=1)


def test_counts_that_overflow_are_said_where_they_arise(ess):
    detector = replace(cl.load_detector("ess-ge"), mass_kg=1e308)
    with pytest.raises(PhysicsError, match=r"ess-ge: its counts are too large"):
        cl.response(ess, detector, years=1e4)
