"""The numbers of `validation.md`: computed here and written into the page between its markers.

`python docs/validation_study.py` computes them all (some seconds) and writes the page; `--check` says whether page and
numbers agree. Nothing between the markers is typed by hand. Numbers of real data are those that `coherent_study.py`
keeps in `data/coherent.json`, simulated ones those that `coverage_study.py` keeps, so that neither is needed here.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from marked_blocks import with_blocks

import cevnslab as cl
from cevnslab.datasets.registry import built_in
from cevnslab.inference.chi2 import Chi2
from cevnslab.inference.intervals import interval
from cevnslab.likelihood.likelihood import Likelihood
from cevnslab.physics import constants, mediators
from cevnslab.physics.couplings import COUPLINGS, Coupling, light_scalar, light_vector
from cevnslab.physics.cross_sections import differential
from cevnslab.physics.electromagnetic import CHARGE_RADIUS_PER_CM2
from cevnslab.physics.sources import PION_DECAY_AT_REST, PionDecayAtRest
from cevnslab.reports.improvement import improvements
from cevnslab.reports.published import compare
from cevnslab.studies import presets

DOCS = Path(__file__).resolve().parent
PAGE, DATA = DOCS / "validation.md", DOCS / "data"
GOLDEN = DOCS.parent / "tests" / "data"
PAPER, RATES = "parada2024", "event-rates.yaml"

Row = dict[str, Any]


@cache
def all_published() -> Row:
    """Every entry of the package's file of published numbers, and the collaborations' fits to their data."""
    path = Path(cl.__file__).parent / "data" / "published.yaml"
    content: Row = yaml.safe_load(path.read_text(encoding="utf-8"))
    entries = {name: folder.description.published for name, folder in built_in().items()}
    known = {name: entry.model_dump() for name, entry in entries.items() if entry is not None}
    rows = {name: entry["rows"] for name, entry in known.items()}
    improvement = {"improvement": content.pop("improvement")}  # it rests on the fits
    return {
        **content,
        "fits": {"source": "; ".join(entry["source"] for entry in known.values()), "rows": rows},
        **improvement,
    }


@cache
def result_of(name: str) -> cl.Result:
    """The result of a study, computed once."""
    return cl.load_study(name).run()


@cache
def reference(name: str) -> Row:
    """A file of reference numbers."""
    content: Row = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return content


def table(columns: Sequence[str], lines: Iterable[Sequence[str]], left: int = 2) -> str:
    """A Markdown table; all but the first columns are aligned to the right."""
    rule = ["---" if number < left else "---:" for number in range(len(columns))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (columns, rule, *lines))


def source_line(name: str, command: str) -> str:
    """What a table is compared with, and what makes our side."""
    return f"Source: {all_published()[name]['source']}. Ours: `{command}`."


# Published numbers ----------------------------------------------------------------------------------------------------


def limits_table(name: str, result: cl.Result) -> str:
    """Every published end of an interval beside ours."""
    lines, equal = [], 0
    rows = [row for row in compare(result, all_published()[name]) if row.published is not None]
    for row in rows:
        assert row.published is not None
        assert row.digit is not None
        assert row.difference is not None
        decimals = max(0, round(math.log10(10 ** math.floor(math.log10(abs(row.published))) / row.digit)))
        equal += bool(row.agrees_after_rounding)
        verdict = "equal" if row.agrees_after_rounding else "differs"
        ours, theirs = f"{row.ours:.{decimals + 2}e}", f"{row.published:.{decimals}e}"
        lines.append([row.detector, row.coupling, theirs, ours, f"{100 * row.difference:+.1f} %", verdict])
    unit = all_published()[name].get("unit", "")
    columns = ["detector", "coupling", f"published ({unit})", f"ours ({unit})", "difference", "after rounding"]
    return table(columns, lines) + f"\n\n{equal} of {len(rows)} are equal after rounding."


def rates_table() -> str:
    """Event rates of perfect detectors."""
    spectra = {spectrum.detector: float(spectrum.cevns.sum()) for spectrum in result_of(str(DATA / RATES)).spectra}
    lines = []
    for detector, theirs in all_published()["event_rates"]["rows"].items():
        ours = spectra[detector]
        lines.append([detector, "CEvNS per year", f"{theirs}", f"{ours:.1f}", f"{100 * (ours / theirs - 1):+.1f} %"])
    return table(["detector", "quantity", "published", "ours", "difference"], lines)


def kept_coherent() -> Row:
    """What `coherent_study.py` keeps of the data's analysis."""
    content: Row = json.loads((DATA / "coherent.json").read_text(encoding="utf-8"))
    return content


