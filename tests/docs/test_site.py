"""What the site is made of, as far as it can be checked without building it: `make docs` does the rest."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import cevnslab as cl
from cevnslab import physics
from cevnslab.studies.schema import StudyFile

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
MODULES = sorted(module.name for module in pkgutil.iter_modules(physics.__path__))


@pytest.fixture
def extensions(monkeypatch):
    """The site's own code; what it imports of Sphinx is imported late."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    yield
    for name in ("tables", "gallery", "marks", "cache"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("module", MODULES)
def test_every_physics_module_has_a_page_with_all_its_functions(module):
    page = (DOCS / "physics" / f"{module.replace('_', '-')}.md").read_text(encoding="utf-8")
    home = importlib.import_module(f"cevnslab.physics.{module}")
    if f"automodule:: {home.__name__}\n" in page:
        return
    for name, result in vars(home).items():
        defined_here = getattr(result, "__module__", None) == home.__name__
        if not name.startswith("_") and defined_here and (inspect.isfunction(result) or inspect.isclass(result)):
            if home.__name__ == "cevnslab.physics.atoms" and name == "subshells":
                continue  # cached, so no plain function
            assert f":: {home.__name__}.{name}\n" in f"{page}\n", f"{name} is not on the page of {module}"


def test_every_source_is_on_its_page():
    page = (DOCS / "physics" / "sources.md").read_text(encoding="utf-8")
    home = importlib.import_module("cevnslab.physics.sources")
    members = {name: getattr(home, name) for name in home.__all__}
    classes = [
        name for name, member in members.items() if inspect.isclass(member) and home.__name__ in member.__module__
    ]
    assert classes
    assert not [name for name in classes if f":: cevnslab.physics.sources.{name}\n" not in f"{page}\n"]


def test_every_key_of_the_study_file_is_in_the_reference_with_a_meaning(extensions):
    text = importlib.import_module("tables").study_keys()
    definitions = StudyFile.model_json_schema(by_alias=True)["$defs"]
    for model in ("StudyFile", *definitions):
        assert f"(keys-{re.sub(r'(?<!^)(?=[A-Z])', '-', model).lower()})=" in text
    assert "| `mass_kg` | number | required | >= 1e-9, <= 1e12 | of the target |" in text
    assert "| `bins` | integer |  | >= 1, <= 10000 |" in text
    assert "|  |\n" not in text, "a key has no meaning"


def test_links_to_keys_lead_to_a_mapping(extensions):
    labels = re.findall(r"^\((keys-[\w-]+)\)=", importlib.import_module("tables").study_keys(), flags=re.MULTILINE)
    links = [link for page in PAGES for link in re.findall(r"#(keys-[\w-]+)", page.read_text(encoding="utf-8"))]
    assert links
    assert set(links) <= set(labels)


def test_the_python_reference_has_every_public_name(extensions):
    text = importlib.import_module("tables").public_names()
    for name in cl.__all__:
        assert name == "__version__" or f"cevnslab.{name}" in text


def test_every_mark_is_filled(extensions):
    makers = {**importlib.import_module("tables").MAKERS, **importlib.import_module("gallery").MAKERS}
    marks = importlib.import_module("marks")
    marked = [name for page in PAGES for name in marks.MARK.findall(page.read_text(encoding="utf-8"))]
    assert sorted(marked) == sorted(makers)


def test_every_study_of_the_gallery_is_right(extensions):
    values = importlib.import_module("gallery").study_files()
    assert len(values) >= 4
    for path in values:
        assert cl.load_study(path).name == path.stem
        assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_between_pages(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for goal in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in goal or goal.startswith("#"):
            continue
        path, _, _ = goal.partition("#")
        assert (page.parent / path).exists(), f"{page.name} links to {goal}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_every_page_is_in_a_table_of_contents(page):
    name = page.relative_to(DOCS).with_suffix("").as_posix()
    listed = {"index"}
    for index in DOCS.rglob("*.md"):
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```$", index.read_text(encoding="utf-8"), re.DOTALL | re.M):
            folder = index.parent.relative_to(DOCS)
            listed |= {(folder / line).as_posix() for line in block.split() if not line.startswith(":")}
    assert name in listed
