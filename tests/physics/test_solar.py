"""The Sun against the independent calculation of golden-solar.json."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from scipy.integrate import trapezoid
from support import near, perfect

import cevnslab as cl
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.flavour import FLAVOURS, MASS_STATES, NUFIT
from cevnslab.physics.solar_propagation import mass_state_shares
from cevnslab.physics.sources import BRANCHES, Sun
from cevnslab.physics.sources.solar import BranchName, spectrum_points

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden-solar.json").read_text(encoding="utf-8"))
INPUTS, RATES, PROBABILITIES = GOLDEN["inputs"], GOLDEN["rates"], GOLDEN["probabilities"]
RECOIL_KEV = np.array(RATES["recoil_keV"])
HALF_WIDTH_KEV = 1e-4


def xenon(edges, channel="cevns"):
    """A tonne of xenon, sharp."""
    detector = perfect(cl.load_detector("ess-xe"), edges)
    return replace(detector, mass_kg=1000.0, distance_m=None, electron_quenching=1.0)


def rates(source, **values):
    """Events per tonne, year and keV at the recoil energies of the reference, above the Standard Model's for values."""
    edges = np.sort(np.concatenate([RECOIL_KEV - HALF_WIDTH_KEV, RECOIL_KEV + HALF_WIDTH_KEV]))
    response = cl.response(source, xenon(edges), couplings=list(values), years=1)
    return response.counts(**values)[::2] / (2 * HALF_WIDTH_KEV)


def probabilities(branch, energy):
    """Of each flavour at the Earth."""
    shares = mass_state_shares(np.asarray(energy), BRANCHES[branch].electron_density)
    return np.abs(NUFIT.mixing) ** 2 @ shares


def test_inputs_are_those_of_the_reference():
    for name, (flux, error) in INPUTS["fluxes_cm2_s"]["B16_GS98"].items():
        assert (BRANCHES[name].flux_per_cm2_s, BRANCHES[name].uncertainty) == (flux, error)
    assert Sun("s").flux_per_cm2_s("8B") == tuple(INPUTS["fluxes_cm2_s"]["SNO_8B"])
    assert Sun("s", flux="b16-gs98").flux_per_cm2_s("8B") == (5.46e6, 0.12)
    for name, density in PROBABILITIES["effective_electron_density_NA_per_cm3"].items():
        assert BRANCHES[name].electron_density == near(density, 2e-4)
    ours = [NUFIT.sin2_theta12, NUFIT.sin2_theta13, NUFIT.sin2_theta23, NUFIT.dm21_ev2, NUFIT.dm31_ev2]
    assert ours == [INPUTS["oscillations"][key] for key in ("s12", "s13", "s23", "dm21", "dm31")]
    assert np.deg2rad(NUFIT.delta_deg) == near(INPUTS["oscillations"]["delta"], 1e-12)
    assert get_args(BranchName) == tuple(BRANCHES)


def test_survival_probabilities():
    """One effective density against the average over production: 7e-4 for 8B, 5e-5 for the others."""
    energy = PROBABILITIES["E_MeV"]
    ours = probabilities("8B", energy)
    for number, flavour in enumerate(FLAVOURS):
        assert ours[number] == pytest.approx(PROBABILITIES["branch_8B"][flavour], abs=7e-4)
    for branch, last in (("pp", 0.42), ("7Be", 0.87)):
        for number, at in enumerate(energy):
            if at < last:
                expected = PROBABILITIES[f"branch_{branch}_Pee"][number]
                assert probabilities(branch, at)[0] == pytest.approx(expected, abs=5e-5)


def test_published_probabilities():
    """solar.md, 3.1."""
    assert probabilities("8B", [3.0, 5.0, 7.0, 10.0, 12.0, 15.0])[0] == pytest.approx(
        [0.451, 0.393, 0.356, 0.327, 0.318, 0.309], abs=1e-3
    )
    assert probabilities("pp", 0.3)[0] == pytest.approx(0.543, abs=5e-4)
    assert probabilities("7Be", 0.862)[0] == pytest.approx(0.526, abs=5e-4)
    # c13^4 (1 + cos 2t_m cos 2t12)/2 + s13^4 is what the shares give.
    shares = mass_state_shares(5.0, 87.5)
    c13 = 1 - NUFIT.sin2_theta13
    in_matter = (shares[0] - shares[1]) / c13
    by_formula = c13**2 * (1 + in_matter * (1 - 2 * NUFIT.sin2_theta12)) / 2 + NUFIT.sin2_theta13**2
    assert probabilities("8B", 5.0)[0] == near(by_formula, 1e-12)


