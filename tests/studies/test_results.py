"""Studies from YAML alone, and the files that they write."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import GOLDEN, GOLDEN_DETECTORS, MILLICHARGES, REMOVED, STUDY, changed, direct_counts, near

import cevnslab as cl
from cevnslab.errors import CevnslabError, FigureError
from cevnslab.figures import catalogue
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.reports.files import redraw
from cevnslab.reports.published import compare, published

COLUMNS = {
    "limits.csv": (
        "study,detector,channels,statistic,method,coupling,unit,confidence_level,delta_chi2,segment,lower,upper,"
        "lower_kind,upper_kind,best_fit"
    ),
    "spectra.csv": "detector,bin,bin_low_kev,bin_high_kev,cevns,electron,background",
    "profiles.csv": "detector,channels,coupling,value,delta_chi2",
    "contours.csv": "detector,channels,coupling_x,coupling_y,confidence_level,polygon,point,x,y",
    "cross_sections.csv": "target,channel,energy_mev,coupling,value,recoil_kev,dsigma_dt_cm2_per_kev",
}

NAI = """
name: sodium-iodide
source: ess
exposure_years: 2
channels: [cevns, electron]
couplings: [q_ee, q_mumu]
uncertainties: {signal: 0.10, background: 0.01}
contours: [[q_ee, q_mumu]]
profiles:
  - {coupling: q_ee, from: -1e-9, to: 1e-9, points: 21}
cross_sections:
  - {target: I, energy_mev: 30, coupling: q_ee, values: [1e-9]}
detectors:
  - name: my-detector
    target: NaI
    mass_kg: 15
    distance_m: 22.5
    threshold_kev: 2.0
    maximum_kev: 60.0
    bins: 24
    resolution: {sigma_kev: 0.5, at_kev: 2.0}
    efficiency: 0.65
    background_ckkd: 5
    rms_radius_fm: {Na: 2.99, I: 4.83}
    electron_quenching: 0.2
"""

CAWO4 = """
name: calcium-tungstate
source:
  type: pion-decay-at-rest
  protons_per_year: 1.5e+23
  neutrinos_per_proton: 0.09
  hours_per_year: 5000
  duty_factor: 1e-4
exposure_years: 1
couplings: [q_ee, q_etau]
uncertainties: {signal: 0.05, background: 0}
nuclei: isotopes
form_factor: klein-nystrand
detectors:
  - name: cryogenic
    target: CaWO4
    mass_kg: 1e-1
    distance_m: 30
    bin_edges_kev: [0.1, 0.5, 2, 10, 60]
    resolution: none
    efficiency: 0.9
    background_ckd: 3
    rms_radius_fm: {Ca: 3.48, W: 5.37, O: 2.70}
"""

FAR_GERMANIUM = """
name: far-germanium
source: ess
exposure_years: 3
couplings: [q_ee]
uncertainties: {signal: 0.1, background: 0.01}
detectors:
  - {preset: ess-ge, name: near, bin_edges_kev: [0.6, 1, 2, 5, 20, 78.9]}
  - {preset: ess-ge, name: far, distance_m: 60, bin_edges_kev: [0.6, 1, 2, 5, 20, 78.9]}