def fit_table() -> str:
    """The Standard Model fit to COHERENT's data."""
    fit = {(row["detector"], row["parameter"]): row for row in kept_coherent()["coherent"]["fit"]}
    lines = []
    for detector, rows in all_published()["fits"]["rows"].items():
        for parameter, theirs in rows.items():
            ours = fit[detector, parameter]
            difference = f"{100 * (ours['value'] / theirs['value'] - 1):+.1f} %"
            lines.append([detector, parameter, _with_error(theirs), _with_error(ours), difference])
    return table(["data", "quantity", "published", "ours", "difference"], lines)


def _with_error(row: Row) -> str:
    error = row.get("error")
    return f"{row['value']:.4g}" if not error else f"{row['value']:.4g} ± {error:.2g}"


def electron_table() -> str:
    """Limits from CsI with electrons."""
    segments = {(row["detector"], row["coupling"]): row["segments"] for row in kept_coherent()["coherent"]["limits"]}
    lines = []
    for detector, rows in all_published()["coherent"]["rows"].items():
        for coupling, theirs in rows.items():
            ((low, high),) = segments[detector, coupling]
            for ours, known in ((low, theirs["values"][0]), (high, theirs["values"][1])):
                difference = f"{100 * (ours / known - 1):+.1f} %"
                lines.append([detector, coupling, f"{known:.1e}", f"{ours:.2e}", difference])
    return table(["data", "coupling", "published (e)", "ours (e)", "difference"], lines)


def improvement_table() -> str:
    """What the paper says of the improvement over COHERENT."""
    lines = [
        [row.coupling, row.detector, row.reference, row.claim, f"{row.ratio:.1f}", row.verdict]
        for row in improvements(result_of(PAPER))
    ]
    return table(["coupling", "ESS detector", "data", "the paper", "ours", "verdict"], lines, left=4)


def published_tables() -> str:
    """A section per entry of published.yaml; an entry that nothing compares with is an error."""
    sections = {
        PAPER: ("Table 2", "cevnslab reproduce", lambda: limits_table(PAPER, result_of(PAPER))),
        "event_rates": ("Event rates of the ESS proposal", f"cevnslab run docs/data/{RATES}", rates_table),
        "fits": ("COHERENT: counts", "cevnslab reproduce coherent", fit_table),
        "coherent": ("COHERENT: limits with electrons", "cevnslab reproduce coherent", electron_table),
        "improvement": ("Improvement over COHERENT", "cevnslab reproduce", improvement_table),
    }
    parts = []
    for name, entry in all_published().items():
        if name in sections:
            title, command, table = sections[name]
        elif name in presets.names("studies"):
            title, command = f"Study {name}", f"cevnslab reproduce {name}"

            def table(name: str = name) -> str:
                return limits_table(name, result_of(name))

        else:
            raise SystemExit(f"published numbers: nothing here compares with the entry {name}: {entry}")
        parts.append(f"### {title}\n\n{source_line(name, command)}\n\n{table()}")
    return "\n\n".join(parts)


# Numerical accuracy ---------------------------------------------------------------------------------------------------


@dataclass
class Accuracy:
    """The largest relative difference of each kind of quantity."""

    largest: dict[str, tuple[int, float]] = field(default_factory=dict)

    def add(self, kind: str, ours: float, expected: float, floor: float = 0.0) -> None:
        """Compare two numbers, relative to the expected one or to a floor where that is larger."""
        scale = max(abs(expected), floor)
        difference = abs(ours - expected) / scale if scale else abs(ours)
        number, largest = self.largest.get(kind, (0, 0.0))
        self.largest[kind] = number + 1, max(largest, difference)


