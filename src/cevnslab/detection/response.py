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
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.detector import Detector, EfficiencyTable
from cevnslab.detection.expansion import Expansion, expansions_of, with_expansion
from cevnslab.detection.folding import Monomial, fold, sorted_monomials
from cevnslab.detection.quadrature import RecoilNodes, bin_windows, recoil_nodes, true_range
from cevnslab.detection.quenching import ConstantQuenching, Quenching
from cevnslab.errors import PhysicsError
from cevnslab.frozen import frozen, frozen_array
from cevnslab.physics.arrival_times import arrival_fractions
from cevnslab.physics.atoms import binding_energies_kev
from cevnslab.physics.couplings import COUPLINGS, Coupling, coupling
from cevnslab.physics.cross_sections import AtomicElectrons, Scatterer, scatterers
from cevnslab.physics.nuclei import Target
from cevnslab.physics.sources import (
    FluxComponent,
    FluxNuisance,
    Source,
    components_by_arrival,
    components_by_part,
    days_in_time_bins,
)
from cevnslab.quadratic import Polynomial, Variable

FloatArray = NDArray[np.float64]

CHANNELS = ("cevns", "electron")


@dataclass(frozen=True, eq=False)
class BinAxis:
    """One direction in which counts are binned."""

    name: str
    """With its unit, such as ``recoil_energy_kev`` or ``time_us``."""
    edges: FloatArray
    """Shape (bins + 1,), rising."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", frozen_array(self.edges))

    def __len__(self) -> int:
        return len(self.edges) - 1


def polynomial_of(
    couplings: Sequence[Coupling], monomials: tuple[Monomial, ...], expansions: Mapping[int, Expansion]
) -> Polynomial:
    """How counts with these monomials depend on couplings; `expansions` by the index of what is not linear."""
    variables = []
    for number, each in enumerate(couplings):
        expansion = expansions.get(number)
        bounds = each.bounds if expansion is None else (expansion.low, expansion.high)
        variables.append(Variable(each.name, each.scale, bounds, each.power, each.reference, expansion))
    return Polynomial(tuple(variables), monomials)


@dataclass(frozen=True, eq=False)
class Response:
    """Expected counts of one detector for a whole exposure, as a polynomial in the couplings.

    Counts of several axes stand in one row, the last axis fastest.

    >>> import cevnslab as cl
    >>> ge = cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=["q_ee"], years=3)
    >>> round(float(ge.counts().sum()), 4)
    3874.6091
    >>> round(float(ge.counts(q_ee=3e-9).sum()), 1)
    3776.7
    """

    name: str
    """The detector's."""
    axes: tuple[BinAxis, ...]
    couplings: tuple[Coupling, ...]
    channels: tuple[str, ...]
    monomials: tuple[Monomial, ...]
    """The products of couplings that contribute; () first."""
    coefficients: Mapping[str, FloatArray]
    """Per channel, counts per unit of each product: shape (monomials, bins)."""
    backgrounds: Mapping[str, FloatArray]
    """Counts of each background, shape (bins,)."""
    expansions: Mapping[int, Expansion] = field(default_factory=dict)
    """Of the couplings, by index, that are not linear in the amplitude: the functions in the place of powers."""
    parts: Mapping[str, Mapping[str, FloatArray]] = field(default_factory=dict)
    """Per channel and part of the source's flux, the coefficients of that part alone, shape (monomials, bins): they sum
    to `coefficients`. The part named "" is what no flux nuisance acts on. Empty for a source without such nuisances."""
    flux_nuisances: Mapping[str, FluxNuisance] = field(default_factory=dict)
    """By the name of their parameter, such as ``reactor.above_8_mev``. A sample of the likelihood is one
    ``parts[channel][part]``, with a scale 1 + p of every nuisance that has the part among its `parts`."""

    def __post_init__(self) -> None:
        for name in ("coefficients", "backgrounds", "expansions", "parts", "flux_nuisances"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @cached_property
    def polynomial(self) -> Polynomial:
        """The couplings as counts depend on them."""
        return polynomial_of(self.couplings, self.monomials, self.expansions)

    @property
    def channel_label(self) -> str:
        """The channels as outputs name them, such as ``cevns+electron``."""
        return "+".join(self.channels)

    @property
    def bin_edges_kev(self) -> FloatArray:
        """Reconstructed bin edges of the first axis, shape (bins + 1,)."""
        return self.axes[0].edges

    @cached_property
    def background(self) -> FloatArray:
        """All backgrounds together, shape (bins,)."""
        return frozen_array(np.sum(list(self.backgrounds.values()), axis=0))

    def projected(self, counts: FloatArray, axis: int = 0) -> FloatArray:
        """Counts summed over all axes but one: shape (bins of that axis,)."""
        shaped = counts.reshape([len(each) for each in self.axes])
        return np.asarray(shaped.sum(axis=tuple(other for other in range(len(self.axes)) if other != axis)))

    def bin_text(self, number: int) -> str:
        """Where a bin lies, for messages: ``the bin with recoil_energy_kev from 1 to 2``."""
        positions = np.unravel_index(number, [len(axis) for axis in self.axes])
        places = [
            f"{axis.name} from {axis.edges[at]:.4g} to {axis.edges[at + 1]:.4g}"
            for axis, at in zip(self.axes, positions, strict=True)
        ]
        return f"the bin with {', '.join(places)}"

    @cached_property
    def signal(self) -> FloatArray:
        """The coefficients summed over the channels: shape (monomials, bins)."""
        return frozen_array(np.sum([self.coefficients[channel] for channel in self.channels], axis=0))

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
        given = {}
        for name, value in values.items():
            new = coupling(name, own)
            given[self.couplings.index(new)] = new.check(value)
        products = np.array([not set(monomial) - set(given) for monomial in self.monomials], dtype=float)
        for number, value in given.items():
            orders = np.array([monomial.count(number) for monomial in self.monomials])
            if number in self.expansions:
                self.expansions[number].check(value, self.couplings[number])
                products *= self.expansions[number].functions(value)[orders]
            else:
                products *= self.couplings[number].strength(value) ** orders
        return np.asarray(products @ self.signal)


def response(
    source: Source,
    detector: Detector,
    *,
    couplings: Sequence[str | Coupling] = (),
    years: float | None = None,
    channels: Sequence[str] = ("cevns",),
    form_factor: str = "helm",
    radiative_corrections: bool = False,
    registry: Mapping[str, Coupling] = COUPLINGS,
) -> Response:
    """Fold source, cross sections and detector into counts per bin.

    Parameters
    ----------
    couplings : names or declarations; at most one that is not linear in an amplitude, such as the neutron radius.
    years : exposure in calendar years; none at a source of one burst, whose counts are those of the burst.
    channels : of ``"cevns"`` and ``"electron"``; the latter needs the detector's `electron_quenching`.
    form_factor : a name of `cevnslab.form_factors.FORM_FACTORS`.
    radiative_corrections : corrected couplings on nuclei (`cevnslab.cross_sections.cevns`).

    Raises `PhysicsError` where no recoil reaches the bins, a table does not cover the energies needed, or a
    channel is not one of the two.

    """
    exposure = _exposure_years(source, years)
    declared = tuple(coupling(new, registry) if isinstance(new, str) else new for new in couplings)
    if len(set(declared)) != len(declared):
        raise PhysicsError(f"couplings must be unique, got {', '.join(new.name for new in declared)}")
    if not channels or len(set(channels)) != len(channels) or not set(channels) <= set(CHANNELS):
        raise PhysicsError(
            f"channels must be one or both of {', '.join(CHANNELS)}, got {', '.join(channels) or 'none'}"
        )

    def terms_of(of: Target, channel: str) -> dict[Monomial, FloatArray]:
        there = replace(detector, target=of)
        return _channel_terms(source, there, declared, exposure, channel, form_factor, radiative_corrections)

    terms = {
        channel: with_expansion(partial(terms_of, channel=channel), detector.target, declared) for channel in channels
    }
    monomials = sorted_monomials(list(terms.values()))
    axes = [BinAxis("recoil_energy_kev" if detector.quenching is None else "energy_kevee", detector.bin_edges_kev)]
    background = detector.background_per_kg_day * detector.mass_kg
    if detector.time_bin_edges_us is None:
        background = background * source.beam_days(exposure)
    else:
        axes.append(BinAxis("time_us", detector.time_bin_edges_us))
        days = days_in_time_bins(source, detector.time_bin_edges_us, exposure)
        background = np.outer(background, days).ravel()
    names = tuple(components_by_part(source.components))
    nothing = np.zeros((len(names), len(background)))
    by_part = {
        channel: np.array([by_monomial.get(monomial, nothing) for monomial in monomials])
        for channel, by_monomial in terms.items()
    }
    nuisances = {f"{source.name}.{nuisance.name}": nuisance for nuisance in source.nuisances}
    return Response(
        detector.name,
        tuple(axes),
        declared,
        tuple(channels),
        tuple(monomials),
        {channel: array[:, 0] if len(names) == 1 else array.sum(axis=1) for channel, array in by_part.items()},
        {"background": background},
        expansions_of(declared, detector.target),
        {channel: {name: array[:, at] for at, name in enumerate(names)} for channel, array in by_part.items()}
        if nuisances
        else {},
        nuisances,
    )


def _exposure_years(source: Source, years: float | None) -> float:
    """The exposure, checked; 1 for a burst, which does not ask for it."""
    if source.burst:
        if years is not None:
            raise PhysicsError(f"source {source.name} is one burst: its counts have no years of exposure")
        return 1.0
    if years is None:
        raise PhysicsError(f"source {source.name}: years of exposure are required")
    if not years > 0:
        raise PhysicsError(f"the exposure must be above 0 years, got {years:g}")
    return years


def _channel_terms(
    source: Source,
    detector: Detector,
    couplings: tuple[Coupling, ...],
    years: float,
    channel: str,
    form_factor: str,
    radiative_corrections: bool,
) -> dict[Monomial, FloatArray]:
    """Counts of every monomial in one channel, by part of the flux: shape (parts, bins)."""
    light = _light_axis(detector, channel)
    particles = scatterers(detector.target, channel, form_factor, radiative_corrections=radiative_corrections)
    components = source.components
    nodes = _nodes(detector, particles, components, light)
    windows = bin_windows(detector.bin_edges_kev, detector.resolution, detector.efficiency, nodes.recoil_energy_kev)
    recoil = light.recoil_kev(nodes.recoil_energy_kev)
    weight = nodes.weight_kev / light.derivative(recoil)
    first = detector.target.constituents[0]
    formula_units = detector.mass_kg * detector.target.nuclei_per_kg(first) / first.per_formula_unit
    luminosity = source.fluence_per_cm2(detector.distance_m, years) * formula_units
    terms = [
        _part_terms(particles, _by_arrival(source, part, detector), couplings, recoil, weight, windows, luminosity)
        for part in components_by_part(components).values()
    ]
    nothing = np.zeros_like(terms[0][()])
    return {monomial: np.stack([part.get(monomial, nothing) for part in terms]) for monomial in sorted_monomials(terms)}


def _part_terms(
    particles: list[tuple[Scatterer, float]],
    groups: list[tuple[tuple[FluxComponent, ...], FloatArray | None]],
    couplings: tuple[Coupling, ...],
    recoil: FloatArray,
    weight: FloatArray,
    windows: FloatArray,
    luminosity: float,
) -> dict[Monomial, FloatArray]:
    """Counts of every monomial of flux components that arrive in groups, each with its share in every time bin."""
    total: dict[Monomial, FloatArray] = {}
    for group, fractions in groups:
        for monomial, counts in fold(particles, group, couplings, recoil, weight, windows, luminosity).items():
            binned = counts if fractions is None else np.outer(counts, fractions).ravel()
            total[monomial] = total[monomial] + binned if monomial in total else binned
    return total


def _light_axis(detector: Detector, channel: str) -> Quenching:
    """Energy on the detector's axis as a function of the particle's recoil energy.

    The axis is the nuclear recoil's own energy, on which an electron recoil T_e looks like T_e/electron_quenching; or
    electron-equivalent energy, on which nuclear recoils are quenched and electrons are not.
    """
    if channel == "cevns":
        return detector.quenching or ConstantQuenching(1.0)
    if detector.quenching is not None:
        return ConstantQuenching(1.0)
    if detector.electron_quenching is None:
        raise PhysicsError(f"detector {detector.name}: the electron channel needs electron_quenching")
    return ConstantQuenching(1 / detector.electron_quenching)


def _by_arrival(
    source: Source, components: tuple[FluxComponent, ...], detector: Detector
) -> list[tuple[tuple[FluxComponent, ...], FloatArray | None]]:
    """The flux components that arrive together, each group with its share in every time bin."""
    if detector.time_bin_edges_us is None:
        return [(components, None)]
    if source.pulse is None:
        raise PhysicsError(f"source {source.name}: time bins need its pulse and repetition_hz")
    groups: list[tuple[tuple[FluxComponent, ...], FloatArray | None]] = []
    seen = False
    for lifetimes, group in components_by_arrival(components):
        fractions = arrival_fractions(source.pulse, lifetimes, detector.time_bin_edges_us)
        seen = seen or bool(fractions.any())
        groups.append((group, fractions))
    if not seen:
        low, high = detector.time_bin_edges_us[0], detector.time_bin_edges_us[-1]
        raise PhysicsError(f"time_bin_edges_us: no neutrino of {source.name} arrives from {low:g} to {high:g} us")
    return groups


def _nodes(
    detector: Detector,
    particles: list[tuple[Scatterer, float]],
    components: tuple[FluxComponent, ...],
    light: Quenching,
) -> RecoilNodes:
    """Nodes on the detector's axis, split where a spectrum ends, a shell opens or the efficiency bends."""
    endpoints = [
        particle.maximum_recoil_kev(component.spectrum.maximum_energy_mev)
        for particle, _ in particles
        for component in components
    ]
    kinks = list(endpoints)
    kinks += [
        particle.maximum_recoil_kev(energy)
        for particle, _ in particles
        for component in components
        for energy in component.spectrum.kinks_mev
    ]
    for particle, _ in particles:
        if isinstance(particle, AtomicElectrons):
            kinks += binding_energies_kev(particle.symbol).tolist()
    kinks += light.kinks_kev
    highest = max(endpoints)
    known_from = light.kinks_kev[0] if light.kinks_kev else 0.0  # a table may start above what no bin sees
    known_to = min(highest, light.kinks_kev[-1]) if light.kinks_kev else highest
    on_axis = light.light_kev(np.array([kink for kink in kinks if known_from < kink <= known_to])).tolist()
    # With perfect resolution the reconstructed energy is the true one, and bends there bend the integrand too.
    table = detector.efficiency
    if isinstance(table, EfficiencyTable) and (table.axis == "recoil" or detector.resolution is None):
        on_axis += table.energy_kev
    return recoil_nodes(detector.bin_edges_kev, detector.resolution, _highest_light(detector, light, highest), on_axis)


def _highest_light(detector: Detector, light: Quenching, highest_kev: float) -> float:
    """The largest energy on the axis that the source gives; a table that ends before must reach beyond the bins."""
    if light.kinks_kev and light.kinks_kev[-1] < highest_kev:
        end = float(light.light_kev(light.kinks_kev[-1]))
        if end >= true_range(detector.bin_edges_kev, detector.resolution)[1]:
            return end
    return float(light.light_kev(highest_kev))
