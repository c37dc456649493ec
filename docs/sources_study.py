"""The numbers and figures of `sources.md`: fluxes, what the choices of a source move, published rates.

`python docs/sources_study.py` computes all (some seconds), keeps the numbers in `data/sources.json`, draws the figures
and writes the page; `--check` computes the numbers again and says whether they and the page agree. Nothing between the
page's markers is typed by hand.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from marked_blocks import with_blocks

import cevnslab as cl
from cevnslab.physics.flavour import FLAVOURS, NUFIT
from cevnslab.physics.reactor_spectra import MuellerSpectra, huber_mueller, u238_captures
from cevnslab.physics.solar_propagation import mass_state_shares
from cevnslab.physics.sources import BRANCHES, neutrinos_per_cm2, total_flux_per_cm2_s
from cevnslab.physics.sources.solar import spectrum_points

DOCS = Path(__file__).resolve().parent
PAGE, DATA, FIGURES = DOCS / "sources.md", DOCS / "data" / "sources.json", DOCS / "figures"
PUBLISHED, STUDIES = DOCS / "data" / "published-rates.yaml", DOCS / "examples" / "published"
DPI, COLOURS = 90, 64

Row = dict[str, Any]
Keys = Mapping[str, Any]

FUEL = (("U235", 0.571), ("U238", 0.076), ("Pu239", 0.299), ("Pu241", 0.054))
"""Of the preset."""
SHARP: Keys = {"resolution": "none", "efficiency": 1.0, "background_ckd": 0.0}
GERMANIUM: Keys = {"target": "Ge", "mass_kg": 1, "distance_m": 20, "quenching": {"lindhard_k": 0.162}, **SHARP}
XENON: Keys = {"target": "Xe", "mass_kg": 1000, **SHARP}
ON_LIGHT: Keys = {"quenching": 0.12, **XENON}

REACTORS: Mapping[str, Keys] = {
    "huber-mueller (default)": {},
    "mueller, to 8 MeV": {"spectrum": "mueller"},
    "with 0.6 captures": {"captures": 0.6},
    "total flux of the default, 0.6 captures": {"captures": 0.6, "total": True},
}
SUNS: Mapping[str, Keys] = {
    "8B, SNO, Winter (default)": {"branches": ["8B"]},
    "8B of B16-GS98": {"branches": ["8B"], "flux": "b16-gs98"},
    "8B with Bahcall's shape": {"branches": ["8B"], "shape_8b": "bahcall"},
    "hep": {"branches": ["hep"]},
    "pp": {"branches": ["pp"]},
    "7Be": {"branches": ["7Be"]},
    "pep": {"branches": ["pep"]},
    "CNO": {"branches": ["13N", "15O", "17F"]},
    "8B, sin²θ₂₃ 0.56": {"branches": ["8B"], "oscillation": {"sin2_theta23": 0.56}},
    "8B, δ 90°": {"branches": ["8B"], "oscillation": {"delta_deg": 90.0}},
}
BURSTS: Mapping[str, Keys] = {
    "as emitted (default)": {},
    "normal ordering": {"ordering": "normal"},
    "inverted ordering": {"ordering": "inverted"},
    "pinching 2": {"pinching": 2.0},
    "nu_x as hot as anti_nu_e": {"mean_energy_mev": {"nu_e": 12.0, "anti_nu_e": 14.0, "nu_x": 14.0}},
}


def response(source: Any, detector: Keys, channel: str = "cevns", coupling: str = "q_ee") -> cl.Response:
    """The response of one detector for a year, or for a burst."""
    study = {
        "name": "sources",
        "source": source,
        "couplings": [coupling],
        "channels": [channel],
        "uncertainties": {"signal": 0.1, "background": 0.1},
        "detectors": [{"name": "detector", **detector}],
    }
    burst = isinstance(source, Mapping) and source.get("preset") == "supernova"
    return cl.study_from_dict(study if burst else {**study, "exposure_years": 1}).setups[0].response


def window(low: float, high: float, unit: str = "kev") -> Row:
    """Keys of a single bin."""
    return {f"threshold_{unit}": low, f"maximum_{unit}": high, "bins": 1}


def reactor_rows() -> list[Row]:
    """Germanium at 20 m from the preset's 3 GW: counts per kg and day."""
    default = cl.load_source("reactor")
    days = default.beam_days(1)
    rows = []
    for name, keys in REACTORS.items():
        source = {"preset": "reactor", **{key: value for key, value in keys.items() if key != "total"}}
        if keys.get("total"):
            source |= {"total_flux_per_cm2_s": total_flux_per_cm2_s(default, 20.0), "reference_distance_m": 20.0}
        low, high, electrons = (
            response(source, {**GERMANIUM, **window(*edges, "kevee")}, channel)
            for edges, channel in (((0.16, 0.35), "cevns"), ((0.25, 0.35), "cevns"), ((2.0, 8.0), "electron"))
        )
        above = low.parts.get("cevns", {}).get("above_8_mev")
        rows.append(
            {
                "choice": name,
                "160 to 350 eVee": float(low.counts()[0]) / days,
                "250 to 350 eVee": float(high.counts()[0]) / days,
                "of it above 8 MeV": 0.0 if above is None else float(above[0, 0] / low.counts()[0]),
                "electrons, 2 to 8 keV": float(electrons.counts()[0]) / days,
            }
        )
    return rows


