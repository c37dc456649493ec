"""pyhf workspaces (HistFactory JSON): the likelihood of a detector at fixed couplings, for anybody's statistics.

    mu_i = s (1 + sigma_a alpha) n_i(theta) + sum over j of (1 + sigma_j beta_j) B_ji,

with n the signal at the couplings theta, a unit Gaussian for alpha and every beta_j, and Poisson counts: at s = 1
exactly the likelihood of `cevnslab.inference.poisson`, so that twice its negative logarithm differs from our chi^2 by a
constant. The normalisations are `histosys` modifiers with symmetric templates, which pyhf interpolates linearly;
`normsys` would make them exponential, and there is only one `lumi` in a workspace. The strength s (`signal_strength`,
the parameter of interest) is free in a fit, and 1 for the signal that the couplings predict.

Nothing here needs pyhf, except to check what was made (extra `pyhf`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import MissingExtraError, PhysicsError, StudyError, UnknownNameError, located
from cevnslab.studies.setups import AnySetup, DetectorSetup
from cevnslab.words import nearest

if TYPE_CHECKING:
    from cevnslab.detection.response import Response
    from cevnslab.studies.study import Study

FloatArray = NDArray[np.float64]
Json = dict[str, Any]

STRENGTH = "signal_strength"
VERSION = "1.0.0"
"""Of the workspace's format."""


@dataclass(frozen=True, eq=False)
class _Channel:
    """What one detector brings: counts, and the relative widths of its normalisations."""

    response: Response
    observed: FloatArray
    signal: tuple[str, float]
    """The name of the signal's nuisance, and its width."""
    backgrounds: Mapping[str, float]


def _channel(setup: AnySetup, signal_name: str) -> _Channel:
    """The counts of a detector; `StudyError` where a nuisance bends shapes."""
    refusal = (
        f"detectors.{setup.name}: pyhf bends templates by another law than cevnslab, so that only normalisations can "
        "be exported"
    )
    if isinstance(setup, DetectorSetup):
        if setup.shaped:
            raise StudyError(f"{refusal}; remove uncertainties.energy_scale and uncertainties.quenching")
        response = setup.response
        widths = dict.fromkeys(response.backgrounds, setup.background_uncertainty)
        observed = response.signal[0] + response.background
        return _Channel(response, observed, (signal_name, setup.signal_uncertainty), widths)
    if setup.setup.nuisances != "normalisation":
        raise StudyError(f"{refusal}; use nuisances: normalisation")
    measured = setup.measurement
    known = dict(measured.statistic.widths)
    widths = {name: known[name] for name in measured.response.backgrounds}
    return _Channel(measured.response, measured.observed, (signal_name, known["signal"]), widths)


def _members(study: Study, detectors: Sequence[str]) -> list[tuple[AnySetup, str]]:
    """The detectors that are meant, each with the name of its signal's nuisance; combinations stand for theirs."""
    setups = {setup.name: setup for setup in study.setups}
    combinations = {combination.name: combination for combination in study.file.combinations}
    members: dict[str, str] = {}
    for name in detectors:
        if name in combinations:
            found, shared = combinations[name].detectors, combinations[name].signal == "correlated"
        elif name in setups:
            found, shared = [name], False
        else:
            raise UnknownNameError(f"no detector '{name}'; {nearest(name, [*setups, *combinations])}")
        for member in found:
            if member in members:
                raise StudyError(f"detector {member} is asked for twice")
            members[member] = f"signal_{name if shared else member}"
    return [(setups[name], signal) for name, signal in members.items()]


def _modifier(name: str, counts: FloatArray, width: float) -> list[Json]:
    """A normalisation with a Gaussian constraint, linear in its pull; none for a width of 0."""
    if width == 0:
        return []
    data = {"hi_data": (counts * (1 + width)).tolist(), "lo_data": (counts * (1 - width)).tolist()}
    return [{"name": name, "type": "histosys", "data": data}]


