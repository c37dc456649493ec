"""No text of a figure is cut off or covered: in any font size, with long names, in every kind of panel."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from measure import drawn, outside, over_curves, over_texts
from support import changed

import cevnslab as cl
from cevnslab.figures import catalogue, texts
from cevnslab.figures.panels import KINDS
from cevnslab.results import Band, CriticalMap, CriticalValues, DataSpectrum, Pull, ScanBand

LONG = "detector-with-thirty-letters-b"
UNBROKEN = "detectorofthirtylettersunbroken"
SIZES = (6, 10, 16, 24)


@pytest.fixture(scope="module")
def everything():
    """A result with every kind of panel; names of 30 letters."""
    keys = changed(
        {
            "couplings": ["q_ee", "q_mumu", "sin2_theta_w"],
            "channels": ["cevns", "electron"],
            "detectors": [
                {"preset": "ess-ge", "name": LONG, "electron_quenching": 0.3},
                {"preset": "ess-ge", "name": UNBROKEN, "mass_kg": 1, "electron_quenching": 0.3},
                {"preset": "ess-csi", "name": "csi", "electron_quenching": 0.1, "time_bin_edges_us": [0, 1, 2, 4, 6]},
            ],
            "source": "sns",
            "contours": [["q_ee", "q_mumu"]],
            "profiles": [{"coupling": name, "from": -3e-8, "to": 5e-8} for name in ("q_ee", "q_mumu")],
            "cross_sections": [{"target": "Ge", "energy_mev": 30, "coupling": "q_ee", "values": [1e-8, -1e-8, 4e-8]}],
            "scans": [{"name": "years", "key": "exposure_years", "values": [1, 3, 30]}],
            "design": [
                {"name": "light", "key": f"detectors.{LONG}.mass_kg", "from": 1, "to": 60, "detector": LONG}
                | {"goal": {"coupling": "q_ee", "upper": 2e-10}}
            ],
            "maps": [
                {
                    "name": "plane",
                    "x": {"key": f"detectors.{LONG}.mass_kg", "from": 1, "to": 60, "points": 5, "scale": "log"},
                    "y": {"key": f"detectors.{LONG}.background_ckkd", "from": 1, "to": 9, "points": 5},
                    "detector": LONG,
                    "coupling": "q_ee",
                }
            ],
            "figures": [
                {"name": "plans", "panels": [{"goal": "light"}, {"map": "plane"}, {"map": "plane", "end": "lower"}]},
                {
                    "name": "spectra",
                    "panels": [
                        {
                            "spectrum": LONG,
                            "values": [{"q_ee": 2e-8}, {"q_ee": -1e-8, "q_mumu": 1e-8}],
                            "below": "ratio",
                        },
                        {
                            "spectrum": "csi",
                            "scale": "log",
                            "below": "s-over-sqrt-b",
                            "title": "Iodide of caesium at 20 m " * 3,
                        },
                        {"spectrum": "csi", "axis": "time"},
                    ],
                },
                {
                    "name": "limits",
                    "columns": 2,
                    "panels": [
                        {"limits": "q_ee", "numbers": True},
                        {"limits": "sin2_theta_w"},
                        {"profile": ["q_ee"]},
                        {"profile": ["q_ee", "q_mumu"], "detectors": [LONG, "csi"]},
                    ],
                },
                {
                    "name": "regions",
                    "panels": [
                        {"contour": ["q_ee", "q_mumu"], "reference": "coherent-csi-lar"},
                        {"cross_section": "Ge", "energy_mev": 30},
                        {"scan": "years", "coupling": "q_ee"},
                    ],
                },
            ],
        }
    )
    result = cl.study_from_dict(keys).run()
    line = np.linspace(-1e-8, 1e-8, 5)
    edges = np.linspace(0, 6, 7)
    counts = np.array([20.0, 30.0, 10.0, 4.0, 1.0, 0.0])
    return replace(
        result,
        critical_values=tuple(
            CriticalValues(
                name,
                "cevns",
                "q_ee",
                0.9,
                "global minimum, normalisations drawn",
                1000,
                line,
                2.7 + 0.1 * np.arange(5.0),
                np.full(5, 0.1),
                0.1,
            )
            for name in (LONG, UNBROKEN)
        ),
        critical_maps=(
            CriticalMap(
                LONG, "cevns", "q_ee", "q_mumu", 0.9, "global", 100, line, line, np.full((5, 5), 4.6), 0.1, 0.1
            ),
        ),
        data_spectra=(
            DataSpectrum(
                LONG,
                "time_us",
                edges,
                counts,
                {"cevns": counts * 0.4, "brn": counts * 0.6},
                labels={"brn": "neutrons of the beam"},
            ),
        ),
        pulls=tuple(
            Pull(LONG, "q_ee", f"{LONG}.{name}", width, 0.5 * min(width, 1), 0.8 * min(width, 1), shift, -0.8 * shift)
            for name, width, shift in (
                ("signal", 0.1, 3e-9),
                ("background", 0.01, -1e-9),
                ("quenching", 1.0, 5e-10),
                ("time_offset", np.inf, 1e-9),
            )
        ),
        bands=tuple(_band(name, end) for name in (LONG, UNBROKEN, "csi") for end in ("lower", "upper")),
        scan_bands=tuple(
            ScanBand("years", "exposure_years", years, _band("csi", end))
            for years in (1.0, 3.0, 30.0)
            for end in ("lower", "upper")
        ),
    )


def _band(detector, end):
    middle = 2e-8 if end == "upper" else -1e-8
    quantiles = [middle + shift for shift in (0.0, -5e-9, 4e-9, -1.5e-8, 1e-8)]
    return Band(detector, "cevns", "poisson", "q_ee", 0.9, end, *quantiles, 0.1, 1000, 1)


@pytest.fixture(scope="module")
def specs(everything):
    more = [
        {"name": "data", "panels": [{"data": LONG, "axis": "time_us", "below": "pulls"}]},
        {"name": "scan-bands", "panels": [{"scan": "years", "coupling": "q_ee", "detectors": ["csi"]}]},
    ]
    return {spec.name: spec for spec in (*catalogue.figure_specs(everything), *map(catalogue.FigureSpec.read, more))}


FIGURES = (
    "spectra",
    "limits",
    "regions",
    "plans",
    "critical-values",
    "critical-maps",
    f"pulls-{LONG}",
    "data",
    "bands",
    "scan-bands",
)


def styled(tmp_path, size):
    path = tmp_path / "own.mplstyle"
    lines = [f"{key}: {size}" for key in ("font.size", "axes.labelsize", "axes.titlesize", "legend.fontsize")]
    lines += [f"{axis}tick.labelsize: {size}" for axis in "xy"]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_kind_of_panel_is_drawn_here(specs):
    assert {type(panel) for spec in specs.values() for panel in spec.panels} == set(KINDS)


@pytest.fixture(scope="module")
def levels():
    """Six rows: three detectors at two levels."""
    keys = changed(
        {
            "couplings": ["q_ee"],
            "intervals": {"confidence_level": [0.6827, 0.9]},
            "detectors": [
                {"preset": "ess-ge", "name": LONG},
                {"preset": "ess-ge", "name": UNBROKEN, "mass_kg": 1},
                {"preset": "ess-csi", "name": "csi"},
            ],
            "profiles": [{"coupling": "q_ee", "from": -3e-8, "to": 5e-8}],
        }
    )
    result = cl.study_from_dict(keys).run()
    bands = [
        replace(_band(name, end), confidence_level=level)
        for name in (LONG, UNBROKEN, "csi")
        for level in (0.6827, 0.9)
        for end in ("lower", "upper")
    ]
    return replace(result, bands=tuple(bands))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "panel", [{"limits": "q_ee", "numbers": True}, {"profile": ["q_ee"]}, {"bands": "q_ee"}], ids=str
)
def test_several_levels_have_a_row_each(panel, size, levels, tmp_path):
    figure = catalogue.draw(levels, {"panels": [panel]}, style_file=styled(tmp_path, size))
    assert outside(figure) == []
    assert over_curves(figure) == []
    assert over_texts(figure) == []


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", FIGURES)
def test_texts_are_whole_and_cover_nothing(name, size, everything, specs, tmp_path):
    figure = catalogue.draw(everything, specs[name], style_file=styled(tmp_path, size))
    assert outside(figure) == []
    assert over_curves(figure) == []
    assert over_texts(figure) == []


@pytest.mark.parametrize("size", SIZES)
def test_values_on_the_lines_of_a_map_are_whole(size, everything, tmp_path):
    """The frame cuts off what reaches beyond it, and there stand the labels of ticks."""
    figure = catalogue.draw(everything, {"panels": [{"map": "plane"}]}, style_file=styled(tmp_path, size))
    renderer, (axes,) = drawn(figure), figure.axes
    frame = axes.get_window_extent(renderer)
    assert len(axes.texts) >= 3
    for text in axes.texts:
        box = text.get_window_extent(renderer)
        assert frame.x0 < box.x0 < box.x1 < frame.x1, text.get_text()
        assert frame.y0 < box.y0 < box.y1 < frame.y1, text.get_text()


def test_the_figures_of_the_paper(paper):
    for spec in catalogue.figure_specs(paper):
        figure = catalogue.draw(paper, spec)
        assert (spec.name, outside(figure), over_curves(figure), over_texts(figure)) == (spec.name, [], [], [])


def test_what_is_measured_can_fail(paper):
    """The measures see what they are made for."""
    spec = catalogue.figure_specs(paper)[0]
    figure = catalogue.draw(paper, spec)
    axes = figure.axes[0]
    curve = axes.lines[0]
    x, y = curve.get_data()
    axes.annotate("covers", (x[150], y[150]))
    assert over_curves(figure) == ["covers"]
    axes.set_ylabel("far too long a label " * 9)
    assert outside(figure) == ["far too long a label " * 9]
    axes.texts[-1].set_position((x[200], 2.7))


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (LONG, ["detector-with-", "thirty-letters-b"]),
        (UNBROKEN, ["detectorofthirtyl", "ettersunbroken"]),
        ("short", ["short"]),
    ],
)
def test_names_are_broken_where_they_can_be(text, lines):
    assert texts.wrapped(text, 17).splitlines() == lines


def test_a_style_decides_size_format_and_resolution(everything, specs, tmp_path):
    from cevnslab.figures import style
    from cevnslab.reports.drawing import draw_one

    path = tmp_path / "own.mplstyle"
    path.write_text("figure.figsize: 11, 5\nsavefig.format: svg\nsavefig.dpi: 80\n", encoding="utf-8")
    figure = catalogue.draw(everything, specs["data"], style_file=path)
    assert tuple(figure.get_size_inches()) == (11, 5)
    with style.styled(style.settings(path)):
        draw_one(everything, specs["data"], tmp_path)
    assert {file.suffix for file in tmp_path.glob("data.*")} == {".pdf", ".png", ".svg"}
    assert matplotlib.image.imread(tmp_path / "data.png").shape[:2] == (400, 880)
