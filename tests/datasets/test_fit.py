"""The Standard Model fitted: the published and reference results, and our own minimiser against Minuit's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from iminuit import Minuit
from support import with_counts
from written_out import lowest, objective

from cevnslab.datasets.files import locate
from cevnslab.datasets.fit import free_signal, standard_model_fit
from cevnslab.datasets.measurement import OFFSET, SIGNAL
from cevnslab.datasets.registry import dataset
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval

BOTH = ["normalisation", "shape"]
POINTS = {"standard model": {}, "q_ee": {"q_ee": 8e-8}, "q_mumu": {"q_mumu": -6e-8}}


def assert_minimisers_agree(measurement, charges):
    """Minuit starts from the centres; it may do worse, our own must not."""
    likelihood = measurement.likelihood
    point = [charges.get(name, 0.0) for name in likelihood.couplings]
    minimum = likelihood.minimised(np.array([point]))
    minuit = lowest(likelihood, charges, random=0, tol=1e-4)
    assert minimum.chi2[0] <= minuit.chi2 + 1e-6
    assert minimum.chi2[0] == pytest.approx(minuit.chi2, abs=2e-3)
    for parameter, pull in zip(likelihood.parameters, minimum.pulls[0], strict=True):
        value = parameter.centre + parameter.unit * pull
        assert abs(value - minuit.values[parameter.name]) < 0.05 * minuit.errors[parameter.name], parameter.name


def widths_of(measurement):
    """Prior widths of the normalisations, by component."""
    widths = {parameter.name: parameter.width for parameter in measurement.likelihood.parameters}
    return {name: widths[measurement.parameter(name)] for name in (SIGNAL, *measurement.response.backgrounds)}


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("nuisances", BOTH)
@pytest.mark.parametrize("name", ["csi", "lar"])
def test_own_minimiser_against_minuit(name, nuisances, point, fluctuated):
    assert_minimisers_agree(fluctuated(name, ("cevns",), nuisances), point)


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("nuisances", BOTH)
@pytest.mark.parametrize("name", ["csi", "lar"])
def test_own_minimiser_against_minuit_on_real_data(name, nuisances, point, measured):
    assert_minimisers_agree(measured(name, ("cevns",), nuisances), point)


def by_minuit(measurement, fixed_signal=None):
    """chi^2 of the fit with nominal shapes by Minuit over a function written out here; values and errors."""
    response, n = measurement.response, measurement.observed
    rows = [response.counts(), *response.backgrounds.values()]
    widths = [np.inf, *(width for name, width in widths_of(measurement).items() if name != SIGNAL)]

    def chi2(*norms):
        mu = sum((1 + x) * row for x, row in zip(norms, rows, strict=True))
        if np.any((mu <= 0) & (n > 0)):
            return 1e9
        logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / np.where(mu > 0, mu, 1)), 0.0)
        return 2 * np.sum(mu - n + logs) + sum((x / width) ** 2 for x, width in zip(norms, widths, strict=True))

    fit = Minuit(chi2, *np.zeros(len(rows)))
    if fixed_signal is not None:
        fit.values[0], fit.fixed[0] = fixed_signal, True
    fit.limits = (-1, None)
    fit.errordef, fit.strategy, fit.tol = 1.0, 2, 1e-4
    fit.migrad()
    fit.hesse()
    return fit


@pytest.mark.parametrize("name", ["csi", "lar"])
def test_fit_of_normalisations_against_minuit(name, fluctuated):
    measurement = fluctuated(name)
    fitted = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    fit, none = by_minuit(measurement), by_minuit(measurement, fixed_signal=-1.0)
    assert fitted["chi2"][0] == pytest.approx(fit.fval, abs=1e-6)
    assert fitted["bins"][0] == len(measurement.observed)
    assert fitted["significance_sigma"][0] == pytest.approx(np.sqrt(none.fval - fit.fval), abs=1e-5)
    rows = {"cevns": measurement.response.counts()} | dict(measurement.response.backgrounds)
    templates = np.array(list(rows.values()))
    mu = (1 + np.array(fit.values)) @ templates
    stiffness = np.array([0.0, *(width**-2.0 for name, width in widths_of(measurement).items() if name != SIGNAL)])
    hessian = (templates * measurement.observed / mu**2) @ templates.T + np.diag(stiffness)
    curvature_errors = np.sqrt(np.diag(np.linalg.inv(hessian)))
    for place, (component, counts) in enumerate(rows.items()):
        value, error = fitted[f"{component}_counts"]
        assert value == pytest.approx(counts.sum() * (1 + fit.values[place]), abs=1e-3 * error)
        assert error == pytest.approx(counts.sum() * curvature_errors[place], rel=2e-3)
    prior = widths_of(measurement)[SIGNAL]
    total = measurement.response.counts().sum()
    assert fitted["cevns_predicted"] == pytest.approx((total, prior * total), rel=1e-9)


def written_out_with_anti_coincident_counts(measurement, events):
    """Minuit's chi^2 of CsI, its steady state known from a list of events alone and a total of 1286 +- 2.1 %.

    Parameters: normalisations of signal (free) and backgrounds less 1, then the expectation of every row of energy.
    """
    n, signal = measurement.observed, measurement.response.counts()
    brn, nin, _ = measurement.response.backgrounds.values()
    edges, times = (axis.edges for axis in measurement.response.axes)
    off = np.histogram(events[events[:, 1] < times[-1], 0], edges)[0].astype(float)
    in_time = -np.diff(np.exp(-0.0494 * times))
    rows = np.kron(np.eye(len(off)), in_time / in_time.sum()) * 1286 / off.sum()

    def deviance(counts, mu):
        if np.any(mu <= 0):
            return 1e9
        return 2 * np.sum(mu - counts + counts * np.log(np.where(counts > 0, counts, mu) / mu))

    def chi2(x):
        (s, b, i, total), tau = x[:4], x[4:]
        mu = (1 + s) * signal + (1 + b) * brn + (1 + i) * nin + (1 + total) * (tau @ rows)
        pulls = (b / 0.25) ** 2 + (i / 0.35) ** 2 + (total / 0.021) ** 2
        return deviance(n, mu) + deviance(off, tau) + pulls

    def lowest_at(signal_factor=None):
        minuit = Minuit(chi2, np.array([0.0, 0.0, 0.0, 0.0, *off]))
        minuit.limits = [(-1, None)] * 4 + [(1e-3, None)] * len(off)
        if signal_factor is not None:
            minuit.values[0], minuit.fixed[0] = signal_factor - 1, True
        minuit.errordef, minuit.strategy, minuit.tol = 1.0, 2, 1e-4
        minuit.migrad()
        minuit.hesse()
        return minuit

    return lowest_at, rows


def test_anti_coincident_counts_against_minuit(measured, coherent_data):
    """Chi^2, counts, their errors and the significance, of the real data, by a likelihood that stands in this file."""
    measurement = measured("csi", off_counts="fitted")
    table = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    events = np.loadtxt(locate(dataset("coherent-csi-2021").release, coherent_data)["dataBeamOnAC.txt"])
    lowest_at, rows = written_out_with_anti_coincident_counts(measurement, events)
    best, nothing, predicted = lowest_at(), lowest_at(0.0), lowest_at(1.0)
    assert table["chi2"][0] == pytest.approx(best.fval, abs=1e-5)
    assert table["significance_sigma"][0] == pytest.approx(np.sqrt(nothing.fval - best.fval), abs=1e-5)
    total, covariance = measurement.response.counts().sum(), np.array(best.covariance)
    assert table["cevns_counts"][0] == pytest.approx(total * (1 + best.values[0]), abs=0.01)
    assert table["cevns_counts"][1] == pytest.approx(total * np.sqrt(covariance[0, 0]), rel=2e-3)
    values = np.array(best.values)
    steady = (1 + values[3]) * (values[4:] @ rows).sum()
    slopes = np.array([0, 0, 0, (values[4:] @ rows).sum(), *((1 + values[3]) * rows.sum(axis=1))])
    assert table["steady_state_counts"][0] == pytest.approx(steady, abs=0.02)
    assert table["steady_state_counts"][1] == pytest.approx(np.sqrt(slopes @ covariance @ slopes), rel=2e-3)
    # A prior on the signal adds its pull alone: none at the prediction.
    at_prediction = measurement.likelihood.with_widths({measurement.parameter(SIGNAL): 0.0}).restricted([])
    assert at_prediction.minimised(np.zeros((1, 0))).chi2[0] == pytest.approx(predicted.fval, abs=1e-5)


@pytest.mark.parametrize("nuisances", BOTH)
def test_own_minimiser_with_anti_coincident_counts(nuisances, measured):
    assert_minimisers_agree(measured("csi", ("cevns",), nuisances, off_counts="fitted"), POINTS["q_ee"])


@pytest.mark.parametrize("nuisances", BOTH)
@pytest.mark.parametrize(
    ("name", "channels"), [("csi", ("cevns", "electron")), ("csi", ("cevns",)), ("lar", ("cevns",))]
)
def test_components_and_the_score_of_a_free_normalisation(name, channels, nuisances, fluctuated):
    """At the minimum over a free normalisation, sum of S (1 - n/mu) vanishes; rows and components are the same."""
    measurement = fluctuated(name, channels, nuisances)
    fit = standard_model_fit(measurement)
    result = {row: value for row, value, _ in fit.parameters}
    assert list(fit.components) == [*channels, *measurement.response.backgrounds]
    for component, counts in fit.components.items():
        assert counts.shape == measurement.observed.shape
        if OFFSET not in result or component in channels:
            assert counts.sum() == pytest.approx(result[f"{component}_counts"], rel=1e-9, abs=1e-12)
    mu = sum(fit.components.values())
    signal = sum(fit.components[channel] for channel in channels)
    score = signal * (1 - np.divide(measurement.observed, mu, out=np.ones_like(mu), where=mu > 0))
    error = {row: error for row, _, error in fit.parameters}["cevns_counts"]
    assert abs(score.sum()) < 2e-3 * result["cevns_counts"] / error
    ratio = np.divide(measurement.observed, mu, out=np.ones_like(mu), where=measurement.observed > 0)
    deviance = 2 * np.sum(
        mu - measurement.observed + measurement.observed * np.log(np.where(measurement.observed > 0, ratio, 1.0))
    )
    assert deviance <= result["chi2"] + 1e-6
    assert 0 <= result["p_value"] <= 1


def test_shapes_are_nominal_and_the_signal_free(invented):
    measurement = invented("csi", ("cevns",), "shape")
    widths = {
        parameter.name.split(".")[1]: parameter.width
        for parameter in free_signal(measurement.setup.name, measurement.likelihood, measurement.response).parameters
    }
    assert widths[SIGNAL] == widths[OFFSET] == np.inf
    assert {name for name, width in widths.items() if width == 0} == {
        "efficiency", "quenching_0", "quenching_1", "neutron_radius",
    }  # fmt: skip
    assert {name: widths[name] for name in measurement.response.backgrounds} == {
        name: width for name, width in widths_of(measurement).items() if name != SIGNAL
    }


@pytest.mark.parametrize("name", ["csi", "lar"])
def test_a_perfect_fit(name, invented):
    """Asimov data: the prediction itself, with chi^2 zero, which every toy exceeds."""
    measurement = invented(name, ("cevns",), "shape", "asimov")
    fitted = {row: value for row, value, _ in standard_model_fit(measurement).parameters}
    assert fitted["chi2"] == pytest.approx(0.0, abs=1e-6)
    assert fitted["cevns_counts"] == pytest.approx(fitted["cevns_predicted"], rel=1e-3)
    assert fitted["p_value"] == 1.0
    if name == "csi":
        assert fitted[OFFSET] == pytest.approx(0.0, abs=1e-3)


def test_the_p_value_counts_toys_that_are_worse(fluctuated):
    """Against toys that Minuit fits."""
    measurement = fluctuated("csi")
    fitted = {row: value for row, value, _ in standard_model_fit(measurement).parameters}
    fit = by_minuit(measurement)
    rows = np.array([measurement.response.counts(), *measurement.response.backgrounds.values()])
    mu = (1 + np.array(fit.values)) @ rows
    rng = np.random.default_rng(99)
    likelihood = free_signal(measurement.setup.name, measurement.likelihood, measurement.response).restricted([])
    toys = rng.poisson(mu, (40, len(mu))).astype(float)
    experiments = likelihood.observation_of([toys], likelihood.observation.off, likelihood.observation.centres)
    refitted = likelihood.minimised(np.zeros((40, 0)), observation=experiments).chi2
    larger = 0
    for toy, chi2 in zip(toys, refitted, strict=True):
        theirs = by_minuit(replace(measurement, observed=toy)).fval
        assert chi2 == pytest.approx(theirs, abs=1e-5)
        larger += theirs > fit.fval
    expected = fitted["p_value"]
    assert abs(larger / 40 - expected) < 4 * np.sqrt((expected * (1 - expected) + 0.01) / 40)


@pytest.mark.parametrize("nuisances", BOTH)
def test_no_signal_is_negative(nuisances, fluctuated):
    """Data with less than the backgrounds where the signal would be: no CEvNS, and none significant."""
    measurement = fluctuated("csi", ("cevns",), nuisances)
    observed = np.floor(
        measurement.response.background * (1 - measurement.response.counts() / measurement.response.counts().max() / 2)
    )
    measurement = with_counts(measurement, observed)
    fitted = {row: value for row, value, _ in standard_model_fit(measurement).parameters}
    assert fitted["cevns_counts"] == pytest.approx(0.0, abs=1e-3)
    assert fitted["significance_sigma"] == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("nuisances", BOTH)
@pytest.mark.parametrize("name", ["csi", "lar"])
def test_data_that_nothing_describes_are_fitted_too(name, nuisances, invented):
    """The synthetic releases' own events: half the backgrounds that are expected."""
    measurement = invented(name, ("cevns",), nuisances)
    likelihood = measurement.likelihood.restricted([])
    minimum = likelihood.minimised(np.zeros((1, 0)))
    values = {p.name: p.centre + p.unit * pull for p, pull in zip(likelihood.parameters, minimum.pulls[0], strict=True)}
    assert objective(likelihood, {}, values) == pytest.approx(minimum.chi2[0], rel=1e-9)
    assert minimum.chi2[0] <= lowest(likelihood, random=0).chi2 + 1e-6


