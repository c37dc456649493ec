"""The data sets that can be analysed, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from cevnslab.errors import UnknownNameError
from cevnslab.experiments import csi_2021, lar_2020
from cevnslab.experiments.measurement import Measurement, Setup
from cevnslab.physics.couplings import Coupling
from cevnslab.words import nearest

Analysis = Callable[[Setup, Sequence[Coupling]], Measurement]

EXPERIMENTS: Mapping[str, Analysis] = MappingProxyType(
    {"coherent-csi-2021": csi_2021.analyse, "coherent-lar-2020": lar_2020.analyse}
)


def analysis_of(name: str, registry: Mapping[str, Analysis] = EXPERIMENTS) -> Analysis:
    """The analysis of a data set; `UnknownNameError` offers the nearest name."""
    if name not in registry:
        raise UnknownNameError(f"no experiment '{name}'; {nearest(name, registry)}")
    return registry[name]
