"""Differential cross sections of neutrinos on nuclei (CEvNS) and on atomic electrons.

A scatterer describes one target particle by three things:

* amplitudes: what the Standard Model, and every coupling, contributes to each component (`vector`, `axial`,
  `magnetic`, `scalar`: see `cevnslab.physics.coupling`);
* kinematics: for a pair of components, c_k(T) with d(sigma)/dT = sum_k c_k(T) E^-k (product of amplitudes);
* the smallest neutrino energy that gives a recoil T.

Fixed-energy cross sections (here) and flux-folded counts (`cevnslab.detection.response`) are both made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.arguments import broadcast
from cevnslab.errors import PhysicsError, UnknownNameError
from cevnslab.frozen import read_only
from cevnslab.physics.atoms import effective_charge
from cevnslab.physics.constants import (
    ELECTRON_MASS_MEV,
    FERMI_CONSTANT,
    FINE_STRUCTURE,
    G_N,
    G_P,
    INVERSE_MEV2_TO_CM2,
    KEV,
    RADIATIVE_G_N,
    RADIATIVE_G_P,
    SIN2_THETA_W,
)
from cevnslab.physics.couplings import COUPLINGS, FLAVOURS, Coupling, coupling
from cevnslab.physics.flavour import MASS_STATES, NUFIT, DensityMatrix, Oscillation, StatePair, pair_weights
from cevnslab.physics.form_factors import FORM_FACTORS, FormFactor
from cevnslab.physics.nuclei import Nucleus, Target
from cevnslab.physics.nuclei import target as nuclei_of
from cevnslab.words import excerpt, nearest

FloatArray = NDArray[np.float64]
Amplitudes = dict[str, FloatArray]
"""Amplitude per component, each with the shape of the recoil energies."""
Kinematics = dict[tuple[str, str], FloatArray]
"""c_k(T) per pair of components, shape (3, *recoil energies); an unequal pair stands for both orders."""
CouplingValues = Mapping[str, float] | Mapping[Coupling, float] | Mapping[str | Coupling, float]
"""Values by name in the registry, or by declaration."""

STANDARD_COMPONENTS = frozenset({"vector", "axial"})
"""Those that the Standard Model fills."""


def components_of(couplings: Iterable[Coupling]) -> frozenset[str]:
    """The components of the amplitude that the Standard Model and some couplings fill.

    >>> sorted(components_of([coupling("mu_e"), coupling("q_ee")]))
    ['axial', 'magnetic', 'vector']
    """
    return STANDARD_COMPONENTS | {coupling.component for coupling in couplings}


class Scatterer(Protocol):
    """One kind of target particle, with respect to an elastic channel."""

    def minimum_energy_mev(self, recoil_energy_kev: FloatArray) -> FloatArray:
        """Smallest neutrino energy that gives the recoil energy."""

    def maximum_recoil_kev(self, neutrino_energy_mev: float) -> float:
        """Largest recoil energy that a neutrino energy gives."""

    def standard_model(self, flavour: str, recoil_energy_kev: FloatArray) -> Amplitudes:
        """Amplitudes for a neutrino that keeps its flavour."""

    def kernel(self, coupling: Coupling, recoil_energy_kev: FloatArray) -> Amplitudes:
        """Amplitudes per unit of a coupling; empty where it does not act on this particle."""

    def kinematics(
        self, recoil_energy_kev: FloatArray, antineutrino: bool, components: Collection[str] = STANDARD_COMPONENTS
    ) -> Kinematics:
        """c_k(T) in cm^2/keV MeV^k per pair of the components asked for (others cost no time)."""


@dataclass(frozen=True)
class NuclearScatterer:
    """Coherent elastic scattering on one nucleus, Eqs. (1), (2), (9) of arXiv:2409.10652."""

    nucleus: Nucleus
    form_factor: FormFactor
    radiative_corrections: bool = False
    """g_p, g_n of Erler and Su (arXiv:1303.5522), of which g_p depends on the flavour, in place of Eq. (2)."""

    def minimum_energy_mev(self, recoil_energy_kev: FloatArray) -> FloatArray:
        """sqrt(M T/2)."""
        return np.sqrt(self.nucleus.mass_mev * recoil_energy_kev * KEV / 2)

    def maximum_recoil_kev(self, neutrino_energy_mev: float) -> float:
        """2 E^2/M."""
        return self.nucleus.maximum_recoil_kev(neutrino_energy_mev)

    def form_factors(self, recoil_energy_kev: FloatArray) -> tuple[FloatArray, FloatArray]:
        """F_p(q), F_n(q) at q = sqrt(2 M T)."""
        momentum_transfer_mev = np.sqrt(2 * self.nucleus.mass_mev * recoil_energy_kev * KEV)
        protons = self.form_factor(momentum_transfer_mev, self.nucleus.rms_radius_fm)
        if self.nucleus.neutron_radius_fm == self.nucleus.rms_radius_fm:
            return protons, protons
        return protons, self.form_factor(momentum_transfer_mev, self.nucleus.neutron_radius_fm)

    def standard_model(self, flavour: str, recoil_energy_kev: FloatArray) -> Amplitudes:
        """The weak charge g_p Z F_p + g_n N F_n; at tree level the same for every flavour."""
        g_p, g_n = (RADIATIVE_G_P[flavour], RADIATIVE_G_N) if self.radiative_corrections else (G_P, G_N)
        protons, neutrons = self.form_factors(recoil_energy_kev)
        return {"vector": g_p * self.nucleus.proton_number * protons + g_n * self.nucleus.neutron_number * neutrons}

    def kernel(self, coupling: Coupling, recoil_energy_kev: FloatArray) -> Amplitudes:
        """What a unit of the coupling's strength adds to its component, such as the weak charge."""
        if coupling.nucleus is None:
            return {}
        # A kernel may be a user's: it must not change what the next coupling is computed from.
        arguments = (read_only(array) for array in self.form_factors(recoil_energy_kev))
        return {coupling.component: coupling.nucleus(read_only(recoil_energy_kev), self.nucleus, *arguments)}

    def kinematics(
        self, recoil_energy_kev: FloatArray, antineutrino: bool, components: Collection[str] = STANDARD_COMPONENTS
    ) -> Kinematics:
        """Of each component that nuclei have; none depends on neutrino or antineutrino.

        * vector: (G_F^2 M/pi)(1 - M T/2E^2), Eq. (1); drops -T/E, below 0.5 % of all counts, as the paper does;
        * magnetic: (pi alpha^2/m_e^2)(1/T - 1/E), for moments in mu_B (Vogel, Engel, Phys. Rev. D 39 (1989) 3378);
        * scalar: M^2 T/(4 pi E^2) (Cerdeno et al., arXiv:1604.01025).
        """
        mass, recoil = self.nucleus.mass_mev, recoil_energy_kev * KEV
        per_kev = INVERSE_MEV2_TO_CM2 * KEV
        one, zero = np.ones_like(recoil), np.zeros_like(recoil)
        result: Kinematics = {}
        if "vector" in components:
            prefactor = FERMI_CONSTANT**2 * mass / np.pi * per_kev
            result["vector", "vector"] = prefactor * np.stack([one, zero, -mass * recoil / 2])
        if "magnetic" in components:
            result["magnetic", "magnetic"] = _magnetic_prefactor() * np.stack([1 / recoil, -one, zero])
        if "scalar" in components:
            result["scalar", "scalar"] = per_kev * np.stack([zero, zero, mass**2 * recoil / (4 * np.pi)])
        return result


