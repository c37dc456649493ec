"""The JSON Schema of a study file: what an editor needs to complete and check it while it is written.

Made of the models that check a study when it is loaded, so that it cannot fall behind them. It says less than loading
does: rules across keys, and whether a preset or file fits, are checked by ``cevnslab check`` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cevnslab.datasets import registry as datasets
from cevnslab.physics.couplings import COUPLINGS
from cevnslab.studies import presets
from cevnslab.studies.schema import SOURCES, StudyFile
from cevnslab.studies.schema.figures import panel_kinds

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

COUPLING_KEYS = {
    "StudyFile": ("profile", "contours"),
    "Profile": ("coupling",),
    "CrossSection": ("coupling",),
}
"""Where couplings are named, by model; panels say so themselves."""


def study_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a study file.

    >>> schema = study_schema()
    >>> schema["required"]
    ['name', 'couplings', 'detectors']
    >>> "ess-ge" in schema["$defs"]["Detector"]["properties"]["preset"]["enum"]
    True
    """
    whole: Schema = StudyFile.model_json_schema(by_alias=True)
    definitions: Schema = whole["$defs"]
    models = {**definitions, "StudyFile": whole}
    _name_couplings(models)
    _name_sources(models)
    _name_detectors(models)
    return {
        "$schema": DIALECT,
        **whole,
        "title": "cevnslab study",
        "description": "A study file of cevnslab: what to compute.",
    }


def _name_couplings(models: Mapping[str, Schema]) -> None:
    """Offer the couplings' names; others are allowed, since plugins and mediators' labels bring their own."""
    described = [
        {"const": coupling.name, "description": f"{coupling.description} ({coupling.unit})"}
        for coupling in COUPLINGS.values()
    ]
    models["StudyFile"]["$defs"]["CouplingName"] = {
        "anyOf": [
            {"title": "a coupling of cevnslab", "oneOf": described},
            {"title": "a coupling of a plugin or mediator", "type": "string", "minLength": 1},
        ]
    }
    named = {"$ref": "#/$defs/CouplingName"}
    of_panels = {kind.__name__: kind.coupling_keys for kind in panel_kinds()}
    for model, keys in {**COUPLING_KEYS, **of_panels}.items():
        for key in keys:
            properties = models[model]["properties"]
            properties[key] = _replaced(properties[key], {"type": "string"}, named)
    listed = models["StudyFile"]["properties"]["couplings"]
    listed["items"] = {"anyOf": [named, {"$ref": "#/$defs/Mediator"}]}


def _replaced(part: Any, pattern: Schema, replacement: Schema) -> Any:
    """A schema with every part that is a plain `old` made `new`."""
    if isinstance(part, dict):
        plain = {key: value for key, value in part.items() if key not in ("title", "description")}
        if plain == pattern:
            return {**part, **replacement} if plain != part else dict(replacement)
        return {key: _replaced(value, pattern, replacement) for key, value in part.items()}
    return [_replaced(value, pattern, replacement) for value in part] if isinstance(part, list) else part


def _preset_names(kind: presets.Kind) -> Schema:
    return {"type": "string", "enum": presets.names(kind)}


def _name_sources(models: Mapping[str, Schema]) -> None:
    """A word for a source must be a preset's name; else its type, or its preset's, says which keys it has."""
    of_type: dict[str, list[str]] = {kind: [] for kind in SOURCES}
    for name in presets.names("sources"):
        of_type[presets.load("sources", name)["type"]].append(name)
    by_type: list[Schema] = []
    for kind, model in SOURCES.items():
        entry = models[model.__name__]
        description = {key: value for key, value in entry["properties"]["preset"].items() if key == "description"}
        entry["properties"]["preset"] = {**description, "type": "string", "enum": of_type[kind]}
        entry["anyOf"] = [{"required": ["preset"]}, {"required": entry.pop("required")}]
        typed = {"properties": {"type": entry["properties"]["type"]}, "required": ["type"]}
        preset = {"properties": {"preset": {"enum": of_type[kind]}}, "required": ["preset"]}
        by_type.append({"if": {"anyOf": [typed, preset]}, "then": {"$ref": f"#/$defs/{model.__name__}"}})
    kinds: Schema = {"properties": {"type": {"enum": list(SOURCES)}, "preset": _preset_names("sources")}}
    either = [{"required": ["type"]}, {"required": ["preset"]}]
    by_keys = {"type": "object", **kinds, "anyOf": either, "allOf": by_type}
    models["StudyFile"]["$defs"]["Source"] = {"anyOf": [_preset_names("sources"), by_keys]}
    for name in ("StudyFile", "Detector"):
        properties = models[name]["properties"]
        description = {key: value for key, value in properties["source"].items() if key == "description"}
        properties["source"] = {**description, "$ref": "#/$defs/Source"}


def _name_detectors(models: Mapping[str, Schema]) -> None:
    """A preset fills in what its entry leaves out, so that nothing else is required then."""
    real = list(datasets.known())
    models["DatasetDetector"]["properties"]["dataset"]["enum"] = real
    projected = [name for name in presets.names("detectors") if name not in real]
    for model, names in (("Detector", projected), ("DatasetDetector", real)):
        entry = models[model]
        description = {key: value for key, value in entry["properties"]["preset"].items() if key == "description"}
        entry["properties"]["preset"] = {**description, "type": "string", "enum": names}
        entry["anyOf"] = [{"required": ["preset"]}, {"required": entry.pop("required")}]
    # One branch or the other: an editor then speaks of the right one alone.
    data = {"properties": {"preset": {"enum": real}}, "required": ["preset"]}
    models["StudyFile"]["properties"]["detectors"]["items"] = {
        "type": "object",
        "if": {"anyOf": [{"required": ["dataset"]}, data]},
        "then": {"$ref": "#/$defs/DatasetDetector"},
        "else": {"$ref": "#/$defs/Detector"},
    }
