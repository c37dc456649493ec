"""Cross sections: every reference value, limits, signs, symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from support import FLAVOURS, GOLDEN, MILLICHARGES, near

import cevnslab as cl
from cevnslab.errors import CevnslabError, PhysicsError, UnknownNameError
from cevnslab.physics.couplings import COUPLINGS, coupling, millicharge_strength
from cevnslab.physics.cross_sections import NuclearScatterer, cevns, differential, electron_scattering, scatterers
from cevnslab.physics.nuclei import target
from cevnslab.words import nearest

NUCLEUS_ROWS = GOLDEN["dsigma_nucleus"]["values"]
ELECTRON_ROWS = GOLDEN["dsigma_electron"]["values"]
on_nuclei = pytest.mark.parametrize(
    "row", NUCLEUS_ROWS, ids=lambda r: f"{r['nucleus']}-{r['E_MeV']}MeV-{r['T_keV']}keV"
)
on_electrons = pytest.mark.parametrize(
    "row", ELECTRON_ROWS, ids=lambda r: f"{r['atom']}-{r['flavour']}-{r['E_MeV']}MeV-{r['T_e_keV']}keV"
)
PRECISION = 1e-9


def on_nucleus(row, **couplings):
    return float(cevns(row["T_keV"], row["E_MeV"], row["nucleus"], couplings=couplings))


@on_nuclei
def test_nucleus_standard_model(row):
    assert on_nucleus(row) == near(row["SM_cm2_per_keV"], rel=PRECISION)


@on_nuclei
def test_nucleus_with_charges(row):
    assert on_nucleus(row, q_ee=5e-9) == near(row["diag_q_plus_5e9"], rel=PRECISION)
    assert on_nucleus(row, q_ee=-5e-9) == near(row["diag_q_minus_5e9"], rel=PRECISION)
    assert on_nucleus(row, q_emu=1e-8) == near(row["transition_q_1e8"], rel=PRECISION)


@on_nuclei
def test_nucleus_coefficients_of_the_charge(row):
    linear = (on_nucleus(row, q_ee=1e-8) - on_nucleus(row, q_ee=-1e-8)) / 2e-8
    quadratic = (on_nucleus(row, q_etau=1e-5) - on_nucleus(row)) / 1e-10
    assert linear == near(row["lin_coeff_cm2_per_keV"], rel=PRECISION)
    assert quadratic == near(row["quad_coeff_cm2_per_keV"], rel=PRECISION)


@on_nuclei
def test_shift_of_the_weak_charge(row):
    nucleus = target(row["nucleus"]).constituents[0].nucleus
    shift = nucleus.proton_number * float(millicharge_strength(nucleus.mass_mev, row["T_keV"]))
    assert shift == near(row["shift_QW_per_unit_q"], rel=PRECISION)


@on_nuclei
def test_only_the_term_in_t_over_e_is_dropped(row):
    mass = GOLDEN["nuclei"][row["nucleus"]]["M_MeV"]
    recoil_mev = row["T_keV"] * 1e-3
    kinematics = 1 - mass * recoil_mev / (2 * row["E_MeV"] ** 2)
    complete = on_nucleus(row) * (kinematics - recoil_mev / row["E_MeV"]) / kinematics
    assert complete == near(row["SM_with_T_over_E_term"], rel=PRECISION)


@on_electrons
def test_electron(row):
    flavour, antineutrino = FLAVOURS[row["flavour"]]
    diagonal = {"e": "q_ee", "mu": "q_mumu"}[flavour]

    def sigma(**couplings):
        return float(
            electron_scattering(
                row["T_e_keV"],
                row["E_MeV"],
                row["atom"],
                couplings=couplings,
                incoming=flavour,
                antineutrino=antineutrino,
            )
        )

    assert sigma() == near(row["SM_cm2_per_keV"], rel=PRECISION)
    assert sigma(**{diagonal: 1e-10}) == near(row["diag_q_plus_1e10"], rel=PRECISION)
    assert sigma(**{diagonal: -1e-10}) == near(row["diag_q_minus_1e10"], rel=PRECISION)
    assert sigma(q_emu=1e-10) == near(row["transition_q_1e10"], rel=PRECISION)


@pytest.mark.parametrize(("symbol", "crossing_kev"), [("Ge", 67.1), ("Cs", 32.7)])
def test_a_positive_charge_turns_the_weak_charge_round(symbol, crossing_kev):
    recoil = crossing_kev * 0.04  # at q = 4e-8 e, physics section 8
    with_charge = cevns(recoil * np.array([0.5, 1.0, 1.5]), 40.0, symbol, couplings={"q_ee": 4e-8})
    without = cevns(recoil * np.array([0.5, 1.0, 1.5]), 40.0, symbol)
    assert with_charge[1] < 2e-6 * without[1]
    assert with_charge[0] == near(without[0], rel=0.01)  # Q -> -Q at half the crossing
    assert with_charge[2] < without[2]


def test_signs_of_the_interference():
    assert cevns(1.0, 40.0, "Ge", couplings={"q_ee": -1e-9}) > cevns(1.0, 40.0, "Ge")
    assert cevns(1.0, 40.0, "Ge", couplings={"q_ee": 1e-9}) < cevns(1.0, 40.0, "Ge")
    small = 1e-13
    assert electron_scattering(5.0, 40.0, "Ge", couplings={"q_ee": small}) < electron_scattering(5.0, 40.0, "Ge")


@pytest.mark.parametrize("name", ["q_emu", "q_etau", "q_mutau"])
def test_transition_charges_do_not_interfere(name):
    assert COUPLINGS[name].transition
    for incoming in COUPLINGS[name].flavours[0]:
        up = differential("cevns", 2.0, 30.0, "Xe", couplings={name: 1e-8}, incoming=incoming)
        down = differential("cevns", 2.0, 30.0, "Xe", couplings={name: -1e-8}, incoming=incoming)
        assert up == down > differential("cevns", 2.0, 30.0, "Xe", incoming=incoming)


def test_two_transitions_add_and_a_diagonal_charge_interferes():
    def sigma(**couplings):
        return float(cevns(2.0, 30.0, "Xe", couplings=couplings))

    plain = sigma()
    assert sigma(q_emu=1e-8, q_etau=1e-8) - plain == near(2 * (sigma(q_emu=1e-8) - plain), rel=1e-12)
    assert sigma(q_ee=1e-8, q_emu=1e-8) - sigma(q_ee=1e-8) == near(sigma(q_emu=1e-8) - plain, rel=1e-9)


def test_antineutrinos_scatter_alike_on_nuclei_and_not_on_electrons():
    for couplings in ({}, {"q_mumu": 2e-9}):
        alike = [
            float(differential("cevns", 1.0, 30.0, "Ge", couplings=couplings, incoming="mu", antineutrino=anti))
            for anti in (False, True)
        ]
        assert alike[0] == alike[1]
    on_electrons = [
        float(electron_scattering(500.0, 1.0, "Ge", incoming="mu", antineutrino=anti)) for anti in (False, True)
    ]
    assert on_electrons[0] != near(on_electrons[1], rel=1e-3)


@pytest.mark.parametrize("channel", ["cevns", "electron"])
def test_nothing_beyond_the_endpoint(channel):
    ((particle, _),) = scatterers(target("Ge"), channel)
    endpoint = particle.maximum_recoil_kev(30.0)
    assert float(differential(channel, endpoint * (1 - 1e-6), 30.0, "Ge", couplings={"q_ee": 1e-8})) > 0
    assert float(differential(channel, endpoint * (1 + 1e-6), 30.0, "Ge", couplings={"q_ee": 1e-8})) == 0
    assert float(particle.minimum_energy_mev(np.array(endpoint))) == near(30.0, rel=1e-12)


def test_a_compound_is_the_sum_of_its_atoms():
    for channel in ("cevns", "electron"):
        parts = 3 * differential(channel, 2.0, 30.0, "C") + 8 * differential(channel, 2.0, 30.0, "F")
        assert float(differential(channel, 2.0, 30.0, "C3F8")) == near(float(parts), rel=1e-12)


def test_isotopes_differ_a_little_from_the_standard_weight():
    mixture = float(cevns(2.0, 30.0, target("Ge", convention="isotopes")))
    single = float(cevns(2.0, 30.0, "Ge"))
    assert mixture == near(single, rel=0.02)
    assert mixture != single


def test_a_wider_neutron_skin_suppresses_the_rate():
    skin = target("Ge", neutron_radius_fm=4.3)
    assert float(cevns(20.0, 50.0, skin)) < 0.99 * float(cevns(20.0, 50.0, "Ge"))


def test_form_factors_can_be_chosen():
    values = {name: float(cevns(30.0, 50.0, "Ge", form_factor=name)) for name in cl.form_factors.FORM_FACTORS}
    assert len(set(values.values())) == 3
    assert max(values.values()) < 1.05 * min(values.values())


def test_broadcasts():
    sigma = cevns(np.array([1.0, 2.0, 3.0]), np.array([[20.0], [40.0]]), "Ge")
    assert sigma.shape == (2, 3)
    assert sigma[1, 2] == float(cevns(3.0, 40.0, "Ge"))


@pytest.mark.parametrize("name", COUPLINGS)
def test_bounds_are_enforced(name):
    coupling = COUPLINGS[name]
    for end, beyond in zip(coupling.bounds, (-1, 1), strict=True):
        assert coupling.check(end) == end
        with pytest.raises(PhysicsError, match=name):
            coupling.check(end + beyond * coupling.scale)
    with pytest.raises(PhysicsError):
        coupling.check(float("nan"))


def test_unknown_names_offer_the_nearest():
    with pytest.raises(UnknownNameError, match="q_mumu"):
        coupling("q_mumuu")
    with pytest.raises(CevnslabError, match="helm"):
        cevns(1.0, 30.0, "Ge", form_factor="helmm")
    with pytest.raises(CevnslabError, match="electron"):
        differential("electrons", 1.0, 30.0, "Ge")
    with pytest.raises(CevnslabError, match="mu"):
        cevns(1.0, 30.0, "Ge", incoming="muu")
    assert all(name in nearest("zzz", MILLICHARGES) for name in MILLICHARGES)


@pytest.mark.parametrize(
    ("name", "share"),
    {"ess-csi": 0.05, "ess-xe": 0.05, "ess-ge": 0.08, "ess-ar": 0.16, "ess-si": 0.24, "ess-c3f8": 0.40}.items(),
)
def test_what_the_term_takes_that_is_left_out(name, share, monkeypatch):
    """-T/E, in per cent of all counts, as the page of the cross sections says."""

    def counts():
        return cl.response(cl.load_source("ess"), cl.load_detector(name), years=3).counts()

    without, nominal = counts(), NuclearScatterer.kinematics

    def whole(self, recoil_energy_kev, *arguments):
        kinematics = nominal(self, recoil_energy_kev, *arguments)
        vector = kinematics["vector", "vector"].copy()
        vector[1] = -vector[0] * recoil_energy_kev * 1e-3
        return {**kinematics, ("vector", "vector"): vector}

    monkeypatch.setattr(NuclearScatterer, "kinematics", whole)
    with_term = counts()
    assert 100 * (1 - with_term.sum() / without.sum()) == pytest.approx(share, abs=0.006)
    filled = without > 1
    assert 0.009 < np.max(1 - with_term[filled] / without[filled]) < 0.045