def solar_rows() -> list[Row]:
    """A tonne of xenon for a year: nuclei above 0.5 and 1 keV, electrons from 2 to 30 keV, and couplings."""
    rows = []
    for name, keys in SUNS.items():
        source = {"preset": "solar", **keys}
        row: Row = {"choice": name}
        for threshold in (0.5, 1.0):
            try:
                counts = response(source, {**XENON, **window(threshold, 5.0)}).counts()[0]
            except cl.CevnslabError:  # no recoil reaches the bin
                counts = 0.0
            row[f"nuclei above {threshold:g} keV"] = float(counts)
        electrons = response(source, {**ON_LIGHT, **window(2.0, 30.0, "kevee")}, "electron")
        row["electrons, 2 to 30 keV"] = float(electrons.counts()[0])
        rows.append(row)
    for row, keys in zip(rows, SUNS.values(), strict=True):
        if keys["branches"] == ["8B"]:
            source = {"preset": "solar", **keys}
            for coupling, value in (("eps_emu_u", 0.1), ("eps_emu_u", -0.1), ("q_mumu", 2e-8)):
                folded = response(source, {**XENON, **window(0.5, 5.0)}, coupling=coupling)
                ratio = folded.counts(**{coupling: value})[0] / folded.counts()[0]
                row[f"{coupling} = {value:g}"] = float(ratio)
    return rows


def burst_rows() -> list[Row]:
    """A tonne of xenon and of argon at 10 kpc, and what couplings do to xenon."""
    rows = []
    for name, keys in BURSTS.items():
        source = {"preset": "supernova", **keys}
        row: Row = {"choice": name}
        argon = {"target": "Ar", "mass_kg": 1000, **SHARP}
        for what, target, threshold in (("xenon, 0.7 keV", XENON, 0.7), ("argon, 1 keV", argon, 1.0)):
            row[what] = float(response(source, {**target, **window(threshold, 400.0)}).counts()[0])
        for coupling, value in (("eps_ee_u", 0.1), ("eps_tautau_u", 0.1), ("eps_emu_u", 0.1)):
            folded = response(source, {**XENON, **window(0.7, 400.0)}, coupling=coupling)
            row[f"{coupling} = {value:g}"] = float(folded.counts(**{coupling: value})[0] / folded.counts()[0])
        rows.append(row)
    return rows


def published_rows() -> list[Row]:
    """Published rates beside ours, by the studies of `examples/published`."""
    entries = yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))
    setups = {
        (entry["study"], setup.name): setup
        for entry in entries
        for setup in cl.load_study(STUDIES / f"{entry['study']}.yaml").setups
    }
    rows = []
    for entry in entries:
        setup = setups[entry["study"], entry["detector"]]
        counts = float(setup.response.counts().sum())
        if entry["quantity"] == "flux_1e13":
            ours = total_flux_per_cm2_s(setup.source, setup.detector.distance_m) / 1e13
        elif entry["quantity"] == "cross_section_1e-39_cm2":
            target = setup.detector.target
            nuclei = setup.detector.mass_kg * target.nuclei_per_kg(target.constituents[0])
            ours = counts / nuclei / neutrinos_per_cm2(setup.source, None, setup.exposure_years) / 1e-39
        else:
            ours = counts
        rows.append({**entry, "ours": float(ours)})
    return rows


