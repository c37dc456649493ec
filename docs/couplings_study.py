"""The numbers and figures of `couplings.md`: limits of every coupling, cross sections, mass scans, NSI degeneracies.

`python docs/couplings_study.py` computes all (some minutes on one core), keeps the limits in `data/couplings.json`,
draws the figures and writes the page; `--write` only writes the page from the kept limits; `--check` computes limits of
every kind again, `--check --all` all of them, and says whether they and the page agree. Nothing between the page's
markers is typed by hand.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from marked_blocks import with_blocks

import cevnslab as cl
from cevnslab.figures import style
from cevnslab.figures.layout import Sheet
from cevnslab.figures.panels import ContourPanel, CrossSectionPanel, ScanPanel
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.results import Result
from cevnslab.studies import presets

DOCS = Path(__file__).resolve().parent
PAGE, DATA, FIGURES = DOCS / "couplings.md", DOCS / "data" / "couplings.json", DOCS / "figures"

DETECTORS = ("ess-csi", "ess-xe", "ess-ge", "ess-ar", "ess-si", "ess-c3f8")
SIX = "ess-six"
LABELS = {**dict(zip(DETECTORS, ("CsI", "Xe", "Ge", "Ar", "Si", "C₃F₈"), strict=True)), SIX: "all six"}
COMMON: dict[str, Any] = {
    "source": "ess",
    "exposure_years": 3,
    "uncertainties": {"signal": 0.10, "background": 0.01},
    "statistic": "poisson",
}
SYSTEMATICS = presets.load("studies", "ess-weak-mixing-angle")["systematics"]
"""The detectors' uncertainties of their own, one for all studies of couplings."""
MASSES_MEV = (1, 10, 100)
VECTORS = {"universal": "universal", "b-l": "b_l", "lmu-ltau": "lmu_ltau"}
MEDIATORS: list[dict[str, Any]] = [
    *(
        {"name": "light_vector", "charges": charges, "mass_mev": mass, "label": f"{label}_{mass}"}
        for charges, label in VECTORS.items()
        for mass in MASSES_MEV
    ),
    *({"name": "light_scalar", "mass_mev": mass, "label": f"scalar_{mass}"} for mass in MASSES_MEV),
]
AT_THE_ESS = [name for name, each in COUPLINGS.items() if any(pair != ("tau", "tau") for pair in each.flavours)]
"""The couplings of the registry that a source without tau neutrinos shows."""
LINEAR: list[str | dict[str, Any]] = [*(name for name in AT_THE_ESS if COUPLINGS[name].linear), *MEDIATORS]
CHECKED: list[str | dict[str, Any]] = ["mu_mu", "eps_ee_u", "sin2_theta_w", MEDIATORS[1]]
"""One of every kind, whose limits a check computes again."""

GALLERY: Mapping[str, Sequence[tuple[str | dict[str, Any], Sequence[float], dict[str, Any]]]] = {
    "coupling-electromagnetic": (
        ("q_ee", (-1e-8, 1e-8), {"target": "Ge"}),
        ("mu_e", (1e-9, 4e-9), {"target": "Ge"}),
        ("r2_ee", (-1e-31, 1e-31), {"target": "Ge"}),
        ("mu_e", (1e-11, 1e-10), {"target": "Ge", "channel": "electron"}),
    ),
    "coupling-weak": (
        ("eps_ee_u", (-0.1, 0.1), {"target": "CsI"}),
        ("eps_etau_d", (0.2, 0.4), {"target": "CsI"}),
        ("sin2_theta_w", (0.18, 0.30), {"target": "CsI"}),
        ("neutron_radius", (4.0, 5.6), {"target": "CsI", "rms_radius_fm": 4.83, "recoil_from_kev": 1.0}),
    ),
    "coupling-mediators": (
        (MEDIATORS[1], (6e-6, 2e-5), {"target": "Ge"}),
        (MEDIATORS[4], (6e-6, 2e-5), {"target": "Ge"}),
        (MEDIATORS[7], (3e-4, 1e-3), {"target": "Ge"}),
        (MEDIATORS[10], (1e-5, 2e-5), {"target": "Ge"}),
    ),
}
"""Per figure and panel: the coupling, its values, keys of `cross_sections`."""
DRAWN_SCANS = {"universal": "universal", "b-l": "b_l", "lmu-ltau": "lmu_ltau", "scalar": "scalar"}
PLANE, PLANE_POINTS = (-1.0, 1.0), 160
"""Side of the drawn (u, d) plane: a band has no end, so that the plane must have one."""
DPI, COLOURS = 90, 64