"""


def table(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- the paper's numbers


@pytest.mark.parametrize(
    ("detector", "name"),
    [(detector, name) for detector, row in GOLDEN["limits_90CL"]["values"].items() for name in row],
    ids=str,
)
def test_reference_limits_of_the_built_in_study(detector, name, paper):
    expected = GOLDEN["limits_90CL"]["values"][detector][name]
    values = paper.limit(GOLDEN_DETECTORS[detector], f"q_{name}")
    assert values.segments == ((near(expected[0], 1e-8), near(expected[1], 1e-8)),)


def test_published_table_within_five_percent(paper):
    known = [row for row in compare(paper) if row.published is not None]
    assert len(known) == 19
    assert all(abs(row.difference) < 0.05 for row in known)


def test_exactly_three_published_numbers_differ_after_rounding(paper):
    unequal = {
        (row.detector, row.coupling, "lower" if row.ours < 0 else "upper")
        for row in compare(paper)
        if row.agrees_after_rounding is False
    }
    assert unequal == {("ess-ge", "q_mumu", "lower"), ("ess-xe", "q_ee", "upper"), ("ess-csi", "q_etau", "upper")}


def test_published_numbers_are_those_of_the_specification():
    rows = {
        name: {c: tuple(v["values"]) for c, v in row.items()} for name, row in published("parada2024")["rows"].items()
    }
    assert rows["ess-xe"]["q_ee"] == (-4.9e-9, 5.3e-9)
    assert rows["ess-ge"] == {
        "q_ee": (-3.9e-9, 4.9e-9),
        "q_mumu": (-2.1e-9, 2.1e-9),
        "q_emu": (-0.6e-8, 0.6e-8),
        "q_mutau": (-0.7e-8, 0.7e-8),
        "q_etau": (-1.0e-8, 1.0e-8),
    }
    assert "q_ee" not in rows["ess-csi"]  # lost in the paper's text
    assert published("no-such-study") is None


def test_twice_the_bins_of_csi_move_the_limit():
    keys = cl.load_study("parada2024").as_dict()
    base = {key: keys[key] for key in ("name", "source", "exposure_years", "uncertainties")} | {"couplings": ["q_ee"]}
    limits = [
        cl.study_from_dict({**base, "detectors": [{"preset": "ess-csi", "bins": bins}]}).run().limit("ess-csi", "q_ee")
        for bins in (20, 40)
    ]
    ratio = limits[1].segments[0][0] / limits[0].segments[0][0]
    assert ratio == pytest.approx(0.87, abs=0.02)


# --- studies of detectors that no preset has


def test_sodium_iodide_with_electrons(write_study, tmp_path):
    study = cl.load_study(write_study(NAI))
    result = study.run()
    (spectrum,) = result.spectra
    (setup,) = study.setups
    assert spectrum.cevns[3] == near(direct_counts(setup.source, setup.detector, 3, 2), 1e-6)
    assert np.all(spectrum.electron > 0)
    assert spectrum.background == pytest.approx(np.full(24, 5 * 15 * 58 / 24 * 2 * 5000 / 24 * 0.04), rel=1e-12)
    assert result.detectors["my-detector"].channels == "cevns+electron"
    # Electron scattering sharpens the limit on a charge far below what nuclei alone give.
    alone = cl.load_study(write_study(NAI.replace("[cevns, electron]", "[cevns]"))).run()
    assert result.limit("my-detector", "q_ee").segments[0][1] < 0.2 * alone.limit("my-detector", "q_ee").segments[0][1]
    folder = result.save(tmp_path / "out")
    assert {row["channels"] for row in table(folder / "limits.csv")} == {"cevns+electron"}
    assert len(result.contours[0].polygons) == 1


def test_calcium_tungstate(write_study):
    study = cl.load_study(write_study(CAWO4))
    result = study.run()
    (spectrum,) = result.spectra
    assert np.all(spectrum.cevns > 0)
    assert spectrum.background.sum() == near(3 * 0.1 * 5000 / 24 * 1e-4, 1e-12)
    assert not np.any(spectrum.electron)
    # Tungsten ends at 2 E^2/M = 32.6 keV, calcium and oxygen reach on.
    source, detector = (
        cl.load_study(write_study(CAWO4)).setups[0].source,
        cl.load_study(write_study(CAWO4)).setups[0].detector,
    )
    assert {c.nucleus.symbol for c in detector.target.constituents} == {"Ca", "W", "O"}
    assert len(detector.target.constituents) > 10
    helm = cl.response(source, detector, years=1).counts()
    assert spectrum.cevns == pytest.approx(helm, rel=0.05)
    assert not np.allclose(spectrum.cevns, helm, rtol=1e-5)
    low, high = result.limit("cryogenic", "q_etau").segments[0]
    assert low == -high < 0


def test_germanium_at_another_distance_with_its_own_bins(write_study):
    result = cl.load_study(write_study(FAR_GERMANIUM)).run()
    near_by, far = result.spectra
    assert far.bin_edges_kev.tolist() == [0.6, 1, 2, 5, 20, 78.9]
    assert far.cevns == pytest.approx(near_by.cevns / 9, rel=1e-12)
    assert np.array_equal(far.background, near_by.background)
    assert result.limit("far", "q_ee").segments[0][0] < result.limit("near", "q_ee").segments[0][0]


@given(order=st.permutations(["ess-csi", "ess-xe", "ess-ge"]))
def test_order_of_detectors_does_not_matter(order):
    def limits(names):
        keys = changed({"detectors": [{"preset": name} for name in names], "couplings": list(MILLICHARGES)})
        return {(x.detector, x.coupling): x for x in cl.study_from_dict(keys).run().limits}

    assert limits(order) == limits(["ess-csi", "ess-xe", "ess-ge"])


def test_confidence_level_and_connected_minimum():
    keys = changed({"detectors": [{"preset": "ess-ge"}], "intervals": {"confidence_level": 0.9982}})
    both = cl.study_from_dict(keys).run().limit("ess-ge", "q_ee")
    keys["intervals"]["minimum"] = "connected"
    one = cl.study_from_dict(keys).run().limit("ess-ge", "q_ee")
    assert both.confidence_level == 0.9982
    assert 9.62 < both.delta_chi2 < 9.92
    assert len(both.segments) == 2
    assert one.segments == both.segments[:1]


# --- the files


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_the_contract(name, saved_paper):
    first, second = (saved_paper / name).read_text(encoding="utf-8").splitlines()[:2]
    assert first == COLUMNS[name]
    assert len(second.split(",")) == len(first.split(","))


def test_files_of_the_contract(saved_paper):
    figures = {f"figures/figure-{n}.{ending}" for n in range(1, 7) for ending in ("pdf", "png")}
    written = {str(path.relative_to(saved_paper)) for path in saved_paper.rglob("*") if path.is_file()}
    assert written >= {*COLUMNS, "result.json", "provenance.json"}
    assert {name for name in written if name.startswith("figures/")} == figures
    assert not any(part.startswith(".") for name in written for part in name.split("/"))


def test_limits_table_has_the_result(paper, saved_paper):
    rows = table(saved_paper / "limits.csv")
    assert len(rows) == sum(len(limit.segments) for limit in paper.limits) == 25
    for row in rows:
        limit = paper.limit(row["detector"], row["coupling"])
        assert (float(row["lower"]), float(row["upper"])) == limit.segments[int(row["segment"]) - 1]
        assert (row["study"], row["unit"], row["method"]) == ("parada2024", "e", "delta-chi2")
        assert (row["channels"], row["statistic"]) == (limit.channels, "least-squares")
        assert float(row["confidence_level"]) == 0.9
        assert float(row["delta_chi2"]) == near(2.705543454095414, 1e-12)


def test_spectra_table_has_the_result(paper, saved_paper):
    rows = table(saved_paper / "spectra.csv")
    for spectrum in paper.spectra:
        rows_there = [row for row in rows if row["detector"] == spectrum.detector]
        edges = spectrum.bin_edges_kev
        assert [float(row["bin_low_kev"]) for row in rows_there] == edges[:-1].tolist()
        assert [float(row["bin_high_kev"]) for row in rows_there] == edges[1:].tolist()
        for column in ("cevns", "electron", "background"):
            assert [float(row[column]) for row in rows_there] == getattr(spectrum, column).tolist()
    csi = [row for row in rows if row["detector"] == "ess-csi"]
    assert sum(float(row["cevns"]) for row in csi) == near(GOLDEN["bins_CEvNS"]["values"]["CsI"]["total_SM"], 1e-9)


def test_profiles_table_has_the_level(paper, saved_paper):
    rows = [r for r in table(saved_paper / "profiles.csv") if (r["detector"], r["coupling"]) == ("ess-ge", "q_ee")]
    value = np.array([float(row["value"]) for row in rows])
    chi2 = np.array([float(row["delta_chi2"]) for row in rows])
    assert (value[0], value[-1], len(value)) == (near(-10e-9, 1e-12), near(30e-9, 1e-12), 401)
    assert chi2.min() == pytest.approx(0.0, abs=1e-3)
    low, high = paper.limit("ess-ge", "q_ee").segments[0]
    assert np.array_equal(chi2 < 2.705543454095414, (value > low) & (value < high))


def test_contours_table_has_closed_polygons(saved_paper):
    rows = table(saved_paper / "contours.csv")
    lines = {}
    for row in rows:
        key = (row["detector"], row["coupling_x"], row["coupling_y"], int(row["polygon"]))
        lines.setdefault(key, []).append((int(row["point"]), float(row["x"]), float(row["y"])))
    assert len({key[:3] for key in lines}) == 10
    for key, line in lines.items():
        assert key[3] >= 1
        assert [point for point, _, _ in line] == list(range(1, len(line) + 1))
        assert line[0][1:] == pytest.approx(line[-1][1:], rel=1e-9)


def test_cross_sections_table_has_the_standard_model(saved_paper):
    rows = [r for r in table(saved_paper / "cross_sections.csv") if (r["target"], r["channel"]) == ("Ge", "cevns")]
    assert {float(row["value"]) for row in rows} == {0.0, -1e-8, 1e-8, 2e-8, 4e-8}
    for row in rows[::97]:
        recoil, charge = float(row["recoil_kev"]), float(row["value"])
        expected = float(cl.cross_sections.cevns(recoil, 40.0, "Ge", couplings={"q_ee": charge}))
        assert float(row["dsigma_dt_cm2_per_kev"]) == near(expected, 1e-12)


def test_disjoint_pieces_are_numbered_rows(tmp_path):
    keys = changed({"detectors": [{"preset": "ess-ge"}], "intervals": {"confidence_level": 0.9982}})
    result = cl.study_from_dict(keys).run()
    rows = [r for r in table(result.save(tmp_path) / "limits.csv") if r["coupling"] == "q_ee"]
    assert [row["segment"] for row in rows] == ["1", "2"]
    assert tuple((float(r["lower"]), float(r["upper"])) for r in rows) == result.limit("ess-ge", "q_ee").segments


def test_an_unconstrained_coupling_has_its_bounds(tmp_path):
    keys = changed({"detectors.0.mass_kg": 1e-7, "uncertainties.signal": 1.0})
    result = cl.study_from_dict(keys).run()
    bounds = COUPLINGS["q_ee"].bounds
    assert result.limit("my-ge", "q_ee").segments == (bounds,)
    assert "unconstrained in [-1.00, 1.00] 1e-4 e" in str(result)
    folder = result.save(tmp_path)
    row = table(folder / "limits.csv")[0]
    assert (float(row["lower"]), float(row["upper"])) == bounds
    assert (row["lower_kind"], row["upper_kind"], row["best_fit"]) == ("unconstrained", "unconstrained", "0.0")
    assert cl.load_result(folder).limits == result.limits
    json.loads((folder / "result.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_a_result_is_read_back_whole(paper, saved_paper):
    again = cl.load_result(saved_paper)
    assert again.limits == paper.limits
    assert again.study == json.loads(json.dumps(paper.study))
    assert again.provenance == paper.provenance
    assert (again.couplings, again.detectors) == (paper.couplings, paper.detectors)
    for kind, columns in (
        ("spectra", ("bin_edges_kev", "cevns", "electron", "background")),
        ("profiles", ("value", "delta_chi2")),
        ("cross_sections", ("recoil_kev", "dsigma_dt_cm2_per_kev")),
    ):
        pairs = list(zip(getattr(again, kind), getattr(paper, kind), strict=True))
        assert pairs
        assert all(np.array_equal(getattr(a, name), getattr(b, name)) for a, b in pairs for name in columns)
    for a, b in zip(again.contours, paper.contours, strict=True):
        assert all(np.array_equal(p, q) for p, q in zip(a.polygons, b.polygons, strict=True))


def test_provenance(saved_paper):
    record = json.loads((saved_paper / "provenance.json").read_text(encoding="utf-8"))
    assert record["cevnslab"] == cl.__version__
    assert record["constants"]["sin2_theta_w"] == 0.23857
    assert record["study_sha256"] == cl.load_study("parada2024").sha256
    assert {"numpy", "scipy"} <= set(record["libraries"])
    assert cl.study_from_dict(record["study"]).sha256 == record["study_sha256"]
    assert record["date"].startswith("20")


def test_two_runs_write_the_same_bytes(tmp_path):
    keys = changed(
        {
            "contours": [["q_ee", "q_emu"]],
            "profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8}],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}],
        }
    )
    folders = [cl.study_from_dict(keys).run().save(tmp_path / name) for name in ("one", "two")]
    names = sorted(str(p.relative_to(folders[0])) for p in folders[0].rglob("*") if p.is_file())
    assert len(names) >= 9
    for name in names:
        one, two = ((folder / name).read_bytes() for folder in folders)
        if name == "provenance.json":  # the only file that knows the date
            one, two = (json.loads(text) for text in (one, two))
            for content in (one, two):
                content.pop("date")
        assert one == two, name


def test_a_second_run_replaces_the_first(tmp_path):
    with_profile = changed({"profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8}]})
    folder = cl.study_from_dict(with_profile).run().save(tmp_path)
    assert (folder / "figures" / "profiles.pdf").exists()
    cl.study_from_dict(STUDY).run().save(tmp_path)
    assert not (folder / "figures" / "profiles.pdf").exists()
    assert not (folder / "profiles.csv").exists()


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_failing_figure_costs_no_number(tmp_path, monkeypatch):
    """Tables come first, those of an earlier run are gone with its figures, and the figures are drawn later."""
    first = cl.study_from_dict(STUDY).run().save(tmp_path)
    other = cl.study_from_dict(changed({"exposure_years": 1})).run()

    def broken(*_):
        raise RuntimeError("no ink")

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "sheet", broken)
        with pytest.raises(FigureError, match=r"tables are in .*figure \S+ cannot be drawn: no ink") as raised:
            other.save(tmp_path)
    assert raised.value.exit_status == 1
    whole = files_of(other.save(tmp_path / "whole"))
    assert list((first / "figures").iterdir()) == []
    tables = {name: text for name, text in files_of(first).items() if name != "provenance.json"}
    assert tables == {name: whole[name] for name in tables}
    assert "limits.csv" in tables
    assert [path for path in first.iterdir() if path.name.startswith(".")] == []
    assert cl.load_result(first).limits == other.limits
    redraw(first)
    assert files_of(first).keys() == whole.keys()


def test_results_print_themselves(paper):
    text = str(paper)
    assert "ess-ge" in text
    assert "[-3.85, 4.87] 1e-9 e" in text
    with pytest.raises(KeyError, match="q_xx"):
        paper.limit("ess-ge", "q_xx")


def test_nothing_is_written_before_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cl.study_from_dict(STUDY).run()
    assert list(tmp_path.iterdir()) == []


def test_a_study_that_cannot_run_is_refused_in_python_too():
    with pytest.raises(CevnslabError, match=r"detectors\.my-ge\.target"):
        cl.study_from_dict(changed({"detectors.0.target": "Qq"}))
    with pytest.raises(CevnslabError, match="background"):
        cl.study_from_dict(changed({"detectors.0.background_ckkd": REMOVED}))
