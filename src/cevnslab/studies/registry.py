"""Which couplings a study knows: the package's, its plugins', those of installed packages, and its mediators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from cevnslab.errors import StudyError, located
from cevnslab.physics.couplings import COUPLINGS, FAMILIES, Coupling
from cevnslab.physics.mediators import labelled_symbol
from cevnslab.results import CouplingInfo
from cevnslab.studies import plugins
from cevnslab.studies.schema import Mediator, StudyFile


def study_registry(file: StudyFile, announce: Callable[[str], None] | None = None) -> Mapping[str, Coupling]:
    """The couplings by name; plugins are run, each of which is announced before.

    Installed packages are only asked where a name is not known otherwise. Raises a `CevnslabError` for a plugin or
    mediator that cannot be used, and for a label that is taken.
    """
    by_name: dict[str, Coupling] = {}
    for number, name in enumerate(file.plugins, start=1):
        if announce is not None:
            announce(f"runs the plugin {name}")
        with located(f"plugins.{number}"):
            for each in plugins.from_file(Path(name)):
                plugins.add(by_name, each, f"plugin {name}")
    for number, entry in enumerate(file.couplings, start=1):
        if not isinstance(entry, Mediator):
            continue
        path = f"couplings.{entry.label or number}"
        parameters = {key: value for key, value in entry.model_dump(exclude_none=True).items() if key != "name"}
        if entry.name == "light_scalar" and "charges" in parameters:
            raise StudyError(f"{path}.charges: only a light_vector has charges")
        with located(path):
            each = FAMILIES[entry.name](**parameters)
        if each.name in COUPLINGS or each.name in FAMILIES or each.name in by_name:
            raise StudyError(f"{path}.label: '{each.name}' is the name of another coupling; choose another label")
        by_name[each.name] = each
    by_name = _told_apart(by_name)
    registry = {**COUPLINGS, **by_name}
    names = [*file.coupling_names, *file.profile, *(curve.coupling for curve in file.cross_sections)]
    if any(name not in registry and name not in FAMILIES for name in names):
        registry = {**plugins.from_entry_points(), **registry}
    return registry


def _told_apart(couplings: Mapping[str, Coupling]) -> dict[str, Coupling]:
    """Couplings of one symbol, such as mediators of two masses, by their labels instead."""
    symbols = [each.symbol for each in couplings.values()]
    return {
        name: each if symbols.count(each.symbol) == 1 else replace(each, symbol=labelled_symbol(name))
        for name, each in couplings.items()
    }


def coupling_info(coupling: Coupling) -> CouplingInfo:
    """What figures and tables need to know of a coupling."""
    return CouplingInfo(
        coupling.symbol, coupling.unit, coupling.scale, coupling.reference if coupling.linear else None, coupling.power
    )
