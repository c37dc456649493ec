"""Reference tables made of the package: keys of the study file from its schema, presets, couplings, options.

Nothing here is typed by hand: a new key, preset or coupling stands in the site the next time it is built.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from marks import filled

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; bars in its cells are escaped."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _anchor(model: str) -> str:
    return "keys-" + re.sub(r"(?<!^)(?=[A-Z])", "-", model).lower()


def study_keys() -> str:
    """All keys of the study file, by chapter and mapping."""
    from cevnslab.reports import keys

    def link(model: str) -> str:
        return f"[{keys.words(model)}](#{_anchor(model)})"

    sections = []
    for title, mappings in keys.chapters().items():
        sections.append(f"## {title}")
        for mapping in mappings:
            rows = [
                [
                    f"`{key.name}`",
                    key.value(link, "`"),
                    key.default if key.required or not key.default else f"`{key.default}`",
                    key.allowed,
                    key.meaning,
                ]
                for key in mapping.keys
            ]
            columns = table(["key", "value", "default", "allowed", "meaning"], rows)
            sections.append(f"({_anchor(mapping.model)})=\n### {mapping.title}\n\n{mapping.about}\n\n{columns}")
    return "\n\n".join(sections)


def couplings_table() -> str:
    """The couplings of the registry."""
    from cevnslab.physics.couplings import COUPLINGS

    rows = []
    for name, coupling in COUPLINGS.items():
        pairs = ", ".join(f"{a}-{b}" for a, b in coupling.flavours)
        low, high = coupling.bounds
        source = getattr(coupling, "reference_text", "")
        bounds = f"{low:g} to {high:g}" if coupling.linear else "the target's nuclei decide"
        rows.append([f"`{name}`", coupling.description, f"`{coupling.unit}`", pairs, bounds, source])
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
    """Every table that a study writes: what its rows and columns are."""
    from cevnslab.results import TABLES

    sections = []
    for described in TABLES.values():
        rows = [[f"`{column.name}`", str(column.unit), column.meaning] for column in described.described]
        heading = f"## {described.title}: `{described.file}`"
        sections.append(f"{heading}\n\nA row is {described.meaning}.\n\n{table(['column', 'unit', 'meaning'], rows)}")
    return "\n\n".join(sections)


def errors_table() -> str:
    """The exceptions and their meaning."""
    from cevnslab import errors

    rows = []
    for name, result in vars(errors).items():
        if isinstance(result, type) and issubclass(result, errors.CevnslabError):
            rows.append([f"`{name}`", (result.__doc__ or "").strip().splitlines()[0], f"{result.exit_status}"])
    return table(["error", "meaning", "exit status"], rows)


def command_help() -> str:
    """What `cevnslab COMMAND --help` prints, for every command."""
    import typer.main

    from cevnslab.cli.commands import app

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
        member = getattr(cl, name)
        if inspect.ismodule(member):
            summary = (member.__doc__ or "").splitlines()[0]
            rows.append([f"[`cevnslab.{name}`](../physics/{pages.get(name, name)}.md)", summary])
        elif inspect.isclass(member):
            visible = ":show-inheritance:" if issubclass(member, Exception) else ":members:"
            classes.append(f".. autoclass:: cevnslab.{name}\n   {visible}")
        elif callable(member):
            functions.append(f".. autofunction:: cevnslab.{name}")
    sections = ["## Modules of formulas", table(["module", "what"], rows)]
    for title, directives in (("Functions", functions), ("Classes", classes)):
        sections += [f"## {title}", "```{eval-rst}\n" + "\n\n".join(directives) + "\n```"]
    return "\n\n".join(sections)


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
