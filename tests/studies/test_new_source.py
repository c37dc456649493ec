"""A type of source is its keys, its builder and its physics, each once: another one goes through a study."""

from __future__ import annotations

import subprocess
import sys

from support import PATIENCE_S

from cevnslab.studies.schema.sources import KINDS
from cevnslab.studies.sources import BUILDERS

CODE = """
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from cevnslab.physics.sources.source import FluxComponent, Steady, required_distance_m
from cevnslab.physics.spectra import LineSpectrum
from cevnslab.studies.schema import sources as schema


class Capture(schema.SourceModel):
    '''Electron neutrinos of one energy.'''

    type: Literal["capture"] = Field(description="which kind of source this is")
    activity_bq: float = Field(description="decays a second")


@dataclass(frozen=True)
class CaptureSource(Steady):
    name: str
    activity_bq: float
    hours_per_year: float = 8766.0
    duty_factor: float = 1.0
    needs_distance: bool = True

    @property
    def components(self):
        return (FluxComponent("nu_e", "e", False, LineSpectrum(0.7466)),)

    def fluence_per_cm2(self, distance_m, years):
        distance_cm = 100 * required_distance_m(self.name, distance_m)
        return self.activity_bq * self.beam_seconds(years) / (12.566370614 * distance_cm**2)


schema.KINDS = (*schema.KINDS, Capture)
schema.SOURCES["capture"] = Capture
from cevnslab.studies import sources
sources.BUILDERS[Capture] = lambda keys, base: CaptureSource(keys.name, keys.activity_bq)
keys = sources.validated_source({"type": "capture", "activity_bq": 1e15})
print(sources.build_source(keys).fluence_per_cm2(1, 1) > 0)
"""


def test_every_type_has_a_builder():
    assert set(BUILDERS) == set(KINDS)


def test_another_type_of_source():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (ran.stdout, ran.stderr) == ("True\n", "")
