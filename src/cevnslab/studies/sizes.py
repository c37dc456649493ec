"""How much memory a study takes, foreseen from its keys: nothing is folded for it.

Counts per bin and product of couplings are the bulk: of the response, and of every nuisance parameter that bends it at
plus and minus one standard deviation. A minimiser works on a few slopes per bin and parameter besides.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cevnslab.detection.expansion import ORDER
from cevnslab.errors import StudyError
from cevnslab.physics.sources import components_by_part
from cevnslab.studies.setups import AnySetup, DetectorSetup
from cevnslab.studies.study import Study

NUMBER = 8
"""Bytes of a number in double precision."""
WORK = 4
"""Arrays of the slopes of a point that a minimiser has at once (measured, as a test does again)."""
NORMALISATIONS = 2
"""Parameters that no study is without: of the signal and of a background."""
TOY_ARRAYS = 4
"""Arrays of the counts of a block of pseudo-experiments that live at once."""
LARGEST_SHARE = 0.8
"""Of the machine's memory."""
FALLBACK_BYTES = 8e9
"""Of a machine that does not say how much memory it has."""


@dataclass(frozen=True)
class Size:
    """What one detector takes."""

    detector: str
    bins: int
    products: int
    """Of couplings, the Standard Model's 1 included; at most, since some never meet in one flavour."""
    samples: int
    """Channels and parts of the flux that are kept for themselves."""
    bends: int
    """Nuisance parameters that bend the shape."""
    toys: int
    """Pseudo-experiments of a block; 0 where none are drawn."""

    @property
    def response_bytes(self) -> float:
        """Of the counts as a function of the couplings."""
        return float(NUMBER) * self.bins * self.products * self.samples

    @property
    def likelihood_bytes(self) -> float:
        """Of the response, what bends it, and the arrays that fits work on: a number per bin, two per parameter."""
        parameters = self.bends + NORMALISATIONS
        return self.response_bytes * (1 + 2 * self.bends) + float(NUMBER) * WORK * self.bins * (4 + 2 * parameters)

    @property
    def toy_bytes(self) -> float:
        """Of a block of pseudo-experiments in one process."""
        return float(NUMBER) * TOY_ARRAYS * self.bins * self.toys


def size_of(setup: DetectorSetup, study: Study) -> Size:
    """The size of one projected detector in its study."""
    detector = setup.detector
    bins = math.prod(len(axis) for axis in detector.axes)
    linear = [coupling for coupling in setup.couplings if coupling.linear]
    orders = ORDER + 1 if len(linear) < len(setup.couplings) else 1
    products = (len(linear) + 1) * (len(linear) + 2) // 2 * orders
    parts = len(components_by_part(setup.source.components)) if setup.source.nuisances else 0
    bends = [setup.energy_scale_uncertainty > 0, setup.quenching_uncertainty > 0]
    bends += [
        each.kind != "normalisation" and (each.detectors is None or setup.name in each.detectors)
        for each in study.file.systematics
    ]
    toys = 0
    if study.file.intervals.method == "feldman-cousins":
        from cevnslab.inference.toy_tasks import TOYS_PER_BLOCK
        from cevnslab.studies.feldman_cousins import Options

        toys = min(TOYS_PER_BLOCK, Options.of(study.file.intervals).toys)
    return Size(setup.name, bins, products, len(setup.channels) * (1 + parts), sum(bends), toys)


def sizes(study: Study) -> list[Size]:
    """Those of all projected detectors; data sets are as large as they are."""
    return [size_of(setup, study) for setup in study.setups if isinstance(setup, DetectorSetup)]


def check_sizes(study: Study) -> None:
    """Raise `StudyError` for a study that would not fit into the machine's memory; it names the largest detector."""
    each = sizes(study)
    if not each:
        return
    toys = max(size.toy_bytes for size in each)
    total = sum(size.likelihood_bytes for size in each) + toys
    allowed = LARGEST_SHARE * memory_bytes()
    if total <= allowed:
        return
    if toys > total / 2:
        size = max(each, key=lambda one: one.toy_bytes)
        why = f"{size.bins} bins in {size.toys} pseudo-experiments at once"
    else:
        size = max(each, key=lambda one: one.likelihood_bytes)
        bent = f", bent by {size.bends} nuisance parameters" if size.bends else ""
        why = f"{size.bins} bins of {size.products} products of couplings{bent}"
    key = _bins_key(next(setup for setup in study.setups if setup.name == size.detector))
    raise StudyError(
        f"detectors.{size.detector}.{key}: {why} take {bytes_text(total)} of memory, of which this machine has "
        f"{bytes_text(memory_bytes())}; give fewer bins or fewer couplings"
    )


def _bins_key(setup: AnySetup) -> str:
    """The key that makes a detector's bins many."""
    assert isinstance(setup, DetectorSetup)
    detector = setup.detector
    if detector.response is not None:
        return "response"
    times = 0 if detector.time_bin_edges_us is None else len(detector.time_bin_edges_us)
    return "time_bin_edges_us" if times > len(detector.bin_edges_kev) else "bins"


def memory_bytes() -> float:
    """The machine's memory, or what a container is allowed of it."""
    amounts = []
    with suppress(ValueError, OSError, AttributeError):
        amounts.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):  # "max" where there is no limit
        amounts.append(float(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii")))
    return min(amounts, default=FALLBACK_BYTES)


def bytes_text(amount: float) -> str:
    """An amount of memory in words.

    >>> bytes_text(3.21e9), bytes_text(2500), bytes_text(1.4e6)
    ('3.2 GB', '2.5 kB', '1.4 MB')
    """
    size, symbol = next(pair for pair in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if amount >= pair[0] or pair[0] == 1e3)
    return f"{amount / size:.2g} {symbol}" if amount < 100 * size else f"{amount / size:.0f} {symbol}"
