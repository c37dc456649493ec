"""Reactors and tabulated spectra: in studies, in Python, and every file that is none."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import yaml
from scipy.integrate import quad
from support import REMOVED, changed, near, perfect

import cevnslab as cl
from cevnslab.physics.cross_sections import differential
from cevnslab.physics.sources import ANTI_NU_MU_SPECTRUM, NU_E_SPECTRUM, Reactor, TabulatedSource

FUEL = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}
REACTOR = {
    "name": "plant",
    "type": "reactor",
    "thermal_power_gw": 2.9,
    "fission_fractions": FUEL,
    "hours_per_year": 8000,
    "duty_factor": 0.9,
}
LOW_THRESHOLD = {
    "detectors.0.threshold_kev": 0.1,
    "detectors.0.maximum_kev": 1.5,
    "detectors.0.resolution": {"sigma_kev": 0.01, "at_kev": 0.1},
}
AT_REACTOR = changed({"source": REACTOR, **LOW_THRESHOLD})
TABULATED = {
    "name": "beam",
    "type": "tabulated",
    "file": "flux.txt",
    "reference_distance_m": 20.0,
    "hours_per_year": 5000,
    "duty_factor": 0.04,
}
ROWS = "energy_mev nu_e anti_nu_mu\n1 0 2\n20 30 10\n# a comment\n50 0 5\n"


def write(tmp_path, text=ROWS, name="flux.txt"):
    (tmp_path / name).write_text(text, encoding="utf-8")


def test_a_reactor_in_a_study_is_the_one_in_python(tmp_path):
    study = cl.study_from_dict(AT_REACTOR)
    source = study.setups[0].source
    assert source == Reactor("plant", 2.9, FUEL, 8000, 0.9)
    (tmp_path / "plant.yaml").write_text(yaml.safe_dump(REACTOR), encoding="utf-8")
    loaded = cl.load_source(tmp_path / "plant.yaml")
    assert loaded == source
    counts = cl.response(loaded, study.setups[0].detector, couplings=["q_ee"], years=3).counts(q_ee=1e-12)
    assert study.setups[0].response.counts(q_ee=1e-12) == near(counts, 1e-13)


def integrated(source, detector, values):
    """Counts in the first bin of a perfect detector: over recoils inside, over neutrino energies outside."""
    low, high = detector.bin_edges_kev[:2]
    material = detector.target
    (nucleus,) = (constituent.nucleus for constituent in material.constituents)
    total = 0.0
    for component in source.components:
        spectrum = component.spectrum

        def recoils(energy, component=component):
            options = {"couplings": values, "incoming": component.flavour, "antineutrino": component.antineutrino}

            def at(recoil):
                return float(differential("cevns", recoil, energy, material, **options))

            top = min(high, nucleus.maximum_recoil_kev(energy))
            return quad(at, low, top, epsabs=0, epsrel=1e-10)[0] if top > low else 0.0

        def integrand(energy, density=spectrum.density_per_mev, recoils=recoils):
            return float(density(energy)) * recoils(energy)

        opens = [np.sqrt(nucleus.mass_mev * edge * 1e-3 / 2) for edge in (low, high)]
        borders = sorted({*spectrum.kinks_mev, *opens, spectrum.maximum_energy_mev})
        for start, stop in itertools.pairwise(border for border in borders if border >= opens[0]):
            inside = 1e-12 * (stop - start)  # a spectrum may jump at its kinks
            part = quad(integrand, start + inside, stop - inside, epsabs=0, epsrel=1e-8)[0]
            total += part * component.yield_per_primary
    kilograms = detector.mass_kg * material.nuclei_per_kg(material.constituents[0])
    return total * kilograms * source.fluence_per_cm2(detector.distance_m, 3)


def test_counts_at_a_reactor_against_direct_integration():
    setup = cl.study_from_dict(AT_REACTOR).setups[0]
    for edges in ([0.1, 0.4], [0.5, 1.5]):
        detector = perfect(setup.detector, edges)
        ours = cl.response(setup.source, detector, couplings=["q_ee"], years=3).counts(q_ee=1e-11)
        assert ours[0] == near(integrated(setup.source, detector, {"q_ee": 1e-11}), 1e-7)


def test_a_run_at_a_reactor(command, write_study, tmp_path):
    path = write_study({**AT_REACTOR, "couplings": ["q_ee", "mu_e", "q_mumu"]})
    ran = command("run", path, "-o", tmp_path / "out")
    assert (ran.status, ran.err) == (0, "")
    study = json.loads((tmp_path / "out" / "my-study" / "provenance.json").read_text(encoding="utf-8"))["study"]
    assert study["source"]["fission_fractions"] == FUEL
    result = cl.load_study(path).run()
    # There are no muon neutrinos: nothing is said about their charge.
    assert result.limit("my-ge", "q_mumu").kinds == (("unconstrained", "unconstrained"),)
    assert result.limit("my-ge", "q_ee").has_limits
    checked = command("check", path)
    assert "plant" in checked.out


def test_power_and_live_time_count(tmp_path):
    base = cl.study_from_dict(AT_REACTOR).setups[0].response
    twice = cl.study_from_dict(changed({"source.thermal_power_gw": 5.8}, AT_REACTOR)).setups[0].response
    half = cl.study_from_dict(changed({"source.duty_factor": 0.45}, AT_REACTOR)).setups[0].response
    assert twice.counts() == near(2 * base.counts(), 1e-13)
    assert twice.background == near(base.background, 1e-14)
    assert half.counts() == near(base.counts() / 2, 1e-13)
    assert half.background == near(base.background / 2, 1e-13)


def test_a_source_of_one_detector(tmp_path):
    """Each detector may have its own."""
    write(tmp_path)
    keys = changed({"detectors.0.source": REACTOR, **LOW_THRESHOLD})
    keys["detectors"].append({"preset": "ess-csi"})
    keys["detectors"].append({"preset": "ess-ge", "source": TABULATED})
    study = cl.study_from_dict(keys, base=tmp_path)
    assert [type(setup.source).__name__ for setup in study.setups] == ["Reactor", "PionDecayAtRest", "TabulatedSource"]
    saved = study.as_dict()["detectors"][2]["source"]
    assert saved["file"] == str((tmp_path / "flux.txt").resolve())
    again = cl.study_from_dict(study.as_dict(), base=tmp_path / "elsewhere")
    assert again.sha256 == study.sha256


def test_what_a_file_means(tmp_path):
    write(tmp_path)
    (tmp_path / "beam.yaml").write_text(yaml.safe_dump(TABULATED), encoding="utf-8")
    source = cl.load_source(tmp_path / "beam.yaml")
    assert isinstance(source, TabulatedSource)
    assert [(c.name, c.flavour, c.antineutrino) for c in source.components] == [
        ("nu_e", "e", False),
        ("anti_nu_mu", "mu", True),
    ]
    # Areas under straight lines: 19 * 15 + 30 * 15, and 19 * 6 + 30 * 7.5.
    assert [c.yield_per_primary for c in source.components] == [near(735.0, 1e-13), near(339.0, 1e-13)]
    seconds = 5000 * 3600 * 0.04
    assert source.fluence_per_cm2(10.0, 1.0) == near(4 * seconds, 1e-13)
    assert source.beam_days(1.0) == near(seconds / 86400, 1e-13)


def test_counts_of_a_table_against_direct_integration(tmp_path):
    write(tmp_path)
    setup = cl.study_from_dict(changed({"source": TABULATED}), base=tmp_path).setups[0]
    detector, values = perfect(setup.detector, [2.0, 9.0]), {"q_ee": 5e-9, "q_mumu": 3e-9}
    ours = cl.response(setup.source, detector, couplings=list(values), years=3).counts(**values)
    assert ours[0] == near(integrated(setup.source, detector, values), 1e-7)


def pion_table(points):
    """Pion decay at rest as a table at 20 m: the line as a triangle of its own."""
    ess = cl.load_source("ess")
    seconds = ess.beam_days(1.0) * 86400
    flux = ess.fluence_per_cm2(20.0, 1.0) / seconds
    line = cl.sources.PROMPT_ENERGY_MEV
    energy = np.unique(
        np.concatenate([np.linspace(0.01, cl.sources.MICHEL_ENDPOINT_MEV, points), line + np.array([-1e-3, 0.0, 1e-3])])
    )
    prompt = np.where(energy == line, 1e3, 0.0)
    columns = [NU_E_SPECTRUM.density_per_mev(energy), prompt, ANTI_NU_MU_SPECTRUM.density_per_mev(energy)]
    rows = [" ".join(repr(float(v)) for v in row) for row in np.column_stack([energy, *(flux * c for c in columns)])]
    return "\n".join(["energy_mev nu_e nu_mu anti_nu_mu", *rows]) + "\n"


@pytest.mark.parametrize(("points", "accuracy"), [(100, 1e-3), (800, 2e-5)])
def test_a_tabulated_copy_of_pion_decay_at_rest(points, accuracy, tmp_path):
    """To the accuracy of straight lines between its points, which falls with their number's square."""
    write(tmp_path, pion_table(points))
    study = cl.study_from_dict(changed({"source": TABULATED}), base=tmp_path)
    built_in = cl.study_from_dict(changed({}))
    responses = [each.setups[0].response for each in (study, built_in)]
    for values in ({}, {"q_ee": 4e-9}, {"q_emu": 6e-9}):
        copy, original = (response.counts(**values) for response in responses)
        assert np.abs(copy - original).max() < accuracy * original.max()
    assert responses[0].background == near(responses[1].background, 1e-12)
    limits = [each.run().limit("my-ge", "q_ee").segments for each in (study, built_in)]
    assert np.array(limits[0]) == near(np.array(limits[1]), 20 * accuracy)


