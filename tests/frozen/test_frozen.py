"""Numbers of the built-in studies, frozen before the likelihood was rebuilt (`make.py` says how they are refreshed)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from make import chi2_functions

import cevnslab as cl
from cevnslab.likelihood.profile import ProfileLikelihood

HERE = Path(__file__).parent
DATA = pytest.mark.skipif("CEVNSLAB_DATA" not in os.environ, reason="CEVNSLAB_DATA is not set: no real COHERENT files")
SLOW = pytest.mark.skipif("CEVNSLAB_SLOW" not in os.environ, reason="slow: make test-slow runs it")
STUDIES = [
    "parada2024",
    "ess-combined",
    "ess-statistics",
    "ess-electromagnetic",
    pytest.param("ess-nsi", marks=SLOW),
    "ess-weak-mixing-angle",
    "ess-neutron-radius",
    pytest.param("ess-mediators", marks=SLOW),
    pytest.param("coherent", marks=[DATA, SLOW]),
    pytest.param("coherent-shape", marks=[DATA, SLOW]),
]
RELATIVE = 1e-9


@pytest.fixture(scope="module", params=STUDIES)
def frozen(request):
    """(numbers, result, chi^2 functions) of one study."""
    numbers = json.loads((HERE / f"{request.param}.json").read_text(encoding="utf-8"))
    study = cl.load_study(request.param)
    return numbers, study.run(), chi2_functions(study)


def close(value, expected, scale=None):
    """Equal to 1e-9 of each number, or of a scale."""
    atol = 0.0 if scale is None else RELATIVE * scale
    return np.allclose(value, expected, rtol=RELATIVE, atol=atol)


def test_ends(frozen):
    numbers, result, _ = frozen
    assert len(result.limits) == len(numbers["ends"])
    for limit, (detector, coupling, pieces) in zip(result.limits, numbers["ends"], strict=True):
        assert (limit.detector, limit.coupling, len(limit.segments)) == (detector, coupling, len(pieces))
        assert close(limit.segments, pieces), (detector, coupling)


def test_best_fits_by_their_chi2(frozen):
    numbers, result, chi2 = frozen
    for limit, (detector, coupling, lowest) in zip(result.limits, numbers["best"], strict=True):
        value = chi2(detector, [coupling], [[limit.best_fit]])[0]
        assert value == pytest.approx(lowest, abs=RELATIVE * max(1, lowest)), (detector, coupling)


def test_spectra(frozen):
    numbers, result, _ = frozen
    for spectrum, (detector, *counts) in zip(result.spectra, numbers["spectra"], strict=True):
        assert spectrum.detector == detector
        for counted, expected in zip((spectrum.cevns, spectrum.electron, spectrum.background), counts, strict=True):
            assert close(counted, expected)


def test_profiles(frozen):
    numbers, result, _ = frozen
    lowest = {(detector, coupling): value for detector, coupling, value in numbers["best"]}
    for profile, (detector, coupling, values, expected) in zip(result.profiles, numbers["profiles"], strict=True):
        assert (profile.detector, profile.coupling) == (detector, coupling)
        step = max(1, -(-len(profile.value) // len(values)))
        assert close(profile.value[::step], values, 1e-300)
        total = np.abs(expected) + lowest[detector, coupling]
        assert np.all(np.abs(profile.delta_chi2[::step] - expected) <= RELATIVE * np.maximum(1, total))


def rounding(chi2, detector, names, points, values):
    """What a chi^2 may differ by: 1e-9 of itself, what 1e-9 of each coupling changes, and what large terms cancel to.

    Far out on a degenerate band terms of 1e10 cancel in the closed form: the order of its sums is seen.
    """
    step, points = 1e-6, np.asarray(points, dtype=float)
    total = RELATIVE * np.maximum(1, np.abs(values)) + cancelled(chi2.analyses[detector], names, points)
    for axis in range(points.shape[1]):
        moved = points.copy()
        moved[:, axis] *= 1 + step
        total += np.abs(chi2(detector, names, moved) - values) * RELATIVE / step
    return total


def cancelled(analysis, names, points):
    """The rounding errors of chi^2 in closed form: a few units in the last place of the terms that it is a sum of."""
    total = np.zeros(len(points))
    for _, closed, columns in ProfileLikelihood(analysis.likelihood, names).parts:
        if closed is not None:
            terms = np.abs(closed.polynomial.values(points[:, columns]))
            total += 4 * np.finfo(float).eps * np.einsum("pm,mn,pn->p", terms, np.abs(closed.gram[1:, 1:]), terms)
    return total


def test_contours(frozen):
    numbers, result, chi2 = frozen
    islands = {}
    for detector, x, y, points, expected in numbers["contours"]:
        islands[detector, x, y] = islands.get((detector, x, y), 0) + 1
        values = chi2(detector, (x, y), points)
        assert np.all(np.abs(values - expected) <= rounding(chi2, detector, (x, y), points, values)), (detector, x, y)
    for lines in result.contours:
        key = (lines.detector, lines.coupling_x, lines.coupling_y)
        assert len(lines.polygons) == islands.get(key, 0), key


def test_cross_sections(frozen):
    numbers, result, _ = frozen
    for curve, (*_, expected) in zip(result.cross_sections, numbers["cross_sections"], strict=True):
        step = max(1, -(-len(curve.dsigma_dt_cm2_per_kev) // len(expected)))
        assert close(curve.dsigma_dt_cm2_per_kev[::step], expected)


def test_scans(frozen):
    numbers, result, _ = frozen
    for point, (scan, value, detector, coupling, pieces) in zip(result.scans, numbers["scans"], strict=True):
        assert (point.scan, point.value, point.limit.detector, point.limit.coupling) == (
            scan,
            value,
            detector,
            coupling,
        )
        assert close(point.limit.segments, pieces)


def test_fits_of_the_standard_model(frozen):
    numbers, result, _ = frozen
    fit = {(row.detector, row.parameter): row for row in result.fit}
    for detector, parameter, value, error in numbers["fit"]:
        row = fit[detector, parameter]
        if parameter == "p_value":  # of pseudo-experiments, which have their own test
            assert abs(row.value - value) < 0.05
            continue
        # The fit's own tolerance: errors come from a numerical curvature.
        assert row.value == pytest.approx(value, rel=1e-5, abs=1e-5), (detector, parameter)
        assert error is None or row.error == pytest.approx(error, rel=1e-2), (detector, parameter)


def test_data_beside_the_fit(frozen):
    numbers, result, _ = frozen
    for spectrum, (detector, axis, observed, components) in zip(
        result.data_spectra, numbers["data_spectra"], strict=True
    ):
        assert (spectrum.detector, spectrum.axis) == (detector, axis)
        assert np.array_equal(spectrum.observed, observed)
        for name, counts in components.items():
            assert np.allclose(spectrum.components[name], counts, rtol=1e-4, atol=1e-6), (detector, name)
