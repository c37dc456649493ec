"""Reference tables made of the package: keys of the study file from its schema, presets, couplings, options.

Nothing here is typed by hand: a new key, preset or coupling stands in the site the next time it is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from marks import filled

if TYPE_CHECKING:
    from sphinx.application import Sphinx

Schema = Mapping[str, Any]
WORDS = {"number": "number", "integer": "integer", "string": "text", "boolean": "true or false", "null": "nothing"}
PATTERNS = {r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}$": "letters, digits and `_.+-`, at most 80"}
LARGEST = 1e30
"""Limits from here on only keep infinities out."""
CHAPTERS = {
    "The study": ["StudyFile"],
    "Source": ["PionDecayAtRest", "Reactor", "TabulatedSource", "GaussianPulse", "UniformPulse"],
    "Detector": ["Detector", "Resolution", "EfficiencyFile", "Lindhard", "QuenchingFile"],
    "Experiment": ["Experiment"],
    "Couplings with parameters": ["Mediator"],
    "Uncertainties and intervals": ["Uncertainties", "Intervals"],
    "What to compute and draw": ["Combination", "Scan", "Profile", "CrossSection", "Figure", "Panel"],
}
"""Headings of the page; what the schema has beyond them follows under the last one."""
MEANINGS = {
    ("", "name"): "safe as a file name",
    ("", "title"): "how figures and tables name it",
    ("", "type"): "which kind this is",
    ("", "shape"): "which kind this is",
    ("", "channels"): "nuclei, electrons; joined by `+` in outputs",
    ("", "couplings"): "those that get limits: names of the registry, of plugins, or mappings",
    ("", "statistic"): "`least-squares` or the Poisson likelihood ratio",
    ("", "intervals"): "confidence level and method",
    ("", "detectors"): "at least one; names must differ",
    ("", "contours"): "pairs of couplings",
    ("", "profiles"): "curves of Δχ²",
    ("", "cross_sections"): "curves of the differential cross section",
    ("", "combinations"): "detectors analysed together",
    ("", "scans"): "limits as one key varies",
    ("", "form_factor"): "for protons and neutrons alike",
    ("", "nuclei"): "one nucleus of the standard weight per element, or the natural isotopes",
    ("", "radiative_corrections"): "g_p and g_n of arXiv:1303.5522 in the place of tree level",
    ("", "target"): "element or compound formula",
    ("", "mass_kg"): "of the target",
    ("", "distance_m"): "from the source",
    ("", "threshold_kev"): "lower edge of the first bin",
    ("", "maximum_kev"): "upper edge of the last bin",
    ("", "maximum_kevee"): "upper edge of the last bin",
    ("", "bins"): "number of equal bins from threshold to maximum",
    ("", "bin_edges_kev"): "edges, rising, in the place of threshold, maximum and bins",
    ("", "bin_edges_kevee"): "edges, rising, in the place of threshold, maximum and bins",
    ("", "source"): "the study's unless given",
    ("", "exposure_years"): "calendar years; the study's unless given",
    ("", "uncertainties"): "the study's unless given",
    ("", "rms_radius_fm"): "of the protons; from the nuclide table unless given",
    ("", "neutron_radius_fm"): "the proton's unless given",
    ("", "pulse"): "the protons' time profile",
    ("", "file"): "path, relative to the study file",
    ("", "axis"): "the energy of the table: the true recoil's or the reconstructed one",
    ("", "hours_per_year"): "live time in a calendar year",
    ("", "duty_factor"): "share of the live time in which it shines",
    ("", "thermal_power_gw"): "thermal, not electric",
    ("", "centre_us"): "mean of the pulse",
    ("", "start_us"): "beginning of the pulse",
    ("", "length_us"): "length of the pulse",
    ("", "sigma_kev"): "standard deviation at `at_kev`",
    ("", "at_kev"): "the energy at which the width is given",
    ("", "at_kevee"): "the energy at which the width is given",
    ("", "law"): "how the width grows with the true energy",
    ("", "signal"): "relative width of the signal's normalisation",
    ("", "background"): "relative width of the background's normalisation",
    ("", "confidence_level"): "a probability, not a level of Δχ²",
    ("", "method"): "Δχ² below its quantile, or simulated critical values",
    ("", "coupling"): "one of the study's",
    ("", "to"): "in the coupling's unit",
    ("", "points"): "of the curve",
    ("", "energy_mev"): "the neutrino's",
    ("", "channel"): "nuclei or electrons",
    ("", "values"): "values of the key or coupling",
    ("", "recoil_from_kev"): "lowest recoil energy of the curve",
    ("Combination", "detectors"): "names, at least two",
    ("Mediator", "name"): "which family",
    ("Figure", "name"): "of its files",
    ("Figure", "panels"): "row by row",
    ("", "panels"): "row by row",
}
"""Meanings of keys of which the schema gives none; its own description comes first."""


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; bars in its cells are escaped."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def study_schema() -> dict[str, Schema]:
    """Every model of the study file by name, as JSON schema, the study itself first."""
    from cevnslab.studies.schema import StudyFile

    whole = StudyFile.model_json_schema(by_alias=True)
    return {"StudyFile": whole, **whole["$defs"]}


def _anchor(model: str) -> str:
    return "keys-" + re.sub(r"(?<!^)(?=[A-Z])", "-", model).lower()


def _words(model: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", model).lower()


def alternatives(schema: Schema) -> Iterator[Schema]:
    """The kinds of value that a key may have, `null` aside: that one means the key is left out."""
    for kind in ("anyOf", "oneOf"):
        if kind in schema:
            for each in schema[kind]:
                yield from alternatives(each)
            return
    if schema.get("type") != "null":
        yield schema


def type_text(schema: Schema) -> str:
    """What a value is, in words, with links to the mappings."""
    return " or ".join(dict.fromkeys(_one_type(each) for each in alternatives(schema)))


def _one_type(schema: Schema) -> str:
    if "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        return f"[{_words(model)}](#{_anchor(model)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        inner = type_text(schema["items"])
        return f"list of {inner}"
    if schema.get("type") == "object":
        return f"mapping of name to {type_text(schema['additionalProperties'])}"
    return WORDS[schema["type"]]


def range_text(schema: Schema) -> str:
    """What a value may be beyond its type."""
    return "; ".join(dict.fromkeys(text for each in alternatives(schema) if (text := _one_range(each))))


def _one_range(schema: Schema) -> str:
    parts = []
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None:
        parts.append(f"≥ {_plain(low)}")
    if above is not None:
        parts.append(f"> {_plain(above)}")
    if high is not None and high < LARGEST:
        parts.append(f"≤ {_plain(high)}")
    if below is not None:
        parts.append(f"< {_plain(below)}")
    if "pattern" in schema:
        parts.append(PATTERNS.get(schema["pattern"], "one line, no `$`, at most 120 characters"))
    fewest, most = schema.get("minItems"), schema.get("maxItems")
    if fewest is not None and fewest == most:
        parts.append(f"{fewest} values")
    elif fewest is not None or most is not None:
        words = [f"{fewest} or more" if fewest is not None else "", f"at most {most}" if most is not None else ""]
        parts.append(", ".join(word for word in words if word))
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(inner, Mapping) and (text := range_text(inner)):
            parts.append(f"each {text}")
    return ", ".join(parts)


def _plain(number: float) -> str:
    """A number without a needless fraction.

    >>> _plain(10000.0), _plain(0.9999999), _plain(-1e6)
    ('10000', '0.9999999', '-1000000')
    """
    return str(int(number)) if number == int(number) else f"{number:.10g}"


def default_text(schema: Schema, required: bool) -> str:
    """The value that a key has where it is left out."""
    if required:
        return "required"
    default = schema.get("default")
    if default is None or default == []:
        return ""
    if isinstance(default, list):
        return "`[" + ", ".join(map(str, default)) + "]`"
    return f"`{default}`"


def meaning(model: str, key: str, schema: Schema) -> str:
    """What a key means: its description in the schema, else in `MEANINGS`."""
    return str(schema.get("description") or MEANINGS.get((model, key)) or MEANINGS.get(("", key), ""))


def model_keys(model: str, schema: Schema) -> str:
    """The keys of one mapping as a section."""
    rows = []
    for key, entry in schema["properties"].items():
        required = key in schema.get("required", [])
        rows.append([f"`{key}`", type_text(entry), default_text(entry, required), range_text(entry)])
        rows[-1].append(meaning(model, key, entry))
    title = _words(model).capitalize() if model != "StudyFile" else "Keys at the top"
    about = schema.get("description", "")
    return f"({_anchor(model)})=\n### {title}\n\n{about}\n\n" + table(
        ["key", "value", "default", "allowed", "meaning"], rows
    )


def study_keys() -> str:
    """All keys of the study file."""
    models = study_schema()
    listed = {name for chapter in CHAPTERS.values() for name in chapter}
    others = [name for name in models if name not in listed]
    chapters = {title: [n for n in names if n in models] for title, names in CHAPTERS.items()}
    chapters[list(chapters)[-1]] += others
    sections = []
    for title, names in chapters.items():
        sections += [f"## {title}", *(model_keys(name, models[name]) for name in names)]
    return "\n\n".join(sections)


def couplings_table() -> str:
    """The couplings of the registry."""
    from cevnslab.physics.couplings import COUPLINGS

    rows = []
    for name, new in COUPLINGS.items():
        pairs = ", ".join(f"{a}-{b}" for a, b in new.flavours)
        low, high = new.bounds
        source = getattr(new, "reference_text", "")
        bounds = f"{low:g} to {high:g}" if new.linear else "the target's nuclei decide"
        rows.append([f"`{name}`", new.description, f"`{new.unit}`", pairs, bounds, source])
    return table(["name", "what", "unit", "flavours", "bounds", "source"], rows)


def presets_table() -> str:
    """Sources, detectors and studies by name, with the first comment of their files."""
    from cevnslab.studies import presets

    rows = []
    for kind in presets.KINDS:
        for name in presets.names(kind):
            comment = re.match(r"(?:#.*\n)*", presets.text(kind, name))
            words = " ".join(line[1:].strip() for line in comment[0].splitlines()) if comment else ""
            rows.append([kind, f"`{name}`", words])
    return table(["kind", "name", "what"], rows)


def output_columns() -> str:
    """The columns of the tables that a study writes."""
    from cevnslab.reports.files import TABLES

    return table(["file", "columns"], [[f"`{name}`", columns.replace(",", ", ")] for name, columns in TABLES.items()])


def errors_table() -> str:
    """The exceptions and their meaning."""
    from cevnslab import errors

    rows = []
    for name, found in vars(errors).items():
        if isinstance(found, type) and issubclass(found, errors.CevnslabError):
            rows.append([f"`{name}`", (found.__doc__ or "").strip().splitlines()[0], f"{found.exit_status}"])
    return table(["error", "meaning", "exit status"], rows)


def command_help() -> str:
    """What `cevnslab COMMAND --help` prints, for every command."""
    import typer.main

    from cevnslab.cli import app

    group: Any = typer.main.get_command(app)
    sections = []
    for name, command in group.commands.items():
        context = command.make_context(f"cevnslab {name}", [], resilient_parsing=True, max_content_width=100)
        sections.append(f"## cevnslab {name}\n\n```text\n{command.get_help(context)}\n```")
    return "\n\n".join(sections)


def public_names() -> str:
    """The functions and classes of `cevnslab`, and its modules with a link to their pages."""
    import inspect

    import cevnslab as cl

    pages = {"constants": "constants", "atoms": "atoms", "couplings": "couplings", "cross_sections": "cross-sections"}
    pages |= {"form_factors": "form-factors", "nuclei": "nuclei", "sources": "sources"}
    functions, classes, rows = [], [], []
    for name in cl.__all__:
        found = getattr(cl, name)
        if inspect.ismodule(found):
            summary = (found.__doc__ or "").splitlines()[0]
            rows.append([f"[`cevnslab.{name}`](../physics/{pages.get(name, name)}.md)", summary])
        elif inspect.isclass(found):
            shown = ":show-inheritance:" if issubclass(found, Exception) else ":members:"
            classes.append(f".. autoclass:: cevnslab.{name}\n   {shown}")
        elif callable(found):
            functions.append(f".. autofunction:: cevnslab.{name}")
    made = ["## Modules of formulas", table(["module", "what"], rows)]
    for title, found in (("Functions", functions), ("Classes", classes)):
        made += [f"## {title}", "```{eval-rst}\n" + "\n\n".join(found) + "\n```"]
    return "\n\n".join(made)


MAKERS = {
    "study-keys": study_keys,
    "couplings": couplings_table,
    "presets": presets_table,
    "output-columns": output_columns,
    "errors": errors_table,
    "command-help": command_help,
    "public-names": public_names,
}


def _fill(app: Sphinx, docname: str, source: list[str]) -> None:
    source[0] = filled(source[0], MAKERS)


def setup(app: Sphinx) -> dict[str, bool]:
    """Fill the marks of every page that is read."""
    app.connect("source-read", _fill)
    app.connect("env-before-read-docs", _always_read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _always_read(app: Sphinx, env: Any, names: list[str]) -> None:
    """Pages with tables of the package are read anew in every build: their files do not tell that it changed."""
    marked = [name for name in env.found_docs if name.startswith(("reference/", "physics/", "galleries/"))]
    names[:] = list(dict.fromkeys([*names, *marked]))