def _magnetic_prefactor() -> float:
    """Pi alpha^2/m_e^2 in cm^2 MeV/keV, that is per mu_B^2."""
    return np.pi * (FINE_STRUCTURE / ELECTRON_MASS_MEV) ** 2 * INVERSE_MEV2_TO_CM2 * KEV


@dataclass(frozen=True)
class AtomicElectrons:
    """Elastic scattering on the Z_eff(T) electrons of one atom, Eqs. (4), (10) of arXiv:2409.10652."""

    symbol: str

    def minimum_energy_mev(self, recoil_energy_kev: FloatArray) -> FloatArray:
        """(T + sqrt(T^2 + 2 m_e T))/2."""
        recoil_energy_mev = recoil_energy_kev * KEV
        return (recoil_energy_mev + np.sqrt(recoil_energy_mev * (recoil_energy_mev + 2 * ELECTRON_MASS_MEV))) / 2

    def maximum_recoil_kev(self, neutrino_energy_mev: float) -> float:
        """2 E^2/(2 E + m_e)."""
        return 2 * neutrino_energy_mev**2 / (2 * neutrino_energy_mev + ELECTRON_MASS_MEV) / KEV

    def standard_model(self, flavour: str, recoil_energy_kev: FloatArray) -> Amplitudes:
        """g_V, g_A: nu_e has the charged current too, which adds 1 to both."""
        charged_current = 1.0 if flavour == "e" else 0.0
        one = np.ones_like(recoil_energy_kev)
        return {
            "vector": (charged_current - 0.5 + 2 * SIN2_THETA_W) * one,
            "axial": (charged_current - 0.5) * one,
        }

    def kernel(self, coupling: Coupling, recoil_energy_kev: FloatArray) -> Amplitudes:
        """What a unit of the coupling's strength adds to its component, such as g_V."""
        return (
            {} if coupling.electron is None else {coupling.component: coupling.electron(read_only(recoil_energy_kev))}
        )

    def kinematics(
        self, recoil_energy_kev: FloatArray, antineutrino: bool, components: Collection[str] = STANDARD_COMPONENTS
    ) -> Kinematics:
        """Of each pair of components, all times Z_eff(T).

        * vector, axial: Eq. (4) sorted by products of couplings; g_A changes sign for antineutrinos:
          g_V^2 {1 + (1-T/E)^2 - m_e T/E^2} + g_A^2 {1 + (1-T/E)^2 + m_e T/E^2} + 2 g_V g_A {1 - (1-T/E)^2};
        * magnetic: (pi alpha^2/m_e^2)(1/T - 1/E), as on nuclei;
        * scalar: m_e^2 T (1 + T/2m_e)/(4 pi E^2), as on nuclei with the target's recoil kept.
        """
        recoil = recoil_energy_kev * KEV
        freed = effective_charge(self.symbol, recoil_energy_kev)
        prefactor = freed * (FERMI_CONSTANT**2 * ELECTRON_MASS_MEV / (2 * np.pi)) * (INVERSE_MEV2_TO_CM2 * KEV)
        two, zero = np.full_like(recoil, 2.0), np.zeros_like(recoil)
        mass_term = ELECTRON_MASS_MEV * recoil
        sign = -1.0 if antineutrino else 1.0
        result: Kinematics = {}
        if "vector" in components:
            result["vector", "vector"] = prefactor * np.stack([two, -2 * recoil, recoil**2 - mass_term])
        if "axial" in components:
            result["axial", "axial"] = prefactor * np.stack([two, -2 * recoil, recoil**2 + mass_term])
        if "vector" in components and "axial" in components:
            result["vector", "axial"] = sign * prefactor * np.stack([zero, 2 * recoil, -(recoil**2)])
        if "magnetic" in components:
            charges = freed * _magnetic_prefactor()
            result["magnetic", "magnetic"] = charges * np.stack([1 / recoil, -two / 2, zero])
        if "scalar" in components:
            square = ELECTRON_MASS_MEV * recoil * (ELECTRON_MASS_MEV + recoil / 2) / (4 * np.pi)
            result["scalar", "scalar"] = freed * (INVERSE_MEV2_TO_CM2 * KEV) * np.stack([zero, zero, square])
        return result


