"""Couplings that users declare: Python files named in a study, or packages with an entry point.

A file (or module) declares `cevnslab.Coupling` objects at its top level; all of them are taken. A package offers one by
an entry point of the group `cevnslab.couplings`. Every one is tried on a few nuclei before a study uses it.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import re
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cevnslab.errors import InputFileError, PluginError
from cevnslab.frozen import frozen_array, read_only
from cevnslab.physics.couplings import COUPLINGS, FAMILIES, FLAVOURS, Coupling
from cevnslab.physics.nuclei import Target, target
from cevnslab.studies.foreign import users_code
from cevnslab.textfiles import read_text
from cevnslab.words import excerpt

FloatArray = NDArray[np.float64]

ENTRY_POINTS = "cevnslab.couplings"
TRIED_ON = ("CsI", "Ge", "Ar")
TRIED_AT_KEV = frozen_array(np.geomspace(0.05, 200.0, 24))
"""Recoil energies at which a kernel must be finite."""


def from_file(path: Path) -> list[Coupling]:
    """The couplings that a Python file declares; it is run.

    Raises `InputFileError` for a file that cannot be read and `PluginError`, which names the file and the fault, for
    one that does not run, declares none, or declares a kernel that cannot be used.
    """
    if _is_pipe(path):  # nobody may ever write to it
        raise InputFileError(f"plugin {path}: must be a Python file, this is a pipe")
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


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):  # what is wrong with it is said by its reading
        return False


def from_entry_points() -> dict[str, Coupling]:
    """The couplings that installed packages offer, by name."""
    couplings_by_name: dict[str, Coupling] = {}
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name} ({entry.value})"
        with users_code(f"{where}:", "does not import"):
            offered = entry.load()
        for coupling in _declared({"offered": offered} if isinstance(offered, Coupling) else vars(offered), where):
            add(couplings_by_name, coupling, where)
    return couplings_by_name


def _declared(names: Mapping[str, Any], where: str, file: Path | None = None) -> list[Coupling]:
    couplings = list(dict.fromkeys(value for value in names.values() if isinstance(value, Coupling)))
    if not couplings:
        raise PluginError(f"{where}: declares no coupling; a cevnslab.Coupling at its top level is needed")
    for coupling in couplings:
        try_out(coupling, where, file)
    return [_watched(coupling, where, file) for coupling in couplings]


@dataclass(frozen=True)
class _Watched:
    """A user's function wherever it is called: tried on a few nuclei and energies, it may still fail on others."""

    function: Any
    prefix: str
    file: Path | None

    def __call__(self, *arguments: Any) -> Any:
        with users_code(self.prefix, "fails", self.file):
            return self.function(*arguments)


@dataclass(frozen=True)
class _WatchedKernel(_Watched):
    """A kernel, whose numbers are looked at too."""

    def __call__(self, *arguments: Any) -> Any:
        target_text = f" ({arguments[1].symbol})" if len(arguments) > 1 else ""
        return _evaluated(self.function, arguments, f"{self.prefix}{target_text}", self.file)


def _place(function: Any) -> str:
    """Where a function is defined, if that is known."""
    code = getattr(function, "__code__", None)
    return "" if code is None else f" (defined in {Path(code.co_filename).name}, line {code.co_firstlineno})"


def _watched(coupling: Coupling, where: str, file: Path | None) -> Coupling:
    """The same coupling, whose functions name their file and line when they fail in a run."""
    prefix = f"{where}: coupling {excerpt(coupling.name)}: "
    kinds = {
        "nucleus": (_WatchedKernel, "its kernel on nuclei"),
        "electron": (_WatchedKernel, "its kernel on electrons"),
        "rebuild": (_Watched, "rebuild"),
        "range_of": (_Watched, "range_of"),
    }
    functions: dict[str, Any] = {
        key: kind(getattr(coupling, key), prefix + words, file)
        for key, (kind, words) in kinds.items()
        if getattr(coupling, key) is not None
    }
    return replace(coupling, **functions)


def add(registry: dict[str, Coupling], coupling: Coupling, where: str) -> None:
    """Put a coupling into a registry; `PluginError` for a name that is taken."""
    if coupling.name in COUPLINGS or coupling.name in FAMILIES or coupling.name in registry:
        raise PluginError(f"{where}: the name '{coupling.name}' is taken; choose another")
    registry[coupling.name] = coupling


def try_out(coupling: Coupling, where: str, file: Path | None = None) -> None:
    """Look at a declaration, and evaluate its kernels on a few nuclei; `PluginError` for what cannot be used."""
    prefix = f"{where}: coupling {excerpt(coupling.name)}"
    _check_numbers(coupling, prefix)
    _check_words(coupling, prefix)
    _check_flavours(coupling, prefix)
    _check_symbol(coupling, prefix)
    if coupling.rebuild is None and coupling.nucleus is None and coupling.electron is None:
        raise PluginError(f"{prefix} has no kernel: give nucleus, electron or both")
    targets = [target(formula) for formula in TRIED_ON]
    if coupling.rebuild is not None and coupling.range_of is not None:
        for material in targets:
            _check_rebuild(coupling, material, prefix, file)
    recoil = TRIED_AT_KEV
    if coupling.nucleus is not None:
        # Form factors between their ends, with the zeros and signs that they have.
        factors = np.linspace(1.0, -0.1, len(recoil))
        factors[-2] = 0.0
        for material in targets:
            for constituent in material.constituents:
                arguments = recoil, constituent.nucleus, read_only(factors), read_only(factors)
                _evaluated(
                    coupling.nucleus, arguments, f"{prefix}: its kernel on nuclei ({constituent.nucleus.symbol})", file
                )
    if coupling.electron is not None:
        _evaluated(coupling.electron, (recoil,), f"{prefix}: its kernel on electrons", file)


