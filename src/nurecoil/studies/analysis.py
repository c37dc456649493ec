"""What a study analyses: every detector and every combination, with its statistic."""

from __future__ import annotations

from dataclasses import dataclass

from nurecoil.detection.response import CHANNELS, Response
from nurecoil.errors import StudyError, located
from nurecoil.inference.chi2 import Statistic
from nurecoil.inference.combination import combine
from nurecoil.inference.least_squares import LeastSquares
from nurecoil.inference.poisson import Poisson
from nurecoil.inference.toys import Experiment
from nurecoil.studies.study import DetectorSetup, Study


@dataclass(frozen=True, eq=False)
class Analysis:
    """One detector or combination: the rows of the outputs that bear its name."""

    name: str
    label: str
    channels: str
    statistic_name: str
    statistic: Statistic
    setups: tuple[DetectorSetup, ...]
    responses: tuple[Response, ...]
    independent: bool = False

    def experiment(self, *names: str) -> Experiment:
        """What pseudo-experiments along one or two couplings need.

        Raises `StudyError` for a combination whose members have a signal normalisation each.
        """
        if self.independent:
            raise StudyError(f"combinations.{self.name}: pseudo-experiments are available for correlated signals only")
        return Experiment.of(
            list(self.responses),
            names,
            self.setups[0].signal_uncertainty,
            tuple(setup.background_uncertainty for setup in self.setups),
        )


def analyses(study: Study) -> dict[str, Analysis]:
    """The detectors, then the combinations of a study, by name."""
    responses = study.responses()
    made = {setup.name: _single(setup, responses[setup.name]) for setup in study.setups}
    for combination in study.file.combinations:
        with located(f"combinations.{combination.name}"):
            members = [made[name] for name in combination.detectors]
            made[combination.name] = _combined(combination.name, combination.signal, members)
    return made


def _single(setup: DetectorSetup, response: Response) -> Analysis:
    with located(f"detectors.{setup.name}"):
        kind = Poisson if setup.statistic == "poisson" else LeastSquares
        statistic = kind.of(response, setup.signal_uncertainty, setup.background_uncertainty)
    return Analysis(
        setup.name,
        setup.detector.label,
        response.channel_label,
        setup.statistic,
        statistic,
        (setup,),
        (response,),
    )


def _combined(name: str, signal: str, members: list[Analysis]) -> Analysis:
    channels = {channel for member in members for channel in member.channels.split("+")}
    return Analysis(
        name,
        name,
        "+".join(channel for channel in CHANNELS if channel in channels),
        "+".join(dict.fromkeys(member.statistic_name for member in members)),
        combine([member.statistic for member in members], "correlated" if signal == "correlated" else "independent"),
        tuple(setup for member in members for setup in member.setups),
        tuple(response for member in members for response in member.responses),
        independent=signal == "independent",
    )
