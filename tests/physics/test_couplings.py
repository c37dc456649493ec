"""The registry and the families: every declaration is complete, and its counts are those of its cross section."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import direct_counts, every_flavour, near, perfect, preset_response

import cevnslab as cl
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.atoms import binding_energies_kev
from cevnslab.physics.constants import SIN2_THETA_W
from cevnslab.physics.couplings import COUPLINGS, FAMILIES, FLAVOURS, Coupling, coupling, light_scalar, light_vector
from cevnslab.physics.cross_sections import differential, scatterers
from cevnslab.physics.flavour import MASS_STATES
from cevnslab.physics.nuclei import target

OF_FAMILIES = {
    each.name: each
    for each in (
        light_vector("universal", 10.0, "universal10"),
        light_vector("b-l", 1.0, "bl1"),
        light_vector("lmu-ltau", 100.0, "lmlt_100"),
        light_scalar(10.0, "scalar10"),
        light_scalar(1000.0, "scalar1000"),
    )
}
ALL = {**COUPLINGS, **OF_FAMILIES}
every_coupling = pytest.mark.parametrize("name", ALL)
LINEAR = [name for name, coupling in ALL.items() if coupling.linear and not coupling.channel]
UNITS = {"e", "mu_B", "cm2", "1", "fm"}
PAIRS = ("ee", "mumu", "tautau", "emu", "etau", "mutau")
NAMES = [
    *(f"q_{pair}" for pair in PAIRS),
    "q_nu",
    *("mu_e", "mu_mu", "mu_tau", "mu_nu", "mu_1", "mu_2", "mu_3"),
    *(f"r2_{pair}" for pair in PAIRS),
    *(f"eps_{pair}_{quark}" for quark in "ud" for pair in PAIRS),
    *("sin2_theta_w", "neutron_radius", "cevns_strength"),
]


def typical(coupling: Coupling, size: float = 1.0) -> float:
    """A value of natural size: not the Standard Model's."""
    return 5.03 if not coupling.linear else coupling.reference + size * coupling.scale


def test_the_names_are_these():
    assert list(COUPLINGS) == NAMES
    assert set(FAMILIES) == {"light_vector", "light_scalar"}


@every_coupling
def test_the_declaration_is_complete(name):
    from matplotlib.mathtext import MathTextParser

    coupling = ALL[name]
    assert coupling.name == name
    assert coupling.unit in UNITS
    assert coupling.description
    assert coupling.reference_text
    parser = MathTextParser("agg")
    for text in (coupling.symbol, coupling.formula):
        assert text
        assert "\n" not in text
        parser.parse(f"${text}$")
    assert coupling.bounds[0] < typical(coupling) < coupling.bounds[1]
    assert coupling.scale > 0
    states = {state for pair in coupling.flavours for state in pair}
    assert states <= set(FLAVOURS) or states <= set(MASS_STATES)
    acts = coupling.nucleus is not None or coupling.channel != ""  # a factor on a channel has no kernel
    assert coupling.linear == (coupling.rebuild is None) == acts
    assert hash(coupling) == hash(replace(coupling))
    assert pickle.loads(pickle.dumps(coupling)) == coupling


@every_coupling
@pytest.mark.parametrize("formula", ["CsI", "Xe", "Ge", "Ar", "Si", "C3F8"])
def test_kernels_are_finite(name, formula):
    coupling = ALL[name]
    recoil = np.geomspace(0.05, 200.0, 300)
    for channel in ("cevns", "electron"):
        for particle, _ in scatterers(target(formula), channel):
            for component, values in particle.kernel(coupling, recoil).items():
                assert component == coupling.component
                assert values.shape == recoil.shape
                assert np.all(np.isfinite(values))
                assert np.any(values != 0)


@pytest.mark.parametrize("name", LINEAR)
@given(share=st.just(0.0) | st.floats(1e-9, 1.0))
def test_values_undo_strengths(name, share):
    coupling = ALL[name]
    low, high = coupling.bounds
    value = low + share * (high - low)
    result = coupling.values(coupling.strength(value))
    assert min(abs(v - value) for v in result) <= 1e-12 * max(abs(value), abs(coupling.reference))
    assert all(low <= v <= high for v in result)
    assert list(result) == sorted(result)


