"""Whether pseudo-experiments of a study can be drawn at all, said before any of them is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from cevnslab.errors import StudyError
from cevnslab.likelihood.likelihood import off_counts
from cevnslab.likelihood.toys import Truth, expected_counts
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.study import Study

LARGEST_TOY_COUNTS = 1e15
"""Expected in a bin: random numbers above are soon no longer whole in double precision. What fluctuates multiplies it,
and random numbers end at some 9e18 (`cevnslab.likelihood.toys`)."""
REMEDY = "lower mass_kg, the exposure or the background"


def check_drawn(study: Study, analyses: Mapping[str, Analysis]) -> None:
    """Raise `StudyError` for more counts in a bin than the pseudo-experiments of a run can have.

    They are drawn for simulated intervals, for bands, and for the goodness of fit to observed counts.
    """
    simulated = study.file.intervals.method == "feldman-cousins"
    for analysis in analyses.values():
        if simulated or study.file.bands is not None:
            check_toy_counts(analysis, "feldman-cousins" if simulated else "bands")
        elif analysis.real and len(analysis.setups) == 1:
            check_toy_counts(analysis, "the goodness of fit to observed counts")


def check_toy_counts(analysis: Analysis, purpose: str, couplings: Mapping[str, float] = MappingProxyType({})) -> None:
    """Raise `StudyError` for more counts in a bin than random numbers can be drawn of.

    They are those expected with couplings at values, all others as in the Standard Model, and nuisances at their
    centres; the expectation behind off-beam counts is theirs. `purpose` says in words what the toys are for.
    """
    likelihood = analysis.likelihood
    point = likelihood.polynomial.standard_model.copy()
    for name, value in couplings.items():
        point[likelihood.couplings.index(name)] = value
    nuisances = np.zeros(len(likelihood.parameters))
    truth = Truth(point, nuisances, tuple(off_counts(dataset) for dataset in likelihood.datasets))
    for dataset, expected in zip(
        likelihood.datasets, expected_counts(likelihood, truth, point[None, :], nuisances[None, :]), strict=True
    ):
        place = int(np.argmax(expected[0]))
        counts = float(expected[0, place])
        if counts > LARGEST_TOY_COUNTS:
            at = "".join(f" at {name} = {value:g}" for name, value in couplings.items())
            raise StudyError(
                f"detectors.{dataset.name}: {counts:.3g} counts{at} in {dataset.bin_name(place)} are more than "
                f"pseudo-experiments draw ({LARGEST_TOY_COUNTS:g}), here for {purpose}; {REMEDY}"
            )
