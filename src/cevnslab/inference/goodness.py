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
    """Toys of a likelihood without couplings, each at its own best fit: which are worse than data.

    What has no prior has the value fitted to the likelihood's data, all else is drawn (`cevnslab.likelihood.toys`).
    """

    likelihood: Likelihood
    chi2: float
    """Of the data."""
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
        return content_digest(
            FITS_PER_BLOCK, "goodness", *content(self.likelihood), self.chi2, self.toys, self.seed, self.stream
        )

    def run(self, block: int) -> dict[str, NDArray[np.generic]]:
        """Whether the toys of one block are ``worse``, shape (toys,)."""
        count = min(FITS_PER_BLOCK, self.toys - block * FITS_PER_BLOCK)
        rng = generator(self.seed, ["goodness", *self.stream], block)
        toys = draw(self.likelihood, Truth.of(self.likelihood, np.zeros(0)), count, rng, "drawn")
        # A toy that is no worse at any minimum is none at its lowest: most need no search from all starts.
        points, centres = np.zeros((count, 0)), np.zeros((count, len(self.likelihood.parameters)))
        worse = self.likelihood.minimised(points, starts=centres, observation=toys).chi2 > self.chi2
        rest = np.flatnonzero(worse)
        worse[rest] = self.likelihood.minimised(points[rest], observation=toys.rows(rest)).chi2 > self.chi2
        return {"worse": worse}


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
    task = GoodnessTask(wordless(likelihood.restricted(())), chi2, toys, seed, tuple(stream))
    (blocks,) = run_tasks([task], store, mapper, "goodness of fit")
    share = float(np.mean(joined(blocks)["worse"]))
    return Goodness(share, math.sqrt(share * (1 - share) / toys), toys)
