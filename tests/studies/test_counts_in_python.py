"""Own counts from Python: off-beam runs, toys, expected limits, significance; detectors that enter a study."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import poisson

import cevnslab as cl
from cevnslab.errors import StatisticsError, StudyError
from cevnslab.inference.significance import significance, simulated_significance
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample, Scale
from cevnslab.likelihood.toys import Truth, draw
from cevnslab.studies.objects import detector_keys

EDGES = [2.0, 4.0, 8.0, 16.0]


@pytest.fixture(scope="module")
def response():
    detector = cl.load_detector("ess-ge")
    coarse = replace(detector, bin_edges_kev=EDGES, background_per_kg_day=np.full(3, 5.0), name="mine", resolution=None)
    return cl.response("ess", coarse, couplings=["q_ee", "cevns_strength"], years=0.05)


@pytest.fixture(scope="module")
def counts(response):
    rng = np.random.default_rng(3)
    return rng.poisson(response.counts() + response.background), rng.poisson(5 * response.background)


def test_an_off_beam_run_is_that_of_a_study(response, counts, tmp_path):
    on, off = counts
    fit = cl.likelihood(response, signal=0.1, background={}, observed=on, off_beam={"background": (off, 0.2)})
    (tmp_path / "off.csv").write_text("\n".join(map(str, off)) + "\n", encoding="utf-8")
    entry = {
        "preset": "ess-ge", "name": "mine", "bin_edges_kev": EDGES, "resolution": "none",
        "observed": [float(n) for n in on],
        "backgrounds": [{"name": "background", "off": {"file": "off.csv", "ratio": 0.2}}],
    }  # fmt: skip
    keys = {
        "name": "s", "source": "ess", "exposure_years": 0.05, "couplings": ["q_ee"], "uncertainties": {"signal": 0.1},
        "detectors": [entry],
    }  # fmt: skip
    limit = cl.study_from_dict(keys, base=tmp_path).run().limit("mine", "q_ee")
    assert np.array(cl.limit(fit, "q_ee").segments) == pytest.approx(np.array(limit.segments), rel=1e-6)
    with pytest.raises(StatisticsError, match="off_beam: counts of an off-beam run go with observed counts"):
        cl.likelihood(response, signal=0.1, background={}, off_beam={"background": (off, 0.2)})


def test_toys_are_likelihoods(response, counts):
    fit = cl.likelihood(
        response, signal=0.1, background={}, observed=counts[0], off_beam={"background": (counts[1], 0.2)}
    )
    drawn = list(cl.toys(fit, 400, seed=4, at={"cevns_strength": 3.0}))
    observed = np.array([toy.datasets[0].observed for toy in drawn])
    point = np.array([0.0, 3.0])
    components = fit.expected(point, fit.minimised(point[None, :]).pulls[0])["mine"]
    expected = 3 * response.standard_model("cevns") + components["background"]
    spread = np.sqrt((expected + (0.3 * response.standard_model("cevns")) ** 2) / 400)
    assert np.all(np.abs(observed.mean(axis=0) - expected) < 5 * spread)
    off = np.array([toy.datasets[0].samples[-1].per_bin.off for toy in drawn])
    assert off.std(axis=0).min() > 0
    again = next(cl.toys(fit, 1, seed=4, at={"cevns_strength": 3.0}))
    assert np.isfinite(cl.limit(again, "cevns_strength").segments[0][1])


def test_toys_of_more_counts_than_random_numbers_have(response, counts):
    """Where nothing foresees it, the draw itself names the data set and the bin."""
    large = {name: 1e18 * counts for name, counts in response.coefficients.items()}
    fit = cl.likelihood(replace(response, coefficients=large), signal=0.1, background=0.05)
    with pytest.raises(
        StatisticsError, match=r"^mine: .* counts are expected in the bin with .* cevns_strength = 100,"
    ):
        next(cl.toys(fit, 1, at={"cevns_strength": 100.0}))
    truth = Truth(np.array([0.0, 1.0]), np.zeros(1), (np.array([5.0, 1e19, 7.0]),))
    fit = cl.likelihood(
        response, signal=0.1, background={}, observed=counts[0], off_beam={"background": (counts[1], 0.2)}
    )
    with pytest.raises(StatisticsError, match="no pseudo-experiment can be drawn of more than 9e"):
        draw(fit, truth, 3, np.random.default_rng(1), "drawn")


def test_expected_limits_of_a_likelihood(response):
    fit = cl.likelihood(response, signal=0.1, background=0.05, statistic="poisson")
    expected = cl.expected_limit(fit, "cevns_strength", toys=400)
    low, high = cl.limit(fit, "cevns_strength").segments[0]
    assert expected.lower.low_68 < low < expected.lower.high_68
    assert expected.upper.low_68 < high < expected.upper.high_68
    assert str(expected).startswith("expected limit on cevns_strength at 90 % CL, 400 toys\nend")


def counting(observed, signal=3.0, background=4.0):
    samples = (
        Sample("cevns", np.array([[signal]]), modifiers=[Scale(Parameter("d.signal", 0.0))]),
        Sample("known", np.array([[background]])),
    )
    return Likelihood((Dataset("d", (1,), samples, np.array([float(observed)])),))


@pytest.mark.parametrize("observed", [7, 9, 12])
def test_the_significance_of_few_counts_is_poissons(observed):
    """Of one bin with a known background every larger count is more significant: p = P(n >= observed | b)."""
    likelihood = counting(observed)
    simulated = simulated_significance(likelihood, significance(likelihood), toys=20_000)
    exact = poisson.sf(observed - 1, 4.0)
    assert simulated.p_no_signal == pytest.approx(exact, abs=4 * np.sqrt(exact / 20_000))
    assert simulated.p_error == pytest.approx(np.sqrt(exact / 20_000), rel=0.2)
    # The median of n = 7 expected counts is 7.
    assert simulated.expected == pytest.approx(significance(counting(7)).discovery, abs=1e-4)


def test_a_significance_that_no_toy_reaches():
    likelihood = counting(60)
    simulated = simulated_significance(likelihood, significance(likelihood), toys=1000)
    assert (simulated.p_no_signal, simulated.p_error, simulated.discovery) == (0.0, 1e-3, None)


def test_significances_of_the_interface(response, counts):
    fit = cl.likelihood(response, signal=0.1, background=0.05, observed=counts[0])
    asymptotic, simulated = cl.significance(fit), cl.simulated_significance(fit, toys=1000)
    assert asymptotic.error_without_normalisation < asymptotic.error
    assert simulated.expected_low_68 < simulated.expected < simulated.expected_high_68


def test_a_percentage_is_a_warning(response):
    with pytest.warns(UserWarning, match="width of signal: 10 is relative, 1000 %; 10 % is 0.1"):
        cl.likelihood(response, signal=10, background=0.05)


# detectors ------------------------------------------------------------------------------------------------------------

STUDY = {
    "name": "made", "source": "ess", "exposure_years": 1, "couplings": ["q_ee"],
    "uncertainties": {"signal": 0.1, "background": 0.01},
}  # fmt: skip


@pytest.mark.parametrize("preset", ["ess-ge", "ess-xe", "ess-csi-electron"])
def test_a_loaded_detector_gives_the_presets_limits(preset):
    channels = ["cevns", "electron"] if preset.endswith("electron") else ["cevns"]
    keys = {**STUDY, "channels": channels}
    by_object = cl.study_from_dict({**keys, "detectors": [cl.load_detector(preset)]})
    by_name = cl.study_from_dict({**keys, "detectors": [{"preset": preset}]})
    ends = [np.array(study.run().limit(preset, "q_ee").segments) for study in (by_object, by_name)]
    assert ends[0] == pytest.approx(ends[1], rel=1e-9)
    again = cl.study_from_dict(by_object.as_dict())
    assert np.array(again.run().limit(preset, "q_ee").segments) == pytest.approx(ends[0], rel=1e-12)


def test_a_changed_detector_with_counts_of_its_own():
    mine = replace(
        cl.load_detector("ess-ge"), name="mine", mass_kg=14.0, bin_edges_kev=EDGES, background_per_kg_day=[1, 2, 9]
    )
    entry = {
        "detector": mine,
        "backgrounds": [{"name": "b", "ckd": 1, "uncertainty": 0.1}],
        "observed": [900, 700, 600],
    }
    study = cl.study_from_dict({**STUDY, "uncertainties": {"signal": 0.1}, "detectors": [entry]})
    assert study.setups[0].detector.mass_kg == 14.0
    assert study.setups[0].observed.counts.sum() == 2200


def test_light_and_radii_survive():
    keys = {
        "name": "light", "target": "CsI", "mass_kg": 5, "distance_m": 20, "bin_edges_kevee": [1, 2, 4],
        "quenching": 0.1, "resolution": {"sigma_kevee": 0.2, "at_kevee": 1}, "efficiency": 0.5, "background_ckkd_ee": 3,
        "rms_radius_fm": {"Cs": 4.8, "I": 4.7}, "neutron_radius_fm": {"Cs": 5.0, "I": 4.9},
    }  # fmt: skip
    detector = cl.study_from_dict({**STUDY, "detectors": [keys]}).setups[0].detector
    again = cl.study_from_dict({**STUDY, "detectors": [detector]}).setups[0].detector
    assert again.target == detector.target
    assert (again.quenching, again.resolution) == (detector.quenching, detector.resolution)
    assert again.background_per_kg_day == pytest.approx(detector.background_per_kg_day)


def test_what_no_key_can_say():
    sloped = replace(cl.load_detector("ess-ge"), bin_edges_kev=EDGES, background_per_kg_day=np.array([1.0, 2.0, 9.0]))
    with pytest.raises(StudyError, match=r"study: detectors\.ess-ge\.background_per_kg_day: is not flat"):
        cl.study_from_dict({**STUDY, "detectors": [sloped]})
    curve = replace(cl.load_detector("ess-ge"), efficiency=lambda energy: energy)
    with pytest.raises(StudyError, match=r"efficiency: a study takes a table from a file"):
        detector_keys(curve)