def _samples(channel: _Channel, couplings: Mapping[str, float]) -> list[Json]:
    """The signal of every channel (of scattering) at the couplings, then the backgrounds."""
    response, samples = channel.response, []
    for process in response.channels:
        counts = replace(response, channels=(process,)).counts(**couplings)
        if np.any(counts < 0):
            raise PhysicsError(f"detector {response.name}: the expected counts of {process} are negative there")
        strength = {"name": STRENGTH, "type": "normfactor", "data": None}
        modifiers = [strength, *_modifier(channel.signal[0], counts, channel.signal[1])]
        samples.append({"name": process, "data": counts.tolist(), "modifiers": modifiers})
    for name, width in channel.backgrounds.items():
        counts = response.backgrounds[name]
        modifiers = _modifier(f"{name}_{response.name}", counts, width)
        samples.append({"name": name, "data": counts.tolist(), "modifiers": modifiers})
    return samples


def _parameters(channels: Sequence[_Channel]) -> list[Json]:
    """Ranges as wide as ours: no normalisation is negative, and none is cut off at pyhf's five widths."""
    widths = {channel.signal[0]: channel.signal[1] for channel in channels}
    for channel in channels:
        widths |= {f"{name}_{channel.response.name}": width for name, width in channel.backgrounds.items()}
    parameters: list[Json] = [{"name": STRENGTH, "inits": [1.0], "bounds": [[0.0, 10.0]]}]
    parameters += [
        {"name": name, "inits": [0.0], "bounds": [[-1 / width, max(10 / width, 10.0)]]}
        for name, width in widths.items()
        if width > 0
    ]
    return parameters


def export_workspace(study: Study, detector: str | Sequence[str], couplings: Mapping[str, float] | None = None) -> Json:
    """The workspace of one detector, a combination, or several of them, as plain values for JSON.

    Parameters
    ----------
    detector : names of detectors or combinations; a correlated combination shares one signal normalisation, all others
        have one each.
    couplings : values in the couplings' plain units; all others are those of the Standard Model. They must be among
        the study's.

    Channels bear the detectors' names, samples those of the processes (``cevns``, ``electron``) and backgrounds. The
    observation is the data of an experiment, or the Standard Model's expectation, whatever the couplings. The
    statistic is Poisson, also for a study with least squares.

    Raises `UnknownNameError` for a detector or coupling that the study does not have, `PhysicsError` for a value out
    of bounds, and `StudyError` for a detector whose nuisances bend the shape of its counts.

    >>> import cevnslab as cl
    >>> workspace = export_workspace(cl.load_study("parada2024"), "ess-ge", {"q_ee": 3e-9})
    >>> [sample["name"] for sample in workspace["channels"][0]["samples"]]
    ['cevns', 'background']

    """
    given = dict(couplings or {})
    with located(study.where):
        names = [detector] if isinstance(detector, str) else list(detector)
        channels = [_channel(setup, signal) for setup, signal in _members(study, names)]
        return {
            "version": VERSION,
            "channels": [{"name": channel.response.name, "samples": _samples(channel, given)} for channel in channels],
            "observations": [
                {"name": channel.response.name, "data": np.asarray(channel.observed, dtype=float).tolist()}
                for channel in channels
            ],
            "measurements": [
                {"name": study.name, "config": {"poi": STRENGTH, "parameters": _parameters(channels)}},
            ],
        }


def check_workspace(workspace: Json) -> None:
    """Let pyhf build the model of a workspace; `MissingExtraError` without pyhf, `StudyError` for what it refuses."""
    try:
        pyhf = importlib.import_module("pyhf")
    except ImportError:
        raise MissingExtraError("checking a workspace needs the library pyhf: pip install 'cevnslab[pyhf]'") from None
    try:
        pyhf.Workspace(workspace).model()
    except pyhf.exceptions.InvalidSpecification as fault:
        raise StudyError(f"pyhf refuses the workspace: {fault}") from None
