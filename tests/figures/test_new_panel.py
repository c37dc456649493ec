"""A kind of panel is one class: in a process of its own, another one is read, checked, described and drawn."""

from __future__ import annotations

import subprocess
import sys

from support import PATIENCE_S

CODE = """
import cevnslab.figures.panels as panels
from pydantic import Field
from cevnslab.figures.panels.panel import DrawnPanel
from cevnslab.studies.schema.base import require_known


class TotalsPanel(DrawnPanel):
    '''Counts of detectors in all.'''

    kind = "totals"
    totals: list[str] = Field(description="projected detectors")

    def check(self, contents, path):
        require_known(f"{path}.totals", self.totals, contents.projected, "projected detector of this study")

    def words(self, detectors):
        return f"Counts of {' and '.join(self.totals)} in all"

    def draw(self, cell, result):
        counts = [s.cevns.sum() for s in result.spectra if s.detector in self.totals]
        cell.axes.bar(self.totals, counts)


panels.KINDS = (*panels.KINDS, TotalsPanel)

import cevnslab as cl
from cevnslab.figures.catalogue import draw, figure_specs
from cevnslab.reports.json_schema import study_schema
from cevnslab.reports.keys import chapters

keys = {**cl.load_study("parada2024").as_dict(), "profiles": [], "contours": [], "cross_sections": []}
keys["figures"] = [{"name": "all", "panels": [{"totals": ["ess-ge", "ess-xe"]}]}]
result = cl.study_from_dict(keys).run()
(spec,) = figure_specs(result)
(axes,) = draw(result, spec).axes
print(len(axes.patches), *(panel.words(()) for panel in spec.panels))
print("TotalsPanel" in study_schema()["$defs"], any(m.model == "TotalsPanel" for c in chapters().values() for m in c))
keys["figures"][0]["panels"][0]["totals"] = ["ess-gee"]
try:
    cl.study_from_dict(keys)
except cl.CevnslabError as error:
    print(error)
"""


def test_a_kind_of_panel_is_one_class():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert not ran.stderr, ran.stderr
    drawn, described, refused = ran.stdout.splitlines()
    assert (drawn, described) == ("2 Counts of ess-ge and ess-xe in all", "True True")
    assert "figures.all.panels.1.totals: " in refused
    assert "'ess-gee'" in refused
    assert "ess-ge" in refused
