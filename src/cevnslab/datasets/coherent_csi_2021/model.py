"""COHERENT CsI[Na] 2021 (arXiv:2110.07730): energy in photoelectrons (PE) and arrival time, 9 x 11 bins.

Expected counts factorise, flux component by flux component, into energy and time. A recoil T gives the light
E_ee = a T + b T^2 + c T^3 + d T^4 (a nuclear recoil; an electron gives all of its energy), smeared by a gamma law:
x photoelectrons with the shape 1 + b and mean 13.35 PE/keV, a = 0.0749 keV/E_ee, b = 9.56 E_ee/keV,

    P(x|E_ee) = (a (1+b))^(1+b)/Gamma(1+b) x^b exp(-a (1+b) x),

times the efficiency a/(1 + exp(-b (x - c))) + d. Curves and backgrounds are the release's; the smearing law and the
time efficiency are as public analyses quote them (docs/coherent.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.datasets.coherent_csi_2021.readers import read_coefficients, read_events, read_histogram
from cevnslab.datasets.measurement import OFFSET, SIGNAL, Measurement, Setup, measurement
from cevnslab.detection.axes import BinAxis
from cevnslab.detection.expansion import expansions_of
from cevnslab.detection.folding import Monomial, sorted_monomials
from cevnslab.detection.quenching import UNQUENCHED, PolynomialQuenching
from cevnslab.detection.readout import Readout, fold_channel
from cevnslab.detection.response import Response, polynomial_of
from cevnslab.detection.smearing import GammaPhotoelectrons
from cevnslab.errors import UnknownNameError
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Modifier, PerBin, Sample, Scale, Shift
from cevnslab.physics.arrival_times import arrival_density
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.nuclei import Target
from cevnslab.physics.sources import components_by_arrival
from cevnslab.words import excerpt, nearest

FloatArray = NDArray[np.float64]

PE_EDGES = np.array([0.0, 8, 12, 16, 20, 24, 32, 40, 50, 60])
TIME_AXIS = 1
"""Of the bins' axes, energy and time."""
TIME_EDGES_US = np.array([*(np.arange(9) / 8), 2, 4, 6])
SMEARING = GammaPhotoelectrons(per_kev=1 / 0.0749, shape_per_kev=9.56, minimum_true_kev=1e-3)
"""Mean and shape as public analyses quote them."""
RECOIL_RANGE_KEV = {"cevns": (0.1, 60.0), "electron": (0.01, 12.0)}
"""True recoils that can give 7 to 60 PE; below, the smearing leaves less than 1e-15."""

EFFICIENCY_DECAY_PER_US = 0.0494
EFFICIENCY_FULL_UNTIL_US = 0.52

BACKGROUNDS = {"brn": (18.4, 0.25), "nin": (5.6, 0.35), "steady_state": (1286.0, 0.021)}
"""Expected counts and relative uncertainties: beam-related and neutrino-induced neutrons, steady state."""
SIGNAL_UNCERTAINTY = {"normalisation": 0.12, "shape": 0.10}
"""Flux, efficiency, quenching and form factor together; with shapes the flux alone."""
PULLS = ("efficiency", "quenching_0", "quenching_1", "neutron_radius")
NEUTRON_RADIUS_UNCERTAINTY = 0.02
OFFSET_RANGE_US = (-0.25, 0.25)
OFFSET_STEP_US = 0.01


@dataclass(frozen=True)
class ReleasedEfficiency:
    """a/(1 + exp(-b (x - c))) + d of the reconstructed photoelectrons x, never below 0 nor above 1."""

    coefficients: tuple[float, ...]
    axis: Literal["recoil", "reconstructed"] = "reconstructed"

    def __call__(self, energy_kev: ArrayLike) -> FloatArray:
        """The efficiency at numbers of photoelectrons."""
        a, b, c, d = self.coefficients
        return np.asarray(np.clip(a / (1 + np.exp(-b * (np.asarray(energy_kev) - c))) + d, 0.0, 1.0))


