"""Couplings that users declare: Python files named in a study, or packages with an entry point.

A file (or module) declares `cevnslab.Coupling` objects at its top level; all of them are taken. A package offers one by
an entry point of the group `cevnslab.couplings`. Every one is tried on a few nuclei before a study uses it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cevnslab.errors import InputFileError, PluginError
from cevnslab.frozen import frozen_array, read_only
from cevnslab.physics.couplings import COUPLINGS, FAMILIES, FLAVOURS, Coupling
from cevnslab.physics.nuclei import Target, target
from cevnslab.studies.foreign import users_code
from cevnslab.textfiles import read_text
from cevnslab.words import shown

ENTRY_POINTS = "cevnslab.couplings"
TRIED_ON = ("CsI", "Ge", "Ar")
TRIED_AT_KEV = frozen_array(np.geomspace(0.05, 200.0, 24))
"""Recoil energies at which a kernel must be finite."""


def from_file(path: Path) -> list[Coupling]:
    """The couplings that a Python file declares; it is run.

    Raises `InputFileError` for a file that cannot be read and `PluginError`, which names the file and the fault, for
    one that does not run, declares none, or declares a kernel that cannot be used.
    """
    text = read_text(path, "plugin")
    name = f"cevnslab_plugin_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InputFileError(f"plugin {path}: must be a Python file, whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with users_code(f"plugin {path}:", "does not import", path):
        exec(compile(text, str(path), "exec"), module.__dict__)
    return _declared(vars(module), f"plugin {path}", path)


def from_entry_points() -> dict[str, Coupling]:
    """The couplings that installed packages offer, by name."""
    found: dict[str, Coupling] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name} ({entry.value})"
        with users_code(f"{where}:", "does not import"):
            offered = entry.load()
        for new in _declared({"offered": offered} if isinstance(offered, Coupling) else vars(offered), where):
            add(found, new, where)
    return found


def _declared(names: Mapping[str, Any], where: str, file: Path | None = None) -> list[Coupling]:
    couplings = list(dict.fromkeys(value for value in names.values() if isinstance(value, Coupling)))
    if not couplings:
        raise PluginError(f"{where}: declares no coupling; a cevnslab.Coupling at its top level is needed")
    for new in couplings:
        try_out(new, where, file)
    return couplings


def add(registry: dict[str, Coupling], new: Coupling, where: str) -> None:
    """Put a coupling into a registry; `PluginError` for a name that is taken."""
    if new.name in COUPLINGS or new.name in FAMILIES or new.name in registry:
        raise PluginError(f"{where}: the name '{new.name}' is taken; choose another")
    registry[new.name] = new


def try_out(new: Coupling, where: str, file: Path | None = None) -> None:
    """Look at a declaration, and evaluate its kernels on a few nuclei; `PluginError` for what cannot be used."""
    said = f"{where}: coupling {shown(new.name)}"
    _check_numbers(new, said)
    _check_words(new, said)
    _check_flavours(new, said)
    _check_symbol(new, said)
    if new.rebuild is None and new.nucleus is None and new.electron is None:
        raise PluginError(f"{said} has no kernel: give nucleus, electron or both")
    targets = [target(formula) for formula in TRIED_ON]
    if new.rebuild is not None and new.range_of is not None:
        for of in targets:
            _check_rebuild(new, of, said, file)
    recoil = TRIED_AT_KEV
    if new.nucleus is not None:
        # Form factors between their ends, with the zeros and signs that they have.
        factors = np.linspace(1.0, -0.1, len(recoil))
        factors[-2] = 0.0
        for of in targets:
            for constituent in of.constituents:
                arguments = recoil, constituent.nucleus, read_only(factors), read_only(factors)
                _check(new.nucleus, arguments, f"{said}: its kernel on nuclei ({constituent.nucleus.symbol})", file)
    if new.electron is not None:
        _check(new.electron, (recoil,), f"{said}: its kernel on electrons", file)


def _check_numbers(new: Coupling, said: str) -> None:
    if not isinstance(new.name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", new.name):
        raise PluginError(f"{said}: the name must be letters, digits and _ after a letter")
    if not isinstance(new.power, int):
        raise PluginError(f"{said}: the power must be a whole number, got {new.power}")
    numbers = (new.scale, new.reference, *(new.bounds if isinstance(new.bounds, tuple) else ("none",)))
    if len(numbers) != 4 or not all(isinstance(value, int | float) and np.isfinite(value) for value in numbers):
        raise PluginError(f"{said}: scale, reference and the two bounds must be finite numbers, got {numbers}")
    low, high = new.bounds
    if not (new.scale > 0 and low < high):
        raise PluginError(f"{said}: the scale must be above 0 and the bounds must rise")
    if new.linear and not low <= new.reference <= high:
        raise PluginError(f"{said}: the Standard Model's value {new.reference:g} is outside the bounds")


def _check_words(new: Coupling, said: str) -> None:
    """Texts reach tables and terminals: one line without control characters, units without separators."""
    for key in ("unit", "symbol", "description", "reference_text", "formula"):
        text = getattr(new, key)
        if not isinstance(text, str) or not (text == "" or text.isprintable()):
            raise PluginError(f"{said}: its {key} must be words of one line, got {shown(text)}")
    if not re.fullmatch(r"[\w%][^,;\"'|]{0,29}", new.unit):
        raise PluginError(
            f"{said}: its unit must be at most 30 letters without separators, such as e or 1e-32 cm2 (1 where there is "
            f"none), got {shown(new.unit)}"
        )


def _check_flavours(new: Coupling, said: str) -> None:
    def sound(pair: Any) -> bool:
        return isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(FLAVOURS)

    if not isinstance(new.flavours, tuple) or not new.flavours or not all(sound(pair) for pair in new.flavours):
        raise PluginError(f"{said}: flavours must be pairs of {', '.join(FLAVOURS)} such as (('e', 'e'),)")
    if len({frozenset(pair) for pair in new.flavours}) != len(new.flavours):
        raise PluginError(f"{said}: a pair of flavours is given twice")


def _check_symbol(new: Coupling, said: str) -> None:
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(f"${new.symbol}$")
    except ValueError:
        raise PluginError(f"{said}: the symbol '{new.symbol}' is no mathtext that matplotlib can draw") from None


def _check_rebuild(new: Coupling, of: Target, said: str, file: Path | None) -> None:
    assert new.rebuild is not None
    assert new.range_of is not None
    with users_code(f"{said}: rebuild or range_of", f"fails on {of.formula}", file):
        low, own, high = (float(value) for value in new.range_of(of))
        made = [new.rebuild(of, value) for value in (low, own, high)]
    if not low <= own <= high or not all(isinstance(each, Target) for each in made):
        raise PluginError(f"{said}: range_of must give lowest, own and highest value, and rebuild a target for each")


def _check(kernel: Any, arguments: tuple[Any, ...], said: str, file: Path | None) -> None:
    with users_code(said, "fails", file), np.errstate(all="ignore"):
        value = np.asarray(kernel(*arguments))
        if np.iscomplexobj(value):
            raise TypeError("it is complex")
        value = value.astype(float)
    if value.shape != arguments[0].shape:
        raise PluginError(f"{said} has the shape {value.shape} for recoil energies of shape {arguments[0].shape}")
    if not np.all(np.isfinite(value)):
        raise PluginError(f"{said} is not finite at all recoil energies from 0.05 to 200 keV")
