"""Real data among a study's detectors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from cevnslab.studies.schema.base import Channels, DistanceM, MassKg, Model, Name, Positive, Text, Years
from cevnslab.studies.schema.detectors import Detector, Radius
from cevnslab.studies.schema.sources import GaussianPulse, SourceOrPreset


class DatasetDetector(Model):
    """Real data: a detector that brings its own source, exposure, bins, backgrounds and Poisson likelihood."""

    preset: str | None = Field(None, description="a data set by name, whose keys are the defaults")
    name: Name = Field(description="unique, safe as a file name; the preset's unless given")
    label: Text | None = Field(None, description="how figures name it; the name unless given")
    dataset: str = Field(description="a data set by name: whose data and analysis (formerly experiment)")
    observed: Literal["data", "asimov"] = Field("data", description="the counts, or the expectation in their place")
    nuisances: Literal["normalisation", "shape"] = Field(
        "normalisation", description="normalisations alone, or efficiency, quenching, radius, times too"
    )
    off_counts: Literal["exact", "fitted"] = Field(
        "exact",
        description="whether the template of a background known from counts of its own (the anti-coincident events of "
        "CsI) is exact, or fitted with their Poisson errors",
    )
    uncertainties: dict[str, Annotated[float, Field(ge=0, le=10)]] = Field(
        default={},
        description="relative widths in the place of the data set's own: of signal, or of a background by its name",
    )
    channels: Channels | None = Field(None, description="the study's unless given")
    target: str = Field(description="element or compound formula: that of the data")
    mass_kg: MassKg = Field(description="of the target")
    distance_m: DistanceM | None = Field(None, description="from the source; not where the source says itself how far")
    protons_on_target: Positive | None = Field(None, description="of the whole run, where pions decay at rest")
    neutrinos_per_proton: Positive | None = Field(None, description="of each flavour, likewise")
    pulse: GaussianPulse | None = Field(None, description="the protons' time profile, likewise")
    source: SourceOrPreset | None = Field(None, description="in the place of protons: keys, or a preset's name")
    exposure_years: Years | None = Field(None, description="of the data, with source")
    rms_radius_fm: Radius | None = Field(None, description="of the protons; tabulated unless given")
    neutron_radius_fm: Radius | None = Field(None, description="of the neutrons; what neutron_radius says unless given")
    neutron_radius: Literal["equal", "skin"] = Field(
        "equal", description="the protons', or 0.90 (N - Z)/A - 0.03 fm larger"
    )


def _detector_kind(value: Any) -> str:
    real = "dataset" in value if isinstance(value, dict) else isinstance(value, DatasetDetector)
    return "<dataset>" if real else "<detector>"


DetectorOrDataset = Annotated[
    Annotated[Detector, Tag("<detector>")] | Annotated[DatasetDetector, Tag("<dataset>")], Discriminator(_detector_kind)
]