def light_of(coefficients: FloatArray) -> PolynomialQuenching:
    """Light of a nuclear recoil: the release's polynomial, of energies in MeV."""
    return PolynomialQuenching(tuple(float(c) * 1e-3**power for power, c in enumerate(coefficients)))


def time_efficiency(time_us: FloatArray) -> FloatArray:
    """1 up to 0.52 us, then exp(-0.0494 (t - 0.52)); 0 before the beam."""
    late = np.maximum(time_us - EFFICIENCY_FULL_UNTIL_US, 0.0)
    return np.where(time_us < 0, 0.0, np.exp(-EFFICIENCY_DECAY_PER_US * late))


def energy_terms(
    setup: Setup,
    target: Target,
    channel: str,
    couplings: tuple[Coupling, ...],
    light: FloatArray,
    efficiency: FloatArray,
) -> dict[Monomial, FloatArray]:
    """Counts per PE bin over all arrival times, monomial by monomial, for each group of flux components that arrive
    together: shape (groups, bins).
    """
    if channel not in RECOIL_RANGE_KEV:
        raise UnknownNameError(f"no channel {excerpt(channel)}; {nearest(channel, list(RECOIL_RANGE_KEV))}")
    readout = Readout(
        PE_EDGES,
        UNQUENCHED if channel == "electron" else light_of(light),
        SMEARING,
        ReleasedEfficiency(tuple(efficiency.tolist())),
        RECOIL_RANGE_KEV[channel],
    )
    return fold_channel(
        [group for _, group in components_by_arrival(setup.source.components)],
        target,
        channel,
        couplings,
        readout,
        setup.luminosity_per_cm2,
        form_factor=setup.form_factor,
        radiative_corrections=setup.radiative_corrections,
    )


def _time_nodes() -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights in every time bin, split where the efficiency bends: (bins, nodes) each."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    times, measures = [], []
    for low, high in itertools.pairwise(TIME_EDGES_US.tolist()):
        borders = [low, *([EFFICIENCY_FULL_UNTIL_US] if low < EFFICIENCY_FULL_UNTIL_US < high else []), high]
        while len(borders) < 3:
            borders.insert(1, (low + high) / 2)
        lengths = np.diff(borders)[:, None] / 2
        times.append((np.array(borders[:-1])[:, None] + lengths * (1 + nodes)).ravel())
        measures.append((lengths * weights).ravel())
    return np.array(times), np.array(measures)


def signal_times(setup: Setup, lifetimes_us: tuple[float, ...], offsets_us: FloatArray) -> Shift:
    """Share of the signal in each time bin, for every offset; what is lost to the efficiency is not in it."""
    times, weights = _time_nodes()
    efficient_weights = weights * time_efficiency(times)
    fractions = [
        np.sum(arrival_density(setup.pulse, lifetimes_us, times - offset) * efficient_weights, axis=1)
        for offset in offsets_us
    ]
    return _shift(setup, offsets_us, np.array(fractions))


def _shift(setup: Setup, offsets_us: FloatArray, fractions: FloatArray) -> Shift:
    """A distribution in time that moves with the common offset, where there is one."""
    offset = Parameter(f"{setup.name}.{OFFSET}", np.inf) if len(offsets_us) > 1 else None
    return Shift(offset, TIME_AXIS, offsets_us, fractions)


def background_times(setup: Setup, path: Path, offsets_us: FloatArray) -> Shift:
    """A released time template times the efficiency, one in all at offset 0."""
    centres, density = read_histogram(path)
    times, weights = _time_nodes()
    efficient_weights = weights * time_efficiency(times)
    # Beyond its ends the template is as at its ends: half of the smallest bin at most, where it is zero or flat.
    shapes = np.array(
        [np.sum(np.interp(times - offset, centres, density) * efficient_weights, axis=1) for offset in offsets_us]
    )
    nominal = np.sum(np.interp(times, centres, density) * efficient_weights)
    return _shift(setup, offsets_us, shapes / nominal)


