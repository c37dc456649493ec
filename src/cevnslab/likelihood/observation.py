"""Observations: the counts of many experiments at once, with what was measured of parameters elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.likelihood.statistics import Counts

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Observation:
    """What is compared with expectations: one row for all points, or one experiment per point."""

    counts: tuple[Counts, ...]
    """Per data set."""
    off: tuple[FloatArray, ...]
    """Per data set, off-counts of shape (experiments, groups); no groups where there are none."""
    centres: FloatArray
    """Of the constraints, in units of `Parameter.unit` from the nominal centre: shape (experiments, parameters)."""
    coupling_centres: FloatArray | None = None
    """Of the constraints on couplings, shape (experiments, couplings); the likelihood's own priors' unless given."""

    def rows(self, selection: IntArray) -> Observation:
        """Those of some points."""
        coupling_centres = self.coupling_centres
        if coupling_centres is not None and len(coupling_centres) > 1:
            coupling_centres = coupling_centres[selection]
        return Observation(
            tuple(counts.rows(selection) for counts in self.counts),
            tuple(off if len(off) == 1 else off[selection] for off in self.off),
            self.centres if len(self.centres) == 1 else self.centres[selection],
            coupling_centres,
        )

    @property
    def size(self) -> int:
        """Number of experiments."""
        return max(len(each) for each in (self.centres, *(counts.observed for counts in self.counts)))