# The real files.


def test_cesium_iodide_with_normalisations(measured):
    fitted = {row: (value, error) for row, value, error in standard_model_fit(measured("csi")).parameters}
    assert fitted["cevns_counts"] == pytest.approx((310.5, 31.8), abs=0.2)
    assert fitted["chi2"][0] == pytest.approx(84.2, abs=0.15)
    assert fitted["bins"][0] == 99


def test_cesium_iodide_with_anti_coincident_counts(measured):
    """What an independent analysis of the released files has."""
    measurement = measured("csi", off_counts="fitted")
    table = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    assert table["cevns_counts"] == pytest.approx((313, 35), abs=0.5)
    assert table["significance_sigma"][0] == pytest.approx(9.84, abs=0.01)
    upper = {
        off_counts: interval(Chi2.of(measured("csi", off_counts=off_counts).likelihood, ["q_ee"]), 0.9).segments[0][1]
        for off_counts in ("exact", "fitted")
    }
    assert upper["exact"] == pytest.approx(51.7e-9, abs=0.1e-9)
    assert upper["fitted"] == pytest.approx(63.8e-9, abs=0.1e-9)


def test_the_page_says_what_anti_coincident_counts_do(measured, pytestconfig):
    """Every row of the table in docs/coherent.md."""
    cells = {off_counts: off_counts_column(measured, off_counts) for off_counts in ("exact", "fitted")}
    page = (pytestconfig.rootpath / "docs" / "coherent.md").read_text(encoding="utf-8").splitlines()
    for row, exact in cells["exact"].items():
        assert f"| {row} | {exact} | {cells['fitted'][row]} |" in page


