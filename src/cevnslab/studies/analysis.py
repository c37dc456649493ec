"""What a study analyses: every detector and every combination, with its statistic."""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from cevnslab.detection.response import CHANNELS, Response
from cevnslab.errors import located
from cevnslab.inference.chi2 import Chi2
from cevnslab.likelihood.likelihood import Likelihood, Prior
from cevnslab.studies import schema
from cevnslab.studies.setups import AnySetup, DatasetSetup
from cevnslab.studies.study import Study
from cevnslab.studies.systematics import with_systematics

COMMON_KEYS = {"source", "exposure_years", "exposure_hours", "uncertainties", "channels", "statistic", "systematics"}
"""Of a study, those that its detectors run under."""


@dataclass(frozen=True, eq=False)
class Analysis:
    """One detector or combination: the rows of the outputs that bear its name."""

    name: str
    label: str
    channels: str
    statistic_name: str
    likelihood: Likelihood
    setups: tuple[AnySetup, ...]
    responses: tuple[Response, ...]
    profile: tuple[str, ...] = ()
    """Couplings that are minimised over."""
    declared: str = ""
    """A digest of the keys and files that it was declared by, which random numbers belong to."""

    @property
    def real(self) -> bool:
        """Whether any of its counts were observed."""
        return any(setup.real for setup in self.setups)

    def hidden(self, *names: str) -> tuple[str, ...]:
        """The couplings that are minimised over where these are shown."""
        return tuple(name for name in self.profile if name not in names)

    @cached_property
    def _closed(self) -> dict[tuple[str, ...], Chi2]:
        """Those of a closed form, kept: finding it takes longer than using it. Others can be large."""
        return {}

    def chi2(self, *names: str) -> Chi2:
        """chi^2 of one or two couplings: the others as in the Standard Model, or minimised over."""
        known = self._closed.get(names)
        if known is not None:
            return known
        chi2 = Chi2.of(self.likelihood, names, self.hidden(*names))
        return self._closed.setdefault(names, chi2) if chi2.quick else chi2

    def quick(self, *names: str) -> bool:
        """Whether chi^2 of these couplings costs a few operations a point, or a minimisation."""
        return self.chi2(*names).quick


def analyses(
    study: Study, earlier: Mapping[str, Analysis] = MappingProxyType({}), *, data: bool = True
) -> dict[str, Analysis]:
    """The detectors, then the combinations of a study, by name; without `data` those that read no data set.

    `earlier` holds those of a variation of the same study: what has the very same setups is taken over.
    """

    def kept(name: str, setups: tuple[AnySetup, ...]) -> Analysis | None:
        previous = earlier.get(name)
        same = previous is not None and all(a is b for a, b in zip(previous.setups, setups, strict=True))
        return previous if same else None

    with located(study.where):
        analyses_by_name = {
            setup.name: kept(setup.name, (setup,)) or _single(setup, spec, study.file)
            for setup, spec in zip(study.setups, study.file.detectors, strict=True)
            if data or not isinstance(setup, DatasetSetup)
        }
    for combination in study.file.combinations:
        if not set(combination.detectors) <= set(analyses_by_name):
            continue
        with located(f"combinations.{combination.name}"):
            members = [analyses_by_name[name] for name in combination.detectors]
            setups = tuple(setup for member in members for setup in member.setups)
            analyses_by_name[combination.name] = kept(combination.name, setups) or _combined(combination, members)
    return analyses_by_name


def _declared(spec: schema.Detector | schema.DatasetDetector, file: schema.StudyFile) -> str:
    """A digest of the keys of a detector, presets filled in, and of the study's that it runs under.

    Files count by their content. Labels do not, nor what else the study holds.
    """
    keys = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, context={"checksums": True})
    common = file.model_dump(
        mode="json", by_alias=True, exclude_unset=True, include=COMMON_KEYS, context={"checksums": True}
    )
    keys.pop("label", None)
    return _digest([keys, common])


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _single(setup: AnySetup, spec: schema.Detector | schema.DatasetDetector, file: schema.StudyFile) -> Analysis:
    likelihood = with_systematics(setup.likelihood, setup, file.systematics)
    priors = {name: Prior(prior.centre, prior.width) for name, prior in file.priors.items()}
    return Analysis(
        setup.name,
        setup.label,
        setup.response.channel_label,
        setup.statistic,
        Likelihood(likelihood.datasets, priors),
        (setup,),
        (setup.response,),
        profile=tuple(file.profile),
        declared=_declared(spec, file),
    )


def _combined(combination: schema.Combination, members: list[Analysis]) -> Analysis:
    channels = {channel for member in members for channel in member.channels.split("+")}
    return Analysis(
        combination.name,
        combination.label or combination.name,
        "+".join(channel for channel in CHANNELS if channel in channels),
        "+".join(dict.fromkeys(member.statistic_name for member in members)),
        _joined(combination, members),
        tuple(setup for member in members for setup in member.setups),
        tuple(response for member in members for response in member.responses),
        profile=members[0].profile,
        declared=_digest([combination.signal, *sorted(member.declared for member in members)]),
    )


def _joined(combination: schema.Combination, members: list[Analysis]) -> Likelihood:
    """All members as one likelihood; a correlated signal is one parameter, named after the combination."""
    whole = functools.reduce(operator.add, [member.likelihood for member in members])
    if combination.signal == "independent":
        return whole
    common = f"{combination.name}.signal"
    return whole.renamed({f"{setup.name}.signal": common for member in members for setup in member.setups})
