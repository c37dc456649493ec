"""chi^2 of couplings from a likelihood: values, grids, paths, batches, states."""

from __future__ import annotations

import numpy as np
import pytest
from support import least_squares, near, poisson, preset_response

from cevnslab.inference import chi2 as module
from cevnslab.inference.chi2 import Chi2, exact_path, snake, snake_order
from cevnslab.likelihood import likelihood as likelihood_module
from cevnslab.likelihood.compression import pseudo_binned, sketch
from cevnslab.likelihood.profile import ProfileLikelihood

NAMES = ["q_ee", "eps_ee_u", "sin2_theta_w"]


@pytest.fixture(scope="module")
def response():
    return preset_response("ess-ge", NAMES)


@pytest.fixture(scope="module")
def kinds(response):
    return {"least-squares": least_squares(response, 0.1, 0.01), "poisson": poisson(response, 0.1, 0.01)}


@pytest.mark.parametrize("kind", ["least-squares", "poisson"])
def test_values_of_any_shape(kind, kinds):
    chi2 = Chi2.of(kinds[kind], ["q_ee"])
    values = np.array([[3e-9, 0.0, -4e-9], [1e-9, 2e-8, 0.0]])
    assert chi2(values) == near(chi2.values_at(values.reshape(-1, 1)).reshape(2, 3), 1e-9)
    assert chi2(5e-9).shape == ()
    assert chi2(np.empty(0)).shape == (0,)


@pytest.mark.parametrize("kind", ["least-squares", "poisson"])
def test_a_grid_has_the_first_coupling_along_its_rows(kind, kinds):
    chi2 = Chi2.of(kinds[kind], ["q_ee", "eps_ee_u"])
    x, y = np.linspace(-4e-9, 5e-9, 4), np.linspace(-0.05, 0.3, 3)
    surface = chi2.on_grid(x, y)
    assert surface.shape == (3, 4)
    for row, column in np.ndindex(3, 4):
        assert surface[row, column] == near(chi2.values_at(np.array([[x[column], y[row]]]))[0], 1e-9)


@pytest.mark.parametrize("kind", ["least-squares", "poisson"])
def test_slopes_with_a_hidden_coupling_are_those_of_the_minimum(kind, kinds):
    chi2 = Chi2.of(kinds[kind], ["q_ee", "eps_ee_u"], ["sin2_theta_w"])
    points, step = np.array([[3e-9, 0.1], [-2e-9, -0.05]]), np.array([1e-12, 1e-5])
    _, slopes = chi2.gradient_at(points)
    for column in (0, 1):
        up, down = (chi2.values_at(points + sign * step * np.eye(2)[column]) for sign in (1, -1))
        assert slopes[:, column] == near((up - down) / (2 * step[column]), 1e-4)


def test_a_path_finds_what_single_searches_find(kinds):
    chi2 = Chi2.of(kinds["poisson"], ["eps_ee_u"], ["q_ee", "sin2_theta_w"])
    points = np.linspace(-0.5, 0.6, 23)[:, None]
    alone = np.concatenate([chi2.sample(point[None]).chi2 for point in points])
    along = exact_path(chi2, points)
    assert along.chi2 == pytest.approx(alone, rel=1e-7, abs=1e-7)
    again = chi2.sample(points, along.state)
    assert again.chi2 == pytest.approx(along.chi2, rel=1e-9, abs=1e-9)


def test_the_order_of_values_does_not_matter(kinds):
    chi2 = Chi2.of(kinds["least-squares"], ["eps_ee_u"], ["sin2_theta_w"])
    values = np.linspace(-0.5, 0.6, 23)
    mixed = np.random.default_rng(2).permutation(values)
    assert np.array_equal(chi2(mixed)[np.argsort(mixed)], chi2(values))


def test_a_snake_goes_to_and_fro():
    x, y = np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0])
    path = snake(x, y)
    assert path.tolist() == [[1, 10], [2, 10], [3, 10], [3, 20], [2, 20], [1, 20]]
    assert path[snake_order(3, 2)].tolist() == [[1, 10], [2, 10], [3, 10], [1, 20], [2, 20], [3, 20]]


def test_batches_do_not_matter(monkeypatch):
    """So many points that they are minimised over in several batches."""
    likelihood = poisson(preset_response("ess-ge", ["q_ee"]), 0.1, 0.01)
    values = np.linspace(-2e-8, 9e-8, 37)[:, None]
    expected, slopes = Chi2.of(likelihood, ("q_ee",)).gradient_at(values)
    size = 5 * likelihood.model.numbers_per_point()
    monkeypatch.setattr(likelihood_module, "LARGEST_BATCH", size)
    monkeypatch.setattr(module, "LARGEST_BATCH", size)
    batches, minimise = [], likelihood_module.minimise

    def counted(model, points, *rest, **options):
        batches.append(len(points))
        return minimise(model, points, *rest, **options)

    monkeypatch.setattr(likelihood_module, "minimise", counted)
    again = Chi2.of(likelihood, ("q_ee",)).gradient_at(values)
    assert again[0] == near(expected, 1e-9)
    assert again[1] == near(slopes, 1e-7)
    assert batches == [5] * 7 + [2]


def test_pseudo_bins_are_the_same_likelihood(kinds, response):
    whole = kinds["least-squares"]
    small = pseudo_binned(whole)
    assert len(small.datasets[0].observed) < len(response.background) / 4
    points = np.array([[3e-9, 0.1, 0.25], [-5e-9, 0.3, 0.2], [0.0, 0.0, 0.23857], [2e-8, -0.4, 0.4]])
    ours, theirs = (ProfileLikelihood(each, tuple(NAMES)).values_at(points) for each in (small, whole))
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)
    assert small.minimised(points).chi2 == pytest.approx(theirs, rel=1e-8, abs=1e-8)
    assert pseudo_binned(kinds["poisson"]).datasets[0] is kinds["poisson"].datasets[0]


def test_a_sketch_has_a_closed_form_and_is_near(kinds):
    known = ProfileLikelihood(sketch(kinds["poisson"]), tuple(NAMES))
    assert known.quick
    points = np.array([[3e-9, 0.1, 0.25], [-5e-9, 0.3, 0.2], [2e-9, -0.1, 0.3]])
    assert known.values_at(points) == near(Chi2.of(kinds["poisson"], NAMES).values_at(points), 0.1)
