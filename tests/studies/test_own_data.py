"""Counts of a detector's own: fits, pulls, significance, backgrounds by name, off-beam counts."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from support import STUDY, changed

import cevnslab as cl
from cevnslab.errors import PhysicsError, StatisticsError, StudyError, UnknownNameError
from cevnslab.inference.significance import chi2_at, significance, upper_limit, with_strength
from cevnslab.reports.tables import result_text

DETECTOR = {"preset": "ess-ge", "name": "mine", "bins": 4}
EXPECTED = np.array([3934.0, 3588.0, 3482.0, 3441.0])
"""About what the detector expects in a year, signal and flat background."""
KEYS = {
    "name": "own",
    "source": "ess",
    "exposure_years": 1,
    "couplings": ["q_ee"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
}
NAMED = [
    {"name": "flat", "ckkd": 3, "uncertainty": 0.05},
    {"name": "neutrons", "counts": [100, 50, 20, 10], "uncertainty": 0.3},
]


def study(*, counts=None, backgrounds=None, **more):
    detector = dict(DETECTOR)
    if counts is not None:
        detector["observed"] = [float(c) for c in counts]
    if backgrounds is not None:
        detector["backgrounds"] = backgrounds
    return cl.study_from_dict({**KEYS, **more, "detectors": [detector]})


def expectation(**keys):
    (setup,) = study(**keys).setups
    return setup.likelihood.datasets[0].observed


def test_observed_counts_make_observed_limits():
    expected = expectation()
    asimov = study(counts=np.round(expected)).run().limit("mine", "q_ee")
    more = study(counts=np.round(expected * 1.1)).run().limit("mine", "q_ee")
    assert asimov.statistic == more.statistic == "poisson"
    assert asimov.segments != more.segments
    projected = study().run().limit("mine", "q_ee")
    assert projected.statistic == "least-squares"
    assert np.array(asimov.segments)[0] == pytest.approx(projected.segments[0], rel=0.02)


def test_named_backgrounds_are_parameters_and_columns(tmp_path):
    result = study(counts=np.round(expectation(backgrounds=NAMED)), backgrounds=NAMED, pulls=True).run()
    rows = {(row.parameter): row for row in result.fit}
    assert {"flat_counts", "neutrons_counts", "chi2", "significance_sigma", "q_ee", "mine.neutrons"} <= set(rows)
    assert rows["chi2"].value < 0.1
    folder = result.save(tmp_path)
    with (folder / "pulls.csv").open() as file:
        pulls = list(csv.DictReader(file))
    columns = ["detector", "coupling", "parameter", "prior_width", "best_fit", "error", "impact_up", "impact_down"]
    assert list(pulls[0]) == columns
    assert {row["parameter"] for row in pulls} == {"mine.signal", "mine.flat", "mine.neutrons"}
    with (folder / "summary.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert list(row) == [
        "detector",
        "flux_per_cm2_s",
        "cevns",
        "electron",
        "background",
        "observed",
        "best_fit",
        "significance",
    ]
    assert float(row["observed"]) == np.round(expectation(backgrounds=NAMED)).sum()


def test_a_systematic_far_from_its_prior_is_remarked():
    counts = np.round(expectation() * 1.2)
    result = study(counts=counts).run()
    assert any("standard deviations of its prior" in remark for remark in result.remarks)
    assert not study(counts=np.round(expectation())).run().remarks
    assert "Note: mine, best fit of q_ee" in result_text(result)


def test_impacts_are_correlations_on_smooth_likelihoods():
    """Near a quadratic chi^2 the impact of a parameter is cov(coupling, parameter)/error(parameter)."""
    from cevnslab.inference.pulls import impacts
    from cevnslab.studies.analysis import analyses

    likelihood = analyses(study(counts=np.round(expectation())))["mine"].likelihood
    best, rows = impacts(likelihood, "q_ee")
    names = [parameter.name for parameter in best.parameters]
    for row in rows:
        number = names.index(row.parameter.name)
        expected = best.covariance[0, number] / row.parameter.error
        assert (row.up - row.down) / 2 == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("nearer", [1e2, 1e4])
def test_a_strength_decades_below_the_standard_model(nearer, tmp_path):
    """A detector that is nearer by a factor sees its square as much: the same counts are so much less of a signal."""
    (tmp_path / "off.dat").write_text("counts\n30000\n28000\n29000\n", encoding="utf-8")
    detector = {
        **DETECTOR,
        "bins": 3,
        "observed": [41000, 32500, 31000],
        "backgrounds": [
            {"name": "dark", "off": {"file": "off.dat", "ratio": 1.0}},
            {"name": "flat", "ckkd": 1, "uncertainty": 0.1},
        ],
    }
    keys = {
        **KEYS,
        "exposure_years": 3,
        "couplings": ["cevns_strength"],
        "intervals": {"confidence_level": [0.6827, 0.95]},
        "systematics": [{"name": "scale", "on": "signal", "kind": "energy_scale", "width": 0.02}],
    }
    far, near = (
        cl.study_from_dict({**keys, "detectors": [{**detector, "distance_m": at}]}, base=tmp_path).run().limits
        for at in (15.0, 15.0 / nearer)
    )
    for one, other in zip(far, near, strict=True):
        assert np.array(other.segments) * nearer**2 == pytest.approx(np.array(one.segments), rel=1e-6)
        assert other.best_fit * nearer**2 == pytest.approx(one.best_fit, rel=1e-3)


# the strength ---------------------------------------------------------------------------------------------------------


def one_bin(observed, signal=50.0, background=100.0, width=0.0):
    """A counting experiment whose background is known."""
    from cevnslab.likelihood.likelihood import Dataset, Likelihood
    from cevnslab.likelihood.parameters import Parameter
    from cevnslab.likelihood.samples import Sample, Scale

    samples = (
        Sample("cevns", np.array([[signal]]), modifiers=[Scale(Parameter("d.signal", width))]),
        Sample("known", np.array([[background]])),
    )
    return Likelihood((Dataset("d", (1,), samples, np.array([float(observed)])),))


@pytest.mark.parametrize("observed", [160, 130, 101])
def test_significance_of_a_counting_experiment(observed):
    """Eq. (97) of arXiv:1007.1727 with a known background: sqrt(2 (n ln(n/b) - n + b))."""
    strength = significance(one_bin(observed))
    assert strength.strength == pytest.approx((observed - 100) / 50, abs=1e-6)
    assert strength.discovery == pytest.approx(
        np.sqrt(2 * (observed * np.log(observed / 100) - observed + 100)), rel=1e-6
    )
    assert strength.p_no_signal == pytest.approx(norm.sf(strength.discovery), rel=1e-9)
    assert strength.error == pytest.approx(np.sqrt(observed) / 50, rel=1e-3)


def test_fewer_counts_than_background_are_no_discovery():
    values = significance(one_bin(90))
    assert (values.discovery, values.p_no_signal) == (0.0, 0.5)
    assert values.strength == pytest.approx(0, abs=1e-6)
    assert values.error is None


def test_the_signals_own_uncertainty_changes_the_error_and_no_significance():
    free, fixed = significance(one_bin(150, width=0.1), ["d.signal"]), significance(one_bin(150))
    assert free.discovery == pytest.approx(fixed.discovery, rel=1e-9)
    assert free.error_without_normalisation == pytest.approx(fixed.error, rel=1e-6)
    assert free.error == pytest.approx(np.hypot(fixed.error, 0.1), rel=1e-3)


def test_the_upper_limit_is_one_sided():
    likelihood = one_bin(130)
    limit = upper_limit(likelihood)
    free = with_strength(likelihood)
    rise = chi2_at(free, limit) - chi2_at(free, 0.6)
    assert rise == pytest.approx(norm.ppf(0.9) ** 2, rel=1e-6)


def test_a_strength_needs_a_signal():
    with pytest.raises(StatisticsError, match="no sample wimp; there are cevns, known"):
        significance(one_bin(150), samples=["wimp"])


def test_the_coupling_cevns_strength(tmp_path):
    counts = np.round(expectation())
    result = study(counts=counts, couplings=["cevns_strength", "q_ee"]).run()
    (piece,) = result.limit("mine", "cevns_strength").segments
    (row,) = result.significances
    assert piece[0] < row.strength < piece[1]
    assert row.strength == pytest.approx(1, abs=0.2)
    assert row.significance == pytest.approx(row.expected_significance, rel=0.05)
    assert row.error_without_normalisation < row.error
    assert (result.save(tmp_path) / "significances.csv").exists()


def test_the_strength_leaves_electrons_alone():
    response = cl.response(
        cl.load_source("ess"),
        cl.load_detector("ess-csi-electron"),
        couplings=["cevns_strength", "q_ee"],
        years=3,
        channels=["cevns", "electron"],
    )
    nothing = response.counts(cevns_strength=0.0, q_ee=1e-10)
    assert nothing == pytest.approx(replace(response, channels=("electron",)).counts(q_ee=1e-10), rel=1e-9)
    assert response.counts(cevns_strength=2.0).sum() == pytest.approx(
        2 * response.standard_model("cevns").sum() + response.standard_model("electron").sum()
    )


# from Python ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def response():
    return cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=["q_ee", "q_mumu"], years=3)


def test_the_python_interface_gives_the_studys_numbers(response, paper):
    fit = cl.likelihood(response, signal=0.10, background=0.01)
    assert cl.limit(fit, "q_ee").segments[0] == pytest.approx(paper.limit("ess-ge", "q_ee").segments[0], rel=1e-9)
    (profile,) = (p for p in paper.profiles if (p.detector, p.coupling) == ("ess-ge", "q_ee"))
    assert cl.delta_chi2(fit, "q_ee", profile.value) == pytest.approx(profile.delta_chi2, abs=1e-9)
    grid = cl.delta_chi2(fit, ("q_ee", "q_mumu"), [0.0, 1e-9], [0.0, 1e-9, 2e-9])
    assert grid.shape == (3, 2)
    assert grid[0, 0] == pytest.approx(0, abs=1e-12)


def test_observed_counts_in_python(response):
    counts = np.round(response.counts() + response.background)
    poisson = cl.likelihood(response, signal=0.10, background=0.01, observed=counts)
    gaussian = cl.likelihood(response, signal=0.10, background=0.01, observed=counts, errors=np.sqrt(counts))
    ends = [np.array(cl.limit(fit, "q_ee").segments[0]) for fit in (poisson, gaussian)]
    assert ends[0] == pytest.approx(ends[1], rel=0.02)
    best = poisson.fit(["q_ee"])
    assert "q_ee" in str(best)
    assert "<table>" in best._repr_html_()


def test_two_detectors_join(response):
    xenon = cl.response(cl.load_source("ess"), cl.load_detector("ess-xe"), couplings=["q_ee", "q_mumu"], years=3)
    fits = [cl.likelihood(r, signal=0.10, background=0.01) for r in (response, xenon)]
    alone = [cl.limit(fit, "q_ee").segments[0] for fit in fits]
    both = cl.limit(fits[0] + fits[1], "q_ee").segments[0]
    assert both[1] - both[0] < min(high - low for low, high in alone)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: cl.likelihood(r, signal=0.1, background={"neutrons": 0.1}), UnknownNameError, "no 'neutrons'"),
        (lambda r: cl.likelihood(r, signal=0.1, background=0.1, observed=[1, 2]), StatisticsError, "104 counts"),
        (
            lambda r: cl.likelihood(r, signal=0.1, background=0.1, observed="many"),
            PhysicsError,
            "observed: must be",
        ),
        (lambda r: cl.likelihood(r, signal=-1, background=0.1), StatisticsError, "0 or more"),
        (lambda r: cl.limit(cl.likelihood(r, signal=0.1, background=0.1), "q_e"), UnknownNameError, "did you mean"),
        (
            lambda r: cl.delta_chi2(cl.likelihood(r, signal=0.1, background=0.1), "q_ee", [0], [1]),
            StatisticsError,
            "x alone",
        ),
    ],
)
def test_what_python_refuses(response, call, error, message):
    with pytest.raises(error, match=message):
        call(response)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observed": [1, 2, 3]}, r"observed.*4"),
        ({"observed": [1, 2, 3, -4]}, "negative"),
        ({"observed": [1, 2, 3, 4.5]}, "whole numbers"),
        ({"backgrounds": [NAMED[0], NAMED[0]]}, "given twice"),
        ({"backgrounds": [{"name": "flat", "ckkd": 3}]}, "uncertainty: this key is required"),
        ({"backgrounds": NAMED, "background_ckkd": 3}, "by name; remove this key"),
        ({"statistic": "gaussian"}, "needs observed counts with errors"),
    ],
    ids=str,
)
def test_bad_input_of_own_data(change, message):
    with pytest.raises(StudyError, match=message):
        cl.study_from_dict({**KEYS, "detectors": [{**DETECTOR, **change}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"priors": {"q_ee": {"centre": 0.0, "width": 0}}}, r"priors\.q_ee\.width: must be above 0"),
        (
            {"systematics": [{"name": "x", "on": "gammas", "kind": "normalisation", "width": 0.1}]},
            r"systematics\.x\.on.*gammas",
        ),
    ],
    ids=["prior of width 0", "systematic on no background"],
)
def test_bad_priors_and_systematics(change, message):
    with pytest.raises(StudyError, match=message):
        cl.study_from_dict({**KEYS, "detectors": [DETECTOR], **change})


def test_several_confidence_levels_are_rows_in_the_files_order():
    result = study(intervals={"confidence_level": [0.9, 0.6827]}, contours=[]).run()
    assert [limit.confidence_level for limit in result.limits] == [0.9, 0.6827]
    assert result.limit("mine", "q_ee", 0.6827).segments[0][1] < result.limit("mine", "q_ee").segments[0][1]


def test_few_counts_in_a_bin_of_least_squares_are_said(command, write_study, tmp_path):
    keys = {**KEYS, "detectors": [{"preset": "ess-ar"}, {"preset": "ess-ge"}]}
    result = cl.study_from_dict(keys).run()
    (remark,) = result.remarks
    assert remark.startswith("ess-ar: ")
    assert "statistic: poisson" in remark
    assert not cl.study_from_dict({**keys, "statistic": "poisson"}).run().remarks
    path = write_study(keys)
    assert "warning: ess-ar" in command("check", path).out
    options = ["--detector", "ess-ar", "--coupling", "q_ee", "--at", 0, "--toys", 100, "-o", tmp_path]
    assert "warning: ess-ar" in command("coverage", path, *options).err


# no couplings, several levels, goals: on the screen -----------------------------------------------------------------


def test_counts_alone_are_shown_where_no_coupling_is_asked_for():
    result = study(counts=np.round(EXPECTED), couplings=[]).run()
    assert result.limits == ()
    text = result_text(result)
    assert "S/B" in text
    assert "Strength of CEvNS" in text
    assert str(result).startswith("own: counts")
    (row,) = result.summary
    assert row.observed == EXPECTED.sum()


def test_every_level_is_a_row_and_says_which():
    result = study(intervals={"confidence_level": [0.6827, 0.9]}).run()
    inner, outer = result.limits
    assert outer.segments[0][0] < inner.segments[0][0] < inner.segments[0][1] < outer.segments[0][1]
    assert "68.27 %" in result_text(result)
    assert " 90 %" in result_text(result)


def test_what_a_goal_asks_and_gets_is_shown():
    near = cl.study_from_dict({**KEYS, "detectors": [{**DETECTOR, "distance_m": 18.0}]}).run().limit("mine", "q_ee")
    goal = {"coupling": "q_ee", "upper": near.segments[0][1]}
    goal_entry = {
        "name": "near",
        "key": "detectors.mine.distance_m",
        "from": 15,
        "to": 25,
        "detector": "mine",
        "goal": goal,
    }
    result = study(design=[goal_entry]).run()
    (answer,) = result.design
    assert (answer.kind, answer.value) == ("crossing", pytest.approx(18.0, rel=1e-6))
    assert "near" in result_text(result)


def test_counts_far_from_all_that_is_expected_still_have_an_upper_limit(tmp_path):
    # 41000 counts where a hundred are expected: several minima, the signal's normalisation pulled by tens of sigma.
    mine = {
        **STUDY["detectors"][0],
        "name": "mine",
        "bins": 3,
        "observed": [41000, 32500, 31000],
        "backgrounds": [
            {"name": "dark", "off": {"file": "off.dat", "ratio": 1e-3}},
            {"name": "flat", "ckkd": 1, "uncertainty": 0.1},
        ],
        "uncertainties": {"signal": 0.1},
    }
    del mine["background_ckkd"]
    systematics = [
        {"name": "scale", "on": "signal", "kind": "energy_scale", "width": 0.02},
        {"name": "flux", "on": ["cevns"], "kind": "normalisation", "width": 0.05, "replaces": ["my-ge.signal"]},
    ]
    combined = [{"name": "both", "detectors": ["mine", "my-ge"], "signal": "independent"}]
    keys = changed({"couplings": ["cevns_strength"], "detectors": [mine, STUDY["detectors"][0]]})
    keys |= {"systematics": systematics, "combinations": combined}
    (tmp_path / "off.dat").write_text("counts\n30000\n28000\n29000\n", encoding="utf-8")
    result = cl.study_from_dict(keys, base=tmp_path).run()
    for row in result.significances:
        assert math.isfinite(row.upper_limit)
        assert row.upper_limit > 0
