"""Supernova bursts: fluences, spectra and counts of physics.md, section 11."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from support import near, perfect

import cevnslab as cl
from cevnslab.errors import PhysicsError
from cevnslab.physics.flavour import NUFIT
from cevnslab.physics.sources import SPECIES, Emission, FluxComponent, LineSpectrum, Supernova, TabulatedBurst
from cevnslab.physics.spectra import PinchedSpectrum

EMISSION = {
    "nu_e": Emission(5e52, 12.0, 3.0),
    "anti_nu_e": Emission(5e52, 14.0, 3.0),
    "nu_x": Emission(5e52, 16.0, 3.0),
}
BURST = Supernova("sn", 10.0, EMISSION)


def tonne(edges, preset="ess-xe"):
    detector = perfect(cl.load_detector(preset), edges)
    return replace(detector, mass_kg=1000.0, distance_m=None, electron_quenching=1.0)


def counts(source, edges, **options):
    return cl.response(source, tonne(edges), **options).counts(**options.get("values", {}))


@settings(deadline=None, max_examples=40)
@given(mean=st.floats(5, 30), pinching=st.floats(1.5, 8), share=st.floats(0, 4))
def test_moments_against_adaptive_quadrature(mean, pinching, share):
    spectrum = PinchedSpectrum(mean, pinching)
    low = share * mean
    moments = spectrum.inverse_energy_moments(low)
    end = spectrum.maximum_energy_mev
    for k in range(3):
        borders = np.linspace(low, end, 9)
        direct = sum(
            quad(lambda e, k=k: float(spectrum.density_per_mev(e)) * e**-k if e > 0 else 0.0, a, b, epsrel=1e-11)[0]
            for a, b in itertools.pairwise(borders)
        )
        assert moments[k] == pytest.approx(direct, rel=1e-7, abs=1e-13)


def test_the_pinched_shape():
    """One neutrino of the mean energy; <E^2>/<E>^2 = (2+a)/(1+a); at least to ten times the mean."""
    for mean, pinching in ((12.0, 3.0), (16.0, 2.3)):
        spectrum = PinchedSpectrum(mean, pinching)
        end = spectrum.maximum_energy_mev

        def weighted(energy, power, spectrum=spectrum):
            return spectrum.density_per_mev(energy) * energy**power

        averages = [quad(weighted, 0, end, args=(power,), limit=200)[0] for power in range(3)]
        assert averages[0] == near(1.0, 1e-10)
        assert averages[1] == near(mean, 1e-10)
        assert averages[2] / mean**2 == near((2 + pinching) / (1 + pinching), 1e-9)
        assert end > 10 * mean
        assert spectrum.inverse_energy_moments(end)[0] < 2e-16


def test_fluence_of_a_species():
    """5e52 erg, 12 MeV, 10 kpc: 2.1735e11 per cm^2."""
    (electron, *_) = BURST.components
    assert BURST.fluence_per_cm2(None, 1) * electron.yield_per_primary == near(2.1735e11, 3e-5)
    far = replace(BURST, distance_kpc=20.0)
    assert far.fluence_per_cm2(None, 1) == near(BURST.fluence_per_cm2(None, 1) / 4, 1e-14)


@pytest.mark.parametrize(("threshold", "expected"), [(0.7, 19.78), (0.3, 23.74), (1.0, 17.38)])
def test_recoils_in_a_tonne_of_xenon(threshold, expected):
    assert counts(BURST, [threshold, 400.0]).sum() == near(expected, 3e-4)


def test_the_ordering_is_nothing_to_nuclei():
    edges = [0.3, 2.0, 10.0, 100.0]
    plain = counts(BURST, edges)
    for ordering in ("normal", "inverted"):
        assert counts(replace(BURST, ordering=ordering), edges) == near(plain, 1e-12)


def test_what_arrives():
    """NO: nu_3 was nu_e, anti-nu_1 was anti-nu_e; IO: nu_2 and anti-nu_3; the others were nu_x."""
    means = {
        ordering: {
            (part.flavour, part.antineutrino): part.spectrum.mean_energy_mev
            for part in replace(BURST, ordering=ordering).components
        }
        for ordering in ("none", "normal", "inverted")
    }
    assert means["none"] == {
        ("e", False): 12.0, ("e", True): 14.0, ("mu", False): 16.0, ("mu", True): 16.0, ("tau", False): 16.0,
        ("tau", True): 16.0,
    }  # fmt: skip
    assert means["normal"] == {
        ("1", False): 16.0, ("2", False): 16.0, ("3", False): 12.0, ("1", True): 14.0, ("2", True): 16.0,
        ("3", True): 16.0,
    }  # fmt: skip
    assert means["inverted"] == {
        ("1", False): 16.0, ("2", False): 12.0, ("3", False): 16.0, ("1", True): 16.0, ("2", True): 16.0,
        ("3", True): 14.0,
    }  # fmt: skip


def electron_neutrinos(ordering):
    """Number emitted that arrives as nu_e."""
    parts = replace(BURST, ordering=ordering).components
    return sum(
        part.yield_per_primary * part.pair_weights.get(("e", "e"), 0.0) for part in parts if not part.antineutrino
    )


def test_flavours_care_about_the_ordering():
    """|U_e3|^2 or |U_e2|^2 of what was emitted as nu_e survives."""
    first, heavy = EMISSION["nu_e"], EMISSION["nu_x"]
    shares = {"none": 1.0, "normal": abs(NUFIT.mixing[0, 2]) ** 2, "inverted": abs(NUFIT.mixing[0, 1]) ** 2}
    emitted = [each.energy_erg * 624150.907 / each.mean_energy_mev for each in (first, heavy)]
    for ordering, share in shares.items():
        expected = share * emitted[0] + (1 - share) * emitted[1]
        assert electron_neutrinos(ordering) == near(expected, 1e-6)
    edges = [10.0, 200.0]
    electrons = {
        ordering: cl.response(replace(BURST, ordering=ordering), tonne(edges), channels=["electron"]).counts()[0]
        for ordering in shares
    }
    assert electrons["none"] != near(electrons["normal"], 1e-4)
    assert electrons["inverted"] != near(electrons["normal"], 1e-4)


def test_a_transition_interferes_for_mass_states_alone():
    edges = [0.5, 50.0]
    linear = {}
    for ordering in ("none", "normal"):
        response = cl.response(replace(BURST, ordering=ordering), tonne(edges), couplings=["q_emu"])
        linear[ordering] = dict(zip(response.monomials, response.signal, strict=True)).get((0,), np.zeros(1))
    assert np.all(linear["none"] == 0)
    assert np.all(linear["normal"] != 0)


def test_a_burst_has_no_years():
    assert BURST.burst
    with pytest.raises(PhysicsError, match="one burst"):
        cl.response(BURST, tonne([1.0, 2.0]), years=1)
    with pytest.raises(PhysicsError, match="required"):
        cl.response(cl.load_source("ess"), cl.load_detector("ess-xe"))


def test_backgrounds_count_in_the_window():
    detector = replace(tonne([1.0, 2.0]), background_per_kg_day=np.array([0.5]))
    for window in (10.0, 20.0):
        response = cl.response(replace(BURST, window_s=window), detector)
        assert response.background == near(0.5 * 1000 * window / 86400, 1e-13)


def test_a_tabulated_burst():
    line = FluxComponent("line", "e", False, LineSpectrum(20.0), yield_per_primary=1e11)
    at_earth = TabulatedBurst("b", (line,), None, 10.0)
    assert not at_earth.needs_distance
    assert at_earth.fluence_per_cm2(None, 1) == 1.0
    near_by = TabulatedBurst("b", (line,), 10.0, 10.0)
    assert near_by.fluence_per_cm2(20.0, 1) == 0.25
    with pytest.raises(PhysicsError, match="distance_m is required"):
        near_by.fluence_per_cm2(None, 1)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: replace(BURST, distance_kpc=0.0), "distance_kpc"),
        (lambda: replace(BURST, window_s=-1.0), "window_s"),
        (lambda: replace(BURST, ordering="natural"), "ordering"),
        (lambda: replace(BURST, emission={"nu_e": EMISSION["nu_e"]}), "anti_nu_e"),
        (lambda: replace(BURST, emission={**EMISSION, "nu_x": Emission(-1.0, 12.0, 3.0)}), "energy_erg of nu_x"),
        (lambda: replace(BURST, emission={**EMISSION, "nu_x": Emission(5e52, 0.0, 3.0)}), "mean energy"),
        (lambda: replace(BURST, emission={**EMISSION, "nu_x": Emission(5e52, 12.0, 0.5)}), "pinching"),
        (lambda: TabulatedBurst("b", (), None, 10.0), "component"),
        (lambda: TabulatedBurst("b", BURST.components, -1.0, 10.0), "reference_distance_m"),
        (lambda: TabulatedBurst("b", BURST.components, None, 0.0), "window_s"),
    ],
)
def test_bursts_that_cannot_be(make, match):
    with pytest.raises(PhysicsError, match=match):
        make()
    assert set(SPECIES) == set(EMISSION)
