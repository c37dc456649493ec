"""Run a study: responses, statistics, and everything that its keys ask for."""

from __future__ import annotations

import numpy as np

from nurecoil.errors import located
from nurecoil.inference.contours import contour
from nurecoil.inference.intervals import best_fit, interval
from nurecoil.inference.least_squares import LeastSquares
from nurecoil.physics.couplings import coupling
from nurecoil.physics.cross_sections import differential, scatterers
from nurecoil.physics.nuclei import target
from nurecoil.studies import results, schema
from nurecoil.studies.provenance import provenance
from nurecoil.studies.study import Study

CROSS_SECTION_POINTS = 300
LARGEST_ELECTRON_RECOIL_KEV = 100.0


def run(study: Study) -> results.Result:
    """Compute everything that a study asks for; nothing is written."""
    responses = study.responses()
    statistics = {}
    for setup in study.setups:
        with located(f"detectors.{setup.name}"):
            statistics[setup.name] = LeastSquares.of(
                responses[setup.name], setup.signal_uncertainty, setup.background_uncertainty
            )
    channels = {name: response.channel_label for name, response in responses.items()}
    return results.Result(
        name=study.name,
        study=study.as_dict(),
        couplings={new.name: results.CouplingInfo(new.symbol, new.unit, new.scale) for new in study.couplings},
        detectors={
            setup.name: results.DetectorInfo(
                setup.detector.label, channels[setup.name], float(setup.detector.bin_edges_kev[0])
            )
            for setup in study.setups
        },
        limits=_limits(study, statistics, channels),
        spectra=tuple(
            results.Spectrum(
                detector=name,
                bin_edges_kev=response.bin_edges_kev,
                cevns=response.standard_model("cevns"),
                electron=response.standard_model("electron"),
                background=response.background,
            )
            for name, response in responses.items()
        ),
        profiles=_profiles(study, statistics, channels),
        contours=_contours(study, statistics, channels),
        cross_sections=tuple(curve for wanted in study.file.cross_sections for curve in _cross_sections(study, wanted)),
        provenance=provenance(study),
    )


def _limits(study: Study, statistics: dict[str, LeastSquares], channels: dict[str, str]) -> tuple[results.Limit, ...]:
    options = study.file.intervals
    limits = []
    for setup in study.setups:
        for new in study.couplings:
            found = interval(statistics[setup.name].along([new.name]), options.confidence_level, options.minimum)
            limits.append(
                results.Limit(
                    detector=setup.name,
                    channels=channels[setup.name],
                    statistic=setup.statistic,
                    method=options.method,
                    coupling=new.name,
                    unit=new.unit,
                    confidence_level=found.confidence_level,
                    delta_chi2=found.delta_chi2,
                    best_fit=found.best_fit,
                    segments=found.segments,
                )
            )
    return tuple(limits)


def _profiles(
    study: Study, statistics: dict[str, LeastSquares], channels: dict[str, str]
) -> tuple[results.Profile, ...]:
    profiles = []
    for wanted in study.file.profiles:
        value = np.linspace(wanted.from_, wanted.to, wanted.points)
        for name in wanted.detectors or list(statistics):
            chi2 = statistics[name].along([wanted.coupling])
            profiles.append(
                results.Profile(name, channels[name], wanted.coupling, value, chi2(value) - best_fit(chi2)[1])
            )
    return tuple(profiles)


def _contours(
    study: Study, statistics: dict[str, LeastSquares], channels: dict[str, str]
) -> tuple[results.ContourLines, ...]:
    contours = []
    for x, y in study.file.contours:
        for name, statistic in statistics.items():
            found = contour(statistic.along([x, y]), study.file.intervals.confidence_level)
            contours.append(results.ContourLines(name, channels[name], x, y, found.confidence_level, found.polygons))
    return tuple(contours)


def _cross_sections(study: Study, wanted: schema.CrossSection) -> list[results.CrossSectionCurve]:
    """The Standard Model's curve and one per value, log-spaced up to the endpoint."""
    of = target(wanted.target, convention=study.file.nuclei)
    highest = max(
        particle.maximum_recoil_kev(wanted.energy_mev)
        for particle, _ in scatterers(of, wanted.channel, study.file.form_factor)
    )
    if wanted.channel == "electron":
        highest = min(highest, LARGEST_ELECTRON_RECOIL_KEV)
    highest = wanted.recoil_to_kev or highest
    recoil = np.geomspace(min(wanted.recoil_from_kev, highest / 2), highest, CROSS_SECTION_POINTS)
    curves = []
    for value in dict.fromkeys([0.0, *wanted.values]):
        cross_section = differential(
            wanted.channel,
            recoil,
            wanted.energy_mev,
            of,
            couplings={wanted.coupling: value},
            form_factor=study.file.form_factor,
            incoming=coupling(wanted.coupling).flavours[0][0],
        )
        curves.append(
            results.CrossSectionCurve(
                wanted.target, wanted.channel, wanted.energy_mev, wanted.coupling, value, recoil, cross_section
            )
        )
    return curves
