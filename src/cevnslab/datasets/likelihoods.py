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


def channel_samples(
    response: Response,
    signal: Sequence[Parameter],
    bends: Mapping[str, tuple[Response, Response]] | None = None,
) -> list[Sample]:
    """The channels of a response: one sample each, or one per part of the flux that has a nuisance of its own.

    Parameters
    ----------
    signal
        Normalisations of all channels, relative widths.
    bends
        By parameter, the responses at plus and minus one standard deviation.

    """
    units = response.polynomial.units[:, None]
    samples = []
    for channel in response.channels:
        parts = response.parts.get(channel) or {"": response.coefficients[channel]}
        for part, rows in parts.items():
            modifiers: list[Modifier] = [Scale(parameter) for parameter in signal]
            modifiers += [
                Scale(Parameter(name, nuisance.width, nuisance.centre, low=-1.0))
                for name, nuisance in response.flux_nuisances.items()
                if part in nuisance.parts
            ]
            for name, sides in (bends or {}).items():
                up, down = (coefficients_of(side, response, channel, part) for side in sides)
                modifiers.append(Bend(Parameter(name, 1.0), up, down))
            samples.append(Sample(channel, rows * units, response.polynomial, modifiers, part))
    return samples


def samples_of(
    response: Response, signal: Sequence[Parameter], backgrounds: Mapping[str, Sequence[Parameter]]
) -> tuple[Sample, ...]:
    """The channels of a response with normalisations, then its backgrounds, each with normalisations of its own."""
    background_samples = [
        Sample(name, counts[None, :], modifiers=[Scale(parameter) for parameter in backgrounds.get(name, ())])
        for name, counts in response.backgrounds.items()
    ]
    return (*channel_samples(response, signal), *background_samples)


def coefficients_of(varied: Response, response: Response, channel: str, part: str = "") -> FloatArray:
    """The coefficients of a varied response in the monomials of the nominal one, per natural scale.

    Of one part of the flux, where the response is split into parts.
    """
    parts = varied.parts.get(channel)
    coefficients = varied.coefficients[channel] if not parts else parts[part]
    rows = dict(zip(varied.monomials, coefficients, strict=True))
    nothing = np.zeros(coefficients.shape[1])
    matched = np.array([rows.get(monomial, nothing) for monomial in response.monomials])
    return np.asarray(matched * response.polynomial.units[:, None])


def expected_counts(response: Response) -> FloatArray:
    """The Standard Model's signal and all backgrounds, shape (bins,): Asimov data, flux nuisances at their centres."""
    total = response.background.copy()
    for channel in response.channels:
        for part, rows in (response.parts.get(channel) or {"": response.coefficients[channel]}).items():
            acting = [n.centre for n in response.flux_nuisances.values() if part in n.parts]
            total = total + rows[0] * np.prod([1 + centre for centre in acting])
    return np.asarray(total)


def dataset_of(
    response: Response,
    samples: tuple[Sample, ...],
    statistic: Statistic,
    observed: FloatArray | None = None,
    errors: tuple[FloatArray, FloatArray] | None = None,
) -> Dataset:
    """Counts beside samples; the Standard Model's expectation (Asimov) unless they are given."""
    shape = tuple(len(axis) for axis in response.axes)
    counts = expected_counts(response) if observed is None else observed
    return Dataset(response.name, shape, samples, counts, statistic, errors, bin_name=response.bin_text)


def projection(
    response: Response, signal_width: float, background_width: float, statistic: Statistic = "least-squares"
) -> Likelihood:
    """One detector with a normalisation of its signal and one of each background."""
    name = response.name
    backgrounds = {key: [Parameter(f"{name}.{key}", background_width)] for key in response.backgrounds}
    samples = samples_of(response, [Parameter(f"{name}.signal", signal_width)], backgrounds)
    return Likelihood((dataset_of(response, samples, statistic),))
