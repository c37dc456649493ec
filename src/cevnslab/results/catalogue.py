"""All tables of a result, in the order of the manual: whatever writes or shows tables reads them here."""

from __future__ import annotations

from cevnslab.results import curves, fits, limits, plans, spectra
from cevnslab.results.description import Table

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        limits.LIMITS,
        spectra.SUMMARY,
        spectra.SPECTRA,
        spectra.DATA_SPECTRA,
        fits.FIT,
        fits.PULLS,
        fits.SIGNIFICANCES,
        fits.BANDS,
        curves.PROFILES,
        curves.CONTOURS,
        curves.CRITICAL_VALUES,
        limits.SCANS,
        fits.SCAN_BANDS,
        plans.DESIGN,
        plans.MAPS,
        plans.LEVERS,
        spectra.CROSS_SECTIONS,
    )
}
"""By name: that of the file and of the result's field."""