def numbers() -> Row:
    """All numbers of the page."""
    return {
        "reactor": reactor_rows(),
        "sun": solar_rows(),
        "supernova": burst_rows(),
        "published": published_rows(),
    }


def save(figure: Any, name: str) -> None:
    """A small PNG of the documentation: few colours."""
    from PIL import Image

    FIGURES.mkdir(exist_ok=True)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=DPI)
    Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        FIGURES / f"{name}.png", optimize=True
    )


def spectrum_counts(source: Any, detector: Keys, edges: np.ndarray, channel: str = "cevns") -> np.ndarray:
    """Counts per keV of a year or a burst in fine bins."""
    unit = "kevee" if "quenching" in detector else "kev"
    folded = response(source, {**detector, f"bin_edges_{unit}": edges.tolist()}, channel)
    return folded.counts() / np.diff(edges)


def pion_figure(axes: Sequence[Any]) -> None:
    """Fluence of a year at 20 m from the ESS, and germanium's recoils by kind of neutrino."""
    from cevnslab.physics.sources import PION_DECAY_AT_REST

    source = cl.load_source("ess")
    scale = source.fluence_per_cm2(20.0, 1) / 1e15
    energy = np.linspace(0.1, 53, 500)
    for part in PION_DECAY_AT_REST[1:]:
        axes[0].plot(energy, scale * part.spectrum.density_per_mev(energy), label=part.name)
    axes[0].axvline(cl.sources.PROMPT_ENERGY_MEV, color="0.4", ls="--", label="prompt nu_mu (line)")
    axes[0].set(xlabel="neutrino energy (MeV)", ylabel="10¹⁵ per cm² and MeV in a year", xlim=(0, 55), ylim=(0, None))
    edges = np.geomspace(0.5, 80, 60)
    middle = np.sqrt(edges[1:] * edges[:-1])
    for label, distance in (("20 m", 20), ("28 m", 28)):
        counts = spectrum_counts("ess", {"target": "Ge", "mass_kg": 7, "distance_m": distance, **SHARP}, edges)
        axes[1].plot(middle, counts, label=f"Ge, {label}")
    for target, radius in (("Xe", 4.79), ("Ar", 3.40)):
        keys = {"target": target, "mass_kg": 7, "distance_m": 20, "rms_radius_fm": radius, **SHARP}
        axes[1].plot(middle, spectrum_counts("ess", keys, edges), ls="--", label=f"{target}, 20 m")
    axes[1].set(xlabel="recoil energy (keV)", ylabel="counts per keV, 7 kg, a year", xscale="log", yscale="log")
    axes[1].set_ylim(0.1, 2e3)


def reactor_figure(axes: Sequence[Any]) -> None:
    """Antineutrinos per fission, and how far the counts of two spectra are apart."""
    energy = np.linspace(0.05, 13, 1500)
    default, today = huber_mueller().mixture(FUEL), MuellerSpectra().mixture(FUEL)
    total = sum(each.per_fission * each.spectrum.density_per_mev(energy) for each in default)
    axes[0].plot(energy, total, label="huber-mueller")
    earlier = today[0].per_fission * today[0].spectrum.density_per_mev(energy)
    axes[0].plot(energy[earlier > 0], earlier[earlier > 0], "--", label="mueller")
    captures = 1.2 * u238_captures().spectrum.density_per_mev(energy)
    axes[0].plot(energy[captures > 0], captures[captures > 0], ":", label="0.6 captures on U-238")
    axes[0].axvspan(8, 13, color="0.9", label="above_8_mev")
    axes[0].set(xlabel="antineutrino energy (MeV)", ylabel="per MeV and fission", yscale="log", ylim=(1e-7, 10))
    edges = np.linspace(0.1, 0.5, 41)
    middle = (edges[1:] + edges[:-1]) / 2
    base = spectrum_counts({"preset": "reactor", "spectrum": "mueller"}, GERMANIUM, edges)
    seen = base > 1e-6 * base[0]
    middle, base = middle[seen], base[seen]
    for factor in (1.0, 0.8, 0.5):
        folded = response("reactor", {**GERMANIUM, "bin_edges_kevee": edges.tolist()})
        parts = folded.parts["cevns"]
        counts = (parts[""][0] + factor * parts["above_8_mev"][0]) / np.diff(edges)
        axes[1].plot(middle, counts[seen] / base, label=f"factor above 8 MeV {factor:g}")
    axes[1].set(xlabel="light (keVee), germanium, k = 0.162", ylabel="counts over those of mueller", ylim=(0.9, 3))