def off_counts_column(measured, off_counts):
    """Counts, chi^2, significance and limits of CsI as the page has them, by row."""
    table = {row: (v, e) for row, v, e in standard_model_fit(measured("csi", off_counts=off_counts)).parameters}
    column = {
        "CEvNS counts": "{:.0f} ± {:.0f}".format(*table["cevns_counts"]),
        "steady-state counts": "{:.0f} ± {:.0f}".format(*table["steady_state_counts"]),
        "χ², 99 bins and the anti-coincident counts": f"{table['chi2'][0]:.1f}",
        "significance (sigma)": f"{table['significance_sigma'][0]:.2f}",
    }
    for channels, words, unit, digits in (
        (("cevns",), "", "1e-9", 1),
        (("cevns", "electron"), ", electrons", "1e-10", 2),
    ):
        likelihood = measured("csi", channels, off_counts=off_counts).likelihood
        for charge in ("q_ee", "q_mumu"):
            pieces = np.array(interval(Chi2.of(likelihood, [charge]), 0.9).segments) / float(unit)
            text = " or ".join(f"[{low:.{digits}f}, {high:.{digits}f}]" for low, high in pieces)
            column[f"{charge}{words} ({unit} e)"] = text
    return column


def test_cesium_iodide_with_shapes(measured):
    measurement = measured("csi", ("cevns",), "shape")
    fitted = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    assert fitted["cevns_counts"] == pytest.approx((311, 32), abs=0.6)
    assert fitted[OFFSET] == pytest.approx((0.074, 0.039), abs=1e-3)
    assert fitted["chi2"][0] == pytest.approx(80.8, abs=0.06)
    assert fitted["significance_sigma"][0] == pytest.approx(11.60, abs=0.01)
    assert fitted["significance_sigma"][0] ** 2 == pytest.approx(134.6, abs=0.1)


