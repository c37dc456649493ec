"""Arrival times: closed forms against convolutions done by scipy, limits, tails far from the pulse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from support import near

from cevnslab.errors import PhysicsError
from cevnslab.physics.arrival_times import GaussianPulse, UniformPulse, arrival_density, arrival_fractions
from cevnslab.physics.sources import (
    DELAYED_LIFETIMES_US,
    PION_DECAY_AT_REST,
    PROMPT_LIFETIMES_US,
    components_by_arrival,
)

PION_US, MUON_US = 0.026033, 2.1969811
PULSES = {"gaussian": GaussianPulse(0.471, 0.15), "uniform": UniformPulse(-0.2, 0.7), "long": UniformPulse(0.0, 2860.0)}
LIFETIMES = {"prompt": PROMPT_LIFETIMES_US, "delayed": DELAYED_LIFETIMES_US}


def shape(pulse):
    """The pulse's own density, and where it begins and ends."""
    if isinstance(pulse, UniformPulse):
        end = pulse.start_us + pulse.length_us
        return lambda t: 1 / pulse.length_us if pulse.start_us < t < end else 0.0, pulse.start_us, end

    def gauss(t):
        z = (t - pulse.centre_us) / pulse.width_us
        return float(np.exp(-(z**2) / 2) / (np.sqrt(2 * np.pi) * pulse.width_us))

    return gauss, pulse.centre_us - 12 * pulse.width_us, pulse.centre_us + 12 * pulse.width_us


def delay(lifetimes, waited):
    """Density of the sum of exponential waiting times at `waited`, by integrals over all but one of them."""
    first, *others = lifetimes
    if not others:
        return float(np.exp(-waited / first) / first)
    early = min(waited, 40 * first)
    pieces = itertools.pairwise([0.0, *(x * first for x in (1, 5, 15) if x * first < early), early])

    def integrand(short):
        return np.exp(-short / first) / first * delay(others, waited - short)

    return sum(quad(integrand, a, b, epsabs=0, epsrel=1e-11)[0] for a, b in pieces)


def convolved(pulse, lifetimes, time):
    """The integral over the moment at which the proton arrived."""
    density, start, end = shape(pulse)
    end = min(end, time)
    if end <= start:
        return 0.0
    near_end = [end - x * min(lifetimes) for x in (30, 10, 3, 1)]
    borders = [start, *(x for x in near_end if x > start), end]
    return sum(
        quad(lambda at: density(at) * delay(lifetimes, time - at), a, b, epsabs=1e-14, epsrel=1e-10)[0]
        for a, b in itertools.pairwise(borders)
    )


@pytest.mark.parametrize("kind", LIFETIMES)
@pytest.mark.parametrize("pulse", ["gaussian", "uniform"])
def test_density_against_the_convolution(pulse, kind):
    for time in (-0.15, 0.05, 0.3, 0.48, 0.7, 1.1, 3.0, 9.0):
        expected = convolved(PULSES[pulse], LIFETIMES[kind], time)
        result = float(arrival_density(PULSES[pulse], LIFETIMES[kind], time))
        assert result == pytest.approx(expected, rel=1e-8, abs=1e-13), time


@pytest.mark.parametrize("kind", LIFETIMES)
@pytest.mark.parametrize("pulse", PULSES)
def test_fractions_are_integrals_of_the_density(pulse, kind):
    edges = [-1.0, -0.2, 0.1, 0.4, 0.5, 0.9, 2.0, 6.0, 50.0, 2859.0, 2861.0, 3000.0]
    fractions = arrival_fractions(PULSES[pulse], LIFETIMES[kind], edges)
    for values, (low, high) in zip(fractions, itertools.pairwise(edges), strict=True):
        inside = [x for x in (0.0, 0.5, 0.55, 0.6, 1.0, 5.0, 10.0, 2860.0, 2860.1) if low < x < high]
        pieces = itertools.pairwise([low, *inside, high])
        integral = sum(
            quad(lambda t: float(arrival_density(PULSES[pulse], LIFETIMES[kind], t)), a, b, epsabs=1e-13, limit=200)[0]
            for a, b in pieces
        )
        assert values == pytest.approx(integral, rel=1e-9, abs=1e-12)
    assert fractions.shape == (len(edges) - 1,)


@pytest.mark.parametrize("lifetimes", [(0.026,), (2.2, 0.026), (0.5, 2.2, 0.1)], ids=str)
@pytest.mark.parametrize("pulse", ["gaussian", "uniform"])
def test_moments_of_a_sum_of_independent_times(pulse, lifetimes):
    """Normalisation 1; means and variances of the pulse and of every wait add up."""
    pulse = PULSES[pulse]
    nodes, weights = np.polynomial.legendre.leggauss(40)
    borders = np.concatenate([np.linspace(-1.5, 3, 181), np.linspace(3.5, 120, 234)])
    times = ((borders[1:] + borders[:-1]) / 2)[:, None] + np.diff(borders)[:, None] / 2 * nodes
    measure = np.diff(borders)[:, None] / 2 * weights * arrival_density(pulse, lifetimes, times)
    if isinstance(pulse, GaussianPulse):
        mean, variance = pulse.centre_us, pulse.width_us**2
    else:
        mean, variance = pulse.start_us + pulse.length_us / 2, pulse.length_us**2 / 12
    mean += sum(lifetimes)
    assert measure.sum() == near(1.0, 1e-9)
    assert (measure * times).sum() == near(mean, 1e-9)
    assert (measure * (times - mean) ** 2).sum() == near(variance + sum(t**2 for t in lifetimes), 1e-8)
    whole = arrival_fractions(pulse, lifetimes, [-10.0, 200.0])
    assert whole == near(1.0, 1e-13)


