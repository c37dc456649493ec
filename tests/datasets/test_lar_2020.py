"""Liquid argon: the released template and its reweighting; the real files against the published calculation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr
from support import components
from test_csi_2021 import CHARGES, COMPONENTS, charge, helm, spectra, widths_of

from cevnslab.datasets.files import locate
from cevnslab.datasets.registry import dataset
from cevnslab.errors import PhysicsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.physics import constants as c
from cevnslab.physics.arrival_times import GaussianPulse, arrival_fractions
from cevnslab.physics.nuclei import target
from cevnslab.physics.sources import DELAYED_LIFETIMES_US, PROMPT_LIFETIMES_US

EDGES = (np.arange(13) * 10.0, 0.5 + np.arange(9) * 0.05, -0.1 + np.arange(11) * 0.5)
SHAPES = {"cevns_f90", "cevns_time", "brn_energy", "brn_time", "brn_width"}


def cube(files, file):
    """The last column, in the file's order."""
    return np.loadtxt(files[file])[:, 3]


def slow(charges, files):
    """Counts in energy and time, (12, 10): midpoints in T, and in the reconstructed energy 50 to a keVee."""
    nucleus = target("Ar").constituents[0].nucleus
    mass, protons, neutrons = nucleus.mass_mev, 18, nucleus.neutron_number
    recoil = np.arange(0.5, 350, 0.1) + 0.05
    momentum = np.sqrt(2 * mass * recoil * 1e-3)
    charge_form, neutron_form = protons * helm(momentum, 3.448), neutrons * helm(momentum, 3.55)
    unit = charge_form * np.sqrt(2) * np.pi * c.FINE_STRUCTURE / (c.FERMI_CONSTANT * mass * recoil * 1e-3)
    light = (0.246 + 0.00078 * recoil) * recoil
    borders = np.linspace(0, 120, 6001)
    seen = (borders[1:] + borders[:-1]) / 2
    kevee, _, efficiency = np.loadtxt(files["CENNS10AnlAEfficiency.txt"]).T
    efficiency = np.interp(seen, np.concatenate([[0.0], kevee]), np.concatenate([[0.0], efficiency]))
    sigma = 0.58 * np.sqrt(light)
    reached = recoil < 180  # beyond the largest recoil
    cells = np.diff(ndtr((borders[:, None] - light[reached]) / sigma[reached]), axis=0)
    windows = (efficiency[:, None] * cells).reshape(12, 500, -1).sum(axis=1)
    pulse = GaussianPulse(0.440, 0.150)
    total = np.zeros((12, 10))
    for component, (flavour, _) in COMPONENTS.items():
        squared = (c.G_P * charge_form + c.G_N * neutron_form + charge(charges, flavour, flavour) * unit) ** 2
        for outgoing in {"e", "mu", "tau"} - {flavour}:
            squared = squared + (charge(charges, flavour, outgoing) * unit) ** 2
        energy, share = spectra()[component]
        kinematics = np.maximum(1 - mass * recoil[:, None] * 1e-3 / (2 * energy**2), 0) @ share
        rate = c.INVERSE_MEV2_TO_CM2 * c.FERMI_CONSTANT**2 * mass / np.pi * kinematics * squared * 1e-4
        lifetimes = PROMPT_LIFETIMES_US if component == "prompt" else DELAYED_LIFETIMES_US
        total += np.outer(windows @ rate[reached], arrival_fractions(pulse, lifetimes, EDGES[2]))
    fluence = 1.38e23 * 0.09 / (4 * np.pi * 2750**2)
    return total * fluence * c.AVOGADRO * 24400 / target("Ar").molar_mass_g


@pytest.fixture(scope="module")
def files(synthetic_release):
    folder, releases = synthetic_release
    return locate(releases["coherent-lar-2020"], folder)


def test_the_standard_model_is_the_released_template(invented, files):
    for nuisances in ("normalisation", "shape"):
        response = invented("lar", ("cevns",), nuisances).response
        assert np.array_equal(response.counts(), cube(files, "cevnspdf.txt"))
        templates = {"brn": "brnpdf.txt", "delayed_brn": "delbrnpdf.txt", "steady_state": "bkgpdf.txt"}
        assert list(response.backgrounds) == list(templates)
        for name, file in templates.items():
            assert np.array_equal(response.backgrounds[name], cube(files, file))
    for axis, edges in zip(response.axes, EDGES, strict=True):
        assert axis.edges == pytest.approx(edges, abs=1e-12)


def test_counts_from_first_principles(invented, files):
    assert invented("lar").calculated_cevns == pytest.approx(slow({}, files).sum(), rel=2e-3)


