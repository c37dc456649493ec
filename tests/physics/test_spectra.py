"""Tabulated and reactor spectra: moments against adaptive quadrature, normalisations against published yields."""

from __future__ import annotations

import itertools
from dataclasses import replace
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import fixed_quad, quad
from support import near, perfect

import cevnslab as cl
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics import sources, spectra
from cevnslab.physics.cross_sections import differential, scatterers
from cevnslab.physics.reactor_spectra import FISSION_FITS, MuellerSpectrum, huber_mueller
from cevnslab.physics.sources import (
    ENERGY_PER_FISSION_MEV,
    PION_DECAY_AT_REST,
    FluxComponent,
    LineSpectrum,
    Reactor,
    TabulatedSource,
)
from cevnslab.physics.spectra import NU_E_SPECTRUM, TabulatedSpectrum

FUEL = {"U235": 0.58, "U238": 0.07, "Pu239": 0.30, "Pu241": 0.05}
MIXTURE = MuellerSpectrum(tuple(FUEL.items()))
UNEVEN = TabulatedSpectrum((0.01, 0.02, 0.5, 0.500001, 3.0, 40.0), (0.0, 2.0, 1.0, 5.0, 0.3, 0.1))
SPECTRA = {
    "reactor": MIXTURE,
    "huber-mueller": huber_mueller().mixture(tuple(FUEL.items()))[0].spectrum,
    "table": UNEVEN,
    "fine": TabulatedSpectrum(np.linspace(1, 9, 400), np.ones(400)),
}
every_spectrum = pytest.mark.parametrize("name", SPECTRA)


def by_quadrature(spectrum, low, k):
    borders = [low, *(e for e in (*spectrum.kinks_mev, spectrum.maximum_energy_mev) if e > low)]
    return sum(
        quad(lambda e: float(spectrum.density_per_mev(e)) * e**-k, a, b, epsabs=0, epsrel=1e-12)[0]
        for a, b in itertools.pairwise(borders)
    )


@every_spectrum
@given(share=st.floats(0.0, 0.98))
def test_moments_against_adaptive_quadrature(name, share):
    spectrum = SPECTRA[name]
    low = spectrum.kinks_mev[0] ** (1 - share) * spectrum.maximum_energy_mev**share
    moments = spectrum.inverse_energy_moments(low)
    assert moments.shape == (3,)
    for k in range(3):
        # quad itself: each of its pieces is exact to 1e-12, the last of them tiny next to the panel.
        assert moments[k] == near(by_quadrature(spectrum, low, k), 1e-11)


@every_spectrum
def test_moments_below_and_above_everything(name):
    spectrum = SPECTRA[name]
    first, last = spectrum.kinks_mev[0], spectrum.maximum_energy_mev
    low = np.array([[1e-9, first / 2, first], [last, last * 1.1, 1e9]])
    moments = spectrum.inverse_energy_moments(low)
    assert moments.shape == (3, 2, 3)
    assert np.all(moments[:, 1] == 0)
    assert np.all(moments[:, 0] == moments[:, 0, :1])
    assert np.all(spectrum.density_per_mev([first / 2, last * 1.001]) == 0)


@every_spectrum
def test_moments_fall_and_are_continuous(name):
    spectrum = SPECTRA[name]
    grid = np.sort(np.concatenate([np.geomspace(0.005, 45, 2000), spectrum.kinks_mev]))
    moments = spectrum.inverse_energy_moments(grid)
    assert np.all(np.diff(moments, axis=1) <= 1e-14 * moments[:, :1])
    beside = [spectrum.inverse_energy_moments(np.array(spectrum.kinks_mev) * (1 + side)) for side in (-1e-12, 1e-12)]
    assert beside[0] == pytest.approx(beside[1], rel=1e-9, abs=0)


@pytest.mark.parametrize("ratio", [1 + 1e-9, 1 + 1e-6, 1.01, 1.4999, 1.5001, 3.0, 1e4])
def test_no_cancellation_on_a_piece(ratio):
    with localcontext() as context:
        context.prec = 60
        low, high = Decimal(2), Decimal.from_float(2.0 * ratio)
        first, last = Decimal.from_float(0.3), Decimal.from_float(1.7)
        slope = (last - first) / (high - low)
        base, log = first - slope * low, (high / low).ln()
        exact = [
            base * (high - low) + slope * (high**2 - low**2) / 2,
            base * log + slope * (high - low),
            base * (1 / low - 1 / high) + slope * log,
        ]
        expected = [float(moment) for moment in exact]
    ours = TabulatedSpectrum((2.0, 2.0 * ratio), (0.3, 1.7)).inverse_energy_moments(0.1)
    assert ours == near(np.array(expected), 3e-14)


def test_a_fine_table_of_a_known_spectrum_approaches_it():
    grid = np.linspace(0.01, NU_E_SPECTRUM.maximum_energy_mev, 20001)
    table = TabulatedSpectrum(grid, NU_E_SPECTRUM.density_per_mev(grid))
    assert table.integral == near(1.0, 1e-7)
    low = np.array([1.0, 10.0, 40.0])
    assert table.inverse_energy_moments(low) == near(NU_E_SPECTRUM.inverse_energy_moments(low), 1e-6)
    assert table.normalised().integral == near(1.0, 1e-14)


