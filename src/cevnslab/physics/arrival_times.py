"""When neutrinos of a pulsed source arrive: the proton pulse, delayed by the decays of pion and muon.

A neutrino that waits for decays of lifetimes tau_1, ..., tau_n arrives with the density pulse * e_1 * ... * e_n, where
e_i(t) = exp(-t/tau_i)/tau_i and * is a convolution. Different lifetimes split into partial fractions,

    e_1 * ... * e_n = sum_i c_i e_i,   c_i = product over j != i of tau_i/(tau_i - tau_j),

so a pulse only needs its convolution with one exponential, which both kinds have in closed form. Times are in
microseconds, with the zero of whoever gives the pulse's centre; the flight (65 ns at 20 m) is part of that zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.errors import PhysicsError

FloatArray = NDArray[np.float64]


class Pulse(Protocol):
    """The protons' time profile, normalised to one."""

    def delayed(self, time_us: FloatArray, lifetime_us: float) -> tuple[FloatArray, FloatArray]:
        """Density (1/us) and cumulative probability after an exponential delay."""


@dataclass(frozen=True)
class GaussianPulse:
    """A Gaussian pulse, as at the SNS."""

    centre_us: float
    width_us: float
    """Standard deviation."""

    def __str__(self) -> str:
        return f"Gaussian at {self.centre_us:g} us, width {self.width_us:g} us"

    def delayed(self, time_us: FloatArray, lifetime_us: float) -> tuple[FloatArray, FloatArray]:
        """The exponentially modified Gaussian f, and its integral Phi - tau f (since tau f' + f is the Gaussian)."""
        from scipy.special import erfc, erfcx, ndtr

        z = (time_us - self.centre_us) / self.width_us
        ratio = self.width_us / lifetime_us
        argument = (ratio - z) / np.sqrt(2)
        # Two forms of the same: the first never overflows on the rising edge, the second never in the tail.
        rising = np.exp(-0.5 * z**2) * erfcx(np.maximum(argument, 0.0))
        falling = np.exp(np.minimum(ratio**2 / 2 - ratio * z, 700.0)) * erfc(argument)
        density = np.where(argument > 0, rising, falling) / (2 * lifetime_us)
        return density, ndtr(z) - lifetime_us * density


@dataclass(frozen=True)
class UniformPulse:
    """A rectangular pulse, as at the ESS (2.86 ms)."""

    start_us: float
    length_us: float

    def __str__(self) -> str:
        return f"uniform from {self.start_us:g} us for {self.length_us:g} us"

    def delayed(self, time_us: FloatArray, lifetime_us: float) -> tuple[FloatArray, FloatArray]:
        """Differences of 1 - exp(-t/tau) and of its integral, over the length."""
        since_start = np.maximum(time_us - self.start_us, 0.0)
        since_end = np.maximum(time_us - self.start_us - self.length_us, 0.0)
        grown = [-np.expm1(-since / lifetime_us) for since in (since_start, since_end)]
        density = (grown[0] - grown[1]) / self.length_us
        return density, (since_start - since_end) / self.length_us - lifetime_us * density


def _weights(lifetimes_us: Sequence[float]) -> list[float]:
    if len(set(lifetimes_us)) != len(lifetimes_us) or not lifetimes_us or not min(lifetimes_us) > 0:
        raise PhysicsError(f"lifetimes must be positive and different, got {', '.join(map(str, lifetimes_us))}")
    return [
        float(np.prod([lifetime / (lifetime - other) for other in lifetimes_us if other != lifetime], initial=1.0))
        for lifetime in lifetimes_us
    ]


def arrival_density(pulse: Pulse, lifetimes_us: Sequence[float], time_us: ArrayLike) -> FloatArray:
    """Probability density of the arrival time in 1/us, the shape of `time_us`.

    Parameters
    ----------
    lifetimes_us
        Of the decays that are waited for, all different; `PhysicsError` otherwise.

    """
    times = np.asarray(time_us, dtype=float)
    parts = [
        weight * pulse.delayed(times, lifetime)[0]
        for weight, lifetime in zip(_weights(lifetimes_us), lifetimes_us, strict=True)
    ]
    return np.asarray(np.sum(parts, axis=0))


def arrival_fractions(pulse: Pulse, lifetimes_us: Sequence[float], edges_us: ArrayLike) -> FloatArray:
    """The share of neutrinos that arrive in each time bin, shape (bins,); what falls outside is not in it.

    >>> from cevnslab.physics.sources import DELAYED_LIFETIMES_US, PROMPT_LIFETIMES_US
    >>> pulse = GaussianPulse(centre_us=0.44, width_us=0.15)
    >>> edges = [-0.1, 0.4, 0.9, 1.4, 6.0]
    >>> [round(float(share), 4) for share in arrival_fractions(pulse, PROMPT_LIFETIMES_US, edges)]
    [0.3325, 0.6651, 0.0023, 0.0]
    >>> [round(float(share), 4) for share in arrival_fractions(pulse, DELAYED_LIFETIMES_US, edges)]
    [0.0146, 0.1627, 0.1674, 0.5745]
    """
    edges = np.asarray(edges_us, dtype=float)
    cumulative = [
        weight * pulse.delayed(edges, lifetime)[1]
        for weight, lifetime in zip(_weights(lifetimes_us), lifetimes_us, strict=True)
    ]
    return np.asarray(np.diff(np.sum(cumulative, axis=0)))
