"""From a response to a likelihood: samples with the nuisance parameters of a projection or a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.response import Response
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Modifier, Sample, Scale
from cevnslab.likelihood.statistics import Statistic

FloatArray = NDArray[np.float64]


def samples_of(
    response: Response,
    signal: Sequence[Parameter],
    backgrounds: Mapping[str, Sequence[Parameter]],
    bends: Mapping[str, tuple[Response, Response]] | None = None,
) -> tuple[Sample, ...]:
    """The channels of a response, then its backgrounds.

    Parameters
    ----------
    signal : normalisations of all channels, relative widths.
    backgrounds : normalisations of each background.
    bends : by parameter, the responses at plus and minus one standard deviation.

    """
    units = response.polynomial.units[:, None]
    made = []
    for channel in response.channels:
        modifiers: list[Modifier] = [Scale(parameter) for parameter in signal]
        for name, (up, down) in (bends or {}).items():
            sides = [coefficients_of(side, response, channel) for side in (up, down)]
            modifiers.append(Bend(Parameter(name, 1.0), *sides))
        made.append(Sample(channel, response.coefficients[channel] * units, response.polynomial, modifiers))
    for name, counts in response.backgrounds.items():
        made.append(Sample(name, counts[None, :], modifiers=[Scale(p) for p in backgrounds.get(name, ())]))
    return tuple(made)


def coefficients_of(varied: Response, response: Response, channel: str) -> FloatArray:
    """The coefficients of a varied response in the monomials of the nominal one, per natural scale."""
    rows = dict(zip(varied.monomials, varied.coefficients[channel], strict=True))
    nothing = np.zeros(varied.coefficients[channel].shape[1])
    matched = np.array([rows.get(monomial, nothing) for monomial in response.monomials])
    return np.asarray(matched * response.polynomial.units[:, None])


def dataset_of(
    response: Response,
    samples: tuple[Sample, ...],
    statistic: Statistic,
    observed: FloatArray | None = None,
    errors: tuple[FloatArray, FloatArray] | None = None,
) -> Dataset:
    """Counts beside samples; the Standard Model's expectation (Asimov) unless they are given."""
    if observed is None:
        observed = response.signal[0] + response.background
    shape = tuple(len(axis) for axis in response.axes)
    return Dataset(response.name, shape, samples, observed, statistic, errors, bin_name=response.bin_text)


def projection(
    response: Response, signal_width: float, background_width: float, statistic: Statistic = "least-squares"
) -> Likelihood:
    """One detector with a normalisation of its signal and one of each background."""
    name = response.name
    backgrounds = {key: [Parameter(f"{name}.{key}", background_width)] for key in response.backgrounds}
    made = samples_of(response, [Parameter(f"{name}.signal", signal_width)], backgrounds)
    return Likelihood((dataset_of(response, made, statistic),))
