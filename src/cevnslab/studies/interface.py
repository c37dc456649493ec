"""From responses and data sets to likelihoods, limits and curves: the package in a notebook, without a study file.

>>> import cevnslab as cl
>>> response = cl.response(cl.load_source("ess"), cl.load_detector("ess-ge"), couplings=["q_ee"], years=3)
>>> fit = cl.likelihood(response, signal=0.10, background=0.01)
>>> low, high = cl.limit(fit, "q_ee").segments[0]
>>> round(low * 1e9, 2), round(high * 1e9, 2)
(-3.85, 4.87)
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.detection.response import Response
from cevnslab.errors import StatisticsError, UnknownNameError
from cevnslab.inference import significance as strength
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.expected_limits import ExpectedLimit, expected_limits, task_of
from cevnslab.inference.intervals import Interval, best_fit, interval
from cevnslab.likelihood.likelihood import Likelihood, Prior
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample
from cevnslab.likelihood.statistics import Statistic
from cevnslab.likelihood.toys import Truth, as_data, draw
from cevnslab.studies.analysis import analyses
from cevnslab.studies.cautions import WIDEST, percentage_text
from cevnslab.studies.load import study_from_dict
from cevnslab.words import nearest

FloatArray = NDArray[np.float64]


def likelihood(
    response: Response,
    *,
    signal: float,
    background: float | Mapping[str, float],
    observed: ArrayLike | None = None,
    errors: ArrayLike | tuple[ArrayLike, ArrayLike] | None = None,
    statistic: Statistic | None = None,
    priors: Mapping[str, tuple[float, float]] | None = None,
    off_beam: Mapping[str, tuple[ArrayLike, float]] | None = None,
) -> Likelihood:
    """The likelihood of one detector's counts; `a + b` joins two.

    Raises `StatisticsError` for counts that do not fit the bins or the statistic, `UnknownNameError` for a background
    or coupling that the response does not have.

    Parameters
    ----------
    signal
        Relative width of the signal's normalisation, the parameter ``<detector>.signal``; 0 fixes it.
    background
        The same of all backgrounds, or of each by its name.
    observed
        Counts per bin, shape (bins,) or that of the axes; the expectation (Asimov) unless given.
    errors
        Of the counts, for the Gaussian statistic: one array, or upper and lower.
    statistic
        ``"poisson"``, ``"least-squares"`` or ``"gaussian"``; unless given, Gaussian with errors, Poisson with
        counts, least squares for Asimov data.
    priors
        Centre and width of Gaussian constraints on couplings, by name.
    off_beam
        Backgrounds that are known from counts of an off-beam run alone, by name: counts per bin, and the ratio of live
        times, on over off. One of the response's backgrounds, which it takes the place of, or one of its own.

    """
    runs = {name: (_numbers(counts, f"off_beam.{name}"), ratio) for name, (counts, ratio) in (off_beam or {}).items()}
    response = replace(
        response, backgrounds={name: each for name, each in response.backgrounds.items() if name not in runs}
    )
    widths = background if isinstance(background, Mapping) else dict.fromkeys(response.backgrounds, background)
    for name in widths:
        if name not in response.backgrounds:
            raise UnknownNameError(f"background: no '{name}'; {nearest(name, response.backgrounds)}")
    missing = [name for name in response.backgrounds if name not in widths]
    if missing:
        raise StatisticsError(f"background: the width of '{missing[0]}' is required")
    nuisances = {name: [Parameter(f"{response.name}.{name}", float(width))] for name, width in widths.items()}
    bins = np.arange(response.signal.shape[1])
    samples = (
        *samples_of(response, [Parameter(f"{response.name}.signal", float(signal))], nuisances),
        *(
            Sample(name, np.ones((1, len(bins))), modifiers=[PerBin(counts, float(ratio), bins)])
            for name, (counts, ratio) in runs.items()
        ),
    )
    if runs and observed is None:
        raise StatisticsError("off_beam: counts of an off-beam run go with observed counts")
    _warn_of_percentages({"signal": signal, **{f"background {name}": width for name, width in widths.items()}})
    counts = None if observed is None else _numbers(observed, "observed")
    sides = None
    if errors is not None:
        pair = errors if isinstance(errors, tuple) else (errors, errors)
        sides = _numbers(pair[0], "errors"), _numbers(pair[1], "errors")
    kind: Statistic = statistic or ("least-squares" if counts is None else "poisson" if sides is None else "gaussian")
    joint = Likelihood((dataset_of(response, samples, kind, counts, sides),))
    if not priors:
        return joint
    for name in priors:
        _known(joint, name)
    return Likelihood(joint.datasets, {name: Prior(*pair) for name, pair in priors.items()})


def _warn_of_percentages(widths: Mapping[str, float]) -> None:
    for name, width in widths.items():
        if math.isfinite(width) and width > WIDEST:
            warnings.warn(percentage_text(f"width of {name}", width), stacklevel=3)


def _numbers(values: ArrayLike, name: str) -> FloatArray:
    try:
        return np.asarray(values, dtype=float).ravel()
    except (TypeError, ValueError):
        raise StatisticsError(f"{name}: an array of numbers is needed, got {type(values).__name__}") from None


def _known(joint: Likelihood, name: str) -> str:
    if name not in joint.couplings:
        raise UnknownNameError(f"no coupling '{name}' in this likelihood; {nearest(name, joint.couplings)}")
    return name


def load_dataset(
    name: str,
    *,
    couplings: Sequence[str] = (),
    nuisances: str = "normalisation",
    off_counts: str | None = None,
    channels: Sequence[str] = ("cevns",),
    data: str | Path | None = None,
) -> Likelihood:
    """The likelihood of a real data set, by its name.

    Raises a `CevnslabError` for names that are not there, and for files that are missing or not the published ones.

    Parameters
    ----------
    couplings
        Names of couplings that it shall know.
    nuisances
        ``"normalisation"`` or ``"shape"``.
    off_counts
        ``"fitted"`` for a template with the errors of the counts that it is known from, as the data of CsI have it
        unless given; ``"exact"`` for one without.
    data
        Folder with its files; unless given that of CEVNSLAB_DATA, or they are downloaded.

    """
    entry = {"preset": name, "nuisances": nuisances, "channels": list(channels)}
    entry |= {} if off_counts is None else {"off_counts": off_counts}
    study = study_from_dict({"name": name, "couplings": list(couplings), "detectors": [entry]}, data=data)
    return analyses(study)[name].likelihood


def limit(
    fit: Likelihood,
    coupling: str,
    *,
    confidence_level: float = 0.90,
    minimise_over: Sequence[str] = (),
) -> Interval:
    """The confidence interval of one coupling, all its pieces; other couplings as in the Standard Model.

    Parameters
    ----------
    minimise_over
        Couplings that are minimised over instead of held.

    """
    names = [_known(fit, name) for name in (coupling, *minimise_over)]
    curve = Chi2.of(fit, names[:1], names[1:])
    return interval(curve, confidence_level)


def delta_chi2(
    fit: Likelihood,
    couplings: str | tuple[str, str],
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    minimise_over: Sequence[str] = (),
) -> FloatArray:
    """chi^2 less its minimum, nuisances profiled.

    Of one coupling at values `x`, an array of any shape; of two on the grid of the arrays `x` and `y`, of shape
    (len(y), len(x)), less the lowest value on the grid or in the Standard Model.

    Raises `StatisticsError` for a grid without `y`, or `y` with one coupling.

    """
    names = [couplings] if isinstance(couplings, str) else list(couplings)
    for name in (*names, *minimise_over):
        _known(fit, name)
    if (len(names) == 2) != (y is not None) or len(names) > 2:
        raise StatisticsError("x alone goes with one coupling, x and y go with two")
    curve = Chi2.of(fit, names, list(minimise_over))
    first = np.asarray(x, dtype=float)
    if y is None:
        return np.asarray(curve(first) - best_fit(curve)[1])
    surface = curve.on_grid(first.ravel(), np.asarray(y, dtype=float).ravel())
    there = curve.on_grid(*(np.array([axis.standard_model]) for axis in curve.axes))
    return np.asarray(surface - min(float(surface.min()), float(there[0, 0])))


def toys(fit: Likelihood, number: int, *, seed: int = 1, at: Mapping[str, float] | None = None) -> Iterator[Likelihood]:
    """Pseudo-experiments, each a likelihood with its own counts in the place of the data.

    Counts are Poisson's, off-counts too, or normal with Gaussian errors; true values of constrained nuisances are drawn
    from their priors, free ones have their fitted value.

    Parameters
    ----------
    at
        Values of couplings that they are drawn at; as in the Standard Model unless given.

    """
    point = fit.polynomial.standard_model.copy()
    for name, value in (at or {}).items():
        point[fit.couplings.index(_known(fit, name))] = value
    counts = draw(fit, Truth.of(fit, point), number, np.random.default_rng(seed), "drawn")
    return (as_data(fit, counts, toy) for toy in range(number))


def expected_limit(
    fit: Likelihood,
    coupling: str,
    *,
    confidence_level: float = 0.90,
    at: float | None = None,
    minimise_over: Sequence[str] = (),
    toys: int = 10_000,
    seed: int = 1,
) -> ExpectedLimit:
    """The limit that is expected, from pseudo-experiments: medians and bands of the interval's outer ends.

    Parameters
    ----------
    at
        True value of the coupling; the Standard Model's unless given.
    toys
        At least 400.

    """
    for name in (coupling, *minimise_over):
        _known(fit, name)
    task = task_of(fit, coupling, [confidence_level], toys=toys, seed=seed, truth=at, hidden=minimise_over)
    ((limits,),) = expected_limits([task])
    return limits


def significance(fit: Likelihood) -> strength.Significance:
    """Strength of CEvNS, its error, and its significance over none: asymptotic; see `simulated_significance`."""
    return strength.significance(fit, [p.name for p in fit.parameters if p.name.endswith(".signal")])


def simulated_significance(fit: Likelihood, *, toys: int = 10_000, seed: int = 1) -> strength.SimulatedSignificance:
    """The significance of CEvNS from pseudo-experiments: without CEvNS, and of the Standard Model."""
    return strength.simulated_significance(fit, significance(fit), toys=toys, seed=seed)