def scatterers(
    target: Target, channel: str, form_factor: str = "helm", radiative_corrections: bool = False
) -> list[tuple[Scatterer, float]]:
    """The scatterers of a target in a channel, each with its number per formula unit.

    Parameters
    ----------
    channel
        ``"cevns"`` or ``"electron"``.
    form_factor
        A name of `cevnslab.physics.form_factors.FORM_FACTORS`.
    radiative_corrections
        Corrected couplings on nuclei; `PhysicsError` for electrons, for which none are known here.

    """
    if not isinstance(form_factor, str) or form_factor not in FORM_FACTORS:
        raise UnknownNameError(f"no form factor {excerpt(form_factor)}; {nearest(str(form_factor), FORM_FACTORS)}")
    if channel == "cevns":
        density = FORM_FACTORS[form_factor]
        return [
            (NuclearScatterer(c.nucleus, density, radiative_corrections), c.per_formula_unit)
            for c in target.constituents
        ]
    if channel == "electron":
        if radiative_corrections:
            raise PhysicsError("radiative_corrections: corrected couplings are available for nuclei, not for electrons")
        atoms: dict[str, float] = {}
        for c in target.constituents:
            atoms[c.nucleus.symbol] = atoms.get(c.nucleus.symbol, 0.0) + c.per_formula_unit
        return [(AtomicElectrons(symbol), count) for symbol, count in atoms.items()]
    raise UnknownNameError(f"no channel {excerpt(channel)}; {nearest(str(channel), ['cevns', 'electron'])}")


