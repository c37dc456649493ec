"""A small release of both data sets in the formats of the real ones: the shapes are plausible, the numbers invented."""

from __future__ import annotations

import hashlib

import numpy as np
from scipy.stats import norm

from cevnslab.datasets.coherent_lar_2020.readers import cube_edges
from cevnslab.datasets.registry import DatasetFolder, dataset

SEED = 2021
MUON_LIFETIME_US = 2.197


def write_release(folder, url="http://127.0.0.1:9", seed=SEED):
    """Write a folder for each data set into a folder; the releases that recognise their files, by data set.

    `url` is the address at which a release says that the folder's content can be downloaded.
    """
    rng = np.random.default_rng(seed)
    contents = {"coherent-csi-2021": _csi(rng), "coherent-lar-2020": _lar(rng)}
    releases = {}
    for name, texts in contents.items():
        published = dataset(name).release
        assert set(texts) == set(published.files)
        (folder / name).mkdir(parents=True)
        for file, text in texts.items():
            (folder / name / file).write_text(text, encoding="utf-8")
        files = {file: recognised(published.files[file], text) for file, text in texts.items()}
        releases[name] = published.model_copy(update={"url": f"{url}/{name}/", "files": files})
    return releases


def with_release(folder, release):
    """A data set of which another release is the published one."""
    other = DatasetFolder(folder.name, folder.package)
    vars(other)["release"] = release
    return other


