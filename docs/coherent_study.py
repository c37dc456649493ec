"""The numbers of `coherent.md`: computed from the COHERENT data, kept in `data/coherent.json`, written into the page.

`python docs/coherent_study.py --data DIR` runs the studies and the variations of conventions that the page lists (some
minutes on one core), `--write` only writes the page from the kept numbers, which needs no data, `--check` says whether
they agree. Nothing between the page's markers is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from marked_blocks import with_blocks

import cevnslab as cl
from cevnslab.datasets.coherent_csi_2021 import model as csi_2021
from cevnslab.datasets.coherent_csi_2021.readers import read_events
from cevnslab.datasets.description import PublishedNumber
from cevnslab.datasets.files import locate
from cevnslab.datasets.measurement import Setup
from cevnslab.datasets.registry import dataset
from cevnslab.likelihood.parameters import Parameter
from cevnslab.likelihood.samples import Sample, Scale
from cevnslab.reports.improvement import Improvement, improvements
from cevnslab.reports.published import published
from cevnslab.reports.reference import write_reference
from cevnslab.studies import presets
from cevnslab.studies.references import FILE, stored

DOCS = Path(__file__).resolve().parent
PAGE, DATA, FIGURES = DOCS / "coherent.md", DOCS / "data" / "coherent.json", DOCS / "figures"
STORED = DOCS.parent / "src" / "cevnslab" / FILE

CHARGES = ("q_ee", "q_mumu", "q_emu", "q_etau", "q_mutau")
CSI, LAR, BOTH, ELECTRON = "coherent-csi-2021", "coherent-lar-2020", "coherent-csi-lar", "coherent-csi-2021-electron"
DRAWN = {"data-csi": "coherent-data-csi", "profiles": "coherent-profiles"}
"""Figures of the study that the page shows, and their names there."""

MODULE = "cevnslab.datasets.coherent_csi_2021.model."

Row = dict[str, Any]


def steady_state(kind: str) -> Callable[[Setup, np.ndarray], Sample]:
    """CsI's steady state with other times: uniform, another decay, or the raw histogram of energy and time."""

    def decaying(rate_per_us: float) -> Callable[[Setup, np.ndarray], Sample]:
        def sample(setup: Setup, off: np.ndarray) -> Sample:
            with mock.patch(MODULE + "EFFICIENCY_DECAY_PER_US", rate_per_us):
                return original(setup, off)

        return sample

    def raw(setup: Setup, off: np.ndarray) -> Sample:
        release = dataset(CSI).release
        events = read_events(locate(release, setup.directory)["dataBeamOnAC.txt"])
        counts, _, _ = np.histogram2d(events[:, 0], events[:, 1], [csi_2021.PE_EDGES, csi_2021.TIME_EDGES_US])
        total, width = csi_2021.BACKGROUNDS["steady_state"]
        scale = Scale(Parameter(f"{setup.name}.steady_state", width))
        return Sample("steady_state", total * counts.reshape(1, -1) / counts.sum(), modifiers=[scale])

    original = csi_2021._steady_state
    return {"uniform": decaying(1e-9), "0.040/us": decaying(0.040), "raw": raw}[kind]


def recoils_from(kev: float) -> dict[str, tuple[float, float]]:
    """Nuclear recoils from an energy on."""
    nominal_range = csi_2021.RECOIL_RANGE_KEV
    return {**nominal_range, "cevns": (kev, nominal_range["cevns"][1])}


def pulse(centre_us: float = 0.471, width_us: float = 0.150) -> Row:
    """Another time zero, or another width of the protons' pulse."""
    return {"pulse": {"centre_us": centre_us, "width_us": width_us}}