def test_liquid_argon(measured):
    measurement = measured("lar")
    result = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    assert result["cevns_counts"][0] == pytest.approx(160.3, abs=0.15)
    assert result["cevns_counts"][1] == pytest.approx(42.4, rel=5e-3)
    assert result["brn_counts"] == pytest.approx((552, 34), abs=0.6)
    assert result["delayed_brn_counts"][0] == pytest.approx(10.5, abs=0.06)
    assert result["steady_state_counts"][0] == pytest.approx(3131, abs=0.6)
    assert result["chi2"][0] == pytest.approx(1067, abs=0.6)
    assert result["significance_sigma"][0] ** 2 == pytest.approx(15.0, abs=0.06)
    assert result["cevns_predicted"] == pytest.approx((128, 17), abs=1e-3)
    assert result["cevns_calculated"][0] == pytest.approx(119.4, rel=0.01)


LAR_BACKGROUNDS = {"brnpdf.txt": 160 / 497, "delbrnpdf.txt": 1.0, "bkgpdf.txt": 25 / 3154}
LAR_SHAPES = {
    "cevns_f90": ("cevnspdf.txt", "cevnspdf+1sigF90.txt", "cevnspdf-1sigF90.txt"),
    "cevns_time": ("cevnspdf.txt", "cevnspdfCEvNSTimingMeanSyst.txt", None),
    "brn_energy": ("brnpdf.txt", "brnpdf+1sigEnergy.txt", "brnpdf-1sigEnergy.txt"),
    "brn_time": ("brnpdf.txt", "brnpdf+1sigBRNTimingMean.txt", "brnpdf-1sigBRNTimingMean.txt"),
    "brn_width": ("brnpdf.txt", "brnpdfBRNTimingWidthSyst.txt", None),
}


