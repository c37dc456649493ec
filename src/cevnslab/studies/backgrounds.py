"""A detector's named backgrounds: from their keys to counts per bin, and to samples of the likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection import detector as detection
from cevnslab.detection.axes import BinAxis
from cevnslab.errors import InputFileError, StudyError, located
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import PerBin, Sample, Scale
from cevnslab.studies import schema
from cevnslab.studies.observed import observed_counts
from cevnslab.studies.tables import read_curve

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Background:
    """A background of the whole exposure, by name."""

    name: str
    uncertainty: float
    """Relative width of its normalisation."""
    counts: FloatArray
    """Expected, shape (bins,)."""
    off: PerBin | None = None
    """What counts of an off-beam run say about it."""
    shape: FloatArray | None = None
    """With `off`: the share of every bin in its group's expectation, shape (bins,)."""

    def sample(self, scales: Sequence[Parameter]) -> Sample:
        """The sample of the likelihood, with normalisations that act on it."""
        modifiers = [Scale(parameter) for parameter in scales]
        if self.off is None or self.shape is None:
            return Sample(self.name, self.counts[None, :], modifiers=modifiers)
        return Sample(self.name, self.shape[None, :], modifiers=[*modifiers, self.off])


def rates_per_kg_day(
    spec: schema.Background, edges: FloatArray, recoil_edges: FloatArray, quenched: bool, base: Path
) -> FloatArray:
    """Counts per kg and day of beam in each energy bin of a background that is given as a rate.

    Edges are on the detector's axis and in keV of nuclear recoil. Raises a `CevnslabError` for a table that does not
    cover the bins, or keVee without quenching.
    """
    if spec.ckkd is not None:
        return detection.flat_background(recoil_edges, spec.ckkd)
    if spec.ckkd_ee is not None:
        if not quenched:
            raise StudyError("keVee needs the key quenching")
        return detection.flat_background(edges, spec.ckkd_ee)
    if spec.ckd is not None:
        return detection.flat_background(edges, spec.ckd / (edges[-1] - edges[0]))
    assert spec.file is not None
    curve = read_curve(base / spec.file, "background file", "rate", highest=schema.LARGEST_RATE)
    if not quenched:
        curve.require_unit("keV")
    bins = edges if curve.unit == "keVee" else recoil_edges
    return detection.tabulated_background(bins, curve.energy, curve.value, curve.energies(quenched))


def background_of(
    spec: schema.Background,
    detector: detection.Detector,
    axes: Sequence[BinAxis],
    days: FloatArray,
    base: Path = Path(),
) -> Background:
    """A background for an exposure.

    Parameters
    ----------
    axes
        Those of the detector's bins, energy first.
    days
        Of beam in every time bin, shape (time bins,); one number where times are not binned.
    base
        What file names are relative to.

    """
    if spec.off is not None:
        return _from_off_counts(spec.name, spec.off, spec.uncertainty or 0.0, axes, base)
    assert spec.uncertainty is not None
    if spec.counts is not None:
        with located("counts"):
            counted = observed_counts(spec.counts, axes, base, "file of background counts")
        if counted.errors is not None:
            raise StudyError("counts: a background has an uncertainty, no column of errors")
        if np.any(counted.counts < 0):
            raise StudyError(f"counts: must not be negative, got {counted.counts.min():g}")
        return Background(spec.name, spec.uncertainty, counted.counts)
    with located(spec.kind):
        rates = rates_per_kg_day(
            spec, detector.bin_edges_kev, detector.recoil_edges_kev, detector.quenching is not None, base
        )
    return Background(spec.name, spec.uncertainty, np.outer(rates * detector.mass_kg, days).ravel())


def _from_off_counts(
    name: str, spec: schema.OffCounts, uncertainty: float, axes: Sequence[BinAxis], base: Path
) -> Background:
    """Off-beam counts in groups of bins: those that differ along the axes on which they are not known."""
    names = [axis.name for axis in axes] if spec.axes is None else spec.axes
    schema.require_known("off.axes", names, [axis.name for axis in axes], "axis of this detector")
    schema.require_unique("off.axes", names)
    with located("off"):
        off_axes = [axis for axis in axes if axis.name in names]
        counted = observed_counts(schema.CountsFile(file=spec.file), off_axes, base, "file of off-beam counts")
        if counted.errors is not None:
            raise StudyError("off-beam counts have no column of errors: theirs are Poisson's")
        if np.any(counted.counts < 0) or np.any(counted.counts % 1):
            raise InputFileError(f"file of off-beam counts {base / spec.file}: counts must be whole numbers from 0 on")
    lengths = [len(axis) for axis in axes]
    positions = np.unravel_index(np.arange(int(np.prod(lengths))), lengths)
    groups = np.zeros(len(positions[0]), dtype=np.int64)
    shape = np.ones(len(positions[0]))
    for axis, position in zip(axes, positions, strict=True):
        if axis.name in names:
            groups = groups * len(axis) + position
        else:
            widths = np.diff(axis.edges)
            shape = shape * (widths / widths.sum())[position]
    template = PerBin(counted.counts, spec.ratio, groups)
    return Background(name, uncertainty, spec.ratio * counted.counts[groups] * shape, template, shape)