def test_the_density_matrix_of_the_reference():
    shares = mass_state_shares(10.0, BRANCHES["8B"].electron_density)
    ours = (NUFIT.mixing * shares) @ NUFIT.mixing.conj().T
    # The reference has three flavours in matter: the third state moves the coherences by 1e-3.
    assert ours.real == pytest.approx(np.array(PROBABILITIES["rho_flavour_8B_10MeV_real"]), abs=1.5e-3)


@pytest.mark.parametrize(
    ("shape", "key"), [("winter", "dRdT_SM_Winter_SNO_per_t_y_keV"), ("bahcall", "dRdT_SM_Bahcall_SNO")]
)
def test_recoils_of_8b_on_xenon(shape, key):
    assert rates(Sun("s", ("8B",), shape_8b=shape)) == near(np.array(RATES[key]), 5e-5)


def test_recoils_of_hep_on_xenon():
    assert rates(Sun("s", ("hep",))) == near(np.array(RATES["dRdT_hep_7980"]), 1e-4)


def test_recoils_of_couplings_on_xenon():
    sun = Sun("s", ("8B",))
    standard = rates(sun)
    assert rates(sun, mu_nu=1e-9) - standard == near(np.array(RATES["dRdT_mu_1e9_muB_only"]), 5e-5)
    # q_ee knows P_ee, which one effective density gives to 7e-4.
    assert rates(sun, q_ee=1e-8) == near(np.array(RATES["dRdT_q_ee_1e8"]), 1e-3)


@pytest.mark.parametrize("shape", ["winter", "bahcall"])
def test_recoils_above_half_a_kev(shape):
    counts = cl.response(Sun("s", ("8B",), shape_8b=shape), xenon([0.5, 5.0]), years=1).counts()
    assert counts.sum() == near(RATES["rate_above_0p5keV_per_t_y"][shape.capitalize()], 1e-4)


def test_the_flux_averaged_cross_section():
    """1.2335e-39 cm^2, XENONnT's normalisation of its measurement."""
    sun = Sun("s", ("8B",))
    detector = xenon([1e-4, 5.0])
    counts = cl.response(sun, detector, years=1).counts().sum()
    nuclei = 1000 * detector.target.nuclei_per_kg(detector.target.constituents[0])
    fluence = 5.25e6 * 365.25 * 86400
    # The rates agree to 1e-5 above 0.5 keV; below, the independent calculation summed on a grid.
    assert counts / nuclei / fluence == near(RATES["flux_averaged_sigma_cm2"], 3e-3)


TEMPLATES = Path(os.environ.get("CEVNSLAB_DATA", "")) / "solar" / "xenonnt-8b" / "templates.npz"


@pytest.mark.skipif(not TEMPLATES.is_file(), reason="XENONnT's templates are not here")
@pytest.mark.parametrize("shape", ["winter", "bahcall"])
def test_expected_counts_in_xenonnt(shape):
    """The rate folded with the released response: physics.md, section 13."""
    with np.load(TEMPLATES) as archive:
        content = dict(archive)
    energy, middle = content["recoil_energy_kev"], int(np.flatnonzero(content["tly"] == 0)[0])
    grid = np.linspace(0.5, 5.0, 901)
    edges = np.concatenate([[grid[0]], (grid[1:] + grid[:-1]) / 2, [grid[-1]]])
    rate = cl.response(Sun("s", ("8B",), shape_8b=shape), xenon(edges), years=1).counts()
    for number, run in enumerate(("sr0", "sr1", "sr2")):
        efficiency = content["efficiency"][number, middle, middle].reshape(len(energy), -1).sum(axis=1)
        expected = float(content["exposure_tonne_year"][number]) * rate @ np.interp(grid, energy, efficiency)
        key = f"B8_{shape.capitalize()}_SNO"
        assert expected == near(GOLDEN["expected_counts"][run][key], 1e-3), run


@pytest.mark.parametrize("branch", [name for name, each in BRANCHES.items() if not each.lines])
def test_spectra_are_of_one_neutrino(branch):
    for shape in ("winter", "bahcall"):
        energy, density = (np.array(points) for points in spectrum_points(branch, shape))
        assert trapezoid(density, energy) == near(1.0, 1e-12)
    total = sum(part.yield_per_primary for part in Sun("s", (branch,)).components)
    assert total == near(Sun("s").flux_per_cm2_s(branch)[0], 1e-12)