FLAVOURS = {"nue": ("e", False), "numu": ("mu", False), "numubar": ("mu", True)}
DETECTORS = {
    "CsI": "ess-csi",
    "Xe": "ess-xe",
    "Ge": "ess-ge",
    "Ar": "ess-ar",
    "Si": "ess-si",
    "CsI+electron, quenching 0.1": "ess-csi-electron",
    "CsI+electron, quenching 1.0": "ess-csi-electron-same-axis",
    "CsI+ES QF=0.1": "ess-csi-electron",
    "CsI+ES QF=1.0": "ess-csi-electron-same-axis",
}
CHARGES = {"univ": "universal", "bl": "b-l", "lmlt": "lmu-ltau"}
UNITS = {"1e-9 e": 1e-9, "1e-32 cm^2": 1e-32, "1": 1.0, "shift": 1.0, "g^2": 1.0}
TAIL = 1e-2
"""A bin with less than this share of the detector's counts is compared relative to it: Gaussian tails are zero."""


@dataclass(frozen=True)
class _OneFlavour(PionDecayAtRest):
    only: tuple[str, bool] = ("e", False)

    @property
    def components(self) -> Any:
        return tuple(c for c in PION_DECAY_AT_REST if (c.flavour, c.antineutrino) == self.only)


def one_flavour(name: str) -> _OneFlavour:
    """The ESS with one kind of neutrino."""
    ess: Any = cl.load_source("ess")
    return _OneFlavour(
        ess.name,
        ess.protons_per_year,
        ess.neutrinos_per_proton,
        ess.hours_per_year,
        ess.duty_factor,
        only=FLAVOURS[name],
    )


def compare_constants(accuracy: Accuracy) -> None:
    """Constants, masses and radii."""
    ours = {
        "GF_MeV_m2": constants.FERMI_CONSTANT,
        "alpha_inv": 1 / constants.FINE_STRUCTURE,
        "hbarc_MeV_fm": constants.HBAR_C_MEV_FM,
        "u_MeV": constants.ATOMIC_MASS_UNIT_MEV,
        "m_e_MeV": constants.ELECTRON_MASS_MEV,
        "m_mu_MeV": constants.MUON_MASS_MEV,
        "m_pi_MeV": constants.CHARGED_PION_MASS_MEV,
        "N_A": constants.AVOGADRO,
        "sin2thetaW": constants.SIN2_THETA_W,
    }
    beyond = {
        "C_p_scalar": mediators.SCALAR_ON_PROTON,
        "C_n_scalar": mediators.SCALAR_ON_NEUTRON,
        "charge_radius_kernel_per_1e-32cm2": CHARGE_RADIUS_PER_CM2 * 1e-32,
    }
    for golden, values in (("golden", ours), ("golden-couplings", beyond)):
        for name, value in values.items():
            accuracy.add("constants", value, reference(golden)["constants"][name])
    for symbol, row in reference("golden")["nuclei"].items():
        nucleus = cl.nuclei.target(symbol).constituents[0].nucleus
        accuracy.add("nuclear masses", nucleus.mass_mev, row["M_MeV"])
    for row in reference("golden")["helm"]:
        accuracy.add("Helm form factor", float(cl.form_factors.helm(row["q_MeV"], row["R_fm"])), row["F"])
    flux, ess = reference("golden")["flux"], cl.load_source("ess")
    accuracy.add("flux", ess.fluence_per_cm2(20.0, 1), flux["eta_per_year_cm2"])
    for row in flux["shape_unit_normalised"]:
        nu_e, anti_nu_mu = cl.sources.NU_E_SPECTRUM, cl.sources.ANTI_NU_MU_SPECTRUM
        accuracy.add("flux", float(nu_e.density_per_mev(row["E_MeV"])), row["f_nue_per_MeV"])
        accuracy.add("flux", float(anti_nu_mu.density_per_mev(row["E_MeV"])), row["f_numubar_per_MeV"])
    for symbol, steps in reference("golden")["Z_eff_steps"]["values"].items():
        for row in steps:
            # Two subshells of iodine share an energy: both are free just above it.
            energy = row["for_T_above_keV"]
            expected = max(r["Z_eff_above"] for r in steps if abs(r["for_T_above_keV"] - energy) < 1e-9)
            accuracy.add(
                "electrons that a recoil frees", float(cl.atoms.effective_charge(symbol, energy + 1e-7)), expected
            )


