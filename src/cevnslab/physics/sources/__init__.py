"""Neutrino sources: what is emitted, per flavour, and how many of it reach a detector.

The spectra and their moments are in `cevnslab.physics.spectra` and `cevnslab.physics.reactor_spectra`.
"""

from cevnslab.physics.sources.pion_decay import (
    DELAYED_LIFETIMES_US,
    PION_DECAY_AT_REST,
    PROMPT_ENERGY_MEV,
    PROMPT_LIFETIMES_US,
    PionDecayAtRest,
)
from cevnslab.physics.sources.reactor import ENERGY_PER_FISSION_MEV, Reactor, ReactorCore, TotalFlux
from cevnslab.physics.sources.solar import BRANCHES, SolarBranch, Sun
from cevnslab.physics.sources.source import (
    FluxComponent,
    FluxNuisance,
    Source,
    components_by_arrival,
    components_by_part,
    days_in_time_bins,
    neutrinos_per_cm2,
    total_flux_per_cm2_s,
)
from cevnslab.physics.sources.supernova import SPECIES, Emission, Supernova
from cevnslab.physics.sources.tables import TabulatedBurst, TabulatedSource
from cevnslab.physics.spectra import (
    ANTI_NU_MU_SPECTRUM,
    MICHEL_ENDPOINT_MEV,
    NU_E_SPECTRUM,
    LineSpectrum,
    MichelSpectrum,
    Spectrum,
    TabulatedSpectrum,
)

__all__ = [
    "ANTI_NU_MU_SPECTRUM",
    "BRANCHES",
    "DELAYED_LIFETIMES_US",
    "ENERGY_PER_FISSION_MEV",
    "MICHEL_ENDPOINT_MEV",
    "NU_E_SPECTRUM",
    "PION_DECAY_AT_REST",
    "PROMPT_ENERGY_MEV",
    "PROMPT_LIFETIMES_US",
    "SPECIES",
    "Emission",
    "FluxComponent",
    "FluxNuisance",
    "LineSpectrum",
    "MichelSpectrum",
    "PionDecayAtRest",
    "Reactor",
    "ReactorCore",
    "SolarBranch",
    "Source",
    "Spectrum",
    "Sun",
    "Supernova",
    "TabulatedBurst",
    "TabulatedSource",
    "TabulatedSpectrum",
    "TotalFlux",
    "components_by_arrival",
    "components_by_part",
    "days_in_time_bins",
    "neutrinos_per_cm2",
    "total_flux_per_cm2_s",
]