def solar_figure(axes: Sequence[Any]) -> None:
    """Fluxes of the branches; what arrives; recoils in xenon; what a transition coupling does."""
    for number, (name, branch) in enumerate(BRANCHES.items()):
        colour = f"C{number}"
        if branch.lines:
            for energy, share in branch.lines:
                axes[0].vlines(energy, 1, branch.flux_per_cm2_s * share, color=colour, ls="--")
            axes[0].plot([], [], color=colour, ls="--", label=f"{name} (line)")
            continue
        energy, density = (np.array(points) for points in spectrum_points(name))
        axes[0].plot(energy, branch.flux_per_cm2_s * density, color=colour, label=name)
    axes[0].set(xlabel="neutrino energy (MeV)", ylabel="per cm², s (and MeV)", xscale="log", yscale="log")
    axes[0].set(xlim=(0.1, 20), ylim=(1, 1e12))
    energy = np.geomspace(0.1, 16, 300)
    shares = mass_state_shares(energy, BRANCHES["8B"].electron_density)
    mixing = NUFIT.mixing
    rho = np.einsum("ai,ie,bi->abe", mixing, shares, mixing.conj()).real
    for row, column in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
        style = "-" if row == column else "--"
        axes[1].plot(energy, rho[row, column], style, label=f"{FLAVOURS[row]} {FLAVOURS[column]}")
    axes[1].set(
        xlabel="neutrino energy (MeV)", ylabel="density matrix of 8B (real part)", xscale="log", ylim=(-0.6, 0.7)
    )
    edges = np.linspace(0.1, 4.4, 87)
    middle = (edges[1:] + edges[:-1]) / 2
    for label, keys in (("8B, Winter", {}), ("8B, Bahcall", {"shape_8b": "bahcall"}), ("hep", {"branches": ["hep"]})):
        counts = spectrum_counts({"preset": "solar-8b", **keys}, XENON, edges)
        axes[2].plot(middle, counts, label=label)
    axes[2].set(xlabel="recoil energy (keV), xenon", ylabel="per t, year and keV", yscale="log", ylim=(0.01, 3e3))
    for coupling in ("eps_ee_u", "eps_emu_u", "eps_etau_u"):
        folded = response("solar-8b", {**XENON, **window(0.5, 5.0)}, coupling=coupling)
        values = np.linspace(-0.4, 0.6, 81)
        counts = np.array([folded.counts(**{coupling: float(value)})[0] for value in values])
        axes[3].plot(values, counts / folded.counts()[0], label=coupling)
    axes[3].axhline(1.0, color="0.7", lw=0.8)
    axes[3].set(xlabel="coupling", ylabel="8B counts over the Standard Model's", ylim=(0, 4))