def compare_cross_sections(accuracy: Accuracy) -> None:
    """Cross sections of the Standard Model and of millicharges, then of every other coupling."""
    for row in reference("golden")["dsigma_nucleus"]["values"]:
        at = row["T_keV"], row["E_MeV"], row["nucleus"]
        kind = "CEvNS cross section: Standard Model, charges"
        for key, couplings in (
            ("SM_cm2_per_keV", {}),
            ("diag_q_plus_5e9", {"q_ee": 5e-9}),
            ("diag_q_minus_5e9", {"q_ee": -5e-9}),
            ("transition_q_1e8", {"q_emu": 1e-8}),
        ):
            ours = float(cl.cross_sections.cevns(*at, couplings=couplings))
            # The file's transition is the whole cross section.
            accuracy.add(kind, ours, row[key])
    for row in reference("golden")["dsigma_electron"]["values"]:
        flavour, antineutrino = FLAVOURS[row["flavour"]]
        diagonal, other = ("q_ee", "q_emu") if flavour == "e" else ("q_mumu", "q_emu")
        for key, couplings in (
            ("SM_cm2_per_keV", {}),
            ("diag_q_plus_1e10", {diagonal: 1e-10}),
            ("diag_q_minus_1e10", {diagonal: -1e-10}),
            ("transition_q_1e10", {other: 1e-10}),
        ):
            options: Row = {"couplings": couplings, "incoming": flavour, "antineutrino": antineutrino}
            ours = float(differential("electron", row["T_e_keV"], row["E_MeV"], row["atom"], **options))
            accuracy.add("electron cross section: Standard Model, charges", ours, row[key])
    compare_other_couplings(accuracy)


def declared(entry: Row, flavour: str) -> Coupling | None:
    """The coupling that a row of the reference file means, with its strength itself as value."""
    short, pair = entry["coupling"], {"e": "ee", "mu": "mumu"}[flavour]
    if short in CHARGES:
        coupling = light_vector(CHARGES[short], entry["m_MeV"], "g")
    else:
        names = {"q": f"q_{pair}", "r2": f"r2_{pair}", "s2w": "sin2_theta_w"}
        names |= {f"eps_{quark}": f"eps_{pair}_{quark}" for quark in "ud"}
        if short not in names:
            return None
        coupling = COUPLINGS[names[short]]
    return replace(coupling, power=1, reference=0.0, bounds=(-math.inf, math.inf))


def compare_other_couplings(accuracy: Accuracy) -> None:
    """Charge radii, NSI, mixing angle, mediators; magnetic moments and radiative corrections."""
    golden = reference("golden-couplings")
    for channel, rows in (
        ("cevns", golden["dsigma_nucleus"]["values"]),
        ("electron", golden["dsigma_electron"]["values"]),
    ):
        kind = f"{'CEvNS' if channel == 'cevns' else 'electron'} cross section: other couplings"
        for row in rows:
            material = row["nucleus"] if channel == "cevns" else row["atom"]
            for entry in row["vector_like"]:
                flavour, antineutrino = FLAVOURS[entry.get("incoming", row.get("incoming"))]
                coupling = declared(entry, flavour)
                if coupling is None:
                    continue
                options: Row = {"incoming": flavour, "antineutrino": antineutrino}
                options["couplings"] = {coupling: entry["value"] * UNITS[entry["unit"]]}
                ours = float(differential(channel, row["T_keV"], row["E_MeV"], material, **options))
                accuracy.add(kind, ours, entry["diagonal_total"])
            incoming, antineutrino = FLAVOURS[row.get("incoming", "nue")]
            plain: Row = {"incoming": incoming, "antineutrino": antineutrino}
            for coupling, value, expected in [
                (COUPLINGS[f"mu_{incoming}"], row["magnetic"]["mu_muB"], row["magnetic"]["added"]),
                *((light_scalar(e["m_MeV"], "s"), e["g"], e["added"]) for e in row["scalar"]),
            ]:
                accuracy.add(kind, added(channel, row, material, plain, coupling, value), expected)
            for name, expected in row.get("radiative", {}).items():
                flavour, antineutrino = FLAVOURS[name]
                corrected: Row = {"incoming": flavour, "antineutrino": antineutrino, "radiative_corrections": True}
                ours = float(differential(channel, row["T_keV"], row["E_MeV"], material, **corrected))
                accuracy.add("CEvNS cross section: radiative corrections", ours, expected)


