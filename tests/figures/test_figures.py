"""Figures: what is drawn (labels, lines, styles, legends), not its pixels."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from support import PATIENCE_S, STUDY, changed, near

import cevnslab as cl
from cevnslab.detection import response as response_module
from cevnslab.figures import catalogue, labels, style
from cevnslab.figures.panels import regions
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.studies import setups as setups_module
from cevnslab.studies.references import reference_contour, stored


@pytest.fixture(scope="module")
def figures(paper):
    return {spec.name: catalogue.draw(paper, spec) for spec in catalogue.figure_specs(paper)}


def curves(axes):
    """The labelled lines of an axes, by legend text."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_the_paper_has_six(figures):
    assert list(figures) == [f"figure-{n}" for n in range(1, 7)]
    assert [len(figure.axes) for figure in figures.values()] == [2, 2, 3, 2, 4, 2]


@pytest.mark.parametrize("name", [f"figure-{n}" for n in range(1, 7)])
def test_every_panel_is_labelled_with_units(name, figures):
    for axes in figures[name].axes:
        assert axes.get_xlabel()
        assert axes.get_ylabel()
        assert "(" in axes.get_xlabel()  # a unit


def test_a_legend_stands_once_for_panels_that_share_it(figures):
    """A panel has a legend unless another panel of the figure has the same, or its title names the one region."""
    shared = {"figure-1": [True, False], "figure-2": [True, False], "figure-3": [True, False, False]}
    shared |= {"figure-4": [True, False], "figure-5": [True, True, False, False], "figure-6": [True, True]}
    for name, expected in shared.items():
        assert [axes.get_legend() is not None for axes in figures[name].axes] == expected
    assert "CsI" in figures["figure-6"].axes[1].get_title()


def test_figure_1_has_the_line_styles_of_the_paper(figures):
    left, right = figures["figure-1"].axes
    for axes, symbol in ((left, "q_{ee}"), (right, r"q_{\mu\mu}")):
        assert symbol in axes.get_xlabel()
        assert "10\u207b\u2079 e" in axes.get_xlabel()
        assert axes.get_ylabel() == "\u0394\u03c7\u00b2"
        drawn = curves(axes)
        assert {name: line.get_linestyle() for name, line in drawn.items()} == {"CsI": "-", "Xe": "--", "Ge": "-."}
        assert len({line.get_color() for line in drawn.values()}) == 3
        (level,) = [line for line in axes.lines if line.get_label() not in drawn]
        assert level.get_ydata()[0] == near(2.705543454095414, 1e-12)
        assert any("90%" in text.get_text() for text in axes.texts)
    assert legend(left) == ["CsI", "Xe", "Ge"]
    assert left.get_xlim() == (near(-10, 1e-9), near(30, 1e-9))


def test_figure_1_shows_the_second_minimum(figures, paper):
    drawn = curves(figures["figure-1"].axes[0])["Ge"]
    x, y = np.asarray(drawn.get_xdata()), np.asarray(drawn.get_ydata())
    assert x[np.argmin(np.where(x > 18, y, np.inf))] == pytest.approx(20.6, abs=0.15)
    assert figures["figure-1"].axes[0].get_ylim()[1] > 9.92
    low, high = paper.limit("ess-ge", "q_ee").segments[0]
    assert np.array_equal(y < 2.705543454095414, (x > low * 1e9) & (x < high * 1e9))


def test_figure_2_has_the_standard_model_and_four_charges(figures):
    for axes, name in zip(figures["figure-2"].axes, ("Ge", "Cs"), strict=True):
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
        assert name in axes.get_title()
        assert "40 MeV" in axes.get_title()
        assert axes.get_xlabel() == "T (keV)"
        assert "cm\u00b2/keV" in axes.get_ylabel()
        assert len({(line.get_color(), str(line.get_linestyle())) for line in curves(axes).values()}) == 5


def test_figure_2_names_the_charges(figures):
    texts = legend(figures["figure-2"].axes[0])
    assert texts[0] == "SM"
    assert len(texts) == 5


def test_figure_3_has_the_transition_charges(figures):
    symbols = [r"q_{e\mu}", r"q_{e\tau}", r"q_{\mu\tau}"]
    for axes, symbol in zip(figures["figure-3"].axes, symbols, strict=True):
        assert symbol in axes.get_xlabel()
        for line in curves(axes).values():
            assert np.asarray(line.get_ydata()) == pytest.approx(np.asarray(line.get_ydata())[::-1], rel=1e-6, abs=1e-9)


def test_figure_4_has_a_contour_per_detector_and_the_standard_model(figures, paper):
    for axes in figures["figure-4"].axes:
        assert axes.get_title() == "90% CL"
        assert any(line.get_marker() == "+" for line in axes.lines)
        assert len(axes.patches) == 3
    assert legend(figures["figure-4"].axes[0]) == ["CsI", "Xe", "Ge", "COHERENT CsI + LAr"]
    (contour,) = [c for c in paper.contours if (c.detector, c.coupling_x) == ("ess-ge", "q_ee")]
    line = curves(figures["figure-4"].axes[0])["Ge"]
    assert np.asarray(line.get_xdata()) == pytest.approx(contour.polygons[0][:, 0] * 1e9)


