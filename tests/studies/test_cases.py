"""Small study files that went wrong in other hands: each is refused in one message, or gives the right numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

import cevnslab as cl

CASES = Path(__file__).parent / "cases"

REFUSED = {
    "alias-bomb": ["line 6", "aliases expand"],
    "boolword": ["line 3", "true or false", "'maybe'"],
    "date-for-a-number": ["exposure_years", "a number", "'2001-99-99'"],
    "devzero": ["plugins.1", "/dev/zero"],
    "distance-tiny": ["detectors.ess-ge.distance_m", "at least 0.001", "1e-300"],
    "intword": ["line 3", "whole number", "'abc'"],
    "label-escapes": ["line 7", "control characters", r"\x1b[31m"],
    "maximum-1e18-toys": ["detectors.ess-ge.maximum_kev", "at most 1e+06", "1e+18"],
    "nul": ["line 8", "control characters"],
    "poisson-background-1e290": ["detectors.g.background_ckkd_ee", "at most 1e+09", "1e+290"],
    "resolution-at-huge": ["detectors.ess-ge.resolution.at_kev", "at most 1e+06", "1000000000000"],
    "scan-threshold-1e-30": ["scans.t.key", "detectors.ess-ge.threshold_kev = 1e-30", "at least 1e-06"],
    "sigma-kevee-1e30": ["detectors.lind.resolution.sigma_kevee", "at most 1e+06", "1e+30"],
    "sigma-tiny": ["detectors.ess-ge.resolution.sigma_kev", "at least 1e-06", "1e-10"],
    "signal-1e-200": ["uncertainties.signal", "0, which fixes it, or at least 1e-09", "1e-200"],
    "source-type": ["source.type", "pion-decay-at-rest", "a list"],
    "target-parentheses": ["detectors.ess-ge.target", "no chemical formula"],
    "xs-from-1e-300": ["cross_sections.1.recoil_from_kev", "at least 1e-06", "1e-300"],
}
"""What the message must hold."""

ACCEPTED = ("byte-order-mark", "invalid-date", "isotope", "merge-alias", "valid-date")


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_message(case, verb, command, tmp_path):
    output = tmp_path / "out"
    ran = command(verb, CASES / f"{case}.yaml", *(["-o", output] if verb == "run" else []))
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith("cevnslab: ")
    *message, _ = ran.err.splitlines()  # a plugin is announced before it is read
    assert all(line.startswith("cevnslab: runs the plugin ") for line in message)
    assert "".join(ran.err.splitlines()).isprintable()
    assert "Warning" not in ran.err
    assert len(ran.err) < 500 + len(str(CASES))
    assert all(word in ran.err for word in [f"{case}.yaml", *REFUSED[case]]), ran.err
    assert not output.exists()


def test_every_case_is_here():
    assert {path.stem for path in CASES.glob("*.yaml")} == {*REFUSED, *ACCEPTED}


def test_dates_are_words():
    for case, name in (("valid-date", "2024-01-01"), ("invalid-date", "2024-02-30")):
        assert cl.load_study(CASES / f"{case}.yaml").name == name


def test_a_merged_key_that_is_overridden_and_used_by_alias():
    file = cl.load_study(CASES / "merge-alias.yaml").file
    for uncertainties in (file.uncertainties, file.detectors[0].uncertainties):
        assert (uncertainties.signal, uncertainties.background) == (0.10, 0.01)


def test_a_byte_order_mark_is_no_part_of_a_table():
    study = cl.load_study(CASES / "byte-order-mark.yaml")
    assert study.setups[0].detector.efficiency.energy_kev[0] == 0


def test_an_isotope_is_not_as_many_atoms_of_the_element():
    natural, enriched = (setup.detector.target for setup in cl.load_study(CASES / "isotope.yaml").setups)
    assert natural.constituents[0].nucleus.neutron_number == pytest.approx(40.63)
    assert enriched.constituents[0].nucleus.neutron_number == 44
