"""Cesium iodide: every bin against a slow evaluation on plain grids; the real files against the reference analysis."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.signal import fftconvolve
from scipy.special import gammaln, spherical_jn
from support import components

from cevnslab.datasets.coherent_csi_2021 import model as csi_2021
from cevnslab.datasets.files import locate
from cevnslab.datasets.registry import dataset
from cevnslab.errors import UnknownNameError
from cevnslab.inference.chi2 import Chi2
from cevnslab.physics import constants as c
from cevnslab.physics.arrival_times import GaussianPulse, arrival_fractions
from cevnslab.physics.atoms import effective_charge
from cevnslab.physics.sources import PROMPT_LIFETIMES_US

MASSES_U = {"Cs": 132.90545196, "I": 126.90447}
NUCLEI = {"Cs": (55, 78, 4.821, 5.09), "I": (53, 74, 4.766, 5.03)}
COMPONENTS = {"prompt": ("mu", False), "delayed mu": ("mu", True), "delayed e": ("e", False)}
PE_EDGES = [0, 8, 12, 16, 20, 24, 32, 40, 50, 60]
TIME_EDGES = [0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1, 2, 4, 6]
CHARGES = {
    "standard model": {},
    "q_ee": {"q_ee": -1.2e-7},
    "q_mumu": {"q_mumu": 6e-8},
    "all": {"q_ee": 5e-8, "q_mumu": -3e-8, "q_emu": 1e-7, "q_etau": -2e-7, "q_mutau": 4e-8},
}
ELECTRON_CHARGES = {"q_ee": 4e-10, "q_mumu": -1e-10, "q_emu": 1.5e-10, "q_etau": 3e-10, "q_mutau": -1e-10}


def spectra():
    """Neutrino energies (MeV) and what share has them, per component: a line, and midpoints of a uniform grid."""
    mass = c.MUON_MASS_MEV
    energy = (np.arange(1000) + 0.5) / 1000 * mass / 2
    step = energy[1] - energy[0]
    line = (c.CHARGED_PION_MASS_MEV**2 - mass**2) / (2 * c.CHARGED_PION_MASS_MEV)
    return {
        "prompt": (np.array([line]), np.ones(1)),
        "delayed mu": (energy, step * 64 * energy**2 / mass**3 * (0.75 - energy / mass)),
        "delayed e": (energy, step * 192 * energy**2 / mass**3 * (0.5 - energy / mass)),
    }


def helm(momentum_mev, radius):
    """3 j_1(x)/x exp(-q^2 s^2/2) with s = 0.9 fm and R0^2 = 5/3 (R^2 - 3 s^2)."""
    q = momentum_mev / c.HBAR_C_MEV_FM
    x = q * np.sqrt(5 / 3 * (radius**2 - 3 * 0.81))
    return 3 * spherical_jn(1, x) / x * np.exp(-((q * 0.9) ** 2) / 2)


def charge(charges, one, other):
    return charges.get(f"q_{one}{other}", charges.get(f"q_{other}{one}", 0.0))


def nuclear_rate(component, recoil, charges, symbol, radius_factor=1.0):
    """d sigma/dT in cm^2/MeV, averaged over a spectrum; recoils in MeV."""
    flavour, _ = COMPONENTS[component]
    protons, neutrons, proton_radius, neutron_radius = NUCLEI[symbol]
    mass = MASSES_U[symbol] * c.ATOMIC_MASS_UNIT_MEV
    momentum = np.sqrt(2 * mass * recoil)
    charge_form = protons * helm(momentum, proton_radius)
    weak = c.G_P * charge_form + c.G_N * neutrons * helm(momentum, neutron_radius * radius_factor)
    unit = charge_form * np.sqrt(2) * np.pi * c.FINE_STRUCTURE / (c.FERMI_CONSTANT * mass * recoil)
    squared = (weak + charge(charges, flavour, flavour) * unit) ** 2
    for outgoing in {"e", "mu", "tau"} - {flavour}:
        squared += (charge(charges, flavour, outgoing) * unit) ** 2
    energy, share = spectra()[component]
    kinematics = np.maximum(1 - mass * recoil[:, None] / (2 * energy**2), 0) @ share
    return c.INVERSE_MEV2_TO_CM2 * c.FERMI_CONSTANT**2 * mass / np.pi * kinematics * squared


def electron_rate(component, recoil, charges, symbol):
    """The same on the electrons of an atom."""
    flavour, anti = COMPONENTS[component]
    energy, share = spectra()[component]
    vector = -0.5 + 2 * c.SIN2_THETA_W + (flavour == "e")
    axial = (-0.5 + (flavour == "e")) * (-1 if anti else 1)
    mass, t, e = c.ELECTRON_MASS_MEV, recoil[:, None], energy[None, :]
    unit = np.sqrt(2) * np.pi * c.FINE_STRUCTURE / (c.FERMI_CONSTANT * mass * t)
    total = np.zeros((len(recoil), len(energy)))
    for outgoing in ("e", "mu", "tau"):
        v, a = (vector, axial) if outgoing == flavour else (0.0, 0.0)
        v = v - charge(charges, flavour, outgoing) * unit
        total += (v + a) ** 2 + (v - a) ** 2 * (1 - t / e) ** 2 - (v**2 - a**2) * mass * t / e**2
    total *= t < 2 * e**2 / (2 * e + mass)
    prefactor = c.INVERSE_MEV2_TO_CM2 * c.FERMI_CONSTANT**2 * mass / (2 * np.pi)
    return prefactor * effective_charge(symbol, recoil * 1e3) * (total @ share)


def energy_bins(component, charges, curves, channel="cevns", radius_factor=1.0):
    """Counts per PE bin over all times: midpoints in T, and in x ten to a cell of 0.25 PE."""
    light_coefficients, (a, b, d, e) = curves
    if channel == "cevns":
        recoil = np.arange(0.1, 60, 0.05) + 0.025
        rate = sum(nuclear_rate(component, recoil * 1e-3, charges, each, radius_factor) for each in NUCLEI)
        light = sum(k * (recoil * 1e-3) ** (n + 1) for n, k in enumerate(light_coefficients)) * 1e3
    else:
        recoil = np.arange(0, 12, 0.005) + 0.0025
        rate = sum(electron_rate(component, recoil * 1e-3, charges, each) for each in NUCLEI)
        light = recoil
    cells = np.arange(0, 60, 0.25) + 0.125
    x = (cells[:, None] + (np.arange(10) - 4.5) * 0.025).ravel()[:, None]
    shape = 1 + 9.56 * light
    rate_parameter = 0.0749 / light * shape
    log = shape * np.log(rate_parameter) - gammaln(shape) + (shape - 1) * np.log(x) - rate_parameter * x
    smeared = np.exp(log).reshape(len(cells), 10, -1).sum(axis=1) * 0.025
    efficiency = np.clip(a / (1 + np.exp(-b * (cells - d))) + e, 0, 1)
    per_cell = efficiency * (smeared @ (rate * (recoil[1] - recoil[0]) * 1e-3))
    return np.histogram(cells, PE_EDGES, weights=per_cell)[0]


def luminosity():
    fluence = 3.198e23 * 0.0848 / (4 * np.pi * 1930**2)
    return fluence * c.AVOGADRO * 14600 / sum(MASSES_U.values())


STEP_US = 0.25e-3


def time_bins(centre=0.471, width=0.15):
    """Shares in the time bins: convolutions on a grid of 0.25 ns, times the efficiency, by the trapezoidal rule."""
    time = np.arange(-4000, 26001) * STEP_US
    pulse = np.exp(-(((time - centre) / width) ** 2) / 2) / (np.sqrt(2 * np.pi) * width)
    shapes = []
    for lifetime in (0.026033, 2.1969811):
        kernel = np.exp(-np.arange(len(time)) * STEP_US / lifetime) / lifetime
        kernel[0] /= 2
        pulse = fftconvolve(pulse, kernel)[: len(time)] * STEP_US
        shapes.append(in_time_bins(time, pulse * late_efficiency(time)))
    return {"prompt": shapes[0], "delayed mu": shapes[1], "delayed e": shapes[1]}


def late_efficiency(time):
    return np.where(time > 0.52, np.exp(-0.0494 * (time - 0.52)), 1.0)


def in_time_bins(time, density):
    borders = [int(np.argmin(abs(time - edge))) for edge in TIME_EDGES]
    spans = itertools.pairwise(borders)
    return np.array([trapezoid(density[low : high + 1], dx=STEP_US) for low, high in spans])


def slow(charges, curves, channels=("cevns",), radius_factor=1.0, centre=0.471):
    """The signal in 9 x 11 bins, in one row."""
    total, shares = np.zeros((9, 11)), time_bins(centre)
    for component in COMPONENTS:
        for channel in channels:
            energy = energy_bins(component, charges, curves, channel, radius_factor)
            total += np.outer(energy, shares[component])
    return luminosity() * total.ravel()


def curves_of(files, light=0, efficiency=0):
    """The nominal curves of a release, or others of its rows."""
    return (
        np.loadtxt(files["scintRespCoefficients.txt"])[light],
        np.loadtxt(files["effCoefficients.txt"])[efficiency],
    )


@pytest.fixture(scope="module")
def files(synthetic_release):
    folder, releases = synthetic_release
    return locate(releases["coherent-csi-2021"], folder)


@pytest.fixture(scope="module")
def shaped(invented):
    return invented("csi", ("cevns",), "shape")


def agree(result, expected, tolerance=2e-3):
    """Bin by bin to 0.2 %; bins with less than 1e-4 of all counts to that share of 1e-6."""
    return result == pytest.approx(expected, rel=tolerance, abs=1e-6 * expected.sum())


@pytest.mark.parametrize("charges", CHARGES.values(), ids=CHARGES)
def test_recoils_against_the_slow_evaluation(charges, invented, files):
    values = invented("csi").response.counts(**charges)
    assert agree(values, slow(charges, curves_of(files)))


def test_electrons_against_the_slow_evaluation(invented, files):
    response = invented("csi", ("cevns", "electron")).response
    counts = response.counts(**ELECTRON_CHARGES)
    assert agree(counts, slow(ELECTRON_CHARGES, curves_of(files), ("cevns", "electron")))
    nuclei = invented("csi").response.counts(**ELECTRON_CHARGES)
    assert counts.sum() > 1.3 * nuclei.sum()  # the electrons are a good part of what was compared
    only = invented("csi", ("electron",)).response
    assert agree(only.counts(), slow({}, curves_of(files), ("electron",)), 5e-3)
    assert only.counts() == pytest.approx(response.standard_model("electron"), rel=1e-12)


VARIATIONS = {
    "efficiency": ({"efficiency": 1}, {"efficiency": 2}),
    "quenching_0": ({"light": 1}, {"light": 2}),
    "quenching_1": ({"light": 3}, {"light": 4}),
}


@pytest.mark.parametrize("name", [*VARIATIONS, "neutron_radius"])
def test_a_pull_of_one_is_the_varied_curve(name, shaped, files):
    charges = CHARGES["q_mumu"]
    for sign in (1, -1):
        if name == "neutron_radius":
            expected = slow(charges, curves_of(files), radius_factor=1 + 0.02 * sign)
        else:
            expected = slow(charges, curves_of(files, **VARIATIONS[name][sign < 0]))
        counts = components(shaped.likelihood, charges, **{name: sign})["cevns"]
        assert agree(counts, expected)
        assert not agree(counts, slow(charges, curves_of(files)))


@pytest.mark.parametrize("offset", [-0.217, 0.074])
def test_the_offset_moves_the_pulse(offset, shaped, files):
    counts = components(shaped.likelihood, time_offset_us=offset)["cevns"]
    assert agree(counts, slow({}, curves_of(files), centre=0.471 + offset))


@pytest.mark.parametrize("offset", [0.0, 0.1, -0.15])
def test_backgrounds_against_the_files(offset, shaped, files):
    """Neutrons: PE template times the interpolated, efficient times, moved by the offset; steady: see the recipe."""
    times = np.arange(0, 24001) * STEP_US
    counts_of = components(shaped.likelihood, time_offset_us=offset)
    for name, counts in (("brn", 18.4), ("nin", 5.6)):
        centres, pe = np.loadtxt(files[f"{name}PE.txt"]).T
        pe = np.histogram(centres, PE_EDGES, weights=pe)[0]
        at, density = np.loadtxt(files[f"{name}Trec.txt"]).T
        moved, still = (
            in_time_bins(times, np.interp(times - shift, at, density) * late_efficiency(times))
            for shift in (offset, 0.0)
        )
        expected = counts * np.outer(pe / pe.sum(), moved / still.sum()).ravel()
        assert counts_of[name] == pytest.approx(expected, rel=2e-3, abs=2e-5 * counts)
    events = np.loadtxt(files["dataBeamOnAC.txt"])
    pe = np.histogram(events[(events[:, 0] < 60) & (events[:, 1] < 6), 0], PE_EDGES)[0]
    fall = in_time_bins(times, np.exp(-0.0494 * times))
    expected = 1286 * np.outer(pe / pe.sum(), fall / fall.sum()).ravel()
    assert counts_of["steady_state"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("nuisances", ["normalisation", "shape"])
def test_the_steady_state_with_its_anti_coincident_counts(nuisances, invented, files):
    """One expectation per row of energy; as counted, bin for bin what the exact template expects."""
    events = np.loadtxt(files["dataBeamOnAC.txt"])
    pe = np.histogram(events[(events[:, 0] < 60) & (events[:, 1] < 6), 0], PE_EDGES)[0]
    exact, fitted = (
        invented("csi", ("cevns",), nuisances, off_counts=off_counts) for off_counts in ("exact", "fitted")
    )
    (sample,) = (s for s in fitted.likelihood.datasets[0].samples if s.name == "steady_state")
    template = sample.per_bin
    assert np.array_equal(template.off, pe)
    assert np.array_equal(template.groups.reshape(9, 11), np.repeat(np.arange(9), 11).reshape(9, 11))
    expected = exact.response.backgrounds["steady_state"]
    assert template.ratio * pe[template.groups] * sample.coefficients[0] == pytest.approx(expected, rel=1e-12)
    assert fitted.response.backgrounds["steady_state"] == pytest.approx(expected, rel=1e-12)
    assert widths_of(fitted.likelihood) == widths_of(exact.likelihood)


def test_the_response_holds_what_the_likelihood_expects(shaped, invented):
    for measurement in (shaped, invented("csi"), invented("csi", ("cevns", "electron"), "shape")):
        response = measurement.response
        charges = {"q_ee": 3e-9, "q_emu": -5e-9}
        expected = sum(components(measurement.likelihood, charges).values())
        assert expected == pytest.approx(response.counts(**charges) + response.background, rel=1e-9)
        assert list(response.backgrounds) == ["brn", "nin", "steady_state"]
        sums = [counts.sum() for counts in response.backgrounds.values()]
        assert sums == pytest.approx([18.4, 5.6, 1286.0], rel=1e-9)
        assert [axis.edges.tolist() for axis in response.axes] == [PE_EDGES, TIME_EDGES]


def test_events_in_their_bins(invented, files):
    events = np.loadtxt(files["dataBeamOnC.txt"])
    expected = np.zeros((9, 11))
    for energy, time in events:
        if energy < 60 and time < 6:
            row, column = np.searchsorted(PE_EDGES, energy, "right"), np.searchsorted(TIME_EDGES, time, "right")
            expected[row - 1, column - 1] += 1
    assert np.array_equal(invented("csi").observed, expected.ravel())


def widths_of(likelihood):
    """Prior widths by the short names of nuisance parameters."""
    return {parameter.name.split(".")[1]: parameter.width for parameter in likelihood.parameters}


def test_nuisances_of_both_analyses(shaped, invented):
    common = {"brn": 0.25, "nin": 0.35, "steady_state": 0.021}
    pulls = dict.fromkeys(["efficiency", "quenching_0", "quenching_1", "neutron_radius"], 1.0)
    assert widths_of(invented("csi").likelihood) == {"signal": 0.12} | common
    assert widths_of(shaped.likelihood) == {"signal": 0.10} | common | pulls | {"time_offset_us": np.inf}
    (offset,) = (p for p in shaped.likelihood.parameters if p.name == "csi.time_offset_us")
    assert (offset.low, offset.high) == (-0.25, 0.25)


@pytest.mark.parametrize("nuisances", ["normalisation", "shape"])
def test_asimov_data_are_the_standard_model(nuisances, invented):
    measurement = invented("csi", ("cevns",), nuisances, "asimov")
    assert measurement.observed == pytest.approx(
        measurement.response.counts() + measurement.response.background, rel=1e-12
    )
    minimum = measurement.likelihood.restricted([]).minimised(np.zeros((1, 0)))
    assert minimum.chi2[0] == pytest.approx(0.0, abs=1e-12)
    assert minimum.pulls[0] == pytest.approx(np.zeros(minimum.pulls.shape[1]), abs=1e-7)
    chi2 = Chi2.of(measurement.likelihood, ["q_mumu"])
    assert chi2(np.array([-3e-8, 3e-8])).min() > 0.05


def test_a_channel_that_is_none(invented):
    with pytest.raises(UnknownNameError, match="no channel 'quarks'"):
        invented("csi", ("quarks",))


# The real files.


def signal_of(measurement):
    """The samples of the signal: neutrinos of the pion's decay, then those of the muon's."""
    return [sample for sample in measurement.likelihood.datasets[0].samples if sample.name == "cevns"]


def test_predicted_counts(measured):
    """314.9, with 49.4 from nu_mu, 162.8 from anti-nu_mu and 102.8 from nu_e."""
    result = measured("csi")
    assert result.response.counts().sum() == pytest.approx(314.9, rel=3e-3)
    prompt, delayed = (np.outer(s.coefficients[0], s.shift.fractions[0]).sum() for s in signal_of(result))
    assert prompt == pytest.approx(49.4, rel=3e-3)
    assert delayed == pytest.approx(162.8 + 102.8, rel=3e-3)
    assert result.response.standard_model("cevns").sum() == pytest.approx(314.9, rel=3e-3)
    assert measured("csi", ("cevns", "electron")).response.standard_model("electron").sum() < 1e-3


def test_real_bins_against_the_slow_evaluation(measured, coherent_data):
    released = locate(dataset("coherent-csi-2021").release, coherent_data)
    for charges in (CHARGES["standard model"], CHARGES["all"]):
        assert agree(
            measured("csi").response.counts(**charges),
            slow(charges, curves_of(released)),
        )


RATIOS = {
    "efficiency": (1.114, 0.899),
    "quenching_0": (1.009, 0.991),
    "quenching_1": (0.969, 1.031),
    "neutron_radius": (0.964, 1.036),
}


@pytest.mark.parametrize("name", RATIOS)
def test_counts_per_unit_pull(name, measured):
    likelihood = measured("csi", ("cevns",), "shape").likelihood
    counts = [components(likelihood, **{name: pull})["cevns"].sum() for pull in (0.0, 1.0, -1.0)]
    assert (counts[1] / counts[0], counts[2] / counts[0]) == pytest.approx(RATIOS[name], abs=6e-4)


def test_observed_counts(measured):
    assert measured("csi").observed.sum() == 1578
    assert measured("csi").observed.shape == (99,)


# Arrival times as the recipe gives them.


def test_shares_of_the_time_bins():
    """Half-microsecond bins: the experiment's own flux histogram has 0.5075 and 0.491 of the prompt neutrinos there."""
    pulse = GaussianPulse(0.471, 0.150)
    prompt = arrival_fractions(pulse, PROMPT_LIFETIMES_US, [0, 0.5, 1.0])
    assert prompt == pytest.approx([0.5075, 0.491], abs=6e-4)


def test_acceptance_of_the_time_window(invented):
    """0.997 of the prompt and 0.8467 of the delayed neutrinos."""
    seen = [sample.shift.fractions.sum() for sample in signal_of(invented("csi"))]
    assert seen == pytest.approx([0.997, 0.8467], abs=6e-4)
    shares = time_bins()
    assert [sample.shift.fractions[0] for sample in signal_of(invented("csi"))] == [
        pytest.approx(shares["prompt"], rel=2e-5, abs=1e-8),
        pytest.approx(shares["delayed e"], rel=2e-5, abs=1e-8),
    ]


def test_light_and_efficiency_curves():
    light = csi_2021.light_of(np.array([0.05, 4.0, -100.0, 800.0]))
    assert light.light_kev(np.array([20.0])) == pytest.approx(
        [1e3 * (0.05 * 0.02 + 4 * 0.02**2 - 100 * 0.02**3 + 800 * 0.02**4)], rel=1e-12
    )
    clipped = csi_2021.ReleasedEfficiency((1.32, 0.28, 11.0, -0.3))(np.array([0.0, 12.0, 1e4]))
    assert clipped == pytest.approx([0.0, 1.32 / (1 + np.exp(-0.28)) - 0.3, 1.0], abs=1e-12)