@pytest.mark.parametrize(
    ("energy", "density", "match"),
    [
        ((1.0,), (1.0,), "two or more"),
        ((1.0, 2.0), (1.0,), "two or more"),
        ((0.0, 1.0), (1.0, 1.0), "positive and rise"),
        ((2.0, 1.0), (1.0, 1.0), "positive and rise"),
        ((1.0, 1.0), (1.0, 1.0), "positive and rise"),
        ((1.0, float("inf")), (1.0, 1.0), "positive and rise"),
        ((1.0, 2.0), (1.0, -1e-9), "0 or more"),
        ((1.0, 2.0), (1.0, float("nan")), "0 or more"),
        ((1.0, 2.0), (0.0, 0.0), "not all 0"),
    ],
)
def test_tables_that_are_no_spectrum(energy, density, match):
    with pytest.raises(PhysicsError, match=match):
        TabulatedSpectrum(energy, density)


def inverse_beta_cross_section(energy):
    """Strumia and Vissani, Phys. Lett. B 564 (2003) 42, Eq. (25): cm^2, to per cents."""
    positron, mass = energy - 1.2933, 0.51099895
    if positron <= mass:
        return 0.0
    log = np.log(energy)
    power = -0.07056 + 0.02018 * log - 0.001953 * log**3
    return 1e-43 * np.sqrt(positron**2 - mass**2) * positron * energy**power


@pytest.mark.parametrize(
    ("isotope", "published"), [("U235", 6.61e-43), ("U238", 10.10e-43), ("Pu239", 4.34e-43), ("Pu241", 5.97e-43)]
)
def test_inverse_beta_yield_per_fission(isotope, published):
    """Against Mueller et al., arXiv:1101.2663; the part above 8 MeV, below 1 per cent, is not in the spectrum."""
    spectrum = MuellerSpectrum(((isotope, 1.0),))

    def integrand(energy):
        return float(spectrum.density_per_mev(energy)) * inverse_beta_cross_section(energy)

    folded = sum(quad(integrand, a, b, epsabs=0)[0] for a, b in ((1.805, 2.0), (2.0, 8.0)))
    assert folded * spectrum.antineutrinos_per_fission == near(published, 0.02)


def test_antineutrinos_per_fission():
    per_fission = MIXTURE.antineutrinos_per_fission
    assert per_fission == pytest.approx(6.0, abs=0.5)
    assert per_fission * MIXTURE.inverse_energy_moments(1.806)[0] == pytest.approx(1.9, abs=0.1)
    assert MIXTURE.inverse_energy_moments(0.0)[0] == near(1.0, 1e-13)
    parts = sum(share * MuellerSpectrum(((name, 1.0),)).antineutrinos_per_fission for name, share in FUEL.items())
    assert parts == near(per_fission, 1e-12)


@pytest.mark.parametrize("isotope", FISSION_FITS)
def test_the_table_and_the_fit_meet(isotope):
    spectrum = MuellerSpectrum(((isotope, 1.0),))
    below, above = spectrum.density_per_mev([2.0 - 1e-9, 2.0])
    assert above == near(below, 0.08)


def test_fission_fractions_that_are_not():
    with pytest.raises(UnknownNameError, match="U235"):
        MuellerSpectrum((("U-235", 1.0),))
    with pytest.raises(PhysicsError, match="sum to 1"):
        MuellerSpectrum((("U235", 0.9),))
    with pytest.raises(PhysicsError, match="0 or more"):
        MuellerSpectrum((("U235", 1.1), ("U238", -0.1)))
    with pytest.raises(PhysicsError, match="twice"):
        MuellerSpectrum((("U235", 0.5), ("U235", 0.5)))
    with pytest.raises(UnknownNameError, match="Pu239"):
        Reactor("plant", 1.0, {"Pu-239": 1.0}, 8000)


REACTOR = Reactor("plant", 2.9, FUEL, 8000)


def test_flux_of_a_reactor():
    # 6 antineutrinos per 205 MeV: 2e20 per second and GW; 1e13 per cm^2 and s is 20 m from 3 GW.
    assert all((component.flavour, component.antineutrino) == ("e", True) for component in REACTOR.components)
    per_gw = REACTOR.fissions_per_second * REACTOR.antineutrinos_per_fission / REACTOR.thermal_power_gw
    assert per_gw == near(1.8e20, 0.08)
    seconds = 8000 * 3600
    flux = REACTOR.fluence_per_cm2(20.0, 1) * REACTOR.antineutrinos_per_fission / seconds
    assert flux == near(1e13, 0.05)
    assert REACTOR.fluence_per_cm2(40.0, 2) == near(REACTOR.fluence_per_cm2(20.0, 1) / 2, 1e-12)
    half = replace(REACTOR, duty_factor=0.5)
    assert half.fluence_per_cm2(20.0, 1) == near(REACTOR.fluence_per_cm2(20.0, 1) / 2, 1e-12)
    assert half.beam_days(1) == near(8000 / 24 / 2, 1e-12)
    assert set(ENERGY_PER_FISSION_MEV) == set(FISSION_FITS)
    assert hash(REACTOR) == hash(replace(REACTOR))


