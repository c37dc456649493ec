"""Systematic uncertainties that detectors share, and priors of couplings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, Tag

from cevnslab.errors import StudyError
from cevnslab.studies.schema.base import (
    LARGEST_WIDTH,
    SMALLEST_WIDTH,
    Model,
    Name,
    Positive,
    either,
    require_known,
    require_unique,
)

SIGNAL = "signal"
"""All channels together, where samples are named."""


class Systematic(Model):
    """One nuisance parameter of the whole study: a name is one parameter wherever it acts."""

    name: Name = Field(description="of the parameter; the same name with the same width is the same parameter")
    on: Annotated[
        Annotated[str, Tag("<word>")] | Annotated[list[str], Tag("<list>"), Field(min_length=1)],
        either("<list>", "<word>"),
    ] = Field("signal", description="signal, cevns, electron, a background's name, or a list of them")
    kind: Literal["normalisation", "energy_scale", "quenching", "lindhard_k", "threshold"] = Field(
        "normalisation",
        description="a factor; the reconstructed energy; the quenching factor or Lindhard's k, relative; "
        "or the lowest edge (of the bins or the efficiency table), in the unit of the detector's bins",
    )
    width: Positive = Field(description="one standard deviation: relative, of a threshold in the unit of the bins")
    detectors: list[str] | None = Field(None, description="all unless given")
    replaces: list[str] = Field(
        default=[], description="pulls of data sets, such as coherent-csi-2021.quenching_0, that it stands for"
    )

    @property
    def targets(self) -> list[str]:
        """What it acts on, as a list."""
        return [self.on] if isinstance(self.on, str) else self.on


class Prior(Model):
    """A Gaussian constraint on a coupling."""

    centre: float = Field(description="in the coupling's unit")
    width: Positive = Field(description="one standard deviation, in the coupling's unit")


def check_systematics(
    systematics: Sequence[Systematic],
    channels: Mapping[str, Sequence[str]],
    backgrounds: Mapping[str, Sequence[str]],
) -> None:
    """Raise `StudyError` for names that are not there, given the channels and background names of every detector."""
    affected: dict[str, set[tuple[str, str]]] = {}
    for number, systematic in enumerate(systematics, start=1):
        path = f"systematics.{systematic.name}"
        detectors = systematic.detectors if systematic.detectors is not None else list(backgrounds)
        require_known(f"{path}.detectors", detectors, backgrounds, "detector of this study")
        require_unique(f"{path}.detectors", detectors)
        require_unique(f"{path}.on", systematic.targets)
        # Of a threshold its bin is the limit; of all else, as of `uncertainties`, what is wider constrains nothing.
        if systematic.kind != "threshold" and not SMALLEST_WIDTH <= systematic.width <= LARGEST_WIDTH:
            raise StudyError(
                f"{path}.width: must be at least {SMALLEST_WIDTH:g} and at most {LARGEST_WIDTH:g}, relative, got "
                f"{systematic.width:g}"
            )
        samples = {name: {*channels[name], *backgrounds[name]} for name in detectors}
        targets = [SIGNAL, *dict.fromkeys(name for detector in detectors for name in sorted(samples[detector]))]
        require_known(f"{path}.on", systematic.targets, targets, "channel or background of these detectors")
        if SIGNAL in systematic.targets and {"cevns", "electron"} & set(systematic.targets):
            raise StudyError(f"{path}.on: signal is all channels; name either it or single ones")
        if systematic.kind != "normalisation" and set(systematic.targets) - {SIGNAL, "cevns", "electron"}:
            raise StudyError(
                f"{path}.on: a background is given in reconstructed energy, which {systematic.kind} does not move; "
                "use signal, cevns or electron"
            )
        for other in systematics[: number - 1]:
            if other.name == systematic.name and (other.width, other.kind) != (systematic.width, systematic.kind):
                raise StudyError(f"{path}: two systematics of this name must be of one kind and width")
        require_unique(f"{path}.replaces", systematic.replaces)
        for pull in systematic.replaces:
            if not any(pull.startswith(f"{detector}.") for detector in backgrounds):
                raise StudyError(
                    f"{path}.replaces: '{pull}' is no pull of a detector of this study; their names begin with the "
                    f"detector's, {' or '.join(f'{name}.' for name in backgrounds)}"
                )
        for detector in detectors:
            acting = set(channels[detector]) if SIGNAL in systematic.targets else set()
            acting |= samples[detector] & set(systematic.targets)
            if systematic.detectors is not None and not acting:
                raise StudyError(f"{path}.detectors: {detector} has no {' or '.join(systematic.targets)}")
            pairs = {(detector, sample) for sample in acting}
            twice = sorted(pairs & affected.setdefault(systematic.name, set()))
            if twice:
                raise StudyError(f"{path}: two systematics of this name act on {twice[0][1]} of {twice[0][0]}")
            affected[systematic.name] |= pairs


def check_priors(priors: Mapping[str, Prior], couplings: Sequence[str]) -> None:
    """Raise `StudyError` for a prior of a coupling that the study does not fit."""
    require_known("priors", list(priors), couplings, "coupling of this study (couplings or profile)")
