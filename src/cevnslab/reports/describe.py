"""A study in words: what `cevnslab check` says it would compute."""

from __future__ import annotations

from cevnslab.datasets.measurement import Setup
from cevnslab.detection.smearing import Perfect
from cevnslab.physics.nuclei import Target
from cevnslab.physics.sources import PionDecayAtRest, Source, neutrinos_per_cm2, total_flux_per_cm2_s
from cevnslab.reports.assumptions import assumptions
from cevnslab.studies.cautions import cautions
from cevnslab.studies.feldman_cousins import Options
from cevnslab.studies.setups import DatasetSetup, DetectorSetup
from cevnslab.studies.sizes import bytes_text, sizes
from cevnslab.studies.study import Study

CHANNEL_NAMES = {"cevns": "CEvNS", "electron": "electron"}


def describe(study: Study) -> str:
    """What a study would compute, one fact a line."""
    file = study.file
    analysed = len(study.setups) + len(file.combinations)
    lines = [
        f"{study.name}: {file.title}" if file.title else study.name,
        f"  {_count(len(study.setups), 'detector')}, {_count(len(file.combinations), 'combination')}, "
        f"{_count(len(study.couplings), 'coupling')}: {_count(analysed * len(study.couplings), 'interval')} at "
        f"{', '.join(f'{100 * level:.10g}' for level in file.intervals.levels)} % CL "
        f"({file.intervals.method}, {file.intervals.minimum} minimum)",
    ]
    if file.intervals.method == "feldman-cousins":
        options = Options.of(file.intervals)
        lines.append(
            f"  critical values from {options.toys} pseudo-experiments per true value, seed {options.seed}; "
            f"{options.convention}"
        )
    lines += [f"  coupling {coupling.name} ({coupling.unit}): {coupling.description}" for coupling in study.couplings]
    for name in file.plugins:
        lines.append(f"  plugin {name}: Python code that every run of this study executes (and this check did)")
    if file.profile:
        lines.append(f"  minimised over instead of held at the Standard Model: {', '.join(file.profile)}")
    if file.radiative_corrections:
        lines.append("  radiatively corrected couplings of the neutrino to nuclei")
    for setup in study.setups:
        if isinstance(setup, DatasetSetup):
            lines += _describe_dataset(setup)
        else:
            lines += _describe_detector(setup)
    lines += [f"  warning: {caution}" for caution in cautions(study)]
    for combination in file.combinations:
        lines.append(
            f"  combination {combination.name}: {', '.join(combination.detectors)} with {combination.signal} signal "
            "normalisations"
        )
    for scan in file.scans:
        values = ", ".join(f"{value:g}" for value in scan.points)
        lines.append(f"  scan {scan.name}: delta chi^2 limits with {scan.key} = {values}")
    if file.bands is not None:
        lines.append(
            f"  expected limits with bands from {file.bands.toys} pseudo-experiments of the Standard Model each, seed "
            f"{file.bands.seed}"
        )
    for x, y in file.contours:
        lines.append(f"  contours of {x} and {y}, every detector and combination")
    for profile in file.profiles:
        where = ", ".join(profile.detectors or []) or "every detector"
        lines.append(
            f"  delta chi^2 of {profile.coupling} from {profile.from_:g} to {profile.to:g}, "
            f"{profile.points} points, {where}"
        )
    for question in file.design:
        lines.append(
            f"  goal {question.name}: {question.key} from {question.from_:g} to {question.to:g} at which the "
            f"{question.goal.words} is {question.goal.value:g} for {question.detector}"
        )
    for plane in file.maps:
        axes = " and ".join(f"{axis.key} from {axis.from_:g} to {axis.to:g}" for axis in (plane.x, plane.y))
        size = f"{plane.x.points} x {plane.y.points} points"
        lines.append(f"  map {plane.name}: limits on {plane.coupling} for {plane.detector}, {axes}, {size}")
    for curve in file.cross_sections:
        values = ", ".join(f"{value:g}" for value in curve.values)
        lines.append(
            f"  {curve.channel} cross section on {curve.target} at {curve.energy_mev:g} MeV: Standard Model and "
            f"{curve.coupling} = {values}"
        )
    lines += _describe_sizes(study)
    lines += [f"  {sentence}" for sentence in assumptions(study.as_dict())]
    if file.figures is not None:
        lines.append(f"  figures: {', '.join(figure.name for figure in file.figures)}")
    return "\n".join(lines)


