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
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cevnslab import arguments
from cevnslab.arguments import number as one_number
from cevnslab.arguments import numbers
from cevnslab.datasets.likelihoods import dataset_of, samples_of
from cevnslab.detection.response import Response
from cevnslab.errors import StatisticsError, UnknownNameError
from cevnslab.inference import significance as strength
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.expected_limits import ExpectedLimit, expected_limits, task_of
from cevnslab.inference.intervals import Interval, best_fit, interval
from cevnslab.inference.levels import MOST_TOYS
from cevnslab.likelihood.likelihood import Likelihood, Prior
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample
from cevnslab.likelihood.statistics import Statistic
from cevnslab.likelihood.toys import Truth, as_data, draw
from cevnslab.quadratic import Variable
from cevnslab.studies.analysis import analyses
from cevnslab.studies.cautions import WIDEST, percentage_text
from cevnslab.studies.load import study_from_dict
from cevnslab.words import excerpt, nearest

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
    if not isinstance(response, Response):
        raise StatisticsError(f"response: must be a response, of cevnslab.response, got {excerpt(response)}")
    runs = {}
    for name, run in arguments.mapping("off_beam", off_beam).items():
        off_counts, ratio = _pair(f"off_beam.{name}", run, "counts per bin and the ratio of live times")
        runs[name] = (numbers(f"off_beam.{name}", off_counts).ravel(), one_number(f"ratio of off_beam.{name}", ratio))
    response = replace(
        response, backgrounds={name: each for name, each in response.backgrounds.items() if name not in runs}
    )
    widths = (
        arguments.mapping("background", background)
        if isinstance(background, Mapping)
        else dict.fromkeys(response.backgrounds, background)
    )
    for name in widths:
        if name not in response.backgrounds:
            raise UnknownNameError(f"background: no {excerpt(name)}; {nearest(name, response.backgrounds)}")
    missing = [name for name in response.backgrounds if name not in widths]
    if missing:
        raise StatisticsError(f"background: the width of '{missing[0]}' is required")
    widths = {name: _width(f"background {name}", width) for name, width in widths.items()}
    signal = _width("signal", signal)
    nuisances = {name: [Parameter(f"{response.name}.{name}", width)] for name, width in widths.items()}
    bins = np.arange(response.signal.shape[1])
    samples = (
        *samples_of(response, [Parameter(f"{response.name}.signal", signal)], nuisances),
        *(
            Sample(name, np.ones((1, len(bins))), modifiers=[PerBin(counts, ratio, bins)])
            for name, (counts, ratio) in runs.items()
        ),
    )
    if runs and observed is None:
        raise StatisticsError("off_beam: counts of an off-beam run go with observed counts")
    _warn_of_percentages({"signal": signal, **{f"background {name}": width for name, width in widths.items()}})
    counts = None if observed is None else numbers("observed", observed).ravel()
    sides = None
    if errors is not None:
        pair = errors if isinstance(errors, tuple) else (errors, errors)
        sides = numbers("errors", pair[0]).ravel(), numbers("errors", pair[1]).ravel()
    if not isinstance(statistic, str | None):
        raise StatisticsError(f"statistic: must be a word, got {excerpt(statistic)}")
    kind: Statistic = statistic or ("least-squares" if counts is None else "poisson" if sides is None else "gaussian")
    joint = Likelihood((dataset_of(response, samples, kind, counts, sides),))
    constraints = {}
    for name, prior in arguments.mapping("priors", priors).items():
        _known(joint, [name], "priors")
        centre, width = _pair(f"priors.{name}", prior, "centre and width")
        constraints[name] = Prior(one_number(f"centre of {name}", centre), _width(name, width))
    return Likelihood(joint.datasets, constraints) if constraints else joint


def _warn_of_percentages(widths: Mapping[str, float]) -> None:
    for name, width in widths.items():
        if math.isfinite(width) and width > WIDEST:
            warnings.warn(percentage_text(f"width of {name}", width), stacklevel=3)


def _pair(name: str, value: Any, meaning: str) -> tuple[Any, Any]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 2:
        raise StatisticsError(f"{name}: must be {meaning}, got {excerpt(value)}")
    first, second = value
    return first, second


def _width(name: str, value: float) -> float:
    """A relative width: 0 fixes, infinity leaves free."""
    endless = isinstance(value, float | np.floating) and value == math.inf
    width = math.inf if endless else one_number(f"width of {name}", value)
    if width < 0:
        raise StatisticsError(f"width of {name}: must be 0 or more, got {width:g}")
    return width


