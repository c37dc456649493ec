"""Neutrino sources: what is emitted, per flavour, and the moments of the spectra that cross sections need.

Every cross section here is a polynomial of second degree in 1/E, so a spectrum enters only through

    m_k(E_min) = integral from E_min of phi(E) E^-k dE,   k = 0, 1, 2,

which each spectrum gives exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nurecoil.errors import PhysicsError
from nurecoil.physics.arrival_times import Pulse
from nurecoil.physics.constants import (
    CHARGED_PION_LIFETIME_US,
    CHARGED_PION_MASS_MEV,
    MUON_LIFETIME_US,
    MUON_MASS_MEV,
)

FloatArray = NDArray[np.float64]

PROMPT_ENERGY_MEV = (CHARGED_PION_MASS_MEV**2 - MUON_MASS_MEV**2) / (2 * CHARGED_PION_MASS_MEV)
"""Energy of the muon neutrino of pi+ -> mu+ nu_mu at rest, Eq. (11) of arXiv:2409.10652: 29.79 MeV."""

MICHEL_ENDPOINT_MEV = MUON_MASS_MEV / 2
"""Largest neutrino energy of mu+ -> e+ nu_e anti-nu_mu at rest: 52.83 MeV."""


class Spectrum(Protocol):
    """An energy spectrum normalised to one neutrino."""

    @property
    def maximum_energy_mev(self) -> float:
        """Energy above which nothing is emitted."""

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """m_k(E_min), k = 0, 1, 2, in MeV^-k: shape (3, *shape of the argument)."""


@dataclass(frozen=True)
class LineSpectrum:
    """All neutrinos at one energy, Eq. (11) of arXiv:2409.10652."""

    energy_mev: float

    @property
    def maximum_energy_mev(self) -> float:
        """The energy of the line."""
        return self.energy_mev

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """E^-k where the line lies above E_min, else 0."""
        above = np.asarray(minimum_energy_mev, dtype=float) < self.energy_mev
        return np.stack([above * self.energy_mev**-k for k in range(3)])


@dataclass(frozen=True)
class MichelSpectrum:
    """phi(E) = (E/m_mu)^2 (c_2 + c_3 E/m_mu)/m_mu up to m_mu/2, Eqs. (12), (13) of arXiv:2409.10652."""

    quadratic: float
    cubic: float

    @property
    def maximum_energy_mev(self) -> float:
        """Half the muon's mass."""
        return MICHEL_ENDPOINT_MEV

    def density_per_mev(self, energy_mev: ArrayLike) -> FloatArray:
        """phi(E) in 1/MeV, 0 outside (0, m_mu/2).

        >>> round(float(NU_E_SPECTRUM.density_per_mev(5.0)), 12)
        0.001842122582
        """
        energy = np.asarray(energy_mev, dtype=float)
        x = energy / MUON_MASS_MEV
        inside = (energy >= 0) & (energy <= MICHEL_ENDPOINT_MEV)
        return np.where(inside, x**2 * (self.quadratic + self.cubic * x) / MUON_MASS_MEV, 0.0)

    def inverse_energy_moments(self, minimum_energy_mev: ArrayLike) -> FloatArray:
        """Two Gauss-Legendre nodes: exact, since phi(E) E^-k is a polynomial of degree 3 at most."""
        low = np.minimum(np.asarray(minimum_energy_mev, dtype=float), MICHEL_ENDPOINT_MEV)
        middle, half = (MICHEL_ENDPOINT_MEV + low) / 2, (MICHEL_ENDPOINT_MEV - low) / 2
        nodes = [middle - half / np.sqrt(3), middle + half / np.sqrt(3)]
        weights = [self.density_per_mev(node) * half for node in nodes]
        return np.stack([weights[0] * nodes[0] ** -float(k) + weights[1] * nodes[1] ** -float(k) for k in range(3)])


NU_E_SPECTRUM = MichelSpectrum(quadratic=96.0, cubic=-192.0)
"""nu_e of muon decay at rest: (192/m_mu)(E/m_mu)^2 (1/2 - E/m_mu), Eq. (13)."""

