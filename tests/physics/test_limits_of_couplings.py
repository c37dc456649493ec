"""Identities and limits that tie the couplings to each other and to the Standard Model; published orders of size."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support import near, preset_response
from test_couplings import COUPLINGS, OF_FAMILIES

import cevnslab as cl
from cevnslab.errors import PhysicsError
from cevnslab.physics.constants import (
    FERMI_CONSTANT,
    FINE_STRUCTURE,
    G_N,
    G_P,
    INVERSE_MEV2_TO_CM2,
    KEV,
    MUON_MASS_MEV,
    SIN2_THETA_W,
    TAU_MASS_MEV,
)
from cevnslab.physics.couplings import (
    FLAVOURS,
    Coupling,
    light_scalar,
    light_vector,
    millicharge_on_electron,
    millicharge_on_nucleus,
)
from cevnslab.physics.cross_sections import cevns, differential, electron_scattering, scatterers
from cevnslab.physics.electromagnetic import charge_radius_on_electron, charge_radius_on_nucleus
from cevnslab.physics.mediators import (
    SCALAR_ON_NEUTRON,
    SCALAR_ON_PROTON,
    VectorCharges,
    light_vector_on_electron,
    light_vector_on_nucleus,
    loop_charge,
)
from cevnslab.physics.nsi import down_quark_nsi, electron_nsi, up_quark_nsi
from cevnslab.physics.nuclei import target
from cevnslab.physics.weak import weak_mixing_on_electron, weak_mixing_on_nucleus

RECOIL = np.geomspace(0.05, 20.0, 40)
NUCLEI = ["Cs", "Ge", "Ar"]
on_nuclei = pytest.mark.parametrize("symbol", NUCLEI)


def nucleus_with_form_factors(symbol):
    ((particle, _),) = scatterers(target(symbol, neutron_radius_fm=5.0), "cevns")
    return particle.nucleus, *particle.form_factors(RECOIL)


def sigma(channel, couplings=None, recoil=RECOIL, **options):
    return differential(channel, recoil, 40.0, "Ge", couplings=couplings, **options)


@on_nuclei
def test_a_massless_vector_is_a_millicharge(symbol):
    # g^2 Q'_nu Q'_f = e^2 q Q_f with e^2 = 4 pi alpha.
    electric = VectorCharges(neutrino=1.0, proton=1.0, neutron=0.0, electron=-1.0)
    squared = 4 * np.pi * FINE_STRUCTURE
    at = nucleus_with_form_factors(symbol)
    vector = squared * light_vector_on_nucleus(RECOIL, *at, electric, 0.0)
    assert vector == near(millicharge_on_nucleus(RECOIL, *at), 1e-13)
    vector = squared * light_vector_on_electron(RECOIL, electric, 0.0)
    assert vector == near(millicharge_on_electron(RECOIL), 1e-13)


@on_nuclei
def test_a_universal_charge_radius_is_a_shift_of_the_mixing_angle(symbol):
    at = nucleus_with_form_factors(symbol)
    radius_cm2 = 3e-32
    shift = np.sqrt(2) * np.pi * FINE_STRUCTURE / (6 * FERMI_CONSTANT) * radius_cm2 / INVERSE_MEV2_TO_CM2
    assert radius_cm2 * charge_radius_on_nucleus(RECOIL, *at) == near(
        shift * weak_mixing_on_nucleus(RECOIL, *at), 1e-13
    )
    on_electrons = radius_cm2 * charge_radius_on_electron(RECOIL)
    assert on_electrons == near(shift * weak_mixing_on_electron(RECOIL), 1e-13)
    for incoming, name in (("e", "r2_ee"), ("mu", "r2_mumu")):
        for channel in ("cevns", "electron"):
            by_radius = sigma(channel, {name: radius_cm2}, incoming=incoming)
            by_angle = sigma(channel, {"sin2_theta_w": SIN2_THETA_W + shift}, incoming=incoming)
            assert by_radius == near(by_angle, 1e-12)


def test_a_charge_radius_is_the_slope_of_the_charge():
    """f_Q = q + q^2 <r^2>/6 at q^2 = -2 M T: at every T some charge does what the radius does."""
    ((particle, _),) = scatterers(target("Ge"), "cevns")
    radius = 5e-32
    charge = -2 * particle.nucleus.mass_mev * 2.0 * KEV * radius / INVERSE_MEV2_TO_CM2 / 6
    by_charge = cevns(2.0, 40.0, "Ge", couplings={"q_ee": charge})
    assert float(cevns(2.0, 40.0, "Ge", couplings={"r2_ee": radius})) == near(float(by_charge), 1e-12)


def test_nsi_that_undo_the_standard_model():
    # 2 u + d = -g_p and u + 2 d = -g_n.
    up, down = (-2 * G_P + G_N) / 3, (G_P - 2 * G_N) / 3
    left = sigma("cevns", {"eps_ee_u": up, "eps_ee_d": down}, recoil=np.array([0.5, 5.0, 30.0]))
    assert np.all(left < 1e-28 * sigma("cevns", recoil=np.array([0.5, 5.0, 30.0])))
    twice = sigma("cevns", {"eps_ee_u": 2 * up, "eps_ee_d": 2 * down})
    assert twice == near(sigma("cevns"), 1e-12)  # the mirror solution, Q -> -Q


@pytest.mark.parametrize("charges", ["universal", "b-l"])
@on_nuclei
def test_a_heavy_vector_is_a_contact_interaction(charges, symbol):
    mass = 1e6
    coupling = light_vector(charges, mass, "heavy")
    at = nucleus_with_form_factors(symbol)
    quark = {"universal": 1.0, "b-l": -1 / 3}[charges]  # Q'_nu Q'_q, the same for u and d
    contact = quark / (np.sqrt(2) * FERMI_CONSTANT * mass**2)
    expected = contact * (up_quark_nsi(RECOIL, *at) + down_quark_nsi(RECOIL, *at))
    assert coupling.nucleus(RECOIL, *at) == near(expected, 1e-7)
    lepton = {"universal": 1.0, "b-l": 1.0}[charges]
    expected = lepton / (np.sqrt(2) * FERMI_CONSTANT * mass**2) * electron_nsi(RECOIL)
    assert coupling.electron(RECOIL) == near(expected, 1e-7)


def test_a_magnetic_moment_has_a_tail_of_one_over_t():
    for channel in ("cevns", "electron"):
        recoil = np.array([1e-5, 1e-4]) if channel == "cevns" else np.array([100.0, 200.0])
        extra = sigma(channel, {"mu_e": 1e-9}, recoil) - sigma(channel, None, recoil)
        kinematics = 1 / recoil - KEV / 40.0
        assert extra[0] / extra[1] == near(kinematics[0] / kinematics[1], 1e-5)
    # Reactor experiments quote pi alpha^2/m_e^2 = 2.495e-25 cm^2 for an electron and a moment of one mu_B.
    free = float(electron_scattering(200.0, 1e4, "C", couplings={"mu_e": 1e-8}) - electron_scattering(200.0, 1e4, "C"))
    assert free / 6 / 1e-16 * 200.0 == near(2.495e-25, 5e-4)


def test_a_scalar_against_its_formula_and_a_published_size():
    assert pytest.approx(17.3, abs=0.1) == SCALAR_ON_PROTON  # sum f m_p/m_q; papers quote 17.3 for both nucleons
    assert near(SCALAR_ON_PROTON, 1e-3) == SCALAR_ON_NEUTRON
    ((particle, _),) = scatterers(target("Ge"), "cevns")
    mass, recoil_mev, energy, g, mediator = particle.nucleus.mass_mev, 2.0 * KEV, 40.0, 1e-5, 20.0
    f = float(particle.form_factors(np.array(2.0))[0])
    charge = (32 * SCALAR_ON_PROTON + 40.63 * SCALAR_ON_NEUTRON) * f
    expected = mass**2 * recoil_mev / (4 * math.pi * energy**2) * g**4 * charge**2
    expected *= INVERSE_MEV2_TO_CM2 * KEV / (2 * mass * recoil_mev + mediator**2) ** 2
    coupling = light_scalar(mediator, "s")
    extra = cevns(2.0, energy, "Ge", couplings={coupling: g}) - cevns(2.0, energy, "Ge")
    assert float(extra) == near(expected, 1e-9)


def test_signs_of_the_interference():
    plain = sigma("cevns", recoil=2.0)
    for charges, sign in (("universal", -1), ("b-l", 1)):
        coupling = light_vector(charges, 100.0, "g")
        assert np.sign(sigma("cevns", {coupling: 3e-6}, recoil=2.0) - plain) == sign
        assert sigma("electron", {coupling: 3e-6}, recoil=2.0) > sigma("electron", recoil=2.0)
    loop = light_vector("lmu-ltau", 100.0, "g")
    for incoming, sign in zip(FLAVOURS, (0, -1, 1), strict=True):
        shift = sigma("cevns", {loop: 1e-4}, recoil=2.0, incoming=incoming) - plain
        assert np.sign(shift) == sign
    assert sigma("cevns", {"r2_ee": -1e-32}, recoil=2.0) < plain < sigma("cevns", {"r2_ee": 1e-32}, recoil=2.0)
    assert sigma("cevns", {"sin2_theta_w": 0.25}, recoil=2.0) > plain
    assert sigma("cevns", {"eps_ee_u": 0.01}, recoil=2.0) < plain


@pytest.mark.parametrize("name", ["q_emu", "r2_emu", "r2_etau", "eps_emu_u", "eps_etau_d"])
def test_transitions_add_without_interference(name):
    coupling = COUPLINGS[name]
    up, down = sigma("cevns", {name: coupling.scale}), sigma("cevns", {name: -coupling.scale})
    assert np.array_equal(up, down)
    assert np.all(up > sigma("cevns"))
    diagonal = name.replace("emu", "ee").replace("etau", "ee")
    both = sigma("cevns", {name: coupling.scale, diagonal: coupling.scale}) - sigma("cevns", {diagonal: coupling.scale})
    assert both == pytest.approx(up - sigma("cevns"), rel=1e-9, abs=1e-12 * sigma("cevns").max())


def test_different_transitions_of_one_pair_interfere_with_each_other():
    up, down = 0.05, -0.05  # 2u + d and u + 2d of opposite sign: they nearly cancel on germanium
    opposite = sigma("cevns", {"eps_emu_u": up, "eps_emu_d": down}) - sigma("cevns")
    alone = sigma("cevns", {"eps_emu_u": up}) - sigma("cevns")
    assert np.all(opposite < 0.05 * alone)


def test_neutrinos_and_antineutrinos_scatter_alike_on_nuclei():
    values = {"r2_mumu": 1e-31, "mu_mu": 1e-9, "eps_mumu_d": 0.1, OF_FAMILIES["scalar10"]: 1e-5}
    alike = [sigma("cevns", values, incoming="mu", antineutrino=anti) for anti in (False, True)]
    assert np.array_equal(*alike)


def test_an_axial_coupling_shifts_g_a():
    """g_A of nu_e is 1/2 and of nu_mu -1/2: a shift of 1, and of g_V by 1, turns one into the other."""
    names = {"vector": "v", "axial": "a"}
    values = {
        Coupling(name, name, "1", 0.1, (-2, 2), (("mu", "mu"),), None, electron_nsi, component=component): 1.0
        for component, name in names.items()
    }
    for anti in (False, True):
        turned = sigma("electron", values, incoming="mu", antineutrino=anti)
        assert turned == near(sigma("electron", incoming="e", antineutrino=anti), 1e-12)
    # In a response, couplings that share a kernel but not a component are told apart.
    response = preset_response("ess-csi-electron", couplings=list(values), channels=["electron"])
    singly = [
        preset_response("ess-csi-electron", couplings=[coupling], channels=["electron"]).counts(**{coupling.name: 0.5})
        for coupling in values
    ]
    assert response.counts(v=0.5) == near(singly[0], 1e-12)
    assert response.counts(a=0.5) == near(singly[1], 1e-12)
    assert not np.allclose(singly[0], singly[1], rtol=1e-3)


def test_weights_scale_the_kernel():
    doubled = replace(COUPLINGS["q_mumu"], weights=(2.0,))
    assert sigma("cevns", {doubled: 1e-9}, incoming="mu") == near(
        sigma("cevns", {"q_mumu": 2e-9}, incoming="mu"), 1e-13
    )
    ours = preset_response("ess-ge", couplings=[doubled]).counts(q_mumu=1e-9)
    assert ours == near(preset_response("ess-ge", couplings=["q_mumu"]).counts(q_mumu=2e-9), 1e-12)


@pytest.mark.parametrize("transfer", [0.0, 1.0, 100.0, MUON_MASS_MEV**2, 5 * MUON_MASS_MEV**2])
def test_the_loop_against_adaptive_quadrature(transfer):
    from scipy.integrate import quad

    def integrand(x):
        split = x * (1 - x)
        return split * math.log((TAU_MASS_MEV**2 + split * transfer) / (MUON_MASS_MEV**2 + split * transfer))

    expected = 2 * FINE_STRUCTURE / math.pi * quad(integrand, 0, 1, epsabs=0, epsrel=1e-13)[0]
    assert float(loop_charge(transfer)) == near(expected, 1e-12)


def test_radiative_corrections():
    plain = preset_response("ess-csi").counts().sum()
    corrected = preset_response("ess-csi", radiative_corrections=True).counts().sum()
    assert corrected / plain - 1 == pytest.approx(0.020, abs=5e-4)  # physics section 9
    germanium = [preset_response("ess-ge", radiative_corrections=on).counts().sum() for on in (False, True)]
    assert germanium[1] / germanium[0] - 1 == pytest.approx(0.017, abs=5e-4)
    by_flavour = [float(cevns(2.0, 30.0, "Ge", incoming=f, radiative_corrections=True)) for f in FLAVOURS]
    assert by_flavour == sorted(by_flavour)  # a larger g_p is a smaller weak charge
    with pytest.raises(PhysicsError, match="electrons"):
        differential("electron", 2.0, 30.0, "Ge", radiative_corrections=True)
    with pytest.raises(PhysicsError, match="electrons"):
        preset_response("ess-csi-electron", radiative_corrections=True)


def test_a_source_sees_what_the_declaration_promises():
    """The loop-induced vector is felt by muon neutrinos alone; of them the source has two kinds."""
    response = preset_response("ess-csi", couplings=[OF_FAMILIES["lmlt_100"]])
    assert response.counts(lmlt_100=1e-3).sum() < response.counts().sum()
    assert cl.couplings.COUPLINGS is COUPLINGS