def test_figure_5_has_both_channels_at_both_energies(figures):
    four = figures["figure-5"].axes
    assert ["40 MeV" in axes.get_title() for axes in four] == [True, True, False, False]
    assert ["10 MeV" in axes.get_title() for axes in four] == [False, False, True, True]
    for axes in four:
        drawn = curves(axes)
        assert len(drawn) == 4
        for name, line in drawn.items():
            assert line.get_linestyle() == ("-" if name.endswith("SM") else "--")
        assert len({line.get_color() for line in drawn.values()}) == 2
    assert any("\u22121" in text for text in legend(four[0]))
    assert not any("\u22121" in text for text in legend(four[1]))


def test_figure_6_has_electron_scattering(figures):
    left, right = figures["figure-6"].axes
    assert [line.get_linestyle() for line in curves(left).values()] == ["-", "--"]
    assert legend(left) == ["$q_{ee}$", r"$q_{\mu\mu}$"]
    assert "10\u207b\u00b9\u2070 e" in left.get_xlabel()
    assert len(right.patches) == 1
    assert len(set(legend(right))) == 2  # the projection and the data are told apart
    assert "COHERENT" in legend(right)[1]


@pytest.mark.parametrize(
    ("figure", "panel", "name", "pair", "unit"),
    [
        ("figure-4", 0, "coherent-csi-lar", ("q_ee", "q_mumu"), 1e-9),
        ("figure-4", 1, "coherent-csi-lar", ("q_etau", "q_mutau"), 1e-9),
        ("figure-6", 1, "coherent-csi-2021-electron", ("q_ee", "q_mumu"), 1e-10),
    ],
)
def test_the_stored_contour_of_coherent_is_drawn_dashed(figure, panel, name, pair, unit, figures, paper):
    axes = figures[figure].axes[panel]
    dashed = [line for line in axes.lines if line.get_color() == style.REFERENCE_COLOUR]
    polygons = reference_contour(name, pair).polygons
    assert len(dashed) == len(polygons) > 0
    for line, polygon in zip(dashed, polygons, strict=True):
        assert line.get_linestyle() == "--"
        assert np.column_stack(line.get_data()) == near(polygon / unit, 1e-9)
    assert dashed[0].get_label() == stored()["labels"][name] == paper.reference_labels[name]
    drawn_lines = [line for line in axes.lines if line not in dashed and line.get_marker() != "+"]
    assert drawn_lines
    for line in drawn_lines:  # in every direction of either axis the data of COHERENT allow more
        assert np.max(np.abs(line.get_xdata())) < np.max(np.abs(np.concatenate(polygons)[:, 0])) / unit
        assert np.max(np.abs(line.get_ydata())) < np.max(np.abs(np.concatenate(polygons)[:, 1])) / unit
    # The whole stored region can be seen.
    everything = np.concatenate(polygons) / unit
    (low_x, high_x), (low_y, high_y) = axes.get_xlim(), axes.get_ylim()
    assert low_x < everything[:, 0].min() < everything[:, 0].max() < high_x
    assert low_y < everything[:, 1].min() < everything[:, 1].max() < high_y


@pytest.mark.parametrize("figure", ["figure-4", "figure-6"])
def test_regions_that_the_stored_one_dwarfs_are_magnified(figure, figures):
    for axes in figures[figure].axes:
        if axes.get_title().endswith("CL"):
            curves = [line for line in axes.lines if line.get_color() != style.REFERENCE_COLOUR]
            dashed = [line for line in axes.lines if line.get_color() == style.REFERENCE_COLOUR]
            width, widest = (
                np.ptp(np.concatenate([np.asarray(line.get_xdata()).ravel() for line in lines]))
                for lines in (curves, dashed)
            )
            insets = [inset for inset in axes.child_axes if inset.lines]
            assert len(insets) == (widest > regions.MAGNIFIED_BEYOND * width)
            for inset in insets:
                visible = [np.asarray(line.get_xdata()) for line in inset.lines]
                assert all(np.array_equal(x, line.get_xdata()) for x, line in zip(visible, curves, strict=True))
                assert inset.get_xlim()[0] < min(x.min() for x in visible)
                assert inset.get_xlim()[1] > max(x.max() for x in visible)


@pytest.fixture(scope="module")
def plain():
    """A study that lists no figures: one of each kind is made."""
    keys = changed(
        {
            "contours": [["q_ee", "q_emu"]],
            "profiles": [{"coupling": "q_ee", "from": -1e-8, "to": 1e-8}],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8]}],
        }
    )
    return cl.study_from_dict(keys).run()


def test_a_study_without_a_list_gets_one_of_each_kind(plain):
    specs = {spec.name: spec for spec in catalogue.figure_specs(plain)}
    assert set(specs) == {"spectra", "limits", "profiles", "contours", "cross-sections"}
    assert [spec.name for spec in catalogue.figure_specs(cl.study_from_dict(STUDY).run())] == ["spectra", "limits"]


