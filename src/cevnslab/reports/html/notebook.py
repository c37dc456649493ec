"""Studies, results and limits as notebooks show them."""

from __future__ import annotations

from cevnslab.reports.grid import Grid
from cevnslab.reports.html.blocks import grid_html
from cevnslab.reports.html.inputs import detector_grid
from cevnslab.reports.tables import fit_grid, limit_grid, limits_grid, summary_grid
from cevnslab.results import Limit, Result
from cevnslab.studies.study import Study


def result_html(result: Result) -> str:
    """The limits of a result, its counts where it has none, and the fits to data."""
    grids = [limits_grid(result) if result.limits else summary_grid(result)]
    grids += [fit_grid(result)] if result.fit else []
    return "\n".join(grid_html(grid) for grid in grids if grid.rows)


def limit_html(limit: Limit) -> str:
    """One limit, a fact a row."""
    return grid_html(limit_grid(limit))


def study_html(study: Study) -> str:
    """What a study is about: its detectors, its couplings."""
    keys = study.as_dict()
    detectors = detector_grid(keys, {setup.name: "+".join(setup.channels) for setup in study.setups})
    rows = tuple(
        (coupling.name, coupling.unit if coupling.unit != "1" else "", coupling.description)
        for coupling in study.couplings
    )
    couplings = Grid("Couplings that get limits", ("coupling", "unit", "meaning"), rows)
    return "\n".join(grid_html(grid) for grid in (detectors, couplings) if grid.rows)
