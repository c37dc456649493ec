"""A chi^2 that is minimised point by point, searched for minima and crossings: a known curve in its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from support import near, poisson, preset_response

from cevnslab.inference.chi2 import Axis
from cevnslab.inference.pointwise import PointwiseChi2
from cevnslab.likelihood import likelihood as likelihood_module
from cevnslab.likelihood.profile import ProfileLikelihood

AXES = (Axis("a", 1.0, (-9.0, 9.0)), Axis("c", 1.0, (0.0, 9.0)))


def written_out(x, y):
    return 3 + np.cos(0.3 - 0.5 * x + 0.2 * y + 0.11 * x**2 + 0.9 * x * y + 0.35 * y**2)


@dataclass(frozen=True)
class Wave:
    """A known function of one or two couplings, in the place of a likelihood."""

    axes: tuple

    def values_at(self, points):
        return written_out(points[:, 0], points[:, 1] if len(self.axes) == 2 else 0.0)

    def gradient_at(self, points):
        x, y = points.T
        slope = -np.sin(0.3 - 0.5 * x + 0.2 * y + 0.11 * x**2 + 0.9 * x * y + 0.35 * y**2)
        inner = np.stack([-0.5 + 0.22 * x + 0.9 * y, 0.2 + 0.9 * x + 0.7 * y], axis=1)
        return self.values_at(points), slope[:, None] * inner


def test_values_of_any_shape():
    chi2 = PointwiseChi2(Wave(AXES[:1]))
    x = np.array([[-2.0, 0.0, 0.4], [1.0, 3.0, -1.5]])
    assert chi2(x) == near(written_out(x, 0.0), 1e-14)
    assert chi2(0.5).shape == ()
    assert chi2(np.empty(0)).shape == (0,)


def test_a_grid_has_the_first_coupling_along_its_rows():
    chi2 = PointwiseChi2(Wave(AXES))
    x, y = np.linspace(-2, 2, 5), np.linspace(0, 3, 4)
    assert chi2.on_grid(x, y) == near(written_out(x[None, :], y[:, None]), 1e-14)
    value, slope_x, slope_y = chi2.value_and_gradient(x[:4], y)
    assert value == near(written_out(x[:4], y), 1e-14)
    step = 1e-6
    difference = (written_out(x[:4] + step, y) - written_out(x[:4] - step, y)) / (2 * step)
    assert slope_x == pytest.approx(difference, abs=1e-8)
    difference = (written_out(x[:4], y + step) - written_out(x[:4], y - step)) / (2 * step)
    assert slope_y == pytest.approx(difference, abs=1e-8)


def test_batches_do_not_matter(monkeypatch):
    """So many points that they are minimised over in several batches."""
    likelihood = poisson(preset_response("ess-ge", ["q_ee"]), 0.1, 0.01)
    values = np.linspace(-2e-8, 9e-8, 37)[:, None]
    expected = ProfileLikelihood(likelihood, ("q_ee",)).values_at(values)
    monkeypatch.setattr(likelihood_module, "LARGEST_BATCH", 5 * likelihood.model.numbers_per_point())
    batches, minimise = [], likelihood_module.minimise

    def counted(model, points, *rest, **options):
        batches.append(len(points))
        return minimise(model, points, *rest, **options)

    monkeypatch.setattr(likelihood_module, "minimise", counted)
    assert ProfileLikelihood(likelihood, ("q_ee",)).values_at(values) == near(expected, 1e-9)
    assert batches == [5] * 7 + [2]


def test_minima_and_pieces_of_a_known_curve():
    """3 + cos(u) is lowest where u = 0.3 - a/2 + 0.11 a^2 is an odd multiple of pi, and below 2.5 within pi/3 of them.

    A third kind of minimum, at 3.96, is that of u itself.
    """
    chi2 = PointwiseChi2(Wave(AXES[:1]))

    def where(*u):
        return sorted(float(a) for value in u for a in np.roots([0.11, -0.5, 0.3 - value]) if -9 < a < 9)

    vertex = 0.5 / 0.22
    expected = sorted([*where(np.pi, 3 * np.pi), vertex])
    found = chi2.minima()
    assert [value for value, _ in found] == pytest.approx(expected, rel=1e-6)
    lowest = [3 + np.cos(0.3 - vertex * 0.25) if value == vertex else 2.0 for value in expected]
    assert [chi2_there for _, chi2_there in found] == pytest.approx(lowest, abs=1e-12)
    crossings = where(2 * np.pi / 3, 4 * np.pi / 3, 8 * np.pi / 3, 10 * np.pi / 3)
    ends = [end for piece in chi2.pieces_below(2.5) for end in piece]
    assert ends == pytest.approx(crossings, rel=1e-9)