def _describe_sizes(study: Study) -> list[str]:
    """What a run takes: memory, and how often something is computed again."""
    each = sizes(study)
    lines = []
    if each:
        total, largest = sum(size.likelihood_bytes for size in each), max(each, key=lambda one: one.likelihood_bytes)
        lines.append(
            f"  memory: {bytes_text(total)} of counts in fits, most for {largest.detector}, "
            f"{_count(largest.bins, 'bin')} of {_count(largest.products, 'product')} of couplings"
        )
    if toys := max((size.toys for size in each), default=0):
        most = max(size.toy_bytes for size in each)
        lines.append(f"  memory: {bytes_text(most)} for {toys} pseudo-experiments at once in each process")
    again = sum(len(scan.points) for scan in study.file.scans)
    again += sum(plane.x.points * plane.y.points for plane in study.file.maps)
    return [*lines, *([f"  {_count(again, 'point')} of scans and maps, a study each"] if again else [])]


def _count(number: float, what: str) -> str:
    """A number of things.

    >>> _count(1, "detector"), _count(2, "detector"), _count(0.5, "year")
    ('1 detector', '2 detectors', '0.5 years')
    """
    return f"{number:g} {what}" + ("" if number == 1 else "s")


def _describe_detector(setup: DetectorSetup) -> list[str]:
    detector, source = setup.detector, setup.source
    edges = detector.bin_edges_kev
    efficiency = detector.efficiency if isinstance(detector.efficiency, float) else "a table"
    unit = "keV" if detector.quenching is None else "keVee"
    width = (detector.response or detector.resolution or Perfect()).described(unit)
    exposure = "one burst" if setup.exposure_years is None else _count(setup.exposure_years, "year")
    place = "with neutrinos of " if detector.distance_m is None else f"at {detector.distance_m:g} m from "
    quenching = "" if detector.electron_quenching is None else f", electron quenching {detector.electron_quenching:g}"
    return [
        f"  detector {detector.name}: {detector.mass_kg:g} kg of {detector.target.formula} {place}"
        f"{source.name}, {exposure}, "
        f"channels {'+'.join(setup.channels)}, {setup.statistic}",
        f"    {_describe_flux(source, detector.distance_m)}",
        f"    {len(edges) - 1} bins from {edges[0]:g} to {edges[-1]:g} {unit}, {width}, "
        f"efficiency {efficiency}{quenching}",
        f"    {_describe_backgrounds(setup)}",
        f"    {_describe_counts(setup)}",
        *([f"    light: {detector.quenching}"] if detector.quenching is not None else []),
        *([f"    shape uncertainties: {bent}"] if (bent := _describe_shapes(setup)) else []),
        *([_describe_times(setup)] if detector.time_bin_edges_us is not None else []),
        f"    nuclei: {_describe_nuclei(detector.target)}; {setup.form_factor} form factor",
    ]


def _describe_flux(source: Source, distance_m: float | None) -> str:
    """All neutrinos at the detector, and the parts of the flux that have uncertainties of their own."""
    if source.burst:
        amount = f"fluence {neutrinos_per_cm2(source, distance_m):.4g} per cm2"
    else:
        amount = f"flux {total_flux_per_cm2_s(source, distance_m):.4g} per cm2 and s, averaged over the live time"
    nuisances = [
        f"{source.name}.{each.name} {1 + each.centre:g} +- {each.width:g}" for each in source.nuisances if each.width
    ]
    return "; ".join([amount, *([f"factors {', '.join(nuisances)}"] if nuisances else [])])


