"""How recoils of one channel are seen, and the one fold of physics into counts per bin.

    counts_i = luminosity integral dT R(T) S_i(E(T))

in the TRUE recoil energy T: E(T) is the light that it gives, S_i the windows of the smearing with the efficiency. Every
detector and every data set is folded here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.efficiency import Efficiency
from cevnslab.detection.expansion import with_expansion
from cevnslab.detection.folding import Monomial, fold, sorted_monomials
from cevnslab.detection.quadrature import RecoilNodes, recoil_nodes
from cevnslab.detection.quenching import Quenching
from cevnslab.detection.smearing import Smearing
from cevnslab.errors import PhysicsError, UnreachedBinsError
from cevnslab.physics.atoms import binding_energies_kev
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.cross_sections import AtomicElectrons, Scatterer, scatterers
from cevnslab.physics.nuclei import Target
from cevnslab.physics.sources import FluxComponent, Source

FloatArray = NDArray[np.float64]

BLOCK_SIZE = 4_000_000
"""Probabilities that are kept at once, recoils times bins: 32 MB an array."""
LEAST_SEEN = 1e-9
"""Probability of a recoil to be seen in the bins, six sigma of resolution below the first edge: where none has more,
the bins measure nothing but how far a Gaussian is believed."""


@dataclass(frozen=True, eq=False)
class Readout:
    """Light, smearing and efficiency of the recoils of one channel, over the bins of an energy axis."""

    edges: FloatArray
    """Of the bins, in the unit of the seen energy: shape (bins + 1,), rising."""
    light: Quenching
    """The true energy on the axis, as a function of the recoil energy."""
    smearing: Smearing
    efficiency: Efficiency = 1.0
    recoil_range_kev: tuple[float, float] | None = None
    """Recoils that are counted at all; those whose smearing reaches the bins unless given."""

    def windows(self, recoil_energy_kev: FloatArray) -> FloatArray:
        """Probability that a recoil is counted in each bin, shape (bins, recoils)."""
        return self.smearing.windows(self.edges, self.efficiency, self.light.light_kev(recoil_energy_kev))

    def nodes(self, maximum_recoil_kev: float, kinks: Sequence[float] = ()) -> RecoilNodes:
        """Nodes of the integral over all recoils up to a maximum that can be seen, split at the kinks.

        Raises `PhysicsError` where no recoil can reach the bins, or the law of light ends before it.
        """
        low, high = self.recoil_range_kev or self._reach(maximum_recoil_kev)
        high = min(high, maximum_recoil_kev)
        if not low < high:
            raise UnreachedBinsError(
                f"no recoil reaches the bins: they need true recoil energies above {low:.4g} keV, the source and "
                f"target give {maximum_recoil_kev:.4g} keV at most"
            )
        steps = self.smearing.steps_kev(self.edges, self.efficiency)
        nodes = recoil_nodes(low, high, self.smearing.variable, self.light.light_kev, [*kinks, *self._kinks], steps)
        self._require_seen(np.append(nodes.recoil_energy_kev, high))
        return nodes

    def blocks(self, recoil_energy_kev: FloatArray) -> Iterator[tuple[slice, slice, FloatArray]]:
        """Runs of recoils with the bins that they reach and their windows there, each small enough to be kept.

        Windows of many narrow bins are nearly all zero: together they would take gigabytes.
        """
        light = self.light.light_kev(recoil_energy_kev)
        waiting = [slice(0, len(light))]
        while waiting:
            block = waiting.pop()
            inside = light[block]
            bins = self.smearing.seen_bins(self.edges, float(inside.min()), float(inside.max()))
            if len(inside) > 1 and len(inside) * (bins.stop - bins.start) > BLOCK_SIZE:
                middle = (block.start + block.stop) // 2
                waiting += [slice(middle, block.stop), slice(block.start, middle)]
            elif bins.start < bins.stop:
                edges = self.edges[bins.start : bins.stop + 1]
                yield block, bins, self.smearing.windows(edges, self.efficiency, inside)

    def _require_seen(self, recoil_energy_kev: FloatArray) -> None:
        """Raise `UnreachedBinsError` where all recoils stay so far below the bins that next to none is seen in them."""
        light = self.light.light_kev(recoil_energy_kev)
        first = float(self.edges[0])
        if float(light.max()) >= first:
            return
        probability = float(self.smearing.windows(self.edges, 1.0, light).sum(axis=0).max())
        if probability < LEAST_SEEN:
            raise UnreachedBinsError(
                f"no recoil reaches the bins: they begin at {first:.4g}, the largest recoil of source and target, "
                f"{recoil_energy_kev[-1]:.4g} keV, looks like {light.max():.4g} on their axis, and the resolution "
                f"takes it there with a probability of {probability:.1g}"
            )

    @property
    def _kinks(self) -> list[float]:
        """Recoil energies at which light, bins or efficiency bend the integrand."""
        energies = self.smearing.kinks_kev(self.edges, self.efficiency)
        kinks = [recoil for energy in energies if energy > 0 for recoil in self.light.recoils_kev(energy)]
        return [*kinks, *self.light.kinks_kev]

    def _reach(self, maximum_recoil_kev: float) -> tuple[float, float]:
        """The recoil energies whose light can be seen in the bins."""
        lowest, highest = self.smearing.true_range(self.edges)
        first, last = self.light.known_kev
        low = first
        if float(self.light.light_kev(first)) < lowest:
            recoils = self.light.recoils_kev(lowest)
            if not recoils:
                raise UnreachedBinsError(
                    f"no recoil reaches the bins: none gives the light of {lowest:.4g} keV that they need"
                )
            low = recoils[0]
        if not low > 0:
            raise PhysicsError("recoils without energy would be counted: the resolution needs minimum_true_kev")
        top = min(last, maximum_recoil_kev)
        if top > low and np.isfinite(highest) and float(self.light.light_kev(top)) >= highest:
            return low, max(recoil for recoil in self.light.recoils_kev(highest) if recoil <= top)
        if top < maximum_recoil_kev:
            raise PhysicsError(
                f"the quenching table covers recoils from {first:g} to {last:g} keV, but the bins see recoils up to "
                f"{maximum_recoil_kev:.4g} keV; extend the table"
            )
        return low, top


def formula_units(target: Target, mass_kg: float) -> float:
    """How many formula units a mass of a target holds."""
    first = target.constituents[0]
    return mass_kg * target.nuclei_per_kg(first) / first.per_formula_unit


def luminosity_per_cm2(source: Source, target: Target, mass_kg: float, distance_m: float | None, years: float) -> float:
    """Fluence of a component with a yield of one, over calendar years, times the number of formula units."""
    return source.fluence_per_cm2(distance_m, years) * formula_units(target, mass_kg)


def fold_channel(
    groups: Sequence[Sequence[FluxComponent]],
    target: Target,
    channel: str,
    couplings: tuple[Coupling, ...],
    readout: Readout,
    luminosity: float,
    *,
    form_factor: str = "helm",
    radiative_corrections: bool = False,
) -> dict[Monomial, FloatArray]:
    """Counts of one channel in every bin, monomial by monomial, each group of flux components for itself.

    Returns arrays of shape (groups, bins). Raises `PhysicsError` as `Readout.nodes`, or where a table of the efficiency
    does not cover the energies needed.

    Parameters
    ----------
    groups
        Flux components, such as those that arrive together.
    luminosity
        Of a component with a yield of one (`luminosity_per_cm2`).

    """

    def terms_of(nuclei: Target) -> dict[Monomial, FloatArray]:
        particles = scatterers(nuclei, channel, form_factor, radiative_corrections=radiative_corrections)
        components = [component for group in groups for component in group]
        nodes = readout.nodes(*_ends_and_kinks(particles, components))
        recoil, weight = nodes.recoil_energy_kev, nodes.weight_kev
        # A table of the efficiency that is too short is too short for all recoils, not for those of a block.
        nothing = np.zeros(len(readout.windows(recoil[[0, -1]])))
        terms: list[dict[Monomial, FloatArray]] = [{} for _ in groups]
        for block, bins, windows in readout.blocks(recoil):
            for part, group in zip(terms, groups, strict=True):
                counts = fold(particles, group, couplings, recoil[block], weight[block], windows, luminosity)
                for monomial, share in counts.items():
                    part.setdefault(monomial, nothing.copy())[bins] += share
        return {m: np.stack([part.get(m, nothing) for part in terms]) for m in sorted_monomials(terms)}

    return with_factors(with_expansion(terms_of, target, couplings), channel, couplings)


def with_factors(
    terms: Mapping[Monomial, FloatArray], channel: str, couplings: Sequence[Coupling]
) -> dict[Monomial, FloatArray]:
    """The terms of a channel with those of couplings that multiply its counts: s = 1 + (s - 1), in the shift s - 1."""
    scaled = dict(terms)
    for number, each in enumerate(couplings):
        if each.channel == channel:
            scaled |= {tuple(sorted((*monomial, number))): counts for monomial, counts in scaled.items()}
    return scaled


def _ends_and_kinks(
    particles: Sequence[tuple[Scatterer, float]], components: Sequence[FluxComponent]
) -> tuple[float, list[float]]:
    """The largest recoil energy, and where a spectrum ends or bends, or a shell opens."""
    ends = [p.maximum_recoil_kev(c.spectrum.maximum_energy_mev) for p, _ in particles for c in components]
    kinks = [p.maximum_recoil_kev(e) for p, _ in particles for c in components for e in c.spectrum.kinks_mev]
    shells = [binding_energies_kev(p.symbol).tolist() for p, _ in particles if isinstance(p, AtomicElectrons)]
    return max(ends), [*ends, *kinks, *(energy for energies in shells for energy in energies)]
