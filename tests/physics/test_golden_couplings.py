"""Every number of the reference file of the couplings beyond the millicharge."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from support import FLAVOURS, OneFlavour, near

import cevnslab as cl
from cevnslab.physics import constants, mediators
from cevnslab.physics.couplings import COUPLINGS, Coupling, light_scalar, light_vector
from cevnslab.physics.cross_sections import differential, scatterers
from cevnslab.physics.electromagnetic import CHARGE_RADIUS_PER_CM2
from cevnslab.physics.nsi import electron_nsi
from cevnslab.physics.nuclei import target

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden-couplings.json").read_text(encoding="utf-8"))
BINS = GOLDEN["bins_CEvNS"]["values"]
CROSS_SECTION_PRECISION = 1e-11
"""The file has twelve digits."""
BIN_PRECISION, TAIL = 1e-8, 1e-10

UNIT = {"1e-9 e": 1e-9, "1e-32 cm^2": 1e-32, "1": 1.0, "shift": 1.0, "g^2": 1.0}
CHARGES = {"univ": "universal", "bl": "b-l", "lmlt": "lmu-ltau"}
PAIR = {"nue": "ee", "numu": "mumu", "numubar": "mumu"}


def electron_vector_nsi(flavour: str) -> Coupling:
    return Coupling("eps_e", "e", "1", 0.01, (-10, 10), ((flavour, flavour),), None, electron_nsi)


def declared(short: str, incoming: str, mass_mev: float | None = None) -> Coupling:
    """The coupling that the file calls by a short name, for an incoming flavour."""
    pair = PAIR[incoming]
    if short in CHARGES:
        return light_vector(CHARGES[short], mass_mev, "g")
    if short == "eps_eV":
        return electron_vector_nsi(FLAVOURS[incoming][0])
    names = {"q": f"q_{pair}", "r2": f"r2_{pair}", "s2w": "sin2_theta_w"}
    names |= {f"eps_{quark}": f"eps_{pair}_{quark}" for quark in "ud"}
    return COUPLINGS[names[short]]


def formal(coupling: Coupling, **changes: object) -> Coupling:
    """The same kernels with the strength itself as value, of either sign and any size."""
    return replace(coupling, power=1, reference=0.0, bounds=(-math.inf, math.inf), **changes)


@pytest.mark.parametrize(
    ("ours", "name"),
    [
        (constants.PROTON_MASS_MEV, "mp"),
        (constants.NEUTRON_MASS_MEV, "mn"),
        (constants.TAU_MASS_MEV, "mtau"),
        (constants.UP_MASS_MEV, "mu_q"),
        (constants.DOWN_MASS_MEV, "md_q"),
        (constants.UP_IN_PROTON, "fpu"),
        (constants.DOWN_IN_PROTON, "fpd"),
        (constants.UP_IN_NEUTRON, "fnu"),
        (constants.DOWN_IN_NEUTRON, "fnd"),
        (mediators.SCALAR_ON_PROTON, "C_p_scalar"),
        (mediators.SCALAR_ON_NEUTRON, "C_n_scalar"),
        (CHARGE_RADIUS_PER_CM2 * 1e-32, "charge_radius_kernel_per_1e-32cm2"),
    ],
    ids=str,
)
def test_constants(ours, name):
    assert ours == near(GOLDEN["constants"][name], 1e-10)


def test_radiative_couplings():
    adopted = GOLDEN["radiative_couplings"]["adopted_literature_4_digits"]
    assert constants.RADIATIVE_G_P["e"] == adopted["g_p_nue"]
    assert constants.RADIATIVE_G_P["mu"] == adopted["g_p_numu"]
    assert adopted["g_n"] == constants.RADIATIVE_G_N
    # Their dependence on the flavour is the Standard Model's charge radius, a shift of g_p by -kernel <r^2>.
    recomputed = GOLDEN["radiative_couplings"]["recomputed_here"]
    radii = {"e": "r2_e", "mu": "r2_mu", "tau": "r2_tau"}
    for flavour, radius in radii.items():
        shift = -CHARGE_RADIUS_PER_CM2 * 1e-32 * (recomputed[radius] - recomputed["r2_tau"])
        assert constants.RADIATIVE_G_P[flavour] - constants.RADIATIVE_G_P["tau"] == pytest.approx(shift, abs=1e-4)


NUCLEUS_ROWS = GOLDEN["dsigma_nucleus"]["values"]
ELECTRON_ROWS = GOLDEN["dsigma_electron"]["values"]
on_nuclei = pytest.mark.parametrize("row", NUCLEUS_ROWS, ids=lambda row: f"{row['nucleus']}-{row['T_keV']}keV")
on_electrons = pytest.mark.parametrize("row", ELECTRON_ROWS, ids=lambda row: f"{row['incoming']}-{row['T_keV']}keV")


def sigma(row, incoming, couplings=None, **options):
    channel, material = ("cevns", row["nucleus"]) if "nucleus" in row else ("electron", row["atom"])
    flavour, antineutrino = FLAVOURS[incoming]
    options |= {"couplings": couplings, "incoming": flavour, "antineutrino": antineutrino}
    return float(differential(channel, row["T_keV"], row["E_MeV"], material, **options))


def check_vector_like(row, entry, incoming):
    """Kernel, linear and quadratic coefficient, and the totals, of one entry."""
    coupling = declared(entry["coupling"], incoming, entry.get("m_MeV"))
    unit = UNIT[entry["unit"]]
    flavour = FLAVOURS[incoming][0]
    channel, target_material = ("cevns", row["nucleus"]) if "nucleus" in row else ("electron", row["atom"])
    ((particle, _),) = scatterers(target(target_material), channel)
    kernel = (
        float(particle.kernel(coupling, np.array([row["T_keV"]]))["vector"][0])
        * coupling.weight(flavour, flavour)
        * unit
    )
    assert kernel == near(entry["K_per_unit"], CROSS_SECTION_PRECISION)

    free, strength = formal(coupling), entry["value"] * unit
    plain = sigma(row, incoming)
    assert sigma(row, incoming, {free: strength}) == near(entry["diagonal_total"], CROSS_SECTION_PRECISION)
    if "minus_value_total" in entry:
        assert sigma(row, incoming, {free: -strength}) == near(entry["minus_value_total"], CROSS_SECTION_PRECISION)
    to = "mu" if flavour == "e" else "e"
    changing = formal(coupling, flavours=((flavour, to),), weights=(kernel / abs(kernel),) if kernel else (0.0,))
    assert sigma(row, incoming, {changing: strength}) == near(entry["transition_total"], CROSS_SECTION_PRECISION)
    # The value as a user gives it.
    value = next(v for v in coupling.values(strength) if v >= 0 or strength < 0)
    assert sigma(row, incoming, {coupling: value}) == near(entry["diagonal_total"], CROSS_SECTION_PRECISION)

    if kernel == 0:
        assert entry["lin_per_unit"] == entry["quad_per_unit"] == 0
        return
    # A strength at which both terms are as large as the rest, so that nothing cancels.
    large = math.sqrt(plain / entry["quad_per_unit"]) * unit
    up, down = sigma(row, incoming, {free: large}), sigma(row, incoming, {free: -large})
    linear, quadratic = (up - down) / 2, (up + down) / 2 - plain
    scale = large / unit
    assert linear == pytest.approx(entry["lin_per_unit"] * scale, rel=CROSS_SECTION_PRECISION, abs=1e-14 * plain)
    assert quadratic == near(entry["quad_per_unit"] * scale**2, CROSS_SECTION_PRECISION)


@on_nuclei
def test_vector_couplings_on_nuclei(row):
    assert sigma(row, "nue") == near(row["SM"], CROSS_SECTION_PRECISION)
    for entry in row["vector_like"]:
        check_vector_like(row, entry, entry["incoming"])


@on_electrons
def test_vector_couplings_on_electrons(row):
    assert sigma(row, row["incoming"]) == near(row["SM"], CROSS_SECTION_PRECISION)
    for entry in row["vector_like"]:
        check_vector_like(row, entry, row["incoming"])


def added(row, incoming, coupling, value):
    """What a coupling that does not interfere adds, at a strength where it is as large as the rest."""
    plain = sigma(row, incoming)
    free = formal(coupling)
    rough = sigma(row, incoming, {free: 1.0})
    strength = math.sqrt(plain / rough)
    return (sigma(row, incoming, {free: strength}) - plain) * (coupling.strength(value) / strength) ** 2


@on_nuclei
def test_helicity_flips_on_nuclei(row):
    magnetic = row["magnetic"]
    for incoming in ("nue", "numu"):
        moment = COUPLINGS["mu_e" if incoming == "nue" else "mu_mu"]
        ours = added(row, incoming, moment, magnetic["mu_muB"])
        assert ours == near(magnetic["added"], CROSS_SECTION_PRECISION)
        assert ours == near(magnetic["added_spin0_form"], 5e-6)  # the term that is dropped
        for entry in row["scalar"]:
            ours = added(row, incoming, light_scalar(entry["m_MeV"], "s"), entry["g"])
            assert ours == near(entry["added"], CROSS_SECTION_PRECISION)


@on_electrons
def test_helicity_flips_on_electrons(row):
    incoming, magnetic = row["incoming"], row["magnetic"]
    moment = COUPLINGS["mu_e" if incoming == "nue" else "mu_mu"]
    assert added(row, incoming, moment, magnetic["mu_muB"]) == near(magnetic["added"], CROSS_SECTION_PRECISION)
    for entry in row["scalar"]:
        ours = added(row, incoming, light_scalar(entry["m_MeV"], "s"), entry["g"])
        assert ours == near(entry["added"], CROSS_SECTION_PRECISION)


@on_nuclei
def test_mixing_angle_neutron_radius_and_radiative_corrections(row):
    assert sigma(row, "nue", {"sin2_theta_w": 0.2312}) == near(row["s2w=0.2312"], CROSS_SECTION_PRECISION)
    ((constituent,),) = (target(row["nucleus"]).constituents,)
    wider = constituent.nucleus.rms_radius_fm + 0.2
    assert sigma(row, "nue", {"neutron_radius": wider}) == near(row["Rn=R+0.2fm"]["total"], CROSS_SECTION_PRECISION)
    for incoming, expected in row["radiative"].items():
        assert sigma(row, incoming, radiative_corrections=True) == near(expected, CROSS_SECTION_PRECISION)


# Bins: name in the file -> (declaration, unit of the strength), per incoming flavour.
def of_the_bins(incoming: str) -> dict[str, tuple[Coupling, float]]:
    moment = "mu_e" if incoming == "nue" else "mu_mu"
    result = {
        "mu_1e-10muB": (COUPLINGS[moment], 1e-10),
        "r2_1e-32cm2": (declared("r2", incoming), 1e-32),
        "eps_u": (declared("eps_u", incoming), 1.0),
        "eps_d": (declared("eps_d", incoming), 1.0),
        "s2w": (COUPLINGS["sin2_theta_w"], 1.0),
    }
    for mass in (1, 10, 100):
        for short, charges in CHARGES.items():
            result[f"{short}_g2_m{mass}"] = (light_vector(charges, mass, f"{short}{mass}"), 1.0)
        result[f"scal_g2_m{mass}"] = (light_scalar(mass, f"scal{mass}"), 1.0)
    return result


@cache
def bins_response(detector: str, incoming: str):
    source = OneFlavour.of(cl.load_source("ess"), incoming)
    couplings = [coupling for coupling, _ in of_the_bins(incoming).values()]
    return cl.response(source, cl.load_detector(f"ess-{detector.lower()}"), couplings=couplings, years=3)


def check_bin(ours: np.ndarray, row: dict[str, float], expected: float) -> None:
    allowed = max(BIN_PRECISION * abs(expected), TAIL * np.abs(ours).sum())
    assert abs(ours[row["bin"]] - expected) <= allowed


every_detector = pytest.mark.parametrize("detector", BINS)
every_flavour = pytest.mark.parametrize("incoming", FLAVOURS)


@every_detector
@every_flavour
def test_bins(detector, incoming):
    response = bins_response(detector, incoming)
    rows = dict(zip(response.monomials, response.signal, strict=True))
    nothing = np.zeros_like(response.background)
    for position, (name, (_, unit)) in enumerate(of_the_bins(incoming).items()):
        linear, quadratic = rows.get((position,), nothing), rows.get((position, position), nothing)
        for row in BINS[detector][name][incoming]:
            check_bin(rows[()], row, row["SM"])
            check_bin(linear * unit, row, row["lin"])
            check_bin(quadratic * unit**2, row, row["quad"])


@every_detector
def test_every_entry_of_the_bins_is_compared(detector):
    others = {"bins", "Rn=R+0.2fm", "radiative_couplings", "total_SM", "total_SM_radiative", "total_background"}
    assert set(BINS[detector]) == set(of_the_bins("nue")) | others


@every_detector
@every_flavour
def test_bins_with_a_wider_neutron_density_and_radiative_corrections(detector, incoming):
    source, preset = OneFlavour.of(cl.load_source("ess"), incoming), cl.load_detector(f"ess-{detector.lower()}")
    (radius,) = {constituent.nucleus.rms_radius_fm for constituent in preset.target.constituents}
    rebuilt = COUPLINGS["neutron_radius"].rebuild(preset.target, radius + 0.2)
    wider = cl.response(source, replace(preset, target=rebuilt), years=3).counts()
    corrected = cl.response(source, preset, years=3, radiative_corrections=True).counts()
    for ours, name in ((wider, "Rn=R+0.2fm"), (corrected, "radiative_couplings")):
        for row in BINS[detector][name][incoming]:
            check_bin(ours, row, row["SM"])


@every_detector
@pytest.mark.parametrize(
    ("coupling", "golden", "unit"),
    [("r2_emu", "r2_1e-32cm2", 1e-32), ("eps_emu_u", "eps_u", 1), ("eps_emu_d", "eps_d", 1)],
)
def test_transitions_have_the_quadratic_term_alone(detector, coupling, golden, unit):
    for incoming in FLAVOURS:
        source = OneFlavour.of(cl.load_source("ess"), incoming)
        response = cl.response(source, cl.load_detector(f"ess-{detector.lower()}"), couplings=[coupling], years=3)
        assert response.monomials == ((), (0, 0))
        for row in BINS[detector][golden][incoming]:
            check_bin(response.signal[1] * unit**2, row, row["quad"])


@every_detector
def test_totals(detector):
    source, preset = cl.load_source("ess"), cl.load_detector(f"ess-{detector.lower()}")
    plain = cl.response(source, preset, years=3)
    corrected = cl.response(source, preset, years=3, radiative_corrections=True)
    assert plain.counts().sum() == near(BINS[detector]["total_SM"], 1e-9)
    assert corrected.counts().sum() == near(BINS[detector]["total_SM_radiative"], 1e-9)
    assert plain.background.sum() == near(BINS[detector]["total_background"], 1e-11)
    for row in BINS[detector]["bins"]:
        low, high = plain.bin_edges_kev[row["bin"] : row["bin"] + 2]
        assert (low, high) == (near(row["lo_keV"], 1e-10), near(row["hi_keV"], 1e-10))
        assert plain.background[row["bin"]] == near(row["background"], 1e-10)
