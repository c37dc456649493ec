"""A response matrix: what an experiment publishes when its detector is not described by a few laws.

    counts_i = luminosity integral dT R(T) sum_j P_ij h_j(T)

P_ij is the probability that a true recoil energy T_j is counted in bin i, over any number of axes; h_j are hat
functions on the nodes T_j, so that P is linear between them and zero outside. Efficiency, quenching and resolution are
in it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.detection.axes import BinAxis
from cevnslab.detection.efficiency import Efficiency
from cevnslab.detection.smearing import Variable
from cevnslab.errors import InputFileError, PhysicsError
from cevnslab.frozen import frozen_array

FloatArray = NDArray[np.float64]

ROUNDING = 1e-6
"""By which single precision may take a sum of probabilities above 1."""


@dataclass(frozen=True, eq=False)
class ResponseMatrix:
    """Probabilities per bin at nodes of the true recoil energy, for one kind of recoil: a law of smearing.

    Raises `PhysicsError` for nodes that do not rise from above 0, a shape that does not fit the axes, probabilities
    that are negative or not finite, or nodes whose probabilities sum up to more than 1.

    >>> axis = BinAxis("light_pe", np.array([2.0, 4.0, 8.0]))
    >>> matrix = ResponseMatrix(np.array([1.0, 2.0]), np.array([[0.1, 0.0], [0.3, 0.2]]), (axis,))
    >>> matrix.windows(axis.edges, 1.0, np.array([0.5, 1.5])).round(12).tolist()
    [[0.0, 0.2], [0.0, 0.1]]
    """

    energy_kev: FloatArray
    """Nodes, shape (nodes,)."""
    probability: FloatArray
    """Shape (nodes, bins) or (nodes, bins of the first axis, of the second, ...); kept with the last axis fastest."""
    axes: tuple[BinAxis, ...]

    def __post_init__(self) -> None:
        energy, table = frozen_array(self.energy_kev), np.asarray(self.probability, dtype=float)
        shape = tuple(len(axis) for axis in self.axes)
        if energy.ndim != 1 or len(energy) < 2 or not energy[0] > 0 or not np.all(np.diff(energy) > 0):
            raise PhysicsError("response matrix: its energies must rise, from above 0")
        if table.shape not in ((len(energy), *shape), (len(energy), int(np.prod(shape)))):
            raise PhysicsError(
                f"response matrix: {len(energy)} energies and bins of {' x '.join(map(str, shape))} need probabilities "
                f"of that shape, got {table.shape}"
            )
        probability = table.reshape(len(energy), -1)
        if not np.all(np.isfinite(probability)) or np.any(probability < 0):
            raise PhysicsError("response matrix: probabilities must be finite and at least 0")
        total = probability.sum(axis=1)
        if np.any(total > 1 + ROUNDING):
            first = int(np.argmax(total > 1 + ROUNDING))
            raise PhysicsError(
                f"response matrix: the probabilities at {energy[first]:g} keV sum up to {total[first]:.6g}, above 1"
            )
        object.__setattr__(self, "energy_kev", energy)
        object.__setattr__(self, "probability", frozen_array(probability))

    @property
    def variable(self) -> Variable:
        """The root of the energy: rates are smooth in it."""
        return Variable()

    def true_range(self, edges: FloatArray) -> tuple[float, float]:
        """From the first node to the last."""
        return float(self.energy_kev[0]), float(self.energy_kev[-1])

    def kinks_kev(self, edges: FloatArray, efficiency: Efficiency) -> list[float]:
        """The nodes."""
        return [float(energy) for energy in self.energy_kev]

    def steps_kev(self, edges: FloatArray, efficiency: Efficiency) -> FloatArray | None:
        """None: the nodes are kinks, between which the windows are linear."""
        return None

    def seen_bins(self, edges: FloatArray, low_kev: float, high_kev: float) -> slice:
        """All: it says itself where an energy is counted."""
        return slice(0, self.probability.shape[1])

    def windows(self, edges: FloatArray, efficiency: Efficiency, energy_kev: FloatArray) -> FloatArray:
        """Probabilities between the nodes, shape (bins, energies); `PhysicsError` for an efficiency besides."""
        if efficiency != 1.0:
            raise PhysicsError("response matrix: the efficiency is in it")
        nodes = self.energy_kev
        at = np.clip(np.searchsorted(nodes, energy_kev, side="right") - 1, 0, len(nodes) - 2)
        share = (energy_kev - nodes[at]) / (nodes[at + 1] - nodes[at])
        inside = (energy_kev >= nodes[0]) & (energy_kev <= nodes[-1])
        low, high = np.where(inside, 1 - share, 0.0), np.where(inside, share, 0.0)
        return np.asarray((self.probability[at] * low[:, None] + self.probability[at + 1] * high[:, None]).T)

    def described(self, unit: str) -> str:
        """For instance ``a response matrix of 46 energies and 243 bins``."""
        nodes, bins = self.probability.shape
        return f"a response matrix of {nodes} energies and {bins} bins"


def read_response_matrix(path: Path) -> ResponseMatrix:
    """The matrix in an npz file: `energy_kev`, `probability[energy, bins...]`, `edges_<axis>` in the order of the axes.

    Raises `InputFileError` for a file that cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: np.asarray(archive[name], dtype=float) for name in archive.files}
    except OSError as fault:
        raise InputFileError(f"cannot read the response matrix {path}: {fault.strerror or fault}") from None
    except (ValueError, TypeError, zipfile.BadZipFile) as fault:
        raise InputFileError(f"response matrix {path}: no npz file of numbers ({fault})") from None
    for name in ("energy_kev", "probability"):
        if name not in arrays:
            raise InputFileError(f"response matrix {path}: no array {name}; it has {', '.join(arrays) or 'none'}")
    edges = {name.removeprefix("edges_"): array for name, array in arrays.items() if name.startswith("edges_")}
    if len(edges) != arrays["probability"].ndim - 1:
        raise InputFileError(
            f"response matrix {path}: one array edges_<axis> per axis of the bins is needed, got {len(edges)} for "
            f"{arrays['probability'].ndim - 1}"
        )
    for name, array in edges.items():
        if array.ndim != 1 or len(array) < 2 or not np.all(np.diff(array) > 0):
            raise InputFileError(f"response matrix {path}: edges_{name} must rise")
    try:
        axes = tuple(BinAxis(name, array) for name, array in edges.items())
        return ResponseMatrix(arrays["energy_kev"], arrays["probability"], axes)
    except PhysicsError as fault:
        raise InputFileError(f"{path}: {fault}") from None
