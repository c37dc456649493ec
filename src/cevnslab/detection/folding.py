"""Recoils to counts: the integrals of products of amplitudes over energy and recoil, monomial by monomial."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import PhysicsError
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.cross_sections import Amplitudes, Scatterer, components_of, outgoing_basis
from cevnslab.physics.flavour import MASS_STATES
from cevnslab.physics.sources import FluxComponent

FloatArray = NDArray[np.float64]
Monomial = tuple[int, ...]
"""Which couplings are multiplied, by their index: () the Standard Model, (a,) linear, (a, b) quadratic."""


def fold(
    particles: Sequence[tuple[Scatterer, float]],
    components: Sequence[FluxComponent],
    couplings: tuple[Coupling, ...],
    recoil_energy_kev: FloatArray,
    weight_kev: FloatArray,
    windows: FloatArray,
    luminosity_per_cm2: float,
) -> dict[Monomial, FloatArray]:
    """Counts per bin of every monomial, R_i,ab = integral of S_i(T) w(T) K_a(T) K_b(T) dT.

    Parameters
    ----------
    particles
        The kinds of target particle, each with its number per formula unit.
    recoil_energy_kev, weight_kev
        Nodes of the recoil integral, of the particle's energy: shape (nodes,).
    windows
        S_i at the nodes, shape (bins, nodes).
    luminosity_per_cm2
        Fluence of a component with a yield of one times the number of formula units.

    """
    integrands: dict[Monomial, FloatArray] = {}
    for particle, per_unit in particles:
        measure = weight_kev * (luminosity_per_cm2 * per_unit)
        _add_integrands(integrands, particle, components, couplings, recoil_energy_kev, measure)
    monomials = list(integrands)
    folded = np.stack([integrands[monomial] for monomial in monomials]) @ windows.T
    return dict(zip(monomials, folded, strict=True))


def sorted_monomials(terms: Sequence[dict[Monomial, FloatArray]]) -> list[Monomial]:
    """All monomials of several channels or parts, the Standard Model's first, then by degree.

    >>> sorted_monomials([{(): np.zeros(1), (0, 1): np.zeros(1)}, {(1,): np.zeros(1)}])
    [(), (1,), (0, 1)]
    """
    return sorted({monomial for part in terms for monomial in part} | {()}, key=lambda m: (len(m), m))


def _add_integrands(
    integrands: dict[Monomial, FloatArray],
    particle: Scatterer,
    components: Sequence[FluxComponent],
    couplings: tuple[Coupling, ...],
    recoil: FloatArray,
    measure: FloatArray,
) -> None:
    """Add w_alpha(T) K_a(T) K_b(T) of one kind of target particle to the integrand of each monomial."""
    index = {coupling: position for position, coupling in enumerate(couplings)}
    cached: dict[tuple[object, ...], Amplitudes] = {}

    def amplitudes(coupling: Coupling | None, flavour: str) -> Amplitudes:
        # Couplings that share their kernels (all millicharges do) share the evaluation.
        key = (None, flavour) if coupling is None else (coupling.nucleus, coupling.electron, coupling.component)
        if key not in cached:
            if coupling is None:
                cached[key] = particle.standard_model(flavour, recoil)
            else:
                cached[key] = particle.kernel(coupling, recoil)
                if not all(np.all(np.isfinite(part)) for part in cached[key].values()):
                    raise PhysicsError(f"{coupling.name}: its kernel is not finite on this target's particles")
        return cached[key]

    filled, weighted = components_of(couplings), any(coupling.weights for coupling in couplings)
    minimum_energy = particle.minimum_energy_mev(recoil)
    kinematics = {
        antineutrino: particle.kinematics(recoil, antineutrino, filled)
        for antineutrino in {component.antineutrino for component in components}
    }
    for (antineutrino, alpha, beta), moments in _moments_by_pair(components, couplings, minimum_energy).items():
        joined = _joined_bases(alpha, beta, list(couplings))
        for pair, energy_coefficients in kinematics[antineutrino].items() if joined else ():
            weight = measure * np.einsum("kt,kt->t", energy_coefficients, moments)
            products: dict[tuple[int, int], FloatArray | None] = {}
            for outgoing, first, second in joined:
                left, right = amplitudes(first, alpha), amplitudes(second, beta)
                ids = (id(left), id(right))
                if ids not in products:
                    products[ids] = _component_product(pair, left, right, weight)
                product = products[ids]
                if product is None:
                    continue
                monomial = tuple(sorted(index[coupling] for coupling in (first, second) if coupling is not None))
                # theta_a theta_b and theta_b theta_a are the same product; two flavours have both orders already.
                factor = 1.0 if first is second or alpha != beta else 2.0
                if weighted:
                    factor *= first.weight(alpha, outgoing) if first else 1.0
                    factor *= second.weight(beta, outgoing) if second else 1.0
                term = product if factor == 1 else factor * product
                integrands[monomial] = integrands[monomial] + term if monomial in integrands else term


def _moments_by_pair(
    components: Sequence[FluxComponent], couplings: Sequence[Coupling], minimum_energy_mev: FloatArray
) -> dict[tuple[bool, str, str], FloatArray]:
    """Moments over 1/E of the flux density matrix, by antineutrino and pair of states: six of flavours at most.

    Of mass states only where a coupling is declared for one.
    """
    in_mass_basis = any(state in MASS_STATES for coupling in couplings for pair in coupling.flavours for state in pair)
    result: dict[tuple[bool, str, str], FloatArray] = {}
    for component in components:
        moments = component.spectrum.inverse_energy_moments(minimum_energy_mev)
        for pair, weight in component.pair_weights.items():
            if pair[0] in MASS_STATES and not in_mass_basis:
                continue
            key = (component.antineutrino, *pair)
            scale = weight * component.yield_per_primary
            term = moments if scale == 1 else scale * moments
            result[key] = result[key] + term if key in result else term
    return result


def _joined_bases(
    alpha: str, beta: str, couplings: list[Coupling]
) -> list[tuple[str, Coupling | None, Coupling | None]]:
    """Outgoing states that both incoming ones reach, with each pair of contributions; None is the Standard Model's."""
    if alpha == beta:
        return [
            (outgoing, first, second)
            for outgoing, basis in outgoing_basis(alpha, couplings)
            for i, first in enumerate(basis)
            for second in basis[i:]
        ]
    others = dict(outgoing_basis(beta, couplings))
    return [
        (outgoing, first, second)
        for outgoing, basis in outgoing_basis(alpha, couplings)
        for first in basis
        for second in others.get(outgoing, [])
    ]


def _component_product(
    pair: tuple[str, str], left: Amplitudes, right: Amplitudes, weight: FloatArray
) -> FloatArray | None:
    """weight(T) times the symmetrised product of two amplitudes in a pair of components; None if they have none."""
    first, second = pair
    if first == second:
        return weight * left[first] * right[first] if first in left and first in right else None
    parts = [weight * a[first] * b[second] for a, b in ((left, right), (right, left)) if first in a and second in b]
    return np.sum(parts, axis=0) if parts else None
