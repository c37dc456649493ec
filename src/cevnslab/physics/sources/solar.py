"""The Sun: branches of neutrino production, their fluxes, and what of them arrives in which mass state."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from cevnslab.arguments import word
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.physics.flavour import MASS_STATES, NUFIT, Oscillation
from cevnslab.physics.solar_propagation import mass_state_shares
from cevnslab.physics.sources.source import FluxComponent, FluxNuisance, Steady
from cevnslab.physics.spectra import LineSpectrum, Spectrum, TabulatedSpectrum
from cevnslab.words import excerpt, nearest

BranchName = Literal["pp", "pep", "hep", "7Be", "8B", "13N", "15O", "17F"]
FluxModel = Literal["sno", "b16-gs98"]
Shape8B = Literal["winter", "bahcall"]


@dataclass(frozen=True)
class SolarBranch:
    """One reaction or decay that emits neutrinos in the Sun."""

    flux_per_cm2_s: float
    """B16-GS98 (Vinyoles et al., Astrophys. J. 835 (2017) 202, arXiv:1611.09867)."""
    uncertainty: float
    """Relative."""
    electron_density: float
    """Effective, where it is produced: Avogadro's number per cm^3. One number stands for the average over production
    on the profiles of B16-GS98; P_ee agrees to 5e-5 (8B: 7e-4, hep: 9e-3)."""
    lines: tuple[tuple[float, float], ...] = ()
    """(energy in MeV, share) pairs; where there are none, the spectrum is a table of `data/solar`."""


BRANCHES: Mapping[str, SolarBranch] = MappingProxyType(
    {
        "pp": SolarBranch(5.98e10, 0.006, 60.95),
        "pep": SolarBranch(1.44e8, 0.01, 66.88, lines=((1.442, 1.0),)),
        "hep": SolarBranch(7.98e3, 0.30, 46.0),
        "7Be": SolarBranch(4.93e9, 0.06, 79.58, lines=((0.3843, 0.1034), (0.8618, 0.8966))),
        "8B": SolarBranch(5.46e6, 0.12, 87.5),
        "13N": SolarBranch(2.78e8, 0.15, 74.17),
        "15O": SolarBranch(2.05e8, 0.17, 86.22),
        "17F": SolarBranch(5.28e6, 0.20, 87.05),
    }
)
"""The branches by name."""

SNO_8B = (5.25e6, 0.0381)
"""Flux of 8B per cm^2 and s, all flavours, by neutral currents, and its relative error (SNO, arXiv:1109.0763)."""

HOURS_PER_YEAR = 365.25 * 24


@dataclass(frozen=True)
class Sun(Steady):
    """Solar neutrinos at the Earth, averaged over the year, by day.

    Each branch arrives as an incoherent mixture of mass states, with the shares of
    `cevnslab.physics.solar_propagation.mass_state_shares` at one effective density. Transition couplings therefore
    interfere with the Standard Model. Each branch is a part of the flux with its uncertainty as a nuisance, such as
    ``solar.flux_8b``. Non-standard interactions act in the Sun, too: that is neglected, and is small for couplings that
    keep the flavour.

    Raises `UnknownNameError` for a branch, flux or shape that there is not, `PhysicsError` for none, or one twice.

    >>> sun = Sun("solar", ("8B", "hep"))
    >>> [component.name for component in sun.components][:3], sun.nuisances[0].name
    (['8B nu_1', '8B nu_2', '8B nu_3'], 'flux_8b')
    """

    name: str
    branches: tuple[str, ...] = tuple(BRANCHES)
    flux: FluxModel = "sno"
    """``"sno"``: the flux of 8B as SNO measured it, the others B16-GS98; ``"b16-gs98"``: all of the model."""
    shape_8b: Shape8B = "winter"
    """Winter et al., Phys. Rev. C 73 (2006) 025503, or Bahcall et al., Phys. Rev. C 54 (1996) 411."""
    oscillation: Oscillation = NUFIT

    hours_per_year = HOURS_PER_YEAR
    duty_factor = 1.0
    needs_distance = False

    def __post_init__(self) -> None:
        if not self.branches or len(set(self.branches)) != len(self.branches):
            raise PhysicsError(f"source {self.name}: branches must be one or more, each once")
        for branch in self.branches:
            if branch not in BRANCHES:
                raise UnknownNameError(f"source {self.name}: no branch {excerpt(branch)}; {nearest(branch, BRANCHES)}")
        word(f"source {self.name}: flux", self.flux, get_args(FluxModel))
        word(f"source {self.name}: shape_8b", self.shape_8b, get_args(Shape8B))

    def flux_per_cm2_s(self, branch: str) -> tuple[float, float]:
        """Flux of a branch, all flavours, and its relative uncertainty."""
        if branch == "8B" and self.flux == "sno":
            return SNO_8B
        return BRANCHES[branch].flux_per_cm2_s, BRANCHES[branch].uncertainty

    def mass_state_shares(self, branch: str, energy_mev: float) -> tuple[float, float, float]:
        """Shares of the mass states of a branch at an energy."""
        first, second, third = mass_state_shares(energy_mev, BRANCHES[branch].electron_density, self.oscillation)
        return float(first), float(second), float(third)

    @cached_property
    def components(self) -> tuple[FluxComponent, ...]:
        """Three mass states of every branch and line, each with its flux at the Earth as yield."""
        return tuple(component for branch in self.branches for component in self._of_branch(branch))

    def _of_branch(self, branch: str) -> list[FluxComponent]:
        flux, _ = self.flux_per_cm2_s(branch)
        density, lines = BRANCHES[branch].electron_density, BRANCHES[branch].lines
        components: list[FluxComponent] = []
        for state, name in enumerate(MASS_STATES):
            spectra: list[tuple[str, Spectrum, float]] = []
            for energy, share in lines:
                weight = float(mass_state_shares(energy, density, self.oscillation)[state])
                label = f"{branch} {energy:g} MeV" if len(lines) > 1 else branch
                spectra.append((label, LineSpectrum(energy), share * weight))
            if not lines:
                energies, densities = spectrum_points(branch, self.shape_8b)
                weights = np.array(densities) * mass_state_shares(energies, density, self.oscillation)[state]
                if np.any(weights > 0):
                    table = TabulatedSpectrum(energies, tuple(weights.tolist()))
                    spectra.append((branch, table.normalised(), table.integral))
            components += [
                FluxComponent(
                    f"{label} nu_{name}",
                    name,
                    False,
                    spectrum,
                    yield_per_primary=flux * share,
                    part=_part(branch),
                    oscillation=self.oscillation,
                )
                for label, spectrum, share in spectra
                if share > 0  # without mixing a mass state may not arrive at all
            ]
        return components

    @property
    def nuisances(self) -> tuple[FluxNuisance, ...]:
        """The flux of every branch."""
        return tuple(
            FluxNuisance(f"flux_{_part(branch)}", (_part(branch),), self.flux_per_cm2_s(branch)[1])
            for branch in self.branches
        )

    def fluence_per_cm2(self, distance_m: float | None, years: float) -> float:
        """Seconds: the components' yields are fluxes at the Earth."""
        return self.beam_seconds(years)


def _part(branch: str) -> str:
    return branch.lower()


@functools.cache
def spectrum_points(branch: str, shape_8b: Shape8B = "winter") -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Energies in MeV and densities per MeV of one neutrino of a branch: the tables of `data/solar`, normalised.

    Raises `UnknownNameError` for a branch without a continuous spectrum.
    """
    from scipy.integrate import trapezoid  # numpy's has another name before 2.0

    tabulated = [name for name, each in BRANCHES.items() if not each.lines]
    if branch not in tabulated:
        raise UnknownNameError(f"no spectrum of {excerpt(branch)}; {nearest(branch, tabulated)}")
    name = "8B-winter.csv" if (branch, shape_8b) == ("8B", "winter") else f"{branch}-bahcall.txt"
    text = importlib.resources.files("cevnslab").joinpath("data", "solar", name).read_text(encoding="utf-8")
    table = np.loadtxt(text.splitlines(), delimiter=",")
    table = table[table[:, 0] > 0]
    last = int(np.flatnonzero(table[:, 1] > 0)[-1]) + 2  # the first zero after the end belongs to the spectrum
    energy, density = table[:last, 0], table[:last, 1]
    density = density / trapezoid(density, energy)
    return tuple(energy.tolist()), tuple(density.tolist())
