"""What went into a result, in words and tables made of the study's keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cevnslab.reports.grid import Amount, Cell, Formula, Grid
from cevnslab.results import Result
from cevnslab.results.plain import entries_of, keys_of, list_of, names_of
from cevnslab.results.text import level_text

Keys = Mapping[str, Any]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def words(result: Result) -> Iterator[str]:
    """What was computed, one sentence each."""
    study = result.study
    combinations, detectors = entries_of(study.get("combinations", [])), entries_of(study["detectors"])
    couplings = dict.fromkeys(limit.coupling for limit in result.limits)
    together = f" and {_count(len(combinations), 'combination')}" if combinations else ""
    if result.limits:
        first = result.limits[0]
        yield (
            f"{_count(len(result.limits), 'interval')} at "
            f"{level_text({limit.confidence_level for limit in result.limits})}: "
            f"{_count(len(couplings), 'coupling')} at {_count(len(detectors), 'detector')}{together} ({first.method}, "
            f"compared with the {first.minimum} minimum)."
        )
    else:
        yield f"Counts of {_count(len(detectors), 'detector')}{together}, no couplings."
    for combination in combinations:
        members = ", ".join(names_of(combination["detectors"]))
        yield f"Combination {combination['name']}: {members}, with {combination['signal']} signal normalisations."
    if study.get("profile"):
        yield f"Minimised over instead of held at the Standard Model: {', '.join(names_of(study['profile']))}."
    if result.contours:
        pairs = dict.fromkeys(f"{c.coupling_x} and {c.coupling_y}" for c in result.contours)
        yield f"Regions of two couplings: {'; '.join(pairs)}."
    if result.profiles:
        yield f"Delta chi\u00b2 along {', '.join(dict.fromkeys(p.coupling for p in result.profiles))}."
    for scan in entries_of(study.get("scans", [])):
        yield f"Scan {scan['name']}: limits with {scan['key']} = {_scanned(scan['values'])}."
    if result.critical_values:
        yield f"{_count(result.critical_values[0].toys, 'pseudo-experiment')} per true value for Feldman-Cousins."
    if result.fit:
        fitted = dict.fromkeys(parameter.detector for parameter in result.fit)
        yield f"Standard Model fit to the data of {', '.join(fitted)}."
    uncertain = keys_of(study.get("uncertainties") or {})
    if uncertain:
        yield f"Normalisation uncertainties: {_uncertainties(uncertain)}, unless a detector has its own."


def _scanned(values: Any) -> str:
    """The values of a scan in words: a list, or a range."""
    if isinstance(values, Mapping):
        return f"{values['from']:g} to {values['to']:g} ({values['points']} points)"
    return ", ".join(f"{value:g}" for value in values)


def _uncertainties(keys: Keys) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {100 * value:g} %" for name, value in keys.items())


def _source(keys: Any) -> str:
    if isinstance(keys, Mapping):
        return f"{keys.get('name', 'custom')} ({keys['type']})"
    return str(keys)


def _range(detector: Keys) -> tuple[str, str]:
    """Energies on the detector's axis, and the number of bins."""
    for unit, unit_text in (("kevee", "keVee"), ("kev", "keV")):
        edges = detector.get(f"bin_edges_{unit}")
        if edges:
            return f"{edges[0]:g} to {edges[-1]:g} {unit_text}", str(len(edges) - 1)
        if detector.get(f"threshold_{unit}") is not None:
            low, high = detector[f"threshold_{unit}"], detector[f"maximum_{unit}"]
            return f"{low:g} to {high:g} {unit_text}", str(detector["bins"])
    return "as released", ""


def _resolution(keys: Any) -> str:
    if not isinstance(keys, Mapping):
        return "perfect" if keys == "none" else "as released"
    unit = "kevee" if keys.get("sigma_kevee") is not None else "kev"
    unit_text = "keVee" if unit == "kevee" else "keV"
    return f"{keys[f'sigma_{unit}']:g} {unit_text} at {keys[f'at_{unit}']:g} {unit_text} ({keys.get('law', 'sqrt')})"


