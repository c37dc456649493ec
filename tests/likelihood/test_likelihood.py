"""The one likelihood: joining, parameters by name, every width, the closed form against the general engine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import preset_response

import cevnslab as cl
from cevnslab.datasets.likelihoods import projection
from cevnslab.errors import StatisticsError
from cevnslab.likelihood import minimiser
from cevnslab.likelihood.closed_form import closed_form
from cevnslab.likelihood.fit import fit
from cevnslab.likelihood.likelihood import Dataset, Likelihood, Prior
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.profile import ProfileLikelihood, independent_parts
from cevnslab.likelihood.samples import Bend, PerBin, Sample, Scale, Shift
from cevnslab.quadratic import Polynomial, Variable

CHARGE = Variable("q", 1e-9, (-1e-6, 1e-6))
SQUARE = Polynomial((CHARGE,), ((), (0,), (0, 0)))


def small(name="here", statistic="poisson", signal=0.1, background=0.05, observed=None, **options):
    """Four bins, one coupling, two normalisations."""
    rows = np.array([[30.0, 20.0, 10.0, 5.0], [-6.0, -3.0, -1.0, -0.2], [2.0, 1.0, 0.4, 0.1]])
    samples = (
        Sample("cevns", rows, SQUARE, [Scale(Parameter(f"{name}.signal", signal))]),
        Sample("steady", np.full((1, 4), 15.0), modifiers=[Scale(Parameter(f"{name}.steady", background))]),
    )
    observed = rows[0] + 15.0 if observed is None else np.asarray(observed, dtype=float)
    return Likelihood((Dataset(name, (4,), samples, observed, statistic, **options),))


def chi2(likelihood, values):
    return ProfileLikelihood(likelihood, ("q",)).values_at(np.asarray(values, dtype=float)[:, None])


VALUES = np.linspace(-3e-9, 8e-9, 12)


def test_parts_that_share_nothing_add():
    first, second = small("a"), small("b", observed=[50, 30, 25, 18])
    assert len(independent_parts(first + second)) == 2
    assert chi2(first + second, VALUES) == pytest.approx(chi2(first, VALUES) + chi2(second, VALUES), rel=1e-12)


def test_a_common_name_is_one_parameter():
    both = (small("a") + small("b")).renamed({"a.signal": "flux", "b.signal": "flux"})
    assert [p.name for p in both.parameters] == ["flux", "a.steady", "b.steady"]
    # Twice the same counts: one flux that is pulled is paid for once, two are paid for twice.
    assert np.all(chi2(both, VALUES) <= 2 * chi2(small("a"), VALUES) + 1e-12)
    assert np.all(chi2(both, VALUES) >= chi2(small("a"), VALUES) - 1e-12)
    order = (small("b") + small("a")).renamed({"a.signal": "flux", "b.signal": "flux"})
    assert chi2(order, VALUES) == pytest.approx(chi2(both, VALUES), rel=1e-12)


def test_two_priors_of_one_name_are_refused():
    both = small("a") + small("b", signal=0.2)
    with pytest.raises(StatisticsError, match=r"flux has two priors"):
        both.renamed({"a.signal": "flux", "b.signal": "flux"})


def test_a_data_set_twice_is_refused():
    with pytest.raises(StatisticsError, match="twice"):
        small("a") + small("a")


def test_scales_on_one_sample_multiply():
    rows = np.array([[100.0, 50.0]])
    scales = [Scale(Parameter("flux", 0.1)), Scale(Parameter("efficiency", 0.2))]
    likelihood = Likelihood((Dataset("d", (2,), (Sample("cevns", rows, modifiers=scales),), np.array([100.0, 50.0])),))
    counts = likelihood.expected(np.empty(0), np.array([1.0, 1.0]))["d"]["cevns"]
    assert counts == pytest.approx(rows[0] * 1.1 * 1.2)


@pytest.mark.parametrize("statistic", ["poisson", "least-squares"])
@pytest.mark.parametrize("width", [0.0, 1e-300, 1e-200, 1e-12, 1e-10, 1e-8, 1e-6])
def test_tiny_widths_are_those_of_a_fixed_parameter(width, statistic):
    fixed = chi2(small(signal=0.0, background=0.0, statistic=statistic), VALUES)
    assert chi2(small(signal=width, background=width, statistic=statistic), VALUES) == pytest.approx(fixed, rel=1e-8)


@pytest.mark.parametrize("statistic", ["poisson", "least-squares"])
@pytest.mark.parametrize("width", [1e3, 1e10, 1e100, 1e300])
def test_huge_widths_are_those_of_a_free_parameter(width, statistic):
    free = chi2(small(signal=np.inf, statistic=statistic), VALUES)
    assert chi2(small(signal=width, statistic=statistic), VALUES) == pytest.approx(free, rel=1e-5, abs=1e-5)


@given(signal=st.floats(0, 0.2), background=st.floats(0, 0.2), scale=st.floats(0.01, 100))
def test_the_closed_form_is_the_general_engine(signal, background, scale):
    likelihood = small(signal=signal, background=background, statistic="least-squares", observed=[48, 30, 28, 17])
    assert closed_form(likelihood) is not None
    values = scale * VALUES
    general = likelihood.minimised(values[:, None]).chi2
    assert chi2(likelihood, values) == pytest.approx(general, rel=1e-9, abs=1e-9)


def test_what_has_no_closed_form():
    assert closed_form(small("a")) is None
    assert closed_form(small("a", "least-squares", signal=0.5)) is None  # its wall is two widths away
    both = small("a", "least-squares") + small("b", "least-squares")
    assert closed_form(both) is None  # a signal normalisation each
    assert closed_form(both.renamed({"a.signal": "flux", "b.signal": "flux"})) is not None


def test_the_closed_form_vanishes_on_asimov_data():
    response = preset_response("ess-ge", ["q_ee"])
    function = ProfileLikelihood(projection(response, 0.1, 0.01), ("q_ee",))
    assert function.quick
    assert abs(function.values_at(np.array([[0.0], [1e-16]]))).max() < 1e-13


@pytest.mark.parametrize("statistic", ["poisson", "least-squares"])
def test_a_gradient_is_a_difference(statistic):
    response = preset_response("ess-csi", ["q_ee", "q_mumu", "q_emu"])
    names = ("q_mumu", "q_emu", "q_ee")
    function = ProfileLikelihood(projection(response, 0.1, 0.01, statistic), names)
    points = np.array([[2e-9, 5e-9, -3e-9], [-4e-9, 1e-9, 8e-9]])
    value, slopes = function.gradient_at(points)
    assert value == pytest.approx(function.values_at(points), rel=1e-12)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-13
        difference = (function.values_at(points + step) - function.values_at(points - step)) / 2e-13
        assert slopes[:, column] == pytest.approx(difference, rel=1e-5)


def test_a_prior_adds_its_term():
    likelihood = small()
    with_prior = Likelihood(likelihood.datasets, {"q": Prior(1e-9, 2e-9)})
    assert chi2(with_prior, VALUES) == pytest.approx(chi2(likelihood, VALUES) + ((VALUES - 1e-9) / 2e-9) ** 2)
    best = fit(with_prior, ["q"]).parameter("q")
    alone = fit(likelihood, ["q"]).parameter("q")
    assert abs(best.value - 1e-9) < abs(alone.value - 1e-9)
    assert best.prior_width == 2e-9


def test_hidden_couplings_are_minimised_with_the_nuisances():
    response = preset_response("ess-ge", ["q_ee", "q_mumu"])
    likelihood = projection(response, 0.1, 0.01, "poisson")
    visible = np.linspace(-5e-9, 5e-9, 7)
    points = np.column_stack([visible, np.zeros(7)])
    minimum = likelihood.minimised(points, ["q_mumu"])
    for row, value in enumerate(visible):
        line = np.linspace(-8e-9, 8e-9, 1601)
        scan = likelihood.minimised(np.column_stack([np.full(1601, value), line])).chi2
        near = abs(line - minimum.couplings[row, 1]) < 3e-10
        assert minimum.chi2[row] <= scan[near].min() + 1e-9


def test_the_order_of_data_sets_never_matters():
    parts = [small("a"), small("b", "least-squares"), small("c", observed=[40, 50, 20, 30])]
    forward, backward = parts[0] + parts[1] + parts[2], parts[2] + parts[1] + parts[0]
    assert chi2(forward, VALUES) == pytest.approx(chi2(backward, VALUES), rel=1e-12)


# bins without data ---------------------------------------------------------------------------------------------------


def test_an_empty_bin_of_least_squares_is_refused_where_counts_are_possible():
    with pytest.raises(StatisticsError, match=r"bin 3 has no counts.*wider bins"):
        chi2(small(statistic="least-squares", observed=[40, 30, 20, 0]), VALUES)


def test_an_empty_bin_in_which_nothing_can_be_is_dropped():
    rows = np.array([[10.0, 0.0]])
    sample = Sample("steady", rows, modifiers=[Scale(Parameter("steady", 0.1))])
    dropped = Likelihood((Dataset("d", (2,), (sample,), np.array([12.0, 0.0]), "least-squares"),))
    one = Likelihood(
        (
            Dataset(
                "d",
                (1,),
                (Sample("steady", rows[:, :1], modifiers=sample.modifiers),),
                np.array([12.0]),
                "least-squares",
            ),
        )
    )
    point = np.zeros((1, 0))
    assert dropped.minimised(point).chi2 == pytest.approx(one.minimised(point).chi2)


def test_counts_where_none_can_be_are_refused():
    sample = Sample("steady", np.array([[10.0, 0.0]]))
    with pytest.raises(StatisticsError, match="counts where none are expected, in bin 1"):
        Dataset("d", (2,), (sample,), np.array([10.0, 1.0]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"observed": [1, 2, 3]}, "4 counts are needed"),
        ({"observed": [1, 2, 3, -4]}, "below 0 need errors"),
        ({"observed": [1, 2, 3, np.nan]}, "finite"),
        ({"statistic": "gaussian"}, "errors go with"),
        ({"errors": (np.ones(4), np.ones(4))}, "errors go with"),
        ({"statistic": "gaussian", "errors": (np.zeros(4), np.ones(4))}, "above 0"),
        ({"signal": -0.1}, "0 or more"),
    ],
    ids=str,
)
def test_what_a_data_set_refuses(options, message):
    with pytest.raises(StatisticsError, match=message):
        small(**options)


def test_asymmetric_errors_take_the_side_of_the_expectation():
    sample = Sample("steady", np.array([[10.0, 10.0]]))
    errors = np.array([2.0, 2.0]), np.array([1.0, 1.0])
    likelihood = Likelihood((Dataset("d", (2,), (sample,), np.array([8.0, 12.0]), "gaussian", errors),))
    assert likelihood.minimised(np.zeros((1, 0))).chi2 == pytest.approx([(2 / 2) ** 2 + (2 / 1) ** 2])


def test_negative_residuals_are_data():
    likelihood = small(statistic="gaussian", observed=[10, -3, -1, 0], errors=(np.full(4, 5.0), np.full(4, 5.0)))
    assert np.all(np.isfinite(chi2(likelihood, VALUES)))


# modifiers ------------------------------------------------------------------------------------------------------------


def test_a_bend_goes_through_its_templates():
    rows, up, down = np.array([[10.0, 20.0]]), np.array([[12.0, 19.0]]), np.array([[9.0, 20.5]])
    sample = Sample("cevns", rows, modifiers=[Bend(Parameter("shape", 1.0), up, down)])
    likelihood = Likelihood((Dataset("d", (2,), (sample,), rows[0]),))
    for pull, expected in ((0.0, rows), (1.0, up), (-1.0, down)):
        counts = likelihood.expected(np.empty(0), np.array([pull]))["d"]["cevns"]
        assert counts == pytest.approx(expected[0])


def test_a_shift_spreads_and_keeps_the_sum():
    offsets = np.linspace(-1, 1, 21)
    centres = np.arange(6)
    fractions = np.exp(-0.5 * (centres - 2.5 - offsets[:, None]) ** 2)
    fractions /= fractions.sum(axis=1)[:, None]
    shift = Shift(Parameter("time_zero", np.inf), 1, offsets, fractions)
    sample = Sample("cevns", np.array([[10.0, 20.0]]), modifiers=[shift])
    truth = np.outer([10.0, 20.0], fractions[14]).ravel()
    likelihood = Likelihood((Dataset("d", (2, 6), (sample,), truth),))
    best = fit(likelihood)
    assert best.parameter("time_zero").value == pytest.approx(offsets[14], abs=1e-6)
    assert best.chi2 == pytest.approx(0, abs=1e-9)


def test_a_shift_along_the_first_axis():
    shift = Shift(None, 0, np.zeros(1), np.array([[0.25, 0.75]]))
    sample = Sample("cevns", np.array([[4.0, 8.0, 12.0]]), modifiers=[shift])
    likelihood = Likelihood((Dataset("d", (2, 3), (sample,), np.ones(6)),))
    counts = likelihood.expected(np.empty(0), np.empty(0))["d"]["cevns"].reshape(2, 3)
    assert counts == pytest.approx(np.outer([0.25, 0.75], [4.0, 8.0, 12.0]))


def on_off(observed, off, ratio=0.5, width=0.0, groups=None, shape=None):
    size = len(observed)
    groups = np.arange(size) if groups is None else np.asarray(groups)
    shape = np.ones((1, size)) if shape is None else np.asarray(shape, dtype=float)[None, :]
    rows = np.array([np.linspace(8, 2, size), np.linspace(-2, -0.1, size), np.linspace(1, 0.1, size)])
    template = PerBin(np.asarray(off, dtype=float), ratio, groups)
    samples = (
        Sample("cevns", rows, SQUARE, [Scale(Parameter("signal", 0.1))]),
        Sample("off_beam", shape, modifiers=[template, Scale(Parameter("off_beam", width))]),
    )
    return Likelihood((Dataset("d", (size,), samples, np.asarray(observed, dtype=float)),))


def direct_on_off(likelihood, value):
    """The same minimum over the signal's normalisation and every tau, by scipy."""
    from scipy.optimize import minimize
    from scipy.special import xlogy

    dataset = likelihood.datasets[0]
    signal, background = dataset.samples
    template = background.per_bin
    counts = (SQUARE.values(np.array([[value]])) @ signal.coefficients)[0]

    def deviance(observed, expected):
        return 2 * np.sum(expected - observed + xlogy(observed, observed / np.maximum(expected, 1e-300)))

    def total(x):
        tau = np.exp(x[1:])
        expected = (1 + 0.1 * x[0]) * counts + template.ratio * tau[template.groups] * background.coefficients[0]
        return deviance(dataset.observed, expected) + deviance(template.off, tau) + x[0] ** 2

    start = np.concatenate([[0.0], np.log(template.off + 0.5)])
    return minimize(total, start, method="BFGS", options={"gtol": 1e-8}).fun