def test_the_hash_knows_the_file(tmp_path):
    def sha256(text):
        write(tmp_path, text)
        return cl.study_from_dict(changed({"source": TABULATED}), base=tmp_path).sha256

    first = sha256(ROWS)
    assert sha256(ROWS.replace("# a comment", "# another")) == first
    assert sha256(ROWS.replace("30", "31")) != first


def test_spectra_with_commas_and_one_column(tmp_path):
    write(tmp_path, "energy_mev, anti_nu_tau\n0.5, 1e3\n7, 2e3\n")
    (component,) = cl.study_from_dict(changed({"source": TABULATED}), base=tmp_path).setups[0].source.components
    assert (component.flavour, component.antineutrino) == ("tau", True)


BAD_FILES = {
    "empty": ("", ["no rows"]),
    "only comments": ("# energy_mev nu_e\n", ["no rows"]),
    "one row": ("energy_mev nu_e\n1 2\n", ["two rows"]),
    "no names": ("1 2\n2 3\n", ["line 1", "energy_mev"]),
    "names without the energy": ("nu_e anti_nu_e\n1 2\n2 3\n", ["line 1", "energy_mev"]),
    "the energy alone": ("energy_mev\n1\n2\n", ["line 1", "nu_e"]),
    "the energy last": ("nu_e energy_mev\n1 2\n2 3\n", ["line 1", "energy_mev first"]),
    "an unknown flavour": ("energy_mev nu_x\n1 2\n2 3\n", ["line 1", "'nu_x'", "nu_e"]),
    "one flavour twice": ("energy_mev nu_e nu_e\n1 2 3\n2 3 4\n", ["line 1", "'nu_e'", "twice"]),
    "a column too few": ("energy_mev nu_e nu_mu\n1 2 3\n2 3\n", ["line 3", "3 columns", "got 2"]),
    "a column too many": ("energy_mev nu_e\n1 2 3\n2 3 4\n", ["line 2", "2 columns", "got 3"]),
    "words": ("energy_mev nu_e\n1 2\n2 many\n", ["line 3", "numbers"]),
    "not a number": ("energy_mev nu_e\n1 2\n2 nan\n", ["line 3", "finite"]),
    "infinite": ("energy_mev nu_e\n1 2\n2 inf\n", ["line 3", "finite"]),
    "a negative flux": ("energy_mev nu_e\n1 2\n2 -3\n", ["line 3", "negative", "-3"]),
    "energies that fall": ("energy_mev nu_e\n1 2\n3 2\n2 2\n", ["line 4", "rise", "2"]),
    "energies that rest": ("energy_mev nu_e\n1 2\n1 2\n", ["line 3", "rise"]),
    "an energy of nothing": ("energy_mev nu_e\n0 2\n1 2\n", ["line 2", "above 0"]),
    "no neutrinos at all": ("energy_mev nu_e\n1 0\n2 0\n", ["any neutrinos"]),
}


