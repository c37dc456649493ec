"""Studies on data of experiments: their keys, what is refused, and synthetic data through the real command."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from support import changed
from synthetic import recognised, write_release

import cevnslab as cl
from cevnslab.datasets.coherent_csi_2021 import model as csi_2021
from cevnslab.datasets.registry import DatasetFolder, dataset
from cevnslab.errors import CevnslabError, MissingExtraError, StudyError
from cevnslab.reports.describe import describe
from cevnslab.studies import presets
from cevnslab.studies.references import reference_contour, stored

CSI, LAR, ELECTRON = "coherent-csi-2021", "coherent-lar-2020", "with-electrons"
KEYS = {
    "name": "mine",
    "couplings": ["q_ee", "q_emu"],
    "detectors": [
        {"preset": CSI},
        {"preset": LAR},
        {"preset": CSI, "name": ELECTRON, "label": "CsI with electrons", "channels": ["cevns", "electron"]},
    ],
    "combinations": [{"name": "both", "detectors": [CSI, LAR], "signal": "independent"}],
    "profiles": [{"coupling": "q_ee", "from": -1e-7, "to": 1e-7, "points": 21, "detectors": [CSI]}],
    "figures": [
        {"name": "csi", "panels": [{"data": CSI, "axis": "energy_pe"}, {"data": CSI, "axis": "time_us"}]},
        {"name": "f90", "panels": [{"data": LAR, "axis": "f90"}]},
        {"name": "curve", "panels": [{"profile": ["q_ee"]}]},
    ],
}
ONE = {"name": "mine", "couplings": ["q_ee"], "detectors": [{"preset": CSI}]}


def of(base=KEYS, **keys):
    """The keys with some replaced; dots lead into mappings and lists."""
    return changed({path.replace("__", "."): value for path, value in keys.items()}, base)


# Keys.


def test_what_an_entry_means_by_default():
    csi, lar, electron = cl.study_from_dict(KEYS).setups
    assert (csi.setup.observed, csi.setup.nuisances, csi.channels, csi.label) == (
        *("data", "normalisation", ("cevns",)),
        presets.load("detectors", CSI)["label"],
    )
    assert (lar.channels, electron.channels, electron.label) == (
        ("cevns",),
        ("cevns", "electron"),
        "CsI with electrons",
    )
    assert {setup.statistic for setup in (csi, lar, electron)} == {"poisson"}
    assert (csi.dataset, electron.dataset, electron.name) == (CSI, CSI, ELECTRON)


def test_keys_reach_the_analysis():
    entry = {"preset": CSI, "observed": "asimov", "nuisances": "shape", "mass_kg": 10, "distance_m": 20}
    entry |= {"pulse": {"centre_us": 0.5, "width_us": 0.1}, "neutron_radius_fm": 4.9}
    (varied_study,) = cl.study_from_dict(of(ONE, detectors=[entry], form_factor="klein-nystrand")).setups
    setup = varied_study.setup
    assert (setup.observed, setup.nuisances, setup.mass_kg, setup.distance_m) == ("asimov", "shape", 10, 20)
    assert (setup.pulse.centre_us, setup.pulse.width_us, setup.form_factor) == (0.5, 0.1, "klein-nystrand")
    assert {c.nucleus.neutron_radius_fm for c in setup.target.constituents} == {4.9}
    nominal = cl.study_from_dict(ONE).setups[0].setup
    assert setup.luminosity_per_cm2 == pytest.approx(
        nominal.luminosity_per_cm2 * 10 / 14.6 * (19.3 / 20) ** 2, rel=1e-12
    )


def test_the_hash_knows_the_analysis_and_not_where_the_data_lie(tmp_path):
    first = cl.study_from_dict(KEYS).sha256
    assert cl.study_from_dict(KEYS, data=tmp_path).sha256 == first
    assert cl.study_from_dict(of(detectors__0__label="another")).sha256 == first
    changes = {"observed": "asimov", "nuisances": "shape", "off_counts": "exact", "mass_kg": 14.5}
    for key, value in changes.items():
        assert cl.study_from_dict(of(**{f"detectors__0__{key}": value})).sha256 != first


REFUSED = {
    "observed": (of(ONE, detectors__0__observed="fake"), [f"detectors.{CSI}.observed", "data or asimov", "'fake'"]),
    "nuisances": (of(ONE, detectors__0__nuisances="all"), [f"detectors.{CSI}.nuisances", "normalisation or shape"]),
    "off_counts": (of(ONE, detectors__0__off_counts="free"), [f"detectors.{CSI}.off_counts", "exact or fitted"]),
    "off_counts without any": (
        of(ONE, detectors=[{"preset": LAR, "off_counts": "fitted"}]),
        [f"detectors.{LAR}.off_counts", "only exact", "'fitted'"],
    ),
    "unknown key": (of(ONE, detectors__0__observedd="data"), [f"detectors.{CSI}.observedd", "'observed'"]),
    "key of a projected detector": (
        of(ONE, detectors__0__protons_on_targt=1),
        ["protons_on_targt", "'protons_on_target'"],
    ),
    "unknown key of the pulse": (
        of(ONE, detectors__0__pulse={"centre_us": 0.4, "width_us": 0.1, "widht_us": 0.1}),
        [f"detectors.{CSI}.pulse.widht_us", "'width_us'"],
    ),
    "no such experiment": (
        of(ONE, detectors__0__experiment="coherent-csi-2022"),
        ["dataset: ", f"did you mean '{CSI}'"],
    ),
    "no such preset": (of(ONE, detectors__0__preset="coherent-csi-2020"), ["detectors.1.preset", CSI]),
    "no protons": (of(ONE, detectors__0__protons_on_target=0), [f"detectors.{CSI}.protons_on_target", "above 0"]),
    "same name twice": (of(ONE, detectors=[{"preset": CSI}, {"preset": CSI}]), ["detectors", CSI, "twice"]),
    "spectrum of data": (
        of(figures=[{"name": "x", "panels": [{"spectrum": CSI}]}]),
        ["figures.x.panels.1.spectrum", "projected detector"],
    ),
    "data of nothing": (
        of(figures=[{"name": "x", "panels": [{"data": "coherent-csi", "axis": "f90"}]}]),
        ["figures.x.panels.1.data", "'coherent-csi'", CSI],
    ),
    "data without an axis": (of(figures=[{"name": "x", "panels": [{"data": CSI}]}]), ["panels.1.axis", "energy_pe"]),
    "an axis without data": (
        of(figures=[{"name": "x", "panels": [{"profile": ["q_ee"], "axis": "f90"}]}]),
        ["figures.x.panels.1.axis", "data"],
    ),
    "data and profile": (
        of(figures=[{"name": "x", "panels": [{"data": CSI, "axis": "time_us", "profile": ["q_ee"]}]}]),
        ["figures.x.panels.1", "exactly one", "profile", "data"],
    ),
    "an axis that no experiment has": (
        of(figures=[{"name": "x", "panels": [{"data": CSI, "axis": "energy"}]}]),
        ["figures.x.panels.1.axis", "energy_pe"],
    ),
    "the other experiment's axis": (
        of(figures=[{"name": "x", "panels": [{"data": CSI, "axis": "f90"}]}]),
        ["figures.x.panels.1.axis", "time_us"],
    ),
    "no such reference": (
        of(
            contours=[["q_ee", "q_mumu"]],
            couplings=["q_ee", "q_mumu"],
            figures=[{"name": "x", "panels": [{"contour": ["q_ee", "q_mumu"], "reference": "coherent-csi-lr"}]}],
        ),
        ["figures.x.panels.1.reference", "'coherent-csi-lr'", "coherent-csi-lar"],
    ),
    "reference without that pair": (
        of(
            contours=[["q_ee", "q_emu"]],
            figures=[{"name": "x", "panels": [{"contour": ["q_ee", "q_emu"], "reference": "coherent-csi-lar"}]}],
        ),
        ["figures.x.panels.1.reference", "no contour of q_ee and q_emu"],
    ),
    "reference beside a profile": (
        of(figures=[{"name": "x", "panels": [{"profile": ["q_ee"], "reference": "coherent-csi-lar"}]}]),
        ["figures.x.panels.1.reference", "not a key of a profile panel", "goes with contour"],
    ),
    "scan of a word": (
        of(scans=[{"name": "s", "key": f"detectors.{CSI}.observed", "values": [1]}]),
        ["scans"],
    ),
}


@pytest.mark.parametrize(("keys", "words"), REFUSED.values(), ids=REFUSED)
def test_refused_before_any_data_are_looked_for(keys, words, command, write_study, tmp_path, nowhere):
    ran = command("run", write_study(keys), "-o", tmp_path / "out")
    assert_refused(ran, tmp_path / "out", *words)


def assert_refused(ran, output, *words, status=2):
    """One message, no traceback, nothing written."""
    assert ran.status == status, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert [line.startswith("cevnslab: ") for line in ran.err.splitlines()] == [True]
    for word in words:
        assert str(word) in ran.err, f"'{word}' is not in: {ran.err}"
    assert not output.exists(), f"written: {sorted(output.rglob('*'))}"


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data anywhere, and none to be had: looking for them is a fault of the test."""
    monkeypatch.delenv("CEVNSLAB_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)


@pytest.mark.parametrize("key", ["source", "exposure_years", "uncertainties"])
def test_projected_detectors_beside_data_still_need_their_keys(key):
    whole = {"source": "ess", "exposure_years": 3, "uncertainties": {"signal": 0.1, "background": 0.01}}
    keys = {**ONE, **whole, "detectors": [{"preset": CSI}, {"preset": "ess-ge"}]}
    assert len(cl.study_from_dict(keys).setups) == 2
    del keys[key]
    with pytest.raises(StudyError, match=rf"{key}: this key is required"):
        cl.study_from_dict(keys)


@pytest.mark.parametrize("name", [CSI, LAR])
def test_no_experiment_is_a_projected_detector(name):
    with pytest.raises(CevnslabError, match=rf"{name}: .*not a projected detector: use it in a study"):
        cl.load_detector(name)


def test_check_says_that_off_counts_are_fitted(nowhere):
    study = cl.study_from_dict(ONE)
    assert "normalisation nuisances, off-counts fitted" in describe(study)
    assert "off-counts" not in describe(cl.study_from_dict(of(ONE, detectors__0__off_counts="exact")))


@pytest.mark.parametrize("name", ["coherent", "coherent-shape"])
def test_check_needs_no_data(name, command, nowhere, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = command("check", name)
    assert (ran.status, ran.err) == (0, "")
    nuisances = "shape" if name.endswith("shape") else "normalisation"
    for word in (
        CSI,
        LAR,
        "coherent-csi-lar",
        "14.6 kg",
        "24.4 kg",
        f"{nuisances} nuisances",
        "poisson",
        "Helm".lower(),
    ):
        assert word in ran.out
    assert "R_n 5.09 fm" in ran.out
    assert "searched for" in ran.out
    # A folder that is named is read.
    refused = command("check", name, "--data", tmp_path / "copy")
    assert (refused.status, str(tmp_path / "copy") in refused.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


# Data that are not there.


def test_without_data_and_without_a_downloader(command, write_study, tmp_path, nowhere):
    ran = command("run", write_study(ONE), "-o", tmp_path / "out")
    assert_refused(ran, tmp_path / "out", f"detectors.{CSI}", "--data", "CEVNSLAB_DATA", "cevnslab[data]")
    with pytest.raises(MissingExtraError):
        cl.study_from_dict(ONE).run()


def test_without_data_and_without_a_network(command, write_study, tmp_path, release, monkeypatch):
    import pooch

    monkeypatch.delenv("CEVNSLAB_DATA", raising=False)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    recognise(monkeypatch, release)
    ran = command("run", write_study(ONE), "-o", tmp_path / "out")
    assert_refused(ran, tmp_path / "out", f"detectors.{CSI}", "cannot download", "--data", status=1)


@pytest.mark.parametrize("by", ["--data", "CEVNSLAB_DATA"])
def test_a_folder_without_the_data(by, command, write_study, tmp_path, monkeypatch):
    monkeypatch.setenv("CEVNSLAB_DATA", str(tmp_path / "empty"))
    options = ["--data", tmp_path / "empty"] if by == "--data" else []
    ran = command("run", write_study(ONE), "-o", tmp_path / "out", *options)
    assert_refused(ran, tmp_path / "out", tmp_path / "empty", by, "cannot be found")


def test_argon_sees_no_electrons(command, write_study, tmp_path, release, monkeypatch):
    recognise(monkeypatch, release)
    keys = of(ONE, detectors=[{"preset": LAR, "channels": ["cevns", "electron"]}])
    ran = command("run", write_study(keys), "-o", tmp_path / "out", "--data", release[0])
    assert_refused(ran, tmp_path / "out", f"detectors.{LAR}", "channels", "electron", "F90", "[cevns]")


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    """The folder of a synthetic release, and what recognises its files, by data set; read only.

    The invented coincident events follow no model: here they are drawn from the Standard Model's expectation.
    """
    folder = tmp_path_factory.mktemp("release") / "copy"
    releases = write_release(folder)
    with pytest.MonkeyPatch.context() as patch:
        recognise(patch, (folder, releases))
        measured = cl.study_from_dict(of(ONE, detectors__0__observed="asimov"), data=folder).setups[0].measurement
    counts = np.random.default_rng(3).poisson(measured.observed).reshape(9, 11)
    energy, time = ((edges[1:] + edges[:-1]) / 2 for edges in (csi_2021.PE_EDGES, csi_2021.TIME_EDGES_US))
    events = [
        f"{e:.6g} {t:.6g}"
        for e, row in zip(energy, counts, strict=True)
        for t, number in zip(time, row, strict=True)
        for _ in range(number)
    ]
    text = "\n".join(events) + "\n"
    (folder / CSI / "dataBeamOnC.txt").write_text(text, encoding="utf-8")
    csi = releases[CSI]
    files = {**csi.files, "dataBeamOnC.txt": recognised(csi.files["dataBeamOnC.txt"], text)}
    return folder, {**releases, CSI: csi.model_copy(update={"files": files})}


def recognise(patch, release):
    for name, published in release[1].items():
        patch.setitem(vars(dataset(name)), "release", published)


def cut(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: len(text) // 2 - 3], encoding="utf-8")


def with_line(text):
    def change(path):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        lines[5] = text + "\n"
        path.write_text("".join(lines), encoding="utf-8")

    return change


def changed_digit(path):
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("10.8", "10.9"), encoding="utf-8")


FAULTS = {
    "missing": (f"{CSI}/brnPE.txt", Path.unlink, ["cannot be found"]),
    "truncated": (f"{CSI}/ninTrec.txt", cut, ["not the published file"]),
    "truncated events": (f"{CSI}/dataBeamOnC.txt", cut, []),
    "other checksum": (f"{CSI}/effCoefficients.txt", changed_digit, ["sha256", "expected"]),
    "not a number": (f"{CSI}/dataBeamOnAC.txt", with_line("12.5 soon"), ["line 6", "numbers"]),
    "another event": (f"{CSI}/dataBeamOnC.txt", with_line("12.5 1.25"), ["events below 60 and 6", "not those"]),
    "binary": (f"{CSI}/dataBeamOnC.txt", lambda path: path.write_bytes(b"\xff\xfe"), ["UTF-8"]),
    "argon missing": (f"{LAR}/datanobkgsub.txt", Path.unlink, ["cannot be found"]),
    "argon truncated": (f"{LAR}/cevnspdf.txt", cut, ["not the published file"]),
}


@pytest.mark.parametrize(("file", "damage", "words"), FAULTS.values(), ids=FAULTS)
def test_bad_data_name_the_file(file, damage, words, command, write_study, tmp_path, monkeypatch):
    folder = tmp_path / "copy"
    recognise(monkeypatch, (folder, write_release(folder)))
    damage(folder / file)
    ran = command("run", write_study(KEYS), "-o", tmp_path / "out", "--data", folder)
    assert_refused(ran, tmp_path / "out", folder, file.split("/")[1], "detectors.coherent-", *words)


# Synthetic data through the whole command.


@pytest.fixture(scope="module")
def ran(release, tmp_path_factory):
    """The folder of a study on synthetic data, and its result."""
    with pytest.MonkeyPatch.context() as patch:
        recognise(patch, release)
        result = cl.study_from_dict(KEYS, data=release[0]).run()
        return result.save(tmp_path_factory.mktemp("out")), result


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_command_writes_everything(command, write_study, release, monkeypatch, tmp_path):
    recognise(monkeypatch, release)
    keys = of(ONE, profiles=KEYS["profiles"], figures=KEYS["figures"][:1])
    ran = cl.study_from_dict(keys, data=release[0]).run().save(tmp_path / "by-python")
    process = command("run", write_study(keys), "-o", tmp_path / "out", "--data", release[0])
    assert (process.status, process.err) == (0, "")
    assert "Standard Model fit" in process.out
    folder = tmp_path / "out" / "mine"
    assert {path.relative_to(folder) for path in folder.rglob("*")} == {
        path.relative_to(ran) for path in ran.rglob("*")
    }
    for name in ("limits.csv", "fit.csv", "data_spectra.csv", "profiles.csv"):
        assert (folder / name).read_bytes() == (ran / name).read_bytes()


def test_the_environment_variable_gives_the_same(release, monkeypatch, ran):
    recognise(monkeypatch, release)
    monkeypatch.setenv("CEVNSLAB_DATA", str(release[0]))
    keys = of(ONE, couplings=KEYS["couplings"])
    limit = cl.study_from_dict(keys).run().limit(CSI, "q_ee")
    assert limit.segments == pytest.approx(np.array(ran[1].limit(CSI, "q_ee").segments), rel=1e-9)


def test_fit_table(ran):
    folder, result = ran
    table = rows(folder / "fit.csv")
    assert list(table[0]) == ["detector", "parameter", "value", "error"]
    assert {row["detector"] for row in table} == {CSI, LAR, ELECTRON, "both"}
    values = {(row["detector"], row["parameter"]): row for row in table}
    for detector, backgrounds in ((CSI, ("brn", "nin")), (LAR, ("brn", "delayed_brn")), (ELECTRON, ("brn", "nin"))):
        for name in ("cevns_counts", "cevns_predicted", *(f"{b}_counts" for b in backgrounds), "steady_state_counts"):
            assert float(values[detector, name]["value"]) > 0
            assert float(values[detector, name]["error"]) > 0
        assert values[detector, "chi2"]["error"] == values[detector, "bins"]["error"] == ""
        assert 0 <= float(values[detector, "p_value"]["value"]) <= 1
        assert float(values[detector, "significance_sigma"]["value"]) >= 0
    assert (float(values[CSI, "bins"]["value"]), float(values[LAR, "bins"]["value"])) == (99, 960)
    assert [row.value for row in result.fit] == [float(row["value"]) for row in table]


def test_data_spectra_table(ran):
    folder, result = ran
    histogram = rows(folder / "data_spectra.csv")
    columns = "detector,axis,bin_low,bin_high,observed,cevns,electron,brn,nin,delayed_brn,steady_state"
    assert list(histogram[0]) == columns.split(",")
    axes = {CSI: {"energy_pe": 9, "time_us": 11}, LAR: {"energy_kevee": 12, "f90": 8, "time_us": 10}}
    axes[ELECTRON] = axes[CSI]
    fitted = {(row.detector, row.parameter): row.value for row in result.fit}
    for detector, bins in axes.items():
        of_detector = [row for row in histogram if row["detector"] == detector]
        assert list(dict.fromkeys(row["axis"] for row in of_detector)) == list(bins)
        for axis, number in bins.items():
            rows_there = [row for row in of_detector if row["axis"] == axis]
            assert len(rows_there) == number
            assert [row["bin_low"] for row in rows_there[1:]] == [row["bin_high"] for row in rows_there[:-1]]
            observed = [float(row["observed"]) for row in rows_there]
            assert all(count == round(count) for count in observed)
            assert sum(observed) == sum(float(row["observed"]) for row in of_detector) / len(bins)
            for name in columns.split(",")[5:]:
                counts = np.array([float(row[name]) for row in rows_there])
                assert np.all(counts >= 0)
                # On every axis the projection holds the whole of the fitted component.
                assert counts.sum() == pytest.approx(fitted.get((detector, f"{name}_counts"), 0.0), rel=1e-9)


def test_the_result_survives_its_files(ran):
    from cevnslab.reports.files import load_result

    folder, result = ran
    again = load_result(folder)
    assert again.fit == result.fit
    for one, other in zip(result.data_spectra, again.data_spectra, strict=True):
        assert (one.detector, one.axis) == (other.detector, other.axis)
        assert np.array_equal(one.observed, other.observed)
        assert all(np.array_equal(one.components[name], other.components[name]) for name in one.components)
    assert all(spectrum.measured for spectrum in again.data_spectra)


def test_figures_are_redrawn_without_data(command, ran, nowhere, monkeypatch):
    folder, _ = ran
    drawn = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    pulls = [f"pulls-{name}" for name in (CSI, LAR, ELECTRON, "both")]
    assert set(drawn) == {f"{name}.{ending}" for name in ("csi", "f90", "curve", *pulls) for ending in ("pdf", "png")}
    monkeypatch.setattr(DatasetFolder, "measurement", None)
    for path in (folder / "figures").iterdir():
        path.unlink()
    outcome = command("figures", folder)
    assert (outcome.status, outcome.err) == (0, "")
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == drawn


def test_data_panels_show_counts_and_fit(ran):
    from cevnslab.figures import catalogue

    _, result = ran
    figure = catalogue.draw(result, {"name": "x", "panels": [{"data": LAR, "axis": "f90"}]})
    (axes,) = figure.axes
    spectra = next(s for s in result.data_spectra if (s.detector, s.axis) == (LAR, "f90"))
    width = np.diff(spectra.edges)
    texts = {text.get_text() for text in axes.get_legend().get_texts()}
    assert texts == {"data", "CE\u03bdNS", "steady state", "beam neutrons", "delayed beam neutrons"}
    top = axes.patches[-1].get_data()
    assert top.values == pytest.approx(sum(spectra.components.values()) / width)
    points = np.sort(axes.containers[-1].lines[0].get_ydata())
    assert points == pytest.approx(np.sort(spectra.observed / width))


def test_a_study_of_data_without_a_list_of_figures_gets_them(release, monkeypatch):
    from cevnslab.figures import catalogue

    recognise(monkeypatch, release)
    result = cl.study_from_dict(ONE, data=release[0]).run()
    specs = {spec.name: spec for spec in catalogue.figure_specs(result)}
    assert set(specs) == {"data", "limits", f"pulls-{CSI}"}
    assert [panel.axis for panel in specs["data"].panels] == ["energy_pe", "time_us"]


def test_provenance_tells_the_study_and_no_place(ran, release):
    folder, result = ran
    record = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    assert record["study_sha256"] == cl.study_from_dict(KEYS).sha256
    entries = {entry["name"]: entry for entry in record["study"]["detectors"]}
    assert (entries[CSI]["dataset"], entries[CSI]["protons_on_target"]) == (CSI, 3.198e23)
    assert (entries[LAR]["pulse"], entries[LAR]["mass_kg"]) == ({"centre_us": 0.44, "width_us": 0.15}, 24.4)
    assert {"charged_pion_lifetime_us", "muon_lifetime_us"} <= set(record["constants"])
    assert cl.study_from_dict(record["study"]).sha256 == record["study_sha256"]
    for name in ("provenance.json", "result.json"):
        assert str(release[0]) not in (folder / name).read_text(encoding="utf-8")
    assert result.provenance["study"]["detectors"][0]["observed"] == "data"


def test_limits_name_the_likelihood(ran):
    _, result = ran
    assert {limit.statistic for limit in result.limits} == {"poisson"}
    channels = {name: result.detectors[name].channels for name in result.detectors}
    assert channels == {CSI: "cevns", LAR: "cevns", ELECTRON: "cevns+electron", "both": "cevns"}
    for limit in result.limits:
        assert limit.segments
        assert all(low < high for low, high in limit.segments)


def test_the_combination_is_the_sum_of_both(release, monkeypatch):
    from cevnslab.studies.analysis import analyses

    recognise(monkeypatch, release)
    by_name = analyses(cl.study_from_dict(KEYS, data=release[0]))
    at = np.array([-5e-8, 0.0, 1e-8, 2e-7])
    one, other, both = (by_name[name].chi2("q_ee")(at) for name in (CSI, LAR, "both"))
    assert both == pytest.approx(one + other, rel=1e-9)


# The expectation in the place of the counts.


@pytest.fixture(scope="module")
def expected(release):
    entries = [{**entry, "observed": "asimov"} for entry in KEYS["detectors"]]
    entries.append({"preset": CSI, "name": "shaped", "observed": "asimov", "nuisances": "shape"})
    keys = of(detectors=entries, figures=[{"name": "x", "panels": [{"data": CSI, "axis": "time_us"}]}])
    with pytest.MonkeyPatch.context() as patch:
        recognise(patch, release)
        return cl.study_from_dict(keys, data=release[0]).run()


def test_the_expectation_is_fitted_by_itself(expected):
    fitted = {(row.detector, row.parameter): row.value for row in expected.fit}
    for name in (CSI, LAR, ELECTRON, "shaped"):
        assert fitted[name, "chi2"] == pytest.approx(0, abs=1e-6)
        assert fitted[name, "cevns_counts"] == pytest.approx(fitted[name, "cevns_predicted"], rel=1e-3)
        assert fitted[name, "p_value"] == 1
    assert fitted["shaped", "time_offset_us"] == pytest.approx(0, abs=1e-3)


def test_the_expectations_limits_lie_around_the_standard_model(expected):
    for limit in expected.limits:
        assert any(low < 0 < high for low, high in limit.segments)
        ends = np.array(limit.segments).ravel()
        if limit.coupling == "q_emu":  # only its square enters
            assert ends == pytest.approx(-ends[::-1], rel=1e-9)
            assert limit.best_fit == pytest.approx(0, abs=0.02 * ends.max())
        else:  # the Standard Model is a minimum; of two equal ones either may be named
            assert any(low <= limit.best_fit <= high for low, high in limit.segments)
    for name in (CSI, LAR, "shaped", "both"):
        assert abs(expected.limit(name, "q_ee").best_fit) < 1e-9
    for profile in expected.profiles:
        middle = len(profile.value) // 2
        assert profile.delta_chi2[middle] == pytest.approx(0, abs=1e-6)
        assert np.all(profile.delta_chi2 >= -1e-6)


def test_the_figure_says_that_it_is_no_data(expected):
    from cevnslab.figures import catalogue

    assert not any(spectrum.measured for spectrum in expected.data_spectra)
    (axes,) = catalogue.draw(expected, {"name": "x", "panels": [{"data": CSI, "axis": "time_us"}]}).axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "expected" in texts
    assert "data" not in texts


def test_shape_nuisances_loosen_the_limits(expected):
    """More freedom, no tighter limit (the normalisation's own width is smaller there, which is why some slack)."""
    (reference_case,), (shaped,) = (expected.limit(name, "q_emu").segments for name in (CSI, "shaped"))
    assert shaped[1] > 0.9 * reference_case[1]


# Stored regions.


def test_a_stored_region_beside_a_study_of_ones_own():
    pair = ["q_ee", "q_mumu"]
    keys = {
        "name": "mine",
        "source": "ess",
        "exposure_years": 3,
        "uncertainties": {"signal": 0.1, "background": 0.01},
        "couplings": pair,
        "detectors": [{"preset": "ess-ge"}],
        "contours": [pair],
        "figures": [{"name": "x", "panels": [{"contour": pair, "reference": "coherent-csi-2021"}]}],
    }
    result = cl.study_from_dict(keys).run()
    (match,) = result.references
    assert (match.detector, match.coupling_x, match.coupling_y) == ("coherent-csi-2021", *pair)
    assert result.reference_labels == {"coherent-csi-2021": stored()["labels"]["coherent-csi-2021"]}
    assert len(match.polygons) == len(reference_contour("coherent-csi-2021", pair).polygons)
