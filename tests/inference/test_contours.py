"""Contours: vertices on the level set, closed, around the truth, complete."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from support import GOLDEN_DETECTORS, eq_15, least_squares, near, preset_response

import cevnslab as cl
from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.inference import tracing
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.contours import contour, inside
from cevnslab.inference.grids import first_grid
from cevnslab.inference.levels import delta_chi2_level
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.profile import ProfileLikelihood
from cevnslab.likelihood.samples import Bend
from cevnslab.physics.couplings import COUPLINGS

PRESETS = sorted(set(GOLDEN_DETECTORS.values()))
PAIRS = [("q_ee", "q_mumu"), ("q_etau", "q_mutau"), ("q_ee", "q_emu")]
LEVEL = delta_chi2_level(0.9, 2)


@pytest.fixture(scope="module")
def statistics():
    return {name: least_squares(preset_response(name), 0.1, 0.01) for name in PRESETS}


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
@pytest.mark.parametrize("preset", PRESETS)
def test_vertices_lie_on_the_level_set(preset, pair, statistics):
    chi2 = Chi2.of(statistics[preset], pair)
    region = contour(chi2, 0.90)
    assert (region.couplings, region.confidence_level, region.delta_chi2) == (pair, 0.90, LEVEL)
    assert len(region.polygons) == 1
    for polygon in region.polygons:
        assert polygon.shape[0] > 50
        assert polygon[0] == pytest.approx(polygon[-1], rel=1e-9)
        value = chi2.values_at(polygon)
        assert value == pytest.approx(np.full(len(value), LEVEL), rel=1e-9)


def test_vertices_against_sums_over_bins(statistics):
    response = preset_response("ess-ge")
    (polygon,) = contour(Chi2.of(statistics["ess-ge"], ["q_ee", "q_mumu"]), 0.90).polygons
    data = response.counts() + response.background
    for x, y in polygon[:: len(polygon) // 12]:
        expected, _, _ = eq_15(response.counts(q_ee=x, q_mumu=y), response.background, data, data, 0.1, 0.01)
        assert expected == near(LEVEL, 1e-7)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_polygon_goes_round_the_standard_model(preset, statistics):
    (polygon,) = contour(Chi2.of(statistics[preset], ["q_ee", "q_mumu"]), 0.90).polygons
    angles = np.unwrap(np.arctan2(polygon[:, 1], polygon[:, 0]))
    assert abs(angles[-1] - angles[0]) == near(2 * np.pi, 1e-9)


@pytest.mark.parametrize("preset", PRESETS)
def test_extent_is_the_profile_of_the_other_coupling(preset, statistics):
    """The leftmost vertex is where the least chi^2 over y reaches the level."""
    chi2 = Chi2.of(statistics[preset], ["q_ee", "q_mumu"])
    (polygon,) = contour(chi2, 0.90).polygons
    low, high = polygon[:, 0].min(), polygon[:, 0].max()
    reach = np.abs(polygon[:, 1]).max()

    def least(x):
        return minimize_scalar(
            lambda y: float(chi2.on_grid(np.array([x]), np.array([y * reach]))[0, 0]),
            bounds=(-1.5, 1.5),
            method="bounded",
            options={"xatol": 1e-9},
        ).fun

    for end in (low, high):
        exact = brentq(lambda x: least(x) - LEVEL, 0.8 * end, 1.2 * end, xtol=abs(end) * 1e-9)
        assert end == near(exact, 1e-3)
        assert abs(end) <= abs(exact) * (1 + 1e-7)


def test_transition_charges_give_a_symmetric_region(statistics):
    (polygon,) = contour(Chi2.of(statistics["ess-xe"], ["q_etau", "q_mutau"]), 0.90).polygons
    assert polygon.min(axis=0) == pytest.approx(-polygon.max(axis=0), rel=1e-6)


def test_a_higher_level_holds_the_lower_one(statistics):
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee", "q_mumu"])
    (inner,), (outer,) = (contour(chi2, level).polygons for level in (0.68, 0.95))
    value = chi2.values_at(inner)
    assert value.max() < delta_chi2_level(0.95, 2)
    assert outer[:, 0].max() > inner[:, 0].max()


def test_islands_are_all_found(statistics):
    """Ge at a level between the second minimum in q_ee and the barrier before it has two islands."""
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee", "q_emu"])
    confidence = 1 - np.exp(-9.75 / 2)
    result = contour(chi2, confidence)
    centres = sorted(float(polygon[:, 0].mean()) for polygon in result.polygons)
    assert len(centres) == 2
    assert centres[0] < 16e-9 < centres[1]
    for polygon in result.polygons:
        value = chi2.values_at(polygon)
        assert value == pytest.approx(np.full(len(value), 9.75), rel=1e-6)


def test_a_region_that_runs_into_the_bounds_is_closed_along_them():
    tight = replace(COUPLINGS["q_ee"], bounds=(-2e-9, 2e-9))
    response = preset_response("ess-csi", couplings=[tight, COUPLINGS["q_mumu"]])
    chi2 = Chi2.of(least_squares(response, 0.1, 0.01), ["q_ee", "q_mumu"])
    (polygon,) = contour(chi2, 0.90).polygons
    assert polygon[:, 0].min() == near(-2e-9, 1e-6)
    assert polygon[:, 0].max() == near(2e-9, 1e-6)
    assert polygon[0] == pytest.approx(polygon[-1], rel=1e-9)
    value = chi2.values_at(polygon)
    inside = np.abs(polygon[:, 0]) < 1.99e-9
    assert value[inside] == pytest.approx(np.full(inside.sum(), LEVEL), rel=1e-8)
    assert np.all(value <= LEVEL * (1 + 1e-8))


@pytest.mark.parametrize("statistic", ["least-squares", "poisson"])
def test_bands_that_are_thin_where_they_leave_through_a_bound(statistic):
    detector = {
        "name": "argon",
        "target": "Ar",
        "mass_kg": 610,
        "distance_m": 28.4,
        "threshold_kev": 20,
        "maximum_kev": 100,
        "bins": 16,
        "resolution": {"sigma_kev": 3, "at_kev": 20},
        "efficiency": 0.7,
        "background_ckkd": 0.5,
    }
    keys = {
        "name": "argon",
        "source": "sns",
        "exposure_years": 3,
        "couplings": ["eps_ee_u", "eps_ee_d"],
        "uncertainties": {"signal": 0.1, "background": 0.05},
        "statistic": statistic,
        "intervals": {"confidence_level": 0.6827},
        "contours": [["eps_ee_u", "eps_ee_d"]],
        "detectors": [detector],
    }
    first, second = cl.study_from_dict(keys).run().contours[0].polygons
    # The amplitude on argon has (2Z + N) eps_u + (Z + 2N) eps_d: two bands along its zeros, from edge to edge.
    assert {tuple(line[:, 0].min() == -10 for line in (first, second))} == {(True, True)}
    assert {tuple(line[:, 0].max() == 10 for line in (first, second))} == {(True, True)}
    for line in (first, second):
        along = 58 * line[:, 0] + 62 * line[:, 1]
        assert np.ptp(along) < 8  # of 1240 from corner to corner


def area(polygons):
    """Of closed polygons, the holes' taken away."""
    return abs(sum(float(np.sum(line[:-1, 0] * line[1:, 1] - line[1:, 0] * line[:-1, 1])) / 2 for line in polygons))