def _check_numbers(coupling: Coupling, prefix: str) -> None:
    if not isinstance(coupling.name, str) or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,79}", coupling.name):
        raise PluginError(f"{prefix}: the name must be letters, digits and _ after a letter, 80 at most")
    if not isinstance(coupling.power, int):
        raise PluginError(f"{prefix}: the power must be a whole number, got {coupling.power}")
    numbers = (
        coupling.scale,
        coupling.reference,
        *(coupling.bounds if isinstance(coupling.bounds, tuple) else ("none",)),
    )
    if len(numbers) != 4 or not all(isinstance(value, int | float) and np.isfinite(value) for value in numbers):
        raise PluginError(f"{prefix}: scale, reference and the two bounds must be finite numbers, got {numbers}")
    low, high = coupling.bounds
    if not (coupling.scale > 0 and low < high):
        raise PluginError(f"{prefix}: the scale must be above 0 and the bounds must rise")
    if coupling.linear and not low <= coupling.reference <= high:
        raise PluginError(f"{prefix}: the Standard Model's value {coupling.reference:g} is outside the bounds")


def _check_words(coupling: Coupling, prefix: str) -> None:
    """Texts reach tables and terminals: one line without control characters, units without separators."""
    for key in ("unit", "symbol", "description", "reference_text", "formula"):
        text = getattr(coupling, key)
        if not isinstance(text, str) or not (text == "" or text.isprintable()):
            raise PluginError(f"{prefix}: its {key} must be words of one line, got {excerpt(text)}")
    if not re.fullmatch(r"[\w%][^,;\"'|]{0,29}", coupling.unit):
        raise PluginError(
            f"{prefix}: its unit must be at most 30 letters without separators, such as e or 1e-32 cm2 (1 where there "
            f"is none), got {excerpt(coupling.unit)}"
        )


def _check_flavours(coupling: Coupling, prefix: str) -> None:
    def sound(pair: Any) -> bool:
        return isinstance(pair, tuple) and len(pair) == 2 and set(pair) <= set(FLAVOURS)

    if (
        not isinstance(coupling.flavours, tuple)
        or not coupling.flavours
        or not all(sound(pair) for pair in coupling.flavours)
    ):
        raise PluginError(f"{prefix}: flavours must be pairs of {', '.join(FLAVOURS)} such as (('e', 'e'),)")
    if len({frozenset(pair) for pair in coupling.flavours}) != len(coupling.flavours):
        raise PluginError(f"{prefix}: a pair of flavours is given twice")


def _check_symbol(coupling: Coupling, prefix: str) -> None:
    from matplotlib.mathtext import MathTextParser

    try:
        MathTextParser("path").parse(f"${coupling.symbol}$")
    except ValueError:
        raise PluginError(f"{prefix}: the symbol '{coupling.symbol}' is no mathtext that matplotlib can draw") from None


def _check_rebuild(coupling: Coupling, target: Target, prefix: str, file: Path | None) -> None:
    assert coupling.rebuild is not None
    assert coupling.range_of is not None
    with users_code(f"{prefix}: rebuild or range_of", f"fails on {target.formula}", file):
        low, standard_model, high = (float(value) for value in coupling.range_of(target))
        rebuilt = [coupling.rebuild(target, value) for value in (low, standard_model, high)]
    if not low <= standard_model <= high or not all(isinstance(each, Target) for each in rebuilt):
        raise PluginError(f"{prefix}: range_of must give lowest, own and highest value, and rebuild a target for each")


def _evaluated(kernel: Any, arguments: tuple[Any, ...], prefix: str, file: Path | None) -> FloatArray:
    """A kernel at recoil energies, its first argument; `PluginError` for what is not a finite number at each."""
    recoil, place = np.asarray(arguments[0]), _place(kernel)
    with users_code(prefix, "fails", file), np.errstate(all="ignore"):
        value = np.asarray(kernel(*arguments))
    if value.dtype.kind not in "biuf":
        raise PluginError(f"{prefix} gives {'complex' if value.dtype.kind == 'c' else 'no'} numbers{place}")
    if value.shape != recoil.shape:
        raise PluginError(f"{prefix} has the shape {value.shape} for recoil energies of shape {recoil.shape}{place}")
    if not np.all(np.isfinite(value)):
        energies = f"{recoil.min():.4g} to {recoil.max():.4g} keV"
        raise PluginError(f"{prefix} is not finite at all recoil energies from {energies}{place}")
    return value.astype(float)
