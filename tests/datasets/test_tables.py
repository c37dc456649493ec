"""The readers of columns: what they accept, and one message with file and line for everything else."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic import write_release

from cevnslab.datasets.coherent_csi_2021.readers import read_coefficients, read_events, read_histogram
from cevnslab.datasets.coherent_lar_2020.readers import cube_edges, read_cube, read_efficiency
from cevnslab.errors import InputFileError
from cevnslab.textfiles import read_columns

SMALL = (2, 1, 2)


def small_cube(**changes):
    """Rows of a cube in 2 x 1 x 2 bins; line5="..." replaces a line of the file."""
    rows = ["# a comment", "30 0.7 1.15 1", "30 0.7 3.65 2", "90 0.7 1.15 3", "90 0.7 3.65 4"]
    for line, text in changes.items():
        rows[int(line.removeprefix("line")) - 1] = text
    return "\n".join(rows) + "\n"


@pytest.fixture
def write(tmp_path):
    def writer(text):
        path = tmp_path / "numbers.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return writer


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    write_release(folder)
    return folder


def read_small_cube(path):
    return read_cube(path, SMALL)


def columns(path):
    return read_columns(path, "table", 2)


def test_columns_in_every_layout(write):
    path = write("# header\r\n\r\n1 2\n 3,4 # remark\n5,\t-6e1\n\n#end")
    assert columns(path).tolist() == [[1, 2], [3, 4], [5, -60]]
    assert columns(write("1 2")).shape == (1, 2)


REFUSED = {
    "too few columns": (columns, "1 2\n3\n", ["line 2", "2 columns", "got 1"]),
    "too many columns": (columns, "1 2\n\n3 4 5\n", ["line 3", "2 columns", "got 3"]),
    "a word": (columns, "1 2\n# x\n3 four\n", ["line 3", "numbers", "3 four"]),
    "not a number": (columns, "1 nan\n", ["line 1", "finite"]),
    "infinite": (columns, "1 2\n-inf 2\n", ["line 2", "finite"]),
    "nothing": (columns, "", ["no rows"]),
    "comments only": (columns, "# 1 2\n\n", ["no rows"]),
    "binary": (columns, b"\xff\xfe1 2", ["UTF-8"]),
    "negative energy": (read_events, "1 2\n-1 2\n", ["line 2", "energy", "got -1"]),
    "negative time": (read_events, "1 -0.5\n", ["line 1", "time", "got -0.5"]),
    "event of one column": (read_events, "1\n", ["line 1", "2 columns"]),
    "falling centres": (read_histogram, "2.5 1\n1.5 1\n", ["line 1", "equal steps"]),
    "one centre twice": (read_histogram, "2.5 1\n2.5 1\n", ["line 1", "equal steps"]),
    "a bin left out": (read_histogram, "1 1\n2 1\n# 3 1\n4 1\n", ["line 4", "equal steps", "got 4"]),
    "negative template": (read_histogram, "1 1\n2 -1\n", ["line 2", "at least 0", "got -1"]),
    "one bin": (read_histogram, "1 1\n", ["two bins"]),
    "too few coefficients": (lambda path: read_coefficients(path, 3), "1 2 3 4\n1 2 3 4\n", ["3 rows", "got 2"]),
    "too many coefficients": (lambda path: read_coefficients(path, 1), "1 2 3 4\n1 2 3 4\n", ["1 rows", "got 2"]),
    "three coefficients": (lambda path: read_coefficients(path, 1), "1 2 3\n", ["line 1", "4 columns"]),
    "falling keVee": (read_efficiency, "1 2 0.5\n0.5 3 0.5\n", ["line 2", "keVee", "rise", "got 0.5"]),
    "falling keVnr": (read_efficiency, "1 2 0.5\n2 2 0.5\n", ["line 2", "keVnr", "rise", "got 2"]),
    "negative keVee": (read_efficiency, "-0.5 2 0.5\n1 3 0.5\n", ["line 1", "keVee"]),
    "efficiency above 1": (read_efficiency, "1 2 0.5\n2 3 1.5\n", ["line 2", "0 to 1", "got 1.5"]),
    "efficiency below 0": (read_efficiency, "1 2 -0.1\n2 3 1\n", ["line 1", "0 to 1"]),
    "one efficiency": (read_efficiency, "1 2 0.5\n", ["two rows"]),
    "cube of other size": (read_cube, small_cube(), ["960 rows", "12 x 8 x 10", "got 4"]),
    "cube off the grid": (read_small_cube, small_cube(line4="91 0.7 1.15 3"), ["line 4", "got 91 0.7 1.15"]),
    "cube's F90 off the grid": (read_small_cube, small_cube(line2="30 0.71 1.15 3"), ["line 2", "0.71"]),
    "cube in other order": (
        read_small_cube,
        small_cube(line3="90 0.7 1.15 3", line4="30 0.7 3.65 2"),
        ["line 3", "order"],
    ),
    "negative counts": (read_small_cube, small_cube(line5="90 0.7 3.65 -4"), ["line 5", "got -4"]),
}


@pytest.mark.parametrize(("reader", "text", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(reader, text, words, write):
    path = write(text)
    with pytest.raises(InputFileError) as refused:
        reader(path)
    message = str(refused.value)
    assert "\n" not in message
    assert all(word in message for word in [str(path), *words]), message


@pytest.mark.parametrize("reader", [columns, read_events, read_histogram, read_cube, read_efficiency])
def test_a_file_that_cannot_be_read(reader, tmp_path):
    with pytest.raises(InputFileError, match=r"cannot read the .*nowhere\.txt"):
        reader(tmp_path / "nowhere.txt")
    with pytest.raises(InputFileError, match="cannot read the"):
        reader(tmp_path)


def test_events_are_not_negative(write):
    assert read_events(write("250 12.5\n0 0\n")).tolist() == [[250, 12.5], [0, 0]]
    with pytest.raises(InputFileError, match=r"line 2: the energy must be at least 0 PE, got -0\.5"):
        read_events(write("1 1\n-0.5 1\n"))
    with pytest.raises(InputFileError, match=r"line 1: the time must be at least 0 us, got -12"):
        read_events(write("1 -12\n"))


def test_a_cube_keeps_its_axes(write):
    cube = read_cube(write(small_cube()), SMALL)
    assert cube.tolist() == [[[1, 2]], [[3, 4]]]
    assert [edges.size for edges in cube_edges()] == [13, 9, 11]


def test_the_synthetic_release_is_read(release):
    csi, lar = release / "coherent-csi-2021", release / "coherent-lar-2020"
    for name in ("brnPE", "ninPE"):
        centres, density = read_histogram(csi / f"{name}.txt")
        assert np.array_equal(centres, np.arange(250) + 0.5)
        assert density[centres < 60].sum() == pytest.approx(1, rel=1e-5)
        assert not density[centres < 7].any()
        assert density[centres > 7].all()
    for name in ("brnTrec", "ninTrec"):
        centres, density = read_histogram(csi / f"{name}.txt")
        assert centres == pytest.approx(np.arange(650) * 0.01 - 0.245)
        assert density.max() > 0
    anticoincident = read_events(csi / "dataBeamOnAC.txt")[:, 0]
    assert np.histogram(anticoincident, [0, 8, 12, 16, 20, 24, 32, 40, 50, 60])[0].min() > 0
    assert len(read_events(csi / "dataBeamOnC.txt")) > len(anticoincident)
    efficiency = read_coefficients(csi / "effCoefficients.txt", 3)
    assert efficiency[1, 2] < efficiency[0, 2] < efficiency[2, 2]
    assert read_coefficients(csi / "scintRespCoefficients.txt", 5).shape == (5, 4)
    sums = {"cevnspdf": 128, "brnpdf": 497, "delbrnpdf": 33, "bkgpdf": 3152}
    for path in lar.glob("*pdf*.txt"):
        cube = read_cube(path)
        assert cube.shape == (12, 8, 10)
        assert cube.sum() == pytest.approx(next(n for name, n in sums.items() if path.name.startswith(name)), rel=1e-5)
    data = read_cube(lar / "datanobkgsub.txt")
    assert np.array_equal(data, np.round(data))
    energy, values = read_efficiency(lar / "CENNS10AnlAEfficiency.txt")
    assert energy.size == 80
    assert 0.9 < values.max() <= 1
