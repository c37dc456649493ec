"""Maps: the limit of one coupling over two keys."""

from __future__ import annotations

import numpy as np

from cevnslab import results
from cevnslab.inference.intervals import interval
from cevnslab.progress import progress_bar
from cevnslab.studies.schema.planning import LimitMap
from cevnslab.studies.study import Study
from cevnslab.studies.variation import Variations


def limit_map(study: Study, asked: LimitMap) -> results.LimitMap:
    """The outer ends of the interval at every point, row by row; shape (len(y), len(x))."""
    x, y = asked.x.values, asked.y.values
    variations = Variations(study)
    lower, upper = np.empty((len(y), len(x))), np.empty((len(y), len(x)))
    kinds: list[list[tuple[str, str]]] = []
    with progress_bar(f"map {asked.name}", len(y)) as advance:
        for row, second in enumerate(y):
            kinds.append([])
            for column, first in enumerate(x):
                varied, made = variations.at({asked.x.key: first, asked.y.key: second})
                chi2 = made[asked.detector].chi2(asked.coupling)
                pieces = interval(chi2, varied.file.intervals.levels[0], varied.file.intervals.minimum).pieces
                lower[row, column], upper[row, column] = pieces[0].low, pieces[-1].high
                kinds[-1].append((pieces[0].low_kind, pieces[-1].high_kind))
            advance(1)
    return results.LimitMap(
        map=asked.name,
        x_key=asked.x.key,
        y_key=asked.y.key,
        x=np.array(x),
        y=np.array(y),
        detector=asked.detector,
        coupling=asked.coupling,
        lower=lower,
        upper=upper,
        lower_kind=tuple(tuple(low for low, _ in row) for row in kinds),
        upper_kind=tuple(tuple(high for _, high in row) for row in kinds),
    )
