"""The arrow of the design: physics -> detection -> inference -> experiments -> studies -> figures, reports -> cli."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cevnslab

ROOT = Path(cevnslab.__file__).parent
LAYERS = [
    "quadratic",
    "results",
    "physics",
    "detection",
    "likelihood",
    "inference",
    "experiments",
    "studies",
    "figures",
    "reports",
    "cli",
]
RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
FOUNDATION = {"errors", "parallel", "progress", "rendering", "textfiles", "version", "words"}
"""Known to all, knowing nothing."""
TOP = {"__init__", "__main__"}
"""The package's front door hands names on, late; `python -m cevnslab` is the command."""


def modules():
    return {str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path for path in ROOT.rglob("*.py")}


def type_checking_only(tree):
    """The nodes under `if TYPE_CHECKING:`."""
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for statement in node.body
        for inner in ast.walk(statement)
    }


def in_functions(tree):
    return {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }


def imports(path):
    """(imported module inside the package, whether at run time on import) of every import in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types, late = type_checking_only(tree), in_functions(tree)
    for node in ast.walk(tree):
        if id(node) in only_types:
            continue
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the arrow"
            base = node.module or ""
            names = [f"{base}.{alias.name}" for alias in node.names] if _is_package(base) else [base]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name == "cevnslab" or name.startswith("cevnslab."):
                yield name.removeprefix("cevnslab").lstrip("."), id(node) in late


def _is_package(name):
    return name.startswith("cevnslab") and (ROOT.parent / name.replace(".", "/") / "__init__.py").exists()


def arrows_that_run_back():
    found = {}
    for module, path in modules().items():
        layer = module.split(".")[0]
        if layer in TOP:
            continue
        for imported, late in imports(path):
            other = imported.split(".")[0]
            if other in FOUNDATION:
                continue
            if layer in FOUNDATION or other not in RANK or RANK[other] > RANK[layer]:
                found[module, imported] = late
    return found


def test_no_arrow_runs_back():
    back = arrows_that_run_back()
    assert not back, "\n".join(f"cevnslab.{a} imports cevnslab.{b}" for a, b in back)


def test_every_module_has_a_layer():
    known = set(LAYERS) | FOUNDATION | TOP
    assert {module.split(".")[0] for module in modules()} <= known
    assert {"physics.constants", "studies.runner", "reports.files"} <= set(modules())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from cevnslab.studies import runner", ["studies.runner"]),
        ("from cevnslab.studies.runner import run", ["studies.runner"]),
        ("import cevnslab.cli", ["cli"]),
        ("def f():\n    from cevnslab.figures.style import RC", ["figures.style"]),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from cevnslab.studies.study import Study", []),
        ("import numpy", []),
    ],
)
def test_the_walk_sees_imports(code, expected, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(code, encoding="utf-8")
    assert [name for name, _ in imports(path)] == expected


def test_no_module_is_longer_than_one_sitting():
    longest = max(modules().values(), key=lambda path: len(path.read_text(encoding="utf-8").splitlines()))
    assert len(longest.read_text(encoding="utf-8").splitlines()) < 500, longest
