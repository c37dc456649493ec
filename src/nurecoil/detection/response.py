"""The response: counts per bin as a quadratic form in the couplings.

For incoming flavour alpha and outgoing beta the amplitude is a sum of known kernels times couplings,
Q_ab(T) = sum_a theta_a K_a(T) with theta = 1 for the Standard Model where alpha = beta. Hence in every bin

    counts_i(theta) = sum over products theta_a theta_b of R_i,ab,
    R_i,ab = integral of S_i(T) w_alpha(T) K_a(T) K_b(T) dT,

with S_i the smeared, efficient bin window and w_alpha the flux-averaged kinematics. The integrals are done once per
detector; everything after is algebra on these small arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nurecoil.detection.detector import Detector, EfficiencyTable
from nurecoil.detection.quadrature import RecoilNodes, bin_windows, recoil_nodes
from nurecoil.errors import PhysicsError
from nurecoil.physics.atoms import binding_energies_kev
from nurecoil.physics.couplings import COUPLINGS, Coupling, coupling
from nurecoil.physics.cross_sections import (
    Amplitudes,
    AtomicElectrons,
    Scatterer,
    components_of,
    outgoing_basis,
    scatterers,
)
from nurecoil.physics.sources import FluxComponent, Source

FloatArray = NDArray[np.float64]
Monomial = tuple[int, ...]
"""Which couplings are multiplied, by their index: () the Standard Model, (a,) linear, (a, b) quadratic."""

CHANNELS = ("cevns", "electron")


@dataclass(frozen=True, eq=False)
class Response:
    """Expected counts of one detector for a whole exposure, as a polynomial in the couplings.

    >>> import nurecoil as nr
    >>> ge = nr.response(nr.load_source("ess"), nr.load_detector("ess-ge"), couplings=["q_ee"], years=3)
    >>> round(float(ge.counts().sum()), 4)
    3874.6091
    >>> round(float(ge.counts(q_ee=3e-9).sum()), 1)
    3776.7
    """

    detector: Detector
    couplings: tuple[Coupling, ...]
    channels: tuple[str, ...]
    monomials: tuple[Monomial, ...]
    """The products of couplings that contribute; () first."""
    coefficients: Mapping[str, FloatArray]
    """Per channel, counts per unit of each product: shape (monomials, bins)."""
    background: FloatArray
    """Background counts, shape (bins,)."""

    @property
    def channel_label(self) -> str:
        """The channels as outputs name them, such as ``cevns+electron``."""
        return "+".join(self.channels)

    @property
    def bin_edges_kev(self) -> FloatArray:
        """Reconstructed bin edges, shape (bins + 1,)."""
        return self.detector.bin_edges_kev

    @cached_property
    def signal(self) -> FloatArray:
        """The coefficients summed over the channels: shape (monomials, bins)."""
        return np.asarray(np.sum([self.coefficients[channel] for channel in self.channels], axis=0))

    def standard_model(self, channel: str) -> FloatArray:
        """Standard Model counts of one channel, shape (bins,); zero for a channel that is not folded."""
        if channel not in self.coefficients:
            return np.zeros(len(self.background))
        return np.asarray(self.coefficients[channel][0])

    def counts(self, **values: float) -> FloatArray:
        """Signal counts per bin, shape (bins,), with couplings in their plain units; others as in the Standard Model.

        Raises `UnknownNameError` or `PhysicsError` for a coupling that the response does not have or a value out
        of its bounds.
        """
        own = {new.name: new for new in self.couplings}
        strengths = dict.fromkeys(range(len(self.couplings)), 0.0)
        for name, value in values.items():
            new = coupling(name, own)
            strengths[self.couplings.index(new)] = new.strength(new.check(value))
        products = [np.prod([strengths[a] for a in monomial]) for monomial in self.monomials]
        return np.asarray(np.array(products, dtype=float) @ self.signal)


def response(
    source: Source,
    detector: Detector,
    *,
    couplings: Sequence[str | Coupling] = (),
    years: float,
    channels: Sequence[str] = ("cevns",),
    form_factor: str = "helm",
    radiative_corrections: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
) -> Response:
    """Fold source, cross sections and detector into counts per bin.

    Parameters
    ----------
    couplings : names or declarations; those that are not linear in an amplitude need a response for every value.
    years : exposure in calendar years.
    channels : of ``"cevns"`` and ``"electron"``; the latter needs the detector's `electron_quenching`.
    form_factor : a name of `nurecoil.form_factors.FORM_FACTORS`.
    radiative_corrections : corrected couplings on nuclei (`nurecoil.cross_sections.cevns`).

    Raises `PhysicsError` where no recoil reaches the bins, a table does not cover the energies needed, or a
    channel is not one of the two.

    """
    if not years > 0:
        raise PhysicsError(f"the exposure must be above 0 years, got {years:g}")
    declared = tuple(coupling(new, registry) if isinstance(new, str) else new for new in couplings)
    if len(set(declared)) != len(declared):
        raise PhysicsError(f"couplings must be unique, got {', '.join(new.name for new in declared)}")
    for new in declared:
        if not new.linear:
            raise PhysicsError(
                f"{new.name} is not linear in an amplitude: build the response of a target that has the value "
                "(the coupling's `rebuild` makes it)"
            )
    if not channels or len(set(channels)) != len(channels) or not set(channels) <= set(CHANNELS):
        raise PhysicsError(
            f"channels must be one or both of {', '.join(CHANNELS)}, got {', '.join(channels) or 'none'}"
        )
    terms = {
        channel: _channel_terms(source, detector, declared, years, channel, form_factor, radiative_corrections)
        for channel in channels
    }
    monomials = sorted({monomial for by_monomial in terms.values() for monomial in by_monomial} | {()}, key=_order)
    nothing = np.zeros(len(detector.bin_edges_kev) - 1)
    coefficients = {
        channel: np.array([by_monomial.get(monomial, nothing) for monomial in monomials])
        for channel, by_monomial in terms.items()
    }
    background = detector.background_per_kg_day * detector.mass_kg * source.beam_days(years)
    return Response(detector, declared, tuple(channels), tuple(monomials), coefficients, background)


def _order(monomial: Monomial) -> tuple[int, Monomial]:
    return len(monomial), monomial


def _channel_terms(
    source: Source,
    detector: Detector,
    couplings: tuple[Coupling, ...],
    years: float,
    channel: str,
    form_factor: str,
    radiative_corrections: bool,
) -> dict[Monomial, FloatArray]:
    """Counts per bin of every monomial in one channel."""
    # An electron recoil T_e gives the light of a nuclear recoil T_e/quenching: integrate over that axis.
    recoil_per_axis = 1.0
    if channel == "electron":
        if detector.electron_quenching is None:
            raise PhysicsError(f"detector {detector.name}: the electron channel needs electron_quenching")
        recoil_per_axis = detector.electron_quenching
    particles = scatterers(detector.target, channel, form_factor, radiative_corrections)
    components = source.components
    nodes = _nodes(detector, particles, components, recoil_per_axis)
    windows = bin_windows(detector.bin_edges_kev, detector.resolution, detector.efficiency, nodes.recoil_energy_kev)
    recoil = nodes.recoil_energy_kev * recoil_per_axis
    fluence = source.fluence_per_cm2(detector.distance_m, years)
    first = detector.target.constituents[0]
    formula_units = detector.mass_kg * detector.target.nuclei_per_kg(first) / first.per_formula_unit
    integrands: dict[Monomial, FloatArray] = {}
    for particle, per_unit in particles:
        measure = nodes.weight_kev * (recoil_per_axis * fluence * formula_units * per_unit)
        _add_integrands(integrands, particle, components, couplings, recoil, measure)
    monomials = list(integrands)
    folded = np.stack([integrands[monomial] for monomial in monomials]) @ windows.T
    return dict(zip(monomials, folded, strict=True))


def _nodes(
    detector: Detector,
    particles: list[tuple[Scatterer, float]],
    components: tuple[FluxComponent, ...],
    recoil_per_axis: float,
) -> RecoilNodes:
    """Nodes on the detector's axis, split where a spectrum ends, a shell opens or the efficiency bends."""
    endpoints = [
        particle.maximum_recoil_kev(component.spectrum.maximum_energy_mev) / recoil_per_axis
        for particle, _ in particles
        for component in components
    ]
    kinks = list(endpoints)
    kinks += [
        particle.maximum_recoil_kev(energy) / recoil_per_axis
        for particle, _ in particles
        for component in components
        for energy in component.spectrum.kinks_mev
    ]
    for particle, _ in particles:
        if isinstance(particle, AtomicElectrons):
            kinks += list(binding_energies_kev(particle.symbol) / recoil_per_axis)
    # With perfect resolution the reconstructed energy is the true one, and bends there bend the integrand too.
    table = detector.efficiency
    if isinstance(table, EfficiencyTable) and (table.axis == "recoil" or detector.resolution is None):
        kinks += table.energy_kev
    return recoil_nodes(detector.bin_edges_kev, detector.resolution, max(endpoints), kinks)


