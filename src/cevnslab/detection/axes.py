"""Directions in which counts are binned."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cevnslab.frozen import frozen_array

FloatArray = NDArray[np.float64]


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