def outgoing_basis(incoming: str, couplings: list[Coupling]) -> list[tuple[str, list[Coupling | None]]]:
    """For every outgoing state, what contributes to its amplitude: None stands for the Standard Model.

    Flavours scatter to flavours; the Standard Model's amplitude is counted there, none with mass states.

    >>> [(beta, len(basis)) for beta, basis in outgoing_basis("e", [coupling("q_ee"), coupling("q_emu")])]
    [('e', 2), ('mu', 1)]
    """
    rows: list[tuple[str, list[Coupling | None]]] = []
    for outgoing in FLAVOURS if incoming in FLAVOURS else MASS_STATES:
        basis: list[Coupling | None] = [None] if outgoing == incoming and incoming in FLAVOURS else []
        basis += [coupling for coupling in couplings if coupling.joins(incoming, outgoing)]
        if basis:
            rows.append((outgoing, basis))
    return rows


def _cross_section(
    scatterer: Scatterer,
    recoil_energy_kev: FloatArray,
    neutrino_energy_mev: FloatArray,
    strengths: Mapping[Coupling, float],
    weights: Mapping[StatePair, float],
    antineutrino: bool,
) -> FloatArray:
    """Sum over pairs of states, outgoing states and pairs of components of c_k(T) E^-k times the amplitudes."""
    kinematics = scatterer.kinematics(recoil_energy_kev, antineutrino, components_of(strengths))
    powers = neutrino_energy_mev ** -np.arange(3.0).reshape(3, *(1,) * recoil_energy_kev.ndim)
    total = np.zeros_like(recoil_energy_kev)

    def amplitudes(incoming: str) -> dict[str, Amplitudes]:
        by_outgoing: dict[str, Amplitudes] = {}
        for outgoing, basis in outgoing_basis(incoming, list(strengths)):
            amplitude = by_outgoing.setdefault(outgoing, {})
            for each in basis:
                if each is None:
                    parts, factor = scatterer.standard_model(incoming, recoil_energy_kev), 1.0
                else:
                    parts = scatterer.kernel(each, recoil_energy_kev)
                    factor = strengths[each] * each.weight(incoming, outgoing)
                for component, part in parts.items():
                    amplitude[component] = amplitude.get(component, 0.0) + factor * part
        return by_outgoing

    for (alpha, beta), weight in weights.items():
        left, right = amplitudes(alpha), amplitudes(beta)
        for outgoing in left.keys() & right.keys():
            a, b = left[outgoing], right[outgoing]
            for (first, second), coefficients in kinematics.items():
                orders = [(first, second)] if first == second else [(first, second), (second, first)]
                for one, other in orders:
                    if one in a and other in b:
                        total += weight * a[one] * b[other] * np.sum(coefficients * powers, axis=0)
    allowed = scatterer.minimum_energy_mev(recoil_energy_kev) < neutrino_energy_mev
    return np.where(allowed, total, 0.0)


def differential(
    channel: str,
    recoil_energy_kev: ArrayLike,
    neutrino_energy_mev: ArrayLike,
    target: Target | str,
    *,
    couplings: CouplingValues | None = None,
    incoming: str | DensityMatrix = "e",
    antineutrino: bool = False,
    form_factor: str = "helm",
    radiative_corrections: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
    oscillation: Oscillation = NUFIT,
) -> FloatArray:
    """d(sigma)/dT per formula unit of a target in a channel, in cm^2/keV; 0 beyond the endpoint.

    `cevns` and `electron_scattering` are this for one channel; see them for the formulas and parameters. A neutrino may
    also come in as a mass state of `oscillation`, ``"1"``, ``"2"`` or ``"3"``, or with a density matrix in flavour; the
    cross section is then Tr(Q rho Q^+).

    >>> new = {"eps_emu_u": 0.1}
    >>> states = [float(differential("cevns", 1.0, 10.0, "Xe", couplings=new, incoming=each)) for each in ("e", "2")]
    >>> round(states[1] / states[0], 3)  # interference between flavours
    0.376
    """
    resolved = target if isinstance(target, Target) else nuclei_of(target)
    strengths: dict[Coupling, float] = {}
    if not isinstance(couplings, Mapping | None):
        raise PhysicsError(f"couplings: must be names and values, such as a dict, got {excerpt(couplings)}")
    for key, value in (couplings or {}).items():
        declared = key if isinstance(key, Coupling) else coupling(key, registry)
        checked = declared.check(value)
        if declared.rebuild is not None:
            resolved = declared.rebuild(resolved, checked)
        else:
            strengths[declared] = declared.strength(checked)
    recoil, energy = broadcast(recoil_energy_kev=recoil_energy_kev, neutrino_energy_mev=neutrino_energy_mev)
    if not np.all(recoil > 0) or not np.all(energy > 0):
        raise PhysicsError("recoil energies and neutrino energies must be above 0")
    weights = pair_weights(incoming, oscillation, antineutrino)
    total = np.zeros(recoil.shape)
    for scatterer, count in scatterers(resolved, channel, form_factor, radiative_corrections):
        total += count * _cross_section(scatterer, recoil, energy, strengths, weights, antineutrino)
    return total


