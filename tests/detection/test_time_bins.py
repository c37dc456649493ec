"""Detectors that bin arrival times: sums over times, backgrounds per time bin, what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from support import FLAVOURS, MILLICHARGES, OneFlavour, channels_of, near

import cevnslab as cl
from cevnslab.errors import PhysicsError
from cevnslab.physics.arrival_times import GaussianPulse, UniformPulse, arrival_density
from cevnslab.physics.sources import DELAYED_LIFETIMES_US, PROMPT_LIFETIMES_US

EDGES = np.array([-0.3, 0.2, 0.45, 1.0, 2.5, 6.0])
PULSES = {"gaussian": GaussianPulse(0.44, 0.15), "uniform": UniformPulse(0.1, 0.5)}
PRESETS = ["ess-csi", "ess-ge", "ess-csi-electron"]
VALUES = {"q_ee": 4e-9, "q_mumu": -3e-9, "q_emu": 5e-9, "q_etau": -2e-9, "q_mutau": 7e-9}
ELECTRON_VALUES = {name: value / 30 for name, value in VALUES.items()}


def pulsed(pulse, **changes):
    return replace(cl.load_source("sns"), pulse=PULSES.get(pulse, pulse), **changes)


def timed(preset, edges=EDGES, **changes):
    return replace(cl.load_detector(preset), time_bin_edges_us=edges, **changes)


def folded(source, detector, preset):
    return cl.response(source, detector, couplings=MILLICHARGES, years=2, channels=channels_of(preset))


def share(pulse, lifetimes, low, high):
    """What arrives between two times, by integration of the density."""
    pieces = [low, *(t for t in (0.1, 0.3, 0.5, 0.6, 0.7) if low < t < high), high]
    return sum(
        quad(lambda t: float(arrival_density(PULSES[pulse], lifetimes, t)), a, b, epsabs=1e-13)[0]
        for a, b in itertools.pairwise(pieces)
    )


@pytest.mark.parametrize("pulse", PULSES)
@pytest.mark.parametrize("preset", PRESETS)
def test_bins_are_counts_of_each_flavour_times_its_share(preset, pulse):
    """The same detector without times sees one flavour after the other."""
    source, without = pulsed(pulse), cl.load_detector(preset)
    values = ELECTRON_VALUES if "electron" in preset else VALUES
    response = folded(source, timed(preset), preset)
    expected = np.zeros((len(without.bin_edges_kev) - 1, len(EDGES) - 1))
    for only in FLAVOURS:
        lifetimes = PROMPT_LIFETIMES_US if only == "numu" else DELAYED_LIFETIMES_US
        shares = [share(pulse, lifetimes, low, high) for low, high in itertools.pairwise(EDGES)]
        expected += np.outer(folded(OneFlavour.of(source, only), without, preset).counts(**values), shares)
    assert response.counts(**values) == near(expected.ravel(), 1e-9)
    assert [axis.name for axis in response.axes] == ["recoil_energy_kev", "time_us"]
    assert np.array_equal(response.axes[1].edges, EDGES)


@pytest.mark.parametrize("preset", PRESETS)
def test_all_times_together_are_the_counts_without_times(preset):
    """A window of 100 us holds everything: monomial by monomial, the counts of a detector without times."""
    source = pulsed("gaussian")
    response = folded(source, timed(preset, np.array([-5.0, 0.3, 0.6, 100.0])), preset)
    without = folded(source, cl.load_detector(preset), preset)
    assert response.monomials == without.monomials
    for row, expected in zip(response.signal, without.signal, strict=True):
        assert response.projected(row) == near(expected, 1e-12)
    assert response.projected(response.signal[0], axis=1).sum() == near(without.counts().sum(), 1e-12)


@pytest.mark.parametrize("preset", ["ess-csi", "ess-ge"])
def test_background_is_rate_times_mass_times_time_in_the_bin(preset):
    detector = timed(preset, mass_kg=7.0)
    source = pulsed("gaussian", repetition_hz=25.0, hours_per_year=4000.0, duty_factor=0.3)
    response = cl.response(source, detector, years=2)
    live_seconds = 2 * 4000 * 3600
    seconds_in_bin = live_seconds * 25 * np.diff(EDGES) * 1e-6
    expected = np.outer(detector.background_per_kg_day * 7.0, seconds_in_bin / 86400)
    assert response.background == near(expected.ravel(), 1e-12)
    # All the time between pulses is all the live time, whatever the duty factor.
    whole = replace(detector, time_bin_edges_us=np.array([0.0, 1e4, 4e4]))
    assert cl.response(source, whole, years=2).background.sum() == near(
        detector.background_per_kg_day.sum() * 7.0 * live_seconds / 86400, 1e-12
    )


def test_time_zero_is_the_one_of_the_pulse():
    shifted = pulsed(GaussianPulse(0.44 + 3.0, 0.15))
    moved = folded(shifted, timed("ess-csi", EDGES + 3.0), "ess-csi")
    assert moved.counts() == near(folded(pulsed("gaussian"), timed("ess-csi"), "ess-csi").counts(), 1e-11)


def test_the_ess_is_a_rectangle_of_its_length():
    """Within the 2.86 ms neutrinos arrive evenly, and the background's share there is the duty factor."""
    source = cl.load_source("ess")
    response = cl.response(source, timed("ess-csi", np.array([100.0, 1100.0, 2100.0, 2860.0, 3000.0])), years=1)
    by_time = response.projected(response.counts(), axis=1)
    without = cl.load_detector("ess-csi")
    seen = {only: cl.response(OneFlavour.of(source, only), without, years=1).counts().sum() for only in FLAVOURS}
    assert by_time[:2] == near([sum(seen.values()) * 1000 / 2860] * 2, 1e-9)
    # What arrives after the pulse's end: the mean delay over the pulse's length.
    lateness = {"numu": 0.026033, "numubar": 0.026033 + 2.1969811, "nue": 0.026033 + 2.1969811}
    assert by_time[3] == near(sum(seen[only] * lateness[only] / 2860 for only in FLAVOURS), 1e-9)


def test_bins_are_named_in_messages():
    response = folded(pulsed("gaussian"), timed("ess-csi"), "ess-csi")
    assert response.bin_text(len(EDGES) + 1) == (
        f"the bin with recoil_energy_kev from {response.bin_edges_kev[1]:.4g} to {response.bin_edges_kev[2]:.4g}, "
        "time_us from 0.45 to 1"
    )


def test_a_source_without_pulses_is_refused():
    for missing in ({"pulse": None}, {"repetition_hz": None}):
        with pytest.raises(PhysicsError, match="source sns: time bins need its pulse and repetition_hz"):
            cl.response(replace(cl.load_source("sns"), **missing), timed("ess-csi"), years=1)


def test_a_window_longer_than_the_time_between_pulses_is_refused():
    spacing = 1e6 / 60
    source = cl.load_source("sns")
    cl.response(source, timed("ess-csi", np.array([0.0, spacing])), years=1)
    with pytest.raises(PhysicsError, match=r"time bins over 16700 us, but pulses follow each other after 16666\.7 us"):
        cl.response(source, timed("ess-csi", np.array([-50.0, 16650.0])), years=1)


@pytest.mark.parametrize("edges", [[0.0, 1.0, 1.0], [0.0, 2.0, 1.0], [1.0], [[0.0, 1.0]], [0.0, np.nan]], ids=str)
def test_edges_that_do_not_rise_are_refused(edges):
    with pytest.raises(PhysicsError, match="time bin edges must rise"):
        timed("ess-csi", np.array(edges))
