"""A study in words: what `nurecoil check` says it would compute."""

from __future__ import annotations

from nurecoil.studies.feldman_cousins import Options
from nurecoil.studies.study import DetectorSetup, Study


def describe(study: Study) -> str:
    """What a study would compute, one fact a line."""
    file = study.file
    analysed = len(study.setups) + len(file.combinations)
    lines = [
        f"{study.name}: {file.title}" if file.title else study.name,
        f"  {len(study.setups)} detectors, {len(file.combinations)} combinations, {len(study.couplings)} couplings: "
        f"{analysed * len(study.couplings)} intervals at {100 * file.intervals.confidence_level:g} % CL "
        f"({file.intervals.method}, {file.intervals.minimum} minimum)",
    ]
    if file.intervals.method == "feldman-cousins":
        options = Options.of(file.intervals)
        lines.append(
            f"  critical values from {options.toys} pseudo-experiments per true value, seed {options.seed}; "
            f"{options.convention}"
        )
    lines += [f"  coupling {new.name} ({new.unit}): {new.description}" for new in study.couplings]
    lines += [line for setup in study.setups for line in _describe_detector(setup)]
    for combination in file.combinations:
        lines.append(
            f"  combination {combination.name}: {', '.join(combination.detectors)} with {combination.signal} signal "
            "normalisations"
        )
    for scan in file.scans:
        values = ", ".join(f"{value:g}" for value in scan.values)
        lines.append(f"  scan {scan.name}: delta chi^2 limits with {scan.key} = {values}")
    for x, y in file.contours:
        lines.append(f"  contours of {x} and {y}, every detector and combination")
    for profile in file.profiles:
        where = ", ".join(profile.detectors or []) or "every detector"
        lines.append(
            f"  delta chi^2 of {profile.coupling} from {profile.from_:g} to {profile.to:g}, "
            f"{profile.points} points, {where}"
        )
    for curve in file.cross_sections:
        values = ", ".join(f"{value:g}" for value in curve.values)
        lines.append(
            f"  {curve.channel} cross section on {curve.target} at {curve.energy_mev:g} MeV: Standard Model and "
            f"{curve.coupling} = {values}"
        )
    if file.figures is not None:
        lines.append(f"  figures: {', '.join(figure.name for figure in file.figures)}")
    return "\n".join(lines)


def _describe_detector(setup: DetectorSetup) -> list[str]:
    detector, source = setup.detector, setup.source
    edges = detector.bin_edges_kev
    nuclei = ", ".join(
        f"{c.nucleus.symbol} (A {c.nucleus.mass_u:g}, N {c.nucleus.neutron_number:g}, R {c.nucleus.rms_radius_fm:g} fm)"
        for c in detector.target.constituents
    )
    efficiency = detector.efficiency if isinstance(detector.efficiency, float) else "a table"
    resolution = detector.resolution
    width = (
        "perfect resolution"
        if resolution is None
        else f"resolution {resolution.sigma_kev:g} keV at {resolution.at_kev:g} keV ({resolution.law})"
    )
    quenching = "" if detector.electron_quenching is None else f", electron quenching {detector.electron_quenching:g}"
    return [
        f"  detector {detector.name}: {detector.mass_kg:g} kg of {detector.target.formula} at "
        f"{detector.distance_m:g} m from {source.name}, {setup.exposure_years:g} years, "
        f"channels {'+'.join(setup.channels)}, {setup.statistic}",
        f"    {len(edges) - 1} bins from {edges[0]:g} to {edges[-1]:g} keV, {width}, "
        f"efficiency {efficiency}{quenching}",
        f"    background {float(detector.background_per_kg_day.sum()):.4g} counts/kg/day before the duty factor "
        f"{source.duty_factor:g}; uncertainties: signal {100 * setup.signal_uncertainty:g} %, background "
        f"{100 * setup.background_uncertainty:g} %",
        f"    nuclei: {nuclei}; {setup.form_factor} form factor",
    ]