def _add_integrands(
    integrands: dict[Monomial, FloatArray],
    particle: Scatterer,
    components: tuple[FluxComponent, ...],
    couplings: tuple[Coupling, ...],
    recoil: FloatArray,
    measure: FloatArray,
) -> None:
    """Add w_alpha(T) K_a(T) K_b(T) of one kind of target particle to the integrand of each monomial."""
    index = {new: position for position, new in enumerate(couplings)}
    cached: dict[tuple[object, ...], Amplitudes] = {}

    def amplitudes(new: Coupling | None, flavour: str) -> Amplitudes:
        # Couplings that share their kernels (all millicharges do) share the evaluation.
        key = (None, flavour) if new is None else (new.nucleus, new.electron, new.component)
        if key not in cached:
            cached[key] = particle.standard_model(flavour, recoil) if new is None else particle.kernel(new, recoil)
        return cached[key]

    filled, weighted = components_of(couplings), any(new.weights for new in couplings)
    minimum_energy = particle.minimum_energy_mev(recoil)
    for component in components:
        moments = component.spectrum.inverse_energy_moments(minimum_energy)
        emitted = measure if component.yield_per_primary == 1 else measure * component.yield_per_primary
        for pair, energy_coefficients in particle.kinematics(recoil, component.antineutrino, filled).items():
            weight = emitted * np.einsum("kt,kt->t", energy_coefficients, moments)
            products: dict[tuple[int, int], FloatArray | None] = {}
            for outgoing, basis in outgoing_basis(component.flavour, list(couplings)):
                for i, first in enumerate(basis):
                    for second in basis[i:]:
                        left, right = amplitudes(first, component.flavour), amplitudes(second, component.flavour)
                        ids = (id(left), id(right))
                        if ids not in products:
                            products[ids] = _component_product(pair, left, right, weight)
                        product = products[ids]
                        if product is None:
                            continue
                        monomial = tuple(index[new] for new in (first, second) if new is not None)
                        # theta_a theta_b and theta_b theta_a are the same product.
                        factor = 1.0 if first is second else 2.0
                        for new in (first, second) if weighted else ():
                            factor *= new.weight(component.flavour, outgoing) if new else 1.0
                        term = product if factor == 1 else factor * product
                        integrands[monomial] = integrands[monomial] + term if monomial in integrands else term


def _component_product(
    pair: tuple[str, str], left: Amplitudes, right: Amplitudes, weight: FloatArray
) -> FloatArray | None:
    """weight(T) times the symmetrised product of two amplitudes in a pair of components; None if they have none."""
    first, second = pair
    if first == second:
        return weight * left[first] * right[first] if first in left and first in right else None
    parts = [weight * a[first] * b[second] for a, b in ((left, right), (right, left)) if first in a and second in b]
    return np.sum(parts, axis=0) if parts else None
