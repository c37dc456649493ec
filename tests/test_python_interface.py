"""Public functions in a notebook: wrong arguments are our errors, which name them; results print in a few lines."""

from __future__ import annotations

import pydoc
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from support import STUDY, changed, near

import cevnslab as cl


@pytest.fixture(scope="module")
def response():
    return cl.response("ess", "ess-ge", couplings=["q_ee", "q_emu"], years=3)


def test_names_stand_for_what_they_load(response):
    direct = cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=["q_ee", "q_emu"], years=3)
    assert np.array_equal(direct.counts(q_ee=1e-9), response.counts(q_ee=1e-9))


def test_arrays_of_a_coupling_broadcast(response):
    values = np.array([[1e-9, -2e-9, 0.0], [5e-9, 1e-8, 0.0]])
    other = np.array([0.0, 1e-9, 3e-9])
    counts = response.counts(q_ee=values, q_emu=other)
    assert counts.shape == (2, 3, 104)
    for i, j in np.ndindex(2, 3):
        assert counts[i, j] == near(response.counts(q_ee=float(values[i, j]), q_emu=float(other[j])), 1e-13)
    radius = cl.response("ess", "ess-ge", couplings=["neutron_radius"], years=3)
    several = radius.counts(neutron_radius=[3.9, 4.1])
    assert several[1] == near(radius.counts(neutron_radius=4.1), 1e-13)


@pytest.mark.parametrize("years", [np.float16(3), np.float32(3), np.int64(3), 3, np.array(3.0)])
def test_numbers_of_any_kind(years, response):
    assert cl.response("ess", "ess-ge", years=years).counts() == near(response.counts(), 1e-12)


@pytest.mark.parametrize("protons", [28 * 10**22, Fraction(28 * 10**22), np.array(28 * 10**22)])
def test_numbers_beyond_64_bits(protons):
    # Numpy keeps them as objects.
    assert replace(ESS, protons_per_year=protons).fluence_per_cm2(20, 1) == near(ESS.fluence_per_cm2(20, 1), 1e-15)


def test_bins_of_objects():
    # Such as a column of a table in which numbers of several kinds stand.
    edges = replace(GE, bin_edges_kev=GE.bin_edges_kev.astype(object)).bin_edges_kev
    assert edges.dtype == float
    assert np.array_equal(edges, GE.bin_edges_kev)