def recognised(file, text):
    if file.events is None:
        content = text.encode()
        return file.model_copy(update={"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()})
    pairs = sorted((pe, us) for pe, us in np.loadtxt(text.splitlines()).tolist() if pe < 60 and us < 6)
    lines = "".join(f"{pe:.6g} {us:.6g}\n" for pe, us in pairs)
    events = file.events.model_copy(update={"sha256": hashlib.sha256(lines.encode()).hexdigest()})
    return file.model_copy(update={"events": events})


def _text(table, header=""):
    return header + "".join(" ".join(f"{value:.6g}" for value in row) + "\n" for row in table)


def _delayed(time, mean, sigma, lifetime):
    """A Gaussian pulse folded with an exponential decay."""
    rate = sigma / lifetime
    return np.exp(rate**2 / 2 - (time - mean) / lifetime) * norm.cdf((time - mean) / sigma - rate) / lifetime


def _csi(rng):
    energy = np.arange(250) + 0.5
    time = np.arange(650) * 0.01 - 0.245
    threshold = np.where(energy > 7, 1 / (1 + np.exp(-0.3 * (energy - 11))), 0)
    late = np.where(time > 0.02, _delayed(time, 0.65, 0.15, MUON_LIFETIME_US), 0)
    pulse = norm.pdf(time, 0.65, 0.15)
    templates = {
        "brnPE.txt": (energy, _normalised_below_60(energy, threshold * (np.exp(-energy / 30) + 0.01))),
        "ninPE.txt": (energy, _normalised_below_60(energy, threshold * (np.exp(-energy / 22) + 0.01))),
        "brnTrec.txt": (time, 0.27 * np.where(time > 0.18, pulse, 0)),
        "ninTrec.txt": (time, 0.08 * late),
    }
    header = "# List of selected events\n# Recoil energy (PE), recoil time (microsecond)\n"
    background = _steady(rng, 600)
    coincident = np.concatenate([_steady(rng, 600), _signal(rng, 90)])
    rng.shuffle(coincident)
    return {name: _text(np.column_stack(columns)) for name, columns in templates.items()} | {
        "dataBeamOnAC.txt": _text(background, header),
        "dataBeamOnC.txt": _text(coincident, header),
        "effCoefficients.txt": EFFICIENCY,
        "scintRespCoefficients.txt": SCINTILLATION,
    }


def _normalised_below_60(energy, density):
    return density / density[energy < 60].sum()


def _steady(rng, events):
    """Events at any time: half of them few PE, half spread over all."""
    energy = np.where(rng.random(events) < 0.5, 6.5 + rng.gamma(2, 12, events), rng.uniform(6.5, 250, events))
    return np.column_stack([np.minimum(energy, 249.9), rng.uniform(0, 5.999, events)])


def _signal(rng, events):
    """Events near the beam's pulse and within a muon's life after it."""
    time = rng.normal(0.5, 0.15, events) + rng.exponential(MUON_LIFETIME_US, events) * (rng.random(events) < 0.7)
    return np.column_stack([8 + rng.gamma(2, 6, events), np.clip(time, 0.01, 5.999)])


EFFICIENCY = """\
# Energy-dependent efficiency curve
# eff_E(x) = a/( 1 + exp(-b*(x-c))) + d
# x is reconstructed recoil energy in PE
# Coefficients given as: a b c d

# Nominal efficiency model
1.3  0.29 10.8 -0.32

# Syst model, more
1.33  0.289 9.8 -0.34
# Syst model, less
1.28  0.291 11.8 -0.30
"""

SCINTILLATION = """\
# Scintillation response curve
# Eee(x) = a*x + b*x*x + c*x*x*x + d*x*x*x*x
# x is recoil energy in MeVnr
# Coefficients given as: a b c d

# Nominal scintillation model
0.055 4.3 -112 840

# Syst model 0, +1 sigma
0.061 3.5 -86 600
# Syst model 0, -1 sigma
0.049 5.1 -138 1080

# Syst model 1, +1 sigma
0.055 3.9 -93 630
# Syst model 1, -1 sigma
0.055 4.7 -130 1050
"""


def _lar(rng):
    edges = cube_edges()
    energy, f90, time = np.meshgrid(*((side[:-1] + side[1:]) / 2 for side in edges), indexing="ij")

    def pulse(mean=0.63, sigma=0.2):
        return np.diff(norm.cdf(edges[2], mean, sigma)) * np.ones(energy.shape) * (time < 1.5)

    def recoils(f90_mean=0.68, time_mean=0.45):
        arrivals = 0.3 * norm.pdf(time, time_mean, 0.3) + _delayed(time, time_mean, 0.3, MUON_LIFETIME_US)
        return np.exp(-energy / 9) * (energy < 60) * norm.pdf(f90, f90_mean, 0.07) * arrivals

    def neutrons(slope=45.0, **options):
        return np.exp(-energy / slope) * norm.pdf(f90, 0.74, 0.05) * pulse(**options)

    cubes = {
        "cevnspdf.txt": 128 * _normalised(recoils()),
        "cevnspdf+1sigF90.txt": 128 * _normalised(recoils(f90_mean=0.7)),
        "cevnspdf-1sigF90.txt": 128 * _normalised(recoils(f90_mean=0.66)),
        "cevnspdfCEvNSTimingMeanSyst.txt": 128 * _normalised(recoils(time_mean=0.65)),
        "brnpdf.txt": 497 * _normalised(neutrons()),
        "brnpdf+1sigEnergy.txt": 497 * _normalised(neutrons(slope=50)),
        "brnpdf-1sigEnergy.txt": 497 * _normalised(neutrons(slope=40)),
        "brnpdf+1sigBRNTimingMean.txt": 497 * _normalised(neutrons(mean=0.75)),
        "brnpdf-1sigBRNTimingMean.txt": 497 * _normalised(neutrons(mean=0.5)),
        "brnpdfBRNTimingWidthSyst.txt": 497 * _normalised(neutrons(sigma=0.15)),
        "delbrnpdf.txt": 33 * _normalised(np.exp(-energy / 45) * norm.pdf(f90, 0.74, 0.05) * (abs(time - 1.65) < 0.1)),
        "bkgpdf.txt": 3152 * _normalised((np.exp(-energy / 40) + 0.1) * (np.exp(-(f90 - 0.5) / 0.06) + 0.02)),
    }
    expected = sum(cubes[name] for name in ("cevnspdf.txt", "brnpdf.txt", "delbrnpdf.txt", "bkgpdf.txt"))
    cubes["datanobkgsub.txt"] = rng.poisson(expected)
    centres = [energy.ravel(), f90.ravel(), time.ravel()]
    texts = {name: _text(np.column_stack([*centres, cube.ravel()])) for name, cube in cubes.items()}
    kevee = np.arange(80) * 0.5 + 0.25
    kevnr = (-0.246 + np.sqrt(0.246**2 + 4 * 0.00078 * kevee)) / (2 * 0.00078)
    efficiency = 0.96 * (1 - np.exp(-np.maximum(kevee - 0.8, 0) / 3))
    return texts | {"CENNS10AnlAEfficiency.txt": _text(np.column_stack([kevee, kevnr, efficiency]))}


def _normalised(cube):
    return cube / cube.sum()
