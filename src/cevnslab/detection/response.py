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
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab import arguments
from cevnslab.detection.axes import BinAxis
from cevnslab.detection.detector import Detector
from cevnslab.detection.expansion import Expansion, expansions_of
from cevnslab.detection.folding import Monomial, sorted_monomials
from cevnslab.detection.readout import fold_channel, luminosity_per_cm2, with_factors
from cevnslab.errors import PhysicsError, UnreachedBinsError
from cevnslab.frozen import frozen, frozen_array
from cevnslab.physics.arrival_times import arrival_fractions
from cevnslab.physics.couplings import COUPLINGS, Coupling, coupling
from cevnslab.physics.sources import (
    FluxComponent,
    FluxNuisance,
    Source,
    components_by_arrival,
    components_by_part,
    days_in_time_bins,
)
from cevnslab.quadratic import Polynomial, Variable
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]

CHANNELS = ("cevns", "electron")


def polynomial_of(
    couplings: Sequence[Coupling], monomials: tuple[Monomial, ...], expansions: Mapping[int, Expansion]
) -> Polynomial:
    """How counts with these monomials depend on couplings; `expansions` by the index of what is not linear."""
    variables = []
    for number, each in enumerate(couplings):
        expansion = expansions.get(number)
        bounds = each.bounds if expansion is None else (expansion.low, expansion.high)
        boundary = bool(each.channel)
        variables.append(Variable(each.name, each.scale, bounds, each.power, each.reference, expansion, boundary))
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

    def counts(self, **values: ArrayLike) -> FloatArray:
        """Signal counts per bin, with couplings in their plain units; others as in the Standard Model.

        Values may be arrays that broadcast; the counts then have the shape `(*shape of the values, bins)`. Raises
        `UnknownNameError` or `PhysicsError` for a coupling that the response does not have, a value out of its bounds
        or no finite number, and shapes that do not fit.
        """
        declared = {each.name: each for each in self.couplings}
        arrays = dict(zip(values, arguments.broadcast(**values), strict=True))
        values_at = {
            self.couplings.index(each := coupling(name, declared)): each.check_all(arrays[name]) for name in values
        }
        shape = next(iter(arrays.values())).shape if arrays else ()
        without = np.array([not set(monomial) - set(values_at) for monomial in self.monomials], dtype=float)
        products = np.broadcast_to(without, (*shape, len(self.monomials)))
        for number, array in values_at.items():
            orders = np.array([monomial.count(number) for monomial in self.monomials])
            if number in self.expansions:
                for value in array.ravel():
                    self.expansions[number].check(float(value), self.couplings[number])
                products = products * np.moveaxis(self.expansions[number].functions(array)[orders], 0, -1)
            else:
                products = products * self.couplings[number].strengths(array)[..., None] ** orders
        return np.asarray(products @ self.signal)

    def __repr__(self) -> str:
        bins = " x ".join(f"{len(axis)} {axis.name}" for axis in self.axes)
        names = ", ".join(each.name for each in self.couplings[:_MOST_NAMES]) or "none"
        more = f" and {len(self.couplings) - _MOST_NAMES} more" if len(self.couplings) > _MOST_NAMES else ""
        return f"<Response of {self.name}: {self.channel_label}, bins {bins}, couplings {names}{more}>"


_MOST_NAMES = 6


def days_with_beam(source: Source, detector: Detector, years: float) -> FloatArray:
    """Days of live time with the beam on, in each time bin of a detector: shape (time bins,), one where none is."""
    if detector.time_bin_edges_us is None:
        return np.array([source.beam_days(years)])
    return np.asarray(days_in_time_bins(source, detector.time_bin_edges_us, years), dtype=float)


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
    """Fold source, cross sections and detector into counts per bin: `cevnslab.response`, of objects alone.

    What the arguments are stands there. A channel whose recoils do not reach the bins counts nothing there.

    Raises `PhysicsError` where no recoil of any channel reaches the bins, a table does not cover the energies needed,
    a channel is not one of the two, or counts overflow.
    """
    _check_kinds(source, detector)
    exposure = _exposure_years(source, years)
    channels = arguments.items("channels", channels)
    declared = _declared(arguments.items("couplings", couplings), arguments.mapping("registry", registry))
    if (
        not channels
        or not all(isinstance(channel, str) and channel in CHANNELS for channel in channels)
        or len(set(channels)) != len(channels)
    ):
        names = ", ".join(channel if isinstance(channel, str) else excerpt(channel) for channel in channels)
        raise PhysicsError(f"channels must be one or both of {', '.join(CHANNELS)}, got {names or 'none'}")
    if not isinstance(radiative_corrections, bool | np.bool_):
        raise PhysicsError(f"radiative_corrections: must be true or false, got {excerpt(radiative_corrections)}")
    groups = _flux_groups(source, detector)
    luminosity = luminosity_per_cm2(source, detector.target, detector.mass_kg, detector.distance_m, exposure)
    # Numbers that are not finite are looked for below: numpy need not warn of each.
    with np.errstate(over="ignore", invalid="ignore"):
        folded = _folded(detector, groups, channels, declared, luminosity, form_factor, radiative_corrections)
        background = np.outer(
            detector.background_per_kg_day * detector.mass_kg, days_with_beam(source, detector, exposure)
        ).ravel()
    monomials = sorted_monomials(list(folded.values()))
    parts = tuple(dict.fromkeys(group.part for group in groups))
    by_part = {channel: _by_part(terms, monomials, groups, parts) for channel, terms in folded.items()}
    # An overflow is said where it arises, not where its nan is met.
    if not all(np.all(np.isfinite(counts)) for counts in (background, *by_part.values())):
        raise PhysicsError(
            f"detector {detector.name}: its counts are too large for a number; lower its mass, flux or background"
        )
    nuisances = {f"{source.name}.{nuisance.name}": nuisance for nuisance in source.nuisances}
    return Response(
        detector.name,
        detector.axes,
        declared,
        tuple(channels),
        tuple(monomials),
        {channel: array[:, 0] if len(parts) == 1 else array.sum(axis=1) for channel, array in by_part.items()},
        {"background": background},
        expansions_of(declared, detector.target),
        {channel: {part: array[:, at] for at, part in enumerate(parts)} for channel, array in by_part.items()}
        if nuisances
        else {},
        nuisances,
    )