def _background(setup: Setup, name: str, pe: FloatArray, times: Shift) -> Sample:
    counts, width = BACKGROUNDS[name]
    scale = Scale(Parameter(f"{setup.name}.{name}", width))
    return Sample(name, (counts * pe / pe.sum())[None, :], modifiers=[scale, times])


def _backgrounds(setup: Setup, files: Mapping[str, Path], offsets_us: FloatArray) -> list[Sample]:
    samples = []
    for name in ("brn", "nin"):
        centres, density = read_histogram(files[f"{name}PE.txt"])
        pe, _ = np.histogram(centres, PE_EDGES, weights=density)
        samples.append(_background(setup, name, pe, background_times(setup, files[f"{name}Trec.txt"], offsets_us)))
    return [*samples, _steady_state(setup, anti_coincident_counts(files["dataBeamOnAC.txt"]))]


def anti_coincident_counts(path: Path) -> FloatArray:
    """Events outside the beam window by rows of photoelectrons, within the times of the fit."""
    events = read_events(path)
    inside = events[events[:, 1] < TIME_EDGES_US[-1], 0]
    return np.asarray(np.histogram(inside[inside < PE_EDGES[-1]], PE_EDGES)[0], dtype=float)


def _steady_state(setup: Setup, off: FloatArray) -> Sample:
    """As many counts as quoted, with the energies of the anti-coincident events, falling as the efficiency does.

    With `off_counts: fitted` every row of energy has an expectation of its own, which its anti-coincident events
    constrain beside the data; the quoted uncertainty of the total is a factor on top.
    """
    decay = np.exp(-EFFICIENCY_DECAY_PER_US * TIME_EDGES_US)
    shares = (decay[:-1] - decay[1:]) / (decay[0] - decay[-1])
    if setup.off_counts == "exact":
        return _background(setup, "steady_state", off, Shift(None, TIME_AXIS, np.zeros(1), shares[None, :]))
    counts, width = BACKGROUNDS["steady_state"]
    rows = np.repeat(np.arange(len(off)), len(shares))
    modifiers: list[Modifier] = [
        Scale(Parameter(f"{setup.name}.steady_state", width)),
        PerBin(off, counts / off.sum(), rows),
    ]
    return Sample("steady_state", np.tile(shares, len(off))[None, :], modifiers=modifiers)


def _nominal_counts(sample: Sample) -> FloatArray:
    """Counts of a background in all bins, nothing pulled."""
    template = sample.per_bin
    if template is not None:
        return np.asarray(template.ratio * template.off[template.groups] * sample.coefficients[0])
    if sample.shift is None:
        return np.asarray(sample.coefficients[0])
    return np.outer(sample.coefficients[0], _central(sample.shift)).ravel()


def _neutron_radii(target: Target, factor: float) -> Target:
    """The target with all neutron radii scaled."""
    constituents = [
        replace(c, nucleus=replace(c.nucleus, neutron_radius_fm=c.nucleus.neutron_radius_fm * factor))
        for c in target.constituents
    ]
    return replace(target, constituents=tuple(constituents))


@dataclass(frozen=True, eq=False)
class _Signal:
    """The expected signal: what the response is made of, and the samples of the likelihood."""

    monomials: tuple[Monomial, ...]
    coefficients: dict[str, FloatArray]
    """Per channel, without an offset: shape (monomials, bins)."""
    samples: tuple[Sample, ...]
    """One per channel and group of flux components that arrive together."""