@pytest.mark.parametrize("name", LINEAR)
def test_strengths_at_the_ends_and_beyond(name):
    coupling = ALL[name]
    assert coupling.strength(coupling.reference) == 0.0
    for end in coupling.bounds:
        assert coupling.values(coupling.strength(end)) == (pytest.approx(end, rel=1e-12),)
    assert coupling.values(coupling.strength(coupling.bounds[1]) * 1.001 + 1.0) == ()
    assert coupling.strength_scale == near(abs(coupling.strength(typical(coupling))), 1e-9)


def test_a_mediator_has_no_value_of_negative_strength():
    assert OF_FAMILIES["bl1"].values(-1e-12) == ()
    assert OF_FAMILIES["bl1"].values(4e-12) == (pytest.approx(2e-6),)
    with pytest.raises(PhysicsError, match="even power"):
        replace(OF_FAMILIES["bl1"], bounds=(-1.0, 1.0))
    cubic = replace(OF_FAMILIES["bl1"], power=3, bounds=(-1.0, 1.0))
    assert cubic.values(-8e-6) == (pytest.approx(-0.02),)
    assert COUPLINGS["sin2_theta_w"].values(0.01) == (pytest.approx(SIN2_THETA_W + 0.01),)


@every_coupling
@pytest.mark.parametrize("channel", ["cevns", "electron"])
def test_it_acts_on_the_flavours_that_it_joins(name, channel):
    coupling = ALL[name]
    acts = any(particle.kernel(coupling, np.array([2.0])) for particle, _ in scatterers(target("Xe"), channel))
    acts |= channel == "cevns" and not coupling.linear
    for incoming in FLAVOURS:
        plain = float(differential(channel, 2.0, 30.0, "Xe", incoming=incoming))
        shifted = float(
            differential(channel, 2.0, 30.0, "Xe", couplings={coupling: typical(coupling)}, incoming=incoming)
        )
        joined = any(coupling.joins(incoming, outgoing) for outgoing in FLAVOURS)
        # Every flavour holds every mass state.
        mass = any(coupling.joins(state, state) for state in MASS_STATES)
        assert (shifted != plain) == ((joined or mass) and acts)
        assert joined == any(coupling.weight(incoming, outgoing) for outgoing in FLAVOURS)


@pytest.mark.parametrize("name", LINEAR)
def test_interference_is_what_the_declaration_says(name):
    coupling = ALL[name]
    response = preset_response("ess-csi", couplings=[coupling], source=every_flavour())
    linear = dict(zip(response.monomials, response.signal, strict=True)).get((0,))
    assert (linear is not None and np.any(linear)) == coupling.interferes


def _counted(coupling, preset, channel, value, edges, number=0):
    """Counts in a bin by the response, and by integration of the public cross section."""
    source, detector = cl.load_source("ess"), perfect(cl.load_detector(preset), edges)
    if coupling.linear:
        response = cl.response(source, detector, couplings=[coupling], years=3, channels=[channel])
        ours = response.counts(**{coupling.name: value})[number]
    else:
        rebuilt = replace(detector, target=coupling.rebuild(detector.target, value))
        ours = cl.response(source, rebuilt, years=3, channels=[channel]).counts()[number]
    kinks = []
    if channel == "electron":
        steps = [binding_energies_kev(c.nucleus.symbol) for c in detector.target.constituents]
        kinks = list(np.concatenate(steps) / detector.electron_quenching)
    options = {"couplings": {coupling: value}, "channel": channel, "kinks": kinks}
    return ours, direct_counts(source, detector, number, 3, **options)


@pytest.mark.parametrize("name", [name for name, coupling in ALL.items() if not coupling.channel])
def test_counts_are_the_integral_of_the_cross_section(name):
    ours, direct = _counted(ALL[name], "ess-csi", "cevns", typical(ALL[name], 3.0), [2.0, 4.0])
    assert ours == near(direct, 1e-8)


@pytest.mark.parametrize("name", [name for name, coupling in ALL.items() if coupling.electron is not None])
def test_electron_counts_are_the_integral_of_the_cross_section(name):
    coupling = ALL[name]
    preset = "ess-csi-electron"
    # A charge shows on electrons at a tenth of what nuclei see; nothing else does so much better.
    ours, direct = _counted(
        coupling, preset, "electron", typical(coupling, 0.1 if coupling.unit == "e" else 1.0), [4.0, 9.0]
    )
    assert ours == near(direct, 1e-8)