Row = dict[str, Any]


def limit_rows(result: Result) -> list[Row]:
    """The limits of a result as plain rows; ends that the data do not make are null."""
    return [
        {
            "detector": x.detector,
            "coupling": x.coupling,
            "unit": x.unit,
            "segments": [[float(end) if end in x.crossings else None for end in piece] for piece in x.segments],
        }
        for x in result.limits
    ]


def limits(couplings: Sequence[str | dict[str, Any]] = LINEAR) -> list[Row]:
    """Limits of the page: the six detectors and their combination; the neutron radius in any case."""
    six = {
        "name": "couplings",
        "couplings": list(couplings),
        "detectors": [{"preset": name} for name in DETECTORS],
        "combinations": [{"name": SIX, "detectors": list(DETECTORS), "signal": "correlated"}],
        "systematics": SYSTEMATICS,
        **COMMON,
    }
    return [*limit_rows(cl.study_from_dict(six).run()), *limit_rows(cl.load_study("ess-neutron-radius").run())]


def save(sheet: Sheet, name: str) -> None:
    """A small PNG of the documentation: few colours."""
    from PIL import Image

    FIGURES.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    sheet.finish()
    sheet.figure.savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        FIGURES / f"{name}.png", optimize=True
    )


def gallery() -> None:
    """Cross sections beside the Standard Model's, by the package's own panel."""
    for name, visible in GALLERY.items():
        sheet = Sheet(len(visible), 2)
        for cell, (coupling, values, keys) in zip(sheet.cells, visible, strict=True):
            label = coupling if isinstance(coupling, str) else coupling["label"]
            curve = {"energy_mev": 40, "coupling": label, "values": list(values), **keys}
            study = {
                "name": "gallery",
                "couplings": [coupling],
                "detectors": [{"preset": "ess-ge"}],
                "cross_sections": [curve],
                **COMMON,
            }
            result = cl.study_from_dict(study).run()
            channel = keys.get("channel", "cevns")
            what = "on electrons" if channel == "electron" else "on nuclei"
            title = f"{label}: {keys['target']}, {what}"
            spec = {"cross_section": keys["target"], "energy_mev": 40.0, "channels": [channel], "title": title}
            CrossSectionPanel.model_validate(spec).draw(cell, result)
        save(sheet, name)


def mass_scans() -> None:
    """The limits of `ess-mediators` against the mass: one target alone has mirror regions, all six have none."""
    result = cl.load_study("ess-mediators").run()
    stored = ("ess-xe", "ess-ge", "ess-ar", "ess-si", SIX)
    result = replace(result, scans=tuple(point for point in result.scans if point.limit.detector in stored))
    sheet = Sheet(len(DRAWN_SCANS), 2)
    for cell, (name, coupling) in zip(sheet.cells, DRAWN_SCANS.items(), strict=True):
        spec = {"scan": name, "coupling": coupling, "title": f"{name}: 90% CL"}
        ScanPanel.model_validate(spec).draw(cell, result)
    save(sheet, "coupling-masses")


def degeneracies() -> None:
    """The (eps_ee_u, eps_ee_d) plane between the bounds `PLANE`: bands of single targets, and all six."""
    from cevnslab.inference.grids import trace
    from cevnslab.inference.levels import delta_chi2_level
    from cevnslab.results import ContourLines
    from cevnslab.studies.analysis import analyses

    study, pair = cl.load_study("ess-nsi"), ("eps_ee_u", "eps_ee_d")
    axis, by_name = np.linspace(*PLANE, PLANE_POINTS), analyses(study)
    drawn = (["ess-xe"], ["ess-xe", "ess-si"], ["ess-xe", "ess-si", SIX])
    limits_there = tuple(
        ContourLines(
            name,
            by_name[name].channels,
            *pair,
            0.90,
            trace(axis, axis, by_name[name].chi2(*pair).on_grid(axis, axis), delta_chi2_level(0.90, 2)),
        )
        for name in drawn[-1]
    )
    result = replace(study.run(), contours=limits_there)
    sheet = Sheet(len(drawn), len(drawn))
    for cell, names in zip(sheet.cells, drawn, strict=True):
        ContourPanel(contour=list(pair), detectors=names).draw(cell, result)
        cell.axes.set_xlim(*PLANE)
        cell.axes.set_ylim(*PLANE)
    save(sheet, "coupling-nsi-plane")


def draw() -> None:
    """All figures of the page."""
    with style.styled(style.settings()):
        gallery()
        mass_scans()
        degeneracies()


