"""Pions that decay at rest: the ESS, the SNS and their like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cevnslab.physics.arrival_times import Pulse
from cevnslab.physics.constants import (
    CHARGED_PION_LIFETIME_US,
    CHARGED_PION_MASS_MEV,
    MUON_LIFETIME_US,
    MUON_MASS_MEV,
)
from cevnslab.physics.sources.source import (
    FluxComponent,
    FluxNuisance,
    check_live_time,
    check_positive,
    required_distance_m,
)
from cevnslab.physics.spectra import ANTI_NU_MU_SPECTRUM, NU_E_SPECTRUM, LineSpectrum

PROMPT_ENERGY_MEV = (CHARGED_PION_MASS_MEV**2 - MUON_MASS_MEV**2) / (2 * CHARGED_PION_MASS_MEV)
"""Energy of the muon neutrino of pi+ -> mu+ nu_mu at rest, Eq. (11) of arXiv:2409.10652: 29.79 MeV."""

PROMPT_LIFETIMES_US = (CHARGED_PION_LIFETIME_US,)
DELAYED_LIFETIMES_US = (CHARGED_PION_LIFETIME_US, MUON_LIFETIME_US)

PION_DECAY_AT_REST = (
    FluxComponent("prompt nu_mu", "mu", False, LineSpectrum(PROMPT_ENERGY_MEV), PROMPT_LIFETIMES_US),
    FluxComponent("delayed anti-nu_mu", "mu", True, ANTI_NU_MU_SPECTRUM, DELAYED_LIFETIMES_US),
    FluxComponent("delayed nu_e", "e", False, NU_E_SPECTRUM, DELAYED_LIFETIMES_US),
)
"""What the decay at rest of one pi+ and its muon emits."""


@dataclass(frozen=True)
class PionDecayAtRest:
    """A pulsed source of pions that decay at rest, such as the ESS or the SNS.

    Attributes are per calendar year of operation; `duty_factor` is the share of the live time in which the
    beam is on, by which steady backgrounds are multiplied. Detectors that bin arrival times need `pulse` and
    `repetition_hz`; their steady backgrounds are multiplied by the share of the time in each bin instead.

    Raises `PhysicsError` for numbers that are not above 0, more hours than a year has, and a share above 1.
    """

    name: str
    protons_per_year: float
    neutrinos_per_proton: float
    hours_per_year: float
    duty_factor: float
    pulse: Pulse | None = None
    repetition_hz: float | None = None

    needs_distance = True
    burst = False

    def __post_init__(self) -> None:
        check_positive(self.name, "protons_per_year", self.protons_per_year)
        check_positive(self.name, "neutrinos_per_proton", self.neutrinos_per_proton)
        check_live_time(self.name, self.hours_per_year, self.duty_factor)

    @property
    def components(self) -> tuple[FluxComponent, ...]:
        """The kinds of neutrino, each with `fluence_per_cm2`."""
        return PION_DECAY_AT_REST

    @property
    def nuisances(self) -> tuple[FluxNuisance, ...]:
        """None: one normalisation holds for all three."""
        return ()

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Eta = r N_POT/(4 pi L^2), the neutrinos of each component per cm^2.

        >>> ess = PionDecayAtRest("ess", 2.8e23, 0.3, 5000, 0.04)
        >>> f"{ess.fluence_per_cm2(20, 1):.6e}"
        '1.671127e+15'
        """
        distance = required_distance_m(self.name, distance_m)
        protons = self.protons_per_year * years
        return float(self.neutrinos_per_proton * protons / (4 * np.pi * (distance * 100) ** 2))

    def beam_days(self, years: float) -> float:
        """Days in which the beam is on: live time times duty factor."""
        return self.hours_per_year / 24 * years * self.duty_factor
