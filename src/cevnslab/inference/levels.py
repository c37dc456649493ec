"""Confidence levels as probabilities, never as bare levels of delta chi^2."""

from __future__ import annotations

import math
from statistics import NormalDist

BAND_CONTENTS = (0.68, 0.95)
"""Of the inner and the outer band of an expected limit."""
FEWEST_BAND_TOYS = 400
"""Of pseudo-experiments ten then lie beyond each edge of the outer band (`toy_tasks.fewest_toys`)."""
MOST_TOYS = 10_000_000
"""That may be asked for, of one kind."""


def delta_chi2_level(confidence_level: float, parameters: int) -> float:
    """Delta chi^2 that a chi^2 variable with `parameters` degrees of freedom exceeds with probability 1 - CL.

    >>> round(delta_chi2_level(0.90, 1), 5), round(delta_chi2_level(0.90, 2), 5)
    (2.70554, 4.60517)
    """
    if not 0 < confidence_level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, got {confidence_level}")
    if parameters == 1:
        return NormalDist().inv_cdf((1 + confidence_level) / 2) ** 2
    if parameters == 2:
        return -2 * math.log1p(-confidence_level)
    raise ValueError(f"levels are for one or two parameters, got {parameters}")