def numbers() -> list[Row]:
    """The kept limits."""
    content: list[Row] = json.loads(DATA.read_text(encoding="utf-8"))["limits"]
    return content


def table(columns: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; all but the first columns are aligned to the right."""
    rule = ["---" if number < left else "---:" for number in range(len(columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, rule, *lines))


def pieces(segments: Iterable[Sequence[float | None]], exponent: int) -> str:
    """An interval with all its pieces, three significant digits; an upper limit where it starts at zero."""

    def text(end: float) -> str:
        scaled = float(f"{end / 10.0**exponent:.2e}")
        decimals = max(0, 2 - math.floor(math.log10(abs(scaled)))) if scaled else 0
        return f"{scaled:.{decimals}f}"

    printed_text = []
    for low, high in segments:
        if low is not None and high is not None and math.isclose(low, -high, rel_tol=1e-9):
            printed_text.append(f"±{text(high)}")
        elif low is None or low == 0:
            printed_text.append("none" if high is None else f"< {text(high)}")
        else:
            printed_text.append(f"> {text(low)}" if high is None else f"[{text(low)}, {text(high)}]")
    return " or ".join(printed_text)


def _unit(rows: Sequence[Row]) -> tuple[int, str]:
    """The power of ten and the heading of one coupling's row."""
    ends = [abs(end) for row in rows for piece in row["segments"] for end in piece if end]
    digits = math.floor(math.log10(float(np.median(ends))))
    exponent = 0 if -2 <= digits <= 2 else digits
    unit = {"1": "", "cm2": "cm²", "mu_B": "μ_B"}.get(rows[0]["unit"], rows[0]["unit"])
    return exponent, " ".join(part for part in (f"1e{exponent}" if exponent else "", unit) if part)


def limits_block(couplings: Sequence[str]) -> str:
    """A table of couplings against the detectors and their combination."""
    saved_rows = {(row["detector"], row["coupling"]): row for row in numbers()}
    lines = []
    for name in couplings:
        exponent, unit = _unit([saved_rows[detector, name] for detector in LABELS if (detector, name) in saved_rows])
        texts = [pieces(saved_rows[d, name]["segments"], exponent) if (d, name) in saved_rows else "" for d in LABELS]
        lines.append([f"{name} ({unit})" if unit else name, *texts])
    return table(["coupling", *LABELS.values()], lines)


def electromagnetic(name: str) -> bool:
    """Whether a coupling of the registry is one to the photon."""
    return name.startswith(("q_", "mu_", "r2_"))


BLOCKS = {
    "electromagnetic": lambda: limits_block([name for name in AT_THE_ESS if electromagnetic(name)]),
    "weak": lambda: limits_block([name for name in AT_THE_ESS if not electromagnetic(name)]),
    "mediators": lambda: limits_block([coupling["label"] for coupling in MEDIATORS]),
}


def page() -> str:
    """The page with its marked blocks made anew."""
    return with_blocks(PAGE, "couplings_study.py", BLOCKS)


def agrees(couplings: Sequence[str | dict[str, Any]]) -> bool:
    """Whether the page is what the kept limits give, and those of some couplings are what the package computes."""

    def flat(rows: Iterable[Row]) -> dict[tuple[str, str], list[float]]:
        return {
            (row["detector"], row["coupling"]): [
                np.nan if end is None else end for piece in row["segments"] for end in piece
            ]
            for row in rows
        }

    stored, computed = flat(numbers()), flat(limits(couplings))
    same = stored.keys() >= computed.keys() and all(
        len(stored[key]) == len(ends) and np.allclose(stored[key], ends, rtol=1e-4, atol=0, equal_nan=True)
        for key, ends in computed.items()
    )
    return same and page() == PAGE.read_text(encoding="utf-8")


def main() -> None:
    """Compute, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compute limits again; exit status 1 if they differ")
    parser.add_argument("--all", action="store_true", help="with --check: all limits, not one of every kind")
    parser.add_argument("--write", action="store_true", help="write the page from the kept limits, computing nothing")
    arguments = parser.parse_args()
    if arguments.check:
        if not agrees(LINEAR if arguments.all else CHECKED):
            raise SystemExit("docs/couplings.md is not what the package computes: make couplings")
        return
    if not arguments.write:
        about = "Limits of docs/couplings.md (90 % CL), made by docs/couplings_study.py; never edited by hand."
        lines = ",\n".join("  " + json.dumps(row, allow_nan=False) for row in limits())
        DATA.write_text(f'{{\n "about": "{about}",\n "limits": [\n{lines}\n ]\n}}\n', encoding="utf-8")
        draw()
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