TRACED = [
    ("q_ee", "q_mumu"),  # a crescent
    ("eps_ee_u", "eps_mumu_u"),  # a ring
    ("eps_ee_u", "eps_ee_d"),  # bands from bound to bound
    ("mu_e", "mu_mu"),  # closed along a physical boundary
]


@pytest.mark.parametrize("pair", TRACED, ids="-".join)
def test_what_is_traced_on_a_grid_is_what_is_followed(pair, monkeypatch):
    response = preset_response("ess-xe", couplings=[COUPLINGS[name] for name in pair])
    chi2 = Chi2.of(least_squares(response, 0.1, 0.01), pair)
    followed = []
    traced = contour(chi2, 0.90).polygons
    with monkeypatch.context() as patch:
        patch.setattr("cevnslab.inference.contours._region", lambda *_: followed.append(True))
        contour(chi2, 0.90)
    assert not followed
    monkeypatch.setattr(tracing, "BOX_POINTS", ())
    polygons = contour(chi2, 0.90).polygons
    assert len(polygons) == len(traced)
    assert area(traced) == near(area(polygons), 1e-4)
    bounds = np.array([axis.bounds for axis in chi2.axes])
    for line in traced:
        free = ((line > bounds[:, 0]) & (line < bounds[:, 1])).all(axis=1)
        value, slopes = chi2.gradient_at(line)
        # A band so thin that chi^2 is steep: as near as a part in 10^10 of the region's size tells.
        rounding = np.maximum(1e-9 * LEVEL, 1e-10 * np.abs(slopes * np.ptp(line, axis=0)).max(axis=1))
        assert np.all(np.abs(value - LEVEL)[free] <= rounding[free])
        assert np.all(value <= LEVEL + rounding)


def test_a_band_that_no_grid_shows_is_followed(statistics, monkeypatch):
    """On a grid of nine points the crescent of germanium is broken; the points on its axes then miss an edge."""
    chi2 = Chi2.of(statistics["ess-ge"], ["q_ee", "q_mumu"])
    (fine,) = contour(chi2, 0.90).polygons
    monkeypatch.setattr(tracing, "BOX_POINTS", (9,))
    (polygon,) = contour(chi2, 0.90).polygons
    assert area([polygon]) == near(area([fine]), 1e-4)
    assert len(polygon) != len(fine)


