"""Density matrices in flavour: the trace Tr(Q rho Q^+) by the fold, by cross sections, and as a product of matrices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import near, perfect

import cevnslab as cl
from cevnslab.detection.folding import fold
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.constants import ELECTRON_MASS_MEV, SIN2_THETA_W
from cevnslab.physics.couplings import COUPLINGS, Coupling
from cevnslab.physics.cross_sections import differential
from cevnslab.physics.flavour import FLAVOURS, MASS_STATES, NUFIT, Oscillation, density_matrix, pair_weights
from cevnslab.physics.millicharges import millicharge_strength
from cevnslab.physics.solar_propagation import mass_state_shares
from cevnslab.physics.sources import FluxComponent, LineSpectrum, TabulatedSource, TabulatedSpectrum

SHARES = mass_state_shares(10.0, 87.5)
"""Of 8B at 10 MeV."""


def solar_matrix(shares=SHARES, oscillation=NUFIT):
    mixing = oscillation.mixing
    return (mixing * shares) @ mixing.conj().T


def as_matrix(array):
    return tuple(tuple(complex(value) for value in row) for row in array)


def elementary(alpha, beta):
    """E_ab of physics.md, section 10: one entry on the diagonal, two off it."""
    matrix = np.zeros((3, 3), dtype=complex)
    matrix[FLAVOURS.index(alpha), FLAVOURS.index(beta)] = matrix[FLAVOURS.index(beta), FLAVOURS.index(alpha)] = 1.0
    return matrix


@dataclass(frozen=True)
class Constant:
    """A target particle of constant amplitudes: the fold gives the trace itself."""

    standard: float

    def minimum_energy_mev(self, recoil):
        return np.zeros_like(recoil)

    def maximum_recoil_kev(self, energy):
        return 1.0

    def standard_model(self, flavour, recoil):
        return {"vector": np.full_like(recoil, self.standard)}

    def kernel(self, coupling, recoil):
        return {"vector": coupling.nucleus(recoil, None, None, None)}

    def kinematics(self, recoil, antineutrino, components=()):
        one, zero = np.ones_like(recoil), np.zeros_like(recoil)
        return {("vector", "vector"): np.stack([one, zero, zero])}


@dataclass(frozen=True)
class Number:
    value: float

    def __call__(self, recoil, nucleus, protons, neutrons):
        return np.full_like(recoil, self.value)


def constant_coupling(pair, value):
    return Coupling(f"x_{pair[0]}{pair[1]}", "x", "1", 1.0, (-10, 10), (pair,), Number(value), None, "test")


def folded(components, couplings, values, standard=-37.0):
    """Sum over monomials of couplings with constant amplitudes, in one bin of unit measure."""
    terms = fold(
        [(Constant(standard), 1.0)],
        components,
        tuple(couplings),
        np.array([1.0]),
        np.array([1.0]),
        np.ones((1, 1)),
        1.0,
    )
    return sum(np.prod([values[i] for i in monomial]) * float(counts[0]) for monomial, counts in terms.items())


def mass_states(shares=SHARES, antineutrino=False):
    return [
        FluxComponent(name, name, antineutrino, LineSpectrum(10.0), yield_per_primary=float(share))
        for name, share in zip(MASS_STATES, shares, strict=True)
    ]


THREE = [constant_coupling(("e", "mu"), 2.1), constant_coupling(("e", "tau"), -1.2), constant_coupling(("e", "e"), 0.9)]


@pytest.mark.parametrize("antineutrino", [False, True])
def test_the_trace_of_three_couplings(antineutrino):
    """physics.md, section 10: Q = -37 + 2.1 E_emu - 1.2 E_etau + 0.9 E_ee at 10 MeV gives 1222.930."""
    ours = folded(mass_states(antineutrino=antineutrino), THREE, [1.0, 1.0, 1.0])
    assert ours == pytest.approx(1222.930, abs=5e-4)


def test_the_trace_against_matrices():
    charge = -37.0 * np.eye(3) + 2.1 * elementary("e", "mu") - 1.2 * elementary("e", "tau") + 0.9 * elementary("e", "e")
    expected = np.trace(charge @ solar_matrix() @ charge.conj().T).real
    assert folded(mass_states(), THREE, [1.0, 1.0, 1.0]) == near(expected, 1e-13)
    matrix = FluxComponent("all", as_matrix(solar_matrix()), False, LineSpectrum(10.0))
    assert folded([matrix], THREE, [1.0, 1.0, 1.0]) == near(expected, 1e-13)


def test_elements_of_the_density_matrix():
    """physics.md, section 10."""
    assert pytest.approx([0.0844, 0.8934, 0.0222], abs=6e-5) == SHARES
    boron = solar_matrix()
    assert np.diag(boron).real == pytest.approx([0.327, 0.402, 0.271], abs=6e-4)
    pairs = [(0, 1, 0.296 - 0.017j), (0, 2, -0.225 - 0.018j), (1, 2, -0.304 - 0.030j)]
    assert all(boron[a, b] == pytest.approx(value, abs=8e-4) for a, b, value in pairs)
    pp = solar_matrix(mass_state_shares(0.3, 60.95))
    assert np.diag(pp).real == pytest.approx([0.543, 0.220, 0.237], abs=6e-4)
    pairs = [(0, 1, -0.069 - 0.029j), (0, 2, 0.156 - 0.030j), (1, 2, -0.195 + 0.013j)]
    assert all(pp[a, b] == pytest.approx(value, abs=8e-4) for a, b, value in pairs)


def test_where_the_coherence_turns():
    """Between 1.5 and 2.2 MeV; and what the phase does at 10 MeV."""
    at = [solar_matrix(mass_state_shares(energy, 87.49))[0, 1].real for energy in (1.5, 2.2)]
    assert at[0] < 0 < at[1]
    coherences = [
        solar_matrix(oscillation=replace(NUFIT, delta_deg=delta))[0, 1].real for delta in np.linspace(0, 180, 37)
    ]
    assert min(coherences) == pytest.approx(0.237, abs=2e-3)
    assert max(coherences) == pytest.approx(0.300, abs=2e-3)


@settings(deadline=None)
@given(
    values=st.lists(st.floats(-2, 2), min_size=6, max_size=6),
    entries=st.lists(st.floats(-1, 1), min_size=18, max_size=18),
)
def test_the_trace_of_any_matrix(values, entries):
    """All six couplings at once against any state."""
    raw = np.array(entries[:9]).reshape(3, 3) + 1j * np.array(entries[9:]).reshape(3, 3)
    rho = raw @ raw.conj().T + 0.01 * np.eye(3)
    pairs = [("e", "e"), ("mu", "mu"), ("tau", "tau"), ("e", "mu"), ("e", "tau"), ("mu", "tau")]
    couplings = [constant_coupling(pair, 1.5 + number) for number, pair in enumerate(pairs)]
    charge = -5.0 * np.eye(3) + sum(
        value * (1.5 + number) * elementary(*pair)
        for number, (pair, value) in enumerate(zip(pairs, values, strict=True))
    )
    expected = np.trace(charge @ rho @ charge.conj().T).real
    component = FluxComponent("any", as_matrix((rho + rho.conj().T) / 2), False, LineSpectrum(10.0))
    assert folded([component], couplings, values, -5.0) == pytest.approx(expected, rel=1e-10, abs=1e-9)


def test_a_transition_interferes_where_flavours_are_mixed():
    """Q^2 + 4 Q x K Re rho_ab + x^2 K^2 (rho_aa + rho_bb)."""
    rho, x, kernel = solar_matrix().real, 0.4, 2.1
    expected = 37.0**2 + 4 * -37.0 * x * kernel * rho[0, 1] + (x * kernel) ** 2 * (rho[0, 0] + rho[1, 1])
    assert folded(mass_states(), THREE[:1], [x]) == near(expected, 1e-13)
    pure = [FluxComponent("nu_e", "e", False, LineSpectrum(10.0))]
    assert folded(pure, THREE[:1], [x]) == near(37.0**2 + (x * kernel) ** 2, 1e-14)


def test_mixed_terms_of_two_couplings():
    """(emu)(etau) -> 2 Re rho_mutau; (ee)(emu) -> 2 Re rho_emu; (ee)(mutau) -> 0."""
    rho = solar_matrix().real
    pairs = [("e", "mu"), ("e", "tau"), ("e", "e"), ("mu", "tau")]
    couplings = tuple(constant_coupling(pair, 1.0) for pair in pairs)
    terms = fold(
        [(Constant(-37.0), 1.0)], mass_states(), couplings, np.array([1.0]), np.array([1.0]), np.ones((1, 1)), 1.0
    )
    assert float(terms[0, 1][0]) == near(2 * rho[1, 2], 1e-12)
    assert float(terms[0, 2][0]) == near(2 * rho[0, 1], 1e-12)
    assert float(terms.get((2, 3), np.zeros(1))[0]) == pytest.approx(0.0, abs=1e-14)


def limits_of_rate(shares, with_coherence, multiplier=2.02, weights_of=None):
    """eps_emu_u at which the rate at 10 MeV reaches a multiple of the Standard Model's: near T = 0, on xenon."""
    kernel, standard = COUPLINGS["eps_emu_u"].nucleus, -37.41206
    strength = float(
        kernel(np.array(0.0), cl.nuclei.target("Xe").constituents[0].nucleus, np.array(1.0), np.array(1.0))
    )

    def rate(eps):
        rho = solar_matrix(weights_of(eps) if weights_of else shares)
        rho = rho if with_coherence else np.diag(np.diag(rho))
        charge = standard * np.eye(3) + eps * strength * elementary("e", "mu")
        return np.trace(charge @ rho @ charge).real / standard**2 - multiplier

    from scipy.optimize import brentq

    return brentq(rate, -0.6, 0.0), brentq(rate, 0.05 if with_coherence else 0.0, 0.9)