ONE_RADIUS = {"neutron_radius_fm": {"Cs": 4.821, "I": 4.766}}
SHAPES = {"nuisances": "shape", "uncertainties": {"signal": 0}}
VARIATIONS: dict[str, tuple[Row, Row, tuple[str, Any] | None]] = {
    "as in the study": ({}, {}, None),
    "form factor: Klein-Nystrand": ({"form_factor": "klein-nystrand"}, {}, None),
    "form factor: symmetrised Fermi": ({"form_factor": "symmetrised-fermi"}, {}, None),
    "R_n = R_p": ({}, ONE_RADIUS, None),
    "R_n = R_p = 4.83 fm, as in the paper": (
        {},
        {"rms_radius_fm": {"Cs": 4.83, "I": 4.83}, "neutron_radius_fm": {"Cs": 4.83, "I": 4.83}},
        None,
    ),
    "time zero 20 ns earlier": ({}, pulse(0.451), None),
    "time zero 20 ns later": ({}, pulse(0.491), None),
    "pulse 10 % narrower": ({}, pulse(width_us=0.135), None),
    "steady state uniform in time": ({}, {}, ("_steady_state", lambda: steady_state("uniform"))),
    "steady state falls as 0.040/us": ({}, {}, ("_steady_state", lambda: steady_state("0.040/us"))),
    "steady state: raw histogram": ({}, {}, ("_steady_state", lambda: steady_state("raw"))),
    "recoils from 0.02 keV": ({}, {}, ("RECOIL_RANGE_KEV", lambda: recoils_from(0.02))),
    "recoils from 1 keV": ({}, {}, ("RECOIL_RANGE_KEV", lambda: recoils_from(1.0))),
    "recoils from 3 keV": ({}, {}, ("RECOIL_RANGE_KEV", lambda: recoils_from(3.0))),
    "shape nuisances": ({}, SHAPES, None),
    "shape nuisances, nominal efficiency": ({}, SHAPES, ("PULLS", lambda: tuple(set(csi_2021.PULLS) - {"efficiency"}))),
}
"""Keys of the study, keys of the detector, and what is replaced in the analysis of CsI."""
COMPARED = {"shape nuisances, nominal efficiency": "shape nuisances"}
"""What a variation is compared with, if not with the study."""

COMBINED: dict[str, Callable[[Row], None]] = {
    "as in the study": lambda content: None,
    "independent fluxes": lambda content: independent(content),
    "CsI's anti-coincident counts exact": lambda content: changed(content, CSI, off_counts="exact"),
    "LAr with nominal shapes": lambda content: changed(content, LAR, nuisances="normalisation"),
}
"""What is changed in the study of both data sets."""


def changed(content: Row, name: str, **keys: Any) -> None:
    """Other keys of one data set."""
    for entry in content["detectors"]:
        if entry["preset"] == name:
            entry.update(keys)


def independent(content: Row) -> None:
    """A normalisation of its own for each data set, as wide as it is by itself: no common flux."""
    del content["systematics"]
    for entry in content["detectors"]:
        del entry["uncertainties"]


def limit_rows(result: cl.Result) -> list[Row]:
    """The limits of a result as plain rows."""
    return [
        {"detector": x.detector, "coupling": x.coupling, "segments": [list(map(float, piece)) for piece in x.segments]}
        for x in result.limits
    ]


def fit_rows(result: cl.Result) -> list[Row]:
    """The fits of the Standard Model to one data set as plain rows, without those of couplings and nuisances."""
    return [
        {"detector": row.detector, "parameter": row.parameter, "value": row.value, "error": row.error}
        for row in result.fit
        if row.detector != BOTH
        and row.parameter not in CHARGES
        and "." not in row.parameter
        and row.parameter != "flux"
    ]


def varied(name: str, data: Path | None) -> Row:
    """Counts and limits of CsI with one convention changed."""
    keys, detector, replaced = VARIATIONS[name]
    study = presets.load("studies", "coherent")
    entries = [{**entry, **detector} for entry in study["detectors"] if entry["preset"] == CSI]
    content = {"name": "variation", "couplings": list(CHARGES[:2]), "systematics": study["systematics"], **keys}
    content["detectors"] = entries
    with nullcontext() if replaced is None else mock.patch(MODULE + replaced[0], replaced[1]()):
        result = cl.study_from_dict(content, data=data).run()
    return {"variation": name, "limits": limit_rows(result), "fit": fit_rows(result)}