@pytest.mark.parametrize("name", [name for name in CHARGES if name != "standard model"])
def test_reweighting_against_the_slow_evaluation(name, invented, files):
    """Template times calc(E, t; q)/calc(E, t; SM), the same for every F90."""
    template = cube(files, "cevnspdf.txt").reshape(12, 8, 10)
    before, after = slow({}, files), slow(CHARGES[name], files)
    counts = invented("lar").response.counts(**CHARGES[name]).reshape(12, 8, 10)
    enough = before > 1e-5 * before.sum()
    assert np.sum(template.sum(axis=1)[enough]) > 0.99 * template.sum()
    expected = template * np.divide(after, before, out=np.zeros_like(before), where=enough)[:, None, :]
    every = np.broadcast_to(enough[:, None, :], expected.shape)
    assert counts[every] == pytest.approx(expected[every], rel=3e-3)
    assert abs(counts / np.where(template > 0, template, 1) - 1).max() > 0.02


def test_events_and_nuisances(invented, files):
    normal, shaped = invented("lar"), invented("lar", ("cevns",), "shape")
    assert np.array_equal(normal.observed, cube(files, "datanobkgsub.txt"))
    common = {"signal": 17 / 128, "brn": 160 / 497, "delayed_brn": 1.0, "steady_state": 25 / 3154}
    assert widths_of(normal.likelihood) == pytest.approx(common)
    assert widths_of(shaped.likelihood) == pytest.approx(common | dict.fromkeys(SHAPES, 1.0))


PULLS = {
    "cevns_f90": ("cevnspdf.txt", "cevnspdf+1sigF90.txt", "cevnspdf-1sigF90.txt"),
    "cevns_time": ("cevnspdf.txt", "cevnspdfCEvNSTimingMeanSyst.txt", None),
    "brn_energy": ("brnpdf.txt", "brnpdf+1sigEnergy.txt", "brnpdf-1sigEnergy.txt"),
    "brn_time": ("brnpdf.txt", "brnpdf+1sigBRNTimingMean.txt", "brnpdf-1sigBRNTimingMean.txt"),
    "brn_width": ("brnpdf.txt", "brnpdfBRNTimingWidthSyst.txt", None),
}


@pytest.mark.parametrize("name", PULLS)
def test_a_pull_of_one_is_the_varied_template(name, invented, files):
    """Where there is one file, -1 is its mirror image."""
    likelihood = invented("lar", ("cevns",), "shape").likelihood
    sums = {file: cube(files, file) for file in ("cevnspdf.txt", "brnpdf.txt", "delbrnpdf.txt", "bkgpdf.txt")}
    nominal, up, down = (None if file is None else cube(files, file) for file in PULLS[name])
    down = 2 * nominal - up if down is None else down
    for pull, varied in ((1.0, up), (-1.0, down), (0.0, nominal)):
        expected = sum(sums.values()) - sums[PULLS[name][0]] + varied
        assert sum(components(likelihood, **{name: pull}).values()) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("nuisances", ["normalisation", "shape"])
def test_asimov_data_are_the_standard_model(nuisances, invented):
    measurement = invented("lar", ("cevns",), nuisances, "asimov")
    assert measurement.observed == pytest.approx(
        measurement.response.counts() + measurement.response.background, rel=1e-12
    )
    minimum = measurement.likelihood.restricted([]).minimised(np.zeros((1, 0)))
    assert minimum.chi2[0] == pytest.approx(0.0, abs=1e-12)
    assert minimum.pulls[0] == pytest.approx(np.zeros(minimum.pulls.shape[1]), abs=1e-7)
    assert Chi2.of(measurement.likelihood, ["q_mumu"])(np.array([-6e-8, 6e-8])).min() > 0.05


@pytest.mark.parametrize("channels", [("cevns", "electron"), ("electron",)])
def test_electrons_are_refused(channels, invented):
    with pytest.raises(PhysicsError, match=r"'electron' cannot be computed for lar: F90 rejects electron recoils"):
        invented("lar", channels)


# The real files.


def test_calculated_counts(measured, coherent_data):
    released = locate(dataset("coherent-lar-2020").release, coherent_data)
    """119.4 at the reference's constants; released 128 with an uncertainty of 17."""
    result = measured("lar")
    assert result.calculated_cevns == pytest.approx(119.4, rel=1e-2)
    assert result.calculated_cevns == pytest.approx(slow({}, released).sum(), rel=2e-3)
    assert result.response.counts().sum() == pytest.approx(128.0, abs=1e-3)


def test_time_projection_of_the_released_template(measured):
    """The pulse reproduces the released arrival times: 0.0966 for 0.0866 in the first bin, 0.01 at most elsewhere."""
    response = measured("lar").response
    released = response.projected(response.counts(), axis=2) / response.counts().sum()
    assert released[0] == pytest.approx(0.0866, abs=6e-5)
    assert measured("lar").observed.sum() == 3752