def test_eps_emu_u_with_and_without_the_coherence():
    """physics.md, section 10: [-0.126, 0.453] with it; solar.md, 3.1: symmetric without."""
    assert limits_of_rate(SHARES, True) == pytest.approx((-0.126, 0.453), abs=6e-3)
    low, high = limits_of_rate(SHARES, False)
    assert low == near(-high, 1e-9)
    assert high == pytest.approx(0.244, abs=6e-3)


def test_eps_emu_u_with_propagation():
    """NSI in the Sun's matter, physics.md, section 10: [-0.115, 0.355]."""
    from cevnslab.physics.solar_propagation import QUARKS_PER_ELECTRON, mass_state_shares_with_nsi

    def shares(eps):
        matter = QUARKS_PER_ELECTRON["u"] * eps * elementary("e", "mu")
        return mass_state_shares_with_nsi(10.0, 87.49, matter)

    assert limits_of_rate(SHARES, True, weights_of=shares) == pytest.approx((-0.115, 0.355), abs=5e-3)


def test_propagation_without_nsi_is_the_formula():
    from cevnslab.physics.solar_propagation import mass_state_shares_with_nsi

    for energy in (0.3, 1.4, 5.0, 10.0, 15.0):
        exact = mass_state_shares_with_nsi(energy, 87.49, np.zeros((3, 3)))
        assert exact.sum() == near(1.0, 1e-12)
        # The formula leaves out the matter effect of the third state, 2 E V/dm31^2.
        assert mass_state_shares(energy, 87.49) == pytest.approx(exact, abs=5e-3)