ESS, GE = cl.load_source("ess"), cl.load_detector("ess-ge")
WRONG = {
    "text for a coupling": (lambda r: r.counts(q_ee="1e-9"), ["q_ee", "a number", "'1e-9'"]),
    "nothing for a coupling": (lambda r: r.counts(q_ee=None), ["q_ee", "nothing"]),
    "nan for a coupling": (lambda r: r.counts(q_ee=np.nan), ["q_ee", "finite", "nan"]),
    "shapes of couplings": (lambda r: r.counts(q_ee=[0, 0], q_emu=[0, 0, 0]), ["q_ee (2,)", "q_emu (3,)"]),
    "a value out of bounds": (lambda r: r.counts(q_ee=[0, 1.0]), ["q_ee = 1", "bounds"]),
    "an unknown coupling": (lambda r: r.counts(q_eee=0), ["'q_eee'", "q_ee"]),
    "an array in cevns": (
        lambda r: cl.cross_sections.cevns(1.0, 40.0, "Ge", couplings={"q_ee": np.array([1e-9, 2e-9])}),
        ["q_ee", "one number", "(2,)"],
    ),
    "shapes of energies": (
        lambda r: cl.cross_sections.cevns([1.0, 2.0], [1.0, 2.0, 3.0], "Ge"),
        ["recoil_energy_kev (2,)", "neutrino_energy_mev (3,)"],
    ),
    "text for an energy": (lambda r: cl.cross_sections.cevns("1", 40.0, "Ge"), ["recoil_energy_kev", "'1'"]),
    "ragged energies": (lambda r: cl.cross_sections.cevns([[1.0], [1.0, 2.0]], 4, "Ge"), ["recoil_energy_kev"]),
    "no target": (lambda r: cl.cross_sections.cevns(1.0, 40.0, None), ["target", "nothing"]),
    "infinite recoils": (lambda r: cl.atoms.effective_charge("Cs", np.inf), ["recoil_energy_kev", "inf"]),
    "an element that is none": (lambda r: cl.atoms.effective_charge(None, 1.0), ["subshell"]),
    "a momentum in words": (lambda r: cl.form_factors.helm("q", 4.0), ["momentum_transfer_mev", "'q'"]),
    "a radius of nothing": (lambda r: cl.form_factors.helm(1.0, None), ["rms_radius_fm", "nothing"]),
    "a radius in words": (lambda r: cl.nuclei.target("Ge", rms_radius_fm={"Ge": "4"}), ["rms_radius_fm of Ge", "'4'"]),
    "a source for a detector": (lambda r: cl.response(GE, ESS, years=3), ["source", "load_source", "Detector"]),
    "a detector of nothing": (lambda r: cl.response(ESS, None, years=3), ["detector", "load_detector", "nothing"]),
    "an endless exposure": (lambda r: cl.response(ESS, GE, years=np.inf), ["years", "finite", "inf"]),
    "an exposure in words": (lambda r: cl.response(ESS, GE, years="3"), ["years", "'3'"]),
    "several exposures": (lambda r: cl.response(ESS, GE, years=[1, 2]), ["years", "one number"]),
    "a coupling that is none": (lambda r: cl.response(ESS, GE, couplings=[3], years=1), ["coupling", "3"]),
    "a preset that is none": (lambda r: cl.response("es", GE, years=1), ["'es'", "'ess'"]),
    "a study of nothing": (lambda r: cl.load_study(None), ["name or a path", "nothing"]),
    "a source of a list": (lambda r: cl.load_source(["ess"]), ["name or a path", "a list"]),
    "keys that are none": (lambda r: cl.study_from_dict([1]), ["keys and values", "a list"]),
    "a complex number": (lambda r: cl.study_from_dict(changed({"exposure_years": 1j})), ["exposure_years", "a number"]),
    "a coupling in the place of a list": (
        lambda r: cl.response(ESS, GE, couplings="q_ee", years=1),
        ["couplings", "list"],
    ),
    "a likelihood of a name": (
        lambda r: cl.likelihood("ess-ge", signal=0.1, background=0.01),
        ["response", "'ess-ge'"],
    ),
    "a width of nothing": (lambda r: cl.likelihood(r, signal=None, background=0.01), ["width of signal", "nothing"]),
    "a width in words": (lambda r: cl.likelihood(r, signal=0.1, background="1 %"), ["width of background", "'1 %'"]),
    "a width below 0": (lambda r: cl.likelihood(r, signal=-0.1, background=0.01), ["width of signal", "-0.1"]),
    "counts in words": (lambda r: fit_of(r, observed="many"), ["observed", "'many'"]),
    "counts that are no numbers": (lambda r: fit_of(r, observed=np.full(104, np.nan)), ["observed", "nan"]),
    "a prior without a width": (lambda r: fit_of(r, priors={"q_ee": 0.0}), ["priors.q_ee", "centre and width"]),
    "an off-beam run without a ratio": (
        lambda r: fit_of(r, observed=np.ones(104), off_beam={"bg": np.ones(104)}),
        ["off_beam.bg", "ratio"],
    ),
    "a limit of nothing": (lambda r: cl.limit(None, "q_ee"), ["fit", "cevnslab.likelihood", "nothing"]),
    "a limit of a response": (lambda r: cl.limit(r, "q_ee"), ["fit", "a likelihood", "Response"]),
    "a limit at 90": (
        lambda r: cl.limit(fit_of(r), "q_ee", confidence_level=90),
        ["confidence_level", "below 1", "90 % is 0.9"],
    ),
    "a limit at no level": (lambda r: cl.limit(fit_of(r), "q_ee", confidence_level="90 %"), ["confidence_level"]),
    "a coupling over all letters": (lambda r: cl.limit(fit_of(r), "q_ee", minimise_over="q_emu"), ["minimise_over"]),
    "delta chi2 in words": (lambda r: cl.delta_chi2(fit_of(r), "q_ee", "abc"), ["x", "'abc'"]),
    "delta chi2 of nothing": (lambda r: cl.delta_chi2(fit_of(r), "q_ee", None), ["x", "nothing"]),
    "delta chi2 out of bounds": (lambda r: cl.delta_chi2(fit_of(r), "q_ee", [0, 1e300]), ["q_ee = 1e+300", "bounds"]),
    "delta chi2 of two out of bounds": (
        lambda r: cl.delta_chi2(fit_of(r), ("q_ee", "q_emu"), [0.0], [0.0, -1.0]),
        ["q_emu = -1", "bounds"],
    ),
    "toys out of bounds": (lambda r: cl.toys(fit_of(r), 1, at={"q_ee": 1e-3}), ["q_ee = 0.001", "bounds"]),
    "a limit expected out of bounds": (
        lambda r: cl.expected_limit(fit_of(r), "q_ee", at=-1e300, toys=400),
        ["q_ee = -1e+300", "bounds"],
    ),
    "delta chi2 at nan": (lambda r: cl.delta_chi2(fit_of(r), "q_ee", [np.nan]), ["x", "finite", "nan"]),
    "no toys": (lambda r: cl.toys(fit_of(r), 0), ["number", "at least 1"]),
    "a seed in words": (lambda r: cl.toys(fit_of(r), 2, seed="x"), ["seed", "'x'"]),
    "half a toy": (lambda r: cl.expected_limit(fit_of(r), "q_ee", toys=400.5), ["toys", "whole number", "400.5"]),
    "a truth in words": (lambda r: cl.toys(fit_of(r), 2, at={"q_ee": "0"}), ["q_ee", "'0'"]),
    "significance of nothing": (lambda r: cl.significance(None), ["fit", "nothing"]),
    "a sum with a number": (lambda r: fit_of(r) + 3, ["likelihood", "3"]),
    "a figure of nothing": (lambda r: cl.draw(None, {}), ["result", "load_result", "nothing"]),
    "a figure by name": (lambda r: cl.draw(cl.Result, "figure-1"), ["result"]),
    "a limit of what is minimised over": (
        lambda r: cl.limit(fit_of(r), "q_ee", minimise_over=["q_ee"]),
        ["minimise_over", "'q_ee'", "both"],
    ),
    "a curve of what is minimised over": (
        lambda r: cl.delta_chi2(fit_of(r), ("q_ee", "q_emu"), [0.0], [0.0], minimise_over=("q_emu",)),
        ["minimise_over", "'q_emu'", "both"],
    ),
    "expected limits of what is minimised over": (
        lambda r: cl.expected_limit(fit_of(r), "q_ee", minimise_over=["q_ee"]),
        ["minimise_over", "'q_ee'", "both"],
    ),
    "a coupling minimised over twice": (
        lambda r: cl.limit(fit_of(r), "q_ee", minimise_over=["q_emu", "q_emu"]),
        ["minimise_over", "'q_emu'", "twice"],
    ),
    "a plane of one coupling": (
        lambda r: cl.delta_chi2(fit_of(r), ("q_ee", "q_ee"), [0.0], [0.0]),
        ["couplings", "'q_ee'", "twice"],
    ),
    "a curve of no coupling": (lambda r: cl.delta_chi2(fit_of(r), [], [0.0]), ["couplings", "none"]),
    "couplings in a number of numpy's": (lambda r: cl.delta_chi2(fit_of(r), np.array(1.0), [0.0]), ["couplings"]),
    "an unknown coupling to minimise over": (
        lambda r: cl.limit(fit_of(r), "q_ee", minimise_over=["q_emmu"]),
        ["minimise_over", "'q_emmu'", "'q_emu'"],
    ),
    "escape codes for a coupling": (lambda r: cl.limit(fit_of(r), "\x1b[31m"), ["coupling", "known are"]),
    "toys without end": (lambda r: cl.expected_limit(fit_of(r), "q_ee", toys=10**60), ["toys", "at most"]),
    "toys without end, one by one": (lambda r: cl.toys(fit_of(r), 10**60), ["number", "at most"]),
    "a truth without its coupling": (lambda r: cl.toys(fit_of(r), 2, at=1e-9), ["at", "names and values"]),
    "priors in a list": (lambda r: fit_of(r, priors=[("q_ee", (0.0, 1e-9))]), ["priors", "names and values"]),
    "an off-beam run without a name": (
        lambda r: fit_of(r, observed=np.ones(104), off_beam=np.ones(104)),
        ["off_beam", "names and values"],
    ),
    "backgrounds by number": (lambda r: fit_of(r, background={1: 0.1}), ["background", "names and values"]),
    "a statistic of an array": (lambda r: fit_of(r, statistic=np.ones(2)), ["statistic", "a word"]),
    "a response of an array": (lambda r: cl.likelihood(np.eye(2), signal=0.1, background=0.1), ["response"]),
    "channels by number": (lambda r: cl.response(ESS, GE, years=1, channels=[1]), ["channels", "cevns", "1"]),
    "channels in an array": (lambda r: cl.response(ESS, GE, years=1, channels=np.ones(2)), ["channels"]),
    "a form factor of nothing": (lambda r: cl.response(ESS, GE, years=1, form_factor=None), ["form factor", "helm"]),
    "a form factor in a list": (
        lambda r: cl.cross_sections.cevns(1.0, 40.0, "Ge", form_factor=["helm"]),
        ["form factor", "a list"],
    ),
    "corrections of an array": (
        lambda r: cl.response(ESS, GE, years=1, radiative_corrections=np.ones(2)),
        ["radiative_corrections", "true or false"],
    ),
    "a registry of names": (
        lambda r: cl.response(ESS, GE, years=1, couplings=["q_ee"], registry=("q_ee",)),
        ["registry", "names and values"],
    ),
    "nuclei by a word that is not known": (
        lambda r: cl.load_detector("ess-ge", nuclei="isotope"),
        ["convention", "isotopes", "'isotope'"],
    ),
    "neutrons by a word that is not known": (
        lambda r: cl.nuclei.target("Ge", neutron_radius="skinny"),
        ["neutron_radius", "skin", "'skinny'"],
    ),
    "a flux of the Sun that is not known": (
        lambda r: cl.sources.Sun("sun", flux="b16"),
        ["flux", "b16-gs98", "'b16'"],
    ),
    "a shape of 8B that is not known": (
        lambda r: cl.sources.Sun("sun", shape_8b="bachall"),
        ["shape_8b", "bahcall", "'bachall'"],
    ),
    "protons in words": (lambda r: replace(ESS, protons_per_year="many"), ["ess", "protons_per_year", "'many'"]),
    "a year of too many hours": (lambda r: replace(ESS, hours_per_year=9000), ["ess", "9000 hours"]),
    "a mass below 0": (lambda r: replace(GE, mass_kg=-1), ["ess-ge", "mass_kg", "-1"]),
    "a mass of nothing": (lambda r: replace(GE, mass_kg=None), ["ess-ge", "mass_kg", "nothing"]),
    "an endless distance": (lambda r: replace(GE, distance_m=np.inf), ["ess-ge", "distance_m", "inf"]),
    "a distance of 0": (lambda r: cl.sources.total_flux_per_cm2_s(ESS, 0), ["distance_m", "above 0"]),
    "an efficiency in percent": (lambda r: replace(GE, efficiency=80), ["ess-ge", "efficiency", "80"]),
    "a resolution by number": (lambda r: replace(GE, resolution=0.1), ["ess-ge", "resolution", "0.1"]),
    "a target by name": (lambda r: replace(GE, target="Ge"), ["ess-ge", "cevnslab.nuclei.target", "'Ge'"]),
    "bins in words": (lambda r: replace(GE, bin_edges_kev="1 to 10"), ["bin_edges_kev", "'1 to 10'"]),
    "the flux of a name": (lambda r: cl.sources.total_flux_per_cm2_s("ess", 20), ["source", "load_source", "'ess'"]),
    "a flux in words": (lambda r: cl.sources.total_flux_per_cm2_s(ESS, "20"), ["distance_m", "'20'"]),
    "neutrinos of years to come": (lambda r: cl.sources.neutrinos_per_cm2(ESS, 20, -1), ["years", "-1"]),
    "time bins in words": (lambda r: cl.sources.days_in_time_bins(ESS, "ab", 1), ["edges_us", "'ab'"]),
    "time bins of a name": (lambda r: cl.sources.days_in_time_bins("ess", [0, 1], 1), ["load_source", "'ess'"]),
    "time bins that fall": (lambda r: cl.sources.days_in_time_bins(ESS, [2, 1], 1), ["edges_us", "rise"]),
    "time bins of years in words": (lambda r: cl.sources.days_in_time_bins(ESS, [1, 2], "x"), ["years", "'x'"]),
    "one edge": (lambda r: cl.sources.days_in_time_bins(ESS, [1.0], 1), ["edges_us", "two edges"]),
    "couplings in a list": (
        lambda r: cl.cross_sections.cevns(1.0, 40.0, "Ge", couplings=["q_ee"]),
        ["couplings", "names and values", "a list"],
    ),
    "a channel of nothing": (
        lambda r: cl.cross_sections.differential(None, 1.0, 40.0, "Ge"),
        ["channel", "cevns", "nothing"],
    ),
    "a radius below 0": (lambda r: cl.form_factors.helm(1.0, -4.0), ["rms_radius_fm", "-4"]),
    "a mediator's mass in words": (
        lambda r: cl.couplings.light_vector("b-l", "10", "g"),
        ["mass_mev", "'10'"],
    ),
    "a mediator's label by number": (lambda r: cl.couplings.light_scalar(10, 3), ["label", "3"]),
    "a data set by number": (lambda r: cl.load_dataset(2021), ["name", "2021"]),
    "couplings of a data set by number": (lambda r: cl.load_dataset("coherent-csi-2021", couplings=3), ["couplings"]),
    "channels of a data set by number": (lambda r: cl.load_dataset("coherent-csi-2021", channels=3), ["channels"]),
    "a folder by number": (lambda r: cl.load_result(3), ["folder", "a path", "3"]),
    "a folder in bytes": (lambda r: cl.load_result(b"results"), ["folder", "a path", "bytes"]),
    "a number beyond doubles": (lambda r: replace(GE, mass_kg=10**400), ["mass_kg", "a number", "many digits"]),
    "objects for bins": (lambda r: replace(GE, bin_edges_kev=[1.0, None]), ["bin_edges_kev", "numbers"]),
    "a data folder by number": (lambda r: cl.load_study("parada2024", data=3), ["data", "a path", "3"]),
    "a base by number": (lambda r: cl.study_from_dict(STUDY, base=3), ["base", "a path", "3"]),
    "control letters for a source": (lambda r: cl.load_source("\x1b[31m" * 99), ["source preset", "\\x1b[31m", "ess"]),
    "control letters for a detector": (
        lambda r: cl.likelihood(r, signal=0, background={"\x1b" * 99: 0.1}),
        ["background", "\\x1b"],
    ),
    "figures of nothing": (lambda r: cl.figure_specs(None), ["result", "nothing"]),
}