def test_a_minimum_of_the_hidden_coupling_that_appears_and_vanishes_between_samples():
    """Regions over which branches of the hidden coupling take turns: against a scan of the closed form.

    sin2_theta_w is minimised over; of two NSI, chi^2 has up to three minima in it, or rests on its bounds.
    """
    names, hidden = ["eps_ee_u", "eps_mumu_u"], "sin2_theta_w"
    likelihood = least_squares(preset_response("ess-csi", [*names, hidden]), 0.1, 0.01)
    chi2 = Chi2.of(likelihood, names, [hidden])
    (polygon,) = contour(chi2, 0.90).polygons
    closed = ProfileLikelihood(likelihood, (*names, hidden))
    axis = closed.axes[2]

    def scanned(points):
        """Lowest over a scan of the hidden coupling, then over a finer one around its lowest value."""
        values = np.tile(np.linspace(*axis.bounds, 401), (len(points), 1))
        for _ in range(2):
            many = np.concatenate([np.repeat(points, values.shape[1], axis=0), values.reshape(-1, 1)], axis=1)
            table = closed.values_at(many).reshape(values.shape)
            best = np.take_along_axis(values, table.argmin(axis=1)[:, None], axis=1)
            step = values[:, 1] - values[:, 0]
            values = np.clip(best + step[:, None] * np.linspace(-1, 1, 401), *axis.bounds)
        return table.min(axis=1)

    assert scanned(polygon[:-1:5]) == pytest.approx(np.full(len(polygon[:-1:5]), LEVEL), abs=2e-3)
    x, y = (np.linspace(side.min() - 0.1, side.max() + 0.1, 25) for side in polygon.T)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    surface = scanned(grid).reshape(len(y), len(x))
    assert np.all((inside([polygon], x, y) == (surface < LEVEL)) | (np.abs(surface - LEVEL) < 2e-3))
    assert 50 < np.sum(surface < LEVEL) < 550


def tilted(name, couplings, widths, years, tilt=0.02):
    """A projection by Poisson whose shape is minimised over, as those of real data."""
    response = preset_response(name, list(couplings), years=years)
    backgrounds = {each: [Parameter("background", widths[1])] for each in response.backgrounds}
    samples = samples_of(response, [Parameter("signal", widths[0])], backgrounds)
    slope = np.linspace(-tilt, tilt, response.counts().size)
    return Likelihood((dataset_of(response, samples, "poisson"),)).modified(
        ["cevns"], lambda s: Bend(Parameter("shape", 1.0), s.coefficients * (1 + slope), s.coefficients * (1 - slope))
    )


@pytest.mark.parametrize(("name", "widths", "years"), [("ess-ge", (0.1, 0.01), 100), ("ess-csi", (0.02, 0.005), 3)])
def test_a_band_that_crosses_cells_of_the_coarse_grid(name, widths, years):
    """It is thin far from the Standard Model, where all corners of a cell are high above the level."""
    pair = ("eps_ee_u", "eps_ee_d")
    chi2 = Chi2.of(tilted(name, pair, widths, years), pair)
    rises = [delta_chi2_level(0.90, 2)]
    grid = first_grid(chi2, rises)
    assert not grid.known.all()
    # All points of the same axes, looked at one by one: none that is low was taken to be high.
    every = first_grid(chi2)
    np.testing.assert_array_equal(every.x, grid.x)
    low = every.chi2 < every.chi2.min() + rises[0]
    assert np.all(grid.chi2[low] < grid.chi2.min() + rises[0])
    polygons = contour(chi2, 0.90).polygons
    assert len(polygons) == 2
    assert np.all(inside(polygons, every.x, every.y)[low & (every.chi2 < every.chi2.min() + 0.9 * rises[0])])


def test_a_minimum_beside_a_saddle_on_an_axis():
    """Transition couplings enter as squares: on an axis chi^2 has no slope across it, and all dips can lie on axes."""
    pair = ("eps_emu_u", "eps_etau_u")
    likelihood = tilted("ess-ar", pair, (0.0084, 0.01), 3)
    truth = dict(zip(pair, (-0.5026, 1.2459), strict=True))
    data = likelihood.asimov(np.array([truth[name] for name in likelihood.couplings]))
    region = contour(Chi2.of(data, pair), 0.90)
    assert len(region.polygons) == 4
    x, y = (np.array([-value, value]) for value in map(abs, truth.values()))
    assert inside(region.polygons, x, y).all()
    assert not inside(region.polygons, np.zeros(1), np.array([1.53])).any()