def _declared(couplings: Sequence[str | Coupling], registry: Mapping[str, Coupling]) -> tuple[Coupling, ...]:
    """The couplings, names looked up; `PhysicsError` for one that is there twice."""
    declared = tuple(each if isinstance(each, Coupling) else coupling(each, registry) for each in couplings)
    if len(set(declared)) != len(declared):
        raise PhysicsError(f"couplings must be unique, got {', '.join(each.name for each in declared)}")
    return declared


def _folded(
    detector: Detector,
    groups: Sequence[_FluxGroup],
    channels: Sequence[str],
    declared: tuple[Coupling, ...],
    luminosity: float,
    form_factor: str,
    radiative_corrections: bool,
) -> dict[str, dict[Monomial, FloatArray]]:
    """Per channel the counts of every product of couplings, shape (flux groups, bins).

    Bins above the end of one channel measure the other: it counts nothing there, unless no channel reaches them.
    """
    folded: dict[str, dict[Monomial, FloatArray]] = {}
    unreached: dict[str, UnreachedBinsError] = {}
    for channel in channels:
        try:
            folded[channel] = fold_channel(
                [group.components for group in groups],
                detector.target,
                channel,
                declared,
                detector.readout(channel),
                luminosity,
                form_factor=form_factor,
                radiative_corrections=radiative_corrections,
            )
        except UnreachedBinsError as fault:
            unreached[channel] = fault
    if not folded:
        raise unreached[channels[0]]
    nothing = np.zeros((len(groups), next(iter(folded.values()))[()].shape[1]))
    return folded | {channel: with_factors({(): nothing}, channel, declared) for channel in unreached}


def _check_kinds(source: object, detector: object) -> None:
    """Raise `PhysicsError` for what is no source or no detector."""
    if not hasattr(source, "components") or not hasattr(source, "fluence_per_cm2"):
        raise PhysicsError(
            f"source: must be a source, of cevnslab.load_source or cevnslab.sources, got {_kind(source)}"
        )
    if not isinstance(detector, Detector):
        raise PhysicsError(
            f"detector: must be a detector, a cevnslab.Detector or one of cevnslab.load_detector, got {_kind(detector)}"
        )


def _kind(value: object) -> str:
    return excerpt(value) if isinstance(value, str | int | float | list | dict | None) else f"a {type(value).__name__}"


def _exposure_years(source: Source, years: float | None) -> float:
    """The exposure, checked; 1 for a burst, which does not ask for it."""
    if source.burst:
        if years is not None:
            raise PhysicsError(f"source {source.name} is one burst: its counts have no years of exposure")
        return 1.0
    if years is None:
        raise PhysicsError(f"source {source.name}: years of exposure are required")
    exposure = arguments.number("years", years)
    if not exposure > 0:
        raise PhysicsError(f"the exposure must be above 0 years, got {exposure:g}")
    return exposure


@dataclass(frozen=True, eq=False)
class _FluxGroup:
    """Flux components that belong to one part of the flux and arrive together."""

    part: str
    components: tuple[FluxComponent, ...]
    fractions: FloatArray | None
    """Share in every time bin; None where times are not used."""


def _flux_groups(source: Source, detector: Detector) -> list[_FluxGroup]:
    """The source's flux, as the detector can tell its components apart; `PhysicsError` where none arrives in time."""
    parts = components_by_part(source.components)
    edges = detector.time_bin_edges_us
    if edges is None:
        return [_FluxGroup(part, components, None) for part, components in parts.items()]
    if source.pulse is None:
        raise PhysicsError(f"source {source.name}: time bins need its pulse and repetition_hz")
    groups = [
        _FluxGroup(part, together, arrival_fractions(source.pulse, lifetimes, edges))
        for part, components in parts.items()
        for lifetimes, together in components_by_arrival(components)
    ]
    if not any(np.any(group.fractions) for group in groups):
        raise PhysicsError(
            f"time_bin_edges_us: no neutrino of {source.name} arrives from {edges[0]:g} to {edges[-1]:g} us"
        )
    return groups


def _by_part(
    terms: Mapping[Monomial, FloatArray],
    monomials: Sequence[Monomial],
    groups: Sequence[_FluxGroup],
    names: Sequence[str],
) -> FloatArray:
    """Counts of every monomial and part of the flux in all bins: shape (monomials, parts, bins)."""
    nothing = np.zeros_like(terms[()])
    energy = np.array([terms.get(monomial, nothing) for monomial in monomials])
    binned = [
        energy[:, at] if group.fractions is None else np.einsum("me,t->met", energy[:, at], group.fractions)
        for at, group in enumerate(groups)
    ]
    rows = [counts.reshape(len(monomials), -1) for counts in binned]
    return np.stack(
        [np.sum([row for row, g in zip(rows, groups, strict=True) if g.part == name], axis=0) for name in names], axis=1
    )
