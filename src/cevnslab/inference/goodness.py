"""Goodness of fit by pseudo-experiments: how many of the best fit's own have a larger chi^2 than the data.

With few counts in a bin, or constraints, no chi^2 distribution is known; with toys none is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.inference.toy_tasks import content, generator, wordless
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.toys import Truth, draw
from cevnslab.parallel.digests import content_digest
from cevnslab.parallel.tasks import Mapper, in_turn, joined, run_tasks

TOYS, SEED = 1000, 1
"""Pseudo-experiments for a p-value that nobody asked more of."""
FITS_PER_BLOCK = 250


@dataclass(frozen=True)
class Goodness:
    """The share of toys that are worse than the data."""

    p_value: float
    error: float
    """One binomial standard deviation."""
    toys: int


@dataclass(frozen=True, eq=False)
class GoodnessTask:
    """chi^2 of toys of a likelihood without couplings, each at its own best fit.

    What has no prior has the value fitted to the likelihood's data, all else is drawn (`cevnslab.likelihood.toys`).
    """

    likelihood: Likelihood
    toys: int
    seed: int
    stream: tuple[str, ...] = ()
    """Declared words that random numbers belong to."""

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.toys // FITS_PER_BLOCK)

    def digest(self) -> str:
        """A name for the kept blocks that no other task has."""
        return content_digest(FITS_PER_BLOCK, "goodness", *content(self.likelihood), self.toys, self.seed, self.stream)

    def run(self, block: int) -> dict[str, NDArray[np.generic]]:
        """``chi2`` of the toys of one block, shape (toys,)."""
        count = min(FITS_PER_BLOCK, self.toys - block * FITS_PER_BLOCK)
        rng = generator(self.seed, ["goodness", *self.stream], block)
        toys = draw(self.likelihood, Truth.of(self.likelihood, np.zeros(0)), count, rng, "drawn")
        return {"chi2": self.likelihood.minimised(np.zeros((count, 0)), observation=toys).chi2}


def goodness_of_fit(
    likelihood: Likelihood,
    chi2: float,
    *,
    toys: int = TOYS,
    seed: int = SEED,
    stream: Sequence[str] = (),
    store: Path | None = None,
    mapper: Mapper = in_turn,
) -> Goodness:
    """The p-value of a best fit: the share of pseudo-experiments, each fitted again, whose chi^2 is larger.

    Raises `StatisticsError` for a prior that lies outside its parameter's boundaries.

    Parameters
    ----------
    likelihood
        With all couplings as in the Standard Model.
    chi2
        Of its best fit to its own data.
    stream
        Declared words that random numbers belong to.
    store, mapper
        Where blocks of toys are kept, and what runs them.

    """
    task = GoodnessTask(wordless(likelihood.restricted(())), toys, seed, tuple(stream))
    (blocks,) = run_tasks([task], store, mapper, "goodness of fit")
    share = float(np.mean(np.asarray(joined(blocks)["chi2"]) > chi2))
    return Goodness(share, math.sqrt(share * (1 - share) / toys), toys)