def fit_of(response, **keys):
    return cl.likelihood(response, **{"signal": 0.1, "background": 0.01, **keys})


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_arguments_are_our_errors(mistake, response):
    call, words = WRONG[mistake]
    with pytest.raises(cl.CevnslabError) as fault:
        call(response)
    message = str(fault.value)
    assert all(word in message for word in words), message
    assert len(message) < 300
    assert message.isprintable()


@pytest.mark.parametrize(
    ("panel", "words"),
    [
        ({"spectrum": "ess-gee"}, ["'ess-gee'", "figure_specs"]),
        ({"profile": ["q_ee"]}, ["does not hold", "figure_specs"]),
        ({"data": "ess-ge", "axis": "time_us"}, ["does not hold", "figure_specs"]),
        ({"scan": "exposure", "coupling": "q_ee"}, ["does not hold", "figure_specs"]),
        ({"limits": "q_ee", "detectors": ["ess-gee"]}, ["'ess-gee'", "figure_specs"]),
        ({"limits": "q_ee", "detectors": ["ess-ge", "ess-gee"]}, ["'ess-gee'", "figure_specs"]),
        ({"contour": ["q_ee", "q_mumu"]}, ["does not hold", "figure_specs"]),
        ({"pulls": "ess-ge", "coupling": "q_ee"}, ["does not hold", "figure_specs"]),
        ({"spectrum": "ess-ge", "values": [{"q_ee": 1e-9}]}, ["values", "q_ee = 1e-09", "figures"]),
    ],
)
def test_panels_of_what_a_result_does_not_hold(panel, words):
    result = cl.study_from_dict(changed({"detectors": [{"preset": "ess-ge"}]})).run()
    with pytest.raises(cl.CevnslabError) as fault:
        cl.draw(result, {"panels": [panel]})
    assert all(word in str(fault.value) for word in words), fault.value


