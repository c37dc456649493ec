"""Significance of a signal, and its strength: conventions as in the field.

The strength s multiplies the signal's samples, 1 in the Standard Model and never negative; all nuisances are profiled.

    discovery         q0 = chi^2(0) - chi^2(s^) if s^ > 0, else 0;   Z = sqrt(q0),   p = 1 - Phi(Z), one-sided
    Standard Model    t = chi^2(1) - chi^2(s^),   p = P(chi^2 of one degree of freedom > t), two-sided
    upper limit       the s > s^ at which chi^2(s) - chi^2(s^) = Phi^-1(CL)^2, one-sided: 1.642 for 90 %

Cowan, Cranmer, Gross, Vitells, Eur. Phys. J. C 71 (2011) 1554, Eqs. (12) and (14). Asymptotic: with few counts
pseudo-experiments are needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from cevnslab.errors import StatisticsError
from cevnslab.likelihood.fit import fit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Scale

STRENGTH = "cevns_strength"
"""The name of the strength among the parameters."""
LARGEST_STRENGTH = 1e6


@dataclass(frozen=True)
class Significance:
    """What counts say about the strength of a signal."""

    strength: float
    """Best fit, 1 in the Standard Model."""
    error: float | None
    """One standard deviation, all nuisances profiled; None where the strength rests at 0."""
    error_without_normalisation: float | None
    """The same with the signal's own normalisations at their centres: what the counts alone leave."""
    discovery: float
    """Z of a signal over none, one-sided."""
    p_no_signal: float
    """One-sided."""
    p_standard_model: float
    """Two-sided."""


def with_strength(likelihood: Likelihood, samples: Sequence[str] = ("cevns",)) -> Likelihood:
    """The Standard Model's likelihood with a free factor on some samples.

    Raises `StatisticsError` where there is none of them.
    """
    fixed = likelihood.restricted(())
    names = {sample.name for dataset in fixed.datasets for sample in dataset.samples}
    if not names & set(samples):
        raise StatisticsError(f"no sample {' or '.join(samples)}; there are {', '.join(sorted(names))}")
    scale = Scale(Parameter(STRENGTH, math.inf))
    return fixed.modified(samples, lambda _: scale)


def chi2_at(likelihood: Likelihood, strength: float) -> float:
    """chi^2 with the strength held at a value."""
    held = likelihood.with_parameters({STRENGTH: Parameter(STRENGTH, 0.0, centre=strength - 1, low=-1.0)})
    return float(held.minimised(np.zeros((1, 0))).chi2[0])


def significance(
    likelihood: Likelihood,
    normalisations: Sequence[str] = (),
    samples: Sequence[str] = ("cevns",),
) -> Significance:
    """The strength of a signal, its error, and how significant it is.

    Parameters
    ----------
    normalisations
        Nuisance parameters that scale the signal too: degenerate with the strength, they change its error but no
        significance.
    samples
        What the strength multiplies.

    """
    free = with_strength(likelihood, samples)
    best = fit(free)
    alone = fit(free, fixed=normalisations)
    strength = best.parameter(STRENGTH)
    # Without a prior of its own a normalisation of the signal may be pulled in the strength's place: it is not.
    value = 1 + alone.parameter(STRENGTH).value
    lowest = min(best.chi2, alone.chi2)
    discovery = math.sqrt(max(chi2_at(free, 0.0) - lowest, 0.0)) if value > 0 else 0.0
    departure = max(chi2_at(free, 1.0) - lowest, 0.0)
    return Significance(
        strength=value,
        error=strength.error,
        error_without_normalisation=alone.parameter(STRENGTH).error,
        discovery=discovery,
        p_no_signal=math.erfc(discovery / math.sqrt(2)) / 2,
        p_standard_model=math.erfc(math.sqrt(departure / 2)),
    )


def upper_limit(likelihood: Likelihood, samples: Sequence[str] = ("cevns",), confidence_level: float = 0.90) -> float:
    """The one-sided upper limit on the strength of a signal.

    Where chi^2 has risen by Phi^-1(CL)^2 above that of the best fit, all nuisances profiled; infinite where it does not
    within a strength of a million.
    """
    from scipy.optimize import brentq

    free = with_strength(likelihood, samples)
    best = fit(free)
    level = NormalDist().inv_cdf(confidence_level) ** 2
    low = 1 + best.parameter(STRENGTH).value
    high = max(2 * low, 1.0)
    while chi2_at(free, high) - best.chi2 < level:
        high *= 2
        if high > LARGEST_STRENGTH:
            return math.inf
    return float(brentq(lambda strength: chi2_at(free, strength) - best.chi2 - level, low, high, rtol=1e-10))