def supernova_figure(axes: Sequence[Any]) -> None:
    """Fluences of the species, and recoils with couplings for every ordering."""
    source = cl.load_source("supernova")
    energy = np.linspace(0.1, 60, 400)
    scale = source.fluence_per_cm2(None, 1) / 1e10
    for part, label in zip(source.components, ("nu_e", "anti_nu_e", "each nu_x"), strict=False):
        axes[0].plot(energy, scale * part.yield_per_primary * part.spectrum.density_per_mev(energy), label=label)
    axes[0].set(xlabel="neutrino energy (MeV)", ylabel="10¹⁰ per cm² and MeV, 10 kpc", ylim=(0, None), xlim=(0, 60))
    edges = np.geomspace(0.3, 40, 50)
    middle = np.sqrt(edges[1:] * edges[:-1])
    base = spectrum_counts({"preset": "supernova"}, XENON, edges)
    axes[1].axhline(1.0, color="0.3", lw=0.8)
    for coupling, colour in (("eps_ee_u", "C0"), ("eps_emu_u", "C1")):
        for ordering, line in (("none", "-"), ("normal", "--"), ("inverted", ":")):
            keys = {"preset": "supernova", "ordering": ordering}
            folded = response(keys, {**XENON, "bin_edges_kev": edges.tolist()}, coupling=coupling)
            ratio = folded.counts(**{coupling: 0.1}) / np.diff(edges) / base
            axes[1].plot(middle, ratio, line, color=colour, label=f"{coupling} = 0.1, {ordering}")
    axes[1].set(xlabel="recoil energy (keV), xenon", ylabel="counts over the Standard Model's", xscale="log")


def draw() -> None:
    """All figures of the page."""
    from matplotlib import rc_context

    from cevnslab.figures import style

    with rc_context(style.RC):
        for name, draw_one, panels in (
            ("source-pion-decay", pion_figure, 2),
            ("source-reactor", reactor_figure, 2),
            ("source-solar", solar_figure, 4),
            ("source-supernova", supernova_figure, 2),
        ):
            figure, grid = style.panel_grid(panels, 2)
            draw_one(grid)
            for axes in grid:
                axes.legend(fontsize=8, frameon=False)
                style.finish(axes)
            save(figure, name)


def table(columns: Sequence[str], lines: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; all but the first columns are aligned to the right."""
    rule = ["---" if number < left else "---:" for number in range(len(columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, rule, *lines))


def plain(rows: Sequence[Row]) -> str:
    """A table of choices, numbers with three or four digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))

    def text(value: Any) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        return "0" if value == 0 else f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"

    return table(columns, [[text(row.get(column)) for column in columns] for row in rows])


def published_table(rows: Sequence[Row]) -> str:
    """Published and ours."""
    lines = [
        [row["paper"], row["what"], f"{row['published']:g}", f"{row['ours']:.4g}", row["study"], row["note"]]
        for row in rows
    ]
    return table(["paper", "rate", "published", "ours", "study", "note"], lines, left=2)


def page(stored: Row) -> str:
    """The page with its marked blocks made anew."""
    blocks = {name: lambda name=name: plain(stored[name]) for name in ("reactor", "sun", "supernova")}
    blocks["published"] = lambda: published_table(stored["published"])
    return with_blocks(PAGE, "sources_study.py", blocks)


def same(saved_rows: Any, now: Any) -> bool:
    """Whether two sets of numbers agree to 1e-6."""
    if isinstance(saved_rows, dict):
        return saved_rows.keys() == now.keys() and all(same(saved_rows[key], now[key]) for key in saved_rows)
    if isinstance(saved_rows, list):
        return len(saved_rows) == len(now) and all(same(a, b) for a, b in zip(saved_rows, now, strict=True))
    if isinstance(saved_rows, float) or isinstance(now, float):
        return bool(np.isclose(saved_rows, now, rtol=1e-6, atol=1e-12))
    return bool(saved_rows == now)


def main() -> None:
    """Compute, write or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compute the numbers again; exit status 1 if they differ")
    arguments = parser.parse_args()
    if arguments.check:
        record = json.loads(DATA.read_text(encoding="utf-8"))["numbers"]
        if not same(record, numbers()) or page(record) != PAGE.read_text(encoding="utf-8"):
            raise SystemExit("docs/sources.md is not what the package computes: make sources")
        return
    record = numbers()
    about = "Numbers of docs/sources.md, made by docs/sources_study.py; never edited by hand."
    DATA.write_text(
        json.dumps({"about": about, "numbers": record}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    draw()
    PAGE.write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main()
