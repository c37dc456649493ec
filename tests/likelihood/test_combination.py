"""Combined detectors: Gram matrices that add against sums over all bins, and what a combination must obey."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from iminuit import Minuit
from scipy.special import xlogy
from support import MILLICHARGES, combined, least_squares, near, poisson, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.contours import contour
from cevnslab.inference.intervals import interval
from cevnslab.likelihood.profile import ProfileLikelihood

PRESETS = ("ess-csi", "ess-xe", "ess-ge")
SIGMA_A = 0.1
SIGMA_B = (0.01, 0.03, 0.02)
KINDS = {"least-squares": least_squares, "poisson": poisson}


@pytest.fixture(scope="module")
def responses():
    return [preset_response(name) for name in PRESETS]


@pytest.fixture(scope="module")
def data(responses):
    random = np.random.default_rng(12)
    return [random.poisson(r.counts() + r.background).astype(float) + 1 for r in responses]


def members(kind, responses, data=None, sigma_a=SIGMA_A):
    counts = data or [None] * len(responses)
    return [
        KINDS[kind](r, sigma_a, sigma_b, observed)
        for r, sigma_b, observed in zip(responses, SIGMA_B, counts, strict=False)
    ]


def all_bins(responses, data, couplings):
    """One a, three b: design matrix, expectation, data."""
    signal = np.concatenate([r.counts(**couplings) for r in responses])
    sizes = np.cumsum([0, *(len(r.background) for r in responses)])
    backgrounds = np.zeros((3, sizes[-1]))
    for row, response in enumerate(responses):
        backgrounds[row, sizes[row] : sizes[row + 1]] = response.background
    return signal, backgrounds, np.concatenate(data)


def direct_least_squares(responses, data, **couplings):
    signal, backgrounds, observed = all_bins(responses, data, couplings)
    weight = 1 / np.sqrt(observed)
    columns = np.vstack([signal, backgrounds]) * weight
    rows = np.vstack([columns.T, np.diag(1 / np.array([SIGMA_A, *SIGMA_B]))])
    side = np.concatenate([(observed - signal - backgrounds.sum(axis=0)) * weight, np.zeros(4)])
    nuisances = np.linalg.lstsq(rows, side, rcond=None)[0]
    return float(np.sum((rows @ nuisances - side) ** 2))


def direct_poisson(responses, data, **couplings):
    signal, backgrounds, observed = all_bins(responses, data, couplings)

    def chi2(nuisances):
        expected = signal * (1 + nuisances[0]) + (1 + nuisances[1:]) @ backgrounds
        terms = expected - observed + xlogy(observed, observed) - xlogy(observed, expected)
        return 2 * np.sum(terms) + np.sum((nuisances / np.array([SIGMA_A, *SIGMA_B])) ** 2)

    fit = Minuit(chi2, np.zeros(4))
    fit.limits = (-0.9, 5)
    fit.strategy, fit.tol = 2, 1e-7
    fit.migrad()
    return fit.fval


@pytest.mark.parametrize("name", MILLICHARGES)
def test_correlated_least_squares_against_all_bins(name, responses, data):
    chi2 = Chi2.of(combined(members("least-squares", responses, data), "correlated"), [name])
    for value in (0.0, 3e-9, -1.2e-8, 5e-8):
        assert float(chi2(value)) == near(direct_least_squares(responses, data, **{name: value}), 1e-8)


@pytest.mark.parametrize("name", ["q_ee", "q_mutau"])
def test_correlated_poisson_against_iminuit(name, responses, data):
    chi2 = Chi2.of(combined(members("poisson", responses, data), "correlated"), [name])
    for value in (0.0, 5e-9, 2e-8):
        assert float(chi2(value)) == near(direct_poisson(responses, data, **{name: value}), 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_an_independent_sum_is_the_sum(kind, responses, data):
    parts = members(kind, responses, data)
    together = combined(parts, "independent")
    values = np.linspace(-1e-8, 4e-8, 9)
    expected = sum(Chi2.of(part, ["q_ee"])(values) for part in parts)
    assert Chi2.of(together, ("q_ee",))(values) == near(expected, 1e-13)
    pair = ("q_ee", "q_mumu")
    expected = sum(Chi2.of(part, pair).on_grid(values, values[:4]) for part in parts)
    assert Chi2.of(together, pair).on_grid(values, values[:4]) == near(expected, 1e-13)
    points = np.stack([values, values], axis=1)
    summed = Chi2.of(together, pair).gradient_at(points)
    each = [Chi2.of(part, pair).gradient_at(points) for part in parts]
    for number in range(2):
        assert summed[number] == near(sum(one[number] for one in each), 1e-12)
    assert ProfileLikelihood(together, pair).quick == (kind == "least-squares")


@pytest.mark.parametrize("signal", ["correlated", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_narrower_than_every_member(kind, signal, responses):
    """On Asimov data, where all members agree on the best fit."""
    parts = members(kind, responses)
    for name in ("q_ee", "q_mumu", "q_etau"):
        ((low, high),) = interval(Chi2.of(combined(parts, signal), (name,)), 0.90).segments
        for part in parts:
            single = interval(Chi2.of(part, (name,)), 0.90).segments
            assert single[0][0] < low
            assert high < single[-1][1]


def test_without_a_signal_uncertainty_there_is_nothing_to_correlate(responses, data):
    parts = members("least-squares", responses, data, sigma_a=0.0)
    values = np.linspace(-1e-8, 4e-8, 9)
    both = [Chi2.of(combined(parts, signal), ("q_ee",))(values) for signal in ("correlated", "independent")]
    assert both[0] == near(both[1], 1e-10)


@pytest.mark.parametrize("signal", ["correlated", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_one_member_is_itself(kind, signal, responses, data):
    (part, *_) = members(kind, responses, data)
    values = np.linspace(-1e-8, 4e-8, 5)
    assert Chi2.of(combined([part], signal), ("q_ee",))(values) == near(Chi2.of(part, ("q_ee",))(values), 1e-13)
    expected = interval(Chi2.of(part, ("q_ee",)), 0.9).segments
    limit = interval(Chi2.of(combined([part], signal), ("q_ee",)), 0.9).segments
    assert [end for piece in limit for end in piece] == [near(end, 1e-9) for piece in expected for end in piece]


@pytest.mark.parametrize("signal", ["correlated", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_does_not_matter(kind, signal, responses, data):
    parts = members(kind, responses, data)
    expected = interval(Chi2.of(combined(parts, signal), ("q_ee",)), 0.9)
    for order in list(itertools.permutations(parts))[1:4]:
        result = interval(Chi2.of(combined(order, signal), ("q_ee",)), 0.9)
        assert result.segments == tuple(tuple(near(end, 1e-8) for end in piece) for piece in expected.segments)


def test_detectors_with_different_channels(data):
    """Members whose monomials differ: CsI with electrons beside germanium."""
    pair = [preset_response("ess-csi-electron"), preset_response("ess-ge")]
    parts = [least_squares(r, 0.1, 0.01) for r in pair]
    chi2 = Chi2.of(combined(parts, "correlated"), ("q_ee",))
    value = 1e-10
    signal = [r.counts(q_ee=value) for r in pair]
    background = [r.background for r in pair]
    observed = [r.counts() + r.background for r in pair]
    weight = 1 / np.sqrt(np.concatenate(observed))
    blocks = np.vstack(
        [
            np.concatenate(signal),
            np.concatenate([background[0], np.zeros_like(background[1])]),
            np.concatenate([np.zeros_like(background[0]), background[1]]),
        ]
    )
    rows = np.vstack([(blocks * weight).T, np.diag([10.0, 100.0, 100.0])])
    expected = np.concatenate([(np.concatenate(observed) - blocks.sum(axis=0)) * weight, np.zeros(3)])
    fitted = np.linalg.lstsq(rows, expected, rcond=None)[0]
    assert float(chi2(value)) == near(np.sum((rows @ fitted - expected) ** 2), 1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_common_signal_has_one_width(kind, responses):
    parts = [*members(kind, responses[:1]), *members(kind, responses[1:2], sigma_a=0.2)]
    with pytest.raises(StatisticsError, match="flux has two priors"):
        combined(parts, "correlated")


def direct_mixture(responses, data, value):
    """Least squares of the first beside Poisson of the second, one flux for both, by iminuit."""
    signals = [response.counts(q_ee=value) for response in responses]

    def chi2(nuisances):
        a, b, c = nuisances
        one = signals[0] * (1 + a) + responses[0].background * (1 + b)
        other = signals[1] * (1 + a) + responses[1].background * (1 + c)
        ratio = 2 * np.sum(other - data[1] + xlogy(data[1], data[1] / other))
        constraints = (a / SIGMA_A) ** 2 + (b / SIGMA_B[0]) ** 2 + (c / SIGMA_B[1]) ** 2
        return np.sum((one - data[0]) ** 2 / data[0]) + ratio + constraints

    fit = Minuit(chi2, np.zeros(3))
    fit.strategy, fit.tol = 2, 1e-7
    fit.migrad()
    return fit.fval


def test_statistics_mix(responses, data):
    first, second = members("least-squares", responses, data)[0], members("poisson", responses, data)[1]
    for value in (0.0, 4e-9, -1e-8):
        ours = Chi2.of(combined([first, second], "correlated"), ("q_ee",))(value)
        assert float(ours) == near(direct_mixture(responses[:2], data, value), 1e-7)
        apart = Chi2.of(combined([first, second], "independent"), ("q_ee",))(value)
        expected = Chi2.of(first, ["q_ee"])(value) + Chi2.of(second, ["q_ee"])(value)
        assert float(apart) == near(float(expected), 1e-12)


@pytest.mark.parametrize("signal", ["correlated", "independent"])
@pytest.mark.parametrize("kind", KINDS)
def test_contours_lie_on_the_level_set(kind, signal, responses):
    pair = ("q_ee", "q_mumu")
    chi2 = Chi2.of(combined(members(kind, responses), signal), pair)
    region = contour(chi2, 0.90)
    assert len(region.polygons) == 1
    (polygon,) = region.polygons
    value = chi2.values_at(polygon)
    assert value == near(np.full(len(value), region.delta_chi2), 1e-6)
    angles = np.unwrap(np.arctan2(polygon[:, 1], polygon[:, 0]))
    assert abs(angles[-1] - angles[0]) == near(2 * np.pi, 1e-9)
