"""The Standard Model fitted to a measurement: counts, goodness of fit, significance of CEvNS.

As the collaboration does, the normalisation of CEvNS is free, backgrounds are constrained, and the signal's shape is
the nominal one; a time offset, where the analysis has one, is free too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.datasets.measurement import Measurement
from cevnslab.errors import StatisticsError
from cevnslab.inference.shapes import SIGNAL, ShapedLikelihood
from cevnslab.inference.templates import OFFSET

FloatArray = NDArray[np.float64]

TOYS, SEED = 1000, 1
"""Pseudo-experiments for the goodness of fit."""


@dataclass(frozen=True, eq=False)
class Fit:
    """The best fit: parameters with their errors, and the expected counts of each component."""

    parameters: tuple[tuple[str, float, float | None], ...]
    """Name, value, error (None where it has none)."""
    components: Mapping[str, FloatArray]
    """Counts per bin at the best fit, shape (bins,) each: channels, then backgrounds."""


def free_signal(measured: Measurement) -> ShapedLikelihood:
    """The likelihood with a free normalisation of the signal and nominal shapes."""
    statistic = measured.statistic
    kept = {SIGNAL, OFFSET, *(name for name, _ in statistic.backgrounds)}
    fixed = dict.fromkeys((name for name in statistic.names if name not in kept), 0.0)
    return statistic.with_widths(**{SIGNAL: np.inf}, **fixed)


def minimise(
    statistic: ShapedLikelihood, monomials: FloatArray, start: FloatArray
) -> tuple[float, FloatArray, FloatArray]:
    """chi^2, nuisances and their errors (from the curvature) at one point, by Minuit; fixed ones have error 0.

    Raises `StatisticsError` where Minuit finds no valid minimum.
    """
    from iminuit import Minuit

    contracted = statistic.contracted(monomials)

    def chi2(nuisances: FloatArray) -> float:
        rows = nuisances[None, :]
        return float(statistic.objective(statistic.expected(contracted, rows)[0], rows)[0])

    minuit = Minuit(chi2, np.asarray(start, dtype=float), name=statistic.names)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.strategy = 2
    for name, width in statistic.widths:
        minuit.errors[name] = min(width, 0.1) if width > 0 else 0.1
        minuit.fixed[name] = width == 0
    for name, low, high in zip(statistic.names, *statistic.limits, strict=True):
        minuit.limits[name] = (low, high)
    minuit.migrad()
    if not minuit.valid:
        raise StatisticsError("Minuit found no valid minimum of the Standard Model fit")
    # Limits bend the curvature, by which errors are taken: they are only kept where a nuisance rests on one.
    for name, low, high in zip(statistic.names, *statistic.limits, strict=True):
        if min(minuit.values[name] - low, high - minuit.values[name]) > minuit.errors[name]:
            minuit.limits[name] = None
    minuit.hesse()
    errors = np.where([minuit.fixed[name] for name in statistic.names], 0.0, np.array(minuit.errors))
    return float(minuit.fval), np.array(minuit.values), errors


def standard_model_fit(measured: Measurement) -> Fit:
    """Fit the Standard Model: CEvNS and background counts, chi^2 and its p-value, significance.

    The p-value is the share of 1000 pseudo-experiments of the best fit, each fitted again, whose chi^2 is larger. The
    significance is that of the fall of chi^2 from no CEvNS to the best fit, one parameter.
    """
    statistic, response = free_signal(measured), measured.response
    standard_model = np.zeros((1, len(statistic.monomials)))
    standard_model[0, 0] = 1.0
    lowest, found = statistic.minimised(standard_model)
    chi2, values, errors = minimise(statistic, standard_model, found[0])
    if lowest[0] <= chi2:  # on a limit Minuit stops short of it
        chi2, values = float(lowest[0]), found[0]
    nothing, _ = statistic.with_widths(**{SIGNAL: 0.0}).minimised(0 * standard_model)
    place = {name: number for number, name in enumerate(statistic.names)}
    at_best = statistic.expected(statistic.contracted(standard_model), values[None, :])[0][0]
    toys = np.random.default_rng(SEED).poisson(at_best, (TOYS, len(at_best))).astype(float)
    larger = float(np.mean(statistic.refitted(np.repeat(standard_model, TOYS, axis=0), toys) > chi2))
    components = _components(measured, statistic, values, place, 1 + float(values[place[SIGNAL]]))
    per_unit = _components(measured, statistic, values, place, 1.0)
    prior, error = dict(measured.statistic.widths)[SIGNAL], float(errors[place[SIGNAL]])
    rows: list[tuple[str, float, float | None]] = []
    for channel in response.channels:
        predicted = float(response.standard_model(channel).sum())
        rows.append((f"{channel}_counts", float(components[channel].sum()), error * float(per_unit[channel].sum())))
        rows.append((f"{channel}_predicted", predicted, predicted * prior))
    if measured.calculated_cevns is not None:
        rows.append(("cevns_calculated", measured.calculated_cevns, None))
    for name, background in response.backgrounds.items():
        own = float(background.sum())
        rows.append((f"{name}_counts", own * (1 + float(values[place[name]])), own * float(errors[place[name]])))
    if OFFSET in place:
        rows.append((OFFSET, float(values[place[OFFSET]]), float(errors[place[OFFSET]])))
    rows += [
        ("chi2", chi2, None),
        ("bins", float(len(measured.observed)), None),
        ("p_value", larger, float(np.sqrt(larger * (1 - larger) / TOYS))),
        ("significance_sigma", float(np.sqrt(max(float(nothing[0]) - chi2, 0.0))), None),
    ]
    return Fit(tuple(rows), components)


def _components(
    measured: Measurement,
    statistic: ShapedLikelihood,
    values: FloatArray,
    place: Mapping[str, int],
    normalisation: float,
) -> dict[str, FloatArray]:
    """Counts per bin of every channel, the signal with a normalisation, and of every background, at the best fit.

    The channels share the fitted signal in the proportion of their expectations.
    """
    pulls = {name: values[[number]] for name, number in place.items()}
    offset = pulls.get(OFFSET, np.zeros(1))
    one = np.zeros((1, len(statistic.monomials)))
    one[0, 0] = 1.0
    signal = np.sum([part.evaluate(part.contracted(one), pulls, offset)[0][0] for part in statistic.signal], axis=0)
    signal = signal * normalisation
    response = measured.response
    expected = response.signal[0]
    made = {}
    for channel in response.channels:
        own = response.standard_model(channel)
        made[channel] = signal * np.divide(own, expected, out=np.zeros_like(own), where=expected > 0)
    for name, part in statistic.backgrounds:
        counts, _ = part.evaluate(part.contracted(np.ones((1, 1))), pulls, offset)
        made[name] = counts[0] * (1 + values[place[name]])
    return made