def nominal_argon(data: Path | None) -> list[Row]:
    """The Standard Model's fit to LAr with nominal shapes."""
    content = {"name": "nominal", "couplings": [], "detectors": [{"preset": LAR}]}
    return fit_rows(cl.study_from_dict(content, data=data).run())


def combined(name: str, data: Path | None) -> Row:
    """Limits of both data sets together with one thing changed."""
    study = presets.load("studies", "coherent")
    content = {key: study[key] for key in ("name", "couplings", "systematics", "combinations")}
    content["detectors"] = [entry for entry in study["detectors"] if entry.get("name") != ELECTRON]
    COMBINED[name](content)
    return {"variation": name, "limits": limit_rows(cl.study_from_dict(content, data=data).run())}


def compute(data: Path | None, output: Path) -> None:
    """Run both studies and every variation; keep the numbers, the figures, and the limits that the package stores."""
    archive: Row = {"about": "Numbers of docs/coherent.md, made by docs/coherent_study.py; never edited by hand."}
    for name in ("coherent", "coherent-shape"):
        print(name, flush=True)
        result = cl.load_study(name, data=data).run()
        folder = result.save(output)
        archive[name] = {"study_sha256": result.provenance["study_sha256"], "limits": limit_rows(result)}
        archive[name]["fit"] = fit_rows(result)
        if name == "coherent":
            write_reference(result, STORED)
            stored.cache_clear()
            FIGURES.mkdir(exist_ok=True)
            for figure, page_name in DRAWN.items():
                shutil.copyfile(folder / "figures" / f"{figure}.png", FIGURES / f"{page_name}.png")
    archive["variations"] = []
    for name in VARIATIONS:
        print(name, flush=True)
        archive["variations"].append(varied(name, data))
    archive["combined"] = [combined(name, data) for name in COMBINED]
    archive["nominal-lar"] = {"fit": nominal_argon(data)}
    DATA.parent.mkdir(exist_ok=True)
    DATA.write_text(json.dumps(archive, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def numbers() -> Row:
    """The kept numbers."""
    content: Row = json.loads(DATA.read_text(encoding="utf-8"))
    return content


def table(columns: Sequence[str], lines: Iterable[Sequence[str]], left: int = 2) -> str:
    """A Markdown table; all but the first columns are aligned to the right."""
    rule = ["---" if number < left else "---:" for number in range(len(columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, rule, *lines))


def with_error(value: float, error: float | None) -> str:
    """A value to the second digit of its error."""
    if not error:
        return f"{value:.4g}"
    decimals = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"


def published_text(number: PublishedNumber) -> str:
    """A published number; where there are two, that of statistical errors alone too."""
    if number.statistical is None:
        return with_error(number.value, number.error)
    return f"{number.statistical:.4g} (statistics), {with_error(number.value, number.error)} (all)"


def fit_table() -> str:
    """The Standard Model fit without and with shapes beside the published one."""
    content = numbers()
    nominal = [row for row in content["coherent"]["fit"] if row["detector"] == CSI] + content["nominal-lar"]["fit"]
    theirs = {name: dataset(name).description.published for name in (CSI, LAR)}
    shaped = {(row["detector"], row["parameter"]): row for row in content["coherent-shape"]["fit"]}
    lines = []
    for row in nominal:
        key = row["detector"], row["parameter"]
        entry = theirs.get(row["detector"])
        other = entry.rows.get(row["parameter"]) if entry else None
        shape = shaped.pop(key)
        lines.append(
            [
                *key,
                with_error(row["value"], row["error"]),
                with_error(shape["value"], shape["error"]),
                "" if other is None else published_text(other),
            ]
        )
        if row["parameter"] == "bins":
            values = {r["parameter"]: r["value"] for r in nominal if r["detector"] == key[0]}
            free = {r["parameter"]: r["value"] for r in content["coherent-shape"]["fit"] if r["detector"] == key[0]}
            ratio = [f"{each['chi2'] / each['bins']:.2f}" for each in (values, free)]
            lines.append([key[0], "chi2 per bin", *ratio, ""])
    for (detector, parameter), row in shaped.items():
        if detector != ELECTRON:
            lines.append([detector, parameter, "", with_error(row["value"], row["error"]), ""])
    return table(["data", "parameter", "normalisation", "shape", "published"], lines)


def pieces(segments: Iterable[Sequence[float]], unit: float, digits: int = 1) -> str:
    """An interval with all its pieces."""
    return " or ".join(f"[{low / unit:.{digits}f}, {high / unit:.{digits}f}]" for low, high in segments)


def limits_table() -> str:
    """CEvNS-only limits of both nuisance sets, all pieces."""
    content = numbers()
    lines = []
    for coupling in CHARGES:
        for detector in (CSI, LAR, BOTH):
            claims = [
                next(
                    pieces(row["segments"], 1e-9)
                    for row in content[study]["limits"]
                    if (row["detector"], row["coupling"]) == (detector, coupling)
                )
                for study in ("coherent", "coherent-shape")
            ]
            lines.append([coupling, {CSI: "CsI", LAR: "LAr", BOTH: "both"}[detector], *claims])
    return table(["charge", "data", "coherent (1e-9 e)", "coherent-shape (1e-9 e)"], lines)


def electron_table() -> str:
    """Limits from CsI with electrons beside the literature's."""
    content, theirs = numbers(), (published("coherent") or {"rows": {}})["rows"][ELECTRON]
    lines = []
    for coupling in CHARGES:
        segments = [
            next(
                pieces(row["segments"], 1e-10, 2)
                for row in content[study]["limits"]
                if (row["detector"], row["coupling"]) == (ELECTRON, coupling)
            )
            for study in ("coherent", "coherent-shape")
        ]
        lines.append([coupling, *segments, pieces([theirs[coupling]["values"]], 1e-10)])
    columns = ["charge", "normalisation (1e-10 e)", "shape (1e-10 e)", "arXiv:2205.09484 (1e-10 e)"]
    return table(columns, lines, left=1)


def variations_table() -> str:
    """What each convention does to the counts and the limits of CsI."""
    variations = numbers()["variations"]
    parameters = [{(r["detector"], r["parameter"]): r["value"] for r in row["fit"]} for row in variations]
    lines = []
    for row, fitted in zip(variations, parameters, strict=True):
        predicted, nominal = fitted[CSI, "cevns_predicted"], parameters[0][CSI, "cevns_predicted"]
        change = (
            f"{predicted:.0f} ({100 * (predicted / nominal - 1):+.1f} %)"
            if row is not variations[0]
            else f"{nominal:.1f}"
        )
        limits = limits_of(row)
        lines.append(
            [
                row["variation"],
                change,
                f"{fitted[CSI, 'cevns_counts']:.0f}",
                f"{fitted[CSI, 'chi2']:.1f}",
                pieces(limits[CSI, "q_ee"], 1e-9, 0),
                pieces(limits[CSI, "q_mumu"], 1e-9),
                *(pieces(limits[ELECTRON, name], 1e-10, 2) for name in ("q_ee", "q_mumu")),
                ""
                if row is variations[0]
                else ", ".join(f"{change:.0f}" for change in largest_changes(row["variation"])),
            ]
        )
    columns = ["changed", "expected", "fitted", "χ²", "q_ee (1e-9 e)", "q_mumu (1e-9 e)"]
    columns += ["q_ee, electrons (1e-10 e)", "q_mumu, electrons (1e-10 e)", "largest change of an end (%)"]
    return table(columns, lines, left=1)


def limits_of(row: Row) -> dict[tuple[str, str], list[list[float]]]:
    """The pieces of a variation's limits, by detector and charge."""
    return {(limit["detector"], limit["coupling"]): limit["segments"] for limit in row["limits"]}


def largest_changes(name: str) -> tuple[float, float]:
    """By how much, in per cent, a variation moves an end around zero at most: from nuclei, with electrons."""
    rows = {row["variation"]: limits_of(row) for row in numbers()["variations"]}

    def ends(limits: dict[tuple[str, str], list[list[float]]], detector: str) -> np.ndarray:
        pieces_around_zero = [
            next(piece for piece in limits[detector, coupling] if piece[0] < 0 < piece[1]) for coupling in CHARGES[:2]
        ]
        return np.array(pieces_around_zero)

    nominal = rows[COMPARED.get(name, "as in the study")]
    nuclei, electrons = (
        100 * float(np.abs(ends(rows[name], detector) / ends(nominal, detector) - 1).max())
        for detector in (CSI, ELECTRON)
    )
    return nuclei, electrons


def combined_table() -> str:
    """What the same does to the limits of both data sets together."""
    lines = []
    for row in numbers()["combined"]:
        limits = {limit["coupling"]: limit["segments"] for limit in row["limits"] if limit["detector"] == BOTH}
        lines.append([row["variation"], *(pieces(limits[coupling], 1e-9) for coupling in CHARGES)])
    return table(["changed", *(f"{coupling} (1e-9 e)" for coupling in CHARGES)], lines, left=1)


@cache
def improvement_rows() -> tuple[Improvement, ...]:
    """The paper's claims beside the stored limits from data; the projections are computed anew."""
    return tuple(improvements(cl.load_study("parada2024").run()))


def improvement_table() -> str:
    """The improvement of the ESS, charge by charge."""
    lines = []
    for row in improvement_rows():
        unit, digits = (1e-10, 2) if "electron" in row.reference else (1e-9, 1)
        measured, projected = pieces(row.measured, unit, digits), pieces(row.projected, unit, digits)
        channels = "CEvNS and electrons" if "electron" in row.reference else "CEvNS"
        where = f"{unit:.0e} e".replace("e-09", "e-9")
        lines.append([row.coupling, channels, f"{projected} {where}", f"{measured} {where}"])
        lines[-1] += [f"{row.ratio:.1f}", row.claim, row.verdict]
    columns = ["charge", "channels", "ESS", "COHERENT", "ratio", "the paper", "verdict"]
    return table(columns, lines)


BLOCKS = {
    "fit": fit_table,
    "limits": limits_table,
    "electrons": electron_table,
    "variations": variations_table,
    "combined": combined_table,
    "improvement": improvement_table,
}


def page() -> str:
    """The page with its marked blocks made anew."""
    return with_blocks(PAGE, "coherent_study.py", BLOCKS)


def agrees() -> bool:
    """Whether the page is what the kept numbers give, and these are of the data that the package's own limits are."""
    segments = {(row["detector"], row["coupling"]): row["segments"] for row in numbers()["coherent"]["limits"]}
    agreement = all(
        np.allclose(segments[row["detector"], row["coupling"]], row["segments"], rtol=1e-3)
        for row in stored()["limits"]
    )
    return agreement and page() == PAGE.read_text(encoding="utf-8")


def main() -> None:
    """Compute, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say whether page and numbers agree; exit status 1 if not")
    parser.add_argument("--write", action="store_true", help="write the page from the kept numbers, computing nothing")
    parser.add_argument("--data", type=Path, help="folder of the data; else CEVNSLAB_DATA, or they are downloaded")
    parser.add_argument("-o", "--output", type=Path, help="keep the studies' files there")
    arguments = parser.parse_args()
    if arguments.check:
        if not agrees():
            raise SystemExit("docs/coherent.md is not what docs/data/coherent.json and the stored limits give")
        return
    if not arguments.write:
        with nullcontext(arguments.output) if arguments.output else tempfile.TemporaryDirectory() as folder:
            compute(arguments.data, Path(folder))
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