def _background(detector: Keys) -> str:
    for key, unit in (
        ("background_ckkd", "/keV/kg/day"),
        ("background_ckkd_ee", "/keVee/kg/day"),
        ("background_ckd", "/kg/day"),
    ):
        if detector.get(key) is not None:
            return f"{detector[key]:g}{unit}"
    return "from a file" if detector.get("background_file") else "as released"


def _efficiency(keys: Any) -> str:
    if keys is None:
        return "as released"
    return "from a file" if isinstance(keys, Mapping) else f"{keys:g}"


def _exposure(detector: Keys, study: Keys) -> str:
    """Years or hours of a detector, or of the study; a burst has neither."""
    for keys in (detector, study):
        for key in ("exposure_years", "exposure_hours"):
            if keys.get(key) is not None:
                unit = key.removeprefix("exposure_").removesuffix("s")
                return f"{keys[key]:g} {unit}" + ("" if keys[key] == 1 else "s")
    return "one burst"


def _protons(detector: Keys) -> str:
    """The protons of a run at whose target pions decay at rest."""
    return f"{detector['protons_on_target']:.4g} protons" if "protons_on_target" in detector else ""


def detector_grid(study: Keys, channels: Mapping[str, str]) -> Grid:
    """The detectors of a study's keys; whatever stands in a detector comes before the study's. `channels` by name."""
    rows: list[tuple[Cell, ...]] = []
    for detector in study["detectors"]:
        name = detector["name"]
        whole: Keys = {**study, **detector}
        real = "dataset" in detector
        energies, bins = _range(detector)
        overrides = [f"own: {_uncertainties(detector['uncertainties'])}"] if detector.get("uncertainties") else []
        rows.append(
            (
                name,
                str(detector["target"]),
                f"{detector['mass_kg']:g}",
                f"{detector['distance_m']:g}" if "distance_m" in detector else "",
                _protons(detector) or _source(whole.get("source")),
                "whole run" if "protons_on_target" in detector else _exposure(detector, study),
                channels[name],
                "poisson" if real else whole.get("statistic", "least-squares"),
                energies,
                bins,
                _resolution(detector.get("resolution")),
                _efficiency(detector.get("efficiency")),
                _background(detector),
                ", ".join([*overrides, *([f"data: {detector.get('observed', 'data')}"] if real else [])]),
            )
        )
    columns = ["detector", "target", "mass (kg)", "distance (m)", "source", "exposure", "channels", "statistic"]
    columns += ["energy", "bins", "resolution", "efficiency", "background counts", "remarks"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Grid("Detectors", tuple(columns), tuple(rows), frozenset({"mass (kg)", "distance (m)", "bins"}))


def coupling_grid(result: Result) -> Grid:
    """The couplings: symbol, unit, meaning and source where the package knows them."""
    from cevnslab.physics.couplings import COUPLINGS, FAMILIES

    couplings = dict(COUPLINGS)
    for entry in list_of(result.study["couplings"]):
        if isinstance(entry, Mapping):
            family = FAMILIES[str(entry["name"])](**{key: value for key, value in entry.items() if key != "name"})
            couplings[family.name] = family
    rows: list[tuple[Cell, ...]] = []
    for name, info in result.couplings.items():
        declared = couplings.get(name)
        standard = "" if info.standard_model is None else f"{info.standard_model:g}"
        meaning = declared.description if declared else ""
        formula = declared.reference_text if declared else ""
        rows.append((name, Formula(info.symbol, name), Amount("", 0, info.unit), standard, meaning, formula))
    columns = ("coupling", "symbol", "unit", "Standard Model", "meaning", "formula from")
    return Grid("Couplings", columns, tuple(rows), frozenset({"Standard Model"}))