def _signal(
    setup: Setup, couplings: tuple[Coupling, ...], files: Mapping[str, Path], offsets_us: FloatArray
) -> _Signal:
    """Fold the flux components, nominal and with every curve varied by one standard deviation."""
    quenching = read_coefficients(files["scintRespCoefficients.txt"], 5)
    efficiency = read_coefficients(files["effCoefficients.txt"], 3)
    groups = components_by_arrival(setup.source.components)

    def fold_all(target: Target, q: int = 0, e: int = 0) -> dict[str, dict[Monomial, FloatArray]]:
        """By channel, with the curves in these rows of the released tables."""
        return {
            channel: energy_terms(setup, target, channel, couplings, quenching[q], efficiency[e])
            for channel in setup.channels
        }

    nominal = fold_all(setup.target)
    varied = {}
    if setup.nuisances == "shape":
        radii = [_neutron_radii(setup.target, 1 + sign * NEUTRON_RADIUS_UNCERTAINTY) for sign in (1, -1)]
        varied = {
            "efficiency": [fold_all(setup.target, e=row) for row in (1, 2)],
            "quenching_0": [fold_all(setup.target, q=row) for row in (1, 2)],
            "quenching_1": [fold_all(setup.target, q=row) for row in (3, 4)],
            "neutron_radius": [fold_all(target) for target in radii],
        }
        varied = {name: varied[name] for name in pulls(setup, couplings)}
    monomials = sorted_monomials(list(nominal.values()))

    def rows(folded: dict[str, dict[Monomial, FloatArray]], channel: str, number: int) -> FloatArray:
        nothing = np.zeros((len(groups), len(PE_EDGES) - 1))
        return np.array([folded[channel].get(monomial, nothing)[number] for monomial in monomials])

    times = [signal_times(setup, lifetimes, offsets_us) for lifetimes, _ in groups]
    polynomial = polynomial_of(couplings, tuple(monomials), expansions_of(couplings, setup.target))
    units = polynomial.units[:, None]
    normalisation = Scale(Parameter(f"{setup.name}.{SIGNAL}", SIGNAL_UNCERTAINTY[setup.nuisances]))
    samples = []
    for channel in setup.channels:
        for number in range(len(groups)):
            bends = [
                Bend(Parameter(f"{setup.name}.{name}", 1.0), *(rows(side, channel, number) * units for side in sides))
                for name, sides in varied.items()
            ]
            counts = rows(nominal, channel, number) * units
            samples.append(Sample(channel, counts, polynomial, [normalisation, *bends, times[number]]))
    parts = {
        channel: [
            (rows(nominal, channel, number)[:, :, None] * _central(times[number])).reshape(len(monomials), -1)
            for number in range(len(groups))
        ]
        for channel in setup.channels
    }
    coefficients = {channel: np.asarray(np.sum(part, axis=0)) for channel, part in parts.items()}
    return _Signal(tuple(monomials), coefficients, tuple(samples))


def pulls(setup: Setup, couplings: Sequence[Coupling]) -> tuple[str, ...]:
    """The pulls of the signal's shape; a radius that is fitted has none besides."""
    if setup.nuisances != "shape":
        return ()
    return tuple(name for name in PULLS if name not in {coupling.name for coupling in couplings})


def _central(times: Shift) -> FloatArray:
    """The time distribution without an offset, which stands in the middle of the grid."""
    return np.asarray(times.fractions[len(times.fractions) // 2])


def analyse(setup: Setup, couplings: Sequence[Coupling], files: Mapping[str, Path]) -> Measurement:
    """The measurement as a function of some couplings; `files` are the release's, by name."""
    shaped = setup.nuisances == "shape"
    low, high = OFFSET_RANGE_US
    offsets = np.linspace(low, high, round((high - low) / OFFSET_STEP_US) + 1) if shaped else np.zeros(1)
    signal = _signal(setup, tuple(couplings), files, offsets)
    backgrounds = _backgrounds(setup, files, offsets)
    expected = {sample.name: _nominal_counts(sample) for sample in backgrounds}
    response = Response(
        setup.name,
        (BinAxis("energy_pe", PE_EDGES), BinAxis("time_us", TIME_EDGES_US)),
        tuple(couplings),
        setup.channels,
        signal.monomials,
        signal.coefficients,
        expected,
        expansions_of(couplings, setup.target),
    )
    events = read_events(files["dataBeamOnC.txt"])
    events = events[(events[:, 0] < PE_EDGES[-1]) & (events[:, 1] < TIME_EDGES_US[-1])]
    observed, _, _ = np.histogram2d(events[:, 0], events[:, 1], [PE_EDGES, TIME_EDGES_US])
    return measurement(setup, response, observed.ravel(), (*signal.samples, *backgrounds))
