"""What a study analyses: every detector and every combination, with its statistic."""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cevnslab.detection.response import CHANNELS, Response
from cevnslab.errors import StudyError, located
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.toys import Experiment
from cevnslab.likelihood.likelihood import Likelihood, Prior
from cevnslab.likelihood.profile import ProfileLikelihood
from cevnslab.studies import schema
from cevnslab.studies.setups import AnySetup, DetectorSetup, ExperimentSetup
from cevnslab.studies.study import Study
from cevnslab.studies.systematics import with_systematics


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
    independent: bool = False
    profile: tuple[str, ...] = ()
    """Couplings that are minimised over."""

    @property
    def real(self) -> bool:
        """Whether any of its counts were observed."""
        return any(setup.real for setup in self.setups)

    def chi2(self, *names: str) -> Chi2:
        """chi^2 of one or two couplings: the others as in the Standard Model, or minimised over."""
        over = [name for name in self.profile if name not in names]
        return Chi2.of(self.likelihood, names, over)

    def quick(self, *names: str) -> bool:
        """Whether chi^2 of these couplings costs a few operations a point, or a minimisation."""
        if any(name not in names for name in self.profile):
            return False
        return ProfileLikelihood(self.likelihood, names).quick

    def experiment(self, *names: str) -> Experiment:
        """What pseudo-experiments along one or two couplings need.

        Raises `StudyError` for a combination whose members have a signal normalisation each, and for real data.
        """
        setups = [setup for setup in self.setups if isinstance(setup, DetectorSetup)]
        if len(setups) < len(self.setups):
            raise StudyError(
                f"detectors.{self.name}: pseudo-experiments are not available for the data of experiments; "
                "use method: delta-chi2"
            )
        if self.profile:
            raise StudyError("profile: pseudo-experiments are not available with couplings minimised over")
        if any(setup.energy_scale_uncertainty or setup.quenching_uncertainty for setup in setups):
            raise StudyError(f"detectors.{self.name}.uncertainties: pseudo-experiments know normalisations only")
        if self.independent:
            raise StudyError(f"combinations.{self.name}: pseudo-experiments are available for correlated signals only")
        nonlinear = [new.name for new in setups[0].couplings if new.name in names and not new.linear]
        if nonlinear:
            raise StudyError(f"couplings: pseudo-experiments are not available for {nonlinear[0]}")
        return Experiment.of(
            list(self.responses),
            names,
            setups[0].signal_uncertainty,
            tuple(setup.background_uncertainty for setup in setups),
        )


def analyses(
    study: Study, earlier: Mapping[str, Analysis] = MappingProxyType({}), *, data: bool = True
) -> dict[str, Analysis]:
    """The detectors, then the combinations of a study, by name; without `data` those that read no data set.

    `earlier` holds those of a variation of the same study: what has the very same setups is taken over.
    """

    def kept(name: str, setups: tuple[AnySetup, ...]) -> Analysis | None:
        known = earlier.get(name)
        same = known is not None and all(a is b for a, b in zip(known.setups, setups, strict=True))
        return known if same else None

    with located(study.where):
        made = {
            setup.name: kept(setup.name, (setup,)) or _single(setup, study.file)
            for setup in study.setups
            if data or not isinstance(setup, ExperimentSetup)
        }
    for combination in study.file.combinations:
        if not set(combination.detectors) <= set(made):
            continue
        with located(f"combinations.{combination.name}"):
            members = [made[name] for name in combination.detectors]
            setups = tuple(setup for member in members for setup in member.setups)
            made[combination.name] = kept(combination.name, setups) or _combined(combination, members)
    return made


def _single(setup: AnySetup, file: schema.StudyFile) -> Analysis:
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
        independent=combination.signal == "independent",
        profile=members[0].profile,
    )


def _joined(combination: schema.Combination, members: list[Analysis]) -> Likelihood:
    """All members as one likelihood; a correlated signal is one parameter, named after the combination."""
    whole = functools.reduce(operator.add, [member.likelihood for member in members])
    if combination.signal == "independent":
        return whole
    common = f"{combination.name}.signal"
    return whole.renamed({f"{setup.name}.signal": common for member in members for setup in member.setups})
