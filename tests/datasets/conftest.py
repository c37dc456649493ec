"""The folders of the data, real and synthetic, and measurements made of them."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from support import with_counts
from synthetic import with_release, write_release

from cevnslab.datasets.measurement import Setup
from cevnslab.datasets.registry import dataset
from cevnslab.physics.arrival_times import GaussianPulse
from cevnslab.physics.couplings import coupling
from cevnslab.physics.nuclei import target
from cevnslab.physics.sources import PionDecayAtRest

MILLICHARGES = ("q_ee", "q_mumu", "q_emu", "q_etau", "q_mutau")


def csi_setup(directory, channels=("cevns",), nuisances="normalisation", observed="data", off_counts="exact"):
    """Cesium iodide as the reference analysis takes it."""
    radii = {"rms_radius_fm": {"Cs": 4.821, "I": 4.766}, "neutron_radius_fm": {"Cs": 5.09, "I": 5.03}}
    return Setup(
        name="csi",
        label="CsI",
        target=target("CsI", **radii),
        mass_kg=14.6,
        distance_m=19.3,
        source=PionDecayAtRest("sns", 3.198e23, 0.0848, 8766.0, 1.0, GaussianPulse(0.471, 0.150)),
        exposure_years=1.0,
        channels=channels,
        observed=observed,
        nuisances=nuisances,
        form_factor="helm",
        off_counts=off_counts,
        directory=directory,
    )


def lar_setup(directory, channels=("cevns",), nuisances="normalisation", observed="data"):
    """Liquid argon as the reference analysis takes it."""
    return Setup(
        name="lar",
        label="LAr",
        target=target("Ar", rms_radius_fm=3.448, neutron_radius_fm=3.55),
        mass_kg=24.4,
        distance_m=27.5,
        source=PionDecayAtRest("sns", 1.38e23, 0.09, 8766.0, 1.0, GaussianPulse(0.440, 0.150)),
        exposure_years=1.0,
        channels=channels,
        observed=observed,
        nuisances=nuisances,
        form_factor="helm",
        directory=directory,
    )


def _analyses(directory, releases=None):
    @functools.cache
    def make(name, channels=("cevns",), nuisances="normalisation", observed="data", **keys):
        folder, setup = {"csi": ("coherent-csi-2021", csi_setup), "lar": ("coherent-lar-2020", lar_setup)}[name]
        data = dataset(folder) if releases is None else with_release(dataset(folder), releases[folder])
        return data.measurement(
            setup(directory, channels, nuisances, observed, **keys), [coupling(charge) for charge in MILLICHARGES]
        )

    return make


@pytest.fixture(scope="session")
def measured(coherent_data):
    """Measurements of the real data: measured("csi" or "lar", channels, nuisances, observed), each made once."""
    return _analyses(coherent_data)


@pytest.fixture(scope="session")
def synthetic_release(tmp_path_factory):
    """The folder of synthetic releases, and what recognises their files, by data set."""
    folder = tmp_path_factory.mktemp("synthetic") / "copy"
    return folder, write_release(folder)


@pytest.fixture(scope="session")
def invented(synthetic_release):
    """Measurements of the synthetic data, as `measured`."""
    return _analyses(*synthetic_release)


@pytest.fixture(scope="session")
def fluctuated(invented):
    """The same with counts drawn from an expectation 15 % above the Standard Model's, as real data could be.

    The synthetic releases' own events follow no model and are not described by any of these.
    """

    @functools.cache
    def make(name, channels=("cevns",), nuisances="normalisation"):
        measurement = invented(name, channels, nuisances)
        rng = np.random.default_rng(5)
        observed = rng.poisson(1.15 * measurement.response.counts() + measurement.response.background).astype(float)
        return with_counts(measurement, observed)

    return make