@pytest.mark.parametrize(
    "likelihood",
    [
        on_off([12, 9, 7, 5], [8, 6, 10, 4]),
        on_off([12, 9, 7, 5, 3, 2], [20, 9], groups=[0, 0, 0, 1, 1, 1], shape=[0.5, 0.3, 0.2, 0.6, 0.3, 0.1]),
        on_off(
            [12, 9, 7, 5, 3, 2], [20, 9], ratio=3.0, groups=[1, 0, 1, 0, 1, 0], shape=[0.5, 0.3, 0.2, 0.6, 0.3, 0.1]
        ),
    ],
    ids=["a bin a group", "rows", "interleaved"],
)
def test_counts_of_an_off_beam_run_are_profiled_exactly(likelihood):
    for value in (-2e-9, 0.0, 3e-9):
        assert chi2(likelihood, [value])[0] == pytest.approx(direct_on_off(likelihood, value), rel=1e-6, abs=1e-6)


def test_no_off_counts_at_all():
    likelihood = on_off([9, 7, 4, 2], [0, 0, 0, 0], groups=[0, 1, 2, 3])
    assert np.all(np.isfinite(chi2(likelihood, VALUES)))
    counts = likelihood.expected(np.zeros(1), np.zeros(2))["d"]
    assert np.all(counts["off_beam"] >= 0)


