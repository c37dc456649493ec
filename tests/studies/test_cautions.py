"""What is said before the numbers are trusted: percentages given as shares, few counts in an off-beam run."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import cevnslab as cl
from cevnslab.studies.cautions import cautions

DOCS = Path(__file__).resolve().parents[2] / "docs"
BACKGROUND = {"name": "neutrons", "counts": [180, 90, 40, 20], "uncertainty": 0.3}
DETECTOR = {"preset": "ess-ge", "name": "germanium", "bins": 4, "observed": [4364, 3533, 3272, 3227]}
KEYS = {
    "name": "cautious",
    "source": "ess",
    "exposure_years": 1,
    "couplings": ["cevns_strength"],
    "uncertainties": {"signal": 0.10},
    "detectors": [{**DETECTOR, "backgrounds": [BACKGROUND]}],
}


def with_background(**change):
    return {"detectors": [{**DETECTOR, "backgrounds": [{**BACKGROUND, **change}]}]}


WIDE = {
    "a background": (with_background(uncertainty=10), "detectors.germanium.backgrounds.neutrons.uncertainty: 10"),
    "the signal": ({"uncertainties": {"signal": 10}}, "uncertainties.signal: 10"),
    "a systematic": ({"systematics": [{"name": "x", "on": "neutrons", "width": 10}]}, "systematics.x.width: 10"),
    "a scale of energy": (
        {"systematics": [{"name": "x", "on": "cevns", "kind": "energy_scale", "width": 10}]}, "systematics.x.width: 10",
    ),
    "a data set": (
        {"detectors": [{"preset": "coherent-csi-2021", "uncertainties": {"signal": 10}}]},
        "detectors.coherent-csi-2021.uncertainties.signal: 10",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WIDE)
def test_a_percentage_is_pointed_out(case):
    change, start = WIDE[case]
    (text,) = cautions(cl.study_from_dict({**KEYS, **change}))
    assert text == f"{start} is relative, 1000 %; 10 % is 0.1"


@pytest.mark.parametrize("width", [0, 0.3, 1.0])
def test_widths_that_can_be_meant(width):
    assert not cautions(cl.study_from_dict({**KEYS, **with_background(uncertainty=width)}))


def test_a_threshold_is_no_share():
    systematic = {"name": "x", "on": "cevns", "kind": "threshold", "width": 1.5}
    assert not cautions(cl.study_from_dict({**KEYS, "systematics": [systematic]}))


@pytest.mark.parametrize(("off", "message"), [([6, 5, 4, 5], True), ([60, 50, 40, 50], False), ([6, 6, 6, 6], False)])
def test_few_counts_off_beam_name_feldman_cousins(off, message, tmp_path):
    (tmp_path / "off.dat").write_text("\n".join(map(str, off)) + "\n", encoding="utf-8")
    backgrounds = [{"name": "steady", "off": {"file": "off.dat", "ratio": 0.2}}]
    keys = {**KEYS, "detectors": [{**DETECTOR, "backgrounds": backgrounds}]}
    texts = cautions(cl.study_from_dict(keys, base=tmp_path))
    assert [("feldman-cousins" in text, "steady has 5 counts a bin in 4 bins" in text) for text in texts] == (
        [(True, True)] * message
    )


def test_check_warns_and_run_notes(command, write_study, tmp_path):
    path = write_study({**KEYS, **with_background(uncertainty=10)})
    checked = command("check", path)
    assert (checked.status, checked.out.count("  warning: detectors.germanium.backgrounds")) == (0, 1)
    assert "backgrounds in counts: neutrons 330 (1000 %)" in checked.out
    assert "counts expected: CEvNS 1292, background 330, S/B 3.91; observed 14396" in checked.out
    ran = command("run", path, "-o", tmp_path)
    assert "Note: detectors.germanium.backgrounds.neutrons.uncertainty: 10 is relative" in ran.out.replace("\n", " ")


# the table of docs/coverage.md ----------------------------------------------------------------------------------------


def best_chi2(on, off, ratio, signal):
    """chi^2 of every toy (toys, bins) with the best expectation of every off-count: a quadratic equation a bin."""
    linear = (1 + ratio) * signal - ratio * (on + off)
    tau = (-linear + np.sqrt(linear**2 + 4 * ratio * (1 + ratio) * off * signal)) / (2 * ratio * (1 + ratio))
    expected = signal + ratio * tau
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(on > 0, on * np.log(expected / on), 0.0), np.where(off > 0, off * np.log(tau / off), 0.0)
    return 2 * np.sum(expected - on - terms[0] + tau - off - terms[1], axis=1)


@pytest.mark.parametrize(
    ("background", "bins", "ratio", "signal"), [(0.5, 20, 1.0, 1.0), (1.0, 20, 0.2, 0.3), (0.2, 1, 1.0, 1.0)]
)
def test_the_table_of_coverage_by_a_second_route(background, bins, ratio, signal):
    """chi^2 in closed form on a fine grid of the signal."""
    rng, toys, true = np.random.default_rng(7), 4000, background * signal
    on = rng.poisson(background + true, (toys, bins)).astype(float)
    off = rng.poisson(background / ratio, (toys, bins)).astype(float)
    grid = np.concatenate([[0.0], np.geomspace(1e-3, 1.2 * on.mean(axis=1).max() + 1, 300)])
    lowest = np.min([best_chi2(on, off, ratio, value) for value in [*grid, true]], axis=0)
    covered = np.mean(best_chi2(on, off, ratio, true) - lowest <= 2.70554)
    with (DOCS / "data" / "off_beam_coverage.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cell = [str(background), str(bins), str(ratio), str(signal)]
    (row,) = (row for row in rows if list(row.values())[:4] == cell)
    published = float(row["coverage"])
    error = np.hypot(float(row["error"]), np.sqrt(published * (1 - published) / toys))
    assert covered == pytest.approx(published, abs=4 * error + 1e-3)