def added(channel: str, row: Row, target_material: str, options: Row, coupling: Coupling, value: float) -> float:
    """What a coupling that interferes with nothing adds, at a strength where it is as large as the rest."""

    def sigma(couplings: Any = None) -> float:
        return float(differential(channel, row["T_keV"], row["E_MeV"], target_material, couplings=couplings, **options))

    plain = sigma()
    free = replace(coupling, power=1, bounds=(-math.inf, math.inf))
    strength = math.sqrt(plain / sigma({free: 1.0}))
    return (sigma({free: strength}) - plain) * (coupling.strength(value) / strength) ** 2


def compare_counts(accuracy: Accuracy) -> None:
    """Counts per bin: Standard Model, linear and quadratic coefficient of every coupling."""
    charges = reference("golden")
    for detector, content in charges["bins_CEvNS"]["values"].items():
        for incoming in FLAVOURS:
            name = "q_ee" if incoming == "nue" else "q_mumu"
            response = cl.response(
                one_flavour(incoming), cl.load_detector(DETECTORS[detector]), couplings=[name], years=3
            )
            for row in content["bins"]:
                add_bin(
                    accuracy, "counts per bin: Standard Model, charges", response, row["bin"], row[incoming], 1.0, 0
                )
    for quenching, rows in charges["bins_nue_CsI"]["values"].items():
        preset = DETECTORS[f"CsI+electron, quenching {quenching}"]
        for incoming in FLAVOURS:
            name = "q_ee" if incoming == "nue" else "q_mumu"
            options: Row = {"couplings": [name], "years": 3, "channels": ("electron",)}
            response = cl.response(one_flavour(incoming), cl.load_detector(preset), **options)
            for row in rows:
                add_bin(
                    accuracy,
                    "electron counts per bin: Standard Model, charges",
                    response,
                    row["bin"],
                    row[incoming],
                    1.0,
                    0,
                )
    for detector, content in reference("golden-couplings")["bins_CEvNS"]["values"].items():
        for incoming in FLAVOURS:
            named = bins_couplings(incoming)
            couplings = [coupling for coupling, _ in named.values()]
            response = cl.response(
                one_flavour(incoming), cl.load_detector(DETECTORS[detector]), couplings=couplings, years=3
            )
            for position, (name, (_, unit)) in enumerate(named.items()):
                for row in content[name][incoming]:
                    add_bin(accuracy, "counts per bin: other couplings", response, row["bin"], row, unit, position)


def bins_couplings(incoming: str) -> dict[str, tuple[Coupling, float]]:
    """The reference file's names of couplings, and the unit of the strength."""
    flavour = FLAVOURS[incoming][0]
    pair = flavour * 2
    result = {
        "mu_1e-10muB": (COUPLINGS[f"mu_{flavour}"], 1e-10),
        "r2_1e-32cm2": (COUPLINGS[f"r2_{pair}"], 1e-32),
        "eps_u": (COUPLINGS[f"eps_{pair}_u"], 1.0),
        "eps_d": (COUPLINGS[f"eps_{pair}_d"], 1.0),
        "s2w": (COUPLINGS["sin2_theta_w"], 1.0),
    }
    for mass in (1, 10, 100):
        for short, charges in CHARGES.items():
            result[f"{short}_g2_m{mass}"] = (light_vector(charges, mass, f"{short}{mass}"), 1.0)
        result[f"scal_g2_m{mass}"] = (light_scalar(mass, f"scal{mass}"), 1.0)
    return result


def add_bin(
    accuracy: Accuracy, kind: str, response: cl.Response, bin_: int, row: Row, unit: float, position: int
) -> None:
    """One bin's coefficients, relative to themselves or to a hundredth of the detector's."""
    rows = dict(zip(response.monomials, response.signal, strict=True))
    for key, monomial, power in (("SM", (), 0), ("lin", (position,), 1), ("quad", (position, position), 2)):
        if key not in row:
            continue
        counts = rows.get(monomial)
        ours = np.zeros_like(response.background) if counts is None else counts * unit**power
        accuracy.add(kind, float(ours[bin_]), row[key], TAIL * float(np.abs(ours).sum()))


