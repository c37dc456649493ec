"""COHERENT liquid argon 2020 (arXiv:2003.10630, release arXiv:2006.12659): energy, F90 and time, 12 x 8 x 10 bins.

The expected signal is the released CEvNS template, reweighted in energy and time by what a coupling changes:
S(E, F90, t) = template * calculated(E, t; couplings)/calculated(E, t; Standard Model), exact where couplings vanish.
A recoil T gives the light E_ee = (0.246 + 0.00078 T/keV) T, smeared with sigma = 0.58 sqrt(E_ee keV). Electron recoils
are rejected by the pulse shape (F90) and left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cevnslab.datasets.coherent_lar_2020.readers import cube_edges, read_cube, read_efficiency
from cevnslab.datasets.measurement import SIGNAL, Measurement, Setup, measurement, require_channels
from cevnslab.detection.axes import BinAxis
from cevnslab.detection.efficiency import EfficiencyTable
from cevnslab.detection.expansion import expansions_of
from cevnslab.detection.folding import Monomial, sorted_monomials
from cevnslab.detection.quenching import PolynomialQuenching
from cevnslab.detection.readout import Readout, fold_channel
from cevnslab.detection.response import Response
from cevnslab.detection.smearing import Resolution
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Bend, Sample, Scale
from cevnslab.physics.arrival_times import arrival_fractions
from cevnslab.physics.couplings import Coupling
from cevnslab.physics.sources import components_by_arrival

FloatArray = NDArray[np.float64]

ENERGY_EDGES_KEVEE, F90_EDGES, TIME_EDGES_US = cube_edges()
RECOIL_RANGE_KEV = (0.5, 350.0)
LIGHT = PolynomialQuenching((0.246, 0.00078))
RESOLUTION = Resolution(sigma_kev=0.58, at_kev=1.0)
"""Of the light in keVee."""
BACKGROUNDS = {
    "brn": ("brnpdf.txt", 160 / 497),
    "delayed_brn": ("delbrnpdf.txt", 1.0),
    "steady_state": ("bkgpdf.txt", 25 / 3154),
}
"""Released templates and the relative uncertainties of their counts: prompt and delayed neutrons, steady state."""
SIGNAL_UNCERTAINTY = 17 / 128
SIGNAL_SHAPES = {
    "cevns_f90": ("cevnspdf+1sigF90.txt", "cevnspdf-1sigF90.txt"),
    "cevns_time": ("cevnspdfCEvNSTimingMeanSyst.txt", None),
}
BRN_SHAPES = {
    "brn_energy": ("brnpdf+1sigEnergy.txt", "brnpdf-1sigEnergy.txt"),
    "brn_time": ("brnpdf+1sigBRNTimingMean.txt", "brnpdf-1sigBRNTimingMean.txt"),
    "brn_width": ("brnpdfBRNTimingWidthSyst.txt", None),
}
"""Varied templates of each pull: +1 and -1 standard deviation, or one file that is mirrored."""


def calculated(
    setup: Setup, couplings: tuple[Coupling, ...], efficiency: EfficiencyTable
) -> dict[Monomial, FloatArray]:
    """Counts in energy and time from first principles, monomial by monomial: shape (12, 10) each."""
    groups = components_by_arrival(setup.source.components)
    terms = fold_channel(
        [group for _, group in groups],
        setup.target,
        "cevns",
        couplings,
        Readout(ENERGY_EDGES_KEVEE, LIGHT, RESOLUTION, efficiency, RECOIL_RANGE_KEV),
        setup.luminosity_per_cm2,
        form_factor=setup.form_factor,
        radiative_corrections=setup.radiative_corrections,
    )
    shares = np.array([arrival_fractions(setup.pulse, lifetimes, TIME_EDGES_US) for lifetimes, _ in groups])
    return {monomial: np.einsum("ge,gt->et", counts, shares) for monomial, counts in terms.items()}


def _efficiency(path: Path) -> EfficiencyTable:
    """The released curve, 0 at no light and flat above its last point."""
    energy, efficiency = read_efficiency(path)
    knots = (0.0, *energy.tolist(), float(ENERGY_EDGES_KEVEE[-1]))
    return EfficiencyTable(knots, (0.0, *efficiency.tolist(), float(efficiency[-1])), "reconstructed")


def analyse(setup: Setup, couplings: Sequence[Coupling], files: Mapping[str, Path]) -> Measurement:
    """The measurement as a function of some couplings; `files` are the release's, by name."""
    require_channels(setup, ("cevns",), "F90 rejects electron recoils; give this detector channels: [cevns]")
    expected = calculated(setup, tuple(couplings), _efficiency(files["CENNS10AnlAEfficiency.txt"]))
    monomials = sorted_monomials([expected])
    standard_model = expected[()]
    # Where the Standard Model has less than this share of its counts, neither has the released template any.
    populated = standard_model > 1e-9 * standard_model.sum()
    weights = np.array(
        [
            np.divide(expected[m], standard_model, out=np.zeros_like(populated, float), where=populated)
            for m in monomials
        ]
    )

    def signal_rows(template: FloatArray) -> FloatArray:
        return np.asarray((weights[:, :, None, :] * template).reshape(len(monomials), -1))

    def varied(nominal: FloatArray, names: tuple[str, str | None]) -> tuple[FloatArray, FloatArray]:
        up = read_cube(files[names[0]])
        return up, 2 * nominal - up if names[1] is None else read_cube(files[names[1]])

    shaped = setup.nuisances == "shape"
    template, brn = read_cube(files["cevnspdf.txt"]), read_cube(files["brnpdf.txt"])
    signal_shapes = {name: varied(template, pair) for name, pair in SIGNAL_SHAPES.items()} if shaped else {}
    brn_shapes = {name: varied(brn, pair) for name, pair in BRN_SHAPES.items()} if shaped else {}
    response = Response(
        setup.name,
        (BinAxis("energy_kevee", ENERGY_EDGES_KEVEE), BinAxis("f90", F90_EDGES), BinAxis("time_us", TIME_EDGES_US)),
        tuple(couplings),
        setup.channels,
        tuple(monomials),
        {"cevns": signal_rows(template)},
        {name: read_cube(files[file]).ravel() for name, (file, _) in BACKGROUNDS.items()},
        expansions_of(couplings, setup.target),
    )
    units = response.polynomial.units[:, None]

    def parameter(name: str, width: float) -> Parameter:
        return Parameter(f"{setup.name}.{name}", width)

    bends = [
        Bend(parameter(name, 1.0), *(signal_rows(side) * units for side in sides))
        for name, sides in signal_shapes.items()
    ]
    scale = Scale(parameter(SIGNAL, SIGNAL_UNCERTAINTY))
    rows = response.coefficients["cevns"] * units
    samples = [Sample("cevns", rows, response.polynomial, (scale, *bends))]
    for name, (_, width) in BACKGROUNDS.items():
        shapes = brn_shapes if name == "brn" else {}
        background_bends = [
            Bend(parameter(pull, 1.0), *(side.reshape(1, -1) for side in sides)) for pull, sides in shapes.items()
        ]
        counts = response.backgrounds[name][None, :]
        samples.append(Sample(name, counts, modifiers=[Scale(parameter(name, width)), *background_bends]))
    return measurement(
        setup,
        response,
        read_cube(files["datanobkgsub.txt"]).ravel(),
        tuple(samples),
        calculated_cevns=float(standard_model.sum()),
        shapes=(*signal_shapes, *brn_shapes),
    )
