"""The study's systematic uncertainties put on the likelihoods of its detectors."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cevnslab.datasets.likelihoods import coefficients_of
from cevnslab.detection.detector import Detector
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.quenching import Lindhard, ScaledQuenching
from cevnslab.detection.response import Response
from cevnslab.errors import StudyError
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Modifier, PerBin, Sample, Scale
from cevnslab.studies.schema.systematics import SIGNAL, Systematic
from cevnslab.studies.setups import AnySetup, DetectorSetup


def check_kinds(setup: AnySetup, systematics: Sequence[Systematic]) -> None:
    """Raise `StudyError` for a kind that does not apply to a data set, which need not be read for it."""
    if isinstance(setup, DetectorSetup):
        return
    for systematic in systematics:
        replaced = any(name.startswith(f"{setup.name}.") for name in systematic.replaces)
        acting = systematic.detectors is None or setup.name in systematic.detectors
        if acting and not replaced and systematic.kind != "normalisation":
            raise StudyError(
                f"systematics.{systematic.name}.detectors: the data of {setup.name} come with their own "
                f"{systematic.kind}; name its pull under replaces, or leave the detector out"
            )


def with_systematics(likelihood: Likelihood, setup: AnySetup, systematics: Sequence[Systematic]) -> Likelihood:
    """The likelihood of one detector with the systematics that act on it: as a pull that it has, or as a new one.

    Raises `StudyError` where a kind does not apply to the detector, or a pull to be replaced is not there.
    """
    check_kinds(setup, systematics)
    for systematic in systematics:
        path = f"systematics.{systematic.name}"
        replaced = [name for name in systematic.replaces if name.startswith(f"{setup.name}.")]
        if replaced:
            likelihood = _replaced(likelihood, setup, systematic, replaced)
        elif systematic.detectors is not None and setup.name not in systematic.detectors:
            continue
        elif systematic.kind == "normalisation":
            scale = functools.partial(_scale, Parameter(systematic.name, systematic.width))
            likelihood = likelihood.modified(_acted_on(setup, systematic), scale)
        else:
            assert isinstance(setup, DetectorSetup)  # `check_kinds` refuses data sets
            up, down = (
                setup.varied(_moved(setup.detector, systematic, sign * systematic.width, path), f"{path}.width")
                for sign in (1, -1)
            )
            bend = functools.partial(_bend, systematic.name, setup.response, up, down)
            likelihood = likelihood.modified(_acted_on(setup, systematic), bend)
    return likelihood


def _acted_on(setup: AnySetup, systematic: Systematic) -> list[str]:
    """The names of the samples that a systematic acts on."""
    names: list[str] = []
    for target in systematic.targets:
        names += setup.channels if target == SIGNAL else [target]
    return names


def _scale(parameter: Parameter, _: Sample) -> Modifier:
    """A factor on any sample."""
    return Scale(parameter)


def _bend(name: str, nominal: Response, up: Response, down: Response, sample: Sample) -> Modifier:
    """The bend of a channel whose responses at plus and minus one standard deviation are known."""
    sides = [coefficients_of(side, nominal, sample.name, sample.part) for side in (up, down)]
    return Bend(Parameter(name, 1.0), *sides)


def _replaced(likelihood: Likelihood, setup: AnySetup, systematic: Systematic, names: Sequence[str]) -> Likelihood:
    """The likelihood with pulls under the name of the systematic that replaces them.

    A normalisation takes its prior width; the pull of a shape is known in its own standard deviations, which stay.
    """
    path = f"systematics.{systematic.name}.replaces"
    present = {parameter.name: parameter for parameter in likelihood.parameters}
    kind = Scale if systematic.kind == "normalisation" else Bend
    for name in names:
        if name not in present:
            raise StudyError(f"{path}: no pull '{name}'; {setup.name} has {', '.join(present)}")
        acting = [
            modifier
            for dataset in likelihood.datasets
            for sample in dataset.samples
            for modifier in sample.modifiers
            if not isinstance(modifier, PerBin) and modifier.parameter is not None and modifier.parameter.name == name
        ]
        if not all(isinstance(modifier, kind) for modifier in acting):
            what = "a normalisation" if kind is Scale else "the pull of a shape"
            raise StudyError(f"{path}: '{name}' is not {what}; a systematic replaces pulls of its own kind")
    if kind is Scale:
        wide = {name: replace(present[name], width=systematic.width) for name in names}
        likelihood = likelihood.with_parameters(wide)
    return likelihood.renamed(dict.fromkeys(names, systematic.name))


def _moved(detector: Detector, systematic: Systematic, shift: float, path: str) -> Detector:
    """The detector with one property moved."""
    if systematic.kind == "energy_scale":
        # A reconstructed energy that is too high by a factor is an edge that is too low by it.
        return replace(detector, bin_edges_kev=detector.bin_edges_kev / (1 + shift))
    if systematic.kind in ("quenching", "lindhard_k"):
        if detector.quenching is None:
            raise StudyError(f"{path}.kind: detector {detector.name} has no quenching; name others under detectors")
        if systematic.kind == "quenching":
            return replace(detector, quenching=ScaledQuenching(detector.quenching, 1 + shift))
        if not isinstance(detector.quenching, Lindhard):
            raise StudyError(f"{path}.kind: the quenching of {detector.name} is not Lindhard's; use kind: quenching")
        return replace(detector, quenching=replace(detector.quenching, k=detector.quenching.strength * (1 + shift)))
    if isinstance(detector.efficiency, EfficiencyTable):
        # Moved, it still covers what it covered: its ends go on as they are.
        table, energies = detector.efficiency, np.array(detector.efficiency.energy_kev)
        shifted = np.interp(energies, energies + shift, table.efficiency)
        both = dict(zip(energies.tolist(), shifted.tolist(), strict=True))
        inside = (energies + shift > energies[0]) & (energies + shift < energies[-1])
        both |= dict(zip((energies + shift)[inside].tolist(), np.array(table.efficiency)[inside].tolist(), strict=True))
        points = sorted(both.items())
        return replace(
            detector,
            efficiency=replace(
                table, energy_kev=tuple(e for e, _ in points), efficiency=tuple(value for _, value in points)
            ),
        )
    edges = detector.bin_edges_kev.copy()
    edges[0] += shift
    if not 0 < edges[0] < edges[1]:
        raise StudyError(f"{path}.width: a shift of {shift:g} moves the lowest edge of {detector.name} out of its bin")
    return replace(detector, bin_edges_kev=edges)