LINE = FluxComponent("line", "e", False, LineSpectrum(0.75), 0.9)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: replace(REACTOR, thermal_power_gw=0.0), "thermal_power_gw"),
        (lambda: replace(REACTOR, hours_per_year=9000.0), "hours"),
        (lambda: replace(REACTOR, duty_factor=1.1), "duty_factor"),
        (lambda: TabulatedSource("s", (), 1.0, 1.0, 100), "component"),
        (lambda: TabulatedSource("s", (LINE,), -1.0, 1.0, 100), "flux_per_cm2_s"),
        (lambda: TabulatedSource("s", (LINE,), 1.0, 0.0, 100), "reference_distance_m"),
        (lambda: TabulatedSource("s", (LINE,), 1.0, 1.0, 0), "hours_per_year"),
    ],
)
def test_sources_that_cannot_be(make, match):
    with pytest.raises(PhysicsError, match=match):
        make()


def germanium(edges):
    return perfect(cl.load_detector("ess-ge"), edges)


@pytest.mark.parametrize("channel", ["cevns", "electron"])
def test_counts_of_a_tabulated_source_against_direct_integration(channel):
    """Fixed nodes between all the bends, in E and in T, of the public cross section."""
    table = TabulatedSpectrum((5.0, 12.0, 30.0, 45.0), (0.0, 0.04, 0.03, 0.0))
    parts = (FluxComponent("a", "mu", True, table, 0.7), FluxComponent("b", "e", False, table))
    source = TabulatedSource("beam", parts, 1e7, 20.0, 5000)
    detector = replace(germanium([2.0, 5.0]), electron_quenching=1.0)
    values = {"r2_mumu": 2e-31, "mu_e": 1e-9}
    ours = cl.response(source, detector, couplings=list(values), years=1, channels=[channel]).counts(**values)[0]
    ((particle, _),) = scatterers(detector.target, channel)

    def at_recoil(recoil):
        lowest, total = float(particle.minimum_energy_mev(np.array(recoil))), 0.0
        for part, (a, b) in itertools.product(parts, itertools.pairwise(table.energies_mev)):

            def integrand(energy, part=part, recoil=recoil):
                options = {"incoming": part.flavour, "antineutrino": part.antineutrino, "couplings": values}
                sigma = differential(channel, recoil, energy, detector.target, **options)
                return table.density_per_mev(energy) * sigma * part.yield_per_primary

            total += fixed_quad(integrand, max(a, lowest), b, n=14)[0] if lowest < b else 0.0
        return total

    kinks = [particle.maximum_recoil_kev(energy) for energy in table.energies_mev]
    borders = sorted({2.0, 5.0, *(kink for kink in kinks if 2.0 < kink < 5.0)})
    integral = sum(quad(at_recoil, a, b, epsabs=0, epsrel=1e-10)[0] for a, b in itertools.pairwise(borders))
    nuclei = detector.target.nuclei_per_kg(detector.target.constituents[0]) * detector.mass_kg
    expected = integral * nuclei * source.fluence_per_cm2(detector.distance_m, 1)
    assert ours == near(expected, 1e-8)


def test_a_yield_scales_a_component():
    ess = cl.load_source("ess")
    base = {part.name: part for part in PION_DECAY_AT_REST}
    plain = TabulatedSource("t", tuple(base.values()), 1e7, 20.0, 5000)
    doubled = TabulatedSource(
        "t", tuple(replace(part, yield_per_primary=2.0) for part in base.values()), 1e7, 20.0, 5000
    )
    detector = germanium([1.0, 3.0, 9.0])
    counts = [cl.response(source, detector, years=1).counts() for source in (plain, doubled, ess)]
    assert counts[1] == near(2 * counts[0], 1e-13)
    share = plain.fluence_per_cm2(20.0, 1) / ess.fluence_per_cm2(20.0, 1)
    assert counts[0] == near(share * counts[2], 1e-12)


def test_counts_at_a_reactor():
    """Germanium at 20 m sees of the order of ten recoils above 300 eV per kg and day (CONUS, TEXONO proposals)."""
    detector = replace(germanium([0.3, 4.0]), distance_m=20.0, mass_kg=1.0)
    counts = cl.response(REACTOR, detector, years=1).counts().sum() / REACTOR.beam_days(1)
    assert 3 < counts < 30
    # The bends of the table are where the panels end: without smearing the bins add exactly.
    finer = replace(germanium(np.geomspace(0.3, 4.0, 12)), distance_m=20.0, mass_kg=1.0)
    assert cl.response(REACTOR, finer, years=1).counts().sum() == near(counts * REACTOR.beam_days(1), 1e-10)


def test_old_imports_keep_working():
    for name in ("LineSpectrum", "MichelSpectrum", "NU_E_SPECTRUM", "ANTI_NU_MU_SPECTRUM", "MICHEL_ENDPOINT_MEV"):
        assert getattr(sources, name) is getattr(spectra, name)