def test_counts_with_resolution_and_couplings_of_every_kind():
    kinds = {"q_ee": 3e-9, "mu_mu": 2e-9, "r2_emu": 3e-31, "eps_mumu_d": 0.05, "sin2_theta_w": 0.2}
    couplings = [*kinds, OF_FAMILIES["lmlt_100"], OF_FAMILIES["scalar10"]]
    values = {**kinds, "lmlt_100": 3e-3, "scalar10": 1e-5}
    ours = preset_response("ess-ge", couplings=couplings).counts(**values)[3]
    source, detector = cl.load_source("ess"), cl.load_detector("ess-ge")
    by_declaration = {ALL[name]: value for name, value in values.items()}
    assert ours == near(direct_counts(source, detector, 3, 3, couplings=by_declaration), 1e-8)


def test_names_and_declarations_are_both_keys():
    by_name = differential("cevns", 2.0, 30.0, "Xe", couplings={"q_ee": 1e-9})
    assert by_name == differential("cevns", 2.0, 30.0, "Xe", couplings={COUPLINGS["q_ee"]: 1e-9})


def test_the_standard_model_is_at_the_reference():
    for channel in ("cevns", "electron"):
        plain = float(differential(channel, 2.0, 30.0, "Xe"))
        values = {coupling: coupling.reference for coupling in ALL.values() if coupling.linear}
        assert float(differential(channel, 2.0, 30.0, "Xe", couplings=values)) == plain


def test_the_neutron_radius_makes_another_target():
    radius = COUPLINGS["neutron_radius"]
    for wrong in (radius.strength, radius.values):
        with pytest.raises(PhysicsError, match="linear"):
            wrong(5.0)
    csi = target("CsI", rms_radius_fm=4.83)
    assert radius.rebuild(csi, 4.83) == csi
    with pytest.raises(PhysicsError, match=r"1\.559"):
        radius.rebuild(csi, 1.55)
    low, nominal, high = radius.range_of(target("C3F8"))
    assert nominal == pytest.approx((3 * 2.4702 + 8 * 2.8976) / 11, rel=0.01)
    smallest = min(c.nucleus.neutron_radius_fm for c in radius.rebuild(target("C3F8"), low).constituents)
    assert smallest == pytest.approx(np.sqrt(3) * 0.9, rel=1e-6)
    assert high == radius.bounds[1]
    assert not radius.interferes


def test_families_say_what_they_need():
    assert light_vector("universal", 10, "a") == light_vector("universal", 10.0, "a")
    assert light_vector("universal", 10, "a").nucleus == light_vector("universal", 10.0, "b").nucleus
    assert len({light_scalar(5, "a"), light_scalar(5.0, "a"), light_scalar(6.0, "a")}) == 2
    with pytest.raises(UnknownNameError, match="universal"):
        light_vector("universl", 10.0, "a")
    for arguments, match in (
        ({"mass_mev": 10.0, "label": "a"}, "charges"),
        ({"charges": "b-l", "label": "a"}, "mass_mev"),
        ({"charges": "b-l", "mass_mev": 0.0, "label": "a"}, "above 0"),
        ({"charges": "b-l", "mass_mev": float("nan"), "label": "a"}, "finite"),
        ({"charges": "b-l", "mass_mev": 10.0}, "label"),
        ({"charges": "b-l", "mass_mev": 10.0, "label": "a b"}, "label"),
    ):
        with pytest.raises(PhysicsError, match=match):
            light_vector(**arguments)
    for arguments, match in (({"label": "a"}, "mass_mev"), ({"mass_mev": -1.0, "label": "a"}, "above 0")):
        with pytest.raises(PhysicsError, match=match):
            light_scalar(**arguments)
    with pytest.raises(UnknownNameError, match="mass_mev"):
        coupling("light_vector")
    with pytest.raises(PhysicsError, match="bounds"):
        light_scalar(10.0, "a").check(-1e-5)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"component": "tensor"}, "tensor"),
        ({"weights": (1.0, 2.0)}, "weights"),
        ({"power": 0}, "power"),
        ({"component": "axial"}, "axial"),
        ({"rebuild": COUPLINGS["neutron_radius"].rebuild}, "rebuild"),
    ],
)
def test_declarations_that_contradict_themselves(changes, match):
    with pytest.raises(PhysicsError, match=match):
        replace(COUPLINGS["q_ee"], **changes)