ANTI_NU_MU_SPECTRUM = MichelSpectrum(quadratic=48.0, cubic=-64.0)
"""anti-nu_mu of muon decay at rest: (64/m_mu)(E/m_mu)^2 (3/4 - E/m_mu), Eq. (12)."""


@dataclass(frozen=True)
class FluxComponent:
    """One kind of neutrino from a source."""

    name: str
    flavour: str
    """``"e"``, ``"mu"`` or ``"tau"``."""
    antineutrino: bool
    spectrum: Spectrum
    lifetimes_us: tuple[float, ...] = ()
    """Of the decays that it waits for after the proton; needed where arrival times are."""


PROMPT_LIFETIMES_US = (CHARGED_PION_LIFETIME_US,)
DELAYED_LIFETIMES_US = (CHARGED_PION_LIFETIME_US, MUON_LIFETIME_US)

PION_DECAY_AT_REST = (
    FluxComponent("prompt nu_mu", "mu", False, LineSpectrum(PROMPT_ENERGY_MEV), PROMPT_LIFETIMES_US),
    FluxComponent("delayed anti-nu_mu", "mu", True, ANTI_NU_MU_SPECTRUM, DELAYED_LIFETIMES_US),
    FluxComponent("delayed nu_e", "e", False, NU_E_SPECTRUM, DELAYED_LIFETIMES_US),
)
"""What the decay at rest of one pi+ and its muon emits."""


def components_by_arrival(
    components: Sequence[FluxComponent],
) -> list[tuple[tuple[float, ...], tuple[FluxComponent, ...]]]:
    """Flux components grouped by the decays that they wait for."""
    groups: dict[tuple[float, ...], list[FluxComponent]] = {}
    for component in components:
        groups.setdefault(component.lifetimes_us, []).append(component)
    return [(lifetimes, tuple(group)) for lifetimes, group in groups.items()]


@dataclass(frozen=True)
class PionDecayAtRest:
    """A pulsed source of pions that decay at rest, such as the ESS or the SNS.

    Attributes are per calendar year of operation; `duty_factor` is the share of the live time in which the
    beam is on, by which steady backgrounds are multiplied. Detectors that bin arrival times need `pulse` and
    `repetition_hz`; their steady backgrounds are multiplied by the share of the time in each bin instead.
    """

    name: str
    protons_per_year: float
    neutrinos_per_proton: float
    hours_per_year: float
    duty_factor: float
    pulse: Pulse | None = None
    repetition_hz: float | None = None

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The kinds of neutrino, each with `fluence_per_cm2`."""
        return PION_DECAY_AT_REST

    def fluence_per_cm2(self, distance_m: float, years: float) -> float:
        """Eta = r N_POT/(4 pi L^2), the neutrinos of each component per cm^2.

        >>> ess = PionDecayAtRest("ess", 2.8e23, 0.3, 5000, 0.04)
        >>> f"{ess.fluence_per_cm2(20, 1):.6e}"
        '1.671127e+15'
        """
        protons = self.protons_per_year * years
        return float(self.neutrinos_per_proton * protons / (4 * np.pi * (distance_m * 100) ** 2))

    def beam_days(self, years: float) -> float:
        """Days in which the beam is on: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor

    def days_in_time_bins(self, edges_us: ArrayLike, years: float) -> FloatArray:
        """Live days spent in each bin of the time after the beam, all pulses together: shape (bins,).

        Raises `PhysicsError` for a source without pulses, or a window longer than the time between them.
        """
        if self.pulse is None or self.repetition_hz is None:
            raise PhysicsError(f"source {self.name}: time bins need its pulse and repetition_hz")
        edges = np.asarray(edges_us, dtype=float)
        if edges[-1] - edges[0] > 1e6 / self.repetition_hz:
            raise PhysicsError(
                f"source {self.name}: time bins over {edges[-1] - edges[0]:g} us, but pulses follow each other after "
                f"{1e6 / self.repetition_hz:g} us"
            )
        return np.diff(edges) * 1e-6 * self.repetition_hz * self.hours_per_year / 24 * years