def test_mean_energies_of_8b():
    """solar.md, 3.1: 6.770 MeV (Winter), 6.735 (Bahcall)."""
    for shape, mean in (("winter", 6.770), ("bahcall", 6.735)):
        energy, density = (np.array(points) for points in spectrum_points("8B", shape))
        assert trapezoid(density * energy, energy) == pytest.approx(mean, abs=1e-3)


def test_lines():
    sun = Sun("s", ("7Be", "pep"))
    lines = {}
    for part in sun.components:
        energy = part.spectrum.energy_mev
        lines[energy] = lines.get(energy, 0.0) + part.yield_per_primary
    assert lines == {
        0.3843: near(0.1034 * 4.93e9, 1e-12),
        0.8618: near(0.8966 * 4.93e9, 1e-12),
        1.442: near(1.44e8, 1e-12),
    }


def test_components_are_mass_states():
    sun = Sun("s", ("8B",))
    assert [part.flavour for part in sun.components] == list(MASS_STATES)
    assert not any(part.antineutrino for part in sun.components)
    # The states' densities at an energy are the shares there, to the lines between the table's points.
    at = np.array([part.yield_per_primary * part.spectrum.density_per_mev(9.97) for part in sun.components])
    assert at / at.sum() == near(np.array(sun.mass_state_shares("8B", 9.97)), 3e-4)


@pytest.mark.parametrize(
    ("angle", "values", "states"),
    [("sin2_theta13", (0.0, 1e-12), ["1", "2"]), ("sin2_theta12", (1.0, 1 - 1e-12), ["2", "3"])],
)
def test_without_mixing_a_mass_state_does_not_arrive(angle, values, states):
    """A squared sine of 0 or 1 is allowed, and counts are those near it."""
    unmixed, nearly = (Sun("s", oscillation=replace(NUFIT, **{angle: value})) for value in values)
    assert sorted({part.flavour for part in unmixed.components}) == states
    responses = [cl.response(sun, xenon([1.0, 3.0]), couplings=["eps_ee_u"], years=1) for sun in (unmixed, nearly)]
    assert responses[0].counts(eps_ee_u=0.1) == near(responses[1].counts(eps_ee_u=0.1), 1e-9)


def test_nuisances_are_the_fluxes():
    sun = Sun("solar", ("8B", "7Be"))
    assert [(n.name, n.parts, n.width, n.centre) for n in sun.nuisances] == [
        ("flux_8b", ("8b",), 0.0381, 0.0),
        ("flux_7be", ("7be",), 0.06, 0.0),
    ]
    response = cl.response(sun, xenon([1.0, 3.0]), channels=["electron"], couplings=["q_ee"], years=1)
    assert list(response.flux_nuisances) == ["solar.flux_8b", "solar.flux_7be"]
    parts = response.parts["electron"]
    alone = cl.response(Sun("s", ("7Be",)), xenon([1.0, 3.0]), channels=["electron"], couplings=["q_ee"], years=1)
    assert parts["7be"] == near(alone.coefficients["electron"], 1e-9)
    assert parts["8b"] + parts["7be"] == near(response.coefficients["electron"], 1e-13)


def test_electron_recoils_of_pp():
    """Against the integral of the cross section of three flavours."""
    sun, recoil = Sun("s", ("pp",)), 10.0
    ours = cl.response(sun, xenon([recoil - 0.01, recoil + 0.01]), channels=["electron"], years=1).counts()[0] / 0.02
    energy, density = (np.array(points) for points in spectrum_points("pp"))

    at = np.linspace(0.056, energy[-1], 40001)  # (T + sqrt(T^2 + 2 m T))/2 = 0.0558
    shares = probabilities("pp", at)
    sigma = sum(
        shares[number] * cl.cross_sections.electron_scattering(recoil, at, "Xe", incoming=flavour)
        for number, flavour in enumerate(FLAVOURS)
    )
    integral = trapezoid(np.interp(at, energy, density) * sigma, at)
    atoms = 1000 * cl.nuclei.target("Xe").nuclei_per_kg(cl.nuclei.target("Xe").constituents[0])
    assert ours == near(integral * atoms * 5.98e10 * 365.25 * 86400, 1e-4)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: Sun("s", ()), PhysicsError, "branches"),
        (lambda: Sun("s", ("8B", "8B")), PhysicsError, "branches"),
        (lambda: Sun("s", ("9B",)), UnknownNameError, "'9B'"),
        (lambda: spectrum_points("7Be"), UnknownNameError, "7Be"),
    ],
)
def test_suns_that_cannot_be(make, error, match):
    with pytest.raises(error, match=match):
        make()
