"""A study's results as one page of HTML that needs nothing else: tables, figures, assumptions, provenance."""

from __future__ import annotations

from cevnslab.reports.html.page import FILE, page, write_report

__all__ = ["FILE", "page", "write_report"]