@pytest.mark.parametrize("mistake", BAD_FILES)
def test_files_that_are_no_spectrum(mistake, command, write_study, tmp_path):
    text, words = BAD_FILES[mistake]
    write(tmp_path, text)
    ran = command("run", write_study(changed({"source": TABULATED})), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in ("source", "flux.txt", *words)), ran.err
    assert not (tmp_path / "out").exists()
    with pytest.raises(cl.CevnslabError, match=r"flux\.txt"):
        cl.study_from_dict(changed({"detectors.0.source": TABULATED}), base=tmp_path)


def test_a_column_of_nothing_is_left_out(command, write_study, tmp_path):
    """A flavour that a beam does not have; no column with any neutrinos is refused (above)."""
    write(tmp_path, "energy_mev nu_e nu_tau\n1 2 0\n2 3 0\n60 1 0\n")
    ran = command("check", write_study(changed({"source": TABULATED})))
    assert (ran.status, ran.err) == (0, "")


REFUSED = {
    "a file that is not there": ({"source": {**TABULATED, "file": "no.txt"}}, ["source", "no.txt"]),
    "no file": ({"source": {k: v for k, v in TABULATED.items() if k != "file"}}, ["source.file", "required"]),
    "no distance": (
        {"source": {k: v for k, v in TABULATED.items() if k != "reference_distance_m"}},
        ["source.reference_distance_m", "required"],
    ),
    "an unknown type": ({"source": {**REACTOR, "type": "fusion"}}, ["source", "type", "'fusion'"]),
    "no type": ({"source": {k: v for k, v in REACTOR.items() if k != "type"}}, ["source", "type"]),
    "a misspelt key": ({"source": {**REACTOR, "thermal_power": 1}}, ["source.thermal_power", "unknown key"]),
    "a negative power": ({"source": {**REACTOR, "thermal_power_gw": -2.9}}, ["source.thermal_power_gw", "-2.9"]),
    "fractions of more than one": (
        {"source": {**REACTOR, "fission_fractions": {"U235": 0.7, "U238": 0.7}}}, ["source", "sum to 1", "1.4"],
    ),
    "an unknown isotope": (
        {"source": {**REACTOR, "fission_fractions": {"U235": 0.5, "U233": 0.5}}}, ["source", "'U233'", "U23"],
    ),
    "a negative share": (
        {"source": {**REACTOR, "fission_fractions": {"U235": 1.5, "U238": -0.5}}}, ["source.fission_fractions"],
    ),
    "no fuel": ({"source": {**REACTOR, "fission_fractions": {}}}, ["source", "sum to 1"]),
    "a year too long": ({"source": {**REACTOR, "hours_per_year": 9000}}, ["source.hours_per_year", "9000"]),
    "a share above one": ({"source": {**REACTOR, "duty_factor": 1.1}}, ["source.duty_factor", "1.1"]),
    "time bins at a reactor": (
        {"source": REACTOR, "detectors.0.time_bin_edges_us": [0.0, 1.0, 6.0]}, ["time_bin_edges_us", "plant", "pulse"],
    ),
    "time bins of a table": (
        {"source": TABULATED, "detectors.0.time_bin_edges_us": [0.0, 1.0]}, ["time_bin_edges_us", "beam", "pulse"],
    ),
    "a table of protons": (
        {"source": {**TABULATED, "protons_per_year": 1e20}}, ["source.protons_per_year", "unknown key"],
    ),
    "recoils that do not reach the bins": ({"source": REACTOR}, ["my-ge", "no recoil"]),
    "no source": ({"source": REMOVED}, ["source", "required"]),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_is_refused(mistake, command, write_study, tmp_path):
    changes, words = REFUSED[mistake]
    write(tmp_path)
    thresholds = {"detectors.0.threshold_kev": 10.0} if "reach" in mistake else {}
    ran = command("run", write_study(changed({**changes, **thresholds})), "-o", tmp_path / "out")
    assert (ran.status, ran.out) == (2, ""), ran.err
    assert ran.err.count("cevnslab: ") == 1
    assert "Traceback" not in ran.err
    assert all(word in ran.err for word in words), ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("source", "word"),
    [({**REACTOR, "thermal_power": 1}, "thermal_power_gw"), ({**TABULATED, "fiel": "x"}, "'file'")],
    ids=["reactor", "tabulated"],
)
def test_a_misspelt_key_of_a_source_is_offered_its_own(source, word, command, write_study, tmp_path):
    write(tmp_path)
    ran = command("check", write_study(changed({"source": source})))
    assert ran.status == 2
    assert word in ran.err


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({**REACTOR, "type": "sun"}, ["type", "'sun'", "reactor"]),
        ({k: v for k, v in REACTOR.items() if k != "type"}, ["type", "required"]),
        ({**REACTOR, "duty_factor": 0}, ["duty_factor"]),
        ({**TABULATED, "file": "no.txt"}, ["no.txt"]),
        ({**REACTOR, "fission_fractions": {"U235": 0.9}}, ["sum to 1"]),
    ],
    ids=["unknown type", "no type", "no duty", "no file", "fractions"],
)
def test_sources_in_python_are_refused_alike(keys, words, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(keys), encoding="utf-8")
    with pytest.raises(cl.CevnslabError) as caught:
        cl.load_source(path)
    assert all(word in str(caught.value) for word in ("mine.yaml", *words)), str(caught.value)
