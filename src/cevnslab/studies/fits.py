"""Fits that a study reports: the Standard Model beside data, pulls and impacts, counts in sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cevnslab import results
from cevnslab.datasets.fit import fit_standard_model
from cevnslab.inference.pulls import impacts
from cevnslab.inference.significance import (
    STRENGTH,
    Significance,
    signal_normalisations,
    significance,
    simulated_significance,
    upper_limit,
)
from cevnslab.likelihood.fit import Fit, FittedParameter, fit
from cevnslab.parallel.tasks import Mapper, in_turn
from cevnslab.physics.sources import total_flux_per_cm2_s
from cevnslab.progress import track
from cevnslab.studies import counts
from cevnslab.studies.analysis import Analysis
from cevnslab.studies.cautions import cautions
from cevnslab.studies.setups import AnySetup, DatasetSetup, DetectorSetup
from cevnslab.studies.study import Study

RESOLUTION = 1e-6
"""Of a nuisance's width: chi^2 is minimised to 1e-10, which a pull of 1e-5 changes it by."""


@dataclass
class Fits:
    """What fits give, as it comes in."""

    rows: list[results.FitParameter] = field(default_factory=list)
    spectra: list[results.DataSpectrum] = field(default_factory=list)
    pulls: list[results.Pull] = field(default_factory=list)
    covariances: list[results.Covariance] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def fits(
    study: Study,
    analyses: dict[str, Analysis],
    limits: Iterable[results.Limit],
    store: Path | None = None,
    mapper: Mapper = in_turn,
) -> Fits:
    """All fits of a study; pseudo-experiments of their goodness in blocks that `mapper` runs.

    The Standard Model is fitted to every detector with counts; couplings and nuisances of every analysis with real
    data follow, and with the study's key `pulls` those of projections.
    """
    collected = Fits()
    collected.remarks += cautions(study)
    best = {(limit.detector, limit.coupling): limit.best_fit for limit in limits}
    fitted = [a for a in analyses.values() if a.real or study.file.pulls or any(map(_measured, a.setups))]
    for analysis in track(fitted, "fits"):
        if len(analysis.setups) == 1 and (analysis.real or _measured(analysis.setups[0])):
            _standard_model(collected, analysis, analysis.setups[0], store, mapper)
        if analysis.real or study.file.pulls:
            _couplings(collected, study, analysis, best)
    return collected


def _measured(setup: AnySetup) -> bool:
    """Whether it is a data set, also where its expectation stands in the place of its counts."""
    return isinstance(setup, DatasetSetup)


def _standard_model(collected: Fits, analysis: Analysis, setup: AnySetup, store: Path | None, mapper: Mapper) -> None:
    """The Standard Model's fit to one detector, and its counts projected on every axis."""
    calculated: float | None = None
    shapes: tuple[str, ...] = ()
    if isinstance(setup, DatasetSetup):
        calculated, shapes = setup.measurement.calculated_cevns, setup.measurement.shapes
    fitted = fit_standard_model(
        setup.name,
        analysis.likelihood,
        setup.response,
        calculated,
        shapes,
        stream=(analysis.name,),
        store=store,
        mapper=mapper,
    )
    collected.rows += [results.FitParameter(setup.name, *row) for row in fitted.parameters]
    collected.spectra += counts.data_spectra(setup, analysis.likelihood.datasets[0], fitted.components)


def _couplings(collected: Fits, study: Study, analysis: Analysis, best: dict[tuple[str, str], float]) -> None:
    """The joint best fit of every coupling with the nuisances, and of the nuisances in the Standard Model."""
    likelihood, detector = analysis.likelihood, analysis.name
    if len(analysis.setups) > 1:
        alone = fit(likelihood)
        collected.rows.append(results.FitParameter(detector, "chi2", alone.chi2, None))
        bins = sum(len(dataset.observed) for dataset in likelihood.datasets)
        collected.rows.append(results.FitParameter(detector, "bins", float(bins), None))
    for coupling in study.couplings:
        name = coupling.name
        over = [other for other in analysis.profile if other != name]
        joint, effects = impacts(likelihood, name, over, start=best.get((detector, name)))
        row = joint.parameter(name)
        collected.rows.append(results.FitParameter(detector, name, row.value, row.error))
        collected.covariances.append(_covariance(detector, name, joint))
        for impact in effects:
            parameter = impact.parameter
            collected.pulls.append(
                results.Pull(
                    detector=detector,
                    coupling=name,
                    parameter=parameter.name,
                    prior_width=parameter.prior_width if parameter.prior_width is not None else 0.0,
                    best_fit=_known_digits(parameter),
                    error=parameter.error,
                    impact_up=impact.up,
                    impact_down=impact.down,
                )
            )
            if impact.remarkable is not None:
                collected.remarks.append(f"{detector}, best fit of {name}: {parameter.name} {impact.remarkable}")
    nuisances = fit(likelihood)
    collected.covariances.append(_covariance(detector, "", nuisances))
    moving = [row for row in nuisances.parameters if row.prior_width]
    collected.rows += [results.FitParameter(detector, row.name, row.value, row.error) for row in moving]


