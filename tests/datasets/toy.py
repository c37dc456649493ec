"""A data set of somebody else: a package of its own folder, and the few lines with which it declares itself."""

from __future__ import annotations

import hashlib

COUNTS = (61.0, 33.0, 30.0, 14.0, 17.0)

MODEL = '''
"""Germanium at a reactor, five bins of light, two backgrounds."""

from dataclasses import replace

import numpy as np

from cevnslab.datasets.likelihoods import samples_of
from cevnslab.datasets.measurement import measurement
from cevnslab.detection.detector import Detector
from cevnslab.detection.quenching import Lindhard
from cevnslab.detection.response import response
from cevnslab.detection.smearing import IonisationResolution
from cevnslab.likelihood.parameters import Parameter

EDGES = np.linspace(0.2, 0.7, 6)
BACKGROUNDS = {"muons": [20.0, 19.0, 18.0, 17.0, 16.0], UNKNOWN: [9.0, 6.0, 4.0, 3.0, 2.0]}


def analyse(setup, couplings, files):
    detector = Detector(
        name=setup.name,
        target=setup.target,
        mass_kg=setup.mass_kg,
        distance_m=setup.distance_m,
        bin_edges_kev=EDGES,
        resolution=IonisationResolution(0.03, 0.105, 2.96e-3),
        efficiency=0.9,
        background_per_kg_day=np.zeros(5),
        quenching=Lindhard(0.162, 32, 72.63),
    )
    expected = response(
        setup.source,
        detector,
        couplings=couplings,
        years=setup.exposure_years,
        channels=setup.channels,
        form_factor=setup.form_factor,
    )
    expected = replace(expected, backgrounds={name: np.array(counts) for name, counts in BACKGROUNDS.items()})
    samples = samples_of(
        expected,
        [Parameter(f"{setup.name}.signal", 0.1)],
        {name: [Parameter(f"{setup.name}.{name}", 0.2)] for name in BACKGROUNDS},
    )
    return measurement(setup, expected, np.loadtxt(files["counts.txt"]), samples)
'''

DATASET = """
title: a toy in germanium
target: Ge
axes:
  energy_kevee: {label: ionisation, unit: keVee}
backgrounds:
  lines: {label: "X-ray lines", colour: "#123456"}
  muons: {label: cosmic muons, colour: "#654321"}
published:
  source: "Toy et al., private"
  rows: {cevns_counts: {value: 31.5, error: 12.25}}
cite: [Toy:2024abc]
references:
  Toy:2024abc: {type: article, title: Toys, author: "Toy, T.", journal: J. Toys, volume: "1", year: 2024}
"""

DETECTOR = """
name: toy-ge-2024
label: Toy Ge
dataset: toy-ge-2024
target: Ge
mass_kg: 2.0
distance_m: 20.0
source: {preset: reactor, spectrum: mueller}
exposure_years: 0.5
"""


def write_package(root, unknown=False):
    """Write the package `toy_ge` and its metadata into a folder; `unknown`: its model has a background of no name."""
    counts = "".join(f"{count:g}\n" for count in COUNTS)
    checksum = hashlib.sha256(counts.encode()).hexdigest()
    files = {
        "toy_ge/__init__.py": "",
        "toy_ge/model.py": MODEL.replace("UNKNOWN", '"tritium"' if unknown else '"lines"'),
        "toy_ge/dataset.yaml": DATASET,
        "toy_ge/detector.yaml": DETECTOR,
        "toy_ge/files.yaml": (
            "source: the toy's box\nlicence: ours\nurl: https://toys.invalid/\nfiles:\n"
            f'  counts.txt: {{bytes: {len(counts)}, sha256: "{checksum}"}}\n'
        ),
        "toy_ge/counts.txt": counts,
        "toy_ge-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: toy-ge\nVersion: 1.0\n",
        "toy_ge-1.0.dist-info/entry_points.txt": "[cevnslab.datasets]\ntoy-ge-2024 = toy_ge\n",
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