def cevns(
    recoil_energy_kev: ArrayLike,
    neutrino_energy_mev: ArrayLike,
    target: Target | str,
    *,
    couplings: CouplingValues | None = None,
    incoming: str | DensityMatrix = "e",
    form_factor: str = "helm",
    radiative_corrections: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
) -> FloatArray:
    """CEvNS cross section d(sigma)/dT in cm^2/keV, Eqs. (1), (2), (8), (9) of arXiv:2409.10652.

    `d(sigma)/dT = (G_F^2 M/pi)(1 - M T/2E^2) sum_b |Q_ab|^2`,
    Q_ab = delta_ab [g_p Z F_p + g_n N F_n] + sum over couplings, for T < 2E^2/M. The same for antineutrinos.
    Magnetic moments and scalars add terms of their own (`NuclearScatterer.kinematics`).

    Parameters
    ----------
    recoil_energy_kev, neutrino_energy_mev
        T in keV and E in MeV; they broadcast.
    of
        A `Target`, or a formula; the sum over the nuclei of one formula unit.
    couplings
        Values by name or declaration, in plain units; `UnknownNameError`, `PhysicsError` out of bounds.
    incoming
        Flavour ``"e"``, ``"mu"`` or ``"tau"``; mass states and density matrices as for `differential`.
    form_factor
        A name of `cevnslab.form_factors.FORM_FACTORS`.
    radiative_corrections
        g_p(nu_e, nu_mu, nu_tau) = 0.0382, 0.0300, 0.0256 and g_n = -0.5117 (arXiv:1303.5522) in place of Eq. (2);
        their g_p hold the charge radii of the Standard Model.

    Examples
    --------
    >>> f"{float(cevns(0.6, 10.0, 'Ge')):.9e}"
    '3.447293604e-40'
    >>> f"{float(cevns(0.6, 10.0, 'Ge', couplings={'q_ee': 5e-9})):.9e}"
    '6.690185696e-41'
    >>> ratio = cevns(0.6, 10.0, "Ge", radiative_corrections=True) / cevns(0.6, 10.0, "Ge")
    >>> round(float(ratio), 4)
    0.9984

    """
    return differential(
        "cevns",
        recoil_energy_kev,
        neutrino_energy_mev,
        target,
        couplings=couplings,
        incoming=incoming,
        form_factor=form_factor,
        radiative_corrections=radiative_corrections,
        registry=registry,
    )


def electron_scattering(
    recoil_energy_kev: ArrayLike,
    neutrino_energy_mev: ArrayLike,
    target: Target | str,
    *,
    couplings: CouplingValues | None = None,
    incoming: str | DensityMatrix = "e",
    antineutrino: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
) -> FloatArray:
    """Neutrino-electron cross section d(sigma)/dT_e on atoms in cm^2/keV, Eqs. (4), (10) of arXiv:2409.10652.

    Z_eff(T)(G_F^2 m_e/2pi){(g_V+g_A)^2 + (g_V-g_A)^2 (1-T/E)^2 - (g_V^2-g_A^2) m_e T/E^2}, T < 2E^2/(2E+m_e);
    nu_e: g_V = 1/2 + 2 s^2, g_A = 1/2; nu_mu, nu_tau: -1/2 + 2 s^2, -1/2; antineutrinos: g_A -> -g_A.

    Parameters as for `cevns`; the sum over the atoms of one formula unit.

    >>> f"{float(electron_scattering(0.15, 10.0, 'Cs')):.9e}"
    '1.972379464e-46'
    """
    return differential(
        "electron",
        recoil_energy_kev,
        neutrino_energy_mev,
        target,
        couplings=couplings,
        incoming=incoming,
        antineutrino=antineutrino,
        registry=registry,
    )
