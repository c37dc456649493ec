"""Significance of a signal, and its strength: conventions as in the field.

The strength s multiplies the signal's samples, 1 in the Standard Model and never negative; all nuisances are profiled.

    discovery         q0 = chi^2(0) - chi^2(s^) if s^ > 0, else 0;   Z = sqrt(q0),   p = 1 - Phi(Z), one-sided
    Standard Model    t = chi^2(1) - chi^2(s^),   p = P(chi^2 of one degree of freedom > t), two-sided
    upper limit       the s > s^ at which chi^2(s) - chi^2(s^) = Phi^-1(CL)^2, one-sided: 1.642 for 90 %

Cowan, Cranmer, Gross, Vitells, Eur. Phys. J. C 71 (2011) 1554, Eqs. (12) and (14). Asymptotic: with few counts
pseudo-experiments are needed. Those without a signal say how often q0 is as large as observed, those of the Standard
Model what Z was to be expected.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import StatisticsError
from cevnslab.inference.toy_tasks import TOYS_PER_BLOCK, content, generator, wordless
from cevnslab.likelihood.fit import Fit, fit
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Scale
from cevnslab.likelihood.toys import Truth, draw
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import Mapper, in_turn, joined, run_tasks

FloatArray = NDArray[np.float64]

STRENGTH = "cevns_strength"
"""The name of the strength among the parameters."""
LARGEST_STRENGTH = 1e6
SAME_CHI2 = 1e-8
"""Two chi^2 that differ by less are one, as of toys with the observed counts."""


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


def _held(likelihood: Likelihood, strength: float) -> Likelihood:
    """A likelihood with a free strength, with the strength at a value."""
    return likelihood.with_parameters({STRENGTH: Parameter(STRENGTH, 0.0, centre=strength - 1, low=-1.0)})


def signal_normalisations(likelihood: Likelihood, samples: Sequence[str] = ("cevns",)) -> list[str]:
    """The parameters that scale all of a signal in a data set: whatever they are called, and whoever shares them."""
    names: list[str] = []
    for dataset in likelihood.datasets:
        scales = [
            {modifier.parameter.name for modifier in sample.modifiers if isinstance(modifier, Scale)}
            for sample in dataset.samples
            if sample.name in samples
        ]
        names += sorted(set.intersection(*scales)) if scales else []
    return list(dict.fromkeys(names))


def chi2_at(likelihood: Likelihood, strength: float, best: Fit | None = None) -> float:
    """chi^2 with the strength held at a value; from the nuisances of the best fit too, where these are known.

    Data far from all that is expected have several minima, of which the one around the best fit may be missed.
    """
    held = _held(likelihood, strength)
    lowest = float(held.minimised(np.zeros((1, 0))).chi2[0])
    if best is None:
        return lowest
    values = {parameter.name: parameter.value for parameter in best.parameters if parameter.name != STRENGTH}
    starts = [(values.get(each.name, each.centre) - each.centre) / each.unit for each in held.parameters]
    return min(lowest, float(held.minimised(np.zeros((1, 0)), starts=np.array([starts])).chi2[0]))


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
    discovery = math.sqrt(max(chi2_at(free, 0.0, best) - lowest, 0.0)) if value > 0 else 0.0
    departure = max(chi2_at(free, 1.0, best) - lowest, 0.0)
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
    level = abs(NormalDist().inv_cdf(confidence_level))

    def above(strength: float) -> float:
        """In standard deviations, in which the way is nearly straight."""
        return math.sqrt(max(chi2_at(free, strength, best) - best.chi2, 0.0)) - level

    low = 1 + best.parameter(STRENGTH).value
    high = max(2 * low, 1.0)
    while above(high) < 0:
        high *= 2
        if high > LARGEST_STRENGTH:
            return math.inf
    return float(brentq(above, low, high, rtol=1e-10))


# by pseudo-experiments ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SimulatedSignificance:
    """What pseudo-experiments say of a significance."""

    p_no_signal: float
    """Share of toys without a signal whose q0 is at least the observed one; 0 where there is none among them."""
    p_error: float
    """One binomial standard deviation; 1/toys where the share is 0."""
    discovery: float | None
    """The Z that this share has, one-sided; None where no toy reaches the observed q0."""
    expected: float
    """Median Z of toys of the Standard Model."""
    expected_low_68: float
    expected_high_68: float
    """The band that holds 68 % of them."""
    toys: int
    seed: int


@dataclass(frozen=True, eq=False)
class DiscoveryTask:
    """q0 of toys with a signal of some strength."""

    likelihood: Likelihood
    """With a free strength."""
    strength: float
    """That toys are drawn with: what has no prior has its fitted value given it."""
    toys: int
    seed: int
    stream: tuple[str, ...] = ()
    """Declared words that random numbers belong to."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // TOYS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        words = (self.strength, self.toys, self.seed, self.stream)
        return content_digest(TOYS_PER_BLOCK, "discovery", *content(self.likelihood), *words)

    def run(self, block: int) -> dict[str, NDArray[np.generic]]:
        """``q0`` of the toys of one block, shape (toys,)."""
        count = min(TOYS_PER_BLOCK, self.toys - block * TOYS_PER_BLOCK)
        rng = generator(self.seed, ["discovery", *self.stream, f"strength {self.strength:g}"], block)
        truth, nothing = _held(self.likelihood, self.strength), _held(self.likelihood, 0.0)
        toys = draw(truth, Truth.of(truth, np.zeros(0)), count, rng, "drawn")
        points = np.zeros((count, 0))
        without = nothing.minimised(points, observation=toys).chi2
        best = self.likelihood.minimised(points, observation=toys).chi2
        # No signal is one of the strengths: where it is the best one q0 is zero.
        return {"q0": np.maximum(without - best, 0.0)}


def simulated_significance(
    likelihood: Likelihood,
    observed: Significance,
    *,
    toys: int,
    seed: int = 1,
    stream: Sequence[str] = (),
    samples: Sequence[str] = ("cevns",),
    store: Path | None = None,
    mapper: Mapper = in_turn,
) -> SimulatedSignificance:
    """The significance of a signal from pseudo-experiments, beside an asymptotic one of the same likelihood.

    Raises `StatisticsError` where there is no such sample.
    """
    free = with_strength(wordless(likelihood), samples)
    tasks = [DiscoveryTask(free, strength, toys, seed, tuple(stream)) for strength in (0.0, 1.0)]
    nothing, standard_model = (
        np.asarray(joined(blocks)["q0"]) for blocks in run_tasks(tasks, store, mapper, "significance")
    )
    # Where no signal is best q0 is zero, for the data as for toys: all of them are as significant.
    share = float(np.mean(nothing >= observed.discovery**2 - SAME_CHI2))
    low, median, high = np.sqrt(np.quantile(standard_model, [0.16, 0.5, 0.84]))
    return SimulatedSignificance(
        p_no_signal=share,
        p_error=max(math.sqrt(share * (1 - share) / toys), 1 / toys),
        discovery=None if share in (0.0, 1.0) else NormalDist().inv_cdf(1 - share),
        expected=float(median),
        expected_low_68=float(low),
        expected_high_68=float(high),
        toys=toys,
        seed=seed,
    )