XENON = cl.nuclei.target("Xe", rms_radius_fm=4.79)


def electron_cross_section(rho, recoil_kev, energy_mev, charge, antineutrino):
    """Tr rho[(V+A)^2 + (V-A)^2 (1-T/E)^2 - (V^2-A^2) m T/E^2] with V and A as matrices."""
    kappa = float(millicharge_strength(ELECTRON_MASS_MEV, recoil_kev))
    vector = np.diag([0.5, -0.5, -0.5]) + 2 * SIN2_THETA_W * np.eye(3) - kappa * charge
    axial = np.diag([0.5, -0.5, -0.5]) * (-1 if antineutrino else 1)
    left, right = vector + axial, vector - axial
    t = recoil_kev * 1e-3
    inner = left @ left + right @ right * (1 - t / energy_mev) ** 2
    inner -= (vector @ vector - axial @ axial) * ELECTRON_MASS_MEV * t / energy_mev**2
    return np.trace(rho @ inner).real


@pytest.mark.parametrize("antineutrino", [False, True])
@pytest.mark.parametrize("pair", [("e", "mu"), ("e", "tau"), ("mu", "tau"), ("e", "e")])
def test_electrons(pair, antineutrino):
    """physics.md, section 10: V and A are matrices too."""
    rho = solar_matrix().conj() if antineutrino else solar_matrix()
    q, energy, recoil = 3e-12, 5.0, 4.0
    name = f"q_{pair[0]}{pair[1]}"

    def ours(values):
        return float(
            differential(
                "electron", recoil, energy, XENON, couplings=values, incoming=as_matrix(rho), antineutrino=antineutrino
            )
        )

    def direct(charge):
        return electron_cross_section(rho, recoil, energy, charge, antineutrino)

    expected = direct(q * elementary(*pair)) / direct(np.zeros((3, 3)))
    assert ours({name: q}) / ours({}) == near(expected, 1e-11)


