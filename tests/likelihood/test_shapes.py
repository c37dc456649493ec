"""The likelihood with shape nuisances: iminuit from many places over a model written out anew, limits, gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cevnslab.inference.shapes import LARGEST_PULL, ShapedLikelihood
from cevnslab.inference.templates import OFFSET, Template, TimeTemplate
from iminuit import Minuit
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import xlogy
from support import near, preset_response

from cevnslab.errors import StatisticsError
from cevnslab.inference.chi2 import Axis
from cevnslab.inference.intervals import interval
from cevnslab.inference.poisson import Poisson

AXES = (Axis("a", 1.0, (-1e3, 1e3)), Axis("b", 1.0, (-1e3, 1e3)))
MONOMIALS = ((), (0,), (1,), (0, 0), (0, 1), (1, 1))
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


def movable(kind):
    return TimeTemplate(OFFSETS, shares(kind, OFFSETS))


SPLINES = {kind: CubicSpline(OFFSETS, shares(kind, OFFSETS)) for kind in ("prompt", "delayed", "beam")}


def rows(base, linear):
    """base (1 + theta KERNEL)^2 as rows of the monomials; `linear` is the index of theta."""
    made = np.zeros((len(MONOMIALS), len(base)))
    made[0], made[1 + linear], made[3 + 2 * linear] = base, 2 * base * KERNEL, base * KERNEL**2
    return made


def part(base, linear, kind):
    nominal = rows(base, linear)
    return Template(nominal, {name: (nominal * up, nominal * down) for name, (up, down) in CHANGES.items()}, kind)


def model(observed, widths=WIDTHS, offset_range=(-0.25, 0.25)):
    beam = {name: ((BEAM * up)[None], (BEAM * down)[None]) for name, (up, down) in BEAM_CHANGES.items()}
    return ShapedLikelihood(
        axes=AXES,
        monomials=MONOMIALS,
        signal=(part(PROMPT, 1, movable("prompt")), part(DELAYED, 0, movable("delayed"))),
        backgrounds=(("beam", Template(BEAM[None], beam, movable("beam"))), ("steady", Template(STEADY[None], {}))),
        observed=observed,
        widths=tuple(widths.items()),
        offset_range_us=offset_range,
    )


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


def at(*points):
    """Monomials at points (a, b)."""
    return np.array([[1.0, a, b, a * a, a * b, b * b] for a, b in points])


@pytest.fixture(scope="module", params=[11, 12], ids="seed{}".format)
def data(request):
    """Counts that fluctuate about shapes and a time zero which are not the nominal ones."""
    rng = np.random.default_rng(request.param)
    truth = np.append(rng.normal(0, [0.12, 0.25, 0.02, 1, 1]), rng.uniform(-0.15, 0.15))
    return rng.poisson(expected(0.0, 0.0, truth)).astype(float)


POINTS = [(0.0, 0.0), (0.4, 0.0), (-2.0, 0.5), (0.0, -3.0), (6.0, -4.0), (-40.0, 25.0), (300.0, 0.0)]
"""Near the Standard Model and where the signal is a hundred thousand times the data."""


def test_expected_against_the_written_out_model(data):
    statistic, rng = model(data), np.random.default_rng(3)
    assert statistic.names == tuple(WIDTHS)
    nuisances = np.column_stack([rng.uniform(-0.8, 1, (7, 3)), rng.uniform(-4, 4, (7, 2)), rng.uniform(-0.25, 0.25, 7)])
    mu, slopes = statistic.expected(statistic.contracted(at(*POINTS)), nuisances)
    for point, (a, b) in enumerate(POINTS):
        scale = abs(mu[point]).max()
        assert mu[point] == pytest.approx(expected(a, b, nuisances[point]), rel=1e-10, abs=1e-12 * scale)
        for place in range(6):
            step = 1e-6 * np.eye(6)[place]
            difference = (expected(a, b, nuisances[point] + step) - expected(a, b, nuisances[point] - step)) / 2e-6
            assert slopes[point, place] == pytest.approx(difference, rel=1e-6, abs=1e-7 * scale)


def test_objective_against_the_written_out_model(data):
    statistic, rng = model(data), np.random.default_rng(4)
    for a, b in POINTS[:5]:
        nuisances = np.append(rng.normal(0, [0.1, 0.2, 0.02, 0.7, 0.7]), 0.1)
        mu, _ = statistic.expected(statistic.contracted(at((a, b))), nuisances[None])
        assert statistic.objective(mu, nuisances[None])[0] == near(objective(a, b, nuisances, data), 1e-10)
    impossible = np.where(np.arange(len(data)) == np.argmax(data), 0.0, 1.0)
    assert statistic.objective(impossible[None], np.zeros((1, 6)))[0] == np.inf


@pytest.mark.parametrize("point", POINTS, ids=str)
def test_against_iminuit_from_many_starts(point, data):
    chi2, nuisances = model(data).minimised(at(point))
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
    assert model(observed).minimum(at((-1.0, -1.0)))[0] <= minuit(-1.0, -1.0, observed)[0] + 1e-6


def test_points_do_not_disturb_each_other(data):
    statistic = model(data)
    together = statistic.minimum(at(*POINTS))
    alone = np.array([statistic.minimum(at(point))[0] for point in POINTS])
    assert together == near(alone, 1e-9)


@pytest.mark.parametrize("changed", [{"light": 0.0}, {OFFSET: 0.0}, {"signal": np.inf}, {"signal": 0.0, "radius": 0.3}])
def test_other_widths(changed, data):
    """0 fixes a nuisance at its centre, infinity frees it; the others stay as they are."""
    statistic, widths = model(data).with_widths(**changed), WIDTHS | changed
    assert dict(statistic.widths) == widths
    chi2, nuisances = statistic.minimised(at((0.3, -0.2)))
    assert chi2[0] <= minuit(0.3, -0.2, data, widths)[0] + 1e-6
    assert chi2[0] == near(objective(0.3, -0.2, nuisances[0], data, widths), 1e-9)
    for place, (name, width) in enumerate(widths.items()):
        assert (nuisances[0, place] == 0) == (width == 0), name


def test_slope_of_the_minimum_against_differences(data):
    statistic = model(data)
    points = at((0.0, 0.0), (0.5, -0.3), (-1.2, 2.0), (5.0, 0.0))
    chi2, slopes = statistic.minimum_and_slope(points)
    assert chi2 == near(statistic.minimum(points), 1e-12)
    for row in range(points.shape[1]):
        step = 1e-4 * np.eye(points.shape[1])[row]
        difference = (statistic.minimum(points + step) - statistic.minimum(points - step)) / 2e-4
        # Both minima are known to 1e-9 of chi^2: 1e-5 in the difference.
        assert slopes[:, row] == pytest.approx(difference, rel=1e-5, abs=2e-5)


def test_gradient_of_two_couplings_against_differences(data):
    chi2 = model(data).along(["b", "a"])
    x, y, step = np.array([0.2, -1.5, 3.0]), np.array([-0.4, 0.7, 1.0]), 1e-4
    value, *slopes = chi2.value_and_gradient(x, y)
    assert value == near(np.diag(chi2.on_grid(x, y)), 1e-9)
    for slope, (dx, dy) in zip(slopes, ((step, 0.0), (0.0, step)), strict=True):
        up, down = (chi2.value_and_gradient(x + sign * dx, y + sign * dy)[0] for sign in (1, -1))
        assert slope == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=2e-5)


def test_along_keeps_the_rows_of_the_named_couplings(data):
    statistic = model(data)
    one, other = statistic.along(["a"]), statistic.along(["b"])
    assert one.likelihood.monomials == ((), (0,), (0, 0))
    assert other.likelihood.monomials == ((), (1,), (1, 1))
    both = statistic.along(["a", "b"])
    values = np.array([-1.0, 0.0, 0.7])
    expected_a = statistic.minimum(at(*[(v, 0.0) for v in values]))
    expected_b = statistic.minimum(at(*[(0.0, v) for v in values]))
    assert one(values) == near(expected_a, 1e-9)
    assert other(values) == near(expected_b, 1e-9)
    assert both.on_grid(values, np.zeros(1))[0] == near(expected_a, 1e-9)
    assert both.on_grid(np.zeros(1), values)[:, 0] == near(expected_b, 1e-9)
    assert abs(expected_a - expected_b)[[0, 2]].min() > 0.1


def test_pulls_stop_at_their_limit():
    """Data that ask for more than five standard deviations get five, and the likelihood at five."""
    wide = WIDTHS | {"light": 1e3, OFFSET: 0.0}
    observed = expected(0.0, 0.0, [0.0, 0.0, 0.0, 8.0, 0.0, 0.0])
    chi2, nuisances = model(observed, wide).minimised(at((0.0, 0.0)))
    assert nuisances[0, 3] == LARGEST_PULL
    lowest, where = minuit(0.0, 0.0, observed, wide)
    assert where[3] == pytest.approx(LARGEST_PULL, abs=1e-3)
    assert chi2[0] <= lowest + 1e-6


def test_the_offset_stays_in_its_range():
    observed = expected(0.0, 0.0, [0.0, 0.0, 0.0, 0.0, 0.0, 0.2])
    inside = model(observed).minimised(at((0.0, 0.0)))
    assert inside[1][0, 5] == pytest.approx(0.2, abs=1e-4)
    assert inside[0][0] == pytest.approx(0.0, abs=1e-8)
    for offset_range in ((-0.25, 0.1), (-0.1, 0.05)):
        chi2, nuisances = model(observed, offset_range=offset_range).minimised(at((0.0, 0.0)))
        assert nuisances[0, 5] == offset_range[1]
        assert chi2[0] > 0.1


def test_asimov_data_are_fitted_exactly():
    observed = expected(0.0, 0.0, np.zeros(6))
    chi2, nuisances = model(observed).minimised(at((0.0, 0.0)))
    assert chi2[0] == pytest.approx(0.0, abs=1e-18)
    assert nuisances[0] == pytest.approx(np.zeros(6), abs=1e-12)


def test_no_normalisation_is_negative():
    """No counts at all: a free signal goes to zero, not below."""
    nothing = np.zeros(len(STEADY))
    free = WIDTHS | {"signal": np.inf, "beam": 5.0}
    chi2, nuisances = model(nothing, free).minimised(at((0.0, 0.0), (3.0, 0.0)))
    assert nuisances[:, :2] == pytest.approx(np.full((2, 2), -1.0))
    # (1 + s) STEADY alone is left, 2 sum mu + (s/0.02)^2, with the centre's 1/25 for the beam.
    total = STEADY.sum()
    s = -total * 0.02**2
    assert chi2 == near([2 * (1 + s) * total + (s / 0.02) ** 2 + 1 / 25] * 2, 1e-9)


def test_other_counts_at_the_same_point(data):
    """Toys are fitted as if each were the data."""
    statistic = model(data)
    toys = np.random.default_rng(6).poisson(expected(0.0, 0.0, np.zeros(6)), (4, len(data))).astype(float)
    found = statistic.refitted(np.repeat(at((0.0, 0.0)), 4, axis=0), toys)
    for toy, chi2 in zip(toys, found, strict=True):
        assert chi2 <= minuit(0.0, 0.0, toy, starts=3)[0] + 1e-6
        assert chi2 == near(model(toy).minimum(at((0.0, 0.0)))[0], 1e-8)


def shapeless(response, widths, data):
    """The same response as templates without shapes."""
    named = ["signal", *response.backgrounds]
    return ShapedLikelihood(
        axes=Poisson.of(response, 0.1, 0.1).axes,
        monomials=response.monomials,
        signal=(Template(response.signal, {}),),
        backgrounds=tuple((name, Template(counts[None], {})) for name, counts in response.backgrounds.items()),
        observed=data,
        widths=tuple(zip(named, widths, strict=True)),
    )


@pytest.mark.parametrize("widths", [(0.1, 0.01, 0.3), (0.0, 0.2, 0.1), (0.5, 0.0, 0.05)], ids=str)
def test_without_shapes_it_is_the_poisson_likelihood(widths):
    one = preset_response("ess-ge", couplings=["q_ee", "q_emu"], years=0.1)
    rising = np.linspace(0.1, 3.0, len(one.background)) * one.background.mean()
    response = replace(one, backgrounds={"flat": one.background, "rising": rising})
    data = np.random.default_rng(5).poisson(response.counts() + response.background).astype(float)
    shaped, poisson = shapeless(response, widths, data), Poisson.of(response, widths[0], widths[1:], data)
    values = np.array([-1e-6, -1e-8, -2e-9, 0.0, 3e-9, 5e-8, 1e-6])
    for name in ("q_ee", "q_emu"):
        assert shaped.along([name])(values) == near(poisson.along([name])(values), 1e-8)
        assert interval(shaped.along([name]), 0.9).segments == tuple(
            near(piece, 1e-6) for piece in interval(poisson.along([name]), 0.9).segments
        )
    for ours, theirs in zip(
        shaped.along(["q_ee", "q_emu"]).value_and_gradient(values[2:5], values[[4, 2, 5]]),
        poisson.along(["q_ee", "q_emu"]).value_and_gradient(values[2:5], values[[4, 2, 5]]),
        strict=True,
    ):
        assert ours == near(theirs, 1e-4)


@pytest.mark.parametrize("widths", [(0.0, 0.0), (1e-9, 0.0), (0.3, 0.02)], ids=str)
def test_a_free_normalisation_of_nominal_shapes(widths):
    """The maximum of the likelihood: sum of S (1 - n/mu) vanishes, found by bisection where backgrounds are fixed."""
    one = preset_response("ess-ge", couplings=["q_ee"], years=0.1)
    response = replace(one, backgrounds={"flat": one.background, "rising": one.background * np.linspace(0, 2, 104)})
    data = np.random.default_rng(9).poisson(1.7 * response.counts() + response.background).astype(float)
    chi2, nuisances = shapeless(response, (np.inf, *widths), data).minimised(np.array([[1.0, 0.0, 0.0]]))
    signal, backgrounds = response.counts(), np.array(list(response.backgrounds.values()))

    def score(a):
        return np.sum(signal * (1 - data / ((1 + a) * signal + (1 + nuisances[0, 1:]) @ backgrounds)))

    best = brentq(score, -0.5, 5.0, xtol=1e-13)
    assert nuisances[0, 0] == pytest.approx(best, abs=1e-7)
    mu = (1 + best) * signal + (1 + nuisances[0, 1:]) @ backgrounds
    constraint = sum((b / width) ** 2 for b, width in zip(nuisances[0, 1:], widths, strict=True) if width > 0)
    assert chi2[0] == near(2 * np.sum(mu - data + xlogy(data, data) - xlogy(data, mu)) + constraint, 1e-9)


def test_a_search_that_does_not_end_is_an_error(monkeypatch, data):
    monkeypatch.setattr("cevnslab.inference.shapes.MOST_ITERATIONS", 1)
    with pytest.raises(StatisticsError, match="did not converge"):
        model(data).minimum(at((0.5, 0.0)))