def compare_limits(accuracy: Accuracy) -> None:
    """Chi^2 and limits of the charges."""
    likelihoods: dict[str, Likelihood] = {}
    names = ("q_ee", "q_mumu", "q_emu", "q_etau", "q_mutau")
    for preset in set(DETECTORS.values()) - {"ess-ar", "ess-si"}:
        channels = ("cevns", "electron") if "electron" in preset else ("cevns",)
        options: Row = {"couplings": names, "years": 3, "channels": channels}
        response = cl.response(cl.load_source("ess"), cl.load_detector(preset), **options)
        likelihoods[preset] = cl.likelihood(response, signal=0.10, background=0.01)
    for row in reference("golden")["chi2"]:
        chi2 = Chi2.of(likelihoods[DETECTORS[row["detector"]]], [f"q_{row['param']}"])
        accuracy.add("χ²", float(chi2(row["q"])), row["chi2"])
    for detector, rows in reference("golden")["limits_90CL"]["values"].items():
        for name, expected in rows.items():
            (piece,) = interval(Chi2.of(likelihoods[DETECTORS[detector]], [f"q_{name}"]), 0.90).segments
            for ours, known in zip(piece, expected, strict=True):
                accuracy.add("limits", ours, known)


@cache
def accuracy() -> Accuracy:
    """Everything that the reference files hold."""
    result = Accuracy()
    compare_constants(result)
    compare_cross_sections(result)
    compare_counts(result)
    compare_limits(result)
    return result


def accuracy_table() -> str:
    """Numbers compared, and the largest relative difference of each kind."""
    rows = [[kind, f"{number}", f"{largest:.0e}"] for kind, (number, largest) in accuracy().largest.items()]
    return table(["quantity", "numbers compared", "largest relative difference"], rows, left=1)


# Coverage -------------------------------------------------------------------------------------------------------------


def coverage_table() -> str:
    """Lowest and highest coverage of the true values that were simulated, per detector, coupling and convention."""
    with (DATA / "coverage.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    groups: dict[tuple[str, str, str, str], list[Row]] = {}
    for row in rows:
        key = row["detector"], row["coupling"], row["statistic"], row["convention"]
        groups.setdefault(key, []).append(row)
    lines = []
    for key, group in groups.items():
        values = [100 * float(row["coverage"]) for row in group]
        error = 100 * max(float(row["coverage_error"]) for row in group)
        span = f"{min(values):.1f}" if len(values) == 1 else f"{min(values):.1f} to {max(values):.1f}"
        at_zero = [f"{100 * float(row['coverage']):.1f}" for row in group if float(row["true_value"]) == 0]
        lines.append([*key, f"{len(group)}", (at_zero or [""])[0], span, f"{error:.2f}"])
    columns = ["detector", "coupling", "statistic", "convention", "true values", "at zero (%)", "all (%)", "error (%)"]
    return table(columns, lines, left=4)


BLOCKS: dict[str, Callable[[], str]] = {
    "published": published_tables,
    "accuracy": accuracy_table,
    "coverage": coverage_table,
}


def page() -> str:
    """The page with its marked blocks made anew."""
    return with_blocks(PAGE, "validation_study.py", BLOCKS)


ROUNDING = re.compile(r"(?<=\| )\de-1[1-9](?= \|)")
"""Cells of the accuracy table of the size of rounding errors: they may be others on another machine."""


def agree(first: str, second: str) -> bool:
    """Whether two versions of the page are the same, rounding errors aside, which may grow fivefold."""
    if ROUNDING.sub("rounding", first) != ROUNDING.sub("rounding", second):
        return False
    pairs = zip(ROUNDING.findall(first), ROUNDING.findall(second), strict=True)
    return all(max(float(a), float(b)) <= 5 * min(float(a), float(b)) + 1e-13 for a, b in pairs)


def main() -> None:
    """Compute and write, or check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say whether page and numbers agree; exit status 1 if not")
    arguments = parser.parse_args()
    if arguments.check:
        if not agree(page(), PAGE.read_text(encoding="utf-8")):
            raise SystemExit("docs/validation.md is not what the package gives: python docs/validation_study.py")
        return
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
