"""pyhf workspaces (HistFactory JSON): the likelihood of a detector at fixed couplings, for anybody's statistics.

    mu_i = s (1 + sigma_a alpha) n_i(theta) + sum over j of (1 + sigma_j beta_j) B_ji,

with n the signal at the couplings theta, a unit Gaussian for alpha and every beta_j, and Poisson counts: at s = 1
exactly the Poisson likelihood of `cevnslab.likelihood`: twice its negative logarithm differs from our chi^2 by a
constant. The normalisations are `histosys` modifiers with symmetric templates, which pyhf interpolates linearly;
`normsys` would make them exponential, and there is only one `lumi` in a workspace. The strength s (`signal_strength`,
the parameter of interest) is free in a fit, and 1 for the signal that the couplings predict.

Nothing here needs pyhf, except to check what was made (extra `pyhf`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.response import CHANNELS
from cevnslab.errors import MissingExtraError, PhysicsError, StudyError, UnknownNameError, located
from cevnslab.likelihood.likelihood import Dataset, Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.studies.analysis import analyses
from cevnslab.words import excerpt, nearest

if TYPE_CHECKING:
    from cevnslab.studies.study import Study

FloatArray = NDArray[np.float64]
Json = dict[str, Any]

STRENGTH = "signal_strength"
VERSION = "1.0.0"
"""Of the workspace's format."""


def _datasets(study: Study, detectors: Sequence[str]) -> Likelihood:
    """The likelihood of the detectors and combinations that are meant, together."""
    by_name = analyses(study)
    whole = None
    for name in detectors:
        if name not in by_name:
            raise UnknownNameError(f"no detector {excerpt(name)}; {nearest(name, by_name)}")
        part = by_name[name].likelihood
        present: set[str] = set() if whole is None else {dataset.name for dataset in whole.datasets}
        for dataset in part.datasets:
            if dataset.name in present:
                raise StudyError(f"detector {dataset.name} is asked for twice")
        whole = part if whole is None else whole + part
    if whole is None:
        raise StudyError("detector: at least one is needed")
    for dataset in whole.datasets:
        for sample in dataset.samples:
            moving = [parameter for parameter in sample.parameters if not parameter.fixed]
            scales = [scale.parameter for scale in sample.scales]
            bending = [parameter.name for parameter in moving if parameter not in scales]
            if sample.per_bin is not None:
                raise StudyError(
                    f"detectors.{dataset.name}: pyhf has no template of {sample.name} that counts of its own "
                    "(off-beam, anti-coincident) constrain in groups of bins; for real data use off_counts: exact"
                )
            if bending:
                raise StudyError(
                    f"detectors.{dataset.name}: pyhf bends templates by another law than cevnslab, so that only "
                    f"normalisations can be exported; remove what bends {sample.name} "
                    f"({', '.join(bending)}), or use nuisances: normalisation"
                )
            if len(moving) > 1:
                raise StudyError(
                    f"detectors.{dataset.name}: {sample.name} has {len(moving)} normalisations, which multiply here "
                    "and add in pyhf; export it with one"
                )
    return whole


def _exported(parameter: str) -> str:
    """The name of a parameter in the workspace: ``signal_ess-ge`` for ``ess-ge.signal``."""
    detector, _, name = parameter.rpartition(".")
    return f"{name}_{detector}" if detector else name


def _modifier(parameter: Parameter, counts: FloatArray) -> Json:
    """A normalisation with a Gaussian constraint, linear in its pull."""
    high, low = ((1 + sign * parameter.width) * counts for sign in (1, -1))
    data = {"hi_data": high.tolist(), "lo_data": low.tolist()}
    return {"name": _exported(parameter.name), "type": "histosys", "data": data}


def _samples(likelihood: Likelihood, dataset: Dataset, counts: Mapping[str, FloatArray]) -> list[Json]:
    """The signal of every channel (of scattering) at the couplings, then the backgrounds."""
    entries = []
    for name, expected in counts.items():
        sample = next(sample for sample in dataset.samples if sample.name == name)
        if np.any(expected < 0):
            raise PhysicsError(f"detector {dataset.name}: the expected counts of {name} are negative there")
        modifiers = [_modifier(parameter, expected) for parameter in sample.parameters if not parameter.fixed]
        if name in CHANNELS:
            modifiers.insert(0, {"name": STRENGTH, "type": "normfactor", "data": None})
        entries.append({"name": name, "data": expected.tolist(), "modifiers": modifiers})
    return entries


def _parameters(likelihood: Likelihood) -> list[Json]:
    """Ranges as wide as ours: no normalisation is negative, and none is cut off at pyhf's five widths."""
    parameters: list[Json] = [{"name": STRENGTH, "inits": [1.0], "bounds": [[0.0, 10.0]]}]
    parameters += [
        {
            "name": _exported(parameter.name),
            "inits": [0.0],
            "bounds": [[-1 / parameter.width, max(10 / parameter.width, 10.0)]],
        }
        for parameter in likelihood.parameters
        if not parameter.fixed
    ]
    return parameters


def export_workspace(study: Study, detector: str | Sequence[str], couplings: Mapping[str, float] | None = None) -> Json:
    """The workspace of one detector, a combination, or several of them, as plain values for JSON.

    Channels bear the detectors' names, samples those of the processes (``cevns``, ``electron``) and backgrounds. The
    observation is the data of an experiment, or the Standard Model's expectation, whatever the couplings. The
    statistic is Poisson, also for a study with least squares.

    Raises `UnknownNameError` for a detector or coupling that the study does not have, `PhysicsError` for a value out
    of bounds, and `StudyError` for a detector whose nuisances bend the shape of its counts.

    Parameters
    ----------
    detector
        Names of detectors or combinations; a correlated combination shares one signal normalisation, all others
        have one each.
    couplings
        Values in the couplings' plain units; all others are those of the Standard Model. They must be among the
        study's.

    Examples
    --------
    >>> import cevnslab as cl
    >>> workspace = export_workspace(cl.load_study("parada2024"), "ess-ge", {"q_ee": 3e-9})
    >>> [sample["name"] for sample in workspace["channels"][0]["samples"]]
    ['cevns', 'background']

    """
    with located(study.where):
        likelihood = _datasets(study, [detector] if isinstance(detector, str) else list(detector))
        point = likelihood.polynomial.standard_model.copy()
        for name, value in (couplings or {}).items():
            place = {coupling.name: coupling for coupling in study.couplings}
            if name not in place:
                raise UnknownNameError(f"no coupling {excerpt(name)}; {nearest(name, place)}")
            point[likelihood.couplings.index(name)] = place[name].check(value)
        expected = likelihood.expected(point, np.zeros(len(likelihood.parameters)))
        channels = [
            {"name": dataset.name, "samples": _samples(likelihood, dataset, expected[dataset.name])}
            for dataset in likelihood.datasets
        ]
        return {
            "version": VERSION,
            "channels": channels,
            "observations": [
                {"name": dataset.name, "data": dataset.observed.tolist()} for dataset in likelihood.datasets
            ],
            "measurements": [
                {"name": study.name, "config": {"poi": STRENGTH, "parameters": _parameters(likelihood)}},
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