def _known_digits(parameter: FittedParameter) -> float:
    """A nuisance's best fit; zero where it is less than the minimiser knows of it, and only rounding is left."""
    width = parameter.prior_width
    unit = 1.0 if width is None or width == 0 else min(width, 1.0)
    return 0.0 if abs(parameter.value) < RESOLUTION * unit else parameter.value


def _covariance(detector: str, coupling: str, fitted: Fit) -> results.Covariance:
    names = tuple(parameter.name for parameter in fitted.parameters)
    return results.Covariance(detector, coupling, names, fitted.covariance)


def summary(analyses: dict[str, Analysis]) -> tuple[results.Summary, ...]:
    """The counts of every detector in sight, with the strength of CEvNS and its significance."""
    rows = []
    for analysis in analyses.values():
        if len(analysis.setups) > 1:
            continue
        setup, response = analysis.setups[0], analysis.setups[0].response
        strength = None
        if "cevns" in response.channels:
            strength = significance(analysis.likelihood, signal_normalisations(analysis.likelihood))
        observed = float(analysis.likelihood.datasets[0].observed.sum()) if analysis.real else None
        rows.append(
            results.Summary(
                detector=setup.name,
                flux_per_cm2_s=_flux(setup),
                cevns=float(response.standard_model("cevns").sum()),
                electron=float(response.standard_model("electron").sum()),
                background=float(response.background.sum()),
                observed=observed,
                best_fit=strength.strength if strength is not None and analysis.real else None,
                significance=None if strength is None else strength.discovery,
            )
        )
    return tuple(rows)


def strengths(
    study: Study, analyses: dict[str, Analysis], store: Path | None = None, mapper: Mapper = in_turn
) -> tuple[results.Strength, ...]:
    """Strength and significance of CEvNS: of detectors with counts, and of all where the study fits the strength.

    With the study's key `bands` from pseudo-experiments too.
    """
    asks_strength = any(coupling.name == STRENGTH for coupling in study.couplings)
    level = study.file.intervals.levels[0]
    rows = []
    for analysis in analyses.values():
        if not (analysis.real or asks_strength) or "cevns" not in analysis.channels.split("+"):
            continue
        likelihood = analysis.likelihood
        normalisations = signal_normalisations(likelihood)
        observed = significance(likelihood, normalisations)
        expected = observed if not analysis.real else significance(likelihood.restricted(()).asimov(), normalisations)
        rows.append(
            results.Strength(
                detector=analysis.name,
                strength=observed.strength,
                error=observed.error,
                error_without_normalisation=observed.error_without_normalisation,
                significance=observed.discovery,
                expected_significance=expected.discovery,
                p_no_cevns=observed.p_no_signal,
                p_standard_model=observed.p_standard_model,
                upper_limit=upper_limit(likelihood, confidence_level=level),
                confidence_level=level,
                **_by_toys(study, analysis, observed, store, mapper),
            )
        )
    return tuple(rows)


def _by_toys(
    study: Study, analysis: Analysis, observed: Significance, store: Path | None, mapper: Mapper
) -> dict[str, Any]:
    """The columns that need pseudo-experiments."""
    options = study.file.bands
    if options is None:
        return {}
    simulated = simulated_significance(
        analysis.likelihood,
        observed,
        toys=options.toys,
        seed=options.seed,
        stream=(analysis.name,),
        store=store,
        mapper=mapper,
    )
    return {
        "p_no_cevns_toys": simulated.p_no_signal,
        "p_no_cevns_toys_error": simulated.p_error,
        "significance_toys": simulated.discovery,
        "expected_significance_toys": simulated.expected,
        "toys": simulated.toys,
    }


def _flux(setup: AnySetup) -> float | None:
    """Neutrinos of all flavours per cm^2 and second, averaged over the live time; None where there is no such time."""
    if not isinstance(setup, DetectorSetup):
        return None
    if setup.source.burst:
        return None
    return total_flux_per_cm2_s(setup.source, setup.detector.distance_m)