def _describe_backgrounds(setup: DetectorSetup) -> str:
    """What is known of them, and how well."""
    signal = f"uncertainties: signal {100 * setup.signal_uncertainty:g} %"
    if setup.backgrounds is None:
        rate = float(setup.detector.background_per_kg_day.sum())
        return (
            f"background {rate:.4g} counts/kg/day before the duty factor {setup.source.duty_factor:g}; {signal}, "
            f"background {100 * setup.background_uncertainty:g} %"
        )
    backgrounds = []
    for background in setup.backgrounds:
        width = f"{100 * background.uncertainty:g} %"
        if background.off is not None:
            width = f"from {background.off.off.sum():.0f} counts of an off-beam run, ratio {background.off.ratio:g}"
        backgrounds.append(f"{background.name} {background.counts.sum():.0f} ({width})")
    return f"backgrounds in counts: {', '.join(backgrounds)}; {signal}"


def _describe_counts(setup: DetectorSetup) -> str:
    """The counts of the exposure."""
    response = setup.response
    channels = {channel: float(response.standard_model(channel).sum()) for channel in response.channels}
    background = float(response.background.sum())
    parts = [f"{CHANNEL_NAMES[channel]} {counts:.4g}" for channel, counts in channels.items()]
    ratio = f", S/B {sum(channels.values()) / background:.3g}" if background else ""
    observed = "" if setup.observed is None else f"; observed {setup.observed.counts.sum():.6g}"
    return f"counts expected: {', '.join(parts)}, background {background:.6g}{ratio}{observed}"


def _describe_shapes(setup: DetectorSetup) -> str:
    widths = {"energy scale": setup.energy_scale_uncertainty, "quenching": setup.quenching_uncertainty}
    return ", ".join(f"{name} {100 * width:g} %" for name, width in widths.items() if width > 0)


def _describe_times(setup: DetectorSetup) -> str:
    edges = setup.detector.time_bin_edges_us
    assert edges is not None
    return f"    {len(edges) - 1} bins of the arrival time from {edges[0]:g} to {edges[-1]:g} us, {setup.source.pulse}"


def _describe_nuclei(target: Target) -> str:
    def radii(proton: float, neutron: float) -> str:
        return f"R {proton:g} fm" if proton == neutron else f"R_p {proton:g} fm, R_n {neutron:g} fm"

    return ", ".join(
        f"{c.nucleus.symbol} (A {c.nucleus.mass_u:g}, N {c.nucleus.neutron_number:g}, "
        f"{radii(c.nucleus.rms_radius_fm, c.nucleus.neutron_radius_fm)})"
        for c in target.constituents
    )


def _describe_exposure(setup: Setup) -> str:
    source = setup.source
    if isinstance(source, PionDecayAtRest) and setup.exposure_years == 1:
        return (
            f"{source.protons_per_year:g} protons on target, {source.neutrinos_per_proton:g} neutrinos of each flavour "
            "per proton"
        )
    return f"{source.name}, {_count(setup.exposure_years, 'year')}"


def _describe_dataset(entry: DatasetSetup) -> list[str]:
    setup = entry.setup
    place = "" if setup.distance_m is None else f" at {setup.distance_m:g} m"
    counts = "observed counts" if setup.observed == "data" else "the Standard Model's expectation as counts (asimov)"
    where = "searched for (--data, CEVNSLAB_DATA, download)" if setup.directory is None else f"in {setup.directory}"
    return [
        f"  detector {setup.name}: {entry.dataset}, {setup.mass_kg:g} kg of {setup.target.formula}"
        f"{place}, {_describe_exposure(setup)}",
        f"    {counts}, channels {'+'.join(setup.channels)}, poisson, {setup.nuisances} nuisances"
        f"{', off-counts fitted' if setup.off_counts == 'fitted' else ''}; data: {where}",
        *([f"    pulse: {setup.source.pulse}"] if setup.source.pulse is not None else []),
        f"    nuclei: {_describe_nuclei(setup.target)}; {setup.form_factor} form factor",
        "    Standard Model fit, and data beside it projected on every axis",
    ]
