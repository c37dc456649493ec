"""Expected limits of a study: of every detector and combination, of every coupling, at every value of a scan."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cevnslab import results
from cevnslab.inference.expected_limits import ExpectedLimit, expected_limits, task_of
from cevnslab.inference.toy_tasks import OuterEndsTask
from cevnslab.parallel.tasks import Mapper, in_turn
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.study import Study


def bands(
    study: Study,
    requests: Iterable[tuple[Analysis, str]],
    store: Path | None = None,
    mapper: Mapper = in_turn,
) -> list[results.Band]:
    """Two ends per analysis, coupling and confidence level; none where the study asks for no bands."""
    if study.file.bands is None:
        return []
    pairs = list(requests)
    limits = expected_limits([_task(study, analysis, name) for analysis, name in pairs], store, mapper)
    return [
        band
        for (analysis, _), levels in zip(pairs, limits, strict=True)
        for limit in levels
        for band in _ends(analysis, limit)
    ]


def _task(study: Study, analysis: Analysis, name: str) -> OuterEndsTask:
    options = study.file.bands
    assert options is not None
    return task_of(
        analysis.likelihood,
        name,
        study.file.intervals.levels,
        toys=options.toys,
        seed=options.seed,
        # The same random numbers at every value of a scan: what differs then is due to its key.
        stream=(analysis.name,),
        hidden=[other for other in analysis.profile if other != name],
        minimum=study.file.intervals.minimum,
    )


def _ends(analysis: Analysis, limit: ExpectedLimit) -> list[results.Band]:
    return [
        results.Band(
            detector=analysis.name,
            channels=analysis.channels,
            statistic=analysis.statistic_name,
            coupling=limit.coupling,
            confidence_level=limit.confidence_level,
            end=end,
            median=quantiles.median,
            low_68=quantiles.low_68,
            high_68=quantiles.high_68,
            low_95=quantiles.low_95,
            high_95=quantiles.high_95,
            disjoint_share=limit.disjoint_share,
            toys=limit.toys,
            seed=limit.seed,
        )
        for end, quantiles in (("lower", limit.lower), ("upper", limit.upper))
    ]
