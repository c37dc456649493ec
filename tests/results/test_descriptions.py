"""One description of a table: the columns are a contract, and a new table is described in one place."""

from __future__ import annotations

import csv
import dataclasses
import json
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest

from cevnslab.errors import ResultError
from cevnslab.reports.archive import archive_tables
from cevnslab.reports.files import csv_texts
from cevnslab.results import TABLES, Column, LimitMap, Record, Result, Spectrum, Table
from cevnslab.results.description import Archive, FloatArray, columns_of
from cevnslab.results.plain import from_plain, to_plain

CONTRACT = {
    "limits": (
        "study,detector,channels,statistic,method,coupling,unit,confidence_level,delta_chi2,segment,lower,upper,"
        "lower_kind,upper_kind,best_fit"
    ),
    "summary": "detector,flux_per_cm2_s,cevns,electron,background,observed,best_fit,significance",
    "spectra": "detector,bin,bin_low_kev,bin_high_kev,cevns,electron,background",
    "data_spectra": "detector,axis,bin_low,bin_high,observed,cevns,electron,brn,nin,delayed_brn,steady_state",
    "fit": "detector,parameter,value,error",
    "pulls": "detector,coupling,parameter,prior_width,best_fit,error,impact_up,impact_down",
    "bands": (
        "detector,channels,statistic,coupling,confidence_level,end,median,low_68,high_68,low_95,high_95,"
        "disjoint_share,toys,seed"
    ),
    "scan_bands": (
        "scan,key,value,detector,channels,statistic,coupling,confidence_level,end,median,low_68,high_68,low_95,high_95,"
        "disjoint_share,toys,seed"
    ),
    "profiles": "detector,channels,coupling,value,delta_chi2",
    "contours": "detector,channels,coupling_x,coupling_y,confidence_level,polygon,point,x,y",
    "critical_values": (
        "detector,channels,coupling,confidence_level,convention,toys,value,critical_value,critical_value_error"
    ),
    "scans": (
        "scan,key,value,detector,channels,statistic,coupling,confidence_level,segment,lower,upper,lower_kind,upper_kind"
    ),
    "design": "name,key,value,detector,coupling,quantity,goal,reached,kind",
    "maps": "map,x,y,detector,coupling,lower,upper,lower_kind,upper_kind",
    "significances": (
        "detector,strength,error,error_without_normalisation,significance,expected_significance,p_no_cevns,"
        "p_standard_model,upper_limit,confidence_level,p_no_cevns_toys,p_no_cevns_toys_error,significance_toys,"
        "expected_significance_toys,toys"
    ),
    "levers": "key,detector,coupling,quantity,elasticity,reason,change",
    "cross_sections": "target,channel,energy_mev,coupling,value,recoil_kev,dsigma_dt_cm2_per_kev",
}


@dataclass(frozen=True, eq=False)
class Toy(Record):
    """A record of a table that the package does not know."""

    detector: Annotated[str, Column("detector", role="group", label="Detector")]
    colour: Annotated[str | None, Column("its colour")]
    wavelength: Annotated[FloatArray, Column("of its light", "nm")]
    note: str = ""


@dataclass(frozen=True, eq=False)
class ToyResult(Result):
    toys: tuple[Toy, ...] = ()


TOYS = Table(
    "toys",
    "Toys",
    "one line of a lamp",
    columns_of(Toy),
    Archive("Toys, {detector}", "Lines of a lamp at {detector}.", "Wavelength"),
    on_page=True,
)


@pytest.fixture
def toy_result(paper, monkeypatch):
    monkeypatch.setitem(TABLES, "toys", TOYS)
    fields = {field.name: getattr(paper, field.name) for field in dataclasses.fields(paper)}
    return ToyResult(**fields, toys=(Toy("ess-ge", "red", np.array([700.0, 710.0])), Toy("ess-xe", None, np.ones(1))))


def read(text):
    return list(csv.DictReader(text.splitlines()))


def test_the_columns_are_a_contract():
    assert {name: ",".join(column.name for column in table.columns()) for name, table in TABLES.items()} == CONTRACT


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_every_column_has_a_meaning_and_every_table_a_field(table):
    assert all(column.meaning for column in table.described)
    assert table.name in {field.name for field in dataclasses.fields(Result)}
    assert table.meaning
    assert table.title


