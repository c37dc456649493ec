"""The order of the design: every import in the package points down, and none leads back to where it began.

All imports count: at the top of a module, inside functions, under `TYPE_CHECKING`. There are no exemptions.
"""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

import pytest

import cevnslab

ROOT = Path(cevnslab.__file__).parent
FOUNDATION = [
    "arguments",
    "errors",
    "frozen",
    "packaged",
    "parallel",
    "progress",
    "quadratic",
    "rendering",
    "textfiles",
    "units",
    "version",
    "words",
]
"""Known to all, knowing nothing but each other."""
LAYERS = [
    *("results", "physics", "detection", "likelihood", "inference", "datasets"),
    *("studies", "figures", "reports", "explorer", "cli"),
]
"""Lowest first."""
FRONT_DOOR = "__init__"
"""Hands names on, from above all layers."""
RANK = {**dict.fromkeys(FOUNDATION, -1), **{layer: rank for rank, layer in enumerate(LAYERS)}}
RANK |= {FRONT_DOOR: len(LAYERS), "__main__": len(LAYERS)}


def modules():
    """Every module of the package by its dotted name; a package is its `__init__`."""
    named = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts)] = path
    return named


def imported_names(tree):
    """The full name of whatever an import statement anywhere in a module names, also as the text of a late import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the arrow"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            yield from (text.value for text in node.args if isinstance(text, ast.Constant))


def resolved(name, known):
    """The module of the package that a full name leads to; None outside the package."""
    package, _, inner = str(name).partition(".")
    if package != "cevnslab":
        return None
    while inner and inner not in known:
        inner = inner.rpartition(".")[0]
    return inner or FRONT_DOOR


def graph():
    """The modules that each module imports."""
    known = modules()
    arrows = {}
    for module, path in known.items():
        if module != FRONT_DOOR:
            names = imported_names(ast.parse(path.read_text(encoding="utf-8")))
            arrows[module] = {target for name in names if (target := resolved(name, known))} - {module}
    return arrows


def layer(module):
    return module.partition(".")[0]


def arrows_that_run_back(arrows):
    return [(a, b) for a, targets in arrows.items() for b in targets if RANK[layer(b)] > RANK[layer(a)]]


def circle(arrows):
    try:
        graphlib.TopologicalSorter(arrows).prepare()
    except graphlib.CycleError as fault:
        return fault.args[1]
    return []


def test_no_arrow_runs_back():
    back = arrows_that_run_back(graph())
    assert not back, "\n".join(f"cevnslab.{a} imports cevnslab.{b}" for a, b in back)


def test_there_is_no_circle():
    assert circle(graph()) == []


def test_every_module_has_a_layer():
    assert {layer(module) for module in modules()} <= set(RANK)
    assert {"physics.constants", "results.result", "studies.runner", "reports.files"} <= set(modules())


def test_the_graph_is_that_of_the_package():
    arrows = graph()
    assert "studies.study" in arrows["studies.runner"]
    assert "studies.schema" in arrows["studies.study"]
    assert "studies.runner" in arrows["studies.load"]  # inside a function
    assert sum(map(len, arrows.values())) > 300


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from cevnslab.studies import runner", ["studies.runner"]),
        ("from cevnslab.studies.runner import run", ["studies.runner"]),
        ("from cevnslab.studies import schema", ["studies.schema"]),
        ("import cevnslab.cli", ["cli"]),
        ("from cevnslab import results", ["results"]),
        ("import cevnslab", [FRONT_DOOR]),
        ("def f():\n    from cevnslab.figures.style import RC", ["figures.style"]),
        ("if TYPE_CHECKING:\n    from cevnslab.studies.study import Study", ["studies.study"]),
        ("importlib.import_module('cevnslab.reports.files')", ["reports.files"]),
        ("import numpy", []),
    ],
)
def test_the_walk_sees_imports(code, expected):
    known = modules()
    assert [target for name in imported_names(ast.parse(code)) if (target := resolved(name, known))] == expected


def test_arrows_back_and_circles_are_seen():
    arrows = {"physics.a": {"studies.b"}, "studies.b": {"studies.c"}, "studies.c": {"studies.b"}}
    assert arrows_that_run_back(arrows) == [("physics.a", "studies.b")]
    assert set(circle(arrows)) == {"studies.b", "studies.c"}


def test_no_module_is_longer_than_one_sitting():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules().values()}
    longest = max(lengths, key=lengths.get)
    assert lengths[longest] < 500, longest


GONE = {"LeastSquares", "Poisson", "ShapedLikelihood", "Experiment"}
"""Likelihoods that each wrote the same function, before there was one."""
SEARCHES = {"minimize", "minimize_scalar", "least_squares", "differential_evolution", "fmin", "leastsq", "curve_fit"}


def classes(tree):
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_there_is_one_likelihood():
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    assert {name: classes(tree) & GONE for name, tree in trees.items() if classes(tree) & GONE} == {}


def test_there_is_one_minimiser():
    """One function of the name, and no search of a library's."""
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in modules().items()}
    searches = [
        f"{name}.{node.name}"
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.lstrip("_") in {"minimise", "minimize"}
    ]
    assert searches == ["likelihood.minimiser.minimise"]
    # Studies search along keys with a library's function; what searches a likelihood lies below them.
    below = [tree for name, tree in trees.items() if name.split(".")[0] in {"likelihood", "inference", "datasets"}]
    imported = {full for tree in below for full in imported_names(tree)}
    assert not {full for full in imported if full.startswith("iminuit")}
    assert not {full for full in imported if full.startswith("scipy.optimize") and full.split(".")[-1] in SEARCHES}


def test_what_passes_between_the_layers_of_statistics_is_typed():
    """No `Any` in likelihood, inference and results: what JSON holds is a type of its own (`results/plain.py`)."""
    named = {
        name
        for name, path in modules().items()
        if layer(name) in {"likelihood", "inference", "results"}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Name) and node.id == "Any") or (isinstance(node, ast.Attribute) and node.attr == "Any")
    }
    assert named == set()
