"""The axes on which experiments bin their counts, with units in the names."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

AXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "coherent-csi-2021": ("energy_pe", "time_us"),
        "coherent-lar-2020": ("energy_kevee", "f90", "time_us"),
    }
)
"""By experiment, in the order of the bins, the last axis fastest."""