def test_the_linear_term_on_electrons():
    """-2 kappa q Re rho_ab {(V_a+V_b)[1+(1-T/E)^2-m T/E^2] + (A_a+A_b)[1-(1-T/E)^2]}, physics.md, section 10."""
    rho, energy, recoil = solar_matrix(), 0.4, 50.0
    y, mass = 1 - recoil * 1e-3 / energy, ELECTRON_MASS_MEV * recoil * 1e-3 / energy**2
    for pair, v, a in ((("e", "mu"), 4 * SIN2_THETA_W, 0.0), (("mu", "tau"), 4 * SIN2_THETA_W - 1, -1.0)):
        name = f"q_{pair[0]}{pair[1]}"
        up, down = (
            float(differential("electron", recoil, energy, XENON, couplings={name: q}, incoming=as_matrix(rho)))
            for q in (1e-13, -1e-13)
        )
        at = [FLAVOURS.index(flavour) for flavour in pair]
        kappa = float(millicharge_strength(ELECTRON_MASS_MEV, recoil))
        linear = -2 * kappa * rho[at[0], at[1]].real * (v * (1 + y**2 - mass) + a * (1 - y**2))
        standard = electron_cross_section(rho, recoil, energy, np.zeros((3, 3)), False)
        plain = float(differential("electron", recoil, energy, XENON, incoming=as_matrix(rho)))
        assert (up - down) / 2e-13 / plain * standard == near(linear, 1e-6)


@pytest.mark.parametrize("channel", ["cevns", "electron"])
def test_counts_of_mass_states_against_cross_sections(channel):
    """The fold of a line against the cross section with a density matrix, several couplings at once."""
    values = {"q_emu": 2e-12, "q_mutau": -1e-12, "r2_ee": 3e-32, "mu_2": 4e-11, "mu_mu": 3e-11}
    if channel == "cevns":
        values = {"q_emu": 2e-9, "eps_etau_u": 0.1, "r2_ee": 3e-31, "mu_2": 4e-10, "mu_mu": 3e-10}
    recoil = 0.8
    parts = tuple(mass_states())
    source = TabulatedSource("line", parts, 1e10, None, 8766)
    edges = [recoil - 1e-5, recoil + 1e-5]
    detector = replace(perfect(cl.load_detector("ess-xe"), edges), electron_quenching=1.0, distance_m=None)
    ours = cl.response(source, detector, couplings=list(values), years=1, channels=[channel]).counts(**values)[0]
    options = {"couplings": values, "incoming": as_matrix(solar_matrix())}
    sigma = float(differential(channel, recoil, 10.0, detector.target, **options))
    first = detector.target.constituents[0]
    units = detector.mass_kg * detector.target.nuclei_per_kg(first) / first.per_formula_unit
    assert ours == near(sigma * 2e-5 * units * source.fluence_per_cm2(None, 1), 1e-6)


