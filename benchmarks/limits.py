"""Rows of single limits: closed form, normalisations, shapes of real data, off-beam groups, couplings minimised over.

Each is beside iminuit on the same -2 ln L, a call per point: MIGRAD from the Standard Model, then MINOS. It knows one
minimum and the piece around it; ours searches all pieces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from iminuit import Minuit
from rows import Row, median_time, seconds_text

import cevnslab as cl
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import Interval, interval
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.minimiser import contracted_at, evaluate

SIGNAL, BACKGROUND, LEVEL = 0.10, 0.01, 0.90
CHARGES = ("q_ee", "q_mumu", "q_emu", "q_mutau", "q_etau")
HIDDEN = ("q_mumu", "eps_ee_u", "sin2_theta_w")
MOST_CALLS = 20_000
"""Of iminuit, for one limit."""


def minuit_limit(likelihood: Likelihood, name: str, over: Sequence[str] = ()) -> tuple[float, float]:
    """The ends of the piece around the best fit; not a number where MINOS gives up.

    Couplings are in units of their scales; tau of off-counts, if any, is at its best in every call.
    """
    likelihood = likelihood.restricted([name, *over])
    model, free = likelihood.model, [name, *over]
    variables = {variable.name: variable for variable in likelihood.polynomial.variables}
    places, scales = [likelihood.couplings.index(each) for each in free], [variables[each].scale for each in free]
    point, data = likelihood.polynomial.standard_model[None, :].copy(), likelihood.observation

    def chi2(x: np.ndarray) -> float:
        point[0, places] = x[: len(free)] * scales
        state = evaluate(model, contracted_at(model, point), point, x[None, len(free) :], data)
        return float(min(state.chi2[0], 1e12))

    start = [*(variables[each].standard_model / scale for each, scale in zip(free, scales, strict=True))]
    start[0] += 0.1  # the Standard Model can be a saddle
    names = [*free, *(parameter.name for parameter in likelihood.parameters)]
    fit = Minuit(chi2, np.array([*start, *np.zeros(len(likelihood.parameters))]), name=names)
    fit.errordef = 1.0
    for each, scale in zip(free, scales, strict=True):
        fit.limits[each] = tuple(end / scale for end in variables[each].bounds)
        fit.errors[each] = 0.1
    for parameter, low, high in zip(likelihood.parameters, *model.walls, strict=True):
        fit.limits[parameter.name], fit.fixed[parameter.name] = (low, high), parameter.fixed
    fit.migrad(ncall=MOST_CALLS)
    try:
        fit.minos(name, cl=LEVEL, ncall=MOST_CALLS)
    except RuntimeError:  # it is not at a minimum
        return np.nan, np.nan
    error, best = fit.merrors[name], fit.values[name]
    return (best + error.lower) * scales[0], (best + error.upper) * scales[0]


def _difference(limits: Interval, ends: tuple[float, float]) -> str:
    """By how much the nearest piece of ours has other ends than MINOS."""
    if not np.all(np.isfinite(ends)):
        return "it finds no end"
    size = ends[1] - ends[0]
    apart = min(max(abs(low - ends[0]), abs(high - ends[1])) / size for low, high in limits.segments)
    return f"apart {apart:.0e} of the width"


def limit_row(
    work: str, likelihood: Likelihood, name: str, reach: float, repeats: int, over: Sequence[str] = ()
) -> Row:
    """One interval, all of its pieces, from a likelihood that is put together."""

    def ours() -> Interval:
        return interval(Chi2.of(likelihood, [name], over), LEVEL)

    mine = median_time(ours, repeats)
    theirs = median_time(lambda: minuit_limit(likelihood, name, over), max(3, repeats // 8))
    limits = ours()
    peer = f"peer: iminuit, MIGRAD and MINOS ({_difference(limits, minuit_limit(likelihood, name, over))})"
    pieces = len(limits.pieces)
    text = f"one limit: {work}, {name} ({pieces} piece{'s' if pieces > 1 else ''})"
    return Row(text, mine, peer, theirs, seconds_text(reach), mine < reach)


def germanium(couplings: Sequence[str], statistic: str) -> Likelihood:
    """104 bins, the paper's normalisations."""
    response = cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=couplings, years=3)
    return cl.likelihood(response, signal=SIGNAL, background=BACKGROUND, statistic=statistic)


def projected(repeats: int) -> list[Row]:
    """Germanium by least squares, which has a closed form, and by Poisson's likelihood, in the general engine."""
    rows = [
        limit_row("Ge, closed form", germanium(CHARGES, "least-squares"), "q_ee", 0.2e-3, repeats),
        limit_row("Ge, general engine", germanium(CHARGES, "poisson"), "q_ee", 5e-3, repeats),
    ]
    for over, reach in ((HIDDEN[:1], 50e-3), (HIDDEN, 0.3)):
        for statistic in ("least-squares", "poisson"):
            likelihood = germanium(["q_ee", *over], statistic)
            work = f"Ge, {statistic}, {len(over)} minimised over"
            rows.append(limit_row(work, likelihood, "q_ee", reach, max(3, repeats // 3), over))
    return rows


REAL = (
    ("CsI 2021, every shape", "coherent-csi-2021", "exact"),
    ("CsI 2021, every shape, off-beam groups", "coherent-csi-2021", "fitted"),
    ("LAr, every shape", "coherent-lar-2020", "exact"),
)
"""Data sets in the rows of limits with shapes, and how their counts out of the beam enter."""


def real_data() -> Path | None:
    """The folder of the published files; None, which is said, where there is none."""
    folder = os.environ.get("CEVNSLAB_DATA")
    if folder is None:
        print("rows of real data are left out: CEVNSLAB_DATA names no folder with their files", flush=True)
    return None if folder is None else Path(folder)


def with_shapes(repeats: int, folder: Path) -> list[Row]:
    """Real data with every nuisance parameter that bends a shape."""
    rows = []
    for work, name, off_counts in REAL:
        likelihood = cl.load_dataset(name, couplings=["q_ee"], nuisances="shape", off_counts=off_counts, data=folder)
        bins = len(likelihood.datasets[0].observed)
        rows.append(limit_row(f"{work}, {bins} bins", likelihood, "q_ee", 0.1, max(3, repeats // 3)))
    return rows