def _whole(name: str, value: int, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise StatisticsError(f"{name}: must be a whole number, at least {least}, got {excerpt(value)}")
    return int(value)


def _toys(name: str, value: int) -> int:
    """A number of pseudo-experiments, as many as a study may ask for."""
    if (toys := _whole(name, value, 1)) > MOST_TOYS:
        raise StatisticsError(f"{name}: must be at most {MOST_TOYS}, got {excerpt(toys)}")
    return toys


def _level(confidence_level: float) -> float:
    level = one_number("confidence_level", confidence_level)
    if not 0 < level < 1:
        percent = f"; {level:g} % is {level / 100:g}" if 1 < level < 100 else ""
        raise StatisticsError(f"confidence_level: must be above 0 and below 1, got {level:g}{percent}")
    return level


def _known(fit: Likelihood, names: Sequence[str], argument: str) -> list[str]:
    """Names of couplings of a likelihood."""
    if not isinstance(fit, Likelihood):
        raise StatisticsError(
            f"fit: must be a likelihood, of cevnslab.likelihood or cevnslab.load_dataset, got {excerpt(fit)}"
        )
    words = arguments.items(argument, names)
    for name in words:
        if not isinstance(name, str):
            raise UnknownNameError(f"{argument}: a coupling's name must be a word, got {excerpt(name)}")
        if name not in fit.couplings:
            raise UnknownNameError(
                f"{argument}: no coupling {excerpt(name)} in this likelihood; {nearest(name, fit.couplings)}"
            )
        if words.count(name) > 1:
            raise StatisticsError(f"{argument}: '{name}' is given twice")
    return words


def _hidden(fit: Likelihood, minimise_over: Sequence[str], names: Sequence[str]) -> list[str]:
    """Couplings that are minimised over: none of those whose limit or curve is asked for."""
    hidden = _known(fit, minimise_over, "minimise_over")
    for name in names:
        if name in hidden:
            raise StatisticsError(f"minimise_over: '{name}' is the coupling that is asked for; it cannot be both")
    return hidden


def _inside(axis: Variable, value: ArrayLike) -> None:
    """Refuse values that a coupling cannot have, as counts do."""
    (low, high), values = axis.bounds, np.asarray(value)
    outside = values[(values < low) | (values > high)]
    if outside.size:
        raise StatisticsError(f"{axis.name} = {outside.flat[0]:g} is outside its bounds [{low:g}, {high:g}]")


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
    if not isinstance(name, str):
        raise UnknownNameError(f"name: must be that of a data set, got {excerpt(name)}")
    entry = {"preset": name, "nuisances": nuisances, "channels": arguments.items("channels", channels)}
    entry |= {} if off_counts is None else {"off_counts": off_counts}
    study = study_from_dict(
        {"name": name, "couplings": arguments.items("couplings", couplings), "detectors": [entry]}, data=data
    )
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
    (name,) = _known(fit, [coupling], "coupling")
    hidden = _hidden(fit, minimise_over, [name])
    return interval(Chi2.of(fit, [name], hidden), _level(confidence_level))


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

    Raises `StatisticsError` for a grid without `y`, `y` with one coupling, or values outside a coupling's bounds.

    """
    names = _known(fit, [couplings] if isinstance(couplings, str) else couplings, "couplings")
    hidden = _hidden(fit, minimise_over, names)
    if not names:
        raise StatisticsError("couplings: one or two are needed, got none")
    if (len(names) == 2) != (y is not None) or len(names) > 2:
        raise StatisticsError("x alone goes with one coupling, x and y go with two")
    curve = Chi2.of(fit, names, hidden)
    first = numbers("x", x)
    _inside(curve.axes[0], first)
    if y is None:
        return np.asarray(curve(first) - best_fit(curve)[1])
    second = numbers("y", y)
    _inside(curve.axes[1], second)
    surface = curve.on_grid(first.ravel(), second.ravel())
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
    truths = arguments.mapping("at", at)
    names = _known(fit, list(truths), "at")
    point = fit.polynomial.standard_model.copy()
    for name in names:
        place = fit.couplings.index(name)
        point[place] = one_number(name, truths[name])
        _inside(fit.polynomial.variables[place], point[place])
    rng = np.random.default_rng(_whole("seed", seed, 0))
    counts = draw(fit, Truth.of(fit, point), _toys("number", number), rng, "drawn")
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
    (name,) = _known(fit, [coupling], "coupling")
    hidden = _hidden(fit, minimise_over, [name])
    truth = None if at is None else one_number("at", at)
    if truth is not None:
        _inside(fit.polynomial.variables[fit.couplings.index(name)], truth)
    toys, seed = _toys("toys", toys), _whole("seed", seed, 0)
    task = task_of(fit, name, [_level(confidence_level)], toys=toys, seed=seed, truth=truth, hidden=hidden)
    ((limits,),) = expected_limits([task])
    return limits


def significance(fit: Likelihood) -> strength.Significance:
    """Strength of CEvNS, its error, and its significance over none: asymptotic; see `simulated_significance`."""
    _known(fit, [], "fit")
    return strength.significance(fit, [p.name for p in fit.parameters if p.name.endswith(".signal")])


def simulated_significance(fit: Likelihood, *, toys: int = 10_000, seed: int = 1) -> strength.SimulatedSignificance:
    """The significance of CEvNS from pseudo-experiments: without CEvNS, and of the Standard Model."""
    toys, seed = _toys("toys", toys), _whole("seed", seed, 0)
    return strength.simulated_significance(fit, significance(fit), toys=toys, seed=seed)
