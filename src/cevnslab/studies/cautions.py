"""What a user must be told before trusting the numbers: uncertainties that look like percentages, counts too few.

Nothing here is an error: `cevnslab check` says it as warnings, a run among its notes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cevnslab.studies import schema
from cevnslab.studies.setups import AnySetup, DetectorSetup, sparse_bins
from cevnslab.studies.study import Study

WIDEST = 1.0
"""A relative width above it lets a normalisation be twice its value, or none, within a standard deviation."""
RELATIVE_KINDS = ("normalisation", "energy_scale", "quenching", "lindhard_k")
SPARSE_OFF_COUNTS, SEVERAL = 5.0, 2
"""So few counts a bin of an off-beam run, in so many bins or more, can leave intervals of 90 % a coverage below 88 %
(docs/coverage.md)."""


def cautions(study: Study) -> list[str]:
    """All of them, in the order of the keys."""
    fewer = [text for setup in study.setups for text in (sparse_bins(setup), _sparse_off_counts(setup)) if text]
    return [*_wide(study.file), *fewer]


def _wide(file: schema.StudyFile) -> Iterator[str]:
    """Relative widths that are most likely percentages."""
    for path, width in _relative_widths(file):
        if width is not None and width > WIDEST:
            yield percentage_text(path, width)


def percentage_text(name: str, width: float) -> str:
    """What is said of a relative width that is most likely a percentage.

    >>> percentage_text("uncertainties.signal", 10)
    'uncertainties.signal: 10 is relative, 1000 %; 10 % is 0.1'
    """
    return f"{name}: {width:g} is relative, {100 * width:g} %; {width:g} % is {width / 100:g}"


def _relative_widths(file: schema.StudyFile) -> Iterator[tuple[str, float | None]]:
    if file.uncertainties is not None:
        for key in ("signal", "background"):
            yield f"uncertainties.{key}", getattr(file.uncertainties, key)
    for spec in file.detectors:
        path = f"detectors.{spec.name}"
        if isinstance(spec, schema.DatasetDetector):
            yield from ((f"{path}.uncertainties.{key}", width) for key, width in spec.uncertainties.items())
            continue
        if spec.uncertainties is not None:
            for key in ("signal", "background"):
                yield f"{path}.uncertainties.{key}", getattr(spec.uncertainties, key)
        for background in spec.backgrounds or []:
            yield f"{path}.backgrounds.{background.name}.uncertainty", background.uncertainty
    for systematic in file.systematics:
        if systematic.kind in RELATIVE_KINDS:
            yield f"systematics.{systematic.name}.width", systematic.width


def _sparse_off_counts(setup: AnySetup) -> str | None:
    """What must be said of off-beam runs with few counts a bin: expectations fitted bin by bin are biased."""
    if not isinstance(setup, DetectorSetup):
        return None
    for background in setup.backgrounds or ():
        if background.off is None:
            continue
        off = background.off.off
        if len(off) >= SEVERAL and float(np.mean(off)) <= SPARSE_OFF_COUNTS:
            return (
                f"{setup.name}: the off-beam run {background.name} has {np.mean(off):.2g} counts a bin in {len(off)} "
                "bins, so few that intervals of 90 % may cover less than 88 %; wider bins, or intervals: {method: "
                "feldman-cousins}, cover as they say"
            )
    return None