def argon_written_out(files):
    """Minuit on a likelihood of the released templates: fitted(names of pulls, fixed) gives the fit.

    x (up - down)/2 + x^2 ((up + down)/2 - nominal) is what a pull adds to its template.
    """
    cubes = {name: np.loadtxt(files[name])[:, -1] for name in (*LAR_BACKGROUNDS, "cevnspdf.txt")}
    bends = {}
    for name, (nominal, up, down) in LAR_SHAPES.items():
        high = np.loadtxt(files[up])[:, -1]
        low = 2 * cubes[nominal] - high if down is None else np.loadtxt(files[down])[:, -1]
        bends[name] = (high - low) / 2, (high + low) / 2 - cubes[nominal]
    n = np.loadtxt(files["datanobkgsub.txt"])[:, -1]

    def counts(template, values):
        total = cubes[template].copy()
        for name, (nominal, _, _) in LAR_SHAPES.items():
            if nominal == template and name in values:
                total = total + values[name] * bends[name][0] + values[name] ** 2 * bends[name][1]
        return total * (1 + values[template])

    def fitted(pulls, **fixed):
        names = ["cevnspdf.txt", *LAR_BACKGROUNDS, *pulls]

        def chi2(x):
            values = dict(zip(names, x, strict=True))
            mu = sum(counts(template, values) for template in cubes)
            if np.any((mu <= 0) & (n > 0)):
                return 1e9
            logs = np.where(n > 0, n * np.log(np.where(n > 0, n, 1) / np.where(n > 0, mu, 1)), 0.0)
            priors = [(values[name] / width) ** 2 for name, width in LAR_BACKGROUNDS.items()]
            return 2 * np.sum(mu - n + logs) + sum(priors) + sum(values[name] ** 2 for name in pulls)

        minuit = Minuit(chi2, np.zeros(len(names)))
        minuit.limits = [(-1, None)] * 4 + [(-5, 5)] * len(pulls)
        for name, value in fixed.items():
            minuit.values[names.index(name)], minuit.fixed[names.index(name)] = value, True
        minuit.errordef, minuit.strategy, minuit.tol = 1.0, 2, 1e-3
        minuit.migrad()
        minuit.hesse()
        values = dict(zip(names, minuit.values, strict=True))
        step = 1e-5
        rows = []
        for name in names:
            up, down = ({**values, name: values[name] + sign * step} for sign in (1, -1))
            rows.append([(counts(t, up).sum() - counts(t, down).sum()) / (2 * step) for t in cubes])
        covariance = np.array(minuit.covariance) if minuit.covariance is not None else None
        totals = {t: counts(t, values).sum() for t in cubes}
        return minuit.fval, values, totals, covariance, dict(zip(cubes, np.array(rows).T, strict=True))

    return fitted


