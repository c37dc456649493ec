"""Expected limits of a study: of detectors, combinations and scans, in tables, on the screen and in figures."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.errors import StudyError
from cevnslab.figures.catalogue import draw, figure_specs
from cevnslab.reports.tables import result_text
from cevnslab.results import TABLES

GERMANIUM = {"preset": "ess-ge", "name": "germanium", "bins": 4}
XENON = {"preset": "ess-xe", "name": "xenon", "bins": 4}
KEYS = {
    "name": "expected",
    "source": "ess",
    "exposure_years": 1,
    "couplings": ["q_ee", "cevns_strength"],
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "statistic": "poisson",
    "bands": {"toys": 400, "seed": 2},
    "detectors": [{**GERMANIUM, "observed": [3934, 3588, 3482, 3441]}, XENON],
    "combinations": [{"name": "both", "detectors": ["germanium", "xenon"], "signal": "correlated"}],
    "scans": [{"name": "mass", "key": "detectors.xenon.mass_kg", "values": [10, 40]}],
}


@pytest.fixture(scope="module")
def result():
    return cl.study_from_dict(KEYS).run()


def test_every_limit_has_two_ends_with_bands(result):
    assert [(b.detector, b.coupling, b.end) for b in result.bands] == [
        (detector, coupling, end)
        for detector in ("germanium", "xenon", "both")
        for coupling in ("q_ee", "cevns_strength")
        for end in ("lower", "upper")
    ]
    for band in result.bands:
        assert band.low_95 < band.low_68 < band.median < band.high_68 < band.high_95
        assert 0 <= band.disjoint_share < 1
        assert (band.toys, band.seed) == (400, 2)


def test_the_median_is_near_the_asimov_limit(result):
    """Of a strength, whose chi^2 is nearly a parabola, with many counts."""
    limit = result.limit("xenon", "cevns_strength").segments[0]
    for band, end in zip(
        (b for b in result.bands if b.detector == "xenon" and b.coupling != "q_ee"), limit, strict=True
    ):
        assert band.median == pytest.approx(end, abs=4 * (band.high_68 - band.low_68) / np.sqrt(400))


def test_a_prior_that_alone_constrains_a_coupling_has_its_bands():
    """Its centre is a measurement elsewhere, which fluctuates: ends at 90 % are 1.645 widths from it, +- 1 width."""
    width = 1e-9
    keys = {
        **KEYS,
        "couplings": ["q_ee"],
        "exposure_years": 1e-6,
        "priors": {"q_ee": {"centre": 0, "width": width}},
        "detectors": [{**XENON, "background_ckkd": 1e7}],
        "combinations": [],
        "scans": [],
    }
    for band, sign in zip(cl.study_from_dict(keys).run().bands, (-1, 1), strict=True):
        values = np.array([band.low_95, band.low_68, band.median, band.high_68, band.high_95]) / width
        assert values == pytest.approx(1.6449 * sign + np.array([-1.96, -1, 0, 1, 1.96]), abs=0.3)


def test_bands_of_a_detector_know_nothing_of_its_company(result):
    alone = cl.study_from_dict({**KEYS, "detectors": [XENON], "combinations": [], "scans": []}).run()
    assert alone.bands == tuple(band for band in result.bands if band.detector == "xenon")


def test_scanned_values_have_bands(result):
    lower = [
        b
        for b in result.scan_bands
        if (b.band.detector, b.band.coupling) == ("xenon", "q_ee") and b.band.end == "lower"
    ]
    assert [b.value for b in lower] == [10, 40]
    assert {b.band.detector for b in result.scan_bands} == {"xenon", "both"}
    widths = [b.band.high_68 - b.band.low_68 for b in lower]
    assert widths[1] < widths[0]


def test_tables(result, tmp_path):
    folder = result.save(tmp_path)
    with (folder / "bands.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        *("detector", "channels", "statistic", "coupling", "confidence_level", "end", "median", "low_68", "high_68"),
        *("low_95", "high_95", "disjoint_share", "toys", "seed"),
    ]
    assert [float(row["median"]) for row in rows] == [band.median for band in result.bands]
    with (folder / "scan_bands.csv").open() as file:
        assert next(csv.reader(file)) == ["scan", "key", "value", *rows[0]]
    loaded = cl.load_result(folder)
    assert (loaded.bands, loaded.scan_bands) == (result.bands, result.scan_bands)
    assert {"bands.png", "scan-mass.png"} <= {path.name for path in (folder / "figures").iterdir()}
    assert set(TABLES) >= {"bands", "scan_bands"}


def test_they_are_shown_beside_the_observed_limit(result):
    text = result_text(result)
    assert "From 400 pseudo-experiments of the Standard Model a limit, seed 2." in text
    assert "median" in text
    (figure,) = (spec for spec in figure_specs(result) if spec.name == "bands")
    labels = draw(result, figure).axes[0].get_legend_handles_labels()[1]
    assert labels == ["observed", "expected, 95 %", "expected, 68 %", "expected, median"]


def test_a_scan_of_one_detector_has_its_bands_behind_it(result):
    panel = {"scan": "mass", "coupling": "q_ee", "detectors": ["xenon"]}
    labels = draw(result, {"panels": [panel]}).axes[0].get_legend_handles_labels()[1]
    assert "expected, 68 %" in labels
    both = draw(result, {"panels": [{**panel, "detectors": ["xenon", "both"]}]}).axes[0].get_legend_handles_labels()[1]
    assert "expected, 68 %" not in both


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": {"toys": 399}}, r"bands\.toys: must be at least 400, got 399"),
        ({"bands": {"toys": 400, "seed": -1}}, r"bands\.seed: must be at least 0, got -1"),
        ({"bands": {"toy": 400}}, r"bands\.toy.*did you mean 'toys'"),
        ({"intervals": {"method": "feldman-cousins"}}, "bands: expected limits are those of delta-chi2"),
        ({"bands": None, "figures": [{"name": "f", "panels": [{"bands": "q_ee"}]}]}, "simulated with the study's key"),
        ({"figures": [{"name": "f", "panels": [{"bands": "q_e"}]}]}, r"figures\.f\.panels\.1\.bands: 'q_e' is no"),
    ],
    ids=str,
)
def test_what_is_refused(change, message):
    with pytest.raises(StudyError, match=message):
        cl.study_from_dict({**KEYS, **change})
