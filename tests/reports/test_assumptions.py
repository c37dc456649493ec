"""What a study takes for granted is said where its limits are."""

from __future__ import annotations

import pytest

import cevnslab as cl
from cevnslab.reports.assumptions import assumptions

XENON = {
    "name": "xe",
    "target": "Xe",
    "mass_kg": 1000,
    "threshold_kev": 1.0,
    "maximum_kev": 4.0,
    "bins": 3,
    "resolution": "none",
    "efficiency": 1.0,
    "background_ckkd": 1e-4,
}
ORDERED = {"preset": "supernova", "ordering": "normal"}


def study(source, *couplings):
    keys = {
        "name": "assuming",
        "source": source,
        "couplings": list(couplings),
        "uncertainties": {"signal": 0.05, "background": 0.02},
        "detectors": [XENON],
    }
    burst = source == "supernova" or source == ORDERED
    return keys if burst else {**keys, "exposure_years": 1}


@pytest.mark.parametrize(
    ("source", "couplings", "words"),
    [
        ("solar-8b", ["eps_emu_u"], ["Sun's own matter"]),
        ("solar-8b", ["q_ee", "mu_nu"], []),
        ({"preset": "solar-8b", "flux": "b16-gs98"}, ["mu_e"], ["mu_e", "diagonal in flavour"]),
        ("supernova", ["mu_e", "eps_ee_u"], []),
        (ORDERED, ["q_ee"], ["adiabatic"]),
        (ORDERED, ["mu_tau"], ["adiabatic", "mu_tau"]),
    ],
)
def test_what_is_said(source, couplings, words):
    sentences = " ".join(assumptions(cl.study_from_dict(study(source, *couplings)).as_dict()))
    assert all(word in sentences for word in words)
    assert bool(sentences) == bool(words)


def test_it_stands_beside_the_limits(command, write_study, tmp_path):
    path = write_study(study("solar-8b", "eps_emu_u"))
    for arguments in (("check", path), ("run", path, "-o", tmp_path)):
        ran = command(*arguments)
        assert (ran.status, ran.err) == (0, "")
        assert "Non-standard interactions in the Sun's own matter are neglected" in " ".join(ran.out.split())
    ran = command("report", tmp_path / "assuming")
    assert (ran.status, ran.err) == (0, "")
    (page,) = tmp_path.rglob("*.html")
    assert "own matter are neglected" in page.read_text(encoding="utf-8")