def test_a_new_table_is_written_and_read_back(toy_result, tmp_path):
    folder = toy_result.save(tmp_path)
    rows = read((folder / "toys.csv").read_text(encoding="utf-8"))
    assert rows == [
        {"detector": "ess-ge", "colour": "red", "wavelength": "700.0"},
        {"detector": "ess-ge", "colour": "red", "wavelength": "710.0"},
        {"detector": "ess-xe", "colour": "", "wavelength": "1.0"},
    ]
    content = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    again = from_plain(ToyResult, {**content, "provenance": {}})
    assert again.toys[0].wavelength.tolist() == [700.0, 710.0]
    assert to_plain(again.toys) == to_plain(toy_result.toys)
    assert toy_result.records("toys")[1] == {"detector": "ess-ge", "colour": "red", "wavelength": 710.0}


def test_a_new_table_is_archived(toy_result):
    table = next(table for table in archive_tables(toy_result) if table.name == "Toys, ess-ge")
    colour, wavelength = table.dependent
    assert (colour.name, colour.values) == ("Colour", ["red", "red"])
    assert (wavelength.units, wavelength.values) == ("nm", [700.0, 710.0])
    assert wavelength.qualifiers == {"Detector": "ess-ge"}
    assert table.description == "Lines of a lamp at ess-ge."


def test_tables_without_rows_are_not_written_and_old_ones_go(paper, tmp_path):
    folder = paper.save(tmp_path)
    assert (folder / "spectra.csv").exists()
    assert not (folder / "scans.csv").exists()
    replace(paper, spectra=()).save(tmp_path)
    assert not (folder / "spectra.csv").exists()


def test_light_and_named_backgrounds_get_columns(paper):
    edges = np.array([0.1, 0.2, 0.3])
    light = Spectrum("mine", np.array([1.0, np.nan, 3.0]), *np.ones((3, 2)), edges, {"radon": np.array([0.2, 0.8])})
    texts = dict(csv_texts(replace(paper, spectra=(*paper.spectra, light))))
    rows = read(texts["spectra.csv"])
    assert list(rows[0]) == [*CONTRACT["spectra"].split(","), "radon", "bin_low_kevee", "bin_high_kevee"]
    assert (rows[0]["radon"], rows[0]["bin_low_kevee"]) == ("0.0", "")
    assert [rows[-2][name] for name in ("bin_low_kev", "bin_high_kev", "radon", "bin_high_kevee")] == [
        *("1.0", "", "0.2", "0.2")
    ]
    assert to_plain(light)["bin_edges_kev"] == [1.0, "nan", 3.0]


def test_a_map_has_a_row_per_point():
    kinds = (("limit", "limit", "bound"),) * 2
    limits = np.arange(6.0).reshape(2, 3)
    table = LimitMap("m", "a", "b", np.arange(3.0), np.array([10.0, 20.0]), "d", "q", -limits, limits, kinds, kinds)
    rows = list(TABLES["maps"].rows([table]))
    assert rows[2] == ("m", 2.0, 10.0, "d", "q", -2.0, 2.0, "bound", "bound")
    assert rows[3][:3] == ("m", 0.0, 20.0)


def test_a_column_that_nobody_described_is_refused():
    class Strange(Toy):
        def block(self):
            return {**super().block(), "taste": 1.0}

    with pytest.raises(ResultError, match=r"toys\.csv has no column 'taste'"):
        list(TOYS.rows([Strange("a", "b", np.ones(1))]))


def test_arrays_of_results_cannot_be_written_to(paper):
    with pytest.raises(ValueError, match="read-only"):
        paper.spectra[0].cevns[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        paper.contours[0].polygons[0][0] = 1.0


def test_what_is_no_result_is_refused():
    whole = {"detector": "a", "colour": "b", "wavelength": [1.0]}
    for content, message in (
        ({**whole, "taste": "c"}, "taste: unknown"),
        ({"detector": "a"}, "missing"),
        ({**whole, "detector": 1}, "detector: must be a word, got 1"),
        ({**whole, "wavelength": 1.0}, "wavelength: must be a list of numbers"),
        ({**whole, "wavelength": ["red"]}, "wavelength: must be a list of numbers"),
        ([1], "must be keys and values, got a list"),
    ):
        with pytest.raises(ResultError, match=message):
            from_plain(Toy, content)