def test_moments_in_the_mass_basis():
    """mu_i acts on the share of nu_i; the universal moment on all, in every basis."""
    rho = as_matrix(solar_matrix())

    def added(state, **values):
        plain = differential("cevns", 1.0, 10.0, XENON, incoming=state)
        return float(differential("cevns", 1.0, 10.0, XENON, couplings=values, incoming=state) - plain)

    whole = added("e", mu_nu=1e-9)
    for state in (*FLAVOURS, *MASS_STATES, rho):
        assert added(state, mu_nu=1e-9) == near(whole, 1e-9)
        assert sum(added(state, **{name: 1e-9}) for name in ("mu_1", "mu_2", "mu_3")) == near(whole, 1e-9)
        assert sum(added(state, **{name: 1e-9}) for name in ("mu_e", "mu_mu", "mu_tau")) == near(whole, 1e-9)
    assert added(rho, mu_2=1e-9) / whole == near(SHARES[1], 1e-9)
    assert added("e", mu_3=1e-9) / whole == near(NUFIT.sin2_theta13, 1e-9)
    assert added(rho, mu_mu=1e-9) / whole == near(solar_matrix()[1, 1].real, 1e-9)
    both = added(rho, mu_1=1e-9, mu_2=2e-9)
    assert both / whole == near(SHARES[0] + 4 * SHARES[1], 1e-9)


def test_a_flavour_source_is_the_diagonal_case():
    for flavour in FLAVOURS:
        weights = {pair: value for pair, value in pair_weights(flavour).items() if pair[0] in FLAVOURS}
        assert weights == {(flavour, flavour): 1.0}
    # Equal shares of the mass states are equal shares of the flavours.
    thirds = np.full(3, 1 / 3)
    assert solar_matrix(thirds) == pytest.approx(np.eye(3) / 3, abs=1e-15)


def test_any_energy_dependence_is_a_sum_of_components():
    """A coherence as a component of trace 0: flavours that oscillate on their way."""
    flux = TabulatedSpectrum((1.0, 20.0), (1.0, 1.0)).normalised()
    whole = [FluxComponent("nu", as_matrix(solar_matrix()), False, flux)]
    diagonal = np.diag(np.diag(solar_matrix()).real)
    split = [
        FluxComponent("flavours", as_matrix(diagonal), False, flux),
        FluxComponent("coherence", as_matrix(solar_matrix() - diagonal), False, flux),
    ]
    assert folded(split, THREE, [1.0, 0.5, 2.0]) == near(folded(whole, THREE, [1.0, 0.5, 2.0]), 1e-13)


def test_mixing_is_unitary():
    mixing = NUFIT.mixing
    assert mixing @ mixing.conj().T == pytest.approx(np.eye(3), abs=1e-15)
    assert not mixing.flags.writeable
    for name in MASS_STATES:
        assert np.trace(density_matrix(name)).real == near(1.0, 1e-14)
        assert density_matrix(name, antineutrino=True) == pytest.approx(density_matrix(name).conj(), abs=1e-16)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: density_matrix("nu_e"), UnknownNameError, "'nu_e'"),
        (lambda: density_matrix("4"), UnknownNameError, "'4'"),
        (lambda: density_matrix(((1.0, 0.0), (0.0, 1.0))), PhysicsError, "three rows"),
        (lambda: density_matrix(as_matrix(np.triu(np.ones((3, 3))))), PhysicsError, "Hermitian"),
        (lambda: Oscillation(sin2_theta12=1.2), PhysicsError, "sin2_theta12"),
        (lambda: Oscillation(dm21_ev2=-1e-5), PhysicsError, "dm21_ev2"),
        (lambda: Oscillation(dm31_ev2=1e-5), PhysicsError, "dm31_ev2"),
        (lambda: cl.cross_sections.cevns(1.0, 10.0, "Xe", incoming="x"), UnknownNameError, "'x'"),
        (lambda: replace(COUPLINGS["q_ee"], flavours=(("1", "1"),)), PhysicsError, "mass states"),
        (lambda: replace(COUPLINGS["mu_e"], flavours=(("1", "2"),)), PhysicsError, "mass states"),
        (lambda: replace(COUPLINGS["mu_e"], flavours=(("1", "1"), ("e", "e"))), PhysicsError, "mass states"),
    ],
)
def test_states_that_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()
