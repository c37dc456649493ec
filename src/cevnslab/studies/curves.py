"""One limit, curve, contour or scanned value of a study at a time: what the runner asks for, here or in a worker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cevnslab import results
from cevnslab.inference.contours import contours as regions
from cevnslab.inference.intervals import best_fit, interval
from cevnslab.physics.cross_sections import differential
from cevnslab.physics.nuclei import target
from cevnslab.studies import schema
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.bands import bands
from cevnslab.studies.rules import recoil_range
from cevnslab.studies.scans import scanned
from cevnslab.studies.study import Study

FloatArray = NDArray[np.float64]

CROSS_SECTION_POINTS = 300


def limits(study: Study, analysis: Analysis, name: str) -> list[results.Limit]:
    """The delta chi^2 intervals of one coupling, one per confidence level of the study, in its order."""
    options, chi2 = study.file.intervals, analysis.chi2(name)
    rows = []
    for confidence_level in options.levels:
        limit = interval(chi2, confidence_level, options.minimum)
        rows.append(
            results.Limit(
                detector=analysis.name,
                channels=analysis.channels,
                statistic=analysis.statistic_name,
                method="delta-chi2",
                coupling=name,
                unit=study.registry[name].unit,
                confidence_level=limit.confidence_level,
                delta_chi2=limit.delta_chi2,
                best_fit=limit.best_fit,
                segments=limit.segments,
                kinds=limit.kinds,
                minimum=options.minimum,
            )
        )
    return rows


def profile(analysis: Analysis, coupling: str, value: FloatArray) -> results.Profile:
    """Delta chi^2 of one coupling at values."""
    chi2 = analysis.chi2(coupling)
    return results.Profile(analysis.name, analysis.channels, coupling, value, chi2(value) - best_fit(chi2)[1])


def contours(study: Study, analysis: Analysis, x: str, y: str) -> list[results.ContourLines]:
    """The confidence regions of two couplings, one per confidence level."""
    return [
        results.ContourLines(analysis.name, analysis.channels, x, y, region.confidence_level, region.polygons)
        for region in regions(analysis.chi2(x, y), study.file.intervals.levels)
    ]


def scan_points(study: Study, scan: str, key: str, value: float) -> list[results.ScanPoint]:
    """The limits of every analysis that a scanned key can change, at one of its values."""
    varied, analyses, affected = scanned(study, scan, key, value)
    return [
        results.ScanPoint(scan, key, value, limit)
        for name, analysis in analyses.items()
        if name in affected
        for coupling in study.file.scanned_couplings(key)
        for limit in limits(varied, analysis, coupling)
    ]


def scan_bands(study: Study, scan: str, key: str, value: float) -> list[results.ScanBand]:
    """The expected limits beside `scan_points`."""
    _, analyses, affected = scanned(study, scan, key, value)
    couplings = study.file.scanned_couplings(key)
    tasks = [(analysis, coupling) for name, analysis in analyses.items() if name in affected for coupling in couplings]
    return [results.ScanBand(scan, key, value, band) for band in bands(study, tasks)]


def cross_sections(study: Study, curve: schema.CrossSection) -> list[results.CrossSectionCurve]:
    """The Standard Model's curve and one per value, log-spaced up to the endpoint."""
    nuclei = target(curve.target, rms_radius_fm=curve.rms_radius_fm, convention=study.file.nuclei)
    recoil = np.geomspace(*recoil_range(curve, nuclei, study.file.form_factor), CROSS_SECTION_POINTS)
    coupling = study.registry[curve.coupling]
    standard_model = coupling.reference if coupling.range_of is None else coupling.range_of(nuclei)[1]
    curves = []
    for value in dict.fromkeys([standard_model, *curve.values]):
        cross_section = differential(
            curve.channel,
            recoil,
            curve.energy_mev,
            nuclei,
            couplings={coupling: value},
            form_factor=study.file.form_factor,
            incoming=coupling.flavours[0][0],
            radiative_corrections=study.file.radiative_corrections,
        )
        curves.append(
            results.CrossSectionCurve(
                curve.target,
                curve.channel,
                curve.energy_mev,
                curve.coupling,
                value,
                recoil,
                cross_section,
                value == standard_model,
            )
        )
    return curves
