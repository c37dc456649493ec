"""The published files themselves, where CEVNSLAB_DATA names a folder that holds them."""

from __future__ import annotations

import numpy as np
import pytest

from cevnslab.datasets.coherent_csi_2021.readers import read_coefficients, read_events, read_histogram
from cevnslab.datasets.coherent_lar_2020.readers import read_cube, read_efficiency
from cevnslab.datasets.files import locate
from cevnslab.datasets.registry import dataset
from cevnslab.errors import InputFileError

SUMS = {
    "cevnspdf.txt": 128.0,
    "cevnspdf+1sigF90.txt": 128.0,
    "cevnspdf-1sigF90.txt": 128.0,
    "cevnspdfCEvNSTimingMeanSyst.txt": 128.0,
    "brnpdf.txt": 497.0,
    "brnpdf+1sigEnergy.txt": 497.0,
    "brnpdf-1sigEnergy.txt": 497.0,
    "brnpdf+1sigBRNTimingMean.txt": 523.6713,  # alone among the variations not normalised like brnpdf.txt
    "brnpdf-1sigBRNTimingMean.txt": 497.0,
    "brnpdfBRNTimingWidthSyst.txt": 497.0,
    "delbrnpdf.txt": 33.0,
    "bkgpdf.txt": 3152.0,
    "datanobkgsub.txt": 3752.0,
}
"""Events of every template and of the data."""


@pytest.fixture(scope="module")
def csi(coherent_data):
    return locate(dataset("coherent-csi-2021").release, coherent_data)


@pytest.fixture(scope="module")
def lar(coherent_data):
    return locate(dataset("coherent-lar-2020").release, coherent_data)


def test_as_many_events_with_other_energies_are_refused(csi, tmp_path):
    """Moved by 15 PE, and still 1578 in the region of the fit, as in the release: a number is no recognition."""
    energy, time = read_events(csi["dataBeamOnC.txt"]).T
    inside = (energy < 60) & (time < 6)
    lines = [f"{(pe + 15) % 60:.6g} {us:.6g}" for pe, us in zip(energy[inside], time[inside], strict=True)]
    assert len(lines) == 1578
    for name, path in csi.items():
        (tmp_path / name).write_bytes(path.read_bytes())
    (tmp_path / "dataBeamOnC.txt").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InputFileError, match=r"dataBeamOnC\.txt is not the published file \(its 1578 events"):
        locate(dataset("coherent-csi-2021").release, tmp_path)


def test_copies_that_reach_further_are_the_same_list(csi, tmp_path):
    """In any order, with events beyond the region of the fit, in another folder and under another name."""
    lines = csi["dataBeamOnC.txt"].read_text(encoding="utf-8").splitlines()
    elsewhere = tmp_path / "deep" / "er" / "on.dat"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text("\n".join([*lines[::-1], "61.5 3.2", "20.1 6.5"]), encoding="utf-8")
    for name, path in csi.items():
        if name != "dataBeamOnC.txt":
            (tmp_path / f"my-{name}").write_bytes(path.read_bytes())
    located = locate(dataset("coherent-csi-2021").release, tmp_path)
    assert located["dataBeamOnC.txt"] == elsewhere
    assert located["brnPE.txt"] == tmp_path / "my-brnPE.txt"


def test_sums_of_the_argon_templates(lar):
    assert set(SUMS) == set(lar) - {"CENNS10AnlAEfficiency.txt"}
    assert {file: read_cube(lar[file]).sum() for file in SUMS} == pytest.approx(SUMS, abs=1e-3)


def test_argon_data_are_counts_and_the_efficiency_is_on_its_grid(lar):
    data = read_cube(lar["datanobkgsub.txt"])
    assert np.array_equal(data, np.round(data))
    energy, efficiency = read_efficiency(lar["CENNS10AnlAEfficiency.txt"])
    assert energy == pytest.approx(np.arange(80) * 0.5 + 0.25)
    assert (efficiency[0], efficiency.max()) == (0, 0.963477)


def test_anticoincident_events_in_the_bins_of_the_fit(csi):
    energy, time = read_events(csi["dataBeamOnAC.txt"]).T
    edges = [0, 8, 12, 16, 20, 24, 32, 40, 50, 60]
    counts, _ = np.histogram(energy[(energy < 60) & (time < 6)], edges)
    assert counts.tolist() == [4, 98, 144, 123, 105, 202, 182, 216, 221]


def test_coincident_events(csi):
    energy, time = read_events(csi["dataBeamOnC.txt"]).T
    assert np.sum((energy < 60) & (time < 6)) == 1578


@pytest.mark.parametrize("file", ["brnPE.txt", "ninPE.txt"])
def test_energy_templates(file, csi):
    centres, density = read_histogram(csi[file])
    assert centres == pytest.approx(np.arange(250) + 0.5)
    assert density[centres < 60].sum() == pytest.approx(1, abs=1e-6)
    assert not density[centres < 7].any()


@pytest.mark.parametrize(("file", "highest_us"), [("brnTrec.txt", 0.655), ("ninTrec.txt", None)])
def test_time_templates(file, highest_us, csi):
    centres, density = read_histogram(csi[file])
    assert centres == pytest.approx(np.arange(650) * 0.01 - 0.245)
    assert not density[centres < 0].any()
    if highest_us:
        assert centres[np.argmax(density)] == pytest.approx(highest_us, abs=0.02)


def test_coefficients(csi):
    nominal, more, less = read_coefficients(csi["effCoefficients.txt"], 3)
    assert (nominal[2], more[2], less[2]) == (10.8646, 9.84596, 11.8832)
    light = read_coefficients(csi["scintRespCoefficients.txt"], 5)
    assert light[0].tolist() == [0.0554628, 4.30681, -111.707, 840.384]
    assert light[1:3].mean(axis=0) == pytest.approx(light[0], rel=1e-3)
