"""What is known of an experiment before its data are read: its target, and the axes on which its counts are binned."""

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

TARGETS: Mapping[str, str] = MappingProxyType({"coherent-csi-2021": "CsI", "coherent-lar-2020": "Ar"})
"""What each experiment's counts, light and efficiency are of."""