def test_pulls_of_a_fit_without_nuisances_are_drawn_as_none():
    """Such a study has a fit, and no pull: its panel is empty and its run no failure."""
    keys = {"detectors": [{"preset": "ess-ge"}], "uncertainties": {"signal": 0.0, "background": 0.0}, "pulls": True}
    result = cl.study_from_dict(changed(keys)).run()
    assert not result.pulls
    assert cl.draw(result, {"panels": [{"pulls": "ess-ge", "coupling": "q_ee"}]}).axes


def test_a_base_in_words(tmp_path):
    assert cl.study_from_dict(STUDY, base=str(tmp_path)).base == tmp_path


@pytest.mark.parametrize("name", ["a" * 5000, "ä" * 200, "a\0b"])
def test_a_name_that_no_file_has_is_no_preset(name):
    with pytest.raises(cl.CevnslabError, match="no study preset"):
        cl.load_study(name)


def test_keys_made_with_numpy():
    keys = changed(
        {
            "detectors.0.bins": np.int64(8),
            "detectors.0.mass_kg": np.float32(5),
            "exposure_years": np.array(3),
            "couplings": ("q_ee", "q_emu"),
        }
    )
    assert cl.study_from_dict(keys).sha256 == cl.study_from_dict(STUDY).sha256
    edges = np.linspace(1, 40, 9)
    keys = changed({f"detectors.0.{key}": None for key in ("threshold_kev", "maximum_kev", "bins")})
    study = cl.study_from_dict(changed({"detectors.0.bin_edges_kev": edges}, keys))
    assert np.array_equal(study.setups[0].detector.bin_edges_kev, edges)