def test_spectrum_panel(plain):
    (axes,) = catalogue.draw(plain, {"name": "x", "panels": [{"spectrum": "my-ge"}]}).axes
    assert legend(axes) == ["background", labels.CHANNEL_LABELS["cevns"]]
    top = axes.patches[-1].get_data()
    (spectrum,) = plain.spectra
    width = np.diff(spectrum.bin_edges_kev)
    assert top.values == pytest.approx((spectrum.cevns + spectrum.background) / width)
    assert top.edges == pytest.approx(spectrum.bin_edges_kev)
    assert "keV" in axes.get_xlabel()


def test_limits_panel_shows_every_piece():
    keys = changed({"detectors": [{"preset": "ess-ge"}], "intervals": {"confidence_level": 0.9982}})
    result = cl.study_from_dict(keys).run()
    (axes,) = catalogue.draw(result, {"name": "x", "panels": [{"limits": "q_ee"}]}).axes
    bars = [line.get_xdata() for line in axes.lines if len(set(line.get_ydata())) == 1]
    pieces = result.limit("ess-ge", "q_ee").segments
    assert len(pieces) == 2
    exponent = 10.0 ** round(np.log10(pieces[0][0] / bars[0][0]))
    assert [tuple(bar) for bar in bars] == [
        (near(low / exponent, 1e-9), near(high / exponent, 1e-9)) for low, high in pieces
    ]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["Ge"]


def test_open_ends_can_be_drawn():
    result = cl.study_from_dict(changed({"detectors.0.mass_kg": 1e-7, "uncertainties.signal": 1.0})).run()
    (axes,) = catalogue.draw(result, {"name": "x", "panels": [{"limits": "q_ee"}]}).axes
    assert np.all(np.isfinite(axes.get_xlim()))


def test_redrawn_without_computing(command, plain, tmp_path, monkeypatch):
    folder = plain.save(tmp_path / "out")
    drawn = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    rest = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    for path in (folder / "figures").iterdir():
        path.unlink()

    def forbidden(*_, **__):
        raise AssertionError("figures compute nothing")

    monkeypatch.setattr(setups_module, "response", forbidden)
    monkeypatch.setattr(response_module, "response", forbidden)
    monkeypatch.setattr(Likelihood, "__post_init__", forbidden)
    ran = command("figures", folder)
    assert (ran.status, ran.err) == (0, "")
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == drawn
    assert all(name in ran.out for name in drawn)
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == rest


def test_redrawn_in_a_style_of_ones_own(command, plain, tmp_path):
    folder = plain.save(tmp_path / "out")
    before = (folder / "figures" / "profiles.png").read_bytes()
    sheet = tmp_path / "large.mplstyle"
    sheet.write_text("font.size: 16\naxes.labelsize: 18\n", encoding="utf-8")
    assert command("figures", folder, "--style", sheet).status == 0
    assert (folder / "figures" / "profiles.png").read_bytes() != before


def test_redrawn_into_another_folder(command, plain, tmp_path):
    folder = plain.save(tmp_path / "out")
    drawn = {path.name: path.read_bytes() for path in (folder / "figures").iterdir()}
    provenance = (folder / "provenance.json").read_bytes()
    sheet = tmp_path / "vector.mplstyle"
    sheet.write_text("savefig.format: svg\nfont.size: 16\n", encoding="utf-8")
    ran = command("figures", folder, "-o", tmp_path / "talk", "--style", sheet)
    assert (ran.status, ran.err) == (0, "")
    names = {path.name for path in (tmp_path / "talk").iterdir()}
    assert names == set(drawn) | {name.replace(".png", ".svg") for name in drawn if name.endswith(".png")}
    assert {path.name: path.read_bytes() for path in (folder / "figures").iterdir()} == drawn
    assert (folder / "provenance.json").read_bytes() == provenance
    refused = command("figures", folder, "-o", "-")
    assert (refused.status, "which takes a folder" in refused.err) == (2, True)


def test_drawing_leaves_matplotlib_alone(plain):
    before = dict(matplotlib.rcParams)
    for spec in catalogue.figure_specs(plain):
        catalogue.draw(plain, spec)
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_never_imported(plain, tmp_path):
    code = """
import pathlib, sys
from cevnslab.reports.files import redraw
redraw(pathlib.Path(sys.argv[1]))
print('matplotlib.pyplot' in sys.modules, 'matplotlib.figure' in sys.modules)
"""
    command = [sys.executable, "-c", code, plain.save(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    assert ran.stdout.split() == ["False", "True"]


def test_files_are_pdf_and_png(saved_paper):
    for n in range(1, 7):
        assert (saved_paper / "figures" / f"figure-{n}.pdf").read_bytes().startswith(b"%PDF")
        assert (saved_paper / "figures" / f"figure-{n}.png").read_bytes().startswith(b"\x89PNG")


def test_detector_colours_are_told_apart():
    assert len(set(style.DETECTOR_COLOURS)) == len(style.DETECTOR_COLOURS) >= 5
    assert style.LINE_STYLES[:3] == ("-", "--", "-.")
