"""The study file, key by key: types, ranges, defaults and meanings, a module a subject.

The messages of `cevnslab.studies.validation`, the JSON Schema, the reference page and `cevnslab keys` are made of these
models: a key is written here and nowhere else.
"""

from cevnslab.studies.schema.base import LARGEST_RATE, require_known, require_unique
from cevnslab.studies.schema.counts import Background, CountsFile, OffCounts
from cevnslab.studies.schema.couplings import Mediator
from cevnslab.studies.schema.datasets import DatasetDetector
from cevnslab.studies.schema.detectors import Detector, EfficiencyFile, Lindhard, QuenchingFile, Resolution
from cevnslab.studies.schema.figures import (
    Figure,
    Panel,
)
from cevnslab.studies.schema.outputs import Combination, CrossSection, Profile, Scan
from cevnslab.studies.schema.planning import DesignQuestion, Goal, KeyRange, LimitMap, Range
from cevnslab.studies.schema.sources import (
    SOURCES,
    FissionFile,
    FluxFactor,
    GaussianPulse,
    OfSpecies,
    Oscillation,
    PionDecayAtRest,
    Reactor,
    ReactorCore,
    Solar,
    SourceModel,
    Supernova,
    TabulatedSource,
    UniformPulse,
    source_type_fault,
)
from cevnslab.studies.schema.statistics import Bands, Intervals, Uncertainties
from cevnslab.studies.schema.study import StudyFile
from cevnslab.studies.schema.systematics import Prior, Systematic

__all__ = [
    "LARGEST_RATE",
    "SOURCES",
    "Background",
    "Bands",
    "Combination",
    "CountsFile",
    "CrossSection",
    "DatasetDetector",
    "DesignQuestion",
    "Detector",
    "EfficiencyFile",
    "Figure",
    "FissionFile",
    "FluxFactor",
    "GaussianPulse",
    "Goal",
    "Intervals",
    "KeyRange",
    "LimitMap",
    "Lindhard",
    "Mediator",
    "OfSpecies",
    "OffCounts",
    "Oscillation",
    "Panel",
    "PionDecayAtRest",
    "Prior",
    "Profile",
    "QuenchingFile",
    "Range",
    "Reactor",
    "ReactorCore",
    "Resolution",
    "Scan",
    "Solar",
    "SourceModel",
    "StudyFile",
    "Supernova",
    "Systematic",
    "TabulatedSource",
    "Uncertainties",
    "UniformPulse",
    "require_known",
    "require_unique",
    "source_type_fault",
]