def test_many_off_counts_are_a_known_background():
    rate = np.array([10.0, 8.0, 6.0, 5.0])
    observed = [17, 14, 8, 9]
    on = on_off(observed, rate * 1e8, ratio=1e-8)
    rows = on.datasets[0].samples[0]
    known = Likelihood((Dataset("d", (4,), (rows, Sample("known", rate[None, :])), np.array(observed, dtype=float)),))
    assert chi2(on, VALUES) == pytest.approx(chi2(known, VALUES), rel=1e-6)


def test_a_scale_on_top_of_off_counts():
    free = on_off([12, 9, 7, 5], [8, 6, 10, 4], width=0.3)
    fixed = on_off([12, 9, 7, 5], [8, 6, 10, 4])
    assert np.all(chi2(free, VALUES) <= chi2(fixed, VALUES) + 1e-9)


def test_a_group_without_a_bin_is_refused():
    with pytest.raises(StatisticsError, match="groups need bins each"):
        PerBin(np.array([1.0, 2.0]), 1.0, np.array([0, 0]))


# fits -----------------------------------------------------------------------------------------------------------------


def test_a_fit_against_minuit():
    from iminuit import Minuit

    likelihood = small(observed=[55, 31, 26, 24])
    result = fit(likelihood, ["q"])

    def total(q, signal, steady):
        point, pulls = np.array([q * 1e-9]), np.array([signal, steady])
        expected = sum(likelihood.expected(point, pulls)["here"].values())
        counts = likelihood.datasets[0].observed
        return 2 * np.sum(expected - counts + counts * np.log(counts / expected)) + signal**2 + steady**2

    minuit = Minuit(total, q=result.point[0] * 1e9, signal=0.0, steady=0.0)
    minuit.errordef, minuit.strategy = 1.0, 2
    minuit.migrad()
    minuit.hesse()
    assert result.chi2 == pytest.approx(minuit.fval, rel=1e-6)
    assert result.parameter("q").value == pytest.approx(minuit.values["q"] * 1e-9, rel=1e-3)
    assert result.parameter("q").error == pytest.approx(minuit.errors["q"] * 1e-9, rel=2e-3)
    names = ["q", "signal", "steady"]
    for i, one in enumerate(names):
        for j, other in enumerate(names):
            assert result.correlation[i, j] == pytest.approx(minuit.covariance.correlation()[one, other], abs=3e-3)