def test_liquid_argon_with_shapes(measured, coherent_data):
    """By the released files alone; the neutrons' nominal width in time is wrong."""
    fitted = argon_written_out(locate(dataset("coherent-lar-2020").release, coherent_data))
    measurement = measured("lar", ("cevns",), "shape")
    result = {row: (value, error) for row, value, error in standard_model_fit(measurement).parameters}
    chi2, _, totals, covariance, slopes = fitted(LAR_SHAPES)
    without = fitted(LAR_SHAPES, **{"cevnspdf.txt": -1.0})[0]
    assert result["chi2"][0] == pytest.approx(chi2, abs=2e-3)
    assert result["chi2"][0] == pytest.approx(1027.61, abs=0.01)
    assert result["significance_sigma"][0] == pytest.approx(np.sqrt(without - chi2), abs=1e-3)
    assert result["significance_sigma"][0] == pytest.approx(3.794, abs=1e-3)
    rows = {"cevns_counts": "cevnspdf.txt", "brn_counts": "brnpdf.txt", "delayed_brn_counts": "delbrnpdf.txt"}
    for row, template in {**rows, "steady_state_counts": "bkgpdf.txt"}.items():
        error = np.sqrt(slopes[template] @ covariance @ slopes[template])
        assert result[row][0] == pytest.approx(totals[template], abs=0.01 * error)
        assert result[row][1] == pytest.approx(error, rel=1e-2)
    nominal, (width, values, *_) = fitted([])[0], fitted(["brn_width"])
    assert width - nominal == pytest.approx(-38.05, abs=0.01)
    assert values["brn_width"] == pytest.approx(0.996, abs=2e-3)