def test_objects_print_in_a_few_lines(response):
    for visible in (cl.load_study("parada2024"), response, GE, cl.couplings.COUPLINGS, fit_of(response)):
        assert len(repr(visible)) < 300, repr(visible)
    assert repr(GE) == "<Detector ess-ge: 7 kg of Ge, 104 bins from 0.6 to 78.9 keV>"
    assert "q_ee, q_emu" in repr(response)
    assert repr(fit_of(response)).startswith(
        "<Likelihood of ess-ge (104 bins, least-squares): couplings q_ee, q_emu, 2"
    )


@pytest.mark.parametrize("function", [cl.response, cl.cross_sections.cevns, cl.couplings.coupling, cl.nuclei.target])
def test_help_starts_with_the_purpose(function):
    text, purpose = pydoc.plain(pydoc.render_doc(function)), pydoc.getdoc(function).splitlines()[0]
    before, result, _ = text.partition(purpose)
    assert result
    assert before.startswith("Python Library Documentation")
    assert len(before) < 800  # the title and the signature, on one line or on several
    assert purpose[0].isupper()


@pytest.mark.parametrize("verb", [(), ("run",), ("keys",)])
def test_help_has_a_short_option(verb, command):
    short, long = (command(*verb, option) for option in ("-h", "--help"))
    assert (short.status, short.out) == (0, long.out)
    assert short.out.startswith("Usage: ")