def test_what_rests_on_a_wall_is_said():
    likelihood = small(signal=np.inf, background=0.0, observed=[2, 3, 1, 2])
    row = fit(likelihood).parameter("here.signal")
    assert row.at_wall
    assert row.value == pytest.approx(-1)
    assert row.error is None
    assert row.pull is None


def test_fits_refuse_names_that_are_not_there():
    with pytest.raises(StatisticsError, match="no coupling 'p'"):
        fit(small(), ["p"])
    with pytest.raises(StatisticsError, match="no parameter 'flux'"):
        fit(small(), fixed=["flux"])


def test_slopes_are_those_of_the_templates_where_the_search_is(monkeypatch):
    """Where points end while others go on, templates of couplings that are minimised over follow those that stay."""
    response = cl.response("ess", cl.load_detector("ess-ge"), couplings=["q_ee", "q_mumu"], years=3)
    likelihood = cl.likelihood(response, signal=0.1, background=0.01, statistic="poisson")
    points = np.column_stack([np.linspace(-8e-9, 8e-9, 41), np.linspace(6e-9, -6e-9, 41)])
    original, steps = minimiser._derivatives, []

    def checked(model, state, couplings, *rest, **words):
        for counted, templates in zip(state.counted, minimiser.contracted_at(model, couplings), strict=True):
            for ours, right in zip(counted.contracted, templates, strict=True):
                np.testing.assert_allclose(ours, right, rtol=1e-12)
        steps.append(len(couplings))
        return original(model, state, couplings, *rest, **words)

    monkeypatch.setattr(minimiser, "_derivatives", checked)
    likelihood.minimised(points, hidden=["q_mumu"])
    assert len(set(steps)) > 2  # points do end one after the other
