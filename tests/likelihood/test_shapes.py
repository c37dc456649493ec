"""The likelihood with shape nuisances: iminuit from many places over a model written out anew, limits, gradients."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from iminuit import Minuit
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import xlogy
from support import near, poisson, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Chi2
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.minimiser import evaluate
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import LARGEST_PULL, Bend, Sample, Scale, Shift
from cevnslab.quadratic import Polynomial, Variable

OFFSET = "time_offset_us"
AXES = (Variable("a", 1.0, (-1e3, 1e3)), Variable("b", 1.0, (-1e3, 1e3)))
MONOMIALS = ((), (0,), (1,), (0, 0), (0, 1), (1, 1))
POLYNOMIAL = Polynomial(AXES, MONOMIALS)
OFFSETS = np.linspace(-0.25, 0.25, 51)
TIME_EDGES = np.array([0.0, 0.3, 0.5, 0.8, 2.0, 6.0])
WIDTHS = {"signal": 0.12, "beam": 0.25, "steady": 0.02, "light": 1.0, "radius": 1.0, OFFSET: np.inf}

ENERGY = np.arange(6)
PROMPT, DELAYED = 40 * np.exp(-ENERGY / 2), 90 * np.exp(-ENERGY / 3)
KERNEL = np.exp(-ENERGY / 1.2)
"""(1 + a KERNEL)^2 multiplies the delayed part, (1 + b KERNEL)^2 the prompt one."""
CHANGES = {
    "light": (1 + 0.12 * np.exp(-ENERGY / 2), 1 - 0.10 * np.exp(-ENERGY / 2)),
    "radius": (1 - 0.02 * ENERGY, 1 + 0.021 * ENERGY),
}
BEAM, BEAM_CHANGES = 25 * np.exp(-ENERGY / 5), {"light": (1 + 0.05 * (ENERGY - 2), 1 - 0.04 * (ENERGY - 2))}
STEADY = np.outer(30 + 20 * ENERGY, np.diff(TIME_EDGES) / 6).ravel()


def shares(kind, offset):
    """Smooth arrival times: a pulse, and the same with a slow fall behind it."""
    edges = TIME_EDGES - 0.5 - np.asarray(offset)[..., None]
    rise = 1 / (1 + np.exp(-edges / 0.09))
    tail = 1 - np.exp(-(np.maximum(edges + 0.4, 0) ** 2) / (0.3 + np.maximum(edges + 0.4, 0)) / 2.2)
    return np.diff({"prompt": rise, "delayed": tail, "beam": 1 / (1 + np.exp(-(edges - 0.15) / 0.1))}[kind], axis=-1)


SPLINES = {kind: CubicSpline(OFFSETS, shares(kind, OFFSETS)) for kind in ("prompt", "delayed", "beam")}


def rows(base, linear):
    """base (1 + theta KERNEL)^2 as rows of the monomials; `linear` is the index of theta."""
    rows = np.zeros((len(MONOMIALS), len(base)))
    rows[0], rows[1 + linear], rows[3 + 2 * linear] = base, 2 * base * KERNEL, base * KERNEL**2
    return rows


def model(observed, widths=WIDTHS, offset_range=(-0.25, 0.25)):
    """Two parts of the signal, a beam-related and a steady background."""
    parameters = {name: Parameter(name, width) for name, width in widths.items()}
    parameters[OFFSET] = Parameter(OFFSET, widths[OFFSET], low=offset_range[0], high=offset_range[1])

    def bends(nominal, changes):
        return [Bend(parameters[name], nominal * up, nominal * down) for name, (up, down) in changes.items()]

    def moving(kind):
        return Shift(parameters[OFFSET], 1, OFFSETS, shares(kind, OFFSETS))

    signal = [
        Sample("cevns", counts, POLYNOMIAL, [Scale(parameters["signal"]), *bends(counts, CHANGES), moving(kind)])
        for counts, kind in ((rows(PROMPT, 1), "prompt"), (rows(DELAYED, 0), "delayed"))
    ]
    beam = [Scale(parameters["beam"]), *bends(BEAM[None], BEAM_CHANGES), moving("beam")]
    backgrounds = [
        Sample("beam", BEAM[None], modifiers=beam),
        Sample("steady", STEADY[None], modifiers=[Scale(parameters["steady"])]),
    ]
    shape = (len(ENERGY), len(TIME_EDGES) - 1)
    return Likelihood((Dataset("toy", shape, (*signal, *backgrounds), np.asarray(observed, dtype=float)),))


def values_of(likelihood, pulls):
    """Nuisances in plain units, in the order of WIDTHS: shape (points, 6)."""
    values = likelihood.model.centre + likelihood.model.unit * pulls
    names = [parameter.name for parameter in likelihood.parameters]
    return values[:, [names.index(name) for name in WIDTHS]]


def pulls_of(likelihood, values):
    """The other way round."""
    by_name = dict(zip(WIDTHS, np.transpose(values), strict=True))
    return np.transpose([by_name[p.name] / p.unit for p in likelihood.parameters])


def minimised(likelihood, *points):
    """chi^2 and nuisances as above, at points (a, b)."""
    minimum = likelihood.minimised(np.array(points, dtype=float))
    return minimum.chi2, values_of(likelihood, minimum.pulls)


def bend(x, changes):
    up, down = changes
    return 1 + x * (up - down) / 2 + x**2 * ((up + down) / 2 - 1)


def expected(a, b, nuisances):
    """mu, written out without a template."""
    n = dict(zip(WIDTHS, nuisances, strict=True))
    shape = 1 + sum(bend(n[name], changes) - 1 for name, changes in CHANGES.items())
    prompt = np.outer(PROMPT * (1 + b * KERNEL) ** 2 * shape, SPLINES["prompt"](n[OFFSET]))
    delayed = np.outer(DELAYED * (1 + a * KERNEL) ** 2 * shape, SPLINES["delayed"](n[OFFSET]))
    beam = np.outer(BEAM * bend(n["light"], BEAM_CHANGES["light"]), SPLINES["beam"](n[OFFSET]))
    signal, beam = (1 + n["signal"]) * (prompt + delayed).ravel(), (1 + n["beam"]) * beam.ravel()
    return signal + beam + (1 + n["steady"]) * STEADY


def objective(a, b, nuisances, observed, widths=WIDTHS):
    mu = expected(a, b, nuisances)
    if np.any((mu <= 0) & (observed > 0)) or np.any(mu < 0):
        return 1e12
    ratio = 2 * np.sum(mu - observed + xlogy(observed, observed) - xlogy(observed, np.where(observed > 0, mu, 1.0)))
    width = np.array(list(widths.values()))
    bound = np.isfinite(width) & (width > 0)
    return float(ratio + np.sum((np.asarray(nuisances)[bound] / width[bound]) ** 2))


def minuit(a, b, observed, widths=WIDTHS, starts=6, seed=1):
    """The lowest of many descents, and where it is."""
    rng = np.random.default_rng(seed)
    fits = []
    for number in range(starts):
        start = np.zeros(6) if number == 0 else np.append(rng.normal(0, [0.2, 0.2, 0.02, 1, 1]), rng.uniform(-0.2, 0.2))
        start = np.where(np.array(list(widths.values())) == 0, 0.0, np.maximum(start, [-0.9, -0.9, -0.9, -4, -4, -1]))
        fit = Minuit(lambda p: objective(a, b, p, observed, widths), start)
        fit.limits = [(-1, None)] * 3 + [(-LARGEST_PULL, LARGEST_PULL)] * 2 + [(-0.25, 0.25)]
        for place, width in enumerate(widths.values()):
            fit.fixed[place] = width == 0
        fit.errors = (0.1, 0.1, 0.02, 0.5, 0.5, 0.05)
        fit.errordef, fit.tol = 1.0, 1e-3
        fit.migrad(ncall=20000)
        fits.append((fit.fval, tuple(fit.values)))
    return min(fits)


@pytest.fixture(scope="module", params=[11, 12], ids="seed{}".format)
def data(request):
    """Counts that fluctuate about shapes and a time zero which are not the nominal ones."""
    rng = np.random.default_rng(request.param)
    truth = np.append(rng.normal(0, [0.12, 0.25, 0.02, 1, 1]), rng.uniform(-0.15, 0.15))
    return rng.poisson(expected(0.0, 0.0, truth)).astype(float)


POINTS = [(0.0, 0.0), (0.4, 0.0), (-2.0, 0.5), (0.0, -3.0), (6.0, -4.0), (-40.0, 25.0), (300.0, 0.0)]
"""Near the Standard Model and where the signal is a hundred thousand times the data."""


def test_expected_against_the_written_out_model(data):
    likelihood, rng = model(data), np.random.default_rng(3)
    assert {parameter.name for parameter in likelihood.parameters} == set(WIDTHS)
    nuisances = np.column_stack([rng.uniform(-0.8, 1, (7, 3)), rng.uniform(-4, 4, (7, 2)), rng.uniform(-0.25, 0.25, 7)])
    pulls = pulls_of(likelihood, nuisances)
    for point, (a, b) in enumerate(POINTS):
        components = likelihood.expected(np.array([a, b]), pulls[point])["toy"]
        assert list(components) == ["cevns", "beam", "steady"]
        mu = sum(components.values())
        assert mu == pytest.approx(expected(a, b, nuisances[point]), rel=1e-10, abs=1e-12 * abs(mu).max())


def chi2_at(likelihood, point, pulls):
    """-2 ln L without a minimisation."""
    data, couplings = likelihood.observation, np.array([point])
    monomials = likelihood.polynomial.values(couplings)
    contracted = [expectation.contracted(monomials) for expectation in likelihood.model.expectations]
    return evaluate(likelihood.model, contracted, couplings, pulls, data).chi2[0]


def test_objective_against_the_written_out_model(data):
    likelihood, rng = model(data), np.random.default_rng(4)
    for point in POINTS[:5]:
        nuisances = np.append(rng.normal(0, [0.1, 0.2, 0.02, 0.7, 0.7]), 0.1)
        result = chi2_at(likelihood, point, pulls_of(likelihood, nuisances[None]))
        assert result == near(objective(*point, nuisances, data), 1e-10)
    nothing = np.array([-1.0, -1.0, -1.0, 0.0, 0.0, 0.0])
    assert chi2_at(likelihood, (0.0, 0.0), pulls_of(likelihood, nothing[None])) == np.inf


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_against_iminuit_from_many_starts(point, data):
    chi2, nuisances = minimised(model(data), point)
    lowest, where = minuit(*point, data)
    assert chi2[0] <= lowest + 1e-6
    assert objective(*point, nuisances[0], data) == near(chi2[0], 1e-9)
    assert abs(nuisances[0, 3:5]).max() <= LARGEST_PULL
    assert -0.25 <= nuisances[0, 5] <= 0.25
    if point == (0.0, 0.0):  # one minimum, far from all limits: also the place is the same
        assert nuisances[0] == pytest.approx(np.array(where), abs=3e-3)


@pytest.mark.parametrize("seed", [21, 23, 32])
def test_where_gauss_newton_alone_overshoots(seed):
    """Large residuals: the curvature without second derivatives is half the true one, undamped steps overshoot."""
    rng = np.random.default_rng(seed)
    truth = np.append(rng.normal(0, [0.12, 0.25, 0.02, 1.5, 1.5]), rng.uniform(-0.22, 0.22))
    observed = rng.poisson(expected(0.0, 0.0, truth)).astype(float)
    assert minimised(model(observed), (-1.0, -1.0))[0][0] <= minuit(-1.0, -1.0, observed)[0] + 1e-6


def test_points_do_not_disturb_each_other(data):
    likelihood = model(data)
    together = minimised(likelihood, *POINTS)[0]
    alone = np.array([minimised(likelihood, point)[0][0] for point in POINTS])
    assert together == near(alone, 1e-9)


@pytest.mark.parametrize("changed", [{"light": 0.0}, {OFFSET: 0.0}, {"signal": np.inf}, {"signal": 0.0, "radius": 0.3}])
def test_other_widths(changed, data):
    """0 fixes a nuisance at its centre, infinity frees it; the others stay as they are."""
    likelihood, widths = model(data).with_widths(changed), WIDTHS | changed
    assert {parameter.name: parameter.width for parameter in likelihood.parameters} == widths
    chi2, nuisances = minimised(likelihood, (0.3, -0.2))
    assert chi2[0] <= minuit(0.3, -0.2, data, widths)[0] + 1e-6
    assert chi2[0] == near(objective(0.3, -0.2, nuisances[0], data, widths), 1e-9)
    for place, (name, width) in enumerate(widths.items()):
        assert (nuisances[0, place] == 0) == (width == 0), name


def test_gradient_of_two_couplings_against_differences(data):
    chi2 = Chi2.of(model(data), ["b", "a"])
    points, step = np.array([[0.2, -0.4], [-1.5, 0.7], [3.0, 1.0]]), 1e-4
    value, slopes = chi2.gradient_at(points)
    assert value == near(np.diag(chi2.on_grid(*points.T)), 1e-9)
    for column in (0, 1):
        up, down = (chi2.values_at(points + sign * step * np.eye(2)[column]) for sign in (1, -1))
        assert slopes[:, column] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=2e-5)


def test_one_coupling_of_two_has_the_other_as_in_the_standard_model(data):
    likelihood = model(data)
    assert likelihood.restricted(["b"]).polynomial.monomials == ((), (0,), (0, 0))
    values = np.array([-1.0, 0.0, 0.7])
    expected_a = minimised(likelihood, *[(v, 0.0) for v in values])[0]
    expected_b = minimised(likelihood, *[(0.0, v) for v in values])[0]
    assert Chi2.of(likelihood, ["a"])(values) == near(expected_a, 1e-9)
    assert Chi2.of(likelihood, ["b"])(values) == near(expected_b, 1e-9)
    both = Chi2.of(likelihood, ["a", "b"])
    assert both.on_grid(values, np.zeros(1))[0] == near(expected_a, 1e-9)
    assert both.on_grid(np.zeros(1), values)[:, 0] == near(expected_b, 1e-9)
    assert abs(expected_a - expected_b)[[0, 2]].min() > 0.1


def test_pulls_stop_at_their_limit():
    """Data that ask for more than five standard deviations get five, and the likelihood at five."""
    wide = WIDTHS | {"light": 1e3, OFFSET: 0.0}
    observed = expected(0.0, 0.0, [0.0, 0.0, 0.0, 8.0, 0.0, 0.0])
    chi2, nuisances = minimised(model(observed, wide), (0.0, 0.0))
    assert nuisances[0, 3] == LARGEST_PULL
    lowest, where = minuit(0.0, 0.0, observed, wide)
    assert where[3] == pytest.approx(LARGEST_PULL, abs=1e-3)
    assert chi2[0] <= lowest + 1e-6


def test_the_offset_stays_in_its_range():
    observed = expected(0.0, 0.0, [0.0, 0.0, 0.0, 0.0, 0.0, 0.2])
    inside = minimised(model(observed), (0.0, 0.0))
    assert inside[1][0, 5] == pytest.approx(0.2, abs=1e-4)
    assert inside[0][0] == pytest.approx(0.0, abs=1e-8)
    for offset_range in ((-0.25, 0.1), (-0.1, 0.05)):
        chi2, nuisances = minimised(model(observed, offset_range=offset_range), (0.0, 0.0))
        assert nuisances[0, 5] == offset_range[1]
        assert chi2[0] > 0.1


def test_asimov_data_are_fitted_exactly():
    observed = expected(0.0, 0.0, np.zeros(6))
    chi2, nuisances = minimised(model(observed), (0.0, 0.0))
    assert chi2[0] == pytest.approx(0.0, abs=1e-18)
    assert nuisances[0] == pytest.approx(np.zeros(6), abs=1e-12)


def test_no_normalisation_is_negative():
    """No counts at all: a free signal goes to zero, not below."""
    nothing = np.zeros(len(STEADY))
    free = WIDTHS | {"signal": np.inf, "beam": 5.0}
    chi2, nuisances = minimised(model(nothing, free), (0.0, 0.0), (3.0, 0.0))
    assert nuisances[:, :2] == pytest.approx(np.full((2, 2), -1.0))
    # (1 + s) STEADY alone is left, 2 sum mu + (s/0.02)^2, with the centre's 1/25 for the beam.
    total = STEADY.sum()
    s = -total * 0.02**2
    assert chi2 == near([2 * (1 + s) * total + (s / 0.02) ** 2 + 1 / 25] * 2, 1e-9)


def test_other_counts_at_the_same_point(data):
    """Toys are fitted as if each were the data."""
    likelihood = model(data)
    toys = np.random.default_rng(6).poisson(expected(0.0, 0.0, np.zeros(6)), (4, len(data))).astype(float)
    observation = likelihood.observation_of([toys], likelihood.observation.off, likelihood.observation.centres)
    refitted = likelihood.minimised(np.zeros((4, 2)), observation=observation).chi2
    for toy, chi2 in zip(toys, refitted, strict=True):
        assert chi2 <= minuit(0.0, 0.0, toy, starts=3)[0] + 1e-6
        assert chi2 == near(minimised(model(toy), (0.0, 0.0))[0][0], 1e-8)


@pytest.mark.parametrize("widths", [(0.0, 0.0), (1e-9, 0.0), (0.3, 0.02)], ids=str)
def test_a_free_normalisation_of_nominal_shapes(widths):
    """The maximum of the likelihood: sum of S (1 - n/mu) vanishes, found by bisection where backgrounds are fixed."""
    one = preset_response("ess-ge", couplings=["q_ee"], years=0.1)
    response = replace(one, backgrounds={"flat": one.background, "rising": one.background * np.linspace(0, 2, 104)})
    data = np.random.default_rng(9).poisson(1.7 * response.counts() + response.background).astype(float)
    likelihood = poisson(response, np.inf, widths, data)
    minimum = likelihood.minimised(np.zeros((1, 1)))
    nuisances = likelihood.model.unit * minimum.pulls
    signal, backgrounds = response.counts(), np.array(list(response.backgrounds.values()))

    def score(a):
        return np.sum(signal * (1 - data / ((1 + a) * signal + (1 + nuisances[0, 1:]) @ backgrounds)))

    best = brentq(score, -0.5, 5.0, xtol=1e-13)
    assert nuisances[0, 0] == pytest.approx(best, abs=1e-7)
    mu = (1 + best) * signal + (1 + nuisances[0, 1:]) @ backgrounds
    constraint = sum((b / width) ** 2 for b, width in zip(nuisances[0, 1:], widths, strict=True) if width > 0)
    assert minimum.chi2[0] == near(2 * np.sum(mu - data + xlogy(data, data) - xlogy(data, mu)) + constraint, 1e-9)


def test_a_search_that_does_not_end_is_an_error(monkeypatch, data):
    monkeypatch.setattr(sys.modules["cevnslab.likelihood.minimiser"], "MOST_STEPS", 1)
    with pytest.raises(StatisticsError, match="did not converge"):
        minimised(model(data), (0.5, 0.0))