def test_shape_of_the_arguments_and_order_of_the_lifetimes():
    times = np.linspace(-1, 5, 12).reshape(3, 4)
    pulse = PULSES["gaussian"]
    density = arrival_density(pulse, (PION_US, MUON_US), times)
    assert density.shape == (3, 4)
    assert arrival_density(pulse, (MUON_US, PION_US), times) == pytest.approx(density, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("ratio", [1e-9, 1e-3, 1.0, 40.0, 1e3, 1e9])
@pytest.mark.parametrize("centre", [-50.0, 0.0, 50.0])
def test_tails_are_finite(centre, ratio):
    """No warning (an error here), no negative density, probabilities from 0 to 1, at any width over lifetime."""
    times = np.array([-50.0, -1.0, -1e-6, 0.0, 1e-6, 1.0, 50.0, 1e4])
    for pulse in (GaussianPulse(centre, ratio), UniformPulse(centre, ratio)):
        density, cumulative = pulse.delayed(times, 1.0)
        assert np.all(np.isfinite(density) & np.isfinite(cumulative))
        assert density.min() >= 0
        # A rectangle is told by its two edges: times of 1e4 us, rounded, over its length.
        rounding = 1e-15 if isinstance(pulse, GaussianPulse) else 1e-15 + 4 * np.spacing(1e4) / ratio
        assert cumulative.min() > -rounding
        assert cumulative.max() < 1 + rounding
        assert np.diff(cumulative).min() > -rounding
        delayed = arrival_density(pulse, (1e-2, 1.0), times)
        assert np.all(np.isfinite(delayed))
        assert delayed.min() > -1e-13 * max(density.max(), 1.0)


@pytest.mark.parametrize("pulse", [GaussianPulse(0.4, 0.15), UniformPulse(0.3, 0.2)], ids=["gaussian", "uniform"])
def test_far_tail_falls_with_the_longest_lifetime(pulse):
    """t = 50 us: e^(-50/2.2) of the peak is left, with its relative precision."""
    density = arrival_density(pulse, DELAYED_LIFETIMES_US, [50.0, 53.0, -50.0])
    tolerance = 1e-9 if isinstance(pulse, GaussianPulse) else 1e-4  # a uniform pulse is a difference of two near 1
    assert density[1] / density[0] == near(np.exp(-3.0 / MUON_US), tolerance)
    assert 1e-11 < density[0] < 1e-9
    assert density[2] == 0


def test_a_short_pulse_leaves_the_exponential():
    times = np.array([0.01, 0.5, 2.0, 9.0])
    exponential = np.exp(-times / 2.2) / 2.2
    for width in (1e-3, 1e-5):
        # Relative difference: half the square of width over lifetime for a Gaussian, half the ratio for a rectangle.
        assert arrival_density(GaussianPulse(0.0, width), (2.2,), times) == near(exponential, (width / 2.2) ** 2 + 1e-9)
        assert arrival_density(UniformPulse(0.0, width), (2.2,), times) == near(exponential, width / 2.2 + 1e-8)
    hypo = (np.exp(-times / 2.2) - np.exp(-times / 0.03)) / (2.2 - 0.03)
    assert arrival_density(GaussianPulse(0.0, 1e-5), (0.03, 2.2), times) == near(hypo, 1e-6)


def test_a_short_lifetime_leaves_the_pulse():
    times = np.array([-0.1, 0.2, 0.471, 0.6, 0.9])
    gauss = GaussianPulse(0.471, 0.15)
    gaussian, _, _ = shape(gauss)
    expected = np.array([gaussian(t) for t in times])
    for lifetime in (1e-5, 1e-8):
        # f = pulse - tau pulse' + ...: pulse'/pulse is 4 sigma/sigma = 26 per us at most here.
        assert arrival_density(gauss, (lifetime,), times) == near(expected, 30 * lifetime + 1e-9)
    inside = arrival_density(UniformPulse(0.0, 0.5), (1e-6,), [-0.1, 0.1, 0.4, 0.6])
    assert inside == pytest.approx([0.0, 2.0, 2.0, 0.0], abs=1e-9)
    fractions = arrival_fractions(UniformPulse(0.0, 0.5), (1e-9,), [0.0, 0.1, 0.4, 1.0])
    assert fractions == near([0.2, 0.6, 0.2], 1e-7)


@pytest.mark.parametrize(
    "lifetimes", [(), (2.2, 2.2), (0.0,), (-1.0,), (0.026, 2.2, 0.026), (float("nan"),), (2.2, 0.0)], ids=str
)
def test_lifetimes_that_cannot_be(lifetimes):
    for function in (arrival_density, arrival_fractions):
        with pytest.raises(PhysicsError, match="positive and different"):
            function(PULSES["gaussian"], lifetimes, [0.0, 1.0])


def test_who_arrives_together():
    """The prompt nu_mu alone; both neutrinos of the muon's decay after pion and muon."""
    groups = components_by_arrival(PION_DECAY_AT_REST)
    assert [(lifetimes, [c.name for c in group]) for lifetimes, group in groups] == [
        ((PION_US,), ["prompt nu_mu"]),
        ((PION_US, MUON_US), ["delayed anti-nu_mu", "delayed nu_e"]),
    ]
